/* bpe_cache.h: the cache of words (bpe.h): keys, and entering one. */
#ifndef PM_TEXT_BPE_CACHE_H
#define PM_TEXT_BPE_CACHE_H

#include <string.h>

#include "text/bpe.h"
#include "text/view.h"
#include "text/vocab.h"

/* The bytes of a key as three words that tell different keys of one length apart, and their hash. */
static inline uint64_t key_of(const struct pm_view *v, uint64_t key[3])
{
	key[2] = 0;
	if (v->n <= 16) {
		pm_vocab_words(v->s, v->n, key);
	} else {
		memcpy(key, v->s, 16);
		memcpy(key + 2, v->s + v->n - 8, 8);
	}
	return pm_vocab_mix(key[0] ^ v->n, key[1] ^ key[2] * UINT64_C(0x9e3779b97f4a7c15));
}

static inline bool same_key(const struct pm_bpe_cached *c, const uint64_t key[3], size_t n)
{
	return ((c->key[0] ^ key[0]) | (c->key[1] ^ key[1]) | (c->key[2] ^ key[2]) | (c->n ^ n)) == 0;
}

/* The newest of a set stands first. */
static inline void remember(struct pm_bpe_cached set[2], const uint64_t key[3], size_t n, const struct pm_bpe_word *x)
{
	struct pm_bpe_cached *c = set;
	size_t sum = 0;

	for (size_t i = 0; i < x->n; i++)
		sum += x->len[i];
	if (x->n > PM_BPE_IDS || sum != n)
		return;
	set[1] = set[0];
	memset(c, 0, sizeof *c);
	memcpy(c->key, key, sizeof c->key);
	c->n = (uint8_t)n;
	for (size_t i = 0; i < x->n; i++) {
		c->id[i] = x->id[i];
		c->len[i] = (uint8_t)x->len[i];
	}
}

/* The place of a longer piece. */
static inline struct pm_bpe_text *text_place(struct pm_bpe_scratch *c, const struct pm_view *v)
{
	return c->text + (pm_vocab_hash(v->s, v->n) >> 8 & (PM_BPE_TEXTS - 1));
}

static inline bool same_text(const struct pm_bpe_text *t, const struct pm_view *v)
{
	return t->n == v->n && memcmp(t->s, v->s, v->n) == 0;
}

static inline const struct pm_bpe_word *recall_text(const struct pm_bpe_text *t, uint32_t len[PM_BPE_TEXT_IDS], struct pm_bpe_word *x)
{
	x->id = (int32_t *)(size_t)t->id;
	x->len = len;
	x->n = t->ids;
	for (size_t i = 0; i < x->n; i++)
		len[i] = t->len[i];
	return x;
}

static inline void remember_text(struct pm_bpe_text *t, const struct pm_view *v, const struct pm_bpe_word *x)
{
	size_t sum = 0;

	for (size_t i = 0; i < x->n; i++)
		sum += x->len[i];
	if (x->n > PM_BPE_TEXT_IDS || sum != v->n)
		return;
	memcpy(t->s, v->s, v->n);
	t->n = (uint8_t)v->n;
	t->ids = (uint8_t)x->n;
	for (size_t i = 0; i < x->n; i++) {
		t->id[i] = x->id[i];
		t->len[i] = (uint8_t)x->len[i];
	}
}

#endif
