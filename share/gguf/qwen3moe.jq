# qwen3moe.jq: Qwen3-MoE. That all layers have experts, and that their weights add up to 1, is no key: files of this architecture mean it.
include "gguf";
include "pm";

def table: sizes + rms + experts + head_sizes + [["expert_feed_forward_length", "u32", "moe_intermediate_size"]];

if .keys then
  . as $in | config_of(table; "qwen3_moe"; "Qwen3MoeForCausalLM")
  | .num_experts = .num_local_experts | del(.num_local_experts) | .norm_topk_prob = true | .decoder_sparse_step = 1 | .mlp_only_layers = []
  | .hidden_act = "silu" | .use_sliding_window = false | .attention_bias = ($in | holds("blk.0.attn_q.bias"))
  | heads_of($in) | rope_of($in; 10000) | done($in)
else
  . as $in | .config | text_config | implied("hidden_act"; "silu"; "silu") | only({use_sliding_window: false, decoder_sparse_step: 1, mlp_only_layers: []})
  | (if flag("norm_topk_prob"; false) then . else bad("norm_topk_prob"; "a GGUF file of this architecture means true") end)
  | .head_dim = positive("head_dim"; 128)
  | .num_local_experts = (.num_local_experts // .num_experts // 128) | .moe_intermediate_size = positive("moe_intermediate_size"; 768)
  | [rope_freqs(rope_for(10000); .head_dim)] as $more
  | {keys: text_keys($in | .parameters += ([$more[].values[]] | length); "qwen3moe"; 10000; rows("qwen3moe"; table[-1:])), tensors: $more}
end
