/* thin_bytes.cl: what thin_int8.cl and woven.cl need of a CPU: products of bytes summed exactly in 32-bit lanes, and a few moves. By assembly where there is
 * vpdpbusd; else by builtins of a compiler for AVX-512 or AVX2, whose vpmaddubsw adds two products in 16 bits with saturation: so codes of up to six
 * bits are added up there as far as they fit, and those of eight are multiplied as what they stand for. The sums are the same in all. */
#if HAVE_VNNI || HAVE_AVX2
#define HAVE_BYTES 1
#define INLINE static __attribute__((always_inline))
#define UNROLL _Pragma("unroll")

#if HAVE_VNNI

/* acc + the products of bytes without and with sign, four to a lane. */
INLINE int16 dot4(int16 acc, int16 u, int16 s)
{
	__asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u), "v"(s));
	return acc;
}

/* start + the sum of codes less their zero times bytes with sign, four to each of n words: w in lanes, s for all lanes. `start` is what the
 * zero takes away; codes have so many bits, 6 at most or 8. */
INLINE int16 dot_words(int start, const int16 *w, const int *s, int n, int bits, int zero)
{
	int16 sum = start;

	UNROLL for (int i = 0; i < n; i++)
		__asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(w[i]), "m"(s[i]));
	return sum;
}

/* Each byte's low four bits name a byte of its 16 in t; 0 where its highest is set. */
INLINE int16 pick(int16 t, int16 i)
{
	__asm__("vpshufb %2, %1, %0" : "=v"(t) : "v"(t), "v"(i));
	return t;
}

/* Halves as floats. */
INLINE float16 float_halves(ushort16 h)
{
	float16 f;

	__asm__("vcvtph2ps %1, %0" : "=v"(f) : "v"(h));
	return f;
}

#else

#define ASTYPE(v, type) __builtin_astype(v, type)

#ifdef __AVX512BW__
#define PIECE_BITS 512
#define PIECES 1
typedef int16 piece;
#define PIECE(v, i) (v)
#define WHOLE(f, ...) f(0, __VA_ARGS__)
#define SIGNED(v, sign) ((sign) < 0 ? -(v) : (v))
#else
#define PIECE_BITS 256
#define PIECES 2
typedef int8 piece;
#define PIECE(v, i) ((i) ? (v).hi : (v).lo)
#define WHOLE(f, ...) (int16)(f(0, __VA_ARGS__), f(1, __VA_ARGS__))
#define SIGNED(v, sign) __builtin_ia32_psignb256(v, sign)
#endif

typedef char chars __attribute__((vector_size(PIECE_BITS / 8)));
typedef short shorts __attribute__((vector_size(PIECE_BITS / 8)));
#define BYTE_PAIRS(u, s) CAT(__builtin_ia32_pmaddubsw, PIECE_BITS)(ASTYPE(u, chars), ASTYPE(s, chars))
#define FOURS(v) ASTYPE(CAT(__builtin_ia32_pmaddwd, PIECE_BITS)(v, ASTYPE((piece)0x00010001, shorts)), piece)
#define PICK(t, i) ASTYPE(CAT(__builtin_ia32_pshufb, PIECE_BITS)(ASTYPE(t, chars), ASTYPE(i, chars)), piece)

/* Piece number `part` of vectors. */
INLINE piece dot4_part(int part, int16 u, int16 s)
{
	return FOURS(BYTE_PAIRS(PIECE(u, part), PIECE(s, part)));
}

INLINE piece pick_part(int part, int16 t, int16 i)
{
	return PICK(PIECE(t, part), PIECE(i, part));
}

/* n words of codes whose pairs of products, n of them, fit 16 bits. */
INLINE piece few_part(int part, const int16 *w, const int *s, int n)
{
	shorts sum = BYTE_PAIRS(PIECE(w[0], part), (piece)s[0]);

	UNROLL for (int i = 1; i < n; i++)
		sum += BYTE_PAIRS(PIECE(w[i], part), (piece)s[i]);
	return FOURS(sum);
}

/* Bytes with sign: the sign of v goes to s, which is never -128. */
INLINE piece signed_part(int part, int16 v, int s)
{
	const chars c = ASTYPE(PIECE(v, part), chars), n = -c;

	return FOURS(BYTE_PAIRS(c > n ? c : n, SIGNED(ASTYPE((piece)s, chars), c)));
}

INLINE int16 dot4(int16 acc, int16 u, int16 s)
{
	return acc + WHOLE(dot4_part, u, s);
}

INLINE int16 dot_words(int start, const int16 *w, const int *s, int n, int bits, int zero)
{
	const int each = bits == 8 ? 1 : bits == 6 ? 2 : bits == 5 ? 4 : 8;
	int16 sum = bits < 8 ? start : 0;

	UNROLL for (int i = 0; i < n; i += each)
		if (bits < 8)
			sum += WHOLE(few_part, w + i, s + i, min(each, n - i));
		else if (zero)  /* codes less 128 are bytes with sign */
			sum += WHOLE(signed_part, w[i] ^ (int)0x80808080, s[i]);
		else            /* the highest bit goes apart */
			sum += (dot4((int16)0, w[i] >> 7 & 0x01010101, (int16)s[i]) << 7) + WHOLE(dot4_part, w[i] & 0x7f7f7f7f, (int16)s[i]);
	return sum;
}

INLINE int16 pick(int16 t, int16 i)
{
	return WHOLE(pick_part, t, i);
}

INLINE float16 float_halves(ushort16 h)
{
	typedef short halves __attribute__((vector_size(16)));

	return (float16)(ASTYPE(__builtin_ia32_vcvtph2ps256(ASTYPE(h.lo, halves)), float8),
		ASTYPE(__builtin_ia32_vcvtph2ps256(ASTYPE(h.hi, halves)), float8));
}

#endif
#endif
