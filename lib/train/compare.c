#include "train/compare.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define ROWS 512                /* tokens computed at a time, if no window is longer */
#define LOGITS (16 << 20)       /* logits of a model that are held at a time */

/* One of the two models. */
struct side {
	const struct pm_model *m;
	const struct pm_adapters *a;
	bool thin;                      /* products as in decoding */
	struct pm_forward *f;
	struct pm_plan *p;
	struct pm_tensor *x;            /* input of the heads' graph (S, hidden) */
	float *hidden, *rows;           /* (T, hidden) as computed; (S, hidden) those that are compared */
};

struct comparer {
	struct side side[2];            /* base, model */
	const struct pm_evaluate_opts *o;
	struct pm_comparison *c;
	struct pm_batch b;
	int64_t T, S, used, waiting;
	const int32_t *ids;             /* of the document that is being read */
	const float *weights;
	int32_t *target;                /* (T) */
	float *weight;                  /* (T) */
	/* the heads of both and what is made of their logits */
	struct pm_graph *g;
	struct pm_plan *p;
	struct pm_tensor *want, *kl, *logs, *same;
	int32_t *s_target;              /* (S), as the next */
	float *s_weight, *s_kl, *s_logs, *s_same;
	size_t cap_kl, cap_dp;
};

static int build_side(struct comparer *v, struct side *s, struct pm_err *e)
{
	struct pm_build_opts o = {.mode = PM_EVAL, .adapters = s->a, .hidden = true, .T = v->T, .period = v->T,
		.thin = s->thin};
	size_t width = (size_t)s->m->spec->hidden;

	s->hidden = pm_alloc((size_t)v->T * width, sizeof *s->hidden, e);
	s->rows = pm_alloc((size_t)v->S * width, sizeof *s->rows, e);
	if (!s->hidden || !s->rows || pm_build(&s->f, s->m, &o, e) < 0 || pm_plan_new(&s->p, s->f->graph, e) < 0)
		return -1;
	return 0;
}

static int build_heads(struct comparer *v, struct pm_err *e)
{
	struct pm_tensor *logits[2];
	int i;

	if (pm_graph_new(&v->g, v->side[0].m->dev, e) < 0)
		return -1;
	v->g->period = v->S;
	v->g->bf16 = v->side[0].m->bf16 && v->side[1].m->bf16;
	for (i = 0; i < 2; i++) {
		v->side[i].x = pm_tensor(v->g, PM_T_INPUT, PM_F32, v->S, v->side[i].m->spec->hidden, "rows");
		v->g->thin = v->side[i].thin;
		v->g->int8 = !v->side[i].m->exact;
		logits[i] = pm_build_head(v->g, v->side[i].m, v->side[i].a, v->side[i].x);
	}
	v->want = pm_tensor(v->g, PM_T_INPUT, PM_I32, v->S, 1, "target");
	v->kl = pm_divergence(v->g, logits[0], logits[1], v->want, &v->logs, &v->same);
	if (pm_graph_ok(v->g, e) < 0)
		return -1;
	v->kl->keep = v->logs->keep = v->same->keep = true;
	return pm_plan_new(&v->p, v->g, e);
}

static int build(struct comparer *v, int64_t longest, struct pm_err *e)
{
	int64_t vocab = v->side[0].m->spec->vocab;
	size_t S;

	v->T = (longest + 15) / 16 * 16;
	v->T = v->T < ROWS ? ROWS : v->T;
	v->S = LOGITS / vocab < 16 ? 16 : LOGITS / vocab < 256 ? LOGITS / vocab / 16 * 16 : 256;
	S = (size_t)v->S;
	v->target = pm_alloc((size_t)v->T, sizeof *v->target, e);
	v->weight = pm_alloc((size_t)v->T, sizeof *v->weight, e);
	v->s_target = pm_alloc(S, sizeof *v->s_target, e);
	v->s_weight = pm_alloc(S, sizeof *v->s_weight, e);
	v->s_kl = pm_alloc(S, sizeof *v->s_kl, e);
	v->s_logs = pm_alloc(2 * S, sizeof *v->s_logs, e);
	v->s_same = pm_alloc(S, sizeof *v->s_same, e);
	if (!v->target || !v->weight || !v->s_target || !v->s_weight || !v->s_kl || !v->s_logs || !v->s_same || pm_batch_new(&v->b, v->T, e) < 0)
		return -1;
	if (build_side(v, &v->side[0], e) < 0 || build_side(v, &v->side[1], e) < 0 || build_heads(v, e) < 0)
		return -1;
	if (pm_plan_alloc(v->side[0].p, NULL, e) < 0 || pm_plan_alloc(v->side[1].p, NULL, e) < 0 || pm_plan_alloc(v->p, NULL, e) < 0)
		return pm_ctx(e, "no room to compare %lld tokens at once (-l for shorter windows would help)", (long long)v->T);
	return 0;
}

