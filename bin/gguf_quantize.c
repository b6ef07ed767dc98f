/* pm-gguf quantize: a model's tensors in smaller types. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "bin/gguf.h"
#include "merge/convert.h"
#include "merge/pack.h"
#include "quant/file.h"

static struct {
	const char *output, *to, *imatrix, *output_type, *embedding_type;
	struct pm_opt_list over;
	bool pure, leave, dry, requantise, json, quiet;
	double target;
	int64_t threads, group;
	bool twice;
} a;

static struct pm_opt opts[] = {
	PM_OPT_OUTPUT(&a.output, "the file to write; of mlx-4bit, nf4 … a directory"),
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
	{.name = "group-size", .kind = PM_OPT_INT, .arg = "N", .to = &a.group, .fallback = "64", .min = 32, .max = 4096,
	 .help = "values that share a scale, of mlx-… and of nf4 and fp4"},
	{.name = "double-quant", .kind = PM_OPT_FLAG, .to = &a.twice, .help = "of nf4 and fp4: scales quantised, too"},
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

static int options(const struct pm_tool *t, struct pm_quant_file_opts *o, struct pm_mix_override *over, struct pm_arena *arena, struct pm_err *e)
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
	if (pm_opt_refuse(t, "group-size", "but with mlx-4bit and its like, nf4 and fp4", e) < 0 ||
		pm_opt_refuse(t, "double-quant", "but with nf4 and fp4", e) < 0)
		return -1;
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

	if (print_tensor(t, error, &w->e) < 0)
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
	struct pm_quant_watch watch = {.tensor = a.json || !a.quiet ? on_tensor : NULL, .progress = on_progress, .arg = &w};
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

static int converted_bytes(const void *self, size_t i, void *out)
{
	return pm_convert_bytes(self, i, out);
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
	s = (struct pm_quant_source){.keys = pm_convert_header(from), .n = pm_convert_count(from), .at = converted_at, .values = converted_values,
		.bytes = converted_bytes, .self = from};
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

/* "mlx-4bit", "nf4", "fp4": forms of safetensors files. False where --to is none of them. */
static bool is_packed(struct pm_pack_opts *o)
{
	const char *to = a.to ? a.to : "";
	int n = 0;

	*o = (struct pm_pack_opts){.group = (int)a.group, .twice = a.twice, .kind = !strcmp(to, "nf4") ? PM_PACK_NF4 : !strcmp(to, "fp4") ? PM_PACK_FP4 : PM_PACK_MLX};
	if (o->kind != PM_PACK_MLX)
		return true;
	return sscanf(to, "mlx-%1dbit%n", &o->bits, &n) == 1 && n > 0 && !to[n];
}

/* A model directory whose weights are quantised in safetensors files. */
static int run_packed(const struct pm_tool *t, const char *path, struct pm_pack_opts *o, const struct pm_env *env, struct pm_err *e)
{
	static const char *const not_here[] = {"imatrix", "pure", "tensor-type", "output-tensor-type", "token-embedding-type", "leave-output-tensor",
		"allow-requantize", "dry-run", "target-bpw", "threads"};
	bool mlx = o->kind == PM_PACK_MLX;
	struct pm_pack_sums s;
	char *temp = NULL;
	size_t i;
	int r;

	for (i = 0; i < sizeof not_here / sizeof *not_here; i++)
		if (pm_opt_refuse(t, not_here[i], "where weights stay in safetensors files", e) < 0)
			return -1;
	if (mlx && (o->bits < 2 || o->bits > 8 || o->bits == 7 || (a.group != 32 && a.group != 64 && a.group != 128)))
		return pm_fail(e, PM_USAGE, "2, 3, 4, 5, 6 or 8 bits in groups of 32, 64 or 128 were wanted, not %d in groups of %d", o->bits, o->group);
	if (!mlx && (a.group < 64 || a.group & (a.group - 1)))
		return pm_fail(e, PM_USAGE, "--group-size: a power of two from 64 was wanted for %s", a.to);
	if (mlx && a.twice)
		return pm_fail(e, PM_USAGE, "--double-quant has no effect with --to %s", a.to);
	if (!a.output)
		return pm_fail(e, PM_USAGE, "-o DIR was wanted");
	if (!pm_is_dir(path))
		return pm_fail(e, PM_USAGE, "%s: a model directory was wanted for --to %s", path, a.to);
	o->share = env->share;
	r = pm_dir_begin(&temp, a.output, e);
	if (r == 0)
		r = pm_pack_model(&s, path, temp, o, e);
	if (r == 0)
		r = pm_dir_commit(temp, a.output, false, e);
	if (r < 0 && temp) {
		struct pm_err none;

		pm_remove_tree(temp, &none);
	}
	free(temp);
	if (r < 0)
		return -1;
	if (s.kept && !a.quiet)
		pm_say(t, "%llu matrices stay as they are: their columns are no whole groups of %d", (unsigned long long)s.kept, o->group);
	if (a.json)
		return print_line(json_pack("{s:s,s:s,s:I,s:I,s:I,s:f}", "file", a.output, "type", a.to, "values", (json_int_t)s.values, "bytes_from",
			(json_int_t)s.bytes_from, "bytes", (json_int_t)s.bytes, "bpw", (double)s.bytes * 8 / (double)s.values), e);
	if (!a.quiet)
		printf("%s\t%llu values\t%.2f MB -> %.2f MB, %.2f bits a value\n", a.to, (unsigned long long)s.values, (double)s.bytes_from / 1e6, (double)s.bytes / 1e6,
			(double)s.bytes * 8 / (double)s.values);
	return 0;
}

static int list_types(void)
{
	const struct pm_file_type *t;
	size_t i;

	for (i = 0; (t = pm_file_type_at(i)); i++)
		printf("%s\n", t->name);
	for (i = 2; i <= 8; i++)
		if (i != 7)
			printf("mlx-%zubit\n", i);
	puts("nf4\nfp4");
	return 0;
}

static int run(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	struct pm_mix_override *over;
	struct pm_quant_file_opts o;
	struct pm_imatrix m = {0};
	struct pm_pack_opts pack;
	struct pm_env env;
	bool packed;
	int r;

	if (a.to && !strcmp(a.to, "help"))
		return list_types();
	if (argc != 2)
		return pm_fail(e, PM_USAGE, "one model was wanted (see --help)");
	if (pm_env_get(&env, e) < 0)
		return -1;
	packed = is_packed(&pack);
	over = pm_alloc(a.over.n, sizeof *over, e);
	r = over ? gguf_names(argc, argv, &env, e) : -1;
	if (r == 0)
		r = packed ? run_packed(t, argv[1], &pack, &env, e) : options(t, &o, over, &env.names, e);
	if (r == 0 && a.imatrix && !packed) {
		r = pm_imatrix_open(&m, a.imatrix, e);
		o.imatrix = &m;
	}
	if (r == 0 && !packed)
		r = pm_is_dir(argv[1]) ? run_dir(t, argv[1], &o, &env, e) : run_file(t, argv[1], &o, e);
	pm_imatrix_free(&m);
	free(over);
	pm_env_free(&env);
	return r;
}

static struct pm_tool tool = {.name = "pm-gguf quantize", .operands = "MODEL", .brief = "writes a model's tensors in smaller types", .opts = opts,
	.nopts = sizeof opts / sizeof *opts};

const struct pm_verb gguf_quantize = {"quantize", &tool, run};
