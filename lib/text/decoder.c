#include "text/decoder.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/bytelevel.h"
#include "text/part.h"
#include "text/pretok.h"
#include "text/pattern.h"
#include "text/unicode.h"

struct stage;

struct decoder_type {
	const char *name, *members;
	int (*build)(struct pm_decoder *d, const json_t *o, struct pm_err *e);
	/* A whole token. */
	int (*token)(struct stage *s, const char *t, size_t n, struct pm_err *e);
	/* A piece of the one long token, where the part can work on pieces (NULL: it is gathered and given to token). */
	int (*piece)(struct stage *s, const char *t, size_t n, struct pm_err *e);
	int (*end)(struct stage *s, struct pm_err *e);
	bool fuses;                     /* what comes out is one long token, in pieces */
};

struct pm_decoder {
	const struct decoder_type *type;
	struct pm_pattern re;
	char *a, *b;                    /* two strings, as the part understands them */
	size_t a_n, b_n, start, stop;
	bool flag;
};

/* A part at work. */
struct stage {
	const struct pm_decoder *d;
	struct stage *next;             /* NULL: to out */
	struct pm_str *out;
	bool pieces;                    /* what comes in is one long token, in pieces */
	size_t count;                   /* tokens seen, or characters of the long one, as the part needs it */
	struct pm_str held;
	struct pm_match match;
	bool any;
};

struct pm_decoding {
	size_t n;
	struct stage v[];
};

/* Hands a token (or a piece) on. */
static int give(struct stage *s, const char *t, size_t n, struct pm_err *e)
{
	struct stage *x = s->next;

	if (!x)
		return pm_str_put(s->out, t, n, e);
	x->out = s->out;
	if (!x->pieces)
		return x->d->type->token(x, t, n, e);
	return x->d->type->piece ? x->d->type->piece(x, t, n, e) : pm_str_put(&x->held, t, n, e);
}

static int finish(struct stage *s, struct pm_err *e)
{
	struct pm_str t;
	int r = 0;

	if (s->pieces && !s->d->type->piece) {
		t = s->held;
		memset(&s->held, 0, sizeof s->held);
		r = s->d->type->token(s, t.data ? t.data : "", t.len, e);
		pm_str_free(&t);
	}
	return r == 0 && s->d->type->end ? s->d->type->end(s, e) : r;
}

static int copy(char **out, size_t *n, const json_t *o, const char *key, struct pm_err *e)
{
	const char *s;

	if (pm_part_str(&s, n, o, key, e) < 0)
		return -1;
	*out = pm_strndup(s, *n, e);
	return *out ? 0 : -1;
}

/* Appends the text with every `what` replaced. */
static int replace_all(struct pm_str *out, const char *s, size_t n, const char *what, const char *by, struct pm_err *e)
{
	size_t w = strlen(what), i = 0, from = 0;

	while (w && i + w <= n) {
		if (memcmp(s + i, what, w) != 0) {
			i++;
			continue;
		}
		if (pm_str_put(out, s + from, i - from, e) < 0 || pm_str_puts(out, by, e) < 0)
			return -1;
		from = i += w;
	}
	return pm_str_put(out, s + from, n - from, e);
}

/* Replace */

static int replace_build(struct pm_decoder *d, const json_t *o, struct pm_err *e)
{
	const char *text;
	bool literal;

	return copy(&d->a, &d->a_n, o, "content", e) < 0 ? -1 : pm_split_pattern(&d->re, &text, &literal, o, e);
}

static int replace_token(struct stage *s, const char *t, size_t n, struct pm_err *e)
{
	struct pm_find f = {.s = t, .n = n};
	size_t from, to, done = 0;
	bool any = false;
	int r;

	pm_str_clear(&s->held);
	while ((r = pm_pattern_next(&s->d->re, &s->match, &f, &from, &to, e)) > 0) {
		if (pm_str_put(&s->held, t + done, from - done, e) < 0 || pm_str_put(&s->held, s->d->a, s->d->a_n, e) < 0)
			return -1;
		done = to;
		any = true;
	}
	if (r < 0)
		return -1;
	if (!any)
		return give(s, t, n, e);
	return pm_str_put(&s->held, t + done, n - done, e) < 0 ? -1 : give(s, s->held.data, s->held.len, e);
}

