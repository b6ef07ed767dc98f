/* main.c: optest: tests and times operations. Usage: optest [--speed] [-d DEVICE] [-k CASE] [--mask SETS] [--tiles] [NAME …]
 * (--mask as PM_MASK of the tools, its default; --tiles: with AMX, in software where the processor has none: slow)
 * Environment: PM_KERNELS, PM_SHARE (directories; default those of the checkout), PM_CACHE (default optest.cache beside the program: a cache there
 * must be, since only a process's first device can be probed for instruction sets; the others read what that found). Every test of tests/op stands
 * in the list below; one whose file is not there (yet) is passed over. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "cli/tool.h"
#include "dev/private.h"
#include "harness.h"
#include "tiles.h"

#define TESTS(X) \
	X(add) X(act) X(embed) X(gather) X(store) X(weave) X(linear) X(head) X(rms_norm) X(layer_norm) X(rope) X(attention) \
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

/* tiles: with AMX though the processor may have none; *native: it has. */
static struct pm_dev *open_device(const char *select, const char *mask, bool tiles, bool *native, const char *cache, bool reference,
	int threads)
{
	struct pm_dev_opts o = {.select = select, .mask = mask, .reference = reference, .threads = threads,
		.kernels = from_env("PM_KERNELS", "kernels"), .share = from_env("PM_SHARE", "share"), .cache = cache,
		.target = getenv("POCL_KERNELLIB_NAME")};
	struct pm_dev *d = NULL;
	struct pm_isa isa;
	struct pm_err e;
	int r = pm_isa_probe(&isa, &o, &e);

	*native = isa.amx;
	isa.amx |= tiles && !reference;
	if (r < 0 || pm_dev_open_plain(&d, &o, &isa, &e) < 0) {
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

/* The probe of lib/dev/probe.c for AMX. */
static bool probe_tiles(struct pm_dev *d)
{
	const struct pm_kernel *k;
	struct pm_mem *ok = NULL, *room = NULL;
	int32_t answer[5] = {0};
	struct pm_err e;

	k = pm_kernel(d, "probe", "probe", "-DPROBE_AMX=1", &e);
	if (k && pm_mem_new(&ok, d, sizeof answer, &e) == 0 && pm_mem_new(&room, d, 4096, &e) == 0 &&
	    PM_LAUNCH(k, ((struct pm_launch){.global = {1}}), &e, PM_MEM(ok), PM_MEM(room)) == 0)
		(void)pm_mem_read(ok, 0, answer, sizeof answer, &e);
	pm_mem_free(room);
	pm_mem_free(ok);
	return answer[4] == 1;
}

int main(int argc, char **argv)
{
	struct op_harness h = {0};
	const char *select = getenv("PM_DEVICE"), *mask = getenv("PM_MASK"), *cache;
	char beside[4096];
	struct pm_err e;
	bool speed = false, tiles = false, native = false, ignored;
	size_t t;
	int a;

	for (a = 1; a < argc && argv[a][0] == '-'; a++) {
		if (!strcmp(argv[a], "--speed")) {
			speed = true;
		} else if (!strcmp(argv[a], "--tiles")) {
			tiles = true;
		} else if (a + 1 < argc && !strcmp(argv[a], "-d")) {
			select = argv[++a];
		} else if (a + 1 < argc && !strcmp(argv[a], "-k")) {
			h.only = argv[++a];
		} else if (a + 1 < argc && !strcmp(argv[a], "--mask")) {
			mask = argv[++a];
		} else {
			fprintf(stderr, "usage: optest [--speed] [-d DEVICE] [-k CASE] [--mask SETS] [--tiles] [NAME ...]\n");
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
	if (tiles && !tiles_in_software()) {
		printf("1..0 # SKIP tiles are of x86-64 under Linux\n");
		return 0;
	}
	h.fast = open_device(select, mask, tiles, &native, cache, false, 0);
	if (!speed) {
		h.portable = open_device(select, mask, tiles, &ignored, cache, true, 0);
		if (pm_dev_info(h.fast)->cpu && pm_dev_info(h.fast)->units > 1)
			h.one = open_device(select, mask, tiles, &ignored, cache, false, 1);
	}
	for (t = 0; t < sizeof tests / sizeof *tests; t++)
		if (tests[t] && chosen(tests[t]->name, argc, argv, a))
			(speed ? op_run_speed : op_run_test)(&h, tests[t]);
	if (tiles) {
		const unsigned long used = tiles_done();        /* by operations; the probe comes after */
		const bool good = (native || used > 0) && probe_tiles(h.fast);

		printf("%s %d - AMX: %lu instructions in software\n", good ? "ok" : "not ok", ++h.number, used);
		h.failed += !good;
	}
	if (!speed)
		printf("1..%d\n", h.number);
	pm_dev_close(h.one);
	pm_dev_close(h.portable);
	pm_dev_close(h.fast);
	return h.failed != 0;
}
