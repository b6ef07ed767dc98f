/* pm-eval: how well a model predicts tokens or text: one line of JSON. */
#include <math.h>
#include <stdio.h>

#include "base/file.h"
#include "bin/common.h"
#include "bin/vocab.h"
#include "text/tokenizer.h"
#include "train/compare.h"

static struct args {
	struct pm_opt_device dev;
	const char *model, *base, *family, *logits;
	struct pm_opt_list adapters;
	int64_t window, stride, chunk, chunks;
	bool text, decode, quiet;
} a;

static struct pm_opt opts[] = {
	PM_OPT_MODEL(&a.model),
	PM_OPT_ADAPTER(&a.adapters),
	{.name = "text", .kind = PM_OPT_FLAG, .to = &a.text, .help = "inputs are plain text, each file one document"},
	{.name = "chunk", .kind = PM_OPT_INT, .arg = "N", .to = &a.chunk, .min = 4, .max = 16777216,
	 .help = "with --text: chunks of N tokens of which the second half counts, as llama-perplexity"},
	{.name = "chunks", .kind = PM_OPT_INT, .arg = "N", .to = &a.chunks, .min = 1, .max = 1e9, .help = "with --chunk: so many of a file at most [all]"},
	{.name = "kl", .kind = PM_OPT_STR, .arg = "BASE", .to = &a.base, .help = "compare with the model that this one was made of: KL divergence and more"},
	{.name = "decode", .kind = PM_OPT_FLAG, .to = &a.decode, .help = "with --kl: by the products that decoding takes, BASE in float32"},
	PM_OPT_LENGTH(&a.window, NULL, "read longer documents in windows of L tokens [whole documents]"),
	{.name = "stride", .kind = PM_OPT_INT, .arg = "N", .to = &a.stride, .min = 1, .max = 16777216, .help = "tokens that windows advance by [L]"},
	{.name = "logits", .kind = PM_OPT_STR, .arg = "FILE", .to = &a.logits, .help = "write the logits of every document (safetensors)"},
	{.name = "family", .kind = PM_OPT_STR, .arg = "FILE", .to = &a.family, .help = "a family description of your own (pm-family(5))"},
	PM_OPT_DEVICE(&a.dev),
	PM_OPT_QUIET(&a.quiet),
};

static struct pm_tool tool = {
	.name = "pm-eval", .operands = "[FILE …]", .brief = "Measures the likelihood of tokens, blocks or text under a model.",
	.opts = opts, .nopts = sizeof opts / sizeof *opts,
};

struct run {
	struct pm_env env;
	struct pm_dev *dev;
	struct pm_model *model, *base;
	struct pm_adapters *adapters;
	struct pm_rows *rows;
	struct pm_progress progress;
};

/* A text in chunks, each a document begun anew: token j counts where the half before it is context. What is left at the end is not read. */
static int add_chunks(struct run *r, struct pm_encoding *enc, int32_t bos, struct pm_err *e)
{
	int64_t n = a.chunk, most = (int64_t)enc->n / n, i;
	float *weights = pm_alloc((size_t)n, sizeof *weights, e);
	int s = weights ? 0 : -1;

	if (s == 0 && !most)
		s = pm_fail(e, PM_DATA, "%zu tokens are less than a chunk of %lld", enc->n, (long long)n);
	for (i = n / 2 + 1; s == 0 && i < n; i++)
		weights[i] = 1;
	for (i = 0; s == 0 && i < (a.chunks && a.chunks < most ? a.chunks : most); i++) {
		struct pm_record rec = {.ids = enc->ids + i * n, .n = (size_t)n, .weights = weights, .has_weights = true};

		if (bos >= 0)
			rec.ids[0] = bos;
		s = pm_rows_add(r->rows, &rec, e);
	}
	free(weights);
	return s;
}

/* A file of text is one document, begun as the tokenizer begins texts. */
static int add_text(struct run *r, const struct pm_tokenizer *t, const char *path, struct pm_err *e)
{
	struct pm_encode_opts o = {.add_special = true};
	struct pm_encoding enc = {0};
	struct pm_record rec = {0};
	struct pm_str s = {0};
	int status = strcmp(path, "-") ? pm_read_file(&s, path, e) : pm_read_stream(&s, stdin, "stdin", e);

	if (status == 0)
		status = pm_tokenizer_encode(t, s.data ? s.data : "", s.len, &o, &enc, e);
	if (status == 0 && enc.n < 2)
		status = pm_fail(e, PM_DATA, "there is nothing to predict");
	rec.ids = enc.ids;
	rec.n = enc.n;
	if (status == 0 && a.chunk)
		status = add_chunks(r, &enc, chunk_bos(t, &enc), e);
	else if (status == 0)
		status = pm_rows_add(r->rows, &rec, e);
	pm_encoding_free(&enc);
	pm_str_free(&s);
	return status < 0 ? pm_ctx(e, "%s", path) : 0;
}

