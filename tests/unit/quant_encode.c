/* Quantising: every row of the golden collection gives the same bytes as ggml does, plain and with importance, where its quantiser is determined. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "base/rng.h"
#include "io/safetensors.h"
#include "quant/quant.h"
#include "quant_rows.h"
#include "tap.h"

static struct pm_err err;
/* A type whose quantiser looks for lattice points: only its error is held to the golden one. */
static bool searched(enum pm_dtype t)
{
	return t == PM_IQ1_S || t == PM_IQ1_M || t == PM_IQ2_XXS || t == PM_IQ2_XS || t == PM_IQ2_S || t == PM_IQ3_XXS || t == PM_IQ3_S;
}

static double weighted_error(const float *x, const float *y, const float *w, size_t n)
{
	double a = 0, b = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		double v = w ? (double)w[i] : 1;

		a += v * ((double)x[i] - y[i]) * ((double)x[i] - y[i]);
		b += v * (double)x[i] * x[i];
	}
	return b > 0 ? sqrt(a / b) : 0;
}

/* The row `denormal`: what comes back is 0 or below 1e-38. */
static bool vanishes(const float *y, size_t n)
{
	size_t i;

	for (i = 0; i < n && fabsf(y[i]) < 1e-38f; i++)
		;
	return i == n;
}

static void one(const char *file, const struct pm_safetensors *s, const struct pm_view *v, const json_t *rows)
{
	const struct pm_view *x = pm_safetensors_find(s, "x"), *w = NULL;
	const char *kind = strchr(v->name, '.') + 1;
	enum pm_dtype t = type_of(v->name, strcspn(v->name, "."));
	size_t cols = x->dim[1], bytes = pm_dtype_bytes(t, cols), r, same = 0, worse = 0;
	uint8_t *out = malloc(bytes);
	float *back = malloc(cols * 4);
	double ours = 0, theirs = 0;

	if (!strncmp(kind, "imatrix_zeros", 13))
		w = pm_safetensors_find(s, "imatrix_zeros");
	else if (!strncmp(kind, "imatrix", 7))
		w = pm_safetensors_find(s, "imatrix");
	for (r = 0; r < x->dim[0]; r++) {
		const float *row = (const float *)x->data + r * cols, *imp = w ? (const float *)w->data : NULL;
		const uint8_t *want = v->data + r * bytes;

		if (pm_quant_from_f32(out, t, row, 1, cols, imp, &err) < 0) {
			check(0, "%s: %s: %s", file, v->name, err.text);
			break;
		}
		pm_quant_to_f32(back, out, t, cols);
		if (!strcmp(json_string_value(json_array_get(rows, r)), "denormal")) {
			same += vanishes(back, cols);
			continue;
		}
		same += !memcmp(out, want, bytes);
		if (searched(t)) {
			double mine = weighted_error(row, back, imp, cols), golden;

			pm_quant_to_f32(back, want, t, cols);
			golden = weighted_error(row, back, imp, cols);
			worse += mine > golden * 1.0000001;
			if (getenv("PM_TEST_VERBOSE"))
				printf("# %s %s %s: %.6f, ggml %.6f\n", file, v->name, json_string_value(json_array_get(rows, r)), mine, golden);
			ours += mine;
			theirs += golden;
		} else if (memcmp(out, want, bytes) && getenv("PM_TEST_VERBOSE")) {
			printf("# %s %s %s differs\n", file, v->name, json_string_value(json_array_get(rows, r)));
		}
	}
	if (searched(t))
		check(!worse, "%s: %s: %zu of %zu rows worse, mean error %.5f, ggml's %.5f", file, v->name, worse, r, ours / (double)r, theirs / (double)r);
	else
		check(same == x->dim[0], "%s: %s: %zu of %zu rows the same", file, v->name, same, r);
	free(out);
	free(back);
}

