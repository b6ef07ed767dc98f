//! use quant gemm_bias thin_walk
/* thin_int8_cpu.cl: the products of few rows of lib/op/gemm.h with B in blocks (quant.cl), for CPUs with vpdpbusd: sums of products of 8-bit
 * integers. Each work-item rounds its rows of A to 8 bits, a scale every 32 values (its largest magnitude is 127); a code of B less its
 * zero times a value of A is summed exactly, four to a 32-bit lane, and 64 values are added to 16 sums of float32 as sum times scale
 * of A times scale of B. A row's bits depend on the row alone; those of B lie STREAMS apart, as in thin_cpu.cl. */
#ifndef TYPE_B
#define TYPE_B q8_0
#define ROWS 1                  // of A that go together: 1, 2 or 4
#endif
#define INLINE inline __attribute__((always_inline))
#define COLS (STREAMS / ROWS)
#define MOST 32768              // largest k

/* Vectors at any address. */
typedef int any_int4 __attribute__((ext_vector_type(4), aligned(1)));
typedef int any_int8 __attribute__((ext_vector_type(8), aligned(1)));
typedef int any_int16 __attribute__((ext_vector_type(16), aligned(1)));
#define GET4(p) (*(__global const any_int4 *)(p))
#define GET8(p) (*(__global const any_int8 *)(p))
#define GET16(p) (*(__global const any_int16 *)(p))

/* acc + the products of bytes without and with sign, four to a lane. */
INLINE int16 dot4(int16 acc, int16 u, int16 s)
{
	__asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u), "v"(s));
	return acc;
}

/* Lanes i of v. */
INLINE float16 lanes(float16 v, int16 i)
{
	__asm__("vpermps %1, %2, %0" : "=v"(v) : "v"(v), "v"(i));
	return v;
}

/* The upper lanes are anything. */
INLINE float16 wider(float8 v)
{
	float16 w;

	w.lo = v;
	return w;
}

/* Each byte's low four bits name a byte of its 16 in t. */
INLINE int16 pick(int16 t, int16 i)
{
	__asm__("vpshufb %2, %1, %0" : "=v"(t) : "v"(t), "v"(i));
	return t;
}

/* What belongs to a format: values of a step; what code 0 stands for, negated; values that have a scale of their own; whether they have a
 * minimum, too; whether of each 128 values the second and third 32 change places, as the codes lie. */
#define traits_q4_0 STEP = 64, ZERO = 8, GRAIN = 32, LOW = false, SWAPPED = false
#define traits_q4_1 STEP = 64, ZERO = 0, GRAIN = 32, LOW = true, SWAPPED = false
#define traits_q5_0 STEP = 64, ZERO = 16, GRAIN = 32, LOW = false, SWAPPED = false
#define traits_q5_1 STEP = 64, ZERO = 0, GRAIN = 32, LOW = true, SWAPPED = false
#define traits_q8_0 STEP = 64, ZERO = 128, GRAIN = 32, LOW = false, SWAPPED = false
#define traits_iq4_nl STEP = 64, ZERO = 128, GRAIN = 32, LOW = false, SWAPPED = false
#define traits_mxfp4 STEP = 64, ZERO = 16, GRAIN = 32, LOW = false, SWAPPED = false
#define traits_q2_k STEP = 256, ZERO = 0, GRAIN = 16, LOW = true, SWAPPED = false
#define traits_q3_k STEP = 256, ZERO = 4, GRAIN = 16, LOW = false, SWAPPED = false
#define traits_q4_k STEP = 256, ZERO = 0, GRAIN = 32, LOW = true, SWAPPED = true
#define traits_q5_k STEP = 256, ZERO = 0, GRAIN = 32, LOW = true, SWAPPED = true
#define traits_q6_k STEP = 256, ZERO = 32, GRAIN = 16, LOW = false, SWAPPED = false
#define traits_iq4_xs STEP = 256, ZERO = 128, GRAIN = 32, LOW = false, SWAPPED = false

enum { CAT(traits_, TYPE_B) };

/* A row of A. */
struct row {
	int16 q[MOST / 64];             /* its bytes, as the codes of B lie */
	int16 start[MOST / 64];         /* what sums begin with: what the zero of the codes takes away */
	float d[MOST / 16];             /* scales, GRAIN values each */
	float low[MOST / 16];           /* scale times the sum of the bytes */
};

