/* experts.c: y = W_e·x (+ b_e + s·B_e(A_e·drop(x))) for rows that go to one expert each. They lie in the order of the experts, so that an
 * expert's product is a linear layer of a range of rows: linear.c's, with all it can do.  tests/op/experts.c */
#include <string.h>

#include "op/gemm.h"
#include "op/linear.h"
#include "op/pairs.h"
#include "op/stage.h"

/* Inputs are those of linear.c's operation, going forward the runs, and the counts. */
struct attr {
	const struct pm_op *op;         /* what is done for each expert, and its attr */
	const void *each;
	struct pm_route_host *host;
	int64_t experts;
	unsigned stacks;                /* bits: which inputs have a matrix an expert; the others a row a pair */
	bool sums;                      /* the output has, too: sums over rows, period by period */
};

#define STACK(i) (1u << (i))
enum { X, W, BIAS, A, B, ADD, RNG, RUNS, COUNT, INPUTS };

/* Expert x's matrix of a stack. */
static struct pm_tensor matrix(const struct pm_tensor *stack, int64_t experts, int64_t x)
{
	struct pm_tensor t = *stack;

	t.rows = stack->rows / experts;
	t.parts = 0;
	if (stack->part)
		t.mem = stack->part[x];
	else
		t.off += x * t.rows * t.ld;
	return t;
}

static struct pm_tensor some_rows(const struct pm_tensor *all, int64_t from, int64_t n)
{
	struct pm_tensor t = *all;

	t.rows = n;
	t.off += from * t.ld;
	return t;
}

/* A node for n rows of expert x, from row `from` on. */
struct one {
	struct pm_node node;
	struct pm_tensor in[COUNT], out[2];
};

static void one_of(struct one *o, const struct pm_node *n, int64_t x, int64_t from, int64_t rows)
{
	const struct attr *at = n->attr;
	int i;

	o->node = (struct pm_node){.op = at->op, .g = n->g, .nin = n->nin - 1, .nout = n->nout, .attr = at->each, .scratch = n->scratch};
	for (i = 0; i < o->node.nin; i++)
		if (n->in[i]) {
			o->in[i] = at->stacks & STACK(i) ? matrix(n->in[i], at->experts, x) : some_rows(n->in[i], from, rows);
			o->node.in[i] = &o->in[i];
		}
	for (i = 0; i < n->nout; i++)
		if (n->out[i]) {
			o->out[i] = at->sums ? matrix(n->out[i], at->experts, x) : some_rows(n->out[i], from, rows);
			o->node.out[i] = &o->out[i];
			o->node.acc[i] = n->acc[i];
		}
}

/* The first input has a row a pair. */
static int64_t pairs_of(const struct pm_node *n)
{
	return n->in[0]->rows;
}

static size_t scratch(const struct pm_node *n)
{
	const struct attr *at = n->attr;
	struct one o;

	one_of(&o, n, 0, 0, pairs_of(n));
	return at->op->scratch ? at->op->scratch(&o.node) : 0;
}

static int run(const struct pm_node *n, struct pm_err *e)
{
	const struct attr *at = n->attr;
	const int64_t periods = at->host->periods, pairs = pairs_of(n);
	int64_t from = 0, x, p, rows;
	struct one o;

	if (pm_route_counts(at->host, n->in[n->nin - 1], e) < 0)
		return -1;
	for (x = 0; x < at->experts; x++)
		for (p = 0; p < periods; p++, from += rows) {
			rows = at->host->count[x * periods + p];
			while (!at->sums && p + 1 < periods)
				rows += at->host->count[x * periods + ++p];
			if (rows < 0 || rows > pairs - from)
				return pm_fail(e, PM_SOFTWARE, "the counts of the experts are more than %lld pairs", (long long)pairs);
			if (!rows)
				continue;
			one_of(&o, n, x, from, rows);
			if (at->op->run(&o.node, e) < 0)
				return pm_ctx(e, "expert %lld", (long long)x);
		}
	return 0;
}

/* Few rows: all experts in one launch, which finds out itself who they are; one after the other where matrices have memory of their own. */
static bool together(const struct pm_node *n)
{
	bool yes = n->g->thin;
	int i;

	for (i = W; i <= B; i++)
		yes = yes && !(n->in[i] && n->in[i]->part);
	return yes;
}

static int run_forward(const struct pm_node *n, struct pm_err *e)
{
	struct one o;

	if (!together(n))
		return run(n, e);
	one_of(&o, n, 0, 0, pairs_of(n));
	return pm_linear_runs(&o.node, n->in[RUNS], e);
}

static int stages(const struct pm_node *n, struct pm_chain *c, struct pm_err *e)
{
	struct one o;

	if (!together(n))
		return 0;
	one_of(&o, n, 0, 0, pairs_of(n));
	return pm_linear_stages(&o.node, n->in[RUNS], c, e);
}

