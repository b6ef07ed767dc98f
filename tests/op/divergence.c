#include <math.h>
#include <stdlib.h>

#include "harness.h"

struct row {
	struct op_case c;
	int64_t cols;
	double scale;
	unsigned flags;
};

static const struct row rows[] = {
	{{"1x1", .T = 1}, 1, 1, 0},
	{{"31x33", .T = 31}, 33, 3, 0},
	{{"7x1000 views", .T = 7}, 1000, 5, OP_VIEW},
	{{"12x65", .T = 12, .period = 4}, 65, 1, 0},
	{{"3x32001", .T = 3, .tol = 3e-5}, 32001, 4, 0},
	{{"64x32000", .T = 64, .speed = true}, 32000, 4, 0},
};

/* Some rows have none. */
static void targets(double *v, int64_t n, int64_t cols, const void *row)
{
	const struct row *r = row;
	int64_t i;

	for (i = 0; i < n * cols; i++)
		v[i] = i % 5 == 4 ? -1 : (double)(i * 37 % r->cols);
}

/* Q is near P, so that the likeliest token is often the same. */
static void build(struct op_ctx *c, const void *row)
{
	const struct row *r = row;
	struct pm_tensor *p = op_input(c, &(struct op_in){"p", PM_F32, c->T, r->cols, OP_ROWS | r->flags, 0, r->scale, NULL, 0});
	struct pm_tensor *q = op_input(c, &(struct op_in){"q", PM_F32, c->T, r->cols, OP_ROWS | r->flags, 0.5, r->scale, NULL, 0});
	struct pm_tensor *t = op_input(c, &(struct op_in){"target", PM_I32, c->T, 1, OP_ROWS, 0, 0, targets, 0});
	struct pm_tensor *near = pm_add(c->g, p, q, 1, 0.1f), *logs, *same;

	op_output(c, pm_divergence(c->g, p, near, t, &logs, &same), OP_NOGRAD);
	op_output(c, logs, OP_NOGRAD);
	op_output(c, same, OP_NOGRAD);
}

static double log_sum(const double *x, int64_t n, int64_t *top)
{
	double m = x[0], sum = 0;
	int64_t i;

	for (*top = 0, i = 1; i < n; i++)
		if (x[i] > m) {
			m = x[i];
			*top = i;
		}
	for (i = 0; i < n; i++)
		sum += exp(x[i] - m);
	return m + log(sum);
}

static void ref(const void *row, const double *const *in, double *const *out)
{
	const struct row *r = row;
	double *q = malloc((size_t)r->cols * sizeof *q);
	int64_t t, i, ptop, qtop;

	for (t = 0; t < r->c.T; t++) {
		const double *p = in[0] + t * r->cols;
		double pl, ql;

		for (i = 0; i < r->cols; i++)
			q[i] = (float)(p[i] + (float)(0.1f * in[1][t * r->cols + i]));
		pl = log_sum(p, r->cols, &ptop);
		ql = log_sum(q, r->cols, &qtop);
		for (out[0][t] = 0, i = 0; i < r->cols; i++)
			out[0][t] += exp(p[i] - pl) * ((p[i] - pl) - (q[i] - ql));
		i = (int64_t)in[2][t];
		out[1][2 * t] = i < 0 ? 0 : p[i] - pl;
		out[1][2 * t + 1] = i < 0 ? 0 : q[i] - ql;
		out[2][t] = ptop == qtop;
	}
	free(q);
}

static void cost(const void *row, double *flops, double *bytes, double *back)
{
	const struct row *r = row;

	*flops = 40.0 * (double)(r->c.T * r->cols);
	*bytes = 8.0 * (double)(r->c.T * r->cols);
	*back = 0;
}

const struct op_test op_test_divergence = {.name = "divergence", OP_TABLE(rows), .build = build, .ref = ref, .cost = cost};
