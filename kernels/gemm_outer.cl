//! use gemm_bias gemm_tile
/* gemm_outer.cl: the product of lib/op/gemm.h of two matrices that go over the same rows, one of them thin: the gradients of an adapter's matrices.
 * C = alpha * H (k, r) transposed * X (k, n), on CPUs in float32. Neither is packed: a tile of X is read as it lies, and H stays in the first cache. */
#if PM_CPU
#define STRIPES 4               // of 16 columns of X, of a work-item
#define DEPTH 64                // rows of both that are done together
#if HAVE_AVX512
#define RANKS 16                // columns of H that are done together
#else
#define RANKS 4                 // 16 columns are two registers
#endif

/* RANKS columns of `rows` rows of H, zeros behind the `ranks` that there are. */
inline void thin_rows(float *e, __global const float *h, long ldh, int rows, int ranks)
{
	for (int t = 0; t < rows; t++, h += ldh, e += RANKS)
		if (ranks >= RANKS)
			CAT(vstore, RANKS)(CAT(vload, RANKS)(0, h), 0, e);
		else
			for (int i = 0; i < RANKS; i++)
				e[i] = i < ranks ? h[i] : 0;
}

/* s[i] += the sum over the rows of column i of e times 16 columns of X, of which there are cols. */
inline void outer(float16 *s, const float *restrict e, __global const float *restrict x, long ldx, int rows, int cols)
{
	float16 a[RANKS];
	float some[DEPTH * 16];

	if (cols < 16)
		for (int t = 0; t < rows; t++)
			for (int j = 0; j < 16; j++)
				some[t * 16 + j] = j < cols ? x[t * ldx + j] : 0;
	UNROLL for (int i = 0; i < RANKS; i++)
		a[i] = s[i];
	for (int t = 0; t < rows; t++) {
		const float16 v = cols < 16 ? vload16(t, some) : vload16(0, x + t * ldx);
		FETCH(x + (t + DEPTH) * ldx);
		UNROLL for (int i = 0; i < RANKS; i++)
			a[i] = fma((float16)e[t * RANKS + i], v, a[i]);
	}
	UNROLL for (int i = 0; i < RANKS; i++)
		s[i] = a[i];
}

/* The sums of RANKS rows, of which there are ranks, and 16 columns, of which there are cols: to C (r, n) or, turned around, to C (n, r). */
inline void put_sums(__global float *c, long ldc, const float16 *s, int ranks, int cols, float alpha, int turned, int acc)
{
	const float *v = (const float *)s;

	for (int i = 0; i < (turned ? cols : ranks); i++, c += ldc)
		for (int j = 0; j < (turned ? ranks : cols); j++) {
			const float sum = alpha * (turned ? v[j * 16 + i] : v[i * 16 + j]);
			c[j] = acc ? c[j] + sum : sum;
		}
}

/* Each period of k is one chain, added to C (where acc, or after the first). Work-item (16 * STRIPES columns). */
__kernel WG1 void gemm_outer(__global float *restrict c, long c_off, long ldc, __global const float *restrict h, long h_off, long ldh,
	__global const float *restrict x, long x_off, long ldx, int r, int n, int k, int period, float alpha, int turned, int acc)
{
	const int n0 = get_global_id(0) * 16 * STRIPES;
	float16 s[STRIPES * RANKS];
	float e[DEPTH * RANKS];

	h += h_off;
	x += x_off;
	c += c_off;
	for (int from = 0; from < k; from += period, acc = 1)
		for (int r0 = 0; r0 < r; r0 += RANKS) {
			for (int i = 0; i < STRIPES * RANKS; i++)
				s[i] = 0;
			for (int t = from, rows; t < min(k, from + period); t += rows) {
				rows = min(DEPTH, min(k, from + period) - t);
				thin_rows(e, h + t * ldh + r0, ldh, rows, r - r0);
				for (int v = 0; v < STRIPES && n0 + v * 16 < n; v++)
					outer(s + v * RANKS, e, x + t * ldx + n0 + v * 16, ldx, rows, n - n0 - v * 16);
			}
			for (int v = 0; v < STRIPES && n0 + v * 16 < n; v++) {
				const int at = n0 + v * 16;
				put_sums(c + (turned ? at * ldc + r0 : r0 * ldc + at), ldc, s + v * RANKS, min(RANKS, r - r0), min(16, n - at), alpha, turned, acc);
			}
		}
}
#endif
