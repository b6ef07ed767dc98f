#include "hub/cache.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "hub/url.h"

#define LARGEST_TREE ((size_t)2 << 30)

static const char tag[] = "Signature: 8a477f597d28d172789f06886806bc55\n"
	"# This directory is a cache: what is in it can be fetched again (pm-fetch, and others of the same layout).\n"
	"# About such files: https://bford.info/cachedir/\n";

char *pm_hub_repo(const char *hub, const struct pm_hub_name *n, struct pm_err *e)
{
	const char *slash = strchr(n->id, '/');
	struct pm_str s = {0};

	if (pm_str_printf(&s, e, "%s/%s--%.*s%s%s", hub, pm_hub_type_word(n->type), (int)(slash ? slash - n->id : (ptrdiff_t)strlen(n->id)), n->id,
	    slash ? "--" : "", slash ? slash + 1 : "") < 0)
		pm_str_free(&s);
	return s.data;
}

char *pm_hub_in(const char *repo, const char *kind, const char *name, struct pm_err *e)
{
	struct pm_str s = {0};

	if (pm_str_printf(&s, e, "%s/%s/%s", repo, kind, name) < 0)
		pm_str_free(&s);
	return s.data;
}

/* The one snapshot whose name begins with some digits: 0, or 1. */
static int by_prefix(char commit[41], const char *repo, const char *digits, struct pm_err *e)
{
	char *dir = pm_path(repo, "snapshots", e);
	DIR *d = dir ? opendir(dir) : NULL;
	struct dirent *f;
	int n = 0;

	free(dir);
	if (!dir)
		return -1;
	while (d && (f = readdir(d)))
		if (pm_hub_is_hex(f->d_name, 40) && !strncmp(f->d_name, digits, strlen(digits))) {
			memcpy(commit, f->d_name, 41);
			n++;
		}
	if (d)
		closedir(d);
	return n == 1 ? 0 : 1;
}

int pm_hub_ref(char commit[41], const char *repo, const char *revision, struct pm_err *e)
{
	struct pm_str s = {0};
	size_t n = strlen(revision);
	char *path;
	int r = 1;

	if (pm_hub_is_hex(revision, 40)) {
		memcpy(commit, revision, 41);
		return 0;
	}
	path = pm_hub_in(repo, "refs", revision, e);
	if (!path)
		return -1;
	if (pm_exists(path) && !pm_is_dir(path)) {
		r = pm_read_file(&s, path, e);
		while (r == 0 && s.len && strchr("\r\n ", s.data[s.len - 1]))
			s.data[--s.len] = 0;
		if (r == 0 && (!s.data || !pm_hub_is_hex(s.data, 40)))
			r = pm_fail(e, PM_DATA, "%s: a commit of 40 digits was wanted", path);
		if (r == 0)
			memcpy(commit, s.data, 41);
	} else if (n >= 7 && n < 40 && pm_hub_is_hex(revision, n)) {
		r = by_prefix(commit, repo, revision, e);
	}
	pm_str_free(&s);
	free(path);
	return r;
}

/* A small file, written beside its name and renamed, in directories made for it. */
static int write_file(const char *path, const char *text, size_t n, struct pm_err *e)
{
	char *dir = pm_strndup(path, (size_t)(strrchr(path, '/') - path), e);
	struct pm_out o = {0};
	int r = dir ? pm_mkdirs(dir, e) : -1;

	if (r == 0)
		r = pm_out_open(&o, path, e);
	if (r == 0)
		r = pm_out_write(&o, text, n, e);
	if (r == 0)
		r = pm_out_close(&o, e);
	pm_out_abort(&o);
	free(dir);
	return r;
}

int pm_hub_ref_write(const char *repo, const char *revision, const char *commit, struct pm_err *e)
{
	char now[41] = "", *path;
	struct pm_err none;
	int r;

	if (!strcmp(revision, commit) || (pm_hub_ref(now, repo, revision, &none) == 0 && !strcmp(now, commit)))
		return 0;
	path = pm_hub_in(repo, "refs", revision, e);
	r = path ? write_file(path, commit, 40, e) : -1;
	free(path);
	return r;
}

static char *tree_path(const char *repo, const char *commit, struct pm_err *e)
{
	struct pm_str s = {0};

	if (pm_str_printf(&s, e, "%s/trees/%s.json", repo, commit) < 0)
		pm_str_free(&s);
	return s.data;
}

int pm_hub_tree(struct pm_hub_list *l, const char *repo, const char *commit, struct pm_err *e)
{
	char *path = tree_path(repo, commit, e);
	struct pm_map m = {0};
	struct pm_err bad;
	int r = path ? 1 : -1;

	/* One that cannot be read is as good as none: it is fetched again. */
	if (path && pm_map_open(&m, path, &bad) == 0 && m.size && m.size <= LARGEST_TREE)
		r = pm_hub_list_read(l, (const char *)m.data, m.size, path, &bad);
	pm_map_close(&m);
	free(path);
	if (r == 0)
		return 0;
	pm_hub_list_free(l);
	return path ? 1 : -1;
}

