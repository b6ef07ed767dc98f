/* peft_file.c: adapter directories as PEFT writes them. peft_write.c writes some. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "io/safetensors.h"
#include "spec/peft_private.h"

#define NAMED 3         /* of the tensors that are missing or too many */

/* ---- adapter_config.json ---- */

enum rule {
	READ,           /* one of ours */
	FREE,           /* changes nothing that is computed here */
	OFF,            /* only null, false or empty is plain LoRA */
};

/* fan_in_fan_out follows from how the model stores its matrices, as PEFT itself corrects it. */
static const struct { const char *key; enum rule rule; } keys[] = {
	{"peft_type", READ}, {"r", READ}, {"lora_alpha", READ}, {"lora_dropout", READ}, {"use_rslora", READ}, {"target_modules", READ},
	{"exclude_modules", READ}, {"layers_to_transform", READ}, {"rank_pattern", READ}, {"alpha_pattern", READ}, {"modules_to_save", READ},
	{"bias", READ}, {"init_lora_weights", READ},
	{"auto_mapping", FREE}, {"base_model_name_or_path", FREE}, {"revision", FREE}, {"task_type", FREE}, {"inference_mode", FREE},
	{"peft_version", FREE}, {"fan_in_fan_out", FREE}, {"megatron_core", FREE}, {"qalora_group_size", FREE}, {"runtime_config", FREE},
	{"loftq_config", FREE}, {"eva_config", FREE}, {"corda_config", FREE}, {"lora_ga_config", FREE}, {"unsloth_fixed", FREE},
	{"use_dora", OFF}, {"lora_bias", OFF}, {"layer_replication", OFF}, {"layers_pattern", OFF}, {"megatron_config", OFF},
	{"target_parameters", READ}, {"trainable_token_indices", OFF}, {"alora_invocation_tokens", OFF}, {"use_qalora", OFF}, {"use_bdlora", OFF},
	{"arrow_config", OFF}, {"kasa_config", OFF}, {"velora_config", OFF}, {"monteclora_config", OFF}, {"ensure_weight_tying", OFF},
};

static int bad_value(const char *key, const json_t *v, const char *wanted, struct pm_err *e)
{
	struct pm_str s = {0};

	if (pm_json_text(&s, v, e) == 0)
		pm_fail(e, PM_DATA, "'%.80s' is %.120s, %s", key, s.data, wanted);
	pm_str_free(&s);
	return -1;
}

static bool is_off(const json_t *v)
{
	return json_is_null(v) || json_is_false(v) || ((json_is_array(v) || json_is_object(v)) && !json_array_size(v) && !json_object_size(v)) ||
		(json_is_string(v) && !*json_string_value(v));
}

static int check_keys(const json_t *o, struct pm_err *e)
{
	const char *key;
	json_t *v;
	size_t i;

	json_object_foreach((json_t *)(size_t)o, key, v) {
		for (i = 0; i < sizeof keys / sizeof *keys && strcmp(keys[i].key, key); i++)
			;
		if (i == sizeof keys / sizeof *keys) {
			if (!is_off(v))
				return bad_value(key, v, "which is not known here", e);
		} else if (keys[i].rule == OFF && !is_off(v)) {
			return bad_value(key, v, "only LoRA without it is computed here", e);
		}
	}
	return 0;
}

/* The values of keys that are words: peft_type, bias, and init_lora_weights, some of whose kinds change the base model too. */
static int check_words(const json_t *o, struct pm_err *e)
{
	const json_t *type = json_object_get(o, "peft_type"), *bias = json_object_get(o, "bias"), *init = json_object_get(o, "init_lora_weights");
	const char *s = json_string_value(init);

	if (!json_is_string(type) || strcmp(json_string_value(type), "LORA"))
		return type ? bad_value("peft_type", type, "\"LORA\" was wanted", e) : pm_fail(e, PM_DATA, "'peft_type' is missing");
	if (bias && (!json_is_string(bias) || strcmp(json_string_value(bias), "none")))
		return bad_value("bias", bias, "only \"none\" is computed here", e);
	if (init && !json_is_boolean(init) && !json_is_null(init) && !(s && (!strcmp(s, "gaussian") || !strcmp(s, "eva") || !strcmp(s, "orthogonal"))))
		return bad_value("init_lora_weights", init, "known are true, false, gaussian, eva and orthogonal, which leave the base model as it is", e);
	return 0;
}

