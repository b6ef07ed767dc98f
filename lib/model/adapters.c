/* adapters.c: LoRA adapters on the device: several applied with weights, or one that trains. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "model/model.h"
#include "quant/quant.h"

static int new_adapters(struct pm_adapters **out, const struct pm_model *m, size_t room, struct pm_err *e)
{
	struct pm_adapters *a = pm_alloc(1, sizeof *a, e);

	if (!a)
		return -1;
	a->dev = m->dev;
	a->weight = pm_alloc(room, sizeof *a->weight, e);
	*out = a;
	return a->weight ? 0 : -1;
}

static struct pm_adapter_weight *find(const struct pm_adapters *a, const struct pm_tensor_spec *target, bool saved)
{
	size_t i;

	for (i = 0; i < a->nweights; i++)
		if (a->weight[i].target == target && a->weight[i].saved == saved)
			return &a->weight[i];
	return NULL;
}

static int upload(struct pm_mem **out, struct pm_dev *dev, const float *f, int64_t n, struct pm_err *e)
{
	if (pm_mem_new(out, dev, (size_t)n * sizeof *f, e) < 0)
		return -1;
	return pm_mem_write(*out, 0, f, (size_t)n * sizeof *f, e);
}

/* A module that is saved whole replaces the base's tensor, so two adapters cannot both have it, and it cannot be weighted. */
static int add_saved(struct pm_adapters *a, const struct pm_peft *p, size_t m, double weight, struct pm_err *e)
{
	const struct pm_lora_module *mod = &p->module[m];
	struct pm_adapter_weight *w;
	int64_t n = mod->in * mod->out;
	float *f;
	int r;

	if (weight != 1 || find(a, mod->target, true))
		return pm_fail(e, PM_USAGE, "'%s' is saved whole: it cannot be weighted or come from two adapters", mod->name_a);
	f = pm_alloc((size_t)n, sizeof *f, e);
	if (!f)
		return -1;
	w = &a->weight[a->nweights++];
	*w = (struct pm_adapter_weight){.target = mod->target, .saved = true};
	r = pm_lora_values(p, m, 0, f, e);
	if (r == 0)
		r = upload(&w->a, a->dev, f, n, e);
	free(f);
	return r;
}

/* The adapters of one target, side by side along the rank: A's stacked, B's beside each other, each times its scale and weight. */
static int add_lora(struct pm_adapters *a, struct pm_peft *const *peft, const double *weights, size_t n,
	const struct pm_lora_module *first, struct pm_err *e)
{
	struct pm_adapter_weight *w = &a->weight[a->nweights];
	int64_t in = first->in, out = first->out, many = first->experts ? first->experts : 1, r = 0, at = 0, x, o, k;
	bool alone = n == 1 && first->scale * weights[0] != 0;          /* a product times 0 is what an operation takes for unset */
	size_t i, j;
	float *fa, *fb, *part;
	int status = -1;

	for (i = 0; i < n; i++)
		for (j = 0; j < peft[i]->nmodules; j++)
			if (peft[i]->module[j].target == first->target && peft[i]->module[j].kind == PM_ADAPT_LORA)
				r += peft[i]->module[j].r;
	fa = pm_alloc((size_t)(many * r * in), sizeof *fa, e);
	fb = fa ? pm_alloc((size_t)(many * r * out), sizeof *fb, e) : NULL;
	part = fb ? pm_alloc((size_t)(many * r * (in > out ? in : out)), sizeof *part, e) : NULL;
	if (!part)
		goto done;
	for (i = 0; i < n; i++) {
		for (j = 0; j < peft[i]->nmodules; j++) {
			const struct pm_lora_module *mod = &peft[i]->module[j];
			float s = (float)(mod->scale * weights[i]);

			if (mod->target != first->target || mod->kind != PM_ADAPT_LORA)
				continue;
			if (pm_lora_values(peft[i], j, 0, part, e) < 0)
				goto done;
			for (x = 0; x < many; x++)
				memcpy(fa + (x * r + at) * in, part + x * mod->r * in, (size_t)(mod->r * in) * sizeof *fa);
			if (pm_lora_values(peft[i], j, 1, part, e) < 0)
				goto done;
			for (o = 0; o < many * out; o++)
				for (k = 0; k < mod->r; k++)
					fb[o * r + at + k] = alone ? part[o * mod->r + k] : s * part[o * mod->r + k];
			at += mod->r;
		}
	}
	a->nweights++;
	*w = (struct pm_adapter_weight){.target = first->target, .r = r, .in = in, .out = out, .experts = first->experts,
		.s = alone ? (float)(first->scale * weights[0]) : 1};
	if (upload(&w->a, a->dev, fa, many * r * in, e) == 0 && upload(&w->b, a->dev, fb, many * out * r, e) == 0)
		status = 0;
done:
	free(fa);
	free(fb);
	free(part);
	return status;
}

