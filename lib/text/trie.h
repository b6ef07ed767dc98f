/* trie.h: a set of byte strings, each with a number, walked a byte at a time. */
#ifndef PM_TEXT_TRIE_H
#define PM_TEXT_TRIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct pm_trie_key {
	const char *s;
	size_t n;
	int32_t value;                  /* not negative */
};

struct pm_trie_node {
	uint32_t edge, n;               /* its edges, by rising byte */
	int32_t value;                  /* of the key that ends here, −1 */
};

struct pm_trie_edge {
	unsigned char byte;
	uint32_t node;
};

struct pm_trie {
	struct pm_trie_node *node;
	struct pm_trie_edge *edge;
	size_t nodes, cap_nodes, edges, cap_edges;
	bool borrowed;                  /* the tables are someone else's */
	uint32_t root[256];             /* node of a first byte, 0: none */
};

/* Sorts the keys; of equal ones the highest value counts. No key may be empty. */
int pm_trie_build(struct pm_trie *t, struct pm_trie_key *key, size_t n, struct pm_err *e);
void pm_trie_free(struct pm_trie *t);

/* True where tables that came from elsewhere lead nowhere outside of them, and to values below `values`. */
bool pm_trie_good(const struct pm_trie *t, size_t values);

/* The value of the longest key that s (n bytes) begins with, and its length; −1: none. */
int32_t pm_trie_longest(const struct pm_trie *t, const char *s, size_t n, size_t *len);

/* The node behind node k by byte b, 0: none. The first step is root[b]. */
static inline uint32_t pm_trie_step(const struct pm_trie *t, uint32_t k, unsigned char b)
{
	const struct pm_trie_edge *p = t->edge + t->node[k].edge;
	uint32_t n = t->node[k].n, half;

	while (n > 8) {
		half = n / 2;
		if (p[half].byte <= b) {
			p += half;
			n -= half;
		} else {
			n = half;
		}
	}
	for (; n && p->byte != b; n--)
		p++;
	return n ? p->node : 0;
}

#endif
