/* learn_parts.h: what the files of the learner share: counted words, and what a model is to be fitted to. */
#ifndef PM_TEXT_LEARN_PARTS_H
#define PM_TEXT_LEARN_PARTS_H

#include "text/learn.h"
#include "text/vocab.h"

/* Words and how often each was seen, in the order of their first appearance. */
struct pm_words {
	char *bytes;
	struct pm_counted {
		size_t at;
		uint64_t count;
		uint32_t len, tag;      /* tag: bits of the hash */
	} *word;
	uint32_t *slot;                 /* index + 1, 0: free */
	size_t nbytes, cap_bytes, n, cap, slots;
	uint64_t total;
};

int pm_words_add(struct pm_words *w, const char *s, size_t n, struct pm_err *e);
void pm_words_free(struct pm_words *w);

/* The same words as characters: those of word i are chars[at[i]] .. chars[at[i + 1] − 1]. */
struct pm_spelled {
	uint32_t *chars;
	size_t *at;
	uint64_t *count;
	size_t n;
};

/* bytes: words are bytes, and their characters the byte-level ones. */
int pm_spelled_new(struct pm_spelled *s, const struct pm_words *w, bool bytes, struct pm_err *e);
void pm_spelled_free(struct pm_spelled *s);

struct pm_learn_progress {
	void (*say)(void *arg, size_t done, size_t total);
	void *arg;
};

/* A learned BPE: tokens by id (with those that were there before), and the pairs of ids that are merged, by rank. */
struct pm_learned_bpe {
	struct pm_vocab vocab;
	struct pm_learned_merge { uint32_t left, right; } *merge;
	size_t merges, cap;
};

/* vocab holds the special tokens; bytes: the alphabet is that of byte-level words. */
int pm_learn_bpe(struct pm_learned_bpe *b, const struct pm_spelled *words, bool bytes, const struct pm_learn_opts *o,
	const struct pm_learn_progress *p, struct pm_err *e);
void pm_learned_bpe_free(struct pm_learned_bpe *b);

/* A learned Unigram: pieces by falling score (logarithms of probabilities). */
struct pm_learned_unigram {
	struct pm_learned_piece { size_t at; uint32_t len; double score; } *piece;      /* `len` bytes at bytes + at */
	char *bytes;
	size_t n, cap, nbytes, cap_bytes;
};

/* At most `size` pieces, and every character (or, bytes: every byte-level one) whatever the size is. */
int pm_learn_unigram(struct pm_learned_unigram *u, const struct pm_spelled *words, bool bytes, size_t size, size_t max_piece,
	const struct pm_learn_progress *p, struct pm_err *e);
void pm_learned_unigram_free(struct pm_learned_unigram *u);

#endif
