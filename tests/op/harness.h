/* harness.h: tests of operations, one row a case. A test (tests/op/X.c) gives
 *     rows     a table of cases; the rows are structs of the test's own whose first member is `struct op_case c`
 *     build    declares the inputs of a case, builds the operation on them, declares the outputs
 *     ref      computes the outputs in double, plainly, from the inputs as they are after rounding to their types
 * and the harness does the rest, for the portable kernels and for those that the device would get:
 *     outputs against ref; memory that nobody wrote is NaN
 *     gradients against central differences of ref, under random upstream gradients: every element of small inputs, some
 *     elements and some random directions of others; written (first contribution) and added (a second one)
 *     bits: equal for a second run in memory that is reused, for one thread and all, and, where the case has a period,
 *     for the whole batch and one sequence at a time, with the operation run again before its backward pass (checkpointing)
 * Operations outside graphs have `test` instead, and call op_check.
 *
 * `optest [name …]` prints TAP, `optest --speed [name …]` times the rows marked `speed`. */
#ifndef PM_TESTS_OP_HARNESS_H
#define PM_TESTS_OP_HARNESS_H

#include <stdbool.h>
#include <stdint.h>

#include "graph/graph.h"
#include "op/op.h"

struct op_case {
	const char *name;
	int64_t T;                      /* rows of activations (informative for operations that have none) */
	int64_t period;                 /* > 0: T is a multiple of it, and sequences of so many rows may be computed alone */
	double tol, gtol;               /* |a − b| ≤ tol · (|b| + rms of all b); 0: 1e-5 and 5e-5, with bf16 2e-2 and 5e-2 */
	bool bf16, thin, int8;          /* of the graph */
	bool speed;                     /* only measured (and never a test) */
};

enum {
	OP_ROWS = 1,                    /* an activation: its rows belong to the rows of the batch, and are split with it */
	OP_GRAD = 2,                    /* its gradient is tested */
	OP_VIEW = 4,                    /* a view of some columns of a wider matrix, neither aligned nor dense (activations only) */
	OP_INDEX = 8,                   /* values name rows of another OP_ROWS input; negative ones name none. When the batch is split they
	                                 * are counted from the split's first row */
	OP_STATE = 16,                  /* the operation changes it: an output as well */
	OP_NOGRAD = 32,                 /* of outputs: no gradient comes from above */
	OP_WOVEN = 64,                  /* blocks: woven, too (pm_weave), where the device wants that; forward passes alone find nothing else */
};

struct op_in {
	const char *name;
	enum pm_dtype type;             /* f32, f16, bf16, i32; block types (weights without a gradient) */
	int64_t rows, cols;             /* with OP_ROWS: rows in proportion to ctx->T */
	unsigned flags;
	double mean, scale;             /* normal deviates; scale 0 means 1 */
	/* or the values themselves, (rows, cols) of the whole case (not of a split): */
	void (*fill)(double *v, int64_t rows, int64_t cols, const void *row);
	int64_t of;                     /* OP_INDEX: how many rows the indexed input has in the whole case; 0: as many as this */
};

struct op_ctx {
	struct pm_graph *g;
	int64_t T;                      /* rows to build for: row->c.T, or less in a split */
	/* private */
	struct op_run *run;
};

/* Inputs are numbered in order of declaration, and so are outputs: in[i] and out[i] of ref. op_none is an input that this
 * case lacks (in[i] is NULL); it returns NULL. */
struct pm_tensor *op_input(struct op_ctx *c, const struct op_in *in);
struct pm_tensor *op_none(struct op_ctx *c);
void op_output(struct op_ctx *c, struct pm_tensor *y, unsigned flags);

/* What tests of operations outside graphs get. */
struct op_env {
	struct pm_dev *dev;             /* set for each device in turn */
	const char *where;              /* "portable", "fast", "one thread" */
	struct op_report *report;
};
void op_check(struct op_env *env, bool ok, const char *fmt, ...) PM_PRINTF(3, 4);
/* n floats on the device; a failed check where it has no room. */
struct pm_mem *op_floats(struct op_env *env, const float *x, size_t n);

struct op_test {
	const char *name;
	const void *rows;
	size_t size, n;                 /* of one row, and how many */
	void (*build)(struct op_ctx *c, const void *row);
	void (*ref)(const void *row, const double *const *in, double *const *out);
	/* For --speed: operations and bytes of one forward run; back: how many times that the backward run does. */
	void (*cost)(const void *row, double *flops, double *bytes, double *back);
	void (*test)(struct op_env *env);
	/* For --speed of operations outside graphs: runs once, queueing only; called with a NULL row to release what it kept. */
	int (*speed)(struct pm_dev *d, const void *row, void **keep, struct pm_err *e);
};

#define OP_TABLE(t) .rows = (t), .size = sizeof *(t), .n = sizeof (t) / sizeof *(t)

/* What main.c runs. */
struct op_harness {
	struct pm_dev *portable, *fast, *one;
	const char *only;               /* cases whose name holds this; NULL: all */
	int number, failed;
};
void op_run_test(struct op_harness *h, const struct op_test *t);
void op_run_speed(struct op_harness *h, const struct op_test *t);

#endif
