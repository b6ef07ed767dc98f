/* linear.c: products with weights, of training and prefill (tiles) and of decoding (few rows), and the head with its loss. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench.h"
#include "op/op.h"
#include "quant/quant.h"

#define MOST 64
#define SAMPLES 64              /* results that are compared with double */

/* Layers that follow each other over one x (T, in), each with a weight of its own, so that no cache holds them. */
struct layers {
	int64_t rows, in, out, rank;
	enum pm_dtype type;
	int count;
	bool bf16, thin, exact, grad, head;
	struct pm_graph *g;
	struct pm_plan *plan;
	struct pm_tensor *x, *w, *a, *b, *y;    /* of the last layer */
	struct pm_mem *mem[MOST];
	size_t nmem;
};

/* Number i of a leaf, up to 1/16. */
static float number(size_t leaf, size_t i)
{
	uint32_t u = ((uint32_t)i + (uint32_t)leaf * 0x9e3779b9u) * 2654435761u;

	u = (u ^ u >> 15) * 2246822519u;
	return ((float)((u ^ u >> 13) >> 8) - 8388607.5f) * 0x1p-27f;
}

static struct pm_tensor *leaf(struct bench *b, struct layers *l, enum pm_dtype type, int64_t rows, int64_t cols)
{
	const size_t n = (size_t)(rows * cols), bytes = pm_dtype_bytes(type, n);
	float *f = pm_alloc(n, sizeof *f, &b->e);
	void *p = pm_alloc(bytes, 1, &b->e);
	size_t i;

	bench_must(b, f && p ? 0 : -1);
	for (i = 0; i < n; i++)
		f[i] = number(l->nmem, i);
	if (type == PM_I32)
		for (i = 0; i < n; i++)
			((int32_t *)p)[i] = (int32_t)i;
	else
		bench_must(b, pm_quant_from_f32(p, type, f, (size_t)rows, (size_t)cols, NULL, &b->e));
	bench_must(b, pm_mem_new(&l->mem[l->nmem], b->dev, bytes, &b->e));
	bench_must(b, pm_mem_write(l->mem[l->nmem], 0, p, bytes, &b->e));
	free(f);
	free(p);
	return pm_tensor_of(l->g, PM_T_STATE, type, rows, cols, l->mem[l->nmem++], "leaf");
}

static void trains(struct bench *b, struct layers *l, struct pm_tensor *t)
{
	t->trains = true;
	t->grad = leaf(b, l, PM_F32, t->rows, t->cols);
}

static void build(struct bench *b, struct layers *l)
{
	struct pm_lora lora = {.s = 1};
	struct pm_tensor *x, *y = NULL, *target = NULL;
	int i;

	bench_must(b, pm_graph_new(&l->g, b->dev, &b->e));
	l->g->bf16 = l->bf16;
	l->g->thin = l->thin;
	l->g->int8 = !l->exact;
	x = leaf(b, l, PM_F32, l->rows, l->in);
	l->x = x;
	if (l->grad)
		trains(b, l, x);
	if (l->head)
		target = leaf(b, l, PM_I32, l->rows, 1);
	for (i = 0; i < l->count; i++) {
		struct pm_tensor *w = leaf(b, l, l->type, l->out, l->in);

		if (l->rank) {
			lora.a = leaf(b, l, PM_F32, l->rank, l->in);
			lora.b = leaf(b, l, PM_F32, l->out, l->rank);
			trains(b, l, l->a = lora.a);
			trains(b, l, l->b = lora.b);
		}
		if (l->head)
			y = pm_nll(l->g, x, w, NULL, target, &(struct pm_head_opts){.lora = lora}, NULL);
		else
			y = pm_linear(l->g, x, w, NULL, &(struct pm_linear_opts){.lora = lora});
		l->w = w;
		l->y = y;
		if (y)
			y->keep = true;
		if (y && l->grad)
			pm_grad_seed(y, leaf(b, l, PM_F32, y->rows, y->cols));
	}
	bench_must(b, pm_graph_ok(l->g, &b->e));
	if (l->grad)
		bench_must(b, pm_grad(l->g, false, &b->e));
	bench_must(b, pm_plan_new(&l->plan, l->g, &b->e));
	bench_must(b, pm_plan_alloc(l->plan, NULL, &b->e));
}

static int run(void *arg, struct pm_err *e)
{
	const struct layers *l = arg;

	return pm_plan_run(l->plan, e);
}

