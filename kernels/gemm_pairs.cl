/* gemm_pairs.cl: pairs of bfloat16 for gemm_bf16.cl: two neighbours in k in one 32-bit word, the lower k in the lower half. Float32
 * is rounded to the nearest even. */

/* The bits of float32, rounded so that the upper half is the bfloat16. */
inline uint16 rounded(float16 v)
{
	const uint16 u = as_uint16(v);

	return u + 0x7fffu + ((u >> 16) & 1u);
}

/* Words from the values for the lower and the upper half. */
inline uint16 words(float16 low, float16 high)
{
	return (rounded(low) >> 16) | (rounded(high) & 0xffff0000u);
}

/* 32 values of memory as words. */
#define words_f32(p) words((float16)(vload16(0, p).even, vload16(1, p).even), (float16)(vload16(0, p).odd, vload16(1, p).odd))
#define words_f16(p) words((float16)(vload_half16(0, p).even, vload_half16(1, p).even), \
	(float16)(vload_half16(0, p).odd, vload_half16(1, p).odd))
#define words_bf16(p) ((uint16)(as_uint8(vload16(0, p)), as_uint8(vload16(1, p))))
