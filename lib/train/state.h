/* state.h: checkpoints: OUT/checkpoint-N, a directory that appears whole or not at all. It holds what trains in the form that others
 * read (a PEFT adapter, or a float32 model directory), the moments (optimizer.safetensors: "m.NAME", "v.NAME", float32) and
 * trainer_state.json: step, what the run was asked for and made from, and how long its metrics file was. */
#ifndef PM_TRAIN_STATE_H
#define PM_TRAIN_STATE_H

#include "train/trainer.h"

struct pm_state {
	int64_t step;
	int64_t metrics;                        /* bytes of the metrics file then; −1: none */
	const json_t *run;                      /* the options and hashes that a resumed run must share */
	const char *base;                       /* for adapters: base_model_name_or_path */
	const json_t *provenance;
};

int pm_state_save(const struct pm_trainer *t, const char *out, const struct pm_state *s, struct pm_err *e);

/* The newest checkpoint under `out`: its directory (the caller frees), or *dir = NULL where there is none. */
int pm_state_newest(char **dir, const char *out, struct pm_err *e);

/* Checks that the checkpoint was made by a run of the same options over the same rows (status 65, naming what differs), gives its step and
 * metrics length. Then pm_state_load fills the trainer's values and moments. */
int pm_state_check(struct pm_state *s, const char *dir, struct pm_err *e);
int pm_state_load(struct pm_trainer *t, const char *dir, struct pm_err *e);

/* Removes what writers that were killed left half written. */
int pm_state_clean(const char *out, struct pm_err *e);

/* A file of one JSON value. */
int pm_state_write_json(const char *path, const json_t *v, struct pm_err *e);

/* Removes all but the newest `keep` checkpoints. */
int pm_state_prune(const char *out, int64_t keep, struct pm_err *e);

#endif
