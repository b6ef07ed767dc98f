#include "quant/file.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "quant/quant.h"
#include "quant/scaled.h"

#define WINDOW (16u << 20)      /* values that are made before they are written, about */

static const struct pm_view *store_at(const void *self, size_t i)
{
	return pm_store_at(self, i);
}

int pm_quant_source_store(struct pm_quant_source *s, const struct pm_store *store, struct pm_err *e)
{
	*s = (struct pm_quant_source){.keys = pm_store_gguf(store), .n = pm_store_count(store), .at = store_at, .self = store};
	return s->keys ? 0 : pm_fail(e, PM_DATA, "no GGUF file");
}

/* ARCH.what as a number, of a list the largest; `absent` where there is no such key. */
static int number(int64_t *out, const struct pm_gguf *g, const char *arch, const char *what, int64_t absent, struct pm_err *e)
{
	const struct pm_gguf_key *k;
	char name[300];
	uint64_t i;
	int64_t v;

	snprintf(name, sizeof name, "%s.%s", arch, what);
	k = pm_gguf_key(g, name);
	*out = k ? 0 : absent;
	for (i = 0; k && i < k->count; i++) {
		if (pm_gguf_int(&v, k, i, e) < 0)
			return -1;
		*out = v > *out ? v : *out;
	}
	return *out >= 0 ? 0 : pm_fail(e, PM_DATA, "key '%s' is not there", name);
}

static int model_of(struct pm_mix_model *m, char arch[256], const struct pm_quant_plan *p, struct pm_err *e)
{
	const struct pm_gguf *g = p->source->keys;
	const struct pm_gguf_key *k = pm_gguf_key(g, "general.architecture");
	const char *s;
	size_t n;

	if (!k)
		return pm_fail(e, PM_DATA, "key 'general.architecture' is not there");
	if (pm_gguf_string(&s, &n, k, e) < 0)
		return -1;
	if (n > 255 || memchr(s, 0, n))
		return pm_fail(e, PM_DATA, "key 'general.architecture' is no name");
	memcpy(arch, s, n);
	arch[n] = 0;
	*m = (struct pm_mix_model){.arch = arch, .importance = p->opts->imatrix != NULL};
	return number(&m->layers, g, arch, "block_count", -1, e) < 0 || number(&m->heads, g, arch, "attention.head_count", 0, e) < 0 ||
		number(&m->kv_heads, g, arch, "attention.head_count_kv", m->heads, e) < 0 || number(&m->experts, g, arch, "expert_count", 0, e) < 0 ? -1 : 0;
}

static int by_place(const void *a, const void *b)
{
	const struct pm_quant_item *x = a, *y = b;

	return pm_mix_compare(x->from->name, y->from->name);
}

static int gather(struct pm_quant_plan *p, struct pm_err *e)
{
	size_t i;
	int d;

	for (i = 0; i < p->source->n; i++) {
		const struct pm_view *v = p->source->at(p->source->self, i);
		struct pm_quant_item *t = &p->item[i];

		*t = (struct pm_quant_item){.from = v, .index = i, .experts = 1, .rows = 1, .cols = v->nd ? (size_t)v->dim[v->nd - 1] : 1};
		for (d = 0; d < v->nd - 1; d++)
			*(d < v->nd - 2 ? &t->experts : &t->rows) *= (size_t)v->dim[d];
		if (pm_dtype(v->type)->gguf < 0)
			return pm_fail(e, PM_DATA, "tensor '%s': type %s is none of GGUF's", v->name, pm_dtype(v->type)->name);
		p->values += (uint64_t)t->experts * t->rows * t->cols;
		p->bytes_from += v->bytes;
	}
	p->n = p->source->n;
	if (!p->n)
		return pm_fail(e, PM_DATA, "no tensors: nothing to quantise");
	qsort(p->item, p->n, sizeof *p->item, by_place);
	return 0;
}

static struct pm_quant_item *named(const struct pm_quant_plan *p, const char *weight, const char *tail)
{
	char name[256];
	size_t i;

	for (i = 0; pm_scale_name(name, weight, tail) && i < p->n; i++)
		if (!strcmp(p->item[i].from->name, name))
			return &p->item[i];
	return NULL;
}

