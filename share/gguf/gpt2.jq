# gpt2.jq: GPT-2.
include "gguf";
include "pm";

def table: [["block_count", "u32", "n_layer"], ["context_length", "u32", "n_positions"], ["embedding_length", "u32", "n_embd"],
  ["feed_forward_length", "u32", "n_inner"], ["attention.head_count", "u32", "n_head"], ["attention.layer_norm_epsilon", "f32", "layer_norm_epsilon"]];

if .keys then
  . as $in | config_of(table; "gpt2"; "GPT2LMHeadModel") | .activation_function = "gelu_new" | .n_ctx = .n_positions | done($in)
else
  . as $in | .config | usual | implied("activation_function"; "gelu_new"; "gelu_tanh")
  | only({scale_attn_weights: true, scale_attn_by_inverse_layer_idx: false})
  | .n_positions = positive("n_positions"; 1024) | .n_inner = positive("n_inner"; 4 * .n_embd) | .layer_norm_epsilon = from0("layer_norm_epsilon"; 1e-5)
  | {keys: [general_keys($in; "gpt2"), rows("gpt2"; table), file_type($in), key("general.quantization_version"; "u32"; 2)], tensors: []}
end
