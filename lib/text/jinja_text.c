#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja_private.h"
#include "text/unicode.h"

const char *jj_type_name(const struct jj_val *v)
{
	static const char *const shapes[] = {"list", "tuple", "range", "dict_keys", "dict_values", "dict_items", "generator"};
	static const char *const kinds[] = {
		[JJ_ABSENT] = "nothing", [JJ_UNDEF] = "Undefined", [JJ_NONE] = "NoneType", [JJ_BOOL] = "bool", [JJ_INT] = "int", [JJ_BIG] = "int",
		[JJ_FLOAT] = "float", [JJ_STR] = "str", [JJ_DICT] = "dict", [JJ_FUNC] = "function", [JJ_MACRO] = "Macro", [JJ_SPACE] = "Namespace",
		[JJ_LOOP] = "LoopContext", [JJ_CYCLER] = "Cycler", [JJ_JOINER] = "Joiner",
	};

	return v->kind == JJ_LIST ? shapes[v->shape] : v->kind == JJ_STR && v->safe ? "Markup" : kinds[v->kind];
}

/* The shortest decimal that reads back as f, laid out as Python's repr(). */
void jj_float_text(char out[40], double f)
{
	char e[40], digits[24];
	int p, n = 0, exp, i, k = 0;

	if (isnan(f) || isinf(f)) {
		snprintf(out, 40, "%s", isnan(f) ? "nan" : f < 0 ? "-inf" : "inf");
		return;
	}
	for (p = 0; p < 17; p++) {
		snprintf(e, sizeof e, "%.*e", p, f);
		if (strtod(e, NULL) == f)
			break;
	}
	exp = (int)strtol(strchr(e, 'e') + 1, NULL, 10);
	for (i = 0; e[i] != 'e'; i++)
		if (e[i] >= '0' && e[i] <= '9')
			digits[n++] = e[i];
	while (n > 1 && digits[n - 1] == '0')
		n--;
	if (signbit(f))
		out[k++] = '-';
	if (exp < -4 || exp >= 16) {
		out[k++] = digits[0];
		if (n > 1)
			out[k++] = '.';
		for (i = 1; i < n; i++)
			out[k++] = digits[i];
		snprintf(out + k, (size_t)(40 - k), "e%c%02d", exp < 0 ? '-' : '+', exp < 0 ? -exp : exp);
		return;
	}
	if (exp < 0) {
		out[k++] = '0';
		out[k++] = '.';
		for (i = -1; i > exp; i--)
			out[k++] = '0';
	}
	for (i = 0; i < n || i <= exp; i++) {
		out[k++] = i < n ? digits[i] : '0';
		if (i == exp)
			out[k++] = '.';
	}
	if (out[k - 1] == '.')
		out[k++] = '0';
	out[k] = 0;
}

static int put_number(struct jj_exec *x, struct jj_val *dst, const struct jj_val *v)
{
	char text[40];

	if (v->kind == JJ_BIG)
		return jj_big_put(x, dst, v);
	if (v->kind == JJ_FLOAT)
		jj_float_text(text, v->f);
	else
		snprintf(text, sizeof text, "%" PRId64, v->i);
	return jj_add_cstr(x, dst, text);
}

