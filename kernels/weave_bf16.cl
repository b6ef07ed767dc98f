//! use quant thin_bytes woven woven_bf16
/* weave_bf16.cl: packs weights in bfloat16 (woven_bf16.cl). */
#if HAVE_BF16
typedef ushort words32 __attribute__((ext_vector_type(32)));

#define SAMPLE 4                // of so many weights one is looked at for the exponents that a group has

/* The highest of the 8 pairs of exponents that most weights have. */
inline int highest_pair(__global const ushort *const *row, int k)
{
	uint seen[136], most = 0, here = 0;
	int best = 7;

	for (int i = 0; i < 136; i++)
		seen[i] = 0;
	for (int j = 0; j < 16; j++)
		for (int i = j % SAMPLE; i < k; i += SAMPLE)
			seen[row[j][i] >> 8 & 0x7f]++;
	seen[0] = 0;                    /* a weight of 0 has a number of its own */
	for (int top = 0; top < 128; top++) {
		here += seen[top] - (top >= 8 ? seen[top - 8] : 0);
		if (here > most) {
			most = here;
			best = top;
		}
	}
	return best;
}

/* Numbers and low bytes of a pair of 16 rows, in words; which of them are exceptions. */
inline words32 pack_words(words32 *low, words32 *number, words32 v, ushort top)
{
	const words32 high = v >> (words32)8, below = top - (high & (words32)0x7f), code = below * (words32)2 + (words32)1 + (high >> (words32)7);
	const words32 is = __builtin_astype(below < (words32)8 & code < (words32)16, words32), zero = __builtin_astype((v << (words32)1) == (words32)0, words32);

	*low = is & v & (words32)0xff;
	*number = is & code;
	return ~(is | zero);
}

INLINE uint16 bytes_of(words32 a, words32 b)
{
	uint16 r;

	__asm__("vpackuswb %2, %1, %0" : "=v"(r) : "v"(a), "v"(b));
	return r;
}

/* B (n, k) as stored. Work-item (16 rows). */
__kernel WG1 void weave_bf16(__global uchar *out, __global const ushort *b, int n, int k)
{
	const int n0 = (int)get_global_id(0) * 16;
	const size_t group = (size_t)out + n0 / 16 * PACKED_GROUP(k);
	struct packed_head *g = (struct packed_head *)group;
	struct exception *list = (struct exception *)(group + PACKED_HEAD);
	uint16 *to = (uint16 *)(group + PACKED_FIRST(k));
	__global const ushort *row[16];
	uint count = 0;
	int top;

	for (int j = 0; j < 16; j++)
		row[j] = b + min(n0 + j, n - 1) * (long)k;
	top = highest_pair(row, k);
	((uchar *)g)[0] = 0;
	for (int i = 1; i < 16; i++)
		((uchar *)g)[i] = (uchar)(max(top - (i - 1) / 2, 0) | (i - 1) % 2 << 7);
	for (int k0 = 0; k0 < k; k0 += 8, to += 3) {
		block_t p[16];
		uint16 w[4], number[2];
		words32 low[4], code[4], bad[4], any = 0;

		for (int j = 0; j < 16; j++)
			p[j] = (block_t)(row[j] + k0);
		weave_words((size_t)w, p, 0);
		UNROLL for (int i = 0; i < 4; i++) {
			bad[i] = pack_words(low + i, code + i, __builtin_astype(w[i], words32), (ushort)top);
			any |= bad[i];
		}
		UNROLL for (int i = 0; i < 2; i++) {
			to[i] = bytes_of(low[2 * i], low[2 * i + 1]);
			number[i] = bytes_of(code[2 * i], code[2 * i + 1]);
		}
		to[2] = number[0] | number[1] << 4;
		const ulong8 some = __builtin_astype(any, ulong8);
		const ulong4 or = some.lo | some.hi;
		if (or.s0 | or.s1 | or.s2 | or.s3)
			for (int i = 0; i < 128; i++)
				if (((const ushort *)bad)[i / 2 % 4 * 32 + i / 8 * 2 + i % 2]) {
					/* i: row and, in it, k */
					if (count < PACKED_ROOM(k))
						list[count] = (struct exception){(k0 + i % 8) * 16 + i / 8, row[i / 8][k0 + i % 8]};
					count++;
				}
	}
	g->count = count;
	if (count > PACKED_ROOM(k))
		((struct packed_head *)(size_t)out)->too_many = 1;
}
#endif
