/* ceiling.cl: what the machine can do at most, for `make bench` (tests/bench/ceiling.c): products from registers, and reading memory
 * once. The results are stored, so that no compiler drops the work; their values mean nothing. */
#if PM_CPU
#define V float16
#define VLOAD(p, i) vload16(0, (p) + 16 * (i))
#define VSUM sum16
#else
#define V float4
#define VLOAD(p, i) vload4(0, (p) + 4 * (i))
#define VSUM sum4
#endif

/* 12 chains, enough to hide the latency of fma: 12 × 2 × elements of V operations a step. */
__kernel void ceiling_f32(__global float *y, int steps, float a, float b)
{
	V s[12], m = a, c = b;
	int i, j;

#pragma unroll
	for (j = 0; j < 12; j++)
		s[j] = (V)(j * a);
	for (i = 0; i < steps; i++) {
#pragma unroll
		for (j = 0; j < 12; j++)
			s[j] = fma(s[j], m, c);
	}
#pragma unroll
	for (j = 1; j < 12; j++)
		s[0] += s[j];
	y[get_global_id(0)] = VSUM(s[0]);
}

#ifndef STREAMS
#define STREAMS 8
#endif

/* Every item reads STREAMS streams of `n` vectors, `n` vectors apart, all of them at once. */
__kernel void ceiling_read(__global float *y, __global const float *x, long n)
{
	__global const float *p = x + (size_t)get_global_id(0) * STREAMS * n * (sizeof(V) / sizeof(float));
	V s[STREAMS];
	long i;
	int j;

#pragma unroll
	for (j = 0; j < STREAMS; j++)
		s[j] = (V)(0.0f);
	for (i = 0; i < n; i++) {
#pragma unroll
		for (j = 0; j < STREAMS; j++)
			s[j] += VLOAD(p, j * n + i);
	}
#pragma unroll
	for (j = 1; j < STREAMS; j++)
		s[0] += s[j];
	y[get_global_id(0)] = VSUM(s[0]);
}

#if HAVE_BF16
/* 12 chains of vdpbf16ps: 12 × 64 operations a step. */
__kernel void ceiling_bf16(__global float *y, int steps, float a, float b)
{
	float16 s[12];
	uint16 m = as_uint16((float16)(a)), c = as_uint16((float16)(b));
	int i, j;

#pragma unroll
	for (j = 0; j < 12; j++)
		s[j] = (float16)(j * a);
	for (i = 0; i < steps; i++) {
#pragma unroll
		for (j = 0; j < 12; j++)
			__asm__ volatile("vdpbf16ps %2, %1, %0" : "+v"(s[j]) : "v"(m), "v"(c));
	}
#pragma unroll
	for (j = 1; j < 12; j++)
		s[0] += s[j];
	y[get_global_id(0)] = sum16(s[0]);
}
#endif

#if HAVE_VNNI
/* 12 chains of vpdpbusd: 12 × 128 operations a step. */
__kernel void ceiling_vnni(__global float *y, int steps, float a, float b)
{
	int16 s[12], m = as_int16((float16)(a)), c = as_int16((float16)(b));
	int i, j;

#pragma unroll
	for (j = 0; j < 12; j++)
		s[j] = (int16)(j);
	for (i = 0; i < steps; i++) {
#pragma unroll
		for (j = 0; j < 12; j++)
			__asm__ volatile("vpdpbusd %2, %1, %0" : "+v"(s[j]) : "v"(m), "v"(c));
	}
#pragma unroll
	for (j = 1; j < 12; j++)
		s[0] += s[j];
	y[get_global_id(0)] = sum16(convert_float16(s[0]));
}
#endif

#if HAVE_AMX
/* 4 products of tiles a step, of 16 × 16 × 32 × 2 operations each. */
__kernel void ceiling_amx(__global float *y, int steps, float a, float b)
{
	uint config[16];
	int i;

	for (i = 0; i < 16; i++)
		config[i] = i >= 4 && i < 8 ? 0x00400040 : i >= 12 && i < 14 ? 0x10101010 : 0;
	config[0] = 1;
	__asm__ volatile("ldtilecfg (%0)" : : "r"((size_t)config) : "memory");
	__asm__ volatile("tilezero %%tmm0\n\ttilezero %%tmm1\n\ttilezero %%tmm2\n\ttilezero %%tmm3" : :);
	__asm__ volatile("tilezero %%tmm4\n\ttilezero %%tmm5\n\ttilezero %%tmm6\n\ttilezero %%tmm7" : :);
	for (i = 0; i < steps; i++) {
		__asm__ volatile("tdpbf16ps %%tmm6, %%tmm4, %%tmm0\n\ttdpbf16ps %%tmm7, %%tmm4, %%tmm1\n\t"
			"tdpbf16ps %%tmm6, %%tmm5, %%tmm2\n\ttdpbf16ps %%tmm7, %%tmm5, %%tmm3" : :);
	}
	__asm__ volatile("tilerelease" : :);
	y[get_global_id(0)] = a + b;
}
#endif
