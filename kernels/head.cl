/* head.cl: what the head does beside products: soft-caps, the log-sum-exp over slices of the vocabulary, and the gradient of the
 * negative log-likelihood with respect to the logits. lib/op/head.c
 *
 * A row's log-sum-exp goes through the vocabulary in chunks of CHUNK, however wide the slices are (multiples of it).
 * State of a row: the largest logit so far, m; the sum of exp(logit - m); the target's logit. */
#define CHUNK 256
#define LANES 64
#define STATE 3

/* live (groups of 16 rows) = 1 where a row has a target and, where dnll is given, a gradient. Work-item (group). */
__kernel void head_live(__global int *live, long live_off, __global const int *target, long target_off, long target_ld,
	__global const float *dnll, long dnll_off, long dnll_ld, int rows)
{
	const int g = (int)get_global_id(0);
	int any = 0;

	for (int r = g * 16; r < min(rows, g * 16 + 16); r++)
		any |= target[target_off + r * target_ld] >= 0 && (!dnll || dnll[dnll_off + r * dnll_ld] != 0);
	live[live_off + g] = any;
}

/* nll = lse - the target's logit, and lse; 0 in rows without a target. Work-item (row). */
__kernel void head_nll(__global float *nll, long nll_off, long nll_ld, __global float *lse, long lse_off, long lse_ld,
	__global const float *state, long state_off, __global const int *target, long target_off, long target_ld)
{
	const long r = get_global_id(0);
	const bool has = target[target_off + r * target_ld] >= 0;
	__global const float *s = state + state_off + r * STATE;
	const float l = has ? s[0] + log(s[1]) : 0;

	lse[lse_off + r * lse_ld] = l;
	nll[nll_off + r * nll_ld] = has ? l - s[2] : 0;
}

#define DEFINE_CAPPED(s, T) \
static T capped_##s(T v, float cap) \
{ \
	return cap > 0 ? cap * tanh_##s(v / cap) : v; \
} \
\
/* dnll/dlogit before the cap, without the target's part: v capped, g = dnll * scale. */ \
static T slope_##s(T v, float g, float cap) \
{ \
	return cap > 0 ? g * (1.0f - v / cap * (v / cap)) : (T)g; \
}
DEFINE_CAPPED(f, float)
DEFINE_CAPPED(16, float16)

/* y (rows, cols) = x capped. Work-item (column, row). */
__kernel void head_cap(__global float *y, long y_off, long y_ld, __global const float *x, long x_off, long x_ld, long cols, float cap)
{
	const long c = get_global_id(0), r = get_global_id(1);

	if (c < cols)
		y[y_off + r * y_ld + c] = capped_f(x[x_off + r * x_ld + c], cap);
}

/* Takes a slice, the logits (rows, cols) of tokens v0 .., not capped yet, into the state; the slice of token 0 begins it. */
#define SLICE_ARGS __global float *state, long state_off, __global const float *logits, long off, long ld, __global const int *target, \
	long target_off, long target_ld, int cols, int v0, float cap

/* Turns the logits of such a slice into their gradient: dnll * scale * (exp(logit - lse) - [token is the target]), times the slope
 * of the cap; 0 in rows without a target or with dnll 0. */
#define GRAD_ARGS __global float *logits, long off, long ld, __global const float *lse, long lse_off, long lse_ld, \
	__global const float *dnll, long dnll_off, long dnll_ld, __global const int *target, long target_off, long target_ld, \
	int cols, int v0, float scale, float cap

