/* block.c: the transformer block: norm, attention, norm, feed-forward (or experts: experts.c), each added to the residual stream. Which norms, biases
 * and fused projections there are follows from the tensors that the layer has. */
#include <string.h>

#include "model/build.h"

struct pm_tensor *build_named(struct build *b, struct pm_tensor *x, const char *what, int64_t layer, struct pm_tensor *add, double scale)
{
	const struct pm_weight *w = build_weight(b, "text.%d.%s", (int)layer, what);

	if (!w)
		return pm_graph_fail(b->g, "layer %d has no '%s'", (int)layer, what);
	return build_linear(b, x, w, build_weight(b, "text.%d.%s.bias", (int)layer, what), add, scale);
}

static struct pm_tensor *norm(struct build *b, struct pm_tensor *x, const char *what, int64_t layer, int64_t group)
{
	return build_norm(b, x, build_weight(b, "text.%d.%s", (int)layer, what), build_weight(b, "text.%d.%s.bias", (int)layer, what), group);
}

/* Queries, keys and values: three products, or one whose columns are parted. */
static void projections(struct build *b, struct pm_tensor *x, int64_t i, struct pm_tensor *qkv[3])
{
	const struct pm_layer_spec *l = &b->f->model->spec->layer[i];
	int64_t nq = l->heads * l->head_dim, nk = l->kv_heads * l->head_dim;
	struct pm_tensor *all;

	if (!build_weight(b, "text.%d.attn.qkv", (int)i)) {
		qkv[0] = build_named(b, x, "attn.q", i, NULL, 1);
		qkv[1] = build_named(b, x, "attn.k", i, NULL, 1);
		qkv[2] = build_named(b, x, "attn.v", i, NULL, 1);
		return;
	}
	all = build_named(b, x, "attn.qkv", i, NULL, 1);
	qkv[0] = pm_view_cols(b->g, all, 0, nq);
	qkv[1] = pm_view_cols(b->g, all, nq, nk);
	qkv[2] = pm_view_cols(b->g, all, nq + nk, nk);
}

/* Keys or values go to the cache of the layer, and are read from there. */
static struct pm_tensor *cached(struct build *b, struct pm_tensor *x, struct pm_mem *mem)
{
	const struct pm_kv *kv = b->f->opts.kv;
	struct pm_tensor *c;

	if (!x)
		return NULL;
	c = pm_tensor_of(b->g, PM_T_STATE, kv->type, kv->slots * kv->context, x->cols, mem, "cache");
	return pm_store(b->g, c, x, b->f->rows);
}

static struct pm_tensor *attention(struct build *b, struct pm_tensor *x, int64_t i)
{
	struct pm_forward *f = b->f;
	const struct pm_layer_spec *l = &f->model->spec->layer[i];
	const struct pm_kv *kv = f->opts.kv;
	struct pm_attention_opts o = {.heads = (int32_t)l->heads, .kv_heads = (int32_t)l->kv_heads, .head_dim = (int32_t)l->head_dim,
		.scale = (float)l->scale, .softcap = (float)l->softcap, .q_period = f->opts.period, .kv_period = f->opts.period};
	struct pm_tensor *qkv[3];
	int k;

	projections(b, x, i, qkv);
	qkv[0] = norm(b, qkv[0], "attn.q_norm", i, l->head_dim);
	qkv[1] = norm(b, qkv[1], "attn.k_norm", i, l->head_dim);
	if (l->rope >= 0) {
		const struct pm_rope_spec *r = &f->model->spec->ropes[l->rope];

		for (k = 0; k < 2; k++)
			qkv[k] = pm_rope(b->g, qkv[k], f->cs[l->rope], l->head_dim, r->dims, r->interleaved);
	}
	if (kv) {
		qkv[1] = cached(b, qkv[1], kv->k[i]);
		qkv[2] = cached(b, qkv[2], kv->v[i]);
		o.kv_period = kv->context;
		o.decode = f->opts.mode == PM_DECODE;
	}
	o.sinks = build_tensor(b, build_weight(b, "text.%d.attn.sinks", (int)i));
	for (k = 0; f->window[k] != l->window; k++)
		;
	return pm_attention(b->g, qkv[0], qkv[1], qkv[2], f->span[k], f->kspan[k], &o);
}

