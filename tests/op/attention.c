#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

enum mask { CAUSAL, WINDOW, DOCUMENTS, CHUNKS, IMAGES, SPARSE, SLOTS };

#define CONTEXT 100             /* keys of a slot */

struct row {
	struct op_case c;
	int32_t heads, kv_heads, head_dim, v_dim;
	int64_t keys;                   /* in each period, the queries being the last; 0: as many as queries */
	enum mask mask;
	double softcap;
	bool sinks, view, decode;
	bool forward;                   /* gradients are not tested: the programs take seconds to compile */
	enum pm_dtype type;             /* of k and v */
};

static const struct row rows[] = {
	{{"1 key", .T = 1}, 1, 1, 16, 16, .mask = CAUSAL},
	{{"causal, heads of 8", .T = 33}, 2, 2, 8, 8, .forward = true},
	{{"causal, sequences of 50", .T = 150, .period = 50}, 2, 1, 16, 16, .view = true},
	{{"windows, sinks", .T = 130}, 1, 1, 16, 16, .mask = WINDOW, .sinks = true},
	{{"documents, sequences of 100", .T = 200, .period = 100}, 4, 2, 16, 16, .mask = DOCUMENTS},
	{{"queries that see nothing, sinks", .T = 60, .period = 20}, 4, 2, 16, 16, .mask = SPARSE, .sinks = true},
	{{"soft cap", .T = 70}, 2, 1, 16, 16, .softcap = 1.5},
	{{"soft cap, sinks, documents", .T = 50}, 2, 1, 16, 16, .mask = DOCUMENTS, .softcap = 20, .sinks = true},
	{{"chunks, heads of 13 and 21, view", .T = 65}, 3, 1, 13, 21, .mask = CHUNKS, .view = true},
	{{"queries that see nothing, heads of 13 and 21, sequences of 60", .T = 180, .period = 60}, 2, 1, 13, 21, .mask = SPARSE},
	{{"causal, heads of 64, sequences of 70", .T = 140, .period = 70}, 4, 2, 64, 64, .view = true},
	{{"windows, heads of 80", .T = 130}, 1, 1, 80, 80, .mask = WINDOW, .forward = true},
	{{"documents, heads of 96, sequences of 100", .T = 200, .period = 100}, 2, 1, 96, 96, .mask = DOCUMENTS, .forward = true},
	{{"images, heads of 128 and 32", .T = 120}, 2, 2, 128, 32, .mask = IMAGES},
	{{"documents, heads of 256", .T = 50}, 2, 1, 256, 256, .mask = DOCUMENTS, .forward = true},
	{{"more keys than queries, f16", .T = 40, .period = 20}, 4, 2, 64, 64, .keys = 177, .type = PM_F16, .view = true},
	{{"more keys than queries, bf16, windows", .T = 50}, 4, 1, 40, 24, .keys = 400, .type = PM_BF16, .mask = WINDOW},
	{{"slots of a cache, garbage behind what was written", .T = 50}, 2, 1, 64, 64, .keys = 4 * CONTEXT, .mask = SLOTS},
	{{"rounded, 1 key", .T = 1, .bf16 = true}, 1, 1, 16, 16, .mask = CAUSAL},
	{{"rounded, causal, heads of 64, sequences of 70", .T = 140, .period = 70, .bf16 = true}, 4, 2, 64, 64, .view = true},
	{{"rounded, windows, sinks", .T = 130, .bf16 = true}, 1, 1, 32, 32, .mask = WINDOW, .sinks = true},
	{{"rounded, documents, sequences of 100, soft cap", .T = 200, .period = 100, .bf16 = true, .tol = 4e-2}, 4, 2, 48, 48, .mask = DOCUMENTS, .softcap = 20},
	{{"rounded, queries that see nothing, heads of 13 and 21, sequences of 60", .T = 180, .period = 60, .bf16 = true}, 2, 1, 13, 21, .mask = SPARSE},
	{{"rounded, images, heads of 128 and 32", .T = 120, .bf16 = true}, 2, 2, 128, 32, .mask = IMAGES},
	{{"rounded, more keys than queries, f16", .T = 40, .period = 20, .bf16 = true}, 4, 2, 64, 64, .keys = 177, .type = PM_F16, .view = true},
	{{"rounded, more keys than queries, bf16, windows", .T = 50, .bf16 = true}, 4, 1, 40, 24, .keys = 400, .type = PM_BF16, .mask = WINDOW},
	{{"rounded, slots of a cache, garbage behind what was written", .T = 50, .bf16 = true}, 2, 1, 64, 64, .keys = 4 * CONTEXT, .mask = SLOTS},
	{{"decoding, 1 key", .T = 1, .period = 1}, 1, 1, 64, 64, .decode = true},
	{{"decoding, 3 sequences, bf16", .T = 3, .period = 1}, 4, 2, 64, 64, .keys = 777, .type = PM_BF16, .decode = true},
	{{"decoding, f32, view, sinks", .T = 2, .period = 1}, 6, 2, 80, 80, .keys = 600, .view = true, .sinks = true, .decode = true},
	{{"decoding, f16, windows, soft cap, heads of 33 and 50", .T = 4, .period = 2}, 3, 1, 33, 50, .keys = 1030, .type = PM_F16, .mask = WINDOW,
		.softcap = 3, .decode = true},
	{{"decoding, queries that see nothing", .T = 6, .period = 3}, 2, 2, 8, 8, .keys = 300, .mask = SPARSE, .decode = true},
	{{"512, 16 heads of 64", .T = 512, .speed = true}, 16, 16, 64, 64, .mask = CAUSAL},
	{{"1024, 16 heads of 64", .T = 1024, .speed = true}, 16, 16, 64, 64, .mask = CAUSAL},
	{{"4096, 4 heads of 64", .T = 4096, .speed = true}, 4, 4, 64, 64, .mask = CAUSAL},
	{{"512, 8 heads of 128", .T = 512, .speed = true}, 8, 4, 128, 128, .mask = CAUSAL},
	{{"1024, 8 heads of 128", .T = 1024, .speed = true}, 8, 4, 128, 128, .mask = CAUSAL},
	{{"1024, 16 heads of 64, rounded", .T = 1024, .bf16 = true, .speed = true}, 16, 16, 64, 64, .mask = CAUSAL},
	{{"4096, 2 heads of 128", .T = 4096, .speed = true}, 2, 1, 128, 128, .mask = CAUSAL},
	{{"decoding, 4096 keys, f32, 16 of 4 heads of 128", .T = 1, .speed = true}, 16, 4, 128, 128, .keys = 4096, .decode = true},
	{{"decoding, 16384 keys, bf16, 16 of 4 heads of 128", .T = 1, .speed = true}, 16, 4, 128, 128, .keys = 16384, .type = PM_BF16, .decode = true},
	{{"decoding, 16384 keys, bf16, 8 of 8 heads of 64", .T = 1, .speed = true}, 8, 8, 64, 64, .keys = 16384, .type = PM_BF16, .decode = true},
};

