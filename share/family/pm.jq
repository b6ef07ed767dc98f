# pm.jq: what the family programs share; `include "pm";` brings it in. pm-family.5 describes input and output.
#
# Functions named after a kind (`size`, `whole`, `real`, `flag`, `choice`) read one key of the config that is their
# input and end the program with a message naming key and value where the value is of another kind.

# A value as it stands in a message.
def shown: tojson | if length > 80 then .[:77] + "..." else . end;

def bad($key; $wanted): error("'\($key)' is \(.[$key] | shown), \($wanted)");

# The value of a key, or $default where it is missing or null.
def get($key; $default): if .[$key] == null then $default else .[$key] end;

# The value of a key, null where that is written, $default only where the key is missing.
def given($key; $default): if has($key) then .[$key] else $default end;

# A key that must be there.
def need($key): if .[$key] == null then error("'\($key)' is missing") else . end;

def whole($key; $default):
  get($key; $default) as $v
  | if ($v | type) == "number" and $v >= 0 and $v <= 2147483647 and ($v | floor) == $v then $v
    else bad($key; "a whole number up to 2147483647 was wanted") end;

def positive($key; $default):
  whole($key; $default) as $v | if $v > 0 then $v else bad($key; "a number above 0 was wanted") end;

# A positive whole number without which there is no model.
def size($key): need($key) | positive($key; null);

# How many layers there are; more than any model has would only keep us busy.
def layer_count($key): size($key) as $n | if $n <= 4096 then $n else bad($key; "at most 4096 was wanted") end;

# Any number that single precision holds well.
def real($key; $default):
  get($key; $default) as $v
  | if ($v | type) == "number" and $v > -1e30 and $v < 1e30 then $v else bad($key; "a number was wanted") end;

def above0($key; $default):
  real($key; $default) as $v | if $v > 0 then $v else bad($key; "a number above 0 was wanted") end;

def from0($key; $default):
  real($key; $default) as $v | if $v >= 0 then $v else bad($key; "0 or more was wanted") end;