/* Factors that stand beside weights are multiplied into those whose type changes, and are there no longer. */
static int fold_scales(struct pm_quant_plan *p, struct pm_err *e)
{
	bool *gone = pm_alloc(p->n, sizeof *gone, e);
	size_t i, k, n = 0;
	int r = gone ? 0 : -1;

	for (i = 0; r == 0 && i < p->n; i++) {
		struct pm_quant_item *t = &p->item[i], *beside[PM_SCALE_TAILS];

		for (k = 0; k < PM_SCALE_TAILS; k++)
			beside[k] = t->to == t->from->type && p->opts->mix.to ? NULL : named(p, t->from->name, pm_scale_tails[k]);
		if (!beside[0] || !beside[0]->from->data)
			continue;
		t->scale = beside[0]->from;
		r = pm_scale_fits(t->scale, t->from, e);
		for (k = 0; k < PM_SCALE_TAILS; k++)
			if (beside[k])
				gone[beside[k] - p->item] = true;
	}
	for (i = 0; r == 0 && i < p->n; i++) {
		if (gone[i]) {
			p->values -= (uint64_t)p->item[i].experts * p->item[i].rows * p->item[i].cols;
			continue;
		}
		p->item[n++] = p->item[i];
	}
	if (r == 0)
		p->n = n;
	free(gone);
	return r;
}

/* Dimensions, those of 1 on the outside not counted. */
static int dimensions(const struct pm_view *v)
{
	int d = 0;

	while (d < v->nd - 1 && v->dim[d] == 1)
		d++;
	return v->nd - d;
}

static int choose(struct pm_quant_plan *p, struct pm_err *e)
{
	struct pm_mix_tensor *t = pm_alloc(p->n, sizeof *t, e);
	struct pm_mix_options o = p->opts->mix;
	struct pm_mix_model m;
	char arch[256];
	size_t i;
	int r = t ? model_of(&m, arch, p, e) : -1;

	if (!o.to)                                      /* which ones are quantised at all */
		o.to = pm_file_type("Q8_0");
	for (i = 0; r == 0 && i < p->n; i++)
		t[i] = (struct pm_mix_tensor){.name = p->item[i].from->name, .nd = dimensions(p->item[i].from), .cols = p->item[i].cols};
	if (r == 0)
		r = pm_mix_choose(t, p->n, &m, &o, e);
	for (i = 0; r == 0 && i < p->n; i++) {
		struct pm_quant_item *k = &p->item[i];

		k->to = t[i].type == PM_DTYPE_NONE ? k->from->type : t[i].type;
		k->wanted = t[i].type == PM_DTYPE_NONE ? k->to : t[i].wanted;
		k->chosen = t[i].type != PM_DTYPE_NONE;
		k->forced = t[i].forced;
	}
	p->type = o.to;
	free(t);
	return r;
}

/* The importance of an item, and whether it can do without. */
static int importance(struct pm_quant_plan *p, struct pm_quant_item *t, struct pm_err *e)
{
	const struct pm_imatrix *m = p->opts->imatrix;
	bool spared = !strcmp(t->from->name, "token_embd.weight") || !strcmp(t->from->name, "per_layer_token_embd.weight"), needs;
	float *v;
	int r;

	if (t->to == t->from->type || pm_dtype_plain(t->to))
		return 0;
	t->importance = m ? pm_imatrix_find(m, t->from->name) : NULL;
	if (t->importance) {
		v = pm_alloc(t->cols, sizeof *v, e);
		r = v ? pm_imatrix_importance(v, t->importance, t->cols, t->experts, 0, e) : -1;
		free(v);
		if (r < 0 && (!v || !spared))
			return -1;
		if (r < 0)
			t->importance = NULL;
	} else if (m && !spared && strcmp(t->from->name, "output.weight")) {
		p->without++;
	}
	if (!pm_quant_makes(t->to, &needs))
		return pm_fail(e, PM_USAGE, "tensor '%s': type %s cannot be made", t->from->name, pm_dtype(t->to)->name);
	if (!t->importance && (needs || pm_mix_needs_importance(t->from->name, t->to, p->type)))
		return pm_fail(e, PM_USAGE, "tensor '%s' as %s needs importance (--imatrix)%s", t->from->name, pm_dtype(t->to)->name,
			m ? ", and the matrix has none for it" : "");
	return 0;
}

