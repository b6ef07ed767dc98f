/* quant.cl: weights in blocks (lib/quant/quant.h) as typed memory: what common.cl has for f32, f16 and bf16. Formats are
 * ggml's, but for nf4, fp4 and affine8 (lib/quant/own.c).
 *
 * Element i of a matrix is value i % BLOCK of block i / BLOCK, wherever its row begins: rows are whole blocks, so off and ld count
 * elements for every type. LOAD16(type, p, i) wants i to be a multiple of 16, LOAD8 of 8. What they give is lib/quant's float, bit for
 * bit: a scale times a code has at most 24 bits, so that only the last addition rounds, and fma is as good as two roundings.
 *
 * AT(type, p, i) is a pointer to element i; for blocks i must begin one. */
#define AT(type, p, i) CAT(at_, type)(p, i)
#define at_f32(p, i) ((p) + (i))
#define at_f16(p, i) ((p) + (i))
#define at_bf16(p, i) ((p) + (i))

/* Which format a kernel was built for: #if IS_BLOCK(TYPE_B). */
#define block_q4_0 32
#define block_q4_1 32
#define block_q5_0 32
#define block_q5_1 32
#define block_q8_0 32
#define block_iq4_nl 32
#define block_mxfp4 32
#define block_nf4 32
#define block_fp4 32
#define block_affine8 32
#define block_q2_k 256
#define block_q3_k 256
#define block_q4_k 256
#define block_q5_k 256
#define block_q6_k 256
#define block_iq4_xs 256
#define IS_BLOCK(type) (CAT(block_, type) > 0)

#define AT_BLOCK(p, i, n, bytes) ((p) + (i) / (n) * (bytes))
#define at_q4_0(p, i) AT_BLOCK(p, i, 32, 18)
#define at_q4_1(p, i) AT_BLOCK(p, i, 32, 20)
#define at_q5_0(p, i) AT_BLOCK(p, i, 32, 22)
#define at_q5_1(p, i) AT_BLOCK(p, i, 32, 24)
#define at_q8_0(p, i) AT_BLOCK(p, i, 32, 34)
#define at_iq4_nl(p, i) AT_BLOCK(p, i, 32, 18)
#define at_mxfp4(p, i) AT_BLOCK(p, i, 32, 17)
#define at_nf4(p, i) AT_BLOCK(p, i, 32, 20)
#define at_fp4(p, i) AT_BLOCK(p, i, 32, 20)
#define at_affine8(p, i) AT_BLOCK(p, i, 32, 36)
#define at_q2_k(p, i) AT_BLOCK(p, i, 256, 84)
#define at_q3_k(p, i) AT_BLOCK(p, i, 256, 110)
#define at_q4_k(p, i) AT_BLOCK(p, i, 256, 144)
#define at_q5_k(p, i) AT_BLOCK(p, i, 256, 176)
#define at_q6_k(p, i) AT_BLOCK(p, i, 256, 210)
#define at_iq4_xs(p, i) AT_BLOCK(p, i, 256, 136)

#define storage_q4_0 uchar
#define storage_q4_1 uchar
#define storage_q5_0 uchar
#define storage_q5_1 uchar
#define storage_q8_0 uchar
#define storage_iq4_nl uchar
#define storage_mxfp4 uchar
#define storage_nf4 uchar
#define storage_fp4 uchar
#define storage_affine8 uchar
#define storage_q2_k uchar
#define storage_q3_k uchar
#define storage_q4_k uchar
#define storage_q5_k uchar
#define storage_q6_k uchar
#define storage_iq4_xs uchar

typedef __global const uchar *block_t;

/* A scale at a place that may be odd in a mapped file. */
#if HAVE_AVX512 || HAVE_AVX2
typedef ushort block_any_ushort __attribute__((aligned(1)));
#define block_ushort(p) (*(__global const block_any_ushort *)(p))

/* vload_half would be a dozen instructions here. */
inline float block_half(block_t p)
{
#if HAVE_AVX512
	float4 f;

	__asm__("vcvtph2ps %1, %0" : "=v"(f) : "v"((uint4)(block_ushort(p), 0, 0, 0)));
	return f.x;
#else
	typedef short halves __attribute__((vector_size(16)));

	return __builtin_astype(__builtin_ia32_vcvtph2ps(__builtin_astype((uint4)(block_ushort(p), 0, 0, 0), halves)), float4).x;
#endif
}
#else
inline float block_half(block_t p)
{
	const ushort h = (ushort)(p[0] | p[1] << 8);

	return vload_half(0, (const half *)&h);
}
#endif

inline uint block_word(block_t p)
{
	return p[0] | (uint)p[1] << 8 | (uint)p[2] << 16 | (uint)p[3] << 24;
}

