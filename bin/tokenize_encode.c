/* pm-tokenize: records and texts to tokens. Batches of them are done on several threads, and written in the order of the input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "bin/tokenize_job.h"
#include "bin/vocab.h"

#define LENGTHS 65536           /* lengths are counted one by one up to here */

static int open_output(struct job *j, struct pm_err *e)
{
	const char *path = j->a->output ? j->a->output : "-";
	json_t *command = json_string(pm_tool_command()), *h;
	int r;

	if (j->a->show_mask) {
		r = pm_out_open(&j->text, path, e);
		j->colour = r == 0 && isatty(fileno(j->text.f)) && !(getenv("NO_COLOR") && *getenv("NO_COLOR"));
	} else if (j->open) {
		r = 0;
	} else {
		h = json_pack("{s:s?, s:o, s:s, s:s, s:o, s:s?, s:s?}", "tokenizer", j->tokenizer ? pm_tokenizer_hash(j->tokenizer) : NULL,
		    "vocab", j->tokenizer ? json_integer((json_int_t)pm_tokenizer_vocab(j->tokenizer)) : json_null(), "tool", "pm-tokenize",
		    "pm_version", pm_tool_version(), "command", command ? json_incref(command) : json_null(), "format",
		    j->format ? pm_format_name(j->format) : "plain", "chat_template", j->chat ? pm_template_name(j->chat) : NULL);
		r = h ? 0 : pm_fail(e, PM_SOFTWARE, "out of memory");
		if (r == 0 && !j->a->json)
			r = pm_stream_inputs(h, j->paths, (size_t)j->npaths, e);
		if (r == 0)
			r = pm_stream_begin(&j->w, path, "tokens", h, j->a->json, e);
		json_decref(h);
	}
	json_decref(command);
	j->open |= r == 0;
	return r;
}

/* One line a token: line of the source, place, id, weight, text as JSON. */
static int mask_table(struct pm_str *s, const struct job *j, const struct pm_sample *d, struct pm_err *e)
{
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < d->record.n; i++) {
		const char *token = j->tokenizer ? pm_tokenizer_token(j->tokenizer, d->record.ids[i]) : NULL;
		bool covers = d->text && d->enc.to[i] > d->enc.from[i];
		json_t *text = covers ? json_stringn(d->text + d->enc.from[i], d->enc.to[i] - d->enc.from[i]) : NULL;

		if (!text)
			text = json_string(token ? token : "");
		r = pm_str_printf(s, e, "%lld\t%zu\t%d\t%g\t", (long long)d->record.line, i, d->record.ids[i], (double)pm_record_weight(&d->record, i));
		if (r == 0 && (pm_json_text(s, text, e) < 0 || pm_str_puts(s, "\n", e) < 0))
			r = -1;
		json_decref(text);
	}
	return r;
}

/* The text itself, what is trained in green; a token that covers none of it by its name. */
static int mask_colour(struct pm_str *s, const struct job *j, const struct pm_sample *d, struct pm_err *e)
{
	size_t i, done = 0, from;
	int r = 0;

	for (i = 0; r == 0 && i < d->record.n; i++) {
		bool trained = i && pm_record_weight(&d->record, i) > 0;
		const char *token = j->tokenizer ? pm_tokenizer_token(j->tokenizer, d->record.ids[i]) : NULL;

		r = pm_str_puts(s, trained ? "\033[32m" : "\033[2m", e);
		if (r == 0 && d->text && d->enc.to[i] > d->enc.from[i]) {
			from = d->enc.from[i] > done ? d->enc.from[i] : done;
			if (d->enc.to[i] > from)
				r = pm_str_put(s, d->text + from, d->enc.to[i] - from, e);
			done = d->enc.to[i] > done ? d->enc.to[i] : done;
		} else if (r == 0) {
			r = pm_str_puts(s, token ? token : "?", e);
		}
		if (r == 0)
			r = pm_str_puts(s, "\033[0m", e);
	}
	return r == 0 ? pm_str_puts(s, "\n", e) : -1;
}

/* The record's bytes behind those of the batch. */
static int put_record(struct worker *w, const struct pm_record *d, struct pm_err *e)
{
	struct batch *b = w->b;
	size_t at, n;

	if (pm_stream_format(&w->w, d, &at, &n, e) < 0)
		return -1;
	if (n) {
		if (pm_grow(&b->marks, &b->cap_marks, b->nmarks + 1, sizeof *b->marks, e) < 0)
			return -1;
		b->marks[b->nmarks++] = (struct mark){b->out.len + at, n, d->group - b->groups};
	}
	return pm_str_put(&b->out, w->w.buf.data, w->w.buf.len, e);
}

