#define PCRE2_CODE_UNIT_WIDTH 8
#include "text/pattern.h"

#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "text/ucd.h"
#include "text/unicode.h"

/* What is in the brackets of \w; Oniguruma has the numbers of Latin-1 (², ½ …) in it, too, and no others of their category. */
static const char word[] = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\x{b2}\\x{b3}\\x{b9}\\x{bc}-\\x{be}";

/* Escapes with another meaning: what they become outside and inside of brackets (NULL: cannot be said there); @ stands for
 * the content of \w. */
static const struct {
	char c;
	const char *outside, *inside;
} escapes[] = {
	{'s', "\\p{White_Space}", "\\p{White_Space}"},
	{'S', "\\P{White_Space}", "\\P{White_Space}"},
	{'w', "[@]", "@"},
	{'W', "[^@]", NULL},
	{'b', "(?:(?<=[@])(?![@])|(?<![@])(?=[@]))", "\\b"},
	{'B', "(?:(?<=[@])(?=[@])|(?<![@])(?![@]))", NULL},
	{'h', "[0-9a-fA-F]", "0-9a-fA-F"},
	{'H', "[^0-9a-fA-F]", NULL},
	{'v', "\\x0b", "\\x0b"},
};

/* Writes an escape's translation. */
static int put_meaning(struct pm_str *out, const char *t, struct pm_err *e)
{
	static const char *const parts[] = {"L", "M", "Nd", "Nl", "Pc"};

	for (; *t; t++) {
		if (*t != '@') {
			if (pm_str_put(out, t, 1, e) < 0)
				return -1;
			continue;
		}
		if (pm_str_puts(out, word, e) < 0)
			return -1;
		for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
			if (pm_ucd_ranges(out, parts[i], e) < 0)
				return -1;
	}
	return 0;
}

/* \p{L} and \p{Lu}, \d, and their opposites: the category, and what came to it after PCRE2's tables. In brackets the opposite
 * keeps what came; nothing better can be said there. Returns the length read, 0: it is none of these. */
static int put_category(struct pm_str *out, const char *p, bool inside, struct pm_err *e)
{
	bool opposite = p[1] == 'P' || p[1] == 'D', digit = p[1] == 'd' || p[1] == 'D';
	char name[3] = "Nd";
	size_t n = 0;

	if (!digit) {
		n = p[2] == '{' ? strcspn(p + 3, "}") : 0;
		if (n < 1 || n > 2 || p[3 + n] != '}')
			return 0;
		name[0] = p[3];
		name[1] = n == 2 ? p[4] : 0;
	}
	if (!inside && pm_str_puts(out, opposite ? "[^" : "[", e) < 0)
		return -1;
	if (pm_str_printf(out, e, "\\%c{%s}", inside && opposite ? 'P' : 'p', name) < 0)
		return -1;
	if (!(inside && opposite) && pm_ucd_ranges(out, name, e) < 0)
		return -1;
	if (!inside && pm_str_puts(out, "]", e) < 0)
		return -1;
	return digit ? 2 : (int)n + 4;
}

/* \p{Name}: where Name is a script, PCRE2 would take the script's extensions in too. Returns the length read, 0: as it is. */
static int put_script(struct pm_str *out, const char *p, struct pm_err *e)
{
	size_t n = p[2] == '{' ? strcspn(p + 3, "}") : 0;
	char test[64];
	pcre2_code *code;
	PCRE2_SIZE at;
	int error, r;

	if (n < 3 || n > 40 || p[3] == '^' || p[3 + n] != '}')
		return 0;
	r = snprintf(test, sizeof test, "\\%c{sc:%.*s}", p[1], (int)n, p + 3);
	code = pcre2_compile((PCRE2_SPTR)test, (PCRE2_SIZE)r, PCRE2_UTF | PCRE2_UCP, &error, &at, NULL);
	if (!code)
		return 0;
	pcre2_code_free(code);
	return pm_str_puts(out, test, e) < 0 ? -1 : (int)n + 4;
}

