/* Filters on what can be gone through. */
#include <string.h>

#include "text/jinja_private.h"

#define FILTER(name) static int name(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, struct jj_val *out)

/* The lower case of a string, where case does not count; any other value is itself. */
static int fold(struct jj_exec *x, const struct jj_val *v, bool case_sensitive, struct jj_val *out)
{
	*out = *v;
	return v->kind == JJ_STR && !case_sensitive ? jj_change_case(x, v, JJ_LOWER, out) : 0;
}

/* What a list is sorted or compared by: an attribute, or the element itself. "a,b": several of them, as a list. */
static int key_of(struct jj_exec *x, const struct jj_val *v, const struct jj_val *attribute, bool case_sensitive, struct jj_val *out)
{
	struct jj_val part, key;
	size_t from, to;

	if (attribute->kind != JJ_STR || !memchr(JJ_BYTES(attribute), ',', attribute->len))
		return jj_path(x, v, attribute, &key) < 0 ? -1 : fold(x, &key, case_sensitive, out);
	if (jj_list(x, out, 0, JJ_PLAIN) < 0)
		return -1;
	for (from = 0; from <= attribute->len; from = to + 1) {
		for (to = from; to < attribute->len && JJ_BYTES(attribute)[to] != ','; to++)
			;
		part = jj_cut(attribute, from, to);
		if (jj_path(x, v, &part, &key) < 0 || fold(x, &key, case_sensitive, &key) < 0 || jj_list_add(x, out, &key) < 0)
			return -1;
	}
	return 0;
}

/* Sorts pairs of key and value by key, keeping the order of equal ones: runs are merged. */
static int merge_sort(struct jj_exec *x, struct jj_val *v, struct jj_val *spare, size_t n, bool reverse)
{
	size_t half = n / 2, i = 0, k = half, at = 0;
	bool less;

	if (n < 2)
		return 0;
	if (merge_sort(x, v, spare, half, reverse) < 0 || merge_sort(x, v + 2 * half, spare, n - half, reverse) < 0)
		return -1;
	while (i < half && k < n) {
		if (jj_steps(x, 1) < 0 || (reverse ? jj_less(x, &v[2 * i], &v[2 * k], "<", &less) : jj_less(x, &v[2 * k], &v[2 * i], "<", &less)) < 0)
			return -1;
		memcpy(&spare[2 * at++], &v[2 * (less ? k++ : i++)], 2 * sizeof *v);
	}
	memcpy(&spare[2 * at], &v[2 * i], 2 * (half - i) * sizeof *v);
	memcpy(&spare[2 * (at + half - i)], &v[2 * k], 2 * (n - k) * sizeof *v);
	memcpy(v, spare, 2 * n * sizeof *v);
	return 0;
}

/* The elements of v, sorted by attribute: pairs of key and element. */
static struct jj_val *sorted(struct jj_exec *x, const struct jj_val *list, const struct jj_val *attribute, bool case_sensitive, bool reverse)
{
	struct jj_val *pairs = jj_alloc(x, 4 * (size_t)list->len + 1, sizeof *pairs);
	uint32_t i;

	for (i = 0; pairs && i < list->len; i++) {
		pairs[2 * i + 1] = *JJ_AT(list, i);
		if (key_of(x, JJ_AT(list, i), attribute, case_sensitive, &pairs[2 * i]) < 0)
			return NULL;
	}
	return pairs && merge_sort(x, pairs, pairs + 2 * (size_t)list->len, list->len, reverse) < 0 ? NULL : pairs;
}

FILTER(filter_sort)
{
	struct jj_val arg[3], list, *pairs;
	uint32_t i;

	if (jj_bind(x, "sort", a, "reverse=,case_sensitive=,attribute=", arg) < 0 || jj_items(x, v, &list) < 0 ||
	    !(pairs = sorted(x, &list, &arg[2], jj_truth(&arg[1]), jj_truth(&arg[0]))) || jj_list(x, out, list.len, JJ_PLAIN) < 0)
		return -1;
	for (i = 0; i < list.len; i++)
		*JJ_AT(out, i) = pairs[2 * i + 1];
	return 0;
}

