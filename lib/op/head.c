/* head.c: logits, and the negative log-likelihood of targets over slices of the vocabulary, of which only one is stored at a time.
 * kernels/head*.cl, gemm*.cl, tests/op/head.c
 *
 * The backward pass computes the slices' logits again, but for those of a weight that trains: these are kept for it, up to KEEP_BYTES. Where nothing but x wants a gradient, the forward pass of CPUs makes it at once instead, for dnll = 1, as attention would whose keys and values are the rows of W: sums of
 * exp(logit - m) * W, m the largest logit so far, which are rescaled when it grows; then the backward pass has only to multiply. The target's row
 * is left out of the sums and added at the end times (its probability - 1), so that no rounding of a probability near 1 is seen. */
#include <stdio.h>

#include "op/elem.h"
#include "op/linear.h"

#define SLICE_BYTES ((int64_t)64 << 20)
#define KEEP_BYTES ((int64_t)256 << 20)        /* logits up to this many are kept where the weight trains, whose moments take more */
/* Slices are multiples of the largest blocks of k of products (gemm.c), so that their width does not show in gradients, and of
 * the chunks of the log-sum-exp; of the columns of tiles as well, where there is room. */
#define SLICE_STEP 1024
#define SLICE_TILES (3 * SLICE_STEP)
/* With that gradient, the width of slices shows in its bits, and may not follow from the number of rows. */
#define SLICE_UNIT SLICE_TILES
#define STATE 3                 /* as in head.cl */
#define LANES 64

enum { X, W, BIAS, A, B, TARGET, INPUTS, LSE = INPUTS, H, DNLL, LOGITS, GRAD_INPUTS };
/* Where the backward pass asked for them: OUT_UNIT, dnll/dx (T, D); OUT_LOGITS, the only slice, which it then turns into its gradient. */
enum { NLL, OUT_LSE, OUT_H, OUT_UNIT, OUT_LOGITS, OUTPUTS };
enum { DX, DW, DB, DA, DLORA_B, GRADS };

struct attr {
	bool transposed;
	float scale, cap, s;
	int64_t slice;
};

/* Where things lie in a node's scratch, in bytes, and how wide its slices are. */
struct layout {
	int64_t rows, vocab, slice;
	size_t logits, state, live, dh, products;
};

static const struct pm_op op_nll;

static size_t room(int64_t n)
{
	return (size_t)((n * 4 + 63) / 64 * 64);
}

/* The logits that the forward pass keeps for the backward pass, or NULL. */
static const struct pm_tensor *kept(const struct pm_node *n)
{
	return n->op == &op_nll ? n->out[OUT_LOGITS] : n->in[LOGITS];
}

static struct layout layout(const struct pm_node *n)
{
	const struct attr *at = n->attr;
	struct layout l = {.rows = n->in[X]->rows, .vocab = at->transposed ? n->in[W]->cols : n->in[W]->rows};
	int64_t most = at->slice > 0 ? at->slice : n->op == &op_nll && n->out[OUT_UNIT] ? SLICE_UNIT : SLICE_BYTES / 4 / (l.rows > 0 ? l.rows : 1), step = most >= SLICE_TILES ? SLICE_TILES : SLICE_STEP;

	l.slice = most > step ? most / step * step : step;
	if (l.slice > l.vocab || kept(n))
		l.slice = l.vocab;
	l.state = kept(n) ? 0 : room(l.rows * l.slice);
	l.live = l.state + room(l.rows * STATE);
	l.dh = l.live + room((l.rows + 15) / 16);
	l.products = l.dh + (n->in[A] ? room(l.rows * n->in[A]->rows) : 0);
	return l;
}

/* ---- products ---- */

/* Rows (or, transposed, columns) v0 .. of the weight or its gradient. */
static struct pm_mat weight_slice(const struct pm_tensor *w, bool transposed, int64_t v0)
{
	struct pm_mat m = pm_mat(w);

	m.off += v0 * (transposed ? 1 : m.ld);
	return m;
}

static struct pm_mat slice_mat(const struct pm_node *n, int64_t cols)
{
	return kept(n) ? pm_mat(kept(n)) : pm_scratch_mat(n, 0, cols);
}

static struct pm_mat live_mat(const struct pm_node *n, const struct layout *l)
{
	return (struct pm_mat){.mem = n->scratch, .type = PM_I32, .off = (int64_t)l->live / 4, .ld = 1};
}

