/* common.cl: what all kernels share. lib/dev puts it in front of every operation's file.
 *
 * TYPED MEMORY. Storage may be f32, f16 or bf16; arithmetic is float. A file names its operands' types by macros that the
 * host defines, one for each operand that varies, e.g. -DTYPE_W=bf16 -DTYPE_K=f16 (names of pm_dtype()->name):
 *
 *	#ifndef TYPE_W
 *	#define TYPE_W f32                              // a file must compile with its own defaults
 *	#endif
 *	__kernel void op_fwd(__global float *y, __global const STORAGE(TYPE_W) *w, long n)
 *	{
 *		float a = LOAD(TYPE_W, w, i);           // element i of w
 *		float16 v = LOAD16(TYPE_W, w, i);       // elements i .. i+15; also LOAD4, LOAD8; i need be no multiple of anything
 *		STORE(TYPE_W, w, i, a);                 // rounded to nearest even; also STORE4, STORE8, STORE16
 *	}
 *
 * p is a pointer of any address space, i counts elements. Mapped files may lie at any address: never dereference a vector pointer.
 *
 * BITS. Whoever adds a product writes fma(a, b, c), never a * b + c: PoCL's code generator fuses what it finds (in spite of
 * FP_CONTRACT, and across statements), so that a vector loop and its scalar tail would round differently; other drivers do not. With
 * fma nothing is left to choose: a * b + c * d is fma(a, b, c * d), s += x * x is s = fma(x, x, s). Results must not depend on
 * the number of threads or work-groups: no atomics on floats, every sum in an order that follows from its length alone.
 *
 * KERNELS. Arguments: outputs, inputs, sizes (int or long), scalars; host: PM_MEM, PM_I32, PM_I64, PM_F32, PM_LOCAL. A CPU variant
 * has `WG1` (work-group of one item) and float16 vectors; #if PM_CPU, #if PM_GPU, #if HAVE_AVX512 … tell the device. */
#pragma OPENCL FP_CONTRACT OFF
#ifdef cl_khr_fp64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif

#ifdef __clang__
#pragma clang diagnostic ignored "-Wpsabi"      /* vectors wider than the target's registers: nothing of ours is called from outside */
#endif

#define WG1 __attribute__((reqd_work_group_size(1, 1, 1)))

/* A function that stays one. PoCL puts the body of a kernel into two launchers and keeps the kernel, too: what is large, or used in many places and seldom run,
 * is compiled once so. One that asks for a work-item's number, or has a barrier, is put into the kernel all the same. */
#if PM_CPU
#define APART __attribute__((noinline))
#else
#define APART inline
#endif

/* A hint that memory will be read soon, wherever p points: for what a CPU does not foresee, as a small part of each of many rows. */
#if PM_CPU
#define FETCH(p) __builtin_prefetch((const void *)(size_t)(p), 0, 2)
#else
#define FETCH(p) ((void)0)
#endif

/* PoCL 5 and 6 look in a kernel for calls of two functions of their own, by what is declared under these names. Where nothing is, inline assembly, which
 * calls nothing that has a name, passes for such a call, and the compiler aborts. So there are such functions, and every kernel names them where it
 * begins (ENTER, which lib/dev/program.c puts behind its first brace), on a path that is never taken: that is seen once PoCL's builtins (clz)
 * are part of the program, before it looks, and then costs nothing. */
#if PM_CPU
__attribute__((noinline)) void __pocl_local_mem_alloca(void)
{
	__asm__ volatile("");
}

__attribute__((noinline)) void __pocl_work_group_alloca(void)
{
	__asm__ volatile("");
}

static __attribute__((noinline)) void call_both(void)
{
	__pocl_local_mem_alloca();
	__pocl_work_group_alloca();
}
#define ENTER if (clz(1) != 31) call_both();
#else
#define ENTER
#endif

#define CAT_(a, b) a##b
#define CAT(a, b) CAT_(a, b)

/* ---- typed memory ---- */

#define storage_f32 float
#define storage_f16 half
#define storage_bf16 ushort
#define STORAGE(type) CAT(storage_, type)

#define LOAD(type, p, i) CAT(load_, type)(p, i)
#define LOAD4(type, p, i) CAT(load4_, type)(p, i)
#define LOAD8(type, p, i) CAT(load8_, type)(p, i)
#define LOAD16(type, p, i) CAT(load16_, type)(p, i)
#define STORE(type, p, i, v) CAT(store_, type)(p, i, v)
#define STORE4(type, p, i, v) CAT(store4_, type)(p, i, v)
#define STORE8(type, p, i, v) CAT(store8_, type)(p, i, v)
#define STORE16(type, p, i, v) CAT(store16_, type)(p, i, v)

#define load_f32(p, i) ((p)[i])
#define load4_f32(p, i) vload4(0, (p) + (i))
#define load8_f32(p, i) vload8(0, (p) + (i))
#define load16_f32(p, i) vload16(0, (p) + (i))
#define store_f32(p, i, v) ((p)[i] = (v))
#define store4_f32(p, i, v) vstore4(v, 0, (p) + (i))
#define store8_f32(p, i, v) vstore8(v, 0, (p) + (i))
#define store16_f32(p, i, v) vstore16(v, 0, (p) + (i))