int pm_adapters_open(struct pm_adapters **out, const struct pm_model *m, size_t n, const char *const *dirs, const double *weights, struct pm_err *e)
{
	struct pm_peft **peft = pm_alloc(n, sizeof *peft, e);
	struct pm_adapters *a = NULL;
	size_t i, j, room = 0;
	int r = peft ? 0 : -1;

	*out = NULL;
	for (i = 0; r == 0 && i < n; i++) {
		r = pm_peft_open(&peft[i], dirs[i], m->spec, e);
		room += r == 0 ? peft[i]->nmodules : 0;
	}
	if (r == 0)
		r = new_adapters(&a, m, room, e);
	for (i = 0; r == 0 && i < n; i++) {
		for (j = 0; r == 0 && j < peft[i]->nmodules; j++) {
			const struct pm_lora_module *mod = &peft[i]->module[j];

			if (mod->kind == PM_ADAPT_SAVE)
				r = add_saved(a, peft[i], j, weights[i], e);
			else if (!find(a, mod->target, false))
				r = add_lora(a, peft, weights, n, mod, e);
		}
		if (r < 0)
			pm_ctx(e, "%s", dirs[i]);
	}
	for (i = 0; peft && i < n; i++)
		pm_peft_free(peft[i]);
	free(peft);
	if (r < 0)
		pm_adapters_free(a);
	else
		*out = a;
	return r;
}

/* Fills a module's values: from the adapter's file, or drawn as PEFT draws them (A kaiming uniform with a = sqrt 5, which is
 * U(−1/sqrt(in), 1/sqrt(in)); an embedding's A is 0 and its B normal; B is 0). A saved module starts as the base's tensor. */
static int init_module(struct pm_adapter_weight *w, const struct pm_peft *p, const struct pm_model *m, uint64_t seed, size_t index,
	float *a, float *b, struct pm_err *e)
{
	const struct pm_lora_module *mod = &p->module[index];
	int64_t na = pm_lora_count(mod, 0), nb = pm_lora_count(mod, 1), k;
	bool embed = !strcmp(w->target->use, "embed");
	float bound = 1 / sqrtf((float)w->in);
	const struct pm_view *v;

	if (mod->a)
		return pm_lora_values(p, index, 0, a, e) < 0 || (!w->saved && pm_lora_values(p, index, 1, b, e) < 0) ? -1 : 0;
	if (w->saved) {
		v = m->store ? pm_spec_view(m->spec, w->target, m->store) : NULL;
		if (!v)
			return pm_fail(e, PM_DATA, "'%s': the model has no such tensor to save", mod->name_a);
		pm_quant_to_f32(a, v->data, v->type, (size_t)(w->in * w->out));
		return 0;
	}
	for (k = 0; k < na; k++)
		a[k] = embed ? 0 : bound * (2 * pm_rng_uniform(seed, (uint32_t)(2 * index), (uint64_t)k) - 1);
	for (k = 0; k < nb; k++)
		b[k] = embed ? pm_rng_normal(seed, (uint32_t)(2 * index + 1), (uint64_t)k) : 0;
	return 0;
}

static int train_module(struct pm_adapters *a, const struct pm_model *m, size_t index, uint64_t seed, struct pm_err *e)
{
	const struct pm_lora_module *mod = &a->peft->module[index];
	struct pm_adapter_weight *w = &a->weight[a->nweights++];
	int64_t na, nb;
	float *fa, *fb;
	int r = -1;

	*w = (struct pm_adapter_weight){.target = mod->target, .r = mod->r, .in = mod->in, .out = mod->out, .s = (float)mod->scale,
		.saved = mod->kind == PM_ADAPT_SAVE, .module = index, .experts = mod->experts, .shared = mod->fused && mod->shares != index};
	na = pm_lora_count(mod, 0);
	nb = pm_lora_count(mod, 1);
	fa = pm_alloc((size_t)na, sizeof *fa, e);
	fb = fa ? pm_alloc((size_t)nb, sizeof *fb, e) : NULL;
	if (fb && init_module(w, a->peft, m, seed, index, fa, fb, e) == 0)
		r = w->shared ? 0 : upload(&w->a, a->dev, fa, na, e);
	if (w->shared)
		w->a = a->weight[mod->shares].a;
	if (r == 0 && nb)
		r = upload(&w->b, a->dev, fb, nb, e);
	free(fa);
	free(fb);
	return r;
}

