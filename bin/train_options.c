#include "bin/train_options.h"

#include "base/file.h"
#include "train/state.h"

/* A result is never overwritten; a run that goes on from a checkpoint beside it writes the same again. */
static int refuse_result(const struct args *a, struct pm_err *e)
{
	static const char *const results[] = {"adapter_model.safetensors", "model.safetensors", "model.safetensors.index.json"};
	char *checkpoint = NULL;
	size_t i;

	if (a->resume && pm_state_newest(&checkpoint, a->output, e) < 0)
		return -1;
	for (i = 0; !checkpoint && i < sizeof results / sizeof *results; i++) {
		char *p = pm_path(a->output, results[i], e);
		bool there = p && pm_exists(p);

		free(p);
		if (there)
			return pm_fail(e, PM_NOCREATE, "%s: holds a result already (%s)%s", a->output, results[i], a->resume ? " and no checkpoint" : "");
	}
	free(checkpoint);
	return 0;
}

int train_check_options(const struct pm_tool *t, struct args *a, struct pm_err *e)
{
	static const char *const lora_only[] = {"alpha", "dropout", "targets", "exclude", "layers", "rank-pattern", "alpha-pattern", "rslora",
		"modules-to-save"};
	static const char *const not_with_grads[] = {"output", "metrics", "save-every", "eval", "eval-every", "keep", "resume", "steps", "dtype", "gguf"};
	int ways = !!a->lora + !!a->adapter + a->full + !!a->init;
	size_t i;

	if (ways != 1)
		return pm_fail(e, PM_USAGE, "one of --lora, --adapter, --full and --init was wanted, %d were given", ways);
	if (!a->model == !a->init)
		return pm_fail(e, PM_USAGE, a->model ? "--init makes its own model: --model has no effect" : "-m was wanted: the model to train");
	if (a->plan && a->grads)
		return pm_fail(e, PM_USAGE, "--plan and --grads are two different things to do");
	if (!a->plan && !a->grads && !a->output)
		return pm_fail(e, PM_USAGE, "-o was wanted: where the result goes");
	if (!pm_opt_given(t, "shuffle"))
		a->shuffle = true;
	for (i = 0; !a->lora && i < sizeof lora_only / sizeof *lora_only; i++)
		if (pm_opt_refuse(t, lora_only[i], "without --lora", e) < 0)
			return -1;
	for (i = 0; a->grads && i < sizeof not_with_grads / sizeof *not_with_grads; i++)
		if (pm_opt_refuse(t, not_with_grads[i], "with --grads", e) < 0)
			return -1;
	if (!a->full && !a->init && pm_opt_refuse(t, "dtype", "on an adapter (it is stored in float32)", e) < 0)
		return -1;
	if ((a->full || a->init) && pm_opt_refuse(t, "gguf", "without an adapter", e) < 0)
		return -1;
	if (a->gguf && a->save_modules)
		return pm_fail(e, PM_USAGE, "--gguf: GGUF adapters have no modules that are saved whole");
	if (!a->held_out && pm_opt_refuse(t, "eval-every", "without --eval", e) < 0)
		return -1;
	if (!a->save_every && pm_opt_refuse(t, "keep", "without --save-every", e) < 0)
		return -1;
	return a->output && !a->plan ? refuse_result(a, e) : 0;
}

/* "a,b,c" as a NULL-terminated list in the arena. */
static const char *const *list_of(struct pm_arena *arena, const char *text, struct pm_err *e)
{
	size_t n = 1, i = 0, len;
	const char **v, *p;

	for (p = text; *p; p++)
		n += *p == ',';
	v = pm_arena_alloc(arena, n + 1, sizeof *v, e);
	for (p = text; v; p += len + 1) {
		len = strcspn(p, ",");
		v[i] = pm_arena_printf(arena, e, "%.*s", (int)len, p);
		if (!v[i++])
			return NULL;
		if (!p[len])
			break;
	}
	return v;
}

/* A list is words of letters, digits, dots and underscores; anything else is a regular expression. */
static bool is_list(const char *s)
{
	return strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-,") == strlen(s);
}

static int names(struct pm_arena *arena, const char *text, const char *const **list, const char **regex, struct pm_err *e)
{
	if (!text || !strcmp(text, "all-linear"))
		return 0;
	if (!is_list(text)) {
		*regex = text;
		return 0;
	}
	*list = list_of(arena, text, e);
	return *list ? 0 : -1;
}

