/* graph.c: making graphs: tensors, views, nodes, and the first failure of a builder. */
#include "graph/graph.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int pm_graph_new(struct pm_graph **out, struct pm_dev *d, struct pm_err *e)
{
	struct pm_graph *g = pm_alloc(1, sizeof *g, e);

	*out = g;
	if (!g)
		return -1;
	g->dev = d;
	return 0;
}

void pm_graph_free(struct pm_graph *g)
{
	if (!g)
		return;
	free(g->nodes);
	free(g->tensors);
	pm_arena_free(&g->arena);
	free(g);
}

int pm_graph_ok(struct pm_graph *g, struct pm_err *e)
{
	if (!g->failed)
		return 0;
	*e = g->err;
	return -1;
}

void *pm_graph_fail(struct pm_graph *g, const char *fmt, ...)
{
	va_list ap;

	if (!g || g->failed)
		return NULL;
	g->failed = true;
	g->err.status = PM_SOFTWARE;
	va_start(ap, fmt);
	vsnprintf(g->err.text, sizeof g->err.text, fmt, ap);
	va_end(ap);
	return NULL;
}

/* A tensor of the graph, only named so far. */
static struct pm_tensor *tensor_new(struct pm_graph *g, const char *name)
{
	struct pm_tensor *t;

	if (!g || g->failed)
		return NULL;
	t = pm_arena_alloc(&g->arena, 1, sizeof *t, &g->err);
	if (!t || !(t->name = pm_arena_printf(&g->arena, &g->err, "%s", name ? name : "")) ||
	    pm_grow(&g->tensors, &g->cap_tensors, g->ntensors + 1, sizeof *g->tensors, &g->err) < 0) {
		g->failed = true;
		return NULL;
	}
	t->slot = -1;
	g->tensors[g->ntensors++] = t;
	return t;
}

struct pm_tensor *pm_tensor_of(struct pm_graph *g, enum pm_tensor_kind kind, enum pm_dtype type, int64_t rows, int64_t cols,
	struct pm_mem *mem, const char *name)
{
	struct pm_tensor *t;

	if (rows < 1 || cols < 1 || rows > INT64_MAX / 16 / cols)
		return pm_graph_fail(g, "tensor '%s': %lld rows of %lld", name ? name : "", (long long)rows, (long long)cols);
	t = tensor_new(g, name);
	if (!t)
		return NULL;
	t->kind = kind;
	t->type = type;
	t->rows = rows;
	t->cols = t->ld = cols;
	t->mem = mem;
	return t;
}

struct pm_tensor *pm_tensor(struct pm_graph *g, enum pm_tensor_kind kind, enum pm_dtype type, int64_t rows, int64_t cols, const char *name)
{
	return pm_tensor_of(g, kind, type, rows, cols, NULL, name);
}

static struct pm_tensor *view(struct pm_graph *g, struct pm_tensor *t, int64_t row, int64_t rows, int64_t col, int64_t cols)
{
	struct pm_tensor *v = t ? tensor_new(g, t->name) : NULL;
	const char *name;

	if (!v)
		return NULL;
	if (row < 0 || rows < 1 || row > t->rows - rows || col < 0 || cols < 1 || col > t->cols - cols)
		return pm_graph_fail(g, "a view of '%s' (%lld, %lld): %lld rows from %lld, %lld columns from %lld", t->name,
			(long long)t->rows, (long long)t->cols, (long long)rows, (long long)row, (long long)cols, (long long)col);
	if (t->part)
		return pm_graph_fail(g, "a view of '%s', whose %lld matrices have memory of their own", t->name, (long long)t->parts);
	name = v->name;
	*v = *t;
	v->name = name;
	v->parts = 0;
	v->base = t->base ? t->base : t;
	v->rows = rows;
	v->cols = cols;
	v->off = t->off + row * t->ld + col;
	v->trains = v->keep = false;
	v->grad = v->orig = v->clone = NULL;
	v->written = NULL;
	v->slot = -1;
	return v;
}

struct pm_tensor *pm_view_cols(struct pm_graph *g, struct pm_tensor *t, int64_t from, int64_t cols)
{
	return view(g, t, 0, t ? t->rows : 0, from, cols);
}

struct pm_tensor *pm_view_rows(struct pm_graph *g, struct pm_tensor *t, int64_t from, int64_t rows)
{
	return view(g, t, from, rows, 0, t ? t->cols : 0);
}

static bool needs(const struct pm_tensor *t)
{
	const struct pm_tensor *root = t && t->base ? t->base : t;

	return root && (root->needs || root->trains);
}

struct pm_node *pm_node(struct pm_graph *g, const struct pm_op *op, int nin, struct pm_tensor *const *in,
	int nout, struct pm_tensor *const *out, const void *attr, size_t size)
{
	struct pm_node *n;
	void *copy;
	bool flows = false;
	int i;

	if (!g || g->failed)
		return NULL;
	if (nin > PM_NODE_IN || nout > PM_NODE_OUT)
		return pm_graph_fail(g, "%s: %d inputs and %d outputs are more than a node has", op->name, nin, nout);
	n = pm_arena_alloc(&g->arena, 1, sizeof *n, &g->err);
	copy = size ? pm_arena_alloc(&g->arena, 1, size, &g->err) : NULL;
	if (!n || (size && !copy) || pm_grow(&g->nodes, &g->cap_nodes, g->nnodes + 1, sizeof *g->nodes, &g->err) < 0) {
		g->failed = true;
		return NULL;
	}
	if (size)
		memcpy(copy, attr, size);
	n->op = op;
	n->g = g;
	n->attr = copy;
	n->segment = g->segment;
	n->nin = nin;
	n->nout = nout;
	for (i = 0; i < nin; i++) {
		n->in[i] = in[i];
		flows = flows || needs(in[i]);
	}
	for (i = 0; i < nout; i++) {
		n->out[i] = out[i];
		if (out[i] && flows)
			(out[i]->base ? out[i]->base : out[i])->needs = true;
	}
	g->nodes[g->nnodes++] = n;
	return n;
}
