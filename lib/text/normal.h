/* normal.h: the Unicode normal forms as a normalizer, keeping track of what came from where. */
#ifndef PM_TEXT_NORMAL_H
#define PM_TEXT_NORMAL_H

#include <stdbool.h>

#include "text/view.h"

/* NFC (composed), NFD, NFKC (compat, composed), NFKD (compat). *changed stays false where the text is normal as it is. */
int pm_normal_form(const struct pm_view *in, struct pm_textbuf *out, bool *changed, bool composed, bool compat, struct pm_err *e);

#endif
