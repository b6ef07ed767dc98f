#include "run/engine.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 512
#define BUCKETS 16

/* A graph of T rows with its plan. */
struct shape {
	int64_t T;
	struct pm_forward *f;
	struct pm_plan *p;
};

struct slot {
	struct pm_sequence *s;
	int32_t *held;                  /* tokens whose keys the slot holds */
	int64_t nheld;
};

struct pm_engine {
	const struct pm_model *m;
	const struct pm_adapters *a;
	struct pm_engine_opts o;
	struct pm_kv kv;
	struct slot *slot;
	struct shape prefill[BUCKETS], decode[BUCKETS];
	struct pm_plan *arena;          /* the first plan: the others use its memory when they fit */
	struct pm_batch batch;
	int32_t *select, *ids;
	struct pm_sequence **ready;     /* whose tokens a pass draws */
	struct pm_sample_row *how;
	double *inv[2];                 /* frequencies, for the question whether they changed */
};

/* ---- making it ---- */

static int make_cache(struct pm_engine *g, struct pm_err *e)
{
	const struct pm_spec *s = g->m->spec;
	int64_t rows = g->o.slots * g->o.context, i;

	g->kv = (struct pm_kv){.type = g->m->bf16 ? PM_F16 : PM_F32, .slots = g->o.slots, .context = g->o.context};
	g->kv.k = pm_alloc((size_t)s->layers, sizeof *g->kv.k, e);
	g->kv.v = g->kv.k ? pm_alloc((size_t)s->layers, sizeof *g->kv.v, e) : NULL;
	if (!g->kv.v)
		return -1;
	for (i = 0; i < s->layers; i++) {
		size_t bytes = pm_dtype_bytes(g->kv.type, (uint64_t)(rows * s->layer[i].kv_heads * s->layer[i].head_dim));

		/* Zeros: attention reads whole tiles and weighs what is not visible with 0, so it must be a number. */
		if (pm_mem_zeros(&g->kv.k[i], g->m->dev, bytes, e) < 0 || pm_mem_zeros(&g->kv.v[i], g->m->dev, bytes, e) < 0)
			return pm_ctx(e, "no room for the KV cache (a shorter context, -l, or fewer sequences at a time would help)");
	}
	return 0;
}

int pm_engine_new(struct pm_engine **out, const struct pm_model *m, const struct pm_adapters *a, const struct pm_engine_opts *o, struct pm_err *e)
{
	struct pm_engine *g = pm_alloc(1, sizeof *g, e);
	int64_t i, rows, dims = 2;
	int k;

	*out = NULL;
	if (!g)
		return -1;
	g->m = m;
	g->a = a;
	g->o = *o;
	if (m->spec->learned_positions && g->o.context > m->spec->max_positions)
		g->o.context = m->spec->max_positions;
	g->o.chunk = o->chunk ? o->chunk : CHUNK;
	rows = g->o.chunk > g->o.slots ? g->o.chunk : g->o.slots;
	for (k = 0; k < m->spec->nropes; k++)
		dims = m->spec->ropes[k].dims > dims ? m->spec->ropes[k].dims : dims;
	g->inv[0] = pm_alloc((size_t)dims, sizeof *g->inv[0], e);
	g->inv[1] = pm_alloc((size_t)dims, sizeof *g->inv[1], e);
	g->slot = pm_alloc((size_t)o->slots, sizeof *g->slot, e);
	g->select = pm_alloc((size_t)o->slots, sizeof *g->select, e);
	g->ids = pm_alloc((size_t)o->slots, sizeof *g->ids, e);
	g->how = pm_alloc((size_t)o->slots, sizeof *g->how, e);
	g->ready = pm_alloc((size_t)o->slots, sizeof *g->ready, e);
	if (!g->inv[0] || !g->inv[1] || !g->slot || !g->select || !g->ids || !g->how || !g->ready || pm_batch_new(&g->batch, rows, e) < 0)
		goto fail;
	for (i = 0; i < o->slots; i++)
		if (!(g->slot[i].held = pm_alloc((size_t)g->o.context, sizeof (int32_t), e)))
			goto fail;
	if (make_cache(g, e) < 0)
		goto fail;
	*out = g;
	return 0;
fail:
	pm_engine_free(g);
	return -1;
}

