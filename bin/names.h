/* names.h: what stands for a model, an adapter or a file in every tool: a path, or a name that pm-fetch takes, looked up in the cache. */
#ifndef PM_BIN_NAMES_H
#define PM_BIN_NAMES_H

#include <stdlib.h>

#include "cli/opt.h"
#include "cli/tool.h"
#include "hub/cache.h"

/* Puts the path in the place of the name (NULL stays); it lives as long as the environment. Status 66 where it is not in the cache. */
static inline int local_name(const char **name, struct pm_env *env, struct pm_err *e)
{
	const struct pm_hub_places at = {.hub = env->hub, .urls = env->urls, .endpoint = env->endpoint};
	char *path = NULL;
	int r;

	if (!*name)
		return 0;
	r = pm_hub_find(&path, *name, &at, e);
	if (r == 0)
		*name = pm_arena_printf(&env->names, e, "%s", path);
	free(path);
	return r == 0 && *name ? 0 : -1;
}

#endif
