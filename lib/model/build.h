/* build.h: private to the model room: what build.c and the files of blocks share. */
#ifndef PM_MODEL_BUILD_H
#define PM_MODEL_BUILD_H

#include "model/model.h"

struct build {
	struct pm_forward *f;
	struct pm_graph *g;
	bool training;
	const struct pm_tensor *observed;       /* the last input that was: products of one input follow each other */
};

/* A weight by its role, NULL where the model has none. */
const struct pm_weight *build_weight(const struct build *b, const char *fmt, ...) PM_PRINTF(2, 3);
/* Its tensor in the graph (a saved module of an adapter takes its place); NULL for NULL. */
struct pm_tensor *build_tensor(struct build *b, const struct pm_weight *w);
/* The adapter on it, or zeros. */
void build_lora(struct build *b, const struct pm_weight *w, struct pm_lora *l);
/* Notes x as the input of w's product, if that is asked for. */
void build_observe(struct build *b, struct pm_tensor *x, const struct pm_weight *w);
/* scale · (w·x + bias + adapter) + add. */
struct pm_tensor *build_linear(struct build *b, struct pm_tensor *x, const struct pm_weight *w, const struct pm_weight *bias,
	struct pm_tensor *add, double scale);
/* The model's kind of norm over groups of columns (0: all); x itself where w is NULL. */
struct pm_tensor *build_norm(struct build *b, struct pm_tensor *x, const struct pm_weight *w, const struct pm_weight *bias, int64_t group);

/* Layer i: block.c. */
struct pm_tensor *build_block(struct build *b, struct pm_tensor *x, int64_t i);

#endif