int64_t pm_engine_context(const struct pm_engine *g)
{
	return g->o.context;
}

void pm_engine_free(struct pm_engine *g)
{
	int64_t i;
	int k;

	if (!g)
		return;
	for (k = BUCKETS - 1; k >= 0; k--) {
		pm_plan_free(g->prefill[k].p);
		pm_plan_free(g->decode[k].p);
		pm_forward_free(g->prefill[k].f);
		pm_forward_free(g->decode[k].f);
	}
	for (i = 0; g->kv.v && i < g->m->spec->layers; i++) {
		pm_mem_free(g->kv.k[i]);
		pm_mem_free(g->kv.v[i]);
	}
	for (i = 0; g->slot && i < g->o.slots; i++)
		free(g->slot[i].held);
	free(g->kv.k);
	free(g->kv.v);
	free(g->slot);
	free(g->select);
	free(g->ids);
	free(g->how);
	free(g->ready);
	free(g->inv[0]);
	free(g->inv[1]);
	pm_batch_free(&g->batch);
	free(g);
}

/* The plan for n rows: of the smallest size that holds them, made when it is first wanted. */
static int shape_for(struct pm_engine *g, bool decode, int64_t n, struct shape **out, struct pm_err *e)
{
	struct shape *list = decode ? g->decode : g->prefill, *s;
	int64_t T = decode ? 1 : 32, top = decode ? g->o.slots : g->o.chunk;
	struct pm_build_opts b = {.mode = decode ? PM_DECODE : PM_PREFILL, .adapters = g->a, .kv = &g->kv, .logits = true,
		.select = decode ? 0 : g->o.slots};
	int k = 0;

	while (T < n && T < top) {
		T *= decode ? 2 : 4;
		k++;
	}
	s = &list[k];
	*out = s;
	if (s->p)
		return 0;
	s->T = T < top || decode ? T : top;
	b.T = s->T;
	if (pm_build(&s->f, g->m, &b, e) < 0 || pm_plan_new(&s->p, s->f->graph, e) < 0)
		return -1;
	if (pm_plan_alloc(s->p, g->arena, e) < 0)
		return -1;
	if (!g->arena)
		g->arena = s->p;
	return 0;
}

/* ---- one pass over some rows ---- */

static void lay_token(struct pm_engine *g, int64_t row, const struct pm_sequence *s, int64_t i)
{
	int32_t first = (int32_t)(s->slot * g->o.context);

	g->batch.ids[row] = s->ids[i];
	g->batch.pos[row] = (int32_t)i;
	g->batch.first[row] = first;
	g->batch.last[row] = first + (int32_t)i + 1;
	g->batch.length[row] = (int32_t)s->n;
	g->batch.cache_row[row] = first + (int32_t)i;
}

/* Runs a plan over the rows laid and draws a token for the first `nselect` selected rows. */
static int pass(struct pm_engine *g, struct shape *s, int64_t nselect, struct pm_err *e)
{
	struct pm_batch b = g->batch;

	b.T = s->T;
	if (pm_batch_fill(s->f, s->p, &b, e) < 0)
		return -1;
	if (s->f->select && pm_plan_write(s->p, s->f->select, g->select, e) < 0)
		return -1;
	if (pm_plan_run(s->p, e) < 0)
		return -1;
	if (!nselect)
		return pm_dev_finish(g->m->dev, e);
	return pm_sample(g->m->dev, s->f->logits->mem, nselect, g->m->spec->vocab, g->how, g->ids, e);
}

