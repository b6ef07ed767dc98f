/* vocab_gguf.h: a tokenizer as the keys tokenizer.* of a GGUF file have it: the way there (pm-gguf convert), the way back to
 * tokenizer.json (pm-gguf export), and a tokenizer straight from the keys, which gives the ids that llama.cpp gives. */
#ifndef PM_TEXT_VOCAB_GGUF_H
#define PM_TEXT_VOCAB_GGUF_H

#include "base/json.h"
#include "io/gguf.h"
#include "text/tokenizer.h"

/* tokenizer.ggml.token_type */
enum { PM_GGML_NORMAL = 1, PM_GGML_UNKNOWN, PM_GGML_CONTROL, PM_GGML_USER, PM_GGML_UNUSED, PM_GGML_BYTE };

struct pm_ggml_text {
	const char *s;                  /* n bytes, closed by a 0 */
	size_t n;
};

/* What the keys say. Everything in it is the vocabulary's own and lives as long as it does. */
struct pm_ggml_vocab {
	const char *model;              /* "llama" (SentencePiece's BPE), "gpt2" (byte-level BPE), "t5" (Unigram), "bert" (WordPiece) */
	const char *pre;                /* the name of the pre-tokenizer, NULL: none */
	size_t n;
	struct pm_ggml_text *token;
	float *score;                   /* NULL: none */
	int32_t *type;
	size_t merges;
	struct pm_ggml_text *merge;     /* "a b" */
	struct pm_ggml_text charsmap;   /* precompiled_charsmap, raw bytes; s NULL: none */
	struct pm_ggml_text chat_template;      /* s NULL: none */
	/* other keys (without "tokenizer.ggml."), integers and booleans in the order they are written in: bos_token_id, eos_token_id,
	 * unknown_token_id, padding_token_id, add_bos_token, add_eos_token, add_space_prefix … */
	json_t *keys;
};

/* Of a model directory: its tokenizer files, tokenizer_config.json and chat template. rows: how many tokens the embedding has; those
 * beyond the tokenizer are named [PADn] (type unused). 0: as many as the tokenizer has. A tokenizer that no pre-tokenizer of
 * llama.cpp equals is an error (65) that names its pattern. */
int pm_ggml_vocab_of_dir(struct pm_ggml_vocab **out, const char *dir, size_t rows, struct pm_err *e);

/* Of a GGUF file's keys; nothing in them is trusted. */
int pm_ggml_vocab_of_gguf(struct pm_ggml_vocab **out, const struct pm_gguf *g, struct pm_err *e);
void pm_ggml_vocab_free(struct pm_ggml_vocab *v);

/* Writes all keys tokenizer.*, in llama.cpp's order. */
int pm_ggml_vocab_put(const struct pm_ggml_vocab *v, struct pm_gguf_writer *w, struct pm_err *e);

/* The texts of tokenizer.json and tokenizer_config.json (with the chat template) that the `tokenizers` library and transformers
 * load. Appended. */
int pm_ggml_vocab_files(const struct pm_ggml_vocab *v, struct pm_str *tokenizer, struct pm_str *config, struct pm_err *e);

/* A tokenizer from the keys of an open file, which may be closed afterwards. pm_tokenizer_open does this for a path that is a GGUF. */
int pm_tokenizer_open_gguf(struct pm_tokenizer **out, const struct pm_gguf *g, struct pm_err *e);

#endif
