/* reduce.c: the sum of squares.  kernels/reduce.cl, tests/op/reduce.c */
#include <stdlib.h>

#include "op/elem.h"
#include "op/op.h"

#define EACH 16384                      /* elements of one part on a CPU */
#define PARTS 16384                     /* parts elsewhere, at most */

static int launch(struct pm_dev *d, bool cpu, struct pm_mem *part, int64_t parts, struct pm_mem *x, int64_t count, struct pm_err *e)
{
	const struct pm_kernel *k = pm_kernel(d, "reduce", cpu ? "reduce_squares_cpu" : "reduce_squares", NULL, e);
	struct pm_launch l = {.global = {(size_t)parts}, .local = {cpu ? 1 : 64}, .flops = 5.0 * (double)count, .bytes = 4.0 * (double)count};

	if (!k)
		return -1;
	return cpu ? PM_LAUNCH(k, l, e, PM_MEM(part), PM_MEM(x), PM_I64(count), PM_I64(EACH)) :
		PM_LAUNCH(k, l, e, PM_MEM(part), PM_MEM(x), PM_I64(count));
}

int pm_sum_squares(struct pm_dev *d, struct pm_mem *x, int64_t count, double *out, struct pm_err *e)
{
	bool cpu = pm_elem_cpu(d);
	int64_t parts = cpu ? (count + EACH - 1) / EACH : (count + 1023) / 1024 * 64, i;
	struct pm_mem *mem = NULL;
	float *part;
	int r = -1;

	*out = 0;
	if (!cpu && parts > PARTS)
		parts = PARTS;
	part = pm_alloc((size_t)parts, sizeof *part, e);
	if (part && pm_mem_new(&mem, d, (size_t)parts * 4, e) == 0 && launch(d, cpu, mem, parts, x, count, e) == 0)
		r = pm_mem_read(mem, 0, part, (size_t)parts * 4, e);
	for (i = 0; r == 0 && i < parts; i++)
		*out += part[i];
	pm_mem_free(mem);
	free(part);
	return r;
}