int pm_quant_plan(struct pm_quant_plan *p, const struct pm_quant_source *s, const struct pm_quant_file_opts *o, struct pm_err *e)
{
	size_t i;
	int r;

	*p = (struct pm_quant_plan){.source = s, .opts = o};
	p->item = pm_alloc(s->n, sizeof *p->item, e);
	r = p->item ? gather(p, e) : -1;
	if (r == 0)
		r = choose(p, e);
	if (r == 0)
		r = fold_scales(p, e);
	for (i = 0; r == 0 && i < p->n; i++) {
		const struct pm_quant_item *t = &p->item[i];

		if ((t->to != t->from->type || (t->chosen && !o->mix.to)) && !pm_dtype_plain(t->from->type) && !o->requantise)
			r = pm_fail(e, PM_USAGE, "tensor '%s' is %s already: quantising it again loses more (--allow-requantize does it)", t->from->name,
				pm_dtype(t->from->type)->name);
		else if (o->mix.to)
			r = importance(p, &p->item[i], e);
	}
	if (r == 0 && !o->mix.to)
		r = pm_quant_target(p, e);
	for (i = 0; r == 0 && i < p->n; i++) {
		struct pm_quant_item *t = &p->item[i];

		t->bytes = t->experts * t->rows * pm_dtype_bytes(t->to, t->cols);
		p->bytes += t->bytes;
	}
	if (r < 0)
		pm_quant_plan_free(p);
	return r;
}

void pm_quant_plan_free(struct pm_quant_plan *p)
{
	free(p->item);
	*p = (struct pm_quant_plan){0};
}

void pm_quant_item_rows(float *out, const struct pm_quant_item *t, const float *whole, size_t expert, size_t first, size_t rows)
{
	const float factor = t->scale ? pm_scale_at(t->scale, expert) : 1;
	size_t at = expert * t->rows + first, i;

	if (whole)
		memcpy(out, whole + at * t->cols, rows * t->cols * sizeof *out);
	else
		pm_quant_to_f32(out, t->from->data + at * pm_dtype_bytes(t->from->type, t->cols), t->from->type, rows * t->cols);
	for (i = 0; t->scale && i < rows * t->cols; i++)
		out[i] *= factor;
}

/* The keys that this writes itself, or that only splits have. */
static bool left_out(const char *name, bool imatrix)
{
	static const char *const own[] = {"general.quantization_version", "general.file_type", "split.no", "split.count", "split.tensors.count",
		"quantize.imatrix.file", "quantize.imatrix.dataset", "quantize.imatrix.entries_count", "quantize.imatrix.chunks_count"};
	size_t i, n = imatrix ? 9 : 5;

	for (i = 0; i < n; i++)
		if (!strcmp(name, own[i]))
			return true;
	return false;
}

static int put_keys(struct pm_gguf_writer *w, const struct pm_quant_plan *p, struct pm_err *e)
{
	const struct pm_imatrix *m = p->opts->imatrix;
	const struct pm_gguf *g = p->source->keys;
	size_t i;

	for (i = 0; i < pm_gguf_keys(g); i++)
		if (!left_out(pm_gguf_key_at(g, i)->name, m != NULL) && pm_gguf_put_key(w, pm_gguf_key_at(g, i), e) < 0)
			return -1;
	if (pm_gguf_put_int(w, "general.quantization_version", PM_GGUF_U32, 2, e) < 0 ||
		pm_gguf_put_int(w, "general.file_type", PM_GGUF_U32, p->type->number, e) < 0)
		return -1;
	if (!m)
		return 0;
	if (pm_gguf_put_string(w, "quantize.imatrix.file", p->opts->imatrix_file, strlen(p->opts->imatrix_file), e) < 0)
		return -1;
	if (m->n_datasets && pm_gguf_put_string(w, "quantize.imatrix.dataset", m->datasets[0], strlen(m->datasets[0]), e) < 0)
		return -1;
	return pm_gguf_put_int(w, "quantize.imatrix.entries_count", PM_GGUF_U32, (int64_t)m->n, e) < 0 ||
		(m->chunks && pm_gguf_put_int(w, "quantize.imatrix.chunks_count", PM_GGUF_U32, m->chunks, e) < 0) ? -1 : 0;
}

/* What writing holds on to. */
struct writing {
	const struct pm_quant_plan *p;
	const struct pm_quant_watch *w;
	struct pm_gguf_writer *to;
	uint8_t *out;                   /* a window */
	float *importance;
	uint64_t done;
};

