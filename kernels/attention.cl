//! use rowsum attention_chunks
/* attention.cl: attention for every device: an item does one query or one key of one head, going through what it sees one by
 * one. lib/op/attention.c has the formulas; kernels/attention_cpu.cl is for CPUs.
 *
 * D, DV: columns of a head in q and k, and in v. TYPE_K, TYPE_V, TYPE_S: storage of k, v and sinks. SOFTCAP: there is a cap. */
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

/* The first columns of a row of storage `type` to private memory, times a factor; and their product with such a row. */
#define ROW_IN(to, type, from, cols, factor) do { \
	for (int i_ = 0; i_ < (cols); i_++) \
		(to)[i_] = (factor) * LOAD(type, from, i_); \
} while (0)
#define ROW_DOT(sum, a, type, b, cols) do { \
	sum = 0; \
	for (int i_ = 0; i_ < (cols); i_++) \
		sum = fma((a)[i_], LOAD(type, b, i_), sum); \
} while (0)

inline float capped(float s, float cap)
{
#if SOFTCAP
	s = cap * tanh_f(s / cap);
#endif
	return s;
}

/* x · d capped(s) / ds, from the capped score. */
inline float times_slope(float x, float s, float cap)
{
#if SOFTCAP
	x *= 1 - (s / cap) * (s / cap);
#endif
	return x;
}

/* One query: the sums of exp(score − m) and of these times v, over the keys from .. to. m starts as a number below every score. */
inline struct softmax attend(float *y, const float *q, __global const STORAGE(TYPE_K) *k, long k_ld, __global const STORAGE(TYPE_V) *v,
	long v_ld, int from, int to, struct softmax now, float cap)
{
	for (int key = from; key < to; key++) {
		__global const STORAGE(TYPE_V) *row = v + key * v_ld;
		float s, p, shrink = 1;

		ROW_DOT(s, q, TYPE_K, k + key * k_ld, D);
		s = capped(s, cap);
		if (s > now.m) {
			shrink = exp_f(now.m - s);
			now.m = s;
		}
		p = exp_f(s - now.m);
		now.l = fma(now.l, shrink, p);
		for (int i = 0; i < DV; i++)
			y[i] = fma(p, LOAD(TYPE_V, row, i), y[i] * shrink);
	}
	return now;
}

/* y and lse, the log of the sum of exp(score), sinks included; infinite where a query sees nothing. An item: (row, head). */
__kernel void attention_fwd(__global float *y, long y_off, long y_ld, __global float *lse, long lse_off, long lse_ld,
	__global const float *q, long q_off, long q_ld, __global const STORAGE(TYPE_K) *k, long k_off, long k_ld,
	__global const STORAGE(TYPE_V) *v, long v_off, long v_ld, __global const int *span, long span_off,
	__global const STORAGE(TYPE_S) *sinks, long sinks_off, int rows, int group, float scale, float cap)
{
	const long row = get_global_id(0);
	const int h = get_global_id(1);
	float query[D], sum[DV];
	struct softmax now = {LOWEST, 0};

	if (row >= rows)
		return;
	if (sinks)
		now = (struct softmax){LOAD(TYPE_S, sinks, sinks_off + h), 1};
	for (int i = 0; i < DV; i++)
		sum[i] = 0;
	ROW_IN(query, f32, q + q_off + row * q_ld + h * D, D, scale);
	span += span_off + 2 * row;
	now = attend(sum, query, k + k_off + h / group * D, k_ld, v + v_off + h / group * DV, v_ld, span[0], span[1], now, cap);
	y += y_off + row * y_ld + h * DV;
	for (int i = 0; i < DV; i++)
		y[i] = now.l > 0 ? sum[i] / now.l : 0;
	lse[lse_off + row * lse_ld + h] = now.l > 0 ? now.m + log(now.l) : INFINITY;
}

/* ---- decoding: keys in chunks ---- */

/* A share of the chunks of a query, for the heads of a group: in parts (rows, heads, chunks, DV + 2) m, l and the sums of a chunk. An
 * item: (worker, kv head, row). */
