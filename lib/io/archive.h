/* archive.h: archives of models and data (tar, zip, 7-zip, in any compression that libarchive reads), unpacked where nothing of
 * them can do harm. */
#ifndef PM_IO_ARCHIVE_H
#define PM_IO_ARCHIVE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"

struct pm_unpack_opts {
	uint64_t most_bytes, most_files;        /* refused beyond these */
	bool (*wanted)(void *arg, const char *path);    /* which files; NULL: all */
	int (*stop)(void);                      /* not 0: end now; may be NULL */
	void *arg;
};

/* Whether a file begins like one of these archives. */
bool pm_is_archive(const char *path);

/* Unpacks into the directory `dir`, which must be empty. Status 65 for a name that is absolute or has "..", a link that leads out,
 * a name that comes twice, what is neither file, directory nor link, damage, and what is beyond the limits; 66 where nothing of it
 * was wanted. 1: `stop` said so. What was unpacked until then stays: unpack into a directory of pm_dir_begin. Links are made last,
 * so that nothing is written through one; permissions and times are not taken over. */
int pm_unpack(const char *archive, const char *dir, const struct pm_unpack_opts *o, struct pm_err *e);

#endif
