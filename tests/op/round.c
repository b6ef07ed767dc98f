#include <math.h>

#include "harness.h"

/* round(x) = [g | u], then silu(g) · u: or silu(g) alone. x is a sum, or a product with 1 that may be rounded as it is written. Values that bf16 has, but for one case, so that references and differences hold. */
struct row {
	struct op_case c;
	int64_t cols;
	bool gated, twice;              /* twice: x is read by a sum as well, so its gradient has two parts */
	void (*fill)(double *, int64_t, int64_t, const void *);
	bool product;
};

static void exact(double *v, int64_t rows, int64_t cols, const void *row)
{
	int64_t i;

	(void)row;
	for (i = 0; i < rows * cols; i++)
		v[i] = (double)(i * 37 % 255 - 127) / 64;
}

static const struct row rows[] = {
	{{"1x1", .T = 1}, 1, false, false, exact, false},
	{{"31x33", .T = 31}, 33, false, false, exact, false},
	{{"6x1000 gated", .T = 6, .period = 2}, 1000, true, false, exact, false},
	{{"5x31 gated, twice", .T = 5}, 31, true, true, exact, false},
	{{"7x65 rounded", .T = 7, .tol = 8e-3, .gtol = 3e-2}, 65, true, false, NULL, false},
	{{"35x33 product", .T = 35, .bf16 = true}, 33, false, false, exact, true},
	{{"20x1000 product", .T = 20, .tol = 1e-5, .bf16 = true}, 1000, false, false, exact, true},
	{{"9x100 product, gated", .T = 9, .period = 3, .bf16 = true}, 100, true, false, exact, true},
};

static void one(double *v, int64_t n, int64_t cols, const void *row)
{
	int64_t i;

	(void)row;
	for (i = 0; i < n * cols; i++)
		v[i] = i / cols == i % cols;
}

static void build(struct op_ctx *c, const void *row)
{
	const struct row *r = row;
	int64_t cols = r->cols * (r->gated ? 2 : 1);
	struct pm_tensor *x = op_input(c, &(struct op_in){"x", PM_F32, c->T, cols, OP_ROWS | OP_GRAD, 0, 0, r->fill, 0}), *y, *z;

	if (r->product)
		x = pm_linear(c->g, x, op_input(c, &(struct op_in){"1", PM_BF16, cols, cols, 0, 0, 0, one, 0}), NULL, NULL);
	else
		x = pm_add(c->g, x, NULL, 1, 0);        /* a temp */
	y = pm_round(c->g, x);
	z = pm_act(c->g, PM_ACT_SILU, r->gated ? pm_view_cols(c->g, y, 0, r->cols) : y, r->gated ? pm_view_cols(c->g, y, r->cols, r->cols) : NULL);
	if (r->twice)
		z = pm_add(c->g, z, pm_view_cols(c->g, x, 0, r->cols), 1, 1);
	op_output(c, z, 0);
}

static void ref(const void *row, const double *const *in, double *const *out)
{
	const struct row *r = row;
	int64_t cols = r->cols * (r->gated ? 2 : 1), t, i;

	for (t = 0; t < r->c.T; t++)
		for (i = 0; i < r->cols; i++) {
			const double *x = in[0] + t * cols + i;

			out[0][t * r->cols + i] = *x / (1 + exp(-*x)) * (r->gated ? x[r->cols] : 1) + (r->twice ? *x : 0);
		}
}

const struct op_test op_test_round = {.name = "round", OP_TABLE(rows), .build = build, .ref = ref};
