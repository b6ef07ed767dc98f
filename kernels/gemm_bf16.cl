//! use gemm_bias gemm_tile
/* gemm_bf16.cl: the product of lib/op/gemm.h for CPUs with instructions on pairs of bfloat16, summed in float32 (see
 * gemm_tile.cl). Operands are rounded to bfloat16, to the nearest even. A pair of k lies in one 32-bit word, the lower k in the
 * lower half. Two variants:
 *   vdpbf16ps: packed A is [panel of 8][pair][8], the tile of B [pair][NR]. MR 8, NV 3, KG 2. Measured on 2 cores of a Zen 4,
 *       512 x 2048 x 2048: see the bench. On Intel's CPUs it runs at half the rate of float32 and is not used.
 *   AMX (with -DAMX): packed A is [panel of 32][32 k][2 x 16 rows][16 pairs], tiles of 16 x 16 words; 2 x 2 tiles of sums.
 *       MR 32, NV 2, KG 32. */
#define WORD(low, high) (((low) >> 16) | ((high) & 0xffff0000u))

/* The bits of a float32, rounded so that the upper half is the bfloat16. */
inline uint16 rounded(float16 v)
{
	uint16 u = as_uint16(v);

	return u + 0x7fffu + ((u >> 16) & 1u);
}

/* 32 values as 16 pairs: 0, 1; 2, 3; .. */
inline uint16 pairs(float16 a, float16 b)
{
	return WORD(rounded((float16)(a.even, b.even)), rounded((float16)(a.odd, b.odd)));
}

/* 32 values of memory as pairs. */
#define pairs_f32(p) pairs(vload16(0, p), vload16(1, p))
#define pairs_f16(p) pairs(vload_half16(0, p), vload_half16(1, p))
#define pairs_bf16(p) ((uint16)(as_uint8(vload16(0, p)), as_uint8(vload16(1, p))))

/* n (0 .. 32) values of A from p as pairs, zeros behind them. */
inline uint16 pairs_a(__global const float *p, int n, float alpha)
{
	return pairs(load_a(p, n) * alpha, load_a(p + 16, n - 16) * alpha);
}

inline uint16 pairs_b(__global const tb *p, int n)
{
	if (n >= 32)
		return CAT(pairs_, TYPE_B)(p);
	return pairs(load_b(p, n), load_b(p + 16, n - 16));
}

/* alpha * A into panels; work-item (16 rows, stretch of `step` k of one period), as gemm_pack of gemm_cpu.cl. */
__kernel WG1 void gemm_pack(__global uint *restrict out, long out_off, __global const float *restrict a, long a_off, long lda,
	int m, int k, int period, float alpha, int a_trans, int step, __global const int *live, long live_off)
{
	const int m0 = get_global_id(0) * 16, rows = clamp(m - m0, 0, 16), steps = (period + step - 1) / step;
	const int from = (int)get_global_id(1) / steps * period;
	const int k0 = from + (int)get_global_id(1) % steps * step, k1 = min(min(k, from + period), k0 + step);
	const size_t row = packed_row(k, period);
#ifdef AMX
	__global uint *q = out + out_off + (m0 / 32 * row + packed_k(k0, period)) * 16 + m0 / 16 % 2 * 256;
#else
	__global uint *lo = out + out_off + (m0 * row + packed_k(k0, period) * 8) / 2, *hi = lo + row * 4;
#endif

	if (live && m0 < m && !live[live_off + m0 / 16])
		return;
	for (int i = k0; i < k1; i += 32) {
		vf r[16];
		int n = min(32, k1 - i);
		if (a_trans) {
			__global const float *p = a + a_off + i * lda + m0;
			UNROLL for (int j = 0; j < 16; j++, p += 2 * lda) {
				float16 low = 2 * j < n ? load_a(p, rows) * alpha : (float16)0;
				float16 high = 2 * j + 1 < n ? load_a(p + lda, rows) * alpha : (float16)0;
				r[j] = as_float16(WORD(rounded(low), rounded(high)));
			}
		} else {
			__global const float *p = a + a_off + m0 * lda + i;
			UNROLL for (int j = 0; j < 16; j++)
				r[j] = j < rows ? as_float16(pairs_a(p + j * lda, n, alpha)) : (float16)0;
		}
#ifdef AMX
		if (a_trans)
			turn(r);
		UNROLL for (int j = 0; j < 16; j++)
			vstore16(as_uint16(r[j]), j, q);
		q += 512;
#else
		if (!a_trans)
			turn(r);
		for (int j = 0; 2 * j < n; j++, lo += 8, hi += 8) {
			vstore8(as_uint16(r[j]).lo, 0, lo);
			vstore8(as_uint16(r[j]).hi, 0, hi);
		}
#endif
	}
}

/* A block of B, kc x cols, as pairs into the tile; zeros up to a multiple of KG. */
inline void widen(uint16 *t, __global const tb *b, long ldb, int cols, int kc)
{
#ifdef B_TRANS
	UNROLL for (int v = 0; v < NV; v++, cols -= 16, b += 16 * ldb)
		for (int i = 0; i < kc; i += 32) {
			vf r[16];
			UNROLL for (int j = 0; j < 16; j++)
				r[j] = j < cols ? as_float16(pairs_b(b + j * ldb + i, kc - i)) : (float16)0;
			turn(r);
			UNROLL for (int j = 0; j < 16; j++)
				t[(i / 2 + j) * NV + v] = as_uint16(r[j]);
		}
#else
	for (int i = 0; i < (kc + KG - 1) / KG * KG; i += 2)
		UNROLL for (int v = 0; v < NV; v++) {
			__global const tb *p = b + i * ldb + v * 16;
			uint16 low = i < kc ? rounded(load_b(p, cols - v * 16)) : (uint16)0;
			uint16 high = i + 1 < kc ? rounded(load_b(p + ldb, cols - v * 16)) : (uint16)0;
			t[i / 2 * NV + v] = WORD(low, high);
		}
#endif
}

