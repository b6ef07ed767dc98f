/* thin_bytes.cl: what thin_int8.cl needs of a CPU: products of bytes summed exactly in 32-bit lanes, and moves of lanes. By assembly where there is
 * vpdpbusd; else by builtins of a compiler for AVX-512 or AVX2, whose vpmaddubsw adds two products in 16 bits with saturation: so codes without
 * sign have seven bits there, and those of eight are multiplied as what they stand for. The sums are the same in all. */
#if HAVE_VNNI || HAVE_AVX2
#define HAVE_BYTES 1
#define INLINE inline __attribute__((always_inline))

#if HAVE_VNNI

/* acc + the products of bytes without and with sign, four to a lane. */
INLINE int16 dot4(int16 acc, int16 u, int16 s)
{
	__asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(u), "v"(s));
	return acc;
}

/* The same of two vectors, of codes less than 64. */
INLINE int16 dot8(int16 acc, int16 u, int16 s, int16 v, int16 t)
{
	return dot4(dot4(acc, u, s), v, t);
}

/* Codes of at most `bits` bits with a zero, 0 or (of eight bits) 128 or another: `start` is what that takes away. */
#define dot_codes(bits, zero, start, codes, s) dot4((zero) ? (start) : (int16)0, codes, s)

/* Lanes i of v. */
INLINE float16 lanes(float16 v, int16 i)
{
	__asm__("vpermps %1, %2, %0" : "=v"(v) : "v"(v), "v"(i));
	return v;
}

/* Each byte's low four bits name a byte of its 16 in t; 0 where its highest is set. */
INLINE int16 pick(int16 t, int16 i)
{
	__asm__("vpshufb %2, %1, %0" : "=v"(t) : "v"(t), "v"(i));
	return t;
}

/* Halves as floats. */
INLINE float8 float_halves(ushort8 h)
{
	float8 f;

	__asm__("vcvtph2ps %1, %0" : "=v"(f) : "v"(h));
	return f;
}

#else

#define ASTYPE(v, type) __builtin_astype(v, type)

#ifdef __AVX512BW__
#define PIECE_BITS 512
typedef int16 piece;
#define SIGNED(v, sign) ((sign) < 0 ? -(v) : (v))
#define WHOLE_2(f, a, b) f(a, b)
#define WHOLE_4(f, a, b, c, d) f(a, b, c, d)
#else
#define PIECE_BITS 256
typedef int8 piece;
#define SIGNED(v, sign) __builtin_ia32_psignb256(v, sign)
#define WHOLE_2(f, a, b) (int16)(f((a).lo, (b).lo), f((a).hi, (b).hi))
#define WHOLE_4(f, a, b, c, d) (int16)(f((a).lo, (b).lo, (c).lo, (d).lo), f((a).hi, (b).hi, (c).hi, (d).hi))
#endif

typedef char chars __attribute__((vector_size(PIECE_BITS / 8)));
typedef short shorts __attribute__((vector_size(PIECE_BITS / 8)));
#define BYTE_PAIRS(u, s) CAT(__builtin_ia32_pmaddubsw, PIECE_BITS)(ASTYPE(u, chars), ASTYPE(s, chars))
#define FOURS(v) ASTYPE(CAT(__builtin_ia32_pmaddwd, PIECE_BITS)(v, ASTYPE((piece)0x00010001, shorts)), piece)
#define PICK(t, i) ASTYPE(CAT(__builtin_ia32_pshufb, PIECE_BITS)(ASTYPE(t, chars), ASTYPE(i, chars)), piece)

INLINE piece dot4_part(piece u, piece s)
{
	return FOURS(BYTE_PAIRS(u, s));
}

INLINE piece dot8_part(piece u, piece s, piece v, piece t)
{
	return FOURS(BYTE_PAIRS(u, s) + BYTE_PAIRS(v, t));
}

/* Bytes with sign: the sign of v goes to s, which is never -128. */
INLINE piece signed_part(piece v, piece s)
{
	const chars c = ASTYPE(v, chars), n = -c;

	return FOURS(BYTE_PAIRS(c > n ? c : n, SIGNED(ASTYPE(s, chars), c)));
}

INLINE piece pick_part(piece t, piece i)
{
	return PICK(t, i);
}

INLINE int16 dot4(int16 acc, int16 u, int16 s)
{
	return acc + WHOLE_2(dot4_part, u, s);
}

INLINE int16 dot8(int16 acc, int16 u, int16 s, int16 v, int16 t)
{
	return acc + WHOLE_4(dot8_part, u, s, v, t);
}

INLINE int16 dot_signed(int16 v, int16 s)
{
	return WHOLE_2(signed_part, v, s);
}

/* Codes of eight bits less 128 are bytes with sign; where 0 is their zero the highest bit goes apart. */
INLINE int16 dot_codes(int bits, int zero, int16 start, int16 codes, int16 s)
{
	if (bits < 8)
		return dot4(zero ? start : (int16)0, codes, s);
	if (zero)
		return dot_signed(codes ^ (int)0x80808080, s);
	return dot4(dot4((int16)0, codes >> 7 & 0x01010101, s) << 7, codes & 0x7f7f7f7f, s);
}

INLINE float16 lanes(float16 v, int16 i)
{
	return shuffle(v, as_uint16(i));
}

INLINE int16 pick(int16 t, int16 i)
{
	return WHOLE_2(pick_part, t, i);
}

INLINE float8 float_halves(ushort8 h)
{
	typedef short halves __attribute__((vector_size(16)));

	return ASTYPE(__builtin_ia32_vcvtph2ps256(ASTYPE(h, halves)), float8);
}

#endif
#endif
