/* Graphs, gradients and plans, on a device made of host memory (hostdev.h), so that placements can be seen and memory can run
 * short. Random graphs are held against an interpreter that carries values and derivatives along one direction in double. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "graph/graph.h"
#include "hostdev.h"
#include "tap.h"

/* ---- random programs ---- */

#define ROWS 3
#define COLS 8
#define LEAVES 4
#define STEPS 60

/* Step i makes value LEAVES + i of two halves or wholes of earlier ones. */
struct step { int x, z, op, part, segment; float a, b; };

struct program {
	struct step step[STEPS];
	uint64_t seed;
	bool cheap;             /* some of its nodes */
};

static uint32_t draw(uint64_t seed, int i, uint32_t below) { return pm_rng_u32(seed, 1, (uint64_t)i) % below; }

static void make_program(struct program *p, uint64_t seed)
{
	int i;

	p->cheap = false;
	p->seed = seed;
	for (i = 0; i < STEPS; i++) {
		/* parts 1 to 3: columns 0-3, 4-7, 2-5; others: all */
		uint32_t near = (uint32_t)(LEAVES + i);

			p->step[i] = (struct step){.x = (int)draw(seed, 8 * i, near), .z = (int)draw(seed, 8 * i + 1, near), .op = (int)draw(seed, 8 * i + 2, 3),
			.part = (int)draw(seed, 8 * i + 3, 6), .segment = i / 9 % 4 == 3 ? 0 : 1 + i / 9,
			.a = pm_rng_normal(seed, 2, (uint64_t)(2 * i)), .b = pm_rng_normal(seed, 2, (uint64_t)(2 * i + 1))};
		if (draw(seed, 8 * i + 4, 2))
			p->step[i].x = LEAVES + i - 1 - (i ? (int)draw(seed, 8 * i + 5, 2) : 0);
	}
}

static double leaf_value(const struct program *p, int leaf, int i) { return (double)(0.5f * pm_rng_normal(p->seed, 10 + (uint32_t)leaf, (uint64_t)i)); }
static double leaf_move(const struct program *p, int leaf, int i) { return leaf == 0 ? 0 : (double)pm_rng_normal(p->seed, 20 + (uint32_t)leaf, (uint64_t)i); }
static double seed_value(const struct program *p, int k, int i) { return (double)pm_rng_normal(p->seed, 30 + (uint32_t)k, (uint64_t)i); }

/* A step is y = a x + b z, x z or a x; or, with a part, y = a x + b [u u] where u is the product of 4 columns of x and z. Half of it is the
 * value, so that numbers stay small. */
static int part_from(int part) { return part == 1 ? 0 : part == 2 ? 4 : 2; }

/* sum over seeds of <dy, y>'s derivative along the moves, in double */
static double interpret(const struct program *p)
{
	static double v[LEAVES + STEPS][ROWS * COLS], d[LEAVES + STEPS][ROWS * COLS];
	double sum = 0;
	int i, j, k;

	for (k = 0; k < LEAVES; k++)
		for (i = 0; i < ROWS * COLS; i++) {
			v[k][i] = leaf_value(p, k, i);
			d[k][i] = leaf_move(p, k, i);
		}
	for (k = 0; k < STEPS; k++) {
		const struct step *s = &p->step[k];
		double *y = v[LEAVES + k], *dy = d[LEAVES + k];

		for (i = 0; i < ROWS * COLS; i++) {
			int from = part_from(s->part), c = i % COLS;
			double x = v[s->x][i], dx = d[s->x][i], z = v[s->z][i], dz = d[s->z][i];

			if (s->part >= 1 && s->part <= 3) {
				int o = i / COLS * COLS + from + c % 4;

				y[i] = s->a * x + s->b * v[s->x][o] * v[s->z][o];
				dy[i] = s->a * dx + s->b * (d[s->x][o] * v[s->z][o] + v[s->x][o] * d[s->z][o]);
				continue;
			}
			y[i] = s->op == 0 ? s->a * x + s->b * z : s->op == 1 ? x * z : s->a * x;
			dy[i] = s->op == 0 ? s->a * dx + s->b * dz : s->op == 1 ? dx * z + x * dz : s->a * dx;
		}
		for (j = 0; j < ROWS * COLS; j++) {
			y[j] *= 0.5;
			dy[j] *= 0.5;
		}
	}
	for (k = 0; k < 2; k++)
		for (i = 0; i < ROWS * COLS; i++)
			sum += seed_value(p, k, i) * d[LEAVES + STEPS - 1 - 7 * k][i];
	return sum;
}

