#include <math.h>

#include "harness.h"

struct row {
	struct op_case c;
	enum pm_act act;
	int64_t cols;
	bool gated;
	unsigned flags;
	void (*fill)(double *, int64_t, int64_t, const void *);
	double limit;                   /* of the clamped one; gate and up by turns where it is not gated */
};

/* Far out: where exponentials overflow. */
static void extremes(double *v, int64_t rows, int64_t cols, const void *row)
{
	static const double x[] = {-1e30, -1e10, -200, -100, -89, -50, -20, -10, -5, -1e-3, 0.5, 5, 9, 10, 20, 50, 88.8, 100, 200, 1e10};
	int64_t i;

	(void)row;
	for (i = 0; i < rows * cols; i++)
		v[i] = x[i % 20];
}

#define ALPHA 1.702

/* Some beyond the limit of 2, none so near that a difference would step over it. */
static void around(double *v, int64_t n, int64_t cols, const void *row)
{
	static const double x[] = {-3, -2.5, -1.9, -1, -0.3, 0, 0.2, 0.7, 1.4, 1.95, 2.1, 4, 30};
	int64_t i;

	(void)row;
	for (i = 0; i < n * cols; i++)
		v[i] = x[(i * i + i / 13) % 13] + 0.01 * (double)(i % 5);
}

static const struct row rows[] = {
	{{"silu 1x1", .T = 1}, PM_ACT_SILU, 1, false, 0, NULL, 0},
	{{"silu gated 31x33", .T = 31}, PM_ACT_SILU, 33, true, 0, NULL, 0},
	{{"silu gated 6x1000 views", .T = 6, .period = 2}, PM_ACT_SILU, 1000, true, OP_VIEW, NULL, 0},
	{{"silu gated 2x5000", .T = 2, .period = 1}, PM_ACT_SILU, 5000, true, 0, NULL, 0},
	{{"gelu 65x65", .T = 65}, PM_ACT_GELU, 65, false, 0, NULL, 0},
	{{"gelu gated 7x31", .T = 7}, PM_ACT_GELU, 31, true, OP_VIEW, NULL, 0},
	{{"gelu_tanh 65x65", .T = 65}, PM_ACT_GELU_TANH, 65, false, 0, NULL, 0},
	{{"gelu_tanh gated 7x48", .T = 7}, PM_ACT_GELU_TANH, 48, true, 0, NULL, 0},
	{{"gelu_quick 3x130", .T = 3}, PM_ACT_GELU_QUICK, 130, false, 0, NULL, 0},
	{{"relu 3x130", .T = 3}, PM_ACT_RELU, 130, false, 0, NULL, 0},
	{{"relu2 gated 3x130", .T = 3}, PM_ACT_RELU2, 130, true, 0, NULL, 0},
	{{"sigmoid gated 3x130", .T = 3}, PM_ACT_SIGMOID, 130, true, 0, NULL, 0},
	{{"silu extremes", .T = 1}, PM_ACT_SILU, 40, false, 0, extremes, 0},
	{{"gelu extremes", .T = 1}, PM_ACT_GELU, 40, false, 0, extremes, 0},
	{{"gelu_tanh extremes", .T = 1}, PM_ACT_GELU_TANH, 40, false, 0, extremes, 0},
	{{"gelu_quick extremes", .T = 1}, PM_ACT_GELU_QUICK, 40, false, 0, extremes, 0},
	{{"clamped 1x1", .T = 1}, PM_ACT_SILU, 1, true, 0, around, 2},
	{{"clamped 6x1000 views", .T = 6, .period = 2}, PM_ACT_SILU, 1000, true, OP_VIEW, around, 2},
	{{"clamped 7x31", .T = 7, .period = 1}, PM_ACT_SILU, 31, true, 0, NULL, 7},
	{{"clamped by turns 31x33 views", .T = 31}, PM_ACT_SILU, 33, false, OP_VIEW, around, 2},
	{{"clamped by turns 4x5000", .T = 4, .period = 1}, PM_ACT_SILU, 5000, false, 0, around, 2},
	{{"silu gated 512x5632", .T = 512, .speed = true}, PM_ACT_SILU, 5632, true, 0, NULL, 0},
	{{"clamped by turns 2048x2880", .T = 2048, .speed = true}, PM_ACT_SILU, 2880, false, 0, NULL, 7},
	{{"gelu 512x3072", .T = 512, .speed = true}, PM_ACT_GELU, 3072, false, 0, NULL, 0},
	{{"gelu_tanh 512x3072", .T = 512, .speed = true}, PM_ACT_GELU_TANH, 3072, false, 0, NULL, 0},
};

static void build(struct op_ctx *c, const void *row)
{
	const struct row *r = row;
	/* differences of 1e-4 mean nothing at 1e10: gradients far out are tested by test() */
	unsigned flags = OP_ROWS | r->flags | (r->fill == extremes ? 0 : OP_GRAD);
	int64_t cols = r->limit > 0 && !r->gated ? 2 * r->cols : r->cols;
	struct pm_tensor *x = op_input(c, &(struct op_in){"x", PM_F32, c->T, cols, flags, 0, 2, r->fill, 0});
	struct pm_tensor *up = r->gated ? op_input(c, &(struct op_in){"up", PM_F32, c->T, r->cols, flags, 0, 0, r->limit > 0 ? r->fill : NULL, 0}) : op_none(c);

	op_output(c, r->limit > 0 ? pm_act_clamped(c->g, x, up, (float)ALPHA, (float)r->limit) : pm_act(c->g, r->act, x, up), 0);
}

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

