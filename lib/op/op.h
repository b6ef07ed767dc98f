/* op.h: the operations. Each has a constructor here, and its host side, its kernels and its test in files of its name
 * (lib/op/X.c, kernels/X.cl, tests/op/X.c). All activations are float32 (but for what pm_round makes); KV caches and vectors (norms, biases) may be f32, f16 or bf16,
 * matrices that are weights of any type that pm_op_takes, straight from a mapped file. Blocks have no gradient of their own.
 * T is the number of rows (tokens). Every operation has portable kernels, which are the reference (device opened with
 * `reference`), and may have variants for kinds of devices.
 *
 * Constructors return the (first) output, NULL on failure (see graph.h). "may be a view" means that any off and ld
 * are accepted; everything else must be dense. */
#ifndef PM_OP_OP_H
#define PM_OP_OP_H

#include "graph/graph.h"

/* Whether a matrix of this type can be a weight (of embed, linear and head): f32, f16, bf16, and the block types that kernels/quant.cl
 * reads: Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ4_NL IQ4_XS MXFP4 NF4 FP4 AFFINE8. */
bool pm_op_takes(enum pm_dtype t);

/* weave.c: whether products of few rows take weights of this type, in rows of so many values, woven, for which see kernels/woven.cl and woven_bf16.cl; bytes of such
 * a matrix; and makes it, out, of a dense matrix (rows, cols): 1, or 0 where it can't be (bf16 whose values are too different; f16 with values that are not those of
 * bfloat16). Of a stack all matrices at once: it is of use where each has a multiple of PM_WOVEN_ROWS. Of blocks the same bits come of both, woven faster; of floats sums
 * in another order. */
#define PM_WOVEN_ROWS 16
bool pm_op_weaves(const struct pm_dev *d, enum pm_dtype t, int64_t cols);
uint64_t pm_woven_bytes(enum pm_dtype t, int64_t rows, int64_t cols);
int pm_weave(struct pm_mem *out, struct pm_mem *w, enum pm_dtype t, int64_t rows, int64_t cols, struct pm_err *e);
/* Whether products that may round (g->bf16) are faster than in float32 where the device has no instructions for bfloat16: forward ones are. */
bool pm_op_rounds(const struct pm_dev *d);

/* ---- embed.c: rows of a table ---- */

/* y (T, D) = scale · W[id] (+ s · (B · A[:, id]) with an adapter: A (r, V), B (D, r) float32).
 * W (V, D) any weight type; ids (T, 1) i32. Gradients: W, A, B. */
struct pm_tensor *pm_embed(struct pm_graph *g, struct pm_tensor *ids, struct pm_tensor *w, float scale,
	struct pm_tensor *a, struct pm_tensor *b, float s);

/* ids (T, 1) i32, as they are or, where one is −1 − i, row i of drawn (n, 1): what a run before this one drew, unknown to the host as yet. */
struct pm_tensor *pm_pick(struct pm_graph *g, struct pm_tensor *ids, struct pm_tensor *drawn);

/* ---- linear.c: products with weights ---- */

/* LoRA on a linear layer: y += s · B(A·drop(x)). A (r, in), B (out, r), float32. */
struct pm_lora {
	struct pm_tensor *a, *b;                /* NULL: none */
	float s, dropout;
	struct pm_tensor *rng;                  /* dropout > 0: (T, 2) i32, a 64-bit counter base a row, low word first */
	uint32_t stream;                        /* a number of this module's own: the mask is Philox(seed = counter, stream, column) */
};

struct pm_linear_opts {
	bool transposed;                        /* W is stored (in, out): y = x·W; else (out, in): y = x·Wᵀ */
	struct pm_lora lora;
	struct pm_tensor *add;                  /* (T, out): added to the result (a residual stream); NULL: none */
	float scale;                            /* y = scale · (x·Wᵀ + b + lora) + add; 0 means 1 */
};

/* x (T, in) may be a view; W; b (1, out) any weight type or NULL. Gradients: x, W, b, A, B, add. With g->thin the product
 * walks the weights once for up to 16 rows at a time, a row's result not depending on the others; else it is tiled. Both
 * are deterministic; they differ from each other in rounding. With g->int8, too, a thin product with W in blocks may round each 32 values of
 * x to 8 bits (4e-3 of the result's size off). */
struct pm_tensor *pm_linear(struct pm_graph *g, struct pm_tensor *x, struct pm_tensor *w, struct pm_tensor *b,
	const struct pm_linear_opts *opts);

/* ---- experts: route.c, experts.c, combine.c ---- */

/* Which experts a row goes to. A row of T makes `chosen` pairs (row, expert); pair t·k + j is row t's j-th. What is computed for pairs has a row
 * a pair, in the order of the experts and, within one, of the rows. */
