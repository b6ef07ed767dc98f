#include <string.h>

#include "text/jinja_private.h"
#include "text/unicode.h"

struct jj_val jj_none(void)
{
	return (struct jj_val){.kind = JJ_NONE};
}

struct jj_val jj_bool(bool b)
{
	return (struct jj_val){.kind = JJ_BOOL, .b = b};
}

struct jj_val jj_int(int64_t i)
{
	return (struct jj_val){.kind = JJ_INT, .i = i};
}

struct jj_val jj_float(double f)
{
	return (struct jj_val){.kind = JJ_FLOAT, .f = f};
}

/* --- strings --- */

static struct jj_bytes *bytes_of(struct jj_exec *x, char *data, size_t n, struct jj_tag tag)
{
	struct jj_bytes *b;

	if (n > UINT32_MAX / 2) {
		jj_fail(x, "a string is longer than 2 GiB");
		return NULL;
	}
	b = jj_alloc(x, 1, sizeof *b);
	if (!b)
		return NULL;
	b->data = data;
	b->used = b->cap = (uint32_t)n;
	b->one = (struct jj_run){(uint32_t)n, tag};
	b->runs = &b->one;
	b->nruns = b->cap_runs = 1;
	return b;
}

static int borrow(struct jj_exec *x, struct jj_val *out, const char *s, size_t n, struct jj_tag tag)
{
	struct jj_bytes *b = bytes_of(x, (char *)(size_t)s, n, tag);

	if (!b)
		return -1;
	*out = (struct jj_val){.kind = JJ_STR, .len = (uint32_t)n, .s = b};
	return 0;
}

int jj_str(struct jj_exec *x, struct jj_val *out, const char *s, size_t n, struct jj_tag tag)
{
	char *copy = jj_alloc(x, n + 1, 1);

	if (!copy)
		return -1;
	memcpy(copy, s, n);
	return borrow(x, out, copy, n, tag);
}

int jj_cstr(struct jj_exec *x, struct jj_val *out, const char *s)
{
	return borrow(x, out, s, strlen(s), (struct jj_tag){PM_JINJA_TEMPLATE, -1, -1, 0});
}

int jj_str_begin(struct jj_exec *x, struct jj_val *out)
{
	struct jj_bytes *b = jj_alloc(x, 1, sizeof *b);

	if (!b)
		return -1;
	b->data = (char *)(size_t)"";
	b->own = true;
	b->runs = &b->one;
	b->cap_runs = 1;
	*out = (struct jj_val){.kind = JJ_STR, .s = b};
	return 0;
}

/* The first run that reaches beyond a byte. */
static uint32_t run_at(const struct jj_bytes *b, size_t byte)
{
	uint32_t lo = 0, hi = b->nruns;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (b->runs[mid].to > byte)
			hi = mid;
		else
			lo = mid + 1;
	}
	return lo;
}

struct jj_tag jj_tag_at(const struct jj_val *s, size_t byte)
{
	uint32_t i = s->s->nruns ? run_at(s->s, s->from + byte) : 0;

	return i < s->s->nruns ? s->s->runs[i].tag : (struct jj_tag){PM_JINJA_TEMPLATE, -1, -1, 0};
}

static int put_run(struct jj_exec *x, struct jj_bytes *b, uint32_t to, struct jj_tag tag)
{
	struct jj_run *last = b->nruns ? &b->runs[b->nruns - 1] : NULL, *grown;

	if (last && last->tag.origin == tag.origin && last->tag.message == tag.message && last->tag.turn == tag.turn && last->tag.mark == tag.mark) {
		last->to = to;
		return 0;
	}
	if (b->nruns == b->cap_runs) {
		grown = jj_alloc(x, 2 * (size_t)b->cap_runs + 2, sizeof *grown);
		if (!grown)
			return -1;
		memcpy(grown, b->runs, b->nruns * sizeof *grown);
		b->runs = grown;
		b->cap_runs = 2 * b->cap_runs + 2;
	}
	b->runs[b->nruns++] = (struct jj_run){to, tag};
	return 0;
}

static int put_runs(struct jj_exec *x, struct jj_bytes *to, uint32_t at, const struct jj_val *src, size_t from, size_t end, uint32_t mark)
{
	const struct jj_bytes *b = src->s;
	uint32_t i = run_at(b, src->from + from), stop;
	struct jj_tag tag;

	for (; i < b->nruns && from < end; i++) {
		tag = b->runs[i].tag;
		stop = b->runs[i].to - src->from < end ? b->runs[i].to - src->from : (uint32_t)end;
		if (tag.turn < 0)
			tag.turn = x->message;
		if (!tag.mark)
			tag.mark = mark;
		if (put_run(x, to, at + (uint32_t)(stop - from), tag) < 0)
			return -1;
		at += (uint32_t)(stop - from);
		from = stop;
	}
	return 0;
}

