/* kept.h: files of a cache, DIR/NAME.KIND: a line "pm-KIND VERSION <SHA-256 of the rest>\n", then bytes. NAME stands for all that the bytes follow
 * from, so a file is right or damaged, and a damaged one is as good as none. */
#ifndef PM_BASE_KEPT_H
#define PM_BASE_KEPT_H

#include <stddef.h>

#include "base/err.h"
#include "base/file.h"

struct pm_kept {
	struct pm_map map;
	const unsigned char *data;
	size_t n;
};

/* 0, or 1 where there is no good file (`dir` NULL, too). Its time of last use is set. */
int pm_kept_open(struct pm_kept *k, const char *dir, const char *name, const char *kind, int version);
void pm_kept_close(struct pm_kept *k);

/* Failing to keep is no error. The longest unused files of the kind go where they have become many. */
void pm_kept_write(const char *dir, const char *name, const char *kind, int version, const void *data, size_t n);

#endif
