/* IQ4_NL and IQ4_XS: codes of four bits that choose among sixteen levels, finer near zero. */
#include "quant/codec.h"
#include "quant/search.h"

const int8_t pm_values_iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

void pm_dec_iq4_nl(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int j;

	for (i = 0; i < n; i++, in += 18, out += 32) {
		float d = pm_half(in);

		for (j = 0; j < 16; j++) {
			out[j] = d * (float)pm_values_iq4[in[2 + j] & 15];
			out[j + 16] = d * (float)pm_values_iq4[in[2 + j] >> 4];
		}
	}
}

void pm_dec_iq4_xs(float *out, const uint8_t *in, size_t n)
{
	size_t i;
	int j, l;

	for (i = 0; i < n; i++, in += 136) {
		float d = pm_half(in);
		unsigned high = pm_get16(in + 2);

		for (j = 0; j < 8; j++, out += 32) {
			const uint8_t *q = in + 8 + 16 * j;
			float s = d * (float)((in[4 + j / 2] >> 4 * (j & 1) & 15) + (int)(high >> 2 * j & 3) * 16 - 32);

			for (l = 0; l < 16; l++) {
				out[l] = s * (float)pm_values_iq4[q[l] & 15];
				out[l + 16] = s * (float)pm_values_iq4[q[l] >> 4];
			}
		}
	}
}

/* Weights of sixteen blocks of 32; sigma: twice the mean square over `over` values (32, or 256 = eight blocks). */
static void weights(const float *x, const float *importance, int have, int over, const pm_v *v, pm_v *w)
{
	pm_v q[32], sig = {0};
	int i, j;

	if (!importance) {
		for (j = 0; j < 32; j++)
			w[j] = v[j] * v[j];
		return;
	}
	for (i = 0; i < have; i++)
		sig[i] = pm_squares(x + i * 32 / over * over, (size_t)over) * (2.0f / (float)over);
	pm_wide_load(q, importance, 32, have);
	pm_weigh(v, q, &sig, 32, w);
}

static void put_nibbles(uint8_t *q, const pm_v *codes, int lane)
{
	int j;

	for (j = 0; j < 16; j++)
		q[j] = (uint8_t)((int)codes[j][lane] | (int)codes[j + 16][lane] << 4);
}

void pm_enc_iq4_nl(uint8_t *out, const float *x, size_t n, const float *importance)
{
	pm_v v[32], w[32], codes[32], s, inv;
	size_t first, blocks = n / 32;
	int i, have;

	for (first = 0; first < blocks; first += PM_LANES) {
		have = blocks - first < PM_LANES ? (int)(blocks - first) : PM_LANES;
		pm_wide_load(v, x + first * 32, 32, have);
		weights(x + first * 32, importance ? importance + first * 32 : NULL, have, 32, v, w);
		pm_search_levels(v, w, 32, &s);
		for (i = 0; i < PM_LANES; i++)
			inv[i] = pm_inverse(s[i]);
		pm_nearest_levels(v, &inv, 32, codes);
		for (i = 0; i < have; i++, out += 18) {
			pm_put_half(out, s[i]);
			put_nibbles(out + 2, codes, i);
		}
	}
}

void pm_enc_iq4_xs(uint8_t *out, const float *x, size_t n, const float *importance)
{
	pm_v v[32], w[32], codes[32], s, inv;
	int i, j, have, sc[PM_LANES];
	size_t first, subs = n / 32;
	unsigned high;
	float d, id, scale[PM_LANES];

	for (first = 0; first < subs; first += PM_LANES) {
		have = subs - first < PM_LANES ? (int)(subs - first) : PM_LANES;
		pm_wide_load(v, x + first * 32, 32, have);
		weights(x + first * 32, importance ? importance + first * 32 : NULL, have, PM_QK, v, w);
		pm_search_levels(v, w, 32, &s);
		memcpy(scale, &s, sizeof scale);
		inv = s - s;
		for (i = 0; i < have; i++) {
			d = -pm_extreme(scale + i / 8 * 8, 8) / 32;
			id = pm_inverse(d);
			sc[i] = (int)pm_within(-32, 31, rintf(id * scale[i]));
			inv[i] = pm_inverse(d * (float)sc[i]);
		}
		pm_nearest_levels(v, &inv, 32, codes);
		for (i = 0; i < have; i += 8, out += 136) {
			pm_put_half(out, -pm_extreme(scale + i, 8) / 32);
			memset(out + 4, 0, 4);
			for (j = 0, high = 0; j < 8; j++) {
				out[4 + j / 2] |= (uint8_t)(((sc[i + j] + 32) & 15) << 4 * (j & 1));
				high |= (unsigned)(sc[i + j] + 32) >> 4 << 2 * j;
				put_nibbles(out + 8 + 16 * j, codes, i + j);
			}
			pm_put16(out + 2, high);
		}
	}
}
