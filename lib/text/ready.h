/* ready.h: the bulk of a tokenizer.json (vocabulary, merges, scores) made ready without a JSON tree of it: read straight from the
 * text, or mapped from a compiled file. What is left of the file is small, and goes the way of all JSON.
 *
 * A compiled file is CACHE/SHA-256-of-the-tokenizer.json.vocab: a head, then sections (ready_file.c), in this machine's byte order.
 * It is written beside its name and renamed. One that is not what it should be in any respect is as good as none. */
#ifndef PM_TEXT_READY_H
#define PM_TEXT_READY_H

#include <stdbool.h>

#include "base/file.h"
#include "text/bpe.h"
#include "text/trie.h"
#include "text/vocab.h"

struct pm_ready {
	enum { PM_READY_NONE, PM_READY_BPE, PM_READY_UNIGRAM } model;
	struct pm_str rest;             /* the JSON without it: {} or [] stand for it */
	struct pm_vocab vocab;
	struct pm_bpe_merges merges;    /* BPE */
	bool crosses[256];              /* where the token of a merge has a U+2581 behind a character that ends in this byte */
	double *score;                  /* Unigram */
	size_t scores;
	struct pm_trie trie;
	bool borrowed;                  /* the tables lie in `map`, or in someone else's memory */
	struct pm_map map;
};

/* Notes in crosses[] what the token of a merge says. */
void pm_ready_crossing(bool crosses[256], const char *s, size_t n);

/* Reads a BPE model from the text. False: it is another model, or the text has something that this does not know (an error, perhaps): then
 * r holds nothing, and the JSON reader decides. */
bool pm_ready_scan(struct pm_ready *r, const char *json, size_t n);

/* Only `rest`. */
bool pm_ready_rest(struct pm_ready *r, const char *json, size_t n);

/* From the compiled file, false where there is none that is good; and to it, quietly. name: the SHA-256. */
bool pm_ready_load(struct pm_ready *r, const char *cache, const char *name);
void pm_ready_save(const struct pm_ready *r, const char *cache, const char *name);

/* The bytes of a compiled file, aligned to 16, which r does not own. False: it is not good. */
bool pm_ready_parse(struct pm_ready *r, const void *bytes, size_t n, const char *name);

/* Writes what is the same in all good files, and the sum, into the bytes of a compiled file. */
void pm_ready_seal(void *bytes, size_t n, const char *name);

void pm_ready_free(struct pm_ready *r);

#endif
