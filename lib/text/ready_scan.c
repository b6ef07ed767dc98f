/* The text of a tokenizer.json, read once from its start to its end. Anything but the plainest JSON makes it give up. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/ready.h"
#include "text/unicode.h"

struct scan {
	const char *s, *p, *end;
	struct pm_err ignored;
	struct pm_str key, left, right, both;   /* strings without their escapes */
	/* where the values lie; the first byte and the one behind the last */
	const char *vocab, *vocab_end, *merges, *merges_end;
	bool prefix;                    /* continuing_subword_prefix is more than "" */
};

static bool blank(struct scan *x)
{
	while (x->p < x->end && (*x->p == ' ' || *x->p == '\n' || *x->p == '\t' || *x->p == '\r'))
		x->p++;
	return x->p < x->end;
}

/* The next byte that is not blank, if it is c. */
static bool take(struct scan *x, char c)
{
	if (!blank(x) || *x->p != c)
		return false;
	x->p++;
	return true;
}

static bool peek(struct scan *x, char c)
{
	return blank(x) && *x->p == c;
}

static int hex4(const char *p, const char *end)
{
	int v = 0, d;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		d = p[i] >= '0' && p[i] <= '9' ? p[i] - '0' : (p[i] | 32) >= 'a' && (p[i] | 32) <= 'f' ? (p[i] | 32) - 'a' + 10 : -1;
		if (d < 0)
			return -1;
		v = v * 16 + d;
	}
	return v;
}

/* The character of an escape, after its backslash. */
static bool escape(struct scan *x, struct pm_str *out)
{
	static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
	const char *q;
	char c[4];
	int u, v;

	if (x->p == x->end)
		return false;
	if (*x->p != 'u') {
		q = strchr(from, *x->p);
		if (!q || !*q)
			return false;
		x->p++;
		return pm_str_put(out, to + (q - from), 1, &x->ignored) == 0;
	}
	u = hex4(x->p + 1, x->end);
	x->p += 5;
	if (u <= 0 || (u >= 0xdc00 && u < 0xe000))
		return false;
	if (u >= 0xd800 && u < 0xdc00) {
		if (x->end - x->p < 6 || x->p[0] != '\\' || x->p[1] != 'u')
			return false;
		v = hex4(x->p + 2, x->end);
		if (v < 0xdc00 || v >= 0xe000)
			return false;
		u = 0x10000 + ((u - 0xd800) << 10) + (v - 0xdc00);
		x->p += 6;
	}
	return pm_str_put(out, c, pm_utf8_put(c, (uint32_t)u), &x->ignored) == 0;
}

/* A string: without escapes, a part of the text; else in *buf. */
static bool string(struct scan *x, struct pm_str *buf, const char **s, size_t *n)
{
	const char *p;

	if (!take(x, '"'))
		return false;
	for (p = x->p; p < x->end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20; p++)
		;
	if (p == x->end || (unsigned char)*p < 0x20)
		return false;
	*s = x->p;
	*n = (size_t)(p - x->p);
	if (*p == '"') {
		x->p = p + 1;
		return true;
	}
	pm_str_clear(buf);
	while (*p != '"') {
		if (pm_str_put(buf, x->p, (size_t)(p - x->p), &x->ignored) < 0)
			return false;
		x->p = p;
		if (*p == '\\') {
			x->p++;
			if (!escape(x, buf))
				return false;
		}
		for (p = x->p; p < x->end && *p != '"' && *p != '\\' && (unsigned char)*p >= 0x20; p++)
			;
		if (p >= x->end || (unsigned char)*p < 0x20)
			return false;
	}
	if (pm_str_put(buf, x->p, (size_t)(p - x->p), &x->ignored) < 0)
		return false;
	*s = buf->data;
	*n = buf->len;
	x->p = p + 1;
	return true;
}

/* Passes over a string, and over any value. What is wrong inside is found by who reads it. */
static bool skip_string(struct scan *x)
{
	const char *p = x->p + 1;

	for (; p < x->end && *p != '"'; p++)
		p += *p == '\\';
	if (p >= x->end)
		return false;
	x->p = p + 1;
	return true;
}

