//! use gemm_bias gemm_tile gemm_int14
/* gemm_pack.cl: A for gemm_cpu.cl: alpha * A in panels [panel][k][MR], of which VL rows are two. With -DINT14 that for gemm_int16.cl. */

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

/* VL k of VL rows from element `at` on, r[k]; of them there are rows x n, zeros else. A is stored (m, k), or (k, m) with a_trans. */
inline void square_a(vf *r, __global const float *a, long lda, int rows, int n, int a_trans)
{
	if (rows == VL && n == VL)
		UNROLL for (int j = 0; j < VL; j++)
			r[j] = VLOAD(f32, a, j * lda);
	else
		some_a(r, a, lda, a_trans ? n : rows, a_trans ? rows : n);
	if (!a_trans)
		turn(r);
}

/* What STEP k of VL rows are packed to: words of a panel. */
#ifdef INT14
#define STEP GROUP
#define PACKED(k) ((k) / GROUP * WORDS)
#else
#define STEP VL
#define PACKED(k) (k)
#endif

/* Work-item (VL rows, stretch of `step` k of one period). live: rows in groups of 16 that are wanted, or NULL. */
__kernel WG1 void gemm_pack(__global float *restrict out, long out_off, __global const float *restrict a, long a_off, long lda,
	int m, int k, int period, float alpha, int a_trans, int step, __global const int *live, long live_off)
{
	const int m0 = get_global_id(0) * VL, rows = min(VL, m - m0), steps = (period + step - 1) / step;
	const int from = (int)get_global_id(1) / steps * period;
	const int k0 = from + (int)get_global_id(1) % steps * step, k1 = min(min(k, from + period), k0 + step);
	const size_t row = PACKED(packed_row(k, period));
	__global float *lo = out + out_off + m0 * row + PACKED(packed_k(k0, period)) * MR, *hi = lo + row * MR;

	if (live && !live[live_off + m0 / 16])
		return;
	a += a_off;
	for (int i = k0; i < k1; i += STEP) {
		vf r[STEP];
		for (int j = 0; j < STEP; j += VL) {
			square_a(r + j, a + (a_trans ? (i + j) * lda + m0 : m0 * lda + i + j), lda, rows, clamp(k1 - i - j, 0, VL), a_trans);
			UNROLL for (int q = 0; q < VL; q++)
				r[j + q] *= alpha;
		}
#ifdef INT14
		vi w[GROUP / 2];
		const vf scale = integers(w, r);
		UNROLL for (int j = 0; j < GROUP / 2; j++) {
			const vf v = AS_VF(w[j]);
			VSTORE_HALF(lo + j * MR, v.lo);
			VSTORE_HALF(hi + j * MR, v.hi);
		}
		VSTORE_HALF(lo + GROUP / 2 * MR, scale.lo);
		VSTORE_HALF(hi + GROUP / 2 * MR, scale.hi);
#else
		UNROLL for (int j = 0; j < VL; j++)
			if (i + j < k1) {
				VSTORE_HALF(lo + j * MR, r[j].lo);
				VSTORE_HALF(hi + j * MR, r[j].hi);
			}
#endif
		lo += PACKED(STEP) * MR;
		hi += PACKED(STEP) * MR;
	}
}
