# gguf.jq: what the programs of share/gguf have in common; `include "gguf"; include "pm";` brings it in, in this order: jq 1.8.2, and 1.7.1 as
# Debian 13 has it, link modules from the last to the first, and end at a definition that comes late (jqlang/jq issue 3597). A program is named after a
# general.architecture and goes both ways (pm-family.5): {keys, tensors, values} -> {config, generation}, and
# {config, generation, metadata, name, parameters, experts, tokens, file_type} -> {keys, tensors, cut}; of stacks of experts `parameters` counts one.
#
# A row of a table: [key below the architecture's name, its type, its name in config.json].
include "pm" {search: "./"};

def sizes: [
  ["block_count", "u32", "num_hidden_layers"], ["context_length", "u32", "max_position_embeddings"],
  ["embedding_length", "u32", "hidden_size"], ["feed_forward_length", "u32", "intermediate_size"],
  ["attention.head_count", "u32", "num_attention_heads"], ["attention.head_count_kv", "u32", "num_key_value_heads"]];
def rms: [["attention.layer_norm_rms_epsilon", "f32", "rms_norm_eps"]];
def experts: [["expert_count", "u32", "num_local_experts"], ["expert_used_count", "u32", "num_experts_per_tok"]];
def head_sizes: [["attention.key_length", "u32", "head_dim"], ["attention.value_length", "u32", "head_dim"]];

# ---- keys to config ----

def arch: .keys["general.architecture"];
def of($name): .keys["\(arch).\($name)"];
def holds($tensor): .tensors | has($tensor);

# Keys that the rows do not have and that are read apart, or change nothing that is computed.
def other_keys: ["vocab_size", "rope.dimension_count", "rope.freq_base", "rope.freq_base_swa", "rope.scale_linear", "rope.scaling.type", "rope.scaling.factor",
  "rope.scaling.original_context_length", "rope.scaling.finetuned", "rope.scaling.yarn_attn_factor", "rope.scaling.yarn_beta_fast",
  "rope.scaling.yarn_beta_slow", "attention.causal", "attention.sliding_window", "attention.key_length", "attention.value_length",
  "attention.head_count_kv", "tensor_data_layout", "expert_count", "expert_used_count"];

