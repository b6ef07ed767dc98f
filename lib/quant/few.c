/* One, two and "1.6" bits a value: Q1_0, Q2_0, TQ1_0 and TQ2_0, for models trained that way. */
#include "quant/codec.h"

void pm_dec_q1_0(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int j;

	for (i = 0; i < n; i++, in += 18, out += 128) {
		float d = pm_half(in);

		for (j = 0; j < 128; j++)
			out[j] = in[2 + j / 8] >> j % 8 & 1 ? d : -d;
	}
}

void pm_dec_q2_0(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int j;

	for (i = 0; i < n; i++, in += 18, out += 64) {
		float d = pm_half(in);

		for (j = 0; j < 64; j++)
			out[j] = (float)((in[2 + j / 4] >> 2 * (j % 4) & 3) - 1) * d;
	}
}

/* Where value j of a TQ1_0 block lies: *byte, and which of its digits in base 3. */
static int digit_of(int j, int *byte)
{
	if (j < 160) {
		*byte = j % 32;
		return j / 32;
	}
	if (j < 240) {
		*byte = 32 + (j - 160) % 16;
		return (j - 160) / 16;
	}
	*byte = 48 + (j - 240) % 4;
	return (j - 240) / 4;
}

void pm_dec_tq1_0(float *out, const uint8_t *in, size_t n)
{
	static const int power[5] = {1, 3, 9, 27, 81};
	int j, b, k;
	size_t i;

	for (i = 0; i < n; i++, in += 54, out += PM_QK) {
		float d = pm_half(in + 52);

		for (j = 0; j < PM_QK; j++) {
			k = digit_of(j, &b);
			out[j] = (float)(((in[b] * power[k] & 255) * 3 >> 8) - 1) * d;
		}
	}
}

void pm_dec_tq2_0(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int j;

	for (i = 0; i < n; i++, in += 66, out += PM_QK) {
		float d = pm_half(in + 64);

		for (j = 0; j < PM_QK; j++)
			out[j] = (float)((in[j / 128 * 32 + j % 32] >> 2 * (j / 32 % 4) & 3) - 1) * d;
	}
}

void pm_enc_q1_0(uint8_t *out, const float *x, size_t n, const float *importance)
{
	size_t i;
	int j;

	(void)importance;
	for (i = 0; i < n; i += 128, x += 128, out += 18) {
		float sum = 0;

		memset(out, 0, 18);
		for (j = 0; j < 128; j++) {
			sum += fabsf(x[j]);
			out[2 + j / 8] |= (uint8_t)((x[j] >= 0) << j % 8);
		}
		pm_put_half(out, sum / 128);
	}
}

void pm_enc_q2_0(uint8_t *out, const float *x, size_t n, const float *importance)
{
	size_t i;
	int j;

	(void)importance;
	for (i = 0; i < n; i += 64, x += 64, out += 18) {
		float d = pm_largest(x, 64), inv = pm_inverse(d);

		memset(out, 0, 18);
		pm_put_half(out, d);
		for (j = 0; j < 64; j++) {
			int l = pm_away(x[j] * inv) + 1;

			out[2 + j / 4] |= (uint8_t)((l < 0 ? 0 : l > 3 ? 3 : l) << 2 * (j % 4));
		}
	}
}

/* Codes 0 to 2. */
static float ternary(const float *x, uint8_t *l)
{
	float d = pm_largest(x, PM_QK), inv = pm_inverse(d);
	int j, c;

	for (j = 0; j < PM_QK; j++) {
		c = pm_away(x[j] * inv);
		l[j] = (uint8_t)((c < -1 ? -1 : c > 1 ? 1 : c) + 1);
	}
	return d;
}

void pm_enc_tq1_0(uint8_t *out, const float *x, size_t n, const float *importance)
{
	static const int power[5] = {81, 27, 9, 3, 1};
	int j, b, k, sum[52];
	uint8_t l[PM_QK];
	size_t i;

	(void)importance;
	for (i = 0; i < n; i += PM_QK, x += PM_QK, out += 54) {
		pm_put_half(out + 52, ternary(x, l));
		memset(sum, 0, sizeof sum);
		for (j = 0; j < PM_QK; j++) {
			k = digit_of(j, &b);
			sum[b] += l[j] * power[k];
		}
		for (b = 0; b < 52; b++)
			out[b] = (uint8_t)((sum[b] * 256 + 242) / 243);
	}
}

void pm_enc_tq2_0(uint8_t *out, const float *x, size_t n, const float *importance)
{
	uint8_t l[PM_QK];
	size_t i;
	int j;

	(void)importance;
	for (i = 0; i < n; i += PM_QK, x += PM_QK, out += 66) {
		pm_put_half(out + 64, ternary(x, l));
		memset(out, 0, 64);
		for (j = 0; j < PM_QK; j++)
			out[j / 128 * 32 + j % 32] |= (uint8_t)(l[j] << 2 * (j / 32 % 4));
	}
}
