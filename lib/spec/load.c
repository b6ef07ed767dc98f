/* load.c: config.json through a family's jq program into struct pm_spec (read.c). */
#include "spec/load.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* ---- running the program ---- */

/* {"config", "tensors": {name: shape} or null, "gguf": the architecture or null} */
static json_t *make_input(const struct pm_spec *s, const struct pm_store *store, struct pm_err *e)
{
	json_t *in = json_object(), *names = store ? json_object() : json_null(), *shape;
	size_t i;
	int d, r = 0;

	for (i = 0; r == 0 && store && i < pm_store_count(store); i++) {
		const struct pm_view *v = pm_store_at(store, i);

		shape = json_array();
		for (d = 0; d < v->nd; d++)
			r |= json_array_append_new(shape, json_integer((json_int_t)v->dim[d]));
		r |= json_object_set_new(names, v->name, shape);
	}
	r |= json_object_set(in, "config", s->config) | json_object_set_new(in, "tensors", names) | 
		json_object_set_new(in, "gguf", s->from_gguf ? json_string(s->arch) : json_null());
	if (r == 0)
		return in;
	json_decref(in);
	pm_fail(e, PM_SOFTWARE, "out of memory");
	return NULL;
}

static int run_program(struct pm_spec *s, const char *path, const char *name, const char *library, const struct pm_store *store, struct pm_err *e)
{
	json_t *in = make_input(s, store, e);
	int r = in ? spec_run_jq(&s->json, s->programs, path, name, library, in, e) : -1;

	if (r == 0 && (r = spec_read(s, e)) < 0)
		pm_ctx(e, "%s: its output", name);
	json_decref(in);
	return r;
}

/* The program for this model_type, by the table. */
static int pick(const char **name, const char *dir, const char *model_type, struct pm_arena *a, struct pm_err *e)
{
	char *path = pm_path(dir, "models.json", e);
	json_t *table = path ? pm_json_file(path, e) : NULL, *v;
	struct pm_str known = {0};
	const char *key;
	int r = -1;

	free(path);
	if (!table)
		return -1;
	v = json_object_get(table, model_type);
	if (json_is_string(v)) {
		*name = pm_arena_printf(a, e, "%s", json_string_value(v));
		r = *name ? 0 : -1;
	} else {
		json_object_foreach(table, key, v)
			pm_str_printf(&known, e, "%s%s", known.len ? ", " : "", key);
		pm_fail(e, PM_DATA, "'model_type' is \"%.80s\", known are %s", model_type, known.data ? known.data : "none");
	}
	pm_str_free(&known);
	json_decref(table);
	return r;
}

static int find_program(struct pm_spec *s, const char *share, const char *family, const struct pm_store *store, struct pm_err *e)
{
	char *dir = pm_path(share, "family", e), *path;
	const char *name = NULL;
	int r;

	if (!dir)
		return -1;
	s->model_type = "";
	r = pm_json_str(&s->model_type, s->config, "model_type", e);
	if (family) {
		r = r < 0 ? r : run_program(s, family, family, dir, store, e);
	} else {
		r = r ? (r > 0 ? pm_fail(e, PM_DATA, "'model_type' is missing") : r) : pick(&name, dir, s->model_type, &s->arena, e);
		path = r == 0 ? pm_arena_printf(&s->arena, e, "%s/%s.jq", dir, name) : NULL;
		name = path ? pm_arena_printf(&s->arena, e, "family %s", name) : NULL;
		r = name ? run_program(s, path, name, dir, store, e) : -1;
	}
	free(dir);
	return r;
}

/* Where a tensor lies in the store under another of its names, that name is its name. */
static void settle_names(struct pm_spec *s, const struct pm_store *store)
{
	char name[PM_SPEC_NAME];
	const char **alias;
	size_t i;

	for (i = 0; i < s->ntensors; i++) {
		struct pm_tensor_spec *t = &s->tensor[i];

		if (!t->alias || pm_store_find(store, pm_spec_name(name, t->file, 0)))
			continue;
		for (alias = (const char **)(size_t)t->alias; *alias && !pm_store_find(store, pm_spec_name(name, *alias, 0)); alias++)
			;
		if (*alias) {
			const char *other = t->file;

			t->file = *alias;
			*alias = other;
		}
	}
}

