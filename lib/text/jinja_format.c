/* Formatting as Python does it: '%' and str.format(). */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja_private.h"
#include "text/unicode.h"

#define WIDEST 10000

/* [[fill]align][sign][#][0][width][,][.precision][type] */
struct spec {
	struct jj_val fill;             /* one character; ABSENT: a blank */
	char align, sign, comma, type;
	bool alt, zero;
	int64_t width, precision;       /* −1: none */
};

static int pad_to(struct jj_exec *x, const struct jj_val *s, const struct spec *f, char align, struct jj_val *out)
{
	int64_t n, room, left;

	if (jj_length(x, s, &n) < 0)
		return -1;
	room = f->width > n ? f->width - n : 0;
	left = align == '>' ? room : align == '^' ? room / 2 : 0;
	return jj_pad(x, s, (size_t)left, (size_t)(room - left), f->fill.kind == JJ_STR ? &f->fill : NULL, out);
}

/* Puts a comma (or an underscore) between groups of three digits before the point. */
static void group(char *text, size_t cap, char comma)
{
	size_t n = strspn(text, "0123456789"), rest = strlen(text) - n, k = n ? (n - 1) / 3 : 0, i;

	if (n + rest + k + 1 > cap)
		return;
	memmove(text + n + k, text + n, rest + 1);
	for (i = 0; k > 0; i++) {
		text[n + k - 1] = text[n - 1];
		n--;
		if (i % 3 == 2)
			text[n + --k] = comma;
	}
}

/* Sign and digits of a number with width: zeros go between them where '=' (or a 0) asks for it. */
static int put_number(struct jj_exec *x, const char *sign, const char *prefix, const char *digits, const struct spec *f, struct jj_val *out)
{
	char head[8];
	struct jj_val s;
	size_t n = strlen(digits) + strlen(sign) + strlen(prefix);
	bool inside = f->align == '=' || (f->zero && !f->align);

	snprintf(head, sizeof head, "%s%s", sign, prefix);
	if (jj_str_begin(x, &s) < 0 || jj_add_cstr(x, &s, head) < 0)
		return -1;
	for (; inside && (int64_t)n < f->width; n++)
		if (f->fill.kind == JJ_STR && !f->zero ? jj_add(x, &s, &f->fill) < 0 : jj_add_cstr(x, &s, f->zero ? "0" : " ") < 0)
			return -1;
	if (jj_add_cstr(x, &s, digits) < 0)
		return -1;
	return pad_to(x, &s, f, f->align && f->align != '=' ? f->align : '>', out);
}

static const char *sign_of(bool negative, char sign)
{
	return negative ? "-" : sign == '+' ? "+" : sign == ' ' ? " " : "";
}

static int put_int(struct jj_exec *x, const struct jj_val *v, const struct spec *f, struct jj_val *out)
{
	int64_t i = v->kind == JJ_BOOL ? v->b : v->i;
	uint64_t m = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
	const char *prefix = "";
	char text[100], *p = text + 70;

	if (v->kind == JJ_BIG) {
		struct jj_val s;

		return jj_str_begin(x, &s) < 0 || jj_big_put(x, &s, v) < 0 ? -1 : pad_to(x, &s, f, f->align && f->align != '=' ? f->align : '>', out);
	}
	if (f->type == 'b') {
		for (*p = 0; m || p == text + 70; m >>= 1)
			*--p = (char)('0' + (m & 1));
		prefix = "0b";
	} else if (f->type == 'x' || f->type == 'X' || f->type == 'o') {
		snprintf(text, sizeof text, f->type == 'x' ? "%" PRIx64 : f->type == 'X' ? "%" PRIX64 : "%" PRIo64, m);
		p = text;
		prefix = f->type == 'o' ? "0o" : f->type == 'x' ? "0x" : "0X";
	} else {
		snprintf(text, sizeof text, "%" PRIu64, m);
		p = text;
		if (f->comma)
			group(text, sizeof text, f->comma);
	}
	return put_number(x, sign_of(i < 0, f->sign), f->alt ? prefix : "", p, f, out);
}

