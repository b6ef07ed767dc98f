/* act_clamped.cl: y = (up + 1) · gate · sigmoid(alpha · gate) with gate at most `limit` and up within ±limit, and its gradients, 0 beyond the
 * limits. With step 2 gate and up lie by turns in one matrix, and `up` begins one element behind `gate`. lib/op/act.c */
#undef BLOCK
#define BLOCK 4096

/* For float and float16: V the type, S its suffix of the functions of common.cl. A NaN stays one. */
#define DEFINE_CLAMPED(V, S) \
	inline V at_most_##S(V x, float limit) { return select(x, (V)limit, x > limit); } \
	inline V within_##S(V x, float limit) { return -at_most_##S(-at_most_##S(x, limit), limit); } \
	inline V value_##S(V g, V u, float alpha, float limit) \
	{ \
		g = at_most_##S(g, limit); \
		return (within_##S(u, limit) + 1.0f) * (g * sigmoid_##S(alpha * g)); \
	} \
	inline V slope_gate_##S(V g, V u, float alpha, float limit) \
	{ \
		const V z = alpha * at_most_##S(g, limit), s = sigmoid_##S(z), flat = clamp(z, (V)-1e4f, (V)1e4f); \
		return select((within_##S(u, limit) + 1.0f) * (s * fma(flat, 1.0f - s, (V)1.0f)), (V)0.0f, g > limit); \
	} \
	inline V slope_up_##S(V g, V u, float alpha, float limit) \
	{ \
		g = at_most_##S(g, limit); \
		return select(g * sigmoid_##S(alpha * g), (V)0.0f, fabs(u) > limit); \
	}
DEFINE_CLAMPED(float, f)
DEFINE_CLAMPED(float16, 16)

#undef FWD_ARGS
#undef BWD_ARGS
#define FWD_ARGS __global float *y, long y_off, long y_ld, __global const float *gate, long g_off, long g_ld, __global const float *up, long u_off, \
	long u_ld, long cols, int step, float alpha, float limit
#define BWD_ARGS __global float *dgate, long dg_off, long dg_ld, __global float *dup, long du_off, long du_ld, __global const float *dy, long dy_off, \
	long dy_ld, __global const float *gate, long g_off, long g_ld, __global const float *up, long u_off, long u_ld, long cols, int step, \
	float alpha, float limit, int want_gate, int want_up

inline void forward(__global float *y, __global const float *gate, __global const float *up, long c, int step, float alpha, float limit)
{
	y[c] = value_f(gate[c * step], up[c * step], alpha, limit);
}

/* wanted: 0 no, 1 written, 2 added. */
inline void put(__global float *d, long c, float v, int wanted)
{
	if (wanted)
		d[c] = wanted > 1 ? d[c] + v : v;
}

inline void backward(__global float *dgate, __global float *dup, __global const float *dy, __global const float *gate, __global const float *up,
	long c, int step, float alpha, float limit, int want_gate, int want_up)
{
	const float g = gate[c * step], u = up[c * step], d = dy[c];

	put(dgate, c * step, d * slope_gate_f(g, u, alpha, limit), want_gate);
	put(dup, c * step, d * slope_up_f(g, u, alpha, limit), want_up);
}

/* One work-item an element: (column, row). */
__kernel void act_clamped_fwd(FWD_ARGS)
{
	const long c = get_global_id(0), r = get_global_id(1);

	if (c < cols)
		forward(y + y_off + r * y_ld, gate + g_off + r * g_ld, up + u_off + r * u_ld, c, step, alpha, limit);
}

__kernel void act_clamped_bwd(BWD_ARGS)
{
	const long c = get_global_id(0), r = get_global_id(1);

	if (c < cols)
		backward(dgate + dg_off + r * dg_ld, dup + du_off + r * du_ld, dy + dy_off + r * dy_ld, gate + g_off + r * g_ld, up + u_off + r * u_ld, c, step,
			alpha, limit, want_gate, want_up);
}

#if PM_CPU
/* 16 of gate and up from element c on. */
inline void get16(float16 *g, float16 *u, __global const float *gate, __global const float *up, long c, int step)
{
	if (step == 1) {
		*g = vload16(0, gate + c);
		*u = vload16(0, up + c);
	} else {
		const float16 a = vload16(0, gate + 2 * c), b = vload16(1, gate + 2 * c);

		*g = (float16)(a.even, b.even);
		*u = (float16)(a.odd, b.odd);
	}
}

inline void put16(__global float *d, long c, float16 v, int wanted)
{
	if (wanted)
		vstore16(wanted > 1 ? vload16(0, d + c) + v : v, 0, d + c);
}

/* a and b by turns. */
inline float16 mixed(float8 a, float8 b)
{
	float16 v;

	v.even = a;
	v.odd = b;
	return v;
}

APART void clamped_some(__global float *y, __global const float *gate, __global const float *up, long c, long end, int step, float alpha, float limit)
{
	float16 g, u;

	for (; c + 16 <= end; c += 16) {
		get16(&g, &u, gate, up, c, step);
		vstore16(value_16(g, u, alpha, limit), 0, y + c);
	}
	for (; c < end; c++)
		forward(y, gate, up, c, step, alpha, limit);
}

/* One work-item BLOCK columns of a row. */
__kernel WG1 void act_clamped_fwd_cpu(FWD_ARGS)
{
	const long c = get_global_id(0) * BLOCK, r = get_global_id(1);

	clamped_some(y + y_off + r * y_ld, gate + g_off + r * g_ld, up + u_off + r * u_ld, c, min(c + BLOCK, cols), step, alpha, limit);
}

__kernel WG1 void act_clamped_bwd_cpu(BWD_ARGS)
{
	const long end = min((long)(get_global_id(0) + 1) * BLOCK, cols), r = get_global_id(1);
	long c = get_global_id(0) * BLOCK;
	float16 g, u;

	dgate += dg_off + r * dg_ld;
	dup += du_off + r * du_ld;
	dy += dy_off + r * dy_ld;
	gate += g_off + r * g_ld;
	up += u_off + r * u_ld;
	for (; c + 16 <= end; c += 16) {
		const float16 d = vload16(0, dy + c);

		get16(&g, &u, gate, up, c, step);
		const float16 dg = d * slope_gate_16(g, u, alpha, limit), du = d * slope_up_16(g, u, alpha, limit);
		if (step == 1) {
			put16(dgate, c, dg, want_gate);
			put16(dup, c, du, want_up);
		} else {
			put16(dgate, 2 * c, mixed(dg.lo, du.lo), want_gate);
			put16(dgate, 2 * c + 16, mixed(dg.hi, du.hi), want_gate);
		}
	}
	for (; c < end; c++)
		backward(dgate, dup, dy, gate, up, c, step, alpha, limit, want_gate, want_up);
}
#endif
