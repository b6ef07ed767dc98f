/* blocks.c: weights in random blocks: every code and every scale of a format comes up. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "quant/quant.h"
#include "run.h"

/* Where the scales lie in a block: halves that all its values are in proportion to, or (MXFP4) a power of two, (NF4, FP4) a float. */
static const struct layout {
	enum pm_dtype type;
	int half[2];                    /* −1: none */
} layouts[] = {
	{PM_Q4_0, {0, -1}}, {PM_Q4_1, {0, 2}}, {PM_Q5_0, {0, -1}}, {PM_Q5_1, {0, 2}}, {PM_Q8_0, {0, -1}}, {PM_IQ4_NL, {0, -1}},
	{PM_Q2_K, {80, 82}}, {PM_Q3_K, {108, -1}}, {PM_Q4_K, {0, 2}}, {PM_Q5_K, {0, 2}}, {PM_Q6_K, {208, -1}}, {PM_IQ4_XS, {0, -1}},
	{PM_MXFP4, {-1, -1}}, {PM_NF4, {-1, -1}}, {PM_FP4, {-1, -1}}, {PM_AFFINE8, {0, 2}},
};

static void put_half(unsigned char *p, double v)
{
	uint16_t h = pm_f32_to_f16((float)v);

	p[0] = (unsigned char)(h & 255);
	p[1] = (unsigned char)(h >> 8);
}

/* Sets the scales, random numbers around `size`. */
static void put_scales(unsigned char *p, const struct layout *l, int64_t blocks, double size, uint64_t seed)
{
	const int bytes = pm_dtype(l->type)->bytes;
	int64_t i;
	int k;

	for (i = 0; i < blocks; i++, p += bytes) {
		double v = size * (0.5 + pm_rng_uniform(seed, 1, (uint64_t)i));

		if (l->type == PM_NF4 || l->type == PM_FP4)
			memcpy(p, &(float){(float)v}, sizeof(float));
		else if (l->half[0] < 0)
			p[0] = (unsigned char)(128 + (int)floor(log2(v)));
		for (k = 0; k < 2 && l->half[k] >= 0; k++)
			put_half(p + l->half[k], k || i % 3 ? v : -v);
	}
}

int op_random_blocks(unsigned char **blocks, double *v, enum pm_dtype type, int64_t n, double scale, uint64_t seed, struct pm_err *e)
{
	const struct layout *l = layouts;
	const size_t bytes = pm_dtype_bytes(type, (uint64_t)n);
	float *f = pm_alloc((size_t)n, sizeof *f, e);
	double sum = 0;
	size_t i;

	*blocks = pm_alloc(bytes, 1, e);
	if (!f || !*blocks) {
		free(f);
		return -1;
	}
	while (l->type != type)
		l++;
	for (i = 0; i < bytes; i++)
		(*blocks)[i] = (unsigned char)pm_rng_u32(seed, 0, i);
	put_scales(*blocks, l, n / pm_dtype(type)->block, 1, seed);
	pm_quant_to_f32(f, *blocks, type, (size_t)n);
	for (i = 0; i < (size_t)n; i++)
		sum += (double)f[i] * f[i];
	put_scales(*blocks, l, n / pm_dtype(type)->block, scale / sqrt(sum / (double)n), seed);
	pm_quant_to_f32(f, *blocks, type, (size_t)n);
	for (i = 0; i < (size_t)n; i++)
		v[i] = f[i];
	free(f);
	return 0;
}
