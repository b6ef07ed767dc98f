#include "hub/keep.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "hub/fetch.h"
#include "hub/url.h"

typedef int tell(void *arg, const char *path, uint64_t bytes, struct pm_err *e);

/* The names in a directory, sorted, without those that begin with a dot; a directory that is not there has none. */
struct names {
	char **v;
	size_t n, cap;
};

static void names_free(struct names *l)
{
	size_t i;

	for (i = 0; i < l->n; i++)
		free(l->v[i]);
	free(l->v);
	memset(l, 0, sizeof *l);
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int names_of(struct names *l, const char *dir, struct pm_err *e)
{
	DIR *d = opendir(dir);
	struct dirent *f;
	int r = 0;

	while (d && r == 0 && (f = readdir(d))) {
		if (f->d_name[0] == '.')
			continue;
		r = pm_grow(&l->v, &l->cap, l->n + 1, sizeof *l->v, e);
		if (r == 0)
			r = (l->v[l->n] = pm_strdup(f->d_name, e)) ? 0 : -1;
		l->n += r == 0;
	}
	if (d)
		closedir(d);
	if (l->n)
		qsort(l->v, l->n, sizeof *l->v, by_text);
	return r;
}

/* "models--ORG--NAME" as a name; false where a directory is not called so. */
static bool repo_name(struct pm_hub_name *n, const char *dir)
{
	const char *p = strstr(dir, "--");
	char word[20], id[256], *q;
	struct pm_err e;
	int t;

	if (!p || (size_t)(p - dir) >= sizeof word || strlen(p + 2) >= sizeof id)
		return false;
	snprintf(word, sizeof word, "%.*s", (int)(p - dir), dir);
	t = pm_hub_type_by_word(word);
	snprintf(id, sizeof id, "%s", p + 2);
	q = strstr(id, "--");
	if (q) {
		*q = '/';
		memmove(q + 1, q + 2, strlen(q + 2) + 1);
	}
	if (t < 0 || strpbrk(id, "@:") || pm_hub_name_parse(n, id, &e) < 0)
		return false;
	n->type = (enum pm_hub_type)t;
	return true;
}

/* "NAME.PID.tmp" (or "….tmp.old"): what a writer that was killed has left (base/file.h). One whose process lives is still being written. */
static bool is_temp(const char *name, bool *alive)
{
	size_t n = strlen(name), at;

	if (n > 4 && !strcmp(name + n - 4, ".old"))
		n -= 4;
	if (n < 6 || strncmp(name + n - 4, ".tmp", 4))
		return false;
	for (at = n - 4; at > 0 && strchr("0123456789", name[at - 1]); at--)
		;
	if (at == 0 || at == n - 4 || name[at - 1] != '.')
		return false;
	*alive = kill((pid_t)strtol(name + at, NULL, 10), 0) == 0 || errno == EPERM;
	return true;
}

/* The branches and tags that are at a commit. */
static int refs_at(struct pm_str *out, const char *dir, const char *below, const char *commit, size_t *all, struct pm_err *e)
{
	struct names l = {0};
	size_t i;
	int r = names_of(&l, dir, e);

	for (i = 0; r == 0 && i < l.n; i++) {
		struct pm_str name = {0}, text = {0};
		struct pm_err none;
		char *path = pm_path(dir, l.v[i], e);
		bool alive;

		r = path ? pm_str_printf(&name, e, "%s%s%s", below, *below ? "/" : "", l.v[i]) : -1;
		if (r == 0 && pm_is_dir(path)) {
			r = refs_at(out, path, name.data, commit, all, e);
		} else if (r == 0 && !is_temp(l.v[i], &alive) && pm_read_file(&text, path, &none) == 0 && text.len >= 40) {
			++*all;
			if (!strncmp(text.data, commit, 40))
				r = pm_str_printf(out, e, "%s%s", out->len ? " " : "", name.data);
		}
		pm_str_free(&name);
		pm_str_free(&text);
		free(path);
	}
	names_free(&l);
	return r;
}

static int revisions_of(struct pm_str *out, const char *repo, const char *commit, size_t *all, struct pm_err *e)
{
	char *refs = pm_path(repo, "refs", e);
	int r = refs ? pm_str_puts(out, "", e) : -1;

	*all = 0;
	if (r == 0)
		r = refs_at(out, refs, "", commit, all, e);
	free(refs);
	return r;
}

static int list_repo(const char *repo, const struct pm_hub_name *n, int (*each)(void *, const struct pm_hub_kept_commit *, struct pm_err *), void *arg,
	struct pm_err *e)
{
	char *dir = pm_path(repo, "snapshots", e);
	struct names l = {0};
	size_t i, k, all;
	int r = dir ? names_of(&l, dir, e) : -1;

	for (i = 0; r == 0 && i < l.n; i++) {
		struct pm_hub_kept_commit c = {.type = n->type, .id = n->id, .commit = l.v[i]};
		struct pm_str revisions = {0};
		struct pm_hub_list files = {0};
		char *path = pm_path(dir, l.v[i], e);

		r = path && pm_is_dir(path) ? pm_hub_scan(&files, path, e) : path ? 1 : -1;
		if (r == 0)
			r = revisions_of(&revisions, repo, l.v[i], &all, e);
		for (k = 0; k < files.n; k++)
			c.bytes += files.v[k].size;
		c.files = files.n;
		c.path = path;
		c.revisions = revisions.data;
		if (r == 0)
			r = each(arg, &c, e);
		r = r > 0 ? 0 : r;
		pm_hub_list_free(&files);
		pm_str_free(&revisions);
		free(path);
	}
	names_free(&l);
	free(dir);
	return r;
}

int pm_hub_list_cache(const char *hub, int (*each)(void *arg, const struct pm_hub_kept_commit *c, struct pm_err *e), void *arg, struct pm_err *e)
{
	struct names l = {0};
	size_t i;
	int r = names_of(&l, hub, e);

	for (i = 0; r == 0 && i < l.n; i++) {
		struct pm_hub_name n;
		char *repo = pm_path(hub, l.v[i], e);

		r = repo ? 0 : -1;
		if (r == 0 && repo_name(&n, l.v[i])) {
			r = list_repo(repo, &n, each, arg, e);
			pm_hub_name_free(&n);
		}
		free(repo);
	}
	names_free(&l);
	return r;
}

/* A snapshot's repository and commit, where a directory is one. */
static char *snapshot_of(const char *dir, char commit[41], struct pm_err *e)
{
	char *real = realpath(dir, NULL), *slash = real ? strrchr(real, '/') : NULL, *repo = NULL;

	if (slash && pm_hub_is_hex(slash + 1, 40) && slash - real > 10 && !strncmp(slash - 10, "/snapshots", 10)) {
		memcpy(commit, slash + 1, 41);
		slash[-10] = 0;
		repo = pm_strdup(real, e);
	}
	free(real);
	return repo;
}

static int check_file(const char *dir, const struct pm_hub_file *f, const char *wanted, size_t *known,
	int (*each)(void *, const char *, enum pm_hub_check, const char *, const char *, struct pm_err *), void *arg, struct pm_err *e)
{
	char *path = pm_path(dir, f->path, e), found[65] = "";
	int r = path ? 0 : -1;

	*known += wanted[0] != 0;
	if (r == 0 && !pm_exists(path))
		r = each(arg, f->path, PM_HUB_GONE, wanted, "", e);
	else if (r == 0 && !wanted[0])
		r = each(arg, f->path, PM_HUB_UNCHECKED, "", "", e);
	else if (r == 0 && (r = pm_hub_hash_file(found, path, wanted, e)) == 0)
		r = each(arg, f->path, strcmp(found, wanted) ? PM_HUB_DIFFERS : PM_HUB_SAME, wanted, found, e);
	free(path);
	return r;
}

int pm_hub_verify(const char *dir, const struct pm_hub_pin *pin, int (*each)(void *arg, const char *path, enum pm_hub_check what,
	const char *wanted, const char *found, struct pm_err *e), void *arg, struct pm_err *e)
{
	struct pm_hub_list files = {0}, tree = {0};
	char commit[41], *repo = snapshot_of(dir, commit, e);
	size_t i, k = 0, known = 0;
	int r = pin ? 0 : pm_hub_scan(&files, dir, e);

	if (r == 0 && repo && !pin && pm_hub_tree(&tree, repo, commit, e) < 0)
		r = -1;
	for (i = 0; r == 0 && pin && i < pin->list.n; i++)
		r = check_file(dir, &pin->list.v[i], pin->list.v[i].hash, &known, each, arg, e);
	for (i = 0; r == 0 && i < files.n; i++) {
		char wanted[65] = "";

		/* What the hub said of the file, what the link's blob is called, what was noted beside it. */
		while (k < tree.n && strcmp(tree.v[k].path, files.v[i].path) < 0)
			k++;
		if (k < tree.n && !strcmp(tree.v[k].path, files.v[i].path))
			memcpy(wanted, tree.v[k].hash, 65);
		else if (files.v[i].hash[0])
			memcpy(wanted, files.v[i].hash, 65);
		else if (pm_hub_local_hash(wanted, dir, files.v[i].path))
			wanted[0] = 0;
		r = check_file(dir, &files.v[i], wanted, &known, each, arg, e);
	}
	if (r == 0 && !known)
		r = pm_fail(e, PM_NOINPUT, "%s: no hash is known of any file in it: a fetched directory or --lock was wanted", dir);
	pm_hub_list_free(&files);
	pm_hub_list_free(&tree);
	free(repo);
	return r;
}

static uint64_t size_of(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
}

/* Removes a file or a tree, unless it is only asked what would go. */
static int drop(const char *path, uint64_t bytes, bool dry_run, tell *each, void *arg, struct pm_err *e)
{
	int r = each(arg, path, bytes, e);

	return r < 0 ? -1 : dry_run ? 0 : pm_remove_tree(path, e);
}

/* Whether some process writes the blob that a part is of. */
static bool being_written(const char *hub, const char *repo, const char *name)
{
	struct pm_str s = {0};
	struct pm_err e;
	bool busy = false;
	int fd = -1;

	if (pm_str_printf(&s, &e, "%s/.locks%s/%.*s.lock", hub, strrchr(repo, '/'), (int)strcspn(name, "."), name) == 0)
		fd = open(s.data, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		busy = flock(fd, LOCK_EX | LOCK_NB) < 0;
		close(fd);
	}
	pm_str_free(&s);
	return busy;
}

/* What killed writers have left in a directory, and so many below it. */
static int drop_temps(const char *dir, int depth, bool dry_run, tell *each, void *arg, struct pm_err *e)
{
	struct names l = {0};
	size_t i;
	int r = names_of(&l, dir, e);

	for (i = 0; r == 0 && i < l.n; i++) {
		char *path = pm_path(dir, l.v[i], e);
		bool alive;

		if (!path)
			r = -1;
		else if (is_temp(l.v[i], &alive))
			r = alive ? 0 : drop(path, size_of(path), dry_run, each, arg, e);
		else if (depth && pm_is_dir(path))
			r = drop_temps(path, depth - 1, dry_run, each, arg, e);
		free(path);
	}
	names_free(&l);
	return r;
}

static int drop_temps_in(const char *repo, const char *kind, bool dry_run, tell *each, void *arg, struct pm_err *e)
{
	char *dir = pm_path(repo, kind, e);
	int r = dir ? drop_temps(dir, 8, dry_run, each, arg, e) : -1;

	free(dir);
	return r;
}

/* Drops the links to nothing of a snapshot, and marks the blobs that others lead to. */
static int mark(bool *used, const struct names *blobs, const char *dir, bool dry_run, tell *each, void *arg, struct pm_err *e)
{
	struct names l = {0};
	size_t i;
	int r = names_of(&l, dir, e);

	for (i = 0; r == 0 && i < l.n; i++) {
		char *path = pm_path(dir, l.v[i], e), to[4096], *base, **hit;
		struct stat st;
		ssize_t n;

		r = path ? 0 : -1;
		if (r < 0 || lstat(path, &st) < 0) {
			free(path);
			continue;
		}
		if (S_ISDIR(st.st_mode)) {
			r = mark(used, blobs, path, dry_run, each, arg, e);
		} else if (S_ISLNK(st.st_mode) && (n = readlink(path, to, sizeof to - 1)) > 0) {
			to[n] = 0;
			base = strrchr(to, '/') ? strrchr(to, '/') + 1 : to;
			hit = blobs->n ? bsearch(&base, blobs->v, blobs->n, sizeof *blobs->v, by_text) : NULL;
			if (hit)
				used[hit - blobs->v] = true;
			else if (!pm_exists(path))
				r = drop(path, 0, dry_run, each, arg, e);
		}
		free(path);
	}
	names_free(&l);
	return r;
}

/* One repository: commits first, then the blobs that are left without one. `commit`: that one goes, whatever is at it. */
static int prune_repo(const char *hub, const char *repo, const char *commit, bool dry_run, tell *each, void *arg, struct pm_err *e)
{
	char *dir = pm_path(repo, "snapshots", e), *blobdir = pm_path(repo, "blobs", e);
	struct names commits = {0}, blobs = {0};
	bool *used = NULL;
	size_t i, all;
	int r = dir && blobdir ? names_of(&commits, dir, e) : -1;

	if (r == 0)
		r = names_of(&blobs, blobdir, e);
	if (r == 0)
		r = (used = pm_alloc(blobs.n, sizeof *used, e)) ? 0 : -1;
	for (i = 0; r == 0 && i < commits.n; i++) {
		char *path = pm_path(dir, commits.v[i], e);
		struct pm_str revisions = {0};

		r = path ? revisions_of(&revisions, repo, commits.v[i], &all, e) : -1;
		if (r == 0 && pm_hub_is_hex(commits.v[i], 40) && (commit ? !strcmp(commit, commits.v[i]) : all && !revisions.len))
			r = drop(path, 0, dry_run, each, arg, e);
		else if (r == 0)
			r = mark(used, &blobs, path, dry_run, each, arg, e);
		pm_str_free(&revisions);
		free(path);
	}
	for (i = 0; r == 0 && i < blobs.n; i++) {
		char *path = pm_path(blobdir, blobs.v[i], e);
		bool alive;

		r = path ? 0 : -1;
		if (r == 0 && !used[i] && !(is_temp(blobs.v[i], &alive) && alive) && !being_written(hub, repo, blobs.v[i]))
			r = drop(path, size_of(path), dry_run, each, arg, e);
		free(path);
	}
	if (r == 0)
		r = drop_temps_in(repo, "refs", dry_run, each, arg, e);
	if (r == 0)
		r = drop_temps_in(repo, "trees", dry_run, each, arg, e);
	free(used);
	names_free(&commits);
	names_free(&blobs);
	free(dir);
	free(blobdir);
	return r;
}

/* Addresses: what has no fetched.json is a part of something; what has one has no part. */
static int prune_urls(const char *urls, bool dry_run, tell *each, void *arg, struct pm_err *e)
{
	struct names l = {0};
	size_t i, k;
	int r = urls ? names_of(&l, urls, e) : 0;

	for (i = 0; r == 0 && i < l.n; i++) {
		char *dir = pm_path(urls, l.v[i], e), *lock = dir ? pm_path(dir, "lock", e) : NULL;
		int fd = lock ? open(lock, O_RDONLY | O_CLOEXEC) : -1;
		struct pm_hub_list files = {0};
		struct pm_hub_kept kept = {0};
		uint64_t bytes = 0;

		r = lock ? 0 : -1;
		if (r == 0)
			r = drop_temps(dir, 0, dry_run, each, arg, e);
		if (r == 0 && pm_hub_is_hex(l.v[i], 64) && (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) == 0) && pm_hub_kept_read(&kept, dir, e) == 1) {
			r = pm_hub_scan(&files, dir, e);
			for (k = 0; k < files.n; k++)
				bytes += files.v[k].size;
			if (r == 0)
				r = drop(dir, bytes, dry_run, each, arg, e);
		}
		if (fd >= 0)
			close(fd);
		pm_hub_kept_free(&kept);
		pm_hub_list_free(&files);
		free(lock);
		free(dir);
	}
	names_free(&l);
	return r;
}