static double value(enum pm_act act, double x)
{
	switch (act) {
	case PM_ACT_SILU:
		return x * sigmoid(x);
	case PM_ACT_GELU:
		return 0.5 * x * erfc(-x / sqrt(2));
	case PM_ACT_GELU_TANH:
		return x * sigmoid(2 * sqrt(2 / acos(-1)) * (x + 0.044715 * x * x * x));
	case PM_ACT_GELU_QUICK:
		return x * sigmoid(1.702 * x);
	case PM_ACT_RELU:
		return x > 0 ? x : 0;
	case PM_ACT_RELU2:
		return x > 0 ? x * x : 0;
	case PM_ACT_SIGMOID:
		return sigmoid(x);
	}
	return NAN;
}

static void ref(const void *row, const double *const *in, double *const *out)
{
	const struct row *r = row;
	int64_t i;

	for (i = 0; r->limit > 0 && i < r->c.T * r->cols; i++) {
		double gate = fmin(in[0][r->gated ? i : 2 * i], r->limit), up = fmin(fmax(r->gated ? in[1][i] : in[0][2 * i + 1], -r->limit), r->limit);

		out[0][i] = (up + 1) * gate * sigmoid((double)(float)ALPHA * gate);
	}
	for (i = 0; !(r->limit > 0) && i < r->c.T * r->cols; i++)
		out[0][i] = value(r->act, in[0][i]) * (r->gated ? in[1][i] : 1);
}

static void cost(const void *row, double *flops, double *bytes, double *back)
{
	const struct row *r = row;

	*flops = 6.0 * (double)(r->c.T * r->cols);
	*bytes = (r->gated ? 12.0 : 8.0) * (double)(r->c.T * r->cols);
	*back = r->gated ? 5.0 / 3 : 1.5;
}

/* Far out, where a float has no room for rounding errors: values are 0 or x to the last bit, slopes 0 or 1. */
static void flat(struct op_env *env, enum pm_act act)
{
	float x[8] = {-3e38f, -1e20f, -1000, -100, 100, 1000, 1e20f, 3e38f}, y[8], dx[8], one[8] = {1, 1, 1, 1, 1, 1, 1, 1}, zero[8] = {0};
	struct pm_mem *mx = NULL, *mdx = NULL, *mdy = NULL;
	struct pm_graph *g = NULL;
	struct pm_plan *p = NULL;
	struct pm_tensor *t, *r;
	struct pm_err e;
	int i;

	if (pm_mem_new(&mx, env->dev, 32, &e) < 0 || pm_mem_new(&mdx, env->dev, 32, &e) < 0 || pm_mem_new(&mdy, env->dev, 32, &e) < 0 ||
	    pm_mem_write(mx, 0, x, 32, &e) < 0 || pm_mem_write(mdx, 0, zero, 32, &e) < 0 || pm_mem_write(mdy, 0, one, 32, &e) < 0 ||
	    pm_graph_new(&g, env->dev, &e) < 0) {
		op_check(env, false, "%s", e.text);
		goto out;
	}
	t = pm_tensor_of(g, PM_T_WEIGHT, PM_F32, 1, 8, mx, "x");
	t->trains = true;
	t->grad = pm_tensor_of(g, PM_T_STATE, PM_F32, 1, 8, mdx, "dx");
	r = pm_act(g, act, t, NULL);
	r->keep = true;
	pm_grad_seed(r, pm_tensor_of(g, PM_T_STATE, PM_F32, 1, 8, mdy, "dy"));
	if (pm_grad(g, false, &e) < 0 || pm_plan_new(&p, g, &e) < 0 || pm_plan_alloc(p, NULL, &e) < 0 || pm_plan_run(p, &e) < 0 ||
	    pm_plan_read(p, r, y, &e) < 0 || pm_mem_read(mdx, 0, dx, 32, &e) < 0) {
		op_check(env, false, "%s", e.text);
		goto out;
	}
	for (i = 0; i < 8; i++) {
		op_check(env, y[i] == (i < 4 ? 0 : x[i]), "act %d of %g is %g", (int)act, (double)x[i], (double)y[i]);
		op_check(env, fabsf(dx[i] - (i < 4 ? 0 : 1)) < 1e-6f, "slope of act %d at %g is %g", (int)act, (double)x[i], (double)dx[i]);
	}
out:
	pm_plan_free(p);
	pm_graph_free(g);
	pm_mem_free(mx);
	pm_mem_free(mdx);
	pm_mem_free(mdy);
}

static void test(struct op_env *env)
{
	flat(env, PM_ACT_SILU);
	flat(env, PM_ACT_GELU);
	flat(env, PM_ACT_GELU_TANH);
	flat(env, PM_ACT_GELU_QUICK);
	flat(env, PM_ACT_RELU);
}

const struct op_test op_test_act = {.name = "act", OP_TABLE(rows), .build = build, .ref = ref, .cost = cost, .test = test};