/* scale · (x·Wᵀ + b) of a slice, all of it where there is no adapter. */
static struct pm_gemm product_logits(const struct pm_node *n, const struct layout *l, int64_t v0, int64_t cols)
{
	const struct attr *at = n->attr;
	struct pm_gemm p = {.m = l->rows, .n = cols, .k = n->in[X]->cols, .a = pm_mat(n->in[X]),
		.b = weight_slice(n->in[W], at->transposed, v0), .c = slice_mat(n, cols), .b_trans = !at->transposed,
		.bf16 = n->g->bf16, .live = live_mat(n, l), .scale = at->scale};

	if (n->in[BIAS])
		p.bias = weight_slice(n->in[BIAS], true, v0);
	p.finish = !n->in[A] && (n->in[BIAS] || at->scale != 1);
	return p;
}

static struct pm_gemm product_h(const struct pm_node *n, const struct layout *l)
{
	return (struct pm_gemm){.m = l->rows, .n = n->in[A]->rows, .k = n->in[X]->cols, .a = pm_mat(n->in[X]), .b = pm_mat(n->in[A]),
		.c = pm_mat(n->out[OUT_H]), .b_trans = true, .bf16 = n->g->bf16, .live = live_mat(n, l)};
}

/* What the adapter adds to a slice: += s · h·Bᵀ. */
static struct pm_gemm product_lora(const struct pm_node *n, const struct layout *l, const struct pm_tensor *h, int64_t v0, int64_t cols)
{
	const struct attr *at = n->attr;
	struct pm_gemm p = product_logits(n, l, v0, cols);

	p.k = n->in[B]->cols;
	p.a = pm_mat(h);
	p.b = weight_slice(n->in[B], false, v0);
	p.b_trans = true;
	p.acc = true;
	p.alpha = at->s;
	p.finish = n->in[BIAS] || at->scale != 1;
	return p;
}

static int logits_slice(const struct pm_node *n, const struct layout *l, const struct pm_tensor *h, int64_t v0, int64_t cols, struct pm_err *e)
{
	struct pm_gemm p = product_logits(n, l, v0, cols);

	if (pm_gemm(n->g->dev, &p, n->scratch, l->products, e) < 0)
		return -1;
	if (!h)
		return 0;
	p = product_lora(n, l, h, v0, cols);
	return pm_gemm(n->g->dev, &p, n->scratch, l->products, e);
}

/* The gradients of slice v0 ..: of what `which` says, from the logits' gradient d in the scratch memory. */
static struct pm_gemm product_grad(const struct pm_node *n, const struct layout *l, int which, int64_t v0, int64_t cols)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *x = n->in[X];
	const struct pm_mat d = slice_mat(n, cols);
	struct pm_gemm p = {.bf16 = n->g->bf16, .acc = v0 > 0 || n->acc[which]};

	switch (which) {
	case DX:                        /* d · W */
		p.m = l->rows, p.n = x->cols, p.k = cols;
		p.a = d, p.b = weight_slice(n->in[W], at->transposed, v0), p.c = pm_mat(n->out[DX]);
		p.b_trans = at->transposed;
		p.live = live_mat(n, l);
		break;
	case DW:                        /* dᵀ · x, or xᵀ · d */
		p.m = at->transposed ? x->cols : cols, p.n = at->transposed ? cols : x->cols, p.k = l->rows;
		p.a = at->transposed ? pm_mat(x) : d, p.b = at->transposed ? d : pm_mat(x);
		p.c = weight_slice(n->out[DW], at->transposed, v0);
		p.a_trans = true;
		p.acc = n->acc[DW];
		p.period = n->g->period;
		break;
	case DA:                        /* here dh (T, r) += s · d · B */
		p.m = l->rows, p.n = n->in[B]->cols, p.k = cols;
		p.a = d, p.b = weight_slice(n->in[B], false, v0);
		p.c = pm_scratch_mat(n, l->dh, p.n);
		p.acc = v0 > 0;
		p.alpha = at->s;
		p.live = live_mat(n, l);
		break;
	default:                        /* dB: s · dᵀ · h */
		p.m = cols, p.n = n->in[B]->cols, p.k = l->rows;
		p.a = d, p.b = pm_mat(n->in[H]), p.c = weight_slice(n->out[DLORA_B], false, v0);
		p.a_trans = true;
		p.acc = n->acc[DLORA_B];
		p.alpha = at->s;
		p.period = n->g->period;
	}
	return p;
}

