/* linear.c: y = scale · (x·Wᵀ + b + s·B(A·drop(x))) + add, its gradients.  kernels/gemm*.cl, thin*.cl, linear.cl, tests/op/linear.c */
#include "op/linear.h"

#include "op/elem.h"
#include "op/stage.h"

#define BIAS_COLUMNS 128               /* of a work-item of linear_bias_grad_cpu: as in linear.cl */

enum { X, W, BIAS, A, B, ADD, RNG, INPUTS };

struct attr {
	bool transposed, thin, int8;    /* the last two as the graph had them when the node was made */
	float s, dropout, scale;
	uint32_t stream;
};

static struct attr attr_of(const struct pm_graph *g, const struct pm_linear_opts *o)
{
	return (struct attr){o->transposed, g->thin, g->int8, o->lora.s, o->lora.a ? o->lora.dropout : 0, o->scale != 0 ? o->scale : 1, o->lora.stream};
}

const void *pm_linear_attr(struct pm_graph *g, const struct pm_linear_opts *opts)
{
	struct attr *at = pm_arena_alloc(&g->arena, 1, sizeof *at, &g->err);

	if (at)
		*at = attr_of(g, opts);
	else
		g->failed = true;
	return at;
}

static size_t larger(size_t a, size_t b)
{
	return a > b ? a : b;
}

/* Bytes of a dense f32 matrix, so that what follows it is aligned. */
static size_t matrix(int64_t rows, int64_t cols)
{
	return (size_t)((rows * cols * 4 + 63) / 64 * 64);
}

static int64_t width(const struct attr *at, const struct pm_tensor *w)
{
	return at->transposed ? w->cols : w->rows;
}

/* ---- products, each said once for its scratch and its run ---- */

/* All of y; H is A·x, or what the caller makes of it. */
static struct pm_gemm product_y(const struct pm_node *n)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *x = n->in[X], *bias = n->in[BIAS], *add = n->in[ADD];
	struct pm_gemm p = {.m = x->rows, .n = width(at, n->in[W]), .k = x->cols, .a = pm_mat(x), .b = pm_mat(n->in[W]),
		.c = pm_mat(n->out[0]), .b_trans = !at->transposed, .bf16 = n->g->bf16, .finish = bias || add || at->scale != 1, .scale = at->scale};

	if (bias)
		p.bias = pm_mat(bias);
	if (add)
		p.add = pm_mat(add);
	if (n->in[A]) {
		p.h = pm_mat(n->out[1]);
		p.l = pm_mat(n->in[B]);
		p.r = n->in[B]->cols;
		p.s = at->s;
		p.l_trans = true;
	}
	return p;
}

static struct pm_gemm product_h(const struct pm_node *n)
{
	const struct pm_tensor *x = n->in[X], *a = n->in[A];

	return (struct pm_gemm){.m = x->rows, .n = a->rows, .k = x->cols, .a = pm_mat(x), .b = pm_mat(a), .c = pm_mat(n->out[1]),
		.b_trans = true, .bf16 = n->g->bf16};
}

static size_t dropped(const struct pm_node *n)
{
	const struct attr *at = n->attr;

	return at->dropout > 0 ? matrix(n->in[X]->rows, n->in[X]->cols) : 0;
}

/* The product wide with, where there is an adapter, the one that reads the same x or dy; but not where x is dropped for it. */
static size_t scratch_of(const struct pm_node *n, struct pm_gemm wide, const struct pm_gemm *thin, bool apart)
{
	const struct pm_dev *d = n->g->dev;

	if (!apart)
		wide.first = thin;
	return larger(pm_gemm_scratch(d, &wide), thin ? pm_gemm_scratch(d, thin) : 0);
}

static size_t scratch(const struct pm_node *n)
{
	const struct attr *at = n->attr;
	struct pm_gemm h;

	if (at->thin)
		return dropped(n);
	if (n->in[A])
		h = product_h(n);
	return dropped(n) + scratch_of(n, product_y(n), n->in[A] ? &h : NULL, dropped(n));
}

