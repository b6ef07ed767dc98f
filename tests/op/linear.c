#include <math.h>

#include "harness.h"

#include "base/rng.h"

/* in and out of the layer, what it has, and how its operands are stored. */
struct row {
	struct op_case c;
	int64_t in, out, rank;
	enum pm_dtype type;
	bool transposed, bias, add;
	double scale, s, dropout;
	unsigned flags;                 /* of x: OP_VIEW */
	bool frozen;                    /* W and the bias have no gradient */
	bool large;                     /* one value of each row of x is 10⁵ times the others */
	bool woven;                     /* W is, too */
};

#define F16 .type = PM_F16, .frozen = true
#define BF16 .type = PM_BF16, .frozen = true
#define BLOCKS(t) .type = (t), .frozen = true
#define ALL .bias = true, .add = true, .scale = 0.5, .rank = 3, .s = 2

/* A block type: in tiles, rounded to bf16, of few rows; what it adds up to over one block and over several. */
#define OF_TYPE(name, t) \
	{{"33x256x70 " name, .T = 33, .period = 11}, 256, 70, BLOCKS(t), ALL}, \
	{{"20x768x49 " name " rounded", .T = 20, .bf16 = true}, 768, 49, BLOCKS(t)}, \
	{{"1x512x1 " name " thin", .T = 1, .thin = true}, 512, 1, BLOCKS(t)}, \
	{{"7x768x131 " name " thin", .T = 7, .period = 1, .thin = true}, 768, 131, BLOCKS(t), ALL, .flags = OP_VIEW}, \
	{{"20x768x49 " name " rounded, woven", .T = 20, .bf16 = true}, 768, 49, BLOCKS(t), .woven = true}, \
	{{"1x512x133 " name " int8, woven", .T = 1, .thin = true, .int8 = true}, 512, 133, BLOCKS(t), .woven = true}, \
	{{"7x768x70 " name " int8", .T = 7, .period = 1, .thin = true, .int8 = true}, 768, 70, BLOCKS(t), ALL, .flags = OP_VIEW}
/* Rows of an odd number of blocks. */
#define ODD(name, t) \
	{{"2x96x33 " name " int8", .T = 2, .period = 1, .thin = true, .int8 = true}, 96, 33, BLOCKS(t), ALL}, \
	{{"1x32x9 " name " int8", .T = 1, .thin = true, .int8 = true}, 32, 9, BLOCKS(t)}

#define LARGE(name, t) \
	{{"2x512x70 " name " int8, one large", .T = 2, .period = 1, .thin = true, .int8 = true}, 512, 70, BLOCKS(t), .large = true}

