// cast.cl: out[i] = in[i] between f32, f16 and bf16, rounded to nearest even. lib/op/cast.c
#ifndef TYPE_TO
#define TYPE_TO f32
#endif
#ifndef TYPE_FROM
#define TYPE_FROM f32
#endif
#define ARGS __global STORAGE(TYPE_TO) *out, __global const STORAGE(TYPE_FROM) *in, long count

__kernel void cast_elements(ARGS)
{
	long i = get_global_id(0);

	if (i < count)
		STORE(TYPE_TO, out, i, LOAD(TYPE_FROM, in, i));
}

#if PM_CPU
// One work-item BLOCK elements.
#define BLOCK 4096

__kernel WG1 void cast_elements_cpu(ARGS)
{
	long i = get_global_id(0) * BLOCK, end = min(i + BLOCK, count);

	for (; i + 16 <= end; i += 16)
		STORE16(TYPE_TO, out, i, LOAD16(TYPE_FROM, in, i));
	for (; i < end; i++)
		STORE(TYPE_TO, out, i, LOAD(TYPE_FROM, in, i));
}
#endif