/* ByteFallback: runs of <0x..> are the bytes of a text, or where they are none, each a U+FFFD. */

static int fallback_end(struct stage *s, struct pm_err *e)
{
	struct pm_str b = s->held;
	int r = 0;

	if (!b.len)
		return 0;
	memset(&s->held, 0, sizeof s->held);
	if (pm_utf8_valid(b.data, b.len) == b.len)
		r = give(s, b.data, b.len, e);
	else
		for (size_t i = 0; r == 0 && i < b.len; i++)
			r = give(s, "\xef\xbf\xbd", 3, e);
	pm_str_free(&b);
	return r;
}

static int hex(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static int fallback_token(struct stage *s, const char *t, size_t n, struct pm_err *e)
{
	char byte;

	if (n == 6 && memcmp(t, "<0x", 3) == 0 && t[5] == '>' && hex(t[4]) >= 0 && (hex(t[3]) >= 0 || t[3] == '+')) {
		byte = (char)(hex(t[3]) < 0 ? hex(t[4]) : hex(t[3]) * 16 + hex(t[4]));
		return pm_str_put(&s->held, &byte, 1, e);
	}
	return fallback_end(s, e) < 0 ? -1 : give(s, t, n, e);
}

/* Fuse */

static int fuse_token(struct stage *s, const char *t, size_t n, struct pm_err *e)
{
	return give(s, t, n, e);
}

/* Strip: up to start times the character at the front of a token, up to stop times at its end. */

static int strip_build(struct pm_decoder *d, const json_t *o, struct pm_err *e)
{
	int64_t start = -1, stop = -1;
	size_t k = 0;

	if (copy(&d->a, &d->a_n, o, "content", e) < 0 || pm_json_int(&start, o, "start", e) < 0 || pm_json_int(&stop, o, "stop", e) < 0)
		return -1;
	if (d->a_n)
		pm_utf8_get(d->a, &k);
	if (!k || k != d->a_n || start < 0 || stop < 0)
		return pm_fail(e, PM_DATA, "one character as 'content', and 'start' and 'stop' were wanted");
	d->start = (size_t)start;
	d->stop = (size_t)stop;
	return 0;
}

static int strip_token(struct stage *s, const char *t, size_t n, struct pm_err *e)
{
	const struct pm_decoder *d = s->d;

	for (size_t i = 0; i < d->start && n >= d->a_n && memcmp(t, d->a, d->a_n) == 0; i++) {
		t += d->a_n;
		n -= d->a_n;
	}
	for (size_t i = 0; i < d->stop && n >= d->a_n && memcmp(t + n - d->a_n, d->a, d->a_n) == 0; i++)
		n -= d->a_n;
	return give(s, t, n, e);
}

/* A piece of the long token: count is how many were taken, and any tells that the front is behind us. Characters at the end
 * wait until it is known whether more follow. */
static int strip_piece(struct stage *s, const char *t, size_t n, struct pm_err *e)
{
	const struct pm_decoder *d = s->d;
	size_t k;

	for (; n && !s->any; t += d->a_n, n -= d->a_n) {
		s->any = s->count == d->start || n < d->a_n || memcmp(t, d->a, d->a_n) != 0;
		if (s->any)
			break;
		s->count++;
	}
	if (!n)
		return 0;
	if (!d->stop)
		return give(s, t, n, e);
	for (k = n; k >= d->a_n && memcmp(t + k - d->a_n, d->a, d->a_n) == 0; k -= d->a_n)
		;
	if (k) {
		if (s->held.len && give(s, s->held.data, s->held.len, e) < 0)
			return -1;
		pm_str_clear(&s->held);
		if (give(s, t, k, e) < 0)
			return -1;
	}
	return pm_str_put(&s->held, t + k, n - k, e);
}

static int strip_end(struct stage *s, struct pm_err *e)
{
	size_t cut = s->d->stop * s->d->a_n;

	return s->pieces && s->held.len > cut ? give(s, s->held.data, s->held.len - cut, e) : 0;
}

/* Metaspace */

static int metaspace_build(struct pm_decoder *d, const json_t *o, struct pm_err *e)
{
	const char *scheme = "always";
	bool prefix = true;
	size_t k = 0;

	if (copy(&d->a, &d->a_n, o, "replacement", e) < 0 || pm_json_str(&scheme, o, "prepend_scheme", e) < 0
		|| pm_json_bool(&prefix, o, "add_prefix_space", e) < 0)
		return -1;
	if (d->a_n)
		pm_utf8_get(d->a, &k);
	if (!k || k != d->a_n)
		return pm_fail(e, PM_DATA, "'replacement': one character was wanted");
	if (strcmp(scheme, "always") != 0 && strcmp(scheme, "first") != 0 && strcmp(scheme, "never") != 0)
		return pm_fail(e, PM_DATA, "'prepend_scheme': '%s' is not known", scheme);
	d->flag = prefix && strcmp(scheme, "never") != 0;
	return 0;
}

static int metaspace_token(struct stage *s, const char *t, size_t n, struct pm_err *e)
{
	const struct pm_decoder *d = s->d;
	bool first = s->count++ == 0;

	pm_str_clear(&s->held);
	if (replace_all(&s->held, t, n, d->a, first && d->flag ? "" : " ", e) < 0)
		return -1;
	return give(s, s->held.data, s->held.len, e);
}

/* WordPiece; and what it and CTC call clean-up. */

static int clean(struct pm_str *out, const char *s, size_t n, struct pm_err *e)
{
	static const char *const rules[][2] = {
		{" .", "."}, {" ?", "?"}, {" !", "!"}, {" ,", ","}, {" ' ", "'"}, {" n't", "n't"}, {" 'm", "'m"},
		{" do not", " don't"}, {" 's", "'s"}, {" 've", "'ve"}, {" 're", "'re"},
	};
	struct pm_str a = {0}, b = {0}, x;
	int r = pm_str_put(&a, s, n, e);

	for (size_t i = 0; r == 0 && i < sizeof rules / sizeof *rules; i++) {
		pm_str_clear(&b);
		r = replace_all(&b, a.data, a.len, rules[i][0], rules[i][1], e);
		x = a;
		a = b;
		b = x;
	}
	if (r == 0)
		r = pm_str_put(out, a.data, a.len, e);
	pm_str_free(&a);
	pm_str_free(&b);
	return r;
}

static int wordpiece_build(struct pm_decoder *d, const json_t *o, struct pm_err *e)
{
	return copy(&d->a, &d->a_n, o, "prefix", e) < 0 ? -1 : pm_part_bool(&d->flag, o, "cleanup", e);
}

static int wordpiece_token(struct stage *s, const char *t, size_t n, struct pm_err *e)
{
	const struct pm_decoder *d = s->d;
	struct pm_str x = {0};
	int r = 0;

	if (s->count++) {
		if (n >= d->a_n && memcmp(t, d->a, d->a_n) == 0) {
			t += d->a_n;
			n -= d->a_n;
		} else {
			r = pm_str_puts(&x, " ", e);
		}
	}
	if (r == 0)
		r = pm_str_put(&x, t, n, e);
	pm_str_clear(&s->held);
	if (r == 0 && d->flag)
		r = clean(&s->held, x.data, x.len, e);
	if (r == 0)
		r = d->flag ? give(s, s->held.data, s->held.len, e) : give(s, x.data, x.len, e);
	pm_str_free(&x);
	return r;
}

/* BPEDecoder: the suffix is a blank, but nothing in the last token. So the last one seen waits. */

static int suffix_build(struct pm_decoder *d, const json_t *o, struct pm_err *e)
{
	return copy(&d->a, &d->a_n, o, "suffix", e);
}

static int suffix_flush(struct stage *s, const char *by, struct pm_err *e)
{
	struct pm_str x = {0};
	int r = replace_all(&x, s->held.data, s->held.len, s->d->a, by, e);

	if (r == 0)
		r = give(s, x.data, x.len, e);
	pm_str_free(&x);
	return r;
}

static int suffix_token(struct stage *s, const char *t, size_t n, struct pm_err *e)
{
	if (s->any && suffix_flush(s, " ", e) < 0)
		return -1;
	s->any = true;
	pm_str_clear(&s->held);
	return pm_str_put(&s->held, t, n, e);
}

static int suffix_end(struct stage *s, struct pm_err *e)
{
	return s->any ? suffix_flush(s, "", e) : 0;
}

/* CTC: repeated tokens count once, padding vanishes. */

static int ctc_build(struct pm_decoder *d, const json_t *o, struct pm_err *e)
{
	if (copy(&d->a, &d->a_n, o, "pad_token", e) < 0 || copy(&d->b, &d->b_n, o, "word_delimiter_token", e) < 0)
		return -1;
	return pm_part_bool(&d->flag, o, "cleanup", e);
}

static int ctc_token(struct stage *s, const char *t, size_t n, struct pm_err *e)
{
	const struct pm_decoder *d = s->d;
	struct pm_str x = {0}, y = {0};
	int r;

	if (s->any && s->held.len == n && memcmp(s->held.data, t, n) == 0)
		return 0;
	s->any = true;
	pm_str_clear(&s->held);
	r = pm_str_put(&s->held, t, n, e);
	if (r == 0)
		r = replace_all(&x, t, n, d->a, "", e);
	if (r == 0 && d->flag) {
		r = clean(&y, x.data, x.len, e);
		pm_str_clear(&x);
		if (r == 0)
			r = replace_all(&x, y.data, y.len, d->b, " ", e);
	}
	if (r == 0 && x.len)
		r = give(s, x.data, x.len, e);
	pm_str_free(&x);
	pm_str_free(&y);
	return r;
}

/* ByteLevel: characters to bytes, all tokens into one text; what is no UTF-8 in it becomes U+FFFD, one for each longest part
 * that begins a character (as String::from_utf8_lossy does). held are the bytes that may yet become a character. */

static bool may_grow(const char *s, size_t n)
{
	static const char tails[][4] = {"\x80\x80\x80", "\xa0\x80\x80", "\x90\x80\x80"};
	char t[8];
	size_t want = (unsigned char)s[0] < 0xe0 ? 2 : (unsigned char)s[0] < 0xf0 ? 3 : 4;

	if (n >= want || (unsigned char)s[0] < 0xc2 || (unsigned char)s[0] > 0xf4)
		return false;
	for (size_t i = 0; i < sizeof tails / sizeof *tails; i++) {
		memcpy(t, s, n);
		memcpy(t + n, tails[i], want - n);
		if (pm_utf8_valid(t, want) == want)
			return true;
	}
	return false;
}

static int lossy(struct stage *s, bool last, struct pm_err *e)
{
	struct pm_str *h = &s->held;
	size_t i = 0, good, k;
	int r = 0;

	while (r == 0 && i < h->len) {
		good = pm_utf8_valid(h->data + i, h->len - i);
		if (good)
			r = give(s, h->data + i, good, e);
		i += good;
		if (r < 0 || i == h->len || (!last && may_grow(h->data + i, h->len - i)))
			break;
		for (k = 1; i + k < h->len && may_grow(h->data + i, k + 1); k++)
			;
		r = give(s, "\xef\xbf\xbd", 3, e);
		i += k;
	}
	memmove(h->data, h->data + i, h->len - i);
	h->len -= i;
	return r;
}

static int bytes_token(struct stage *s, const char *t, size_t n, struct pm_err *e)
{
	size_t old = s->held.len, k;

	for (size_t i = 0; i < n; i += k) {
		int b = pm_bytelevel_byte(pm_utf8_get(t + i, &k));
		char c = (char)b;

		if (b < 0) {            /* a token with any other character is text as it is */
			s->held.len = old;
			if (pm_str_put(&s->held, t, n, e) < 0)
				return -1;
			break;
		}
		if (pm_str_put(&s->held, &c, 1, e) < 0)
			return -1;
	}
	return s->held.len ? lossy(s, false, e) : 0;
}

static int bytes_end(struct stage *s, struct pm_err *e)
{
	return s->held.len ? lossy(s, true, e) : 0;
}

/* Where there is no decoder: tokens with blanks between. */

static int blank_token(struct stage *s, const char *t, size_t n, struct pm_err *e)
{
	if (s->count++ && give(s, " ", 1, e) < 0)
		return -1;
	return give(s, t, n, e);
}

static const struct decoder_type types[] = {
	{"ByteLevel", "add_prefix_space trim_offsets use_regex", NULL, bytes_token, NULL, bytes_end, true},
	{"Replace", "pattern content", replace_build, replace_token, NULL, NULL, false},
	{"ByteFallback", "", NULL, fallback_token, NULL, fallback_end, false},
	{"Fuse", "", NULL, fuse_token, fuse_token, NULL, true},
	{"Strip", "content start stop", strip_build, strip_token, strip_piece, strip_end, false},
	{"Metaspace", "replacement prepend_scheme add_prefix_space split str_rep", metaspace_build, metaspace_token, NULL, NULL, false},
	{"WordPiece", "prefix cleanup", wordpiece_build, wordpiece_token, NULL, NULL, false},
	{"BPEDecoder", "suffix", suffix_build, suffix_token, NULL, suffix_end, false},
	{"CTC", "pad_token word_delimiter_token cleanup", ctc_build, ctc_token, NULL, NULL, false},
};

static const struct decoder_type none = {"none", "", NULL, blank_token, NULL, NULL, false};

static int add(struct pm_decoders *ds, const struct decoder_type *t, const json_t *o, struct pm_err *e)
{
	struct pm_decoder *d;

	if (pm_grow(&ds->v, &ds->cap, ds->n + 1, sizeof *ds->v, e) < 0)
		return -1;
	d = ds->v + ds->n++;
	memset(d, 0, sizeof *d);
	d->type = t;
	if (o && pm_part_check(o, t->members, e) < 0)
		return pm_ctx(e, "%s", t->name);
	return t->build && t->build(d, o, e) < 0 ? pm_ctx(e, "%s", t->name) : 0;
}

static int read(struct pm_decoders *ds, const json_t *o, int depth, struct pm_err *e)
{
	const char *name = json_string_value(json_object_get(o, "type"));
	const json_t *a = json_object_get(o, "decoders");

	if (!name)
		return pm_fail(e, PM_DATA, "an object with a 'type' was wanted");
	if (strcmp(name, "Sequence") == 0) {
		if (!json_is_array(a) || pm_part_check(o, "decoders", e) < 0 || depth > 8)
			return pm_fail(e, PM_DATA, "Sequence: a list 'decoders' and nothing else was wanted");
		for (size_t i = 0; i < json_array_size(a); i++)
			if (read(ds, json_array_get(a, i), depth + 1, e) < 0)
				return -1;
		return 0;
	}
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strcmp(types[i].name, name) == 0)
			return add(ds, types + i, o, e);
	return pm_fail(e, PM_DATA, "the type '%s' is not known", name);
}

