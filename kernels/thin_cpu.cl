//! use quant gemm_bias thin_walk thin_runs
/* thin_cpu.cl: the products of few rows of lib/op/gemm.h for CPUs: the rate of memory is what counts. A work-item takes some
 * columns of the result. Rows of A go in groups of 4, 2 and 1, each with 6 or 8 rows of B side by side, since memory
 * gives more to several streams than to one; the rows that go together lie far apart, so that each stream is a long walk (rows
 * of 2 KB side by side reached half the rate). A sum is one chain of fma in 16 lanes, then the lanes are added; the grouping
 * does not change it. Measured on 2 cores of a Zen 4 with bf16 weights: one row at the rate of memory, 16 rows at 170 GFLOP/s. */
#ifndef TYPE_B
#define TYPE_B f32
#endif

typedef STORAGE(TYPE_B) tb;

inline float16 some_b(__global const tb *b, long at, int n)
{
	float v[16];

	for (int i = 0; i < 16; i++)
		v[i] = i < n ? LOAD(TYPE_B, b, at + i) : 0;
	return vload16(0, v);
}

/* ROWS rows of A from row m0 with COLS rows of B, number n0 and on in the walk (where it has no more the last row of all is
 * repeated, its result thrown away). */
#define DOTS(ROWS, COLS) \
inline void dots_##ROWS(__global float *c, long ldc, __global const float *a, long lda, __global const tb *b, long ldb, \
	int m0, int n0, struct walk walk, int k, const struct rest *f) \
{ \
	float16 s[ROWS][COLS]; \
	__global const float *p[ROWS]; \
	__global const tb *q[COLS]; \
	int col[COLS], i; \
	UNROLL for (int r = 0; r < ROWS; r++) \
		p[r] = a + (m0 + r) * lda; \
	UNROLL for (int j = 0; j < COLS; j++) { \
		col[j] = walk_col(walk, n0 + j); \
		q[j] = AT(TYPE_B, b, min(col[j], walk.end - 1) * ldb); \
	} \
	UNROLL for (int r = 0; r < ROWS; r++) \
		UNROLL for (int j = 0; j < COLS; j++) \
			s[r][j] = 0; \
	for (i = 0; i + 16 <= k; i += 16) { \
		float16 w[COLS]; \
		UNROLL for (int j = 0; j < COLS; j++) \
			w[j] = LOAD16(TYPE_B, q[j], i); \
		UNROLL for (int r = 0; r < ROWS; r++) { \
			float16 v = vload16(0, p[r] + i); \
			UNROLL for (int j = 0; j < COLS; j++) \
				s[r][j] = fma(v, w[j], s[r][j]); \
		} \
	} \
	if (i < k) { \
		float16 w[COLS]; \
		UNROLL for (int j = 0; j < COLS; j++) \
			w[j] = some_b(q[j], i, k - i); \
		UNROLL for (int r = 0; r < ROWS; r++) { \
			float16 v = some_a(p[r] + i, k - i); \
			UNROLL for (int j = 0; j < COLS; j++) \
				s[r][j] = fma(v, w[j], s[r][j]); \
		} \
	} \
	UNROLL for (int r = 0; r < ROWS; r++) \
		UNROLL for (int j = 0; j < COLS; j++) \
			if (col[j] < min(walk.end, walk.from + ((n0 + j) % STREAMS + 1) * walk.step)) \
				finish(c, ldc, sum16(s[r][j]), m0 + r, col[j], f); \
}
DOTS(4, 6)
DOTS(2, 8)
DOTS(1, 8)

