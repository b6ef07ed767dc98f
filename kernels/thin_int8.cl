/* thin_int8.cl: what the products of few rows with B in blocks (quant.cl) share, for CPUs with products of bytes (thin_bytes.cl).
 * A row of A is rounded to 8 bits, a scale every 32 values (its largest magnitude is 127); a code of B less its
 * zero times a value of A is summed exactly, four to a 32-bit lane, and 64 to 256 values are added to 16 sums of float32 as sum times scale
 * of A times scale of B. A row's bits depend on the row alone; those of B lie STREAMS apart, as in thin_cpu.cl.
 *
 * THIN_INT8(type) defines, for a format, quantise_type, which rounds a row, and rows_type, which makes a work-item's columns. */
#if HAVE_BYTES
#ifndef ROWS
#define ROWS 1                  // of A that go together: 1, 2 or 4
#endif
#define COLS (STREAMS / ROWS)

/* Vectors at any address. */
typedef int any_int4 __attribute__((ext_vector_type(4), aligned(1)));
typedef int any_int8 __attribute__((ext_vector_type(8), aligned(1)));
typedef int any_int16 __attribute__((ext_vector_type(16), aligned(1)));
#define GET4(p) (*(__global const any_int4 *)(p))
#define GET8(p) (*(__global const any_int8 *)(p))
#define GET16(p) (*(__global const any_int16 *)(p))

/* The upper lanes are anything. */
INLINE float16 wider(float8 v)
{
	float16 w;

	w.lo = v;
	return w;
}

/* What belongs to a format: what code 0 stands for, negated; values that have a scale of their own; whether they have a minimum, too; their bits (6 at
 * most, or 8); and the order
 * of the values of a row. QUADS: of each 128 the first halves of the four blocks of 32 come first, then the second halves, as the nibbles of four blocks
 * lie. EIGHTS: of each 256 the first halves of the even blocks of 32, then of the odd ones, then the second halves likewise, as the nibbles of Q4_K and Q5_K
 * lie when quarters of vectors have changed places; minima are subtracted. SIXTEENTHS: so, and codes of odd blocks come 16 times too large. */
enum { PLAIN, QUADS, EIGHTS, SIXTEENTHS };
#if HAVE_VNNI
#define HIGH_NIBBLES SIXTEENTHS
#else
#define HIGH_NIBBLES EIGHTS
#endif
#define traits_q4_0 ZERO = 8, GRAIN = 32, LOW = 0, BITS = 6, ORDER = QUADS
#define traits_q4_1 ZERO = 0, GRAIN = 32, LOW = 1, BITS = 6, ORDER = PLAIN
#define traits_q5_0 ZERO = 16, GRAIN = 32, LOW = 0, BITS = 6, ORDER = PLAIN
#define traits_q5_1 ZERO = 0, GRAIN = 32, LOW = 1, BITS = 6, ORDER = PLAIN
#define traits_q8_0 ZERO = 128, GRAIN = 32, LOW = 0, BITS = 8, ORDER = PLAIN
#define traits_iq4_nl ZERO = 128, GRAIN = 32, LOW = 0, BITS = 8, ORDER = PLAIN
#define traits_affine8 ZERO = 0, GRAIN = 32, LOW = 1, BITS = 8, ORDER = PLAIN
#define traits_mxfp4 ZERO = 16, GRAIN = 32, LOW = 0, BITS = 6, ORDER = PLAIN
#define traits_q2_k ZERO = 0, GRAIN = 16, LOW = 1, BITS = 6, ORDER = PLAIN
#define traits_q3_k ZERO = 4, GRAIN = 16, LOW = 0, BITS = 6, ORDER = PLAIN
#define traits_q4_k ZERO = 0, GRAIN = 32, LOW = 1, BITS = 6, ORDER = HIGH_NIBBLES
#define traits_q5_k ZERO = 0, GRAIN = 32, LOW = 1, BITS = 6, ORDER = EIGHTS
#define traits_q6_k ZERO = 32, GRAIN = 16, LOW = 0, BITS = 6, ORDER = PLAIN
#define traits_iq4_xs ZERO = 128, GRAIN = 32, LOW = 0, BITS = 8, ORDER = PLAIN

/* ---- rows of A ---- */

#define STEP 256

/* For each STEP values: 16 scales in d and, LOW, the sums of what they belong to in low; or, at a grain of 32, 8 of each in d; or, in QUADS, the scales of 4 blocks
 * in d and of the next 4 in low, each 4 times; or, in EIGHTS, the scales of even blocks in d and of odd ones in low, each 4 times, and in start the sums of
 * four blocks, each times its scale and negated, 4 times, then of the next four. */
