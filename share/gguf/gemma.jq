# gemma.jq: Gemma 1.
include "gguf";
include "pm";

def table: sizes + rms + head_sizes;

if .keys then
  . as $in | config_of(table; "gemma"; "GemmaForCausalLM")
  | .hidden_act = "gelu_pytorch_tanh" | .hidden_activation = "gelu_pytorch_tanh" | heads_of($in) | rope_of($in; 10000) | done($in)
else
  . as $in | .config | gemma_sizes(16; 16) | usual
  | (if .hidden_activation != null then implied("hidden_activation"; null; "gelu_tanh") else . end)
  | (if rope_for(10000) | .rope_type == "default" and .rope_theta == 10000 then . else error("the rope of this architecture is fixed: theta 10000, no scaling") end)
  | {keys: [general_keys($in; "gemma"), rows("gemma"; (sizes | [.[1], .[2], .[0]] + .[3:]) + rms + head_sizes), file_type($in),
            key("general.quantization_version"; "u32"; 2)], tensors: []}
end
