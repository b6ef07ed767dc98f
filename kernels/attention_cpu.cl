/* attention_cpu.cl: attention for CPUs: wide vectors, work-groups of one item, everything of a tile in private memory.
 * lib/op/attention.c has the formulas; kernels/attention.cl is the same for every device.
 *
 * The lanes of the vectors are queries (forward, dq) or keys (dk, dv), NL of them at a time, turned once so that
 * panel[column][lane] is a column of all. The rows of the other side come in tiles of NR, copied (and widened to float32) as
 * they lie, and stand in the products as scalars. So every product is c[8 rows][NL lanes] += scalar · vector, in registers;
 * the softmax runs down the lanes without a sum across them; and what one product writes, [row][lane], is what the next reads.
 *
 * Tiles of lanes and tiles of rows both start anew at each period, and a row that a lane does not see adds an exact zero to
 * it: the bits of a lane depend on nothing but itself and the rows that it sees.
 *
 * D, DV: columns of a head in q and k, and in v. TYPE_K, TYPE_V, TYPE_S: storage of k, v and sinks. SOFTCAP: there is a cap.
 * GROUP: query heads of a kv head, PART: keys of a chunk, in decoding. */
#ifndef D
#define D 64
#define DV 64
#endif
#ifndef TYPE_K
#define TYPE_K f32
#define TYPE_V f32
#endif
#ifndef TYPE_S
#define TYPE_S f32
#endif
#ifndef GROUP
#define GROUP 1
#define PART 256
#endif

#define NV 3                    /* vectors of lanes */
#define NL (16 * NV)
#define RB 8                    /* rows of a product in registers: 8 · 3 vectors of sums */
#ifndef NR
#define NR 64                   /* rows of a tile */
#endif
#define UP(n) (((n) + RB - 1) / RB * RB)
#define DP UP(D)
#define DVP UP(DV)

#define UNROLL _Pragma("unroll")

/* Below every score, but finite: exp(LOWEST − LOWEST) is 1 where a lane has seen nothing yet. */
#define LOWEST (-1e30f)

/* c[r][·] = sum over i < n of a[r·row + i·step] · panel[i][·] */
inline void product(float16 c[RB][NV], const float *a, int row, int step, int n, const float16 *panel)
{
	UNROLL for (int r = 0; r < RB; r++)
		UNROLL for (int v = 0; v < NV; v++)
			c[r][v] = 0;
	for (int i = 0; i < n; i++, a += step, panel += NV)
		UNROLL for (int r = 0; r < RB; r++)
			UNROLL for (int v = 0; v < NV; v++)
				c[r][v] = fma((float16)a[r * row], panel[v], c[r][v]);
}

/* n rows to a tile of `padded` columns, with zeros behind. Rows past them keep what they had: what it gives is not used. */
#define COPY_ROWS(name, type) \
	inline void name(float *tile, __global const STORAGE(type) *from, long ld, int n, int cols, int padded) \
	{ \
		for (int r = 0; r < n; r++, tile += padded, from += ld) { \
			int c = 0; \
			for (; c + 16 <= cols; c += 16) \
				vstore16(LOAD16(type, from, c), 0, tile + c); \
			for (; c < cols; c++) \
				tile[c] = LOAD(type, from, c); \
			for (; c < padded; c++) \
				tile[c] = 0; \
		} \
	}
COPY_ROWS(copy_rows, f32)
COPY_ROWS(copy_k, TYPE_K)
COPY_ROWS(copy_v, TYPE_V)

/* panel[c][lane] = scale · from[lane][c]; lanes past n are zeros. */
inline void turn_in(float16 *panel, __global const float *from, long ld, int n, int cols, float scale)
{
	float *to = (float *)panel;

	for (int i = 0; i < NL; i++)
		for (int c = 0; c < cols; c++)
			to[c * NL + i] = i < n ? scale * from[i * ld + c] : 0;
}

/* to[lane][c] = scale · panel[c][lane] for n lanes, added where `add`. */
inline void turn_out(__global float *to, long ld, const float16 *panel, int n, int cols, float scale, int add)
{
	const float *from = (const float *)panel;

	for (int i = 0; i < n; i++)
		for (int c = 0; c < cols; c++) {
			const float x = scale * from[c * NL + i];

			to[i * ld + c] = add ? to[i * ld + c] + x : x;
		}
}

/* One number a lane: from a column of a matrix; lanes past n are zeros. */
inline void lanes_in(float16 *lanes, __global const float *from, long ld, int n)
{
	float *to = (float *)lanes;

	for (int i = 0; i < NL; i++)
		to[i] = i < n ? from[i * ld] : 0;
}

