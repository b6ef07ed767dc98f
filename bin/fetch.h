/* fetch.h: what the files of pm-fetch share. */
#ifndef PM_BIN_FETCH_H
#define PM_BIN_FETCH_H

#include "cli/opt.h"
#include "cli/tool.h"
#include "hub/address.h"
#include "hub/fetch.h"
#include "hub/keep.h"
#include "hub/pin.h"

struct fetch_args {
	struct pm_opt_list include, exclude;
	const char *type, *revision, *local_dir, *cache_dir, *lock, *sha256;
	int64_t jobs, retries, max_files;
	double delay, timeout, max_bytes;
	bool all, offline, dry_run, repair, unpack, verify, list, prune, remove, json, quiet, verbose;
};

/* One line per file that is on its way, and a total. */
struct fetch_progress {
	const struct pm_tool *tool;
	bool on, verbose;
	int lines, width;               /* lines drawn, to be drawn over */
	double start;
	const struct pm_job *jobs;      /* of the last call: others have other files */
	unsigned char *seen;            /* per job: its end was shown; or the attempts that were spoken of */
	size_t nseen, cap;
};

void fetch_progress_begin(struct fetch_progress *p, const struct pm_tool *t, bool quiet, bool verbose);
void fetch_progress_at(void *arg, const struct pm_job *jobs, size_t n);
void fetch_progress_end(struct fetch_progress *p);

/* A line of JSON, whose reference it takes; NULL, for what could not be made of names that are not UTF-8, is status 65. */
int fetch_print(json_t *o, struct pm_err *e);

/* "1.23 GB" */
const char *fetch_bytes(char out[32], double n);

/* The modes that look after what is there: --list, --verify, --prune, --remove. */
int fetch_list(const struct fetch_args *a, const char *hub, struct pm_err *e);
int fetch_verify(const struct fetch_args *a, const struct pm_env *env, const char *hub, int n, char **names, struct pm_err *e);
int fetch_prune(const struct fetch_args *a, const struct pm_env *env, const char *hub, struct pm_err *e);
int fetch_remove(const struct fetch_args *a, const char *hub, int n, char **names, struct pm_err *e);

#endif
