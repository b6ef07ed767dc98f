/* dev.h: one OpenCL device: its memory, its programs, launches, and what they cost. Nothing else in the library speaks
 * OpenCL. The caller owns what it opens; memory must be freed before its device is closed.
 *
 * Kernels are files of kernels/, composed as
 *     the device's defines  +  the caller's defines  +  kernels/common.cl  +  the files named by `//! use A B` on the
 *     operation's first line (kernels/A.cl, kernels/B.cl)  +  kernels/OPERATION.cl
 * each behind its own #line and without the other kernels in them (a kernel goes from a line that begins with __kernel, or with a macro called
 * SOMETHING_KERNEL, to the next one that begins with "}"), and with ENTER (common.cl) behind the kernel's first brace, compiled at first use and cached on
 * disk under the SHA-256 of all of that, the options, the device, its driver and its platform. Device defines: PM_CPU or PM_GPU 1; and, where probed to
 * work, HAVE_AVX512 (the device compiler's target, and it assembles such instructions), HAVE_VNNI, HAVE_BF16 (vdpbf16ps), HAVE_AMX. A device may
 * be used by one thread of the host at a time.
 *
 * PoCL (3.1) compiles a kernel at its first launch with each local size, for small and for large grids, and once more for a
 * binary, which holds only a version for any size. That version is as fast for our kernels, so programs set
 * POCL_WORK_GROUP_SPECIALIZATION=0 in their environment (lib/cli does), and each kernel is compiled once. Barriers
 * make that compilation long (a minute was seen): where PM_CPU, give a work-group one item and leave barriers out. */
#ifndef PM_DEV_DEV_H
#define PM_DEV_DEV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "base/err.h"

struct pm_dev;
struct pm_mem;
struct pm_kernel;

struct pm_dev_opts {
	const char *select;             /* number in the list, "cpu", "gpu", or part of a name; NULL: first GPU, else first CPU */
	const char *kernels;            /* directory of the kernel files */
	const char *cache;              /* directory of compiled programs; NULL: none */
	const char *share;              /* share/: tuning files are share/tune/NAME.tune */
	int threads;                    /* of a CPU device; 0, or more than there are: all */
	bool reference;                 /* portable kernels only; no instruction sets are probed */
	bool profile;                   /* time every launch */
	/* What not to use, as if it were not there: words of amx, bf16, vnni, asm (any inline assembly), avx512, avx2 (each of these three hides
	 * what stands before it, too) and cpu (a CPU is taken for a GPU: its kernels, its memory), "vnni,amx"; NULL: nothing. It hides sets from our
	 * kernels' choice and assembly; what the device's compiler produces is PoCL's: POCL_KERNELLIB_NAME in the environment (lib/cli does it). */
	const char *mask;
	/* Where instruction sets are probed, the first time on a machine, the child that did it stays and compiles kernels beside this process. Then a
	 * kernel that pm_kernel gives may not be compiled yet: its launches, and all after them, wait for that unnoticed, and what is wrong with it is
	 * said by a launch, by pm_dev_finish or what waits as that does. */
	bool helper;
	const char *scratch;            /* where the device's compiler writes; with no room there nothing is compiled, status 74. NULL: not known */
	const char *target;             /* what the environment says of the compiler's target; probes are kept for each. NULL: nothing */
	void (*compiling)(void *arg, const char *operation);   /* called before a compilation, which takes a while; may be NULL */
	void *arg;
};

struct pm_dev_info {
	char name[256], vendor[256], driver[128], platform[256];
	bool cpu, gpu;
	bool shared;                    /* the device computes on the host's memory: mapped files need no copy */
	unsigned units;                 /* compute units (threads of a CPU) */
	uint64_t memory, largest;       /* bytes in all that may be used (of a CPU: that the host had left), and of one buffer */
	size_t align;                   /* of a sub-buffer's start, bytes */
	size_t work_group, local;       /* largest work-group; bytes of local memory */
	bool avx2;                      /* by probe and not masked, of an open device only: the compiler has builtins for AVX2, FMA and F16C; */
	bool avx512;                    /* vectors of 64 bytes lie in a register; */
	bool assembly, vnni, bf16, amx; /* instructions of AVX-512, and these, can be assembled and run */
};

