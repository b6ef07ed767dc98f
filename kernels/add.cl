// add.cl: y (rows, cols) = a x + b z, or a x; with acc added to y. lib/op/add.c
#define ARGS __global float *y, long yoff, long yld, __global const float *x, long xoff, long xld, \
	__global const float *z, long zoff, long zld, long cols, float a, float b, int two, int acc

// One work-item an element: (column, row).
__kernel void add_fwd(ARGS)
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

#if PM_CPU
// One work-item BLOCK columns of a row.
#define BLOCK 4096

__kernel WG1 void add_fwd_cpu(ARGS)
{
	long c = get_global_id(0) * BLOCK, end = min(c + BLOCK, cols), r = get_global_id(1);

	y += yoff + r * yld;
	x += xoff + r * xld;
	z += zoff + r * zld;
	for (; c + 16 <= end; c += 16) {
		float16 v = a * vload16(0, x + c);

		if (two)
			v += b * vload16(0, z + c);
		if (acc)
			v += vload16(0, y + c);
		vstore16(v, 0, y + c);
	}
	for (; c < end; c++) {
		float v = a * x[c];

		if (two)
			v += b * z[c];
		if (acc)
			v += y[c];
		y[c] = v;
	}
}
#endif