/* What a build leaves to look at. */
struct built {
	struct pm_graph *g;
	struct pm_tensor *leaf[LEAVES], *result[2], *seed[2];
	struct pm_mem *mem[LEAVES], *grad[LEAVES], *dy[2];
};

/* Joins two halves: y = [u | u], by a node that writes both views. */
static struct pm_tensor *twice(struct pm_graph *g, struct pm_tensor *u);

static int run_twice(const struct pm_node *n, struct pm_err *e)
{
	int64_t r, c;

	(void)e;
	for (r = 0; r < ROWS; r++)
		for (c = 0; c < COLS; c++)
			*at(n->out[0]->mem, n->out[0]->off + r * n->out[0]->ld + c) = get(n->in[0], r, c % 4);
	return 0;
}

static int grad_twice(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	struct pm_tensor *dy = pm_grad_have(n->out[0]);

	(void)e;
	contribute(g, &op_sum, n->in[0], pm_view_cols(g, dy, 0, 4), NULL, 1);
	contribute(g, &op_sum, n->in[0], pm_view_cols(g, dy, 4, 4), NULL, 1);
	return 0;
}

static const struct pm_op op_twice = {"twice", NULL, run_twice, grad_twice};

static struct pm_tensor *twice(struct pm_graph *g, struct pm_tensor *u)
{
	struct pm_tensor *y = pm_tensor(g, PM_T_TEMP, PM_F32, ROWS, COLS, "twice");

	return pm_node(g, &op_twice, 1, &u, 1, &y, NULL, 0) ? y : NULL;
}

static struct pm_tensor *build_step(struct pm_graph *g, const struct step *s, struct pm_tensor *x, struct pm_tensor *z)
{
	struct pm_tensor *y;

	if (s->part >= 1 && s->part <= 3) {
		struct pm_tensor *u = apply(g, &op_product, pm_view_cols(g, x, part_from(s->part), 4), pm_view_cols(g, z, part_from(s->part), 4), 0, 0, "part");

		y = apply(g, &op_sum, x, twice(g, u), s->a, s->b, "joined");
	} else {
		y = s->op == 1 ? apply(g, &op_product, x, z, 0, 0, "product") : apply(g, &op_sum, x, s->op ? NULL : z, s->a, s->b, "sum");
	}
	return apply(g, &op_sum, y, NULL, 0.5f, 0, "half");
}

static struct pm_mem *filled(const struct program *p, double (*value)(const struct program *, int, int), int k)
{
	float f[ROWS * COLS];
	struct pm_mem *m = NULL;
	struct pm_err e;
	int i;

	for (i = 0; i < ROWS * COLS; i++)
		f[i] = value ? (float)value(p, k, i) : 0;
	pm_mem_new(&m, NULL, sizeof f, &e);
	pm_mem_write(m, 0, f, sizeof f, &e);
	return m;
}

