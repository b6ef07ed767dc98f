/* Methods of strings that search, split and change; of lists, dicts and the like. */
#include <string.h>

#include "text/jinja_private.h"
#include "text/unicode.h"

#define METHOD(name) static int name(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, struct jj_val *out)

static int want_str(struct jj_exec *x, const char *function, const struct jj_val *v)
{
	return v->kind == JJ_STR ? 0 : v->kind == JJ_UNDEF ? jj_undefined(x, v) :
	    jj_fail(x, "%s: a %s where a str was wanted", function, jj_type_name(v));
}

static int no_args(struct jj_exec *x, const char *function, const struct jj_args *a)
{
	return a->npos || a->nkw ? jj_fail(x, "%s takes no arguments", function) : 0;
}

/* Markup's methods escape what they are given. */
static int argument(struct jj_exec *x, const struct jj_val *self, const struct jj_val *arg, struct jj_val *out)
{
	struct jj_val r;

	*out = *arg;
	if (!self->safe || arg->kind != JJ_STR)
		return 0;
	if (jj_str_begin(x, &r) < 0 || jj_put_escaped(x, &r, arg) < 0)
		return -1;
	*out = r;
	return 0;
}

static int cased(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, const char *name, enum jj_case how, struct jj_val *out)
{
	return no_args(x, name, a) < 0 ? -1 : jj_change_case(x, v, how, out);
}

METHOD(str_upper) { return cased(x, v, a, "upper", JJ_UPPER, out); }
METHOD(str_lower) { return cased(x, v, a, "lower", JJ_LOWER, out); }
METHOD(str_casefold) { return cased(x, v, a, "casefold", JJ_LOWER, out); }
METHOD(str_swapcase) { return cased(x, v, a, "swapcase", JJ_SWAP, out); }
METHOD(str_capitalize) { return no_args(x, "capitalize", a) < 0 ? -1 : jj_title(x, v, false, out); }
METHOD(str_title) { return no_args(x, "title", a) < 0 ? -1 : jj_title(x, v, true, out); }

static int strip(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, bool left, bool right, struct jj_val *out)
{
	struct jj_val chars;

	if (jj_bind(x, "strip", a, "chars=", &chars) < 0)
		return -1;
	if (chars.kind == JJ_ABSENT || chars.kind == JJ_NONE)
		*out = jj_strip(v, NULL, left, right);
	else if (want_str(x, "strip", &chars) < 0)
		return -1;
	else
		*out = jj_strip(v, &chars, left, right);
	return 0;
}

METHOD(str_strip) { return strip(x, v, a, true, true, out); }
METHOD(str_lstrip) { return strip(x, v, a, true, false, out); }
METHOD(str_rstrip) { return strip(x, v, a, false, true, out); }

/* The bytes of v that arguments start and end, in characters, leave. */
static int window(struct jj_exec *x, const char *function, const struct jj_val *v, const struct jj_val *start, const struct jj_val *end,
    size_t *from, size_t *to)
{
	const struct jj_val *given[2] = {start, end};
	int64_t n, at[2], i;
	size_t *byte[2] = {from, to};
	int k;

	*from = 0;
	*to = v->len;
	if (start->kind == JJ_ABSENT && end->kind == JJ_ABSENT)
		return 0;
	if (jj_length(x, v, &n) < 0)
		return -1;
	for (k = 0; k < 2; k++) {
		at[k] = k ? n : 0;
		if (given[k]->kind != JJ_ABSENT && given[k]->kind != JJ_NONE && jj_want_int(x, function, given[k], &at[k]) < 0)
			return -1;
		at[k] += at[k] < 0 ? n : 0;
		if (at[k] > n) {
			*byte[k] = k ? v->len : SIZE_MAX;
			continue;
		}
		for (*byte[k] = 0, i = 0; i < at[k]; i++)
			*byte[k] = jj_next(v, *byte[k]);
	}
	return 0;
}

