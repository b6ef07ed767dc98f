/* pm-gguf export: a GGUF file as a model directory, or as a PEFT adapter. */
#include <stdlib.h>
#include <string.h>

#include "bin/gguf.h"
#include "bin/gguf_adapter.h"
#include "merge/export.h"

static struct {
	const char *output, *type, *base, *family;
} a;

static struct pm_opt opts[] = {
	PM_OPT_OUTPUT(&a.output, "the directory to make"),
	{.name = "dtype", .kind = PM_OPT_CHOICE, .arg = "T", .to = &a.type, .choices = "bf16|f16|f32", .help = "type of the tensors [bf16, and MXFP4 as it is]"},
	{.name = "base", .kind = PM_OPT_STR, .arg = "MODEL", .to = &a.base, .help = "the model of an adapter"},
	{.name = "family", .kind = PM_OPT_STR, .arg = "FILE", .to = &a.family, .help = "a family description of your own (pm-family(5))"},
};

/* Whether the file says that it is an adapter. */
static int says_adapter(bool *is, const char *path, struct pm_err *e)
{
	const struct pm_gguf_key *k;
	struct pm_gguf *g;
	const char *s;
	size_t n;

	if (pm_gguf_open(&g, path, e) < 0)
		return -1;
	k = pm_gguf_key(g, "general.type");
	*is = k && k->type == PM_GGUF_STRING && pm_gguf_string(&s, &n, k, e) == 0 && n == 7 && !memcmp(s, "adapter", 7);
	pm_gguf_close(g);
	return 0;
}

static int export_adapter(const struct pm_tool *t, const char *path, const char *dir, const struct pm_env *env, const json_t *made, struct pm_err *e)
{
	struct adapter x;
	int r = pm_opt_refuse(t, "dtype", "on an adapter (it is stored in float32)", e);

	if (r == 0)
		r = adapter_open(&x, path, a.base, a.family, env, e);
	if (r < 0)
		return -1;
	r = pm_peft_write(x.peft, dir, x.base, made, adapter_values, x.peft, e);
	adapter_close(&x);
	return r;
}

static int export_model(const char *path, const char *dir, const struct pm_env *env, const json_t *made, struct pm_err *e)
{
	if (a.base)
		return pm_fail(e, PM_USAGE, "--base has no effect on a model");
	return pm_export(path, dir, env->share, a.family, pm_dtype_by_name(a.type ? a.type : "bf16"), !a.type, made, e);
}

static int run(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	struct pm_env env;
	json_t *made = NULL;
	char *temp = NULL;
	bool adapter;
	int r;

	if (argc != 2)
		return pm_fail(e, PM_USAGE, "one file was wanted (see --help)");
	if (!a.output)
		return pm_fail(e, PM_USAGE, "-o was wanted: the directory to make");
	if (pm_env_get(&env, e) < 0)
		return -1;
	r = gguf_names(argc, argv, &env, e);
	if (r == 0)
		r = local_name(&a.base, &env, e);
	if (r == 0)
		r = says_adapter(&adapter, argv[1], e);
	if (r == 0)
		r = pm_dir_begin(&temp, a.output, e);
	if (r == 0) {
		made = json_pack("{s:s,s:s,s:s}", "tool", "pm-gguf export", "version", pm_tool_version(), "command", pm_tool_command());
		r = adapter ? export_adapter(t, argv[1], temp, &env, made, e) : export_model(argv[1], temp, &env, made, e);
		if (r == 0)
			r = pm_dir_commit(temp, a.output, false, e);
		else
			pm_remove_tree(temp, e);
	}
	json_decref(made);
	free(temp);
	pm_env_free(&env);
	return r;
}

static struct pm_tool tool = {.name = "pm-gguf export", .operands = "FILE", .brief = "makes a model directory or a PEFT adapter of a GGUF file", .opts = opts,
	.nopts = sizeof opts / sizeof *opts};

const struct pm_verb gguf_export = {"export", &tool, run};