/* DIR/config.json, FILE.json itself, or the config.json beside the tensors' file. */
static char *config_path(const char *dir, struct pm_err *e)
{
	const char *slash = strrchr(dir, '/');
	size_t n = strlen(dir);
	char *parent, *path;

	if (pm_is_dir(dir))
		return pm_path(dir, "config.json", e);
	if (!(n > 12 && !strcmp(dir + n - 12, ".safetensors")) && !(n > 11 && !strcmp(dir + n - 11, ".index.json")))
		return pm_strdup(dir, e);
	parent = slash ? pm_strndup(dir, (size_t)(slash - dir) + 1, e) : pm_strdup(".", e);
	path = parent ? pm_path(parent, "config.json", e) : NULL;
	free(parent);
	return path;
}

/* The configuration, from its file or from the keys of a GGUF file; then the family's program. */
static int load(struct pm_spec *s, const char *dir, const char *share, const char *family, const struct pm_store *store, struct pm_err *e)
{
	bool gguf = store && pm_store_gguf(store);
	char *path = gguf ? pm_strdup(dir, e) : config_path(dir, e);
	int r = path ? 0 : -1;

	if (r == 0 && gguf)
		r = spec_gguf_config(s, store, share, e);
	else if (r == 0 && !(s->config = pm_json_file(path, e)))
		r = -2;         /* it has named the file */
	if (r == 0 && store && pm_store_substituted(store)) {           /* its weights are floats by now */
		json_object_del(s->config, "quantization");
		json_object_del(s->config, "quantization_config");
	}
	if (r == 0)
		r = json_is_object(s->config) ? find_program(s, share, family, store, e) : pm_fail(e, PM_DATA, "an object was wanted");
	if (r == 0 && gguf)
		r = spec_to_gguf(s, e);
	if (r == -1 && path)
		pm_ctx(e, "%s", path);
	free(path);
	return r;
}

int pm_spec_load(struct pm_spec **out, const char *dir, const char *share, const char *family, const struct pm_store *store, struct pm_err *e)
{
	return pm_spec_load_by(out, NULL, dir, share, family, store, e);
}

int pm_spec_load_by(struct pm_spec **out, struct pm_spec_programs *programs, const char *dir, const char *share, const char *family,
	const struct pm_store *store, struct pm_err *e)
{
	struct pm_spec *s = pm_alloc(1, sizeof *s, e);
	size_t i;

	if (s)
		s->programs = programs;
	if (!s || load(s, dir, share, family, store, e) < 0) {
		pm_spec_free(s);
		return -1;
	}
	if (store)
		settle_names(s, store);
	for (i = 0; !s->from_gguf && i < s->ntensors; i++)
		if (!s->tensor[i].hf)
			s->tensor[i].hf = s->tensor[i].file;
	s->programs = NULL;
	*out = s;
	return 0;
}

void pm_spec_free(struct pm_spec *s)
{
	if (!s)
		return;
	json_decref(s->config);
	json_decref(s->generation);
	json_decref(s->json);
	pm_arena_free(&s->arena);
	free(s);
}

const struct pm_tensor_spec *pm_spec_role(const struct pm_spec *s, struct pm_err *e, const char *fmt, ...)
{
	const struct pm_tensor_spec *t;
	char role[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(role, sizeof role, fmt, ap);
	va_end(ap);
	t = pm_spec_find(s, role);
	if (!t)
		pm_fail(e, PM_DATA, "the family %s gives no tensor the role '%s'", s->family, role);
	return t;
}

static uint64_t numbers(const struct pm_tensor_spec *t)
{
	uint64_t n = 1;
	int d;

	for (d = 0; d < t->nd; d++)
		n *= (uint64_t)t->dim[d];
	return t->optional ? 0 : n;
}

uint64_t pm_spec_parameters(const struct pm_spec *s)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < s->ntensors; i++)
		sum += numbers(&s->tensor[i]);
	return sum;
}

uint64_t pm_spec_active(const struct pm_spec *s)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < s->ntensors; i++) {
		const struct pm_tensor_spec *t = &s->tensor[i];
		const char *dot = strchr(t->role, '.');
		const long layer = t->experts && dot ? strtol(dot + 1, NULL, 10) : -1;      /* text.LAYER.experts.gate */

		sum += layer >= 0 && layer < s->layers ? numbers(t) / (uint64_t)t->experts * (uint64_t)s->layer[layer].chosen : numbers(t);
	}
	return sum;
}

uint64_t pm_spec_cached(const struct pm_spec *s)
{
	uint64_t sum = 0;
	int64_t i;

	for (i = 0; i < s->layers; i++)
		sum += 2 * (uint64_t)s->layer[i].kv_heads * (uint64_t)s->layer[i].head_dim;
	return sum;
}
