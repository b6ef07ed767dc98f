/* peft_file.c: adapter directories as PEFT writes and reads them. */
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
	{"target_parameters", OFF}, {"trainable_token_indices", OFF}, {"alora_invocation_tokens", OFF}, {"use_qalora", OFF}, {"use_bdlora", OFF},
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
	const json_t *o = c->json, *save = json_object_get(o, "modules_to_save");
	int r;

	*c = (struct pm_lora_config){.json = c->json, .r = 8, .alpha = 8};
	if (!json_is_object(o))
		return pm_fail(e, PM_DATA, "an object was wanted");
	if (check_words(o, e) < 0 || check_keys(o, e) < 0 || pm_json_int(&c->r, o, "r", e) < 0 || pm_json_real(&c->alpha, o, "lora_alpha", e) < 0 ||
	    pm_json_real(&c->dropout, o, "lora_dropout", e) < 0 || pm_json_bool(&c->rslora, o, "use_rslora", e) < 0)
		return -1;
	r = read_choice(&c->targets, &c->target_regex, o, "target_modules", &c->arena, e);
	if (r != 0)
		return r < 0 ? -1 : pm_fail(e, PM_DATA, "'target_modules' is missing");
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
		r = find_matrix(&m->a, p, m->name_a, 2, (int64_t[]){m->r, m->in}, &missing, &n, e);
		if (r == 0)
			r = find_matrix(&m->b, p, m->name_b, 2, (int64_t[]){m->out, m->r}, &missing, &n, e);
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

