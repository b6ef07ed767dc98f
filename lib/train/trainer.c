#include "train/trainer.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum { STREAM_ORDER = 1, STREAM_DROPOUT = 2 };          /* of the seed's random numbers */

/* What a batch of T tokens is laid into. */
static int buffers(struct pm_trainer *t, int64_t tokens, struct pm_err *e)
{
	size_t T = (size_t)tokens;

	pm_batch_free(&t->batch);
	free(t->target);
	free(t->weight);
	free(t->nll);
	free(t->rng);
	t->target = pm_alloc(T, sizeof *t->target, e);
	t->weight = pm_alloc(T, sizeof *t->weight, e);
	t->nll = pm_alloc(T, sizeof *t->nll, e);
	t->rng = pm_alloc(2 * T, sizeof *t->rng, e);
	if (!t->target || !t->weight || !t->nll || !t->rng)
		return -1;
	return pm_batch_new(&t->batch, (int64_t)T, e);
}

static int64_t steps_of(int64_t rows, const struct pm_train_opts *o)
{
	int64_t per = o->batch * o->accum, n = (rows * o->epochs + per - 1) / per;

	return o->max_steps && o->max_steps < n ? o->max_steps : n;
}

int pm_trainer_new(struct pm_trainer **out, struct pm_model *m, struct pm_adapters *a, struct pm_rows *rows,
	const struct pm_train_opts *o, struct pm_err *e)
{
	struct pm_trainer *t = pm_alloc(1, sizeof *t, e);
	struct pm_build_opts b = {.mode = PM_TRAIN, .adapters = a, .train_weights = !a, .checkpoint = o->checkpoint, .loss = true};

	*out = NULL;
	if (!t)
		return -1;
	t->model = m;
	t->adapters = a;
	t->rows = rows;
	t->opts = *o;
	t->length = (pm_rows_length(rows) + 15) / 16 * 16;
	t->total = steps_of(pm_rows_count(rows), o);
	t->opts.schedule.total = t->total;
	t->order_epoch = -1;
	t->order = pm_alloc((size_t)pm_rows_count(rows), sizeof *t->order, e);
	if (!t->order)
		goto fail;
	b.balance = o->balance > 0;
	b.T = o->batch * t->length;
	b.period = t->length;
	if (pm_rows_weight(rows) <= 0) {
		pm_fail(e, PM_DATA, "no prediction has a weight: there is nothing to learn");
		goto fail;
	}
	if (m->spec->learned_positions && pm_rows_longest(rows) > m->spec->max_positions) {
		pm_fail(e, PM_DATA, "a document has %lld tokens, the model learned positions for %lld", (long long)pm_rows_longest(rows),
		    (long long)m->spec->max_positions);
		goto fail;
	}
	if (buffers(t, b.T, e) < 0 || pm_params_new(&t->params, m, a, true, e) < 0 || pm_build(&t->forward, m, &b, e) < 0 ||
	    pm_plan_new(&t->plan, t->forward->graph, e) < 0)
		goto fail;
	*out = t;
	return 0;
fail:
	pm_trainer_free(t);
	return -1;
}

void pm_trainer_sizes(const struct pm_trainer *t, struct pm_plan_sizes *s, uint64_t *params)
{
	pm_plan_sizes(t->plan, s);
	s->state -= s->state < pm_params_bytes(t->params) / 3 ? s->state : pm_params_bytes(t->params) / 3;     /* the gradients are in both */
	*params = pm_params_bytes(t->params);
}

int pm_trainer_fits(const struct pm_trainer *t, struct pm_err *e)
{
	const struct pm_dev_info *info = pm_dev_info(t->model->dev);
	struct pm_plan_sizes s;
	uint64_t params, need;

	pm_trainer_sizes(t, &s, &params);
	need = params + s.temp + s.scratch + s.input + (t->adapters && info->shared ? 0 : s.weights);
	if (need > info->memory)
		return pm_fail(e, PM_NODEVICE, "training needs %.1f GB of memory%s, the device has %.1f: a smaller --batch, "
		    "%sshorter rows (pm-pack -l)%s would help", 1e-9 * (double)need, t->adapters && info->shared ? " beside the mapped weights" : "", 1e-9 * (double)info->memory,
		    t->opts.checkpoint ? "" : "--gradient-checkpointing, ", t->adapters ? " or a quantised base" : " or --lora");
	return 0;
}