/* Row r of t as floats. */
static void floats(struct bench *b, const struct pm_tensor *t, int64_t r, float *to)
{
	const size_t bytes = pm_dtype_bytes(t->type, (uint64_t)t->cols);
	void *p = pm_alloc(bytes, 1, &b->e);

	bench_must(b, p ? pm_mem_read(t->mem, (size_t)r * bytes, p, bytes, &b->e) : -1);
	pm_quant_to_f32(to, p, t->type, (size_t)t->cols);
	free(p);
}

static double dot(const float *a, const float *b, int64_t n)
{
	double s = 0;

	for (int64_t i = 0; i < n; i++)
		s += (double)a[i] * b[i];
	return s;
}

/* Result (r, c) of a layer in double; room for three rows. */
static double wanted(struct bench *b, const struct layers *l, int64_t r, int64_t c, float *room)
{
	const int64_t k = l->in;
	double s;

	floats(b, l->x, r, room);
	floats(b, l->w, c, room + k);
	s = dot(room, room + k, k);
	if (l->rank)
		floats(b, l->b, c, room + 2 * k);
	for (int64_t i = 0; i < l->rank; i++) {
		floats(b, l->a, i, room + k);
		s += dot(room, room + k, k) * room[2 * k + i];
	}
	return s;
}

/* What row r of the head is to be: log Σ e^logit less the target's. */
static double wanted_nll(struct bench *b, const struct layers *l, int64_t r, float *room)
{
	double sum = 0, target = 0;

	for (int64_t c = 0; c < l->out; c++) {
		const double v = wanted(b, l, r, c, room);

		sum += exp(v);
		target = c == r ? v : target;           /* as leaf() numbers them */
	}
	return log(sum) - target;
}

static double error_of(struct bench *b, const struct layers *l)
{
	float *y = pm_alloc((size_t)(l->y->rows * l->y->cols), sizeof *y, &b->e), *room = pm_alloc(3 * (size_t)l->in, sizeof *room, &b->e);
	struct bench_errors s = {0};
	int i;

	bench_must(b, y && room ? pm_plan_read(l->plan, l->y, y, &b->e) : -1);
	for (i = 0; i < (l->head ? 2 : SAMPLES); i++) {
		const int64_t r = i * 37 % l->rows, c = i * 7919 % l->out;

		if (l->head)
			bench_compare(&s, y[r], wanted_nll(b, l, r, room));
		else
			bench_compare(&s, y[r * l->out + c], wanted(b, l, r, c, room));
	}
	free(y);
	free(room);
	return bench_error(s);
}

/* flops: a ceiling of operations; else the ceiling is that of memory, for the weights' bytes. */
static void row(struct bench *b, const char *what, struct layers l, double passes, const char *flops)
{
	const double weights = (double)(l.count * l.in * l.out);
	struct bench_time t;

	if (!bench_wants(b, what))
		return;
	build(b, &l);
	t = bench_time(b, run, &l);
	b->error = error_of(b, &l);
	if (flops)
		bench_row(b, what, t, passes * 2 * (double)l.rows * weights, "GFLOP/s", flops);
	else
		bench_row(b, what, t, (double)pm_dtype_bytes(l.type, (uint64_t)weights), "GB/s", "dram");
	pm_plan_free(l.plan);
	pm_graph_free(l.g);
	while (l.nmem)
		pm_mem_free(l.mem[--l.nmem]);
}

BENCH(20, linear)
{
	const struct pm_dev_info *info = pm_dev_info(b->dev);
	const char *rounded = info->amx ? "amx" : info->bf16 ? "bf16" : "f32";
	const struct layers square = {.rows = 512, .in = 2048, .out = 2048, .count = 1};
	struct layers l = square;

	row(b, "linear 512x2048x2048 f32", l, 1, "f32");
	l.type = PM_BF16;
	row(b, "linear 512x2048x2048 bf16 weights", l, 1, "f32");
	l.rank = 16;
	l.grad = true;
	row(b, "linear 512x2048x2048 LoRA 16, all gradients", l, 2, "f32");
	l.bf16 = true;
	row(b, "linear 512x2048x2048 LoRA, rounded to bf16", l, 2, rounded);
	l = square;
	l.type = PM_BF16;
	l.bf16 = true;
	row(b, "linear 512x2048x2048 rounded to bf16", l, 1, rounded);
	l.rows = 64;
	row(b, "linear 64x2048x2048 rounded to bf16", l, 1, rounded);
	l = (struct layers){.rows = 512, .in = 1024, .out = 4096, .count = 24, .type = PM_BF16, .bf16 = true};
	row(b, "linear 512x1024x4096 rounded to bf16, 24 layers", l, 1, rounded);
	l = (struct layers){.rows = 512, .in = 4096, .out = 1024, .count = 24, .type = PM_BF16, .bf16 = true};
	row(b, "linear 512x4096x1024 rounded to bf16, 24 layers", l, 1, rounded);
	l = (struct layers){.rows = 512, .in = 1024, .out = 1024, .count = 48, .type = PM_BF16, .bf16 = true};
	row(b, "linear 512x1024x1024 rounded to bf16, 48 layers", l, 1, rounded);
	l = (struct layers){.rows = 512, .in = 1024, .out = 32000, .count = 1, .type = PM_BF16, .grad = true, .head = true};
	row(b, "head 512x1024x32000 with loss and gradient", l, 3, "f32");
	l.bf16 = true;
	row(b, "head 512x1024x32000, rounded to bf16", l, 3, rounded);
}