int pm_adapters_train(struct pm_adapters **out, const struct pm_model *m, const char *dir, const struct pm_lora_config *c, uint64_t seed, struct pm_err *e)
{
	struct pm_peft *peft = NULL;
	struct pm_adapters *a = NULL;
	size_t i;
	int r;

	*out = NULL;
	r = dir ? pm_peft_open(&peft, dir, m->spec, e) : pm_peft_match(&peft, c, m->spec, e);
	if (r < 0)
		return -1;
	r = new_adapters(&a, m, peft->nmodules, e);
	if (r == 0) {
		a->peft = peft;
		a->trains = true;
		a->dropout = peft->config.dropout;
	} else {
		pm_peft_free(peft);
	}
	for (i = 0; r == 0 && i < peft->nmodules; i++)
		r = train_module(a, m, i, seed, e);
	if (r < 0)
		pm_adapters_free(a);
	else
		*out = a;
	return r;
}

static int get_values(void *arg, size_t module, int which, float *out, struct pm_err *e)
{
	const struct pm_adapters *a = arg;
	struct pm_mem *mem = which ? a->weight[module].b : a->weight[module].a;

	return pm_mem_read(mem, 0, out, pm_mem_size(mem), e);
}

int pm_adapters_save(const struct pm_adapters *a, const char *dir, const char *base, const json_t *provenance, struct pm_err *e)
{
	return pm_peft_write(a->peft, dir, base, provenance, get_values, (void *)(size_t)a, e);
}

int pm_adapters_save_gguf(const struct pm_adapters *a, const struct pm_spec *s, const char *path, const char *name, struct pm_err *e)
{
	return pm_peft_write_gguf(a->peft, s, path, name, get_values, (void *)(size_t)a, e);
}

static int reload(struct pm_adapters *a, const struct pm_peft *p, struct pm_err *e)
{
	size_t i;
	int which, r = p->nmodules == a->peft->nmodules ? 0 : pm_fail(e, PM_DATA, "%zu modules were wanted, %zu are there", a->peft->nmodules, p->nmodules);

	for (i = 0; r == 0 && i < a->nweights; i++) {
		const struct pm_adapter_weight *w = &a->weight[i];
		const struct pm_lora_module *mod = &p->module[w->module];

		if (mod->target != w->target || mod->r != w->r || mod->kind != a->peft->module[w->module].kind)
			return pm_fail(e, PM_DATA, "'%s' was wanted, with rank %lld", a->peft->module[w->module].name_a, (long long)w->r);
		for (which = w->shared; r == 0 && which < (w->saved ? 1 : 2); which++) {
			struct pm_mem *mem = which ? w->b : w->a;
			float *f = pm_alloc(1, pm_mem_size(mem), e);

			r = f ? pm_lora_values(p, w->module, which, f, e) : -1;
			if (r == 0)
				r = pm_mem_write(mem, 0, f, pm_mem_size(mem), e);
			free(f);
		}
	}
	return r;
}

int pm_adapters_reload(struct pm_adapters *a, const struct pm_spec *s, const char *dir, struct pm_err *e)
{
	struct pm_peft *p;
	int r = pm_peft_open(&p, dir, s, e);

	if (r < 0)
		return -1;
	r = reload(a, p, e);
	pm_peft_free(p);
	return r < 0 ? pm_ctx(e, "%s", dir) : 0;
}

void pm_adapters_free(struct pm_adapters *a)
{
	size_t i;

	if (!a)
		return;
	for (i = 0; i < a->nweights; i++) {
		if (!a->weight[i].shared)
			pm_mem_free(a->weight[i].a);
		pm_mem_free(a->weight[i].b);
	}
	pm_peft_free(a->peft);
	free(a->weight);
	free(a);
}
