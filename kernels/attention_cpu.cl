//! use rowsum attention_tile
/* attention_cpu.cl: attention forward and in decoding, for CPUs. lib/op/attention.c has the formulas, attention_tile.cl the ideas;
 * kernels/attention.cl is the same for every device. */

/* A tile of keys for the lanes: p = exp(score − m) with the new m, and with what to shrink that which was summed before. */
inline void weights(float16 *p, float16 m[NV], float16 l[NV], float16 shrink[NV], const float *keys, const float16 *qt, const struct sight *see,
	struct tile t, float scale, float cap)
{
	const int whole = t.at >= see->all_from && t.at + UP(t.n) <= see->all_to;
	float16 top[NV], sum[NV];

	UNROLL for (int j = 0; j < NV; j++)
		top[j] = m[j];
	for (int r = 0; r < t.n; r += RB) {
		float16 c[RB][NV];

		product(c, keys + r * DP, DP, 1, D, qt);
		UNROLL for (int i = 0; i < RB; i++)
			UNROLL for (int j = 0; j < NV; j++) {
				const int key = t.at + r + i;
				float16 s = score(c[i][j], scale, cap);

				if (!whole)
					s = select((float16)-INFINITY, s, see->first[j] <= key & min(see->end[j], (int16)(t.at + t.n)) > key);
				top[j] = fmax(top[j], s);
				p[(r + i) * NV + j] = s;
			}
	}
	UNROLL for (int j = 0; j < NV; j++) {
		shrink[j] = exp_16(m[j] - top[j]);
		m[j] = top[j];
		sum[j] = 0;
	}
	for (int r = 0; r < t.n; r++)
		UNROLL for (int j = 0; j < NV; j++) {
			p[r * NV + j] = exp_16(p[r * NV + j] - m[j]);
			sum[j] += p[r * NV + j];
		}
	UNROLL for (int j = 0; j < NV; j++)
		l[j] = fma(l[j], shrink[j], sum[j]);
}

__kernel WG1 void attention_fwd_cpu(__global float *y, long y_off, long y_ld, __global float *lse, long lse_off, long lse_ld,
	__global const float *q, long q_off, long q_ld, __global const STORAGE(TYPE_K) *k, long k_off, long k_ld,
	__global const STORAGE(TYPE_V) *v, long v_off, long v_ld, __global const int *span, long span_off,
	__global const STORAGE(TYPE_S) *sinks, long sinks_off, int rows, int group, int tiles, int q_period, int kv_period, float scale, float cap)
{
	const int h = get_global_id(1), q0 = lanes_at(get_global_id(0), tiles, q_period);
	const int nq = min(TILE, min((q0 / q_period + 1) * q_period, rows) - q0);
	float16 qt[D * NV], yt[DVP * NV], p[TILE * NV], store[NV * (DP > DVP ? DP : DVP)];
	float16 m[NV], l[NV], shrink[NV];
	float *tile = (float *)store;
	struct sight see;
	struct tile t;

	if (nq <= 0)
		return;
	look(&see, span + span_off + 2 * q0, nq);
	turn_in(qt, q + q_off + q0 * q_ld + h * D, q_ld, nq, D);
	zero(yt, DVP * NV);
	UNROLL for (int i = 0; i < NV; i++) {
		m[i] = sinks ? LOAD(TYPE_S, sinks, sinks_off + h) : LOWEST;
		l[i] = sinks ? 1 : 0;
	}
	k += k_off + h / group * D;
	v += v_off + h / group * DV;
	for (int row = see.from; row < see.to; row = t.next) {
		t = tile_at(row, see.to, kv_period);
		if (!any_sees(&see, t))
			continue;
		copy_k(tile, k + t.at * k_ld, k_ld, t.n, D, DP);
		weights(p, m, l, shrink, tile, qt, &see, t, scale, cap);
		copy_v(tile, v + t.at * v_ld, v_ld, t.n, DV, DVP);
		for (int d = 0; d < DVP; d += RB) {
			float16 c[RB][NV];

			product(c, tile + d, 1, DVP, t.n, p);
			UNROLL for (int i = 0; i < RB; i++)
				UNROLL for (int j = 0; j < NV; j++)
					yt[(d + i) * NV + j] = fma(yt[(d + i) * NV + j], shrink[j], c[i][j]);
		}
	}
	UNROLL for (int j = 0; j < NV; j++) {
		const int16 seen = l[j] > 0;
		const float16 part = select((float16)0, 1 / l[j], seen);

		for (int d = 0; d < DV; d++)
			yt[d * NV + j] *= part;
		m[j] = select((float16)INFINITY, m[j] + log(l[j]), seen);
	}
	turn_out(y + y_off + q0 * y_ld + h * DV, y_ld, yt, nq, DV, 1, 0);
	turn_out(lse + lse_off + q0 * lse_ld + h, lse_ld, m, nq, 1, 1, 0);
}