static int put_float(struct jj_exec *x, double d, const struct spec *f, struct jj_val *out)
{
	int precision = f->precision < 0 ? 6 : (int)(f->precision < 300 ? f->precision : 300);
	char text[800], *e;
	double m = fabs(d);

	if (!isfinite(d)) {
		snprintf(text, sizeof text, "%s", isnan(d) ? "nan" : "inf");
	} else if (f->type == 'f' || f->type == 'F' || f->type == '%') {
		snprintf(text, sizeof text - 2, "%.*f", precision, f->type == '%' ? m * 100 : m);
		if (f->type == '%')
			memcpy(text + strlen(text), "%", 2);
	} else if (f->type == 'e' || f->type == 'E') {
		snprintf(text, sizeof text, f->type == 'e' ? "%.*e" : "%.*E", precision, m);
	} else if (f->type || f->precision >= 0) {
		snprintf(text, sizeof text, f->type == 'G' ? "%.*G" : "%.*g", precision ? precision : 1, m);
		e = strpbrk(text, ".eE");
		if (!f->type && !e)
			memcpy(text + strlen(text), ".0", 3);
	} else {
		jj_float_text(text, m);
	}
	if (f->comma)
		group(text, sizeof text, f->comma);
	return put_number(x, sign_of(signbit(d) && !isnan(d), f->sign), "", text, f, out);
}

static int put_value(struct jj_exec *x, const struct jj_val *v, const struct spec *f, struct jj_val *out)
{
	struct jj_val s;
	size_t at;
	int64_t i;

	if (v->kind == JJ_STR && (!f->type || f->type == 's')) {
		s = *v;
		for (at = 0, i = 0; f->precision >= 0 && i < f->precision && at < v->len; i++)
			at = jj_next(v, at);
		if (f->precision >= 0)
			s = jj_cut(v, 0, at);
		if (f->sign || f->alt || f->align == '=' || f->comma)
			return jj_fail(x, "a format for numbers was given a str");
		return pad_to(x, &s, f, f->align ? f->align : '<', out);
	}
	if (jj_is_int(v) && (!f->type || strchr("bdoxXn", f->type))) {
		if (f->precision >= 0)
			return jj_fail(x, "an int is not formatted with a precision");
		if (v->kind == JJ_BOOL && !f->type && !f->width && !f->align)
			return jj_to_str(x, out, v);
		return put_int(x, v, f, out);
	}
	if (jj_is_int(v) && f->type == 'c' && v->kind == JJ_INT && v->i >= 0 && v->i <= 0x10ffff && (v->i < 0xd800 || v->i > 0xdfff)) {
		char buf[4];

		return jj_str(x, &s, buf, pm_utf8_put(buf, (uint32_t)v->i), (struct jj_tag){PM_JINJA_TEMPLATE, -1, -1, 0}) < 0 ? -1 :
		    pad_to(x, &s, f, f->align ? f->align : '<', out);
	}
	if (jj_is_number(v) && strchr("eEfFgG%n", f->type))
		return put_float(x, jj_number(v), f, out);
	return jj_fail(x, "a format of type '%c' was given a %s", f->type ? f->type : 's', jj_type_name(v));
}

static int64_t digits(const char *s, size_t n, size_t *i)
{
	int64_t v = 0;

	for (; *i < n && s[*i] >= '0' && s[*i] <= '9'; ++*i)
		v = v > WIDEST ? v : v * 10 + (s[*i] - '0');
	return v;
}

static int read_spec(struct jj_exec *x, const struct jj_val *text, struct spec *f)
{
	const char *s = JJ_BYTES(text);
	size_t n = text->len, i = 0, k = n ? jj_next(text, 0) : 0;

	*f = (struct spec){.precision = -1};
	if (k < n && strchr("<>=^", s[k]) && s[k]) {
		f->fill = jj_cut(text, 0, k);
		f->align = s[k];
		i = k + 1;
	} else if (n && s[0] && strchr("<>=^", s[0])) {
		f->align = s[i++];
	}
	if (i < n && s[i] && strchr("+- ", s[i]))
		f->sign = s[i++];
	if (i < n && s[i] == '#')
		f->alt = ++i > 0;
	if (i < n && s[i] == '0')
		f->zero = ++i > 0;
	f->width = digits(s, n, &i);
	if (i < n && (s[i] == ',' || s[i] == '_'))
		f->comma = s[i++];
	if (i < n && s[i] == '.') {
		i++;
		f->precision = digits(s, n, &i);
	}
	if (i < n)
		f->type = s[i++];
	if (i < n || f->width > WIDEST || f->precision > WIDEST)
		return jj_fail(x, "format %s is no good", jj_show(x, text));
	return 0;
}

/* --- str.format --- */

struct fields {
	const struct jj_args *a;
	int64_t next;                   /* of those without a number; −1: numbers were given */
	int depth;
};

static int format_into(struct jj_exec *x, struct jj_val *dst, const struct jj_val *text, struct fields *g);

