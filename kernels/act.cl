// act.cl: y = act(x), or act(x) up, and its gradients, element by element. ACT is the number of enum pm_act; GATED: there
// is an `up`. Rows of every matrix are ld elements apart from off. lib/op/act.c
#ifndef ACT
#define ACT 0
#endif
#ifndef GATED
#define GATED 1
#endif
#ifndef TYPE_X
#define TYPE_X f32                      // of x and up
#endif

#define SQRT_HALF 0.70710678f           // 1/√2
#define SQRT_2_PI 0.79788456f           // √(2/π)
#define INV_SQRT_2PI 0.39894228f        // 1/√(2π)
#define CUBE 0.044715f
// exponentials are flat long before this; it keeps squares and cubes of huge inputs finite
#define LIMIT(V, x) clamp(x, (V)(-40.0f), (V)40.0f)

// act_value(x) and act_slope(x), for float and float16: V the type, S its suffix of the functions of common.cl
#if ACT == 0            // silu
#define DEFINE_ACT(V, S) \
	V CAT(act_value_, S)(V x) { return x / (1.0f + CAT(exp_, S)(-x)); } \
	V CAT(act_slope_, S)(V x) { V s = 1.0f / (1.0f + CAT(exp_, S)(-x)); return s * (1.0f + LIMIT(V, x) * (1.0f - s)); }
#elif ACT == 1          // gelu by erf
#define DEFINE_ACT(V, S) \
	V CAT(act_value_, S)(V x) { return 0.5f * x * (1.0f + CAT(erf_, S)(SQRT_HALF * x)); } \
	V CAT(act_slope_, S)(V x) { V z = LIMIT(V, x); \
		return 0.5f * (1.0f + CAT(erf_, S)(SQRT_HALF * x)) + z * INV_SQRT_2PI * CAT(exp_, S)(-0.5f * z * z); }
#elif ACT == 2          // gelu by tanh: (1 + tanh u) / 2 = 1 / (1 + exp(-2u))
#define DEFINE_ACT(V, S) \
	V CAT(act_value_, S)(V x) { V z = LIMIT(V, x); \
		return x / (1.0f + CAT(exp_, S)(-2.0f * SQRT_2_PI * (z + CUBE * z * z * z))); } \
	V CAT(act_slope_, S)(V x) { V z = LIMIT(V, x), s = 1.0f / (1.0f + CAT(exp_, S)(-2.0f * SQRT_2_PI * (z + CUBE * z * z * z))); \
		return s * (1.0f + 2.0f * z * (1.0f - s) * SQRT_2_PI * (1.0f + 3.0f * CUBE * z * z)); }
#elif ACT == 3          // quick gelu: x sigmoid(1.702 x)
#define DEFINE_ACT(V, S) \
	V CAT(act_value_, S)(V x) { return x / (1.0f + CAT(exp_, S)(-1.702f * x)); } \
	V CAT(act_slope_, S)(V x) { V s = 1.0f / (1.0f + CAT(exp_, S)(-1.702f * x)); return s * (1.0f + 1.702f * LIMIT(V, x) * (1.0f - s)); }
#elif ACT == 4          // relu; a NaN stays one
#define DEFINE_ACT(V, S) \
	V CAT(act_value_, S)(V x) { return x < 0.0f ? (V)0.0f : x; } \
	V CAT(act_slope_, S)(V x) { return x > 0.0f ? (V)1.0f : (V)0.0f; }
#elif ACT == 5          // relu squared
#define DEFINE_ACT(V, S) \
	V CAT(act_value_, S)(V x) { return x < 0.0f ? (V)0.0f : x * x; } \
	V CAT(act_slope_, S)(V x) { return x > 0.0f ? 2.0f * x : (V)0.0f; }
#else                   // sigmoid
#define DEFINE_ACT(V, S) \
	V CAT(act_value_, S)(V x) { return 1.0f / (1.0f + CAT(exp_, S)(-x)); } \
	V CAT(act_slope_, S)(V x) { V s = 1.0f / (1.0f + CAT(exp_, S)(-x)); return s * (1.0f - s); }