int pm_hub_tree_write(const char *repo, const char *commit, const struct pm_hub_list *l, struct pm_err *e)
{
	char *path = tree_path(repo, commit, e);
	struct pm_str s = {0};
	int r = path ? pm_hub_list_write(&s, l, e) : -1;

	if (r == 0)
		r = write_file(path, s.data, s.len, e);
	pm_str_free(&s);
	free(path);
	return r;
}

int pm_hub_begin(const char *hub, struct pm_err *e)
{
	char *path = pm_path(hub, "CACHEDIR.TAG", e);
	int r = path ? pm_mkdirs(hub, e) : -1;

	if (r == 0 && !pm_exists(path))
		r = write_file(path, tag, sizeof tag - 1, e);
	free(path);
	return r;
}

bool pm_hub_has(const char *repo, const char *commit, const struct pm_hub_file *f)
{
	char target[4096];
	const char *base;
	struct pm_str s = {0};
	struct pm_err e;
	struct stat st;
	ssize_t n;
	bool has = false;

	if (pm_str_printf(&s, &e, "%s/snapshots/%s/%s", repo, commit, f->path) == 0 && stat(s.data, &st) == 0 && S_ISREG(st.st_mode)) {
		has = f->size == PM_HUB_SIZE_UNKNOWN || (uint64_t)st.st_size == f->size;
		n = readlink(s.data, target, sizeof target - 1);
		if (n > 0 && f->hash[0]) {
			target[n] = 0;
			base = strrchr(target, '/');
			has = has && !strcmp(base ? base + 1 : target, f->hash);
		}
	}
	pm_str_free(&s);
	return has;
}

int pm_hub_link(const char *repo, const char *commit, const struct pm_hub_file *f, struct pm_err *e)
{
	struct pm_str to = {0}, from = {0}, temp = {0};
	const char *p;
	int r = pm_str_puts(&to, "../../", e);

	for (p = f->path; r == 0 && (p = strchr(p, '/')); p++)
		r = pm_str_puts(&to, "../", e);
	if (r == 0 && pm_str_printf(&to, e, "blobs/%s", f->hash) == 0 && pm_str_printf(&from, e, "%s/snapshots/%s/%s", repo, commit, f->path) == 0 &&
	    pm_str_printf(&temp, e, "%s/blobs/%s.%ld.tmp", repo, f->hash, (long)getpid()) == 0) {
		char *dir = pm_strndup(from.data, (size_t)(strrchr(from.data, '/') - from.data), e);

		r = dir ? pm_mkdirs(dir, e) : -1;
		free(dir);
		unlink(temp.data);
		if (r == 0 && (symlink(to.data, temp.data) < 0 || rename(temp.data, from.data) < 0)) {
			r = pm_fail_errno(e, PM_NOCREATE, "%s: cannot link", from.data);
			unlink(temp.data);
		}
	} else {
		r = -1;
	}
	pm_str_free(&to);
	pm_str_free(&from);
	pm_str_free(&temp);
	return r;
}

static int scan(struct pm_hub_list *l, const char *dir, const char *below, int depth, struct pm_err *e)
{
	DIR *d = opendir(dir);
	struct dirent *f;
	struct stat st;
	int r = 0;

	if (!d)
		return pm_fail_errno(e, PM_NOINPUT, "%s", dir);
	while (r == 0 && (f = readdir(d))) {
		struct pm_str name = {0};
		char *path, target[4096];
		ssize_t n;

		if (!strcmp(f->d_name, ".") || !strcmp(f->d_name, "..") || (!*below && f->d_name[0] == '.' && strcmp(f->d_name, ".gitattributes")))
			continue;
		path = pm_path(dir, f->d_name, e);
		r = path ? pm_str_printf(&name, e, "%s%s%s", below, *below ? "/" : "", f->d_name) : -1;
		if (r == 0 && stat(path, &st) == 0 && S_ISDIR(st.st_mode)) {
			r = depth < 64 ? scan(l, path, name.data, depth + 1, e) : pm_fail(e, PM_DATA, "%s: more than 64 directories deep", path);
		} else if (r == 0) {
			const char *base, *hash = NULL;

			/* A link to a blob that is gone counts as a file of no bytes, so that whoever compares finds it. */
			if (stat(path, &st) < 0)
				st.st_size = 0;
			n = readlink(path, target, sizeof target - 1);
			if (n > 0) {
				target[n] = 0;
				base = strrchr(target, '/');
				base = base ? base + 1 : target;
				hash = pm_hub_is_hex(base, 64) || pm_hub_is_hex(base, 40) ? base : NULL;
			}
			r = pm_hub_list_add(l, name.data, (uint64_t)st.st_size, hash, e);
		}
		pm_str_free(&name);
		free(path);
	}
	closedir(d);
	return r;
}

int pm_hub_scan(struct pm_hub_list *l, const char *dir, struct pm_err *e)
{
	return scan(l, dir, "", 0, e) < 0 ? -1 : pm_hub_list_close(l, e);
}

