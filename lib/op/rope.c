/* rope.c: turns pairs of columns of every head by angles (Su et al., "RoFormer: enhanced transformer with rotary position
 * embedding", 2021). The gradient is the turn back. kernels/rope.cl, tests/op/rope.c */
#include "op/op.h"

#include "op/rowsum.h"
#include "op/stage.h"

struct attr {
	int64_t head_dim, dims;
	bool interleaved;
	float sign;                             /* −1: backwards */
};

/* in[]: x (backward: dy), cs; out[]: y (backward: dx). */
static int run(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *a = n->attr;
	const struct pm_tensor *y = n->out[0], *x = n->in[0], *cs = n->in[1];
	const struct pm_kernel *k = pm_kernel(n->g->dev, "rope", "rope_turn", a->interleaved ? "-DINTERLEAVED=1" : "-DINTERLEAVED=0", e);
	const int64_t heads = x->cols / a->head_dim;
	const double size = (double)(x->rows * x->cols);

	if (!k)
		return -1;
	return PM_LAUNCH(k, pm_row_launch(n->g->dev, x->rows, heads, 3 * size, 8 * size), e,
		PM_AT(y), PM_AT(x), PM_AT(cs), PM_I32(heads), PM_I32(a->head_dim), PM_I32(a->dims), PM_F32(a->sign), PM_I32(n->acc[0]));
}

static const struct pm_op op_backward = {"rope_bwd", NULL, run, NULL};

static int grad(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	struct attr a = *(const struct attr *)n->attr;
	struct pm_tensor *in[2] = {pm_grad_have(n->out[0]), n->in[1]}, *dx;
	struct pm_node *b;
	bool acc;

	if (!in[0])
		return 0;
	dx = pm_grad_want(g, n->in[0], &acc);
	if (!dx)
		return pm_graph_ok(g, e);
	a.sign = -a.sign;
	b = pm_node(g, &op_backward, 2, in, 1, &dx, &a, sizeof a);
	if (!b)
		return pm_graph_ok(g, e);
	b->acc[0] = acc;
	return 0;
}

static int stages(const struct pm_node *n, struct pm_chain *c, struct pm_err *e)
{
	const struct attr *a = n->attr;
	const struct pm_tensor *y = n->out[0], *x = n->in[0], *cs = n->in[1];
	const struct pm_stage s = {.op = PM_STAGE_ROPE, .name = "rope_turn", .tasks = x->rows, .in = {pm_range(x)}, .out = pm_range(y), .w = {(int64_t)pm_address(y), y->ld,
		(int64_t)pm_address(x), x->ld, (int64_t)pm_address(cs), cs->ld, x->cols / a->head_dim, a->head_dim, a->dims}};

	if (!s.w[0] || !pm_chain_define_number(c, "INTERLEAVED", a->interleaved))
		return 0;
	return pm_chain_add(c, &s, e) < 0 ? -1 : 1;
}

static const struct pm_op op = {"rope", NULL, run, grad};

struct pm_tensor *pm_rope(struct pm_graph *g, struct pm_tensor *x, struct pm_tensor *cs, int64_t head_dim, int64_t dims, bool interleaved)
{
	const struct attr a = {head_dim, dims, interleaved, 1};
	struct pm_tensor *in[2] = {x, cs}, *y;

	if (!x || !cs)
		return NULL;
	if (x->type != PM_F32 || cs->type != PM_F32)
		return pm_graph_fail(g, "rope: x is %s and the table %s, f32 wanted", pm_dtype(x->type)->name, pm_dtype(cs->type)->name);
	if (head_dim < 1 || x->cols % head_dim != 0)
		return pm_graph_fail(g, "rope: %lld columns are no multiple of the head's %lld", (long long)x->cols, (long long)head_dim);
	if (dims < 2 || dims > head_dim || dims % 2 != 0)
		return pm_graph_fail(g, "rope: %lld dimensions of %lld cannot be turned in pairs", (long long)dims, (long long)head_dim);
	if (cs->rows != x->rows || cs->cols != dims)
		return pm_graph_fail(g, "rope: table (%lld, %lld) wanted, (%lld, %lld) found", (long long)x->rows, (long long)dims,
			(long long)cs->rows, (long long)cs->cols);
	y = pm_tensor(g, PM_T_TEMP, PM_F32, x->rows, x->cols, "rope");
	return pm_cheap(pm_stage_of(y ? pm_node(g, &op, 2, in, 1, &y, &a, sizeof a) : NULL, stages)) ? y : NULL;
}
