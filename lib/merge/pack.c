#include "merge/pack.h"

#include <dirent.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "io/shards.h"
#include "io/store.h"
#include "quant/packed.h"
#include "quant/quant.h"
#include "spec/spec.h"

#define NESTED 256              /* scales that share one */

/* One tensor of the output: part `part` of a weight that is quantised, or a tensor as it was. */
struct out {
	const struct pm_view *from;
	int part;                       /* −1: as it was */
	const char *state;              /* bitsandbytes' quant_state */
};

enum { CODES, SCALES, BIASES, MAP = 2, NESTED_SCALES, NESTED_MAP, STATES };

struct packing {
	const struct pm_pack_opts *o;
	struct pm_store *store;
	struct pm_spec *spec;
	struct pm_arena names;
	struct pm_shard_tensor *t;
	struct out *out;
	size_t n, cap_t, cap_out;
	const struct pm_view *held;     /* whose parts these are: */
	uint8_t *codes, *scales, *biases;
	float *absmax, *nested;
	float map[256], offset;
	size_t codes_bytes, scales_bytes, blocks;
};

static size_t values_of(const struct pm_view *v)
{
	return (size_t)(v->dim[0] * v->dim[1]);
}

/* Whether a tensor is quantised; *kept counts those that are not because their columns do not fit. */
static bool chosen(const struct packing *p, const struct pm_view *v, uint64_t *kept)
{
	const struct pm_tensor_spec *t = NULL;
	bool mlx = p->o->kind == PM_PACK_MLX, embed, head;
	size_t i;

	for (i = 0; i < p->spec->ntensors && !t; i++)
		if (!strcmp(p->spec->tensor[i].file, v->name))
			t = &p->spec->tensor[i];
	if (!t || v->nd != 2 || t->transposed || (v->type != PM_F32 && v->type != PM_F16 && v->type != PM_BF16))
		return false;
	embed = !strcmp(t->role, "text.embed");
	head = !strcmp(t->role, "text.head");
	if (mlx ? strcmp(t->use, "linear") && !embed && !head : strcmp(t->use, "linear") || head)
		return false;
	if (v->dim[1] % (uint64_t)(mlx ? p->o->group : 2) == 0)
		return true;
	++*kept;
	return false;
}

static int add(struct packing *p, const struct pm_view *v, const char *tail, int part, enum pm_dtype type, int nd, uint64_t rows, uint64_t cols,
	struct pm_err *e)
{
	struct pm_shard_tensor t = {.name = v->name, .type = type, .nd = nd, .dim = {rows, cols}};

	if (pm_grow(&p->t, &p->cap_t, p->n + 1, sizeof *p->t, e) < 0 || pm_grow(&p->out, &p->cap_out, p->n + 1, sizeof *p->out, e) < 0)
		return -1;
	if (part > CODES)
		t.name = pm_arena_printf(&p->names, e, "%.*s%s", (int)(strlen(v->name) - strlen(".weight")), v->name, tail);
	if (!t.name)
		return -1;
	if (part < 0)
		memcpy(t.dim, v->dim, sizeof t.dim);
	p->t[p->n] = t;
	p->out[p->n++] = (struct out){v, part, NULL};
	return 0;
}

/* The mean of a weight's absmax, as double quantisation wants it; NAN without memory. */
static float offset_of(const struct packing *p, const struct pm_view *v, uint64_t blocks, struct pm_err *e)
{
	size_t n = values_of(v), i, at, len, size = (size_t)p->o->group;
	float *absmax = pm_alloc(blocks, sizeof *absmax, e), *x = pm_alloc(size, sizeof *x, e), *nested = pm_alloc(blocks, sizeof *nested, e), offset = NAN, m;
	uint8_t *bytes = pm_alloc(blocks, 1, e);

	if (absmax && x && nested && bytes) {
		for (at = 0; at < n; at += size) {
			len = n - at < size ? n - at : size;
			pm_to_f32(x, v->data + at * (size_t)pm_dtype(v->type)->bytes, v->type, len);
			for (i = 0, m = 0; i < len; i++)
				m = fmaxf(m, fabsf(x[i]));
			absmax[at / size] = m;
		}
		pm_bnb_nested_from_f32(bytes, nested, &offset, p->map, NESTED, absmax, blocks);
	}
	free(absmax);
	free(x);
	free(nested);
	free(bytes);
	return offset;
}

