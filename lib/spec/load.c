/* load.c: config.json through a family's jq program into struct pm_spec. What the program gives is held to what the struct
 * can say: every key known, every value of its kind and within its range. */
#include "spec/load.h"

#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/jq.h"

#define MAX_NUMBERS ((int64_t)1 << 48)  /* of one tensor: so that sizes in bytes never overflow */

/* ---- objects by table ---- */

enum kind { STR, INT, REAL, BOOL, WORD /* one of words, stored as int */, STRS, LIST /* of objects or numbers: read elsewhere */ };

struct field {
	const char *key;
	enum kind kind;
	size_t at;                              /* offset in the struct */
	bool optional;
	const char *const *words;               /* WORD: closed by NULL; STR: what it may be, or NULL */
};

static int read_strings(const char *const **out, const json_t *v, struct pm_arena *a, struct pm_err *e)
{
	size_t i, n = json_array_size(v);
	const char **list = pm_arena_alloc(a, n + 1, sizeof *list, e);

	if (!list)
		return -1;
	if (!json_is_array(v))
		return pm_fail(e, PM_DATA, "a list of strings was wanted");
	for (i = 0; i < n; i++) {
		list[i] = json_string_value(json_array_get(v, i));
		if (!list[i])
			return pm_fail(e, PM_DATA, "a list of strings was wanted");
	}
	*out = list;
	return 0;
}

static int word(const char *s, const char *const *words, struct pm_err *e)
{
	struct pm_str known = {0};
	int i;

	for (i = 0; words[i]; i++)
		if (!strcmp(s, words[i]))
			return i;
	for (i = 0; words[i]; i++)
		pm_str_printf(&known, e, "%s%s", i ? ", " : "", words[i]);
	pm_fail(e, PM_DATA, "'%.80s' is not known, known are %s", s, known.data ? known.data : "none");
	pm_str_free(&known);
	return -1;
}

static int read_value(char *to, const struct field *f, const json_t *v, struct pm_arena *a, struct pm_err *e)
{
	int64_t i;
	const char *s;
	int w;

	switch (f->kind) {
	case STR:
	case WORD:
		if (!json_is_string(v))
			return pm_fail(e, PM_DATA, "a string was wanted");
		s = json_string_value(v);
		w = f->words ? word(s, f->words, e) : 0;
		if (w < 0)
			return -1;
		if (f->kind == STR)
			memcpy(to, &s, sizeof s);
		else
			memcpy(to, &w, sizeof w);
		return 0;
	case INT:
		if (pm_json_to_int(&i, v) < 0 || i < -1 || i > INT_MAX)
			return pm_fail(e, PM_DATA, "an integer from -1 to %d was wanted", INT_MAX);
		memcpy(to, &i, sizeof i);
		return 0;
	case REAL:
		if (!json_is_number(v) || !isfinite(json_number_value(v)))
			return pm_fail(e, PM_DATA, "a number was wanted");
		memcpy(to, &(double){json_number_value(v)}, sizeof (double));
		return 0;
	case BOOL:
		if (!json_is_boolean(v))
			return pm_fail(e, PM_DATA, "true or false was wanted");
		memcpy(to, &(bool){json_is_true(v)}, sizeof (bool));
		return 0;
	case STRS:
		return read_strings((const char *const **)(void *)to, v, a, e);
	case LIST:
		return json_is_array(v) ? 0 : pm_fail(e, PM_DATA, "a list was wanted");
	}
	return 0;
}

/* Fills a struct that holds its defaults. A key that is not in the table, or one that is wanted and missing, is an error. */
static int read_object(void *to, const json_t *o, const struct field *f, size_t n, struct pm_arena *a, struct pm_err *e)
{
	const char *key;
	json_t *v;
	size_t i;

	if (!json_is_object(o))
		return pm_fail(e, PM_DATA, "an object was wanted");
	json_object_foreach((json_t *)(size_t)o, key, v) {
		for (i = 0; i < n && strcmp(f[i].key, key); i++)
			;
		if (i == n)
			return pm_fail(e, PM_DATA, "'%.200s' is no key of this object", key);
		if (!json_is_null(v) && read_value((char *)to + f[i].at, &f[i], v, a, e) < 0)
			return pm_ctx(e, "'%s'", key);
	}
	for (i = 0; i < n; i++)
		if (!f[i].optional && json_is_null(json_object_get(o, f[i].key)))
			return pm_fail(e, PM_DATA, "'%s' is null", f[i].key);
		else if (!f[i].optional && !json_object_get(o, f[i].key))
			return pm_fail(e, PM_DATA, "'%s' is missing", f[i].key);
	return 0;
}

