/* Learning the pieces of Unigram: expectation maximization with pruning. See learn_seed.c for where pieces come from. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/bytelevel.h"
#include "text/learn_seed.h"
#include "text/trie.h"
#include "text/unicode.h"

enum { SEEDS = 1000000, SUB_ITERATIONS = 2 };
static const double SHRINK = 0.75, RARE = 0.5;

struct model {
	const struct pm_seeds *seeds;
	double *score, *expected;
	bool *alive;
	size_t n;                       /* alive */
	struct pm_trie trie;
	/* words as UTF-8 */
	char *text;
	size_t *at, words;
	const uint64_t *count;
	/* of one word */
	double *alpha, *beta, *scaled;
	uint32_t *from;
	int32_t *piece;
	double per_byte;                /* what a byte adds to the logarithm of a word's probability, about */
};

static double digamma(double x)
{
	double r = 0, y;

	for (; x < 7; x++)
		r -= 1 / x;
	x -= 0.5;
	y = 1 / (x * x);
	return r + log(x) + y / 24 - 7.0 / 960 * y * y + 31.0 / 8064 * y * y * y - 127.0 / 30720 * y * y * y * y;
}

static double add_logs(double a, double b)
{
	double hi = a > b ? a : b, lo = a > b ? b : a;

	return lo == -INFINITY ? hi : hi + log1p(exp(lo - hi));
}

/* Walks the pieces that begin at byte i: `for (node = root …; node; node = next)`. */
static uint32_t step(const struct pm_trie *t, uint32_t node, const char *s, size_t n, size_t j)
{
	return j < n ? pm_trie_step(t, node, (unsigned char)s[j]) : 0;
}

/* The expected counts of a word's pieces, with probabilities as they are but for e^(scale * bytes), which cancels out. False where they
 * leave the range of a double. */
static bool expect_fast(struct model *m, const char *s, size_t n, double count, double *z)
{
	const struct pm_trie *t = &m->trie;
	uint32_t node;
	double p, norm;
	size_t j;

	memset(m->alpha, 0, (n + 1) * sizeof *m->alpha);
	memset(m->beta, 0, (n + 1) * sizeof *m->beta);
	m->alpha[0] = m->beta[n] = 1;
	for (size_t i = 0; i < n; i++) {
		if (m->alpha[i] == 0)
			continue;
		for (node = t->root[(unsigned char)s[i]], j = i + 1; node; node = step(t, node, s, n, j++))
			if (t->node[node].value >= 0)
				m->alpha[j] += m->alpha[i] * m->scaled[t->node[node].value];
	}
	*z = m->alpha[n];
	if (!(*z > 1e-250 && *z < 1e250))
		return false;
	norm = count / *z;
	for (size_t i = n; i--; ) {
		if (m->alpha[i] == 0)
			continue;
		for (node = t->root[(unsigned char)s[i]], j = i + 1; node; node = step(t, node, s, n, j++)) {
			int32_t id = t->node[node].value;

			if (id < 0 || !m->alive[id])
				continue;
			p = m->scaled[id] * m->beta[j];
			m->beta[i] += p;
			m->expected[id] += m->alpha[i] * p * norm;
		}
	}
	*z = log(*z) - m->per_byte * (double)n;
	return true;
}

/* The same by logarithms. */
static void expect_slow(struct model *m, const char *s, size_t n, double count, double *z)
{
	const struct pm_trie *t = &m->trie;
	uint32_t node;
	size_t j;

	for (size_t i = 0; i <= n; i++)
		m->alpha[i] = m->beta[i] = -INFINITY;
	m->alpha[0] = m->beta[n] = 0;
	for (size_t i = 0; i < n; i++) {
		if (m->alpha[i] == -INFINITY)
			continue;
		for (node = t->root[(unsigned char)s[i]], j = i + 1; node; node = step(t, node, s, n, j++))
			if (t->node[node].value >= 0 && m->alive[t->node[node].value])
				m->alpha[j] = add_logs(m->alpha[j], m->alpha[i] + m->score[t->node[node].value]);
	}
	*z = m->alpha[n];
	for (size_t i = n; i--; ) {
		if (m->alpha[i] == -INFINITY)
			continue;
		for (node = t->root[(unsigned char)s[i]], j = i + 1; node; node = step(t, node, s, n, j++)) {
			int32_t id = t->node[node].value;

			if (id < 0 || !m->alive[id])
				continue;
			m->beta[i] = add_logs(m->beta[i], m->score[id] + m->beta[j]);
			m->expected[id] += count * exp(m->alpha[i] + m->score[id] + m->beta[j] - *z);
		}
	}
}

