// fill.cl: zeroing and copying parts of float32 matrices (lib/graph/grad.c). One work-item an element: (column, row).

__kernel void fill_zero(__global float *y, long off, long ld, long cols)
{
	long c = get_global_id(0), r = get_global_id(1);

	if (c < cols)
		y[off + r * ld + c] = 0.0f;
}

__kernel void fill_copy(__global float *y, long off, long ld, __global const float *x, long xoff, long xld, long cols, int acc)
{
	long c = get_global_id(0), r = get_global_id(1);

	if (c >= cols)
		return;
	if (acc)
		y[off + r * ld + c] += x[xoff + r * xld + c];
	else
		y[off + r * ld + c] = x[xoff + r * xld + c];
}
