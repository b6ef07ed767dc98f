/* device.c: which devices there are, the choice of one, and its life. */
#include "dev/private.h"

#include <stdarg.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"

/* One device of the list, while it is being made. */
struct found {
	cl_platform_id platform;
	cl_device_id id;
	unsigned number;                        /* within its platform */
	bool raw, pocl;
	struct pm_dev_info info;
};

static const char *code_name(cl_int code)
{
	static const struct { cl_int code; const char *name; } names[] = {
		{CL_DEVICE_NOT_FOUND, "CL_DEVICE_NOT_FOUND"}, {CL_DEVICE_NOT_AVAILABLE, "CL_DEVICE_NOT_AVAILABLE"},
		{CL_COMPILER_NOT_AVAILABLE, "CL_COMPILER_NOT_AVAILABLE"},
		{CL_MEM_OBJECT_ALLOCATION_FAILURE, "CL_MEM_OBJECT_ALLOCATION_FAILURE"},
		{CL_OUT_OF_RESOURCES, "CL_OUT_OF_RESOURCES"}, {CL_OUT_OF_HOST_MEMORY, "CL_OUT_OF_HOST_MEMORY"},
		{CL_BUILD_PROGRAM_FAILURE, "CL_BUILD_PROGRAM_FAILURE"}, {CL_MISALIGNED_SUB_BUFFER_OFFSET, "CL_MISALIGNED_SUB_BUFFER_OFFSET"},
		{CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST, "CL_EXEC_STATUS_ERROR_FOR_EVENTS_IN_WAIT_LIST"},
		{CL_INVALID_VALUE, "CL_INVALID_VALUE"}, {CL_INVALID_DEVICE, "CL_INVALID_DEVICE"}, {CL_INVALID_BINARY, "CL_INVALID_BINARY"},
		{CL_INVALID_BUILD_OPTIONS, "CL_INVALID_BUILD_OPTIONS"}, {CL_INVALID_KERNEL_NAME, "CL_INVALID_KERNEL_NAME"},
		{CL_INVALID_ARG_INDEX, "CL_INVALID_ARG_INDEX"}, {CL_INVALID_ARG_VALUE, "CL_INVALID_ARG_VALUE"},
		{CL_INVALID_ARG_SIZE, "CL_INVALID_ARG_SIZE"}, {CL_INVALID_KERNEL_ARGS, "CL_INVALID_KERNEL_ARGS"},
		{CL_INVALID_WORK_DIMENSION, "CL_INVALID_WORK_DIMENSION"}, {CL_INVALID_WORK_GROUP_SIZE, "CL_INVALID_WORK_GROUP_SIZE"},
		{CL_INVALID_WORK_ITEM_SIZE, "CL_INVALID_WORK_ITEM_SIZE"}, {CL_INVALID_BUFFER_SIZE, "CL_INVALID_BUFFER_SIZE"},
		{CL_INVALID_GLOBAL_WORK_SIZE, "CL_INVALID_GLOBAL_WORK_SIZE"}, {CL_INVALID_OPERATION, "CL_INVALID_OPERATION"},
		{CL_INVALID_HOST_PTR, "CL_INVALID_HOST_PTR"}, {CL_INVALID_MEM_OBJECT, "CL_INVALID_MEM_OBJECT"},
		{CL_INVALID_PROGRAM_EXECUTABLE, "CL_INVALID_PROGRAM_EXECUTABLE"}, {-1001, "no platform"},
	};
	size_t i;

	for (i = 0; i < sizeof names / sizeof *names; i++) {
		if (names[i].code == code)
			return names[i].name;
	}
	return NULL;
}

int pm_cl_fail(struct pm_err *e, cl_int code, const char *fmt, ...)
{
	const char *name = code_name(code);
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	if (name)
		return pm_fail(e, PM_NODEVICE, "%s: %s", text, name);
	return pm_fail(e, PM_NODEVICE, "%s: OpenCL error %d", text, (int)code);
}

/* Bytes that this process may still use: the kernel's estimate, and the limit of its control group where there is one. */
static uint64_t host_memory(void)
{
	uint64_t n = 0, limit = 0;
	char line[256];
	FILE *f = fopen("/proc/meminfo", "re");

	while (f && fgets(line, sizeof line, f)) {
		if (!strncmp(line, "MemAvailable:", 13))
			n = strtoull(line + 13, NULL, 10) * 1024;
	}
	if (f)
		fclose(f);
	if (!n)
		n = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
	f = fopen("/sys/fs/cgroup/memory.max", "re");
	if (f) {
		if (fgets(line, sizeof line, f))
			limit = strtoull(line, NULL, 10);       /* "max" reads as 0: no limit */
		fclose(f);
	}
	return limit && limit < n ? limit : n;
}

