//! use rowsum attention_tile attention_chunks
/* attention_decode_cpu.cl: attention of few queries to long caches, for CPUs. lib/op/attention.c has the formulas; kernels/attention.cl
 * has the same for every device, and joins the parts.
 *
 * The lanes are columns, then (of the scores) keys, then columns again. GROUP: query heads of a kv head, PART: keys of a chunk.
 * Measured on 2 cores of a Zen 4: 20 GB/s of a cache in bf16 with 4 heads of 128 on one, 36 with one of 64. */
#ifndef GROUP
#define GROUP 1
#endif
#undef BLOCK
#define BLOCK 16                /* keys at once */
#define DW ((D + 15) / 16)      /* vectors of a row */
#define DVW ((DV + 15) / 16)
#define BLOCKS (PART / BLOCK)
#define KEYS_AHEAD 48           /* a head's part of a row is small, and far from the next row's: what is not fetched is waited for */

COPY_ROWS(widen_k, TYPE_K, 0)
COPY_ROWS(widen_v, TYPE_V, 0)

/* Rows from .. to - 1 of p, which are read soon. */
#define FETCH_ROWS(type, p, ld, from, to, cols) \
	for (int r_ = (from); r_ < (to); r_++) \
		for (int i_ = 0; i_ < (cols); i_ += 64 / (int)sizeof(STORAGE(type))) \
			FETCH((p) + r_ * (ld) + i_)

inline float16 pair_sums(float16 a, float16 b)
{
	return (float16)(a.even + a.odd, b.even + b.odd);
}

/* The products of a query with 16 rows. */
inline float16 dots(const float16 *query, const float16 *rows)
{
	float16 sum[16];

	UNROLL for (int i = 0; i < 16; i++)
		sum[i] = 0;
	for (int w = 0; w < DW; w++)
		UNROLL for (int i = 0; i < 16; i++)
			sum[i] = fma(query[w], rows[i * DW + w], sum[i]);
	UNROLL for (int n = 8; n > 0; n /= 2)
		UNROLL for (int i = 0; i < n; i++)
			sum[i] = pair_sums(sum[2 * i], sum[2 * i + 1]);
	return sum[0];
}

/* sum += p[i] · row i of v, over n rows. */
inline void weigh(float16 *sum, const float *p, const float16 *rows, int n)
{
	float16 c[DVW];

	UNROLL for (int w = 0; w < DVW; w++)
		c[w] = sum[w];
	for (int i = 0; i < n; i++)
		UNROLL for (int w = 0; w < DVW; w++)
			c[w] = fma((float16)p[i], rows[i * DVW + w], c[w]);
	UNROLL for (int w = 0; w < DVW; w++)
		sum[w] = c[w];
}

/* As attention_part: m, l and the sums of v of a chunk of keys, for the heads of a group. */
inline void attention_part_item(__global float *parts, __global const float *q, long q_off, long q_ld,
	__global const STORAGE(TYPE_K) *k, long k_off, long k_ld, __global const STORAGE(TYPE_V) *v, long v_off, long v_ld,
	__global const int *span, long span_off, int group, int kv_period, int chunks, float scale, float cap,
	int worker, int workers, int kv_head, int kv_heads, long row)
{
	const int heads = kv_heads * GROUP;
	const struct chunks all = chunks_seen(span + span_off + 2 * row, kv_period, chunks);
	const struct chunks mine = chunks_share(all, worker, workers);
	const int16 lane = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	float16 query[GROUP * DW], s[GROUP * BLOCKS], sum[GROUP * DVW], store[BLOCK * (DW > DVW ? DW : DVW)];
	float *rows = (float *)store;

	copy_rows((float *)query, q + q_off + row * q_ld + kv_head * GROUP * D, D, GROUP, D, 16 * DW);
	k += k_off + kv_head * D;
	v += v_off + kv_head * DV;
	parts += (row * heads + kv_head * GROUP) * chunks * (DV + 2);
	if (mine.first < mine.end) {
		const int at = max(mine.from, mine.start + mine.first * PART);

		FETCH_ROWS(TYPE_K, k, k_ld, at, min(at + KEYS_AHEAD, mine.to), D);
	}
	for (int c = mine.first; c < mine.end; c++) {
		const int begin = mine.start + c * PART, end = min(mine.to, begin + PART);
		const int first = (max(mine.from, begin) - begin) / BLOCK, blocks = (end - begin + BLOCK - 1) / BLOCK;

		for (int b = first; b < blocks; b++) {
			const int at = max(begin + b * BLOCK, mine.from), n = min(begin + (b + 1) * BLOCK, end) - at;
			const int16 key = begin + b * BLOCK + lane;

			FETCH_ROWS(TYPE_K, k, k_ld, at + KEYS_AHEAD, min(at + KEYS_AHEAD + n, mine.to), D);
			if (b < first + KEYS_AHEAD / BLOCK)
				FETCH_ROWS(TYPE_V, v, v_ld, at, at + n, DV);
			widen_k(rows + (at - begin) % BLOCK * 16 * DW, k + at * k_ld, k_ld, n, D, 16 * DW);
			for (int g = 0; g < GROUP; g++)
				s[g * BLOCKS + b] = select((float16)-INFINITY, score(dots(query + g * DW, store), scale, cap), key >= at & key < at + n);
		}
		for (int g = 0; g < GROUP; g++) {
			__global float *out = parts + ((long)g * chunks + c) * (DV + 2);
			float16 top = -INFINITY, l = 0;

			for (int b = first; b < blocks; b++)
				top = fmax(top, s[g * BLOCKS + b]);
			out[0] = max16(top);
			for (int b = first; b < blocks; b++) {
				s[g * BLOCKS + b] = exp_16(s[g * BLOCKS + b] - out[0]);
				l += s[g * BLOCKS + b];
			}
			out[1] = sum16(l);
		}
		for (int i = 0; i < GROUP * DVW; i++)
			sum[i] = 0;
		for (int b = first; b < blocks; b++) {
			const int at = max(begin + b * BLOCK, mine.from), n = min(begin + (b + 1) * BLOCK, end) - at;

			FETCH_ROWS(TYPE_V, v, v_ld, at + KEYS_AHEAD, min(at + KEYS_AHEAD + n, end), DV);
			widen_v(rows, v + at * v_ld, v_ld, n, DV, 16 * DVW);
			for (int g = 0; g < GROUP; g++)
				weigh(sum + g * DVW, (const float *)(s + g * BLOCKS) + at - begin, store, n);
		}
		for (int g = 0; g < GROUP; g++)
			for (int i = 0; i < DV; i++)
				parts[((long)g * chunks + c) * (DV + 2) + 2 + i] = ((const float *)(sum + g * DVW))[i];
	}
}

/* An item: (worker, kv head, row). */
__kernel WG1 void attention_part_cpu(__global float *parts, __global const float *q, long q_off, long q_ld,
	__global const STORAGE(TYPE_K) *k, long k_off, long k_ld, __global const STORAGE(TYPE_V) *v, long v_off, long v_ld,
	__global const int *span, long span_off, int group, int kv_period, int chunks, float scale, float cap)
{
	attention_part_item(parts, q, q_off, q_ld, k, k_off, k_ld, v, v_off, v_ld, span, span_off, group, kv_period, chunks, scale, cap,
		get_global_id(0), get_global_size(0), get_global_id(1), get_global_size(1), get_global_id(2));
}
