//! use rowsum
/* squares.cl: y (periods, n): sums of x² over the rows of a period; or those of a period that go to an expert. lib/op/squares.c
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

/* y (periods · E, n): pairs lie in the order of the experts and, within one, of the periods: count (E, periods). chosen 0: x has a row a pair, else pair / chosen
 * is its row. */
__kernel void squares_experts(__global float *y, long y_off, long y_ld, __global const float *x, long x_off, long x_ld, __global const int *pair,
	__global const int *count, int experts, int periods, int chosen, int n)
{
	const int at = get_global_id(0) * LANES, left = n - at, row = get_global_id(1), before = row % experts * periods + row / experts;
	vec all = 0;
	long first = 0, end;

	for (int i = 0; i < before; i++)
		first += count[i];
	end = first + count[before];
	for (long from = first; from < end; from += CHUNK) {
		const long to = min(from + CHUNK, end);
		vec part = 0;

		for (long i = from; i < to; i++) {
			const vec v = lanes_load(f32, x + x_off + (chosen ? pair[i] / chosen : i) * x_ld + at, left);

			part = fma(v, v, part);
		}
		all += part;
	}
	lanes_store(all, y + y_off + row * y_ld + at, left, 0);
}
