#include "harness.h"

struct row {
	struct op_case c;
	enum pm_dtype type;
	int64_t n, cols;        /* rows of the cache */
	unsigned flags;
};

static const struct row rows[] = {
	{{"f32 1 into 1x1", .T = 1}, PM_F32, 1, 1, 0},
	{{"f32 9 into 31x33", .T = 9}, PM_F32, 31, 33, OP_VIEW},
	{{"f16 9 into 31x65", .T = 9}, PM_F16, 31, 65, 0},
	{{"bf16 9 into 31x128", .T = 9}, PM_BF16, 31, 128, OP_VIEW},
	{{"f16 512 into 4096x1024", .T = 512, .speed = true}, PM_F16, 4096, 1024, 0},
};

/* Distinct rows backwards; some are not stored. */
static void draw(double *v, int64_t n, int64_t cols, const void *row)
{
	const struct row *r = row;
	int64_t i;

	for (i = 0; i < n * cols; i++)
		v[i] = i % 4 == 3 ? -1 : (double)((n - 1 - i) * r->n / n);
}

static void build(struct op_ctx *c, const void *row)
{
	const struct row *r = row;
	struct pm_tensor *cache = op_input(c, &(struct op_in){"cache", r->type, r->n, r->cols, OP_STATE, 0, 0, NULL, 0});
	struct pm_tensor *x = op_input(c, &(struct op_in){"x", PM_F32, c->T, r->cols, OP_ROWS | r->flags, 0, 0, NULL, 0});
	struct pm_tensor *at = op_input(c, &(struct op_in){"row", PM_I32, c->T, 1, OP_ROWS, 0, 0, draw, 0});

	op_output(c, pm_store(c->g, cache, x, at), OP_NOGRAD);
}

static void ref(const void *row, const double *const *in, double *const *out)
{
	const struct row *r = row;
	int64_t t, c;

	for (c = 0; c < r->n * r->cols; c++)
		out[0][c] = in[0][c];
	for (t = 0; t < r->c.T; t++)
		for (c = 0; in[2][t] >= 0 && c < r->cols; c++)
			out[0][(int64_t)in[2][t] * r->cols + c] = in[1][t * r->cols + c];
}

static void cost(const void *row, double *flops, double *bytes, double *back)
{
	const struct row *r = row;

	*flops = 0;
	*bytes = (4.0 + pm_dtype(r->type)->bytes) * (double)(r->c.T * r->cols);
	*back = 0;
}

const struct op_test op_test_store = {.name = "store", OP_TABLE(rows), .build = build, .ref = ref, .cost = cost};
