// add.cl: y (rows, cols) = a x + b z, or a x; with acc added to y. One work-item an element: (column, row). lib/op/add.c

__kernel void add_fwd(__global float *y, long yoff, long yld, __global const float *x, long xoff, long xld,
	__global const float *z, long zoff, long zld, long cols, float a, float b, int two, int acc)
{
	long c = get_global_id(0), r = get_global_id(1);
	float v;

	if (c >= cols)
		return;
	v = a * x[xoff + r * xld + c];
	if (two)
		v += b * z[zoff + r * zld + c];
	if (acc)
		v += y[yoff + r * yld + c];
	y[yoff + r * yld + c] = v;
}
