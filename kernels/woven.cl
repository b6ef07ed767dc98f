/* woven.cl: weights in blocks (quant.cl), woven: of 16 rows that begin at a multiple of 16 the first blocks, then the second and so on, so that 16 columns of
 * a product are the lanes of a vector of AVX-512, or of two of AVX2, of which struct lanes names one. A field of a block (fields_type: where it begins, bytes,
 * how many there are) stands 16 times side by side, in its block's order: field i of row j, at byte `at` of a block, is at byte 16 at + (16 i + j) bytes. Bytes
 * are as many as before; rows behind the last are copies of it. `block` below is 16 blocks.
 *
 * Values come 16 k at a time, r .. r + 15 of their block (r a multiple of 16): codes_type gives four words, byte b of lane j of word i being the code without sign of
 * k = r + 4i + b of row from + j; scale_type and, LOW, min_type what they are multiplied by and then added: value = scale · (code − ZERO) + min. These are
 * lib/quant's floats, bit for bit. */
#if HAVE_BYTES

typedef uint any_uint __attribute__((aligned(1)));
typedef ushort any_ushort __attribute__((aligned(1)));
typedef int any_int4 __attribute__((ext_vector_type(4), aligned(1)));
typedef int any_int16 __attribute__((ext_vector_type(16), aligned(1)));
typedef int any_ints __attribute__((ext_vector_type(WIDE), aligned(1)));
typedef ushort any_halves __attribute__((ext_vector_type(WIDE), aligned(1)));

/* WIDE rows of a block, from number `from` on; their words, two bytes, and these as floats. */
struct lanes {
	block_t p;
	int from;
};
#define LANE_WORDS(b, at, i) ((ints)*(__global const any_ints *)((b).p + 16 * (at) + 64 * (i) + 4 * (b).from))
#define HALF_WORDS(b, at) ((halves)*(__global const any_halves *)((b).p + 16 * (at) + 2 * (b).from))
#define HALVES(b, at) float_halves(HALF_WORDS(b, at))

/* What belongs to a format: the code of 0; values that have a scale of their own; whether they have a minimum; bits of a code. */
#define traits_q4_0 ZERO = 8, GRAIN = 32, LOW = 0, BITS = 4
#define traits_q4_1 ZERO = 0, GRAIN = 32, LOW = 1, BITS = 4
#define traits_q5_0 ZERO = 16, GRAIN = 32, LOW = 0, BITS = 5
#define traits_q5_1 ZERO = 0, GRAIN = 32, LOW = 1, BITS = 5
#define traits_q8_0 ZERO = 128, GRAIN = 32, LOW = 0, BITS = 8
#define traits_iq4_nl ZERO = 128, GRAIN = 32, LOW = 0, BITS = 8
#define traits_affine8 ZERO = 0, GRAIN = 32, LOW = 1, BITS = 8
#define traits_mxfp4 ZERO = 16, GRAIN = 32, LOW = 0, BITS = 5
#define traits_q2_k ZERO = 0, GRAIN = 16, LOW = 1, BITS = 4
#define traits_q3_k ZERO = 4, GRAIN = 16, LOW = 0, BITS = 4
#define traits_q4_k ZERO = 0, GRAIN = 32, LOW = 1, BITS = 4
#define traits_q5_k ZERO = 0, GRAIN = 32, LOW = 1, BITS = 5
#define traits_q6_k ZERO = 32, GRAIN = 16, LOW = 0, BITS = 6
#define traits_iq4_xs ZERO = 128, GRAIN = 32, LOW = 0, BITS = 8

#define fields_q4_0(f) f(0, 2, 1) f(2, 4, 4)
#define fields_q4_1(f) f(0, 2, 2) f(4, 4, 4)
#define fields_q5_0(f) f(0, 2, 1) f(2, 4, 5)
#define fields_q5_1(f) f(0, 2, 2) f(4, 4, 5)
#define fields_q8_0(f) f(0, 2, 1) f(2, 4, 8)
#define fields_iq4_nl(f) f(0, 2, 1) f(2, 4, 4)
#define fields_affine8(f) f(0, 2, 2) f(4, 4, 8)
#define fields_mxfp4(f) f(0, 1, 1) f(1, 4, 4)
#define fields_q2_k(f) f(0, 4, 20) f(80, 2, 2)
#define fields_q3_k(f) f(0, 4, 27) f(108, 2, 1)
#define fields_q4_k(f) f(0, 2, 2) f(4, 4, 35)
#define fields_q5_k(f) f(0, 2, 2) f(4, 4, 43)
#define fields_q6_k(f) f(0, 4, 52) f(208, 2, 1)
#define fields_iq4_xs(f) f(0, 2, 2) f(4, 4, 33)

