/* cut.h: what a pre-tokenizer does with the places that it found: Split's behaviours. */
#ifndef PM_TEXT_CUT_H
#define PM_TEXT_CUT_H

#include "text/part.h"

enum pm_cut_how { PM_CUT_REMOVED, PM_CUT_ISOLATED, PM_CUT_PREVIOUS, PM_CUT_NEXT, PM_CUT_CONTIGUOUS };

struct pm_cut {
	enum pm_cut_how how;
	bool invert;                    /* matches count as the text between, and the other way round */
	const struct pm_view *in;
	struct pm_sink *next;
	size_t done;                    /* reported up to here */
	size_t from, to;                /* a piece that may still grow */
	bool held, was;                 /* there is one; what came last was a match */
};

int pm_cut_read(enum pm_cut_how *how, const json_t *o, const char *key, struct pm_err *e);

/* Reports the matches in order (empty ones too); what lies between them is understood. */
int pm_cut_match(struct pm_cut *c, size_t from, size_t to, struct pm_err *e);
int pm_cut_end(struct pm_cut *c, struct pm_err *e);

#endif
