#include "run/private.h"

#include <stdlib.h>
#include <string.h>

#define CHUNK 512
#define THIN 16                         /* rows that decoding computes for about the price of one */
#define LOOSE 8                         /* tokens of a prompt that are read like answers, where that is allowed */

/* ---- making it ---- */

int pm_engine_new(struct pm_engine **out, struct pm_model *m, const struct pm_adapters *a, const struct pm_engine_opts *o, struct pm_err *e)
{
	struct pm_engine *g = pm_alloc(1, sizeof *g, e);
	int64_t rows;

	*out = NULL;
	if (!g)
		return -1;
	g->m = m;
	g->a = a;
	g->o = *o;
	if (m->spec->learned_positions && g->o.context > m->spec->max_positions)
		g->o.context = m->spec->max_positions;
	g->o.chunk = o->chunk ? o->chunk : CHUNK;
	g->rows = o->slots * (o->loose ? LOOSE : o->guess ? 1 + o->guesses : 1);
	if (!o->loose && g->rows > THIN)
		g->rows = o->slots > THIN ? o->slots : THIN;
	for (g->most = 1; g->most < g->rows; g->most *= 2)
		;
	rows = g->o.chunk > g->most ? g->o.chunk : g->most;
	g->select = pm_alloc((size_t)o->slots, sizeof *g->select, e);
	g->ids = pm_alloc((size_t)g->most, sizeof *g->ids, e);
	g->how = pm_alloc((size_t)g->most, sizeof *g->how, e);
	g->guess = pm_alloc((size_t)(g->o.slots * g->o.guesses), sizeof *g->guess, e);
	g->nguess = pm_alloc((size_t)o->slots, sizeof *g->nguess, e);
	g->row = pm_alloc((size_t)o->slots, sizeof *g->row, e);
	g->ready = pm_alloc((size_t)o->slots, sizeof *g->ready, e);
	g->settings = pm_alloc((size_t)g->most, PM_SAMPLE_WORDS * sizeof *g->settings, e);
	g->flight[0].s = pm_alloc((size_t)o->slots, sizeof *g->flight[0].s, e);
	g->flight[1].s = pm_alloc((size_t)o->slots, sizeof *g->flight[1].s, e);
	if (pm_model_weave(m, false, e) < 0 || !g->settings || !g->flight[0].s || !g->flight[1].s || pm_mem_zeros(&g->drawn[0], m->dev, (size_t)g->most * 4, e) < 0 ||
	    pm_mem_zeros(&g->drawn[1], m->dev, (size_t)g->most * 4, e) < 0 || !g->select || !g->ids || !g->how || !g->ready || !g->guess || !g->nguess || !g->row || pm_batch_new(&g->batch, rows, e) < 0 ||
	    pm_slots_new(g, e) < 0) {
		pm_engine_free(g);
		return -1;
	}
	*out = g;
	return 0;
}

int64_t pm_engine_context(const struct pm_engine *g)
{
	return g->o.context;
}

static void free_shape(struct pm_shape *s)
{
	pm_plan_free(s->p);
	pm_forward_free(s->f);
}

void pm_engine_free(struct pm_engine *g)
{
	struct pm_err ignored;
	int k;

	if (!g)
		return;
	pm_dev_finish(g->m->dev, &ignored);     /* a pass that nobody waited for uses what is freed here */
	for (k = PM_RUN_BUCKETS - 1; k >= 0; k--) {
		free_shape(&g->decode[1][k]);
		free_shape(&g->prefill[k]);
		free_shape(&g->decode[0][k]);
	}
	pm_mem_free(g->drawn[0]);
	pm_mem_free(g->drawn[1]);
	pm_slots_free(g);
	free(g->select);
	free(g->settings);
	free(g->flight[0].s);
	free(g->flight[1].s);
	free(g->ids);
	free(g->how);
	free(g->ready);
	free(g->guess);
	free(g->nguess);
	free(g->row);
	pm_batch_free(&g->batch);
	free(g);
}

