#include "text/records.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/jq.h"
#include "base/mem.h"
#include "io/input.h"
#include "text/csv.h"

struct pm_records {
	struct pm_input *in;
	struct pm_csv *csv;
	bool started, array, first, stuck, table;
	int64_t line;           /* lines read, or the line of `at` in an array */
	struct pm_str text;     /* an array: the whole file */
	size_t at;
};

/* Whether a name is that of a table: NAME.csv or .tsv, packed or not; the delimiter, or 0. */
static char table_of(const char *path)
{
	static const char *const packed[] = {".gz", ".bz2", ".xz", ".zst", ".lz4"};
	size_t n = strlen(path), i, k;

	for (i = 0; i < sizeof packed / sizeof *packed; i++) {
		k = strlen(packed[i]);
		if (n > k && !strcmp(path + n - k, packed[i])) {
			n -= k;
			break;
		}
	}
	return n > 4 && !memcmp(path + n - 4, ".csv", 4) ? ',' : n > 4 && !memcmp(path + n - 4, ".tsv", 4) ? '\t' : 0;
}

int pm_records_open(struct pm_records **out, const char *path, struct pm_err *e)
{
	struct pm_records *r = pm_alloc(1, sizeof *r, e);
	char delimiter = table_of(path);

	*out = NULL;
	if (!r)
		return -1;
	if (pm_input_open(&r->in, path, e) < 0 || (delimiter && pm_csv_new(&r->csv, r->in, delimiter, e) < 0)) {
		pm_records_close(r);
		return -1;
	}
	*out = r;
	return 0;
}

void pm_records_expect_table(struct pm_records *r)
{
	r->table = true;
}

