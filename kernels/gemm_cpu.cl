//! use quant gemm_bias gemm_tile gemm_square
/* gemm_cpu.cl: the product of lib/op/gemm.h for CPUs, in float32 (see gemm_tile.cl). Packed A is [panel][k][MR].
 * Measured on 2 cores of a Zen 4, 512 x 2048 x 2048: 209 GFLOP/s of 234. */

/* The block of B at element `at`, kc x cols, widened into the tile; KC is a multiple of VL. */
inline void widen(vf *t, __global const tb *b, long at, long ldb, int cols, int kc)
{
	for (int v = 0; v < NV; v++)
		for (int i = 0; i < kc; i += VL) {
			vf r[VL];
			square_b(r, b, at, ldb, i, kc, v * VL, cols);
			UNROLL for (int j = 0; j < VL; j++)
				t[(i + j) * NV + v] = r[j];
		}
}

/* out = the chains of one panel of A with the tile. */
inline void chains(vf *out, __global const float *restrict a, const vf *restrict t, int kc)
{
	vf s[MR][NV];

	UNROLL for (int i = 0; i < MR; i++)
		UNROLL for (int v = 0; v < NV; v++)
			s[i][v] = 0;
	for (int k = 0; k < kc; k++) {
		vf b[NV];
		UNROLL for (int v = 0; v < NV; v++)
			b[v] = t[k * NV + v];
		UNROLL for (int i = 0; i < MR; i++)
			UNROLL for (int v = 0; v < NV; v++)
				s[i][v] = fma((vf)a[k * MR + i], b[v], s[i][v]);
	}
	UNROLL for (int i = 0; i < MR; i++)
		UNROLL for (int v = 0; v < NV; v++)
			out[i * NV + v] = s[i][v];
}

/* Work-item (NR columns, `panels` panels). Panels without a live row are not computed: they are zero unless added to. */
__kernel WG1 void gemm(__global float *restrict c, long c_off, long ldc, __global const float *restrict a, long a_off,
	__global const tb *restrict b, long b_off, long ldb, int m, int n, int k, int period, int panels, int acc,
	__global const int *live, long live_off, int finish, __global const uchar *bias, long bias_off, int bias_type, float scale,
	__global const float *add, long add_off, long ld_add)
{
	const int n0 = get_global_id(0) * NR, cols = min(NR, n - n0);
	const int p0 = get_global_id(1) * panels, p1 = min((m + MR - 1) / MR, p0 + panels);
	const size_t row = packed_row(k, period);
	struct finish f;
	vf t[KC * NV], s[MR * NV];

	a += a_off;
	c += c_off + n0;
	if (finish)
		begin_finish(&f, bias, bias_off, bias_type, scale, add, add_off, ld_add, n0, cols);
	for (int k0 = 0, kc; k0 < k; k0 += kc, acc = 1) {
		kc = min(min(KC, k - k0), period - k0 % period);
#ifdef B_TRANS
		widen(t, b, b_off + n0 * ldb + k0, ldb, cols, kc);
#else
		widen(t, b, b_off + k0 * ldb + n0, ldb, cols, kc);
#endif
		for (int p = p0; p < p1; p++) {
			const bool dead = is_dead(live, live_off, p, m);
			if (dead && acc && !finish)
				continue;
			chains(s, a + (p * row + packed_k(k0, period)) * MR, t, dead ? 0 : kc);
			put(c, ldc, p * MR, s, min(MR, m - p * MR), cols, acc, finish && k0 + kc == k ? &f : 0);
		}
	}
}