int pm_decoders_read(struct pm_decoders *ds, const json_t *o, struct pm_err *e)
{
	return !o || json_is_null(o) ? add(ds, &none, NULL, e) : read(ds, o, 0, e);
}

void pm_decoders_free(struct pm_decoders *ds)
{
	for (size_t i = 0; i < ds->n; i++) {
		pm_pattern_free(&ds->v[i].re);
		free(ds->v[i].a);
		free(ds->v[i].b);
	}
	free(ds->v);
	memset(ds, 0, sizeof *ds);
}

int pm_decoding_new(struct pm_decoding **out, const struct pm_decoders *ds, struct pm_err *e)
{
	struct pm_decoding *d = *out = pm_alloc(1, sizeof *d + ds->n * sizeof d->v[0], e);
	bool pieces = false;

	if (!d)
		return -1;
	d->n = ds->n;
	for (size_t i = 0; i < ds->n; i++) {
		d->v[i].d = ds->v + i;
		d->v[i].next = i + 1 < ds->n ? d->v + i + 1 : NULL;
		d->v[i].pieces = pieces;
		pieces |= ds->v[i].type->fuses;
	}
	return 0;
}

void pm_decoding_free(struct pm_decoding *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n; i++) {
		pm_str_free(&d->v[i].held);
		pm_match_free(&d->v[i].match);
	}
	free(d);
}

int pm_decoding_put(struct pm_decoding *d, const char *token, size_t n, struct pm_str *out, struct pm_err *e)
{
	if (!d->n)
		return pm_str_put(out, token, n, e);
	d->v[0].out = out;
	return d->v[0].d->type->token(d->v, token, n, e);
}

int pm_decoding_end(struct pm_decoding *d, struct pm_str *out, struct pm_err *e)
{
	for (size_t i = 0; i < d->n; i++) {
		d->v[i].out = out;
		if (finish(d->v + i, e) < 0)
			return -1;
	}
	return 0;
}
