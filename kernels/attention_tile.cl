/* attention_tile.cl: what the kernels of attention_cpu.cl and attention_bwd_cpu.cl share: attention for CPUs, with wide vectors,
 * work-groups of one item, and everything of a tile in private memory.
 *
 * The lanes of the vectors are queries (forward, dq) or keys (dk, dv), TILE of them at a time, turned once so that
 * panel[column][lane] is a column of all. The rows of the other side come in tiles of as many, copied (and widened to float32)
 * as they lie, and stand in the products as scalars. So every product is c[8 rows][TILE lanes] += scalar · vector, in registers;
 * the softmax runs down the lanes without a sum across them; and what one product writes, [row][lane], is what the next reads.
 *
 * Tiles of lanes and tiles of rows both start anew at each period, and a row that a lane does not see adds an exact zero to
 * it: the bits of a lane depend on nothing but itself and the rows that it sees.
 *
 * With PAIRS, and with PAIRS and AMX, the operands of products are rounded to bfloat16, two neighbours of what is summed over in a word, and sums stay float32
 * (vdpbf16ps, twice the rate of float32 on a Zen 4, or tdpbf16ps; see gemm_pairs.cl, amx.cl). Pairs are those of a tile's rows from its beginning
 * on, so that which rows are seen does not change them.
 *
 * D, DV: columns of a head in q and k, and in v. TYPE_K, TYPE_V, TYPE_S: storage of k, v and sinks. SOFTCAP: there is a cap. */
#ifndef D
#define D 64
#define DV 64
#endif
#ifndef TYPE_K
#define TYPE_K f32
#define TYPE_V f32
#endif
#ifndef TYPE_S
#define TYPE_S f32
#endif

#ifdef AMX
#define TILE 64                 /* lanes, and rows */
#define RB 16                   /* rows of a product in registers: 4 tiles of sums */
#define PADDED_TO 32            /* of a head: padded to a multiple of so many, */
#define SUMMED 32               /* and rows that are summed over: what a tile takes at once */
#else
#define TILE 48
#define RB 8                    /* 8 · 3 vectors of sums */
#define PADDED_TO 8
#define SUMMED PER
#endif
#define NV (TILE / 16)          /* vectors of lanes */
#define UP(n) (((n) + PADDED_TO - 1) / PADDED_TO * PADDED_TO)
#define UP_ROWS(n) (((n) + RB - 1) / RB * RB)
#define DP UP(D)
#define DVP UP(DV)

#define UNROLL _Pragma("unroll")

/* What a product takes at once: one number, or a word of two. */
#ifdef PAIRS
#define PER 2
typedef uint unit;
typedef uint16 units;
#define MULTIPLY(c, a, b) __asm__("vdpbf16ps %2, %1, %0" : "+v"(c) : "v"(b), "v"(a))
#else
#define PER 1
typedef float unit;
typedef float16 units;
#define MULTIPLY(c, a, b) ((c) = fma(a, b, c))
#endif
#define UNITS(n) (((n) + PER - 1) / PER)
#define SPARE 16                /* behind the rows of a tile: whole vectors are stored */

/* Below every score, but finite: exp(LOWEST − LOWEST) is 1 where a lane has seen nothing yet. */
#define LOWEST (-1e30f)

#ifdef AMX
/* s[r][·] = sum over i < n of a[r·row + i] · panel[i][·], where n goes up to a multiple of 16, and there is as much. */
inline void sums(float16 s[RB][NV], const unit *a, int row, int n, const units *panel)
{
	const size_t row_bytes = row * sizeof *a, bytes = NV * sizeof *panel;
	const float16 *to = s[0];

	TILE_ZERO(0);
	TILE_ZERO(1);
	TILE_ZERO(2);
	TILE_ZERO(3);
	for (int i = 0; i < n; i += 16, a += 16, panel += 16 * NV) {
		TILE_LOAD(4, a, row_bytes);
		TILE_LOAD(5, panel, bytes);
		TILE_LOAD(6, panel + 1, bytes);
		TILE_LOAD(7, panel + 2, bytes);
		TILE_DOT(0, 4, 5);
		TILE_LOAD(5, panel + 3, bytes);
		TILE_DOT(1, 4, 6);
		TILE_DOT(2, 4, 7);
		TILE_DOT(3, 4, 5);
	}
	TILE_STORE(0, to, bytes);
	TILE_STORE(1, to + 1, bytes);
	TILE_STORE(2, to + 2, bytes);
	TILE_STORE(3, to + 3, bytes);
}
#define product sums

