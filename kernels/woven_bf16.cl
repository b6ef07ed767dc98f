/* woven_bf16.cl: weights in bfloat16, woven, and packed without loss: 12 bits each. Decoding waits for memory, and three quarters of the bytes come in three
 * quarters of the time.
 *
 * The high byte of a weight (sign, and all of the exponent but its last bit) is nearly always one of a few: those of 14 or 15 binary orders of magnitude. So its
 * low byte is kept and, of the high one, a number of 4 bits: 0 for a weight of 0; 1 + 2p + sign for the pair of exponents p below the group's highest, up to 15.
 * A weight that is none of these is an exception: it stands as 0, and in a list with its place. Where a group has more of them than room, its matrix is not woven.
 *
 * A group is 16 rows that begin at a multiple of 16 (behind the last: copies of it), k a multiple of 32:
 *   64 bytes      the high bytes of the 16 numbers; how many exceptions there are (uint); whether that was too many in any group, or a value was none of bfloat16 (of the first group)
 *   8 for each 32 k and 128, up to a multiple of 64        exceptions, as they lie in k: 16 k + row, value (two uint each)
 *   192 each 8 k  blocks: 128 low bytes, then 64 of numbers: byte i's low four bits are those of low byte i, the high four of low byte 64 + i
 * The low and high bytes i of each 16 of 64, put side by side, are the words of two pairs (k, k + 1), 16 rows each: of the first in bytes 0 to 7 of each 16. */
#if HAVE_BF16
#define PACKED_HEAD 64
#define PACKED_BLOCK 192
#define PACKED_ROOM(k) ((k) / 32 + 16)                                  // for exceptions
#define PACKED_FIRST(k) (PACKED_HEAD + (PACKED_ROOM(k) * 8 + 63) / 64 * 64)
#define PACKED_GROUP(k) (PACKED_FIRST(k) + (long)((k) / 8) * PACKED_BLOCK)

struct packed_head {
	uint4 high;
	uint count, too_many, unused[10];
};

struct exception {
	uint at, value;
};

/* The words of 8 k, at p: of four pairs, 16 rows each. */
INLINE void unpack_pairs(uint16 *w, const uint16 *p, int16 high)
{
	const int16 codes = as_int16(p[2]);

	UNROLL for (int i = 0; i < 2; i++) {
		const int16 h = pick(high, (i ? codes >> 4 : codes) & 0x0f0f0f0f);
		__asm__("vpunpcklbw %2, %1, %0" : "=v"(w[2 * i]) : "v"(p[i]), "v"(h));
		__asm__("vpunpckhbw %2, %1, %0" : "=v"(w[2 * i + 1]) : "v"(p[i]), "v"(h));
	}
}

INLINE int16 packed_high(const struct packed_head *g)
{
	return as_int16((uint16)(g->high, g->high, g->high, g->high));
}

/* 32 k from k0 on, a multiple of 32, of the 16 rows of a group whose rows have k values: r[pair]. */
INLINE void woven_pairs(uint16 *r, size_t group, int k, int k0)
{
	const struct packed_head *g = (const struct packed_head *)group;
	const struct exception *e = (const struct exception *)(group + PACKED_HEAD);
	const int16 high = packed_high(g);

	UNROLL for (int i = 0; i < 4; i++)
		unpack_pairs(r + 4 * i, (const uint16 *)(group + PACKED_FIRST(k) + (k0 / 8 + i) * PACKED_BLOCK), high);
	for (uint i = 0; i < g->count; i++)
		if (e[i].at / 16 - k0 < 32)
			((ushort *)r)[(e[i].at / 16 - k0) / 2 * 32 + e[i].at % 16 * 2 + e[i].at / 16 % 2] = e[i].value;
}
#endif