/* bitsandbytes' quant_state: JSON, its length known before the tensors are written. */
static const char *state_of(struct packing *p, const struct pm_view *v, uint64_t blocks, struct pm_err *e)
{
	const char *type = v->type == PM_F32 ? "float32" : v->type == PM_F16 ? "float16" : "bfloat16", *text = NULL;
	json_t *o = json_pack("{s:s,s:i,s:s,s:[I,I]}", "quant_type", p->o->kind == PM_PACK_NF4 ? "nf4" : "fp4", "blocksize", p->o->group, "dtype", type, "shape",
		(json_int_t)v->dim[0], (json_int_t)v->dim[1]);
	char *s;
	float f = p->o->twice ? offset_of(p, v, blocks, e) : 0;

	if (isnan(f)) {
		json_decref(o);
		return NULL;
	}
	if (o && p->o->twice) {
		json_object_set_new(o, "nested_blocksize", json_integer(NESTED));
		json_object_set_new(o, "nested_dtype", json_string("float32"));
		json_object_set_new(o, "nested_offset", json_real((double)f));
	}
	s = o ? json_dumps(o, 0) : NULL;
	if (s)
		text = pm_arena_printf(&p->names, e, "%s", s);
	else
		pm_fail(e, PM_SOFTWARE, "out of memory");
	free(s);
	json_decref(o);
	return text;
}

static int add_parts(struct packing *p, const struct pm_view *v, struct pm_err *e)
{
	uint64_t rows = v->dim[0], cols = v->dim[1], blocks = (rows * cols + (uint64_t)p->o->group - 1) / (uint64_t)p->o->group, groups;
	const char *state;
	bool twice = p->o->twice;
	size_t at;

	if (!pm_quant_finite(v->data, v->type, values_of(v), &at))
		return pm_fail(e, PM_DATA, "tensor '%s': value %zu is not finite", v->name, at);
	if (p->o->kind == PM_PACK_MLX) {
		groups = cols / (uint64_t)p->o->group;
		return add(p, v, NULL, CODES, PM_U32, 2, rows, cols * (uint64_t)p->o->bits / 32, e) < 0 ||
			add(p, v, ".scales", SCALES, v->type, 2, rows, groups, e) < 0 || add(p, v, ".biases", BIASES, v->type, 2, rows, groups, e) < 0 ? -1 : 0;
	}
	state = state_of(p, v, blocks, e);
	if (!state || add(p, v, NULL, CODES, PM_U8, 2, (rows * cols + 1) / 2, 1, e) < 0 ||
		add(p, v, ".weight.absmax", SCALES, twice ? PM_U8 : PM_F32, 1, blocks, 0, e) < 0 ||
		add(p, v, ".weight.quant_map", MAP, PM_F32, 1, 16, 0, e) < 0)
		return -1;
	if (twice && (add(p, v, ".weight.nested_absmax", NESTED_SCALES, PM_F32, 1, (blocks + NESTED - 1) / NESTED, 0, e) < 0 ||
		add(p, v, ".weight.nested_quant_map", NESTED_MAP, PM_F32, 1, 256, 0, e) < 0))
		return -1;
	if (add(p, v, p->o->kind == PM_PACK_NF4 ? ".weight.quant_state.bitsandbytes__nf4" : ".weight.quant_state.bitsandbytes__fp4", STATES, PM_U8, 1,
		strlen(state), 0, e) < 0)
		return -1;
	p->out[p->n - 1].state = state;
	return 0;
}

static void let_go(struct packing *p)
{
	free(p->codes);
	free(p->scales);
	free(p->biases);
	free(p->absmax);
	free(p->nested);
	p->codes = p->scales = p->biases = NULL;
	p->absmax = p->nested = NULL;
	p->held = NULL;
}