/* "0,2,8-11". */
static int layer_list(struct pm_lora_config *c, const char *text, struct pm_err *e)
{
	int64_t *v = NULL, from, to;
	const char *p = text;
	size_t n = 0, cap = 0;
	char *end;

	while (*p) {
		from = to = strtoll(p, &end, 10);
		if (end != p && *end == '-')
			to = strtoll(p = end + 1, &end, 10);
		if (end == p || (*end && *end != ',') || from < 0 || to < from || to > 1000000) {
			free(v);
			return pm_fail(e, PM_USAGE, "--layers: numbers and ranges like 0,2,8-11 were wanted, not '%s'", text);
		}
		for (; from <= to; from++) {
			if (pm_grow(&v, &cap, n + 1, sizeof *v, e) < 0)
				return -1;
			v[n++] = from;
		}
		p = end + (*end == ',');
	}
	c->layers = pm_arena_alloc(&c->arena, n, sizeof *v, e);
	if (c->layers)
		memcpy((void *)(size_t)c->layers, v, n * sizeof *v);
	c->nlayers = n;
	free(v);
	return c->layers ? 0 : -1;
}

/* {"REGEX": NUMBER, …} in the order given. */
static int pattern(struct pm_arena *arena, const char *option, const char *text, const struct pm_pattern **out, size_t *n, struct pm_err *e)
{
	struct pm_pattern *p;
	const char *key;
	json_t *v, *o;
	int r = 0;

	if (!text)
		return 0;
	o = pm_json_parse(text, strlen(text), option, e);
	if (o && !json_is_object(o))
		r = pm_fail(e, PM_USAGE, "%s: an object of numbers was wanted", option);
	p = o ? pm_arena_alloc(arena, json_object_size(o) + 1, sizeof *p, e) : NULL;
	json_object_foreach(r == 0 && p ? o : NULL, key, v) {
		if (!json_is_number(v))
			r = pm_fail(e, PM_USAGE, "%s: '%s': a number was wanted", option, key);
		p[*n].value = json_number_value(v);
		p[*n].regex = pm_arena_printf(arena, e, "%s", key);
		r = p[(*n)++].regex ? r : -1;
	}
	*out = p;
	if (!o || !p) {
		e->status = PM_USAGE;
		r = -1;
	}
	json_decref(o);
	return r;
}

int train_lora_config(struct pm_lora_config *c, const struct args *a, const struct pm_tool *t, struct pm_err *e)
{
	memset(c, 0, sizeof *c);
	c->r = a->lora;
	c->alpha = pm_opt_given(t, "alpha") ? a->alpha : 2 * (double)a->lora;
	c->dropout = a->dropout;
	c->rslora = a->rslora;
	if (names(&c->arena, a->targets, &c->targets, &c->target_regex, e) < 0 || names(&c->arena, a->exclude, &c->exclude, &c->exclude_regex, e) < 0)
		return -1;
	if (a->layers && layer_list(c, a->layers, e) < 0)
		return -1;
	if (a->save_modules && !(c->save = list_of(&c->arena, a->save_modules, e)))
		return -1;
	if (pattern(&c->arena, "--rank-pattern", a->rank_pattern, &c->rank_pattern, &c->nrank, e) < 0)
		return -1;
	return pattern(&c->arena, "--alpha-pattern", a->alpha_pattern, &c->alpha_pattern, &c->nalpha, e);
}

static enum pm_schedule_kind schedule_of(const struct args *a)
{
	return !strcmp(a->schedule, "constant") ? PM_SCHEDULE_CONSTANT : !strcmp(a->schedule, "linear") ? PM_SCHEDULE_LINEAR : PM_SCHEDULE_COSINE;
}

int train_step_options(struct pm_train_opts *o, const struct args *a, struct pm_err *e)
{
	char *end, *from;

	*o = (struct pm_train_opts){.batch = a->batch, .accum = a->accum, .epochs = a->epochs, .max_steps = a->steps, .eps = a->eps, .decay = a->decay,
		.clip = a->clip, .balance = a->balance, .seed = (uint64_t)a->seed, .shuffle = a->shuffle, .checkpoint = a->checkpointing,
		.schedule = {.kind = schedule_of(a), .lr = a->lr, .warmup = a->warmup}};
	o->beta1 = strtod(a->betas, &end);
	from = *end == ',' && end != a->betas ? end + 1 : end;
	o->beta2 = strtod(from, &end);
	if (end == from || *end || from == a->betas || o->beta1 < 0 || o->beta1 >= 1 || o->beta2 <= 0 || o->beta2 >= 1)
		return pm_fail(e, PM_USAGE, "--betas: two numbers from 0 to 1, as 0.9,0.999, were wanted, not '%s'", a->betas);
	return 0;
}

