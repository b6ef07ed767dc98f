/* route.cl: which experts a row goes to, with what weights, and the pairs (row, expert) in the order of the experts. lib/op/route.c */

/* Whether v comes before w, which was there first. */
inline bool before(float v, float w)
{
	return v > w || (isnan(v) && !isnan(w));
}

/* The k largest of n logits, largest first, of equals the lowest number; NaNs come first, so that they are not lost. Then what their results
 * are multiplied by: softmax over them, or (all) their share of the softmax over all. */
inline void choose(__global int *expert, __global float *weight, __global const float *x, int n, int k, int all, float scale)
{
	float sum = 0;
	int have = 0;

	for (int i = 0; i < n; i++) {
		const float v = x[i];
		int j = have;

		if (have == k && !before(v, weight[k - 1]))
			continue;
		for (j = have < k ? have++ : k - 1; j > 0 && before(v, weight[j - 1]); j--) {
			weight[j] = weight[j - 1];
			expert[j] = expert[j - 1];
		}
		weight[j] = v;
		expert[j] = i;
	}
	const float top = weight[0];
	if (all)
		for (int i = 0; i < n; i++)
			sum += exp_f(x[i] - top);
	for (int j = 0; j < k; j++) {
		weight[j] = exp_f(weight[j] - top);
		if (!all)
			sum += weight[j];
	}
	for (int j = 0; j < k; j++)
		weight[j] = weight[j] / sum * scale;
}

/* Work-item (row). */
__kernel void route_choose(__global int *expert, __global float *weight, __global const float *logits, long off, long ld, int n, int k, int all,
	float scale)
{
	const long t = get_global_id(0);

	choose(expert + t * k, weight + t * k, logits + off + t * ld, n, k, all, scale);
}

/* count[expert][period]: its pairs among `step` of all, k a row. Work-item (expert, period). */
__kernel void route_count(__global int *count, __global const int *expert, int pairs, int step)
{
	const int x = get_global_id(0), p = get_global_id(1), periods = get_global_size(1);
	int n = 0;

	for (int i = p * step; i < min(pairs, (p + 1) * step); i++)
		n += expert[i] == x;
	count[x * periods + p] = n;
}

/* Runs: the experts that have pairs, one after the other: number, first pair, how many; none in those that are left over. */
inline void put_run(__global int *runs, int slots, int slot, int expert, int first, int n)
{
	if (slot < slots)
		vstore3((int3)(expert, first, n), slot, runs);
}

/* Work-item (expert): finds its pairs and says where they lie. */
__kernel void route_sort(__global int *pair, __global int *place, __global int *runs, __global const int *count, __global const int *expert, int pairs,
	int periods, int slots)
{
	const int x = get_global_id(0), n = get_global_size(0);
	int at = 0, first, idle = 0;

	for (int i = 0; i < x; i++) {
		const int before = at;
		for (int p = 0; p < periods; p++)
			at += count[i * periods + p];
		idle += at == before;
	}
	first = at;
	for (int i = 0; i < pairs; i++)
		if (expert[i] == x) {
			pair[at] = i;
			place[i] = at++;
		}
	put_run(runs, slots, at > first ? x - idle : n - 1 - idle, x, first, at - first);
}

#if PM_CPU
/* All of it, one after the other: a pass to count, a pass to place. at: room for n numbers. first: the experts are to be chosen, too (few rows). */
inline void route_all(__global int *expert, __global float *weight, __global int *pair, __global int *place, __global int *count, __global int *runs,
	__global int *at, __global const float *logits, long ld, int n, int k, int all, float scale, int rows, int period, int slots, int first)
{
	const int periods = (rows + period - 1) / period;
	int sum = 0, idle = 0;

	for (int t = 0; first && t < rows; t++)
		choose(expert + t * k, weight + t * k, logits + t * ld, n, k, all, scale);
	for (int i = 0; i < n * periods; i++)
		count[i] = 0;
	for (int p = 0, t = 0; p < periods; p++)
		for (; t < min(rows, (p + 1) * period); t++)
			for (int j = 0; j < k; j++)
				count[expert[t * k + j] * periods + p]++;
	for (int x = 0; x < n; x++) {
		at[x] = sum;
		for (int p = 0; p < periods; p++)
			sum += count[x * periods + p];
		put_run(runs, slots, sum > at[x] ? x - idle : n - 1 - idle, x, at[x], sum - at[x]);
		idle += sum == at[x];
	}
	for (int i = 0; i < rows * k; i++) {
		const int to = at[expert[i]]++;

		pair[to] = i;
		place[i] = to;
	}
}

__kernel WG1 void route_cpu(__global int *expert, __global float *weight, __global int *pair, __global int *place, __global int *count, __global int *runs,
	__global int *at, __global const float *logits, long off, long ld, int n, int k, int all, float scale, int rows, int period, int slots, int first)
{
	route_all(expert, weight, pair, place, count, runs, at, logits + off, ld, n, k, all, scale, rows, period, slots, first);
}
#endif

/* Of softmax over the chosen: p_j · (dw_j − Σ p·dw) where j is chosen, else 0; of softmax over all: − p · Σ p·dw, and where j is chosen
 * p_j · dw_j more. All times scale. Work-item (row). */
__kernel void route_bwd(__global float *dx, long dx_off, long dx_ld, __global const float *dw, long dw_off, long dw_ld, __global const int *expert,
	__global const float *x, long off, long ld, int n, int k, int all, float scale, int acc)
{
	const long t = get_global_id(0);
	float sum = 0, along = 0;

	dx += dx_off + t * dx_ld;
	dw += dw_off + t * dw_ld;
	x += off + t * ld;
	expert += t * k;
	const float top = x[expert[0]];
	for (int i = 0; i < (all ? n : k); i++)
		sum += exp_f(x[all ? i : expert[i]] - top);
	for (int j = 0; j < k; j++)
		along = fma(exp_f(x[expert[j]] - top) / sum, dw[j], along);
	for (int i = 0; i < n; i++) {
		const float d = all ? -(exp_f(x[i] - top) / sum * along * scale) : 0.0f;

		dx[i] = acc ? dx[i] + d : d;
	}
	for (int j = 0; j < k; j++)
		dx[expert[j]] = fma(exp_f(x[expert[j]] - top) / sum * scale, all ? dw[j] : dw[j] - along, dx[expert[j]]);
}
