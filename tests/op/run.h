/* run.h: private to the harness: the data of a case, and one run of it on a device. */
#ifndef PM_TESTS_OP_RUN_H
#define PM_TESTS_OP_RUN_H

#include "harness.h"

#define MAX_IN 16
#define MAX_OUT 8
#define PAD_LEFT 3                      /* columns beside an OP_VIEW */
#define PAD_RIGHT 5

/* A case's inputs and outputs, whole. Filled by its first run, which must not be a split. */
struct op_data {
	const struct op_test *t;
	const void *row;
	const struct op_case *c;
	uint64_t seed;
	int nin, nout;
	struct op_data_in {
		struct op_in d;
		bool none;
		double *v;                      /* (rows, cols) as rounded to the type */
		unsigned char *blocks;          /* of a block type: the bytes they were read from */
	} in[MAX_IN];
	struct op_data_out {
		int64_t rows, cols;
		unsigned flags;
		bool whole;                     /* not split with the batch */
		enum pm_dtype type;
		double *dy;                     /* the upstream gradient; NULL: none */
	} out[MAX_OUT];
};

/* blocks.c: random blocks of n values of a type that is not plain, and the values, whose mean square is about scale². The caller frees
 * *blocks. */
int op_random_blocks(unsigned char **blocks, double *v, enum pm_dtype type, int64_t n, double scale, uint64_t seed, struct pm_err *e);

/* How to run. */
struct op_how {
	struct pm_dev *dev;
	const char *where;
	bool portable;
	bool grad;                      /* with the backward pass */
	bool second;                    /* gradients have a second contribution, and weights' gradients something in them before */
	bool fresh;                     /* gradients of weights that need not be zeroed (pm_grad_fresh) are NaN before */
	bool keep;                      /* no memory is used twice */
	unsigned char fill;             /* of memory nobody has written */
	int64_t parts;                  /* the batch in so many parts; 0 and 1: whole */
	bool checkpoint;                /* the nodes of the case are run again before their backward nodes */
	bool direct;                    /* inputs without a copy in between (speed) */
};

/* One run, part by part. */
struct op_run {
	struct op_data *data;
	struct op_how how;
	int64_t part;
	int nin, nout;
	struct pm_err err;
	bool failed;
	struct {
		struct pm_tensor *leaf, *x, *dz;
		struct pm_mem *mem, *woven, *grad, *dzmem;
		void *host;
		int64_t rows, wide;             /* of the leaf, in this part */
	} in[MAX_IN];
	struct {
		struct pm_tensor *y;
		struct pm_mem *dy;
	} out[MAX_OUT];
	struct pm_plan *plan;           /* of the last part, until op_run_end */
	struct pm_graph *g;
};

/* What came out: outputs and gradients of the inputs, dense, whole, as float32; NULL where there is none. */
struct op_result {
	float *out[MAX_OUT], *grad[MAX_IN];
	bool pads;                      /* gradients beside a view are 0 (or what the second contribution gave) */
};

int op_execute(struct op_data *d, const struct op_how *how, struct op_result *res, struct pm_err *e);
void op_result_free(struct op_result *r);
void op_data_free(struct op_data *d);

/* The second contribution, and what a weight's gradient held before: a function of input and element. */
double op_before(const struct op_data *d, int in, int64_t i);

/* Builds the graph of a part, with its plan, ready to run. */
int op_prepare(struct op_run *r, struct pm_err *e);
void op_run_end(struct op_run *r);

#endif