/* y (=, +=) drop(x) · 1/(1 − p). */
static int drop(const struct pm_node *n, struct pm_mat y, struct pm_mat x, const struct pm_tensor *rng, int64_t rows, int64_t cols,
	bool acc, struct pm_err *e)
{
	const struct attr *at = n->attr;
	const bool cpu = pm_elem_cpu(n->g->dev);
	const struct pm_kernel *k = pm_kernel(n->g->dev, "linear", cpu ? "linear_drop_cpu" : "linear_drop", NULL, e);
	struct pm_launch l = pm_elem_launch(rows, pm_ceil_div(cols, 4));

	if (cpu)
		l = (struct pm_launch){.global = {(size_t)rows}, .local = {1}};
	l.bytes = (acc ? 12.0 : 8.0) * (double)(rows * cols);
	return k ? PM_LAUNCH(k, l, e, PM_MEM(y.mem), PM_I64(y.off), PM_I64(y.ld), PM_MEM(x.mem),
		PM_I64(x.off), PM_I64(x.ld), PM_MEM(rng->mem), PM_I64(rng->off), PM_I64(rng->ld), PM_I64(cols), PM_F32(at->dropout),
		PM_I32(at->stream), PM_I32(acc)) : -1;
}

/* The products of few rows: first, with an adapter, x·Aᵀ. runs: NULL, or those of rows that have matrices of their own (linear.h). */
static int thin_products(const struct pm_node *n, struct pm_mat x, const struct pm_tensor *runs, struct pm_thin p[2])
{
	const struct attr *at = n->attr;
	struct pm_gemm y = product_y(n);
	struct pm_thin *last = &p[n->in[A] != NULL];

	*last = (struct pm_thin){.m = y.m, .n = y.n, .k = y.k, .a = y.a, .b = y.b, .c = y.c, .b_trans = y.b_trans, .bias = y.bias, .add = y.add,
		.s = at->s, .scale = at->scale, .int8 = at->int8, .bf16 = n->g->bf16};
	if (runs) {
		last->runs = runs->mem;
		last->slots = runs->rows;
		last->b_step = n->in[W]->rows * n->in[W]->ld;
	}
	if (n->in[A]) {
		struct pm_gemm h = product_h(n);

		p[0] = (struct pm_thin){.m = h.m, .n = h.n, .k = h.k, .a = x, .b = h.b, .c = h.c, .b_trans = true, .runs = last->runs, .slots = last->slots,
			.b_step = h.n * h.b.ld};
		last->l_step = n->in[B]->rows * n->in[B]->ld;
		last->h = h.c;
		last->l = pm_mat(n->in[B]);
		last->r = h.n;
	}
	return n->in[A] ? 2 : 1;
}

static int run_thin(const struct pm_node *n, struct pm_mat x, const struct pm_tensor *runs, struct pm_err *e)
{
	struct pm_thin p[2];
	const int count = thin_products(n, x, runs, p);
	int i;

	for (i = 0; i < count; i++)
		if (pm_thin(n->g->dev, &p[i], e) < 0)
			return -1;
	return 0;
}

int pm_linear_stages(const struct pm_node *n, const struct pm_tensor *runs, struct pm_chain *c, struct pm_err *e)
{
	const struct attr *at = n->attr;
	struct pm_thin p[2];
	int i, r = 1, count;

	if (!at->thin || dropped(n))
		return 0;
	count = thin_products(n, pm_mat(n->in[X]), runs, p);
	for (i = 0; r > 0 && i < count; i++)
		r = pm_thin_stages(c, &p[i], e);
	return r;
}

static int stages(const struct pm_node *n, struct pm_chain *c, struct pm_err *e)
{
	return pm_linear_stages(n, NULL, c, e);
}

