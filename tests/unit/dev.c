/* The device room: devices, memory, programs and their cache, launches, probing, tuning, profile. */
#include "dev/dev.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "kernel_dir.h"
#include "tap.h"

static char top[300];                           /* kernels/, cache/ and share/ of this test */
static char kernels[320], cache[320], share[320];
static struct pm_err e;
static int compiled;

static void on_compile(void *arg, const char *operation)
{
	(void)arg;
	(void)operation;
	compiled++;
}

static struct pm_dev *must_open(struct pm_dev_opts o)
{
	struct pm_dev *d = NULL;

	o.kernels = o.kernels ? o.kernels : kernels;
	o.compiling = on_compile;
	if (pm_dev_open(&d, &o, &e) < 0) {
		printf("Bail out! %s\n", e.text);
		exit(1);
	}
	return d;
}

/* ---- devices ---- */

static int open_without_drivers(void)
{
	struct pm_dev_opts o = {.kernels = kernels};
	struct pm_dev *d;

	setenv("OCL_ICD_VENDORS", "/nonexistent", 1);
	setenv("OCL_ICD_FILENAMES", "", 1);
	return pm_dev_open(&d, &o, &e) < 0 ? (int)e.status : 0;
}

static void test_choice(void)
{
	static const char *const wrong[] = {"99", "no such device"};
	struct pm_dev_info *list = NULL;
	struct pm_dev *d;
	size_t n = 0, i;

	check(pm_dev_list(&list, &n, &e) == 0 && n > 0, "devices are listed");
	check(n && list[0].name[0] && list[0].units > 0 && list[0].memory > 0 && list[0].align > 0, "a device says what it is");
	for (i = 0; i < 2; i++) {
		struct pm_dev_opts o = {.kernels = kernels, .select = wrong[i]};

		check(pm_dev_open(&d, &o, &e) < 0 && e.status == PM_NODEVICE, "-d '%s' is refused: %s", wrong[i], e.text);
	}
	if (n) {
		d = must_open((struct pm_dev_opts){.select = "0"});
		check(!strcmp(pm_dev_info(d)->name, list[0].name), "a device is chosen by its number");
		pm_dev_close(d);
		d = must_open((struct pm_dev_opts){.select = list[n - 1].name + 1});
		check(strstr(list[n - 1].name, pm_dev_info(d)->name) != NULL, "a device is chosen by a part of its name");
		pm_dev_close(d);
	}
	free(list);
	check(pm_dev_open(&d, &(struct pm_dev_opts){.kernels = kernels, .mask = "amx,mmx"}, &e) < 0 && e.status == PM_USAGE,
		"an unknown instruction set is refused: %s", e.text);
}

/* ---- memory ---- */

static void test_memory(struct pm_dev *d)
{
	size_t align = pm_dev_info(d)->align, i;
	unsigned char bytes[1000], back[1000];
	struct pm_mem *m = NULL, *part = NULL, *inner = NULL;
	uint64_t held = pm_dev_held(d);
	bool same = true;

	for (i = 0; i < sizeof bytes; i++)
		bytes[i] = (unsigned char)(i * 7);
	check(pm_mem_new(&m, d, 10 * align + 1000, &e) == 0 && pm_mem_size(m) == 10 * align + 1000 && pm_mem_dev(m) == d, "memory is made");
	check(pm_dev_held(d) == held + pm_mem_size(m), "and counted");
	check(pm_mem_write(m, 3 * align + 1, bytes, 998, &e) == 0 && pm_mem_part(&part, m, align, 9 * align + 1000, &e) == 0 &&
		pm_mem_part(&inner, part, 2 * align, 1000, &e) == 0 && pm_mem_read(inner, 1, back, 998, &e) == 0 &&
		!memcmp(bytes, back, 998), "a part of a part shows the whole's bytes");
	if (!inner)
		return;
	check(pm_mem_zero(inner, 5, 100, &e) == 0 && pm_mem_read(m, 3 * align + 1, back, 998, &e) == 0, "a range is zeroed");
	for (i = 0; i < 998; i++)
		same &= back[i] == (i >= 4 && i < 104 ? 0 : bytes[i]);
	check(same, "and nothing beside it");
	check(pm_mem_part(&part, m, align + 1, 1, &e) < 0, "a part must be aligned: %s", e.text);
	check(pm_mem_part(&part, m, 10 * align, 1001, &e) < 0, "a part must lie inside: %s", e.text);
	check(pm_mem_read(m, 10 * align, back, 1001, &e) < 0 && pm_mem_write(m, SIZE_MAX, bytes, 2, &e) < 0, "so must what is read or written: %s", e.text);
	pm_mem_free(inner);
	pm_mem_free(part);
	pm_mem_free(m);
	check(pm_dev_held(d) == held, "freed memory is no longer counted");
	check(pm_mem_new(&m, d, SIZE_MAX / 4, &e) < 0 && e.status == PM_NODEVICE, "too much is refused: %s", e.text);
	pm_mem_free(NULL);
}

