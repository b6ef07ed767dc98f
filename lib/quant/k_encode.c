/* The quantisers of the K types. Sub-blocks are searched sixteen at a time: one block of Q2_K, Q3_K or Q6_K, two of Q4_K or Q5_K. Their scales are rounded to
 * the bits that the block has for them, and the codes are then taken again from the rounded ones. */
#include "quant/codec.h"
#include "quant/search.h"

/* Codes of a block in its order, from lanes first … of sub-blocks of n values. */
static void gather(uint8_t *l, const pm_v *codes, int n, int first, float off)
{
	int i, j;

	for (i = 0; i < PM_QK / n; i++)
		for (j = 0; j < n; j++)
			l[i * n + j] = (uint8_t)(codes[j][first + i] + off);
}

/* Two-bit planes: the low bits of codes. */
static void put_planes(uint8_t *q, const uint8_t *l)
{
	int j;

	for (j = 0; j < 64; j++) {
		const uint8_t *p = l + j / 32 * 128 + j % 32;

		q[j] = (uint8_t)((p[0] & 3) | (p[32] & 3) << 2 | (p[64] & 3) << 4 | (p[96] & 3) << 6);
	}
}

static float largest_of(const float *x, int n)
{
	float m = 0;
	int i;

	for (i = 0; i < n; i++)
		m = x[i] > m ? x[i] : m;
	return m;
}

/* Codes of the n ≥ 0 scales (or minima) of a block, 0 … top; their own scale is stored as an f16. Returns that f16's value. */
static float scale_codes(const float *s, const float *w, int n, int top, uint8_t *codes, uint8_t *half)
{
	float max, inv;
	int i;

	if (w) {
		pm_put_half(half, pm_search_positive(s, w, n, top, codes));
		return pm_half(half);
	}
	max = largest_of(s, n);
	inv = max > 0 ? (float)top / max : 0;
	for (i = 0; i < n; i++)
		codes[i] = (uint8_t)pm_within(0, (float)top, rintf(inv * s[i]));
	pm_put_half(half, max / (float)top);
	return pm_half(half);
}

/* What Q2_K, Q4_K and Q5_K differ in: sub-blocks with a scale and a minimum. */
struct form {
	struct pm_range_search plain, weighted;
	int top;                /* of the scales */
	int bytes;
	float twice;            /* times the mean square in the weights */
};

static const struct form q2_k = {{16, 3, 15, -0.5f, 0.1f, true}, {16, 3, 36, -0.9f, 0.05f, false}, 15, 84, 1};
static const struct form q4_k = {{32, 15, 20, -1.0f, 0.1f, false}, {32, 15, 36, -0.9f, 0.05f, false}, 63, 144, 2};
static const struct form q5_k = {{32, 31, 15, -0.5f, 0.1f, false}, {32, 31, 36, -0.9f, 0.05f, false}, 63, 176, 2};

static void pack_q2(uint8_t *b, const uint8_t *l, const uint8_t *ls, const uint8_t *lm)
{
	int j;

	for (j = 0; j < 16; j++)
		b[j] = (uint8_t)(ls[j] | lm[j] << 4);
	put_planes(b + 16, l);
}

static void pack_scales(uint8_t *s, const uint8_t *ls, const uint8_t *lm)
{
	int j;

	for (j = 0; j < 4; j++) {
		s[j] = (uint8_t)(ls[j] | ls[j + 4] >> 4 << 6);
		s[j + 4] = (uint8_t)(lm[j] | lm[j + 4] >> 4 << 6);
		s[j + 8] = (uint8_t)((ls[j + 4] & 15) | (lm[j + 4] & 15) << 4);
	}
}

static void pack_q45(uint8_t *b, const uint8_t *l, const uint8_t *ls, const uint8_t *lm, bool five)
{
	uint8_t *high = b + 16, *q = b + (five ? 48 : 16);
	int j, k;

	pack_scales(b + 4, ls, lm);
	for (k = 0; k < 4; k++, l += 64, q += 32) {
		for (j = 0; j < 32; j++)
			q[j] = (uint8_t)((l[j] & 15) | (l[j + 32] & 15) << 4);
		for (j = 0; five && j < 32; j++)
			high[j] = (uint8_t)((k ? high[j] : 0) | (l[j] >> 4) << 2 * k | (l[j + 32] >> 4) << (2 * k + 1));
	}
}

