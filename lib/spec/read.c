/* read.c: what a family's program gives, into struct pm_spec. It is held to what the struct can say: every key known, every value of its
 * kind and within its range. */
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "spec/load.h"

#define MAX_NUMBERS ((int64_t)1 << 48)  /* of one tensor: so that sizes in bytes never overflow */
#define MAX_APART ((int64_t)1 << 20)    /* matrices of experts with names of their own: more than any model has would only keep us busy */

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
static const char *const ffs[] = {"gated", "plain", "experts", NULL};
static const char *const acts[] = {"silu", "gelu", "gelu_tanh", "gelu_quick", "relu", "relu2", "sigmoid", "clamped", NULL};
static const char *const uses[] = {"linear", "embed", "norm", "bias", "router", "other", NULL};

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

/* `rope` and `hf_turn` are ints in the structs; they are read beside. */
static const struct field layer_fields[] = {
	F(pm_layer_spec, block, STR, false, blocks),
	F(pm_layer_spec, heads, INT, false, NULL), F(pm_layer_spec, kv_heads, INT, false, NULL), F(pm_layer_spec, head_dim, INT, false, NULL),
	F(pm_layer_spec, scale, REAL, false, NULL), F(pm_layer_spec, softcap, REAL, true, NULL), F(pm_layer_spec, window, INT, true, NULL),
	F(pm_layer_spec, ff, STR, false, ffs), F(pm_layer_spec, act, STR, false, acts), F(pm_layer_spec, inner, INT, false, NULL),
	F(pm_layer_spec, residual, REAL, true, NULL), F(pm_layer_spec, act_alpha, REAL, true, NULL), F(pm_layer_spec, act_limit, REAL, true, NULL),
	F(pm_layer_spec, interleaved, BOOL, true, NULL), F(pm_layer_spec, experts, INT, true, NULL), F(pm_layer_spec, chosen, INT, true, NULL),
	F(pm_layer_spec, route_late, BOOL, true, NULL), F(pm_layer_spec, route_renormalise, BOOL, true, NULL), F(pm_layer_spec, route_scale, REAL, true, NULL),
};

