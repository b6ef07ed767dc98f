/* gguf_value.c: keys' values as numbers, strings and JSON. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"
#include "io/gguf.h"
#include "io/gguf_bytes.h"

static const struct {
	const char *name;
	size_t size;                    /* 0: strings and arrays */
} types[PM_GGUF_TYPES] = {
	[PM_GGUF_U8] = {"u8", 1}, [PM_GGUF_I8] = {"i8", 1}, [PM_GGUF_U16] = {"u16", 2}, [PM_GGUF_I16] = {"i16", 2}, [PM_GGUF_U32] = {"u32", 4},
	[PM_GGUF_I32] = {"i32", 4}, [PM_GGUF_F32] = {"f32", 4}, [PM_GGUF_BOOL] = {"bool", 1}, [PM_GGUF_STRING] = {"str", 0},
	[PM_GGUF_ARRAY] = {"array", 0}, [PM_GGUF_U64] = {"u64", 8}, [PM_GGUF_I64] = {"i64", 8}, [PM_GGUF_F64] = {"f64", 8},
};

const char *pm_gguf_type_name(enum pm_gguf_type t)
{
	return types[t].name;
}

int pm_gguf_type_by_name(const char *name)
{
	int i;

	for (i = 0; i < PM_GGUF_TYPES; i++)
		if (!strcmp(name, types[i].name))
			return i;
	return -1;
}

size_t pm_gguf_size(enum pm_gguf_type t)
{
	return types[t].size;
}

