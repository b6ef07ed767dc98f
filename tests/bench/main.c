/* main.c: bench: runs the rows of this directory. Usage: bench [-d DEVICE] [-j THREADS] [--mask SETS] [--cpu-time] [--only TEXT] [NAME …]
 * --cpu-time: seconds are those of the process, divided by the device's units: for a CPU that others use, too.
 * --only: rows whose names hold TEXT.
 * Or it makes a random model for others to measure with: bench --make CONFIG.json DIR
 * Environment: PM_KERNELS, PM_SHARE (directories; default those of the checkout), PM_CACHE. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/file.h"
#include "bench.h"
#include "cli/tool.h"

static struct bench_entry *entries;

static struct {
	const char *name;
	double rate;
} ceilings[16];

void bench_add(struct bench_entry *entry)
{
	struct bench_entry **p = &entries;

	while (*p && ((*p)->place < entry->place || ((*p)->place == entry->place && strcmp((*p)->name, entry->name) < 0)))
		p = &(*p)->next;
	entry->next = *p;
	*p = entry;
}

void bench_must(struct bench *b, int r)
{
	if (r < 0) {
		fflush(stdout);
		fprintf(stderr, "bench: %s\n", b->e.text);
		exit((int)b->e.status);
	}
}

/* Units whose time the process's seconds are of; 0: seconds are the clock's. */
static unsigned cpu_units;

static double now(void)
{
	struct timespec ts;

	clock_gettime(cpu_units ? CLOCK_PROCESS_CPUTIME_ID : CLOCK_MONOTONIC, &ts);
	return ((double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec) / (cpu_units ? cpu_units : 1);
}

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

struct bench_time bench_time(struct bench *b, int (*f)(void *, struct pm_err *), void *arg)
{
	static double t[10000];
	double start;
	int n = 0;

	bench_must(b, f(arg, &b->e));
	bench_must(b, pm_dev_finish(b->dev, &b->e));
	start = now();
	do {
		double from = now();

		bench_must(b, f(arg, &b->e));
		bench_must(b, pm_dev_finish(b->dev, &b->e));
		t[n++] = now() - from;
	} while (n < 5 || (n < 10000 && now() - start < 1));
	qsort(t, (size_t)n, sizeof *t, by_size);
	return (struct bench_time){t[0], t[n / 2]};
}

void bench_set_ceiling(const char *name, struct bench_time t, double amount)
{
	size_t i;

	for (i = 0; i < sizeof ceilings / sizeof *ceilings; i++) {
		if (!ceilings[i].name || !strcmp(ceilings[i].name, name)) {
			ceilings[i].name = name;
			ceilings[i].rate = 1e-9 * amount / t.best;
			return;
		}
	}
}

double bench_ceiling(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof ceilings / sizeof *ceilings && ceilings[i].name; i++) {
		if (!strcmp(ceilings[i].name, name))
			return ceilings[i].rate;
	}
	return 0;
}

bool bench_wants(const struct bench *b, const char *what)
{
	return !b->only || strstr(what, b->only);
}

void bench_compare(struct bench_errors *s, double is, double wanted)
{
	s->off += (is - wanted) * (is - wanted);
	s->size += wanted * wanted;
}

double bench_error(struct bench_errors s)
{
	return s.size > 0 ? sqrt(s.off / s.size) : 0;
}

void bench_row(struct bench *b, const char *what, struct bench_time t, double amount, const char *unit, const char *ceiling)
{
	double top = ceiling ? bench_ceiling(ceiling) : 0;

	printf("%-44s %10.2f %10.2f %-8s", what, 1e-9 * amount / t.best, 1e-9 * amount / t.median, unit);
	if (b->error > 0)
		printf(" %8.1e", b->error);
	else
		printf(" %8s", "");
	b->error = 0;
	if (top > 0)
		printf(" %6.1f %% of %s", 1e-7 * amount / t.best / top, ceiling);
	putchar('\n');
	fflush(stdout);
}

void bench_row_ms(struct bench *b, const char *what, struct bench_time t, const char *remark)
{
	(void)b;
	printf("%-44s %10.3f %10.3f %-8s %s\n", what, 1e3 * t.best, 1e3 * t.median, "ms", remark ? remark : "");
	fflush(stdout);
}

static const char *from_env(const char *name, const char *fallback)
{
	const char *v = getenv(name);

	return v && *v ? v : fallback;
}

/* Entries that no name was given for run, too, if they are ceilings: the others are measured against them. */
static bool chosen(const struct bench_entry *entry, int n, char **names)
{
	int i;

	for (i = 0; i < n; i++) {
		if (!strcmp(names[i], entry->name))
			return true;
	}
	return n == 0 || entry->place == 0;
}

int main(int argc, char **argv)
{
	struct pm_dev_opts o = {.kernels = from_env("PM_KERNELS", "kernels"), .share = from_env("PM_SHARE", "share"),
		.cache = from_env("PM_CACHE", NULL), .select = from_env("PM_DEVICE", NULL), .mask = from_env("PM_MASK", NULL)};
	const struct pm_dev_info *info;
	const struct bench_entry *entry;
	struct bench b = {0};
	bool cpu_time = false;
	int a;

	if (argc == 4 && !strcmp(argv[1], "--make")) {
		struct pm_str config = {0};

		bench_must(&b, pm_read_file(&config, argv[2], &b.e));
		bench_make_model(&b, argv[3], config.data, config.len);
		pm_str_free(&config);
		return 0;
	}
	for (a = 1; a < argc && argv[a][0] == '-'; a++) {
		if (a + 1 < argc && !strcmp(argv[a], "-d")) {
			o.select = argv[++a];
		} else if (a + 1 < argc && !strcmp(argv[a], "-j")) {
			o.threads = (int)strtol(argv[++a], NULL, 10);
		} else if (a + 1 < argc && !strcmp(argv[a], "--mask")) {
			o.mask = argv[++a];
		} else if (a + 1 < argc && !strcmp(argv[a], "--only")) {
			b.only = argv[++a];
		} else if (!strcmp(argv[a], "--cpu-time")) {
			cpu_time = true;
		} else {
			fprintf(stderr, "usage: bench [-d DEVICE] [-j THREADS] [--mask SETS] [--cpu-time] [--only TEXT] [NAME ...]\n       bench --make CONFIG.json DIR\n");
			return PM_USAGE;
		}
	}
	pm_env_opencl(o.mask);
	o.target = getenv("POCL_KERNELLIB_NAME");
	bench_must(&b, pm_dev_open(&b.dev, &o, &b.e));
	info = pm_dev_info(b.dev);
	cpu_units = cpu_time ? info->units : 0;
	printf("%s, %u units,%s%s%s%s%s driver %s\n", info->name, info->units, info->avx2 ? " avx2" : "", info->avx512 ? " avx512" : "", info->vnni ? " vnni" : "",
		info->bf16 ? " bf16" : "", info->amx ? " amx" : "", info->driver);
	printf("%-44s %10s %10s %17s\n", "", "best", "median", "error");
	for (entry = entries; entry; entry = entry->next) {
		if (chosen(entry, argc - a, argv + a))
			entry->run(&b);
	}
	pm_dev_close(b.dev);
	return 0;
}