/* Every tensor of the file is one of a module's. */
static int check_extra(const struct pm_peft *p, struct pm_err *e)
{
	const char **names = pm_alloc(2 * p->nmodules, sizeof *names, e), *name;
	struct pm_str extra = {0};
	size_t i, n = 0, more = 0;
	int r = names ? 0 : -1;

	for (i = 0; r == 0 && i < p->nmodules; i++) {
		names[n++] = p->module[i].name_a;
		if (p->module[i].name_b)
			names[n++] = p->module[i].name_b;
	}
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

/* ---- writing ---- */

/* Sorted, as PEFT writes its sets. */
static json_t *name_list(const char *const *list)
{
	size_t i, n = 0;
	const char **sorted;
	json_t *v;

	if (!list)
		return json_null();
	while (list[n])
		n++;
	sorted = calloc(n + 1, sizeof *sorted);
	v = sorted ? json_array() : NULL;
	if (v && n) {
		memcpy(sorted, list, n * sizeof *sorted);
		qsort(sorted, n, sizeof *sorted, by_name);
	}
	for (i = 0; v && i < n; i++)
		json_array_append_new(v, json_string(sorted[i]));
	free(sorted);
	return v;
}

static json_t *number(double d)
{
	return d == floor(d) && fabs(d) < 1e15 ? json_integer((json_int_t)d) : json_real(d);
}

static json_t *pattern_object(const struct pm_pattern *list, size_t n)
{
	json_t *v = json_object();
	size_t i;

	for (i = 0; v && i < n; i++)
		json_object_set_new(v, list[i].regex, number(list[i].value));
	return v;
}

/* The keys of PEFT 0.21.2, with the values of plain LoRA. */
static json_t *plain_config(void)
{
	static const char *const off[] = {"lora_bias", "use_dora", "use_qalora", "ensure_weight_tying"};
	static const char *const none[] = {
		"alora_invocation_tokens", "arrow_config", "auto_mapping", "corda_config", "eva_config", "kasa_config", "layer_replication",
		"layers_pattern", "lora_ga_config", "megatron_config", "monteclora_config", "revision", "target_parameters",
		"trainable_token_indices", "use_bdlora", "velora_config",
	};
	json_t *o = json_pack("{s:s, s:b, s:b, s:{}, s:s, s:s, s:s, s:i, s:s}", "bias", "none", "inference_mode", 1, "init_lora_weights", 1,
		"loftq_config", "megatron_core", "megatron.core", "peft_type", "LORA", "peft_version", "0.21.2", "qalora_group_size", 16,
		"task_type", "CAUSAL_LM");
	size_t i;

	for (i = 0; o && i < sizeof off / sizeof *off; i++)
		json_object_set_new(o, off[i], json_false());
	for (i = 0; o && i < sizeof none / sizeof *none; i++)
		json_object_set_new(o, none[i], json_null());
	return o;
}

static json_t *new_config(const struct pm_peft *p)
{
	const struct pm_lora_config *c = &p->config;
	json_t *o = plain_config(), *layers = c->nlayers ? json_array() : json_null();
	bool transposed = false;
	size_t i;

	for (i = 0; i < c->nlayers; i++)
		json_array_append_new(layers, json_integer(c->layers[i]));
	for (i = 0; i < p->nmodules; i++)
		transposed = transposed || (p->module[i].kind == PM_ADAPT_LORA && p->module[i].target->hf_transposed);
	json_object_set_new(o, "layers_to_transform", layers);
	json_object_set_new(o, "fan_in_fan_out", json_boolean(transposed));
	json_object_set_new(o, "r", json_integer(c->r));
	json_object_set_new(o, "lora_alpha", number(c->alpha));
	json_object_set_new(o, "lora_dropout", json_real(c->dropout));
	json_object_set_new(o, "use_rslora", json_boolean(c->rslora));
	json_object_set_new(o, "target_modules", c->target_regex ? json_string(c->target_regex) : name_list(c->targets));
	json_object_set_new(o, "exclude_modules", c->exclude_regex ? json_string(c->exclude_regex) : name_list(c->exclude));
	json_object_set_new(o, "modules_to_save", name_list(c->save));
	json_object_set_new(o, "rank_pattern", pattern_object(c->rank_pattern, c->nrank));
	json_object_set_new(o, "alpha_pattern", pattern_object(c->alpha_pattern, c->nalpha));
	return o;
}

/* An adapter that was opened keeps its own configuration. Patterns keep their order, since the first that matches counts; the other
 * keys are sorted as PEFT sorts them. */
static int write_config(const struct pm_peft *p, const char *dir, const char *base, struct pm_err *e)
{
	json_t *o = p->config.json ? json_deep_copy(p->config.json) : new_config(p), *sorted = json_object();
	const char **names = pm_alloc(json_object_size(o) + 2, sizeof *names, e), *key;
	char *path = pm_path(dir, "adapter_config.json", e), *text = NULL;
	struct pm_out out = {0};
	size_t i, n = 0;
	json_t *v;
	int r = -1;

	json_object_set_new(o, "base_model_name_or_path", base ? json_string(base) : json_null());
	json_object_set_new(o, "inference_mode", json_true());
	json_object_foreach(o, key, v)
		if (names)
			names[n++] = key;
	if (names)
		qsort(names, n, sizeof *names, by_name);
	for (i = 0; i < n; i++)
		json_object_set(sorted, names[i], json_object_get(o, names[i]));
	text = json_dumps(sorted, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	if (names && path && !text)
		pm_fail(e, PM_SOFTWARE, "%s: the configuration cannot be written as JSON", dir);
	else if (names && path && pm_out_open(&out, path, e) == 0)
		r = pm_out_write(&out, text, strlen(text), e) < 0 || pm_out_write(&out, "\n", 1, e) < 0 ? -1 : pm_out_close(&out, e);
	pm_out_abort(&out);
	free(text);
	free(path);
	free(names);
	json_decref(sorted);
	json_decref(o);
	return r;
}

/* One tensor of the file. */
struct part {
	const char *name;
	size_t module;
	int which, nd;
	uint64_t dim[4];
};

static int by_part(const void *a, const void *b)
{
	return strcmp(((const struct part *)a)->name, ((const struct part *)b)->name);
}

static size_t list_parts(struct part *part, const struct pm_peft *p)
{
	size_t i, n = 0;
	int d;

	for (i = 0; i < p->nmodules; i++) {
		const struct pm_lora_module *m = &p->module[i];

		if (m->kind == PM_ADAPT_SAVE) {
			int64_t dim[4];

			pm_hf_shape(dim, m->target);
			part[n] = (struct part){m->name_a, i, 0, m->target->nd, {0}};
			for (d = 0; d < m->target->nd; d++)
				part[n].dim[d] = (uint64_t)dim[d];
			n++;
			continue;
		}
		part[n++] = (struct part){m->name_a, i, 0, 2, {(uint64_t)m->r, (uint64_t)m->in}};
		part[n++] = (struct part){m->name_b, i, 1, 2, {(uint64_t)m->out, (uint64_t)m->r}};
	}
	qsort(part, n, sizeof *part, by_part);
	return n;
}

/* {"format": "pt"} and what the caller knows of the making, each value as text. */
static json_t *make_metadata(const json_t *provenance, struct pm_err *e)
{
	json_t *o = json_pack("{s:s}", "format", "pt"), *v;
	struct pm_str s = {0};
	const char *key;

	json_object_foreach((json_t *)(size_t)provenance, key, v) {
		pm_str_clear(&s);
		if (json_is_string(v))
			json_object_set(o, key, v);
		else if (pm_json_text(&s, v, e) == 0)
			json_object_set_new(o, key, json_string(s.data));
	}
	pm_str_free(&s);
	return o;
}

static int write_parts(struct pm_st_writer *w, const struct pm_peft *p, const struct part *part, size_t n,
	int (*get)(void *arg, size_t m, int which, float *out, struct pm_err *e), void *arg, struct pm_err *e)
{
	size_t i, largest = 0;
	float *buf;
	int r = 0, d;

	for (i = 0; r == 0 && i < n; i++) {
		size_t count = 1;

		for (d = 0; d < part[i].nd; d++)
			count *= part[i].dim[d];
		largest = count > largest ? count : largest;
		r = pm_st_declare(w, part[i].name, PM_F32, part[i].nd, part[i].dim, e);
	}
	buf = r == 0 ? pm_alloc(largest, sizeof *buf, e) : NULL;
	for (i = 0; buf && r == 0 && i < n; i++) {
		size_t count = 1;

		for (d = 0; d < part[i].nd; d++)
			count *= part[i].dim[d];
		r = get(arg, part[i].module, part[i].which, buf, e);
		if (r == 0 && p->model_gguf)
			r = peft_turn(&p->module[part[i].module], part[i].which, buf, false, e);
		if (r == 0)
			r = pm_st_put(w, buf, count * sizeof *buf, e);
	}
	r = buf ? r : -1;
	free(buf);
	return r;
}

int pm_peft_write(const struct pm_peft *p, const char *dir, const char *base, const json_t *provenance,
	int (*get)(void *arg, size_t m, int which, float *out, struct pm_err *e), void *arg, struct pm_err *e)
{
	struct part *part = pm_alloc(2 * p->nmodules, sizeof *part, e);
	char *path = pm_path(dir, "adapter_model.safetensors", e);
	json_t *metadata = make_metadata(provenance, e);
	struct pm_st_writer *w = NULL;
	int r = part && path ? write_config(p, dir, base, e) : -1;

	if (r == 0)
		r = pm_st_begin(&w, path, metadata, e);
	if (r == 0) {
		r = write_parts(w, p, part, list_parts(part, p), get, arg, e);
		if (r == 0)
			r = pm_st_end(w, e);
		else
			pm_st_abort(w);
	}
	json_decref(metadata);
	free(path);
	free(part);
	return r;
}