static int put_escape(struct pm_str *out, const char *p, bool inside, struct pm_err *e)
{
	const char *t;
	int k;

	if (strchr("pPdD", p[1])) {
		k = put_category(out, p, inside, e);
		if (k == 0)
			k = put_script(out, p, e);
		if (k)
			return k;
	}
	if (p[1] == 'u') {
		for (int i = 2; i < 6; i++)
			if (!p[i] || !strchr("0123456789abcdefABCDEF", p[i]))
				return pm_fail(e, PM_DATA, "\\u wants four hexadecimal digits");
		return pm_str_printf(out, e, "\\x{%.4s}", p + 2) < 0 ? -1 : 6;
	}
	for (size_t i = 0; i < sizeof escapes / sizeof *escapes; i++) {
		if (escapes[i].c != p[1])
			continue;
		t = inside ? escapes[i].inside : escapes[i].outside;
		if (!t)
			return pm_fail(e, PM_DATA, "\\%c in brackets is not supported", p[1]);
		return put_meaning(out, t, e) < 0 ? -1 : 2;
	}
	return pm_str_put(out, p, 2, e) < 0 ? -1 : 2;
}

/* (?flags) and (?flags: of Ruby: its m is what others call s. Returns the length read, 0 where these are no flags. */
static int put_flags(struct pm_str *out, const char *p, struct pm_err *e)
{
	size_t n = 2 + strspn(p + 2, "imxs-");

	if (n == 2 || (p[n] != ')' && p[n] != ':'))
		return 0;
	for (size_t i = 0; i < n; i++) {
		if (p[i] == 's')
			return pm_fail(e, PM_DATA, "the flag (?s) is not known to Ruby's syntax");
		if (pm_str_put(out, p[i] == 'm' ? "s" : p + i, 1, e) < 0)
			return -1;
	}
	return (int)n;
}

static int translate(struct pm_str *out, const char *p, size_t n, struct pm_err *e)
{
	const char *end = p + n;
	bool inside = false;
	int k;

	while (p < end) {
		k = 0;
		if (*p == '\\') {
			if (p + 1 == end)
				return pm_fail(e, PM_DATA, "a \\ at the end of the pattern");
			k = put_escape(out, p, inside, e);
		} else if (inside && *p == '[' && p[1] != ':') {
			return pm_fail(e, PM_DATA, "brackets inside brackets are not supported");
		} else if (inside && *p == '[') {
			const char *q = strstr(p, ":]");

			if (!q)
				return pm_fail(e, PM_DATA, "[: without :]");
			k = (int)(q + 2 - p);
			if (pm_str_put(out, p, (size_t)k, e) < 0)
				return -1;
		} else if (inside && *p == '&' && p[1] == '&') {
			return pm_fail(e, PM_DATA, "&& in brackets is not supported");
		} else if (!inside && strncmp(p, "(?", 2) == 0) {
			k = put_flags(out, p, e);
		} else if (!inside && strncmp(p, "{,", 2) == 0) {
			k = pm_str_puts(out, "{0,", e) < 0 ? -1 : 2;
		}
		if (k < 0)
			return -1;
		if (!k) {
			if (!inside && *p == '[') {
				/* ] as the first character means itself */
				size_t m = 1 + (p[1] == '^');

				m += p[m] == ']';
				inside = true;
				k = (int)m;
			} else {
				inside = inside && *p != ']';
				k = 1;
			}
			if (pm_str_put(out, p, (size_t)k, e) < 0)
				return -1;
		}
		p += k;
	}
	return 0;
}

