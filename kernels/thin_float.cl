/* thin_float.cl: what the products of few rows with B in floats (or blocks read as floats) share, for CPUs: the rate of memory is what counts.
 * Rows of A go in groups of 4, 2 and 1 with 6, 8 and 4 rows of B side by side, since memory gives more to several streams than to one; the rows
 * that go together lie far apart, so that each stream is a long walk (rows of 2 KB side by side reached half the rate). A sum is one chain of fma
 * in 16 lanes, then the lanes are added; the grouping does not change it. B comes from memory once: each group of 4 rows fetches its part of the block
 * of columns that comes next, as in thin_bf16.cl.
 *
 * THIN_FLOAT(type) defines thin_float_type, which makes a work-item's columns. */

/* ROWS rows of A from row m0 with COLS rows of B, number n0 and on in the walk (where it has no more the last row of all is
 * repeated, its result thrown away). Of the next block's columns what belongs to k in [near, far) is fetched; by one row, of what it reads next. */
#define DOTS(type, ROWS, COLS) \
inline void dots_##ROWS##_##type(__global float *c, long ldc, __global const float *a, long lda, __global const STORAGE(type) *b, long ldb, \
	int m0, int n0, struct walk walk, int k, int near, int far, const struct rest *f) \
{ \
	const size_t ahead = ROWS == 1 ? STREAM_AHEAD : BLOCK / STREAMS * ((size_t)AT(type, b, ldb) - (size_t)b); \
	float16 s[ROWS][COLS]; \
	__global const float *p[ROWS]; \
	__global const STORAGE(type) *q[COLS]; \
	int col[COLS], i; \
	UNROLL for (int r = 0; r < ROWS; r++) \
		p[r] = a + (m0 + r) * lda; \
	UNROLL for (int j = 0; j < COLS; j++) { \
		col[j] = walk_col(walk, n0 + j); \
		q[j] = AT(type, b, min(col[j], walk.end - 1) * ldb); \
	} \
	UNROLL for (int r = 0; r < ROWS; r++) \
		UNROLL for (int j = 0; j < COLS; j++) \
			s[r][j] = 0; \
	for (i = 0; i + 16 <= k; i += 16) { \
		float16 w[COLS]; \
		if (i >= near && i < far) \
			UNROLL for (int j = 0; j < COLS; j++) \
				FETCH((size_t)AT(type, q[j], i) + ahead); \
		UNROLL for (int j = 0; j < COLS; j++) \
			w[j] = LOAD16(type, q[j], i); \
		UNROLL for (int r = 0; r < ROWS; r++) { \
			float16 v = vload16(0, p[r] + i); \
			UNROLL for (int j = 0; j < COLS; j++) \
				s[r][j] = fma(v, w[j], s[r][j]); \
		} \
	} \
	if (i < k) { \
		float16 w[COLS]; \
		UNROLL for (int j = 0; j < COLS; j++) \
			w[j] = some_b_##type(q[j], i, k - i); \
		UNROLL for (int r = 0; r < ROWS; r++) { \
			float16 v = some_a(p[r] + i, k - i); \
			UNROLL for (int j = 0; j < COLS; j++) \
				s[r][j] = fma(v, w[j], s[r][j]); \
		} \
	} \
	FINISH_DOTS(ROWS, COLS) \
}

/* B is stored (n, k). */
#define THIN_FLOAT(type) \
inline float16 some_b_##type(__global const STORAGE(type) *b, long at, int n) \
{ \
	float v[16]; \
	for (int i = 0; i < 16; i++) \
		v[i] = i < n ? LOAD(type, b, at + i) : 0; \
	return vload16(0, v); \
} \
DOTS(type, 4, 6) \
DOTS(type, 2, 8) \
DOTS(type, 1, 4) \
inline void thin_float_##type(__global float *c, long ldc, __global const float *a, long lda, __global const STORAGE(type) *b, long ldb, int m, \
	int k, struct walk walk, const struct rest *f) \
{ \
	const int part = m >= 4 ? (k + m / 4 - 1) / (m / 4) : 0; \
	for (int n0 = 0; n0 < STREAMS * walk.step; n0 += BLOCK) { \
		const int n1 = min(STREAMS * walk.step, n0 + BLOCK); \
		int m0 = 0; \
		for (; m0 + 4 <= m; m0 += 4) \
			for (int j = n0; j < n1; j += 6) \
				dots_4_##type(c, ldc, a, lda, b, ldb, m0, j, walk, k, m0 / 4 * part, (m0 / 4 + 1) * part, f); \
		for (; m0 + 2 <= m; m0 += 2) \
			for (int j = n0; j < n1; j += 8) \
				dots_2_##type(c, ldc, a, lda, b, ldb, m0, j, walk, k, 0, 0, f); \
		for (; m0 < m; m0++) \
			for (int j = n0; j < n1; j += 4) \
				dots_1_##type(c, ldc, a, lda, b, ldb, m0, j, walk, k, 0, k, f); \
	} \
}
