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

int pm_profile_add(struct pm_dev *d, struct pm_sums *sums, cl_event event, const struct pm_launch *l, struct pm_err *e)
{
	if (pm_grow(&d->timed, &d->cap_timed, d->ntimed + 1, sizeof *d->timed, e) < 0) {
		clReleaseEvent(event);
		return -1;
	}
	d->timed[d->ntimed++] = (struct pm_timed){event, sums, l->flops, l->bytes, l->unit};
	return d->ntimed < MANY ? 0 : pm_dev_finish(d, e);
}

void pm_profile_count(struct pm_dev *d, enum pm_other what, double from, size_t bytes)
{
	d->others[what].calls++;
	d->others[what].seconds += pm_profile_clock() - from;
	d->others[what].bytes += (double)bytes;
}

/* How long it would take at the device's rates. */
static double floor_of(const struct pm_dev *d, double bytes, double flops, enum pm_rate unit)
{
	double move = d->rate[PM_RATE_READ] > 0 ? bytes / d->rate[PM_RATE_READ] : 0;
	double work = d->rate[unit] > 0 ? flops / d->rate[unit] : 0;

	return move > work ? move : work;
}

/* Adds what a launch took; and the time before it in which it was queued and nothing else ran. */
static cl_int collect_one(struct pm_dev *d, const struct pm_timed *t)
{
	cl_ulong queued = 0, from = 0, to = 0, idle;
	cl_int code = clGetEventProfilingInfo(t->event, CL_PROFILING_COMMAND_START, sizeof from, &from, NULL);

	if (code == CL_SUCCESS)
		code = clGetEventProfilingInfo(t->event, CL_PROFILING_COMMAND_END, sizeof to, &to, NULL);
	if (code == CL_SUCCESS)
		code = clGetEventProfilingInfo(t->event, CL_PROFILING_COMMAND_QUEUED, sizeof queued, &queued, NULL);
	if (code != CL_SUCCESS)
		return code;
	idle = queued > d->ended ? queued : d->ended;
	d->others[PM_GAPS].calls++;
	d->others[PM_GAPS].seconds += from > idle ? 1e-9 * (double)(from - idle) : 0;
	d->ended = to;
	t->sums->calls++;
	t->sums->last = to > from ? 1e-9 * (double)(to - from) : 0;
	t->sums->seconds += t->sums->last;
	t->sums->flops += t->flops;
	t->sums->bytes += t->bytes;
	t->sums->floor += floor_of(d, t->bytes, t->flops, t->unit);
	return code;
}

int pm_profile_collect(struct pm_dev *d, struct pm_err *e)
{
	cl_int code = CL_SUCCESS;
	size_t i;

	for (i = 0; i < d->ntimed; i++) {
		if (code == CL_SUCCESS)
			code = collect_one(d, &d->timed[i]);
		clReleaseEvent(d->timed[i].event);
	}
	d->ntimed = 0;
	return code == CL_SUCCESS ? 0 : pm_cl_fail(e, code, "clGetEventProfilingInfo");
}

bool pm_dev_profiled(const struct pm_dev *d)
{
	return d->profile;
}

static struct pm_part *part_of(struct pm_dev *d, const char *name, struct pm_err *e)
{
	struct pm_part *p = d->parts;

	while (p && strcmp(p->name, name))
		p = p->next;
	if (p)
		return p;
	p = pm_alloc(1, sizeof *p, e);
	if (!p)
		return NULL;
	p->name = pm_strdup(name, e);
	if (!p->name) {
		free(p);
		return NULL;
	}
	p->next = d->parts;
	return d->parts = p;
}

int pm_dev_share(const struct pm_kernel *kernel, const struct pm_share *s, size_t n, struct pm_err *e)
{
	struct pm_kernel *k = (struct pm_kernel *)(size_t)kernel;       /* as pm_launch */
	size_t i;

	if (pm_dev_finish(k->dev, e) < 0)
		return -1;
	for (i = 0; i < n; i++) {
		struct pm_part *p = part_of(k->dev, s[i].name, e);
		const double seconds = s[i].of * k->sums.last;

		if (!p)
			return -1;
		p->sums.calls += s[i].calls;
		p->sums.seconds += seconds;
		p->sums.flops += s[i].flops;
		p->sums.bytes += s[i].bytes;
		p->sums.floor += floor_of(k->dev, s[i].bytes, s[i].flops, PM_RATE_F32);
		k->sums.seconds -= seconds;
	}
	return 0;
}

void pm_profile_free(struct pm_dev *d)
{
	while (d->parts) {
		struct pm_part *p = d->parts;

		d->parts = p->next;
		free(p->name);
		free(p);
	}
}

