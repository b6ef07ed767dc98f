/* batch.c: the inputs of a forward: ids, positions, rope tables, and which keys every query sees. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

static bool by_length(const struct pm_rope_spec *r)
{
	return r->type == PM_ROPE_DYNAMIC || r->type == PM_ROPE_LONGROPE;
}

/* cos and sin of every row's angles. Angles are taken in double, so far positions stay exact. */
static int rope_table(const struct pm_forward *f, int k, const struct pm_batch *b, float *cs, struct pm_err *e)
{
	const struct pm_spec *s = f->model->spec;
	const struct pm_rope_spec *r = &s->ropes[k];
	int64_t half = r->dims / 2, t, i, made = -1, want;
	double *inv = pm_alloc((size_t)half, sizeof *inv, e), factor = 1;

	if (!inv)
		return -1;
	for (t = 0; t < b->T; t++) {
		float *row = cs + t * r->dims;

		want = by_length(r) ? b->length[t] : 0;
		if (want != made && pm_rope_frequencies(r, s, want, inv, &factor, e) < 0) {
			free(inv);
			return -1;
		}
		made = want;
		if (t && !by_length(r) && b->pos[t] == b->pos[t - 1]) {
			memcpy(row, row - r->dims, (size_t)r->dims * sizeof *row);
			continue;
		}
		for (i = 0; i < half; i++) {
			double angle = (double)b->pos[t] * inv[i];

			row[2 * i] = (float)(factor * cos(angle));
			row[2 * i + 1] = (float)(factor * sin(angle));
		}
	}
	free(inv);
	return 0;
}

static void spans(const struct pm_batch *b, int64_t window, int32_t *span)
{
	int64_t t;

	for (t = 0; t < b->T; t++) {
		int32_t from = b->first[t], to = b->last[t];

		if (window && to - from > window)
			from = to - (int32_t)window;
		span[2 * t] = from;
		span[2 * t + 1] = to;
	}
}

/* The first key at or after j that is not painted yet; next[] is shortened on the way. */
static int32_t unpainted(int32_t *next, int32_t j)
{
	while (next[j] != j) {
		next[j] = next[next[j]];
		j = next[j];
	}
	return j;
}

/* The other way round: of every key the first query that sees it (pass 0, queries upwards) and one past the last (pass 1,
 * downwards). A key is painted by the first query that reaches it. */
static int key_spans(const int32_t *span, int64_t T, int32_t *kspan, struct pm_err *e)
{
	int32_t *next = pm_alloc((size_t)T + 1, sizeof *next, e), j, t, n;
	int pass;

	if (!next)
		return -1;
	memset(kspan, 0, (size_t)(2 * T) * sizeof *kspan);
	for (pass = 0; pass < 2; pass++) {
		for (j = 0; j <= T; j++)
			next[j] = j;
		for (n = 0; n < T; n++) {
			t = pass ? (int32_t)T - 1 - n : n;
			if (span[2 * t] >= span[2 * t + 1])
				continue;
			for (j = unpainted(next, span[2 * t]); j < span[2 * t + 1]; j = unpainted(next, j)) {
				kspan[2 * j + pass] = t + pass;
				next[j] = j + 1;
			}
		}
	}
	free(next);
	return 0;
}

int pm_batch_fill(const struct pm_forward *f, struct pm_plan *p, const struct pm_batch *b, struct pm_err *e)
{
	const struct pm_spec *s = f->model->spec;
	int64_t T = b->T, dims = 2;
	int32_t *span = NULL, *kspan = NULL;
	float *cs = NULL;
	int k, r = -1;

	for (k = 0; k < s->nropes; k++)
		dims = s->ropes[k].dims > dims ? s->ropes[k].dims : dims;
	cs = pm_alloc((size_t)(T * dims), sizeof *cs, e);
	span = cs ? pm_alloc((size_t)(2 * T), sizeof *span, e) : NULL;
	kspan = span ? pm_alloc((size_t)(2 * T), sizeof *kspan, e) : NULL;
	if (!kspan || pm_plan_write(p, f->ids, b->ids, e) < 0)
		goto out;
	if (f->pos && pm_plan_write(p, f->pos, b->pos, e) < 0)
		goto out;
	if (f->rows && pm_plan_write(p, f->rows, b->cache_row, e) < 0)
		goto out;
	for (k = 0; k < s->nropes; k++)
		if (rope_table(f, k, b, cs, e) < 0 || pm_plan_write(p, f->cs[k], cs, e) < 0)
			goto out;
	for (k = 0; k < f->nwindows; k++) {
		spans(b, f->window[k], span);
		if (pm_plan_write(p, f->span[k], span, e) < 0)
			goto out;
		if (f->kspan[k] && (key_spans(span, T, kspan, e) < 0 || pm_plan_write(p, f->kspan[k], kspan, e) < 0))
			goto out;
	}
	r = 0;
out:
	free(cs);
	free(span);
	free(kspan);
	return r;
}

int pm_batch_new(struct pm_batch *b, int64_t T, struct pm_err *e)
{
	int32_t *all = pm_alloc((size_t)(6 * T), sizeof *all, e);

	memset(b, 0, sizeof *b);
	if (!all)
		return -1;
	b->T = T;
	b->ids = all;
	b->pos = all + T;
	b->first = all + 2 * T;
	b->last = all + 3 * T;
	b->length = all + 4 * T;
	b->cache_row = all + 5 * T;
	pm_batch_clear(b);
	return 0;
}

void pm_batch_clear(struct pm_batch *b)
{
	int64_t t;

	memset(b->ids, 0, (size_t)(5 * b->T) * sizeof *b->ids);
	for (t = 0; t < b->T; t++)
		b->cache_row[t] = -1;
}

void pm_batch_document(struct pm_batch *b, int64_t at, const int32_t *ids, int64_t n)
{
	int64_t i;

	for (i = 0; i < n; i++) {
		b->ids[at + i] = ids[i];
		b->pos[at + i] = (int32_t)i;
		b->first[at + i] = (int32_t)at;
		b->last[at + i] = (int32_t)(at + i + 1);
		b->length[at + i] = (int32_t)n;
	}
}

void pm_batch_free(struct pm_batch *b)
{
	free(b->ids);
	memset(b, 0, sizeof *b);
}
