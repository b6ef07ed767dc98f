/* bpe.h: byte pair encoding: the merges, and the loop that applies them. */
#ifndef PM_TEXT_BPE_H
#define PM_TEXT_BPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "text/vocab.h"

struct pm_bpe_merge {
	uint32_t left, right;           /* ids; left == UINT32_MAX: a free slot */
	uint32_t rank;
	int32_t id;
};

/* A hash table of (left, right). Most pairs that are asked for have no merge: a filter of single bits, small enough to stay in
 * a near cache, answers for nearly all of those. */
struct pm_bpe_merges {
	struct pm_bpe_merge *slot;
	uint64_t *filter;
	size_t mask, bits;              /* slots − 1, bits of the filter − 1 */
	bool borrowed;                  /* the tables are someone else's */
};

int pm_bpe_merges_new(struct pm_bpe_merges *m, size_t n, struct pm_err *e);
void pm_bpe_merges_free(struct pm_bpe_merges *m);
void pm_bpe_merges_set(struct pm_bpe_merges *m, int32_t left, int32_t right, uint32_t rank, int32_t id);

/* True where tables that came from elsewhere lead to ids below `ids` only, and find what is in them (some of it is tried). */
bool pm_bpe_merges_good(const struct pm_bpe_merges *m, size_t ids);

/* All that make a piece of two others, by `scores` (a list by id; null: that piece takes no part), or where that is NULL by id. Those whose
 * ids are in the list `apart` take no part either (NULL: all do). */
int pm_bpe_merges_of_pieces(struct pm_bpe_merges *m, const struct pm_vocab *vocab, const json_t *scores, const json_t *apart, struct pm_err *e);

/* A piece under way: ids and the bytes that each covers. */
struct pm_bpe_word {
	int32_t *id;
	uint32_t *len;
	size_t n;
};

struct pm_bpe_scratch;
void pm_bpe_scratch_free(struct pm_bpe_scratch *s);

/* Merges in place, lowest rank first, of equal ones the leftmost; O(n log n). */
int pm_bpe_merge(const struct pm_bpe_merges *m, struct pm_bpe_word *w, struct pm_bpe_scratch *s, struct pm_err *e);

/* The words seen last and what became of them, in sets of two: a line of cache each. */
enum { PM_BPE_KEY = 24, PM_BPE_IDS = 7, PM_BPE_SETS = 1 << 15 };

struct pm_bpe_cached {
	uint64_t key[PM_BPE_KEY / 8];
	int32_t id[PM_BPE_IDS];
	uint8_t n, len[PM_BPE_IDS];     /* bytes of the key (0: a free entry) and of each id; they add up to n */
	uint32_t unused;
};

/* Longer pieces seen last: of scripts without spaces they are clauses. */
enum { PM_BPE_TEXT = 96, PM_BPE_TEXT_IDS = 38, PM_BPE_TEXTS = 1 << 15 };

struct pm_bpe_text {
	uint8_t n, ids, len[PM_BPE_TEXT_IDS];   /* n: bytes, 0: free */
	char s[PM_BPE_TEXT];
	int32_t id[PM_BPE_TEXT_IDS];
};

/* The pairs asked for last, merged or not: what the table of all merges is too large to keep in a near cache. */
enum { PM_BPE_PAIRS = 1 << 16 };

struct pm_bpe_pair {
	uint32_t left, right, rank;     /* left: one more than it is; 0: free */
	int32_t id;
};

/* Goes with one table of merges. */
struct pm_bpe_scratch {
	int32_t *id;                    /* the word's arrays */
	uint32_t *len;
	size_t cap_id, cap_len;
	struct pm_bpe_symbol *symbol;   /* of long pieces */
	uint64_t *heap;
	size_t cap_symbol, cap_heap;
	struct pm_bpe_pair pair[PM_BPE_PAIRS];
	struct pm_bpe_text text[PM_BPE_TEXTS];
	struct pm_bpe_cached cache[PM_BPE_SETS][2];
};

#endif
