/* chain.h: the nodes of a thin graph as stages of a few launches, for CPUs: a thread that sleeps between two launches takes 10 to 20 µs to wake,
 * and decoding has hundreds of them a token. kernels/chain_cpu.cl does the stages, with the arithmetic of the operations' own kernels: the same bits.
 *
 * An operation that can be a stage says so by pm_node.stages, which adds what its run would launch. A stage names the memory that it reads
 * and writes (but for weights and inputs of a run, which no stage writes): from that follows what it must wait for. */
#ifndef PM_GRAPH_CHAIN_H
#define PM_GRAPH_CHAIN_H

#include "graph/graph.h"

#define PM_STAGE_WORDS 30
#define PM_STAGE_IN 4
#define PM_STAGE_ALSO 6

struct pm_chain;

/* Bytes at an address; none where bytes is 0. */
struct pm_range {
	size_t at, bytes;
};

struct pm_stage {
	int op;                                 /* of kernels/chain_cpu.cl, by op/stage.h */
	int64_t tasks;
	int64_t w[PM_STAGE_WORDS];
	struct pm_range in[PM_STAGE_IN], out, also[PM_STAGE_ALSO];     /* also: what else it writes */
	char name[64];                          /* for the profile: the kernel that it would be by itself, and of what */
	double flops, bytes;
};

/* A chain of a plan's nodes, whose tensors have memory; *out NULL where the device takes none, or nothing is gained. */
int pm_chain_new(struct pm_chain **out, const struct pm_graph *g, struct pm_err *e);
void pm_chain_free(struct pm_chain *c);
/* Launches what begins with node number i: *nodes is how many it does, 0 where node i is to be run by itself. */
int pm_chain_run(struct pm_chain *c, size_t i, size_t *nodes, struct pm_err *e);

/* ---- for pm_node.stages ---- */

struct pm_dev *pm_chain_dev(const struct pm_chain *c);
int pm_chain_add(struct pm_chain *c, const struct pm_stage *s, struct pm_err *e);
/* Wants a macro of the kernel to be `value`: false where it is another already. */
bool pm_chain_define(struct pm_chain *c, const char *name, const char *value);
bool pm_chain_define_number(struct pm_chain *c, const char *name, int64_t value);
/* The number i of the macro NAME_i that is `value`, the next one where none is; -1 where there is no room. */
int pm_chain_slot(struct pm_chain *c, const char *name, const char *value);
/* The first word of an earlier stage with the same operation, number of tasks and other words, if nothing has written since to what it read or wrote; or 0. */
int64_t pm_chain_same(const struct pm_chain *c, const struct pm_stage *s);
/* Memory for what only stages read. It is handed out again after some calls. 0: none, see e. */
size_t pm_chain_room(struct pm_chain *c, size_t bytes, struct pm_err *e);

/* The address of an element of a tensor or of its first; 0: NULL, or memory that has no address. And the bytes from there to its end. */
size_t pm_address(const struct pm_tensor *t);
struct pm_range pm_range(const struct pm_tensor *t);

#endif
