/* name_match.h: regular expressions over names of tensors and modules (PCRE2). Private to this room. */
#ifndef PM_SPEC_NAME_MATCH_H
#define PM_SPEC_NAME_MATCH_H

#include <stdbool.h>

#include "base/err.h"

struct pm_name_match;

/* Status 65 where the pattern is none. */
int pm_name_match_new(struct pm_name_match **out, const char *pattern, struct pm_err *e);
/* 1: the whole of the text matches; 0; −1: it could not be decided within PCRE2's limits. */
int pm_name_match_whole(const struct pm_name_match *r, const char *text, struct pm_err *e);
void pm_name_match_free(struct pm_name_match *r);

#endif
