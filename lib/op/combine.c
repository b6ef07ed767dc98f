/* combine.c: out = add + scale · Σ_j weight[t, j] · y[place[t, j]], and the way there: a row's x to each of its pairs.
 * kernels/combine.cl, tests/op/combine.c */
#include "op/linear.h"
#include "op/pairs.h"
#include "op/rowsum.h"
#include "op/stage.h"

struct attr {
	float scale;
};

static double elements(const struct pm_tensor *t)
{
	return (double)(t->rows * t->cols);
}

/* out = add + scale · Σ weight · y; weight and add may be NULL. */
static int sum(const struct pm_node *n, const struct pm_tensor *y, const struct pm_tensor *weight, const struct pm_tensor *place, const struct pm_tensor *add,
	float scale, struct pm_err *e)
{
	const struct pm_tensor *out = n->out[0];
	const struct pm_kernel *k = pm_kernel(n->g->dev, "combine", "combine_sum", NULL, e);

	return k ? PM_LAUNCH(k, pm_row_launch(n->g->dev, out->rows, 1, 2 * elements(y), 4 * (elements(y) + elements(out))), e, PM_AT(out), PM_AT(y),
		PM_MEM(place->mem), PM_AT(weight), PM_AT(add), PM_I32(place->cols), PM_I32(out->cols), PM_F32(scale)) : -1;
}

/* y (=, +=) scale · weight · x; weight may be NULL. k pairs a row. */
static int spread(const struct pm_node *n, const struct pm_tensor *x, const struct pm_tensor *weight, const struct pm_tensor *pair, float scale, struct pm_err *e)
{
	const struct pm_tensor *y = n->out[0];
	const struct pm_kernel *k = pm_kernel(n->g->dev, "combine", "combine_spread", NULL, e);

	return k ? PM_LAUNCH(k, pm_row_launch(n->g->dev, y->rows, 1, elements(y), 8 * elements(y)), e, PM_AT(y), PM_AT(x), PM_MEM(pair->mem), PM_AT(weight),
		PM_I32(y->rows / x->rows), PM_I32(y->cols), PM_F32(scale), PM_I32(n->acc[0])) : -1;
}

/* ---- a row to its pairs: in x, pair, place ---- */

static int run_spread(const struct pm_node *n, struct pm_err *e)
{
	return spread(n, n->in[0], NULL, n->in[1], 1, e);
}

/* in dy, place; out dx */
static int run_spread_back(const struct pm_node *n, struct pm_err *e)
{
	return sum(n, n->in[0], NULL, n->in[1], n->acc[0] ? n->out[0] : NULL, 1, e);
}

static const struct pm_op op_spread_back = {"spread gradient", NULL, run_spread_back, NULL};

static void add_node(struct pm_graph *g, const struct pm_op *op, int nin, struct pm_tensor *const *in, struct pm_tensor *out, bool acc, const void *attr,
	size_t size)
{
	struct pm_node *n = out ? pm_node(g, op, nin, in, 1, &out, attr, size) : NULL;

	if (n)
		n->acc[0] = acc;
}

static int grad_spread(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	struct pm_tensor *dx;
	bool acc;

	(void)e;
	dx = pm_grad_want(g, n->in[0], &acc);
	add_node(g, &op_spread_back, 2, (struct pm_tensor *[]){pm_grad_have(n->out[0]), n->in[2]}, dx, acc, NULL, 0);
	return 0;
}

static const struct pm_op op_spread = {"spread", NULL, run_spread, grad_spread};

static int stages_spread(const struct pm_node *n, struct pm_chain *c, struct pm_err *e)
{
	const struct pm_tensor *x = n->in[0], *pair = n->in[1], *y = n->out[0];
	const struct pm_stage s = {.op = PM_STAGE_SPREAD, .name = "combine_spread", .tasks = y->rows, .in = {pm_range(x), pm_range(pair)}, .out = pm_range(y), .w = {(int64_t)pm_address(y), y->ld,
		(int64_t)pm_address(x), x->ld, (int64_t)pm_address(pair), y->rows / x->rows, y->cols}};

	if (!n->g->thin || !s.w[0] || !pm_chain_define_number(c, "EXPERTS", 1))
		return 0;
	return pm_chain_add(c, &s, e) < 0 ? -1 : 1;
}

struct pm_tensor *pm_spread(struct pm_graph *g, struct pm_tensor *x, const struct pm_route *route)
{
	struct pm_tensor *y;

	if (route->host->x == x)
		return route->host->rows;
	y = pm_tensor(g, PM_T_TEMP, PM_F32, route->pair->rows, x->cols, "rows of pairs");
	if (!pm_stage_of(pm_node(g, &op_spread, 3, (struct pm_tensor *[]){x, route->pair, route->place}, 1, &y, NULL, 0), stages_spread))
		return NULL;
	route->host->x = x;
	route->host->rows = y;
	return y;
}

/* in rng, pair, expert */
static int run_counters(const struct pm_node *n, struct pm_err *e)
{
	const struct pm_tensor *rng = n->in[0], *y = n->out[0];
	const struct pm_kernel *k = pm_kernel(n->g->dev, "combine", "combine_counters", NULL, e);

	return k ? PM_LAUNCH(k, ((struct pm_launch){.global = {(size_t)y->rows}, .bytes = 24 * (double)y->rows}), e, PM_MEM(y->mem), PM_AT(rng),
		PM_MEM(n->in[1]->mem), PM_MEM(n->in[2]->mem), PM_I32(n->in[2]->cols)) : -1;
}

static const struct pm_op op_counters = {"counters of pairs", NULL, run_counters, NULL};

