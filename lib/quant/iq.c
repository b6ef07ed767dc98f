/* IQ1, IQ2 and IQ3 decoded: points of a grid (grids.c) in groups of eight or four, a sign for each value, scales of a few bits for each 16 or 32. */
#include "quant/codec.h"
#include "quant/grids.h"

static const uint8_t level2[4] = {8, 25, 43, 0}, level3[8] = {4, 12, 20, 28, 36, 44, 52, 62};

/* A sign code of seven bits: the eighth sign makes their number even. */
static unsigned signs_of(unsigned code)
{
	unsigned c = code & 127, p = c ^ c >> 4;

	p ^= p >> 2;
	return c | ((p ^ p >> 1) & 1) << 7;
}

/* Eight values of a point of IQ2. */
static void eight(float *out, unsigned point, unsigned signs, float d)
{
	int j;

	for (j = 0; j < 8; j++)
		out[j] = d * (float)level2[point >> 2 * j & 3] * (signs >> j & 1 ? -1.0f : 1.0f);
}

void pm_dec_iq2_xxs(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int j, k;

	for (i = 0; i < n; i++, in += 66) {
		float d = pm_half(in);

		for (j = 0; j < 8; j++, out += 32) {
			const uint8_t *q = in + 2 + 8 * j;
			uint32_t s = pm_get32(q + 4);
			float f = d * (0.5f + (float)(s >> 28)) * 0.25f;

			for (k = 0; k < 4; k++)
				eight(out + 8 * k, pm_grid_iq2xxs[q[k]], signs_of(s >> 7 * k), f);
		}
	}
}

void pm_dec_iq2_xs(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int k;

	for (i = 0; i < n; i++, in += 74) {
		float d = pm_half(in);

		for (k = 0; k < 32; k++, out += 8) {
			unsigned q = pm_get16(in + 2 + 2 * k), s = in[66 + k / 4] >> 4 * (k / 2 & 1) & 15u;

			eight(out, pm_grid_iq2xs[q & 511], signs_of(q >> 9), d * (0.5f + (float)s) * 0.25f);
		}
	}
}

void pm_dec_iq2_s(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int k;

	for (i = 0; i < n; i++, in += 82) {
		float d = pm_half(in);

		for (k = 0; k < 32; k++, out += 8) {
			unsigned q = in[2 + k] | (in[66 + k / 4] >> 2 * (k % 4) & 3u) << 8, s = in[74 + k / 4] >> 4 * (k / 2 & 1) & 15u;

			eight(out, pm_grid_iq2s[q], in[34 + k], d * (0.5f + (float)s) * 0.25f);
		}
	}
}

void pm_dec_iq3_xxs(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int j, l;

	for (i = 0; i < n; i++, in += 98) {
		float d = pm_half(in);

		for (j = 0; j < 8; j++, out += 32) {
			uint32_t s = pm_get32(in + 66 + 4 * j);
			float f = d * (0.5f + (float)(s >> 28)) * 0.5f;

			for (l = 0; l < 32; l++) {
				unsigned point = pm_grid_iq3xxs[in[2 + 8 * j + l / 4]];

				out[l] = f * (float)level3[point >> 3 * (l % 4) & 7] * (signs_of(s >> 7 * (l / 8)) >> l % 8 & 1 ? -1.0f : 1.0f);
			}
		}
	}
}

void pm_dec_iq3_s(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int k, l;

	for (i = 0; i < n; i++, in += 110) {
		float d = pm_half(in);

		for (k = 0; k < 64; k++, out += 4) {
			unsigned point = pm_grid_iq3s[in[2 + k] | (in[66 + k / 8] >> k % 8 & 1u) << 8], signs = in[74 + k / 2];
			float f = d * (float)(1 + 2 * (in[106 + k / 16] >> 4 * (k / 8 & 1) & 15));

			for (l = 0; l < 4; l++)
				out[l] = f * (float)(2 * (point >> 3 * l & 7) + 1) * (signs >> (4 * (k & 1) + l) & 1 ? -1.0f : 1.0f);
		}
	}
}

/* Eight values of a point of IQ1, shifted. */
static void shifted(float *out, unsigned point, float shift, float d)
{
	int j;

	for (j = 0; j < 8; j++)
		out[j] = d * ((float)((int)(point >> 2 * j & 3) - 1) + shift);
}

void pm_dec_iq1_s(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int k;

	for (i = 0; i < n; i++, in += 50) {
		float d = pm_half(in);

		for (k = 0; k < 32; k++, out += 8) {
			unsigned h = pm_get16(in + 34 + k / 4 * 2), point = pm_grid_iq1s[in[2 + k] | (h >> 3 * (k % 4) & 7) << 8];

			shifted(out, point, h & 0x8000 ? -0.125f : 0.125f, d * (float)(2 * (h >> 12 & 7) + 1));
		}
	}
}

void pm_dec_iq1_m(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int k;

	for (i = 0; i < n; i++, in += 56) {
		const uint8_t *s = in + 48;
		float d = pm_f16_to_f32((uint16_t)(s[1] >> 4 | s[3] >> 4 << 4 | s[5] >> 4 << 8 | s[7] >> 4 << 12));

		for (k = 0; k < 32; k++, out += 8) {
			unsigned h = in[32 + k / 2] >> 4 * (k & 1) & 15u, point = pm_grid_iq1s[in[k] | (h & 7) << 8];
			unsigned sc = (unsigned)pm_get16(s + k / 8 * 2) >> 3 * (k / 2 % 4) & 7;

			shifted(out, point, h & 8 ? -0.125f : 0.125f, d * (float)(2 * sc + 1));
		}
	}
}
