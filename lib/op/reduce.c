/* reduce.c: the sum of squares.  kernels/reduce.cl, tests/op/reduce.c */
#include <stdlib.h>

#include "op/elem.h"
#include "op/op.h"

#define EACH 16384                      /* elements of one part on a CPU */
#define PARTS 16384                     /* parts elsewhere, at most */

static int launch(struct pm_dev *d, bool cpu, struct pm_mem *part, int64_t at, int64_t parts, struct pm_mem *x, int64_t count, struct pm_err *e)
{
	const struct pm_kernel *k = pm_kernel(d, "reduce", cpu ? "reduce_squares_cpu" : "reduce_squares", NULL, e);
	struct pm_launch l = {.global = {(size_t)parts}, .local = {cpu ? 1 : 64}, .flops = 5.0 * (double)count, .bytes = 4.0 * (double)count};

	if (!k)
		return -1;
	return cpu ? PM_LAUNCH(k, l, e, PM_MEM(part), PM_I64(at), PM_MEM(x), PM_I64(count), PM_I64(EACH)) :
		PM_LAUNCH(k, l, e, PM_MEM(part), PM_I64(at), PM_MEM(x), PM_I64(count));
}

static int64_t parts_of(bool cpu, int64_t count)
{
	int64_t parts = cpu ? (count + EACH - 1) / EACH : (count + 1023) / 1024 * 64;

	return !cpu && parts > PARTS ? PARTS : parts;
}

int pm_sum_squares(struct pm_dev *d, struct pm_squares_of *of, size_t n, struct pm_err *e)
{
	const bool cpu = pm_elem_cpu(d);
	struct pm_mem *mem = NULL;
	int64_t all = 0, parts, i;
	float *part;
	size_t k;
	int r = -1;

	for (k = 0; k < n; k++)
		all += parts_of(cpu, of[k].count);
	part = pm_alloc((size_t)all, sizeof *part, e);
	if (part)
		r = pm_mem_new(&mem, d, (size_t)all * sizeof *part, e);
	for (k = 0, i = 0; r == 0 && k < n; k++, i += parts) {
		parts = parts_of(cpu, of[k].count);
		if (parts)
			r = launch(d, cpu, mem, i, parts, of[k].mem, of[k].count, e);
	}
	if (r == 0)
		r = pm_mem_read(mem, 0, part, (size_t)all * sizeof *part, e);
	for (k = 0, all = 0; r == 0 && k < n; k++) {
		of[k].sum = 0;
		for (parts = parts_of(cpu, of[k].count), i = 0; i < parts; i++)
			of[k].sum += part[all++];
	}
	pm_mem_free(mem);
	free(part);
	return r;
}
