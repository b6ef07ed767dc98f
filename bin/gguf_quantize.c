/* pm-gguf quantize: a model's tensors in smaller types. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "bin/gguf.h"
#include "merge/convert.h"
#include "quant/file.h"

static struct {
	const char *output, *to, *imatrix, *output_type, *embedding_type;
	struct pm_opt_list over;
	bool pure, leave, dry, requantise, json, quiet;
	double target;
	int64_t threads;
} a;

static struct pm_opt opts[] = {
	PM_OPT_OUTPUT(&a.output, "the file to write"),
	{.name = "to", .kind = PM_OPT_STR, .arg = "TYPE", .to = &a.to, .help = "file type, e.g. Q4_K_M; --to help lists them"},
	{.name = "target-bpw", .kind = PM_OPT_REAL, .arg = "X", .to = &a.target, .fallback = "0", .min = 0, .max = 32,
	 .help = "instead of --to: types by measured error, X bits a value at most"},
	{.name = "imatrix", .kind = PM_OPT_STR, .arg = "FILE", .to = &a.imatrix, .help = "importance matrix (pm-gguf imatrix, llama-imatrix)"},
	{.name = "pure", .kind = PM_OPT_FLAG, .to = &a.pure, .help = "the one type for all, no mix"},
	{.name = "tensor-type", .kind = PM_OPT_STRS, .arg = "RE=T", .to = &a.over,
	 .help = "tensors whose name has RE in it become type T; may be repeated"},
	{.name = "output-tensor-type", .kind = PM_OPT_STR, .arg = "T", .to = &a.output_type, .help = "type of output.weight"},
	{.name = "token-embedding-type", .kind = PM_OPT_STR, .arg = "T", .to = &a.embedding_type, .help = "type of token_embd.weight"},
	{.name = "leave-output-tensor", .kind = PM_OPT_FLAG, .to = &a.leave, .help = "output.weight stays as it is"},
	{.name = "allow-requantize", .kind = PM_OPT_FLAG, .to = &a.requantise, .help = "quantise what is quantised already"},
	{.name = "dry-run", .kind = PM_OPT_FLAG, .to = &a.dry, .help = "say what would become of every tensor, and sizes; write nothing"},
	{.letter = 'j', .name = "threads", .kind = PM_OPT_INT, .arg = "N", .to = &a.threads, .fallback = "0", .min = 0, .max = 4096,
	 .help = "threads, 0 for all processors"},
	PM_OPT_JSON(&a.json, "print JSON lines: a tensor each, then the file"),
	PM_OPT_QUIET(&a.quiet),
};

static int type_of(enum pm_dtype *out, const char *name, const char *option, struct pm_err *e)
{
	char low[32];
	size_t i, n = strlen(name);

	for (i = 0; i < n && i + 1 < sizeof low; i++)
		low[i] = (char)tolower((unsigned char)name[i]);
	low[i] = 0;
	*out = i == n ? pm_dtype_by_name(low) : PM_DTYPE_NONE;
	if (*out == PM_DTYPE_NONE || pm_dtype(*out)->gguf < 0 || (pm_dtype_plain(*out) && *out != PM_F32 && *out != PM_F16 && *out != PM_BF16))
		return pm_fail(e, PM_USAGE, "--%s: '%s' is no type of a tensor (q4_k, q8_0, f16 …)", option, name);
	return 0;
}

/* "RE=T" of --tensor-type, in memory of the arena. */
static int overrides(struct pm_mix_override *over, struct pm_arena *arena, struct pm_err *e)
{
	size_t i;

	for (i = 0; i < a.over.n; i++) {
		const char *s = a.over.v[i], *eq = strrchr(s, '=');

		if (!eq || eq == s)
			return pm_fail(e, PM_USAGE, "--tensor-type: '%s' is not PATTERN=TYPE", s);
		over[i].pattern = pm_arena_printf(arena, e, "%.*s", (int)(eq - s), s);
		if (!over[i].pattern || type_of(&over[i].type, eq + 1, "tensor-type", e) < 0)
			return -1;
	}
	return 0;
}

