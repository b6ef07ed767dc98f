#include "harness.h"
#include "moe.h"

/* The loss of two layers' sums; the second layer has the logits of the first times −0.5. Spans of every third row are empty. */
struct row {
	struct op_case c;
	int64_t experts, chosen;
};

static const struct row rows[] = {
	{{"1x1", .T = 1}, 1, 1},
	{{"31x8, 2", .T = 31}, 8, 2},
	{{"65x33, 5", .T = 65}, 33, 5},
	{{"9x5, 4", .T = 9}, 5, 4},
	{{"512x128, 8", .T = 512, .speed = true}, 128, 8},
};

static void spans(double *v, int64_t n, int64_t cols, const void *row)
{
	int64_t t;

	(void)row;
	(void)cols;
	for (t = 0; t < n; t++) {
		v[2 * t] = 0;
		v[2 * t + 1] = t % 3 != 2;
	}
}

static void build(struct op_ctx *c, const void *row)
{
	const struct row *r = row;
	struct pm_tensor *x = op_input(c, &(struct op_in){"logits", PM_F32, c->T, r->experts, OP_GRAD, 0, 0, moe_logits, 0});
	struct pm_tensor *span = op_input(c, &(struct op_in){"span", PM_I32, c->T, 2, 0, 0, 0, spans, 0}), *z = pm_add(c->g, x, NULL, -0.5f, 0), *sums;
	struct pm_route one, two;

	pm_route(c->g, x, &(struct pm_route_opts){.chosen = r->chosen}, &one);
	pm_route(c->g, z, &(struct pm_route_opts){.chosen = r->chosen}, &two);
	sums = pm_add(c->g, pm_balance(c->g, x, &one, span), pm_balance(c->g, z, &two, span), 1, 1);
	op_output(c, pm_balance_loss(c->g, sums, r->chosen), 0);
}

static void ref(const void *row, const double *const *in, double *const *out)
{
	const struct row *r = row;
	double f[128] = {0}, p[128] = {0}, x[128], expert[16], weight[16], n = 0;
	int64_t t, i, layer;

	for (t = 0; t < r->c.T; t++)
		for (layer = 0; layer < 2 && in[1][2 * t] < in[1][2 * t + 1]; layer++) {
			double sum = 0;

			for (i = 0; i < r->experts; i++)
				x[i] = in[0][t * r->experts + i] * (layer ? -0.5 : 1);
			moe_choose(x, r->experts, r->chosen, true, 1, expert, weight);
			for (i = 0; i < r->chosen; i++)
				f[(int64_t)expert[i]]++;
			for (i = 0; i < r->experts; i++)
				sum += exp(x[i]);
			for (i = 0; i < r->experts; i++)
				p[i] += exp(x[i]) / sum;
			n++;
		}
	for (i = 0, out[0][0] = 0; i < r->experts; i++)
		out[0][0] += (double)r->experts * f[i] / n * p[i] / n;
}

static void cost(const void *row, double *flops, double *bytes, double *back)
{
	const struct row *r = row;

	*flops = 32 * (double)(r->c.T * r->experts);
	*bytes = 16 * (double)(r->c.T * r->experts);
	*back = 2;
}

const struct op_test op_test_balance = {.name = "balance", OP_TABLE(rows), .build = build, .ref = ref, .cost = cost};
