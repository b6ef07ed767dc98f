/* graph.h: what is to be computed, before anything is: tensors, nodes, the gradient of a graph, and the plan that gives every
 * tensor its memory and runs the nodes.
 *
 * A tensor is a matrix (rows, cols), row-major, `ld` elements from one row to the next. Activations have one row a token;
 * heads lie side by side in the columns, and the operations that care are told how many. A view is another tensor on
 * the same memory, with its own `off` and `ld`.
 *
 * A graph is built once for a shape and run many times. It lives in an arena: graph, tensors and nodes are freed together. A
 * constructor that fails returns NULL and leaves the reason in the graph; constructors given NULL return NULL. So a builder
 * may go on and ask once, at the end (pm_graph_ok).
 *
 * Bits. Every result has one order of summation, whatever the number of threads and however a batch is split: an element of
 * an activation depends on its own row (and the rows its spans name), and whatever sums over rows (gradients of weights)
 * sums within each `period` of rows and adds the periods one after the other into the result. */
#ifndef PM_GRAPH_GRAPH_H
#define PM_GRAPH_GRAPH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/err.h"
#include "base/mem.h"
#include "dev/dev.h"

#define PM_NODE_IN 12
#define PM_NODE_OUT 6

enum pm_tensor_kind {
	PM_T_WEIGHT,            /* memory given from outside, shared by plans, never owned by one */
	PM_T_INPUT,             /* written by the host before a run (pm_plan_write) */
	PM_T_STATE,             /* memory from outside that a run changes: KV caches, accumulated gradients */
	PM_T_TEMP,              /* the plan's: lives from its first writer to its last reader */
};

struct pm_node;
struct pm_rect;
struct pm_chain;

struct pm_tensor {
	const char *name;                       /* for messages, --plan and the profile */
	enum pm_tensor_kind kind;
	enum pm_dtype type;
	int64_t rows, cols, ld, off;            /* in elements; off and ld as seen from the memory's start */
	struct pm_tensor *base;                 /* a view: whose memory it is; else NULL */
	struct pm_mem *mem;                     /* WEIGHT, STATE: given; TEMP, INPUT: set by the plan; views: their base's */
	struct pm_mem *woven;                   /* a weight: the same values in another order (op.h), for products; or NULL */
	int64_t parts;                          /* a stack of so many equal matrices, one below the other (experts); 0: no stack */
	struct pm_mem **part;                   /* a stack whose matrices lie in memory of their own, dense: `parts` of them, and mem is NULL */
	bool trains;                            /* a weight whose gradient is wanted */
	bool keep;                              /* a result: its memory is not reused, pm_plan_read finds it after a run */
	struct pm_tensor *grad;                 /* dLoss/dthis: a TEMP made by pm_grad, or the STATE given for a weight */
	/* private to the graph room */
	bool needs;                             /* a gradient flows through it */
	struct pm_rect *written;                /* parts of the gradient that hold something */
	struct pm_tensor *orig, *clone;         /* checkpointing: what it repeats; what repeats it, while its segment is at work */
	int64_t first, last;                    /* nodes between which its memory is its own */
	int64_t slot;
};

struct pm_graph {
	struct pm_arena arena;
	struct pm_dev *dev;
	int64_t period;                         /* rows of one sequence; see "Bits" above. 0: all rows are one */
	bool bf16;                              /* products may round their operands to bf16 */
	bool int8;                              /* products of few rows with weights in blocks may round theirs to 8 bits */
	bool thin;                              /* few rows (decoding): products are done row by row, see op.h linear */
	bool chain;                             /* nodes may be done by few launches (chain.h), with the same bits */
	struct pm_node **nodes;
	size_t nnodes, cap_nodes;
	struct pm_tensor **tensors;
	size_t ntensors, cap_tensors;
	size_t forward_nodes;                   /* how many nodes stand before the backward ones */
	int segment;                            /* of the nodes being added, for checkpointing; 0: none */
	struct pm_err err;
	bool failed;
};