/* Bytes of the UTF-8 character at s (RFC 3629: no overlong forms, no surrogates, up to U+10FFFF), 0 where there is none. */
static size_t character(const unsigned char *s, size_t n)
{
	size_t len = s[0] < 0x80 ? 1 : s[0] < 0xc2 ? 0 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : s[0] < 0xf5 ? 4 : 0, i;

	if (len > n)
		return 0;
	for (i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
		return 0;
	return len;
}

size_t pm_gguf_utf8(const char *s, size_t n)
{
	size_t i = 0, len;

	while (i < n && (len = character((const unsigned char *)s + i, n - i)) > 0)
		i += len;
	return i;
}

static int64_t sign_extend(uint64_t v, size_t size)
{
	int shift = 64 - 8 * (int)size;

	return shift ? (int64_t)(v << shift) >> shift : (int64_t)v;
}

static double real_at(const struct pm_gguf_key *k, uint64_t i)
{
	uint64_t bits = pm_gguf_load(k->data + i * types[k->item].size, (int)types[k->item].size);
	uint32_t low = (uint32_t)bits;
	float f;
	double d;

	if (k->item == PM_GGUF_F32) {
		memcpy(&f, &low, sizeof f);
		return f;
	}
	memcpy(&d, &bits, sizeof d);
	return d;
}

static bool is_real(const struct pm_gguf_key *k)
{
	return k->item == PM_GGUF_F32 || k->item == PM_GGUF_F64;
}

static bool is_integer(const struct pm_gguf_key *k)
{
	return types[k->item].size && !is_real(k) && k->item != PM_GGUF_BOOL;
}

static bool is_unsigned(const struct pm_gguf_key *k)
{
	return k->item == PM_GGUF_U8 || k->item == PM_GGUF_U16 || k->item == PM_GGUF_U32 || k->item == PM_GGUF_U64;
}

static uint64_t bits_at(const struct pm_gguf_key *k, uint64_t i)
{
	uint64_t v = pm_gguf_load(k->data + i * types[k->item].size, (int)types[k->item].size);

	return is_unsigned(k) ? v : (uint64_t)sign_extend(v, types[k->item].size);
}

static int beyond(const struct pm_gguf_key *k, uint64_t i, struct pm_err *e)
{
	return pm_fail(e, PM_DATA, "key '%.200s': element %llu was wanted, it has %llu", k->name, (unsigned long long)i, (unsigned long long)k->count);
}

static int wanted(const struct pm_gguf_key *k, const char *what, struct pm_err *e)
{
	return pm_fail(e, PM_DATA, "key '%.200s': %s was wanted, not %s%s", k->name, what, k->type == PM_GGUF_ARRAY ? "a list of " : "", types[k->item].name);
}

int pm_gguf_int(int64_t *out, const struct pm_gguf_key *k, uint64_t i, struct pm_err *e)
{
	uint64_t v;
	double d;

	if (!is_integer(k) && !is_real(k))
		return wanted(k, "a whole number", e);
	if (i >= k->count)
		return beyond(k, i, e);
	if (is_real(k)) {
		d = real_at(k, i);
		if (d != floor(d) || fabs(d) > 9007199254740992.0)
			return pm_fail(e, PM_DATA, "key '%.200s': a whole number was wanted, not %g", k->name, d);
		*out = (int64_t)d;
		return 0;
	}
	v = bits_at(k, i);
	if (k->item == PM_GGUF_U64 && v > INT64_MAX)
		return pm_fail(e, PM_DATA, "key '%.200s': %llu is too large", k->name, (unsigned long long)v);
	*out = (int64_t)v;
	return 0;
}

int pm_gguf_real(double *out, const struct pm_gguf_key *k, uint64_t i, struct pm_err *e)
{
	int64_t v;

	if (!is_integer(k) && !is_real(k))
		return wanted(k, "a number", e);
	if (i >= k->count)
		return beyond(k, i, e);
	if (is_real(k)) {
		*out = real_at(k, i);
		return 0;
	}
	if (pm_gguf_int(&v, k, i, e) < 0)
		return -1;
	if (v > INT64_C(9007199254740992) || v < -INT64_C(9007199254740992))
		return pm_fail(e, PM_DATA, "key '%.200s': %lld is too large", k->name, (long long)v);
	*out = (double)v;
	return 0;
}

int pm_gguf_bool(bool *out, const struct pm_gguf_key *k, uint64_t i, struct pm_err *e)
{
	if (k->item != PM_GGUF_BOOL)
		return wanted(k, "a truth value", e);
	if (i >= k->count)
		return beyond(k, i, e);
	*out = k->data[i] != 0;
	return 0;
}

int pm_gguf_strings(const struct pm_gguf_key *k, int (*fn)(void *arg, uint64_t i, const char *s, size_t n, struct pm_err *e), void *arg, struct pm_err *e)
{
	const unsigned char *p = k->data;
	uint64_t i;
	size_t n;

	if (k->item != PM_GGUF_STRING)
		return wanted(k, k->type == PM_GGUF_ARRAY ? "a list of strings" : "a string", e);
	for (i = 0; i < k->count; i++) {
		n = (size_t)pm_gguf_load(p, 8);
		if (fn(arg, i, (const char *)p + 8, n, e) < 0)
			return -1;
		p += 8 + n;
	}
	return 0;
}

int pm_gguf_string(const char **out, size_t *n, const struct pm_gguf_key *k, struct pm_err *e)
{
	if (k->type != PM_GGUF_STRING)
		return wanted(k, "a string", e);
	*n = (size_t)pm_gguf_load(k->data, 8);
	*out = (const char *)k->data + 8;
	return 0;
}

/* A float as the shortest decimal that reads back as it, so that 0.1f is 0.1. */
static double shortest(float f)
{
	char buf[40];
	int digits;

	for (digits = 1; digits < 9; digits++) {
		snprintf(buf, sizeof buf, "%.*g", digits, (double)f);
		if (strtof(buf, NULL) == f)
			return strtod(buf, NULL);
	}
	return f;
}

json_t *pm_gguf_text(const char *s, size_t n)
{
	json_t *v = json_stringn(s, n);
	struct pm_str fixed = {0};
	struct pm_err e;
	size_t i = 0, good;
	int r = 0;

	if (v || pm_gguf_utf8(s, n) == n)
		return v;
	while (r == 0 && i < n) {
		good = pm_gguf_utf8(s + i, n - i);
		r = pm_str_put(&fixed, s + i, good, &e);
		i += good;
		if (r == 0 && i++ < n)
			r = pm_str_puts(&fixed, "\xef\xbf\xbd", &e);
	}
	v = r == 0 ? json_stringn(fixed.data, fixed.len) : NULL;
	pm_str_free(&fixed);
	return v;
}

json_t *pm_gguf_number(const struct pm_gguf_key *k, uint64_t i)
{
	uint64_t v;
	double d;

	if (k->item == PM_GGUF_BOOL)
		return json_boolean(k->data[i]);
	if (is_real(k)) {
		d = real_at(k, i);
		return !isfinite(d) ? json_null() : json_real(k->item == PM_GGUF_F32 ? shortest((float)d) : d);
	}
	v = bits_at(k, i);
	return k->item == PM_GGUF_U64 && v > INT64_MAX ? json_real((double)v) : json_integer((json_int_t)v);
}

static int add_string(void *arg, uint64_t i, const char *s, size_t n, struct pm_err *e)
{
	json_t **list = arg, *v = pm_gguf_text(s, n);

	(void)i;
	if (json_is_array(*list) ? json_array_append_new(*list, v) < 0 : !v)
		return pm_fail(e, PM_SOFTWARE, "out of memory");
	if (!json_is_array(*list))
		*list = v;
	return 0;
}

json_t *pm_gguf_value(const struct pm_gguf_key *k, struct pm_err *e)
{
	json_t *v = k->type == PM_GGUF_ARRAY ? json_array() : NULL;
	uint64_t i;
	int r = 0;

	if (k->item == PM_GGUF_STRING)
		r = pm_gguf_strings(k, add_string, &v, e);
	else if (k->type != PM_GGUF_ARRAY)
		v = pm_gguf_number(k, 0);
	for (i = 0; k->type == PM_GGUF_ARRAY && k->item != PM_GGUF_STRING && r == 0 && i < k->count; i++)
		r = json_array_append_new(v, pm_gguf_number(k, i));
	if (r < 0 || !v) {
		json_decref(v);
		pm_fail(e, PM_SOFTWARE, "key '%.200s': out of memory", k->name);
		return NULL;
	}
	return v;
}

json_t *pm_gguf_json(const struct pm_gguf *g, uint64_t most, struct pm_err *e)
{
	json_t *o = json_object(), *v;
	size_t i;

	for (i = 0; o && i < pm_gguf_keys(g); i++) {
		const struct pm_gguf_key *k = pm_gguf_key_at(g, i);

		if (most && k->count > most)
			continue;
		v = pm_gguf_value(k, e);
		if (v && json_object_set_new(o, k->name, v) == 0)
			continue;
		json_decref(o);
		pm_fail(e, PM_SOFTWARE, "key '%.200s': out of memory", k->name);
		return NULL;
	}
	if (!o)
		pm_fail(e, PM_SOFTWARE, "out of memory");
	return o;
}
