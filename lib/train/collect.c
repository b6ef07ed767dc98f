#include "train/collect.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 512        /* tokens computed at a time, if no chunk is longer */

struct pm_collector {
	struct pm_imatrix *into;
	struct pm_forward *f;
	struct pm_plan *p;
	struct pm_batch b;
	int64_t chunk, room, used;      /* tokens of a chunk; chunks of a run; chunks that are laid */
	bool head;
	float *sums;                    /* (room, in), of experts (room·E, in), of the largest product */
	int32_t *counts;                /* (E, room) of the most experts */
};

static int check(const struct pm_model *m, struct pm_imatrix *into, int64_t chunk, struct pm_err *e)
{
	if (m->spec->learned_positions && chunk > m->spec->max_positions)
		return pm_fail(e, PM_USAGE, "chunks of %lld tokens: the model learned positions for %lld", (long long)chunk, (long long)m->spec->max_positions);
	if (into->n && into->chunk_size != (uint32_t)chunk)
		return pm_fail(e, PM_DATA, "chunks of %lld tokens were wanted, what is there was made with %lld", (long long)chunk, (long long)into->chunk_size);
	into->chunk_size = (uint32_t)chunk;
	return 0;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

int pm_collector_new(struct pm_collector **out, const struct pm_model *m, struct pm_imatrix *into, int64_t chunk, bool head, struct pm_err *e)
{
	struct pm_collector *c;
	int64_t room = chunk < ROWS ? ROWS / chunk : 1, most = 0, counts = 1;
	struct pm_build_opts o = {.mode = PM_EVAL, .T = room * chunk, .period = chunk, .observe = true};
	size_t i;

	if (check(m, into, chunk, e) < 0)
		return -1;
	c = pm_alloc(1, sizeof *c, e);
	if (!c)
		return -1;
	c->into = into;
	c->chunk = chunk;
	c->room = room;
	c->head = head;
	if (pm_batch_new(&c->b, o.T, e) < 0 || pm_build(&c->f, m, &o, e) < 0 || pm_plan_new(&c->p, c->f->graph, e) < 0)
		goto fail;
	if (pm_plan_alloc(c->p, NULL, e) < 0) {
		pm_ctx(e, "no room for %lld tokens at once (shorter chunks would help)", (long long)o.T);
		goto fail;
	}
	for (i = 0; i < c->f->nobserved; i++) {
		const struct pm_observed *x = &c->f->observed[i];

		most = larger(most, x->squares->rows * x->squares->cols);
		counts = x->count ? larger(counts, x->count->rows * x->count->cols) : counts;
	}
	c->sums = pm_alloc((size_t)most, sizeof *c->sums, e);
	c->counts = c->sums ? pm_alloc((size_t)counts, sizeof *c->counts, e) : NULL;
	if (!c->counts)
		goto fail;
	*out = c;
	return 0;
fail:
	pm_collector_free(c);
	return -1;
}

int pm_collector_put(struct pm_collector *c, const int32_t *ids, struct pm_err *e)
{
	pm_batch_document(&c->b, c->used++ * c->chunk, ids, c->chunk);
	return c->used == c->room ? pm_collector_flush(c, e) : 0;
}

/* The sums of one product, chunk by chunk, to the entry of this name; of a stack expert by expert. */
static int add_to(struct pm_collector *c, const struct pm_observed *o, const char *name, struct pm_err *e)
{
	const int64_t cols = o->squares->cols, experts = o->count ? o->count->rows : 1, periods = o->count ? o->count->cols : 0;
	struct pm_imatrix_entry *t;
	int64_t i, x, k;

	if (pm_imatrix_add(&t, c->into, name, (size_t)cols, (size_t)experts, e) < 0)
		return -1;
	for (i = 0; i < c->used; i++)
		for (x = 0; x < experts; x++) {
			const float *from = c->sums + (i * experts + x) * cols;

			for (k = 0; k < cols; k++) {
				if (!isfinite(from[k]))
					return pm_fail(e, PM_DATA, "the inputs of '%s' are not finite", name);
				t->sum2[x * cols + k] += from[k];
			}
			t->counts[x] += o->count ? (float)c->counts[x * periods + i] : (float)c->chunk;
		}
	return 0;
}

/* Products that share their input share the sums, and were read already. What has gate and up in one is two weights in GGUF files. */
static int add(struct pm_collector *c, const struct pm_observed *o, bool read, struct pm_err *e)
{
	const char *name = o->weight->spec->gguf, *up = o->weight->spec->gguf_up;

	if (!name || (strncmp(name, "blk.", 4) && !c->head))
		return 0;
	if (read && (pm_plan_read(c->p, o->squares, c->sums, e) < 0 || (o->count && pm_plan_read(c->p, o->count, c->counts, e) < 0)))
		return -1;
	return add_to(c, o, name, e) < 0 ? -1 : up ? add_to(c, o, up, e) : 0;
}

int pm_collector_flush(struct pm_collector *c, struct pm_err *e)
{
	const struct pm_observed *o = c->f->observed;
	size_t i;

	if (!c->used)
		return 0;
	if (pm_batch_fill(c->f, c->p, &c->b, e) < 0 || pm_plan_run(c->p, e) < 0)
		return -1;
	for (i = 0; i < c->f->nobserved; i++)
		if (add(c, &o[i], i == 0 || o[i].squares != o[i - 1].squares, e) < 0)
			return -1;
	c->into->chunks += (uint32_t)c->used;
	c->used = 0;
	pm_batch_clear(&c->b);
	return 0;
}

void pm_collector_free(struct pm_collector *c)
{
	if (!c)
		return;
	pm_plan_free(c->p);
	pm_forward_free(c->f);
	pm_batch_free(&c->b);
	free(c->sums);
	free(c->counts);
	free(c);
}
