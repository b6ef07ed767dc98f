/* profile.c: what launches cost, by kernel. */
#include "dev/private.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

/* Events kept before the queue is drained to read them: drivers hold memory for each. */
#define MANY 4096

double pm_profile_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

int pm_profile_add(struct pm_kernel *k, cl_event event, double flops, double bytes, struct pm_err *e)
{
	struct pm_dev *d = k->dev;

	if (pm_grow(&d->timed, &d->cap_timed, d->ntimed + 1, sizeof *d->timed, e) < 0) {
		clReleaseEvent(event);
		return -1;
	}
	d->timed[d->ntimed++] = (struct pm_timed){event, k, flops, bytes};
	return d->ntimed < MANY ? 0 : pm_dev_finish(d, e);
}

int pm_profile_collect(struct pm_dev *d, struct pm_err *e)
{
	cl_int code = CL_SUCCESS;
	size_t i;

	for (i = 0; i < d->ntimed; i++) {
		struct pm_timed *t = &d->timed[i];
		cl_ulong from = 0, to = 0;

		if (code == CL_SUCCESS)
			code = clGetEventProfilingInfo(t->event, CL_PROFILING_COMMAND_START, sizeof from, &from, NULL);
		if (code == CL_SUCCESS)
			code = clGetEventProfilingInfo(t->event, CL_PROFILING_COMMAND_END, sizeof to, &to, NULL);
		clReleaseEvent(t->event);
		t->kernel->calls++;
		t->kernel->seconds += to > from ? 1e-9 * (double)(to - from) : 0;
		t->kernel->flops += t->flops;
		t->kernel->bytes += t->bytes;
	}
	d->ntimed = 0;
	return code == CL_SUCCESS ? 0 : pm_cl_fail(e, code, "clGetEventProfilingInfo");
}

static int by_time(const void *a, const void *b)
{
	const struct pm_kernel *x = *(struct pm_kernel *const *)a, *y = *(struct pm_kernel *const *)b;

	return x->seconds < y->seconds ? 1 : x->seconds > y->seconds ? -1 : strcmp(x->name, y->name);
}

static void print_row(const struct pm_kernel *k, double wall, FILE *f)
{
	const char *op = k->program->operation;
	size_t n = strlen(op);
	char name[256];

	/* A kernel that bears its operation's name in front ("linear_fwd") says all by itself. */
	snprintf(name, sizeof name, "%s%s%s%s%s", strncmp(k->name, op, n) ? op : "", strncmp(k->name, op, n) ? "." : "", k->name,
		*k->program->defines ? " " : "", k->program->defines);
	fprintf(f, "%-48s %8llu %10.3f %6.2f", name, (unsigned long long)k->calls, 1e3 * k->seconds, wall > 0 ? 100 * k->seconds / wall : 0);
	if (k->bytes > 0 && k->seconds > 0)
		fprintf(f, " %8.2f", 1e-9 * k->bytes / k->seconds);
	else
		fprintf(f, " %8s", "-");
	if (k->flops > 0 && k->seconds > 0)
		fprintf(f, " %9.2f\n", 1e-9 * k->flops / k->seconds);
	else
		fprintf(f, " %9s\n", "-");
}

int pm_dev_profile(struct pm_dev *d, FILE *f, struct pm_err *e)
{
	struct pm_kernel **rows = NULL, *k;
	double wall, sum = 0;
	size_t n = 0, cap = 0, b;

	if (!d->profile)
		return pm_fail(e, PM_SOFTWARE, "the device was not opened to be profiled");
	if (pm_dev_finish(d, e) < 0)
		return -1;
	wall = pm_profile_clock() - d->since;
	for (b = 0; b < PM_BUCKETS; b++) {
		for (k = d->table[b]; k; k = k->next) {
			if (!k->calls)
				continue;
			if (pm_grow(&rows, &cap, n + 1, sizeof *rows, e) < 0) {
				free(rows);
				return -1;
			}
			rows[n++] = k;
			sum += k->seconds;
		}
	}
	if (n)
		qsort(rows, n, sizeof *rows, by_time);
	fprintf(f, "%-48s %8s %10s %6s %8s %9s\n", "kernel", "calls", "ms", "%", "GB/s", "GFLOP/s");
	for (b = 0; b < n; b++)
		print_row(rows[b], wall, f);
	fprintf(f, "%-48s %8s %10.3f %6.2f\n", "all kernels", "", 1e3 * sum, wall > 0 ? 100 * sum / wall : 0);
	fprintf(f, "%-48s %8s %10.3f %6.2f\n", "outside kernels", "", 1e3 * (wall - sum), wall > 0 ? 100 * (wall - sum) / wall : 0);
	fprintf(f, "%-48s %8s %10.3f %6.2f\n", "wall time", "", 1e3 * wall, 100.0);
	free(rows);
	return 0;
}

void pm_dev_profile_reset(struct pm_dev *d)
{
	struct pm_err ignored;
	struct pm_kernel *k;
	size_t b;

	pm_dev_finish(d, &ignored);
	for (b = 0; b < PM_BUCKETS; b++) {
		for (k = d->table[b]; k; k = k->next) {
			k->calls = 0;
			k->seconds = k->flops = k->bytes = 0;
		}
	}
	d->since = pm_profile_clock();
}
