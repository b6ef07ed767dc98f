/* The model BPE. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/bpe_cache.h"
#include "text/bpe_long.h"
#include "text/bytelevel.h"
#include "text/model.h"
#include "text/pretok.h"
#include "text/trie.h"
#include "text/unicode.h"
#include "text/worker.h"

struct bpe {
	const struct pm_vocab *vocab;
	struct pm_bpe_merges merges;
	bool raw, fuse_unk, byte_fallback, ignore_merges, plain;        /* plain: no prefix, no suffix */
	const char *unk;                /* NULL: characters that are not in the vocabulary vanish */
	int32_t unk_id;
	char *strings;                  /* what unk, prefix and suffix point into */
	const char *prefix, *suffix;
	size_t prefix_n, suffix_n, longest;
	/* the symbol of a byte in a raw piece, by "not the first" and "the last"; −1: none */
	int32_t byte[2][2][256];
	int32_t ascii[128];             /* of a character */
	int32_t fallback[256];          /* <0x..> */
	/* No merge crosses from a character that ends in byte x to a U+2581 where !crosses[x]: `parts` may be cut there. */
	bool parts, crosses[256];
	bool windows;                   /* symbols do not depend on where they stand, and every byte has one: bpe_long.h */
	struct pm_trie symbols;         /* found before anything else; they merge with nothing */
};

static const char meta[] = "\xe2\x96\x81";

/* A short text with prefix and suffix. */
static int32_t affixed(const struct bpe *b, const char *s, size_t n, bool first, bool last, char *buf, size_t *len)
{
	size_t k = 0;

	if (!first) {
		memcpy(buf, b->prefix, b->prefix_n);
		k = b->prefix_n;
	}
	memcpy(buf + k, s, n);
	k += n;
	if (last) {
		memcpy(buf + k, b->suffix, b->suffix_n);
		k += b->suffix_n;
	}
	*len = k;
	return pm_vocab_find(b->vocab, buf, k);
}

static int read_strings(struct bpe *b, const json_t *o, struct pm_err *e)
{
	const char *unk = NULL, *prefix = "", *suffix = "";
	double dropout = 0;
	char *p;

	if (pm_json_str(&unk, o, "unk_token", e) < 0 || pm_json_str(&prefix, o, "continuing_subword_prefix", e) < 0
		|| pm_json_str(&suffix, o, "end_of_word_suffix", e) < 0 || pm_json_bool(&b->fuse_unk, o, "fuse_unk", e) < 0
		|| pm_json_bool(&b->byte_fallback, o, "byte_fallback", e) < 0 || pm_json_bool(&b->ignore_merges, o, "ignore_merges", e) < 0
		|| pm_json_real(&dropout, o, "dropout", e) < 0)
		return -1;
	if (dropout != 0)
		return pm_fail(e, PM_DATA, "'dropout' %g: only 0 gives ids that can be relied on", dropout);
	b->prefix_n = strlen(prefix);
	b->suffix_n = strlen(suffix);
	b->plain = !b->prefix_n && !b->suffix_n;
	if (b->prefix_n + b->suffix_n > 1000)
		return pm_fail(e, PM_DATA, "a prefix or suffix of more than 1000 bytes");
	b->strings = p = pm_alloc(b->prefix_n + b->suffix_n + (unk ? strlen(unk) : 0) + 3, 1, e);
	if (!p)
		return -1;
	b->prefix = memcpy(p, prefix, b->prefix_n + 1);
	b->suffix = memcpy(p + b->prefix_n + 1, suffix, b->suffix_n + 1);
	b->unk_id = -1;
	if (unk) {
		b->unk = memcpy(p + b->prefix_n + b->suffix_n + 2, unk, strlen(unk) + 1);
		b->unk_id = pm_vocab_find(b->vocab, unk, strlen(unk));
	}
	return 0;
}

