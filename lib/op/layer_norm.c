/* layer_norm.c: y = (x − m) · r · w + b with m = mean(x) and r = 1 / sqrt(mean((x − m)²) + eps) over groups of columns (Ba, Kiros
 * and Hinton, "Layer normalization", 2016). kernels/layer_norm.cl, tests/op/layer_norm.c
 *
 * Backward, with h = (x − m)·r and g = w·dy: dx = r · (g − mean(g) − h·mean(g·h)); dw and db are the sums over rows and groups of
 * dy·h and of dy. */
#include "op/op.h"

#include <stdio.h>

#include "op/rowsum.h"
#include "op/stage.h"

struct attr {
	int64_t group;
	float eps;
};

/* in[]: x, w, b; backward: dy, x, w. out[]: y; backward: dx, dw, db. Weight and bias may be NULL, and so may gradients. */

static const struct pm_kernel *kernel(const struct pm_node *n, const char *name, const struct pm_tensor *w, const struct pm_tensor *b,
	struct pm_err *e)
{
	char defines[64], wt[32], bt[32];

	pm_define_type(wt, sizeof wt, "W", w);
	pm_define_type(bt, sizeof bt, "B", b);
	snprintf(defines, sizeof defines, "%s%s", wt, bt);
	return pm_kernel(n->g->dev, "layer_norm", name, defines, e);
}

static int forward(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *a = n->attr;
	const struct pm_tensor *y = n->out[0], *x = n->in[0], *w = n->in[1], *b = n->in[2];
	const struct pm_kernel *k = kernel(n, "layer_norm_fwd", w, b, e);
	const int64_t groups = x->cols / a->group;
	const double size = (double)(x->rows * x->cols);

	if (!k)
		return -1;
	return PM_LAUNCH(k, pm_row_launch(n->g->dev, x->rows, groups, 8 * size, 8 * size), e,
		PM_AT(y), PM_AT(x), PM_AT1(w), PM_AT1(b), PM_I32(groups), PM_I32(a->group), PM_F32(a->eps));
}

/* Scratch: m and r (rows, groups, 2), then the chunks' sums of dw, then those of db. */
static size_t backward_scratch(const struct pm_node *n)
{
	const struct attr *a = n->attr;
	const struct pm_tensor *x = n->in[1];
	const struct pm_rowsum_cut cut = pm_rowsum_cut(n->g, x->rows);

	return 2 * sizeof (float) * (size_t)(x->rows * (x->cols / a->group) + (n->out[1] || n->out[2] ? cut.periods * cut.chunks * a->group : 0));
}

static int backward(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *a = n->attr;
	const struct pm_tensor *dx = n->out[0], *dy = n->in[0], *x = n->in[1], *w = n->in[2];
	struct pm_tensor *dw = n->out[1], *db = n->out[2];
	struct pm_dev *d = n->g->dev;
	const int64_t groups = x->cols / a->group, parts = 2 * x->rows * groups;
	const struct pm_rowsum_cut cut = pm_rowsum_cut(n->g, x->rows);
	const int64_t chunks = cut.periods * cut.chunks;
	const double size = (double)(x->rows * x->cols);
	const struct pm_kernel *k = kernel(n, "layer_norm_bwd_x", w, NULL, e);

	if (!k || PM_LAUNCH(k, pm_row_launch(d, x->rows, groups, 16 * size, 12 * size), e, PM_AT(dx), PM_MEM(n->scratch), PM_AT(dy), PM_AT(x),
	    PM_AT1(w), PM_I32(groups), PM_I32(a->group), PM_F32(a->eps), PM_I32(n->acc[0])) < 0)
		return -1;
	if (!dw && !db)
		return 0;
	k = kernel(n, "layer_norm_bwd_w", w, NULL, e);
	if (!k || PM_LAUNCH(k, pm_rowsum_launch(d, a->group, chunks, 5 * size, 8 * size), e, PM_MEM(n->scratch), PM_I64(parts),
	    PM_AT(dy), PM_AT(x), PM_MEM(n->scratch), PM_I32(x->rows), PM_I32(cut.period), PM_I32(cut.chunks), PM_I32(groups), PM_I32(a->group)) < 0)
		return -1;
	if (dw && pm_rowsum_add(dw, n->acc[1], n->scratch, parts, cut, e) < 0)
		return -1;
	return db ? pm_rowsum_add(db, n->acc[2], n->scratch, parts + chunks * a->group, cut, e) : 0;
}

