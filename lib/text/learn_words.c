/* Counted words. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/bytelevel.h"
#include "text/learn_parts.h"
#include "text/unicode.h"

static uint32_t *seek(const struct pm_words *w, const char *s, size_t n, uint64_t h)
{
	size_t mask = w->slots - 1, i = (size_t)h & mask;
	const struct pm_counted *c;

	for (; w->slot[i]; i = (i + 1) & mask) {
		c = w->word + w->slot[i] - 1;
		if (c->tag == (uint32_t)(h >> 32) && c->len == n && memcmp(w->bytes + c->at, s, n) == 0)
			break;
	}
	return w->slot + i;
}

static int rehash(struct pm_words *w, struct pm_err *e)
{
	size_t slots = w->slots ? 2 * w->slots : 1 << 16;
	uint32_t *slot = pm_alloc(slots, sizeof *slot, e);
	const struct pm_counted *c;

	if (!slot)
		return -1;
	free(w->slot);
	w->slot = slot;
	w->slots = slots;
	for (size_t i = 0; i < w->n; i++) {
		c = w->word + i;
		*seek(w, w->bytes + c->at, c->len, pm_vocab_hash(w->bytes + c->at, c->len)) = (uint32_t)i + 1;
	}
	return 0;
}

int pm_words_add(struct pm_words *w, const char *s, size_t n, struct pm_err *e)
{
	uint64_t h = pm_vocab_hash(s, n);
	struct pm_counted *c;
	uint32_t *slot;

	if (2 * (w->n + 1) > w->slots && rehash(w, e) < 0)
		return -1;
	slot = seek(w, s, n, h);
	w->total++;
	if (*slot) {
		w->word[*slot - 1].count++;
		return 0;
	}
	if (n >= UINT32_MAX || w->n >= UINT32_MAX - 1)
		return pm_fail(e, PM_DATA, "a word of %zu bytes, after %zu different ones, is too much to learn from", n, w->n);
	if (pm_grow(&w->word, &w->cap, w->n + 1, sizeof *w->word, e) < 0 || pm_grow(&w->bytes, &w->cap_bytes, w->nbytes + n, 1, e) < 0)
		return -1;
	memcpy(w->bytes + w->nbytes, s, n);
	c = w->word + w->n++;
	c->at = w->nbytes;
	c->count = 1;
	c->len = (uint32_t)n;
	c->tag = (uint32_t)(h >> 32);
	w->nbytes += n;
	*slot = (uint32_t)w->n;
	return 0;
}

void pm_words_free(struct pm_words *w)
{
	free(w->bytes);
	free(w->word);
	free(w->slot);
	memset(w, 0, sizeof *w);
}

int pm_spelled_new(struct pm_spelled *s, const struct pm_words *w, bool bytes, struct pm_err *e)
{
	size_t n = 0, k;

	memset(s, 0, sizeof *s);
	s->chars = pm_alloc(w->nbytes, sizeof *s->chars, e);
	s->at = pm_alloc(w->n + 1, sizeof *s->at, e);
	s->count = pm_alloc(w->n, sizeof *s->count, e);
	if (!s->chars || !s->at || !s->count)
		return -1;
	for (size_t i = 0; i < w->n; i++) {
		const char *t = w->bytes + w->word[i].at;

		for (size_t j = 0; j < w->word[i].len; j += k) {
			k = 1;
			s->chars[n++] = bytes ? pm_bytelevel_char((unsigned char)t[j]) : pm_utf8_get(t + j, &k);
		}
		s->at[i + 1] = n;
		s->count[i] = w->word[i].count;
	}
	s->n = w->n;
	return 0;
}

void pm_spelled_free(struct pm_spelled *s)
{
	free(s->chars);
	free(s->at);
	free(s->count);
	memset(s, 0, sizeof *s);
}