/* Weights of sub-blocks that lie in v, and with importance their sums. x: the first of `blocks` blocks. */
static void range_weights(const struct form *f, const float *x, const float *importance, int have, const pm_v *v, pm_v *w, pm_v *sums)
{
	int i, j, n = f->plain.n, per = PM_QK / n;
	pm_v sig = {0}, sum = {0};

	if (importance) {
		pm_v q[32];

		for (i = 0; i < have; i++)
			sig[i] = f->twice * pm_squares(x + i / per * PM_QK, PM_QK) / PM_QK;
		pm_wide_load(q, importance, n, have);
		pm_weigh(v, q, &sig, n, w);
		for (j = 0; j < n; j++)
			sum += w[j];
		*sums = sum;
		return;
	}
	for (j = 0; !f->plain.absolute && j < n; j++)
		sum += v[j] * v[j];
	for (i = 0; i < PM_LANES; i++)
		sig[i] = sqrtf(sum[i] / (float)n);
	for (j = 0; j < n; j++) {
		w[j] = v[j];
		pm_vabs(w + j);
		if (!f->plain.absolute)
			w[j] = sig + w[j];
	}
}

static void encode_range(uint8_t *out, const float *x, size_t n, const float *importance, const struct form *f)
{
	pm_v v[32], w[32], codes[32], s, m, sums, back_s, back_m;
	int len = f->plain.n, per = PM_QK / len, i, j, have;
	size_t first, subs = n / (size_t)len;
	uint8_t l[PM_QK], ls[PM_LANES], lm[PM_LANES];
	float d, dmin;

	for (first = 0; first < subs; first += PM_LANES) {
		const float *x0 = x + first * (size_t)len, *q0 = importance ? importance + first * (size_t)len : NULL;

		have = subs - first < PM_LANES ? (int)(subs - first) : PM_LANES;
		pm_wide_load(v, x0, len, have);
		range_weights(f, x0, q0, have, v, w, &sums);
		pm_search_range(v, w, importance ? &f->weighted : &f->plain, codes, &s, &m);
		back_s = back_m = s - s;
		for (i = 0; i < have; i += per) {
			uint8_t *b = out + (size_t)(i / per) * (size_t)f->bytes, *half = b + (f == &q2_k ? 80 : 0);

			d = scale_codes((float *)&s + i, importance ? (float *)&sums + i : NULL, per, f->top, ls + i, half);
			dmin = scale_codes((float *)&m + i, importance ? (float *)&sums + i : NULL, per, f->top, lm + i, half + 2);
			for (j = i; j < i + per; j++) {
				back_s[j] = d * (float)ls[j];
				back_m[j] = dmin * (float)lm[j];
			}
		}
		pm_recode(v, &back_s, &back_m, len, 0, (float)f->plain.top, codes);
		for (i = 0; i < have; i += per, out += f->bytes) {
			gather(l, codes, len, i, 0);
			if (f == &q2_k)
				pack_q2(out, l, ls + i, lm + i);
			else
				pack_q45(out, l, ls + i, lm + i, f == &q5_k);
		}
	}
}

void pm_enc_q2_k(uint8_t *out, const float *x, size_t n, const float *importance)
{
	encode_range(out, x, n, importance, &q2_k);
}

void pm_enc_q4_k(uint8_t *out, const float *x, size_t n, const float *importance)
{
	encode_range(out, x, n, importance, &q4_k);
}

void pm_enc_q5_k(uint8_t *out, const float *x, size_t n, const float *importance)
{
	encode_range(out, x, n, importance, &q5_k);
}

/* Scales of Q3_K in six bits, 0 … 63. */
static void pack_q3(uint8_t *b, const uint8_t *l, const uint8_t *sc)
{
	int j;

	memset(b, 0, 32);
	for (j = 0; j < PM_QK; j++)
		b[j % 32] |= (uint8_t)((l[j] >> 2 & 1) << j / 32);
	put_planes(b + 32, l);
	memset(b + 96, 0, 12);
	for (j = 0; j < 16; j++) {
		b[96 + j % 8] |= (uint8_t)((sc[j] & 15) << (j < 8 ? 0 : 4));
		b[104 + j % 4] |= (uint8_t)(sc[j] >> 4 << 2 * (j / 4));
	}
}