#define N(table) (sizeof (table) / sizeof *(table))

/* ---- the tables ---- */

static const char *const norms[] = {"none", "rms", "rms1", "layer", NULL};      /* enum pm_norm */
static const char *const rope_types[] = {"none", "plain", "linear", "dynamic", "llama3", "yarn", "longrope", NULL};
static const char *const blocks[] = {"transformer", "parallel", NULL};
static const char *const ffs[] = {"gated", "plain", NULL};
static const char *const acts[] = {"silu", "gelu", "gelu_tanh", "gelu_quick", "relu", "relu2", "sigmoid", NULL};
static const char *const uses[] = {"linear", "embed", "norm", "bias", "other", NULL};

#define F(type, member, kind, ...) {#member, kind, offsetof(struct type, member), __VA_ARGS__}

static const struct field spec_fields[] = {
	F(pm_spec, family, STR, false, NULL), F(pm_spec, arch, STR, true, NULL),
	F(pm_spec, layers, INT, false, NULL), F(pm_spec, hidden, INT, false, NULL), F(pm_spec, vocab, INT, false, NULL),
	F(pm_spec, max_positions, INT, true, NULL), F(pm_spec, learned_positions, BOOL, true, NULL),
	F(pm_spec, norm, WORD, false, norms), F(pm_spec, norm_eps, REAL, false, NULL),
	F(pm_spec, embed_scale, REAL, true, NULL), F(pm_spec, logit_scale, REAL, true, NULL), F(pm_spec, logit_softcap, REAL, true, NULL),
	F(pm_spec, tied, BOOL, false, NULL), F(pm_spec, partial, BOOL, true, NULL), F(pm_spec, ignore, STRS, true, NULL),
	F(pm_spec, layer, LIST, false, NULL), F(pm_spec, ropes, LIST, true, NULL), F(pm_spec, tensor, LIST, false, NULL),
};

static const struct field rope_fields[] = {
	F(pm_rope_spec, type, WORD, false, rope_types), F(pm_rope_spec, theta, REAL, false, NULL), F(pm_rope_spec, dims, INT, false, NULL),
	F(pm_rope_spec, factor, REAL, true, NULL), F(pm_rope_spec, interleaved, BOOL, true, NULL),
	F(pm_rope_spec, original, REAL, true, NULL), F(pm_rope_spec, low, REAL, true, NULL), F(pm_rope_spec, high, REAL, true, NULL),
	F(pm_rope_spec, beta_fast, REAL, true, NULL), F(pm_rope_spec, beta_slow, REAL, true, NULL),
	F(pm_rope_spec, truncate, BOOL, true, NULL), F(pm_rope_spec, attention_factor, REAL, true, NULL),
	F(pm_rope_spec, short_factor, LIST, true, NULL), F(pm_rope_spec, long_factor, LIST, true, NULL),
};

/* `rope` is an int in the struct; it is read beside (read_layer). */
static const struct field layer_fields[] = {
	F(pm_layer_spec, block, STR, false, blocks),
	F(pm_layer_spec, heads, INT, false, NULL), F(pm_layer_spec, kv_heads, INT, false, NULL), F(pm_layer_spec, head_dim, INT, false, NULL),
	F(pm_layer_spec, scale, REAL, false, NULL), F(pm_layer_spec, softcap, REAL, true, NULL), F(pm_layer_spec, window, INT, true, NULL),
	F(pm_layer_spec, ff, STR, false, ffs), F(pm_layer_spec, act, STR, false, acts), F(pm_layer_spec, inner, INT, false, NULL),
	F(pm_layer_spec, residual, REAL, true, NULL),
};

