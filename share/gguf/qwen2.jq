# qwen2.jq: Qwen2 and Qwen2.5.
include "gguf";
include "pm";

def table: sizes + rms + head_sizes;

if .keys then
  . as $in | config_of(table; "qwen2"; "Qwen2ForCausalLM")
  | .hidden_act = "silu" | .use_sliding_window = false | heads_of($in) | rope_of($in; 10000) | done($in)
else
  . as $in | .config | text_config | implied("hidden_act"; "silu"; "silu") | only({use_sliding_window: false})
  | [rope_freqs(rope_for(10000); head_dim)] as $more
  | {keys: text_keys($in | .parameters += ([$more[].values[]] | length); "qwen2"; 10000; empty), tensors: $more}
end
