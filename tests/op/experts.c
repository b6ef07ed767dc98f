#include <string.h>

#include "harness.h"
#include "moe.h"

/* The sizes of a matrix, or with `inner` of two, one after the other: that of the rows, then that of the pairs. Their combination comes out. */
struct row {
	struct op_case c;
	int64_t experts, chosen, in, out, inner, rank;
	enum pm_dtype type;
	bool transposed, bias;
	double s, dropout;
	unsigned flags;                 /* of x: OP_VIEW */
	bool frozen;                    /* W and the bias have no gradient */
	bool woven;                     /* W is, too */
};

#define F16 .type = PM_F16, .frozen = true
#define BF16 .type = PM_BF16, .frozen = true
#define BLOCKS(t) .type = (t), .frozen = true
#define LORA .rank = 3, .s = 2
#define STREAM 77

static const struct row rows[] = {
	{{"1x1x1, 1 of 1", .T = 1}, 1, 1, 1, 1, .bias = false},
	{{"31x33x65, 2 of 5", .T = 31}, 5, 2, 33, 65, .bias = true},
	{{"33x65x31 transposed, 3 of 7", .T = 33}, 7, 3, 65, 31, .transposed = true, .bias = true},
	{{"7x31x1000, 1 of 9", .T = 7}, 9, 1, 31, 1000, .bias = false},
	{{"130x1000x17, 2 of 4, view", .T = 130}, 4, 2, 1000, 17, .flags = OP_VIEW},
	{{"24x20x50, 3 of 6, periods", .T = 24, .period = 6}, 6, 3, 20, 50, .bias = true, .flags = OP_VIEW, LORA},
	{{"40x20x50, 2 of 9, periods of one", .T = 40, .period = 1}, 9, 2, 20, 50, .transposed = true, .bias = true, LORA},
	{{"33x40x30 by 48, 3 of 5, periods", .T = 33, .period = 11}, 5, 3, 40, 30, .inner = 48, .bias = true, LORA},
	{{"20x50x30 dropout, 2 of 6", .T = 20, .period = 5}, 6, 2, 50, 30, LORA, .dropout = 0.25},
	{{"20x50x30 by 20, dropout, 2 of 6", .T = 20, .period = 5}, 6, 2, 50, 30, .inner = 20, LORA, .dropout = 0.5, .flags = OP_VIEW},
	{{"9x65x100 f16 transposed, 2 of 4", .T = 9}, 4, 2, 65, 100, F16, .transposed = true, .bias = true, LORA},
	{{"9x77x49 bf16, 2 of 4", .T = 9}, 4, 2, 77, 49, BF16, .bias = true, LORA},
	{{"66x100x60 rounded, bf16, 2 of 4", .T = 66, .period = 33, .bf16 = true}, 4, 2, 100, 60, .type = PM_BF16, .bias = true, .frozen = true, LORA},
	{{"66x100x60 rounded, f32, 3 of 6", .T = 66, .period = 33, .bf16 = true}, 6, 3, 100, 60, .transposed = true, LORA},
	{{"33x256x70 q4_k, 2 of 3", .T = 33, .period = 11}, 3, 2, 256, 70, BLOCKS(PM_Q4_K), .bias = true, LORA},
	{{"33x96x70 q4_0, 2 of 3", .T = 33, .period = 11}, 3, 2, 96, 70, BLOCKS(PM_Q4_0), .bias = true, LORA},
	{{"33x64x96 q8_0 transposed, 2 of 3", .T = 33}, 3, 2, 64, 96, BLOCKS(PM_Q8_0), .transposed = true},
	{{"20x64x50 mxfp4 rounded, 2 of 6", .T = 20, .bf16 = true}, 6, 2, 64, 50, BLOCKS(PM_MXFP4), .bias = true},
	{{"20x64x50 nf4, 2 of 6", .T = 20}, 6, 2, 64, 50, BLOCKS(PM_NF4), LORA},
	{{"1x33x65 thin, 4 of 9", .T = 1, .thin = true}, 9, 4, 33, 65, .bias = true},
	{{"15x100x31 thin, 2 of 5", .T = 15, .period = 5, .thin = true}, 5, 2, 100, 31, .bias = true, .flags = OP_VIEW, LORA},
	{{"21x100x77 by 40 thin bf16, 3 of 7", .T = 21, .period = 7, .thin = true}, 7, 3, 100, 77, .inner = 40, BF16, .bias = true, LORA},
	{{"21x100x77 by 40 thin bf16 rounded, 3 of 7", .T = 21, .period = 7, .thin = true, .bf16 = true}, 7, 3, 100, 77, .inner = 40, BF16, .bias = true, LORA},
	{{"5x100x129 thin transposed, 2 of 5", .T = 5, .period = 1, .thin = true}, 5, 2, 100, 129, .transposed = true, .bias = true},
	{{"5x100x129 by 64 thin f16 transposed, 2 of 5", .T = 5, .period = 1, .thin = true}, 5, 2, 100, 129, .inner = 64, F16, .transposed = true},
	{{"7x256x70 q6_k thin, 2 of 5", .T = 7, .period = 1, .thin = true}, 5, 2, 256, 70, BLOCKS(PM_Q6_K), .bias = true, LORA},
	{{"7x256x70 by 96 q4_0 int8, 2 of 5", .T = 7, .period = 1, .thin = true, .int8 = true}, 5, 2, 256, 70, .inner = 96, BLOCKS(PM_Q4_0), .bias = true, LORA},
	{{"1x512x70 q4_k int8, 2 of 5", .T = 1, .thin = true, .int8 = true}, 5, 2, 512, 70, BLOCKS(PM_Q4_K)},
	{{"7x256x64 by 96 q4_0 int8, woven, 2 of 5", .T = 7, .period = 1, .thin = true, .int8 = true}, 5, 2, 256, 64, .inner = 96, BLOCKS(PM_Q4_0), .bias = true,
		LORA, .woven = true},
	{{"7x256x64 by 96 thin bf16 woven, 2 of 5", .T = 7, .period = 1, .thin = true, .bf16 = true}, 5, 2, 256, 64, .inner = 96, .type = PM_BF16, .frozen = true,
		.bias = true, LORA, .woven = true},
	{{"33x256x64 q4_k woven, 2 of 3", .T = 33, .period = 11, .bf16 = true}, 3, 2, 256, 64, BLOCKS(PM_Q4_K), .bias = true, LORA, .woven = true},
	{{"9x64x70 mxfp4 int8, 4 of 5", .T = 9, .period = 3, .thin = true, .int8 = true}, 5, 4, 64, 70, BLOCKS(PM_MXFP4), .bias = true},
	{{"512x2048x768 bf16, 4 of 32", .T = 512, .bf16 = true, .speed = true}, 32, 4, 2048, 768, BF16},
	{{"512x2048x768 q4_0, 4 of 32", .T = 512, .bf16 = true, .speed = true}, 32, 4, 2048, 768, BLOCKS(PM_Q4_0)},
	{{"64x2048x768 bf16, 4 of 32", .T = 64, .bf16 = true, .speed = true}, 32, 4, 2048, 768, BF16},
	{{"1x2048x768 thin bf16, 4 of 32", .T = 1, .thin = true, .speed = true}, 32, 4, 2048, 768, BF16},
	{{"1x2048x768 thin q4_0 int8, 4 of 32", .T = 1, .thin = true, .int8 = true, .speed = true}, 32, 4, 2048, 768, BLOCKS(PM_Q4_0)},
};

