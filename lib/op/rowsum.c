#include "op/rowsum.h"

#include <stdio.h>

/* As in kernels/rowsum.cl. */
enum { LANES_CPU = 16, WG_CPU = 1, LANES_GPU = 4, WG_GPU = 128, CHUNK = 32 };

struct pm_launch pm_row_launch(const struct pm_dev *d, int64_t rows, int64_t parts, double flops, double bytes)
{
	const bool cpu = pm_dev_info(d)->cpu;
	const size_t wg = cpu ? WG_CPU : WG_GPU;

	/* A CPU's work-group walks a whole row: a head's columns are too few to be worth one. */
	return (struct pm_launch){.global = {(size_t)rows * wg, cpu ? 1 : (size_t)parts}, .local = {wg, 1},
		.flops = flops, .bytes = bytes};
}

struct pm_launch pm_rowsum_launch(const struct pm_dev *d, int64_t cols, int64_t chunks, double flops, double bytes)
{
	const int64_t lanes = pm_dev_info(d)->cpu ? LANES_CPU : LANES_GPU;

	return (struct pm_launch){.global = {(size_t)((cols + lanes - 1) / lanes), (size_t)chunks}, .flops = flops, .bytes = bytes};
}

struct pm_rowsum_cut pm_rowsum_cut(const struct pm_graph *g, int64_t rows)
{
	struct pm_rowsum_cut cut = {.period = g->period > 0 && g->period < rows ? g->period : rows};

	cut.periods = (rows + cut.period - 1) / cut.period;
	cut.chunks = (cut.period + CHUNK - 1) / CHUNK;
	return cut;
}

int pm_rowsum_add(struct pm_tensor *out, bool add, struct pm_mem *scratch, int64_t at, struct pm_rowsum_cut cut, struct pm_err *e)
{
	struct pm_dev *d = pm_mem_dev(scratch);
	const struct pm_kernel *k = pm_kernel(d, "rowsum", "rowsum_add", NULL, e);
	const double parts = (double)(cut.periods * cut.chunks * out->cols);

	if (!k)
		return -1;
	return PM_LAUNCH(k, ((struct pm_launch){.global = {(size_t)out->cols}, .flops = parts, .bytes = 4 * parts}), e,
		PM_AT1(out), PM_MEM(scratch), PM_I64(at), PM_I32(out->cols), PM_I32(cut.periods), PM_I32(cut.chunks), PM_I32(add));
}

void pm_define_type(char *to, size_t size, const char *s, const struct pm_tensor *t)
{
	if (t)
		snprintf(to, size, "-DTYPE_%s=%s ", s, pm_dtype(t->type)->name);
	else
		snprintf(to, size, "%s", "");
}
