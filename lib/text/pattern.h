/* pattern.h: the regular expressions of tokenizer files, which are written for Oniguruma (Ruby's syntax), run by PCRE2. What
 * the two read differently is rewritten (\s, \w, \b, \h, \v, (?m), {,n}); what cannot be is an error. */
#ifndef PM_TEXT_PATTERN_H
#define PM_TEXT_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

struct pm_pattern {
	void *code;
	char *literal;                  /* or a plain string to look for */
	size_t n;
};

/* What a search needs of its own; a zeroed struct is ready. One match at a time may use it. */
struct pm_match {
	void *data, *context, *stack;
};

int pm_pattern_new(struct pm_pattern *re, const char *pattern, size_t n, bool literal, struct pm_err *e);
void pm_pattern_free(struct pm_pattern *re);
void pm_match_free(struct pm_match *m);

/* A search through a text: a zeroed struct but for s and n is its begin. */
struct pm_find {
	const char *s;
	size_t n, at;                   /* where the next match may begin */
	size_t last;                    /* where the last one ended */
	bool any;                       /* there was one */
};

/* The next match in *from and *to: 1, 0 (no more), or −1. An empty match right behind another is passed over. */
int pm_pattern_next(const struct pm_pattern *re, struct pm_match *m, struct pm_find *f, size_t *from, size_t *to, struct pm_err *e);

#endif
