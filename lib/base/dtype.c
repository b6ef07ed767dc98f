#include "base/dtype.h"

#include <string.h>

static const struct pm_dtype_info table[PM_DTYPES] = {
	[PM_F32] = {"f32", "F32", 0, 1, 4},
	[PM_F16] = {"f16", "F16", 1, 1, 2},
	[PM_BF16] = {"bf16", "BF16", 30, 1, 2},
	[PM_F64] = {"f64", "F64", 28, 1, 8},
	[PM_I8] = {"i8", "I8", 24, 1, 1},
	[PM_U8] = {"u8", "U8", -1, 1, 1},
	[PM_I16] = {"i16", "I16", 25, 1, 2},
	[PM_U16] = {"u16", "U16", -1, 1, 2},
	[PM_I32] = {"i32", "I32", 26, 1, 4},
	[PM_U32] = {"u32", "U32", -1, 1, 4},
	[PM_I64] = {"i64", "I64", 27, 1, 8},
	[PM_U64] = {"u64", "U64", -1, 1, 8},
	[PM_BOOL] = {"bool", "BOOL", -1, 1, 1},
	[PM_F8_E4M3] = {"f8_e4m3", "F8_E4M3", -1, 1, 1},
	[PM_F8_E5M2] = {"f8_e5m2", "F8_E5M2", -1, 1, 1},
	[PM_Q4_0] = {"q4_0", NULL, 2, 32, 18},
	[PM_Q4_1] = {"q4_1", NULL, 3, 32, 20},
	[PM_Q5_0] = {"q5_0", NULL, 6, 32, 22},
	[PM_Q5_1] = {"q5_1", NULL, 7, 32, 24},
	[PM_Q8_0] = {"q8_0", NULL, 8, 32, 34},
	[PM_Q8_1] = {"q8_1", NULL, 9, 32, 36},
	[PM_Q2_K] = {"q2_k", NULL, 10, 256, 84},
	[PM_Q3_K] = {"q3_k", NULL, 11, 256, 110},
	[PM_Q4_K] = {"q4_k", NULL, 12, 256, 144},
	[PM_Q5_K] = {"q5_k", NULL, 13, 256, 176},
	[PM_Q6_K] = {"q6_k", NULL, 14, 256, 210},
	[PM_Q8_K] = {"q8_k", NULL, 15, 256, 292},
	[PM_IQ1_S] = {"iq1_s", NULL, 19, 256, 50},
	[PM_IQ1_M] = {"iq1_m", NULL, 29, 256, 56},
	[PM_IQ2_XXS] = {"iq2_xxs", NULL, 16, 256, 66},
	[PM_IQ2_XS] = {"iq2_xs", NULL, 17, 256, 74},
	[PM_IQ2_S] = {"iq2_s", NULL, 22, 256, 82},
	[PM_IQ3_XXS] = {"iq3_xxs", NULL, 18, 256, 98},
	[PM_IQ3_S] = {"iq3_s", NULL, 21, 256, 110},
	[PM_IQ4_NL] = {"iq4_nl", NULL, 20, 32, 18},
	[PM_IQ4_XS] = {"iq4_xs", NULL, 23, 256, 136},
	[PM_TQ1_0] = {"tq1_0", NULL, 34, 256, 54},
	[PM_TQ2_0] = {"tq2_0", NULL, 35, 256, 66},
	[PM_MXFP4] = {"mxfp4", NULL, 39, 32, 17},
	[PM_NVFP4] = {"nvfp4", NULL, 40, 64, 36},
	[PM_Q1_0] = {"q1_0", NULL, 41, 128, 18},
	[PM_Q2_0] = {"q2_0", NULL, 42, 64, 18},
	[PM_NF4] = {"nf4", NULL, -1, 32, 20},
	[PM_FP4] = {"fp4", NULL, -1, 32, 20},
	[PM_AFFINE8] = {"affine8", NULL, -1, 32, 36},
};

const struct pm_dtype_info *pm_dtype(enum pm_dtype t)
{
	return &table[t];
}

enum pm_dtype pm_dtype_by_name(const char *name)
{
	int i;

	for (i = 0; i < PM_DTYPES; i++)
		if (!strcmp(name, table[i].name))
			return (enum pm_dtype)i;
	return PM_DTYPE_NONE;
}

enum pm_dtype pm_dtype_by_safetensors(const char *name)
{
	int i;

	for (i = 0; i < PM_DTYPES; i++)
		if (table[i].safetensors && !strcmp(name, table[i].safetensors))
			return (enum pm_dtype)i;
	return PM_DTYPE_NONE;
}

enum pm_dtype pm_dtype_by_gguf(int64_t number)
{
	int i;

