/* route.c: which experts a row goes to, and its pairs sorted by expert.  kernels/route.cl, tests/op/route.c */
#include "op/elem.h"
#include "op/pairs.h"
#include "op/rowsum.h"
#include "op/stage.h"

#define FEW 16                          /* rows whose experts are chosen by the work-item that sorts */

enum { EXPERT, WEIGHT, PAIR, PLACE, COUNT, RUNS, OUTPUTS };

struct attr {
	int64_t chosen;
	bool all;                       /* weights are shares of the softmax over all experts; else of that over the chosen */
	float scale;
	struct pm_route_host *host;
};

static int64_t period_of(const struct pm_graph *g, int64_t rows)
{
	return pm_rowsum_cut(g, rows).period;
}

/* Of the variant for CPUs: where each expert's next pair goes. */
static size_t scratch(const struct pm_node *n)
{
	return pm_elem_cpu(n->g->dev) ? (size_t)n->in[0]->cols * 4 : 0;
}

static int choose(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *x = n->in[0];
	const struct pm_kernel *k = pm_kernel(n->g->dev, "route", "route_choose", NULL, e);
	const double size = (double)(x->rows * x->cols);

	return k ? PM_LAUNCH(k, ((struct pm_launch){.global = {(size_t)x->rows}, .flops = 12 * size, .bytes = 8 * size}), e, PM_MEM(n->out[EXPERT]->mem),
		PM_MEM(n->out[WEIGHT]->mem), PM_AT(x), PM_I32(x->cols), PM_I32(at->chosen), PM_I32(at->all), PM_F32(at->scale)) : -1;
}

static int run_cpu(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *x = n->in[0];
	const bool few = x->rows <= FEW;
	const struct pm_kernel *k = pm_kernel(n->g->dev, "route", "route_cpu", NULL, e);
	const double pairs = (double)(x->rows * at->chosen);

	if (!k || (!few && choose(n, e) < 0))
		return -1;
	return PM_LAUNCH(k, ((struct pm_launch){.global = {1}, .flops = pairs, .bytes = 16 * pairs}), e, PM_MEM(n->out[EXPERT]->mem), PM_MEM(n->out[WEIGHT]->mem),
		PM_MEM(n->out[PAIR]->mem), PM_MEM(n->out[PLACE]->mem), PM_MEM(n->out[COUNT]->mem), PM_MEM(n->out[RUNS]->mem), PM_MEM(n->scratch),
		PM_AT(x), PM_I32(x->cols), PM_I32(at->chosen), PM_I32(at->all), PM_F32(at->scale), PM_I32(x->rows), PM_I32(period_of(n->g, x->rows)),
		PM_I32(n->out[RUNS]->rows), PM_I32(few));
}

static int run(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *x = n->in[0], *count = n->out[COUNT];
	const int64_t pairs = x->rows * at->chosen;
	const double passes = (double)(pairs * x->cols);
	const struct pm_kernel *c, *s;

	at->host->known = false;
	if (pm_elem_cpu(n->g->dev))
		return run_cpu(n, e);
	c = pm_kernel(n->g->dev, "route", "route_count", NULL, e);
	s = c ? pm_kernel(n->g->dev, "route", "route_sort", NULL, e) : NULL;
	if (!s || choose(n, e) < 0)
		return -1;
	if (PM_LAUNCH(c, ((struct pm_launch){.global = {(size_t)count->rows, (size_t)count->cols}, .flops = passes, .bytes = 4 * passes}), e,
	    PM_MEM(count->mem), PM_MEM(n->out[EXPERT]->mem), PM_I32(pairs), PM_I32(period_of(n->g, x->rows) * at->chosen)) < 0)
		return -1;
	return PM_LAUNCH(s, ((struct pm_launch){.global = {(size_t)x->cols}, .flops = passes, .bytes = 4 * passes}), e, PM_MEM(n->out[PAIR]->mem),
		PM_MEM(n->out[PLACE]->mem), PM_MEM(n->out[RUNS]->mem), PM_MEM(count->mem), PM_MEM(n->out[EXPERT]->mem), PM_I32(pairs), PM_I32(count->cols),
		PM_I32(n->out[RUNS]->rows));
}

/* As run_cpu, with few rows. */
static int stages(const struct pm_node *n, struct pm_chain *c, struct pm_err *e)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *x = n->in[0];
	struct pm_stage s = {.op = PM_STAGE_ROUTE, .name = "route_cpu", .tasks = 1, .in = {pm_range(x)}, .w = {[7] = (int64_t)pm_address(x), x->ld, x->cols, at->chosen, at->all,
		pm_stage_real(at->scale), x->rows, period_of(n->g, x->rows), n->out[RUNS]->rows}};
	int i;

	if (!n->g->thin || x->rows > FEW || !s.w[7] || !pm_chain_define_number(c, "EXPERTS", 1))
		return 0;
	for (i = 0; i < OUTPUTS; i++) {
		s.w[i] = (int64_t)pm_address(n->out[i]);
		*(i ? &s.also[i - 1] : &s.out) = pm_range(n->out[i]);
	}
	s.also[OUTPUTS - 1] = (struct pm_range){pm_mem_address(n->scratch), pm_mem_size(n->scratch)};
	s.w[OUTPUTS] = (int64_t)s.also[OUTPUTS - 1].at;
	at->host->unseen = true;
	return pm_chain_add(c, &s, e) < 0 ? -1 : 1;
}

