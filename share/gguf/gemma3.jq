# gemma3.jq: Gemma 3, its text. What scores are scaled by is no key: it follows from the number of layers, as llama.cpp has it.
include "gguf";
include "pm";

def table: sizes + rms + head_sizes + [["final_logit_softcapping", "f32", "final_logit_softcapping"]];

# query_pre_attn_scalar of a file: the 27B model (62 layers) divides by what a head has of the width, the others by a head's size.
def scalar: if .num_hidden_layers == 62 then .hidden_size / .num_attention_heads else .head_dim // 256 end;

if .keys then
  . as $in | config_of(table; "gemma3_text"; "Gemma3ForCausalLM")
  | .hidden_activation = "gelu_pytorch_tanh" | heads_of($in) | .query_pre_attn_scalar = scalar
  | ($in | of("attention.sliding_window") // 0) as $window
  | (if $window > 0 then .sliding_window = $window | .sliding_window_pattern = 6 else .sliding_window_pattern = 1 end)
  | .layer_types = [range(.num_hidden_layers) | if $window > 0 and (. + 1) % 6 != 0 then "sliding_attention" else "full_attention" end]
  | .rope_local_base_freq = ($in | of("rope.freq_base_swa") // 10000)
  | rope_of($in; 1000000) | done($in)
else
  . as $in | .config
  | (if .text_config != null then .text_config + {bos_token_id: .bos_token_id, eos_token_id: .eos_token_id} else . end)
  | gemma_sizes(8; 4) | usual | implied("hidden_activation"; "gelu_pytorch_tanh"; "gelu_tanh")
  | (if positive("query_pre_attn_scalar"; 256) == scalar then . else bad("query_pre_attn_scalar"; "a GGUF file of this size means \(scalar)") end)
  | positive("sliding_window_pattern"; 6) as $pattern
  | sliding(layer_count("num_hidden_layers"); (. + 1) % $pattern != 0) as $sliding
  | (if any($sliding[]; .) and $sliding != [range(.num_hidden_layers) | (. + 1) % 6 != 0]
     then bad("layer_types"; "a window on all layers but every sixth was wanted") else . end)
  | .max_position_embeddings = positive("max_position_embeddings"; 131072)
  | .rms_norm_eps = from0("rms_norm_eps"; 1e-6)
  | .rope_local_base_freq = (.rope_parameters.sliding_attention.rope_theta // above0("rope_local_base_freq"; 10000))
  | .final_logit_softcapping = (cap("final_logit_softcapping"; null) | if . == 0 then null else . end)
  | (if .vocab_size == null then .vocab_size = 262208 else . end) as $c
  | {keys: text_keys($in | .parameters -= ($c.vocab_size - .tokens) * $c.hidden_size; "gemma3"; 1000000; rows("gemma3"; table[9:]),
       key("gemma3.attention.sliding_window"; "u32"; if any($sliding[]; .) then window(4096) else null end)), tensors: [], cut: true}
end
