#include "quant/published.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "quant/hold.h"
#include "quant/published_private.h"
#include "quant/quant.h"
#include "quant/scaled.h"

void published_keep_free(void *p)
{
	struct keep *k = p;
	size_t i;

	for (i = 0; i < k->n; i++)
		free((void *)(size_t)k->view[i].data);
	free(k->view);
	pm_arena_free(&k->names);
	free(k);
}

/* NAME.part; NULL: absent. A part that is found is marked: it is there no longer. */
int published_part(const struct pm_view **out, struct reading *r, const char *name, const char *what, struct pm_err *e)
{
	char full[600];

	snprintf(full, sizeof full, "%.400s%s", name, what);
	*out = pm_store_find(r->store, full);
	if (!*out)
		return 0;
	if (pm_grow(&r->gone, &r->cap, r->ngone + 1, sizeof *r->gone, e) < 0)
		return -1;
	r->gone[r->ngone++] = *out;
	return 0;
}

/* The same of a part that has to be there, with a type. */
int published_need(const struct pm_view **out, struct reading *r, const char *name, const char *what, enum pm_dtype type, struct pm_err *e)
{
	if (published_part(out, r, name, what, e) < 0)
		return -1;
	if (!*out)
		return pm_fail(e, PM_DATA, "tensor '%s%s' is not there", name, what);
	if (type != PM_DTYPE_NONE && (*out)->type != type)
		return pm_fail(e, PM_DATA, "tensor '%s%s': %s was wanted, not %s", name, what, pm_dtype(type)->name, pm_dtype((*out)->type)->name);
	return 0;
}

size_t published_count(const struct pm_view *v)
{
	return v->bytes / (size_t)pm_dtype(v->type)->bytes;
}

static bool is_float(enum pm_dtype t)
{
	return t == PM_F32 || t == PM_F16 || t == PM_BF16;
}

int published_misfit(const char *name, const char *what, struct pm_err *e)
{
	return pm_fail(e, PM_DATA, "tensor '%s%s' does not fit the weight's shape", name, what);
}

float published_scalar(const struct pm_view *v)
{
	float f;

	pm_quant_to_f32(&f, v->data, v->type, 1);
	return f;
}

/* Decodes row by row and puts NAME.weight in the place of the parts. */
static int finish(struct reading *r, const struct weight *k, int nd, const uint64_t *dim, struct pm_err *e)
{
	const bool blocks = r->blocks && k->blocks && k->held != PM_DTYPE_NONE;
	struct pm_view v = {.type = blocks ? k->held : r->type, .nd = nd};
	size_t size = pm_dtype_bytes(v.type, k->cols), i;
	float *row = pm_alloc(k->cols, sizeof *row, e);
	uint8_t *data = k->rows && k->cols > SIZE_MAX / 4 / k->rows ? NULL : pm_alloc(k->rows, size, e);
	int d;

	v.name = k->as ? pm_arena_printf(&r->keep->names, e, "%s", k->as) : pm_arena_printf(&r->keep->names, e, "%s.weight", k->name);
	if (!row || !data || !v.name || pm_grow(&r->keep->view, &r->keep->cap, r->keep->n + 1, sizeof *r->keep->view, e) < 0) {
		free(row);
		free(data);
		return pm_fail(e, PM_SOFTWARE, "tensor '%s.weight': no memory for %zu × %zu values", k->name, k->rows, k->cols);
	}
	for (i = 0; i < k->rows; i++) {
		if (blocks) {
			k->blocks(data + i * size, k, i);
			continue;
		}
		k->row(row, k, i);
		pm_from_f32(data + i * size, r->type, row, k->cols);
	}
	for (d = 0; d < nd; d++)
		v.dim[d] = dim[d];
	v.data = data;
	v.bytes = k->rows * size;
	r->keep->view[r->keep->n++] = v;
	free(row);
	return 0;
}

int published_finish2(struct reading *r, const struct weight *k, struct pm_err *e)
{
	const uint64_t dim[2] = {k->rows, k->cols};

	return finish(r, k, 2, dim, e);
}

