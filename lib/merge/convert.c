/* convert.c: the tensors of a conversion. convert_keys.c has the keys. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "merge/convert_private.h"
#include "quant/published.h"
#include "quant/quant.h"

#define AT_ONCE ((size_t)1 << 20)       /* values that are converted at a time, about */

/* What llama.cpp wants in float32 whatever the file's type: vectors, norms, routers and positions, and all that is no weight. */
static bool always_f32(const struct pm_view *v)
{
	static const char *const parts[] = {"_norm.weight", "ffn_gate_inp.weight", "ffn_gate_inp_shexp.weight", "position_embd.weight", NULL};
	int i;

	for (i = 0; parts[i] && !convert_ends(v->name, parts[i]); i++)
		;
	return parts[i] || v->nd < 2 || !convert_ends(v->name, ".weight");
}

static void settle(struct convert_item *it, enum pm_dtype type)
{
	uint64_t n = 1;
	int i;

	for (i = 0; i < it->view.nd; i++)
		n *= it->view.dim[i];
	if (it->src && it->src->type == PM_MXFP4)
		type = PM_MXFP4;
	else if (always_f32(&it->view))
		type = PM_F32;
	else if (it->view.dim[it->view.nd - 1] % (uint64_t)pm_dtype(type)->block)
		type = PM_F16;
	it->count = (size_t)n;
	it->view.type = type;
	it->view.bytes = pm_dtype_bytes(type, n);
}

/* bf16 where the first matrix is stored so, else f16. */
static enum pm_dtype guess(const struct pm_store *s)
{
	size_t i;

	for (i = 0; i < pm_store_count(s); i++) {
		const struct pm_view *v = pm_store_at(s, i);

		if (v->nd >= 2 && (v->type == PM_BF16 || v->type == PM_F16))
			return v->type;
	}
	return PM_F16;
}

/* Shapes and types as in the file. Where the architecture cuts the embedding, it has a row for each token of the tokenizer. */
static void settle_items(struct pm_convert *c)
{
	const char *embed = NULL;
	size_t i;

	for (i = 0; i < c->spec->ntensors; i++)
		if (!strcmp(c->spec->tensor[i].role, "text.embed"))
			embed = c->spec->tensor[i].gguf;
	for (i = 0; i < c->n; i++) {
		struct convert_item *it = &c->item[i];

		if (c->cut && embed && it->t && !strcmp(it->view.name, embed))
			it->view.dim[0] = c->cut;
		settle(it, c->type);
	}
}

/* Whether config.json says that experts are published in MXFP4. */
static int is_coded(bool *coded, const char *dir, struct pm_err *e)
{
	char *path = pm_path(dir, "config.json", e);
	json_t *config = NULL;
	const char *method;
	int r = path ? 0 : -1;

	if (r == 0 && pm_exists(path))
		r = (config = pm_json_file(path, e)) ? 0 : -1;
	method = json_string_value(json_object_get(json_object_get(config, "quantization_config"), "quant_method"));
	*coded = method && !strcmp(method, "mxfp4");
	json_decref(config);
	free(path);
	return r;
}

int pm_convert_open(struct pm_convert **out, const char *dir, const struct pm_convert_opts *o, struct pm_err *e)
{
	struct pm_convert *c = pm_alloc(1, sizeof *c, e);
	int r;

	*out = NULL;
	if (!c)
		return -1;
	r = is_coded(&c->coded, dir, e);
	if (r == 0)
		r = pm_published_open(&c->store, dir, PM_F32, c->coded, e);
	if (r == 0 && pm_store_gguf(c->store))
		r = pm_fail(e, PM_USAGE, "%s: is a GGUF file already", dir);
	if (r == 0)
		r = pm_spec_load(&c->spec, dir, o->share, o->family, c->store, e);
	if (r < 0) {
		pm_convert_close(c);
		return -1;
	}
	c->type = o->type == PM_DTYPE_NONE ? guess(c->store) : o->type;
	r = pm_spec_check(c->spec, c->store, e);
	if (r == 0 && !c->spec->arch)
		r = pm_fail(e, PM_DATA, "GGUF files have no models of the family %s", c->spec->family);
	if (r == 0)
		r = convert_program(c, dir, o, e);
	if (r == 0)
		r = convert_items(c, e);
	if (r == 0)
		r = convert_keys(c, dir, o, e);
	if (r < 0) {
		pm_convert_close(c);
		return pm_ctx(e, "%s", dir);
	}
	settle_items(c);
	*out = c;
	return 0;
}

