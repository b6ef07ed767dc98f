/* MXFP4 and NVFP4: E2M1 codes; a power of two for each 32, or an E4M3 scale without sign for each 16. The table has twice the values of E2M1, so the
 * scales are halved. */
#include "quant/codec.h"

const int8_t pm_values_e2m1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

/* 2^(e − 128). */
static float mx_scale(unsigned e)
{
	uint32_t u = e < 2 ? 0x00200000u << e : (e - 1) << 23;
	float f;

	memcpy(&f, &u, sizeof f);
	return f;
}

/* Half of E4M3 without sign: 0x7f, its NaN, counts as 0. */
static float nv_scale(unsigned b)
{
	int x = (int)(b >> 3 & 15), m = (int)(b & 7);

	if (b == 0x7f)
		return 0;
	return x ? ldexpf(1.0f + (float)m / 8, x - 8) : (float)m * 0x1p-10f;
}

void pm_dec_mxfp4(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int j;

	for (i = 0; i < n; i++, in += 17, out += 32) {
		float d = mx_scale(in[0]);

		for (j = 0; j < 16; j++) {
			out[j] = (float)pm_values_e2m1[in[1 + j] & 15] * d;
			out[j + 16] = (float)pm_values_e2m1[in[1 + j] >> 4] * d;
		}
	}
}

void pm_dec_nvfp4(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int s, j;

	for (i = 0; i < n; i++, in += 36) {
		for (s = 0; s < 4; s++, out += 16) {
			const uint8_t *q = in + 4 + 8 * s;
			float d = nv_scale(in[s]);

			for (j = 0; j < 8; j++) {
				out[j] = (float)pm_values_e2m1[q[j] & 15] * d;
				out[j + 8] = (float)pm_values_e2m1[q[j] >> 4] * d;
			}
		}
	}
}

/* The first of the sixteen with the least error. */
static int code_of(float x, float d)
{
	float best = fabsf((float)pm_values_e2m1[0] * d - x), e;
	int i, at = 0;

	for (i = 1; i < 16; i++) {
		e = fabsf((float)pm_values_e2m1[i] * d - x);
		if (e < best) {
			best = e;
			at = i;
		}
	}
	return at;
}

void pm_enc_mxfp4(uint8_t *out, const float *x, size_t n, const float *importance)
{
	float max, d;
	size_t i;
	int j, e;

	(void)importance;
	for (i = 0; i < n; i += 32, x += 32, out += 17) {
		max = pm_largest(x, 32);
		e = max > 0 ? ilogbf(max) + 125 : 0;
		out[0] = (uint8_t)(e < 0 ? 0 : e);
		d = mx_scale(out[0]);
		for (j = 0; j < 16; j++)
			out[1 + j] = (uint8_t)(code_of(x[j], d) | code_of(x[j + 16], d) << 4);
	}
}

/* E4M3 without sign: half up on the bit behind the mantissa, at most 448. */
static unsigned nv_code(float f)
{
	uint32_t u, m;
	int x;

	if (!(f > 0))
		return 0;
	memcpy(&u, &f, sizeof u);
	x = (int)(u >> 23) - 120;
	if (x <= 0) {
		m = (uint32_t)(fminf(f, 1) * 512 + 0.5f);
		return m > 7 ? 7 : m;
	}
	m = (u >> 20 & 7) + (u >> 19 & 1);
	if (m == 8) {
		m = 0;
		x++;
	}
	return x >= 15 ? 0x7e : (unsigned)x << 3 | m;
}

void pm_enc_nvfp4(uint8_t *out, const float *x, size_t n, const float *importance)
{
	size_t i;
	int s, j;
	float d;

	(void)importance;
	for (i = 0; i < n; i += 64, out += 36) {
		for (s = 0; s < 4; s++, x += 16) {
			out[s] = (uint8_t)nv_code(pm_largest(x, 16) / 6);
			d = nv_scale(out[s]);
			for (j = 0; j < 8; j++)
				out[4 + 8 * s + j] = (uint8_t)(code_of(x[j], d) | code_of(x[j + 8], d) << 4);
		}
	}
}