/* x as the adapter reads it: dropped, to the scratch memory, or as it is. */
static int dropped_x(const struct pm_node *n, struct pm_mat *x, struct pm_err *e)
{
	const struct pm_mat from = pm_mat(n->in[X]);

	*x = from;
	if (!dropped(n))
		return 0;
	*x = pm_scratch_mat(n, 0, n->in[X]->cols);
	return drop(n, *x, from, n->in[RNG], n->in[X]->rows, n->in[X]->cols, false, e);
}

int pm_linear_runs(const struct pm_node *n, const struct pm_tensor *runs, struct pm_err *e)
{
	struct pm_mat x;

	return dropped_x(n, &x, e) < 0 ? -1 : run_thin(n, x, runs, e);
}

static int run(const struct pm_node *n, struct pm_err *e)
{
	struct pm_dev *d = n->g->dev;
	const struct attr *how = n->attr;
	struct pm_gemm y = product_y(n), h;
	const size_t at = dropped(n);
	struct pm_mat x;

	if (dropped_x(n, &x, e) < 0)
		return -1;
	if (how->thin)
		return run_thin(n, x, NULL, e);
	if (n->in[A]) {
		h = product_h(n);
		h.a = x;
		if (!at)
			y.first = &h;
		else if (pm_gemm(d, &h, n->scratch, at, e) < 0)
			return -1;
	}
	return pm_gemm(d, &y, n->scratch, at, e);
}

/* ---- gradients ---- */

/* dadd (=, +=) dy. */
static int run_grad_add(const struct pm_node *n, struct pm_err *e)
{
	const struct pm_tensor *dy = n->in[0], *y = n->out[0];
	const bool cpu = pm_elem_cpu(n->g->dev);
	const struct pm_kernel *k = pm_kernel(n->g->dev, "add", cpu ? "add_fwd_cpu" : "add_fwd", NULL, e);

	return k ? PM_LAUNCH(k, pm_elementwise(cpu, y->rows, y->cols, 1, 8), e, PM_MEM(y->mem), PM_I64(y->off), PM_I64(y->ld), PM_MEM(dy->mem),
		PM_I64(dy->off), PM_I64(dy->ld), PM_MEM(dy->mem), PM_I64(0), PM_I64(0), PM_I64(y->cols), PM_F32(1), PM_F32(0), PM_I32(0),
		PM_I32(n->acc[0])) : -1;
}

/* dx (=, +=) scale · dy · W + s · drop(dh · A), dh (T, r) = scale · dy · B: in dy, W, B, A, rng, out dx, dh. */
static struct pm_gemm product_dh(const struct pm_node *n)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *dy = n->in[0], *b = n->in[2];

	return (struct pm_gemm){.m = dy->rows, .n = b->cols, .k = b->rows, .a = pm_mat(dy), .b = pm_mat(b), .c = pm_mat(n->out[1]),
		.bf16 = n->g->bf16, .alpha = at->scale};
}

static size_t dropped_dx(const struct pm_node *n)
{
	const struct attr *at = n->attr;

	return at->dropout > 0 && n->out[0] && n->out[1] ? matrix(n->out[0]->rows, n->out[0]->cols) : 0;
}

static struct pm_gemm product_dx(const struct pm_node *n)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *dy = n->in[0], *w = n->in[1], *dx = n->out[0];
	struct pm_gemm p = {.m = dy->rows, .n = dx->cols, .k = dy->cols, .a = pm_mat(dy), .b = pm_mat(w), .c = pm_mat(dx),
		.b_trans = at->transposed, .acc = n->acc[0], .bf16 = n->g->bf16, .alpha = at->scale};

	if (n->out[1] && !dropped_dx(n)) {
		p.h = pm_mat(n->out[1]);
		p.l = pm_mat(n->in[3]);
		p.r = n->in[3]->rows;
		p.s = at->s;
	}
	return p;
}

