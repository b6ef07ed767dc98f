/* added.h: added tokens: words that are found in the text before the model sees it (special tokens and others). Those that
 * are `normalized` are looked for in the normalized text, in their own normalized form; the others in the text as given. */
#ifndef PM_TEXT_ADDED_H
#define PM_TEXT_ADDED_H

#include "base/json.h"
#include "base/mem.h"
#include "text/trie.h"
#include "text/view.h"
#include "text/vocab.h"

struct pm_added_token {
	const char *content;            /* closed by a 0; in the arena */
	size_t n;
	const char *pattern;            /* its normalized form; content where that is the same or it is not normalized */
	size_t pattern_n;
	int32_t id;
	bool single_word, lstrip, rstrip, normalized, special;
};

struct pm_added {
	struct pm_arena arena;
	struct pm_added_token *v;
	size_t n, cap;
	struct pm_vocab by_content;     /* content → index in v */
	int32_t *of_id;                 /* index in v by id, −1 none */
	size_t ids;
	struct pm_trie given, normal;      /* of what is looked for in the text as given, and in the normalized one */
};

/* Reads the list "added_tokens"; ids follow the `tokenizers` library: that of the model's vocabulary where the content is in
 * there, else the next free ones in the list's order. normalize gives the normal form of n bytes in *out (appended). */
int pm_added_read(struct pm_added *a, const json_t *list, const struct pm_vocab *model,
	int (*normalize)(void *ctx, const char *s, size_t n, struct pm_str *out, struct pm_err *e), void *ctx, struct pm_err *e);
void pm_added_free(struct pm_added *a);

/* True where none of those looked for in normalized text can reach over a U+2581 that follows another character. */
bool pm_added_by_words(const struct pm_added *a);

/* By id; NULL: it is no added token. */
const struct pm_added_token *pm_added_of(const struct pm_added *a, int32_t id);

/* Where special tokens of a text are not recognised. */
struct pm_added_rule {
	bool special;                   /* they are, but for the ranges (of the original text): */
	const struct pm_range *literal;
	size_t nliteral;
	size_t threads;                 /* of the call; nothing to do with added tokens, but it goes where the rule goes */
};

/* Finds the first token at or after *at (the longest there), and moves *at behind it. Returns it with its place (blanks that
 * lstrip and rstrip take included) in *from and *to, or NULL. `done` is where the token before ended: blanks before that are
 * not taken again. */
const struct pm_added_token *pm_added_find(const struct pm_added *a, const struct pm_trie *t, const struct pm_view *v,
	size_t *at, size_t done, const struct pm_added_rule *rule, size_t *from, size_t *to);

#endif
