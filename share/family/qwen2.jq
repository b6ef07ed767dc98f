# qwen2.jq: Qwen2, Qwen2.5, QwQ: llama with biases on q, k and v. A window counts only where use_sliding_window says so.
include "pm";

.config
| . as $c
| only({use_mrope: false})
| positive("max_position_embeddings"; 32768) as $max
| qwen_windows as $windows
| llama_layer_spec as $layer
| flag("tie_word_embeddings"; false) as $tied
| llama_sizes
| . + {family: "qwen2", arch: "qwen2", max_positions: $max, tied: $tied, ropes: [$c | .max_position_embeddings = $max | rope($layer.head_dim; 10000)],
       layer: [$windows[] | $layer + {window: .}], ignore: rope_buffers}
| . + {tensor: [llama_tensors(text_names; . + {qkv_bias: true})]}
