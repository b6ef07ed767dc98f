/* Learning the merges of BPE. Each merge touches only the words that hold its pair: a queue gives the most frequent pair with the
 * words where it was last formed, and counts are mended as words change. As in the `tokenizers` library, a pair may stand in the
 * queue several times, each time with other words, and an entry whose count is old goes back with the new one. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/bytelevel.h"
#include "text/learn_parts.h"
#include "text/unicode.h"

#define NONE UINT32_MAX

struct list {
	uint32_t *v;
	uint32_t n, cap;
};

struct pair {
	uint32_t left, right;
	int64_t count;
	struct list fresh;              /* words where this merge formed it */
};

/* An entry of the queue. */
struct entry {
	int64_t count;
	uint32_t pair, serial;
	uint32_t n, one;                /* words: `one` where n is 1 */
	uint32_t *words;
};

struct work {
	struct pm_learned_bpe *out;
	uint32_t *symbol;               /* of all words, as in `at` of the words; */
	uint32_t *len;                  /* this many are left of each */
	const size_t *at;
	const uint64_t *count;
	size_t n;
	struct pair *pair;
	uint32_t *slot;
	size_t pairs, cap_pairs, slots;
	struct entry *heap;
	size_t entries, cap_heap;
	uint32_t serial;
	uint32_t *touched;
	size_t ntouched, cap_touched;
	struct pm_str text;
};

static size_t hash(uint32_t left, uint32_t right)
{
	uint64_t h = ((uint64_t)left << 32 | right) * UINT64_C(0x9e3779b97f4a7c15);

	return (size_t)(h ^ h >> 29);
}

static uint32_t *seek(const struct work *w, uint32_t left, uint32_t right)
{
	size_t mask = w->slots - 1, i = hash(left, right) & mask;
	const struct pair *p;

	for (; w->slot[i]; i = (i + 1) & mask) {
		p = w->pair + w->slot[i] - 1;
		if (p->left == left && p->right == right)
			break;
	}
	return w->slot + i;
}

static int rehash(struct work *w, struct pm_err *e)
{
	size_t slots = w->slots ? 2 * w->slots : 1 << 16;
	uint32_t *slot = pm_alloc(slots, sizeof *slot, e);

	if (!slot)
		return -1;
	free(w->slot);
	w->slot = slot;
	w->slots = slots;
	for (size_t i = 0; i < w->pairs; i++)
		*seek(w, w->pair[i].left, w->pair[i].right) = (uint32_t)i + 1;
	return 0;
}

/* Adds to the count of a pair, which is made where it is new. */
static struct pair *change(struct work *w, uint32_t left, uint32_t right, int64_t by, struct pm_err *e)
{
	struct pair *p;
	uint32_t *slot;

	if (2 * (w->pairs + 1) > w->slots && rehash(w, e) < 0)
		return NULL;
	slot = seek(w, left, right);
	if (!*slot) {
		if (w->pairs >= NONE - 1) {
			pm_fail(e, PM_DATA, "the text has more than %zu different pairs of symbols", w->pairs);
			return NULL;
		}
		if (pm_grow(&w->pair, &w->cap_pairs, w->pairs + 1, sizeof *w->pair, e) < 0)
			return NULL;
		memset(w->pair + w->pairs, 0, sizeof *w->pair);
		w->pair[w->pairs].left = left;
		w->pair[w->pairs++].right = right;
		*slot = (uint32_t)w->pairs;
	}
	p = w->pair + *slot - 1;
	p->count += by;
	return p;
}

/* A pair that word i has now. */
static int formed(struct work *w, uint32_t left, uint32_t right, uint32_t i, struct pm_err *e)
{
	struct pair *p = change(w, left, right, (int64_t)w->count[i], e);
	struct list *l;
	uint32_t *v;

	if (!p)
		return -1;
	l = &p->fresh;
	if (!l->n) {
		if (pm_grow(&w->touched, &w->cap_touched, w->ntouched + 1, sizeof *w->touched, e) < 0)
			return -1;
		w->touched[w->ntouched++] = (uint32_t)(p - w->pair);
	} else if (l->v[l->n - 1] == i) {
		return 0;
	}
	if (l->n == l->cap) {
		l->cap = l->cap ? 2 * l->cap : 2;
		v = realloc(l->v, l->cap * sizeof *v);
		if (!v)
			return pm_fail(e, PM_SOFTWARE, "out of memory");
		l->v = v;
	}
	l->v[l->n++] = i;
	return 0;
}