struct row {
	int16 *q;                       /* its bytes, as the codes of B lie */
	int16 *start;                   /* what sums begin with: what the zero of the codes takes away */
	float16 *d, *low;
};

/* Where a row lies in memory that begins at a multiple of 64 bytes, and how many it takes: 5 for 2 values. */
#define ROW_BYTES(k) (((k) + STEP - 1) / STEP * (STEP * 5 / 2))

INLINE struct row row_at(size_t at, int k)
{
	const size_t most = (k + STEP - 1) / STEP * STEP;

	return (struct row){(int16 *)at, (int16 *)(at + most), (float16 *)(at + 2 * most), (float16 *)(at + 2 * most + most / 4)};
}

/* The halves of two vectors, each reduced to half of the result; likewise until 8 vectors are one. */
#define HALVE(op, a, b) op((int16)(a.lo, b.lo), (int16)(a.hi, b.hi))
#define QUARTER(op, a, b) op((int16)(a.s0123, a.s89ab, b.s0123, b.s89ab), (int16)(a.s4567, a.scdef, b.s4567, b.scdef))
#define EIGHTH(op, a, b) op((int16)(a.s01, b.s01, a.s45, b.s45, a.s89, b.s89, a.scd, b.scd), \
	(int16)(a.s23, b.s23, a.s67, b.s67, a.sab, b.sab, a.sef, b.sef))

/* The largest magnitudes of 8 times 32 values; NaN where there is one. */
INLINE float8 largest(const float16 *v)
{
	int16 m[8];

	UNROLL for (int j = 0; j < 8; j++)
		m[j] = max(as_int16(v[2 * j]) & 0x7fffffff, as_int16(v[2 * j + 1]) & 0x7fffffff);
	UNROLL for (int j = 0; j < 4; j++)
		m[j] = HALVE(max, m[2 * j], m[2 * j + 1]);
	m[0] = QUARTER(max, m[0], m[1]);
	m[1] = QUARTER(max, m[2], m[3]);
	m[0] = EIGHTH(max, m[0], m[1]);
	const int8 two = max(m[0].even, m[0].odd);
	return as_float8(two.s02461357);
}

/* The sums of 8 times 8 lanes. */
INLINE int8 sum_eights(const int16 *v)
{
	const int16 a = (int16)(v[0].even, v[1].even) + (int16)(v[0].odd, v[1].odd);
	const int16 b = (int16)(v[2].even, v[3].even) + (int16)(v[2].odd, v[3].odd);
	const int16 c = (int16)(a.even, b.even) + (int16)(a.odd, b.odd);

	return c.even + c.odd;
}

/* The sums of 16 times 4 lanes. */
INLINE int16 sum_fours(const int16 *v)
{
	const int16 a = (int16)(v[0].even, v[1].even) + (int16)(v[0].odd, v[1].odd);
	const int16 b = (int16)(v[2].even, v[3].even) + (int16)(v[2].odd, v[3].odd);

	return (int16)(a.even, b.even) + (int16)(a.odd, b.odd);
}