static int add_merge(struct bpe *b, const char *l, size_t ln, const char *r, size_t rn, uint32_t rank, struct pm_str *tmp, struct pm_err *e)
{
	int32_t left = pm_vocab_find(b->vocab, l, ln), right = pm_vocab_find(b->vocab, r, rn), id;

	if (left < 0 || right < 0)
		return pm_fail(e, PM_DATA, "'merges': %u: '%s' is not in the vocabulary", rank, left < 0 ? l : r);
	if (rn < b->prefix_n)
		return pm_fail(e, PM_DATA, "'merges': %u: '%s' is shorter than the prefix", rank, r);
	pm_str_clear(tmp);
	if (pm_str_put(tmp, l, ln, e) < 0 || pm_str_put(tmp, r + b->prefix_n, rn - b->prefix_n, e) < 0)
		return -1;
	id = pm_vocab_find(b->vocab, tmp->data, tmp->len);
	if (id < 0)
		return pm_fail(e, PM_DATA, "'merges': %u: '%s' is not in the vocabulary", rank, tmp->data);
	pm_ready_crossing(b->crosses, tmp->data, tmp->len);
	pm_bpe_merges_set(&b->merges, left, right, rank, id);
	return 0;
}

/* "a b", or ["a", "b"]. */
static int read_merge(struct bpe *b, const json_t *m, uint32_t *rank, struct pm_str *pair, struct pm_str *tmp, struct pm_err *e)
{
	const json_t *l = json_array_get(m, 0), *r = json_array_get(m, 1);
	const char *s = json_string_value(m);
	char *blank;

	if (json_array_size(m) == 2 && json_is_string(l) && json_is_string(r))
		return add_merge(b, json_string_value(l), json_string_length(l), json_string_value(r), json_string_length(r), (*rank)++, tmp, e);
	if (!s)
		return pm_fail(e, PM_DATA, "'merges': %u: two tokens were wanted", *rank);
	if (strncmp(s, "#version", 8) == 0)
		return 0;
	pm_str_clear(pair);
	if (pm_str_put(pair, s, json_string_length(m), e) < 0)
		return -1;
	blank = memchr(pair->data, ' ', pair->len);
	if (!blank || memchr(blank + 1, ' ', pair->len - (size_t)(blank + 1 - pair->data)))
		return pm_fail(e, PM_DATA, "'merges': %u: '%s': two tokens with a blank between were wanted", *rank, s);
	*blank = 0;
	return add_merge(b, pair->data, (size_t)(blank - pair->data), blank + 1, pair->len - (size_t)(blank + 1 - pair->data), (*rank)++,
		tmp, e);
}

static int read_merges(struct bpe *b, const json_t *a, struct pm_err *e)
{
	struct pm_str pair = {0}, tmp = {0};
	uint32_t rank = 0;
	int r = -1;

	if (!json_is_array(a) || json_array_size(a) >= UINT32_MAX)
		return pm_fail(e, PM_DATA, "'merges': a list was wanted");
	if (pm_bpe_merges_new(&b->merges, json_array_size(a), e) < 0)
		return -1;
	for (size_t i = 0; i < json_array_size(a); i++)
		if (read_merge(b, json_array_get(a, i), &rank, &pair, &tmp, e) < 0)
			goto out;
	r = 0;
out:
	pm_str_free(&pair);
	pm_str_free(&tmp);
	return r;
}

static void tables(struct bpe *b)
{
	char s[2048], c[4], code[8];
	bool bytes = b->byte_fallback;
	size_t n, k;

	for (int i = 0; i < 256; i++) {
		n = pm_utf8_put(c, pm_bytelevel_char((unsigned char)i));
		for (int last = 0; last < 2; last++)
			for (int later = 0; later < 2; later++)
				b->byte[later][last][i] = affixed(b, c, n, !later, last, s, &k);
		snprintf(code, sizeof code, "<0x%02X>", (unsigned)i);
		b->fallback[i] = pm_vocab_find(b->vocab, code, 6);
		bytes &= b->fallback[i] >= 0;
		c[0] = (char)i;
		if (i < 128)
			b->ascii[i] = pm_vocab_find(b->vocab, c, 1);
	}
	for (size_t i = 0; i < b->vocab->n; i++)
		if (b->vocab->entry[i].len > b->longest)
			b->longest = b->vocab->entry[i].len;
	/* nor where characters vanish, since those behind them in the piece then cover what they did not come from */
	b->windows = b->plain && !b->symbols.nodes && b->longest < PM_BPE_LONG && (b->raw || bytes || (b->unk && !b->byte_fallback));
	b->parts = b->plain && !b->symbols.nodes && !b->raw && !b->ignore_merges && (b->unk || bytes) && pm_vocab_find(b->vocab, meta, 3) >= 0;
}

