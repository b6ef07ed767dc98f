/* slots.c: the KV cache and its slots: what they hold, and which of them a sequence gets. */
#include "run/private.h"

#include <stdlib.h>
#include <string.h>

#define WORTH 32                        /* tokens of a common beginning that are worth waiting for another sequence to read them */

/* Bytes of a token's keys, or values, in a layer. */
static size_t row_bytes(const struct pm_engine *g, int64_t layer)
{
	const struct pm_layer_spec *l = &g->m->spec->layer[layer];

	return pm_dtype_bytes(g->kv.type, (uint64_t)(l->kv_heads * l->head_dim));
}

static int make_slots(struct pm_engine *g, struct pm_err *e)
{
	const struct pm_spec *s = g->m->spec;
	int64_t i, dims = 2;
	int k;

	for (k = 0; k < s->nropes; k++)
		dims = s->ropes[k].dims > dims ? s->ropes[k].dims : dims;
	for (k = 0; k < 2; k++)
		if (!(g->inv[k] = pm_alloc((size_t)dims, sizeof *g->inv[k], e)))
			return -1;
	g->slot = pm_alloc((size_t)g->o.slots, sizeof *g->slot, e);
	for (i = 0; g->slot && i < g->o.slots; i++)
		if (!(g->slot[i].held = pm_alloc((size_t)g->o.context, sizeof *g->slot[i].held, e)))
			return -1;
	return g->slot ? 0 : -1;
}

int pm_slots_new(struct pm_engine *g, struct pm_err *e)
{
	const struct pm_spec *s = g->m->spec;
	int64_t rows = g->o.slots * g->o.context, i;

	if (make_slots(g, e) < 0)
		return -1;
	g->kv = (struct pm_kv){.type = g->m->bf16 ? PM_F16 : PM_F32, .slots = g->o.slots, .context = g->o.context};
	g->kv.k = pm_alloc((size_t)s->layers, sizeof *g->kv.k, e);
	g->kv.v = g->kv.k ? pm_alloc((size_t)s->layers, sizeof *g->kv.v, e) : NULL;
	if (!g->kv.v)
		return -1;
	for (i = 0; i < s->layers; i++) {
		size_t bytes = (size_t)rows * row_bytes(g, i);

		/* Zeros: attention reads whole tiles and weighs what is not visible with 0, so it must be a number. */
		if (pm_mem_zeros(&g->kv.k[i], g->m->dev, bytes, e) < 0 || pm_mem_zeros(&g->kv.v[i], g->m->dev, bytes, e) < 0)
			return pm_ctx(e, "no room for the KV cache (a shorter context, -l, or fewer sequences at a time would help)");
	}
	return 0;
}

void pm_slots_free(struct pm_engine *g)
{
	int64_t i;

	for (i = 0; g->kv.v && i < g->m->spec->layers; i++) {
		pm_mem_free(g->kv.k[i]);
		pm_mem_free(g->kv.v[i]);
	}
	for (i = 0; g->slot && i < g->o.slots; i++)
		free(g->slot[i].held);
	free(g->kv.k);
	free(g->kv.v);
	free(g->slot);
	free(g->copy);
	free(g->inv[0]);
	free(g->inv[1]);
}

int pm_slots_stale(struct pm_engine *g, int64_t before, int64_t now, struct pm_err *e)
{
	const struct pm_spec *s = g->m->spec;
	double factor[2];
	int k, i;

	for (k = 0; k < s->nropes; k++) {
		const struct pm_rope_spec *r = &s->ropes[k];

		if (r->type != PM_ROPE_DYNAMIC && r->type != PM_ROPE_LONGROPE)
			continue;
		for (i = 0; i < 2; i++)
			if (pm_rope_frequencies(r, s, i ? now : before, g->inv[i], &factor[i], e) < 0)
				return -1;
		if (memcmp(g->inv[0], g->inv[1], (size_t)(r->dims / 2) * sizeof (double)) || memcmp(&factor[0], &factor[1], sizeof (double)))
			return 1;
	}
	return 0;
}

/* How many tokens of a sequence a slot holds; the last one is always read, for what comes after it. */
static int64_t common(const struct pm_slot *t, const struct pm_sequence *s)
{
	int64_t n = 0;

	while (n < t->nheld && n + 1 < (int64_t)s->n && t->held[n] == s->ids[n])
		n++;
	return n;
}

/* Whether a sequence that is being read begins like s for much longer than `most` tokens. */
static bool soon(const struct pm_engine *g, const struct pm_sequence *s, int64_t most)
{
	const struct pm_sequence *r;
	int64_t i, n;

	for (i = 0; i < g->o.slots; i++) {
		r = g->slot[i].s;
		if (!r || r->drawn)
			continue;
		for (n = 0; n + 1 < (int64_t)s->n && n < (int64_t)r->n && r->ids[n] == s->ids[n]; n++)
			;
		if (n >= most + WORTH && n > r->cached)
			return true;
	}
	return false;
}

/* The first n rows of one slot to another. */
static int copy_rows(struct pm_engine *g, int64_t to, int64_t from, int64_t n, struct pm_err *e)
{
	const int64_t layers = g->m->spec->layers;
	size_t row, most = 0;
	int64_t i;
	int k;

	for (i = 0; i < layers; i++)
		most = row_bytes(g, i) > most ? row_bytes(g, i) : most;
	if (!g->copy && !(g->copy = pm_alloc((size_t)g->o.context, most, e)))
		return -1;
	for (i = 0; i < layers; i++) {
		row = row_bytes(g, i);
		for (k = 0; k < 2; k++) {
			struct pm_mem *m = k ? g->kv.v[i] : g->kv.k[i];

			if (pm_mem_read(m, (size_t)(from * g->o.context) * row, g->copy, (size_t)n * row, e) < 0 ||
			    pm_mem_write(m, (size_t)(to * g->o.context) * row, g->copy, (size_t)n * row, e) < 0)
				return -1;
		}
	}
	memcpy(g->slot[to].held, g->slot[from].held, (size_t)n * sizeof (int32_t));
	g->slot[to].nheld = n;
	return 0;
}

int pm_slots_admit(struct pm_engine *g, struct pm_sequence *s, struct pm_err *e)
{
	int64_t i, n, best = -1, most = -1, other = 0, known = -1;
	int r;

	if (!s->n)
		return pm_fail(e, PM_DATA, "a prompt is empty");
	if ((int64_t)s->n >= g->o.context && s->max_tokens > 0)
		return pm_fail(e, PM_DATA, "a prompt has %zu tokens, the context %lld: no room for an answer", s->n, (long long)g->o.context);
	for (i = 0; i < g->o.slots; i++) {
		n = common(&g->slot[i], s);
		if (n > known) {
			known = n;
			other = i;
		}
		if (!g->slot[i].s && n > most) {
			most = n;
			best = i;
		}
	}
	if (soon(g, s, known))
		return 0;
	r = pm_slots_stale(g, g->slot[other].nheld, (int64_t)s->n, e);
	if (r < 0)
		return -1;
	if (!r && known >= most + WORTH) {
		if (copy_rows(g, best, other, known, e) < 0)
			return -1;
		most = known;
	}
	r = pm_slots_stale(g, g->slot[best].nheld, (int64_t)s->n, e);
	if (r < 0)
		return -1;
	s->slot = best;
	s->cached = r ? 0 : most;
	s->nprompt = s->n;
	s->drawn = 0;
	s->finish = PM_FINISH_NONE;
	g->slot[best].s = s;
	return 1;
}
