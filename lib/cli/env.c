/* env: where things are. This and tool.c are what reads the environment. */
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "cli/tool.h"

/* The directory above build/bin where this program lies, if it is a checkout's; NULL otherwise. */
static char *checkout(struct pm_err *e)
{
	char exe[4096];
	struct pm_str s = {0};
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	int up;

	if (n <= 0)
		return NULL;
	exe[n] = 0;
	for (up = 0; up < 3; up++) {
		char *slash = strrchr(exe, '/');

		if (!slash)
			return NULL;
		*slash = 0;
	}
	if (pm_str_printf(&s, e, "%s/kernels/common.cl", exe) < 0 || !pm_exists(s.data)) {
		pm_str_free(&s);
		return NULL;
	}
	pm_str_free(&s);
	return pm_strdup(exe, e);
}

static char *cache_dir(struct pm_err *e)
{
	const char *own = getenv("PM_CACHE"), *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");

	if (own)
		return *own ? pm_strdup(own, e) : NULL;
	if (xdg && *xdg)
		return pm_path(xdg, "pm", e);
	return home && *home ? pm_path(home, ".cache/pm", e) : NULL;
}

const char *pm_env_word(const char *name)
{
	const char *s = getenv(name);

	return s && *s ? s : NULL;
}

char *pm_env_path(const char *name, struct pm_err *e)
{
	const char *s = pm_env_word(name), *home = pm_env_word("HOME");

	if (!s)
		return NULL;
	return s[0] == '~' && s[1] == '/' && home ? pm_path(home, s + 2, e) : pm_strdup(s, e);
}

bool pm_env_is_true(const char *name)
{
	const char *s = pm_env_word(name);

	return s && (!strcmp(s, "1") || !strcasecmp(s, "on") || !strcasecmp(s, "yes") || !strcasecmp(s, "true"));
}

char *pm_env_hf_home(struct pm_err *e)
{
	const char *xdg = pm_env_word("XDG_CACHE_HOME"), *home = pm_env_word("HOME");
	char *own = pm_env_path("HF_HOME", e);

	if (own)
		return own;
	return xdg ? pm_path(xdg, "huggingface", e) : home ? pm_path(home, ".cache/huggingface", e) : NULL;
}

static char *hub_dir(struct pm_err *e)
{
	char *own = pm_env_path("HF_HUB_CACHE", e), *home, *dir;

	if (!own)
		own = pm_env_path("HUGGINGFACE_HUB_CACHE", e);
	if (own)
		return own;
	home = pm_env_hf_home(e);
	dir = home ? pm_path(home, "hub", e) : NULL;
	free(home);
	return dir;
}

static bool has_word(const char *list, const char *word)
{
	const size_t n = strlen(word);
	const char *p = list;

	while (p && (p = strstr(p, word)) && ((p > list && p[-1] != ',') || (p[n] && p[n] != ',')))
		p += n;
	return p != NULL;
}

void pm_env_opencl(const char *mask)
{
	setenv("POCL_WORK_GROUP_SPECIALIZATION", "0", 0);
	/* Debian's PoCL has libraries of builtins for several processors, and compiles for the one whose library it takes */
	if (has_word(mask, "avx2"))
		setenv("POCL_KERNELLIB_NAME", "sse41", 0);
	else if (has_word(mask, "avx512"))
		setenv("POCL_KERNELLIB_NAME", "avx2", 0);
}

/* As pocl_cache.c of PoCL finds it. */
static char *pocl_dir(struct pm_err *e)
{
	const char *xdg = getenv("XDG_CACHE_HOME"), *home = getenv("HOME"), *own = getenv("POCL_CACHE_DIR");

	if (own)
		return pm_strdup(own, e);
	return xdg && *xdg ? pm_path(xdg, "pocl/kcache", e) : pm_path(home && *home ? home : "/tmp", home && *home ? ".cache/pocl/kcache" : "pocl/kcache", e);
}

int pm_env_get(struct pm_env *env, struct pm_err *e)
{
	const char *share = getenv("PM_SHARE");
	char *top = NULL;

	memset(env, 0, sizeof *env);
	if (share && *share) {
		env->share = pm_strdup(share, e);
		env->kernels = pm_path(share, "kernels", e);
	} else if ((top = checkout(e))) {
		env->share = pm_path(top, "share", e);
		env->kernels = pm_path(top, "kernels", e);
	} else {
		env->share = pm_strdup(PM_SHAREDIR, e);
		env->kernels = pm_path(PM_SHAREDIR, "kernels", e);
	}
	free(top);
	env->cache = cache_dir(e);
	env->pocl = pocl_dir(e);
	env->hub = hub_dir(e);
	env->urls = env->cache ? pm_path(env->cache, "fetched", e) : NULL;
	env->endpoint = pm_env_word("HF_ENDPOINT");
	env->mask = pm_env_word("PM_MASK");
	env->target = pm_env_word("POCL_KERNELLIB_NAME");
	if (env->share && env->kernels)
		return 0;
	pm_env_free(env);
	return -1;
}

void pm_env_free(struct pm_env *env)
{
	free(env->kernels);
	free(env->share);
	free(env->cache);
	free(env->pocl);
	free(env->hub);
	free(env->urls);
	pm_arena_free(&env->names);
	memset(env, 0, sizeof *env);
}