/* What the lanes see: rows first .. end−1 each. */
struct sight {
	int16 first[NV], end[NV];
	int from, to;                   /* rows that any lane sees lie here */
	int all_from, all_to;           /* and these every lane sees */
};

inline void look(struct sight *s, __global const int *span, int n)
{
	int first[NL], end[NL];

	s->from = INT_MAX;
	s->to = 0;
	s->all_from = 0;
	s->all_to = n == NL ? INT_MAX : 0;
	for (int i = 0; i < NL; i++) {
		first[i] = i < n ? span[2 * i] : 0;
		end[i] = i < n ? span[2 * i + 1] : 0;
		if (first[i] < end[i]) {
			s->from = min(s->from, first[i]);
			s->to = max(s->to, end[i]);
		}
		s->all_from = max(s->all_from, first[i]);
		s->all_to = min(s->all_to, end[i]);
	}
	UNROLL for (int v = 0; v < NV; v++) {
		s->first[v] = vload16(v, first);
		s->end[v] = vload16(v, end);
	}
}

/* A tile of rows: it begins at a multiple of NR from the start of a period and ends with the period at the latest. */
struct tile {
	int next;                       /* where the one after it begins */
	int at, n;                      /* the part of it that is wanted, from a multiple of RB of the tile on */
};

inline struct tile tile_at(int row, int to, int period)
{
	const int start = row / period * period, begin = start + (row - start) / NR * NR;
	struct tile t;

	t.next = min(begin + NR, start + period);
	t.at = begin + (row - begin) / RB * RB;
	t.n = min(t.next, to) - t.at;
	return t;
}

inline int any_sees(const struct sight *s, struct tile t)
{
	int16 sees = 0;

	UNROLL for (int v = 0; v < NV; v++)
		sees |= max(s->first[v], (int16)t.at) < min(s->end[v], (int16)(t.at + t.n));
	return any(sees);
}

inline float16 capped(float16 s, float cap)
{
#if SOFTCAP
	s = cap * tanh_16(s / cap);
#endif
	return s;
}

/* x · d capped(s) / ds, from the capped score. */
inline float16 times_slope(float16 x, float16 s, float cap)
{
#if SOFTCAP
	x *= 1 - (s / cap) * (s / cap);
#endif
	return x;
}

/* The first lane of tile number `id` of `tiles` a period, the later ones first: they see more. */
inline int lanes_at(int id, int tiles, int period)
{
	return id / tiles * period + (tiles - 1 - id % tiles) * NL;
}

