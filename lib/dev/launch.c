/* launch.c: kernels on the queue. */
#include "dev/private.h"

static cl_int set_arg(struct pm_kernel *k, cl_uint i, const struct pm_arg *a)
{
	cl_mem mem;

	if (a->kind == PM_ARG_ADDRESS)
		return clSetKernelArgSVMPointer(k->cl, i, (void *)(size_t)a->u.l);
	switch (a->kind) {
	case PM_ARG_MEM:
		if (k->dev->raw)
			return clSetKernelArgSVMPointer(k->cl, i, a->u.mem ? a->u.mem->host : NULL);
		mem = a->u.mem ? a->u.mem->cl : NULL;
		return clSetKernelArg(k->cl, i, sizeof mem, &mem);
	case PM_ARG_I32:
		return clSetKernelArg(k->cl, i, sizeof a->u.i, &a->u.i);
	case PM_ARG_I64:
		return clSetKernelArg(k->cl, i, sizeof a->u.l, &a->u.l);
	case PM_ARG_F32:
		return clSetKernelArg(k->cl, i, sizeof a->u.f, &a->u.f);
	case PM_ARG_LOCAL:
		return clSetKernelArg(k->cl, i, a->u.local, NULL);
	}
	return CL_INVALID_ARG_VALUE;
}

static int launch_failed(const struct pm_kernel *k, cl_int code, const struct pm_launch *l, struct pm_err *e)
{
	pm_cl_fail(e, code, "%s.%s: clEnqueueNDRangeKernel of %zu x %zu x %zu by %zu x %zu x %zu", k->program->operation, k->name,
		l->global[0], l->global[1], l->global[2], l->local[0], l->local[1], l->local[2]);
	if (code != CL_OUT_OF_RESOURCES && code != CL_MEM_OBJECT_ALLOCATION_FAILURE && code != CL_OUT_OF_HOST_MEMORY)
		e->status = PM_SOFTWARE;
	return -1;
}

static void let_go(cl_event *event)
{
	if (*event)
		clReleaseEvent(*event);
	*event = NULL;
}

/* The last launch is number `number`, which has a mark. */
static void keep_mark(struct pm_dev *d, uint64_t number)
{
	const size_t i = number % PM_MARKS;

	let_go(&d->marks[i].event);
	d->marks[i].event = d->last;
	d->marks[i].launches = number;
	clRetainEvent(d->last);
}

int pm_launch_now(struct pm_kernel *k, struct pm_launch l, size_t n, const struct pm_arg *args, uint64_t number, struct pm_err *e)
{
	struct pm_dev *d = k->dev;
	cl_event event = NULL;
	cl_int code;
	cl_uint i;

	if (n != k->args)
		return pm_fail(e, PM_SOFTWARE, "%s.%s takes %u arguments, %zu were given", k->program->operation, k->name, k->args, n);
	for (i = 0; i < n; i++) {
		code = set_arg(k, i, &args[i]);
		if (code != CL_SUCCESS) {
			pm_cl_fail(e, code, "%s.%s: argument %u", k->program->operation, k->name, i);
			e->status = PM_SOFTWARE;
			return -1;
		}
	}
	for (i = 0; i < 3; i++) {
		l.local[i] = l.local[i] ? l.local[i] : 1;
		l.global[i] = l.global[i] ? l.global[i] : 1;
	}
	code = clEnqueueNDRangeKernel(d->queue, k->cl, 3, NULL, l.global, l.local, 0, NULL, &event);
	if (code != CL_SUCCESS)
		return launch_failed(k, code, &l, e);
	d->queued++;
	let_go(&d->last);
	d->last = event;
	if (d->marks[number % PM_MARKS].launches == number && !d->marks[number % PM_MARKS].event)
		keep_mark(d, number);           /* it was put off */
	if (d->profile)
		clRetainEvent(event);
	return d->profile ? pm_profile_add(d, &k->sums, event, &l, e) : 0;
}

int pm_launch(const struct pm_kernel *kernel, struct pm_launch l, size_t n, const struct pm_arg *args, struct pm_err *e)
{
	struct pm_kernel *k = (struct pm_kernel *)(size_t)kernel;       /* ours; const is for the borrowers */
	struct pm_dev *d = k->dev;

	if (pm_later_run(d, UINT64_MAX, false, e) < 0)
		return -1;
	if (!pm_later_any(d) && pm_helper_run(d, k, false, e) < 0)
		return -1;
	if (pm_later_any(d) || !k->cl)
		return pm_later_launch(k, &l, n, args, e);
	d->launches++;
	return pm_launch_now(k, l, n, args, d->launches, e);
}

int pm_dev_flush(struct pm_dev *d, struct pm_err *e)
{
	cl_int code;

	if (pm_later_run(d, UINT64_MAX, false, e) < 0)
		return -1;
	code = clFlush(d->queue);

	return code == CL_SUCCESS ? 0 : pm_cl_fail(e, code, "%s: clFlush", d->info.name);
}

int pm_dev_finish(struct pm_dev *d, struct pm_err *e)
{
	cl_int code = CL_SUCCESS;

	if (pm_later_run(d, UINT64_MAX, true, e) < 0)
		return -1;
	if (d->queued)
		code = clFinish(d->queue);
	if (code != CL_SUCCESS)
		return pm_cl_fail(e, code, "%s: clFinish", d->info.name);
	d->queued = 0;
	pm_marks_free(d);
	d->done = d->launches;
	return d->ntimed ? pm_profile_collect(d, e) : 0;
}

/* ---- marks ---- */

void pm_marks_free(struct pm_dev *d)
{
	size_t i;

	let_go(&d->last);
	for (i = 0; i < PM_MARKS; i++)
		let_go(&d->marks[i].event);
}

uint64_t pm_dev_mark(struct pm_dev *d)
{
	const size_t i = d->launches % PM_MARKS;

	if (pm_later_any(d)) {
		let_go(&d->marks[i].event);
		d->marks[i].launches = d->launches;
	} else if (d->last) {
		keep_mark(d, d->launches);
	}
	return d->launches;
}

bool pm_dev_done(const struct pm_dev *d, uint64_t mark)
{
	return mark <= d->done;
}

int pm_dev_wait(struct pm_dev *d, uint64_t mark, struct pm_err *e)
{
	const size_t i = mark % PM_MARKS;
	cl_int code;

	if (pm_dev_done(d, mark))
		return 0;
	if (pm_later_run(d, mark, true, e) < 0)
		return -1;
	if (!d->marks[i].event || d->marks[i].launches != mark)
		return pm_dev_finish(d, e);
	code = clWaitForEvents(1, &d->marks[i].event);
	if (code != CL_SUCCESS)
		return pm_cl_fail(e, code, "%s: clWaitForEvents", d->info.name);
	let_go(&d->marks[i].event);
	d->done = mark;
	return 0;
}
