/* self.c: what bounds.c finds and what it lets pass: a kernel that copies one float from and to where it is told. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "cli/tool.h"
#include "graph/graph.h"
#include "op/op.h"
#include "tests/unit/tap.h"

static struct pm_err e;
static const struct pm_kernel *copy;

/* What element `from` of x to element `to` of y meets: one of the faults' texts, "" for none, "?" for something else. */
static const char *meets(struct pm_mem *y, int64_t to, struct pm_mem *x, int64_t from)
{
	bounds_forget();
	if (PM_LAUNCH(copy, ((struct pm_launch){.global = {1}}), &e, PM_MEM(y), PM_I64(to), PM_I64(1), PM_MEM(x), PM_I64(from), PM_I64(1), PM_I64(1), PM_I32(0)) < 0 ||
	    pm_dev_finish(pm_mem_dev(x), &e) < 0)
		return "?";
	return bounds_faults() > 1 ? "?" : bounds_last();
}

/* One graph more: memory made from now on lies against the other guard. */
static void turn(struct pm_dev *d)
{
	struct pm_graph *g;

	if (pm_graph_new(&g, d, &e) == 0)
		pm_graph_free(g);
}

static bool is(const char *found, const char *want)
{
	if (strcmp(found, want) != 0)
		printf("# '%s'\n", found);
	return !strcmp(found, want);
}

/* y has 16 floats, as all memory here. slack: floats behind the end that may be read. */
static void new_memory(struct pm_dev *d, const char *where, int slack)
{
	struct pm_mem *x = NULL, *y = NULL;
	float v[16];
	char want[100];

	if (!check(pm_mem_new(&x, d, 64, &e) == 0 && pm_mem_zeros(&y, d, 64, &e) == 0 && pm_mem_read(x, 0, v, 64, &e) == 0, "%s: memory", where))
		return;
	check(v[0] != v[0] && v[15] != v[15], "%s: what nobody wrote is NaN", where);
	check(is(meets(y, 0, x, 0), "") && is(meets(y, 15, x, 15), "") && (!slack || is(meets(y, 0, x, 15 + slack), "")),
		"%s: within memory, and %d bytes behind, nothing is found", where, 4 * slack);
	snprintf(want, sizeof want, "fill.fill_copy: read, %d bytes behind the 64 of argument 3", 4 * slack);
	check(is(meets(y, 0, x, 16 + slack), want), "%s: a read %d bytes behind the end is found", where, 4 * slack);
	if (!check(pm_mem_zero(x, 0, 64, &e) == 0, "%s: zeros", where))
		return;
	check(is(meets(y, -1, x, 0), "fill.fill_copy: written, 4 bytes before the 64 of argument 0"), "%s: a write before the start is found", where);
	pm_mem_free(x);
	pm_mem_free(y);
	if (pm_mem_zeros(&x, d, 64, &e) == 0 && pm_mem_zeros(&y, d, 64, &e) == 0)
		check(is(meets(y, 16, x, 0), slack ? "fill.fill_copy: written, 0 bytes behind the 64 of argument 0" : "fill.fill_copy: write, 0 bytes behind the 64 of argument 0"),
			"%s: a write behind the end is found", where);
	pm_mem_free(x);
	pm_mem_free(y);
}

static void before_memory(struct pm_dev *d, const char *where)
{
	struct pm_mem *x = NULL, *y = NULL;

	if (!check(pm_mem_new(&x, d, 64, &e) == 0 && pm_mem_zeros(&y, d, 64, &e) == 0, "%s: memory", where))
		return;
	check(is(meets(y, 0, x, -1), "fill.fill_copy: read, 4 bytes before the 64 of argument 3"), "%s: a read before the start is found", where);
	pm_mem_free(x);
	pm_mem_free(y);
}

static void mapped_memory(struct pm_dev *d, const char *where)
{
	static const float host[32] = {1, 2, 3};
	struct pm_mem *x = NULL, *y = NULL;

	if (!check(pm_mem_map(&x, d, host, 60, &e) == 0 && pm_mem_zeros(&y, d, 64, &e) == 0, "%s: mapped memory", where))
		return;
	check(is(meets(y, 0, x, 14), ""), "%s: its last element is read", where);
	check(is(meets(y, 0, x, 15), "fill.fill_copy: read, 0 bytes behind the 60 of argument 3"), "%s: a read behind its end is found", where);
	pm_mem_free(x);
	pm_mem_free(y);
}

static void parts(struct pm_dev *d, const char *where, int slack)
{
	const size_t align = pm_dev_info(d)->align;
	struct pm_mem *whole = NULL, *x = NULL, *y = NULL;
	char want[100];

	if (!check(pm_mem_new(&whole, d, 4 * align, &e) == 0 && pm_mem_part(&x, whole, align, 64, &e) == 0 && pm_mem_zeros(&y, d, 64, &e) == 0, "%s: a part", where))
		return;
	snprintf(want, sizeof want, "fill.fill_copy: read, %d bytes behind the 64 of argument 3", 4 * slack);
	check(is(meets(y, 0, x, 16 + slack), want), "%s: a read behind a part is found, though there is more of the whole", where);
	pm_mem_free(x);
	pm_mem_free(whole);
	pm_mem_free(y);
}

/* Of a plan, whose parts are rounded up. */
static void tensors(struct pm_dev *d, const char *where, int slack)
{
	static const float host[16];
	struct pm_graph *g = NULL;
	struct pm_plan *p = NULL;
	struct pm_tensor *x, *y;
	struct pm_mem *w = NULL;
	char want[100];

	if (!check(pm_mem_map(&w, d, host, 64, &e) == 0 && pm_graph_new(&g, d, &e) == 0, "%s: a graph", where))
		return;
	x = pm_tensor_of(g, PM_T_WEIGHT, PM_F32, 4, 4, w, "x");
	y = pm_add(g, pm_add(g, x, NULL, 1, 0), NULL, 1, 0);
	if (check(y && pm_plan_new(&p, g, &e) == 0 && pm_plan_alloc(p, NULL, &e) == 0, "%s: its plan", where)) {
		snprintf(want, sizeof want, "fill.fill_copy: read, %d bytes behind the 64 of argument 3", 4 * slack);
		check(is(meets(y->mem, 0, y->mem, 16 + slack), want), "%s: a read behind a tensor of a plan is found", where);
	}
	pm_plan_free(p);
	pm_graph_free(g);
	pm_mem_free(w);
}

static void on_device(const char *mask, const char *where, int slack)
{
	const char *c = getenv("PM_CACHE");
	struct pm_dev_opts o = {.select = "cpu", .mask = mask, .kernels = "kernels", .share = "share", .cache = c && *c ? c : NULL, .reference = true};
	struct pm_dev *d = NULL;

	if (!check(pm_dev_open(&d, &o, &e) == 0 && (copy = pm_kernel(d, "fill", "fill_copy", NULL, &e)), "%s: a device", where))
		return;
	new_memory(d, where, slack);
	mapped_memory(d, where);
	parts(d, where, slack);
	turn(d);
	before_memory(d, where);
	tensors(d, where, slack);
	pm_dev_close(d);
}

int main(void)
{
	pm_env_opencl(NULL);
	check(bounds_faults() == 0 && is(bounds_last(), ""), "nothing is found before");
	on_device(NULL, "memory of the host", 16);
	on_device("cpu", "buffers", 0);
	bounds_forget();                        /* what was found was wanted */
	return done();
}
