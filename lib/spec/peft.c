/* peft.c: which modules of a model an adapter's configuration means, and with which ranks: the rules of PEFT 0.21
 * (tuners_utils.check_target_module_exists, utils.other.get_pattern_key and _set_trainable). peft_file.c has the files. */
#include "spec/peft_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/gguf.h"
#include "spec/name_match.h"

#define SHORTEN 20      /* from so many targets on PEFT stores the shortest telling suffixes in place of full names */

struct match {
	struct pm_peft *p;
	const struct pm_spec *spec;
	struct pm_name_match *target, *exclude;
	struct pm_name_match **rank, **alpha;
	bool *hit;                              /* one a target, then one a module to save, then one a parameter */
	size_t ntargets, nsave, nparameters, cap;
};

/* ---- names ---- */

/* The name itself, or its end behind a dot. */
static bool is_suffix(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n >= m && !strcmp(name + n - m, end) && (n == m || name[n - m - 1] == '.');
}

static bool in_list(const char *name, const char *const *list)
{
	for (; list && *list; list++)
		if (is_suffix(name, *list))
			return true;
	return false;
}

/* The number of the layer a module is in: its first part that is a number, from the third on and not the last; −1: none. */
static int64_t layer_of(const char *name)
{
	const char *p = name;
	int part = 0;

	for (;; part++) {
		size_t len = strcspn(p, ".");

		if (!p[len])
			return -1;
		if (part >= 2 && len && strspn(p, "0123456789") == len)
			return strtoll(p, NULL, 10);
		p += len + 1;
	}
}

static bool layer_wanted(const struct pm_lora_config *c, const char *name)
{
	int64_t layer = layer_of(name);
	size_t i;

	for (i = 0; i < c->nlayers; i++)
		if (c->layers[i] == layer)
			return true;
	return !c->nlayers;
}

/* PEFT's rule for modules_to_save: the module, or one that it lies in, has a name that ends so (whatever stands before). */
static bool is_saved(const char *name, const char *end)
{
	size_t m = strlen(end), n;

	for (n = strcspn(name, "."); ; n += 1 + strcspn(name + n + 1, ".")) {
		if (n >= m && !strncmp(name + n - m, end, m))
			return true;
		if (!name[n])
			return false;
	}
}

static bool is_head(const struct pm_tensor_spec *t)
{
	return !strcmp(t->use, "linear") && is_suffix(t->role, "head");
}

/* A stack that transformers 4 had as modules, one an expert; to PEFT others are parameters, which are meant only where they are named. */
static bool has_modules(const struct pm_tensor_spec *t)
{
	return strstr(t->module, "{}") != NULL;
}

/* Linear layers that "all-linear" means: all but the output head and what chooses among experts. */
static bool is_inner_linear(const struct pm_tensor_spec *t)
{
	return !strcmp(t->use, "linear") && !is_head(t) && (!t->experts || has_modules(t));
}

/* ---- all-linear, spelled out ---- */

static bool meant(const struct match *m, const struct pm_tensor_spec *t)
{
	return is_inner_linear(t) && layer_wanted(&m->p->config, t->module);
}

/* Whether the name of a module that is not meant, or of a part of the model that holds modules, ends so. */
static bool taken(const struct match *m, const char *suffix)
{
	size_t i;

	for (i = 0; i < m->spec->ntensors; i++) {
		const struct pm_tensor_spec *t = &m->spec->tensor[i];
		char path[512];
		char *dot;

		if (!strcmp(t->use, "bias"))
			continue;
		snprintf(path, sizeof path, "%s", t->module);
		if (!meant(m, t) && is_suffix(path, suffix))
			return true;
		while ((dot = strrchr(path, '.'))) {
			*dot = 0;
			if (is_suffix(path, suffix))
				return true;
		}
	}
	return false;
}

/* The next longer suffix of a name, or the same where it is the whole. */
static const char *longer(const char *name, const char *suffix)
{
	if (suffix == name)
		return name;
	for (suffix--; suffix > name && suffix[-1] != '.'; suffix--)
		;
	return suffix;
}