static int open_rows(struct run *r, int argc, char **argv, struct pm_err *e)
{
	const char *tmp = getenv("TMPDIR");
	struct pm_tokenizer *t;
	char hash[PM_SHA256_HEX];
	bool known;
	int i, s;

	tmp = tmp && *tmp ? tmp : "/tmp";
	if (!a.text) {
		if (tokenizer_hash(a.model, hash, &known, e) < 0)
			return -1;
		return pm_rows_open(&r->rows, (const char *const *)(argv + 1), (size_t)(argc - 1), tmp, r->model->spec->vocab, known ? hash : NULL, e);
	}
	s = open_vocabulary(&t, a.model, e);
	if (s < 0)
		return -1;
	s = pm_rows_new(&r->rows, tmp, r->model->spec->vocab, e);
	for (i = 1; s == 0 && i < (argc > 1 ? argc : 2); i++)
		s = add_text(r, t, argc > 1 ? argv[i] : "-", e);
	pm_tokenizer_close(t);
	return s;
}

static void progress(void *arg, int64_t documents, const struct pm_evaluation *so_far)
{
	struct run *r = arg;
	char extra[64];

	(void)documents;
	snprintf(extra, sizeof extra, "perplexity %.4f", exp(so_far->nll / (so_far->weight > 0 ? so_far->weight : 1)));
	pm_progress_at(&r->progress, (uint64_t)so_far->tokens, extra);
}

/* Standard deviations of means become those of what is made of them, to the first order. */
static json_t *comparison(const struct pm_comparison *c)
{
	static const struct { const char *name; double part; } kl_parts[] = {{"max", 1}, {"p99.9", 0.999}, {"p99", 0.99}, {"p95", 0.95}, {"p90", 0.9},
		{"median", 0.5}, {"p10", 0.1}, {"p5", 0.05}, {"p1", 0.01}, {"min", 0}};
	double n = (double)c->n, b = c->base.nll / c->base.weight, m = c->model.nll / c->model.weight, eb = pm_evaluation_error(&c->base);
	double em = pm_evaluation_error(&c->model), cov = c->n > 1 ? (c->covariance / c->base.weight - b * m) / (n - 1) : 0;
	double ratio = exp(m - b), e_log = sqrt(fmax(0, eb * eb + em * em - 2 * cov)), top = (double)c->same / n, squares = 0;
	json_t *kl = json_object(), *dp = json_object();
	size_t i;
	int64_t k;

	for (k = 0; k < c->n; k++)
		squares += (double)c->dp[k] * (double)c->dp[k];
	json_object_set_new(kl, "mean", json_real(pm_compare_mean(c->kl, c->n)));
	json_object_set_new(kl, "error", json_real(pm_compare_error(c->kl, c->n)));
	json_object_set_new(dp, "mean", json_real(pm_compare_mean(c->dp, c->n)));
	json_object_set_new(dp, "error", json_real(pm_compare_error(c->dp, c->n)));
	json_object_set_new(dp, "rms", json_real(sqrt(squares / n)));
	for (i = 0; i < sizeof kl_parts / sizeof *kl_parts; i++) {
		json_object_set_new(kl, kl_parts[i].name, json_real(pm_compare_part(c->kl, c->n, kl_parts[i].part)));
		json_object_set_new(dp, kl_parts[i].name, json_real(pm_compare_part(c->dp, c->n, kl_parts[i].part)));
	}
	return json_pack("{s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:o,s:o}", "base_perplexity", exp(b), "base_perplexity_error", exp(b) * eb, "perplexity_ratio", ratio,
		"perplexity_ratio_error", ratio * e_log, "perplexity_change", exp(m) - exp(b), "perplexity_change_error",
		sqrt(fmax(0, exp(2 * m) * em * em + exp(2 * b) * eb * eb - 2 * exp(m + b) * cov)), "same_top", top, "same_top_error",
		sqrt(top * (1 - top) / fmax(1, n - 1)), "kl", kl, "dp", dp);
}