struct pm_route {
	int64_t experts, chosen;
	struct pm_tensor *expert;               /* (T, k) i32, the likeliest first; of equals the lowest number */
	struct pm_tensor *weight;               /* (T, k) f32: what the expert's result is multiplied by */
	struct pm_tensor *pair;                 /* (T·k, 1) i32: the pairs in that order */
	struct pm_tensor *place;                /* (T, k) i32: where in it a pair lies */
	struct pm_tensor *count;                /* (E, periods) i32: pairs of an expert from each period of the graph */
	struct pm_tensor *runs;                 /* (min(T·k, E), 3) i32: an expert that has pairs, its first and how many; 0 where there are no more */
	struct pm_route_host *host;             /* private to the op room */
};

struct pm_route_opts {
	int64_t chosen;
	bool late;                              /* softmax over the chosen logits; else over all, and the largest are chosen of that */
	bool renormalise;                       /* weights of a row are divided by their sum */
	float scale;                            /* and then multiplied; 0 means 1 */
};

/* From logits (T, E). 0, or −1 as other constructors give NULL. Gradient: logits, through the weights. */
int pm_route(struct pm_graph *g, struct pm_tensor *logits, const struct pm_route_opts *opts, struct pm_route *out);

struct pm_experts_opts {
	bool transposed;                        /* matrices are stored (in, out) */
	bool pairs;                             /* x has a row a pair already; else a row a token */
	struct pm_lora lora;                    /* A (E·r, in), B (E·out, r): stacks too. rng has a row a token; each expert drops others */
};

/* y (T·k, out), row p = W_e·x (+ b_e + s·B_e(A_e·drop(x))), e the expert of pair p. W a stack of E matrices of any weight type (graph.h, parts), b (E, out) or NULL. The
 * counts are read by the host while the graph runs. Bits as pm_linear's. Gradients: x, W, b, A, B; an expert without a pair has gradient 0. */
struct pm_tensor *pm_experts(struct pm_graph *g, struct pm_tensor *x, const struct pm_route *route, struct pm_tensor *w, struct pm_tensor *b,
	const struct pm_experts_opts *opts);

/* out (T, D) = add + scale · Σ_j weight[t, j] · y[place[t, j]], summed in the order of j. add NULL: none. Gradients: y, weight, add. */
struct pm_tensor *pm_combine(struct pm_graph *g, struct pm_tensor *y, const struct pm_route *route, struct pm_tensor *add, float scale);

/* balance.c: how evenly rows go to experts. y (2, E): how many rows chose an expert, and the sum of its softmax over all experts; of the rows whose span
 * (T, 2) i32, as pm_attention's, is not empty. Layers' are added (pm_add). Gradient: logits, through the second row. */
struct pm_tensor *pm_balance(struct pm_graph *g, struct pm_tensor *logits, const struct pm_route *route, struct pm_tensor *span);
/* loss (1, 1) = E · Σ_e f_e · p_e, f and p the two rows divided by the number of rows that count, a row once a layer: `chosen` where all is even
 * (Fedus et al., "Switch Transformers", arXiv 2101.03961, as transformers has it). */
struct pm_tensor *pm_balance_loss(struct pm_graph *g, struct pm_tensor *sums, int64_t chosen);

/* ---- head.c: logits and loss over slices of the vocabulary ---- */

struct pm_head_opts {
	bool transposed;
	float scale, softcap;                   /* logits = cap·tanh(scale·x·Wᵀ / cap); 0: none (scale 0 means 1) */
	int64_t slice;                          /* most tokens of a slice (pm_nll), to the next 1024; 0: as 64 MB of logits hold, or 3072 */
	struct pm_lora lora;                    /* dropout must be 0 */
};

/* Logits as a tensor (T, V) f32; no gradient. */
struct pm_tensor *pm_logits(struct pm_graph *g, struct pm_tensor *x, struct pm_tensor *w, struct pm_tensor *b, const struct pm_head_opts *opts);

/* nll (T, 1) = lse − logit[target]; target (T, 1) i32, < 0: the row is skipped (nll 0, no gradient). lse (T, 1) may be
 * asked for (out-pointer or NULL). No more than a slice of the logits is ever stored; the backward pass takes dnll (T, 1)
 * and computes the slices again, or, where only x wants a gradient, finds it made by the forward pass for dnll 1 (CPUs). Gradients: x, W, b, A, B. */
struct pm_tensor *pm_nll(struct pm_graph *g, struct pm_tensor *x, struct pm_tensor *w, struct pm_tensor *b, struct pm_tensor *target,
	const struct pm_head_opts *opts, struct pm_tensor **lse);

/* ---- norms ---- */

/* rms_norm.c: over groups of `group` columns (0: all; else one norm a head, w (1, group)): y = x / sqrt(mean(x²) + eps) · w,
 * or · (1 + w) with plus_one. w NULL: none. x may be a view. Gradients: x, w. */
