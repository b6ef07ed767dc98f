/* thin_bytes.cl: what thin_int8.cl and woven.cl need of a CPU: products of bytes summed exactly in 32-bit lanes, and a few moves. By assembly where there is
 * vpdpbusd; else by builtins of a compiler for AVX-512 or AVX2, whose vpmaddubsw adds two products in 16 bits with saturation: so codes of up to six
 * bits are added up there as far as they fit, and those of eight are multiplied as what they stand for. The sums are the same in all.
 * WIDE: of a vector register, by which columns are taken: more at once would be kept in memory. */
#if HAVE_VNNI || HAVE_AVX2
#define HAVE_BYTES 1
#define INLINE static __attribute__((always_inline))
#define UNROLL _Pragma("unroll")

#if HAVE_VNNI || defined __AVX512BW__
#define WIDE 16
#else
#define WIDE 8
#endif
typedef CAT(int, WIDE) ints;
typedef CAT(float, WIDE) floats;
typedef CAT(ushort, WIDE) halves;
#define AS_INTS CAT(as_int, WIDE)
#define AS_FLOATS CAT(as_float, WIDE)
#define TO_INTS CAT(convert_int, WIDE)
#define TO_FLOATS CAT(convert_float, WIDE)
/* No loop: in a large program PoCL's compiler leaves some as they are, and their words in memory. */
#define EIGHT(f) f(0) f(1) f(2) f(3) f(4) f(5) f(6) f(7)

#if HAVE_VNNI

/* acc + the products of bytes without and with sign, four to a lane. */
INLINE ints dot4(ints acc, ints u, ints s)
{
	__asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u), "v"(s));
	return acc;
}

/* start + the sum of codes less their zero times bytes with sign, four to each of n words: w in lanes, s for all lanes. `start` is what the
 * zero takes away; codes have so many bits, 6 at most or 8. */
INLINE ints dot_words(int start, const ints *w, const int *s, int n, int bits, int zero)
{
	ints sum = start;

#define ADD(i) if (i < n) __asm__("vpdpbusd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(w[i]), "m"(s[i]));
	EIGHT(ADD)
#undef ADD
	return sum;
}

/* Each byte's low four bits name a byte of its 16 in t; 0 where its highest is set. */
INLINE ints pick(ints t, ints i)
{
	__asm__("vpshufb %2, %1, %0" : "=v"(t) : "v"(t), "v"(i));
	return t;
}

/* Halves as floats. */
INLINE floats float_halves(halves h)
{
	floats f;

	__asm__("vcvtph2ps %1, %0" : "=v"(f) : "v"(h));
	return f;
}

#else

#define ASTYPE(v, type) __builtin_astype(v, type)
typedef char chars __attribute__((vector_size(4 * WIDE)));
typedef short shorts __attribute__((vector_size(4 * WIDE)));

#if WIDE == 16
#define BUILTIN(name) CAT(__builtin_ia32_##name, 512)
#define SIGNED(v, sign) ((sign) < 0 ? -(v) : (v))
#else
#define BUILTIN(name) CAT(__builtin_ia32_##name, 256)
#define SIGNED(v, sign) BUILTIN(psignb)(v, sign)
#endif

#define BYTE_PAIRS(u, s) BUILTIN(pmaddubsw)(ASTYPE(u, chars), ASTYPE(s, chars))
#define FOURS(v) ASTYPE(BUILTIN(pmaddwd)(v, ASTYPE((ints)0x00010001, shorts)), ints)

INLINE ints dot4(ints acc, ints u, ints s)
{
	return acc + FOURS(BYTE_PAIRS(u, s));
}

/* Codes whose pairs of products, `each` of them, fit 16 bits. */
INLINE ints dot_some(int start, const ints *w, const int *s, int n, int each)
{
	ints sum = start;
	shorts some;

#define ADD(i) \
	if (i < n) { \
		const shorts two = BYTE_PAIRS(w[i], (ints)s[i]); \
		some = i % each ? some + two : two; \
		if (i % each == each - 1 || i == n - 1) \
			sum += FOURS(some); \
	}
	EIGHT(ADD)
#undef ADD
	return sum;
}

/* Bytes less 128, which have a sign: it goes to s, which is never -128. */
INLINE ints dot_signed(ints v, int s)
{
	const chars c = ASTYPE(v ^ (int)0x80808080, chars), n = -c;

	return FOURS(BYTE_PAIRS(c > n ? c : n, SIGNED(ASTYPE((ints)s, chars), c)));
}

/* Bytes without: the highest bit goes apart. */
INLINE ints dot_unsigned(ints v, int s)
{
	return (dot4((ints)0, v >> 7 & 0x01010101, (ints)s) << 7) + dot4((ints)0, v & 0x7f7f7f7f, (ints)s);
}

INLINE ints dot_words(int start, const ints *w, const int *s, int n, int bits, int zero)
{
	ints sum = 0;

	if (bits < 8)
		return dot_some(start, w, s, n, bits == 6 ? 2 : bits == 5 ? 4 : 8);
#define ADD(i) if (i < n) sum += zero ? dot_signed(w[i], s[i]) : dot_unsigned(w[i], s[i]);
	EIGHT(ADD)
#undef ADD
	return sum;
}

INLINE ints pick(ints t, ints i)
{
	return ASTYPE(BUILTIN(pshufb)(ASTYPE(t, chars), ASTYPE(i, chars)), ints);
}

INLINE floats float_halves(halves h)
{
	typedef short eight __attribute__((vector_size(16)));

#if WIDE == 16
	return (float16)(ASTYPE(__builtin_ia32_vcvtph2ps256(ASTYPE(h.lo, eight)), float8), ASTYPE(__builtin_ia32_vcvtph2ps256(ASTYPE(h.hi, eight)), float8));
#else
	return ASTYPE(__builtin_ia32_vcvtph2ps256(ASTYPE(h, eight)), float8);
#endif
}

#endif
#endif
