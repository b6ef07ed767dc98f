/* balance.cl: how evenly rows go to experts. A row counts where its span (first and last visible key) is not empty. lib/op/balance.c */

/* stats (rows, 2): the largest logit of a row and the sum of exp(logit − it); 0 for a row that does not count. Work-item (row). */
__kernel void balance_rows(__global float *stats, __global const float *x, long x_off, long x_ld, __global const int *span, int n)
{
	const long t = get_global_id(0);
	__global const float *row = x + x_off + t * x_ld;
	float top = row[0], sum = 0;

	for (int i = 1; i < n; i++)
		top = fmax(top, row[i]);
	for (int i = 0; i < n; i++)
		sum += exp_f(row[i] - top);
	stats[2 * t] = top;
	stats[2 * t + 1] = span[2 * t] < span[2 * t + 1] ? sum : 0.0f;
}

/* y (2, n): how many rows chose an expert, and the sum of its softmax over all rows, each row after the other. Work-item (expert). */
__kernel void balance_sums(__global float *y, long y_off, long y_ld, __global const float *stats, __global const float *x, long x_off, long x_ld,
	__global const int *expert, int rows, int chosen)
{
	const int e = get_global_id(0);
	int count = 0;
	float sum = 0, rest = 0;                /* Kahan's: so that the sum does not lose what single rows add */

	for (long t = 0; t < rows; t++) {
		if (stats[2 * t + 1] == 0.0f)
			continue;
		for (int j = 0; j < chosen; j++)
			count += expert[t * chosen + j] == e;
		const float v = exp_f(x[x_off + t * x_ld + e] - stats[2 * t]) / stats[2 * t + 1] - rest, next = sum + v;

		rest = (next - sum) - v;
		sum = next;
	}
	y[y_off + e] = count;
	y[y_off + y_ld + e] = sum;
}

/* dx (=, +=) p_i · (d_i − Σ_e p_e · d_e), d the second row of dy. Work-item (row). */
__kernel void balance_back(__global float *dx, long dx_off, long dx_ld, __global const float *dy, long dy_off, long dy_ld, __global const float *x, long x_off,
	long x_ld, __global const int *span, int n, int acc)
{
	const long t = get_global_id(0);
	__global const float *row = x + x_off + t * x_ld, *d = dy + dy_off + dy_ld;
	__global float *to = dx + dx_off + t * dx_ld;
	const bool counts = span[2 * t] < span[2 * t + 1];
	float top = row[0], sum = 0, dot = 0;

	for (int i = 1; i < n; i++)
		top = fmax(top, row[i]);
	for (int i = 0; i < n; i++) {
		const float v = exp_f(row[i] - top);

		sum += v;
		dot += v * d[i];
	}
	for (int i = 0; i < n; i++) {
		const float g = counts ? exp_f(row[i] - top) / sum * (d[i] - dot / sum) : 0.0f;

		to[i] = g + (acc ? to[i] : 0.0f);
	}
}

/* Rows that count, over all layers. */
inline float counted(__global const float *s, int n, int chosen)
{
	float all = 0;

	for (int i = 0; i < n; i++)
		all += s[i];
	return all / chosen;
}

/* y = n · Σ_e count_e/N · sum_e/N. One work-item. */
__kernel void balance_loss(__global float *y, long y_off, __global const float *s, long off, long ld, int n, int chosen)
{
	const float all = counted(s + off, n, chosen);
	float sum = 0;

	for (int i = 0; i < n; i++)
		sum += s[off + i] / all * (s[off + ld + i] / all);
	y[y_off] = all > 0 ? n * sum : 0.0f;
}

/* ds (=, +=): of the second row; of the first, which is no gradient's business, 0. Work-item (expert). */
__kernel void balance_loss_back(__global float *ds, long ds_off, long ds_ld, __global const float *dy, long dy_off, __global const float *s, long off, long ld,
	int n, int chosen, int acc)
{
	const int e = get_global_id(0);
	const float all = counted(s + off, n, chosen), g = all > 0 ? dy[dy_off] * n * (s[off + e] / all) / all : 0.0f;

	ds[ds_off + e] = acc ? ds[ds_off + e] : 0.0f;
	ds[ds_off + ds_ld + e] = g + (acc ? ds[ds_off + ds_ld + e] : 0.0f);
}