static int options(struct pm_quant_file_opts *o, struct pm_mix_override *over, struct pm_arena *arena, struct pm_err *e)
{
	const char *slash = a.imatrix ? strrchr(a.imatrix, '/') : NULL;

	*o = (struct pm_quant_file_opts){.mix = {.pure = a.pure, .leave_output = a.leave, .output = PM_DTYPE_NONE, .embedding = PM_DTYPE_NONE, .over = over,
		.n_over = a.over.n}, .target_bpw = a.target, .imatrix_file = slash ? slash + 1 : a.imatrix, .requantise = a.requantise, .threads = (int)a.threads};
	if (!a.to == !(a.target > 0))
		return pm_fail(e, PM_USAGE, "either --to TYPE or --target-bpw X was wanted");
	if (a.to && !(o->mix.to = pm_file_type(a.to)))
		return pm_fail(e, PM_USAGE, "--to: '%s' is no file type (--to help lists them)", a.to);
	if (!a.to && (a.pure || a.over.n || a.output_type || a.embedding_type))
		return pm_fail(e, PM_USAGE, "--pure and options for types have no effect with --target-bpw");
	if (a.to && pm_dtype_plain(o->mix.to->base) && (a.pure || a.over.n))
		return pm_fail(e, PM_USAGE, "--%s has no effect with --to %s", a.pure ? "pure" : "tensor-type", o->mix.to->name);
	if (a.leave && a.output_type)
		return pm_fail(e, PM_USAGE, "--output-tensor-type has no effect with --leave-output-tensor");
	if (!a.dry && !a.output)
		return pm_fail(e, PM_USAGE, "-o FILE was wanted");
	if (a.dry && a.output)
		return pm_fail(e, PM_USAGE, "-o has no effect with --dry-run");
	if (a.output_type && type_of(&o->mix.output, a.output_type, "output-tensor-type", e) < 0)
		return -1;
	if (a.embedding_type && type_of(&o->mix.embedding, a.embedding_type, "token-embedding-type", e) < 0)
		return -1;
	return overrides(over, arena, e);
}

static int print_line(json_t *o, struct pm_err *e)
{
	char *s = o ? json_dumps(o, JSON_COMPACT | JSON_REAL_PRECISION(9)) : NULL;

	json_decref(o);
	if (!s)
		return pm_fail(e, PM_SOFTWARE, "out of memory");
	puts(s);
	free(s);
	return 0;
}

/* One tensor as a line. error: NULL in a dry run. */
static int print_tensor(const struct pm_quant_item *t, const struct pm_quant_error *error, struct pm_err *e)
{
	const char *from = pm_dtype(t->from->type)->name, *to = pm_dtype(t->to)->name;
	json_t *o, *shape;
	int i;

	if (!a.json) {
		printf("%s\t%s\t%s\t%zu", t->from->name, from, to, t->bytes);
		if (error && error->n)
			printf("\trmse %.4g\trelative %.4g\tcosine %.6f\tmax %.4g", pm_quant_rmse(error), pm_quant_relative(error), pm_quant_cosine(error), error->most);
		else if (t->error > 0)
			printf("\trelative %.4g", t->error);
		putchar('\n');
		return 0;
	}
	shape = json_array();
	for (i = 0; i < t->from->nd; i++)
		json_array_append_new(shape, json_integer((json_int_t)t->from->dim[i]));
	o = json_pack("{s:s,s:o,s:s,s:s,s:I,s:b}", "tensor", t->from->name, "shape", shape, "from", from, "to", to, "bytes", (json_int_t)t->bytes,
		"importance", t->importance != NULL);
	if (o && error && error->n) {
		json_object_set_new(o, "rmse", json_real(pm_quant_rmse(error)));
		json_object_set_new(o, "relative", json_real(pm_quant_relative(error)));
		json_object_set_new(o, "cosine", json_real(pm_quant_cosine(error)));
		json_object_set_new(o, "max", json_real(error->most));
	} else if (o && t->error > 0) {
		json_object_set_new(o, "expected", json_real(t->error));
	}
	return print_line(o, e);
}

static int print_file(const struct pm_quant_plan *p, double seconds, struct pm_err *e)
{
	double bpw = p->values ? (double)p->bytes * 8 / (double)p->values : 0, was = p->values ? (double)p->bytes_from * 8 / (double)p->values : 0;

	if (a.json)
		return print_line(json_pack("{s:s?,s:s,s:I,s:I,s:I,s:f,s:f}", "file", a.output, "type", p->type->name, "values", (json_int_t)p->values, "bytes_from",
			(json_int_t)p->bytes_from, "bytes", (json_int_t)p->bytes, "bpw", bpw, "seconds", seconds), e);
	printf("%s\t%llu values\t%.2f MB, %.2f bits a value\t-> %.2f MB, %.2f bits a value\n", p->type->name, (unsigned long long)p->values,
		(double)p->bytes_from / 1e6, was, (double)p->bytes / 1e6, bpw);
	return 0;
}

struct watch {
	struct pm_progress bar;
	struct pm_err e;
	int failed;
};

static void on_tensor(void *arg, const struct pm_quant_item *t, const struct pm_quant_error *error)
{
	struct watch *w = arg;

	if ((a.json || !a.quiet) && print_tensor(t, error, &w->e) < 0)
		w->failed = 1;
}

static int on_progress(void *arg, uint64_t values)
{
	struct watch *w = arg;

	pm_progress_at(&w->bar, values, NULL);
	return w->failed || pm_signals_got();
}

static int write_it(const struct pm_quant_plan *p, struct pm_err *e)
{
	struct watch w = {.failed = 0};
	struct pm_quant_watch watch = {.tensor = on_tensor, .progress = on_progress, .arg = &w};
	double start = pm_clock();
	int r;

	pm_signals_catch();
	pm_progress_begin(&w.bar, "quantize", "values", p->values, a.quiet);
	r = pm_quant_write(p, a.output, &watch, e);
	pm_progress_end(&w.bar);
	if (r < 0 && pm_signals_got())
		return 128 + pm_signals_got();
	if (r < 0)
		return -1;
	return a.json || !a.quiet ? print_file(p, pm_clock() - start, e) : 0;
}

