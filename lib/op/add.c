/* add.c: y = a·x + b·z.  kernels/add.cl, tests/op/add.c */
#include "op/elem.h"
#include "op/op.h"
#include "op/stage.h"

struct attr {
	float a, b;
};

static int run(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *x = n->in[0], *z = n->in[1], *y = n->out[0];
	bool cpu = pm_elem_cpu(n->g->dev);
	const struct pm_kernel *k = pm_kernel(n->g->dev, "add", cpu ? "add_fwd_cpu" : "add_fwd", NULL, e);

	if (!k)
		return -1;
	/* without z the kernel still gets valid memory, and does not read it as z */
	return PM_LAUNCH(k, pm_elementwise(cpu, y->rows, y->cols, z ? 3 : 1, z ? 12 : 8), e,
		PM_MEM(y->mem), PM_I64(y->off), PM_I64(y->ld), PM_MEM(x->mem), PM_I64(x->off), PM_I64(x->ld),
		PM_MEM(z ? z->mem : x->mem), PM_I64(z ? z->off : 0), PM_I64(z ? z->ld : 0), PM_I64(y->cols),
		PM_F32(at->a), PM_F32(at->b), PM_I32(z != NULL), PM_I32(n->acc[0]));
}

static int grad(struct pm_graph *g, struct pm_node *n, struct pm_err *e);

static const struct pm_op op_add = {"add", NULL, run, grad};

static int grad(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	const struct attr *at = n->attr;
	struct pm_tensor *dy = pm_grad_have(n->out[0]);
	int i;

	(void)e;
	for (i = 0; i < 2; i++) {
		struct attr scale = {i ? at->b : at->a, 0};
		struct pm_tensor *in[2] = {dy, NULL}, *dx;
		struct pm_node *b;
		bool acc;

		dx = pm_grad_want(g, n->in[i], &acc);
		b = dx ? pm_node(g, &op_add, 2, in, 1, &dx, &scale, sizeof scale) : NULL;
		if (b)
			b->acc[0] = acc;
	}
	return 0;
}

static int stages(const struct pm_node *n, struct pm_chain *c, struct pm_err *e)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *x = n->in[0], *z = n->in[1] ? n->in[1] : x, *y = n->out[0];
	const struct pm_stage s = {.op = PM_STAGE_ADD, .name = "add_fwd_cpu", .tasks = pm_stage_some(y), .in = {pm_range(x), pm_range(z)}, .out = pm_range(y),
		.w = {(int64_t)pm_address(y), y->ld, (int64_t)pm_address(x), x->ld, (int64_t)pm_address(z), z->ld, y->cols, pm_stage_real(at->a),
		pm_stage_real(at->b), n->in[1] != NULL}};

	if (!s.w[0] || n->acc[0])
		return 0;
	return pm_chain_add(c, &s, e) < 0 ? -1 : 1;
}

struct pm_tensor *pm_add(struct pm_graph *g, struct pm_tensor *x, struct pm_tensor *z, float a, float b)
{
	struct pm_tensor *in[2] = {x, z}, *y;

	if (!x)
		return NULL;
	if (x->type != PM_F32 || (z && (z->type != PM_F32 || z->rows != x->rows || z->cols != x->cols)))
		return pm_graph_fail(g, "add: '%s' (%lld, %lld) and '%s' are no f32 of one shape", x->name, (long long)x->rows, (long long)x->cols,
			z ? z->name : "");
	y = pm_tensor(g, PM_T_TEMP, PM_F32, x->rows, x->cols, "sum");
	return pm_cheap(pm_stage_of(pm_node(g, &op_add, 2, in, 1, &y, &(struct attr){a, b}, sizeof(struct attr)), stages)) ? y : NULL;
}

int pm_add_into(struct pm_dev *d, struct pm_mem *y, struct pm_mem *x, int64_t count, struct pm_err *e)
{
	bool cpu = pm_elem_cpu(d);
	const struct pm_kernel *k = pm_kernel(d, "add", cpu ? "add_fwd_cpu" : "add_fwd", NULL, e);

	if (!k)
		return -1;
	return PM_LAUNCH(k, pm_elementwise(cpu, 1, count, 1, 12), e, PM_MEM(y), PM_I64(0), PM_I64(count), PM_MEM(x), PM_I64(0), PM_I64(count),
		PM_MEM(x), PM_I64(0), PM_I64(0), PM_I64(count), PM_F32(1), PM_F32(0), PM_I32(0), PM_I32(1));
}

int pm_move_rows(struct pm_dev *d, struct pm_mem *y, struct pm_mem *x, int64_t rows, int64_t cols, const int32_t *row, int64_t n, struct pm_err *e)
{
	const bool cpu = pm_elem_cpu(d);
	const struct pm_kernel *k = pm_kernel(d, "rows", cpu ? "rows_move_cpu" : "rows_move", NULL, e);
	struct pm_mem *which = NULL;
	int r = -1;

	if (!n)
		return 0;
	if (k && pm_mem_new(&which, d, (size_t)n * sizeof *row, e) == 0 && pm_mem_write(which, 0, row, (size_t)n * sizeof *row, e) == 0)
		r = PM_LAUNCH(k, pm_elementwise(cpu, n, cols, 1, 16), e, PM_MEM(y), PM_MEM(x), PM_MEM(which), PM_I64(rows), PM_I64(cols));
	if (r == 0)
		r = pm_dev_finish(d, e);
	pm_mem_free(which);
	return r;
}
