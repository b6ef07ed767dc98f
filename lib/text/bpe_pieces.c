/* Merges that follow from the pieces themselves (the model "pm:BPE"): SentencePiece's and tiktoken's rule. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/bpe.h"
#include "text/model.h"
#include "text/unicode.h"

enum { LONGEST = 4096 };        /* bytes of a piece: the work is quadratic in it */

struct piece {
	double score;
	int32_t id;
	uint32_t rank;
};

static int by_score(const void *pa, const void *pb)
{
	const struct piece *a = pa, *b = pb;

	return a->score != b->score ? (a->score < b->score ? 1 : -1) : (a->id > b->id) - (a->id < b->id);
}

static int by_id(const void *pa, const void *pb)
{
	const struct piece *a = pa, *b = pb;

	return (a->id > b->id) - (a->id < b->id);
}

/* The pieces that take part, by id, with their ranks; those of equal scores share one. */
static int read_pieces(struct piece **out, size_t *count, const struct pm_vocab *vocab, const json_t *scores, const json_t *apart, struct pm_err *e)
{
	struct piece *p = *out = pm_alloc(vocab->ids, sizeof *p, e);
	size_t n = 0, len;
	int64_t out_of_it;

	if (!p)
		return -1;
	if (scores && !json_is_array(scores))
		return pm_fail(e, PM_DATA, "'merges': a list was wanted");
	for (size_t id = 0; id < vocab->ids; id++) {
		const json_t *s = json_array_get(scores, id);

		if (!pm_vocab_text(vocab, (int32_t)id, &len) || (scores && (!s || json_is_null(s))))
			continue;
		if (scores && !json_is_number(s))
			return pm_fail(e, PM_DATA, "'merges': %zu: a number was wanted", id);
		p[n].id = (int32_t)id;
		p[n++].score = scores ? json_number_value(s) : -(double)id;
	}
	for (size_t i = 0; i < json_array_size(apart); i++) {
		struct piece key = {0}, *x;

		if (pm_json_to_int(&out_of_it, json_array_get(apart, i)) < 0 || out_of_it < 0 || out_of_it > INT32_MAX)
			return pm_fail(e, PM_DATA, "'apart': %zu: an id was wanted", i);
		key.id = (int32_t)out_of_it;
		x = bsearch(&key, p, n, sizeof *p, by_id);
		if (x)
			memmove(x, x + 1, (size_t)(p + n-- - x - 1) * sizeof *x);
	}
	qsort(p, n, sizeof *p, by_score);
	for (size_t i = 0; i < n; i++)
		p[i].rank = i && p[i].score == p[i - 1].score ? p[i - 1].rank : (uint32_t)i;
	qsort(p, n, sizeof *p, by_id);
	*count = n;
	return 0;
}

static int32_t half(const struct pm_vocab *vocab, const struct piece *p, size_t n, const char *s, size_t len)
{
	struct piece key = {.id = pm_vocab_find(vocab, s, len)};

	return key.id >= 0 && bsearch(&key, p, n, sizeof *p, by_id) ? key.id : -1;
}

/* Every way to put each piece together of two others: counted, or noted where m is not NULL. */
static int each_pair(struct pm_bpe_merges *m, size_t *count, const struct pm_vocab *vocab, const struct piece *p, size_t n, struct pm_err *e)
{
	size_t len, k;

	*count = 0;
	for (size_t i = 0; i < n; i++) {
		const char *s = pm_vocab_text(vocab, p[i].id, &len);
		int32_t left, right;

		if (len > LONGEST)
			return pm_fail(e, PM_DATA, "a piece of %zu bytes is too long, %d was wanted at most", len, LONGEST);
		for (size_t at = 0; at < len; at += k) {
			pm_utf8_get(s + at, &k);
			if (!at || (left = half(vocab, p, n, s, at)) < 0 || (right = half(vocab, p, n, s + at, len - at)) < 0)
				continue;
			++*count;
			if (m)
				pm_bpe_merges_set(m, left, right, p[i].rank, p[i].id);
		}
	}
	return 0;
}

int pm_bpe_merges_of_pieces(struct pm_bpe_merges *m, const struct pm_vocab *vocab, const json_t *scores, const json_t *apart, struct pm_err *e)
{
	struct piece *p = NULL;
	size_t n = 0, count;
	int r = read_pieces(&p, &n, vocab, scores, apart, e);

	if (r == 0)
		r = each_pair(NULL, &count, vocab, p, n, e);
	if (r == 0)
		r = pm_bpe_merges_new(m, count, e);
	if (r == 0)
		r = each_pair(m, &count, vocab, p, n, e);
	free(p);
	return r;
}
