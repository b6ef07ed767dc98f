/* weights.c: the tensors of a model on the device: mapped files, float32 copies that train, or drawn anew. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/rng.h"
#include "base/str.h"
#include "model/model.h"
#include "quant/published.h"
#include "quant/quant.h"

#define AT_ONCE ((size_t)1 << 20)       /* values that are converted at a time, a multiple of every block */

static int new_model(struct pm_model **out, const char *dir, struct pm_dev *dev, struct pm_err *e)
{
	struct pm_model *m = pm_alloc(1, sizeof *m, e);

	if (!m)
		return -1;
	m->dev = dev;
	m->dir = pm_strdup(dir, e);
	*out = m;
	return m->dir ? 0 : -1;
}

static bool trains(enum pm_weights_use use)
{
	return use == PM_WEIGHTS_TRAIN || use == PM_WEIGHTS_PLAN;
}

static void shape_of(struct pm_weight *w, const struct pm_tensor_spec *t)
{
	int i;

	w->spec = t;
	w->name = t->file;
	w->rows = 1;
	w->cols = t->dim[t->nd - 1];
	for (i = 0; i < t->nd - 1; i++)
		w->rows *= t->dim[i];
}

/* n values into a weight's memory from value `at` on. */
static int copy_values(struct pm_weight *w, size_t at, const struct pm_view *v, size_t n, struct pm_err *e)
{
	const size_t block = (size_t)pm_dtype(v->type)->block, bytes = pm_dtype_bytes(w->type, 1), step = (n < AT_ONCE ? n : AT_ONCE) / block * block;
	float *f = pm_alloc(step, sizeof *f, e);
	void *raw = f ? pm_alloc(step, bytes, e) : NULL;
	size_t i, k;
	int r = raw ? 0 : -1;

	for (i = 0; r == 0 && i < n; i += k) {
		k = n - i < step ? n - i : step;
		pm_quant_to_f32(f, v->data + pm_dtype_bytes(v->type, i), v->type, k);
		pm_from_f32(raw, w->type, f, k);
		r = pm_mem_write(w->mem, (at + i) * bytes, raw, k * bytes, e);
	}
	free(f);
	free(raw);
	return r;
}

/* A copy of its own, of another type; of a stack, its n parts one after the other. */
static int copy_weight(struct pm_weight *w, const struct pm_view *const *v, size_t n, enum pm_dtype type, struct pm_dev *dev, bool plan, struct pm_err *e)
{
	const size_t count = (size_t)(w->rows * w->cols) / n;
	size_t i;
	int r;

	w->type = type;
	r = pm_mem_new(&w->mem, dev, n * count * pm_dtype_bytes(type, 1), e);
	for (i = 0; r == 0 && !plan && i < n; i++)
		r = copy_values(w, i * count, v[i], count, e);
	return r;
}

/* As they lie in the file. */
static int map_weight(struct pm_weight *w, const struct pm_view *const *v, size_t n, struct pm_dev *dev, struct pm_err *e)
{
	size_t i;
	int r = 0;

	if (!w->spec->apart)
		return pm_mem_map(&w->mem, dev, v[0]->data, v[0]->bytes, e);
	w->part = pm_alloc(n, sizeof *w->part, e);
	for (i = 0; w->part && r == 0 && i < n; i++)
		r = pm_mem_map(&w->part[i], dev, v[i]->data, v[i]->bytes, e);
	return w->part ? r : -1;
}

/* The type that a tensor is held in where nothing trains it. Sums and vectors want plain floats; of values in blocks that no kernel reads
 * f16 keeps more than bf16 does. */
static enum pm_dtype held_as(const struct pm_model *m, const struct pm_tensor_spec *t, enum pm_dtype stored)
{
	const bool matrix = !strcmp(t->use, "linear") || !strcmp(t->use, "embed");

	if (stored == PM_F32 || stored == PM_F16 || stored == PM_BF16 || (matrix && pm_op_takes(stored)))
		return stored;
	return matrix && !m->exact && !pm_dtype_plain(stored) ? PM_F16 : PM_F32;
}

/* What trains as a whole takes four float32 values a parameter: itself, its gradient and two moments. */
static int must_fit(const struct pm_model *m, struct pm_err *e)
{
	const struct pm_dev_info *info = pm_dev_info(m->dev);
	double bytes = 0, n;
	size_t i;
	int d;

	for (i = 0; i < m->spec->ntensors; i++) {
		const struct pm_tensor_spec *t = &m->spec->tensor[i];

		if (t->optional || (m->spec->tied && !strcmp(t->role, "text.head")))
			continue;
		for (d = 0, n = 16; d < t->nd; d++)
			n *= (double)t->dim[d];
		bytes += n;
	}
	if (bytes <= (double)info->memory)
		return 0;
	return pm_fail(e, PM_NODEVICE, "training every weight needs %.1f GB for weights, gradients and moments alone, the device has %.1f: "
	    "a smaller model or --lora would help", 1e-9 * bytes, 1e-9 * (double)info->memory);
}

