/* Filters on single values; those on lists are in jinja_filter_list.c, those on text in jinja_filter_text.c. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja_private.h"
#include "text/unicode.h"

#define FILTER(name) static int name(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, struct jj_val *out)

FILTER(filter_default)
{
	struct jj_val arg[2];

	if (jj_bind(x, "default", a, "default_value=,boolean=", arg) < 0)
		return -1;
	if (v->kind != JJ_UNDEF && !(jj_truth(&arg[1]) && !jj_truth(v)))
		*out = *v;
	else if (arg[0].kind != JJ_ABSENT)
		*out = arg[0];
	else
		return jj_cstr(x, out, "");
	return 0;
}

FILTER(filter_abs)
{
	struct jj_val zero = jj_int(0);
	bool negative;

	if (jj_bind(x, "abs", a, "", NULL) < 0)
		return -1;
	if (!jj_is_number(v))
		return v->kind == JJ_UNDEF ? jj_undefined(x, v) : jj_fail(x, "abs of a %s", jj_type_name(v));
	if (jj_less(x, v, &zero, "<", &negative) < 0)
		return -1;
	*out = v->kind == JJ_BOOL ? jj_int(v->b) : v->kind == JJ_FLOAT ? jj_float(fabs(v->f)) : *v;
	return negative && v->kind != JJ_FLOAT ? jj_negate(x, v, out) : 0;
}

FILTER(filter_attr)
{
	struct jj_val name, got;

	if (jj_bind(x, "attr", a, "name", &name) < 0)
		return -1;
	if (name.kind != JJ_STR)
		return jj_fail(x, "attr: a name was wanted");
	if (v->kind == JJ_DICT) {       /* keys are no attributes */
		struct jj_val none = {.kind = JJ_DICT, .d = jj_alloc(x, 1, sizeof *none.d)};

		if (!none.d || jj_attr(x, &none, &name, &got) < 0)
			return -1;
		if (got.kind != JJ_FUNC) {
			*out = got;
			return 0;
		}
	}
	return jj_attr(x, v, &name, out);
}

/* --- numbers --- */

/* A float as Python's float() reads a string; false: it is none. */
static bool read_float(const struct jj_val *s, double *f)
{
	struct jj_val t = jj_strip(s, NULL, true, true);
	char text[400], *end;
	size_t i, n = 0;

	if (!t.len || t.len >= sizeof text)
		return false;
	for (i = 0; i < t.len; i++) {
		char c = JJ_BYTES(&t)[i];

		if (c == '_' && i && i + 1 < t.len && strchr("0123456789", JJ_BYTES(&t)[i - 1]) && strchr("0123456789", JJ_BYTES(&t)[i + 1]))
			continue;
		if (!c || c == 'x' || c == 'X' || c == '(' || c == ' ')
			return false;
		text[n++] = c;
	}
	text[n] = 0;
	*f = strtod(text, &end);
	return end == text + n;
}

/* An integer as Python's int(s, base) reads it. 1; 0: it is none; −1. */
static int read_int(struct jj_exec *x, const struct jj_val *s, int64_t base, struct jj_val *out)
{
	struct jj_val t = jj_strip(s, NULL, true, true), b, d;
	const char *p = JJ_BYTES(&t);
	size_t i = 0, n = t.len;
	bool negative = n && p[0] == '-', digit = false;
	int value;

	i = n && (p[0] == '-' || p[0] == '+');
	if (i + 1 < n && p[i] == '0') {
		char c = (char)(p[i + 1] | 32);
		int of = c == 'x' ? 16 : c == 'o' ? 8 : c == 'b' ? 2 : 0;

		if (of && (base == of || base == 0)) {
			base = of;
			i += 2;
		}
	}
	base = base == 0 ? 10 : base;
	*out = jj_int(0);
	for (; i < n; i++) {
		char c = p[i];

		if (c == '_' && digit && i + 1 < n && p[i + 1] != '_')
			continue;
		value = c >= '0' && c <= '9' ? c - '0' : (c | 32) >= 'a' && (c | 32) <= 'z' ? (c | 32) - 'a' + 10 : 99;
		if (value >= base)
			return 0;
		digit = true;
		b = jj_int(base);
		d = jj_int(value);
		if (jj_binary(x, JO_MUL, out, &b, out) < 0 || jj_binary(x, JO_ADD, out, &d, out) < 0)
			return -1;
	}
	if (negative && jj_negate(x, out, out) < 0)
		return -1;
	return digit;
}

FILTER(filter_int)
{
	struct jj_val arg[2], got;
	int64_t base = 10;
	double f;
	int r;

	if (jj_bind(x, "int", a, "default=,base=", arg) < 0 || (arg[1].kind != JJ_ABSENT && jj_want_int(x, "int", &arg[1], &base) < 0))
		return -1;
	*out = arg[0].kind == JJ_ABSENT ? jj_int(0) : arg[0];
	if (v->kind == JJ_UNDEF)
		return jj_undefined(x, v);
	if (jj_is_int(v)) {
		*out = v->kind == JJ_BOOL ? jj_int(v->b) : *v;
	} else if (v->kind == JJ_FLOAT) {
		if (isinf(v->f))
			return jj_fail(x, "int of infinity");
		if (!isnan(v->f))
			return jj_big_from_float(x, v->f, out);
	} else if (v->kind == JJ_STR) {
		r = base < 0 || base == 1 || base > 36 ? 0 : read_int(x, v, base, &got);
		if (r > 0)
			*out = got;
		else if (r == 0 && read_float(v, &f) && !isnan(f) && !isinf(f))
			return jj_big_from_float(x, f, out);
		return r < 0 ? -1 : 0;
	}
	return 0;
}

