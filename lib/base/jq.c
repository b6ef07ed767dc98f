#include "base/jq.h"

#include <jq.h>
#include <dirent.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/kept.h"
#include "base/mem.h"

struct pm_jq {
	jq_state *jq;
	char *name;
	struct pm_str messages;         /* what the compiler said */
	struct pm_err dummy;
};

static void on_message(void *data, jv msg)
{
	struct pm_jq *q = data;
	jv s = jq_format_error(msg);

	if (jv_get_kind(s) == JV_KIND_STRING && !q->messages.len)
		pm_str_puts(&q->messages, jv_string_value(s), &q->dummy);
	jv_free(s);
}

/* The same (consumed) with numbers that are only their value: jq 1.7 keeps the digits that they were written with, and prints 2.0 for what is 2. */
static jv by_value(jv v)
{
	const jv_kind kind = jv_get_kind(v);
	jv r = v;
	int i, n;

	if (kind == JV_KIND_NUMBER) {
		r = jv_number(jv_number_value(v));
	} else if (kind == JV_KIND_ARRAY) {
		n = jv_array_length(jv_copy(v));
		r = jv_array_sized(n);
		for (i = 0; i < n; i++)
			r = jv_array_append(r, by_value(jv_array_get(jv_copy(v), i)));
	} else if (kind == JV_KIND_OBJECT) {
		r = jv_object();
		for (i = jv_object_iter(v); jv_object_iter_valid(v, i); i = jv_object_iter_next(v, i))
			r = jv_object_set(r, jv_object_iter_key(v, i), by_value(jv_object_iter_value(v, i)));
	} else {
		return v;
	}
	jv_free(v);
	return r;
}

static jv to_jv(const json_t *v, struct pm_err *e)
{
	struct pm_str s = {0};
	jv r = jv_invalid();

	if (pm_json_text(&s, v, e) == 0 && s.len <= INT_MAX)
		r = by_value(jv_parse_sized(s.data, (int)s.len));
	pm_str_free(&s);
	return r;
}

int pm_jq_new_in(struct pm_jq **out, const char *program, const char *name, const char *library, const json_t *args, struct pm_err *e)
{
	struct pm_jq *q = pm_alloc(1, sizeof *q, e);
	char *nl;
	jv vars;

	if (!q || !(q->name = pm_strdup(name, e)) || !(q->jq = jq_init())) {
		pm_jq_free(q);
		return q ? pm_fail(e, PM_SOFTWARE, "libjq does not start") : -1;
	}
	jq_set_error_cb(q->jq, on_message, q);
	if (library)
		jq_set_attr(q->jq, jv_string("JQ_LIBRARY_PATH"), jv_array_append(jv_array(), jv_string(library)));
	vars = args ? to_jv(args, e) : jv_object();
	if (jv_get_kind(vars) != JV_KIND_OBJECT) {
		jv_free(vars);
		pm_jq_free(q);
		return pm_fail(e, PM_SOFTWARE, "%s: its variables cannot be passed to jq", name);
	}
	if (!jq_compile_args(q->jq, program, vars)) {
		nl = q->messages.data ? strchr(q->messages.data, '\n') : NULL;
		if (nl)
			*nl = 0;
		pm_fail(e, PM_DATA, "%s: %s", name, q->messages.data ? q->messages.data : "not a jq program");
		pm_jq_free(q);
		return -1;
	}
	*out = q;
	return 0;
}

int pm_jq_new(struct pm_jq **out, const char *program, const char *name, const json_t *args, struct pm_err *e)
{
	return pm_jq_new_in(out, program, name, NULL, args, e);
}

int pm_jq_file(struct pm_jq **out, const char *path, const json_t *args, struct pm_err *e)
{
	struct pm_str s = {0};
	int r = pm_read_file(&s, path, e);

	if (r == 0)
		r = pm_jq_new(out, s.data, path, args, e);
	pm_str_free(&s);
	return r;
}

/* One result (consumed) to jansson, through its text: the kinds are the same. */
static int collect(json_t *list, jv v, const char *name, struct pm_err *e)
{
	jv text = jv_dump_string(by_value(v), 0);
	json_t *j = pm_json_parse(jv_string_value(text), (size_t)jv_string_length_bytes(jv_copy(text)), name, e);

	jv_free(text);
	if (!j || json_array_append_new(list, j) < 0)
		return j ? pm_fail(e, PM_SOFTWARE, "%s: out of memory", name) : -1;
	return 0;
}

/* jq takes less than JSON may be: values 256 deep, and 2^31 bytes of text. v, consumed, is what its reader gave. */
static int not_taken(jv v, const char *name, struct pm_err *e)
{
	jv msg = jv_invalid_get_msg(v);
	const char *why = jv_get_kind(msg) == JV_KIND_STRING ? jv_string_value(msg) : "too long", *rest = strstr(why, " (while parsing");

	pm_fail(e, PM_DATA, "%s: jq cannot read its input: %.*s", name, rest ? (int)(rest - why) : 200, why);
	jv_free(msg);
	return -1;
}