static void fill_counters(double *v, int64_t n, int64_t cols, const void *row)
{
	int64_t i;

	(void)row;
	for (i = 0; i < n * cols; i++)
		v[i] = (double)(int32_t)pm_rng_u32(5, 9, (uint64_t)i);
}

/* One of the products: its sizes, and its tensors. */
static struct pm_tensor *product(struct op_ctx *c, const struct row *r, struct pm_tensor *x, const struct pm_route *route, struct pm_tensor *rng,
	int64_t cols, int64_t out, bool pairs)
{
	const unsigned grad = r->frozen ? 0 : OP_GRAD;
	const double size = 1 / sqrt((double)cols);
	struct pm_experts_opts o = {.transposed = r->transposed, .pairs = pairs, .lora = {.s = (float)r->s, .dropout = (float)r->dropout,
		.rng = rng, .stream = STREAM + pairs}};
	struct pm_tensor *w, *b;

	w = op_input(c, &(struct op_in){.name = "W", .type = r->type, .rows = r->experts * (r->transposed ? cols : out), .cols = r->transposed ? out : cols,
		.flags = grad | (r->woven ? OP_WOVEN : 0), .scale = size});
	b = r->bias ? op_input(c, &(struct op_in){.name = "b", .type = pm_dtype_plain(r->type) ? r->type : PM_F32, .rows = r->experts, .cols = out, .flags = grad})
		: op_none(c);
	if (r->rank) {
		o.lora.a = op_input(c, &(struct op_in){.name = "A", .rows = r->experts * r->rank, .cols = cols, .flags = OP_GRAD, .scale = size});
		o.lora.b = op_input(c, &(struct op_in){.name = "B", .rows = r->experts * out, .cols = r->rank, .flags = OP_GRAD});
	} else {
		op_none(c);
		op_none(c);
	}
	return pm_experts(c->g, x, route, w, b, &o);
}

