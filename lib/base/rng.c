#include "base/rng.h"

#include <math.h>

void pm_rng_block(uint32_t out[4], uint64_t seed, uint32_t stream, uint64_t index)
{
	uint32_t k0 = (uint32_t)seed, k1 = (uint32_t)(seed >> 32);
	uint32_t c0 = (uint32_t)index, c1 = (uint32_t)(index >> 32), c2 = stream, c3 = 0;
	int i;

	for (i = 0; i < 10; i++) {
		uint64_t p = (uint64_t)0xD2511F53u * c0, q = (uint64_t)0xCD9E8D57u * c2;

		c0 = (uint32_t)(q >> 32) ^ c1 ^ k0;
		c1 = (uint32_t)q;
		c2 = (uint32_t)(p >> 32) ^ c3 ^ k1;
		c3 = (uint32_t)p;
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	out[0] = c0;
	out[1] = c1;
	out[2] = c2;
	out[3] = c3;
}

uint32_t pm_rng_u32(uint64_t seed, uint32_t stream, uint64_t index)
{
	uint32_t w[4];

	pm_rng_block(w, seed, stream, index / 4);
	return w[index % 4];
}

float pm_rng_uniform(uint64_t seed, uint32_t stream, uint64_t index)
{
	return (float)(pm_rng_u32(seed, stream, index) >> 8) * 0x1p-24f;
}

float pm_rng_normal(uint64_t seed, uint32_t stream, uint64_t index)
{
	/* Box and Muller; both words come from one block, so every deviate has a block's half of its own. */
	uint32_t w[4];
	double u, v;

	pm_rng_block(w, seed, stream, index / 2);
	u = ((double)w[2 * (index % 2)] + 1) * 0x1p-32;
	v = (double)w[2 * (index % 2) + 1] * 0x1p-32;
	return (float)(sqrt(-2 * log(u)) * cos(6.283185307179586 * v));
}

void pm_rng_shuffle(uint64_t *order, size_t n, uint64_t seed, uint32_t stream)
{
	size_t i;

	for (i = 0; i < n; i++)
		order[i] = i;
	for (i = n; i > 1; i--) {
		uint32_t w[4];
		uint64_t t, j;

		pm_rng_block(w, seed, stream, i);
		j = (((uint64_t)w[0] << 32 | w[1]) >> 1) % i;
		t = order[i - 1];
		order[i - 1] = order[j];
		order[j] = t;
	}
}
