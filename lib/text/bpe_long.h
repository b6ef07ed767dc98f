/* bpe_long.h: pieces far longer than any token, in windows, so that memory and near caches do not grow with them. */
#ifndef PM_TEXT_BPE_LONG_H
#define PM_TEXT_BPE_LONG_H

#include "text/bpe.h"
#include "text/view.h"

enum { PM_BPE_LONG = 1 << 15 };         /* bytes from which on a piece is long */

struct pm_bpe_long {
	/* Merges a part of the piece; x->n = 0: it cannot. Then: appends the first ids of a part that was split just now. */
	int (*split)(void *ctx, const struct pm_view *part, struct pm_bpe_word *x, struct pm_err *e);
	int (*emit)(void *ctx, const struct pm_view *part, const struct pm_bpe_word *x, struct pm_err *e);
	void *ctx;
	size_t *ids;                    /* how many there are: set back where a part was in vain */
};

/* Gives the ids of the whole piece, whose symbols must not depend on where they stand. 1: a part could not be split, and no id was given.
 *
 * Two runs of symbols merge without touching each other where the last token of the one and the first of the other, merged alone, stay
 * what they are: the first merge across the border, if there were one, would be made there, too. So a window's tokens are good up to one that
 * a window that begins with it gives as well. */
int pm_bpe_long(const struct pm_bpe_long *l, const struct pm_view *v, struct pm_err *e);

#endif
