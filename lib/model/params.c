/* params.c: the list of what trains, with its gradients and moments. */
#include <stdlib.h>
#include <string.h>

#include "model/model.h"

int64_t pm_param_parts(const struct pm_param *p)
{
	return p->apart ? p->apart : 1;
}

void pm_param_part(struct pm_param_part *out, const struct pm_param *p, int64_t i)
{
	const int64_t n = pm_param_parts(p);

	pm_spec_name(out->name, p->name, p->apart ? i : -1);
	out->nd = p->apart ? p->nd - 1 : p->nd;
	out->dim = p->apart ? p->dim + 1 : p->dim;
	out->count = p->count / n;
	out->at = i * out->count;
}

static int add(struct pm_params *l, struct pm_dev *d, const char *name, int nd, const int64_t *dim, struct pm_mem *p, struct pm_mem **grad,
	bool moments, struct pm_err *e)
{
	struct pm_param *q = &l->param[l->n++];
	size_t bytes;
	int i;

	q->name = name;
	q->nd = nd;
	q->count = 1;
	for (i = 0; i < nd; i++) {
		q->dim[i] = (uint64_t)dim[i];
		q->count *= dim[i];
	}
	q->p = p;
	bytes = (size_t)q->count * sizeof (float);
	if (pm_mem_new(&q->grad, d, bytes, e) < 0)
		return -1;
	*grad = q->grad;
	if (!moments)
		return 0;
	return pm_mem_new(&q->m, d, bytes, e) < 0 || pm_mem_new(&q->v, d, bytes, e) < 0 ? -1 : 0;
}

int pm_params_zero(struct pm_params *l, bool moments, struct pm_err *e)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct pm_param *p = &l->param[i];
		size_t bytes = (size_t)p->count * sizeof (float);

		if (!p->fresh && pm_mem_zero(p->grad, 0, bytes, e) < 0)
			return -1;
		if (p->second && !p->by_rows && !p->second_fresh && pm_mem_zero(p->second, 0, bytes, e) < 0)
			return -1;
		if (moments && (pm_mem_zero(p->m, 0, bytes, e) < 0 || pm_mem_zero(p->v, 0, bytes, e) < 0))
			return -1;
	}
	return 0;
}

void pm_params_fresh(struct pm_params *l, const struct pm_graph *g)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		l->param[i].fresh = pm_grad_is_fresh(g, l->param[i].grad);
		l->param[i].second_fresh = l->param[i].second && !l->param[i].by_rows && pm_grad_is_fresh(g, l->param[i].second);
	}
}

uint64_t pm_params_bytes(const struct pm_params *l)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < l->n; i++)
		sum += (uint64_t)l->param[i].count * sizeof (float) * ((l->param[i].m ? 3 : 1) + (l->param[i].second ? 1 : 0));
	return sum;
}

int pm_params_join(struct pm_params *l, struct pm_dev *d, const int32_t *ids, int64_t n, struct pm_err *e)
{
	size_t i;

	for (i = 0; i < l->n; i++) {
		const struct pm_param *p = &l->param[i];
		int r = 0;

		if (p->by_rows)
			r = pm_move_rows(d, p->grad, p->second, (int64_t)p->dim[0], (int64_t)p->dim[1], ids, n, e);
		else if (p->second)
			r = pm_add_into(d, p->grad, p->second, p->count, e);
		if (r < 0)
			return -1;
	}
	return 0;
}

/* A second gradient, of what is used in two places: a tied embedding, an A that gate and up share. */
static int add_second(struct pm_param *q, struct pm_dev *d, struct pm_mem **grad, bool by_rows, struct pm_err *e)
{
	const size_t bytes = (size_t)q->count * sizeof (float);

	q->by_rows = by_rows;
	if ((by_rows ? pm_mem_zeros : pm_mem_new)(&q->second, d, bytes, e) < 0)
		return -1;
	*grad = q->second;
	return 0;
}

/* A or B of a module: a matrix; of a stack that lies apart (experts, rows, columns); of one that does not, all rows. */
static int add_matrix(struct pm_params *l, struct pm_dev *d, const struct pm_lora_module *m, int which, struct pm_mem *p, struct pm_mem **grad, bool moments,
	struct pm_err *e)
{
	const int64_t dim[3] = {m->experts, which ? m->out : m->r, which ? m->r : m->in};
	const bool apart = m->experts && !m->fused;

	if (m->fused)
		return add(l, d, which ? m->own_b : m->name_a, 2, (int64_t[]){dim[0] * dim[1], dim[2]}, p, grad, moments, e);
	l->param[l->n].apart = apart ? m->experts : 0;
	return add(l, d, which ? m->name_b : m->name_a, apart ? 3 : 2, apart ? dim : dim + 1, p, grad, moments, e);
}

static int add_adapters(struct pm_params *l, struct pm_adapters *a, bool moments, struct pm_err *e)
{
	size_t i;

	for (i = 0; i < a->nweights; i++) {
		struct pm_adapter_weight *w = &a->weight[i];
		const struct pm_lora_module *mod = &a->peft->module[w->module];
		size_t k;
		int r;

		for (k = 0; w->shared && l->param[k].p != w->a; k++)
			;
		if (w->saved)
			r = add(l, a->dev, mod->name_a, w->target->nd, w->target->dim, w->a, &w->grad_a, moments, e);
		else if (w->shared)
			r = add_second(&l->param[k], a->dev, &w->grad_a, false, e);
		else
			r = add_matrix(l, a->dev, mod, 0, w->a, &w->grad_a, moments, e);
		if (r == 0 && !w->saved)
			r = add_matrix(l, a->dev, mod, 1, w->b, &w->grad_b, moments, e);
		if (r < 0)
			return -1;
	}
	return 0;
}

int pm_params_new(struct pm_params **out, struct pm_model *m, struct pm_adapters *a, bool moments, struct pm_err *e)
{
	struct pm_params *l = pm_alloc(1, sizeof *l, e);
	size_t i;
	int r = 0;

	*out = NULL;
	if (!l)
		return -1;
	l->param = pm_alloc(a ? 2 * a->nweights : m->nweights, sizeof *l->param, e);
	if (!l->param) {
		free(l);
		return -1;
	}
	if (a)
		r = add_adapters(l, a, moments, e);
	for (i = 0; r == 0 && !a && i < m->nweights; i++) {
		struct pm_weight *w = &m->weight[i];

		r = add(l, m->dev, w->name, w->spec->nd, w->spec->dim, w->mem, &w->grad, moments, e);
		l->param[l->n - 1].apart = w->spec->apart ? w->spec->experts : 0;
		if (r == 0 && m->spec->tied && !strcmp(w->spec->role, "text.embed"))
			r = add_second(&l->param[l->n - 1], m->dev, &w->grad_rows, true, e);
	}
	if (r < 0)
		pm_params_free(l);
	else
		*out = l;
	return r;
}

void pm_params_free(struct pm_params *l)
{
	size_t i;

	if (!l)
		return;
	for (i = 0; i < l->n; i++) {
		pm_mem_free(l->param[i].grad);
		pm_mem_free(l->param[i].second);
		pm_mem_free(l->param[i].m);
		pm_mem_free(l->param[i].v);
	}
	free(l->param);
	free(l);
}