json_t *train_description(const struct args *a, const char *rows_hash, const char *config_hash, const char *start_hash)
{
	const char *none = "";
	json_t *j = json_pack("{s:s,s:s,s:s,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:b,s:I}", "rows", rows_hash, "config", config_hash,
	    "start", start_hash, "kind", a->full ? "full" : a->init ? "init" : a->adapter ? "adapter" : "lora", "dtype", a->dtype ? a->dtype : none,
	    "batch", (json_int_t)a->batch, "accum", (json_int_t)a->accum,
	    "epochs", (json_int_t)a->epochs, "steps", (json_int_t)a->steps, "seed", (json_int_t)a->seed, "shuffle", a->shuffle,
	    "warmup", (json_int_t)a->warmup);
	json_t *k = json_pack("{s:f,s:s,s:f,s:s,s:f,s:f,s:s}", "lr", a->lr, "schedule", a->schedule, "weight-decay", a->decay, "betas", a->betas,
	    "eps", a->eps, "clip", a->clip, "precision", a->dev.reference ? "reference" : a->dev.precision);
	json_t *l = json_pack("{s:I,s:f,s:f,s:s,s:s,s:s,s:s,s:s,s:b,s:s}", "lora", (json_int_t)a->lora, "alpha", a->alpha, "dropout", a->dropout,
	    "targets", a->targets, "exclude", a->exclude ? a->exclude : none, "layers", a->layers ? a->layers : none,
	    "rank-pattern", a->rank_pattern ? a->rank_pattern : none, "alpha-pattern", a->alpha_pattern ? a->alpha_pattern : none,
	    "rslora", a->rslora, "modules-to-save", a->save_modules ? a->save_modules : none);

	if (k && a->balance > 0)
		json_object_set_new(k, "router-aux-loss", json_real(a->balance));
	if (!j || !k || !l || json_object_update(j, k) < 0 || (a->lora && json_object_update(j, l) < 0)) {
		json_decref(j);
		j = NULL;
	}
	json_decref(k);
	json_decref(l);
	return j;
}

enum pm_dtype train_dtype(const struct args *a, const struct pm_model *m)
{
	size_t i;

	if (a->dtype)
		return pm_dtype_by_name(a->dtype);
	for (i = 0; m->store && i < pm_store_count(m->store); i++)
		if (pm_store_at(m->store, i)->nd >= 2)
			return pm_store_at(m->store, i)->type;
	return PM_F32;
}

int train_write_gradients(struct pm_trainer *t, const char *path, const json_t *provenance, struct pm_err *e)
{
	struct pm_st_writer *w = NULL;
	struct pm_step s;
	struct pm_str text = {0};
	struct pm_param_part part;
	json_t *meta;
	size_t i;
	int64_t k;
	int r = pm_trainer_alloc(t, e);

	if (r == 0)
		r = pm_trainer_gradients(t, &s, e);
	if (r == 0)
		r = pm_json_text(&text, provenance, e);
	meta = json_pack("{s:s}", "pm", text.data ? text.data : "");
	if (r == 0)
		r = pm_st_begin(&w, path, meta, e);
	for (i = 0; r == 0 && i < t->params->n; i++)
		for (k = 0; r == 0 && k < pm_param_parts(&t->params->param[i]); k++) {
			pm_param_part(&part, &t->params->param[i], k);
			r = pm_st_declare(w, part.name, PM_F32, part.nd, part.dim, e);
		}
	for (i = 0; r == 0 && i < t->params->n; i++) {
		const struct pm_param *p = &t->params->param[i];
		size_t bytes = (size_t)p->count * sizeof (float);
		float *f = pm_alloc((size_t)p->count, sizeof *f, e);

		r = f ? pm_mem_read(p->grad, 0, f, bytes, e) : -1;
		for (k = 0; r == 0 && k < pm_param_parts(p); k++) {
			pm_param_part(&part, p, k);
			r = pm_st_put(w, f + part.at, (size_t)part.count * sizeof *f, e);
		}
		free(f);
	}
	if (r == 0)
		r = pm_st_end(w, e);
	else if (w)
		pm_st_abort(w);
	json_decref(meta);
	pm_str_free(&text);
	return r;
}
