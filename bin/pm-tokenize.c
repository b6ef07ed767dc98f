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
#include "text/records.h"
#include "text/sample.h"

static struct {
	const char *model, *format, *map, *template, *train_on, *on_bad, *output;
	bool decode, json, show_mask, parse_special, special, truncate, pad, skip_special, eos, paragraphs, quiet, verbose;
} a = {.special = true};
static struct train_args train_args;

static struct pm_opt opts[] = {
	PM_OPT_MODEL(&a.model),
	{.name = "format", .kind = PM_OPT_STR, .arg = "NAME", .to = &a.format,
	 .help = "format of the records (share/format), plain, or ids [found by their keys]"},
	{.name = "map", .kind = PM_OPT_STR, .arg = "JQ", .to = &a.map, .help = "jq program that every record goes through first"},
	{.name = "chat-template", .kind = PM_OPT_CHOICE, .arg = "NAME", .to = &a.template, .choices = PM_TEMPLATE_NAMES,
	 .help = "chat template in place of the model's"},
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
	{.name = "show-mask", .kind = PM_OPT_FLAG, .to = &a.show_mask, .help = "show which tokens are trained, by colour or in a table"},
	TRAIN_OPTS(&train_args),
	PM_OPT_OUTPUT(&a.output, "where the result goes [standard output]"),
	PM_OPT_JSON(&a.json, "write JSON lines"),
	PM_OPT_QUIET(&a.quiet),
	PM_OPT_VERBOSE(&a.verbose),
};

#define LENGTHS 65536           /* lengths are counted one by one up to here */

struct job {
	const struct pm_tool *tool;
	struct pm_tokenizer *tokenizer;
	struct pm_template *chat;
	struct pm_err no_chat;
	struct pm_sampler *sampler;
	struct pm_format *format;
	struct pm_stream_writer w;
	struct pm_out text;             /* --show-mask */
	const char *const *paths;
	int npaths;
	struct pm_err no_tokenizer;
	bool open, colour, reasoning_said;
	uint64_t rows, tokens, trained, bad, longest, *lengths;
	struct pm_progress progress;
};

static int open_output(struct job *j, struct pm_err *e)
{
	const char *path = a.output ? a.output : "-";
	json_t *command = json_string(pm_tool_command()), *h;
	int r;

	if (a.show_mask) {
		r = pm_out_open(&j->text, path, e);
		j->colour = r == 0 && isatty(fileno(j->text.f)) && !(getenv("NO_COLOR") && *getenv("NO_COLOR"));
	} else {
		h = json_pack("{s:s?, s:o, s:s, s:s, s:o, s:s?, s:s?}", "tokenizer", j->tokenizer ? pm_tokenizer_hash(j->tokenizer) : NULL,
		    "vocab", j->tokenizer ? json_integer((json_int_t)pm_tokenizer_vocab(j->tokenizer)) : json_null(), "tool", "pm-tokenize",
		    "pm_version", pm_tool_version(), "command", command ? json_incref(command) : json_null(), "format",
		    j->format ? pm_format_name(j->format) : "plain", "chat_template", j->chat ? pm_template_name(j->chat) : NULL);
		r = h ? 0 : pm_fail(e, PM_SOFTWARE, "out of memory");
		if (r == 0 && !a.json)
			r = pm_stream_inputs(h, j->paths, (size_t)j->npaths, e);
		if (r == 0)
			r = pm_stream_begin(&j->w, path, "tokens", h, a.json, e);
		json_decref(h);
	}
	json_decref(command);
	j->open = r == 0;
	return r;
}

/* One line a token: line of the source, place, id, weight, text as JSON. */
static int mask_table(struct job *j, const struct pm_sample *d, struct pm_err *e)
{
	struct pm_str s = {0};
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < d->record.n; i++) {
		const char *token = j->tokenizer ? pm_tokenizer_token(j->tokenizer, d->record.ids[i]) : NULL;
		bool covers = d->text && d->enc.to[i] > d->enc.from[i];
		json_t *text = covers ? json_stringn(d->text + d->enc.from[i], d->enc.to[i] - d->enc.from[i]) : NULL;

		if (!text)
			text = json_string(token ? token : "");
		pm_str_clear(&s);
		r = pm_str_printf(&s, e, "%lld\t%zu\t%d\t%g\t", (long long)d->record.line, i, d->record.ids[i], (double)pm_record_weight(&d->record, i));
		if (r == 0 && (pm_json_text(&s, text, e) < 0 || pm_str_puts(&s, "\n", e) < 0))
			r = -1;
		if (r == 0)
			r = pm_out_write(&j->text, s.data, s.len, e);
		json_decref(text);
	}
	pm_str_free(&s);
	return r;
}