/* What follows from dh once it is whole: dx += dh · A; dA += dhᵀ · x. */
static struct pm_gemm product_from_dh(const struct pm_node *n, const struct layout *l, int which)
{
	const struct pm_tensor *x = n->in[X], *a = n->in[A];
	const struct pm_mat dh = pm_scratch_mat(n, l->dh, a->rows);

	if (which == DX)
		return (struct pm_gemm){.m = l->rows, .n = x->cols, .k = a->rows, .a = dh, .b = pm_mat(a), .c = pm_mat(n->out[DX]),
			.acc = true, .bf16 = n->g->bf16, .live = live_mat(n, l)};
	return (struct pm_gemm){.m = a->rows, .n = x->cols, .k = l->rows, .a = dh, .b = pm_mat(x), .c = pm_mat(n->out[DA]), .a_trans = true,
		.acc = n->acc[DA], .bf16 = n->g->bf16, .period = n->g->period};
}

/* unit (+)= P · W of a slice, P what unit_slice made of its logits. */
static struct pm_gemm product_unit(const struct pm_node *n, const struct layout *l, int64_t v0, int64_t cols)
{
	const struct attr *at = n->attr;

	return (struct pm_gemm){.m = l->rows, .n = n->in[X]->cols, .k = cols, .a = slice_mat(n, cols), .b = weight_slice(n->in[W], at->transposed, v0),
		.c = pm_mat(n->out[OUT_UNIT]), .b_trans = at->transposed, .acc = v0 > 0, .bf16 = n->g->bf16, .live = live_mat(n, l)};
}

static void take_larger(size_t *room_, const struct pm_node *n, struct pm_gemm p)
{
	size_t r = pm_gemm_scratch(n->g->dev, &p);

	if (r > *room_)
		*room_ = r;
}

/* ---- forward ---- */

static size_t scratch(const struct pm_node *n)
{
	struct layout l = layout(n);
	size_t products = 0;

	take_larger(&products, n, product_logits(n, &l, 0, l.slice));
	if (n->in[A]) {
		take_larger(&products, n, product_h(n, &l));
		take_larger(&products, n, product_lora(n, &l, n->out[OUT_H], 0, l.slice));
	}
	if (n->out[OUT_UNIT])
		take_larger(&products, n, product_unit(n, &l, 0, l.slice));
	return l.products + products;
}

static int mark_live(const struct pm_node *n, const struct layout *l, const struct pm_tensor *dnll, struct pm_err *e)
{
	const struct pm_tensor *t = n->in[TARGET];
	const struct pm_kernel *k = pm_kernel(n->g->dev, "head", "head_live", NULL, e);
	struct pm_launch at = {.global = {(size_t)((l->rows + 15) / 16)}, .bytes = 8.0 * (double)l->rows};

	return k ? PM_LAUNCH(k, at, e, PM_MEM(n->scratch), PM_I64(l->live / 4), PM_MEM(t->mem), PM_I64(t->off), PM_I64(t->ld),
		PM_MEM(dnll ? dnll->mem : NULL), PM_I64(dnll ? dnll->off : 0), PM_I64(dnll ? dnll->ld : 0), PM_I32(l->rows)) : -1;
}

static int take_slice(const struct pm_node *n, const struct layout *l, int64_t v0, int64_t cols, struct pm_err *e)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *t = n->in[TARGET];
	const bool cpu = pm_elem_cpu(n->g->dev);
	const struct pm_kernel *k = pm_kernel(n->g->dev, "head", cpu ? "head_slice_cpu" : "head_slice", NULL, e);
	const size_t lanes = cpu ? 1 : LANES;
	const struct pm_mat z = slice_mat(n, cols);
	struct pm_launch where = {.global = {(size_t)l->rows * lanes}, .local = {lanes}, .flops = 20.0 * (double)(l->rows * cols),
		.bytes = 4.0 * (double)(l->rows * cols)};

	return k ? PM_LAUNCH(k, where, e, PM_MEM(n->scratch), PM_I64(l->state / 4), PM_MEM(z.mem), PM_I64(z.off), PM_I64(z.ld),
		PM_MEM(t->mem), PM_I64(t->off), PM_I64(t->ld), PM_I32(cols), PM_I32(v0), PM_F32(at->cap)) : -1;
}

