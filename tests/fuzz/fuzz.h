/* fuzz.h: what the fuzz targets share. A target is tests/fuzz/NAME.c: one function that gives bytes to a parser the way the tools do
 * and returns what the parser returned, named by FUZZ. libFuzzer calls it with mutated bytes (`make fuzz`); tests/unit/hostile.c
 * includes the same files and calls it with those under tests/fuzz/corpus/NAME, every one of which must be refused. */
#ifndef PM_TESTS_FUZZ_H
#define PM_TESTS_FUZZ_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/file.h"

/* What must hold whatever the bytes are. */
__attribute__((unused)) static void must(bool ok)
{
	if (!ok)
		abort();
}

/* An error is one line of text with the status of bad data or of a file that is not there. */
__attribute__((unused)) static void must_say(int r, const struct pm_err *e)
{
	const char *p;

	if (r >= 0)
		return;
	if (!e->text[0] || (e->status != PM_DATA && e->status != PM_NOINPUT)) {
		fprintf(stderr, "status %d: %s\n", (int)e->status, e->text);
		abort();
	}
	for (p = e->text; *p; p++)
		must((unsigned char)*p >= ' ');
}

/* Up to the first 0 byte, and what follows it: targets that take two inputs. */
struct two {
	const char *a, *b;
	size_t na, nb;
};

__attribute__((unused)) static struct two split(const uint8_t *data, size_t size)
{
	const char *text = size ? (const char *)data : "", *zero = size ? memchr(text, 0, size) : NULL;

	return zero ? (struct two){text, zero + 1, (size_t)(zero - text), size - (size_t)(zero - text) - 1} : (struct two){text, "", size, 0};
}

static char fuzz_tmp[64];

static void fuzz_clean(void)
{
	struct pm_err e;

	pm_remove_tree(fuzz_tmp, &e);
}

/* A file of these bytes in a directory of the process's own, removed at exit. Its path is overwritten by the fourth call after. */
__attribute__((unused)) static const char *fuzz_file(const char *name, const void *bytes, size_t n)
{
	static char path[4][128];
	static int turn;
	FILE *f;

	if (!fuzz_tmp[0]) {
		snprintf(fuzz_tmp, sizeof fuzz_tmp, "%s/pm-fuzz-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
		must(mkdtemp(fuzz_tmp) != NULL);
		atexit(fuzz_clean);
	}
	turn = (turn + 1) % 4;
	snprintf(path[turn], sizeof path[turn], "%s/%s", fuzz_tmp, name);
	f = fopen(path[turn], "wb");
	must(f && (!n || fwrite(bytes, 1, n, f) == n));
	must(fclose(f) == 0);
	return path[turn];
}

/* FUZZ(parse): int parse(const uint8_t *data, size_t size, struct pm_err *e) is what libFuzzer runs. */
#ifndef FUZZ
#define FUZZ(parse) \
	int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size); \
	int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) \
	{ \
		struct pm_err e = {.text = ""}; \
		must_say(parse(data, size, &e), &e); \
		return 0; \
	}
#endif

#endif