/* The plan for n rows: of the smallest size that holds them, made when it is first wanted. which: of decoding's two, or -1: to read prompts. */
static int shape_for(struct pm_engine *g, int which, int64_t n, struct pm_shape **out, struct pm_err *e)
{
	const bool decode = which >= 0;
	struct pm_shape *list = decode ? g->decode[which] : g->prefill, *s;
	int64_t T = decode ? 1 : 32, top = decode ? g->rows : g->o.chunk;
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
	if (decode) {
		b.drawn = g->drawn[which];
		b.before = g->drawn[!which];
	}
	if (pm_build(&s->f, g->m, &b, e) < 0 || pm_plan_new(&s->p, s->f->graph, e) < 0)
		return -1;
	if (pm_plan_alloc(s->p, g->arena, e) < 0)
		return -1;
	if (!g->arena)
		g->arena = s->p;
	return 0;
}

/* ---- one pass over some rows ---- */

/* Token i of a sequence, which may be a guess beyond its end. */
static void lay_token(struct pm_engine *g, int64_t row, const struct pm_sequence *s, int64_t i, int32_t id)
{
	int32_t first = (int32_t)(s->slot * g->o.context);

	g->batch.ids[row] = id;
	g->batch.pos[row] = (int32_t)i;
	g->batch.first[row] = first;
	g->batch.last[row] = first + (int32_t)i + 1;
	g->batch.length[row] = (int32_t)(i < (int64_t)s->n ? (int64_t)s->n : i + 1);
	g->batch.cache_row[row] = first + (int32_t)i;
}

/* Queues a plan over the rows laid. */
static int start(struct pm_engine *g, struct pm_shape *s, struct pm_err *e)
{
	struct pm_batch b = g->batch;
	int64_t i;

	b.T = s->T;
	if (pm_batch_fill(s->f, s->p, &b, e) < 0)
		return -1;
	if (s->f->select && pm_plan_write(s->p, s->f->select, g->select, e) < 0)
		return -1;
	for (i = 0; s->f->how && i < s->T; i++)
		pm_sample_settings(g->settings + i * PM_SAMPLE_WORDS, &g->how[i]);
	if (s->f->how && pm_plan_write(s->p, s->f->how, g->settings, e) < 0)
		return -1;
	return pm_plan_run(s->p, e);
}

/* Runs a plan over the rows laid and draws a token for the first `nselect` selected rows. */
static int pass(struct pm_engine *g, struct pm_shape *s, int64_t nselect, struct pm_err *e)
{
	if (start(g, s, e) < 0)
		return -1;
	if (!nselect)
		return pm_dev_finish(g->m->dev, e);
	return pm_sample(g->m->dev, s->f->logits->mem, nselect, g->m->spec->vocab, g->how, g->ids, e);
}

/* How the token after the first n of a sequence is drawn. Rows that nobody asks for take the likeliest. */
static void ask(struct pm_engine *g, int64_t k, const struct pm_sequence *s, size_t n)
{
	g->how[k] = s->how;
	g->how[k].index = s->drawn + (n - s->n);
	g->how[k].seen = s->ids;
	g->how[k].nseen = n;
}

static void mark_held(struct pm_engine *g, struct pm_sequence *s, int64_t to)
{
	struct pm_slot *t = &g->slot[s->slot];

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
	double since;                   /* when the pass before those in flight was done, or the first of them was queued */
};

static double time_of(const struct running *run)
{
	return run->c->clock ? run->c->clock() : 0;
}

static int fill_slots(struct pm_engine *g, struct running *run, struct pm_err *e)
{
	struct pm_sequence *s;
	int64_t i;
	int r;

	for (i = 0; i < g->o.slots && (g->waiting || !run->dry); i++) {
		if (g->slot[i].s)
			continue;
		s = g->waiting;
		if (!s) {
			e->text[0] = 0;
			e->status = PM_DONE;
			s = run->c->next(run->c->arg, e);
		}
		if (!s) {
			run->dry = true;
			return e->status != PM_DONE ? -1 : 0;
		}
		r = pm_slots_admit(g, s, e);
		if (r < 0)
			return -1;
		g->waiting = r ? NULL : s;
		if (!r)
			break;
	}
	return 0;
}

static int end_sequence(struct pm_engine *g, struct running *run, struct pm_sequence *s, int how, struct pm_err *e)
{
	int64_t i, k;

	for (k = 0; k < 2; k++)
		for (i = 0; i < g->flight[k].n; i++)
			if (g->flight[k].s[i] == s)
				g->flight[k].s[i] = NULL;
	s->finish = how ? PM_FINISH_STOP : PM_FINISH_LENGTH;
	g->slot[s->slot].s = NULL;
	return run->c->ended ? run->c->ended(run->c->arg, s, e) : 0;
}

