#include <stdlib.h>
#include <string.h>

#include "text/jinja_private.h"
#include "text/unicode.h"

/* Text that is gone through; the source has its line ends made "\n" and its last one taken off. */
struct lexer {
	struct pm_jinja *t;
	const char *s;
	size_t n, at;
	uint32_t line;
	bool line_start;                /* what was read last ended a line */
	struct jj_token *tokens;
	size_t ntokens, cap;
	struct pm_err *e;
};

static int bad(struct lexer *x, const char *what)
{
	return pm_fail(x->e, PM_DATA, "%s: line %u: %s", x->t->name, x->line, what);
}

static struct jj_token *put(struct lexer *x, enum jj_token_kind kind, const char *s, size_t n)
{
	struct jj_token *t;

	if (pm_grow(&x->tokens, &x->cap, x->ntokens + 1, sizeof *x->tokens, x->e) < 0)
		return NULL;
	t = &x->tokens[x->ntokens++];
	memset(t, 0, sizeof *t);
	t->kind = (uint8_t)kind;
	t->line = x->line;
	t->s = s;
	t->n = (uint32_t)n;
	return t;
}

/* Moves on, counting lines. */
static void skip(struct lexer *x, size_t n)
{
	const char *end = x->s + x->at + n, *p = x->s + x->at;

	if (!n)
		return;
	while ((p = memchr(p, '\n', (size_t)(end - p)))) {
		x->line++;
		p++;
	}
	x->at += n;
	x->line_start = x->s[x->at - 1] == '\n';
}

static size_t spaces(const struct lexer *x, size_t at)
{
	size_t from = at, k;

	while (at < x->n && (k = jj_space_at(x->s + at, x->n - at)) > 0)
		at += k;
	return at - from;
}

static bool here(const struct lexer *x, size_t at, const char *text)
{
	size_t n = strlen(text);

	return x->n - at >= n && !memcmp(x->s + at, text, n);
}

/* How long the end of a tag at `at` is, with the white space that it takes along: 0 where none is there. mark: '%', '}' or '#'. */
static size_t tag_end(const struct lexer *x, size_t at, char mark)
{
	const char close[3] = {mark, '}', 0}, trimmed[4] = {'-', mark, '}', 0}, kept[4] = {'+', mark, '}', 0};

	if (here(x, at, trimmed))
		return 3 + spaces(x, at + 3);
	if (mark != '}' && here(x, at, kept))
		return 3;
	if (here(x, at, close))
		return 2 + (mark != '}' && at + 2 < x->n && x->s[at + 2] == '\n');
	return 0;
}

static bool word(const struct lexer *x, size_t at, const char *name)
{
	return here(x, at, name);
}

/* Text up to the tag that opens at `to`, without what the tag takes off its end. */
static int put_data(struct lexer *x, size_t to, char sign, bool block)
{
	size_t from = x->at, end = to, line, k;
	struct jj_val v;
	struct jj_bytes b = {.data = (char *)(size_t)(x->s)};

	if (sign == '-') {
		v = (struct jj_val){.kind = JJ_STR, .from = (uint32_t)from, .len = (uint32_t)(to - from), .s = &b};
		v = jj_strip(&v, NULL, false, true);
		end = v.from + v.len;
	} else if (sign != '+' && block) {
		for (line = to; line > from && x->s[line - 1] != '\n'; line--)
			;
		if (line > from || x->line_start) {
			for (k = line; k < to && jj_space_at(x->s + k, to - k); k += jj_space_at(x->s + k, to - k))
				;
			if (k == to)
				end = line;
		}
	}
	if (end > from && !put(x, JT_DATA, x->s + from, end - from))
		return -1;
	skip(x, to - from);
	return 0;
}

/* {% raw %} at the current "{%": its length, or 0. */
static size_t raw_begin(const struct lexer *x, size_t at)
{
	size_t i = at + 2;

	if (i < x->n && (x->s[i] == '-' || x->s[i] == '+'))
		i++;
	i += spaces(x, i);
	if (!word(x, i, "raw"))
		return 0;
	i += 3;
	i += spaces(x, i);
	if (here(x, i, "-%}"))
		return i + 3 + spaces(x, i + 3) - at;
	return here(x, i, "%}") ? i + 2 - at : 0;
}

/* Text as it is up to {% endraw %}. */
static int raw(struct lexer *x)
{
	size_t i, k, end;
	char sign;

	for (i = x->at; i < x->n; i++) {
		if (!here(x, i, "{%"))
			continue;
		k = i + 2;
		sign = k < x->n ? x->s[k] : 0;
		k += sign == '-' || sign == '+';
		k += spaces(x, k);
		if (!word(x, k, "endraw"))
			continue;
		k += 6;
		k += spaces(x, k);
		end = tag_end(x, k, '%');
		if (!end)
			continue;
		if (put_data(x, i, sign, true) < 0)
			return -1;
		skip(x, k + end - i);
		return 0;
	}
	return bad(x, "{% raw %} without its {% endraw %}");
}