static void bpe_free(void *conf)
{
	struct bpe *b = conf;

	pm_bpe_merges_free(&b->merges);
	pm_trie_free(&b->symbols);
	free(b->strings);
	free(b);
}

static int read_symbols(struct bpe *b, const json_t *a, struct pm_err *e)
{
	size_t n = json_array_size(a);
	struct pm_trie_key *key = pm_alloc(n, sizeof *key, e);
	int64_t id = -1;
	int r = key ? 0 : -1;

	for (size_t i = 0; r == 0 && i < n; i++) {
		key[i].s = pm_json_to_int(&id, json_array_get(a, i)) == 0 && id >= 0 && id < INT32_MAX ?
			pm_vocab_text(b->vocab, (int32_t)id, &key[i].n) : NULL;
		key[i].value = (int32_t)id;
		if (!key[i].s || !key[i].n)
			r = pm_fail(e, PM_DATA, "'symbols': %zu: the id of a piece was wanted", i);
	}
	if (r == 0 && n)
		r = pm_trie_build(&b->symbols, key, n, e);
	free(key);
	return r;
}

/* "pm:BPE": merges from the pieces. */
static int read_pieces(struct bpe *b, const json_t *o, struct pm_err *e)
{
	const struct pm_vocab *v = b->vocab;

	if (read_symbols(b, json_object_get(o, "symbols"), e) < 0)
		return -1;
	for (size_t i = 0; i < v->n; i++)
		pm_ready_crossing(b->crosses, v->bytes + v->entry[i].at, v->entry[i].len);
	return pm_bpe_merges_of_pieces(&b->merges, v, json_object_get(o, "merges"), json_object_get(o, "apart"), e);
}

static int build(void **conf, struct pm_vocab *vocab, const json_t *o, bool pieces, bool *raw, struct pm_err *e)
{
	struct bpe *b = *conf = pm_alloc(1, sizeof *b, e);

	if (!b)
		return -1;
	b->vocab = vocab;
	if (pm_model_vocab(vocab, json_object_get(o, "vocab"), e) < 0 || read_strings(b, o, e) < 0)
		return -1;
	if ((pieces ? read_pieces(b, o, e) : read_merges(b, json_object_get(o, "merges"), e)) < 0)
		return -1;
	/* byte fallback of byte-level characters is about those characters' own bytes: not for the raw path */
	b->raw = *raw = *raw && !b->byte_fallback;
	tables(b);
	return 0;
}

static int bpe_build(void **conf, struct pm_vocab *vocab, const json_t *o, bool *raw, struct pm_err *e)
{
	return build(conf, vocab, o, false, raw, e);
}

static int pieces_build(void **conf, struct pm_vocab *vocab, const json_t *o, bool *raw, struct pm_err *e)
{
	return build(conf, vocab, o, true, raw, e);
}

static int bpe_load(void **conf, struct pm_vocab *vocab, const json_t *o, bool *raw, struct pm_ready *ready, struct pm_err *e)
{
	struct bpe *b = *conf = pm_alloc(1, sizeof *b, e);

	if (!b)
		return -1;
	if (ready->model != PM_READY_BPE)
		return pm_fail(e, PM_DATA, "tables of another model");
	*vocab = ready->vocab;
	b->merges = ready->merges;
	memset(&ready->vocab, 0, sizeof ready->vocab);
	memset(&ready->merges, 0, sizeof ready->merges);
	memcpy(b->crosses, ready->crosses, sizeof b->crosses);
	b->vocab = vocab;
	if (read_strings(b, o, e) < 0)
		return -1;
	if (b->prefix_n)
		return pm_fail(e, PM_DATA, "tables of merges without a prefix");
	b->raw = *raw = *raw && !b->byte_fallback;
	tables(b);
	return 0;
}

static void bpe_saved(const void *conf, struct pm_ready *ready)
{
	const struct bpe *b = conf;

	ready->model = PM_READY_BPE;
	ready->vocab = *b->vocab;
	ready->merges = b->merges;
	memcpy(ready->crosses, b->crosses, sizeof b->crosses);
}

