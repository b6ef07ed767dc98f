/* store.c: cache[row[t]] = x[t].  kernels/rows.cl, tests/op/store.c */
#include <stdio.h>

#include "op/elem.h"
#include "op/op.h"
#include "op/stage.h"

/* in: x, row; the cache is an output, so that what reads it later is seen to depend on this */
static int run(const struct pm_node *n, struct pm_err *e)
{
	const struct pm_tensor *x = n->in[0], *row = n->in[1], *cache = n->out[0];
	bool cpu = pm_elem_cpu(n->g->dev);
	const struct pm_kernel *k;
	char defines[32];

	snprintf(defines, sizeof defines, "-DTYPE_C=%s", pm_dtype(cache->type)->name);
	k = pm_kernel(n->g->dev, "rows", cpu ? "rows_store_cpu" : "rows_store", defines, e);
	return k ? PM_LAUNCH(k, pm_elementwise(cpu, x->rows, x->cols, 0, 4 + pm_dtype(cache->type)->bytes), e,
		PM_MEM(cache->mem), PM_MEM(x->mem), PM_MEM(row->mem), PM_I64(cache->off), PM_I64(cache->rows), PM_I64(x->off), PM_I64(x->ld),
		PM_I64(x->cols)) : -1;
}

static int stages(const struct pm_node *n, struct pm_chain *c, struct pm_err *e)
{
	const struct pm_tensor *x = n->in[0], *row = n->in[1], *cache = n->out[0];
	const struct pm_stage s = {.op = PM_STAGE_STORE, .name = "rows_store_cpu", .tasks = x->rows, .in = {pm_range(x)}, .out = pm_range(cache), .w = {(int64_t)pm_address(cache),
		cache->rows, (int64_t)pm_address(x), x->ld, (int64_t)pm_address(row), x->cols}};

	if (!s.w[0] || !pm_chain_define(c, "TYPE_C", pm_dtype(cache->type)->name))
		return 0;
	return pm_chain_add(c, &s, e) < 0 ? -1 : 1;
}

static const struct pm_op op_store = {"store", NULL, run, NULL};

struct pm_tensor *pm_store(struct pm_graph *g, struct pm_tensor *cache, struct pm_tensor *x, struct pm_tensor *row)
{
	struct pm_tensor *in[2] = {x, row};

	if (!cache || !x || !row)
		return NULL;
	if (x->type != PM_F32 || row->type != PM_I32 || row->rows != x->rows || row->cols != 1 || !pm_is_dense(row) || row->off)
		return pm_graph_fail(g, "store: '%s' is no f32 with one i32 row number a row", x->name);
	if (cache->kind != PM_T_STATE || cache->cols != x->cols || !pm_is_dense(cache) ||
	    (cache->type != PM_F32 && cache->type != PM_F16 && cache->type != PM_BF16))
		return pm_graph_fail(g, "store: '%s' (%lld, %lld) is no cache of f32, f16 or bf16 for rows of %lld", cache->name,
			(long long)cache->rows, (long long)cache->cols, (long long)x->cols);
	return pm_stage_of(pm_node(g, &op_store, 2, in, 1, &cache, NULL, 0), stages) ? cache : NULL;
}
