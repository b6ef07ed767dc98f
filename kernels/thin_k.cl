/* thin_k.cl: the steps of Q4_K and Q5_K for thin_int8.cl: scales and minima of up to four columns are unpacked together, and the codes of a super-block
 * are summed in 16 lanes, a quarter of a vector two blocks. */
#if HAVE_BYTES
#define EACH_QUARTER(a, b, c, d) (int16)(a, b, c, d, a, b, c, d, a, b, c, d, a, b, c, d)
#define BYTES(a, b, c, d) (int16)((int4)(0x80808000 + (a)), (int4)(0x80808000 + (b)), (int4)(0x80808000 + (c)), (int4)(0x80808000 + (d)))
#define AT_ONCE (COLS < 4 ? COLS : 4)

/* Quarter i of v, four times. */
INLINE int16 spread(int16 v, int i)
{
	const int4 q = i == 0 ? v.s0123 : i == 1 ? v.s4567 : i == 2 ? v.s89ab : v.scdef;

	return (int16)(q, q, q, q);
}

/* Bytes 4 to 15 of each quarter, what a super-block of Q4_K or Q5_K begins with: in each its eight scales, then its eight minima, 6 bits each. */
INLINE int16 scales_k(int16 h)
{
	const uint16 low = as_uint16(h.s132357679babdfef) >> as_uint16(EACH_QUARTER(0, 0, 0, 4)) &
		as_uint16(EACH_QUARTER(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f));

	return as_int16(low) | (h.s11125556999addde >> 2 & EACH_QUARTER(0, 0x30303030, 0, 0x30303030));
}

/* Of a super-block the codes of its blocks, two to a byte: quarters of two vectors: the first 16 of each two blocks, or, n = 1, the last. */
INLINE int16 half_codes(block_t p, int n)
{
#if HAVE_VNNI
	int16 v;

	if (n)
		__asm__("vshufi32x4 $0xdd, %2, %1, %0" : "=v"(v) : "v"(GET16(p)), "v"(GET16(p + 64)));
	else
		__asm__("vshufi32x4 $0x88, %2, %1, %0" : "=v"(v) : "v"(GET16(p)), "v"(GET16(p + 64)));
	return v;
#else
	return (int16)(GET4(p + 16 * n), GET4(p + 32 + 16 * n), GET4(p + 64 + 16 * n), GET4(p + 96 + 16 * n));
#endif
}

#define LOW_FOUR(v) ((v) & 0x0f0f0f0f)
#if HAVE_VNNI
#define TOP_FOUR(v) ((v) & (int)0xf0f0f0f0)     // 16 times too large
#else
#define TOP_FOUR(v) LOW_FOUR((v) >> 4)
#endif

struct codes {
	int16 q[4];             /* as the bytes of A lie */
};

INLINE struct codes codes_q4_k(block_t p)
{
	const int16 a = half_codes(p + 16, 0), b = half_codes(p + 16, 1);

	return (struct codes){{LOW_FOUR(a), TOP_FOUR(a), LOW_FOUR(b), TOP_FOUR(b)}};
}

/* Bit 4 of each code is that of its block in a byte. */
#define FIFTH(v, even) (as_int16(rotate((uint16)(v, v, v, v), \
	(uint16)((uint4)(3 + (even)), (uint4)(1 + (even)), (uint4)(31 + (even)), (uint4)(29 + (even))))) & 0x10101010)

INLINE struct codes codes_q5_k(block_t p)
{
	const int16 a = half_codes(p + 48, 0), b = half_codes(p + 48, 1);
	const uint4 v = as_uint4(GET4(p + 16)), w = as_uint4(GET4(p + 32));

	return (struct codes){{LOW_FOUR(a) | FIFTH(v, 1), LOW_FOUR(a >> 4) | FIFTH(v, 0), LOW_FOUR(b) | FIFTH(w, 1), LOW_FOUR(b >> 4) | FIFTH(w, 0)}};
}

/* A step of AT_ONCE columns: their scales and minima are unpacked together. low of the first is that of each, a quarter each. */
#define STEP_K(type) \
INLINE void step_##type(struct sums *t, const struct row *x, int g, const block_t *q) \
{ \
	const int16 h = (int16)(GET4(q[0]), GET4(q[AT_ONCE > 1]), GET4(q[AT_ONCE > 2 ? 2 : 0]), GET4(q[AT_ONCE > 2 ? 3 : AT_ONCE > 1])); \
	const int16 bytes = scales_k(h); \
	const int4 halves = h.s048c; \
	const float8 d = float_halves(as_ushort8(halves)); \
	const float16 dmin = lanes(wider(d), (int16)((int4)1, (int4)3, (int4)5, (int4)7)); \
	const float16 m = convert_float16(pick(bytes, EACH_QUARTER(0x80808008, 0x80808009, 0x8080800a, 0x8080800b))), \
		n = convert_float16(pick(bytes, EACH_QUARTER(0x8080800c, 0x8080800d, 0x8080800e, 0x8080800f))); \
	UNROLL for (int r = 0; r < ROWS; r++) \
		t->low[r] = fma(fma(n, as_float16(x[r].start[4 * g + 1]), m * as_float16(x[r].start[4 * g])), dmin, t->low[r]); \
	UNROLL for (int j = 0; j < AT_ONCE; j++) { \
		const int16 own = spread(bytes, j); \
		const float16 even = convert_float16(pick(own, BYTES(0, 2, 4, 6))), odd = convert_float16(pick(own, BYTES(1, 3, 5, 7))); \
		const float16 by = lanes(wider(d), (int16)(2 * j)); \
		const struct codes c = codes_##type(q[j]); \
		UNROLL for (int r = 0; r < ROWS; r++) { \
			const int16 *v = x[r].q + 4 * g; \
			const int16 a = dot8((int16)0, c.q[0], v[0], c.q[2], v[2]), b = dot8((int16)0, c.q[1], v[1], c.q[3], v[3]); \
			const float16 both = fma(convert_float16(b), odd * x[r].low[g], convert_float16(a) * (even * x[r].d[g])); \
			t[j].s[r] = fma(both, by, t[j].s[r]); \
		} \
	} \
} \
INLINE void steps_##type(struct sums *t, const struct row *x, int g, const block_t *q, int n) \
{ \
	block_t p[COLS]; \
	UNROLL for (int j = 0; j < COLS; j++) \
		p[j] = AT(type, q[j], g * STEP); \
	UNROLL for (int j = 0; j < COLS; j += AT_ONCE) \
		step_##type(t + j, x, g, p + j); \
}
STEP_K(q4_k)
STEP_K(q5_k)

/* What the minima add to column j and row r. */
INLINE float16 low_k(const struct sums *t, int j, int r)
{
	const int16 v = as_int16(t[j / AT_ONCE * AT_ONCE].low[r]);

	return (float16)(as_float4(spread(v, j % AT_ONCE).s0123), (float4)0, (float8)0);
}
#endif
