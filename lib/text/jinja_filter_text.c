/* Filters on text. */
#include <stdio.h>
#include <string.h>

#include "text/jinja_private.h"
#include "text/unicode.h"

#define FILTER(name) static int name(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, struct jj_val *out)

/* The text of v, for a filter without arguments. */
static int only(struct jj_exec *x, const char *name, const struct jj_val *v, const struct jj_args *a, struct jj_val *s)
{
	return jj_bind(x, name, a, "", NULL) < 0 ? -1 : jj_to_str(x, s, v);
}

FILTER(filter_string)
{
	return only(x, "string", v, a, out);
}

FILTER(filter_lower)
{
	struct jj_val s;

	return only(x, "lower", v, a, &s) < 0 ? -1 : jj_change_case(x, &s, JJ_LOWER, out);
}

FILTER(filter_upper)
{
	struct jj_val s;

	return only(x, "upper", v, a, &s) < 0 ? -1 : jj_change_case(x, &s, JJ_UPPER, out);
}

FILTER(filter_capitalize)
{
	struct jj_val s;

	return only(x, "capitalize", v, a, &s) < 0 ? -1 : jj_title(x, &s, false, out);
}

/* The filter's words begin behind white space and -([{<, not, as those of str.title(), behind anything that is no letter. */
FILTER(filter_title)
{
	struct jj_val s, word, changed, r;
	const char *p;
	size_t i, k, from = 0;

	if (only(x, "title", v, a, &s) < 0 || jj_str_begin(x, &r) < 0)
		return -1;
	p = JJ_BYTES(&s);
	for (i = 0; i <= s.len; i += k) {
		k = 1;
		if (i < s.len && !(p[i] && strchr("-([{<", p[i])) && !(k = jj_space_at(p + i, s.len - i))) {
			k = jj_next(&s, i) - i;
			continue;
		}
		word = jj_cut(&s, from, i);
		if (jj_title(x, &word, false, &changed) < 0 || jj_add(x, &r, &changed) < 0 || (i < s.len && jj_add_part(x, &r, &s, i, i + k) < 0))
			return -1;
		from = i + k;
	}
	*out = r;
	return 0;
}

FILTER(filter_trim)
{
	struct jj_val chars, s;

	if (jj_bind(x, "trim", a, "chars=", &chars) < 0 || jj_to_str(x, &s, v) < 0)
		return -1;
	if (chars.kind != JJ_ABSENT && chars.kind != JJ_NONE && chars.kind != JJ_STR)
		return jj_fail(x, "trim: characters were wanted, not a %s", jj_type_name(&chars));
	*out = jj_strip(&s, chars.kind == JJ_STR ? &chars : NULL, true, true);
	return 0;
}

FILTER(filter_replace)
{
	struct jj_val arg[3], s, old, new;
	int64_t count = -1;

	if (jj_bind(x, "replace", a, "old,new,count=", arg) < 0 || jj_to_str(x, &s, v) < 0 || jj_to_str(x, &old, &arg[0]) < 0 ||
	    jj_to_str(x, &new, &arg[1]) < 0 ||
	    (arg[2].kind != JJ_ABSENT && arg[2].kind != JJ_NONE && jj_want_int(x, "replace", &arg[2], &count) < 0))
		return -1;
	s.safe = 0;
	return jj_replace(x, &s, &old, &new, count, out);
}

FILTER(filter_escape)
{
	struct jj_val s, r;

	if (only(x, "escape", v, a, &s) < 0 || jj_str_begin(x, &r) < 0 || jj_put_escaped(x, &r, &s) < 0)
		return -1;
	r.safe = true;
	*out = r;
	return 0;
}

FILTER(filter_forceescape)
{
	struct jj_val s;

	if (jj_to_str(x, &s, v) < 0)
		return -1;
	s.safe = false;
	return filter_escape(x, &s, a, out);
}

FILTER(filter_safe)
{
	if (only(x, "safe", v, a, out) < 0)
		return -1;
	out->safe = true;
	return 0;
}

/* Bytes of the line end at s, as str.splitlines() sees it. */
static size_t line_end(const char *s, size_t n)
{
	uint32_t c;
	size_t k;

	if (n > 1 && s[0] == '\r' && s[1] == '\n')
		return 2;
	c = pm_utf8_get(s, &k);
	return (c >= 10 && c <= 13) || (c >= 0x1c && c <= 0x1e) || c == 0x85 || c == 0x2028 || c == 0x2029 ? k : 0;
}

