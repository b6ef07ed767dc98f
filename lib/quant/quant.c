/* The codecs by type, and the plain types. */
#include "quant/codec.h"
#include "quant/packed.h"
#include "quant/wide.h"

static pm_decode_fn *const decoder[PM_DTYPES] = {
	[PM_Q4_0] = pm_dec_q4_0, [PM_Q4_1] = pm_dec_q4_1, [PM_Q5_0] = pm_dec_q5_0, [PM_Q5_1] = pm_dec_q5_1,
	[PM_Q8_0] = pm_dec_q8_0, [PM_Q8_1] = pm_dec_q8_1,
	[PM_Q2_K] = pm_dec_q2_k, [PM_Q3_K] = pm_dec_q3_k, [PM_Q4_K] = pm_dec_q4_k, [PM_Q5_K] = pm_dec_q5_k,
	[PM_Q6_K] = pm_dec_q6_k, [PM_Q8_K] = pm_dec_q8_k,
	[PM_IQ1_S] = pm_dec_iq1_s, [PM_IQ1_M] = pm_dec_iq1_m,
	[PM_IQ2_XXS] = pm_dec_iq2_xxs, [PM_IQ2_XS] = pm_dec_iq2_xs, [PM_IQ2_S] = pm_dec_iq2_s,
	[PM_IQ3_XXS] = pm_dec_iq3_xxs, [PM_IQ3_S] = pm_dec_iq3_s, [PM_IQ4_NL] = pm_dec_iq4_nl, [PM_IQ4_XS] = pm_dec_iq4_xs,
	[PM_TQ1_0] = pm_dec_tq1_0, [PM_TQ2_0] = pm_dec_tq2_0, [PM_MXFP4] = pm_dec_mxfp4, [PM_NVFP4] = pm_dec_nvfp4,
	[PM_Q1_0] = pm_dec_q1_0, [PM_Q2_0] = pm_dec_q2_0, [PM_NF4] = pm_dec_nf4, [PM_FP4] = pm_dec_fp4, [PM_AFFINE8] = pm_dec_affine8,
};

#define EACH(T, value) do { for (i = 0; i < n; i++) { T x; memcpy(&x, p + i * sizeof x, sizeof x); out[i] = (value); } } while (0)

void pm_quant_to_f32(float *out, const void *in, enum pm_dtype from, size_t n)
{
	const uint8_t *p = in;
	size_t i;

	switch (from) {
	case PM_F32: case PM_F16: case PM_BF16: case PM_F64: pm_to_f32(out, in, from, n); return;
	case PM_I8: EACH(int8_t, (float)x); return;
	case PM_U8: case PM_BOOL: EACH(uint8_t, (float)x); return;
	case PM_I16: EACH(int16_t, (float)x); return;
	case PM_U16: EACH(uint16_t, (float)x); return;
	case PM_I32: EACH(int32_t, (float)x); return;
	case PM_U32: EACH(uint32_t, (float)x); return;
	case PM_I64: EACH(int64_t, (float)x); return;
	case PM_U64: EACH(uint64_t, (float)x); return;
	case PM_F8_E4M3: EACH(uint8_t, pm_e4m3_to_f32(x)); return;
	case PM_F8_E5M2: EACH(uint8_t, pm_f16_to_f32((uint16_t)(x << 8))); return;
	default: decoder[from](out, p, n / (size_t)pm_dtype(from)->block); return;
	}
}