static int64_t address_seen(struct pm_dev *d, struct pm_mem *m, int32_t *last)
{
	const struct pm_kernel *k = pm_kernel(d, "t", "t_look", NULL, &e);
	struct pm_mem *out;
	int64_t seen[2] = {0, -1};

	if (!k || pm_mem_new(&out, d, sizeof seen, &e) < 0)
		return -1;
	if (PM_LAUNCH(k, ((struct pm_launch){.global = {1}}), &e, PM_MEM(out), PM_MEM(m), PM_I64(pm_mem_size(m))) < 0 ||
	    pm_mem_read(out, 0, seen, sizeof seen, &e) < 0)
		printf("# %s\n", e.text);
	pm_mem_free(out);
	*last = (int32_t)seen[1];
	return seen[0];
}

static void test_map(struct pm_dev *d)
{
	static const size_t offsets[] = {0, 1, 3, 4095, 4096 + 17};
	unsigned char *bytes = pm_alloc(20000, 1, &e);
	bool shared = pm_dev_info(d)->shared;
	int32_t last;
	size_t i;

	for (i = 0; bytes && i < 20000; i++)
		bytes[i] = (unsigned char)(i % 251);
	for (i = 0; bytes && i < sizeof offsets / sizeof *offsets; i++) {
		struct pm_mem *m;
		int64_t seen;

		if (!check(pm_mem_map(&m, d, bytes + offsets[i], 1001, &e) == 0, "bytes at offset %zu are mapped", offsets[i]))
			continue;
		seen = address_seen(d, m, &last);
		check(!shared || seen == (int64_t)(size_t)(bytes + offsets[i]), "a kernel sees them where they are");
		check(last == (int32_t)((offsets[i] + 1000) % 251), "and reads the last one");
		pm_mem_free(m);
	}
	check(pm_dev_held(d) == 0 || !shared, "what is mapped is not held");
	free(bytes);
}

/* PoCL refuses buffers above a quarter of what it takes for the memory; ours go past that. The pages between the ends are never touched. */
static void test_large(struct pm_dev *d)
{
	size_t n = ((size_t)5 << 30) + 12345;
	struct pm_mem *m;
	unsigned char a = 77, b = 0;
	int32_t last;

	if (!pm_dev_info(d)->shared || pm_dev_info(d)->memory < n) {
		skip("5 GiB of shared memory are not there");
		return;
	}
	if (!check(pm_mem_new(&m, d, n, &e) == 0, "5 GiB in one piece"))
		return;
	check(pm_mem_write(m, n - 1, &a, 1, &e) == 0 && pm_mem_read(m, n - 1, &b, 1, &e) == 0 && b == a, "its last byte is written and read");
	address_seen(d, m, &last);
	check(last == 77, "a kernel reaches their last byte");
	pm_mem_free(m);
}

/* ---- programs and launches ---- */

static float twice(struct pm_dev *d, const char *defines, size_t local)
{
	const struct pm_kernel *k = pm_kernel(d, "t", "t_twice", defines, &e);
	struct pm_mem *m;
	float x[64];
	int i;

	for (i = 0; i < 64; i++)
		x[i] = (float)i;
	if (!k || pm_mem_new(&m, d, sizeof x, &e) < 0)
		return -1;
	if (pm_mem_write(m, 0, x, sizeof x, &e) < 0 ||
	    PM_LAUNCH(k, ((struct pm_launch){.global = {64}, .local = {local}, .flops = 64, .bytes = 512}), &e, PM_MEM(m), PM_I32(64)) < 0 ||
	    pm_mem_read(m, 0, x, sizeof x, &e) < 0)
		x[63] = -2;
	pm_mem_free(m);
	return x[63];
}