static int affix(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, bool end, struct jj_val *out)
{
	const char *name = end ? "endswith" : "startswith";
	struct jj_val arg[3], one;
	size_t from, to;
	bool is = false;
	uint32_t i;

	if (jj_bind(x, name, a, "prefix,start=,end=", arg) < 0 || window(x, name, v, &arg[1], &arg[2], &from, &to) < 0)
		return -1;
	if (arg[0].kind != JJ_LIST || arg[0].shape != JJ_TUPLE) {
		one = arg[0];
		if (want_str(x, name, &one) < 0 || jj_list(x, &arg[0], 1, JJ_TUPLE) < 0)
			return -1;
		*JJ_AT(&arg[0], 0) = one;
	}
	for (i = 0; !is && i < arg[0].len; i++) {
		const struct jj_val *p = JJ_AT(&arg[0], i);

		if (want_str(x, name, p) < 0)
			return -1;
		is = from != SIZE_MAX && from <= to && p->len <= to - from &&
		    !memcmp(JJ_BYTES(v) + (end ? to - p->len : from), JJ_BYTES(p), p->len);
	}
	*out = jj_bool(is);
	return 0;
}

METHOD(str_startswith) { return affix(x, v, a, false, out); }
METHOD(str_endswith) { return affix(x, v, a, true, out); }

METHOD(str_removeprefix)
{
	struct jj_val p;

	if (jj_bind(x, "removeprefix", a, "prefix", &p) < 0 || want_str(x, "removeprefix", &p) < 0)
		return -1;
	*out = p.len <= v->len && !memcmp(JJ_BYTES(v), JJ_BYTES(&p), p.len) ? jj_cut(v, p.len, v->len) : *v;
	return 0;
}

METHOD(str_removesuffix)
{
	struct jj_val p;

	if (jj_bind(x, "removesuffix", a, "suffix", &p) < 0 || want_str(x, "removesuffix", &p) < 0)
		return -1;
	*out = p.len <= v->len && !memcmp(JJ_BYTES(v) + v->len - p.len, JJ_BYTES(&p), p.len) ? jj_cut(v, 0, v->len - p.len) : *v;
	return 0;
}

/* The last place of `what`. */
static size_t find_last(const struct jj_val *v, const struct jj_val *what, size_t from, size_t to)
{
	size_t i;

	if (to < from || what->len > to - from)
		return SIZE_MAX;
	for (i = to - what->len + 1; i-- > from;)
		if (!memcmp(JJ_BYTES(v) + i, JJ_BYTES(what), what->len))
			return i;
	return SIZE_MAX;
}

static int find(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, const char *name, bool last, bool must, struct jj_val *out)
{
	struct jj_val arg[3];
	size_t from, to, at;

	if (jj_bind(x, name, a, "sub,start=,end=", arg) < 0 || want_str(x, name, &arg[0]) < 0 ||
	    window(x, name, v, &arg[1], &arg[2], &from, &to) < 0 || jj_steps(x, v->len / 64) < 0)
		return -1;
	at = from == SIZE_MAX ? SIZE_MAX : last ? find_last(v, &arg[0], from, to) : jj_find(v, &arg[0], from, to);
	if (at == SIZE_MAX && must)
		return jj_fail(x, "%s: %s is not in it", name, jj_show(x, &arg[0]));
	*out = jj_int(at == SIZE_MAX ? -1 : (int64_t)pm_utf8_count(JJ_BYTES(v), at));
	return 0;
}

METHOD(str_find) { return find(x, v, a, "find", false, false, out); }
METHOD(str_rfind) { return find(x, v, a, "rfind", true, false, out); }
METHOD(str_index) { return find(x, v, a, "index", false, true, out); }
METHOD(str_rindex) { return find(x, v, a, "rindex", true, true, out); }

