/* codec.h: what the files of lib/quant share: the codecs by type, and bytes to numbers. Private to the room.
 *
 * Little-endian, like the formats. An f16 scale is rounded to nearest even when it is stored. */
#ifndef PM_QUANT_CODEC_H
#define PM_QUANT_CODEC_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "quant/quant.h"

#define PM_QK 256               /* values of a block of the K and I types */

/* out: n blocks' values. */
typedef void pm_decode_fn(float *out, const uint8_t *in, size_t n);

pm_decode_fn pm_dec_q4_0, pm_dec_q4_1, pm_dec_q5_0, pm_dec_q5_1, pm_dec_q8_0, pm_dec_q8_1;
pm_decode_fn pm_dec_q2_k, pm_dec_q3_k, pm_dec_q4_k, pm_dec_q5_k, pm_dec_q6_k, pm_dec_q8_k;
pm_decode_fn pm_dec_iq1_s, pm_dec_iq1_m, pm_dec_iq2_xxs, pm_dec_iq2_xs, pm_dec_iq2_s, pm_dec_iq3_xxs, pm_dec_iq3_s, pm_dec_iq4_nl, pm_dec_iq4_xs;
pm_decode_fn pm_dec_tq1_0, pm_dec_tq2_0, pm_dec_q1_0, pm_dec_q2_0, pm_dec_mxfp4, pm_dec_nvfp4, pm_dec_nf4, pm_dec_fp4, pm_dec_affine8;

/* One row of n values (a multiple of the block). importance: one weight a column, or NULL. */
typedef void pm_encode_fn(uint8_t *out, const float *x, size_t n, const float *importance);

pm_encode_fn pm_enc_q4_0, pm_enc_q4_1, pm_enc_q5_0, pm_enc_q5_1, pm_enc_q8_0, pm_enc_q8_1;
pm_encode_fn pm_enc_q2_k, pm_enc_q3_k, pm_enc_q4_k, pm_enc_q5_k, pm_enc_q6_k, pm_enc_q8_k;
pm_encode_fn pm_enc_iq1_s, pm_enc_iq1_m, pm_enc_iq2_xxs, pm_enc_iq2_xs, pm_enc_iq2_s, pm_enc_iq3_xxs, pm_enc_iq3_s, pm_enc_iq4_nl, pm_enc_iq4_xs;
pm_encode_fn pm_enc_tq1_0, pm_enc_tq2_0, pm_enc_q1_0, pm_enc_q2_0, pm_enc_mxfp4, pm_enc_nvfp4, pm_enc_nf4, pm_enc_fp4, pm_enc_affine8;

static inline uint16_t pm_get16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t pm_get32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline void pm_put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)v;
	p[1] = (uint8_t)(v >> 8);
}

static inline void pm_put32(uint8_t *p, uint32_t v)
{
	pm_put16(p, v);
	pm_put16(p + 2, v >> 16);
}

static inline float pm_half(const uint8_t *p)
{
	return pm_f16_to_f32(pm_get16(p));
}

static inline void pm_put_half(uint8_t *p, float f)
{
	pm_put16(p, pm_f32_to_f16(f));
}

/* 1/d, and 0 for 0. */
static inline float pm_inverse(float d)
{
	return d != 0 ? 1 / d : 0;
}

/* v, no less than lo and no more than hi, which is what a NaN becomes; the compiler makes two instructions of it, and of fminf a call. */
static inline float pm_within(float lo, float hi, float v)
{
	v = v < hi ? v : hi;
	return v > lo ? v : lo;
}

/* To the nearest integer, ties away from zero, within −127 … 127 (the quotient by a subnormal maximum may be infinite). */
static inline int pm_away(float v)
{
	v += copysignf(0x1.fffffep-2f, v);
	return (int)pm_within(-127, 127, v);
}

/* The first value of largest magnitude, with its sign. */
static inline float pm_extreme(const float *x, int n)
{
	float m = 0, a = 0;
	int j;

	for (j = 0; j < n; j++) {
		if (fabsf(x[j]) > a) {
			a = fabsf(x[j]);
			m = x[j];
		}
	}
	return m;
}

/* The largest magnitude of n values. */
static inline float pm_largest(const float *x, int n)
{
	float m[8] = {0};
	int i, j;

	for (i = 0; i + 8 <= n; i += 8)
		for (j = 0; j < 8; j++)
			m[j] = fabsf(x[i + j]) > m[j] ? fabsf(x[i + j]) : m[j];
	for (; i < n; i++)
		m[0] = fabsf(x[i]) > m[0] ? fabsf(x[i]) : m[0];
	for (j = 1; j < 8; j++)
		m[0] = m[j] > m[0] ? m[j] : m[0];
	return m[0];
}

static inline float pm_squares(const float *x, size_t n)
{
	float s = 0;
	size_t j;

	for (j = 0; j < n; j++)
		s += x[j] * x[j];
	return s;
}

/* Scale and minimum of sub-block j (0 to 7) of Q4_K and Q5_K, six bits each. */
static inline void pm_scale_min(const uint8_t *s, int j, unsigned *sc, unsigned *mn)
{
	if (j < 4) {
		*sc = s[j] & 63u;
		*mn = s[j + 4] & 63u;
	} else {
		*sc = (s[j + 4] & 15u) | (s[j - 4] >> 6 & 3u) << 4;
		*mn = (s[j + 4] >> 4 & 15u) | (s[j] >> 6 & 3u) << 4;
	}
}

/* The same of Q3_K (0 to 15), with its 32 taken off. */
static inline int pm_scale_q3(const uint8_t *s, int j)
{
	return ((s[j % 8] >> (j < 8 ? 0 : 4) & 15) | (s[8 + j % 4] >> 2 * (j / 4) & 3) << 4) - 32;
}

extern const int8_t pm_values_iq4[16];          /* levels of IQ4_NL and IQ4_XS */
extern const int8_t pm_values_e2m1[16];         /* twice the values of FP4 E2M1 */

#endif
