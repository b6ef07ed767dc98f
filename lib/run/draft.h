/* draft.h: guesses at the tokens that come next, for the engine to check many at a time: decoding reads all weights for a token, and
 * reads them no oftener for several.
 *
 * What is said does not depend on the guesses, whoever makes them: the engine draws every token from the model's own logits, with the random
 * number that belongs to its place, and keeps what follows a guess only where the guess is what was drawn. */
#ifndef PM_RUN_DRAFT_H
#define PM_RUN_DRAFT_H

#include "run/engine.h"

/* Guesses by looking back (prompt look-up): the latest of the places where the end of ids[0..n) stood before, longest ends first (8 tokens down to 2),
 * and what followed there. Returns how many of at most `most` were written to out; 0: it never stood there. */
int64_t pm_draft_lookup(const int32_t *ids, size_t n, int64_t most, int32_t *out);

/* Guesses of a smaller model with the same vocabulary; it reads along in an engine of its own. */
struct pm_draft;

int pm_draft_new(struct pm_draft **out, struct pm_model *m, int64_t slots, int64_t context, struct pm_err *e);
void pm_draft_free(struct pm_draft *d);

/* For pm_engine_opts.guess: guess_arg is NULL for the look-up, a struct pm_draft for the model. */
int pm_draft_by_lookup(void *arg, struct pm_sequence *const *s, int64_t n, int64_t most, int32_t *ids, int64_t *count, struct pm_err *e);
int pm_draft_by_model(void *arg, struct pm_sequence *const *s, int64_t n, int64_t most, int32_t *ids, int64_t *count, struct pm_err *e);

#endif
