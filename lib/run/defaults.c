#include "run/defaults.h"

#include <stdlib.h>

#include "base/file.h"

#define MAX_STOP 1000          /* end tokens of one file: each is held against all others */

int pm_generation_add_stop(struct pm_generation *g, int32_t id, struct pm_err *e)
{
	size_t i;

	for (i = 0; i < g->nstop; i++)
		if (g->stop[i] == id)
			return 0;
	if (id < 0)
		return 0;
	if (pm_grow(&g->stop, &g->cap, g->nstop + 1, sizeof *g->stop, e) < 0)
		return -1;
	g->stop[g->nstop++] = id;
	return 0;
}

/* An end token; −1 is none, as some files write it. */
static int add_id(struct pm_generation *g, const json_t *v, struct pm_err *e)
{
	int64_t id;

	if (pm_json_to_int(&id, v) < 0 || id < -1 || id > INT32_MAX)
		return pm_fail(e, PM_DATA, "'eos_token_id': a token's id or a list of them was wanted");
	return pm_generation_add_stop(g, (int32_t)id, e);
}

/* "eos_token_id": 2, or [1, 106]. */
static int add_eos(struct pm_generation *g, const json_t *o, struct pm_err *e)
{
	const json_t *v = json_object_get(o, "eos_token_id"), *x;
	size_t i;

	if (!v || json_is_null(v))
		return 0;
	if (!json_is_array(v))
		return add_id(g, v, e);
	if (json_array_size(v) > MAX_STOP)
		return pm_fail(e, PM_DATA, "'eos_token_id': %zu end tokens, at most %d were wanted", json_array_size(v), MAX_STOP);
	json_array_foreach(v, i, x)
		if (add_id(g, x, e) < 0)
			return -1;
	return 0;
}

static int read_file(struct pm_generation *g, const json_t *o, struct pm_err *e)
{
	bool sample = false;

	if (!json_is_object(o))
		return pm_fail(e, PM_DATA, "an object was wanted");
	if (pm_json_bool(&sample, o, "do_sample", e) < 0 || pm_json_int(&g->max_tokens, o, "max_new_tokens", e) < 0 || add_eos(g, o, e) < 0 ||
	    pm_json_real(&g->penalty, o, "repetition_penalty", e) < 0)
		return -1;
	if (sample) {           /* what the file leaves out is transformers' own default */
		g->temperature = 1;
		g->top_k = 50;
		if (pm_json_real(&g->temperature, o, "temperature", e) < 0 || pm_json_int(&g->top_k, o, "top_k", e) < 0 ||
		    pm_json_real(&g->top_p, o, "top_p", e) < 0 || pm_json_real(&g->min_p, o, "min_p", e) < 0)
			return -1;
	}
	if (g->temperature < 0 || g->top_k < 0 || g->top_p <= 0 || g->top_p > 1 || g->min_p < 0 || g->min_p > 1 || g->penalty <= 0 || g->max_tokens < 0)
		return pm_fail(e, PM_DATA, "a sampling value is out of its range");
	return 0;
}

int pm_generation_load(struct pm_generation *g, const char *dir, const struct pm_spec *s, const struct pm_tokenizer *t, struct pm_err *e)
{
	char *path = pm_path(dir, "generation_config.json", e);
	json_t *o = NULL;
	int r = path ? 0 : -1;

	*g = (struct pm_generation){.top_p = 1, .penalty = 1};
	if (r == 0 && s->generation) {
		r = read_file(g, s->generation, e) < 0 ? pm_ctx(e, "%s", dir) : 0;
	} else if (r == 0 && pm_exists(path)) {
		o = pm_json_file(path, e);
		r = !o ? -1 : read_file(g, o, e) < 0 ? pm_ctx(e, "%s", path) : 0;
	}
	if (r == 0 && add_eos(g, s->config, e) < 0)
		r = pm_ctx(e, s->from_gguf ? "%s" : "%s: config.json", dir);
	if (r == 0 && t)
		r = pm_generation_add_stop(g, pm_tokenizer_eos(t), e);
	if (r < 0)
		pm_generation_free(g);
	json_decref(o);
	free(path);
	return r;
}

void pm_generation_free(struct pm_generation *g)
{
	free(g->stop);
	g->stop = NULL;
	g->nstop = g->cap = 0;
}