int pm_trainer_alloc(struct pm_trainer *t, struct pm_err *e)
{
	if (pm_trainer_fits(t, e) < 0)
		return -1;
	if (pm_plan_alloc(t->plan, NULL, e) < 0)
		return pm_ctx(e, "no room for training (a smaller --batch, --gradient-checkpointing or shorter rows would help)");
	/* All of it once, so that its pages are there before the first step. */
	if (pm_params_zero(t->params, true, e) < 0)
		return -1;
	pm_params_fresh(t->params, t->forward->graph);
	return 0;
}

/* Row i of the run, counted over all epochs: which row of the data that is. */
static int64_t row_at(struct pm_trainer *t, int64_t i)
{
	int64_t n = pm_rows_count(t->rows), epoch = i / n;

	if (!t->opts.shuffle)
		return i % n;
	if (t->order_epoch != epoch) {
		pm_rng_shuffle(t->order, (size_t)n, t->opts.seed + 0x9E3779B97F4A7C15u * (uint64_t)epoch, STREAM_ORDER);
		t->order_epoch = epoch;
	}
	return (int64_t)t->order[i % n];
}

/* A counter of its own for every token of every row of the run: dropout does not depend on how a step is cut. */
static void dropout_counters(struct pm_trainer *t, int64_t at, int64_t row)
{
	int64_t i;

	for (i = 0; i < t->length; i++) {
		uint32_t w[4];

		pm_rng_block(w, t->opts.seed, STREAM_DROPOUT, (uint64_t)(row * t->length + i));
		t->rng[2 * (at + i)] = (int32_t)w[0];
		t->rng[2 * (at + i) + 1] = (int32_t)w[1];
	}
}

/* Lays n rows of `rows` (run rows from .. from+n−1, or data rows as they are) into the batch. Returns the sum of weights or −1. */
static int lay(struct pm_trainer *t, struct pm_rows *rows, int64_t from, int64_t n, bool ordered, double *weight, struct pm_step *s, struct pm_err *e)
{
	int64_t T = t->batch.T, i, k;

	pm_batch_clear(&t->batch);
	for (i = 0; i < T; i++) {
		t->target[i] = -1;
		t->weight[i] = 0;
	}
	for (k = 0; k < n; k++) {
		if (pm_rows_get(rows, ordered ? row_at(t, from + k) : from + k, &t->rec, e) < 0)
			return -1;
		*weight += pm_rows_lay(&t->rec, &t->batch, k * t->length, t->target, t->weight, &s->trained);
		s->tokens += t->rec.ndocs ? t->rec.bounds[t->rec.ndocs] : 0;
		if (ordered && t->forward->rng)
			dropout_counters(t, k * t->length, from + k);
	}
	return 0;
}

/* The sum of weights of a whole step has to be known before its first micro-batch runs. */
static int step_weight(struct pm_trainer *t, int64_t from, int64_t n, double *sum, struct pm_err *e)
{
	int64_t k;
	size_t d, i;

	*sum = 0;
	for (k = 0; k < n; k++) {
		if (pm_rows_get(t->rows, row_at(t, from + k), &t->rec, e) < 0)
			return -1;
		for (d = 0; d < t->rec.ndocs; d++)
			for (i = t->rec.bounds[d] + 1; i < t->rec.bounds[d + 1]; i++)
				*sum += t->rec.weights[i];
	}
	return 0;
}

/* Runs what is laid; adds the weighted losses to *loss. norm: the upstream gradient of a prediction is its weight ÷ norm; a plan
 * without gradients (evaluation) takes none. */
static int run_batch(struct pm_trainer *t, struct pm_forward *f, struct pm_plan *p, double norm, double *loss, struct pm_err *e)
{
	int64_t T = t->batch.T, i;

	if (pm_batch_fill(f, p, &t->batch, e) < 0 || pm_plan_write(p, f->target, t->target, e) < 0)
		return -1;
	if (f->rng && pm_plan_write(p, f->rng, t->rng, e) < 0)
		return -1;
	for (i = 0; f->dnll && i < T; i++)
		t->nll[i] = norm > 0 ? (float)(t->weight[i] / norm) : 0;
	if (f->dnll && pm_plan_write(p, f->dnll, t->nll, e) < 0)
		return -1;
	if (pm_plan_run(p, e) < 0 || pm_plan_read(p, f->nll, t->nll, e) < 0)
		return -1;
	for (i = 0; i < T; i++)
		if (t->weight[i] != 0)
			*loss += (double)t->weight[i] * (double)t->nll[i];
	return 0;
}

