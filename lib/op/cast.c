/* cast.c: between float formats.  kernels/cast.cl, tests/op/cast.c */
#include <stdio.h>

#include "op/elem.h"
#include "op/op.h"

static bool known(enum pm_dtype t)
{
	return t == PM_F32 || t == PM_F16 || t == PM_BF16;
}

int pm_cast(struct pm_dev *d, struct pm_mem *out, enum pm_dtype to, struct pm_mem *in, enum pm_dtype from, int64_t count, struct pm_err *e)
{
	bool cpu = pm_elem_cpu(d);
	const struct pm_kernel *k;
	char defines[64];

	if (!known(to) || !known(from))
		return pm_fail(e, PM_SOFTWARE, "cast from %s to %s: only f32, f16 and bf16 are known", pm_dtype(from)->name, pm_dtype(to)->name);
	snprintf(defines, sizeof defines, "-DTYPE_TO=%s -DTYPE_FROM=%s", pm_dtype(to)->name, pm_dtype(from)->name);
	k = pm_kernel(d, "cast", cpu ? "cast_elements_cpu" : "cast_elements", defines, e);
	return k ? PM_LAUNCH(k, pm_elementwise(cpu, 1, count, 0, pm_dtype(to)->bytes + pm_dtype(from)->bytes), e,
		PM_MEM(out), PM_MEM(in), PM_I64(count)) : -1;
}
