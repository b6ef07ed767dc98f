/* vocab.h: how tools open a tokenizer: with the cache of compiled vocabularies in the directory of all caches. */
#ifndef PM_BIN_VOCAB_H
#define PM_BIN_VOCAB_H

#include "cli/tool.h"
#include "text/tokenizer.h"

static inline int open_vocabulary(struct pm_tokenizer **out, const char *path, struct pm_err *e)
{
	struct pm_env env;
	int r;

	*out = NULL;
	if (pm_env_get(&env, e) < 0)
		return -1;
	r = pm_tokenizer_open_cached(out, path, env.cache, e);
	pm_env_free(&env);
	return r;
}

#endif
