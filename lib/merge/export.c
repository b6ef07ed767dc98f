#include "merge/export.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "io/shards.h"
#include "quant/quant.h"
#include "spec/spec.h"
#include "text/vocab_gguf.h"

#define AT_ONCE ((size_t)1 << 20)       /* values that are converted at a time, a multiple of every block */

struct export {
	struct pm_store *store;
	struct pm_spec *spec;
	struct pm_shard_tensor *t;
	const struct pm_tensor_spec **from;
	size_t n;
};

static int list_tensors(struct export *x, enum pm_dtype type, struct pm_err *e)
{
	int64_t dim[4];
	size_t i;
	int d;

	x->t = pm_alloc(x->spec->ntensors, sizeof *x->t, e);
	x->from = x->t ? pm_alloc(x->spec->ntensors, sizeof *x->from, e) : NULL;
	if (!x->from)
		return -1;
	for (i = 0; i < x->spec->ntensors; i++) {
		const struct pm_tensor_spec *s = &x->spec->tensor[i];

		if (!pm_spec_view(x->spec, s, x->store))
			continue;
		pm_hf_shape(dim, s);
		x->t[x->n] = (struct pm_shard_tensor){.name = s->hf, .type = type, .nd = s->nd};
		for (d = 0; d < s->nd; d++)
			x->t[x->n].dim[d] = (uint64_t)dim[d];
		x->from[x->n++] = s;
	}
	return 0;
}

/* Values that keep their places and are changed by nothing but their type: so many at a time. */
static int put_as_they_lie(const struct pm_view *v, enum pm_dtype type, size_t n, struct pm_st_writer *w, struct pm_err *e)
{
	const size_t block = (size_t)pm_dtype(v->type)->block, step = (n < AT_ONCE ? n : AT_ONCE) / block * block, width = pm_dtype_bytes(type, 1);
	float *f = pm_alloc(step, sizeof *f, e);
	void *raw = f ? pm_alloc(step, width, e) : NULL;
	size_t i, k;
	int r = raw ? 0 : -1;

	for (i = 0; r == 0 && i < n; i += k) {
		k = n - i < step ? n - i : step;
		pm_quant_to_f32(f, v->data + pm_dtype_bytes(v->type, i), v->type, k);
		pm_from_f32(raw, type, f, k);
		r = pm_st_put(w, raw, k * width, e);
	}
	free(f);
	free(raw);
	return r;
}

static int put(void *arg, size_t i, struct pm_st_writer *w, struct pm_err *e)
{
	const struct export *x = arg;
	const struct pm_tensor_spec *t = x->from[i];
	const struct pm_view *v = pm_spec_view(x->spec, t, x->store);
	size_t n = 1, bytes;
	float *f;
	void *raw;
	int d, r = -1;

	for (d = 0; d < v->nd; d++)
		n *= (size_t)v->dim[d];
	if (!t->permute && !t->plus && !t->hf_transposed)
		return put_as_they_lie(v, x->t[i].type, n, w, e);
	bytes = pm_dtype_bytes(x->t[i].type, n);
	f = pm_alloc(n, sizeof *f, e);
	raw = f ? pm_alloc(1, bytes, e) : NULL;
	if (raw) {
		pm_quant_to_f32(f, v->data, v->type, n);
		r = pm_gguf_turn(t, f, false, e);
	}
	if (r == 0) {
		pm_from_f32(raw, x->t[i].type, f, n);
		r = pm_st_put(w, raw, bytes, e);
	}
	free(f);
	free(raw);
	return r;
}

static int save_json(const char *dir, const char *name, const json_t *v, struct pm_err *e)
{
	char *path = pm_path(dir, name, e);
	int r = path ? pm_json_save(path, v, e) : -1;

	free(path);
	return r;
}

static int save_text(const char *dir, const char *name, const struct pm_str *s, struct pm_err *e)
{
	char *path = pm_path(dir, name, e);
	struct pm_out o;
	int r = path ? pm_out_open(&o, path, e) : -1;

	if (r == 0 && pm_out_write(&o, s->data ? s->data : "", s->len, e) == 0) {
		r = pm_out_close(&o, e);
	} else if (r == 0) {
		pm_out_abort(&o);
		r = -1;
	}
	free(path);
	return r;
}

static int save_tokenizer(const struct export *x, const char *dir, struct pm_err *e)
{
	const struct pm_gguf *g = pm_store_gguf(x->store);
	struct pm_str tokenizer = {0}, config = {0};
	struct pm_ggml_vocab *v = NULL;
	int r;

	if (!pm_gguf_key(g, "tokenizer.ggml.model"))
		return 0;
	r = pm_ggml_vocab_of_gguf(&v, g, e);
	if (r == 0)
		r = pm_ggml_vocab_files(v, &tokenizer, &config, e);
	if (r == 0)
		r = save_text(dir, "tokenizer.json", &tokenizer, e);
	if (r == 0)
		r = save_text(dir, "tokenizer_config.json", &config, e);
	pm_ggml_vocab_free(v);
	pm_str_free(&tokenizer);
	pm_str_free(&config);
	return r;
}

static int save_config(const struct export *x, const char *dir, enum pm_dtype type, struct pm_err *e)
{
	const char *word = type == PM_F32 ? "float32" : type == PM_F16 ? "float16" : "bfloat16";
	int r;

	json_object_set_new(x->spec->config, "torch_dtype", json_string(word));
	r = save_json(dir, "config.json", x->spec->config, e);
	return r == 0 ? save_json(dir, "generation_config.json", x->spec->generation, e) : -1;
}

int pm_export(const char *gguf, const char *dir, const char *share, const char *family, enum pm_dtype type, const json_t *provenance, struct pm_err *e)
{
	struct export x = {0};
	struct pm_str text = {0};
	json_t *meta = NULL;
	int r = pm_store_open(&x.store, gguf, e);

	if (r == 0 && !pm_store_gguf(x.store))
		r = pm_fail(e, PM_DATA, "%s: a GGUF file was wanted", gguf);
	if (r == 0)
		r = pm_spec_load(&x.spec, gguf, share, family, x.store, e);
	if (r == 0 && pm_spec_check(x.spec, x.store, e) < 0)
		r = pm_ctx(e, "%s", gguf);
	if (r == 0)
		r = list_tensors(&x, type, e);
	if (r == 0 && provenance)
		r = pm_json_text(&text, provenance, e);
	if (r == 0)
		r = save_config(&x, dir, type, e);
	if (r == 0 && save_tokenizer(&x, dir, e) < 0)
		r = pm_ctx(e, "%s", gguf);
	meta = r == 0 ? json_pack("{s:s,s:s*}", "format", "pt", "pm", text.data) : NULL;         /* transformers wants the first */
	if (r == 0)                     /* last: where they are, the model is whole */
		r = pm_shards_write(dir, x.t, x.n, meta, put, &x, e);
	json_decref(meta);
	pm_str_free(&text);
	free(x.t);
	free(x.from);
	pm_spec_free(x.spec);
	pm_store_close(x.store);
	return r;
}
