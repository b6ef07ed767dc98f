/* memory.c: bytes that kernels work on. On a device that takes host pointers they are the host's; else buffers. */
#define _DEFAULT_SOURCE                         /* madvise */
#include "dev/private.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"

/* Pages of 2 MiB: a kernel that walks gigabytes would spend its time on misses of the page tables otherwise. Memory that is asked for as
 * zeros is filled little by little (a cache of keys and values), and gets them only where it is large: the system clears each as a whole, and
 * may look for it for milliseconds (a KV cache of 48 buffers: 35 to 410 ms for its first rows, 1 ms without). */
#define HUGE_PAGE ((size_t)2 << 20)
#define HUGE_ZEROS ((size_t)64 << 20)

#define MIB(n) ((double)(n) / (1 << 20))

static struct pm_mem *new_mem(struct pm_dev *d, size_t bytes, struct pm_err *e)
{
	struct pm_mem *m = pm_alloc(1, sizeof *m, e);

	if (m) {
		m->dev = d;
		m->size = bytes;
	}
	return m;
}

static int check_room(const struct pm_dev *d, size_t bytes, struct pm_err *e)
{
	if (bytes > d->info.largest)
		return pm_fail(e, PM_NODEVICE, "%.1f MiB of device memory in one piece were wanted, %s gives at most %.1f",
			MIB(bytes), d->info.name, MIB(d->info.largest));
	if (d->held > d->info.memory || bytes > d->info.memory - d->held)
		return pm_fail(e, PM_NODEVICE, "%.1f MiB of device memory were wanted, and of %.1f MiB of %s %.1f are in use",
			MIB(bytes), MIB(d->info.memory), d->info.name, MIB(d->held));
	return 0;
}

/* Bytes of the host for m, with room for a whole vector after the last one, so that its tail may be read (never used). Big ones get
 * pages of their own, which the system gives as zeros when they are first touched. */
