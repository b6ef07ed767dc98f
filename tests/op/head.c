#include <math.h>

#include "harness.h"

#include "base/rng.h"

struct row {
	struct op_case c;
	int64_t dim, vocab, rank;
	enum pm_dtype type;
	bool transposed, bias, logits;          /* logits: pm_logits, else pm_nll */
	double scale, cap, s;
	int64_t slice;
	unsigned flags;                         /* of x: OP_VIEW */
	bool frozen;                            /* W and the bias have no gradient */
};

#define F16 .type = PM_F16, .frozen = true
#define BF16 .type = PM_BF16, .frozen = true

#define BLOCKS(t) .type = (t), .frozen = true

static const struct row rows[] = {
	{{"1x1x2", .T = 1}, .dim = 1, .vocab = 2},
	{{"31x33x65", .T = 31}, .dim = 33, .vocab = 65},
	{{"33x65x1000 bias", .T = 33}, .dim = 65, .vocab = 1000, .bias = true},
	{{"40x31x257 transposed, cap, periods", .T = 40, .period = 20}, .dim = 31, .vocab = 257, .transposed = true, .cap = 3, .scale = 0.5},
	{{"48x20x2500 slices, periods", .T = 48, .period = 16}, .dim = 20, .vocab = 2500, .slice = 1, .bias = true, .cap = 2},
	{{"12x20x1100 slices, LoRA", .T = 12, .period = 4}, .dim = 20, .vocab = 1100, .slice = 1, .rank = 3, .s = 0.5, .scale = 2},
	{{"20x33x300 bf16 view", .T = 20, .period = 5}, .dim = 33, .vocab = 300, BF16, .flags = OP_VIEW, .rank = 2, .s = 1},
	{{"17x40x70 f16 transposed", .T = 17}, .dim = 40, .vocab = 70, F16, .transposed = true, .bias = true},
	{{"34x64x1200 rounded to bf16", .T = 34, .period = 17, .bf16 = true}, .dim = 64, .vocab = 1200, .slice = 1},
	{{"1x33x1000 logits, thin", .T = 1, .thin = true}, .dim = 33, .vocab = 1000, BF16, .logits = true, .cap = 1.5},
	{{"7x31x130 logits", .T = 7, .period = 1}, .dim = 31, .vocab = 130, .logits = true, .bias = true, .scale = 0.25, .cap = 4, .frozen = true},
	{{"20x256x1100 q4_k slices, LoRA", .T = 20, .period = 5}, .dim = 256, .vocab = 1100, BLOCKS(PM_Q4_K), .slice = 1, .rank = 2, .s = 1},
	{{"34x64x1200 q8_0 rounded to bf16", .T = 34, .period = 17, .bf16 = true}, .dim = 64, .vocab = 1200, BLOCKS(PM_Q8_0), .slice = 1, .bias = true},
	{{"33x65x7000 frozen", .T = 33}, .dim = 65, .vocab = 7000, .frozen = true},
	{{"48x20x2500 frozen, slices, periods, bias, cap", .T = 48, .period = 16}, .dim = 20, .vocab = 2500, .slice = 1, .bias = true, .cap = 2, .scale = 3, .frozen = true},
	{{"31x33x5000 frozen, bf16, likely targets", .T = 31, .period = 31}, .dim = 33, .vocab = 5000, BF16, .scale = 20, .flags = OP_VIEW},
	{{"34x64x4200 frozen, rounded to bf16", .T = 34, .period = 17, .bf16 = true}, .dim = 64, .vocab = 4200, BF16, .scale = 2},
	{{"7x512x300 q6_k logits, thin", .T = 7, .thin = true}, .dim = 512, .vocab = 300, BLOCKS(PM_Q6_K), .logits = true, .cap = 1.5},
	{{"512x1024x32000", .T = 512, .speed = true}, .dim = 1024, .vocab = 32000, BF16},
	{{"512x1024x32000 trained", .T = 512, .speed = true}, .dim = 1024, .vocab = 32000},
	{{"512x1024x32000 rounded to bf16", .T = 512, .bf16 = true, .speed = true}, .dim = 1024, .vocab = 32000, BF16},
	{{"1x1024x150000 logits, thin", .T = 1, .thin = true, .speed = true}, .dim = 1024, .vocab = 150000, BF16, .logits = true},
};

