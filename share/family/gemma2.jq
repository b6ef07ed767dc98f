# gemma2.jq: Gemma 2: as gemma, with norms behind the branches too, soft-caps, and a window on every other layer.
include "pm";

(.config | gemma_sizes(8; 4))
| . as $c
| only({attention_bias: false})
| cap("attn_logit_softcapping"; 50) as $cap
| cap("final_logit_softcapping"; 30) as $final
| window(4096) as $window
| positive("max_position_embeddings"; 8192) as $max
| sliding(layer_count("num_hidden_layers"); . % 2 == 0) as $sliding
| (gemma_layer_spec(choice("hidden_activation"; "gelu_pytorch_tanh"; activations))
   + {scale: (1 / (positive("query_pre_attn_scalar"; 256) | sqrt)), softcap: $cap}) as $layer
| flag("tie_word_embeddings"; true) as $tied
| llama_sizes
| gemma_scales
| . + {family: "gemma2", arch: "gemma2", max_positions: $max, tied: $tied, logit_softcap: $final, ropes: [$c | .max_position_embeddings = $max | rope($layer.head_dim; 10000)],
       layer: [$sliding[] | $layer + {window: (if . then $window else 0 end)}], ignore: rope_buffers}
| . + {tensor: [llama_tensors(text_names; . + {post_norms: true})]}
