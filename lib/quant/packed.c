#include "quant/packed.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "quant/codec.h"

unsigned pm_packed_code(const uint8_t *p, size_t i, int bits)
{
	size_t at = i * (size_t)bits;
	unsigned shift = at % 8, v = p[at / 8];

	if (shift + (unsigned)bits > 8)
		v |= (unsigned)p[at / 8 + 1] << 8;
	return v >> shift & ((1u << bits) - 1);
}

static float number(const void *p, enum pm_dtype t, size_t i)
{
	const uint8_t *b = p;
	float f;

	if (t == PM_F32)
		memcpy(&f, b + 4 * i, sizeof f);
	else
		f = t == PM_F16 ? pm_half(b + 2 * i) : pm_bf16_to_f32(pm_get16(b + 2 * i));
	return f;
}

void pm_affine_to_f32(float *out, const struct pm_affine *a, const void *codes, const void *scales, const void *biases, size_t n)
{
	size_t g, j, group = (size_t)a->group;

	for (g = 0; g < n / group; g++) {
		float s = number(scales, a->type, g), b = number(biases, a->type, g);

		for (j = 0; j < group; j++)
			out[g * group + j] = (float)pm_packed_code(codes, g * group + j, a->bits) * s + b;
	}
}

/* Scale and bias of a group, before they are rounded to their type. */
static void affine_scale(const float *x, size_t n, float top, float *scale, float *bias)
{
	float lo = x[0], hi = x[0], s, edge, q;
	size_t i;

	for (i = 1; i < n; i++) {
		lo = x[i] < lo ? x[i] : lo;
		hi = x[i] > hi ? x[i] : hi;
	}
	s = fmaxf((hi - lo) / top, 1e-7f);
	edge = fabsf(lo) > fabsf(hi) ? lo : hi;
	if (!(fabsf(lo) > fabsf(hi)))
		s = -s;
	q = rintf(edge / s);
	*scale = q != 0 ? edge / q : s;
	*bias = q != 0 ? edge : 0;
}

void pm_affine_from_f32(void *codes, void *scales, void *biases, const struct pm_affine *a, const float *x, size_t n)
{
	float top = (float)((1 << a->bits) - 1), s, b;
	size_t g, j, group = (size_t)a->group, at, size = (size_t)pm_dtype(a->type)->bytes;
	uint8_t *p = codes;

	memset(codes, 0, n * (size_t)a->bits / 8);
	for (g = 0; g < n / group; g++, x += group) {
		affine_scale(x, group, top, &s, &b);
		for (j = 0; j < group; j++) {
			unsigned v = (unsigned)pm_within(0, top, rintf((x[j] - b) / s));

			at = (g * group + j) * (size_t)a->bits;
			v <<= at % 8;
			p[at / 8] |= (uint8_t)v;
			if (v > 255)
				p[at / 8 + 1] |= (uint8_t)(v >> 8);
		}
		pm_from_f32((uint8_t *)scales + g * size, a->type, &s, 1);
		pm_from_f32((uint8_t *)biases + g * size, a->type, &b, 1);
	}
}

float pm_e4m3_to_f32(uint8_t b)
{
	int x = b >> 3 & 15, m = b & 7;
	float f = x ? ldexpf(1.0f + (float)m / 8, x - 7) : (float)m * 0x1p-9f;

	if (x == 15 && m == 7)
		f = NAN;
	return b & 0x80 ? -f : f;
}

float pm_e8m0_to_f32(uint8_t b)
{
	return b == 255 ? NAN : ldexpf(1, b - 127);
}

void pm_float_groups_to_f32(float *out, const struct pm_float_groups *f, const uint8_t *codes, const uint8_t *scales, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		uint8_t b = scales[i / (size_t)f->group];
		float s = f->powers ? pm_e8m0_to_f32(b) : pm_e4m3_to_f32(b);

		if (f->divide != 0)
			s /= f->divide;
		if (f->multiply != 0)
			s *= f->multiply;

		if (f->wide)
			out[i] = pm_e4m3_to_f32(codes[i]) * s;
		else
			out[i] = (float)pm_values_e2m1[codes[i / 2] >> 4 * (i & 1) & 15] * 0.5f * s;
	}
}