FILTER(filter_float)
{
	struct jj_val arg;
	double f;

	if (jj_bind(x, "float", a, "default=", &arg) < 0)
		return -1;
	if (v->kind == JJ_UNDEF)
		return jj_undefined(x, v);
	if (jj_is_number(v))
		*out = jj_float(jj_number(v));
	else if (v->kind == JJ_STR && read_float(v, &f))
		*out = jj_float(f);
	else
		*out = arg.kind == JJ_ABSENT ? jj_float(0) : arg;
	return 0;
}

FILTER(filter_round)
{
	struct jj_val arg[2];
	int64_t precision = 0;
	char text[700];
	double f, scale;

	if (jj_bind(x, "round", a, "precision=,method=", arg) < 0 ||
	    (arg[0].kind != JJ_ABSENT && jj_want_int(x, "round", &arg[0], &precision) < 0))
		return -1;
	if (!jj_is_number(v))
		return v->kind == JJ_UNDEF ? jj_undefined(x, v) : jj_fail(x, "round of a %s", jj_type_name(v));
	f = jj_number(v);
	if (arg[1].kind == JJ_ABSENT || jj_is(&arg[1], "common")) {
		if (jj_is_int(v) && precision >= 0) {
			*out = v->kind == JJ_BOOL ? jj_int(v->b) : *v;
		} else if (precision >= 0 && isfinite(f)) {
			snprintf(text, sizeof text, "%.*f", (int)(precision < 330 ? precision : 330), f);
			*out = jj_float(strtod(text, NULL));
		} else if (isfinite(f)) {
			scale = pow(10, (double)(precision > -330 ? -precision : 330));
			f = isinf(scale) ? 0 : nearbyint(f / scale) * scale;
			if (jj_is_int(v))
				return jj_big_from_float(x, f, out);
			*out = jj_float(f);
		} else {
			*out = *v;
		}
		return 0;
	}
	if (!jj_is(&arg[1], "ceil") && !jj_is(&arg[1], "floor"))
		return jj_fail(x, "round: method common, ceil or floor was wanted");
	if (precision > 300 || precision < -300)
		return jj_fail(x, "round: a precision of %lld", (long long)precision);
	scale = pow(10, (double)precision);
	*out = jj_float((jj_is(&arg[1], "ceil") ? ceil(f * scale) : floor(f * scale)) / scale);
	return 0;
}

FILTER(filter_filesizeformat)
{
	static const char *const decimal[] = {"kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB"};
	static const char *const twos[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB"};
	struct jj_val binary, number;
	struct jj_args none = {NULL, 0, NULL, NULL, 0};
	double bytes, base, unit;
	char text[64];
	int i;

	if (jj_bind(x, "filesizeformat", a, "binary=", &binary) < 0 || filter_float(x, v, &none, &number) < 0)
		return -1;
	bytes = number.f;
	base = unit = jj_truth(&binary) ? 1024 : 1000;
	if (bytes == 1) {
		snprintf(text, sizeof text, "1 Byte");
	} else if (bytes < base) {
		snprintf(text, sizeof text, "%.0f Bytes", trunc(bytes));
	} else {
		for (i = 0, unit = base * base; i < 7 && bytes >= unit; i++)
			unit *= base;
		snprintf(text, sizeof text, "%.1f %s", base * bytes / unit, jj_truth(&binary) ? twos[i] : decimal[i]);
	}
	return jj_str(x, out, text, strlen(text), (struct jj_tag){PM_JINJA_TEMPLATE, -1, -1, 0});
}

/* --- JSON --- */

FILTER(filter_tojson)
{
	struct jj_val arg[4], list, s;
	struct jj_json o = {.indent = -1};

	if (jj_bind(x, "tojson", a, "ensure_ascii=,indent=,separators=,sort_keys=", arg) < 0)
		return -1;
	o.ascii = jj_truth(&arg[0]);
	o.sort = jj_truth(&arg[3]);
	if (arg[1].kind == JJ_STR) {
		o.indent_text = &arg[1];
	} else if (arg[1].kind != JJ_ABSENT && arg[1].kind != JJ_NONE) {
		int64_t n;

		if (jj_want_int(x, "tojson", &arg[1], &n) < 0)
			return -1;
		o.indent = n < 0 ? 0 : n > 1000 ? 1000 : (int)n;
	}
	if (arg[2].kind != JJ_ABSENT && arg[2].kind != JJ_NONE) {
		if (jj_items(x, &arg[2], &list) < 0)
			return -1;
		if (list.len != 2 || JJ_AT(&list, 0)->kind != JJ_STR || JJ_AT(&list, 1)->kind != JJ_STR)
			return jj_fail(x, "tojson: two separators were wanted");
		o.item = JJ_AT(&list, 0);
		o.key = JJ_AT(&list, 1);
	}
	if (jj_str_begin(x, &s) < 0 || jj_put_json(x, &s, v, &o) < 0)
		return -1;
	*out = s;
	return 0;
}

const struct jj_builtin *jj_find_filter(const char *name)
{
	static const struct jj_builtin filters[] = {
		{"abs", filter_abs}, {"attr", filter_attr}, {"d", filter_default}, {"default", filter_default},
		{"filesizeformat", filter_filesizeformat}, {"float", filter_float}, {"int", filter_int}, {"round", filter_round},
		{"tojson", filter_tojson},
	};
	const struct jj_builtin *f = jj_find_builtin(filters, sizeof filters / sizeof *filters, name);

	if (!f)
		f = jj_find_filter_list(name);
	return f ? f : jj_find_filter_text(name);
}
