/* jinja.h: the Jinja of chat templates: a text with tags, and variables, to text.
 *
 * The language is that of Python's jinja2 (3.1) as the transformers library sets it up: blocks trimmed (trim_blocks, lstrip_blocks),
 * loop controls, {% generation %}, the immutable sandbox, tojson without escapes for HTML, raise_exception, strftime_now. Values behave and
 * print as Python's do. There is no loader: a template is one text, and reaches no file, no network, no clock and no environment.
 *
 * Every byte of the result knows where it came from (pm_jinja_run), through all operations that keep bytes: joining, slicing, trimming,
 * replacing, formatting, tojson. So a caller can tell what a message said from what the template said around it.
 *
 * A parsed template does not change: several threads may render it at once. */
#ifndef PM_TEXT_JINJA_H
#define PM_TEXT_JINJA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "base/err.h"
#include "base/json.h"
#include "base/str.h"

struct pm_jinja;

/* Parses n bytes of UTF-8; `name` stands in messages ("NAME: line 3: …", status 65). */
int pm_jinja_new(struct pm_jinja **out, const char *text, size_t n, const char *name, struct pm_err *e);
void pm_jinja_free(struct pm_jinja *t);
const char *pm_jinja_name(const struct pm_jinja *t);

bool pm_jinja_marks(const struct pm_jinja *t);                          /* it has {% generation %} */

/* The strings of variables. */
enum pm_jinja_origin {
	PM_JINJA_TEMPLATE,      /* the template's own text, and what counts as such: variables named …_token, the names of roles */
	PM_JINJA_MESSAGE,       /* from one of `messages` */
	PM_JINJA_OTHER,         /* from another variable */
};

/* A stretch of the result with one origin; stretches follow each other without gaps. */
struct pm_jinja_run {
	size_t to;                      /* bytes; it begins where the one before ends */
	enum pm_jinja_origin origin;
	int32_t message;                /* MESSAGE: which, from 0; else −1 */
	int32_t turn;                   /* the message that the template's loop was at when it was written; −1: none */
	uint32_t mark;                  /* within which {% generation %}, from 1; 0: none */
};

/* One {% generation %} block as it was written, which may be empty: bytes of the result. */
struct pm_jinja_span {
	size_t from, to;
};

/* A zeroed struct is empty, reused from one result to the next. */
struct pm_jinja_result {
	struct pm_str text;
	struct pm_jinja_run *runs;
	size_t nruns, cap_runs;
	struct pm_jinja_span *spans;
	size_t nspans, cap_spans;
};
void pm_jinja_result_free(struct pm_jinja_result *r);

struct pm_jinja_opts {
	const struct tm *now;           /* what strftime_now tells; NULL: a template that asks is an error */
	uint64_t steps;                 /* budgets; 0: the default. Parts of expressions and elements of lists looked at (100 million) */
	uint64_t memory;                /* bytes (1 GiB) */
};

/* Renders with the variables of an object (borrowed while it runs); whole numbers and reals stay apart. Status 65 where the template
 * raises an exception (raise_exception gives its own words), does what Python forbids, or spends its budget. */
int pm_jinja_render(const struct pm_jinja *t, const json_t *variables, const struct pm_jinja_opts *o, struct pm_jinja_result *out,
	struct pm_err *e);

#endif