static const struct row rows[] = {
	{{"1x1x1", .T = 1}, .in = 1, .out = 1},
	{{"31x33x65", .T = 31}, 33, 65, .bias = true},
	{{"33x65x31 transposed", .T = 33}, 65, 31, .transposed = true, .bias = true},
	{{"65x1000x33", .T = 65}, 1000, 33, .add = true, .scale = 0.125},
	{{"7x31x1000", .T = 7}, .in = 31, .out = 1000},
	{{"70x300x17", .T = 70}, 300, 17, .rank = 8, .s = 0.5},
	{{"520x4099x3", .T = 520}, 4099, 3, .bias = true},
	{{"4100x3x5, periods", .T = 4100, .period = 1025}, 3, 5, .rank = 2, .s = 1},
	{{"4200x2x3, one period", .T = 4200}, 2, 3, .transposed = true, .bias = true},
	{{"12x20x50 view, periods", .T = 12, .period = 3}, 20, 50, .flags = OP_VIEW, ALL},
	{{"66x40x40 transposed, periods", .T = 66, .period = 33}, 40, 40, .transposed = true, ALL},
	{{"9x33x70 f16", .T = 9}, 33, 70, F16, ALL},
	{{"9x65x100 f16 transposed", .T = 9}, 65, 100, F16, .transposed = true, .bias = true},
	{{"9x77x49 bf16", .T = 9}, 77, 49, BF16, ALL},
	{{"20x65x100 bf16 transposed", .T = 20}, 65, 100, BF16, .transposed = true, .bias = true},
	{{"24x200x48 dropout", .T = 24, .period = 8}, 200, 48, .rank = 4, .s = 2, .dropout = 0.25},
	{{"10x50x30 all, dropout", .T = 10}, 50, 30, BF16, ALL, .dropout = 0.5, .flags = OP_VIEW},
	{{"33x65x100 rounded to bf16", .T = 33, .bf16 = true}, 65, 100, ALL},
	{{"64x1000x49 rounded, bf16 weights", .T = 64, .bf16 = true}, 1000, 49, BF16, ALL},
	{{"62x100x60 rounded, f16 weights, transposed", .T = 62, .period = 31, .bf16 = true}, 100, 60, F16, .transposed = true, ALL},
	{{"45x30x20 rounded, odd periods", .T = 45, .period = 15, .bf16 = true}, 30, 20, ALL},
	{{"4100x3x5 rounded, odd periods", .T = 4100, .period = 1025, .bf16 = true}, 3, 5, .rank = 2, .s = 1},
	{{"530x40x60 rounded, rank 64", .T = 530, .bf16 = true}, 40, 60, .rank = 64, .s = 0.5, .bias = true},
	{{"40x1100x70 rounded, rank 65, no tail", .T = 40, .bf16 = true}, 1100, 70, BF16, .rank = 65, .s = 0.5, .add = true},
	{{"33x70x90 rank 17", .T = 33, .period = 11}, 70, 90, BF16, .rank = 17, .s = 0.5, .scale = 0.5},
	{{"1x33x65 thin", .T = 1, .thin = true}, 33, 65, ALL},
	{{"15x1000x31 thin", .T = 15, .period = 5, .thin = true}, 1000, 31, .flags = OP_VIEW, ALL},
	{{"16x64x33 thin f16", .T = 16, .period = 1, .thin = true}, 64, 33, F16, .bias = true},
	{{"21x100x77 thin bf16", .T = 21, .period = 7, .thin = true}, 100, 77, BF16, ALL},
	{{"1x2048x133 thin bf16 rounded", .T = 1, .thin = true, .bf16 = true}, 2048, 133, BF16},
	{{"1x31x9 thin bf16 rounded", .T = 1, .thin = true, .bf16 = true}, 31, 9, BF16, ALL},
	{{"23x100x77 thin bf16 rounded", .T = 23, .period = 1, .thin = true, .bf16 = true}, 100, 77, BF16, ALL, .flags = OP_VIEW},
	{{"40x1056x200 thin bf16 rounded", .T = 40, .period = 5, .thin = true, .bf16 = true}, 1056, 200, BF16, .bias = true},
	{{"5x100x129 thin transposed", .T = 5, .period = 1, .thin = true}, 100, 129, .transposed = true, ALL},
	{{"3x31x70 thin bf16 transposed", .T = 3, .thin = true}, 31, 70, BF16, .transposed = true},
	{{"31x70x288 q8_0 transposed", .T = 31}, 70, 288, BLOCKS(PM_Q8_0), ALL, .transposed = true},
	{{"3x31x256 q6_k thin transposed", .T = 3, .thin = true}, 31, 256, BLOCKS(PM_Q6_K), .transposed = true},
	{{"10x32x30 iq4_nl, dropout", .T = 10}, 32, 30, BLOCKS(PM_IQ4_NL), ALL, .dropout = 0.5, .flags = OP_VIEW},
	OF_TYPE("q4_0", PM_Q4_0),
	OF_TYPE("q4_1", PM_Q4_1),
	OF_TYPE("q5_0", PM_Q5_0),
	OF_TYPE("q5_1", PM_Q5_1),
	OF_TYPE("q8_0", PM_Q8_0),
	OF_TYPE("iq4_nl", PM_IQ4_NL),
	OF_TYPE("mxfp4", PM_MXFP4),
	{{"33x96x70 affine8", .T = 33, .period = 11}, 96, 70, BLOCKS(PM_AFFINE8), ALL},
	{{"7x352x70 affine8 int8", .T = 7, .period = 1, .thin = true, .int8 = true}, 352, 70, BLOCKS(PM_AFFINE8), ALL, .flags = OP_VIEW},
	{{"33x96x70 nf4", .T = 33, .period = 11}, 96, 70, BLOCKS(PM_NF4), ALL},
	{{"20x160x49 nf4 rounded", .T = 20, .bf16 = true}, 160, 49, BLOCKS(PM_NF4)},
	{{"7x96x131 nf4 thin", .T = 7, .period = 1, .thin = true, .int8 = true, .tol = 1e-5}, 96, 131, BLOCKS(PM_NF4), ALL, .flags = OP_VIEW},
	{{"33x96x70 fp4", .T = 33, .period = 11}, 96, 70, BLOCKS(PM_FP4), ALL},
	{{"1x32x131 fp4 thin", .T = 1, .thin = true}, 32, 131, BLOCKS(PM_FP4)},
	OF_TYPE("q2_k", PM_Q2_K),
	OF_TYPE("q3_k", PM_Q3_K),
	OF_TYPE("q4_k", PM_Q4_K),
	OF_TYPE("q5_k", PM_Q5_K),
	OF_TYPE("q6_k", PM_Q6_K),
	OF_TYPE("iq4_xs", PM_IQ4_XS),
	{{"33x256x70 q4_k woven", .T = 33, .period = 11}, 256, 70, BLOCKS(PM_Q4_K), ALL, .woven = true},
	{{"33x544x70 q8_0 woven", .T = 33, .period = 11}, 544, 70, BLOCKS(PM_Q8_0), ALL, .woven = true},
	{{"23x1056x200 q4_0 int8, woven", .T = 23, .period = 1, .thin = true, .int8 = true}, 1056, 200, BLOCKS(PM_Q4_0), ALL, .woven = true},
	{{"5x512x96 q6_k int8, woven", .T = 5, .period = 1, .thin = true, .int8 = true}, 512, 96, BLOCKS(PM_Q6_K), ALL, .woven = true},
	{{"33x544x70 bf16 woven, rounded", .T = 33, .period = 11, .bf16 = true}, 544, 70, BF16, ALL, .woven = true},
	{{"520x1056x200 bf16 woven, rounded", .T = 520, .bf16 = true}, 1056, 200, BF16, .woven = true},
	{{"1x2048x133 thin bf16 woven", .T = 1, .thin = true, .bf16 = true}, 2048, 133, BF16, .woven = true},
	{{"23x96x77 thin bf16 woven", .T = 23, .period = 1, .thin = true, .bf16 = true}, 96, 77, BF16, ALL, .woven = true},
	{{"15x1056x200 thin bf16 woven", .T = 15, .period = 5, .thin = true, .bf16 = true}, 1056, 200, BF16, .bias = true, .woven = true},
	LARGE("q4_0", PM_Q4_0),
	LARGE("q8_0", PM_Q8_0),
	LARGE("q4_k", PM_Q4_K),
	LARGE("q5_k", PM_Q5_K),
	LARGE("q6_k", PM_Q6_K),
	ODD("q4_0", PM_Q4_0),
	ODD("q4_1", PM_Q4_1),
	ODD("q5_0", PM_Q5_0),
	ODD("q5_1", PM_Q5_1),
	ODD("q8_0", PM_Q8_0),
	ODD("iq4_nl", PM_IQ4_NL),
	ODD("mxfp4", PM_MXFP4),
	{{"512x2048x2048", .T = 512, .speed = true}, .in = 2048, .out = 2048},
	{{"512x2048x2048 bf16 weights, LoRA 16", .T = 512, .speed = true}, 2048, 2048, BF16, .rank = 16, .s = 2},
	{{"512x2048x2048 bf16", .T = 512, .bf16 = true, .speed = true}, 2048, 2048, BF16},
	{{"1x2048x8192 thin f32", .T = 1, .thin = true, .speed = true}, .in = 2048, .out = 8192},
	{{"1x2048x8192 thin bf16", .T = 1, .thin = true, .speed = true}, 2048, 8192, BF16},
	{{"1x2048x8192 thin f16", .T = 1, .thin = true, .speed = true}, 2048, 8192, F16},
	{{"16x2048x8192 thin bf16", .T = 16, .thin = true, .speed = true}, 2048, 8192, BF16},
};

