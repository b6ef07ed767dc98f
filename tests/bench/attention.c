/* attention.c: attention forward and backward, as training and prefill call it. Operations are counted over the pairs of query and key that
 * see each other: two products forward, five backward. The ceilings are products of this library, measured in the same run. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/rng.h"
#include "bench.h"
#include "op/op.h"

enum { Q, K, V, DY, LEAVES };

struct shape {
	int64_t rows, heads, kv_heads, dim;
	int64_t window, document;       /* 0: none */
	enum pm_dtype cache;            /* of k and v; not PM_F32: no gradient */
	float softcap;
	bool bf16;
};

struct timed {
	struct pm_graph *g;
	struct pm_plan *plan;
	struct pm_mem *mem[2 * LEAVES];
	size_t nmem;
};

static struct pm_tensor *leaf(struct bench *b, struct timed *t, enum pm_dtype type, int64_t rows, int64_t cols, bool fill)
{
	const size_t n = (size_t)(rows * cols), each = pm_dtype(type)->bytes;
	void *v = pm_alloc(n, each, &b->e);
	struct pm_mem **m = &t->mem[t->nmem];

	bench_must(b, v ? 0 : -1);
	for (size_t i = 0; fill && i < n; i++) {
		const float x = pm_rng_normal(3, (uint32_t)t->nmem, i);

		if (type == PM_F32)
			((float *)v)[i] = x;
		else
			((uint16_t *)v)[i] = type == PM_F16 ? pm_f32_to_f16(x) : pm_f32_to_bf16(x);
	}
	bench_must(b, pm_mem_new(m, b->dev, n * each, &b->e));
	bench_must(b, pm_mem_write(*m, 0, v, n * each, &b->e));
	free(v);
	t->nmem++;
	return pm_tensor_of(t->g, PM_T_STATE, type, rows, cols, *m, "leaf");
}

/* A leaf's value, as stored. */
static double value(enum pm_dtype type, uint32_t number, size_t i)
{
	const float x = pm_rng_normal(3, number, i);

	return type == PM_F32 ? x : type == PM_F16 ? pm_f16_to_f32(pm_f32_to_f16(x)) : pm_bf16_to_f32(pm_f32_to_bf16(x));
}

/* The error of some results y (rows, heads·dim); span: first and last visible key of each query. */
static double error_of(const struct shape *s, const float *y, const int32_t *span)
{
	const size_t kv = (size_t)(s->kv_heads * s->dim), width = (size_t)(s->heads * s->dim), dim = (size_t)s->dim;
	struct bench_errors sum = {0};

	for (int64_t n = 0; n < 16; n++) {
		const int64_t r = (n * 977 + s->rows - 1) % s->rows, h = n * 5 % s->heads, g = h / (s->heads / s->kv_heads);
		const size_t q = (size_t)r * width + (size_t)h * dim;
		double out[256] = {0}, total = 0;

		for (int64_t j = span[2 * r]; j < span[2 * r + 1]; j++) {
			const size_t at = (size_t)j * kv + (size_t)g * dim;
			double score = 0;

			for (size_t i = 0; i < dim; i++)
				score += value(PM_F32, Q, q + i) * value(s->cache, K, at + i);
			score /= sqrt((double)s->dim);
			score = exp(s->softcap > 0 ? s->softcap * tanh(score / s->softcap) : score);
			total += score;
			for (size_t i = 0; i < dim; i++)
				out[i] += score * value(s->cache, V, at + i);
		}
		for (size_t i = 0; i < dim; i++)
			bench_compare(&sum, y[q + i], out[i] / total);
	}
	return bench_error(sum);
}

static int run(void *arg, struct pm_err *e)
{
	return pm_plan_run(((struct timed *)arg)->plan, e);
}

static struct bench_time finish(struct bench *b, struct timed *t, struct pm_tensor *y, float *result)
{
	struct bench_time s = bench_time(b, run, t);