BENCH(21, thin)
{
	struct layers l = {.rows = 1, .in = 2048, .out = 8192, .count = 8, .thin = true};

	row(b, "thin 1x2048x8192 f32", l, 1, NULL);
	l.type = PM_BF16;
	l.count = 16;
	row(b, "thin 1x2048x8192 bf16", l, 1, NULL);
	l.type = PM_F16;
	row(b, "thin 1x2048x8192 f16", l, 1, NULL);
	l.type = PM_BF16;
	l = (struct layers){.rows = 1, .in = 1024, .out = 1024, .count = 48, .type = PM_BF16, .thin = true};
	row(b, "thin 1x1024x1024 bf16", l, 1, NULL);
	l.out = 4096;
	row(b, "thin 1x1024x4096 bf16", l, 1, NULL);
	l.in = 4096;
	l.out = 1024;
	row(b, "thin 1x4096x1024 bf16", l, 1, NULL);
	l = (struct layers){.rows = 4, .in = 2048, .out = 8192, .count = 16, .type = PM_BF16, .thin = true};
	row(b, "thin 4x2048x8192 bf16", l, 1, NULL);
	l.rows = 16;
	row(b, "thin 16x2048x8192 bf16", l, 1, "f32");
}

BENCH(22, blocks)
{
	static const enum pm_dtype types[] = {PM_Q8_0, PM_Q4_0, PM_Q4_K, PM_Q6_K, PM_Q5_K, PM_Q5_0, PM_Q4_1, PM_Q3_K, PM_Q2_K, PM_IQ4_NL, PM_IQ4_XS, PM_MXFP4};
	const char *rounded = pm_dev_info(b->dev)->amx ? "amx" : pm_dev_info(b->dev)->bf16 ? "bf16" : "f32";
	struct layers l = {.rows = 1, .in = 2048, .out = 8192, .thin = true};
	char name[64];
	size_t i;

	for (i = 0; i < sizeof types / sizeof *types; i++) {
		l = (struct layers){.rows = 1, .in = 2048, .out = 8192, .count = 32, .type = types[i], .thin = true};
		snprintf(name, sizeof name, "thin 1x2048x8192 %s", pm_dtype(types[i])->name);
		row(b, name, l, 1, NULL);
	}
	for (i = 0; i < 5; i++) {
		l = (struct layers){.rows = 1, .in = 1024, .out = 1024, .count = 60, .type = types[i], .thin = true};
		snprintf(name, sizeof name, "thin 1x1024x1024 %s", pm_dtype(types[i])->name);
		row(b, name, l, 1, NULL);
	}
	for (i = 0; i < 5; i++) {
		l = (struct layers){.rows = 1, .in = 2048, .out = 8192, .count = 8, .type = types[i], .thin = true, .exact = true};
		snprintf(name, sizeof name, "thin 1x2048x8192 %s, float", pm_dtype(types[i])->name);
		row(b, name, l, 1, NULL);
	}
	for (i = 0; i < 5; i++) {
		l = (struct layers){.rows = 16, .in = 2048, .out = 8192, .count = 8, .type = types[i], .thin = true};
		snprintf(name, sizeof name, "thin 16x2048x8192 %s", pm_dtype(types[i])->name);
		row(b, name, l, 1, "f32");
	}
	for (i = 0; i < 5; i++) {
		l = (struct layers){.rows = 512, .in = 2048, .out = 2048, .count = 1, .type = types[i], .bf16 = true};
		snprintf(name, sizeof name, "linear 512x2048x2048 %s, rounded to bf16", pm_dtype(types[i])->name);
		row(b, name, l, 1, rounded);
	}
}
