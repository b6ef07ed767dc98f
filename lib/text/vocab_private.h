/* vocab_private.h: what the files behind vocab_gguf.h share. */
#ifndef PM_TEXT_VOCAB_PRIVATE_H
#define PM_TEXT_VOCAB_PRIVATE_H

#include "base/file.h"
#include "base/mem.h"
#include "text/pretype.h"
#include "text/sentencepiece.h"
#include "text/vocab_gguf.h"

struct pm_ggml_own {
	struct pm_ggml_vocab v;         /* the first member: a pointer to it is one to all */
	struct pm_arena arena;          /* of the texts */
};

/* The files of a directory (NULL or empty: absent), and what they are. */
struct pm_ggml_dir {
	json_t *tokenizer, *config, *model;     /* tokenizer.json, tokenizer_config.json, config.json */
	struct pm_map file;
	struct pm_pieces pieces;                /* of `file` */
	enum { PM_GGML_SPM, PM_GGML_BPE, PM_GGML_UNIGRAM, PM_GGML_WORDPIECE } kind;
	const struct pm_pretype *pre;           /* of PM_GGML_BPE */
};

/* Fills v->keys and the chat template. */
int pm_ggml_vocab_keys(struct pm_ggml_vocab *v, const struct pm_ggml_dir *d, const char *dir, struct pm_err *e);

int pm_ggml_vocab_new(struct pm_ggml_vocab **out, struct pm_err *e);

/* A copy of n bytes, closed by a 0. */
int pm_ggml_vocab_text(struct pm_ggml_vocab *v, struct pm_ggml_text *t, const char *s, size_t n, struct pm_err *e);

/* Keeps the bytes of a map of characters in base64. */
int pm_ggml_vocab_charsmap(struct pm_ggml_vocab *v, const json_t *base64, struct pm_err *e);

/* The text of a tokenizer.json: as llama.cpp reads the vocabulary (with types of ours, sources.h), or `published`: as the models' own are,
 * for other readers. Appended. */
int pm_ggml_vocab_json(const struct pm_ggml_vocab *v, bool published, struct pm_str *out, struct pm_err *e);

/* pm_tokenizer_open_gguf with a cache (pm_tokenizer_open_cached). */
int pm_ggml_vocab_open(struct pm_tokenizer **out, const struct pm_gguf *g, const char *cache, struct pm_err *e);

/* A key's number, −1: none; whether a token is added: what the key says, else `otherwise`. */
int64_t pm_ggml_vocab_id(const struct pm_ggml_vocab *v, const char *key);
bool pm_ggml_vocab_flag(const struct pm_ggml_vocab *v, const char *key, bool otherwise);

#endif
