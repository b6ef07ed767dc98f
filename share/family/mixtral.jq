# mixtral.jq: Mixtral 8x7B, 8x22B: as mistral, with experts in place of the feed-forward; those of a token are weighted by the softmax over all,
# divided by the sum over the chosen.
include "pm";

.config
| . as $c
| only({attention_bias: false, router_jitter_noise: 0})
| window(0) as $window
| positive("max_position_embeddings"; 131072) as $max
| experts(8; 2) as $experts
| (llama_layer_spec + $experts + {route_renormalise: true, window: $window}) as $layer
| flag("tie_word_embeddings"; false) as $tied
| (if .rms_norm_eps == null then .rms_norm_eps = 1e-5 else . end | llama_sizes)
| . + {family: "mixtral", arch: "llama", max_positions: $max, tied: $tied, ropes: [$c | .max_position_embeddings = $max | rope($layer.head_dim; 1000000)],
       layer: [range(.layers) | $layer], ignore: rope_buffers}
| . + {tensor: [llama_tensors(text_names;
    . + {permuted: true, experts: {in: "block_sparse_moe", gate: "w1", up: "w3", down: "w2"}})]}
