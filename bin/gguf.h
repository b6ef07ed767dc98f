/* gguf.h: the verbs of pm-gguf: bin/gguf_VERB.c each, with its own options and page (man/pm-gguf-VERB.1). */
#ifndef PM_BIN_GGUF_H
#define PM_BIN_GGUF_H

#include "bin/names.h"
#include "cli/verb.h"
#include "io/store.h"

extern const struct pm_verb gguf_check, gguf_convert, gguf_dump, gguf_export, gguf_hash, gguf_imatrix, gguf_join, gguf_quantize, gguf_set,
	gguf_split;

/* Puts paths in the place of names that were fetched; they live as long as the environment. */
static inline int gguf_names(int argc, char **argv, struct pm_env *env, struct pm_err *e)
{
	const char *name;
	int i;

	for (i = 1; i < argc; i++) {
		name = argv[i];
		if (local_name(&name, env, e) < 0)
			return -1;
		argv[i] = (char *)(size_t)name;
	}
	return 0;
}

/* A GGUF file, or the parts of a split one, and its tensors in order; the caller closes and frees both, after a failure too. */
int gguf_open(struct pm_store **s, const struct pm_view ***v, const char *path, struct pm_err *e);

/* Declares n tensors and puts their bytes, with progress. */
int gguf_put_tensors(struct pm_gguf_writer *w, const struct pm_view *const *v, size_t n, bool quiet, struct pm_err *e);

#endif
