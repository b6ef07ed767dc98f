#include "harness.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum mask { CAUSAL, WINDOW, DOCUMENTS, CHUNKS, IMAGES, SPARSE };

struct row {
	struct op_case c;
	int32_t heads, kv_heads, head_dim, v_dim;
	int64_t keys;                   /* in each period, the queries being the last; 0: as many as queries */
	enum mask mask;
	double softcap;
	bool sinks, view, decode;
	bool forward;                   /* gradients are not tested: the programs take seconds to compile */
	enum pm_dtype type;             /* of k and v */
};

static const struct row rows[] = {
	{{"1 key", .T = 1}, 1, 1, 16, 16, .mask = CAUSAL},
	{{"causal, heads of 8", .T = 33}, 2, 2, 8, 8, .forward = true},
	{{"causal, sequences of 50", .T = 150, .period = 50}, 2, 1, 16, 16, .view = true},
	{{"windows, sinks", .T = 130}, 1, 1, 16, 16, .mask = WINDOW, .sinks = true},
	{{"documents, sequences of 100", .T = 200, .period = 100}, 4, 2, 16, 16, .mask = DOCUMENTS},
	{{"queries that see nothing, sinks", .T = 60, .period = 20}, 4, 2, 16, 16, .mask = SPARSE, .sinks = true},
	{{"soft cap", .T = 70}, 2, 1, 16, 16, .softcap = 1.5},
	{{"soft cap, sinks, documents", .T = 50}, 2, 1, 16, 16, .mask = DOCUMENTS, .softcap = 20, .sinks = true},
	{{"chunks, heads of 13 and 21, view", .T = 65}, 3, 1, 13, 21, .mask = CHUNKS, .view = true},
	{{"queries that see nothing, heads of 13 and 21, sequences of 60", .T = 180, .period = 60}, 2, 1, 13, 21, .mask = SPARSE},
	{{"causal, heads of 64, sequences of 70", .T = 140, .period = 70}, 4, 2, 64, 64, .view = true},
	{{"windows, heads of 80", .T = 130}, 1, 1, 80, 80, .mask = WINDOW, .forward = true},
	{{"documents, heads of 96, sequences of 100", .T = 200, .period = 100}, 2, 1, 96, 96, .mask = DOCUMENTS, .forward = true},
	{{"images, heads of 128 and 32", .T = 120}, 2, 2, 128, 32, .mask = IMAGES},
	{{"documents, heads of 256", .T = 50}, 2, 1, 256, 256, .mask = DOCUMENTS, .forward = true},
	{{"more keys than queries, f16", .T = 40, .period = 20}, 4, 2, 64, 64, .keys = 177, .type = PM_F16, .view = true},
	{{"more keys than queries, bf16, windows", .T = 50}, 4, 1, 40, 24, .keys = 400, .type = PM_BF16, .mask = WINDOW},
	{{"decoding, 1 key", .T = 1, .period = 1}, 1, 1, 64, 64, .decode = true},
	{{"decoding, 3 sequences, bf16", .T = 3, .period = 1}, 4, 2, 64, 64, .keys = 777, .type = PM_BF16, .decode = true},
	{{"decoding, f32, view, sinks", .T = 2, .period = 1}, 6, 2, 80, 80, .keys = 600, .view = true, .sinks = true, .decode = true},
	{{"decoding, f16, windows, soft cap, heads of 33 and 50", .T = 4, .period = 2}, 3, 1, 33, 50, .keys = 1030, .type = PM_F16, .mask = WINDOW,
		.softcap = 3, .decode = true},
	{{"decoding, queries that see nothing", .T = 6, .period = 3}, 2, 2, 8, 8, .keys = 300, .mask = SPARSE, .decode = true},
	{{"512, 16 heads of 64", .T = 512, .speed = true}, 16, 16, 64, 64, .mask = CAUSAL},
	{{"1024, 16 heads of 64", .T = 1024, .speed = true}, 16, 16, 64, 64, .mask = CAUSAL},
	{{"4096, 4 heads of 64", .T = 4096, .speed = true}, 4, 4, 64, 64, .mask = CAUSAL},
	{{"512, 8 heads of 128", .T = 512, .speed = true}, 8, 4, 128, 128, .mask = CAUSAL},
	{{"1024, 8 heads of 128", .T = 1024, .speed = true}, 8, 4, 128, 128, .mask = CAUSAL},
	{{"4096, 2 heads of 128", .T = 4096, .speed = true}, 2, 1, 128, 128, .mask = CAUSAL},
	{{"decoding, 4096 keys, f32, 16 of 4 heads of 128", .T = 1, .speed = true}, 16, 4, 128, 128, .keys = 4096, .decode = true},
	{{"decoding, 16384 keys, bf16, 16 of 4 heads of 128", .T = 1, .speed = true}, 16, 4, 128, 128, .keys = 16384, .type = PM_BF16, .decode = true},
	{{"decoding, 16384 keys, bf16, 8 of 8 heads of 64", .T = 1, .speed = true}, 8, 8, 64, 64, .keys = 16384, .type = PM_BF16, .decode = true},
};