static int build(struct built *b, const struct program *p, bool checkpoint, struct pm_err *e)
{
	struct pm_tensor *v[LEAVES + STEPS];
	int k;

	memset(b, 0, sizeof *b);
	if (pm_graph_new(&b->g, DEV, e) < 0)
		return -1;
	for (k = 0; k < LEAVES; k++) {
		b->mem[k] = filled(p, leaf_value, k);
		v[k] = b->leaf[k] = pm_tensor_of(b->g, PM_T_WEIGHT, PM_F32, ROWS, COLS, b->mem[k], "leaf");
		if (k == 0)
			continue;               /* leaf 0 needs no gradient */
		b->grad[k] = filled(p, NULL, 0);
		v[k]->trains = true;
		v[k]->grad = pm_tensor_of(b->g, PM_T_STATE, PM_F32, ROWS, COLS, b->grad[k], "leaf gradient");
	}
	for (k = 0; k < STEPS; k++) {
		b->g->segment = p->step[k].segment;
		v[LEAVES + k] = build_step(b->g, &p->step[k], v[p->step[k].x], v[p->step[k].z]);
	}
	b->g->segment = 0;
	for (k = 0; p->cheap && k < (int)b->g->nnodes; k++)
		if (draw(p->seed, 8000 + k, 3))
			pm_cheap(b->g->nodes[k]);
	for (k = 0; k < 2; k++) {
		b->dy[k] = filled(p, seed_value, k);
		b->result[k] = v[LEAVES + STEPS - 1 - 7 * k];
		b->result[k]->keep = true;
		b->seed[k] = pm_tensor_of(b->g, PM_T_STATE, PM_F32, ROWS, COLS, b->dy[k], "dy");
		pm_grad_seed(b->result[k], b->seed[k]);
	}
	return pm_grad(b->g, checkpoint, e);
}

static void unbuild(struct built *b)
{
	int k;

	pm_graph_free(b->g);
	for (k = 0; k < LEAVES; k++) {
		pm_mem_free(b->mem[k]);
		pm_mem_free(b->grad[k]);
	}
	for (k = 0; k < 2; k++)
		pm_mem_free(b->dy[k]);
}

/* Gradients and results, for comparing bits. */
struct outcome { float v[LEAVES + 2][ROWS * COLS]; };

static int take(struct built *b, struct pm_plan *p, struct outcome *o, struct pm_err *e)
{
	int k;

	for (k = 1; k < LEAVES; k++)
		if (pm_mem_zero(b->grad[k], 0, sizeof o->v[k], e) < 0)
			return -1;
	if (pm_plan_fill(p, 0xff, e) < 0 || pm_plan_run(p, e) < 0)
		return -1;
	memset(o, 0, sizeof *o);
	for (k = 1; k < LEAVES; k++)
		if (pm_mem_read(b->grad[k], 0, o->v[k], sizeof o->v[k], e) < 0)
			return -1;
	for (k = 0; k < 2; k++)
		if (pm_plan_read(p, b->result[k], o->v[LEAVES + k], e) < 0)
			return -1;
	return 0;
}

/* Whether two tensors that are alive at once (by what the nodes read and write) share a byte. */
static bool disjoint(const struct pm_graph *g)
{
	size_t i, j, n = 0, live = 0;
	struct { const struct pm_tensor *t; size_t first, last; } *span = calloc(g->ntensors, sizeof *span);
	bool ok = true;
	int k;

	for (i = 0; i < g->ntensors; i++) {
		const struct pm_tensor *t = g->tensors[i];

		if (t->kind != PM_T_TEMP || t->base || !t->mem)
			continue;
		span[n].t = t;
		span[n].first = SIZE_MAX;
		for (j = 0; j < g->nnodes; j++)
			for (k = 0; k < PM_NODE_IN + PM_NODE_OUT; k++) {
				const struct pm_tensor *u = k < PM_NODE_IN ? g->nodes[j]->in[k] : g->nodes[j]->out[k - PM_NODE_IN];

				if (u && (u == t || u->base == t)) {
					span[n].first = span[n].first == SIZE_MAX ? j : span[n].first;
					span[n].last = j;
				}
			}
		if (t->keep)
			span[n].last = SIZE_MAX;
		n++;
	}
	for (i = 0; i < n; i++)
		for (j = 0; j < i; j++) {
			const struct pm_mem *a = span[i].t->mem, *b = span[j].t->mem;

			if (span[i].last < span[j].first || span[j].last < span[i].first || a->whole != b->whole)
				continue;
			live++;
			ok = ok && (a->from + a->size <= b->from || b->from + b->size <= a->from);
		}
	free(span);
	return ok && live > 0;
}