static void affine_row(float *out, const struct weight *k, size_t row)
{
	size_t groups = k->cols / (size_t)k->affine.group, size = (size_t)pm_dtype(k->scales->type)->bytes;

	pm_affine_to_f32(out, &k->affine, k->w->data + row * (k->cols * (size_t)k->affine.bits / 8), k->scales->data + row * groups * size,
		k->extra->data + row * groups * size, k->cols);
}

static void affine_blocks(uint8_t *out, const struct weight *k, size_t row)
{
	size_t groups = k->cols / (size_t)k->affine.group, size = (size_t)pm_dtype(k->scales->type)->bytes;

	pm_hold_affine_blocks(out, &k->affine, k->w->data + row * (k->cols * (size_t)k->affine.bits / 8), k->scales->data + row * groups * size,
		k->extra->data + row * groups * size, k->cols);
}

static void groups_blocks(uint8_t *out, const struct weight *k, size_t row)
{
	pm_hold_groups_blocks(out, k->w->data + row * (k->cols / 2), k->scales->data + row * (k->cols / 32), k->cols);
}

static void groups_row(float *out, const struct weight *k, size_t row)
{
	size_t bytes = k->groups.wide ? k->cols : k->cols / 2;

	pm_float_groups_to_f32(out, &k->groups, k->w->data + row * bytes, k->scales->data + row * (k->cols / (size_t)k->groups.group), k->cols);
}

int64_t published_integer(const json_t *o, const char *key, int64_t absent)
{
	const json_t *v = json_object_get(o, key);

	return json_is_integer(v) ? json_integer_value(v) : absent;
}

/* The settings of a layer of MLX: its own, else the model's. */
static const json_t *mlx_settings(const struct reading *r, const char *name)
{
	const json_t *own = json_object_get(r->config, name);

	return json_is_object(own) ? own : r->config;
}

static int read_mlx(struct reading *r, const char *name, struct pm_err *e)
{
	const json_t *o = mlx_settings(r, name);
	const char *mode = json_string_value(json_object_get(o, "mode"));
	int64_t bits = published_integer(o, "bits", published_integer(r->config, "bits", 4)), group = published_integer(o, "group_size", published_integer(r->config, "group_size", 64));
	struct weight k = {.name = name};
	bool affine = !mode || !strcmp(mode, "affine");
	uint64_t dim[PM_MAX_DIMS];
	int d;

	if (published_need(&k.w, r, name, ".weight", PM_U32, e) < 0 || published_need(&k.scales, r, name, ".scales", affine ? PM_DTYPE_NONE : PM_U8, e) < 0)
		return -1;
	if (affine && published_need(&k.extra, r, name, ".biases", k.scales->type, e) < 0)
		return -1;
	if (bits < 2 || bits > 8 || bits == 7 || group < 16 || group > 1024 || group % 16 || (affine && !is_float(k.scales->type)))
		return pm_fail(e, PM_DATA, "tensor '%s.scales': %lld bits in groups of %lld of %s are not known", name, (long long)bits, (long long)group,
			pm_dtype(k.scales->type)->name);
	if (k.w->nd < 2 || k.scales->nd != k.w->nd || k.scales->dim[k.w->nd - 1] > (uint64_t)1 << 40)
		return published_misfit(name, ".scales", e);
	k.cols = (size_t)k.scales->dim[k.w->nd - 1] * (size_t)group;
	for (d = 0, k.rows = 1; d < k.w->nd - 1; d++) {
		dim[d] = k.w->dim[d];
		k.rows *= (size_t)dim[d];
		if (k.scales->dim[d] != dim[d])
			return published_misfit(name, ".scales", e);
	}
	dim[d] = k.cols;
	if ((uint64_t)k.cols * (uint64_t)bits != k.w->dim[d] * 32 || (affine && k.extra->bytes != k.scales->bytes))
		return published_misfit(name, ".weight", e);
	k.affine = (struct pm_affine){(int)bits, (int)group, k.scales->type};
	k.row = affine_row;
	k.blocks = affine_blocks;
	if (affine)
		k.held = pm_hold_affine(&k.affine, k.scales->data, k.extra->data, published_count(k.scales), k.cols);
	if (!affine) {
		bool four = !strcmp(mode, "mxfp4"), eight = !strcmp(mode, "mxfp8"), nv = !strcmp(mode, "nvfp4");

		if (!(four || eight || nv) || bits != (eight ? 8 : 4))
			return pm_fail(e, PM_DATA, "quantization.mode '%.100s' with %lld bits is not known", mode, (long long)bits);
		k.groups = (struct pm_float_groups){.wide = eight, .powers = !nv, .group = (int)group};
		k.row = groups_row;
		k.blocks = groups_blocks;
		k.held = pm_hold_groups(&k.groups, k.cols);
	}
	return finish(r, &k, k.w->nd, dim, e);
}

