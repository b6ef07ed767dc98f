/* tokens.h: what the rest of this room needs of a tokenizer: making one from the text of a tokenizer.json, and what decoding asks. */
#ifndef PM_TEXT_TOKENS_H
#define PM_TEXT_TOKENS_H

#include "text/decoder.h"
#include "text/tokenizer.h"

/* name stands in errors. */
int pm_tokens_read(struct pm_tokenizer **out, const char *json, size_t n, const char *name, struct pm_err *e);

/* The same with a directory where the compiled vocabulary may be, and is put where it is not (ready.h); NULL: none. */
int pm_tokens_read_cached(struct pm_tokenizer **out, const char *json, size_t n, const char *name, const char *cache, struct pm_err *e);

struct pm_sink;

/* The pieces that the model would see of a valid text without added tokens, one after the other to `to` (part.h). */
int pm_tokens_pieces(const struct pm_tokenizer *t, const char *text, size_t n, struct pm_sink *to, struct pm_err *e);

/* Sets which tokens begin and end a text (−1: none), and whether they are put around one: 1 yes, 0 no, −1 as the post-processor has it. */
int pm_tokens_bounds(struct pm_tokenizer *t, int32_t bos, int add_bos, int32_t eos, int add_eos, struct pm_err *e);

const struct pm_decoders *pm_tokens_decoders(const struct pm_tokenizer *t);

/* The spelling that decoders see (NULL: no such id); hidden: it is left out with the special tokens. */
const char *pm_tokens_spelling(const struct pm_tokenizer *t, int32_t id, size_t *n, bool *hidden);

#endif
