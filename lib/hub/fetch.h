/* fetch.h: a repository's files from the hub into the cache (or a directory of their own), verified. */
#ifndef PM_HUB_FETCH_H
#define PM_HUB_FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "hub/cache.h"
#include "hub/net.h"

/* What a lock file says of a repository (pin.h). */
struct pm_hub_pin;

struct pm_hub_fetch_opts {
	const char *hub;                /* the cache */
	const char *local_dir;          /* files go there instead; NULL: the cache */
	const char *endpoint;
	struct pm_hub_want want;
	const struct pm_hub_pin *pin;   /* these files at that commit, and no others; or NULL */
	bool offline;                   /* nothing of the network */
	bool dry_run;                   /* say what would be done */
	bool repair;                    /* read what is there, and fetch again what differs */
	struct pm_net *net;             /* NULL where offline */
};

enum pm_hub_have { PM_HUB_UNWANTED, PM_HUB_HERE, PM_HUB_MISSING, PM_HUB_FETCHED };

struct pm_hub_fetched {
	char commit[41];
	char *path;                     /* the directory, or the file where one was asked for */
	struct pm_hub_list list;        /* the repository's files, as far as they were looked at */
	unsigned char *have;            /* enum pm_hub_have of each */
	uint64_t files, bytes;          /* of what is wanted */
	uint64_t missing, needed;       /* files and bytes that were not there (of parts: the rest) */
	uint64_t received;              /* bytes of files that came over the network */
};

/* Fetches. 0; 1 where the net's `stop` ended it; −1. What came until then stays, for the next time. The result is to be freed in
 * every case. Reads: one question about the revision (none for a commit), a list of files the first time, then the files. */
int pm_hub_fetch(struct pm_hub_fetched *f, const struct pm_hub_name *n, const struct pm_hub_fetch_opts *o, struct pm_err *e);
void pm_hub_fetched_free(struct pm_hub_fetched *f);

/* A directory of its own: what others keep in DIR/.cache/huggingface about its files. */
bool pm_hub_local_has(const char *dir, const struct pm_hub_file *f);
int pm_hub_local_note(const char *dir, const char *commit, const struct pm_hub_file *f, struct pm_err *e);
/* The hash noted for a file: 0, or 1 where there is none. */
int pm_hub_local_hash(char hash[65], const char *dir, const char *path);
/* The names for a job, in new memory: DIR/PATH, and below .cache the part and the lock; their directories are made. */
int pm_hub_local_names(char **final, char **part, char **lock, const char *dir, const struct pm_hub_file *f, struct pm_err *e);

#endif
