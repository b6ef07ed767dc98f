/* cache.c: program binaries on disk, CACHE/KEY.clbin: a line "pm-clbin 2 <SHA-256 of the rest>\n", then what the driver gave. The
 * key stands for everything that the binary follows from (program.c), so a file is right or damaged; a damaged one is compiled again. */
#include "dev/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

#define MAGIC "pm-clbin 2 "
#define HEAD (sizeof MAGIC - 1 + 64 + 1)        /* bytes of the first line */

static char *cache_path(const struct pm_dev *d, const struct pm_program *p, struct pm_err *e)
{
	char name[80];

	snprintf(name, sizeof name, "%s.clbin", p->key);
	return pm_path(d->cache, name, e);
}

/* True if all of a file is as it was written. */
static bool check_file(const struct pm_map *m)
{
	char hex[PM_SHA256_HEX];
	struct pm_err ignored;

	return m->size > HEAD && !memcmp(m->data, MAGIC, strlen(MAGIC)) && m->data[HEAD - 1] == '\n' &&
		pm_sha256_bytes(hex, m->data + HEAD, m->size - HEAD, &ignored) == 0 && !memcmp(m->data + strlen(MAGIC), hex, 64);
}

int pm_cache_load(struct pm_dev *d, struct pm_program *p, struct pm_err *e)
{
	const unsigned char *binary;
	struct pm_err ignored;
	struct pm_map m;
	cl_int code, status;
	char *path;
	size_t n;
	int r = 1;

	if (!d->cache)
		return 1;
	path = cache_path(d, p, e);
	if (!path)
		return -1;
	if (pm_map_open(&m, path, &ignored) < 0) {
		free(path);
		return 1;
	}
	free(path);
	if (check_file(&m)) {
		binary = m.data + HEAD;
		n = m.size - HEAD;
		p->cl = clCreateProgramWithBinary(d->context, 1, &d->id, &n, &binary, &status, &code);
		if (p->cl && clBuildProgram(p->cl, 1, &d->id, NULL, NULL, NULL) == CL_SUCCESS) {
			r = 0;
		} else if (p->cl) {
			clReleaseProgram(p->cl);
			p->cl = NULL;
		}
	}
	pm_map_close(&m);
	return r;
}

static int write_file(const char *path, const unsigned char *binary, size_t n, struct pm_err *e)
{
	char hex[PM_SHA256_HEX], head[HEAD + 1];
	struct pm_out o;

	if (pm_sha256_bytes(hex, binary, n, e) < 0 || pm_out_open(&o, path, e) < 0)
		return -1;
	snprintf(head, sizeof head, MAGIC "%s\n", hex);
	if (pm_out_write(&o, head, HEAD, e) < 0 || pm_out_write(&o, binary, n, e) < 0) {
		pm_out_abort(&o);
		return -1;
	}
	return pm_out_close(&o, e);
}

void pm_cache_save(struct pm_dev *d, const struct pm_program *p)
{
	unsigned char *binary = NULL;
	struct pm_err ignored;
	char *path = NULL;
	size_t n = 0;

	if (!d->cache || pm_mkdirs(d->cache, &ignored) < 0 ||
	    clGetProgramInfo(p->cl, CL_PROGRAM_BINARY_SIZES, sizeof n, &n, NULL) != CL_SUCCESS || !n)
		return;
	binary = pm_alloc(n, 1, &ignored);
	path = cache_path(d, p, &ignored);
	if (binary && path && clGetProgramInfo(p->cl, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) == CL_SUCCESS)
		write_file(path, binary, n, &ignored);
	free(binary);
	free(path);
}
