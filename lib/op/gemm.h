/* gemm.h: the products that linear.c and head.c are made of. Private to this room.
 *
 * Bits (see graph.h). An element of C is a sum of chains: blocks of k of a fixed size that begin anew at each multiple of
 * `period`, each block one chain of fma from zero (of products, of pairs of them, or of sums of 32 whole numbers), added to C one after the
 * other; the last one goes on over H's columns. It depends on its row of A and its column of B, and on nothing else: not on m, on where it lies, or on the number of threads. */
#ifndef PM_OP_GEMM_H
#define PM_OP_GEMM_H

#include <stdbool.h>
#include <stdint.h>

#include "base/dtype.h"
#include "dev/dev.h"
#include "graph/graph.h"
#include "op/op.h"

/* A matrix in memory: element (r, c) at off + r·ld + c. */
struct pm_mat {
	struct pm_mem *mem;
	enum pm_dtype type;
	int64_t off, ld;
	struct pm_mem *woven;           /* the same, woven (weave.c); or NULL */
};

static inline struct pm_mat pm_mat(const struct pm_tensor *t)
{
	return (struct pm_mat){t->mem, t->type, t->off, t->ld, t->woven};
}

/* Whether the woven matrix serves for it: its first row is a multiple of what is woven together. */
static inline bool pm_is_woven(struct pm_mat m)
{
	return m.woven && m.off % (PM_WOVEN_ROWS * m.ld) == 0;
}

/* Dense floats in a node's scratch memory, `at` bytes from its start. */
static inline struct pm_mat pm_scratch_mat(const struct pm_node *n, size_t at, int64_t cols)
{
	return (struct pm_mat){.mem = n->scratch, .type = PM_F32, .off = (int64_t)at / 4, .ld = cols};
}

/* Whether a product takes t as weights: rows are whole blocks, also those of a view. */
static inline bool pm_is_weight(const struct pm_tensor *t)
{
	const int64_t block = pm_dtype(t->type)->block;

	return pm_op_takes(t->type) && t->ld % block == 0 && t->off % block == 0;
}

/* As pm_is_weight, one by one: biases, what is summed over. */
static inline bool pm_is_plain_weight(const struct pm_tensor *t)
{
	return t->type == PM_F32 || t->type == PM_F16 || t->type == PM_BF16;
}

static inline int64_t pm_ceil_div(int64_t a, int64_t b)
{
	return (a + b - 1) / b;
}

/* C (m, n) = A (m, k) · B (k, n) + s · H (m, r) · L (r, n), or C += with acc; then, with finish, C = scale · (C + bias) + add. */
struct pm_gemm {
	int64_t m, n, k;
	struct pm_mat a, b, c;          /* A and C float32 (C bf16, see pm_gemm_narrows), B any type that weights are stored in */
	bool a_trans, b_trans;          /* A is stored (k, m); B is stored (n, k) */
	bool acc;
	bool bf16;                      /* operands may be rounded to bf16, or to something finer */
	int64_t period;                 /* of k; 0: all of it */
	float alpha;                    /* A is taken times alpha; 0 means 1 */
	struct pm_mat live;             /* i32, one for every 16 rows of A and C: 0 where all may be left out. Their C is zero (or,
	                                 * with acc, as it was). mem NULL: all are wanted */
	bool finish;
	struct pm_mat bias;             /* (1, n), any such type; mem NULL: none */
	float scale;                    /* 0 means 1 */
	struct pm_mat add;              /* (m, n) float32; mem NULL: none */
	struct pm_mat h, l;             /* what LoRA adds, float32, in one period */
	int64_t r;                      /* 0: nothing */
	float s;
	bool l_trans;                   /* L is stored (n, r) */
	const struct pm_gemm *first;    /* NULL, or a product of the same A, alpha, period and live that is done before; A is packed once for both. It may
	                                 * make H */
};

/* Whether C may be bf16, rounded as it is written. */
bool pm_gemm_narrows(const struct pm_dev *d, const struct pm_gemm *p);

/* Bytes of scratch for a product and for any like it with smaller m or (in one period) k, a multiple of the device's alignment; the matrices' memory need not be set. */
size_t pm_gemm_scratch(const struct pm_dev *d, const struct pm_gemm *p);

/* Queues it; nothing where m, n or k is 0. at: where its part of the scratch memory begins, a multiple of 64 bytes. */
int pm_gemm(struct pm_dev *d, const struct pm_gemm *p, struct pm_mem *scratch, size_t at, struct pm_err *e);

/* C (m, n) = scale · (A (m, k) · B (n, k)ᵀ + bias + s · H (m, r) · L (n, r)ᵀ) + add for few rows: B is walked once for 16 rows
 * at a time. Or B (k, n) as stored, without trans. A row's bits depend on the row alone. */
struct pm_thin {
	int64_t m, n, k;
	struct pm_mat a, b, c;
	bool b_trans;
	struct pm_mat bias, add;        /* mem NULL: none */
	struct pm_mat h, l;             /* LoRA; mem NULL: none. float32 */
	int64_t r;
	float s, scale;                 /* scale 0 means 1 */
	bool int8;                      /* A may be rounded to 8 bits, a scale every 32 values, where B lies in blocks */
	bool bf16;                      /* A may be rounded to bfloat16 where B is stored so */
	struct pm_mem *runs;            /* rows of A and C go in runs to matrices of their own (pm_route.runs), b_step elements apart, and so do */
	int64_t slots, b_step, l_step;  /* bias (by n) and l; m is the rows of all, slots how many runs there may be, add NULL. runs NULL: no */
};

int pm_thin(struct pm_dev *d, const struct pm_thin *p, struct pm_err *e);

/* Whether products of bfloat16 are faster than those of float32: vdpbf16ps runs at twice the rate on AMD's CPUs, at half of it on Intel's. */
bool pm_op_pairs(const struct pm_dev *d);

/* The same as stages of a chain: 1, or 0 where it cannot be one. */
int pm_thin_stages(struct pm_chain *c, const struct pm_thin *p, struct pm_err *e);

#endif
