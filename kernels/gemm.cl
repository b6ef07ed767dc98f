//! use quant gemm_bias
/* gemm.cl: the product of lib/op/gemm.h, portable: a work-group of 8 x 8 items computes TILE x TILE of C from tiles of A and B
 * in local memory, an item 4 x 4. The order of summation is that of gemm_tile.cl: chains over blocks of KC k that begin anew
 * at each period, added one after the other. */
#ifndef TYPE_B
#define TYPE_B f32
#endif
#define KC 256
#define TILE 32
#define DEPTH 16

__kernel __attribute__((reqd_work_group_size(8, 8, 1)))
void gemm(__global float *c, long c_off, long ldc, __global const float *a, long a_off, long lda, int a_trans,
	__global const STORAGE(TYPE_B) *b, long b_off, long ldb, int b_trans, int m, int n, int k, int period, float alpha, int acc,
	__global const int *live, long live_off, int finish, __global const uchar *bias, long bias_off, int bias_type, float scale,
	__global const float *add, long add_off, long ld_add)
{
	const int x = (int)get_local_id(0), y = (int)get_local_id(1), item = y * 8 + x;
	const int n0 = (int)get_group_id(0) * TILE, m0 = (int)get_group_id(1) * TILE;
	const bool dead = live && !live[live_off + m0 / 16] && (m0 + 16 >= m || !live[live_off + m0 / 16 + 1]);
	__local float ta[DEPTH * TILE], tb[DEPTH * TILE];
	float4 s[4], t[4];

	a += a_off;
	c += c_off;
	for (int i = 0; i < 4; i++) {
		const int row = m0 + y * 4 + i, col = n0 + x * 4;
		t[i] = 0;
		if (acc && row < m) {
			t[i].x = col < n ? c[row * ldc + col] : 0;
			t[i].y = col + 1 < n ? c[row * ldc + col + 1] : 0;
			t[i].z = col + 2 < n ? c[row * ldc + col + 2] : 0;
			t[i].w = col + 3 < n ? c[row * ldc + col + 3] : 0;
		}
	}
	for (int k0 = 0, kc; k0 < k && !dead; k0 += kc) {
		kc = min(min(KC, k - k0), period - k0 % period);
		for (int i = 0; i < 4; i++)
			s[i] = 0;
		for (int kk = k0; kk < k0 + kc; kk += DEPTH) {
			const int depth = min(DEPTH, k0 + kc - kk);
			for (int i = item; i < DEPTH * TILE; i += 64) {
				/* neighbours read neighbours, whichever way the operand lies */
				const int ak = a_trans ? i / TILE : i % DEPTH, am = a_trans ? i % TILE : i / DEPTH;
				const int bk = b_trans ? i % DEPTH : i / TILE, bn = b_trans ? i / DEPTH : i % TILE;
				ta[ak * TILE + am] = ak >= depth || m0 + am >= m ? 0 :
					alpha * (a_trans ? a[(kk + ak) * lda + m0 + am] : a[(m0 + am) * lda + kk + ak]);
				tb[bk * TILE + bn] = bk >= depth || n0 + bn >= n ? 0 :
					LOAD(TYPE_B, b, b_off + (b_trans ? (n0 + bn) * ldb + kk + bk : (kk + bk) * ldb + n0 + bn));
			}
			barrier(CLK_LOCAL_MEM_FENCE);
			for (int d = 0; d < DEPTH; d++) {
				const float4 va = vload4(0, ta + d * TILE + y * 4), vb = vload4(0, tb + d * TILE + x * 4);
				s[0] = fma(va.xxxx, vb, s[0]);
				s[1] = fma(va.yyyy, vb, s[1]);
				s[2] = fma(va.zzzz, vb, s[2]);
				s[3] = fma(va.wwww, vb, s[3]);
			}
			barrier(CLK_LOCAL_MEM_FENCE);
		}
		for (int i = 0; i < 4; i++)
			t[i] += s[i];
	}
	for (int i = 0; i < 4; i++) {
		const int row = m0 + y * 4 + i;
		float v[4];
		vstore4(t[i], 0, v);
		for (int j = 0; j < 4; j++) {
			const int col = n0 + x * 4 + j;
			if (row >= m || col >= n)
				continue;
			if (finish)
				v[j] = fma(v[j] + (bias ? gemm_bias(bias, bias_type, bias_off + col) : 0), scale,
					add ? add[add_off + row * ld_add + col] : 0);
			c[row * ldc + col] = v[j];
		}
	}
}
