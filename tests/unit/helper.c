/* helper.c: kernels that a second process compiles: launches put off give what they would have given at once, in their order. */
#include <dirent.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "dev/dev.h"
#include "kernel_dir.h"
#include "tap.h"

enum { STEPS = 8 };

static char top[300], kernels[320], cache[320];
static struct pm_err e;

static struct pm_dev *open_first(void)
{
	struct pm_dev_opts o = {.select = "cpu", .kernels = kernels, .cache = cache, .helper = true};
	struct pm_dev *d;

	pm_remove_tree(cache, &e);
	return pm_dev_open(&d, &o, &e) == 0 ? d : NULL;
}

/* x = x · factor + number, by a kernel of its own for each factor. */
static bool step(struct pm_dev *d, struct pm_mem *x, int factor, int number)
{
	const struct pm_kernel *k;
	char defines[32];

	snprintf(defines, sizeof defines, "-DFACTOR=%d", factor);
	k = pm_kernel(d, "forward", "forward", defines, &e);
	return k && PM_LAUNCH(k, ((struct pm_launch){.global = {1}}), &e, PM_MEM(x), PM_I32(number)) == 0;
}

/* The child that this process has; 0: none. */
static pid_t child_of_ours(void)
{
	char path[64];
	FILE *f;
	long pid = 0;

	snprintf(path, sizeof path, "/proc/self/task/%ld/children", (long)getpid());
	f = fopen(path, "r");
	if (!f || fscanf(f, "%ld", &pid) != 1)
		pid = 0;
	if (f)
		fclose(f);
	return (pid_t)pid;
}

static bool kills;

/* 1: right; 3: and there was a helper. */
static int steps(void)
{
	struct pm_dev *d = open_first();
	struct pm_mem *x = NULL, *y = NULL;
	int32_t got[2] = {-1, -1}, early = -1, want = 0, i;
	uint64_t mark = 0;
	pid_t pid = child_of_ours();
	bool good = d && pm_mem_new(&x, d, 4, &e) == 0 && pm_mem_new(&y, d, 4, &e) == 0 && pm_mem_zero(x, 0, 4, &e) == 0 && pm_mem_zero(y, 0, 4, &e) == 0;

	for (i = 0; good && i < STEPS; i++) {
		want = want * (i + 2) + i;
		good = step(d, x, i + 2, i);
		if (kills && pid && i == 1)
			kill(pid, SIGKILL);
		if (i == 3)
			mark = pm_dev_mark(d);
		/* y is made 0 again among launches that wait */
		good = good && step(d, y, i + 2, 1) && (i != 4 || pm_mem_zero(y, 0, 4, &e) == 0);
		if (i == 3)
			good = good && pm_dev_wait(d, mark, &e) == 0 && pm_dev_done(d, mark) && pm_mem_read_idle(x, 0, &early, 4, &e) == 0 && early == want;
	}
	good = good && pm_mem_read(x, 0, &got[0], 4, &e) == 0 && pm_mem_read(y, 0, &got[1], 4, &e) == 0;
	good = good && got[0] == want && got[1] == (8 + 1) * 9 + 1 + 0 * early;
	pm_mem_free(x);
	pm_mem_free(y);
	if (!good)
		printf("# %s: x %d of %d, y %d\n", e.text, got[0], want, got[1]);
	fflush(stdout);
	pm_dev_close(d);
	return good ? 1 + 2 * (pid != 0) : 0;
}

/* A kernel that does not compile, behind one that does, and what comes after it. */
static int broken(void)
{
	struct pm_dev *d = open_first();
	const struct pm_kernel *k;
	struct pm_mem *x = NULL, *y = NULL;
	int32_t got = -1;
	bool failed, good = d && pm_mem_new(&x, d, 4, &e) == 0 && pm_mem_new(&y, d, 4, &e) == 0 && pm_mem_zero(x, 0, 4, &e) == 0 && step(d, x, 2, 5) && step(d, x, 3, 1);

	k = good ? pm_kernel(d, "broken", "broken", NULL, &e) : NULL;
	failed = !k || PM_LAUNCH(k, ((struct pm_launch){.global = {1}}), &e, PM_MEM(x), PM_I32(1)) < 0;
	pm_mem_free(y);                         /* waits, and tells nobody */
	failed = failed || pm_dev_finish(d, &e) < 0;
	good = good && failed && strstr(e.text, "broken.cl") && e.status == PM_SOFTWARE;
	good = good && pm_mem_zero(x, 0, 4, &e) == 0 && step(d, x, 3, 7) && pm_mem_read(x, 0, &got, 4, &e) == 0 && got == 7;
	/* wanted, and never run */
	good = good && pm_kernel(d, "forward", "forward", "-DFACTOR=11", &e) && pm_kernel(d, "forward", "forward", "-DFACTOR=12", &e);
	pm_mem_free(x);
	if (!good)
		printf("# %s; %d\n", e.text, got);
	fflush(stdout);
	pm_dev_close(d);
	return good ? 1 : 0;
}

