/* grad.c: the backward nodes of a graph.
 *
 * Nodes are taken in reverse order. A gradient of an activation is a TEMP of this file; the first contribution writes it, later
 * ones add. Contributions may be to views, so what is written already is known as a set of disjoint rectangles: one that finds its
 * part untouched writes, one that finds it covered adds, and where only some of it is covered a node zeroes the rest
 * first. Parts that nobody contributes to are zeroed before the gradient is read. */
#include <string.h>

#include "graph/graph.h"

struct pm_rect {
	int64_t r0, r1, c0, c1;                 /* rows r0 .. r1−1, columns c0 .. c1−1 */
	struct pm_rect *next;
};

static struct pm_tensor *root_of(struct pm_tensor *t)
{
	return t->base ? t->base : t;
}

/* The tensor that carries the gradient: clones share their original's. */
static struct pm_tensor *carrier(struct pm_tensor *t)
{
	return t->orig ? t->orig : t;
}

/* ---- the room's own operations: zero and copy (kernels/fill.cl) ---- */

static struct pm_launch grid(const struct pm_tensor *t, double bytes)
{
	int64_t wide = t->cols < 64 ? 1 : 64;

	return (struct pm_launch){.global = {(size_t)((t->cols + wide - 1) / wide * wide), (size_t)t->rows},
		.local = {(size_t)wide, 1}, .bytes = bytes * (double)(t->rows * t->cols)};
}

static int run_zero(const struct pm_node *n, struct pm_err *e)
{
	const struct pm_tensor *y = n->out[0];
	const struct pm_kernel *k;

	if (pm_is_dense(y))
		return pm_mem_zero(y->mem, (size_t)y->off * 4, (size_t)(y->rows * y->cols) * 4, e);
	k = pm_kernel(n->g->dev, "fill", "fill_zero", NULL, e);
	return k ? PM_LAUNCH(k, grid(y, 4), e, PM_MEM(y->mem), PM_I64(y->off), PM_I64(y->ld), PM_I64(y->cols)) : -1;
}

static int run_copy(const struct pm_node *n, struct pm_err *e)
{
	const struct pm_tensor *y = n->out[0], *x = n->in[0];
	const struct pm_kernel *k = pm_kernel(n->g->dev, "fill", "fill_copy", NULL, e);

	return k ? PM_LAUNCH(k, grid(y, 8), e, PM_MEM(y->mem), PM_I64(y->off), PM_I64(y->ld), PM_MEM(x->mem), PM_I64(x->off), PM_I64(x->ld),
		PM_I64(y->cols), PM_I32(n->acc[0])) : -1;
}

static const struct pm_op op_zero = {"zero", NULL, run_zero, NULL};
static const struct pm_op op_copy = {"copy", NULL, run_copy, NULL};

/* ---- where gradients go ---- */

/* The part of root's gradient that r names. */
static struct pm_tensor *part(struct pm_graph *g, struct pm_tensor *root, const struct pm_rect *r)
{
	struct pm_tensor *d = carrier(root)->grad;

	if (r->r0 == 0 && r->r1 == d->rows && r->c0 == 0 && r->c1 == d->cols)
		return d;
	return pm_view_cols(g, pm_view_rows(g, d, r->r0, r->r1 - r->r0), r->c0, r->c1 - r->c0);
}

static struct pm_rect *rect(struct pm_graph *g, int64_t r0, int64_t r1, int64_t c0, int64_t c1, struct pm_rect *next)
{
	struct pm_rect *r;

	if (r0 >= r1 || c0 >= c1)
		return next;
	r = pm_arena_alloc(&g->arena, 1, sizeof *r, &g->err);
	if (!r) {
		g->failed = true;
		return next;
	}
	*r = (struct pm_rect){r0, r1, c0, c1, next};
	return r;
}

/* What of the rectangles in `list` w does not cover. */
static struct pm_rect *subtract(struct pm_graph *g, struct pm_rect *list, const struct pm_rect *w)
{
	struct pm_rect *rest = NULL, *p;

