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
 * BITS. Contraction is off: a*b+c rounds twice and gives the same everywhere; write fma(a, b, c) where one rounding is
 * meant (fast on all devices of interest). Results must not depend on the number of threads or work-groups: no atomics on floats.
 *
 * KERNELS. Arguments: outputs, inputs, sizes (int or long), scalars; host: PM_MEM, PM_I32, PM_I64, PM_F32, PM_LOCAL. A CPU variant
 * has `WG1` (work-group of one item) and float16 vectors; #if PM_CPU, #if PM_GPU, #if HAVE_AVX512 … tell the device. */
#pragma OPENCL FP_CONTRACT OFF
#ifdef cl_khr_fp64
#pragma OPENCL EXTENSION cl_khr_fp64 : enable
#endif

#define WG1 __attribute__((reqd_work_group_size(1, 1, 1)))

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
ushort to_bf16(float v)
{
	uint u = as_uint(v);

	return isnan(v) ? (ushort)(u >> 16 | 0x40) : (ushort)((u + 0x7fff + (u >> 16 & 1)) >> 16);
}

#define DEFINE_TO_BF16(n) \
	ushort##n to_bf16_##n(float##n v) \
	{ \
		uint##n u = as_uint##n(v); \
		uint##n r = (u + (uint##n)0x7fff + (u >> 16 & (uint##n)1)) >> 16; \
		return convert_ushort##n(select(r, u >> 16 | (uint##n)0x40, isnan(v))); \
	}
DEFINE_TO_BF16(4)
DEFINE_TO_BF16(8)
DEFINE_TO_BF16(16)

/* ---- sums in a fixed order ---- */

/* Of a vector's elements: halves are added until one is left. */
float sum4(float4 v)
{
	float2 a = v.lo + v.hi;

	return a.x + a.y;
}

float sum8(float8 v)
{
	return sum4(v.lo + v.hi);
}

float sum16(float16 v)
{
	return sum8(v.lo + v.hi);
}

float max4(float4 v)
{
	float2 a = fmax(v.lo, v.hi);

	return fmax(a.x, a.y);
}

float max8(float8 v)
{
	return max4(fmax(v.lo, v.hi));
}

float max16(float16 v)
{
	return max8(fmax(v.lo, v.hi));
}

/* Over a work-group of a power of two of items in dimension 0; `room` holds one float an item. All items call it, all get the result. */
float group_sum(float v, __local float *room)
{
	int i = (int)get_local_id(0), n;

	room[i] = v;
	for (n = (int)get_local_size(0) / 2; n > 0; n /= 2) {
		barrier(CLK_LOCAL_MEM_FENCE);
		if (i < n)
			room[i] += room[i + n];
	}
	barrier(CLK_LOCAL_MEM_FENCE);
	v = room[0];
	barrier(CLK_LOCAL_MEM_FENCE);
	return v;
}

float group_max(float v, __local float *room)
{
	int i = (int)get_local_id(0), n;

	room[i] = v;
	for (n = (int)get_local_size(0) / 2; n > 0; n /= 2) {
		barrier(CLK_LOCAL_MEM_FENCE);
		if (i < n)
			room[i] = fmax(room[i], room[i + n]);
	}
	barrier(CLK_LOCAL_MEM_FENCE);
	v = room[0];
	barrier(CLK_LOCAL_MEM_FENCE);
	return v;
}

/* ---- random numbers: lib/base/rng.h's Philox4x32-10, the same words ---- */

/* The four words of block `index` of a stream. */
uint4 rng_block(ulong seed, uint stream, ulong index)
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
float4 rng_uniform4(ulong seed, uint stream, ulong index)
{
	return convert_float4(rng_block(seed, stream, index) >> 8) * 0x1p-24f;
}

float rng_uniform(ulong seed, uint stream, ulong index)
{
	uint4 w = rng_block(seed, stream, index / 4);
	uint a = index & 1 ? w.y : w.x, b = index & 1 ? w.w : w.z;

	return convert_float((index & 2 ? b : a) >> 8) * 0x1p-24f;
}

/* ---- functions: float and float16, the same bits for both ---- */

#define exp_f exp
#define exp_16 exp
#define tanh_f tanh
#define tanh_16 tanh
#define erf_f erf
#define erf_16 erf