def known_keys($rows):
  . as $in | "\(arch)." as $p
  | (reduce ([$rows[][0]] + other_keys)[] as $k ({}; .[$k] = true)) as $known
  | ([.keys | keys_unsorted[] | select(startswith($p)) | ltrimstr($p) | select($known[.] | not)] | first // null) as $more
  | if $more == null then . else error("'\($p)\($more)' is \($in | of($more) | shown), which is not known here") end
  | if (of("expert_count") // 0) != 0 and all($rows[]; .[0] != "expert_count")
    then error("'\($p)expert_count' is \(of("expert_count") | shown), this architecture is known without experts") else . end
  | if of("attention.causal") == false then error("'\($p)attention.causal' is false, only true is computed here") else . end;

# What the rows say, and what every text model has.
def config_of($rows; $type; $class):
  known_keys($rows)
  | if holds("token_embd.weight") then . else error("there is no tensor 'token_embd.weight'") end
  | . as $in
  | reduce $rows[] as $r ({architectures: [$class], model_type: $type};
      if ($in | of($r[0])) == null then . else .[$r[2]] = ($in | of($r[0])) end)
  | .vocab_size = $in.tensors["token_embd.weight"][0]
  | .tie_word_embeddings = ($in | holds("output.weight") | not)
  | reduce ([["bos_token_id", "bos_token_id"], ["eos_token_id", "eos_token_id"], ["padding_token_id", "pad_token_id"]][]) as $t (.;
      if $in.keys["tokenizer.ggml." + $t[0]] == null then . else .[$t[1]] = $in.keys["tokenizer.ggml." + $t[0]] end);

# How a head is made: equal widths of keys and values, all of it turning.
def heads_of($in):
  if .num_key_value_heads == null then .num_key_value_heads = .num_attention_heads else . end
  | (.head_dim // head_dim) as $d
  | if ($in | of("attention.key_length") // $d) != $d then error("'attention.value_length' is \($d | shown), \($in | of("attention.key_length")) as of the keys was wanted") else . end
  | if ($in | of("rope.dimension_count") // $d) != $d then error("'rope.dimension_count' is \($in | of("rope.dimension_count") | shown), \($d) was wanted") else . end;

# llama3's scaling from its factors: those in between tell the original length; where none is in between, any between the two ends
# does. The usual low and high factors of 1 and 4 are assumed, and held against every factor.
def llama3_of($theta; $f):
  ($f | length) as $n | 6.283185307179586 as $turn | ($f | max) as $factor
  | [range($n) | $turn * pow($theta; . / $n)] as $wave
  | [range($n) | select($f[.] != 1 and $f[.] != $factor) | ((1 / $f[.] - 1 / $factor) / (1 - 1 / $factor) * 3 + 1) * $wave[.]] as $lengths
  | (if $factor == 1 then null
     elif $lengths != [] then ($lengths | add / length | round)
     else ([range($n) | select($f[.] == 1) | $wave[.]] | max // 1) as $lo | ([range($n) | select($f[.] != 1) | $wave[.]] | min) as $hi
       | [range(4; 24) | pow(2; .) | select(. / 4 > $lo and . < $hi)] | last end) as $original
  | if $original != null and all(range($n); . as $i | ((($original / $wave[$i] - 1) / 3) | if . < 0 then 0 elif . > 1 then 1 else . end) as $s
        | 1 / ((1 - $s) / $factor + $s) / $f[$i] | . > 0.99999 and . < 1.00001)
    then {rope_type: "llama3", factor: $factor, low_freq_factor: 1, high_freq_factor: 4, original_max_position_embeddings: $original} else null end;

# rope_theta and rope_scaling. $in is the whole input.
def rope_of($in; $theta):
  ($in | of("rope.freq_base") // $theta) as $base
  | .rope_theta = $base
  | ($in | of("rope.scaling.type") // if of("rope.scale_linear") then "linear" else "none" end) as $type
  | ($in | of("rope.scaling.factor") // of("rope.scale_linear")) as $factor
  | $in.values["rope_freqs.weight"] as $f
  | .rope_scaling = (
      if $f != null and all($f[]; . == 1) then null
      elif $f != null then llama3_of($base; $f) // {rope_type: "longrope", short_factor: $f, long_factor: $f, attention_factor: 1,
        original_max_position_embeddings: .max_position_embeddings}
      elif $type == "none" or ($type == "linear" and ($factor // 1) == 1) then null
      elif $type == "linear" then {rope_type: "linear", factor: $factor}
      elif $type == "yarn" then {rope_type: "yarn", factor: $factor, original_max_position_embeddings: ($in | of("rope.scaling.original_context_length"))}
        + ([["yarn_attn_factor", "attention_factor"], ["yarn_beta_fast", "beta_fast"], ["yarn_beta_slow", "beta_slow"]]
           | map(. as [$k, $name] | ($in | of("rope.scaling." + $k)) as $v | if $v == null then {} else {($name): $v} end) | add)
      else error("'\($in | arch).rope.scaling.type' is \($type | shown), known are none, linear, yarn") end);

# How the model wants to be sampled, as generation_config.json has it.
def sampling: [["top_k", "i32", "top_k"], ["top_p", "f32", "top_p"], ["min_p", "f32", "min_p"], ["xtc_probability", "f32", "xtc_probability"],
  ["xtc_threshold", "f32", "xtc_threshold"], ["temp", "f32", "temperature"], ["penalty_last_n", "i32", "penalty_last_n"],
  ["penalty_repeat", "f32", "penalty_repeat"], ["mirostat", "i32", "mirostat"], ["mirostat_tau", "f32", "mirostat_tau"], ["mirostat_eta", "f32", "mirostat_eta"]];

def generation_of($in):
  . as $c
  | reduce sampling[] as $r ({}; $in.keys["general.sampling." + $r[0]] as $v
      | if $v == null then . else .[if $r[2] == "penalty_repeat" then "repetition_penalty" else $r[2] end] = $v end)
  | (if . == {} then {} else {do_sample: true} + . end)
  + ($c | with_entries(select(.key == ("bos_token_id", "eos_token_id", "pad_token_id"))));

def done($in): {config: ., generation: generation_of($in)};

# ---- config to keys ----

def key($name; $type; $value): if $value == null then empty else [$name, $type, $value] end;

def rows($arch; $rows): . as $c | $rows[] | key("\($arch).\(.[0])"; .[1]; $c[.[2]]);

# The dictionary of the scaling, whichever way it is written, with theta.
def rope_for($default):
  (rope_dictionary | if has("full_attention") or has("sliding_attention") then .full_attention // {} else . end) as $d
  | $d + {rope_theta: ($d.rope_theta // .rope_theta // $default), rope_type: ($d.rope_type // $d.type // "default")};

def rope_keys_for($arch; $d):
  "\($arch).rope.scaling." as $p
  | if $d.rope_type == "linear" then key($p + "type"; "str"; "linear"), key($p + "factor"; "f32"; $d.factor)
    elif $d.rope_type == "yarn" and ($d.truncate == false or ($d.mscale // 0) * ($d.mscale_all_dim // 0) != 0) then
      error("'truncate', 'mscale' and 'mscale_all_dim' of yarn are what no key of a GGUF file can say")
    elif $d.rope_type == "yarn" then
      key($p + "type"; "str"; "yarn"), key($p + "factor"; "f32"; $d.factor),
      key($p + "original_context_length"; "u32"; $d.original_max_position_embeddings // .max_position_embeddings),
      key($p + "yarn_attn_factor"; "f32"; $d.attention_factor),
      key($p + "yarn_beta_fast"; "f32"; $d.beta_fast), key($p + "yarn_beta_slow"; "f32"; $d.beta_slow)
    elif $d.rope_type == "default" or $d.rope_type == "llama3" then empty
    else error("'rope_type' is \($d.rope_type | shown), which no key of a GGUF file can say") end,
    key("\($arch).rope.freq_base"; "f32"; $d.rope_theta);

# The nearest number of single precision.
def f32: if . == 0 then 0 else frexp as [$m, $e] | $m * 16777216 | rint | ldexp(.; $e - 24) end;

# rope_freqs.weight of llama3's scaling, in the steps in which the reference computes it, each in single precision.
def rope_freqs($d; $dims):
  if $d.rope_type != "llama3" then empty
  else {name: "rope_freqs.weight", values: [range($dims / 2)
    | (1 / (pow($d.rope_theta; 2 * . / $dims | f32) | f32) | f32) as $freq
    | ((1 / $freq | f32) * (6.283185307179586 | f32) | f32) as $wave
    | if $wave < $d.original_max_position_embeddings / $d.high_freq_factor then 1
      elif $wave > $d.original_max_position_embeddings / $d.low_freq_factor then $d.factor
      else ((((1 / $wave | f32) * $d.original_max_position_embeddings | f32) - $d.low_freq_factor | f32) / ($d.high_freq_factor - $d.low_freq_factor) | f32) as $s
        | 1 / (((1 - $s | f32) / $d.factor | f32) + $s | f32) | f32 end]} end;

# Keys of the user's own, each in its place.
def words: ["author", "version", "organization", "finetune", "basename", "description", "quantized_by"];
def more_words: ["license", "license.name", "license.link", "url", "doi", "uuid", "repo_url", "source.url", "source.doi", "source.uuid", "source.repo_url"];
def own($in; $list; $type): $list[] | key("general." + .; $type; $in.metadata["general." + .]);

# 268098176 as "268M": two digits at least.
def size_label:
  (if . > 1e12 then [1e-12, "T"] elif . > 1e9 then [1e-9, "B"] elif . > 1e6 then [1e-6, "M"] else [1e-3, "K"] end) as [$unit, $letter]
  | . * $unit
  | (if . <= 0.5 then 2 elif . < 9.5 then 1 else 0 end) as $digits
  | (. * pow(10; $digits) | rint | tostring) as $text
  | if $digits == 0 then $text + $letter
    else ("00"[:([$digits + 1 - ($text | length), 0] | max)] + $text) as $t | $t[:-$digits] + "." + $t[-$digits:] + $letter end;

# Everything before the architecture's own keys. $in is the whole input.
def general_keys($in; $arch):
  ($in.metadata // {} | keys_unsorted - ["general." + (words, more_words, ["name", "size_label", "tags", "languages"], [sampling[] | "sampling." + .[0]])[]]
   | if . == [] then empty else error("'\(.[0])' of --metadata is not known, or is no general key") end),
  key("general.architecture"; "str"; $arch), key("general.type"; "str"; "model"),
  (sampling[] | key("general.sampling." + .[0]; .[1]; $in.metadata["general.sampling." + .[0]] // (.[2] as $n | $in.generation[$n]))),
  key("general.name"; "str"; $in.metadata["general.name"] // $in.name),
  own($in; words; "str"), key("general.size_label"; "str"; $in.metadata["general.size_label"] // (if $in.experts > 0 then "\($in.experts)x" else "" end) + ($in.parameters | size_label)), own($in; more_words; "str"),
  own($in; ["tags", "languages"]; "strs");

def file_type($in): key("general.file_type"; "u32"; $in.file_type);

# The input of a text model's program: config.json with the counts that may be left out.
def text_config:
  usual
  | if .num_key_value_heads == null then .num_key_value_heads = .num_attention_heads else . end;

# All keys of a model that goes by the common rows: $more are those that follow the file type.
def text_keys($in; $arch; $theta; more):
  rope_for($theta) as $d
  | [general_keys($in; $arch), rows($arch; sizes), rope_keys_for($arch; $d), key("\($arch).rope.freq_base_swa"; "f32"; .rope_local_base_freq),
     rows($arch; rms), rows($arch; experts), rows($arch; head_sizes), file_type($in), more, key("general.quantization_version"; "u32"; 2)];

# An activation that the architecture implies.
def implied($key; $default; $wanted):
  choice($key; $default; activations) as $a
  | if $a == $wanted then . else bad($key; "only \($wanted) can be said in a GGUF file of this architecture") end;
