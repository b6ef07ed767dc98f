/* sample.h: a record in normal form (pm-format.5) to documents of tokens with the weights of their loss: what pm-tokenize writes.
 *
 *     {"text", "pair"?}                  all tokens, no weights (each counts 1); two texts as the tokenizer puts them together
 *     {"messages", "tools"?}             by the chat template, as it is given "documents" and "chat_template_kwargs", too; weights as
 *                                        pm_chat_tokens says
 *     {"prompt", "completion"}           two texts: one document, the completion trained, the EOS token behind it; or two lists of
 *                                        messages: one chat, of which the messages of the completion are trained
 *     {"prompt", "chosen", "rejected"}   two documents of one group, likewise, of kinds chosen and rejected
 *     {"prompt", "completion", "label"}  one document of kind chosen or rejected, without a group
 *     {"ids", "weights"?}                as it is */
#ifndef PM_TEXT_SAMPLE_H
#define PM_TEXT_SAMPLE_H

#include "text/chat.h"

struct pm_sample_opts {
	const struct pm_tokenizer *tokenizer;   /* NULL: only records with ids; others */
	const struct pm_err *no_tokenizer;      /* are this error */
	const struct pm_template *chat;         /* NULL: no chats, */
	const struct pm_err *no_chat;           /* which are this error */
	enum pm_train_on train_on;
	bool special;                           /* what the post-processor adds to texts */
	bool parse_special;                     /* special tokens written in texts and contents are recognised */
	bool truncate, pad;                     /* texts and pairs as the tokenizer's sections truncation and padding say; padding has weight 0 */
	bool eos_text, eos_completion;          /* append the EOS token to texts, to completions */
	bool offsets;                           /* give texts' records the offsets of their tokens */
	size_t threads;                         /* for a very long text; 0 or 1: the caller's alone */
};

/* A document as it was made. What is in it lasts until the next one. */
struct pm_sample {
	struct pm_record record;
	const char *text;               /* the whole text, and which bytes of it each token covers; NULL for a record that came as ids */
	size_t length;
	struct pm_encoding enc;
	bool reasoning_unused;
};

struct pm_sampler;

int pm_sampler_new(struct pm_sampler **out, const struct pm_sample_opts *o, struct pm_err *e);
void pm_sampler_free(struct pm_sampler *s);

/* Takes the documents of one record to put(arg, …), in order. All of them are made before the first is put. A document with a mask of
 * which no token is trained (the first one never is) is an error of status 65. */
int pm_sampler_take(struct pm_sampler *s, const json_t *normal, int64_t line, int (*put)(void *arg, const struct pm_sample *d, struct pm_err *e),
	void *arg, struct pm_err *e);

/* How many groups were given out: those of the next records begin with this one. */
int64_t pm_sampler_groups(const struct pm_sampler *s);

/* Whether the last failure was for want of a tokenizer or a chat template, so that no other record of the kind will do better. */
bool pm_sampler_hopeless(const struct pm_sampler *s);

/* A text that is no JSON, as one document. */
int pm_sampler_text(struct pm_sampler *s, const char *text, size_t n, int64_t line,
	int (*put)(void *arg, const struct pm_sample *d, struct pm_err *e), void *arg, struct pm_err *e);

#endif