/* Four words, at byte `at` of 16 blocks. */
INLINE void weave_words(size_t to, const block_t *p, int at)
{
	int16 v[4], t[4];

	UNROLL for (int i = 0; i < 4; i++)
		v[i] = (int16)(*(__global const any_int4 *)(p[i] + at), *(__global const any_int4 *)(p[i + 4] + at),
			*(__global const any_int4 *)(p[i + 8] + at), *(__global const any_int4 *)(p[i + 12] + at));
	UNROLL for (int i = 0; i < 4; i += 2) {
		t[i] = shuffle2(v[i], v[i + 1], (uint16)(0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29));
		t[i + 1] = shuffle2(v[i], v[i + 1], (uint16)(2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31));
	}
	UNROLL for (int i = 0; i < 2; i++) {
		v[2 * i] = shuffle2(t[i], t[i + 2], (uint16)(0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29));
		v[2 * i + 1] = shuffle2(t[i], t[i + 2], (uint16)(2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31));
	}
	UNROLL for (int i = 0; i < 4; i++)
		*(any_int16 *)(to + 16 * at + 64 * i) = v[i];
}

/* A field of 16 blocks, which begin at p[0] to p[15], to the block at `to`. */
INLINE void weave_field(size_t to, const block_t *p, int at, int bytes, int n)
{
	int i = 0;

	for (; bytes == 4 && i + 4 <= n; i += 4)
		weave_words(to, p, at + 4 * i);
	for (; i < n; i++)
		for (int j = 0; j < 16; j++) {
			const size_t q = to + 16 * at + (16 * i + j) * bytes;
			if (bytes == 4)
				*(any_uint *)q = block_word(p[j] + at + 4 * i);
			else if (bytes == 2)
				*(any_ushort *)q = block_ushort(p[j] + at + 2 * i);
			else
				*(uchar *)q = p[j][at + i];
		}
}

#define WEAVE_FIELD(at, bytes, n) weave_field(to, p, at, bytes, n);
#define DEFINE_WEAVE(type) \
INLINE void weave_##type(size_t to, const block_t *p) \
{ \
	fields_##type(WEAVE_FIELD) \
}
DEFINE_WEAVE(q4_0)
DEFINE_WEAVE(q4_1)
DEFINE_WEAVE(q5_0)
DEFINE_WEAVE(q5_1)
DEFINE_WEAVE(q8_0)
DEFINE_WEAVE(iq4_nl)
DEFINE_WEAVE(affine8)
DEFINE_WEAVE(mxfp4)
DEFINE_WEAVE(q2_k)
DEFINE_WEAVE(q3_k)
DEFINE_WEAVE(q4_k)
DEFINE_WEAVE(q5_k)
DEFINE_WEAVE(q6_k)
DEFINE_WEAVE(iq4_xs)

/* ---- scales and minima ---- */

/* `bits` bits from bit i on of each lane. */
INLINE ints some_bits(ints v, int i, int bits)
{
	return AS_INTS(CAT(as_uint, WIDE)(v) >> (uint)i) & ((1 << bits) - 1);
}

/* The two of 6 bits that Q4_K and Q5_K have for 32 values, number j, from their 12 bytes on. */
INLINE ints k_scale(struct lanes p, int j)
{
	if (j < 4)
		return some_bits(LANE_WORDS(p, 4, 0), 8 * j, 6);
	return some_bits(LANE_WORDS(p, 4, 2), 8 * j - 32, 4) | some_bits(LANE_WORDS(p, 4, 0), 8 * j - 26, 2) << 4;
}

INLINE ints k_min(struct lanes p, int j)
{
	if (j < 4)
		return some_bits(LANE_WORDS(p, 4, 1), 8 * j, 6);
	return some_bits(LANE_WORDS(p, 4, 2), 8 * j - 28, 4) | some_bits(LANE_WORDS(p, 4, 1), 8 * j - 26, 2) << 4;
}

INLINE floats scale_q4_0(struct lanes p, int r)
{
	return HALVES(p, 0);
}
#define scale_q4_1 scale_q4_0
#define scale_q5_0 scale_q4_0
#define scale_q5_1 scale_q4_0
#define scale_q8_0 scale_q4_0
#define scale_iq4_nl scale_q4_0
#define scale_affine8 scale_q4_0

INLINE floats min_q4_1(struct lanes p, int r)
{
	return HALVES(p, 2);
}
#define min_q5_1 min_q4_1
#define min_affine8 min_q4_1

INLINE floats scale_mxfp4(struct lanes p, int r)
{
	const ints e = TO_INTS(CAT(vload, WIDE)(0, p.p + p.from));

	return AS_FLOATS(select((e - 1) << 23, (ints)0x200000 << e, e < 2));
}

