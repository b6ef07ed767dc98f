/* linear.cl: what the linear layer does beside products. lib/op/linear.c */

/* y (rows, cols) = x where it is kept, over 1 - p, else 0; with acc added to y. A column is kept where its number in [0, 1),
 * that of Philox(seed = the row's 64-bit counter, stream, column), is at least p. Work-item (4 columns, row). */
__kernel void linear_drop(__global float *y, long y_off, long y_ld, __global const float *x, long x_off, long x_ld,
	__global const uint *rng, long rng_off, long rng_ld, long cols, float p, uint stream, int acc)
{
	const long c = (long)get_global_id(0) * 4, r = get_global_id(1);
	const ulong seed = (ulong)rng[rng_off + r * rng_ld] | (ulong)rng[rng_off + r * rng_ld + 1] << 32;
	float u[4];

	if (c >= cols)
		return;
	vstore4(rng_uniform4(seed, stream, (ulong)(c / 4)), 0, u);
	y += y_off + r * y_ld;
	x += x_off + r * x_ld;
	for (long i = c; i < min(cols, c + 4); i++) {
		float v = u[i - c] >= p ? x[i] / (1 - p) : 0;
		y[i] = acc ? y[i] + v : v;
	}
}

/* db (cols) += scale * the sum of the rows of dy: summed in each period, periods added one after the other. Work-item (column). */
__kernel void linear_bias_grad(__global float *db, long db_off, __global const float *dy, long dy_off, long dy_ld, long rows, long cols,
	long period, float scale)
{
	const long c = get_global_id(0);

	if (c >= cols)
		return;
	dy += dy_off + c;
	db += db_off + c;
	for (long from = 0; from < rows; from += period) {
		float s = 0;
		for (long r = from; r < min(rows, from + period); r++)
			s += dy[r * dy_ld];
		*db += s * scale;
	}
}