static void build(struct op_ctx *c, const void *row)
{
	const struct row *r = row;
	struct pm_tensor *logits = op_input(c, &(struct op_in){.name = "logits", .rows = c->T, .cols = r->experts, .flags = OP_ROWS, .fill = moe_logits});
	struct pm_tensor *x = op_input(c, &(struct op_in){.name = "x", .rows = c->T, .cols = r->in, .flags = OP_ROWS | OP_GRAD | r->flags}), *rng, *y;
	struct pm_route route;

	rng = r->dropout > 0 ? op_input(c, &(struct op_in){.name = "rng", .type = PM_I32, .rows = c->T, .cols = 2, .flags = OP_ROWS, .fill = fill_counters})
		: op_none(c);
	pm_route(c->g, logits, &(struct pm_route_opts){.chosen = r->chosen, .late = true}, &route);
	y = product(c, r, x, &route, rng, r->in, r->inner ? r->inner : r->out, false);
	if (r->inner)
		y = product(c, r, y, &route, rng, r->inner, r->out, true);
	op_output(c, pm_combine(c->g, y, &route, NULL, 1), 0);
}

/* y = what expert e makes of x; in: W, b, A, B. */
static void one(const struct row *r, const double *const *in, const double *x, int64_t e, int64_t cols, int64_t out, const double *rng, bool pairs, double *y)
{
	const uint64_t seed = rng ? (uint64_t)(uint32_t)(int32_t)rng[0] | (uint64_t)((uint32_t)(int32_t)rng[1] ^ (uint32_t)e) << 32 : 0;
	const double *w = in[0] + e * cols * out, *a = r->rank ? in[2] + e * r->rank * cols : NULL, *b = r->rank ? in[3] + e * out * r->rank : NULL;
	double h[8] = {0};
	int64_t i, j, o;

	for (i = 0; a && i < cols; i++) {
		double v = x[i];

		if (rng)
			v = pm_rng_uniform(seed, STREAM + pairs, (uint64_t)i) >= (float)r->dropout ? v / (1 - r->dropout) : 0;
		for (j = 0; j < r->rank; j++)
			h[j] += a[j * cols + i] * v;
	}
	for (o = 0; o < out; o++) {
		y[o] = r->bias ? in[1][e * out + o] : 0;
		for (i = 0; i < cols; i++)
			y[o] += x[i] * (r->transposed ? w[i * out + o] : w[o * cols + i]);
		for (j = 0; j < r->rank; j++)
			y[o] += r->s * b[o * r->rank + j] * h[j];
	}
}