static int64_t period_of(const struct row *r)
{
	return r->c.period ? r->c.period : r->c.T;
}

static int64_t keys_of(const struct row *r)
{
	return r->keys ? r->keys : period_of(r);
}

/* The keys that query i of a period sees, both counted in the period. */
static void sees(const struct row *r, int64_t i, int64_t *from, int64_t *to)
{
	static const int64_t starts[] = {0, 1, 8, 40, 41, 90, 140, 1000000}, images[][2] = {{3, 20}, {50, 51}, {60, 110}};
	const int64_t at = i + keys_of(r) - period_of(r);

	*from = 0;
	*to = at + 1;
	switch (r->mask) {
	case CAUSAL:
		break;
	case WINDOW:
		*from = at > 300 ? at - 299 : at > 9 ? at - 9 : 0;
		break;
	case DOCUMENTS:
		for (int d = 0; starts[d] <= at; d++)
			*from = starts[d];
		break;
	case CHUNKS:
		*from = at / 24 * 24;
		break;
	case IMAGES:
		for (int d = 0; d < 3; d++)
			if (at >= images[d][0] && at < images[d][1])
				*to = images[d][1];
		break;
	case SLOTS:
		*from = i % 3 * CONTEXT;
		*to = *from + 3 + i;
		break;
	case SPARSE:
		if (i % 3 == 1)
			*from = *to = i % 2 ? 0 : 5;
		break;
	}
}