static int read_list(const char *const **out, const json_t *v, const char *key, struct pm_arena *a, struct pm_err *e)
{
	size_t i, n = json_array_size(v);
	const char **list = pm_arena_alloc(a, n + 1, sizeof *list, e);

	for (i = 0; list && i < n; i++)
		if (!(list[i] = json_string_value(json_array_get(v, i))) || !*list[i])
			return bad_value(key, v, "a list of names was wanted", e);
	*out = list;
	return list ? 0 : -1;
}

/* A list of names or one regular expression. */
static int read_choice(const char *const **list, const char **regex, const json_t *o, const char *key, struct pm_arena *a, struct pm_err *e)
{
	const json_t *v = json_object_get(o, key);

	if (!v || json_is_null(v))
		return 1;
	if (json_is_array(v))
		return read_list(list, v, key, a, e);
	if (!json_is_string(v))
		return bad_value(key, v, "a list of names or a regular expression was wanted", e);
	*regex = json_string_value(v);
	return 0;
}

static int read_patterns(const struct pm_pattern **out, size_t *n, const json_t *o, const char *key, struct pm_arena *a, struct pm_err *e)
{
	const json_t *v = json_object_get(o, key);
	struct pm_pattern *list;
	const char *regex;
	json_t *value;

	if (!v || json_is_null(v))
		return 0;
	if (!json_is_object(v))
		return bad_value(key, v, "an object of patterns and numbers was wanted", e);
	list = pm_arena_alloc(a, json_object_size(v), sizeof *list, e);
	if (!list)
		return -1;
	json_object_foreach((json_t *)(size_t)v, regex, value) {
		if (!json_is_number(value))
			return bad_value(key, v, "an object of patterns and numbers was wanted", e);
		list[(*n)++] = (struct pm_pattern){regex, json_number_value(value)};
	}
	*out = list;
	return 0;
}

static int read_layers(struct pm_lora_config *c, const json_t *o, struct pm_err *e)
{
	const json_t *v = json_object_get(o, "layers_to_transform");
	size_t i, n = json_is_array(v) ? json_array_size(v) : 1;
	int64_t *list;

	if (!v || json_is_null(v))
		return 0;
	list = pm_arena_alloc(&c->arena, n, sizeof *list, e);
	if (!list)
		return -1;
	for (i = 0; i < n; i++)
		if (pm_json_to_int(&list[i], json_is_array(v) ? json_array_get(v, i) : v) < 0)
			return bad_value("layers_to_transform", v, "layer numbers were wanted", e);
	c->layers = list;
	c->nlayers = n;
	return 0;
}

static bool all_linear(const char *s)
{
	static const char word[] = "all-linear";
	size_t i;

	for (i = 0; i < sizeof word; i++)
		if ((s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]) != word[i])
			return false;
	return true;
}

static int read_config(struct pm_lora_config *c, struct pm_err *e)
{
	const json_t *o = c->json, *save = json_object_get(o, "modules_to_save"), *parameters = json_object_get(o, "target_parameters");
	int r;

	*c = (struct pm_lora_config){.json = c->json, .r = 8, .alpha = 8};
	if (!json_is_object(o))
		return pm_fail(e, PM_DATA, "an object was wanted");
	if (check_words(o, e) < 0 || check_keys(o, e) < 0 || pm_json_int(&c->r, o, "r", e) < 0 || pm_json_real(&c->alpha, o, "lora_alpha", e) < 0 ||
	    pm_json_real(&c->dropout, o, "lora_dropout", e) < 0 || pm_json_bool(&c->rslora, o, "use_rslora", e) < 0)
		return -1;
	if (parameters && !is_off(parameters) && !json_is_array(parameters))
		return bad_value("target_parameters", parameters, "a list of names was wanted", e);
	if (parameters && !is_off(parameters) && read_list(&c->parameters, parameters, "target_parameters", &c->arena, e) < 0)
		return -1;
	r = read_choice(&c->targets, &c->target_regex, o, "target_modules", &c->arena, e);
	if (r < 0 || (r > 0 && !c->parameters))
		return r < 0 ? -1 : pm_fail(e, PM_DATA, "'target_modules' is missing");
	if (r > 0 && !(c->targets = pm_arena_alloc(&c->arena, 1, sizeof *c->targets, e)))       /* no modules then */
		return -1;
	if (c->target_regex && all_linear(c->target_regex))
		c->target_regex = NULL;
	if (read_choice(&c->exclude, &c->exclude_regex, o, "exclude_modules", &c->arena, e) < 0)
		return -1;
	if (save && !json_is_null(save) && !json_is_array(save))
		return bad_value("modules_to_save", save, "a list of names was wanted", e);
	if (json_is_array(save) && read_list(&c->save, save, "modules_to_save", &c->arena, e) < 0)
		return -1;
	return read_layers(c, o, e) < 0 || read_patterns(&c->rank_pattern, &c->nrank, o, "rank_pattern", &c->arena, e) < 0 ||
		read_patterns(&c->alpha_pattern, &c->nalpha, o, "alpha_pattern", &c->arena, e) < 0 ? -1 : 0;
}

