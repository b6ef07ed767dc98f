//! use quant
/* head_unit.cl: the end of the gradient that the head makes in its forward pass. lib/op/head.c */
#ifndef TYPE_W
#define TYPE_W f32
#endif
#define STATE 3                         /* as in head.cl */

/* unit (rows, cols) = scale * (unit / state's sum + (p - 1) * slope * W[target]), p the target's probability and slope that of the cap at its
 * logit; 0 in rows without a target. Work-item (row). */
__kernel WG1 void head_unit_end_cpu(__global float *unit, long unit_off, long unit_ld, __global const float *state, long state_off,
	__global const STORAGE(TYPE_W) *w, long w_off, long w_ld, __global const int *target, long target_off, long target_ld, int cols, float scale,
	float cap)
{
	const long r = get_global_id(0), t = target[target_off + r * target_ld];
	__global const float *s = state + state_off + r * STATE;

	unit += unit_off + r * unit_ld;
	if (t < 0) {
		for (int c = 0; c < cols; c++)
			unit[c] = 0;
		return;
	}
	const float slope = cap > 0 ? 1.0f - s[2] / cap * (s[2] / cap) : 1.0f;
	const float sum = scale / s[1], hit = scale * slope * (exp_f(s[2] - (s[0] + log(s[1]))) - 1.0f);
	int c = 0;
	for (; c + 16 <= cols; c += 16)
		vstore16(fma(vload16(0, unit + c), (float16)sum, LOAD16(TYPE_W, w, w_off + t * w_ld + c) * hit), 0, unit + c);
	for (; c < cols; c++)
		unit[c] = fma(unit[c], sum, LOAD(TYPE_W, w, w_off + t * w_ld + c) * hit);
}