static void ask(struct pm_engine *g, int64_t k, const struct pm_sequence *s)
{
	g->how[k] = s->how;
	g->how[k].index = s->drawn;
	g->how[k].seen = s->ids;
	g->how[k].nseen = s->n;
}

static void mark_held(struct pm_engine *g, struct pm_sequence *s, int64_t to)
{
	struct slot *t = &g->slot[s->slot];

	memcpy(t->held + s->cached, s->ids + s->cached, (size_t)(to - s->cached) * sizeof *t->held);
	s->cached = to;
	t->nheld = to;
}

/* ---- the run ---- */

struct running {
	const struct pm_engine_calls *c;
	struct pm_engine_stats *st;
	double start;
	bool dry;                       /* no sequences are left */
};

/* Whether the keys of a sequence that grew from `before` to `now` tokens must be made again: its frequencies changed. */
static int stale(struct pm_engine *g, int64_t before, int64_t now, struct pm_err *e)
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

/* Puts a sequence into the free slot that holds most of its beginning already. */
static int admit(struct pm_engine *g, struct pm_sequence *s, struct pm_err *e)
{
	int64_t i, n, best = -1, most = -1;
	int r;

	if (!s->n)
		return pm_fail(e, PM_DATA, "a prompt is empty");
	if ((int64_t)s->n >= g->o.context && s->max_tokens > 0)
		return pm_fail(e, PM_DATA, "a prompt has %zu tokens, the context %lld: no room for an answer", s->n, (long long)g->o.context);
	for (i = 0; i < g->o.slots; i++) {
		if (g->slot[i].s)
			continue;
		for (n = 0; n < g->slot[i].nheld && n + 1 < (int64_t)s->n && g->slot[i].held[n] == s->ids[n]; n++)
			;
		if (n > most) {
			most = n;
			best = i;
		}
	}
	r = stale(g, g->slot[best].nheld, (int64_t)s->n, e);
	if (r < 0)
		return -1;
	s->slot = best;
	s->cached = r ? 0 : most;
	s->nprompt = s->n;
	s->drawn = 0;
	s->finish = PM_FINISH_NONE;
	g->slot[best].s = s;
	return 0;
}

static int fill_slots(struct pm_engine *g, struct running *run, struct pm_err *e)
{
	struct pm_sequence *s;
	int64_t i;

	for (i = 0; i < g->o.slots && !run->dry; i++) {
		if (g->slot[i].s)
			continue;
		e->text[0] = 0;
		e->status = PM_DONE;
		s = run->c->next(run->c->arg, e);
		if (!s) {
			run->dry = true;
			return e->status != PM_DONE ? -1 : 0;
		}
		if (admit(g, s, e) < 0)
			return -1;
	}
	return 0;
}

static int end_sequence(struct pm_engine *g, struct running *run, struct pm_sequence *s, int how, struct pm_err *e)
{
	s->finish = how ? PM_FINISH_STOP : PM_FINISH_LENGTH;
	g->slot[s->slot].s = NULL;
	return run->c->ended(run->c->arg, s, e);
}

/* What becomes of a token drawn for a sequence. */
static int take(struct pm_engine *g, struct running *run, struct pm_sequence *s, int32_t id, struct pm_err *e)
{
	size_t i;
	int r;

	if (!run->st->decode_tokens++)
		run->st->first_seconds = run->c->clock() - run->start;
	for (i = 0; i < s->nstop; i++)
		if (s->stop[i] == id)
			return end_sequence(g, run, s, 1, e);
	if (pm_grow(&s->ids, &s->cap, s->n + 1, sizeof *s->ids, e) < 0)
		return -1;
	s->ids[s->n++] = id;
	s->drawn++;
	r = run->c->drawn(run->c->arg, s, id, e);
	if (r < 0)
		return -1;
	if (r > 0)
		return end_sequence(g, run, s, 1, e);
	if ((int64_t)s->drawn >= s->max_tokens || (int64_t)s->n >= g->o.context)
		return end_sequence(g, run, s, 0, e);
	if (stale(g, (int64_t)s->n - 1, (int64_t)s->n, e))
		s->cached = 0;
	return 0;
}