inline int sum_int8(int8 v)
{
	const int4 a = v.lo + v.hi;
	const int2 b = a.lo + a.hi;

	return b.x + b.y;
}

/* Rounds 16 values that are at most 127. */
inline char16 bytes_of(float16 v)
{
	return convert_char16(as_int16(v + 12582912.0f) - 0x4b400000);
}

/* The largest magnitude; NaN where there is one. */
inline float largest(float16 v, float16 w)
{
	const int16 a = max(as_int16(v) & 0x7fffffff, as_int16(w) & 0x7fffffff);
	const int8 b = max(a.lo, a.hi);
	const int4 c = max(b.lo, b.hi);
	const int2 d = max(c.lo, c.hi);

	return as_float(max(d.x, d.y));
}

/* Where 32 values lie, and which lie there. */
inline int place(int b)
{
	return SWAPPED && (b % 4 == 1 || b % 4 == 2) ? b ^ 3 : b;
}

inline void quantise(struct row *x, __global const float *a, int k)
{
	char16 *q = (char16 *)x->q;

	for (int i = 0; i < k; i += 32) {
		const float16 v = vload16(0, a + i), w = vload16(0, a + i + 16);
		const float most = largest(v, w), to = most > 0 ? 127 / most : 0, d = most * (1.0f / 127);
		const int at = place(i / 32);
		q[2 * at] = bytes_of(v * to);
		q[2 * at + 1] = bytes_of(w * to);
		for (int j = 0; j < 32 / GRAIN; j++)
			x->d[i / GRAIN + j] = d;
	}
	if (k % 64) {
		q[k / 16] = q[k / 16 + 1] = 0;
		x->d[k / 32] = 0;
	}
	for (int i = 0; i < (k + 63) / 64; i++) {
		const int16 sum = dot4((int16)0, (int16)0x01010101, x->q[i]);
		x->start[i] = sum * -ZERO;
		if (LOW == true && GRAIN == 16) {
			const int8 two = sum.even + sum.odd;
			vstore4(convert_float4(two.even + two.odd) * vload4(i, x->d), i, x->low);
		} else if (LOW) {
			const int b = place(2 * i), o = place(2 * i + 1);
			x->low[b] = (float)sum_int8(sum.lo) * x->d[b];
			x->low[o] = (float)sum_int8(sum.hi) * x->d[o];
		}
	}
}

/* ---- one step: sums of ROWS rows of A with a row of B, and what its minima add ---- */

struct sums {
	float16 s[ROWS];
	float8 low[ROWS];
};

/* 64 codes, number i in their row. scale: of each 32 (or 16) among them. */
#define ADD(r, codes, i, scales) (t->s[r] = fma(convert_float16(dot4(ZERO ? x[r].start[i] : (int16)0, codes, x[r].q[i])), scales, t->s[r]))
/* Of up to 16 scales the two a and b, 8 times each, or the four from a on, 4 times each. */
#define TWO(v, a, b) lanes(v, (int16)((int8)(a), (int8)(b)))
#define FOUR(v, a) lanes(v, (int16)((int4)(a), (int4)((a) + 1), (int4)((a) + 2), (int4)((a) + 3)))

/* Two blocks of 32: codes, scales and minima. */
INLINE void add_two(struct sums *t, const struct row *x, int i, int16 codes, float4 d)
{
	UNROLL for (int r = 0; r < ROWS; r++) {
		const float2 s = d.lo * vload2(i, x[r].d);
		ADD(r, codes, i, TWO(wider((float8)(s, s, s, s)), 0, 1));
	}
}

INLINE void low_two(struct sums *t, const struct row *x, int i, float4 m)
{
	UNROLL for (int r = 0; r < ROWS; r++)
		t->low[r].lo.lo = fma(m.lo, vload2(i, x[r].low), t->low[r].lo.lo);
}

#define HIGH_HALVES (uint16)(0, 0, 0, 0, 4, 4, 4, 4, 0, 0, 0, 0, 4, 4, 4, 4)

/* The nibbles of two blocks. */
INLINE int16 nibbles(block_t p, block_t o)
{
	const int4 a = GET4(p), b = GET4(o);

	return as_int16(as_uint16((int16)(a, a, b, b)) >> HIGH_HALVES) & 0x0f0f0f0f;
}