/* A string as Python's repr writes it. */
static int put_quoted(struct jj_exec *x, struct jj_val *dst, const struct jj_val *v)
{
	const char *s = JJ_BYTES(v);
	bool doubled = memchr(s, '\'', v->len) && !memchr(s, '"', v->len);
	char quote[2] = {doubled ? '"' : '\'', 0}, code[12];
	size_t i, k, done = 0;

	if (jj_add_cstr(x, dst, quote) < 0)
		return -1;
	for (i = 0; i < v->len; i += k) {
		uint32_t c = pm_utf8_get(s + i, &k);

		if (c == '\\' || c == (unsigned char)*quote)
			snprintf(code, sizeof code, "\\%c", (char)c);
		else if (c == '\n' || c == '\r' || c == '\t')
			snprintf(code, sizeof code, "\\%c", c == '\n' ? 'n' : c == '\r' ? 'r' : 't');
		else if ((c >= ' ' && c < 0x7f) || (c >= 0x7f && jj_printable(c)))
			continue;
		else
			snprintf(code, sizeof code, c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
		if (jj_add_part(x, dst, v, done, i) < 0 || jj_add_bytes(x, dst, code, strlen(code), jj_tag_at(v, i)) < 0)
			return -1;
		done = i + k;
	}
	return jj_add_part(x, dst, v, done, v->len) < 0 ? -1 : jj_add_cstr(x, dst, quote);
}

static int put_list(struct jj_exec *x, struct jj_val *dst, const struct jj_val *v)
{
	static const char *const open[] = {"[", "(", "", "dict_keys([", "dict_values([", "dict_items(["};
	static const char *const close[] = {"]", ")", "", "])", "])", "])"};
	char text[100];
	uint32_t i;

	if (v->shape == JJ_GEN) {
		snprintf(text, sizeof text, "<generator object %s>", v->l->name);
		return jj_add_cstr(x, dst, text);
	}
	if (v->shape == JJ_RANGE) {
		if (v->l->step == 1)
			snprintf(text, sizeof text, "range(%" PRId64 ", %" PRId64 ")", v->l->first, v->l->last);
		else
			snprintf(text, sizeof text, "range(%" PRId64 ", %" PRId64 ", %" PRId64 ")", v->l->first, v->l->last, v->l->step);
		return jj_add_cstr(x, dst, text);
	}
	if (jj_add_cstr(x, dst, open[v->shape]) < 0)
		return -1;
	for (i = 0; i < v->len; i++)
		if ((i && jj_add_cstr(x, dst, ", ") < 0) || jj_put_repr(x, dst, JJ_AT(v, i)) < 0)
			return -1;
	return jj_add_cstr(x, dst, v->shape == JJ_TUPLE && v->len == 1 ? ",)" : close[v->shape]);
}

static int put_dict(struct jj_exec *x, struct jj_val *dst, const struct jj_dict *d)
{
	uint32_t i;

	if (jj_add_cstr(x, dst, "{") < 0)
		return -1;
	for (i = 0; i < d->n; i++)
		if ((i && jj_add_cstr(x, dst, ", ") < 0) || jj_put_repr(x, dst, &d->keys[i]) < 0 || jj_add_cstr(x, dst, ": ") < 0 ||
		    jj_put_repr(x, dst, &d->vals[i]) < 0)
			return -1;
	return jj_add_cstr(x, dst, "}");
}

static int put_macro(struct jj_exec *x, struct jj_val *dst, const struct jj_macro *m)
{
	return jj_add_cstr(x, dst, "<Macro ") < 0 || put_quoted(x, dst, &m->node->value) < 0 ? -1 : jj_add_cstr(x, dst, ">");
}

int jj_put_repr(struct jj_exec *x, struct jj_val *dst, const struct jj_val *v)
{
	char text[80];
	int r = 0;

	if (jj_enter(x) < 0)
		return -1;
	switch (v->kind) {
	case JJ_UNDEF:
		r = jj_add_cstr(x, dst, "Undefined");
		break;
	case JJ_NONE:
		r = jj_add_cstr(x, dst, "None");
		break;
	case JJ_BOOL:
		r = jj_add_cstr(x, dst, v->b ? "True" : "False");
		break;
	case JJ_INT:
	case JJ_BIG:
	case JJ_FLOAT:
		r = put_number(x, dst, v);
		break;
	case JJ_STR:
		if (v->safe && jj_add_cstr(x, dst, "Markup(") < 0)
			return -1;
		r = put_quoted(x, dst, v);
		if (r == 0 && v->safe)
			r = jj_add_cstr(x, dst, ")");
		break;
	case JJ_LIST:
		r = put_list(x, dst, v);
		break;
	case JJ_DICT:
		r = put_dict(x, dst, v->d);
		break;
	case JJ_SPACE:
		r = jj_add_cstr(x, dst, "<Namespace ") < 0 || put_dict(x, dst, v->d) < 0 ? -1 : jj_add_cstr(x, dst, ">");
		break;
	case JJ_MACRO:
		r = put_macro(x, dst, v->macro);
		break;
	case JJ_LOOP:
		snprintf(text, sizeof text, "<LoopContext %u/%u>", v->loop->i + 1, v->loop->n);
		r = jj_add_cstr(x, dst, text);
		break;
	case JJ_FUNC:
		snprintf(text, sizeof text, "<function %s>", v->fn->f->name);
		r = jj_add_cstr(x, dst, text);
		break;
	default:
		snprintf(text, sizeof text, "<%s>", jj_type_name(v));
		r = jj_add_cstr(x, dst, text);
		break;
	}
	x->depth--;
	return r;
}

int jj_put_str(struct jj_exec *x, struct jj_val *dst, const struct jj_val *v)
{
	if (v->kind == JJ_STR)
		return jj_add(x, dst, v);
	return v->kind == JJ_UNDEF ? 0 : jj_put_repr(x, dst, v);
}

int jj_to_str(struct jj_exec *x, struct jj_val *out, const struct jj_val *v)
{
	struct jj_val s;

	if (v->kind == JJ_STR) {
		*out = *v;
		return 0;
	}
	if (jj_str_begin(x, &s) < 0 || jj_put_str(x, &s, v) < 0)
		return -1;
	*out = s;
	return 0;
}

int jj_put_escaped(struct jj_exec *x, struct jj_val *dst, const struct jj_val *v)
{
	struct jj_val s;
	const char *p;
	size_t i, done = 0;

	if (jj_to_str(x, &s, v) < 0)
		return -1;
	if (s.safe)
		return jj_add(x, dst, &s);
	for (i = 0; i < s.len; i++) {
		char c = JJ_BYTES(&s)[i];

		p = c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&#34;" : c == '\'' ? "&#39;" : NULL;
		if (!p)
			continue;
		if (jj_add_part(x, dst, &s, done, i) < 0 || jj_add_bytes(x, dst, p, strlen(p), jj_tag_at(&s, i)) < 0)
			return -1;
		done = i + 1;
	}
	return jj_add_part(x, dst, &s, done, s.len);
}

/* --- JSON --- */

static int json_string_put(struct jj_exec *x, struct jj_val *dst, const struct jj_val *v, bool ascii)
{
	const char *s = JJ_BYTES(v), *p;
	size_t i, k, done = 0;
	char code[16];

	if (jj_add_cstr(x, dst, "\"") < 0)
		return -1;
	for (i = 0; i < v->len; i += k) {
		uint32_t c = pm_utf8_get(s + i, &k);

		if (c >= ' ' && c != '"' && c != '\\' && (c < 0x7f || !ascii))
			continue;
		p = c == '"' ? "\\\"" : c == '\\' ? "\\\\" : c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : c == '\f' ? "\\f" :
		    c == '\b' ? "\\b" : NULL;
		if (p)
			snprintf(code, sizeof code, "%s", p);
		else if (c < 0x10000)
			snprintf(code, sizeof code, "\\u%04x", c);
		else
			snprintf(code, sizeof code, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10), 0xdc00 + ((c - 0x10000) & 0x3ff));
		if (jj_add_part(x, dst, v, done, i) < 0 || jj_add_bytes(x, dst, code, strlen(code), jj_tag_at(v, i)) < 0)
			return -1;
		done = i + k;
	}
	return jj_add_part(x, dst, v, done, v->len) < 0 ? -1 : jj_add_cstr(x, dst, "\"");
}