static int end_nll(const struct pm_node *n, const struct layout *l, struct pm_err *e)
{
	const struct pm_tensor *t = n->in[TARGET], *nll = n->out[NLL], *lse = n->out[OUT_LSE];
	const struct pm_kernel *k = pm_kernel(n->g->dev, "head", "head_nll", NULL, e);
	struct pm_launch where = {.global = {(size_t)l->rows}, .bytes = 24.0 * (double)l->rows};

	return k ? PM_LAUNCH(k, where, e, PM_MEM(nll->mem), PM_I64(nll->off), PM_I64(nll->ld), PM_MEM(lse->mem), PM_I64(lse->off),
		PM_I64(lse->ld), PM_MEM(n->scratch), PM_I64(l->state / 4), PM_MEM(t->mem), PM_I64(t->off), PM_I64(t->ld)) : -1;
}

/* Takes a slice as take_slice does, turns its logits into P and rescales what is in unit already; then adds the product with W. */
static int unit_slice(const struct pm_node *n, const struct layout *l, int64_t v0, int64_t cols, struct pm_err *e)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *t = n->in[TARGET], *unit = n->out[OUT_UNIT];
	const struct pm_kernel *k = pm_kernel(n->g->dev, "head", "head_unit_cpu", NULL, e);
	struct pm_launch where = {.global = {(size_t)l->rows}, .local = {1}, .flops = 20.0 * (double)(l->rows * cols), .bytes = 8.0 * (double)(l->rows * cols)};
	struct pm_gemm p = product_unit(n, l, v0, cols);

	if (!k || PM_LAUNCH(k, where, e, PM_MEM(n->scratch), PM_I64(l->state / 4), PM_MEM(n->scratch), PM_I64(0), PM_I64(cols),
		PM_MEM(t->mem), PM_I64(t->off), PM_I64(t->ld), PM_I32(cols), PM_I32(v0), PM_F32(at->cap), PM_MEM(unit->mem), PM_I64(unit->off),
		PM_I64(unit->ld), PM_I32(unit->cols)) < 0)
		return -1;
	return pm_gemm(n->g->dev, &p, n->scratch, l->products, e);
}

/* unit = scale · (unit / the sum of exponentials + (the target's probability − 1) · its row of W). */
static int end_unit(const struct pm_node *n, const struct layout *l, struct pm_err *e)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *t = n->in[TARGET], *unit = n->out[OUT_UNIT], *w = n->in[W];
	struct pm_launch where = {.global = {(size_t)l->rows}, .local = {1}, .bytes = 8.0 * (double)(l->rows * unit->cols)};
	const struct pm_kernel *k;
	char defines[60];

	snprintf(defines, sizeof defines, "-DTYPE_W=%s", pm_dtype(w->type)->name);
	k = pm_kernel(n->g->dev, "head_unit", "head_unit_end_cpu", defines, e);
	return k ? PM_LAUNCH(k, where, e, PM_MEM(unit->mem), PM_I64(unit->off), PM_I64(unit->ld), PM_MEM(n->scratch), PM_I64(l->state / 4),
		PM_MEM(w->mem), PM_I64(w->off), PM_I64(w->ld), PM_MEM(t->mem), PM_I64(t->off), PM_I64(t->ld), PM_I32(unit->cols), PM_F32(at->scale),
		PM_F32(at->cap)) : -1;
}

static int run(const struct pm_node *n, struct pm_err *e)
{
	struct layout l = layout(n);
	const struct pm_tensor *h = n->in[A] ? n->out[OUT_H] : NULL;
	struct pm_gemm p;
	int64_t v0, cols;

	if (mark_live(n, &l, NULL, e) < 0)
		return -1;
	if (h) {
		p = product_h(n, &l);
		if (pm_gemm(n->g->dev, &p, n->scratch, l.products, e) < 0)
			return -1;
	}
	for (v0 = 0; v0 < l.vocab; v0 += cols) {
		cols = l.slice < l.vocab - v0 ? l.slice : l.vocab - v0;
		if (logits_slice(n, &l, h, v0, cols, e) < 0 || (n->out[OUT_UNIT] ? unit_slice : take_slice)(n, &l, v0, cols, e) < 0)
			return -1;
	}
	if (n->out[OUT_UNIT] && end_unit(n, &l, e) < 0)
		return -1;
	return end_nll(n, &l, e);
}