static int comment(struct lexer *x)
{
	size_t i, end;

	for (i = x->at; i < x->n; i++) {
		end = tag_end(x, i, '#');
		if (end) {
			skip(x, i + end - x->at);
			return 0;
		}
	}
	return bad(x, "a comment without its end");
}

/* --- inside a tag --- */

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One escape behind a backslash, as Python's unicode-escape reads it. *i is moved behind it. */
static int escape(struct lexer *x, const char *s, size_t n, size_t *i, char out[4], size_t *len)
{
	static const char letters[] = "abfnrtv\\'\"", values[] = "\a\b\f\n\r\t\v\\'\"";
	char c = s[*i];
	const char *p = strchr(letters, c);
	uint32_t code = 0;
	int k, digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;

	++*i;
	*len = 1;
	if (c && p) {
		*out = values[p - letters];
		return 0;
	}
	if (c == '\n') {
		*len = 0;
		return 0;
	}
	if (c >= '0' && c <= '7') {
		for (code = (uint32_t)(c - '0'), k = 1; k < 3 && *i < n && s[*i] >= '0' && s[*i] <= '7'; k++, ++*i)
			code = code * 8 + (uint32_t)(s[*i] - '0');
	} else if (digits) {
		for (k = 0; k < digits; k++, ++*i) {
			if (*i >= n || hex(s[*i]) < 0)
				return bad(x, "a string has an escape without its digits");
			code = code * 16 + (uint32_t)hex(s[*i]);
		}
		if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
			return bad(x, "a string has an escape that is no character");
	} else if (c == 'N') {
		return bad(x, "a string names a character by \\N, which is not read here");
	} else {        /* any other stays, with its backslash */
		out[0] = '\\';
		--*i;
		return 0;
	}
	*len = pm_utf8_put(out, code);
	return 0;
}

static int string(struct lexer *x)
{
	char quote = x->s[x->at], *out, buf[4];
	const char *s = x->s + x->at + 1;
	size_t end = 0, left = x->n - x->at - 1, i, n = 0, len;

	while (end < left && s[end] != quote)
		end += s[end] == '\\' && end + 1 < left ? 2 : 1;
	if (end >= left)
		return bad(x, "a string without its end");
	if (!memchr(s, '\\', end)) {
		if (!put(x, JT_STRING, s, end))
			return -1;
	} else {
		out = pm_arena_alloc(&x->t->arena, end + 4, 1, x->e);
		if (!out)
			return -1;
		for (i = 0; i < end;) {
			if (s[i] != '\\') {
				out[n++] = s[i++];
				continue;
			}
			i++;
			if (escape(x, s, end, &i, buf, &len) < 0)
				return -1;
			memcpy(out + n, buf, len);
			n += len;
		}
		if (!put(x, JT_STRING, out, n))
			return -1;
	}
	skip(x, end + 2);
	return 0;
}

/* Digits with single underscores between them from `at`. */
static size_t digits(const struct lexer *x, size_t at)
{
	size_t i = at;

	while (i < x->n && ((x->s[i] >= '0' && x->s[i] <= '9') || (x->s[i] == '_' && i > at && x->s[i - 1] != '_' && i + 1 < x->n &&
	    x->s[i + 1] >= '0' && x->s[i + 1] <= '9')))
		i++;
	return i - at;
}

static int number(struct lexer *x)
{
	size_t n = digits(x, x->at), k, i, m = 0;
	bool real = false, after_dot = x->at && x->s[x->at - 1] == '.';
	char *out;

	if (x->s[x->at] == '0' && x->at + 2 < x->n && strchr("bBoOxX", x->s[x->at + 1]) && hex(x->s[x->at + 2]) >= 0) {
		for (n = 2; x->at + n < x->n && (hex(x->s[x->at + n]) >= 0 || x->s[x->at + n] == '_'); n++)
			;
	} else if (!after_dot) {
		k = x->at + n;
		if (k + 1 < x->n && x->s[k] == '.' && (i = digits(x, k + 1)) > 0) {
			real = true;
			k += 1 + i;
		}
		if (k < x->n && (x->s[k] == 'e' || x->s[k] == 'E')) {
			size_t sign = k + 1 < x->n && (x->s[k + 1] == '+' || x->s[k + 1] == '-');

			if ((i = digits(x, k + 1 + sign)) > 0) {
				real = true;
				k += 1 + sign + i;
			}
		}
		n = k - x->at;
	}
	out = pm_arena_alloc(&x->t->arena, n + 1, 1, x->e);
	if (!out)
		return -1;
	for (i = 0; i < n; i++)
		if (x->s[x->at + i] != '_')
			out[m++] = x->s[x->at + i];
	if (!put(x, real ? JT_FLOAT : JT_INT, out, m))
		return -1;
	skip(x, n);
	return 0;
}

