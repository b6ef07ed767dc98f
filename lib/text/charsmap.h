/* charsmap.h: SentencePiece's precompiled maps of characters (the normalizer Precompiled): a double-array trie of what is
 * replaced and the texts that replace it, in one block written as base64. */
#ifndef PM_TEXT_CHARSMAP_H
#define PM_TEXT_CHARSMAP_H

#include "text/part.h"

int pm_charsmap_build(struct pm_part *p, const json_t *o, struct pm_err *e);
void pm_charsmap_free(struct pm_part *p);
int pm_charsmap_run(const struct pm_part *p, const struct pm_view *in, struct pm_textbuf *out, bool *changed, struct pm_worker *w,
	struct pm_err *e);

/* The normalizer "pm:SentencePiece" (sources.h), which uses such a map as SentencePiece does. */
int pm_sentencepiece_build(struct pm_part *p, const json_t *o, struct pm_err *e);
void pm_sentencepiece_free(struct pm_part *p);
int pm_sentencepiece_run(const struct pm_part *p, const struct pm_view *in, struct pm_textbuf *out, bool *changed, struct pm_worker *w,
	struct pm_err *e);

#endif
