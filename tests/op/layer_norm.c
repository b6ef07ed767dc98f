#include "harness.h"

#include <math.h>

struct row {
	struct op_case c;
	int64_t cols, group;
	enum pm_dtype type;
	bool weight, bias, view;
	double mean;
};

static const struct row rows[] = {
	{{"4x2", .T = 4, .gtol = 1e-2}, .cols = 2, .weight = true, .bias = true},    /* the gradient of x is what eps leaves of it */
	{{"3x31", .T = 3}, .cols = 31, .weight = true, .bias = true},
	{{"5x33 no weight, no bias", .T = 5}, .cols = 33},
	{{"33x65 view, no bias", .T = 33}, .cols = 65, .weight = true, .view = true},
	{{"64x1000 f16 periods", .T = 64, .period = 16}, .cols = 1000, .weight = true, .bias = true, .type = PM_F16},
	{{"200x48 periods of more than a chunk", .T = 200, .period = 50}, .cols = 48, .weight = true, .bias = true},
	{{"12x48 bf16", .T = 12}, .cols = 48, .weight = true, .bias = true, .type = PM_BF16},
	{{"24x160 heads of 32 view", .T = 24, .period = 8}, .cols = 160, .group = 32, .weight = true, .bias = true, .view = true},
	{{"2x4096 far from zero", .T = 2, .tol = 1e-4}, .cols = 4096, .weight = true, .bias = true, .mean = 300},
	{{"2x16384", .T = 2, .tol = 1e-6}, .cols = 16384, .weight = true, .bias = true},
	{{"2048x2048", .T = 2048, .speed = true}, .cols = 2048, .weight = true, .bias = true},
};

#define EPS 1e-5

static void build(struct op_ctx *c, const void *p)
{
	const struct row *r = p;
	const int64_t group = r->group ? r->group : r->cols;
	const unsigned grad = OP_GRAD;
	struct pm_tensor *x, *w, *b;

	x = op_input(c, &(struct op_in){"x", PM_F32, c->T, r->cols, OP_ROWS | OP_GRAD | (r->view ? OP_VIEW : 0), .mean = r->mean});
	w = r->weight ? op_input(c, &(struct op_in){"w", r->type, 1, group, grad, .mean = 1, .scale = 0.5}) : op_none(c);
	b = r->bias ? op_input(c, &(struct op_in){"b", r->type, 1, group, grad, .mean = 0}) : op_none(c);
	op_output(c, pm_layer_norm(c->g, x, w, b, r->group, (float)EPS), OP_ROWS);
}

static void ref(const void *p, const double *const *in, double *const *out)
{
	const struct row *r = p;
	const int64_t group = r->group ? r->group : r->cols;

	for (int64_t i = 0; i < r->c.T * r->cols; i += group) {
		const double *x = in[0] + i;
		double mean = 0, squares = 0;

		for (int64_t j = 0; j < group; j++)
			mean += x[j] / (double)group;
		for (int64_t j = 0; j < group; j++)
			squares += (x[j] - mean) * (x[j] - mean);
		for (int64_t j = 0; j < group; j++)
			out[0][i + j] = (x[j] - mean) / sqrt(squares / (double)group + (float)EPS) * (in[1] ? in[1][j] : 1) + (in[2] ? in[2][j] : 0);
	}
}

static void cost(const void *p, double *flops, double *bytes, double *back)
{
	const struct row *r = p;

	*flops = 8.0 * (double)(r->c.T * r->cols);
	*bytes = 8.0 * (double)(r->c.T * r->cols);
	*back = 1.5;
}

const struct op_test op_test_layer_norm = {"layer_norm", OP_TABLE(rows), build, ref, cost};
