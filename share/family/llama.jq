# llama.jq: Llama 1, 2, 3, 3.1, 3.2, 3.3 and what is built like them.
include "pm";

.config
| . as $c
| only({rope_interleaved: false})
| {qkv_bias: flag("attention_bias"; false), o_bias: flag("attention_bias"; false), ff_bias: flag("mlp_bias"; false)} as $biases
| flag("tie_word_embeddings"; false) as $tied
| llama_layer_spec as $layer
| llama_sizes
| . + {family: "llama", arch: "llama", max_positions: ($c | positive("max_position_embeddings"; 2048)), tied: $tied,
       ropes: [$c | rope($layer.head_dim; 10000)], layer: [range(.layers) | $layer], ignore: rope_buffers}
| . + {tensor: [llama_tensors(text_names; . + $biases + {permuted: true})]}
