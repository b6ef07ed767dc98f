#include "quant/scaled.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "quant/published_private.h"
#include "quant/quant.h"

const char *const pm_scale_tails[PM_SCALE_TAILS] = {"scale", "input_scale"};

bool pm_scale_name(char out[256], const char *weight, const char *tail)
{
	size_t n = strlen(weight);

	if (n < 8 || n > 200 || strcmp(weight + n - 7, ".weight"))
		return false;
	snprintf(out, 256, "%.*s.%s", (int)n - 7, weight, tail);
	return true;
}

static size_t experts_of(const struct pm_view *weight)
{
	return weight->nd > 2 ? (size_t)weight->dim[0] : 1;
}

static size_t count(const struct pm_view *v)
{
	return v->bytes / sizeof (float);
}

int pm_scale_fits(const struct pm_view *scale, const struct pm_view *weight, struct pm_err *e)
{
	size_t i;

	if (scale->type != PM_F32 || (count(scale) != 1 && count(scale) != experts_of(weight)))
		return pm_fail(e, PM_DATA, "tensor '%.200s': one number in f32, or one an expert, was wanted", scale->name);
	for (i = 0; i < count(scale); i++)
		if (!isfinite(pm_scale_at(scale, i)))
			return pm_fail(e, PM_DATA, "tensor '%.200s': value %zu is not finite", scale->name, i);
	return 0;
}

float pm_scale_at(const struct pm_view *scale, size_t expert)
{
	float f;

	memcpy(&f, scale->data + (count(scale) == 1 ? 0 : expert) * sizeof f, sizeof f);
	return f;
}

/* ---- in a store ---- */

static int make(struct keep *k, const struct pm_view *w, const struct pm_view *scale, enum pm_dtype type, struct pm_err *e)
{
	const size_t cols = (size_t)w->dim[w->nd - 1], n = w->bytes / (size_t)pm_dtype(w->type)->bytes * (size_t)pm_dtype(w->type)->block, rows = n / cols;
	const size_t in = pm_dtype_bytes(w->type, cols), out = pm_dtype_bytes(type, cols), each = rows / experts_of(w);
	float *row = pm_alloc(cols, sizeof *row, e), f;
	uint8_t *data = row ? pm_alloc(rows, out, e) : NULL;
	struct pm_view v = *w;
	size_t i, j;

	if (!data || pm_grow(&k->view, &k->cap, k->n + 1, sizeof *k->view, e) < 0) {
		free(data);
		free(row);
		return -1;
	}
	for (i = 0; i < rows; i++) {
		pm_quant_to_f32(row, w->data + i * in, w->type, cols);
		for (j = 0, f = pm_scale_at(scale, i / each); j < cols; j++)
			row[j] *= f;
		pm_from_f32(data + i * out, type, row, cols);
	}
	free(row);
	v.type = type;
	v.data = data;
	v.bytes = rows * out;
	k->view[k->n++] = v;
	return 0;
}

/* One weight, if it has a factor: *ngone grows by what is in its place. */
static int look_at(struct pm_store *s, const struct pm_view *w, enum pm_dtype type, struct keep *k, const struct pm_view ***gone, size_t *ngone, size_t *cap,
	struct pm_err *e)
{
	const struct pm_view *part[PM_SCALE_TAILS] = {NULL};
	char name[256];
	int i;

	for (i = 0; i < PM_SCALE_TAILS && pm_scale_name(name, w->name, pm_scale_tails[i]); i++)
		part[i] = pm_store_find(s, name);
	if (!part[0] && !part[1])
		return 0;
	if (pm_grow(gone, cap, *ngone + PM_SCALE_TAILS + 1, sizeof **gone, e) < 0)
		return -1;
	for (i = 0; i < PM_SCALE_TAILS; i++)
		if (part[i])
			(*gone)[(*ngone)++] = part[i];
	if (!part[0])
		return 0;
	(*gone)[(*ngone)++] = w;
	if (!w->nd || !w->bytes)
		return pm_fail(e, PM_DATA, "tensor '%.200s': a factor of nothing", part[0]->name);
	return pm_scale_fits(part[0], w, e) < 0 ? -1 : make(k, w, part[0], type, e);
}

int pm_scaled_substitute(struct pm_store *s, enum pm_dtype type, struct pm_err *e)
{
	struct keep *k = pm_alloc(1, sizeof *k, e);
	const struct pm_view **gone = NULL;
	size_t i, ngone = 0, cap = 0;
	int r = k ? 0 : -1;

	for (i = 0; r == 0 && i < pm_store_count(s); i++)
		r = look_at(s, pm_store_at(s, i), type, k, &gone, &ngone, &cap, e);
	if (r == 0 && ngone)
		r = pm_store_substitute(s, gone, ngone, k->view, k->n, k, published_keep_free, e);
	else if (k)
		published_keep_free(k);
	free(gone);
	return r;
}
