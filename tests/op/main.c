/* main.c: optest: tests and times operations. Usage: optest [--speed] [-d DEVICE] [-k CASE] [--mask SETS] [NAME …]
 * (--mask as PM_MASK of the tools, its default)
 * Environment: PM_KERNELS, PM_SHARE (directories; default those of the checkout), PM_CACHE (default optest.cache beside the program: a cache there
 * must be, since only a process's first device can be probed for instruction sets; the others read what that found). Every test of tests/op stands
 * in the list below; one whose file is not there (yet) is passed over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/tool.h"
#include "harness.h"

#define TESTS(X) \
	X(add) X(act) X(embed) X(gather) X(store) X(linear) X(head) X(rms_norm) X(layer_norm) X(rope) X(attention) \
	X(adamw) X(reduce) X(round) X(cast) X(sample) X(squares) X(squares_experts) X(divergence) X(route) X(experts) X(combine) X(balance)

#define DECLARE(n) extern const struct op_test op_test_##n __attribute__((weak));
TESTS(DECLARE)
#define ENTRY(n) &op_test_##n,
static const struct op_test *const tests[] = {TESTS(ENTRY)};

static const char *from_env(const char *name, const char *fallback)
{
	const char *v = getenv(name);

	return v ? v : fallback;
}

static struct pm_dev *open_device(const char *select, const char *mask, const char *cache, bool reference, int threads)
{
	struct pm_dev_opts o = {.select = select, .mask = mask, .reference = reference, .threads = threads,
		.kernels = from_env("PM_KERNELS", "kernels"), .share = from_env("PM_SHARE", "share"), .cache = cache,
		.target = getenv("POCL_KERNELLIB_NAME")};
	struct pm_dev *d = NULL;
	struct pm_err e;

	if (pm_dev_open(&d, &o, &e) < 0) {
		fprintf(stderr, "optest: %s\n", e.text);
		exit((int)e.status);
	}
	return d;
}

static bool chosen(const char *name, int argc, char **argv, int from)
{
	int i;

	for (i = from; i < argc; i++)
		if (!strcmp(argv[i], name))
			return true;
	return from >= argc;
}

int main(int argc, char **argv)
{
	struct op_harness h = {0};
	const char *select = getenv("PM_DEVICE"), *mask = getenv("PM_MASK"), *cache;
	char beside[4096];
	struct pm_err e;
	bool speed = false;
	size_t t;
	int a;

	for (a = 1; a < argc && argv[a][0] == '-'; a++) {
		if (!strcmp(argv[a], "--speed")) {
			speed = true;
		} else if (a + 1 < argc && !strcmp(argv[a], "-d")) {
			select = argv[++a];
		} else if (a + 1 < argc && !strcmp(argv[a], "-k")) {
			h.only = argv[++a];
		} else if (a + 1 < argc && !strcmp(argv[a], "--mask")) {
			mask = argv[++a];
		} else {
			fprintf(stderr, "usage: optest [--speed] [-d DEVICE] [-k CASE] [--mask SETS] [NAME ...]\n");
			return 64;
		}
	}
	pm_env_opencl(mask);
	snprintf(beside, sizeof beside, "%s.cache", argv[0]);
	cache = from_env("PM_CACHE", beside);
	if (pm_mkdirs(cache, &e) < 0) {
		fprintf(stderr, "optest: %s\n", e.text);
		return (int)e.status;
	}
	h.fast = open_device(select, mask, cache, false, 0);
	if (!speed) {
		h.portable = open_device(select, mask, cache, true, 0);
		if (pm_dev_info(h.fast)->cpu && pm_dev_info(h.fast)->units > 1)
			h.one = open_device(select, mask, cache, false, 1);
	}
	for (t = 0; t < sizeof tests / sizeof *tests; t++)
		if (tests[t] && chosen(tests[t]->name, argc, argv, a))
			(speed ? op_run_speed : op_run_test)(&h, tests[t]);
	if (!speed)
		printf("1..%d\n", h.number);
	pm_dev_close(h.one);
	pm_dev_close(h.portable);
	pm_dev_close(h.fast);
	return h.failed != 0;
}