/* ---- backward ---- */

static size_t scratch_grad(const struct pm_node *n)
{
	struct layout l = layout(n);
	size_t products = 0;

	take_larger(&products, n, product_logits(n, &l, 0, l.slice));
	if (n->out[DX])
		take_larger(&products, n, product_grad(n, &l, DX, 0, l.slice));
	if (n->out[DW])
		take_larger(&products, n, product_grad(n, &l, DW, 0, l.slice));
	if (n->in[A]) {
		take_larger(&products, n, product_lora(n, &l, n->in[H], 0, l.slice));
		take_larger(&products, n, product_grad(n, &l, DA, 0, l.slice));
		if (n->out[DLORA_B])
			take_larger(&products, n, product_grad(n, &l, DLORA_B, 0, l.slice));
		if (n->out[DX])
			take_larger(&products, n, product_from_dh(n, &l, DX));
		if (n->out[DA])
			take_larger(&products, n, product_from_dh(n, &l, DA));
	}
	return l.products + products;
}

static int turn_slice(const struct pm_node *n, const struct layout *l, int64_t v0, int64_t cols, struct pm_err *e)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *t = n->in[TARGET], *lse = n->in[LSE], *dnll = n->in[DNLL];
	const bool cpu = pm_elem_cpu(n->g->dev);
	const struct pm_kernel *k = pm_kernel(n->g->dev, "head", cpu ? "head_slice_grad_cpu" : "head_slice_grad", NULL, e);
	const struct pm_mat z = slice_mat(n, cols);
	struct pm_launch where = pm_elem_launch(l->rows, cols);

	if (cpu)
		where = (struct pm_launch){.global = {(size_t)l->rows}, .local = {1}};
	where.flops = 20.0 * (double)(l->rows * cols);
	where.bytes = 8.0 * (double)(l->rows * cols);
	return k ? PM_LAUNCH(k, where, e, PM_MEM(z.mem), PM_I64(z.off), PM_I64(z.ld), PM_MEM(lse->mem), PM_I64(lse->off), PM_I64(lse->ld),
		PM_MEM(dnll->mem), PM_I64(dnll->off), PM_I64(dnll->ld), PM_MEM(t->mem), PM_I64(t->off), PM_I64(t->ld), PM_I32(cols), PM_I32(v0),
		PM_F32(at->scale), PM_F32(at->cap)) : -1;
}

static int bias_grad(const struct pm_node *n, const struct layout *l, int64_t v0, int64_t cols, struct pm_err *e)
{
	return pm_linear_bias_grad(n, weight_slice(n->out[DB], true, v0), slice_mat(n, cols), l->rows, cols, 1, n->acc[DB], e);
}

static int grad_slice(const struct pm_node *n, const struct layout *l, int64_t v0, int64_t cols, struct pm_err *e)
{
	static const int products[] = {DX, DW, DA, DLORA_B};
	size_t i;

	if ((!kept(n) && logits_slice(n, l, n->in[H], v0, cols, e) < 0) || turn_slice(n, l, v0, cols, e) < 0)
		return -1;
	for (i = 0; i < sizeof products / sizeof *products; i++) {
		struct pm_gemm p;

		if (products[i] == DA ? !n->in[A] : !n->out[products[i]])
			continue;
		p = product_grad(n, l, products[i], v0, cols);
		if (pm_gemm(n->g->dev, &p, n->scratch, l->products, e) < 0)
			return -1;
	}
	return n->out[DB] ? bias_grad(n, l, v0, cols, e) : 0;
}

static int run_grad(const struct pm_node *n, struct pm_err *e)
{
	static const int from_dh[] = {DX, DA};
	struct layout l = layout(n);
	int64_t v0, cols;
	int i;

	if (mark_live(n, &l, n->in[DNLL], e) < 0)
		return -1;
	for (v0 = 0; v0 < l.vocab; v0 += cols) {
		cols = l.slice < l.vocab - v0 ? l.slice : l.vocab - v0;
		if (grad_slice(n, &l, v0, cols, e) < 0)
			return -1;
	}
	for (i = 0; n->in[A] && i < 2; i++) {
		struct pm_gemm p;

		if (!n->out[from_dh[i]])
			continue;
		p = product_from_dh(n, &l, from_dh[i]);
		if (pm_gemm(n->g->dev, &p, n->scratch, l.products, e) < 0)
			return -1;
	}
	return 0;
}

