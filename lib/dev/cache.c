/* cache.c: program binaries on disk. */
#include "dev/private.h"

#include <stdlib.h>

#include "base/kept.h"
#include "base/mem.h"

#define KIND "clbin"
#define VERSION 2

int pm_cache_load(struct pm_dev *d, struct pm_program *p)
{
	struct pm_kept k;
	cl_int code, status;
	int r = 1;

	if (pm_kept_open(&k, d->cache, p->key, KIND, VERSION) != 0)
		return 1;
	p->cl = clCreateProgramWithBinary(d->context, 1, &d->id, &k.n, &k.data, &status, &code);
	if (p->cl && clBuildProgram(p->cl, 1, &d->id, NULL, NULL, NULL) == CL_SUCCESS) {
		r = 0;
	} else if (p->cl) {
		clReleaseProgram(p->cl);
		p->cl = NULL;
	}
	pm_kept_close(&k);
	return r;
}

void pm_cache_save(struct pm_dev *d, const struct pm_program *p)
{
	unsigned char *binary = NULL;
	struct pm_err ignored;
	size_t n = 0;

	if (!d->cache || clGetProgramInfo(p->cl, CL_PROGRAM_BINARY_SIZES, sizeof n, &n, NULL) != CL_SUCCESS || !n)
		return;
	binary = pm_alloc(n, 1, &ignored);
	if (binary && clGetProgramInfo(p->cl, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) == CL_SUCCESS)
		pm_kept_write(d->cache, p->key, KIND, VERSION, binary, n);
	free(binary);
}