struct pm_tensor *pm_spread_rng(struct pm_graph *g, struct pm_tensor *rng, const struct pm_route *route)
{
	struct pm_tensor *y;

	if (route->host->rng == rng)
		return route->host->rng_rows;
	y = pm_tensor(g, PM_T_TEMP, PM_I32, route->pair->rows, 2, "counters of pairs");
	if (!pm_node(g, &op_counters, 3, (struct pm_tensor *[]){rng, route->pair, route->expert}, 1, &y, NULL, 0))
		return NULL;
	route->host->rng = rng;
	route->host->rng_rows = y;
	return y;
}

/* ---- combine: in y, weight, place, add, pair ---- */

enum { Y, WEIGHT, PLACE, ADD, PAIR, INPUTS };

static int run(const struct pm_node *n, struct pm_err *e)
{
	return sum(n, n->in[Y], n->in[WEIGHT], n->in[PLACE], n->in[ADD], ((const struct attr *)n->attr)->scale, e);
}

/* in dout, weight, pair; out dy */
static int run_dy(const struct pm_node *n, struct pm_err *e)
{
	return spread(n, n->in[0], n->in[1], n->in[2], ((const struct attr *)n->attr)->scale, e);
}

/* in dout, y, place; out dweight */
static int run_dweight(const struct pm_node *n, struct pm_err *e)
{
	const struct pm_tensor *dout = n->in[0], *y = n->in[1], *place = n->in[2];
	const struct pm_kernel *k = pm_kernel(n->g->dev, "combine", "combine_dot", NULL, e);

	return k ? PM_LAUNCH(k, pm_row_launch(n->g->dev, dout->rows, 1, 2 * elements(y), 8 * elements(y)), e, PM_AT(n->out[0]), PM_AT(dout), PM_AT(y),
		PM_MEM(place->mem), PM_I32(place->cols), PM_I32(y->cols), PM_F32(((const struct attr *)n->attr)->scale), PM_I32(n->acc[0])) : -1;
}

static const struct pm_op op_dy = {"combine dy", NULL, run_dy, NULL};
static const struct pm_op op_dweight = {"combine dweight", NULL, run_dweight, NULL};

static int grad(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	struct pm_tensor *dout = pm_grad_have(n->out[0]), *d[INPUTS];
	bool acc[INPUTS];
	int i;

	(void)e;
	for (i = 0; i < INPUTS; i++)
		d[i] = i == PLACE || i == PAIR ? NULL : pm_grad_want(g, n->in[i], &acc[i]);
	add_node(g, &op_dy, 3, (struct pm_tensor *[]){dout, n->in[WEIGHT], n->in[PAIR]}, d[Y], acc[Y], n->attr, sizeof(struct attr));
	add_node(g, &op_dweight, 3, (struct pm_tensor *[]){dout, n->in[Y], n->in[PLACE]}, d[WEIGHT], acc[WEIGHT], n->attr, sizeof(struct attr));
	add_node(g, &pm_linear_dadd, 1, &dout, d[ADD], acc[ADD], NULL, 0);
	return 0;
}

static const struct pm_op op_combine = {"combine", NULL, run, grad};

static int stages(const struct pm_node *n, struct pm_chain *c, struct pm_err *e)
{
	const struct pm_tensor *y = n->in[Y], *weight = n->in[WEIGHT], *place = n->in[PLACE], *add = n->in[ADD], *out = n->out[0];
	const struct pm_stage s = {.op = PM_STAGE_COMBINE, .name = "combine_sum", .tasks = out->rows * ((out->cols + PM_STAGE_SOME - 1) / PM_STAGE_SOME),
		.in = {pm_range(y), pm_range(weight), pm_range(place), pm_range(add)}, .out = pm_range(out), .w = {(int64_t)pm_address(out), out->ld,
		(int64_t)pm_address(y), y->ld, (int64_t)pm_address(place), (int64_t)pm_address(weight), weight->ld, (int64_t)pm_address(add), add ? add->ld : 0,
		place->cols, out->cols, pm_stage_real(((const struct attr *)n->attr)->scale)}};

	if (!n->g->thin || !s.w[0] || !pm_chain_define_number(c, "EXPERTS", 1))
		return 0;
	return pm_chain_add(c, &s, e) < 0 ? -1 : 1;
}

struct pm_tensor *pm_combine(struct pm_graph *g, struct pm_tensor *y, const struct pm_route *route, struct pm_tensor *add, float scale)
{
	struct pm_tensor *out;

	if (!y || !route->pair)
		return NULL;
	if (y->type != PM_F32 || y->rows != route->pair->rows)
		return pm_graph_fail(g, "combine: '%s' (%lld, %lld) is no f32 of %lld pairs", y->name, (long long)y->rows, (long long)y->cols,
			(long long)route->pair->rows);
	if (add && (add->type != PM_F32 || add->rows != route->place->rows || add->cols != y->cols))
		return pm_graph_fail(g, "combine: what is to be added, '%s' (%lld, %lld), is no f32 (%lld, %lld)", add->name, (long long)add->rows,
			(long long)add->cols, (long long)route->place->rows, (long long)y->cols);
	out = pm_tensor(g, PM_T_TEMP, PM_F32, route->place->rows, y->cols, "combined");
	return pm_stage_of(pm_node(g, &op_combine, INPUTS, (struct pm_tensor *[]){y, route->weight, route->place, add, route->pair}, 1, &out,
		&(struct attr){scale != 0 ? scale : 1}, sizeof(struct attr)), stages) ? out : NULL;
}
