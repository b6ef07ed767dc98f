/* marks.c: what a mark of the queue names is done once it was waited for, while more is queued behind it. */
#include <stdlib.h>

#include "dev/dev.h"
#include "tap.h"

enum { N = 100000, MARKS = 20 };

static struct pm_err e;
static float x[N];

static bool launch(const struct pm_kernel *k, struct pm_mem *y, struct pm_mem *from, bool add)
{
	return PM_LAUNCH(k, ((struct pm_launch){.global = {N}}), &e, PM_MEM(y), PM_I64(0), PM_I64(N), PM_MEM(from), PM_I64(0), PM_I64(N), PM_I64(N), PM_I32(add)) == 0;
}

/* Whether all of m is v; read while the queue is at work. */
static bool is(struct pm_mem *m, float v)
{
	bool good = pm_mem_read_idle(m, 0, x, sizeof x, &e) == 0;
	int i;

	for (i = 0; i < N; i++)
		good = good && x[i] == v;
	return good;
}

static bool set(struct pm_mem *m, float v)
{
	int i;

	for (i = 0; i < N; i++)
		x[i] = v;
	return pm_mem_write_idle(m, 0, x, sizeof x, &e) == 0;
}

int main(void)
{
	const char *c = getenv("PM_CACHE");
	struct pm_dev_opts o = {.select = "cpu", .kernels = "kernels", .share = "share", .cache = c && *c ? c : NULL};
	struct pm_mem *one = NULL, *m[2] = {NULL};
	const struct pm_kernel *add;
	struct pm_dev *d = NULL;
	uint64_t mark[MARKS];
	bool good = true;
	int i, r;

	if (pm_dev_open(&d, &o, &e) < 0 || !(add = pm_kernel(d, "fill", "fill_copy", NULL, &e)) || pm_mem_new(&one, d, sizeof x, &e) < 0 ||
	    pm_mem_zeros(&m[0], d, sizeof x, &e) < 0 || pm_mem_zeros(&m[1], d, sizeof x, &e) < 0 || !set(one, 1)) {
		printf("Bail out! %s\n", e.text);
		return 1;
	}
	for (r = 0; r < 50; r++) {
		for (i = 0; i < 2; i++) {
			good = good && launch(add, m[i], one, true);
			mark[i] = pm_dev_mark(d);
			good = good && !pm_dev_done(d, mark[i]);
		}
		good = good && pm_dev_wait(d, mark[0], &e) == 0 && pm_dev_done(d, mark[0]) && is(m[0], (float)(3 * r + 1)) && set(m[0], (float)(3 * r + 3));
		good = good && pm_dev_wait(d, mark[1], &e) == 0 && pm_dev_wait(d, mark[0], &e) == 0 && is(m[1], (float)(r + 1));
	}
	check(good, "a launch is waited for, the one behind it goes on, memory that neither uses is read and written: %s", good ? "" : e.text);
	for (i = 0; i < MARKS; i++) {
		good = good && launch(add, m[1], one, true);
		mark[i] = pm_dev_mark(d);
	}
	check(good && pm_dev_wait(d, mark[0], &e) == 0 && pm_dev_done(d, mark[0]), "marks may be many: the first");
	check(pm_dev_finish(d, &e) == 0 && pm_dev_done(d, mark[MARKS - 1]) && is(m[1], 50 + MARKS), "all are done when the queue is");
	pm_mem_free(m[1]);
	pm_mem_free(m[0]);
	pm_mem_free(one);
	pm_dev_close(d);
	return done();
}