/* The scale and minimum, 6 bits each, of the j-th 32 values of Q4_K and Q5_K. */
inline uint2 block_scale_min(block_t s, int j)
{
	if (j < 4)
		return (uint2)(s[j] & 63, s[j + 4] & 63);
	return (uint2)((s[j + 4] & 15) | (s[j - 4] >> 6) << 4, (s[j + 4] >> 4) | (s[j] >> 6) << 4);
}

/* Scale j of Q3_K, 6 bits. */
inline int block_scale_q3(block_t s, int j)
{
	return (s[j & 7] >> (j / 8 * 4) & 15) | (s[8 + j % 4] >> (j / 4 * 2) & 3) << 4;
}

/* 2^(e − 128), subnormal ones included. */
inline float block_e8m0(uint e)
{
	return as_float(e < 2 ? 0x200000u << e : (e - 1) << 23);
}

__constant float block_iq4[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};
__constant float block_e2m1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};
/* bitsandbytes' */
__constant float block_map_nf4[16] = {-1.0f, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f,
	-0.18477343022823334f, -0.09105003625154495f, 0.0f, 0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f,
	0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1.0f};
__constant float block_map_fp4[16] = {0.0f, 0.0052083334885537624f, 0.6666666865348816f, 1.0f, 0.3333333432674408f, 0.5f, 0.1666666716337204f, 0.25f,
	0.0f, -0.0052083334885537624f, -0.6666666865348816f, -1.0f, -0.3333333432674408f, -0.5f, -0.1666666716337204f, -0.25f};

inline float block_pick_1(__constant float *t, uint q)
{
	return t[q];
}

inline float8 block_pick_8(__constant float *t, uint8 q)
{
	return (float8)(t[q.s0], t[q.s1], t[q.s2], t[q.s3], t[q.s4], t[q.s5], t[q.s6], t[q.s7]);
}

inline float16 block_pick_16(__constant float *t, uint16 q)
{
#if HAVE_AVX512
	float16 v;

	__asm__("vpermps %1, %2, %0" : "=v"(v) : "v"(vload16(0, t)), "v"(q));
	return v;
#else
	return (float16)(block_pick_8(t, q.lo), block_pick_8(t, q.hi));
#endif
}

#define block_bytes_1(p) ((uint)*(p))
#define block_bytes_8(p) convert_uint8(vload8(0, p))
#define block_bytes_16(p) convert_uint16(vload16(0, p))
#define block_chars_1(p) ((float)(char)*(p))
#define block_chars_8(p) convert_float8(as_char8(vload8(0, p)))
#define block_chars_16(p) convert_float16(as_char16(vload16(0, p)))
#define block_float_1(v) ((float)(int)(v))
#define block_float_8(v) convert_float8(as_int8(v))
#define block_float_16(v) convert_float16(as_int16(v))
#define block_lane_1 0u
#define block_lane_8 (uint8)(0, 1, 2, 3, 4, 5, 6, 7)
#define block_lane_16 (uint16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15)

