//! use rowsum gemm_pairs amx attention_tile
/* attention_cpu.cl: attention forward, for CPUs. lib/op/attention.c has the formulas, attention_tile.cl the ideas;
 * kernels/attention.cl is the same for every device.
 * Measured on 2 cores of a Zen 4, causal, heads of 64 and 128: 138 and 153 GFLOP/s at 512 keys, 152 and 156 at 1024, 170 at 4096; products
 * alone reach 209 (gemm_cpu.cl). By pairs, a core: 132 and 152 at 1024, 152 and 172 at 4096; products 207 (gemm_bf16.cl). */

/* A tile of keys for the lanes: w = exp(score − m) with the new m, and with what to shrink that which was summed before. p: room. */
inline void weights(units *w, float16 *p, float16 m[NV], float16 l[NV], float16 shrink[NV], const unit *keys, const units *qt, const struct sight *see,
	struct tile t, float scale, float cap)
{
	const int whole = t.at >= see->all_from && t.at + t.n <= see->all_to && t.n % RB == 0;
	float16 top[NV], sum[NV];

	UNROLL for (int j = 0; j < NV; j++)
		top[j] = m[j];
	for (int r = 0; r < t.n; r += RB) {
		float16 c[RB][NV];

		product(c, ACROSS(keys, r, DP), UNITS(D), qt);
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
	for (int r = 0; r < t.n; r += PER)
		UNROLL for (int j = 0; j < NV; j++) {
			float16 e[PER];

			UNROLL for (int i = 0; i < PER; i++) {
				e[i] = exp_weight(p[(r + i) * NV + j] - m[j]);
				sum[j] += e[i];
			}
			w[r / PER * NV + j] = unite(e);
		}
	blank(w, UNITS(t.n));
	UNROLL for (int j = 0; j < NV; j++)
		l[j] = fma(l[j], shrink[j], sum[j]);
}

#ifdef PAIRS
/* A tile of x (rows, heads · cols) as units. An item: (tile of rows, head). */
__kernel WG1 void attention_pack_cpu(__global uint *out, long out_off, __global const float *x, long x_off, long x_ld, int rows, int period, int tiles,
	int cols, int along)
{
	const int tile = get_global_id(0), h = get_global_id(1), at = tile / tiles * period + tile % tiles * TILE, padded = UP(cols);
	const int n = min(TILE, min((tile / tiles + 1) * period, rows) - at);
	units store[NV * (DP > DVP ? DP : DVP) + SPARE];

	if (n <= 0)
		return;
	x += x_off + at * x_ld + h * cols;
	if (along)
		copy_rows_along((uint *)store, x, x_ld, n, 0, cols, padded);
	else
		copy_rows_across((uint *)store, x, x_ld, n, 0, cols, padded);
	out += out_off + tile * PACKED(get_global_size(1), padded) + h * TILE / PER * padded;
	for (int i = 0; i < UNITS(along ? ALONG_ROWS(n) : n) * padded; i += 8)
		vstore8(vload8(0, (const uint *)store + i), 0, out + i);
}
#endif

/* The forward pass of a tile of rows from q0 on and of head h. packed: k across and v along, each of so many tiles, or NULL. */
APART void attend(__global float *y, long y_off, long y_ld, __global float *lse, long lse_off, long lse_ld,
	__global const float *q, long q_off, long q_ld, __global const STORAGE(TYPE_K) *k, long k_off, long k_ld,
	__global const STORAGE(TYPE_V) *v, long v_off, long v_ld, __global const int *span, long span_off,
	__global const STORAGE(TYPE_S) *sinks, long sinks_off, __global const unit *packed, int packed_tiles, int rows, int group, int tiles,
	int q_period, int kv_period, float scale, float cap, int h, int kv_heads, int q0)
{
	const int nq = min(TILE, min((q0 / q_period + 1) * q_period, rows) - q0);
	units qt[UNITS(DP) * NV], store[NV * (DP > DVP ? DP : DVP) + SPARE];
	float16 yt[DVP * NV], p[TILE * NV], m[NV], l[NV], shrink[NV];
#ifdef PAIRS
	units w[TILE / PER * NV];
#else
	units *w = p;
#endif
	unit *tile = (unit *)store;
	const unit *keys, *values;
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
		t = tile_at(&see, row, kv_period);
		if (t.n == 0)
			continue;
		keys = packed_across(packed, 0, t, kv_period, kv_heads, h / group, DP);
		values = packed_along(packed, packed_tiles * PACKED(kv_heads, DP), t, kv_period, kv_heads, h / group, DVP);
		if (!keys)
			copy_k_across(tile, k + t.at * k_ld, k_ld, t.n, t.pad, D, DP);
		weights(w, p, m, l, shrink, keys ? keys : tile, qt, &see, t, scale, cap);
		if (!values)
			copy_v_along(tile, v + t.at * v_ld, v_ld, t.n, t.pad, DV, DVP);
		for (int d = 0; d < DVP; d += RB) {
			float16 c[RB][NV];

			product(c, ALONG(values ? values : tile, d, DVP), UNITS(t.n), w);
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

__kernel WG1 void attention_fwd_cpu(__global float *y, long y_off, long y_ld, __global float *lse, long lse_off, long lse_ld,
	__global const float *q, long q_off, long q_ld, __global const STORAGE(TYPE_K) *k, long k_off, long k_ld,
	__global const STORAGE(TYPE_V) *v, long v_off, long v_ld, __global const int *span, long span_off,
	__global const STORAGE(TYPE_S) *sinks, long sinks_off, __global const unit *packed, int packed_tiles, int rows, int group, int tiles,
	int q_period, int kv_period, float scale, float cap)
{
	begin_tiles();
	attend(y, y_off, y_ld, lse, lse_off, lse_ld, q, q_off, q_ld, k, k_off, k_ld, v, v_off, v_ld, span, span_off, sinks, sinks_off, packed, packed_tiles,
		rows, group, tiles, q_period, kv_period, scale, cap, get_global_id(1), get_global_size(1) / group,
		lanes_at(get_global_id(0), tiles, q_period));
	end_tiles();
}