/* ---- adapter_model.safetensors ---- */

static int find_matrix(const struct pm_view **out, const struct pm_peft *p, const char *name, int nd, const int64_t *dim, struct pm_str *missing,
	size_t *nmissing, struct pm_err *e)
{
	const struct pm_view *v = pm_safetensors_find(p->file, name);
	int i;

	if (!v)
		return ++*nmissing <= NAMED ? pm_str_printf(missing, e, "%s'%.200s'", *nmissing > 1 ? ", " : "", name) : 0;
	if (v->type != PM_F32 && v->type != PM_F16 && v->type != PM_BF16)
		return pm_fail(e, PM_DATA, "tensor '%.200s': is %s where f32, f16 or bf16 was wanted", name, pm_dtype(v->type)->name);
	for (i = 0; i < nd && v->nd == nd && v->dim[i] == (uint64_t)dim[i]; i++)
		;
	if (i < nd || v->nd != nd)
		return pm_fail(e, PM_DATA, "tensor '%.200s': has %d dimensions, [%llu, %llu], where [%lld, %lld] was wanted", name, v->nd,
			(unsigned long long)v->dim[0], (unsigned long long)v->dim[1], (long long)dim[0], nd > 1 ? (long long)dim[1] : 0);
	*out = v;
	return 0;
}

/* The pair of a module, or those of a stack. */
static int find_pair(struct pm_peft *p, struct pm_lora_module *m, struct pm_str *missing, size_t *n, struct pm_err *e)
{
	const int64_t E = m->experts ? m->experts : 1;
	char name[PM_SPEC_NAME];
	int64_t i;
	int r = 0;

	if (m->fused && m != &p->module[m->shares]) {
		m->a = p->module[m->shares].a;
		m->b = p->module[m->shares].b;
		return 0;
	}
	if (m->fused || !m->experts) {
		r = find_matrix(&m->a, p, m->name_a, 2, (int64_t[]){E * m->r, m->in}, missing, n, e);
		return r < 0 ? r : find_matrix(&m->b, p, m->name_b, 2, (int64_t[]){m->fused ? peft_stack_rows(m) : m->out, E * m->r}, missing, n, e);
	}
	m->as = pm_arena_alloc(&p->arena, (size_t)E, sizeof *m->as, e);
	m->bs = m->as ? pm_arena_alloc(&p->arena, (size_t)E, sizeof *m->bs, e) : NULL;
	for (i = 0; m->bs && r == 0 && i < E; i++) {
		r = find_matrix(&m->as[i], p, pm_spec_name(name, m->name_a, i), 2, (int64_t[]){m->r, m->in}, missing, n, e);
		if (r == 0)
			r = find_matrix(&m->bs[i], p, pm_spec_name(name, m->name_b, i), 2, (int64_t[]){m->out, m->r}, missing, n, e);
	}
	m->a = m->as ? m->as[0] : NULL;
	m->b = m->bs ? m->bs[0] : NULL;
	return m->bs ? r : -1;
}

