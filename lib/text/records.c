#include "text/records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/jq.h"
#include "base/mem.h"

struct pm_records {
	char *path;
	FILE *f;
	bool started, array, first, stuck;
	int64_t line;           /* lines read, or the line of `at` in an array */
	char *buf;              /* a line */
	size_t cap;
	struct pm_str text;     /* an array: the whole file */
	size_t at;
};

int pm_records_open(struct pm_records **out, const char *path, struct pm_err *e)
{
	struct pm_records *r = pm_alloc(1, sizeof *r, e);

	*out = NULL;
	if (!r || !(r->path = pm_strdup(path, e))) {
		free(r);
		return -1;
	}
	r->f = strcmp(path, "-") ? fopen(path, "rbe") : stdin;
	if (!r->f) {
		pm_fail_errno(e, PM_NOINPUT, "%s", path);
		pm_records_close(r);
		return -1;
	}
	*out = r;
	return 0;
}

const char *pm_records_name(const struct pm_records *r)
{
	return strcmp(r->path, "-") ? r->path : "standard input";
}

bool pm_records_stuck(const struct pm_records *r)
{
	return r->stuck;
}

/* Moves to the next byte that is no white space; −1 at the end. */
static int array_peek(struct pm_records *r)
{
	for (; r->at < r->text.len; r->at++) {
		unsigned char c = (unsigned char)r->text.data[r->at];

		r->line += c == '\n';
		if (c != '\n' && c != ' ' && c != '\t' && c != '\r')
			return c;
	}
	return -1;
}

static int array_bad(struct pm_records *r, const char *wanted, struct pm_err *e)
{
	r->stuck = true;
	return pm_fail(e, PM_DATA, "%s: line %lld: %s was wanted", pm_records_name(r), (long long)r->line, wanted);
}

static int array_next(struct pm_records *r, json_t **record, int64_t *line, struct pm_err *e)
{
	int c = array_peek(r);
	json_error_t je;
	size_t end;

	if (r->first) {
		r->first = false;
		r->at += c == ']';
	} else if (c == ',') {
		r->at++;
		c = array_peek(r);
	} else if (c == ']') {
		r->at++;
	} else {
		return array_bad(r, "',' or ']'", e);
	}
	if (c == ']') {
		r->stuck = true;
		return array_peek(r) < 0 ? 0 : array_bad(r, "the end of the file after the array", e);
	}
	if (c < 0)
		return array_bad(r, "a record or ']'", e);
	*line = r->line;
	*record = json_loadb(r->text.data + r->at, r->text.len - r->at, JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL | JSON_DISABLE_EOF_CHECK, &je);
	if (!*record) {
		r->stuck = true;
		return pm_fail(e, PM_DATA, "%s: line %lld, column %d: %s", pm_records_name(r), (long long)(r->line + je.line - 1), je.column, je.text);
	}
	for (end = r->at + (size_t)je.position; r->at < end; r->at++)
		r->line += r->text.data[r->at] == '\n';
	return 1;
}

/* Decides between lines and an array by the first byte that is no white space. */
static int start(struct pm_records *r, struct pm_err *e)
{
	int c;

	r->started = true;
	c = getc(r->f);
	if (c == 0xef) {        /* a byte order mark is let pass; JSON lets nothing else begin like this */
		if (getc(r->f) != 0xbb || getc(r->f) != 0xbf) {
			r->stuck = true;
			return pm_fail(e, PM_DATA, "%s: line 1: JSON records were wanted", pm_records_name(r));
		}
	} else if (c != EOF) {
		ungetc(c, r->f);
	}
	while ((c = getc(r->f)) == '\n' || c == ' ' || c == '\t' || c == '\r')
		r->line += c == '\n';
	if (c == EOF)
		return ferror(r->f) ? pm_fail_errno(e, PM_IOERR, "%s", pm_records_name(r)) : 0;
	if (c != '[' && c != '{') {
		r->stuck = true;
		return pm_fail(e, PM_DATA, "%s: line %lld: JSON records were wanted (for plain text: --format plain)", pm_records_name(r),
		    (long long)r->line + 1);
	}
	if (c == '{')
		return ungetc(c, r->f) == EOF ? pm_fail(e, PM_SOFTWARE, "%s: ungetc", pm_records_name(r)) : 0;
	r->array = r->first = true;
	r->line++;
	r->at = 1;
	return pm_str_puts(&r->text, "[", e) < 0 ? -1 : pm_read_stream(&r->text, r->f, pm_records_name(r), e);
}

int pm_records_next(struct pm_records *r, json_t **record, int64_t *line, struct pm_err *e)
{
	ssize_t n;

	*record = NULL;
	if (r->stuck)
		return 0;
	if (!r->started && start(r, e) < 0)
		return -1;
	if (r->array)
		return array_next(r, record, line, e);
	do {
		n = getline(&r->buf, &r->cap, r->f);
		if (n < 0)
			return ferror(r->f) ? pm_fail_errno(e, PM_IOERR, "%s", pm_records_name(r)) : 0;
		r->line++;
	} while (strspn(r->buf, " \t\r\n") == (size_t)n);
	*line = r->line;
	*record = pm_json_line(r->buf, (size_t)n, pm_records_name(r), r->line, e);
	return *record ? 1 : -1;
}