/* What a field names: "", "0", "name", with .attributes and [items]. */
static int field_value(struct jj_exec *x, const struct jj_val *name, struct fields *g, struct jj_val *out)
{
	const char *s = JJ_BYTES(name);
	size_t n = 0, i = 0, k;
	struct jj_val part;
	int64_t at;
	uint32_t j;

	while (n < name->len && s[n] != '.' && s[n] != '[')
		n++;
	at = digits(s, n, &i);
	if (i == n) {
		at = n ? at : g->next++;
		if (at >= g->a->npos)
			return jj_fail(x, "format has no argument %lld", (long long)at);
		*out = g->a->pos[at];
	} else {
		for (j = 0; j < g->a->nkw && (g->a->names[j].len != n || memcmp(JJ_BYTES(&g->a->names[j]), s, n) != 0); j++)
			;
		part = jj_cut(name, 0, n);
		if (j == g->a->nkw)
			return jj_fail(x, "format has no argument %s", jj_show(x, &part));
		*out = g->a->kw[j];
	}
	while (n < name->len) {
		bool item = s[n++] == '[';

		for (k = n; k < name->len && (item ? s[k] != ']' : s[k] != '.' && s[k] != '['); k++)
			;
		part = jj_cut(name, n, k);
		i = n;
		at = digits(s, k, &i);
		if (item && i == k && k > n)
			part = jj_int(at);
		if ((item ? jj_item(x, out, &part, out) : jj_attr(x, out, &part, out)) < 0)
			return -1;
		n = k + item;
	}
	return 0;
}

static int put_field(struct jj_exec *x, struct jj_val *dst, const struct jj_val *field, struct fields *g)
{
	const char *s = JJ_BYTES(field);
	size_t n = 0, colon;
	struct jj_val name, text, spec, v, r;
	struct spec f;
	char conversion = 0;

	while (n < field->len && s[n] != '!' && s[n] != ':')
		n++;
	name = jj_cut(field, 0, n);
	colon = n;
	if (n < field->len && s[n] == '!') {
		conversion = n + 1 < field->len ? s[n + 1] : 0;
		colon = n + 2;
		if (!conversion || !strchr("rsa", conversion) || (colon < field->len && s[colon] != ':'))
			return jj_fail(x, "format: a conversion that is not !r, !s or !a");
	}
	if (field_value(x, &name, g, &v) < 0)
		return -1;
	if (conversion && (jj_str_begin(x, &r) < 0 || (conversion == 's' ? jj_put_str(x, &r, &v) : jj_put_repr(x, &r, &v)) < 0))
		return -1;
	if (conversion)
		v = r;
	text = colon < field->len ? jj_cut(field, colon + 1, field->len) : jj_cut(field, field->len, field->len);
	if (jj_str_begin(x, &spec) < 0 || format_into(x, &spec, &text, g) < 0 || read_spec(x, &spec, &f) < 0)
		return -1;
	if (!spec.len)
		return jj_put_str(x, dst, &v);
	return put_value(x, &v, &f, &r) < 0 ? -1 : jj_add(x, dst, &r);
}

static int format_into(struct jj_exec *x, struct jj_val *dst, const struct jj_val *text, struct fields *g)
{
	const char *s = JJ_BYTES(text);
	struct jj_val field;
	size_t i, from = 0, depth;

	if (++g->depth > 3)
		return jj_fail(x, "format: fields nest too deep");
	for (i = 0; i < text->len; i++) {
		if (s[i] != '{' && s[i] != '}')
			continue;
		if (i + 1 < text->len && s[i + 1] == s[i]) {
			if (jj_add_part(x, dst, text, from, i + 1) < 0)
				return -1;
			from = ++i + 1;
			continue;
		}
		if (s[i] == '}' || jj_add_part(x, dst, text, from, i) < 0)
			return s[i] == '}' ? jj_fail(x, "format: a single '}'") : -1;
		for (from = i + 1, depth = 1, i++; i < text->len && depth; i++)
			depth += (s[i] == '{') - (s[i] == '}');
		if (depth)
			return jj_fail(x, "format: a '{' without its '}'");
		i--;
		field = jj_cut(text, from, i);
		if (put_field(x, dst, &field, g) < 0)
			return -1;
		from = i + 1;
	}
	g->depth--;
	return jj_add_part(x, dst, text, from, text->len);
}

int jj_format(struct jj_exec *x, const struct jj_val *format, const struct jj_args *a, struct jj_val *out)
{
	struct fields g = {a, 0, 0};
	struct jj_val r;

	if (jj_str_begin(x, &r) < 0 || format_into(x, &r, format, &g) < 0)
		return -1;
	r.safe = format->safe;
	*out = r;
	return 0;
}

/* --- % --- */

