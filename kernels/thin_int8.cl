/* thin_int8.cl: what the products of few rows with B in blocks share, for CPUs with products of bytes (thin_bytes.cl).
 * A row of A is rounded to 8 bits, a scale every 32 values (its largest magnitude is 127), and where these are large beside the row's others what is left is
 * rounded to 8 bits more: they make most of the error, of which a seventh is left (gemma-3-270m in Q4_K_M beside float32: perplexity +0.29 % and +0.06 %,
 * KL 0.0020 and 0.0003; make bench-accuracy). A code of B less its zero times a byte of A is summed exactly in 32 bits, for the 16 or 32 values that have a scale,
 * and these sums in order in float32, each times scale of A times scale of B. A column is a lane (woven.cl), of WIDE at a time: nothing is summed across
 * lanes. A row's bits depend on the row alone.
 *
 * B is woven, or as it is stored: then its blocks are woven here, one after the other: slower, with the same bits.
 *
 * THIN_INT8(type) defines, for a format, quantise_type, which rounds a row, and columns_type, which makes columns of all rows. */
#if HAVE_BYTES
#ifndef ROWS
#define ROWS 1                  // of A that go together
#endif
/* Bytes of B that are fetched, to the second cache, where STEP values of 16 rows are so many: with 2048 for all of them, to the first, a token took a tenth
 * longer; where memory alone is waited for (Q8_0) more than 3072 took a tenth longer again, and with less than 6144 Q4_0, Q4_K and Q6_K did. */
#define AHEAD(bytes) ((bytes) > 4096 ? 2560 : 6144)
#define MOST_LINES 9            // of 64 bytes, of a grain

/* ---- rows of A ---- */

#define STEP 256

/* STEP values of a row: bytes, four to a word; and for each 16 or 32 of them (GRAIN) what their sum begins with (what the zero of the codes takes away), their
 * scale, and the sum of what they stand for. `fine` is what rounding took away, in 254ths of the scale, of the grains whose bit is set in `is_fine`. */
struct part {
	int q[STEP / 4], fine[STEP / 4], start[STEP / 16], start_fine[STEP / 16];
	float d[STEP / 16], low[STEP / 16];
	uint is_fine, unused[15];
};

/* Bytes of a row; its memory begins at a multiple of 64. */
#define ROW_BYTES(k) (((k) + STEP - 1) / STEP * (int)sizeof(struct part))

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

/* The sums of 16 times 4 lanes. */
INLINE int16 sum_fours(const int16 *v)
{
	const int16 a = (int16)(v[0].even, v[1].even) + (int16)(v[0].odd, v[1].odd);
	const int16 b = (int16)(v[2].even, v[3].even) + (int16)(v[2].odd, v[3].odd);

	return (int16)(a.even, b.even) + (int16)(a.odd, b.odd);
}

#define FINE 254                // steps of `fine` in one of q
#define LARGE 0.5f              // 32 values are large where the square of their largest is above so much of the mean of such squares

/* The sums of each 16 of STEP bytes, to sum; where GRAIN is 32, of each 32. */
INLINE void sum_grains(int *start, float16 *sum, const int *q, int ZERO, int GRAIN)
{
	int16 four[4], v;

	UNROLL for (int j = 0; j < STEP / 4 / WIDE; j++)
		((ints *)four)[j] = dot4((ints)0, (ints)0x01010101, ((const ints *)q)[j]);
	v = sum_fours(four);
	if (GRAIN == 32)
		v.lo = v.even + v.odd;
	vstore16(v * -ZERO, 0, start);
	*sum = convert_float16(v);
}

