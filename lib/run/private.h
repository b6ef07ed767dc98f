/* private.h: the engine, for the files of this room that it is made of. No other room includes it. */
#ifndef PM_RUN_PRIVATE_H
#define PM_RUN_PRIVATE_H

#include "run/engine.h"

#define PM_RUN_BUCKETS 16               /* sizes of plans */

/* A graph of T rows with its plan. */
struct pm_shape {
	int64_t T;
	struct pm_forward *f;
	struct pm_plan *p;
};

struct pm_slot {
	struct pm_sequence *s;
	int32_t *held;                  /* tokens whose keys the slot holds */
	int64_t nheld;
};

/* A decoding pass that is queued: who gets a token of it, in the order of its rows, one row each. */
struct pm_flight {
	int64_t n;                      /* 0: none */
	uint64_t mark;                  /* of the device */
	struct pm_sequence **s;         /* NULL: it has ended meanwhile */
};

struct pm_engine {
	struct pm_model *m;
	const struct pm_adapters *a;
	struct pm_engine_opts o;
	struct pm_kv kv;
	struct pm_slot *slot;
	struct pm_shape prefill[PM_RUN_BUCKETS], decode[2][PM_RUN_BUCKETS];
	struct pm_mem *drawn[2];        /* what passes of decode[0] and decode[1] draw */
	struct pm_flight flight[2];     /* of these; they go by turns */
	int turn;                       /* whose pass is the older one */
	bool woven;                     /* the model was asked to be; plans of prefill know it */
	struct pm_plan *arena;          /* the first plan: the others use its memory when they fit */
	struct pm_batch batch;
	int64_t rows, most;             /* of a decoding pass, at most: a token a slot, and guesses; of the plan that has so many */
	int32_t *select, *ids, *settings;
	struct pm_sequence **ready;     /* whose tokens a pass draws */
	struct pm_sample_row *how;
	int32_t *guess;                 /* slots × guesses */
	int64_t *nguess, *row;          /* of each that is ready: how many, and the row that draws its next token */
	struct pm_sequence *waiting;    /* for another to read what both begin with */
	void *copy;                     /* rows on their way from slot to slot */
	double *inv[2];                 /* frequencies, for the question whether they changed */
};

/* ---- slots.c: which sequence lies where in the cache ---- */

/* The cache, with its slots empty. */
int pm_slots_new(struct pm_engine *g, struct pm_err *e);
void pm_slots_free(struct pm_engine *g);

/* Puts a sequence into the free slot that holds most of its beginning already, with what another slot holds beyond. 0: it has to wait. */
int pm_slots_admit(struct pm_engine *g, struct pm_sequence *s, struct pm_err *e);

/* Whether the keys of a sequence that grew from `before` to `now` tokens must be made again: its frequencies changed. */
int pm_slots_stale(struct pm_engine *g, int64_t before, int64_t now, struct pm_err *e);

#endif
