#include "merge/export.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "io/shards.h"
#include "quant/published.h"
#include "quant/quant.h"
#include "spec/spec.h"
#include "text/vocab_gguf.h"

#define AT_ONCE ((size_t)1 << 20)       /* values that are converted at a time, a multiple of every block */

/* How a tensor of the directory comes from those of the file. */
enum form {
	WHOLE,
	PART,                           /* one expert of a stack */
	BOTH,                           /* gate and up of all experts, their rows in turns */
	BLOCKS, SCALES                  /* the halves of MXFP4 as published, of BOTH or WHOLE */
};

struct piece {
	enum form form;
	const struct pm_tensor_spec *t, *up;
	const struct pm_view *v, *u;    /* of the two */
	int64_t expert;
};

struct export {
	struct pm_store *store;
	struct pm_spec *spec;
	struct pm_shard_tensor *t;
	struct piece *from;
	size_t n, cap, from_cap;
	bool coded;                     /* MXFP4 stays */
	struct pm_arena names;
};

static int add(struct export *x, const char *name, enum pm_dtype type, const struct piece *from, int nd, const int64_t *dim, struct pm_err *e)
{
	struct pm_shard_tensor *t;
	int d;

	if (pm_grow(&x->t, &x->cap, x->n + 1, sizeof *x->t, e) < 0 || pm_grow(&x->from, &x->from_cap, x->n + 1, sizeof *x->from, e) < 0)
		return -1;
	t = &x->t[x->n];
	*t = (struct pm_shard_tensor){.name = pm_arena_printf(&x->names, e, "%s", name), .type = type, .nd = nd};
	for (d = 0; d < nd; d++)
		t->dim[d] = (uint64_t)dim[d];
	x->from[x->n++] = *from;
	return t->name ? 0 : -1;
}

/* A stack as two tensors of bytes: (expert, out, in / 32, 16), and without the last. p->t->dim is (expert, out, in). */
static int add_coded(struct export *x, struct piece *p, struct pm_err *e)
{
	const int64_t *dim = p->t->dim, shape[4] = {dim[0], dim[1] * (p->up ? 2 : 1), dim[2] / 32, 16};
	char name[PM_SPEC_NAME + 8];
	int r;

	snprintf(name, sizeof name, "%s_blocks", p->t->hf);
	p->form = BLOCKS;
	r = add(x, name, PM_U8, p, 4, shape, e);
	snprintf(name, sizeof name, "%s_scales", p->t->hf);
	p->form = SCALES;
	return r < 0 ? -1 : add(x, name, PM_U8, p, 3, shape, e);
}

static const struct pm_tensor_spec *up_of(const struct export *x, const struct pm_tensor_spec *gate)
{
	size_t i;

	for (i = 0; i < x->spec->ntensors; i++)
		if (x->spec->tensor[i].hf_turn == 2 && !strcmp(x->spec->tensor[i].hf, gate->hf))
			return &x->spec->tensor[i];
	return NULL;
}

static int add_tensor(struct export *x, const struct pm_tensor_spec *t, enum pm_dtype type, struct pm_err *e)
{
	struct piece p = {.form = WHOLE, .t = t, .v = pm_spec_view(x->spec, t, x->store)};
	char name[PM_SPEC_NAME];
	int64_t dim[4];
	int r = 0;

	if (!p.v || t->hf_turn == 2)
		return 0;
	pm_hf_shape(dim, t);
	if (t->hf_turn) {
		p.form = BOTH;
		p.up = up_of(x, t);
		p.u = p.up ? pm_spec_view(x->spec, p.up, x->store) : NULL;
		if (!p.u)
			return pm_fail(e, PM_DATA, "tensor '%.200s' is there without the other half of '%.200s'", t->file, t->hf);
		dim[t->nd - 1] *= 2;
	}
	if (x->coded && t->experts && !strstr(t->hf, "{}") && p.v->type == PM_MXFP4 && (!p.u || p.u->type == PM_MXFP4))
		return add_coded(x, &p, e);
	if (!strstr(t->hf, "{}"))
		return add(x, t->hf, type, &p, t->nd, dim, e);
	p.form = PART;
	for (p.expert = 0; r == 0 && p.expert < t->experts; p.expert++)
		r = add(x, pm_spec_name(name, t->hf, p.expert), type, &p, t->nd - 1, dim + 1, e);
	return r;
}

