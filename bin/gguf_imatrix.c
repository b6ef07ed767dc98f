/* pm-gguf imatrix: how much each column of a model's weights matters, collected while the model reads text; and such matrices added up. A run that
 * is interrupted leaves OUT.part, with which --resume goes on. */
#include <stdio.h>
#include <unistd.h>

#include "base/str.h"
#include "bin/common.h"
#include "bin/gguf.h"
#include "train/collect.h"

static struct {
	struct pm_opt_device dev;
	const char *model, *output, *family, *format;
	struct pm_opt_list in;
	int64_t chunk, most, save_every;
	bool head, resume, quiet;
} a;

static struct pm_opt opts[] = {
	PM_OPT_MODEL(&a.model),
	PM_OPT_OUTPUT(&a.output, "the matrix to write (wanted)"),
	{.name = "in-file", .kind = PM_OPT_STRS, .arg = "FILE", .to = &a.in, .help = "a matrix of before to add; may be repeated"},
	PM_OPT_LENGTH(&a.chunk, "512", "tokens of a chunk"),
	{.name = "chunks", .kind = PM_OPT_INT, .arg = "N", .to = &a.most, .min = 1, .max = 1e9, .help = "read so many chunks at most [all]"},
	{.name = "process-output", .kind = PM_OPT_FLAG, .to = &a.head, .help = "collect for the output matrix too, if it is one of its own"},
	{.name = "format", .kind = PM_OPT_CHOICE, .arg = "F", .to = &a.format, .fallback = "gguf", .choices = "gguf|dat", .help = "form of the file: gguf, or the older dat"},
	{.name = "save-every", .kind = PM_OPT_INT, .arg = "N", .to = &a.save_every, .fallback = "100", .min = 1, .max = 1e9, .help = "keep OUT.part up to date every N chunks"},
	{.name = "resume", .kind = PM_OPT_FLAG, .to = &a.resume, .help = "go on where OUT.part stands, if there is one"},
	{.name = "family", .kind = PM_OPT_STR, .arg = "FILE", .to = &a.family, .help = "a family description of your own (pm-family(5))"},
	PM_OPT_DEVICE(&a.dev),
	PM_OPT_QUIET(&a.quiet),
};

struct run {
	struct pm_env env;
	struct pm_dev *dev;
	struct pm_model *model;
	struct pm_tokenizer *tokenizer;
	struct pm_imatrix m;
	struct pm_collector *c;
	struct pm_progress progress;
	char *part;                     /* "OUT.part" */
	int64_t done, skip;             /* chunks: read, and read before */
};

/* All ids of a text, begun as the tokenizer begins texts; *bos is what begins every chunk, −1 where nothing does. */
static int encode(struct pm_encoding *enc, int32_t *bos, const struct run *r, const char *path, struct pm_err *e)
{
	struct pm_encode_opts o = {.add_special = true};
	struct pm_str s = {0};
	int status = strcmp(path, "-") ? pm_read_file(&s, path, e) : pm_read_stream(&s, stdin, "stdin", e);

	if (status == 0)
		status = pm_tokenizer_encode(r->tokenizer, s.data ? s.data : "", s.len, &o, enc, e);
	*bos = chunk_bos(r->tokenizer, enc);
	pm_str_free(&s);
	return status < 0 ? pm_ctx(e, "%s", path) : 0;
}

static int save(const struct run *r, const char *path, struct pm_err *e)
{
	return !strcmp(a.format, "dat") && path == a.output ? pm_imatrix_write_old(&r->m, path, e) : pm_imatrix_write(&r->m, path, e);
}

/* What was computed is kept; after a signal the run ends, status 128 + its number. */
static int keep(struct run *r, int64_t chunks, struct pm_err *e)
{
	int got = pm_signals_got();

	if (!got && chunks % a.save_every)
		return 0;
	if (pm_collector_flush(r->c, e) < 0 || save(r, r->part, e) < 0)
		return -1;
	if (got)
		fprintf(stderr, "pm-gguf imatrix: stopped after chunk %lld: it is kept in %s (go on with --resume)\n", (long long)chunks, r->part);
	return got ? 128 + got : 0;
}

static int read_text(struct run *r, const char *path, struct pm_err *e)
{
	struct pm_encoding enc = {0};
	int32_t bos = -1;
	int64_t i;
	int status = encode(&enc, &bos, r, path, e);

	for (i = 0; status == 0 && (i + 1) * a.chunk <= (int64_t)enc.n && (!a.most || r->done < a.most); i++) {
		if (++r->done <= r->skip)
			continue;
		if (bos >= 0)
			enc.ids[i * a.chunk] = bos;
		status = pm_collector_put(r->c, enc.ids + i * a.chunk, e);
		pm_progress_at(&r->progress, (uint64_t)r->done, NULL);
		if (status == 0)
			status = keep(r, r->done, e);
	}
	if (status == 0 && i == 0 && (!a.most || r->done < a.most))
		status = pm_fail(e, PM_DATA, "%s: %zu tokens are less than a chunk of %lld", path, enc.n, (long long)a.chunk);
	pm_encoding_free(&enc);
	return status;
}

/* From nothing, or (--resume) from OUT.part, if there is one: of the same texts, in chunks of the same length. */
static int begin(struct run *r, int argc, char **argv, struct pm_err *e)
{
	int i, s = 0;

	for (i = 1; s == 0 && i < argc && !(a.resume && pm_exists(r->part)); i++)
		s = pm_imatrix_dataset(&r->m, argv[i], strlen(argv[i]), e);
	if (s < 0 || !a.resume || !pm_exists(r->part))
		return s;
	if (pm_imatrix_open(&r->m, r->part, e) < 0)
		return -1;
	for (i = 1; i < argc && (size_t)i <= r->m.n_datasets && !strcmp(r->m.datasets[i - 1], argv[i]); i++)
		;
	if (i < argc || r->m.n_datasets != (size_t)(argc - 1))
		return pm_fail(e, PM_DATA, "%s: was made of other texts", r->part);
	r->skip = r->m.chunks;
	return 0;
}

