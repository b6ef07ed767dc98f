/* ceiling.c: what the device can do at most: the figures that others are shares of. */
#include "bench.h"

BENCH(0, ceiling)
{
	const struct pm_dev_info *info = pm_dev_info(b->dev);
	const struct {
		const char *what, *unit, *name;
	} row[PM_RATES] = {
		[PM_RATE_F32] = {"ceiling: f32 fma", "GFLOP/s", "f32"},
		[PM_RATE_BF16] = {info->amx ? "ceiling: bf16, AMX" : "ceiling: bf16, vdpbf16ps", "GFLOP/s", info->amx ? "amx" : "bf16"},
		[PM_RATE_INT8] = {"ceiling: int8, vpdpbusd", "GOP/s", "int8"},
		[PM_RATE_READ] = {"ceiling: memory read once, 8 streams", "GB/s", "dram"},
	};
	double best[PM_RATES], median[PM_RATES];
	int i;

	bench_must(b, pm_dev_measure(b->dev, best, median, &b->e));
	for (i = 0; i < PM_RATES; i++) {
		const struct bench_time second = {1 / (best[i] > 0 ? best[i] : 1), 1 / (median[i] > 0 ? median[i] : 1)};

		if (best[i] <= 0)
			continue;
		bench_set_ceiling(row[i].name, second, 1);
		bench_row(b, row[i].what, second, 1, row[i].unit, NULL);
	}
}