static int compile(struct pm_pattern *re, const struct pm_str *s, struct pm_err *e)
{
	PCRE2_UCHAR text[256];
	PCRE2_SIZE at;
	int code;

	re->code = pcre2_compile((PCRE2_SPTR)(s->data ? s->data : ""), s->len, PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE, &code, &at, NULL);
	if (!re->code) {
		pcre2_get_error_message(code, text, sizeof text);
		return pm_fail(e, PM_DATA, "%s", (char *)text);
	}
	pcre2_jit_compile(re->code, PCRE2_JIT_COMPLETE);        /* where there is none, matching just is slower */
	return 0;
}

int pm_pattern_new(struct pm_pattern *re, const char *pattern, size_t n, bool literal, struct pm_err *e)
{
	struct pm_str s = {0};
	int r;

	memset(re, 0, sizeof *re);
	if (literal) {
		re->literal = pm_strndup(pattern, n, e);
		re->n = n;
		return re->literal ? 0 : -1;
	}
	if (strlen(pattern) != n)
		return pm_fail(e, PM_DATA, "a pattern with a 0 in it");
	r = translate(&s, pattern, n, e);
	if (r == 0)
		r = compile(re, &s, e);
	pm_str_free(&s);
	return r < 0 ? pm_ctx(e, "pattern '%.200s'", pattern) : 0;
}

void pm_pattern_free(struct pm_pattern *re)
{
	pcre2_code_free(re->code);
	free(re->literal);
	memset(re, 0, sizeof *re);
}

void pm_match_free(struct pm_match *m)
{
	pcre2_match_data_free(m->data);
	pcre2_match_context_free(m->context);
	pcre2_jit_stack_free(m->stack);
	memset(m, 0, sizeof *m);
}

static int prepare(struct pm_match *m, struct pm_err *e)
{
	m->data = pcre2_match_data_create(1, NULL);
	m->context = pcre2_match_context_create(NULL);
	m->stack = pcre2_jit_stack_create(64 << 10, 16 << 20, NULL);
	if (!m->data || !m->context)
		return pm_fail(e, PM_SOFTWARE, "out of memory");
	if (m->stack)
		pcre2_jit_stack_assign(m->context, NULL, m->stack);
	return 0;
}

static int next_literal(const struct pm_pattern *re, struct pm_find *f, size_t *from, size_t *to)
{
	const char *p = f->s + f->at, *end = f->s + f->n;

	if (!re->n)
		return 0;
	for (; (size_t)(end - p) >= re->n && (p = memchr(p, re->literal[0], (size_t)(end - p) - re->n + 1)); p++)
		if (memcmp(p, re->literal, re->n) == 0) {
			*from = (size_t)(p - f->s);
			*to = f->at = *from + re->n;
			return 1;
		}
	return 0;
}

int pm_pattern_next(const struct pm_pattern *re, struct pm_match *m, struct pm_find *f, size_t *from, size_t *to, struct pm_err *e)
{
	PCRE2_SIZE *v;
	size_t k;
	int r;

	if (re->literal)
		return next_literal(re, f, from, to);
	if (!m->data && prepare(m, e) < 0)
		return -1;
	while (f->at <= f->n) {
		r = pcre2_match(re->code, (PCRE2_SPTR)f->s, f->n, f->at, PCRE2_NO_UTF_CHECK, m->data, m->context);
		if (r == PCRE2_ERROR_JIT_STACKLIMIT)
			r = pcre2_match(re->code, (PCRE2_SPTR)f->s, f->n, f->at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, m->data, m->context);
		if (r == PCRE2_ERROR_NOMATCH)
			return 0;
		if (r < 0)
			return pm_fail(e, PM_DATA, "a pattern needs too much time or memory for this text (PCRE2 error %d)", r);
		v = pcre2_get_ovector_pointer(m->data);
		if (v[0] == v[1] && f->any && f->last == v[1]) {
			if (f->at == f->n)
				return 0;
			pm_utf8_get(f->s + f->at, &k);
			f->at += k;
			continue;
		}
		f->at = f->last = *to = v[1];
		*from = v[0];
		f->any = true;
		return 1;
	}
	return 0;
}
