#include "harness.h"

struct row {
	struct op_case c;
	int64_t n, cols;        /* T rows out of n, every third of them none */
};

static const struct row rows[] = {
	{{"1 of 1x1", .T = 1}, 1, 1},
	{{"9 of 31x33", .T = 9}, 31, 33},
	{{"31 of 31x65", .T = 31}, 31, 65},
	{{"12 of 40x7", .T = 12, .period = 4}, 40, 7},
};

/* Distinct rows, not in order. Row t lies in the same part of the batch as t. */
static void draw(double *v, int64_t n, int64_t cols, const void *row)
{
	const struct row *r = row;
	int64_t period = r->c.period ? r->c.period : n, share = r->n / (n / period), i;

	for (i = 0; i < n * cols; i++)
		v[i] = i % 3 == 2 ? -1 : (double)(i / period * share + (period - 1 - i % period) * share / period);
}

static void build(struct op_ctx *c, const void *row)
{
	const struct row *r = row;
	struct pm_tensor *x = op_input(c, &(struct op_in){"x", PM_F32, r->n * c->T / r->c.T, r->cols, OP_ROWS | OP_GRAD, 0, 0, NULL, 0});
	struct pm_tensor *at = op_input(c, &(struct op_in){"row", PM_I32, c->T, 1, OP_ROWS | OP_INDEX, 0, 0, draw, r->n});

	op_output(c, pm_gather(c->g, x, at), 0);
}

static void ref(const void *row, const double *const *in, double *const *out)
{
	const struct row *r = row;
	int64_t t, c;

	for (t = 0; t < r->c.T; t++)
		for (c = 0; c < r->cols; c++)
			out[0][t * r->cols + c] = in[1][t] < 0 ? 0 : in[0][(int64_t)in[1][t] * r->cols + c];
}

const struct op_test op_test_gather = {.name = "gather", OP_TABLE(rows), .build = build, .ref = ref};
