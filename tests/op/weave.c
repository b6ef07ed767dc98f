#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "harness.h"

/* What a block of a format is made of, in order: fields of so many bytes, and how many. */
static const struct format {
	enum pm_dtype type;
	struct { int bytes, n; } field[4];
} formats[] = {
	{PM_Q4_0, {{2, 1}, {4, 4}}}, {PM_Q4_1, {{2, 2}, {4, 4}}}, {PM_Q5_0, {{2, 1}, {4, 5}}}, {PM_Q5_1, {{2, 2}, {4, 5}}}, {PM_Q8_0, {{2, 1}, {4, 8}}},
	{PM_IQ4_NL, {{2, 1}, {4, 4}}}, {PM_AFFINE8, {{2, 2}, {4, 8}}}, {PM_MXFP4, {{1, 1}, {4, 4}}}, {PM_Q2_K, {{4, 4}, {4, 16}, {2, 2}}},
	{PM_Q3_K, {{4, 8}, {4, 16}, {4, 3}, {2, 1}}}, {PM_Q4_K, {{2, 2}, {4, 3}, {4, 32}}}, {PM_Q5_K, {{2, 2}, {4, 3}, {4, 8}, {4, 32}}},
	{PM_Q6_K, {{4, 32}, {4, 16}, {4, 4}, {2, 1}}}, {PM_IQ4_XS, {{2, 2}, {4, 1}, {4, 32}}},
};

/* Sixteen blocks, those of rows `bytes` apart, woven. */
static void weave(const struct format *f, unsigned char *to, const unsigned char *const *row)
{
	size_t at = 0;
	int k, i, j;

	for (k = 0; k < 4; k++)
		for (i = 0; i < f->field[k].n; i++, at += (size_t)f->field[k].bytes)
			for (j = 0; j < 16; j++, to += f->field[k].bytes)
				memcpy(to, row[j] + at, (size_t)f->field[k].bytes);
}

static void one(struct op_env *env, const struct format *f, int64_t rows, int64_t cols)
{
	const size_t bytes = pm_dtype_bytes(f->type, (uint64_t)cols), block = pm_dtype(f->type)->bytes, all = pm_woven_bytes(f->type, rows, cols);
	unsigned char *w = malloc(bytes * (size_t)rows), *have = malloc(all), *want = malloc(all);
	const char *name = pm_dtype(f->type)->name;
	struct pm_mem *in = NULL, *out = NULL;
	struct pm_err e = {0};
	const unsigned char *row[16];
	int64_t n, j;
	size_t k;
	int ok;

	for (k = 0; k < bytes * (size_t)rows; k++)
		w[k] = (unsigned char)pm_rng_u32(6, 1, k);
	for (n = 0; n < rows; n += 16)
		for (k = 0; k < bytes; k += block) {
			for (j = 0; j < 16; j++)
				row[j] = w + (size_t)(n + j < rows ? n + j : rows - 1) * bytes + k;
			weave(f, want + (size_t)n * bytes + 16 * k, row);
		}
	ok = pm_mem_new(&in, env->dev, bytes * (size_t)rows, &e) == 0 && pm_mem_new(&out, env->dev, all, &e) == 0 &&
		pm_mem_write(in, 0, w, bytes * (size_t)rows, &e) == 0 && pm_weave(out, in, f->type, rows, cols, &e) == 0 && pm_mem_read(out, 0, have, all, &e) == 0;
	op_check(env, ok, "%s: %s", name, e.text);
	op_check(env, ok && all == bytes * (size_t)((rows + 15) / 16 * 16) && !memcmp(have, want, all), "%s (%lld, %lld): other bytes", name, (long long)rows,
		(long long)cols);
	pm_mem_free(in);
	pm_mem_free(out);
	free(w);
	free(have);
	free(want);
}

static void test(struct op_env *env)
{
	size_t i;

	for (i = 0; i < sizeof formats / sizeof *formats; i++) {
		if (!pm_op_weaves(env->dev, formats[i].type))
			continue;
		one(env, &formats[i], 64, 512);
		one(env, &formats[i], 5, 256);
		one(env, &formats[i], 33, 768);
	}
	op_check(env, !pm_op_weaves(env->dev, PM_BF16) && !pm_op_weaves(env->dev, PM_NF4) && !pm_op_weaves(env->dev, PM_F32), "codes that are no whole numbers");
}

const struct op_test op_test_weave = {.name = "weave", .test = test};
