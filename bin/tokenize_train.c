/* pm-tokenize --train: a vocabulary from text. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "bin/tokenize.h"
#include "io/tokens.h"
#include "text/records.h"

struct run {
	const struct pm_tool *tool;
	const struct train_input *in;
	struct pm_learner *learner;
	struct pm_format *format;
	struct pm_progress progress;
	uint64_t texts, bad;
};

int train_refuse(const struct pm_tool *t, struct pm_err *e)
{
	static const char *const names[] = {"vocab-size", "min-frequency", "max-piece-length", "special-tokens", "unk-token", "bos-token", "eos-token",
		"byte-fallback", "pattern", "normalizer", "prefix-space"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (pm_opt_refuse(t, names[i], "without --train", e) < 0)
			return -1;
	return 0;
}

/* True where the output is a directory (a model's), not a file. */
static bool to_directory(const char *path)
{
	size_t n = path ? strlen(path) : 0;

	return n && strcmp(path, "-") != 0 && (pm_is_dir(path) || n < 5 || strcmp(path + n - 5, ".json") != 0);
}

static int check_options(const struct pm_tool *t, const struct train_args *a, const struct train_input *in, struct pm_err *e)
{
	static const char *const others[] = {"model", "chat-template", "chat-template-args", "date", "render", "add-generation-prompt", "train-on", "eos", "special", "parse-special", "paragraphs", "decode",
		"skip-special", "show-mask", "threads", "json"};
	bool unigram = !strcmp(a->model, "unigram");

	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (pm_opt_refuse(t, others[i], "with --train", e) < 0)
			return -1;
	if (unigram ? pm_opt_refuse(t, "min-frequency", "with --train unigram", e) < 0 : pm_opt_refuse(t, "max-piece-length", "with --train bpe", e) < 0)
		return -1;
	if (!to_directory(in->output) && (pm_opt_refuse(t, "bos-token", "without -o DIR", e) < 0 || pm_opt_refuse(t, "eos-token", "without -o DIR", e) < 0))
		return -1;
	if (in->format && !strcmp(in->format, "plain") && (pm_opt_refuse(t, "map", "on plain text", e) < 0 || pm_opt_refuse(t, "columns", "on plain text", e) < 0 || pm_opt_refuse(t, "on-bad", "on plain text", e) < 0))
		return -1;
	return 0;
}

/* Parts the lists at commas. The strings are the caller's to free, list and all (*text). */
static int special_tokens(const struct pm_opt_list *l, const char ***list, size_t *n, char **text, struct pm_err *e)
{
	size_t bytes = 1, max = 0, cap = 0;
	char *p;

	*list = NULL;
	*n = 0;
	for (size_t i = 0; i < l->n; i++)
		bytes += strlen(l->v[i]) + 1;
	*text = p = pm_alloc(bytes, 1, e);
	if (!p)
		return -1;
	for (size_t i = 0; i < l->n; i++) {
		size_t len = strlen(l->v[i]);

		memcpy(p, l->v[i], len);
		for (char *q = p, *comma; q; q = comma ? comma + 1 : NULL) {
			comma = strchr(q, ',');
			if (comma)
				*comma = 0;
			if (pm_grow(list, &cap, ++max, sizeof **list, e) < 0)
				return -1;
			(*list)[(*n)++] = q;
		}
		p += len + 1;
	}
	return 0;
}

static bool is_special(const char *token, const char **list, size_t n)
{
	for (size_t i = 0; token && i < n; i++)
		if (!strcmp(token, list[i]))
			return true;
	return !token;
}

static int learn(struct run *r, const char *s, size_t n, struct pm_err *e)
{
	r->texts++;
	return pm_learner_text(r->learner, s, n, e);
}

/* A text, or messages: what each one says. */
static int learn_value(struct run *r, const json_t *v, struct pm_err *e)
{
	json_t *m, *part;
	size_t i, k;

	if (json_is_string(v))
		return learn(r, json_string_value(v), json_string_length(v), e);
	json_array_foreach(v, i, m) {
		const json_t *content = json_object_get(m, "content");

		if (json_is_string(content) && learn(r, json_string_value(content), json_string_length(content), e) < 0)
			return -1;
		json_array_foreach(content, k, part)
			if (json_is_string(json_object_get(part, "text")) && learn_value(r, json_object_get(part, "text"), e) < 0)
				return -1;
	}
	return 0;
}

