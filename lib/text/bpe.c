#include "text/bpe.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { FREE = UINT32_MAX, NONE = UINT32_MAX, SMALL = 64 };

static size_t hash(uint32_t left, uint32_t right)
{
	uint64_t h = ((uint64_t)left << 32 | right) * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(h ^ h >> 32);
}

int pm_bpe_merges_new(struct pm_bpe_merges *m, size_t n, struct pm_err *e)
{
	size_t slots = 16;

	while (slots < n + n / 2)
		slots *= 2;
	m->slot = pm_alloc(slots, sizeof *m->slot, e);
	m->bits = 8 * slots - 1;
	m->filter = pm_alloc((m->bits + 1) / 64, sizeof *m->filter, e);
	if (!m->slot || !m->filter)
		return -1;
	memset(m->slot, 0xff, slots * sizeof *m->slot);
	m->mask = slots - 1;
	return 0;
}

void pm_bpe_merges_free(struct pm_bpe_merges *m)
{
	if (!m->borrowed) {
		free(m->slot);
		free(m->filter);
	}
}

static struct pm_bpe_merge *place(const struct pm_bpe_merges *m, size_t h, uint32_t left, uint32_t right)
{
	size_t i = h & m->mask;

	while (m->slot[i].left != FREE && (m->slot[i].left != left || m->slot[i].right != right))
		i = (i + 1) & m->mask;
	return m->slot + i;
}

/* The bit of a pair: other bits of its hash than those that choose the slot. */
static size_t filter_bit(const struct pm_bpe_merges *m, size_t h)
{
	return h >> 24 & m->bits;
}

static const struct pm_bpe_merge *seek(const struct pm_bpe_merges *m, uint32_t left, uint32_t right)
{
	static const struct pm_bpe_merge none = {FREE, 0, NONE, -1};
	size_t h = hash(left, right), b = filter_bit(m, h);

	return m->filter[b / 64] >> (b & 63) & 1 ? place(m, h, left, right) : &none;
}

void pm_bpe_merges_set(struct pm_bpe_merges *m, int32_t left, int32_t right, uint32_t rank, int32_t id)
{
	size_t h = hash((uint32_t)left, (uint32_t)right), b = filter_bit(m, h);
	struct pm_bpe_merge *s = place(m, h, (uint32_t)left, (uint32_t)right);

	m->filter[b / 64] |= UINT64_C(1) << (b & 63);
	s->left = (uint32_t)left;
	s->right = (uint32_t)right;
	s->rank = rank;
	s->id = id;
}

bool pm_bpe_merges_good(const struct pm_bpe_merges *m, size_t ids)
{
	size_t used = 0;

	if ((m->mask & (m->mask + 1)) || (m->bits & (m->bits + 1)))
		return false;
	for (size_t i = 0; i <= m->mask; i++) {
		const struct pm_bpe_merge *s = m->slot + i;

		if (s->left == FREE && s->rank == NONE)
			continue;
		if (s->left == FREE || s->rank == NONE || s->id < 0 || (size_t)s->id >= ids || (used++ < 64 && seek(m, s->left, s->right) != s))
			return false;
	}
	return used <= m->mask;
}

void pm_bpe_scratch_free(struct pm_bpe_scratch *s)
{
	if (!s)
		return;
	free(s->id);
	free(s->len);
	free(s->symbol);
	free(s->heap);
	free(s);
}

/* By way of the pairs seen last. */
static inline const struct pm_bpe_pair *look(const struct pm_bpe_merges *m, struct pm_bpe_scratch *c, uint32_t left, uint32_t right)
{
	size_t h = hash(left, right);
	struct pm_bpe_pair *p = c->pair + (h >> 40 & (PM_BPE_PAIRS - 1));
	const struct pm_bpe_merge *s;

	if (p->left != left + 1 || p->right != right) {
		s = seek(m, left, right);
		p->left = left + 1;
		p->right = right;
		p->rank = s->rank;
		p->id = s->id;
	}
	return p;
}

/* Short pieces: the best pair is looked for among all. Free slots have rank 2^32 − 1, so "no merge" needs no question. */
static void merge_small(const struct pm_bpe_merges *m, struct pm_bpe_word *w, struct pm_bpe_scratch *c)
{
	uint32_t rank[SMALL];
	int32_t to[SMALL];
	const struct pm_bpe_pair *s;
	size_t n = w->n, best, i;
	uint64_t least;

	for (i = 0; i + 1 < n; i++) {
		s = look(m, c, (uint32_t)w->id[i], (uint32_t)w->id[i + 1]);
		rank[i] = s->rank;
		to[i] = s->id;
	}
	while (n > 1) {
		/* rank and place in one number: no branch that nobody can foresee */
		for (least = rank[0], least <<= 32, i = 1; i + 1 < n; i++) {
			uint64_t x = (uint64_t)rank[i] << 32 | i;

			least = x < least ? x : least;
		}
		best = (size_t)(least & UINT32_MAX);
		if (rank[best] == NONE)
			break;
		w->id[best] = to[best];
		w->len[best] += w->len[best + 1];
		n--;
		for (i = best + 1; i < n; i++) {
			w->id[i] = w->id[i + 1];
			w->len[i] = w->len[i + 1];
		}
		for (i = best + 1; i + 1 < n; i++) {
			rank[i] = rank[i + 1];
			to[i] = to[i + 1];
		}
		if (best + 1 < n) {
			s = look(m, c, (uint32_t)w->id[best], (uint32_t)w->id[best + 1]);
			rank[best] = s->rank;
			to[best] = s->id;
		}
		if (best) {
			s = look(m, c, (uint32_t)w->id[best - 1], (uint32_t)w->id[best]);
			rank[best - 1] = s->rank;
			to[best - 1] = s->id;
		}
	}
	w->n = n;
}

