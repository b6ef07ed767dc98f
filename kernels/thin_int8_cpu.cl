//! use quant gemm_bias thin_walk thin_bytes thin_int8 thin_k thin_runs
/* thin_int8_cpu.cl: the products of few rows of lib/op/gemm.h with B in blocks (thin_int8.cl): each work-item rounds its rows of A by itself. */
#ifndef TYPE_B
#define TYPE_B q8_0
#endif
#define MOST 32768              // largest k

#define FOR(type) THIN_INT8(type)
FOR(TYPE_B)

/* As thin of thin_cpu.cl. */
__kernel WG1 void thin(__global float *c, long c_off, long ldc, __global const float *a, long a_off, long lda,
	block_t b, long b_off, long ldb, int m, int n, int k, int cols, __global const uchar *bias, long bias_off, int bias_type,
	__global const float *add, long add_off, long ld_add, __global const float *h, long h_off, long ldh,
	__global const float *l, long l_off, long ldl, int r, float s, float scale, RUN_ARGS)
{
	TO_RUN(get_global_id(1));

	const struct rest f = {bias, add ? add + add_off : 0, h ? h + h_off : 0, l ? l + l_off : 0, bias_off, ld_add, ldh, ldl,
		bias_type, r, s, scale};
	const int from = (int)get_global_id(0) * cols, end = min(n, from + cols);
	const struct walk walk = {from, end, (end - from + STREAMS - 1) / STREAMS};
	int16 room[ROWS][ROW_BYTES(MOST) / 64];
	struct row x[ROWS];

	a += a_off;
	b = AT(TYPE_B, b, b_off);
	c += c_off;
	for (int m0 = 0; m0 < m; m0 += ROWS) {
		for (int i = 0; i < ROWS; i++) {
			x[i] = row_at((size_t)room[i], k);
			CAT(quantise_, TYPE_B)(&x[i], a + min(m0 + i, m - 1) * lda, k);
		}
		CAT(rows_, TYPE_B)(c, ldc, x, b, ldb, m0, m, walk, k, &f);
	}
}
