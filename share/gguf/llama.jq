# llama.jq: Llama and its kin; Mistral's models go by this name too, told apart by their window, and Mixtral's, by their experts.
include "gguf";
include "pm";

def table: sizes + rms + head_sizes;

if .keys then
  . as $in
  | (of("attention.sliding_window") // 0) as $window
  | (if (of("expert_count") // 0) > 0 then config_of(table + experts; "mixtral"; "MixtralForCausalLM") | .sliding_window = (if $window > 0 then $window else null end)
     elif $window > 0 then config_of(table; "mistral"; "MistralForCausalLM") | .sliding_window = $window
     else config_of(table; "llama"; "LlamaForCausalLM")
       | .attention_bias = ($in | holds("blk.0.attn_q.bias")) | .mlp_bias = ($in | holds("blk.0.ffn_up.bias")) end)
  | .hidden_act = "silu" | heads_of($in) | rope_of($in; 10000) | done($in)
else
  . as $in | .config | text_config | implied("hidden_act"; "silu"; "silu")
  | head_dim as $head
  | (if .model_type == "mistral" then window(4096) elif .model_type == "mixtral" then window(0) else 0 end) as $window
  | (if .model_type == "mixtral" then 1000000 else 10000 end) as $theta
  | [rope_freqs(rope_for($theta); $head)] as $more
  | {keys: text_keys($in | .parameters += ([$more[].values[]] | length); "llama"; $theta;
       key("llama.attention.sliding_window"; "u32"; if $window > 0 then $window else null end),
       key("llama.vocab_size"; "u32"; .vocab_size), key("llama.rope.dimension_count"; "u32"; $head)),
     tensors: $more}
end
