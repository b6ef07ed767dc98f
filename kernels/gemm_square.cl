/* gemm_square.cl: squares of VL x VL values of B as floats, for gemm_cpu.cl and gemm_int16.cl. */

#ifdef WOVEN
/* VL k from k0 on of VL columns from n0 on, r[k], of woven B (woven.cl); columns behind the last of `cols` are any. `at` is B's element (0, 0). */
inline void square_b(vf *r, __global const tb *b, long at, long ldb, int k0, int kc, int n0, int cols)
{
	const long row = at / ldb + (n0 < cols ? n0 : 0);
	const int k = (int)(at % ldb) + k0;
	floats f[16];

	CAT(woven_, TYPE_B)(f, b, row / WIDE * WIDE, ldb, k / 16 * 16);
	UNROLL for (int j = 0; j < VL; j++)
#if VL == WIDE
		r[j] = f[k % 16 + j];
#else
		r[j] = row % 16 ? f[k % 16 + j].hi : f[k % 16 + j].lo;
#endif
}
#else
/* The first rows x n values of the square of B at element `at`, rows of memory in rows; zeros else. */
inline void some_b(vf *r, __global const tb *b, long at, long ldb, int rows, int n)
{
	float e[VL * VL];

	for (int j = 0; j < VL; j++)
		for (int i = 0; i < VL; i++)
			e[j * VL + i] = j < rows && i < n ? LOAD(TYPE_B, b, at + j * ldb + i) : 0;
	UNROLL for (int j = 0; j < VL; j++)
		r[j] = VLOAD(f32, e, j * VL);
}

/* VL k from k0 on of VL columns from n0 on, r[k]; there are kc of the former and cols of the latter, zeros else. `at` is B's element (0, 0). */
inline void square_b(vf *r, __global const tb *b, long at, long ldb, int k0, int kc, int n0, int cols)
{
#ifdef B_TRANS
	const long p = at + n0 * ldb + k0;
	const int rows = cols - n0, n = kc - k0;
#else
	const long p = at + k0 * ldb + n0;
	const int rows = kc - k0, n = cols - n0;
#endif
	if (rows >= VL && n >= VL)
		UNROLL for (int j = 0; j < VL; j++)
			r[j] = VLOAD(TYPE_B, b, p + j * ldb);
	else
		some_b(r, b, p, ldb, rows, n);
#ifdef B_TRANS
	turn(r);
#endif
}
#endif
