/* lib/base: errors, memory, strings, number formats, hashes. */
#include <errno.h>
#include <math.h>
#include <stdint.h>
#include <string.h>

#include "base/dtype.h"
#include "base/err.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/str.h"
#include "tap.h"

static struct pm_err e;

static void errors(void)
{
	char big[5000];
	int i;

	check(pm_fail(&e, PM_DATA, "tensor '%s'", "a") == -1 && e.status == PM_DATA && !strcmp(e.text, "tensor 'a'"), "a message");
	check(pm_ctx(&e, "f%d", 1) == -1 && e.status == PM_DATA && !strcmp(e.text, "f1: tensor 'a'"), "a subject in front");
	memset(big, 'x', sizeof big);
	big[sizeof big - 1] = 0;
	pm_fail(&e, PM_DATA, "%s", big);
	pm_ctx(&e, "%s", "subject");
	check(strlen(e.text) == sizeof e.text - 1 && !strncmp(e.text, "subject: xx", 11), "a message that does not fit is cut");
	pm_ctx(&e, "%s", big);
	check(strlen(e.text) == sizeof e.text - 1, "so is a subject");
	{
		struct { int number; enum pm_status want; } rows[] = {{ENOENT, PM_NOINPUT}, {ENOTDIR, PM_NOINPUT}, {EISDIR, PM_NOINPUT},
			{EACCES, PM_NOPERM}, {EPERM, PM_NOPERM}, {ENOSPC, PM_IOERR}, {EROFS, PM_IOERR}};

		for (i = 0; i < 7; i++) {
			errno = rows[i].number;
			pm_fail_errno(&e, PM_IOERR, "%s", "x");
			check(e.status == rows[i].want && !strncmp(e.text, "x: ", 3) && strstr(e.text, strerror(rows[i].number)), "errno: %s", e.text);
		}
	}
}

static void memory(void)
{
	struct pm_arena a = {0};
	int *p = NULL, ok = 1;
	size_t cap = 0, i;
	char *s;

	p = pm_alloc(0, 8, &e);
	check(p != NULL, "no things: a pointer all the same");
	free(p);
	check(!pm_alloc(SIZE_MAX / 2, 4, &e) && strstr(e.text, "out of memory"), "a product that overflows is an error");
	p = NULL;
	for (i = 0; i < 1000; i++) {
		ok &= pm_grow(&p, &cap, i + 1, sizeof *p, &e) == 0 && cap > i;
		p[i] = (int)i;
	}
	for (i = 0; i < 1000; i++)
		ok &= p[i] == (int)i;
	check(ok, "growing keeps what is there");
	check(pm_grow(&p, &cap, SIZE_MAX / 2, sizeof *p, &e) < 0 && p[999] == 999, "growing that fails, too");
	free(p);
	for (i = 0, ok = 1; i < 3000; i++) {
		unsigned char *b = pm_arena_alloc(&a, i % 70 + 1, 1 + i % 3, &e);
		size_t k, n = (i % 70 + 1) * (1 + i % 3);

		ok &= b && (uintptr_t)b % 16 == 0;
		for (k = 0; b && k < n; k++)
			ok &= b[k] == 0;
		memset(b, 0xff, n);
	}
	check(ok, "an arena's pieces are zeroed, aligned, apart");
	check(pm_arena_alloc(&a, 100000, 1, &e) && !pm_arena_alloc(&a, SIZE_MAX / 2, 3, &e), "a large piece; one too large");
	s = pm_arena_printf(&a, &e, "layer %d", 12);
	check(s && !strcmp(s, "layer 12"), "text in an arena");
	pm_arena_free(&a);
	s = pm_strndup("abc", 2, &e);
	check(s && !strcmp(s, "ab"), "a copy of a part");
	free(s);
}