static const struct pm_op op_backward = {"layer_norm_bwd", backward_scratch, backward, NULL};

static int grad(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	struct pm_tensor *in[3] = {pm_grad_have(n->out[0]), n->in[0], n->in[1]}, *out[3];
	bool acc[3] = {false, false, false};
	struct pm_node *b;

	if (!in[0])
		return 0;
	for (int i = 0; i < 3; i++)
		out[i] = n->in[i] ? pm_grad_want(g, n->in[i], &acc[i]) : NULL;
	if (!out[0] && !out[1] && !out[2])
		return pm_graph_ok(g, e);
	b = pm_overwrites(pm_node(g, &op_backward, 3, in, 3, out, n->attr, sizeof (struct attr)));
	if (!b)
		return pm_graph_ok(g, e);
	for (int i = 0; i < 3; i++)
		b->acc[i] = acc[i];
	return 0;
}

static const struct pm_op op = {"layer_norm", NULL, forward, grad};

static int stages(const struct pm_node *n, struct pm_chain *c, struct pm_err *e)
{
	const struct attr *a = n->attr;
	const struct pm_tensor *y = n->out[0], *x = n->in[0], *w = n->in[1], *b = n->in[2];
	const struct pm_stage s = {.op = PM_STAGE_LAYER_NORM, .name = "layer_norm_fwd", .tasks = x->rows, .in = {pm_range(x)}, .out = pm_range(y),
		.w = {(int64_t)pm_address(y), y->ld, (int64_t)pm_address(x), x->ld, (int64_t)pm_address(w), (int64_t)pm_address(b), x->cols / a->group, a->group,
		pm_stage_real(a->eps)}};

	/* whether there is a bias is compiled in, too */
	if (!w || !s.w[0] || !pm_chain_define(c, "TYPE_W", pm_dtype(w->type)->name) || !pm_chain_define_number(c, "BIASED", b != NULL) ||
	    (b && !pm_chain_define(c, "TYPE_B", pm_dtype(b->type)->name)))
		return 0;
	return pm_chain_add(c, &s, e) < 0 ? -1 : 1;
}

struct pm_tensor *pm_layer_norm(struct pm_graph *g, struct pm_tensor *x, struct pm_tensor *w, struct pm_tensor *b, int64_t group, float eps)
{
	struct attr a = {group, eps};
	struct pm_tensor *in[3] = {x, w, b}, *y;

	if (!x)
		return NULL;
	if (a.group == 0)
		a.group = x->cols;
	if (x->type != PM_F32)
		return pm_graph_fail(g, "layer_norm: x is %s, f32 wanted", pm_dtype(x->type)->name);
	if (a.group < 1 || x->cols % a.group != 0)
		return pm_graph_fail(g, "layer_norm: %lld columns are no multiple of the group's %lld", (long long)x->cols, (long long)a.group);
	for (int i = 1; i < 3; i++)
		if (in[i] && (in[i]->rows != 1 || in[i]->cols != a.group))
			return pm_graph_fail(g, "layer_norm: %s (1, %lld) wanted, (%lld, %lld) found", i == 1 ? "weight" : "bias",
				(long long)a.group, (long long)in[i]->rows, (long long)in[i]->cols);
	y = pm_tensor(g, PM_T_TEMP, PM_F32, x->rows, x->cols, "layer_norm");
	return pm_cheap(pm_stage_of(y ? pm_node(g, &op, 3, in, 1, &y, &a, sizeof a) : NULL, stages)) ? y : NULL;
}
