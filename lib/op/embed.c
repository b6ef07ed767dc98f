/* embed.c: rows of a table, with an adapter.  kernels/embed.cl, tests/op/embed.c */
#include <stdio.h>

#include "op/elem.h"
#include "op/op.h"
#include "op/stage.h"

struct attr {
	float scale, s;
};

/* in: ids, W, A, B (both NULL without an adapter) */
static int run(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *ids = n->in[0], *w = n->in[1], *a = n->in[2], *b = n->in[3], *y = n->out[0];
	bool cpu = pm_elem_cpu(n->g->dev) && !a;
	const struct pm_kernel *k;
	struct pm_launch l;
	char defines[32];

	snprintf(defines, sizeof defines, "-DTYPE_E=%s", pm_dtype(w->type)->name);
	k = pm_kernel(n->g->dev, "embed", cpu ? "embed_fwd_cpu" : "embed_fwd", defines, e);
	if (!k)
		return -1;
	l = pm_elementwise(cpu, y->rows, y->cols, a ? 2.0 * (double)a->rows : 1, 4 + (double)pm_dtype(w->type)->bytes / pm_dtype(w->type)->block);
	if (cpu)
		return PM_LAUNCH(k, l, e, PM_MEM(y->mem), PM_MEM(w->mem), PM_MEM(ids->mem), PM_I64(w->off), PM_I64(w->rows), PM_I64(w->cols),
			PM_F32(at->scale));
	return PM_LAUNCH(k, l, e, PM_MEM(y->mem), PM_MEM(w->mem), PM_MEM(ids->mem), PM_MEM(a ? a->mem : y->mem), PM_MEM(a ? b->mem : y->mem),
		PM_I64(w->off), PM_I64(w->rows), PM_I64(w->cols), PM_I32(a ? a->rows : 0), PM_F32(at->scale), PM_F32(at->s));
}

/* ---- gradient of the table: in ids, dy; out dW ---- */

static int run_back_w(const struct pm_node *n, struct pm_err *e)
{
	const struct pm_tensor *ids = n->in[0], *dy = n->in[1], *dw = n->out[0];
	bool cpu = pm_elem_cpu(n->g->dev);
	const struct pm_kernel *k = pm_kernel(n->g->dev, "embed", cpu ? "embed_bwd_w_cpu" : "embed_bwd_w", NULL, e);
	struct pm_launch l = pm_elem_launch(1, dw->cols);
	double count = (double)dy->rows * (double)dy->cols;

	if (!k)
		return -1;
	if (!n->acc[0] && pm_mem_zero(dw->mem, (size_t)dw->off * 4, (size_t)(dw->rows * dw->cols) * 4, e) < 0)
		return -1;
	if (cpu)
		l = (struct pm_launch){.global = {(size_t)(dw->cols + 63) / 64}, .local = {1}};
	l.flops = 2 * count;
	l.bytes = 12 * count;
	return PM_LAUNCH(k, l, e, PM_MEM(dw->mem), PM_MEM(dy->mem), PM_MEM(ids->mem), PM_I64(dw->off), PM_I64(dy->rows), PM_I64(dw->rows),
		PM_I64(dw->cols), PM_F32(((const struct attr *)n->attr)->scale));
}

static const struct pm_op op_back_w = {"embed gradient w", NULL, run_back_w, NULL};

/* ---- gradients of the adapter: in ids, dy, A, B; out dA, dB ---- */

/* s · dy · B, then the columns of A that the ids name: (T, r) each */
static size_t scratch_back_ab(const struct pm_node *n)
{
	return (size_t)(n->in[1]->rows * n->in[2]->rows) * 4;
}

static int back_a(const struct pm_node *n, struct pm_launch l, bool cpu, struct pm_err *e)
{
	const struct pm_tensor *ids = n->in[0], *dy = n->in[1], *a = n->in[2], *b = n->in[3], *da = n->out[0];
	const struct pm_kernel *ku = pm_kernel(n->g->dev, "embed", cpu ? "embed_bwd_u_cpu" : "embed_bwd_u", NULL, e), *ka;

	ka = ku ? pm_kernel(n->g->dev, "embed", "embed_bwd_a", NULL, e) : NULL;
	if (!ka || (!n->acc[0] && pm_mem_zero(da->mem, 0, (size_t)(da->rows * da->cols) * 4, e) < 0))
		return -1;
	if (PM_LAUNCH(ku, l, e, PM_MEM(n->scratch), PM_MEM(dy->mem), PM_MEM(b->mem), PM_I64(dy->cols), PM_I32(a->rows),
	    PM_F32(((const struct attr *)n->attr)->s)) < 0)
		return -1;
	return PM_LAUNCH(ka, pm_elem_launch(1, a->rows), e, PM_MEM(da->mem), PM_MEM(n->scratch), PM_MEM(ids->mem), PM_I64(dy->rows),
		PM_I64(a->cols), PM_I32(a->rows));
}