	for (p = list; p; p = p->next) {
		int64_t r0 = p->r0 > w->r0 ? p->r0 : w->r0, r1 = p->r1 < w->r1 ? p->r1 : w->r1;
		int64_t c0 = p->c0 > w->c0 ? p->c0 : w->c0, c1 = p->c1 < w->c1 ? p->c1 : w->c1;

		if (r0 >= r1 || c0 >= c1) {
			rest = rect(g, p->r0, p->r1, p->c0, p->c1, rest);
			continue;
		}
		rest = rect(g, p->r0, r0, p->c0, p->c1, rest);
		rest = rect(g, r1, p->r1, p->c0, p->c1, rest);
		rest = rect(g, r0, r1, p->c0, c0, rest);
		rest = rect(g, r0, r1, c1, p->c1, rest);
	}
	return rest;
}

static int64_t area(const struct pm_rect *r)
{
	int64_t n = 0;

	for (; r; r = r->next)
		n += (r->r1 - r->r0) * (r->c1 - r->c0);
	return n;
}

/* What of r nobody has written yet. */
static struct pm_rect *missing(struct pm_graph *g, struct pm_tensor *root, const struct pm_rect *r)
{
	struct pm_rect *rest = rect(g, r->r0, r->r1, r->c0, r->c1, NULL);
	const struct pm_rect *w;

	for (w = carrier(root)->written; w && rest; w = w->next)
		rest = subtract(g, rest, w);
	return rest;
}

static void mark(struct pm_graph *g, struct pm_tensor *root, const struct pm_rect *r)
{
	struct pm_tensor *c = carrier(root);

	c->written = rect(g, r->r0, r->r1, r->c0, r->c1, c->written);
}

static void zero(struct pm_graph *g, struct pm_tensor *root, const struct pm_rect *rest)
{
	for (; rest; rest = rest->next) {
		struct pm_tensor *d = part(g, root, rest);

		pm_node(g, &op_zero, 0, NULL, 1, &d, NULL, 0);
		mark(g, root, rest);
	}
}

struct pm_tensor *pm_grad_have(const struct pm_tensor *y)
{
	const struct pm_tensor *c = y && y->orig ? y->orig : y;

	return c && c->written ? c->grad : NULL;
}

/* The gradient given for a weight. */
static struct pm_tensor *weight_grad(struct pm_graph *g, struct pm_tensor *w)
{
	if (!w->grad)
		return pm_graph_fail(g, "weight '%s' trains, but was given no gradient", w->name);
	if (!pm_dtype_plain(w->type))
		return pm_graph_fail(g, "weight '%s' trains, but its values lie in blocks (%s), which have no gradient", w->name, pm_dtype(w->type)->name);
	if (w->grad->rows != w->rows || w->grad->cols != w->cols || w->grad->type != PM_F32)
		return pm_graph_fail(g, "the gradient of '%s' is no f32 (%lld, %lld)", w->name, (long long)w->rows, (long long)w->cols);
	return w->grad;
}

struct pm_tensor *pm_grad_want(struct pm_graph *g, struct pm_tensor *x, bool *acc)
{
	struct pm_tensor *root = x ? root_of(x) : NULL, *c;
	struct pm_rect r, *rest;
	int64_t from;

	*acc = false;
	if (!root || g->failed || !(root->needs || root->trains))
		return NULL;
	c = carrier(root);
	from = x->off - root->off;
	r = (struct pm_rect){from / root->ld, from / root->ld + x->rows, from % root->ld, from % root->ld + x->cols, NULL};
	if (root->trains) {
		*acc = true;
		return weight_grad(g, root) ? part(g, root, &r) : NULL;
	}
	if (!c->grad) {
		c->grad = pm_tensor(g, PM_T_TEMP, PM_F32, root->rows, root->cols, pm_arena_printf(&g->arena, &g->err, "d %s", root->name));
		if (!c->grad)
			return NULL;
	}
	rest = missing(g, root, &r);
	*acc = area(rest) < (r.r1 - r.r0) * (r.c1 - r.c0);
	if (*acc)
		zero(g, root, rest);
	else
		mark(g, root, &r);
	return part(g, root, &r);
}