struct pm_tensor *build_act(struct build *b, struct pm_tensor *gate, struct pm_tensor *up, int64_t i)
{
	static const struct { const char *name; enum pm_act act; } acts[] = {
		{"silu", PM_ACT_SILU}, {"gelu", PM_ACT_GELU}, {"gelu_tanh", PM_ACT_GELU_TANH}, {"gelu_quick", PM_ACT_GELU_QUICK},
		{"relu", PM_ACT_RELU}, {"relu2", PM_ACT_RELU2},
	};
	const struct pm_layer_spec *l = &b->f->model->spec->layer[i];
	size_t k;

	for (k = 0; k < sizeof acts / sizeof *acts && strcmp(acts[k].name, l->act); k++)
		;
	if (k == sizeof acts / sizeof *acts)
		return pm_graph_fail(b->g, "layer %d: activation '%s' is not known", (int)i, l->act);
	return gate ? pm_act(b->g, acts[k].act, gate, up) : NULL;
}

/* What the activation reads, its backward pass again. */
static struct pm_tensor *saved(struct build *b, struct pm_tensor *x)
{
	return b->training && b->g->bf16 ? pm_round(b->g, x) : x;
}

static struct pm_tensor *feed_forward(struct build *b, struct pm_tensor *x, int64_t i)
{
	const struct pm_layer_spec *l = &b->f->model->spec->layer[i];
	struct pm_tensor *both, *gate, *up;

	if (!strcmp(l->ff, "plain"))
		return build_act(b, saved(b, build_named(b, x, "ff.up", i, NULL, 1)), NULL, i);
	if (strcmp(l->ff, "gated"))
		return pm_graph_fail(b->g, "layer %d: feed-forward '%s' is not known", (int)i, l->ff);
	if (build_weight(b, "text.%d.ff.gate_up", (int)i)) {
		both = saved(b, build_named(b, x, "ff.gate_up", i, NULL, 1));
		gate = pm_view_cols(b->g, both, 0, l->inner);
		up = pm_view_cols(b->g, both, l->inner, l->inner);
	} else {
		gate = saved(b, build_named(b, x, "ff.gate", i, NULL, 1));
		up = saved(b, build_named(b, x, "ff.up", i, NULL, 1));
	}
	return up ? build_act(b, gate, up, i) : NULL;
}

/* The last product of a branch and its way into the stream: with a norm of its own in between, or added as it is made. */
static struct pm_tensor *join(struct build *b, struct pm_tensor *x, struct pm_tensor *y, const char *out, const char *post, int64_t i)
{
	double scale = b->f->model->spec->layer[i].residual;

	if (!build_weight(b, "text.%d.%s", (int)i, post))
		return build_named(b, y, out, i, x, scale);
	y = build_named(b, y, out, i, NULL, 1);
	return pm_add(b->g, x, norm(b, y, post, i, 0), 1, (float)scale);
}

struct pm_tensor *build_block(struct build *b, struct pm_tensor *x, int64_t i)
{
	const struct pm_layer_spec *l = &b->f->model->spec->layer[i];

	if (strcmp(l->block, "transformer"))
		return pm_graph_fail(b->g, "layer %d: block '%s' is not known", (int)i, l->block);
	x = join(b, x, attention(b, norm(b, x, "attn_norm", i, 0), i), "attn.o", "attn_post_norm", i);
	if (strcmp(l->ff, "experts"))
		return join(b, x, feed_forward(b, norm(b, x, "ff_norm", i, 0), i), "ff.down", "ff_post_norm", i);
	if (!build_weight(b, "text.%d.ff_post_norm", (int)i))
		return build_experts(b, norm(b, x, "ff_norm", i, 0), i, x, l->residual);
	return pm_add(b->g, x, norm(b, build_experts(b, norm(b, x, "ff_norm", i, 0), i, NULL, 1), "ff_post_norm", i, 0), 1, (float)l->residual);
}
