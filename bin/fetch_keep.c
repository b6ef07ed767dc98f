/* fetch_keep: pm-fetch's modes that look after what was fetched. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "bin/fetch.h"

/* The name of a repository as it would be typed. */
static int print_id(enum pm_hub_type type, const char *id)
{
	return type == PM_HUB_MODEL ? printf("%s", id) : printf("hf://%s/%s", pm_hub_type_word(type), id);
}

int fetch_print(json_t *o, struct pm_err *e)
{
	int r = o ? pm_print_json(o, e) : pm_fail(e, PM_DATA, "a name that is not UTF-8 cannot be written as JSON");

	json_decref(o);
	return r;
}

static int list_one(void *arg, const struct pm_hub_kept_commit *c, struct pm_err *e)
{
	const struct fetch_args *a = arg;
	char size[32];

	if (a->json)
		return fetch_print(json_pack("{s:s#, s:s, s:s, s:s, s:I, s:I, s:s}", "type", pm_hub_type_word(c->type), strlen(pm_hub_type_word(c->type)) - 1,
		    "id", c->id, "commit", c->commit, "revisions", c->revisions, "files", (json_int_t)c->files, "bytes", (json_int_t)c->bytes, "path", c->path), e);
	print_id(c->type, c->id);
	printf("\t%s\t%llu files\t%s\t%s\n", *c->revisions ? c->revisions : c->commit, (unsigned long long)c->files, fetch_bytes(size, (double)c->bytes), c->path);
	return 0;
}

int fetch_list(const struct fetch_args *a, const char *hub, struct pm_err *e)
{
	return pm_hub_list_cache(hub, list_one, (void *)(size_t)a, e);
}

struct check {
	const struct fetch_args *a;
	const char *dir;
	size_t same, wrong, unchecked;
};

static int check_one(void *arg, const char *path, enum pm_hub_check what, const char *wanted, const char *found, struct pm_err *e)
{
	static const char *const words[] = {"same", "differs", "gone", "unchecked"};
	struct check *c = arg;

	c->same += what == PM_HUB_SAME;
	c->unchecked += what == PM_HUB_UNCHECKED;
	c->wrong += what == PM_HUB_DIFFERS || what == PM_HUB_GONE;
	if (c->a->json)
		return fetch_print(json_pack("{s:s, s:s, s:s, s:s, s:s}", "path", path, "is", words[what], "wanted", wanted, "found", found, "directory", c->dir), e);
	if (what == PM_HUB_DIFFERS)
		printf("%s/%s: has the hash %s, %s was wanted\n", c->dir, path, found, wanted);
	else if (what == PM_HUB_GONE)
		printf("%s/%s: is not there\n", c->dir, path);
	return 0;
}

/* Where a directory or a name in the cache is. */
static char *place_of(const char *name, const struct pm_env *env, const char *hub, struct pm_err *e)
{
	const struct pm_hub_places at = {.hub = hub, .urls = env->urls, .endpoint = env->endpoint};
	struct pm_hub_name n = {0};
	char *path = NULL, *repo, commit[41];
	int r;

	if (pm_exists(name) || !pm_hub_name_looks(name))
		return pm_hub_find(&path, name, &at, e) == 0 ? path : NULL;
	if (pm_hub_name_parse(&n, name, e) < 0)
		return NULL;
	repo = pm_hub_repo(hub, &n, e);         /* the whole snapshot, also of an incomplete one */
	r = repo ? pm_hub_ref(commit, repo, n.revision, e) : -1;
	if (r > 0)
		pm_fail(e, PM_NOINPUT, "%s: is no path, and not in the cache", name);
	path = r == 0 ? pm_hub_in(repo, "snapshots", commit, e) : NULL;
	free(repo);
	pm_hub_name_free(&n);
	return path;
}

static int verify_one(struct check *c, const char *dir, const struct pm_hub_pin *pin, struct pm_err *e)
{
	c->dir = dir;
	return pm_hub_verify(dir, pin, check_one, c, e);
}

static int verify_cached(void *arg, const struct pm_hub_kept_commit *k, struct pm_err *e)
{
	return verify_one(arg, k->path, NULL, e);
}

int fetch_verify(const struct fetch_args *a, const struct pm_env *env, const char *hub, int n, char **names, struct pm_err *e)
{
	struct check c = {.a = a};
	struct pm_hub_pins pins = {0};
	int i, r = a->lock ? pm_hub_pins_read(&pins, a->lock, e) : 0;

	if (r == 0 && a->lock && (n != 1 || pins.n != 1 || pins.v[0].url))
		r = pm_fail(e, PM_USAGE, "--verify with --lock: one directory, and a lock file of one repository, were wanted");
	if (r == 0 && n == 0)
		r = pm_hub_list_cache(hub, verify_cached, &c, e);
	for (i = 0; r == 0 && i < n; i++) {
		char *dir = place_of(names[i], env, hub, e);

		r = !dir ? -1 : !pm_is_dir(dir) ? pm_fail(e, PM_NOINPUT, "%s: a directory was wanted", dir) : verify_one(&c, dir, a->lock ? &pins.v[0] : NULL, e);
		free(dir);
	}
	if (r == 0 && !a->quiet)
		fprintf(stderr, "pm-fetch: %zu files are what they were, %zu are not%s\n", c.same, c.wrong, c.unchecked ? "; of others no hash is known" : "");
	pm_hub_pins_free(&pins);
	return r < 0 ? -1 : c.wrong ? PM_NEGATIVE : 0;
}

struct gone {
	const struct fetch_args *a;
	uint64_t bytes;
};

static int tell(void *arg, const char *path, uint64_t bytes, struct pm_err *e)
{
	struct gone *g = arg;

	g->bytes += bytes;
	if (g->a->json)
		return fetch_print(json_pack("{s:s, s:I, s:b}", "path", path, "bytes", (json_int_t)bytes, "removed", !g->a->dry_run), e);
	printf("%s\n", path);
	return 0;
}

static void sum(const struct gone *g)
{
	char size[32];

	if (!g->a->quiet)
		fprintf(stderr, "pm-fetch: %s %s\n", fetch_bytes(size, (double)g->bytes), g->a->dry_run ? "would be freed" : "freed");
}

int fetch_prune(const struct fetch_args *a, const struct pm_env *env, const char *hub, struct pm_err *e)
{
	const struct pm_hub_places at = {.hub = hub, .urls = env->urls};
	struct gone g = {.a = a};
	int r = pm_hub_prune(&at, a->dry_run, tell, &g, e);

	if (r == 0)
		sum(&g);
	return r;
}

int fetch_remove(const struct fetch_args *a, const char *hub, int n, char **names, struct pm_err *e)
{
	struct gone g = {.a = a};
	int i, r = n ? 0 : pm_fail(e, PM_USAGE, "the name of what is to be removed was wanted");

	for (i = 0; r == 0 && i < n; i++) {
		struct pm_hub_name name;

		r = pm_hub_name_parse(&name, names[i], e);
		if (r < 0)
			break;
		if (a->type && !name.typed)
			name.type = (enum pm_hub_type)pm_hub_type_by_word(a->type);
		r = name.path || name.quant ? pm_fail(e, PM_USAGE, "%s: a repository or a revision of it was wanted", names[i]) :
		    pm_hub_remove(hub, &name, !strchr(names[i], '@'), a->dry_run, tell, &g, e);
		pm_hub_name_free(&name);
	}
	if (r == 0)
		sum(&g);
	return r;
}
