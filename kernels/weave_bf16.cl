//! use quant thin_bytes woven woven_bf16
/* weave_bf16.cl: packs weights in bfloat16, or in F16 where all of them are numbers of bfloat16, as those of a model that was trained in it are
 * (woven_bf16.cl). */
#ifndef TYPE_B
#define TYPE_B bf16
#endif

#if HAVE_BF16
typedef ushort words32 __attribute__((ext_vector_type(32)));

#define SAMPLE 8                // of so many weights one is looked at for the exponents that a group has

/* The pair of exponents of a weight as bfloat16; 0, too, where it is 0. */
#define pair_bf16(v) ((v) >> 8 & 0x7f)
#define pair_f16(v) (((v) >> 10 & 31) ? (((v) >> 10 & 31) + 127 - 15) / 2 : 0)

/* The highest of the 8 pairs of exponents that a group's numbers stand for: those that most of a sample have, and up to one more above them, where weights are:
 * of large ones there are few, of small ones fewer still. */
APART int highest_pair(__global const ushort *const *row, int k)
{
	uint seen[128], most = 0, here = 0;
	ushort16 large = 0;
	ushort each[16];
	int best = 7, top = 0, last = 0;

	for (int i = 0; i < 128; i++)
		seen[i] = 0;
	for (int j = 0; j < 16; j++) {
		for (int i = 0; i < k; i += 16)
			large = max(large, vload16(0, row[j] + i) & (ushort16)0x7fff);
		for (int i = j % SAMPLE; i < k; i += SAMPLE)
			seen[CAT(pair_, TYPE_B)(row[j][i])]++;
	}
	seen[0] = 0;                    /* a weight of 0 has a number of its own */
	vstore16(large, 0, each);
	for (int i = 0; i < 16; i++)
		top = max(top, CAT(pair_, TYPE_B)(each[i]));
	for (int i = 0; i < 128; i++)
		if (seen[i])
			last = i;
	for (int i = 0; i <= min(top, last + 1); i++) {
		here += seen[i] - (i >= 8 ? seen[i - 8] : 0);
		if (here >= most) {
			most = here;
			best = i;
		}
	}
	return best;
}

/* Words as bfloat16; `lost`: bits that it has no place for. */
#define to_bf16_bf16(v, lost) (v)
#define to_bf16_f16(v, lost) words_of_halves(v, lost)
inline words32 words_of_halves(words32 v, uint16 *lost)
{
	const uint16 a = as_uint16(float_halves(v.lo)), b = as_uint16(float_halves(v.hi));
	words32 r;

	*lost |= (a | b) & 0xffff;
	r.lo = convert_ushort16(a >> 16);
	r.hi = convert_ushort16(b >> 16);
	return r;
}

/* Numbers and low bytes of a pair of 16 rows, in words; which of them are exceptions. */
inline words32 pack_words(words32 *low, words32 *number, words32 v, ushort top)
{
	const words32 high = v >> (words32)8, below = top - (high & (words32)0x7f), code = below * (words32)2 + (words32)1 + (high >> (words32)7);
	const words32 zero = __builtin_astype((v << (words32)1) == (words32)0, words32);
	const words32 is = __builtin_astype(below < (words32)8 & code < (words32)16, words32) & ~zero;

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

/* B (n, k) as stored, its values as ushort. Work-item (16 rows). */
__kernel WG1 void weave_bf16(__global uchar *out, __global const ushort *b, int n, int k)
{
	const int n0 = (int)get_global_id(0) * 16;
	const size_t group = (size_t)out + n0 / 16 * PACKED_GROUP(k);
	struct packed_head *g = (struct packed_head *)group;
	struct exception *list = (struct exception *)(group + PACKED_HEAD);
	uint16 *to = (uint16 *)(group + PACKED_FIRST(k));
	__global const ushort *row[16];
	uint16 lost = 0;
	uint count = 0, any[16];
	int top;

	if (((const struct packed_head *)(size_t)out)->too_many)
		return;
	for (int j = 0; j < 16; j++)
		row[j] = b + min(n0 + j, n - 1) * (long)k;
	top = highest_pair(row, k);
	((uchar *)g)[0] = 0;
	for (int i = 1; i < 16; i++)
		((uchar *)g)[i] = (uchar)(max(top - (i - 1) / 2, 0) | (i - 1) % 2 << 7);
	for (int k0 = 0; k0 < k; k0 += 8, to += 3) {
		block_t p[16];
		uint16 w[4], number[2];
		words32 v[4], low[4], code[4], bad[4], some = 0;

		for (int j = 0; j < 16; j++)
			p[j] = (block_t)(row[j] + k0);
		weave_words((size_t)w, p, 0);
		UNROLL for (int i = 0; i < 4; i++) {
			v[i] = CAT(to_bf16_, TYPE_B)(__builtin_astype(w[i], words32), &lost);
			bad[i] = pack_words(low + i, code + i, v[i], (ushort)top);
			some |= bad[i];
		}
		UNROLL for (int i = 0; i < 2; i++) {
			to[i] = bytes_of(low[2 * i], low[2 * i + 1]);
			number[i] = bytes_of(code[2 * i], code[2 * i + 1]);
		}
		to[2] = number[0] | number[1] << 4;
		const ulong8 eight = __builtin_astype(some, ulong8);
		const ulong4 four = eight.lo | eight.hi;
		if (four.s0 | four.s1 | four.s2 | four.s3)
			for (int i = 0; i < 128; i++) {
				const int row = i / 8, pair = i % 8 / 2, word = 2 * row + i % 2;
				if (((const ushort *)(bad + pair))[word]) {
					if (count < PACKED_ROOM(k))
						list[count] = (struct exception){(k0 + i % 8) * 16 + row, ((const ushort *)(v + pair))[word]};
					count++;
				}
			}
	}
	g->count = count;
	vstore16(lost, 0, any);
	for (int i = 1; i < 16; i++)
		any[0] |= any[i];
	if (count > PACKED_ROOM(k) || any[0])
		((struct packed_head *)(size_t)out)->too_many = 1;
}
#endif