static int pieces_load(void **conf, struct pm_vocab *vocab, const json_t *o, bool *raw, struct pm_ready *ready, struct pm_err *e)
{
	struct bpe *b;

	if (bpe_load(conf, vocab, o, raw, ready, e) < 0)
		return -1;
	b = *conf;
	if (read_symbols(b, json_object_get(o, "symbols"), e) < 0)
		return -1;
	tables(b);
	return 0;
}

static int room(struct pm_bpe_scratch *c, size_t n, struct pm_err *e)
{
	if (pm_grow(&c->id, &c->cap_id, n, sizeof *c->id, e) < 0)
		return -1;
	return pm_grow(&c->len, &c->cap_len, n, sizeof *c->len, e);
}

/* Hands out the ids of a piece. */
static int emit(const struct bpe *b, const struct pm_view *v, const struct pm_bpe_word *x, struct pm_worker *w, struct pm_err *e)
{
	struct pm_encoding *enc = w->enc;
	const char *token = NULL;
	size_t at = 0, n = 0;

	if (pm_encoding_room(enc, x->n, e) < 0)
		return -1;
	for (size_t i = 0; i < x->n; i++) {
		size_t to = at + x->len[i];
		struct pm_range r;

		/* the bytes of a prefix or suffix lead beyond the piece: then the `tokenizers` library leaves the place within it as it is */
		if (to <= v->n)
			r = pm_view_range(v, at, to);
		else
			r = (struct pm_range){at < w->n ? at : w->n, to < w->n ? to : w->n};
		at = to;
		if (w->trim) {
			token = pm_vocab_text(b->vocab, x->id[i], &n);
			if (pm_worker_emit(w, x->id[i], r, token, n, e) < 0)
				return -1;
			continue;
		}
		enc->ids[enc->n] = x->id[i];
		enc->from[enc->n] = r.from;
		enc->to[enc->n++] = r.to;
	}
	return 0;
}

/* The symbols of raw bytes; false where one is missing. */
static bool byte_symbols(const struct bpe *b, const struct pm_view *v, struct pm_bpe_word *x)
{
	const unsigned char *s = (const unsigned char *)v->s;

	x->n = v->n;
	for (size_t i = 0; i < v->n; i++) {
		x->id[i] = b->byte[i > 0][i + 1 == v->n][s[i]];
		x->len[i] = 1;
		if (x->id[i] < 0)
			return false;
	}
	return true;
}

/* What has no symbol: its bytes, one unknown token, or nothing. `unk` is the unknown token that waits (0: none), since several
 * may become one; as in the `tokenizers` library, bytes that come after it overtake it. */
static int unknown(const struct bpe *b, const char *s, size_t n, size_t covers, size_t *unk, struct pm_bpe_word *x, struct pm_err *e)
{
	bool bytes = b->byte_fallback;

	for (size_t i = 0; bytes && i < n; i++)
		bytes = b->fallback[(unsigned char)s[i]] >= 0;
	if (bytes) {
		for (size_t i = 0; i < n; i++) {
			x->id[x->n] = b->fallback[(unsigned char)s[i]];
			x->len[x->n++] = 1;
		}
		return 0;
	}
	if (!b->unk)
		return 0;
	if (b->unk_id < 0)
		return pm_fail(e, PM_DATA, "the unknown token '%s' is not in the vocabulary", b->unk);
	if (*unk && !b->fuse_unk) {
		x->id[x->n] = b->unk_id;
		x->len[x->n++] = (uint32_t)*unk;
		*unk = 0;
	}
	*unk += covers;
	return 0;
}

