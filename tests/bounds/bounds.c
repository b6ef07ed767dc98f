/* bounds.c: holds kernels to their memory. Linked into a test program (make check-bounds), it stands between the program and lib/dev, lib/graph (the
 * linker's --wrap, see BOUNDS in the Makefile): all memory of a device lies between pages that nobody may touch, turn by turn up against the one behind it
 * and the one before it, every graph anew; so does each tensor of a plan, and each node's scratch, which otherwise lie side by side in one buffer. An access
 * to such a page is noted, with the kernel and the argument, and let pass; a launch is waited for, so that it is known whose it was. What lies between
 * memory and page is 0xff, that is NaN, and found changed where something was written there. New memory is 0xff, too.
 *
 * What dev.h allows is allowed: of memory that it made on a CPU 64 bytes behind the end may be read (and written by none). Mapped memory, which may
 * be the last bytes of a file, ends where it ends, and so does that of a device that takes buffers (PM_MASK=cpu), as a GPU's.
 *
 * At the end of the program faults are a status of 1; they stand on stderr. */
#define _GNU_SOURCE                             /* REG_ERR, MAP_ANONYMOUS */
#include "bounds.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include "dev/private.h"
#include "graph/graph.h"

#define GUARD ((size_t)64 << 10)                /* bytes on either side */
#define BEHIND 64                               /* that may be read */
#define MOST 200                                /* different faults that are told apart */

struct region {
	struct pm_mem *mem;
	unsigned char *from, *p;                /* the pages, without guards; the memory */
	size_t pages, bytes, behind;            /* bytes of pages, of memory, and behind it that may be read */
};

struct fault {
	char text[400];
};

static struct {
	struct region *region;
	size_t n, cap;
	struct { struct pm_plan *plan; struct pm_graph *g; } *plan;
	size_t nplans, cap_plans;
	struct fault fault[MOST];
	int faults;
	atomic_int *all;                        /* of this process and its children */
	bool front, watching;
	const struct pm_kernel *kernel;         /* that runs; NULL: none */
	const struct pm_arg *arg;
	size_t nargs;
	atomic_flag lock;
} b = {.lock = ATOMIC_FLAG_INIT};

int bounds_faults(void)
{
	return b.faults;
}

const char *bounds_last(void)
{
	return b.faults ? b.fault[(b.faults - 1) % MOST].text : "";
}

void bounds_forget(void)
{
	atomic_fetch_sub(b.all, b.faults);
	b.faults = 0;
}

/* ---- faults; called in a signal handler, too ---- */

static void note(const struct region *r, const char *what, const unsigned char *at)
{
	struct fault f;
	char arg[32] = "another memory", who[200] = "outside launches";
	const struct pm_program *p = b.kernel ? b.kernel->program : NULL;
	int i;
	size_t k;

	if (p)
		snprintf(who, sizeof who, "%s.%s", p->operation, p->name);

	for (k = 0; b.kernel && k < b.nargs; k++)
		if (b.arg[k].kind == PM_ARG_MEM && b.arg[k].u.mem == r->mem)
			snprintf(arg, sizeof arg, "argument %zu", k);
	if (at < r->p)
		snprintf(f.text, sizeof f.text, "%s: %s, %zu bytes before the %zu of %s", who, what, (size_t)(r->p - at), r->bytes, arg);
	else
		snprintf(f.text, sizeof f.text, "%s: %s, %zu bytes behind the %zu of %s", who, what, (size_t)(at - r->p) - r->bytes, r->bytes, arg);
	for (i = 0; i < b.faults && i < MOST; i++)
		if (!strcmp(b.fault[i].text, f.text))
			return;
	b.fault[b.faults++ % MOST] = f;
	atomic_fetch_add(b.all, 1);
	fprintf(stderr, "bounds: %s%s%s\n", f.text, p && *p->defines ? " " : "", p ? p->defines : "");
}