	if (result)
		bench_must(b, pm_plan_read(t->plan, y, result, &b->e));
	pm_plan_free(t->plan);
	pm_graph_free(t->g);
	while (t->nmem)
		pm_mem_free(t->mem[--t->nmem]);
	return s;
}

/* The rate of a product, as a ceiling of that name. */
static void product(struct bench *b, bool bf16, const char *what, const char *name)
{
	const int64_t rows = 1024, k = 2048, n = 2048;
	struct timed t = {0};
	struct bench_time s;
	struct pm_tensor *y;

	bench_must(b, pm_graph_new(&t.g, b->dev, &b->e));
	t.g->bf16 = bf16;
	y = pm_linear(t.g, leaf(b, &t, PM_F32, rows, k, true), leaf(b, &t, PM_F32, n, k, true), NULL, NULL);
	bench_must(b, pm_graph_ok(t.g, &b->e));
	y->keep = true;
	bench_must(b, pm_plan_new(&t.plan, t.g, &b->e));
	bench_must(b, pm_plan_alloc(t.plan, NULL, &b->e));
	s = finish(b, &t, y, NULL);
	bench_set_ceiling(name, s, 2 * (double)(rows * k * n));
	bench_row(b, what, s, 2 * (double)(rows * k * n), "GFLOP/s", bf16 ? "bf16" : "f32");
}

/* The spans of queries and keys; returns how many pairs there are. */
static double spans(const struct shape *s, int32_t *span, int32_t *kspan)
{
	double pairs = 0;

	for (int64_t i = 0; i < s->rows; i++) {
		const int64_t begin = s->document ? i / s->document * s->document : 0, end = s->document && begin + s->document < s->rows ? begin + s->document : s->rows;

		span[2 * i] = (int32_t)(s->window && i - s->window + 1 > begin ? i - s->window + 1 : begin);
		span[2 * i + 1] = (int32_t)i + 1;
		kspan[2 * i] = (int32_t)i;
		kspan[2 * i + 1] = (int32_t)(s->window && i + s->window < end ? i + s->window : end);
		pairs += (double)(span[2 * i + 1] - span[2 * i]);
	}
	return pairs;
}

static struct bench_time measure(struct bench *b, const struct shape *s, bool backward, double *pairs)
{
	const struct pm_attention_opts o = {.heads = (int32_t)s->heads, .kv_heads = (int32_t)s->kv_heads, .head_dim = (int32_t)s->dim,
		.scale = (float)(1 / sqrt((double)s->dim)), .softcap = s->softcap};
	const int64_t cols[LEAVES] = {s->heads * s->dim, s->kv_heads * s->dim, s->kv_heads * s->dim, s->heads * s->dim};
	int32_t *at = pm_alloc(4 * (size_t)s->rows, sizeof *at, &b->e);
	struct pm_tensor *x[LEAVES], *span, *kspan, *y;
	struct bench_time took;
	struct timed t = {0};
	float *result = NULL;

	bench_must(b, at ? 0 : -1);
	*pairs = spans(s, at, at + 2 * s->rows);
	bench_must(b, pm_graph_new(&t.g, b->dev, &b->e));
	t.g->bf16 = s->bf16;
	for (int i = 0; i < LEAVES; i++)
		x[i] = leaf(b, &t, i == K || i == V ? s->cache : PM_F32, s->rows, cols[i], true);
	for (int i = 0; backward && i < DY; i++) {
		x[i]->trains = true;
		x[i]->grad = leaf(b, &t, PM_F32, s->rows, cols[i], false);
	}
	span = pm_tensor(t.g, PM_T_INPUT, PM_I32, s->rows, 2, "span");
	kspan = backward ? pm_tensor(t.g, PM_T_INPUT, PM_I32, s->rows, 2, "kspan") : NULL;
	y = pm_attention(t.g, x[Q], x[K], x[V], span, kspan, &o);
	bench_must(b, pm_graph_ok(t.g, &b->e));
	y->keep = true;
	if (backward) {
		pm_grad_seed(y, x[DY]);
		bench_must(b, pm_grad(t.g, false, &b->e));
	}
	bench_must(b, pm_plan_new(&t.plan, t.g, &b->e));
	bench_must(b, pm_plan_alloc(t.plan, NULL, &b->e));
	bench_must(b, pm_plan_write(t.plan, span, at, &b->e));
	if (backward)
		bench_must(b, pm_plan_write(t.plan, kspan, at + 2 * s->rows, &b->e));
	if (!backward) {
		result = pm_alloc((size_t)(s->rows * cols[Q]), sizeof *result, &b->e);
		bench_must(b, result ? 0 : -1);
	}
	took = finish(b, &t, y, result);
	if (result)
		b->error = error_of(s, result, at);
	free(result);
	free(at);
	return took;
}

