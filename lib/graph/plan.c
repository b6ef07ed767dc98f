/* plan.c: where every tensor lies, and running the nodes.
 *
 * What is placed: temps, from the node that writes them first to the node that reads them last, and the scratch memory of each node,
 * while it runs. Items are placed from the largest to the smallest, each into the tightest gap that no item alive at the same
 * time reaches into. The arena is one buffer, or several where the device limits the size of one. */
#include <stdlib.h>
#include <string.h>

#include "graph/chain.h"
#include "graph/graph.h"

struct item {
	struct pm_tensor *tensor;               /* or the scratch of a node */
	struct pm_node *node;
	uint64_t size, off;
	int64_t first, last;                    /* nodes */
	size_t chunk;
	struct pm_mem *part;
};

/* A buffer of the arena, which plans may share. */
struct chunk {
	struct pm_mem *mem;
	uint64_t size;
	int users;
};

/* What is placed in a buffer so far, by offset. */
struct shelf {
	struct item **item;
	size_t n, cap;
	uint64_t size;
};

struct pm_plan {
	struct pm_graph *g;
	struct item *item;
	size_t nitems;
	struct shelf *shelf;
	struct chunk **chunk;
	size_t nshelves, cap_shelves, nchunks;
	struct pm_mem **input;
	size_t ninputs;
	struct pm_plan_sizes sizes;
	bool ready;
	struct pm_chain *chain;                 /* made with the first run; NULL: none */
	bool chained;
	uint64_t mark;                          /* the last run */
};

static struct pm_tensor *root_of(struct pm_tensor *t)
{
	return t->base ? t->base : t;
}

/* Bytes from the start of its memory to the end of a tensor. */
static uint64_t extent(const struct pm_tensor *t)
{
	return pm_dtype_bytes(t->type, (uint64_t)(t->off + (t->rows - 1) * t->ld + t->cols));
}

static uint64_t alignment(const struct pm_graph *g)
{
	uint64_t a = g->dev ? pm_dev_info(g->dev)->align : 0;

	return a > 128 ? a : 128;
}

/* ---- lifetimes ---- */

static int lifetimes(struct pm_graph *g, struct pm_err *e)
{
	size_t i;
	int j;

	for (i = 0; i < g->ntensors; i++)
		g->tensors[i]->first = g->tensors[i]->last = g->tensors[i]->slot = -1;
	for (i = 0; i < g->nnodes; i++) {
		const struct pm_node *n = g->nodes[i];

		for (j = 0; j < n->nin; j++) {
			struct pm_tensor *t = n->in[j] ? root_of(n->in[j]) : NULL;

			if (!t)
				continue;
			if (t->kind == PM_T_TEMP && t->first < 0)
				return pm_fail(e, PM_SOFTWARE, "%s reads '%s', which nothing has written", n->op->name, t->name);
			t->last = (int64_t)i;
			t->slot = 0;
		}
		for (j = 0; j < n->nout; j++) {
			struct pm_tensor *t = n->out[j] ? root_of(n->out[j]) : NULL;

			if (!t)
				continue;
			if (t->kind == PM_T_INPUT || t->kind == PM_T_WEIGHT)
				return pm_fail(e, PM_SOFTWARE, "%s writes '%s', which is no memory of a graph's own", n->op->name, t->name);
			if (t->kind == PM_T_TEMP && t->first < 0 && n->acc[j])
				return pm_fail(e, PM_SOFTWARE, "%s adds to '%s', which nothing has written", n->op->name, t->name);
			if (t->first < 0)
				t->first = (int64_t)i;
			t->last = (int64_t)i;
			t->slot = 0;
		}
	}
	for (i = 0; i < g->ntensors; i++)
		if (g->tensors[i]->keep && root_of(g->tensors[i])->first >= 0)
			root_of(g->tensors[i])->last = (int64_t)g->nnodes;
	return 0;
}

