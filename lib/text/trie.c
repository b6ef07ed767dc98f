#include "text/trie.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static int by_bytes(const void *x, const void *y)
{
	const struct pm_trie_key *a = x, *b = y;
	int r = memcmp(a->s, b->s, a->n < b->n ? a->n : b->n);

	return r ? r : a->n != b->n ? (a->n < b->n ? -1 : 1) : a->value < b->value ? -1 : a->value > b->value;
}

/* Node k stands for the keys lo .. hi, which share their first `depth` bytes. */
struct range {
	size_t lo, hi, depth;
};

static int add_node(struct pm_trie *t, struct range **todo, size_t *cap, struct range r, struct pm_err *e)
{
	struct pm_trie_node *n;

	if (t->nodes == UINT32_MAX)
		return pm_fail(e, PM_DATA, "the tokens are too much text");
	if (pm_grow(todo, cap, t->nodes + 1, sizeof **todo, e) < 0 || pm_grow(&t->node, &t->cap_nodes, t->nodes + 1, sizeof *n, e) < 0)
		return -1;
	(*todo)[t->nodes] = r;
	n = t->node + t->nodes++;
	n->edge = n->n = 0;
	n->value = -1;
	return 0;
}

/* Gives node k its value and its edges. */
static int expand(struct pm_trie *t, const struct pm_trie_key *p, size_t k, struct range **todo, size_t *cap, struct pm_err *e)
{
	struct range r = (*todo)[k];

	for (; r.lo < r.hi && p[r.lo].n == r.depth; r.lo++)
		t->node[k].value = p[r.lo].value;
	t->node[k].edge = (uint32_t)t->edges;
	while (r.lo < r.hi) {
		struct range sub = {r.lo, r.lo, r.depth + 1};
		unsigned char b = (unsigned char)p[r.lo].s[r.depth];

		while (sub.hi < r.hi && (unsigned char)p[sub.hi].s[r.depth] == b)
			sub.hi++;
		r.lo = sub.hi;
		if (pm_grow(&t->edge, &t->cap_edges, t->edges + 1, sizeof *t->edge, e) < 0)
			return -1;
		t->edge[t->edges].byte = b;
		t->edge[t->edges++].node = (uint32_t)t->nodes;
		t->node[k].n++;
		if (k == 0)
			t->root[b] = (uint32_t)t->nodes;
		if (add_node(t, todo, cap, sub, e) < 0)
			return -1;
	}
	return 0;
}

/* Breadth first, so that a node's edges lie together. */
int pm_trie_build(struct pm_trie *t, struct pm_trie_key *key, size_t n, struct pm_err *e)
{
	struct range *todo = NULL, all = {0, n, 0};
	size_t cap = 0;
	int r;

	memset(t, 0, sizeof *t);
	if (!n)
		return 0;
	qsort(key, n, sizeof *key, by_bytes);
	r = add_node(t, &todo, &cap, all, e);
	for (size_t k = 0; r == 0 && k < t->nodes; k++)
		r = expand(t, key, k, &todo, &cap, e);
	free(todo);
	return r;
}

void pm_trie_free(struct pm_trie *t)
{
	if (!t->borrowed) {
		free(t->node);
		free(t->edge);
	}
	memset(t, 0, sizeof *t);
}

bool pm_trie_good(const struct pm_trie *t, size_t values)
{
	for (size_t i = 0; i < 256; i++)
		if (t->root[i] && t->root[i] >= t->nodes)
			return false;
	for (size_t i = 0; i < t->nodes; i++) {
		const struct pm_trie_node *n = t->node + i;

		if (n->edge > t->edges || n->n > t->edges - n->edge || n->value < -1 || (n->value >= 0 && (size_t)n->value >= values))
			return false;
	}
	for (size_t i = 0; i < t->edges; i++)
		if (t->edge[i].node >= t->nodes)
			return false;
	return true;
}

int32_t pm_trie_longest(const struct pm_trie *t, const char *s, size_t n, size_t *len)
{
	uint32_t node = n ? t->root[(unsigned char)s[0]] : 0;
	int32_t value = -1;

	for (size_t i = 1; node; i++) {
		if (t->node[node].value >= 0) {
			value = t->node[node].value;
			*len = i;
		}
		node = i < n ? pm_trie_step(t, node, (unsigned char)s[i]) : 0;
	}
	return value;
}
