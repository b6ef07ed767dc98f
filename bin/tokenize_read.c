/* pm-tokenize: the input in batches. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bin/tokenize_job.h"
#include "io/input.h"

/* Gives the batch at hand away. */
static int give(struct job *j, struct pm_err *e)
{
	struct batch *b = j->batch;

	j->batch = NULL;
	if (!b || crew_put(j->crew, &b->task, e) == 0)
		return 0;
	j->failed = true;
	return -1;
}

enum { BATCH_BYTES = 1 << 18, BATCH_ITEMS = 512 };

/* Adds an item of about so many bytes. */
static int add(struct job *j, const char *name, const char *format, const struct item *x, size_t bytes, struct pm_err *e)
{
	struct batch *b = j->batch;

	if (b && format && strcmp(b->format, format) != 0) {
		if (give(j, e) < 0)
			return -1;
		b = NULL;
	}
	if (!b) {
		b = j->batch = pm_alloc(1, sizeof *b, e);
		if (!b)
			return -1;
		b->name = name;
		if (format && !(b->format = pm_strdup(format, e)))
			return -1;
	}
	if (pm_grow(&b->items, &b->cap, b->n + 1, sizeof *b->items, e) < 0)
		return -1;
	b->items[b->n++] = *x;
	b->task.bytes += bytes;
	return b->task.bytes >= BATCH_BYTES || b->n == BATCH_ITEMS ? give(j, e) : 0;
}

/* About how many bytes a value takes. */
static size_t bytes_of(const json_t *v)
{
	const char *key;
	json_t *x;
	size_t i, n = 32;

	if (json_is_string(v))
		return n + json_string_length(v);
	json_array_foreach(v, i, x)
		n += bytes_of(x);
	json_object_foreach((json_t *)(size_t)v, key, x)
		n += 32 + bytes_of(x);
	return n;
}

/* The records of a file show their format when one comes that has one. */
static int know_format(struct job *j, const char *name, const json_t *record, int64_t line, struct pm_err *e)
{
	json_t *list;

	if (pm_format_name(j->format))
		return 0;
	if (pm_format_apply(j->format, record, &list, e) < 0 && !pm_format_name(j->format))
		return e->status == PM_DATA ? pm_ctx(e, "%s: line %lld", name, (long long)line) : -1;
	json_decref(list);
	if (pm_format_name(j->format) && !j->a->quiet)
		pm_say(j->tool, "%s: format %s", name, pm_format_name(j->format));
	return 0;
}

/* A record, or the failure to read one. */
static int add_record(struct job *j, struct pm_records *in, const char *path, json_t *record, int64_t line, int r, struct pm_err *e)
{
	const char *name = strcmp(path, "-") ? path : "standard input", *format;
	struct item x = {.record = record, .line = line};

	if (r > 0 && know_format(j, name, record, line, e) < 0)
		r = -1;
	if (r < 0) {
		if (pm_records_stuck(in) || e->status != PM_DATA || !(x.err = pm_alloc(1, sizeof *x.err, e)))
			goto fail;
		*x.err = *e;
	}
	/* a map may have left nothing, so that the format is still not known: the record is gone */
	format = pm_format_name(j->format);
	if (!format && r > 0) {
		json_decref(record);
		return 0;
	}
	if (add(j, name, format ? format : "text", &x, record ? bytes_of(record) : sizeof *x.err, e) == 0)
		return 0;
	return -1;
fail:
	json_decref(record);
	return -1;
}

/* The end of a file: its name and its texts are not needed any more. */
int job_drain(struct job *j, int r, struct pm_err *e)
{
	struct pm_err first;

	if (j->failed)
		return -1;
	if (give(j, r < 0 ? &first : e) < 0 || crew_drain(j->crew, r < 0 ? &first : e) < 0) {
		if (r < 0)
			*e = first;             /* what was read before failed before */
		return -1;
	}
	return r;
}

int job_records(struct job *j, const char *path, struct pm_err *e)
{
	struct pm_records *in;
	json_t *record;
	int64_t line = 0;
	int r;

	if (pm_records_open(&in, path, e) < 0)
		return -1;
	if (j->a->columns)
		pm_records_expect_table(in);
	pm_format_forget(j->format);
	while ((r = pm_records_next(in, &record, &line, e)) != 0) {
		if (add_record(j, in, path, record, line, r, e) < 0) {
			r = -1;
			break;
		}
		pm_progress_at(&j->progress, ++j->records, NULL);
	}
	pm_records_close(in);
	return job_drain(j, r, e);
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

/* Paragraphs are items of a text that lasts until they are done; a whole file is one batch that owns it. */
static int do_paragraphs(struct job *j, const struct pm_str *s, const char *name, struct pm_err *e)
{
	size_t at = 0, end, n;
	int64_t line = 1;
	int r = 0;

	while (r == 0 && at < s->len) {
		if ((n = empty_lines(s->data + at, &line)) > 0) {
			at += n;
			continue;
		}
		end = paragraph_end(s, at);
		for (n = end; n > at && (s->data[n - 1] == '\n' || s->data[n - 1] == '\r'); n--)
			;
		r = add(j, name, NULL, &(struct item){.text = s->data + at, .n = n - at, .line = line}, n - at, e);
		for (; at < end; at++)
			line += s->data[at] == '\n';
		pm_progress_at(&j->progress, ++j->records, NULL);
	}
	return job_drain(j, r, e);
}

int job_plain(struct job *j, const char *path, struct pm_err *e)
{
	const char *name = strcmp(path, "-") ? path : "standard input";
	struct batch *b;
	struct pm_str s = {0};
	int r = pm_input_read(&s, path, e);

	if (r == 0 && j->a->paragraphs) {
		r = do_paragraphs(j, &s, name, e);
	} else if (r == 0 && s.len) {
		r = add(j, name, NULL, &(struct item){.text = s.data, .n = s.len, .line = 1}, 0, e);
		if (r == 0) {
			b = j->batch;
			b->own = s;
			b->task.bytes = s.cap;
			memset(&s, 0, sizeof s);
			r = give(j, e);
		}
		pm_progress_at(&j->progress, ++j->records, NULL);
	}
	pm_str_free(&s);
	return r;
}

