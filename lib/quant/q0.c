/* Blocks of 32 with one scale (Q4_0 Q5_0 Q8_0 Q8_1), or a scale and a minimum (Q4_1 Q5_1). 4-bit codes lie as 16 low nibbles, then 16 high ones;
 * the fifth bits of Q5 are a u32. */
#include "quant/codec.h"

void pm_dec_q4_0(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int j;

	for (i = 0; i < n; i++, in += 18, out += 32) {
		float d = pm_half(in);

		for (j = 0; j < 16; j++) {
			out[j] = (float)((in[2 + j] & 15) - 8) * d;
			out[j + 16] = (float)((in[2 + j] >> 4) - 8) * d;
		}
	}
}

void pm_dec_q4_1(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int j;

	for (i = 0; i < n; i++, in += 20, out += 32) {
		float d = pm_half(in), m = pm_half(in + 2);

		for (j = 0; j < 16; j++) {
			out[j] = (float)(in[4 + j] & 15) * d + m;
			out[j + 16] = (float)(in[4 + j] >> 4) * d + m;
		}
	}
}

void pm_dec_q5_0(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int j;

	for (i = 0; i < n; i++, in += 22, out += 32) {
		float d = pm_half(in);
		uint32_t high = pm_get32(in + 2);

		for (j = 0; j < 16; j++) {
			out[j] = (float)((in[6 + j] & 15) + (int)(high >> j & 1) * 16 - 16) * d;
			out[j + 16] = (float)((in[6 + j] >> 4) + (int)(high >> (j + 16) & 1) * 16 - 16) * d;
		}
	}
}

void pm_dec_q5_1(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int j;

	for (i = 0; i < n; i++, in += 24, out += 32) {
		float d = pm_half(in), m = pm_half(in + 2);
		uint32_t high = pm_get32(in + 4);

		for (j = 0; j < 16; j++) {
			out[j] = (float)((in[8 + j] & 15) + (int)(high >> j & 1) * 16) * d + m;
			out[j + 16] = (float)((in[8 + j] >> 4) + (int)(high >> (j + 16) & 1) * 16) * d + m;
		}
	}
}

static void dec_q8(float *out, const uint8_t *in, size_t n, int head)
{
	size_t i;
	int j;

	for (i = 0; i < n; i++, in += head + 32, out += 32) {
		float d = pm_half(in);

		for (j = 0; j < 32; j++)
			out[j] = (float)(int8_t)in[head + j] * d;
	}
}

void pm_dec_q8_0(float *out, const uint8_t *in, size_t n)
{
	dec_q8(out, in, n, 2);
}

void pm_dec_q8_1(float *out, const uint8_t *in, size_t n)
{
	dec_q8(out, in, n, 4);
}
