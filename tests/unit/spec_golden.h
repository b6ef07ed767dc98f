/* spec_golden.h: what the tests of specifications share: golden models, their tensors as text, configurations that are changed. */
#ifndef PM_TESTS_SPEC_GOLDEN_H
#define PM_TESTS_SPEC_GOLDEN_H

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "quant/published.h"
#include "spec/spec.h"
#include "tap.h"

static const char *shared;
static char tmp[] = "/tmp/pm-unit-XXXXXX";

__attribute__((unused)) static int near(double a, double b)
{
	return fabs(a - b) <= 1e-12 * fabs(b);
}

/* Opens a golden model; the store may be NULL. */
__attribute__((unused)) static struct pm_spec *open_golden(const char *where, struct pm_store **store)
{
	struct pm_err e = {0};
	struct pm_spec *s = NULL;
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", shared, where);
	if (pm_published_open(store, path, PM_F32, true, &e) < 0 || pm_spec_load(&s, path, "share", NULL, *store, &e) < 0) {
		check(0, "%s: %s", where, e.text);
		return NULL;
	}
	return s;
}

/* A role's tensor as text: file, module, gguf, use, shape. */
__attribute__((unused)) static void is(const struct pm_spec *s, const char *role, const char *wanted)
{
	const struct pm_tensor_spec *t = pm_spec_find(s, role);
	char text[1000];
	int i, n;

	if (!t) {
		check(!strcmp(wanted, "none"), "%s: there is none", role);
		return;
	}
	n = snprintf(text, sizeof text, "%s %s %s %s%s", t->file, t->module, t->gguf, t->use, t->transposed ? " transposed" : "");
	for (i = 0; i < t->nd; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, " %lld", (long long)t->dim[i]);
	check(!strcmp(text, wanted), "%s: %s", role, text);
}

/* A golden config with changes merged in (null removes a key): the words of the refusal, or "" when it is accepted. */
static const char *changed(const char *where, const char *changes)
{
	static struct pm_err e;
	char path[4096];
	struct pm_spec *s = NULL;
	json_t *config, *more = json_loads(changes, 0, NULL), *v;
	const char *key;

	snprintf(path, sizeof path, "%s/fixtures/%s/config.json", shared, where);
	config = json_load_file(path, 0, NULL);
	json_object_foreach(more, key, v)
		if (json_is_null(v))
			json_object_del(config, key);
		else
			json_object_set(config, key, v);
	snprintf(path, sizeof path, "%s/config.json", tmp);
	json_dump_file(config, path, 0);
	json_decref(config);
	json_decref(more);
	memset(&e, 0, sizeof e);
	if (pm_spec_load(&s, tmp, "share", NULL, NULL, &e) == 0) {
		pm_spec_free(s);
		return "";
	}
	return e.status == PM_DATA && !strncmp(e.text, path, strlen(path)) ? e.text : "(another status or subject)";
}

__attribute__((unused)) static void refuses(const char *where, const char *changes, const char *words)
{
	const char *text = changed(where, changes);

	check(*text && strstr(text, words), "%s: %s", changes, *text ? text : "accepted");
}

__attribute__((unused)) static void accepts(const char *where, const char *changes)
{
	const char *text = changed(where, changes);

	check(!*text, "%s %s is accepted %s", where, changes, text);
}

#endif
