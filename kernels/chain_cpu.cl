//! use quant gemm_bias thin_walk thin_bytes woven thin_int8 woven_bf16 thin_bf16 thin_float rowsum rms_norm rope act rows attention_tile attention_chunks attention_decode_cpu route combine embed largest sample add layer_norm act_clamped
/* chain_cpu.cl: many stages in one launch, for CPUs, whose threads would sleep and wake between launches (lib/graph/chain.h).
 *
 * Work-items are workers. Tasks are numbered from the first stage's to the last's, and taken in that order, each when all stages up to the one that
 * its own depends on are done. So who waits waits for a worker that runs, and where it would wait long (a core that another program has), it leaves:
 * the others do what is left. How many workers there are, and who does what, changes no bits. Each stage's arithmetic is that of its own file. */

struct stage {
	int op, tasks, after;           /* after: the last stage that must be done before, or -1 */
	uint first;                     /* number of its first task */
	long w[30];                     /* the order is that of lib/op/stage.h; addresses are numbers */
};

enum { NORM, QUANTISE, INT8, FLOAT, ROPE, STORE_ROWS, PART_KEYS, JOIN, ACTIVATE, ROUTE, SPREAD, COMBINE, ROUND, BY_PAIRS, PICK, EMBED, TOPS, DRAW, ADD, LAYER_NORM, CLAMP };

#define SPINS 4000
#define SOME 1024                /* columns of a task, element by element */

#define P(type, i) ((__global type *)(size_t)s->w[i])
#define REAL(i) as_float((int)s->w[i])

/* Formats of blocks and of floats that stages have, by the numbers in their words. */
#ifdef INT8_3
#define EVERY_INT8(one) one(0, INT8_0) one(1, INT8_1) one(2, INT8_2) one(3, INT8_3)
#elif defined INT8_2
#define EVERY_INT8(one) one(0, INT8_0) one(1, INT8_1) one(2, INT8_2)
#elif defined INT8_1
#define EVERY_INT8(one) one(0, INT8_0) one(1, INT8_1)
#elif defined INT8_0
#define EVERY_INT8(one) one(0, INT8_0)
#else
#define EVERY_INT8(one)
#endif
#define ONE(n, type) THIN_INT8(type)
EVERY_INT8(ONE)
#undef ONE
#ifdef FLOAT_3
#define EVERY_FLOAT(one) one(0, FLOAT_0) one(1, FLOAT_1) one(2, FLOAT_2) one(3, FLOAT_3)
#elif defined FLOAT_2
#define EVERY_FLOAT(one) one(0, FLOAT_0) one(1, FLOAT_1) one(2, FLOAT_2)
#elif defined FLOAT_1
#define EVERY_FLOAT(one) one(0, FLOAT_0) one(1, FLOAT_1)
#elif defined FLOAT_0
#define EVERY_FLOAT(one) one(0, FLOAT_0)
#else
#define EVERY_FLOAT(one)
#endif
#define ONE(n, type) THIN_FLOAT(type)
EVERY_FLOAT(ONE)
#undef ONE

inline void do_norm(__global const struct stage *s, int row)
{
	for (int g = 0; g < (int)s->w[5]; g++)
		rms_norm_group(P(float, 0) + row * s->w[1] + g * s->w[6], P(const float, 2) + row * s->w[3] + g * s->w[6],
			P(const STORAGE(TYPE_W), 4), (int)s->w[6], REAL(7), 0);
}

#ifdef INT8_0
inline void do_quantise(__global const struct stage *s, int row)
{
	const int k = (int)s->w[3];
	const size_t x = (size_t)s->w[0] + (size_t)row * ROW_BYTES(k);
	__global const float *a = P(const float, 1) + row * s->w[2];

	switch ((int)s->w[4]) {
#define ONE(n, type) case n: CAT(quantise_, type)(x, a, k); break;
	EVERY_INT8(ONE)
#undef ONE
	}
}
#endif

#ifdef ROUNDED
inline void do_round(__global const struct stage *s, int row)
{
	const int k = (int)s->w[3];

	pairs_row((uint16 *)((size_t)s->w[0] + (size_t)row * PAIRS_BYTES(k)), P(const float, 1) + row * s->w[2], k);
}
#endif

/* What a task does: some columns, and where runs of rows have matrices of their own some of one run. */
struct columns {
	struct rest f;
	struct walk walk;
	int row, m, k;                  /* the first row of A and C, how many there are */
	block_t b;
};

