/* tokenize_job.h: what encoding is made of: tokenize_read.c cuts the input into batches, tokenize_encode.c does them on several threads and
 * writes what they give in the order of the input. */
#ifndef PM_BIN_TOKENIZE_JOB_H
#define PM_BIN_TOKENIZE_JOB_H

#include "base/file.h"
#include "bin/tokenize.h"
#include "bin/tokenize_crew.h"
#include "io/tokens.h"
#include "text/records.h"
#include "text/sample.h"

struct job {
	const struct tokenize_args *a;
	const struct pm_tool *tool;
	struct pm_tokenizer *tokenizer;
	struct pm_template *chat;
	struct pm_err no_chat;
	struct pm_format *format;       /* finds out what a file holds; of a single batch, and what is not parallel, the one and only */
	char *share;
	struct pm_sample_opts sample;
	struct worker *workers;
	void **list;                    /* of them */
	size_t threads;
	struct crew *crew;
	struct batch *batch;            /* not yet given away */
	struct pm_stream_writer w;
	struct pm_out text;             /* --show-mask */
	const char *const *paths;
	int npaths;
	struct pm_err no_tokenizer;
	bool open, colour, reasoning_said, failed;      /* failed: a batch did; what comes behind it does not count */
	uint64_t rows, tokens, trained, cut, bad, longest, *lengths, records;
	int64_t groups;
	struct pm_progress progress;
};

/* What one thread has for itself. */
struct worker {
	struct job *j;
	struct batch *b;                /* under way */
	struct pm_sampler *sampler;
	struct pm_format *format;
	struct pm_stream_writer w;      /* only formats */
	uint64_t rows, tokens, trained, cut, longest, *lengths;        /* cut: rows that --truncate took something from */
};

/* Records, or texts, that one thread does in a row; and what came of them. */
struct batch {
	struct crew_task task;
	const char *name;               /* of the file */
	char *format;                   /* of its records; NULL: plain text */
	struct item {
		json_t *record;
		const char *text;       /* plain: `n` bytes */
		size_t n;
		int64_t line;
		struct pm_err *err;     /* it could not be read */
	} *items;
	size_t n, cap;
	struct pm_str own;              /* what the texts lie in, where it is the batch's */
	struct pm_str out, said;        /* records, and remarks as lines */
	struct mark { size_t at, n; int64_t group; } *marks;    /* where groups stand in `out`, counted from the batch's first */
	size_t nmarks, cap_marks;
	int64_t groups, reasoning;      /* reasoning: a line where it was left out, −1 */
	uint64_t rows, bad;
	int r;
	struct pm_err err;
};

/* One file's input. */
int job_records(struct job *j, const char *path, struct pm_err *e);
int job_plain(struct job *j, const char *path, struct pm_err *e);

/* Gives away the batch at hand, and waits until all is written; `r` is what came before, −1 with its error. */
int job_drain(struct job *j, int r, struct pm_err *e);

#endif