/* Every device there is, in a fixed order (the numbers of `select`). *list is the caller's to free. */
int pm_dev_list(struct pm_dev_info **list, size_t *n, struct pm_err *e);

/* Status 69 where there is no such device. On x86 the first open with a cache (and every one without) probes instruction sets in a
 * child process; that works only while the process has one thread, so without a cache a second open finds none of them. */
int pm_dev_open(struct pm_dev **out, const struct pm_dev_opts *opts, struct pm_err *e);
void pm_dev_close(struct pm_dev *d);
const struct pm_dev_info *pm_dev_info(const struct pm_dev *d);
bool pm_dev_reference(const struct pm_dev *d);
const char *pm_dev_cache(const struct pm_dev *d);        /* opts.cache; NULL: none */

/* ---- memory ---- */

/* New memory (content undefined), of any size that fits the device; status 69 where it does not. On CPU devices it is the host's own,
 * starts at a multiple of 128 bytes, and 64 bytes after its end may be read (as garbage): a vector load may pass the end. */
int pm_mem_new(struct pm_mem **out, struct pm_dev *d, size_t bytes, struct pm_err *e);
/* The same, all zeros; big ones cost nothing until they are touched where the device shares the host's memory. */
int pm_mem_zeros(struct pm_mem **out, struct pm_dev *d, size_t bytes, struct pm_err *e);

/* Memory over bytes of the host, which must stay where they are until pm_mem_free: used in place where the device shares memory
 * (whatever the alignment), copied else. Read-only for kernels. */
int pm_mem_map(struct pm_mem **out, struct pm_dev *d, const void *p, size_t bytes, struct pm_err *e);

/* A part of another memory; `from` must be a multiple of info.align. Must be freed before the whole. */
int pm_mem_part(struct pm_mem **out, struct pm_mem *whole, size_t from, size_t bytes, struct pm_err *e);

int pm_mem_write(struct pm_mem *m, size_t at, const void *p, size_t bytes, struct pm_err *e);    /* returns when done */
/* The same for memory that nothing queued uses: without waiting for it, where kernels work on the host's memory. */
int pm_mem_write_idle(struct pm_mem *m, size_t at, const void *p, size_t bytes, struct pm_err *e);
int pm_mem_read_idle(struct pm_mem *m, size_t at, void *p, size_t bytes, struct pm_err *e);
int pm_mem_read(struct pm_mem *m, size_t at, void *p, size_t bytes, struct pm_err *e);
int pm_mem_zero(struct pm_mem *m, size_t at, size_t bytes, struct pm_err *e);                    /* in queue order */
size_t pm_mem_size(const struct pm_mem *m);
/* What a kernel sees as the address of its first byte, where kernels work on the host's memory as it is; 0 elsewhere. */
size_t pm_mem_address(const struct pm_mem *m);
struct pm_dev *pm_mem_dev(const struct pm_mem *m);
void pm_mem_free(struct pm_mem *m);                                                              /* NULL is fine */

/* From now on `stop` is asked before each compilation: nonzero fails what wants it, with status 75, and the kernels before it are there. NULL: nobody is. */
void pm_dev_stop(struct pm_dev *d, int (*stop)(void));

/* Bytes of new memory held now (mapped memory not counted unless it had to be copied). */
uint64_t pm_dev_held(const struct pm_dev *d);

/* ---- kernels ---- */

/* The kernel `name` of kernels/OPERATION.cl built with `defines` ("-DTYPE_W=bf16 -DN=4", or NULL). Borrowed; the same
 * arguments give the same kernel again, from a table. */
const struct pm_kernel *pm_kernel(struct pm_dev *d, const char *operation, const char *name, const char *defines, struct pm_err *e);

enum pm_arg_kind { PM_ARG_MEM, PM_ARG_I32, PM_ARG_I64, PM_ARG_F32, PM_ARG_LOCAL };

struct pm_arg {
	enum pm_arg_kind kind;
	union { struct pm_mem *mem; int32_t i; int64_t l; float f; size_t local; } u;
};

