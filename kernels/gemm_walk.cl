/* gemm_walk.cl: how a work-item of the product of lib/op/gemm.h goes through its columns of B and its panels of A (see gemm_tile.cl). What differs by
 * the kind of arithmetic is in gemm_cpu.cl, gemm_bf16.cl and gemm_int16.cl, each of which defines what is declared here. */
#define TAIL 64                 // most columns of H

/* A block of B and all of L, as the chains take them. */
struct block;

/* The block of B at element `at`, kc x cols. */
void take_b(struct block *t, __global const tb *b, long at, long ldb, int cols, int kc);

/* L, l[k][NR], of whose k there are r, and zeros up to a multiple of KG. */
void take_l(struct block *t, const float *l, int r);

/* out = the chains of one panel of A, kc long, with the block of B, each going on over r k of a panel of H with L. */
void chains(vf *out, __global const uint *a, const struct block *t, int kc, __global const uint *h, int r);

/* Words of so many values of packed A. */
size_t packed_words(size_t values);

/* c: C at the work-item's first row and column (0, 0). h_off: where packed H begins in a; r: its columns, 0 where there is none; L is (r, n), or (n, r). */
#define GEMM_ARGS __global STORAGE(TYPE_C) *restrict c, long c_off, long ldc, __global const uint *restrict a, long a_off, long h_off, \
	__global const tb *restrict b, long b_off, long ldb, int m, int n, int k, int period, int panels, int acc, __global const float *l, \
	long l_off, long ldl, int l_trans, int r, __global const int *live, long live_off, int finish, __global const uchar *bias, long bias_off, \
	int bias_type, float scale, __global const float *add, long add_off, long ld_add
#define GEMM_PASSED c, c_off, ldc, a, a_off, h_off, b, b_off, ldb, m, n, k, period, panels, acc, l, l_off, ldl, l_trans, r, live, live_off, finish, \
	bias, bias_off, bias_type, scale, add, add_off, ld_add

/* The columns n0 .. of L. */
inline void widen_l(struct block *t, __global const float *l, long ldl, int l_trans, int r, int cols)
{
	float f[TAIL * NR];

	for (int k = 0; k < (r + KG - 1) / KG * KG; k++)
		for (int j = 0; j < NR; j++)
			f[k * NR + j] = k < r && j < cols ? l[l_trans ? j * ldl + k : k * ldl + j] : 0;
	take_l(t, f, r);
}

/* Work-item (NR columns, `panels` panels). Panels without a live row are not computed: they are zero unless added to. */
APART void walk(GEMM_ARGS, struct block *t, int item0, int item1)
{
	const int n0 = item0 * NR, cols = min(NR, n - n0);
	const int p0 = item1 * panels, p1 = min((m + MR - 1) / MR, p0 + panels);
	const size_t row = packed_words(packed_row(k, period) * MR), h_row = r ? packed_words(packed_row(r, r) * MR) : 0;
	struct finish f;
	vf s[MR * NV];

	c += c_off + n0;
	if (finish)
		begin_finish(&f, bias, bias_off, bias_type, scale, add, add_off, ld_add, n0, cols);
	if (r)
		widen_l(t, l + l_off + n0 * (l_trans ? ldl : 1), ldl, l_trans, r, cols);
	for (int k0 = 0, kc; k0 < k; k0 += kc, acc = 1) {
		kc = min(min(KC, k - k0), period - k0 % period);
		const bool last = k0 + kc == k;
		const int tail = last ? r : 0;
#ifdef B_TRANS
		take_b(t, b, b_off + n0 * ldb + k0, ldb, cols, kc);
#else
		take_b(t, b, b_off + k0 * ldb + n0, ldb, cols, kc);
#endif
		for (int p = p0; p < p1; p++) {
			const bool dead = is_dead(live, live_off, p, m);
			if (dead && acc && !finish)
				continue;
			for (int i = 0; i < MR; i++)             // what the sums are written to is there when they are
				for (int j = 0; j < NR; j += 16)
					FETCH(c + ((long)p * MR + i) * ldc + j);
			chains(s, a + a_off + p * row + packed_words(packed_k(k0, period) * MR), t, dead ? 0 : kc, a + h_off + p * h_row, dead ? 0 : tail);
			put(c, ldc, p * MR, s, min(MR, m - p * MR), cols, acc, finish && last ? &f : 0);
		}
	}
}
