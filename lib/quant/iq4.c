/* IQ4_NL and IQ4_XS: codes of four bits that choose among sixteen levels, finer near zero. */
#include "quant/codec.h"

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
