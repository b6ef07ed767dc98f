// add.cl: y (rows, cols) = a x + b z, or a x; with acc added to y. lib/op/add.c
#undef ARGS
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
		v = fma(b, z[zoff + r * zld + c], v);
	if (acc)
		v += y[yoff + r * yld + c];
	y[yoff + r * yld + c] = v;
}

#if PM_CPU
APART void add_some(__global float *y, __global const float *x, __global const float *z, long c, long end, float a, float b, int two, int acc)
{
	for (; c + 16 <= end; c += 16) {
		float16 v = a * vload16(0, x + c);

		if (two)
			v = fma((float16)b, vload16(0, z + c), v);
		if (acc)
			v += vload16(0, y + c);
		vstore16(v, 0, y + c);
	}
	for (; c < end; c++) {
		float v = a * x[c];

		if (two)
			v = fma(b, z[c], v);
		if (acc)
			v += y[c];
		y[c] = v;
	}
}

// One work-item BLOCK columns of a row.
#undef BLOCK
#define BLOCK 4096

__kernel WG1 void add_fwd_cpu(ARGS)
{
	const long c = get_global_id(0) * BLOCK, r = get_global_id(1);

	add_some(y + yoff + r * yld, x + xoff + r * xld, z + zoff + r * zld, c, min(c + BLOCK, cols), a, b, two, acc);
}
#endif
