/* save.c: a model directory written back: tensors, config.json, and what lies beside them. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/model.h"

#define SHARD_BYTES 5000000000u                 /* as save_pretrained cuts them */

/* Files of a model directory that go along unchanged. */
static const char *const beside[] = {"tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "added_tokens.json",
	"vocab.json", "merges.txt", "chat_template.jinja", "chat_template.json", "generation_config.json", "preprocessor_config.json",
	"processor_config.json", NULL};

/* One tensor of the output: a weight of ours, or a tensor of the store that is no part of what was built (another tower). */
struct item {
	const char *name;
	const struct pm_weight *w;
	const struct pm_view *v;
	enum pm_dtype type;
	uint64_t bytes;
	size_t shard;
};

static int list_items(struct item **out, size_t *n, const struct pm_model *m, enum pm_dtype type, struct pm_err *e)
{
	size_t i, j, count = m->store ? pm_store_count(m->store) : 0;
	struct item *it = pm_alloc(m->nweights + count, sizeof *it, e);

	*out = it;
	*n = 0;
	if (!it)
		return -1;
	for (i = 0; i < m->nweights; i++) {
		const struct pm_weight *w = &m->weight[i];

		it[(*n)++] = (struct item){.name = w->name, .w = w, .type = type,
			.bytes = pm_dtype_bytes(type, (uint64_t)(w->rows * w->cols))};
	}
	for (i = 0; i < count; i++) {
		const struct pm_view *v = pm_store_at(m->store, i);

		for (j = 0; j < m->spec->ntensors && pm_spec_view(m->spec, &m->spec->tensor[j], m->store) != v; j++)
			;
		if (j == m->spec->ntensors)
			it[(*n)++] = (struct item){.name = v->name, .v = v, .type = v->type, .bytes = v->bytes};
	}
	return 0;
}

static int declare(struct pm_st_writer *w, const struct item *it, struct pm_err *e)
{
	uint64_t dim[PM_MAX_DIMS];
	int i;

	if (it->v)
		return pm_st_declare(w, it->name, it->v->type, it->v->nd, it->v->dim, e);
	for (i = 0; i < it->w->spec->nd; i++)
		dim[i] = (uint64_t)it->w->spec->dim[i];
	return pm_st_declare(w, it->name, it->type, it->w->spec->nd, dim, e);
}

static int put(struct pm_st_writer *w, const struct item *it, struct pm_err *e)
{
	size_t n, width;
	float *f;
	unsigned char *raw;
	int r = -1;

	if (it->v)
		return pm_st_put(w, it->v->data, it->v->bytes, e);
	n = (size_t)(it->w->rows * it->w->cols);
	width = pm_dtype_bytes(it->w->type, n);
	raw = pm_alloc(1, width, e);
	f = raw ? pm_alloc(n, sizeof *f, e) : NULL;
	if (f && pm_mem_read(it->w->mem, 0, raw, width, e) == 0) {
		pm_to_f32(f, raw, it->w->type, n);
		free(raw);
		raw = pm_alloc(1, (size_t)it->bytes, e);
		if (raw) {
			pm_from_f32(raw, it->type, f, n);
			r = pm_st_put(w, raw, (size_t)it->bytes, e);
		}
	}
	free(raw);
	free(f);
	return r;
}

static int write_shard(const struct item *it, size_t n, size_t shard, const char *path, const json_t *meta, struct pm_err *e)
{
	struct pm_st_writer *w;
	size_t i;
	int r = pm_st_begin(&w, path, meta, e);

	if (r < 0)
		return -1;
	for (i = 0; r == 0 && i < n; i++)
		if (it[i].shard == shard)
			r = declare(w, &it[i], e);
	for (i = 0; r == 0 && i < n; i++)
		if (it[i].shard == shard)
			r = put(w, &it[i], e);
	if (r == 0)
		return pm_st_end(w, e);
	pm_st_abort(w);
	return -1;
}

static int write_json(const char *dir, const char *name, const json_t *v, struct pm_err *e)
{
	char *path = pm_path(dir, name, e), *text = json_dumps(v, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
	struct pm_out o;
	int r = -1;

	if (path && text && pm_out_open(&o, path, e) == 0) {
		if (pm_out_write(&o, text, strlen(text), e) == 0 && pm_out_write(&o, "\n", 1, e) == 0)
			r = pm_out_close(&o, e);
		else
			pm_out_abort(&o);
	}
	free(path);
	free(text);
	return r;
}

static int write_tensors(const char *dir, struct item *it, size_t n, const json_t *meta, struct pm_err *e)
{
	uint64_t total = 0, in_shard = 0;
	size_t i, shards = 1;
	char name[64];
	json_t *map, *index;
	int r = 0;

	for (i = 0; i < n; i++) {
		if (in_shard && in_shard + it[i].bytes > SHARD_BYTES) {
			shards++;
			in_shard = 0;
		}
		it[i].shard = shards - 1;
		in_shard += it[i].bytes;
		total += it[i].bytes;
	}
	map = json_object();
	for (i = 0; r == 0 && i < shards; i++) {
		char *path;

		if (shards == 1)
			snprintf(name, sizeof name, "model.safetensors");
		else
			snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", i + 1, shards);
		path = pm_path(dir, name, e);
		r = path ? write_shard(it, n, i, path, meta, e) : -1;
		free(path);
		for (size_t k = 0; k < n; k++)
			if (it[k].shard == i)
				json_object_set_new(map, it[k].name, json_string(name));
	}
	if (r == 0 && shards > 1) {
		index = json_pack("{s:{s:I},s:O}", "metadata", "total_size", (json_int_t)total, "weight_map", map);
		r = write_json(dir, "model.safetensors.index.json", index, e);
		json_decref(index);
	}
	json_decref(map);
	return r;
}

static int write_config(const struct pm_model *m, const char *dir, enum pm_dtype type, struct pm_err *e)
{
	const char *word = type == PM_F32 ? "float32" : type == PM_F16 ? "float16" : "bfloat16";
	json_t *c = json_deep_copy(m->spec->config);
	int r;

	if (!c)
		return pm_fail(e, PM_SOFTWARE, "out of memory");
	json_object_set_new(c, json_object_get(c, "dtype") ? "dtype" : "torch_dtype", json_string(word));
	r = write_json(dir, "config.json", c, e);
	json_decref(c);
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
	struct item *it = NULL;
	json_t *meta = json_object();
	struct pm_str text = {0};
	size_t n;
	int r = list_items(&it, &n, m, type, e);

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
		r = write_tensors(dir, it, n, meta, e);
	json_decref(meta);
	pm_str_free(&text);
	free(it);
	return r;
}
