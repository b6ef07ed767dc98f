/* linear.h: what a linear layer is made of, for layers of many such products (experts.c), each run as a node of its own with these operations:
 * tensors that need be in no graph, and an attr of pm_linear_attr. Private to this room. */
#ifndef PM_OP_LINEAR_H
#define PM_OP_LINEAR_H

#include "op/gemm.h"
#include "op/op.h"

/* In: x, W, bias, A, B, add, rng (NULL where there is none); out: y and, with A, h = A·drop(x). */
extern const struct pm_op pm_linear_op;
/* dadd (=, +=) dy: in dy. */
extern const struct pm_op pm_linear_dadd;

/* A node of the gradient: what is done, and whether to add to out[0]. */
struct pm_linear_part {
	const struct pm_op *op;
	const void *attr;                       /* NULL: there was no memory, which the graph knows */
	int nin;
	struct pm_tensor *in[5], *out[2];       /* any may be NULL */
	bool acc;
	unsigned stacks;                        /* bits: which inputs are weights; the others have a row for each of x */
	bool sums;                              /* the output is a weight's gradient: a sum over rows */
};
typedef void pm_linear_add(struct pm_graph *g, struct pm_node *n, const struct pm_linear_part *p);

/* Adds, by `add`, the nodes of the gradient of n, whose inputs and outputs are those of pm_linear_op, and attr as of pm_linear_attr. */
int pm_linear_grads(struct pm_graph *g, struct pm_node *n, const void *attr, pm_linear_add *add);

/* pm_linear_op's run in a graph of few rows, of rows that go in runs to matrices of their own: W, bias, A and B are the first, the others lie behind
 * them (pm_route.runs). It returns without waiting for what says where they go. */
int pm_linear_runs(const struct pm_node *n, const struct pm_tensor *runs, struct pm_err *e);

/* The same, or (runs NULL) pm_linear_op's run, as stages of a chain: 1, or 0 where it cannot be. */
int pm_linear_stages(const struct pm_node *n, const struct pm_tensor *runs, struct pm_chain *c, struct pm_err *e);

/* The attr of such a node, in the graph's arena; NULL where there was no memory. */
const void *pm_linear_attr(struct pm_graph *g, const struct pm_linear_opts *opts);

/* db (1, cols) (=, with acc +=) scale · the sum of the rows of dy (rows, cols): each period's, one after the other. n: whose graph. */
int pm_linear_bias_grad(const struct pm_node *n, struct pm_mat db, struct pm_mat dy, int64_t rows, int64_t cols, float scale, bool acc, struct pm_err *e);

#endif
