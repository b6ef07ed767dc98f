/* tap.h: what a unit program needs to print TAP: check(condition, "what") for each fact, return done() from main. */
#ifndef PM_TESTS_TAP_H
#define PM_TESTS_TAP_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static int tap_n, tap_failed;

__attribute__((format(printf, 2, 3), unused)) static int check(int ok, const char *fmt, ...)
{
	va_list ap;

	printf("%s %d - ", ok ? "ok" : "not ok", ++tap_n);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);                                 /* a crash shall show how far it came */
	tap_failed += !ok;
	return ok;
}

__attribute__((unused)) static void skip(const char *why)
{
	printf("ok %d # SKIP %s\n", ++tap_n, why);
}

/* The directory of golden data, or NULL. */
__attribute__((unused)) static const char *golden_dir(void)
{
	const char *d = getenv("PM_SHARED");
	FILE *f;
	static char path[4096];

	if (!d)
		d = "../shared";
	snprintf(path, sizeof path, "%s/fixtures/README.md", d);
	f = fopen(path, "r");
	if (!f)
		return NULL;
	fclose(f);
	return d;
}

/* Where a golden file or directory is ("fixtures/llama/base"): in $PM_SHARED (default ../shared), else in tests/golden, which has a small part
 * of it; NULL where it is in neither. Overwritten by the eighth call after. */
__attribute__((unused)) static const char *golden_path(const char *rel)
{
	static char path[8][4096];
	static int turn;
	const char *in[] = {getenv("PM_SHARED"), "tests/golden"};
	int i;

	turn = (turn + 1) % 8;
	for (i = 0; i < 2; i++) {
		snprintf(path[turn], sizeof path[turn], "%s/%s", in[i] ? in[i] : "../shared", rel);
		if (access(path[turn], F_OK) == 0)
			return path[turn];
	}
	return NULL;
}

__attribute__((unused)) static int done(void)
{
	printf("1..%d\n", tap_n);
	return tap_failed != 0;
}

#endif
