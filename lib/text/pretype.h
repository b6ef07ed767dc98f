/* pretype.h: the values of tokenizer.ggml.pre: names for how byte-level vocabularies are split, and what else goes with them. */
#ifndef PM_TEXT_PRETYPE_H
#define PM_TEXT_PRETYPE_H

#include "base/json.h"

enum { PM_PRETYPE_SPLITS = 7 };

struct pm_pretype {
	const char *name;
	/* Splits one after another: regular expressions (as in tokenizer.json, by behaviour Isolated), or "@punctuation" (Punctuation, Contiguous),
	 * "@digits" (Digits together) and "@digit" (each alone). NULL after the last. */
	const char *split[PM_PRETYPE_SPLITS];
	bool ignore_merges;             /* a piece that is a token is that token */
	bool bos;                       /* texts get BOS, where the keys do not say */
	bool nfc;                       /* the tokenizer.json of its models composes characters (llama.cpp does not) */
	bool spaces;                    /* no bytes: characters, U+2581 for spaces, and <0x..> for what is missing */
};

/* NULL: the name is not known. */
const struct pm_pretype *pm_pretype_named(const char *name, size_t n);

/* The one that splits as the pre_tokenizer of a tokenizer.json does (and of several such that which ignores merges, and composes characters,
 * as that tokenizer does). None is an error that names the pattern. */
int pm_pretype_of(const struct pm_pretype **out, const json_t *pretokenizer, bool ignore_merges, bool nfc, struct pm_err *e);

#endif