/* What goes through the mask before it is added to dx. */
static struct pm_gemm product_dx_lora(const struct pm_node *n)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *dh = n->out[1], *a = n->in[3], *dx = n->out[0];

	return (struct pm_gemm){.m = dh->rows, .n = dx->cols, .k = dh->cols, .a = pm_mat(dh), .b = pm_mat(a),
		.c = pm_scratch_mat(n, 0, dx->cols), .bf16 = n->g->bf16, .alpha = at->s};
}

static size_t scratch_dx(const struct pm_node *n)
{
	struct pm_gemm h, q;
	size_t room;

	if (n->out[1])
		h = product_dh(n);
	if (!n->out[0])
		return pm_gemm_scratch(n->g->dev, &h);
	room = scratch_of(n, product_dx(n), n->out[1] ? &h : NULL, false);
	if (!dropped_dx(n))
		return room;
	q = product_dx_lora(n);
	return dropped_dx(n) + larger(room, pm_gemm_scratch(n->g->dev, &q));
}

static int run_dx(const struct pm_node *n, struct pm_err *e)
{
	struct pm_dev *d = n->g->dev;
	const struct pm_tensor *dx = n->out[0];
	const size_t at = dropped_dx(n);
	struct pm_gemm p, h, q;

	if (n->out[1])
		h = product_dh(n);
	if (!dx)
		return pm_gemm(d, &h, n->scratch, 0, e);
	p = product_dx(n);
	p.first = n->out[1] ? &h : NULL;
	if (pm_gemm(d, &p, n->scratch, at, e) < 0)
		return -1;
	if (!at)
		return 0;
	q = product_dx_lora(n);
	if (pm_gemm(d, &q, n->scratch, at, e) < 0)
		return -1;
	return drop(n, pm_mat(dx), q.c, n->in[4], dx->rows, dx->cols, true, e);
}

/* dW += scale · dyᵀ · x, of the shape of W; in dy, x. */
static struct pm_gemm product_dw(const struct pm_node *n)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *a = n->in[at->transposed ? 1 : 0], *b = n->in[at->transposed ? 0 : 1];

	return (struct pm_gemm){.m = a->cols, .n = b->cols, .k = a->rows, .a = pm_mat(a), .b = pm_mat(b), .c = pm_mat(n->out[0]),
		.a_trans = true, .acc = n->acc[0], .bf16 = n->g->bf16, .period = n->g->period, .alpha = at->scale};
}

static size_t scratch_dw(const struct pm_node *n)
{
	struct pm_gemm p = product_dw(n);

	return pm_gemm_scratch(n->g->dev, &p);
}

static int run_dw(const struct pm_node *n, struct pm_err *e)
{
	struct pm_gemm p = product_dw(n);

	return pm_gemm(n->g->dev, &p, n->scratch, 0, e);
}

int pm_linear_bias_grad(const struct pm_node *n, struct pm_mat db, struct pm_mat dy, int64_t rows, int64_t cols, float scale, bool acc, struct pm_err *e)
{
	const bool cpu = pm_elem_cpu(n->g->dev);
	const struct pm_kernel *k = pm_kernel(n->g->dev, "linear", cpu ? "linear_bias_grad_cpu" : "linear_bias_grad", NULL, e);
	struct pm_launch l = pm_elementwise(false, 1, cols, (double)rows, 4 * (double)rows);

	if (cpu)
		l.global[0] = (size_t)pm_ceil_div(cols, BIAS_COLUMNS), l.local[0] = 1;
	return k ? PM_LAUNCH(k, l, e, PM_MEM(db.mem), PM_I64(db.off), PM_MEM(dy.mem), PM_I64(dy.off), PM_I64(dy.ld), PM_I64(rows), PM_I64(cols),
		PM_I64(n->g->period > 0 ? n->g->period : rows), PM_F32(scale), PM_I32(acc)) : -1;
}

/* db (=, +=) scale · the sum of dy's rows. */
static int run_db(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *dy = n->in[0];

	return pm_linear_bias_grad(n, pm_mat(n->out[0]), pm_mat(dy), dy->rows, dy->cols, at->scale, n->acc[0], e);
}

