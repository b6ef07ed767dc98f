/* learn_seed.h: the pieces that Unigram begins with: all characters, and what repeats in the words. */
#ifndef PM_TEXT_LEARN_SEED_H
#define PM_TEXT_LEARN_SEED_H

#include "text/learn_parts.h"

struct pm_seeds {
	struct pm_seed { size_t at; uint32_t bytes, chars; double score; } *v;  /* UTF-8, at bytes + at; score: how often, times its length */
	char *bytes;
	size_t n, cap, nbytes, cap_bytes;
	size_t chars;                   /* that are single characters: the first ones */
};

/* At most `most` pieces of up to max_piece characters beside the single ones: of the strings that cannot be made longer without being
 * seen less often, those with the highest scores; of equal scores the first in the order of code points. */
int pm_seeds_find(struct pm_seeds *s, const struct pm_spelled *words, bool bytes, size_t max_piece, size_t most, struct pm_err *e);
void pm_seeds_free(struct pm_seeds *s);

#endif