	for (i = 0; i < PM_DTYPES; i++)
		if (number >= 0 && number == table[i].gguf)
			return (enum pm_dtype)i;
	return PM_DTYPE_NONE;
}

bool pm_dtype_plain(enum pm_dtype t)
{
	return table[t].block == 1;
}

size_t pm_dtype_bytes(enum pm_dtype t, uint64_t n)
{
	uint64_t blocks = n / (uint64_t)table[t].block;

	if (blocks > SIZE_MAX / (size_t)table[t].bytes)
		return SIZE_MAX;
	return (size_t)blocks * (size_t)table[t].bytes;
}

static float f32_of(uint32_t u)
{
	float f;

	memcpy(&f, &u, sizeof f);
	return f;
}

static uint32_t bits_of(float f)
{
	uint32_t u;

	memcpy(&u, &f, sizeof u);
	return u;
}

float pm_f16_to_f32(uint16_t h)
{
	uint32_t sign = (uint32_t)(h & 0x8000u) << 16, mag = h & 0x7fffu;

	if (mag >= 0x7c00)
		return f32_of(sign | 0x7f800000u | (mag & 0x3ff) << 13);
	return f32_of(sign | bits_of(f32_of(mag << 13) * 0x1p112f));
}

uint16_t pm_f32_to_f16(float f)
{
	uint32_t u = bits_of(f), sign = u >> 16 & 0x8000u, mag = u & 0x7fffffffu, r;

	if (mag > 0x7f800000u)
		return (uint16_t)(sign | 0x7e00);
	if (mag >= 0x477ff000u)                         /* rounds to 65536 or more */
		return (uint16_t)(sign | 0x7c00);
	if (mag < 0x38800000u)                          /* subnormal: let the addition of 0.5 round */
		return (uint16_t)(sign | (bits_of(f32_of(mag) + 0.5f) - 0x3f000000u));
	r = mag - 0x38000000u;
	r = (r + 0xfffu + (r >> 13 & 1)) >> 13;
	return (uint16_t)(sign | r);
}

float pm_bf16_to_f32(uint16_t h)
{
	return f32_of((uint32_t)h << 16);
}

uint16_t pm_f32_to_bf16(float f)
{
	uint32_t u = bits_of(f);

	if ((u & 0x7fffffffu) > 0x7f800000u)
		return (uint16_t)(u >> 16 | 0x40);
	return (uint16_t)((u + 0x7fffu + (u >> 16 & 1)) >> 16);
}

#define SIDE 32         /* values that a compiler finds side by side */

static void f16s_to_f32(float *out, const unsigned char *p, size_t n)
{
	uint16_t h[SIDE];
	size_t i, k;

	for (i = 0; i + SIDE <= n; i += SIDE) {
		memcpy(h, p + 2 * i, sizeof h);
		for (k = 0; k < SIDE; k++)
			out[i + k] = pm_f16_to_f32(h[k]);
	}
	memcpy(h, p + 2 * i, 2 * (n - i));
	for (k = 0; i < n; i++, k++)
		out[i] = pm_f16_to_f32(h[k]);
}

static void bf16s_to_f32(float *out, const unsigned char *p, size_t n)
{
	uint32_t u[SIDE];
	uint16_t h[SIDE];
	size_t i, k;

	for (i = 0; i < n; i += SIDE) {
		size_t m = n - i < SIDE ? n - i : SIDE;

		memcpy(h, p + 2 * i, 2 * m);
		memset(h + m, 0, 2 * (SIDE - m));
		for (k = 0; k < SIDE; k++)
			u[k] = (uint32_t)h[k] << 16;
		memcpy(out + i, u, 4 * m);
	}
}

void pm_to_f32(float *out, const void *in, enum pm_dtype from, size_t n)
{
	const unsigned char *p = in;
	double d;
	size_t i;

	if (from == PM_F32) {
		memcpy(out, in, n * sizeof *out);
	} else if (from == PM_F16) {
		f16s_to_f32(out, p, n);
	} else if (from == PM_BF16) {
		bf16s_to_f32(out, p, n);
	} else {
		for (i = 0; i < n; i++) {
			memcpy(&d, p + 8 * i, 8);
			out[i] = (float)d;
		}
	}
}

void pm_from_f32(void *out, enum pm_dtype to, const float *in, size_t n)
{
	unsigned char *p = out;
	uint16_t h;
	double d;
	size_t i;

	if (to == PM_F32) {
		memcpy(out, in, n * sizeof *in);
		return;
	}
	for (i = 0; i < n; i++) {
		if (to == PM_F64) {
			d = in[i];
			memcpy(p + 8 * i, &d, 8);
			continue;
		}
		h = to == PM_F16 ? pm_f32_to_f16(in[i]) : pm_f32_to_bf16(in[i]);
		memcpy(p + 2 * i, &h, 2);
	}
}
