/* The model Unigram: the best path through the pieces of a word, by the sum of their scores. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/model.h"
#include "text/trie.h"
#include "text/unicode.h"
#include "text/worker.h"

struct unigram {
	const struct pm_vocab *vocab;
	double *score;
	size_t scores;
	bool borrowed;                  /* the scores are someone else's */
	double unknown;                 /* score of an unknown character: the lowest of all, less 10 */
	int64_t unk;                    /* −1: none */
	bool byte_fallback;
	bool single;                    /* sums are single precision */
	int32_t fallback[256];
	struct pm_trie trie;
};

static void unigram_free(void *conf)
{
	struct unigram *u = conf;

	if (!u->borrowed)
		free(u->score);
	pm_trie_free(&u->trie);
	free(u);
}

/* A score as the `tokenizers` library's JSON reader has it: digits as a whole number, rounded, then divided by a power of ten,
 * rounded again. The last bit decides between paths of equal scores. The digits are the shortest that name x, which is what
 * such files are written with. */
static double twice_rounded(double x)
{
	static const double power[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17,
		1e18, 1e19, 1e20, 1e21, 1e22, 1e23, 1e24, 1e25, 1e26, 1e27, 1e28, 1e29, 1e30};
	char s[40];
	uint64_t digits = 0;
	int exponent, places = 15;

	if (!isfinite(x) || x == 0)
		return x;
	do
		snprintf(s, sizeof s, "%.*e", places++, x);
	while (places <= 17 && strtod(s, NULL) != x);
	exponent = (int)strtol(strchr(s, 'e') + 1, NULL, 10) - (places - 1);
	for (const char *p = s; *p != 'e'; p++)
		if (*p >= '0' && *p <= '9')
			digits = digits * 10 + (uint64_t)(*p - '0');
	for (; digits % 10 == 0; digits /= 10)
		exponent++;
	if (exponent > 30 || exponent < -30)
		return x;
	x = exponent < 0 ? (double)digits / power[-exponent] : (double)digits * power[exponent];
	return s[0] == '-' ? -x : x;
}

static double lowest(const struct unigram *u)
{
	double x = INFINITY;

	for (size_t i = 0; i < u->scores; i++)
		if (u->score[i] < x)
			x = u->score[i];
	return x;
}

enum { NORMAL = 1, USER = 4 };  /* types of pieces that take part */

/* The score and type of a piece; all are normal where there are no types. */
static int read_piece(struct unigram *u, size_t i, const json_t *p, bool typed, unsigned char *kind, struct pm_err *e)
{
	const json_t *x = json_array_get(p, 1);
	int64_t type = NORMAL;

	if (json_array_size(p) != (typed ? 3 : 2) || !json_is_string(json_array_get(p, 0)) || !json_is_number(x)
		|| (typed && (pm_json_to_int(&type, json_array_get(p, 2)) < 0 || type < 0 || type > 9)))
		return pm_fail(e, PM_DATA, "'vocab': %zu: a piece and its score%s were wanted", i, typed ? " and type" : "");
	u->score[i] = typed ? (double)(float)json_number_value(x) : twice_rounded(json_number_value(x));
	*kind = (unsigned char)type;
	return 0;
}

/* The score of an unknown character; and those of user-defined pieces, which beat any way through normal ones. */
static void special_scores(struct unigram *u, const json_t *a, const unsigned char *kind)
{
	double least = INFINITY, highest = -INFINITY;

	for (size_t i = 0; i < json_array_size(a); i++) {
		if (kind[i] == NORMAL && u->score[i] < least)
			least = u->score[i];
		if (kind[i] == NORMAL && u->score[i] > highest)
			highest = u->score[i];
	}
	u->unknown = u->single ? (double)((float)least - 10.0f) : least - 10;
	for (size_t i = 0; i < json_array_size(a); i++)
		if (kind[i] == USER)
			u->score[i] = u->single ? (double)(float)((double)json_string_length(json_array_get(json_array_get(a, i), 0)) * highest - 0.1) : 0;
}