/* The text itself, what is trained in green; a token that covers none of it by its name. */
static int mask_colour(struct job *j, const struct pm_sample *d, struct pm_err *e)
{
	size_t i, done = 0, from;
	FILE *f = j->text.f;

	for (i = 0; i < d->record.n; i++) {
		bool trained = i && pm_record_weight(&d->record, i) > 0;
		const char *token = j->tokenizer ? pm_tokenizer_token(j->tokenizer, d->record.ids[i]) : NULL;

		fputs(trained ? "\033[32m" : "\033[2m", f);
		if (d->text && d->enc.to[i] > d->enc.from[i]) {
			from = d->enc.from[i] > done ? d->enc.from[i] : done;
			if (d->enc.to[i] > from)
				fwrite(d->text + from, 1, d->enc.to[i] - from, f);
			done = d->enc.to[i] > done ? d->enc.to[i] : done;
		} else {
			fputs(token ? token : "?", f);
		}
		fputs("\033[0m", f);
	}
	fputs("\n", f);
	return ferror(f) ? pm_fail_errno(e, PM_IOERR, "cannot write") : 0;
}

static int put(void *arg, const struct pm_sample *d, struct pm_err *e)
{
	struct job *j = arg;
	size_t i;

	if (!j->open && open_output(j, e) < 0)
		return -1;
	if (d->reasoning_unused && !j->reasoning_said && !a.quiet) {
		pm_say(j->tool, "line %lld: the chat template leaves out the reasoning of a message (said once)", (long long)d->record.line);
		j->reasoning_said = true;
	}
	j->rows++;
	j->tokens += d->record.n;
	j->lengths[d->record.n < LENGTHS ? d->record.n : LENGTHS]++;
	j->longest = d->record.n > j->longest ? d->record.n : j->longest;
	for (i = 1; i < d->record.n; i++)
		j->trained += pm_record_weight(&d->record, i) > 0;
	if (a.show_mask)
		return j->colour ? mask_colour(j, d, e) : mask_table(j, d, e);
	return pm_stream_put(&j->w, &d->record, e);
}

/* What becomes of a failure: −1, or 0 where the record is skipped. */
static int bad(struct job *j, struct pm_err *e)
{
	if (e->status != PM_DATA || strcmp(a.on_bad, "skip") != 0 || pm_sampler_hopeless(j->sampler))
		return -1;
	j->bad++;
	if (a.verbose)
		pm_say(j->tool, "skipped: %s", e->text);
	e->status = PM_DONE;
	return 0;
}

static int do_record(struct job *j, const char *name, const json_t *record, int64_t line, struct pm_err *e)
{
	bool known = pm_format_name(j->format) != NULL;
	json_t *list;
	size_t i;
	int r = pm_format_apply(j->format, record, &list, e);

	if (!known && pm_format_name(j->format) && !a.quiet)
		pm_say(j->tool, "%s: format %s", name, pm_format_name(j->format));
	for (i = 0; r == 0 && i < json_array_size(list); i++)
		r = pm_sampler_take(j->sampler, json_array_get(list, i), line, put, j, e);
	json_decref(list);
	return r == 0 ? 0 : e->status == PM_DATA ? pm_ctx(e, "%s: line %lld", name, (long long)line) : -1;
}

static int do_records(struct job *j, const char *path, struct pm_err *e)
{
	struct pm_records *in;
	json_t *record;
	int64_t line = 0;
	uint64_t n = 0;
	int r;

	if (pm_records_open(&in, path, e) < 0)
		return -1;
	pm_format_forget(j->format);
	while ((r = pm_records_next(in, &record, &line, e)) != 0) {
		if (r > 0)
			r = do_record(j, pm_records_name(in), record, line, e);
		json_decref(record);
		if (r < 0 && (pm_records_stuck(in) || bad(j, e) < 0))
			break;
		r = 0;
		pm_progress_at(&j->progress, ++n, NULL);
	}
	pm_records_close(in);
	return r;
}

/* Bytes of the empty lines that s begins with; what indents the line behind them is not one. Counts them. */
static size_t empty_lines(const char *s, int64_t *line)
{
	size_t n = strspn(s, " \t\r\n"), i, end = s[n] ? 0 : n;

	for (i = 0; i < n; i++)
		if (s[i] == '\n') {
			end = i + 1 > end ? i + 1 : end;
			(*line)++;
		}
	return end;
}

/* The end of the paragraph that begins at `at`: an empty line, or the end. */
static size_t paragraph_end(const struct pm_str *s, size_t at)
{
	size_t i = at, next;
	char *nl;

	while (i < s->len) {
		nl = memchr(s->data + i, '\n', s->len - i);
		next = nl ? (size_t)(nl - s->data) + 1 : s->len;
		if (i > at && strspn(s->data + i, " \t\r\n") >= next - i)
			return i;
		i = next;
	}
	return s->len;
}

