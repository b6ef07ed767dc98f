/* worker.h: what one call of encode needs while it runs: buffers, match data, the cache of words, and where ids go. The
 * tokenizer keeps those that are not in use, so that memory and the cache outlive a call. */
#ifndef PM_TEXT_WORKER_H
#define PM_TEXT_WORKER_H

#include "text/pattern.h"
#include "text/view.h"

struct pm_bpe_scratch;

/* Of Unigram: the best way to the end of a byte. */
struct pm_unigram_node {
	double score;
	size_t from;                    /* where its last piece begins; SIZE_MAX: not reached */
	int32_t id;
};

struct pm_worker {
	struct pm_worker *next;         /* in the tokenizer's list */
	struct pm_textbuf normal[2];    /* of the normalizers */
	struct pm_textbuf buf[8];       /* of pre-tokenizers, one inside another; those below nbuf are in use */
	size_t nbuf;
	struct pm_match match;
	struct pm_bpe_scratch *bpe;     /* of the BPE model; made at first use */
	struct pm_textbuf slow;         /* of models */
	struct pm_str text_buf;
	struct pm_unigram_node *path;
	size_t cap_path;

	struct pm_encoding *enc;
	const char *text;               /* as given */
	size_t n;
	size_t first;                   /* index of the text's first id */
	bool trim, trim_prefix;         /* offsets leave out blanks at the ends of a token; but for one that was put in front */
};

void pm_worker_free(struct pm_worker *w);

/* A buffer of the stack, given back by nbuf--. */
struct pm_textbuf *pm_worker_buf(struct pm_worker *w, struct pm_err *e);

/* Room for n more ids. */
int pm_encoding_room(struct pm_encoding *enc, size_t n, struct pm_err *e);

/* Adds an id that covers r; `token` (n bytes) is its spelling, looked at where offsets are trimmed. */
int pm_worker_emit(struct pm_worker *w, int32_t id, struct pm_range r, const char *token, size_t n, struct pm_err *e);

#endif
