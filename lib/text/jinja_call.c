#include <string.h>

#include "text/jinja_private.h"
#include "text/unicode.h"

int jj_make_undef(struct jj_exec *x, struct jj_val *out, const struct jj_val *obj, const struct jj_val *name, const char *hint)
{
	struct jj_undef *u = jj_alloc(x, 1, sizeof *u);

	if (!u)
		return -1;
	if (obj)
		u->obj = *obj;
	if (name)
		u->name = *name;
	u->hint = hint;
	*out = (struct jj_val){.kind = JJ_UNDEF, .u = u};
	return 0;
}

static int bound(struct jj_exec *x, const struct jj_val *self, const struct jj_builtin *f, struct jj_val *out)
{
	struct jj_bound *b = jj_alloc(x, 1, sizeof *b);

	if (!b)
		return -1;
	b->f = f;
	b->self = *self;
	*out = (struct jj_val){.kind = JJ_FUNC, .fn = b};
	return 0;
}

static int loop_attr(struct jj_exec *x, const struct jj_val *v, const char *name, struct jj_val *out)
{
	const struct jj_loop *l = v->loop;
	const struct {
		const char *name;
		struct jj_val v;
	} attrs[] = {
		{"index0", jj_int(l->i)}, {"index", jj_int((int64_t)l->i + 1)}, {"first", jj_bool(l->i == 0)}, {"last", jj_bool(l->i + 1 == l->n)},
		{"length", jj_int(l->n)}, {"revindex", jj_int((int64_t)l->n - l->i)}, {"revindex0", jj_int((int64_t)l->n - l->i - 1)},
		{"depth", jj_int((int64_t)l->depth + 1)}, {"depth0", jj_int(l->depth)},
	};
	size_t i;

	for (i = 0; i < sizeof attrs / sizeof *attrs; i++) {
		if (!strcmp(attrs[i].name, name)) {
			*out = attrs[i].v;
			return 1;
		}
	}
	if (!strcmp(name, "previtem") || !strcmp(name, "nextitem")) {
		bool next = *name == 'n';

		if (next ? l->i + 1 < l->n : l->i > 0) {
			*out = l->v[next ? l->i + 1 : l->i - 1];
			return 1;
		}
		return jj_make_undef(x, out, NULL, NULL, next ? "there is no next item" : "there is no previous item") < 0 ? -1 : 1;
	}
	return 0;
}

static int macro_attr(struct jj_exec *x, const struct jj_macro *m, const char *name, struct jj_val *out)
{
	const struct jj_params *q = m->node->params;
	uint32_t i;

	if (!strcmp(name, "name"))
		*out = m->node->value;
	else if (!strcmp(name, "caller"))
		*out = jj_bool(q->caller);
	else if (!strcmp(name, "catch_kwargs"))
		*out = jj_bool(q->kwargs);
	else if (!strcmp(name, "catch_varargs"))
		*out = jj_bool(q->varargs);
	else if (!strcmp(name, "arguments")) {
		if (jj_list(x, out, q->n, JJ_TUPLE) < 0)
			return -1;
		for (i = 0; i < q->n; i++)
			*JJ_AT(out, i) = x->t->syms[q->sym[i]];
	} else {
		return 0;
	}
	return 1;
}

/* What Python's getattr finds: 1 and *out, or 0. */
static int own_attr(struct jj_exec *x, const struct jj_val *v, const struct jj_val *name, struct jj_val *out)
{
	const struct jj_builtin *f;
	struct jj_val *found;
	char text[32];
	int r = 0;

	if (v->kind == JJ_UNDEF)
		return jj_undefined(x, v);
	if (v->kind == JJ_SPACE) {
		found = jj_dict_get(x, v, name);
		if (found)
			*out = *found;
		return found != NULL;
	}
	if (name->len >= sizeof text)
		return 0;
	memcpy(text, JJ_BYTES(name), name->len);
	text[name->len] = 0;
	if (v->kind == JJ_LOOP)
		r = loop_attr(x, v, text, out);
	else if (v->kind == JJ_MACRO)
		r = macro_attr(x, v->macro, text, out);
	else if (v->kind == JJ_CYCLER && !strcmp(text, "current"))
		r = (*out = v->cycler->v[v->cycler->at], 1);
	else if (v->kind == JJ_LIST && v->shape == JJ_TUPLE && v->l->name && (!strcmp(text, "grouper") || !strcmp(text, "list")))
		r = (*out = *JJ_AT(v, *text == 'l'), 1);
	if (r != 0)
		return r;
	f = jj_find_method(v, text);
	if (f)
		return bound(x, v, f, out) < 0 ? -1 : 1;
	if (jj_forbidden(v, text) || (name->len > 4 && !memcmp(text, "__", 2) && !memcmp(text + name->len - 2, "__", 2) && v->kind != JJ_DICT))
		return jj_make_undef(x, out, v, name, "the sandbox does not let a template reach this attribute") < 0 ? -1 : 1;
	return 0;
}

