//! use rowsum
/* combine.cl: between rows of tokens and rows of pairs. k pairs a row; pair t·k + j lies at place[t·k + j], and pair[p] is the one that lies at p.
 * lib/op/combine.c */

/* n columns of out = add + scale · Σ_j weight[j] · y[place[j]]; weight NULL: 1, add NULL: 0 (add may be out). */
inline void combine_columns(__global float *out, __global const float *y, long y_ld, __global const int *place, __global const float *weight,
	__global const float *add, int k, int n, float scale)
{
	FOR_LANES(at, left, n) {
		vec sum = 0;
		for (int j = 0; j < k; j++) {
			const vec v = lanes_load(f32, y + place[j] * y_ld + at, left);
			sum = weight ? fma((vec)weight[j], v, sum) : sum + v;
		}
		lanes_store(fma((vec)scale, sum, add ? lanes_load(f32, add + at, left) : (vec)0), out + at, left, 0);
	}
}

/* A work-group does a row. */
ROW_KERNEL void combine_sum(__global float *out, long out_off, long out_ld, __global const float *y, long y_off, long y_ld, __global const int *place,
	__global const float *weight, long w_off, long w_ld, __global const float *add, long add_off, long add_ld, int k, int n, float scale)
{
	const long t = get_group_id(0);

	combine_columns(out + out_off + t * out_ld, y + y_off, y_ld, place + t * k, weight ? weight + w_off + t * w_ld : 0, add ? add + add_off + t * add_ld : 0,
		k, n, scale);
}

/* y = w · x, added to y where acc. */
inline void spread_row(__global float *y, __global const float *x, int n, float w, int acc)
{
	FOR_LANES(at, left, n)
		lanes_store(w * lanes_load(f32, x + at, left), y + at, left, acc);
}

/* y[p] = scale · weight[pair p] · x[the pair's row], added to y where acc; weight NULL: 1. */
ROW_KERNEL void combine_spread(__global float *y, long y_off, long y_ld, __global const float *x, long x_off, long x_ld, __global const int *pair,
	__global const float *weight, long w_off, long w_ld, int k, int n, float scale, int acc)
{
	const long p = get_group_id(0), t = pair[p] / k;

	spread_row(y + y_off + p * y_ld, x + x_off + t * x_ld, n, weight ? scale * weight[w_off + t * w_ld + pair[p] % k] : scale, acc);
}

/* dweight[t][j] = scale · Σ dout[t] · y[place[t][j]], added where acc. */
ROW_KERNEL void combine_dot(__global float *dw, long dw_off, long dw_ld, __global const float *dout, long d_off, long d_ld, __global const float *y,
	long y_off, long y_ld, __global const int *place, int k, int n, float scale, int acc)
{
	__local float room[WG];
	const long t = get_group_id(0);

	dout += d_off + t * d_ld;
	dw += dw_off + t * dw_ld;
	for (int j = 0; j < k; j++) {
		__global const float *v = y + y_off + place[t * k + j] * y_ld;
		float sum;

		ROW_SUM(sum, n, room, lanes_load(f32, dout + at, left) * lanes_load(f32, v + at, left));
		if (get_local_id(0) == 0)
			dw[j] = acc ? fma(scale, sum, dw[j]) : scale * sum;
	}
}

/* The counters of a pair's row, another for each expert. Work-item (pair). */
__kernel void combine_counters(__global int *y, __global const int *rng, long off, long ld, __global const int *pair, __global const int *expert, int k)
{
	const long p = get_global_id(0), t = pair[p] / k;

	y[2 * p] = rng[off + t * ld];
	y[2 * p + 1] = rng[off + t * ld + 1] ^ expert[pair[p]];
}
