/* gguf_parse.c: a key's value from text: "u32:5", "str:a name", "f32[]:[0.5,1]". */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/gguf.h"
#include "io/gguf_bytes.h"

static bool is_real_type(enum pm_gguf_type t)
{
	return t == PM_GGUF_F32 || t == PM_GGUF_F64;
}

/* The 8 bytes of an unsigned number that int64 does not hold. */
static int put_u64(struct pm_gguf_writer *w, const char *key, const char *text, struct pm_err *e)
{
	struct pm_gguf_key k = {.name = key, .type = PM_GGUF_U64, .item = PM_GGUF_U64, .count = 1, .bytes = 8};
	unsigned char b[8];
	char *end;
	unsigned long long v;

	errno = 0;
	v = strtoull(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9')
		return pm_fail(e, PM_USAGE, "key '%.200s': '%.200s' is no u64", key, text);
	pm_gguf_save(b, v, 8);
	k.data = b;
	return pm_gguf_put_key(w, &k, e);
}

static int put_scalar(struct pm_gguf_writer *w, const char *key, enum pm_gguf_type type, const char *text, struct pm_err *e)
{
	char *end;
	long long v;
	double d;

	if (type == PM_GGUF_STRING)
		return pm_gguf_put_string(w, key, text, strlen(text), e);
	if (type == PM_GGUF_U64)
		return put_u64(w, key, text, e);
	if (type == PM_GGUF_BOOL && (!strcmp(text, "true") || !strcmp(text, "false")))
		return pm_gguf_put_int(w, key, type, *text == 't', e);
	errno = 0;
	if (is_real_type(type)) {
		d = strtod(text, &end);
		if (end > text && !*end && *text > ' ' && (isfinite(d) ? errno == 0 || fabs(d) < 1 : errno == 0))
			return pm_gguf_put_real(w, key, type, d, e);
	} else {
		v = strtoll(text, &end, 10);
		if (end > text && !*end && *text > ' ' && !errno && type != PM_GGUF_BOOL)
			return pm_gguf_put_int(w, key, type, v, e);
	}
	return pm_fail(e, PM_USAGE, "key '%.200s': '%.200s' is no %s", key, text, pm_gguf_type_name(type));
}

/* Element v of a list of numbers into its place. */
static int item(unsigned char *out, enum pm_gguf_type type, const json_t *v, struct pm_err *e)
{
	size_t size = pm_gguf_size(type);
	bool sign = type == PM_GGUF_I8 || type == PM_GGUF_I16 || type == PM_GGUF_I32 || type == PM_GGUF_I64;
	uint32_t low;
	uint64_t bits;
	int64_t n;
	double d;
	float f;

	if (is_real_type(type) && json_is_number(v)) {
		d = json_number_value(v);
		f = (float)d;
		memcpy(&low, &f, 4);
		memcpy(&bits, &d, 8);
		pm_gguf_save(out, type == PM_GGUF_F32 ? low : bits, (int)size);
		return type == PM_GGUF_F32 && !isfinite(f) ? pm_fail(e, PM_USAGE, "%g does not fit in f32", d) : 0;
	}
	if (type == PM_GGUF_BOOL && json_is_boolean(v)) {
		*out = json_is_true(v);
		return 0;
	}
	if (is_real_type(type) || type == PM_GGUF_BOOL || pm_json_to_int(&n, v) < 0)
		return pm_fail(e, PM_USAGE, "an element is no %s", pm_gguf_type_name(type));
	if (sign ? size < 8 && (n < -(INT64_C(1) << (8 * size - 1)) || n >= INT64_C(1) << (8 * size - 1)) : n < 0 || (size < 8 && n >= INT64_C(1) << 8 * size))
		return pm_fail(e, PM_USAGE, "%lld does not fit in %s", (long long)n, pm_gguf_type_name(type));
	pm_gguf_save(out, (uint64_t)n, (int)size);
	return 0;
}

static int put_numbers(struct pm_gguf_writer *w, const char *key, enum pm_gguf_type type, const json_t *list, struct pm_err *e)
{
	size_t n = json_array_size(list), size = pm_gguf_size(type), i;
	unsigned char *b = pm_alloc(n, size, e);
	int r = b ? 0 : -1;

	for (i = 0; r == 0 && i < n; i++)
		if (item(b + i * size, type, json_array_get(list, i), e) < 0)
			r = pm_ctx(e, "key '%.200s': element %zu", key, i);
	if (r == 0)
		r = pm_gguf_put_array(w, key, type, b, n, e);
	free(b);
	return r;
}

static int put_texts(struct pm_gguf_writer *w, const char *key, const json_t *list, struct pm_err *e)
{
	size_t n = json_array_size(list), i;
	const char **s = pm_alloc(n, sizeof *s, e);
	size_t *len = pm_alloc(n, sizeof *len, e);
	int r = s && len ? 0 : -1;

	for (i = 0; r == 0 && i < n; i++) {
		s[i] = json_string_value(json_array_get(list, i));
		len[i] = json_string_length(json_array_get(list, i));
		if (!s[i])
			r = pm_fail(e, PM_USAGE, "key '%.200s': element %zu is no string", key, i);
	}
	if (r == 0)
		r = pm_gguf_put_strings(w, key, s, len, n, e);
	free(s);
	free(len);
	return r;
}

int pm_gguf_put_text(struct pm_gguf_writer *w, const char *key, enum pm_gguf_type type, enum pm_gguf_type of, const char *text, struct pm_err *e)
{
	json_t *list;
	int r;

	if (type != PM_GGUF_ARRAY)
		return put_scalar(w, key, type, text, e);
	list = pm_json_parse(text, strlen(text), "its value", e);
	if (!json_is_array(list)) {
		if (list)
			pm_fail(e, PM_USAGE, "a list was wanted");
		json_decref(list);
		e->status = PM_USAGE;
		return pm_ctx(e, "key '%.200s'", key);
	}
	r = of == PM_GGUF_STRING ? put_texts(w, key, list, e) : put_numbers(w, key, of, list, e);
	json_decref(list);
	return r;
}

int pm_gguf_parse_type(enum pm_gguf_type *type, enum pm_gguf_type *of, const char **value, const char *text)
{
	const char *colon = strchr(text, ':');
	size_t n = colon ? (size_t)(colon - text) : 0;
	bool list = n > 2 && !strncmp(colon - 2, "[]", 2);
	char name[8];
	int t;

	n -= list ? 2 : 0;
	if (!n || n >= sizeof name)
		return -1;
	memcpy(name, text, n);
	name[n] = 0;
	t = pm_gguf_type_by_name(name);
	if (t < 0 || t == PM_GGUF_ARRAY)
		return -1;
	*of = (enum pm_gguf_type)t;
	*type = list ? PM_GGUF_ARRAY : *of;
	*value = colon + 1;
	return 0;
}