static bool before(const struct work *w, const struct entry *a, const struct entry *b)
{
	const struct pair *p = w->pair + a->pair, *q = w->pair + b->pair;

	if (a->count != b->count)
		return a->count > b->count;
	if (p->left != q->left)
		return p->left < q->left;
	return p->right != q->right ? p->right < q->right : a->serial < b->serial;
}

static void sink(struct work *w, size_t i)
{
	struct entry x = w->heap[i];
	size_t k;

	while ((k = 2 * i + 1) < w->entries) {
		k += k + 1 < w->entries && before(w, w->heap + k + 1, w->heap + k);
		if (!before(w, w->heap + k, &x))
			break;
		w->heap[i] = w->heap[k];
		i = k;
	}
	w->heap[i] = x;
}

static int push(struct work *w, const struct entry *x, struct pm_err *e)
{
	size_t i = w->entries;

	if (pm_grow(&w->heap, &w->cap_heap, w->entries + 1, sizeof *w->heap, e) < 0)
		return -1;
	w->entries++;
	for (; i && before(w, x, w->heap + (i - 1) / 2); i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = *x;
	return 0;
}

/* Puts the pairs that were formed into the queue, each with its words. */
static int enqueue(struct work *w, struct pm_err *e)
{
	for (size_t i = 0; i < w->ntouched; i++) {
		struct pair *p = w->pair + w->touched[i];
		struct entry x = {p->count, w->touched[i], w->serial++, p->fresh.n, p->fresh.v[0], NULL};
		int r = 0;

		if (p->count <= 0 || p->fresh.n == 1)
			free(p->fresh.v);
		else
			x.words = p->fresh.v;
		memset(&p->fresh, 0, sizeof p->fresh);
		if (p->count > 0)
			r = push(w, &x, e);
		if (r < 0) {
			free(x.words);
			return -1;
		}
	}
	w->ntouched = 0;
	return 0;
}

/* Writes `id` for every left, right in word i. */
static int merge_word(struct work *w, uint32_t i, uint32_t left, uint32_t right, uint32_t id, struct pm_err *e)
{
	uint32_t *s = w->symbol + w->at[i], n = w->len[i], to = 0;
	int64_t count = (int64_t)w->count[i];

	for (uint32_t k = 0; k < n; k++) {
		if (s[k] != left || k + 1 == n || s[k + 1] != right) {
			s[to++] = s[k];
			continue;
		}
		if (to && (!change(w, s[to - 1], left, -count, e) || formed(w, s[to - 1], id, i, e) < 0))
			return -1;
		if (k + 2 < n && (!change(w, right, s[k + 2], -count, e) || formed(w, id, s[k + 2], i, e) < 0))
			return -1;
		s[to++] = id;
		k++;
	}
	w->len[i] = to;
	return 0;
}

/* The token that left and right give, which may be there already. */
static int32_t token(struct work *w, uint32_t left, uint32_t right, struct pm_err *e)
{
	struct pm_vocab *v = &w->out->vocab;
	const char *s;
	size_t n;
	int32_t id;

	pm_str_clear(&w->text);
	s = pm_vocab_text(v, (int32_t)left, &n);
	if (pm_str_put(&w->text, s, n, e) < 0)
		return -1;
	s = pm_vocab_text(v, (int32_t)right, &n);
	if (pm_str_put(&w->text, s, n, e) < 0)
		return -1;
	id = pm_vocab_find(v, w->text.data, w->text.len);
	if (id >= 0)
		return id;
	id = (int32_t)v->n;
	return pm_vocab_add(v, w->text.data, w->text.len, id, e) < 0 ? -1 : id;
}

static int merge_next(struct work *w, struct entry *x, struct pm_err *e)
{
	struct pm_learned_bpe *b = w->out;
	uint32_t left = w->pair[x->pair].left, right = w->pair[x->pair].right;
	int32_t id = token(w, left, right, e);

	if (id < 0 || pm_grow(&b->merge, &b->cap, b->merges + 1, sizeof *b->merge, e) < 0)
		return -1;
	b->merge[b->merges].left = left;
	b->merge[b->merges++].right = right;
	for (uint32_t i = 0; i < x->n; i++)
		if (merge_word(w, x->words ? x->words[i] : x->one, left, right, (uint32_t)id, e) < 0)
			return -1;
	return enqueue(w, e);
}

static int merge_all(struct work *w, const struct pm_learn_opts *o, const struct pm_learn_progress *p, struct pm_err *e)
{
	struct entry x;
	int64_t now;
	int r = 0;

	while (r == 0 && w->out->vocab.n < o->vocab_size && w->entries) {
		x = w->heap[0];
		now = w->pair[x.pair].count;
		if (x.count != now && now > 0) {
			w->heap[0].count = now;
			sink(w, 0);
			continue;
		}
		w->heap[0] = w->heap[--w->entries];
		if (w->entries)
			sink(w, 0);
		if (now > 0 && (uint64_t)now < o->min_frequency) {
			free(x.words);
			break;
		}
		if (now > 0)
			r = merge_next(w, &x, e);
		free(x.words);
		if (p->say)
			p->say(p->arg, w->out->vocab.n, o->vocab_size);
	}
	return r;
}

/* Gives every character an id, by code point. */
static int alphabet(struct pm_vocab *v, const struct pm_spelled *words, bool bytes, struct pm_err *e)
{
	uint32_t *c = pm_alloc(0x110000, sizeof *c, e);
	size_t n = 0, end = words->at[words->n], k;
	char s[4];
	int r = 0;

	if (!c)
		return -1;
	for (size_t i = 0; i < end; i++)
		c[words->chars[i]] = 1;
	for (int i = 0; bytes && i < 256; i++)
		c[pm_bytelevel_char((unsigned char)i)] = 1;
	for (uint32_t i = 0; i < 0x110000; i++)
		if (c[i])
			c[n++] = i;
	for (size_t i = 0; r == 0 && i < n; i++) {
		k = pm_utf8_put(s, c[i]);
		if (pm_vocab_find(v, s, k) < 0)
			r = pm_vocab_add(v, s, k, (int64_t)v->n, e);
	}
	free(c);
	return r;
}

/* Words as ids, and the pairs in them. */
static int begin(struct work *w, const struct pm_spelled *words, struct pm_err *e)
{
	size_t end = words->at[words->n], k;
	char s[4];

	w->at = words->at;
	w->count = words->count;
	w->n = words->n;
	w->symbol = pm_alloc(end, sizeof *w->symbol, e);
	w->len = pm_alloc(words->n, sizeof *w->len, e);
	if (!w->symbol || !w->len)
		return -1;
	for (size_t i = 0; i < end; i++) {
		k = pm_utf8_put(s, words->chars[i]);
		w->symbol[i] = (uint32_t)pm_vocab_find(&w->out->vocab, s, k);
	}
	for (size_t i = 0; i < words->n; i++) {
		const uint32_t *x = w->symbol + words->at[i];

		w->len[i] = (uint32_t)(words->at[i + 1] - words->at[i]);
		for (uint32_t j = 0; j + 1 < w->len[i]; j++)
			if (formed(w, x[j], x[j + 1], (uint32_t)i, e) < 0)
				return -1;
	}
	return enqueue(w, e);
}

int pm_learn_bpe(struct pm_learned_bpe *b, const struct pm_spelled *words, bool bytes, const struct pm_learn_opts *o,
	const struct pm_learn_progress *p, struct pm_err *e)
{
	struct work w = {.out = b};
	int r = alphabet(&b->vocab, words, bytes, e);

	if (r == 0)
		r = begin(&w, words, e);
	if (r == 0)
		r = merge_all(&w, o, p, e);
	for (size_t i = 0; i < w.entries; i++)
		free(w.heap[i].words);
	for (size_t i = 0; i < w.pairs; i++)
		free(w.pair[i].fresh.v);
	free(w.heap);
	free(w.pair);
	free(w.slot);
	free(w.touched);
	free(w.symbol);
	free(w.len);
	pm_str_free(&w.text);
	return r;
}

void pm_learned_bpe_free(struct pm_learned_bpe *b)
{
	pm_vocab_free(&b->vocab);
	free(b->merge);
	memset(b, 0, sizeof *b);
}