inline struct columns columns_of(__global const struct stage *s, int task)
{
	const int n = (int)s->w[7], cols = (int)s->w[9], parts = (n + cols - 1) / cols, from = task % parts * cols, end = min(n, from + cols);
	const int3 run = s->w[22] ? vload3(task / parts, P(const int, 22)) : (int3)(0, 0, (int)s->w[6]);

	return (struct columns){{P(const uchar, 10), P(const float, 12), P(const float, 14) + run.y * s->w[15], P(const float, 16) + run.x * s->w[24],
		(long)run.x * n, s->w[13], s->w[15], s->w[17], (int)s->w[11], (int)s->w[18], REAL(19), REAL(20)},
		{from, end, (end - from + STREAMS - 1) / STREAMS}, run.y, run.z, (int)s->w[8], P(const uchar, 4) + run.x * s->w[23]};
}

#ifdef INT8_0
inline void do_int8(__global const struct stage *s, int task)
{
	const struct columns t = columns_of(s, task);
	const size_t x = (size_t)s->w[2] + (size_t)t.row * ROW_BYTES(t.k);
	const struct woven w = {t.b, s->w[5], (int)s->w[25]};

	switch ((int)s->w[21]) {
#define ONE(n, type) case n: CAT(columns_, type)(P(float, 0) + t.row * s->w[1], s->w[1], x, w, t.m, t.walk.from, t.walk.end, t.k, &t.f); break;
	EVERY_INT8(ONE)
#undef ONE
	}
}
#endif

#ifdef ROUNDED
inline void do_pairs(__global const struct stage *s, int task)
{
	const struct columns t = columns_of(s, task);
	__global float *c = P(float, 0) + t.row * s->w[1];
	const uint16 *x = (const uint16 *)((size_t)s->w[2] + (size_t)t.row * PAIRS_BYTES(t.k));

	if (s->w[25])
		thin_woven(c, s->w[1], x, (size_t)t.b, t.m, t.walk.from, t.walk.end, t.k, &t.f);
	else
		thin_pairs(c, s->w[1], x, (__global const ushort *)t.b, s->w[5], t.m, t.k, t.walk, &t.f);
}
#endif

inline void do_float(__global const struct stage *s, int task)
{
	const struct columns t = columns_of(s, task);

	switch ((int)s->w[21]) {
#define ONE(n, type) case n: CAT(thin_float_, type)(P(float, 0) + t.row * s->w[1], s->w[1], P(const float, 2) + t.row * s->w[3], s->w[3], \
	(__global const STORAGE(type) *)t.b, s->w[5], t.m, t.k, t.walk, &t.f); break;
	EVERY_FLOAT(ONE)
#undef ONE
	}
}

inline void do_rope(__global const struct stage *s, int row)
{
	for (int h = 0; h < (int)s->w[6]; h++)
		rope_head(P(float, 0) + row * s->w[1] + h * s->w[7], P(const float, 2) + row * s->w[3] + h * s->w[7], P(const float, 4) + row * s->w[5],
			(int)s->w[7], (int)s->w[8], 1, 0);
}

inline void do_store(__global const struct stage *s, int row)
{
	const long to = P(const int, 4)[row];

	if (to >= 0 && to < s->w[1])
		rows_store_some(P(STORAGE(TYPE_C), 0) + to * s->w[5], P(const float, 2) + row * s->w[3], 0, s->w[5]);
}

inline void do_part(__global const struct stage *s, int task)
{
	const int workers = (int)s->w[10], kv_heads = (int)s->w[11];

	attention_part_item(P(float, 0), P(const float, 1), 0, s->w[2], P(const STORAGE(TYPE_K), 3), 0, s->w[4], P(const STORAGE(TYPE_V), 5), 0, s->w[6],
		P(const int, 7), 0, GROUP, (int)s->w[8], (int)s->w[9], REAL(12), REAL(13), task % workers, workers, task / workers % kv_heads, kv_heads,
		task / workers / kv_heads);
}

inline void do_join(__global const struct stage *s, int task)
{
	const int heads = (int)s->w[7];

	for (int h = task % (heads / GROUP) * GROUP, end = h + GROUP; h < end; h++)
		attention_join_item(P(float, 0), 0, s->w[1], P(const float, 2), P(const int, 3), 0, P(const STORAGE(TYPE_S), 4), 0, (int)s->w[5], (int)s->w[6],
			task / (heads / GROUP), h, heads);
}

/* The columns from .. end - 1 of a row, which are a task of what works element by element. */
struct some {
	long row, from, end;
};

