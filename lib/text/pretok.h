/* pretok.h: what a tokenizer asks of its pre-tokenizers beyond running them. */
#ifndef PM_TEXT_PRETOK_H
#define PM_TEXT_PRETOK_H

#include "text/part.h"
#include "text/pattern.h"

/* True where the last pre-tokenizer, and no other, is ByteLevel: then the model may work on bytes as they are, and
 * pm_pretok_raw tells the part to leave them so. */
bool pm_pretok_ends_bytelevel(const struct pm_parts *ps);
void pm_pretok_raw(struct pm_parts *ps);

/* True where a text may be cut behind a line's end between two printable ASCII characters, or one with a space and such behind
 * it: no piece reaches over it, and none ends differently because the text ends there. */
bool pm_pretok_by_lines(const struct pm_parts *ps);

/* True where texts without a space stay in one piece. */
bool pm_pretok_only_spaces(const struct pm_parts *ps);

/* Writes a view in byte-level characters. */
int pm_pretok_bytes(const struct pm_view *in, struct pm_textbuf *out, struct pm_err *e);

/* Split by regular expression or string: its own file. */
int pm_split_build(struct pm_part *p, const json_t *o, struct pm_err *e);
void pm_split_free(struct pm_part *p);
int pm_split_run(const struct pm_part *p, const struct pm_view *in, struct pm_sink *next, struct pm_worker *w, struct pm_err *e);

/* True where it goes by one of the patterns of match.h. */
bool pm_split_known(const struct pm_part *p);

/* True where it looks for a space, and keeps what is none. */
bool pm_split_space(const struct pm_part *p);

/* UnicodeScripts: its own file too. */
int pm_scripts_run(const struct pm_part *p, const struct pm_view *in, struct pm_sink *next, struct pm_worker *w, struct pm_err *e);

/* {"String": …} or {"Regex": …}. */
int pm_split_pattern(struct pm_pattern *re, const char **text, bool *literal, const json_t *o, struct pm_err *e);

#endif
