# qwen3.jq: Qwen3.
include "gguf";
include "pm";

def table: sizes + rms + head_sizes;

if .keys then
  . as $in | config_of(table; "qwen3"; "Qwen3ForCausalLM")
  | .hidden_act = "silu" | .use_sliding_window = false | .attention_bias = ($in | holds("blk.0.attn_q.bias"))
  | heads_of($in) | rope_of($in; 10000) | done($in)
else
  . as $in | .config | text_config | implied("hidden_act"; "silu"; "silu") | only({use_sliding_window: false})
  | .head_dim = positive("head_dim"; 128)
  | [rope_freqs(rope_for(10000); .head_dim)] as $more
  | {keys: text_keys($in | .parameters += ([$more[].values[]] | length); "qwen3"; 10000; empty), tensors: $more}
end