/* The scales of a block of Q3_K: codes 0 … 63; returns the scale as stored. */
static float q3_scales(const pm_v *s, const pm_v *sums, uint8_t *sc, uint8_t *half)
{
	pm_v x[16], w[16], codes[16], d;
	float max, inv;
	int j;

	if (sums) {
		memset(x, 0, sizeof x);
		memset(w, 0, sizeof w);
		for (j = 0; j < 16; j++) {
			x[j][0] = (*s)[j];
			w[j][0] = (*sums)[j];
		}
		pm_search_scale(x, w, 16, 32, codes, &d);
		for (j = 0; j < 16; j++)
			sc[j] = (uint8_t)(codes[j][0] + 32);
		pm_put_half(half, d[0]);
		return pm_half(half);
	}
	max = pm_extreme((const float *)s, 16);
	inv = max != 0 ? -32 / max : 0;
	for (j = 0; j < 16; j++)
		sc[j] = (uint8_t)(max != 0 ? pm_within(-32, 31, rintf(inv * (*s)[j])) + 32 : 0);
	pm_put_half(half, pm_inverse(inv));
	return pm_half(half);
}

void pm_enc_q3_k(uint8_t *out, const float *x, size_t n, const float *importance)
{
	pm_v v[16], w[16], q[16], codes[16], s, back, sig = {0}, sums, zero = {0};
	uint8_t l[PM_QK], sc[16];
	size_t i;
	int j;

	for (i = 0; i < n; i += PM_QK, out += 110) {
		pm_wide_load(v, x + i, 16, PM_LANES);
		sums = zero;
		if (importance) {
			pm_wide_load(q, importance + i, 16, PM_LANES);
			sig = zero + 2 * pm_squares(x + i, PM_QK) / PM_QK;
			pm_weigh(v, q, &sig, 16, w);
			for (j = 0; j < 16; j++)
				sums += w[j];
			pm_search_scale(v, w, 16, 4, codes, &s);
		} else {
			pm_search_steps(v, 16, 4, codes, &s);
		}
		back = zero + q3_scales(&s, importance ? &sums : NULL, sc, out + 108);
		for (j = 0; j < 16; j++)
			back[j] *= (float)(sc[j] - 32);
		pm_recode(v, &back, &zero, 16, -4, 3, codes);
		gather(l, codes, 16, 0, 4);
		pack_q3(out, l, sc);
	}
}

static void pack_q6(uint8_t *b, const uint8_t *l)
{
	int j, p;

	for (p = 0; p < 2; p++, l += 128) {
		for (j = 0; j < 64; j++)
			b[64 * p + j] = (uint8_t)((l[j] & 15) | (l[j + 64] & 15) << 4);
		for (j = 0; j < 32; j++)
			b[128 + 32 * p + j] = (uint8_t)(l[j] >> 4 | l[j + 32] >> 4 << 2 | l[j + 64] >> 4 << 4 | l[j + 96] >> 4 << 6);
	}
}

void pm_enc_q6_k(uint8_t *out, const float *x, size_t n, const float *importance)
{
	pm_v v[16], w[16], codes[16], s, back, zero = {0};
	uint8_t l[PM_QK];
	float max, inv, d;
	size_t i;
	int j;

	for (i = 0; i < n; i += PM_QK, out += 210) {
		pm_wide_load(v, x + i, 16, PM_LANES);
		if (importance)
			pm_wide_load(w, importance + i, 16, PM_LANES);
		for (j = 0; !importance && j < 16; j++)
			w[j] = v[j] * v[j];
		pm_search_scale(v, w, 16, 32, codes, &s);
		max = pm_extreme((float *)&s, 16);
		if (fabsf(max) < 1e-15f) {
			memset(out, 0, 210);
			continue;
		}
		inv = -128 / max;
		pm_put_half(out + 208, 1 / inv);
		d = pm_half(out + 208);
		for (j = 0; j < 16; j++) {
			int sc = (int)pm_within(-128, 127, rintf(inv * s[j]));

			out[192 + j] = (uint8_t)sc;
			back[j] = d * (float)sc;
		}
		pm_recode(v, &back, &zero, 16, -32, 31, codes);
		gather(l, codes, 16, 0, 32);
		pack_q6(out, l);
	}
}

void pm_enc_q8_k(uint8_t *out, const float *x, size_t n, const float *importance)
{
	size_t i;
	int j, l, sum;

	(void)importance;
	for (i = 0; i < n; i += PM_QK, x += PM_QK, out += 292) {
		float max = pm_extreme(x, PM_QK), inv = max != 0 ? -127 / max : 0, d = pm_inverse(inv);

		memcpy(out, &d, sizeof d);
		for (j = 0, sum = 0; j < PM_QK; j++) {
			l = (int)pm_within(-127, 127, rintf(inv * x[j]));
			out[4 + j] = (uint8_t)l;
			sum += l;
			if (j % 16 == 15) {
				pm_put16(out + 260 + j / 16 * 2, (unsigned)sum);
				sum = 0;
			}
		}
	}
}