/* What columns forced, one remark for each pair of types. */
static void remarks(const struct pm_tool *t, const struct pm_quant_plan *p)
{
	bool said[PM_DTYPES] = {0};
	size_t i, k, n;

	for (i = 0; i < p->n; i++) {
		const struct pm_quant_item *x = &p->item[i];

		if (x->wanted == x->to || said[x->wanted])
			continue;
		said[x->wanted] = true;
		for (k = i, n = 0; k < p->n; k++)
			n += p->item[k].wanted == x->wanted && p->item[k].to != x->wanted;
		pm_say(t, "%zu tensors, '%s' the first (%zu columns), have no whole blocks of %s: they become %s%s", n, x->from->name, x->cols,
			pm_dtype(x->wanted)->name, pm_dtype(x->to)->name, x->forced ? " (llama-quantize refuses them)" : " or what fits");
	}
	if (p->without)
		pm_say(t, "the importance matrix has nothing for %zu tensors: they are quantised without", p->without);
}

static int plan_and_write(struct pm_tool *t, const struct pm_quant_source *s, const struct pm_quant_file_opts *o, struct pm_err *e)
{
	struct pm_quant_plan p;
	size_t i;
	int r;

	if (pm_quant_plan(&p, s, o, e) < 0)
		return -1;
	if (!a.quiet)
		remarks(t, &p);
	r = a.dry ? 0 : write_it(&p, e);
	for (i = 0; r == 0 && a.dry && i < p.n; i++)
		r = print_tensor(&p.item[i], NULL, e);
	if (r == 0 && a.dry)
		r = print_file(&p, 0, e);
	pm_quant_plan_free(&p);
	return r;
}

static const struct pm_view *converted_at(const void *self, size_t i)
{
	return pm_convert_at(self, i);
}

static int converted_values(const void *self, size_t i, float *out, struct pm_err *e)
{
	return pm_convert_values(self, i, out, e);
}

/* A model directory, as pm-gguf convert would write it, but from the values as they are. */
static int run_dir(struct pm_tool *t, const char *path, const struct pm_quant_file_opts *o, const struct pm_env *env, struct pm_err *e)
{
	const char *tmp = pm_env_word("TMPDIR");
	struct pm_convert_opts c = {.share = env->share, .tmp = tmp ? tmp : "/tmp", .type = PM_DTYPE_NONE};
	struct pm_convert *from;
	struct pm_quant_source s;
	int r;

	if (pm_convert_open(&from, path, &c, e) < 0)
		return -1;
	s = (struct pm_quant_source){.keys = pm_convert_header(from), .n = pm_convert_count(from), .at = converted_at, .values = converted_values, .self = from};
	r = plan_and_write(t, &s, o, e);
	pm_convert_close(from);
	return r < 0 ? pm_ctx(e, "%s", path) : r;
}

static int run_file(struct pm_tool *t, const char *path, const struct pm_quant_file_opts *o, struct pm_err *e)
{
	struct pm_quant_source s;
	struct pm_store *store;
	int r;

	if (pm_store_open(&store, path, e) < 0)
		return -1;
	r = pm_quant_source_store(&s, store, e);
	if (r == 0)
		r = plan_and_write(t, &s, o, e);
	pm_store_close(store);
	return r < 0 ? pm_ctx(e, "%s", path) : r;
}

static int list_types(void)
{
	const struct pm_file_type *t;
	size_t i;

	for (i = 0; (t = pm_file_type_at(i)); i++)
		printf("%s\n", t->name);
	return 0;
}

static int run(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	struct pm_mix_override *over;
	struct pm_quant_file_opts o;
	struct pm_imatrix m = {0};
	struct pm_env env;
	int r;

	if (a.to && !strcmp(a.to, "help"))
		return list_types();
	if (argc != 2)
		return pm_fail(e, PM_USAGE, "one model was wanted (see --help)");
	if (pm_env_get(&env, e) < 0)
		return -1;
	over = pm_alloc(a.over.n, sizeof *over, e);
	r = over ? options(&o, over, &env.names, e) : -1;
	if (r == 0)
		r = gguf_names(argc, argv, &env, e);
	if (r == 0 && a.imatrix) {
		r = pm_imatrix_open(&m, a.imatrix, e);
		o.imatrix = &m;
	}
	if (r == 0)
		r = pm_is_dir(argv[1]) ? run_dir(t, argv[1], &o, &env, e) : run_file(t, argv[1], &o, e);
	pm_imatrix_free(&m);
	free(over);
	pm_env_free(&env);
	return r;
}

static struct pm_tool tool = {.name = "pm-gguf quantize", .operands = "MODEL", .brief = "writes a model's tensors in smaller types", .opts = opts,
	.nopts = sizeof opts / sizeof *opts};

const struct pm_verb gguf_quantize = {"quantize", &tool, run};