static void ints_row(float *out, const struct weight *k, size_t row)
{
	pm_int_matrix_row(out, &k->ints, row);
}

/* GPTQ and AWQ. */
static int read_ints(struct reading *r, const char *name, struct pm_err *e)
{
	const char *format = json_string_value(json_object_get(r->config, "checkpoint_format"));
	struct pm_int_matrix *m;
	struct weight k = {.name = name, .row = ints_row};
	const struct pm_view *idx = NULL;
	int64_t bits = published_integer(r->config, "bits", 4);
	bool gptq = r->method == GPTQ;
	size_t i;

	m = &k.ints;
	if (published_need(&k.w, r, name, ".qweight", PM_I32, e) < 0 || published_need(&k.scales, r, name, ".scales", PM_DTYPE_NONE, e) < 0 ||
		published_need(&k.extra, r, name, ".qzeros", PM_I32, e) < 0 || (gptq && published_part(&idx, r, name, ".g_idx", e) < 0))
		return -1;
	if ((bits != 2 && bits != 3 && bits != 4 && bits != 8) || (!gptq && bits != 4))
		return pm_fail(e, PM_DATA, "quantization_config.bits is %lld", (long long)bits);
	if (k.w->nd != 2 || k.scales->nd != 2 || k.extra->nd != 2 || !is_float(k.scales->type))
		return published_misfit(name, ".scales", e);
	*m = (struct pm_int_matrix){.layout = gptq ? PM_INT_GPTQ : PM_INT_AWQ, .bits = (int)bits, .out = (size_t)k.scales->dim[1], .groups = (size_t)k.scales->dim[0],
		.codes = k.w->data, .zeros = k.extra->data, .scales = k.scales->data, .scale_type = k.scales->type,
		.minus_one = gptq && (!format || strcmp(format, "gptq_v2"))};
	m->in = gptq ? (size_t)k.w->dim[0] * 32 / (size_t)bits : (size_t)k.w->dim[0];
	if ((gptq ? k.w->dim[1] : k.w->dim[1] * 8) != m->out || !m->groups || m->in % m->groups || (gptq && m->in * (size_t)bits != k.w->dim[0] * 32) ||
		k.extra->dim[0] != m->groups || k.extra->dim[1] * 32 != m->out * (uint64_t)bits)
		return published_misfit(name, ".qweight", e);
	m->group = m->in / m->groups;
	if (idx && (idx->type != PM_I32 || published_count(idx) != m->in))
		return published_misfit(name, ".g_idx", e);
	for (i = 0; idx && i < m->in; i++) {
		uint32_t g;

		memcpy(&g, idx->data + 4 * i, sizeof g);
		if (g >= m->groups)
			return published_misfit(name, ".g_idx", e);
	}
	m->g_idx = idx ? idx->data : NULL;
	k.rows = m->out;
	k.cols = m->in;
	return published_finish2(r, &k, e);
}

