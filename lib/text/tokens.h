/* tokens.h: what decoding needs to know of a tokenizer. */
#ifndef PM_TEXT_TOKENS_H
#define PM_TEXT_TOKENS_H

#include "text/decoder.h"
#include "text/tokenizer.h"

const struct pm_decoders *pm_tokens_decoders(const struct pm_tokenizer *t);

/* The spelling that decoders see (NULL: no such id); hidden: it is left out with the special tokens. */
const char *pm_tokens_spelling(const struct pm_tokenizer *t, int32_t id, size_t *n, bool *hidden);

#endif
