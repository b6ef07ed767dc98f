/* pack.h: documents to rows of a fixed length, as full as possible.
 *
 * A row holds whole documents, kept apart by their bounds; the rest of it is padding (id 0, weight 0). Documents that share a group (a
 * preference pair) stand side by side in one row; groups are numbered anew. The first token of a document has weight 0 in a row, for
 * nothing predicts it.
 *
 * Shuffled, documents are drawn in a seeded order into a window of at least 256 of them, and each row takes the oldest one and then
 * those whose lengths add up best (subset sum, a bit set of reachable sums). The documents themselves wait in a temporary file, so
 * memory is bounded by some 40 bytes a document, the window and a row. Otherwise they go in input order into the current row, and a row
 * ends where the next one does not fit (next-fit), with nothing kept. */
#ifndef PM_TEXT_PACK_H
#define PM_TEXT_PACK_H

#include "io/tokens.h"

enum pm_overflow {
	PM_OVERFLOW_SPLIT,      /* pieces of a row's length, each a document of its own; pieces without a trained token are left out; groups are dropped */
	PM_OVERFLOW_CUT,        /* the first tokens that fit; groups are dropped */
	PM_OVERFLOW_DROP,
	PM_OVERFLOW_ERROR,
};

struct pm_pack_opts {
	int64_t length;                 /* tokens a row */
	bool shuffle;
	uint64_t seed;
	enum pm_overflow overflow;
	const char *tmpdir;             /* where the temporary file goes */
};

struct pm_pack_stats {
	uint64_t documents, tokens, trained;    /* that came in; trained: tokens of which the prediction counts */
	uint64_t rows, filled;                  /* that went out; tokens in rows, without padding */
	uint64_t empty;                         /* documents without a token, left out */
	uint64_t split, pieces, left_out;       /* documents that were split, the pieces kept, and those without a trained token */
	uint64_t cut, dropped;                  /* documents that were cut, dropped (those of a group each counted) */
	uint64_t trained_lost, ends_lost;       /* trained tokens that went with what was cut, dropped or begins a piece; documents that lost
	                                         * their last trained token: the end of a turn, as a rule */
};

/* Where rows go. begin comes once, before the first row; rows −1: not known yet. */
struct pm_pack_sink {
	void *arg;
	int (*begin)(void *arg, int64_t rows, double efficiency, struct pm_err *e);
	int (*row)(void *arg, const struct pm_record *row, struct pm_err *e);
};

struct pm_packer;

int pm_packer_new(struct pm_packer **out, const struct pm_pack_opts *o, const struct pm_pack_sink *sink, struct pm_err *e);
/* Documents, in order; part as pm_stream_part gives it. */
int pm_packer_add(struct pm_packer *p, const struct pm_record *r, uint64_t part, struct pm_err *e);
/* The rest of the rows. No document at all: status 65. */
int pm_packer_end(struct pm_packer *p, struct pm_err *e);
const struct pm_pack_stats *pm_packer_stats(const struct pm_packer *p);
void pm_packer_free(struct pm_packer *p);

/* Tokens in rows over the room in rows, 0 to 1. */
double pm_pack_efficiency(const struct pm_pack_stats *s, int64_t length);

/* Among lengths 1 … cap (n of them), a subset whose sum is the largest that is at most cap: marks it in take[0 … n−1], returns the sum.
 * Earlier entries are preferred. −1 with the error set where memory is out. */
int64_t pm_pack_subset(unsigned char *take, const uint32_t *length, size_t n, int64_t cap, struct pm_err *e);

#endif
