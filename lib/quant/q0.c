/* Blocks of 32 with one scale (Q4_0 Q5_0 Q8_0 Q8_1), or a scale and a minimum (Q4_1 Q5_1). 4-bit codes lie as 16 low nibbles, then 16 high ones;
 * the fifth bits of Q5 are a u32. */
#include "quant/codec.h"
#include "quant/search.h"
#include "quant/wide.h"

PM_BODY pm_dec_q4_0_body(float *out, const uint8_t *in, size_t n)
{
	typedef unsigned char bytes __attribute__((vector_size(16)));
	pm_vi l, h;
	pm_v v[2];
	bytes q;
	size_t i;

	for (i = 0; i < n; i++, in += 18, out += 32) {
		float d = pm_half(in);

		memcpy(&q, in + 2, sizeof q);           /* the low halves, then the high ones */
		l = __builtin_convertvector(q, pm_vi);
		h = (l >> 4) - 8;
		l = (l & 15) - 8;
		v[0] = __builtin_convertvector(l, pm_v) * d;
		v[1] = __builtin_convertvector(h, pm_v) * d;
		memcpy(out, v, sizeof v);
	}
}

PM_WIDE(, pm_dec_q4_0, (float *out, const uint8_t *in, size_t n), (out, in, n))

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

PM_BODY dec_q8_body(float *out, const uint8_t *in, size_t n, int head)
{
	pm_vb q[2];
	pm_v v[2];
	size_t i;
	int k;

	for (i = 0; i < n; i++, in += head + 32, out += 32) {
		float d = pm_half(in);

		memcpy(q, in + head, sizeof q);
		for (k = 0; k < 2; k++)
			v[k] = __builtin_convertvector(q[k], pm_v) * d;
		memcpy(out, v, sizeof v);
	}
}

PM_WIDE(static, dec_q8, (float *out, const uint8_t *in, size_t n, int head), (out, in, n, head))

void pm_dec_q8_0(float *out, const uint8_t *in, size_t n)
{
	dec_q8(out, in, n, 2);
}

void pm_dec_q8_1(float *out, const uint8_t *in, size_t n)
{
	dec_q8(out, in, n, 4);
}

/* What Q4_0 … Q5_1 differ in. */
struct form {
	int half;               /* 8 or 16: the code of zero, or half of how many codes there are */
	int head, bytes;        /* where the codes begin (for Q5 after the fifth bits), and the block's size */
};

static const struct form q4_0 = {8, 2, 18}, q4_1 = {8, 4, 20}, q5_0 = {16, 6, 22}, q5_1 = {16, 8, 24};

/* Codes 0 … 2·half − 1 into a block. */
static void put_codes(uint8_t *b, const struct form *f, const uint8_t *l)
{
	uint32_t high = 0;
	int j;

	for (j = 0; j < 16; j++)
		b[f->head + j] = (uint8_t)((l[j] & 15) | (l[j + 16] & 15) << 4);
	if (f->half == 16) {
		for (j = 0; j < 32; j++)
			high |= (uint32_t)(l[j] >> 4) << j;
		pm_put32(b + f->head - 4, high);
	}
}

/* The values of a block, their largest magnitude, and the first of them that has it, with its sign. */
PM_BODY load_block(pm_v v[2], float *most, float *extreme, const float *x)
{
	const pm_vi lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
	pm_v a, b, where;
	pm_vi m;
	float at;

	memcpy(v, x, 2 * sizeof *v);
	a = v[0];
	b = v[1];
	pm_vabs(&a);
	pm_vabs(&b);
	where = PM_SEL(a > b, a, b);
	pm_vmost(most, &where);
	if (!extreme)
		return;
	m = a == *most;                 /* sooner is more */
	where = __builtin_convertvector((m & (32 - lane)) | (~m & (b == *most) & (16 - lane)), pm_v);
	pm_vmost(&at, &where);
	*extreme = *most > 0 ? x[32 - (int)at] : 0;
}

static int code_below(float v, int top)
{
	return (int)pm_within(0, (float)top, v);
}

/* Blocks of scale and codes above 0. */
PM_BODY plain_scale_body(uint8_t *b, const float *x, size_t n, const struct form *f)
{
	const float top = (float)(2 * f->half - 1), zero = (float)f->half + 0.5f;
	pm_vb l[2];
	pm_v v[2];
	float most, d, inv;
	int k;

	for (; n >= 32; n -= 32, x += 32, b += f->bytes) {
		load_block(v, &most, &d, x);
		d /= (float)-f->half;
		inv = pm_inverse(d);
		pm_put_half(b, d);
		for (k = 0; k < 2; k++) {
			v[k] = v[k] * inv + zero;
			v[k] = PM_SEL(v[k] < top, v[k], (pm_v){0} + top);
			v[k] = PM_SEL(v[k] > 0, v[k], (pm_v){0});
			l[k] = __builtin_convertvector(__builtin_convertvector(v[k], pm_vi), pm_vb);
		}
		put_codes(b, f, (const uint8_t *)l);
	}
}

