//! use rowsum
/* rope.cl: turns pairs of columns of every head by the angles of a table. lib/op/rope.c
 *
 * cs (rows, dims): cos and sin of pair i in columns 2i, 2i+1. Pairs are (i, i + dims/2), or with INTERLEAVED (2i, 2i+1).
 * Columns past `dims` are copied. A work-group does one row; where the second dimension has several, they share its heads. */

/* a0 b0 a1 b1 … from p to a and b; `left` counts pairs. */
#define PAIRS_LOAD(a, b, p, left) do { \
	const vec lo_ = lanes_load(f32, p, 2 * (left)), hi_ = lanes_load(f32, (p) + LANES, 2 * (left) - LANES); \
	a = (vec)(lo_.even, hi_.even); \
	b = (vec)(lo_.odd, hi_.odd); \
} while (0)

inline void pairs_store(vec a, vec b, __global float *p, int left, int add)
{
	vec lo, hi;

	lo.even = a.lo;
	lo.odd = b.lo;
	hi.even = a.hi;
	hi.odd = b.hi;
	lanes_store(lo, p, 2 * left, add);
	lanes_store(hi, p + LANES, 2 * left - LANES, add);
}

/* One head turned by the angles of cs (sign 1) or back (sign −1, the gradient); added to what is there where `add`. */
APART void rope_head(__global float *to, __global const float *from, __global const float *cs, int head_dim, int dims, float sign, int add)
{
	const int pairs = dims / 2;

	FOR_LANES(at, left, pairs) {
		vec a, b, c, s;

		PAIRS_LOAD(c, s, cs + 2 * at, left);
		s *= sign;
#if INTERLEAVED
		PAIRS_LOAD(a, b, from + 2 * at, left);
		pairs_store(a * c - b * s, b * c + a * s, to + 2 * at, left, add);
#else
		a = lanes_load(f32, from + at, left);
		b = lanes_load(f32, from + pairs + at, left);
		lanes_store(a * c - b * s, to + at, left, add);
		lanes_store(b * c + a * s, to + pairs + at, left, add);
#endif
	}
	FOR_LANES(at, left, head_dim - dims)
		lanes_store(lanes_load(f32, from + dims + at, left), to + dims + at, left, add);
}

ROW_KERNEL void rope_turn(__global float *y, long y_off, long y_ld, __global const float *x, long x_off, long x_ld,
	__global const float *cs, long cs_off, long cs_ld, int heads, int head_dim, int dims, float sign, int add)
{
	const long row = get_group_id(0);

	for (int h = get_group_id(1); h < heads; h += get_num_groups(1))
		rope_head(y + y_off + row * y_ld + (long)h * head_dim, x + x_off + row * x_ld + (long)h * head_dim, cs + cs_off + row * cs_ld, head_dim,
			dims, sign, add);
}