static void clear(struct comparer *v)
{
	int64_t i;

	pm_batch_clear(&v->b);
	v->used = 0;
	for (i = 0; i < v->T; i++)
		v->weight[i] = 0;
}

static void add(struct pm_evaluation *sum, double w, double nll)
{
	sum->nll += w * nll;
	sum->squares += w * nll * nll;
	sum->weight += w;
	sum->tokens++;
}

/* Compares the rows that wait. */
static int heads(struct comparer *v, struct pm_err *e)
{
	struct pm_comparison *c = v->c;
	int64_t i;

	if (!v->waiting)
		return 0;
	for (i = v->waiting; i < v->S; i++)
		v->s_target[i] = -1;
	if (pm_plan_write(v->p, v->side[0].x, v->side[0].rows, e) < 0 || pm_plan_write(v->p, v->side[1].x, v->side[1].rows, e) < 0 ||
	    pm_plan_write(v->p, v->want, v->s_target, e) < 0 || pm_plan_run(v->p, e) < 0 || pm_plan_read(v->p, v->kl, v->s_kl, e) < 0 ||
	    pm_plan_read(v->p, v->logs, v->s_logs, e) < 0 || pm_plan_read(v->p, v->same, v->s_same, e) < 0)
		return -1;
	if (pm_grow(&c->kl, &v->cap_kl, (size_t)(c->n + v->waiting), sizeof *c->kl, e) < 0 ||
	    pm_grow(&c->dp, &v->cap_dp, (size_t)(c->n + v->waiting), sizeof *c->dp, e) < 0)
		return -1;
	for (i = 0; i < v->waiting; i++) {
		double w = (double)v->s_weight[i], p = (double)v->s_logs[2 * i], q = (double)v->s_logs[2 * i + 1];

		if (!isfinite(v->s_kl[i]) || !isfinite(p) || !isfinite(q))
			return pm_fail(e, PM_DATA, "a logit is not finite");
		add(&c->base, w, -p);
		add(&c->model, w, -q);
		c->covariance += w * p * q;
		c->kl[c->n] = v->s_kl[i];
		c->dp[c->n] = (float)(exp(q) - exp(p));
		c->same += v->s_same[i] != 0;
		c->n++;
	}
	v->waiting = 0;
	return 0;
}

/* Both models read what is laid; the rows that count go to the heads. */
static int flush(struct comparer *v, struct pm_err *e)
{
	int64_t i;
	int k;

	if (!v->used)
		return 0;
	for (k = 0; k < 2; k++)
		if (pm_batch_fill(v->side[k].f, v->side[k].p, &v->b, e) < 0 || pm_plan_run(v->side[k].p, e) < 0 ||
		    pm_plan_read(v->side[k].p, v->side[k].f->hidden, v->side[k].hidden, e) < 0)
			return -1;
	for (i = 0; i < v->used; i++) {
		if (v->weight[i] == 0)
			continue;
		for (k = 0; k < 2; k++) {
			size_t width = (size_t)v->side[k].m->spec->hidden;

			memcpy(v->side[k].rows + (size_t)v->waiting * width, v->side[k].hidden + (size_t)i * width, width * sizeof *v->side[k].rows);
		}
		v->s_target[v->waiting] = v->target[i];
		v->s_weight[v->waiting] = v->weight[i];
		if (++v->waiting == v->S && heads(v, e) < 0)
			return -1;
	}
	clear(v);
	return 0;
}

/* Tokens from .. from+n−1 of the document; predictions of tokens at `fresh` and later count. */
static int window(void *arg, int64_t from, int64_t n, int64_t fresh, struct pm_err *e)
{
	struct comparer *v = arg;
	int64_t i;

	if (v->used + n > v->T && flush(v, e) < 0)
		return -1;
	pm_batch_document(&v->b, v->used, v->ids + from, n);
	for (i = 0; i + 1 < n; i++) {
		v->weight[v->used + i] = from + i + 1 >= fresh ? v->weights[from + i + 1] : 0;
		v->target[v->used + i] = v->ids[from + i + 1];
	}
	v->used += n;
	return 0;
}