static void test_programs(struct pm_dev *d)
{
	const struct pm_kernel *k;
	struct pm_mem *m;

	check(twice(d, NULL, 1) == 126, "a kernel runs, with a file that its first line names");
	check(twice(d, "-DFACTOR=3", 1) == 189, "another with defines of its own");
	check((k = pm_kernel(d, "t", "t_twice", NULL, &e)) && k == pm_kernel(d, "t", "t_twice", "", &e) &&
		k != pm_kernel(d, "t", "t_twice", "-DFACTOR=3", &e), "the same arguments give the same kernel");
	check(!pm_kernel(d, "t", "t_none", NULL, &e) && strstr(e.text, "t_none"), "a kernel that is not there: %s", e.text);
	check(!pm_kernel(d, "none", "x", NULL, &e) && e.status == PM_CONFIG && strstr(e.text, "none.cl"), "a file that is not there: %s", e.text);
	check(!pm_kernel(d, "bad", "bad", NULL, &e) && strstr(e.text, "bad.cl:3"), "a build error names file and line: %s", e.text);
	check(!pm_kernel(d, "uses", "x", NULL, &e) && strstr(e.text, "missing.cl"), "a used file that is not there: %s", e.text);
	if (!check(k && pm_mem_new(&m, d, 64, &e) == 0, "memory"))
		return;
	check(PM_LAUNCH(k, ((struct pm_launch){.global = {1}}), &e, PM_MEM(m)) < 0 && strstr(e.text, "2 arguments, 1"), "arguments are counted: %s", e.text);
	check(PM_LAUNCH(k, ((struct pm_launch){.global = {1}}), &e, PM_MEM(m), PM_I64(1)) < 0, "and their size is looked at: %s", e.text);
	check(PM_LAUNCH(k, ((struct pm_launch){.global = {3}, .local = {2}}), &e, PM_MEM(m), PM_I32(1)) < 0 && e.status == PM_SOFTWARE,
		"a work-group that does not divide the whole: %s", e.text);
	k = pm_kernel(d, "t", "t_null", NULL, &e);
	check(k && PM_LAUNCH(k, ((struct pm_launch){.global = {1}}), &e, PM_MEM(m), PM_MEM(NULL), PM_LOCAL(64), PM_F32(0.5)) == 0 &&
		pm_dev_flush(d, &e) == 0 && pm_dev_finish(d, &e) == 0, "null, local and float arguments: %s", e.text);
	pm_mem_free(m);
}

/* Launches, zeroing and copies take effect in the order they were asked for. */
static void test_order(struct pm_dev *d)
{
	const struct pm_kernel *k = pm_kernel(d, "t", "t_add", NULL, &e);
	static int32_t x[100000];
	struct pm_mem *m;
	bool good = true;
	int i, r;

	if (!check(k && pm_mem_new(&m, d, sizeof x, &e) == 0, "a kernel that adds"))
		return;
	for (r = 0; r < 20 && good; r++) {
		good &= pm_mem_zero(m, 0, sizeof x, &e) == 0;
		for (i = 0; i < 3; i++)
			good &= PM_LAUNCH(k, ((struct pm_launch){.global = {100000}, .local = {100}}), &e, PM_MEM(m), PM_I32(i + r)) == 0;
		good &= pm_mem_zero(m, 0, 4000, &e) == 0 && pm_mem_read(m, 0, x, sizeof x, &e) == 0;
		for (i = 0; i < 100000; i++)
			good &= x[i] == (i < 1000 ? 0 : 3 + 3 * r);
	}
	check(good, "launches and zeroing keep their order");
	pm_mem_free(m);
}

/* ---- the cache ---- */