METHOD(str_count)
{
	struct jj_val arg[3];
	size_t from, to, at;
	int64_t n = 0;

	if (jj_bind(x, "count", a, "sub,start=,end=", arg) < 0 || want_str(x, "count", &arg[0]) < 0 ||
	    window(x, "count", v, &arg[1], &arg[2], &from, &to) < 0)
		return -1;
	if (!arg[0].len) {
		n = from == SIZE_MAX || from > to ? 0 : (int64_t)pm_utf8_count(JJ_BYTES(v) + from, to - from) + 1;
	} else if (from != SIZE_MAX) {
		for (; (at = jj_find(v, &arg[0], from, to)) != SIZE_MAX; from = at + arg[0].len)
			n++;
	}
	*out = jj_int(n);
	return jj_steps(x, v->len / 16);
}

METHOD(str_replace)
{
	struct jj_val arg[3], new;
	int64_t count = -1;

	if (jj_bind(x, "replace", a, "old,new,count=", arg) < 0 || want_str(x, "replace", &arg[0]) < 0 || want_str(x, "replace", &arg[1]) < 0 ||
	    (arg[2].kind != JJ_ABSENT && jj_want_int(x, "replace", &arg[2], &count) < 0) || argument(x, v, &arg[1], &new) < 0)
		return -1;
	return jj_replace(x, v, &arg[0], &new, count, out);
}

METHOD(str_join)
{
	struct jj_val arg, list;
	uint32_t i;

	if (jj_bind(x, "join", a, "iterable", &arg) < 0 || jj_items(x, &arg, &list) < 0)
		return -1;
	if (v->safe) {
		struct jj_val escaped;

		if (jj_list(x, &escaped, list.len, JJ_PLAIN) < 0)
			return -1;
		for (i = 0; i < list.len; i++)
			if (argument(x, v, JJ_AT(&list, i), JJ_AT(&escaped, i)) < 0)
				return -1;
		list = escaped;
	}
	if (jj_join(x, v, &list, out) < 0)
		return -1;
	out->safe = v->safe;
	return 0;
}

/* --- splitting --- */

static int put_part(struct jj_exec *x, struct jj_val *list, const struct jj_val *v, size_t from, size_t to)
{
	struct jj_val part = jj_cut(v, from, to);

	return jj_steps(x, 1) < 0 ? -1 : jj_list_add(x, list, &part);
}

/* At white space: runs of it part words, and at the ends it counts for nothing. */
static int split_space(struct jj_exec *x, const struct jj_val *v, int64_t max, struct jj_val *list)
{
	const char *p = JJ_BYTES(v);
	size_t i = 0, from, k;

	for (;;) {
		while (i < v->len && (k = jj_space_at(p + i, v->len - i)) > 0)
			i += k;
		if (i >= v->len)
			return 0;
		if (max-- == 0) {
			struct jj_val rest = jj_cut(v, i, v->len);

			return jj_list_add(x, list, &rest);
		}
		for (from = i; i < v->len && !jj_space_at(p + i, v->len - i);)
			i = jj_next(v, i);
		if (put_part(x, list, v, from, i) < 0)
			return -1;
	}
}

static void turn(struct jj_val *list)
{
	struct jj_val swap;
	uint32_t i;

	for (i = 0; i < list->len / 2; i++) {
		swap = *JJ_AT(list, i);
		*JJ_AT(list, i) = *JJ_AT(list, list->len - 1 - i);
		*JJ_AT(list, list->len - 1 - i) = swap;
	}
}

/* The same from the end; the words come last first. */
static int rsplit_space(struct jj_exec *x, const struct jj_val *v, int64_t max, struct jj_val *list)
{
	struct jj_val left = *v, word;
	size_t at, k;

	for (;;) {
		left = jj_strip(&left, NULL, false, true);
		if (!left.len)
			return 0;
		if (max-- == 0)
			return jj_list_add(x, list, &left);
		for (at = left.len; at > 0; at -= k) {
			for (k = 1; at - k > 0 && ((unsigned char)JJ_BYTES(&left)[at - k] & 0xc0) == 0x80; k++)
				;
			if (jj_space_at(JJ_BYTES(&left) + at - k, k) == k)
				break;
		}
		word = jj_cut(&left, at, left.len);
		if (jj_steps(x, 1) < 0 || jj_list_add(x, list, &word) < 0)
			return -1;
		left = jj_cut(&left, 0, at);
	}
}