__kernel WG1 void attention_fwd_cpu(__global float *y, long y_off, long y_ld, __global float *lse, long lse_off, long lse_ld,
	__global const float *q, long q_off, long q_ld, __global const STORAGE(TYPE_K) *k, long k_off, long k_ld,
	__global const STORAGE(TYPE_V) *v, long v_off, long v_ld, __global const int *span, long span_off,
	__global const STORAGE(TYPE_S) *sinks, long sinks_off, int rows, int group, int tiles, int q_period, int kv_period, float scale, float cap)
{
	const int h = get_global_id(1), q0 = lanes_at(get_global_id(0), tiles, q_period);
	const int nq = min(NL, min((q0 / q_period + 1) * q_period, rows) - q0);
	float16 qt[D * NV], yt[DVP * NV], p[NR * NV], store[NR * (DP > DVP ? DP : DVP) / 16];
	float16 m[NV], l[NV];
	float *tile = (float *)store;
	struct sight see;
	struct tile t;

	if (nq <= 0)
		return;
	look(&see, span + span_off + 2 * q0, nq);
	turn_in(qt, q + q_off + q0 * q_ld + h * D, q_ld, nq, D, scale);
	for (int i = 0; i < DVP * NV; i++)
		yt[i] = 0;
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
		const int whole = t.at >= see.all_from && t.at + UP(t.n) <= see.all_to;
		float16 top[NV], shrink[NV], sum[NV];

		UNROLL for (int i = 0; i < NV; i++)
			top[i] = m[i];
		copy_k(tile, k + t.at * k_ld, k_ld, t.n, D, DP);
		for (int r = 0; r < t.n; r += RB) {
			float16 c[RB][NV];

			product(c, tile + r * DP, DP, 1, D, qt);
			UNROLL for (int i = 0; i < RB; i++)
				UNROLL for (int j = 0; j < NV; j++) {
					const int key = t.at + r + i;
					float16 s = capped(c[i][j], cap);

					if (!whole)
						s = select((float16)-INFINITY, s, see.first[j] <= key & min(see.end[j], (int16)(t.at + t.n)) > key);
					top[j] = fmax(top[j], s);
					p[(r + i) * NV + j] = s;
				}
		}
		UNROLL for (int i = 0; i < NV; i++) {
			shrink[i] = exp_16(m[i] - top[i]);
			m[i] = top[i];
			sum[i] = 0;
		}
		for (int r = 0; r < t.n; r++)
			UNROLL for (int i = 0; i < NV; i++) {
				p[r * NV + i] = exp_16(p[r * NV + i] - m[i]);
				sum[i] += p[r * NV + i];
			}
		UNROLL for (int i = 0; i < NV; i++)
			l[i] = fma(l[i], shrink[i], sum[i]);
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

/* dq: as forward, the probabilities from lse; delta (rows, heads) = the sum over columns of dy · y. */
__kernel WG1 void attention_bwd_q_cpu(__global float *dq, long dq_off, long dq_ld, __global const float *dy, long dy_off, long dy_ld,
	__global const float *lse, long lse_off, long lse_ld, __global const float *delta,
	__global const float *q, long q_off, long q_ld, __global const float *k, long k_off, long k_ld,
	__global const float *v, long v_off, long v_ld, __global const int *span, long span_off,
	int rows, int heads, int group, int tiles, int q_period, int kv_period, float scale, float cap, int add)
{
	const int h = get_global_id(1), q0 = lanes_at(get_global_id(0), tiles, q_period);
	const int nq = min(NL, min((q0 / q_period + 1) * q_period, rows) - q0);
	float16 qt[D * NV], dyt[DV * NV], dqt[DP * NV], ds[NR * NV], store_k[NR * DP / 16], store_v[NR * DVP / 16];
	float16 high[NV], along[NV];
	float *k_tile = (float *)store_k, *v_tile = (float *)store_v;
	struct sight see;
	struct tile t;

	if (nq <= 0)
		return;
	look(&see, span + span_off + 2 * q0, nq);
	turn_in(qt, q + q_off + q0 * q_ld + h * D, q_ld, nq, D, scale);
	turn_in(dyt, dy + dy_off + q0 * dy_ld + h * DV, dy_ld, nq, DV, 1);
	lanes_in(high, lse + lse_off + q0 * lse_ld + h, lse_ld, nq);
	lanes_in(along, delta + (long)q0 * heads + h, heads, nq);
	for (int i = 0; i < DP * NV; i++)
		dqt[i] = 0;
	k += k_off + h / group * D;
	v += v_off + h / group * DV;
	for (int row = see.from; row < see.to; row = t.next) {
		t = tile_at(row, see.to, kv_period);
		if (!any_sees(&see, t))
			continue;
		copy_rows(k_tile, k + t.at * k_ld, k_ld, t.n, D, DP);
		copy_rows(v_tile, v + t.at * v_ld, v_ld, t.n, DV, DVP);
		for (int r = 0; r < t.n; r += RB) {
			float16 c[RB][NV];

			product(c, v_tile + r * DVP, DVP, 1, DV, dyt);
			UNROLL for (int i = 0; i < RB; i++)
				UNROLL for (int j = 0; j < NV; j++)
					ds[(r + i) * NV + j] = c[i][j] - along[j];
			product(c, k_tile + r * DP, DP, 1, D, qt);
			UNROLL for (int i = 0; i < RB; i++)
				UNROLL for (int j = 0; j < NV; j++) {
					const int key = t.at + r + i;
					const float16 s = capped(c[i][j], cap);
					const float16 x = times_slope(exp_16(s - high[j]) * ds[(r + i) * NV + j], s, cap);

					ds[(r + i) * NV + j] = select((float16)0, x, see.first[j] <= key & see.end[j] > key);
				}
		}
		for (int d = 0; d < DP; d += RB) {
			float16 c[RB][NV];

			product(c, k_tile + d, 1, DP, t.n, ds);
			UNROLL for (int i = 0; i < RB; i++)
				UNROLL for (int j = 0; j < NV; j++)
					dqt[(d + i) * NV + j] += c[i][j];
		}
	}
	turn_out(dq + dq_off + q0 * dq_ld + h * D, dq_ld, dqt, nq, D, scale, add);
}

/* dk and dv: the lanes are keys, the rows are queries, of one head of the group after the other. dk or dv may be NULL. */
__kernel WG1 void attention_bwd_kv_cpu(__global float *dk, long dk_off, long dk_ld, __global float *dv, long dv_off, long dv_ld,
	__global const float *dy, long dy_off, long dy_ld, __global const float *lse, long lse_off, long lse_ld, __global const float *delta,
	__global const float *q, long q_off, long q_ld, __global const float *k, long k_off, long k_ld,
	__global const float *v, long v_off, long v_ld, __global const int *span, long span_off, __global const int *kspan, long kspan_off,
	int keys, int heads, int group, int tiles, int q_period, int kv_period, float scale, float cap, int add_k, int add_v)
{
	const int kv_head = get_global_id(1);
	const int k0 = get_global_id(0) / tiles * kv_period + get_global_id(0) % tiles * NL;
	const int nk = min(NL, min((k0 / kv_period + 1) * kv_period, keys) - k0);
	const int16 lane = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
	float16 kt[D * NV], vt[DV * NV], dkt[DP * NV], dvt[DVP * NV], p[NR * NV], ds[NR * NV], store_q[NR * DP / 16], store_dy[NR * DVP / 16];
	float *q_tile = (float *)store_q, *dy_tile = (float *)store_dy;
	struct sight see;
	struct tile t;

	if (nk <= 0)
		return;
	look(&see, kspan + kspan_off + 2 * k0, nk);
	turn_in(kt, k + k_off + k0 * k_ld + kv_head * D, k_ld, nk, D, scale);
	turn_in(vt, v + v_off + k0 * v_ld + kv_head * DV, v_ld, nk, DV, 1);
	for (int i = 0; i < DP * NV; i++)
		dkt[i] = 0;
	for (int i = 0; i < DVP * NV; i++)
		dvt[i] = 0;
	span += span_off;
	for (int h = kv_head * group; h < (kv_head + 1) * group; h++)
		for (int row = see.from; row < see.to; row = t.next) {
			t = tile_at(row, see.to, q_period);
			if (!any_sees(&see, t))
				continue;
			copy_rows(q_tile, q + q_off + t.at * q_ld + h * D, q_ld, t.n, D, DP);
			copy_rows(dy_tile, dy + dy_off + t.at * dy_ld + h * DV, dy_ld, t.n, DV, DVP);
			for (int r = 0; r < t.n; r += RB) {
				float16 c[RB][NV];

				product(c, dy_tile + r * DVP, DVP, 1, DV, vt);
				UNROLL for (int i = 0; i < RB; i++)
					UNROLL for (int j = 0; j < NV; j++)
						ds[(r + i) * NV + j] = c[i][j];
				product(c, q_tile + r * DP, DP, 1, D, kt);
				UNROLL for (int i = 0; i < RB; i++) {
					const long query = min(t.at + r + i, t.at + t.n - 1);
					const int first = span[2 * query], end = span[2 * query + 1];
					const float high = lse[lse_off + query * lse_ld + h], along = delta[query * heads + h];

					UNROLL for (int j = 0; j < NV; j++) {
						const int16 key = k0 + 16 * j + lane;
						const float16 s = capped(c[i][j], cap);
						const float16 x = select((float16)0, exp_16(s - high), key >= first & key < end);

						p[(r + i) * NV + j] = x;
						ds[(r + i) * NV + j] = times_slope(x * (ds[(r + i) * NV + j] - along), s, cap);
					}
				}
			}
			for (int d = 0; d < DVP; d += RB) {
				float16 c[RB][NV];

				product(c, dy_tile + d, 1, DVP, t.n, p);
				UNROLL for (int i = 0; i < RB; i++)
					UNROLL for (int j = 0; j < NV; j++)
						dvt[(d + i) * NV + j] += c[i][j];
			}
			for (int d = 0; d < DP; d += RB) {
				float16 c[RB][NV];

				product(c, q_tile + d, 1, DP, t.n, ds);
				UNROLL for (int i = 0; i < RB; i++)
					UNROLL for (int j = 0; j < NV; j++)
						dkt[(d + i) * NV + j] += c[i][j];
			}
		}
	if (dk)
		turn_out(dk + dk_off + k0 * dk_ld + kv_head * D, dk_ld, dkt, nk, D, scale, add_k);
	if (dv)
		turn_out(dv + dv_off + k0 * dv_ld + kv_head * DV, dv_ld, dvt, nk, DV, 1, add_v);
}

/* delta (rows, heads) = the sum over columns of dy · y. An item: (row, head). */
__kernel WG1 void attention_delta_cpu(__global float *delta, __global const float *dy, long dy_off, long dy_ld,
	__global const float *y, long y_off, long y_ld)
{
	const long row = get_global_id(0);
	const int h = get_global_id(1);
	float16 sum = 0;
	float rest = 0;
	int c = 0;

	dy += dy_off + row * dy_ld + h * DV;
	y += y_off + row * y_ld + h * DV;
	for (; c + 16 <= DV; c += 16)
		sum = fma(vload16(0, dy + c), vload16(0, y + c), sum);
	for (; c < DV; c++)
		rest = fma(dy[c], y[c], rest);
	delta[row * get_global_size(1) + h] = sum16(sum) + rest;
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
	for (int i = 0; i < GROUP * DW; i++)
		query[i] *= scale;
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
				s[g * BLOCKS + b] = select((float16)-INFINITY, capped(dots(query + g * DW, store), cap), key >= at & key < at + n);
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
