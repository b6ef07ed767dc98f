#include "harness.h"

#include <math.h>

struct row {
	struct op_case c;
	int64_t heads, head_dim, dims;
	bool interleaved, view;
};

static const struct row rows[] = {
	{{"1x2", .T = 1}, 1, 2, 2, false, false},
	{{"1x2 interleaved", .T = 1}, 1, 2, 2, true, false},
	{{"5x3 heads of 10", .T = 5}, 3, 10, 10, false, false},
	{{"5x3 heads of 10 interleaved", .T = 5}, 3, 10, 10, true, false},
	{{"8x4 heads of 64 view", .T = 8, .period = 4}, 4, 64, 64, false, true},
	{{"8x4 heads of 64 interleaved view", .T = 8, .period = 4}, 4, 64, 64, true, true},
	{{"6x2 heads of 80, 32 turned, view", .T = 6}, 2, 80, 32, false, true},
	{{"6x2 heads of 80, 32 turned, interleaved", .T = 6}, 2, 80, 32, true, false},
	{{"3x5 heads of 96, 34 turned", .T = 3}, 5, 96, 34, false, false},
	{{"3x5 heads of 96, 34 turned, interleaved", .T = 3}, 5, 96, 34, true, false},
	{{"2x2 heads of 257, 256 turned", .T = 2}, 2, 257, 256, false, false},
	{{"2048x16 heads of 128", .T = 2048, .speed = true}, 16, 128, 128, false, false},
	{{"2048x16 heads of 128 interleaved", .T = 2048, .speed = true}, 16, 128, 128, true, false},
};

/* Cosines and sines of any angles, times a factor. */
static void angles(double *v, int64_t n, int64_t cols, const void *row)
{
	(void)row;
	for (int64_t i = 0; i < n * cols; i += 2) {
		const double angle = (double)(i * 7919 % 6283) / 1000;

		v[i] = 1.25 * cos(angle);
		v[i + 1] = 1.25 * sin(angle);
	}
}

static void build(struct op_ctx *c, const void *p)
{
	const struct row *r = p;
	struct pm_tensor *x, *cs;

	x = op_input(c, &(struct op_in){"x", PM_F32, c->T, r->heads * r->head_dim, OP_ROWS | OP_GRAD | (r->view ? OP_VIEW : 0), .mean = 0});
	cs = op_input(c, &(struct op_in){"cs", PM_F32, c->T, r->dims, OP_ROWS, .fill = angles});
	op_output(c, pm_rope(c->g, x, cs, r->head_dim, r->dims, r->interleaved), OP_ROWS);
}

static void ref(const void *p, const double *const *in, double *const *out)
{
	const struct row *r = p;
	const int64_t pairs = r->dims / 2;

	for (int64_t i = 0; i < r->c.T * r->heads; i++) {
		const double *x = in[0] + i * r->head_dim, *cs = in[1] + i / r->heads * r->dims;
		double *y = out[0] + i * r->head_dim;

		for (int64_t j = 0; j < r->head_dim; j++)
			y[j] = x[j];
		for (int64_t j = 0; j < pairs; j++) {
			const int64_t a = r->interleaved ? 2 * j : j, b = r->interleaved ? 2 * j + 1 : j + pairs;

			y[a] = x[a] * cs[2 * j] - x[b] * cs[2 * j + 1];
			y[b] = x[b] * cs[2 * j] + x[a] * cs[2 * j + 1];
		}
	}
}

static void cost(const void *p, double *flops, double *bytes, double *back)
{
	const struct row *r = p;
	const double size = (double)(r->c.T * r->heads * r->head_dim);

	*flops = 3 * size;
	*bytes = 8 * size + 4.0 * (double)(r->c.T * r->dims);
	*back = 1;
}

const struct op_test op_test_rope = {"rope", OP_TABLE(rows), build, ref, cost};