static void ask_text(cl_device_id id, cl_device_info what, char *out, size_t n)
{
	char text[1024] = "";
	const char *p = text;

	clGetDeviceInfo(id, what, sizeof text - 1, text, NULL);
	while (*p == ' ')
		p++;
	snprintf(out, n, "%s", p);
}

static uint64_t ask_number(cl_device_id id, cl_device_info what, size_t size)
{
	uint64_t v = 0;                         /* little-endian hosts only: OpenCL's own clients are */

	clGetDeviceInfo(id, what, size, &v, NULL);
	return v;
}

static void describe(struct found *f)
{
	struct pm_dev_info *i = &f->info;
	cl_device_type type = (cl_device_type)ask_number(f->id, CL_DEVICE_TYPE, sizeof type);
	char version[64];
	bool svm2;

	clGetPlatformInfo(f->platform, CL_PLATFORM_NAME, sizeof i->platform - 1, i->platform, NULL);
	ask_text(f->id, CL_DEVICE_NAME, i->name, sizeof i->name);
	ask_text(f->id, CL_DEVICE_VENDOR, i->vendor, sizeof i->vendor);
	ask_text(f->id, CL_DRIVER_VERSION, i->driver, sizeof i->driver);
	ask_text(f->id, CL_DEVICE_VERSION, version, sizeof version);
	i->cpu = type & CL_DEVICE_TYPE_CPU;
	i->gpu = type & CL_DEVICE_TYPE_GPU;
	i->shared = i->cpu;
	i->units = (unsigned)ask_number(f->id, CL_DEVICE_MAX_COMPUTE_UNITS, sizeof(cl_uint));
	i->memory = ask_number(f->id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(cl_ulong));
	i->largest = ask_number(f->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(cl_ulong));
	i->align = ask_number(f->id, CL_DEVICE_MEM_BASE_ADDR_ALIGN, sizeof(cl_uint)) / 8;
	i->work_group = ask_number(f->id, CL_DEVICE_MAX_WORK_GROUP_SIZE, sizeof(size_t));
	i->local = ask_number(f->id, CL_DEVICE_LOCAL_MEM_SIZE, sizeof(cl_ulong));

	/* A kernel on the CPU can be handed any address of this process. OpenCL calls that fine-grained system memory; PoCL 3.1
	 * does not say that it has it, yet takes every pointer: with clSetKernelArgSVMPointer a kernel was given odd addresses and
	 * 6 GiB in one piece, where clCreateBuffer refuses more than a quarter of what PoCL believes to be the memory (1 GiB on
	 * a machine of 24). So on such devices memory is the host's own, and all of it. */
	f->pocl = strstr(i->platform, "Portable Computing Language") != NULL;
	svm2 = strncmp(version, "OpenCL 1.", 9) != 0;
	if (i->cpu && svm2) {
		const cl_ulong caps = ask_number(f->id, CL_DEVICE_SVM_CAPABILITIES, sizeof caps);
		const bool calls = ask_number(f->id, CL_DEVICE_EXECUTION_CAPABILITIES, sizeof(cl_device_exec_capabilities)) & CL_EXEC_NATIVE_KERNEL;

		f->raw = calls && ((caps & CL_DEVICE_SVM_FINE_GRAIN_SYSTEM) || (f->pocl && (caps & CL_DEVICE_SVM_FINE_GRAIN_BUFFER)));
	}
	if (f->raw)
		i->memory = i->largest = host_memory();
}

static int by_platform(const void *a, const void *b)
{
	const struct found *x = a, *y = b;
	int c = strcmp(x->info.platform, y->info.platform);

	return c ? c : (x->number > y->number) - (x->number < y->number);
}

/* The loader gives platforms in the order of a directory, which nothing fixes: so they are sorted by name. */
static int find_all(struct found **out, size_t *n, struct pm_err *e)
{
	cl_platform_id platforms[64];
	cl_device_id ids[64];
	cl_uint np = 0, nd, i, j;
	size_t cap = 0;

	*out = NULL;
	*n = 0;
	if (clGetPlatformIDs(64, platforms, &np) != CL_SUCCESS)
		np = 0;
	for (i = 0; i < np && i < 64; i++) {
		nd = 0;
		if (clGetDeviceIDs(platforms[i], CL_DEVICE_TYPE_ALL, 64, ids, &nd) != CL_SUCCESS)
			continue;
		for (j = 0; j < nd && j < 64; j++) {
			if (pm_grow(out, &cap, *n + 1, sizeof **out, e) < 0) {
				free(*out);
				return -1;
			}
			(*out)[*n] = (struct found){.platform = platforms[i], .id = ids[j], .number = j};
			describe(&(*out)[(*n)++]);
		}
	}
	if (*n)
		qsort(*out, *n, sizeof **out, by_platform);
	return 0;
}