/* Makes room for n bytes behind dst, in place where dst is the last thing in its store; else in a copy. */
static int room(struct jj_exec *x, struct jj_val *dst, size_t n)
{
	struct jj_bytes *b = dst->s, *own;
	int32_t message = x->message;
	size_t cap;
	int r;

	if (dst->from + dst->len == b->used && b->cap - b->used >= n)
		return 0;
	if ((size_t)dst->len + n > UINT32_MAX / 4)
		return jj_fail(x, "a string grows longer than 1 GiB");
	cap = 2 * (dst->len + n);
	cap = cap < 48 ? 48 : cap;
	own = jj_alloc(x, 1, sizeof *own);
	if (!own || !(own->data = jj_alloc(x, cap, 1)))
		return -1;
	own->cap = (uint32_t)cap;
	own->runs = &own->one;
	own->cap_runs = 1;
	own->own = true;
	if (dst->len) {
		/* what was written before keeps the turn it was written in, or that it was in none */
		if (b->own)
			x->message = -1;
		memcpy(own->data, JJ_BYTES(dst), dst->len);
		r = put_runs(x, own, 0, dst, 0, dst->len, 0);
		x->message = message;
		if (r < 0)
			return -1;
	}
	own->used = dst->len;
	dst->s = own;
	dst->from = 0;
	return 0;
}

static int add(struct jj_exec *x, struct jj_val *dst, const struct jj_val *src, size_t from, size_t to, uint32_t mark)
{
	const char *s;

	if (from == to)
		return 0;
	if (x->steps += (to - from) / 64, room(x, dst, to - from) < 0)
		return -1;
	s = JJ_BYTES(src) + from;
	memcpy(dst->s->data + dst->s->used, s, to - from);
	if (put_runs(x, dst->s, dst->s->used, src, from, to, mark) < 0)
		return -1;
	dst->s->used += (uint32_t)(to - from);
	dst->len += (uint32_t)(to - from);
	return 0;
}

int jj_add_part(struct jj_exec *x, struct jj_val *dst, const struct jj_val *src, size_t from, size_t to)
{
	return add(x, dst, src, from, to, 0);
}

int jj_add(struct jj_exec *x, struct jj_val *dst, const struct jj_val *src)
{
	return add(x, dst, src, 0, src->len, 0);
}

int jj_emit(struct jj_exec *x, const struct jj_val *src)
{
	return add(x, x->out, src, 0, src->len, x->mark);
}

int jj_add_bytes(struct jj_exec *x, struct jj_val *dst, const char *s, size_t n, struct jj_tag tag)
{
	struct jj_bytes b = {.data = (char *)(size_t)s, .used = (uint32_t)n, .cap = (uint32_t)n, .nruns = 1};
	struct jj_val v = {.kind = JJ_STR, .len = (uint32_t)n, .s = &b};

	b.one = (struct jj_run){(uint32_t)n, tag};
	b.runs = &b.one;
	return add(x, dst, &v, 0, n, 0);
}

int jj_add_cstr(struct jj_exec *x, struct jj_val *dst, const char *s)
{
	return jj_add_bytes(x, dst, s, strlen(s), (struct jj_tag){PM_JINJA_TEMPLATE, -1, -1, 0});
}

struct jj_val jj_cut(const struct jj_val *s, size_t from, size_t to)
{
	struct jj_val v = *s;

	v.from = s->from + (uint32_t)from;
	v.len = (uint32_t)(to - from);
	return v;
}

size_t jj_next(const struct jj_val *s, size_t at)
{
	const char *p = JJ_BYTES(s);

	for (at++; at < s->len && ((unsigned char)p[at] & 0xc0) == 0x80; at++)
		;
	return at;
}

bool jj_is(const struct jj_val *v, const char *text)
{
	return v->kind == JJ_STR && v->len == strlen(text) && !memcmp(JJ_BYTES(v), text, v->len);
}

/* --- lists --- */

int jj_list(struct jj_exec *x, struct jj_val *out, size_t n, enum jj_shape shape)
{
	struct jj_store *l;

	if (n > UINT32_MAX / 4)
		return jj_fail(x, "a list is too long");
	l = jj_alloc(x, 1, sizeof *l);
	if (!l || !(l->v = jj_alloc(x, n ? n : 1, sizeof *l->v)))
		return -1;
	l->used = (uint32_t)n;
	l->cap = (uint32_t)(n ? n : 1);
	*out = (struct jj_val){.kind = JJ_LIST, .shape = (uint8_t)shape, .len = (uint32_t)n, .l = l};
	return jj_steps(x, n);
}