/* Quantises a weight; its parts are held until the next. */
static int hold(struct packing *p, const struct pm_view *v, struct pm_err *e)
{
	struct pm_affine a = {p->o->bits, p->o->group, v->type};
	size_t n = values_of(v), size = (size_t)pm_dtype(v->type)->bytes;
	bool mlx = p->o->kind == PM_PACK_MLX;
	float *x;

	if (p->held == v)
		return 0;
	let_go(p);
	p->blocks = (n + (size_t)p->o->group - 1) / (size_t)p->o->group;
	p->codes_bytes = mlx ? n * (size_t)p->o->bits / 8 : (n + 1) / 2;
	p->scales_bytes = p->blocks * (mlx ? size : p->o->twice ? 1 : 4);
	x = pm_alloc(n, sizeof *x, e);
	p->codes = pm_alloc(p->codes_bytes, 1, e);
	p->scales = pm_alloc(p->scales_bytes, 1, e);
	p->biases = pm_alloc(p->scales_bytes, 1, e);
	p->absmax = pm_alloc(p->blocks, sizeof *p->absmax, e);
	p->nested = pm_alloc((p->blocks + NESTED - 1) / NESTED, sizeof *p->nested, e);
	if (!x || !p->codes || !p->scales || !p->biases || !p->absmax || !p->nested) {
		free(x);
		return -1;
	}
	pm_to_f32(x, v->data, v->type, n);
	if (mlx) {
		pm_affine_from_f32(p->codes, p->scales, p->biases, &a, x, n);
	} else {
		pm_bnb4_from_f32(p->codes, p->absmax, p->o->kind == PM_PACK_NF4 ? pm_bnb_nf4 : pm_bnb_fp4, p->o->group, x, n);
		if (p->o->twice)
			pm_bnb_nested_from_f32(p->scales, p->nested, &p->offset, p->map, NESTED, p->absmax, p->blocks);
		else
			memcpy(p->scales, p->absmax, p->scales_bytes);
	}
	free(x);
	p->held = v;
	return 0;
}

static int put(void *arg, size_t i, struct pm_st_writer *w, struct pm_err *e)
{
	struct packing *p = arg;
	const struct pm_view *v = p->out[i].from;
	bool mlx = p->o->kind == PM_PACK_MLX;

	if (p->out[i].part < 0)
		return pm_st_put(w, v->data, v->bytes, e);
	if (hold(p, v, e) < 0)
		return -1;
	switch (p->out[i].part) {
	case CODES: return pm_st_put(w, p->codes, p->codes_bytes, e);
	case SCALES: return pm_st_put(w, p->scales, p->scales_bytes, e);
	case MAP:
		if (mlx)
			return pm_st_put(w, p->biases, p->scales_bytes, e);
		return pm_st_put(w, p->o->kind == PM_PACK_NF4 ? pm_bnb_nf4 : pm_bnb_fp4, 16 * sizeof(float), e);
	case NESTED_SCALES: return pm_st_put(w, p->nested, (p->blocks + NESTED - 1) / NESTED * sizeof *p->nested, e);
	case NESTED_MAP: return pm_st_put(w, p->map, sizeof p->map, e);
	default: return pm_st_put(w, p->out[i].state, strlen(p->out[i].state), e);
	}
}

