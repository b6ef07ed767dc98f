//! use rowsum
/* squares.cl: y (periods, n): sums of x² over the rows of a period. lib/op/squares.c
 *
 * An item sums LANES columns of a period: chunks of CHUNK rows each apart, then these, so that the order follows from the period alone. */
__kernel void squares_fwd(__global float *y, long y_off, long y_ld, __global const float *x, long x_off, long x_ld, int rows, int period, int n)
{
	const int at = get_global_id(0) * LANES, left = n - at, p = get_global_id(1), end = min((p + 1) * period, rows);
	vec all = 0;

	for (long from = (long)p * period; from < end; from += CHUNK) {
		const long to = min(from + CHUNK, (long)end);
		vec part = 0;

		for (long row = from; row < to; row++) {
			const vec v = lanes_load(f32, x + x_off + row * x_ld + at, left);

			part = fma(v, v, part);
		}
		all += part;
	}
	lanes_store(all, y + y_off + p * y_ld + at, left, 0);
}
