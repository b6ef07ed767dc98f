#include "harness.h"
#include "moe.h"

struct row {
	struct op_case c;
	int64_t experts, chosen;
	bool late, renormalise;
	double scale;
	unsigned flags;
};

static const struct row rows[] = {
	{{"1x1, 1 of 1", .T = 1}, 1, 1, .renormalise = true},
	{{"31x8, 2", .T = 31}, 8, 2, .renormalise = true},
	{{"33x7, 3, late", .T = 33}, 7, 3, .late = true, .flags = OP_VIEW},
	{{"20x33, 5, shares of all", .T = 20, .period = 5}, 33, 5, .flags = OP_VIEW},
	{{"20x33, 5, shares of all, scaled", .T = 20, .period = 1}, 33, 5, .scale = 2.5},
	{{"65x128, 8, scaled", .T = 65, .period = 13}, 128, 8, .renormalise = true, .scale = 0.5},
	{{"9x5, all 5, late", .T = 9, .period = 3}, 5, 5, .late = true, .renormalise = true},
	{{"9x5, all 5, shares of all", .T = 9}, 5, 5, .late = false},
	{{"512x128, 8", .T = 512, .speed = true}, 128, 8, .renormalise = true},
	{{"4096x128, 8", .T = 4096, .speed = true}, 128, 8, .renormalise = true},
};

static void build(struct op_ctx *c, const void *row)
{
	const struct row *r = row;
	struct pm_tensor *x = op_input(c, &(struct op_in){"logits", PM_F32, c->T, r->experts, OP_ROWS | OP_GRAD | r->flags, 0, 0, moe_logits, 0});
	struct pm_route_opts o = {r->chosen, r->late, r->renormalise, (float)r->scale};
	struct pm_route route;

	pm_route(c->g, x, &o, &route);
	op_output(c, route.weight, 0);
	op_output(c, route.expert, OP_NOGRAD);
}

static void ref(const void *row, const double *const *in, double *const *out)
{
	const struct row *r = row;
	int64_t t;

	for (t = 0; t < r->c.T; t++)
		moe_choose(in[0] + t * r->experts, r->experts, r->chosen, !r->late && !r->renormalise, r->scale != 0 ? r->scale : 1, out[1] + t * r->chosen,
			out[0] + t * r->chosen);
}

static void cost(const void *row, double *flops, double *bytes, double *back)
{
	const struct row *r = row;

	*flops = 12 * (double)(r->c.T * r->experts);
	*bytes = 4 * (double)(r->c.T * r->experts);
	*back = 2;
}

/* ---- the pairs in their order ---- */

#define E 6
#define K 3
#define T 40

static void check_pairs(struct op_env *env, int64_t n, int64_t period, const int32_t *expert, const int32_t *pair, const int32_t *place, const int32_t *count,
	const int32_t *runs)
{
	int64_t periods = period ? (n + period - 1) / period : 1, at = 0, slot = 0, slots = n * K < E ? n * K : E, first, x, p, i;

	for (x = 0; x < E; x++) {
		first = at;
		for (p = 0; p < periods; p++) {
			int32_t found = 0;

			for (i = p * (period ? period : n) * K; i < n * K && i < (p + 1) * (period ? period : n) * K; i++)
				if (expert[i] == x) {
					op_check(env, pair[at] == i && place[i] == at, "pair %lld of expert %lld: %d lies at %lld, it is at %d", (long long)i, (long long)x,
						pair[at], (long long)at, place[i]);
					at++;
					found++;
				}
			op_check(env, count[x * periods + p] == found, "expert %lld has %d pairs of period %lld, counted as %d", (long long)x, found, (long long)p,
				count[x * periods + p]);
		}
		if (at == first)
			continue;
		op_check(env, slot < slots && runs[3 * slot] == x && runs[3 * slot + 1] == first && runs[3 * slot + 2] == at - first,
			"run %lld is not that of expert %lld", (long long)slot, (long long)x);
		slot++;
	}
	for (; slot < slots; slot++)
		op_check(env, runs[3 * slot + 2] == 0, "run %lld, behind the last, has %d pairs", (long long)slot, runs[3 * slot + 2]);
	op_check(env, at == n * K, "%lld pairs have an expert", (long long)at);
}

static void order(struct op_env *env, int64_t n, int64_t period)
{
	static const float value[] = {1, -2, 3, 3, -INFINITY, 3, 0.5f};
	int32_t expert[T * K], pair[T * K], place[T * K], count[E * T], runs[3 * E];
	struct pm_route_opts o = {.chosen = K, .late = true};
	struct pm_graph *g = NULL;
	struct pm_plan *p = NULL;
	struct pm_mem *m;
	struct pm_route r;
	float x[T * E], w[T * K];
	struct pm_err e;
	int64_t i;

	/* equals, and logits that are not finite */
	for (i = 0; i < n * E; i++)
		x[i] = value[(i * i + i / 5) % 7];
	x[2] = NAN;
	m = op_floats(env, x, (size_t)(n * E));
	if (!m || pm_graph_new(&g, env->dev, &e) < 0)
		return;
	g->period = period;
	pm_route(g, pm_tensor_of(g, PM_T_WEIGHT, PM_F32, n, E, m, "logits"), &o, &r);
	if (pm_graph_ok(g, &e) == 0)
		r.expert->keep = r.weight->keep = r.pair->keep = r.place->keep = r.count->keep = r.runs->keep = true;
	if (pm_plan_new(&p, g, &e) < 0 || pm_plan_alloc(p, NULL, &e) < 0 || pm_plan_fill(p, 0xff, &e) < 0 || pm_plan_run(p, &e) < 0 ||
	    pm_plan_read(p, r.expert, expert, &e) < 0 || pm_plan_read(p, r.weight, w, &e) < 0 || pm_plan_read(p, r.pair, pair, &e) < 0 ||
	    pm_plan_read(p, r.place, place, &e) < 0 || pm_plan_read(p, r.count, count, &e) < 0 ||
	    pm_plan_read(p, r.runs, runs, &e) < 0) {
		op_check(env, false, "%s", e.text);
	} else {
		check_pairs(env, n, period, expert, pair, place, count, runs);
		op_check(env, isnan(w[0]) && expert[0] == 2, "a logit that is no number is lost");
		for (i = 1; i < n * K; i++)
			if (i % K && i > K)
				op_check(env, x[i / K * E + expert[i - 1]] > x[i / K * E + expert[i]] || (x[i / K * E + expert[i - 1]] == x[i / K * E + expert[i]] &&
					expert[i - 1] < expert[i]), "row %lld: experts %d and %d are in the wrong order", (long long)(i / K), expert[i - 1], expert[i]);
	}
	pm_plan_free(p);
	pm_graph_free(g);
	pm_mem_free(m);
}

static void test(struct op_env *env)
{
	order(env, 1, 0);
	order(env, 7, 0);
	order(env, T, 0);
	order(env, T, 1);
	order(env, T, 20);
	order(env, 9, 4);
}

const struct op_test op_test_route = {.name = "route", OP_TABLE(rows), .build = build, .ref = ref, .cost = cost, .test = test};
