/* gemm_tile.cl: what the CPU variants of the product of lib/op/gemm.h share. A work-item takes NR columns of B and some
 * panels of A, MR rows each, packed beforehand. It goes through k in blocks: it puts its block of B into a private tile
 * [k][NR], and multiplies every panel with it, MR x NR sums being held in registers. The sums of a block are one chain over
 * its k from zero, then added to C; so the bits of an element depend on its row, its column and the blocks of k alone, and
 * tiles at the edge, padded by zeros, make no difference. Blocks begin anew at each `period` of k, where packed A is padded
 * to a multiple of KG. */
#ifndef VL
#define VL 16                   // floats of a vector
#define NV 3                    // vectors of a row of the tile
#define MR 8                    // rows of a panel
#define KG 1                    // k of packed A is padded to a multiple of this
#define KC 256                  // largest block of k
#endif
#ifndef TYPE_B
#define TYPE_B f32
#endif
#ifndef TYPE_C
#define TYPE_C f32              // of C; another only where all of k is one block
#endif
#define NR (NV * VL)
#define UNROLL _Pragma("unroll")

typedef CAT(float, VL) vf;
typedef STORAGE(TYPE_B) tb;

#define VLOAD(type, p, i) CAT(LOAD, VL)(type, p, i)
#define VSTORE(type, p, i, v) CAT(STORE, VL)(type, p, i, v)
#if VL == 16
#define VSTORE_HALF(p, v) vstore8(v, 0, p)
#else
#define VSTORE_HALF(p, v) vstore4(v, 0, p)
#endif

/* Turns a square of VL x VL around. */
inline void turn(vf *r)
{
	vf t[VL];
#if VL == 16
	UNROLL for (int i = 0; i < 16; i += 2) {
		t[i] = shuffle2(r[i], r[i + 1], (uint16)(0, 16, 2, 18, 4, 20, 6, 22, 8, 24, 10, 26, 12, 28, 14, 30));
		t[i + 1] = shuffle2(r[i], r[i + 1], (uint16)(1, 17, 3, 19, 5, 21, 7, 23, 9, 25, 11, 27, 13, 29, 15, 31));
	}
	UNROLL for (int i = 0; i < 16; i += 4)
		UNROLL for (int j = i; j < i + 2; j++) {
			r[j] = shuffle2(t[j], t[j + 2], (uint16)(0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29));
			r[j + 2] = shuffle2(t[j], t[j + 2], (uint16)(2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31));
		}
	UNROLL for (int i = 0; i < 16; i += 8)
		UNROLL for (int j = i; j < i + 4; j++) {
			t[j] = shuffle2(r[j], r[j + 4], (uint16)(0, 1, 2, 3, 16, 17, 18, 19, 8, 9, 10, 11, 24, 25, 26, 27));
			t[j + 4] = shuffle2(r[j], r[j + 4], (uint16)(4, 5, 6, 7, 20, 21, 22, 23, 12, 13, 14, 15, 28, 29, 30, 31));
		}
	UNROLL for (int j = 0; j < 8; j++) {
		r[j] = (float16)(t[j].lo, t[j + 8].lo);
		r[j + 8] = (float16)(t[j].hi, t[j + 8].hi);
	}
#else
	UNROLL for (int i = 0; i < 8; i += 2) {
		t[i] = shuffle2(r[i], r[i + 1], (uint8)(0, 8, 2, 10, 4, 12, 6, 14));
		t[i + 1] = shuffle2(r[i], r[i + 1], (uint8)(1, 9, 3, 11, 5, 13, 7, 15));
	}
	UNROLL for (int i = 0; i < 8; i += 4)
		UNROLL for (int j = i; j < i + 2; j++) {
			r[j] = shuffle2(t[j], t[j + 2], (uint8)(0, 1, 8, 9, 4, 5, 12, 13));
			r[j + 2] = shuffle2(t[j], t[j + 2], (uint8)(2, 3, 10, 11, 6, 7, 14, 15));
		}
	UNROLL for (int j = 0; j < 4; j++) {
		t[j] = (float8)(r[j].lo, r[j + 4].lo);
		t[j + 4] = (float8)(r[j].hi, r[j + 4].hi);
	}
	UNROLL for (int j = 0; j < 8; j++)
		r[j] = t[j];
#endif
}

#if VL == 16
inline void turn_words(uint16 *r)
{
	vf t[16];

	UNROLL for (int j = 0; j < 16; j++)
		t[j] = as_float16(r[j]);
	turn(t);
	UNROLL for (int j = 0; j < 16; j++)
		r[j] = as_uint16(t[j]);
}
#endif

/* Where k lies in a row of packed A, in values. */
inline size_t packed_k(int k, int period)
{
	return (size_t)(k / period) * ((period + KG - 1) / KG * KG) + k % period;
}

/* Values in a row of packed A. */
inline size_t packed_row(int k, int period)
{
	return packed_k((k - 1) / period * period, period) + (period + KG - 1) / KG * KG;
}

/* Whether none of the rows of panel p is wanted. */
inline bool is_dead(__global const int *live, long live_off, int p, int m)
{
	if (!live)
		return false;
	for (int g = p * MR / 16; g * 16 < min(m, p * MR + MR); g++)
		if (live[live_off + g])
			return false;
	return true;
}

/* What is done to C after its last block: C = scale * (C + bias) + add. */
struct finish {
	vf bias[NV];
	float scale;
	__global const float *add;      /* at the work-item's first column; NULL: none */
	long ld_add;
};

/* bias is of the type with that number in lib/base/dtype.h, or NULL. */
inline void begin_finish(struct finish *f, __global const uchar *bias, long bias_off, int bias_type, float scale,
	__global const float *add, long add_off, long ld_add, int n0, int cols)
{
	float v[NR];

	for (int j = 0; j < NR; j++)
		v[j] = bias && j < cols ? gemm_bias(bias, bias_type, bias_off + n0 + j) : 0;
	UNROLL for (int j = 0; j < NV; j++)
		f->bias[j] = VLOAD(f32, v, j * VL);
	f->scale = scale;
	f->add = add ? add + add_off + n0 : 0;
	f->ld_add = ld_add;
}

/* Puts the sums of a block into rows x cols of C: added where `acc`; finished where f is given. The sums go through memory, so that
 * their rows need no code each. */
inline void put(__global STORAGE(TYPE_C) *c, long ldc, int row, const vf *s, int rows, int cols, int acc, const struct finish *f)
{
	c += row * ldc;
	if (cols == NR) {
		for (int i = 0; i < rows; i++, c += ldc)
			UNROLL for (int j = 0; j < NV; j++) {
				vf v = acc ? VLOAD(TYPE_C, c, j * VL) + s[i * NV + j] : s[i * NV + j];
				if (f) {
					vf z = f->add ? VLOAD(f32, f->add, (row + i) * f->ld_add + j * VL) : (vf)0;
					v = fma(v + f->bias[j], (vf)f->scale, z);
				}
				VSTORE(TYPE_C, c, j * VL, v);
			}
		return;
	}
	for (int i = 0; i < rows; i++, c += ldc)
		for (int j = 0; j < cols; j++) {
			float v = ((const float *)s)[i * NR + j];
			if (acc)
				v = LOAD(TYPE_C, c, j) + v;
			if (f)
				v = fma(v + ((const float *)f->bias)[j], f->scale, f->add ? f->add[(row + i) * f->ld_add + j] : 0);
			STORE(TYPE_C, c, j, v);
		}
}
