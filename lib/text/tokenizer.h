/* tokenizer.h: text to ids and back, as a model's tokenizer.json says (pipeline: added tokens, normalizer, pre-tokenizer,
 * model, post-processor, decoder), giving what the `tokenizers` library gives. A section or option that is not known is an error
 * naming it, never ignored. A tokenizer is immutable once open and may be used by several threads. */
#ifndef PM_TEXT_TOKENIZER_H
#define PM_TEXT_TOKENIZER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/hash.h"
#include "base/str.h"

struct pm_tokenizer;

/* path: a tokenizer.json, a SentencePiece .model, tiktoken's ranks, or a GGUF file, told by their content, and that file alone decides; or
 * a model directory: its tokenizer.json, else tokenizer.model (and such), together with tokenizer_config.json, which names bos and eos
 * and whether they are added (add_bos_token, add_eos_token). */
int pm_tokenizer_open(struct pm_tokenizer **out, const char *path, struct pm_err *e);

/* The same, faster: `cache` is a directory that holds compiled vocabularies, by the content of their files, and gets this one if it is not
 * there; what goes wrong with that goes wrong quietly. NULL: none. */
int pm_tokenizer_open_cached(struct pm_tokenizer **out, const char *path, const char *cache, struct pm_err *e);
void pm_tokenizer_close(struct pm_tokenizer *t);

/* Ids with the bytes of the text each one covers; a zeroed struct is empty, pm_encoding_free releases it. Tokens that the
 * post-processor adds cover nothing (from == to == 0). */
struct pm_encoding {
	int32_t *ids;
	size_t *from, *to;              /* byte offsets into the text as given */
	int32_t *types;                 /* of pm_tokenizer_encode_pair: which part of a pair an id belongs to; else NULL */
	size_t n, cap_ids, cap_from, cap_to, cap_types;
	size_t second, second_to;       /* of a pair: the ids from … to … are those of the second text */
	size_t windows;                 /* with truncate: how many there are; 1: nothing was cut off */
	size_t pads_before, pads_behind;        /* with pad: how many of the ids are padding */
};
void pm_encoding_free(struct pm_encoding *enc);

struct pm_range { size_t from, to; };

struct pm_encode_opts {
	bool add_special;               /* what the post-processor adds (BOS …) */
	bool parse_special;             /* special tokens written in the text are recognised */
	const struct pm_range *literal; /* with parse_special: parts where they are not (what a user wrote); sorted, disjoint */
	size_t nliteral;
	bool truncate, pad;             /* as the file's sections truncation and padding say */
	size_t window;                  /* with truncate: which part of a text that is too long, 0: the first */
	size_t threads;                 /* that a very long text may be encoded by; 0 or 1: the caller's alone. The ids are the same */
};

/* Appends to *enc. The text must be UTF-8: status 65 naming the byte where it is not. */
int pm_tokenizer_encode(const struct pm_tokenizer *t, const char *text, size_t n, const struct pm_encode_opts *o,
	struct pm_encoding *enc, struct pm_err *e);

/* Two texts as the post-processor puts them together; each id's offsets are into the text that it came from. Into an empty
 * *enc, whose types it fills. The literal ranges are not for pairs: o->nliteral must be 0. */
int pm_tokenizer_encode_pair(const struct pm_tokenizer *t, const char *a, size_t na, const char *b, size_t nb,
	const struct pm_encode_opts *o, struct pm_encoding *enc, struct pm_err *e);

/* Appends the text of ids (valid UTF-8: broken sequences become U+FFFD as in the reference). An id outside the vocabulary: 65. */
int pm_tokenizer_decode(const struct pm_tokenizer *t, const int32_t *ids, size_t n, bool skip_special, struct pm_str *out, struct pm_err *e);

/* One id at a time: appends what is certain by now (whole characters only), so that the pieces joined, with pm_detok_end's
 * rest, are exactly pm_tokenizer_decode of all ids. */
struct pm_detok;
int pm_detok_new(struct pm_detok **out, const struct pm_tokenizer *t, bool skip_special, struct pm_err *e);
int pm_detok_put(struct pm_detok *d, int32_t id, struct pm_str *out, struct pm_err *e);
int pm_detok_end(struct pm_detok *d, struct pm_str *out, struct pm_err *e);
void pm_detok_free(struct pm_detok *d);

size_t pm_tokenizer_vocab(const struct pm_tokenizer *t);                        /* largest id + 1 */
int32_t pm_tokenizer_id(const struct pm_tokenizer *t, const char *token);       /* by its exact spelling; −1: none */
const char *pm_tokenizer_token(const struct pm_tokenizer *t, int32_t id);       /* its spelling in the vocabulary; NULL: none */
bool pm_tokenizer_is_special(const struct pm_tokenizer *t, int32_t id);
int32_t pm_tokenizer_bos(const struct pm_tokenizer *t);                         /* −1: none */
int32_t pm_tokenizer_eos(const struct pm_tokenizer *t);
const char *pm_tokenizer_hash(const struct pm_tokenizer *t);                    /* SHA-256 of tokenizer.json */

#endif