int pm_dev_list(struct pm_dev_info **list, size_t *n, struct pm_err *e)
{
	struct found *all;
	size_t i;

	if (find_all(&all, n, e) < 0)
		return -1;
	*list = pm_alloc(*n, sizeof **list, e);
	for (i = 0; *list && i < *n; i++)
		(*list)[i] = all[i].info;
	free(all);
	return *list ? 0 : -1;
}

static bool name_has(const char *name, const char *part)
{
	size_t n = strlen(part);

	for (; *name; name++) {
		if (!strncasecmp(name, part, n))
			return true;
	}
	return false;
}

static const struct found *choose(const struct found *all, size_t n, const char *select, struct pm_err *e)
{
	const struct found *cpu = NULL, *gpu = NULL;
	char *end;
	size_t i;
	unsigned long number;

	if (!n) {
		pm_fail(e, PM_NODEVICE, "no OpenCL device is there: a driver must be installed (for this CPU: pocl-opencl-icd) and find a directory that it can write (POCL_CACHE_DIR)");
		return NULL;
	}
	for (i = n; i-- > 0;) {
		if (all[i].info.cpu)
			cpu = &all[i];
		if (all[i].info.gpu)
			gpu = &all[i];
	}
	if (!select || !*select)
		return gpu ? gpu : cpu ? cpu : &all[0];
	number = strtoul(select, &end, 10);
	if (!*end && select[0] >= '0' && select[0] <= '9') {
		if (number < n)
			return &all[number];
		pm_fail(e, PM_NODEVICE, "device number %s was wanted, the last is %zu", select, n - 1);
		return NULL;
	}
	if (!strcmp(select, "cpu") && cpu)
		return cpu;
	if (!strcmp(select, "gpu") && gpu)
		return gpu;
	for (i = 0; i < n; i++) {
		if (name_has(all[i].info.name, select) || name_has(all[i].info.platform, select))
			return &all[i];
	}
	pm_fail(e, PM_NODEVICE, "no device is called '%s'; the first is '%s' (number 0)", select, all[0].info.name);
	return NULL;
}

/* The context and the queue, of the whole device or of as many compute units as were asked for. */
static int start(struct pm_dev *d, int threads, struct pm_err *e)
{
	cl_command_queue_properties props = d->profile ? CL_QUEUE_PROFILING_ENABLE : 0;
	cl_int code;

	if (d->info.cpu && threads > 0 && (unsigned)threads < d->info.units) {
		const cl_device_partition_property part[] = {CL_DEVICE_PARTITION_BY_COUNTS, threads, CL_DEVICE_PARTITION_BY_COUNTS_LIST_END, 0};

		/* It is never released: PoCL (3.1) reads it when one of its threads gives back the event of the last command, which may
		 * come after clFinish and after the queue's release. The event holds the queue then, but nothing the device. */
		code = clCreateSubDevices(d->root, part, 1, &d->id, NULL);
		if (code != CL_SUCCESS)
			return pm_cl_fail(e, code, "%s: %d of %u threads: clCreateSubDevices", d->info.name, threads, d->info.units);
		d->info.units = (unsigned)threads;
	}
	d->context = clCreateContext(NULL, 1, &d->id, NULL, NULL, &code);
	if (!d->context)
		return pm_cl_fail(e, code, "%s: clCreateContext", d->info.name);
	d->queue = clCreateCommandQueue(d->context, d->id, props, &code);
	if (!d->queue)
		return pm_cl_fail(e, code, "%s: clCreateCommandQueue", d->info.name);
	return 0;
}

static int set_options(struct pm_dev *d, struct pm_err *e)
{
	const struct pm_dev_info *i = &d->info;
	cl_device_fp_config fp = (cl_device_fp_config)ask_number(d->id, CL_DEVICE_SINGLE_FP_CONFIG, sizeof fp);

	/* Nothing that changes results: no relaxed math, no flushed denormals. Contraction is off by a pragma in common.cl. */
	return pm_str_printf(&d->options, e, "-cl-std=CL1.2%s -DPM_%s=1%s%s%s%s%s",
		fp & CL_FP_CORRECTLY_ROUNDED_DIVIDE_SQRT ? " -cl-fp32-correctly-rounded-divide-sqrt" : "",
		i->cpu ? "CPU" : "GPU", i->avx2 ? " -DHAVE_AVX2=1" : "", i->avx512 && i->assembly ? " -DHAVE_AVX512=1" : "", i->vnni ? " -DHAVE_VNNI=1" : "",
		i->bf16 ? " -DHAVE_BF16=1" : "", i->amx ? " -DHAVE_AMX=1" : "");
}

