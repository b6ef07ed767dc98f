// adamw.cl: one step of AdamW over `count` elements (fixtures: torch.optim.AdamW's arithmetic in float):
//     g = gscale grad;  p = p keep;  m = b1 m + c1 g;  v = b2 v + c2 g²;  p = p - rate m / (√v / root + eps)
// with keep = 1 - lr decay, c = 1 - b, rate = lr / (1 - b1^n), root = √(1 - b2^n) from the host. lib/op/adamw.c
#define ARGS __global float *p, __global float *m, __global float *v, __global const float *grad, long count, \
	float gscale, float keep, float b1, float c1, float b2, float c2, float rate, float root, float eps
#define STEP(V, LD, ST) { \
	V g = gscale * LD(f32, grad, i), a = b1 * LD(f32, m, i) + c1 * g, b = b2 * LD(f32, v, i) + c2 * (g * g); \
	ST(f32, m, i, a); \
	ST(f32, v, i, b); \
	ST(f32, p, i, LD(f32, p, i) * keep - rate * a / (sqrt(b) / root + eps)); }

__kernel void adamw_step(ARGS)
{
	long i = get_global_id(0);

	if (i < count)
		STEP(float, LOAD, STORE)
}

#if PM_CPU
// One work-item BLOCK elements.
#define BLOCK 4096

__kernel WG1 void adamw_step_cpu(ARGS)
{
	long i = get_global_id(0) * BLOCK, end = min(i + BLOCK, count);

	for (; i + 16 <= end; i += 16)
		STEP(float16, LOAD16, STORE16)
	for (; i < end; i++)
		STEP(float, LOAD, STORE)
}
#endif
