//! use rowsum
/* layer_norm.cl: y = (x − m) · r · w + b with m = mean(x) and r = 1 / sqrt(mean((x − m)²) + eps), over groups of n
 * columns. lib/op/layer_norm.c
 *
 * TYPE_W and TYPE_B are the storage of weight and bias (undefined: none). A work-group does one row; where the second dimension
 * has several, they share its groups. */
#undef WEIGHT
#ifdef TYPE_W
#define WEIGHT lanes_load(TYPE_W, w + at, left)
#else
#define TYPE_W f32
#define WEIGHT ((vec)1)
#endif
#ifdef TYPE_B
#define BIAS lanes_load(TYPE_B, b + at, left)
#else
#define TYPE_B f32
#define BIAS ((vec)0)
#endif

struct moments {
	float mean, r;
};

#define CENTRED (lanes_load(f32, x + at, left) - m.mean)

inline struct moments moments(__global const float *x, int n, float eps, __local float *room)
{
	struct moments m;
	float sum, squares;

	ROW_SUM(sum, n, room, lanes_load(f32, x + at, left));
	m.mean = sum / n;
	ROW_SUM(squares, n, room, lanes_keep(CENTRED * CENTRED, left));
	m.r = 1 / sqrt(squares / n + eps);
	return m;
}

/* One row, or one of its groups. */
APART void layer_norm_group(__global float *to, __global const float *x, __global const STORAGE(TYPE_W) *w, __global const STORAGE(TYPE_B) *b, int n, float eps,
	__local float *room)
{
	const struct moments m = moments(x, n, eps, room);

	FOR_LANES(at, left, n)
		lanes_store(fma(CENTRED * m.r, WEIGHT, BIAS), to + at, left, 0);
}

ROW_KERNEL void layer_norm_fwd(__global float *y, long y_off, long y_ld, __global const float *x, long x_off, long x_ld,
	__global const STORAGE(TYPE_W) *w, long w_off, __global const STORAGE(TYPE_B) *b, long b_off, int groups, int n, float eps)
{
	__local float room[WG];
	const long row = get_group_id(0);

	w += w_off;
	b += b_off;
	for (int g = get_group_id(1); g < groups; g += get_num_groups(1))
		layer_norm_group(y + y_off + row * y_ld + (long)g * n, x + x_off + row * x_ld + (long)g * n, w, b, n, eps, room);
}

/* With h = (x − m)·r and g = w·dy: dx = r · (g − mean(g) − h·mean(g·h)), added to dx where `add`; m and r are kept in stats
 * (rows, groups, 2) for layer_norm_bwd_w. dx NULL: only those are wanted. */
ROW_KERNEL void layer_norm_bwd_x(__global float *dx, long dx_off, long dx_ld, __global float *stats,
	__global const float *dy, long dy_off, long dy_ld, __global const float *x0, long x_off, long x_ld,
	__global const STORAGE(TYPE_W) *w, long w_off, int groups, int n, float eps, int add)
{
	__local float room[WG];
	const long row = get_group_id(0);

	w += w_off;
	for (int g = get_group_id(1); g < groups; g += get_num_groups(1)) {
		__global const float *x = x0 + x_off + row * x_ld + (long)g * n;
		__global const float *up = dy + dy_off + row * dy_ld + (long)g * n;
		__global float *to = dx + dx_off + row * dx_ld + (long)g * n;
		const struct moments m = moments(x, n, eps, room);
		float sum, along;

		if (get_local_id(0) == 0)
			vstore2((float2)(m.mean, m.r), row * groups + g, stats);
		/* Also where dx is not wanted: PoCL miscompiles barriers under a condition, even one that is the same for all. */
		ROW_SUM(sum, n, room, lanes_load(f32, up + at, left) * WEIGHT);
		ROW_SUM(along, n, room, lanes_load(f32, up + at, left) * WEIGHT * (CENTRED * m.r));
		sum /= n;
		along /= n;
		if (!dx)
			continue;
		FOR_LANES(at, left, n)
			lanes_store(m.r * (lanes_load(f32, up + at, left) * WEIGHT - sum - CENTRED * m.r * along), to + at, left, add);
	}
}

/* Sums over a chunk's rows and their groups, LANES columns an item: dy · h in parts[chunk], and behind all chunks of that, dy;
 * see rowsum_add. */
__kernel void layer_norm_bwd_w(__global float *parts, long parts_off, __global const float *dy, long dy_off, long dy_ld,
	__global const float *x0, long x_off, long x_ld, __global const float *stats, int rows, int period, int chunks, int groups, int n)
{
	const int at = get_global_id(0) * LANES, left = n - at, chunk = get_global_id(1);
	const int begin = chunk / chunks * period + chunk % chunks * CHUNK;
	const int end = min(min(begin + CHUNK, (chunk / chunks + 1) * period), rows);
	vec dw = 0, db = 0;

	for (long row = begin; row < end; row++)
		for (int g = 0; g < groups; g++) {
			__global const float *x = x0 + x_off + row * x_ld + (long)g * n;
			const vec up = lanes_load(f32, dy + dy_off + row * dy_ld + (long)g * n + at, left);
			const struct moments m = {stats[2 * (row * groups + g)], stats[2 * (row * groups + g) + 1]};

			dw += up * (CENTRED * m.r);
			db += up;
		}
	lanes_store(dw, parts + parts_off + (long)chunk * n + at, left, 0);
	lanes_store(db, parts + parts_off + ((long)get_global_size(1) + chunk) * n + at, left, 0);
}
