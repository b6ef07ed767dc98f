/* sources.h: other kinds of tokenizer files as the text of a tokenizer.json, which then is opened like any. Beside the types that the
 * `tokenizers` library defines, these texts have some of our own (the names begin with "pm:"), which do what SentencePiece and tiktoken do:
 *
 *     model "pm:BPE"         as BPE, but any two neighbours merge that are a piece together: of all such pairs that with the highest of
 *                            `merges` (a list of scores by id; null: the piece takes no part), or without them that with the lowest id; of equal
 *                            ones the leftmost. Those in `apart` (ids) take no part. `symbols` (ids) are found first, the longest, and merge with nothing.
 *     model "pm:Unigram"     as Unigram, with vocab entries [piece, score, type]: 1 normal, 4 user-defined, 5 unused, 3 (others) no part.
 *                            Scores are single precision, and where "float" is true their sums are, too.
 *     normalizer "pm:SentencePiece"  precompiled_charsmap (base64, "" none) by longest prefix, `symbols` (texts) kept as they are,
 *                            remove_extra_whitespaces, add_dummy_prefix (with "first": only where the text begins),
 *                            treat_whitespace_as_suffix, escape_whitespaces: SentencePiece's Normalizer. */
#ifndef PM_TEXT_SOURCES_H
#define PM_TEXT_SOURCES_H

#include "base/json.h"
#include "text/vocab.h"

struct pm_source {
	struct pm_str json;
	int32_t bos, eos;               /* −1: none */
};

/* A SentencePiece model (a protocol buffer) of the kinds BPE, Unigram and char. config: tokenizer_config.json, or NULL. */
int pm_source_sentencepiece(struct pm_source *out, const char *bytes, size_t n, const json_t *config, struct pm_err *e);

/* tiktoken's ranks: lines of a token in base64 and its rank. The split pattern and the special tokens are those of the known vocabulary of
 * that many ranks (GPT-2, p50k, cl100k, o200k, Llama 3, Llama 4, Qwen, Kimi K2); any other number is an error. */
bool pm_source_is_ranks(const char *bytes, size_t n);
int pm_source_ranks(struct pm_source *out, const char *bytes, size_t n, const json_t *config, struct pm_err *e);

/* Parts of such texts: a JSON string of what must be UTF-8; an entry of added_tokens, after a comma where *any. */
int pm_source_string(struct pm_str *out, const char *s, size_t n, struct pm_err *e);
int pm_source_added(struct pm_str *out, bool *any, int64_t id, const char *s, size_t n, bool special, struct pm_err *e);

/* A token that begins or ends texts; id −1: none. */
struct pm_source_token {
	int64_t id;
	const char *s;
	size_t n;
};

/* A post-processor that puts them around a text, and around each of a pair; null where there is neither. */
int pm_source_post(struct pm_str *out, struct pm_source_token begin, struct pm_source_token end, struct pm_err *e);

/* The entries of added_tokens_decoder in tokenizer_config.json that `known` (spellings and their ids) lacks, by rising ids, which must go on
 * from its last one. Those that it has must have the same id. */
int pm_source_config_tokens(struct pm_str *out, bool *any, const json_t *config, const struct pm_vocab *known, struct pm_err *e);

#endif