static int told(struct writing *x, uint64_t values, struct pm_err *e)
{
	x->done += values;
	if (x->w && x->w->progress && x->w->progress(x->w->arg, x->done))
		return pm_fail(e, PM_TRYAGAIN, "stopped");
	return 0;
}

/* One expert's rows, a window at a time. */
static int put_matrix(struct writing *x, const struct pm_quant_item *t, const void *rows, enum pm_dtype from, size_t expert, struct pm_quant_error *sum,
	struct pm_err *e)
{
	size_t in = pm_dtype_bytes(from, t->cols), out = pm_dtype_bytes(t->to, t->cols), per = t->cols < WINDOW ? WINDOW / t->cols : 1, i, n;

	if (t->importance && pm_imatrix_importance(x->importance, t->importance, t->cols, t->experts, expert, e) < 0)
		return -1;
	for (i = 0; i < t->rows; i += n) {
		n = t->rows - i < per ? t->rows - i : per;
		if (pm_quant_rows(x->out, t->to, (const uint8_t *)rows + i * in, from, n, t->cols, expert * t->rows + i, t->importance ? x->importance : NULL,
			x->p->opts->threads, x->w && x->w->tensor ? sum : NULL, e) < 0)
			return -1;
		if (pm_gguf_put(x->to, x->out, n * out, e) < 0 || told(x, n * t->cols, e) < 0)
			return -1;
	}
	return 0;
}

static int put_tensor(struct writing *x, const struct pm_quant_item *t, struct pm_err *e)
{
	const struct pm_quant_source *s = x->p->source;
	size_t i, n = t->experts * t->rows * t->cols, window = t->cols < WINDOW ? WINDOW / t->cols : 1;
	enum pm_dtype from = t->from->data ? t->from->type : PM_F32;
	const uint8_t *data = t->from->data;
	struct pm_quant_error sum = {0};
	float *whole = NULL;
	int r = 0;

	if (!data && n) {
		whole = pm_alloc(n, sizeof *whole, e);
		if (whole && s->bytes && t->to == t->from->type && s->bytes(s->self, t->index, whole) == 0)
			from = t->to;
		else if (!whole || s->values(s->self, t->index, whole, e) < 0)
			r = -1;
		data = (const uint8_t *)whole;
	}
	if (t->scale && data && n) {
		whole = pm_alloc(n, sizeof *whole, e);
		r = whole ? 0 : -1;
		for (i = 0; r == 0 && i < t->experts; i++)
			pm_quant_item_rows(whole + i * t->rows * t->cols, t, NULL, i, 0, t->rows);
		data = (const uint8_t *)whole;
		from = PM_F32;
	}
	if (r == 0 && from == t->to) {
		r = pm_gguf_put(x->to, data, t->bytes, e) < 0 ? -1 : told(x, n, e);
	} else if (r == 0) {
		window = window < t->rows ? window : t->rows;
		x->out = pm_alloc(window * pm_dtype_bytes(t->to, t->cols), 1, e);
		x->importance = pm_alloc(t->cols, sizeof *x->importance, e);
		r = x->out && x->importance ? 0 : -1;
		for (i = 0; r == 0 && i < t->experts; i++)
			r = put_matrix(x, t, data + i * t->rows * pm_dtype_bytes(from, t->cols), from, i, &sum, e);
		free(x->out);
		free(x->importance);
	}
	free(whole);
	if (r < 0)
		return pm_ctx(e, "tensor '%s'", t->from->name);
	if (x->w && x->w->tensor)
		x->w->tensor(x->w->arg, t, &sum);
	return 0;
}

int pm_quant_write(const struct pm_quant_plan *p, const char *path, const struct pm_quant_watch *w, struct pm_err *e)
{
	struct writing x = {.p = p, .w = w};
	size_t i;
	int r;

	if (pm_gguf_begin(&x.to, path, pm_gguf_alignment(p->source->keys), e) < 0)
		return -1;
	r = put_keys(x.to, p, e);
	for (i = 0; r == 0 && i < p->n; i++)
		r = pm_gguf_declare(x.to, p->item[i].from->name, p->item[i].to, p->item[i].from->nd, p->item[i].from->dim, e);
	for (i = 0; r == 0 && i < p->n; i++)
		r = put_tensor(&x, &p->item[i], e);
	if (r < 0) {
		pm_gguf_abort(x.to);
		return -1;
	}
	return pm_gguf_end(x.to, e);
}