static int pair(struct jj_exec *x, const struct jj_val *a, const struct jj_val *b, struct jj_val *out)
{
	if (jj_list(x, out, 2, JJ_TUPLE) < 0)
		return -1;
	*JJ_AT(out, 0) = *a;
	*JJ_AT(out, 1) = *b;
	return 0;
}

FILTER(filter_dictsort)
{
	struct jj_val arg[3], list, item, at, *pairs;
	uint32_t i;

	if (jj_bind(x, "dictsort", a, "case_sensitive=,by=,reverse=", arg) < 0)
		return -1;
	at = jj_int(0);
	if (arg[1].kind != JJ_ABSENT && !jj_is(&arg[1], "key")) {
		if (!jj_is(&arg[1], "value"))
			return jj_fail(x, "dictsort: by 'key' or 'value' was wanted");
		at = jj_int(1);
	}
	if (v->kind != JJ_DICT)
		return v->kind == JJ_UNDEF ? jj_undefined(x, v) : jj_fail(x, "dictsort of a %s", jj_type_name(v));
	if (jj_list(x, &list, 0, JJ_PLAIN) < 0)
		return -1;
	for (i = 0; i < v->d->n; i++)
		if (pair(x, &v->d->keys[i], &v->d->vals[i], &item) < 0 || jj_list_add(x, &list, &item) < 0)
			return -1;
	if (!(pairs = sorted(x, &list, &at, jj_truth(&arg[0]), jj_truth(&arg[2]))) || jj_list(x, out, list.len, JJ_PLAIN) < 0)
		return -1;
	for (i = 0; i < list.len; i++)
		*JJ_AT(out, i) = pairs[2 * i + 1];
	return 0;
}

FILTER(filter_items)
{
	struct jj_val item;
	uint32_t i;

	if (jj_bind(x, "items", a, "", NULL) < 0 || jj_list(x, out, 0, JJ_PLAIN) < 0)
		return -1;
	if (v->kind != JJ_DICT && v->kind != JJ_UNDEF)
		return jj_fail(x, "items of a %s, a mapping was wanted", jj_type_name(v));
	for (i = 0; v->kind == JJ_DICT && i < v->d->n; i++)
		if (pair(x, &v->d->keys[i], &v->d->vals[i], &item) < 0 || jj_list_add(x, out, &item) < 0)
			return -1;
	return jj_gen(x, out, "do_items");
}

FILTER(filter_groupby)
{
	struct jj_val arg[3], list, group, members, key, *pairs;
	uint32_t i, k;
	bool same;

	if (jj_bind(x, "groupby", a, "attribute,default=,case_sensitive=", arg) < 0 || jj_items(x, v, &list) < 0 ||
	    !(pairs = sorted(x, &list, &arg[0], jj_truth(&arg[2]), false)) || jj_list(x, out, 0, JJ_PLAIN) < 0)
		return -1;
	for (i = 0; i < list.len; i = k) {
		if (jj_list(x, &members, 0, JJ_PLAIN) < 0 || jj_path(x, &pairs[2 * i + 1], &arg[0], &key) < 0)
			return -1;
		if (key.kind == JJ_UNDEF && arg[1].kind != JJ_ABSENT)
			key = arg[1];
		for (k = i, same = true; k < list.len && same; k += same)
			if (jj_equal(x, &pairs[2 * i], &pairs[2 * k], &same) < 0 || (same && jj_list_add(x, &members, &pairs[2 * k + 1]) < 0))
				return -1;
		if (pair(x, &key, &members, &group) < 0)
			return -1;
		group.l->name = "group";
		if (jj_list_add(x, out, &group) < 0)
			return -1;
	}
	return 0;
}

FILTER(filter_unique)
{
	struct jj_val arg[2], list, seen, key, yes = jj_bool(true), r;
	uint32_t i, n;

	if (jj_bind(x, "unique", a, "case_sensitive=,attribute=", arg) < 0 || jj_items(x, v, &list) < 0 || jj_dict(x, &seen) < 0 ||
	    jj_list(x, &r, 0, JJ_PLAIN) < 0)
		return -1;
	for (i = 0; i < list.len; i++) {
		n = seen.d->n;
		if (key_of(x, JJ_AT(&list, i), &arg[1], jj_truth(&arg[0]), &key) < 0 || jj_dict_set(x, &seen, &key, &yes) < 0 ||
		    (seen.d->n > n && jj_list_add(x, &r, JJ_AT(&list, i)) < 0))
			return -1;
	}
	*out = r;
	return jj_gen(x, out, "do_unique");
}

