# mistral.jq: Mistral 7B and its kin: llama with a window on every layer where sliding_window is a number.
include "pm";

.config
| . as $c
| only({attention_bias: false})
| window(4096) as $window
| positive("max_position_embeddings"; 131072) as $max
| sliding(layer_count("num_hidden_layers"); true) as $sliding
| llama_layer_spec as $layer
| flag("tie_word_embeddings"; false) as $tied
| llama_sizes
| . + {family: "mistral", arch: "llama", max_positions: $max, tied: $tied, ropes: [$c | .max_position_embeddings = $max | rope($layer.head_dim; 10000)],
       layer: [$sliding[] | $layer + {window: (if . then $window else 0 end)}], ignore: rope_buffers}
| . + {tensor: [llama_tensors(text_names; . + {permuted: true})]}
