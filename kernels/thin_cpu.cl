//! use quant gemm_bias thin_walk thin_runs thin_float
/* thin_cpu.cl: the products of few rows of lib/op/gemm.h for CPUs (thin_float.cl). A work-item takes some columns of the result. */
#ifndef TYPE_B
#define TYPE_B f32
#endif

typedef STORAGE(TYPE_B) tb;

#define FOR(type) THIN_FLOAT(type)
FOR(TYPE_B)

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

	CAT(thin_float_, TYPE_B)(c + c_off, ldc, a + a_off, lda, AT(TYPE_B, b, b_off), ldb, m, k, walk, &f);
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
