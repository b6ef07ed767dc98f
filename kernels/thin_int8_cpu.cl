//! use quant gemm_bias thin_walk thin_bytes woven thin_int8 thin_runs
/* thin_int8_cpu.cl: the products of few rows of lib/op/gemm.h with B in blocks (thin_int8.cl): each work-item rounds its rows of A by itself.
 * With -DWOVEN B is woven (woven.cl). */
#ifndef TYPE_B
#define TYPE_B q8_0
#endif
#ifndef WOVEN
#define WOVEN 0
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
	const struct woven w = {AT(TYPE_B, b, b_off), ldb, WOVEN};
	int16 room[ROWS * ROW_BYTES(MOST) / 64];

	a += a_off;
	for (int m0 = 0; m0 < m; m0 += ROWS) {
		const int some = min(ROWS, m - m0);
		struct rest g = f;
		for (int i = 0; i < some; i++)
			CAT(quantise_, TYPE_B)((size_t)room + (size_t)i * ROW_BYTES(k), a + (m0 + i) * lda, k);
		g.add += g.add ? m0 * ld_add : 0;
		g.h += g.h ? m0 * ldh : 0;
		CAT(columns_, TYPE_B)(c + c_off + m0 * ldc, ldc, (size_t)room, w, some, from, end, k, &g);
	}
}
