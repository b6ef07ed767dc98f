/* peft_write.c: adapter directories written as PEFT writes them. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "io/safetensors.h"
#include "spec/peft_private.h"

static int by_name(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

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
		"layers_pattern", "lora_ga_config", "megatron_config", "monteclora_config", "revision", "trainable_token_indices",
		"use_bdlora", "velora_config",
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
	json_object_set_new(o, "target_parameters", name_list(c->parameters));
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

/* One tensor of the file: of a stack that lies apart, an expert's. */
struct part {
	const char *name;                       /* with "{}" for the expert */
	size_t module;
	int which, nd;
	int64_t expert;                         /* −1: the whole */
	uint64_t dim[4];
};

/* Those of a stack follow each other. */
static int by_part(const void *a, const void *b)
{
	const struct part *x = a, *y = b;
	const int names = strcmp(x->name, y->name);

	return names ? names : (x->expert > y->expert) - (x->expert < y->expert);
}

static int count_parts(size_t *n, const struct pm_peft *p, struct pm_err *e)
{
	size_t i;

	for (i = 0, *n = 0; i < p->nmodules; i++) {
		const struct pm_lora_module *m = &p->module[i];

		if (m->experts && !m->fused && !strstr(m->name_a, "{}"))
			return pm_fail(e, PM_DATA, "'%.200s': an A for the gate and one for up is what only GGUF adapters can say", m->target->fused);
		*n += 2 * (size_t)(m->experts && !m->fused ? m->experts : 1);
	}
	return 0;
}

static size_t list_parts(struct part *part, const struct pm_peft *p)
{
	size_t i, n = 0;
	int64_t k;
	int d;

	for (i = 0; i < p->nmodules; i++) {
		const struct pm_lora_module *m = &p->module[i];
		const uint64_t r = (uint64_t)(m->fused ? m->r * m->experts : m->r);

		if (m->kind == PM_ADAPT_SAVE) {
			int64_t dim[4];

			pm_hf_shape(dim, m->target);
			part[n] = (struct part){m->name_a, i, 0, m->target->nd, -1, {0}};
			for (d = 0; d < m->target->nd; d++)
				part[n].dim[d] = (uint64_t)dim[d];
			n++;
			continue;
		}
		for (k = 0; m->shares == i && k < (m->experts && !m->fused ? m->experts : 1); k++) {
			const int64_t expert = m->experts && !m->fused ? k : -1;

			part[n++] = (struct part){m->name_a, i, 0, 2, expert, {r, (uint64_t)m->in}};
			part[n++] = (struct part){m->name_b, i, 1, 2, expert, {m->fused ? (uint64_t)peft_stack_rows(m) : (uint64_t)m->out, r}};
		}
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

static size_t size_of(const struct part *part)
{
	size_t n = 1;
	int d;

	for (d = 0; d < part->nd; d++)
		n *= (size_t)part->dim[d];
	return n;
}

/* What a part's module has, all experts of it. */
static int get_part(const struct pm_peft *p, const struct part *part, float *buf,
	int (*get)(void *arg, size_t m, int which, float *out, struct pm_err *e), void *arg, struct pm_err *e)
{
	const struct pm_lora_module *m = &p->module[part->module];
	int r;

	if (m->fused && part->which)
		return peft_stack_fuse(p, part->module, get, arg, buf, e);
	r = get(arg, part->module, part->which, buf, e);
	return r == 0 && p->model_gguf ? peft_turn(m, part->which, buf, false, e) : r;
}

static int write_parts(struct pm_st_writer *w, const struct pm_peft *p, const struct part *part, size_t n,
	int (*get)(void *arg, size_t m, int which, float *out, struct pm_err *e), void *arg, struct pm_err *e)
{
	size_t i, largest = 0;
	char name[PM_SPEC_NAME];
	float *buf;
	int r = 0;

	for (i = 0; r == 0 && i < n; i++) {
		const size_t count = size_of(&part[i]) * (part[i].expert < 0 ? 1 : (size_t)p->module[part[i].module].experts);

		largest = count > largest ? count : largest;
		r = pm_st_declare(w, pm_spec_name(name, part[i].name, part[i].expert), PM_F32, part[i].nd, part[i].dim, e);
	}
	buf = r == 0 ? pm_alloc(largest, sizeof *buf, e) : NULL;
	for (i = 0; buf && r == 0 && i < n; i++) {
		const size_t count = size_of(&part[i]);

		if (part[i].expert <= 0)
			r = get_part(p, &part[i], buf, get, arg, e);
		if (r == 0)
			r = pm_st_put(w, buf + (part[i].expert > 0 ? (size_t)part[i].expert * count : 0), count * sizeof *buf, e);
	}
	r = buf ? r : -1;
	free(buf);
	return r;
}

int pm_peft_write(const struct pm_peft *p, const char *dir, const char *base, const json_t *provenance,
	int (*get)(void *arg, size_t m, int which, float *out, struct pm_err *e), void *arg, struct pm_err *e)
{
	size_t count = 0;
	struct part *part = count_parts(&count, p, e) < 0 ? NULL : pm_alloc(count, sizeof *part, e);
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
