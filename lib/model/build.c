/* build.c: spec + weights + adapters -> graph: the one forward of every tool. The transformer block is in block.c. */
#include "model/build.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct pm_tensor *state_grad(struct build *b, struct pm_tensor *w, struct pm_mem *grad)
{
	if (!w || !grad)
		return w;
	w->trains = true;
	w->grad = pm_tensor_of(b->g, PM_T_STATE, PM_F32, w->rows, w->cols, grad, w->name);
	return w;
}

static const struct pm_adapter_weight *adapter(const struct build *b, const struct pm_tensor_spec *target, bool saved)
{
	const struct pm_adapters *a = b->f->opts.adapters;
	size_t i;

	for (i = 0; a && i < a->nweights; i++)
		if (a->weight[i].target == target && a->weight[i].saved == saved)
			return &a->weight[i];
	return NULL;
}

const struct pm_weight *build_weight(const struct build *b, const char *fmt, ...)
{
	char role[128];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(role, sizeof role, fmt, ap);
	va_end(ap);
	return pm_model_weight(b->f->model, role);
}

struct pm_tensor *build_tensor(struct build *b, const struct pm_weight *w)
{
	const struct pm_adapter_weight *s;
	struct pm_tensor *t;

	if (!w)
		return NULL;
	s = adapter(b, w->spec, true);
	if (s)
		return state_grad(b, pm_tensor_of(b->g, PM_T_WEIGHT, PM_F32, w->rows, w->cols, s->a, w->spec->role),
		    b->training ? s->grad_a : NULL);
	t = pm_tensor_of(b->g, PM_T_WEIGHT, w->type, w->rows, w->cols, w->mem, w->spec->role);
	if (t) {
		t->parts = w->spec->experts;
		t->part = w->part;
		t->woven = w->woven;
	}
	return state_grad(b, t, b->f->opts.train_weights ? w->grad : NULL);
}

void build_lora(struct build *b, const struct pm_weight *w, struct pm_lora *l)
{
	const struct pm_adapter_weight *a = adapter(b, w->spec, false);
	const int64_t many = a && a->experts ? a->experts : 1;

	memset(l, 0, sizeof *l);
	if (!a)
		return;
	l->a = state_grad(b, pm_tensor_of(b->g, PM_T_WEIGHT, PM_F32, many * a->r, a->in, a->a, w->spec->role), b->training ? a->grad_a : NULL);
	l->b = state_grad(b, pm_tensor_of(b->g, PM_T_WEIGHT, PM_F32, many * a->out, a->r, a->b, w->spec->role), b->training ? a->grad_b : NULL);
	l->s = a->s;
	l->stream = (uint32_t)a->module;
	if (b->training && b->f->opts.adapters->dropout > 0) {
		if (!b->f->rng)
			b->f->rng = pm_tensor(b->g, PM_T_INPUT, PM_I32, b->f->opts.T, 2, "rng");
		l->rng = b->f->rng;
		l->dropout = (float)b->f->opts.adapters->dropout;
	}
}

void build_observe(struct build *b, struct pm_tensor *x, const struct pm_weight *w, const struct pm_route *route, bool pairs)
{
	struct pm_forward *f = b->f;
	struct pm_tensor *y;

	if (!f->opts.observe || !x)
		return;
	y = b->observed == x && b->routed == (route != NULL) ? f->observed[f->nobserved - 1].squares :
		route ? pm_squares_experts(b->g, x, route, pairs) : pm_squares(b->g, x);
	if (!y)
		return;
	if (pm_grow(&f->observed, &f->cap_observed, f->nobserved + 1, sizeof *f->observed, &b->g->err) < 0) {
		pm_graph_fail(b->g, "out of memory");
		return;
	}
	y->keep = true;
	if (route)
		route->count->keep = true;
	b->observed = x;
	b->routed = route != NULL;
	f->observed[f->nobserved++] = (struct pm_observed){w, y, route ? route->count : NULL};
}

struct pm_tensor *build_linear(struct build *b, struct pm_tensor *x, const struct pm_weight *w, const struct pm_weight *bias,
	struct pm_tensor *add, double scale)
{
	struct pm_linear_opts o = {.transposed = w->spec->transposed, .add = add, .scale = (float)scale};

	build_lora(b, w, &o.lora);
	build_observe(b, x, w, NULL, false);
	return pm_linear(b->g, x, build_tensor(b, w), build_tensor(b, bias), &o);
}

