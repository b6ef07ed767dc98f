/* programs.c: jq programs, run, and kept by who runs them again. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/jq.h"
#include "spec/load.h"

struct program {
	struct program *next;
	char *path, *library;
	struct pm_jq *jq;
};

struct pm_spec_programs {
	struct program *first;
	const char *cache;              /* a directory for what they made, borrowed, instead of the programs; NULL: none */
};

int pm_spec_programs_new(struct pm_spec_programs **out, struct pm_err *e)
{
	*out = pm_alloc(1, sizeof **out, e);
	return *out ? 0 : -1;
}

static void program_free(struct program *p)
{
	if (!p)
		return;
	pm_jq_free(p->jq);
	free(p->path);
	free(p->library);
	free(p);
}

void pm_spec_programs_free(struct pm_spec_programs *l)
{
	struct program *p;

	while (l && (p = l->first)) {
		l->first = p->next;
		program_free(p);
	}
	free(l);
}

static struct program *compile(const char *path, const char *name, const char *library, struct pm_err *e)
{
	struct program *p = pm_alloc(1, sizeof *p, e);
	struct pm_str text = {0};

	if (p && (p->path = pm_strdup(path, e)) && (p->library = pm_strdup(library, e)) && pm_read_file(&text, path, e) == 0 &&
		pm_jq_new_in(&p->jq, text.data ? text.data : "", name, library, NULL, e) == 0) {
		pm_str_free(&text);
		return p;
	}
	pm_str_free(&text);
	program_free(p);
	return NULL;
}

static int the_one(json_t **out, const json_t *all, const char *name, struct pm_err *e)
{
	if (json_array_size(all) != 1)
		return pm_fail(e, PM_DATA, "%s: one object was wanted, %zu values were given", name, json_array_size(all));
	*out = json_incref(json_array_get(all, 0));
	return 0;
}

int pm_spec_load_kept(struct pm_spec **out, const char *dir, const char *share, const char *family, const struct pm_store *store,
	const char *cache, struct pm_err *e)
{
	struct pm_spec_programs answers = {.cache = cache};

	return pm_spec_load_by(out, cache ? &answers : NULL, dir, share, family, store, e);
}

int spec_run_jq(json_t **out, struct pm_spec_programs *kept, const char *path, const char *name, const char *library, const json_t *in, struct pm_err *e)
{
	struct program *p = kept ? kept->first : NULL;
	json_t *all = NULL;
	int r;

	if (kept && kept->cache) {
		r = pm_jq_once(&all, path, name, library, in, kept->cache, e);
		r = r < 0 ? -1 : the_one(out, all, name, e);
		json_decref(all);
		return r;
	}
	while (p && (strcmp(p->path, path) || strcmp(p->library, library)))
		p = p->next;
	if (!p) {
		p = compile(path, name, library, e);
		if (!p)
			return -1;
		if (kept) {
			p->next = kept->first;
			kept->first = p;
		}
	}
	r = pm_jq_run(p->jq, in, &all, e);
	r = r < 0 ? -1 : the_one(out, all, name, e);
	json_decref(all);
	if (!kept)
		program_free(p);
	return r;
}