/* The quantiles of a normal distribution that NF4 has, and FP4's values by code (twelfths of its largest); bitsandbytes, MIT. */
const float pm_bnb_nf4[16] = {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f,
	-0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f,
	0.5626170039176941f, 0.7229568362236023f, 1.0f};
const float pm_bnb_fp4[16] = {0.0f, 0.0052083334885537624f, 0.6666666865348816f, 1.0f, 0.3333333432674408f, 0.5f, 0.1666666716337204f, 0.25f,
	0.0f, -0.0052083334885537624f, -0.6666666865348816f, -1.0f, -0.3333333432674408f, -0.5f, -0.1666666716337204f, -0.25f};

unsigned pm_bnb4_code(const uint8_t *codes, size_t i)
{
	return codes[i / 2] >> (i & 1 ? 0 : 4) & 15u;
}

void pm_bnb4_to_f32(float *out, const uint8_t *codes, const float map[16], const float *absmax, int block, size_t first, size_t n)
{
	size_t i;

	for (i = first; i < first + n; i++)
		*out++ = map[pm_bnb4_code(codes, i)] * absmax[i / (size_t)block];
}

/* The entries of a map in order, and what is half-way between neighbours: a value above that takes the upper one. */
struct steps {
	uint8_t code[256];
	float half[255];
	int n;
};

static void sort_map(struct steps *s, const float *map, int n)
{
	int i, k;

	s->n = n;
	for (i = 0; i < n; i++) {
		for (k = i; k > 0 && map[s->code[k - 1]] > map[i]; k--)
			s->code[k] = s->code[k - 1];
		s->code[k] = (uint8_t)i;
	}
	for (i = 0; i < n - 1; i++)
		s->half[i] = (map[s->code[i]] + map[s->code[i + 1]]) * 0.5f;
}

static unsigned nearest(const struct steps *s, float x)
{
	int lo = 0, hi = s->n - 1, mid;

	while (lo < hi) {
		mid = (lo + hi) / 2;
		if (x > s->half[mid])
			lo = mid + 1;
		else
			hi = mid;
	}
	return s->code[lo];
}

void pm_bnb4_from_f32(uint8_t *codes, float *absmax, const float map[16], int block, const float *x, size_t n)
{
	size_t i, j, len, size = (size_t)block;
	struct steps s;
	float inv;

	sort_map(&s, map, 16);
	memset(codes, 0, (n + 1) / 2);
	for (i = 0; i < n; i += size) {
		len = n - i < size ? n - i : size;
		absmax[i / size] = pm_largest(x + i, (int)len);
		inv = pm_inverse(absmax[i / size]);
		for (j = i; j < i + len; j++)
			codes[j / 2] |= (uint8_t)(nearest(&s, x[j] * inv) << (j & 1 ? 0 : 4));
	}
}

void pm_bnb_nested_to_f32(float *absmax, const uint8_t *bytes, const float map[256], const float *nested, int block, float offset, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		absmax[i] = map[bytes[i]] * nested[i / (size_t)block] + offset;
}

void pm_bnb_nested_from_f32(uint8_t *bytes, float *nested, float *offset, const float map[256], int block, const float *absmax, size_t n)
{
	size_t i, j, len, size = (size_t)block;
	struct steps s;
	double sum = 0;
	float most;

	sort_map(&s, map, 256);
	for (i = 0; i < n; i++)
		sum += (double)absmax[i];
	*offset = n ? (float)(sum / (double)n) : 0;
	for (i = 0; i < n; i += size) {
		len = n - i < size ? n - i : size;
		for (j = i, most = 0; j < i + len; j++)
			most = fmaxf(most, fabsf(absmax[j] - *offset));
		nested[i / size] = most;
		for (j = i; j < i + len; j++)
			bytes[j] = (uint8_t)nearest(&s, (absmax[j] - *offset) * pm_inverse(most));
	}
}

