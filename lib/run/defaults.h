/* defaults.h: how a model wants to be sampled and where it stops: generation_config.json, config.json (of a GGUF file,
 * the keys), and its tokenizer. */
#ifndef PM_RUN_DEFAULTS_H
#define PM_RUN_DEFAULTS_H

#include "base/json.h"
#include "spec/spec.h"
#include "text/tokenizer.h"

struct pm_generation {
	double temperature, top_p, min_p, penalty;      /* greedy (temperature 0) unless the file says do_sample */
	int64_t top_k, max_tokens;                      /* max_tokens 0: the file does not say */
	int32_t *stop;                                  /* every end token that config, generation config or tokenizer names */
	size_t nstop, cap;
};

/* dir: the model's. t may be NULL. Values out of range are errors naming the file and the key. */
int pm_generation_load(struct pm_generation *g, const char *dir, const struct pm_spec *s, const struct pm_tokenizer *t, struct pm_err *e);
int pm_generation_add_stop(struct pm_generation *g, int32_t id, struct pm_err *e);       /* −1 is none */
void pm_generation_free(struct pm_generation *g);

#endif
