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

/* What a tensor of the output is: a weight of ours (or a part of a stack), or a tensor of the store that is no part of what was built (another tower). */
struct item {
	const struct pm_weight *w;
	int64_t part, parts;
	const struct pm_view *v;
};

struct items {
	struct pm_shard_tensor *t;
	struct item *it;
	size_t n;
	struct pm_arena names;
};

static int64_t parts_of(const struct pm_weight *w)
{
	return w->spec->apart ? w->spec->experts : 1;
}

/* A stack that came in blocks lies the other way round from one of floats, which is what is written. */
static bool turned(const struct pm_weight *w)
{
	return w->spec->hf_transposed && !w->spec->transposed;
}

static int list_weight(struct items *l, const struct pm_weight *w, enum pm_dtype type, struct pm_err *e)
{
	const int skip = w->spec->apart;
	char name[PM_SPEC_NAME];
	int64_t dim[4], i;
	int d;

	pm_hf_shape(dim, w->spec);
	for (i = 0; i < parts_of(w); i++) {
		struct pm_shard_tensor *t = &l->t[l->n];

		*t = (struct pm_shard_tensor){.name = turned(w) ? w->spec->hf : w->name, .type = type, .nd = w->spec->nd - skip};
		if (skip && !(t->name = pm_arena_printf(&l->names, e, "%s", pm_spec_name(name, w->name, i))))
			return -1;
		for (d = 0; d < t->nd; d++)
			t->dim[d] = (uint64_t)dim[d + skip];
		l->it[l->n++] = (struct item){.w = w, .part = i, .parts = parts_of(w)};
	}
	return 0;
}

static int list_items(struct items *l, const struct pm_model *m, enum pm_dtype type, struct pm_err *e)
{
	size_t i, count = m->store ? pm_store_count(m->store) : 0, n = count;
	struct pm_owner *owner = NULL;
	int r = 0;

	for (i = 0; i < m->nweights; i++)
		n += (size_t)parts_of(&m->weight[i]);
	l->it = pm_alloc(n, sizeof *l->it, e);
	l->t = l->it ? pm_alloc(n, sizeof *l->t, e) : NULL;
	if (!l->t || (count && pm_spec_owners(&owner, m->spec, m->store, e) < 0))
		return -1;
	for (i = 0; r == 0 && i < m->nweights; i++)
		r = list_weight(l, &m->weight[i], type, e);
	for (i = 0; r == 0 && i < count; i++) {
		const struct pm_view *v = pm_store_at(m->store, i);

		if (owner[i].tensor)
			continue;
		l->t[l->n] = (struct pm_shard_tensor){.name = v->name, .type = v->type, .nd = v->nd};
		memcpy(l->t[l->n].dim, v->dim, sizeof v->dim);
		l->it[l->n++] = (struct item){.v = v};
	}
	free(owner);
	return r;
}

/* A part's values to or from the way that transformers' files have them, where that is another than the model's. */
static int turn(const struct pm_weight *w, float *f, bool to_file, struct pm_err *e)
{
	return turned(w) ? pm_gguf_turn(w->spec, f, !to_file, e) : 0;
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
	n = (size_t)(it->w->rows * it->w->cols / it->parts);
	width = pm_dtype_bytes(it->w->type, n);
	bytes = pm_dtype_bytes(l->t[i].type, n);
	raw = pm_alloc(1, width, e);
	f = raw ? pm_alloc(n, sizeof *f, e) : NULL;
	if (f && pm_mem_read(it->w->mem, (size_t)it->part * width, raw, width, e) == 0) {
		pm_to_f32(f, raw, it->w->type, n);
		free(raw);
		raw = turn(it->w, f, true, e) == 0 ? pm_alloc(1, bytes, e) : NULL;
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
		json_object_del(c, "quantization_config");      /* what is written is floats */
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
	pm_arena_free(&l.names);
	return r;
}

/* One tensor of a checkpoint. */
static int reload(const struct item *it, const struct pm_shard_tensor *t, const struct pm_store *s, struct pm_err *e)
{
	const size_t n = (size_t)(it->w->rows * it->w->cols / it->parts);
	const struct pm_view *v = pm_store_find(s, t->name);
	float *f;
	int r = -1;

	if (!v || v->type != PM_F32 || v->bytes != n * sizeof *f)
		return pm_fail(e, PM_DATA, "tensor '%s': %zu float32 values were wanted", t->name, n);
	f = pm_alloc(n, sizeof *f, e);
	if (f) {
		memcpy(f, v->data, v->bytes);
		r = turn(it->w, f, false, e);
	}
	if (r == 0)
		r = pm_mem_write(it->w->mem, (size_t)it->part * v->bytes, f, v->bytes, e);
	free(f);
	return r;
}

int pm_model_reload(struct pm_model *m, const char *dir, struct pm_err *e)
{
	struct items l = {0};
	struct pm_store *s = NULL;
	size_t i;
	int r = list_items(&l, m, PM_F32, e);

	if (r == 0)
		r = pm_store_open(&s, dir, e);
	for (i = 0; r == 0 && i < l.n; i++)
		if (l.it[i].w && (r = reload(&l.it[i], &l.t[i], s, e)) < 0)
			pm_ctx(e, "%s", dir);
	pm_store_close(s);
	free(l.it);
	free(l.t);
	pm_arena_free(&l.names);
	return r;
}
