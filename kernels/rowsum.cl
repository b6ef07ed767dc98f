/* rowsum.cl: what operations on rows share: vectors along the columns, sums over the columns of a row, and sums over the rows
 * of a column. A work-group of WG items does one row, or one group of its columns at a time; on a CPU it is one item with
 * wide vectors, and there are no barriers. The order of a sum follows from the number of columns, LANES and WG alone. */
#if PM_CPU
#define LANES 16
#define WG 1
#define ITEM 0                           /* no number is asked for: see APART */
typedef float16 vec;
#define sum_lanes sum16
#define sum_group(v, room) (v)
#else
#define LANES 4
#define WG 128
#define ITEM (int)get_local_id(0)
typedef float4 vec;
#define sum_lanes sum4
#define sum_group group_sum
#endif

#define ROW_KERNEL __kernel __attribute__((reqd_work_group_size(WG, 1, 1)))

/* lanes_load(type, p, left): up to LANES numbers from p, with zeros after the first `left`. */
#define lanes_load(type, p, left) CAT(lanes_load_, type)(p, left)
#define DEFINE_LANES_LOAD(type) \
	APART vec lanes_part_##type(__global const storage_##type *p, int left) \
	{ \
		float part[LANES]; \
		for (int i = 0; i < LANES; i++) \
			part[i] = i < left ? load_##type(p, i) : 0; \
		return CAT(CAT(load, LANES), _f32)(part, 0); \
	} \
	inline vec lanes_load_##type(__global const storage_##type *p, int left) \
	{ \
		return left >= LANES ? CAT(CAT(load, LANES), _##type)(p, 0) : lanes_part_##type(p, left); \
	}
DEFINE_LANES_LOAD(f32)
DEFINE_LANES_LOAD(f16)
DEFINE_LANES_LOAD(bf16)

APART void lanes_store_part(vec v, __global float *p, int left, int add)
{
	float part[LANES];

	CAT(CAT(store, LANES), _f32)(part, 0, v);
	for (int i = 0; i < left; i++)
		p[i] = add ? p[i] + part[i] : part[i];
}

/* The first `left` lanes of v to p, added where `add`. */
inline void lanes_store(vec v, __global float *p, int left, int add)
{
	if (left >= LANES) {
		if (add)
			v += CAT(CAT(load, LANES), _f32)(p, 0);
		CAT(CAT(store, LANES), _f32)(p, 0, v);
	} else {
		lanes_store_part(v, p, left, add);
	}
}

/* v with zeros after the first `left` lanes. */
inline vec lanes_keep(vec v, int left)
{
	float part[LANES];

	if (left >= LANES)
		return v;
	CAT(CAT(store, LANES), _f32)(part, 0, v);
	for (int i = max(left, 0); i < LANES; i++)
		part[i] = 0;
	return CAT(CAT(load, LANES), _f32)(part, 0);
}

/* Vectors of a row of n columns: `at` is the first column of one, `left` how many remain from there on. */
#define FOR_LANES(at, left, n) \
	for (int at = ITEM * LANES, left = (n) - at; left > 0; at += WG * LANES, left -= WG * LANES)

/* total = the sum over a row's n columns of TERM, a vec, which may use `at` and `left` as above and is zero in the lanes past
 * the end. Sums of RUN vectors are added up: of 4096 columns a number goes through at most 16 + 16 + 4 additions. */
#define RUN 16
#define ROW_SUM(total, n, room, TERM) do { \
	vec all_ = 0; \
	for (int from_ = 0; from_ < (n); from_ += RUN * WG * LANES) { \
		const int to_ = min((n), from_ + RUN * WG * LANES); \
		vec part_ = 0; \
		for (int at = from_ + ITEM * LANES; at < to_; at += WG * LANES) { \
			const int left = (n) - at; \
			part_ += (TERM); \
		} \
		all_ += part_; \
	} \
	total = sum_group(sum_lanes(all_), room); \
} while (0)

/* Sums over rows, for gradients of weights (lib/op/rowsum.h): the rows of a period are cut in chunks of CHUNK; an operation's kernel
 * makes the sum of each chunk in parts (periods · chunks, cols). rowsum_add adds up the chunks of a period, and then period
 * after period: to out (1, cols) where `add`, else to 0. */
#define CHUNK 32

__kernel void rowsum_add(__global float *out, long out_off, __global const float *parts, long parts_off, int cols, int periods, int chunks, int add)
{
	const int c = get_global_id(0);

	out += out_off;
	parts += parts_off + c;
	if (!add)
		out[c] = 0;
	for (int p = 0; p < periods; p++) {
		float sum = 0;

		for (int j = 0; j < chunks; j++, parts += cols)
			sum += *parts;
		out[c] += sum;
	}
}