static int back_b(const struct pm_node *n, struct pm_launch l, bool cpu, struct pm_err *e)
{
	const struct pm_tensor *ids = n->in[0], *dy = n->in[1], *a = n->in[2], *b = n->in[3], *db = n->out[1];
	const struct pm_kernel *kc = cpu ? pm_kernel(n->g->dev, "embed", "embed_columns_cpu", NULL, e) : NULL, *kb;
	float s = ((const struct attr *)n->attr)->s;

	kb = kc || !cpu ? pm_kernel(n->g->dev, "embed", cpu ? "embed_bwd_b_cpu" : "embed_bwd_b", NULL, e) : NULL;
	if (!kb)
		return -1;
	if (!cpu) {
		l.global[1] = (size_t)b->rows;
		return PM_LAUNCH(kb, l, e, PM_MEM(db->mem), PM_MEM(dy->mem), PM_MEM(ids->mem), PM_MEM(a->mem), PM_I64(dy->rows),
			PM_I64(a->cols), PM_I64(dy->cols), PM_I32(a->rows), PM_F32(s), PM_I32(n->acc[1]));
	}
	if (PM_LAUNCH(kc, ((struct pm_launch){.global = {(size_t)dy->rows}, .local = {1}}), e, PM_MEM(n->scratch), PM_MEM(ids->mem),
	    PM_MEM(a->mem), PM_I64(a->cols), PM_I32(a->rows)) < 0)
		return -1;
	l.global[0] = (size_t)(dy->cols + 15) / 16;
	return PM_LAUNCH(kb, l, e, PM_MEM(db->mem), PM_MEM(dy->mem), PM_MEM(n->scratch), PM_I64(dy->rows), PM_I64(dy->cols),
		PM_I32(a->rows), PM_F32(s), PM_I32(n->acc[1]));
}

static int run_back_ab(const struct pm_node *n, struct pm_err *e)
{
	const struct pm_tensor *dy = n->in[1], *a = n->in[2];
	bool cpu = pm_elem_cpu(n->g->dev);
	struct pm_launch l = pm_elem_launch(dy->rows, a->rows);

	if (cpu)
		l = (struct pm_launch){.global = {(size_t)dy->rows}, .local = {1}};
	l.flops = 2.0 * (double)dy->rows * (double)dy->cols * (double)a->rows;
	l.bytes = 4.0 * (double)dy->rows * (double)dy->cols;
	if (n->out[0] && back_a(n, l, cpu, e) < 0)
		return -1;
	return n->out[1] ? back_b(n, l, cpu, e) : 0;
}

static const struct pm_op op_back_ab = {"embed gradient lora", scratch_back_ab, run_back_ab, NULL};

static int grad(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	struct pm_tensor *in[4] = {n->in[0], pm_grad_have(n->out[0]), n->in[2], n->in[3]}, *out[2];
	struct pm_node *b;
	bool acc[2];

	(void)e;
	out[0] = pm_grad_want(g, n->in[1], &acc[0]);
	b = out[0] ? pm_node(g, &op_back_w, 2, in, 1, out, n->attr, sizeof(struct attr)) : NULL;
	if (b)
		b->acc[0] = acc[0];
	out[0] = pm_grad_want(g, n->in[2], &acc[0]);
	out[1] = pm_grad_want(g, n->in[3], &acc[1]);
	b = out[0] || out[1] ? pm_node(g, &op_back_ab, 4, in, 2, out, n->attr, sizeof(struct attr)) : NULL;
	if (b) {
		b->acc[0] = acc[0];
		b->acc[1] = acc[1];
	}
	return 0;
}