/* Zeros behind n units of rows, as far as sums reads them. */
inline void blank(units *panel, int n)
{
	for (int i = n * NV; i < (n + 15) / 16 * 16 * NV; i++)
		panel[i] = 0;
}
#else
/* s[r][·] = sum over i < n of a[r·row + i·step] · panel[i][·] */
__attribute__((always_inline)) inline void sums(float16 s[RB][NV], const unit *a, int row, int step, int n, const units *panel)
{
	UNROLL for (int r = 0; r < RB; r++)
		UNROLL for (int v = 0; v < NV; v++)
			s[r][v] = 0;
	for (int i = 0; i < n; i++, a += step, panel += NV) {
		units b[NV];

		UNROLL for (int v = 0; v < NV; v++)
			b[v] = panel[v];
		UNROLL for (int r = 0; r < RB; r++) {
			const units w = a[r * row];

			UNROLL for (int v = 0; v < NV; v++)
				MULTIPLY(s[r][v], w, b[v]);
		}
	}
}

/* The same to c. */
inline void product(float16 c[RB][NV], const unit *a, int row, int step, int n, const units *panel)
{
	float16 s[RB][NV];

	sums(s, a, row, step, n, panel);
	UNROLL for (int r = 0; r < RB; r++)
		UNROLL for (int v = 0; v < NV; v++)
			c[r][v] = s[r][v];
}

inline void blank(units *panel, int n)
{
}
#endif

/* a, row and step of sums: rows r .. r+RB−1 of a tile across, `padded` columns wide; columns c .. c+RB−1 of one along, for sums over its rows. */
#ifdef AMX
#define ACROSS(tile, r, padded) (tile) + (r) * UNITS(padded), UNITS(padded)
#define ALONG(tile, c, padded) (tile) + (c) * UNITS(TILE), UNITS(TILE)
#else
#define ACROSS(tile, r, padded) (tile) + (r) * UNITS(padded), UNITS(padded), 1
#define ALONG(tile, c, padded) (tile) + (c), 1, padded
#endif

inline void zero(float16 *to, int n)
{
	for (int i = 0; i < n; i++)
		to[i] = 0;
}

#ifdef PAIRS
#define unite(x) words((x)[0], (x)[1])

/* e^x for x up to some rounding above 0, 0 below −120: 2^n · 2^r with |r| <= 1/2, off by at most 3e-6 of itself: far less than its rounding. */
inline float16 exp_weight(float16 x)
{
	const float16 c = fmax(x, (float16)-120), t = fma(c, (float16)1.44269504f, (float16)12582912.0f), n = t - 12582912.0f;
	const float16 r = fma(c, (float16)1.44269504f, -n);
	float16 p = fma(r, (float16)0.00956996025f, (float16)0.0559178524f), y;

	p = fma(p, r, (float16)0.240247483f);
	p = fma(p, r, (float16)0.693121816f);
	p = fma(p, r, (float16)0.99999926f);
	__asm__("vscalefps %2, %1, %0" : "=v"(y) : "v"(p), "v"(n));
	return y;
}

/* Columns c .. c+31 of a row, of which there are `left`, as words. */
#define WORDS_OF(type, p, left) neighbours(lanes_load(type, p, left), lanes_load(type, (p) + 16, (left) - 16))
#else
#define unite(x) (*(x))
#define exp_weight exp_16
#endif

/* Fetches n rows of so many columns: they lie far apart, and a CPU does not foresee them. */
inline void fetch_rows(__global const float *p, long ld, int n, int cols)
{
	for (int r = 0; r < n; r++, p += ld)
		for (int c = 0; c < cols; c += 16)
			FETCH(p + c);
}

