/* load.h: private to the room: what load.c, read.c and gguf.c share. */
#ifndef PM_SPEC_LOAD_H
#define PM_SPEC_LOAD_H

#include "spec/spec.h"

/* s->json, the program's output, into the rest of the spec. */
int spec_read(struct pm_spec *s, struct pm_err *e);

/* The one object that the jq program in a file makes of its input; `library` has its modules, `name` stands in messages. programs.c; kept may be NULL. */
int spec_run_jq(json_t **out, struct pm_spec_programs *kept, const char *path, const char *name, const char *library, const json_t *in, struct pm_err *e);

/* config and generation of a spec from the keys of a GGUF file. */
int spec_gguf_config(struct pm_spec *s, const struct pm_store *store, const char *share, struct pm_err *e);
/* Turns a spec as the family gives it to a GGUF file's names, shapes and orders. */
int spec_to_gguf(struct pm_spec *s, struct pm_err *e);

/* (rows, cols) to (cols, rows), in place. */
int spec_transpose(float *v, int64_t rows, int64_t cols, struct pm_err *e);

#endif
