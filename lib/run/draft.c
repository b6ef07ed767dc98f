#include "run/draft.h"

#include <stdlib.h>
#include <string.h>

#define LONGEST 8
#define SHORTEST 2

int64_t pm_draft_lookup(const int32_t *ids, size_t n, int64_t most, int32_t *out)
{
	size_t best = 0, at = 0, end, k;

	/* A place ends before `end`; the one that is the end itself does not count. */
	for (end = n ? n - 1 : 0; end >= SHORTEST && best < LONGEST; end--) {
		for (k = 0; k < LONGEST && k < end && ids[end - 1 - k] == ids[n - 1 - k]; k++)
			;
		if (k > best) {
			best = k;
			at = end;
		}
	}
	if (best < SHORTEST)
		return 0;
	if ((size_t)most > n - at)
		most = (int64_t)(n - at);
	memcpy(out, ids + at, (size_t)most * sizeof *out);
	return most;
}

int pm_draft_by_lookup(void *arg, struct pm_sequence *const *s, int64_t n, int64_t most, int32_t *ids, int64_t *count, struct pm_err *e)
{
	int64_t i;

	(void)arg;
	(void)e;
	for (i = 0; i < n; i++)
		count[i] = pm_draft_lookup(s[i]->ids, s[i]->n, most, ids + i * most);
	return 0;
}

struct pm_draft {
	struct pm_engine *engine;
	struct pm_sequence *seq;                /* one a slot: the sequence so far, and then the guesses */
	int64_t slots, vocab, n, at;
};

int pm_draft_new(struct pm_draft **out, struct pm_model *m, int64_t slots, int64_t context, struct pm_err *e)
{
	struct pm_engine_opts o = {.slots = slots, .context = context, .loose = true};
	struct pm_draft *d = pm_alloc(1, sizeof *d, e);

	*out = NULL;
	if (!d)
		return -1;
	d->slots = slots;
	d->vocab = m->spec->vocab;
	d->seq = pm_alloc((size_t)slots, sizeof *d->seq, e);
	if (!d->seq || pm_engine_new(&d->engine, m, NULL, &o, e) < 0) {
		pm_draft_free(d);
		return -1;
	}
	*out = d;
	return 0;
}

void pm_draft_free(struct pm_draft *d)
{
	int64_t i;

	if (!d)
		return;
	for (i = 0; d->seq && i < d->slots; i++)
		free(d->seq[i].ids);
	free(d->seq);
	pm_engine_free(d->engine);
	free(d);
}

static struct pm_sequence *next(void *arg, struct pm_err *e)
{
	struct pm_draft *d = arg;

	(void)e;
	while (d->at < d->n && !d->seq[d->at].max_tokens)
		d->at++;
	return d->at < d->n ? &d->seq[d->at++] : NULL;
}

/* Takes over what sequence s has; it gets no guesses where the smaller model cannot follow: a token that it does not have, a longer context. */
static int follow(struct pm_draft *d, struct pm_sequence *t, const struct pm_sequence *s, int64_t most, struct pm_err *e)
{
	size_t i;

	t->max_tokens = 0;
	t->n = 0;
	if ((int64_t)s->n >= pm_engine_context(d->engine))
		return 0;
	for (i = 0; i < s->n; i++)
		if (s->ids[i] >= d->vocab)
			return 0;
	if (pm_grow(&t->ids, &t->cap, s->n, sizeof *t->ids, e) < 0)
		return -1;
	memcpy(t->ids, s->ids, s->n * sizeof *t->ids);
	t->n = s->n;
	t->how = (struct pm_sample_row){.top_p = 1, .penalty = 1};
	t->max_tokens = most;
	return 0;
}

int pm_draft_by_model(void *arg, struct pm_sequence *const *s, int64_t n, int64_t most, int32_t *ids, int64_t *count, struct pm_err *e)
{
	struct pm_draft *d = arg;
	struct pm_engine_calls c = {.next = next, .arg = d};
	struct pm_engine_stats st;
	int64_t i;

	d->n = n;
	d->at = 0;
	for (i = 0; i < n; i++)
		if (follow(d, &d->seq[i], s[i], most, e) < 0)
			return -1;
	if (pm_engine_run(d->engine, &c, &st, e) < 0)
		return pm_ctx(e, "draft model");
	for (i = 0; i < n; i++) {
		count[i] = (int64_t)d->seq[i].n - (d->seq[i].max_tokens ? (int64_t)s[i]->n : 0);
		memcpy(ids + i * most, d->seq[i].ids + s[i]->n, (size_t)count[i] * sizeof *ids);
	}
	return 0;
}