static int64_t period_of(const struct row *r)
{
	return r->c.period ? r->c.period : r->c.T;
}

static int64_t keys_of(const struct row *r)
{
	return r->keys ? r->keys : period_of(r);
}

/* The keys that query i of a period sees, both counted in the period. */
static void sees(const struct row *r, int64_t i, int64_t *from, int64_t *to)
{
	static const int64_t starts[] = {0, 1, 8, 40, 41, 90, 140, 1000000}, images[][2] = {{3, 20}, {50, 51}, {60, 110}};
	const int64_t at = i + keys_of(r) - period_of(r);

	*from = 0;
	*to = at + 1;
	switch (r->mask) {
	case CAUSAL:
		break;
	case WINDOW:
		*from = at > 300 ? at - 299 : at > 9 ? at - 9 : 0;
		break;
	case DOCUMENTS:
		for (int d = 0; starts[d] <= at; d++)
			*from = starts[d];
		break;
	case CHUNKS:
		*from = at / 24 * 24;
		break;
	case IMAGES:
		for (int d = 0; d < 3; d++)
			if (at >= images[d][0] && at < images[d][1])
				*to = images[d][1];
		break;
	case SPARSE:
		if (i % 3 == 1)
			*from = *to = i % 2 ? 0 : 5;
		break;
	}
}

static void spans(double *v, int64_t n, int64_t cols, const void *p)
{
	const struct row *r = p;
	const int64_t period = period_of(r);

	(void)cols;
	for (int64_t i = 0; i < n; i++) {
		int64_t from, to;

		sees(r, i % period, &from, &to);
		v[2 * i] = (double)(from + i / period * keys_of(r));
		v[2 * i + 1] = (double)(to + i / period * keys_of(r));
	}
}

static void key_spans(double *v, int64_t n, int64_t cols, const void *p)
{
	const struct row *r = p;
	const int64_t period = period_of(r), keys = keys_of(r);

	(void)cols;
	for (int64_t k = 0; k < n; k++) {
		v[2 * k] = v[2 * k + 1] = (double)(k / keys * period);
		for (int64_t i = 0, some = 0; i < period; i++) {
			int64_t from, to;

			sees(r, i, &from, &to);
			if (k % keys < from || k % keys >= to)
				continue;
			if (!some++)
				v[2 * k] = (double)(i + k / keys * period);
			v[2 * k + 1] = (double)(i + 1 + k / keys * period);
		}
	}
}