/* The least element, or the greatest: the first of equal ones. */
static int extreme(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, bool greatest, struct jj_val *out)
{
	struct jj_val arg[2], list, best, key;
	uint32_t i;
	bool better;

	if (jj_bind(x, greatest ? "max" : "min", a, "case_sensitive=,attribute=", arg) < 0 || jj_items(x, v, &list) < 0)
		return -1;
	if (!list.len)
		return jj_make_undef(x, out, NULL, NULL, "there is no least or greatest of nothing");
	*out = *JJ_AT(&list, 0);
	if (key_of(x, out, &arg[1], jj_truth(&arg[0]), &best) < 0)
		return -1;
	for (i = 1; i < list.len; i++) {
		if (key_of(x, JJ_AT(&list, i), &arg[1], jj_truth(&arg[0]), &key) < 0 ||
		    (greatest ? jj_less(x, &best, &key, ">", &better) : jj_less(x, &key, &best, "<", &better)) < 0)
			return -1;
		if (better) {
			best = key;
			*out = *JJ_AT(&list, i);
		}
	}
	return 0;
}

FILTER(filter_max)
{
	return extreme(x, v, a, true, out);
}

FILTER(filter_min)
{
	return extreme(x, v, a, false, out);
}

FILTER(filter_sum)
{
	struct jj_val arg[2], list, item, sum;
	uint32_t i;

	if (jj_bind(x, "sum", a, "attribute=,start=", arg) < 0 || jj_items(x, v, &list) < 0)
		return -1;
	sum = arg[1].kind == JJ_ABSENT ? jj_int(0) : arg[1];
	if (sum.kind == JJ_STR)
		return jj_fail(x, "sum: strings are joined, not added");
	for (i = 0; i < list.len; i++)
		if (jj_path(x, JJ_AT(&list, i), &arg[0], &item) < 0 || jj_binary(x, JO_ADD, &sum, &item, &sum) < 0)
			return -1;
	*out = sum;
	return 0;
}

/* --- map, select --- */

/* The arguments behind the first n. */
static struct jj_args rest(const struct jj_args *a, uint32_t n)
{
	struct jj_args r = *a;

	if (n)
		r.pos += n;
	r.npos -= n;
	return r;
}

static const struct jj_builtin *named(struct jj_exec *x, const struct jj_val *name, const struct jj_builtin *(*find)(const char *), const char *what)
{
	const struct jj_builtin *f = NULL;
	char text[40] = "";

	if (name->kind == JJ_STR && name->len < sizeof text) {
		memcpy(text, JJ_BYTES(name), name->len);
		f = find(text);
	}
	if (!f)
		jj_fail(x, "no %s named %s", what, jj_show(x, name));
	/* cppcheck-suppress returnDanglingLifetime ; a table's entry, not the text it was found by */
	return f;
}

FILTER(filter_map)
{
	const struct jj_builtin *f = NULL;
	struct jj_val arg[2], list, item, r;
	struct jj_args more = *a;
	uint32_t i;

	if (jj_list(x, &r, 0, JJ_PLAIN) < 0 || jj_list(x, &list, 0, JJ_PLAIN) < 0)
		return -1;
	if (a->npos) {
		if (jj_truth(v) && !(f = named(x, &a->pos[0], jj_find_filter, "filter")))
			return -1;
		more = rest(a, 1);
	} else if (jj_bind(x, "map", a, "attribute,default=", arg) < 0) {
		return -1;
	}
	if (jj_truth(v) && jj_items(x, v, &list) < 0)
		return -1;
	for (i = 0; i < list.len; i++) {
		if (f ? f->call(x, JJ_AT(&list, i), &more, &item) < 0 : jj_path(x, JJ_AT(&list, i), &arg[0], &item) < 0)
			return -1;
		if (!f && item.kind == JJ_UNDEF && arg[1].kind != JJ_ABSENT && arg[1].kind != JJ_NONE)
			item = arg[1];
		if (jj_list_add(x, &r, &item) < 0)
			return -1;
	}
	*out = r;
	return jj_gen(x, out, "sync_do_map");
}