static const struct field tensor_fields[] = {
	F(pm_tensor_spec, role, STR, false, NULL), F(pm_tensor_spec, file, STR, false, NULL), F(pm_tensor_spec, alias, STRS, true, NULL),
	F(pm_tensor_spec, copies, STRS, true, NULL), F(pm_tensor_spec, gguf, STR, true, NULL), F(pm_tensor_spec, permute, INT, true, NULL),
	F(pm_tensor_spec, module, STR, false, NULL),
	F(pm_tensor_spec, use, STR, false, uses), F(pm_tensor_spec, dim, LIST, false, NULL),
	F(pm_tensor_spec, transposed, BOOL, true, NULL), F(pm_tensor_spec, optional, BOOL, true, NULL),
};

/* ---- parts of the spec ---- */

static int bad(struct pm_err *e, const char *key, const char *wanted)
{
	return pm_fail(e, PM_DATA, "'%s': %s was wanted", key, wanted);
}

static int read_factors(double **out, const json_t *list, int64_t n, struct pm_arena *a, struct pm_err *e)
{
	size_t i;

	if (json_is_null(list) || !list)
		return 0;
	*out = pm_arena_alloc(a, json_array_size(list), sizeof **out, e);
	if (!*out)
		return -1;
	for (i = 0; i < json_array_size(list); i++) {
		(*out)[i] = json_number_value(json_array_get(list, i));
		if (!isfinite((*out)[i]) || (*out)[i] <= 0)
			return pm_fail(e, PM_DATA, "entry %zu is no number above 0", i);
	}
	return (int64_t)i == n ? 0 : pm_fail(e, PM_DATA, "%lld numbers were wanted, %zu were found", (long long)n, i);
}

static int read_rope(struct pm_rope_spec *r, const json_t *o, struct pm_arena *a, struct pm_err *e)
{
	*r = (struct pm_rope_spec){.factor = 1, .truncate = true, .attention_factor = 1};
	if (read_object(r, o, rope_fields, N(rope_fields), a, e) < 0)
		return -1;
	if (r->dims < 2 || r->dims % 2)
		return bad(e, "dims", "an even number");
	if (r->theta <= 0)
		return bad(e, "theta", "a number above 0");
	if (r->factor <= 0)
		return bad(e, "factor", "a number above 0");
	if (!(r->attention_factor > 0 && r->attention_factor < 1000))
		return bad(e, "attention_factor", "a number above 0 and below 1000");
	if (r->type != PM_ROPE_PLAIN && r->type != PM_ROPE_LINEAR && r->type != PM_ROPE_NONE && r->original <= 0)
		return bad(e, "original", "a number above 0");
	if (r->type == PM_ROPE_YARN && (r->beta_fast <= 0 || r->beta_slow <= 0 || r->theta == 1))
		return bad(e, "beta_fast, beta_slow", "numbers above 0");
	if (r->type == PM_ROPE_DYNAMIC && r->dims < 4)
		return bad(e, "dims", "at least 4");
	if (read_factors(&r->short_factor, json_object_get(o, "short_factor"), r->dims / 2, a, e) < 0)
		return pm_ctx(e, "'short_factor'");
	if (read_factors(&r->long_factor, json_object_get(o, "long_factor"), r->dims / 2, a, e) < 0)
		return pm_ctx(e, "'long_factor'");
	if (r->type == PM_ROPE_LONGROPE && (!r->short_factor || !r->long_factor))
		return bad(e, "short_factor, long_factor", "a list each");
	return 0;
}

