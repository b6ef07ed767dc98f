/* url.h: files that are of no repository, and what was unpacked of archives. Each address has a directory URLS/SHA256-OF-ADDRESS
 * with fetched.json, {"url", "file", "path", "size", "sha256", "etag", "modified"}: "path" is what the address stands for, the
 * file or the directory unpacked from it, relative to that directory. */
#ifndef PM_HUB_URL_H
#define PM_HUB_URL_H

#include <stdint.h>

#include "base/err.h"

struct pm_hub_kept {
	char *url, *file, *path, *etag, *modified;      /* any may be NULL */
	char sha256[65];
	uint64_t size;
};

/* The directory of an address (what follows "#" is no part of it). */
char *pm_hub_url_dir(const char *urls, const char *url, struct pm_err *e);

/* fetched.json of such a directory: 0, or 1 where there is none, or none that can be read. */
int pm_hub_kept_read(struct pm_hub_kept *k, const char *dir, struct pm_err *e);
int pm_hub_kept_write(const struct pm_hub_kept *k, const char *dir, struct pm_err *e);
void pm_hub_kept_free(struct pm_hub_kept *k);

/* Where the file of an address, or what was unpacked of it, lies: status 66 where it was not fetched. */
int pm_hub_url_find(char **out, const char *url, const char *urls, struct pm_err *e);

#endif
