#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "quant/quant.h"
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
		pm_mem_write(in, 0, w, bytes * (size_t)rows, &e) == 0 && pm_weave(out, in, f->type, rows, cols, &e) == 1 && pm_mem_read(out, 0, have, all, &e) == 0;
	op_check(env, ok, "%s: %s", name, e.text);
	op_check(env, ok && all == bytes * (size_t)((rows + 15) / 16 * 16) && !memcmp(have, want, all), "%s (%lld, %lld): other bytes", name, (long long)rows,
		(long long)cols);
	pm_mem_free(in);
	pm_mem_free(out);
	free(w);
	free(have);
	free(want);
}

/* Weights in bfloat16: drawn from a normal distribution; with a few that are far larger; zeros of both signs; infinities, NaN and the smallest among normal ones; any bits. */
enum kind { NORMAL, HEAVY, ZEROS, EXTREMES, ANYTHING };

static uint16_t weight(enum kind kind, size_t i)
{
	static const uint16_t extremes[] = {0x7f80, 0xff80, 0x7fc1, 0xffff, 0x0001, 0x8001, 0x0080, 0x7f7f};
	float f = pm_rng_normal(6, 2, i) * 0.02f;
	uint32_t u;

	if (kind == ANYTHING)
		return (uint16_t)pm_rng_u32(6, 3, i);
	if (kind == ZEROS)
		return i % 3 ? 0 : 0x8000;
	if (kind == EXTREMES && i % 331 == 0)
		return extremes[i / 331 % 8];
	if (kind == HEAVY && i % 1009 == 0)
		f *= 1e6f;
	memcpy(&u, &f, 4);
	return (uint16_t)(u >> 16);
}

/* The weight of row r and column k, read as kernels/woven_bf16.cl says it is stored. */
static uint16_t unpacked(const unsigned char *group, int64_t cols, int64_t r, int64_t k)
{
	const unsigned char *block = group + 64 + (cols / 4 + 128 + 63) / 64 * 64 + k / 8 * 192;
	const int pair = (int)(k % 8 / 2), half = pair / 2, word = (int)(2 * r + k % 2), byte = word / 8 * 16 + pair % 2 * 8 + word % 8;
	const int number = block[128 + byte] >> (half ? 4 : 0) & 15;
	uint32_t count, e[2];
	uint32_t i;

	memcpy(&count, group + 16, 4);
	for (i = 0; i < count; i++) {
		memcpy(e, group + 64 + 8 * i, 8);
		if (e[0] == (uint32_t)(16 * k + r))
			return (uint16_t)e[1];
	}
	return (uint16_t)(block[half * 64 + byte] | group[number] << 8);
}

/* Packed, all weights are found again bit for bit, but for the sign of a zero; weights that are too different, or not of bfloat16, are refused. */
static void packed(struct op_env *env, enum pm_dtype type, int64_t rows, int64_t cols, enum kind kind)
{
	const size_t n = (size_t)(rows * cols), all = pm_woven_bytes(type, rows, cols), groups = (size_t)(rows + 15) / 16;
	const char *name = pm_dtype(type)->name;
	uint16_t *w = malloc(2 * n);
	uint32_t *f = malloc(4 * n);            /* the same as floats */
	unsigned char *have = malloc(all);
	struct pm_mem *in = NULL, *out = NULL;
	struct pm_err e = {0};
	int64_t r, k;
	size_t i, differ = 0;
	int ok;

	for (i = 0; i < n; i++)
		f[i] = (uint32_t)weight(kind, i) << 16;
	if (kind == ANYTHING)
		for (i = 0; i < n; i++)
			w[i] = weight(kind, i);
	else
		pm_from_f32(w, type, (const float *)f, n);
	pm_quant_to_f32((float *)f, w, type, n);
	ok = pm_mem_new(&in, env->dev, 2 * n, &e) == 0 && pm_mem_new(&out, env->dev, all, &e) == 0 && pm_mem_write(in, 0, w, 2 * n, &e) == 0 ?
		pm_weave(out, in, type, rows, cols, &e) : -1;
	op_check(env, ok == (kind != ANYTHING), "%s (%lld, %lld), kind %d: %d %s", name, (long long)rows, (long long)cols, kind, ok, e.text);
	ok = ok == 1 && pm_mem_read(out, 0, have, all, &e) == 0;
	for (r = 0; ok && r < (int64_t)(16 * groups); r++)
		for (k = 0; k < cols; k++) {
			const uint32_t want = f[(r < rows ? r : rows - 1) * cols + k];

			differ += (uint32_t)unpacked(have + (size_t)(r / 16) * (all / groups), cols, r % 16, k) << 16 != (want << 1 ? want : 0);
		}
	op_check(env, !differ, "%s (%lld, %lld), kind %d: %zu weights are others", name, (long long)rows, (long long)cols, kind, differ);
	pm_mem_free(in);
	pm_mem_free(out);
	free(w);
	free(f);
	free(have);
}

static void test(struct op_env *env)
{
	size_t i;

	for (i = 0; i < sizeof formats / sizeof *formats; i++) {
		if (!pm_op_weaves(env->dev, formats[i].type, 256))
			continue;
		one(env, &formats[i], 64, 512);
		one(env, &formats[i], 5, 256);
		one(env, &formats[i], 33, 768);
	}
	op_check(env, !pm_op_weaves(env->dev, PM_NF4, 256) && !pm_op_weaves(env->dev, PM_F32, 256) && !pm_op_weaves(env->dev, PM_BF16, 40), "what is not woven");
	if (pm_op_weaves(env->dev, PM_BF16, 96)) {
		for (i = 0; i < 2; i++) {
			const enum pm_dtype type = i ? PM_F16 : PM_BF16;

			packed(env, type, 64, 512, NORMAL);
			packed(env, type, 5, 96, NORMAL);
			packed(env, type, 16, 32, ZEROS);
			packed(env, type, 16, 512, ANYTHING);
		}
		packed(env, PM_BF16, 33, 4096, HEAVY);
		packed(env, PM_BF16, 40, 64, EXTREMES);
	}
}

const struct op_test op_test_weave = {.name = "weave", .test = test};
