/* stage.h: what operations tell kernels/chain_cpu.cl, which knows the same numbers. Private to this room. */
#ifndef PM_OP_STAGE_H
#define PM_OP_STAGE_H

#include <string.h>

#include "graph/chain.h"

/* Words, in their order. Matrices are an address and elements from row to row. */
enum {
	PM_STAGE_NORM,                  /* y, x, weight's address, groups, columns of each, eps; a task is a row */
	PM_STAGE_QUANTISE,              /* where to, x, columns, slot of INT8; a task is a row */
	PM_STAGE_INT8,                  /* c, a, b, m, n, k, columns of a task, bias, its type, add, h, l, r, s, scale, slot; of A the address of its rows, rounded; where
	                                 * runs of rows have matrices of their own (or 0) their address, bytes from a matrix to the next, elements from l to l; whether b is
	                                 * woven. A task is some columns, of one run */
	PM_STAGE_FLOAT,                 /* the same with A itself */
	PM_STAGE_ROPE,                  /* y, x, table, heads, columns of each, dims; a task is a row */
	PM_STAGE_STORE,                 /* cache's address and rows, x, row numbers' address, columns; a task is a row */
	PM_STAGE_PART,                  /* parts' address, q, k, v, spans, kv_period, chunks, workers, kv heads, scale, cap; (worker, kv head, row) */
	PM_STAGE_JOIN,                  /* y, parts, spans, sinks, kv_period, chunks, heads; (kv head, row) */
	PM_STAGE_ACT,                   /* y, x, up, columns; (PM_STAGE_SOME columns, row) */
	PM_STAGE_ROUTE,                 /* addresses of experts, weights, pairs, places, counts, runs, room; logits, experts, chosen, all, scale, rows, period, runs */
	PM_STAGE_SPREAD,                /* y, x, pairs' address, chosen, columns; a task is a pair */
	PM_STAGE_COMBINE,               /* out, y, places' address, weights, add, chosen, columns, scale; (PM_STAGE_SOME columns, row) */
	PM_STAGE_ROUND,                 /* where to, x, columns; a task is a row */
	PM_STAGE_PAIRS,                 /* as PM_STAGE_INT8, of A the address of its rows in bfloat16 */
	PM_STAGE_PICK,                  /* addresses of ids picked, ids, drawn; rows; one task */
	PM_STAGE_EMBED,                 /* addresses of y, table, ids; table's rows, columns, scale; (PM_STAGE_SOME columns, row) */
	PM_STAGE_TOPS,                  /* where to (value and id of each task), x, columns, columns of a task; (columns, row) */
	PM_STAGE_DRAW,                  /* addresses of ids, of what PM_STAGE_TOPS wrote; its tasks a row; addresses of settings, logits; columns; address of room
	                                 * for as many; a task is a row */
	PM_STAGE_ADD,                   /* y, x, z, columns, a, b, whether there is z; (PM_STAGE_SOME columns, row) */
	PM_STAGE_LAYER_NORM,            /* y, x, weight's and bias's addresses, groups, columns of each, eps; a task is a row */
	PM_STAGE_CLAMP,                 /* y, gate, up, columns, step, alpha, limit; (PM_STAGE_SOME columns, row) */
};

#define PM_STAGE_SOME 1024               /* SOME of the kernel */

/* Tasks of an operation that works element by element. */
static inline int64_t pm_stage_some(const struct pm_tensor *y)
{
	return y->rows * ((y->cols + PM_STAGE_SOME - 1) / PM_STAGE_SOME);
}

/* A float as a word. */
static inline int64_t pm_stage_real(float f)
{
	int32_t i;

	memcpy(&i, &f, sizeof i);
	return i;
}

/* The node, which can be stages in this way. */
static inline struct pm_node *pm_stage_of(struct pm_node *n, int (*stages)(const struct pm_node *n, struct pm_chain *c, struct pm_err *e))
{
	if (n)
		n->stages = stages;
	return n;
}

#endif