static pm_encode_fn *const encoder[PM_DTYPES] = {
	[PM_Q4_0] = pm_enc_q4_0, [PM_Q4_1] = pm_enc_q4_1, [PM_Q5_0] = pm_enc_q5_0, [PM_Q5_1] = pm_enc_q5_1,
	[PM_Q8_0] = pm_enc_q8_0, [PM_Q8_1] = pm_enc_q8_1,
	[PM_Q2_K] = pm_enc_q2_k, [PM_Q3_K] = pm_enc_q3_k, [PM_Q4_K] = pm_enc_q4_k, [PM_Q5_K] = pm_enc_q5_k,
	[PM_Q6_K] = pm_enc_q6_k, [PM_Q8_K] = pm_enc_q8_k,
	[PM_IQ1_S] = pm_enc_iq1_s, [PM_IQ1_M] = pm_enc_iq1_m,
	[PM_IQ2_XXS] = pm_enc_iq2_xxs, [PM_IQ2_XS] = pm_enc_iq2_xs, [PM_IQ2_S] = pm_enc_iq2_s,
	[PM_IQ3_XXS] = pm_enc_iq3_xxs, [PM_IQ3_S] = pm_enc_iq3_s, [PM_IQ4_NL] = pm_enc_iq4_nl, [PM_IQ4_XS] = pm_enc_iq4_xs,
	[PM_TQ1_0] = pm_enc_tq1_0, [PM_TQ2_0] = pm_enc_tq2_0, [PM_MXFP4] = pm_enc_mxfp4, [PM_NVFP4] = pm_enc_nvfp4,
	[PM_Q1_0] = pm_enc_q1_0, [PM_Q2_0] = pm_enc_q2_0, [PM_NF4] = pm_enc_nf4, [PM_FP4] = pm_enc_fp4, [PM_AFFINE8] = pm_enc_affine8,
};

bool pm_quant_makes(enum pm_dtype to, bool *needs_importance)
{
	*needs_importance = to == PM_IQ1_S || to == PM_IQ2_XXS || to == PM_IQ2_XS;
	return encoder[to] || to == PM_F32 || to == PM_F16 || to == PM_BF16 || to == PM_F64;
}

/* Whether one of n values, a multiple of 16, is not finite. */
PM_BODY strange_body(int *strange, const float *x, size_t n)
{
	pm_vi bits, any = {0};
	size_t i;

	for (i = 0; i < n; i += PM_LANES) {
		memcpy(&bits, x + i, sizeof bits);
		any |= (bits & 0x7f800000) == 0x7f800000;
	}
	*strange = pm_any(&any);
}

PM_WIDE(static, strange, (int *any, const float *x, size_t n), (any, x, n))

/* The first value that is not finite (or, where so asked, negative); n if none is. */
static size_t first_bad(const float *x, size_t n, bool negative)
{
	size_t i;
	int any;

	strange(&any, x, n - n % PM_LANES);
	for (i = any || negative ? 0 : n - n % PM_LANES; i < n; i++)
		if (!isfinite(x[i]) || (negative && x[i] < 0))
			break;
	return i;
}

int pm_quant_from_f32(void *out, enum pm_dtype to, const float *x, size_t rows, size_t cols, const float *importance, struct pm_err *e)
{
	const char *name = pm_dtype(to)->name;
	size_t r, bad, bytes = pm_dtype_bytes(to, cols);
	bool needs;

	if (!pm_quant_makes(to, &needs))
		return pm_fail(e, PM_USAGE, "type %s cannot be made", name);
	if (needs && !importance)
		return pm_fail(e, PM_USAGE, "type %s needs an importance matrix", name);
	if (cols % (size_t)pm_dtype(to)->block)
		return pm_fail(e, PM_USAGE, "type %s has blocks of %d values, which do not divide a row of %zu", name, pm_dtype(to)->block, cols);
	if (!encoder[to]) {
		pm_from_f32(out, to, x, rows * cols);
		return 0;
	}
	bad = importance ? first_bad(importance, cols, true) : cols;
	if (bad < cols)
		return pm_fail(e, PM_DATA, "importance of column %zu is %g, wanted a finite number not below 0", bad, (double)importance[bad]);
	for (r = 0; r < rows; r++) {
		bad = first_bad(x + r * cols, cols, false);
		if (bad < cols && rows == 1)
			return pm_fail(e, PM_DATA, "value %zu is %g, wanted a finite number", bad, (double)x[bad]);
		if (bad < cols)
			return pm_fail(e, PM_DATA, "value %zu of row %zu is %g, wanted a finite number", bad, r, (double)x[r * cols + bad]);
		encoder[to]((uint8_t *)out + r * bytes, x + r * cols, cols, importance);
	}
	return 0;
}