int jj_list_add(struct jj_exec *x, struct jj_val *list, const struct jj_val *v)
{
	struct jj_store *l = list->l, *own;

	if (list->from + list->len != l->used || l->used == l->cap) {
		own = jj_alloc(x, 1, sizeof *own);
		if (!own || !(own->v = jj_alloc(x, 2 * (size_t)list->len + 4, sizeof *own->v)))
			return -1;
		*own = (struct jj_store){.v = own->v, .used = list->len, .cap = 2 * list->len + 4};
		if (list->len)
			memcpy(own->v, l->v + list->from, list->len * sizeof *own->v);
		list->l = l = own;
		list->from = 0;
	}
	l->v[l->used++] = *v;
	list->len++;
	return 0;
}

int jj_gen(struct jj_exec *x, struct jj_val *list, const char *name)
{
	struct jj_store *l = jj_alloc(x, 1, sizeof *l);

	if (!l)
		return -1;
	*l = (struct jj_store){.v = list->l->v + list->from, .used = list->len, .cap = list->len, .name = name};
	list->l = l;
	list->from = 0;
	list->shape = JJ_GEN;
	return 0;
}

/* --- dicts --- */

int jj_dict(struct jj_exec *x, struct jj_val *out)
{
	struct jj_dict *d = jj_alloc(x, 1, sizeof *d);

	if (!d)
		return -1;
	d->message = x->message;
	*out = (struct jj_val){.kind = JJ_DICT, .d = d};
	return 0;
}

/* Equal values have equal hashes; −1: no key. */
static int hash(struct jj_exec *x, const struct jj_val *v, uint32_t *h)
{
	const unsigned char *p;
	uint32_t i, part;

	*h = 2166136261u;
	switch (v->kind) {
	case JJ_STR:
		for (p = (const unsigned char *)JJ_BYTES(v), i = 0; i < v->len; i++)
			*h = (*h ^ p[i]) * 16777619u;
		return 0;
	case JJ_BOOL:
	case JJ_INT:
	case JJ_FLOAT:
		*h ^= (uint32_t)(v->kind == JJ_FLOAT ? v->f > -9e18 && v->f < 9e18 ? (int64_t)v->f : 0 : v->kind == JJ_INT ? v->i : v->b) * 2654435761u;
		return 0;
	case JJ_LIST:
		if (v->shape != JJ_TUPLE)
			break;
		for (i = 0; i < v->len; i++) {
			if (jj_enter(x) < 0 || hash(x, JJ_AT(v, i), &part) < 0)
				return -1;
			x->depth--;
			*h = (*h ^ part) * 16777619u;
		}
		return 0;
	case JJ_UNDEF:
	case JJ_DICT:
		break;
	default:
		return 0;
	}
	return v->kind == JJ_UNDEF ? jj_undefined(x, v) : jj_fail(x, "a %s cannot be a key", jj_type_name(v));
}

static int same_key(struct jj_exec *x, const struct jj_val *a, const struct jj_val *b)
{
	bool is = false;

	if (a->kind == JJ_STR && b->kind == JJ_STR)
		return a->len == b->len && !memcmp(JJ_BYTES(a), JJ_BYTES(b), a->len);
	return jj_equal(x, a, b, &is) < 0 ? -1 : is;
}

static int index_all(struct jj_exec *x, struct jj_dict *d)
{
	uint32_t i, size = 32, at;

	while (size < 3 * d->n)
		size *= 2;
	d->index = jj_alloc(x, size, sizeof *d->index);
	d->hash = jj_alloc(x, size, sizeof *d->hash);
	if (!d->index || !d->hash)
		return -1;
	for (i = 0; i < d->n; i++) {
		if (hash(x, &d->keys[i], &d->hash[i]) < 0)
			return -1;
		for (at = d->hash[i] & (size - 1); d->index[at]; at = (at + 1) & (size - 1))
			;
		d->index[at] = i + 1;
	}
	d->nindex = size;
	return 0;
}

/* The place of a key: d->n where it is not there. */
static int place(struct jj_exec *x, struct jj_dict *d, const struct jj_val *key, uint32_t *out)
{
	uint32_t h, i, at;
	int same = 0;

	if (hash(x, key, &h) < 0)
		return -1;
	if (d->n <= 8) {
		for (i = 0; i < d->n && !(same = same_key(x, &d->keys[i], key)); i++)
			;
		*out = i;
		return same < 0 ? -1 : 0;
	}
	if (d->nindex < 2 * d->n && index_all(x, d) < 0)
		return -1;
	for (at = h & (d->nindex - 1); d->index[at]; at = (at + 1) & (d->nindex - 1)) {
		i = d->index[at] - 1;
		if (d->hash[i] == h && (++x->steps, same = same_key(x, &d->keys[i], key)) != 0) {
			*out = i;
			return same < 0 ? -1 : 0;
		}
	}
	*out = d->n;
	return 0;
}