struct pm_tensor *pm_rms_norm(struct pm_graph *g, struct pm_tensor *x, struct pm_tensor *w, int64_t group, float eps, bool plus_one);
/* layer_norm.c: y = (x − mean) / sqrt(var + eps) · w + b; b NULL: none. x may be a view. Gradients: x, w, b. */
struct pm_tensor *pm_layer_norm(struct pm_graph *g, struct pm_tensor *x, struct pm_tensor *w, struct pm_tensor *b, int64_t group, float eps);

/* ---- rope.c ---- */

/* Turns the first `dims` columns of every head of x (T, heads·head_dim; may be a view) by the angles of a table cs (T, dims) f32: cs[2i],
 * cs[2i+1] = cos and sin (times the attention factor) of pair i. Pairs are (i, i + dims/2), or (2i, 2i+1) if interleaved. The host
 * makes the table, so every kind of scaling and of position is the same to the device. Gradient: x. */
struct pm_tensor *pm_rope(struct pm_graph *g, struct pm_tensor *x, struct pm_tensor *cs, int64_t head_dim, int64_t dims, bool interleaved);

/* ---- attention.c ---- */

struct pm_attention_opts {
	int32_t heads, kv_heads, head_dim, v_dim;       /* v_dim 0: head_dim. Query head h reads kv head h / (heads / kv_heads) */
	float scale, softcap;                           /* s = scale·q·k, then cap·tanh(s/cap) if cap > 0, then the mask */
	struct pm_tensor *sinks;                        /* (1, heads): one more score a row that has no value; NULL: none */
	int64_t q_period, kv_period;                    /* rows of one sequence among queries and keys (see graph.h "Bits"): tiles start
	                                                 * anew at each multiple; 0: all rows are one. A query sees keys of one
	                                                 * sequence only: of that with its number, where there are as many */
	bool decode;                                    /* few queries against long caches: split over keys, no gradient */
};

/* q (T, heads·head_dim), k (S, kv_heads·head_dim), v (S, kv_heads·v_dim): may be views; k and v may be f16 or bf16 (caches).
 * span (T, 2) i32: first visible row of k and one past the last, of each query (empty: the result is 0). kspan (S, 2) i32:
 * for every key the first and one past the last query that may see it (training; NULL in decoding): causal, documents, windows,
 * chunks, image spans and shared prompts are all just spans. y (T, heads·v_dim). Gradients: q, k, v, sinks. No score matrix
 * is stored; the log-sum-exp of each row and head is kept for the backward pass. */
struct pm_tensor *pm_attention(struct pm_graph *g, struct pm_tensor *q, struct pm_tensor *k, struct pm_tensor *v,
	struct pm_tensor *span, struct pm_tensor *kspan, const struct pm_attention_opts *opts);

/* ---- store.c ---- */

/* cache[row[t]] = x[t], converting to the cache's type; row (T, 1) i32, < 0: not stored. The node's output is the cache itself; it
 * runs in the order of building, and is not run again by checkpointing. Returns the cache. */
struct pm_tensor *pm_store(struct pm_graph *g, struct pm_tensor *cache, struct pm_tensor *x, struct pm_tensor *row);

/* gather.c: y[t] = x[row[t]], row (T, 1) i32. Gradient: x (rows must be distinct). */
struct pm_tensor *pm_gather(struct pm_graph *g, struct pm_tensor *x, struct pm_tensor *row);

/* ---- elementwise ---- */

enum pm_act { PM_ACT_SILU, PM_ACT_GELU, PM_ACT_GELU_TANH, PM_ACT_GELU_QUICK, PM_ACT_RELU, PM_ACT_RELU2, PM_ACT_SIGMOID };

/* round.c: y = x rounded to bf16, and stored as such: half the memory of what the backward pass reads. x is a temp, no view. The gradient passes.
 * Where the node that made x was the last one, and can, it writes y, and x is no more: ask before anything else reads x. */
struct pm_tensor *pm_round(struct pm_graph *g, struct pm_tensor *x);
/* act.c: y = act(x), or act(x) · up where up is given, of x's type. Both may be views, and bf16. Gradients: x, up. */
struct pm_tensor *pm_act(struct pm_graph *g, enum pm_act act, struct pm_tensor *x, struct pm_tensor *up);
/* act.c, too: y = (up + 1) · gate · sigmoid(alpha · gate), gate at most `limit`, up within ±limit. up NULL: columns 2i of gate are the gate's
 * and 2i + 1 up's. Both may be views. Gradients: gate, up. */
