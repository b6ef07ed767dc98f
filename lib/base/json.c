#include "base/json.h"

#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"

/* Whether the digits of a whole number name one that no int64 holds. */
static bool too_long(const char *digits, size_t n, bool negative)
{
	return n > 19 || (n == 19 && memcmp(digits, negative ? "9223372036854775808" : "9223372036854775807", 19) > 0);
}

/* Copies the text with ".0" behind every whole number that no int64 holds, so that it is read as a real: published tokenizer
 * files say "model_max_length": 1000000000000000019884624838656. */
static int widen(struct pm_str *out, const char *text, size_t n, struct pm_err *e)
{
	bool in_string = false, whole;
	size_t i = 0, from = 0, start;

	while (i < n) {
		if (in_string || !isdigit((unsigned char)text[i])) {
			in_string ^= text[i] == '"';
			i += in_string && text[i] == '\\' ? 2 : 1;
			continue;
		}
		for (start = i; i < n && isdigit((unsigned char)text[i]); i++)
			;
		whole = i == n || (text[i] != '.' && text[i] != 'e' && text[i] != 'E');
		if (whole && too_long(text + start, i - start, start > 0 && text[start - 1] == '-')) {
			if (pm_str_put(out, text + from, i - from, e) < 0 || pm_str_puts(out, ".0", e) < 0)
				return -1;
			from = i;
		}
		while (i < n && (isalnum((unsigned char)text[i]) || text[i] == '.' || text[i] == '+' || text[i] == '-'))
			i++;
	}
	return pm_str_put(out, text + from, n - from, e);
}

json_t *pm_json_line(const char *text, size_t n, const char *name, int64_t line, struct pm_err *e)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
	struct pm_str wide = {0};
	json_error_t je;
	json_t *v = json_loadb(text ? text : "", n, flags, &je);

	if (!v && json_error_code(&je) == json_error_numeric_overflow) {
		if (widen(&wide, text, n, e) < 0) {
			pm_str_free(&wide);
			return NULL;
		}
		v = json_loadb(wide.data, wide.len, flags, &je);
		pm_str_free(&wide);
	}
	if (!v)
		pm_fail(e, PM_DATA, "%s: line %lld, column %d: %s", name, (long long)(line + je.line - 1), je.column, je.text);
	return v;
}

json_t *pm_json_parse(const char *text, size_t n, const char *name, struct pm_err *e)
{
	return pm_json_line(text, n, name, 1, e);
}

json_t *pm_json_file(const char *path, struct pm_err *e)
{
	struct pm_str s = {0};
	json_t *v = NULL;

	if (pm_read_file(&s, path, e) == 0)
		v = pm_json_parse(s.data, s.len, path, e);
	pm_str_free(&s);
	return v;
}

int pm_json_text(struct pm_str *out, const json_t *v, struct pm_err *e)
{
	char *s = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(17));
	int r;

	if (!s)
		return pm_fail(e, PM_SOFTWARE, "a JSON value cannot be written");
	r = pm_str_puts(out, s, e);
	free(s);
	return r;
}

static const json_t *member(const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);

	return v && !json_is_null(v) ? v : NULL;
}

int pm_json_to_int(int64_t *out, const json_t *v)
{
	double d;

	if (json_is_integer(v)) {
		*out = json_integer_value(v);
		return 0;
	}
	if (!json_is_real(v))
		return -1;
	d = json_real_value(v);
	if (d != floor(d) || fabs(d) > 9007199254740992.0)
		return -1;
	*out = (int64_t)d;
	return 0;
}

int pm_json_int(int64_t *out, const json_t *o, const char *key, struct pm_err *e)
{
	const json_t *v = member(o, key);

	if (!v)
		return 1;
	return pm_json_to_int(out, v) < 0 ? pm_fail(e, PM_DATA, "'%s': an integer was wanted", key) : 0;
}

int pm_json_real(double *out, const json_t *o, const char *key, struct pm_err *e)
{
	const json_t *v = member(o, key);

	if (!v)
		return 1;
	if (!json_is_number(v))
		return pm_fail(e, PM_DATA, "'%s': a number was wanted", key);
	*out = json_number_value(v);
	return 0;
}

int pm_json_bool(bool *out, const json_t *o, const char *key, struct pm_err *e)
{
	const json_t *v = member(o, key);

	if (!v)
		return 1;
	if (!json_is_boolean(v))
		return pm_fail(e, PM_DATA, "'%s': true or false was wanted", key);
	*out = json_is_true(v);
	return 0;
}

int pm_json_str(const char **out, const json_t *o, const char *key, struct pm_err *e)
{
	const json_t *v = member(o, key);

	if (!v)
		return 1;
	if (!json_is_string(v))
		return pm_fail(e, PM_DATA, "'%s': a string was wanted", key);
	*out = json_string_value(v);
	return 0;
}

/* With as few digits as read back as the same numbers: 15 nearly always, 17 always. */
static char *file_text(const json_t *v)
{
	char *text = json_dumps(v, JSON_INDENT(2) | JSON_REAL_PRECISION(15));
	json_t *back = text ? json_loads(text, 0, NULL) : NULL;
	bool same = back && json_equal(back, v);

	json_decref(back);
	if (same || !text)
		return text;
	free(text);
	return json_dumps(v, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
}

int pm_json_save(const char *path, const json_t *v, struct pm_err *e)
{
	char *text = file_text(v);
	struct pm_out o;
	int r = text ? pm_out_open(&o, path, e) : pm_fail(e, PM_SOFTWARE, "%s: it cannot be written as JSON", path);

	if (r == 0 && pm_out_write(&o, text, strlen(text), e) == 0 && pm_out_write(&o, "\n", 1, e) == 0) {
		r = pm_out_close(&o, e);
	} else if (r == 0) {
		pm_out_abort(&o);
		r = -1;
	}
	free(text);
	return r;
}