static bool skip(struct scan *x)
{
	int depth = 0;

	do {
		if (!blank(x))
			return false;
		if (*x->p == '"') {
			if (!skip_string(x))
				return false;
		} else if (*x->p == '{' || *x->p == '[') {
			depth++;
			x->p++;
		} else if (*x->p == '}' || *x->p == ']') {
			depth--;
			x->p++;
		} else if (*x->p == ',' || *x->p == ':') {
			if (!depth)
				return false;
			x->p++;
		} else {
			if (!*x->p)
				return false;
			while (x->p < x->end && !strchr(" \n\t\r,:{}[]\"", *x->p))
				x->p++;
		}
	} while (depth > 0);
	return depth == 0;
}

/* How many strings a value holds. */
static size_t strings(const char *from, const char *to)
{
	struct scan x = {.p = from, .end = to};
	size_t n = 0;

	while (x.p < to && (x.p = memchr(x.p, '"', (size_t)(to - x.p))) && skip_string(&x))
		n++;
	return n;
}

static bool id_of(struct scan *x, int64_t *id)
{
	const char *from;

	if (!blank(x))
		return false;
	for (from = x->p, *id = 0; x->p < x->end && *x->p >= '0' && *x->p <= '9' && x->p - from < 9; x->p++)
		*id = *id * 10 + (*x->p - '0');
	return x->p > from && x->p < x->end && strchr(" \n\t\r,}", *x->p) && (*from != '0' || x->p == from + 1);
}

static bool read_vocab(struct scan *x, struct pm_vocab *v)
{
	const char *s;
	size_t n, before;
	int64_t id;

	if (pm_vocab_room(v, strings(x->vocab, x->vocab_end), &x->ignored) < 0)
		return false;
	x->p = x->vocab;
	if (!take(x, '{') || peek(x, '}'))
		return false;
	do {
		before = v->n;
		if (!string(x, &x->key, &s, &n) || !take(x, ':') || !id_of(x, &id) || pm_vocab_add(v, s, n, id, &x->ignored) < 0 || v->n == before)
			return false;
	} while (take(x, ','));
	return take(x, '}') && x->p == x->vocab_end;
}

void pm_ready_crossing(bool crosses[256], const char *s, size_t n)
{
	static const char meta[] = "\xe2\x96\x81";
	const char *p = s + 1;

	for (; n > 3 && p + 3 <= s + n && (p = memchr(p, (unsigned char)meta[0], (size_t)(s + n - p))); p++)
		if (p + 3 <= s + n && memcmp(p, meta, 3) == 0 && !(p - s >= 3 && memcmp(p - 3, meta, 3) == 0))
			crosses[(unsigned char)p[-1]] = true;
}

/* One merge: ["a", "b"], or "a b". */
static bool merge(struct scan *x, const char **l, size_t *ln, const char **r, size_t *rn)
{
	const char *s, *space;
	size_t n;

	if (peek(x, '['))
		return take(x, '[') && string(x, &x->left, l, ln) && take(x, ',') && string(x, &x->right, r, rn) && take(x, ']');
	if (!string(x, &x->left, &s, &n) || !(space = memchr(s, ' ', n)))
		return false;
	*l = s;
	*ln = (size_t)(space - s);
	*r = space + 1;
	*rn = n - *ln - 1;
	return !memchr(*r, ' ', *rn) && (n < 8 || memcmp(s, "#version", 8) != 0);
}

static bool read_merges(struct scan *x, struct pm_ready *y)
{
	const char *l, *r;
	size_t ln, rn, n = strings(x->merges, x->merges_end);
	int32_t left, right, id;
	uint32_t rank = 0;

	x->p = x->merges;
	if (!take(x, '[') || peek(x, ']') || n >= UINT32_MAX)
		return false;
	/* pairs have two strings each */
	if (pm_bpe_merges_new(&y->merges, peek(x, '[') ? n / 2 : n, &x->ignored) < 0)
		return false;
	do {
		if (!merge(x, &l, &ln, &r, &rn))
			return false;
		pm_str_clear(&x->both);
		left = pm_vocab_find(&y->vocab, l, ln);
		right = pm_vocab_find(&y->vocab, r, rn);
		if (left < 0 || right < 0 || pm_str_put(&x->both, l, ln, &x->ignored) < 0 || pm_str_put(&x->both, r, rn, &x->ignored) < 0)
			return false;
		id = pm_vocab_find(&y->vocab, x->both.data, x->both.len);
		if (id < 0 || 4 * (size_t)rank > 3 * (y->merges.mask + 1))
			return false;
		pm_ready_crossing(y->crosses, x->both.data, x->both.len);
		pm_bpe_merges_set(&y->merges, left, right, rank++, id);
	} while (take(x, ','));
	return take(x, ']') && x->p == x->merges_end;
}