void pm_records_close(struct pm_records *r)
{
	if (!r)
		return;
	if (r->f && r->f != stdin)
		fclose(r->f);
	free(r->path);
	free(r->buf);
	pm_str_free(&r->text);
	free(r);
}

struct pm_format {
	char *share, *name;
	bool named;             /* by the caller, not found by keys */
	struct pm_jq *map, *detect, *program;
};

/* Loads the program of f->name; "ids" needs none. */
static int load(struct pm_format *f, struct pm_err *e)
{
	char *dir = pm_path(f->share, "format", e), *path = NULL, file[80];
	int r = -1;

	snprintf(file, sizeof file, "%s.jq", f->name);
	if (!dir || !(path = pm_path(dir, file, e)))
		goto out;
	if (strlen(f->name) > 64 || strchr(f->name, '/') || !pm_exists(path))
		pm_fail(e, PM_USAGE, "--format: '%s' is no format (there is no %s/%s.jq)", f->name, dir, f->name);
	else
		r = pm_jq_file(&f->program, path, NULL, e);
out:
	free(dir);
	free(path);
	return r;
}

int pm_format_new(struct pm_format **out, const char *share, const char *name, const char *map, struct pm_err *e)
{
	struct pm_format *f = pm_alloc(1, sizeof *f, e);
	char *path = NULL;

	*out = NULL;
	if (!f || !(f->share = pm_strdup(share, e)))
		goto fail;
	if (map && pm_jq_new(&f->map, map, "--map", NULL, e) < 0) {
		e->status = PM_USAGE;
		goto fail;
	}
	f->named = name != NULL;
	if (name && (!(f->name = pm_strdup(name, e)) || (strcmp(name, "ids") != 0 && load(f, e) < 0)))
		goto fail;
	if (!name && (!(path = pm_path(share, "detect.jq", e)) || pm_jq_file(&f->detect, path, NULL, e) < 0))
		goto fail;
	free(path);
	*out = f;
	return 0;
fail:
	free(path);
	pm_format_free(f);
	return -1;
}

static int detect(struct pm_format *f, const json_t *record, struct pm_err *e)
{
	json_t *list;
	const char *word;
	int r = -1;

	if (pm_jq_run(f->detect, record, &list, e) < 0)
		return -1;
	word = json_string_value(json_array_get(list, 0));
	if (!word)
		pm_fail(e, PM_CONFIG, "%s/detect.jq gives no name", f->share);
	else if ((f->name = pm_strdup(word, e)))
		r = strcmp(word, "ids") ? load(f, e) : 0;
	json_decref(list);
	return r;
}

/* One record (after the map) to its normal forms, appended to `list`. */
static int normal(struct pm_format *f, json_t *record, json_t *list, struct pm_err *e)
{
	json_t *got;
	int r;

	if (!f->name && detect(f, record, e) < 0) {
		pm_format_forget(f);
		return -1;
	}
	if (!f->program)
		return json_array_append(list, record) < 0 ? pm_fail(e, PM_SOFTWARE, "out of memory") : 0;
	if (pm_jq_run(f->program, record, &got, e) < 0)
		return -1;
	r = json_array_extend(list, got) < 0 ? pm_fail(e, PM_SOFTWARE, "out of memory") : 0;
	json_decref(got);
	return r;
}

int pm_format_apply(struct pm_format *f, const json_t *record, json_t **list, struct pm_err *e)
{
	json_t *mapped = NULL;
	size_t i;
	int r = 0;

	*list = json_array();
	if (!*list)
		return pm_fail(e, PM_SOFTWARE, "out of memory");
	if (f->map)
		r = pm_jq_run(f->map, record, &mapped, e);
	else
		r = normal(f, (json_t *)(size_t)record, *list, e);
	for (i = 0; r == 0 && i < json_array_size(mapped); i++)
		r = normal(f, json_array_get(mapped, i), *list, e);
	json_decref(mapped);
	if (r < 0) {
		json_decref(*list);
		*list = NULL;
	}
	return r;
}

const char *pm_format_name(const struct pm_format *f)
{
	return f->name;
}

void pm_format_forget(struct pm_format *f)
{
	if (f->named)
		return;
	pm_jq_free(f->program);
	f->program = NULL;
	free(f->name);
	f->name = NULL;
}

void pm_format_free(struct pm_format *f)
{
	if (!f)
		return;
	pm_jq_free(f->map);
	pm_jq_free(f->detect);
	pm_jq_free(f->program);
	free(f->share);
	free(f->name);
	free(f);
}