static bool name_char(const struct lexer *x, size_t at, size_t *len)
{
	uint32_t c = pm_utf8_get(x->s + at, len);

	return c == '_' || (pm_uc(c) & PM_UC_WORD);
}

static int name(struct lexer *x)
{
	size_t from = x->at, i = from, len;

	while (i < x->n && name_char(x, i, &len))
		i += len;
	if (!put(x, JT_NAME, x->s + from, i - from))
		return -1;
	skip(x, i - from);
	return 0;
}

/* Brackets that are open: in them no tag ends. */
struct open {
	char close[200];
	size_t n;
};

static int operator(struct lexer *x, struct open *o)
{
	static const char *const ops[] = {"//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">",
		"<", "=", ".", ":", "|", ",", ";"};
	struct jj_token *t;
	size_t i, n;

	for (i = 0; i < sizeof ops / sizeof *ops && !here(x, x->at, ops[i]); i++)
		;
	if (i == sizeof ops / sizeof *ops)
		return pm_fail(x->e, PM_DATA, "%s: line %u: unexpected character '%.*s'", x->t->name, x->line,
		    (int)(jj_next(&(struct jj_val){.len = (uint32_t)x->n, .s = &(struct jj_bytes){.data = (char *)(size_t)x->s}}, x->at) - x->at), x->s + x->at);
	n = strlen(ops[i]);
	if (strchr("([{", *ops[i])) {
		if (o->n == sizeof o->close)
			return bad(x, "too many brackets inside each other");
		o->close[o->n++] = *ops[i] == '(' ? ')' : *ops[i] == '[' ? ']' : '}';
	} else if (strchr(")]}", *ops[i])) {
		if (!o->n || o->close[o->n - 1] != *ops[i])
			return pm_fail(x->e, PM_DATA, "%s: line %u: '%s' closes no bracket", x->t->name, x->line, ops[i]);
		o->n--;
	}
	t = put(x, JT_OP, NULL, 0);
	if (!t)
		return -1;
	memcpy(t->op, ops[i], n);
	skip(x, n);
	return 0;
}

/* What is between the ends of a tag, with its end. */
static int inside(struct lexer *x, bool block)
{
	struct open o = {.n = 0};
	size_t k, len;
	char c;
	int r = 0;

	while (r == 0 && x->at < x->n) {
		k = o.n ? 0 : tag_end(x, x->at, block ? '%' : '}');
		if (k) {
			if (!put(x, block ? JT_BLOCK_END : JT_VAR_END, NULL, 0))
				return -1;
			skip(x, k);
			return 0;
		}
		c = x->s[x->at];
		k = spaces(x, x->at);
		if (k)
			skip(x, k);
		else if (c == '"' || c == '\'')
			r = string(x);
		else if (c >= '0' && c <= '9')
			r = number(x);
		else if (name_char(x, x->at, &len))
			r = name(x);
		else
			r = operator(x, &o);
	}
	return r < 0 ? -1 : bad(x, block ? "a {% without its %}" : "a {{ without its }}");
}

static int all(struct lexer *x)
{
	size_t to, k, open;
	char sign, c;
	int r = 0;

	while (r == 0 && x->at < x->n) {
		for (to = x->at; to < x->n && !(x->s[to] == '{' && to + 1 < x->n && strchr("{%#", x->s[to + 1]) && x->s[to + 1]); to++)
			;
		if (to >= x->n)
			return put(x, JT_DATA, x->s + x->at, x->n - x->at) ? 0 : -1;
		c = x->s[to + 1];
		sign = to + 2 < x->n ? x->s[to + 2] : 0;
		open = 2 + (sign == '-' || sign == '+');
		k = c == '%' ? raw_begin(x, to) : 0;
		if (put_data(x, to, sign, c != '{') < 0)
			return -1;
		if (k) {
			skip(x, k);
			r = raw(x);
		} else if (c == '#') {
			skip(x, open);
			r = comment(x);
		} else {
			skip(x, open);
			r = put(x, c == '%' ? JT_BLOCK : JT_VAR, NULL, 0) ? inside(x, c == '%') : -1;
		}
	}
	return r;
}

int jj_lex(struct pm_jinja *t, const char *text, size_t n, struct jj_token **tokens, size_t *ntokens, struct pm_err *e)
{
	struct lexer x = {.t = t, .line = 1, .line_start = true, .e = e};
	char *s = pm_arena_alloc(&t->arena, n + 1, 1, e);
	size_t i, m = 0;

	*tokens = NULL;
	if (!s)
		return -1;
	for (i = 0; i < n; i++) {
		s[m++] = text[i] == '\r' ? '\n' : text[i];
		if (text[i] == '\r' && i + 1 < n && text[i + 1] == '\n')
			i++;
	}
	m -= m && s[m - 1] == '\n';
	x.s = s;
	x.n = m;
	if (all(&x) < 0 || !put(&x, JT_EOF, NULL, 0)) {
		free(x.tokens);
		return -1;
	}
	*tokens = x.tokens;
	*ntokens = x.ntokens;
	return 0;
}
