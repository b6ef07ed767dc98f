/* adamw.c: one step of AdamW.  kernels/adamw.cl, tests/op/adamw.c */
#include <math.h>

#include "op/elem.h"
#include "op/op.h"

int pm_adamw(struct pm_dev *d, struct pm_mem *p, struct pm_mem *grad, struct pm_mem *m, struct pm_mem *v, int64_t count,
	const struct pm_adamw *o, struct pm_err *e)
{
	bool cpu = pm_elem_cpu(d);
	const struct pm_kernel *k = pm_kernel(d, "adamw", cpu ? "adamw_step_cpu" : "adamw_step", NULL, e);
	double n = (double)o->step;

	if (!k)
		return -1;
	return PM_LAUNCH(k, pm_elementwise(cpu, 1, count, 14, 28), e, PM_MEM(p), PM_MEM(m), PM_MEM(v), PM_MEM(grad), PM_I64(count),
		PM_F32(o->gscale), PM_F32(1 - o->lr * o->decay), PM_F32(o->beta1), PM_F32(1 - o->beta1), PM_F32(o->beta2), PM_F32(1 - o->beta2),
		PM_F32(o->lr / (1 - pow(o->beta1, n))), PM_F32(sqrt(1 - pow(o->beta2, n))), PM_F32(o->eps));
}
