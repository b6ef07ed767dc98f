//! use rowsum gemm_pairs amx attention_tile
/* attention_bwd_cpu.cl: the gradients of attention, for CPUs. lib/op/attention.c has the formulas, attention_tile.cl the ideas;
 * kernels/attention.cl is the same for every device.
 *
 * There are two ways with the same bits. attention_bwd_kv_cpu, given memory for dq, does all the gradients of a sequence and a
 * group of heads in one item: five products. Where that leaves cores idle, it does dk and dv in an item a tile of keys,
 * and attention_bwd_q_cpu dq: seven products. Measured on 2 cores of a Zen 4, counting five: 160 and 131 GFLOP/s; the
 * first by pairs, a core, 130 to 149. */

/* to[column][lane] += the products of the columns of n units of rows with panel[unit][lane], from zero for each tile. */
inline void add_product(float *to, const unit *rows, int padded, int n, const units *panel)
{
	for (int d = 0; d < padded; d += RB, to += RB * TILE) {
		float16 s[RB][NV];

		sums(s, ALONG(rows, d, padded), n, panel);
		UNROLL for (int i = 0; i < RB * NV; i++)
			vstore16(vload16(i, to) + s[i / NV][i % NV], i, to);
	}
}

/* The rows of t of head h of a matrix as units: as they were packed, or copied to `tile`. from: the head's first column. */
#define DEFINE_ROWS(way) \
	inline const unit *rows_##way(unit *tile, __global const unit *packed, long at, __global const float *from, long ld, struct tile t, int period, \
		int heads, int h, int cols, int padded) \
	{ \
		const unit *rows = packed_##way(packed, at, t, period, heads, h, padded); \
		if (!rows) \
			copy_rows_##way(tile, from + t.at * ld, ld, t.n, t.pad, cols, padded); \
		return rows ? rows : tile; \
	}
DEFINE_ROWS(across)
DEFINE_ROWS(along)

/* The first n rows of a panel of numbers as units, with zeros behind them; of an odd one the other half is what it is, and meets a zero. room: for them. */
#ifdef PAIRS
inline const units *united(units *room, const float16 *rows, int n)
{
	for (int r = 0; r < n; r += PER)
		UNROLL for (int j = 0; j < NV; j++) {
			const float16 e[PER] = {rows[r * NV + j], rows[(r + 1) * NV + j]};

			room[r / PER * NV + j] = unite(e);
		}
	blank(room, UNITS(n));
	return room;
}
#else
#define united(room, rows, n) (rows)
#endif

/* delta (rows, heads) = the sum over columns of dy · y, added up in the order of the products of dy and v, so that ds is exactly
 * zero where a query sees one key. An item: (tile of rows, head). */
__kernel WG1 void attention_delta_cpu(__global float *delta, __global const float *dy, long dy_off, long dy_ld,
	__global const float *y, long y_off, long y_ld, int rows)
{
	const long row = get_global_id(0) * TILE;
	const int h = get_global_id(1), heads = get_global_size(1), n = min((long)TILE, rows - row);
	units yt[UNITS(DVP) * NV];

	fetch_rows(dy + dy_off + row * dy_ld + h * DV, dy_ld, n, DV);
	fetch_rows(y + y_off + row * y_ld + h * DV, y_ld, n, DV);
	turn_in(yt, y + y_off + row * y_ld + h * DV, y_ld, n, DV);
	delta += row * heads + h;
#ifdef AMX
	units store[NV * DVP + SPARE];
	unit *tile = (unit *)store;

	/* of all products of rows, those of a row with itself */
	copy_rows_across(tile, dy + dy_off + row * dy_ld + h * DV, dy_ld, n, 0, DV, DVP);
	begin_tiles();
	for (int r = 0; r < n; r += RB) {
		float16 c[RB][NV];

		product(c, ACROSS(tile, r, DVP), UNITS(DV), yt);
		for (int i = 0; i < RB && r + i < n; i++)
			delta[(r + i) * heads] = ((const float *)c[i])[r + i];
	}
	end_tiles();
#else
	units dyt[UNITS(DVP) * NV];
	float16 sum[NV];

	turn_in(dyt, dy + dy_off + row * dy_ld + h * DV, dy_ld, n, DV);
	zero(sum, NV);
	for (int d = 0; d < UNITS(DV); d++)
		UNROLL for (int i = 0; i < NV; i++)
			MULTIPLY(sum[i], dyt[d * NV + i], yt[d * NV + i]);
	turn_out(delta, heads, sum, n, 1, 1, 0);
#endif
}