void pm_convert_close(struct pm_convert *c)
{
	if (!c)
		return;
	pm_gguf_close(c->header);
	pm_ggml_vocab_free(c->vocab);
	json_decref(c->program);
	pm_spec_free(c->spec);
	pm_store_close(c->store);
	free(c->item);
	free(c);
}

const struct pm_gguf *pm_convert_header(const struct pm_convert *c)
{
	return c->header;
}

size_t pm_convert_count(const struct pm_convert *c)
{
	return c->n;
}

const struct pm_view *pm_convert_at(const struct pm_convert *c, size_t i)
{
	return &c->item[i].view;
}

/* What holds expert x of a stack, and how many values lie before its. */
static const struct pm_view *source(const struct pm_convert *c, const struct convert_item *it, size_t x, size_t *before)
{
	size_t all = it->count / it->view.dim[0] * (it->turn ? 2 : 1);

	*before = it->src ? x * all : 0;
	return it->src ? it->src : pm_spec_part(c->spec, it->t, (int64_t)x, c->store);
}

/* Expert x of a stack: a matrix, or a vector of biases. */
static int expert_values(const struct pm_convert *c, const struct convert_item *it, size_t x, float *out, struct pm_err *e)
{
	const size_t rows = it->view.dim[1], cols = it->view.nd > 2 ? it->view.dim[2] : 1, step = it->turn ? 2 : 1, first = it->turn == 2;
	size_t before, i, k;
	const struct pm_view *v = source(c, it, x, &before);
	float *all = pm_alloc(rows * cols, step * sizeof *all, e);

	if (!all)
		return -1;
	pm_quant_to_f32(all, v->data + pm_dtype_bytes(v->type, before), v->type, rows * cols * step);
	for (i = 0; i < rows; i++)
		for (k = 0; k < cols; k++)
			out[i * cols + k] = it->t->transposed ? all[k * rows * step + i * step + first] : all[(i * step + first) * cols + k];
	free(all);
	return 0;
}

int pm_convert_values(const struct pm_convert *c, size_t i, float *out, struct pm_err *e)
{
	const struct convert_item *it = &c->item[i];
	size_t k;

	for (k = 0; it->values && k < it->count; k++)
		out[k] = (float)json_number_value(json_array_get(it->values, k));
	if (it->values)
		return 0;
	for (k = 0; it->t->experts && k < it->view.dim[0]; k++)
		if (expert_values(c, it, k, out + k * (it->count / it->view.dim[0]), e) < 0)
			return -1;
	if (it->t->experts)
		return 0;
	pm_to_f32(out, it->src->data, it->src->type, it->count);
	if (pm_gguf_turn(it->t, out, true, e) < 0)
		return -1;
	for (k = 0; it->t->plus && it->src->type == PM_F16 && k < it->count; k++)
		out[k] = pm_f16_to_f32(pm_f32_to_f16(out[k]));  /* the sum of halves is a half there */
	return 0;
}

int pm_convert_bytes(const struct pm_convert *c, size_t i, void *out)
{
	const struct convert_item *it = &c->item[i];
	const size_t rows = it->count / it->view.dim[it->view.nd - 1], width = it->view.bytes / rows, step = it->turn ? 2 : 1;
	size_t r;

	if (!it->src || it->src->type != it->view.type || it->t->transposed || pm_dtype_plain(it->view.type))
		return -1;
	for (r = 0; r < rows; r++)
		memcpy((unsigned char *)out + r * width, it->src->data + (r * step + (it->turn == 2)) * width, width);
	return 0;
}

/* `rows` rows of float32 to the file's type. */
static int put_rows(const struct convert_item *it, const float *v, size_t rows, size_t cols, struct pm_gguf_writer *w, struct pm_err *e)
{
	size_t bytes = pm_dtype_bytes(it->view.type, rows * cols);
	void *raw = pm_alloc(1, bytes, e);
	int r = raw ? 0 : -1;

	if (r == 0 && pm_dtype_plain(it->view.type))
		pm_from_f32(raw, it->view.type, v, rows * cols);
	else if (r == 0)
		r = pm_quant_from_f32(raw, it->view.type, v, rows, cols, NULL, e);
	if (r == 0)
		r = pm_gguf_put(w, raw, bytes, e);
	free(raw);
	return r;
}

