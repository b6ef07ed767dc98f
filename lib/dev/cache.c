/* cache.c: program binaries on disk, CACHE/KEY.clbin: a line "pm-clbin 2 <SHA-256 of the rest>\n", then what the driver gave. The
 * key stands for everything that the binary follows from (program.c), so a file is right or damaged; a damaged one is compiled again. */
#include "dev/private.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

#define MAGIC "pm-clbin 2 "
#define MANY 1000                               /* files from which on the longest unused go, down to FEW */
#define FEW 750
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
	utimensat(AT_FDCWD, path, NULL, 0);             /* the time of last use, see prune; an error is none */
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

struct old {
	time_t used;
	char name[72];
};

static int by_use(const void *a, const void *b)
{
	const struct old *x = a, *y = b;

	return x->used != y->used ? (x->used > y->used) - (x->used < y->used) : strcmp(x->name, y->name);
}

/* Binaries of kernels and drivers that were replaced since are never asked for again: the longest unused files are removed. */
static void prune(int dir, DIR *list)
{
	struct old *old = NULL;
	struct pm_err ignored;
	size_t n = 0, cap = 0, i;
	struct dirent *f;
	struct stat st;

	while ((f = readdir(list))) {
		size_t len = strlen(f->d_name);

		if (len != 64 + 6 || strcmp(f->d_name + 64, ".clbin") != 0 || fstatat(dir, f->d_name, &st, 0) < 0)
			continue;
		if (pm_grow(&old, &cap, n + 1, sizeof *old, &ignored) < 0)
			break;
		old[n].used = st.st_mtime;
		memcpy(old[n++].name, f->d_name, len + 1);
	}
	if (n > MANY) {
		qsort(old, n, sizeof *old, by_use);
		for (i = 0; i < n - FEW; i++)
			unlinkat(dir, old[i].name, 0);
	}
	free(old);
}

void pm_cache_save(struct pm_dev *d, const struct pm_program *p)
{
	unsigned char *binary = NULL;
	struct pm_err ignored;
	char *path = NULL;
	size_t n = 0;
	DIR *list;

	if (!d->cache || pm_mkdirs(d->cache, &ignored) < 0 ||
	    clGetProgramInfo(p->cl, CL_PROGRAM_BINARY_SIZES, sizeof n, &n, NULL) != CL_SUCCESS || !n)
		return;
	binary = pm_alloc(n, 1, &ignored);
	path = cache_path(d, p, &ignored);
	if (binary && path && clGetProgramInfo(p->cl, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) == CL_SUCCESS)
		write_file(path, binary, n, &ignored);
	list = opendir(d->cache);
	if (list) {
		prune(dirfd(list), list);
		closedir(list);
	}
	free(binary);
	free(path);
}