const char *pm_records_name(const struct pm_records *r)
{
	return pm_input_name(r->in);
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
		r->at++;                /* its '[' */
		c = array_peek(r);
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

/* Skips a byte order mark; JSON lets nothing else begin like one. */
static int skip_mark(struct pm_records *r, struct pm_err *e)
{
	static const unsigned char mark[3] = {0xef, 0xbb, 0xbf};
	int c = pm_input_peek(r->in, e), i;

	for (i = 0; c == mark[0] || (i && i < 3); i++) {
		if (c != mark[i]) {
			r->stuck = true;
			return c == -2 ? -1 : pm_fail(e, PM_DATA, "%s: line 1: JSON records were wanted", pm_records_name(r));
		}
		pm_input_skip(r->in);
		if (i == 2)
			break;
		c = pm_input_peek(r->in, e);
	}
	return 0;
}

/* Decides between lines, an array and a table by the first byte that is no white space. */
static int start(struct pm_records *r, struct pm_err *e)
{
	int c;

	r->started = true;
	if (skip_mark(r, e) < 0)
		return -1;
	if (r->csv)
		return 0;
	while ((c = pm_input_peek(r->in, e)) == '\n' || c == ' ' || c == '\t' || c == '\r') {
		r->line += c == '\n';
		pm_input_skip(r->in);
	}
	if (c < 0)
		return c == -2 ? -1 : 0;
	if (c == '{')
		return 0;
	if (c != '[' && r->table)
		return pm_csv_new(&r->csv, r->in, ',', e);
	if (c != '[') {
		r->stuck = true;
		return pm_fail(e, PM_DATA, "%s: line %lld: JSON records were wanted (for plain text: --format plain)", pm_records_name(r),
		    (long long)r->line + 1);
	}
	r->array = r->first = true;
	r->line++;
	return pm_input_rest(r->in, &r->text, e);
}

int pm_records_next(struct pm_records *r, json_t **record, int64_t *line, struct pm_err *e)
{
	size_t n, i;
	char *s;
	int k;

	*record = NULL;
	if (r->stuck)
		return 0;
	k = r->started ? 0 : start(r, e);
	if (k == 0 && r->array)
		return array_next(r, record, line, e);
	if (k == 0 && r->csv)
		k = pm_csv_next(r->csv, record, line, e);
	while (k == 0 && !r->csv && (k = pm_input_line(r->in, &s, &n, e)) > 0) {
		r->line++;
		for (i = 0; i < n && (s[i] == ' ' || s[i] == '\t' || s[i] == '\r' || s[i] == '\n'); i++)
			;
		if (i == n) {
			k = 0;
			continue;
		}
		*line = r->line;
		*record = pm_json_line(s, n, pm_records_name(r), r->line, e);
		return *record ? 1 : -1;
	}
	/* what cannot be read is the end, unless it was only a line of a table */
	r->stuck |= k < 0 && (!r->csv || !strstr(e->text, ": line "));
	return k;
}

void pm_records_close(struct pm_records *r)
{
	if (!r)
		return;
	pm_csv_free(r->csv);
	pm_input_close(r->in);
	pm_str_free(&r->text);
	free(r);
}

struct pm_format {
	char *share, *name;
	bool named;             /* by the caller, not found by keys */
	struct pm_jq *map, *detect, *program;
	struct column {
		char *name, *from;
	} *columns;
	size_t ncolumns, cap_columns;
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

int pm_format_columns(struct pm_format *f, const char *columns, struct pm_err *e)
{
	const char *p = columns;
	size_t n, k;
	struct column *c;

	do {
		n = strcspn(p, ",");
		k = strcspn(p, "=");
		if (k == 0 || k + 1 >= n)
			return pm_fail(e, PM_USAGE, "--columns: '%s', a list like prompt=question,completion=answer was wanted", columns);
		if (pm_grow(&f->columns, &f->cap_columns, f->ncolumns + 1, sizeof *f->columns, e) < 0)
			return -1;
		c = &f->columns[f->ncolumns++];
		c->name = pm_strndup(p, k, e);
		c->from = pm_strndup(p + k + 1, n - k - 1, e);
		if (!c->name || !c->from)
			return -1;
		p += n + (p[n] == ',');
	} while (*p);
	return 0;
}

/* A record's value under a key, or along keys with points between them. */
static json_t *value_at(const json_t *record, const char *key)
{
	json_t *v = json_object_get(record, key);
	const char *dot = strchr(key, '.');
	char part[200];

	if (v || !dot || (size_t)(dot - key) >= sizeof part)
		return v;
	memcpy(part, key, (size_t)(dot - key));
	part[dot - key] = 0;
	return value_at(json_object_get(record, part), dot + 1);
}

static int name_columns(const struct pm_format *f, const json_t *record, json_t **out, struct pm_err *e)
{
	json_t *v;
	size_t i;

	*out = json_object();
	for (i = 0; *out && i < f->ncolumns; i++) {
		v = value_at(record, f->columns[i].from);
		if (v && json_object_set(*out, f->columns[i].name, v) < 0)
			break;
	}
	if (!*out || i < f->ncolumns)
		return pm_fail(e, PM_SOFTWARE, "out of memory");
	return json_object_size(*out) ? 0 : pm_fail(e, PM_DATA, "it has none of the columns (%s …)", f->columns[0].from);
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

/* Whether messages need no program: nothing in them is called otherwise than in the normal form. */
static bool normal_messages(const json_t *list)
{
	const json_t *m, *content;
	size_t i, k;

	if (!json_is_array(list))
		return false;
	for (i = 0; i < json_array_size(list); i++) {
		m = json_array_get(list, i);
		content = json_object_get(m, "content");
		if (!json_is_object(m) || json_object_get(m, "loss_weight") || json_object_get(m, "train"))
			return false;
		for (k = 0; k < json_array_size(content); k++)
			if (!json_is_object(json_array_get(content, k)) || json_object_get(json_array_get(content, k), "value"))
				return false;
	}
	return true;
}

/* A record of format messages that is in normal form already is passed on as it is: jq knows numbers only as doubles, and templates tell 1 from
 * 1.0. 1; 0: it has to go through the program. */
static int as_it_is(const struct pm_format *f, const json_t *record, json_t *list, struct pm_err *e)
{
	static const char *const keys[] = {"messages", "tools", "documents", "chat_template_kwargs"};
	json_t *tools = json_object_get(record, "tools"), *v, *o;
	size_t i;

	if (strcmp(f->name, "messages") != 0 || !normal_messages(json_object_get(record, "messages")) ||
	    (tools && !json_is_null(tools) && !json_is_array(tools)))
		return 0;
	o = json_object();
	for (i = 0; i < sizeof keys / sizeof *keys; i++) {
		v = json_object_get(record, keys[i]);
		if (v && !json_is_null(v) && (i == 0 || !json_is_array(v) || json_array_size(v)))
			json_object_set(o, keys[i], v);
	}
	return json_array_append_new(list, o) < 0 ? pm_fail(e, PM_SOFTWARE, "out of memory") : 1;
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
	r = as_it_is(f, record, list, e);
	if (r != 0)
		return r < 0 ? -1 : 0;
	if (pm_jq_run(f->program, record, &got, e) < 0)
		return -1;
	r = json_array_extend(list, got) < 0 ? pm_fail(e, PM_SOFTWARE, "out of memory") : 0;
	json_decref(got);
	return r;
}

int pm_format_apply(struct pm_format *f, const json_t *record, json_t **list, struct pm_err *e)
{
	json_t *mapped = NULL, *named = NULL;
	size_t i;
	int r = 0;

	*list = json_array();
	if (!*list)
		return pm_fail(e, PM_SOFTWARE, "out of memory");
	if (f->ncolumns) {
		r = name_columns(f, record, &named, e);
		record = named;
	}
	if (r == 0 && f->map)
		r = pm_jq_run(f->map, record, &mapped, e);
	else if (r == 0)
		r = normal(f, (json_t *)(size_t)record, *list, e);
	for (i = 0; r == 0 && i < json_array_size(mapped); i++)
		r = normal(f, json_array_get(mapped, i), *list, e);
	json_decref(mapped);
	json_decref(named);
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
	size_t i;

	if (!f)
		return;
	for (i = 0; i < f->ncolumns; i++) {
		free(f->columns[i].name);
		free(f->columns[i].from);
	}
	free(f->columns);
	pm_jq_free(f->map);
	pm_jq_free(f->detect);
	pm_jq_free(f->program);
	free(f->share);
	free(f->name);
	free(f);
}
