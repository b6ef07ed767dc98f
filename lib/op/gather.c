/* gather.c: y[t] = x[row[t]].  kernels/rows.cl, tests/op/gather.c */
#include "op/elem.h"
#include "op/op.h"

static int run(const struct pm_node *n, struct pm_err *e)
{
	const struct pm_tensor *x = n->in[0], *row = n->in[1], *y = n->out[0];
	const struct pm_kernel *k = pm_kernel(n->g->dev, "rows", "rows_gather", NULL, e);

	return k ? PM_LAUNCH(k, pm_elementwise(false, y->rows, y->cols, 0, 8), e, PM_MEM(y->mem), PM_MEM(x->mem), PM_MEM(row->mem),
		PM_I64(x->off), PM_I64(x->rows), PM_I64(x->cols)) : -1;
}

/* in: dy, row; out: dx */
static int run_back(const struct pm_node *n, struct pm_err *e)
{
	const struct pm_tensor *dy = n->in[0], *row = n->in[1], *dx = n->out[0];
	const struct pm_kernel *k = pm_kernel(n->g->dev, "rows", "rows_scatter", NULL, e);

	if (!k)
		return -1;
	if (!n->acc[0] && pm_mem_zero(dx->mem, (size_t)dx->off * 4, (size_t)(dx->rows * dx->cols) * 4, e) < 0)
		return -1;
	return PM_LAUNCH(k, pm_elementwise(false, dy->rows, dy->cols, 1, 8), e, PM_MEM(dx->mem), PM_MEM(dy->mem), PM_MEM(row->mem),
		PM_I64(dx->off), PM_I64(dx->rows), PM_I64(dx->cols), PM_I32(n->acc[0]));
}

static const struct pm_op op_back = {"gather gradient", NULL, run_back, NULL};

static int grad(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	struct pm_tensor *in[2] = {pm_grad_have(n->out[0]), n->in[1]}, *dx;
	struct pm_node *b;
	bool acc;

	(void)e;
	dx = pm_grad_want(g, n->in[0], &acc);
	b = dx ? pm_node(g, &op_back, 2, in, 1, &dx, NULL, 0) : NULL;
	if (b)
		b->acc[0] = acc;
	return 0;
}

static const struct pm_op op_gather = {"gather", NULL, run, grad};

struct pm_tensor *pm_gather(struct pm_graph *g, struct pm_tensor *x, struct pm_tensor *row)
{
	struct pm_tensor *in[2] = {x, row}, *y;

	if (!x || !row)
		return NULL;
	if (x->type != PM_F32 || !pm_is_dense(x) || row->type != PM_I32 || row->cols != 1 || !pm_is_dense(row) || row->off)
		return pm_graph_fail(g, "gather: '%s' is no dense f32, or its rows are no i32 (T, 1)", x->name);
	y = pm_tensor(g, PM_T_TEMP, PM_F32, row->rows, x->cols, "gathered");
	return pm_node(g, &op_gather, 2, in, 1, &y, NULL, 0) ? y : NULL;
}
