#include "train/evaluate.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 512        /* tokens computed at a time, if no window is longer */

struct evaluator {
	const struct pm_model *m;
	const struct pm_evaluate_opts *o;
	struct pm_evaluation *sum;
	struct pm_forward *f;
	struct pm_plan *p;
	struct pm_batch b;
	int64_t T, used;
	const int32_t *ids;             /* of the document that is being read */
	const float *weights;
	int32_t *target;
	float *weight, *nll;
	/* logits */
	struct pm_st_writer *w;
	float *logits;
};

int pm_windows(int64_t n, int64_t window, int64_t stride, int (*fn)(void *arg, int64_t from, int64_t len, int64_t fresh, struct pm_err *e), void *arg,
	struct pm_err *e)
{
	int64_t L = window && window < n ? window : n, S = stride ? stride : L, from, done = 0, len;

	for (from = 0;; from += S) {
		len = n - from < L ? n - from : L;
		if (fn(arg, from, len, done, e) < 0)
			return -1;
		done = from + len;
		if (done >= n)
			return 0;
	}
}

double pm_evaluation_error(const struct pm_evaluation *v)
{
	double mean = v->nll / v->weight, variance = v->squares / v->weight - mean * mean;

	return v->tokens > 1 && variance > 0 ? sqrt(variance / (double)(v->tokens - 1)) : 0;
}

static int build(struct evaluator *v, const struct pm_adapters *a, int64_t longest, struct pm_err *e)
{
	struct pm_build_opts b = {.mode = PM_EVAL, .adapters = a, .loss = true, .logits = v->o->logits != NULL};

	v->T = (longest + 15) / 16 * 16;
	if (!v->o->logits && v->T < ROWS)
		v->T = ROWS;
	b.T = b.period = v->T;
	v->target = pm_alloc((size_t)v->T, sizeof *v->target, e);
	v->weight = pm_alloc((size_t)v->T, sizeof *v->weight, e);
	v->nll = pm_alloc((size_t)v->T, sizeof *v->nll, e);
	if (!v->target || !v->weight || !v->nll || pm_batch_new(&v->b, v->T, e) < 0)
		return -1;
	if (v->o->logits && !(v->logits = pm_alloc((size_t)(v->T * v->m->spec->vocab), sizeof *v->logits, e)))
		return -1;
	if (pm_build(&v->f, v->m, &b, e) < 0 || pm_plan_new(&v->p, v->f->graph, e) < 0)
		return -1;
	if (pm_plan_alloc(v->p, NULL, e) < 0)
		return pm_ctx(e, "no room to evaluate %lld tokens at once (-l for shorter windows would help)", (long long)v->T);
	return 0;
}

static void clear(struct evaluator *v)
{
	int64_t i;

	pm_batch_clear(&v->b);
	v->used = 0;
	for (i = 0; i < v->T; i++) {
		v->target[i] = -1;
		v->weight[i] = 0;
	}
}

/* Computes what is laid and adds it up. */
static int flush(struct evaluator *v, struct pm_err *e)
{
	int64_t i;

	if (!v->used)
		return 0;
	if (pm_batch_fill(v->f, v->p, &v->b, e) < 0 || pm_plan_write(v->p, v->f->target, v->target, e) < 0 || pm_plan_run(v->p, e) < 0 ||
	    pm_plan_read(v->p, v->f->nll, v->nll, e) < 0)
		return -1;
	if (v->logits && pm_plan_read(v->p, v->f->logits, v->logits, e) < 0)
		return -1;
	for (i = 0; i < v->T; i++) {
		if (v->weight[i] == 0)
			continue;
		v->sum->nll += (double)v->weight[i] * (double)v->nll[i];
		v->sum->squares += (double)v->weight[i] * (double)v->nll[i] * (double)v->nll[i];
		v->sum->weight += (double)v->weight[i];
		v->sum->tokens++;
	}
	clear(v);
	return isfinite(v->sum->nll) ? 0 : pm_fail(e, PM_DATA, "the loss is not finite");
}

/* Tokens from .. from+n−1 of a document as a window of its own; predictions of tokens at `fresh` and later count. */
static int window(void *arg, int64_t from, int64_t n, int64_t fresh, struct pm_err *e)
{
	struct evaluator *v = arg;
	const int32_t *ids = v->ids;
	const float *weights = v->weights;
	int64_t i;

	if (v->used + n > v->T && flush(v, e) < 0)
		return -1;
	pm_batch_document(&v->b, v->used, ids + from, n);
	for (i = 0; i + 1 < n; i++) {
		float w = from + i + 1 >= fresh ? weights[from + i + 1] : 0;

		v->weight[v->used + i] = w;
		v->target[v->used + i] = w != 0 ? ids[from + i + 1] : -1;
	}
	v->used += n;
	return 0;
}

/* The logits of the one document that is laid, padded to T_out rows. */
static int put_logits(struct evaluator *v, int64_t n, int64_t T_out, struct pm_err *e)
{
	int64_t V = v->m->spec->vocab, i;

	for (i = 0; i < n * V; i++)
		if (!isfinite(v->logits[i]))
			return pm_fail(e, PM_DATA, "a logit is not finite");
	memset(v->logits + n * V, 0, (size_t)((T_out - n) * V) * sizeof *v->logits);
	return pm_st_put(v->w, v->logits, (size_t)(T_out * V) * sizeof *v->logits, e);
}