static void strings(void)
{
	struct pm_str s = {0};
	int i;

	check(pm_str_put(&s, NULL, 0, &e) == 0 && s.len == 0 && s.data && !*s.data, "putting nothing closes the text");
	for (i = 0; i < 1000; i++)
		pm_str_printf(&s, &e, "%d,", i);
	check(s.len == 3890 && s.data[s.len] == 0 && !strcmp(s.data + s.len - 4, "999,"), "printing appends");
	pm_str_put(&s, "a\0b", 3, &e);
	check(s.len == 3893 && s.data[3892] == 'b', "bytes of any kind");
	pm_str_clear(&s);
	check(s.len == 0 && !*s.data, "cleared");
	pm_str_free(&s);
	pm_str_free(&s);
	check(!s.data, "freed twice");
}

/* The value of a half by its definition. */
static double half(unsigned h)
{
	unsigned x = h >> 10 & 31, m = h & 1023;
	double v = x == 31 ? (m ? NAN : INFINITY) : x ? ldexp(1024 + m, (int)x - 25) : ldexp(m, -24);

	return h & 0x8000 ? -v : v;
}

/* The nearest half of a float, ties to the even one, by search through the definition. */
static unsigned nearest(float f)
{
	double a = fabs(f);
	unsigned lo = 0, hi = 0x7c00, mid;

	if (a >= 65520)
		return 0x7c00 | (signbit(f) ? 0x8000 : 0);
	while (hi - lo > 1) {                           /* half(lo) <= a < half(hi) */
		mid = (lo + hi) / 2;
		if (mid < 0x7c00 && half(mid) <= a)
			lo = mid;
		else
			hi = mid;
	}
	if (hi == 0x7c00)
		hi = a - half(lo) == 16 ? lo + (lo & 1) : a - half(lo) > 16 ? hi : lo;
	else
		hi = a - half(lo) < half(hi) - a ? lo : a - half(lo) > half(hi) - a ? hi : lo & 1 ? hi : lo;
	return hi | (signbit(f) ? 0x8000 : 0);
}

static float f32(uint32_t u)
{
	float f;

	memcpy(&f, &u, 4);
	return f;
}

static void halves(void)
{
	unsigned h, bad = 0, back = 0, around = 0;
	uint32_t u, seed = 1;
	int i;

	for (h = 0; h < 65536; h++) {
		float f = pm_f16_to_f32((uint16_t)h);
		double want = half(h);

		if (isnan(want)) {
			bad += !isnan(f);
			back += !isnan(pm_f16_to_f32(pm_f32_to_f16(f)));
			continue;
		}
		bad += f != want || !signbit(f) != !signbit(want);
		back += pm_f32_to_f16(f) != h;
		if ((h & 0x7fff) >= 0x7bff)
			continue;
		for (i = -1; i <= 1; i++) {                     /* the point half way to the next one, and its neighbours */
			float mid = (float)((want + half(h + 1)) / 2);

			mid = i ? nextafterf(mid, i < 0 ? -INFINITY : INFINITY) : mid;
			around += pm_f32_to_f16(mid) != nearest(mid);
		}
	}
	check(!bad, "every half to float");
	check(!back, "and back");
	check(!around, "ties and their neighbours round to nearest even");
	for (i = 0, bad = 0; i < 300000; i++) {
		seed = seed * 1664525 + 1013904223;
		u = (seed & 0x80000000) | (uint32_t)(0x30000000 + (seed >> 3) % 0x18000000);
		bad += pm_f32_to_f16(f32(u)) != nearest(f32(u));
	}
	check(!bad, "300000 floats to the nearest half");
	check(pm_f32_to_f16(INFINITY) == 0x7c00 && pm_f32_to_f16(-1e9f) == 0xfc00 && pm_f32_to_f16(65519.996f) == 0x7bff && pm_f32_to_f16(-0.0f) == 0x8000,
		"infinity, overflow, the largest, minus zero");
}