static int read_packed(struct reading *r, const char *name, struct pm_err *e)
{
	const json_t *groups = json_object_get(r->config, "config_groups"), *first = json_object_iter_value(json_object_iter((json_t *)(size_t)groups));
	struct weight k = {.name = name, .row = ints_row};
	int64_t bits = published_integer(json_object_get(first, "weights"), "num_bits", 4), shape[2];
	const struct pm_view *dims;
	struct pm_int_matrix *m = &k.ints;

	if (published_need(&k.w, r, name, ".weight_packed", PM_I32, e) < 0 || published_need(&k.scales, r, name, ".weight_scale", PM_DTYPE_NONE, e) < 0 ||
		published_need(&dims, r, name, ".weight_shape", PM_I64, e) < 0 || published_part(&k.extra, r, name, ".weight_zero_point", e) < 0)
		return -1;
	if (dims->bytes != sizeof shape || k.w->nd != 2 || k.scales->nd != 2 || !is_float(k.scales->type) || (bits != 2 && bits != 4 && bits != 8))
		return published_misfit(name, ".weight_shape", e);
	memcpy(shape, dims->data, sizeof shape);
	*m = (struct pm_int_matrix){.layout = PM_INT_COMPRESSED, .bits = (int)bits, .out = (size_t)k.w->dim[0], .groups = (size_t)k.scales->dim[1],
		.codes = k.w->data, .zeros = k.extra ? k.extra->data : NULL, .scales = k.scales->data, .scale_type = k.scales->type};
	if (shape[0] < 1 || shape[1] < 1 || shape[1] > (int64_t)1 << 40 || (uint64_t)shape[0] != k.w->dim[0] || k.scales->dim[0] != m->out || !m->groups ||
		(uint64_t)shape[1] % m->groups || k.w->dim[1] != ((uint64_t)shape[1] * (uint64_t)bits + 31) / 32)
		return published_misfit(name, ".weight_packed", e);
	if (k.extra && (k.extra->type != PM_I32 || k.extra->bytes != (m->out * (size_t)bits + 31) / 32 * m->groups * 4))
		return published_misfit(name, ".weight_zero_point", e);
	m->in = (size_t)shape[1];
	m->group = m->in / m->groups;
	k.rows = m->out;
	k.cols = m->in;
	return published_finish2(r, &k, e);
}

/* NVFP4 of compressed-tensors (the scale of the tensor divides) and of ModelOpt (it multiplies). */
static int read_nvfp4(struct reading *r, const char *name, bool divide, struct pm_err *e)
{
	struct weight k = {.name = name, .row = groups_row, .groups = {.group = 16}};
	const struct pm_view *input;

	if (published_need(&k.w, r, name, divide ? ".weight_packed" : ".weight", PM_U8, e) < 0 || published_need(&k.scales, r, name, ".weight_scale", PM_F8_E4M3, e) < 0 ||
		published_need(&k.extra, r, name, divide ? ".weight_global_scale" : ".weight_scale_2", PM_F32, e) < 0 ||
		published_part(&input, r, name, divide ? ".input_global_scale" : ".input_scale", e) < 0)
		return -1;
	if (k.w->nd != 2 || k.scales->nd != 2 || k.scales->dim[0] != k.w->dim[0] || k.scales->dim[1] * 8 != k.w->dim[1] || published_count(k.extra) != 1)
		return published_misfit(name, ".weight_scale", e);
	*(divide ? &k.groups.divide : &k.groups.multiply) = published_scalar(k.extra);
	k.rows = (size_t)k.w->dim[0];
	k.cols = (size_t)k.w->dim[1] * 2;
	return published_finish2(r, &k, e);
}

static void fp8_row(float *out, const struct weight *k, size_t row)
{
	size_t i, size = (size_t)pm_dtype(k->scales->type)->bytes, across = (k->cols + k->block[1] - 1) / k->block[1];
	float s = 0;

	pm_quant_to_f32(out, k->w->data + row * k->cols, PM_F8_E4M3, k->cols);
	for (i = 0; i < k->cols; i++) {
		if (i % k->block[1] == 0)
			pm_quant_to_f32(&s, k->scales->data + size * (row / k->block[0] * across + i / k->block[1]), k->scales->type, 1);
		out[i] *= s;
	}
}