static int list_tensors(struct export *x, enum pm_dtype type, struct pm_err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < x->spec->ntensors; i++)
		r = add_tensor(x, &x->spec->tensor[i], type, e);
	return r;
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

/* All of a tensor, turned. */
static int put_turned(const struct piece *p, enum pm_dtype type, size_t n, struct pm_st_writer *w, struct pm_err *e)
{
	size_t bytes = pm_dtype_bytes(type, n);
	float *f = pm_alloc(n, sizeof *f, e);
	void *raw = f ? pm_alloc(1, bytes, e) : NULL;
	int r = -1;

	if (raw) {
		pm_quant_to_f32(f, p->v->data, p->v->type, n);
		r = pm_gguf_turn(p->t, f, false, e);
	}
	if (r == 0) {
		pm_from_f32(raw, type, f, n);
		r = pm_st_put(w, raw, bytes, e);
	}
	free(f);
	free(raw);
	return r;
}

/* Gate and up of one expert as one, n values each of which `cols` go together. */
static void join_turns(float *out, const float *gate, const float *up, size_t n, size_t cols, bool transposed)
{
	size_t i, k, rows = n / cols;

	for (i = 0; i < rows; i++)
		for (k = 0; k < cols; k++) {
			out[transposed ? k * 2 * rows + 2 * i : 2 * i * cols + k] = gate[i * cols + k];
			out[transposed ? k * 2 * rows + 2 * i + 1 : (2 * i + 1) * cols + k] = up[i * cols + k];
		}
}

static int put_both(const struct piece *p, enum pm_dtype type, size_t n, struct pm_st_writer *w, struct pm_err *e)
{
	size_t each = n / (size_t)p->t->experts, cols = p->t->nd > 2 ? (size_t)p->t->dim[2] : 1, bytes = pm_dtype_bytes(type, 2 * each), x;
	float *gate = pm_alloc(each, 4 * sizeof *gate, e);
	void *raw = gate ? pm_alloc(1, bytes, e) : NULL;
	int r = raw ? 0 : -1;

	for (x = 0; r == 0 && x < (size_t)p->t->experts; x++) {
		pm_quant_to_f32(gate, p->v->data + pm_dtype_bytes(p->v->type, x * each), p->v->type, each);
		pm_quant_to_f32(gate + each, p->u->data + pm_dtype_bytes(p->u->type, x * each), p->u->type, each);
		join_turns(gate + 2 * each, gate, gate + each, each, cols, p->t->hf_transposed);
		pm_from_f32(raw, type, gate + 2 * each, 2 * each);
		r = pm_st_put(w, raw, bytes, e);
	}
	free(gate);
	free(raw);
	return r;
}

/* The codes of a block, neighbours in a byte, or its scale; of each row in turn, of the two in turns where there are two. */
static int put_coded(const struct piece *p, struct pm_st_writer *w, struct pm_err *e)
{
	const size_t rows = (size_t)(p->t->dim[0] * p->t->dim[1]), blocks = (size_t)p->t->dim[2] / 32, width = p->form == BLOCKS ? 16 : 1;
	unsigned char *raw = pm_alloc(blocks, width, e);
	size_t i, k, j;
	int r = raw ? 0 : -1;

	for (i = 0; r == 0 && i < rows * (p->u ? 2 : 1); i++) {
		const unsigned char *b = p->u ? (i % 2 ? p->u : p->v)->data + i / 2 * blocks * 17 : p->v->data + i * blocks * 17;

		for (k = 0; k < blocks; k++, b += 17) {
			if (p->form == SCALES)
				raw[k] = b[0];
			for (j = 0; p->form == BLOCKS && j < 16; j++) {
				const unsigned char *q = b + 1 + j * 2 % 16;    /* values 2j and 2j + 1 */

				raw[16 * k + j] = (unsigned char)(j < 8 ? (q[0] & 15) | (q[1] & 15) << 4 : q[0] >> 4 | (q[1] & 0xf0));
			}
		}
		r = pm_st_put(w, raw, blocks * width, e);
	}
	free(raw);
	return r;
}

