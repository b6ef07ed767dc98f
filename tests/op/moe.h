/* moe.h: what the tests of experts share: logits that leave no doubt who is chosen, and the choice in plain C. */
#ifndef PM_TESTS_OP_MOE_H
#define PM_TESTS_OP_MOE_H

#include <math.h>
#include <stdlib.h>

#include "base/rng.h"

/* Logits of T rows: distances of at least 0.2 between those of a row, in random order. Every third expert from the second on is never among the
 * largest two thirds. */
static inline void moe_logits(double *v, int64_t T, int64_t E, const void *row)
{
	int64_t t, i, j;

	(void)row;
	for (t = 0; t < T; t++) {
		for (i = 0; i < E; i++)
			v[t * E + i] = 0.3 * (double)i + 0.1 * pm_rng_uniform(3, 1, (uint64_t)(t * E + i));
		for (i = E - 1; i > 0; i--) {
			double x = v[t * E + i];

			j = (int64_t)(pm_rng_u32(3, 2, (uint64_t)(t * E + i)) % (uint64_t)(i + 1));
			v[t * E + i] = v[t * E + j];
			v[t * E + j] = x;
		}
		for (i = 1; i < E; i += 3)
			v[t * E + i] -= 0.3 * (double)E;
		for (i = 0; i < E; i++)
			v[t * E + i] -= 0.15 * (double)E;
	}
}

/* The k largest logits of a row, lowest number first of equals, and their weights. all: shares of the softmax over all; else over the chosen. */
static inline void moe_choose(const double *x, int64_t E, int64_t k, bool all, double scale, double *expert, double *weight)
{
	double sum = 0;
	int64_t i, j, c;

	for (j = 0; j < k; j++) {
		int64_t best = -1;

		for (i = 0; i < E; i++) {
			for (c = 0; c < j && (int64_t)expert[c] != i;)
				c++;
			if (c == j && (best < 0 || x[i] > x[best]))
				best = i;
		}
		expert[j] = (double)best;
	}
	for (j = 0; j < (all ? E : k); j++)
		sum += exp(x[all ? j : (int64_t)expert[j]]);
	for (j = 0; j < k; j++)
		weight[j] = scale * exp(x[(int64_t)expert[j]]) / sum;
}

#endif