/* dA += s · dhᵀ · drop(x): in dh, x, rng. */
static struct pm_gemm product_da(const struct pm_node *n)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *dh = n->in[0], *x = n->in[1];

	return (struct pm_gemm){.m = dh->cols, .n = x->cols, .k = x->rows, .a = pm_mat(dh), .b = pm_mat(x), .c = pm_mat(n->out[0]),
		.a_trans = true, .acc = n->acc[0], .bf16 = n->g->bf16, .period = n->g->period, .alpha = at->s};
}

static size_t dropped_da(const struct pm_node *n)
{
	const struct attr *at = n->attr;

	return at->dropout > 0 ? matrix(n->in[1]->rows, n->in[1]->cols) : 0;
}

static size_t scratch_da(const struct pm_node *n)
{
	struct pm_gemm p = product_da(n);

	return dropped_da(n) + pm_gemm_scratch(n->g->dev, &p);
}

static int run_da(const struct pm_node *n, struct pm_err *e)
{
	struct pm_gemm p = product_da(n);
	size_t at = dropped_da(n);

	if (at) {
		struct pm_mat x = pm_scratch_mat(n, 0, p.n);

		if (drop(n, x, p.b, n->in[2], p.k, p.n, false, e) < 0)
			return -1;
		p.b = x;
	}
	return pm_gemm(n->g->dev, &p, n->scratch, at, e);
}

const struct pm_op pm_linear_dadd = {"linear dadd", NULL, run_grad_add, NULL};
static const struct pm_op op_dx = {"linear dx", scratch_dx, run_dx, NULL};
static const struct pm_op op_dw = {"linear dW", scratch_dw, run_dw, NULL};
static const struct pm_op op_db = {"linear db", NULL, run_db, NULL};
static const struct pm_op op_da = {"linear dA", scratch_da, run_da, NULL};

/* The attr of dB += s · scale · dyᵀ · h, which is a dW. */
static const void *attr_db(struct pm_graph *g, const struct attr *at)
{
	return pm_linear_attr(g, &(struct pm_linear_opts){.scale = at->s * at->scale});
}

int pm_linear_grads(struct pm_graph *g, struct pm_node *n, const void *attr, pm_linear_add *add)
{
	const struct attr *at = attr;
	struct pm_tensor *dy = pm_grad_have(n->out[0]), *dh = NULL, *d[INPUTS] = {NULL};
	bool acc[INPUTS];
	int i;

	if (!dy)
		return 0;
	for (i = 0; i < RNG; i++)
		d[i] = pm_grad_want(g, n->in[i], &acc[i]);
	if (n->in[A] && (d[X] || d[A]))
		dh = pm_tensor(g, PM_T_TEMP, PM_F32, dy->rows, n->out[1]->cols, "dh");
	if (d[ADD])
		add(g, n, &(struct pm_linear_part){&pm_linear_dadd, at, 1, {dy}, {d[ADD]}, acc[ADD], 0, false});
	if (d[X] || dh)
		add(g, n, &(struct pm_linear_part){&op_dx, at, 5, {dy, n->in[W], n->in[B], n->in[A], n->in[RNG]}, {d[X], dh}, acc[X], 1 << 1 | 1 << 2 | 1 << 3,
			false});
	if (d[W])
		add(g, n, &(struct pm_linear_part){&op_dw, at, 2, {dy, n->in[X]}, {d[W]}, acc[W], 0, true});
	if (d[BIAS])
		add(g, n, &(struct pm_linear_part){&op_db, at, 1, {dy}, {d[BIAS]}, acc[BIAS], 0, true});
	if (d[A])
		add(g, n, &(struct pm_linear_part){&op_da, at, 3, {dh, n->in[X], n->in[RNG]}, {d[A]}, acc[A], 0, true});
	if (d[B])
		add(g, n, &(struct pm_linear_part){&op_dw, attr_db(g, at), 2, {dy, n->out[1]}, {d[B]}, acc[B], 0, true});
	return 0;
}