static int place_views(struct pm_model *m, const struct pm_tensor_spec *t, const struct pm_view *const *v, size_t n, enum pm_weights_use use, struct pm_err *e)
{
	struct pm_weight *w = &m->weight[m->nweights++];
	bool same = true;
	size_t i;

	shape_of(w, t);
	w->name = t->apart ? t->file : v[0]->name;
	if (trains(use))
		return copy_weight(w, v, n, PM_F32, m->dev, use == PM_WEIGHTS_PLAN, e);
	w->type = held_as(m, t, v[0]->type);
	for (i = 0; i < n; i++)
		same = same && v[i]->type == w->type;
	if (same)
		return map_weight(w, v, n, m->dev, e);
	if (!pm_dtype_plain(w->type))           /* experts of different types */
		w->type = m->exact ? PM_F32 : PM_F16;
	return copy_weight(w, v, n, w->type, m->dev, false, e);
}

/* A tensor, if it is there. */
static int place_weight(struct pm_model *m, const struct pm_tensor_spec *t, enum pm_weights_use use, struct pm_err *e)
{
	const size_t n = t->apart ? (size_t)t->experts : 1;
	const struct pm_view **v = pm_alloc(n, sizeof *v, e);
	size_t i;
	int r = v ? 0 : -1;

	for (i = 0; v && i < n; i++)
		v[i] = pm_spec_part(m->spec, t, t->apart ? (int64_t)i : -1, m->store);
	if (v && v[0] && (r = place_views(m, t, v, n, use, e)) < 0)
		pm_ctx(e, "tensor '%s'", v[0]->name);
	free(v);
	return r;
}

/* Says what became of tensors that are not used as they are stored, in one line. */
static int notice_copies(struct pm_model *m, struct pm_err *e)
{
	const struct pm_view *v;
	struct pm_str s = {0};
	size_t i, n = 0;
	double bytes = 0;
	int t, r = 0;
	bool seen[PM_DTYPES] = {false};

	for (i = 0; i < m->nweights; i++) {
		v = pm_spec_part(m->spec, m->weight[i].spec, 0, m->store);
		if (!v || pm_dtype_plain(v->type) || v->type == m->weight[i].type)
			continue;
		seen[v->type] = true;
		bytes += (double)pm_mem_size(m->weight[i].mem);
		n++;
	}
	for (t = 0; r == 0 && t < PM_DTYPES; t++)
		if (seen[t])
			r = pm_str_printf(&s, e, "%s%s", s.len ? ", " : "", pm_dtype((enum pm_dtype)t)->name);
	if (r == 0 && n)
		r = pm_str_printf(&s, e, ": blocks that no kernel reads; %zu tensor%s took %.1f MB as floats", n, n > 1 ? "s" : "", 1e-6 * bytes);
	if (r == 0 && pm_store_widened(m->store))
		r = pm_str_printf(&s, e, "%s%s", s.len ? "; " : "", pm_store_gguf(m->store) ? "weights with a factor of their own are held as floats" :
			"weights quantised in safetensors files are held as floats");
	m->notice = r == 0 ? s.data : NULL;
	if (r < 0)
		pm_str_free(&s);
	return r;
}

/* auto: float32 for a model that is stored in it, else what is `faster` on the device. */
static bool wants_rounding(const struct pm_model *m, enum pm_precision prec, bool faster)
{
	size_t i, count;

	if (prec == PM_PREC_F32 || pm_dev_reference(m->dev))
		return false;
	if (prec == PM_PREC_BF16)
		return true;
	if (!faster)
		return false;
	count = m->store ? pm_store_count(m->store) : 0;
	for (i = 0; i < count; i++)
		if (pm_store_at(m->store, i)->type != PM_F32 && pm_store_at(m->store, i)->nd >= 2)
			return true;
	return false;
}

int pm_model_open(struct pm_model **out, const char *dir, const char *share, const char *family, struct pm_dev *dev,
	enum pm_precision prec, enum pm_weights_use use, struct pm_err *e)
{
	const struct pm_dev_info *info = pm_dev_info(dev);
	struct pm_model *m = NULL;
	size_t i;

