#include <string.h>

#include "text/jinja_private.h"

#define FUNC(name) static int name(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, struct jj_val *out)

#define RANGE 100000            /* as the sandbox has it */

FUNC(func_range)
{
	struct jj_val arg[3], list;
	int64_t from = 0, to, step = 1, n, i;

	(void)v;
	if (jj_bind(x, "range", a, "start,stop=,step=", arg) < 0 || jj_want_int(x, "range", &arg[0], &to) < 0)
		return -1;
	if (arg[1].kind != JJ_ABSENT) {
		from = to;
		if (jj_want_int(x, "range", &arg[1], &to) < 0)
			return -1;
	}
	if (arg[2].kind != JJ_ABSENT && jj_want_int(x, "range", &arg[2], &step) < 0)
		return -1;
	if (step == 0)
		return jj_fail(x, "range with a step of 0");
	if (from > INT64_MAX / 4 || from < -(INT64_MAX / 4) || to > INT64_MAX / 4 || to < -(INT64_MAX / 4) || step > INT64_MAX / 4 || step < -(INT64_MAX / 4))
		return jj_fail(x, "a range of more than %d", RANGE);
	n = step > 0 ? to > from ? (to - from + step - 1) / step : 0 : to < from ? (from - to - step - 1) / -step : 0;
	if (n > RANGE)
		return jj_fail(x, "a range of more than %d", RANGE);
	if (jj_list(x, &list, (size_t)n, JJ_RANGE) < 0)
		return -1;
	for (i = 0; i < n; i++)
		*JJ_AT(&list, (size_t)i) = jj_int(from + i * step);
	list.l->first = from;
	list.l->last = to;
	list.l->step = step;
	*out = list;
	return 0;
}

/* dict(mapping or pairs, name=value, …) into d. */
static int fill(struct jj_exec *x, const char *function, const struct jj_args *a, struct jj_val *d)
{
	struct jj_val list, pair;
	uint32_t i;

	if (a->npos > 1)
		return jj_fail(x, "%s takes one argument without a name", function);
	if (a->npos && a->pos[0].kind == JJ_DICT) {
		for (i = 0; i < a->pos[0].d->n; i++)
			if (jj_dict_set(x, d, &a->pos[0].d->keys[i], &a->pos[0].d->vals[i]) < 0)
				return -1;
	} else if (a->npos) {
		if (jj_items(x, &a->pos[0], &list) < 0)
			return -1;
		for (i = 0; i < list.len; i++) {
			if (jj_items(x, JJ_AT(&list, i), &pair) < 0)
				return -1;
			if (pair.len != 2)
				return jj_fail(x, "%s: element %u has %u parts, a key and a value were wanted", function, i, pair.len);
			if (jj_dict_set(x, d, JJ_AT(&pair, 0), JJ_AT(&pair, 1)) < 0)
				return -1;
		}
	}
	for (i = 0; i < a->nkw; i++)
		if (jj_dict_set(x, d, &a->names[i], &a->kw[i]) < 0)
			return -1;
	return 0;
}

FUNC(func_dict)
{
	struct jj_val d;

	(void)v;
	if (jj_dict(x, &d) < 0 || fill(x, "dict", a, &d) < 0)
		return -1;
	*out = d;
	return 0;
}

FUNC(func_namespace)
{
	struct jj_val d;
	uint32_t i;

	(void)v;
	if (jj_dict(x, &d) < 0 || fill(x, "namespace", a, &d) < 0)
		return -1;
	for (i = 0; i < d.d->n; i++)
		if (d.d->keys[i].kind == JJ_STR && d.d->keys[i].len && *JJ_BYTES(&d.d->keys[i]) == '_')
			return jj_fail(x, "namespace: names do not begin with '_'");
	d.kind = JJ_SPACE;
	*out = d;
	return 0;
}

FUNC(func_cycler)
{
	struct jj_cycler *c = jj_alloc(x, 1, sizeof *c);

	(void)v;
	if (!c)
		return -1;
	if (!a->npos || a->nkw)
		return jj_fail(x, "cycler: at least one item was wanted");
	c->v = a->pos;
	c->n = a->npos;
	*out = (struct jj_val){.kind = JJ_CYCLER, .cycler = c};
	return 0;
}

FUNC(func_joiner)
{
	struct jj_cycler *c = jj_alloc(x, 1, sizeof *c);
	struct jj_val sep;

	(void)v;
	if (!c || !(c->v = jj_alloc(x, 1, sizeof *c->v)) || jj_bind(x, "joiner", a, "sep=", &sep) < 0 ||
	    (sep.kind == JJ_ABSENT && jj_cstr(x, &sep, ", ") < 0))
		return -1;
	c->v[0] = sep;
	*out = (struct jj_val){.kind = JJ_JOINER, .cycler = c};
	return 0;
}

FUNC(func_raise)
{
	struct jj_val message, s;
	size_t n;

	(void)v;
	(void)out;
	if (jj_bind(x, "raise_exception", a, "message", &message) < 0 || jj_to_str(x, &s, &message) < 0)
		return -1;
	n = s.len < 900 ? s.len : 900;
	return jj_fail(x, "%.*s", (int)n, n ? JJ_BYTES(&s) : "");
}

FUNC(func_strftime_now)
{
	struct jj_val format;
	char *f, *text;
	size_t cap, n, i;

	(void)v;
	if (jj_bind(x, "strftime_now", a, "format", &format) < 0)
		return -1;
	if (format.kind != JJ_STR || format.len > 10000)
		return jj_fail(x, "strftime_now: a format was wanted");
	if (!x->o || !x->o->now)
		return jj_fail(x, "strftime_now: the time is not known here");
	/* a mark behind the format shows an empty result from one that does not fit */
	cap = 40 * (size_t)format.len + 80;
	f = jj_alloc(x, 3 * (size_t)format.len + 2, 1);
	text = jj_alloc(x, cap, 1);
	if (!f || !text)
		return -1;
	for (i = n = 0; i < format.len; i++) {
		const char *s = JJ_BYTES(&format) + i;

		if (!*s)
			return jj_fail(x, "strftime_now: the format is no good");
		if (*s == '%' && i + 1 < format.len && (s[1] == 'z' || s[1] == 'Z')) {
			i++;            /* a time without a zone has no name for it */
		} else if (*s == '%' && i + 1 < format.len && s[1] == 'f') {
			memcpy(f + n, "000000", 6);
			n += 6;
			i++;
		} else {
			f[n++] = *s;
			if (*s == '%' && i + 1 < format.len && s[1])
				f[n++] = JJ_BYTES(&format)[++i];
		}
	}
	f[n] = '.';
	n = strftime(text, cap, f, x->o->now);
	return n ? jj_str(x, out, text, n - 1, (struct jj_tag){PM_JINJA_TEMPLATE, -1, -1, 0}) : jj_fail(x, "strftime_now: the format is no good");
}

const struct jj_builtin *jj_find_func(const char *name)
{
	static const struct jj_builtin funcs[] = {
		{"cycler", func_cycler}, {"dict", func_dict}, {"joiner", func_joiner}, {"namespace", func_namespace},
		{"raise_exception", func_raise}, {"range", func_range}, {"strftime_now", func_strftime_now},
	};

	return jj_find_builtin(funcs, sizeof funcs / sizeof *funcs, name);
}
