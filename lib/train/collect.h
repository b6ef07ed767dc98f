/* collect.h: the importance of a model's weights, collected while it reads text: for every matrix product the squares of its inputs, summed by
 * column over all tokens. Chunks of one length, each a document of its own, as llama-imatrix reads them; the sums are added up chunk by chunk, so
 * that they do not depend on how many are computed at a time, nor on being interrupted in between. */
#ifndef PM_TRAIN_COLLECT_H
#define PM_TRAIN_COLLECT_H

#include "model/model.h"
#include "quant/imatrix.h"

struct pm_collector;

/* Into *into (borrowed), which may have something in it already; its chunk size is set, or has to be `chunk`. Entries get the names that weights
 * have in GGUF files; head: the output matrix too, where it is one of its own. */
int pm_collector_new(struct pm_collector **out, const struct pm_model *m, struct pm_imatrix *into, int64_t chunk, bool head, struct pm_err *e);
/* One chunk of tokens; computed when enough are there. */
int pm_collector_put(struct pm_collector *c, const int32_t *ids, struct pm_err *e);
/* Computes what is left, so that all that was put is in the matrix. */
int pm_collector_flush(struct pm_collector *c, struct pm_err *e);
void pm_collector_free(struct pm_collector *c);

#endif