struct pm_tensor *build_norm(struct build *b, struct pm_tensor *x, const struct pm_weight *w, const struct pm_weight *bias, int64_t group)
{
	const struct pm_spec *s = b->f->model->spec;

	if (!w)
		return x;
	if (s->norm == PM_NORM_LAYER)
		return pm_layer_norm(b->g, x, build_tensor(b, w), build_tensor(b, bias), group, (float)s->norm_eps);
	return pm_rms_norm(b->g, x, build_tensor(b, w), group, (float)s->norm_eps, s->norm == PM_NORM_RMS1);
}

/* Rope tables and spans are inputs made once for all layers that share them. */
static int shared_inputs(struct build *b, struct pm_err *e)
{
	struct pm_forward *f = b->f;
	const struct pm_spec *s = f->model->spec;
	bool grads = f->opts.mode == PM_TRAIN;
	int64_t i;
	int k;

	if (s->nropes > PM_MAX_ROPES)
		return pm_fail(e, PM_DATA, "%d rope tables were found, %d can be used", s->nropes, PM_MAX_ROPES);
	for (k = 0; k < s->nropes; k++)
		f->cs[k] = pm_tensor(b->g, PM_T_INPUT, PM_F32, f->opts.T, s->ropes[k].dims, "rope");
	for (i = 0; i < s->layers; i++) {
		for (k = 0; k < f->nwindows && f->window[k] != s->layer[i].window; k++)
			;
		if (k < f->nwindows)
			continue;
		if (k == PM_MAX_WINDOWS)
			return pm_fail(e, PM_DATA, "more than %d attention windows in one model", PM_MAX_WINDOWS);
		f->window[f->nwindows++] = s->layer[i].window;
		f->span[k] = pm_tensor(b->g, PM_T_INPUT, PM_I32, f->opts.T, 2, "span");
		if (grads)
			f->kspan[k] = pm_tensor(b->g, PM_T_INPUT, PM_I32, f->opts.T, 2, "kspan");
	}
	return 0;
}

static struct pm_tensor *embedding(struct build *b)
{
	struct pm_forward *f = b->f;
	const struct pm_spec *s = f->model->spec;
	const struct pm_weight *w = build_weight(b, "text.embed"), *p = build_weight(b, "text.pos_embed");
	struct pm_lora l;
	struct pm_tensor *x, *ids, *table = build_tensor(b, w);

	ids = f->ids = pm_tensor(b->g, PM_T_INPUT, PM_I32, f->opts.T, 1, "ids");
	if (f->opts.before)
		ids = pm_pick(b->g, ids, pm_tensor_of(b->g, PM_T_STATE, PM_I32, (int64_t)(pm_mem_size(f->opts.before) / 4), 1, f->opts.before, "drawn before"));
	build_lora(b, w, &l);
	if (table && table->grad && w->grad_rows)
		table->grad = pm_tensor_of(b->g, PM_T_STATE, PM_F32, table->rows, table->cols, w->grad_rows, "gradient of tokens' rows");
	x = pm_embed(b->g, ids, table, (float)s->embed_scale, l.a, l.b, l.s);
	if (!p)
		return x;
	f->pos = pm_tensor(b->g, PM_T_INPUT, PM_I32, f->opts.T, 1, "positions");
	return pm_add(b->g, x, pm_embed(b->g, f->pos, build_tensor(b, p), 1, NULL, NULL, 0), 1, 1);
}

/* The head: its matrix, bias and options. */
struct head {
	const struct pm_weight *weight;
	struct pm_tensor *matrix, *bias;
	struct pm_head_opts o;
};

static void head(struct build *b, struct head *h)
{
	const struct pm_spec *s = b->f->model->spec;

	h->weight = s->tied ? build_weight(b, "text.embed") : build_weight(b, "text.head");
	h->o = (struct pm_head_opts){.transposed = h->weight->spec->transposed, .scale = (float)s->logit_scale, .softcap = (float)s->logit_softcap};
	h->matrix = build_tensor(b, h->weight);
	h->bias = build_tensor(b, build_weight(b, "text.head.bias"));
	/* A tied head shares the embedding's matrix, not its adapter: PEFT adapts the lookup alone. */
	if (!s->tied)
		build_lora(b, h->weight, &h->o.lora);
}

struct pm_tensor *pm_build_head(struct pm_graph *g, const struct pm_model *m, const struct pm_adapters *a, struct pm_tensor *x)
{
	struct pm_forward f = {.model = m, .opts = {.mode = PM_EVAL, .adapters = a}};
	struct build b = {.f = &f, .g = g};
	struct head h;

