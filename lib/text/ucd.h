/* ucd.h: what the versions of Unicode differ in, as far as tokenizers notice. Vocabularies are defined by what the `tokenizers`
 * library does, and its parts go by different versions: patterns by Unicode 16 (Oniguruma 6.9.10), normal forms by Unicode 9,
 * and what it calls punctuation, nonspacing and control by Unicode 8. utf8proc and PCRE2 are whatever the system has (from
 * Unicode 14 on). The tables are derived from UnicodeData.txt and DerivedAge.txt of Unicode 16. */
#ifndef PM_TEXT_UCD_H
#define PM_TEXT_UCD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/str.h"

/* The general category ("Lo") of a character that came after Unicode 14, NULL for all others. */
const char *pm_ucd_newer(uint32_t c);

/* Appends the ranges of those whose category begins with `category`, as they stand in a bracket of a regular expression. */
int pm_ucd_ranges(struct pm_str *out, const char *category, struct pm_err *e);

/* True where c, a mark, punctuation, or a character with a decomposition or a combining class, came after Unicode 8 (or 9);
 * other characters it knows only from Unicode 15 on. */
bool pm_ucd_after(uint32_t c, int version);

#endif
