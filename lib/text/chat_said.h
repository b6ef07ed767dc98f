/* chat_said.h: what of a rendered conversation the model says, by where the bytes came from. */
#ifndef PM_TEXT_CHAT_SAID_H
#define PM_TEXT_CHAT_SAID_H

#include "text/chat.h"

/* Fills raw->spans with what the model says in each turn of an assistant: what follows the words that prompt an answer (`prompt`, as the
 * template writes them; "": it has none), up to the end of the turn without the template's blanks; with `eos` (NULL: none) where the template
 * writes that behind the last turn. */
int pm_said_spans(struct pm_jinja_result *raw, const json_t *messages, const char *prompt, const char *eos, struct pm_err *e);

/* Where words that prompt an answer end: before a tag that opens or closes thinking, which is the model's own. Bytes of n. */
size_t pm_said_header(const char *text, size_t n);

/* The pieces of a result, said where its spans are. */
int pm_said_pieces(struct pm_rendered *out, struct pm_err *e);

#endif