static double along(const struct program *p, const struct outcome *o)
{
	double sum = 0;
	int i, k;

	for (k = 1; k < LEAVES; k++)
		for (i = 0; i < ROWS * COLS; i++)
			sum += (double)o->v[k][i] * leaf_move(p, k, i);
	return sum;
}

static double size_of(const struct program *p, const struct outcome *o)
{
	double sum = 0;
	int i, k;

	(void)p;
	for (k = 1; k < LEAVES; k++)
		for (i = 0; i < ROWS * COLS; i++)
			sum += (double)o->v[k][i] * (double)o->v[k][i];
	return sqrt(sum) + 1e-6;
}

/* Builds and runs one program in one way. */
static bool one_way(const struct program *p, bool checkpoint, bool keep, struct outcome *o, struct pm_plan_sizes *sizes)
{
	struct built b;
	struct pm_plan *plan = NULL;
	struct pm_err e = {0};
	size_t i;
	bool ok = build(&b, p, checkpoint, &e) == 0;

	for (i = 0; ok && keep && i < b.g->ntensors; i++)
		b.g->tensors[i]->keep = true;
	ok = ok && pm_plan_new(&plan, b.g, &e) == 0 && pm_plan_alloc(plan, NULL, &e) == 0 && take(&b, plan, o, &e) == 0;
	if (!ok)
		printf("# %s\n", e.text);
	ok = ok && disjoint(b.g);
	if (plan)
		pm_plan_sizes(plan, sizes);
	pm_plan_free(plan);
	unbuild(&b);
	return ok;
}

static void random_graphs(void)
{
	int i, ran = 0, right = 0, same = 0, again = 0, small = 0, chunked = 0, cheap = 0, distinct = 0;
	double last = 0;

	for (i = 0; i < 60; i++) {
		struct program p;
		struct outcome a, b, c, d, f;
		struct pm_plan_sizes sa = {0}, sb = {0}, other;
		uint64_t largest = info.largest;
		double want, have;

		make_program(&p, 1000 + (uint64_t)i);
		ran += one_way(&p, false, true, &a, &sa) && one_way(&p, false, false, &b, &sb) && one_way(&p, true, false, &c, &other);
		info.largest = 1024;
		chunked += one_way(&p, false, false, &d, &other) && !memcmp(&a, &d, sizeof a);
		info.largest = largest;
		p.cheap = true;
		cheap += one_way(&p, false, false, &f, &other) && !memcmp(&a, &f, sizeof a);
		want = interpret(&p);
		have = along(&p, &a);
		right += fabs(want - have) < 2e-5 * (size_of(&p, &a) * 5 + fabs(want));
		same += !memcmp(&a, &b, sizeof a);
		again += !memcmp(&a, &c, sizeof a);
		small += sb.temp * 2 < sb.temp_sum && sa.temp > sb.temp * 2 && sa.temp <= sa.temp_sum;
		distinct += have != last;
		last = have;
	}
	check(ran == i, "random graphs are planned and run, and nothing alive shares memory (%d of %d)", ran, i);
	check(right == i && distinct == i, "their gradients are the interpreter's (%d of %d)", right, i);
	check(same == i, "reused memory gives the same bits (%d of %d)", same, i);
	check(again == i, "checkpointing gives the same bits (%d of %d)", again, i);
	check(cheap == i, "cheap nodes run again give the same bits (%d of %d)", cheap, i);
	check(chunked == i, "an arena of many small buffers gives the same bits (%d of %d)", chunked, i);
	check(small == i, "memory is reused, and not where it is kept (%d of %d)", small, i);
	check(held == 0 && parts == 0, "all memory was given back");
}

/* ---- single facts ---- */

