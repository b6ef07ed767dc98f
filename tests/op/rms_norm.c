#include "harness.h"

#include <math.h>

struct row {
	struct op_case c;
	int64_t cols, group;
	enum pm_dtype type;
	bool weight, plus_one, view;
	double mean;
};

static const struct row rows[] = {
	{{"1x1", .T = 1, .gtol = 1e-2}, .cols = 1, .weight = true},                /* the gradient of x is what eps leaves of it */
	{{"3x31", .T = 3}, .cols = 31, .weight = true},
	{{"5x33 no weight", .T = 5}, .cols = 33},
	{{"33x65 view", .T = 33}, .cols = 65, .weight = true, .view = true},
	{{"64x1000 f16 periods", .T = 64, .period = 16}, .cols = 1000, .weight = true, .type = PM_F16},
	{{"200x48 bf16 plus one periods of more than a chunk", .T = 200, .period = 50}, .cols = 48, .weight = true, .type = PM_BF16, .plus_one = true},
	{{"24x160 heads of 32 view", .T = 24, .period = 8}, .cols = 160, .group = 32, .weight = true, .view = true},
	{{"7x105 heads of 35 plus one", .T = 7}, .cols = 105, .group = 35, .weight = true, .plus_one = true},
	{{"2x4096 far from zero", .T = 2, .tol = 1e-6}, .cols = 4096, .weight = true, .mean = 300},
	{{"2x16384", .T = 2, .tol = 1e-6}, .cols = 16384, .weight = true},
	{{"2048x2048", .T = 2048, .speed = true}, .cols = 2048, .weight = true, .type = PM_BF16},
	{{"2048x2048 heads of 128", .T = 2048, .speed = true}, .cols = 2048, .group = 128, .weight = true, .type = PM_BF16},
};

#define EPS 1e-5

static void build(struct op_ctx *c, const void *p)
{
	const struct row *r = p;
	const int64_t group = r->group ? r->group : r->cols;
	struct pm_tensor *x, *w;

	x = op_input(c, &(struct op_in){"x", PM_F32, c->T, r->cols, OP_ROWS | OP_GRAD | (r->view ? OP_VIEW : 0), .mean = r->mean});
	w = r->weight ? op_input(c, &(struct op_in){"w", r->type, 1, group, OP_GRAD, .mean = r->plus_one ? 0 : 1, .scale = 0.5})
		: op_none(c);
	op_output(c, pm_rms_norm(c->g, x, w, r->group, (float)EPS, r->plus_one), OP_ROWS);
}

static void ref(const void *p, const double *const *in, double *const *out)
{
	const struct row *r = p;
	const int64_t group = r->group ? r->group : r->cols;

	for (int64_t i = 0; i < r->c.T * r->cols; i += group) {
		const double *x = in[0] + i;
		double squares = 0;

		for (int64_t j = 0; j < group; j++)
			squares += x[j] * x[j];
		for (int64_t j = 0; j < group; j++)
			out[0][i + j] = x[j] / sqrt(squares / (double)group + (float)EPS) * (in[1] ? in[1][j] + r->plus_one : 1);
	}
}

static void cost(const void *p, double *flops, double *bytes, double *back)
{
	const struct row *r = p;

	*flops = 4.0 * (double)(r->c.T * r->cols);
	*bytes = 8.0 * (double)(r->c.T * r->cols);
	*back = 1.5;
}

const struct op_test op_test_rms_norm = {"rms_norm", OP_TABLE(rows), build, ref, cost};
