/* divergence.c: two rows of logits as distributions P and Q over the same tokens: KL(P‖Q) = Σ P·(log P − log Q), the log-probabilities of a target
 * under both, and whether both have the same likeliest token. kernels/divergence.cl, tests/op/divergence.c */
#include "op/op.h"
#include "op/rowsum.h"

static int run(const struct pm_node *n, struct pm_err *e)
{
	const struct pm_tensor *p = n->in[0], *q = n->in[1], *target = n->in[2];
	const struct pm_kernel *k = pm_kernel(n->g->dev, "divergence", "divergence_fwd", NULL, e);
	const double size = (double)(p->rows * p->cols);

	if (!k)
		return -1;
	return PM_LAUNCH(k, pm_row_launch(n->g->dev, p->rows, 1, 40 * size, 32 * size), e, PM_AT(n->out[0]), PM_AT(n->out[1]), PM_AT(n->out[2]),
		PM_AT(p), PM_AT(q), PM_MEM(target->mem), PM_I32(p->cols));
}

static const struct pm_op op_divergence = {"divergence", NULL, run, NULL};

struct pm_tensor *pm_divergence(struct pm_graph *g, struct pm_tensor *p, struct pm_tensor *q, struct pm_tensor *target, struct pm_tensor **logs,
	struct pm_tensor **same)
{
	struct pm_tensor *in[3] = {p, q, target}, *out[3];

	if (!p || !q || !target)
		return NULL;
	if (p->type != PM_F32 || q->type != PM_F32 || p->rows != q->rows || p->cols != q->cols)
		return pm_graph_fail(g, "divergence: '%s' (%lld, %lld) and '%s' (%lld, %lld) are no f32 of one shape", p->name, (long long)p->rows,
			(long long)p->cols, q->name, (long long)q->rows, (long long)q->cols);
	if (target->type != PM_I32 || target->rows != p->rows || target->cols != 1 || !pm_is_dense(target) || target->off)
		return pm_graph_fail(g, "divergence: the targets are no i32 (T, 1)");
	out[0] = pm_tensor(g, PM_T_TEMP, PM_F32, p->rows, 1, "divergence");
	*logs = out[1] = pm_tensor(g, PM_T_TEMP, PM_F32, p->rows, 2, "log-probabilities");
	*same = out[2] = pm_tensor(g, PM_T_TEMP, PM_F32, p->rows, 1, "same top");
	return pm_node(g, &op_divergence, 3, in, 3, out, NULL, 0) ? out[0] : NULL;
}