/* x's gradient (=, +=) dy. */
static void contribute(struct pm_graph *g, struct pm_tensor *x, struct pm_tensor *dy)
{
	bool acc;
	struct pm_tensor *d = pm_grad_want(g, x, &acc);
	struct pm_node *n = d ? pm_node(g, &op_copy, 1, &dy, 1, &d, NULL, 0) : NULL;

	if (n)
		n->acc[0] = acc;
}

void pm_grad_pass(struct pm_graph *g, struct pm_tensor *x, struct pm_tensor *dy)
{
	struct pm_tensor *c = carrier(x);

	if (x->base || !x->needs || c->grad) {
		contribute(g, x, dy);
		return;
	}
	c->grad = dy;
	mark(g, x, &(struct pm_rect){0, x->rows, 0, x->cols, NULL});
}

void pm_grad_seed(struct pm_tensor *y, struct pm_tensor *dy)
{
	if (y)
		y->grad = dy;
}

/* Seeds of tensors that have other readers (or are views) become a contribution like any other. */
static void take_seeds(struct pm_graph *g, size_t tensors)
{
	size_t i;
	int j;

	for (i = 0; i < tensors; i++)
		g->tensors[i]->slot = -1;
	for (i = 0; i < g->forward_nodes; i++)
		for (j = 0; j < g->nodes[i]->nin; j++)
			if (g->nodes[i]->in[j])
				root_of(g->nodes[i]->in[j])->slot = 1;
	for (i = 0; i < tensors && !g->failed; i++) {
		struct pm_tensor *t = g->tensors[i], *seed = t->grad;

		if (!seed || t->trains || !root_of(t)->needs)
			continue;
		if (seed->rows != t->rows || seed->cols != t->cols) {
			pm_graph_fail(g, "the gradient given for '%s' has another shape", t->name);
			return;
		}
		if (!t->base && root_of(t)->slot < 0) {
			mark(g, t, &(struct pm_rect){0, t->rows, 0, t->cols, NULL});
			continue;
		}
		t->grad = NULL;
		contribute(g, t, seed);
	}
}

/* ---- the backward pass ---- */

static int differentiate(struct pm_graph *g, struct pm_node *n, struct pm_err *e)
{
	bool have = false, want = false;
	int i;

	for (i = 0; i < n->nout; i++)
		have = have || (n->out[i] && pm_grad_have(root_of(n->out[i])));
	for (i = 0; i < n->nin; i++)
		want = want || (n->in[i] && (root_of(n->in[i])->needs || root_of(n->in[i])->trains));
	if (!have || !want)
		return 0;
	if (!n->op->grad)
		return pm_fail(e, PM_SOFTWARE, "no gradient for operation '%s' ('%s')", n->op->name, n->out[0] ? n->out[0]->name : "");
	for (i = 0; i < n->nout; i++) {
		struct pm_tensor *y = n->out[i];

		if (y && pm_grad_have(y))
			zero(g, y, missing(g, y, &(struct pm_rect){0, y->rows, 0, y->cols, NULL}));
	}
	if (n->op->grad(g, n, e) < 0)
		return pm_ctx(e, "gradient of %s '%s'", n->op->name, n->out[0] ? n->out[0]->name : "");
	return pm_graph_ok(g, e);
}

static struct pm_tensor *cloned(struct pm_graph *g, struct pm_tensor *x)
{
	struct pm_tensor *root = x ? root_of(x) : NULL, *v;

	if (!root || !root->clone)
		return x;
	if (x == root)
		return root->clone;
	v = pm_view_rows(g, root->clone, 0, 1);
	if (v) {
		v->rows = x->rows;
		v->cols = x->cols;
		v->off = x->off;
	}
	return v;
}