	head(&b, &h);
	return pm_logits(g, x, h.matrix, h.bias, &h.o);
}

static void draw(struct build *b)
{
	struct pm_forward *f = b->f;

	f->how = pm_tensor(b->g, PM_T_INPUT, PM_I32, f->opts.T, PM_SAMPLE_WORDS, "sampling");
	pm_draw(b->g, pm_tensor_of(b->g, PM_T_STATE, PM_I32, f->opts.T, 1, f->opts.drawn, "drawn"), f->logits, f->how);
}

static void results(struct build *b)
{
	struct pm_forward *f = b->f;
	struct pm_tensor *x = f->hidden;
	struct head h;

	head(b, &h);
	if (!f->model->spec->tied)
		build_observe(b, x, h.weight, NULL, false);
	if (f->opts.loss) {
		f->target = pm_tensor(b->g, PM_T_INPUT, PM_I32, f->opts.T, 1, "target");
		f->nll = pm_nll(b->g, x, h.matrix, h.bias, f->target, &h.o, NULL);
		if (f->nll)
			f->nll->keep = true;
	}
	if (f->opts.logits) {
		if (f->opts.select) {
			f->select = pm_tensor(b->g, PM_T_INPUT, PM_I32, f->opts.select, 1, "select");
			x = pm_gather(b->g, x, f->select);
		}
		f->logits = pm_logits(b->g, x, h.matrix, h.bias, &h.o);
		if (f->logits)
			f->logits->keep = true;
		if (f->opts.drawn)
			draw(b);
	}
	if (f->opts.hidden && f->hidden)
		f->hidden->keep = true;
}

static int add_gradients(struct build *b, struct pm_err *e)
{
	struct pm_forward *f = b->f;

	if (!b->training)
		return 0;
	f->dnll = pm_tensor(b->g, PM_T_INPUT, PM_F32, f->opts.T, 1, "dnll");
	if (pm_graph_ok(b->g, e) < 0)
		return -1;
	pm_grad_seed(f->nll, f->dnll);
	if (f->balance) {
		f->dbalance = pm_tensor(b->g, PM_T_INPUT, PM_F32, 1, 1, "dbalance");
		pm_grad_seed(f->balance, f->dbalance);
	}
	return pm_grad(b->g, f->opts.checkpoint, e);
}

int pm_build(struct pm_forward **out, const struct pm_model *m, const struct pm_build_opts *o, struct pm_err *e)
{
	struct pm_forward *f = pm_alloc(1, sizeof *f, e);
	struct build b = {.f = f, .training = o->mode == PM_TRAIN};
	struct pm_tensor *x;
	int64_t i;

	*out = NULL;
	if (!f)
		return -1;
	f->model = m;
	f->opts = *o;
	if (pm_graph_new(&f->graph, m->dev, e) < 0)
		goto fail;
	f->route = o->routes ? pm_alloc((size_t)m->spec->layers, sizeof *f->route, e) : NULL;
	if (o->routes && !f->route)
		goto fail;
	b.g = f->graph;
	b.g->period = o->period;
	b.g->bf16 = b.training ? m->bf16 : m->rounded;
	b.g->int8 = !m->exact;
	b.g->thin = o->thin || o->mode == PM_DECODE;
	b.g->chain = o->mode == PM_DECODE;
	if (shared_inputs(&b, e) < 0)
		goto fail;
	x = embedding(&b);
	if (o->kv)
		f->rows = pm_tensor(b.g, PM_T_INPUT, PM_I32, o->T, 1, "cache rows");
	for (i = 0; i < m->spec->layers; i++) {
		b.g->segment = (int)i + 1;
		x = build_block(&b, x, i);
	}
	b.g->segment = 0;
	if (o->balance && !b.balance) {
		pm_fail(e, PM_USAGE, "the model has no experts to be used evenly");
		goto fail;
	}
	f->balance = b.balance ? pm_balance_loss(b.g, b.balance, b.chosen) : NULL;
	if (f->balance)
		f->balance->keep = true;
	f->hidden = build_norm(&b, x, build_weight(&b, "text.norm"), build_weight(&b, "text.norm.bias"), 0);
	results(&b);
	if (pm_graph_ok(b.g, e) < 0 || add_gradients(&b, e) < 0)
		goto fail;
	*out = f;
	return 0;
fail:
	pm_forward_free(f);
	return -1;
}

void pm_forward_free(struct pm_forward *f)
{
	if (!f)
		return;
	pm_graph_free(f->graph);
	free(f->observed);
	free(f->route);
	free(f);
}
