# qwen3.jq: Qwen3: as llama, with a norm over each head's queries and keys before rope.
include "pm";

(.config | if .head_dim == null then .head_dim = 128 else . end)
| . as $c
| positive("max_position_embeddings"; 32768) as $max
| qwen_windows as $windows
| llama_layer_spec as $layer
| flag("tie_word_embeddings"; false) as $tied
| flag("attention_bias"; false) as $bias
| llama_sizes
| . + {family: "qwen3", arch: "qwen3", max_positions: $max, tied: $tied, ropes: [$c | .max_position_embeddings = $max | rope($layer.head_dim; 10000)],
       layer: [$windows[] | $layer + {window: .}], ignore: rope_buffers}
| . + {tensor: [llama_tensors(text_names; . + {qkv_bias: $bias, o_bias: $bias, qk_norm: true})]}
