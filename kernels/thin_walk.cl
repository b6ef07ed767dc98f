/* thin_walk.cl: what the products of few rows for CPUs share: the columns of a work-item in the order they are taken, and what is done to
 * a sum. */
#define UNROLL _Pragma("unroll")
#define STREAMS 4               // walks through B at once
#define STREAM_AHEAD 1024       // bytes of each that are fetched: in 8 streams of which nothing was fetched a Zen 4 read a tenth to a quarter less
#define BLOCK 24                // columns that all rows of A go through before the next: a multiple of 6 and 8

/* The sums of 8 vectors, each added as sum16 does it. */
inline float8 sum_each(const float16 *v)
{
	float16 h[4];

	UNROLL for (int j = 0; j < 4; j++)
		h[j] = (float16)(v[2 * j].lo, v[2 * j + 1].lo) + (float16)(v[2 * j].hi, v[2 * j + 1].hi);
	UNROLL for (int j = 0; j < 2; j++)
		h[j] = (float16)(h[2 * j].s0123, h[2 * j].s89ab, h[2 * j + 1].s0123, h[2 * j + 1].s89ab) +
			(float16)(h[2 * j].s4567, h[2 * j].scdef, h[2 * j + 1].s4567, h[2 * j + 1].scdef);
	h[0] = (float16)(h[0].s01, h[0].s45, h[0].s89, h[0].scd, h[1].s01, h[1].s45, h[1].s89, h[1].scd) +
		(float16)(h[0].s23, h[0].s67, h[0].sab, h[0].sef, h[1].s23, h[1].s67, h[1].sab, h[1].sef);
	return h[0].even + h[0].odd;
}

/* What is added to the sums. */
struct rest {
	__global const uchar *bias;
	__global const float *add, *h, *l;
	long bias_off, ld_add, ldh, ldl;
	int bias_type, r;
	float s, scale;
};

inline float16 some_a(__global const float *p, int n)
{
	float v[16];

	for (int i = 0; i < 16; i++)
		v[i] = i < n ? p[i] : 0;
	return vload16(0, v);
}

inline float dot_f32(__global const float *p, __global const float *q, int n)
{
	float16 s = 0;
	int i;

	for (i = 0; i + 16 <= n; i += 16)
		s = fma(vload16(0, p + i), vload16(0, q + i), s);
	if (i < n)
		s = fma(some_a(p + i, n - i), some_a(q + i, n - i), s);
	return sum16(s);
}

/* c[row][col] from its sum. */
inline void finish(__global float *c, long ldc, float v, int row, int col, const struct rest *f)
{
	if (f->h)
		v = fma(f->s, dot_f32(f->h + row * f->ldh, f->l + col * f->ldl, f->r), v);
	if (f->bias)
		v += gemm_bias(f->bias, f->bias_type, f->bias_off + col);
	c[row * ldc + col] = fma(v, f->scale, f->add ? f->add[row * f->ld_add + col] : 0);
}

/* What is added to 16 sums, of columns from col on, of which those before `end` are wanted; and c[row][col]. */
inline void finish16(__global float *c, long ldc, float16 v, int row, int col, int end, const struct rest *f)
{
	float sum[16];

	if (!f->h && !f->bias && col + 16 <= end) {
		vstore16(fma(v, (float16)f->scale, f->add ? vload16(0, f->add + row * f->ld_add + col) : (float16)0), 0, c + row * ldc + col);
		return;
	}
	vstore16(v, 0, sum);
	for (int j = 0; j < 16 && col + j < end; j++)
		finish(c, ldc, sum[j], row, col + j, f);
}

/* The columns of a work-item in the order they are taken: one of each stream, then the next of each. */
struct walk {
	int from, end, step;
};

inline int walk_col(struct walk w, int i)
{
	return w.from + i % STREAMS * w.step + i / STREAMS;
}

/* Of ROWS rows from m0 on and COLS columns of a walk, col[], of which the first is number n0 in it: adds the lanes of the sums s[row][column], and makes c of those that
 * the walk has. In a kernel that names all of these so. */
#define FINISH_DOTS(ROWS, COLS) \
	float sum[(ROWS * COLS + 7) / 8 * 8]; \
	UNROLL for (int i = 0; i < ROWS * COLS; i += 8) { \
		float16 v[8]; \
		UNROLL for (int j = 0; j < 8; j++) \
			v[j] = i + j < ROWS * COLS ? s[(i + j) / COLS % ROWS][(i + j) % COLS] : 0; \
		vstore8(sum_each(v), 0, sum + i); \
	} \
	for (int j = 0; j < COLS; j++) \
		if (col[j] < min(walk.end, walk.from + ((n0 + j) % STREAMS + 1) * walk.step)) \
			for (int r = 0; r < ROWS; r++) \
				finish(c, ldc, sum[r * COLS + j], m0 + r, col[j], f);
