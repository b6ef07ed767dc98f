/* safetensors: what is written reads back; every way a file can be wrong is an error, status 65, that names the tensor. */
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "io/safetensors.h"
#include "tap.h"

static char dir[] = "/tmp/pm-unit-XXXXXX", path[64];

/* Writes a file: header length (−1: the true one), header, `size` bytes of data. */
static void make(const char *header, long long length, size_t size)
{
	uint64_t n = length < 0 ? strlen(header) : (uint64_t)length;
	FILE *f = fopen(path, "wb");
	int i;

	for (i = 0; i < 8; i++)
		putc((int)(n >> 8 * i & 255), f);
	fputs(header, f);
	while (size--)
		putc((int)(size & 255), f);
	fclose(f);
}

static void refused(const char *what, const char *words)
{
	struct pm_safetensors *s = NULL;
	struct pm_err e = {0};
	int r = pm_safetensors_open(&s, path, &e);

	check(r < 0 && e.status == PM_DATA && !strncmp(e.text, path, strlen(path)) && strstr(e.text, words), "%s: %s", what,
		r < 0 ? e.text : "accepted");
	pm_safetensors_close(s);
}

static void accepted(const char *what)
{
	struct pm_safetensors *s = NULL;
	struct pm_err e = {0};

	check(pm_safetensors_open(&s, path, &e) == 0, "%s is accepted %s", what, e.text);
	pm_safetensors_close(s);
}

#define T(name, dtype, shape, from, to) "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #from "," #to "]}"

static void bad_headers(void)
{
	FILE *f = fopen(path, "wb");

	fclose(f);
	refused("empty file", "0 bytes");
	make("{}", 100000001, 0);
	refused("huge header", "100000001");
	make("{}", 3, 0);
	refused("header longer than the file", "cut short");
	make("{}", 0, 0);
	refused("no header", "'{'");
	make("[]", -1, 0);
	refused("a list", "'{'");
	make("{\"a\":", -1, 0);
	refused("broken JSON", "line 1");
	make("{\"a\xff\":1}", -1, 0);
	refused("bad UTF-8", "line 1");
	make("{\"a\\u0000b\":1}", -1, 0);
	refused("NUL in a name", "line 1");
	make("{" T("a", "U8", "[1]", 0, 1) "," T("a", "U8", "[1]", 0, 1) "}", -1, 1);
	refused("duplicate", "duplicate");
	make("{\"__metadata__\":{\"a\":1}}", -1, 0);
	refused("metadata that is no string", "__metadata__: 'a'");
	make("{\"__metadata__\":[]}", -1, 0);
	refused("metadata that is no object", "__metadata__");
}

