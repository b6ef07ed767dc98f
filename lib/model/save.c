/* save.c: a model directory written back: tensors, config.json, and what lies beside them. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "io/shards.h"
#include "model/model.h"

/* Files of a model directory that go along unchanged. */
static const char *const beside[] = {"tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json",
	"vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json", "generation_config.json", "preprocessor_config.json",
	"processor_config.json", NULL};

/* What a tensor of the output is: a weight of ours, or a tensor of the store that is no part of what was built (another tower). */
struct item {
	const struct pm_weight *w;
	const struct pm_view *v;
};

struct items {
	struct pm_shard_tensor *t;
	struct item *it;
	size_t n;
};

static int list_items(struct items *l, const struct pm_model *m, enum pm_dtype type, struct pm_err *e)
{
	size_t i, j, count = m->store ? pm_store_count(m->store) : 0;
	int d;

	l->it = pm_alloc(m->nweights + count, sizeof *l->it, e);
	l->t = l->it ? pm_alloc(m->nweights + count, sizeof *l->t, e) : NULL;
	if (!l->t)
		return -1;
	for (i = 0; i < m->nweights; i++) {
		const struct pm_weight *w = &m->weight[i];
		struct pm_shard_tensor *t = &l->t[l->n];

		*t = (struct pm_shard_tensor){.name = w->name, .type = type, .nd = w->spec->nd};
		for (d = 0; d < t->nd; d++)
			t->dim[d] = (uint64_t)w->spec->dim[d];
		l->it[l->n++] = (struct item){.w = w};
	}
	for (i = 0; i < count; i++) {
		const struct pm_view *v = pm_store_at(m->store, i);

		for (j = 0; j < m->spec->ntensors && pm_spec_view(m->spec, &m->spec->tensor[j], m->store) != v; j++)
			;
		if (j < m->spec->ntensors)
			continue;
		l->t[l->n] = (struct pm_shard_tensor){.name = v->name, .type = v->type, .nd = v->nd};
		memcpy(l->t[l->n].dim, v->dim, sizeof v->dim);
		l->it[l->n++] = (struct item){.v = v};
	}
	return 0;
}

static int put(void *arg, size_t i, struct pm_st_writer *w, struct pm_err *e)
{
	const struct items *l = arg;
	const struct item *it = &l->it[i];
	size_t n, width, bytes;
	float *f;
	unsigned char *raw;
	int r = -1;

	if (it->v)
		return pm_st_put(w, it->v->data, it->v->bytes, e);
	n = (size_t)(it->w->rows * it->w->cols);
	width = pm_dtype_bytes(it->w->type, n);
	bytes = pm_dtype_bytes(l->t[i].type, n);
	raw = pm_alloc(1, width, e);
	f = raw ? pm_alloc(n, sizeof *f, e) : NULL;
	if (f && pm_mem_read(it->w->mem, 0, raw, width, e) == 0) {
		pm_to_f32(f, raw, it->w->type, n);
		free(raw);
		raw = pm_alloc(1, bytes, e);
		if (raw) {
			pm_from_f32(raw, l->t[i].type, f, n);
			r = pm_st_put(w, raw, bytes, e);
		}
	}
	free(raw);
	free(f);
	return r;
}

static int write_config(const struct pm_model *m, const char *dir, enum pm_dtype type, struct pm_err *e)
{
	const char *word = type == PM_F32 ? "float32" : type == PM_F16 ? "float16" : "bfloat16";
	json_t *c = json_deep_copy(m->spec->config);
	char *path = pm_path(dir, "config.json", e);
	int r = -1;

	if (c && path) {
		json_object_set_new(c, json_object_get(c, "dtype") ? "dtype" : "torch_dtype", json_string(word));
		r = pm_json_save(path, c, e);
	} else if (path) {
		pm_fail(e, PM_SOFTWARE, "out of memory");
	}
	json_decref(c);
	free(path);
	return r;
}

/* The files beside the weights, from the directory that the model came from (a config.json's own directory when made anew). */
static int copy_beside(const struct pm_model *m, const char *dir, struct pm_err *e)
{
	char *from = pm_strdup(m->dir, e), *slash;
	int i, r = from ? 0 : -1;

	if (r == 0 && !pm_is_dir(from)) {               /* "dir/config.json" -> "dir", "config.json" -> "." */
		slash = strrchr(from, '/');
		if (slash)
			*slash = 0;
		else
			memcpy(from, ".", 2);
	}
	for (i = 0; r == 0 && beside[i]; i++) {
		char *a = pm_path(from, beside[i], e), *b = pm_path(dir, beside[i], e);

		r = a && b ? 0 : -1;
		if (r == 0 && pm_exists(a))
			r = pm_copy_file(a, b, e);
		free(a);
		free(b);
	}
	free(from);
	return r;
}

int pm_model_save(const struct pm_model *m, const char *dir, enum pm_dtype type, const json_t *provenance, struct pm_err *e)
{
	struct items l = {0};
	json_t *meta = json_object();
	struct pm_str text = {0};
	int r = list_items(&l, m, type, e);

	json_object_set_new(meta, "format", json_string("pt"));         /* transformers wants the key */
	if (r == 0 && provenance)
		r = pm_json_text(&text, provenance, e);
	if (text.data)
		json_object_set_new(meta, "pm", json_string(text.data));
	if (r == 0)
		r = write_config(m, dir, type, e);
	if (r == 0)
		r = copy_beside(m, dir, e);
	if (r == 0)                     /* last: where they are, the model is whole */
		r = pm_shards_write(dir, l.t, l.n, meta, put, &l, e);
	json_decref(meta);
	pm_str_free(&text);
	free(l.it);
	free(l.t);
	return r;
}