static const struct pm_op op_nll_grad = {"head gradient", scratch_grad, run_grad, NULL};

/* dx (=, +=) dnll · unit: in unit, dnll. */
static int run_unit_grad(const struct pm_node *n, struct pm_err *e)
{
	const struct pm_tensor *unit = n->in[0], *dnll = n->in[1], *dx = n->out[0];
	const struct pm_kernel *k = pm_kernel(n->g->dev, "head", "head_unit_grad_cpu", NULL, e);
	struct pm_launch where = {.global = {(size_t)dx->rows}, .local = {1}, .bytes = (n->acc[0] ? 12.0 : 8.0) * (double)(dx->rows * dx->cols)};

	return k ? PM_LAUNCH(k, where, e, PM_MEM(dx->mem), PM_I64(dx->off), PM_I64(dx->ld), PM_MEM(unit->mem), PM_I64(unit->off), PM_I64(unit->ld),
		PM_MEM(dnll->mem), PM_I64(dnll->off), PM_I64(dnll->ld), PM_I32(dx->cols), PM_I32(n->acc[0])) : -1;
}

static const struct pm_op op_unit_grad = {"head dx", NULL, run_unit_grad, NULL};

/* The forward node n makes the gradient of x for dnll = 1, too, and a new one multiplies it. */
static void grad_of_unit(struct pm_graph *g, struct pm_node *n, struct pm_tensor *dnll, struct pm_tensor *dx, bool acc)
{
	struct pm_tensor *unit = pm_tensor(g, PM_T_TEMP, PM_F32, n->in[X]->rows, n->in[X]->cols, "dnll/dx"), *in[2] = {unit, dnll};
	struct pm_node *b;

	if (!unit)
		return;
	n->out[OUT_UNIT] = unit;
	n->nout = OUTPUTS;
	b = pm_node(g, &op_unit_grad, 2, in, 1, &dx, NULL, 0);
	if (b)
		b->acc[0] = acc;
}

/* All logits as a tensor, in one slice, which its gradient follows at once and nobody else reads; NULL where that would be too much. */
static struct pm_tensor *keep_logits(struct pm_graph *g, struct pm_node *n)
{
	const struct layout l = layout(n);

	if (l.slice < l.vocab && (((const struct attr *)n->attr)->slice > 0 || l.rows * l.vocab > KEEP_BYTES / 4))
		return NULL;
	n->out[OUT_LOGITS] = pm_tensor(g, PM_T_TEMP, PM_F32, l.rows, l.vocab, "logits");
	n->nout = OUTPUTS;
	return n->out[OUT_LOGITS];
}

static int grad(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	static const int from[GRADS] = {X, W, BIAS, A, B};
	struct pm_tensor *in[GRAD_INPUTS], *out[GRADS], *dnll = pm_grad_have(n->out[NLL]);
	struct pm_node *b;
	bool acc[GRADS], any = false;
	int i;

	if (pm_grad_have(n->out[OUT_LSE]))
		return pm_fail(e, PM_SOFTWARE, "the head has no gradient through its log-sum-exp");
	if (!dnll)
		return 0;
	for (i = 0; i < INPUTS; i++)
		in[i] = n->in[i];
	in[LSE] = n->out[OUT_LSE];
	in[H] = n->in[A] ? n->out[OUT_H] : NULL;
	in[DNLL] = dnll;
	for (i = 0; i < GRADS; i++) {
		out[i] = pm_grad_want(g, n->in[from[i]], &acc[i]);
		any = any || out[i];
	}
	if (out[DX] && !out[DW] && !out[DB] && !n->in[A] && pm_elem_cpu(g->dev) && !((const struct attr *)n->attr)->transposed) {
		grad_of_unit(g, n, dnll, out[DX], acc[DX]);
		return 0;
	}
	in[LOGITS] = out[DW] ? keep_logits(g, n) : NULL;
	b = pm_overwrites(any ? pm_node(g, &op_nll_grad, GRAD_INPUTS, in, GRADS, out, n->attr, sizeof(struct attr)) : NULL);
	for (i = 0; b && i < GRADS; i++)
		b->acc[i] = acc[i];
	return 0;
}