static const struct field tensor_fields[] = {
	F(pm_tensor_spec, role, STR, false, NULL), F(pm_tensor_spec, file, STR, false, NULL), F(pm_tensor_spec, alias, STRS, true, NULL),
	F(pm_tensor_spec, copies, STRS, true, NULL), F(pm_tensor_spec, gguf, STR, true, NULL), F(pm_tensor_spec, permute, INT, true, NULL),
	F(pm_tensor_spec, module, STR, false, NULL),
	F(pm_tensor_spec, use, STR, false, uses), F(pm_tensor_spec, dim, LIST, false, NULL),
	F(pm_tensor_spec, transposed, BOOL, true, NULL), F(pm_tensor_spec, optional, BOOL, true, NULL),
	F(pm_tensor_spec, experts, INT, true, NULL), F(pm_tensor_spec, apart, BOOL, true, NULL), F(pm_tensor_spec, fused, STR, true, NULL),
	F(pm_tensor_spec, turns, BOOL, true, NULL), F(pm_tensor_spec, hf, STR, true, NULL), F(pm_tensor_spec, hf_transposed, BOOL, true, NULL),
	F(pm_tensor_spec, gguf_up, STR, true, NULL),
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

static int read_experts(const struct pm_layer_spec *l, struct pm_err *e)
{
	const bool many = !strcmp(l->ff, "experts"), clamped = !strcmp(l->act, "clamped");

	if (many ? l->experts < 1 || l->chosen < 1 || l->chosen > l->experts : l->experts || l->chosen)
		return pm_fail(e, PM_DATA, "'experts' is %lld, 'chosen' %lld: %s", (long long)l->experts, (long long)l->chosen,
			many ? "numbers above 0 were wanted, no more chosen than there are" : "only where 'ff' is experts are there any");
	if (!(l->route_scale > 0))
		return bad(e, "route_scale", "a number above 0");
	if (clamped ? !many || !(l->act_alpha > 0) || !(l->act_limit > 0) : l->act_alpha != 0 || l->act_limit != 0)
		return bad(e, "act_alpha, act_limit", clamped ? "numbers above 0, of experts," : "nothing, as 'act' is not clamped,");
	return 0;
}

static int read_layer(struct pm_layer_spec *l, const json_t *o, const struct pm_spec *s, struct pm_arena *a, struct pm_err *e)
{
	json_t *rest = json_copy((json_t *)(size_t)o);
	int64_t rope = -1;
	int r = json_is_object(rest) ? pm_json_int(&rope, rest, "rope", e) : bad(e, "layer", "an object");

	*l = (struct pm_layer_spec){.residual = 1, .route_scale = 1};
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
	return read_experts(l, e);
}

/* What is said of a stack fits together: "{}" is in a name of each that lies apart, and once. */
static int check_stack(const struct pm_tensor_spec *t, struct pm_err *e)
{
	const char *mark = strstr(t->file, "{}");
	const char *const *a;

	if (t->experts ? t->experts < 1 || t->nd < 2 || t->dim[0] != t->experts : t->apart || t->fused || t->hf_turn || t->gguf_up)
		return pm_fail(e, PM_DATA, "'%.200s': 'experts' is %lld, the first dimension was wanted", t->role, (long long)t->experts);
	if (t->apart != (mark && !strstr(mark + 2, "{}")))
		return pm_fail(e, PM_DATA, "'%.200s': one {} in the name of a stack that lies apart, and in no other, was wanted", t->role);
	for (a = t->alias; a && *a; a++)
		if (t->apart != (strstr(*a, "{}") != NULL))
			return pm_fail(e, PM_DATA, "'%.200s': {} in each of its names or in none was wanted", t->role);
	if (strlen(t->file) + 32 > PM_SPEC_NAME)
		return pm_fail(e, PM_DATA, "'%.200s': a shorter name was wanted", t->role);
	return 0;
}

static int read_tensor(struct pm_tensor_spec *t, const json_t *o, struct pm_arena *a, struct pm_err *e)
{
	const json_t *dim = json_object_get(o, "dim");
	json_t *rest = json_copy((json_t *)(size_t)o);
	int64_t n, count = 1, turn = 0;
	size_t i;
	int r = json_is_object(rest) ? pm_json_int(&turn, rest, "hf_turn", e) : bad(e, "tensor", "an object");

	if (r >= 0) {
		json_object_del(rest, "hf_turn");
		r = read_object(t, rest, tensor_fields, N(tensor_fields), a, e);
	}
	json_decref(rest);
	if (r < 0)
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
	t->hf_transposed = t->hf_transposed || t->transposed;
	if (turn < 0 || turn > 2)
		return pm_fail(e, PM_DATA, "'%.200s': 'hf_turn' is %lld, 0 to 2 was wanted", t->role, (long long)turn);
	t->hf_turn = (int)turn;
	return check_stack(t, e);
}

static int by_role(const void *a, const void *b)
{
	return strcmp((*(const struct pm_tensor_spec *const *)a)->role, (*(const struct pm_tensor_spec *const *)b)->role);
}

const struct pm_tensor_spec *pm_spec_find(const struct pm_spec *s, const char *role)
{
	struct pm_tensor_spec key = {.role = role};
	const struct pm_tensor_spec *k = &key, *const *hit = bsearch(&k, s->sorted, s->ntensors, sizeof *s->sorted, by_role);

	return hit ? *hit : NULL;
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
	int64_t apart = 0;
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
		else if (s->tensor[i].apart && (apart += s->tensor[i].experts) > MAX_APART)
			return pm_fail(e, PM_DATA, "tensor %zu: more than %lld matrices of experts", i, (long long)MAX_APART);
		else
			s->tensor[i].plus = s->norm == PM_NORM_RMS1 && !strcmp(s->tensor[i].use, "norm");
	return sort_roles(s, e);
}

int spec_read(struct pm_spec *s, struct pm_err *e)
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