/* In place of a long list of full names the shortest suffixes that tell its modules from all others. */
static size_t shorten(const struct match *m, const char **list, size_t n)
{
	const char **out = list + n + 1;        /* the caller's array has room for both */
	size_t i, k = 0;

	for (i = 0; i < n; i++) {
		const char *suffix = longer(list[i], list[i] + strlen(list[i]) + 1);

		out[k] = NULL;
		if (in_list(list[i], out))
			continue;
		while (suffix > list[i] && taken(m, suffix))
			suffix = longer(list[i], suffix);
		out[k++] = suffix;
	}
	if (k >= n)
		return n;
	memcpy(list, out, k * sizeof *list);
	list[k] = NULL;
	return k;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The configuration then holds what PEFT would have stored: every linear layer's name but the head's. Layers that are not to be
 * transformed are left out here, since PEFT does not ask for the layer where a full name is given. */
static int spell_out(struct match *m, struct pm_err *e)
{
	struct pm_lora_config *c = &m->p->config;
	char name[PM_SPEC_NAME];
	const char **list;
	size_t i, n = 0;
	int64_t k;

	for (i = 0; i < m->spec->ntensors; i++)
		n += m->spec->tensor[i].experts ? (size_t)m->spec->tensor[i].experts : 1;
	list = pm_arena_alloc(&m->p->arena, 2 * n + 3, sizeof *list, e);
	if (!list)
		return -1;
	for (i = n = 0; i < m->spec->ntensors; i++) {
		const struct pm_tensor_spec *t = &m->spec->tensor[i];

		for (k = 0; k < (has_modules(t) ? t->experts : 1) && meant(m, t); k++)
			if (!(list[n++] = peft_copy_text(&m->p->arena, pm_spec_name(name, t->module, k), e)))
				return -1;
	}
	if (!n)
		return pm_fail(e, PM_DATA, "all-linear means no layer of this model");
	if (n >= SHORTEN && !m->spec->partial)  /* a suffix might tell too little from modules that are not known here */
		n = shorten(m, list, n);
	c->nlayers = 0;
	qsort(list, n, sizeof *list, by_text);
	c->targets = list;
	return 0;
}

/* ---- matching ---- */

static bool saved_part(const struct pm_lora_config *c, const char *name)
{
	const char *const *s, *p;

	for (s = c->save; s && *s; s++)
		for (p = name; p; p = strchr(p, '.') ? strchr(p, '.') + 1 : NULL)
			if (!strncmp(p, *s, strlen(*s)) && (!p[strlen(*s)] || p[strlen(*s)] == '.'))
				return true;
	return false;
}

/* 1: a target; 0; −1 */
static int is_target(struct match *m, const char *name, struct pm_err *e)
{
	const struct pm_lora_config *c = &m->p->config;
	bool found = false;
	size_t i;
	int r;

	for (i = 0; i < m->ntargets; i++)
		if (is_suffix(name, c->targets[i])) {
			m->hit[i] = true;
			found = found || !strcmp(name, c->targets[i]) || layer_wanted(c, name);
		}
	if (m->target && (r = pm_name_match_whole(m->target, name, e)) != 0) {
		if (r < 0)
			return -1;
		found = true;
	}
	if (!found || in_list(name, c->exclude) || saved_part(c, name))
		return 0;
	if (m->exclude && (r = pm_name_match_whole(m->exclude, name, e)) != 0)
		return r < 0 ? -1 : 0;
	return 1;
}

/* The first pattern that matches the end of a name gives the value. */
static int by_pattern(double *value, struct pm_name_match *const *regex, const struct pm_pattern *list, size_t n, const char *name, struct pm_err *e)
{
	size_t i;
	int r;

	for (i = 0; i < n; i++) {
		r = pm_name_match_whole(regex[i], name, e);
		if (r < 0)
			return -1;
		if (r > 0) {
			*value = list[i].value;
			return 0;
		}
	}
	return 0;
}

static struct pm_lora_module *new_module(struct match *m, struct pm_err *e)
{
	if (pm_grow(&m->p->module, &m->cap, m->p->nmodules + 1, sizeof *m->p->module, e) < 0)
		return NULL;
	memset(&m->p->module[m->p->nmodules], 0, sizeof *m->p->module);
	return &m->p->module[m->p->nmodules++];
}

/* Rank and alpha of a module by its name. */
static int numbers_of(struct match *m, const char *name, double *r, double *alpha, struct pm_err *e)
{
	const struct pm_lora_config *c = &m->p->config;

	*r = (double)c->r;
	*alpha = c->alpha;
	return by_pattern(r, m->rank, c->rank_pattern, c->nrank, name, e) < 0 ? -1 : by_pattern(alpha, m->alpha, c->alpha_pattern, c->nalpha, name, e);
}

/* A module of a tensor, or of each matrix of a stack; `prefix` of its names in the file. */
static struct pm_lora_module *add_module(struct match *m, const struct pm_tensor_spec *t, double r, double alpha, const char *prefix, struct pm_err *e)
{
	const bool embed = !strcmp(t->use, "embed");
	const int at = t->experts ? 1 : 0;
	struct pm_lora_module *mod = new_module(m, e);

	if (!mod)
		return NULL;
	*mod = (struct pm_lora_module){.target = t, .kind = PM_ADAPT_LORA, .r = (int64_t)r, .scale = alpha / (m->p->config.rslora ? sqrt(r) : r),
		.experts = t->experts, .shares = m->p->nmodules - 1};
	mod->in = t->dim[at + (embed || t->transposed ? 0 : 1)];
	mod->out = t->dim[at + (embed || t->transposed ? 1 : 0)];
	mod->name_a = pm_arena_printf(&m->p->arena, e, "base_model.model.%s.%s", prefix, embed ? "lora_embedding_A" : "lora_A.weight");
	mod->name_b = mod->own_b = pm_arena_printf(&m->p->arena, e, "base_model.model.%s.%s", prefix, embed ? "lora_embedding_B" : "lora_B.weight");
	return mod->name_a && mod->name_b ? mod : NULL;
}

static int add_lora(struct match *m, const struct pm_tensor_spec *t, struct pm_err *e)
{
	bool embed = !strcmp(t->use, "embed");
	double r, alpha;

	if ((!embed && strcmp(t->use, "linear") && strcmp(t->use, "router")) || (embed && !is_suffix(t->role, "embed")) || t->nd != 2)
		return pm_fail(e, PM_DATA, "target '%.200s' is neither a linear layer nor the token embedding", t->module);
	return numbers_of(m, t->module, &r, &alpha, e) < 0 || !add_module(m, t, r, alpha, t->module, e) ? -1 : 0;
}

/* ---- stacks ---- */

/* Whether the modules of a stack's experts are targets: all of them or none. */
static int stack_meant(struct match *m, const struct pm_tensor_spec *t, struct pm_err *e)
{
	const struct pm_tensor_spec *const *s = m->p->config.stacks;
	char name[PM_SPEC_NAME];
	int64_t i, n = 0;
	int r;

	for (; s && *s; s++)
		if (*s == t)
			return 1;
	for (i = 0; has_modules(t) && i < t->experts; i++) {
		r = is_target(m, pm_spec_name(name, t->module, i), e);
		if (r < 0)
			return -1;
		n += r;
	}
	if (n && n < t->experts)
		return pm_fail(e, PM_DATA, "'%.200s': %lld of its %lld experts are meant, all or none were wanted", t->module, (long long)n, (long long)t->experts);
	return n > 0;
}

static int add_stack(struct match *m, const struct pm_tensor_spec *t, struct pm_err *e)
{
	double r, alpha, r0 = 0, alpha0 = 0;
	char name[PM_SPEC_NAME];
	int64_t i;

	for (i = 0; i < t->experts; i++) {
		if (numbers_of(m, pm_spec_name(name, t->module, i), &r, &alpha, e) < 0)
			return -1;
		r0 = i ? r0 : r;
		alpha0 = i ? alpha0 : alpha;
		if (r != r0 || alpha != alpha0)
			return pm_fail(e, PM_DATA, "'%.200s': one rank and alpha for all experts were wanted", name);
	}
	return add_module(m, t, r0, alpha0, t->module, e) ? 0 : -1;
}

/* Whether the parameter that a stack is (in) is a target. */
static bool parameter_meant(struct match *m, const struct pm_tensor_spec *t)
{
	bool found = false;
	size_t i;

	for (i = 0; t->fused && i < m->nparameters; i++)
		if (is_suffix(t->fused, m->p->config.parameters[i]))
			m->hit[m->ntargets + m->nsave + i] = found = true;
	return found;
}

/* PEFT wraps a module once for each of its parameters that is a target: the first ends up inside. */
static bool is_inside(struct match *m, const struct pm_tensor_spec *t)
{
	const size_t n = (size_t)(strrchr(t->fused, '.') - t->fused) + 1;
	size_t i;

	for (i = (size_t)(t - m->spec->tensor) + 1; i < m->spec->ntensors; i++) {
		const struct pm_tensor_spec *o = &m->spec->tensor[i];

		if (o->fused && !strncmp(o->fused, t->fused, n) && strcmp(o->fused, t->fused) && !strchr(o->fused + n, '.') && parameter_meant(m, o))
			return true;
	}
	return false;
}

static int add_parameter(struct match *m, const struct pm_tensor_spec *t, struct pm_err *e)
{
	const char *dot = strrchr(t->fused, '.'), *role = strrchr(t->role, '.');
	char prefix[PM_SPEC_NAME + 16];
	struct pm_lora_module *mod;
	double r, alpha;
	size_t i;

	if (m->p->config.dropout > 0)
		return pm_fail(e, PM_DATA, "'lora_dropout' is %g: parameters of experts have adapters without it", m->p->config.dropout);
	if (!dot || numbers_of(m, t->fused, &r, &alpha, e) < 0)
		return dot ? -1 : pm_fail(e, PM_DATA, "'%.200s' is no path of a parameter", t->fused);
	snprintf(prefix, sizeof prefix, "%.*s%s", (int)(dot - t->fused), t->fused, is_inside(m, t) ? ".base_layer" : "");
	mod = add_module(m, t, r, alpha, prefix, e);
	if (!mod)
		return -1;
	mod->fused = true;
	mod->part = !strcmp(role, ".gate") ? 1 : !strcmp(role, ".up") ? 2 : 0;
	for (i = 0; i < mod->shares; i++)
		if (m->p->module[i].fused && !strcmp(m->p->module[i].target->fused, t->fused))
			mod->shares = i;
	if (mod->part)
		mod->own_b = pm_arena_printf(&m->p->arena, e, "%s%s", mod->name_b, role);
	return mod->own_b ? 0 : -1;
}

static int match_stack(struct match *m, const struct pm_tensor_spec *t, struct pm_err *e)
{
	int apart = stack_meant(m, t, e);
	bool fused = parameter_meant(m, t);

	if (apart < 0 || (!apart && !fused))
		return apart;
	if (apart && fused)
		return pm_fail(e, PM_DATA, "'%.200s' is meant by 'target_modules' and by 'target_parameters'", t->fused);
	return fused ? add_parameter(m, t, e) : add_stack(m, t, e);
}

/* Names given as targets of which PEFT has parameters, not modules, become target_parameters. */
static int take_parameters(struct match *m, struct pm_err *e)
{
	struct pm_lora_config *c = &m->p->config;
	const char **modules = pm_arena_alloc(&m->p->arena, peft_count(c->targets) + 1, sizeof *modules, e);
	const char **parameters = pm_arena_alloc(&m->p->arena, peft_count(c->targets) + peft_count(c->parameters) + 1, sizeof *parameters, e);
	size_t i, k, nm = 0, np = 0;

	if (!modules || !parameters)
		return -1;
	for (; c->parameters && c->parameters[np]; np++)
		parameters[np] = c->parameters[np];
	for (i = 0; i < peft_count(c->targets); i++) {
		for (k = 0; k < m->spec->ntensors; k++) {
			const struct pm_tensor_spec *t = &m->spec->tensor[k];

			if (t->fused && !has_modules(t) && is_suffix(t->fused, c->targets[i]))
				break;
		}
		if (k < m->spec->ntensors)
			parameters[np++] = c->targets[i];
		else
			modules[nm++] = c->targets[i];
	}
	c->targets = modules;
	c->parameters = np ? parameters : NULL;
	return 0;
}

static int add_saved(struct match *m, const struct pm_tensor_spec *t, struct pm_err *e)
{
	const char *const *s = m->p->config.save, *last;
	struct pm_lora_module *mod;
	bool found = false;
	size_t i;

	for (i = 0; i < m->nsave; i++)
		if (is_saved(t->module, s[i]))
			m->hit[m->ntargets + i] = found = true;
	if (!found)
		return 0;
	if (t->experts)
		return pm_fail(e, PM_DATA, "'modules_to_save': '%.200s': experts cannot be saved whole here", t->module);
	if (m->spec->tied && is_suffix(t->role, "embed"))
		return pm_fail(e, PM_DATA, "'modules_to_save': '%.200s' is tied to the head: a copy of it for itself is not computed here", t->module);
	mod = new_module(m, e);
	if (!mod)
		return -1;
	last = strrchr(t->file, '.');
	*mod = (struct pm_lora_module){.target = t, .kind = PM_ADAPT_SAVE, .scale = 1, .out = t->dim[0], .in = t->nd > 1 ? t->dim[1] : 1};
	mod->name_a = pm_arena_printf(&m->p->arena, e, "base_model.model.%s%s", t->module, last ? last : "");
	return mod->name_a ? 0 : -1;
}

/* A target that means nothing is a slip of whoever wrote the options. In a file of PEFT's it may stay: PEFT itself asks only that
 * some module was found, and the tensors of the file are held against the modules. */
static int check_hits(const struct match *m, struct pm_err *e)
{
	const struct pm_lora_config *c = &m->p->config;
	const char *why = m->spec->tied ? " (the head is tied to the embedding)" : "";
	size_t i;

	for (i = 0; i < m->ntargets + m->nsave; i++)
		if (!m->hit[i] && !c->json && !c->stacks)
			return pm_fail(e, PM_DATA, "'%.200s' means no module of this model%s", i < m->ntargets ? c->targets[i] : c->save[i - m->ntargets], why);
	for (i = 0; i < m->nparameters; i++)
		if (!m->hit[m->ntargets + m->nsave + i])
			return pm_fail(e, PM_DATA, "'target_parameters': '%.200s' means no matrices of experts in this model", c->parameters[i]);
	if (!m->p->nmodules)
		return pm_fail(e, PM_DATA, "the targets mean no module of this model%s", why);
	return 0;
}

static int compile_patterns(struct pm_name_match ***out, const struct pm_pattern *list, size_t n, struct pm_err *e)
{
	struct pm_str s = {0};
	size_t i;
	int r = 0;

	*out = pm_alloc(n, sizeof **out, e);
	for (i = 0; *out && r == 0 && i < n; i++) {
		pm_str_clear(&s);
		r = pm_str_printf(&s, e, "(.*\\.)?(%s)", list[i].regex);
		if (r == 0)
			r = pm_name_match_new(&(*out)[i], s.data, e);
	}
	pm_str_free(&s);
	return *out ? r : -1;
}

static void free_patterns(struct pm_name_match **list, size_t n)
{
	size_t i;

	for (i = 0; list && i < n; i++)
		pm_name_match_free(list[i]);
	free(list);
}

static int match_all(struct match *m, struct pm_err *e)
{
	struct pm_lora_config *c = &m->p->config;
	size_t i;
	int r;

	if (!c->targets && !c->target_regex && spell_out(m, e) < 0)
		return -1;
	if (c->targets && !c->json && !c->stacks && take_parameters(m, e) < 0)
		return -1;
	m->ntargets = peft_count(c->targets);
	m->nsave = peft_count(c->save);
	m->nparameters = peft_count(c->parameters);
	m->hit = pm_alloc(m->ntargets + m->nsave + m->nparameters, sizeof *m->hit, e);
	if (!m->hit || (c->target_regex && pm_name_match_new(&m->target, c->target_regex, e) < 0) ||
	    (c->exclude_regex && pm_name_match_new(&m->exclude, c->exclude_regex, e) < 0) ||
	    compile_patterns(&m->rank, c->rank_pattern, c->nrank, e) < 0 || compile_patterns(&m->alpha, c->alpha_pattern, c->nalpha, e) < 0)
		return -1;
	for (i = 0; i < m->spec->ntensors; i++) {
		const struct pm_tensor_spec *t = &m->spec->tensor[i];

		if (add_saved(m, t, e) < 0)
			return -1;
		if (t->experts && strcmp(t->use, "bias") && match_stack(m, t, e) < 0)
			return -1;
		r = strcmp(t->use, "bias") && !t->experts ? is_target(m, t->module, e) : 0;
		if (r < 0 || (r > 0 && add_lora(m, t, e) < 0))
			return -1;
	}
	r = check_hits(m, e);
	c->stacks = NULL;                       /* the caller's, for now only */
	return r;
}

int pm_peft_match(struct pm_peft **out, const struct pm_lora_config *c, const struct pm_spec *s, struct pm_err *e)
{
	struct match m = {.spec = s};
	int r;

	m.p = pm_alloc(1, sizeof *m.p, e);
	if (!m.p)
		return -1;
	m.p->model_gguf = s->from_gguf;
	r = peft_check_config(c, e);
	if (r == 0)
		r = peft_copy_config(&m.p->config, c, &m.p->arena, e);
	if (r == 0)
		r = match_all(&m, e);
	free_patterns(m.rank, c->nrank);
	free_patterns(m.alpha, c->nalpha);
	pm_name_match_free(m.target);
	pm_name_match_free(m.exclude);
	free(m.hit);
	if (r < 0)
		pm_peft_free(m.p);
	else
		*out = m.p;
	return r;
}

void pm_peft_free(struct pm_peft *p)
{
	if (!p)
		return;
	pm_safetensors_close(p->file);
	pm_gguf_close(p->gguf);
	json_decref(p->config.json);
	pm_arena_free(&p->config.arena);
	free(p->module);
	pm_arena_free(&p->arena);
	free(p);
}
