/* cache.c: program binaries on disk, CACHE/KEY.clbin: a line "pm-clbin 1 <SHA-256 of the rest> <bytes of variants>\n", the
 * variants that were launched before it was saved ("kernel l0 l1 l2 large\n" each), then what the driver gave. The key stands for
 * everything that the binary follows from (program.c), so a file is right or damaged; a damaged one is compiled again. */
#include "dev/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

#define MAGIC "pm-clbin 1 "

static char *cache_path(const struct pm_dev *d, const struct pm_program *p, struct pm_err *e)
{
	char name[80];

	snprintf(name, sizeof name, "%s.clbin", p->key);
	return pm_path(d->cache, name, e);
}

/* Where the binary starts in a file's bytes, after its variants; 0 unless all of it is as it was written. */
static size_t check_file(const struct pm_map *m, size_t *variants)
{
	const char *text = (const char *)m->data, *line;
	char hex[PM_SHA256_HEX], head[160] = "";
	struct pm_err ignored;
	size_t at;

	line = m->size ? memchr(text, '\n', m->size < sizeof head ? m->size : sizeof head - 1) : NULL;
	if (!line || strncmp(text, MAGIC, strlen(MAGIC)) != 0)
		return 0;
	at = (size_t)(line - text) + 1;
	memcpy(head, text, at);
	if (at < strlen(MAGIC) + 66 || pm_sha256_bytes(hex, m->data + at, m->size - at, &ignored) < 0 ||
	    strncmp(head + strlen(MAGIC), hex, 64) != 0)
		return 0;
	*variants = strtoull(head + strlen(MAGIC) + 64, NULL, 10);
	return *variants <= m->size - at ? at : 0;
}

int pm_cache_load(struct pm_dev *d, struct pm_program *p, struct pm_err *e)
{
	const unsigned char *binary;
	size_t at, variants, n;
	struct pm_err ignored;
	struct pm_map m;
	cl_int code, status;
	char *path;
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
	at = check_file(&m, &variants);
	if (at) {
		binary = m.data + at + variants;
		n = m.size - at - variants;
		p->cl = clCreateProgramWithBinary(d->context, 1, &d->id, &n, &binary, &status, &code);
		if (p->cl && clBuildProgram(p->cl, 1, &d->id, NULL, NULL, NULL) == CL_SUCCESS) {
			r = pm_str_put(&p->known, m.data + at, variants, e);
		} else if (p->cl) {
			clReleaseProgram(p->cl);
			p->cl = NULL;
		}
	}
	pm_map_close(&m);
	return r;
}

static int write_file(const char *path, const struct pm_program *p, const unsigned char *binary, size_t n, struct pm_err *e)
{
	char hex[PM_SHA256_HEX], head[160];
	struct pm_sha256 h;
	struct pm_out o;

	if (pm_sha256_begin(&h, e) < 0)
		return -1;
	pm_sha256_put(&h, p->known.data, p->known.len);
	pm_sha256_put(&h, binary, n);
	pm_sha256_end(&h, hex);
	snprintf(head, sizeof head, MAGIC "%s %zu\n", hex, p->known.len);
	if (pm_out_open(&o, path, e) < 0)
		return -1;
	if (pm_out_write(&o, head, strlen(head), e) < 0 || pm_out_write(&o, p->known.data, p->known.len, e) < 0 ||
	    pm_out_write(&o, binary, n, e) < 0) {
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

	if (clGetProgramInfo(p->cl, CL_PROGRAM_BINARY_SIZES, sizeof n, &n, NULL) != CL_SUCCESS || !n)
		return;
	binary = pm_alloc(n, 1, &ignored);
	path = cache_path(d, p, &ignored);
	if (binary && path && clGetProgramInfo(p->cl, CL_PROGRAM_BINARIES, sizeof binary, &binary, NULL) == CL_SUCCESS &&
	    pm_mkdirs(d->cache, &ignored) == 0)
		write_file(path, p, binary, n, &ignored);
	free(binary);
	free(path);
}
