/* gguf.c: a model that is a GGUF file: its keys as a configuration, and what such a file does to the tensors. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "spec/load.h"

#define MOST 4096       /* elements of arrays that a program sees: one a layer, not one a token */

/* ---- the program of an architecture ---- */

/* "known are gemma, gemma2, …": the programs that there are. */
static int unknown_arch(const char *arch, const char *dir, struct pm_err *e)
{
	struct pm_str known = {0};
	struct dirent **list;
	int n = scandir(dir, &list, NULL, alphasort), i;

	for (i = 0; i < n; i++) {
		size_t len = strlen(list[i]->d_name);

		if (len > 3 && !strcmp(list[i]->d_name + len - 3, ".jq"))
			pm_str_printf(&known, e, "%s%.*s", known.len ? ", " : "", (int)len - 3, list[i]->d_name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	pm_fail(e, PM_DATA, "'general.architecture' is \"%.80s\", known are %s", arch, known.data ? known.data : "none");
	pm_str_free(&known);
	return -1;
}

/* SHARE/gguf/ARCH.jq; NULL where there is none, or memory is out. */
static char *program_of(const char *arch, const char *share, struct pm_err *e)
{
	struct pm_str s = {0};
	char *path = NULL;

	if (!strchr(arch, '/') && *arch != '.' && pm_str_printf(&s, e, "%s/gguf/%s.jq", share, arch) == 0 && pm_exists(s.data))
		path = pm_strdup(s.data, e);
	pm_str_free(&s);
	return path;
}

/* The value of a key that is a string; NULL: it is none, or not there. */
static char *word_of(const struct pm_gguf *g, const char *key)
{
	const struct pm_gguf_key *k = pm_gguf_key(g, key);
	struct pm_err dummy = {0};
	const char *s;
	size_t n;

	return k && pm_gguf_string(&s, &n, k, &dummy) == 0 ? pm_strndup(s, n, &dummy) : NULL;
}

bool pm_gguf_known(const struct pm_gguf *g, const char *share)
{
	char *arch = word_of(g, "general.architecture"), *type = word_of(g, "general.type"), *path = NULL;
	struct pm_err dummy = {0};

	if (arch && (!type || !strcmp(type, "model")))
		path = program_of(arch, share, &dummy);
	free(arch);
	free(type);
	free(path);
	return path != NULL;
}

static int run_program(json_t **out, struct pm_spec_programs *kept, const char *arch, const char *share, const json_t *in, struct pm_err *e)
{
	char *dir = pm_path(share, "gguf", e), *library = dir ? pm_path(share, "family", e) : NULL, *path = NULL;
	struct pm_str name = {0};
	int r = -1;

	if (library)
		path = program_of(arch, share, e);
	if (library && !path)
		unknown_arch(arch, dir, e);
	else if (path && pm_str_printf(&name, e, "architecture %s", arch) == 0)
		r = spec_run_jq(out, kept, path, name.data, library, in, e);
	pm_str_free(&name);
	free(path);
	free(library);
	free(dir);
	return r;
}

int pm_gguf_program(json_t **out, const char *arch, const char *share, const json_t *in, struct pm_err *e)
{
	return run_program(out, NULL, arch, share, in, e);
}

/* ---- keys to a configuration ---- */

/* The shortest decimal number that is this one in single precision: 1e-05, not 9.999999747378752e-06. */
static json_t *short_real(float f)
{
	char text[40];
	int digits;

	for (digits = 6; digits < 9; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, (double)f);
		if (strtof(text, NULL) == f)
			break;
	}
	snprintf(text, sizeof text, "%.*g", digits, (double)f);
	return json_real(strtod(text, NULL));
}

static int add_keys(json_t *o, const struct pm_gguf *g, struct pm_err *e)
{
	size_t i;

	for (i = 0; i < pm_gguf_keys(g); i++) {
		const struct pm_gguf_key *k = pm_gguf_key_at(g, i);
		json_t *v;

		if (k->type == PM_GGUF_ARRAY && k->count > MOST)
			continue;
		v = pm_gguf_value(k, e);
		if (!v)
			return -1;
		if (json_object_set_new(o, k->name, v) < 0)
			return pm_fail(e, PM_DATA, "key '%.200s': it cannot be read as JSON", k->name);
	}
	return 0;
}

/* Short vectors of float32 that scale the frequencies of rotary positions. */
static int add_values(json_t *o, const struct pm_store *store, struct pm_err *e)
{
	size_t i, k;
	float f;

	for (i = 0; i < pm_store_count(store); i++) {
		const struct pm_view *v = pm_store_at(store, i);
		json_t *list;

		if (strncmp(v->name, "rope_", 5) || v->type != PM_F32 || v->nd != 1 || v->dim[0] > MOST)
			continue;
		list = json_array();
		for (k = 0; k < v->dim[0]; k++) {
			memcpy(&f, v->data + 4 * k, sizeof f);
			if (!(f > 0 && f < 1e30f)) {
				json_decref(list);
				return pm_fail(e, PM_DATA, "tensor '%.200s': value %zu is no factor", v->name, k);
			}
			json_array_append_new(list, short_real(f));
		}
		json_object_set_new(o, v->name, list);
	}
	return 0;
}

static json_t *shapes(const struct pm_store *store)
{
	json_t *o = json_object();
	size_t i;
	int d;

	for (i = 0; i < pm_store_count(store); i++) {
		const struct pm_view *v = pm_store_at(store, i);
		json_t *shape = json_array();

		for (d = 0; d < v->nd; d++)
			json_array_append_new(shape, json_integer((json_int_t)v->dim[d]));
		json_object_set_new(o, v->name, shape);
	}
	return o;
}

int pm_gguf_describe(json_t **out, const struct pm_store *store, struct pm_err *e)
{
	json_t *keys = json_object(), *values = json_object();
	int r = add_keys(keys, pm_store_gguf(store), e);

	if (r == 0)
		r = add_values(values, store, e);
	if (r == 0 && !(*out = json_pack("{s:O,s:o,s:O}", "keys", keys, "tensors", shapes(store), "values", values)))
		r = pm_fail(e, PM_SOFTWARE, "out of memory");
	json_decref(keys);
	json_decref(values);
	return r;
}

int spec_gguf_config(struct pm_spec *s, const struct pm_store *store, const char *share, struct pm_err *e)
{
	json_t *in = NULL, *out = NULL;
	const char *arch = NULL;
	int r = pm_gguf_describe(&in, store, e);

	if (r == 0) {
		arch = json_string_value(json_object_get(json_object_get(in, "keys"), "general.architecture"));
		r = arch ? 0 : pm_fail(e, PM_DATA, "no key 'general.architecture' says what it is");
	}
	if (r == 0)
		r = run_program(&out, s->programs, arch, share, in, e);
	if (r == 0) {
		s->from_gguf = true;
		s->config = json_incref(json_object_get(out, "config"));
		s->generation = json_incref(json_object_get(out, "generation"));
		s->arch = pm_arena_printf(&s->arena, e, "%s", arch);
		r = s->arch ? 0 : -1;
	}
	json_decref(out);
	json_decref(in);
	return r;
}

/* ---- what a file does to tensors ---- */

/* Rows and columns of a matrix, or of those of a stack, the other way round. */
static void swap(int64_t dim[4], const struct pm_tensor_spec *t)
{
	const int at = t->experts ? 1 : 0;
	const int64_t rows = dim[at];

	if (t->nd != at + 2)
		return;
	dim[at] = dim[at + 1];
	dim[at + 1] = rows;
}

int spec_to_gguf(struct pm_spec *s, struct pm_err *e)
{
	bool permuted = false;
	size_t i;
	int k;

	for (i = 0; i < s->ntensors; i++) {
		struct pm_tensor_spec *t = &s->tensor[i];

		if (!t->gguf)
			return pm_fail(e, PM_DATA, "family %s: the tensor '%.200s' has no name in GGUF files", s->family, t->role);
		if (!t->hf)
			t->hf = t->file;
		t->file = t->gguf;
		t->alias = t->copies = NULL;
		t->apart = false;
		if (t->transposed) {
			swap(t->dim, t);
			t->transposed = false;
		}
		permuted = permuted || t->permute;
	}
	if (s->norm == PM_NORM_RMS1)            /* their 1 is in the file */
		s->norm = PM_NORM_RMS;
	for (k = 0; permuted && k < s->nropes; k++)
		s->ropes[k].interleaved = !s->ropes[k].interleaved;
	return 0;
}

int64_t pm_gguf_row(const struct pm_tensor_spec *t, int64_t rows, int64_t r)
{
	int64_t d = t->permute ? rows / t->permute : 0, i;

	if (!d)
		return r;
	i = r % d;
	return r - i + (i < d / 2 ? 2 * i : 2 * (i - d / 2) + 1);
}

int pm_gguf_permute(const struct pm_tensor_spec *t, void *data, int64_t rows, size_t width, bool to_gguf, struct pm_err *e)
{
	unsigned char *p = data, *copy;
	int64_t r;

	if (!t->permute)
		return 0;
	copy = pm_alloc((size_t)rows, width, e);
	if (!copy)
		return -1;
	memcpy(copy, p, (size_t)rows * width);
	for (r = 0; r < rows; r++) {
		size_t hf = (size_t)r * width, gguf = (size_t)pm_gguf_row(t, rows, r) * width;

		memcpy(p + (to_gguf ? gguf : hf), copy + (to_gguf ? hf : gguf), width);
	}
	free(copy);
	return 0;
}

static void shape(int64_t dim[4], const struct pm_tensor_spec *t, bool turned)
{
	int i;

	for (i = 0; i < 4; i++)
		dim[i] = i < t->nd ? t->dim[i] : 1;
	if (turned)
		swap(dim, t);
}

void pm_hf_shape(int64_t dim[4], const struct pm_tensor_spec *t)
{
	shape(dim, t, t->hf_transposed && !t->transposed);
}

void pm_gguf_shape(int64_t dim[4], const struct pm_tensor_spec *t)
{
	shape(dim, t, t->transposed);
}

int spec_transpose(float *v, int64_t rows, int64_t cols, struct pm_err *e)
{
	float *copy = pm_alloc((size_t)(rows * cols), sizeof *copy, e);
	int64_t i, j;

	if (!copy)
		return -1;
	memcpy(copy, v, (size_t)(rows * cols) * sizeof *v);
	for (i = 0; i < rows; i++)
		for (j = 0; j < cols; j++)
			v[j * rows + i] = copy[i * cols + j];
	free(copy);
	return 0;
}

/* Each matrix of a tensor, the other way round. */
static int transpose_all(const struct pm_tensor_spec *t, float *v, const int64_t dim[4], struct pm_err *e)
{
	const int at = t->experts ? 1 : 0;
	int64_t i;

	if (!t->hf_transposed || t->nd != at + 2)
		return 0;
	for (i = 0; i < (at ? dim[0] : 1); i++)
		if (spec_transpose(v + i * dim[at] * dim[at + 1], dim[at], dim[at + 1], e) < 0)
			return -1;
	return 0;
}

int pm_gguf_turn(const struct pm_tensor_spec *t, float *v, bool to_gguf, struct pm_err *e)
{
	int64_t hf[4], gguf[4], cols = 1, i;

	pm_hf_shape(hf, t);
	pm_gguf_shape(gguf, t);
	for (i = 1; i < t->nd; i++)
		cols *= gguf[i];
	if (to_gguf && transpose_all(t, v, hf, e) < 0)
		return -1;
	if (pm_gguf_permute(t, v, gguf[0], (size_t)cols * sizeof *v, to_gguf, e) < 0)
		return -1;
	if (!to_gguf && transpose_all(t, v, gguf, e) < 0)
		return -1;
	for (i = 0; t->plus && i < gguf[0] * cols; i++)
		v[i] = to_gguf ? v[i] + 1 : v[i] - 1;
	return 0;
}
