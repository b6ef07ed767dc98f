//! use quant thin_bytes woven woven_bf16 gemm_bias gemm_tile gemm_walk gemm_pairs amx
/* gemm_bf16.cl: the product of lib/op/gemm.h for CPUs with instructions on pairs of bfloat16, summed in float32 (see
 * gemm_walk.cl, gemm_pairs.cl, gemm_bf16_pack.cl). Operands are rounded to bfloat16. Two variants:
 *   vdpbf16ps: the tile of B is [pair][NR]; MR 8, NV 3, KG 2. Twice the rate of float32 on a Zen 4; on Intel's CPUs half of it.
 *   AMX (with -DAMX): tiles of 16 x 16 words, 2 x 2 tiles of sums; MR 32, NV 2, KG 32. */

struct block {
	uint16 b[KC / 2 * NV], l[TAIL / 2 * NV];        /* [pair][NR] */
};

inline size_t packed_words(size_t values)
{
	return values / 2;
}

/* 32 values of B from element `at` on, as words. */
#if IS_BLOCK(TYPE_B)
inline uint16 words_b(__global const tb *b, long at)
{
	const float16 x = LOAD16(TYPE_B, b, at), y = LOAD16(TYPE_B, b, at + 16);

	return neighbours(x, y);
}
#else
#define words_b(b, at) CAT(words_, TYPE_B)((b) + (at))
#endif

/* The 16 elements from `low` and from `high` on, as words of one each. */
#define pairs_bf16(b, low, high) (convert_uint16(vload16(0, (b) + (low))) | convert_uint16(vload16(0, (b) + (high))) << 16)
#define pairs_others(b, low, high) words(LOAD16(TYPE_B, b, low), LOAD16(TYPE_B, b, high))
#define pairs_f32 pairs_others
#define pairs_f16 pairs_others
#if IS_BLOCK(TYPE_B)
#define pairs_b pairs_others
#else
#define pairs_b CAT(pairs_, TYPE_B)
#endif

/* The square of B at element `at` as words, r[pair], 16 columns each: of 32 k and 16 columns there are n x cols, zeros else. */
inline void square(uint16 *r, __global const tb *b, long at, long ldb, int n, int cols)
{
	float e[32 * 16];
	const bool all = n >= 32 && cols >= 16;

	if (!all)
		for (int i = 0; i < 32; i++)
			for (int j = 0; j < 16; j++) {
#ifdef B_TRANS
				e[j * 32 + i] = i < n && j < cols ? LOAD(TYPE_B, b, at + j * ldb + i) : 0;
#else
				e[i * 16 + j] = i < n && j < cols ? LOAD(TYPE_B, b, at + i * ldb + j) : 0;
#endif
			}
#ifdef B_TRANS
	UNROLL for (int j = 0; j < 16; j++)
		r[j] = all ? words_b(b, at + j * ldb) : words_f32(e + j * 32);
	turn_words(r);
#else
	UNROLL for (int j = 0; j < 16; j++)
		r[j] = all ? pairs_b(b, at + 2 * j * ldb, at + (2 * j + 1) * ldb) :
			words(vload16(2 * j, e), vload16(2 * j + 1, e));
#endif
}

#ifdef WOVEN
/* The same of woven B (woven.cl, woven_bf16.cl): 32 k from k on of 16 columns from `row` on. */
#if !IS_BLOCK(TYPE_B)
inline void square_woven(uint16 *r, __global const tb *b, long row, long ldb, int k)
{
	woven_pairs(r, (size_t)b + row / 16 * PACKED_GROUP(ldb), (int)ldb, k);
}
#else
inline void square_woven(uint16 *r, __global const tb *b, long row, long ldb, int k)
{
	float16 f[32];

	CAT(woven_, TYPE_B)(f, b, row, ldb, k);
	CAT(woven_, TYPE_B)(f + 16, b, row, ldb, k + 16);
	UNROLL for (int j = 0; j < 16; j++)
		r[j] = words(f[2 * j], f[2 * j + 1]);
}
#endif
#else
/* Fetches the square of B that comes `B_AHEAD` k later. */
#define B_AHEAD 128
inline void fetch_b(__global const tb *b, long at, long ldb)
{
#ifdef B_TRANS
	for (int j = 0; j < 16; j++)
		FETCH(AT(TYPE_B, b, at + j * ldb + B_AHEAD));
#else
	for (int j = 0; j < 32; j++)
		FETCH(AT(TYPE_B, b, at + (j + B_AHEAD) * ldb));
#endif
}
#endif