static int add_items(struct pm_plan *p, struct pm_err *e)
{
	struct pm_graph *g = p->g;
	uint64_t align = alignment(g), scratch;
	struct item *it;
	size_t i;

	p->item = pm_alloc(g->ntensors + g->nnodes, sizeof *p->item, e);
	if (!p->item)
		return -1;
	for (i = 0; i < g->ntensors; i++) {
		struct pm_tensor *t = g->tensors[i];

		if (t->kind != PM_T_TEMP || t->base || t->first < 0)
			continue;
		it = &p->item[p->nitems++];
		*it = (struct item){.tensor = t, .size = extent(t), .first = t->first, .last = t->last};
	}
	for (i = 0; i < g->nnodes; i++) {
		scratch = g->nodes[i]->op->scratch ? g->nodes[i]->op->scratch(g->nodes[i]) : 0;
		if (!scratch)
			continue;
		it = &p->item[p->nitems++];
		*it = (struct item){.node = g->nodes[i], .size = scratch, .first = (int64_t)i, .last = (int64_t)i};
		if (scratch > p->sizes.scratch)
			p->sizes.scratch = scratch;
	}
	for (i = 0; i < p->nitems; i++) {
		if (p->item[i].size > INT64_MAX / 2)
			return pm_fail(e, PM_NODEVICE, "'%s' would have more bytes than can be counted",
				p->item[i].tensor ? p->item[i].tensor->name : p->item[i].node->op->name);
		p->item[i].size = (p->item[i].size + align - 1) / align * align;
		p->sizes.temp_sum += p->item[i].size;
	}
	return 0;
}

/* ---- placement ---- */

static int larger_first(const void *a, const void *b)
{
	const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;

	if (x->size != y->size)
		return x->size < y->size ? 1 : -1;
	if (x->first != y->first)
		return x->first > y->first ? 1 : -1;
	return x > y ? 1 : x < y ? -1 : 0;
}

/* The tightest gap for it on a shelf of at most `limit` bytes. */
static bool find_gap(const struct shelf *s, const struct item *it, uint64_t limit, uint64_t *off)
{
	uint64_t end = 0, best = UINT64_MAX;
	size_t i;

	for (i = 0; i < s->n; i++) {
		const struct item *o = s->item[i];

		if (o->last < it->first || o->first > it->last)
			continue;
		if (o->off >= end + it->size && o->off - end < best) {
			best = o->off - end;
			*off = end;
		}
		if (o->off + o->size > end)
			end = o->off + o->size;
	}
	if (best != UINT64_MAX)
		return true;
	*off = end;
	return s->n == 0 || end + it->size <= limit;
}

static int shelve(struct pm_plan *p, struct item *it, uint64_t limit, struct pm_err *e)
{
	struct shelf *s;
	size_t i, at;

	for (i = 0; i < p->nshelves; i++)
		if (find_gap(&p->shelf[i], it, limit, &it->off))
			break;
	if (i == p->nshelves) {
		if (pm_grow(&p->shelf, &p->cap_shelves, p->nshelves + 1, sizeof *p->shelf, e) < 0)
			return -1;
		p->shelf[p->nshelves++] = (struct shelf){0};
		it->off = 0;
	}
	s = &p->shelf[i];
	it->chunk = i;
	if (pm_grow(&s->item, &s->cap, s->n + 1, sizeof *s->item, e) < 0)
		return -1;
	for (at = s->n; at > 0 && s->item[at - 1]->off > it->off; at--)
		s->item[at] = s->item[at - 1];
	s->item[at] = it;
	s->n++;
	if (it->off + it->size > s->size)
		s->size = it->off + it->size;
	return 0;
}

static int place(struct pm_plan *p, struct pm_err *e)
{
	uint64_t limit = p->g->dev ? pm_dev_info(p->g->dev)->largest : UINT64_MAX;
	struct item **order = pm_alloc(p->nitems, sizeof *order, e);
	size_t i;
	int r = 0;

	if (!order)
		return -1;
	for (i = 0; i < p->nitems; i++)
		order[i] = &p->item[i];
	qsort(order, p->nitems, sizeof *order, larger_first);
	for (i = 0; r == 0 && i < p->nitems; i++)
		r = shelve(p, order[i], limit, e);
	free(order);
	for (i = 0; i < p->nshelves; i++) {
		p->sizes.temp += p->shelf[i].size;
		free(p->shelf[i].item);
		p->shelf[i].item = NULL;
	}
	return r;
}