/* Runs of rows without a target, some of them longer than 16, and single ones. */
static void fill_targets(double *v, int64_t n, int64_t cols, const void *row)
{
	const struct row *r = row;
	int64_t i;

	(void)cols;
	for (i = 0; i < n; i++)
		v[i] = n > 2 && (i % 7 == 3 || (i >= 12 && i < 33)) && !r->c.speed ? -1 : (double)(pm_rng_u32(3, 1, (uint64_t)i) % (uint64_t)r->vocab);
}

static void build(struct op_ctx *c, const void *row)
{
	const struct row *r = row;
	const unsigned grad = r->frozen ? 0 : OP_GRAD, x_grad = r->logits ? 0 : OP_GRAD;
	struct pm_head_opts o = {.transposed = r->transposed, .scale = (float)r->scale, .softcap = (float)r->cap, .slice = r->slice};
	struct pm_tensor *x, *w, *b, *t, *lse;

	x = op_input(c, &(struct op_in){.name = "x", .rows = c->T, .cols = r->dim, .flags = OP_ROWS | x_grad | r->flags});
	w = op_input(c, &(struct op_in){.name = "W", .type = r->type, .rows = r->transposed ? r->dim : r->vocab,
		.cols = r->transposed ? r->vocab : r->dim, .flags = grad & x_grad, .scale = 2 / sqrt((double)r->dim)});
	b = r->bias ? op_input(c, &(struct op_in){.name = "b", .type = pm_dtype_plain(r->type) ? r->type : PM_F32, .rows = 1, .cols = r->vocab, .flags = grad & x_grad}) : op_none(c);
	t = op_input(c, &(struct op_in){.name = "target", .type = PM_I32, .rows = c->T, .cols = 1, .flags = OP_ROWS, .fill = fill_targets});
	if (r->rank) {
		o.lora.s = (float)r->s;
		o.lora.a = op_input(c, &(struct op_in){.name = "A", .rows = r->rank, .cols = r->dim, .flags = OP_GRAD, .scale = 1 / sqrt((double)r->dim)});
		o.lora.b = op_input(c, &(struct op_in){.name = "B", .rows = r->vocab, .cols = r->rank, .flags = OP_GRAD});
	} else {
		op_none(c);
		op_none(c);
	}
	if (r->logits) {
		op_output(c, pm_logits(c->g, x, w, b, &o), OP_NOGRAD);
		return;
	}
	op_output(c, pm_nll(c->g, x, w, b, t, &o, &lse), 0);
	op_output(c, lse, OP_NOGRAD);
}

static double logit(const struct row *r, const double *x, const double *const *in, const double *h, int64_t v)
{
	const double *w = in[1];
	double y = in[2] ? in[2][v] : 0;
	int64_t i;

	for (i = 0; i < r->dim; i++)
		y += x[i] * (r->transposed ? w[i * r->vocab + v] : w[v * r->dim + i]);
	for (i = 0; i < r->rank; i++)
		y += r->s * in[5][v * r->rank + i] * h[i];
	y *= r->scale != 0 ? r->scale : 1;
	return r->cap > 0 ? r->cap * tanh(y / r->cap) : y;
}

static void ref(const void *row, const double *const *in, double *const *out)
{
	const struct row *r = row;
	int64_t t, v, i, j;

	for (t = 0; t < r->c.T; t++) {
		const double *x = in[0] + t * r->dim;
		const int64_t target = (int64_t)in[3][t];
		double h[8] = {0}, s = 0, hit = 0;

		if (!r->logits && target < 0) {
			out[0][t] = out[1][t] = 0;
			continue;
		}
		for (j = 0; j < r->rank; j++)
			for (i = 0; i < r->dim; i++)
				h[j] += in[4][j * r->dim + i] * x[i];
		for (v = 0; v < r->vocab; v++) {
			double y = logit(r, x, in, h, v);

			if (r->logits)
				out[0][t * r->vocab + v] = y;
			s += exp(y);
			hit = v == target ? y : hit;
		}
		if (!r->logits) {
			out[1][t] = log(s);
			out[0][t] = log(s) - hit;
		}
	}
}

static void cost(const void *row, double *flops, double *bytes, double *back)
{
	const struct row *r = row;

	*flops = 2 * (double)(r->c.T * r->dim * r->vocab);
	*bytes = (double)pm_dtype_bytes(r->type, (uint64_t)(r->dim * r->vocab));
	*back = r->frozen ? 2 : 3;
}

const struct op_test op_test_head = {.name = "head", OP_TABLE(rows), .build = build, .ref = ref, .cost = cost};
