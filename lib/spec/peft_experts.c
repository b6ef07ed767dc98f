/* peft_experts.c: adapters of stacks of experts between the file's ways and the model's. */
#include <stdlib.h>

#include "quant/quant.h"
#include "spec/peft_private.h"

int64_t pm_lora_count(const struct pm_lora_module *m, int which)
{
	if (m->kind == PM_ADAPT_SAVE)
		return which ? 0 : m->in * m->out;
	return m->r * (which ? m->out : m->in) * (m->experts ? m->experts : 1);
}

int64_t peft_stack_rows(const struct pm_lora_module *m)
{
	return m->part ? 2 * m->out : m->out;
}

/* Where the parameter's B has row o of this module. */
static int64_t row_of(const struct pm_lora_module *m, int64_t o)
{
	if (!m->part)
		return o;
	return m->target->turns ? 2 * o + m->part - 1 : (m->part - 1) * m->out + o;
}

/* B of this module, (experts·out, r), out of that of the parameter, (rows, r·experts) with the expert fastest; or into it. */
static void exchange(const struct pm_lora_module *m, float *own, float *all, bool into)
{
	const int64_t E = m->experts, r = m->r;
	int64_t e, o, j;

	for (e = 0; e < E; e++)
		for (o = 0; o < m->out; o++)
			for (j = 0; j < r; j++) {
				float *a = &own[(e * m->out + o) * r + j], *b = &all[(row_of(m, o) * r + j) * E + e];

				if (into)
					*b = *a;
				else
					*a = *b;
			}
}

int peft_stack_values(const struct pm_peft *p, const struct pm_lora_module *m, int which, float *out, struct pm_err *e)
{
	const struct pm_view *v = which ? m->b : m->a, **parts = which ? m->bs : m->as;
	const size_t n = (size_t)pm_lora_count(m, which), each = n / (size_t)m->experts;
	size_t all = (size_t)(peft_stack_rows(m) * m->r * m->experts);
	float *f;
	int64_t k;

	if (parts) {
		for (k = 0; k < m->experts; k++)
			pm_quant_to_f32(out + (size_t)k * each, parts[k]->data, parts[k]->type, each);
		return 0;
	}
	if (p->gguf || !which) {
		pm_quant_to_f32(out, v->data, v->type, n);
		return 0;
	}
	f = pm_alloc(all, sizeof *f, e);
	if (!f)
		return -1;
	pm_quant_to_f32(f, v->data, v->type, all);
	exchange(m, out, f, false);
	free(f);
	return 0;
}

int peft_stack_fuse(const struct pm_peft *p, size_t i, int (*get)(void *arg, size_t m, int which, float *out, struct pm_err *e), void *arg, float *out,
	struct pm_err *e)
{
	size_t k, most = 0;
	float *own;
	int r = 0;

	for (k = 0; k < p->nmodules; k++)
		if (p->module[k].fused && p->module[k].shares == i)
			most = most > (size_t)pm_lora_count(&p->module[k], 1) ? most : (size_t)pm_lora_count(&p->module[k], 1);
	own = pm_alloc(most, sizeof *own, e);
	for (k = 0; own && r == 0 && k < p->nmodules; k++)
		if (p->module[k].fused && p->module[k].shares == i && (r = get(arg, k, 1, own, e)) == 0)
			exchange(&p->module[k], own, out, true);
	free(own);
	return own ? r : -1;
}
