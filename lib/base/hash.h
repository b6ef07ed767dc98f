/* hash.h: SHA-256 (and git's SHA-1), by libgcrypt. */
#ifndef PM_BASE_HASH_H
#define PM_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

#define PM_SHA256_HEX 65        /* 64 digits and the closing 0 */

struct pm_sha256 {
	void *state;
	int algorithm;
};

int pm_sha256_begin(struct pm_sha256 *h, struct pm_err *e);
void pm_sha256_put(struct pm_sha256 *h, const void *bytes, size_t n);
void pm_sha256_end(struct pm_sha256 *h, char hex[PM_SHA256_HEX]);   /* releases the state */

/* git's name of a file of `size` bytes, 40 digits: SHA-1 over "blob SIZE", a 0 byte and the bytes. The same functions take the bytes and
 * end it. */
int pm_gitblob_begin(struct pm_sha256 *h, uint64_t size, struct pm_err *e);

/* Gives up a hash that was begun; of a zeroed struct: nothing. */
void pm_sha256_drop(struct pm_sha256 *h);

/* Of some bytes, and of a file. */
int pm_sha256_bytes(char hex[PM_SHA256_HEX], const void *bytes, size_t n, struct pm_err *e);
int pm_sha256_file(char hex[PM_SHA256_HEX], const char *path, struct pm_err *e);

#endif