int pm_hub_prune(const struct pm_hub_places *at, bool dry_run, tell *each, void *arg, struct pm_err *e)
{
	struct names l = {0};
	size_t i;
	int r = at->hub ? names_of(&l, at->hub, e) : 0;

	for (i = 0; r == 0 && i < l.n; i++) {
		struct pm_hub_name n;
		char *repo = pm_path(at->hub, l.v[i], e);

		r = repo ? 0 : -1;
		if (r == 0 && repo_name(&n, l.v[i])) {
			r = prune_repo(at->hub, repo, NULL, dry_run, each, arg, e);
			pm_hub_name_free(&n);
		}
		free(repo);
	}
	names_free(&l);
	return r < 0 ? -1 : prune_urls(at->urls, dry_run, each, arg, e);
}

int pm_hub_remove(const char *hub, const struct pm_hub_name *n, bool whole, bool dry_run, tell *each, void *arg, struct pm_err *e)
{
	char *repo = pm_hub_repo(hub, n, e), commit[41];
	struct pm_str s = {0};
	int r = repo ? 0 : -1;

	if (r == 0 && !pm_is_dir(repo))
		r = pm_fail(e, PM_NOINPUT, "%s: is not in the cache", n->id);
	if (r == 0 && whole) {
		r = drop(repo, 0, dry_run, each, arg, e);
		if (r == 0)
			r = pm_str_printf(&s, e, "%s/.locks%s", hub, strrchr(repo, '/'));
		if (r == 0 && !dry_run)
			r = pm_remove_tree(s.data, e);
	} else if (r == 0) {
		r = pm_hub_ref(commit, repo, n->revision, e);
		r = r > 0 ? pm_fail(e, PM_NOINPUT, "%s: the cache has no revision '%s' of it", n->id, n->revision) : r;
		if (r == 0)
			r = prune_repo(hub, repo, commit, dry_run, each, arg, e);
		if (r == 0 && strcmp(commit, n->revision) && pm_str_printf(&s, e, "%s/refs/%s", repo, n->revision) == 0 && !dry_run)
			r = pm_remove_tree(s.data, e);
	}
	pm_str_free(&s);
	free(repo);
	return r;
}
