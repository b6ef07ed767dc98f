/* pairs.h: pairs of a row and an expert (struct pm_route), as the files of experts share them. Private to this room. */
#ifndef PM_OP_PAIRS_H
#define PM_OP_PAIRS_H

#include "op/op.h"

/* What the host knows of a route; in the graph's arena. */
struct pm_route_host {
	bool known;                     /* count is that of this run: a run of the route forgets it, the first who asks reads it */
	bool unseen;                    /* the route is a stage of a chain: nobody says when it has run */
	int64_t periods;
	int32_t *count;                 /* (E, periods) */
	/* while the graph is built: what was spread last, and the result, since several products read the same */
	struct pm_tensor *x, *rows, *rng, *rng_rows;
};

/* The counts, read where they are not known; waits for what is queued. count: the route's, as the node that asks has it. */
int pm_route_counts(struct pm_route_host *h, const struct pm_tensor *count, struct pm_err *e);

/* y (T·k, D): row p is the row of x (T, D; may be a view) that pair p belongs to. Gradient: x, summed over the pairs of a row in the
 * order of j. */
struct pm_tensor *pm_spread(struct pm_graph *g, struct pm_tensor *x, const struct pm_route *route);

/* For dropout: the counters (T, 2) of the pairs' rows, the high word and the expert's number exclusive-ored. (T·k, 2) i32. */
struct pm_tensor *pm_spread_rng(struct pm_graph *g, struct pm_tensor *rng, const struct pm_route *route);

#endif