static int learn_record(struct run *r, const json_t *record, struct pm_err *e)
{
	static const char *const keys[] = {"text", "messages", "prompt", "completion", "chosen", "rejected"};
	json_t *list, *o;
	uint64_t before = r->texts;
	size_t i;
	int k = pm_format_apply(r->format, record, &list, e);

	if (k < 0)
		return -1;
	json_array_foreach(list, i, o)
		for (size_t j = 0; k == 0 && j < sizeof keys / sizeof *keys; j++)
			k = learn_value(r, json_object_get(o, keys[j]), e);
	json_decref(list);
	return k == 0 && r->texts == before ? pm_fail(e, PM_DATA, "there is no text in it") : k;
}

/* −1, or 0 where a bad record is skipped. */
static int bad(struct run *r, struct pm_err *e)
{
	if (e->status != PM_DATA || strcmp(r->in->on_bad, "skip") != 0)
		return -1;
	r->bad++;
	if (r->in->verbose)
		pm_say(r->tool, "skipped: %s", e->text);
	e->status = PM_DONE;
	return 0;
}

static int learn_records(struct run *r, const char *path, struct pm_err *e)
{
	struct pm_records *in;
	json_t *record;
	int64_t line = 0;
	uint64_t n = 0;
	int k;

	if (pm_records_open(&in, path, e) < 0)
		return -1;
	if (r->in->columns)
		pm_records_expect_table(in);
	pm_format_forget(r->format);
	while ((k = pm_records_next(in, &record, &line, e)) != 0) {
		if (k > 0) {
			k = learn_record(r, record, e);
			if (k < 0 && e->status == PM_DATA)
				pm_ctx(e, "%s: line %lld", pm_records_name(in), (long long)line);
		}
		json_decref(record);
		if (k < 0 && (pm_records_stuck(in) || bad(r, e) < 0))
			break;
		k = 0;
		pm_progress_at(&r->progress, ++n, NULL);
	}
	pm_records_close(in);
	return k;
}

static int learn_plain(struct run *r, const char *path, struct pm_err *e)
{
	struct pm_str s = {0};
	struct pm_map m;
	int k;

	if (strcmp(path, "-") && pm_map_open(&m, path, e) == 0) {
		k = m.size ? learn(r, (const char *)m.data, m.size, e) : 0;
		pm_map_close(&m);
	} else if (strcmp(path, "-")) {
		return -1;
	} else {
		k = pm_read_stream(&s, stdin, "standard input", e);
		if (k == 0 && s.len)
			k = learn(r, s.data, s.len, e);
	}
	pm_str_free(&s);
	return k < 0 && e->status == PM_DATA ? pm_ctx(e, "%s", strcmp(path, "-") ? path : "standard input") : k;
}

static void show(void *arg, size_t done, size_t total)
{
	struct pm_progress *p = arg;

	p->total = total;
	pm_progress_at(p, done, NULL);
}

/* What the tokens are for, and how they were made. */
static int config_text(struct pm_str *out, const struct train_args *a, const struct train_input *in, struct pm_err *e)
{
	json_t *command = json_string(pm_tool_command()), *o, *by;
	int r;

	by = json_pack("{s:s, s:s, s:o}", "tool", "pm-tokenize", "version", pm_tool_version(), "command", command ? command : json_null());
	r = by ? pm_stream_inputs(by, in->paths, in->n, e) : pm_fail(e, PM_SOFTWARE, "out of memory");
	o = json_pack("{s:s, s:s*, s:s*, s:s*, s:b, s:o}", "tokenizer_class", "PreTrainedTokenizerFast", "bos_token", a->bos, "eos_token", a->eos,
		"unk_token", a->unk, "clean_up_tokenization_spaces", 0, "pm", by);
	if (r == 0)
		r = o ? pm_json_text(out, o, e) : pm_fail(e, PM_SOFTWARE, "out of memory");
	json_decref(o);
	return r;
}

static int write_file(const char *path, const struct pm_str *text, struct pm_err *e)
{
	struct pm_out out;

	if (pm_out_open(&out, path, e) < 0)
		return -1;
	if (pm_out_write(&out, text->data, text->len, e) < 0 || pm_out_write(&out, "\n", 1, e) < 0) {
		pm_out_abort(&out);
		return -1;
	}
	return pm_out_close(&out, e);
}

