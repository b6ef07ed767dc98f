/* gemm_int14.cl: 32 values as whole numbers of 14 bits and a scale, for gemm_int16.cl and its packed A: the largest magnitude is 8191, so that a
 * sum of 32 products fits 32 bits. Two neighbours in k are a word, the lower k in the lower half. */
#define GROUP 32
#define WORDS (GROUP / 2 + 1)   // of a group, and its scale

typedef CAT(int, VL) vi;
#define AS_VI CAT(as_int, VL)
#define AS_VF CAT(as_float, VL)

/* Lanes of f[k] to w[k / 2]; their scales. What is no number makes the scale none. */
inline vf integers(vi *w, const vf *f)
{
	vi m = 0;

	UNROLL for (int k = 0; k < GROUP; k++)
		m = max(m, AS_VI(f[k]) & 0x7fffffff);
	const vf most = AS_VF(m), to = select((vf)0, 8191 / most, most > 0);
	UNROLL for (int i = 0; i < GROUP / 2; i++) {
		/* 1.5 · 2²³ added, the low bits are what the value rounds to */
		const vi low = AS_VI(fma(f[2 * i], to, (vf)12582912.0f)), high = AS_VI(fma(f[2 * i + 1], to, (vf)12582912.0f));
		w[i] = (low & 0xffff) | high << 16;
	}
	return most * (1.0f / 8191);
}