static void ref(const void *row, const double *const *in, double *const *out)
{
	const struct row *r = row;
	double expert[16], weight[16], *y = malloc((size_t)(r->inner + r->out) * sizeof *y), *mid = y + r->out;
	int64_t t, j, o;

	memset(out[0], 0, (size_t)(r->c.T * r->out) * sizeof *out[0]);
	for (t = 0; t < r->c.T; t++) {
		const double *x = in[1] + t * r->in, *rng = r->dropout > 0 ? in[2] + 2 * t : NULL;

		moe_choose(in[0] + t * r->experts, r->experts, r->chosen, false, 1, expert, weight);
		for (j = 0; j < r->chosen; j++) {
			one(r, in + 3, x, (int64_t)expert[j], r->in, r->inner ? r->inner : r->out, rng, false, r->inner ? mid : y);
			if (r->inner)
				one(r, in + 7, mid, (int64_t)expert[j], r->inner, r->out, rng, true, y);
			for (o = 0; o < r->out; o++)
				out[0][t * r->out + o] += weight[j] * y[o];
		}
	}
	free(y);
}

static void cost(const void *row, double *flops, double *bytes, double *back)
{
	const struct row *r = row;
	const double pairs = (double)(r->c.T * r->chosen), some = pairs < (double)r->experts ? pairs : (double)r->experts;

	*flops = 2 * pairs * (double)(r->in * r->out);
	*bytes = some * (double)pm_dtype_bytes(r->type, (uint64_t)(r->in * r->out)) + 4 * pairs * (double)(r->in + r->out);
	*back = r->frozen ? 1 : 2;
}

/* ---- a stack whose matrices have memory of their own: the same bits ---- */

enum { T = 5, E = 4, K = 2, IN = 70, OUT = 33 };

static int compute(struct op_env *env, struct pm_mem *logits, struct pm_mem *x, struct pm_mem *w, struct pm_mem **part, bool thin, float *y,
	struct pm_err *e)
{
	struct pm_graph *g;
	struct pm_plan *p = NULL;
	struct pm_tensor *stack, *out;
	struct pm_route route;
	int r;

	if (pm_graph_new(&g, env->dev, e) < 0)
		return -1;
	g->thin = thin;
	stack = pm_tensor_of(g, PM_T_WEIGHT, PM_F32, E * OUT, IN, w, "W");
	stack->parts = E;
	stack->part = part;
	pm_route(g, pm_tensor_of(g, PM_T_WEIGHT, PM_F32, T, E, logits, "logits"), &(struct pm_route_opts){.chosen = K}, &route);
	out = pm_combine(g, pm_experts(g, pm_tensor_of(g, PM_T_WEIGHT, PM_F32, T, IN, x, "x"), &route, stack, NULL, NULL), &route, NULL, 1);
	if (out)
		out->keep = true;
	r = pm_plan_new(&p, g, e) < 0 || pm_plan_alloc(p, NULL, e) < 0 || pm_plan_run(p, e) < 0 || pm_plan_read(p, out, y, e) < 0 ? -1 : 0;
	pm_plan_free(p);
	pm_graph_free(g);
	return r;
}

static void test(struct op_env *env)
{
	static float v[E * OUT * IN];
	float a[T * OUT], b[T * OUT];
	struct pm_mem *logits, *x, *w, *part[E];
	struct pm_err e;
	int i;

	for (i = 0; i < E * OUT * IN; i++)
		v[i] = (float)pm_rng_normal(1, 1, (uint64_t)i);
	logits = op_floats(env, v + 100, T * E);
	x = op_floats(env, v + 1000, T * IN);
	w = op_floats(env, v, E * OUT * IN);
	for (i = 0; i < E; i++)
		part[i] = op_floats(env, v + i * OUT * IN, OUT * IN);
	for (i = 0; i < 2; i++) {
		if (compute(env, logits, x, w, NULL, i, a, &e) < 0 || compute(env, logits, x, NULL, part, i, b, &e) < 0)
			op_check(env, false, "%s", e.text);
		else
			op_check(env, !memcmp(a, b, sizeof a), "a stack in parts gives other bits%s", i ? " (few rows)" : "");
	}
	pm_mem_free(part[E - 1]);
	part[E - 1] = op_floats(env, v, OUT * IN - 1);
	op_check(env, compute(env, logits, x, NULL, part, false, b, &e) < 0, "a part that is too small is taken");
	pm_mem_free(logits);
	pm_mem_free(x);
	pm_mem_free(w);
	for (i = 0; i < E; i++)
		pm_mem_free(part[i]);
}

const struct op_test op_test_experts = {.name = "experts", OP_TABLE(rows), .build = build, .ref = ref, .cost = cost, .test = test};
