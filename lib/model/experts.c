/* experts.c: the feed-forward of some experts out of many: a router says which rows go to which, each expert's rows are a product of their own, and what
 * comes back is summed with the router's weights. */
#include <string.h>

#include "model/build.h"

/* A stack's products for the rows of each expert. */
static struct pm_tensor *stack(struct build *b, struct pm_tensor *x, const struct pm_route *route, const char *what, int64_t layer, bool pairs)
{
	const struct pm_weight *w = build_weight(b, "text.%d.experts.%s", (int)layer, what);
	struct pm_experts_opts o = {.pairs = pairs};

	if (!w)
		return pm_graph_fail(b->g, "layer %d has no 'experts.%s'", (int)layer, what);
	o.transposed = w->spec->transposed;
	build_lora(b, w, &o.lora);
	build_observe(b, x, w, route, pairs);
	return pm_experts(b->g, x, route, build_tensor(b, w), build_tensor(b, build_weight(b, "text.%d.experts.%s.bias", (int)layer, what)), &o);
}

static struct pm_tensor *act(struct build *b, struct pm_tensor *gate, struct pm_tensor *up, int64_t i)
{
	const struct pm_layer_spec *l = &b->f->model->spec->layer[i];

	if (!gate || (!up && !l->interleaved))
		return NULL;
	if (!strcmp(l->act, "clamped"))
		return pm_act_clamped(b->g, gate, up, (float)l->act_alpha, (float)l->act_limit);
	if (!up)
		return pm_graph_fail(b->g, "layer %d: gate and up in turns are not computed with activation '%s'", (int)i, l->act);
	return build_act(b, gate, up, i);
}

/* Any window will do: a row that is used sees itself. */
static void balance(struct build *b, struct pm_tensor *logits, const struct pm_route *route)
{
	struct pm_tensor *sums = pm_balance(b->g, logits, route, b->f->span[0]);

	if (b->balance && sums && b->balance->cols != sums->cols)
		pm_graph_fail(b->g, "layers of %lld and %lld experts have no balance in common", (long long)b->balance->cols, (long long)sums->cols);
	b->chosen = route->chosen;
	b->balance = b->balance ? pm_add(b->g, sums, b->balance, 1, 1) : sums;
}

struct pm_tensor *build_experts(struct build *b, struct pm_tensor *x, int64_t i, struct pm_tensor *add, double scale)
{
	const struct pm_layer_spec *l = &b->f->model->spec->layer[i];
	const struct pm_route_opts o = {.chosen = l->chosen, .late = l->route_late, .renormalise = l->route_renormalise, .scale = (float)l->route_scale};
	struct pm_tensor *gate, *up = NULL, *logits = build_named(b, x, "router", i, NULL, 1);
	struct pm_route route;

	if (pm_route(b->g, logits, &o, &route) < 0)
		return NULL;
	if (b->f->opts.balance)
		balance(b, logits, &route);
	if (b->f->opts.routes) {
		route.expert->keep = route.weight->keep = true;
		b->f->route[i] = route;
	}
	if (build_weight(b, "text.%d.experts.gate_up", (int)i)) {
		gate = stack(b, x, &route, "gate_up", i, false);
		if (!l->interleaved) {
			up = pm_view_cols(b->g, gate, l->inner, l->inner);
			gate = pm_view_cols(b->g, gate, 0, l->inner);
		}
	} else {
		gate = stack(b, x, &route, "gate", i, false);
		up = stack(b, x, &route, "up", i, false);
	}
	return pm_combine(b->g, stack(b, act(b, gate, up, i), &route, "down", i, true), &route, add, (float)scale);
}
