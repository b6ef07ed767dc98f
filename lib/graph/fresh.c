/* fresh.c: gradients of weights that need not be zeroed before a step, since the first node that adds to one writes all of it. */
#include "graph/graph.h"

/* The first backward node that changes m, and which of its outputs m is. */
static struct pm_node *first_of(const struct pm_graph *g, const struct pm_mem *m, int *which)
{
	size_t i;
	int j;

	for (i = g->forward_nodes; i < g->nnodes; i++)
		for (j = 0; j < g->nodes[i]->nout; j++)
			if (g->nodes[i]->out[j] && g->nodes[i]->out[j]->mem == m) {
				*which = j;
				return g->nodes[i];
			}
	return NULL;
}

/* Whether output j of n is the whole of the memory of a weight's gradient, and written as a whole where it is not added to. */
static bool writes_all(const struct pm_node *n, int j)
{
	const struct pm_tensor *t = n->out[j];

	return n->overwrites && t->kind == PM_T_STATE && t->mem && !t->off && pm_is_dense(t) && (size_t)(t->rows * t->cols) * 4 == pm_mem_size(t->mem);
}

bool pm_grad_is_fresh(const struct pm_graph *g, const struct pm_mem *grad)
{
	int j = 0;
	const struct pm_node *n = first_of(g, grad, &j);

	return n && writes_all(n, j);
}

void pm_grad_fresh(struct pm_graph *g, bool fresh)
{
	size_t i;
	int j, first = 0;

	for (i = g->forward_nodes; i < g->nnodes; i++)
		for (j = 0; j < g->nodes[i]->nout; j++) {
			const struct pm_tensor *t = g->nodes[i]->out[j];

			if (t && writes_all(g->nodes[i], j) && first_of(g, t->mem, &first) == g->nodes[i] && first == j)
				g->nodes[i]->acc[j] = !fresh;
		}
}