static int find_tensors(struct pm_peft *p, struct pm_err *e)
{
	struct pm_str missing = {0};
	size_t i, n = 0;
	int r = 0;

	for (i = 0; r == 0 && i < p->nmodules; i++) {
		struct pm_lora_module *m = &p->module[i];

		if (m->kind == PM_ADAPT_SAVE) {
			int64_t dim[4];

			pm_hf_shape(dim, m->target);
			r = find_matrix(&m->a, p, m->name_a, m->target->nd, dim, &missing, &n, e);
			continue;
		}
		r = find_pair(p, m, &missing, &n, e);
	}
	if (r == 0 && n)
		r = pm_fail(e, PM_DATA, "%zu tensor%s missing: %s%s", n, n > 1 ? "s are" : " is", missing.data, n > NAMED ? ", …" : "");
	pm_str_free(&missing);
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The untouched matrix that PEFT stores beside the adapter of an embedding or a head: MODULE.base_layer.weight, where the sorted names
 * have that module's A. */
static bool is_base_layer(const char *const *names, size_t n, const char *name)
{
	static const char end[] = "base_layer.weight";
	size_t len = strlen(name), stem = len - (sizeof end - 1);
	char a[600];
	const char *key = a;

	if (len < sizeof end || len >= sizeof a || strcmp(name + stem, end))
		return false;
	snprintf(a, sizeof a, "%.*slora_A.weight", (int)stem, name);
	if (bsearch(&key, names, n, sizeof *names, by_name))
		return true;
	snprintf(a, sizeof a, "%.*slora_embedding_A", (int)stem, name);
	return bsearch(&key, names, n, sizeof *names, by_name) != NULL;
}

/* How many tensors of its A (or B) a file has. */
static int64_t files_of(const struct pm_lora_module *m)
{
	return m->experts && !m->fused ? m->experts : 1;
}

static int list_names(const char **names, size_t *n, const struct pm_lora_module *m, struct pm_arena *a, struct pm_err *e)
{
	char name[PM_SPEC_NAME];
	int64_t i;

	for (i = 0; i < files_of(m); i++) {
		if (!(names[(*n)++] = pm_arena_printf(a, e, "%s", pm_spec_name(name, m->name_a, i))))
			return -1;
		if (m->name_b && !(names[(*n)++] = pm_arena_printf(a, e, "%s", pm_spec_name(name, m->name_b, i))))
			return -1;
	}
	return 0;
}

/* Every tensor of the file is one of a module's. */
static int check_extra(const struct pm_peft *p, struct pm_err *e)
{
	const char **names, *name;
	struct pm_arena expanded = {0};
	struct pm_str extra = {0};
	size_t i, n = 0, more = 0;
	int r;

	for (i = 0; i < p->nmodules; i++)
		n += 2 * (size_t)files_of(&p->module[i]);
	names = pm_alloc(n, sizeof *names, e);
	r = names ? 0 : -1;
	for (i = n = 0; r == 0 && i < p->nmodules; i++)
		r = list_names(names, &n, &p->module[i], &expanded, e);
	if (r == 0)
		qsort(names, n, sizeof *names, by_name);
	for (i = 0; r == 0 && i < pm_safetensors_count(p->file); i++) {
		name = pm_safetensors_at(p->file, i)->name;
		if (bsearch(&name, names, n, sizeof *names, by_name) || is_base_layer(names, n, name))
			continue;
		if (++more <= NAMED)
			r = pm_str_printf(&extra, e, "%s'%.200s'", more > 1 ? ", " : "", name);
	}
	if (r == 0 && more)
		r = pm_fail(e, PM_DATA, "%zu tensor%s to no module that the configuration means in this model: %s%s", more, more > 1 ? "s belong" : " belongs",
			extra.data, more > NAMED ? ", …" : "");
	pm_arena_free(&expanded);
	free(names);
	pm_str_free(&extra);
	return r;
}

int pm_peft_open(struct pm_peft **out, const char *dir, const struct pm_spec *s, struct pm_err *e)
{
	struct pm_lora_config c = {0};
	struct pm_peft *p = NULL;
	char *config, *file;
	int r = -1;

	if (!pm_is_dir(dir) && pm_exists(dir))
		return peft_open_gguf(out, dir, s, e);
	config = pm_path(dir, "adapter_config.json", e);
	file = pm_path(dir, "adapter_model.safetensors", e);
	if (config && file && (c.json = pm_json_file(config, e))) {
		r = read_config(&c, e);
		if (r == 0)
			r = pm_peft_match(&p, &c, s, e);
		if (r < 0)
			pm_ctx(e, "%s", config);
	}
	if (r == 0)
		r = pm_safetensors_open(&p->file, file, e);
	if (r == 0 && (find_tensors(p, e) < 0 || check_extra(p, e) < 0))
		r = pm_ctx(e, "%s", file);
	if (r == 0)
		p->to_gguf = s->from_gguf;
	free(config);
	free(file);
	json_decref(c.json);
	pm_arena_free(&c.arena);
	if (r < 0)
		pm_peft_free(p);
	else
		*out = p;
	return r;
}