static int list_files(const char *ending, char paths[][600], int room)
{
	DIR *dir = opendir(cache);
	struct dirent *f;
	int n = 0;

	while (dir && (f = readdir(dir))) {
		size_t len = strlen(f->d_name), k = strlen(ending);

		if (len > k && !strcmp(f->d_name + len - k, ending)) {
			if (n < room)
				snprintf(paths[n], 600, "%s/%s", cache, f->d_name);
			n++;
		}
	}
	if (dir)
		closedir(dir);
	return n;
}

/* Opens, runs and closes; what was compiled meanwhile, or −1 where the result is wrong. */
static int cached_run(const char *defines, size_t local)
{
	struct pm_dev *d;
	float y;

	compiled = 0;
	d = must_open((struct pm_dev_opts){.cache = cache, .reference = true});
	y = twice(d, defines, local);
	pm_dev_close(d);
	return y == (defines ? 189 : 126) ? compiled : -1;
}

static void poison(const char *path, int how)
{
	struct pm_str s = {0};
	struct pm_out o;

	if (pm_read_file(&s, path, &e) < 0 || s.len < 13 || pm_out_open(&o, path, &e) < 0) {
		check(0, "%s can be damaged", path);
		pm_str_free(&s);
		return;
	}
	if (how == 1)
		s.len /= 2;                             /* cut */
	else if (how == 2)
		s.data[s.len - 1] ^= 1;                 /* one bit of the binary */
	else if (how == 3)
		s.data[0] = 'q';                        /* another kind of file */
	else if (how == 4)
		s.len = 12;                             /* ends in its first line */
	pm_out_write(&o, s.data, how ? s.len : 0, &e);
	pm_out_close(&o, &e);
	pm_str_free(&s);
}

static void test_cache(void)
{
	static const char *const kinds[] = {"empty", "cut", "damaged", "alien", "very short"};
	char paths[8][600];
	int how;

	pm_remove_tree(cache, &e);
	check(cached_run(NULL, 1) == 1 && list_files(".clbin", paths, 8) == 1, "a program is compiled once and saved");
	check(cached_run(NULL, 1) == 0, "and loaded the next time");
	check(cached_run("-DFACTOR=3", 1) == 1 && list_files(".clbin", paths, 8) == 2, "other defines make another file");
	check(cached_run(NULL, 16) == 0, "a file serves every local size");
	for (how = 0; how < 5; how++) {
		list_files(".clbin", paths, 8);
		poison(paths[0], how);
		poison(paths[1], how);
		check(cached_run(NULL, 1) == 1 && cached_run("-DFACTOR=3", 1) == 1 && cached_run(NULL, 1) == 0 && cached_run("-DFACTOR=3", 1) == 0,
			"%s files are passed over, and mended", kinds[how]);
	}
	put(kernels, "u.cl", "#ifndef FACTOR\n#define FACTOR 2\n#endif\nfloat factor(void) { return 1.0f * FACTOR; }\n");
	check(cached_run(NULL, 1) == 1, "a changed source is compiled");
	check(list_files(".tmp", paths, 8) == 0, "nothing half-written stays");
	for (how = 0; how < 1000; how++) {
		const struct timespec long_ago[2] = {{1000000 + how, 0}, {1000000 + how, 0}};

		snprintf(paths[0], sizeof paths[0], "%s/%064d.clbin", cache, how);
		close(open(paths[0], O_CREAT | O_WRONLY, 0666));
		utimensat(AT_FDCWD, paths[0], long_ago, 0);
	}
	check(cached_run("-DFACTOR=3", 1) == 1 && list_files(".clbin", paths, 8) == 750, "of too many files the longest unused go");
	check(cached_run("-DFACTOR=3", 1) == 0 && cached_run(NULL, 1) == 0, "and those in use stay");
	put(top, "file", "");
	snprintf(paths[0], sizeof paths[0], "%s/file", top);
	{
		struct pm_dev *d = must_open((struct pm_dev_opts){.cache = paths[0], .reference = true});

		check(twice(d, NULL, 1) == 126, "a cache that cannot be written is no error");
		pm_dev_close(d);
	}
}

/* ---- probing ---- */

/* In a child, with drivers untouched: what was found, as bits. */
static const char *probe_mask;

