/* Quantised weights of safetensors files: every golden row and matrix decoded bit for bit, and made with the same bytes. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "io/safetensors.h"
#include "quant/packed.h"
#include "tap.h"

static struct pm_err err;
static struct pm_safetensors *s;

static struct pm_safetensors *open_rows(const char *rel)
{
	struct pm_safetensors *f = NULL;

	if (!golden_path(rel))
		skip("golden data is not there");
	else
		check(pm_safetensors_open(&f, golden_path(rel), &err) == 0, "%s opens %s", rel, err.text);
	return f;
}

/* NAME.PART, or NULL. */
static const struct pm_view *part(const char *name, const char *what)
{
	char full[256];

	snprintf(full, sizeof full, "%s.%s", name, what);
	return pm_safetensors_find(s, full);
}

static int same(const float *a, const struct pm_view *v)
{
	return !memcmp(a, v->data, v->bytes);
}

static void affine_case(const char *name, int bits, int group, bool bf16)
{
	const struct pm_view *x = pm_safetensors_find(s, bf16 ? "x_bf16" : "x"), *w = part(name, "weight"), *sc = part(name, "scales"), *bi = part(name, "biases"),
		*back = part(name, bf16 ? "dequantised" : "f32");
	struct pm_affine a = {bits, group, bf16 ? PM_BF16 : PM_F32};
	size_t n, r, cols, size = bf16 ? 2 : 4, wrong = 0;
	uint8_t codes[256], scales[64], biases[64];
	float *values, *y;

	if (!check(x && w && sc && bi, "%s is there", name))
		return;
	cols = x->dim[1];
	n = x->dim[0] * cols;
	values = malloc(n * 4);
	y = malloc(n * 4);
	pm_to_f32(values, x->data, bf16 ? PM_BF16 : PM_F32, n);
	for (r = 0; r < x->dim[0]; r++) {
		size_t groups = cols / (size_t)group, row = cols * (size_t)bits / 8;

		pm_affine_from_f32(codes, scales, biases, &a, values + r * cols, cols);
		wrong += memcmp(codes, w->data + r * row, row) || memcmp(scales, sc->data + r * groups * size, groups * size) ||
			memcmp(biases, bi->data + r * groups * size, groups * size);
	}
	check(!wrong, "%s: %zu rows of %zu differ", name, wrong, (size_t)x->dim[0]);
	pm_affine_to_f32(y, &a, w->data, sc->data, bi->data, n);
	if (back && bf16) {
		double d = 0, all = 0;                  /* MLX rounds products to bf16 before it adds */

		pm_to_f32(values, back->data, PM_BF16, n);
		for (r = 0; r < n; r++) {
			d += ((double)y[r] - values[r]) * ((double)y[r] - values[r]);
			all += (double)y[r] * y[r];
		}
		check(d < 1e-4 * all, "%s: decoded, %.2g off", name, sqrt(d / all));
	} else if (back) {
		check(same(y, back), "%s: decoded", name);
	}
	free(values);
	free(y);
}

static void mlx(void)
{
	static const int bits[] = {2, 3, 4, 5, 6, 8}, groups[] = {32, 64, 128};
	static const struct {
		const char *name;
		struct pm_float_groups f;
	} modes[] = {{"mxfp4", {.powers = true, .group = 32}}, {"mxfp8", {.wide = true, .powers = true, .group = 32}}, {"nvfp4", {.group = 16}}};
	char name[64];
	size_t i, k;

	s = open_rows("fixtures/quant/mlx/rows.safetensors");
	if (!s)
		return;
	for (i = 0; i < 6; i++) {
		for (k = 0; k < 3; k++) {
			snprintf(name, sizeof name, "affine.b%d.g%d", bits[i], groups[k]);
			affine_case(name, bits[i], groups[k], false);
		}
	}
	affine_case("affine.bf16.b3.g64", 3, 64, true);
	affine_case("affine.bf16.b4.g64", 4, 64, true);
	affine_case("affine.bf16.b8.g32", 8, 32, true);
	for (i = 0; i < 3; i++) {
		const struct pm_view *w = part(modes[i].name, "weight"), *sc = part(modes[i].name, "scales"), *f = part(modes[i].name, "f32");
		float *y;

		if (!check(w && sc && f, "%s is there", modes[i].name))
			continue;
		y = malloc(f->bytes);
		pm_float_groups_to_f32(y, &modes[i].f, w->data, sc->data, f->bytes / 4);
		check(same(y, f), "%s: decoded", modes[i].name);
		free(y);
	}
	pm_safetensors_close(s);
}

