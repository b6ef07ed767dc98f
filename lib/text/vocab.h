/* vocab.h: the spellings of tokens and their ids, both ways. Filled once, then only read. */
#ifndef PM_TEXT_VOCAB_H
#define PM_TEXT_VOCAB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

struct pm_vocab_entry {
	uint32_t at, len;               /* in bytes[], closed by a 0 */
	int32_t id;
};

struct pm_vocab {
	char *bytes;
	struct pm_vocab_entry *entry;   /* in the order of adding */
	struct pm_vocab_slot {
		uint32_t entry, tag;    /* index + 1 (0: free), and bits of the hash */
	} *slot;
	int32_t *by_id;                 /* index of an entry, −1 where an id has none */
	size_t nbytes, cap_bytes, n, cap_entry, slots, ids, cap_ids;
	bool borrowed;                  /* the tables are someone else's; nothing can be added */
};

/* Makes room for n spellings at once. */
int pm_vocab_room(struct pm_vocab *v, size_t n, struct pm_err *e);

/* Adds a spelling; one that is there takes the new id, though its old one still spells so. Ids go from 0 to 2^24. */
int pm_vocab_add(struct pm_vocab *v, const char *s, size_t n, int64_t id, struct pm_err *e);
void pm_vocab_free(struct pm_vocab *v);

int32_t pm_vocab_find(const struct pm_vocab *v, const char *s, size_t n);               /* its id, −1: none */
const char *pm_vocab_text(const struct pm_vocab *v, int32_t id, size_t *n);             /* NULL: none */

/* True where tables that came from elsewhere lead nowhere outside of them, and find what is in them (some of it is tried). */
bool pm_vocab_good(const struct pm_vocab *v);

/* A hash of n bytes; fast for short ones, never reads past them. */
static inline uint64_t pm_vocab_mix(uint64_t a, uint64_t b)
{
	uint64_t h = (a ^ UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xd6e8feb86659fd93);

	h ^= h >> 32;
	h = (h ^ b) * UINT64_C(0xa0761d6478bd642f);
	return h ^ h >> 29;
}

/* The bytes of a key of at most 16, as two words that tell different keys of one length apart. */
static inline void pm_vocab_words(const char *s, size_t n, uint64_t w[2])
{
	uint32_t a, b;

	w[1] = 0;
	if (n > 8) {
		memcpy(&w[0], s, 8);
		memcpy(&w[1], s + n - 8, 8);
	} else if (n == 8) {
		memcpy(&w[0], s, 8);
	} else if (n >= 4) {
		memcpy(&a, s, 4);
		memcpy(&b, s + n - 4, 4);
		w[0] = (uint64_t)b << 32 | a;
	} else {
		w[0] = n ? (uint64_t)(unsigned char)s[0] | (uint64_t)(unsigned char)s[n / 2] << 8 | (uint64_t)(unsigned char)s[n - 1] << 16 : 0;
	}
}

static inline uint64_t pm_vocab_hash(const char *s, size_t n)
{
	uint64_t h = n, w[2];

	for (; n > 16; s += 16, n -= 16) {
		memcpy(w, s, 16);
		h = pm_vocab_mix(h ^ w[0], w[1]);
	}
	pm_vocab_words(s, n, w);
	return pm_vocab_mix(h ^ w[0], w[1]);
}

#endif