/* ---- sizes ---- */

static int by_memory(const void *a, const void *b)
{
	const struct pm_tensor *x = *(struct pm_tensor *const *)a, *y = *(struct pm_tensor *const *)b;

	if (x->mem != y->mem)
		return (uintptr_t)x->mem < (uintptr_t)y->mem ? -1 : 1;
	if (x->off != y->off)
		return x->off < y->off ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* Memory from outside counts once, however many tensors name it. */
static int count_outside(struct pm_plan *p, struct pm_err *e)
{
	struct pm_graph *g = p->g;
	struct pm_tensor **list = pm_alloc(g->ntensors, sizeof *list, e);
	size_t i, n = 0;

	if (!list)
		return -1;
	for (i = 0; i < g->ntensors; i++) {
		struct pm_tensor *t = g->tensors[i];

		if (t->base || (t->slot < 0 && t->kind != PM_T_INPUT))
			continue;
		if (t->kind == PM_T_INPUT) {
			p->sizes.input += extent(t);
			p->ninputs++;
		}
		if (t->kind == PM_T_WEIGHT || t->kind == PM_T_STATE)
			list[n++] = t;
	}
	qsort(list, n, sizeof *list, by_memory);
	for (i = 0; i < n; i++)
		if (i == 0 || !list[i]->mem || list[i]->mem != list[i - 1]->mem || list[i]->off != list[i - 1]->off)
			*(list[i]->kind == PM_T_WEIGHT ? &p->sizes.weights : &p->sizes.state) +=
				pm_dtype_bytes(list[i]->type, (uint64_t)(list[i]->rows * list[i]->cols));
	free(list);
	return 0;
}

int pm_plan_new(struct pm_plan **out, struct pm_graph *g, struct pm_err *e)
{
	struct pm_plan *p;

	*out = NULL;
	if (pm_graph_ok(g, e) < 0)
		return -1;
	p = pm_alloc(1, sizeof *p, e);
	if (!p)
		return -1;
	p->g = g;
	if (lifetimes(g, e) < 0 || add_items(p, e) < 0 || place(p, e) < 0 || count_outside(p, e) < 0) {
		pm_plan_free(p);
		return -1;
	}
	*out = p;
	return 0;
}

void pm_plan_sizes(const struct pm_plan *p, struct pm_plan_sizes *s)
{
	*s = p->sizes;
}

/* ---- memory ---- */

static double mb(uint64_t bytes)
{
	return (double)bytes / 1e6;
}

/* A buffer of the shared arena that this plan's shelf fits into and has not taken yet, or NULL. */
static struct chunk *borrow(const struct pm_plan *p, const struct pm_plan *share, uint64_t size)
{
	size_t i, j;

	for (i = 0; share && i < share->nchunks; i++) {
		for (j = 0; j < p->nchunks && p->chunk[j] != share->chunk[i];)
			j++;
		if (j == p->nchunks && share->chunk[i]->size >= size)
			return share->chunk[i];
	}
	return NULL;
}

static int no_room(struct pm_plan *p, uint64_t want, struct pm_err *e)
{
	const struct pm_dev_info *info = pm_dev_info(p->g->dev);
	uint64_t held = pm_dev_held(p->g->dev);

	return pm_fail(e, PM_NODEVICE, "device memory: %.1f MB wanted for activations (%.1f MB), inputs (%.1f MB), %.1f MB of %.1f MB available",
		mb(want), mb(p->sizes.temp), mb(p->sizes.input), mb(info->memory > held ? info->memory - held : 0), mb(info->memory));
}

static int take_chunks(struct pm_plan *p, struct pm_plan *share, struct pm_err *e)
{
	const struct pm_dev_info *info = pm_dev_info(p->g->dev);
	uint64_t held = pm_dev_held(p->g->dev), want = p->sizes.input;
	size_t i;

	p->chunk = pm_alloc(p->nshelves, sizeof *p->chunk, e);
	if (!p->chunk)
		return -1;
	for (i = 0; i < p->nshelves; i++) {
		struct chunk *c = borrow(p, share, p->shelf[i].size);

		if (p->shelf[i].size > info->largest)
			return pm_fail(e, PM_NODEVICE, "device memory: one buffer of %.1f MB wanted, the largest possible has %.1f MB",
				mb(p->shelf[i].size), mb(info->largest));
		if (!c) {
			c = pm_alloc(1, sizeof *c, e);
			if (!c)
				return -1;
			c->size = p->shelf[i].size;
			want += c->size;
		}
		c->users++;
		p->chunk[p->nchunks++] = c;
	}
	if (want > (info->memory > held ? info->memory - held : 0))
		return no_room(p, want, e);
	for (i = 0; i < p->nchunks; i++) {
		struct pm_err why;

		if (!p->chunk[i]->mem && pm_mem_new(&p->chunk[i]->mem, p->g->dev, (size_t)p->chunk[i]->size, &why) < 0)
			return no_room(p, want, e);
	}
	return 0;
}

/* Whether memory from outside is there, and large enough; that of each part of a stack, too. */
static int fits(const struct pm_tensor *t, struct pm_err *e)
{
	const uint64_t bytes = t->part ? pm_dtype_bytes(t->type, (uint64_t)(t->rows / t->parts * t->cols)) : extent(t);
	int64_t i;

	for (i = 0; i < (t->part ? t->parts : 1); i++) {
		const struct pm_mem *m = t->part ? t->part[i] : t->mem;

		if (!m)
			return pm_fail(e, PM_SOFTWARE, "tensor '%s' has no memory", t->name);
		if (bytes > pm_mem_size(m))
			return pm_fail(e, PM_SOFTWARE, "tensor '%s': %llu bytes wanted, its memory has %llu", t->name,
				(unsigned long long)bytes, (unsigned long long)pm_mem_size(m));
	}
	return 0;
}

static int hand_out(struct pm_plan *p, struct pm_err *e)
{
	struct pm_graph *g = p->g;
	size_t i, n = 0;

	for (i = 0; i < p->nitems; i++) {
		struct item *it = &p->item[i];

		if (pm_mem_part(&it->part, p->chunk[it->chunk]->mem, (size_t)it->off, (size_t)it->size, e) < 0)
			return -1;
		if (it->tensor)
			it->tensor->mem = it->part;
		else
			it->node->scratch = it->part;
	}
	p->input = pm_alloc(p->ninputs, sizeof *p->input, e);
	if (!p->input)
		return -1;
	for (i = 0; i < g->ntensors; i++) {
		struct pm_tensor *t = g->tensors[i];

		if (t->base || (t->slot < 0 && t->kind != PM_T_INPUT))
			continue;
		if (t->kind == PM_T_INPUT) {
			if (pm_mem_new(&p->input[n], g->dev, (size_t)extent(t), e) < 0)
				return no_room(p, p->sizes.input, e);
			t->mem = p->input[n++];
		}
		if (fits(t, e) < 0)
			return -1;
	}
	for (i = 0; i < g->ntensors; i++)
		if (g->tensors[i]->base)
			g->tensors[i]->mem = g->tensors[i]->base->mem;
	return 0;
}

static void let_go(struct pm_plan *p)
{
	size_t i;

	pm_chain_free(p->chain);
	p->chain = NULL;
	p->chained = false;
	for (i = 0; i < p->nitems; i++) {
		pm_mem_free(p->item[i].part);
		p->item[i].part = NULL;
	}
	for (i = 0; i < p->nchunks; i++)
		if (--p->chunk[i]->users == 0) {
			pm_mem_free(p->chunk[i]->mem);
			free(p->chunk[i]);
		}
	free(p->chunk);
	p->chunk = NULL;
	p->nchunks = 0;
	for (i = 0; p->input && i < p->ninputs; i++)
		pm_mem_free(p->input[i]);
	free(p->input);
	p->input = NULL;
	p->ready = false;
}

int pm_plan_alloc(struct pm_plan *p, struct pm_plan *share, struct pm_err *e)
{
	if (p->ready)
		return 0;
	if (take_chunks(p, share, e) < 0 || hand_out(p, e) < 0) {
		let_go(p);
		return -1;
	}
	p->ready = true;
	return 0;
}

void pm_plan_free(struct pm_plan *p)
{
	size_t i;

	if (!p)
		return;
	let_go(p);
	for (i = 0; i < p->nshelves; i++)
		free(p->shelf[i].item);
	free(p->shelf);
	free(p->item);
	free(p);
}

/* ---- use ---- */

static int ready(const struct pm_plan *p, const struct pm_tensor *t, struct pm_err *e)
{
	if (!p->ready || (t && !t->mem))
		return pm_fail(e, PM_SOFTWARE, "tensor '%s' has no memory yet", t ? t->name : "");
	return 0;
}

int pm_plan_write(struct pm_plan *p, struct pm_tensor *t, const void *data, struct pm_err *e)
{
	size_t row = pm_dtype_bytes(t->type, (uint64_t)t->cols), at = pm_dtype_bytes(t->type, (uint64_t)t->off);
	int64_t r;

	if (ready(p, t, e) < 0)
		return -1;
	if (t->kind == PM_T_INPUT && !t->base && pm_is_dense(t) && pm_dev_done(p->g->dev, p->mark))
		return pm_mem_write_idle(t->mem, at, data, (size_t)t->rows * row, e);
	if (pm_is_dense(t))
		return pm_mem_write(t->mem, at, data, (size_t)t->rows * row, e);
	for (r = 0; r < t->rows; r++)
		if (pm_mem_write(t->mem, at + (size_t)r * pm_dtype_bytes(t->type, (uint64_t)t->ld), (const char *)data + (size_t)r * row, row, e) < 0)
			return -1;
	return 0;
}

int pm_plan_read(struct pm_plan *p, struct pm_tensor *t, void *data, struct pm_err *e)
{
	size_t row = pm_dtype_bytes(t->type, (uint64_t)t->cols), at = pm_dtype_bytes(t->type, (uint64_t)t->off);
	int64_t r;

	if (ready(p, t, e) < 0)
		return -1;
	if (pm_is_dense(t))
		return pm_mem_read(t->mem, at, data, (size_t)t->rows * row, e);
	for (r = 0; r < t->rows; r++)
		if (pm_mem_read(t->mem, at + (size_t)r * pm_dtype_bytes(t->type, (uint64_t)t->ld), (char *)data + (size_t)r * row, row, e) < 0)
			return -1;
	return 0;
}

int pm_plan_fill(struct pm_plan *p, unsigned char byte, struct pm_err *e)
{
	size_t i, at, n, most = 1 << 20;
	unsigned char *block = pm_alloc(1, most, e);
	int r = block ? ready(p, NULL, e) : -1;

	if (r == 0)
		memset(block, byte, most);
	for (i = 0; r == 0 && i < p->nchunks; i++)
		for (at = 0; r == 0 && at < p->chunk[i]->size; at += n) {
			n = p->chunk[i]->size - at < most ? (size_t)p->chunk[i]->size - at : most;
			r = pm_mem_write(p->chunk[i]->mem, at, block, n, e);
		}
	free(block);
	return r;
}

int pm_plan_run(struct pm_plan *p, struct pm_err *e)
{
	size_t i, done;

	if (ready(p, NULL, e) < 0)
		return -1;
	if (p->g->chain && !p->chained && pm_chain_new(&p->chain, p->g, e) < 0)
		return -1;
	p->chained = true;
	for (i = 0; i < p->g->nnodes; i += done) {
		const struct pm_node *n = p->g->nodes[i];

		done = 0;
		if (p->chain && pm_chain_run(p->chain, i, &done, e) < 0)
			return -1;
		if (done)
			continue;
		done = 1;
		if (n->op->run(n, e) < 0)
			return pm_ctx(e, "%s '%s'", n->op->name, n->nout && n->out[0] ? n->out[0]->name : "");
	}
	p->mark = pm_dev_mark(p->g->dev);
	return pm_dev_flush(p->g->dev, e);
}