static void add_node(struct pm_graph *g, struct pm_node *n, const struct pm_linear_part *p)
{
	struct pm_node *b = pm_overwrites(p->attr ? pm_node(g, p->op, p->nin, p->in, 2, p->out, p->attr, sizeof(struct attr)) : NULL);

	(void)n;
	if (b)
		b->acc[0] = p->acc;
}

static int grad(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	(void)e;
	return pm_linear_grads(g, n, n->attr, add_node);
}

const struct pm_op pm_linear_op = {"linear", scratch, run, grad};

/* ---- the constructor ---- */

/* Whether y may be bfloat16: not in a graph of few rows, whose products write float32. */
static bool narrows(const struct pm_node *n)
{
	const struct attr *at = n->attr;
	struct pm_gemm y = product_y(n);

	return !at->thin && pm_gemm_narrows(n->g->dev, &y);
}

static bool shape(const struct pm_tensor *t, int64_t rows, int64_t cols)
{
	return t->rows == rows && t->cols == cols;
}

static const char *misfit(struct pm_tensor *const *in, int64_t out, const struct attr *at)
{
	const struct pm_tensor *x = in[X], *w = in[W], *a = in[A], *b = in[B];

	if (x->type != PM_F32)
		return "x is no f32";
	if (!pm_op_takes(w->type))
		return "the weight's type is not known here";
	if (!pm_is_weight(w) || (at->transposed ? w->rows : w->cols) != x->cols)
		return "the weight does not fit x";
	if (in[BIAS] && (!pm_is_plain_weight(in[BIAS]) || !shape(in[BIAS], 1, out)))
		return "the bias does not fit";
	if (in[ADD] && (in[ADD]->type != PM_F32 || !shape(in[ADD], x->rows, out)))
		return "what is to be added does not fit";
	if (!a != !b || (a && (a->type != PM_F32 || b->type != PM_F32 || a->cols != x->cols || !shape(b, out, a->rows))))
		return "the adapter does not fit";
	if (at->dropout > 0 && a && (!in[RNG] || in[RNG]->type != PM_I32 || !shape(in[RNG], x->rows, 2)))
		return "dropout wants a counter a row";
	if (at->dropout < 0 || at->dropout >= 1)
		return "dropout is to be in [0, 1)";
	return NULL;
}

struct pm_tensor *pm_linear(struct pm_graph *g, struct pm_tensor *x, struct pm_tensor *w, struct pm_tensor *b, const struct pm_linear_opts *opts)
{
	static const struct pm_linear_opts none;
	const struct pm_linear_opts *o = opts ? opts : &none;
	const struct attr at = attr_of(g, o);
	struct pm_tensor *in[INPUTS] = {x, w, b, o->lora.a, o->lora.b, o->add, at.dropout > 0 ? o->lora.rng : NULL}, *out[2] = {NULL, NULL};
	struct pm_node *n;
	const char *why;
	int64_t cols;

	if (!x || !w)
		return NULL;
	cols = width(&at, w);
	why = misfit(in, cols, &at);
	if (why)
		return pm_graph_fail(g, "linear: x '%s' (%lld, %lld), weight '%s' (%lld, %lld)%s: %s", x->name, (long long)x->rows,
			(long long)x->cols, w->name, (long long)w->rows, (long long)w->cols, at.transposed ? " transposed" : "", why);
	out[0] = pm_tensor(g, PM_T_TEMP, PM_F32, x->rows, cols, "linear");
	if (o->lora.a)
		out[1] = pm_tensor(g, PM_T_TEMP, PM_F32, x->rows, o->lora.a->rows, "lora");
	n = pm_stage_of(pm_node(g, &pm_linear_op, INPUTS, in, o->lora.a ? 2 : 1, out, &at, sizeof at), stages);
	if (!n)
		return NULL;
	n->narrows = narrows(n);
	return out[0];
}
