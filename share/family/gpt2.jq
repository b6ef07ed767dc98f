# gpt2.jq: GPT-2: learned positions, layer norms, one matrix for q, k and v, matrices stored (in, out).
include "pm";

# Published files have names without the prefix.
def names: {file: "transformer.", alias: [""], module: "transformer."};

def matrix($role; $path; $gguf; $in; $out):
  (weight(names; $role; $path; $gguf; "linear"; [$in, $out]) + {transposed: true}), bias(names; $role; $path; $gguf; $out);

def layer_norm($role; $path; $gguf; $n): norm(names; $role; $path; $gguf; $n), bias(names; $role; $path; $gguf; $n);

def layer_tensors($h; $inner; $i):
  "text.\($i)" as $r | "h.\($i)" as $m | "blk.\($i)" as $g
  | layer_norm("\($r).attn_norm"; "\($m).ln_1"; "\($g).attn_norm"; $h),
    matrix("\($r).attn.qkv"; "\($m).attn.c_attn"; "\($g).attn_qkv"; $h; 3 * $h),
    matrix("\($r).attn.o"; "\($m).attn.c_proj"; "\($g).attn_output"; $h; $h),
    layer_norm("\($r).ff_norm"; "\($m).ln_2"; "\($g).ffn_norm"; $h),
    matrix("\($r).ff.up"; "\($m).mlp.c_fc"; "\($g).ffn_up"; $h; $inner),
    matrix("\($r).ff.down"; "\($m).mlp.c_proj"; "\($g).ffn_down"; $inner; $h);

.config
| usual
| size("n_embd") as $h | size("n_head") as $heads | size("vocab_size") as $vocab
| positive("n_positions"; 1024) as $positions
| positive("n_inner"; 4 * $h) as $inner
| (if $h % $heads == 0 then $h / $heads else bad("n_embd"; "a multiple of n_head (\($heads)) was wanted") end) as $d
| (if flag("scale_attn_weights"; true) then 1 / ($d | sqrt) else 1 end) as $scale
| flag("scale_attn_by_inverse_layer_idx"; false) as $inverse
| flag("tie_word_embeddings"; true) as $tied
| {block: "transformer", heads: $heads, kv_heads: $heads, head_dim: $d, ff: "plain", inner: $inner,
   act: choice("activation_function"; "gelu_new"; activations)} as $layer
| {family: "gpt2", arch: "gpt2", layers: layer_count("n_layer"), hidden: $h, vocab: $vocab, max_positions: $positions, learned_positions: true,
   norm: "layer", norm_eps: from0("layer_norm_epsilon"; 1e-5), tied: $tied,
   ignore: ["(transformer\\.)?h\\.[0-9]+\\.attn\\.(bias|masked_bias)"]}
| . + {layer: [range(.layers) | $layer + {scale: (if $inverse then $scale / (. + 1) else $scale end)}],
  tensor: [
    (weight(names; "text.embed"; "wte"; "token_embd"; "embed"; [$vocab, $h]) + if $tied then {copies: ["lm_head.weight"]} else {} end),
    weight(names; "text.pos_embed"; "wpe"; "position_embd"; "embed"; [$positions, $h]),
    layer_tensors($h; $inner; range(.layers)),
    layer_norm("text.norm"; "ln_f"; "output_norm"; $h),
    (if $tied then empty else weight({file: "", alias: [], module: ""}; "text.head"; "lm_head"; "output"; "linear"; [$vocab, $h]) end)]}
