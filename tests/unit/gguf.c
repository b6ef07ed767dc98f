/* gguf: golden files are read, every key and tensor; a file written anew has the same bytes; every way a file can be wrong is an error, status
 * 65, that says where. */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/rng.h"
#include "base/str.h"
#include "io/gguf.h"
#include "tap.h"

static char dir[] = "/tmp/pm-unit-XXXXXX", path[64];

/* ---- golden files ---- */

/* expected.json's words for a key's type. */
static const char *type_of(const struct pm_gguf_key *k)
{
	static char s[40];

	if (k->type != PM_GGUF_ARRAY)
		return pm_gguf_type_name(k->type);
	snprintf(s, sizeof s, "array of %s", pm_gguf_type_name(k->item));
	return s;
}

/* Numbers by value: a whole number too large for JSON here is a real on both sides. */
static int same(const json_t *a, const json_t *b)
{
	size_t i;

	if (json_is_number(a) && json_is_number(b))
		return json_number_value(a) == json_number_value(b);
	if (!json_is_array(a) || !json_is_array(b))
		return json_equal(a, b);
	for (i = 0; i < json_array_size(a); i++)
		if (!same(json_array_get(a, i), json_array_get(b, i)))
			return 0;
	return json_array_size(a) == json_array_size(b);
}

static void golden_keys(const struct pm_gguf *g, const json_t *keys)
{
	size_t i;
	json_t *want;

	json_array_foreach(keys, i, want) {
		const char *name = json_string_value(json_object_get(want, "key"));
		const struct pm_gguf_key *k = pm_gguf_key(g, name);
		struct pm_err e = {0};
		json_t *v = k ? pm_gguf_value(k, &e) : NULL;

		check(k && !strcmp(type_of(k), json_string_value(json_object_get(want, "type"))) && same(v, json_object_get(want, "value")), "key %.40s %s",
			name, k ? type_of(k) : "absent");
		json_decref(v);
	}
}

static void golden_tensors(const struct pm_gguf *g, const json_t *tensors)
{
	size_t i, d;
	json_t *want;

	json_array_foreach(tensors, i, want) {
		const char *name = json_string_value(json_object_get(want, "name"));
		const json_t *dims = json_object_get(want, "dims");
		const struct pm_view *v = pm_gguf_find(g, name);
		char hex[PM_SHA256_HEX] = "";
		struct pm_err e;
		int ok = v && v == pm_gguf_at(g, i) && v->bytes == (size_t)json_integer_value(json_object_get(want, "bytes")) &&
			pm_dtype(v->type)->gguf == json_integer_value(json_object_get(want, "type_id")) && v->nd == (int)json_array_size(dims);

		for (d = 0; ok && d < (size_t)v->nd; d++)
			ok = v->dim[(size_t)v->nd - 1 - d] == (uint64_t)json_integer_value(json_array_get(dims, d));
		ok = ok && pm_sha256_bytes(hex, v->data, v->bytes, &e) == 0 && !strcmp(hex, json_string_value(json_object_get(want, "sha256")));
		check(ok, "tensor %s", name);
	}
}

/* Everything put again gives the bytes that were read. */
static void rewritten(const struct pm_gguf *g, const char *from)
{
	struct pm_gguf_writer *w = NULL;
	struct pm_err e = {0};
	struct pm_str a = {0}, b = {0};
	size_t i;
	int r = pm_gguf_begin(&w, path, pm_gguf_alignment(g), &e);

	for (i = 0; r == 0 && i < pm_gguf_keys(g); i++)
		r = pm_gguf_put_key(w, pm_gguf_key_at(g, i), &e);
	for (i = 0; r == 0 && i < pm_gguf_count(g); i++)
		r = pm_gguf_declare(w, pm_gguf_at(g, i)->name, pm_gguf_at(g, i)->type, pm_gguf_at(g, i)->nd, pm_gguf_at(g, i)->dim, &e);
	for (i = 0; r == 0 && i < pm_gguf_count(g); i++)
		r = pm_gguf_put(w, pm_gguf_at(g, i)->data, pm_gguf_at(g, i)->bytes, &e);
	r = r == 0 ? pm_gguf_end(w, &e) : r;
	if (!check(r == 0 && pm_read_file(&a, from, &e) == 0 && pm_read_file(&b, path, &e) == 0, "%s is written anew %s", from, e.text))
		return;
	if (pm_gguf_version(g) == 2)
		a.data[4] = 3;
	check(a.len == b.len && !memcmp(a.data, b.data, a.len), "and has the same bytes");
	pm_str_free(&a);
	pm_str_free(&b);
}