INLINE floats scale_q2_k(struct lanes p, int r)
{
	return HALVES(p, 80) * TO_FLOATS(some_bits(LANE_WORDS(p, 0, r / 64), r / 16 % 4 * 8, 4));
}

INLINE floats min_q2_k(struct lanes p, int r)
{
	return -HALVES(p, 82) * TO_FLOATS(some_bits(LANE_WORDS(p, 0, r / 64), r / 16 % 4 * 8 + 4, 4));
}

INLINE floats scale_q3_k(struct lanes p, int r)
{
	const int j = r / 16;
	const ints low = some_bits(LANE_WORDS(p, 96, j / 4 % 2), j % 4 * 8 + j / 8 * 4, 4), high = some_bits(LANE_WORDS(p, 96, 2), j % 4 * 8 + j / 4 * 2, 2);

	return HALVES(p, 108) * TO_FLOATS((low | high << 4) - 32);
}

INLINE floats scale_q4_k(struct lanes p, int r)
{
	return HALVES(p, 0) * TO_FLOATS(k_scale(p, r / 32));
}
#define scale_q5_k scale_q4_k

INLINE floats min_q4_k(struct lanes p, int r)
{
	return -HALVES(p, 2) * TO_FLOATS(k_min(p, r / 32));
}
#define min_q5_k min_q4_k

INLINE floats scale_q6_k(struct lanes p, int r)
{
	return HALVES(p, 208) * TO_FLOATS(LANE_WORDS(p, 192, r / 64) << (24 - r / 16 % 4 * 8) >> 24);
}

INLINE floats scale_iq4_xs(struct lanes p, int r)
{
	const int j = r / 32;
	const ints high = TO_INTS(HALF_WORDS(p, 2)) >> 2 * j & 3;

	return HALVES(p, 0) * TO_FLOATS((some_bits(LANE_WORDS(p, 4, 0), 4 * j, 4) | high << 4) - 32);
}

/* Formats without minima. */
INLINE floats no_min(struct lanes p, int r)
{
	return 0;
}
#define min_q4_0 no_min
#define min_q5_0 no_min
#define min_q8_0 no_min
#define min_iq4_nl no_min
#define min_mxfp4 no_min
#define min_q3_k no_min
#define min_q6_k no_min
#define min_iq4_xs no_min

/* ---- codes ---- */

/* Four words of nibbles, the low or the high ones, or of two bits; `from`: of the first among the words at `at`. */
INLINE void nibbles(ints *w, struct lanes p, int at, int from, int high)
{
	UNROLL for (int i = 0; i < 4; i++)
		w[i] = LANE_WORDS(p, at, from + i) >> 4 * high & 0x0f0f0f0f;
}

INLINE void twos(ints *w, struct lanes p, int at, int r)
{
	UNROLL for (int i = 0; i < 4; i++)
		w[i] = LANE_WORDS(p, at, r / 128 * 8 + r % 32 / 4 + i) >> r % 128 / 32 * 2 & 0x03030303;
}

/* Bit `bit` of each byte of four words, as bit `to`. */
INLINE void add_bits(ints *w, struct lanes p, int at, int from, int bit, int to)
{
	UNROLL for (int i = 0; i < 4; i++)
		w[i] |= (LANE_WORDS(p, at, from + i) >> bit & 0x01010101) << to;
}

/* Bits r to r + 15 of a word as bit 4 of the bytes of four. */
INLINE void add_fifth(ints *w, ints bits, int r)
{
	UNROLL for (int i = 0; i < 4; i++)
		w[i] |= (some_bits(bits, r + 4 * i, 4) * 0x204081 & 0x01010101) << 4;
}

INLINE void codes_q4_0(ints *w, struct lanes p, int r)
{
	nibbles(w, p, 2, 0, r / 16);
}

INLINE void codes_q4_1(ints *w, struct lanes p, int r)
{
	nibbles(w, p, 4, 0, r / 16);
}

INLINE void codes_q5_0(ints *w, struct lanes p, int r)
{
	nibbles(w, p, 6, 0, r / 16);
	add_fifth(w, LANE_WORDS(p, 2, 0), r);
}

INLINE void codes_q5_1(ints *w, struct lanes p, int r)
{
	nibbles(w, p, 8, 0, r / 16);
	add_fifth(w, LANE_WORDS(p, 4, 0), r);
}

INLINE void codes_q8_0(ints *w, struct lanes p, int r)
{
	UNROLL for (int i = 0; i < 4; i++)
		w[i] = LANE_WORDS(p, 2, r / 4 + i) ^ (int)0x80808080;
}