static int stages(const struct pm_node *n, struct pm_chain *c, struct pm_err *e)
{
	const struct pm_tensor *ids = n->in[0], *w = n->in[1], *y = n->out[0];
	const struct pm_stage s = {.op = PM_STAGE_EMBED, .name = "embed_fwd_cpu", .tasks = pm_stage_some(y), .in = {pm_range(ids)},
		.out = pm_range(y), .w = {(int64_t)pm_address(y), (int64_t)pm_address(w), (int64_t)pm_address(ids), w->rows, w->cols,
		pm_stage_real(((const struct attr *)n->attr)->scale)}, .bytes = (double)pm_dtype_bytes(w->type, (uint64_t)(y->rows * y->cols)) + 4 * (double)(y->rows * y->cols)};

	if (!s.w[0] || !s.w[1] || n->in[2] || !pm_chain_define(c, "TYPE_E", pm_dtype(w->type)->name))
		return 0;
	return pm_chain_add(c, &s, e) < 0 ? -1 : 1;
}

static const struct pm_op op_embed = {"embed", NULL, run, grad};

struct pm_tensor *pm_embed(struct pm_graph *g, struct pm_tensor *ids, struct pm_tensor *w, float scale,
	struct pm_tensor *a, struct pm_tensor *b, float s)
{
	struct pm_tensor *in[4] = {ids, w, a, b}, *y;

	if (!ids || !w)
		return NULL;
	if (ids->type != PM_I32 || ids->cols != 1 || !pm_is_dense(ids) || ids->off)
		return pm_graph_fail(g, "embed: ids are no i32 (T, 1)");
	if (!pm_op_takes(w->type) || !pm_is_dense(w))
		return pm_graph_fail(g, "embed: '%s' is no dense table of a type that weights have", w->name);
	if (!a != !b || (a && (a->type != PM_F32 || b->type != PM_F32 || a->cols != w->rows || b->rows != w->cols || a->rows != b->cols ||
	    !pm_is_dense(a) || !pm_is_dense(b) || a->off || b->off)))
		return pm_graph_fail(g, "embed: the adapter of '%s' (%lld, %lld) wants A (r, %lld) and B (%lld, r) in f32", w->name,
			(long long)w->rows, (long long)w->cols, (long long)w->rows, (long long)w->cols);
	y = pm_tensor(g, PM_T_TEMP, PM_F32, ids->rows, w->cols, "embed");
	return pm_stage_of(pm_node(g, &op_embed, 4, in, 1, &y, &(struct attr){scale, s}, sizeof(struct attr)), stages) ? y : NULL;
}

/* ---- ids, some of them drawn by a run before ---- */

static int run_pick(const struct pm_node *n, struct pm_err *e)
{
	const struct pm_tensor *ids = n->in[0], *drawn = n->in[1], *y = n->out[0];
	const struct pm_kernel *k = pm_kernel(n->g->dev, "embed", "embed_pick", NULL, e);

	return k ? PM_LAUNCH(k, ((struct pm_launch){.global = {(size_t)y->rows}}), e, PM_MEM(y->mem), PM_MEM(ids->mem), PM_MEM(drawn->mem)) : -1;
}

static int stages_pick(const struct pm_node *n, struct pm_chain *c, struct pm_err *e)
{
	const struct pm_tensor *ids = n->in[0], *drawn = n->in[1], *y = n->out[0];
	const struct pm_stage s = {.op = PM_STAGE_PICK, .name = "embed_pick", .tasks = 1, .in = {pm_range(drawn)}, .out = pm_range(y),
		.w = {(int64_t)pm_address(y), (int64_t)pm_address(ids), (int64_t)pm_address(drawn), y->rows}};

	if (!s.w[0])
		return 0;
	return pm_chain_add(c, &s, e) < 0 ? -1 : 1;
}

static const struct pm_op op_pick = {"pick", NULL, run_pick, NULL};

struct pm_tensor *pm_pick(struct pm_graph *g, struct pm_tensor *ids, struct pm_tensor *drawn)
{
	struct pm_tensor *in[2] = {ids, drawn}, *y;

	if (!ids || !drawn)
		return NULL;
	if (ids->type != PM_I32 || drawn->type != PM_I32 || ids->cols != 1 || drawn->cols != 1 || !pm_is_dense(ids) || !pm_is_dense(drawn) || ids->off || drawn->off)
		return pm_graph_fail(g, "pick: '%s' or '%s' is no i32 (T, 1)", ids->name, drawn->name);
	y = pm_tensor(g, PM_T_TEMP, PM_I32, ids->rows, 1, "picked");
	return pm_stage_of(pm_node(g, &op_pick, 2, in, 1, &y, NULL, 0), stages_pick) ? y : NULL;
}
