//! use quant thin_bytes woven gemm_bias gemm_tile gemm_walk gemm_square gemm_int14
/* gemm_int16.cl: the product of lib/op/gemm.h for x86 CPUs without products of bfloat16, at up to twice the rate of float32 (see gemm_walk.cl):
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
typedef short vs __attribute__((vector_size(64)));
#define dot2(acc, a, b) ((acc) + __builtin_astype(__builtin_ia32_pmaddwd512(__builtin_astype(a, vs), __builtin_astype(b, vs)), vi))
#elif defined __AVX2__ && VL == 8
typedef short vs __attribute__((vector_size(32)));
#define dot2(acc, a, b) ((acc) + __builtin_astype(__builtin_ia32_pmaddwd256(__builtin_astype(a, vs), __builtin_astype(b, vs)), vi))
#elif defined __SSE2__ && VL == 8
typedef short vs __attribute__((vector_size(16)));
#define HALF(a, b) __builtin_astype(__builtin_ia32_pmaddwd128(__builtin_astype(a, vs), __builtin_astype(b, vs)), int4)
#define dot2(acc, a, b) ((acc) + (vi)(HALF((a).lo, (b).lo), HALF((a).hi, (b).hi)))
#else
#define dot2(acc, a, b) ((acc) + (((a) << 16) >> 16) * (((b) << 16) >> 16) + ((a) >> 16) * ((b) >> 16))
#endif

/* Words [pair][NR], and scales [group][NR]. */
struct block {
	vi b[KC / 2 * NV], l[TAIL / 2 * NV];
	vf b_scale[KC / GROUP * NV], l_scale[TAIL / GROUP * NV];
};

inline size_t packed_words(size_t values)
{
	return values / GROUP * WORDS;
}

/* A group and VL columns from k and v on. */
inline void take_group(vi *t, vf *scale, const vf *f, int k, int v)
{
	vi w[GROUP / 2];

	scale[k / GROUP * NV + v] = integers(w, f);
	UNROLL for (int i = 0; i < GROUP / 2; i++)
		t[(k / 2 + i) * NV + v] = w[i];
}

/* KC is a multiple of GROUP. */
inline void take_b(struct block *t, __global const tb *b, long at, long ldb, int cols, int kc)
{
	for (int v = 0; v < NV; v++)
		for (int k = 0; k < kc; k += GROUP) {
			vf f[GROUP];
			for (int i = 0; i < GROUP; i += VL)
				square_b(f + i, b, at, ldb, k + i, kc, v * VL, cols);
			take_group(t->b, t->b_scale, f, k, v);
		}
}

inline void take_l(struct block *t, const float *l, int r)
{
	for (int v = 0; v < NV; v++)
		for (int k = 0; k < r; k += GROUP) {
			vf f[GROUP];
			for (int i = 0; i < GROUP; i++)
				f[i] = VLOAD(f32, l, (k + i) * NR + v * VL);
			take_group(t->l, t->l_scale, f, k, v);
		}
}

inline void chains(vf *out, __global const uint *restrict a, const struct block *restrict t, int kc, __global const uint *restrict h, int r)
{
	const vi *restrict p = t->b;
	const vf *restrict scale = t->b_scale;

	for (int i = 0; i < MR * NV; i++)
		out[i] = 0;
	for (int part = 0; part < 2; part++, a = h, p = t->l, scale = t->l_scale, kc = r)
		for (int k = 0; k < kc; k += GROUP, a += WORDS * MR, scale += NV) {
			vi s[MR][NV];
			UNROLL for (int i = 0; i < MR; i++)
				UNROLL for (int v = 0; v < NV; v++)
					s[i][v] = 0;
			for (int j = 0; j < GROUP / 2; j++, p += NV) {
				vi b[NV];
				UNROLL for (int v = 0; v < NV; v++)
					b[v] = p[v];
				UNROLL for (int i = 0; i < MR; i++) {
					const vi w = as_int(a[j * MR + i]);
					UNROLL for (int v = 0; v < NV; v++)
						s[i][v] = dot2(s[i][v], w, b[v]);
				}
			}
			UNROLL for (int i = 0; i < MR; i++) {
				const vf by = as_float(a[GROUP / 2 * MR + i]);
				UNROLL for (int v = 0; v < NV; v++)
					out[i * NV + v] = fma(CAT(convert_float, VL)(s[i][v]) * scale[v], by, out[i * NV + v]);
			}
		}
}

__kernel WG1 void gemm(GEMM_ARGS)
{
	struct block t;

	walk(GEMM_PASSED, &t, get_global_id(0), get_global_id(1));
}