/* As words; KC is a multiple of 32. */
inline void take_b(struct block *t, __global const tb *b, long at, long ldb, int cols, int kc)
{
	for (int v = 0; v < NV; v++, cols -= 16)
		for (int i = 0; i < kc; i += 32) {
			uint16 r[16];
#ifdef WOVEN
			square_woven(r, b, at / ldb + (cols > 0 ? v * 16 : 0), ldb, (int)(at % ldb) + i);
#else
#ifdef B_TRANS
			const long p = at + v * 16 * ldb + i;
#else
			const long p = at + i * ldb + v * 16;
#endif
			fetch_b(b, p, ldb);
			square(r, b, p, ldb, kc - i, cols);
#endif
			UNROLL for (int j = 0; j < 16; j++)
				t->b[(i / 2 + j) * NV + v] = r[j];
		}
}

inline void take_l(struct block *t, const float *l, int r)
{
	for (int i = 0; i < (r + KG - 1) / KG * (KG / 2); i++)
		UNROLL for (int v = 0; v < NV; v++)
			t->l[i * NV + v] = words(vload16(0, l + 2 * i * NR + v * 16), vload16(0, l + (2 * i + 1) * NR + v * 16));
}

#ifdef AMX
inline void chains(vf *out, __global const uint *a, const struct block *t, int kc, __global const uint *h, int r)
{
	const uint16 *w = t->b;

	TILE_ZERO(0);
	TILE_ZERO(1);
	TILE_ZERO(2);
	TILE_ZERO(3);
	for (int part = 0; part < 2; part++, a = h, w = t->l, kc = r)
		for (int k = 0; k < kc; k += 32, a += 512, w += 16 * NV) {
			TILE_LOAD(4, a, 64);
			TILE_LOAD(5, a + 256, 64);
			TILE_LOAD(6, w, 64 * NV);
			TILE_LOAD(7, w + 1, 64 * NV);
			TILE_DOT(0, 4, 6);
			TILE_DOT(1, 4, 7);
			TILE_DOT(2, 5, 6);
			TILE_DOT(3, 5, 7);
		}
	TILE_STORE(0, out, 64 * NV);
	TILE_STORE(1, out + 1, 64 * NV);
	TILE_STORE(2, out + 16 * NV, 64 * NV);
	TILE_STORE(3, out + 16 * NV + 1, 64 * NV);
}
#else
inline void chains(vf *out, __global const uint *restrict a, const struct block *restrict t, int kc, __global const uint *restrict h, int r)
{
	const uint16 *restrict p = t->b;
	vf s[MR][NV];

	UNROLL for (int i = 0; i < MR; i++)
		UNROLL for (int v = 0; v < NV; v++)
			s[i][v] = 0;
	for (int part = 0; part < 2; part++, a = h, p = t->l, kc = r)
		for (int k = 0; k < (kc + 1) / 2; k++) {
			uint16 b[NV];
			UNROLL for (int v = 0; v < NV; v++)
				b[v] = p[k * NV + v];
			UNROLL for (int i = 0; i < MR; i++) {
				uint16 w = a[k * MR + i];
				UNROLL for (int v = 0; v < NV; v++)
					__asm__("vdpbf16ps %2, %1, %0" : "+v"(s[i][v]) : "v"(b[v]), "v"(w));
			}
		}
	UNROLL for (int i = 0; i < MR; i++)
		UNROLL for (int v = 0; v < NV; v++)
			out[i * NV + v] = s[i][v];
}
#endif

__kernel WG1 void gemm(GEMM_ARGS)
{
	struct block t;

	begin_tiles();
	walk(GEMM_PASSED, &t, get_global_id(0), get_global_id(1));
	end_tiles();
}