/* Notes where the members of the model lie. */
static bool find_model(struct scan *x)
{
	const char *s, *from;
	size_t n;

	if (!take(x, '{') || peek(x, '}'))
		return false;
	do {
		if (!string(x, &x->key, &s, &n) || s == x->key.data || !take(x, ':') || !blank(x))
			return false;
		from = x->p;
		if (!skip(x))
			return false;
		if (n == 5 && memcmp(s, "vocab", 5) == 0) {
			if (x->vocab)
				return false;
			x->vocab = from;
			x->vocab_end = x->p;
		} else if (n == 6 && memcmp(s, "merges", 6) == 0) {
			if (x->merges)
				return false;
			x->merges = from;
			x->merges_end = x->p;
		} else if (n == 25 && memcmp(s, "continuing_subword_prefix", 25) == 0) {
			x->prefix |= *from != 'n' && memcmp(from, "\"\"", 2) != 0;
		}
	} while (take(x, ','));
	return take(x, '}');
}

static bool find(struct scan *x)
{
	const char *s;
	size_t n, models = 0;

	if (!take(x, '{') || peek(x, '}'))
		return false;
	do {
		if (!string(x, &x->key, &s, &n) || s == x->key.data || !take(x, ':'))
			return false;
		if (n == 5 && memcmp(s, "model", 5) == 0) {
			if (models++ || !find_model(x))
				return false;
		} else if (!skip(x)) {
			return false;
		}
	} while (take(x, ','));
	return take(x, '}') && !blank(x) && x->vocab;
}

/* The text with an empty value in place of each that was found. */
static bool cut(struct scan *x, struct pm_str *rest)
{
	bool first = !x->merges || x->vocab < x->merges;
	const char *a = first ? x->vocab : x->merges, *a_end = first ? x->vocab_end : x->merges_end;
	const char *b = !x->merges ? NULL : first ? x->merges : x->vocab, *b_end = !x->merges ? NULL : first ? x->merges_end : x->vocab_end;
	struct pm_err *e = &x->ignored;

	if (pm_str_put(rest, x->s, (size_t)(a - x->s), e) < 0 || pm_str_put(rest, a, 1, e) < 0)
		return false;
	if (!b)
		return pm_str_put(rest, a_end - 1, (size_t)(x->end - a_end) + 1, e) == 0;
	return pm_str_put(rest, a_end - 1, (size_t)(b - a_end) + 1, e) == 0 && pm_str_put(rest, b, 1, e) == 0
		&& pm_str_put(rest, b_end - 1, (size_t)(x->end - b_end) + 1, e) == 0;
}

static bool scan(struct pm_ready *r, const char *json, size_t n, bool tables)
{
	struct scan x = {.s = json, .p = json, .end = json + n};
	bool ok;

	memset(r, 0, sizeof *r);
	ok = n > 2 && pm_utf8_valid(json, n) == n && find(&x) && strchr("{[", *x.vocab) && (!x.merges || *x.merges == '[') && cut(&x, &r->rest);
	if (ok && tables) {
		r->model = PM_READY_BPE;
		ok = x.merges && *x.vocab == '{' && !x.prefix && read_vocab(&x, &r->vocab) && read_merges(&x, r);
	}
	if (!ok)
		pm_ready_free(r);
	pm_str_free(&x.key);
	pm_str_free(&x.left);
	pm_str_free(&x.right);
	pm_str_free(&x.both);
	return ok;
}

bool pm_ready_scan(struct pm_ready *r, const char *json, size_t n)
{
	return scan(r, json, n, true);
}

bool pm_ready_rest(struct pm_ready *r, const char *json, size_t n)
{
	return scan(r, json, n, false);
}
