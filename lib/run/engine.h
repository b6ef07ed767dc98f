/* engine.h: a model that answers: its KV cache, the plans of prefill and decoding, and a batch of sequences that go through them.
 *
 * The cache has `slots` of `context` rows, allocated once. Prompts are read in chunks that may hold parts of several sequences;
 * then every active sequence gets one token a step. A sequence that ends makes room for the next, so a step is always as full
 * as it can be. What a sequence says depends on its own tokens alone: not on its neighbours, the number of slots or the chunk. */
#ifndef PM_RUN_ENGINE_H
#define PM_RUN_ENGINE_H

#include "model/model.h"

struct pm_engine;

struct pm_sequence;

struct pm_engine_opts {
	int64_t slots, context;         /* sequences at a time; tokens of one, prompt and answer */
	int64_t chunk;                  /* prompt tokens computed at a time; 0: 512 */
	/* Guesses at the next tokens of n sequences, at most `most` each, count[i] of them at ids + i·most (draft.h); NULL: none are made. They
	 * change how fast tokens come, never which. */
	int (*guess)(void *arg, struct pm_sequence *const *s, int64_t n, int64_t most, int32_t *ids, int64_t *count, struct pm_err *e);
	void *guess_arg;
	int64_t guesses;
	bool loose;                     /* the last tokens of a prompt may be read like answers (rounded otherwise, but sooner): for guessing */
};

int pm_engine_new(struct pm_engine **out, struct pm_model *m, const struct pm_adapters *a, const struct pm_engine_opts *o, struct pm_err *e);
int64_t pm_engine_context(const struct pm_engine *g);   /* as asked for, or what learned positions allow */
void pm_engine_free(struct pm_engine *g);

/* One sequence. `ids` grows by what is drawn; the caller owns the struct and its ids. */
struct pm_sequence {
	int32_t *ids;
	size_t n, cap, nprompt;
	int64_t max_tokens;             /* to draw; the context ends it, too */
	struct pm_sample_row how;       /* seed, stream and the rest; index and seen are kept by the engine */
	const int32_t *stop;            /* ids that end it (and are not kept) */
	size_t nstop;
	enum { PM_FINISH_NONE, PM_FINISH_STOP, PM_FINISH_LENGTH } finish;
	void *user;
	/* private */
	int64_t slot, cached;           /* rows of the slot that hold this sequence's keys */
	size_t drawn;
};

struct pm_engine_stats {
	int64_t prompt_tokens, decode_tokens;           /* read; drawn */
	int64_t decode_steps;                           /* of those drawn, the ones after a prompt's first: what decode_seconds is for */
	int64_t guessed, right;                         /* guesses, and those that were drawn then */
	double prefill_seconds, decode_seconds;
	double weave_seconds;                           /* pm_model_weave for decoding, between the two, once an engine */
	double first_seconds;                           /* from pm_engine_run to the first token drawn */
};

/* Runs sequences to their ends. next gives the next one, or NULL where there is none left; drawn is called for every
 * token kept (return 1 to end the sequence there, −1 to end everything); ended when one is done. Both see the sequence as it is then. All but
 * next may be NULL; without a clock nothing is timed. */
struct pm_engine_calls {
	struct pm_sequence *(*next)(void *arg, struct pm_err *e);
	int (*drawn)(void *arg, struct pm_sequence *s, int32_t id, struct pm_err *e);
	int (*ended)(void *arg, struct pm_sequence *s, struct pm_err *e);
	int (*stop)(void);              /* asked once a step: non-zero ends everything in good order */
	double (*clock)(void);
	void *arg;
};

int pm_engine_run(struct pm_engine *g, const struct pm_engine_calls *c, struct pm_engine_stats *stats, struct pm_err *e);

/* A slot remembers the tokens whose keys it holds, also from one run to the next: a sequence reads only what comes after the longest
 * beginning that any slot holds already, or that one is reading just now. So a conversation is read once, and so is what many prompts begin with. */

#endif
