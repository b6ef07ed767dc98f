//! use quant gemm_bias thin_runs
/* thin.cl: the products of few rows of lib/op/gemm.h, portable. */
#ifndef TYPE_B
#define TYPE_B f32
#endif
#define LANES 32
#define ROWS 16                 // rows of A for which B is walked once

/* c[row][col] from its sum. */
inline void finish(__global float *c, long ldc, float v, int row, int col, __global const uchar *bias, long bias_off, int bias_type,
	__global const float *add, long ld_add, __global const float *h, long ldh, __global const float *l, long ldl, int r,
	float s, float scale)
{
	if (h) {
		float x = 0;
		for (int i = 0; i < r; i++)
			x = fma(h[row * ldh + i], l[col * ldl + i], x);
		v = fma(s, x, v);
	}
	if (bias)
		v += gemm_bias(bias, bias_type, bias_off + col);
	c[row * ldc + col] = fma(v, scale, add ? add[row * ld_add + col] : 0);
}

/* B is stored (n, k). A work-group of LANES items computes a column of C; (column, 16 rows). */
__kernel __attribute__((reqd_work_group_size(LANES, 1, 1)))
void thin(__global float *c, long c_off, long ldc, __global const float *a, long a_off, long lda,
	__global const STORAGE(TYPE_B) *b, long b_off, long ldb, int m, int n, int k, int cols, __global const uchar *bias, long bias_off,
	int bias_type, __global const float *add, long add_off, long ld_add, __global const float *h, long h_off, long ldh,
	__global const float *l, long l_off, long ldl, int rank, float s, float scale, RUN_ARGS)
{
	const int lane = (int)get_local_id(0), col = (int)get_group_id(0), m0 = (int)get_global_id(1) * ROWS;
	__local float room[LANES];
	float sum[ROWS];

	TO_RUN(get_global_id(2));
	if (m0 >= m)
		return;
	a += a_off + m0 * lda;
	for (int r = 0; r < ROWS; r++)
		sum[r] = 0;
	for (int i = lane; i < k; i += LANES) {
		float w = LOAD(TYPE_B, b, b_off + col * ldb + i);
		for (int r = 0; r < ROWS; r++)
			if (m0 + r < m)
				sum[r] = fma(w, a[r * lda + i], sum[r]);
	}
	for (int r = 0; r < ROWS && m0 + r < m; r++) {
		float v = group_sum(sum[r], room);
		if (lane == 0)
			finish(c + c_off, ldc, v, m0 + r, col, bias, bias_off, bias_type, add ? add + add_off : 0, ld_add,
				h ? h + h_off : 0, ldh, l ? l + l_off : 0, ldl, rank, s, scale);
	}
}

/* B is stored (k, n). A work-item computes a column of C; (column, 16 rows). */
__kernel __attribute__((reqd_work_group_size(LANES, 1, 1)))
void thin_stored(__global float *c, long c_off, long ldc, __global const float *a, long a_off, long lda,
	__global const STORAGE(TYPE_B) *b, long b_off, long ldb, int m, int n, int k, int cols, __global const uchar *bias, long bias_off,
	int bias_type, __global const float *add, long add_off, long ld_add, __global const float *h, long h_off, long ldh,
	__global const float *l, long l_off, long ldl, int rank, float s, float scale, RUN_ARGS)
{
	const int col = (int)get_global_id(0), m0 = (int)get_global_id(1) * ROWS;
	float sum[ROWS];

	TO_RUN(get_global_id(2));
	if (col >= n || m0 >= m)
		return;
	a += a_off + m0 * lda;
	for (int r = 0; r < ROWS; r++)
		sum[r] = 0;
	for (int i = 0; i < k; i++) {
		float w = LOAD(TYPE_B, b, b_off + i * ldb + col);
		for (int r = 0; r < ROWS; r++)
			if (m0 + r < m)
				sum[r] = fma(w, a[r * lda + i], sum[r]);
	}
	for (int r = 0; r < ROWS && m0 + r < m; r++)
		finish(c + c_off, ldc, sum[r], m0 + r, col, bias, bias_off, bias_type, add ? add + add_off : 0, ld_add,
			h ? h + h_off : 0, ldh, l ? l + l_off : 0, ldl, rank, s, scale);
}