# A number, or 0 where the key holds null; $default where it is missing.
def cap($key; $default):
  (given($key; $default) // 0) as $v
  | if ($v | type) == "number" and $v >= 0 and $v < 1e30 then $v else bad($key; "a number or null was wanted") end;

# Tokens that a window holds, likewise.
def window($default):
  cap("sliding_window"; $default) as $v
  | if ($v | floor) == $v and $v <= 2147483647 then $v else bad("sliding_window"; "a whole number or null was wanted") end;

def flag($key; $default):
  get($key; $default) as $v | if ($v | type) == "boolean" then $v else bad($key; "true or false was wanted") end;

# What a table makes of a string.
def choice($key; $default; $table):
  get($key; $default) as $v
  | if ($v | type) == "string" and ($table | has($v)) then $table[$v]
    else (if .[$key] == null then .[$key] = $v else . end) | bad($key; "known are \($table | keys_unsorted | join(", "))") end;

# Keys whose only value that this family computes is the one given: {"key": value}; missing and null are fine.
def only($values):
  . as $c
  | reduce ($values | to_entries[]) as $e (.;
      if $c[$e.key] == null or $c[$e.key] == $e.value then .
      else $c | bad($e.key; "only \($e.value | tojson) is computed here") end);

# What no family of this kind computes.
def usual:
  only({is_causal: true, use_bidirectional_attention: false, add_cross_attention: false, position_embedding_type: "absolute"})
  | if .quantization_config == null then . else bad("quantization_config"; "quantised checkpoints are not read here") end;

def activations: {
  silu: "silu", swish: "silu", gelu: "gelu", gelu_python: "gelu", gelu_new: "gelu_tanh", gelu_fast: "gelu_tanh",
  gelu_pytorch_tanh: "gelu_tanh", quick_gelu: "gelu_quick", relu: "relu", relu2: "relu2"};

def head_dim: get("head_dim"; null) as $d
  | if $d != null then positive("head_dim"; null)
    else (size("hidden_size") / size("num_attention_heads")) as $q
      | if ($q | floor) == $q then $q else bad("hidden_size"; "a multiple of num_attention_heads (\(.num_attention_heads)) was wanted") end
    end;

def kv_heads: positive("num_key_value_heads"; size("num_attention_heads"));

# Which layers look through a window: a list of booleans, from layer_types where it is there, else by f (index -> boolean).
def sliding($layers; f):
  if .layer_types == null then [range($layers) | f]
  elif (.layer_types | type) != "array" or (.layer_types | length) != $layers then bad("layer_types"; "a list of \($layers) names was wanted")
  else . as $c | [.layer_types[] | if . == "sliding_attention" then true elif . == "full_attention" then false
    else . as $t | $c | error("'layer_types' has \($t | shown), known are full_attention, sliding_attention") end] end;

# ---- rope ----

# One set of rotary frequencies from the keys of a rope dictionary (the input; {} for none), called $name in messages.
def rope_keys: ["rope_type", "type", "rope_theta", "factor", "original_max_position_embeddings", "low_freq_factor", "high_freq_factor",
  "beta_fast", "beta_slow", "truncate", "attention_factor", "mscale", "mscale_all_dim", "short_factor", "long_factor",
  "partial_rotary_factor", "finetuned"];

def yarn_scale($k): if .factor <= 1 then 1 else 0.1 * $k * (.factor | log) + 1 end;

def yarn_attention:
  if .attention_factor != null then real("attention_factor"; null)
  elif real("mscale"; 0) != 0 and real("mscale_all_dim"; 0) != 0 then yarn_scale(.mscale) / yarn_scale(.mscale_all_dim)
  else yarn_scale(1) end;

def factors($key; $n):
  if (.[$key] | type) == "array" and (.[$key] | length) == $n and all(.[$key][]; type == "number" and . > 0) then .[$key]
  else bad($key; "a list of \($n) numbers above 0 was wanted") end;

def longrope($dims; $max; $original):
  (if $original > 1 then . else error("'original_max_position_embeddings' is \($original), more than 1 was wanted") end)
  | real("factor"; $max / $original) as $s
  | {type: "longrope", original: $original, short_factor: factors("short_factor"; $dims / 2), long_factor: factors("long_factor"; $dims / 2),
     attention_factor: (if .attention_factor != null then real("attention_factor"; null)
       elif $s <= 1 then 1 else (1 + ($s | log) / ($original | log) | sqrt) end)};

# $c is the config, with max_position_embeddings in it; the head turns $dims columns.
def rope_scaling($c; $dims):
  ($c | positive("max_position_embeddings"; 2048)) as $max
  | (get("rope_type"; get("type"; "default"))) as $type
  | if $type == "default" then {type: "plain"}
    elif $type == "linear" then {type: "linear", factor: (need("factor") | above0("factor"; null))}
    elif $type == "dynamic" then
      only({original_max_position_embeddings: $max})
      | {type: "dynamic", factor: (need("factor") | above0("factor"; null)), original: $max}
    elif $type == "llama3" then
      need("factor") | need("low_freq_factor") | need("high_freq_factor") | need("original_max_position_embeddings")
      | {type: "llama3", factor: above0("factor"; null), low: real("low_freq_factor"; null), high: real("high_freq_factor"; null),
         original: above0("original_max_position_embeddings"; null)}
    elif $type == "yarn" then
      need("factor")
      | {type: "yarn", factor: above0("factor"; null), beta_fast: above0("beta_fast"; 32), beta_slow: above0("beta_slow"; 1),
         truncate: flag("truncate"; true), original: above0("original_max_position_embeddings"; $max), attention_factor: yarn_attention}
    elif $type == "longrope" or $type == "su" then
      longrope($dims; $max; if $c.original_max_position_embeddings == null then above0("original_max_position_embeddings"; $max)
        else $c | above0("original_max_position_embeddings"; null) end)
    else error("'rope_type' is \($type | shown), known are default, linear, dynamic, llama3, yarn, longrope") end;

# The rope of a config: theta at the top and rope_scaling (transformers 4), or all in rope_parameters (5).
def rope_dictionary:
  if .rope_parameters != null and .rope_scaling != null and (.rope_parameters | del(.rope_theta)) != (.rope_scaling | del(.rope_theta))
  then error("'rope_scaling' and 'rope_parameters' contradict each other")
  else (.rope_parameters // .rope_scaling // {}) as $d
    | if ($d | type) == "object" then $d else bad(if .rope_parameters then "rope_parameters" else "rope_scaling" end; "an object was wanted") end
  end;

def rope_known:
  . as $d | (keys_unsorted - rope_keys) as $more
  | if $more == [] then . else error("'rope_scaling' (or 'rope_parameters') has '\($more[0])': \($d[$more[0]] | shown), which is not known") end;

# From a dictionary: the rope object of the output.
def rope_from($c; $dims; $theta):
  rope_known | only({partial_rotary_factor: 1})
  | {theta: above0("rope_theta"; $theta), dims: $dims} + rope_scaling($c; $dims);

def rope($dims; $theta):
  . as $c | only({partial_rotary_factor: 1})
  | above0("rope_theta"; $theta) as $t | rope_dictionary | rope_from($c; $dims; $t);

# ---- tensors ----

# A parameter: role, path of its module (below $p.file in the files, below $p.module in memory), GGUF name, use, shape.
# $p: {file: prefix in the files, alias: [other prefixes], module: prefix in memory}
def parameter($p; $role; $path; $kind; $gguf; $use; $dim):
  {role: $role, file: "\($p.file)\($path).\($kind)", alias: [$p.alias[] | "\(.)\($path).\($kind)"],
   module: "\($p.module)\($path)", gguf: "\($gguf).\($kind)", use: $use, dim: $dim};

def weight($p; $role; $path; $gguf; $use; $dim): parameter($p; $role; $path; "weight"; $gguf; $use; $dim);
def bias($p; $role; $path; $gguf; $n): parameter($p; "\($role).bias"; $path; "bias"; $gguf; "bias"; [$n]);

# A linear layer, and its bias where it has one.
def linear($p; $role; $path; $gguf; $out; $in; $bias):
  weight($p; $role; $path; $gguf; "linear"; [$out, $in]), (if $bias then bias($p; $role; $path; $gguf; $out) else empty end);

# A norm's weight.
def norm($p; $role; $path; $gguf; $n): weight($p; $role; $path; $gguf; "norm"; [$n]);

# The head: a tensor of its own, or, tied, other names under which the embedding may lie in a file once more.
def embedding($p; $vocab; $hidden; $copies):
  weight($p; "text.embed"; "embed_tokens"; "token_embd"; "embed"; [$vocab, $hidden]) + (if $copies == [] then {} else {copies: $copies} end);

# ---- llama and its kin ----

# A GGUF file of the architecture llama holds the rows of queries and keys with the halves of each rotated pair side by side.
def permuted($s; $heads): if $s.permuted then . + {permute: $heads} else . end;

# The names of a layer: of its roles, in the files, in GGUF files.
def layer_names($i): {r: "text.\($i)", m: "layers.\($i)", g: "blk.\($i)"};

# The tensors of a model whose parts are named as llama's. $s: {hidden, vocab, tied, layer: […], qkv_bias, o_bias, ff_bias, qk_norm, post_norms, permuted,
# experts: names, where layers have some (llama_experts)}
def llama_attention($p; $s; $l; $i):
  layer_names($i) as {$r, $m, $g}
  | ($l.heads * $l.head_dim) as $q | ($l.kv_heads * $l.head_dim) as $kv
  | norm($p; "\($r).attn_norm"; "\($m).input_layernorm"; "\($g).attn_norm"; $s.hidden),
    (linear($p; "\($r).attn.q"; "\($m).self_attn.q_proj"; "\($g).attn_q"; $q; $s.hidden; $s.qkv_bias) | permuted($s; $l.heads)),
    (linear($p; "\($r).attn.k"; "\($m).self_attn.k_proj"; "\($g).attn_k"; $kv; $s.hidden; $s.qkv_bias) | permuted($s; $l.kv_heads)),
    linear($p; "\($r).attn.v"; "\($m).self_attn.v_proj"; "\($g).attn_v"; $kv; $s.hidden; $s.qkv_bias),
    linear($p; "\($r).attn.o"; "\($m).self_attn.o_proj"; "\($g).attn_output"; $s.hidden; $q; $s.o_bias),
    (if $s.qk_norm then
      norm($p; "\($r).attn.q_norm"; "\($m).self_attn.q_norm"; "\($g).attn_q_norm"; $l.head_dim),
      norm($p; "\($r).attn.k_norm"; "\($m).self_attn.k_norm"; "\($g).attn_k_norm"; $l.head_dim) else empty end);

# A stack of experts' matrices that lie apart in the files, under names with their numbers for the "{}"; $fused: the parameter that
# has all of them in the memory of transformers 5.
def apart($p; $role; $path; $gguf; $fused; $experts; $out; $in):
  weight($p; $role; $path; $gguf; "linear"; [$experts, $out, $in]) + {experts: $experts, apart: true, fused: "\($p.module)\($fused)"};

# Experts and what chooses among them. $n: {in: their module, gate, up, down: names of an expert's matrices}
def llama_experts($p; $n; $s; $l; $i):
  layer_names($i) as {$r, $m, $g}
  | weight($p; "\($r).router"; "\($m).\($n.in).gate"; "\($g).ffn_gate_inp"; "router"; [$l.experts, $s.hidden]),
    apart($p; "\($r).experts.gate"; "\($m).\($n.in).experts.{}.\($n.gate)"; "\($g).ffn_gate_exps"; "\($m).mlp.experts.gate_up_proj"; $l.experts; $l.inner; $s.hidden),
    apart($p; "\($r).experts.up"; "\($m).\($n.in).experts.{}.\($n.up)"; "\($g).ffn_up_exps"; "\($m).mlp.experts.gate_up_proj"; $l.experts; $l.inner; $s.hidden),
    apart($p; "\($r).experts.down"; "\($m).\($n.in).experts.{}.\($n.down)"; "\($g).ffn_down_exps"; "\($m).mlp.experts.down_proj"; $l.experts; $s.hidden; $l.inner);

def llama_layer($p; $s; $l; $i):
  layer_names($i) as {$r, $m, $g}
  | llama_attention($p; $s; $l; $i),
    (if $s.post_norms then
      norm($p; "\($r).attn_post_norm"; "\($m).post_attention_layernorm"; "\($g).post_attention_norm"; $s.hidden),
      norm($p; "\($r).ff_norm"; "\($m).pre_feedforward_layernorm"; "\($g).ffn_norm"; $s.hidden),
      norm($p; "\($r).ff_post_norm"; "\($m).post_feedforward_layernorm"; "\($g).post_ffw_norm"; $s.hidden)
     else norm($p; "\($r).ff_norm"; "\($m).post_attention_layernorm"; "\($g).ffn_norm"; $s.hidden) end),
    (if $l.ff == "experts" then llama_experts($p; $s.experts; $s; $l; $i)
     else
      linear($p; "\($r).ff.gate"; "\($m).mlp.gate_proj"; "\($g).ffn_gate"; $l.inner; $s.hidden; $s.ff_bias),
      linear($p; "\($r).ff.up"; "\($m).mlp.up_proj"; "\($g).ffn_up"; $l.inner; $s.hidden; $s.ff_bias),
      linear($p; "\($r).ff.down"; "\($m).mlp.down_proj"; "\($g).ffn_down"; $s.hidden; $l.inner; $s.ff_bias) end);

# Embedding, layers (by a filter of their numbers), norm and head. $p.head: prefix of the head in the files and in memory, with $p.head_alias
def llama_trunk($p; $s; layer_tensors):
  {file: $p.head, alias: ($p.head_alias // []), module: ""} as $h
  | embedding($p; $s.vocab; $s.hidden; if $s.tied then ["\($h.file)lm_head.weight", ($h.alias[] | "\(.)lm_head.weight")] else [] end),
    (range($s.layer | length) | layer_tensors),
    norm($p; "text.norm"; "norm"; "output_norm"; $s.hidden),
    (if $s.tied then empty else linear($h; "text.head"; "lm_head"; "output"; $s.vocab; $s.hidden; false) end);

def llama_tensors($p; $s): llama_trunk($p; $s; . as $i | llama_layer($p; $s; $s.layer[$i]; $i));

# Where a text model keeps its names. A file of the trunk alone, as embedding models have it, does without the prefix.
def text_names: {file: "model.", alias: [""], module: "model.", head: ""};

# Buffers that old files hold; in a GGUF file the scaling of the frequencies, which its config says, too.
def rope_buffers: ["(.*\\.)?rotary_emb\\.inv_freq", "rope_freqs\\.weight"];

# The sizes that all configs of this kind write alike.
def llama_sizes: usual | {
  layers: layer_count("num_hidden_layers"), hidden: size("hidden_size"), vocab: size("vocab_size"),
  norm: "rms", norm_eps: from0("rms_norm_eps"; 1e-6)};

# A layer with llama's defaults; what differs is added to it.
def llama_layer_spec:
  head_dim as $d
  | {block: "transformer", heads: size("num_attention_heads"), kv_heads: kv_heads, head_dim: $d, scale: (1 / ($d | sqrt)), rope: 0,
     ff: "gated", act: choice("hidden_act"; "silu"; activations), inner: size("intermediate_size")};

# ---- experts ----

# How many there are (both names occur) and how many of them a token goes to, for a layer.
def experts($default; $chosen):
  if .num_experts != null and .num_local_experts != null and .num_experts != .num_local_experts
  then error("'num_experts' (\(.num_experts | shown)) and 'num_local_experts' (\(.num_local_experts | shown)) contradict each other") else . end
  | positive(if .num_local_experts != null then "num_local_experts" else "num_experts" end; $default) as $n
  | positive("num_experts_per_tok"; $chosen) as $k
  | if $n > 65536 then bad("num_local_experts"; "at most 65536 was wanted")
    elif $k > $n then bad("num_experts_per_tok"; "at most the number of experts (\($n)) was wanted")
    else {ff: "experts", experts: $n, chosen: $k} end;

# ---- qwen ----

# The window of each layer, 0 for none: only where use_sliding_window is true.
def qwen_windows:
  layer_count("num_hidden_layers") as $n
  | (if flag("use_sliding_window"; false) then window(4096) else 0 end) as $window
  | whole("max_window_layers"; 28) as $from
  | [sliding($n; . >= $from)[] | if . then $window else 0 end];

# ---- gemma ----

# The head sizes that configs of this kind leave out; their rms_norm_eps default is llama's.
def gemma_sizes($heads; $kv_heads):
  reduce ({num_attention_heads: $heads, num_key_value_heads: $kv_heads, head_dim: 256} | to_entries[]) as $e (.;
    if .[$e.key] == null then .[$e.key] = $e.value else . end);

def gemma_layer_spec($act): del(.hidden_act) | llama_layer_spec + {act: $act};

def gemma_scales: . + {norm: "rms1", embed_scale: (.hidden | sqrt)};