static int write_config(const struct packing *p, const char *from, const char *to, struct pm_err *e)
{
	const char *type = pm_store_count(p->store) && pm_store_at(p->store, 0)->type == PM_BF16 ? "bfloat16" : "float32";
	char *in = pm_path(from, "config.json", e), *out = pm_path(to, "config.json", e);
	json_t *c = in && out ? pm_json_file(in, e) : NULL, *q;
	int r = -1;

	if (c && p->o->kind == PM_PACK_MLX) {
		q = json_pack("{s:i,s:i,s:s}", "group_size", p->o->group, "bits", p->o->bits, "mode", "affine");
		json_object_set(c, "quantization", q);
		json_object_set_new(c, "quantization_config", q);
	} else if (c) {
		q = json_pack("{s:s,s:b,s:b,s:b,s:b,s:s,s:s,s:b,s:s}", "quant_method", "bitsandbytes", "load_in_4bit", 1, "load_in_8bit", 0, "_load_in_4bit", 1,
			"_load_in_8bit", 0, "bnb_4bit_quant_type", p->o->kind == PM_PACK_NF4 ? "nf4" : "fp4", "bnb_4bit_compute_dtype", type,
			"bnb_4bit_use_double_quant", p->o->twice, "bnb_4bit_quant_storage", "uint8");
		json_object_set_new(c, "quantization_config", q);
	}
	if (c)
		r = pm_json_save(out, c, e);
	json_decref(c);
	free(in);
	free(out);
	return r;
}

static bool is_named(const char *name, const char *tail)
{
	size_t n = strlen(name), t = strlen(tail);

	return n >= t && !strcmp(name + n - t, tail);
}

/* What lies beside the tensors: tokenizer, template, defaults of generation. */
static int copy_beside(const char *from, const char *to, struct pm_err *e)
{
	DIR *d = opendir(from);
	struct dirent *x;
	int r = 0;

	if (!d)
		return pm_fail_errno(e, PM_NOINPUT, "%s", from);
	while (r == 0 && (x = readdir(d))) {
		char *a, *b;

		if (x->d_name[0] == '.' || !strcmp(x->d_name, "config.json") || is_named(x->d_name, ".index.json") ||
			!(is_named(x->d_name, ".json") || is_named(x->d_name, ".jinja") || is_named(x->d_name, ".model") || is_named(x->d_name, ".txt")))
			continue;
		a = pm_path(from, x->d_name, e);
		b = pm_path(to, x->d_name, e);
		r = a && b ? pm_copy_file(a, b, e) : -1;
		free(a);
		free(b);
	}
	closedir(d);
	return r;
}

static int list(struct packing *p, struct pm_pack_sums *s, struct pm_err *e)
{
	size_t i, k;
	int r = 0;

	for (i = 0; r == 0 && i < pm_store_count(p->store); i++) {
		const struct pm_view *v = pm_store_at(p->store, i);

		r = chosen(p, v, &s->kept) ? add_parts(p, v, e) : add(p, v, NULL, -1, v->type, v->nd, 0, 0, e);
		s->bytes_from += v->bytes;
		s->values += v->bytes / (size_t)pm_dtype(v->type)->bytes;
	}
	for (i = 0; r == 0 && i < p->n; i++) {
		uint64_t n = 1;

		for (k = 0; k < (size_t)p->t[i].nd; k++)
			n *= p->t[i].dim[k];
		s->bytes += pm_dtype_bytes(p->t[i].type, n);
	}
	return r;
}

int pm_pack_model(struct pm_pack_sums *sums, const char *from, const char *to, const struct pm_pack_opts *o, struct pm_err *e)
{
	struct packing p = {.o = o};
	json_t *meta = json_pack("{s:s}", "format", o->kind == PM_PACK_MLX ? "mlx" : "pt");
	int r = pm_store_open(&p.store, from, e);

	*sums = (struct pm_pack_sums){0};
	pm_bnb_map(p.map);
	if (r == 0)
		r = pm_spec_load(&p.spec, from, o->share, o->family, p.store, e);
	if (r == 0)
		r = pm_spec_check(p.spec, p.store, e);
	if (r == 0)
		r = list(&p, sums, e);
	if (r == 0)
		r = write_config(&p, from, to, e) < 0 || copy_beside(from, to, e) < 0 ? -1 : pm_shards_write(to, p.t, p.n, meta, put, &p, e);
	let_go(&p);
	free(p.t);
	free(p.out);
	pm_arena_free(&p.names);
	json_decref(meta);
	pm_spec_free(p.spec);
	if (p.store)
		pm_store_close(p.store);
	return r < 0 ? pm_ctx(e, "%s", from) : 0;
}