static int read_rows(struct comparer *v, struct pm_rows *rows, struct pm_record *rec, struct pm_err *e)
{
	int64_t i;
	size_t d;

	clear(v);
	for (i = 0; i < pm_rows_count(rows); i++) {
		if (pm_rows_get(rows, i, rec, e) < 0)
			return -1;
		for (d = 0; d < rec->ndocs; d++) {
			v->ids = rec->ids + rec->bounds[d];
			v->weights = rec->weights + rec->bounds[d];
			if (pm_windows(rec->bounds[d + 1] - rec->bounds[d], v->o->window, v->o->stride, window, v, e) < 0)
				return -1;
			v->c->model.documents++;
			v->c->base.documents++;
		}
		if (v->o->progress)
			v->o->progress(v->o->arg, v->c->model.documents, &v->c->model);
	}
	return flush(v, e) < 0 ? -1 : heads(v, e);
}

static int check(const struct comparer *v, int64_t longest, struct pm_err *e)
{
	const struct pm_spec *s[2] = {v->side[0].m->spec, v->side[1].m->spec};
	int i;

	if (v->o->logits)
		return pm_fail(e, PM_SOFTWARE, "logits of two models cannot be written");
	if (s[0]->vocab != s[1]->vocab)
		return pm_fail(e, PM_DATA, "the base has %lld tokens, the model %lld: their predictions cannot be compared", (long long)s[0]->vocab,
			(long long)s[1]->vocab);
	for (i = 0; i < 2; i++)
		if (s[i]->learned_positions && longest > s[i]->max_positions)
			return pm_fail(e, PM_DATA, "a document has %lld tokens, the model learned positions for %lld", (long long)longest, (long long)s[i]->max_positions);
	return 0;
}

static int ascending(const void *a, const void *b)
{
	const float *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

int pm_compare(struct pm_comparison *out, const struct pm_model *base, const struct pm_model *m, const struct pm_adapters *adapters, struct pm_rows *rows,
	const struct pm_evaluate_opts *o, struct pm_err *e)
{
	struct comparer v = {.side = {{.m = base}, {.m = m, .a = adapters, .thin = o->thin}}, .o = o, .c = out};
	struct pm_record rec = {0};
	int64_t longest = pm_rows_longest(rows);
	int r, i;

	memset(out, 0, sizeof *out);
	longest = o->window && o->window < longest ? o->window : longest;
	r = check(&v, longest, e);
	if (r == 0)
		r = build(&v, longest, e);
	if (r == 0)
		r = read_rows(&v, rows, &rec, e);
	if (r == 0 && out->n) {
		qsort(out->kl, (size_t)out->n, sizeof *out->kl, ascending);
		qsort(out->dp, (size_t)out->n, sizeof *out->dp, ascending);
	}
	pm_plan_free(v.p);
	pm_graph_free(v.g);
	for (i = 0; i < 2; i++) {
		pm_plan_free(v.side[i].p);
		pm_forward_free(v.side[i].f);
		free(v.side[i].hidden);
		free(v.side[i].rows);
	}
	pm_batch_free(&v.b);
	pm_record_free(&rec);
	free(v.target);
	free(v.weight);
	free(v.s_target);
	free(v.s_weight);
	free(v.s_kl);
	free(v.s_logs);
	free(v.s_same);
	return r;
}

void pm_comparison_free(struct pm_comparison *c)
{
	free(c->kl);
	free(c->dp);
	memset(c, 0, sizeof *c);
}

double pm_compare_mean(const float *v, int64_t n)
{
	double sum = 0;
	int64_t i;

	for (i = 0; i < n; i++)
		sum += (double)v[i];
	return n ? sum / (double)n : 0;
}

double pm_compare_error(const float *v, int64_t n)
{
	double mean = pm_compare_mean(v, n), sum = 0;
	int64_t i;

	for (i = 0; i < n; i++)
		sum += ((double)v[i] - mean) * ((double)v[i] - mean);
	return n > 1 ? sqrt(sum / (double)n / (double)(n - 1)) : 0;
}

double pm_compare_part(const float *v, int64_t n, double f)
{
	double at = f * (double)(n - 1);
	int64_t i = (int64_t)at;

	if (n < 1)
		return 0;
	if (i >= n - 1)
		return (double)v[n - 1];
	at -= (double)i;
	return (1 - at) * (double)v[i] + at * (double)v[i + 1];
}