/* ---- decoding: here the lanes are columns, then keys, then columns again ---- */

#define BLOCK 16                /* keys at once */
#define DW ((D + 15) / 16)      /* vectors of a row */
#define DVW ((DV + 15) / 16)
#define BLOCKS (PART / BLOCK)

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

/* As attention_part: m, l and the sums of v of a chunk of keys, for the heads of a group. An item: (worker, kv head, row). */
__kernel WG1 void attention_part_cpu(__global float *parts, __global const float *q, long q_off, long q_ld,
	__global const STORAGE(TYPE_K) *k, long k_off, long k_ld, __global const STORAGE(TYPE_V) *v, long v_off, long v_ld,
	__global const int *span, long span_off, int group, int kv_period, int chunks, float scale, float cap)
{
	const int kv_head = get_global_id(1), heads = get_global_size(1) * GROUP;
	const long row = get_global_id(2);
	const int from = span[span_off + 2 * row], to = span[span_off + 2 * row + 1], start = from / kv_period * kv_period;
	const int16 lane = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	float16 query[GROUP * DW], s[GROUP * BLOCKS], sum[GROUP * DVW], store[BLOCK * (DW > DVW ? DW : DVW)];
	float *rows = (float *)store;

	copy_rows((float *)query, q + q_off + row * q_ld + kv_head * GROUP * D, D, GROUP, D, 16 * DW);
	k += k_off + kv_head * D;
	v += v_off + kv_head * DV;
	parts += (row * heads + kv_head * GROUP) * chunks * (DV + 2);
	for (int c = (from - start) / PART + (int)get_global_id(0); c < chunks && start + c * PART < to; c += get_global_size(0)) {
		const int begin = start + c * PART, end = min(to, begin + PART);
		const int first = (max(from, begin) - begin) / BLOCK, blocks = (end - begin + BLOCK - 1) / BLOCK;

		for (int b = first; b < blocks; b++) {
			const int at = max(begin + b * BLOCK, from), n = min(begin + (b + 1) * BLOCK, end) - at;
			const int16 key = begin + b * BLOCK + lane;

			copy_k(rows + (at - begin) % BLOCK * 16 * DW, k + at * k_ld, k_ld, n, D, 16 * DW);
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
			const int at = max(begin + b * BLOCK, from), n = min(begin + (b + 1) * BLOCK, end) - at;

			copy_v(rows, v + at * v_ld, v_ld, n, DV, 16 * DVW);
			for (int g = 0; g < GROUP; g++)
				weigh(sum + g * DVW, (const float *)(s + g * BLOCKS) + at - begin, store, n);
		}
		for (int g = 0; g < GROUP; g++)
			for (int i = 0; i < DV; i++)
				parts[((long)g * chunks + c) * (DV + 2) + 2 + i] = ((const float *)(sum + g * DVW))[i];
	}
}
