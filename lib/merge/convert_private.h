/* convert_private.h: private to the room: a conversion, for the files that make its tensors and its keys. */
#ifndef PM_MERGE_CONVERT_PRIVATE_H
#define PM_MERGE_CONVERT_PRIVATE_H

#include <string.h>

#include "merge/convert.h"
#include "text/vocab_gguf.h"

struct convert_item {
	struct pm_view view;                    /* as in the file; no data */
	size_t count;
	const struct pm_tensor_spec *t;         /* and its source; or */
	const struct pm_view *src;              /* NULL of a stack of experts that lie apart */
	int turn;                               /* gate (1) or up (2) of what has both, their rows in turns; else 0 */
	const json_t *values;                   /* numbers that the architecture's program gives */
};

struct pm_convert {
	struct pm_store *store;
	struct pm_spec *spec;
	json_t *program;                        /* what share/gguf/ARCH.jq made of the configuration */
	struct pm_gguf *header;
	struct pm_ggml_vocab *vocab;
	struct convert_item *item;
	size_t n;
	enum pm_dtype type;
	size_t cut;                             /* rows of the embedding, where it is cut to the tokenizer; else 0 */
	bool coded;                             /* experts are in blocks of MXFP4, and stay so */
};

/* Lists the tensors: those that the architecture makes of its own, then the directory's. */
int convert_items(struct pm_convert *c, struct pm_err *e);
static inline bool convert_ends(const char *s, const char *end)
{
	size_t n = strlen(s), k = strlen(end);

	return n >= k && !strcmp(s + n - k, end);
}

/* Reads the tokenizer and runs the architecture's program. */
int convert_program(struct pm_convert *c, const char *dir, const struct pm_convert_opts *o, struct pm_err *e);
/* Makes the header. */
int convert_keys(struct pm_convert *c, const char *dir, const struct pm_convert_opts *o, struct pm_err *e);

#endif