/* Value i of n + 1 from 0.1 to 1, from the nearer end, rounded once. */
static float between(int i, int n)
{
	float step = (1.0f - 0.1f) / (float)n;

	return i < (n + 1) / 2 ? fmaf(step, (float)i, 0.1f) : fmaf(-step, (float)(n - i), 1);
}

/* Seven decades, each with twice as many values as the one before, positive and negative, 0 and 1; in order. */
void pm_bnb_map(float map[256])
{
	static const float decade[7] = {1e-6f, 1e-5f, 1e-4f, 1e-3f, 1e-2f, 1e-1f, 1};
	int e, i, n = 0, k;
	float v;

	for (e = 0; e < 7; e++) {
		for (i = 0; i < 1 << e; i++) {
			v = decade[e] * ((between(i, 1 << e) + between(i + 1, 1 << e)) / 2);
			map[n++] = v;
			map[n++] = -v;
		}
	}
	map[n++] = 0;
	map[n++] = 1;
	for (i = 1; i < n; i++) {
		v = map[i];
		for (k = i; k > 0 && map[k - 1] > v; k--)
			map[k] = map[k - 1];
		map[k] = v;
	}
}

/* Code i of words of 32 bits that lie `stride` words apart: codes along the words, the first lowest. */
static unsigned strided(const uint8_t *p, size_t stride, size_t column, size_t i, int bits)
{
	size_t at = i * (size_t)bits, word = at / 32;
	unsigned shift = at % 32;
	uint64_t v = pm_get32(p + 4 * (word * stride + column));

	if (shift + (unsigned)bits > 32)
		v |= (uint64_t)pm_get32(p + 4 * ((word + 1) * stride + column)) << 32;
	return (unsigned)(v >> shift) & ((1u << bits) - 1);
}

/* Where AWQ has output o among the eight of its word. */
static unsigned awq_shift(size_t o)
{
	static const uint8_t place[8] = {0, 4, 1, 5, 2, 6, 3, 7};

	return 4u * place[o % 8];
}

static unsigned code_at(const struct pm_int_matrix *m, size_t o, size_t i)
{
	switch (m->layout) {
	case PM_INT_GPTQ: return strided(m->codes, m->out, o, i, m->bits);
	case PM_INT_AWQ: return pm_get32(m->codes + 4 * (i * (m->out / 8) + o / 8)) >> awq_shift(o) & 15;
	default: return strided(m->codes + 4 * o * ((m->in * (size_t)m->bits + 31) / 32), 1, 0, i, m->bits);
	}
}

static unsigned zero_at(const struct pm_int_matrix *m, size_t o, size_t g)
{
	if (!m->zeros)
		return 1u << (m->bits - 1);
	switch (m->layout) {
	case PM_INT_GPTQ: return strided(m->zeros + 4 * g * (m->out * (size_t)m->bits / 32), 1, 0, o, m->bits) + m->minus_one;
	case PM_INT_AWQ: return pm_get32(m->zeros + 4 * (g * (m->out / 8) + o / 8)) >> awq_shift(o) & 15;
	default: return strided(m->zeros, m->groups, g, o, m->bits);
	}
}

void pm_int_matrix_row(float *out, const struct pm_int_matrix *m, size_t o)
{
	size_t i, g, last = SIZE_MAX;
	float scale = 0, zero = 0;

	for (i = 0; i < m->in; i++) {
		g = m->g_idx ? pm_get32(m->g_idx + 4 * i) : i / m->group;
		if (g != last) {
			scale = number(m->scales, m->scale_type, m->layout == PM_INT_COMPRESSED ? o * m->groups + g : g * m->out + o);
			zero = (float)zero_at(m, o, g);
			last = g;
		}
		out[i] = scale * ((float)code_at(m, o, i) - zero);
	}
}
