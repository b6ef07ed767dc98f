/* pm-tokenize: records and text to tokens with the weights of their loss, and tokens to text (pm-tokenize.1). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "bin/names.h"
#include "bin/tokenize.h"
#include "bin/vocab.h"
#include "cli/tool.h"
#include "io/tokens.h"

static struct tokenize_args a = {.special = true};
static struct train_args train_args;

static struct pm_opt opts[] = {
	PM_OPT_MODEL(&a.model),
	{.name = "format", .kind = PM_OPT_STR, .arg = "NAME", .to = &a.format,
	 .help = "format of the records (share/format), plain, or ids [found by their keys]"},
	{.name = "map", .kind = PM_OPT_STR, .arg = "JQ", .to = &a.map, .help = "jq program that every record goes through first"},
	{.name = "columns", .kind = PM_OPT_STR, .arg = "A=B,...", .to = &a.columns,
	 .help = "what the keys or columns of the records are: prompt=question,completion=answer"},
	CHAT_OPTS(&a.chat),
	{.name = "train-on", .kind = PM_OPT_CHOICE, .arg = "WHAT", .to = &a.train_on, .fallback = "assistant", .choices = "all|assistant|last",
	 .help = "what of a chat is trained"},
	{.name = "eos", .kind = PM_OPT_FLAG, .to = &a.eos, .negatable = true,
	 .help = "end texts with the EOS token, too; --no-eos: completions neither"},
	{.name = "special", .kind = PM_OPT_FLAG, .to = &a.special, .negatable = true,
	 .help = "add to texts what the tokenizer adds, BOS (the default); --no-special: nothing"},
	{.name = "parse-special", .kind = PM_OPT_FLAG, .to = &a.parse_special, .help = "special tokens written in the data are special"},
	{.name = "truncate", .kind = PM_OPT_FLAG, .to = &a.truncate, .help = "cut texts as the tokenizer's section truncation says"},
	{.name = "pad", .kind = PM_OPT_FLAG, .to = &a.pad, .help = "pad texts as the tokenizer's section padding says"},
	{.name = "paragraphs", .kind = PM_OPT_FLAG, .to = &a.paragraphs, .help = "plain: empty lines part documents"},
	{.name = "on-bad", .kind = PM_OPT_CHOICE, .arg = "WHAT", .to = &a.on_bad, .fallback = "error", .choices = "error|skip",
	 .help = "what to do with a record that is no good"},
	{.name = "decode", .kind = PM_OPT_FLAG, .to = &a.decode, .help = "tokens to text"},
	{.name = "skip-special", .kind = PM_OPT_FLAG, .to = &a.skip_special, .help = "leave special tokens out of the decoded text"},
	{.name = "render", .kind = PM_OPT_FLAG, .to = &a.render, .help = "chats to text by a chat template; a tokenizer is not needed"},
	{.name = "add-generation-prompt", .kind = PM_OPT_FLAG, .to = &a.generation_prompt, .help = "render: with the words that prompt an answer"},
	{.name = "show-mask", .kind = PM_OPT_FLAG, .to = &a.show_mask, .help = "show which tokens are trained, by colour or in a table"},
	TRAIN_OPTS(&train_args),
	PM_OPT_OUTPUT(&a.output, "where the result goes [standard output]"),
	{.letter = 'j', .name = "threads", .kind = PM_OPT_INT, .arg = "N", .to = &a.threads, .fallback = "0", .min = 0, .max = 4096,
	 .help = "threads, 0 for all cores; the output is the same"},
	PM_OPT_JSON(&a.json, "write JSON lines"),
	PM_OPT_QUIET(&a.quiet),
	PM_OPT_VERBOSE(&a.verbose),
};


/* One document's text, as a line of its own or as JSON. */
struct decoding {
	struct pm_tokenizer *tokenizer;
	struct pm_out text;
};

static int decode_one(struct decoding *j, const int32_t *ids, size_t n, struct pm_str *s, struct pm_err *e)
{
	json_t *o;
	int r;

	pm_str_clear(s);
	if (pm_tokenizer_decode(j->tokenizer, ids, n, a.skip_special, s, e) < 0)
		return -1;
	if (a.json) {
		o = json_pack("{s:o}", "text", json_stringn(s->data ? s->data : "", s->len));
		pm_str_clear(s);
		r = o ? pm_json_text(s, o, e) : pm_fail(e, PM_SOFTWARE, "the decoded text is not UTF-8");
		json_decref(o);
		if (r < 0)
			return -1;
	}
	return pm_str_puts(s, "\n", e) < 0 ? -1 : pm_out_write(&j->text, s->data, s->len, e);
}