static void golden(void)
{
	static const struct { const char *file; uint32_t version; uint64_t alignment; size_t tensors; } files[] = {
		{"all.gguf", 3, 32, 35}, {"version2.gguf", 2, 32, 4}, {"align8.gguf", 3, 8, 9}, {"align64.gguf", 3, 64, 6},
		{"align4096.gguf", 3, 4096, 5}, {"no_tensors.gguf", 3, 32, 0}, {"no_keys.gguf", 3, 32, 2},
	};
	const char *expected = golden_path("fixtures/quant/gguf/expected.json");
	struct pm_err e = {0};
	json_t *want;
	size_t i;

	if (!expected) {
		skip("golden data is not there");
		return;
	}
	want = pm_json_file(expected, &e);
	for (i = 0; i < sizeof files / sizeof *files; i++) {
		char file[4096];
		struct pm_gguf *g = NULL;
		size_t n = strlen(expected) - strlen("expected.json");

		snprintf(file, sizeof file, "%.*s%s", (int)n, expected, files[i].file);
		if (!check(pm_gguf_open(&g, file, &e) == 0, "%s %s", files[i].file, e.text))
			continue;
		check(pm_gguf_version(g) == files[i].version && pm_gguf_alignment(g) == files[i].alignment, "version %u, alignment %llu", pm_gguf_version(g),
			(unsigned long long)pm_gguf_alignment(g));
		check(pm_gguf_count(g) == files[i].tensors, "%zu tensors", pm_gguf_count(g));
		if (i == 0) {
			golden_keys(g, json_object_get(want, "keys"));
			golden_tensors(g, json_object_get(want, "tensors"));
		}
		rewritten(g, file);
		pm_gguf_close(g);
	}
	json_decref(want);
}

/* ---- what is wrong ---- */

static struct pm_str file;      /* being made */

static void begin(uint32_t version, uint64_t tensors, uint64_t keys)
{
	struct pm_err e;

	pm_str_clear(&file);
	pm_str_puts(&file, "GGUF", &e);
	pm_str_put(&file, &version, 4, &e);
	pm_str_put(&file, &tensors, 8, &e);
	pm_str_put(&file, &keys, 8, &e);
}

static void u32(uint32_t v)
{
	struct pm_err e;

	pm_str_put(&file, &v, 4, &e);
}

static void u64(uint64_t v)
{
	struct pm_err e;

	pm_str_put(&file, &v, 8, &e);
}

static void bytes(const char *s, size_t n)
{
	struct pm_err e;

	pm_str_put(&file, s, n, &e);
}

static void name(const char *s)
{
	u64(strlen(s));
	bytes(s, strlen(s));
}

static void key(const char *s, uint32_t type)
{
	name(s);
	u32(type);
}

static void tensor(const char *s, int nd, const uint64_t *dim, uint32_t type, uint64_t at)
{
	int i;

	name(s);
	u32((uint32_t)nd);
	for (i = 0; i < nd; i++)
		u64(dim[i]);
	u32(type);
	u64(at);
}

/* Zeros to the alignment, then n bytes of data. */
static void data(size_t alignment, size_t n)
{
	while (file.len % alignment)
		bytes("", 1);
	while (n--)
		bytes("x", 1);
}

static void save(void)
{
	FILE *f = fopen(path, "wb");

	if (file.len)
		fwrite(file.data, 1, file.len, f);
	fclose(f);
}

static void refused(const char *what, const char *words)
{
	struct pm_gguf *g = NULL;
	struct pm_err e = {0};
	int r;

	save();
	r = pm_gguf_open(&g, path, &e);
	check(r < 0 && e.status == PM_DATA && !strncmp(e.text, path, strlen(path)) && strstr(e.text, words), "%s: %s", what, r < 0 ? e.text : "accepted");
	if (r == 0)
		pm_gguf_close(g);
}

static void accepted(const char *what)
{
	struct pm_gguf *g = NULL;
	struct pm_err e = {0};

	save();
	check(pm_gguf_open(&g, path, &e) == 0, "%s is accepted %s", what, e.text);
	pm_gguf_close(g);
}

