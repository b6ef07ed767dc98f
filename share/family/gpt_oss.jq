# gpt_oss.jq: GPT-OSS: sinks, windows on every other layer, biases everywhere; experts of a clamped activation, weighted by the softmax over the
# chosen. Files have gate and up of all experts in one tensor, in turns: plain as (expert, in, out), or in blocks of MXFP4 as (expert, out, in), which
# bear another name. GGUF files have them apart.
include "pm";

# $x: {gguf: whether it is such a file, blocks: whether a tensor of that name is in blocks}
def matrix($p; $x; $role; $path; $gguf; $up; $n; $out; $in):
  "\($p.file)\($path)" as $name | (if $x.blocks then "_blocks" else "" end) as $tail
  | {role: $role, file: ($name + $tail), alias: [$p.alias[] | "\(.)\($path)\($tail)"], module: "\($p.module)\($path)", gguf: $gguf, use: "linear", experts: $n, fused: "\($p.module)\($path)", turns: ($up != null), hf: $name}
  | if $up then . + {gguf_up: $up} else . end
  | if $x.blocks then . + {hf_transposed: true, dim: [$n, $out, $in]} else . + {transposed: true, dim: [$n, $in, $out]} end;

def matrix_bias($p; $role; $path; $gguf; $up; $n; $out):
  {role: "\($role).bias", file: "\($p.file)\($path)_bias", alias: [$p.alias[] | "\(.)\($path)_bias"], module: "\($p.module)\($path)", gguf: $gguf, use: "bias", experts: $n, dim: [$n, $out]}
  | if $up then . + {gguf_up: $up} else . end;

# Gate or up of a GGUF file: a half of what other files have in one.
def half($turn): . + {hf_turn: $turn} | del(.gguf_up);

def expert_tensors($p; $x; $s; $l; $i):
  layer_names($i) as {$r, $m, $g}
  | "\($m).mlp.experts.gate_up_proj" as $both | "\($m).mlp.experts.down_proj" as $down
  | (linear($p; "\($r).router"; "\($m).mlp.router"; "\($g).ffn_gate_inp"; $l.experts; $s.hidden; true)
      | if .use == "linear" then .use = "router" else . end),
    (if $x.gguf then
      (["gate", 1], ["up", 2]) as [$name, $turn]
      | (matrix($p; $x; "\($r).experts.\($name)"; $both; "\($g).ffn_\($name)_exps.weight"; ""; $l.experts; $l.inner; $s.hidden),
         matrix_bias($p; "\($r).experts.\($name)"; $both; "\($g).ffn_\($name)_exps.bias"; ""; $l.experts; $l.inner) | half($turn))
     else
      matrix($p; $x; "\($r).experts.gate_up"; $both; "\($g).ffn_gate_exps.weight"; "\($g).ffn_up_exps.weight"; $l.experts; 2 * $l.inner; $s.hidden),
      matrix_bias($p; "\($r).experts.gate_up"; $both; "\($g).ffn_gate_exps.bias"; "\($g).ffn_up_exps.bias"; $l.experts; 2 * $l.inner) end),
    matrix($p; $x; "\($r).experts.down"; $down; "\($g).ffn_down_exps.weight"; null; $l.experts; $s.hidden; $l.inner),
    matrix_bias($p; "\($r).experts.down"; $down; "\($g).ffn_down_exps.bias"; null; $l.experts; $s.hidden);

def layer_tensors($p; $x; $s; $l; $i):
  layer_names($i) as {$r, $m, $g}
  | llama_attention($p; $s; $l; $i),
    {role: "\($r).attn.sinks", file: "\($p.file)\($m).self_attn.sinks", alias: [$p.alias[] | "\(.)\($m).self_attn.sinks"], module: "\($p.module)\($m).self_attn", gguf: "\($g).attn_sinks.weight",
     use: "other", dim: [$l.heads]},
    norm($p; "\($r).ff_norm"; "\($m).post_attention_layernorm"; "\($g).post_attention_norm"; $s.hidden),
    expert_tensors($p; $x; $s; $l; $i);

. as $in
| (.config
   # Blocks of a directory that is not read yet; of one that is, its names tell.
   | if .quantization_config.quant_method == "mxfp4" then .coded = true | del(.quantization_config) else . end
   | if .head_dim == null then .head_dim = 64 else . end
   | if .rope_parameters == null and .rope_scaling == null then .rope_scaling = {rope_type: "yarn", factor: 32, beta_fast: 32, beta_slow: 1, truncate: false,
       original_max_position_embeddings: 4096} else . end)
| . as $c
| only({hidden_act: "silu", experts_per_token: (.num_experts_per_tok // 4)})
| {gguf: ($in.gguf != null),
   blocks: (if $in.tensors == null then .coded == true else any($in.tensors | keys_unsorted[]; endswith(".mlp.experts.gate_up_proj_blocks")) end)} as $x
| window(128) as $window
| positive("max_position_embeddings"; 131072) as $max
| sliding(layer_count("num_hidden_layers"); (. + 1) % 2 == 1) as $sliding
| flag("attention_bias"; true) as $bias
| (llama_layer_spec + experts(128; 4)
   + {route_late: true, act: "clamped", act_alpha: above0("swiglu_alpha"; 1.702), act_limit: above0("swiglu_limit"; 7), interleaved: true}) as $layer
| flag("tie_word_embeddings"; false) as $tied
| (if .rms_norm_eps == null then .rms_norm_eps = 1e-5 else . end | llama_sizes)
| . + {family: "gpt_oss", arch: "gpt-oss", max_positions: $max, tied: $tied, ropes: [$c | .max_position_embeddings = $max | rope($layer.head_dim; 150000)],
       layer: [$sliding[] | $layer + {window: (if . then $window else 0 end)}], ignore: rope_buffers}
| . + {tensor: [(. + {qkv_bias: $bias, o_bias: $bias}) as $s
    | text_names as $p | llama_trunk($p; $s; . as $i | layer_tensors($p; $x; $s; $s.layer[$i]; $i))]}
