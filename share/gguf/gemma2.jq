# gemma2.jq: Gemma 2. What scores are scaled by is no key: it follows from the number of layers, as llama.cpp has it.
include "gguf";
include "pm";

def table: sizes + rms + head_sizes + [["attn_logit_softcapping", "f32", "attn_logit_softcapping"], ["final_logit_softcapping", "f32", "final_logit_softcapping"]];

# query_pre_attn_scalar of a file: the 27B model (46 layers) divides by what a head has of the width, the others by a head's size.
def scalar: if .num_hidden_layers == 46 then .hidden_size / .num_attention_heads else .head_dim // 256 end;

if .keys then
  . as $in | config_of(table; "gemma2"; "Gemma2ForCausalLM")
  | .hidden_activation = "gelu_pytorch_tanh" | heads_of($in) | .query_pre_attn_scalar = scalar
  | .sliding_window = ($in | of("attention.sliding_window") // 4096) | rope_of($in; 10000) | done($in)
else
  . as $in | .config | gemma_sizes(8; 4) | usual | implied("hidden_activation"; "gelu_pytorch_tanh"; "gelu_tanh")
  | (if positive("query_pre_attn_scalar"; 256) == scalar then . else bad("query_pre_attn_scalar"; "a GGUF file of this size means \(scalar)") end)
  | (if rope_for(10000) | .rope_type == "default" and .rope_theta == 10000 then . else error("the rope of this architecture is fixed: theta 10000, no scaling") end)
  | (if sliding(layer_count("num_hidden_layers"); . % 2 == 0) == [range(.num_hidden_layers) | . % 2 == 0] then . else bad("layer_types"; "a window on every other layer, from the first on, was wanted") end)
  | .attn_logit_softcapping = cap("attn_logit_softcapping"; 50) | .final_logit_softcapping = cap("final_logit_softcapping"; 30)
  | {keys: [general_keys($in; "gemma2"), rows("gemma2"; (sizes | [.[1], .[2], .[0]] + .[3:]) + rms + head_sizes), file_type($in),
            rows("gemma2"; table[9:]), key("gemma2.attention.sliding_window"; "u32"; window(4096)), key("general.quantization_version"; "u32"; 2)], tensors: []}
end