/* One step of expectation, one of maximization; with a prior that leaves rare pieces out (Liang 2007). */
static void improve(struct model *m)
{
	double sum = 0, z, all = 0, bytes = 0;

	for (size_t i = 0; i < m->seeds->n; i++) {
		m->expected[i] = 0;
		m->scaled[i] = m->alive[i] ? exp(m->score[i] + m->per_byte * (double)m->seeds->v[i].bytes) : 0;
	}
	for (size_t i = 0; i < m->words; i++) {
		const char *s = m->text + m->at[i];
		size_t n = m->at[i + 1] - m->at[i];

		if (!expect_fast(m, s, n, (double)m->count[i], &z))
			expect_slow(m, s, n, (double)m->count[i], &z);
		all += z;
		bytes += (double)n;
	}
	m->per_byte = bytes > 0 ? -all / bytes : 0;
	for (size_t i = 0; i < m->seeds->n; i++) {
		if (!m->alive[i])
			continue;
		if (m->expected[i] < RARE && m->seeds->v[i].chars == 1)
			m->expected[i] = RARE;
		if (m->expected[i] < RARE) {
			m->alive[i] = false;
			m->n--;
			continue;
		}
		sum += m->expected[i];
	}
	sum = digamma(sum);
	for (size_t i = 0; i < m->seeds->n; i++)
		m->score[i] = m->alive[i] ? digamma(m->expected[i]) - sum : -INFINITY;
}

/* The best way through s, without piece `not`. from[j]: where the last piece to j begins. */
static void best_way(struct model *m, const char *s, size_t n, int32_t not)
{
	const struct pm_trie *t = &m->trie;
	uint32_t node;
	size_t j;

	for (size_t i = 1; i <= n; i++)
		m->alpha[i] = -INFINITY;
	m->alpha[0] = 0;
	for (size_t i = 0; i < n; i++) {
		if (m->alpha[i] == -INFINITY)
			continue;
		for (node = t->root[(unsigned char)s[i]], j = i + 1; node; node = step(t, node, s, n, j++)) {
			int32_t id = t->node[node].value;

			if (id < 0 || id == not || !m->alive[id] || m->alpha[i] + m->score[id] <= m->alpha[j])
				continue;
			m->alpha[j] = m->alpha[i] + m->score[id];
			m->from[j] = (uint32_t)i;
			m->piece[j] = id;
		}
	}
}

/* What the logarithm of the text's probability loses where piece i goes, by how often it was on a best way (freq, of `sum` in all). */
static double loss(struct model *m, size_t i, const double *freq, double sum)
{
	const struct pm_seed *x = m->seeds->v + i;
	double other = 0, log_sum;
	size_t parts = 0;

	best_way(m, m->seeds->bytes + x->at, x->bytes, (int32_t)i);
	for (size_t j = x->bytes; j; j = m->from[j])
		parts++;
	log_sum = log(sum + freq[i] * (double)(parts - 1));
	for (size_t j = x->bytes; j; j = m->from[j])
		other += log(freq[m->piece[j]] + freq[i]) - log_sum;
	return freq[i] * (log(freq[i]) - log(sum) - other);
}

struct candidate {
	double loss;
	uint32_t id;
};

static int by_loss(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;

	if (x->loss != y->loss)
		return x->loss < y->loss ? 1 : -1;
	return (x->id > y->id) - (x->id < y->id);
}

/* Leaves `keep` pieces alive, or as many as there are characters. */
static int prune(struct model *m, size_t keep, struct pm_err *e)
{
	double *freq = pm_alloc(m->seeds->n, sizeof *freq, e), sum = 0;
	struct candidate *c = pm_alloc(m->n, sizeof *c, e);
	size_t n = 0, sure = 0;

	for (size_t i = 0; freq && c && i < m->words; i++) {
		size_t len = m->at[i + 1] - m->at[i];

		best_way(m, m->text + m->at[i], len, -1);
		for (size_t j = len; j; j = m->from[j]) {
			freq[m->piece[j]] += (double)m->count[i];
			sum += (double)m->count[i];
		}
	}
	for (size_t i = 0; freq && c && i < m->seeds->n; i++) {
		if (m->alive[i] && m->seeds->v[i].chars == 1) {
			sure++;
		} else if (m->alive[i] && freq[i] == 0) {
			m->alive[i] = false;
			m->n--;
		} else if (m->alive[i]) {
			c[n].id = (uint32_t)i;
			c[n++].loss = loss(m, i, freq, sum);
		}
	}
	if (freq && c) {
		qsort(c, n, sizeof *c, by_loss);
		for (size_t i = keep > sure ? keep - sure : 0; i < n; i++) {
			m->alive[c[i].id] = false;
			m->n--;
		}
	}
	free(freq);
	free(c);
	return freq && c ? 0 : -1;
}