static int report(const struct pm_evaluation *v, const struct pm_comparison *c, struct pm_err *e)
{
	double loss = v->nll / v->weight;
	struct pm_str s = {0};
	json_t *j, *more;
	int r;

	if (v->weight <= 0)
		return pm_fail(e, PM_DATA, "no prediction has a weight: there is nothing to measure");
	if (!isfinite(exp(loss)))
		return pm_fail(e, PM_DATA, "the perplexity is not finite (loss %g)", loss);
	j = json_pack("{s:f,s:f,s:I,s:I,s:f,s:f}", "loss", loss, "nll", v->nll, "tokens", (json_int_t)v->tokens, "documents", (json_int_t)v->documents,
	    "perplexity", exp(loss), "perplexity_error", exp(loss) * pm_evaluation_error(v));
	if (a.base) {
		more = comparison(c);
		json_object_update(j, more);
		json_decref(more);
	}
	r = pm_json_text(&s, j, e);
	if (r == 0)
		printf("%s\n", s.data);
	json_decref(j);
	pm_str_free(&s);
	return r;
}

static int check(struct pm_err *e)
{
	if (!a.model)
		return pm_fail(e, PM_USAGE, "-m was wanted: the model to evaluate");
	if (a.stride && !a.window)
		return pm_fail(e, PM_USAGE, "--stride has no effect without -l");
	if (a.chunk && !a.text)
		return pm_fail(e, PM_USAGE, "--chunk has no effect without --text");
	if (a.chunks && !a.chunk)
		return pm_fail(e, PM_USAGE, "--chunks has no effect without --chunk");
	if (a.chunk && a.window)
		return pm_fail(e, PM_USAGE, "--chunk and -l exclude each other");
	if (a.decode && !a.base)
		return pm_fail(e, PM_USAGE, "--decode has no effect without --kl");
	if (a.base && a.logits)
		return pm_fail(e, PM_USAGE, "--kl and --logits exclude each other");
	if (a.stride > a.window)
		return pm_fail(e, PM_USAGE, "--stride %lld would skip tokens between windows of %lld", (long long)a.stride, (long long)a.window);
	return 0;
}

static int run(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	struct pm_evaluate_opts o = {.window = a.window, .stride = a.stride, .logits = a.logits, .thin = a.decode, .progress = progress};
	struct pm_comparison c = {0};
	struct pm_evaluation *v = &c.model;
	struct run r = {0};
	int s = check(e);

	o.arg = &r;
	if (s == 0)
		s = pm_env_get(&r.env, e);
	if (s == 0)
		s = local_name(&a.model, &r.env, e);
	if (s == 0)
		s = local_name(&a.base, &r.env, e);
	if (s == 0)
		s = open_device(&r.dev, &a.dev, &r.env, &a.quiet, e);
	if (s == 0)
		s = pm_model_open(&r.model, a.model, r.env.share, a.family, r.dev, precision_of(&a.dev), PM_WEIGHTS_FROZEN, e);
	if (s == 0)
		say_weights(t, r.model, a.quiet);
	if (s == 0 && a.decode && pm_model_weave(r.model, true, e) < 0)
		s = -1;
	if (s == 0 && a.base)
		s = pm_model_open(&r.base, a.base, r.env.share, NULL, r.dev, a.decode ? PM_PREC_F32 : precision_of(&a.dev), PM_WEIGHTS_FROZEN, e);
	if (s == 0)
		s = open_adapters(&r.adapters, r.model, &a.adapters, &r.env, e);
	if (s == 0)
		s = open_rows(&r, argc, argv, e);
	if (s == 0 && (!a.window || a.window > r.model->spec->max_positions))
		say_positions(t, r.model->spec, pm_rows_longest(r.rows), a.quiet);
	pm_progress_begin(&r.progress, "eval", "tok", 0, a.quiet);
	if (s == 0)
		s = a.base ? pm_compare(&c, r.base, r.model, r.adapters, r.rows, &o, e) : pm_evaluate(v, r.model, r.adapters, r.rows, &o, e);
	pm_progress_end(&r.progress);
	if (s == 0)
		s = report(v, &c, e);
	if (s == 0 && a.dev.profile)
		s = pm_dev_profile(r.dev, stderr, e);
	pm_rows_close(r.rows);
	pm_adapters_free(r.adapters);
	pm_comparison_free(&c);
	pm_model_close(r.base);
	pm_model_close(r.model);
	pm_dev_close(r.dev);
	pm_env_free(&r.env);
	return s;
}

int main(int argc, char **argv)
{
	return pm_tool_main(&tool, argc, argv, run);
}
