//! use quant
// embed.cl: y[t] = scale W[id] + s B A[:, id], and the gradients of W (V, D), A (r, V) and B (D, r). An id outside the table
// gives zeros. Gradients walk the tokens in their order, each work-item with elements of its own, so that the order of every sum is
// the tokens' order, however a batch is split. lib/op/embed.c
#ifndef TYPE_E
#define TYPE_E f32
#endif

// An id as it is, or where it is negative, −1 − i, that of row i of `drawn`.
inline int picked(int id, __global const int *drawn)
{
	return id < 0 ? drawn[-1 - id] : id;
}

__kernel void embed_pick(__global int *y, __global const int *ids, __global const int *drawn)
{
	y[get_global_id(0)] = picked(ids[get_global_id(0)], drawn);
}

// One work-item an element: (column, row). r: the adapter's rank, 0 without one.
__kernel void embed_fwd(__global float *y, __global const STORAGE(TYPE_E) *w, __global const int *ids, __global const float *a,
	__global const float *b, long woff, long v, long d, int r, float scale, float s)
{
	long c = get_global_id(0), t = get_global_id(1), id = ids[t];
	float sum = 0.0f, out = 0.0f;
	int i;

	if (c >= d)
		return;
	if (id >= 0 && id < v) {
		for (i = 0; i < r; i++)
			sum += b[c * r + i] * a[i * v + id];
		out = scale * LOAD(TYPE_E, w, woff + id * d + c) + s * sum;
	}
	y[t * d + c] = out;
}

// dW[id[t]] += scale dy[t]: a work-item has one column.
__kernel void embed_bwd_w(__global float *dw, __global const float *dy, __global const int *ids, long dwoff, long rows, long v, long d, float scale)
{
	long c = get_global_id(0), t;

	if (c >= d)
		return;
	for (t = 0; t < rows; t++) {
		long id = ids[t];

		if (id >= 0 && id < v)
			dw[dwoff + id * d + c] += scale * dy[t * d + c];
	}
}

// u (T, r) = s dy B. One work-item an element: (rank, row).
__kernel void embed_bwd_u(__global float *u, __global const float *dy, __global const float *b, long d, int r, float s)
{
	long i = get_global_id(0), t = get_global_id(1), c;
	float sum = 0.0f;

	if (i >= r)
		return;
	for (c = 0; c < d; c++)
		sum += dy[t * d + c] * b[c * r + i];
	u[t * r + i] = s * sum;
}

// dA[:, id[t]] += u[t]: a work-item has one row of A.
__kernel void embed_bwd_a(__global float *da, __global const float *u, __global const int *ids, long rows, long v, int r)
{
	long i = get_global_id(0), t;

	if (i >= r)
		return;
	for (t = 0; t < rows; t++) {
		long id = ids[t];

		if (id >= 0 && id < v)
			da[i * v + id] += u[t * r + i];
	}
}

// dB += s dy[t] A[:, id[t]]: a work-item has one element, (rank, column). acc: dB is added to.
__kernel void embed_bwd_b(__global float *db, __global const float *dy, __global const int *ids, __global const float *a,
	long rows, long v, long d, int r, float s, int acc)
{
	long i = get_global_id(0), c = get_global_id(1), t;
	float sum;

	if (i >= r)
		return;
	sum = acc ? db[c * r + i] : 0.0f;
	for (t = 0; t < rows; t++) {
		long id = ids[t];

		if (id >= 0 && id < v)
			sum += s * dy[t * d + c] * a[i * v + id];
	}
	db[c * r + i] = sum;
}

#if PM_CPU
// Columns c to end of row id of the table.
APART void embed_some(__global float *y, __global const STORAGE(TYPE_E) *w, long id, long woff, long v, long d, float scale, long c, long end)
{
	const float there = id >= 0 && id < v ? 1.0f : 0.0f;

	id = there != 0.0f ? id : 0;
	scale *= there;
	for (; c + 16 <= end; c += 16)
		vstore16(scale * LOAD16(TYPE_E, w, woff + id * d + c), 0, y + c);
	for (; c < end; c++)
		y[c] = scale * LOAD(TYPE_E, w, woff + id * d + c);
}