static const struct pm_op op_nll = {"head", scratch, run, grad};

/* ---- constructors ---- */

struct pm_tensor *pm_nll(struct pm_graph *g, struct pm_tensor *x, struct pm_tensor *w, struct pm_tensor *b, struct pm_tensor *target,
	const struct pm_head_opts *opts, struct pm_tensor **lse)
{
	static const struct pm_head_opts none;
	const struct pm_head_opts *o = opts ? opts : &none;
	struct attr at = {o->transposed, o->scale != 0 ? o->scale : 1, o->softcap, o->lora.s, o->slice};
	struct pm_tensor *la = o->lora.a, *lb = o->lora.b, *in[INPUTS] = {x, w, b, la, lb, target}, *out[3] = {NULL};
	int64_t vocab;

	if (!x || !w || !target)
		return NULL;
	vocab = at.transposed ? w->cols : w->rows;
	if (x->type != PM_F32 || !pm_is_weight(w) || (at.transposed ? w->rows : w->cols) != x->cols)
		return pm_graph_fail(g, "head: weight '%s' (%lld, %lld) does not fit x (%lld, %lld)", w->name, (long long)w->rows,
			(long long)w->cols, (long long)x->rows, (long long)x->cols);
	if (target->type != PM_I32 || target->rows != x->rows || target->cols != 1)
		return pm_graph_fail(g, "head: the targets are no i32 (%lld, 1)", (long long)x->rows);
	if (b && (!pm_is_plain_weight(b) || b->rows != 1 || b->cols != vocab))
		return pm_graph_fail(g, "head: the bias does not fit %lld tokens", (long long)vocab);
	if (!la != !lb || o->lora.dropout > 0 || (la && (la->type != PM_F32 || lb->type != PM_F32 || la->cols != x->cols ||
		lb->rows != vocab || lb->cols != la->rows)))
		return pm_graph_fail(g, "head: the adapter does not fit, or has dropout");
	out[NLL] = pm_tensor(g, PM_T_TEMP, PM_F32, x->rows, 1, "nll");
	out[OUT_LSE] = pm_tensor(g, PM_T_TEMP, PM_F32, x->rows, 1, "lse");
	if (la)
		out[OUT_H] = pm_tensor(g, PM_T_TEMP, PM_F32, x->rows, la->rows, "lora");
	if (lse)
		*lse = out[OUT_LSE];
	return pm_node(g, &op_nll, INPUTS, in, la ? 3 : 2, out, &at, sizeof at) ? out[NLL] : NULL;
}

/* y = cap · tanh(x / cap). */
static int run_cap(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *x = n->in[0], *y = n->out[0];
	const bool cpu = pm_elem_cpu(n->g->dev);
	const struct pm_kernel *k = pm_kernel(n->g->dev, "head", cpu ? "head_cap_cpu" : "head_cap", NULL, e);
	struct pm_launch where = cpu ? (struct pm_launch){.global = {(size_t)y->rows}, .local = {1}} : pm_elem_launch(y->rows, y->cols);

	where.bytes = 8.0 * (double)(y->rows * y->cols);
	return k ? PM_LAUNCH(k, where, e, PM_MEM(y->mem), PM_I64(y->off), PM_I64(y->ld), PM_MEM(x->mem), PM_I64(x->off), PM_I64(x->ld),
		PM_I64(y->cols), PM_F32(at->cap)) : -1;
}

static const struct pm_op op_cap = {"soft-cap", NULL, run_cap, NULL};

struct pm_tensor *pm_logits(struct pm_graph *g, struct pm_tensor *x, struct pm_tensor *w, struct pm_tensor *b, const struct pm_head_opts *opts)
{
	static const struct pm_head_opts none;
	const struct pm_head_opts *o = opts ? opts : &none;
	struct attr at = {.cap = o->softcap};
	struct pm_tensor *y, *z;

	y = pm_linear(g, x, w, b, &(struct pm_linear_opts){.transposed = o->transposed, .lora = o->lora, .scale = o->scale});
	if (!y || o->softcap <= 0)
		return y;
	z = pm_tensor(g, PM_T_TEMP, PM_F32, y->rows, y->cols, "logits");
	return pm_node(g, &op_cap, 1, &y, 1, &z, &at, sizeof at) ? z : NULL;
}
