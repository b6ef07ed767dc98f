/* Long pieces in windows give what they give as a whole: for random merges over few symbols, with texts that are random, that repeat, and
 * that are one symbol; and the same one level up, for texts that cannot be cut before a space. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "tap.h"
#include "text/bpe_long.h"
#include "text/tokens.h"

static struct pm_err err;

enum { SYMBOLS = 4, MERGES = 60, N = 40000 };

struct whole {
	struct pm_bpe_merges merges;
	struct pm_bpe_scratch *c;
	int32_t id[N], out[N];
	uint32_t len[N], out_len[N];
	size_t n, splits;
};

static int split(void *ctx, const struct pm_view *part, struct pm_bpe_word *x, struct pm_err *e)
{
	struct whole *w = ctx;

	w->splits++;
	x->id = w->id;
	x->len = w->len;
	x->n = part->n;
	for (size_t i = 0; i < part->n; i++) {
		x->id[i] = part->s[i] - 'a';
		x->len[i] = 1;
	}
	return pm_bpe_merge(&w->merges, x, w->c, e);
}

static int emit(void *ctx, const struct pm_view *part, const struct pm_bpe_word *x, struct pm_err *e)
{
	struct whole *w = ctx;

	(void)part;
	(void)e;
	memcpy(w->out + w->n, x->id, x->n * sizeof *x->id);
	memcpy(w->out_len + w->n, x->len, x->n * sizeof *x->len);
	w->n += x->n;
	return 0;
}

static bool same(struct whole *w, const char *s, size_t n)
{
	struct pm_view v = {s, n, NULL, 0};
	struct pm_bpe_long l = {split, emit, w, &w->n};
	struct pm_bpe_word x;

	w->n = 0;
	if (pm_bpe_long(&l, &v, &err) != 0 || split(w, &v, &x, &err) < 0)
		return false;
	return x.n == w->n && memcmp(x.id, w->out, x.n * sizeof *x.id) == 0 && memcmp(x.len, w->out_len, x.n * sizeof *x.len) == 0;
}

/* Merges of pairs among all tokens so far; those of later ones reach far. */
static void random_merges(struct whole *w, uint32_t seed, uint32_t many)
{
	memset(w->c->pair, 0, sizeof w->c->pair);
	pm_bpe_merges_new(&w->merges, MERGES, &err);
	for (uint32_t i = 0; i < many; i++)
		pm_bpe_merges_set(&w->merges, (int32_t)(pm_rng_u32(2, seed, 2 * i) % (SYMBOLS + i)), (int32_t)(pm_rng_u32(2, seed, 2 * i + 1) % (SYMBOLS + i)),
			i, (int32_t)(SYMBOLS + i));
}

static void random_pieces(void)
{
	struct whole *w = pm_alloc(1, sizeof *w, &err);
	char *s = pm_alloc(N, 1, &err);
	size_t wrong = 0;

	w->c = pm_alloc(1, sizeof *w->c, &err);
	for (uint32_t k = 0; k < 240; k++) {
		uint32_t period = k % 3 == 0 ? 1 : k % 3 == 1 ? 2 + pm_rng_u32(3, k, 0) % 40 : N, few = 1 + k % SYMBOLS;

		random_merges(w, k, 4 + k % (MERGES - 4));
		for (uint32_t i = 0; i < N; i++)
			s[i] = i < period ? (char)('a' + pm_rng_u32(4, k, i) % few) : s[i - period];
		wrong += !same(w, s, N - k % 7);
		pm_bpe_merges_free(&w->merges);
		memset(&w->merges, 0, sizeof w->merges);
	}
	check(!wrong, "random merges: %zu pieces differ in windows", wrong);
	memset(w->c->pair, 0, sizeof w->c->pair);
	/* tokens of 2, 4, 8 … symbols: longer than a window */
	pm_bpe_merges_new(&w->merges, MERGES, &err);
	for (int i = 0; i < 15; i++)
		pm_bpe_merges_set(&w->merges, i ? SYMBOLS + i - 1 : 0, i ? SYMBOLS + i - 1 : 0, (uint32_t)i, SYMBOLS + i);
	memset(s, 'a', N);
	w->splits = 0;
	check(same(w, s, N - 1) && w->n == 10, "tokens longer than a window");
	check(w->splits < 20, "need a few wider ones: %zu", w->splits);
	pm_bpe_merges_free(&w->merges);
	pm_bpe_scratch_free(w->c);
	free(w);
	free(s);
}

/* The tokenizer with a pre-tokenizer that leaves all in one piece, which is not known to be harmless. */
static bool opened(struct pm_tokenizer **t, json_t *o, bool part)
{
	struct pm_str s = {0};
	bool ok;

	json_object_set_new(o, "pre_tokenizer", part ? json_pack("{s:s, s:i}", "type", "FixedLength", "length", 1 << 30) : json_null());
	ok = pm_json_text(&s, o, &err) == 0 && pm_tokens_read(t, s.data, s.len, "long", &err) == 0;
	pm_str_free(&s);
	return ok;
}

static void spaces(const char *dir, const char *name)
{
	static const struct pm_encode_opts o = {.add_special = true};
	struct pm_encoding a = {0}, b = {0};
	struct pm_tokenizer *t, *u;
	size_t n = 1300000;
	char path[4096], *s = pm_alloc(n, 1, &err);
	json_t *j;
	bool ok;

	snprintf(path, sizeof path, "%s/data/tokenizers/%s/tokenizer.json", dir, name);
	j = pm_json_file(path, &err);
	if (!check(j && opened(&t, j, false) && opened(&u, j, true), "%s opens", name))
		return;
	json_decref(j);
	for (int k = 0; k < 3; k++) {
		for (size_t i = 0; i < n; i++)
			s[i] = k == 0 || pm_rng_u32(5, (uint32_t)k, i) % (k == 1 ? 5000 : 3) ? ' ' : "\nab1"[pm_rng_u32(6, 0, i) % (k == 1 ? 4 : 1)];
		if (k == 2)             /* no space that a text may be cut before */
			for (size_t i = 1; i < n; i++)
				if (s[i] == ' ' && s[i - 1] != ' ')
					s[i] = '\n';
		a.n = b.n = 0;
		ok = pm_tokenizer_encode(t, s, n, &o, &a, &err) == 0 && pm_tokenizer_encode(u, s, n, &o, &b, &err) == 0 && a.n == b.n
			&& memcmp(a.ids, b.ids, a.n * sizeof *a.ids) == 0 && memcmp(a.from, b.from, a.n * sizeof *a.from) == 0
			&& memcmp(a.to, b.to, a.n * sizeof *a.to) == 0;
		check(ok, "%s: text %d: %zu ids and offsets in windows, and as a whole", name, k, a.n);
	}
	pm_encoding_free(&a);
	pm_encoding_free(&b);
	pm_tokenizer_close(t);
	pm_tokenizer_close(u);
	free(s);
}

int main(void)
{
	const char *dir = golden_dir();

	random_pieces();
	if (dir) {
		spaces(dir, "llama2");
		spaces(dir, "gemma3");
	} else {
		skip("golden data is not there");
	}
	return done();
}
