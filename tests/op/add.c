#include "harness.h"

struct row {
	struct op_case c;
	int64_t cols;
	double a, b;
	bool two;
	unsigned flags;
};

static const struct row rows[] = {
	{{"1x1", .T = 1}, 1, 1, 1, true, 0},
	{{"31x33", .T = 31}, 33, 1, 1, true, 0},
	{{"65x1000 scaled", .T = 65}, 1000, 0.25, -3, true, 0},
	{{"6x65 views", .T = 6, .period = 2}, 65, 2, 1, true, OP_VIEW},
	{{"12x16 one", .T = 12, .period = 4}, 16, 1.5, 0, false, 0},
	{{"512x4096", .T = 512, .speed = true}, 4096, 1, 1, true, 0},
};

static void build(struct op_ctx *c, const void *row)
{
	const struct row *r = row;
	struct pm_tensor *x = op_input(c, &(struct op_in){"x", PM_F32, c->T, r->cols, OP_ROWS | OP_GRAD | r->flags, 0, 0, NULL, 0});
	struct pm_tensor *z = r->two ? op_input(c, &(struct op_in){"z", PM_F32, c->T, r->cols, OP_ROWS | OP_GRAD | r->flags, 0, 0, NULL, 0}) : op_none(c);

	op_output(c, pm_add(c->g, x, z, (float)r->a, (float)r->b), 0);
}

static void ref(const void *row, const double *const *in, double *const *out)
{
	const struct row *r = row;
	int64_t i;

	for (i = 0; i < r->c.T * r->cols; i++)
		out[0][i] = r->a * in[0][i] + (r->two ? r->b * in[1][i] : 0);
}

static void cost(const void *row, double *flops, double *bytes, double *back)
{
	const struct row *r = row;

	*flops = 3.0 * (double)(r->c.T * r->cols);
	*bytes = 12.0 * (double)(r->c.T * r->cols);
	*back = 2;
}

const struct op_test op_test_add = {.name = "add", OP_TABLE(rows), .build = build, .ref = ref, .cost = cost};
