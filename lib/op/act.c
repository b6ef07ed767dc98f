/* act.c: y = act(x), or act(x) · up; and the gated one with limits.  kernels/act.cl, act_clamped.cl, tests/op/act.c */
#include <stdio.h>

#include "op/elem.h"
#include "op/op.h"
#include "op/stage.h"

struct attr {
	enum pm_act act;
};

static const struct pm_kernel *kernel(const struct pm_node *n, const char *name, const struct pm_tensor *x, bool gated, struct pm_err *e)
{
	char defines[64];

	snprintf(defines, sizeof defines, "-DACT=%d -DGATED=%d -DTYPE_X=%s", (int)((const struct attr *)n->attr)->act, gated, pm_dtype(x->type)->name);
	return pm_kernel(n->g->dev, "act", name, defines, e);
}

static int run(const struct pm_node *n, struct pm_err *e)
{
	const struct pm_tensor *x = n->in[0], *up = n->in[1], *y = n->out[0], *u = up ? up : x;
	bool cpu = pm_elem_cpu(n->g->dev);
	const struct pm_kernel *k = kernel(n, cpu ? "act_fwd_cpu" : "act_fwd", x, up != NULL, e);

	return k ? PM_LAUNCH(k, pm_elementwise(cpu, y->rows, y->cols, up ? 6 : 5, (up ? 2 : 1) * (double)pm_dtype(x->type)->bytes + 4), e,
		PM_MEM(y->mem), PM_I64(y->off), PM_I64(y->ld), PM_MEM(x->mem), PM_I64(x->off), PM_I64(x->ld),
		PM_MEM(u->mem), PM_I64(u->off), PM_I64(u->ld), PM_I64(y->cols)) : -1;
}

static int run_back(const struct pm_node *n, struct pm_err *e)
{
	const struct pm_tensor *dy = n->in[0], *x = n->in[1], *up = n->in[2], *dx = n->out[0], *dup = n->out[1];
	const struct pm_tensor *u = up ? up : x, *a = dx ? dx : dup, *b = dup ? dup : dx;
	bool cpu = pm_elem_cpu(n->g->dev);
	const struct pm_kernel *k = kernel(n, cpu ? "act_bwd_cpu" : "act_bwd", x, up != NULL, e);

	return k ? PM_LAUNCH(k, pm_elementwise(cpu, x->rows, x->cols, 12, (up ? 2 : 1) * (double)(pm_dtype(x->type)->bytes + 4) + 4), e,
		PM_MEM(a->mem), PM_I64(a->off), PM_I64(a->ld), PM_MEM(b->mem), PM_I64(b->off), PM_I64(b->ld),
		PM_MEM(dy->mem), PM_I64(dy->off), PM_I64(dy->ld), PM_MEM(x->mem), PM_I64(x->off), PM_I64(x->ld),
		PM_MEM(u->mem), PM_I64(u->off), PM_I64(u->ld), PM_I64(x->cols),
		PM_I32(dx ? 1 + n->acc[0] : 0), PM_I32(dup ? 1 + n->acc[1] : 0)) : -1;
}

static const struct pm_op op_back = {"act gradient", NULL, run_back, NULL};

/* The backward node: in dy, x, up; out dx, dup. */
static int add_back(struct pm_graph *g, struct pm_node *n, const struct pm_op *op, size_t attr, struct pm_err *e)
{
	struct pm_tensor *in[3] = {pm_grad_have(n->out[0]), n->in[0], n->in[1]}, *out[2];
	struct pm_node *b;
	bool acc[2];

	(void)e;
	out[0] = pm_grad_want(g, n->in[0], &acc[0]);
	out[1] = pm_grad_want(g, n->in[1], &acc[1]);
	if (!out[0] && !out[1])
		return 0;
	b = pm_node(g, op, 3, in, 2, out, n->attr, attr);
	if (b) {
		b->acc[0] = acc[0];
		b->acc[1] = acc[1];
	}
	return 0;
}

static int grad(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	return add_back(g, n, &op_back, sizeof(struct attr), e);
}

static int stages(const struct pm_node *n, struct pm_chain *c, struct pm_err *e)
{
	const struct pm_tensor *x = n->in[0], *up = n->in[1], *y = n->out[0], *u = up ? up : x;
	const struct pm_stage s = {.op = PM_STAGE_ACT, .name = "act_fwd_cpu", .tasks = pm_stage_some(y), .in = {pm_range(x), pm_range(u)},
		.out = pm_range(y), .w = {(int64_t)pm_address(y), y->ld, (int64_t)pm_address(x), x->ld, (int64_t)pm_address(u), u->ld, y->cols}};

	if (!s.w[0] || x->type != PM_F32 || u->type != PM_F32 || !pm_chain_define_number(c, "ACT", ((const struct attr *)n->attr)->act) || !pm_chain_define_number(c, "GATED", up != NULL))
		return 0;
	return pm_chain_add(c, &s, e) < 0 ? -1 : 1;
}

static const struct pm_op op_act = {"act", NULL, run, grad};

struct pm_tensor *pm_act(struct pm_graph *g, enum pm_act act, struct pm_tensor *x, struct pm_tensor *up)
{
	struct pm_tensor *in[2] = {x, up}, *y;

