/* regex.h: regular expressions over names of tensors and modules (PCRE2). Private to this room. */
#ifndef PM_SPEC_REGEX_H
#define PM_SPEC_REGEX_H

#include <stdbool.h>

#include "base/err.h"

struct pm_regex;

/* Status 65 where the pattern is none. */
int pm_regex_new(struct pm_regex **out, const char *pattern, struct pm_err *e);
/* 1: the whole of the text matches; 0; −1: it could not be decided within PCRE2's limits. */
int pm_regex_match(const struct pm_regex *r, const char *text, struct pm_err *e);
void pm_regex_free(struct pm_regex *r);

#endif