static void spans(double *v, int64_t n, int64_t cols, const void *p)
{
	const struct row *r = p;
	const int64_t period = period_of(r);

	(void)cols;
	for (int64_t i = 0; i < n; i++) {
		int64_t from, to;

		sees(r, i % period, &from, &to);
		v[2 * i] = (double)(from + i / period * keys_of(r));
		v[2 * i + 1] = (double)(to + i / period * keys_of(r));
	}
}

static void key_spans(double *v, int64_t n, int64_t cols, const void *p)
{
	const struct row *r = p;
	const int64_t period = period_of(r), keys = keys_of(r);

	(void)cols;
	for (int64_t k = 0; k < n; k++) {
		v[2 * k] = v[2 * k + 1] = (double)(k / keys * period);
		for (int64_t i = 0, some = 0; i < period; i++) {
			int64_t from, to;

			sees(r, i, &from, &to);
			if (k % keys < from || k % keys >= to)
				continue;
			if (!some++)
				v[2 * k] = (double)(i + k / keys * period);
			v[2 * k + 1] = (double)(i + 1 + k / keys * period);
		}
	}
}

/* Keys or values of a cache: numbers where a query sees them, else NaN. */
static void slots(double *v, int64_t n, int64_t cols, const void *p)
{
	const struct row *r = p;

	for (int64_t k = 0; k < n; k++) {
		bool seen = false;

		for (int64_t i = 0, from, to; i < r->c.T; i++) {
			sees(r, i, &from, &to);
			seen = seen || (k >= from && k < to);
		}
		for (int64_t c = 0; c < cols; c++)
			v[k * cols + c] = seen ? pm_rng_normal(5, (uint32_t)c, (uint64_t)k) : NAN;
	}
}

static void build(struct op_ctx *c, const void *p)
{
	const struct row *r = p;
	const int64_t period = period_of(r), all = r->c.T / period * keys_of(r), S = c->T / period * keys_of(r);
	const bool grad = !r->decode && !r->forward && r->mask != SLOTS && r->type == PM_F32;
	const unsigned flags = OP_ROWS | (r->view ? OP_VIEW : 0) | (grad ? OP_GRAD : 0);
	struct pm_attention_opts o = {.heads = r->heads, .kv_heads = r->kv_heads, .head_dim = r->head_dim, .v_dim = r->v_dim,
		.scale = (float)(1.5 / sqrt(r->head_dim)), .softcap = (float)r->softcap, .q_period = period, .kv_period = r->mask == SLOTS ? CONTEXT : keys_of(r), .decode = r->decode};
	struct pm_tensor *q, *k, *v, *span, *kspan;

	q = op_input(c, &(struct op_in){"q", PM_F32, c->T, r->heads * r->head_dim, flags, .mean = 0});
	k = op_input(c, &(struct op_in){"k", r->type, S, r->kv_heads * r->head_dim, flags, .mean = 0, .fill = r->mask == SLOTS ? slots : NULL});
	v = op_input(c, &(struct op_in){"v", r->type, S, r->kv_heads * r->v_dim, flags, .mean = 0, .fill = r->mask == SLOTS ? slots : NULL});
	span = op_input(c, &(struct op_in){"span", PM_I32, c->T, 2, OP_ROWS | OP_INDEX, .fill = spans, .of = all});
	kspan = grad ? op_input(c, &(struct op_in){"kspan", PM_I32, S, 2, OP_ROWS | OP_INDEX, .fill = key_spans, .of = r->c.T}) : op_none(c);
	o.sinks = r->sinks ? op_input(c, &(struct op_in){"sinks", PM_F32, 1, r->heads, grad ? OP_GRAD : 0, .mean = 0.5}) : op_none(c);
	op_output(c, pm_attention(c->g, q, k, v, span, kspan, &o), OP_ROWS);
}