/* A work-group of LANES items a row. */
__kernel __attribute__((reqd_work_group_size(LANES, 1, 1)))
void head_slice(SLICE_ARGS)
{
	const int lane = (int)get_local_id(0), r = (int)get_group_id(0), t = target[target_off + r * target_ld];
	__local float room[LANES];
	float m, s;

	if (t < 0)
		return;
	logits += off + r * ld;
	state += state_off + r * STATE;
	m = v0 ? state[0] : -INFINITY;
	s = v0 ? state[1] : 0;
	barrier(CLK_GLOBAL_MEM_FENCE);         /* all have read the state before one writes it */
	for (int c0 = 0; c0 < cols; c0 += CHUNK) {
		const int end = min(cols, c0 + CHUNK);
		float top = -INFINITY, sum = 0;
		for (int c = c0 + lane; c < end; c += LANES)
			top = fmax(top, capped_f(logits[c], cap));
		top = fmax(m, group_max(top, room));
		for (int c = c0 + lane; c < end; c += LANES)
			sum += exp_f(capped_f(logits[c], cap) - top);
		s = s * exp_f(m - top) + group_sum(sum, room);
		m = top;
	}
	if (lane == 0) {
		state[0] = m;
		state[1] = s;
		if (t >= v0 && t < v0 + cols)
			state[2] = capped_f(logits[t - v0], cap);
	}
}

/* Work-item (column, row). */
__kernel void head_slice_grad(GRAD_ARGS)
{
	const int c = (int)get_global_id(0);
	const long r = get_global_id(1);
	const int t = target[target_off + r * target_ld];
	const float g = t < 0 ? 0 : dnll[dnll_off + r * dnll_ld] * scale;
	__global float *p = logits + off + r * ld + c;

	if (c >= cols)
		return;
	if (g == 0) {
		*p = 0;
		return;
	}
	const float v = capped_f(*p, cap);
	*p = slope_f(v, g, cap) * (exp_f(v - lse[lse_off + r * lse_ld]) - (c == t - v0 ? 1.0f : 0.0f));
}

#if PM_CPU
/* The first n values at p, at most 16, with zeros behind them. */
inline float16 some(__global const float *p, int n)
{
	float v[16];

	if (n >= 16)
		return vload16(0, p);
	for (int i = 0; i < 16; i++)
		v[i] = i < n ? p[i] : 0;
	return vload16(0, v);
}

inline void put_some(__global float *p, float16 v, int n)
{
	float w[16];

	if (n >= 16) {
		vstore16(v, 0, p);
		return;
	}
	vstore16(v, 0, w);
	for (int i = 0; i < n; i++)
		p[i] = w[i];
}