/* The symbols of characters. */
static int char_symbols(const struct bpe *b, const struct pm_view *v, struct pm_bpe_word *x, struct pm_err *e)
{
	char buf[2048];
	const char *s;
	size_t unk = 0, k, n;
	int32_t id;

	x->n = 0;
	for (size_t i = 0; i < v->n; i += k) {
		pm_utf8_get(v->s + i, &k);
		s = v->s + i;
		n = k;
		if (b->symbols.nodes && (id = pm_trie_longest(&b->symbols, s, v->n - i, &k)) >= 0) {
			n = k;
		} else if (!b->plain) {
			id = affixed(b, s, k, i == 0, i + k == v->n, buf, &n);
			s = buf;
		} else {
			id = k == 1 ? b->ascii[(unsigned char)*s] : pm_vocab_find(b->vocab, s, k);
		}
		if (id < 0) {
			if (unknown(b, s, n, k, &unk, x, e) < 0)
				return -1;
			continue;
		}
		if (unk) {
			x->id[x->n] = b->unk_id;
			x->len[x->n++] = (uint32_t)unk;
			unk = 0;
		}
		x->id[x->n] = id;
		x->len[x->n++] = (uint32_t)k;
	}
	if (unk) {
		x->id[x->n] = b->unk_id;
		x->len[x->n++] = (uint32_t)unk;
	}
	return 0;
}

/* The whole piece as one token of the vocabulary, −1. */
static int32_t whole(const struct bpe *b, const struct pm_view *v, struct pm_bpe_scratch *c, bool raw, struct pm_err *e)
{
	char *s;
	size_t n = 0;

	if (v->n > b->longest)
		return -1;
	if (!raw)
		return pm_vocab_find(b->vocab, v->s, v->n);
	if (room(c, v->n, e) < 0)
		return -2;
	s = (char *)c->id;              /* four bytes of room for each */
	for (size_t i = 0; i < v->n; i++)
		n += pm_utf8_put(s + n, pm_bytelevel_char((unsigned char)v->s[i]));
	return pm_vocab_find(b->vocab, s, n);
}

/* A piece into symbols and merges. Sets x->n = 0 where a raw byte has no symbol. */
static int merged(const struct bpe *b, const struct pm_view *v, struct pm_bpe_word *x, struct pm_bpe_scratch *c, bool raw, struct pm_err *e)
{
	if (room(c, v->n * (1 + b->prefix_n) + b->suffix_n, e) < 0)
		return -1;
	x->id = c->id;
	x->len = c->len;
	if (raw && !byte_symbols(b, v, x)) {
		x->n = 0;
		return 0;
	}
	if (!raw && char_symbols(b, v, x, e) < 0)
		return -1;
	return pm_bpe_merge(&b->merges, x, c, e);
}

/* The same, but for a piece that is a token as it is where the file says so. */
static int split(const struct bpe *b, const struct pm_view *v, struct pm_bpe_word *x, struct pm_bpe_scratch *c, bool raw, struct pm_err *e)
{
	int32_t id = b->ignore_merges ? whole(b, v, c, raw, e) : -1;

	if (id < 0)
		return id < -1 ? -1 : merged(b, v, x, c, raw, e);
	if (room(c, 1, e) < 0)
		return -1;
	*x = (struct pm_bpe_word){c->id, c->len, 1};
	x->id[0] = id;
	x->len[0] = (uint32_t)v->n;
	return 0;
}

/* A raw piece with a byte that the vocabulary lacks: by way of its byte-level characters. */
static int spelled(const struct bpe *b, const struct pm_view *v, struct pm_worker *w, struct pm_err *e)
{
	struct pm_bpe_word x;
	struct pm_view t;

	if (pm_pretok_bytes(v, &w->slow, e) < 0)
		return -1;
	t = pm_textbuf_view(&w->slow);
	return split(b, &t, &x, w->bpe, false, e) < 0 ? -1 : emit(b, &t, &x, w, e);
}

static int recall(const struct bpe *b, const struct pm_bpe_cached *c, const struct pm_view *v, struct pm_worker *w, struct pm_err *e)
{
	uint32_t len[PM_BPE_IDS];
	int32_t id[PM_BPE_IDS];
	struct pm_bpe_word x = {id, len, 0};
	struct pm_encoding *enc = w->enc;

	if (c->len[0] == c->n && !v->map && !w->trim && enc->n < enc->cap_ids && enc->n < enc->cap_from && enc->n < enc->cap_to) {
		enc->ids[enc->n] = c->id[0];
		enc->from[enc->n] = v->base;
		enc->to[enc->n++] = v->base + v->n;
		return 0;
	}
	for (; x.n < PM_BPE_IDS && c->len[x.n]; x.n++) {
		id[x.n] = c->id[x.n];
		len[x.n] = c->len[x.n];
	}
	return emit(b, v, &x, w, e);
}