/* Bits 0 to 31 of two words as bit 4 of bytes. */
INLINE int16 fifth_bits(uint a, uint b)
{
	const uint8 by = (uint8)(0, 4, 8, 12, 16, 20, 24, 28);
	const uint16 four = (uint16)((uint8)a >> by, (uint8)b >> by) & 15u;

	return as_int16((four * 0x204081u & 0x01010101u) << 4);
}

#define TABLE(a, b, c, d) ((int16)((int4)(a, b, c, d), (int4)(a, b, c, d), (int4)(a, b, c, d), (int4)(a, b, c, d)))
/* block_iq4 + 128, block_fp4 + 16 */
#define TABLE_IQ4 TABLE(0x3f2d1801, 0x766a5d4f, 0xa6998d81, 0xf1d9c5b5)
#define TABLE_FP4 TABLE(0x13121110, 0x1c181614, 0x0d0e0f10, 0x04080a0c)

INLINE void step_q8_0(struct sums *t, const struct row *x, int i, block_t p, block_t o)
{
	const int16 q = (int16)(GET8(p + 2), GET8(o + 2)) ^ (int)0x80808080;

	add_two(t, x, i, q, block_halves(p, o));
}

INLINE void step_q4_0(struct sums *t, const struct row *x, int i, block_t p, block_t o)
{
	add_two(t, x, i, nibbles(p + 2, o + 2), block_halves(p, o));
}

INLINE void step_q4_1(struct sums *t, const struct row *x, int i, block_t p, block_t o)
{
	add_two(t, x, i, nibbles(p + 4, o + 4), block_halves(p, o));
	low_two(t, x, i, block_halves(p + 2, o + 2));
}

INLINE void step_q5_0(struct sums *t, const struct row *x, int i, block_t p, block_t o)
{
	add_two(t, x, i, nibbles(p + 6, o + 6) | fifth_bits(block_word(p + 2), block_word(o + 2)), block_halves(p, o));
}

INLINE void step_q5_1(struct sums *t, const struct row *x, int i, block_t p, block_t o)
{
	add_two(t, x, i, nibbles(p + 8, o + 8) | fifth_bits(block_word(p + 4), block_word(o + 4)), block_halves(p, o));
	low_two(t, x, i, block_halves(p + 2, o + 2));
}

INLINE void step_iq4_nl(struct sums *t, const struct row *x, int i, block_t p, block_t o)
{
	add_two(t, x, i, pick(TABLE_IQ4, nibbles(p + 2, o + 2)), block_halves(p, o));
}

INLINE void step_mxfp4(struct sums *t, const struct row *x, int i, block_t p, block_t o)
{
	add_two(t, x, i, pick(TABLE_FP4, nibbles(p + 1, o + 1)), (float4)(block_e8m0(*p), block_e8m0(*o), 0, 0));
}

/* The eight scales and minima of Q4_K and Q5_K, 6 bits each. */
INLINE void scales_k(float8 *d, float8 *m, block_t p)
{
	const uint a = block_word(p + 4), b = block_word(p + 8), c = block_word(p + 12);
	const uint2 s = (uint2)(a & 0x3f3f3f3f, (c & 0x0f0f0f0f) | (a >> 2 & 0x30303030));
	const uint2 l = (uint2)(b & 0x3f3f3f3f, (c >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030));

	*d = convert_float8(as_uchar8(s)) * block_half(p);
	*m = convert_float8(as_uchar8(l)) * -block_half(p + 2);
}

/* 128 codes: those of sub-blocks 4h and 4h + 2 side by side, then those of 4h + 1 and 4h + 3. */
INLINE void add_k(struct sums *t, const struct row *x, int i, int h, int16 even, int16 odd, const float8 *d)
{
	UNROLL for (int r = 0; r < ROWS; r++) {
		ADD(r, even, 4 * i + 2 * h, TWO(wider(d[r]), 4 * h, 4 * h + 2));
		ADD(r, odd, 4 * i + 2 * h + 1, TWO(wider(d[r]), 4 * h + 1, 4 * h + 3));
	}
}

#define BEGIN_K \
	float8 s, m, d[ROWS]; \
	scales_k(&s, &m, p); \
	UNROLL for (int r = 0; r < ROWS; r++) { \
		d[r] = s * vload8(i, x[r].d); \
		t->low[r] = fma(m, vload8(i, x[r].low), t->low[r]); \
	}