static int put(void *arg, const struct pm_sample *d, struct pm_err *e)
{
	struct worker *w = arg;
	size_t i;

	if (d->reasoning_unused && w->b->reasoning < 0)
		w->b->reasoning = d->record.line;
	w->b->rows++;
	w->rows++;
	w->tokens += d->record.n;
	w->cut += d->enc.windows > 1;
	w->lengths[d->record.n < LENGTHS ? d->record.n : LENGTHS]++;
	w->longest = d->record.n > w->longest ? d->record.n : w->longest;
	for (i = 1; i < d->record.n; i++)
		w->trained += pm_record_weight(&d->record, i) > 0;
	if (w->j->a->show_mask)
		return w->j->colour ? mask_colour(&w->b->out, w->j, d, e) : mask_table(&w->b->out, w->j, d, e);
	return put_record(w, &d->record, e);
}

/* What becomes of a failure: −1, or 0 where the record is skipped. */
static int bad(struct worker *w, struct pm_err *e)
{
	if (e->status != PM_DATA || strcmp(w->j->a->on_bad, "skip") != 0 || pm_sampler_hopeless(w->sampler))
		return -1;
	w->b->bad++;
	e->status = PM_DONE;
	return w->j->a->verbose ? pm_str_printf(&w->b->said, e, "skipped: %s\n", e->text) : 0;
}

static int open_format(struct pm_format **f, const struct job *j, const char *name, struct pm_err *e)
{
	if (pm_format_new(f, j->share, name, j->a->map, e) < 0)
		return -1;
	return j->a->columns ? pm_format_columns(*f, j->a->columns, e) : 0;
}

/* The format of the batch: a thread that is not alone has its own. */
static struct pm_format *format_of(struct worker *w, struct pm_err *e)
{
	struct batch *b = w->b;

	if (crew_alone(w->j->crew))
		return w->j->format;
	if (w->format && strcmp(pm_format_name(w->format), b->format) != 0) {
		pm_format_free(w->format);
		w->format = NULL;
	}
	if (!w->format && open_format(&w->format, w->j, b->format, e) < 0)
		return NULL;
	return w->format;
}

static int do_record(struct worker *w, struct pm_format *f, const struct item *x, struct pm_err *e)
{
	json_t *list;
	size_t i;
	int r = pm_format_apply(f, x->record, &list, e);

	for (i = 0; r == 0 && i < json_array_size(list); i++)
		r = pm_sampler_take(w->sampler, json_array_get(list, i), x->line, put, w, e);
	json_decref(list);
	return r;
}

static int do_item(struct worker *w, struct pm_format *f, const struct item *x, struct pm_err *e)
{
	int r;

	if (x->err) {
		*e = *x->err;
		return -1;
	}
	r = x->record ? do_record(w, f, x, e) : pm_sampler_text(w->sampler, x->text, x->n, x->line, put, w, e);
	return r < 0 && e->status == PM_DATA ? pm_ctx(e, "%s: line %lld", w->b->name, (long long)x->line) : r;
}

/* Does a batch, on any thread. */
static void work(void *worker, struct crew_task *t)
{
	struct worker *w = worker;
	struct batch *b = w->b = (struct batch *)t;
	struct pm_format *f = NULL;

	b->reasoning = -1;
	b->groups = pm_sampler_groups(w->sampler);
	if (b->format && !(f = format_of(w, &b->err)))
		b->r = -1;
	for (size_t i = 0; b->r == 0 && i < b->n; i++)
		if (do_item(w, f, b->items + i, &b->err) < 0)
			b->r = bad(w, &b->err);
	b->groups = pm_sampler_groups(w->sampler) - b->groups;
}

static void drop(struct crew_task *t)
{
	struct batch *b = (struct batch *)t;

	for (size_t i = 0; i < b->n; i++) {
		json_decref(b->items[i].record);
		free(b->items[i].err);
	}
	free(b->items);
	free(b->format);
	free(b->marks);
	pm_str_free(&b->own);
	pm_str_free(&b->out);
	pm_str_free(&b->said);
	free(b);
}

