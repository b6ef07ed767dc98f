/* transfer.h: one job of net.h: its file, its hash, what it makes of an answer. Nothing here waits. */
#ifndef PM_HUB_TRANSFER_H
#define PM_HUB_TRANSFER_H

#include "hub/net.h"

struct pm_job_own {
	void *easy, *headers;           /* CURL *, struct curl_slist *: of the transfer that runs */
	char *at;                       /* the address after redirects */
	int hops;
	int lock, fd;                   /* −1: not open */
	struct pm_sha256 hash;          /* over the first `hashed` bytes of the part; state NULL: it is read at the end */
	uint64_t hashed, best;          /* best: the most that was ever there */
	bool body_begun, redone, whole; /* whole: the server does not do ranges as it should: ask for everything */
	double wake, heard;
	char tag[200];                  /* the ETag of the bytes that are there, where no hash is wanted */
	char text[256];                 /* libcurl's words */
};

/* Takes the lock, opens the part and looks how far it is. State becomes LOCKED, READ, RUN (wants a transfer, or is complete:
 * pm_transfer_complete), or DONE. */
int pm_transfer_open(struct pm_job *j, struct pm_err *e);

/* Hashes some more of the part that is there; the state is RUN when all was read. */
int pm_transfer_read(struct pm_job *j, struct pm_err *e);

/* Whether all bytes are there already. */
bool pm_transfer_complete(const struct pm_job *j);

/* Bytes of an answer's body. −1: the transfer ends, err of the job says why (status 0: it is asked for again, from the start). */
int pm_transfer_bytes(struct pm_job *j, const void *bytes, size_t n);

/* All came: holds size and hash against what was wanted, syncs, renames. −1 with status 65 where they differ (the part is gone);
 * 1 where the part was an old one and everything is asked for again; 2 where bytes are missing. */
int pm_transfer_settle(struct pm_job *j, struct pm_err *e);

/* Empties the part. */
int pm_transfer_restart(struct pm_job *j, struct pm_err *e);

/* Closes file and lock. */
void pm_transfer_close(struct pm_job *j);

#endif
