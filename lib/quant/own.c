/* own.c: blocks of 32 that no file has, as weights of checkpoints are held (hold.h).
 *   NF4, FP4: bitsandbytes' code books: f32 absmax; 16 bytes of codes, value j and value 16 + j in one. value = map[code]·absmax.
 *   AFFINE8: f16 d, m; u8 qs[32]. value = q·d + m; made as Q4_1 is, with 255 for 15. */
#include "quant/codec.h"
#include "quant/packed.h"

static void decode(float *out, const uint8_t *in, size_t n, const float map[16])
{
	size_t i;
	int j;

	for (i = 0; i < n; i++, in += 20, out += 32) {
		uint32_t u = pm_get32(in);
		float absmax;

		memcpy(&absmax, &u, sizeof absmax);
		for (j = 0; j < 16; j++) {
			out[j] = map[in[4 + j] & 15] * absmax;
			out[j + 16] = map[in[4 + j] >> 4] * absmax;
		}
	}
}

void pm_dec_nf4(float *out, const uint8_t *in, size_t n)
{
	decode(out, in, n, pm_bnb_nf4);
}

void pm_dec_fp4(float *out, const uint8_t *in, size_t n)
{
	decode(out, in, n, pm_bnb_fp4);
}

static void encode(uint8_t *out, const float *x, size_t n, const float map[16])
{
	size_t i;
	int j;

	for (i = 0; i < n; i += 32, out += 20) {
		uint8_t codes[16];
		float absmax;
		uint32_t u;

		pm_bnb4_from_f32(codes, &absmax, map, 32, x + i, 32);
		memcpy(&u, &absmax, sizeof u);
		pm_put32(out, u);
		for (j = 0; j < 16; j++)
			out[4 + j] = (uint8_t)(pm_bnb4_code(codes, (size_t)j) | pm_bnb4_code(codes, (size_t)j + 16) << 4);
	}
}

void pm_enc_nf4(uint8_t *out, const float *x, size_t n, const float *importance)
{
	(void)importance;
	encode(out, x, n, pm_bnb_nf4);
}

void pm_enc_fp4(uint8_t *out, const float *x, size_t n, const float *importance)
{
	(void)importance;
	encode(out, x, n, pm_bnb_fp4);
}

void pm_dec_affine8(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int j;

	for (i = 0; i < n; i++, in += 36, out += 32)
		for (j = 0; j < 32; j++)
			out[j] = (float)in[4 + j] * pm_half(in) + pm_half(in + 2);
}

void pm_enc_affine8(uint8_t *out, const float *x, size_t n, const float *importance)
{
	size_t i;
	int j;

	(void)importance;
	for (i = 0; i < n; i += 32, out += 36) {
		float lo = x[i], hi = x[i], d, inv;

		for (j = 1; j < 32; j++) {
			lo = fminf(lo, x[i + (size_t)j]);
			hi = fmaxf(hi, x[i + (size_t)j]);
		}
		d = (hi - lo) / 255;
		inv = pm_inverse(d);
		pm_put_half(out, d);
		pm_put_half(out + 2, lo);
		for (j = 0; j < 32; j++)
			out[4 + j] = (uint8_t)pm_within(0, 255, (x[i + (size_t)j] - lo) * inv + 0.5f);
	}
}
