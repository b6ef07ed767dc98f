#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "harness.h"

#define COUNT 65536

/* From every bit pattern of a short type, or from random ones of float32 and those next to where rounding turns. */
static void fill(void *in, enum pm_dtype from)
{
	uint32_t i, u;
	uint16_t h;

	for (i = 0; i < COUNT; i++) {
		u = pm_rng_u32(4, 1, i);
		if (i % 2)
			u = (u & 0xffff0000u) | (i % 4 == 1 ? 0x8000u : i % 8 == 3 ? 0x1000u : 0x7fffu);
		if (i % 16 == 7)
			u = 0x33000000u + (u & 0x05ffffffu);   /* f16's subnormals */
		h = (uint16_t)i;
		if (from == PM_F32)
			memcpy((char *)in + 4 * (size_t)i, &u, 4);
		else
			memcpy((char *)in + 2 * (size_t)i, &h, 2);
	}
}

static bool same(const void *a, const void *b, enum pm_dtype t, size_t i)
{
	float x, y;
	size_t one = pm_dtype_bytes(t, 1);

	pm_to_f32(&x, (const char *)a + i * one, t, 1);
	pm_to_f32(&y, (const char *)b + i * one, t, 1);
	return (isnan(x) && isnan(y)) || !memcmp((const char *)a + i * one, (const char *)b + i * one, one);
}

static void pair(struct op_env *env, enum pm_dtype to, enum pm_dtype from, int64_t count)
{
	void *in = calloc(COUNT, 4), *have = calloc(COUNT, 4), *want = calloc(COUNT, 4);
	float *wide = calloc(COUNT, 4);
	struct pm_mem *a = NULL, *b = NULL;
	struct pm_err e;
	size_t i, bad = 0;
	int ok;

	fill(in, from);
	pm_to_f32(wide, in, from, COUNT);
	pm_from_f32(want, to, wide, (size_t)count);
	ok = pm_mem_new(&a, env->dev, pm_dtype_bytes(to, COUNT), &e) == 0 && pm_mem_new(&b, env->dev, pm_dtype_bytes(from, COUNT), &e) == 0 &&
		pm_mem_zero(a, 0, pm_dtype_bytes(to, COUNT), &e) == 0 && pm_mem_write(b, 0, in, pm_dtype_bytes(from, COUNT), &e) == 0 &&
		pm_cast(env->dev, a, to, b, from, count, &e) == 0 && pm_mem_read(a, 0, have, pm_dtype_bytes(to, COUNT), &e) == 0;
	op_check(env, ok, "%s", ok ? "" : e.text);
	for (i = 0; ok && i < COUNT; i++)
		if (!same(have, want, to, i) && !bad++)
			op_check(env, false, "%s to %s: element %zu of %lld is wrong", pm_dtype(from)->name, pm_dtype(to)->name, i, (long long)count);
	pm_mem_free(a);
	pm_mem_free(b);
	free(in);
	free(have);
	free(want);
	free(wide);
}

static void test(struct op_env *env)
{
	static const enum pm_dtype t[] = {PM_F32, PM_F16, PM_BF16};
	struct pm_err e;
	int i, j;

	for (i = 0; i < 3; i++)
		for (j = 0; j < 3; j++)
			pair(env, t[i], t[j], COUNT);
	pair(env, PM_BF16, PM_F32, 1);
	pair(env, PM_F16, PM_F32, 31);
	pair(env, PM_F32, PM_BF16, 4099);
	op_check(env, pm_cast(env->dev, NULL, PM_I32, NULL, PM_F32, 1, &e) < 0, "a cast to i32 is refused");
}

const struct op_test op_test_cast = {.name = "cast", .test = test};