static int put(void *arg, size_t i, struct pm_st_writer *w, struct pm_err *e)
{
	const struct export *x = arg;
	const struct piece *p = &x->from[i];
	struct pm_view v = *p->v;
	size_t n = 1;
	int d;

	if (p->form == BLOCKS || p->form == SCALES)
		return put_coded(p, w, e);
	for (d = 0; d < v.nd; d++)
		n *= (size_t)v.dim[d];
	if (p->form == BOTH)
		return put_both(p, x->t[i].type, n, w, e);
	if (p->form == PART) {
		n /= (size_t)p->t->experts;
		v.data += pm_dtype_bytes(v.type, (size_t)p->expert * n);
		return put_as_they_lie(&v, x->t[i].type, n, w, e);
	}
	return p->t->permute || p->t->plus || p->t->hf_transposed ? put_turned(p, x->t[i].type, n, w, e) : put_as_they_lie(&v, x->t[i].type, n, w, e);
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

/* quantization_config of published MXFP4: every module but the experts is as it was, "*" for a layer's number. */
static json_t *coded_config(const struct export *x)
{
	json_t *list = json_array();
	size_t i, k;

	for (i = 0; i < x->n; i++) {
		const struct pm_tensor_spec *t = x->from[i].t;
		char name[PM_SPEC_NAME];
		const char *p;

		if (t->experts || !strcmp(t->use, "norm") || !strcmp(t->use, "bias") || !strcmp(t->use, "other"))
			continue;
		for (k = 0, p = t->module; *p && k < sizeof name - 1; k++) {
			bool number = *p >= '0' && *p <= '9' && k && name[k - 1] == '.';

			name[k] = number ? '*' : *p;
			p += number ? strspn(p, "0123456789") : 1;
		}
		name[k] = 0;
		for (k = 0; k < json_array_size(list) && strcmp(json_string_value(json_array_get(list, k)), name); k++)
			;
		if (k == json_array_size(list))
			json_array_append_new(list, json_string(name));
	}
	return json_pack("{s:s,s:o}", "quant_method", "mxfp4", "modules_to_not_convert", list);
}

static int save_config(const struct export *x, const char *dir, enum pm_dtype type, struct pm_err *e)
{
	const char *word = type == PM_F32 ? "float32" : type == PM_F16 ? "float16" : "bfloat16";
	size_t i;
	int r;

	json_object_set_new(x->spec->config, "torch_dtype", json_string(word));
	for (i = 0; i < x->n && x->from[i].form != BLOCKS; i++)
		;
	if (i < x->n)
		json_object_set_new(x->spec->config, "quantization_config", coded_config(x));
	r = save_json(dir, "config.json", x->spec->config, e);
	return r == 0 ? save_json(dir, "generation_config.json", x->spec->generation, e) : -1;
}

int pm_export(const char *gguf, const char *dir, const char *share, const char *family, enum pm_dtype type, bool coded, const json_t *provenance, struct pm_err *e)
{
	struct export x = {.coded = coded};
	struct pm_str text = {0};
	json_t *meta = NULL;
	int r = pm_published_open(&x.store, gguf, PM_F32, true, e);

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
	pm_arena_free(&x.names);
	pm_spec_free(x.spec);
	pm_store_close(x.store);
	return r;
}