/* FP8: scales of blocks (weight_scale_inv), of rows or of the tensor (weight_scale). */
static int read_fp8(struct reading *r, const char *name, const char *scale, struct pm_err *e)
{
	const json_t *size = json_object_get(r->config, "weight_block_size");
	int64_t b0 = json_integer_value(json_array_get(size, 0)), b1 = json_integer_value(json_array_get(size, 1));
	struct weight k = {.name = name, .row = fp8_row};
	const struct pm_view *input;
	size_t n;

	if (published_need(&k.w, r, name, ".weight", PM_F8_E4M3, e) < 0 || published_need(&k.scales, r, name, scale, PM_DTYPE_NONE, e) < 0 || published_part(&input, r, name, ".input_scale", e) < 0)
		return -1;
	if (k.w->nd != 2 || !is_float(k.scales->type) || !k.w->dim[0] || !k.w->dim[1])
		return published_misfit(name, scale, e);
	n = published_count(k.scales);
	k.rows = (size_t)k.w->dim[0];
	k.cols = (size_t)k.w->dim[1];
	k.block[0] = n == 1 ? k.rows : !strcmp(scale, ".weight_scale") ? 1 : b0 > 0 && b0 < 65536 ? (size_t)b0 : 128;
	k.block[1] = n == 1 || !strcmp(scale, ".weight_scale") ? k.cols : b1 > 0 && b1 < 65536 ? (size_t)b1 : 128;
	if (n != ((k.rows + k.block[0] - 1) / k.block[0]) * ((k.cols + k.block[1] - 1) / k.block[1]))
		return published_misfit(name, scale, e);
	return published_finish2(r, &k, e);
}

/* gpt-oss: NAME_blocks (…, out, in/32, 16) and NAME_scales (…, out, in/32). What they become is called NAME_blocks, too, and is (…, out, in): plain files
 * have the matrix as NAME, (…, in, out). */
static int read_mxfp4(struct reading *r, const struct pm_view *v, const char *name, struct pm_err *e)
{
	struct weight k = {.name = name, .as = v->name, .row = groups_row, .blocks = groups_blocks, .groups = {.powers = true, .group = 32}};
	const int nd = v->nd - 1;
	uint64_t dim[PM_MAX_DIMS];
	int d;

	if (published_need(&k.w, r, name, "_blocks", PM_U8, e) < 0 || published_need(&k.scales, r, name, "_scales", PM_U8, e) < 0)
		return -1;
	if (nd < 2 || v->dim[nd] != 16 || k.scales->nd != nd || v->dim[nd - 1] > (uint64_t)1 << 40)
		return published_misfit(name, "_blocks", e);
	for (d = 0, k.rows = 1; d < nd; d++) {
		dim[d] = v->dim[d];
		if (k.scales->dim[d] != dim[d])
			return published_misfit(name, "_scales", e);
		k.rows *= d < nd - 1 ? (size_t)dim[d] : 1;
	}
	dim[nd - 1] *= 32;
	k.cols = (size_t)dim[nd - 1];
	k.held = pm_hold_groups(&k.groups, k.cols);
	return finish(r, &k, nd, dim, e);
}

/* The tensor whose name ends so begins a weight. */
static const char *const begins[][2] = {
	[MLX] = {".scales", NULL}, [BNB] = {".SCB", NULL}, [GPTQ] = {".qweight", NULL}, [AWQ] = {".qweight", NULL},
	[COMPRESSED] = {".weight_packed", ".weight_scale"}, [FP8] = {".weight_scale_inv", ".weight_scale"}, [MODELOPT] = {".weight_scale_2", NULL},
	[MXFP4] = {"_blocks", NULL},
};

static bool ends(const char *name, const char *tail)
{
	size_t n = strlen(name), t = tail ? strlen(tail) : 0;

	return t && n > t && !strcmp(name + n - t, tail);
}

static int read_one(struct reading *r, const struct pm_view *v, const char *name, const char *tail, struct pm_err *e)
{
	switch (r->method) {
	case MLX: return read_mlx(r, name, e);
	case BNB: return published_int8(r, name, e);
	case GPTQ: case AWQ: return read_ints(r, name, e);
	case MODELOPT: return read_nvfp4(r, name, false, e);
	case MXFP4: return read_mxfp4(r, v, name, e);
	case COMPRESSED:
		if (!strcmp(tail, ".weight_packed"))
			return v->type == PM_U8 ? read_nvfp4(r, name, true, e) : read_packed(r, name, e);
		return read_fp8(r, name, tail, e);
	default: return read_fp8(r, name, tail, e);
	}
}

/* Whether a weight_scale is that of a weight_packed, which was or will be met. */
static bool other_part(const struct reading *r, const char *name, const char *tail)
{
	char full[600];

	if (r->method != COMPRESSED || strcmp(tail, ".weight_scale"))
		return false;
	snprintf(full, sizeof full, "%.400s.weight_packed", name);
	return pm_store_find(r->store, full) != NULL;
}

