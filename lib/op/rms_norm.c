/* rms_norm.c: y = x · r · w with r = 1 / sqrt(mean(x²) + eps) over groups of columns (Zhang and Sennrich, "Root mean square
 * layer normalization", 2019); the weight may be stored as w − 1. kernels/rms_norm.cl, tests/op/rms_norm.c
 *
 * Backward: dx = r · (w·dy − x · r² · mean(w·dy·x)); dw = the sum over rows and groups of dy · x · r. */
#include "op/op.h"

#include <stdio.h>

#include "op/rowsum.h"
#include "op/stage.h"

struct attr {
	int64_t group;
	float eps;
	bool plus_one;
};

/* in[]: x, w (or NULL); backward: dy, x, w. out[]: y; backward: dx, dw (either may be NULL). */

static const struct pm_kernel *kernel(const struct pm_node *n, const char *name, const struct pm_tensor *w, struct pm_err *e)
{
	const struct attr *a = n->attr;
	char defines[64], type[32];

	pm_define_type(type, sizeof type, "W", w);
	snprintf(defines, sizeof defines, "%s-DPLUS_ONE=%d", type, a->plus_one);
	return pm_kernel(n->g->dev, "rms_norm", name, defines, e);
}

static int forward(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *a = n->attr;
	const struct pm_tensor *y = n->out[0], *x = n->in[0], *w = n->in[1];
	const struct pm_kernel *k = kernel(n, "rms_norm_fwd", w, e);
	const int64_t groups = x->cols / a->group;
	const double size = (double)(x->rows * x->cols);

	if (!k)
		return -1;
	return PM_LAUNCH(k, pm_row_launch(n->g->dev, x->rows, groups, 4 * size, 8 * size), e,
		PM_AT(y), PM_AT(x), PM_AT1(w), PM_I32(groups), PM_I32(a->group), PM_F32(a->eps));
}

/* Scratch: r (rows, groups), then the chunks' sums of dw. */
static size_t backward_scratch(const struct pm_node *n)
{
	const struct attr *a = n->attr;
	const struct pm_tensor *x = n->in[1];
	const struct pm_rowsum_cut cut = pm_rowsum_cut(n->g, x->rows);

	return sizeof (float) * (size_t)(x->rows * (x->cols / a->group) + (n->out[1] ? cut.periods * cut.chunks * a->group : 0));
}

static int backward(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *a = n->attr;
	const struct pm_tensor *dx = n->out[0], *dy = n->in[0], *x = n->in[1], *w = n->in[2];
	struct pm_tensor *dw = n->out[1];
	struct pm_dev *d = n->g->dev;
	const int64_t groups = x->cols / a->group, parts = x->rows * groups;
	const struct pm_rowsum_cut cut = pm_rowsum_cut(n->g, x->rows);
	const double size = (double)(x->rows * x->cols);
	const struct pm_kernel *k = kernel(n, "rms_norm_bwd_x", w, e);

	if (!k || PM_LAUNCH(k, pm_row_launch(d, x->rows, groups, 9 * size, 12 * size), e, PM_AT(dx), PM_MEM(n->scratch), PM_AT(dy), PM_AT(x),
	    PM_AT1(w), PM_I32(groups), PM_I32(a->group), PM_F32(a->eps), PM_I32(n->acc[0])) < 0)
		return -1;
	if (!dw)
		return 0;
	k = kernel(n, "rms_norm_bwd_w", w, e);
	if (!k || PM_LAUNCH(k, pm_rowsum_launch(d, a->group, cut.periods * cut.chunks, 3 * size, 8 * size), e, PM_MEM(n->scratch), PM_I64(parts),
	    PM_AT(dy), PM_AT(x), PM_MEM(n->scratch), PM_I32(x->rows), PM_I32(cut.period), PM_I32(cut.chunks), PM_I32(groups), PM_I32(a->group)) < 0)
		return -1;
	return pm_rowsum_add(dw, n->acc[1], n->scratch, parts, cut, e);
}

static const struct pm_op op_backward = {"rms_norm_bwd", backward_scratch, backward, NULL};

static int grad(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	struct pm_tensor *x = n->in[0], *w = n->in[1], *in[3] = {pm_grad_have(n->out[0]), x, w}, *out[2];
	bool acc[2] = {false, false};
	struct pm_node *b;

	if (!in[0])
		return 0;
	out[0] = pm_grad_want(g, x, &acc[0]);
	out[1] = w ? pm_grad_want(g, w, &acc[1]) : NULL;
	if (!out[0] && !out[1])
		return pm_graph_ok(g, e);
	b = pm_overwrites(pm_node(g, &op_backward, 3, in, 2, out, n->attr, sizeof (struct attr)));
	if (!b)
		return pm_graph_ok(g, e);
	b->acc[0] = acc[0];
	b->acc[1] = acc[1];
	return 0;
}

static int stages(const struct pm_node *n, struct pm_chain *c, struct pm_err *e)
{
	const struct attr *a = n->attr;
	const struct pm_tensor *y = n->out[0], *x = n->in[0], *w = n->in[1];
	const struct pm_stage s = {.op = PM_STAGE_NORM, .name = "rms_norm_fwd", .tasks = x->rows, .in = {pm_range(x)}, .out = pm_range(y), .w = {(int64_t)pm_address(y), y->ld,
		(int64_t)pm_address(x), x->ld, (int64_t)pm_address(w), x->cols / a->group, a->group, pm_stage_real(a->eps)}};

	if (!w || !s.w[0] || !pm_chain_define(c, "TYPE_W", pm_dtype(w->type)->name) || !pm_chain_define_number(c, "PLUS_ONE", a->plus_one))
		return 0;
	return pm_chain_add(c, &s, e) < 0 ? -1 : 1;
}

static const struct pm_op op = {"rms_norm", NULL, forward, grad};

struct pm_tensor *pm_rms_norm(struct pm_graph *g, struct pm_tensor *x, struct pm_tensor *w, int64_t group, float eps, bool plus_one)
{
	struct attr a = {group, eps, plus_one};
	struct pm_tensor *in[2] = {x, w}, *y;

	if (!x)
		return NULL;
	if (a.group == 0)
		a.group = x->cols;
	if (x->type != PM_F32)
		return pm_graph_fail(g, "rms_norm: x is %s, f32 wanted", pm_dtype(x->type)->name);
	if (a.group < 1 || x->cols % a.group != 0)
		return pm_graph_fail(g, "rms_norm: %lld columns are no multiple of the group's %lld", (long long)x->cols, (long long)a.group);
	if (w && (w->rows != 1 || w->cols != a.group))
		return pm_graph_fail(g, "rms_norm: weight (1, %lld) wanted, (%lld, %lld) found", (long long)a.group, (long long)w->rows, (long long)w->cols);
	y = pm_tensor(g, PM_T_TEMP, PM_F32, x->rows, x->cols, "rms_norm");
	return pm_cheap(pm_stage_of(y ? pm_node(g, &op, 2, in, 1, &y, &a, sizeof a) : NULL, stages)) ? y : NULL;
}