static void bfloats(void)
{
	unsigned h, bad = 0, around = 0;

	for (h = 0; h < 65536; h++) {
		float f = pm_bf16_to_f32((uint16_t)h);

		if (isnan(f)) {
			bad += !isnan(pm_bf16_to_f32(pm_f32_to_bf16(f)));
			continue;
		}
		bad += pm_f32_to_bf16(f) != h;
		if ((h & 0x7fff) >= 0x7f7f)
			continue;
		around += pm_f32_to_bf16(f32((uint32_t)h << 16 | 0x7fff)) != h;
		around += pm_f32_to_bf16(f32((uint32_t)h << 16 | 0x8001)) != h + 1;
		around += pm_f32_to_bf16(f32((uint32_t)h << 16 | 0x8000)) != h + (h & 1);
	}
	check(!bad, "every bfloat16 to float and back");
	check(!around, "half way, a little less, a little more");
	check(isnan(pm_bf16_to_f32(pm_f32_to_bf16(f32(0x7f800001)))) && isnan(pm_bf16_to_f32(pm_f32_to_bf16(f32(0xffffffff)))), "a NaN stays one");
	check(pm_f32_to_bf16(3.4e38f) == 0x7f80, "overflow is infinity");
}

static void types(void)
{
	enum pm_dtype all[] = {PM_F32, PM_F16, PM_BF16, PM_F64};
	float in[] = {0, -1.5f, 3.25f, 1024, -0.0f}, out[5];
	unsigned char raw[41];
	size_t k;
	int i, ok = 1;

	for (i = 0; i < PM_DTYPES; i++) {
		const struct pm_dtype_info *t = pm_dtype((enum pm_dtype)i);

		ok &= t->name && t->bytes > 0 && t->block > 0 && pm_dtype_by_name(t->name) == (enum pm_dtype)i;
		ok &= !t->safetensors || pm_dtype_by_safetensors(t->safetensors) == (enum pm_dtype)i;
		ok &= t->gguf < 0 || pm_dtype_by_gguf(t->gguf) == (enum pm_dtype)i;
		ok &= pm_dtype_plain((enum pm_dtype)i) == (t->block == 1);
	}
	check(ok, "the table finds each type by its names");
	check(pm_dtype_by_gguf(-1) == PM_DTYPE_NONE && pm_dtype_by_gguf(4) == PM_DTYPE_NONE, "and by no number that is not its own");
	check(pm_dtype_by_name("F32") == PM_DTYPE_NONE && pm_dtype_by_safetensors("f32") == PM_DTYPE_NONE, "and no other name");
	check(pm_dtype_bytes(PM_F64, 3) == 24 && pm_dtype_bytes(PM_F64, UINT64_MAX / 4) == SIZE_MAX, "bytes, and their overflow");
	for (k = 0, ok = 1; k < 4; k++) {
		pm_from_f32(raw + 1, all[k], in, 5);            /* at an odd address, as in mapped files */
		pm_to_f32(out, raw + 1, all[k], 5);
		ok &= !memcmp(in, out, sizeof in);
	}
	check(ok, "f32, f16, bf16, f64 and back, at an odd address");
}

static void hashes(void)
{
	char hex[PM_SHA256_HEX];
	struct pm_sha256 h;

	pm_sha256_bytes(hex, "abc", 3, &e);
	check(!strcmp(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"), "SHA-256 of abc (FIPS 180-2)");
	pm_sha256_bytes(hex, NULL, 0, &e);
	check(!strcmp(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"), "of nothing");
	pm_sha256_begin(&h, &e);
	pm_sha256_put(&h, "a", 1);
	pm_sha256_put(&h, "bc", 2);
	pm_sha256_end(&h, hex);
	check(!strncmp(hex, "ba7816bf", 8), "in pieces");
	check(pm_sha256_file(hex, "/nowhere/at all", &e) < 0 && e.status == PM_NOINPUT, "of a file that is not there");
}

int main(void)
{
	errors();
	memory();
	strings();
	halves();
	bfloats();
	types();
	hashes();
	return done();
}