static int split(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, bool right, struct jj_val *out)
{
	struct jj_val arg[2], list;
	size_t from = 0, to = v->len, at;
	int64_t max = -1;

	if (jj_bind(x, "split", a, "sep=,maxsplit=", arg) < 0 || (arg[1].kind != JJ_ABSENT && jj_want_int(x, "split", &arg[1], &max) < 0) ||
	    jj_list(x, &list, 0, JJ_PLAIN) < 0 || jj_steps(x, v->len / 16) < 0)
		return -1;
	if (arg[0].kind == JJ_ABSENT || arg[0].kind == JJ_NONE) {
		if ((right ? rsplit_space(x, v, max, &list) : split_space(x, v, max, &list)) < 0)
			return -1;
	} else if (want_str(x, "split", &arg[0]) < 0) {
		return -1;
	} else if (!arg[0].len) {
		return jj_fail(x, "split: an empty separator");
	} else {
		for (; max != 0; max--) {
			at = right ? find_last(v, &arg[0], from, to) : jj_find(v, &arg[0], from, to);
			if (at == SIZE_MAX)
				break;
			if ((right ? put_part(x, &list, v, at + arg[0].len, to) : put_part(x, &list, v, from, at)) < 0)
				return -1;
			if (right)
				to = at;
			else
				from = at + arg[0].len;
		}
		if (put_part(x, &list, v, from, to) < 0)
			return -1;
	}
	if (right)
		turn(&list);
	*out = list;
	return 0;
}

METHOD(str_split) { return split(x, v, a, false, out); }
METHOD(str_rsplit) { return split(x, v, a, true, out); }