/* An operation: one entry a kind, in lib/op. The graph calls through it and knows no operation by name. */
struct pm_op {
	const char *name;
	/* Bytes of device memory that one run of the node needs beside its tensors (NULL: none). */
	size_t (*scratch)(const struct pm_node *n);
	/* Queues the launches. */
	int (*run)(const struct pm_node *n, struct pm_err *e);
	/* Adds to g the nodes that turn gradients of n's outputs (pm_grad_have) into gradients of its inputs (pm_grad_want).
	 * NULL: the operation has no gradient, an error where one is asked for. */
	int (*grad)(struct pm_graph *g, struct pm_node *n, struct pm_err *e);
};

struct pm_node {
	const struct pm_op *op;
	struct pm_graph *g;
	struct pm_tensor *in[PM_NODE_IN], *out[PM_NODE_OUT];    /* optional ones may be NULL */
	int nin, nout;
	bool acc[PM_NODE_OUT];                  /* output is added to, not written (gradients): set after pm_node */
	const void *attr;                       /* the operation's own constants, in the arena; never pointers to tensors: a node run
	                                         * again has other ones (in and out have them) */
	int segment;
	bool cheap;                             /* a pass over memory: run again in the backward pass where that saves keeping what it made
	                                         * (pm_grad). Set by pm_cheap */
	bool overwrites;                        /* with acc false, what an output held does not matter: all of it is written. Set by pm_overwrites */
	bool narrows;                           /* out[0], made as float32, may become bfloat16 before anything reads it, and is then rounded as it
	                                         * is written. Set after pm_node */
	bool again;                             /* private: a forward node repeated in the backward pass */
	struct pm_mem *scratch;                 /* set by the plan while it runs */
	/* Adds what run would launch to a chain (chain.h): 1, or 0 where it cannot. Set after pm_node; NULL: it never can. */
	int (*stages)(const struct pm_node *n, struct pm_chain *c, struct pm_err *e);
};

int pm_graph_new(struct pm_graph **out, struct pm_dev *d, struct pm_err *e);
void pm_graph_free(struct pm_graph *g);
int pm_graph_ok(struct pm_graph *g, struct pm_err *e);          /* 0, or −1 and the first failure of a constructor */

/* Records a failure and returns NULL (for constructors). */
void *pm_graph_fail(struct pm_graph *g, const char *fmt, ...) PM_PRINTF(2, 3);

struct pm_tensor *pm_tensor(struct pm_graph *g, enum pm_tensor_kind kind, enum pm_dtype type, int64_t rows, int64_t cols, const char *name);
struct pm_tensor *pm_tensor_of(struct pm_graph *g, enum pm_tensor_kind kind, enum pm_dtype type, int64_t rows, int64_t cols,
	struct pm_mem *mem, const char *name);
/* Columns from .. from+cols of t; and rows. */
struct pm_tensor *pm_view_cols(struct pm_graph *g, struct pm_tensor *t, int64_t from, int64_t cols);
struct pm_tensor *pm_view_rows(struct pm_graph *g, struct pm_tensor *t, int64_t from, int64_t rows);

/* Adds a node: in/out arrays of n entries (copied), attr of `size` bytes (copied). Marks outputs as needing a gradient if an input
 * does. Returns NULL on failure. */
struct pm_node *pm_node(struct pm_graph *g, const struct pm_op *op, int nin, struct pm_tensor *const *in,
	int nout, struct pm_tensor *const *out, const void *attr, size_t size);

/* Marks a node (NULL: none was made) as cheap, and returns it. */
static inline struct pm_node *pm_cheap(struct pm_node *n)
{
	if (n)
		n->cheap = true;
	return n;
}

/* The same for a node that writes the whole of each output where it does not add. */
static inline struct pm_node *pm_overwrites(struct pm_node *n)
{
	if (n)
		n->overwrites = true;
	return n;
}

