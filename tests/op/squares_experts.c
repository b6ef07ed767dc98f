#include "harness.h"
#include "moe.h"

/* What is x for pairs comes from x by pm_experts with one weight an expert. */
struct row {
	struct op_case c;
	int64_t experts, chosen, cols;
	bool pairs;
};

static const struct row rows[] = {
	{{"1x1", .T = 1}, 1, 1, 1, false},
	{{"31x33, 2 of 4", .T = 31}, 4, 2, 33, false},
	{{"12x65, 3 of 7, periods of 4", .T = 12, .period = 4}, 7, 3, 65, false},
	{{"12x65, 3 of 7, periods of 4, pairs", .T = 12, .period = 4}, 7, 3, 65, true},
	{{"140x7, 1 of 9, pairs", .T = 140, .period = 35}, 9, 1, 7, true},
	{{"512x2048, 8 of 32", .T = 512, .speed = true}, 32, 8, 2048, false},
};

static void build(struct op_ctx *c, const void *row)
{
	const struct row *r = row;
	struct pm_tensor *logits = op_input(c, &(struct op_in){"logits", PM_F32, c->T, r->experts, OP_ROWS, 0, 0, moe_logits, 0});
	struct pm_tensor *x = op_input(c, &(struct op_in){"x", PM_F32, c->T, r->pairs ? 1 : r->cols, OP_ROWS, 0, 0, NULL, 0});
	struct pm_tensor *w = r->pairs ? op_input(c, &(struct op_in){"W", PM_F32, r->experts * r->cols, 1, 0, 0, 0, NULL, 0}) : op_none(c);
	struct pm_route route;

	pm_route(c->g, logits, &(struct pm_route_opts){.chosen = r->chosen}, &route);
	op_output(c, pm_squares_experts(c->g, r->pairs ? pm_experts(c->g, x, &route, w, NULL, NULL) : x, &route, r->pairs), OP_NOGRAD);
}

static void ref(const void *row, const double *const *in, double *const *out)
{
	const struct row *r = row;
	const int64_t period = r->c.period ? r->c.period : r->c.T, n = r->c.T / period * r->experts * r->cols;
	double expert[16], weight[16];
	int64_t t, j, c;

	for (c = 0; c < n; c++)
		out[0][c] = 0;
	for (t = 0; t < r->c.T; t++) {
		moe_choose(in[0] + t * r->experts, r->experts, r->chosen, true, 1, expert, weight);
		for (j = 0; j < r->chosen; j++)
			for (c = 0; c < r->cols; c++) {
				const int64_t e = (int64_t)expert[j];
				const double x = r->pairs ? in[1][t] * in[2][e * r->cols + c] : in[1][t * r->cols + c];

				out[0][(t / period * r->experts + e) * r->cols + c] += x * x;
			}
	}
}

static void cost(const void *row, double *flops, double *bytes, double *back)
{
	const struct row *r = row;

	*flops = 2 * (double)(r->c.T * r->chosen * r->cols);
	*bytes = 4 * (double)(r->c.T * r->chosen * r->cols);
	*back = 0;
}

const struct op_test op_test_squares_experts = {.name = "squares_experts", OP_TABLE(rows), .build = build, .ref = ref, .cost = cost};
