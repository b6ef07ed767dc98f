/* tokenize.h: the parts of pm-tokenize: pm-tokenize.c (the table of options, decoding), tokenize_encode.c, tokenize_render.c and
 * tokenize_train.c. */
#ifndef PM_BIN_TOKENIZE_H
#define PM_BIN_TOKENIZE_H

#include "bin/chat.h"
#include "cli/tool.h"
#include "text/learn.h"

struct tokenize_args {
	const char *model, *format, *map, *columns, *train_on, *on_bad, *output;
	struct chat_args chat;
	int64_t threads;
	bool decode, render, generation_prompt, json, show_mask, parse_special, special, truncate, pad, skip_special, eos, paragraphs, quiet, verbose;
};

/* Records and texts to tokens. */
int tokenize_encode(const struct pm_tool *t, const struct tokenize_args *a, const char *const *paths, int n, struct pm_err *e);

/* Conversations to text by a chat template; `share` is where pm's own are. */
int tokenize_render(const struct pm_tool *t, const struct tokenize_args *a, const char *share, const char *const *paths, int n, struct pm_err *e);

/* The options of --train. */
struct train_args {
	const char *model, *pattern, *normalizer, *unk, *bos, *eos;
	int64_t vocab_size, min_frequency, max_piece;
	struct pm_opt_list special;
	bool byte_fallback, prefix_space;
};

#define TRAIN_OPTS(t) \
	{.name = "train", .kind = PM_OPT_CHOICE, .arg = "MODEL", .to = &(t)->model, .choices = "bpe|unigram", \
	 .help = "learn a vocabulary from the input: bpe or unigram; writes tokenizer files"}, \
	{.name = "vocab-size", .kind = PM_OPT_INT, .arg = "N", .to = &(t)->vocab_size, .fallback = "32000", .min = 1, .max = 16777216, \
	 .help = "train: tokens wanted"}, \
	{.name = "min-frequency", .kind = PM_OPT_INT, .arg = "N", .to = &(t)->min_frequency, .fallback = "2", .min = 0, .max = 1e15, \
	 .help = "train bpe: pairs seen less often are not merged"}, \
	{.name = "max-piece-length", .kind = PM_OPT_INT, .arg = "N", .to = &(t)->max_piece, .fallback = "16", .min = 1, .max = 1000, \
	 .help = "train unigram: characters of the longest piece"}, \
	{.name = "special-tokens", .kind = PM_OPT_STRS, .arg = "A,B,...", .to = &(t)->special, \
	 .help = "train: special tokens, which get the first ids; may be repeated"}, \
	{.name = "unk-token", .kind = PM_OPT_STR, .arg = "TOKEN", .to = &(t)->unk, \
	 .help = "train: what unknown characters become [<unk>; with bytes: none]"}, \
	{.name = "bos-token", .kind = PM_OPT_STR, .arg = "TOKEN", .to = &(t)->bos, .help = "train: the special token that begins a text"}, \
	{.name = "eos-token", .kind = PM_OPT_STR, .arg = "TOKEN", .to = &(t)->eos, .help = "train: the special token that ends a text"}, \
	{.name = "byte-fallback", .kind = PM_OPT_FLAG, .to = &(t)->byte_fallback, .help = "train: unknown characters become tokens of their bytes"}, \
	{.name = "pattern", .kind = PM_OPT_STR, .arg = "NAME", .to = &(t)->pattern, \
	 .help = "train: how text is cut: gpt2, llama3, qwen2, o200k, metaspace, or a regular expression [llama3; unigram: metaspace]"}, \
	{.name = "normalizer", .kind = PM_OPT_STR, .arg = "A,B,...", .to = &(t)->normalizer, \
	 .help = "train: nfc, nfd, nfkc, nfkd, lowercase, strip, accents, or none [none; unigram: nfkc]"}, \
	{.name = "prefix-space", .kind = PM_OPT_FLAG, .to = &(t)->prefix_space, .negatable = true, \
	 .help = "train: put a space before a text (the default with metaspace)"}

/* What the rest of the command line says. */
struct train_input {
	const char *const *paths;
	size_t n;
	const char *format, *map, *columns, *on_bad, *output;
	bool quiet, verbose;
};

int train_vocabulary(struct pm_tool *t, const struct train_args *a, const struct train_input *in, struct pm_err *e);

/* An error where an option of --train was given without it. */
int train_refuse(const struct pm_tool *t, struct pm_err *e);

#endif
