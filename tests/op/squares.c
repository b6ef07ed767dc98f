#include "harness.h"

struct row {
	struct op_case c;
	int64_t cols;
	unsigned flags;
};

static const struct row rows[] = {
	{{"1x1", .T = 1}, 1, 0},
	{{"31x33", .T = 31}, 33, 0},
	{{"65x1000 views", .T = 65}, 1000, OP_VIEW},
	{{"12x65, periods of 4", .T = 12, .period = 4}, 65, 0},
	{{"140x7 views, periods of 35", .T = 140, .period = 35}, 7, OP_VIEW},
	{{"512x4096", .T = 512, .speed = true}, 4096, 0},
};

static void build(struct op_ctx *c, const void *row)
{
	const struct row *r = row;

	op_output(c, pm_squares(c->g, op_input(c, &(struct op_in){"x", PM_F32, c->T, r->cols, OP_ROWS | r->flags, 0, 0, NULL, 0})), OP_NOGRAD);
}

static void ref(const void *row, const double *const *in, double *const *out)
{
	const struct row *r = row;
	int64_t period = r->c.period ? r->c.period : r->c.T, t, c;

	for (t = 0; t < r->c.T; t++)
		for (c = 0; c < r->cols; c++) {
			double *sum = &out[0][t / period * r->cols + c], x = in[0][t * r->cols + c];

			*sum = (t % period ? *sum : 0) + x * x;
		}
}

static void cost(const void *row, double *flops, double *bytes, double *back)
{
	const struct row *r = row;

	*flops = 2.0 * (double)(r->c.T * r->cols);
	*bytes = 4.0 * (double)(r->c.T * r->cols);
	*back = 0;
}

const struct op_test op_test_squares = {.name = "squares", OP_TABLE(rows), .build = build, .ref = ref, .cost = cost};