static int probe(void)
{
	struct pm_dev *d = must_open((struct pm_dev_opts){.cache = cache, .mask = probe_mask});
	const struct pm_dev_info *i = pm_dev_info(d);
	int bits = i->avx512 | i->vnni << 1 | i->bf16 << 2 | i->amx << 3 | i->gpu << 5 | i->avx2 << 6;
	bool defined = true;

#define AGREES(name, has) defined &= (pm_kernel(d, "has", "has", "-DWANT=" name, &e) != NULL) == has
	AGREES("HAVE_AVX2", i->avx2);
	AGREES("HAVE_AVX512", (i->avx512 && i->assembly));
	AGREES("PM_CPU", i->cpu);
	AGREES("PM_GPU", i->gpu);
	AGREES("HAVE_VNNI", i->vnni);
	AGREES("HAVE_BF16", i->bf16);
	AGREES("HAVE_AMX", i->amx);
	pm_dev_close(d);
	return defined ? bits | (compiled ? 16 : 0) : 99;
}

/* Whether Linux says so of the processor. */
static bool cpuinfo_has(const char *flag)
{
	char line[16384];
	FILE *f = fopen("/proc/cpuinfo", "r");
	bool has = false;

	while (f && !has && fgets(line, sizeof line, f))
		has = strstr(line, flag) != NULL;
	if (f)
		fclose(f);
	return has;
}

static void test_probe(void)
{
	char paths[8][600];
	int all, again;

	put(kernels, "has.cl", "#if !WANT\n#error not there\n#endif\n__kernel void has(void) {}\n");
	all = in_child(probe);
	check(all >= 0 && all != 99, "probing ends well (%d), and kernels are told by defines", all);
	if (!cpuinfo_has(" avx512_vnni")) {
		skip("this processor has no AVX-512 VNNI to probe for");
		return;
	}
	check(all & 2, "instructions that the processor has and the compiler's target lacks are found to work");
	check(list_files(".probe", paths, 8) == 1, "the outcome is kept");
	probe_mask = "vnni,amx";
	check((in_child(probe) & 15) == (all & 5), "a mask hides what it names");
	probe_mask = "avx512";
	check((in_child(probe) & 79) == (all & 64), "and with AVX-512 what is built on it, but for AVX2");
	probe_mask = "avx2";
	check((in_child(probe) & 79) == 0, "with AVX2 all of them");
	probe_mask = "asm";
	check((in_child(probe) & 15) == (all & 1), "without assembly the compiler still has its own");
	probe_mask = "cpu";
	check((in_child(probe) & 111) == 32, "a CPU can be taken for a GPU, and nothing is probed");
	probe_mask = NULL;
	poison(paths[0], 3);
	again = in_child(probe);
	check((again & 15) == (all & 15), "a damaged outcome is probed anew");

	/* A set whose instructions kill, one that gives a wrong answer, and one that does not assemble. */
	put(kernels, "probe.cl", "__kernel void probe(__global int *ok, __global uint *room) {\n ok[0] = ok[1] = 1;\n"
		"#ifdef PROBE_VNNI\n __asm__ volatile(\"ud2\"); ok[2] = 1;\n#endif\n#ifdef PROBE_BF16\n ok[3] = 1;\n#endif\n}\n");
	check((in_child(probe) & 7) == (1 | (all & 4)), "an instruction that kills is found out, and the rest goes on");
	put(kernels, "probe.cl", "__kernel void probe(__global int *ok, __global uint *room) {\n ok[0] = 1;\n#ifdef PROBE_VNNI\n ok[2] = 0;\n#endif\n"
		"#ifdef PROBE_BF16\n int x = 0; __asm__ volatile(\"nonsense %0\" : \"+r\"(x)); ok[3] = x;\n#endif\n}\n");
	again = in_child(probe);
	check((again & 7) == 1, "so is a wrong answer, and what does not assemble (%d)", again);

	/* Nothing tells of the processor: who tries is ended (by a system call: of the tests' machines x86 alone comes here), or cannot compile at all. */
	pm_remove_tree(cache, &e);
	put(kernels, "probe.cl", "__kernel void probe(__global int *ok, __global uint *room) {\n ok[0] = ok[1] = 1;\n#ifdef PROBE_VNNI\n long id = 39;\n"
		" __asm__ volatile(\"syscall\" : \"+a\"(id) : : \"rcx\", \"r11\", \"memory\");\n long kill = 62;\n"
		" __asm__ volatile(\"syscall\" : \"+a\"(kill) : \"D\"(id), \"S\"(9L) : \"rcx\", \"r11\", \"memory\");\n#endif\n}\n");
	check((in_child(probe) & 3) == 1 && list_files(".probe", paths, 8) == 0, "of a probe that is ended from outside nothing is kept");
	put(kernels, "probe.cl", "#error no compiler\n");
	check((in_child(probe) & 79) == 0 && list_files(".probe", paths, 8) == 0, "nor where nothing compiles");
	take(kernels, "probe.cl");
}