static int take_host(struct pm_mem *m, size_t bytes, bool huge, struct pm_err *e)
{
	void *p = NULL;

	m->npages = bytes >= 2 * HUGE_PAGE && bytes < SIZE_MAX - 2 * HUGE_PAGE ? bytes + HUGE_PAGE + 128 : 0;
	if (m->npages) {
		p = mmap(NULL, m->npages, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (p != MAP_FAILED) {
			m->pages = p;
			m->host = (unsigned char *)(((size_t)p + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE);
			if (huge)
				(void)madvise(m->host, bytes, MADV_HUGEPAGE);
			return 0;
		}
	} else if (bytes < SIZE_MAX - 128 && !posix_memalign(&p, 128, (bytes + 127) / 64 * 64)) {
		m->host = p;
		m->owned = true;
		return 0;
	}
	return pm_fail(e, PM_NODEVICE, "out of memory: %.1f MiB wanted", MIB(bytes));
}

static int make_mem(struct pm_mem **out, struct pm_dev *d, size_t bytes, bool huge, struct pm_err *e)
{
	struct pm_mem *m;
	cl_int code;

	if (check_room(d, bytes, e) < 0)
		return -1;
	m = new_mem(d, bytes, e);
	if (!m)
		return -1;
	if (d->raw) {
		if (take_host(m, bytes, huge, e) < 0) {
			free(m);
			return -1;
		}
	} else {
		m->cl = clCreateBuffer(d->context, CL_MEM_READ_WRITE, bytes ? bytes : 1, NULL, &code);
		if (!m->cl) {
			free(m);
			return pm_cl_fail(e, code, "clCreateBuffer of %.1f MiB", MIB(bytes));
		}
	}
	m->counted = bytes;
	d->held += bytes;
	*out = m;
	return 0;
}

int pm_mem_new(struct pm_mem **out, struct pm_dev *d, size_t bytes, struct pm_err *e)
{
	return make_mem(out, d, bytes, true, e);
}

int pm_mem_zeros(struct pm_mem **out, struct pm_dev *d, size_t bytes, struct pm_err *e)
{
	if (make_mem(out, d, bytes, bytes >= HUGE_ZEROS, e) < 0)
		return -1;
	if ((*out)->pages || pm_mem_zero(*out, 0, bytes, e) == 0)
		return 0;
	pm_mem_free(*out);
	*out = NULL;
	return -1;
}

int pm_mem_map(struct pm_mem **out, struct pm_dev *d, const void *p, size_t bytes, struct pm_err *e)
{
	void *host = (void *)(size_t)p;         /* OpenCL's interface has no const; kernels only read */
	struct pm_mem *m;
	cl_int code;

	if (!d->raw && check_room(d, bytes, e) < 0)
		return -1;
	m = new_mem(d, bytes, e);
	if (!m)
		return -1;
	*out = m;
	if (d->raw) {
		m->host = host;
		return 0;
	}
	if (d->info.shared && bytes) {
		m->cl = clCreateBuffer(d->context, CL_MEM_READ_ONLY | CL_MEM_USE_HOST_PTR, bytes, host, &code);
		if (m->cl)
			return 0;
	}
	m->cl = clCreateBuffer(d->context, CL_MEM_READ_ONLY, bytes ? bytes : 1, NULL, &code);
	if (!m->cl) {
		free(m);
		return pm_cl_fail(e, code, "clCreateBuffer of %.1f MiB", MIB(bytes));
	}
	m->counted = bytes;
	d->held += bytes;
	if (pm_mem_write(m, 0, p, bytes, e) < 0) {
		pm_mem_free(m);
		return -1;
	}
	return 0;
}

int pm_mem_part(struct pm_mem **out, struct pm_mem *whole, size_t from, size_t bytes, struct pm_err *e)
{
	struct pm_mem *m;
	cl_int code;

	if (from > whole->size || bytes > whole->size - from)
		return pm_fail(e, PM_SOFTWARE, "bytes %zu to %zu of memory of %zu were wanted", from, from + bytes, whole->size);
	if (from % whole->dev->info.align)
		return pm_fail(e, PM_SOFTWARE, "a part of device memory was wanted to start at byte %zu, no multiple of %zu", from, whole->dev->info.align);
	m = new_mem(whole->dev, bytes, e);
	if (!m)
		return -1;
	m->whole = whole;
	if (whole->dev->raw) {
		m->host = whole->host + from;
	} else {
		/* A part of a part: OpenCL wants the whole buffer, and sub-buffers say where in it they start. */
		cl_buffer_region r = {from, bytes ? bytes : 1};
		struct pm_mem *top = whole;

		while (top->whole) {
			size_t at = 0;

			clGetMemObjectInfo(top->cl, CL_MEM_OFFSET, sizeof at, &at, NULL);
			r.origin += at;
			top = top->whole;
		}
		m->cl = clCreateSubBuffer(top->cl, 0, CL_BUFFER_CREATE_TYPE_REGION, &r, &code);
		if (!m->cl) {
			free(m);
			return pm_cl_fail(e, code, "clCreateSubBuffer of %zu bytes at %zu", bytes, from);
		}
	}
	*out = m;
	return 0;
}

static int check_range(const struct pm_mem *m, size_t at, size_t bytes, struct pm_err *e)
{
	if (at > m->size || bytes > m->size - at)
		return pm_fail(e, PM_SOFTWARE, "bytes %zu to %zu of device memory of %zu were wanted", at, at + bytes, m->size);
	return 0;
}

static int write_now(struct pm_mem *m, size_t at, const void *p, size_t bytes, struct pm_err *e)
{
	struct pm_dev *d = m->dev;
	cl_int code;
	double from;

	if (check_range(m, at, bytes, e) < 0)
		return -1;
	if (!bytes)
		return 0;
	from = pm_profile_clock();
	if (m->host) {
		memcpy(m->host + at, p, bytes);
	} else {
		code = clEnqueueWriteBuffer(d->queue, m->cl, CL_TRUE, at, bytes, p, 0, NULL, NULL);
		if (code != CL_SUCCESS)
			return pm_cl_fail(e, code, "clEnqueueWriteBuffer");
	}
	pm_profile_count(d, PM_WRITES, from, bytes);
	return 0;
}

static int read_now(struct pm_mem *m, size_t at, void *p, size_t bytes, struct pm_err *e)
{
	struct pm_dev *d = m->dev;
	cl_int code;
	double from;

	if (check_range(m, at, bytes, e) < 0)
		return -1;
	if (!bytes)
		return 0;
	from = pm_profile_clock();
	if (m->host) {
		memcpy(p, m->host + at, bytes);
	} else {
		code = clEnqueueReadBuffer(d->queue, m->cl, CL_TRUE, at, bytes, p, 0, NULL, NULL);
		if (code != CL_SUCCESS)
			return pm_cl_fail(e, code, "clEnqueueReadBuffer");
	}
	pm_profile_count(d, PM_READS, from, bytes);
	return 0;
}

int pm_mem_write(struct pm_mem *m, size_t at, const void *p, size_t bytes, struct pm_err *e)
{
	return pm_dev_finish(m->dev, e) < 0 ? -1 : write_now(m, at, p, bytes, e);
}

int pm_mem_write_idle(struct pm_mem *m, size_t at, const void *p, size_t bytes, struct pm_err *e)
{
	return m->host ? write_now(m, at, p, bytes, e) : pm_mem_write(m, at, p, bytes, e);
}

int pm_mem_read(struct pm_mem *m, size_t at, void *p, size_t bytes, struct pm_err *e)
{
	return pm_dev_finish(m->dev, e) < 0 ? -1 : read_now(m, at, p, bytes, e);
}

int pm_mem_read_idle(struct pm_mem *m, size_t at, void *p, size_t bytes, struct pm_err *e)
{
	return m->host ? read_now(m, at, p, bytes, e) : pm_mem_read(m, at, p, bytes, e);
}

/* Called by the device, which is the host: clEnqueueSVMMemFill is only for what clSVMAlloc gave, and PoCL 6 falls over other addresses. */
struct zeros {
	unsigned char *at;
	size_t bytes;
};

static void CL_CALLBACK set_zeros(void *arg)
{
	const struct zeros *z = arg;

	memset(z->at, 0, z->bytes);
}

int pm_zero_now(struct pm_dev *d, unsigned char *p, size_t bytes, cl_event *event, struct pm_err *e)
{
	struct zeros z = {p, bytes};
	const cl_int code = clEnqueueNativeKernel(d->queue, set_zeros, &z, sizeof z, 0, NULL, NULL, 0, NULL, event);

	if (code != CL_SUCCESS)
		return pm_cl_fail(e, code, "clEnqueueNativeKernel");
	d->queued++;
	return 0;
}

int pm_mem_zero(struct pm_mem *m, size_t at, size_t bytes, struct pm_err *e)
{
	struct pm_dev *d = m->dev;
	cl_event event = NULL, *want = d->profile ? &event : NULL;
	cl_int code;

	if (check_range(m, at, bytes, e) < 0)
		return -1;
	if (!bytes)
		return 0;
	if (pm_later_any(d))
		return pm_later_zero(d, m->host + at, bytes, e);
	if (m->host) {
		if (pm_zero_now(d, m->host + at, bytes, want, e) < 0)
			return -1;
	} else {
		code = clEnqueueFillBuffer(d->queue, m->cl, &(unsigned char){0}, 1, at, bytes, 0, NULL, want);
		if (code != CL_SUCCESS)
			return pm_cl_fail(e, code, "clEnqueueFillBuffer");
		d->queued++;
	}
	return d->profile ? pm_profile_add(d, &d->others[PM_ZEROS], event, &(struct pm_launch){.bytes = (double)bytes}, e) : 0;
}

size_t pm_mem_size(const struct pm_mem *m)
{
	return m->size;
}

size_t pm_mem_address(const struct pm_mem *m)
{
	return m->dev->raw ? (size_t)m->host : 0;
}

struct pm_dev *pm_mem_dev(const struct pm_mem *m)
{
	return m->dev;
}

void pm_mem_free(struct pm_mem *m)
{
	struct pm_err e;

	if (!m)
		return;
	/* Launches still queued may use the bytes; OpenCL keeps only buffers alive. */
	if (m->host && !m->whole && pm_dev_finish(m->dev, &e) < 0)
		m->dev->untold = e;
	if (m->cl)
		clReleaseMemObject(m->cl);
	if (m->owned)
		free(m->host);
	if (m->pages)
		munmap(m->pages, m->npages);
	m->dev->held -= m->counted;
	free(m);
}

uint64_t pm_dev_held(const struct pm_dev *d)
{
	return d->held;
}