	*out = NULL;
	if (new_model(&m, dir, dev, e) < 0 ||
		pm_published_open(&m->store, dir, prec == PM_PREC_F32 || pm_dev_reference(dev) ? PM_F32 : PM_F16, true, e) < 0)
		goto fail;
	if (pm_spec_load_kept(&m->spec, dir, share, family, m->store, pm_dev_cache(dev), e) < 0)
		goto fail;
	if (pm_spec_check(m->spec, m->store, e) < 0 || (trains(use) && must_fit(m, e) < 0))
		goto named;
	m->weight = pm_alloc(m->spec->ntensors, sizeof *m->weight, e);
	if (!m->weight)
		goto fail;
	m->bf16 = wants_rounding(m, prec, info->bf16 || info->amx || info->gpu);
	m->rounded = m->bf16 || wants_rounding(m, prec, pm_op_rounds(dev));
	m->exact = prec == PM_PREC_F32 || pm_dev_reference(m->dev);
	for (i = 0; i < m->spec->ntensors; i++) {
		const struct pm_tensor_spec *t = &m->spec->tensor[i];

		/* A tied model may hold a copy of the embedding as its head: one parameter, the embedding's. */
		if (m->spec->tied && !strcmp(t->role, "text.head"))
			continue;
		if (place_weight(m, t, use, e) < 0)
			goto named;
	}
	if (!trains(use) && notice_copies(m, e) < 0)
		goto named;
	*out = m;
	return 0;
named:
	pm_ctx(e, "%s", dir);
fail:
	pm_model_close(m);
	return -1;
}

/* transformers' _init_weights: matrices normal with initializer_range, norms 1 (0 where 1 + w is used), biases 0. */
static int draw_weight(struct pm_model *m, size_t i, double range, uint64_t seed, bool plan, struct pm_err *e)
{
	const struct pm_tensor_spec *t = &m->spec->tensor[i];
	struct pm_weight *w = &m->weight[m->nweights++];
	bool matrix = !strcmp(t->use, "linear") || !strcmp(t->use, "embed") || !strcmp(t->use, "router") || !strcmp(t->use, "other");
	float fill = !strcmp(t->use, "norm") && m->spec->norm != PM_NORM_RMS1 ? 1.0f : 0.0f;
	size_t n, k;
	float *f;
	int r;

	shape_of(w, t);
	w->type = PM_F32;
	n = (size_t)(w->rows * w->cols);
	r = pm_mem_new(&w->mem, m->dev, n * sizeof *f, e);
	if (r < 0 || plan)
		return r;
	f = pm_alloc(n, sizeof *f, e);
	if (!f)
		return -1;
	for (k = 0; k < n; k++)
		f[k] = matrix ? (float)range * pm_rng_normal(seed, (uint32_t)i, k) : fill;
	r = pm_mem_write(w->mem, 0, f, n * sizeof *f, e);
	free(f);
	return r;
}

int pm_model_init(struct pm_model **out, const char *config, const char *share, const char *family, struct pm_dev *dev,
	enum pm_precision prec, enum pm_weights_use use, uint64_t seed, struct pm_err *e)
{
	struct pm_model *m = NULL;
	double range = 0.02;
	size_t i;

	*out = NULL;
	if (new_model(&m, config, dev, e) < 0 || pm_spec_load_kept(&m->spec, config, share, family, NULL, pm_dev_cache(dev), e) < 0)
		goto fail;
	if (pm_json_real(&range, m->spec->config, "initializer_range", e) < 0) {
		pm_ctx(e, "%s", config);
		goto fail;
	}
	if (trains(use) && must_fit(m, e) < 0) {
		pm_ctx(e, "%s", config);
		goto fail;
	}
	m->bf16 = m->rounded = prec == PM_PREC_BF16 && !pm_dev_reference(dev);
	m->weight = pm_alloc(m->spec->ntensors, sizeof *m->weight, e);
	if (!m->weight)
		goto fail;
	for (i = 0; i < m->spec->ntensors; i++)
		if (!m->spec->tensor[i].optional && draw_weight(m, i, range, seed, use == PM_WEIGHTS_PLAN, e) < 0)
			goto fail;
	*out = m;
	return 0;
fail:
	pm_model_close(m);
	return -1;
}

struct pm_weight *pm_model_weight(const struct pm_model *m, const char *role)
{
	size_t i;

	for (i = 0; i < m->nweights; i++)
		if (!strcmp(m->weight[i].spec->role, role))
			return &m->weight[i];
	return NULL;
}

void pm_model_close(struct pm_model *m)
{
	size_t i;
	int64_t k;

	if (!m)
		return;
	for (i = 0; i < m->nweights; i++) {
		pm_mem_free(m->weight[i].mem);
		pm_mem_free(m->weight[i].woven);
		for (k = 0; m->weight[i].part && k < m->weight[i].spec->experts; k++)
			pm_mem_free(m->weight[i].part[k]);
		free(m->weight[i].part);
	}
	while (m->nchunks)
		pm_mem_free(m->chunk[--m->nchunks]);
	free(m->chunk);
	free(m->weight);
	pm_spec_free(m->spec);
	pm_store_close(m->store);
	free(m->dir);
	free(m->notice);
	free(m);
}