/* ---- threads, tuning, profile ---- */

static void test_threads(void)
{
	struct pm_dev *d;
	int i, good = 0;

	/* Often: PoCL's threads may still be at work on what a closed device had last. */
	for (i = 0; i < 20; i++) {
		d = must_open((struct pm_dev_opts){.threads = 1, .reference = true});
		good += (!pm_dev_info(d)->cpu || pm_dev_info(d)->units == 1) && twice(d, NULL, 1) == 126;
		pm_dev_close(d);
	}
	check(good == 20, "one thread is one unit, and computes (%d of 20)", good);
	d = must_open((struct pm_dev_opts){.threads = 1000, .reference = true});
	check(pm_dev_info(d)->units < 1000, "no more than there are");
	pm_dev_close(d);
}

static void test_tune(void)
{
	struct pm_dev *d;
	char tune[400], text[600];

	snprintf(tune, sizeof tune, "%s/tune", share);
	pm_mkdirs(tune, &e);
	d = must_open((struct pm_dev_opts){.reference = true});
	check(pm_tune(d, "linear", "ROWS", 7) == 7, "without files the fallback holds");
	snprintf(text, sizeof text, "# a remark\n\n* linear ROWS=8 COLS=48\nno-such-* linear ROWS=1\n\"%.255s\" linear ROWS=9\n", pm_dev_info(d)->name);
	pm_dev_close(d);
	put(tune, "a.tune", text);
	put(tune, "b.tune", "* other ROWS=3 # \n");
	check(pm_dev_open(&d, &(struct pm_dev_opts){.kernels = kernels, .share = share, .reference = true}, &e) < 0 && e.status == PM_CONFIG &&
		strstr(e.text, "b.tune: line 1"), "a line that is none: %s", e.text);
	put(tune, "b.tune", "* other ROWS=-3\n");
	d = must_open((struct pm_dev_opts){.share = share, .reference = true});
	check(pm_tune(d, "linear", "ROWS", 7) == 9 && pm_tune(d, "linear", "COLS", 7) == 48, "the last line that matches wins, by key");
	check(pm_tune(d, "other", "ROWS", 7) == -3 && pm_tune(d, "other", "COLS", 7) == 7, "operations are kept apart");
	pm_dev_close(d);
}