static int read_layer(struct pm_layer_spec *l, const json_t *o, const struct pm_spec *s, struct pm_arena *a, struct pm_err *e)
{
	json_t *rest = json_copy((json_t *)(size_t)o);
	int64_t rope = -1;
	int r = json_is_object(rest) ? pm_json_int(&rope, rest, "rope", e) : bad(e, "layer", "an object");

	*l = (struct pm_layer_spec){.residual = 1};
	if (r >= 0) {
		json_object_del(rest, "rope");
		r = read_object(l, rest, layer_fields, N(layer_fields), a, e);
	}
	json_decref(rest);
	if (r < 0)
		return -1;
	if (rope < -1 || rope >= s->nropes)
		return pm_fail(e, PM_DATA, "'rope' is %lld, there are %d", (long long)rope, s->nropes);
	l->rope = (int)rope;
	if (l->heads < 1 || l->kv_heads < 1 || l->heads % l->kv_heads)
		return pm_fail(e, PM_DATA, "%lld heads over %lld key-value heads: a multiple was wanted", (long long)l->heads, (long long)l->kv_heads);
	if (l->head_dim < 1 || (l->rope >= 0 && s->ropes[l->rope].dims > l->head_dim))
		return bad(e, "head_dim", "at least the columns that rope turns");
	if (l->inner < 1)
		return bad(e, "inner", "a number above 0");
	if (l->window < 0 || l->softcap < 0)
		return bad(e, "window, softcap", "0 or more");
	return 0;
}

static int read_tensor(struct pm_tensor_spec *t, const json_t *o, struct pm_arena *a, struct pm_err *e)
{
	const json_t *dim = json_object_get(o, "dim");
	int64_t n, count = 1;
	size_t i;

	if (read_object(t, o, tensor_fields, N(tensor_fields), a, e) < 0)
		return t->role ? pm_ctx(e, "'%.200s'", t->role) : -1;
	if (json_array_size(dim) < 1 || json_array_size(dim) > N(t->dim))
		return pm_fail(e, PM_DATA, "'%.200s': 1 to %zu dimensions were wanted", t->role, N(t->dim));
	t->nd = (int)json_array_size(dim);
	for (i = 0; i < (size_t)t->nd; i++) {
		if (pm_json_to_int(&n, json_array_get(dim, i)) < 0 || n < 1 || n > INT_MAX)
			return pm_fail(e, PM_DATA, "'%.200s': dimension %zu is no size", t->role, i);
		if (count > MAX_NUMBERS / n)
			return pm_fail(e, PM_DATA, "'%.200s': more than 2^48 numbers", t->role);
		count *= n;
		t->dim[i] = n;
	}
	if (t->permute && (t->permute < 0 || t->dim[0] % (2 * t->permute)))
		return pm_fail(e, PM_DATA, "'%.200s': 'permute' is %lld, a number of heads with pairs of rows was wanted", t->role, (long long)t->permute);
	t->hf_transposed = t->transposed;
	return 0;
}

static int by_role(const void *a, const void *b)
{
	return strcmp((*(const struct pm_tensor_spec *const *)a)->role, (*(const struct pm_tensor_spec *const *)b)->role);
}

static int sort_roles(struct pm_spec *s, struct pm_err *e)
{
	size_t i;

	s->sorted = pm_arena_alloc(&s->arena, s->ntensors, sizeof *s->sorted, e);
	if (!s->sorted)
		return -1;
	for (i = 0; i < s->ntensors; i++)
		s->sorted[i] = &s->tensor[i];
	qsort(s->sorted, s->ntensors, sizeof *s->sorted, by_role);
	for (i = 1; i < s->ntensors; i++)
		if (!by_role(&s->sorted[i - 1], &s->sorted[i]))
			return pm_fail(e, PM_DATA, "two tensors have the role '%.200s'", s->sorted[i]->role);
	return 0;
}

static int read_lists(struct pm_spec *s, struct pm_err *e)
{
	const json_t *ropes = json_object_get(s->json, "ropes"), *layers = json_object_get(s->json, "layer"),
		*tensors = json_object_get(s->json, "tensor");
	size_t i;

	s->nropes = (int)json_array_size(ropes);
	s->ropes = pm_arena_alloc(&s->arena, (size_t)s->nropes, sizeof *s->ropes, e);
	s->layer = pm_arena_alloc(&s->arena, json_array_size(layers), sizeof *s->layer, e);
	s->ntensors = json_array_size(tensors);
	s->tensor = pm_arena_alloc(&s->arena, s->ntensors, sizeof *s->tensor, e);
	if (!s->ropes || !s->layer || !s->tensor)
		return -1;
	for (i = 0; i < (size_t)s->nropes; i++)
		if (read_rope(&s->ropes[i], json_array_get(ropes, i), &s->arena, e) < 0)
			return pm_ctx(e, "rope %zu", i);
	if ((int64_t)json_array_size(layers) != s->layers)
		return pm_fail(e, PM_DATA, "%zu layers are described, 'layers' is %lld", json_array_size(layers), (long long)s->layers);
	for (i = 0; i < json_array_size(layers); i++)
		if (read_layer(&s->layer[i], json_array_get(layers, i), s, &s->arena, e) < 0)
			return pm_ctx(e, "layer %zu", i);
	for (i = 0; i < s->ntensors; i++)
		if (read_tensor(&s->tensor[i], json_array_get(tensors, i), &s->arena, e) < 0)
			return pm_ctx(e, "tensor %zu", i);
		else
			s->tensor[i].plus = s->norm == PM_NORM_RMS1 && !strcmp(s->tensor[i].use, "norm");
	return sort_roles(s, e);
}