#define load_f16(p, i) vload_half(i, p)
#define load4_f16(p, i) vload_half4(0, (p) + (i))
#define load8_f16(p, i) vload_half8(0, (p) + (i))
#define load16_f16(p, i) vload_half16(0, (p) + (i))
#define store_f16(p, i, v) vstore_half_rte(v, i, p)
#define store4_f16(p, i, v) vstore_half4_rte(v, 0, (p) + (i))
#define store8_f16(p, i, v) vstore_half8_rte(v, 0, (p) + (i))
#define store16_f16(p, i, v) vstore_half16_rte(v, 0, (p) + (i))

#define load_bf16(p, i) as_float((uint)(p)[i] << 16)
#define load4_bf16(p, i) as_float4(convert_uint4(vload4(0, (p) + (i))) << 16)
#define load8_bf16(p, i) as_float8(convert_uint8(vload8(0, (p) + (i))) << 16)
#define load16_bf16(p, i) as_float16(convert_uint16(vload16(0, (p) + (i))) << 16)
#define store_bf16(p, i, v) ((p)[i] = to_bf16(v))
#define store4_bf16(p, i, v) vstore4(to_bf16_4(v), 0, (p) + (i))
#define store8_bf16(p, i, v) vstore8(to_bf16_8(v), 0, (p) + (i))
#define store16_bf16(p, i, v) vstore16(to_bf16_16(v), 0, (p) + (i))