#define PM_MEM(m)   ((struct pm_arg){PM_ARG_MEM, {.mem = (m)}})         /* NULL passes a null pointer */
#define PM_I32(v)   ((struct pm_arg){PM_ARG_I32, {.i = (int32_t)(v)}})
#define PM_I64(v)   ((struct pm_arg){PM_ARG_I64, {.l = (int64_t)(v)}})  /* `long` in the kernel */
#define PM_F32(v)   ((struct pm_arg){PM_ARG_F32, {.f = (float)(v)}})
#define PM_LOCAL(n) ((struct pm_arg){PM_ARG_LOCAL, {.local = (n)}})

/* What a device does at most: operations a second in float32, of products in bfloat16 and int8 (0: it has no such instructions),
 * and bytes a second from memory. */
enum pm_rate { PM_RATE_F32, PM_RATE_BF16, PM_RATE_INT8, PM_RATE_READ, PM_RATES };

struct pm_launch {
	size_t global[3], local[3];     /* in work-groups × work-items as OpenCL counts: global is all work-items; unused = 0; local 0: 1 */
	double flops, bytes;            /* for the profile: operations done, bytes that must be moved */
	enum pm_rate unit;              /* what does the operations */
};

/* Queues a launch (in order; returns at once). The number of arguments is held against the kernel's. On PoCL a launch costs 2 µs, and
 * a thread that sleeps 10 to 20 µs to wake: work of 26 µs on two threads took 44 in 2 work-groups and 35 in 16 (Zen 4, a virtual
 * machine), so give each thread several groups, and do not split what takes microseconds. */
int pm_launch(const struct pm_kernel *k, struct pm_launch l, size_t n, const struct pm_arg *args, struct pm_err *e);
#define PM_LAUNCH(k, l, e, ...) \
	pm_launch((k), (l), sizeof (struct pm_arg[]){__VA_ARGS__} / sizeof (struct pm_arg), (const struct pm_arg[]){__VA_ARGS__}, (e))

int pm_dev_flush(struct pm_dev *d, struct pm_err *e);     /* start what is queued */
int pm_dev_finish(struct pm_dev *d, struct pm_err *e);    /* wait for all of it; reports what failed */
/* A name for all that is queued so far; waiting for it while more is queued behind; whether it is known to be done. */
uint64_t pm_dev_mark(struct pm_dev *d);
int pm_dev_wait(struct pm_dev *d, uint64_t mark, struct pm_err *e);
bool pm_dev_done(const struct pm_dev *d, uint64_t mark);

/* ---- tuning and profile ---- */

/* A parameter of an operation from the tuning files (read in the order of their names; lines `PATTERN OPERATION KEY=VALUE …`, PATTERN a glob over the device's
 * name; later lines win), or `fallback`. */
int pm_tune(const struct pm_dev *d, const char *operation, const char *key, int fallback);

/* Measures the device's rates (a few seconds; nothing else should run), the best of several runs each, and keeps them in the cache directory for
 * this device with these threads and instruction sets. `median` (or NULL) gets what half of the runs reached. */
int pm_dev_measure(struct pm_dev *d, double best[PM_RATES], double median[PM_RATES], struct pm_err *e);

/* With opts.profile: a table to f, most time first: kernel, calls, milliseconds, share of the wall time, GB/s, GFLOP/s and, where the device's rates
 * are known, the share of that time that a kernel would take which only moved its bytes, or only did its operations, at these rates (the longer of
 * the two). Copies and zeroing by the host have rows, too, and so has the time in which a kernel was queued and none ran. Then their sum,
 * what of the wall time since open or the last reset they leave unexplained (the host's own work), and that time. */
int pm_dev_profile(struct pm_dev *d, FILE *f, struct pm_err *e);
void pm_dev_profile_reset(struct pm_dev *d);
bool pm_dev_profiled(const struct pm_dev *d);            /* opts.profile */

/* A part of a launch that itself found out where its time went. */
struct pm_share {
	const char *name;               /* of a row: parts of the same name are added */
	double of;                      /* its part of the launch's time, which is 1 */
	uint64_t calls;
	double flops, bytes;
};

/* With opts.profile: waits for all launches and takes these parts of the time of the last one of kernel k from its row; each gets a row of its own. */
int pm_dev_share(const struct pm_kernel *k, const struct pm_share *s, size_t n, struct pm_err *e);

#endif