static int json_scalar(struct jj_exec *x, struct jj_val *dst, const struct jj_val *v)
{
	if (v->kind == JJ_FLOAT && (isnan(v->f) || isinf(v->f)))
		return jj_add_cstr(x, dst, isnan(v->f) ? "NaN" : v->f < 0 ? "-Infinity" : "Infinity");
	return v->kind == JJ_NONE ? jj_add_cstr(x, dst, "null") : v->kind == JJ_BOOL ? jj_add_cstr(x, dst, v->b ? "true" : "false") :
	    put_number(x, dst, v);
}

struct level {
	struct jj_exec *x;
	struct jj_val *dst;
	const struct jj_json *o;
	unsigned depth;
};

static int json_value(struct level *l, const struct jj_val *v);

/* The end of a line, where there are any. */
static int json_line(struct level *l)
{
	unsigned i;
	int k;

	if (l->o->indent < 0 && !l->o->indent_text)
		return 0;
	if (jj_add_cstr(l->x, l->dst, "\n") < 0)
		return -1;
	for (i = 0; i < l->depth; i++) {
		if (l->o->indent_text) {
			if (jj_add(l->x, l->dst, l->o->indent_text) < 0)
				return -1;
			continue;
		}
		for (k = 0; k < l->o->indent; k++)
			if (jj_add_cstr(l->x, l->dst, " ") < 0)
				return -1;
	}
	return 0;
}

static int json_comma(struct level *l)
{
	return l->o->item ? jj_add(l->x, l->dst, l->o->item) : jj_add_cstr(l->x, l->dst, l->o->indent < 0 && !l->o->indent_text ? ", " : ",");
}