/* Upper half of a float, rounded to nearest even; a NaN stays one (quiet). */
static ushort to_bf16(float v)
{
	uint u = as_uint(v);

	return isnan(v) ? (ushort)(u >> 16 | 0x40) : (ushort)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

#define DEFINE_TO_BF16(n) \
	static ushort##n to_bf16_##n(float##n v) \
	{ \
		uint##n u = as_uint##n(v); \
		uint##n r = (u + (uint##n)0x7fff + (u >> 16 & (uint##n)1)) >> 16; \
		return convert_ushort##n(select(r, u >> 16 | (uint##n)0x40, isnan(v))); \
	}
DEFINE_TO_BF16(4)
DEFINE_TO_BF16(8)
DEFINE_TO_BF16(16)

#if HAVE_BF16
/* Both rounded to bfloat16 (nearest even, subnormals to zero): those of `low`, then those of `high`, two to a word. */
static uint16 both_rounded(float16 low, float16 high)
{
	uint16 r;

	__asm__("vcvtne2ps2bf16 %1, %2, %0" : "=v"(r) : "v"(low), "v"(high));
	return r;
}
#endif

/* ---- sums in a fixed order ---- */

/* Of a vector's elements: halves are added until one is left. */
static float sum4(float4 v)
{
	float2 a = v.lo + v.hi;

	return a.x + a.y;
}

static float sum8(float8 v)
{
	return sum4(v.lo + v.hi);
}

static float sum16(float16 v)
{
	return sum8(v.lo + v.hi);
}

static float max4(float4 v)
{
	float2 a = fmax(v.lo, v.hi);

	return fmax(a.x, a.y);
}

static float max8(float8 v)
{
	return max4(fmax(v.lo, v.hi));
}

static float max16(float16 v)
{
	return max8(fmax(v.lo, v.hi));
}

/* Waits for the other items of a work-group, who may be none: PoCL takes long to compile what only might have to wait. */
#if ALONE
#define SYNC(fence)
#else
#define SYNC(fence) barrier(fence)
#endif

/* Over a work-group of a power of two of items in dimension 0; `room` holds one float an item. All items call it, all get the result. */
static float group_sum(float v, __local float *room)
{
	int i = (int)get_local_id(0), n;

	room[i] = v;
	for (n = (int)get_local_size(0) / 2; n > 0; n /= 2) {
		SYNC(CLK_LOCAL_MEM_FENCE);
		if (i < n)
			room[i] += room[i + n];
	}
	SYNC(CLK_LOCAL_MEM_FENCE);
	v = room[0];
	SYNC(CLK_LOCAL_MEM_FENCE);
	return v;
}

static float group_max(float v, __local float *room)
{
	int i = (int)get_local_id(0), n;

	room[i] = v;
	for (n = (int)get_local_size(0) / 2; n > 0; n /= 2) {
		SYNC(CLK_LOCAL_MEM_FENCE);
		if (i < n)
			room[i] = fmax(room[i], room[i + n]);
	}
	SYNC(CLK_LOCAL_MEM_FENCE);
	v = room[0];
	SYNC(CLK_LOCAL_MEM_FENCE);
	return v;
}

/* ---- random numbers: lib/base/rng.h's Philox4x32-10, the same words ---- */

/* The four words of block `index` of a stream. */
static uint4 rng_block(ulong seed, uint stream, ulong index)
{
	uint k0 = (uint)seed, k1 = (uint)(seed >> 32);
	uint4 c = (uint4)((uint)index, (uint)(index >> 32), stream, 0);
	int i;

	for (i = 0; i < 10; i++) {
		uint p = mul_hi(0xD2511F53u, c.x), q = mul_hi(0xCD9E8D57u, c.z);

		c = (uint4)(q ^ c.y ^ k0, 0xCD9E8D57u * c.z, p ^ c.w ^ k1, 0xD2511F53u * c.x);
		k0 += 0x9E3779B9u;
		k1 += 0xBB67AE85u;
	}
	return c;
}

/* Numbers 4·index .. 4·index+3 of a stream, in [0, 1) with 24 bits (pm_rng_uniform). */
static float4 rng_uniform4(ulong seed, uint stream, ulong index)
{
	return convert_float4(rng_block(seed, stream, index) >> 8) * 0x1p-24f;
}

static float rng_uniform(ulong seed, uint stream, ulong index)
{
	uint4 w = rng_block(seed, stream, index / 4);
	uint a = index & 1 ? w.y : w.x, b = index & 1 ? w.w : w.z;

	return convert_float((index & 2 ? b : a) >> 8) * 0x1p-24f;
}

/* ---- functions ----
 *
 * exp_f, exp_4, exp_8, exp_16 and so on: the same bits for a float and for each element of a vector, on every device. Largest errors
 * over all of the range: exp 0.99, tanh 1.4, erf 1.2, sigmoid 2.5 units in the last place; exp and sigmoid of less than -87 are 0.
 * Polynomials are minimax fits (Remez). */
#define DEFINE_FUNCTIONS(s, T, I) \
/* 2^n · e^r with |r| <= ln 2 / 2. Adding 1.5 · 2^23 leaves n rounded in the low bits, and is faster than rint and a conversion. \
 * n = -126 gives the factor 0: no result is subnormal, which costs CPUs much time, and masked scores are exactly 0. */ \
static T exp_##s(T x) \
{ \
	T c = select(select(x, (T)89.0f, x > 89.0f), (T)-87.3f, x < -87.3f), t = fma(c, (T)1.44269504f, (T)12582912.0f); \
	T n = t - 12582912.0f, r = fma(n, (T)1.90465421e-9f, fma(n, (T)-0.693147182f, c)), p = (T)0.001381461326f; \
\
	p = fma(p, r, (T)0.008368709824f); \
	p = fma(p, r, (T)0.04166838736f); \
	p = fma(p, r, (T)0.1666652069f); \
	p = fma(p, r, (T)0.4999999345f); \
	p = fma(r * r, p, r) + 1.0f; \
	return p * as_##T((as_##I(t) - 0x4b400000 + 126) << 23) * 2.0f; \
} \
\
static T sigmoid_##s(T x) \
{ \
	T t = exp_##s(-fabs(x)); \
\
	return select((T)1.0f, t, x < 0.0f) / (1.0f + t); \
} \
\
static T tanh_##s(T x) \
{ \
	T a = fabs(x), u = x * x, p = (T)-0.006198725791f, large = 1.0f - 2.0f / (exp_##s(2.0f * a) + 1.0f); \
\
	p = fma(p, u, (T)0.02102055581f); \
	p = fma(p, u, (T)-0.05384051912f); \
	p = fma(p, u, (T)0.1333248056f); \
	p = fma(p, u, (T)-0.3333331468f); \
	return select(copysign(large, x), fma(x * u, p, x), a < 0.56f); \
} \
\
/* |x| < 1: x + x·P(x²); else 1 − e^Q(|x|). */ \
static T erf_##s(T x) \
{ \
	T a = fabs(x), b = select(a, (T)4.0f, a > 4.0f), u = x * x, p = (T)7.853861089e-5f, q = (T)-2.16867487e-5f; \
\
	p = fma(p, u, (T)-0.0008010193534f); \
	p = fma(p, u, (T)0.005188327674f); \
	p = fma(p, u, (T)-0.02685381193f); \
	p = fma(p, u, (T)0.1128358515f); \
	p = fma(p, u, (T)-0.3761262582f); \
	p = fma(p, u, (T)0.1283791657f); \
	q = fma(q, b, (T)0.000441335118f); \
	q = fma(q, b, (T)-0.004204555297f); \
	q = fma(q, b, (T)0.02520823802f); \
	q = fma(q, b, (T)-0.108418546f); \
	q = fma(q, b, (T)-0.633219924f); \
	q = fma(q, b, (T)-1.129578408f); \
	q = fma(q, b, (T)0.0001880364601f); \
	return select(copysign(1.0f - exp_##s(q), x), fma(p, x, x), a < 1.0f); \
}
DEFINE_FUNCTIONS(f, float, int)
DEFINE_FUNCTIONS(4, float4, int4)
DEFINE_FUNCTIONS(8, float8, int8)
DEFINE_FUNCTIONS(16, float16, int16)
