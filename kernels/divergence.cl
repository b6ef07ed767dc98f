//! use rowsum
/* divergence.cl: KL(P‖Q) of two rows of logits, log P and log Q of a target, and whether the likeliest token is the same. lib/op/divergence.c */

/* v with -INFINITY after the first `left` lanes. */
inline vec lanes_low(vec v, int left)
{
	float part[LANES];

	if (left >= LANES)
		return v;
	CAT(CAT(store, LANES), _f32)(part, 0, v);
	for (int i = max(left, 0); i < LANES; i++)
		part[i] = -INFINITY;
	return CAT(CAT(load, LANES), _f32)(part, 0);
}

#if PM_CPU
#define max_lanes max16
#define max_group(v, room) (v)
#else
#define max_lanes max4
#define max_group group_max
#endif

/* total = the largest TERM of a row, as ROW_SUM. */
#define ROW_MAX(total, n, room, TERM) do { \
	vec all_ = -INFINITY; \
	FOR_LANES(at, left, n) \
		all_ = fmax(all_, lanes_low((TERM), left)); \
	total = max_group(max_lanes(all_), room); \
} while (0)

inline float row_max(__global const float *x, int n, __local float *room)
{
	float m;

	ROW_MAX(m, n, room, lanes_load(f32, x + at, left));
	return m;
}

/* The first column that holds the maximum m: columns are counted in floats, exactly below 2^24. */
inline float first_of(__global const float *x, int n, float m, __local float *room)
{
	float least;
	vec lane;
	float part[LANES];

	for (int i = 0; i < LANES; i++)
		part[i] = i;
	lane = CAT(CAT(load, LANES), _f32)(part, 0);
	ROW_MAX(least, n, room, select((vec)-INFINITY, -(lane + (float)at), lanes_load(f32, x + at, left) == (vec)m));
	return -least;
}

/* log Σ exp(x), with the row's maximum m. */
inline float log_sum(__global const float *x, int n, float m, __local float *room)
{
	float sum;

	ROW_SUM(sum, n, room, lanes_keep(exp(lanes_load(f32, x + at, left) - m), left));
	return m + log(sum);
}

/* Since the sums of P and Q are one, KL is also the sum of P·(log P − log Q) − P + Q: terms of one sign, whose errors are small where the
 * distributions are near each other. */
inline vec term(vec lp, vec lq)
{
	const vec d = lp - lq;

	return exp(lp) * (expm1(-d) + d);
}

ROW_KERNEL void divergence_fwd(__global float *kl, long kl_off, long kl_ld, __global float *logs, long logs_off, long logs_ld,
	__global float *same, long same_off, long same_ld, __global const float *p, long p_off, long p_ld,
	__global const float *q, long q_off, long q_ld, __global const int *target, int n)
{
	__local float room[WG];
	const long row = get_group_id(0);
	const int t = target[row];
	float pm, qm, pl, ql, pt, qt, sum;

	p += p_off + row * p_ld;
	q += q_off + row * q_ld;
	pm = row_max(p, n, room);
	qm = row_max(q, n, room);
	pt = first_of(p, n, pm, room);
	qt = first_of(q, n, qm, room);
	pl = log_sum(p, n, pm, room);
	ql = log_sum(q, n, qm, room);
	ROW_SUM(sum, n, room, lanes_keep(term(lanes_load(f32, p + at, left) - pl, lanes_load(f32, q + at, left) - ql), left));
	if (get_local_id(0))
		return;
	kl[kl_off + row * kl_ld] = sum;
	same[same_off + row * same_ld] = pt == qt;
	logs[logs_off + row * logs_ld] = t < 0 ? 0 : p[t] - pl;
	logs[logs_off + row * logs_ld + 1] = t < 0 ? 0 : q[t] - ql;
}