	if (!x)
		return NULL;
	if ((x->type != PM_F32 && x->type != PM_BF16) || (up && (up->type != x->type || up->rows != x->rows || up->cols != x->cols)))
		return pm_graph_fail(g, "act: '%s' (%lld, %lld) and '%s' are no f32 or bf16 of one shape", x->name, (long long)x->rows, (long long)x->cols,
			up ? up->name : "");
	y = pm_tensor(g, PM_T_TEMP, PM_F32, x->rows, x->cols, "act");
	return pm_cheap(pm_stage_of(y ? pm_node(g, &op_act, 2, in, 1, &y, &(struct attr){act}, sizeof(struct attr)) : NULL, stages)) ? y : NULL;
}

/* ---- (up + 1) · gate · sigmoid(alpha · gate) within limits ---- */

struct clamped {
	float alpha, limit;
};

/* As kernels take it: up is one element behind gate where both lie by turns in one tensor. */
#define AT(t, behind) PM_MEM((t)->mem), PM_I64((t)->off + (behind)), PM_I64((t)->ld)

static int run_clamped(const struct pm_node *n, struct pm_err *e)
{
	const struct clamped *at = n->attr;
	const struct pm_tensor *gate = n->in[0], *up = n->in[1], *y = n->out[0];
	const bool cpu = pm_elem_cpu(n->g->dev);
	const struct pm_kernel *k = pm_kernel(n->g->dev, "act_clamped", cpu ? "act_clamped_fwd_cpu" : "act_clamped_fwd", NULL, e);

	return k ? PM_LAUNCH(k, pm_elementwise(cpu, y->rows, y->cols, 10, 12), e, AT(y, 0), AT(gate, 0), AT(up ? up : gate, !up), PM_I64(y->cols),
		PM_I32(up ? 1 : 2), PM_F32(at->alpha), PM_F32(at->limit)) : -1;
}

/* in dy, gate, up; out dgate, dup */
static int run_clamped_back(const struct pm_node *n, struct pm_err *e)
{
	const struct clamped *at = n->attr;
	const struct pm_tensor *dy = n->in[0], *gate = n->in[1], *up = n->in[2], *dgate = n->out[0], *dup = up ? n->out[1] : dgate;
	const struct pm_tensor *dg = dgate ? dgate : dup, *du = dup ? dup : dgate;
	const bool cpu = pm_elem_cpu(n->g->dev);
	const struct pm_kernel *k = pm_kernel(n->g->dev, "act_clamped", cpu ? "act_clamped_bwd_cpu" : "act_clamped_bwd", NULL, e);

	return k ? PM_LAUNCH(k, pm_elementwise(cpu, dy->rows, dy->cols, 20, 20), e, AT(dg, 0), AT(du, !up), AT(dy, 0), AT(gate, 0), AT(up ? up : gate, !up),
		PM_I64(dy->cols), PM_I32(up ? 1 : 2), PM_F32(at->alpha), PM_F32(at->limit), PM_I32(dgate ? 1 + n->acc[0] : 0),
		PM_I32(dup ? 1 + n->acc[up ? 1 : 0] : 0)) : -1;
}

static const struct pm_op op_clamped_back = {"clamped act gradient", NULL, run_clamped_back, NULL};

static int grad_clamped(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	return add_back(g, n, &op_clamped_back, sizeof(struct clamped), e);
}

static int stages_clamped(const struct pm_node *n, struct pm_chain *c, struct pm_err *e)
{
	const struct clamped *at = n->attr;
	const struct pm_tensor *gate = n->in[0], *up = n->in[1], *y = n->out[0], *u = up ? up : gate;
	const struct pm_stage s = {.op = PM_STAGE_CLAMP, .name = "act_clamped_fwd_cpu", .tasks = pm_stage_some(y), .in = {pm_range(gate), pm_range(u)}, .out = pm_range(y),
		.w = {(int64_t)pm_address(y), y->ld, (int64_t)pm_address(gate), gate->ld, (int64_t)pm_address(u) + (up ? 0 : 4), u->ld, y->cols, up ? 1 : 2,
		pm_stage_real(at->alpha), pm_stage_real(at->limit)}};

	if (!s.w[0] || !pm_chain_define_number(c, "CLAMPED", 1))
		return 0;
	return pm_chain_add(c, &s, e) < 0 ? -1 : 1;
}

static const struct pm_op op_clamped = {"clamped act", NULL, run_clamped, grad_clamped};

struct pm_tensor *pm_act_clamped(struct pm_graph *g, struct pm_tensor *gate, struct pm_tensor *up, float alpha, float limit)
{
	struct pm_tensor *in[2] = {gate, up}, *y;

	if (!gate)
		return NULL;
	if (gate->type != PM_F32 || !(limit > 0) || (up ? up->type != PM_F32 || up->rows != gate->rows || up->cols != gate->cols : gate->cols % 2 != 0))
		return pm_graph_fail(g, "act: '%s' (%lld, %lld) and '%s' are no gates within %g", gate->name, (long long)gate->rows, (long long)gate->cols,
			up ? up->name : "", (double)limit);
	y = pm_tensor(g, PM_T_TEMP, PM_F32, gate->rows, up ? gate->cols : gate->cols / 2, "act");
	return pm_stage_of(pm_node(g, &op_clamped, 2, in, 1, &y, &(struct clamped){alpha, limit}, sizeof(struct clamped)), stages_clamped) ? y : NULL;
}