INLINE void step_q4_k(struct sums *t, const struct row *x, int i, block_t p, block_t o)
{
	BEGIN_K
	UNROLL for (int h = 0; h < 2; h++) {
		const int16 q = GET16(p + 16 + 64 * h);
		add_k(t, x, i, h, q & 0x0f0f0f0f, q >> 4 & 0x0f0f0f0f, d);
	}
}

#define HALVES(a, b) ((uint16)((uint8)(a), (uint8)(b)))

INLINE void step_q5_k(struct sums *t, const struct row *x, int i, block_t p, block_t o)
{
	const int8 five = GET8(p + 16);
	const uint16 b = as_uint16((int16)(five, five));
	BEGIN_K
	const int16 q = GET16(p + 48), v = GET16(p + 112);
	add_k(t, x, i, 0, (q & 0x0f0f0f0f) | (as_int16(b << HALVES(4, 2)) & 0x10101010),
		(q >> 4 & 0x0f0f0f0f) | (as_int16(b << HALVES(3, 1)) & 0x10101010), d);
	add_k(t, x, i, 1, (v & 0x0f0f0f0f) | (as_int16(b >> HALVES(0, 2)) & 0x10101010),
		(v >> 4 & 0x0f0f0f0f) | (as_int16(b >> HALVES(1, 3)) & 0x10101010), d);
}

/* 64 codes with four scales. */
INLINE void add_16(struct sums *t, const struct row *x, int i, int part, int16 codes, const float16 *d)
{
	UNROLL for (int r = 0; r < ROWS; r++)
		ADD(r, codes, 4 * i + part, FOUR(d[r], 4 * part));
}

INLINE void step_q6_k(struct sums *t, const struct row *x, int i, block_t p, block_t o)
{
	const float16 s = convert_float16(as_char16(GET4(p + 192))) * block_half(p + 208);
	float16 d[ROWS];

	UNROLL for (int r = 0; r < ROWS; r++)
		d[r] = s * vload16(i, x[r].d);
	UNROLL for (int h = 0; h < 2; h++) {
		const int16 q = GET16(p + 64 * h);
		const int8 two = GET8(p + 128 + 32 * h);
		const uint16 b = as_uint16((int16)(two, two));
		add_16(t, x, i, 2 * h, (q & 0x0f0f0f0f) | (as_int16(b << HALVES(4, 2)) & 0x30303030), d);
		add_16(t, x, i, 2 * h + 1, (q >> 4 & 0x0f0f0f0f) | (as_int16(b >> HALVES(0, 2)) & 0x30303030), d);
	}
}

/* 64 codes of two bits: planes 2n and 2n + 1 of 32 bytes. */
INLINE int16 two_planes(int8 v, int n)
{
	return as_int16(as_uint16((int16)(v, v)) >> HALVES(4 * n, 4 * n + 2)) & 0x03030303;
}

INLINE void step_q2_k(struct sums *t, const struct row *x, int i, block_t p, block_t o)
{
	const uchar16 both = as_uchar16(GET4(p));
	const float16 s = convert_float16(both & (uchar)15) * block_half(p + 80), m = convert_float16(both >> (uchar)4) * -block_half(p + 82);
	float16 d[ROWS];

	UNROLL for (int r = 0; r < ROWS; r++) {
		const float16 low = vload16(i, x[r].low);
		d[r] = s * vload16(i, x[r].d);
		t->low[r] = fma(m.lo, low.lo, fma(m.hi, low.hi, t->low[r]));
	}
	UNROLL for (int j = 0; j < 4; j++)
		add_16(t, x, i, j, two_planes(GET8(p + 16 + j / 2 * 32), j % 2), d);
}

/* The sixteen scales of Q3_K, 6 bits each. */
inline float16 scales_q3(block_t p)
{
	const uint a = block_word(p), b = block_word(p + 4), c = block_word(p + 8);
	const uint4 s = (uint4)((a & 0x0f0f0f0f) | (c << 4 & 0x30303030), (b & 0x0f0f0f0f) | (c << 2 & 0x30303030),
		(a >> 4 & 0x0f0f0f0f) | (c & 0x30303030), (b >> 4 & 0x0f0f0f0f) | (c >> 2 & 0x30303030));

	return convert_float16(as_uchar16(s)) - 32.0f;
}

