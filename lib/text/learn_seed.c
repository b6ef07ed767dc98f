#include "text/learn_seed.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/bytelevel.h"
#include "text/unicode.h"

/* A string that repeats: its place in the sorted suffixes' text, and its weight. */
struct found {
	double score;
	uint32_t at, len;
	size_t order;
};

struct node {
	uint64_t weight;
	uint32_t at, len;
};

struct work {
	uint32_t *text;                 /* words, each closed by a 0; characters are one more than they are */
	uint32_t *word;                 /* which word a place belongs to */
	uint32_t *suffix;
	const uint64_t *count;
	size_t n, max;
	struct found *found;
	size_t nfound, cap_found;
	struct node *stack;
	size_t depth;
};

/* The character `depth` behind a place; 0 behind the end of its word. Callers come to depth k + 1 only by a character at k. */
static uint32_t at(const struct work *w, uint32_t place, size_t depth)
{
	return w->text[place + depth];
}

static uint32_t median(uint32_t a, uint32_t b, uint32_t c)
{
	if (a < b)
		return b < c ? b : a < c ? c : a;
	return a < c ? a : b < c ? c : b;
}

/* Sorts suffixes by their first `max` characters (Bentley and Sedgewick 1997); equal ones in any order, which nothing shows. */
static void sort(const struct work *w, uint32_t *s, size_t n, size_t depth)
{
	size_t lt, gt, i;
	uint32_t pivot, c, t;

	while (n > 1 && depth < w->max) {
		pivot = median(at(w, s[0], depth), at(w, s[n / 2], depth), at(w, s[n - 1], depth));
		lt = i = 0;
		gt = n;
		while (i < gt) {
			c = at(w, s[i], depth);
			t = s[i];
			if (c < pivot) {
				s[i++] = s[lt];
				s[lt++] = t;
			} else if (c > pivot) {
				s[i] = s[--gt];
				s[gt] = t;
			} else {
				i++;
			}
		}
		sort(w, s, lt, depth);
		sort(w, s + gt, n - gt, depth);
		if (!pivot)
			return;
		s += lt;
		n = gt - lt;
		depth++;
	}
}

static int report(struct work *w, const struct node *x, struct pm_err *e)
{
	struct found *f;

	if (x->len < 2 || x->weight < 2)
		return 0;
	if (pm_grow(&w->found, &w->cap_found, w->nfound + 1, sizeof *w->found, e) < 0)
		return -1;
	f = w->found + w->nfound;
	f->order = w->nfound++;
	f->score = (double)x->weight * x->len;
	f->at = x->at;
	f->len = x->len;
	return 0;
}

/* Closes the strings that are longer than `len`; their weight goes to what is left. */
static int close_to(struct work *w, uint32_t len, struct pm_err *e)
{
	while (w->depth && w->stack[w->depth - 1].len > len) {
		struct node x = w->stack[--w->depth], *top = w->stack + w->depth - 1;

		if (report(w, &x, e) < 0)
			return -1;
		if (w->depth && top->len >= len) {
			top->weight += x.weight;
		} else if (len) {
			x.len = len;
			w->stack[w->depth++] = x;
		}
	}
	return 0;
}

/* Every string that is the longest of those seen at the same places, from the sorted suffixes. */
static int repeats(struct work *w, struct pm_err *e)
{
	uint32_t lcp, len;

	for (size_t i = 0; i < w->n; i++) {
		uint32_t s = w->suffix[i], before = i ? w->suffix[i - 1] : 0;

		for (lcp = 0; i && lcp < w->max && at(w, s, lcp) && at(w, s, lcp) == at(w, before, lcp); lcp++)
			;
		for (len = lcp; len < w->max && at(w, s, len); len++)
			;
		if (close_to(w, lcp, e) < 0)
			return -1;
		if (w->depth && w->stack[w->depth - 1].len == len) {
			w->stack[w->depth - 1].weight += w->count[w->word[s]];
			continue;
		}
		w->stack[w->depth].weight = w->count[w->word[s]];
		w->stack[w->depth].at = s;
		w->stack[w->depth++].len = len;
	}
	return close_to(w, 0, e);
}