/* Adds node n of a segment once more, with new temps for what it makes, and returns the copy; a node that has other effects is
 * not run again, and returned itself. */
static struct pm_node *again(struct pm_graph *g, struct pm_node *n)
{
	struct pm_tensor *in[PM_NODE_IN], *out[PM_NODE_OUT];
	struct pm_node *c;
	int i, temps = 0;

	for (i = 0; i < n->nout; i++)
		if (n->out[i] && (n->out[i]->kind != PM_T_TEMP || n->out[i]->base))
			return n;
		else
			temps += n->out[i] != NULL;
	if (!temps)
		return n;
	for (i = 0; i < n->nin; i++)
		in[i] = cloned(g, n->in[i]);
	for (i = 0; i < n->nout; i++) {
		struct pm_tensor *t = n->out[i];

		out[i] = NULL;
		if (!t)
			continue;
		out[i] = pm_tensor(g, PM_T_TEMP, t->type, t->rows, t->cols, t->name);
		if (!out[i])
			return n;
		out[i]->needs = t->needs;
		out[i]->orig = t;
		t->clone = out[i];
	}
	c = pm_node(g, n->op, n->nin, in, n->nout, out, NULL, 0);
	if (!c)
		return n;
	c->attr = n->attr;
	c->again = true;
	return c;
}

/* The backward pass of nodes lo .. hi, one checkpointed segment. */
static int backward_segment(struct pm_graph *g, size_t lo, size_t hi, struct pm_err *e)
{
	struct pm_node **run = pm_arena_alloc(&g->arena, hi - lo + 1, sizeof *run, e);
	size_t i;
	int j, r = 0;

	if (!run)
		return -1;
	for (i = lo; i <= hi; i++)
		run[i - lo] = again(g, g->nodes[i]);
	for (i = hi + 1; r == 0 && i-- > lo;)
		r = differentiate(g, run[i - lo], e);
	for (i = lo; i <= hi; i++)
		for (j = 0; j < g->nodes[i]->nout; j++)
			if (g->nodes[i]->out[j])
				g->nodes[i]->out[j]->clone = NULL;
	return r;
}

/* Takes out repeated nodes whose results nobody reads. */
static void prune(struct pm_graph *g)
{
	size_t i, kept;
	int j;

	for (i = 0; i < g->ntensors; i++)
		g->tensors[i]->slot = -1;
	for (i = g->nnodes; i-- > g->forward_nodes;) {
		struct pm_node *n = g->nodes[i];
		bool live = !n->again;

		for (j = 0; j < n->nout; j++)
			live = live || (n->out[j] && root_of(n->out[j])->slot == 1);
		for (j = 0; live && j < n->nin; j++)
			if (n->in[j])
				root_of(n->in[j])->slot = 1;
		if (!live)
			g->nodes[i] = NULL;
	}
	for (i = kept = 0; i < g->nnodes; i++)
		if (g->nodes[i])
			g->nodes[kept++] = g->nodes[i];
	g->nnodes = kept;
}

/* ---- cheap nodes, run again rather than kept ---- */

static bool reads(const struct pm_node *n, const struct pm_tensor *root)
{
	int j;

	for (j = 0; j < n->nin; j++)
		if (n->in[j] && root_of(n->in[j]) == root)
			return true;
	return false;
}

/* The first of the nodes from .. that reads t, or nnodes. */
static size_t first_reader(const struct pm_graph *g, const struct pm_tensor *t, size_t from)
{
	while (from < g->nnodes && !reads(g->nodes[from], t))
		from++;
	return from;
}

/* Whether forward node i may be run again: it makes temps that its own segment alone reads. */
static bool repeatable(const struct pm_graph *g, size_t i)
{
	const struct pm_node *n = g->nodes[i];
	size_t k;
	int j;

	if (!n->cheap || !n->segment)
		return false;
	for (j = 0; j < n->nout; j++) {
		const struct pm_tensor *y = n->out[j];

		if (!y)
			continue;
		if (y->kind != PM_T_TEMP || y->base || y->keep)
			return false;
		for (k = i + 1; k < g->forward_nodes; k++)
			if (g->nodes[k]->segment != n->segment && reads(g->nodes[k], y))
				return false;
	}
	return true;
}