/* A square of 16 × 16 turned around: row and lane, taken as one number of 8 bits, rotate by one bit in each of four steps. */
inline void turn(float16 r[16])
{
	UNROLL for (int step = 0; step < 4; step++) {
		float16 t[16];

		UNROLL for (int i = 0; i < 8; i++) {
			t[i] = (float16)(r[2 * i].even, r[2 * i + 1].even);
			t[i + 8] = (float16)(r[2 * i].odd, r[2 * i + 1].odd);
		}
		UNROLL for (int i = 0; i < 16; i++)
			r[i] = t[i];
	}
}

/* n rows to a tile of `padded` columns, with zeros behind, fetching those that stand `ahead` of them, if that is not 0. Rows past them keep what they had: what it
 * gives is not used. */
#define COPY_ROWS(name, type, ahead) \
	inline void name(float *tile, __global const STORAGE(type) *from, long ld, int n, int cols, int padded) \
	{ \
		for (int r = 0; r < n; r++, tile += padded, from += ld) { \
			if (ahead) \
				for (int i = 0; i < cols; i += 16) \
					FETCH(from + (ahead) * ld + i); \
			int c = 0; \
			for (; c + 16 <= cols; c += 16) \
				vstore16(LOAD16(type, from, c), 0, tile + c); \
			for (; c < cols; c++) \
				tile[c] = LOAD(type, from, c); \
			for (; c < padded; c++) \
				tile[c] = 0; \
		} \
	}
COPY_ROWS(copy_rows, f32, TILE)
COPY_ROWS(copy_k, TYPE_K, TILE)
COPY_ROWS(copy_v, TYPE_V, TILE)

/* The same as units: across, for sums over the columns, and along, for sums over the rows, whose tile is [unit of rows][padded], or for tiles of AMX
 * [padded][unit of rows]. The first `pad` rows are zeros, and those that fill up the last block of rows. Of single numbers there is one form. */
#ifdef PAIRS
#define COPY_ACROSS(name, type) \
	inline void name##_across(unit *tile, __global const STORAGE(type) *from, long ld, int n, int pad, int cols, int padded) \
	{ \
		for (int r = 0; r < UP_ROWS(n); r++, tile += padded / PER, from += ld) \
			for (int c = 0; c < cols; c += 32) { \
				FETCH(from + TILE * ld + c); \
				vstore16(r < pad || r >= n ? 0 : WORDS_OF(type, from + c, cols - c), 0, tile + c / PER); \
			} \
	}
#ifdef AMX
#define ALONG_ROWS(n) TILE      /* those that a tile along has room for, of n */
/* Columns c .. c+15 of row r, which may be one that is zeros. */
#define ROW_OF(type, from, ld, r) ((r) < pad || (r) >= n ? 0 : lanes_load(type, (from) + (r) * (ld) + c, cols - c))
#define COPY_ALONG(name, type) \
	inline void name##_along(unit *tile, __global const STORAGE(type) *from, long ld, int n, int pad, int cols, int padded) \
	{ \
		for (int c = 0; c < cols; c += 16) \
			for (int u = 0; u < UNITS(n); u += 16) { \
				float16 w[16]; \
				for (int i = 0; i < 16; i++) \
					w[i] = as_float16(words(ROW_OF(type, from, ld, 2 * (u + i)), ROW_OF(type, from, ld, 2 * (u + i) + 1))); \
				turn(w); \
				UNROLL for (int i = 0; i < 16; i++) \
					vstore16(as_uint16(w[i]), 0, tile + (c + i) * UNITS(TILE) + u); \
			} \
	}