static void touched(int sig, siginfo_t *info, void *context)
{
	const char *what = "access";
	unsigned char *at = info->si_addr, *page = at - (size_t)at % (size_t)sysconf(_SC_PAGESIZE);
	size_t i;

#ifdef __x86_64__
	what = ((ucontext_t *)context)->uc_mcontext.gregs[REG_ERR] & 2 ? "write" : "read";
#else
	(void)context;
#endif
	while (atomic_flag_test_and_set(&b.lock))
		;
	for (i = 0; i < b.n && !(at >= b.region[i].from - GUARD && at < b.region[i].from + b.region[i].pages + GUARD);)
		i++;
	if (i == b.n) {
		signal(sig, SIG_DFL);           /* not ours: it happens again, and ends the program */
	} else {
		note(&b.region[i], what, at);
		if (mprotect(page, 1, PROT_READ | PROT_WRITE) < 0)
			signal(sig, SIG_DFL);
	}
	atomic_flag_clear(&b.lock);
}

/* What lies around memory must be as it was made, and is so again. */
static void check_around(const struct region *r)
{
	unsigned char *p;

	for (p = r->from; p < r->from + r->pages; p++) {
		if (p == r->p)
			p += r->bytes;
		if (p < r->from + r->pages && *p != 0xff) {
			note(r, "written", p);
			memset(r->from, 0xff, (size_t)(r->p - r->from));
			memset(r->p + r->bytes, 0xff, (size_t)(r->from + r->pages - r->p) - r->bytes);
			return;
		}
	}
}

/* ---- memory ---- */

static struct region *region_of(const struct pm_mem *m)
{
	size_t i;

	for (i = 0; i < b.n; i++)
		if (b.region[i].mem == m)
			return &b.region[i];
	return NULL;
}

static void out_of_memory(void)
{
	fprintf(stderr, "bounds: no memory\n");
	_exit(70);
}

static void drop(struct region *r)
{
	check_around(r);
	munmap(r->from - GUARD, r->pages + 2 * GUARD);
	*r = b.region[--b.n];
}