/* A chain of layers, each of several products: what checkpointing is for. */
static uint64_t chain(bool checkpoint, bool cheap, float *result)
{
	struct program p = {.seed = 5};
	struct pm_mem *mem = filled(&p, leaf_value, 1), *grad = filled(&p, NULL, 0), *dy = filled(&p, seed_value, 0);
	struct pm_tensor *w, *x;
	struct pm_plan_sizes s = {0};
	struct pm_graph *g;
	struct pm_plan *plan;
	struct pm_err e;
	int i, j;

	pm_graph_new(&g, DEV, &e);
	x = w = pm_tensor_of(g, PM_T_WEIGHT, PM_F32, ROWS, COLS, mem, "w");
	w->trains = true;
	w->grad = pm_tensor_of(g, PM_T_STATE, PM_F32, ROWS, COLS, grad, "dw");
	for (i = 0; i < 12; i++) {
		struct pm_tensor *h = x;

		g->segment = i + 1;
		for (j = 0; j < 8; j++)
			h = apply(g, &op_sum, apply(g, &op_product, h, w, 0, 0, "h"), NULL, 0.9f, 0, "s");
		x = apply(g, &op_sum, x, h, 1, 0.1f, "x");
	}
	for (i = 0; cheap && i < (int)g->nnodes; i++)
		pm_cheap(g->nodes[i]);
	pm_grad_seed(x, pm_tensor_of(g, PM_T_STATE, PM_F32, ROWS, COLS, dy, "dy"));
	if (pm_grad(g, checkpoint, &e) == 0 && pm_plan_new(&plan, g, &e) == 0) {
		pm_plan_sizes(plan, &s);
		if (pm_plan_alloc(plan, NULL, &e) == 0 && pm_plan_run(plan, &e) == 0)
			pm_mem_read(grad, 0, result, ROWS * COLS * 4, &e);
		pm_plan_free(plan);
	}
	pm_graph_free(g);
	pm_mem_free(mem);
	pm_mem_free(grad);
	pm_mem_free(dy);
	return s.temp;
}

static void checkpointing(void)
{
	float a[ROWS * COLS] = {0}, b[ROWS * COLS] = {1}, c[ROWS * COLS] = {2};
	uint64_t plain = chain(false, false, a), less = chain(true, false, b), cheap = chain(false, true, c);

	check(!memcmp(a, b, sizeof a) && isfinite(a[0]), "a checkpointed chain has the same gradients");
	check(!memcmp(a, c, sizeof a) && cheap * 3 < plain, "and so has one of cheap nodes, in less than a third, too (%llu bytes)", (unsigned long long)cheap);
	check(less * 3 < plain, "and needs less than a third of the memory (%llu, %llu bytes)", (unsigned long long)less, (unsigned long long)plain);
}

static void sharing(void)
{
	struct program p, q;
	struct built a, b;
	struct pm_plan *pa, *pb;
	struct outcome o[4];
	struct pm_plan_sizes sa, sb;
	struct pm_err e;
	uint64_t before;
	int i;

	make_program(&p, 1);
	make_program(&q, 2);
	for (i = 0; i < 2; i++) {
		bool ok = build(&a, &p, false, &e) == 0 && build(&b, &q, true, &e) == 0 && pm_plan_new(&pa, a.g, &e) == 0 &&
			pm_plan_new(&pb, b.g, &e) == 0 && pm_plan_alloc(pa, NULL, &e) == 0;

		before = held;
		ok = ok && pm_plan_alloc(pb, pa, &e) == 0;
		pm_plan_sizes(pa, &sa);
		pm_plan_sizes(pb, &sb);
		check(ok && sb.temp <= sa.temp ? held == before : held == before + sb.temp, "the second plan takes the first one's arena");
		check(ok && take(&a, pa, &o[0], &e) == 0 && take(&b, pb, &o[1], &e) == 0 && take(&a, pa, &o[2], &e) == 0 && take(&b, pb, &o[3], &e) == 0 &&
			!memcmp(&o[0], &o[2], sizeof o[0]) && !memcmp(&o[1], &o[3], sizeof o[0]), "both run in turn");
		pm_plan_free(i ? pa : pb);
		check(take(i ? &b : &a, i ? pb : pa, &o[0], &e) == 0 && !memcmp(&o[0], &o[i ? 1 : 2], sizeof o[0]), "and one after the other is gone");
		pm_plan_free(i ? pb : pa);
		unbuild(&a);
		unbuild(&b);
	}
	check(held == 0 && parts == 0, "a shared arena is given back");
}