/* dq. The lanes are queries, the rows keys. packed: k across and along, and v across, each of so many tiles, or NULL. An item: (tile of lanes,
 * head). */
__kernel WG1 void attention_bwd_q_cpu(__global float *dq, long dq_off, long dq_ld, __global const float *dy, long dy_off, long dy_ld,
	__global const float *lse, long lse_off, long lse_ld, __global const float *delta,
	__global const float *q, long q_off, long q_ld, __global const float *k, long k_off, long k_ld,
	__global const float *v, long v_off, long v_ld, __global const int *span, long span_off, __global const unit *packed, long packed_off,
	int packed_tiles, int rows, int heads, int group, int tiles, int q_period, int kv_period, float scale, float cap, int add)
{
	const int h = get_global_id(1), kv_heads = heads / group, q0 = lanes_at(get_global_id(0), tiles, q_period);
	const int nq = min(TILE, min((q0 / q_period + 1) * q_period, rows) - q0);
	units qt[UNITS(DP) * NV], dyt[UNITS(DVP) * NV], store_k[NV * DP + SPARE], store_v[NV * DVP + SPARE];
	float16 dqt[DP * NV], ds[TILE * NV], high[NV], along[NV];
	unit *k_tile = (unit *)store_k, *v_tile = (unit *)store_v;
	units w[UNITS(TILE) * NV];
	const unit *keys, *values;
	const long packed_k = packed_tiles * PACKED(kv_heads, DP);
	struct sight see;
	struct tile t;

	if (nq <= 0)
		return;
	look(&see, span + span_off + 2 * q0, nq);
	turn_in(qt, q + q_off + q0 * q_ld + h * D, q_ld, nq, D);
	turn_in(dyt, dy + dy_off + q0 * dy_ld + h * DV, dy_ld, nq, DV);
	lanes_in(high, lse + lse_off + q0 * lse_ld + h, lse_ld, nq);
	lanes_in(along, delta + (long)q0 * heads + h, heads, nq);
	zero(dqt, DP * NV);
	begin_tiles();
	k += k_off + h / group * D;
	v += v_off + h / group * DV;
	for (int row = see.from; row < see.to; row = t.next) {
		t = tile_at(&see, row, kv_period);
		if (t.n == 0)
			continue;
		keys = rows_across(k_tile, packed, packed_off, k, k_ld, t, kv_period, kv_heads, h / group, D, DP);
		values = rows_across(v_tile, packed, packed_off + 2 * packed_k, v, v_ld, t, kv_period, kv_heads, h / group, DV, DVP);
		for (int r = 0; r < t.n; r += RB) {
			float16 c[RB][NV];

			product(c, ACROSS(values, r, DVP), UNITS(DV), dyt);
			UNROLL for (int i = 0; i < RB; i++)
				UNROLL for (int j = 0; j < NV; j++)
					ds[(r + i) * NV + j] = c[i][j] - along[j];
			product(c, ACROSS(keys, r, DP), UNITS(D), qt);
			UNROLL for (int i = 0; i < RB; i++)
				UNROLL for (int j = 0; j < NV; j++) {
					const int key = t.at + r + i;
					const float16 s = score(c[i][j], scale, cap);
					const float16 p = select((float16)0, exp_weight(s - high[j]), see.first[j] <= key & see.end[j] > key);

					ds[(r + i) * NV + j] = times_slope(p * ds[(r + i) * NV + j], s, cap);
				}
		}
#ifdef PAIRS
		keys = rows_along(k_tile, packed, packed_off + packed_k, k, k_ld, t, kv_period, kv_heads, h / group, D, DP);
#endif
		add_product((float *)dqt, keys, DP, UNITS(t.n), united(w, ds, t.n));
	}
	end_tiles();
	turn_out(dq + dq_off + q0 * dq_ld + h * D, dq_ld, dqt, nq, D, scale, add);
}