static int do_plain(struct job *j, const char *path, struct pm_err *e)
{
	const char *name = strcmp(path, "-") ? path : "standard input";
	struct pm_str s = {0};
	size_t at = 0, end, i, n;
	int64_t line = 1;
	int r = strcmp(path, "-") ? pm_read_file(&s, path, e) : pm_read_stream(&s, stdin, name, e);

	while (r == 0 && at < s.len) {
		if (a.paragraphs && (n = empty_lines(s.data + at, &line)) > 0) {
			at += n;
			continue;
		}
		end = a.paragraphs ? paragraph_end(&s, at) : s.len;
		for (n = end; a.paragraphs && n > at && (s.data[n - 1] == '\n' || s.data[n - 1] == '\r'); n--)
			;
		r = pm_sampler_text(j->sampler, s.data + at, n - at, line, put, j, e);
		if (r < 0 && e->status == PM_DATA) {
			pm_ctx(e, "%s: line %lld", name, (long long)line);
			r = bad(j, e);
		}
		for (i = at; i < end; i++)
			line += s.data[i] == '\n';
		at = end;
	}
	pm_str_free(&s);
	return r;
}

static uint64_t percentile(const struct job *j, int percent)
{
	uint64_t want = (j->rows * (uint64_t)percent + 99) / 100, n = 0;
	size_t i;

	for (i = 0; i < LENGTHS; i++)
		if ((n += j->lengths[i]) >= want)
			return i;
	return j->longest;
}

static int finish(struct job *j, struct pm_err *e)
{
	if (!j->rows)
		return j->bad ? pm_fail(e, PM_DATA, "no record is left: all %llu were skipped", (unsigned long long)j->bad) :
		    pm_fail(e, PM_DATA, "the input holds no records");
	if ((a.show_mask ? pm_out_close(&j->text, e) : pm_stream_end(&j->w, e)) < 0)
		return -1;
	j->open = false;
	if (a.quiet)
		return 0;
	if (j->bad)
		pm_say(j->tool, "%llu records were skipped", (unsigned long long)j->bad);
	pm_say(j->tool, "%llu rows, %llu tokens, %llu trained; lengths: half %llu, 90 %% %llu, 99 %% %llu, longest %llu", (unsigned long long)j->rows,
	    (unsigned long long)j->tokens, (unsigned long long)j->trained, (unsigned long long)percentile(j, 50),
	    (unsigned long long)percentile(j, 90), (unsigned long long)percentile(j, 99), (unsigned long long)j->longest);
	return 0;
}

/* Opens what chats need. A model without a known template is an error only where a chat comes. */
static int open_chat(struct job *j, struct pm_err *e)
{
	int32_t eos = pm_tokenizer_eos(j->tokenizer);
	const char *end;

	if (pm_template_open(&j->chat, a.model, a.template, &j->no_chat) < 0) {
		if (j->no_chat.status == PM_DATA)
			return 0;
		*e = j->no_chat;
		return -1;
	}
	end = pm_template_end(j->chat, eos >= 0 ? pm_tokenizer_token(j->tokenizer, eos) : NULL);
	if (end && pm_tokenizer_id(j->tokenizer, end) < 0 && !a.quiet)
		pm_say(j->tool, "'%s', which ends a turn, is no token of this vocabulary: it is written in pieces", end);
	if (a.verbose)
		pm_say(j->tool, "chat template %s", pm_template_name(j->chat));
	return 0;
}

/* A model without tokenizer files will do where records come as ids. */
static int open_model(struct job *j, struct pm_err *e)
{
	pm_fail(&j->no_tokenizer, PM_USAGE, "a model was wanted for its tokenizer (-m DIR)");
	if (!a.model)
		return 0;
	if (open_vocabulary(&j->tokenizer, a.model, &j->no_tokenizer) == 0)
		return open_chat(j, e);
	if (j->no_tokenizer.status == PM_NOINPUT && pm_is_dir(a.model))
		return 0;
	*e = j->no_tokenizer;
	return -1;
}