static inline bool pm_is_view(const struct pm_tensor *t) { return t->base != NULL; }
static inline bool pm_is_dense(const struct pm_tensor *t) { return t->ld == t->cols; }

/* ---- gradients ---- */

/* Adds the backward nodes for everything that leads to tensors with `trains` set. Before: give the gradients of the results
 * with pm_grad_seed, and set w->grad (a STATE tensor, float32, same shape; added to, see pm_grad_fresh) on every weight that trains.
 * checkpoint: nodes of a segment (g->segment > 0 while they were added) are run again in the backward pass instead of
 * keeping what they made; the gradients are the same bits. Without it that is done to cheap nodes of a segment whose outputs
 * no other segment reads, and whose inputs are kept anyway. */
void pm_grad_seed(struct pm_tensor *y, struct pm_tensor *dy);
int pm_grad(struct pm_graph *g, bool checkpoint, struct pm_err *e);

/* For pm_op.grad. The gradient that reaches an output, or NULL if none does. */
struct pm_tensor *pm_grad_have(const struct pm_tensor *y);
/* Gradients of weights are added to what is there. After this, with `fresh`, they are so only where pm_grad_is_fresh says no: elsewhere the first
 * contribution of a run takes the place of what was there, which need not be zeroed; without it all are added again. After pm_grad. */
void pm_grad_fresh(struct pm_graph *g, bool fresh);
/* Whether `grad`, the memory of a weight's gradient, is wholly written by the first node that adds to it. */
bool pm_grad_is_fresh(const struct pm_graph *g, const struct pm_mem *grad);
/* Where to put the gradient of an input: NULL if nobody wants it; *acc says whether to add (a weight; a tensor that had
 * another reader) or to write. Each call counts as one contribution, so ask only when the node will be added. */
struct pm_tensor *pm_grad_want(struct pm_graph *g, struct pm_tensor *x, bool *acc);
/* For a node whose output's gradient dy is that of its input x as it is: it becomes it, or is added. Nothing else may read dy. */
void pm_grad_pass(struct pm_graph *g, struct pm_tensor *x, struct pm_tensor *dy);

/* ---- plans ---- */

struct pm_plan;

struct pm_plan_sizes {
	uint64_t weights, state, input, temp;   /* bytes; temp is what the arena needs after reuse, scratch in it */
	uint64_t scratch;                       /* the most that one node needs beside its tensors (part of temp) */
	uint64_t temp_sum;                      /* what temp would be without reuse */
};

/* Gives every tensor its place; allocates nothing yet. The graph must outlive the plan, and has one plan at a time. */
int pm_plan_new(struct pm_plan **out, struct pm_graph *g, struct pm_err *e);
void pm_plan_sizes(const struct pm_plan *p, struct pm_plan_sizes *s);
/* Two plans may share one arena if they never run at once: the second is given the first (the one that needs more should come
 * first: what does not fit is allocated beside it). NULL: its own. Inputs are never shared. Fails with status 69 and the
 * sizes where the device has no room. */
int pm_plan_alloc(struct pm_plan *p, struct pm_plan *share, struct pm_err *e);
/* All rows × cols, dense on the host. An input of a plan whose last run is known to be done (pm_dev_wait) is written at once, though more is queued. */
int pm_plan_write(struct pm_plan *p, struct pm_tensor *t, const void *data, struct pm_err *e);
int pm_plan_read(struct pm_plan *p, struct pm_tensor *t, void *data, struct pm_err *e);
/* Sets every byte of the arena, for tests: 0xff makes every float a NaN. */
int pm_plan_fill(struct pm_plan *p, unsigned char byte, struct pm_err *e);
int pm_plan_run(struct pm_plan *p, struct pm_err *e);           /* queues and starts every node; an error names operation and output */
void pm_plan_free(struct pm_plan *p);

#endif
