//! use quant thin_bytes woven gemm_bias gemm_tile gemm_walk gemm_square
/* gemm_cpu.cl: the product of lib/op/gemm.h for CPUs, in float32 (see gemm_walk.cl). Packed A is [panel][k][MR].
 * Measured on 2 cores of a Zen 4, 512 x 2048 x 2048: 209 GFLOP/s of 234. */
struct block {
	vf b[KC * NV], l[TAIL * NV];            /* [k][NR] */
};

inline size_t packed_words(size_t values)
{
	return values;
}

/* Widened; KC is a multiple of VL. */
inline void take_b(struct block *t, __global const tb *b, long at, long ldb, int cols, int kc)
{
	for (int v = 0; v < NV; v++)
		for (int i = 0; i < kc; i += VL) {
			vf r[VL];
			square_b(r, b, at, ldb, i, kc, v * VL, cols);
			UNROLL for (int j = 0; j < VL; j++)
				t->b[(i + j) * NV + v] = r[j];
		}
}

inline void take_l(struct block *t, const float *l, int r)
{
	for (int i = 0; i < r * NV; i++)
		t->l[i] = VLOAD(f32, l, i * VL);
}

inline void chains(vf *out, __global const uint *restrict a, const struct block *restrict t, int kc, __global const uint *restrict h, int r)
{
	const vf *restrict w = t->b;
	vf s[MR][NV];

	UNROLL for (int i = 0; i < MR; i++)
		UNROLL for (int v = 0; v < NV; v++)
			s[i][v] = 0;
	for (int part = 0; part < 2; part++, a = h, w = t->l, kc = r)
		for (int k = 0; k < kc; k++) {
			vf b[NV];
			UNROLL for (int v = 0; v < NV; v++)
				b[v] = w[k * NV + v];
			UNROLL for (int i = 0; i < MR; i++)
				UNROLL for (int v = 0; v < NV; v++)
					s[i][v] = fma((vf)as_float(a[k * MR + i]), b[v], s[i][v]);
		}
	UNROLL for (int i = 0; i < MR; i++)
		UNROLL for (int v = 0; v < NV; v++)
			out[i * NV + v] = s[i][v];
}

__kernel WG1 void gemm(GEMM_ARGS)
{
	struct block t;

	walk(GEMM_PASSED, &t, get_global_id(0), get_global_id(1));
}
