/* private.h: what the files of this room share. No other room includes it. */
#ifndef PM_DEV_PRIVATE_H
#define PM_DEV_PRIVATE_H

/* Shared virtual memory is OpenCL 2.0; nothing of it is called on a device that lacks it. */
#undef CL_TARGET_OPENCL_VERSION
#define CL_TARGET_OPENCL_VERSION 200
#define CL_USE_DEPRECATED_OPENCL_1_2_APIS
#include <CL/cl.h>
#include <sys/types.h>

#include "base/str.h"
#include "dev/dev.h"

struct pm_program;

/* An argument of launches that wait: memory by its address. */
#define PM_ARG_ADDRESS ((enum pm_arg_kind)(PM_ARG_LOCAL + 1))

struct pm_sums {
	uint64_t calls;
	double seconds, flops, bytes;
	double floor;                           /* seconds at the device's rates */
	double last;                            /* seconds of the last call */
};

/* What parts of launches took (pm_dev_share). */
struct pm_part {
	struct pm_part *next;
	char *name;
	struct pm_sums sums;
};

struct pm_kernel {
	struct pm_dev *dev;
	struct pm_program *program;
	cl_kernel cl;                           /* NULL: it is wanted, or the helper was asked for it */
	char *name;
	cl_uint args;
	struct pm_kernel *next;                 /* in its bucket of the table */
	uint64_t hash;
	struct pm_sums sums;                    /* for the profile */
};

struct pm_program {
	struct pm_program *next;
	char *operation, *name, *defines;       /* name: of its one kernel */
	cl_program cl;
	char key[65];
	size_t source;                          /* bytes of it */
};

/* A process that compiles beside this one. */
#define PM_ASKED 2
struct pm_helper {
	pid_t pid;                              /* 0: none */
	int fd;
	const struct pm_program *asked[PM_ASKED];       /* what it was asked for and has not answered, the oldest first */
	int nasked;
};

/* A launch, or zeros, put off. */
struct pm_later {
	struct pm_kernel *kernel;               /* NULL: zeros */
	struct pm_launch launch;
	struct pm_arg *arg;
	size_t n;
	unsigned char *zeros;
	size_t bytes;
	uint64_t number;                        /* of the launch, or of the last before it */
};

struct pm_timed {
	cl_event event;
	struct pm_sums *sums;
	double flops, bytes;
	enum pm_rate unit;
};

struct pm_tuned {
	char *operation, *key;
	int value;
};

#define PM_BUCKETS 1024
#define PM_MARKS 4

/* What the profile counts beside kernels. */
enum pm_other { PM_WRITES, PM_READS, PM_ZEROS, PM_BUILDS, PM_GAPS, PM_OTHERS };

struct pm_dev {
	cl_platform_id platform;
	cl_device_id id, root;                  /* root: of which id is a part, or id itself */
	cl_context context;
	cl_command_queue queue;
	struct pm_dev_info info;
	bool raw;                               /* kernels take host pointers as they are */
	bool pocl;
	bool reference, profile;
	char *kernels, *cache, *scratch;
	int (*stop)(void);
	struct pm_str options;                  /* of every build: the language, and the device's defines */
	void (*compiling)(void *arg, const char *operation);
	void *arg;
	struct pm_program *programs;
	struct pm_kernel *table[PM_BUCKETS];
	size_t queued;                          /* launches since the queue was last known to be empty */
	uint64_t launches, done;                /* of all time; how many of them are known to be done */
	cl_event last;                          /* of the last launch; NULL: none */
	struct { cl_event event; uint64_t launches; } marks[PM_MARKS];  /* the newest, in a ring by their numbers */
	uint64_t held;
	struct pm_helper helper;
	struct pm_kernel **wanted;              /* that neither is there nor was the helper asked for */
	size_t nwanted, cap_wanted;
	struct pm_later *later;                 /* from later_from to nlater */
	size_t nlater, later_from, cap_later;
	struct pm_err untold;                   /* what went wrong where nobody could be told; status 0: nothing */
	struct pm_timed *timed;
	size_t ntimed, cap_timed;
	struct pm_sums others[PM_OTHERS];
	struct pm_part *parts;
	double since;                           /* of the profile's wall time */
	cl_ulong ended;                         /* when the last launch that was read ended, on the device's clock; 0: none */
	bool rated;
	double rate[PM_RATES];                  /* of an earlier measurement, where rated */
	struct pm_tuned *tuned;
	size_t ntuned, cap_tuned;
};