static void bad_heads(void)
{
	pm_str_clear(&file);
	refused("an empty file", "does not begin with 'GGUF'");
	bytes("GGUF", 4);
	refused("four bytes", "does not begin");
	begin(1, 0, 0);
	refused("version 1", "version 1");
	begin(4, 0, 0);
	refused("version 4", "version 4");
	begin(0, 0, 0);
	refused("version 0", "version 0");
	begin(0x03000000, 0, 0);
	refused("big-endian", "big-endian");
	begin(3, 0, 0);
	file.len -= 3;
	refused("no number of keys", "cut short");
	begin(3, 0, UINT64_MAX);
	refused("2^64 keys", "keys are more than");
	begin(3, UINT64_MAX, 0);
	refused("2^64 tensors", "tensors are more than");
	begin(3, UINT64_MAX / sizeof(struct pm_view) + 2, 0);
	refused("a count of tensors that multiplies to little", "tensors are more than");
	begin(3, 0, 2);
	key("a", PM_GGUF_U8);
	bytes("\1", 1);
	refused("a key too few", "2 keys are more than");
	begin(3, 0, 0);
	accepted("a file with nothing in it");
}

static void bad_keys(void)
{
	static const struct { const char *what; uint32_t type, item; uint64_t count; const char *words; } lists[] = {
		{"a list of lists", PM_GGUF_ARRAY, PM_GGUF_ARRAY, 1, "a list of lists"},
		{"a list of an unknown type", PM_GGUF_ARRAY, 13, 1, "a list of unknown type 13"},
		{"2^61 + 1 numbers of 8 bytes", PM_GGUF_ARRAY, PM_GGUF_U64, (UINT64_C(1) << 61) + 1, "cut short"},
		{"2^64 bytes", PM_GGUF_ARRAY, PM_GGUF_U8, UINT64_MAX, "cut short"},
		{"2^60 strings", PM_GGUF_ARRAY, PM_GGUF_STRING, UINT64_C(1) << 60, "cut short"},
		{"strings that lack", PM_GGUF_ARRAY, PM_GGUF_STRING, 3, "cut short"},
		{"a list one too long", PM_GGUF_ARRAY, PM_GGUF_U32, 7, "cut short"},
	};
	size_t i;

	begin(3, 0, 1);
	key("a", 13);
	u64(0);
	refused("an unknown type", "unknown type 13");
	begin(3, 0, 1);
	u64(UINT64_MAX);
	u64(0);
	refused("a name of 2^64 bytes", "key 0 of 1: a name of 18446744073709551615 bytes");
	begin(3, 0, 1);
	u64(UINT64_MAX - 24);
	u64(0);
	refused("a name that wraps round", "key 0 of 1");
	begin(3, 0, 1);
	u64(60000);
	u64(0);
	refused("a name beyond the end", "a name goes beyond the end");
	begin(3, 0, 1);
	key("", PM_GGUF_U8);
	u64(0);
	refused("an empty name", "empty name");
	begin(3, 0, 1);
	u64(3);
	bytes("a\0b", 3);
	u64(0);
	refused("a NUL in a name", "NUL");
	begin(3, 0, 1);
	key("a\xff", PM_GGUF_U8);
	u64(0);
	refused("a name that is no UTF-8", "UTF-8");
	begin(3, 0, 1);
	key("s", PM_GGUF_STRING);
	u64(UINT64_MAX);
	bytes("x", 1);
	refused("a string of 2^64 bytes", "key 's': cut short");
	begin(3, 0, 1);
	key("b", PM_GGUF_BOOL);
	bytes("\2", 1);
	refused("a truth value of 2", "key 'b': a truth value of 2");
	begin(3, 0, 1);
	key("d", PM_GGUF_F64);
	bytes("1234567", 7);
	refused("a number cut short", "key 'd': cut short");
	begin(3, 0, 2);
	for (i = 0; i < 2; i++) {
		key("twice", PM_GGUF_U8);
		bytes("\1", 1);
	}
	refused("a key twice", "key 'twice': is there twice");
	for (i = 0; i < sizeof lists / sizeof *lists; i++) {
		begin(3, 0, 1);
		key("l", lists[i].type);
		u32(lists[i].item);
		u64(lists[i].count);
		u64(1);
		bytes("x", 1);
		u64(8);
		u64(0);
		refused(lists[i].what, lists[i].words);
	}
}

