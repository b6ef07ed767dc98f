/* tap.h: what a unit program needs to print TAP: check(condition, "what") for each fact, return done() from main. */
#ifndef PM_TESTS_TAP_H
#define PM_TESTS_TAP_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static int tap_n, tap_failed;

__attribute__((format(printf, 2, 3), unused)) static int check(int ok, const char *fmt, ...)
{
	va_list ap;

	printf("%s %d - ", ok ? "ok" : "not ok", ++tap_n);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
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

__attribute__((unused)) static int done(void)
{
	printf("1..%d\n", tap_n);
	return tap_failed != 0;
}

#endif