static void ref(const void *p, const double *const *in, double *const *out)
{
	const struct row *r = p;
	const int64_t D = r->head_dim, DV = r->v_dim;
	double *s = malloc(sizeof *s * (size_t)keys_of(r));

	for (int64_t i = 0; i < r->c.T * r->heads; i++) {
		const int64_t h = i % r->heads / (r->heads / r->kv_heads), from = (int64_t)in[3][i / r->heads * 2], n = (int64_t)in[3][i / r->heads * 2 + 1] - from;
		const double *q = in[0] + i * D, *k = in[1] + (from * r->kv_heads + h) * D, *v = in[2] + (from * r->kv_heads + h) * DV;
		double top = in[5] ? in[5][i % r->heads] : -INFINITY, sum = 0;

		for (int64_t j = 0; j < n; j++) {
			s[j] = 0;
			for (int64_t d = 0; d < D; d++)
				s[j] += q[d] * k[j * r->kv_heads * D + d];
			s[j] *= (float)(1.5 / sqrt((double)D));
			if (r->softcap > 0)
				s[j] = (float)r->softcap * tanh(s[j] / (float)r->softcap);
			top = fmax(top, s[j]);
		}
		for (int64_t j = 0; j < n; j++)
			sum += s[j] = exp(s[j] - top);
		if (in[5])
			sum += exp(in[5][i % r->heads] - top);
		for (int64_t d = 0; d < DV; d++) {
			double y = 0;

			for (int64_t j = 0; j < n; j++)
				y += s[j] * v[j * r->kv_heads * DV + d];
			out[0][i * DV + d] = n > 0 ? y / sum : 0;
		}
	}
	free(s);
}

static void cost(const void *p, double *flops, double *bytes, double *back)
{
	const struct row *r = p;
	const double T = (double)r->c.T, S = (double)keys_of(r), pairs = T * (S - T) + T * (T + 1) / 2;

	*flops = 2 * pairs * r->heads * (r->head_dim + r->v_dim);
	*bytes = S * r->kv_heads * (r->head_dim + r->v_dim) * (r->type == PM_F32 ? 4 : 2);
	*back = 2.5;
}

/* ---- documents in one row of the batch ---- */

enum { ROWS = 150, SECOND = 71, COLS = 32, KV_COLS = 16 };      /* documents of 71 and 79 tokens, 2 heads of 16 on 1 */
enum { DOC_Q, DOC_K, DOC_V, DOC_DY, DOC_N };

struct documents {
	bool bf16;
	int64_t unseen;                 /* keys behind those that are seen */
	struct pm_graph *g;
	struct pm_plan *plan;
	struct pm_mem *mem[DOC_N], *grad[DOC_DY];
	float y[ROWS * COLS], d[DOC_DY][ROWS * COLS];
};

static int64_t width(int i)
{
	return i == DOC_K || i == DOC_V ? KV_COLS : COLS;
}

static struct pm_tensor *document_input(struct documents *t, struct pm_dev *d, int i, unsigned first, struct pm_err *e)
{
	const int64_t count = ROWS + (i == DOC_K || i == DOC_V ? t->unseen : 0), n = count * width(i);
	float *v = pm_alloc((size_t)n, sizeof *v, e);
	struct pm_tensor *x = NULL;

	for (int64_t j = 0; v && j < n; j++)
		v[j] = pm_rng_normal(j < SECOND * width(i) ? first : 1, (uint32_t)i, (uint64_t)j);
	if (v && pm_mem_new(&t->mem[i], d, sizeof *v * (size_t)n, e) == 0 && pm_mem_write(t->mem[i], 0, v, sizeof *v * (size_t)n, e) == 0)
		x = pm_tensor_of(t->g, PM_T_WEIGHT, PM_F32, count, width(i), t->mem[i], "x");
	if (x && i < DOC_DY && pm_mem_new(&t->grad[i], d, sizeof *v * (size_t)n, e) == 0 && pm_mem_zero(t->grad[i], 0, sizeof *v * (size_t)n, e) == 0) {
		x->trains = true;
		x->grad = pm_tensor_of(t->g, PM_T_STATE, PM_F32, count, width(i), t->grad[i], "dx");
	}
	free(v);
	return x;
}

