#include "text/part.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/worker.h"

int pm_part_check(const json_t *o, const char *members, struct pm_err *e)
{
	const char *key, *p;
	json_t *v;
	size_t n;

	json_object_foreach((json_t *)o, key, v) {
		n = strlen(key);
		if (strcmp(key, "type") == 0)
			continue;
		for (p = n ? strstr(members, key) : NULL; p; p = strstr(p + n, key))
			if ((p == members || p[-1] == ' ') && (p[n] == ' ' || !p[n]))
				break;
		if (!p)
			return pm_fail(e, PM_DATA, "'%s' is not known here", key);
	}
	return 0;
}

int pm_part_str(const char **out, size_t *n, const json_t *o, const char *key, struct pm_err *e)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_string(v))
		return pm_fail(e, PM_DATA, "'%s': a string was wanted", key);
	*out = json_string_value(v);
	*n = json_string_length(v);
	return 0;
}

int pm_part_bool(bool *out, const json_t *o, const char *key, struct pm_err *e)
{
	const json_t *v = json_object_get(o, key);

	if (!json_is_boolean(v))
		return pm_fail(e, PM_DATA, "'%s': true or false was wanted", key);
	*out = json_is_true(v);
	return 0;
}

static int read_part(struct pm_parts *ps, const json_t *o, const struct pm_part_type *t, struct pm_err *e)
{
	struct pm_part *p;

	if (pm_part_check(o, t->members, e) < 0)
		return pm_ctx(e, "%s", t->name);
	if (pm_grow(&ps->v, &ps->cap, ps->n + 1, sizeof *ps->v, e) < 0)
		return -1;
	p = ps->v + ps->n++;
	p->type = t;
	p->conf = NULL;
	if (t->build && t->build(p, o, e) < 0)
		return pm_ctx(e, "%s", t->name);
	return 0;
}

static int read_parts(struct pm_parts *ps, const json_t *o, const struct pm_part_type *types, const char *list, int depth,
	struct pm_err *e)
{
	const char *type = json_string_value(json_object_get(o, "type"));
	const json_t *a;

	if (!json_is_object(o) || !type)
		return pm_fail(e, PM_DATA, "an object with a 'type' was wanted");
	if (strcmp(type, "Sequence") == 0) {
		a = json_object_get(o, list);
		if (!json_is_array(a) || pm_part_check(o, list, e) < 0)
			return pm_fail(e, PM_DATA, "Sequence: a list '%s' and nothing else was wanted", list);
		if (depth > 8)
			return pm_fail(e, PM_DATA, "Sequence: more than 8 inside one another");
		for (size_t i = 0; i < json_array_size(a); i++)
			if (read_parts(ps, json_array_get(a, i), types, list, depth + 1, e) < 0)
				return -1;
		return 0;
	}
	for (; types->name; types++)
		if (strcmp(types->name, type) == 0)
			return read_part(ps, o, types, e);
	return pm_fail(e, PM_DATA, "the type '%s' is not known", type);
}

int pm_parts_read(struct pm_parts *ps, const json_t *o, const struct pm_part_type *types, const char *list, struct pm_err *e)
{
	return !o || json_is_null(o) ? 0 : read_parts(ps, o, types, list, 0, e);
}

void pm_parts_free(struct pm_parts *ps)
{
	for (size_t i = 0; i < ps->n; i++) {
		if (ps->v[i].type->free && ps->v[i].conf)
			ps->v[i].type->free(ps->v + i);
		free(ps->v[i].conf);
	}
	free(ps->v);
	memset(ps, 0, sizeof *ps);
}

int pm_normalize(const struct pm_parts *ps, size_t i, const struct pm_view *in, struct pm_view *out, struct pm_worker *w, struct pm_err *e)
{
	int use = 0;
	bool changed;

	*out = *in;
	for (; i < ps->n && out->n; i++) {
		changed = false;
		if (ps->v[i].type->normalize(ps->v + i, out, w->normal + use, &changed, w, e) < 0)
			return pm_ctx(e, "normalizer %s", ps->v[i].type->name);
		if (changed) {
			*out = pm_textbuf_view(w->normal + use);
			use = !use;
		}
	}
	return 0;
}

/* Hands the pieces of one pre-tokenizer to the next. */
struct chain {
	struct pm_sink sink;
	const struct pm_parts *ps;
	size_t i;
	struct pm_sink *last;
	struct pm_worker *w;
};

static int pass(struct pm_sink *s, const struct pm_view *piece, struct pm_err *e)
{
	struct chain *c = (struct chain *)s;

	return piece->n ? pm_pretokenize(c->ps, c->i, piece, c->last, c->w, e) : 0;
}

int pm_pretokenize(const struct pm_parts *ps, size_t i, const struct pm_view *in, struct pm_sink *last, struct pm_worker *w,
	struct pm_err *e)
{
	struct chain c = {{pass}, ps, i + 1, last, w};

	if (i == ps->n)
		return in->n ? last->put(last, in, e) : 0;
	/* the last part speaks straight to the model */
	return ps->v[i].type->split(ps->v + i, in, i + 1 == ps->n ? last : &c.sink, w, e);
}
