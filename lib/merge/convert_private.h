/* convert_private.h: private to the room: a conversion, for the files that make its tensors and its keys. */
#ifndef PM_MERGE_CONVERT_PRIVATE_H
#define PM_MERGE_CONVERT_PRIVATE_H

#include "merge/convert.h"
#include "text/vocab_gguf.h"

struct convert_item {
	struct pm_view view;                    /* as in the file; no data */
	size_t count;
	const struct pm_tensor_spec *t;         /* and its source; or */
	const struct pm_view *src;
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
};

/* Reads the tokenizer and runs the architecture's program. */
int convert_program(struct pm_convert *c, const char *dir, const struct pm_convert_opts *o, struct pm_err *e);
/* Makes the header. */
int convert_keys(struct pm_convert *c, const char *dir, const struct pm_convert_opts *o, struct pm_err *e);

#endif