/* V floats (U words) from element i on: N of them, 1, 8 or 16, i a multiple of N. */
#define DEFINE_BLOCK(N, V, U, load) \
inline V load##_q4_0(block_t p, long i) \
{ \
	const int r = (int)(i % 32); \
	p = at_q4_0(p, i); \
	const U q = block_bytes_##N(p + 2 + r % 16) >> (r / 16 * 4) & 15u; \
	return block_float_##N(q - 8u) * block_half(p); \
} \
inline V load##_q4_1(block_t p, long i) \
{ \
	const int r = (int)(i % 32); \
	p = at_q4_1(p, i); \
	const U q = block_bytes_##N(p + 4 + r % 16) >> (r / 16 * 4) & 15u; \
	return fma(block_float_##N(q), (V)block_half(p), (V)block_half(p + 2)); \
} \
inline V load##_q5_0(block_t p, long i) \
{ \
	const int r = (int)(i % 32); \
	p = at_q5_0(p, i); \
	const U q = (block_bytes_##N(p + 6 + r % 16) >> (r / 16 * 4) & 15u) | ((U)(block_word(p + 2) >> r) >> block_lane_##N & 1u) << 4; \
	return block_float_##N(q - 16u) * block_half(p); \
} \
inline V load##_q5_1(block_t p, long i) \
{ \
	const int r = (int)(i % 32); \
	p = at_q5_1(p, i); \
	const U q = (block_bytes_##N(p + 8 + r % 16) >> (r / 16 * 4) & 15u) | ((U)(block_word(p + 4) >> r) >> block_lane_##N & 1u) << 4; \
	return fma(block_float_##N(q), (V)block_half(p), (V)block_half(p + 2)); \
} \
inline V load##_q8_0(block_t p, long i) \
{ \
	p = at_q8_0(p, i); \
	return block_chars_##N(p + 2 + i % 32) * block_half(p); \
} \
inline V load##_iq4_nl(block_t p, long i) \
{ \
	const int r = (int)(i % 32); \
	p = at_iq4_nl(p, i); \
	return block_pick_##N(block_iq4, block_bytes_##N(p + 2 + r % 16) >> (r / 16 * 4) & 15u) * block_half(p); \
} \
inline V load##_mxfp4(block_t p, long i) \
{ \
	const int r = (int)(i % 32); \
	p = at_mxfp4(p, i); \
	return block_pick_##N(block_e2m1, block_bytes_##N(p + 1 + r % 16) >> (r / 16 * 4) & 15u) * block_e8m0(*p); \
} \
inline V load##_nf4(block_t p, long i) \
{ \
	const int r = (int)(i % 32); \
	p = at_nf4(p, i); \
	return block_pick_##N(block_map_nf4, block_bytes_##N(p + 4 + r % 16) >> (r / 16 * 4) & 15u) * as_float(block_word(p)); \
} \
inline V load##_fp4(block_t p, long i) \
{ \
	const int r = (int)(i % 32); \
	p = at_fp4(p, i); \
	return block_pick_##N(block_map_fp4, block_bytes_##N(p + 4 + r % 16) >> (r / 16 * 4) & 15u) * as_float(block_word(p)); \
} \
inline V load##_affine8(block_t p, long i) \
{ \
	p = at_affine8(p, i); \
	return fma(block_float_##N(block_bytes_##N(p + 4 + i % 32)), (V)block_half(p), (V)block_half(p + 2)); \
} \
inline V load##_q2_k(block_t p, long i) \
{ \
	const int r = (int)(i % 256), s = r / 16; \
	p = at_q2_k(p, i); \
	const U q = block_bytes_##N(p + 16 + r / 128 * 32 + r % 32) >> (r % 128 / 32 * 2) & 3u; \
	return fma(block_float_##N(q), (V)(block_half(p + 80) * (p[s] & 15)), (V)(-block_half(p + 82) * (p[s] >> 4))); \
} \
inline V load##_q3_k(block_t p, long i) \
{ \
	const int r = (int)(i % 256); \
	p = at_q3_k(p, i); \
	const U q = (block_bytes_##N(p + 32 + r / 128 * 32 + r % 32) >> (r % 128 / 32 * 2) & 3u) | \
		(block_bytes_##N(p + r % 32) >> (r / 32) & 1u) << 2; \
	return block_float_##N(q - 4u) * (block_half(p + 108) * (block_scale_q3(p + 96, r / 16) - 32)); \
} \
inline V load##_q4_k(block_t p, long i) \
{ \
	const int r = (int)(i % 256); \
	p = at_q4_k(p, i); \
	const uint2 s = block_scale_min(p + 4, r / 32); \
	const U q = block_bytes_##N(p + 16 + r / 64 * 32 + r % 32) >> (r % 64 / 32 * 4) & 15u; \
	return fma(block_float_##N(q), (V)(block_half(p) * s.x), (V)(-block_half(p + 2) * s.y)); \
} \
inline V load##_q5_k(block_t p, long i) \
{ \
	const int r = (int)(i % 256); \
	p = at_q5_k(p, i); \
	const uint2 s = block_scale_min(p + 4, r / 32); \
	const U q = (block_bytes_##N(p + 48 + r / 64 * 32 + r % 32) >> (r % 64 / 32 * 4) & 15u) | \
		(block_bytes_##N(p + 16 + r % 32) >> (r / 32) & 1u) << 4; \
	return fma(block_float_##N(q), (V)(block_half(p) * s.x), (V)(-block_half(p + 2) * s.y)); \
} \
inline V load##_q6_k(block_t p, long i) \
{ \
	const int r = (int)(i % 256), h = r / 128, g = r % 128 / 32; \
	p = at_q6_k(p, i); \
	const U q = (block_bytes_##N(p + 64 * h + 32 * (g & 1) + r % 32) >> (g / 2 * 4) & 15u) | \
		(block_bytes_##N(p + 128 + 32 * h + r % 32) >> (2 * g) & 3u) << 4; \
	return block_float_##N(q - 32u) * (block_half(p + 208) * (char)p[192 + r / 16]); \
} \
inline V load##_iq4_xs(block_t p, long i) \
{ \
	const int r = (int)(i % 256), j = r / 32; \
	p = at_iq4_xs(p, i); \
	const int s = (p[4 + j / 2] >> (j % 2 * 4) & 15) | ((p[2] | p[3] << 8) >> (2 * j) & 3) << 4; \
	return block_pick_##N(block_iq4, block_bytes_##N(p + 8 + 16 * j + r % 16) >> (r % 32 / 16 * 4) & 15u) * (block_half(p) * (s - 32)); \
}
DEFINE_BLOCK(1, float, uint, load)
DEFINE_BLOCK(8, float8, uint8, load8)
DEFINE_BLOCK(16, float16, uint16, load16)