static void alignment(uint32_t type, uint32_t v, const char *words)
{
	begin(3, 1, 1);
	key("general.alignment", type);
	u32(v);
	tensor("t", 1, (uint64_t[]){1}, 0, 0);
	data(32, 4);
	if (words)
		refused("alignment", words);
	else
		accepted("alignment");
}

static void bad_tensors(void)
{
	static const struct { const char *what; int nd; uint64_t dim[5]; uint32_t type; uint64_t at; const char *words; } one[] = {
		{"five dimensions", 5, {1, 1, 1, 1, 1}, 0, 0, "5 dimensions"},
		{"a dimension of 0", 2, {0, 4}, 0, 0, "dimension 0 is 0"},
		{"a product of 2^64", 2, {UINT64_C(1) << 32, UINT64_C(1) << 32}, 0, 0, "more than 2^63"},
		{"a product that wraps to 4", 2, {UINT64_C(0x4000000000000001), 4}, 0, 0, "more than 2^63"},
		{"bytes that wrap", 1, {UINT64_C(0x4000000000000001)}, 0, 0, "more than 2^64"},
		{"an unknown type", 1, {4}, 43, 0, "unknown type 43"},
		{"a type withdrawn", 1, {4}, 4, 0, "unknown type 4"},
		{"a type of 2^32", 1, {4}, UINT32_MAX, 0, "unknown type 4294967295"},
		{"a part of a block", 2, {33, 32}, 2, 0, "blocks of 32"},
		{"an offset off the alignment", 1, {1}, 0, 4, "no multiple of the alignment"},
		{"an offset beyond the end", 1, {1}, 0, 64, "end beyond the data"},
		{"an offset of 2^64", 1, {1}, 0, UINT64_MAX - 31, "end beyond the data"},
		{"one element too many", 1, {17}, 0, 0, "end beyond the data"},
		{"an offset and size that wrap", 1, {UINT64_C(1) << 61}, 0, 0, "end beyond the data"},
	};
	size_t i;

	for (i = 0; i < sizeof one / sizeof *one; i++) {
		begin(3, 1, 0);
		tensor("x.y", one[i].nd, one[i].dim, one[i].type, one[i].at);
		data(32, 64);
		refused(one[i].what, "tensor 'x.y'");
		refused(one[i].what, one[i].words);
	}
	begin(3, 2, 0);
	tensor("a", 1, (uint64_t[]){16}, 0, 0);
	tensor("b", 1, (uint64_t[]){1}, 0, 32);
	data(32, 96);
	refused("an overlap", "tensor 'b': its bytes overlap those of 'a'");
	begin(3, 2, 0);
	tensor("a", 1, (uint64_t[]){1}, 0, 0);
	tensor("a", 1, (uint64_t[]){1}, 0, 32);
	data(32, 96);
	refused("a tensor twice", "tensor 'a': is there twice");
	begin(3, 1, 0);
	tensor("a", 1, (uint64_t[]){1}, 0, 0);
	refused("no data", "cut short: data would begin");
	begin(3, 3, 0);
	tensor("c", 1, (uint64_t[]){1}, 0, 64);
	tensor("a", 0, NULL, 0, 0);
	tensor("b", 4, (uint64_t[]){2, 1, 3, 1}, 0, 32);
	data(32, 68);
	accepted("another order, a scalar, no padding at the end");
	alignment(PM_GGUF_U32, 0, "no power of two");
	alignment(PM_GGUF_U32, 48, "no power of two");
	alignment(PM_GGUF_I32, 32, "type u32 was wanted, not i32");
	alignment(PM_GGUF_U32, UINT32_C(1) << 31, "cut short: data would begin at 2147483648");
	alignment(PM_GGUF_U32, 1, NULL);
	alignment(PM_GGUF_U32, 16, NULL);
}