/* Rows of a shape: forward, and with gradients what these take beside. */
static void rows(struct bench *b, const char *what, struct shape s)
{
	const char *ceiling = s.bf16 ? "bf16 product" : "f32 product";
	struct bench_time fwd, both;
	char name[100];
	double pairs;

	if (!bench_wants(b, what))
		return;
	fwd = measure(b, &s, false, &pairs);
	snprintf(name, sizeof name, "attention fwd %s", what);
	bench_row(b, name, fwd, 4 * pairs * (double)(s.heads * s.dim), "GFLOP/s", ceiling);
	if (s.cache != PM_F32)
		return;
	both = measure(b, &s, true, &pairs);
	snprintf(name, sizeof name, "attention bwd %s", what);
	bench_row(b, name, (struct bench_time){both.best - fwd.best, both.median - fwd.median}, 10 * pairs * (double)(s.heads * s.dim), "GFLOP/s", ceiling);
}

BENCH(25, attention)
{
	const bool pairs = pm_dev_info(b->dev)->bf16 || pm_dev_info(b->dev)->amx;
	struct shape s = {.rows = 1024, .heads = 16, .kv_heads = 8, .dim = 64, .cache = PM_F32};

	product(b, false, "product 1024x2048x2048 f32", "f32 product");
	if (pairs)
		product(b, true, "product 1024x2048x2048 rounded to bf16", "bf16 product");
	for (int bf16 = 0; bf16 <= pairs; bf16++) {
		s = (struct shape){.rows = 1024, .heads = 16, .kv_heads = 8, .dim = 64, .cache = PM_F32, .bf16 = bf16};
		rows(b, bf16 ? "1024, 16/8 of 64, bf16" : "1024, 16/8 of 64", s);
		s.rows = 4096;
		rows(b, bf16 ? "4096, 16/8 of 64, bf16" : "4096, 16/8 of 64", s);
		s.heads = 8, s.kv_heads = 4, s.dim = 128, s.rows = 1024;
		rows(b, bf16 ? "1024, 8/4 of 128, bf16" : "1024, 8/4 of 128", s);
		s.rows = 4096;
		rows(b, bf16 ? "4096, 8/4 of 128, bf16" : "4096, 8/4 of 128", s);
	}
	s = (struct shape){.rows = 4096, .heads = 16, .kv_heads = 8, .dim = 64, .window = 512, .cache = PM_F32};
	rows(b, "4096, 16/8 of 64, window of 512", s);
	s.window = 0, s.document = 300;
	rows(b, "4096, 16/8 of 64, documents of 300", s);
	s.document = 0, s.softcap = 50, s.rows = 1024;
	rows(b, "1024, 16/8 of 64, soft cap", s);
	s.softcap = 0, s.dim = 256, s.heads = 4, s.kv_heads = 1;
	rows(b, "1024, 4/1 of 256", s);
	s = (struct shape){.rows = 4096, .heads = 16, .kv_heads = 8, .dim = 64, .cache = PM_F16};
	rows(b, "4096, 16/8 of 64, f16 cache", s);
}
