/* lib/base/rng: known answers, distribution, shuffles. */
#include "base/rng.h"

#include <math.h>
#include <string.h>

#include "tap.h"

/* The known answer that Random123 publishes for Philox4x32-10 (kat_vectors) with a counter and a key of zeros. Its others have a
 * fourth counter word other than 0, which ours never has: paper() below covers the rest. */
static void known(void)
{
	uint32_t w[4];

	pm_rng_block(w, 0, 0, 0);
	check(w[0] == 0x6627e8d5 && w[1] == 0xe169c58d && w[2] == 0xbc57ac4c && w[3] == 0x9b00dbd8, "counter and key of zeros");
	check(pm_rng_u32(0, 0, 0) == 0x6627e8d5 && pm_rng_u32(0, 0, 3) == 0x9b00dbd8, "single words come from the block in order");
	check(pm_rng_uniform(0, 0, 0) == (float)(0x6627e8d5 >> 8) / 16777216.0f, "a uniform number is the upper 24 bits");
}

/* Ten rounds as the paper writes them, on 64-bit halves, to hold keys, streams and indices to their places. */
static void paper(uint32_t c[4], uint32_t k0, uint32_t k1)
{
	int r;

	for (r = 0; r < 10; r++) {
		uint64_t m0 = (uint64_t)c[0] * 0xD2511F53u, m1 = (uint64_t)c[2] * 0xCD9E8D57u;
		uint32_t n[4] = {(uint32_t)(m1 >> 32) ^ c[1] ^ k0, (uint32_t)m1, (uint32_t)(m0 >> 32) ^ c[3] ^ k1, (uint32_t)m0};

		memcpy(c, n, sizeof n);
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
}

static void places(void)
{
	uint32_t w[4], c[4] = {0x89abcdef, 0x01234567, 77, 0};

	paper(c, 0x44332211, 0x88776655);
	pm_rng_block(w, 0x8877665544332211, 77, 0x0123456789abcdef);
	check(!memcmp(w, c, sizeof w), "the index is words 0 and 1 of the counter, the stream word 2, the seed the key");
}

static void moments(void)
{
	enum { N = 200000 };
	double s = 0, s2 = 0, s4 = 0, u = 0, lo = 1, hi = 0;
	int i, same = 0, bad = 0;

	for (i = 0; i < N; i++) {
		double x = pm_rng_normal(5, 1, (uint64_t)i), v = pm_rng_uniform(5, 2, (uint64_t)i);

		bad += !isfinite(x);
		s += x;
		s2 += x * x;
		s4 += x * x * x * x;
		u += v;
		lo = v < lo ? v : lo;
		hi = v > hi ? v : hi;
		same += pm_rng_u32(5, 3, (uint64_t)i) == pm_rng_u32(5, 4, (uint64_t)i);
	}
	check(!bad && fabs(s / N) < 0.01 && fabs(s2 / N - 1) < 0.015 && fabs(s4 / N - 3) < 0.1, "normal deviates: mean %.4f, variance %.4f, "
		"fourth moment %.3f", s / N, s2 / N, s4 / N);
	check(fabs(u / N - 0.5) < 0.003 && lo >= 0 && lo < 1e-4 && hi < 1 && hi > 0.9999, "uniform numbers fill [0, 1)");
	check(same <= 2, "streams differ");
}

static int cmp(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void shuffles(void)
{
	uint64_t a[1000], b[1000], one = 7;
	int first[5] = {0}, i, k, perm = 1;

	pm_rng_shuffle(a, 1000, 9, 1);
	pm_rng_shuffle(b, 1000, 9, 1);
	check(!memcmp(a, b, sizeof a), "the same seed gives the same order");
	pm_rng_shuffle(b, 1000, 10, 1);
	check(memcmp(a, b, sizeof a) != 0, "another seed another");
	qsort(a, 1000, sizeof *a, cmp);
	for (i = 0; i < 1000; i++)
		perm &= a[i] == (uint64_t)i;
	check(perm, "every place once");
	pm_rng_shuffle(&one, 1, 3, 1);
	pm_rng_shuffle(NULL, 0, 3, 1);
	check(one == 0, "one thing, and none");
	for (i = 0; i < 5000; i++) {
		pm_rng_shuffle(a, 5, (uint64_t)i, 1);
		first[a[0]]++;
	}
	for (k = 0, perm = 1; k < 5; k++)
		perm &= abs(first[k] - 1000) < 150;
	check(perm, "every element comes first about as often: %d %d %d %d %d", first[0], first[1], first[2], first[3], first[4]);
}

int main(void)
{
	known();
	places();
	moments();
	shuffles();
	return done();
}