/* Of a tile of rows (queries) and the lanes (keys from k0 on): p, and ds, the gradient of the scaled products, zero where a query
 * does not see a key. span, lse and delta are those of the tile's first row. */
inline void back(float16 *p, float16 *ds, const unit *q_tile, const unit *dy_tile, const units *kt, const units *vt, int n, int k0,
	__global const int *span, __global const float *lse, long lse_ld, __global const float *delta, int heads, float scale, float cap)
{
	const int16 lane = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

	for (int r = 0; r < n; r += RB) {
		float16 c[RB][NV];

		product(c, ACROSS(dy_tile, r, DVP), UNITS(DV), vt);
		UNROLL for (int i = 0; i < RB; i++)
			UNROLL for (int j = 0; j < NV; j++)
				ds[(r + i) * NV + j] = c[i][j];
		product(c, ACROSS(q_tile, r, DP), UNITS(D), kt);
		UNROLL for (int i = 0; i < RB; i++) {
			const int row = min(r + i, n - 1), first = span[2 * row], end = span[2 * row + 1];
			const float high = lse[row * lse_ld], along = delta[row * heads];

			UNROLL for (int j = 0; j < NV; j++) {
				const int16 key = k0 + 16 * j + lane;
				const float16 s = score(c[i][j], scale, cap);
				const float16 x = select((float16)0, exp_weight(s - high), key >= first & key < end);

				p[(r + i) * NV + j] = x;
				ds[(r + i) * NV + j] = times_slope(x * (ds[(r + i) * NV + j] - along), s, cap);
			}
		}
	}
}

/* The gradient that a tile of keys adds to that of a tile of queries, whose rows at .. at+n−1 are in ds: the lanes become queries. */
inline void add_dq(__global float *panel, float16 *ds, float16 *turned, int at, int n, const unit *k_tile, int nk)
{
	units w[UNITS(TILE) * NV];

	for (int i = 0; i < TILE * NV; i++)
		if (i < at * NV || i >= (at + n) * NV)
			ds[i] = 0;
	turn_tile(turned, ds);
	add_product((float *)(size_t)panel, k_tile, DP, UNITS(nk), united(w, turned, nk));
}

/* dk and dv (either may be NULL); with `whole` dq too, summed in panels (sequences, kv heads, group, q_tiles, DP, TILE). The lanes are
 * keys, the rows queries. packed: q across and along, and dy likewise, each of so many tiles, or NULL. An item: (tile of lanes, or with
 * `whole` sequence, kv head). */
