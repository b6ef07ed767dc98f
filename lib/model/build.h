/* build.h: private to the model room: what build.c and the files of blocks share. */
#ifndef PM_MODEL_BUILD_H
#define PM_MODEL_BUILD_H

#include "model/model.h"

struct build {
	struct pm_forward *f;
	struct pm_graph *g;
	bool training;
	const struct pm_tensor *observed;       /* the last input that was: products of one input follow each other */
	bool routed;                            /* … by the rows of each expert */
	struct pm_tensor *balance;              /* the sums of the layers so far */
	int64_t chosen;
};

/* A weight by its role, NULL where the model has none. */
const struct pm_weight *build_weight(const struct build *b, const char *fmt, ...) PM_PRINTF(2, 3);
/* Its tensor in the graph (a saved module of an adapter takes its place); NULL for NULL. */
struct pm_tensor *build_tensor(struct build *b, const struct pm_weight *w);
/* The adapter on it, or zeros. */
void build_lora(struct build *b, const struct pm_weight *w, struct pm_lora *l);
/* Notes x as the input of w's product, if that is asked for; of a stack, with the route of its rows (pairs: x has a row a pair). */
void build_observe(struct build *b, struct pm_tensor *x, const struct pm_weight *w, const struct pm_route *route, bool pairs);
/* scale · (w·x + bias + adapter) + add. */
struct pm_tensor *build_linear(struct build *b, struct pm_tensor *x, const struct pm_weight *w, const struct pm_weight *bias,
	struct pm_tensor *add, double scale);
/* The model's kind of norm over groups of columns (0: all); x itself where w is NULL. */
struct pm_tensor *build_norm(struct build *b, struct pm_tensor *x, const struct pm_weight *w, const struct pm_weight *bias, int64_t group);

/* The same by its role in a layer, with the bias that goes by its name. */
struct pm_tensor *build_named(struct build *b, struct pm_tensor *x, const char *what, int64_t layer, struct pm_tensor *add, double scale);
/* act(gate), or act(gate) · up, as the layer has it. */
struct pm_tensor *build_act(struct build *b, struct pm_tensor *gate, struct pm_tensor *up, int64_t i);

/* add + scale · what layer i's experts make of x: experts.c. */
struct pm_tensor *build_experts(struct build *b, struct pm_tensor *x, int64_t i, struct pm_tensor *add, double scale);

/* Layer i: block.c. */
struct pm_tensor *build_block(struct build *b, struct pm_tensor *x, int64_t i);

#endif