static int json_list(struct level *l, const struct jj_val *v)
{
	uint32_t i;

	if (!v->len)
		return jj_add_cstr(l->x, l->dst, "[]");
	if (jj_add_cstr(l->x, l->dst, "[") < 0)
		return -1;
	l->depth++;
	for (i = 0; i < v->len; i++)
		if ((i && json_comma(l) < 0) || json_line(l) < 0 || json_value(l, JJ_AT(v, i)) < 0)
			return -1;
	l->depth--;
	return json_line(l) < 0 ? -1 : jj_add_cstr(l->x, l->dst, "]");
}

static int json_key(struct level *l, const struct jj_val *k)
{
	struct jj_val s;

	if (k->kind == JJ_STR)
		return json_string_put(l->x, l->dst, k, l->o->ascii);
	if (k->kind != JJ_NONE && !jj_is_number(k))
		return jj_fail(l->x, "keys of JSON are strings or numbers, not a %s", jj_type_name(k));
	return jj_str_begin(l->x, &s) < 0 || json_scalar(l->x, &s, k) < 0 ? -1 : json_string_put(l->x, l->dst, &s, l->o->ascii);
}

/* The places of a dict's entries in the order of their keys. */
static uint32_t *sorted(struct jj_exec *x, const struct jj_dict *d)
{
	uint32_t *at = jj_alloc(x, d->n, sizeof *at), i, k, swap;
	bool less;

	for (i = 0; at && i < d->n; i++) {
		at[i] = i;
		for (k = i; k > 0; k--) {
			if (++x->steps, jj_less(x, &d->keys[at[k]], &d->keys[at[k - 1]], "<", &less) < 0)
				return NULL;
			if (!less)
				break;
			swap = at[k];
			at[k] = at[k - 1];
			at[k - 1] = swap;
		}
	}
	return at;
}

static int json_dict(struct level *l, const struct jj_dict *d)
{
	uint32_t i, *order = NULL, at;

	if (!d->n)
		return jj_add_cstr(l->x, l->dst, "{}");
	if ((l->o->sort && !(order = sorted(l->x, d))) || jj_add_cstr(l->x, l->dst, "{") < 0)
		return -1;
	l->depth++;
	for (i = 0; i < d->n; i++) {
		at = order ? order[i] : i;
		if ((i && json_comma(l) < 0) || json_line(l) < 0 || json_key(l, &d->keys[at]) < 0 ||
		    (l->o->key ? jj_add(l->x, l->dst, l->o->key) : jj_add_cstr(l->x, l->dst, ": ")) < 0 || json_value(l, &d->vals[at]) < 0)
			return -1;
	}
	l->depth--;
	return json_line(l) < 0 ? -1 : jj_add_cstr(l->x, l->dst, "}");
}

static int json_value(struct level *l, const struct jj_val *v)
{
	int r;

	if (jj_enter(l->x) < 0)
		return -1;
	switch (v->kind) {
	case JJ_STR:
		r = json_string_put(l->x, l->dst, v, l->o->ascii);
		break;
	case JJ_NONE:
	case JJ_BOOL:
	case JJ_INT:
	case JJ_BIG:
	case JJ_FLOAT:
		r = json_scalar(l->x, l->dst, v);
		break;
	case JJ_DICT:
		r = json_dict(l, v->d);
		break;
	default:
		r = v->kind == JJ_LIST && (v->shape == JJ_PLAIN || v->shape == JJ_TUPLE) ? json_list(l, v) :
		    jj_fail(l->x, "a value of type %s has no JSON", jj_type_name(v));
		break;
	}
	l->x->depth--;
	return r;
}

int jj_put_json(struct jj_exec *x, struct jj_val *dst, const struct jj_val *v, const struct jj_json *o)
{
	struct level l = {x, dst, o, 0};

	return json_value(&l, v);
}

const char *jj_show(struct jj_exec *x, const struct jj_val *v)
{
	struct jj_val s;
	char *text = jj_alloc(x, 64, 1);
	size_t n;

	if (!text || jj_str_begin(x, &s) < 0 || jj_put_repr(x, &s, v) < 0)
		return "a value";
	n = s.len < 60 ? s.len : 60;
	n = pm_utf8_valid(s.len ? JJ_BYTES(&s) : "", n);
	memcpy(text, s.len ? JJ_BYTES(&s) : "", n);
	return text;
}