static int write_files(const struct train_args *a, const struct train_input *in, const struct pm_str *json, struct pm_err *e)
{
	struct pm_str config = {0};
	char *vocab, *other;
	int r = -1;

	if (!to_directory(in->output))
		return write_file(in->output ? in->output : "-", json, e);
	vocab = pm_path(in->output, "tokenizer.json", e);
	other = pm_path(in->output, "tokenizer_config.json", e);
	if (vocab && other && pm_mkdirs(in->output, e) == 0 && config_text(&config, a, in, e) == 0 && write_file(vocab, json, e) == 0)
		r = write_file(other, &config, e);
	free(vocab);
	free(other);
	pm_str_free(&config);
	return r;
}

static int finish(struct run *r, const struct train_args *a, struct pm_err *e)
{
	struct pm_str json = {0};
	size_t tokens = 0, different;
	uint64_t words;
	int k;

	pm_learner_counts(r->learner, &words, &different);
	pm_progress_begin(&r->progress, "learn", "token", 0, r->in->quiet);
	k = pm_learner_finish(r->learner, &json, &tokens, show, &r->progress, e);
	pm_progress_end(&r->progress);
	if (k == 0)
		k = write_files(a, r->in, &json, e);
	if (k == 0 && !r->in->quiet && r->bad)
		pm_say(r->tool, "%llu records were skipped", (unsigned long long)r->bad);
	if (k == 0 && !r->in->quiet)
		pm_say(r->tool, "%llu texts, %llu words, %zu different; %zu tokens%s", (unsigned long long)r->texts, (unsigned long long)words, different,
			tokens, tokens < (size_t)a->vocab_size ? ": the text gives no more" : "");
	pm_str_free(&json);
	return k;
}

static int open_run(struct run *r, const struct train_args *a, const char *const *special, size_t nspecial, struct pm_err *e)
{
	bool unigram = !strcmp(a->model, "unigram");
	struct pm_learn_opts o = {.unigram = unigram, .vocab_size = (size_t)a->vocab_size, .min_frequency = (uint64_t)a->min_frequency,
		.max_piece = (size_t)a->max_piece, .special = special, .nspecial = nspecial, .unk = a->unk, .byte_fallback = a->byte_fallback,
		.pattern = a->pattern ? a->pattern : unigram ? "metaspace" : "llama3",
		.normalizer = a->normalizer ? a->normalizer : unigram ? "nfkc" : "none", .prefix_space = a->prefix_space};
	bool bytes = strcmp(o.pattern, "metaspace") != 0;
	struct pm_env env;
	int k;

	if (!pm_opt_given(r->tool, "prefix-space"))
		o.prefix_space = !bytes;
	if (!o.unk && (unigram || !bytes))
		o.unk = "<unk>";
	if (pm_learner_new(&r->learner, &o, e) < 0)
		return -1;
	if (r->in->format && !strcmp(r->in->format, "plain"))
		return 0;
	if (pm_env_get(&env, e) < 0)
		return -1;
	k = pm_format_new(&r->format, env.share, r->in->format, r->in->map, e);
	if (k == 0 && r->in->columns)
		k = pm_format_columns(r->format, r->in->columns, e);
	pm_env_free(&env);
	return k;
}

int train_vocabulary(struct pm_tool *t, const struct train_args *a, const struct train_input *in, struct pm_err *e)
{
	struct run r = {.tool = t, .in = in};
	const char **special = NULL;
	char *text = NULL;
	size_t n = 0;
	int k = check_options(t, a, in, e);

	if (k == 0)
		k = special_tokens(&a->special, &special, &n, &text, e);
	if (k == 0 && (!is_special(a->bos, special, n) || !is_special(a->eos, special, n)))
		k = pm_fail(e, PM_USAGE, "'%s' is none of the --special-tokens", is_special(a->bos, special, n) ? a->eos : a->bos);
	if (k == 0)
		k = open_run(&r, a, special, n, e);
	pm_progress_begin(&r.progress, "count", "record", 0, in->quiet);
	for (size_t i = 0; k == 0 && i < in->n; i++)
		k = r.format ? learn_records(&r, in->paths[i], e) : learn_plain(&r, in->paths[i], e);
	pm_progress_end(&r.progress);
	if (k == 0)
		k = finish(&r, a, e);
	pm_learner_free(r.learner);
	pm_format_free(r.format);
	free(special);
	free(text);
	return k;
}