inline struct some some_of(int task, long cols)
{
	const long parts = (cols + SOME - 1) / SOME, from = task % parts * SOME;

	return (struct some){task / parts, from, min(from + SOME, cols)};
}

inline void do_act(__global const struct stage *s, int task)
{
	const struct some t = some_of(task, s->w[6]);

	act_some(P(float, 0), t.row * s->w[1], P(const float, 2), t.row * s->w[3], P(const float, 4), t.row * s->w[5], t.from, t.end);
}

#ifdef EXPERTS
inline void do_route(__global const struct stage *s)
{
	route_all(P(int, 0), P(float, 1), P(int, 2), P(int, 3), P(int, 4), P(int, 5), P(int, 6), P(const float, 7), s->w[8], (int)s->w[9], (int)s->w[10],
		(int)s->w[11], REAL(12), (int)s->w[13], (int)s->w[14], (int)s->w[15], 1);
}

inline void do_combine(__global const struct stage *s, int task)
{
	const int k = (int)s->w[9];
	const struct some t = some_of(task, s->w[10]);

	combine_columns(P(float, 0) + t.row * s->w[1] + t.from, P(const float, 2) + t.from, s->w[3], P(const int, 4) + t.row * k, P(const float, 5) + t.row * s->w[6],
		s->w[7] ? P(const float, 7) + t.row * s->w[8] + t.from : 0, k, (int)(t.end - t.from), REAL(11));
}
#endif

#ifdef BIASED
inline void do_layer_norm(__global const struct stage *s, int row)
{
	for (int g = 0; g < (int)s->w[6]; g++)
		layer_norm_group(P(float, 0) + row * s->w[1] + g * s->w[7], P(const float, 2) + row * s->w[3] + g * s->w[7],
			P(const STORAGE(TYPE_W), 4), P(const STORAGE(TYPE_B), 5), (int)s->w[7], REAL(8), 0);
}
#endif

inline void do_add(__global const struct stage *s, int task)
{
	const struct some t = some_of(task, s->w[6]);

	add_some(P(float, 0) + t.row * s->w[1], P(const float, 2) + t.row * s->w[3], P(const float, 4) + t.row * s->w[5], t.from, t.end, REAL(7), REAL(8),
		(int)s->w[9], 0);
}

#ifdef CLAMPED
inline void do_clamp(__global const struct stage *s, int task)
{
	const struct some t = some_of(task, s->w[6]);

	clamped_some(P(float, 0) + t.row * s->w[1], P(const float, 2) + t.row * s->w[3], P(const float, 4) + t.row * s->w[5], t.from, t.end, (int)s->w[7],
		REAL(8), REAL(9));
}
#endif

inline void do_pick(__global const struct stage *s)
{
	for (int t = 0; t < (int)s->w[3]; t++)
		P(int, 0)[t] = picked(P(const int, 1)[t], P(const int, 2));
}

inline void do_embed(__global const struct stage *s, int task)
{
	const long d = s->w[4];
	const struct some t = some_of(task, d);

	embed_some(P(float, 0) + t.row * d, P(const STORAGE(TYPE_E), 1), P(const int, 2)[t.row], 0, s->w[3], d, REAL(5), t.from, t.end);
}

inline void do_tops(__global const struct stage *s, int task)
{
	const long v = s->w[3], some = s->w[4], parts = (v + some - 1) / some, c = task % parts * some;
	const struct top t = top_of(P(const float, 1) + task / parts * s->w[2] + c, min(some, v - c), 0, 1);

	P(float, 0)[2 * task] = t.value;
	P(int, 0)[2 * task + 1] = (int)c + t.id;
}

inline void do_draw(__global const struct stage *s, int row, __local float *room, __local int *some)
{
	const long v = s->w[5];
	const int parts = (int)s->w[2];
	__global const uint *how = P(const uint, 3) + row * HOW;
	struct top best = {-INFINITY, 0};

	if (as_float(how[TEMPERATURE]) > 0.0f) {
		P(int, 0)[row] = sample_id(P(float, 6) + row * v, P(const float, 4) + row * v, how, 0, v, room, some);
		return;
	}
	for (int k = row * parts; k < (row + 1) * parts; k++) {
		const float value = P(const float, 1)[2 * k];

		if (value > best.value)
			best = (struct top){value, P(const int, 1)[2 * k + 1]};
	}
	P(int, 0)[row] = isinf(best.value) ? -1 : best.id;
}