/* ---- gradients ---- */

static const struct pm_op op_back = {"experts gradient", scratch, run, NULL};

/* To the inputs the counts are added. */
static void add_node(struct pm_graph *g, struct pm_node *n, const struct pm_linear_part *p)
{
	const struct attr *forward = n->attr;
	struct attr at = {p->op, p->attr, forward->host, forward->experts, p->stacks, p->sums};
	struct pm_tensor *all[INPUTS];
	struct pm_node *b;

	if (!p->attr)
		return;
	memcpy(all, p->in, (size_t)p->nin * sizeof *all);
	all[p->nin] = n->in[COUNT];
	b = pm_node(g, &op_back, p->nin + 1, all, 2, p->out, &at, sizeof at);
	if (b)
		b->acc[0] = p->acc;
}

static int grad(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	(void)e;
	return pm_linear_grads(g, n, ((const struct attr *)n->attr)->each, add_node);
}

static const struct pm_op op_experts = {"experts", scratch, run_forward, grad};

/* ---- the constructor ---- */

/* Whether t is a stack of `experts` matrices (rows, cols). */
static bool stack(const struct pm_tensor *t, int64_t experts, int64_t rows, int64_t cols)
{
	return t->kind != PM_T_TEMP && t->rows == experts * rows && t->cols == cols && (!t->part || t->parts == experts);
}

static const char *misfit(struct pm_tensor *const *in, const struct pm_route *route, int64_t out, bool transposed)
{
	const struct pm_tensor *x = in[X], *w = in[W], *a = in[A], *b = in[B];
	const int64_t E = route->experts;

	if (x->type != PM_F32)
		return "x is no f32";
	if (x->rows != route->pair->rows)
		return "x has no row a pair";
	if (!pm_op_takes(w->type))
		return "the weight's type is not known here";
	if (!pm_is_weight(w) || !stack(w, E, transposed ? x->cols : out, transposed ? out : x->cols))
		return "the weight does not fit x and the experts";
	if (in[BIAS] && (!pm_is_plain_weight(in[BIAS]) || !stack(in[BIAS], E, 1, out)))
		return "the bias does not fit";
	if (!a != !b || (a && (a->type != PM_F32 || b->type != PM_F32 || !stack(a, E, a->rows / E, x->cols) || !stack(b, E, out, a->rows / E))))
		return "the adapter does not fit";
	return NULL;
}

struct pm_tensor *pm_experts(struct pm_graph *g, struct pm_tensor *x, const struct pm_route *route, struct pm_tensor *w, struct pm_tensor *b,
	const struct pm_experts_opts *opts)
{
	static const struct pm_experts_opts none;
	const struct pm_experts_opts *o = opts ? opts : &none;
	const bool drops = o->lora.a && o->lora.dropout > 0;
	struct attr at = {.op = &pm_linear_op, .experts = route->experts, .stacks = STACK(W) | STACK(BIAS) | STACK(A) | STACK(B)};
	struct pm_tensor *in[INPUTS] = {x, w, b, o->lora.a, o->lora.b}, *out[2] = {NULL, NULL};
	const char *why;
	int64_t cols;

	if (!x || !w || !route->pair)
		return NULL;
	if (drops && (o->lora.dropout >= 1 || !o->lora.rng || o->lora.rng->type != PM_I32 || o->lora.rng->rows != route->place->rows || o->lora.rng->cols != 2))
		return pm_graph_fail(g, "experts: dropout is to be below 1, and wants a counter a row");
	if (!o->pairs && !(in[X] = pm_spread(g, x, route)))
		return NULL;
	cols = o->transposed ? w->cols : w->rows / route->experts;
	why = misfit(in, route, cols, o->transposed);
	if (why)
		return pm_graph_fail(g, "experts: %lld pairs of x '%s' (%lld, %lld), %lld experts, weights '%s' (%lld, %lld)%s: %s", (long long)route->pair->rows, x->name,
			(long long)x->rows, (long long)x->cols, (long long)route->experts, w->name, (long long)w->rows, (long long)w->cols,
			o->transposed ? " transposed" : "", why);
	if (drops)
		in[RNG] = pm_spread_rng(g, o->lora.rng, route);
	in[RUNS] = route->runs;
	in[COUNT] = route->count;
	at.host = route->host;
	at.each = pm_linear_attr(g, &(struct pm_linear_opts){.transposed = o->transposed, .lora = o->lora});
	out[0] = pm_tensor(g, PM_T_TEMP, PM_F32, in[X]->rows, cols, "experts");
	if (o->lora.a)
		out[1] = pm_tensor(g, PM_T_TEMP, PM_F32, in[X]->rows, o->lora.a->rows / route->experts, "lora of experts");
	return pm_stage_of(pm_node(g, &op_experts, INPUTS, in, o->lora.a ? 2 : 1, out, &at, sizeof at), stages) ? out[0] : NULL;
}