__kernel void attention_part(__global float *parts, __global const float *q, long q_off, long q_ld,
	__global const STORAGE(TYPE_K) *k, long k_off, long k_ld, __global const STORAGE(TYPE_V) *v, long v_off, long v_ld,
	__global const int *span, long span_off, int group, int kv_period, int chunks, float scale, float cap)
{
	const int kv_head = get_global_id(1), heads = get_global_size(1) * group;
	const long row = get_global_id(2);
	const struct chunks all = chunks_seen(span + span_off + 2 * row, kv_period, chunks);
	const struct chunks mine = chunks_share(all, get_global_id(0), get_global_size(0));
	float query[D], sum[DV];

	for (int c = mine.first; c < mine.end; c++)
		for (int h = kv_head * group; h < (kv_head + 1) * group; h++) {
			__global float *out = parts + ((row * heads + h) * chunks + c) * (DV + 2);
			struct softmax now = {LOWEST, 0};

			for (int i = 0; i < DV; i++)
				sum[i] = 0;
			ROW_IN(query, f32, q + q_off + row * q_ld + h * D, D, scale);
			now = attend(sum, query, k + k_off + kv_head * D, k_ld, v + v_off + kv_head * DV, v_ld,
				max(mine.from, mine.start + c * PART), min(mine.to, mine.start + (c + 1) * PART), now, cap);
			out[0] = now.m;
			out[1] = now.l;
			for (int i = 0; i < DV; i++)
				out[2 + i] = sum[i];
		}
}

/* An item: (row, head). */
__kernel void attention_join(__global float *y, long y_off, long y_ld, __global const float *parts, __global const int *span, long span_off,
	__global const STORAGE(TYPE_S) *sinks, long sinks_off, int kv_period, int chunks)
{
	attention_join_item(y, y_off, y_ld, parts, span, span_off, sinks, sinks_off, kv_period, chunks, get_global_id(0), get_global_id(1),
		get_global_size(1));
}

/* ---- backward ---- */

/* delta (rows, heads) = the sum over columns of dy · y. An item: (row, head). */
__kernel void attention_delta(__global float *delta, __global const float *dy, long dy_off, long dy_ld,
	__global const float *y, long y_off, long y_ld, int rows)
{
	const long row = get_global_id(0);
	const int h = get_global_id(1);
	float sum;

	if (row >= rows)
		return;
	dy += dy_off + row * dy_ld + h * DV;
	y += y_off + row * y_ld + h * DV;
	ROW_DOT(sum, dy, f32, y, DV);
	delta[row * get_global_size(1) + h] = sum;
}

/* dq. An item: (row, head). */
__kernel void attention_bwd_q(__global float *dq, long dq_off, long dq_ld, __global const float *dy, long dy_off, long dy_ld,
	__global const float *lse, long lse_off, long lse_ld, __global const float *delta,
	__global const float *q, long q_off, long q_ld, __global const float *k, long k_off, long k_ld,
	__global const float *v, long v_off, long v_ld, __global const int *span, long span_off,
	int rows, int heads, int group, float scale, float cap, int add)
{
	const long row = get_global_id(0);
	const int h = get_global_id(1);
	float query[D], up[DV], sum[D];

	if (row >= rows)
		return;
	ROW_IN(query, f32, q + q_off + row * q_ld + h * D, D, scale);
	ROW_IN(up, f32, dy + dy_off + row * dy_ld + h * DV, DV, 1);
	for (int i = 0; i < D; i++)
		sum[i] = 0;
	span += span_off + 2 * row;
	k += k_off + h / group * D;
	v += v_off + h / group * DV;
	for (int key = span[0]; key < span[1]; key++) {
		float s, dp;

		ROW_DOT(s, query, f32, k + key * k_ld, D);
		ROW_DOT(dp, up, f32, v + key * v_ld, DV);
		s = capped(s, cap);
		dp = times_slope(exp_f(s - lse[lse_off + row * lse_ld + h]) * (dp - delta[row * heads + h]), s, cap);
		for (int i = 0; i < D; i++)
			sum[i] = fma(dp, k[key * k_ld + i], sum[i]);
	}
	dq += dq_off + row * dq_ld + h * D;
	for (int i = 0; i < D; i++)
		dq[i] = add ? dq[i] + scale * sum[i] : scale * sum[i];
}