static int signalled(void) { return SIGINT; }

/* Who is told to stop compiles no more, here or beside; what is there goes on, and so does all where stopping is over. */
static int stopped(void)
{
	struct pm_dev *d = open_first();
	struct pm_mem *x = NULL;
	int32_t got = -1;
	bool good = d && pm_mem_new(&x, d, 4, &e) == 0 && pm_mem_zero(x, 0, 4, &e) == 0 && step(d, x, 2, 5) && pm_dev_finish(d, &e) == 0, failed;

	pm_dev_stop(d, signalled);
	failed = good && (!step(d, x, 3, 1) || pm_dev_finish(d, &e) < 0);
	good = failed && e.status == PM_TRYAGAIN && strstr(e.text, "kernels/forward.cl") && strstr(e.text, "stopped");
	good = good && step(d, x, 2, 1) && pm_mem_read(x, 0, &got, 4, &e) == 0 && got == 11;
	good = good && (!step(d, x, 4, 1) || pm_dev_finish(d, &e) < 0) && e.status == PM_TRYAGAIN;
	pm_dev_stop(d, NULL);
	good = good && step(d, x, 3, 1) && pm_mem_read(x, 0, &got, 4, &e) == 0 && got == 34;
	if (!good)
		printf("# %s; %d\n", e.text, got);
	fflush(stdout);
	pm_dev_stop(d, signalled);
	pm_mem_free(x);
	pm_dev_close(d);
	return good ? 1 : 0;
}

static int count(const char *suffix)
{
	DIR *dir = opendir(cache);
	struct dirent *f;
	int n = 0;

	while (dir && (f = readdir(dir)))
		n += strlen(f->d_name) > strlen(suffix) && !strcmp(f->d_name + strlen(f->d_name) - strlen(suffix), suffix);
	if (dir)
		closedir(dir);
	return n;
}

int main(void)
{
	const char *tmp = getenv("TMPDIR");
	int r;

	setenv("POCL_WORK_GROUP_SPECIALIZATION", "0", 0);
	snprintf(top, sizeof top, "%.200s/pm-helper.%ld", tmp ? tmp : "/tmp", (long)getpid());
	snprintf(kernels, sizeof kernels, "%s/kernels", top);
	snprintf(cache, sizeof cache, "%s/cache", top);
	if (pm_mkdirs(kernels, &e) < 0) {
		printf("Bail out! %s\n", e.text);
		return 1;
	}
	take(kernels, "common.cl");
	take(kernels, "probe.cl");
	put(kernels, "forward.cl", "__kernel void forward(__global int *x, int n)\n{\n\tx[0] = x[0] * FACTOR + n;\n}\n");
	put(kernels, "broken.cl", "__kernel void broken(__global int *x, int n)\n{\n\tx[0] = nothing_like_it;\n}\n");
	r = in_child(steps);
	check(r == 1 || r == 3, "launches of kernels that are compiled meanwhile, zeros and a mark among them, come in their order");
	check(count(".clbin") == STEPS && count(".tmp") == 0, "each is in the cache once (%d)", count(".clbin"));
	if (r != 3) {
		skip("nothing is probed here, so there is no helper");
	} else {
		kills = true;
		check(in_child(steps) == 3 && count(".clbin") == STEPS, "a helper that ends is done without");
	}
	check(in_child(broken) == 1, "a kernel that does not compile is told by a launch or by waiting, and what comes after works");
	check(in_child(stopped) == 1, "who is told to stop compiles no more: status 75, and kernels that are there go on");
	pm_remove_tree(top, &e);
	return done();
}
