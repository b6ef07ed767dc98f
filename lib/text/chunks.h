/* chunks.h: where a text may be cut; a long one in chunks, encoded on several threads and put together again. */
#ifndef PM_TEXT_CHUNKS_H
#define PM_TEXT_CHUNKS_H

#include "text/model.h"
#include "text/view.h"

/* The end of a group of some kilobytes that begins at i. Lines: a line's end between two printable ASCII characters, or one with a space and
 * such behind it. Words: where the model may be cut before a space. */
size_t pm_chunks_line(const struct pm_view *v, size_t i);
size_t pm_chunks_word(const struct pm_view *v, size_t i, const struct pm_model *m);

struct pm_chunks {
	/* A place at or behind i where the text may be cut, or its end. */
	size_t (*cut)(const void *ctx, const struct pm_view *v, size_t i);
	/* Appends the ids of from .. to. */
	int (*encode)(const void *ctx, const struct pm_view *v, size_t from, size_t to, struct pm_encoding *enc, struct pm_err *e);
	const void *ctx;
};

/* True where that is worth while. */
bool pm_chunks_many(const struct pm_view *v, size_t threads);

/* True for a part from which on pm_chunks_long is better. */
static inline bool pm_chunks_is_long(size_t n)
{
	return n > 1 << 20;
}

/* The part from .. to of a text as given that cannot be cut, in windows (bpe_long.h says how), so that what encoding needs beside the ids does
 * not grow with it. The model's symbols must not depend on where they stand. */
int pm_chunks_long(const struct pm_chunks *c, const struct pm_view *v, size_t from, size_t to, struct pm_encoding *enc, struct pm_err *e);

int pm_chunks_encode(const struct pm_chunks *c, const struct pm_view *v, size_t threads, struct pm_encoding *enc, struct pm_err *e);

#endif