/* B is stored (n, k). Work-item (`cols` columns of C). */
__kernel WG1 void thin(__global float *c, long c_off, long ldc, __global const float *a, long a_off, long lda,
	__global const tb *b, long b_off, long ldb, int m, int n, int k, int cols, __global const uchar *bias, long bias_off, int bias_type,
	__global const float *add, long add_off, long ld_add, __global const float *h, long h_off, long ldh,
	__global const float *l, long l_off, long ldl, int r, float s, float scale, RUN_ARGS)
{
	TO_RUN(get_global_id(1));

	const struct rest f = {bias, add ? add + add_off : 0, h ? h + h_off : 0, l ? l + l_off : 0, bias_off, ld_add, ldh, ldl,
		bias_type, r, s, scale};
	const int from = (int)get_global_id(0) * cols, end = min(n, from + cols);
	const struct walk walk = {from, end, (end - from + STREAMS - 1) / STREAMS};

	a += a_off;
	b = AT(TYPE_B, b, b_off);
	c += c_off;
	for (int n0 = 0; n0 < STREAMS * walk.step; n0 += BLOCK) {
		const int n1 = min(STREAMS * walk.step, n0 + BLOCK);
		int m0 = 0;
		for (; m0 + 4 <= m; m0 += 4)
			for (int j = n0; j < n1; j += 6)
				dots_4(c, ldc, a, lda, b, ldb, m0, j, walk, k, &f);
		for (; m0 + 2 <= m; m0 += 2)
			for (int j = n0; j < n1; j += 8)
				dots_2(c, ldc, a, lda, b, ldb, m0, j, walk, k, &f);
		for (; m0 < m; m0++)
			for (int j = n0; j < n1; j += 8)
				dots_1(c, ldc, a, lda, b, ldb, m0, j, walk, k, &f);
	}
}

/* ROWS rows of A with the WIDTH columns of B from column n0 that a work-item has: one chain over k for each. */
#define WIDTH 64
#define SUMS(ROWS) \
inline void sums_##ROWS(__global float *c, long ldc, __global const float *a, long lda, __global const tb *b, long b_off, long ldb, \
	int m0, int n0, int n, int k, const struct rest *f) \
{ \
	const int cols = min(n - n0, WIDTH); \
	float16 s[ROWS][WIDTH / 16]; \
	float v[WIDTH]; \
	a += m0 * lda; \
	UNROLL for (int r = 0; r < ROWS; r++) \
		UNROLL for (int j = 0; j < WIDTH / 16; j++) \
			s[r][j] = 0; \
	for (int i = 0; i < k; i++) { \
		float16 w[WIDTH / 16]; \
		if (cols == WIDTH) { \
			UNROLL for (int j = 0; j < WIDTH / 16; j++) \
				w[j] = LOAD16(TYPE_B, b, b_off + i * ldb + n0 + j * 16); \
		} else { \
			for (int j = 0; j < WIDTH; j++) \
				v[j] = j < cols ? LOAD(TYPE_B, b, b_off + i * ldb + n0 + j) : 0; \
			UNROLL for (int j = 0; j < WIDTH / 16; j++) \
				w[j] = vload16(j, v); \
		} \
		UNROLL for (int r = 0; r < ROWS; r++) \
			UNROLL for (int j = 0; j < WIDTH / 16; j++) \
				s[r][j] = fma((float16)a[r * lda + i], w[j], s[r][j]); \
	} \
	UNROLL for (int r = 0; r < ROWS; r++) { \
		UNROLL for (int j = 0; j < WIDTH / 16; j++) \
			vstore16(s[r][j], j, v); \
		for (int j = 0; j < cols; j++) \
			finish(c, ldc, v[j], m0 + r, n0 + j, f); \
	} \
}
SUMS(4)
SUMS(1)

/* B is stored (k, n). Work-item (WIDTH columns of C). */
__kernel WG1 void thin_stored(__global float *c, long c_off, long ldc, __global const float *a, long a_off, long lda,
	__global const tb *b, long b_off, long ldb, int m, int n, int k, int cols, __global const uchar *bias, long bias_off, int bias_type,
	__global const float *add, long add_off, long ld_add, __global const float *h, long h_off, long ldh,
	__global const float *l, long l_off, long ldl, int r, float s, float scale, RUN_ARGS)
{
	TO_RUN(get_global_id(1));

	const struct rest f = {bias, add ? add + add_off : 0, h ? h + h_off : 0, l ? l + l_off : 0, bias_off, ld_add, ldh, ldl,
		bias_type, r, s, scale};
	const int from = (int)get_global_id(0) * cols, end = min(n, from + cols);

	for (int n0 = from; n0 < end; n0 += WIDTH) {
		int m0 = 0;
		for (; m0 + 4 <= m; m0 += 4)
			sums_4(c + c_off, ldc, a + a_off, lda, b, b_off, ldb, m0, n0, n, k, &f);
		for (; m0 < m; m0++)
			sums_1(c + c_off, ldc, a + a_off, lda, b, b_off, ldb, m0, n0, n, k, &f);
	}
}