/* Gives m other bytes: `bytes` of them, between guards, as at `content`; NULL: as new memory. A memory's pages are ours to unmap. */
static void place(struct pm_mem *m, size_t bytes, const void *content, bool mapped)
{
	const size_t page = (size_t)sysconf(_SC_PAGESIZE), align = m->dev->raw && !mapped ? 128 : m->dev->raw ? 1 : 4;
	struct region r = {.mem = m, .bytes = bytes, .behind = m->dev->raw && !mapped ? BEHIND : 0}, *old = region_of(m);
	unsigned char *all;
	cl_int code;

	r.pages = (bytes + r.behind + align + page - 1) / page * page;
	all = mmap(NULL, r.pages + 2 * GUARD, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (all == MAP_FAILED || mprotect(all + GUARD, r.pages, PROT_READ | PROT_WRITE) < 0)
		out_of_memory();
	r.from = all + GUARD;
	r.p = b.front ? r.from : r.from + (r.pages - r.behind - bytes) / align * align;
	memset(r.from, 0xff, r.pages);
	if (content)
		memcpy(r.p, content, bytes);
	if (m->dev->raw) {
		m->host = r.p;
	} else {
		clReleaseMemObject(m->cl);
		m->cl = clCreateBuffer(m->dev->context, CL_MEM_READ_WRITE | CL_MEM_USE_HOST_PTR, bytes ? bytes : 1, r.p, &code);
		if (!m->cl)
			out_of_memory();
	}
	if (old)
		drop(old);
	if (b.n == b.cap) {
		struct region *more = realloc(b.region, (b.cap = 2 * b.cap + 64) * sizeof *more);

		if (!more)
			out_of_memory();
		b.region = more;
	}
	b.region[b.n++] = r;
}

static void free_host(struct pm_mem *m)
{
	if (m->owned)
		free(m->host);
	if (m->pages)
		munmap(m->pages, m->npages);
	m->owned = false;
	m->pages = NULL;
}

int __real_pm_mem_new(struct pm_mem **out, struct pm_dev *d, size_t bytes, struct pm_err *e);
int __real_pm_mem_zeros(struct pm_mem **out, struct pm_dev *d, size_t bytes, struct pm_err *e);
int __real_pm_mem_map(struct pm_mem **out, struct pm_dev *d, const void *p, size_t bytes, struct pm_err *e);
int __real_pm_mem_part(struct pm_mem **out, struct pm_mem *whole, size_t from, size_t bytes, struct pm_err *e);
void __real_pm_mem_free(struct pm_mem *m);
int __wrap_pm_mem_new(struct pm_mem **out, struct pm_dev *d, size_t bytes, struct pm_err *e);
int __wrap_pm_mem_zeros(struct pm_mem **out, struct pm_dev *d, size_t bytes, struct pm_err *e);
int __wrap_pm_mem_map(struct pm_mem **out, struct pm_dev *d, const void *p, size_t bytes, struct pm_err *e);
int __wrap_pm_mem_part(struct pm_mem **out, struct pm_mem *whole, size_t from, size_t bytes, struct pm_err *e);
void __wrap_pm_mem_free(struct pm_mem *m);

int __wrap_pm_mem_new(struct pm_mem **out, struct pm_dev *d, size_t bytes, struct pm_err *e)
{
	if (__real_pm_mem_new(out, d, bytes, e) < 0)
		return -1;
	free_host(*out);
	place(*out, bytes, NULL, false);
	return 0;
}

int __wrap_pm_mem_zeros(struct pm_mem **out, struct pm_dev *d, size_t bytes, struct pm_err *e)
{
	if (__wrap_pm_mem_new(out, d, bytes, e) < 0)
		return -1;
	memset(region_of(*out)->p, 0, bytes);
	return 0;
}

int __wrap_pm_mem_map(struct pm_mem **out, struct pm_dev *d, const void *p, size_t bytes, struct pm_err *e)
{
	if (__real_pm_mem_map(out, d, p, bytes, e) < 0)
		return -1;
	place(*out, bytes, p, true);
	return 0;
}

int __wrap_pm_mem_part(struct pm_mem **out, struct pm_mem *whole, size_t from, size_t bytes, struct pm_err *e)
{
	if (__real_pm_mem_part(out, whole, from, bytes, e) < 0)
		return -1;
	place(*out, bytes, NULL, false);
	return 0;
}

void __wrap_pm_mem_free(struct pm_mem *m)
{
	struct region *r = m ? region_of(m) : NULL;
	struct pm_err e;

	if (r && pm_dev_finish(m->dev, &e) < 0)
		m->dev->untold = e;
	__real_pm_mem_free(m);
	if (r)
		drop(r);
}

/* ---- plans: each tensor as many bytes as it has ---- */

int __real_pm_graph_new(struct pm_graph **out, struct pm_dev *d, struct pm_err *e);
int __real_pm_plan_new(struct pm_plan **out, struct pm_graph *g, struct pm_err *e);
int __real_pm_plan_alloc(struct pm_plan *p, struct pm_plan *share, struct pm_err *e);
void __real_pm_plan_free(struct pm_plan *p);
int __wrap_pm_graph_new(struct pm_graph **out, struct pm_dev *d, struct pm_err *e);
int __wrap_pm_plan_new(struct pm_plan **out, struct pm_graph *g, struct pm_err *e);
int __wrap_pm_plan_alloc(struct pm_plan *p, struct pm_plan *share, struct pm_err *e);
void __wrap_pm_plan_free(struct pm_plan *p);

int __wrap_pm_graph_new(struct pm_graph **out, struct pm_dev *d, struct pm_err *e)
{
	b.front = !b.front;
	return __real_pm_graph_new(out, d, e);
}

int __wrap_pm_plan_new(struct pm_plan **out, struct pm_graph *g, struct pm_err *e)
{
	if (__real_pm_plan_new(out, g, e) < 0)
		return -1;
	if (b.nplans == b.cap_plans) {
		void *more = realloc(b.plan, (b.cap_plans = 2 * b.cap_plans + 64) * sizeof *b.plan);

		if (!more)
			out_of_memory();
		b.plan = more;
	}
	b.plan[b.nplans].plan = *out;
	b.plan[b.nplans++].g = g;
	return 0;
}

void __wrap_pm_plan_free(struct pm_plan *p)
{
	size_t i;

	for (i = 0; i < b.nplans; i++)
		if (b.plan[i].plan == p)
			b.plan[i] = b.plan[--b.nplans];
	__real_pm_plan_free(p);
}

static void tighten(struct pm_mem *m, size_t bytes)
{
	const struct region *r = m ? region_of(m) : NULL;

	if (r && r->bytes != bytes)
		place(m, bytes, NULL, false);
}

int __wrap_pm_plan_alloc(struct pm_plan *p, struct pm_plan *share, struct pm_err *e)
{
	const struct pm_graph *g = NULL;
	size_t i;

	if (__real_pm_plan_alloc(p, share, e) < 0)
		return -1;
	for (i = 0; i < b.nplans; i++)
		if (b.plan[i].plan == p)
			g = b.plan[i].g;
	for (i = 0; g && i < g->ntensors; i++) {
		const struct pm_tensor *t = g->tensors[i];

		if (t->kind == PM_T_TEMP && !t->base && t->mem)
			tighten(t->mem, pm_dtype_bytes(t->type, (uint64_t)(t->off + (t->rows - 1) * t->ld + t->cols)));
	}
	for (i = 0; g && i < g->nnodes; i++)
		if (g->nodes[i]->scratch)
			tighten(g->nodes[i]->scratch, g->nodes[i]->op->scratch(g->nodes[i]));
	return 0;
}

/* ---- launches ---- */

int __real_pm_launch(const struct pm_kernel *k, struct pm_launch l, size_t n, const struct pm_arg *args, struct pm_err *e);
int __wrap_pm_launch(const struct pm_kernel *k, struct pm_launch l, size_t n, const struct pm_arg *args, struct pm_err *e);
int __real_main(int argc, char **argv);
int __wrap_main(int argc, char **argv);

int __wrap_pm_launch(const struct pm_kernel *k, struct pm_launch l, size_t n, const struct pm_arg *args, struct pm_err *e)
{
	size_t i;
	int r;

	if (!b.watching) {                      /* not before: the device's driver may want the signal when it is opened */
		struct sigaction s = {.sa_sigaction = touched, .sa_flags = SA_SIGINFO};

		sigaction(SIGSEGV, &s, NULL);
		sigaction(SIGBUS, &s, NULL);
		b.watching = true;
	}
	b.kernel = k;
	b.arg = args;
	b.nargs = n;
	r = __real_pm_launch(k, l, n, args, e);
	if (r == 0)
		r = pm_dev_finish(k->dev, e);
	for (i = 0; i < n; i++)
		if (args[i].kind == PM_ARG_MEM && args[i].u.mem && region_of(args[i].u.mem))
			check_around(region_of(args[i].u.mem));
	b.kernel = NULL;
	return r;
}

int __wrap_main(int argc, char **argv)
{
	size_t i;
	int r;

	b.all = mmap(NULL, sizeof *b.all, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (b.all == MAP_FAILED)
		out_of_memory();
	r = __real_main(argc, argv);
	for (i = 0; i < b.n; i++)
		check_around(&b.region[i]);
	if (*b.all)
		fprintf(stderr, "bounds: %d kinds of accesses outside memory\n", (int)*b.all);
	return r ? r : *b.all != 0;
}
