/* part.h: what a tokenizer is put together from. Each section of tokenizer.json (normalizer, pre_tokenizer, model,
 * post_processor, decoder) is a list of parts; a part is one JSON object, read by the entry of a table that has its type.
 * A new part is one entry: a name, the members that it knows, and its functions. Parts are read-only once built; what they
 * need while they work is in the worker, one for each call that is under way. */
#ifndef PM_TEXT_PART_H
#define PM_TEXT_PART_H

#include "base/json.h"
#include "text/view.h"
#include "text/vocab.h"

struct pm_worker;

/* Receives pieces of text, one after another. */
struct pm_sink {
	int (*put)(struct pm_sink *sink, const struct pm_view *piece, struct pm_err *e);
};

struct pm_part {
	const struct pm_part_type *type;
	void *conf;                     /* what the part's build made, or NULL */
};

struct pm_part_type {
	const char *name;               /* "type" in the file */
	const char *members;            /* those it may have, between blanks, beside "type" */
	int (*build)(struct pm_part *p, const json_t *o, struct pm_err *e);     /* NULL: nothing to read */
	void (*free)(struct pm_part *p);                                        /* NULL: nothing but conf itself */
	/* The one of these that the part's section calls: */
	int (*normalize)(const struct pm_part *p, const struct pm_view *in, struct pm_textbuf *out, bool *changed,
		struct pm_worker *w, struct pm_err *e);
	int (*split)(const struct pm_part *p, const struct pm_view *in, struct pm_sink *next, struct pm_worker *w, struct pm_err *e);
};

struct pm_parts {
	struct pm_part *v;
	size_t n, cap;
};

/* Reads a section: one part, or a Sequence (its list is the member `list`), nested as it may be. null gives none. */
int pm_parts_read(struct pm_parts *ps, const json_t *o, const struct pm_part_type *types, const char *list, struct pm_err *e);
void pm_parts_free(struct pm_parts *ps);

/* The tables; each ends with a NULL name. */
extern const struct pm_part_type pm_normalizers[], pm_pretokenizers[];

/* Fails where the object has a member that is not in `members` ("type" always may be there). */
int pm_part_check(const json_t *o, const char *members, struct pm_err *e);

/* Members that must be there. */
int pm_part_str(const char **out, size_t *n, const json_t *o, const char *key, struct pm_err *e);
int pm_part_bool(bool *out, const json_t *o, const char *key, struct pm_err *e);

/* Runs the normalizers from number i on. *out is the result: the view itself, or one of the worker's two buffers. */
int pm_normalize(const struct pm_parts *ps, size_t i, const struct pm_view *in, struct pm_view *out, struct pm_worker *w, struct pm_err *e);

/* True where they treat each line by itself (there are none, or NFC). */
bool pm_normalize_by_lines(const struct pm_parts *ps);

/* True where all they do is to write U+2581 for every space, and perhaps to put something before the text; what follows a cut
 * before a space then only needs those from number *later on. */
bool pm_normalize_by_words(const struct pm_parts *ps, size_t *later);

/* Runs the pre-tokenizers from number i on; what comes out goes to `last`. */
int pm_pretokenize(const struct pm_parts *ps, size_t i, const struct pm_view *in, struct pm_sink *last, struct pm_worker *w,
	struct pm_err *e);

#endif