/* Whether what node i reads is there in the backward pass: read by it, or made again for it. */
static bool kept(const struct pm_graph *g, size_t i)
{
	const struct pm_node *n = g->nodes[i];
	size_t k;
	int j, o;

	for (j = 0; j < n->nin; j++) {
		const struct pm_tensor *x = n->in[j] ? root_of(n->in[j]) : NULL;
		bool made = false;

		if (x && x->kind == PM_T_STATE)
			return false;
		if (!x || x->kind == PM_T_WEIGHT || x->kind == PM_T_INPUT || first_reader(g, x, g->forward_nodes) < g->nnodes)
			continue;
		for (k = i; x->kind == PM_T_TEMP && k-- > 0 && g->nodes[k]->segment == n->segment && !made;)
			for (o = 0; o < g->nodes[k]->nout; o++)
				made = made || (g->nodes[k]->out[o] == x && repeatable(g, k) && kept(g, k));
		if (!made)
			return false;
	}
	return true;
}

/* Puts the last node in front of node `at`. */
static void put_before(struct pm_graph *g, size_t at)
{
	struct pm_node *n = g->nodes[g->nnodes - 1];

	memmove(g->nodes + at + 1, g->nodes + at, (g->nnodes - 1 - at) * sizeof *g->nodes);
	g->nodes[at] = n;
}

/* Runs node i once more where the backward pass first reads what it made, which it then reads from there. */
static void repeat(struct pm_graph *g, size_t i)
{
	struct pm_node *n = g->nodes[i];
	size_t first = g->nnodes, k;
	int j;

	for (j = 0; j < n->nout; j++)
		if (n->out[j]) {
			k = first_reader(g, n->out[j], g->forward_nodes);
			first = k < first ? k : first;
		}
	if (first == g->nnodes || again(g, n) == n)
		return;
	put_before(g, first);
	for (k = first + 1; k < g->nnodes; k++)
		for (j = 0; j < g->nodes[k]->nin; j++)
			g->nodes[k]->in[j] = cloned(g, g->nodes[k]->in[j]);
	for (j = 0; j < n->nout; j++)
		if (n->out[j])
			n->out[j]->clone = NULL;
}

int pm_grad(struct pm_graph *g, bool checkpoint, struct pm_err *e)
{
	size_t i, lo;
	int j, k, r = 0;

	if (pm_graph_ok(g, e) < 0)
		return -1;
	g->forward_nodes = g->nnodes;
	g->segment = 0;
	/* `trains` may have been set after the nodes were added */
	for (i = 0; i < g->nnodes; i++)
		for (j = 0; j < g->nodes[i]->nin; j++)
			for (k = 0; g->nodes[i]->in[j] && k < g->nodes[i]->nout; k++) {
				struct pm_tensor *x = root_of(g->nodes[i]->in[j]), *y = g->nodes[i]->out[k];

				if (y && (x->needs || x->trains))
					root_of(y)->needs = true;
			}
	take_seeds(g, g->ntensors);
	for (i = g->forward_nodes; r == 0 && i-- > 0;) {
		int s = g->nodes[i]->segment;

		if (!checkpoint || !s) {
			r = differentiate(g, g->nodes[i], e);
			continue;
		}
		for (lo = i; lo > 0 && g->nodes[lo - 1]->segment == s;)
			lo--;
		r = backward_segment(g, lo, i, e);
		i = lo;
	}
	if (r < 0)
		return -1;
	prune(g);
	/* from the last, so that what is read by a node run again is seen to be wanted */
	for (i = g->forward_nodes; !checkpoint && i-- > 0;)
		if (repeatable(g, i) && kept(g, i))
			repeat(g, i);
	return pm_graph_ok(g, e);
}