struct row {
	const struct pm_sums *sums;
	char name[256];
};

static int by_time(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	return x->sums->seconds < y->sums->seconds ? 1 : x->sums->seconds > y->sums->seconds ? -1 : strcmp(x->name, y->name);
}

static int add_row(struct row **rows, size_t *n, size_t *cap, const struct pm_sums *sums, struct pm_err *e)
{
	if (pm_grow(rows, cap, *n + 1, sizeof **rows, e) < 0)
		return -1;
	(*rows)[(*n)++].sums = sums;
	return 0;
}

/* Every kernel and other thing that was used; *rows is the caller's to free. */
static int make_rows(struct pm_dev *d, struct row **rows, size_t *n, struct pm_err *e)
{
	static const char *const others[PM_OTHERS] = {"(write)", "(read)", "(zero)", "(compile)", "(launch)"};
	const struct pm_kernel *k;
	const struct pm_part *p;
	size_t cap = 0, i;

	*rows = NULL;
	*n = 0;
	for (i = 0; i < PM_BUCKETS; i++) {
		for (k = d->table[i]; k; k = k->next) {
			const char *op = k->program->operation;
			/* A kernel that bears its operation's name in front ("linear_fwd") says all by itself. */
			bool own = strncmp(k->name, op, strlen(op)) == 0;

			if (!k->sums.calls)
				continue;
			if (add_row(rows, n, &cap, &k->sums, e) < 0)
				return -1;
			snprintf((*rows)[*n - 1].name, sizeof (*rows)->name, "%s%s%s%s%s", own ? "" : op, own ? "" : ".", k->name,
				*k->program->defines ? " " : "", k->program->defines);
		}
	}
	for (p = d->parts; p; p = p->next) {
		if (!p->sums.calls)
			continue;
		if (add_row(rows, n, &cap, &p->sums, e) < 0)
			return -1;
		snprintf((*rows)[*n - 1].name, sizeof (*rows)->name, "%s", p->name);
	}
	for (i = 0; i < PM_OTHERS; i++) {
		if (!d->others[i].calls)
			continue;
		if (add_row(rows, n, &cap, &d->others[i], e) < 0)
			return -1;
		snprintf((*rows)[*n - 1].name, sizeof (*rows)->name, "%s", others[i]);
	}
	if (*n)
		qsort(*rows, *n, sizeof **rows, by_time);
	return 0;
}

static void print_rate(double amount, double seconds, int width, FILE *f)
{
	if (amount > 0 && seconds > 0)
		fprintf(f, " %*.2f", width, 1e-9 * amount / seconds);
	else
		fprintf(f, " %*s", width, "-");
}

static void print_line(const char *name, const char *calls, double seconds, double wall, FILE *f)
{
	fprintf(f, "%-48s %8s %10.3f %6.2f", name, calls, 1e3 * seconds, wall > 0 ? 100 * seconds / wall : 0);
}

int pm_dev_profile(struct pm_dev *d, FILE *f, struct pm_err *e)
{
	struct row *rows;
	double wall, sum = 0;
	char calls[32];
	size_t n, i;

	if (!d->profile)
		return pm_fail(e, PM_SOFTWARE, "the device was not opened to be profiled");
	if (pm_dev_finish(d, e) < 0)
		return -1;
	wall = pm_profile_clock() - d->since;
	if (make_rows(d, &rows, &n, e) < 0) {
		free(rows);
		return -1;
	}
	fprintf(f, "%-48s %8s %10s %6s %8s %9s%s\n", "kernel", "calls", "ms", "%", "GB/s", "GFLOP/s", d->rated ? "  floor %" : "");
	for (i = 0; i < n; i++) {
		const struct pm_sums *s = rows[i].sums;

		snprintf(calls, sizeof calls, "%llu", (unsigned long long)s->calls);
		print_line(rows[i].name, calls, s->seconds, wall, f);
		print_rate(s->bytes, s->seconds, 8, f);
		print_rate(s->flops, s->seconds, 9, f);
		if (d->rated && s->floor > 0 && s->seconds > 0)
			fprintf(f, " %8.1f", 100 * s->floor / s->seconds);
		putc('\n', f);
		sum += s->seconds;
	}
	print_line("all of these", "", sum, wall, f);
	putc('\n', f);
	print_line("unexplained", "", wall - sum, wall, f);
	putc('\n', f);
	print_line("wall time", "", wall, wall, f);
	putc('\n', f);
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
		for (k = d->table[b]; k; k = k->next)
			k->sums = (struct pm_sums){0};
	}
	memset(d->others, 0, sizeof d->others);
	pm_profile_free(d);
	d->since = pm_profile_clock();
}
