/* weave.c: weights in blocks, woven: the order in which products of few rows take them.  kernels/weave.cl, woven.cl, tests/op/weave.c */
#include <stdio.h>

#include "op/gemm.h"

bool pm_op_weaves(const struct pm_dev *d, enum pm_dtype t)
{
	const struct pm_dev_info *info = pm_dev_info(d);

	return info->cpu && !pm_dev_reference(d) && (info->vnni || info->avx2) && pm_tune(d, "linear", "int8", 1) &&
		pm_op_takes(t) && !pm_dtype_plain(t) && t != PM_NF4 && t != PM_FP4;
}

uint64_t pm_woven_bytes(enum pm_dtype t, int64_t rows, int64_t cols)
{
	return pm_dtype_bytes(t, (uint64_t)(pm_ceil_div(rows, PM_WOVEN_ROWS) * PM_WOVEN_ROWS * cols));
}

int pm_weave(struct pm_mem *out, struct pm_mem *w, enum pm_dtype t, int64_t rows, int64_t cols, struct pm_err *e)
{
	const struct pm_kernel *k;
	struct pm_launch l = {.global = {(size_t)pm_ceil_div(rows, PM_WOVEN_ROWS)}, .local = {1}, .bytes = 2.0 * (double)pm_dtype_bytes(t, (uint64_t)(rows * cols))};
	char defines[64];

	if (rows > INT32_MAX / 2 || cols > INT32_MAX / 2)
		return pm_fail(e, PM_SOFTWARE, "a weight of (%lld, %lld) is too large", (long long)rows, (long long)cols);
	snprintf(defines, sizeof defines, "-DTYPE_B=%s", pm_dtype(t)->name);
	k = pm_kernel(pm_mem_dev(w), "weave", "weave", defines, e);
	return k ? PM_LAUNCH(k, l, e, PM_MEM(out), PM_MEM(w), PM_I32(rows), PM_I32(cols)) : -1;
}