static int read_vocab(struct unigram *u, struct pm_vocab *vocab, const json_t *a, bool typed, struct pm_err *e)
{
	size_t n = json_array_size(a), keys = 0;
	struct pm_trie_key *key;
	unsigned char *kind;
	int r = 0;

	if (!json_is_array(a))
		return pm_fail(e, PM_DATA, "'vocab': a list was wanted");
	u->score = pm_alloc(n, sizeof *u->score, e);
	u->scores = n;
	key = pm_alloc(n, sizeof *key, e);
	kind = pm_alloc(n, 1, e);
	if (!u->score || !key || !kind || pm_vocab_room(vocab, n, e) < 0)
		r = -1;
	for (size_t i = 0; r == 0 && i < n; i++) {
		const json_t *p = json_array_get(a, i), *s = json_array_get(p, 0);

		r = read_piece(u, i, p, typed, kind + i, e);
		if (r == 0)
			r = pm_vocab_add(vocab, json_string_value(s), json_string_length(s), (int64_t)i, e);
	}
	if (r == 0)
		special_scores(u, a, kind);
	for (size_t i = 0; r == 0 && i < vocab->n; i++) {
		if (!vocab->entry[i].len || (kind[vocab->entry[i].id] != NORMAL && kind[vocab->entry[i].id] != USER))
			continue;
		key[keys].s = vocab->bytes + vocab->entry[i].at;
		key[keys].n = vocab->entry[i].len;
		key[keys++].value = vocab->entry[i].id;
	}
	if (r == 0)
		r = pm_trie_build(&u->trie, key, keys, e);
	free(key);
	free(kind);
	return r;
}

/* What is not in the tables. */
static int read_rest(struct unigram *u, struct pm_vocab *vocab, const json_t *o, struct pm_err *e)
{
	char code[8];

	u->unk = -1;
	if (pm_json_int(&u->unk, o, "unk_id", e) < 0 || pm_json_bool(&u->byte_fallback, o, "byte_fallback", e) < 0)
		return -1;
	if (u->unk >= (int64_t)u->scores)
		return pm_fail(e, PM_DATA, "'unk_id' %lld is not in the vocabulary", (long long)u->unk);
	for (int i = 0; i < 256; i++) {
		snprintf(code, sizeof code, "<0x%02X>", (unsigned)i);
		u->fallback[i] = pm_vocab_find(vocab, code, 6);
	}
	return 0;
}

static void reach(struct pm_unigram_node *x, size_t from, double score, int32_t id, bool single)
{
	score = single ? (float)score : score;
	if (x->from != SIZE_MAX && score <= x->score)
		return;
	x->from = from;
	x->score = score;
	x->id = id;
}

/* Fills the nodes; best[i] is the end of byte i − 1. */
static int forward(const struct unigram *u, const struct pm_view *v, struct pm_unigram_node *best, struct pm_err *e)
{
	size_t k;
	bool single;

	for (size_t i = 0; i <= v->n; i++)
		best[i].from = SIZE_MAX;
	best[0].score = 0;
	for (size_t i = 0; i < v->n; i += k) {
		uint32_t node = u->trie.root[(unsigned char)v->s[i]];
		size_t j = i + 1;

		pm_utf8_get(v->s + i, &k);
		single = false;
		while (node) {
			int32_t id = u->trie.node[node].value;

			if (id >= 0) {
				reach(best + j, i, best[i].score + u->score[id], id, u->single);
				single |= j == i + k;
			}
			node = j < v->n ? pm_trie_step(&u->trie, node, (unsigned char)v->s[j]) : 0;
			j++;
		}
		if (single)
			continue;
		if (u->unk < 0)
			return pm_fail(e, PM_DATA, "a character that is not in the vocabulary, which has no 'unk_id'");
		reach(best + i + k, i, best[i].score + u->unknown, (int32_t)u->unk, u->single);
	}
	return 0;
}