static int by_score(const void *a, const void *b)
{
	const struct found *x = a, *y = b;

	if (x->score != y->score)
		return x->score < y->score ? 1 : -1;
	return (x->order > y->order) - (x->order < y->order);
}

static int add(struct pm_seeds *s, const uint32_t *chars, uint32_t n, uint32_t off, double score, struct pm_err *e)
{
	struct pm_seed *x;

	if (pm_grow(&s->v, &s->cap, s->n + 1, sizeof *s->v, e) < 0 || pm_grow(&s->bytes, &s->cap_bytes, s->nbytes + 4 * (size_t)n, 1, e) < 0)
		return -1;
	x = s->v + s->n++;
	x->at = s->nbytes;
	x->chars = n;
	x->score = score;
	for (uint32_t i = 0; i < n; i++)
		s->nbytes += pm_utf8_put(s->bytes + s->nbytes, chars[i] - off);
	x->bytes = (uint32_t)(s->nbytes - x->at);
	return 0;
}

static int characters(struct pm_seeds *s, const struct pm_spelled *words, bool bytes, struct pm_err *e)
{
	double *seen = pm_alloc(0x110000, sizeof *seen, e);
	int r = seen ? 0 : -1;

	for (int i = 0; seen && bytes && i < 256; i++)
		seen[pm_bytelevel_char((unsigned char)i)] = 1;
	for (size_t i = 0; seen && i < words->n; i++)
		for (size_t j = words->at[i]; j < words->at[i + 1]; j++)
			seen[words->chars[j]] += (double)words->count[i];
	for (uint32_t c = 0; r == 0 && c < 0x110000; c++)
		if (seen[c] > 0)
			r = add(s, &c, 1, 0, seen[c], e);
	s->chars = s->n;
	free(seen);
	return r;
}

static int begin(struct work *w, const struct pm_spelled *words, struct pm_err *e)
{
	size_t total = words->at[words->n] + words->n, k = 0;

	if (total >= UINT32_MAX)
		return pm_fail(e, PM_DATA, "%zu characters of different words are too many", total);
	w->text = pm_alloc(total, sizeof *w->text, e);
	w->word = pm_alloc(total, sizeof *w->word, e);
	w->suffix = pm_alloc(total, sizeof *w->suffix, e);
	w->stack = pm_alloc(w->max + 2, sizeof *w->stack, e);
	w->count = words->count;
	if (!w->text || !w->word || !w->suffix || !w->stack)
		return -1;
	for (size_t i = 0; i < words->n; i++) {
		for (size_t j = words->at[i]; j < words->at[i + 1]; j++) {
			w->suffix[w->n++] = (uint32_t)k;
			w->word[k] = (uint32_t)i;
			w->text[k++] = words->chars[j] + 1;
		}
		k++;
	}
	return 0;
}

int pm_seeds_find(struct pm_seeds *s, const struct pm_spelled *words, bool bytes, size_t max_piece, size_t most, struct pm_err *e)
{
	struct work w = {.max = max_piece};
	int r = characters(s, words, bytes, e);

	if (r == 0)
		r = begin(&w, words, e);
	if (r == 0) {
		sort(&w, w.suffix, w.n, 0);
		r = repeats(&w, e);
	}
	if (r == 0 && w.nfound)
		qsort(w.found, w.nfound, sizeof *w.found, by_score);
	for (size_t i = 0; r == 0 && i < w.nfound && i < most; i++)
		r = add(s, w.text + w.found[i].at, w.found[i].len, 1, w.found[i].score, e);
	free(w.text);
	free(w.word);
	free(w.suffix);
	free(w.stack);
	free(w.found);
	return r;
}

void pm_seeds_free(struct pm_seeds *s)
{
	free(s->v);
	free(s->bytes);
	memset(s, 0, sizeof *s);
}
