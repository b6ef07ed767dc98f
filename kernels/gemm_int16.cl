//! use quant gemm_bias gemm_tile gemm_square gemm_int14
/* gemm_int16.cl: the product of lib/op/gemm.h for x86 CPUs without products of bfloat16, at up to twice the rate of float32 (see gemm_tile.cl):
 * A and B are rounded to 14 bits, a scale every 32 k (gemm_int14.cl, finer than bfloat16), whose products are summed exactly in 32 bits, and the
 * sums, times both scales, in float32. Packed A is [panel][32 k][16 pairs and the scale][MR]. */

/* acc + the products of both halves of each lane. */
#if HAVE_VNNI && VL == 16
inline vi dot2(vi acc, vi a, vi b)
{
	__asm__("vpdpwssd %2, %1, %0" : "+v"(acc) : "v"(b), "v"(a));
	return acc;
}
#elif defined __AVX512BW__ && VL == 16
typedef short shorts __attribute__((vector_size(64)));
#define dot2(acc, a, b) ((acc) + __builtin_astype(__builtin_ia32_pmaddwd512(__builtin_astype(a, shorts), __builtin_astype(b, shorts)), vi))
#elif defined __AVX2__ && VL == 8
typedef short shorts __attribute__((vector_size(32)));
#define dot2(acc, a, b) ((acc) + __builtin_astype(__builtin_ia32_pmaddwd256(__builtin_astype(a, shorts), __builtin_astype(b, shorts)), vi))
#elif defined __SSE2__ && VL == 8
typedef short shorts __attribute__((vector_size(16)));
#define HALF(a, b) __builtin_astype(__builtin_ia32_pmaddwd128(__builtin_astype(a, shorts), __builtin_astype(b, shorts)), int4)
#define dot2(acc, a, b) ((acc) + (vi)(HALF((a).lo, (b).lo), HALF((a).hi, (b).hi)))
#else
#define dot2(acc, a, b) ((acc) + (((a) << 16) >> 16) * (((b) << 16) >> 16) + ((a) >> 16) * ((b) >> 16))
#endif

/* The block of B at element `at`, kc x cols, as words into the tile, and the scales; KC is a multiple of 32. */
inline void round_b(vi *t, vf *scale, __global const tb *b, long at, long ldb, int cols, int kc)
{
	for (int v = 0; v < NV; v++)
		for (int k = 0; k < kc; k += GROUP) {
			vf f[GROUP];
			vi w[GROUP / 2];
			for (int i = 0; i < GROUP; i += VL)
				square_b(f + i, b, at, ldb, k + i, kc, v * VL, cols);
			scale[k / GROUP * NV + v] = integers(w, f);
			UNROLL for (int i = 0; i < GROUP / 2; i++)
				t[(k / 2 + i) * NV + v] = w[i];
		}
}

/* out = the sums of one panel of A with the tile. */
inline void chains(vf *out, __global const int *restrict a, const vi *restrict t, const vf *restrict scale, int kc)
{
	for (int i = 0; i < MR * NV; i++)
		out[i] = 0;
	for (int k = 0; k < kc; k += GROUP, a += WORDS * MR) {
		vi s[MR][NV];
		UNROLL for (int i = 0; i < MR; i++)
			UNROLL for (int v = 0; v < NV; v++)
				s[i][v] = 0;
		for (int j = 0; j < GROUP / 2; j++, t += NV) {
			vi b[NV];
			UNROLL for (int v = 0; v < NV; v++)
				b[v] = t[v];
			UNROLL for (int i = 0; i < MR; i++) {
				const vi w = a[j * MR + i];
				UNROLL for (int v = 0; v < NV; v++)
					s[i][v] = dot2(s[i][v], w, b[v]);
			}
		}
		UNROLL for (int i = 0; i < MR; i++) {
			const vf by = as_float(a[GROUP / 2 * MR + i]);
			UNROLL for (int v = 0; v < NV; v++)
				out[i * NV + v] = fma(CAT(convert_float, VL)(s[i][v]) * scale[v], by, out[i * NV + v]);
		}
		scale += NV;
	}
}

/* As gemm of gemm_cpu.cl. */
__kernel WG1 void gemm(__global float *restrict c, long c_off, long ldc, __global const int *restrict a, long a_off,
	__global const tb *restrict b, long b_off, long ldb, int m, int n, int k, int period, int panels, int acc,
	__global const int *live, long live_off, int finish, __global const uchar *bias, long bias_off, int bias_type, float scale,
	__global const float *add, long add_off, long ld_add)
{
	const int n0 = get_global_id(0) * NR, cols = min(NR, n - n0);
	const int p0 = get_global_id(1) * panels, p1 = min((m + MR - 1) / MR, p0 + panels);
	const size_t row = packed_row(k, period);
	struct finish f;
	vi t[KC / 2 * NV];
	vf by[KC / GROUP * NV], s[MR * NV];

	a += a_off;
	c += c_off + n0;
	if (finish)
		begin_finish(&f, bias, bias_off, bias_type, scale, add, add_off, ld_add, n0, cols);
	for (int k0 = 0, kc; k0 < k; k0 += kc, acc = 1) {
		kc = min(min(KC, k - k0), period - k0 % period);
#ifdef B_TRANS
		round_b(t, by, b, b_off + n0 * ldb + k0, ldb, cols, kc);
#else
		round_b(t, by, b, b_off + k0 * ldb + n0, ldb, cols, kc);
#endif
		for (int p = p0; p < p1; p++) {
			const bool dead = is_dead(live, live_off, p, m);
			if (dead && acc && !finish)
				continue;
			chains(s, a + (p * row + packed_k(k0, period)) / GROUP * WORDS * MR, t, by, dead ? 0 : kc);
			put(c, ldc, p * MR, s, min(MR, m - p * MR), cols, acc, finish && k0 + kc == k ? &f : 0);
		}
	}
}