/* Bytes of a good file changed at random: an error or not, nothing outside the file is read (the sanitizers watch). */
static void mutations(void)
{
	unsigned long sum = 0, opened = 0;
	struct pm_str good = {0};
	struct pm_err e;
	uint64_t i, k;
	size_t t, b;

	begin(3, 2, 3);
	key("general.architecture", PM_GGUF_STRING);
	name("llama");
	key("l", PM_GGUF_ARRAY);
	u32(PM_GGUF_STRING);
	u64(2);
	name("ab");
	name("");
	key("n", PM_GGUF_F32);
	u32(0x3f800000);
	tensor("a", 2, (uint64_t[]){32, 2}, 2, 0);
	tensor("b", 1, (uint64_t[]){3}, 0, 64);
	data(32, 76);
	pm_str_put(&good, file.data, file.len, &e);
	for (i = 0; i < 5000; i++) {
		struct pm_gguf *g;

		pm_str_clear(&file);
		pm_str_put(&file, good.data, good.len, &e);
		for (k = 0; k <= i % 3; k++)
			file.data[pm_rng_u32(1, 1, 4 * i + k) % good.len] = (char)(i % 2 ? pm_rng_u32(1, 2, 4 * i + k) : pm_rng_u32(1, 2, 4 * i + k) % 20);
		if (i % 5 == 0)
			file.len = pm_rng_u32(1, 3, i) % good.len;
		save();
		if (pm_gguf_open(&g, path, &e) < 0) {
			if (e.status != PM_DATA || !*e.text)
				check(0, "mutation %d: status %d", (int)i, e.status);
			continue;
		}
		for (t = 0; t < pm_gguf_count(g); t++)
			for (b = 0; b < pm_gguf_at(g, t)->bytes; b++)
				sum += pm_gguf_at(g, t)->data[b];
		json_decref(pm_gguf_json(g, 0, &e));
		opened++;
		pm_gguf_close(g);
	}
	pm_str_free(&good);
	check(opened > 0 && opened < 5000 && sum > 0, "5000 changed files, %lu of them good", opened);
}

/* ---- values, writing ---- */

static int count_bytes(void *arg, uint64_t i, const char *s, size_t n, struct pm_err *e)
{
	(void)s;
	(void)e;
	*(size_t *)arg += n + i;
	return 0;
}

static void conversions(const struct pm_gguf *g)
{
	struct pm_err e = {0};
	const char *s;
	int64_t v = 0;
	double d = 0;
	size_t n = 0;
	bool b = false;

	check(pm_gguf_int(&v, pm_gguf_key(g, "i16"), 0, &e) == 0 && v == -300 && pm_gguf_real(&d, pm_gguf_key(g, "i16"), 0, &e) == 0 && d == -300, "i16");
	check(pm_gguf_int(&v, pm_gguf_key(g, "f32"), 0, &e) < 0 && strstr(e.text, "key 'f32': a whole number was wanted"), "%s", e.text);
	check(pm_gguf_real(&d, pm_gguf_key(g, "f32"), 0, &e) == 0 && d == 0.1f, "f32");
	check(pm_gguf_int(&v, pm_gguf_key(g, "whole"), 0, &e) == 0 && v == 8192, "a real that is whole");
	check(pm_gguf_int(&v, pm_gguf_key(g, "big"), 0, &e) < 0 && e.status == PM_DATA, "%s", e.text);
	check(pm_gguf_int(&v, pm_gguf_key(g, "list"), 1, &e) == 0 && v == 7 && pm_gguf_int(&v, pm_gguf_key(g, "list"), 2, &e) < 0, "%s", e.text);
	check(pm_gguf_bool(&b, pm_gguf_key(g, "yes"), 0, &e) == 0 && b && pm_gguf_int(&v, pm_gguf_key(g, "yes"), 0, &e) < 0, "%s", e.text);
	check(pm_gguf_bool(&b, pm_gguf_key(g, "i16"), 0, &e) < 0 && pm_gguf_string(&s, &n, pm_gguf_key(g, "strings"), &e) < 0, "%s", e.text);
	check(pm_gguf_strings(pm_gguf_key(g, "strings"), count_bytes, &n, &e) == 0 && n == 7, "strings");
	check(pm_gguf_string(&s, &n, pm_gguf_key(g, "raw"), &e) == 0 && n == 5 && !memcmp(s, "a\xff\0\xe2z", 5), "a string of any bytes");
}

