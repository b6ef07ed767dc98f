/* round.c: y = x rounded to bfloat16, and kept as such: by the node that makes x, where that can, or by one more.  kernels/cast.cl, tests/op/round.c */
#include "op/op.h"

static int run(const struct pm_node *n, struct pm_err *e)
{
	const struct pm_tensor *x = n->in[0], *y = n->out[0];

	return pm_cast(n->g->dev, y->mem, y->type, x->mem, x->type, y->rows * y->cols, e);
}

static int grad(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	struct pm_tensor *dy = pm_grad_have(n->out[0]);

	(void)e;
	if (dy)
		pm_grad_pass(g, n->in[0], dy);
	return 0;
}

static const struct pm_op op = {"round", NULL, run, grad};

struct pm_tensor *pm_round(struct pm_graph *g, struct pm_tensor *x)
{
	const struct pm_node *maker = g->nnodes ? g->nodes[g->nnodes - 1] : NULL;
	struct pm_tensor *y;

	if (!x)
		return NULL;
	if (x->type != PM_F32 || x->kind != PM_T_TEMP || pm_is_view(x))
		return pm_graph_fail(g, "round: '%s' is no f32 that the graph makes", x->name);
	if (maker && maker->out[0] == x && maker->narrows) {
		x->type = PM_BF16;
		return x;
	}
	y = pm_tensor(g, PM_T_TEMP, PM_BF16, x->rows, x->cols, x->name);
	return y && pm_node(g, &op, 1, &x, 1, &y, NULL, 0) ? y : NULL;
}