METHOD(str_splitlines)
{
	struct jj_val keep, list;
	const char *p = JJ_BYTES(v);
	size_t i, k, from = 0;
	uint32_t c;

	if (jj_bind(x, "splitlines", a, "keepends=", &keep) < 0 || jj_list(x, &list, 0, JJ_PLAIN) < 0)
		return -1;
	for (i = 0; i < v->len; i += k) {
		c = pm_utf8_get(p + i, &k);
		if (!((c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029))
			continue;
		k += c == '\r' && i + 1 < v->len && p[i + 1] == '\n';
		if (put_part(x, &list, v, from, jj_truth(&keep) ? i + k : i) < 0)
			return -1;
		from = i + k;
	}
	if (from < v->len && put_part(x, &list, v, from, v->len) < 0)
		return -1;
	*out = list;
	return 0;
}

static int partition(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, bool last, struct jj_val *out)
{
	struct jj_val sep, t;
	size_t at;

	if (jj_bind(x, "partition", a, "sep", &sep) < 0 || want_str(x, "partition", &sep) < 0 || jj_list(x, &t, 3, JJ_TUPLE) < 0)
		return -1;
	if (!sep.len)
		return jj_fail(x, "partition: an empty separator");
	at = last ? find_last(v, &sep, 0, v->len) : jj_find(v, &sep, 0, v->len);
	if (at == SIZE_MAX) {
		*JJ_AT(&t, 0) = last ? jj_cut(v, 0, 0) : *v;
		*JJ_AT(&t, 1) = jj_cut(v, 0, 0);
		*JJ_AT(&t, 2) = last ? *v : jj_cut(v, 0, 0);
	} else {
		*JJ_AT(&t, 0) = jj_cut(v, 0, at);
		*JJ_AT(&t, 1) = jj_cut(v, at, at + sep.len);
		*JJ_AT(&t, 2) = jj_cut(v, at + sep.len, v->len);
	}
	*out = t;
	return 0;
}

METHOD(str_partition) { return partition(x, v, a, false, out); }
METHOD(str_rpartition) { return partition(x, v, a, true, out); }

/* --- padding --- */

static int pad(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, const char *name, int side, struct jj_val *out)
{
	struct jj_val arg[2];
	int64_t width, n, room, left;

	if (jj_bind(x, name, a, "width,fillchar=", arg) < 0 || jj_want_int(x, name, &arg[0], &width) < 0 || jj_length(x, v, &n) < 0)
		return -1;
	if (arg[1].kind != JJ_ABSENT && (arg[1].kind != JJ_STR || pm_utf8_count(JJ_BYTES(&arg[1]), arg[1].len) != 1))
		return jj_fail(x, "%s: one character to fill with was wanted", name);
	room = width > n ? width - n : 0;
	left = side < 0 ? 0 : side > 0 ? room : room / 2 + (room & width & 1);
	return jj_pad(x, v, (size_t)left, (size_t)(room - left), arg[1].kind == JJ_ABSENT ? NULL : &arg[1], out);
}

METHOD(str_ljust) { return pad(x, v, a, "ljust", -1, out); }
METHOD(str_rjust) { return pad(x, v, a, "rjust", 1, out); }
METHOD(str_center) { return pad(x, v, a, "center", 0, out); }

METHOD(str_zfill)
{
	struct jj_val width, zero, sign, rest;
	bool has_sign = v->len && (JJ_BYTES(v)[0] == '-' || JJ_BYTES(v)[0] == '+');
	int64_t w, n;

	if (jj_bind(x, "zfill", a, "width", &width) < 0 || jj_want_int(x, "zfill", &width, &w) < 0 || jj_length(x, v, &n) < 0 ||
	    jj_cstr(x, &zero, "0") < 0)
		return -1;
	sign = jj_cut(v, 0, has_sign);
	rest = jj_cut(v, has_sign, v->len);
	if (jj_pad(x, &rest, w > n ? (size_t)(w - n) : 0, 0, &zero, &rest) < 0 || jj_add(x, &sign, &rest) < 0)
		return -1;
	*out = sign;
	return 0;
}

METHOD(str_expandtabs)
{
	struct jj_val size, r;
	int64_t tab = 8, column = 0, k;
	size_t i, next;

	if (jj_bind(x, "expandtabs", a, "tabsize=", &size) < 0 || (size.kind != JJ_ABSENT && jj_want_int(x, "expandtabs", &size, &tab) < 0) ||
	    jj_str_begin(x, &r) < 0)
		return -1;
	for (i = 0; i < v->len; i = next) {
		char c = JJ_BYTES(v)[i];

		next = jj_next(v, i);
		if (c == '\t') {
			for (k = tab > 0 ? tab - column % tab : 0; k > 0; k--, column++)
				if (jj_steps(x, 1) < 0 || jj_add_bytes(x, &r, " ", 1, jj_tag_at(v, i)) < 0)
					return -1;
			continue;
		}
		column = c == '\n' || c == '\r' ? 0 : column + 1;
		if (jj_add_part(x, &r, v, i, next) < 0)
			return -1;
	}
	*out = r;
	return 0;
}

METHOD(str_format) { return jj_format(x, v, a, out); }

const struct jj_builtin *jj_find_str_method(const char *name)
{
	static const struct jj_builtin methods[] = {
		{"capitalize", str_capitalize}, {"casefold", str_casefold}, {"center", str_center}, {"count", str_count}, {"endswith", str_endswith},
		{"expandtabs", str_expandtabs}, {"find", str_find}, {"format", str_format}, {"index", str_index}, {"join", str_join},
		{"ljust", str_ljust}, {"lower", str_lower}, {"lstrip", str_lstrip}, {"partition", str_partition},
		{"removeprefix", str_removeprefix}, {"removesuffix", str_removesuffix}, {"replace", str_replace}, {"rfind", str_rfind},
		{"rindex", str_rindex}, {"rjust", str_rjust}, {"rpartition", str_rpartition}, {"rsplit", str_rsplit}, {"rstrip", str_rstrip},
		{"split", str_split}, {"splitlines", str_splitlines}, {"startswith", str_startswith}, {"strip", str_strip},
		{"swapcase", str_swapcase}, {"title", str_title}, {"upper", str_upper}, {"zfill", str_zfill},
	};

	return jj_find_builtin(methods, sizeof methods / sizeof *methods, name);
}