INLINE void codes_affine8(ints *w, struct lanes p, int r)
{
	UNROLL for (int i = 0; i < 4; i++)
		w[i] = LANE_WORDS(p, 4, r / 4 + i);
}

#define FOUR(a, b, c, d) ((int4)(a, b, c, d))
#if WIDE == 16
#define TABLE(...) ((ints)(FOUR(__VA_ARGS__), FOUR(__VA_ARGS__), FOUR(__VA_ARGS__), FOUR(__VA_ARGS__)))
#else
#define TABLE(...) ((ints)(FOUR(__VA_ARGS__), FOUR(__VA_ARGS__)))
#endif
/* block_iq4 + 128, block_e2m1 + 16 */
#define TABLE_IQ4 TABLE(0x3f2d1801, 0x766a5d4f, 0xa6998d81, 0xf1d9c5b5)
#define TABLE_FP4 TABLE(0x13121110, 0x1c181614, 0x0d0e0f10, 0x04080a0c)

INLINE void pick_all(ints *w, ints table)
{
	UNROLL for (int i = 0; i < 4; i++)
		w[i] = pick(table, w[i]);
}

INLINE void codes_iq4_nl(ints *w, struct lanes p, int r)
{
	nibbles(w, p, 2, 0, r / 16);
	pick_all(w, TABLE_IQ4);
}

INLINE void codes_mxfp4(ints *w, struct lanes p, int r)
{
	nibbles(w, p, 1, 0, r / 16);
	pick_all(w, TABLE_FP4);
}

INLINE void codes_iq4_xs(ints *w, struct lanes p, int r)
{
	nibbles(w, p, 8, r / 32 * 4, r / 16 % 2);
	pick_all(w, TABLE_IQ4);
}

INLINE void codes_q2_k(ints *w, struct lanes p, int r)
{
	twos(w, p, 16, r);
}

INLINE void codes_q3_k(ints *w, struct lanes p, int r)
{
	twos(w, p, 32, r);
	add_bits(w, p, 0, r % 32 / 4, r / 32, 2);
}

INLINE void codes_q4_k(ints *w, struct lanes p, int r)
{
	nibbles(w, p, 16, r / 64 * 8 + r % 32 / 4, r % 64 / 32);
}

INLINE void codes_q5_k(ints *w, struct lanes p, int r)
{
	nibbles(w, p, 48, r / 64 * 8 + r % 32 / 4, r % 64 / 32);
	add_bits(w, p, 16, r % 32 / 4, r / 32, 4);
}

INLINE void codes_q6_k(ints *w, struct lanes p, int r)
{
	const int part = r % 128 / 32, word = r % 32 / 4;

	nibbles(w, p, 0, r / 128 * 16 + part % 2 * 8 + word, part / 2);
	UNROLL for (int i = 0; i < 4; i++) {
		const ints two = LANE_WORDS(p, 128, r / 128 * 8 + word + i);
		w[i] |= (part < 2 ? two << (4 - 2 * part) : two >> (2 * part - 4)) & 0x30303030;
	}
}

/* ---- values ---- */

/* 16 k of WIDE rows from row `row` and k on (multiples of WIDE and 16), of rows of ld values: f[k]. */
#define DEFINE_FLOATS(type) \
INLINE void woven_##type(floats *f, block_t b, long row, long ld, int k) \
{ \
	enum { traits_##type }; \
	const int r = k % block_##type; \
	const struct lanes p = {AT(type, b, row / 16 * 16 * ld) + 16 * (long)at_##type((size_t)0, k - r), (int)(row % 16)}; \
	const floats scale = scale_##type(p, r), low = min_##type(p, r); \
	ints w[4]; \
	codes_##type(w, p, r); \
	UNROLL for (int i = 0; i < 16; i++) { \
		const floats code = TO_FLOATS(some_bits(w[i / 4], i % 4 * 8, 8) - ZERO); \
		f[i] = LOW ? fma(code, scale, low) : code * scale; \
	} \
}
DEFINE_FLOATS(q4_0)
DEFINE_FLOATS(q4_1)
DEFINE_FLOATS(q5_0)
DEFINE_FLOATS(q5_1)
DEFINE_FLOATS(q8_0)
DEFINE_FLOATS(iq4_nl)
DEFINE_FLOATS(affine8)
DEFINE_FLOATS(mxfp4)
DEFINE_FLOATS(q2_k)
DEFINE_FLOATS(q3_k)
DEFINE_FLOATS(q4_k)
DEFINE_FLOATS(q5_k)
DEFINE_FLOATS(q6_k)
DEFINE_FLOATS(iq4_xs)

#endif