struct pm_tensor *pm_act_clamped(struct pm_graph *g, struct pm_tensor *gate, struct pm_tensor *up, float alpha, float limit);
/* add.c: y = a·x + b·z; z NULL: y = a·x. Gradients: x, z. */
struct pm_tensor *pm_add(struct pm_graph *g, struct pm_tensor *x, struct pm_tensor *z, float a, float b);
/* Outside graphs: y[i] += x[i], `count` f32. */
int pm_add_into(struct pm_dev *d, struct pm_mem *y, struct pm_mem *x, int64_t count, struct pm_err *e);
/* The same for n of the rows of y and x, two tables (rows, cols): each of row[] once; these rows of x are zero then. */
int pm_move_rows(struct pm_dev *d, struct pm_mem *y, struct pm_mem *x, int64_t rows, int64_t cols, const int32_t *row, int64_t n, struct pm_err *e);

/* squares.c: y (periods, cols): sums of x² over the rows of each period of the graph, column by column; x (T, cols) may be a view. No gradient. */
struct pm_tensor *pm_squares(struct pm_graph *g, struct pm_tensor *x);
/* y (periods·E, cols): row p·E + e over the rows of period p that go to expert e; x has a row a pair, or else a row a token. No gradient. */
struct pm_tensor *pm_squares_experts(struct pm_graph *g, struct pm_tensor *x, const struct pm_route *route, bool pairs);

/* divergence.c: p and q (T, V): logits, may be views. KL(P‖Q) (T, 1); *logs (T, 2): log P and log Q of target (T, 1) i32 (< 0: 0); *same (T, 1): 1 where
 * both have the same likeliest token (of equals the first), else 0. V below 2^24. No gradient. */
struct pm_tensor *pm_divergence(struct pm_graph *g, struct pm_tensor *p, struct pm_tensor *q, struct pm_tensor *target, struct pm_tensor **logs,
	struct pm_tensor **same);

/* ---- outside graphs: steps of an optimiser, drawing a token ---- */

/* adamw.c: one step as torch.optim.AdamW: p ← p·(1 − lr·wd); m, v; p ← p − lr/(1−β1^n)·m / (√v/√(1−β2^n) + eps). All f32, of `count`
 * elements; the gradient is multiplied by gscale first (clipping). */
struct pm_adamw { double lr, beta1, beta2, eps, decay, gscale; int64_t step; };      /* step counts from 1 */
int pm_adamw(struct pm_dev *d, struct pm_mem *p, struct pm_mem *grad, struct pm_mem *m, struct pm_mem *v, int64_t count,
	const struct pm_adamw *o, struct pm_err *e);

/* reduce.c: sums of squares of f32 memory, n at once, each in an order fixed by `count` alone (and the kind of device); not finite if an element is
 * not, or is beyond 1e18. Waits for what is queued, once for all. */
struct pm_squares_of { struct pm_mem *mem; int64_t count; double sum; };
int pm_sum_squares(struct pm_dev *d, struct pm_squares_of *of, size_t n, struct pm_err *e);

/* cast.c: out[i] = in[i] between f32, f16 and bf16, rounded to nearest even. */
int pm_cast(struct pm_dev *d, struct pm_mem *out, enum pm_dtype to, struct pm_mem *in, enum pm_dtype from, int64_t count, struct pm_err *e);

/* sample.c: one token a row from logits (T, V) f32. Order: repetition penalty (over ids seen, given per row as a list), then
 * temperature, top-k, top-p, min-p, as in transformers. temperature 0: the largest, lowest id first. Draw number `index` of
 * Philox(seed, stream = row's stream), along the ids in their order. Tokens as likely as the last one kept by top-k or top-p are kept,
 * too; top_p 0 keeps the likeliest. Status 65 if a row's logits are not finite. Waits for the result. */
struct pm_sample_row {
	float temperature, top_p, min_p, penalty;       /* top_p 1, min_p 0, penalty 1: off */
	int32_t top_k;                                  /* 0: off */
	uint64_t seed, index;
	uint32_t stream;
	const int32_t *seen;                            /* ids of prompt and output so far, for the penalty */
	size_t nseen;
};
int pm_sample(struct pm_dev *d, struct pm_mem *logits, int64_t rows, int64_t vocab, const struct pm_sample_row *how, int32_t *ids, struct pm_err *e);
bool pm_sample_penal(const struct pm_sample_row *how);          /* it penalises what was seen */

/* Writes ids (T, 1) i32, a STATE: what pm_sample draws from logits (T, V), −1 where one is not finite. how (T, PM_SAMPLE_WORDS) i32 are settings as
 * pm_sample_settings writes a row of them; nothing is penalised. pm_sample_finite: status 65 where an id so drawn is −1. */
#define PM_SAMPLE_WORDS 12
struct pm_tensor *pm_draw(struct pm_graph *g, struct pm_tensor *ids, struct pm_tensor *logits, struct pm_tensor *how);
void pm_sample_settings(int32_t *how, const struct pm_sample_row *row);
int pm_sample_finite(int32_t id, int64_t row, struct pm_err *e);

#endif
