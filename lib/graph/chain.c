/* chain.c: a graph's nodes as stages of few launches. kernels/chain_cpu.cl */
#include "graph/chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFINES 24
#define SLOTS 4
#define ROOMS 8
#define LEAST 3
#define WORKERS 16                      /* work-items a compute unit: PoCL gives several to one thread, and who leaves takes the next */
#define COUNTS 16                       /* the first words of the counters: the kernel's */

/* As the kernel has it. */
struct stage {
	int32_t op, tasks, after;
	uint32_t first;
	int64_t w[PM_STAGE_WORDS];
};

struct define {
	char name[24], value[24];
};

/* Nodes that are done by one launch. */
struct part {
	size_t node, nodes, stage, stages;
	uint32_t tasks;
	double flops, bytes;
	struct pm_mem *count;
	uint32_t runs;
};

struct pm_chain {
	const struct pm_graph *g;
	struct pm_stage *stage;
	size_t n, cap, from;            /* from: the first stage of the part being made */
	struct define define[DEFINES];
	size_t ndefines;
	struct part *part;
	size_t nparts, cap_parts;
	struct pm_mem *room[ROOMS], **old;
	size_t rooms, nold, cap_old;
	struct pm_mem *stages, *times;  /* times: what workers count, in a profiled compile */
	const struct pm_kernel *kernel;
};

struct pm_dev *pm_chain_dev(const struct pm_chain *c)
{
	return c->g->dev;
}

size_t pm_address(const struct pm_tensor *t)
{
	const size_t at = t && t->mem ? pm_mem_address(t->mem) : 0;

	return at ? at + pm_dtype_bytes(t->type, (uint64_t)t->off) : 0;
}

struct pm_range pm_range(const struct pm_tensor *t)
{
	return (struct pm_range){pm_address(t), t ? pm_dtype_bytes(t->type, (uint64_t)((t->rows - 1) * t->ld + t->cols)) : 0};
}

static size_t workers(const struct pm_chain *c)
{
	return (size_t)pm_dev_info(c->g->dev)->units * WORKERS;
}

/* ---- what stages want of the kernel ---- */

static struct define *find(struct pm_chain *c, const char *name)
{
	size_t i;

	for (i = 0; i < c->ndefines; i++)
		if (!strcmp(c->define[i].name, name))
			return &c->define[i];
	return NULL;
}

bool pm_chain_define(struct pm_chain *c, const char *name, const char *value)
{
	struct define *d = find(c, name);

	if (d)
		return !strcmp(d->value, value);
	if (c->ndefines == DEFINES)
		return false;
	d = &c->define[c->ndefines++];
	snprintf(d->name, sizeof d->name, "%s", name);
	snprintf(d->value, sizeof d->value, "%s", value);
	return true;
}

bool pm_chain_define_number(struct pm_chain *c, const char *name, int64_t value)
{
	char text[24];

	snprintf(text, sizeof text, "%lld", (long long)value);
	return pm_chain_define(c, name, text);
}

int pm_chain_slot(struct pm_chain *c, const char *name, const char *value)
{
	char numbered[24];
	int i;

	for (i = 0; i < SLOTS; i++) {
		snprintf(numbered, sizeof numbered, "%s_%d", name, i);
		if (pm_chain_define(c, numbered, value))
			return i;
	}
	return -1;
}

size_t pm_chain_room(struct pm_chain *c, size_t bytes, struct pm_err *e)
{
	struct pm_mem **m = &c->room[c->rooms++ % ROOMS];

	if (*m && pm_mem_size(*m) < bytes) {
		if (pm_grow(&c->old, &c->cap_old, c->nold + 1, sizeof *c->old, e) < 0)
			return 0;
		c->old[c->nold++] = *m;
		*m = NULL;
	}
	if (!*m && pm_mem_new(m, c->g->dev, bytes, e) < 0)
		return 0;
	return pm_mem_address(*m);
}

/* ---- stages ---- */

static bool meet(struct pm_range a, struct pm_range b)
{
	return a.bytes && b.bytes && a.at < b.at + b.bytes && b.at < a.at + a.bytes;
}

/* Range i of what a stage writes. */
static struct pm_range written(const struct pm_stage *s, int i)
{
	return i ? s->also[i - 1] : s->out;
}

/* Whether what a writes is read by b, or (also) written. */
static bool meets(const struct pm_stage *a, const struct pm_stage *b, bool also)
{
	int i, k;

	for (i = 0; i <= PM_STAGE_ALSO; i++) {
		for (k = 0; k < PM_STAGE_IN; k++)
			if (meet(written(a, i), b->in[k]))
				return true;
		for (k = 0; also && k <= PM_STAGE_ALSO; k++)
			if (meet(written(a, i), written(b, k)))
				return true;
	}
	return false;
}

int pm_chain_add(struct pm_chain *c, const struct pm_stage *s, struct pm_err *e)
{
	if (s->tasks < 1 || s->tasks > INT32_MAX / 2)
		return pm_fail(e, PM_SOFTWARE, "a stage has %lld tasks", (long long)s->tasks);
	if (pm_grow(&c->stage, &c->cap, c->n + 1, sizeof *c->stage, e) < 0)
		return -1;
	c->stage[c->n++] = *s;
	return 0;
}

