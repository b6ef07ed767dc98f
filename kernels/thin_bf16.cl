/* thin_bf16.cl: what the products of few rows with B in bfloat16 share, for CPUs where vdpbf16ps has twice the rate of float32 (lib/op/thin.c). A row of
 * A is rounded to bfloat16; each of 16 lanes adds the products of a pair at a time, then the lanes are added. A row's bits depend on the row alone: rows
 * of A go in groups of 4, 2 and 1, with 6, 8 and 4 rows of B side by side, as in thin_float.cl. B comes from memory once: the first group
 * would wait for it and the others find it in a cache, so each group fetches its part of the block of columns that comes next. */
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
	float sum[(ROWS * COLS + 7) / 8 * 8]; \
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
	UNROLL for (int i = 0; i < ROWS * COLS; i += 8) { \
		float16 v[8]; \
		UNROLL for (int j = 0; j < 8; j++) \
			v[j] = i + j < ROWS * COLS ? s[(i + j) / COLS % ROWS][(i + j) % COLS] : 0; \
		vstore8(sum_each(v), 0, sum + i); \
	} \
	for (int j = 0; j < COLS; j++) \
		if (col[j] < min(walk.end, walk.from + ((n0 + j) % STREAMS + 1) * walk.step)) \
			for (int r = 0; r < ROWS; r++) \
				finish(c, ldc, sum[r * COLS + j], m0 + r, col[j], f); \
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
#endif