/* A micro-batch has its share of a step's loss of balance. */
static int seed_balance(struct pm_trainer *t, double share, struct pm_err *e)
{
	float seed = (float)(t->opts.balance * share);

	return t->forward->dbalance ? pm_plan_write(t->plan, t->forward->dbalance, &seed, e) : 0;
}

static int read_balance(struct pm_trainer *t, double share, double *sum, struct pm_err *e)
{
	float value = 0;

	if (t->forward->balance && pm_plan_read(t->plan, t->forward->balance, &value, e) < 0)
		return -1;
	*sum += share * (double)value;
	return 0;
}

/* The tokens of the batch that was laid, beside those before. */
static int note_tokens(struct pm_trainer *t, struct pm_err *e)
{
	if (pm_grow(&t->ids, &t->cap_ids, t->nids + (size_t)t->batch.T, sizeof *t->ids, e) < 0)
		return -1;
	memcpy(t->ids + t->nids, t->batch.ids, (size_t)t->batch.T * sizeof *t->ids);
	t->nids += (size_t)t->batch.T;
	return 0;
}

static int by_id(const void *a, const void *b)
{
	const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;

	return (x > y) - (x < y);
}

/* Gradients of what is used in two places, with the step's tokens, each once. */
static int join(struct pm_trainer *t, struct pm_err *e)
{
	size_t i, n = 0;

	if (t->nids)
		qsort(t->ids, t->nids, sizeof *t->ids, by_id);
	for (i = 0; i < t->nids; i++)
		if (!n || t->ids[i] != t->ids[n - 1])
			t->ids[n++] = t->ids[i];
	t->nids = 0;
	return pm_params_join(t->params, t->model->dev, t->ids, (int64_t)n, e);
}

int pm_trainer_gradients(struct pm_trainer *t, struct pm_step *s, struct pm_err *e)
{
	int64_t per = t->opts.batch * t->opts.accum, from = t->done * per, all = pm_rows_count(t->rows) * t->opts.epochs;
	int64_t n = from + per > all ? all - from : per, k;
	double norm, sum = 0, laid = 0;

	memset(s, 0, sizeof *s);
	s->step = t->done + 1;
	s->epoch = (double)(from + n) / (double)pm_rows_count(t->rows);
	if (step_weight(t, from, n, &norm, e) < 0 || pm_params_zero(t->params, false, e) < 0)
		return -1;
	for (k = 0; k < n; k += t->opts.batch) {
		int64_t m = n - k < t->opts.batch ? n - k : t->opts.batch;

		pm_grad_fresh(t->forward->graph, k == 0);
		if (lay(t, t->rows, from + k, m, true, &laid, s, e) < 0 || note_tokens(t, e) < 0 || seed_balance(t, (double)m / (double)n, e) < 0 ||
		    run_batch(t, t->forward, t->plan, norm, &sum, e) < 0 || read_balance(t, (double)m / (double)n, &s->balance, e) < 0)
			return -1;
	}
	if (join(t, e) < 0)
		return -1;
	s->loss = norm > 0 ? sum / norm : 0;
	if (!isfinite(s->loss))
		return pm_fail(e, PM_DATA, "step %lld: the loss is not finite", (long long)s->step);
	return 0;
}

static int grad_norm(struct pm_trainer *t, double *norm, struct pm_err *e)
{
	struct pm_squares_of *of = pm_alloc(t->params->n, sizeof *of, e);
	double sum = 0;
	size_t i;
	int r;

	if (!of)
		return -1;
	for (i = 0; i < t->params->n; i++)
		of[i] = (struct pm_squares_of){t->params->param[i].grad, t->params->param[i].count, 0};
	r = pm_sum_squares(t->model->dev, of, t->params->n, e);
	for (i = 0; r == 0 && i < t->params->n; i++)
		sum += of[i].sum;
	free(of);
	*norm = sqrt(sum);
	return r;
}

