# gpt-oss.jq: GPT-OSS. Windows on every other layer, the limits of the activation and that yarn's ends are not rounded are no keys: files of this
# architecture mean them.
include "gguf";
include "pm";

def table: sizes + rms + experts + head_sizes + [["attention.sliding_window", "u32", "sliding_window"], ["expert_feed_forward_length", "u32", "expert_inner"]];
def windows: [range(.num_hidden_layers) | if . % 2 == 0 then "sliding_attention" else "full_attention" end];

if .keys then
  . as $in | config_of(table; "gpt_oss"; "GptOssForCausalLM")
  | .intermediate_size = (.expert_inner // .intermediate_size) | del(.expert_inner)
  | .hidden_act = "silu" | .attention_bias = true | .layer_types = windows
  | heads_of($in) | rope_of($in; 150000)
  | (if .rope_scaling.rope_type == "yarn" then .rope_scaling.truncate = false else . end) | done($in)
else
  . as $in | .config
  | (if .rope_parameters == null and .rope_scaling == null then .rope_scaling = {rope_type: "yarn", factor: 32, beta_fast: 32, beta_slow: 1, truncate: false,
       original_max_position_embeddings: 4096} else . end)
  | del(.quantization_config) | text_config | implied("hidden_act"; "silu"; "silu") | only({attention_bias: true, swiglu_alpha: 1.702, swiglu_limit: 7})
  | .head_dim = positive("head_dim"; 64) | .num_local_experts = (.num_local_experts // .num_experts // 128) | .num_experts_per_tok = positive("num_experts_per_tok"; 4)
  | .sliding_window = window(128) | .expert_inner = size("intermediate_size") | .rms_norm_eps = from0("rms_norm_eps"; 1e-5)
  | (if .layer_types == null or .layer_types == windows then . else bad("layer_types"; "a window on every other layer, the first among them, was wanted") end)
  | (rope_dictionary | if .rope_type == "yarn" and .truncate != false then bad("truncate"; "a GGUF file of this architecture means false") else . end) as $checked
  | del(.rope_scaling.truncate, .rope_parameters.truncate)
  | {keys: text_keys($in; "gpt-oss"; 150000; rows("gpt-oss"; table[-2:])), tensors: []}
end