/* A tensor of which nothing changes but the type, some rows at a time. */
static int put_as_it_lies(const struct convert_item *it, size_t rows, size_t cols, struct pm_gguf_writer *w, struct pm_err *e)
{
	size_t step = AT_ONCE / cols + 1, width = pm_dtype_bytes(it->src->type, cols), i, k;
	float *v = pm_alloc(step < rows ? step : rows, cols * sizeof *v, e);
	int r = v ? 0 : -1;

	for (i = 0; r == 0 && i < rows; i += k) {
		k = rows - i < step ? rows - i : step;
		pm_to_f32(v, it->src->data + i * width, it->src->type, k * cols);
		r = put_rows(it, v, k, cols, w, e);
	}
	free(v);
	return r;
}

/* A stack, one expert at a time. */
static int put_experts(const struct pm_convert *c, const struct convert_item *it, struct pm_gguf_writer *w, struct pm_err *e)
{
	const size_t n = it->count / it->view.dim[0], cols = (size_t)it->view.dim[it->view.nd - 1];
	float *v = pm_alloc(n, sizeof *v, e);
	size_t x;
	int r = v ? 0 : -1;

	for (x = 0; r == 0 && x < it->view.dim[0]; x++) {
		r = expert_values(c, it, x, v, e);
		if (r == 0)
			r = put_rows(it, v, n / cols, cols, w, e);
	}
	free(v);
	return r;
}

/* A tensor whose bytes are the file's, or become so by exchanging rows; 1: it is none of these. */
static int put_bytes(const struct pm_convert *c, size_t i, struct pm_gguf_writer *w, struct pm_err *e)
{
	void *raw = pm_alloc(1, c->item[i].view.bytes, e);
	int r = raw ? pm_convert_bytes(c, i, raw) : -1;

	r = !raw ? -1 : r < 0 ? 1 : pm_gguf_put(w, raw, c->item[i].view.bytes, e);
	free(raw);
	return r;
}

static int put(const struct pm_convert *c, size_t i, struct pm_gguf_writer *w, struct pm_err *e)
{
	const struct convert_item *it = &c->item[i];
	const size_t cols = (size_t)it->view.dim[it->view.nd - 1], rows = it->count / cols;
	bool turned = !it->src || it->turn || it->t->permute || it->t->plus || it->t->hf_transposed;
	float *v;
	int r;

	if (!turned && it->src->type == it->view.type)
		return pm_gguf_put(w, it->src->data, it->view.bytes, e);
	if (!turned)
		return put_as_it_lies(it, rows, cols, w, e);
	if (it->view.type == PM_MXFP4 && (r = put_bytes(c, i, w, e)) <= 0)
		return r;
	if (it->t && it->t->experts)
		return put_experts(c, it, w, e);
	v = pm_alloc(it->count, sizeof *v, e);
	r = v ? pm_convert_values(c, i, v, e) : -1;
	if (r == 0)
		r = put_rows(it, v, rows, cols, w, e);
	free(v);
	return r < 0 ? pm_ctx(e, "tensor '%.200s'", it->view.name) : 0;
}

int pm_convert_write(const struct pm_convert *c, const char *path, struct pm_err *e)
{
	struct pm_gguf_writer *w = NULL;
	size_t i;
	int r = pm_gguf_begin(&w, path, 0, e);

	if (r < 0)
		return -1;
	for (i = 0; r == 0 && i < pm_gguf_keys(c->header); i++)
		r = pm_gguf_put_key(w, pm_gguf_key_at(c->header, i), e);
	for (i = 0; r == 0 && i < c->n; i++)
		r = pm_gguf_declare(w, c->item[i].view.name, c->item[i].view.type, c->item[i].view.nd, c->item[i].view.dim, e);
	for (i = 0; r == 0 && i < c->n; i++)
		r = put(c, i, w, e);
	if (r == 0)
		return pm_gguf_end(w, e);
	pm_gguf_abort(w);
	return -1;
}
