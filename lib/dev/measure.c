/* measure.c: what the device can do at most, by kernels/ceiling.cl, and the file that keeps it: CACHE/KEY.rates, two lines: MAGIC, and the
 * rates as decimal numbers closed by a semicolon. */
#include "dev/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"

#define MAGIC "pm-rates 2"
#define RUNS 9

struct job {
	const struct pm_kernel *kernel;
	struct pm_mem *y, *x;                   /* x: what is read; NULL: only computed */
	struct pm_launch at;
	int64_t steps;                          /* or vectors */
	double amount;                          /* operations or bytes of a run */
};

static int run_once(const struct job *j, struct pm_err *e)
{
	int r = j->x ? PM_LAUNCH(j->kernel, j->at, e, PM_MEM(j->y), PM_MEM(j->x), PM_I64(j->steps)) :
		PM_LAUNCH(j->kernel, j->at, e, PM_MEM(j->y), PM_I32(j->steps), PM_F32(0.5f), PM_F32(0.25f));

	return r < 0 ? -1 : pm_dev_finish(j->kernel->dev, e);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static int time_job(const struct job *j, double *best, double *median, struct pm_err *e)
{
	double t[RUNS], from;
	int i;

	if (run_once(j, e) < 0)                 /* compiles, and touches the memory */
		return -1;
	for (i = 0; i < RUNS; i++) {
		from = pm_profile_clock();
		if (run_once(j, e) < 0)
			return -1;
		t[i] = pm_profile_clock() - from;
	}
	qsort(t, RUNS, sizeof *t, by_size);
	*best = j->amount / t[0];
	*median = j->amount / t[RUNS / 2];
	return 0;
}

/* `each`: operations of one item's step. */
static int products(struct pm_dev *d, const char *kernel, double each, double *best, double *median, struct pm_err *e)
{
	size_t items = d->info.cpu ? 8 * d->info.units : 2048 * d->info.units;
	/* About 10 ms of work for a CPU: in a shorter time not all of its threads have woken. */
	struct job j = {.at = {.global = {items}, .local = {d->info.cpu ? 1 : 128}}, .steps = d->info.cpu ? 400000 : 4000};
	int r = -1;

	j.amount = each * (double)items * (double)j.steps;
	j.kernel = pm_kernel(d, "ceiling", kernel, NULL, e);
	if (j.kernel && pm_mem_new(&j.y, d, 4 * items, e) == 0)
		r = time_job(&j, best, median, e);
	pm_mem_free(j.y);
	return r;
}

/* In so many streams an item. */
static int reading_in(struct pm_dev *d, int streams, double *best, double *median, struct pm_err *e)
{
	size_t bytes = (size_t)256 << 20, width = d->info.cpu ? 64 : 16, items = d->info.cpu ? 8 * d->info.units : 256 * d->info.units;
	struct job j = {.at = {.global = {items}, .local = {d->info.cpu ? 1 : 64}}};
	const size_t row = items * (size_t)streams * width;
	char define[24];
	int r = -1;

	while (bytes > d->info.largest / 4)
		bytes /= 2;
	/* Streams a power of two apart would fall on the same cache sets: 9 lines more or less keep them off each other. */
	j.steps = (int64_t)(bytes / row) / 64 * 64 - 55;
	if (j.steps < 1)
		return pm_fail(e, PM_NODEVICE, "%s: too little memory to measure with", d->info.name);
	j.amount = (double)j.steps * (double)row;
	snprintf(define, sizeof define, "-DSTREAMS=%d", streams);
	j.kernel = pm_kernel(d, "ceiling", "ceiling_read", define, e);
	if (j.kernel && pm_mem_new(&j.y, d, 4 * items, e) == 0 && pm_mem_new(&j.x, d, bytes, e) == 0 && pm_mem_zero(j.x, 0, bytes, e) == 0)
		r = time_job(&j, best, median, e);
	pm_mem_free(j.x);
	pm_mem_free(j.y);
	return r;
}

/* The most: a Zen 4 reads more in two or four streams a core, other processors in eight. */
static int reading(struct pm_dev *d, double *best, double *median, struct pm_err *e)
{
	double b, m;
	int streams;

	for (streams = d->info.cpu ? 2 : 8; streams <= 8; streams *= 2) {
		if (reading_in(d, streams, &b, &m, e) < 0)
			return -1;
		if (b > *best) {
			*best = b;
			*median = m;
		}
	}
	return 0;
}

/* The file of this device as it is opened; NULL where nothing is kept. */
static char *rates_path(const struct pm_dev *d, struct pm_err *e)
{
	const struct pm_dev_info *i = &d->info;
	char hex[PM_SHA256_HEX], text[1200];

	if (!d->cache)
		return NULL;
	snprintf(text, sizeof text, "%s %s %s %s %u %d%d%d%d%d", i->name, i->vendor, i->driver, i->platform, i->units, i->cpu, i->avx512, i->vnni, i->bf16, i->amx);
	if (pm_sha256_bytes(hex, text, strlen(text), e) < 0)
		return NULL;
	snprintf(text, sizeof text, "%.32s.rates", hex);
	return pm_path(d->cache, text, e);
}

static int keep(struct pm_dev *d, struct pm_err *e)
{
	char *path = rates_path(d, e), text[200];
	struct pm_out o;
	int r = -1;

	if (!path)
		return d->cache ? -1 : 0;
	snprintf(text, sizeof text, MAGIC "\n%.0f %.0f %.0f %.0f;\n", d->rate[0], d->rate[1], d->rate[2], d->rate[3]);
	if (pm_mkdirs(d->cache, e) == 0 && pm_out_open(&o, path, e) == 0) {
		if (pm_out_write(&o, text, strlen(text), e) == 0)
			r = pm_out_close(&o, e);
		else
			pm_out_abort(&o);
	}
	free(path);
	return r;
}

void pm_rates_load(struct pm_dev *d)
{
	struct pm_str text = {0};
	struct pm_err ignored;
	char *path = rates_path(d, &ignored), end = 0;
	double v[PM_RATES];

	/* A file that is not as it was written is as good as none. */
	d->rated = path && pm_read_file(&text, path, &ignored) == 0 && text.data &&
		sscanf(text.data, MAGIC "\n%lf %lf %lf %lf%c", &v[0], &v[1], &v[2], &v[3], &end) == 5 && end == ';' && v[PM_RATE_F32] > 0 && v[PM_RATE_READ] > 0;
	if (d->rated)
		memcpy(d->rate, v, sizeof v);
	pm_str_free(&text);
	free(path);
}

int pm_dev_measure(struct pm_dev *d, double best[PM_RATES], double median[PM_RATES], struct pm_err *e)
{
	const struct pm_dev_info *i = &d->info;
	double m[PM_RATES] = {0};

	memset(best, 0, PM_RATES * sizeof *best);
	if (products(d, "ceiling_f32", 12 * 2 * (i->cpu ? 16 : 4), &best[PM_RATE_F32], &m[PM_RATE_F32], e) < 0)
		return -1;
	if (i->bf16 && !i->amx && products(d, "ceiling_bf16", 12 * 64, &best[PM_RATE_BF16], &m[PM_RATE_BF16], e) < 0)
		return -1;
	if (i->amx && products(d, "ceiling_amx", 4 * 16384, &best[PM_RATE_BF16], &m[PM_RATE_BF16], e) < 0)
		return -1;
	if (i->vnni && products(d, "ceiling_vnni", 12 * 128, &best[PM_RATE_INT8], &m[PM_RATE_INT8], e) < 0)
		return -1;
	if (reading(d, &best[PM_RATE_READ], &m[PM_RATE_READ], e) < 0)
		return -1;
	if (median)
		memcpy(median, m, sizeof m);
	memcpy(d->rate, best, sizeof d->rate);
	d->rated = true;
	return keep(d, e);
}
