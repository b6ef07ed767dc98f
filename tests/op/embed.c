#include "harness.h"

struct row {
	struct op_case c;
	enum pm_dtype type;
	int64_t vocab, cols, rank;
	double scale, s;
};

static const struct row rows[] = {
	{{"f32 1 of 1x1", .T = 1}, PM_F32, 1, 1, 0, 1, 0},
	{{"f32 31 of 7x33", .T = 31}, PM_F32, 7, 33, 0, 1, 0},
	{{"f32 64 of 50x200 scaled", .T = 64, .period = 16}, PM_F32, 50, 200, 0, 5.5, 0},
	{{"bf16 9 of 20x65", .T = 9}, PM_BF16, 20, 65, 0, 2, 0},
	{{"f16 9 of 20x65", .T = 9}, PM_F16, 20, 65, 0, 1, 0},
	{{"f32 adapter 24 of 11x31 rank 3", .T = 24, .period = 8}, PM_F32, 11, 31, 3, 1.5, 0.5},
	{{"f32 adapter 14 of 11x50 rank 11", .T = 14, .period = 7}, PM_F32, 11, 50, 11, 1, 0.7},
	{{"bf16 adapter 13 of 11x64 rank 16", .T = 13}, PM_BF16, 11, 64, 16, 1, 2},
	{{"q4_0 9 of 20x512", .T = 9}, PM_Q4_0, 20, 512, 0, 2, 0},
	{{"q4_1 9 of 20x512", .T = 9}, PM_Q4_1, 20, 512, 0, 2, 0},
	{{"q5_0 9 of 20x512", .T = 9}, PM_Q5_0, 20, 512, 0, 2, 0},
	{{"q5_1 9 of 20x512", .T = 9}, PM_Q5_1, 20, 512, 0, 2, 0},
	{{"q8_0 9 of 20x512", .T = 9}, PM_Q8_0, 20, 512, 0, 2, 0},
	{{"iq4_nl 9 of 20x512", .T = 9}, PM_IQ4_NL, 20, 512, 0, 2, 0},
	{{"mxfp4 9 of 20x512", .T = 9}, PM_MXFP4, 20, 512, 0, 2, 0},
	{{"nf4 9 of 20x96", .T = 9}, PM_NF4, 20, 96, 0, 2, 0},
	{{"affine8 9 of 20x96", .T = 9}, PM_AFFINE8, 20, 96, 0, 2, 0},
	{{"fp4 9 of 20x96", .T = 9}, PM_FP4, 20, 96, 0, 2, 0},
	{{"q2_k 9 of 20x512", .T = 9}, PM_Q2_K, 20, 512, 0, 2, 0},
	{{"q3_k 9 of 20x512", .T = 9}, PM_Q3_K, 20, 512, 0, 2, 0},
	{{"q4_k 9 of 20x512", .T = 9}, PM_Q4_K, 20, 512, 0, 2, 0},
	{{"q5_k 9 of 20x512", .T = 9}, PM_Q5_K, 20, 512, 0, 2, 0},
	{{"q6_k 9 of 20x512", .T = 9}, PM_Q6_K, 20, 512, 0, 2, 0},
	{{"iq4_xs 9 of 20x512", .T = 9}, PM_IQ4_XS, 20, 512, 0, 2, 0},
	{{"q5_0 7 of 20x96 rank 3", .T = 7}, PM_Q5_0, 20, 96, 3, 1.5, 0.5},
	{{"bf16 2048 of 32000x2048", .T = 2048, .speed = true}, PM_BF16, 32000, 2048, 0, 1, 0},
	{{"f32 2048 of 32000x2048", .T = 2048, .speed = true}, PM_F32, 32000, 2048, 0, 1, 0},
	{{"f32 2048 of 32000x2048 rank 16", .T = 2048, .speed = true}, PM_F32, 32000, 2048, 16, 1, 1},
};

static void draw_ids(double *v, int64_t n, int64_t cols, const void *row)
{
	const struct row *r = row;
	int64_t i;

	for (i = 0; i < n * cols; i++)
		v[i] = (double)((i * 7919 + i / 3) % r->vocab);
}

static void build(struct op_ctx *c, const void *row)
{
	const struct row *r = row;
	unsigned grad = r->type == PM_F32 ? OP_GRAD : 0;
	struct pm_tensor *ids = op_input(c, &(struct op_in){"ids", PM_I32, c->T, 1, OP_ROWS, 0, 0, draw_ids, 0});
	struct pm_tensor *w = op_input(c, &(struct op_in){"w", r->type, r->vocab, r->cols, grad, 0, 0, NULL, 0});
	struct pm_tensor *a = r->rank ? op_input(c, &(struct op_in){"a", PM_F32, r->rank, r->vocab, OP_GRAD, 0, 0, NULL, 0}) : op_none(c);
	struct pm_tensor *b = r->rank ? op_input(c, &(struct op_in){"b", PM_F32, r->cols, r->rank, OP_GRAD, 0, 0, NULL, 0}) : op_none(c);

	op_output(c, pm_embed(c->g, ids, w, (float)r->scale, a, b, (float)r->s), 0);
}

static void ref(const void *row, const double *const *in, double *const *out)
{
	const struct row *r = row;
	int64_t t, c, i, id;

	for (t = 0; t < r->c.T; t++)
		for (c = 0, id = (int64_t)in[0][t]; c < r->cols; c++) {
			double sum = 0;

			for (i = 0; i < r->rank; i++)
				sum += in[3][c * r->rank + i] * in[2][i * r->vocab + id];
			out[0][t * r->cols + c] = r->scale * in[1][id * r->cols + c] + r->s * sum;
		}
}

static void cost(const void *row, double *flops, double *bytes, double *back)
{
	const struct row *r = row;

	*flops = (1 + 2.0 * (double)r->rank) * (double)(r->c.T * r->cols);
	*bytes = (4.0 + (double)pm_dtype(r->type)->bytes / pm_dtype(r->type)->block) * (double)(r->c.T * r->cols);
	*back = r->rank ? 2 : 1.5;
}

const struct op_test op_test_embed = {.name = "embed", OP_TABLE(rows), .build = build, .ref = ref, .cost = cost};
