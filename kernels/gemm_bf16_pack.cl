//! use gemm_bias gemm_tile gemm_pairs
/* gemm_bf16_pack.cl: A for gemm_bf16.cl: alpha * A as words, in panels [panel of 8][pair][8], or for AMX
 * [panel of 32][32 k][2 x 16 rows][16 pairs]. */

/* A square of 16 rows and 32 k, of which there are rows x n, zeros else: r[row], 16 words each; or r[pair], 16 rows each, where A is
 * stored (k, m). */
inline void square(uint16 *r, __global const float *a, long lda, int rows, int n, float alpha, int a_trans)
{
	float e[16 * 32];
	const bool all = rows == 16 && n == 32;

	if (!all)
		for (int j = 0; j < 16; j++)
			for (int i = 0; i < 32; i++) {
				float v = j >= rows || i >= n ? 0 : a_trans ? a[i * lda + j] : a[j * lda + i];
				e[a_trans ? i * 16 + j : j * 32 + i] = v;
			}
	if (a_trans)
		UNROLL for (int j = 0; j < 16; j++)
			r[j] = all ? words(vload16(0, a + 2 * j * lda) * alpha, vload16(0, a + (2 * j + 1) * lda) * alpha) :
				words(vload16(2 * j, e) * alpha, vload16(2 * j + 1, e) * alpha);
	else
		UNROLL for (int j = 0; j < 16; j++) {
			FETCH(a + j * lda + 2 * 32);
			FETCH(a + j * lda + 2 * 32 + 16);
			float16 p = alpha * (all ? vload16(0, a + j * lda) : vload16(2 * j, e));
			float16 q = alpha * (all ? vload16(1, a + j * lda) : vload16(2 * j + 1, e));
			r[j] = neighbours(p, q);
		}
}

/* As gemm_pack of gemm_pack.cl; work-item (16 rows, stretch of `step` k of one period). */
__kernel WG1 void gemm_pack(__global uint *restrict out, long out_off, __global const float *restrict a, long a_off, long lda,
	int m, int k, int period, float alpha, int a_trans, int step, __global const int *live, long live_off)
{
	const int m0 = get_global_id(0) * 16, steps = (period + step - 1) / step;
	const int from = (int)get_global_id(1) / steps * period;
	const int k0 = from + (int)get_global_id(1) % steps * step, k1 = min(min(k, from + period), k0 + step);
	const bool dead = live && m0 < m && !live[live_off + m0 / 16];
	const int rows = dead ? 0 : clamp(m - m0, 0, 16);      /* the other half of a panel of AMX may be wanted: zeros */
	const size_t row = packed_row(k, period);
#ifdef AMX
	__global uint *q = out + out_off + (m0 / 32 * row + packed_k(k0, period)) * 16 + m0 / 16 % 2 * 256;
#else
	__global uint *lo = out + out_off + (m0 * row + packed_k(k0, period) * 8) / 2, *hi = lo + row * 4;

	if (dead)
		return;
#endif
	a += a_off;
	for (int i = k0; i < k1; i += 32) {
		const int n = min(32, k1 - i);
		uint16 r[16];
		square(r, a + (a_trans ? i * lda + m0 : m0 * lda + i), lda, rows, n, alpha, a_trans);
#ifdef AMX
		if (a_trans)
			turn_words(r);
		UNROLL for (int j = 0; j < 16; j++)
			vstore16(r[j], j, q);
		q += 512;
#else
		if (!a_trans)
			turn_words(r);
		UNROLL for (int j = 0; j < 16; j++)
			if (2 * j < n) {
				vstore8(r[j].lo, j, lo);
				vstore8(r[j].hi, j, hi);
			}
		lo += 128;
		hi += 128;
#endif
	}
}
