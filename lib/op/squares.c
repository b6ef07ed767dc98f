/* squares.c: y[p] = the sums of x² over the rows of period p, column by column: how large the inputs of a product are; or over the rows of each expert.
 * kernels/squares.cl, tests/op/squares.c */
#include "op/op.h"
#include "op/rowsum.h"

static int run(const struct pm_node *n, struct pm_err *e)
{
	const struct pm_tensor *x = n->in[0], *y = n->out[0];
	const struct pm_kernel *k = pm_kernel(n->g->dev, "squares", "squares_fwd", NULL, e);
	const double size = (double)(x->rows * x->cols);

	if (!k)
		return -1;
	return PM_LAUNCH(k, pm_rowsum_launch(n->g->dev, x->cols, y->rows, 2 * size, 4 * size), e, PM_AT(y), PM_AT(x), PM_I32(x->rows),
		PM_I32(pm_rowsum_cut(n->g, x->rows).period), PM_I32(x->cols));
}

static const struct pm_op op_squares = {"squares", NULL, run, NULL};

struct pm_tensor *pm_squares(struct pm_graph *g, struct pm_tensor *x)
{
	struct pm_tensor *y;

	if (!x)
		return NULL;
	if (x->type != PM_F32)
		return pm_graph_fail(g, "squares: '%s' is no f32", x->name);
	y = pm_tensor(g, PM_T_TEMP, PM_F32, pm_rowsum_cut(g, x->rows).periods, x->cols, "squares");
	return pm_node(g, &op_squares, 1, &x, 1, &y, NULL, 0) ? y : NULL;
}

/* ---- of each expert: in x, pairs, counts ---- */

struct routed {
	int64_t chosen;                         /* 0: x has a row a pair */
};

static int run_routed(const struct pm_node *n, struct pm_err *e)
{
	const struct routed *at = n->attr;
	const struct pm_tensor *x = n->in[0], *pair = n->in[1], *count = n->in[2], *y = n->out[0];
	const double size = (double)(pair->rows * x->cols);
	const struct pm_kernel *k = pm_kernel(n->g->dev, "squares", "squares_experts", NULL, e);

	if (!k)
		return -1;
	return PM_LAUNCH(k, pm_rowsum_launch(n->g->dev, x->cols, y->rows, 2 * size, 4 * size), e, PM_AT(y), PM_AT(x), PM_MEM(pair->mem), PM_MEM(count->mem),
		PM_I32(count->rows), PM_I32(count->cols), PM_I32(at->chosen), PM_I32(x->cols));
}

static const struct pm_op op_routed = {"squares of experts", NULL, run_routed, NULL};

struct pm_tensor *pm_squares_experts(struct pm_graph *g, struct pm_tensor *x, const struct pm_route *route, bool pairs)
{
	const struct routed at = {pairs ? 0 : route->chosen};
	struct pm_tensor *in[3] = {x, route->pair, route->count}, *y;

	if (!x || !route->pair)
		return NULL;
	if (x->type != PM_F32 || x->rows * (pairs ? 1 : route->chosen) != route->pair->rows)
		return pm_graph_fail(g, "squares of experts: '%s' is no f32 with a row a %s", x->name, pairs ? "pair" : "token");
	y = pm_tensor(g, PM_T_TEMP, PM_F32, route->count->rows * route->count->cols, x->cols, "squares");
	return pm_node(g, &op_routed, 3, in, 1, &y, &at, sizeof at) ? y : NULL;
}
