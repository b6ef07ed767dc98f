//! use gemm_bias gemm_tile
/* gemm_cpu.cl: the product of lib/op/gemm.h for CPUs, in float32 (see gemm_tile.cl). Packed A is [panel][k][MR].
 * Measured on 2 cores of a Zen 4, 512 x 2048 x 2048: 209 GFLOP/s of 234. */

/* alpha * A into panels; work-item (VL rows, stretch of `step` k of one period). a is stored (m, k), or (k, m) with a_trans.
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
	if (a_trans) {
		a += a_off + m0;
		for (int i = k0; i < k1; i++, lo += MR, hi += MR) {
			vf v = load_a(a + i * lda, rows) * alpha;
			VSTORE_HALF(lo, v.lo);
			VSTORE_HALF(hi, v.hi);
		}
		return;
	}
	a += a_off + m0 * lda;
	for (int i = k0; i < k1; i += VL) {
		vf r[VL];
		int n = min(VL, k1 - i);
		UNROLL for (int j = 0; j < VL; j++)
			r[j] = j < rows ? load_a(a + j * lda + i, n) : (vf)0;
		turn(r);
		for (int j = 0; j < n; j++, lo += MR, hi += MR) {
			vf v = r[j] * alpha;
			VSTORE_HALF(lo, v.lo);
			VSTORE_HALF(hi, v.hi);
		}
	}
}

/* A block of B, kc x cols, widened into the tile. */
inline void widen(vf *t, __global const tb *b, long ldb, int cols, int kc)
{
#ifdef B_TRANS
	UNROLL for (int v = 0; v < NV; v++, cols -= VL, b += VL * ldb)
		for (int i = 0; i < kc; i += VL) {
			vf r[VL];
			int n = min(VL, kc - i);
			UNROLL for (int j = 0; j < VL; j++)
				r[j] = j < cols ? load_b(b + j * ldb + i, n) : (vf)0;
			turn(r);
			for (int j = 0; j < n; j++)
				t[(i + j) * NV + v] = r[j];
		}
#else
	for (int i = 0; i < kc; i++)
		UNROLL for (int v = 0; v < NV; v++)
			t[i * NV + v] = load_b(b + i * ldb + v * VL, cols - v * VL);
#endif
}

/* s = the chains of one panel of A with the tile. */
inline void chains(vf s[MR][NV], __global const float *restrict a, const vf *restrict t, int kc)
{
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
	vf t[KC * NV];

	a += a_off;
	b += b_off;
	c += c_off + n0;
	begin_finish(&f, bias, bias_off, bias_type, scale, add, add_off, ld_add, n0, cols);
	for (int k0 = 0, kc; k0 < k; k0 += kc, acc = 1) {
		kc = min(min(KC, k - k0), period - k0 % period);
#ifdef B_TRANS
		widen(t, b + n0 * ldb + k0, ldb, cols, kc);
#else
		widen(t, b + k0 * ldb + n0, ldb, cols, kc);
#endif
		for (int p = p0; p < p1; p++) {
			vf s[MR][NV];
			bool dead = live && !live[live_off + p * MR / 16];
			if (dead && acc && !finish)
				continue;
			chains(s, a + (p * row + packed_k(k0, period)) * MR, t, dead ? 0 : kc);
			put(c, ldc, p * MR, s, min(MR, m - p * MR), cols, acc, finish && k0 + kc == k ? &f : 0);
		}
	}
}
