//! use rowsum
/* rms_norm.cl: y = x · r · w with r = 1 / sqrt(mean(x²) + eps), over groups of n columns. lib/op/rms_norm.c
 *
 * TYPE_W is the weight's storage (undefined: no weight); PLUS_ONE makes it 1 + w. A work-group does one row; where the second
 * dimension has several, they share its groups. */
#ifdef TYPE_W
#if PLUS_ONE
#define WEIGHT (1 + lanes_load(TYPE_W, w + at, left))
#else
#define WEIGHT lanes_load(TYPE_W, w + at, left)
#endif
#else
#define TYPE_W f32
#define WEIGHT ((vec)1)
#endif

inline float inverse_rms(__global const float *x, int n, float eps, __local float *room)
{
	float squares;

	ROW_SUM(squares, n, room, lanes_load(f32, x + at, left) * lanes_load(f32, x + at, left));
	return 1 / sqrt(squares / n + eps);
}

/* One row, or one of its groups. */
APART void rms_norm_group(__global float *to, __global const float *in, __global const STORAGE(TYPE_W) *w, int n, float eps, __local float *room)
{
	const float r = inverse_rms(in, n, eps, room);

	FOR_LANES(at, left, n)
		lanes_store(lanes_load(f32, in + at, left) * r * WEIGHT, to + at, left, 0);
}

ROW_KERNEL void rms_norm_fwd(__global float *y, long y_off, long y_ld, __global const float *x, long x_off, long x_ld,
	__global const STORAGE(TYPE_W) *w, long w_off, int groups, int n, float eps)
{
	__local float room[WG];
	const long row = get_group_id(0);

	w += w_off;
	for (int g = get_group_id(1); g < groups; g += get_num_groups(1))
		rms_norm_group(y + y_off + row * y_ld + (long)g * n, x + x_off + row * x_ld + (long)g * n, w, n, eps, room);
}

/* dx = r · (w·dy − x · r² · mean(w·dy·x)), added to dx where `add`; r is kept in rs (rows, groups) for rms_norm_bwd_w. dx NULL:
 * only r is wanted. */
ROW_KERNEL void rms_norm_bwd_x(__global float *dx, long dx_off, long dx_ld, __global float *rs,
	__global const float *dy, long dy_off, long dy_ld, __global const float *x, long x_off, long x_ld,
	__global const STORAGE(TYPE_W) *w, long w_off, int groups, int n, float eps, int add)
{
	__local float room[WG];
	const long row = get_group_id(0);

	w += w_off;
	for (int g = get_group_id(1); g < groups; g += get_num_groups(1)) {
		__global const float *in = x + x_off + row * x_ld + (long)g * n;
		__global const float *up = dy + dy_off + row * dy_ld + (long)g * n;
		__global float *to = dx + dx_off + row * dx_ld + (long)g * n;
		const float r = inverse_rms(in, n, eps, room);
		float along;

		if (get_local_id(0) == 0)
			rs[row * groups + g] = r;
		/* Also where dx is not wanted: PoCL miscompiles barriers under a condition, even one that is the same for all. */
		ROW_SUM(along, n, room, lanes_load(f32, up + at, left) * WEIGHT * lanes_load(f32, in + at, left));
		along *= r * r / n;
		if (!dx)
			continue;
		FOR_LANES(at, left, n)
			lanes_store(r * (lanes_load(f32, up + at, left) * WEIGHT - lanes_load(f32, in + at, left) * along), to + at, left, add);
	}
}

/* parts[chunk] = the sum over the chunk's rows and their groups of dy · x · r, LANES columns an item; see rowsum_add. */
__kernel void rms_norm_bwd_w(__global float *parts, long parts_off, __global const float *dy, long dy_off, long dy_ld,
	__global const float *x, long x_off, long x_ld, __global const float *rs, int rows, int period, int chunks, int groups, int n)
{
	const int at = get_global_id(0) * LANES, left = n - at, chunk = get_global_id(1);
	const int begin = chunk / chunks * period + chunk % chunks * CHUNK;
	const int end = min(min(begin + CHUNK, (chunk / chunks + 1) * period), rows);
	vec sum = 0;

	for (long row = begin; row < end; row++)
		for (int g = 0; g < groups; g++)
			sum += lanes_load(f32, dy + dy_off + row * dy_ld + (long)g * n + at, left) * rs[row * groups + g]
				* lanes_load(f32, x + x_off + row * x_ld + (long)g * n + at, left);
	lanes_store(sum, parts + parts_off + (long)chunk * n + at, left, 0);
}
