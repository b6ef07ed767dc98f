/* view.h: a piece of text on its way through a tokenizer, and where each of its bytes came from in the text as given. While
 * nothing was changed that is just an offset; after a change every byte carries the range of original bytes that it stands
 * for (all bytes of a character the same). */
#ifndef PM_TEXT_VIEW_H
#define PM_TEXT_VIEW_H

#include "text/tokenizer.h"

struct pm_view {
	const char *s;
	size_t n;
	const struct pm_range *map;     /* NULL: byte i is byte base + i of the original */
	size_t base;
};

/* The part a .. b of a view; both on character boundaries. */
static inline struct pm_view pm_view_part(const struct pm_view *v, size_t a, size_t b)
{
	struct pm_view p = {v->s + a, b - a, v->map ? v->map + a : NULL, v->base + a};

	return p;
}

/* The original range of byte i's character, and of the bytes a .. b (a < b), widened to whole characters. */
struct pm_range pm_view_at(const struct pm_view *v, size_t i);
struct pm_range pm_view_range(const struct pm_view *v, size_t a, size_t b);

/* A changed text under construction. A zeroed struct is empty; clear keeps the memory. */
struct pm_textbuf {
	char *s;
	struct pm_range *map;
	size_t n, cap_s, cap_map;
};

void pm_textbuf_free(struct pm_textbuf *b);
struct pm_view pm_textbuf_view(const struct pm_textbuf *b);

/* An edit reads a view from its start to its end and writes into an empty buffer. What each character of the result stands
 * for follows the `tokenizers` library's rule: one that replaces takes the range of what it replaces, one that is added that
 * of the byte before. */
struct pm_edit {
	const struct pm_view *in;
	struct pm_textbuf *out;
	size_t at;                      /* bytes read */
};

struct pm_edit pm_edit_begin(const struct pm_view *in, struct pm_textbuf *out);

/* Writes c. change 0: it replaces the next character; −k: that and k more, which vanish; 1: it is new. */
int pm_edit_put(struct pm_edit *ed, uint32_t c, int change, struct pm_err *e);

/* The same for a string whose characters are all new. */
int pm_edit_insert(struct pm_edit *ed, const char *s, size_t n, struct pm_err *e);

/* The whole of an edit that puts a string in place of every byte c (ASCII), from a view that nothing was changed in yet. */
int pm_edit_replace_byte(const struct pm_view *in, struct pm_textbuf *out, char c, const char *s, size_t n, struct pm_err *e);

/* Copies the bytes up to `to` as they are. */
int pm_edit_copy(struct pm_edit *ed, size_t to, struct pm_err *e);

#endif