/* Outputs and gradients of both documents; `first` seeds what stands in the first one. */
static int document_run(struct documents *t, struct pm_dev *d, unsigned first, struct pm_err *e)
{
	const struct pm_attention_opts o = {.heads = 2, .kv_heads = 1, .head_dim = 16, .scale = 0.25f};
	struct pm_tensor *x[DOC_N], *span, *kspan, *y;
	int32_t spans[2 * ROWS], kspans[4 * ROWS] = {0};

	if (pm_graph_new(&t->g, d, e) < 0)
		return -1;
	t->g->bf16 = t->bf16;
	for (int i = 0; i < DOC_N; i++)
		x[i] = document_input(t, d, i, first, e);
	for (int i = 0; i < ROWS; i++) {
		spans[2 * i] = i < SECOND ? 0 : SECOND;
		spans[2 * i + 1] = i + 1;
		kspans[2 * i] = i;
		kspans[2 * i + 1] = i < SECOND ? SECOND : ROWS;
	}
	span = pm_tensor(t->g, PM_T_INPUT, PM_I32, ROWS, 2, "span");
	kspan = pm_tensor(t->g, PM_T_INPUT, PM_I32, ROWS + t->unseen, 2, "kspan");
	y = pm_attention(t->g, x[DOC_Q], x[DOC_K], x[DOC_V], span, kspan, &o);
	if (pm_graph_ok(t->g, e) < 0 || !y || !x[DOC_DY])
		return -1;
	y->keep = true;
	pm_grad_seed(y, x[DOC_DY]);
	if (pm_grad(t->g, false, e) < 0 || pm_plan_new(&t->plan, t->g, e) < 0 || pm_plan_alloc(t->plan, NULL, e) < 0 ||
	    pm_plan_write(t->plan, span, spans, e) < 0 || pm_plan_write(t->plan, kspan, kspans, e) < 0 || pm_plan_run(t->plan, e) < 0 ||
	    pm_plan_read(t->plan, y, t->y, e) < 0)
		return -1;
	for (int i = 0; i < DOC_DY; i++)
		if (pm_mem_read(t->grad[i], 0, t->d[i], sizeof (float) * (size_t)(ROWS * width(i)), e) < 0)
			return -1;
	return 0;
}

static void document_free(struct documents *t)
{
	pm_plan_free(t->plan);
	pm_graph_free(t->g);
	for (int i = 0; i < DOC_N; i++)
		pm_mem_free(t->mem[i]);
	for (int i = 0; i < DOC_DY; i++)
		pm_mem_free(t->grad[i]);
}

/* What is compared, of rows from `first` on. */
static bool same(const struct documents *a, const struct documents *b, int64_t first)
{
	bool r = memcmp(a->y + first * COLS, b->y + first * COLS, sizeof (float) * (size_t)((ROWS - first) * COLS)) == 0;

	for (int i = 0; i < DOC_DY; i++)
		r = r && memcmp(a->d[i] + first * width(i), b->d[i] + first * width(i), sizeof (float) * (size_t)((ROWS - first) * width(i))) == 0;
	return r;
}

/* The bits of a document do not depend on what stands in another one, nor on keys that nobody sees (with which tiles are not rounded once for all). */
static void test_documents(struct op_env *env)
{
	for (int bf16 = 0; bf16 < 2; bf16++) {
		struct documents t[3] = {{.bf16 = bf16}, {.bf16 = bf16}, {.bf16 = bf16, .unseen = 3}};
		struct pm_err e = {0};

		if (document_run(&t[0], env->dev, 1, &e) < 0 || document_run(&t[1], env->dev, 2, &e) < 0 || document_run(&t[2], env->dev, 1, &e) < 0) {
			op_check(env, false, "%s", e.text);
		} else {
			op_check(env, !same(&t[0], &t[1], 0), "the document that was changed is the same");
			op_check(env, same(&t[0], &t[1], SECOND), "a document changes with the one before it");
			op_check(env, same(&t[0], &t[2], 0), "a document changes with keys that nobody sees");
		}
		for (int i = 0; i < 3; i++)
			document_free(&t[i]);
	}
}

const struct op_test op_test_attention = {"attention", OP_TABLE(rows), build, ref, cost, .test = test_documents};