/* dk and dv (either may be NULL). An item: (key, kv head). */
__kernel void attention_bwd_kv(__global float *dk, long dk_off, long dk_ld, __global float *dv, long dv_off, long dv_ld,
	__global const float *dy, long dy_off, long dy_ld, __global const float *lse, long lse_off, long lse_ld, __global const float *delta,
	__global const float *q, long q_off, long q_ld, __global const float *k, long k_off, long k_ld,
	__global const float *v, long v_off, long v_ld, __global const int *span, long span_off, __global const int *kspan, long kspan_off,
	int keys, int heads, int group, float scale, float cap, int add_k, int add_v)
{
	const long key = get_global_id(0);
	const int kv_head = get_global_id(1);
	float k_row[D], v_row[DV], k_sum[D], v_sum[DV];

	if (key >= keys)
		return;
	ROW_IN(k_row, f32, k + k_off + key * k_ld + kv_head * D, D, scale);
	ROW_IN(v_row, f32, v + v_off + key * v_ld + kv_head * DV, DV, 1);
	for (int i = 0; i < D; i++)
		k_sum[i] = 0;
	for (int i = 0; i < DV; i++)
		v_sum[i] = 0;
	span += span_off;
	kspan += kspan_off + 2 * key;
	for (int h = kv_head * group; h < (kv_head + 1) * group; h++)
		for (long row = kspan[0]; row < kspan[1]; row++) {
			__global const float *query = q + q_off + row * q_ld + h * D, *up = dy + dy_off + row * dy_ld + h * DV;
			float s, p, dp;

			if (key < span[2 * row] || key >= span[2 * row + 1])
				continue;
			ROW_DOT(s, k_row, f32, query, D);
			ROW_DOT(dp, v_row, f32, up, DV);
			s = capped(s, cap);
			p = exp_f(s - lse[lse_off + row * lse_ld + h]);
			dp = times_slope(p * (dp - delta[row * heads + h]), s, cap);
			for (int i = 0; i < D; i++)
				k_sum[i] = fma(dp, query[i], k_sum[i]);
			for (int i = 0; i < DV; i++)
				v_sum[i] = fma(p, up[i], v_sum[i]);
		}
	if (dk) {
		dk += dk_off + key * dk_ld + kv_head * D;
		for (int i = 0; i < D; i++)
			dk[i] = add_k ? dk[i] + scale * k_sum[i] : scale * k_sum[i];
	}
	if (dv) {
		dv += dv_off + key * dv_ld + kv_head * DV;
		for (int i = 0; i < DV; i++)
			dv[i] = add_v ? dv[i] + v_sum[i] : v_sum[i];
	}
}

/* parts (chunks, heads) = the sum over a chunk's rows of −exp(sink − lse) · delta; see rowsum_add. An item: (head, chunk). */
__kernel void attention_bwd_sinks(__global float *parts, long parts_off, __global const STORAGE(TYPE_S) *sinks, long sinks_off,
	__global const float *lse, long lse_off, long lse_ld, __global const float *delta, int rows, int period, int chunks)
{
	const int h = get_global_id(0), heads = get_global_size(0), part = get_global_id(1);
	const int begin = part / chunks * period + part % chunks * CHUNK;
	const int end = min(min(begin + CHUNK, (part / chunks + 1) * period), rows);
	float sum = 0;

	for (long row = begin; row < end; row++)
		sum -= exp_f(LOAD(TYPE_S, sinks, sinks_off + h) - lse[lse_off + row * lse_ld + h]) * delta[row * heads + h];
	parts[parts_off + (long)part * heads + h] = sum;
}