FILTER(filter_indent)
{
	struct jj_val arg[3], by, line, r;
	size_t i, k, from = 0, n = 0;
	int64_t width = 4;

	if (jj_bind(x, "indent", a, "width=,first=,blank=", arg) < 0)
		return -1;
	if (v->kind != JJ_STR)
		return v->kind == JJ_UNDEF ? jj_undefined(x, v) : jj_fail(x, "indent of a %s", jj_type_name(v));
	if (arg[0].kind == JJ_STR) {
		by = arg[0];
	} else {
		if ((arg[0].kind != JJ_ABSENT && jj_want_int(x, "indent", &arg[0], &width) < 0) || jj_cstr(x, &line, "") < 0)
			return -1;
		if (width > 10000)
			return jj_fail(x, "indent by %lld", (long long)width);
		if (jj_pad(x, &line, 0, width > 0 ? (size_t)width : 0, NULL, &by) < 0)
			return -1;
	}
	if (jj_str_begin(x, &r) < 0)
		return -1;
	r.safe = v->safe;
	/* a line end is put behind the text, and the last line, empty where the text ends in one, is kept */
	for (i = 0; i <= v->len; i += k) {
		k = 1;
		if (i < v->len && !(k = line_end(JJ_BYTES(v) + i, v->len - i))) {
			k = jj_next(v, i) - i;
			continue;
		}
		if (n && jj_add_cstr(x, &r, "\n") < 0)
			return -1;
		if ((n ? i > from || jj_truth(&arg[2]) : jj_truth(&arg[1])) && jj_add(x, &r, &by) < 0)
			return -1;
		if (jj_add_part(x, &r, v, from, i) < 0)
			return -1;
		from = i + k;
		n++;
	}
	*out = r;
	return 0;
}

FILTER(filter_truncate)
{
	struct jj_val arg[4], s, end, cut, r;
	int64_t length = 255, leeway = 5, n, nend, keep;
	size_t at;

	if (jj_bind(x, "truncate", a, "length=,killwords=,end=,leeway=", arg) < 0 || jj_to_str(x, &s, v) < 0 ||
	    (arg[0].kind != JJ_ABSENT && jj_want_int(x, "truncate", &arg[0], &length) < 0) ||
	    (arg[3].kind != JJ_ABSENT && arg[3].kind != JJ_NONE && jj_want_int(x, "truncate", &arg[3], &leeway) < 0) ||
	    (arg[2].kind == JJ_ABSENT ? jj_cstr(x, &end, "...") : jj_to_str(x, &end, &arg[2])) < 0 || jj_length(x, &s, &n) < 0 ||
	    jj_length(x, &end, &nend) < 0)
		return -1;
	if (length < nend || leeway < 0)
		return jj_fail(x, "truncate to %lld characters, fewer than what is put at the end", (long long)length);
	if (n <= length || n - length <= leeway) {
		*out = s;
		return 0;
	}
	for (at = 0, keep = length - nend; keep > 0; keep--)
		at = jj_next(&s, at);
	cut = jj_cut(&s, 0, at);
	if (!jj_truth(&arg[1]))
		for (; at > 0; at--)
			if (JJ_BYTES(&s)[at - 1] == ' ') {
				cut = jj_cut(&s, 0, at - 1);
				break;
			}
	r = cut;
	if (jj_add(x, &r, &end) < 0)
		return -1;
	*out = r;
	return 0;
}

FILTER(filter_center)
{
	struct jj_val arg, s;
	int64_t width = 80, n, room;

	if (jj_bind(x, "center", a, "width=", &arg) < 0 || jj_to_str(x, &s, v) < 0 || jj_length(x, &s, &n) < 0 ||
	    (arg.kind != JJ_ABSENT && jj_want_int(x, "center", &arg, &width) < 0))
		return -1;
	room = width > n ? width - n : 0;
	return jj_pad(x, &s, (size_t)(room / 2 + (room & width & 1)), (size_t)(room - room / 2 - (room & width & 1)), NULL, out);
}