static void test_profile(void)
{
	struct pm_dev *d = must_open((struct pm_dev_opts){.profile = true, .reference = true});
	double ms, share_of, sum = 0, all = -1, wall = -1, rest = -1;
	const struct pm_kernel *add = pm_kernel(d, "t", "t_add", NULL, &e);
	char line[400], name[100], calls[32];
	struct pm_mem *m = NULL;
	FILE *f = tmpfile();
	int i, n = 0, bad = 0;

	twice(d, NULL, 1);
	bad |= !add || !f || pm_mem_new(&m, d, 400, &e) < 0;
	pm_dev_profile_reset(d);
	for (i = 0; i < 5000 && !bad; i++)              /* more than are kept at a time */
		bad |= PM_LAUNCH(add, ((struct pm_launch){.global = {100}}), &e, PM_MEM(m), PM_I32(1)) < 0;
	for (i = 0; i < 3; i++)
		bad |= twice(d, i ? "-DFACTOR=3" : NULL, 1) < 0;
	check(!bad && pm_mem_zero(m, 0, 400, &e) == 0 && pm_dev_profile(d, f, &e) == 0, "a profile is written: %s", e.text);
	if (bad)
		return;
	rewind(f);
	while (fgets(line, sizeof line, f)) {
		if (sscanf(line, "all of these %lf", &ms) == 1)
			all = ms;
		else if (sscanf(line, "unexplained %lf", &ms) == 1)
			rest = ms;
		else if (sscanf(line, "wall time %lf", &ms) == 1)
			wall = ms;
		else if (sscanf(line, "%99s -DFACTOR=3 %31s %lf %lf", name, calls, &ms, &share_of) == 4 ||
			 sscanf(line, "%99s %31s %lf %lf", name, calls, &ms, &share_of) == 4) {
			sum += ms;
			n++;
			if (!strcmp(name, "t_add"))
				check(!strcmp(calls, "5000") && !strstr(line, "GFLOP"), "thousands of calls are counted: %.*s", (int)strcspn(line, "\n"), line);
			if (!strcmp(name, "t_twice"))
				check(!strcmp(calls, strstr(line, "FACTOR") ? "2" : "1"), "calls are counted: %.*s", (int)strcspn(line, "\n"), line);
		}
	}
	fclose(f);
	check(n == 8, "it has rows for kernels, copies, zeroing, compiling and launching (%d)", n);
	pm_mem_free(m);
	check(sum > 0 && sum - all < 0.01 && all - sum < 0.01, "they add up (%.3f, %.3f)", sum, all);
	check(wall >= all && wall - all - rest < 0.01 && all + rest - wall < 0.01, "and with what is unexplained give the wall time");
	pm_dev_close(d);
	d = must_open((struct pm_dev_opts){.reference = true});
	check(pm_dev_profile(d, stdout, &e) < 0, "only where it was asked for: %s", e.text);
	pm_dev_close(d);
}

static void write_kernels(void)
{
	take(kernels, "common.cl");
	take(kernels, "probe.cl");
	put(kernels, "u.cl", "#ifndef FACTOR\n#define FACTOR 2\n#endif\nfloat factor(void) { return FACTOR; }\n");
	put(kernels, "t.cl", "//! use u\n"
		"__kernel void t_twice(__global float *x, int n)\n{\n\tint i = get_global_id(0);\n\n\tif (i < n)\n\t\tx[i] *= factor();\n}\n"
		"__kernel void t_add(__global int *x, int r)\n{\n\tx[get_global_id(0)] += r;\n}\n"
		"__kernel void t_look(__global long *out, __global const uchar *p, long n)\n{\n\tout[0] = (long)(size_t)p;\n\tout[1] = p[n - 1];\n}\n"
		"__kernel void t_null(__global float *y, __global const float *x, __local float *room, float a)\n{\n\troom[0] = a;\n\ty[0] = x ? x[0] : room[0];\n}\n");
	put(kernels, "bad.cl", "\n__kernel void bad(__global float *x)\n{ x[0] = y; }\n");
	put(kernels, "uses.cl", "//! use u missing\n__kernel void x(void) {}\n");
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	struct pm_dev *d;

	snprintf(top, sizeof top, "%.250s/pm-dev-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(top)) {
		printf("Bail out! no directory\n");
		return 1;
	}
	snprintf(kernels, sizeof kernels, "%s/kernels", top);
	snprintf(cache, sizeof cache, "%s/cache", top);
	snprintf(share, sizeof share, "%s/share", top);
	setenv("POCL_WORK_GROUP_SPECIALIZATION", "0", 0);
	pm_mkdirs(kernels, &e);
	write_kernels();
	/* These fork, and OpenCL must not be started before. */
	check(in_child(open_without_drivers) == PM_NODEVICE, "without a driver the status is 69");
	test_probe();
	test_choice();
	d = must_open((struct pm_dev_opts){.reference = true});
	test_memory(d);
	test_map(d);
	test_large(d);
	test_programs(d);
	test_order(d);
	pm_dev_close(d);
	test_cache();
	test_threads();
	test_tune();
	test_profile();
	pm_remove_tree(top, &e);
	return done();
}