#define STREAM 77

static void fill_counters(double *v, int64_t n, int64_t cols, const void *row)
{
	int64_t i;

	(void)row;
	for (i = 0; i < n * cols; i++)
		v[i] = (double)(int32_t)pm_rng_u32(5, 9, (uint64_t)i);
}

static void fill_large(double *v, int64_t n, int64_t cols, const void *row)
{
	int64_t i;

	(void)row;
	for (i = 0; i < n * cols; i++)
		v[i] = (float)(pm_rng_normal(5, 8, (uint64_t)i) * (i % cols == 300 ? 1e5 : 1));
}

static void build(struct op_ctx *c, const void *row)
{
	const struct row *r = row;
	const int64_t w_rows = r->transposed ? r->in : r->out, w_cols = r->transposed ? r->out : r->in;
	const unsigned grad = r->frozen ? 0 : OP_GRAD;
	const double size = 1 / sqrt((double)r->in);
	struct pm_linear_opts o = {.transposed = r->transposed, .scale = (float)r->scale};
	struct pm_tensor *x, *w, *b;

	x = op_input(c, &(struct op_in){.name = "x", .rows = c->T, .cols = r->in, .flags = OP_ROWS | OP_GRAD | r->flags,
		.fill = r->large ? fill_large : NULL});
	w = op_input(c, &(struct op_in){.name = "W", .type = r->type, .rows = w_rows, .cols = w_cols,
		.flags = grad | (r->woven ? OP_WOVEN : 0), .scale = size});
	b = r->bias ? op_input(c, &(struct op_in){.name = "b", .type = pm_dtype_plain(r->type) ? r->type : PM_F32, .rows = 1, .cols = r->out, .flags = grad}) : op_none(c);
	if (r->add)
		o.add = op_input(c, &(struct op_in){.name = "add", .rows = c->T, .cols = r->out, .flags = OP_ROWS | OP_GRAD | r->flags});
	else
		op_none(c);
	if (r->rank) {
		o.lora.s = (float)r->s;
		o.lora.a = op_input(c, &(struct op_in){.name = "A", .rows = r->rank, .cols = r->in, .flags = OP_GRAD, .scale = size});
		o.lora.b = op_input(c, &(struct op_in){.name = "B", .rows = r->out, .cols = r->rank, .flags = OP_GRAD});
	} else {
		op_none(c);
		op_none(c);
	}
	if (r->dropout > 0) {
		o.lora.dropout = (float)r->dropout;
		o.lora.stream = STREAM;
		o.lora.rng = op_input(c, &(struct op_in){.name = "rng", .type = PM_I32, .rows = c->T, .cols = 2, .flags = OP_ROWS, .fill = fill_counters});
	} else {
		op_none(c);
	}
	op_output(c, pm_linear(c->g, x, w, b, &o), 0);
}