#else
#define ALONG_ROWS(n) (n)
#define COPY_ALONG(name, type) \
	inline void name##_along(unit *tile, __global const STORAGE(type) *from, long ld, int n, int pad, int cols, int padded) \
	{ \
		for (int r = 0; r < n; r += 2, tile += padded, from += 2 * ld) \
			for (int c = 0; c < cols; c += 16) { \
				const float16 low = r < pad ? 0 : lanes_load(type, from + c, cols - c); \
				const float16 high = r + 1 < n ? lanes_load(type, from + ld + c, cols - c) : 0; \
				FETCH(from + TILE * ld + c); \
				FETCH(from + (TILE + 1) * ld + c); \
				vstore16(words(low, high), 0, tile + c); \
			} \
	}
#endif
#else
#define COPY_ACROSS(name, type) \
	inline void name##_across(unit *tile, __global const STORAGE(type) *from, long ld, int n, int pad, int cols, int padded) \
	{ \
		name(tile, from, ld, n, cols, padded); \
	}
#define COPY_ALONG(name, type) \
	inline void name##_along(unit *tile, __global const STORAGE(type) *from, long ld, int n, int pad, int cols, int padded) \
	{ \
		name(tile, from, ld, n, cols, padded); \
	}
#endif
COPY_ACROSS(copy_rows, f32)
COPY_ACROSS(copy_k, TYPE_K)
COPY_ALONG(copy_rows, f32)
COPY_ALONG(copy_v, TYPE_V)

/* A square of TILE × TILE likewise, from one place to another. */
inline void turn_tile(float16 *to, const float16 *from)
{
	for (int a = 0; a < NV; a++)
		for (int b = 0; b < NV; b++) {
			float16 r[16];

			UNROLL for (int i = 0; i < 16; i++)
				r[i] = from[(16 * a + i) * NV + b];
			turn(r);
			UNROLL for (int i = 0; i < 16; i++)
				to[(16 * b + i) * NV + a] = r[i];
		}
}

/* panel[unit of columns][lane] = from[lane][columns]; lanes past n and columns past `cols` are zeros. */
inline void turn_in(units *panel, __global const float *from, long ld, int n, int cols)
{
	for (int v = 0; v < NV; v++)
		for (int c = 0; c < cols; c += 16 * PER) {
			const int wide = min(16 * PER, cols - c);
			float16 r[16];

			UNROLL for (int i = 0; i < 16; i++) {
				r[i] = 0;
				if (16 * v + i < n)
#ifdef PAIRS
					r[i] = as_float16(WORDS_OF(f32, from + (16 * v + i) * ld + c, wide));
#else
					r[i] = lanes_load(f32, from + (16 * v + i) * ld + c, wide);
#endif
			}
			turn(r);
			UNROLL for (int i = 0; i < 16; i++)
				if (c / PER + i < UNITS(UP(cols)))
#ifdef PAIRS
					panel[(c / PER + i) * NV + v] = as_uint16(r[i]);
#else
					panel[(c + i) * NV + v] = r[i];
#endif
		}
}

/* to[lane][c] = scale · panel[c][lane] for n lanes, added where `add`. */
inline void turn_out(__global float *to, long ld, const float16 *panel, int n, int cols, float scale, int add)
{
	for (int v = 0; v < NV; v++)
		for (int c = 0; c < cols; c += 16) {
			const int wide = min(16, cols - c);
			float16 r[16];

			UNROLL for (int i = 0; i < 16; i++)
				r[i] = i < wide ? scale * panel[(c + i) * NV + v] : 0;
			turn(r);
			UNROLL for (int i = 0; i < 16; i++)
				if (16 * v + i < n)
					lanes_store(r[i], to + (16 * v + i) * ld + c, wide, add);
		}
}

/* One number a lane: from a column of a matrix; lanes past n are zeros. */
inline void lanes_in(float16 *lanes, __global const float *from, long ld, int n)
{
	float *to = (float *)lanes;

	for (int i = 0; i < TILE; i++)
		to[i] = i < n ? from[i * ld] : 0;
}

/* What the lanes see: rows first .. end−1 each. */
struct sight {
	int16 first[NV], end[NV];
	int from, to;                   /* rows that any lane sees lie here */
	int all_from, all_to;           /* and these every lane sees */
};