static void golden(void)
{
	struct pm_safetensors *s;
	char rel[128];
	json_t *o;
	size_t i, k;

	for (k = 0; k < 3; k++) {
		snprintf(rel, sizeof rel, "fixtures/quant/ggml/%s.json", files[k]);
		if (!golden_path(rel)) {
			skip("golden data is not there");
			return;
		}
		o = pm_json_file(golden_path(rel), &err);
		snprintf(rel, sizeof rel, "fixtures/quant/ggml/%s.safetensors", files[k]);
		if (!check(o && pm_safetensors_open(&s, golden_path(rel), &err) == 0, "%s opens %s", rel, err.text))
			return;
		for (i = 0; i < pm_safetensors_count(s); i++) {
			const struct pm_view *v = pm_safetensors_at(s, i);

			if (strlen(v->name) > 6 && !strcmp(v->name + strlen(v->name) - 6, ".bytes"))
				one(files[k], s, v, json_object_get(o, "rows"));
		}
		pm_safetensors_close(s);
		json_decref(o);
	}
}

/* Whatever finite values there are, of any size, plain or with importance: bytes that decode; and the same for a row alone and among others. */
static void arbitrary(void)
{
	enum { COLS = 768, ROWS = 3 };
	float *x = malloc(ROWS * COLS * 4), *v = malloc(COLS * 4), *y = malloc(ROWS * COLS * 4);
	uint8_t *all = malloc(ROWS * COLS * 4), *one_row = malloc(COLS * 4);
	size_t i, bytes;
	bool needs;
	int t, k, r;

	for (i = 0; i < ROWS * COLS; i++)
		x[i] = pm_rng_normal(5, 1, i) * ldexpf(1, (int)(pm_rng_u32(5, 2, i / 16) % 240) - 120);
	for (i = 0; i < COLS; i++)
		v[i] = i / 32 % 5 ? pm_rng_uniform(5, 3, i) * ldexpf(1, (int)(pm_rng_u32(5, 4, i / 16) % 60) - 30) : 0;
	for (t = PM_Q4_0; t < PM_DTYPES; t++) {
		for (k = 0; k < 2; k++) {
			if (!check(pm_quant_makes(t, &needs), "%s can be made", pm_dtype(t)->name))
				continue;
			r = pm_quant_from_f32(all, t, x, ROWS, COLS, k ? v : NULL, &err);
			if (needs && !k) {
				check(r < 0 && err.status == PM_USAGE && strstr(err.text, "importance"), "%s: %s", pm_dtype(t)->name, err.text);
				continue;
			}
			bytes = pm_dtype_bytes(t, COLS);
			pm_quant_to_f32(y, all, t, ROWS * COLS);
			if (r == 0)
				r = pm_quant_from_f32(one_row, t, x + COLS, 1, COLS, k ? v : NULL, &err);
			check(r == 0 && !memcmp(one_row, all + bytes, bytes), "%s%s: values of every size; a row alone is the same", pm_dtype(t)->name,
				k ? " with importance" : "");
		}
		x[COLS + 7] = t % 2 ? NAN : -INFINITY;
		check(pm_quant_from_f32(all, t, x, ROWS, COLS, v, &err) < 0 && err.status == PM_DATA && strstr(err.text, "value 7 of row 1"),
			"%s: a value that is not finite: %s", pm_dtype(t)->name, err.text);
		x[COLS + 7] = 1;
	}
	v[3] = -1;
	check(pm_quant_from_f32(all, PM_Q4_K, x, 1, COLS, v, &err) < 0 && strstr(err.text, "column 3"), "importance below 0: %s", err.text);
	check(pm_quant_from_f32(all, PM_Q4_K, x, 1, 32, NULL, &err) < 0 && err.status == PM_USAGE, "a row that is no whole block: %s", err.text);
	check(pm_quant_from_f32(all, PM_I32, x, 1, 32, NULL, &err) < 0 && err.status == PM_USAGE, "%s", err.text);
	free(x);
	free(v);
	free(y);
	free(all);
	free(one_row);
}

int main(void)
{
	golden();
	arbitrary();
	return done();
}