static void writing(void)
{
	struct pm_gguf_writer *w;
	struct pm_err e = {0};
	struct pm_gguf *g;
	const int32_t list[] = {-5, 7};
	const char *const strings[] = {"a", "", "bcd"};
	json_t *v;
	int ok;

	ok = pm_gguf_begin(&w, path, 64, &e) == 0 && pm_gguf_put_int(w, "i16", PM_GGUF_I16, -300, &e) == 0 &&
		pm_gguf_put_real(w, "f32", PM_GGUF_F32, 0.1, &e) == 0 && pm_gguf_put_real(w, "whole", PM_GGUF_F64, 8192, &e) == 0 &&
		pm_gguf_put_int(w, "yes", PM_GGUF_BOOL, 1, &e) == 0 && pm_gguf_put_array(w, "list", PM_GGUF_I32, list, 2, &e) == 0 &&
		pm_gguf_put_strings(w, "strings", strings, NULL, 3, &e) == 0 && pm_gguf_put_string(w, "raw", "a\xff\0\xe2z", 5, &e) == 0 &&
		pm_gguf_put_array(w, "big", PM_GGUF_U64, "\xff\xff\xff\xff\xff\xff\xff\xff", 1, &e) == 0;
	check(ok, "keys are put");
	check(pm_gguf_put_int(w, "x", PM_GGUF_U8, 256, &e) < 0 && pm_gguf_put_int(w, "x", PM_GGUF_I8, -129, &e) < 0 &&
		pm_gguf_put_int(w, "x", PM_GGUF_U64, -1, &e) < 0 && pm_gguf_put_real(w, "x", PM_GGUF_F32, 1e300, &e) < 0, "%s", e.text);
	check(pm_gguf_declare(w, "q", PM_Q4_0, 2, (uint64_t[]){2, 33}, &e) < 0, "%s", e.text);
	check(pm_gguf_declare(w, "q", PM_F8_E4M3, 1, (uint64_t[]){32}, &e) < 0, "%s", e.text);
	ok = pm_gguf_declare(w, "q", PM_Q4_0, 2, (uint64_t[]){1, 64}, &e) == 0 && pm_gguf_declare(w, "b", PM_BF16, 1, (uint64_t[]){3}, &e) == 0;
	ok = ok && pm_gguf_put(w, "0123456789", 10, &e) == 0 && pm_gguf_put(w, "0123456789012345678901234567abcdef", 32, &e) == 0;
	check(ok && pm_gguf_put_int(w, "late", PM_GGUF_U8, 1, &e) < 0, "%s", e.text);
	check(pm_gguf_put(w, "x", 1, &e) < 0 && pm_gguf_end(w, &e) == 0, "all bytes and no more");
	if (!check(pm_gguf_open(&g, path, &e) == 0 && pm_gguf_alignment(g) == 64, "it reads back %s", e.text))
		return;
	conversions(g);
	v = pm_gguf_value(pm_gguf_key(g, "raw"), &e);
	check(json_string_length(v) == 9 && !memcmp(json_string_value(v), "a\xef\xbf\xbd\0\xef\xbf\xbdz", 9), "bytes that are no UTF-8 are replaced in JSON");
	json_decref(v);
	v = pm_gguf_json(g, 2, &e);
	check(v && json_object_get(v, "list") && !json_object_get(v, "strings") && json_object_get(v, "big"), "JSON without the long lists");
	json_decref(v);
	pm_gguf_close(g);
	ok = pm_gguf_begin(&w, path, 0, &e) == 0 && pm_gguf_put_int(w, "a", PM_GGUF_U8, 1, &e) == 0 && pm_gguf_put_int(w, "a", PM_GGUF_U8, 1, &e) == 0;
	check(ok && pm_gguf_end(w, &e) < 0 && strstr(e.text, "key 'a' is there twice"), "%s", e.text);
	remove(path);
	ok = pm_gguf_begin(&w, path, 0, &e) == 0 && pm_gguf_declare(w, "a", PM_I8, 1, (uint64_t[]){4}, &e) == 0 && pm_gguf_put(w, "abc", 3, &e) == 0;
	check(ok && pm_gguf_end(w, &e) < 0 && access(path, F_OK) < 0, "bytes missing at the end: no file is left: %s", e.text);
}

int main(void)
{
	struct pm_err e = {0};
	struct pm_gguf *g;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof path, "%s/x.gguf", dir);
	check(pm_gguf_open(&g, path, &e) < 0 && e.status == PM_NOINPUT, "a file that is not there is status 66");
	golden();
	bad_heads();
	bad_keys();
	bad_tensors();
	mutations();
	writing();
	pm_str_free(&file);
	remove(path);
	rmdir(dir);
	return done();
}
