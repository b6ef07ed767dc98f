/* gguf_adapter.h: what pm-gguf convert and export share: an adapter with the description of the model that it is for. */
#ifndef PM_BIN_GGUF_ADAPTER_H
#define PM_BIN_GGUF_ADAPTER_H

#include <stdlib.h>

#include "base/file.h"
#include "cli/tool.h"
#include "spec/peft.h"

struct adapter {
	struct pm_store *store;         /* of the base; NULL where it is a config.json alone */
	struct pm_spec *spec;
	struct pm_peft *peft;
	char *base;                     /* its path */
};

static inline void adapter_close(struct adapter *x)
{
	pm_peft_free(x->peft);
	pm_spec_free(x->spec);
	pm_store_close(x->store);
	free(x->base);
}

static inline int is_adapter(bool *is, const char *dir, struct pm_err *e)
{
	char *p = pm_path(dir, "adapter_config.json", e), *q = pm_path(dir, "config.json", e);

	*is = p && q && pm_is_dir(dir) && pm_exists(p) && !pm_exists(q);
	free(p);
	free(q);
	return p && q ? 0 : -1;
}

/* The base: the one given, or the one that the adapter's configuration names, where that is here. */
static inline int adapter_base(struct adapter *x, const char *path, const char *base, struct pm_err *e)
{
	char *config;
	const char *name = NULL;
	json_t *o;

	if (base) {
		x->base = pm_strdup(base, e);
		return x->base ? 0 : -1;
	}
	if (!pm_is_dir(path))
		return pm_fail(e, PM_USAGE, "--base was wanted: the model that the adapter is for");
	config = pm_path(path, "adapter_config.json", e);
	o = config ? pm_json_file(config, e) : NULL;
	if (o && pm_json_str(&name, o, "base_model_name_or_path", e) == 0 && pm_exists(name))
		x->base = pm_strdup(name, e);
	else if (o)
		pm_fail(e, PM_USAGE, "--base was wanted: the model that the adapter is for ('%.200s' is not here)", name ? name : "");
	json_decref(o);
	free(config);
	return x->base ? 0 : -1;
}

static inline int adapter_open(struct adapter *x, const char *path, const char *base, const char *family, const struct pm_env *env, struct pm_err *e)
{
	int r;

	*x = (struct adapter){0};
	r = adapter_base(x, path, base, e);
	if (r == 0 && (strlen(x->base) < 5 || strcmp(x->base + strlen(x->base) - 5, ".json")))
		r = pm_store_open(&x->store, x->base, e);
	if (r == 0)
		r = pm_spec_load(&x->spec, x->base, env->share, family, x->store, e);
	if (r == 0)
		r = pm_peft_open(&x->peft, path, x->spec, e);
	if (r < 0)
		adapter_close(x);
	return r;
}

static inline int adapter_values(void *arg, size_t m, int which, float *out, struct pm_err *e)
{
	return pm_lora_values(arg, m, which, out, e);
}

#endif
