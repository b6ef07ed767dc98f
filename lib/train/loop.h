/* loop.h: a whole training run: steps, metrics, evaluation, checkpoints, resuming, the final files. */
#ifndef PM_TRAIN_LOOP_H
#define PM_TRAIN_LOOP_H

#include "train/state.h"

struct pm_loop {
	const char *out;                        /* directory of the result and its checkpoints */
	const char *metrics;                    /* file of JSON lines, "-" stdout, NULL none */
	int64_t save_every, eval_every, keep;   /* steps; 0: never, only at the end, all */
	struct pm_rows *held_out;               /* NULL: none */
	bool resume;
	enum pm_dtype type;                     /* of a model directory */
	const json_t *run, *provenance;         /* see state.h */
	const json_t *made;                     /* OUT/provenance.json: how the result was made */
	const char *base;
	const char *gguf;                       /* general.name of OUT/adapter.gguf, the adapter once more; NULL: none */
	int (*stop)(void);                      /* asked after every step: non-zero ends the run with a checkpoint */
	double (*clock)(void);                  /* seconds */
	void (*on_step)(void *arg, const struct pm_trainer *t, const struct pm_step *s);        /* may be NULL */
	void *arg;
};

/* Runs to the end, or until stop (*stopped gets its answer). Metrics: one object a step {"step","epoch","loss","grad_norm","lr",
 * "tokens","trained","seconds","tokens_per_s","peak_rss_mb"}, and one an evaluation {"step","eval_loss","eval_tokens"}; a resumed run
 * cuts the file back to its checkpoint and goes on. Final files are written last, each by rename. */
int pm_loop_run(struct pm_trainer *t, const struct pm_loop *l, int *stopped, struct pm_err *e);

#endif