/* Writes what a batch gave, its groups numbered on. */
static int write_batch(struct job *j, const struct batch *b, struct pm_err *e)
{
	size_t at = 0;
	char digits[24];

	if (j->a->show_mask)
		return pm_out_write(&j->text, b->out.data, b->out.len, e);
	for (size_t i = 0; i < b->nmarks; i++) {
		const struct mark *m = b->marks + i;
		int64_t group = j->groups + m->group;
		int n = snprintf(digits, sizeof digits, "%lld", (long long)group);

		if (pm_stream_write(&j->w, b->out.data + at, m->at - at, e) < 0
		    || pm_stream_write(&j->w, j->a->json ? (void *)digits : (void *)&group, j->a->json ? (size_t)n : sizeof group, e) < 0)
			return -1;
		at = m->at + m->n;
	}
	return pm_stream_write(&j->w, b->out.data + at, b->out.len - at, e);
}

/* Takes a batch in, in the order of the input. */
static int finish_batch(void *arg, struct crew_task *t, struct pm_err *e)
{
	struct batch *b = (struct batch *)t;
	struct job *j = arg;
	char *line, *end;
	int r = 0;

	if (b->reasoning >= 0 && !j->reasoning_said && !j->a->quiet) {
		pm_say(j->tool, "line %lld: the chat template leaves out the reasoning of a message (said once)", (long long)b->reasoning);
		j->reasoning_said = true;
	}
	for (line = b->said.data; line && (end = strchr(line, '\n')); line = end + 1)
		pm_say(j->tool, "%.*s", (int)(end - line), line);
	if (b->rows && !j->open)
		r = open_output(j, e);
	if (r == 0 && b->rows)
		r = write_batch(j, b, e);
	j->rows += b->rows;
	j->bad += b->bad;
	j->groups += b->groups;
	if (r == 0 && b->r < 0) {
		*e = b->err;
		r = -1;
	}
	drop(t);
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

/* What the threads counted. */
static void count(struct job *j)
{
	for (size_t i = 0; i < j->threads; i++) {
		const struct worker *w = j->workers + i;

		j->tokens += w->tokens;
		j->trained += w->trained;
		j->cut += w->cut;
		j->longest = w->longest > j->longest ? w->longest : j->longest;
		for (size_t k = 0; k <= LENGTHS; k++)
			j->lengths[k] += w->lengths[k];
	}
}

static int finish(struct job *j, struct pm_err *e)
{
	if (!j->rows)
		return j->bad ? pm_fail(e, PM_DATA, "no record is left: all %llu were skipped", (unsigned long long)j->bad) :
		    pm_fail(e, PM_DATA, "the input holds no records");
	if ((j->a->show_mask ? pm_out_close(&j->text, e) : pm_stream_end(&j->w, e)) < 0)
		return -1;
	j->open = false;
	if (j->a->quiet)
		return 0;
	count(j);
	if (j->bad)
		pm_say(j->tool, "%llu records were skipped", (unsigned long long)j->bad);
	if (j->a->truncate)
		pm_say(j->tool, "%llu rows were truncated", (unsigned long long)j->cut);
	pm_say(j->tool, "%llu rows, %llu tokens, %llu trained; lengths: half %llu, 90 %% %llu, 99 %% %llu, longest %llu", (unsigned long long)j->rows,
	    (unsigned long long)j->tokens, (unsigned long long)j->trained, (unsigned long long)percentile(j, 50),
	    (unsigned long long)percentile(j, 90), (unsigned long long)percentile(j, 99), (unsigned long long)j->longest);
	return 0;
}

/* Opens what chats need. A model without a template that can be used is an error only where a chat comes. */
static int open_chat(struct job *j, struct pm_err *e)
{
	const char *end;

	if (open_chat_template(&j->chat, j->a->model, &j->a->chat, j->tokenizer, j->share, &j->no_chat) < 0) {
		if (j->no_chat.status == PM_DATA && !j->a->chat.name)
			return 0;
		*e = j->no_chat;
		return -1;
	}
	end = pm_template_end(j->chat);
	if (*end && pm_tokenizer_id(j->tokenizer, end) < 0 && !j->a->quiet)
		pm_say(j->tool, "'%s', which ends a turn, is no token of this vocabulary: it is written in pieces", end);
	if (j->a->verbose)
		pm_say(j->tool, "chat template %s", pm_template_name(j->chat));
	return 0;
}

/* A model without tokenizer files will do where records come as ids. */
static int open_model(struct job *j, struct pm_err *e)
{
	pm_fail(&j->no_tokenizer, PM_USAGE, "a model was wanted for its tokenizer (-m DIR)");
	if (!j->a->model)
		return 0;
	if (open_vocabulary(&j->tokenizer, j->a->model, &j->no_tokenizer) == 0)
		return open_chat(j, e);
	if (j->no_tokenizer.status == PM_NOINPUT && pm_is_dir(j->a->model))
		return 0;
	*e = j->no_tokenizer;
	return -1;
}

/* Each thread has its own format and buffers. */
static int open_workers(struct job *j, struct pm_err *e)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	void **list;
	struct crew_opts o = {.work = work, .finish = finish_batch, .drop = drop, .arg = j};
	int r = 0;

	j->threads = j->a->threads ? (size_t)j->a->threads : cores > 1 ? (size_t)cores : 1;
	j->sample.threads = j->threads;
	j->workers = pm_alloc(j->threads, sizeof *j->workers, e);
	list = pm_alloc(j->threads, sizeof *list, e);
	for (size_t i = 0; r == 0 && j->workers && list && i < j->threads; i++) {
		struct worker *w = j->workers + i;
		struct pm_sample_opts so = j->sample;

		list[i] = w;
		w->j = j;
		w->w.json = j->a->json;
		w->lengths = pm_alloc(LENGTHS + 1, sizeof *w->lengths, e);
		if (!w->lengths || (r == 0 && pm_sampler_new(&w->sampler, &so, e) < 0))
			r = -1;
	}
	o.threads = j->threads;
	o.workers = list;
	if (!j->workers || !list || r < 0 || crew_open(&j->crew, &o, e) < 0)
		r = -1;
	j->list = list;
	return r;
}

