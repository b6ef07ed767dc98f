/* weave.c: weights, woven: the order in which products of few rows take them.  kernels/weave.cl, woven.cl, weave_bf16.cl, woven_bf16.cl, tests/op/weave.c */
#include <stdio.h>

#include "op/gemm.h"

#define PACKED_K 32             /* rows of bfloat16 that are packed have a multiple of so many values */

/* What a matrix in bfloat16 begins with (woven_bf16.cl). */
struct packed_head {
	uint8_t high[16];
	uint32_t count, too_many, unused[10];
};

/* F16 where its values are those of bfloat16. */
static bool packs(enum pm_dtype t)
{
	return t == PM_BF16 || t == PM_F16;
}

bool pm_op_weaves(const struct pm_dev *d, enum pm_dtype t, int64_t cols)
{
	const struct pm_dev_info *info = pm_dev_info(d);

	if (!info->cpu || pm_dev_reference(d) || !(info->vnni || info->avx2))
		return false;
	if (packs(t))
		return pm_op_pairs(d) && cols % PACKED_K == 0 && pm_tune(d, "linear", "packed", 1);
	return pm_tune(d, "linear", "int8", 1) && pm_op_takes(t) && !pm_dtype_plain(t) && t != PM_NF4 && t != PM_FP4;
}

uint64_t pm_woven_bytes(enum pm_dtype t, int64_t rows, int64_t cols)
{
	const uint64_t groups = (uint64_t)pm_ceil_div(rows, PM_WOVEN_ROWS), k = (uint64_t)cols;

	if (packs(t))                   /* PACKED_GROUP(k) of woven_bf16.cl */
		return groups * (sizeof(struct packed_head) + (k / 4 + 128 + 63) / 64 * 64 + k / 8 * 192);
	return pm_dtype_bytes(t, groups * PM_WOVEN_ROWS * k);
}

int pm_weave(struct pm_mem *out, struct pm_mem *w, enum pm_dtype t, int64_t rows, int64_t cols, struct pm_err *e)
{
	const bool packed = packs(t);
	const char *name = packed ? "weave_bf16" : "weave";
	const struct pm_kernel *k;
	struct packed_head first = {0};
	struct pm_launch l = {.global = {(size_t)pm_ceil_div(rows, PM_WOVEN_ROWS)}, .local = {1},
		.bytes = (double)pm_dtype_bytes(t, (uint64_t)(rows * cols)) + (double)pm_woven_bytes(t, rows, cols)};
	char defines[64];

	if (rows > INT32_MAX / 2 || cols > INT32_MAX / 2)
		return pm_fail(e, PM_SOFTWARE, "a weight of (%lld, %lld) is too large", (long long)rows, (long long)cols);
	snprintf(defines, sizeof defines, "-DTYPE_B=%s", pm_dtype(t)->name);
	k = pm_kernel(pm_mem_dev(w), name, name, defines, e);
	if (!k || (packed && pm_mem_zero(out, 0, sizeof first, e) < 0) || PM_LAUNCH(k, l, e, PM_MEM(out), PM_MEM(w), PM_I32(rows), PM_I32(cols)) < 0)
		return -1;
	if (packed && pm_mem_read(out, 0, &first, sizeof first, e) < 0)
		return -1;
	return !first.too_many;
}
