//! use quant gemm_bias thin_walk thin_bytes woven_bf16 thin_bf16 thin_runs
/* thin_bf16_cpu.cl: the products of few rows of lib/op/gemm.h with B in bfloat16 (thin_bf16.cl): each work-item rounds its rows of A by itself.
 * With -DWOVEN B is woven (woven_bf16.cl). */
#define MOST 32768              // largest k
#define ROWS 4                  // of A that go together

/* As thin of thin_cpu.cl. */
__kernel WG1 void thin(__global float *c, long c_off, long ldc, __global const float *a, long a_off, long lda,
	__global const ushort *b, long b_off, long ldb, int m, int n, int k, int cols, __global const uchar *bias, long bias_off, int bias_type,
	__global const float *add, long add_off, long ld_add, __global const float *h, long h_off, long ldh,
	__global const float *l, long l_off, long ldl, int r, float s, float scale, RUN_ARGS)
{
	TO_RUN(get_global_id(1));

	const int from = (int)get_global_id(0) * cols, end = min(n, from + cols);
	const struct walk walk = {from, end, (end - from + STREAMS - 1) / STREAMS};
	uint16 x[ROWS * MOST / 32];

	for (int m0 = 0; m0 < m; m0 += ROWS) {
		const int rows = min(ROWS, m - m0);
		const struct rest f = {bias, add ? add + add_off + m0 * ld_add : 0, h ? h + h_off + m0 * ldh : 0, l ? l + l_off : 0, bias_off, ld_add, ldh, ldl,
			bias_type, r, s, scale};
		for (int i = 0; i < rows; i++)
			pairs_row(x + i * ((k + 31) / 32), a + a_off + (m0 + i) * lda, k);
#ifdef WOVEN
		thin_woven(c + c_off + m0 * ldc, ldc, x, (size_t)b + b_off / (16 * ldb) * PACKED_GROUP(k), rows, from, end, k, &f);
#else
		thin_pairs(c + c_off + m0 * ldc, ldc, x, b + b_off, ldb, rows, k, walk, &f);
#endif
	}
}
