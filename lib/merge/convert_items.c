/* convert_items.c: which tensors a conversion has, and in which order: the checkpoint's, as the reference converter keeps it. A layer's experts that lie
 * apart become stacks where the last of them lies; what has gate and up in one becomes two; blocks of MXFP4 come before all others. */
#include <stdlib.h>

#include "merge/convert_private.h"

/* A tensor of its own making. */
static int add_made(struct pm_convert *c, const json_t *o, struct pm_err *e)
{
	struct convert_item *it = &c->item[c->n++];

	it->values = json_object_get(o, "values");
	it->view = (struct pm_view){.name = json_string_value(json_object_get(o, "name")), .nd = 1, .dim = {json_array_size(it->values)}};
	if (!it->view.name || !it->view.dim[0])
		return pm_fail(e, PM_DATA, "architecture %s: its output: a tensor without name or values", c->spec->arch);
	return 0;
}

static int add_one(struct pm_convert *c, const struct pm_tensor_spec *t, const struct pm_view *src, int turn, struct pm_err *e)
{
	struct convert_item *it = &c->item[c->n++];
	int64_t dim[4];
	int k;

	pm_gguf_shape(dim, t);
	if (turn)
		dim[1] /= 2;                    /* rows, or biases, of an expert */
	*it = (struct convert_item){.view = {.name = turn == 2 ? t->gguf_up : t->gguf, .nd = t->nd}, .t = t, .src = src, .turn = turn};
	for (k = 0; k < t->nd; k++)
		it->view.dim[k] = (uint64_t)dim[k];
	return it->view.name ? 0 : pm_fail(e, PM_DATA, "tensor '%.200s' has no name in GGUF files", t->file);
}

static int add(struct pm_convert *c, const struct pm_tensor_spec *t, const struct pm_view *src, struct pm_err *e)
{
	if (!t->gguf_up)
		return add_one(c, t, src, 0, e);
	return add_one(c, t, src, 1, e) < 0 ? -1 : add_one(c, t, src, 2, e);
}

/* Whether two stacks are of one layer: the same role up to its "experts". */
static bool same_layer(const struct pm_tensor_spec *a, const struct pm_tensor_spec *b)
{
	const char *end = strstr(a->role, ".experts.");

	return end && !strncmp(a->role, b->role, (size_t)(end - a->role) + 9);
}

static int by_file(const void *a, const void *b)
{
	return strcmp((*(const struct pm_tensor_spec *const *)a)->file, (*(const struct pm_tensor_spec *const *)b)->file);
}

/* The stacks of t's layer, by their names in the directory. */
static int add_layer(struct pm_convert *c, const struct pm_tensor_spec *t, struct pm_err *e)
{
	const struct pm_tensor_spec *stack[16] = {NULL};
	size_t i, n = 0;
	int r = 0;

	for (i = 0; i < c->spec->ntensors; i++)
		if (c->spec->tensor[i].apart && same_layer(t, &c->spec->tensor[i]) && n < sizeof stack / sizeof *stack)
			stack[n++] = &c->spec->tensor[i];
	if (n)
		qsort(stack, n, sizeof *stack, by_file);
	for (i = 0; r == 0 && i < n; i++)
		r = add(c, stack[i], NULL, e);
	return r;
}

/* Whether any part of the layer's stacks lies behind number i. */
static bool more_behind(const struct pm_convert *c, const struct pm_owner *owner, size_t i)
{
	size_t k;

	for (k = i + 1; k < pm_store_count(c->store); k++)
		if (owner[k].tensor && owner[k].expert >= 0 && same_layer(owner[i].tensor, owner[k].tensor))
			return true;
	return false;
}

static int add_all(struct pm_convert *c, const struct pm_owner *owner, bool blocks, struct pm_err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < pm_store_count(c->store); i++) {
		const struct pm_view *v = pm_store_at(c->store, i);
		const struct pm_tensor_spec *t = owner[i].tensor;

		if (!t || (v->type == PM_MXFP4) != blocks)
			continue;
		if (owner[i].expert < 0)
			r = add(c, t, v, e);
		else if (!more_behind(c, owner, i))
			r = add_layer(c, t, e);
	}
	return r;
}

int convert_items(struct pm_convert *c, struct pm_err *e)
{
	const json_t *own = json_object_get(c->program, "tensors");
	size_t i, more = json_array_size(own);
	struct pm_owner *owner = NULL;
	int r;

	c->item = pm_alloc(2 * c->spec->ntensors + more, sizeof *c->item, e);
	r = c->item ? pm_spec_owners(&owner, c->spec, c->store, e) : -1;
	for (i = 0; r == 0 && i < more; i++)
		r = add_made(c, json_array_get(own, i), e);
	if (r == 0)
		r = add_all(c, owner, true, e);
	if (r == 0)
		r = add_all(c, owner, false, e);
	free(owner);
	return r;
}
