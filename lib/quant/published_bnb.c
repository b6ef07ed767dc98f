/* published_bnb.c: weights as bitsandbytes leaves them. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "quant/hold.h"
#include "quant/published_private.h"

static void bnb4_row(float *out, const struct weight *k, size_t row)
{
	pm_bnb4_to_f32(out, k->w->data, k->map, k->absmax, k->size, row * k->cols, k->cols);
}

static void bnb4_blocks(uint8_t *out, const struct weight *k, size_t row)
{
	pm_hold_bnb4_blocks(out, k->w->data, k->absmax, k->size, row * k->cols, k->cols);
}

static void int8_row(float *out, const struct weight *k, size_t row)
{
	float s = published_scalar(&(struct pm_view){.data = k->scales->data + 4 * row, .type = PM_F32});
	size_t i;

	for (i = 0; i < k->cols; i++)
		out[i] = (float)(int8_t)k->w->data[row * k->cols + i] * s / 127;
}

/* bitsandbytes' absmax, of two levels where `o` says so. */
static int bnb_absmax(struct weight *k, struct reading *r, const char *name, const json_t *o, size_t blocks, struct pm_err *e)
{
	const struct pm_view *am, *map, *nested;
	int64_t size = published_integer(o, "nested_blocksize", 0);
	float *values;

	k->absmax = pm_alloc(blocks, sizeof *k->absmax, e);
	if (!k->absmax || published_need(&am, r, name, ".weight.absmax", size ? PM_U8 : PM_F32, e) < 0)
		return -1;
	if (published_count(am) != blocks)
		return published_misfit(name, ".weight.absmax", e);
	if (!size) {
		pm_to_f32(k->absmax, am->data, PM_F32, blocks);
		return 0;
	}
	if (published_need(&map, r, name, ".weight.nested_quant_map", PM_F32, e) < 0 || published_need(&nested, r, name, ".weight.nested_absmax", PM_F32, e) < 0)
		return -1;
	if (size < 1 || size > 65536 || published_count(map) != 256 || published_count(nested) != (blocks + (size_t)size - 1) / (size_t)size)
		return published_misfit(name, ".weight.nested_absmax", e);
	values = pm_alloc(256 + published_count(nested), sizeof *values, e);
	if (!values)
		return -1;
	pm_to_f32(values, map->data, PM_F32, 256);
	pm_to_f32(values + 256, nested->data, PM_F32, published_count(nested));
	pm_bnb_nested_to_f32(k->absmax, am->data, values, values + 256, (int)size, (float)json_number_value(json_object_get(o, "nested_offset")), blocks);
	free(values);
	return 0;
}

int published_bnb4(struct reading *r, const char *name, const struct pm_view *state, struct pm_err *e)
{
	json_t *o = json_loadb((const char *)state->data, state->bytes, JSON_REJECT_DUPLICATES, NULL);
	const json_t *shape = json_object_get(o, "shape");
	struct weight k = {.name = name, .size = (int)published_integer(o, "blocksize", 0), .row = bnb4_row};
	int64_t rows = json_integer_value(json_array_get(shape, 0)), cols = json_integer_value(json_array_get(shape, 1));
	const struct pm_view *map;
	int s = -1;

	if (published_need(&k.w, r, name, ".weight", PM_U8, e) == 0 && published_need(&map, r, name, ".weight.quant_map", PM_F32, e) == 0) {
		if (!o || json_array_size(shape) != 2 || rows < 1 || cols < 1 || rows > INT64_MAX / 2 / cols || k.size < 2 || k.size > 65536 || published_count(map) != 16 ||
			(uint64_t)k.w->bytes != (uint64_t)(rows * cols + 1) / 2) {
			published_misfit(name, ".weight.quant_state", e);
		} else {
			k.rows = (size_t)rows;
			k.cols = (size_t)cols;
			pm_to_f32(k.map, map->data, PM_F32, 16);
			k.blocks = bnb4_blocks;
			k.held = pm_hold_bnb4(k.map, k.size, k.cols);
			s = bnb_absmax(&k, r, name, o, (k.rows * k.cols + (size_t)k.size - 1) / (size_t)k.size, e);
			s = s < 0 ? s : published_finish2(r, &k, e);
		}
	}
	free(k.absmax);
	json_decref(o);
	return s;
}

int published_int8(struct reading *r, const char *name, struct pm_err *e)
{
	struct weight k = {.name = name, .row = int8_row};
	const struct pm_view *format;

	if (published_need(&k.w, r, name, ".weight", PM_I8, e) < 0 || published_need(&k.scales, r, name, ".SCB", PM_F32, e) < 0 || published_part(&format, r, name, ".weight_format", e) < 0)
		return -1;
	if (k.w->nd != 2 || published_count(k.scales) != k.w->dim[0] || (format && (!format->bytes || format->data[0])))
		return published_misfit(name, ".SCB", e);
	k.rows = (size_t)k.w->dim[0];
	k.cols = (size_t)k.w->dim[1];
	return published_finish2(r, &k, e);
}
