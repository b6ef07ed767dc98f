/* flow.h: what of a model's text is let through, piece by piece: stop strings end it, thinking may be hidden. A byte is held
 * back only while it may still turn out to be part of a stop string or of a tag. */
#ifndef PM_RUN_FLOW_H
#define PM_RUN_FLOW_H

#include <stdbool.h>

#include "base/str.h"

struct pm_flow {
	const char *const *stop;        /* stop strings; borrowed */
	size_t nstop;
	bool hide;                      /* leave out <think> … </think> and the blank space behind it */
	/* private */
	struct pm_str held;
	bool thinking, after, stopped;
};

/* Appends to *out what is certain now, and to *thought (NULL: dropped) what is hidden. Returns 1 when a stop string was met (nothing more comes
 * out), else 0, or −1. */
int pm_flow_put(struct pm_flow *f, const char *text, size_t n, struct pm_str *out, struct pm_str *thought, struct pm_err *e);
/* The text has ended: what was held back. */
int pm_flow_end(struct pm_flow *f, struct pm_str *out, struct pm_str *thought, struct pm_err *e);
void pm_flow_free(struct pm_flow *f);

#endif