/* v[key]: 1 and *out, or 0 where Python raises something that jinja2 turns into an undefined value. */
static int own_item(struct jj_exec *x, const struct jj_val *v, const struct jj_val *key, struct jj_val *out)
{
	struct jj_val *found;
	int64_t i, n;
	size_t at;

	if (v->kind == JJ_UNDEF)
		return jj_undefined(x, v);
	if (v->kind == JJ_DICT) {
		if (key->kind == JJ_DICT || key->kind == JJ_UNDEF || (key->kind == JJ_LIST && key->shape != JJ_TUPLE))
			return 0;
		found = jj_dict_get(x, v, key);
		if (found)
			*out = *found;
		return found != NULL;
	}
	if ((v->kind != JJ_STR && (v->kind != JJ_LIST || v->shape > JJ_RANGE)) || (key->kind != JJ_INT && key->kind != JJ_BOOL))
		return 0;
	i = key->kind == JJ_BOOL ? key->b : key->i;
	if (jj_length(x, v, &n) < 0)
		return -1;
	i += i < 0 ? n : 0;
	if (i < 0 || i >= n)
		return 0;
	if (v->kind == JJ_LIST) {
		*out = *JJ_AT(v, (size_t)i);
		return 1;
	}
	if (n == v->len) {
		*out = jj_cut(v, (size_t)i, (size_t)i + 1);
		return 1;
	}
	for (at = 0; i > 0; i--)
		at = jj_next(v, at);
	*out = jj_cut(v, at, jj_next(v, at));
	return 1;
}

int jj_attr(struct jj_exec *x, const struct jj_val *v, const struct jj_val *name, struct jj_val *out)
{
	struct jj_val got;
	int r = own_attr(x, v, name, &got);

	if (r == 0)
		r = own_item(x, v, name, &got);
	if (r == 0)
		return jj_make_undef(x, out, v, name, NULL);
	*out = got;
	return r < 0 ? -1 : 0;
}

int jj_item(struct jj_exec *x, const struct jj_val *v, const struct jj_val *key, struct jj_val *out)
{
	struct jj_val got;
	int r = own_item(x, v, key, &got);

	if (r == 0 && key->kind == JJ_STR)
		r = own_attr(x, v, key, &got);
	if (r == 0)
		return jj_make_undef(x, out, v, key, NULL);
	*out = got;
	return r < 0 ? -1 : 0;
}

int jj_want_int(struct jj_exec *x, const char *function, const struct jj_val *v, int64_t *out)
{
	if (v->kind != JJ_INT && v->kind != JJ_BOOL)
		return v->kind == JJ_UNDEF ? jj_undefined(x, v) : jj_fail(x, "%s: a %s where an int was wanted", function, jj_type_name(v));
	*out = v->kind == JJ_BOOL ? v->b : v->i;
	return 0;
}

/* One bound of a slice, clipped as Python does it. */
static int bound_of(struct jj_exec *x, const struct jj_val *v, int64_t n, bool down, int64_t fallback, int64_t *out)
{
	int64_t i = 0;

	*out = fallback;
	if (v->kind == JJ_ABSENT || v->kind == JJ_NONE)
		return 0;
	if (jj_want_int(x, "slice", v, &i) < 0)
		return -1;
	if (i < 0) {
		i += n;
		*out = i < 0 ? down ? -1 : 0 : i;
	} else {
		*out = i >= n ? down ? n - 1 : n : i;
	}
	return 0;
}

static int slice_string(struct jj_exec *x, const struct jj_val *v, int64_t from, int64_t to, int64_t step, int64_t n, struct jj_val *out)
{
	struct jj_val list, s;
	size_t a, b;
	int64_t i;

	if (step == 1) {
		if (to < from)
			to = from;
		if (n == v->len) {
			*out = jj_cut(v, (size_t)from, (size_t)to);
			return 0;
		}
		for (a = 0, i = 0; i < from; i++)
			a = jj_next(v, a);
		for (b = a; i < to; i++)
			b = jj_next(v, b);
		*out = jj_cut(v, a, b);
		return 0;
	}
	if (jj_items(x, v, &list) < 0 || jj_str_begin(x, &s) < 0)
		return -1;
	s.safe = v->safe;
	for (i = from; step > 0 ? i < to : i > to; i += step) {
		if (jj_add(x, &s, JJ_AT(&list, (size_t)i)) < 0)
			return -1;
		if (step > n || step < -n)
			break;
	}
	*out = s;
	return 0;
}

