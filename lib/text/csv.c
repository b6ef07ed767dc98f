#include "text/csv.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/unicode.h"

struct pm_csv {
	struct pm_input *in;
	char delimiter;
	int64_t line;                   /* lines read */
	struct pm_str text;             /* the fields of a record, one behind the other */
	size_t *ends, n, cap;
	json_t *names;
};

int pm_csv_new(struct pm_csv **out, struct pm_input *in, char delimiter, struct pm_err *e)
{
	struct pm_csv *c = pm_alloc(1, sizeof *c, e);

	*out = c;
	if (!c)
		return -1;
	c->in = in;
	c->delimiter = delimiter;
	return 0;
}

void pm_csv_free(struct pm_csv *c)
{
	if (!c)
		return;
	pm_str_free(&c->text);
	free(c->ends);
	json_decref(c->names);
	free(c);
}

static int end_field(struct pm_csv *c, struct pm_err *e)
{
	if (pm_grow(&c->ends, &c->cap, c->n + 1, sizeof *c->ends, e) < 0)
		return -1;
	c->ends[c->n++] = c->text.len;
	return 0;
}

/* A field in quotation marks, behind the first of them; it may go on for lines. *s and *n are what is left of the line. */
static int quoted(struct pm_csv *c, char **s, size_t *n, struct pm_err *e)
{
	int64_t from = c->line;
	char *mark;
	int r;

	for (;;) {
		mark = memchr(*s, '"', *n);
		if (pm_str_put(&c->text, *s, mark ? (size_t)(mark - *s) : *n, e) < 0)
			return -1;
		if (!mark) {
			r = pm_input_line(c->in, s, n, e);
			if (r <= 0)
				return r < 0 ? -1 : pm_fail(e, PM_DATA, "%s: line %lld: a field without its closing '\"'", pm_input_name(c->in), (long long)from);
			c->line++;
			continue;
		}
		*n -= (size_t)(mark + 1 - *s);
		*s = mark + 1;
		if (!*n || **s != '"')
			return 0;
		if (pm_str_put(&c->text, "\"", 1, e) < 0)       /* doubled: one of the field's own */
			return -1;
		++*s;
		--*n;
	}
}

/* The fields of the next line that is not empty: 1; 0: there is none. */
static int fields(struct pm_csv *c, int64_t *line, struct pm_err *e)
{
	size_t n, k;
	char *s;
	int r;

	pm_str_clear(&c->text);
	c->n = 0;
	do {
		r = pm_input_line(c->in, &s, &n, e);
		if (r <= 0)
			return r;
		c->line++;
	} while (n <= 2 && (s[0] == '\n' || (s[0] == '\r' && (n == 1 || s[1] == '\n'))));
	*line = c->line;
	for (;;) {
		if (n && *s == '"') {
			s++;
			n--;
			if (quoted(c, &s, &n, e) < 0)
				return -1;
		}
		for (k = 0; k < n && s[k] != c->delimiter && s[k] != '\n' && !(s[k] == '\r' && (k + 1 == n || s[k + 1] == '\n')); k++)
			;
		if (pm_str_put(&c->text, s, k, e) < 0 || end_field(c, e) < 0)
			return -1;
		if (k == n || s[k] != c->delimiter)
			return 1;
		s += k + 1;
		n -= k + 1;
	}
}

/* Field i as a string. */
static json_t *field(const struct pm_csv *c, size_t i)
{
	size_t from = i ? c->ends[i - 1] : 0;

	return json_stringn(c->text.data + from, c->ends[i] - from);
}

static int bad(const struct pm_csv *c, int64_t line, const char *what, struct pm_err *e)
{
	return pm_fail(e, PM_DATA, "%s: line %lld: %s", pm_input_name(c->in), (long long)line, what);
}

static int read_names(struct pm_csv *c, struct pm_err *e)
{
	json_t *seen = json_object(), *name;
	int64_t line = 1;
	size_t i;
	int r = fields(c, &line, e);

	c->names = json_array();
	for (i = 0; r > 0 && i < c->n; i++) {
		name = field(c, i);
		if (!name)
			r = bad(c, line, "is not UTF-8", e);
		else if (json_object_get(seen, json_string_value(name)))
			r = bad(c, line, "two columns have one name", e);
		else if (json_string_length(name) != strlen(json_string_value(name)))
			r = bad(c, line, "a name with a 0 byte", e);
		else if (json_object_set(seen, json_string_value(name), name) < 0 || json_array_append(c->names, name) < 0)
			r = pm_fail(e, PM_SOFTWARE, "out of memory");
		json_decref(name);
	}
	json_decref(seen);
	return r;
}

int pm_csv_next(struct pm_csv *c, json_t **record, int64_t *line, struct pm_err *e)
{
	json_t *v;
	size_t i;
	int r;

	*record = NULL;
	if (!c->names && (r = read_names(c, e)) <= 0)
		return r;
	r = fields(c, line, e);
	if (r <= 0)
		return r;
	if (c->n != json_array_size(c->names))
		return pm_fail(e, PM_DATA, "%s: line %lld: %zu fields, the line of names has %zu", pm_input_name(c->in), (long long)*line, c->n,
		    json_array_size(c->names));
	if (pm_utf8_valid(c->text.data ? c->text.data : "", c->text.len) != c->text.len)
		return bad(c, *line, "is not UTF-8", e);
	*record = json_object();
	for (i = 0; *record && i < c->n; i++) {
		v = field(c, i);
		if (!v || json_object_set_new(*record, json_string_value(json_array_get(c->names, i)), v) < 0) {
			json_decref(*record);
			*record = NULL;
			return bad(c, *line, "is not UTF-8", e);
		}
	}
	return *record ? 1 : pm_fail(e, PM_SOFTWARE, "out of memory");
}