INLINE void step_q3_k(struct sums *t, const struct row *x, int i, block_t p, block_t o)
{
	const float16 s = scales_q3(p + 96) * block_half(p + 108);
	const int8 top = GET8(p);
	const uint16 b = as_uint16((int16)(top, top));
	float16 d[ROWS];

	UNROLL for (int r = 0; r < ROWS; r++)
		d[r] = s * vload16(i, x[r].d);
	UNROLL for (int j = 0; j < 4; j++)
		add_16(t, x, i, j, two_planes(GET8(p + 32 + j / 2 * 32), j % 2) |
			(as_int16((b >> HALVES(2 * j, 2 * j + 1) & 0x01010101u) << 2)), d);
}

INLINE void step_iq4_xs(struct sums *t, const struct row *x, int i, block_t p, block_t o)
{
	const uint low = block_word(p + 4), high = p[2] | (uint)p[3] << 8;
	const uint8 lane = (uint8)(0, 1, 2, 3, 4, 5, 6, 7);
	const uint8 c = ((uint8)low >> 4 * lane & 15u) | ((uint8)high >> 2 * lane & 3u) << 4;
	const float8 s = (convert_float8(as_int8(c)) - 32.0f) * block_half(p);
	float8 d[ROWS];

	UNROLL for (int r = 0; r < ROWS; r++)
		d[r] = s * vload8(i, x[r].d);
	UNROLL for (int j = 0; j < 4; j++) {
		const int16 q = pick(TABLE_IQ4, nibbles(p + 8 + 32 * j, p + 24 + 32 * j));
		UNROLL for (int r = 0; r < ROWS; r++)
			ADD(r, q, 4 * i + j, TWO(wider(d[r]), 2 * j, 2 * j + 1));
	}
}

/* ROWS rows of A from row m0 (of m) with COLS rows of B, number n0 and on in the walk. */
INLINE void dots(__global float *c, long ldc, const struct row *x, block_t b, long ldb, int m0, int m, int n0, struct walk walk, int k,
	const struct rest *f)
{
	const int steps = (k + STEP - 1) / STEP;
	struct sums t[COLS];
	block_t q[COLS];
	int col[COLS];

	UNROLL for (int j = 0; j < COLS; j++) {
		col[j] = walk_col(walk, n0 + j);
		q[j] = AT(TYPE_B, b, min(col[j], walk.end - 1) * ldb);
		UNROLL for (int r = 0; r < ROWS; r++) {
			t[j].s[r] = 0;
			t[j].low[r] = 0;
		}
	}
	for (int i = 0; i < steps; i++)
		UNROLL for (int j = 0; j < COLS; j++) {
			block_t p = AT(TYPE_B, q[j], i * STEP);
			/* the second of two blocks; at an odd end the first again, whose scale in A is 0 */
			block_t o = STEP == 64 && i * 64 + 32 < k ? AT(TYPE_B, p, 32) : p;
			CAT(step_, TYPE_B)(&t[j], x, i, p, o);
		}
	UNROLL for (int r = 0; r < ROWS; r++)
		UNROLL for (int j = 0; j < COLS; j++)
			if (m0 + r < m && col[j] < min(walk.end, walk.from + ((n0 + j) % STREAMS + 1) * walk.step))
				finish(c, ldc, sum16(t[j].s[r]) + sum8(t[j].low[r]), m0 + r, col[j], f);
}

/* As thin of thin_cpu.cl. */
__kernel WG1 void thin(__global float *c, long c_off, long ldc, __global const float *a, long a_off, long lda,
	block_t b, long b_off, long ldb, int m, int n, int k, int cols, __global const uchar *bias, long bias_off, int bias_type,
	__global const float *add, long add_off, long ld_add, __global const float *h, long h_off, long ldh,
	__global const float *l, long l_off, long ldl, int r, float s, float scale)
{
	const struct rest f = {bias, add ? add + add_off : 0, h ? h + h_off : 0, l ? l + l_off : 0, bias_off, ld_add, ldh, ldl,
		bias_type, r, s, scale};
	const int from = (int)get_global_id(0) * cols, end = min(n, from + cols);
	const struct walk walk = {from, end, (end - from + STREAMS - 1) / STREAMS};
	struct row x[ROWS];

	a += a_off;
	b = AT(TYPE_B, b, b_off);
	c += c_off;
	for (int m0 = 0; m0 < m; m0 += ROWS) {
		for (int i = 0; i < ROWS; i++)
			quantise(&x[i], a + min(m0 + i, m - 1) * lda, k);
		for (int j = 0; j < STREAMS * walk.step; j += COLS)
			dots(c, ldc, x, b, ldb, m0, m, j, walk, k, &f);
	}
}