int jj_slice(struct jj_exec *x, const struct jj_val *v, const struct jj_val abc[3], struct jj_val *out)
{
	int64_t n, from, to, step = 1, i;
	struct jj_val list;

	if (v->kind == JJ_UNDEF)
		return jj_undefined(x, v);
	if (v->kind != JJ_STR && (v->kind != JJ_LIST || v->shape > JJ_RANGE))
		return jj_fail(x, "a %s cannot be sliced", jj_type_name(v));
	if (abc[2].kind != JJ_ABSENT && abc[2].kind != JJ_NONE && jj_want_int(x, "slice", &abc[2], &step) < 0)
		return -1;
	if (step == 0)
		return jj_fail(x, "a slice with a step of 0");
	if (jj_length(x, v, &n) < 0 || bound_of(x, &abc[0], n, step < 0, step < 0 ? n - 1 : 0, &from) < 0 ||
	    bound_of(x, &abc[1], n, step < 0, step < 0 ? -1 : n, &to) < 0)
		return -1;
	if (v->kind == JJ_STR)
		return slice_string(x, v, from, to, step, n, out);
	if (step == 1) {
		list = *v;
		list.from += (uint32_t)from;
		list.len = to > from ? (uint32_t)(to - from) : 0;
		list.shape = v->shape == JJ_RANGE ? JJ_PLAIN : v->shape;
		*out = list;
		return 0;
	}
	if (jj_list(x, &list, 0, v->shape == JJ_TUPLE ? JJ_TUPLE : JJ_PLAIN) < 0)
		return -1;
	for (i = from; step > 0 ? i < to : i > to; i += step) {
		if (jj_list_add(x, &list, JJ_AT(v, (size_t)i)) < 0)
			return -1;
		if (step > n || step < -n)
			break;
	}
	*out = list;
	return 0;
}

int jj_path(struct jj_exec *x, const struct jj_val *v, const struct jj_val *path, struct jj_val *out)
{
	struct jj_val at = *v, part;
	size_t from = 0, to, i;
	const char *s;

	if (path->kind != JJ_STR)
		return path->kind == JJ_NONE || path->kind == JJ_ABSENT ? (*out = at, 0) : jj_item(x, v, path, out);
	do {
		for (s = JJ_BYTES(path), to = from; to < path->len && s[to] != '.'; to++)
			;
		part = jj_cut(path, from, to);
		for (i = from; i < to && s[i] >= '0' && s[i] <= '9'; i++)
			;
		if (i == to && to > from && to - from < 18) {
			for (part = jj_int(0), i = from; i < to; i++)
				part.i = part.i * 10 + (s[i] - '0');
		}
		if (jj_item(x, &at, &part, &at) < 0)
			return -1;
		from = to + 1;
	} while (to < path->len);
	*out = at;
	return 0;
}

/* --- calls --- */

int jj_bind(struct jj_exec *x, const char *function, const struct jj_args *a, const char *params, struct jj_val *out)
{
	uint32_t n = 0, used = 0, k;
	const char *p = params;
	size_t len;

	while (*p) {
		len = strcspn(p, "=,");
		out[n] = n < a->npos ? a->pos[n] : (struct jj_val){.kind = JJ_ABSENT};
		for (k = 0; k < a->nkw; k++) {
			if (a->names[k].len != len || memcmp(JJ_BYTES(&a->names[k]), p, len) != 0)
				continue;
			if (n < a->npos)
				return jj_fail(x, "%s has two values for '%.*s'", function, (int)len, p);
			out[n] = a->kw[k];
			used++;
		}
		if (out[n].kind == JJ_ABSENT && p[len] != '=')
			return jj_fail(x, "%s lacks its argument '%.*s'", function, (int)len, p);
		n++;
		p += len;
		p += *p == '=';
		p += *p == ',';
	}
	if (a->npos > n)
		return jj_fail(x, "%s takes %u arguments, not %u", function, n, a->npos);
	return used < a->nkw ? jj_fail(x, "%s has no argument of this name", function) : 0;
}

int jj_call(struct jj_exec *x, const struct jj_val *f, const struct jj_args *a, struct jj_val *out)
{
	switch (f->kind) {
	case JJ_FUNC:
		return f->fn->f->call(x, &f->fn->self, a, out);
	case JJ_MACRO:
		return jj_call_macro(x, f->macro, a, out);
	case JJ_LOOP:
		return jj_call_loop(x, f->loop, a, out);
	case JJ_JOINER:
		if (f->cycler->at++)
			*out = f->cycler->v[0];
		else
			return jj_cstr(x, out, "");
		return 0;
	case JJ_UNDEF:
		return jj_undefined(x, f);
	default:
		return jj_fail(x, "a %s cannot be called", jj_type_name(f));
	}
}

const struct jj_builtin *jj_find_builtin(const struct jj_builtin *list, size_t n, const char *name)
{
	size_t lo = 0, hi = n, mid;
	int c;

	while (lo < hi) {
		mid = lo + (hi - lo) / 2;
		c = strcmp(name, list[mid].name);
		if (c == 0)
			return &list[mid];
		if (c < 0)
			hi = mid;
		else
			lo = mid + 1;
	}
	return NULL;
}