PM_WIDE(static, plain_scale, (uint8_t *b, const float *x, size_t n, const struct form *f), (b, x, n, f))

static void plain_range(uint8_t *b, const float *x, const struct form *f)
{
	float lo = x[0], hi = x[0], d, inv;
	uint8_t l[32];
	int j;

	for (j = 1; j < 32; j++) {
		lo = x[j] < lo ? x[j] : lo;
		hi = x[j] > hi ? x[j] : hi;
	}
	d = (hi - lo) / (float)(2 * f->half - 1);
	inv = pm_inverse(d);
	pm_put_half(b, d);
	pm_put_half(b + 2, lo);
	for (j = 0; j < 32; j++)
		l[j] = (uint8_t)code_below((x[j] - lo) * inv + 0.5f, 2 * f->half - 1);
	put_codes(b, f, l);
}

/* Sixteen blocks with importance: a search for the scale, or for scale and minimum. */
static void weighted(uint8_t *out, const float *x, size_t n, const float *importance, const struct form *f, bool range)
{
	struct pm_range_search how = {.n = 32, .top = 2 * f->half - 1, .steps = 36, .from = -0.9f, .step = 0.05f};
	float sigma = pm_squares(x, n) / (float)n, off = range ? 0 : (float)f->half;
	pm_v v[32], w[32], q[32], codes[32], s, m, sig = {0};
	size_t first, blocks = n / 32;
	uint8_t l[32];
	int i, j, have;

	sig += sigma;
	for (first = 0; first < blocks; first += PM_LANES) {
		have = blocks - first < PM_LANES ? (int)(blocks - first) : PM_LANES;
		pm_wide_load(v, x + first * 32, 32, have);
		pm_wide_load(q, importance + first * 32, 32, have);
		pm_weigh(v, q, &sig, 32, w);
		if (range)
			pm_search_range(v, w, &how, codes, &s, &m);
		else
			pm_search_scale(v, w, 32, f->half, codes, &s);
		for (i = 0; i < have; i++, out += f->bytes) {
			pm_put_half(out, s[i]);
			if (range)
				pm_put_half(out + 2, -m[i]);
			for (j = 0; j < 32; j++)
				l[j] = (uint8_t)(codes[j][i] + off);
			put_codes(out, f, l);
		}
	}
}

static void encode(uint8_t *out, const float *x, size_t n, const float *importance, const struct form *f, bool range)
{
	size_t i;

	if (importance) {
		weighted(out, x, n, importance, f, range);
		return;
	}
	if (!range) {
		plain_scale(out, x, n, f);
		return;
	}
	for (i = 0; i < n; i += 32, out += f->bytes)
		plain_range(out, x + i, f);
}

void pm_enc_q4_0(uint8_t *out, const float *x, size_t n, const float *importance)
{
	encode(out, x, n, importance, &q4_0, false);
}

void pm_enc_q4_1(uint8_t *out, const float *x, size_t n, const float *importance)
{
	encode(out, x, n, importance, &q4_1, true);
}

void pm_enc_q5_0(uint8_t *out, const float *x, size_t n, const float *importance)
{
	encode(out, x, n, importance, &q5_0, false);
}

void pm_enc_q5_1(uint8_t *out, const float *x, size_t n, const float *importance)
{
	encode(out, x, n, importance, &q5_1, true);
}

PM_BODY enc_q8_body(uint8_t *out, const float *x, size_t n, int head)
{
	const pm_v half = (pm_v){0} + 0x1.fffffep-2f, most_code = (pm_v){0} + 127;
	float d, most, inv;
	pm_vb l[2];
	pm_v v[2];
	int j, k, sum;

	for (; n >= 32; n -= 32, x += 32, out += head + 32) {
		load_block(v, &most, NULL, x);
		d = most / 127;
		inv = pm_inverse(d);
		pm_put_half(out, d);
		for (k = 0; k < 2; k++) {               /* as pm_away */
			v[k] *= inv;
			v[k] += (pm_v)((pm_vi)half | ((pm_vi)v[k] & (int)0x80000000));
			v[k] = PM_SEL(v[k] < most_code, v[k], most_code);
			v[k] = PM_SEL(v[k] > -most_code, v[k], -most_code);
			l[k] = __builtin_convertvector(__builtin_convertvector(v[k], pm_vi), pm_vb);
		}
		memcpy(out + head, l, sizeof l);
		for (j = 0, sum = 0; head == 4 && j < 32; j++)
			sum += (int8_t)out[head + j];
		if (head == 4)
			pm_put_half(out + 2, d * (float)sum);
	}
}

PM_WIDE(static, enc_q8, (uint8_t *out, const float *x, size_t n, int head), (out, x, n, head))

void pm_enc_q8_0(uint8_t *out, const float *x, size_t n, const float *importance)
{
	(void)importance;
	enc_q8(out, x, n, 2);
}

void pm_enc_q8_1(uint8_t *out, const float *x, size_t n, const float *importance)
{
	(void)importance;
	enc_q8(out, x, n, 4);
}