/* What becomes of a token drawn for a sequence. */
static int take(struct pm_engine *g, struct running *run, struct pm_sequence *s, int32_t id, struct pm_err *e)
{
	size_t i;
	int r;

	if (!run->st->decode_tokens++)
		run->st->first_seconds = time_of(run) - run->start;
	for (i = 0; i < s->nstop; i++)
		if (s->stop[i] == id)
			return end_sequence(g, run, s, 1, e);
	if (pm_grow(&s->ids, &s->cap, s->n + 1, sizeof *s->ids, e) < 0)
		return -1;
	s->ids[s->n++] = id;
	s->drawn++;
	r = run->c->drawn ? run->c->drawn(run->c->arg, s, id, e) : 0;
	if (r < 0)
		return -1;
	if (r > 0)
		return end_sequence(g, run, s, 1, e);
	if ((int64_t)s->drawn >= s->max_tokens || (int64_t)s->n >= g->o.context)
		return end_sequence(g, run, s, 0, e);
	if (pm_slots_stale(g, (int64_t)s->n - 1, (int64_t)s->n, e))
		s->cached = 0;
	return 0;
}

/* How many of a sequence's tokens are to be read before the next is drawn; those that decoding reads, not prefill. */
static int64_t unread(const struct pm_sequence *s)
{
	return (int64_t)s->n - s->cached;
}

static bool is_decoding(const struct pm_engine *g, const struct pm_sequence *s)
{
	return (s->drawn && unread(s) == 1) || (g->o.loose && unread(s) <= LOOSE);
}

/* Reads a chunk of what prompts are not yet read. Returns 1 if there was anything to read. */
static int prefill(struct pm_engine *g, struct running *run, struct pm_err *e)
{
	struct pm_sequence **ready = g->ready, *s;
	int64_t i, row = 0, nready = 0, take_n, k, total = 0;
	struct pm_shape *shape;
	double t0 = time_of(run);

	for (i = 0; i < g->o.slots; i++)
		if ((s = g->slot[i].s) && !is_decoding(g, s))
			total += (int64_t)s->n - s->cached;
	if (!total)
		return 0;
	if (shape_for(g, -1, total, &shape, e) < 0)
		return -1;
	pm_batch_clear(&g->batch);
	memset(g->select, 0, (size_t)g->o.slots * sizeof *g->select);
	for (i = 0; i < g->o.slots && row < shape->T; i++) {
		s = g->slot[i].s;
		if (!s || is_decoding(g, s))
			continue;
		take_n = (int64_t)s->n - s->cached < shape->T - row ? (int64_t)s->n - s->cached : shape->T - row;
		for (k = 0; k < take_n; k++)
			lay_token(g, row + k, s, s->cached + k, s->ids[s->cached + k]);
		row += take_n;
		mark_held(g, s, s->cached + take_n);
		if (s->cached == (int64_t)s->n) {
			g->select[nready] = (int32_t)row - 1;
			ask(g, nready, s, s->n);
			ready[nready++] = s;
		}
	}
	if (pass(g, shape, nready, e) < 0)
		return -1;
	run->st->prompt_tokens += row;
	run->st->prefill_seconds += time_of(run) - t0;
	for (k = 0; k < nready; k++)
		if (take(g, run, ready[k], g->ids[k], e) < 0)
			return -1;
	return 1;
}

/* Writes guesses behind the ends of the n sequences that are ready, as far as rows, context and answers reach. */
static int guess(struct pm_engine *g, int64_t n, struct pm_err *e)
{
	int64_t i, k, left = g->rows;

	memset(g->nguess, 0, (size_t)n * sizeof *g->nguess);
	if (!g->o.guess)
		return 0;
	if (g->o.guess(g->o.guess_arg, g->ready, n, g->o.guesses, g->guess, g->nguess, e) < 0)
		return -1;
	for (i = 0; i < n; i++)
		left -= unread(g->ready[i]);
	for (i = 0; i < n; i++) {
		struct pm_sequence *s = g->ready[i];
		const int32_t *ids = g->guess + i * g->o.guesses;
		int64_t most = s->max_tokens - (int64_t)s->drawn - 1, room = g->o.context - (int64_t)s->n;
		int r;

		most = most < room ? most : room;
		most = most < left ? most : left;
		most = most < g->nguess[i] ? most : g->nguess[i];
		for (k = 0; k < most && ids[k] >= 0 && ids[k] < g->m->spec->vocab; k++)
			;
		r = k ? pm_slots_stale(g, (int64_t)s->n, (int64_t)s->n + k, e) : 0;
		if (r < 0 || pm_grow(&s->ids, &s->cap, s->n + (size_t)k, sizeof *s->ids, e) < 0)
			return -1;
		g->nguess[i] = r ? 0 : k;
		memcpy(s->ids + s->n, ids, (size_t)g->nguess[i] * sizeof *s->ids);
		left -= g->nguess[i];
	}
	return 0;
}

