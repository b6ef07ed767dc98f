/* pm-gguf convert: a model directory, or a PEFT adapter, as a GGUF file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "bin/gguf.h"
#include "bin/gguf_adapter.h"
#include "merge/convert.h"

static struct {
	const char *output, *to, *name, *metadata, *base, *family;
	struct pm_opt_list overrides;
	bool dry;
} a;

static struct pm_opt opts[] = {
	PM_OPT_OUTPUT(&a.output, "the file to write"),
	{.name = "to", .kind = PM_OPT_CHOICE, .arg = "T", .to = &a.to, .fallback = "auto", .choices = "auto|f32|f16|bf16|q8_0", .help = "type of the matrices"},
	{.name = "name", .kind = PM_OPT_STR, .arg = "TEXT", .to = &a.name, .help = "general.name [the directory's]"},
	{.name = "metadata", .kind = PM_OPT_STR, .arg = "FILE", .to = &a.metadata, .help = "JSON object of keys general.* to write"},
	{.name = "override", .kind = PM_OPT_STRS, .arg = "K=T:V", .to = &a.overrides, .help = "a key in the place of another; may be repeated"},
	{.name = "base", .kind = PM_OPT_STR, .arg = "MODEL", .to = &a.base, .help = "the model of an adapter [as it says]"},
	{.name = "family", .kind = PM_OPT_STR, .arg = "FILE", .to = &a.family, .help = "a family description of your own (pm-family(5))"},
	{.name = "dry-run", .kind = PM_OPT_FLAG, .to = &a.dry, .help = "only print what would be written"},
};

static int convert_adapter(const struct pm_tool *t, const char *dir, const struct pm_env *env, struct pm_err *e)
{
	static const char *const model_only[] = {"to", "metadata", "override", "dry-run"};
	struct adapter x;
	char *name = NULL;
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < sizeof model_only / sizeof *model_only; i++)
		r = pm_opt_refuse(t, model_only[i], "on an adapter", e);
	if (r == 0 && !a.name)
		r = (name = pm_title_of(dir, e)) ? 0 : -1;
	if (r == 0)
		r = adapter_open(&x, dir, a.base, a.family, env, e);
	if (r == 0) {
		r = pm_peft_write_gguf(x.peft, x.spec, a.output, a.name ? a.name : name, adapter_values, x.peft, e);
		adapter_close(&x);
	}
	free(name);
	return r;
}

static void print_plan(const struct pm_convert *c)
{
	unsigned long long bytes = 0;
	size_t i;
	int d;

	for (i = 0; i < pm_convert_count(c); i++) {
		const struct pm_view *v = pm_convert_at(c, i);

		printf("%s\t%s\t[", v->name, pm_dtype(v->type)->name);
		for (d = 0; d < v->nd; d++)
			printf("%s%llu", d ? "," : "", (unsigned long long)v->dim[d]);
		printf("]\t%zu\n", v->bytes);
		bytes += v->bytes;
	}
	printf("%zu keys, %zu tensors, %llu bytes\n", pm_gguf_keys(pm_convert_header(c)), pm_convert_count(c), bytes);
}

static int convert_model(const char *dir, const struct pm_env *env, struct pm_err *e)
{
	const char *tmp = getenv("TMPDIR");
	struct pm_convert_opts o = {.share = env->share, .family = a.family, .tmp = tmp && *tmp ? tmp : "/tmp", .name = a.name, .metadata = a.metadata,
		.overrides = a.overrides.v, .noverrides = a.overrides.n};
	struct pm_convert *c;
	int r = 0;

	if (a.base)
		return pm_fail(e, PM_USAGE, "--base has no effect on a model");
	o.type = strcmp(a.to, "auto") ? pm_dtype_by_name(a.to) : PM_DTYPE_NONE;
	if (pm_convert_open(&c, dir, &o, e) < 0)
		return -1;
	if (a.dry)
		print_plan(c);
	else
		r = pm_convert_write(c, a.output, e);
	pm_convert_close(c);
	return r;
}

static int run(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	struct pm_env env;
	bool adapter;
	int r;

	if (argc != 2)
		return pm_fail(e, PM_USAGE, "one directory was wanted: of a model, or of an adapter (see --help)");
	if (!a.output == !a.dry)
		return pm_fail(e, PM_USAGE, a.dry ? "--dry-run writes no file: -o has no effect" : "-o was wanted: the file to write");
	if (pm_env_get(&env, e) < 0)
		return -1;
	r = gguf_names(argc, argv, &env, e);
	if (r == 0)
		r = local_name(&a.base, &env, e);
	if (r == 0)
		r = is_adapter(&adapter, argv[1], e);
	if (r == 0)
		r = adapter ? convert_adapter(t, argv[1], &env, e) : convert_model(argv[1], &env, e);
	pm_env_free(&env);
	return r;
}

static struct pm_tool tool = {.name = "pm-gguf convert", .operands = "DIR", .brief = "makes a GGUF file of a model directory or an adapter", .opts = opts,
	.nopts = sizeof opts / sizeof *opts};

const struct pm_verb gguf_convert = {"convert", &tool, run};