int pm_route_counts(struct pm_route_host *h, const struct pm_tensor *count, struct pm_err *e)
{
	if ((!h->known || h->unseen) && pm_mem_read(count->mem, 0, h->count, (size_t)(count->rows * count->cols) * 4, e) < 0)
		return -1;
	h->known = true;
	return 0;
}

/* ---- gradient: in dweight, logits, expert; out dlogits ---- */

static int run_back(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *dw = n->in[0], *x = n->in[1];
	const struct pm_kernel *k = pm_kernel(n->g->dev, "route", "route_bwd", NULL, e);
	const double size = (double)(x->rows * x->cols);

	return k ? PM_LAUNCH(k, ((struct pm_launch){.global = {(size_t)x->rows}, .flops = 24 * size, .bytes = 12 * size}), e, PM_AT(n->out[0]), PM_AT(dw),
		PM_MEM(n->in[2]->mem), PM_AT(x), PM_I32(x->cols), PM_I32(at->chosen), PM_I32(at->all), PM_F32(at->scale), PM_I32(n->acc[0])) : -1;
}

static const struct pm_op op_back = {"route gradient", NULL, run_back, NULL};

static int grad(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	struct pm_tensor *in[3] = {pm_grad_have(n->out[WEIGHT]), n->in[0], n->out[EXPERT]}, *dx;
	struct pm_node *b;
	bool acc;

	(void)e;
	dx = in[0] ? pm_grad_want(g, n->in[0], &acc) : NULL;
	b = dx ? pm_node(g, &op_back, 3, in, 1, &dx, n->attr, sizeof(struct attr)) : NULL;
	if (b)
		b->acc[0] = acc;
	return 0;
}

static const struct pm_op op_route = {"route", scratch, run, grad};

static struct pm_route_host *new_host(struct pm_graph *g, int64_t experts, int64_t periods)
{
	struct pm_route_host *h = pm_arena_alloc(&g->arena, 1, sizeof *h, &g->err);

	if (h)
		h->count = pm_arena_alloc(&g->arena, (size_t)(experts * periods), sizeof *h->count, &g->err);
	if (!h || !h->count) {
		g->failed = true;
		return NULL;
	}
	h->periods = periods;
	return h;
}

int pm_route(struct pm_graph *g, struct pm_tensor *logits, const struct pm_route_opts *opts, struct pm_route *out)
{
	struct attr at = {opts->chosen, !opts->late && !opts->renormalise, opts->scale != 0 ? opts->scale : 1, NULL};
	struct pm_tensor *o[OUTPUTS];
	int64_t T, periods;

	*out = (struct pm_route){0};
	if (!logits)
		return -1;
	T = logits->rows;
	if (logits->type != PM_F32 || at.chosen < 1 || at.chosen > logits->cols || T > INT32_MAX / at.chosen) {
		pm_graph_fail(g, "route: %lld experts chosen of '%s' (%lld, %lld), an f32", (long long)at.chosen, logits->name, (long long)T, (long long)logits->cols);
		return -1;
	}
	periods = pm_rowsum_cut(g, T).periods;
	at.host = new_host(g, logits->cols, periods);
	o[EXPERT] = pm_tensor(g, PM_T_TEMP, PM_I32, T, at.chosen, "experts");
	o[WEIGHT] = pm_tensor(g, PM_T_TEMP, PM_F32, T, at.chosen, "expert weights");
	o[PAIR] = pm_tensor(g, PM_T_TEMP, PM_I32, T * at.chosen, 1, "pairs");
	o[PLACE] = pm_tensor(g, PM_T_TEMP, PM_I32, T, at.chosen, "places");
	o[COUNT] = pm_tensor(g, PM_T_TEMP, PM_I32, logits->cols, periods, "counts");
	o[RUNS] = pm_tensor(g, PM_T_TEMP, PM_I32, T * at.chosen < logits->cols ? T * at.chosen : logits->cols, 3, "runs of pairs");
	if (!pm_stage_of(pm_node(g, &op_route, 1, &logits, OUTPUTS, o, &at, sizeof at), stages))
		return -1;
	*out = (struct pm_route){logits->cols, at.chosen, o[EXPERT], o[WEIGHT], o[PAIR], o[PLACE], o[COUNT], o[RUNS], at.host};
	return 0;
}
