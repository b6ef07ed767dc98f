/* balance.c: how evenly rows go to experts: the sums of a layer, and the loss of all layers' sums.  kernels/balance.cl, tests/op/balance.c */
#include "op/op.h"
#include "op/rowsum.h"

struct attr {
	int64_t chosen;
};

/* ---- a layer: in logits, expert, span; out (2, E) ---- */

static size_t scratch(const struct pm_node *n)
{
	return (size_t)n->in[0]->rows * 8;
}

static int run(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *x = n->in[0];
	const struct pm_kernel *r = pm_kernel(n->g->dev, "balance", "balance_rows", NULL, e), *s = r ? pm_kernel(n->g->dev, "balance", "balance_sums", NULL, e) : NULL;
	const double size = (double)(x->rows * x->cols);

	if (!s || PM_LAUNCH(r, ((struct pm_launch){.global = {(size_t)x->rows}, .flops = 8 * size, .bytes = 4 * size}), e, PM_MEM(n->scratch), PM_AT(x),
	    PM_MEM(n->in[2]->mem), PM_I32(x->cols)) < 0)
		return -1;
	return PM_LAUNCH(s, ((struct pm_launch){.global = {(size_t)x->cols}, .flops = 8 * size, .bytes = 4 * size}), e, PM_AT(n->out[0]), PM_MEM(n->scratch),
		PM_AT(x), PM_MEM(n->in[1]->mem), PM_I32(x->rows), PM_I32(at->chosen));
}

/* in dsums, logits, span; out dlogits */
static int run_back(const struct pm_node *n, struct pm_err *e)
{
	const struct pm_tensor *x = n->in[1];
	const struct pm_kernel *k = pm_kernel(n->g->dev, "balance", "balance_back", NULL, e);
	const double size = (double)(x->rows * x->cols);

	return k ? PM_LAUNCH(k, ((struct pm_launch){.global = {(size_t)x->rows}, .flops = 16 * size, .bytes = 8 * size}), e, PM_AT(n->out[0]), PM_AT(n->in[0]),
		PM_AT(x), PM_MEM(n->in[2]->mem), PM_I32(x->cols), PM_I32(n->acc[0])) : -1;
}

static const struct pm_op op_back = {.name = "balance gradient", .run = run_back};

static int grad(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	struct pm_tensor *in[3] = {pm_grad_have(n->out[0]), n->in[0], n->in[2]}, *dx;
	struct pm_node *b;
	bool acc;

	(void)e;
	dx = in[0] ? pm_grad_want(g, n->in[0], &acc) : NULL;
	b = dx ? pm_node(g, &op_back, 3, in, 1, &dx, NULL, 0) : NULL;
	if (b)
		b->acc[0] = acc;
	return 0;
}

static const struct pm_op op_balance = {.name = "balance", .scratch = scratch, .run = run, .grad = grad};

struct pm_tensor *pm_balance(struct pm_graph *g, struct pm_tensor *logits, const struct pm_route *route, struct pm_tensor *span)
{
	struct pm_tensor *in[3] = {logits, route->expert, span}, *y;

	if (!logits || !route->expert || !span)
		return NULL;
	if (logits->type != PM_F32 || logits->cols != route->experts || logits->rows != span->rows || span->type != PM_I32 || span->cols != 2)
		return pm_graph_fail(g, "balance: '%s' (%lld, %lld) does not fit the route and the spans", logits->name, (long long)logits->rows, (long long)logits->cols);
	y = pm_tensor(g, PM_T_TEMP, PM_F32, 2, logits->cols, "balance");
	return pm_node(g, &op_balance, 3, in, 1, &y, &(struct attr){route->chosen}, sizeof(struct attr)) ? y : NULL;
}

/* ---- the loss: in sums; out (1, 1) ---- */

static int run_loss(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *at = n->attr;
	const struct pm_kernel *k = pm_kernel(n->g->dev, "balance", "balance_loss", NULL, e);

	return k ? PM_LAUNCH(k, ((struct pm_launch){.global = {1}, .flops = 4.0 * (double)n->in[0]->cols, .bytes = 8.0 * (double)n->in[0]->cols}), e,
		PM_AT1(n->out[0]), PM_AT(n->in[0]), PM_I32(n->in[0]->cols), PM_I32(at->chosen)) : -1;
}

/* in dloss, sums; out dsums */
static int run_loss_back(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *at = n->attr;
	const struct pm_tensor *s = n->in[1];
	const struct pm_kernel *k = pm_kernel(n->g->dev, "balance", "balance_loss_back", NULL, e);

	return k ? PM_LAUNCH(k, ((struct pm_launch){.global = {(size_t)s->cols}, .flops = (double)(s->cols * s->cols), .bytes = 16.0 * (double)s->cols}), e,
		PM_AT(n->out[0]), PM_AT1(n->in[0]), PM_AT(s), PM_I32(s->cols), PM_I32(at->chosen), PM_I32(n->acc[0])) : -1;
}

static const struct pm_op op_loss_back = {.name = "balance loss gradient", .run = run_loss_back};

static int grad_loss(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	struct pm_tensor *in[2] = {pm_grad_have(n->out[0]), n->in[0]}, *ds;
	struct pm_node *b;
	bool acc;

	(void)e;
	ds = in[0] ? pm_grad_want(g, n->in[0], &acc) : NULL;
	b = ds ? pm_node(g, &op_loss_back, 2, in, 1, &ds, n->attr, sizeof(struct attr)) : NULL;
	if (b)
		b->acc[0] = acc;
	return 0;
}

static const struct pm_op op_loss = {.name = "balance loss", .run = run_loss, .grad = grad_loss};

struct pm_tensor *pm_balance_loss(struct pm_graph *g, struct pm_tensor *sums, int64_t chosen)
{
	struct pm_tensor *y;

	if (!sums)
		return NULL;
	if (sums->type != PM_F32 || sums->rows != 2 || chosen < 1)
		return pm_graph_fail(g, "balance loss: '%s' has no two rows", sums->name);
	y = pm_tensor(g, PM_T_TEMP, PM_F32, 1, 1, "balance loss");
	return pm_node(g, &op_loss, 1, &sums, 1, &y, &(struct attr){chosen}, sizeof(struct attr)) ? y : NULL;
}
