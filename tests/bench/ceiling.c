/* ceiling.c: what the device can do at most, by kernels/ceiling.cl: the figures that others are shares of. */
#include <stdio.h>

#include "bench.h"

struct job {
	const struct pm_kernel *kernel;
	struct pm_mem *y, *x;
	size_t items, local;
	int steps;
	int64_t vectors;
};

static int run_products(void *arg, struct pm_err *e)
{
	const struct job *j = arg;

	return PM_LAUNCH(j->kernel, ((struct pm_launch){.global = {j->items}, .local = {j->local}}), e, PM_MEM(j->y), PM_I32(j->steps),
		PM_F32(0.5f), PM_F32(0.25f));
}

static int run_read(void *arg, struct pm_err *e)
{
	const struct job *j = arg;

	return PM_LAUNCH(j->kernel, ((struct pm_launch){.global = {j->items}, .local = {j->local}}), e, PM_MEM(j->y), PM_MEM(j->x), PM_I64(j->vectors));
}

/* `each`: operations of one item's step. */
static void products(struct bench *b, const char *what, const char *kernel, const char *ceiling, double each)
{
	const struct pm_dev_info *info = pm_dev_info(b->dev);
	struct job j = {.items = info->cpu ? 8 * info->units : 2048 * info->units, .local = info->cpu ? 1 : 128, .steps = info->cpu ? 10000 : 4000};
	struct bench_time t;
	double amount = each * (double)j.items * j.steps;

	j.kernel = pm_kernel(b->dev, "ceiling", kernel, NULL, &b->e);
	bench_must(b, j.kernel ? 0 : -1);
	bench_must(b, pm_mem_new(&j.y, b->dev, 4 * j.items, &b->e));
	t = bench_time(b, run_products, &j);
	bench_set_ceiling(ceiling, t, amount);
	bench_row(b, what, t, amount, ceiling[0] == 'i' ? "GOP/s" : "GFLOP/s", NULL);
	pm_mem_free(j.y);
}

static void read_memory(struct bench *b)
{
	const struct pm_dev_info *info = pm_dev_info(b->dev);
	size_t bytes = (size_t)256 << 20, width = info->cpu ? 64 : 16;
	struct job j = {.items = info->cpu ? 8 * info->units : 256 * info->units, .local = info->cpu ? 1 : 64};
	struct bench_time t;
	double amount;

	while (bytes > info->largest / 4)
		bytes /= 2;
	/* Streams a power of two apart would fall on the same cache sets: 9 lines more or less keep them off each other. */
	j.vectors = (int64_t)(bytes / (j.items * 8 * width)) / 64 * 64 - 55;
	amount = (double)j.vectors * (double)(j.items * 8 * width);
	j.kernel = pm_kernel(b->dev, "ceiling", "ceiling_read", NULL, &b->e);
	bench_must(b, j.kernel ? 0 : -1);
	bench_must(b, pm_mem_new(&j.y, b->dev, 4 * j.items, &b->e));
	bench_must(b, pm_mem_new(&j.x, b->dev, bytes, &b->e));
	bench_must(b, pm_mem_zero(j.x, 0, bytes, &b->e));
	t = bench_time(b, run_read, &j);
	bench_set_ceiling("dram", t, amount);
	bench_row(b, "ceiling: memory read once, 8 streams", t, amount, "GB/s", NULL);
	pm_mem_free(j.x);
	pm_mem_free(j.y);
}

BENCH(0, ceiling)
{
	const struct pm_dev_info *info = pm_dev_info(b->dev);

	products(b, "ceiling: f32 fma", "ceiling_f32", "f32", 12 * 2 * (info->cpu ? 16 : 4));
	if (info->bf16)
		products(b, "ceiling: bf16, vdpbf16ps", "ceiling_bf16", "bf16", 12 * 64);
	if (info->amx)
		products(b, "ceiling: bf16, AMX", "ceiling_amx", "amx", 4 * 16384);
	if (info->vnni)
		products(b, "ceiling: int8, vpdpbusd", "ceiling_vnni", "int8", 12 * 128);
	read_memory(b);
}