struct pm_mem {
	struct pm_dev *dev;
	struct pm_mem *whole;                   /* of a part; NULL else */
	cl_mem cl;                              /* NULL on a raw device */
	unsigned char *host;                    /* the bytes, on a raw device */
	size_t size;
	bool owned;                             /* host is ours to free */
	void *pages;                            /* pages of its own, to unmap; NULL: none */
	size_t npages;                          /* bytes of them */
	uint64_t counted;                       /* what it added to the device's held bytes */
};

/* device.c */
struct pm_isa;
int pm_dev_open_plain(struct pm_dev **out, const struct pm_dev_opts *opts, const struct pm_isa *isa, struct pm_err *e);   /* no probing */
int pm_cl_fail(struct pm_err *e, cl_int code, const char *fmt, ...) PM_PRINTF(3, 4);   /* "…: CL_OUT_OF_RESOURCES"; -1 */

/* program.c */
void pm_programs_free(struct pm_dev *d);
int pm_stopped(const struct pm_dev *d, struct pm_err *e);       /* -1: what is not compiled shall not be (pm_dev_stop) */
int pm_kernel_make(struct pm_kernel *k, struct pm_err *e);      /* what was wanted: from the cache, or compiled here */

/* launch.c */
void pm_marks_free(struct pm_dev *d);
int pm_launch_now(struct pm_kernel *k, struct pm_launch l, size_t n, const struct pm_arg *args, uint64_t number, struct pm_err *e);

/* memory.c */
int pm_zero_now(struct pm_dev *d, unsigned char *p, size_t bytes, cl_event *event, struct pm_err *e);    /* event: or NULL */

/* helper.c. Send and receive: false where the other end is gone. */
bool pm_helper_send(int fd, const void *bytes, size_t n);
bool pm_helper_receive(int fd, void *bytes, size_t n);
bool pm_helper_wait(pid_t pid, int *status);
void pm_helper_serve(struct pm_dev *d, const char *cache, int fd) __attribute__((noreturn));
void pm_helper_end(struct pm_helper *h);
/* Whether the kernel, which is not there, can be compiled beside this process, and is: it need only be there when it is waited for. */
bool pm_helper_want(struct pm_dev *d, struct pm_kernel *k);
/* Makes what the helper has compiled. wait: compiles here meanwhile what is wanted, until k is there. */
int pm_helper_run(struct pm_dev *d, struct pm_kernel *k, bool wait, struct pm_err *e);

/* later.c: on a raw device only. Runs what was put off up to launch number `until`; without wait only what need not wait for a compilation. Where one
 * fails, all of them are gone. */
bool pm_later_any(const struct pm_dev *d);
int pm_later_launch(struct pm_kernel *k, const struct pm_launch *launch, size_t n, const struct pm_arg *args, struct pm_err *e);
int pm_later_zero(struct pm_dev *d, unsigned char *p, size_t bytes, struct pm_err *e);
int pm_later_run(struct pm_dev *d, uint64_t until, bool wait, struct pm_err *e);
void pm_later_free(struct pm_dev *d);

/* cache.c: program binaries on disk (base/kept.h). Load gives 0, or 1 where there is no good file. */
int pm_cache_load(struct pm_dev *d, struct pm_program *p);
void pm_cache_save(struct pm_dev *d, const struct pm_program *p);

/* profile.c */
int pm_profile_add(struct pm_dev *d, struct pm_sums *sums, cl_event event, const struct pm_launch *l, struct pm_err *e);
void pm_profile_count(struct pm_dev *d, enum pm_other what, double from, size_t bytes);    /* the host did it, until now */
int pm_profile_collect(struct pm_dev *d, struct pm_err *e);     /* the queue is finished */
double pm_profile_clock(void);
void pm_profile_free(struct pm_dev *d);

/* measure.c: reads the rates kept for the device, if there are any. */
void pm_rates_load(struct pm_dev *d);

/* tune.c: reads share/tune/<every>.tune, lines that match the device. */
int pm_tune_load(struct pm_dev *d, const char *share, struct pm_err *e);
void pm_tune_free(struct pm_dev *d);

/* probe.c: the instruction sets that kernels of the device so chosen may use; before OpenCL is used for anything else. */
struct pm_isa {
	bool avx2, avx512, assembly, vnni, bf16, amx;
	bool no_cpu;                            /* masked: a CPU is taken for a GPU */
	struct pm_helper helper;                /* the child that probed, with opts.helper; the caller's to end */
};
int pm_isa_probe(struct pm_isa *isa, const struct pm_dev_opts *opts, struct pm_err *e);

#endif