/* So that what GPUs get can be tested where there is none. */
static void take_for_gpu(struct pm_dev *d)
{
	d->info.cpu = d->info.shared = d->raw = false;
	d->info.gpu = true;
	d->info.memory = ask_number(d->id, CL_DEVICE_GLOBAL_MEM_SIZE, sizeof(cl_ulong));
	d->info.largest = ask_number(d->id, CL_DEVICE_MAX_MEM_ALLOC_SIZE, sizeof(cl_ulong));
}

int pm_dev_open_plain(struct pm_dev **out, const struct pm_dev_opts *opts, const struct pm_isa *isa, struct pm_err *e)
{
	struct pm_dev *d = pm_alloc(1, sizeof *d, e);
	struct found *all = NULL;
	const struct found *f;
	size_t n;

	if (!d)
		return -1;
	if (find_all(&all, &n, e) < 0)
		goto fail;
	f = choose(all, n, opts->select, e);
	if (!f)
		goto fail;
	d->platform = f->platform;
	d->id = d->root = f->id;
	d->raw = f->raw;
	d->pocl = f->pocl;
	d->info = f->info;
	if (d->pocl && d->info.cpu) {
		d->info.avx2 = isa->avx2;
		d->info.avx512 = isa->avx512;
		d->info.assembly = isa->assembly;
		d->info.vnni = isa->vnni;
		d->info.bf16 = isa->bf16;
		d->info.amx = isa->amx;
	}
	d->reference = opts->reference;
	d->profile = opts->profile;
	d->compiling = opts->compiling;
	d->arg = opts->arg;
	d->kernels = pm_strdup(opts->kernels, e);
	if (!d->kernels || (opts->cache && !(d->cache = pm_strdup(opts->cache, e))) || (opts->scratch && !(d->scratch = pm_strdup(opts->scratch, e))))
		goto fail;
	if (start(d, opts->threads, e) < 0)
		goto fail;
	if (isa->no_cpu && d->info.cpu)
		take_for_gpu(d);
	if (set_options(d, e) < 0 || pm_tune_load(d, opts->share, e) < 0)
		goto fail;
	if (d->profile)
		pm_rates_load(d);
	d->since = pm_profile_clock();
	free(all);
	*out = d;
	return 0;
fail:
	free(all);
	pm_dev_close(d);
	return -1;
}

int pm_dev_open(struct pm_dev **out, const struct pm_dev_opts *opts, struct pm_err *e)
{
	struct pm_isa isa;

	*out = NULL;
	if (pm_isa_probe(&isa, opts, e) < 0)
		return -1;
	if (pm_dev_open_plain(out, opts, &isa, e) < 0 || !(*out)->raw) {
		pm_helper_end(&isa.helper);
		return *out ? 0 : -1;
	}
	(*out)->helper = isa.helper;
	return 0;
}

void pm_dev_close(struct pm_dev *d)
{
	struct pm_err ignored;

	if (!d)
		return;
	if (d->queue)
		pm_dev_finish(d, &ignored);
	if (d->helper.nasked && pm_stopped(d, &ignored) < 0)
		kill(d->helper.pid, SIGTERM);   /* nobody wants what it is at */
	pm_helper_end(&d->helper);
	pm_later_free(d);
	free(d->wanted);
	pm_marks_free(d);
	pm_programs_free(d);
	if (d->queue)
		clReleaseCommandQueue(d->queue);
	if (d->context)
		clReleaseContext(d->context);
	pm_tune_free(d);
	pm_str_free(&d->options);
	free(d->timed);
	pm_profile_free(d);
	free(d->kernels);
	free(d->cache);
	free(d->scratch);
	free(d);
}

const struct pm_dev_info *pm_dev_info(const struct pm_dev *d)
{
	return &d->info;
}

bool pm_dev_reference(const struct pm_dev *d)
{
	return d->reference;
}

void pm_dev_stop(struct pm_dev *d, int (*stop)(void))
{
	d->stop = stop;
}

const char *pm_dev_cache(const struct pm_dev *d)
{
	return d->cache;
}
