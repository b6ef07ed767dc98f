/* address.h: files that are of no repository: by http(s), or on this machine; archives are unpacked. */
#ifndef PM_HUB_ADDRESS_H
#define PM_HUB_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "hub/list.h"
#include "hub/net.h"
#include "hub/url.h"

struct pm_hub_address_opts {
	const char *urls;               /* where what was fetched lies (cache.h) */
	const char *local_dir;          /* put the file, or what is unpacked, there too; or NULL */
	const char *sha256;             /* that the file must have; or NULL. One in the address ("#sha256=…") counts, too */
	struct pm_hub_want want;        /* of an archive's files: include and exclude */
	uint64_t most_bytes, most_files;        /* of an archive */
	bool offline, dry_run, repair;
	bool unpack;                    /* false: an archive stays one */
	int (*stop)(void);
	struct pm_net *net;             /* NULL where offline */
};

struct pm_hub_addressed {
	char *path;                     /* the file, or the directory that was unpacked */
	char sha256[65];                /* of the file; "" where a dry run cannot know */
	uint64_t size, received;        /* UINT64_MAX: not said */
	bool here;                      /* it was there */
};

/* 0; 1 where `stop` said so; −1. */
int pm_hub_fetch_address(struct pm_hub_addressed *a, const char *url, const struct pm_hub_address_opts *o, struct pm_err *e);

/* A file or directory of this machine ("file:" is cut off by the caller): a directory is itself, an archive is unpacked. */
int pm_hub_fetch_local(struct pm_hub_addressed *a, const char *path, const struct pm_hub_address_opts *o, struct pm_err *e);

#endif
