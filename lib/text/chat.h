/* chat.h: messages to the one text that a model was taught to read, and from there to tokens with the weights of their loss.
 *
 * A template (jinja.h) turns a list of messages ({"role":…,"content":…}, …) into text and says of every byte where it came from: from the
 * template, or from the content of message i; and whether it is said by the model in an assistant's turn. Where the template marks that with
 * {% generation %}, the marks decide; else it is all of the turn that follows the words that prompt an answer, up to and with the words that
 * end the turn, without blanks of the template's behind them. Tokens get their weights from that alone, whatever the template is. Special
 * tokens are recognised only in the template's own text: a user who writes "<|im_end|>" writes nine characters.
 *
 * Which template: the model's (chat_template.jinja, else chat_template in tokenizer_config.json), one of several that it has, by name; one of
 * share/template; a file; or a text (of a GGUF's key). A template that fails is an error, never replaced by another. */
#ifndef PM_TEXT_CHAT_H
#define PM_TEXT_CHAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"
#include "io/tokens.h"
#include "text/jinja.h"
#include "text/tokenizer.h"

struct pm_template;

/* What stays the same from one conversation to the next. All of it is copied. */
struct pm_template_opts {
	const char *share;              /* the directory that holds template/NAME.jinja; NULL: none of those */
	const char *bos, *eos;          /* how the tokenizer spells them: bos_token, eos_token; NULL: not defined by it */
	const json_t *args;             /* further variables, an object; NULL: none */
	const struct tm *now;           /* what strftime_now tells; NULL: a template that asks is an error */
};

/* name NULL: the template of the model in directory or GGUF file `model` (of several, the one called "default"). Else a template by this name among the
 * model's own (chat_template in tokenizer_config.json as a list, additional_chat_templates/NAME.jinja; tokenizer.chat_template.NAME of
 * a GGUF), of share/template, or a file. The tokens of the model's tokenizer_config.json (pad_token …) become variables, too. Status 65 where
 * the model has no template, 64 where none has that name. */
int pm_template_open(struct pm_template **out, const char *model, const char *name, const struct pm_template_opts *o, struct pm_err *e);

/* The template that n bytes of text are: of a GGUF's tokenizer.chat_template, or tokenizer.chat_template.NAME; `name` stands in messages. */
int pm_template_text(struct pm_template **out, const char *text, size_t n, const char *name, const struct pm_template_opts *o, struct pm_err *e);
void pm_template_close(struct pm_template *t);
const char *pm_template_name(const struct pm_template *t);      /* the file it came from, or its name */

/* A stretch of the text; the stretches follow each other without gaps. */
struct pm_piece {
	size_t from, to;                /* bytes */
	int32_t message;                /* whose turn it belongs to, from 0; −1: none */
	bool content;                   /* taken from messages (or tools, documents, arguments), not from the template */
	bool said;                      /* what the model says */
};

/* A rendered conversation; a zeroed struct is empty, reused from one to the next. */
struct pm_rendered {
	struct pm_str text;
	struct pm_piece *pieces;
	size_t n, cap;
	struct pm_jinja_result raw;     /* .spans: what the model says, a span a turn (or a {% generation %}), which may be empty there */
	bool reasoning_unused;          /* a message has reasoning that the template leaves out */
};
void pm_rendered_free(struct pm_rendered *r);

struct pm_render_opts {
	bool generation_prompt;         /* add the words that prompt an answer */
	const json_t *tools, *documents;/* what the conversation may call and look up; NULL: None */
	const json_t *args;             /* further variables of this conversation, an object; NULL: none */
};

/* Replaces *out by the text of `messages` (an array). Status 65, with the template's name and line, where it refuses them. */
int pm_template_render(const struct pm_template *t, const json_t *messages, const struct pm_render_opts *o, struct pm_rendered *out,
	struct pm_err *e);

/* Whether the template can write the tools of a conversation and the calls in its messages: −1 and status 65 where some would be left out. */
int pm_template_fits(const struct pm_template *t, const json_t *messages, const json_t *tools, struct pm_err *e);

/* The messages as a template is given them, a new array that shares their values: where one has reasoning (reasoning_content, thinking or
 * reasoning: the first that is there), it is given it as reasoning_content, and as thinking where it has none, as transformers 5 does. */
json_t *pm_chat_messages(const json_t *messages, struct pm_err *e);

/* The messages with the arguments of tool calls as values where they are JSON as text, as OpenAI's files have them and templates do not; a new
 * array that shares what is not changed. NULL: out of memory. */
json_t *pm_chat_calls(const json_t *messages, struct pm_err *e);

/* What closes an assistant's turn (the last token of it, as it is written), "" where the template writes nothing. A generation ends there. */
const char *pm_template_end(const struct pm_template *t);

enum pm_train_on {
	PM_TRAIN_ALL,           /* every token */
	PM_TRAIN_ASSISTANT,     /* what the model says, on every turn */
	PM_TRAIN_LAST,          /* what it says in the last of its turns */
};

struct pm_chat_opts {
	enum pm_train_on train_on;
	int32_t first;                  /* messages before this one are not trained (their turns were given) */
	const float *scale;             /* a factor a message (messages' "weight"), or NULL */
	bool parse_special;             /* special tokens are recognised in contents, too */
};

/* Encodes a rendered conversation, once as a whole, into *enc and *out (kind text, with weights): 1, or its message's factor, for a
 * token with a byte that is trained, else 0. Nothing is added by the tokenizer's post-processor: the template writes its BOS itself. */
int pm_chat_tokens(struct pm_record *out, struct pm_encoding *enc, const struct pm_rendered *r, const struct pm_tokenizer *t,
	const struct pm_chat_opts *o, struct pm_err *e);

#endif
