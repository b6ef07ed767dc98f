/* answer.h: what a server says before the body. */
#ifndef PM_HUB_ANSWER_H
#define PM_HUB_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

/* Of the last answer of a chain of redirects; `first` keeps what the hub itself said, where it sent us on to another place. */
struct pm_answer {
	long status;
	bool ranges;                    /* Content-Range was there */
	uint64_t from, total;           /* its numbers; total is Content-Length without it; UINT64_MAX: not said */
	char etag[200], modified[100];
	double retry_after;             /* seconds; −1: not said */
	char link[4096];
	char linked_etag[200], commit[65], error_code[80], error_text[300];     /* X-Linked-Etag … X-Error-Message: kept along the chain */
	uint64_t linked_size;
	char hub_etag[200];             /* ETag of the first answer */
	char file[256];                 /* the name that Content-Disposition gives, or "" */
};

void pm_answer_begin(struct pm_answer *a);

/* One line of the head, its end of line included or not. A status line begins a new answer. `now` (seconds since 1970) is for dates
 * in Retry-After. */
void pm_answer_line(struct pm_answer *a, const char *line, size_t n, double now);

/* An ETag as the cache names files: without W/ and quotes. */
void pm_answer_tag(char *out, size_t size, const char *etag);

/* What a status that is no success means, as an error about `name`: 401 and 403 are status 77, 404 and 410 66, 408, 429 and 5xx
 * 75, others 69. Returns −1. */
int pm_answer_fail(const struct pm_answer *a, const char *name, bool with_token, struct pm_err *e);

/* Whether trying again may help. */
bool pm_answer_again(const struct pm_answer *a);

#endif
