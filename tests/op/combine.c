#include "harness.h"
#include "moe.h"

/* y comes from x by pm_experts with one weight an expert; tests/op/experts.c has the rest. */
struct row {
	struct op_case c;
	int64_t experts, chosen, cols;
	bool add;
	double scale;
	unsigned flags;
};

static const struct row rows[] = {
	{{"1x1", .T = 1}, 1, 1, 1, false, 1, 0},
	{{"31x33, 2 of 4", .T = 31}, 4, 2, 33, true, 1, 0},
	{{"12x65, 3 of 7", .T = 12, .period = 3}, 7, 3, 65, true, 0.25, OP_VIEW},
	{{"6x1000, 5 of 9", .T = 6, .period = 2}, 9, 5, 1000, false, -2, 0},
	{{"512x2048, 8 of 32", .T = 512, .speed = true}, 32, 8, 2048, true, 1, 0},
};

static void build(struct op_ctx *c, const void *row)
{
	const struct row *r = row;
	struct pm_tensor *logits = op_input(c, &(struct op_in){"logits", PM_F32, c->T, r->experts, OP_ROWS | OP_GRAD, 0, 0, moe_logits, 0});
	struct pm_tensor *x = op_input(c, &(struct op_in){"x", PM_F32, c->T, 1, OP_ROWS | OP_GRAD, 0, 0, NULL, 0});
	struct pm_tensor *w = op_input(c, &(struct op_in){"W", PM_F32, r->experts * r->cols, 1, OP_GRAD, 0, 0, NULL, 0});
	struct pm_tensor *add = r->add ? op_input(c, &(struct op_in){"add", PM_F32, c->T, r->cols, OP_ROWS | OP_GRAD | r->flags, 0, 0, NULL, 0}) : op_none(c);
	struct pm_route route;

	pm_route(c->g, logits, &(struct pm_route_opts){.chosen = r->chosen}, &route);
	op_output(c, pm_combine(c->g, pm_experts(c->g, x, &route, w, NULL, NULL), &route, add, (float)r->scale), 0);
}

static void ref(const void *row, const double *const *in, double *const *out)
{
	const struct row *r = row;
	double expert[16], weight[16];
	int64_t t, j, c;

	for (t = 0; t < r->c.T; t++) {
		moe_choose(in[0] + t * r->experts, r->experts, r->chosen, true, 1, expert, weight);
		for (c = 0; c < r->cols; c++) {
			double v = 0;

			for (j = 0; j < r->chosen; j++)
				v += weight[j] * in[1][t] * in[2][(int64_t)expert[j] * r->cols + c];
			out[0][t * r->cols + c] = r->scale * v + (r->add ? in[3][t * r->cols + c] : 0);
		}
	}
}

static void cost(const void *row, double *flops, double *bytes, double *back)
{
	const struct row *r = row;

	*flops = 2 * (double)(r->c.T * r->chosen * r->cols);
	*bytes = 4 * (double)(r->c.T * r->chosen * r->cols);
	*back = 3;
}

const struct op_test op_test_combine = {.name = "combine", OP_TABLE(rows), .build = build, .ref = ref, .cost = cost};