/* One of bitsandbytes' tensors: made and read. */
static void bnb_case(const char *kind, int block, bool nested, const float *map)
{
	char name[64];
	const struct pm_view *x = pm_safetensors_find(s, "x"), *w, *am, *f, *qm, *state, *nm = NULL, *na = NULL;
	size_t n = x->bytes / 4, blocks = n / (size_t)block, i;
	uint8_t *codes = malloc(n / 2), *bytes = malloc(blocks);
	float *absmax = malloc(blocks * 4), *y = malloc(n * 4), own[256], got[64], offset = 0;
	int wrong = 0;

	snprintf(name, sizeof name, "%s.b%d%s", kind, block, nested ? ".double" : "");
	w = part(name, "weight");
	am = part(name, "weight.absmax");
	f = part(name, "f32");
	qm = part(name, "weight.quant_map");
	snprintf(name, sizeof name, "%s.b%d%s.weight.quant_state.bitsandbytes__%s", kind, block, nested ? ".double" : "", kind);
	state = pm_safetensors_find(s, name);
	snprintf(name, sizeof name, "%s.b%d%s", kind, block, nested ? ".double" : "");
	if (!check(w && am && f && qm && state && same(map, qm), "%s is there, with our map", name))
		return;
	pm_bnb4_from_f32(codes, absmax, map, block, (const float *)x->data, n);
	for (i = 0; i < n; i++)
		wrong += (codes[i / 2] >> 4 * (i & 1) & 15) != (w->data[i / 2] >> 4 * (i & 1) & 15);
	check(!wrong, "%s: %d codes differ", name, wrong);
	if (nested) {
		json_t *o = json_loadb((const char *)state->data, state->bytes, 0, NULL);

		nm = part(name, "weight.nested_quant_map");
		na = part(name, "weight.nested_absmax");
		pm_bnb_map(own);
		for (i = 0, wrong = 0; i < 256; i++)
			wrong += own[i] != ((const float *)nm->data)[i];
		check(!wrong, "%s: the map of 256: %d differ", name, wrong);
		pm_bnb_nested_from_f32(bytes, got, &offset, (const float *)nm->data, 256, absmax, blocks);
		check(fabs((double)offset - json_real_value(json_object_get(o, "nested_offset"))) <= 1e-6 * (double)offset, "%s: offset %g", name, (double)offset);
		check(fabsf(got[0] - *(const float *)na->data) <= 1e-6f * got[0] && !memcmp(bytes, am->data, blocks), "%s: absmax as bytes", name);
		offset = (float)json_real_value(json_object_get(o, "nested_offset"));
		pm_bnb_nested_to_f32(absmax, am->data, (const float *)nm->data, (const float *)na->data, 256, offset, blocks);
		json_decref(o);
	} else {
		check(same(absmax, am), "%s: absmax", name);
	}
	pm_bnb4_to_f32(y, w->data, map, absmax, block, 0, n);
	check(same(y, f), "%s: decoded", name);
	pm_bnb4_to_f32(y, w->data, map, absmax, block, 256, 256);
	check(!memcmp(y, f->data + 1024, 1024), "%s: a row of it", name);
	free(codes);
	free(bytes);
	free(absmax);
	free(y);
}

static void bnb(void)
{
	int block, nested;

	s = open_rows("fixtures/quant/bnb/rows.safetensors");
	if (!s)
		return;
	for (block = 64; block <= 128; block *= 2) {
		for (nested = 0; nested < 2; nested++) {
			bnb_case("nf4", block, nested, pm_bnb_nf4);
			bnb_case("fp4", block, nested, pm_bnb_fp4);
		}
	}
	pm_safetensors_close(s);
}

static void int_case(const char *name, enum pm_int_layout layout, int bits, bool minus_one)
{
	bool ct = layout == PM_INT_COMPRESSED;
	const struct pm_view *f = part(name, "dequantised"), *q = part(name, ct ? "weight_packed" : "qweight"), *z = part(name, ct ? "weight_zero_point" : "qzeros"),
		*sc = part(name, ct ? "weight_scale" : "scales"), *g = part(name, "g_idx");
	struct pm_int_matrix m = {.layout = layout, .bits = bits, .minus_one = minus_one};
	size_t o, wrong = 0;
	float *y;

	if (!check(f && q && sc, "%s is there", name))
		return;
	m.out = f->dim[0];
	m.in = f->dim[1];
	m.groups = sc->dim[ct ? 1 : 0];
	m.group = m.in / m.groups;
	m.codes = q->data;
	m.zeros = z ? z->data : NULL;
	m.scales = sc->data;
	m.scale_type = sc->type;
	m.g_idx = g ? g->data : NULL;
	y = malloc(m.in * 4);
	for (o = 0; o < m.out; o++) {
		pm_int_matrix_row(y, &m, o);
		wrong += memcmp(y, f->data + o * m.in * 4, m.in * 4) != 0;
	}
	check(!wrong, "%s: %zu rows of %zu differ", name, wrong, m.out);
	free(y);
}

static void integers(void)
{
	static const char *const kinds[] = {"g32", "g64.act", "g128.v2"};
	char name[64];
	int bits, k;

	s = open_rows("fixtures/quant/others/linear.safetensors");
	if (!s)
		return;
	for (bits = 2; bits <= 8; bits = bits == 4 ? 8 : bits + 1) {
		for (k = 0; k < 3; k++) {
			snprintf(name, sizeof name, "gptq.b%d.%s", bits, kinds[k]);
			int_case(name, PM_INT_GPTQ, bits, k < 2);
		}
	}
	int_case("awq.g32", PM_INT_AWQ, 4, false);
	int_case("awq.g64", PM_INT_AWQ, 4, false);
	int_case("compressed.pack.b4.g32", PM_INT_COMPRESSED, 4, false);
	int_case("compressed.pack.b4.g64.asym", PM_INT_COMPRESSED, 4, false);
	int_case("compressed.pack.b8.g64", PM_INT_COMPRESSED, 8, false);
	pm_safetensors_close(s);
}

int main(void)
{
	mlx();
	bnb();
	integers();
	return done();
}