static void build(struct op_ctx *c, const void *p)
{
	const struct row *r = p;
	const int64_t period = period_of(r), all = r->c.T / period * keys_of(r), S = c->T / period * keys_of(r);
	const bool grad = !r->decode && !r->forward && r->type == PM_F32;
	const unsigned flags = OP_ROWS | (r->view ? OP_VIEW : 0) | (grad ? OP_GRAD : 0);
	struct pm_attention_opts o = {.heads = r->heads, .kv_heads = r->kv_heads, .head_dim = r->head_dim, .v_dim = r->v_dim,
		.scale = (float)(1.5 / sqrt(r->head_dim)), .softcap = (float)r->softcap, .q_period = period, .kv_period = keys_of(r), .decode = r->decode};
	struct pm_tensor *q, *k, *v, *span, *kspan;

	q = op_input(c, &(struct op_in){"q", PM_F32, c->T, r->heads * r->head_dim, flags, .mean = 0});
	k = op_input(c, &(struct op_in){"k", r->type, S, r->kv_heads * r->head_dim, flags, .mean = 0});
	v = op_input(c, &(struct op_in){"v", r->type, S, r->kv_heads * r->v_dim, flags, .mean = 0});
	span = op_input(c, &(struct op_in){"span", PM_I32, c->T, 2, OP_ROWS | OP_INDEX, .fill = spans, .of = all});
	kspan = grad ? op_input(c, &(struct op_in){"kspan", PM_I32, S, 2, OP_ROWS | OP_INDEX, .fill = key_spans, .of = r->c.T}) : op_none(c);
	o.sinks = r->sinks ? op_input(c, &(struct op_in){"sinks", PM_F32, 1, r->heads, grad ? OP_GRAD : 0, .mean = 0.5}) : op_none(c);
	op_output(c, pm_attention(c->g, q, k, v, span, kspan, &o), OP_ROWS);
}

static void ref(const void *p, const double *const *in, double *const *out)
{
	const struct row *r = p;
	const int64_t D = r->head_dim, DV = r->v_dim;
	double *s = malloc(sizeof *s * (size_t)keys_of(r));

	for (int64_t i = 0; i < r->c.T * r->heads; i++) {
		const int64_t h = i % r->heads / (r->heads / r->kv_heads), from = (int64_t)in[3][i / r->heads * 2], n = (int64_t)in[3][i / r->heads * 2 + 1] - from;
		const double *q = in[0] + i * D, *k = in[1] + (from * r->kv_heads + h) * D, *v = in[2] + (from * r->kv_heads + h) * DV;
		double top = in[5] ? in[5][i % r->heads] : -INFINITY, sum = 0;

		for (int64_t j = 0; j < n; j++) {
			s[j] = 0;
			for (int64_t d = 0; d < D; d++)
				s[j] += q[d] * k[j * r->kv_heads * D + d];
			s[j] *= (float)(1.5 / sqrt((double)D));
			if (r->softcap > 0)
				s[j] = (float)r->softcap * tanh(s[j] / (float)r->softcap);
			top = fmax(top, s[j]);
		}
		for (int64_t j = 0; j < n; j++)
			sum += s[j] = exp(s[j] - top);
		if (in[5])
			sum += exp(in[5][i % r->heads] - top);
		for (int64_t d = 0; d < DV; d++) {
			double y = 0;

			for (int64_t j = 0; j < n; j++)
				y += s[j] * v[j * r->kv_heads * DV + d];
			out[0][i * DV + d] = n > 0 ? y / sum : 0;
		}
	}
	free(s);
}

static void cost(const void *p, double *flops, double *bytes, double *back)
{
	const struct row *r = p;
	const double T = (double)r->c.T, S = (double)keys_of(r), pairs = T * (S - T) + T * (T + 1) / 2;

	*flops = 2 * pairs * r->heads * (r->head_dim + r->v_dim);
	*bytes = S * r->kv_heads * (r->head_dim + r->v_dim) * (r->type == PM_F32 ? 4 : 2);
	*back = 2.5;
}

const struct op_test op_test_attention = {"attention", OP_TABLE(rows), build, ref, cost};
