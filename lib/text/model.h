/* model.h: the model section of tokenizer.json: pieces of text to ids. A new model is one entry of the table. */
#ifndef PM_TEXT_MODEL_H
#define PM_TEXT_MODEL_H

#include "text/part.h"
#include "text/ready.h"

struct pm_model_type {
	const char *name;
	const char *members;            /* as in part.h; "type" is understood */
	/* Fills the vocabulary and makes *conf. *raw: pieces could come as plain bytes that the vocabulary spells byte-level; the
	 * model says whether it wants them so. */
	int (*build)(void **conf, struct pm_vocab *vocab, const json_t *o, bool *raw, struct pm_err *e);
	/* The same from tables that are ready (they become the model's own), with what is left of the object; `saved` is the way back: it shows
	 * the model's tables without giving them away. NULL: there is none. */
	int (*load)(void **conf, struct pm_vocab *vocab, const json_t *o, bool *raw, struct pm_ready *ready, struct pm_err *e);
	void (*saved)(const void *conf, struct pm_ready *ready);
	void (*free)(void *conf);
	/* True where a text may be cut before a U+2581 that follows a character (not U+2581) whose last byte is `last`; NULL: never. */
	bool (*parts)(const void *conf, unsigned char last);
	int (*encode)(const void *conf, const struct pm_view *piece, struct pm_worker *w, struct pm_err *e);
};

struct pm_model {
	const struct pm_model_type *type;
	void *conf;
};

/* ready: tables that stand for what `o` lacks, or NULL; a model that they are not for is an error. bytelevel: the pre-tokenizers end with ByteLevel; *raw tells whether the model took that upon itself. */
int pm_model_read(struct pm_model *m, struct pm_vocab *vocab, const json_t *o, bool bytelevel, bool *raw,
	struct pm_ready *ready, struct pm_err *e);
void pm_model_free(struct pm_model *m);

/* Reads an object of spellings and ids. */
int pm_model_vocab(struct pm_vocab *vocab, const json_t *o, struct pm_err *e);

extern const struct pm_model_type pm_model_bpe, pm_model_unigram, pm_model_wordpiece, pm_model_wordlevel;
extern const struct pm_model_type pm_model_bpe_pieces, pm_model_unigram_pieces;      /* sources.h */

#endif