/* STEP values, number g of their row. */
INLINE void quantise_step(const struct row *x, int g, const float16 *v, int ZERO, int GRAIN, int ORDER)
{
	const float8 most = largest(v), d = most * (1.0f / 127), to = select((float8)0, 127 / most, most > 0);
	char16 *q = (char16 *)(x->q + 4 * g);
	float by[8];
	int16 sum[4];

	vstore8(to, 0, by);
	UNROLL for (int j = 0; j < 8; j++) {
		const int at = ORDER >= EIGHTS ? j % 2 * 4 + j / 2 : ORDER == QUADS ? j / 4 * 8 + j % 4 : 2 * j;
		/* 1.5 · 2²³ added, the low byte is what the value rounds to */
		q[at] = convert_char16(as_int16(fma(v[2 * j], (float16)by[j], (float16)12582912.0f)));
		q[at + (ORDER >= EIGHTS ? 8 : ORDER == QUADS ? 4 : 1)] = convert_char16(as_int16(fma(v[2 * j + 1], (float16)by[j], (float16)12582912.0f)));
	}
	UNROLL for (int j = 0; j < 4; j++) {
		sum[j] = dot4((int16)0, (int16)0x01010101, x->q[4 * g + j]);
		x->start[4 * g + j] = sum[j] * -ZERO;
	}
	if (ORDER == QUADS) {
		x->start[4 * g] += x->start[4 * g + 1];
		x->start[4 * g + 2] += x->start[4 * g + 3];
		x->d[g] = d.s0000111122223333;
		x->low[g] = d.s4444555566667777;
	} else if (ORDER >= EIGHTS) {
		const int16 two[4] = {dot4(sum[0], (int16)0x01010101, x->q[4 * g + 2]), dot4(sum[1], (int16)0x01010101, x->q[4 * g + 3])};
		const float8 low = convert_float8(sum_fours(two).s04152637) * -d;
		x->start[4 * g] = as_int16((float16)(low.lo, low.lo, low.lo, low.lo));
		x->start[4 * g + 1] = as_int16((float16)(low.hi, low.hi, low.hi, low.hi));
		x->d[g] = d.s0000222244446666;
		x->low[g] = d.s1111333355557777 * (ORDER == SIXTEENTHS ? 0.0625f : 1.0f);
	} else if (GRAIN == 16) {
		x->d[g] = ((float16)(d, d)).s08192a3b4c5d6e7f;
		x->low[g] = convert_float16(sum_fours(sum)) * x->d[g];
	} else {
		const float8 low = convert_float8(sum_eights(sum));
		x->d[g] = (float16)(d, low * d);
	}
}

/* Values behind the last are 0. */
INLINE void quantise(const struct row *x, __global const float *a, int k, int ZERO, int GRAIN, int ORDER)
{
	float16 v[16];
	int g = 0, j;

	for (; (g + 1) * STEP <= k; g++) {
		UNROLL for (int i = 0; i < 16; i++)
			v[i] = vload16(16 * g + i, a);
		quantise_step(x, g, v, ZERO, GRAIN, ORDER);
	}
	if (g * STEP == k)
		return;
	for (j = 0; j < 16; j++)
		v[j] = g * STEP + 16 * j < k ? vload16(16 * g + j, a) : 0;
	quantise_step(x, g, v, ZERO, GRAIN, ORDER);
}

/* ---- one step: sums of ROWS rows of A with a row of B, and what its minima add ---- */

struct sums {
	float16 s[ROWS], low[ROWS];
};

/* 64 codes, number i in their row; their scales. */
#define ADD(r, codes, i, scales) (t->s[r] = fma(convert_float16(dot_codes(BITS, ZERO, x[r].start[i], codes, x[r].q[i])), scales, t->s[r]))
/* Of up to 16 scales the two a and b, 8 times each, or the four from a on, 4 times each. */
#define TWO(v, a, b) lanes(v, (int16)((int8)(a), (int8)(b)))
#define FOUR(v, a) lanes(v, (int16)((int4)(a), (int4)((a) + 1), (int4)((a) + 2), (int4)((a) + 3)))

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
/* block_iq4 + 128, block_e2m1 + 16 */
#define TABLE_IQ4 TABLE(0x3f2d1801, 0x766a5d4f, 0xa6998d81, 0xf1d9c5b5)
#define TABLE_FP4 TABLE(0x13121110, 0x1c181614, 0x0d0e0f10, 0x04080a0c)

/* Blocks of 32: the codes of two of them; the scales, and minima, of eight. */
#define codes_q8_0(p, o) ((int16)(GET8(p + 2), GET8(o + 2)) ^ (int)0x80808080)
#define codes_affine8(p, o) (int16)(GET8(p + 4), GET8(o + 4))
#define codes_q4_1(p, o) nibbles(p + 4, o + 4)
#define codes_q5_0(p, o) (nibbles(p + 6, o + 6) | fifth_bits(block_word(p + 2), block_word(o + 2)))
#define codes_q5_1(p, o) (nibbles(p + 8, o + 8) | fifth_bits(block_word(p + 4), block_word(o + 4)))
#define codes_iq4_nl(p, o) pick(TABLE_IQ4, nibbles(p + 2, o + 2))
#define codes_mxfp4(p, o) pick(TABLE_FP4, nibbles(p + 1, o + 1))

/* Eight halves, `bytes` apart; of n of them, the first again for the others, which are multiplied by 0. */
INLINE float8 eight_halves(block_t p, int bytes, int n)
{
	const ushort8 h = (ushort8)(block_ushort(p), block_ushort(p + (n > 1 ? bytes : 0)), block_ushort(p + (n > 2 ? 2 * bytes : 0)),
		block_ushort(p + (n > 3 ? 3 * bytes : 0)), block_ushort(p + (n > 4 ? 4 * bytes : 0)), block_ushort(p + (n > 5 ? 5 * bytes : 0)),
		block_ushort(p + (n > 6 ? 6 * bytes : 0)), block_ushort(p + (n > 7 ? 7 * bytes : 0)));

	return float_halves(h);
}

