/* gemm_pairs.cl: pairs of bfloat16 for gemm_bf16.cl: two neighbours in k in one 32-bit word, the lower k in the lower half. Float32
 * is rounded to the nearest even. */

#if HAVE_BF16
/* Words of the neighbours in a, then of those in b. */
inline uint16 neighbours(float16 a, float16 b)
{
	return both_rounded(a, b);
}

/* Words from the values for the lower and the upper half. */
inline uint16 words(float16 low, float16 high)
{
	const uint16 r = both_rounded(low, high);

	return convert_uint16(as_ushort16(r.lo)) | convert_uint16(as_ushort16(r.hi)) << 16;
}
#else
/* The bits of float32, rounded so that the upper half is the bfloat16. */
inline uint16 rounded(float16 v)
{
	const uint16 u = as_uint16(v);

	return u + 0x7fffu + ((u >> 16) & 1u);
}

inline uint16 words(float16 low, float16 high)
{
	return (rounded(low) >> 16) | (rounded(high) & 0xffff0000u);
}

inline uint16 neighbours(float16 a, float16 b)
{
	return words((float16)(a.even, b.even), (float16)(a.odd, b.odd));
}
#endif

/* 32 values of memory as words. */
#define words_f32(p) neighbours(vload16(0, p), vload16(1, p))
#define words_f16(p) neighbours(vload_half16(0, p), vload_half16(1, p))
#define words_bf16(p) ((uint16)(as_uint8(vload16(0, p)), as_uint8(vload16(1, p))))