static bool is_decoding(const struct pm_sequence *s)
{
	return s->drawn && (int64_t)s->n - s->cached == 1;
}

/* Reads a chunk of what prompts are not yet read. Returns 1 if there was anything to read. */
static int prefill(struct pm_engine *g, struct running *run, struct pm_err *e)
{
	struct pm_sequence **ready = g->ready, *s;
	int64_t i, row = 0, nready = 0, take_n, k, total = 0;
	struct shape *shape;
	double t0 = run->c->clock();

	for (i = 0; i < g->o.slots; i++)
		if ((s = g->slot[i].s) && !is_decoding(s))
			total += (int64_t)s->n - s->cached;
	if (!total)
		return 0;
	if (shape_for(g, false, total, &shape, e) < 0)
		return -1;
	pm_batch_clear(&g->batch);
	memset(g->select, 0, (size_t)g->o.slots * sizeof *g->select);
	for (i = 0; i < g->o.slots && row < shape->T; i++) {
		s = g->slot[i].s;
		if (!s || is_decoding(s))
			continue;
		take_n = (int64_t)s->n - s->cached < shape->T - row ? (int64_t)s->n - s->cached : shape->T - row;
		for (k = 0; k < take_n; k++)
			lay_token(g, row + k, s, s->cached + k);
		row += take_n;
		mark_held(g, s, s->cached + take_n);
		if (s->cached == (int64_t)s->n) {
			g->select[nready] = (int32_t)row - 1;
			ask(g, nready, s);
			ready[nready++] = s;
		}
	}
	if (pass(g, shape, nready, e) < 0)
		return -1;
	run->st->prompt_tokens += row;
	run->st->prefill_seconds += run->c->clock() - t0;
	for (k = 0; k < nready; k++)
		if (take(g, run, ready[k], g->ids[k], e) < 0)
			return -1;
	return 1;
}

/* One token for every sequence that has read its prompt. */
static int decode(struct pm_engine *g, struct running *run, struct pm_err *e)
{
	struct pm_sequence **ready = g->ready, *s;
	int64_t i, n = 0;
	struct shape *shape;
	double t0 = run->c->clock();

	for (i = 0; i < g->o.slots; i++)
		if ((s = g->slot[i].s) && is_decoding(s))
			ready[n++] = s;
	if (!n)
		return 0;
	if (shape_for(g, true, n, &shape, e) < 0)
		return -1;
	pm_batch_clear(&g->batch);
	for (i = 0; i < n; i++) {
		lay_token(g, i, ready[i], ready[i]->cached);
		mark_held(g, ready[i], ready[i]->cached + 1);
		ask(g, i, ready[i]);
	}
	if (pass(g, shape, n, e) < 0)
		return -1;
	run->st->decode_seconds += run->c->clock() - t0;
	run->st->decode_steps += n;
	for (i = 0; i < n; i++)
		if (take(g, run, ready[i], g->ids[i], e) < 0)
			return -1;
	return 1;
}

int pm_engine_run(struct pm_engine *g, const struct pm_engine_calls *c, struct pm_engine_stats *stats, struct pm_err *e)
{
	struct running run = {.c = c, .st = stats, .start = c->clock()};
	int64_t i;
	int r = 1;

	memset(stats, 0, sizeof *stats);
	for (i = 0; i < g->o.slots; i++)
		g->slot[i].s = NULL;
	while (r > 0 && !(c->stop && c->stop())) {
		if (fill_slots(g, &run, e) < 0)
			return -1;
		r = prefill(g, &run, e);
		if (r == 0)
			r = decode(g, &run, e);
	}
	return r < 0 ? -1 : 0;
}
