/* Decoding blocks: every row of the golden collection gives the same bits as ggml does. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/rng.h"
#include "io/safetensors.h"
#include "quant/quant.h"
#include "quant_rows.h"
#include "tap.h"

static struct pm_err err;

/* NAME.f32 against what NAME.bytes decodes to. */
static void one(const char *file, const struct pm_safetensors *s, const struct pm_view *v, bool seen[])
{
	size_t n = v->bytes / 4, length = strlen(v->name) - 4;
	const struct pm_view *b;
	enum pm_dtype t;
	char name[128];
	float *out;

	snprintf(name, sizeof name, "%.*s.bytes", (int)length, v->name);
	t = type_of(name, strcspn(name, "."));
	b = pm_safetensors_find(s, name);
	if (!check(t != PM_DTYPE_NONE && b && b->bytes == pm_dtype_bytes(t, n), "%s: %s has its bytes", file, v->name))
		return;
	out = pm_alloc(n, sizeof *out, &err);
	pm_quant_to_f32(out, b->data, t, n);
	check(!memcmp(out, v->data, n * 4), "%s: %s: %zu values, bit for bit", file, name, n);
	seen[t] = true;
	free(out);
}

static void golden(void)
{
	bool seen[PM_DTYPES] = {0};
	struct pm_safetensors *s;
	char rel[128];
	size_t i, k;
	int types = 0;

	for (k = 0; k < 3; k++) {
		snprintf(rel, sizeof rel, "fixtures/quant/ggml/%s.safetensors", files[k]);
		if (!golden_path(rel)) {
			skip("golden data is not there");
			return;
		}
		if (!check(pm_safetensors_open(&s, golden_path(rel), &err) == 0, "%s opens %s", rel, err.text))
			return;
		for (i = 0; i < pm_safetensors_count(s); i++) {
			const struct pm_view *v = pm_safetensors_at(s, i);

			if (strlen(v->name) > 4 && !strcmp(v->name + strlen(v->name) - 4, ".f32"))
				one(files[k], s, v, seen);
		}
		pm_safetensors_close(s);
	}
	for (i = 0; i < PM_DTYPES; i++)
		types += seen[i];
	check(types == PM_DTYPES - PM_Q4_0 - 4, "%d block types (all of ggml's but Q8_1, which has no golden values)", types);
}

/* Any bytes are some values: no type reads or writes beyond its block (the sanitizers watch), and the same bytes give the same values at any place. */
static void arbitrary(void)
{
	uint8_t *bytes = malloc(292 * 64 + 1);
	float *a = malloc(256 * 64 * sizeof *a), *b = malloc(256 * 64 * sizeof *b);
	int t, i;

	for (t = PM_Q4_0; t < PM_DTYPES; t++) {
		size_t size = (size_t)pm_dtype(t)->bytes * 64, n = (size_t)pm_dtype(t)->block * 64;

		for (i = 0; i < (int)size; i++)
			bytes[i] = (uint8_t)pm_rng_u32(7, (uint32_t)t, (uint64_t)i);
		pm_quant_to_f32(a, bytes, t, n);
		memmove(bytes + 1, bytes, size);
		pm_quant_to_f32(b, bytes + 1, t, n);
		check(!memcmp(a, b, n * sizeof *a), "%s: arbitrary bytes at an odd address", pm_dtype(t)->name);
	}
	free(bytes);
	free(a);
	free(b);
}

/* The plain types. */
static void plain(void)
{
	static const int16_t i16[3] = {-32768, 0, 77};
	static const int64_t i64[2] = {-(1ll << 40), 3};
	static const uint8_t e4m3[6] = {0x7e, 0xfe, 0x01, 0x38, 0x08, 0x80}, e5m2[3] = {0x7b, 0x3c, 0x01};
	static const float want_e4m3[6] = {448, -448, 0x1p-9f, 1, 0x1p-6f, -0.0f}, want_e5m2[3] = {57344, 1, 0x1p-16f};
	float f[6];

	pm_quant_to_f32(f, i16, PM_I16, 3);
	check(f[0] == -32768 && f[1] == 0 && f[2] == 77, "i16");
	pm_quant_to_f32(f, i64, PM_I64, 2);
	check(f[0] == -0x1p40f && f[1] == 3, "i64");
	pm_quant_to_f32(f, e4m3, PM_F8_E4M3, 6);
	check(!memcmp(f, want_e4m3, sizeof want_e4m3), "f8 e4m3");
	pm_quant_to_f32(f, e5m2, PM_F8_E5M2, 3);
	check(!memcmp(f, want_e5m2, sizeof want_e5m2), "f8 e5m2");
}

int main(void)
{
	golden();
	arbitrary();
	plain();
	return done();
}