static void bad_entries(void)
{
	make("{\"x.y\":7}", -1, 0);
	refused("no object", "tensor 'x.y'");
	make("{\"x.y\":{\"dtype\":\"F32\",\"shape\":[1]}}", -1, 4);
	refused("no offsets", "tensor 'x.y'");
	make("{\"x.y\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4],\"more\":1}}", -1, 4);
	refused("a key too many", "tensor 'x.y'");
	make("{" T("x.y", "F33", "[1]", 0, 4) "}", -1, 4);
	refused("dtype", "'F33'");
	make("{" T("x.y", "F32", "1", 0, 4) "}", -1, 4);
	refused("shape no list", "tensor 'x.y'");
	make("{" T("x.y", "F32", "[-1]", 0, 4) "}", -1, 4);
	refused("negative dimension", "tensor 'x.y'");
	make("{" T("x.y", "F32", "[1.0]", 0, 4) "}", -1, 4);
	refused("fractional dimension", "tensor 'x.y'");
	make("{" T("x.y", "F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", -1, 4);
	refused("nine dimensions", "tensor 'x.y'");
	make("{" T("x.y", "F32", "[4294967296,4294967296]", 0, 0) "}", -1, 0);
	refused("product overflows to 0", "tensor 'x.y'");
	make("{" T("x.y", "F32", "[4611686018427387905]", 0, 4) "}", -1, 4);
	refused("bytes overflow to 4", "tensor 'x.y'");
	make("{" T("x.y", "F32", "[2]", 0, 4) "}", -1, 4);
	refused("shape against bytes", "want 8 bytes");
	make("{" T("x.y", "F32", "[1]", 0, 4) "}", -1, 3);
	refused("past the end", "tensor 'x.y'");
	make("{" T("x.y", "F32", "[1]", 4, 0) "}", -1, 4);
	refused("backwards", "tensor 'x.y'");
	make("{" T("x.y", "F32", "[1]", -4, 0) "}", -1, 4);
	refused("negative offset", "tensor 'x.y'");
	make("{" T("x.y", "F32", "[1]", 0, 18446744073709551620) "}", -1, 4);
	refused("offset beyond 64 bits", "tensor 'x.y'");
	make("{" T("x.y", "F32", "[1]", 0, 4.0) "}", -1, 4);
	refused("fractional offset", "tensor 'x.y'");
	make("{" T("a", "F32", "[2]", 0, 8) "," T("b", "F32", "[2]", 4, 12) "}", -1, 12);
	refused("overlap", "tensor 'b'");
	make("{" T("a", "F32", "[1]", 0, 4) "," T("b", "F32", "[1]", 8, 12) "}", -1, 12);
	refused("hole", "tensor 'b'");
	make("{" T("a", "F32", "[1]", 4, 8) "}", -1, 8);
	refused("hole at the start", "tensor 'a'");
	make("{" T("a", "F32", "[1]", 0, 4) "}", -1, 5);
	refused("a byte at the end", "'a'");
	make("{" T("a", "F32", "[1]", 0, 4) "," T("b", "F32", "[1]", 0, 4) "}", -1, 4);
	refused("the same bytes twice", "overlap");
}

static void good_files(void)
{
	make("{}", -1, 0);
	accepted("a file without tensors");
	make("{\"a\":{\"data_offsets\":[4,4],\"shape\":[0,9223372036854775807],\"dtype\":\"F32\"}," T("b", "F32", "[]", 0, 4) "," T("c", "BOOL", "[0]", 0, 0) "}   ",
		-1, 4);
	accepted("zero-size tensors, a scalar, trailing blanks");
	make("{" T("b", "F32", "[1]", 1, 5) "," T("a", "U8", "[1]", 0, 1) "}", -1, 5);
	accepted("data in another order than the header, misaligned,");
}

static void round_trip(void)
{
	static const float a[6] = {1, 2, 3, 4, 5, 6};
	static const uint16_t b[2] = {0x3f80, 0x4000};
	struct pm_err e = {0};
	struct pm_st_writer *w;
	struct pm_safetensors *s = NULL;
	const struct pm_view *v;
	json_t *meta = json_pack("{s:s}", "format", "pt");
	int ok;

	ok = pm_st_begin(&w, path, meta, &e) == 0 && pm_st_declare(w, "w.a", PM_F32, 2, (uint64_t[]){2, 3}, &e) == 0 &&
		pm_st_declare(w, "none", PM_F16, 1, (uint64_t[]){0}, &e) == 0 && pm_st_declare(w, "b", PM_BF16, 1, (uint64_t[]){2}, &e) == 0;
	check(ok && pm_st_declare(w, "b", PM_BF16, 1, (uint64_t[]){2}, &e) < 0 && strstr(e.text, "twice"), "a second declaration is refused");
	ok = pm_st_put(w, a, 10, &e) == 0 && pm_st_put(w, (const char *)a + 10, 14, &e) == 0 && pm_st_put(w, b, 4, &e) == 0;
	check(ok && pm_st_put(w, b, 1, &e) < 0, "more bytes than declared are refused");
	check(pm_st_end(w, &e) == 0, "written");
	json_decref(meta);
	if (!check(pm_safetensors_open(&s, path, &e) == 0, "reads back %s", e.text))
		return;
	check(pm_safetensors_count(s) == 3 && !strcmp(pm_safetensors_at(s, 0)->name, "w.a") && !strcmp(pm_safetensors_at(s, 2)->name, "b"),
		"count and order");
	v = pm_safetensors_find(s, "w.a");
	check(v && v->type == PM_F32 && v->nd == 2 && v->dim[0] == 2 && v->dim[1] == 3 && v->bytes == 24 && !memcmp(v->data, a, 24), "w.a");
	check(v && (uintptr_t)v->data % 64 == 0, "data start at a multiple of 64");
	v = pm_safetensors_find(s, "b");
	check(v && v->type == PM_BF16 && v->bytes == 4 && !memcmp(v->data, b, 4), "b");
	v = pm_safetensors_find(s, "none");
	check(v && v->bytes == 0 && v->dim[0] == 0, "an empty tensor");
	check(!pm_safetensors_find(s, "w") && !pm_safetensors_find(s, ""), "absent names");
	check(!strcmp(json_string_value(json_object_get(pm_safetensors_metadata(s), "format")), "pt"), "metadata");
	pm_safetensors_close(s);
}

static void writer_failures(void)
{
	struct pm_err e = {0};
	struct pm_st_writer *w;
	int ok;

	remove(path);
	ok = pm_st_begin(&w, path, NULL, &e) == 0 && pm_st_declare(w, "a", PM_F32, 1, (uint64_t[]){2}, &e) == 0 && pm_st_put(w, "1234", 4, &e) == 0;
	check(ok && pm_st_end(w, &e) < 0 && access(path, F_OK) < 0, "bytes missing at the end: no file is left");
	ok = pm_st_begin(&w, "/dev/full", NULL, &e) == 0 && pm_st_declare(w, "a", PM_U8, 1, (uint64_t[]){4}, &e) == 0 && pm_st_put(w, "1234", 4, &e) == 0;
	check(ok && pm_st_end(w, &e) < 0 && e.status == PM_IOERR, "a full disk is status 74");
	check(pm_st_begin(&w, "/nowhere/x", NULL, &e) < 0 && e.status == PM_NOCREATE, "no such directory is status 73");
}

/* Bytes of a good file changed at random: an error or not, nothing outside the file is read (the sanitizers watch). */
static void mutations(void)
{
	static const char good[] = "{\"__metadata__\":{\"a\":\"b\"}," T("x", "F32", "[2,3]", 0, 24) "," T("y.z", "BF16", "[4]", 24, 32) "," T("e", "U8", "[0]", 32, 32) "}";
	char header[sizeof good];
	unsigned long sum = 0, opened = 0;
	uint64_t i, k;
	size_t t, b;

	for (i = 0; i < 3000; i++) {
		struct pm_safetensors *s;
		struct pm_err e = {0};

		memcpy(header, good, sizeof good);
		for (k = 0; k <= i % 3; k++)
			header[pm_rng_u32(1, 1, 4 * i + k) % (sizeof good - 1)] = "0123456789[]{},:\"-eF"[pm_rng_u32(1, 2, 4 * i + k) % 20];
		make(header, i % 7 ? -1 : (long long)(pm_rng_u32(1, 3, i) % 300), i % 5 ? 32 : pm_rng_u32(1, 4, i) % 64);
		if (pm_safetensors_open(&s, path, &e) < 0) {
			if (e.status != PM_DATA || !*e.text)
				check(0, "mutation %d: status %d", (int)i, e.status);
			continue;
		}
		for (t = 0; t < pm_safetensors_count(s); t++)
			for (b = 0; b < pm_safetensors_at(s, t)->bytes; b++)
				sum += pm_safetensors_at(s, t)->data[b];
		opened++;
		pm_safetensors_close(s);
	}
	check(opened > 0 && opened < 3000 && sum > 0, "3000 changed files, %lu of them good", opened);
}

int main(void)
{
	struct pm_err e = {0};
	struct pm_safetensors *s;

	if (!mkdtemp(dir))
		return 1;
	snprintf(path, sizeof path, "%s/x.safetensors", dir);
	check(pm_safetensors_open(&s, path, &e) < 0 && e.status == PM_NOINPUT, "a file that is not there is status 66");
	check(pm_safetensors_open(&s, dir, &e) < 0 && e.status == PM_NOINPUT, "a directory is status 66");
	bad_headers();
	bad_entries();
	good_files();
	round_trip();
	writer_failures();
	mutations();
	remove(path);
	rmdir(dir);
	return done();
}
