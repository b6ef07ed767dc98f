/* local: files in a directory of their own. DIR/.cache/huggingface/download/PATH.metadata has three lines: the commit, the hash,
 * and the time at which they were true; a file that was changed later is looked at anew. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "hub/fetch.h"

static char *beside(const char *dir, const char *path, const char *what, struct pm_err *e)
{
	struct pm_str s = {0};

	if (pm_str_printf(&s, e, "%s/.cache/huggingface/download/%s%s", dir, path, what) < 0)
		pm_str_free(&s);
	return s.data;
}

static int make_dir_of(const char *path, struct pm_err *e)
{
	char *dir = pm_strndup(path, (size_t)(strrchr(path, '/') - path), e);
	int r = dir ? pm_mkdirs(dir, e) : -1;

	free(dir);
	return r;
}

/* Line `which` (from 0) of a note; empty where there is none. */
static void line_of(char *out, size_t size, const char *text, int which)
{
	size_t n;

	for (; text && which > 0; which--)
		text = strchr(text, '\n') ? strchr(text, '\n') + 1 : NULL;
	n = text ? strcspn(text, "\r\n") : 0;
	snprintf(out, size, "%.*s", n < size ? (int)n : 0, text ? text : "");
}

static int note(char hash[65], double *at, const char *dir, const char *path)
{
	struct pm_err e;
	struct pm_str s = {0};
	char *name = beside(dir, path, ".metadata", &e), when[64];
	int r = 1;

	if (name && pm_read_file(&s, name, &e) == 0 && s.data) {
		line_of(hash, 65, s.data, 1);
		line_of(when, sizeof when, s.data, 2);
		*at = strtod(when, NULL);
		r = pm_hub_is_hex(hash, 40) || pm_hub_is_hex(hash, 64) ? 0 : 1;
	}
	pm_str_free(&s);
	free(name);
	return r;
}

int pm_hub_local_hash(char hash[65], const char *dir, const char *path)
{
	double at;

	return note(hash, &at, dir, path);
}

bool pm_hub_local_has(const char *dir, const struct pm_hub_file *f)
{
	struct pm_err e;
	char *path = pm_path(dir, f->path, &e), hash[65];
	struct stat st;
	double at = 0;
	bool has = false;

	if (path && stat(path, &st) == 0 && S_ISREG(st.st_mode) && (f->size == PM_HUB_SIZE_UNKNOWN || (uint64_t)st.st_size == f->size)) {
		has = note(hash, &at, dir, f->path) == 0 && !strcmp(hash, f->hash) && (double)st.st_mtime - 1 <= at;
		if (!has && f->hash[0])
			has = pm_hub_hash_file(hash, path, f->hash, &e) == 0 && !strcmp(hash, f->hash);
	}
	free(path);
	return has;
}

static int small(const char *path, const char *text, struct pm_err *e)
{
	struct pm_out o = {0};
	int r = pm_out_open(&o, path, e);

	if (r == 0)
		r = pm_out_write(&o, text, strlen(text), e) == 0 ? pm_out_close(&o, e) : -1;
	pm_out_abort(&o);
	return r;
}

int pm_hub_local_note(const char *dir, const char *commit, const struct pm_hub_file *f, struct pm_err *e)
{
	char *name = beside(dir, f->path, ".metadata", e), text[200];
	int r = name ? make_dir_of(name, e) : -1;
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(text, sizeof text, "%s\n%s\n%lld.%06ld\n", commit, f->hash, (long long)now.tv_sec, now.tv_nsec / 1000);
	if (r == 0)
		r = small(name, text, e);
	free(name);
	return r;
}

int pm_hub_local_names(char **final, char **part, char **lock, const char *dir, const struct pm_hub_file *f, struct pm_err *e)
{
	char what[90], *ignore = NULL;
	struct pm_str top = {0};
	int r;

	if (!strncmp(f->path, ".git/", 5) || !strncmp(f->path, ".cache/huggingface/", 19)) {
		*final = *part = *lock = NULL;
		return pm_fail(e, PM_DATA, "the repository has a file '%.300s': such a one goes into the cache only", f->path);
	}
	snprintf(what, sizeof what, ".%s.incomplete", f->hash);
	*final = pm_path(dir, f->path, e);
	*part = beside(dir, f->path, what, e);
	*lock = beside(dir, f->path, ".lock", e);
	r = *final && *part && *lock && make_dir_of(*final, e) == 0 && make_dir_of(*part, e) == 0 ? 0 : -1;
	if (r == 0)
		r = pm_str_printf(&top, e, "%s/.cache/huggingface", dir);
	if (r == 0)
		r = pm_hub_begin(top.data, e);
	ignore = r == 0 ? pm_path(top.data, ".gitignore", e) : NULL;
	if (r == 0)
		r = !ignore ? -1 : pm_exists(ignore) ? 0 : small(ignore, "*\n", e);
	pm_str_free(&top);
	free(ignore);
	return r;
}