/* Long pieces: a linked list of symbols and a heap of (rank, place). An entry whose symbol has another rank by now is void. */
struct pm_bpe_symbol {
	int32_t id, to;                 /* the merge with the next symbol gives `to` */
	uint32_t len, rank;             /* len 0: gone */
	uint32_t prev, next;
};

static void sink(uint64_t *h, size_t n, size_t i)
{
	uint64_t x = h[i];
	size_t k;

	while ((k = 2 * i + 1) < n) {
		k += k + 1 < n && h[k + 1] < h[k];
		if (h[k] >= x)
			break;
		h[i] = h[k];
		i = k;
	}
	h[i] = x;
}

static void rise(uint64_t *h, size_t i)
{
	uint64_t x = h[i];

	for (; i && h[(i - 1) / 2] > x; i = (i - 1) / 2)
		h[i] = h[(i - 1) / 2];
	h[i] = x;
}

/* Looks up the pair that begins at symbol i; true where it may be merged. */
static bool pair(const struct pm_bpe_merges *m, struct pm_bpe_scratch *c, struct pm_bpe_symbol *s, uint32_t i)
{
	const struct pm_bpe_pair *p;

	if (s[i].next == NONE) {
		s[i].rank = NONE;
		return false;
	}
	p = look(m, c, (uint32_t)s[i].id, (uint32_t)s[s[i].next].id);
	s[i].rank = p->rank;
	s[i].to = p->id;
	return p->rank != NONE;
}

static void merge_heap(const struct pm_bpe_merges *m, struct pm_bpe_scratch *c, struct pm_bpe_symbol *s, size_t n, uint64_t *h, size_t size)
{
	size_t used = 0;
	uint32_t i, j;

	for (i = 0; i < n; i++)
		if (pair(m, c, s, i))
			h[used++] = (uint64_t)s[i].rank << 32 | i;
	for (size_t k = used / 2; k--; )
		sink(h, used, k);
	while (used) {
		uint64_t top = h[0];

		h[0] = h[--used];
		if (used)
			sink(h, used, 0);
		i = (uint32_t)top;
		if (!s[i].len || s[i].rank != (uint32_t)(top >> 32))
			continue;
		j = s[i].next;
		s[i].id = s[i].to;
		s[i].len += s[j].len;
		s[i].next = s[j].next;
		s[j].len = 0;
		if (s[i].next != NONE)
			s[s[i].next].prev = i;
		/* every merge takes one entry out and puts at most two in, so twice the symbols are enough */
		if (pair(m, c, s, i) && used < size) {
			h[used] = (uint64_t)s[i].rank << 32 | i;
			rise(h, used++);
		}
		if (s[i].prev != NONE && pair(m, c, s, s[i].prev) && used < size) {
			h[used] = (uint64_t)s[s[i].prev].rank << 32 | s[i].prev;
			rise(h, used++);
		}
	}
}

int pm_bpe_merge(const struct pm_bpe_merges *m, struct pm_bpe_word *w, struct pm_bpe_scratch *c, struct pm_err *e)
{
	struct pm_bpe_symbol *s;
	size_t n = 0;

	if (w->n <= SMALL) {
		merge_small(m, w, c);
		return 0;
	}
	if (w->n >= NONE / 2)
		return pm_fail(e, PM_DATA, "a piece of %zu characters is too long", w->n);
	if (pm_grow(&c->symbol, &c->cap_symbol, w->n, sizeof *s, e) < 0 || pm_grow(&c->heap, &c->cap_heap, 2 * w->n, sizeof *c->heap, e) < 0)
		return -1;
	s = c->symbol;
	for (size_t i = 0; i < w->n; i++) {
		s[i].id = w->id[i];
		s[i].len = w->len[i];
		s[i].prev = i ? (uint32_t)i - 1 : NONE;
		s[i].next = i + 1 < w->n ? (uint32_t)i + 1 : NONE;
	}
	merge_heap(m, c, s, w->n, c->heap, 2 * w->n);
	for (uint32_t i = 0; i != NONE; i = s[i].next) {
		w->id[n] = s[i].id;
		w->len[n++] = s[i].len;
	}
	w->n = n;
	return 0;
}
