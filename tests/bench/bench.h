/* bench.h: `make bench`: speed, in one table. A file of this directory adds rows by
 *
 *	BENCH(20, linear)                               // the place in the table, the name that chooses it
 *	{
 *		…                                       // make what is to be timed, in b->dev
 *		bench_row(b, "linear 512x2048x2048 f32", bench_time(b, run, &x), 2.0 * 512 * 2048 * 2048, "GFLOP/s", "f32");
 *	}
 *
 * Machines are noisy: the best of many runs stands beside their median, and a share is always of a ceiling measured in the same
 * run. Errors end the program (bench_must). */
#ifndef PM_TESTS_BENCH_H
#define PM_TESTS_BENCH_H

#include <stdbool.h>
#include <stddef.h>

#include "dev/dev.h"

struct bench {
	struct pm_dev *dev;
	double error;                   /* of the next row: against double, of some results, as a part of their size; 0: none */
	const char *only;               /* rows whose names hold this; NULL: all */
	struct pm_err e;
};

struct bench_entry {
	int place;
	const char *name;
	void (*run)(struct bench *b);
	struct bench_entry *next;
};

void bench_add(struct bench_entry *entry);

#define BENCH(order, id) \
	static void run_bench_##id(struct bench *b); \
	__attribute__((constructor)) static void bench_add_##id(void) \
	{ \
		static struct bench_entry entry = {order, #id, run_bench_##id, NULL}; \
		bench_add(&entry); \
	} \
	static void run_bench_##id(struct bench *b)

struct bench_time {
	double best, median;            /* seconds of one run */
};

/* Runs f, which queues launches and need not wait for them, until it was timed for about a second, at least 5 times after one
 * run that is not counted. */
struct bench_time bench_time(struct bench *b, int (*f)(void *arg, struct pm_err *e), void *arg);

/* Whether a row of that name was asked for. Ceilings are always measured. */
bool bench_wants(const struct bench *b, const char *what);

/* A row of the table: `amount` operations or bytes a run, shown as 10⁹ a second (unit "GFLOP/s", "GB/s"); the share of the ceiling
 * of that name, or NULL. */
void bench_row(struct bench *b, const char *what, struct bench_time t, double amount, const char *unit, const char *ceiling);

/* The error of results against what they are to be: the root of the mean square of the difference, divided by that of the latter. */
struct bench_errors {
	double off, size;               /* sums of squares */
};
void bench_compare(struct bench_errors *s, double is, double wanted);
double bench_error(struct bench_errors s);

/* A row of time: milliseconds, with a remark. */
void bench_row_ms(struct bench *b, const char *what, struct bench_time t, const char *remark);

/* 10⁹ a second, best and median, as measured by ceiling.c: "f32", "bf16", "dram"; 0 where there is none. */
void bench_set_ceiling(const char *name, struct bench_time t, double amount);
double bench_ceiling(const char *name);

/* make.c: a model directory of random bfloat16 values, as the `size` bytes of `config` (a config.json) describe it: the same values whenever it is made. */
void bench_make_model(struct bench *b, const char *dir, const char *config, size_t size);

void bench_must(struct bench *b, int r);        /* −1: prints b->e and exits */

#endif