static int update(struct pm_trainer *t, const struct pm_step *s, struct pm_err *e)
{
	const struct pm_train_opts *o = &t->opts;
	double scale = o->clip > 0 && o->clip < s->grad_norm + 1e-6 ? o->clip / (s->grad_norm + 1e-6) : 1;
	struct pm_adamw a = {.lr = (float)s->lr, .beta1 = (float)o->beta1, .beta2 = (float)o->beta2, .eps = (float)o->eps,
		.decay = (float)o->decay, .gscale = (float)scale, .step = s->step};
	size_t i;

	for (i = 0; i < t->params->n; i++) {
		struct pm_param *p = &t->params->param[i];

		if (pm_adamw(t->model->dev, p->p, p->grad, p->m, p->v, p->count, &a, e) < 0)
			return pm_ctx(e, "'%s'", p->name);
	}
	return pm_dev_finish(t->model->dev, e);
}

int pm_trainer_step(struct pm_trainer *t, struct pm_step *s, double (*clock)(void), struct pm_err *e)
{
	double start = clock();

	if (pm_trainer_gradients(t, s, e) < 0)
		return -1;
	if (grad_norm(t, &s->grad_norm, e) < 0)
		return -1;
	if (!isfinite(s->grad_norm))
		return pm_fail(e, PM_DATA, "step %lld: the gradient is not finite", (long long)s->step);
	s->lr = pm_schedule_rate(&t->opts.schedule, t->done);
	if (update(t, s, e) < 0)
		return -1;
	t->done++;
	s->seconds = clock() - start;
	return 0;
}

/* The same forward without gradients and dropout, in the training plan's memory: the two never run at once. */
static int eval_plan(struct pm_trainer *t, const struct pm_rows *rows, struct pm_err *e)
{
	struct pm_build_opts b = t->forward->opts;

	if (t->eval_plan && pm_rows_length(rows) <= t->eval_length)
		return 0;
	if (t->model->spec->learned_positions && pm_rows_longest(rows) > t->model->spec->max_positions)
		return pm_fail(e, PM_DATA, "a held-out document has %lld tokens, the model learned positions for %lld", (long long)pm_rows_longest(rows),
		    (long long)t->model->spec->max_positions);
	pm_plan_free(t->eval_plan);
	pm_forward_free(t->eval_forward);
	t->eval_plan = NULL;
	t->eval_forward = NULL;
	t->eval_length = (pm_rows_length(rows) + 15) / 16 * 16;
	b.mode = PM_EVAL;
	b.T = t->opts.batch * t->eval_length;
	b.period = t->eval_length;
	if (pm_build(&t->eval_forward, t->model, &b, e) < 0 || pm_plan_new(&t->eval_plan, t->eval_forward->graph, e) < 0)
		return -1;
	return pm_plan_alloc(t->eval_plan, t->plan, e);
}

int pm_trainer_eval(struct pm_trainer *t, struct pm_rows *rows, double *loss, double *weight, struct pm_err *e)
{
	struct pm_step dummy = {0};
	double sum = 0;
	int64_t k, n = pm_rows_count(rows), length = t->length;
	int r = 0;

	*weight = 0;
	if (eval_plan(t, rows, e) < 0)
		return -1;
	t->length = t->eval_length;
	if (t->length != length)
		r = buffers(t, t->opts.batch * t->length, e);
	for (k = 0; r == 0 && k < n; k += t->opts.batch) {
		int64_t m = n - k < t->opts.batch ? n - k : t->opts.batch;

		r = lay(t, rows, k, m, false, weight, &dummy, e);
		if (r == 0)
			r = run_batch(t, t->eval_forward, t->eval_plan, 0, &sum, e);
	}
	t->length = length;
	if (r < 0 || (t->eval_length != length && buffers(t, t->opts.batch * length, e) < 0))
		return -1;
	*loss = *weight > 0 ? sum / *weight : 0;
	return 0;
}

void pm_trainer_free(struct pm_trainer *t)
{
	if (!t)
		return;
	pm_plan_free(t->eval_plan);
	pm_forward_free(t->eval_forward);
	pm_plan_free(t->plan);
	pm_forward_free(t->forward);
	pm_params_free(t->params);
	pm_batch_free(&t->batch);
	pm_record_free(&t->rec);
	free(t->order);
	free(t->target);
	free(t->rng);
	free(t->weight);
	free(t->nll);
	free(t->ids);
	free(t);
}
