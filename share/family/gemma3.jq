# gemma3.jq: Gemma 3: as gemma2 without the cap on scores, with norms over queries and keys, and two ropes: layers with a window
# turn by a base of their own, never scaled. Text models, and the text part of those that also see.
include "pm";

# theta at the top and rope_scaling for the global layers (transformers 4), or a dictionary each (5).
def two_ropes($dims):
  . as $c
  | if (.rope_parameters | type) == "object" and (.rope_parameters | has("full_attention") or has("sliding_attention")) then
      if .rope_scaling != null or (.rope_parameters | keys) - ["full_attention", "sliding_attention"] != []
      then bad("rope_parameters"; "full_attention and sliding_attention were wanted")
      else [(.rope_parameters.full_attention // {} | rope_from($c; $dims; 1000000)),
            (.rope_parameters.sliding_attention // {} | rope_from($c; $dims; 10000))] end
    else [rope($dims; 1000000), {type: "plain", theta: above0("rope_local_base_freq"; 10000), dims: $dims}] end;

(.config | usual) as $top
| (if $top.text_config != null then true else false end) as $sees
| (if $sees then $top.text_config | if type == "object" then . else error("'text_config' is \(shown), an object was wanted") end else $top end)
| ($top.tie_word_embeddings // .tie_word_embeddings) as $tie
| . + {tie_word_embeddings: (if $top.tie_word_embeddings == false then false else $tie end)}
| gemma_sizes(8; 4)
| if .vocab_size == null then .vocab_size = 262208 else . end
| . as $c
| only({attention_bias: false})
| cap("final_logit_softcapping"; null) as $final
| window(4096) as $window
| positive("sliding_window_pattern"; 6) as $pattern
| positive("max_position_embeddings"; 131072) as $max
| sliding(layer_count("num_hidden_layers"); (. + 1) % $pattern != 0) as $sliding
| (gemma_layer_spec(choice("hidden_activation"; "gelu_pytorch_tanh"; activations))
   + {scale: (1 / (positive("query_pre_attn_scalar"; 256) | sqrt))}) as $layer
| flag("tie_word_embeddings"; true) as $tied
| llama_sizes
| gemma_scales
| . + {family: "gemma3", arch: "gemma3", max_positions: $max, tied: $tied, partial: $sees, logit_softcap: $final,
       ropes: ($c | .max_position_embeddings = $max | two_ropes($layer.head_dim)),
       layer: [$sliding[] | $layer + (if . then {window: $window, rope: 1} else {window: 0, rope: 0} end)],
       ignore: (rope_buffers + if $sees then ["(model\\.)?vision_tower\\..*", "(model\\.)?multi_modal_projector\\..*"] else [] end)}
| . + {tensor: [llama_tensors(
    if $sees then {file: "language_model.model.", alias: ["model.language_model."], module: "model.language_model.",
                   head: "language_model.", head_alias: [""]} else text_names end;
    . + {post_norms: true, qk_norm: true})]}
