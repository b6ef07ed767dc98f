# qwen3_moe.jq: Qwen3-MoE: as qwen3, with experts in place of the feed-forward of some layers or all.
include "pm";

# Whether layer i has experts.
def sparse:
  . as $c
  | positive("decoder_sparse_step"; 1) as $step
  | layer_count("num_hidden_layers") as $n
  | get("mlp_only_layers"; []) as $dense
  | if ($dense | type) == "array" and all($dense[]; type == "number") then [range($n) | . as $i | ($dense | index($i)) == null and ($i + 1) % $step == 0]
    else bad("mlp_only_layers"; "a list of layers was wanted") end;

.config
| . as $c
| positive("max_position_embeddings"; 32768) as $max
| qwen_windows as $windows
| sparse as $sparse
| llama_layer_spec as $dense
| ($dense + experts(128; 8) + {inner: positive("moe_intermediate_size"; 768), route_renormalise: flag("norm_topk_prob"; false)}) as $many
| flag("tie_word_embeddings"; false) as $tied
| flag("attention_bias"; false) as $bias
| llama_sizes
| . + {family: "qwen3_moe", arch: "qwen3moe", max_positions: $max, tied: $tied, ropes: [$c | .max_position_embeddings = $max | rope($dense.head_dim; 10000)],
       layer: [range(.layers) as $i | (if $sparse[$i] then $many else $dense end) + {window: $windows[$i]}], ignore: rope_buffers}
| . + {tensor: [llama_tensors(text_names;
    . + {qkv_bias: $bias, o_bias: $bias, qk_norm: true, experts: {in: "mlp", gate: "gate_proj", up: "up_proj", down: "down_proj"}})]}
