# gemma.jq: Gemma 1: norms times 1 + w, embeddings times √hidden, tied head. The "gelu" of old configs means its tanh form.
include "pm";

(.config | gemma_sizes(16; 16))
| . as $c
| only({attention_bias: false})
| (if .hidden_activation != null then choice("hidden_activation"; null; activations)
   else choice("hidden_act"; "gelu_pytorch_tanh"; {gelu: "gelu_tanh", gelu_pytorch_tanh: "gelu_tanh"}) end) as $act
| positive("max_position_embeddings"; 8192) as $max
| gemma_layer_spec($act) as $layer
| flag("tie_word_embeddings"; true) as $tied
| llama_sizes
| gemma_scales
| . + {family: "gemma", arch: "gemma", max_positions: $max, tied: $tied, ropes: [$c | .max_position_embeddings = $max | rope($layer.head_dim; 10000)],
       layer: [range(.layers) | $layer], ignore: rope_buffers}
| . + {tensor: [llama_tensors(text_names; .)]}