/* The elements for which a test holds (or does not), asked of an attribute where the filter's name says so. */
static int chosen(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, bool attribute, bool want, struct jj_val *out)
{
	const struct jj_builtin *test = NULL;
	struct jj_val list, item, is, r;
	struct jj_args more;
	uint32_t i;

	if (attribute && !a->npos)
		return jj_fail(x, "selectattr and rejectattr: the name of an attribute was wanted");
	if (jj_list(x, &r, 0, JJ_PLAIN) < 0 || jj_list(x, &list, 0, JJ_PLAIN) < 0)
		return -1;
	if (jj_truth(v)) {
		if (a->npos > attribute && !(test = named(x, &a->pos[attribute], jj_find_test, "test")))
			return -1;
		if (jj_items(x, v, &list) < 0)
			return -1;
	}
	more = rest(a, a->npos > attribute ? 1u + attribute : a->npos);
	for (i = 0; i < list.len; i++) {
		item = *JJ_AT(&list, i);
		if (attribute && jj_path(x, &item, &a->pos[0], &item) < 0)
			return -1;
		if (test && test->call(x, &item, &more, &is) < 0)
			return -1;
		if (jj_truth(test ? &is : &item) == want && jj_list_add(x, &r, JJ_AT(&list, i)) < 0)
			return -1;
	}
	*out = r;
	return jj_gen(x, out, "select_or_reject");
}

FILTER(filter_select)
{
	return chosen(x, v, a, false, true, out);
}

FILTER(filter_reject)
{
	return chosen(x, v, a, false, false, out);
}

FILTER(filter_selectattr)
{
	return chosen(x, v, a, true, true, out);
}

FILTER(filter_rejectattr)
{
	return chosen(x, v, a, true, false, out);
}

/* --- parts and shapes --- */

FILTER(filter_first)
{
	struct jj_val list;

	if (jj_bind(x, "first", a, "", NULL) < 0)
		return -1;
	if (v->kind == JJ_LIST && v->shape == JJ_GEN && v->l->at < v->l->used) {
		*out = v->l->v[v->l->at++];
		return 0;
	}
	if (jj_items(x, v, &list) < 0)
		return -1;
	if (!list.len)
		return jj_make_undef(x, out, NULL, NULL, "there is no first of nothing");
	*out = *JJ_AT(&list, 0);
	return 0;
}

FILTER(filter_last)
{
	struct jj_val list;

	if (jj_bind(x, "last", a, "", NULL) < 0)
		return -1;
	if (v->kind == JJ_LIST && v->shape == JJ_GEN)
		return jj_fail(x, "last of a generator");
	if (jj_items(x, v, &list) < 0)
		return -1;
	if (!list.len)
		return jj_make_undef(x, out, NULL, NULL, "there is no last of nothing");
	*out = *JJ_AT(&list, list.len - 1);
	return 0;
}

FILTER(filter_length)
{
	int64_t n;

	if (jj_bind(x, "length", a, "", NULL) < 0 || jj_length(x, v, &n) < 0)
		return -1;
	*out = jj_int(n);
	return 0;
}

FILTER(filter_list)
{
	return jj_bind(x, "list", a, "", NULL) < 0 ? -1 : jj_items(x, v, out);
}

FILTER(filter_reverse)
{
	struct jj_val list, r;
	uint32_t i;

	if (jj_bind(x, "reverse", a, "", NULL) < 0 || jj_items(x, v, &list) < 0 || jj_list(x, &r, list.len, JJ_PLAIN) < 0)
		return -1;
	for (i = 0; i < list.len; i++)
		*JJ_AT(&r, i) = *JJ_AT(&list, list.len - 1 - i);
	if (v->kind == JJ_STR) {
		struct jj_val none;

		return jj_cstr(x, &none, "") < 0 ? -1 : jj_join(x, &none, &r, out);
	}
	*out = r;
	return jj_gen(x, out, "reverse");
}

