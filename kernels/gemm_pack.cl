//! use gemm_bias gemm_tile
/* gemm_pack.cl: A for gemm_cpu.cl: alpha * A in panels [panel][k][MR], of which VL rows are two. */

/* The first rows x n values of a square of A, rows of A in rows; zeros else. */
inline void some_a(vf *r, __global const float *a, long lda, int rows, int n)
{
	float e[VL * VL];

	for (int j = 0; j < VL; j++)
		for (int i = 0; i < VL; i++)
			e[j * VL + i] = j < rows && i < n ? a[j * lda + i] : 0;
	UNROLL for (int j = 0; j < VL; j++)
		r[j] = VLOAD(f32, e, j * VL);
}

/* Work-item (VL rows, stretch of `step` k of one period). A is stored (m, k), or (k, m) with a_trans.
 * live: rows in groups of 16 that are wanted, or NULL. */
__kernel WG1 void gemm_pack(__global float *restrict out, long out_off, __global const float *restrict a, long a_off, long lda,
	int m, int k, int period, float alpha, int a_trans, int step, __global const int *live, long live_off)
{
	const int m0 = get_global_id(0) * VL, rows = min(VL, m - m0), steps = (period + step - 1) / step;
	const int from = (int)get_global_id(1) / steps * period;
	const int k0 = from + (int)get_global_id(1) % steps * step, k1 = min(min(k, from + period), k0 + step);
	const size_t row = packed_row(k, period);
	__global float *lo = out + out_off + m0 * row + packed_k(k0, period) * MR, *hi = lo + row * MR;

	if (live && !live[live_off + m0 / 16])
		return;
	a += a_off;
	for (int i = k0; i < k1; i += VL) {
		const int n = min(VL, k1 - i);
		vf r[VL];
		if (a_trans) {
			__global const float *p = a + i * lda + m0;
			if (rows == VL && n == VL)
				UNROLL for (int j = 0; j < VL; j++)
					r[j] = VLOAD(f32, p, j * lda);
			else
				some_a(r, p, lda, n, rows);
		} else {
			__global const float *p = a + m0 * lda + i;
			if (rows == VL && n == VL)
				UNROLL for (int j = 0; j < VL; j++)
					r[j] = VLOAD(f32, p, j * lda);
			else
				some_a(r, p, lda, rows, n);
			turn(r);
		}
		UNROLL for (int j = 0; j < VL; j++)
			if (j < n) {
				vf v = r[j] * alpha;
				VSTORE_HALF(lo + j * MR, v.lo);
				VSTORE_HALF(hi + j * MR, v.hi);
			}
		lo += VL * MR;
		hi += VL * MR;
	}
}