/* What OUT.part was made by is what goes on with it: the model, and whether the output matrix counts. */
static int same_model(struct run *r, struct pm_err *e)
{
	char hex[PM_SHA256_HEX] = "";
	struct pm_str is = {0};
	struct pm_sha256 h;
	int s = pm_sha256_begin(&h, e);

	if (s == 0) {
		pm_store_fingerprint(&h, r->model->store);
		pm_sha256_end(&h, hex);
		s = pm_str_printf(&is, e, "%s%s", hex, a.head ? " and its output" : "");
	}
	if (s == 0 && r->skip && !r->m.model)
		s = pm_fail(e, PM_DATA, "%s: does not say which model it is of", r->part);
	else if (s == 0 && r->skip && strncmp(r->m.model, hex, strlen(hex)))
		s = pm_fail(e, PM_DATA, "%s: was made by another model than %s", r->part, a.model);
	else if (s == 0 && r->skip && strcmp(r->m.model, is.data))
		s = pm_fail(e, PM_DATA, "%s: was made %s --process-output", r->part, a.head ? "without" : "with");
	free(r->m.model);
	r->m.model = is.data;
	return s;
}

static int collect(struct run *r, int argc, char **argv, struct pm_err *e)
{
	int i, s = begin(r, argc, argv, e);

	if (s == 0)
		s = local_name(&a.model, &r->env, e);
	if (s == 0)
		s = open_device(&r->dev, &a.dev, &r->env, &a.quiet, e);
	if (s == 0)
		s = pm_model_open(&r->model, a.model, r->env.share, a.family, r->dev, precision_of(&a.dev), PM_WEIGHTS_FROZEN, e);
	if (s == 0)
		s = same_model(r, e);
	if (s == 0)
		s = pm_tokenizer_open(&r->tokenizer, a.model, e);
	if (s == 0)
		s = pm_collector_new(&r->c, r->model, &r->m, a.chunk, a.head, e);
	pm_progress_begin(&r->progress, "imatrix", "chunk", (uint64_t)a.most, a.quiet);
	for (i = 1; s == 0 && i < argc; i++)
		s = read_text(r, argv[i], e);
	if (s == 0)
		s = pm_collector_flush(r->c, e);
	pm_progress_end(&r->progress);
	free(r->m.model);               /* only what is gone on with has to say it */
	r->m.model = NULL;
	return s;
}

static int merge(struct run *r, struct pm_err *e)
{
	size_t i;
	int s = 0;

	for (i = 0; s == 0 && i < a.in.n; i++) {
		struct pm_imatrix other = {0};

		s = pm_imatrix_open(&other, a.in.v[i], e);
		if (s == 0 && pm_imatrix_merge(&r->m, &other, e) < 0)
			s = pm_ctx(e, "%s", a.in.v[i]);
		pm_imatrix_free(&other);
	}
	return s;
}

static int check(const struct pm_tool *t, int argc, struct pm_err *e)
{
	static const char *const reading[] = {"model", "length", "chunks", "process-output", "save-every", "resume", "family", "device", "threads",
		"precision", "reference", "profile"};
	size_t i;

	if (!a.output)
		return pm_fail(e, PM_USAGE, "-o was wanted: the matrix to write");
	if (argc < 2 && !a.in.n)
		return pm_fail(e, PM_USAGE, "texts or --in-file were wanted (see --help)");
	for (i = 0; argc < 2 && i < sizeof reading / sizeof *reading; i++)
		if (pm_opt_refuse(t, reading[i], "without a text to read", e) < 0)
			return -1;
	if (argc > 1 && !a.model)
		return pm_fail(e, PM_USAGE, "-m was wanted: the model that reads");
	return 0;
}

static int run(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	struct pm_str part = {0};
	struct run r = {0};
	int s = check(t, argc, e);

	if (s == 0)
		s = pm_str_printf(&part, e, "%s.part", a.output ? a.output : "");
	r.part = part.data;
	if (s == 0)
		s = pm_env_get(&r.env, e);
	pm_signals_catch();
	if (s == 0 && argc > 1)
		s = collect(&r, argc, argv, e);
	if (s == 0)
		s = merge(&r, e);
	if (s == 0)
		s = save(&r, a.output, e);
	if (s == 0 && argc > 1)
		unlink(r.part);
	if (s == 0 && !a.quiet)
		pm_say(t, "%u chunks of %u tokens, %zu weights", r.m.chunks, r.m.chunk_size, r.m.n);
	if (s == 0 && a.dev.profile)
		s = pm_dev_profile(r.dev, stderr, e);
	pm_collector_free(r.c);
	pm_imatrix_free(&r.m);
	pm_tokenizer_close(r.tokenizer);
	pm_model_close(r.model);
	pm_dev_close(r.dev);
	pm_env_free(&r.env);
	pm_str_free(&part);
	return s;
}

static struct pm_tool tool = {.name = "pm-gguf imatrix", .operands = "[TEXT ...]", .brief = "collects the importance of weights from text", .opts = opts,
	.nopts = sizeof opts / sizeof *opts};

const struct pm_verb gguf_imatrix = {"imatrix", &tool, run};
