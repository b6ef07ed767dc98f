// reduce.cl: sums of squares by parts; the host adds the parts in double, in order. Sums are compensated (Kahan), so that
// parts of any length keep float's precision. lib/op/reduce.c
#define KAHAN(V, x) { V y_ = (x) * (x) - lost, t_ = sum + y_; lost = (t_ - sum) - y_; sum = t_; }

// Work-item i of n takes elements i, i + n, i + 2n … Its sum goes to part[at + i].
__kernel void reduce_squares(__global float *part, long at, __global const float *x, long count)
{
	long i = get_global_id(0), n = get_global_size(0), j;
	float sum = 0.0f, lost = 0.0f;

	for (j = i; j < count; j += n)
		KAHAN(float, x[j])
	part[at + i] = sum;
}

#if PM_CPU
// Work-item i takes elements i each .. (i + 1) each - 1; each is a multiple of 16.
__kernel WG1 void reduce_squares_cpu(__global float *part, long at, __global const float *x, long count, long each)
{
	long i = get_global_id(0) * each, end = min(i + each, count);
	float16 sums[4] = {0.0f, 0.0f, 0.0f, 0.0f}, losts[4] = {0.0f, 0.0f, 0.0f, 0.0f};       // four chains, to keep the pipes full
	float16 sum = 0.0f, lost = 0.0f;
	float rest = 0.0f;
	int k;

	for (; i + 64 <= end; i += 64)
		for (k = 0; k < 4; k++) {
			float16 v = vload16(0, x + i + 16 * k), y = v * v - losts[k], t = sums[k] + y;

			losts[k] = (t - sums[k]) - y;
			sums[k] = t;
		}
	for (; i + 16 <= end; i += 16)
		KAHAN(float16, vload16(0, x + i))
	sum += (sums[0] + sums[1]) + (sums[2] + sums[3]);
	for (; i < end; i++)
		rest += x[i] * x[i];
	part[at + get_global_id(0)] = sum16(sum) + rest;
}
#endif