int jj_dict_set(struct jj_exec *x, struct jj_val *dict, const struct jj_val *key, const struct jj_val *v)
{
	struct jj_dict *d = dict->d;
	struct jj_val *grown;
	uint32_t i, cap, at;

	if (place(x, d, key, &i) < 0)
		return -1;
	if (i < d->n) {
		d->vals[i] = *v;
		return 0;
	}
	if (d->n == d->cap) {
		cap = d->cap ? 2 * d->cap : 4;
		grown = jj_alloc(x, 2 * (size_t)cap, sizeof *grown);
		if (!grown)
			return -1;
		if (d->n) {
			memcpy(grown, d->keys, d->n * sizeof *grown);
			memcpy(grown + cap, d->vals, d->n * sizeof *grown);
		}
		d->keys = grown;
		d->vals = grown + cap;
		d->cap = cap;
	}
	d->keys[d->n] = *key;
	d->vals[d->n] = *v;
	if (d->nindex >= 2 * (d->n + 1)) {
		if (hash(x, key, &d->hash[d->n]) < 0)
			return -1;
		for (at = d->hash[d->n] & (d->nindex - 1); d->index[at]; at = (at + 1) & (d->nindex - 1))
			;
		d->index[at] = d->n + 1;
	}
	d->n++;
	return 0;
}

struct jj_val *jj_dict_get(struct jj_exec *x, const struct jj_val *dict, const struct jj_val *key)
{
	uint32_t i;

	return place(x, dict->d, key, &i) == 0 && i < dict->d->n ? &dict->d->vals[i] : NULL;
}

struct jj_val *jj_dict_find(struct jj_exec *x, const struct jj_val *dict, const char *key)
{
	struct jj_bytes b = {.data = (char *)(size_t)key};
	struct jj_val k = {.kind = JJ_STR, .len = (uint32_t)strlen(key), .s = &b};

	return jj_dict_get(x, dict, &k);
}

/* --- JSON --- */

/* A role is a word that templates put into markers of their own ("<|user|>"); what is no plain word is a message's text. */
static bool is_word(const char *s, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') || (s[i] >= '0' && s[i] <= '9') || s[i] == '_'))
			return false;
	return n > 0;
}

static int object(struct jj_exec *x, struct jj_val *out, const json_t *j, struct jj_tag tag, int32_t message)
{
	size_t n = json_object_size(j);
	struct jj_dict *d;
	const char *key;
	json_t *v;

	if (jj_dict(x, out) < 0)
		return -1;
	d = out->d;
	d->message = message;
	if (n > UINT32_MAX / 8)
		return jj_fail(x, "an object is too large");
	d->cap = (uint32_t)n;
	d->keys = jj_alloc(x, 2 * n + 1, sizeof *d->keys);
	if (!d->keys)
		return -1;
	d->vals = d->keys + n;
	json_object_foreach((json_t *)(size_t)j, key, v) {
		struct jj_tag t = tag;

		if (message >= 0 && !strcmp(key, "role") && json_is_string(v) && is_word(json_string_value(v), json_string_length(v)))
			t = (struct jj_tag){PM_JINJA_TEMPLATE, -1, -1, 0};
		if (borrow(x, &d->keys[d->n], key, strlen(key), tag) < 0 || jj_from_json(x, &d->vals[d->n], v, t, -1) < 0)
			return -1;
		d->n++;
	}
	return 0;
}

int jj_from_json(struct jj_exec *x, struct jj_val *out, const json_t *j, struct jj_tag tag, int32_t message)
{
	size_t i;

	if (jj_enter(x) < 0)
		return -1;
	switch (json_typeof(j)) {
	case JSON_OBJECT:
		if (object(x, out, j, tag, message) < 0)
			return -1;
		break;
	case JSON_ARRAY:
		if (jj_list(x, out, json_array_size(j), JJ_PLAIN) < 0)
			return -1;
		for (i = 0; i < json_array_size(j); i++)
			if (jj_from_json(x, JJ_AT(out, i), json_array_get(j, i), tag, -1) < 0)
				return -1;
		break;
	case JSON_STRING:
		if (borrow(x, out, json_string_value(j), json_string_length(j), tag) < 0)
			return -1;
		break;
	case JSON_INTEGER:
		*out = jj_int(json_integer_value(j));
		break;
	case JSON_REAL:
		*out = jj_float(json_real_value(j));
		break;
	case JSON_NULL:
		*out = jj_none();
		break;
	default:
		*out = jj_bool(json_is_true(j));
		break;
	}
	x->depth--;
	return 0;
}