FILTER(filter_join)
{
	struct jj_val arg[2], list, strings, sep;
	uint32_t i;

	if (jj_bind(x, "join", a, "d=,attribute=", arg) < 0 || jj_items(x, v, &list) < 0 || jj_list(x, &strings, list.len, JJ_PLAIN) < 0)
		return -1;
	if (arg[0].kind == JJ_ABSENT ? jj_cstr(x, &sep, "") < 0 : jj_to_str(x, &sep, &arg[0]) < 0)
		return -1;
	for (i = 0; i < list.len; i++)
		if (jj_path(x, JJ_AT(&list, i), &arg[1], JJ_AT(&strings, i)) < 0 || jj_to_str(x, JJ_AT(&strings, i), JJ_AT(&strings, i)) < 0)
			return -1;
	return jj_join(x, &sep, &strings, out);
}

/* Appends elements from .. to of a list, and `fill` up to n, as one list. */
static int part(struct jj_exec *x, struct jj_val *lists, const struct jj_val *list, size_t from, size_t to, const struct jj_val *fill, size_t n)
{
	struct jj_val p;

	if (jj_list(x, &p, 0, JJ_PLAIN) < 0)
		return -1;
	for (; from < to; from++)
		if (jj_list_add(x, &p, JJ_AT(list, from)) < 0)
			return -1;
	while (fill->kind != JJ_ABSENT && fill->kind != JJ_NONE && p.len < n)
		if (jj_steps(x, 1) < 0 || jj_list_add(x, &p, fill) < 0)
			return -1;
	return jj_list_add(x, lists, &p);
}

FILTER(filter_batch)
{
	struct jj_val arg[2], list;
	int64_t n;
	size_t i;

	if (jj_bind(x, "batch", a, "linecount,fill_with=", arg) < 0 || jj_want_int(x, "batch", &arg[0], &n) < 0 || jj_items(x, v, &list) < 0 ||
	    jj_list(x, out, 0, JJ_PLAIN) < 0)
		return -1;
	if (n < 1)
		return jj_fail(x, "batch: a positive number was wanted");
	for (i = 0; i < list.len; i += (size_t)n)
		if (part(x, out, &list, i, list.len - i > (uint64_t)n ? i + (size_t)n : list.len, &arg[1], (size_t)n) < 0)
			return -1;
	return jj_gen(x, out, "do_batch");
}

FILTER(filter_slice)
{
	struct jj_val arg[2], list;
	int64_t n, i;
	size_t each, extra, from = 0, to;

	if (jj_bind(x, "slice", a, "slices,fill_with=", arg) < 0 || jj_want_int(x, "slice", &arg[0], &n) < 0 || jj_items(x, v, &list) < 0 ||
	    jj_list(x, out, 0, JJ_PLAIN) < 0)
		return -1;
	if (n < 1)
		return jj_fail(x, "slice: a positive number was wanted");
	each = list.len / (uint64_t)n;
	extra = list.len % (uint64_t)n;
	for (i = 0; i < n; i++, from = to) {
		to = from + each + ((uint64_t)i < extra);
		if (jj_steps(x, 1) < 0 || part(x, out, &list, from, to, &arg[1], (uint64_t)i >= extra ? each + 1 : each) < 0)
			return -1;
	}
	return jj_gen(x, out, "do_slice");
}

const struct jj_builtin *jj_find_filter_list(const char *name)
{
	static const struct jj_builtin filters[] = {
		{"batch", filter_batch}, {"count", filter_length}, {"dictsort", filter_dictsort}, {"first", filter_first}, {"groupby", filter_groupby},
		{"items", filter_items}, {"join", filter_join}, {"last", filter_last}, {"length", filter_length}, {"list", filter_list},
		{"map", filter_map}, {"max", filter_max}, {"min", filter_min}, {"reject", filter_reject}, {"rejectattr", filter_rejectattr},
		{"reverse", filter_reverse}, {"select", filter_select}, {"selectattr", filter_selectattr}, {"slice", filter_slice},
		{"sort", filter_sort}, {"sum", filter_sum}, {"unique", filter_unique},
	};

	return jj_find_builtin(filters, sizeof filters / sizeof *filters, name);
}
