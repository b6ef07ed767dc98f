/* match.h: the split patterns of the common byte-level vocabularies, written out by hand. Each gives the same pieces as its
 * regular expression (tests hold the two together). */
#ifndef PM_TEXT_MATCH_H
#define PM_TEXT_MATCH_H

#include <stddef.h>

/* Where the match that begins at s[i] (i < n, valid UTF-8) ends. These patterns match everywhere, so pieces follow each other
 * without a gap. */
typedef size_t pm_match_fn(const char *s, size_t n, size_t i);

pm_match_fn pm_match_gpt2;

/* The function of a regular expression, or NULL where there is none. */
pm_match_fn *pm_match_known(const char *pattern);

/* The regular expression of number i, NULL after the last: for tests. */
const char *pm_match_pattern(size_t i);

#endif
