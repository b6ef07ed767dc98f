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
