/* The pre-tokenizer Split. */
#include <stdlib.h>

#include "base/mem.h"
#include "text/cut.h"
#include "text/match.h"
#include "text/pretok.h"
#include "text/worker.h"

struct split {
	struct pm_pattern re;
	pm_match_fn *match;             /* or by hand */
	enum pm_cut_how how;
	bool invert;
};

int pm_split_pattern(struct pm_pattern *re, const char **text, bool *literal, const json_t *o, struct pm_err *e)
{
	const json_t *p = json_object_get(o, "pattern"), *s = json_object_get(p, "String"), *r = json_object_get(p, "Regex");

	if (json_object_size(p) != 1 || !(json_is_string(s) || json_is_string(r)))
		return pm_fail(e, PM_DATA, "'pattern': {\"String\": …} or {\"Regex\": …} was wanted");
	*literal = s != NULL;
	s = s ? s : r;
	*text = json_string_value(s);
	return pm_pattern_new(re, *text, json_string_length(s), *literal, e);
}

int pm_split_build(struct pm_part *p, const json_t *o, struct pm_err *e)
{
	struct split *s = p->conf = pm_alloc(1, sizeof *s, e);
	const char *text;
	bool literal;

	if (!s || pm_split_pattern(&s->re, &text, &literal, o, e) < 0 || pm_cut_read(&s->how, o, "behavior", e) < 0
		|| pm_part_bool(&s->invert, o, "invert", e) < 0)
		return -1;
	/* these match everywhere, so pieces are the matches */
	if (!literal && (s->how == PM_CUT_ISOLATED || (s->how == PM_CUT_REMOVED && s->invert)))
		s->match = pm_match_known(text);
	return 0;
}

void pm_split_free(struct pm_part *p)
{
	struct split *s = p->conf;

	pm_pattern_free(&s->re);
}

bool pm_split_known(const struct pm_part *p)
{
	const struct split *s = p->conf;

	return s->match != NULL;
}

bool pm_split_space(const struct pm_part *p)
{
	const struct split *s = p->conf;

	return s->re.literal && s->re.n == 1 && s->re.literal[0] == ' ' && !s->invert;
}

int pm_split_run(const struct pm_part *p, const struct pm_view *in, struct pm_sink *next, struct pm_worker *w, struct pm_err *e)
{
	const struct split *s = p->conf;
	struct pm_cut cut = {.how = s->how, .invert = s->invert, .in = in, .next = next};
	struct pm_find f = {.s = in->s, .n = in->n};
	struct pm_view piece;
	size_t from, to;
	int r;

	if (s->match) {
		for (from = 0; from < in->n; from = to) {
			to = s->match(in->s, in->n, from);
			piece = pm_view_part(in, from, to);
			if (next->put(next, &piece, e) < 0)
				return -1;
		}
		return 0;
	}
	while ((r = pm_pattern_next(&s->re, &w->match, &f, &from, &to, e)) > 0)
		if (pm_cut_match(&cut, from, to, e) < 0)
			return -1;
	return r < 0 ? -1 : pm_cut_end(&cut, e);
}