int pm_jq_run(struct pm_jq *q, const json_t *in, json_t **out, struct pm_err *e)
{
	json_t *list = json_array();
	jv v = to_jv(in, e);
	int r = 0;

	*out = NULL;
	if (!list || !jv_is_valid(v)) {
		json_decref(list);
		return not_taken(v, q->name, e);
	}
	jq_start(q->jq, v, 0);
	while (r == 0 && jv_is_valid(v = jq_next(q->jq))) {
		r = collect(list, v, q->name, e);
		v = jv_invalid();
	}
	if (r == 0 && jq_halted(q->jq))
		r = pm_fail(e, PM_DATA, "%s: the program halted", q->name);
	if (r == 0 && jv_invalid_has_msg(jv_copy(v))) {
		jv msg = jv_invalid_get_msg(jv_copy(v));

		if (jv_get_kind(msg) != JV_KIND_STRING)
			msg = jv_dump_string(msg, 0);
		r = pm_fail(e, PM_DATA, "%s: %s", q->name, jv_string_value(msg));
		jv_free(msg);
	}
	jv_free(v);
	if (r < 0)
		json_decref(list);
	else
		*out = list;
	return r;
}

void pm_jq_free(struct pm_jq *q)
{
	if (!q)
		return;
	if (q->jq)
		jq_teardown(&q->jq);
	pm_str_free(&q->messages);
	free(q->name);
	free(q);
}

/* ---- once, and kept ---- */

#define KIND "jq"
#define VERSION 2

static int is_program(const struct dirent *f)
{
	size_t n = strlen(f->d_name);

	return n > 3 && !strcmp(f->d_name + n - 3, ".jq");
}

/* Every module goes in: which of them the program includes is known to its compiler only. */
static int hash_modules(struct pm_sha256 *h, const char *dir, struct pm_err *e)
{
	struct dirent **files = NULL;
	int i, n = scandir(dir, &files, is_program, alphasort), r = 0;

	for (i = 0; i < n; i++) {
		struct pm_str text = {0};
		char *path = pm_path(dir, files[i]->d_name, e);

		if (r == 0)
			r = path ? pm_read_file(&text, path, e) : -1;
		pm_sha256_put(h, files[i]->d_name, strlen(files[i]->d_name) + 1);
		if (text.data)
			pm_sha256_put(h, text.data, text.len + 1);
		pm_str_free(&text);
		free(path);
		free(files[i]);
	}
	free(files);
	return r;
}

static int key_of(char hex[PM_SHA256_HEX], const struct pm_str *program, const char *library, const json_t *in, struct pm_err *e)
{
	struct pm_sha256 h = {0};
	struct pm_str text = {0};
	int r = pm_json_text(&text, in, e);

	if (r == 0)
		r = pm_sha256_begin(&h, e);
	if (r == 0 && program->data)
		pm_sha256_put(&h, program->data, program->len + 1);
	if (r == 0 && library)
		r = hash_modules(&h, library, e);
	if (r == 0) {
		pm_sha256_put(&h, text.data, text.len);
		pm_sha256_end(&h, hex);
	} else {
		pm_sha256_drop(&h);
	}
	pm_str_free(&text);
	return r;
}

static int compile_and_run(json_t **out, const struct pm_str *program, const char *name, const char *library, const json_t *in, struct pm_err *e)
{
	struct pm_jq *q = NULL;
	int r = pm_jq_new_in(&q, program->data ? program->data : "", name, library, NULL, e);

	if (r == 0)
		r = pm_jq_run(q, in, out, e);
	pm_jq_free(q);
	return r;
}

int pm_jq_once(json_t **out, const char *path, const char *name, const char *library, const json_t *in, const char *cache, struct pm_err *e)
{
	struct pm_str program = {0}, text = {0};
	char hex[PM_SHA256_HEX];
	struct pm_err ignored;
	struct pm_kept k;
	int r = pm_read_file(&program, path, e);

	*out = NULL;
	if (r == 0 && cache && (r = key_of(hex, &program, library, in, e)) == 0 && pm_kept_open(&k, cache, hex, KIND, VERSION) == 0) {
		*out = pm_json_parse((const char *)k.data, k.n, name, &ignored);
		pm_kept_close(&k);
	}
	if (r == 0 && !*out) {
		r = compile_and_run(out, &program, name, library, in, e);
		if (r == 0 && cache && pm_json_text(&text, *out, &ignored) == 0)
			pm_kept_write(cache, hex, KIND, VERSION, text.data, text.len);
	}
	pm_str_free(&program);
	pm_str_free(&text);
	return r;
}