INLINE float8 eight_e8m0(block_t p, int bytes, int n)
{
	uint8 e;

	for (int j = 0; j < 8; j++)
		((uint *)&e)[j] = p[j < n ? j * bytes : 0];
	return as_float8(select((e - 1) << 23, (uint8)0x200000u << e, e < 2));
}

#define scales_q8_0 eight_halves
#define scales_q4_1 eight_halves
#define scales_q5_0 eight_halves
#define scales_q5_1 eight_halves
#define scales_iq4_nl eight_halves
#define scales_mxfp4 eight_e8m0
#define scales_affine8 eight_halves

/* n of 8 blocks of 32. */
#define DEFINE_STEP_32(type) \
INLINE void step_##type(struct sums *t, const struct row *x, int g, block_t p, int n) \
{ \
	enum { traits_##type }; \
	const int bytes = (int)(size_t)at_##type((size_t)0, 32); \
	const float8 s = scales_##type(p, bytes, n), m = LOW ? eight_halves(p + 2, bytes, n) : (float8)0; \
	float8 d[ROWS]; \
	UNROLL for (int r = 0; r < ROWS; r++) { \
		d[r] = s * x[r].d[g].lo; \
		if (LOW) \
			t->low[r].lo = fma(m, x[r].d[g].hi, t->low[r].lo); \
	} \
	UNROLL for (int j = 0; j < 4; j++) { \
		if (2 * j >= n) \
			break; \
		block_t a = p + 2 * j * bytes, o = 2 * j + 1 < n ? a + bytes : a; \
		const int16 q = codes_##type(a, o); \
		UNROLL for (int r = 0; r < ROWS; r++) \
			ADD(r, q, 4 * g + j, TWO(wider(d[r]), 2 * j, 2 * j + 1)); \
	} \
}
DEFINE_STEP_32(q8_0)
DEFINE_STEP_32(q4_1)
DEFINE_STEP_32(q5_0)
DEFINE_STEP_32(q5_1)
DEFINE_STEP_32(iq4_nl)
DEFINE_STEP_32(mxfp4)
DEFINE_STEP_32(affine8)

#define HALVES(a, b) ((uint16)((uint8)(a), (uint8)(b)))

/* 64 codes with four scales. */
INLINE void add_16(struct sums *t, const struct row *x, int g, int part, int16 codes, const float16 *d, int ZERO)
{
	enum { BITS = 6 };

	UNROLL for (int r = 0; r < ROWS; r++)
		ADD(r, codes, 4 * g + part, FOUR(d[r], 4 * part));
}

INLINE void scale_16(float16 *d, const struct row *x, int g, float16 s)
{
	UNROLL for (int r = 0; r < ROWS; r++)
		d[r] = s * x[r].d[g];
}

INLINE void step_q6_k(struct sums *t, const struct row *x, int g, block_t p, int n)
{
	enum { traits_q6_k };
	float16 d[ROWS];

	scale_16(d, x, g, convert_float16(as_char16(GET4(p + 192))) * block_half(p + 208));
	UNROLL for (int h = 0; h < 2; h++) {
		const int16 q = GET16(p + 64 * h);
		const int8 two = GET8(p + 128 + 32 * h);
		const uint16 b = as_uint16((int16)(two, two));
		add_16(t, x, g, 2 * h, (q & 0x0f0f0f0f) | (as_int16(b << HALVES(4, 2)) & 0x30303030), d, ZERO);
		add_16(t, x, g, 2 * h + 1, (q >> 4 & 0x0f0f0f0f) | (as_int16(b >> HALVES(0, 2)) & 0x30303030), d, ZERO);
	}
}

/* 64 codes of two bits: planes 2n and 2n + 1 of 32 bytes. */
INLINE int16 two_planes(int8 v, int n)
{
	return as_int16(as_uint16((int16)(v, v)) >> HALVES(4 * n, 4 * n + 2)) & 0x03030303;
}

INLINE void step_q2_k(struct sums *t, const struct row *x, int g, block_t p, int n)
{
	enum { traits_q2_k };
	const uchar16 both = as_uchar16(GET4(p));
	const float16 m = convert_float16(both >> (uchar)4) * -block_half(p + 82);
	float16 d[ROWS];

	scale_16(d, x, g, convert_float16(both & (uchar)15) * block_half(p + 80));
	UNROLL for (int r = 0; r < ROWS; r++)
		t->low[r] = fma(m, x[r].low[g], t->low[r]);
	UNROLL for (int j = 0; j < 4; j++)
		add_16(t, x, g, j, two_planes(GET8(p + 16 + j / 2 * 32), j % 2), d, ZERO);
}

/* The sixteen scales of Q3_K, 6 bits each. */
INLINE float16 scales_q3(block_t p)
{
	const uint a = block_word(p), b = block_word(p + 4), c = block_word(p + 8);
	const uint4 s = (uint4)((a & 0x0f0f0f0f) | (c << 4 & 0x30303030), (b & 0x0f0f0f0f) | (c << 2 & 0x30303030),
		(a >> 4 & 0x0f0f0f0f) | (c & 0x30303030), (b >> 4 & 0x0f0f0f0f) | (c >> 2 & 0x30303030));

	return convert_float16(as_uchar16(s)) - 32.0f;
}

INLINE void step_q3_k(struct sums *t, const struct row *x, int g, block_t p, int n)
{
	enum { traits_q3_k };
	const int8 top = GET8(p);
	const uint16 b = as_uint16((int16)(top, top));
	float16 d[ROWS];

	scale_16(d, x, g, scales_q3(p + 96) * block_half(p + 108));
	UNROLL for (int j = 0; j < 4; j++)
		add_16(t, x, g, j, two_planes(GET8(p + 32 + j / 2 * 32), j % 2) |
			(as_int16((b >> HALVES(2 * j, 2 * j + 1) & 0x01010101u) << 2)), d, ZERO);
}

INLINE void step_iq4_xs(struct sums *t, const struct row *x, int g, block_t p, int n)
{
	enum { traits_iq4_xs };
	const uint low = block_word(p + 4), high = block_ushort(p + 2);
	const uint8 lane = (uint8)(0, 1, 2, 3, 4, 5, 6, 7);
	const uint8 c = ((uint8)low >> 4 * lane & 15u) | ((uint8)high >> 2 * lane & 3u) << 4;
	const float8 s = (convert_float8(as_int8(c)) - 32.0f) * block_half(p);

	UNROLL for (int j = 0; j < 4; j++) {
		const int16 q = pick(TABLE_IQ4, nibbles(p + 8 + 32 * j, p + 24 + 32 * j));
		UNROLL for (int r = 0; r < ROWS; r++)
			ADD(r, q, 4 * g + j, TWO(wider(s * x[r].d[g].lo), 2 * j, 2 * j + 1));
	}
}

#if HAVE_VNNI
/* Words i of a and b: 0 to 31 are those of a. */
INLINE int16 words(int16 a, int16 b, int16 i)
{
	__asm__("vpermt2w %2, %1, %0" : "+v"(a) : "v"(i), "v"(b));
	return a;
}

/* Four blocks: 72 bytes, in which block b begins at word 9b. Their codes, and scales, 4 times each, are picked by words. */
INLINE int16 codes_quad(block_t p, float16 *s)
{
	const int16 a = GET16(p), b = GET16(p + 8);
	int16 h;

	__asm__("vpermw %2, %1, %0" : "=v"(h) : "v"((int16)((int8)(0, 0, 0x00090009, 0x00090009, 0x00120012, 0x00120012, 0x001b001b, 0x001b001b), (int8)0)), "v"(a));
	__asm__("vcvtph2ps %1, %0" : "=v"(*s) : "v"(h.lo));
	return words(a, b, (int16)(0x00020001, 0x00040003, 0x00060005, 0x00080007, 0x000b000a, 0x000d000c, 0x000f000e, 0x00110010,
		0x00140013, 0x00160015, 0x00180017, 0x001a0019, 0x001d001c, 0x001f001e, 0x003d003c, 0x003f003e));
}
#else
INLINE int16 codes_quad(block_t p, float16 *s)
{
	*s = FOUR(wider(eight_halves(p, 18, 4)), 0);
	return (int16)(GET4(p + 2), GET4(p + 20), GET4(p + 38), GET4(p + 56));
}
#endif

/* 128 codes are one vector. */
INLINE void quad_q4_0(struct sums *t, const struct row *x, int i, block_t p)
{
	float16 s;
	const int16 q = codes_quad(p, &s);

	UNROLL for (int r = 0; r < ROWS; r++) {
		const int16 sum = dot8(x[r].start[2 * i], q & 0x0f0f0f0f, x[r].q[2 * i], q >> 4 & 0x0f0f0f0f, x[r].q[2 * i + 1]);
		t->s[r] = fma(convert_float16(sum), s * (i % 2 ? x[r].low : x[r].d)[i / 2], t->s[r]);
	}
}

INLINE void step_q4_0(struct sums *t, const struct row *x, int g, block_t p, int n)
{
	uchar room[144];

	if (n < 8) {
		for (int i = 0; i < 144; i++)
			room[i] = i < 18 * n ? p[i] : 0;
		p = (block_t)(size_t)room;
	}
	quad_q4_0(t, x, 2 * g, p);
	quad_q4_0(t, x, 2 * g + 1, p + 72);
}

/* One step of each column. */
#define EACH(type) \
INLINE void steps_##type(struct sums *t, const struct row *x, int g, const block_t *q, int n) \
{ \
	UNROLL for (int j = 0; j < COLS; j++) \
		step_##type(&t[j], x, g, AT(type, q[j], g * STEP), n); \
}
EACH(q4_0)
EACH(q4_1)
EACH(q5_0)
EACH(q5_1)
EACH(q8_0)
EACH(iq4_nl)
EACH(affine8)
EACH(mxfp4)
EACH(q2_k)
EACH(q3_k)
EACH(q6_k)
EACH(iq4_xs)

/* Bytes of a walk, AHEAD of those at p: without this, loads from eight places of short rows are waited for. Formats of 8 bits are the slower for it. */
#define AHEAD 384
INLINE void fetch(block_t p, int bytes)
{
	for (int i = 0; i < bytes && bytes < STEP; i += 64)
		__builtin_prefetch((const void *)((size_t)p + AHEAD + i));
}

/* dots_type: ROWS rows of A from row m0 (of m) with COLS rows of B, number n0 and on in the walk. rows_type: with all rows of a walk. */
#define THIN_INT8(type) \
inline void quantise_##type(const struct row *x, __global const float *a, int k) \
{ \
	enum { traits_##type }; \
	quantise(x, a, k, ZERO, GRAIN, ORDER); \
} \
INLINE void dots_##type(__global float *c, long ldc, const struct row *x, block_t b, long ldb, int m0, int m, int n0, struct walk walk, int k, \
	const struct rest *f) \
{ \
	enum { traits_##type }; \
	struct sums t[COLS]; \
	block_t q[COLS]; \
	int col[COLS], g; \
	float16 v[8]; \
	float sum[8]; \
	UNROLL for (int j = 0; j < COLS; j++) { \
		col[j] = walk_col(walk, n0 + j); \
		q[j] = AT(type, b, min(col[j], walk.end - 1) * ldb); \
		UNROLL for (int r = 0; r < ROWS; r++) { \
			t[j].s[r] = 0; \
			t[j].low[r] = 0; \
		} \
	} \
	for (g = 0; (g + 1) * STEP <= k; g++) { \
		UNROLL for (int j = 0; j < COLS; j++) \
			fetch(AT(type, q[j], g * STEP), (int)(size_t)at_##type((size_t)0, STEP)); \
		steps_##type(t, x, g, q, 8); \
	} \
	if (block_##type < STEP && g * STEP < k) \
		steps_##type(t, x, g, q, (k - g * STEP) / 32); \
	UNROLL for (int r = 0; r < ROWS; r++) \
		UNROLL for (int j = 0; j < COLS; j++) \
			v[r * COLS + j] = !LOW ? t[j].s[r] : t[j].s[r] + (ORDER >= EIGHTS ? low_k(t, j, r) : t[j].low[r]); \
	vstore8(sum_each(v), 0, sum); \
	for (int r = 0; r < ROWS && m0 + r < m; r++) \
		for (int j = 0; j < COLS; j++) \
			if (col[j] < min(walk.end, walk.from + ((n0 + j) % STREAMS + 1) * walk.step)) \
				finish(c, ldc, sum[r * COLS + j], m0 + r, col[j], f); \
} \
inline void rows_##type(__global float *c, long ldc, const struct row *x, block_t b, long ldb, int m0, int m, struct walk walk, int k, \
	const struct rest *f) \
{ \
	for (int j = 0; j < STREAMS * walk.step; j += COLS) \
		dots_##type(c, ldc, x, b, ldb, m0, m, j, walk, k, f); \
}
#endif