/* Of the weights that the hub's list has for a model, as many as the tools would read must be there if any is. */
static int whole(const char *repo, const char *commit, const char *text, struct pm_err *e)
{
	struct pm_hub_list l = {0};
	const char *missing = NULL;
	size_t i, here = 0;
	int r = pm_hub_tree(&l, repo, commit, e);

	if (r > 0)
		return 0;
	for (i = 0; r == 0 && i < l.n; i++)
		if (pm_hub_is_read(l.v[i].path) && pm_hub_is_weights(l.v[i].path)) {
			if (pm_hub_has(repo, commit, &l.v[i]))
				here++;
			else
				missing = l.v[i].path;
		}
	if (r == 0 && here && missing)
		r = pm_fail(e, PM_NOINPUT, "%s: the cache lacks '%.300s' of it: 'pm-fetch %s' gets it", text, missing, text);
	pm_hub_list_free(&l);
	return r;
}

/* The file of a snapshot that a name means: its path, its quantisation, or the GGUF of a repository that has no config.json. */
static int file_of(char **out, const char *dir, const struct pm_hub_name *n, const char *text, struct pm_err *e)
{
	struct pm_hub_list l = {0};
	bool *keep = NULL;
	char *config = NULL;
	size_t first = 0;
	int r = 0;

	*out = n->path ? pm_path(dir, n->path, e) : pm_strdup(dir, e);
	if (!*out)
		return -1;
	if (n->path && !pm_exists(*out))
		r = pm_fail(e, PM_NOINPUT, "%s: the cache lacks '%s' of it: 'pm-fetch %s' gets it", text, n->path, text);
	if (n->path || n->type != PM_HUB_MODEL)
		goto end;
	config = pm_path(dir, "config.json", e);
	r = !config ? -1 : pm_exists(config) && !n->quant ? 0 : pm_hub_scan(&l, dir, e);
	if (r < 0 || (pm_exists(config) && !n->quant))
		goto end;
	keep = pm_alloc(l.n, sizeof *keep, e);
	r = keep ? pm_hub_pick_gguf(keep, &first, &l, n->quant, e) : -1;
	if (r == 0) {
		free(*out);
		*out = pm_path(dir, l.v[first].path, e);
		r = *out ? 0 : -1;
	} else if (r > 0) {
		r = n->quant ? pm_fail(e, PM_NOINPUT, "%s: the cache has no GGUF file of %s: 'pm-fetch %s' gets it", text, n->quant, text) : 0;
	}
end:
	if (r < 0) {
		free(*out);
		*out = NULL;
	}
	free(keep);
	free(config);
	pm_hub_list_free(&l);
	return r;
}

static int find_name(char **out, const char *text, const struct pm_hub_name *n, const char *hub, struct pm_err *e)
{
	char *repo = pm_hub_repo(hub, n, e), *dir = NULL, commit[41];
	int r = repo ? pm_hub_ref(commit, repo, n->revision, e) : -1;

	if (r == 0) {
		dir = pm_hub_in(repo, "snapshots", commit, e);
		r = !dir ? -1 : !pm_is_dir(dir);
	}
	if (r > 0)
		r = pm_fail(e, PM_NOINPUT, "%s: is no path, and not in the cache: 'pm-fetch %s' gets it", text, text);
	if (r == 0)
		r = file_of(out, dir, n, text, e);
	if (r == 0 && n->type == PM_HUB_MODEL && !n->path && !n->quant && whole(repo, commit, text, e) < 0) {
		free(*out);
		*out = NULL;
		r = -1;
	}
	free(dir);
	free(repo);
	return r;
}

/* A name without ORG could be any path: it is a name where the cache knows it. */
static bool is_cached(const char *text, const struct pm_hub_places *at)
{
	struct pm_hub_name n;
	struct pm_err e;
	char *repo = NULL;
	bool is = false;

	if (at->hub && !strchr(text, '/') && pm_hub_name_parse(&n, text, &e) == 0) {
		repo = pm_hub_repo(at->hub, &n, &e);
		is = repo && pm_is_dir(repo);
		pm_hub_name_free(&n);
	}
	free(repo);
	return is;
}

int pm_hub_find(char **out, const char *text, const struct pm_hub_places *at, struct pm_err *e)
{
	bool url = !strncmp(text, "https://", 8) || !strncmp(text, "http://", 7);
	struct pm_hub_name n;
	int r;

	*out = NULL;
	if (pm_exists(text) || (!url && !pm_hub_name_looks(text) && !is_cached(text, at))) {
		*out = pm_strdup(text, e);
		return *out ? 0 : -1;
	}
	r = url ? pm_hub_name_url(&n, text, at->endpoint, e) : pm_hub_name_parse(&n, text, e);
	if (r == 0 && !at->hub) {
		pm_hub_name_free(&n);
		r = pm_fail(e, PM_NOINPUT, "%s: is no path, and there is no cache to look in (HF_HUB_CACHE)", text);
	} else if (r == 0) {
		r = find_name(out, text, &n, at->hub, e);
		pm_hub_name_free(&n);
	} else if (r > 0) {
		r = pm_hub_url_find(out, text, at->urls, e);
	}
	return r;
}