/* What was drawn at a sequence's rows, from row `at` on: tokens are kept as long as what they were drawn after was right. */
static int take_guessed(struct pm_engine *g, struct running *run, struct pm_sequence *s, int64_t at, int64_t guesses, struct pm_err *e)
{
	int64_t slot = s->slot, n = (int64_t)s->n, k;
	int32_t was;

	run->st->guessed += guesses;
	for (k = 0; k <= guesses; k++) {
		/* The guess at this place, before what was drawn is written over it; rows up to here hold what is kept. */
		was = k < guesses ? s->ids[n + k] : -1;
		s->cached = n + k;
		g->slot[slot].nheld = n + k;
		run->st->decode_steps++;
		if (take(g, run, s, g->ids[at + k], e) < 0)
			return -1;
		run->st->right += was == g->ids[at + k];
		if (g->slot[slot].s != s || was != g->ids[at + k] || !s->cached)
			break;
	}
	return 0;
}

/* Lays the rows that decoding reads for the n sequences that are ready, and marks them as read; how many. */
static int64_t lay_ready(struct pm_engine *g, int64_t n)
{
	int64_t i, k, row = 0, to;

	pm_batch_clear(&g->batch);
	memset(g->how, 0, (size_t)g->most * sizeof *g->how);
	for (i = 0; i < n; i++) {
		struct pm_sequence *s = g->ready[i];

		to = (int64_t)s->n + g->nguess[i];
		g->row[i] = row + unread(s) - 1;
		for (k = s->cached; k < to; k++) {
			ask(g, row, s, k < (int64_t)s->n ? s->n : (size_t)k + 1);
			lay_token(g, row++, s, k, s->ids[k]);
		}
		mark_held(g, s, to);
	}
	return row;
}

/* Whether a row's token depends on what was seen, which passes know nothing of. */
static bool penal(const struct pm_engine *g, int64_t rows)
{
	int64_t i;

	for (i = 0; i < rows; i++)
		if (pm_sample_penal(&g->how[i]))
			return true;
	return false;
}

/* ---- passes in flight: the next one is queued before the host knows what the last one draws, so that the device's threads need not wait for it ---- */

/* Whether a sequence that gets a token will want another one after it, as far as one can know; it may end by what it says. */
static int wants_more(struct pm_engine *g, const struct pm_sequence *s, struct pm_err *e)
{
	const int64_t n = (int64_t)s->n;
	int stale;

	if ((int64_t)s->drawn + 1 >= s->max_tokens || n + 1 >= g->o.context)
		return 0;
	stale = pm_slots_stale(g, n, n + 1, e);
	return stale < 0 ? -1 : !stale;
}

/* Queues the pass after f, for all of its sequences that go on, if nothing else is to come between. */
static int follow(struct pm_engine *g, const struct pm_flight *f, struct pm_flight *next, struct pm_err *e)
{
	const int which = next == &g->flight[1];
	struct pm_shape *shape;
	int64_t i, active = 0;
	int more;

	for (i = 0; i < g->o.slots; i++)
		active += g->slot[i].s != NULL;
	if (g->o.guess || g->waiting || active != f->n || !pm_mem_address(g->drawn[0]))
		return 0;
	pm_batch_clear(&g->batch);
	memset(g->how, 0, (size_t)g->most * sizeof *g->how);
	next->n = 0;
	for (i = 0; i < f->n; i++) {
		struct pm_sequence *s = f->s[i];

		more = s ? wants_more(g, s, e) : 0;
		if (more < 0)
			return -1;
		if (!more)
			continue;
		ask(g, next->n, s, s->n + 1);
		lay_token(g, next->n, s, (int64_t)s->n, (int32_t)(-1 - i));
		next->s[next->n++] = s;
	}
	if (!next->n)
		return 0;
	if (shape_for(g, which, next->n, &shape, e) < 0 || start(g, shape, e) < 0)
		return -1;
	next->mark = pm_dev_mark(g->m->dev);
	return 0;
}