int64_t pm_chain_same(const struct pm_chain *c, const struct pm_stage *s)
{
	size_t i, k;

	for (i = c->n; i-- > c->from;) {
		const struct pm_stage *o = &c->stage[i];
		bool same = o->op == s->op && o->tasks == s->tasks;

		for (k = 1; same && k < PM_STAGE_WORDS; k++)
			same = o->w[k] == s->w[k];
		for (k = i + 1; same && k < c->n; k++)
			if (meets(&c->stage[k], o, true))
				return 0;
		if (same)
			return o->w[0];
	}
	return 0;
}

/* The last stage of a part that must be done before stage i begins, counted from the part's first; -1: none. */
static int32_t after(const struct pm_chain *c, size_t from, size_t i)
{
	const struct pm_stage *s = &c->stage[i];
	size_t k;

	for (k = i; k-- > from;)
		if (meets(&c->stage[k], s, true) || meets(s, &c->stage[k], false))
			return (int32_t)(k - from);
	return -1;
}

/* ---- parts ---- */

/* The nodes since `node` become a part, if they are worth it. */
static int close_part(struct pm_chain *c, size_t node, size_t end, struct pm_err *e)
{
	struct part *p;
	size_t i;

	if (c->n - c->from < LEAST) {
		c->n = c->from;
		return 0;
	}
	if (pm_grow(&c->part, &c->cap_parts, c->nparts + 1, sizeof *c->part, e) < 0)
		return -1;
	p = &c->part[c->nparts];
	*p = (struct part){.node = node, .nodes = end - node, .stage = c->from, .stages = c->n - c->from};
	for (i = c->from; i < c->n; i++) {
		p->tasks += (uint32_t)c->stage[i].tasks;
		p->flops += c->stage[i].flops;
		p->bytes += c->stage[i].bytes;
	}
	c->from = c->n;
	c->nparts++;
	return pm_mem_zeros(&p->count, c->g->dev, (COUNTS + p->stages) * 4, e);
}

static int collect(struct pm_chain *c, struct pm_err *e)
{
	size_t i, node = 0, stages, defines;
	int r;

	for (i = 0; i < c->g->nnodes; i++) {
		const struct pm_node *n = c->g->nodes[i];

		stages = c->n;
		defines = c->ndefines;
		r = n->stages ? n->stages(n, c, e) : 0;
		if (r < 0)
			return pm_ctx(e, "%s", n->op->name);
		if (r == 0) {
			c->n = stages;
			c->ndefines = defines;
		}
		if (r)
			continue;
		if (close_part(c, node, i, e) < 0)
			return -1;
		node = i + 1;
	}
	return close_part(c, node, i, e);
}

/* Stages to the device, as the kernel has them. */
static int place(struct pm_chain *c, struct pm_err *e)
{
	struct stage *list = pm_alloc(c->n, sizeof *list, e);
	size_t i, k;
	int r = list ? pm_mem_new(&c->stages, c->g->dev, c->n * sizeof *list, e) : -1;

	for (i = 0; r == 0 && i < c->nparts; i++) {
		const struct part *p = &c->part[i];
		uint32_t first = 0;

		for (k = p->stage; k < p->stage + p->stages; k++) {
			list[k] = (struct stage){c->stage[k].op, (int32_t)c->stage[k].tasks, after(c, p->stage, k), first, {0}};
			memcpy(list[k].w, c->stage[k].w, sizeof list[k].w);
			first += (uint32_t)c->stage[k].tasks;
		}
	}
	if (r == 0)
		r = pm_mem_write(c->stages, 0, list, c->n * sizeof *list, e);
	free(list);
	return r;
}

/* Room for what each worker counts of a part: when it began and ended, and of each stage the ticks in its tasks, and those spent waiting for it. */
static int new_times(struct pm_chain *c, struct pm_err *e)
{
	size_t i, most = 0;

	for (i = 0; i < c->nparts; i++)
		most = c->part[i].stages > most ? c->part[i].stages : most;
	return pm_mem_new(&c->times, c->g->dev, workers(c) * (2 + 2 * most) * sizeof(uint64_t), e);
}

static int build(struct pm_chain *c, struct pm_err *e)
{
	char defines[DEFINES * 52 + 32] = "-DALONE=1";          /* a work-item is a group */
	size_t i, at = strlen(defines);

	if (pm_dev_profiled(c->g->dev) && pm_dev_info(c->g->dev)->avx2) {
		if (new_times(c, e) < 0)
			return -1;
		at += (size_t)snprintf(defines + at, sizeof defines - at, " -DTIMED=1");
	}

	for (i = 0; i < c->ndefines; i++)
		at += (size_t)snprintf(defines + at, sizeof defines - at, " -D%s=%s", c->define[i].name, c->define[i].value);
	c->kernel = pm_kernel(c->g->dev, "chain_cpu", "chain", defines, e);
	return c->kernel ? place(c, e) : -1;
}

