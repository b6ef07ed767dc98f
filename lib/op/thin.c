/* thin.c: products of few rows (gemm.h). kernels/thin.cl, thin_cpu.cl */
#include <stdio.h>
#include <string.h>

#include "op/gemm.h"

#define PORTABLE_LANES 32
#define PORTABLE_ROWS 16
#define BLOCK 24                /* columns are handed out by so many, stored (k, n) by WIDTH (thin_cpu.cl) */
#define WIDTH 64
#define ITEMS_A_UNIT 16         /* work-items a compute unit: so that they end together */
#define ITEMS_A_RUN 4
#define INT8_MOST 32768         /* largest k of thin_int8_cpu.cl */

/* Whether the integer kernels do it: codes are integers, but for NF4 and FP4. */
static bool in_int8(const struct pm_dev *d, const struct pm_thin *p)
{
	return p->int8 && p->b_trans && !pm_dtype_plain(p->b.type) && p->b.type != PM_NF4 && p->b.type != PM_FP4 && p->k <= INT8_MOST && pm_dev_info(d)->vnni && pm_tune(d, "linear", "int8", 1);
}

/* Columns of a work-item: so many that a unit has ITEMS_A_UNIT, and a run, whose rows may be more than another's, a few. */
static int64_t columns(const struct pm_dev *d, const struct pm_thin *p)
{
	const int64_t unit = p->b_trans ? BLOCK : WIDTH, items = (int64_t)pm_dev_info(d)->units * ITEMS_A_UNIT;
	const int64_t of_run = p->slots ? pm_ceil_div(items, p->slots) : items;

	return pm_ceil_div(pm_ceil_div(p->n, unit), of_run > ITEMS_A_RUN ? of_run : ITEMS_A_RUN) * unit;
}

int pm_thin(struct pm_dev *d, const struct pm_thin *p, struct pm_err *e)
{
	const struct pm_dev_info *info = pm_dev_info(d);
	const bool cpu = info->cpu && !pm_dev_reference(d), int8 = cpu && in_int8(d, p);
	const int64_t cols = columns(d, p), slots = p->slots ? p->slots : 1, together = pm_ceil_div(p->m, slots);
	const struct pm_kernel *k;
	struct pm_launch l = {.flops = 2.0 * (double)p->m * (double)p->n * (double)p->k,
		.bytes = (double)slots * (double)pm_dtype_bytes(p->b.type, (uint64_t)(p->n * p->k)) + 4.0 * (double)p->m * (double)(p->n + p->k)};
	char defines[64];

	if (p->m <= 0 || p->n <= 0 || p->k <= 0)
		return 0;
	if (p->n > INT32_MAX / 2 || p->k > INT32_MAX / 2)
		return pm_fail(e, PM_SOFTWARE, "a product with (%lld, %lld) is too large", (long long)p->k, (long long)p->n);
	snprintf(defines, sizeof defines, "-DTYPE_B=%s", pm_dtype(p->b.type)->name);
	if (int8)
		snprintf(defines + strlen(defines), 16, " -DROWS=%d", together > 2 ? 4 : (int)together);
	k = pm_kernel(d, int8 ? "thin_int8_cpu" : cpu ? "thin_cpu" : "thin", p->b_trans ? "thin" : "thin_stored", defines, e);
	if (!k)
		return -1;
	if (cpu) {
		l.global[0] = (size_t)pm_ceil_div(p->n, cols);
		l.global[1] = (size_t)slots;
	} else {
		l.global[0] = (size_t)(p->b_trans ? p->n : pm_ceil_div(p->n, PORTABLE_LANES)) * PORTABLE_LANES;
		l.global[1] = (size_t)pm_ceil_div(p->m, PORTABLE_ROWS);
		l.global[2] = (size_t)slots;
		l.local[0] = PORTABLE_LANES;
	}
	return PM_LAUNCH(k, l, e, PM_MEM(p->c.mem), PM_I64(p->c.off), PM_I64(p->c.ld), PM_MEM(p->a.mem), PM_I64(p->a.off), PM_I64(p->a.ld),
		PM_MEM(p->b.mem), PM_I64(p->b.off), PM_I64(p->b.ld), PM_I32(p->m), PM_I32(p->n), PM_I32(p->k), PM_I32(cols),
		PM_MEM(p->bias.mem), PM_I64(p->bias.off), PM_I32(p->bias.type), PM_MEM(p->add.mem), PM_I64(p->add.off), PM_I64(p->add.ld),
		PM_MEM(p->h.mem), PM_I64(p->h.off), PM_I64(p->h.ld), PM_MEM(p->l.mem), PM_I64(p->l.off), PM_I64(p->l.ld), PM_I32(p->r),
		PM_F32(p->s), PM_F32(p->scale ? p->scale : 1), PM_MEM(p->runs), PM_I64(p->b_step), PM_I64(p->l_step));
}
