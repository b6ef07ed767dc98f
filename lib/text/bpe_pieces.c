/* Merges that follow from the pieces themselves (the model "pm:BPE"): SentencePiece's and tiktoken's rule. */
#include <stdlib.h>

#include "base/mem.h"
#include "text/bpe.h"
#include "text/model.h"
#include "text/unicode.h"

enum { LONGEST = 4096 };        /* bytes of a piece: the work is quadratic in it */

struct piece {
	double score;
	int32_t id;
};

/* A merge, and the list of them. */
struct pair {
	int32_t left, right;
	uint32_t rank;
	int32_t id;
};

struct pairs {
	struct pair *v;
	size_t n, cap;
};

static int by_score(const void *pa, const void *pb)
{
	const struct piece *a = pa, *b = pb;

	return a->score != b->score ? (a->score < b->score ? 1 : -1) : (a->id > b->id) - (a->id < b->id);
}

/* Marks those of a list of ids as taking no part. */
static int leave_out(bool *out, size_t ids, const json_t *apart, struct pm_err *e)
{
	int64_t id;

	for (size_t i = 0; i < json_array_size(apart); i++) {
		if (pm_json_to_int(&id, json_array_get(apart, i)) < 0 || id < 0)
			return pm_fail(e, PM_DATA, "'apart': %zu: an id was wanted", i);
		if ((uint64_t)id < ids)
			out[id] = true;
	}
	return 0;
}

/* The ranks of the pieces by id, UINT32_MAX for those that take no part; those of equal scores share one. */
static int read_ranks(uint32_t *rank, struct piece *p, bool *out, const struct pm_vocab *vocab, const json_t *scores, const json_t *apart,
	struct pm_err *e)
{
	size_t n = 0, len;

	if (scores && !json_is_array(scores))
		return pm_fail(e, PM_DATA, "'merges': a list was wanted");
	if (leave_out(out, vocab->ids, apart, e) < 0)
		return -1;
	for (size_t id = 0; id < vocab->ids; id++) {
		const json_t *s = json_array_get(scores, id);

		rank[id] = UINT32_MAX;
		if (out[id] || !pm_vocab_text(vocab, (int32_t)id, &len) || (scores && (!s || json_is_null(s))))
			continue;
		if (scores && !json_is_number(s))
			return pm_fail(e, PM_DATA, "'merges': %zu: a number was wanted", id);
		p[n].id = (int32_t)id;
		p[n++].score = scores ? json_number_value(s) : -(double)id;
	}
	if (n)
		qsort(p, n, sizeof *p, by_score);
	for (size_t i = 0; i < n; i++)
		rank[p[i].id] = i && p[i].score == p[i - 1].score ? rank[p[i - 1].id] : (uint32_t)i;
	return 0;
}

static int32_t half(const struct pm_vocab *vocab, const uint32_t *rank, const char *s, size_t len)
{
	int32_t id = pm_vocab_find(vocab, s, len);

	return id >= 0 && rank[id] != UINT32_MAX ? id : -1;
}

/* Every way to put a piece together of two others. */
static int put_pairs(struct pairs *x, const struct pm_vocab *vocab, const uint32_t *rank, int32_t id, struct pm_err *e)
{
	int32_t left, right;
	size_t len, k;
	const char *s = pm_vocab_text(vocab, id, &len);

	if (len > LONGEST)
		return pm_fail(e, PM_DATA, "a piece of %zu bytes is too long, %d was wanted at most", len, LONGEST);
	for (size_t at = 0; at < len; at += k) {
		pm_utf8_get(s + at, &k);
		if (!at || (left = half(vocab, rank, s, at)) < 0 || (right = half(vocab, rank, s + at, len - at)) < 0)
			continue;
		if (pm_grow(&x->v, &x->cap, x->n + 1, sizeof *x->v, e) < 0)
			return -1;
		x->v[x->n++] = (struct pair){left, right, rank[id], id};
	}
	return 0;
}

int pm_bpe_merges_of_pieces(struct pm_bpe_merges *m, const struct pm_vocab *vocab, const json_t *scores, const json_t *apart, struct pm_err *e)
{
	uint32_t *rank = pm_alloc(vocab->ids, sizeof *rank, e);
	struct piece *p = pm_alloc(vocab->ids, sizeof *p, e);
	bool *out = pm_alloc(vocab->ids, sizeof *out, e);
	struct pairs x = {0};
	int r = rank && p && out ? read_ranks(rank, p, out, vocab, scores, apart, e) : -1;

	for (size_t id = 0; r == 0 && id < vocab->ids; id++)
		if (rank[id] != UINT32_MAX)
			r = put_pairs(&x, vocab, rank, (int32_t)id, e);
	if (r == 0)
		r = pm_bpe_merges_new(m, x.n, e);
	for (size_t i = 0; r == 0 && i < x.n; i++)
		pm_bpe_merges_set(m, x.v[i].left, x.v[i].right, x.v[i].rank, x.v[i].id);
	free(x.v);
	free(rank);
	free(p);
	free(out);
	return r;
}