int pm_chain_new(struct pm_chain **out, const struct pm_graph *g, struct pm_err *e)
{
	const struct pm_dev_info *info = pm_dev_info(g->dev);
	struct pm_chain *c;

	*out = NULL;
	if (!info->cpu || pm_dev_reference(g->dev) || !pm_tune(g->dev, "chain", "on", 1))
		return 0;
	c = pm_alloc(1, sizeof *c, e);
	if (!c)
		return -1;
	c->g = g;
	if (collect(c, e) < 0 || (c->nparts && build(c, e) < 0)) {
		pm_chain_free(c);
		return -1;
	}
	*out = c;
	return 0;
}

void pm_chain_free(struct pm_chain *c)
{
	size_t i;

	if (!c)
		return;
	for (i = 0; i < c->nparts; i++)
		pm_mem_free(c->part[i].count);
	for (i = 0; i < ROOMS; i++)
		pm_mem_free(c->room[i]);
	for (i = 0; i < c->nold; i++)
		pm_mem_free(c->old[i]);
	pm_mem_free(c->stages);
	pm_mem_free(c->times);
	free(c->old);
	free(c->part);
	free(c->stage);
	free(c);
}

static int launch(struct pm_chain *c, struct part *p, size_t stages, struct pm_launch l, struct pm_err *e)
{
	l.global[0] = workers(c);
	return PM_LAUNCH(c->kernel, l, e, PM_MEM(c->stages), PM_I64(p->stage), PM_MEM(p->count), PM_I32(stages), PM_I32((int32_t)p->tasks),
		PM_I32((int32_t)p->runs), PM_MEM(c->times));
}

/* ---- profiled ---- */

static struct pm_share share_of(const struct pm_stage *s, double of)
{
	return (struct pm_share){s->name, of, 1, s->flops, s->bytes};
}

/* Without a clock in the kernel each stage has a launch of its own. */
static int run_apart(struct pm_chain *c, struct part *p, struct pm_err *e)
{
	size_t i;

	for (i = 0; i < p->stages; i++) {
		const struct pm_share s = share_of(&c->stage[p->stage + i], 1);

		if (launch(c, p, i + 1, (struct pm_launch){.flops = 0}, e) < 0 || pm_dev_share(c->kernel, &s, 1, e) < 0)
			return -1;
	}
	return 0;
}

/* What workers counted, as parts of the time that all threads had: at the most 2 a stage. */
static size_t read_times(const struct pm_chain *c, const struct part *p, const uint64_t *times, struct pm_share *s, char (*names)[80])
{
	const size_t each = 2 + 2 * p->stages, all = workers(c);
	uint64_t from = UINT64_MAX, to = 0;
	size_t i, k, n = 0;
	double span;

	for (k = 0; k < all; k++) {
		from = times[k * each] < from ? times[k * each] : from;
		to = times[k * each + 1] > to ? times[k * each + 1] : to;
	}
	span = to > from ? (double)(to - from) * pm_dev_info(c->g->dev)->units : 1;
	for (i = 0; i < p->stages; i++) {
		const struct pm_stage *stage = &c->stage[p->stage + i];
		double in = 0, waited = 0;

		for (k = 0; k < all; k++) {
			in += (double)times[k * each + 2 + 2 * i];
			waited += (double)times[k * each + 3 + 2 * i];
		}
		s[n++] = share_of(stage, in / span);
		if (waited > 0) {
			snprintf(names[i], sizeof names[i], "waiting for %s", stage->name);
			s[n++] = (struct pm_share){names[i], waited / span, 1, 0, 0};
		}
	}
	return n;
}

static int run_timed(struct pm_chain *c, struct part *p, struct pm_err *e)
{
	const size_t bytes = workers(c) * (2 + 2 * p->stages) * sizeof(uint64_t);
	uint64_t *times = pm_alloc(1, bytes, e);
	struct pm_share *s = pm_alloc(2 * p->stages, sizeof *s, e);
	char (*names)[80] = pm_alloc(p->stages, sizeof *names, e);
	int r = -1;

	if (times && s && names && launch(c, p, p->stages, (struct pm_launch){.flops = 0}, e) == 0 && pm_dev_finish(c->g->dev, e) == 0 &&
	    pm_mem_read(c->times, 0, times, bytes, e) == 0)
		r = pm_dev_share(c->kernel, s, read_times(c, p, times, s, names), e);
	free(names);
	free(s);
	free(times);
	return r;
}

int pm_chain_run(struct pm_chain *c, size_t i, size_t *nodes, struct pm_err *e)
{
	struct part *p = NULL;
	size_t k;
	int r;

	for (k = 0; k < c->nparts && !p; k++)
		if (c->part[k].node == i)
			p = &c->part[k];
	*nodes = p ? p->nodes : 0;
	if (!p)
		return 0;
	if (c->times)
		r = run_timed(c, p, e);
	else if (pm_dev_profiled(c->g->dev))
		r = run_apart(c, p, e);
	else
		r = launch(c, p, p->stages, (struct pm_launch){.flops = p->flops, .bytes = p->bytes}, e);
	p->runs++;
	return r;
}