/* STEP values; those 32 of them whose largest magnitude is above `limit` are large. */
INLINE void quantise_part(struct part *x, const float16 *v, float limit, int ZERO, int GRAIN)
{
	const float8 most = largest(v), d = most * (1.0f / 127), to = select((float8)0, 127 / most, most > 0);
	char16 *q = (char16 *)x->q, *fine = (char16 *)x->fine;
	float16 each, sum, rest, is_fine;
	float by[8], m[8];

	vstore8(to, 0, by);
	vstore8(most, 0, m);
	x->is_fine = 0;
	is_fine = 0;
	UNROLL for (int j = 0; j < 16; j++) {
		/* 1.5 · 2²³ added, the low byte is what the value rounds to */
		const float16 y = v[j] * by[j / 2], whole = (y + 12582912.0f) - 12582912.0f;
		q[j] = convert_char16(convert_int16(whole));
		fine[j] = convert_char16(as_int16(fma(y - whole, (float16)FINE, (float16)12582912.0f)));
		const bool is = m[j / 2] > limit;
		x->is_fine |= (uint)is << (GRAIN == 16 ? j : j / 2);
		((float *)&is_fine)[GRAIN == 16 ? j : j / 2] = is ? 1.0f / FINE : 0;
	}
	sum_grains(x->start, &sum, x->q, ZERO, GRAIN);
	sum_grains(x->start_fine, &rest, x->fine, ZERO, GRAIN);
	each = GRAIN == 16 ? ((float16)(d, d)).s08192a3b4c5d6e7f : (float16)(d, d);
	sum = fma(rest, is_fine, sum);
	vstore16(each, 0, x->d);
	vstore16(sum * each, 0, x->low);
}

INLINE void load_part(float16 *v, __global const float *a, int at, int k)
{
	UNROLL for (int i = 0; i < 16; i++)
		v[i] = at + 16 * i < k ? vload16(i, a + at) : 0;
}

/* Values behind the last are 0. */
INLINE void quantise(struct part *x, __global const float *a, int k, int ZERO, int GRAIN)
{
	float16 v[16];
	float8 sum = 0;
	float h[8], limit = 0;

	for (int at = 0; at < k; at += STEP) {
		load_part(v, a, at, k);
		const float8 most = largest(v);
		sum = fma(most, most, sum);
	}
	vstore8(sum, 0, h);
	for (int i = 0; i < 8; i++)
		limit += h[i];
	limit = sqrt(LARGE * limit / (k / 32));
	for (int at = 0; at < k; at += STEP) {
		load_part(v, a, at, k);
		quantise_part(x + at / STEP, v, limit, ZERO, GRAIN);
	}
}

/* ---- columns ---- */

/* B, its leading dimension, and whether it is woven. */
struct woven {
	block_t b;
	long ldb;
	int is;
};

/* At an address that the compiler does not know: else it makes those of all words first, and keeps them in memory. */
INLINE const struct part *unknown(const struct part *p)
{
	__asm__("" : "+r"(p));
	return p;
}

/* A sum, in memory where there are registers for either the sums of many rows or eight words of codes: these are read more often. */
INLINE floats *apart(floats *p, int GRAIN)
{
	if ((WIDE == 8) & (ROWS > 4) & (GRAIN > 16))  // &: with && of constants clang warns on the first start
		__asm__("" : "+r"(p));
	return p;
}

/* The sums of 16 columns and row i. */
#if WIDE == 16
#define SIXTEEN(t, i) ((t)[i])
#else
#define SIXTEEN(t, i) ((float16)((t)[i], (t)[ROWS + (i)]))
#endif

/* add_type: the values r .. r + GRAIN - 1 of a part, whose B begins at p, to sums of WIDE columns. columns_type: columns from .. end − 1, a multiple of 16
 * first, of m rows. */