#ifdef AMX
struct tile_shape {
	uchar palette, start, reserved[14];
	ushort bytes[16];
	uchar rows[16];
};

#define TILE_LOAD(t, p, stride) \
	__asm__ volatile("tileloadd (%0,%1,1), %%tmm" #t :: "r"((size_t)(p)), "r"((size_t)(stride)) : "memory")
#define TILE_STORE(t, p, stride) \
	__asm__ volatile("tilestored %%tmm" #t ", (%0,%1,1)" :: "r"((size_t)(p)), "r"((size_t)(stride)) : "memory")
#define TILE_ZERO(t) __asm__ volatile("tilezero %%tmm" #t ::)
#define TILE_DOT(c, a, b) __asm__ volatile("tdpbf16ps %%tmm" #b ", %%tmm" #a ", %%tmm" #c ::)

/* Eight tiles of 16 rows of 64 bytes. The shape belongs to the thread: it is set in every work-item and given back. */
inline void begin_tiles(void)
{
	struct tile_shape s;

	s.palette = 1;
	s.start = 0;
	for (int i = 0; i < 14; i++)
		s.reserved[i] = 0;
	for (int i = 0; i < 16; i++) {
		s.bytes[i] = i < 8 ? 64 : 0;
		s.rows[i] = i < 8 ? 16 : 0;
	}
	__asm__ volatile("ldtilecfg (%0)" :: "r"((size_t)&s) : "memory");
}

inline void end_tiles(void)
{
	__asm__ volatile("tilerelease" ::);
}

inline void chains(vf s[MR][NV], __global const uint *a, const uint16 *t, int kc)
{
	TILE_ZERO(0);
	TILE_ZERO(1);
	TILE_ZERO(2);
	TILE_ZERO(3);
	for (int k = 0; k < kc; k += 32, a += 512, t += 16 * NV) {
		TILE_LOAD(4, a, 64);
		TILE_LOAD(5, a + 256, 64);
		TILE_LOAD(6, t, 64 * NV);
		TILE_LOAD(7, t + 1, 64 * NV);
		TILE_DOT(0, 4, 6);
		TILE_DOT(1, 4, 7);
		TILE_DOT(2, 5, 6);
		TILE_DOT(3, 5, 7);
	}
	TILE_STORE(0, &s[0][0], 64 * NV);
	TILE_STORE(1, &s[0][1], 64 * NV);
	TILE_STORE(2, &s[16][0], 64 * NV);
	TILE_STORE(3, &s[16][1], 64 * NV);
}
#else
inline void begin_tiles(void)
{
}

inline void end_tiles(void)
{
}

inline void chains(vf out[MR][NV], __global const uint *restrict a, const uint16 *restrict t, int kc)
{
	vf s[MR][NV];           /* apart from `out`: registers even where this is not inlined */

	UNROLL for (int i = 0; i < MR; i++)
		UNROLL for (int v = 0; v < NV; v++)
			s[i][v] = 0;
	for (int k = 0; k < (kc + 1) / 2; k++) {
		uint16 b[NV];
		UNROLL for (int v = 0; v < NV; v++)
			b[v] = t[k * NV + v];
		UNROLL for (int i = 0; i < MR; i++) {
			uint16 w = a[k * MR + i];
			UNROLL for (int v = 0; v < NV; v++)
				__asm__("vdpbf16ps %2, %1, %0" : "+v"(s[i][v]) : "v"(b[v]), "v"(w));
		}
	}
	UNROLL for (int i = 0; i < MR; i++)
		UNROLL for (int v = 0; v < NV; v++)
			out[i][v] = s[i][v];
}
#endif

/* As gemm of gemm_cpu.cl. */
__kernel WG1 void gemm(__global float *restrict c, long c_off, long ldc, __global const uint *restrict a, long a_off,
	__global const tb *restrict b, long b_off, long ldb, int m, int n, int k, int period, int panels, int acc,
	__global const int *live, long live_off, int finish, __global const uchar *bias, long bias_off, int bias_type, float scale,
	__global const float *add, long add_off, long ld_add)
{
	const int n0 = get_global_id(0) * NR, cols = min(NR, n - n0);
	const int p0 = get_global_id(1) * panels, p1 = min((m + MR - 1) / MR, p0 + panels);
	const size_t row = packed_row(k, period);
	struct finish f;
	uint16 t[KC / 2 * NV];

	a += a_off;
	b += b_off;
	c += c_off + n0;
	begin_finish(&f, bias, bias_off, bias_type, scale, add, add_off, ld_add, n0, cols);
	begin_tiles();
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
			chains(s, a + (p * row + packed_k(k0, period)) * MR / 2, t, dead ? 0 : kc);
			put(c, ldc, p * MR, s, min(MR, m - p * MR), cols, acc, finish && k0 + kc == k ? &f : 0);
		}
	}
	end_tiles();
}