/* Waits for the older pass in flight and hands out what it drew; the next is under way by then. */
static int land(struct pm_engine *g, struct running *run, struct pm_err *e)
{
	struct pm_flight *f = &g->flight[g->turn], *next = &g->flight[!g->turn];
	int64_t i, left = 0;
	double now;

	if (follow(g, f, next, e) < 0 || pm_dev_wait(g->m->dev, f->mark, e) < 0 ||
	    pm_mem_read_idle(g->drawn[g->turn], 0, g->ids, (size_t)f->n * sizeof *g->ids, e) < 0)
		return -1;
	now = time_of(run);
	run->st->decode_seconds += now - run->since;
	run->since = now;
	for (i = 0; i < f->n; i++) {
		if (!f->s[i])
			continue;
		run->st->decode_steps++;
		if (pm_sample_finite(g->ids[i], i, e) < 0 || take(g, run, f->s[i], g->ids[i], e) < 0)
			return -1;
	}
	f->n = 0;
	for (i = 0; i < next->n; i++)
		if (next->s[i]) {
			mark_held(g, next->s[i], (int64_t)next->s[i]->n);
			left++;
		}
	if (!left)
		next->n = 0;            /* nobody is there to read what it draws */
	g->turn = !g->turn;
	return 1;
}

/* Packs weights for decoding, before its first pass. Prompts that are read from then on take them, too, with the bits as before. */
static int weave(struct pm_engine *g, struct running *run, struct pm_err *e)
{
	const double t0 = time_of(run);
	int r = pm_model_weave(g->m, true, e), k;

	if (r < 0)
		return -1;
	g->woven = true;
	for (k = 0; k < PM_RUN_BUCKETS && r; k++) {
		free_shape(&g->prefill[k]);
		g->prefill[k] = (struct pm_shape){0};
		g->arena = NULL;
	}
	run->st->weave_seconds += time_of(run) - t0;
	return 0;
}

/* The next token of every sequence that has read its prompt, or the next few. */
static int decode(struct pm_engine *g, struct running *run, struct pm_err *e)
{
	struct pm_sequence **ready = g->ready, *s;
	int64_t i, n = 0, row = 0;
	struct pm_shape *shape;

	if (g->flight[g->turn].n)
		return land(g, run, e);
	for (i = 0; i < g->o.slots; i++)
		if ((s = g->slot[i].s) && is_decoding(g, s))
			ready[n++] = s;
	if (!n)
		return 0;
	if (!g->woven && weave(g, run, e) < 0)
		return -1;
	run->since = time_of(run);
	if (guess(g, n, e) < 0)
		return -1;
	for (i = 0; i < n; i++)
		row += unread(ready[i]) + g->nguess[i];
	if (shape_for(g, g->turn, row, &shape, e) < 0)
		return -1;
	row = lay_ready(g, n);
	if (row == n && !g->o.guess && !penal(g, row)) {
		struct pm_flight *f = &g->flight[g->turn];

		if (start(g, shape, e) < 0)
			return -1;
		memcpy(f->s, ready, (size_t)n * sizeof *ready);
		f->n = n;
		f->mark = pm_dev_mark(g->m->dev);
		return land(g, run, e);
	}
	if (pass(g, shape, row, e) < 0)
		return -1;
	run->st->decode_seconds += time_of(run) - run->since;
	for (i = 0; i < n; i++)
		if (take_guessed(g, run, ready[i], g->row[i], g->nguess[i], e) < 0)
			return -1;
	return 1;
}

int pm_engine_run(struct pm_engine *g, const struct pm_engine_calls *c, struct pm_engine_stats *stats, struct pm_err *e)
{
	struct running run = {.c = c, .st = stats, .start = c->clock ? c->clock() : 0};
	int64_t i;
	int r = 1;

	memset(stats, 0, sizeof *stats);
	g->waiting = NULL;
	g->flight[0].n = g->flight[1].n = 0;
	for (i = 0; i < g->o.slots; i++)
		g->slot[i].s = NULL;
	while (r > 0 && !(c->stop && c->stop())) {
		if (fill_slots(g, &run, e) < 0)
			return -1;
		r = g->flight[g->turn].n ? 0 : prefill(g, &run, e);
		if (r == 0)
			r = decode(g, &run, e);
	}
	return r < 0 ? -1 : 0;
}
