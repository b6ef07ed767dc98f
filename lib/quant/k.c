/* The K types: blocks of 256 with scales (and minima) of sub-blocks of 16 or 32, themselves in 4, 6 or 8 bits. Planes of two bits (Q2_K, Q3_K): value
 * 128p + 32k + l is bits 2k, 2k+1 of byte 32p + l. */
#include "quant/codec.h"

void pm_dec_q2_k(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int j;

	for (i = 0; i < n; i++, in += 84, out += PM_QK) {
		const uint8_t *q = in + 16;
		float d = pm_half(in + 80), dmin = pm_half(in + 82);

		for (j = 0; j < PM_QK; j++) {
			uint8_t s = in[j / 16];

			out[j] = d * (float)(s & 15) * (float)(q[j / 128 * 32 + j % 32] >> 2 * (j / 32 % 4) & 3) - dmin * (float)(s >> 4);
		}
	}
}

void pm_dec_q3_k(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int j;

	for (i = 0; i < n; i++, in += 110, out += PM_QK) {
		const uint8_t *q = in + 32;
		float d = pm_half(in + 108), s = 0;

		for (j = 0; j < PM_QK; j++) {
			if (j % 16 == 0)
				s = d * (float)pm_scale_q3(in + 96, j / 16);
			out[j] = s * (float)((q[j / 128 * 32 + j % 32] >> 2 * (j / 32 % 4) & 3) - (in[j % 32] >> j / 32 & 1 ? 0 : 4));
		}
	}
}

void pm_dec_q4_k(float *out, const uint8_t *in, size_t n)
{
	unsigned sc, mn;
	size_t i;
	int j, l;

	for (i = 0; i < n; i++, in += 144) {
		float d = pm_half(in), dmin = pm_half(in + 2);

		for (j = 0; j < 8; j++, out += 32) {
			const uint8_t *q = in + 16 + j / 2 * 32;
			float s, m;

			pm_scale_min(in + 4, j, &sc, &mn);
			s = d * (float)sc;
			m = dmin * (float)mn;
			for (l = 0; l < 32; l++)
				out[l] = s * (float)(q[l] >> 4 * (j & 1) & 15) - m;
		}
	}
}

void pm_dec_q5_k(float *out, const uint8_t *in, size_t n)
{
	unsigned sc, mn;
	size_t i;
	int j, l;

	for (i = 0; i < n; i++, in += 176) {
		float d = pm_half(in), dmin = pm_half(in + 2);

		for (j = 0; j < 8; j++, out += 32) {
			const uint8_t *high = in + 16, *q = in + 48 + j / 2 * 32;
			float s, m;

			pm_scale_min(in + 4, j, &sc, &mn);
			s = d * (float)sc;
			m = dmin * (float)mn;
			for (l = 0; l < 32; l++)
				out[l] = s * (float)((q[l] >> 4 * (j & 1) & 15) | (high[l] >> j & 1) << 4) - m;
		}
	}
}

void pm_dec_q6_k(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int j;

	for (i = 0; i < n; i++, in += 210, out += PM_QK) {
		float d = pm_half(in + 208), s = 0;

		for (j = 0; j < PM_QK; j++) {
			int p = j / 128, k = j / 32 % 4, l = j % 32;
			int low = in[64 * p + 32 * (k & 1) + l] >> 4 * (k / 2) & 15, high = in[128 + 32 * p + l] >> 2 * k & 3;

			if (j % 16 == 0)
				s = d * (float)(int8_t)in[192 + j / 16];
			out[j] = s * (float)((low | high << 4) - 32);
		}
	}
}

void pm_dec_q8_k(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int j;

	for (i = 0; i < n; i++, in += 292, out += PM_QK) {
		float d;

		memcpy(&d, in, sizeof d);
		for (j = 0; j < PM_QK; j++)
			out[j] = d * (float)(int8_t)in[4 + j];
	}
}
