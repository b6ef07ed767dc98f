/* finite.c: whether stored values are numbers: floats one by one, blocks by the scales that stand in them. */
#include "quant/codec.h"

/* Where the f16 scales of a block stand, −1: none (more). */
static const struct {
	short at[2];
} halves[PM_DTYPES] = {
	[PM_Q4_0] = {{0, -1}}, [PM_Q4_1] = {{0, 2}}, [PM_Q5_0] = {{0, -1}}, [PM_Q5_1] = {{0, 2}}, [PM_Q8_0] = {{0, -1}}, [PM_Q8_1] = {{0, 2}},
	[PM_Q2_K] = {{80, 82}}, [PM_Q3_K] = {{108, -1}}, [PM_Q4_K] = {{0, 2}}, [PM_Q5_K] = {{0, 2}}, [PM_Q6_K] = {{208, -1}},
	[PM_IQ1_S] = {{0, -1}}, [PM_IQ2_XXS] = {{0, -1}}, [PM_IQ2_XS] = {{0, -1}}, [PM_IQ2_S] = {{0, -1}}, [PM_IQ3_XXS] = {{0, -1}},
	[PM_IQ3_S] = {{0, -1}}, [PM_IQ4_NL] = {{0, -1}}, [PM_IQ4_XS] = {{0, -1}}, [PM_TQ1_0] = {{52, -1}}, [PM_TQ2_0] = {{64, -1}},
	[PM_Q1_0] = {{0, -1}}, [PM_Q2_0] = {{0, -1}}, [PM_AFFINE8] = {{0, 2}},
};

static bool half_finite(unsigned h)
{
	return (h & 0x7c00) != 0x7c00;
}

static bool single_finite(uint32_t u)
{
	return (u & 0x7f800000u) != 0x7f800000u;
}

static bool block_finite(const uint8_t *p, enum pm_dtype t)
{
	if (t == PM_F32 || t == PM_Q8_K || t == PM_NF4 || t == PM_FP4)
		return single_finite(pm_get32(p));
	if (t == PM_F64)
		return (pm_get32(p + 4) & 0x7ff00000u) != 0x7ff00000u;
	if (t == PM_F16)
		return half_finite(pm_get16(p));
	if (t == PM_BF16)
		return single_finite((uint32_t)pm_get16(p) << 16);
	if (t == PM_IQ1_M)              /* the top nibbles of four words */
		return half_finite((unsigned)(p[49] >> 4 | (p[51] & 0xf0) | (p[53] >> 4) << 8 | (p[55] >> 4) << 12));
	if (t == PM_MXFP4)
		return p[0] != 0xff;
	if (t == PM_NVFP4 || pm_dtype_plain(t))
		return true;
	return half_finite(pm_get16(p + halves[t].at[0])) && (halves[t].at[1] < 0 || half_finite(pm_get16(p + halves[t].at[1])));
}

bool pm_quant_finite(const void *in, enum pm_dtype t, size_t n, size_t *at)
{
	const struct pm_dtype_info *d = pm_dtype(t);
	const uint8_t *p = in;
	size_t i;

	for (i = 0; i < n; i += (size_t)d->block, p += d->bytes)
		if (!block_finite(p, t)) {
			*at = i;
			return false;
		}
	return true;
}