// Without an adapter: one work-item BLOCK columns of a row.
#undef BLOCK
#define BLOCK 4096

__kernel WG1 void embed_fwd_cpu(__global float *y, __global const STORAGE(TYPE_E) *w, __global const int *ids, long woff, long v, long d, float scale)
{
	const long c = get_global_id(0) * BLOCK, t = get_global_id(1);

	embed_some(y + t * d, w, ids[t], woff, v, d, scale, c, min(c + BLOCK, d));
}

// A work-item has 64 columns.
__kernel WG1 void embed_bwd_w_cpu(__global float *dw, __global const float *dy, __global const int *ids, long dwoff, long rows, long v, long d, float scale)
{
	long from = get_global_id(0) * 64, end = min(from + 64, d), c, t;

	for (t = 0; t < rows; t++) {
		long id = ids[t];
		__global float *to = dw + dwoff + id * d;

		if (id < 0 || id >= v)
			continue;
		for (c = from; c + 16 <= end; c += 16)
			vstore16(vload16(0, to + c) + scale * vload16(0, dy + t * d + c), 0, to + c);
		for (; c < end; c++)
			to[c] += scale * dy[t * d + c];
	}
}

// u (T, r) = s dy B: a work-item has one row.
__kernel WG1 void embed_bwd_u_cpu(__global float *u, __global const float *dy, __global const float *b, long d, int r, float s)
{
	long t = get_global_id(0), c;
	int i;

	for (i = 0; i + 8 <= r; i += 8) {
		float8 sum = 0.0f;

		for (c = 0; c < d; c++)
			sum += dy[t * d + c] * vload8(0, b + c * r + i);
		vstore8(s * sum, 0, u + t * r + i);
	}
	for (; i < r; i++) {
		float sum = 0.0f;

		for (c = 0; c < d; c++)
			sum += dy[t * d + c] * b[c * r + i];
		u[t * r + i] = s * sum;
	}
}

// g (T, r) = A[:, id[t]]: a work-item has one row.
__kernel WG1 void embed_columns_cpu(__global float *g, __global const int *ids, __global const float *a, long v, int r)
{
	long t = get_global_id(0), id = ids[t];
	int i;

	for (i = 0; i < r; i++)
		g[t * r + i] = id >= 0 && id < v ? a[i * v + id] : 0.0f;
}

// dB += s dyᵀ g: a work-item has 16 columns of dy, and takes 8 ranks at a time.
__kernel WG1 void embed_bwd_b_cpu(__global float *db, __global const float *dy, __global const float *g, long rows, long d, int r, float s, int acc)
{
	long c = get_global_id(0) * 16, t;
	int n = (int)min(d - c, 16L), i, j, k;

	for (i = 0; i < r; i += 8) {
		int ranks = min(r - i, 8);
		float sums[8][16];
		float16 sum[8];

		for (k = 0; k < 8; k++)
			for (j = 0; j < 16; j++)
				sums[k][j] = acc && k < ranks && j < n ? db[(c + j) * r + i + k] : 0.0f;
		for (k = 0; k < 8; k++)
			sum[k] = vload16(0, sums[k]);
		for (t = 0; t < rows && n == 16 && ranks == 8; t++) {
			float16 x = s * vload16(0, dy + t * d + c);

			for (k = 0; k < 8; k++)
				sum[k] += x * g[t * r + i + k];
		}
		for (k = 0; k < 8; k++)
			vstore16(sum[k], 0, sums[k]);
		for (; t < rows; t++)           // the edges
			for (k = 0; k < ranks; k++)
				for (j = 0; j < n; j++)
					sums[k][j] += s * dy[t * d + c + j] * g[t * r + i + k];
		for (k = 0; k < ranks; k++)
			for (j = 0; j < n; j++)
				db[(c + j) * r + i + k] = sums[k][j];
	}
}
#endif