/* Pieces in windows. Part of a long piece is never a token as a whole, even where it is spelled like one. */
struct windows {
	const struct bpe *b;
	struct pm_worker *w;
};

static int split_window(void *ctx, const struct pm_view *part, struct pm_bpe_word *x, struct pm_err *e)
{
	const struct windows *y = ctx;

	return merged(y->b, part, x, y->w->bpe, y->b->raw, e);
}

static int emit_window(void *ctx, const struct pm_view *part, const struct pm_bpe_word *x, struct pm_err *e)
{
	const struct windows *y = ctx;

	return emit(y->b, part, x, y->w, e);
}

static int word(const struct bpe *b, const struct pm_view *v, struct pm_worker *w, struct pm_err *e)
{
	struct windows y = {b, w};
	struct pm_bpe_long l = {split_window, emit_window, &y, &w->enc->n};
	struct pm_bpe_cached *set = NULL;
	struct pm_bpe_text *text = NULL;
	uint32_t len[PM_BPE_TEXT_IDS];
	struct pm_bpe_word x;
	uint64_t key[3];
	int r;

	if (v->n >= PM_BPE_LONG && b->windows && (r = pm_bpe_long(&l, v, e)) <= 0)
		return r;
	if (v->n <= PM_BPE_KEY) {
		set = w->bpe->cache[key_of(v, key) & (PM_BPE_SETS - 1)];
		for (r = 0; r < 2; r++)
			if (same_key(set + r, key, v->n))
				return recall(b, set + r, v, w, e);
	} else if (v->n <= PM_BPE_TEXT) {
		text = text_place(w->bpe, v);
		if (same_text(text, v))
			return emit(b, v, recall_text(text, len, &x), w, e);
	}
	if (split(b, v, &x, w->bpe, b->raw, e) < 0)
		return -1;
	if (!x.n && b->raw)
		return spelled(b, v, w, e);
	if (set)
		remember(set, key, v->n, &x);
	else if (text)
		remember_text(text, v, &x);
	return emit(b, v, &x, w, e);
}

static bool bpe_parts(const void *conf, unsigned char last)
{
	const struct bpe *b = conf;

	return b->parts && !b->crosses[last];
}

static int bpe_encode(const void *conf, const struct pm_view *v, struct pm_worker *w, struct pm_err *e)
{
	const struct bpe *b = conf;
	size_t from = 0, i = 3;
	struct pm_view p;
	const char *q;

	if (!w->bpe && !(w->bpe = pm_alloc(1, sizeof *w->bpe, e)))
		return -1;
	if (!b->parts)
		return word(b, v, w, e);
	while (i < v->n && (q = memchr(v->s + i, (unsigned char)meta[0], v->n - i))) {
		i = (size_t)(q - v->s);
		if (i + 3 <= v->n && memcmp(q, meta, 3) == 0 && !b->crosses[(unsigned char)q[-1]] && memcmp(q - 3, meta, 3) != 0) {
			p = pm_view_part(v, from, i);
			if (word(b, &p, w, e) < 0)
				return -1;
			from = i;
		}
		i++;
	}
	p = pm_view_part(v, from, v->n);
	return word(b, &p, w, e);
}

const struct pm_model_type pm_model_bpe = {
	.name = "BPE",
	.members = "vocab merges dropout unk_token continuing_subword_prefix end_of_word_suffix fuse_unk byte_fallback ignore_merges",
	.build = bpe_build,
	.load = bpe_load,
	.saved = bpe_saved,
	.free = bpe_free,
	.parts = bpe_parts,
	.encode = bpe_encode,
};

const struct pm_model_type pm_model_bpe_pieces = {
	.name = "pm:BPE",
	.members = "vocab merges apart symbols unk_token fuse_unk byte_fallback ignore_merges",
	.build = pieces_build,
	.load = pieces_load,
	.saved = bpe_saved,
	.free = bpe_free,
	.parts = bpe_parts,
	.encode = bpe_encode,
};