static int decode(size_t n, const char *const *paths, struct pm_err *e)
{
	struct decoding d = {0}, *j = &d;
	struct pm_stream *in = NULL;
	struct pm_record r = {0};
	struct pm_str s = {0};
	const char *hash;
	size_t i;
	int k;

	if (open_vocabulary(&j->tokenizer, a.model, e) < 0)
		return -1;
	if (pm_stream_open_all(&in, paths, n, e) < 0) {
		pm_tokenizer_close(j->tokenizer);
		return -1;
	}
	k = pm_out_open(&j->text, a.output ? a.output : "-", e);
	while (k == 0 && (k = pm_stream_read(in, &r, e)) > 0) {
		hash = json_string_value(json_object_get(pm_stream_header(in), "tokenizer"));
		if (hash && strcmp(hash, pm_tokenizer_hash(j->tokenizer)) != 0)
			k = pm_fail(e, PM_DATA, "the tokens are of another tokenizer than the one of %s", a.model);
		else if (r.kind != PM_REC_ROW)
			k = decode_one(j, r.ids, r.n, &s, e);
		else
			for (k = 0, i = 0; k == 0 && i < r.ndocs; i++)
				k = decode_one(j, r.ids + r.bounds[i], r.bounds[i + 1] - r.bounds[i], &s, e);
		if (k < 0 && e->status == PM_DATA && r.line >= 0)
			pm_ctx(e, "line %lld", (long long)r.line);
	}
	if (k == 0)
		k = pm_out_close(&j->text, e);
	else
		pm_out_abort(&j->text);
	pm_stream_close(in);
	pm_tokenizer_close(j->tokenizer);
	pm_record_free(&r);
	pm_str_free(&s);
	return k;
}

/* Options that would have no effect. */
static int check_options(const struct pm_tool *t, struct pm_err *e)
{
	static const char *const encoding[] = {"format", "map", "columns", "chat-template", "chat-template-args", "date", "train-on", "eos", "special", "parse-special", "truncate", "pad", "paragraphs", "on-bad",
		"show-mask", "threads"};
	bool plain = a.format && !strcmp(a.format, "plain");
	size_t i;

	for (i = 0; a.decode && i < sizeof encoding / sizeof *encoding; i++)
		if (pm_opt_refuse(t, encoding[i], "with --decode", e) < 0)
			return -1;
	if (!a.render && pm_opt_refuse(t, "add-generation-prompt", "without --render", e) < 0)
		return -1;
	for (i = 0; a.render && i < sizeof encoding / sizeof *encoding; i++)
		if (strncmp(encoding[i], "chat-template", 13) != 0 && strcmp(encoding[i], "date") != 0 && strcmp(encoding[i], "on-bad") != 0 &&
		    pm_opt_refuse(t, encoding[i], "with --render", e) < 0)
			return -1;
	if (a.render && a.decode)
		return pm_fail(e, PM_USAGE, "--render and --decode exclude each other");
	if (a.render && !a.model && !a.chat.name)
		return pm_fail(e, PM_USAGE, "a chat template was wanted (--chat-template NAME or FILE)");
	if (!a.decode && pm_opt_refuse(t, "skip-special", "without --decode", e) < 0)
		return -1;
	if (a.show_mask && pm_opt_refuse(t, "json", "with --show-mask", e) < 0)
		return -1;
	if (plain && (pm_opt_refuse(t, "map", "on plain text", e) < 0 || pm_opt_refuse(t, "columns", "on plain text", e) < 0 || refuse_chat_opts(t, "on plain text", e) < 0 ||
	    pm_opt_refuse(t, "train-on", "on plain text", e) < 0))
		return -1;
	if (a.pad && a.eos)
		return pm_fail(e, PM_USAGE, "--eos has no effect behind padding (--pad)");
	if (!plain && pm_opt_refuse(t, "paragraphs", "without --format plain", e) < 0)
		return -1;
	if (!a.model && (a.decode || plain || (a.chat.name && !a.render)))
		return pm_fail(e, PM_USAGE, "a model was wanted for its tokenizer (-m DIR)");
	return 0;
}

static int run(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	static const char *const standard[] = {"-"};
	const char *const *paths = argc > 1 ? (const char *const *)argv + 1 : standard;
	int n = argc > 1 ? argc - 1 : 1, r;
	struct pm_env env;

	if (train_args.model)
		return train_vocabulary(t, &train_args, &(struct train_input){paths, (size_t)n, a.format, a.map, a.columns, a.on_bad, a.output, a.quiet, a.verbose}, e);
	if (check_options(t, e) < 0 || train_refuse(t, e) < 0 || pm_env_get(&env, e) < 0)
		return -1;
	r = local_name(&a.model, &env, e) < 0 ? -1 : a.decode ? decode((size_t)n, paths, e) :
	    a.render ? tokenize_render(t, &a, env.share, paths, n, e) : tokenize_encode(t, &a, paths, n, e);
	pm_env_free(&env);
	return r;
}

int main(int argc, char **argv)
{
	struct pm_tool t = {.name = "pm-tokenize", .operands = "[FILE ...]",
		.brief = "turns records and text into tokens with the weights of their loss, and tokens into text", .opts = opts,
		.nopts = sizeof opts / sizeof *opts};

	return pm_tool_main(&t, argc, argv, run);
}