static int open_job(struct job *j, struct pm_err *e)
{
	struct pm_env env;

	if (pm_env_get(&env, e) < 0)
		return -1;
	j->share = env.share;
	env.share = NULL;
	pm_env_free(&env);
	j->lengths = pm_alloc(LENGTHS + 1, sizeof *j->lengths, e);
	if (!j->lengths || open_model(j, e) < 0)
		return -1;
	j->sample = (struct pm_sample_opts){.no_chat = &j->no_chat, .no_tokenizer = &j->no_tokenizer, .special = j->a->special, .parse_special = j->a->parse_special,
		.truncate = j->a->truncate, .pad = j->a->pad,
		.train_on = !strcmp(j->a->train_on, "all") ? PM_TRAIN_ALL : !strcmp(j->a->train_on, "last") ? PM_TRAIN_LAST : PM_TRAIN_ASSISTANT,
		.offsets = j->a->json && !j->a->show_mask, .tokenizer = j->tokenizer, .chat = j->chat, .eos_text = j->a->eos};
	j->sample.eos_completion = pm_opt_given(j->tool, "eos") ? j->a->eos : j->tokenizer && pm_tokenizer_eos(j->tokenizer) >= 0;
	if (open_workers(j, e) < 0)
		return -1;
	if (j->a->format && !strcmp(j->a->format, "plain"))
		return 0;
	return open_format(&j->format, j, j->a->format, e);
}

static void close_job(struct job *j)
{
	if (j->batch)
		drop(&j->batch->task);
	crew_close(j->crew);
	for (size_t i = 0; j->workers && i < j->threads; i++) {
		pm_sampler_free(j->workers[i].sampler);
		pm_format_free(j->workers[i].format);
		pm_str_free(&j->workers[i].w.buf);
		free(j->workers[i].lengths);
	}
	free(j->workers);
	free(j->list);
	pm_format_free(j->format);
	pm_template_close(j->chat);
	pm_tokenizer_close(j->tokenizer);
	free(j->share);
	free(j->lengths);
}

static int run(struct job *j, struct pm_err *e)
{
	int i, r = open_job(j, e);

	if (r == 0 && j->a->show_mask)
		r = open_output(j, e);
	pm_progress_begin(&j->progress, "tokenize", "record", 0, j->a->quiet);
	for (i = 0; r == 0 && i < j->npaths; i++)
		r = j->format ? job_records(j, j->paths[i], e) : job_plain(j, j->paths[i], e);
	if (r == 0)
		r = job_drain(j, r, e);
	pm_progress_end(&j->progress);
	if (r == 0)
		r = finish(j, e);
	if (j->open && j->a->show_mask)
		pm_out_abort(&j->text);
	else if (j->open)
		pm_stream_abort(&j->w);
	return r;
}

int tokenize_encode(const struct pm_tool *t, const struct tokenize_args *a, const char *const *paths, int n, struct pm_err *e)
{
	struct job j = {.a = a, .tool = t, .paths = paths, .npaths = n};
	int r = run(&j, e);

	close_job(&j);
	return r;
}