static void refusal(void)
{
	struct pm_dev_info old = info;
	struct program p;
	struct built b;
	struct pm_plan *plan;
	struct pm_err e;
	uint64_t before;

	make_program(&p, 3);
	build(&b, &p, false, &e);
	pm_plan_new(&plan, b.g, &e);
	before = held;
	info.memory = held + 1000;
	check(pm_plan_alloc(plan, NULL, &e) < 0 && e.status == PM_NODEVICE && strstr(e.text, "MB wanted") && strstr(e.text, "available"),
		"a plan that does not fit: %s", e.text);
	info = old;
	info.largest = 64;
	check(held == before && parts == 0, "nothing is held after a refusal");
	pm_plan_free(plan);
	pm_plan_new(&plan, b.g, &e);
	check(pm_plan_alloc(plan, NULL, &e) < 0 && e.status == PM_NODEVICE && strstr(e.text, "one buffer"), "a tensor larger than a buffer: %s", e.text);
	info = old;
	pm_plan_free(plan);
	unbuild(&b);
}

static void failures(void)
{
	struct pm_graph *g;
	struct pm_plan *plan = NULL;
	struct pm_tensor *x, *y, *in[1];
	struct pm_mem *mem = NULL;
	struct pm_err e;

	pm_graph_new(&g, DEV, &e);
	x = pm_tensor(g, PM_T_INPUT, PM_F32, 4, 6, "x");
	check(pm_view_cols(g, x, 2, 4) && pm_view_rows(g, pm_view_cols(g, x, 2, 4), 1, 3)->off == 8, "a view of a view");
	check(!pm_view_cols(g, x, 3, 4) && pm_graph_ok(g, &e) < 0 && strstr(e.text, "'x' (4, 6)"), "a view past the edge: %s", e.text);
	check(!pm_tensor(g, PM_T_TEMP, PM_F32, 1, 1, "y") && !apply(g, &op_sum, NULL, NULL, 0, 0, "z"), "a failed graph makes nothing");
	pm_graph_fail(g, "another");
	check(pm_graph_ok(g, &e) < 0 && strstr(e.text, "'x'"), "and keeps its first failure");
	check(pm_plan_new(&plan, g, &e) < 0, "and has no plan");
	pm_graph_free(g);

	pm_graph_new(&g, DEV, &e);
	y = pm_tensor(g, PM_T_TEMP, PM_F32, 4, 6, "never");
	y = apply(g, &op_sum, y, NULL, 1, 0, "y");
	check(pm_plan_new(&plan, g, &e) < 0 && strstr(e.text, "'never'"), "reading what nobody wrote: %s", e.text);
	pm_graph_free(g);

	pm_mem_new(&mem, NULL, 96, &e);
	pm_graph_new(&g, DEV, &e);
	x = pm_tensor_of(g, PM_T_WEIGHT, PM_F32, 4, 6, mem, "w");
	x->trains = true;
	y = apply(g, &op_bad, x, NULL, 1, 0, "output");
	check(pm_plan_new(&plan, g, &e) == 0 && pm_plan_alloc(plan, NULL, &e) == 0 && pm_plan_run(plan, &e) < 0 && !strcmp(e.text, "bad 'output': broken"),
		"a node that fails: %s", e.text);
	pm_plan_free(plan);
	in[0] = pm_tensor(g, PM_T_INPUT, PM_F32, 4, 6, "dy");
	pm_grad_seed(y, in[0]);
	check(pm_grad(g, false, &e) < 0 && strstr(e.text, "no gradient for operation 'bad'"), "an operation without a gradient: %s", e.text);
	pm_graph_free(g);

	pm_graph_new(&g, DEV, &e);
	x = pm_tensor_of(g, PM_T_WEIGHT, PM_F32, 4, 6, mem, "w");
	x->trains = true;
	y = apply(g, &op_sum, x, NULL, 1, 0, "output");
	pm_grad_seed(y, pm_tensor(g, PM_T_INPUT, PM_F32, 4, 6, "dy"));
	check(pm_grad(g, false, &e) < 0 && strstr(e.text, "'w' trains, but was given no gradient"), "a weight without a gradient: %s", e.text);
	pm_graph_free(g);

	pm_graph_new(&g, DEV, &e);
	x = pm_tensor_of(g, PM_T_WEIGHT, PM_Q8_0, 1, 32, mem, "w");
	x->trains = true;
	x->grad = pm_tensor_of(g, PM_T_STATE, PM_F32, 1, 32, mem, "dw");
	y = apply(g, &op_sum, x, NULL, 1, 0, "output");
	pm_grad_seed(y, pm_tensor(g, PM_T_INPUT, PM_F32, 1, 32, "dy"));
	check(pm_grad(g, false, &e) < 0 && strstr(e.text, "'w' trains, but its values lie in blocks (q8_0)"), "a weight in blocks: %s", e.text);
	pm_graph_free(g);

	pm_graph_new(&g, DEV, &e);
	x = pm_tensor_of(g, PM_T_WEIGHT, PM_F32, 4, 7, mem, "w");
	y = apply(g, &op_sum, x, NULL, 1, 0, "output");
	check(pm_plan_new(&plan, g, &e) == 0 && pm_plan_alloc(plan, NULL, &e) < 0 && strstr(e.text, "112 bytes wanted"), "memory too small: %s", e.text);
	pm_plan_free(plan);
	pm_graph_free(g);
	pm_mem_free(mem);
}