static int begin(struct model *m, const struct pm_spelled *words, struct pm_err *e)
{
	const struct pm_seeds *s = m->seeds;
	struct pm_trie_key *key = pm_alloc(s->n, sizeof *key, e);
	size_t chars = words->at[words->n], n = 0, longest = 64;
	double sum = 0;
	int r = -1;

	m->score = pm_alloc(s->n, sizeof *m->score, e);
	m->scaled = pm_alloc(s->n, sizeof *m->scaled, e);
	m->expected = pm_alloc(s->n, sizeof *m->expected, e);
	m->alive = pm_alloc(s->n, sizeof *m->alive, e);
	m->text = pm_alloc(4 * chars + 1, 1, e);
	m->at = pm_alloc(words->n + 1, sizeof *m->at, e);
	m->words = words->n;
	m->count = words->count;
	m->n = s->n;
	if (!key || !m->score || !m->scaled || !m->expected || !m->alive || !m->text || !m->at)
		goto out;
	for (size_t i = 0; i < s->n; i++) {
		key[i].s = s->bytes + s->v[i].at;
		key[i].n = s->v[i].bytes;
		key[i].value = (int32_t)i;
		m->alive[i] = true;
		sum += s->v[i].score;
		longest = s->v[i].bytes > longest ? s->v[i].bytes : longest;
	}
	for (size_t i = 0; i < s->n; i++)
		m->score[i] = log(s->v[i].score) - log(sum);
	for (size_t i = 0; i < words->n; i++) {
		for (size_t j = words->at[i]; j < words->at[i + 1]; j++)
			n += pm_utf8_put(m->text + n, words->chars[j]);
		m->at[i + 1] = n;
		longest = n - m->at[i] > longest ? n - m->at[i] : longest;
	}
	m->alpha = pm_alloc(longest + 1, sizeof *m->alpha, e);
	m->beta = pm_alloc(longest + 1, sizeof *m->beta, e);
	m->from = pm_alloc(longest + 1, sizeof *m->from, e);
	m->piece = pm_alloc(longest + 1, sizeof *m->piece, e);
	m->per_byte = 2;
	if (m->alpha && m->beta && m->from && m->piece)
		r = pm_trie_build(&m->trie, key, s->n, e);
out:
	free(key);
	return r;
}

static void end(struct model *m)
{
	free(m->score);
	free(m->scaled);
	free(m->expected);
	free(m->alive);
	free(m->text);
	free(m->at);
	free(m->alpha);
	free(m->beta);
	free(m->from);
	free(m->piece);
	pm_trie_free(&m->trie);
}

static int by_score(const void *a, const void *b)
{
	const struct pm_learned_piece *x = a, *y = b;

	if (x->score != y->score)
		return x->score < y->score ? 1 : -1;
	return (x->at > y->at) - (x->at < y->at);
}

/* The best pieces, and all characters. */
static int result(struct pm_learned_unigram *u, const struct model *m, size_t size, struct pm_err *e)
{
	const struct pm_seeds *s = m->seeds;
	struct pm_learned_piece *p = pm_alloc(m->n, sizeof *p, e);
	size_t n = 0, chars = 0;
	int r = p ? 0 : -1;

	for (size_t i = 0; p && i < s->n; i++) {
		if (!m->alive[i])
			continue;
		chars += s->v[i].chars == 1;
		p[n].at = i;
		p[n++].score = round(m->score[i] * 1e8) / 1e8;  /* what lies below is noise, and makes long files */
	}
	if (p)
		qsort(p, n, sizeof *p, by_score);
	size = size > chars ? size - chars : 0;
	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct pm_seed *x = s->v + p[i].at;

		if (x->chars > 1 && !size)
			continue;
		size -= x->chars > 1;
		if (pm_grow(&u->piece, &u->cap, u->n + 1, sizeof *u->piece, e) < 0 || pm_grow(&u->bytes, &u->cap_bytes, u->nbytes + x->bytes, 1, e) < 0)
			r = -1;
		else {
			u->piece[u->n].at = u->nbytes;
			u->piece[u->n].len = x->bytes;
			u->piece[u->n++].score = p[i].score;
			memcpy(u->bytes + u->nbytes, s->bytes + x->at, x->bytes);
			u->nbytes += x->bytes;
		}
	}
	free(p);
	return r;
}

int pm_learn_unigram(struct pm_learned_unigram *u, const struct pm_spelled *words, bool bytes, size_t size, size_t max_piece,
	const struct pm_learn_progress *p, struct pm_err *e)
{
	struct pm_seeds seeds = {0};
	struct model m = {.seeds = &seeds};
	size_t wanted = size + size / 10, keep;
	int r = pm_seeds_find(&seeds, words, bytes, max_piece, SEEDS, e);

	if (r == 0)
		r = begin(&m, words, e);
	while (r == 0) {
		for (int i = 0; i < SUB_ITERATIONS; i++) {
			improve(&m);
			if (p->say)
				p->say(p->arg, m.n > size ? size : m.n, 0);
		}
		if (m.n <= wanted)
			break;
		keep = (size_t)((double)m.n * SHRINK);
		keep = keep > wanted ? keep : wanted;
		/* where the characters alone are more than wanted, that is all */
		if (keep < seeds.chars && m.n <= seeds.chars)
			break;
		r = prune(&m, keep, e);
	}
	if (r == 0)
		r = result(u, &m, size, e);
	end(&m);
	pm_seeds_free(&seeds);
	return r;
}

void pm_learned_unigram_free(struct pm_learned_unigram *u)
{
	free(u->piece);
	free(u->bytes);
	memset(u, 0, sizeof *u);
}
