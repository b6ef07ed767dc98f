/* thin_bf16.cl: what the products of few rows with B in bfloat16 share, for CPUs where vdpbf16ps has twice the rate of float32 (lib/op/thin.c). A row of
 * A is rounded to bfloat16; each of 16 lanes adds the products of a pair at a time, then the lanes are added. A row's bits depend on the row alone: rows
 * of A go in groups of 4, 2 and 1, with 6, 8 and 4 rows of B side by side, as in thin_float.cl. B comes from memory once: the first group
 * would wait for it and the others find it in a cache, so each group fetches its part of the block of columns that comes next.
 *
 * Woven B (woven_bf16.cl): a column is a lane, and of a row the even pairs are summed in one vector, the odd ones in another, exceptions added at the end. */
#if HAVE_BF16
/* Bytes of a row that is rounded. */
#define PAIRS_BYTES(k) (((k) + 31) / 32 * 64)

/* A row, zeros behind it. */
inline void pairs_row(uint16 *x, __global const float *a, int k)
{
	int i;

	for (i = 0; i + 32 <= k; i += 32)
		x[i / 32] = both_rounded(vload16(0, a + i), vload16(1, a + i));
	if (i < k)
		x[i / 32] = both_rounded(some_a(a + i, k - i), some_a(a + i + 16, k - i - 16));
}

inline uint16 some_pairs(__global const ushort *b, int n)
{
	ushort v[32];

	for (int i = 0; i < 32; i++)
		v[i] = i < n ? b[i] : 0;
	return (uint16)(as_uint8(vload16(0, v)), as_uint8(vload16(1, v)));
}

/* As DOTS of thin_float.cl; x: the rows, PAIRS_BYTES(k) each. Of the next block's columns what belongs to k in [near, far) is fetched; by one row, of what it reads next. */
#define PAIR_DOTS(ROWS, COLS) \
inline void pairs_##ROWS(__global float *c, long ldc, const uint16 *x, __global const ushort *b, long ldb, \
	int m0, int n0, struct walk walk, int k, int near, int far, const struct rest *f) \
{ \
	const int row = (k + 31) / 32; \
	float16 s[ROWS][COLS]; \
	__global const ushort *q[COLS]; \
	int col[COLS], i; \
	UNROLL for (int j = 0; j < COLS; j++) { \
		col[j] = walk_col(walk, n0 + j); \
		q[j] = b + min(col[j], walk.end - 1) * ldb; \
	} \
	UNROLL for (int r = 0; r < ROWS; r++) \
		UNROLL for (int j = 0; j < COLS; j++) \
			s[r][j] = 0; \
	x += m0 * row; \
	for (i = 0; i < k; i += 32) { \
		uint16 w[COLS]; \
		if (i + 32 <= k) { \
			UNROLL for (int j = 0; j < COLS; j++) \
				w[j] = (uint16)(as_uint8(vload16(0, q[j] + i)), as_uint8(vload16(1, q[j] + i))); \
		} else { \
			UNROLL for (int j = 0; j < COLS; j++) \
				w[j] = some_pairs(q[j] + i, k - i); \
		} \
		if (i >= near && i < far) \
			UNROLL for (int j = 0; j < COLS; j++) \
				FETCH((size_t)(q[j] + i) + (ROWS == 1 ? STREAM_AHEAD : BLOCK / STREAMS * ldb * 2)); \
		UNROLL for (int r = 0; r < ROWS; r++) { \
			const uint16 v = x[r * row + i / 32]; \
			UNROLL for (int j = 0; j < COLS; j++) \
				__asm__("vdpbf16ps %2, %1, %0" : "+v"(s[r][j]) : "v"(w[j]), "v"(v)); \
		} \
	} \
	FINISH_DOTS(ROWS, COLS) \
}
PAIR_DOTS(4, 6)
PAIR_DOTS(2, 8)
PAIR_DOTS(1, 4)