static int document(struct evaluator *v, const int32_t *ids, const float *weights, int64_t n, int64_t longest, struct pm_err *e)
{
	v->ids = ids;
	v->weights = weights;
	if (pm_windows(n, v->o->window, v->o->stride, window, v, e) < 0)
		return -1;
	v->sum->documents++;
	if (!v->w)
		return 0;
	if (flush(v, e) < 0)
		return -1;
	return put_logits(v, n, longest, e);
}

static int64_t count_documents(struct pm_rows *rows, struct pm_record *rec, struct pm_err *e)
{
	int64_t i, n = 0;

	for (i = 0; i < pm_rows_count(rows); i++) {
		if (pm_rows_get(rows, i, rec, e) < 0)
			return -1;
		n += (int64_t)rec->ndocs;
	}
	return n;
}

/* ids and lengths go first, so that the logits can follow as they are made. */
static int begin_logits(struct evaluator *v, struct pm_rows *rows, struct pm_record *rec, struct pm_err *e)
{
	int64_t n = count_documents(rows, rec, e), T = pm_rows_longest(rows), i;
	uint64_t ids[2], logits[3], lengths[1];
	int32_t *row, len;
	int pass, r;
	size_t d;

	if (n < 0)
		return -1;
	ids[0] = logits[0] = lengths[0] = (uint64_t)n;
	ids[1] = logits[1] = (uint64_t)T;
	logits[2] = (uint64_t)v->m->spec->vocab;
	if (pm_st_begin(&v->w, v->o->logits, NULL, e) < 0 || pm_st_declare(v->w, "input_ids", PM_I32, 2, ids, e) < 0 ||
	    pm_st_declare(v->w, "lengths", PM_I32, 1, lengths, e) < 0 || pm_st_declare(v->w, "logits", PM_F32, 3, logits, e) < 0)
		return -1;
	row = pm_alloc((size_t)T, sizeof *row, e);
	r = row ? 0 : -1;
	for (pass = 0; pass < 2; pass++) {
		for (i = 0; r == 0 && i < pm_rows_count(rows); i++) {
			r = pm_rows_get(rows, i, rec, e);
			for (d = 0; r == 0 && d < rec->ndocs; d++) {
				len = (int32_t)(rec->bounds[d + 1] - rec->bounds[d]);
				memset(row, 0, (size_t)T * sizeof *row);
				memcpy(row, rec->ids + rec->bounds[d], (size_t)len * sizeof *row);
				r = pass ? pm_st_put(v->w, &len, sizeof len, e) : pm_st_put(v->w, row, (size_t)T * sizeof *row, e);
			}
		}
	}
	free(row);
	return r;
}

static int evaluate(struct evaluator *v, struct pm_rows *rows, struct pm_record *rec, struct pm_err *e)
{
	int64_t i, longest = pm_rows_longest(rows);
	size_t d;

	if (v->o->logits && begin_logits(v, rows, rec, e) < 0)
		return -1;
	clear(v);
	for (i = 0; i < pm_rows_count(rows); i++) {
		if (pm_rows_get(rows, i, rec, e) < 0)
			return -1;
		for (d = 0; d < rec->ndocs; d++) {
			uint32_t from = rec->bounds[d];

			if (document(v, rec->ids + from, rec->weights + from, rec->bounds[d + 1] - from, longest, e) < 0)
				return -1;
		}
		if (v->o->progress)
			v->o->progress(v->o->arg, v->sum->documents, v->sum);
	}
	return flush(v, e);
}

int pm_evaluate(struct pm_evaluation *out, const struct pm_model *m, const struct pm_adapters *a, struct pm_rows *rows,
	const struct pm_evaluate_opts *o, struct pm_err *e)
{
	struct evaluator v = {.m = m, .o = o, .sum = out};
	struct pm_record rec = {0};
	int64_t longest = pm_rows_longest(rows);
	int r;

	memset(out, 0, sizeof *out);
	if (o->window && o->window < longest) {
		if (o->logits)
			return pm_fail(e, PM_USAGE, "a document has %lld tokens: its logits do not fit windows of %lld", (long long)longest, (long long)o->window);
		longest = o->window;
	}
	if (m->spec->learned_positions && longest > m->spec->max_positions)
		return pm_fail(e, PM_DATA, "a document has %lld tokens, the model learned positions for %lld", (long long)longest,
		    (long long)m->spec->max_positions);
	r = build(&v, a, longest, e);
	if (r == 0)
		r = evaluate(&v, rows, &rec, e);
	if (v.w && r == 0)
		r = pm_st_end(v.w, e);
	else if (v.w)
		pm_st_abort(v.w);
	pm_plan_free(v.p);
	pm_forward_free(v.f);
	pm_batch_free(&v.b);
	pm_record_free(&rec);
	free(v.target);
	free(v.weight);
	free(v.nll);
	free(v.logits);
	return r;
}