/* A·drop(x) of one row. */
static void low_rank(const struct row *r, const double *x, const double *a, const double *rng, double *h)
{
	const uint64_t seed = rng ? (uint64_t)(uint32_t)(int32_t)rng[0] | (uint64_t)(uint32_t)(int32_t)rng[1] << 32 : 0;
	int64_t i, j;

	for (j = 0; j < r->rank; j++)
		h[j] = 0;
	for (i = 0; i < r->in; i++) {
		double v = x[i];

		if (rng)
			v = pm_rng_uniform(seed, STREAM, (uint64_t)i) >= (float)r->dropout ? v / (1 - r->dropout) : 0;
		for (j = 0; j < r->rank; j++)
			h[j] += a[j * r->in + i] * v;
	}
}

static void ref(const void *row, const double *const *in, double *const *out)
{
	const struct row *r = row;
	const double *x = in[0], *w = in[1], *b = in[2], *add = in[3], *la = in[4], *lb = in[5], *rng = in[6];
	double h[64];
	int64_t t, i, o;

	for (t = 0; t < r->c.T; t++) {
		if (r->rank)
			low_rank(r, x + t * r->in, la, rng ? rng + 2 * t : NULL, h);
		for (o = 0; o < r->out; o++) {
			double v = b ? b[o] : 0;

			for (i = 0; i < r->in; i++)
				v += x[t * r->in + i] * (r->transposed ? w[i * r->out + o] : w[o * r->in + i]);
			for (i = 0; i < r->rank; i++)
				v += r->s * lb[o * r->rank + i] * h[i];
			out[0][t * r->out + o] = v * (r->scale != 0 ? r->scale : 1) + (add ? add[t * r->out + o] : 0);
		}
	}
}

static void cost(const void *row, double *flops, double *bytes, double *back)
{
	const struct row *r = row;
	const double weights = (double)(r->in * r->out), lora = (double)(r->rank * (r->in + r->out));

	*flops = 2 * (double)r->c.T * (weights + lora);
	*bytes = (double)pm_dtype_bytes(r->type, (uint64_t)(r->in * r->out)) + 4 * (double)(r->c.T * (r->in + r->out));
	*back = r->frozen ? 1 : 2;
}

const struct op_test op_test_linear = {.name = "linear", OP_TABLE(rows), .build = build, .ref = ref, .cost = cost};
