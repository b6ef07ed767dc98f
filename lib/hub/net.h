/* net.h: transfers over HTTP, several at once, by libcurl: answers into memory, files onto the disk.
 *
 * A file is written to `part`, its hash computed on the way, and gets its name `final` when size and hash are those that were
 * wanted; until then a part stays, after a failure or a kill too, and the next attempt asks for the rest (Range). Who writes holds
 * flock(2) on `lock`; another waits, and finds the file there. A connection that breaks, stands still or is answered with 408, 429
 * or 5xx is tried again after a while that doubles (or that Retry-After names); bytes that arrive set the count of attempts back.
 * Redirects are followed here, so that the token goes to the hub's own scheme, host and port alone. */
#ifndef PM_HUB_NET_H
#define PM_HUB_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"
#include "hub/answer.h"

enum pm_job_state {
	PM_JOB_NEW, PM_JOB_LOCKED,      /* not begun; another process has the lock */
	PM_JOB_READ,                    /* the part that is there is read for its hash */
	PM_JOB_RUN, PM_JOB_SLEEP,       /* on the way; waiting for the next attempt */
	PM_JOB_DONE, PM_JOB_FAILED,
};

/* One transfer. The caller fills the first block and zeroes the rest; strings stay the caller's. */
struct pm_job {
	const char *url, *name;         /* name: what errors and progress call it */
	bool head;                      /* only the headers */
	const char *etag, *modified;    /* of what is there already: the answer may be 304 */
	const char *part, *final, *lock;        /* a file; all NULL: `body`. lock may be NULL */
	bool by_hash;                   /* `final` is called by the hash: one that is there is the right one */
	uint64_t size;                  /* that is wanted; UINT64_MAX unknown */
	char hash[65];                  /* that is wanted: 64 or 40 digits, or "" */
	void *arg;

	enum pm_job_state state;
	struct pm_answer answer;
	struct pm_str body;
	uint64_t done, from;            /* bytes of the file that are there; of them, bytes that were there before */
	uint64_t received;              /* bytes that came over the network, all attempts together */
	char got[65];                   /* the hash of the file */
	int attempts;                   /* since bytes last arrived */
	bool present;                   /* another process had it ready */
	struct pm_err err;              /* of a job that failed; of one that sleeps: why */
	struct pm_job_own *own;
};

struct pm_net_opts {
	const char *endpoint;           /* "https://HOST": where the token may go */
	const char *token, *agent, *ca_file;    /* each may be NULL */
	double timeout, answer_timeout; /* seconds without a byte, of files and of other answers */
	int retries;
	double delay;                   /* seconds before the first repetition */
	int jobs;                       /* at once */
	double (*clock)(void);
	int (*stop)(void);              /* not 0: end now; may be NULL */
	void (*tick)(void *arg, const struct pm_job *jobs, size_t n);   /* several times a second; may be NULL */
	void *arg;
};

struct pm_net;

int pm_net_open(struct pm_net **out, const struct pm_net_opts *o, struct pm_err *e);
void pm_net_close(struct pm_net *n);

/* Runs the jobs to their ends, calling `ready` (may be NULL) for each that is done: 0; 1 where `stop` said so; −1 with the error of the first that failed. A job whose content is wrong,
 * or that is not there, leaves the others running; another failure ends all. */
int pm_net_run(struct pm_net *n, struct pm_job *jobs, size_t njobs, int (*ready)(void *arg, struct pm_job *job, struct pm_err *e), void *arg,
	struct pm_err *e);

/* One answer into memory. */
int pm_net_get(struct pm_net *n, struct pm_job *job, struct pm_err *e);

/* An address that another names, relative or not. New memory. */
char *pm_net_join(const char *base, const char *to, struct pm_err *e);

/* Text as it may stand in an address: all but letters, digits and "-._~" (and "/" where `path`) becomes %XX. */
int pm_net_escape(struct pm_str *out, const char *text, bool path, struct pm_err *e);

/* Releases what a job holds. */
void pm_job_free(struct pm_job *j);

/* The hash of a file, of the kind that `like` is (40 digits: git's name of a blob; else SHA-256). */
int pm_hub_hash_file(char hex[65], const char *path, const char *like, struct pm_err *e);

#endif