inline void look(struct sight *s, __global const int *span, int n)
{
	int first[TILE], end[TILE];

	s->from = INT_MAX;
	s->to = 0;
	s->all_from = 0;
	s->all_to = n == TILE ? INT_MAX : 0;
	for (int i = 0; i < TILE; i++) {
		first[i] = i < n ? span[2 * i] : 0;
		end[i] = i < n ? span[2 * i + 1] : 0;
		if (first[i] < end[i]) {
			s->from = min(s->from, first[i]);
			s->to = max(s->to, end[i]);
		}
		s->all_from = max(s->all_from, first[i]);
		s->all_to = min(s->all_to, end[i]);
	}
	UNROLL for (int v = 0; v < NV; v++) {
		s->first[v] = vload16(v, first);
		s->end[v] = vload16(v, end);
	}
}

/* A tile of rows: it begins at a multiple of TILE from the start of a period and ends with the period at the latest. */
struct tile {
	int next;                       /* where the one after it begins */
	int at, n;                      /* the rows of it that are seen, from the first to the last; n is 0 where there are none */
	int pad;                        /* so many rows from `at` on are not seen, but stand in one step with some that are */
};

inline int least(int16 v)
{
	const int8 a = min(v.lo, v.hi);
	const int4 b = min(a.lo, a.hi);
	const int2 c = min(b.lo, b.hi);

	return min(c.x, c.y);
}

/* Nothing is read outside of what is seen: there a cache may hold anything, and zero times that is not always zero. */
inline struct tile tile_at(const struct sight *s, int row, int period)
{
	const int start = row / period * period, begin = start + (row - start) / TILE * TILE;
	int16 low = INT_MAX, high = 0;
	struct tile t;

	t.next = min(begin + TILE, start + period);
	UNROLL for (int v = 0; v < NV; v++) {
		const int16 from = max(s->first[v], (int16)row), to = min(s->end[v], (int16)t.next);

		low = select(low, min(low, from), from < to);
		high = select(high, max(high, to), from < to);
	}
	t.at = least(low);
	t.n = max(-least(-high) - t.at, 0);
	t.pad = t.n > 0 ? (t.at - begin) % SUMMED : 0;
	t.at -= t.pad;
	t.n += t.pad;
	return t;
}

/* What copying the rows of t gives, where attention_pack_cpu did it before: across or along, (tile, heads, TILE / PER, padded) from element `at` of
 * packed on. NULL where packed is, and where a part of a step is not seen. */
#define PACKED(heads, padded) ((long)(heads) * (TILE / PER) * (padded))         /* of a tile of rows */

inline const unit *packed_rows(__global const unit *packed, long at, struct tile t, int period, int heads, int h, int padded, int row_units)
{
	const int begin = t.at / period * ((period + TILE - 1) / TILE) + t.at % period / TILE, row = t.at % period % TILE;

	if (!packed || t.pad || t.n % SUMMED)
		return 0;
	packed += at + begin * PACKED(heads, padded) + h * TILE / PER * padded + row / PER * row_units;
	return (const unit *)(size_t)packed;
}
#define packed_across(packed, at, t, period, heads, h, padded) packed_rows(packed, at, t, period, heads, h, padded, padded)
#ifdef AMX
#define packed_along(packed, at, t, period, heads, h, padded) packed_rows(packed, at, t, period, heads, h, padded, 1)
#else
#define packed_along packed_across
#endif

/* The score of a product of query and key. */
inline float16 score(float16 s, float scale, float cap)
{
	s *= scale;
#if SOFTCAP
	s = cap * tanh_16(s / cap);
#endif
	return s;
}

/* x · d score / d (scale · product), from the score. */
inline float16 times_slope(float16 x, float16 s, float cap)
{
#if SOFTCAP
	x *= 1 - (s / cap) * (s / cap);
#endif
	return x;
}

/* The first lane of tile number `id` of `tiles` a period, the later ones first: they see more. */
inline int lanes_at(int id, int tiles, int period)
{
	return id / tiles * period + (tiles - 1 - id % tiles) * TILE;
}