FILTER(filter_wordcount)
{
	struct jj_val s;
	bool inside = false, word;
	int64_t n = 0;
	size_t i, k;

	if (only(x, "wordcount", v, a, &s) < 0)
		return -1;
	for (i = 0; i < s.len; i += k) {
		uint32_t c = pm_utf8_get(JJ_BYTES(&s) + i, &k);

		word = c == '_' || (pm_uc(c) & (PM_UC_LETTER | PM_UC_NUMBER));
		n += word && !inside;
		inside = word;
	}
	*out = jj_int(n);
	return 0;
}

FILTER(filter_format)
{
	struct jj_val s, tuple, d;
	uint32_t i;

	if (jj_to_str(x, &s, v) < 0)
		return -1;
	if (a->npos && a->nkw)
		return jj_fail(x, "format takes arguments with names or without, not both");
	if (a->nkw) {
		if (jj_dict(x, &d) < 0)
			return -1;
		for (i = 0; i < a->nkw; i++)
			if (jj_dict_set(x, &d, &a->names[i], &a->kw[i]) < 0)
				return -1;
		return jj_percent(x, &s, &d, out);
	}
	if (jj_list(x, &tuple, a->npos, JJ_TUPLE) < 0)
		return -1;
	for (i = 0; i < a->npos; i++)
		*JJ_AT(&tuple, i) = a->pos[i];
	return jj_percent(x, &s, &tuple, out);
}

/* query: as in a query, where a blank is a plus. */
static int quote(struct jj_exec *x, struct jj_val *dst, const struct jj_val *v, bool query)
{
	struct jj_val s;
	char code[4];
	size_t i;

	if (jj_to_str(x, &s, v) < 0)
		return -1;
	for (i = 0; i < s.len; i++) {
		unsigned char c = (unsigned char)JJ_BYTES(&s)[i];
		bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c && strchr("_.-~/", c) && !(query && c == '/'));

		snprintf(code, sizeof code, plain ? "%c" : query && c == ' ' ? "+" : "%%%02X", c);
		if (jj_add_bytes(x, dst, code, strlen(code), jj_tag_at(&s, i)) < 0)
			return -1;
	}
	return 0;
}

FILTER(filter_urlencode)
{
	struct jj_val r, list, pair, none;
	uint32_t i;

	if (jj_bind(x, "urlencode", a, "", NULL) < 0 || jj_str_begin(x, &r) < 0)
		return -1;
	if (v->kind == JJ_STR || !jj_iterable(v)) {
		if (quote(x, &r, v, false) < 0)
			return -1;
		*out = r;
		return 0;
	}
	none = *v;
	if (v->kind == JJ_DICT) {
		const struct jj_args no_args = {NULL, 0, NULL, NULL, 0};

		if (jj_find_filter_list("items")->call(x, v, &no_args, &none) < 0)
			return -1;
	}
	if (jj_items(x, &none, &list) < 0)
		return -1;
	for (i = 0; i < list.len; i++) {
		if (jj_items(x, JJ_AT(&list, i), &pair) < 0)
			return -1;
		if (pair.len != 2)
			return jj_fail(x, "urlencode: pairs were wanted");
		if ((i && jj_add_cstr(x, &r, "&") < 0) || quote(x, &r, JJ_AT(&pair, 0), true) < 0 || jj_add_cstr(x, &r, "=") < 0 ||
		    quote(x, &r, JJ_AT(&pair, 1), true) < 0)
			return -1;
	}
	*out = r;
	return 0;
}

const struct jj_builtin *jj_find_filter_text(const char *name)
{
	static const struct jj_builtin filters[] = {
		{"capitalize", filter_capitalize}, {"center", filter_center}, {"e", filter_escape}, {"escape", filter_escape},
		{"forceescape", filter_forceescape}, {"format", filter_format}, {"indent", filter_indent}, {"lower", filter_lower},
		{"replace", filter_replace}, {"safe", filter_safe}, {"string", filter_string}, {"title", filter_title}, {"trim", filter_trim},
		{"truncate", filter_truncate}, {"upper", filter_upper}, {"urlencode", filter_urlencode}, {"wordcount", filter_wordcount},
	};

	return jj_find_builtin(filters, sizeof filters / sizeof *filters, name);
}