#define THIN_INT8(type) \
inline void quantise_##type(size_t x, __global const float *a, int k) \
{ \
	enum { traits_##type }; \
	quantise((struct part *)x, a, k, ZERO, GRAIN); \
} \
INLINE void add_##type(floats *t, const struct part *const *x, int part, struct lanes p, int r) \
{ \
	enum { traits_##type }; \
	const int at = r % block_##type; \
	const int bytes = 16 * (int)(long)at_##type((size_t)0, STEP), some = bytes / 16 * WIDE; \
	const size_t ahead = (size_t)p.p + AHEAD(bytes) + (p.from ? some : 0); \
	ints w[8]; \
	const int line = r * some / STEP / 64, lines = (r + GRAIN) * some / STEP / 64 - line; \
	UNROLL for (int i = 0; i < MOST_LINES; i++) \
		if (i < lines) \
			FETCH(ahead + 64 * (line + i)); \
	p.p += 16 * (long)at_##type((size_t)0, r - at); \
	codes_##type(w, p, at); \
	if (GRAIN > 16) \
		codes_##type(w + 4, p, at + 16); \
	const floats scale = scale_##type(p, at), low = min_##type(p, at); \
	UNROLL for (int i = 0; i < ROWS; i++) { \
		const struct part *a = unknown(x[i] + part); \
		floats sum = TO_FLOATS(dot_words(a->start[r / GRAIN], w, a->q + r / 4, GRAIN / 4, BITS, ZERO)); \
		if (a->is_fine >> r / GRAIN & 1) \
			sum = fma(TO_FLOATS(dot_words(a->start_fine[r / GRAIN], w, a->fine + r / 4, GRAIN / 4, BITS, ZERO)), (floats)(1.0f / FINE), sum); \
		floats *to = apart(t + i, GRAIN); \
		sum = fma(sum, scale * a->d[r / GRAIN], *to); \
		*to = LOW ? fma(low, (floats)a->low[r / GRAIN], sum) : sum; \
	} \
} \
/* n values from part k0 / STEP on. */ \
INLINE void add_part_##type(floats *sum, const struct part *const *x, int k0, struct lanes p, int n) \
{ \
	enum { traits_##type }; \
	floats t[ROWS]; \
	UNROLL for (int i = 0; i < ROWS; i++) \
		t[i] = sum[i]; \
	if (block_##type == STEP || n >= STEP) { \
		UNROLL for (int r = 0; r < STEP; r += GRAIN) \
			add_##type(t, x, k0 / STEP, p, r); \
	} else { \
		for (int r = 0; r < n; r += GRAIN) \
			add_##type(t, x, k0 / STEP, p, r); \
	} \
	UNROLL for (int i = 0; i < ROWS; i++) \
		sum[i] = t[i]; \
} \
/* Weaves the n values from k0 on of rows n0 .. n0 + 15. */ \
__attribute__((noinline)) block_t woven_here_##type(struct woven b, int n0, int end, int k0, int n, size_t room) \
{ \
	block_t row[16]; \
	for (int k = 0; k < n; k += block_##type) { \
		for (int j = 0; j < 16; j++) \
			row[j] = AT(type, b.b, min(n0 + j, end - 1) * b.ldb + k0 + k); \
		weave_##type(room + 16 * (long)at_##type((size_t)0, k), row); \
	} \
	return (block_t)room; \
} \
inline void columns_##type(__global float *c, long ldc, size_t x, struct woven b, int m, int from, int end, int k, const struct rest *f) \
{ \
	enum { traits_##type }; \
	uchar room[16 * (long)at_##type((size_t)0, STEP)] __attribute__((aligned(64))); \
	for (int n0 = from; n0 < end; n0 += 16) \
		for (int m0 = 0; m0 < m; m0 += ROWS) { \
			const struct part *a[ROWS]; \
			floats t[16 / WIDE * ROWS]; \
			block_t p = AT(type, b.b, n0 * b.ldb); \
			UNROLL for (int i = 0; i < ROWS; i++) \
				a[i] = (const struct part *)(x + (size_t)min(m0 + i, m - 1) * ROW_BYTES(k)); \
			UNROLL for (int i = 0; i < 16 / WIDE * ROWS; i++) \
				t[i] = 0; \
			for (int k0 = 0; k0 < k; k0 += STEP, p = AT(type, p, 16 * STEP)) { \
				const block_t q = b.is ? p : woven_here_##type(b, n0, end, k0, min(STEP, k - k0), (size_t)room); \
				for (int j = 0; j < 16 / WIDE; j++) \
					add_part_##type(t + j * ROWS, a, k0, (struct lanes){q, j * WIDE}, k - k0); \
			} \
			for (int i = 0; i < ROWS && m0 + i < m; i++) \
				finish16(c, ldc, SIXTEEN(t, i), m0 + i, n0, end, f); \
		} \
}
#endif