static void inputs(void)
{
	struct pm_graph *g;
	struct pm_plan *plan = NULL;
	struct pm_tensor *x, *y;
	struct pm_plan_sizes s;
	struct pm_err e;
	float in[24], out[24], part[6] = {-1, -2, -3, -4, -5, -6};
	int i;

	for (i = 0; i < 24; i++)
		in[i] = (float)i;
	pm_graph_new(&g, DEV, &e);
	x = pm_tensor(g, PM_T_INPUT, PM_F32, 4, 6, "x");
	y = apply(g, &op_sum, apply(g, &op_sum, x, NULL, 2, 0, "t"), x, 1, 1, "y");
	y->keep = true;
	pm_plan_new(&plan, g, &e);
	pm_plan_sizes(plan, &s);
	check(s.input == 96 && s.temp == 256 && s.temp_sum == 256 && s.weights == 0 && s.state == 0 && s.scratch == 0, "sizes of a small plan");
	check(pm_plan_write(plan, x, in, &e) < 0, "nothing can be written before memory is there");
	check(pm_plan_alloc(plan, NULL, &e) == 0 && pm_plan_write(plan, x, in, &e) == 0 && pm_plan_run(plan, &e) == 0, "a small plan runs");
	check(pm_plan_read(plan, y, out, &e) == 0 && out[0] == 0 && out[23] == 69, "inputs are written, results are read");
	pm_plan_free(plan);
	x = pm_view_cols(g, pm_view_rows(g, x, 1, 3), 4, 2);
	check(pm_plan_new(&plan, g, &e) == 0 && pm_plan_alloc(plan, NULL, &e) == 0 && pm_plan_write(plan, x->base, in, &e) == 0 &&
		pm_plan_write(plan, x, part, &e) == 0 && pm_plan_run(plan, &e) == 0 && pm_plan_read(plan, y, out, &e) == 0 && out[10] == -3 && out[11] == -6 && out[23] == -18 && out[9] == 27,
		"a second plan, and an input written through a view");
	pm_plan_free(plan);
	pm_graph_free(g);
}

int main(void)
{
	random_graphs();
	checkpointing();
	sharing();
	refusal();
	failures();
	inputs();
	return done();
}