APART void do_task(__global const struct stage *s, int task, __local float *room, __local int *some)
{
	switch (s->op) {
	case NORM:
		do_norm(s, task);
		break;
#ifdef INT8_0
	case QUANTISE:
		do_quantise(s, task);
		break;
	case INT8:
		do_int8(s, task);
		break;
#endif
#ifdef ROUNDED
	case ROUND:
		do_round(s, task);
		break;
	case BY_PAIRS:
		do_pairs(s, task);
		break;
#endif
	case FLOAT:
		do_float(s, task);
		break;
	case ROPE:
		do_rope(s, task);
		break;
	case STORE_ROWS:
		do_store(s, task);
		break;
	case PART_KEYS:
		do_part(s, task);
		break;
	case JOIN:
		do_join(s, task);
		break;
	case ACTIVATE:
		do_act(s, task);
		break;
	case ADD:
		do_add(s, task);
		break;
#ifdef BIASED
	case LAYER_NORM:
		do_layer_norm(s, task);
		break;
#endif
#ifdef CLAMPED
	case CLAMP:
		do_clamp(s, task);
		break;
#endif
	case PICK:
		do_pick(s);
		break;
	case EMBED:
		do_embed(s, task);
		break;
	case TOPS:
		do_tops(s, task);
		break;
	case DRAW:
		do_draw(s, task, room, some);
		break;
#ifdef EXPERTS
	case ROUTE:
		do_route(s);
		break;
	case SPREAD:
		spread_row(P(float, 0) + task * s->w[1], P(const float, 2) + P(const int, 4)[task] / s->w[5] * s->w[3], (int)s->w[6], 1, 0);
		break;
	case COMBINE:
		do_combine(s, task);
		break;
#endif
	}
}

inline void pause_a_little(void)
{
#if HAVE_BYTES
	__builtin_ia32_pause();
#endif
}

#if TIMED
/* What a worker counts, in ticks of the processor: when it began and ended; then, of each stage, the time in its tasks and the time spent waiting for it. */
struct times {
	__global ulong *t;
	ulong last;
};

inline ulong ticks(void)
{
	uint which;

	return __builtin_ia32_rdtscp(&which);
}

inline struct times times_begin(__global ulong *t, int n)
{
	t += get_global_id(0) * (2 + 2 * n);
	for (int i = 0; i < 2 * n; i++)
		t[2 + i] = 0;
	t[0] = t[1] = ticks();
	return (struct times){t, t[0]};
}

/* The time since the last call was spent so: what = 2 · stage, and 1 more for waiting. */
inline void times_add(struct times *t, int what)
{
	const ulong now = ticks();

	t->t[2 + what] += now - t->last;
	t->t[1] = t->last = now;
}
#define TIMES_BEGIN(times, n) struct times timed = times_begin(times, n)
#define TIMES_IN(stage) times_add(&timed, 2 * (stage))
#define TIMES_WAITED(stage) times_add(&timed, 2 * (stage) + 1)
#else
#define TIMES_BEGIN(times, n)
#define TIMES_IN(stage)
#define TIMES_WAITED(stage)
#endif

/* Stages number `from` to from + n. count[0] is the number of the next task, count[16 + i] how many of stage i are done: both go on from run to run, so that in
 * run number `run` (modulo 2^32) they begin at run times what a run adds. tasks: of these stages. times: of TIMED, (work-items, 2 + 2 n). */
__kernel WG1 void chain(__global const struct stage *stages, long from, __global uint *count, int n, uint tasks, uint run, __global ulong *times)
{
	__global volatile uint *next = count, *done = count + 16;
	int known = 0, at = 0, spins = 0;       /* stages before `known` are done; those before `at` have no more tasks */

	__local float room[SEGMENTS];
	__local int some[1];

	TIMES_BEGIN(times, n);
	stages += from;
	while (at < n) {
		const uint now = *next, task = now - run * tasks;

		while (at < n && task >= stages[at].first + (uint)stages[at].tasks)
			at++;
		if (at == n)
			break;
		__global const struct stage *s = stages + at;
		while (known <= s->after && done[known] - run * (uint)stages[known].tasks >= (uint)stages[known].tasks)
			known++;
		if (known <= s->after) {
			if (++spins > SPINS)
				return;
			pause_a_little();
			TIMES_WAITED(known);
			continue;
		}
		if (atomic_cmpxchg(next, now, now + 1) != now)
			continue;
		mem_fence(CLK_GLOBAL_MEM_FENCE);
		do_task(s, (int)(task - s->first), room, some);
		mem_fence(CLK_GLOBAL_MEM_FENCE);
		atomic_inc(&done[at]);
		spins = 0;
		TIMES_IN(at);
	}
}