static int open_job(struct job *j, struct pm_err *e)
{
	struct pm_sample_opts o = {.no_chat = &j->no_chat, .no_tokenizer = &j->no_tokenizer, .special = a.special, .parse_special = a.parse_special,
		.truncate = a.truncate, .pad = a.pad,
		.train_on = !strcmp(a.train_on, "all") ? PM_TRAIN_ALL : !strcmp(a.train_on, "last") ? PM_TRAIN_LAST : PM_TRAIN_ASSISTANT,
		.offsets = a.json && !a.show_mask};
	struct pm_env env;
	int r;

	j->lengths = pm_alloc(LENGTHS + 1, sizeof *j->lengths, e);
	if (!j->lengths || open_model(j, e) < 0)
		return -1;
	o.tokenizer = j->tokenizer;
	o.chat = j->chat;
	o.eos_text = a.eos;
	o.eos_completion = pm_opt_given(j->tool, "eos") ? a.eos : j->tokenizer && pm_tokenizer_eos(j->tokenizer) >= 0;
	if (pm_sampler_new(&j->sampler, &o, e) < 0)
		return -1;
	if (a.format && !strcmp(a.format, "plain"))
		return 0;
	if (pm_env_get(&env, e) < 0)
		return -1;
	r = pm_format_new(&j->format, env.share, a.format, a.map, e);
	pm_env_free(&env);
	return r;
}

static int encode(struct job *j, int n, const char *const *paths, struct pm_err *e)
{
	int i, r;

	j->paths = paths;
	j->npaths = n;
	r = open_job(j, e);

	pm_progress_begin(&j->progress, "tokenize", "record", 0, a.quiet);
	for (i = 0; r == 0 && i < n; i++)
		r = j->format ? do_records(j, paths[i], e) : do_plain(j, paths[i], e);
	pm_progress_end(&j->progress);
	if (r == 0)
		r = finish(j, e);
	if (j->open && a.show_mask)
		pm_out_abort(&j->text);
	else if (j->open)
		pm_stream_abort(&j->w);
	return r;
}

/* One document's text, as a line of its own or as JSON. */
static int decode_one(struct job *j, const int32_t *ids, size_t n, struct pm_str *s, struct pm_err *e)
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

static int decode(struct job *j, size_t n, const char *const *paths, struct pm_err *e)
{
	struct pm_stream *in = NULL;
	struct pm_record r = {0};
	struct pm_str s = {0};
	const char *hash;
	size_t i;
	int k;

	if (open_vocabulary(&j->tokenizer, a.model, e) < 0 || pm_stream_open_all(&in, paths, n, e) < 0)
		return -1;
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
	pm_record_free(&r);
	pm_str_free(&s);
	return k;
}

/* Options that would have no effect. */
static int check_options(const struct pm_tool *t, struct pm_err *e)
{
	static const char *const encoding[] = {"format", "map", "chat-template", "train-on", "eos", "special", "parse-special", "truncate", "pad", "paragraphs", "on-bad",
		"show-mask"};
	bool plain = a.format && !strcmp(a.format, "plain");
	size_t i;

	for (i = 0; a.decode && i < sizeof encoding / sizeof *encoding; i++)
		if (pm_opt_refuse(t, encoding[i], "with --decode", e) < 0)
			return -1;
	if (!a.decode && pm_opt_refuse(t, "skip-special", "without --decode", e) < 0)
		return -1;
	if (a.show_mask && pm_opt_refuse(t, "json", "with --show-mask", e) < 0)
		return -1;
	if (plain && (pm_opt_refuse(t, "map", "on plain text", e) < 0 || pm_opt_refuse(t, "chat-template", "on plain text", e) < 0 ||
	    pm_opt_refuse(t, "train-on", "on plain text", e) < 0))
		return -1;
	if (a.pad && a.eos)
		return pm_fail(e, PM_USAGE, "--eos has no effect behind padding (--pad)");
	if (!plain && pm_opt_refuse(t, "paragraphs", "without --format plain", e) < 0)
		return -1;
	if (!a.model && (a.decode || plain || a.template))
		return pm_fail(e, PM_USAGE, "a model was wanted for its tokenizer (-m DIR)");
	return 0;
}

static int run(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	static const char *const standard[] = {"-"};
	const char *const *paths = argc > 1 ? (const char *const *)argv + 1 : standard;
	int n = argc > 1 ? argc - 1 : 1, r;
	struct job j = {.tool = t};
	struct pm_env env;

	if (train_args.model)
		return train_vocabulary(t, &train_args, &(struct train_input){paths, (size_t)n, a.format, a.map, a.on_bad, a.output, a.quiet, a.verbose}, e);
	if (check_options(t, e) < 0 || train_refuse(t, e) < 0 || pm_env_get(&env, e) < 0)
		return -1;
	r = local_name(&a.model, &env, e) < 0 ? -1 : a.decode ? decode(&j, (size_t)n, paths, e) : encode(&j, n, paths, e);
	pm_format_free(j.format);
	pm_sampler_free(j.sampler);
	pm_template_close(j.chat);
	pm_tokenizer_close(j.tokenizer);
	free(j.lengths);
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