static int look_at(struct reading *r, const struct pm_view *v, struct pm_err *e)
{
	const char *mark = strstr(v->name, ".weight.quant_state.bitsandbytes__"), *tail = NULL;
	char name[401];
	int i;

	for (i = 0; i < 2 && !tail; i++)
		tail = ends(v->name, begins[r->method][i]) ? begins[r->method][i] : NULL;
	if (r->method == BNB && mark)
		tail = mark;
	if (!tail)
		return 0;
	if (strlen(v->name) - strlen(tail) > 400)
		return pm_fail(e, PM_DATA, "tensor '%.100s…': a name of 400 bytes at most was wanted", v->name);
	snprintf(name, sizeof name, "%.*s", (int)(strlen(v->name) - strlen(tail)), v->name);
	if (other_part(r, name, tail))
		return 0;
	if (tail != mark)
		return read_one(r, v, name, tail, e);
	if (pm_grow(&r->gone, &r->cap, r->ngone + 1, sizeof *r->gone, e) < 0)
		return -1;
	r->gone[r->ngone++] = v;
	return published_bnb4(r, name, v, e);
}

/* How a model was quantised, by its config.json; NONE where it was not. */
static int method_of(struct reading *r, const json_t *config, struct pm_err *e)
{
	static const struct {
		const char *name;
		enum method method;
	} known[] = {{"bitsandbytes", BNB}, {"gptq", GPTQ}, {"awq", AWQ}, {"compressed-tensors", COMPRESSED}, {"fp8", FP8}, {"modelopt", MODELOPT},
		{"mxfp4", MXFP4}};
	const json_t *mlx = json_object_get(config, "quantization"), *o = json_object_get(config, "quantization_config");
	const char *name = json_string_value(json_object_get(o, "quant_method"));
	size_t i;

	r->config = json_is_object(mlx) ? mlx : o;
	if (json_is_object(mlx) || (json_is_object(o) && !name && json_object_get(o, "group_size")))
		r->method = MLX;
	for (i = 0; r->method == NONE && name && i < sizeof known / sizeof *known; i++)
		if (!strcmp(name, known[i].name))
			r->method = known[i].method;
	if (r->method == NONE && json_is_object(o))
		return pm_fail(e, PM_DATA, "quantization_config.quant_method '%.100s' is not known", name ? name : "");
	return 0;
}

static int decode(struct pm_store *s, const json_t *config, enum pm_dtype type, bool blocks, struct pm_err *e)
{
	struct reading r = {.store = s, .type = type, .blocks = blocks};
	size_t i;
	int x;

	if (method_of(&r, config, e) < 0)
		return -1;
	if (r.method == NONE)
		return 0;
	r.keep = pm_alloc(1, sizeof *r.keep, e);
	x = r.keep ? 0 : -1;
	for (i = 0; x == 0 && i < pm_store_count(s); i++)
		x = look_at(&r, pm_store_at(s, i), e);
	if (x == 0)
		x = pm_store_substitute(s, r.gone, r.ngone, r.keep->view, r.keep->n, r.keep, published_keep_free, e);
	else if (r.keep)
		published_keep_free(r.keep);
	free(r.gone);
	return x;
}

int pm_published_open(struct pm_store **out, const char *path, enum pm_dtype type, bool blocks, struct pm_err *e)
{
	char *file = pm_is_dir(path) ? pm_path(path, "config.json", e) : NULL;
	json_t *config = NULL;
	int r;

	*out = NULL;
	if (pm_is_dir(path) && !file)
		return -1;
	r = pm_store_open(out, path, e);
	if (r == 0 && file && pm_exists(file)) {
		config = pm_json_file(file, e);
		r = config ? decode(*out, config, type, blocks, e) : -1;
	} else if (r == 0 && pm_store_gguf(*out)) {
		r = pm_scaled_substitute(*out, type, e);
	}
	if (r < 0 && *out) {
		pm_store_close(*out);
		*out = NULL;
		if (config || !file)            /* pm_json_file has named it */
			pm_ctx(e, "%s", path);
	}
	json_decref(config);
	free(file);
	return r;
}
