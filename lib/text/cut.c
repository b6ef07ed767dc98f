#include "text/cut.h"

#include <string.h>

int pm_cut_read(enum pm_cut_how *how, const json_t *o, const char *key, struct pm_err *e)
{
	static const char *const names[] = {"Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"};
	const char *s;
	size_t n;

	if (pm_part_str(&s, &n, o, key, e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(s, names[i]) == 0) {
			*how = (enum pm_cut_how)i;
			return 0;
		}
	return pm_fail(e, PM_DATA, "'%s': '%s' is not known", key, s);
}

static int give(struct pm_cut *c, size_t from, size_t to, struct pm_err *e)
{
	struct pm_view p;

	if (from == to)
		return 0;
	p = pm_view_part(c->in, from, to);
	return c->next->put(c->next, &p, e);
}

/* Gives what is held and holds from .. to instead. */
static int hold(struct pm_cut *c, size_t from, size_t to, struct pm_err *e)
{
	int r = c->held ? give(c, c->from, c->to, e) : 0;

	c->held = true;
	c->from = from;
	c->to = to;
	return r;
}

static int item(struct pm_cut *c, size_t from, size_t to, bool match, struct pm_err *e)
{
	bool was = c->was;
	size_t a;

	match = match != c->invert;
	c->was = match;
	switch (c->how) {
	case PM_CUT_REMOVED:
		return match ? 0 : give(c, from, to, e);
	case PM_CUT_ISOLATED:
		return give(c, from, to, e);
	case PM_CUT_CONTIGUOUS:
		if (!c->held || match != was)
			return hold(c, from, to, e);
		c->to = to;
		return 0;
	case PM_CUT_PREVIOUS:
		if (!c->held || !match || was)
			return hold(c, from, to, e);
		c->to = to;
		return 0;
	case PM_CUT_NEXT:               /* only a match is held */
		if (match)
			return hold(c, from, to, e);
		a = c->held ? c->from : from;
		c->held = false;
		return give(c, a, to, e);
	}
	return 0;
}

int pm_cut_match(struct pm_cut *c, size_t from, size_t to, struct pm_err *e)
{
	if (from != c->done && item(c, c->done, from, false, e) < 0)
		return -1;
	c->done = to;
	return item(c, from, to, true, e);
}

int pm_cut_end(struct pm_cut *c, struct pm_err *e)
{
	if (c->done != c->in->n && item(c, c->done, c->in->n, false, e) < 0)
		return -1;
	return c->held ? give(c, c->from, c->to, e) : 0;
}