/* A work-item's columns for all m rows. */
inline void thin_pairs(__global float *c, long ldc, const uint16 *x, __global const ushort *b, long ldb, int m, int k, struct walk walk, const struct rest *f)
{
	/* what a group fetches: all have nearly the same part */
	const int part = m >= 4 ? (k + m / 4 - 1) / (m / 4) : 0;

	for (int n0 = 0; n0 < STREAMS * walk.step; n0 += BLOCK) {
		const int n1 = min(STREAMS * walk.step, n0 + BLOCK);
		int m0 = 0;
		for (; m0 + 4 <= m; m0 += 4)
			for (int j = n0; j < n1; j += 6)
				pairs_4(c, ldc, x, b, ldb, m0, j, walk, k, m0 / 4 * part, (m0 / 4 + 1) * part, f);
		for (; m0 + 2 <= m; m0 += 2)
			for (int j = n0; j < n1; j += 8)
				pairs_2(c, ldc, x, b, ldb, m0, j, walk, k, 0, 0, f);
		for (; m0 < m; m0++)
			for (int j = n0; j < n1; j += 4)
				pairs_1(c, ldc, x, b, ldb, m0, j, walk, k, 0, k, f);
	}
}

/* ---- woven ---- */

#define PACKED_AHEAD 6144       // bytes that are fetched

/* Columns n0 .. n0 + 15 of ROWS rows from m0 on. */
#define WOVEN_DOTS(ROWS) \
inline void woven_##ROWS(__global float *c, long ldc, const uint16 *x, size_t group, int m0, int n0, int end, int k, const struct rest *f) \
{ \
	const struct packed_head *g = (const struct packed_head *)group; \
	const struct exception *e = (const struct exception *)(group + PACKED_HEAD); \
	const uint16 *p = (const uint16 *)(group + PACKED_FIRST(k)); \
	const int16 high = packed_high(g); \
	const uint *v[ROWS]; \
	float16 s[ROWS][2]; \
	UNROLL for (int r = 0; r < ROWS; r++) { \
		s[r][0] = s[r][1] = 0; \
		v[r] = (const uint *)(x + (m0 + r) * ((k + 31) / 32)); \
	} \
	for (int i = 0; i < k / 2; i += 4, p += 3) { \
		uint16 w[4]; \
		if (m0 == 0) \
			UNROLL for (int j = 0; j < 3; j++) \
				FETCH((size_t)(p + j) + PACKED_AHEAD); \
		unpack_pairs(w, p, high); \
		UNROLL for (int j = 0; j < 4; j++) \
			UNROLL for (int r = 0; r < ROWS; r++) \
				__asm__("vdpbf16ps %2%{1to16%}, %1, %0" : "+v"(s[r][j % 2]) : "v"(w[j]), "m"(v[r][i + j])); \
	} \
	UNROLL for (int r = 0; r < ROWS; r++) { \
		float16 sum = s[r][0] + s[r][1]; \
		if (g->count) { \
			float one[16]; \
			vstore16(sum, 0, one); \
			for (uint i = 0; i < g->count; i++) \
				one[e[i].at % 16] = fma(as_float(e[i].value << 16), as_float((uint)((const ushort *)v[r])[e[i].at / 16] << 16), one[e[i].at % 16]); \
			sum = vload16(0, one); \
		} \
		finish16(c, ldc, sum, m0 + r, n0, end, f); \
	} \
}
WOVEN_DOTS(8)
WOVEN_DOTS(4)
WOVEN_DOTS(2)
WOVEN_DOTS(1)

/* The columns from .. end - 1 of all m rows; b: B's first group. */
inline void thin_woven(__global float *c, long ldc, const uint16 *x, size_t b, int m, int from, int end, int k, const struct rest *f)
{
	for (int n0 = from; n0 < end; n0 += 16) {
		const size_t group = b + n0 / 16 * PACKED_GROUP(k);
		int m0 = 0;

		for (; m0 + 8 <= m; m0 += 8)
			woven_8(c, ldc, x, group, m0, n0, end, k, f);
		for (; m0 + 4 <= m; m0 += 4)
			woven_4(c, ldc, x, group, m0, n0, end, k, f);
		for (; m0 + 2 <= m; m0 += 2)
			woven_2(c, ldc, x, group, m0, n0, end, k, f);
		for (; m0 < m; m0++)
			woven_1(c, ldc, x, group, m0, n0, end, k, f);
	}
}
#endif