/* Logits with what is behind the first n out of the way. */
inline float16 some_logits(__global const float *p, int n, float cap)
{
	const int16 lane = (int16)(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

	return select((float16)-INFINITY, capped_16(some(p, n), cap), lane < n);
}

/* Work-item (row). */
__kernel WG1 void head_slice_cpu(SLICE_ARGS)
{
	const int r = (int)get_global_id(0), t = target[target_off + r * target_ld];
	float m, s;

	if (t < 0)
		return;
	logits += off + r * ld;
	state += state_off + r * STATE;
	m = v0 ? state[0] : -INFINITY;
	s = v0 ? state[1] : 0;
	for (int c0 = 0; c0 < cols; c0 += CHUNK) {
		const int end = min(cols, c0 + CHUNK);
		float16 v[CHUNK / 16], top = -INFINITY, sum = 0;
		for (int i = 0; i < CHUNK / 16; i++) {
			v[i] = some_logits(logits + c0 + i * 16, end - c0 - i * 16, cap);
			top = fmax(top, v[i]);
		}
		const float now = fmax(m, max16(top));
		for (int i = 0; i < CHUNK / 16; i++)
			sum += exp_16(v[i] - now);
		s = s * exp_f(m - now) + sum16(sum);
		m = now;
	}
	state[0] = m;
	state[1] = s;
	if (t >= v0 && t < v0 + cols)
		state[2] = capped_f(logits[t - v0], cap);
}

/* As head_slice_cpu, and turns the slice into P: exp(logit - m) times the slope of the cap, 0 for the target, m the largest logit up to the end of the
 * slice; unit, the sum of P * W over the slices before, is rescaled to that m. Work-item (row). */
__kernel WG1 void head_unit_cpu(__global float *state, long state_off, __global float *logits, long off, long ld, __global const int *target,
	long target_off, long target_ld, int cols, int v0, float cap, __global float *unit, long unit_off, long unit_ld, int dim)
{
	const int r = (int)get_global_id(0), t = target[target_off + r * target_ld];
	float m, s;

	logits += off + r * ld;
	if (t < 0) {                            /* among rows that have one: it adds nothing */
		for (int c = 0; c < cols; c += 16)
			put_some(logits + c, 0, cols - c);
		return;
	}
	state += state_off + r * STATE;
	unit += unit_off + r * unit_ld;
	const float before = v0 ? state[0] : -INFINITY;
	m = before;
	s = v0 ? state[1] : 0;
	if (t >= v0 && t < v0 + cols)
		state[2] = capped_f(logits[t - v0], cap);
	for (int c0 = 0; c0 < cols; c0 += CHUNK) {
		const int end = min(cols, c0 + CHUNK);
		float16 v[CHUNK / 16], top = -INFINITY, sum = 0;
		for (int i = 0; i < CHUNK / 16; i++) {
			v[i] = some_logits(logits + c0 + i * 16, end - c0 - i * 16, cap);
			top = fmax(top, v[i]);
		}
		const float now = fmax(m, max16(top));
		for (int i = 0; i < CHUNK / 16 && c0 + i * 16 < end; i++) {
			const float16 p = exp_16(v[i] - now);
			sum += p;
			put_some(logits + c0 + i * 16, slope_16(v[i], 1, cap) * p, end - c0 - i * 16);
		}
		s = s * exp_f(m - now) + sum16(sum);
		if (now > m && c0) {
			const float f = exp_f(m - now);
			for (int c = 0; c < c0; c += 16)        /* c0 is a multiple of 16 */
				vstore16(vload16(0, logits + c) * f, 0, logits + c);
		}
		m = now;
	}
	if (t >= v0 && t < v0 + cols)
		logits[t - v0] = 0;
	if (v0 && m > before) {
		const float f = exp_f(before - m);
		for (int c = 0; c < dim; c += 16)
			put_some(unit + c, some(unit + c, dim - c) * f, dim - c);
	}
	state[0] = m;
	state[1] = s;
}

/* dx (rows, cols) = (with acc +=) dnll * unit; 0 where dnll is. Work-item (row). */
__kernel WG1 void head_unit_grad_cpu(__global float *dx, long dx_off, long dx_ld, __global const float *unit, long unit_off, long unit_ld,
	__global const float *dnll, long dnll_off, long dnll_ld, int cols, int acc)
{
	const long r = get_global_id(0);
	const float g = dnll[dnll_off + r * dnll_ld];

	dx += dx_off + r * dx_ld;
	unit += unit_off + r * unit_ld;
	for (int c = 0; c < cols; c += 16) {
		const float16 v = some(unit + c, cols - c) * g;
		put_some(dx + c, acc ? some(dx + c, cols - c) + v : v, cols - c);
	}
}

/* Work-item (row). */
__kernel WG1 void head_slice_grad_cpu(GRAD_ARGS)
{
	const int r = (int)get_global_id(0), t = target[target_off + r * target_ld];
	const float g = t < 0 ? 0 : dnll[dnll_off + r * dnll_ld] * scale, l = lse[lse_off + r * lse_ld];

	logits += off + r * ld;
	if (g == 0) {
		for (int c = 0; c < cols; c += 16)
			put_some(logits + c, 0, cols - c);
		return;
	}
	const bool here = t >= v0 && t < v0 + cols;
	const float hit = here ? capped_f(logits[t - v0], cap) : 0;
	for (int c = 0; c < cols; c += 16) {
		float16 v = capped_16(some(logits + c, cols - c), cap);
		put_some(logits + c, slope_16(v, g, cap) * exp_16(v - l), cols - c);
	}
	if (here)
		logits[t - v0] = slope_f(hit, g, cap) * (exp_f(hit - l) - 1.0f);
}

/* As head_cap; work-item (row). */
__kernel WG1 void head_cap_cpu(__global float *y, long y_off, long y_ld, __global const float *x, long x_off, long x_ld, long cols, float cap)
{
	y += y_off + get_global_id(0) * y_ld;
	x += x_off + get_global_id(0) * x_ld;
	for (long c = 0; c < cols; c += 16)
		put_some(y + c, capped_16(some(x + c, (int)(cols - c)), cap), (int)(cols - c));
}
#endif