static int emit(const struct unigram *u, const struct pm_view *v, size_t from, size_t to, struct pm_worker *w, struct pm_err *e)
{
	struct pm_range r = pm_view_range(v, from, to);
	int32_t id = pm_vocab_find(u->vocab, v->s + from, to - from);
	bool bytes = id < 0 && u->byte_fallback;

	for (size_t i = from; bytes && i < to; i++)
		bytes = u->fallback[(unsigned char)v->s[i]] >= 0;
	if (!bytes)
		return pm_worker_emit(w, id < 0 ? (int32_t)u->unk : id, r, v->s + from, to - from, e);
	for (size_t i = from; i < to; i++)
		if (pm_worker_emit(w, u->fallback[(unsigned char)v->s[i]], r, "", 0, e) < 0)
			return -1;
	return 0;
}

static int unigram_encode(const void *conf, const struct pm_view *v, struct pm_worker *w, struct pm_err *e)
{
	const struct unigram *u = conf;
	struct pm_unigram_node *best;
	size_t from, to, next = SIZE_MAX;

	if (pm_grow(&w->path, &w->cap_path, v->n + 1, sizeof *w->path, e) < 0)
		return -1;
	best = w->path;
	if (forward(u, v, best, e) < 0)
		return -1;
	/* turn the way round: next[from] = to, unknown characters that follow each other as one */
	for (to = v->n; to; to = from) {
		from = best[to].from;
		while (best[to].id == u->unk && from && best[from].id == u->unk)
			from = best[from].from;
		best[to].from = next;
		next = to;
	}
	for (from = 0; next != SIZE_MAX; from = to) {
		to = next;
		next = best[to].from;
		if (emit(u, v, from, to, w, e) < 0)
			return -1;
	}
	return 0;
}

static int build(void **conf, struct pm_vocab *vocab, const json_t *o, bool typed, bool *raw, struct pm_err *e)
{
	struct unigram *u = *conf = pm_alloc(1, sizeof *u, e);

	*raw = false;
	if (!u)
		return -1;
	u->vocab = vocab;
	if (pm_json_bool(&u->single, o, "float", e) < 0 || read_vocab(u, vocab, json_object_get(o, "vocab"), typed, e) < 0)
		return -1;
	return read_rest(u, vocab, o, e);
}

static int unigram_build(void **conf, struct pm_vocab *vocab, const json_t *o, bool *raw, struct pm_err *e)
{
	return build(conf, vocab, o, false, raw, e);
}

static int pieces_build(void **conf, struct pm_vocab *vocab, const json_t *o, bool *raw, struct pm_err *e)
{
	return build(conf, vocab, o, true, raw, e);
}

static int unigram_load(void **conf, struct pm_vocab *vocab, const json_t *o, bool *raw, struct pm_ready *ready, struct pm_err *e)
{
	struct unigram *u = *conf = pm_alloc(1, sizeof *u, e);

	*raw = false;
	if (!u)
		return -1;
	if (ready->model != PM_READY_UNIGRAM)
		return pm_fail(e, PM_DATA, "tables of another model");
	u->vocab = vocab;
	u->score = ready->score;
	u->scores = ready->scores;
	u->trie = ready->trie;
	u->borrowed = ready->borrowed;
	*vocab = ready->vocab;
	memset(&ready->vocab, 0, sizeof ready->vocab);
	memset(&ready->trie, 0, sizeof ready->trie);
	ready->score = NULL;
	u->unknown = lowest(u) - 10;
	return read_rest(u, vocab, o, e);
}

static void unigram_saved(const void *conf, struct pm_ready *ready)
{
	const struct unigram *u = conf;

	ready->model = PM_READY_UNIGRAM;
	ready->vocab = *u->vocab;
	ready->score = u->score;
	ready->scores = u->scores;
	ready->trie = u->trie;
}

const struct pm_model_type pm_model_unigram = {
	.name = "Unigram",
	.members = "vocab unk_id byte_fallback",
	.build = unigram_build,
	.load = unigram_load,
	.saved = unigram_saved,
	.free = unigram_free,
	.encode = unigram_encode,
};

const struct pm_model_type pm_model_unigram_pieces = {
	.name = "pm:Unigram",
	.members = "vocab unk_id byte_fallback float",
	.build = pieces_build,
	.free = unigram_free,
	.encode = unigram_encode,
};
