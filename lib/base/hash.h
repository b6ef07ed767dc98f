/* hash.h: SHA-256 (and git's SHA-1), by libgcrypt. */
#ifndef PM_BASE_HASH_H
#define PM_BASE_HASH_H

#include <stddef.h>

#include "base/err.h"

#define PM_SHA256_HEX 65        /* 64 digits and the closing 0 */

struct pm_sha256 {
	void *state;
};

int pm_sha256_begin(struct pm_sha256 *h, struct pm_err *e);
void pm_sha256_put(struct pm_sha256 *h, const void *bytes, size_t n);
void pm_sha256_end(struct pm_sha256 *h, char hex[PM_SHA256_HEX]);   /* releases the state */

/* Of some bytes, and of a file. */
int pm_sha256_bytes(char hex[PM_SHA256_HEX], const void *bytes, size_t n, struct pm_err *e);
int pm_sha256_file(char hex[PM_SHA256_HEX], const char *path, struct pm_err *e);

#endif
