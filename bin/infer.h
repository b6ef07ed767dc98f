/* infer.h: the parts of pm-infer: options, prompts, answers. */
#ifndef PM_BIN_INFER_H
#define PM_BIN_INFER_H

#include "base/file.h"
#include "bin/chat.h"
#include "bin/common.h"
#include "run/defaults.h"
#include "run/draft.h"
#include "run/engine.h"
#include "run/flow.h"
#include "text/chat.h"
#include "text/tokenizer.h"

struct args {
	struct pm_opt_device dev;
	const char *model, *family, *system, *draft_model;
	struct chat_args chat_args;
	struct pm_opt_list adapters, stop;
	double temperature, top_p, min_p, penalty;
	int64_t top_k, seed, count, context, batch, guesses;
	bool chat, json, ignore_eos, show, hide, stats, quiet, interactive, lookup;
};

struct infer {
	const struct pm_tool *tool;
	struct args *a;
	struct pm_env env;
	struct pm_dev *dev;
	struct pm_model *model;
	struct pm_adapters *adapters;
	struct pm_tokenizer *tok;               /* NULL: the model has none; ids alone are read and written */
	struct pm_template *tmpl;               /* opened when it is first needed */
	struct pm_generation gen;
	struct pm_engine *engine;
	struct pm_model *draft_model;           /* --draft-model */
	struct pm_draft *draft;
	uint32_t asked;                         /* prompts so far: each draws from a stream of its own */
	bool warned;                            /* of far positions */
	double load_seconds;                    /* from the start to the first prompt */
};

/* A prompt on its way to an answer. */
struct answer {
	struct pm_sequence s;
	struct pm_detok *detok;
	struct pm_flow flow;
	struct pm_str text, thought, piece;
	struct answer *next;
	bool done, chat;
};

/* A word, once, where a text is longer than what the model was made for. */
void infer_positions(struct infer *x, int64_t n);

/* ---- infer_prompt.c: the four kinds of prompts ---- */
int answer_from_text(struct answer **out, struct infer *x, const char *text, size_t n, struct pm_err *e);       /* continues it; with --chat a user's message */
int answer_from_messages(struct answer **out, struct infer *x, const json_t *messages, const json_t *with, struct pm_err *e);    /* with: its tools … */
int answer_from_record(struct answer **out, struct infer *x, const json_t *record, struct pm_err *e);           /* a line of JSON */
void answer_free(struct answer *a);

/* Takes a token into the answer's text. 1: a stop string ends it. */
int answer_take(struct answer *a, int32_t id, struct pm_err *e);
int answer_finish(struct answer *a, struct pm_err *e);
/* {"ids":[…],"text":…,"finish_reason":"stop"|"length"}, with "reasoning_content" where thinking was hidden. */
json_t *answer_json(const struct answer *a);

/* ---- infer_modes.c ---- */
int infer_prompts(struct infer *x, int argc, char **argv, struct pm_err *e);     /* arguments, or all of stdin as one */
int infer_lines(struct infer *x, int argc, char **argv, struct pm_err *e);       /* --json: JSON lines to JSON lines, in order */
int infer_chat(struct infer *x, struct pm_err *e);                               /* a terminal */

#endif
