/* gguf.h: the verbs of pm-gguf: bin/gguf_VERB.c each, with its own options and page (man/pm-gguf-VERB.1). */
#ifndef PM_BIN_GGUF_H
#define PM_BIN_GGUF_H

#include "bin/names.h"
#include "cli/verb.h"

extern const struct pm_verb gguf_dump;

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

#endif
