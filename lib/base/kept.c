#include "base/kept.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/str.h"

#define MANY 1000                               /* files of a kind from which on the longest unused go, down to FEW */
#define FEW 750
#define LONGEST 128                             /* of a name with its kind */

static char *path_of(const char *dir, const char *name, const char *kind)
{
	struct pm_err ignored;
	char file[LONGEST];

	return snprintf(file, sizeof file, "%s.%s", name, kind) < LONGEST ? pm_path(dir, file, &ignored) : NULL;
}

/* The first line as it must be for these bytes; its length, 0 where that cannot be said. */
static size_t head_of(char *head, size_t most, const char *kind, int version, const void *data, size_t n)
{
	char hex[PM_SHA256_HEX];
	struct pm_err ignored;

	return pm_sha256_bytes(hex, data, n, &ignored) < 0 ? 0 : (size_t)snprintf(head, most, "pm-%s %d %s\n", kind, version, hex);
}

int pm_kept_open(struct pm_kept *k, const char *dir, const char *name, const char *kind, int version)
{
	char *path = dir ? path_of(dir, name, kind) : NULL, head[LONGEST];
	struct pm_err ignored;
	const char *line;
	size_t n;

	if (!path || pm_map_open(&k->map, path, &ignored) < 0) {
		free(path);
		return 1;
	}
	utimensat(AT_FDCWD, path, NULL, 0);             /* see prune; an error is none */
	free(path);
	line = !k->map.size ? NULL : memchr(k->map.data, '\n', k->map.size < LONGEST ? k->map.size : LONGEST);
	n = line ? (size_t)(line + 1 - (const char *)k->map.data) : 0;
	k->data = k->map.data + n;
	k->n = k->map.size - n;
	if (n && k->n && head_of(head, sizeof head, kind, version, k->data, k->n) == n && !memcmp(head, k->map.data, n))
		return 0;
	pm_map_close(&k->map);
	return 1;
}

void pm_kept_close(struct pm_kept *k)
{
	pm_map_close(&k->map);
}

struct old {
	time_t used;
	char name[LONGEST];
};

static int by_use(const void *a, const void *b)
{
	const struct old *x = a, *y = b;

	return x->used != y->used ? (x->used > y->used) - (x->used < y->used) : strcmp(x->name, y->name);
}

/* What was made of files and drivers that were replaced since is never asked for again. */
static void prune(int dir, DIR *list, const char *kind)
{
	struct old *old = NULL;
	struct pm_err ignored;
	size_t n = 0, cap = 0, i;
	struct dirent *f;
	struct stat st;

	while ((f = readdir(list))) {
		const char *dot = strrchr(f->d_name, '.');

		if (!dot || strcmp(dot + 1, kind) != 0 || strlen(f->d_name) >= LONGEST || fstatat(dir, f->d_name, &st, 0) < 0)
			continue;
		if (pm_grow(&old, &cap, n + 1, sizeof *old, &ignored) < 0)
			break;
		old[n].used = st.st_mtime;
		memcpy(old[n++].name, f->d_name, strlen(f->d_name) + 1);
	}
	if (n > MANY) {
		qsort(old, n, sizeof *old, by_use);
		for (i = 0; i < n - FEW; i++)
			unlinkat(dir, old[i].name, 0);
	}
	free(old);
}

void pm_kept_write(const char *dir, const char *name, const char *kind, int version, const void *data, size_t n)
{
	char *path = dir ? path_of(dir, name, kind) : NULL, head[LONGEST];
	size_t h = path ? head_of(head, sizeof head, kind, version, data, n) : 0;
	struct pm_err ignored;
	struct pm_out o;
	DIR *list;

	if (h && pm_mkdirs(dir, &ignored) == 0 && pm_out_open(&o, path, &ignored) == 0) {
		if (pm_out_write(&o, head, h, &ignored) == 0 && pm_out_write(&o, data, n, &ignored) == 0)
			pm_out_close(&o, &ignored);
		else
			pm_out_abort(&o);
		list = opendir(dir);
		if (list) {
			prune(dirfd(list), list, kind);
			closedir(list);
		}
	}
	free(path);
}
