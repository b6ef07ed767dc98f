/* squares.c: y[p] = the sums of x² over the rows of period p, column by column: how large the inputs of a product are.
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