__kernel WG1 void attention_bwd_kv_cpu(__global float *dk, long dk_off, long dk_ld, __global float *dv, long dv_off, long dv_ld,
	__global float *dq, long dq_off, long dq_ld, __global float *panels, long panels_off, __global const float *dy, long dy_off, long dy_ld,
	__global const float *lse, long lse_off, long lse_ld, __global const float *delta, __global const float *q, long q_off, long q_ld,
	__global const float *k, long k_off, long k_ld, __global const float *v, long v_off, long v_ld, __global const int *span, long span_off,
	__global const int *kspan, long kspan_off, __global const unit *packed, long packed_off, int packed_tiles, int rows, int keys, int group,
	int tiles, int q_tiles, int q_period, int kv_period, float scale, float cap, int add_k, int add_v, int add_q, int whole)
{
	const int kv_head = get_global_id(1), heads = get_global_size(1) * group, sequence = get_global_id(0) / (whole ? 1 : tiles);
	const int first = sequence * kv_period + (whole ? 0 : (int)get_global_id(0) % tiles * TILE);
	const int end = min(keys, whole ? (sequence + 1) * kv_period : min(first + TILE, (sequence + 1) * kv_period));
	units kt[UNITS(DP) * NV], vt[UNITS(DVP) * NV], store_q[NV * DP + SPARE], store_k[NV * DP + SPARE], store_dy[NV * DVP + SPARE];
	float16 dkt[DP * NV], dvt[DVP * NV], p[TILE * NV], ds[(TILE + RB) * NV];
	unit *q_tile = (unit *)store_q, *k_tile = (unit *)store_k, *dy_tile = (unit *)store_dy;
	const long packed_q = packed_tiles * PACKED(heads, DP), packed_dy = packed_tiles * PACKED(heads, DVP);
	units w[UNITS(TILE) * NV];
	const unit *queries, *up;

	begin_tiles();
	span += span_off;
	lse += lse_off;
	panels += panels_off + ((long)sequence * get_global_size(1) + kv_head) * group * q_tiles * DP * TILE;
	for (int i = 0; whole && i < group * q_tiles * DP * NV; i++)
		vstore16((float16)0, i, panels);
	for (int k0 = first; k0 < end; k0 += TILE) {
		const int nk = min(TILE, end - k0);
		struct sight see;
		struct tile t;

		fetch_rows(k + k_off + k0 * k_ld + kv_head * D, k_ld, nk, D);
		fetch_rows(v + v_off + k0 * v_ld + kv_head * DV, v_ld, nk, DV);
		if (dk)
			fetch_rows(dk + dk_off + k0 * dk_ld + kv_head * D, dk_ld, nk, D);
		if (dv)
			fetch_rows(dv + dv_off + k0 * dv_ld + kv_head * DV, dv_ld, nk, DV);
		look(&see, kspan + kspan_off + 2 * k0, nk);
		turn_in(kt, k + k_off + k0 * k_ld + kv_head * D, k_ld, nk, D);
		turn_in(vt, v + v_off + k0 * v_ld + kv_head * DV, v_ld, nk, DV);
		copy_rows_along(k_tile, k + k_off + k0 * k_ld + kv_head * D, k_ld, nk, 0, D, DP);
		zero(dkt, DP * NV);
		zero(dvt, DVP * NV);
		for (int h = kv_head * group; h < (kv_head + 1) * group; h++)
			for (int row = see.from; row < see.to; row = t.next) {
				t = tile_at(&see, row, q_period);
				if (t.n == 0)
					continue;
				const int at = t.at % q_period % TILE;
				__global float *panel = panels + ((long)(h % group) * q_tiles + t.at % q_period / TILE) * DP * TILE;

				queries = rows_across(q_tile, packed, packed_off, q + q_off + h * D, q_ld, t, q_period, heads, h, D, DP);
				up = rows_across(dy_tile, packed, packed_off + 2 * packed_q, dy + dy_off + h * DV, dy_ld, t, q_period, heads, h, DV, DVP);
				back(p, ds + at * NV, queries, up, kt, vt, t.n, k0, span + 2 * t.at, lse + t.at * lse_ld + h, lse_ld,
					delta + (long)t.at * heads + h, heads, scale, cap);
#ifdef PAIRS
				queries = rows_along(q_tile, packed, packed_off + packed_q, q + q_off + h * D, q_ld, t, q_period, heads, h, D, DP);
				up = rows_along(dy_tile, packed, packed_off + 2 * packed_q + packed_dy, dy + dy_off + h * DV, dy_ld, t, q_period, heads, h, DV, DVP);
#endif
				add_product((float *)dvt, up, DVP, UNITS(t.n), united(w, p, t.n));
				add_product((float *)dkt, queries, DP, UNITS(t.n), united(w, ds + at * NV, t.n));
				if (whole)
					add_dq(panel, ds, p, at, t.n, k_tile, nk);
			}
		if (dk)
			turn_out(dk + dk_off + k0 * dk_ld + kv_head * D, dk_ld, dkt, nk, D, scale, add_k);
		if (dv)
			turn_out(dv + dv_off + k0 * dv_ld + kv_head * DV, dv_ld, dvt, nk, DV, 1, add_v);
	}
	for (int i = 0; whole && i < group * q_tiles; i++) {
		const int row = sequence * q_period + i % q_tiles * TILE, n = min(TILE, min(rows, (sequence + 1) * q_period) - row);

		for (int j = 0; j < DP * NV; j++)
			dkt[j] = vload16(i * DP * NV + j, panels);
		turn_out(dq + dq_off + row * dq_ld + (kv_head * group + i / q_tiles) * D, dq_ld, dkt, n, D, scale, add_q);
	}
	end_tiles();
}