static int read_spec(struct pm_spec *s, struct pm_err *e)
{
	s->max_positions = 0;
	s->embed_scale = s->logit_scale = 1;
	if (read_object(s, s->json, spec_fields, N(spec_fields), &s->arena, e) < 0)
		return -1;
	if (s->layers < 1 || s->hidden < 1 || s->vocab < 1)
		return bad(e, "layers, hidden, vocab", "numbers above 0");
	if (s->norm_eps < 0)
		return bad(e, "norm_eps", "0 or more");
	if (s->logit_softcap < 0)
		return bad(e, "logit_softcap", "0 or more");
	if (s->learned_positions && s->max_positions < 1)
		return bad(e, "max_positions", "a number above 0");
	return read_lists(s, e);
}

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

int spec_run_jq(json_t **out, const char *path, const char *name, const char *library, const json_t *in, struct pm_err *e)
{
	struct pm_str text = {0};
	struct pm_jq *q = NULL;
	json_t *all = NULL;
	int r = pm_read_file(&text, path, e);

	if (r == 0)
		r = pm_jq_new_in(&q, text.data ? text.data : "", name, library, NULL, e);
	if (r == 0)
		r = pm_jq_run(q, in, &all, e);
	if (r == 0 && json_array_size(all) != 1)
		r = pm_fail(e, PM_DATA, "%s: one object was wanted, %zu values were given", name, json_array_size(all));
	if (r == 0)
		*out = json_incref(json_array_get(all, 0));
	json_decref(all);
	pm_jq_free(q);
	pm_str_free(&text);
	return r;
}

static int run_program(struct pm_spec *s, const char *path, const char *name, const char *library, const struct pm_store *store, struct pm_err *e)
{
	json_t *in = make_input(s, store, e);
	int r = in ? spec_run_jq(&s->json, path, name, library, in, e) : -1;

	if (r == 0 && (r = read_spec(s, e)) < 0)
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
	const char **alias;
	size_t i;

	for (i = 0; i < s->ntensors; i++) {
		struct pm_tensor_spec *t = &s->tensor[i];

		if (pm_store_find(store, t->file) || !t->alias)
			continue;
		for (alias = (const char **)(size_t)t->alias; *alias && !pm_store_find(store, *alias); alias++)
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
	struct pm_spec *s = pm_alloc(1, sizeof *s, e);
	size_t i;

	if (!s || load(s, dir, share, family, store, e) < 0) {
		pm_spec_free(s);
		return -1;
	}
	if (store)
		settle_names(s, store);
	for (i = 0; !s->from_gguf && i < s->ntensors; i++)
		s->tensor[i].hf = s->tensor[i].file;
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

const struct pm_tensor_spec *pm_spec_find(const struct pm_spec *s, const char *role)
{
	struct pm_tensor_spec key = {.role = role};
	const struct pm_tensor_spec *k = &key, *const *hit = bsearch(&k, s->sorted, s->ntensors, sizeof *s->sorted, by_role);

	return hit ? *hit : NULL;
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

uint64_t pm_spec_parameters(const struct pm_spec *s)
{
	uint64_t n, sum = 0;
	size_t i;
	int d;

	for (i = 0; i < s->ntensors; i++) {
		for (n = 1, d = 0; d < s->tensor[i].nd; d++)
			n *= (uint64_t)s->tensor[i].dim[d];
		sum += s->tensor[i].optional ? 0 : n;
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