#endif
DEFINE_ACT(float, f)
DEFINE_ACT(float16, 16)

#define FWD_ARGS __global float *y, long yoff, long yld, __global const STORAGE(TYPE_X) *x, long xoff, long xld, \
	__global const STORAGE(TYPE_X) *up, long uoff, long uld, long cols
#define BWD_ARGS __global float *dx, long dxoff, long dxld, __global float *dup, long duoff, long duld, \
	__global const float *dy, long dyoff, long dyld, __global const STORAGE(TYPE_X) *x, long xoff, long xld, \
	__global const STORAGE(TYPE_X) *up, long uoff, long uld, long cols, int want_x, int want_up

// wanted: 0 no, 1 written, 2 added. dx is stored before dup is read: they may be the same memory (x times its own act).
#define FORWARD(S, LD, ST) { \
	CAT(vec_, S) v = CAT(act_value_, S)(LD(TYPE_X, x, xoff + c)); \
	if (GATED) \
		v *= LD(TYPE_X, up, uoff + c); \
	ST(f32, y, yoff + c, v); }
#define BACKWARD(S, LD, ST) { \
	CAT(vec_, S) a = LD(TYPE_X, x, xoff + c), d = LD(f32, dy, dyoff + c), u = 1.0f, v = CAT(act_value_, S)(a); \
	if (GATED) \
		u = LD(TYPE_X, up, uoff + c); \
	if (want_x) { \
		CAT(vec_, S) g = d * u * CAT(act_slope_, S)(a); \
		if (want_x > 1) \
			g += LD(f32, dx, dxoff + c); \
		ST(f32, dx, dxoff + c, g); \
	} \
	if (GATED && want_up) { \
		CAT(vec_, S) g = d * v; \
		if (want_up > 1) \
			g += LD(f32, dup, duoff + c); \
		ST(f32, dup, duoff + c, g); \
	} }
#define vec_f float
#define vec_16 float16

// One work-item an element: (column, row).
__kernel void act_fwd(FWD_ARGS)
{
	long c = get_global_id(0), r = get_global_id(1);

	yoff += r * yld;
	xoff += r * xld;
	uoff += r * uld;
	if (c < cols)
		FORWARD(f, LOAD, STORE)
}

__kernel void act_bwd(BWD_ARGS)
{
	long c = get_global_id(0), r = get_global_id(1);

	dxoff += r * dxld;
	duoff += r * duld;
	dyoff += r * dyld;
	xoff += r * xld;
	uoff += r * uld;
	if (c < cols)
		BACKWARD(f, LOAD, STORE)
}

#if PM_CPU
// Columns c to end of a row, where it begins.
APART void act_some(__global float *y, long yoff, __global const STORAGE(TYPE_X) *x, long xoff, __global const STORAGE(TYPE_X) *up, long uoff, long c, long end)
{
	for (; c + 16 <= end; c += 16)
		FORWARD(16, LOAD16, STORE16)
	for (; c < end; c++)
		FORWARD(f, LOAD, STORE)
}

// One work-item BLOCK columns of a row.
#undef BLOCK
#define BLOCK 4096

__kernel WG1 void act_fwd_cpu(FWD_ARGS)
{
	const long c = get_global_id(0) * BLOCK, r = get_global_id(1);

	act_some(y, yoff + r * yld, x, xoff + r * xld, up, uoff + r * uld, c, min(c + BLOCK, cols));
}

__kernel WG1 void act_bwd_cpu(BWD_ARGS)
{
	long c = get_global_id(0) * BLOCK, end = min(c + BLOCK, cols), r = get_global_id(1);

	dxoff += r * dxld;
	duoff += r * duld;
	dyoff += r * dyld;
	xoff += r * xld;
	uoff += r * uld;
	for (; c + 16 <= end; c += 16)
		BACKWARD(16, LOAD16, STORE16)
	for (; c < end; c++)
		BACKWARD(f, LOAD, STORE)
}
#endif
