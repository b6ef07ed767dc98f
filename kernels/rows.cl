// rows.cl: rows named by an index: y[t] = x[row[t]], dx[row[t]] (+)= dy[t], cache[row[t]] = x[t]. One work-item an element, or
// (…_cpu) BLOCK columns of a row. lib/op/add.c, lib/op/gather.c, lib/op/store.c
#ifndef TYPE_C
#define TYPE_C f32
#endif
#undef BLOCK
#define BLOCK 4096

// Rows outside 0 .. n−1 give zeros.
__kernel void rows_gather(__global float *y, __global const float *x, __global const int *row, long xoff, long n, long cols)
{
	long c = get_global_id(0), t = get_global_id(1), r = row[t];

	if (c < cols)
		y[t * cols + c] = r >= 0 && r < n ? x[xoff + r * cols + c] : 0.0f;
}

// Rows that move from one sum to another: to[row[t]] += from[row[t]], and from[row[t]] = 0. Rows are distinct.
__kernel void rows_move(__global float *to, __global float *from, __global const int *row, long n, long cols)
{
	long c = get_global_id(0), t = get_global_id(1), r = row[t];

	if (c >= cols || r < 0 || r >= n)
		return;
	to[r * cols + c] += from[r * cols + c];
	from[r * cols + c] = 0;
}

// Rows are distinct, so no two work-items have the same element.
__kernel void rows_scatter(__global float *dx, __global const float *dy, __global const int *row, long dxoff, long n, long cols, int acc)
{
	long c = get_global_id(0), t = get_global_id(1), r = row[t];

	if (c < cols && r >= 0 && r < n)
		dx[dxoff + r * cols + c] = dy[t * cols + c] + (acc ? dx[dxoff + r * cols + c] : 0.0f);
}

#define STORE_ARGS __global STORAGE(TYPE_C) *cache, __global const float *x, __global const int *row, long coff, long n, long xoff, long xld, long cols

__kernel void rows_store(STORE_ARGS)
{
	long c = get_global_id(0), t = get_global_id(1), r = row[t];

	if (c < cols && r >= 0 && r < n)
		STORE(TYPE_C, cache, coff + r * cols + c, x[xoff + t * xld + c]);
}

#if PM_CPU
// Columns c to end of a row.
APART void rows_store_some(__global STORAGE(TYPE_C) *cache, __global const float *x, long c, long end)
{
	for (; c + 16 <= end; c += 16)
		STORE16(TYPE_C, cache, c, vload16(0, x + c));
	for (; c < end; c++)
		STORE(TYPE_C, cache, c, x[c]);
}

__kernel WG1 void rows_move_cpu(__global float *to, __global float *from, __global const int *row, long n, long cols)
{
	long c = get_global_id(0) * BLOCK, end = min(c + BLOCK, cols), t = get_global_id(1), r = row[t];

	if (r < 0 || r >= n)
		return;
	to += r * cols;
	from += r * cols;
	for (; c + 16 <= end; c += 16) {
		vstore16(vload16(0, to + c) + vload16(0, from + c), 0, to + c);
		vstore16((float16)0, 0, from + c);
	}
	for (; c < end; c++) {
		to[c] += from[c];
		from[c] = 0;
	}
}

__kernel WG1 void rows_store_cpu(STORE_ARGS)
{
	long c = get_global_id(0) * BLOCK, t = get_global_id(1), r = row[t];

	if (r >= 0 && r < n)
		rows_store_some(cache + coff + r * cols, x + xoff + t * xld, c, min(c + BLOCK, cols));
}
#endif
