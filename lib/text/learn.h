/* learn.h: learning a vocabulary from text: the words that a normalizer and a pre-tokenizer make of it are counted, then a model
 * is fitted to the counts, and the whole is written as a tokenizer.json. Nothing is random: the same text gives the same file.
 *
 * BPE: the pair of symbols that is most frequent becomes a symbol, again and again (Sennrich et al. 2016); of equally frequent
 * pairs that of the lowest ids. Special tokens have the first ids, then comes the alphabet by code point (all 256 bytes, where
 * the pre-tokenizer is byte-level), then the merges: the same as the `tokenizers` library's BpeTrainer gives.
 * Unigram: pieces that repeat are found by sorting suffixes, their probabilities by expectation maximization, and those whose loss
 * would cost the likelihood of the text least are left out, in rounds, until the wanted size is reached (Kudo 2018). */
#ifndef PM_TEXT_LEARN_H
#define PM_TEXT_LEARN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

struct pm_learn_opts {
	bool unigram;                   /* else BPE */
	size_t vocab_size;              /* all tokens: special ones, the alphabet, what is learned */
	uint64_t min_frequency;         /* BPE: pairs that are rarer are not merged */
	size_t max_piece;               /* Unigram: characters of the longest piece */
	const char *const *special;     /* special tokens, in the order of their ids */
	size_t nspecial;
	const char *unk;                /* what unknown characters become; NULL: none (BPE); put before the special tokens unless it is one of them */
	bool byte_fallback;             /* unknown characters become the tokens <0x00> .. <0xFF> of their bytes */
	const char *pattern;            /* PM_LEARN_PATTERNS, or a regular expression for a byte-level pre-tokenizer */
	const char *normalizer;         /* names of PM_LEARN_NORMALIZERS with commas between; "none" */
	bool prefix_space;              /* a space is put before a text */
};

#define PM_LEARN_PATTERNS "gpt2, llama3, qwen2, o200k (byte-level), metaspace"
#define PM_LEARN_NORMALIZERS "nfc, nfd, nfkc, nfkd, lowercase, strip, accents"

struct pm_learner;

int pm_learner_new(struct pm_learner **out, const struct pm_learn_opts *o, struct pm_err *e);

/* Counts the words of a text (UTF-8: status 65 naming the byte where it is not). A byte-level pre-tokenizer sees a text whole; for
 * metaspace every line is a text, without its end. */
int pm_learner_text(struct pm_learner *l, const char *text, size_t n, struct pm_err *e);

/* What was counted: words, and different ones. */
void pm_learner_counts(const struct pm_learner *l, uint64_t *words, size_t *different);

/* Learns, and appends the text of the tokenizer.json; *tokens is the size of the vocabulary, which is smaller than the one wanted
 * where the text gives no more. progress may be NULL; `total` 0: not known. */
int pm_learner_finish(struct pm_learner *l, struct pm_str *json, size_t *tokens,
	void (*progress)(void *arg, size_t done, size_t total), void *arg, struct pm_err *e);

void pm_learner_free(struct pm_learner *l);

#endif