static int percent_value(struct jj_exec *x, const struct jj_val *v, struct spec *f, struct jj_val *dst)
{
	struct jj_val s = *v;

	if (f->type == 's' || f->type == 'r' || f->type == 'a') {
		if (jj_str_begin(x, &s) < 0 || (f->type == 's' ? jj_put_str(x, &s, v) : jj_put_repr(x, &s, v)) < 0)
			return -1;
		f->type = 's';
		f->align = f->align ? f->align : '>';
		f->zero = f->alt = false;
		f->sign = 0;
	} else if (f->type == 'd' || f->type == 'i' || f->type == 'u') {
		if (!jj_is_number(v))
			return v->kind == JJ_UNDEF ? jj_undefined(x, v) : jj_fail(x, "%%d was given a %s", jj_type_name(v));
		if (v->kind == JJ_FLOAT && jj_big_from_float(x, v->f, &s) < 0)
			return -1;
		f->type = 'd';
		f->precision = -1;
	} else if (f->type == 'c' && v->kind == JJ_STR) {
		f->type = 's';
	} else if (!f->type || !strchr("xXoeEfFgGc", f->type)) {
		return jj_fail(x, "a format with an unknown character behind its %%");
	}
	return put_value(x, &s, f, &s) < 0 ? -1 : jj_add(x, dst, &s);
}

/* The next argument without a name. */
static int take(struct jj_exec *x, const struct jj_val *arg, uint32_t *at, struct jj_val *out)
{
	bool tuple = arg->kind == JJ_LIST && arg->shape == JJ_TUPLE;

	if (*at >= (tuple ? arg->len : 1))
		return jj_fail(x, "too few values for the format");
	*out = tuple ? *JJ_AT(arg, *at) : *arg;
	++*at;
	return 0;
}

static int star(struct jj_exec *x, const struct jj_val *arg, uint32_t *at, const char *s, size_t n, size_t *i, int64_t *out)
{
	struct jj_val v;

	if (*i < n && s[*i] == '*') {
		++*i;
		if (take(x, arg, at, &v) < 0 || jj_want_int(x, "%", &v, out) < 0)
			return -1;
	} else {
		*out = digits(s, n, i);
	}
	return *out > WIDEST || *out < -WIDEST ? jj_fail(x, "a format wider than %d", WIDEST) : 0;
}

int jj_percent(struct jj_exec *x, const struct jj_val *format, const struct jj_val *arg, struct jj_val *out)
{
	const char *s = JJ_BYTES(format);
	size_t n = format->len, i, from = 0, key;
	struct jj_val r, v, name, *got;
	uint32_t at = 0;
	struct spec f;

	if (jj_str_begin(x, &r) < 0)
		return -1;
	for (i = 0; i < n; i++) {
		if (s[i] != '%')
			continue;
		if (jj_add_part(x, &r, format, from, i) < 0)
			return -1;
		f = (struct spec){.precision = -1};
		got = NULL;
		if (++i < n && s[i] == '(') {
			for (key = ++i; i < n && s[i] != ')'; i++)
				;
			name = jj_cut(format, key, i++);
			if (arg->kind != JJ_DICT || !(got = jj_dict_get(x, arg, &name)))
				return jj_fail(x, "the format has no value %s", jj_show(x, &name));
		}
		for (; i < n && s[i] && strchr("#0- +", s[i]); i++) {
			f.alt |= s[i] == '#';
			f.zero |= s[i] == '0';
			f.align = s[i] == '-' ? '<' : f.align;
			f.sign = s[i] == '+' || (s[i] == ' ' && f.sign != '+') ? s[i] : f.sign;
		}
		if (star(x, arg, &at, s, n, &i, &f.width) < 0)
			return -1;
		if (i < n && s[i] == '.' && (i++, star(x, arg, &at, s, n, &i, &f.precision) < 0))
			return -1;
		f.type = i < n ? s[i] : 0;
		from = i + 1;
		if (f.type == '%') {
			if (jj_add_part(x, &r, format, i, i + 1) < 0)
				return -1;
			continue;
		}
		if ((got ? (v = *got, 0) : take(x, arg, &at, &v)) < 0 || percent_value(x, &v, &f, &r) < 0)
			return -1;
	}
	if (arg->kind == JJ_LIST && arg->shape == JJ_TUPLE ? at < arg->len : at == 0 && arg->kind != JJ_DICT && arg->kind != JJ_LIST)
		return jj_fail(x, "more values than the format takes");
	if (from < n && jj_add_part(x, &r, format, from, n) < 0)
		return -1;
	r.safe = format->safe;
	*out = r;
	return 0;
}
