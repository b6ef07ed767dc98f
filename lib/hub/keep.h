/* keep.h: looking after what was fetched: what is there, whether it is still what it was, what can go. */
#ifndef PM_HUB_KEEP_H
#define PM_HUB_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "hub/cache.h"
#include "hub/pin.h"

/* One commit of one repository in the cache. */
struct pm_hub_kept_commit {
	enum pm_hub_type type;
	const char *id, *commit, *path;
	const char *revisions;          /* the branches and tags that are at it, with a space between them; "" */
	uint64_t files, bytes;
};

/* Calls `each` for every commit in the cache, by name. A cache that does not exist is empty. */
int pm_hub_list_cache(const char *hub, int (*each)(void *arg, const struct pm_hub_kept_commit *c, struct pm_err *e), void *arg, struct pm_err *e);

enum pm_hub_check { PM_HUB_SAME, PM_HUB_DIFFERS, PM_HUB_GONE, PM_HUB_UNCHECKED };

/* Reads the files of a directory again: those of a snapshot or a --local-dir against the hashes that it knows, or against a lock
 * file's (where every file of the lock must be there). `each` gets the wanted hash ("" unknown) and the one found. 0, or −1; 66
 * where no file's hash is known. */
int pm_hub_verify(const char *dir, const struct pm_hub_pin *pin, int (*each)(void *arg, const char *path, enum pm_hub_check what,
	const char *wanted, const char *found, struct pm_err *e), void *arg, struct pm_err *e);

/* Removes from the cache what nobody needs: parts of files that no process writes, blobs of no snapshot, links to nothing, and
 * commits that no branch or tag is at, in repositories that have one. `each` is told of it first; with `dry_run` nothing goes.
 * Removes from URLS what was not completed. */
int pm_hub_prune(const struct pm_hub_places *at, bool dry_run, int (*each)(void *arg, const char *path, uint64_t bytes, struct pm_err *e), void *arg,
	struct pm_err *e);

/* Removes a repository, or one commit of it and the blobs that no other commit has. */
int pm_hub_remove(const char *hub, const struct pm_hub_name *n, bool whole, bool dry_run,
	int (*each)(void *arg, const char *path, uint64_t bytes, struct pm_err *e), void *arg, struct pm_err *e);

#endif
