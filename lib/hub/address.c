#include "hub/address.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "hub/fetch.h"
#include "hub/name.h"
#include "io/archive.h"

static bool is_wanted(void *arg, const char *path)
{
	return pm_hub_passes(path, arg);
}

/* The only directory in a directory that holds nothing else (but a wheel's own notes): an archive's files often lie in one. */
static char *descend(char *path, const char *top, int depth, struct pm_err *e)
{
	struct pm_str s = {0};
	char *full = path ? pm_path(top, path, e) : NULL, *only = NULL;
	DIR *d = full ? opendir(full) : NULL;
	struct dirent *f;
	int n = 0;

	while (d && (f = readdir(d))) {
		size_t len = strlen(f->d_name);

		if (!strcmp(f->d_name, ".") || !strcmp(f->d_name, "..") || (len > 10 && !strcmp(f->d_name + len - 10, ".dist-info")))
			continue;
		free(only);
		only = pm_strdup(f->d_name, e);
		n++;
	}
	if (d)
		closedir(d);
	free(full);
	if (n == 1 && only && depth < 16 && pm_str_printf(&s, e, "%s/%s", path, only) == 0 && (full = pm_path(top, s.data, e))) {
		struct stat st;
		bool dir = lstat(full, &st) == 0 && S_ISDIR(st.st_mode);

		free(full);
		free(only);
		if (dir) {
			free(path);
			return descend(s.data, top, depth + 1, e);
		}
		pm_str_free(&s);
		return path;
	}
	free(only);
	pm_str_free(&s);
	return path;
}

/* Where an address is kept: another selection of an archive's files is another thing, and so is what goes on to a directory
 * of its own: the file itself is kept then. */
static char *place(const char *url, const struct pm_hub_address_opts *o, struct pm_err *e)
{
	struct pm_str s = {0};
	char *dir = NULL;
	size_t i;
	int r = pm_str_printf(&s, e, "%.*s", (int)strcspn(url, "#"), url);

	for (i = 0; r == 0 && i < o->want.ninclude; i++)
		r = pm_str_printf(&s, e, "\n+%s", o->want.include[i]);
	for (i = 0; r == 0 && i < o->want.nexclude; i++)
		r = pm_str_printf(&s, e, "\n-%s", o->want.exclude[i]);
	if (r == 0 && (!o->unpack || o->local_dir))
		r = pm_str_puts(&s, o->local_dir ? "\nlocal" : "\nwhole", e);
	if (r == 0)
		dir = pm_hub_url_dir(o->urls, s.data, e);
	pm_str_free(&s);
	return dir;
}

/* An archive into `dir`, which gets its name when all of it is there. */
static int unpack_to(const char *archive, const char *dir, bool replace, const struct pm_hub_address_opts *o, struct pm_err *e)
{
	struct pm_unpack_opts u = {.most_bytes = o->most_bytes, .most_files = o->most_files, .wanted = is_wanted, .stop = o->stop,
		.arg = (void *)(size_t)&o->want};
	struct pm_err none;
	char *temp;
	int r = !replace && pm_exists(dir) ? pm_fail(e, PM_NOCREATE, "%s: is already there", dir) : pm_dir_begin(&temp, dir, e);

	if (r < 0)
		return -1;
	r = pm_unpack(archive, temp, &u, e);
	if (r == 0)
		r = pm_dir_commit(temp, dir, replace, e);
	if (r != 0)
		pm_remove_tree(temp, &none);
	free(temp);
	return r;
}

/* A name for the file: the last part of the address, where it can be one. */
static char *name_of(const char *url, const char *said, struct pm_err *e)
{
	size_t n = strcspn(url, "?#");
	const char *p = url + n;
	struct pm_str s = {0};

	while (p > url && p[-1] != '/')
		p--;
	if (pm_str_printf(&s, e, "%.*s", (int)(url + n - p), p) < 0)
		return NULL;
	if (*said && pm_path_inside(said) && !strchr(said, '/')) {
		pm_str_clear(&s);
		if (pm_str_puts(&s, said, e) < 0)
			return NULL;
	}
	if (!s.data || !pm_path_inside(s.data) || !strcmp(s.data, "fetched.json") || !strcmp(s.data, "part") || !strcmp(s.data, "lock") || !strcmp(s.data, "files")) {
		pm_str_clear(&s);
		if (pm_str_puts(&s, "file", e) < 0)
			return NULL;
	}
	return s.data;
}

/* Gives the result to the directory that the user named. */
static int to_local(struct pm_hub_addressed *a, const char *file, bool archive, const struct pm_hub_address_opts *o, struct pm_err *e)
{
	const char *base = strrchr(file, '/');
	char *to;
	int r;

	if (archive) {
		r = unpack_to(file, o->local_dir, false, o, e);
		to = r == 0 ? pm_strdup(o->local_dir, e) : NULL;
	} else {
		r = pm_mkdirs(o->local_dir, e);
		to = r == 0 ? pm_path(o->local_dir, base ? base + 1 : file, e) : NULL;
		r = to ? pm_copy_file(file, to, e) : -1;
	}
	free(a->path);
	a->path = to;
	return r == 0 && !to ? -1 : r;
}

/* What came becomes what the address stands for. */
static int settle(struct pm_hub_kept *k, const char *dir, const struct pm_hub_address_opts *o, struct pm_err *e)
{
	char *file = pm_path(dir, k->file, e), *files = pm_path(dir, "files", e);
	bool archive = file && o->unpack && pm_is_archive(file);
	int r = file && files ? 0 : -1;

	if (r == 0 && archive && !o->local_dir) {
		r = unpack_to(file, files, true, o, e);
		if (r == 0) {
			k->path = descend(pm_strdup("files", e), dir, 0, e);
			r = k->path ? pm_hub_kept_write(k, dir, e) : -1;
		}
		if (r == 0)
			unlink(file);
	} else if (r == 0) {
		k->path = pm_strdup(k->file, e);
		r = k->path ? pm_hub_kept_write(k, dir, e) : -1;
	}
	free(file);
	free(files);
	return r;
}

/* "#sha256=DIGITS" of an address, as Python's package index has it. */
static const char *fragment_hash(char hex[65], const char *url)
{
	const char *p = strstr(url, "#");

	p = p ? strstr(p, "sha256=") : NULL;
	if (!p || strspn(p + 7, "0123456789abcdef") < 64)
		return NULL;
	memcpy(hex, p + 7, 64);
	hex[64] = 0;
	return pm_hub_is_hex(hex, 64) ? hex : NULL;
}

/* Holds what is kept of an address: one process at a time fetches and unpacks it; another waits, and finds it there. */
static int hold(int *fd, const char *dir, const struct pm_hub_address_opts *o, struct pm_err *e)
{
	char *path = pm_path(dir, "lock", e);
	int r = path ? pm_mkdirs(dir, e) : -1;

	*fd = -1;
	if (r == 0 && (*fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0664)) < 0)
		r = pm_fail_errno(e, PM_NOCREATE, "%s: cannot lock", path);
	while (r == 0 && flock(*fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			r = pm_fail_errno(e, PM_IOERR, "%s: cannot lock", path);
		else if (o->stop && o->stop())
			r = 1;
		else
			nanosleep(&(struct timespec){0, 50000000}, NULL);
	}
	free(path);
	return r;
}

/* The transfer itself: 0 with *came set where there is a new file at dir/k->file, or the old one is still the newest. */
static int transfer(struct pm_hub_addressed *a, struct pm_hub_kept *k, bool *came, const char *dir, const char *url, const char *want,
	const struct pm_hub_address_opts *o, struct pm_err *e)
{
	char *part = pm_path(dir, "part", e), *final = pm_path(dir, "file", e), *named = NULL, *file = NULL;
	struct pm_job j = {.url = url, .name = url, .size = UINT64_MAX, .part = part, .final = final};
	bool have = k->path != NULL && !o->repair;
	int r = part && final ? 0 : -1;

	if (want)
		memcpy(j.hash, want, 65);
	j.etag = have ? k->etag : NULL;
	j.modified = have && !k->etag ? k->modified : NULL;
	if (r == 0)
		r = pm_net_get(o->net, &j, e);
	a->received = j.received;
	*came = r == 0 && j.answer.status != 304;
	if (*came) {
		file = name_of(url, j.answer.file, e);
		named = file ? pm_path(dir, file, e) : NULL;
		r = named ? 0 : -1;
		if (r == 0 && strcmp(named, final) && rename(final, named) < 0)
			r = pm_fail_errno(e, PM_NOCREATE, "%s: cannot rename", named);
		pm_hub_kept_free(k);
		k->url = pm_strdup(url, e);
		k->file = file;
		k->etag = j.answer.etag[0] ? pm_strdup(j.answer.etag, e) : NULL;
		k->modified = j.answer.modified[0] ? pm_strdup(j.answer.modified, e) : NULL;
		memcpy(k->sha256, j.got, 65);
		k->size = j.done;
	}
	pm_job_free(&j);
	free(named);
	free(part);
	free(final);
	return r;
}

static int ask(struct pm_hub_addressed *a, const char *url, const struct pm_hub_address_opts *o, struct pm_err *e)
{
	struct pm_job j = {.url = url, .name = url, .head = true, .size = UINT64_MAX};
	int r = pm_net_get(o->net, &j, e);

	a->size = j.answer.total;
	pm_job_free(&j);
	return r;
}

int pm_hub_fetch_address(struct pm_hub_addressed *a, const char *url, const struct pm_hub_address_opts *o, struct pm_err *e)
{
	char hex[65], *dir, *path;
	const char *want = o->sha256 ? o->sha256 : fragment_hash(hex, url);
	struct pm_hub_kept k = {0};
	bool came = false;
	int r, fd = -1;

	*a = (struct pm_hub_addressed){.size = UINT64_MAX};
	if (!o->urls)
		return pm_fail(e, PM_CONFIG, "%s: there is no cache to put it in (PM_CACHE)", url);
	dir = place(url, o, e);
	if (!dir)
		return -1;
	r = o->offline || o->dry_run ? 0 : hold(&fd, dir, o, e);
	if (r == 0)
		r = pm_hub_kept_read(&k, dir, e);
	else
		goto end;
	path = r == 0 ? pm_path(dir, k.path, e) : NULL;
	if (path && (!pm_exists(path) || (want && strcmp(want, k.sha256))))
		pm_hub_kept_free(&k);
	free(path);
	if (r >= 0)
		r = 0;
	if (r == 0 && k.path && !o->repair && (o->offline || want)) {
		a->here = true;         /* a hash says all: nobody needs to be asked */
	} else if (r == 0 && o->offline) {
		r = pm_fail(e, PM_NOINPUT, "%s: is not in the cache, and the network is not to be used", url);
	} else if (r == 0 && o->dry_run) {
		r = ask(a, url, o, e);
	} else if (r == 0) {
		r = transfer(a, &k, &came, dir, url, want, o, e);
		a->here = r == 0 && !came;
	}
	if (r == 0 && came)
		r = settle(&k, dir, o, e);
	if (r == 0)
		r = (a->path = pm_path(dir, k.path ? k.path : "", e)) ? 0 : -1;
	if (r == 0 && o->local_dir && !o->dry_run) {
		path = a->path;
		a->path = NULL;
		r = to_local(a, path, o->unpack && pm_is_archive(path), o, e);
		free(path);
	}
	if (r == 0 && k.path) {
		memcpy(a->sha256, k.sha256, 65);
		a->size = k.size;
	}
end:
	if (fd >= 0)
		close(fd);
	pm_hub_kept_free(&k);
	free(dir);
	return r;
}

int pm_hub_fetch_local(struct pm_hub_addressed *a, const char *path, const struct pm_hub_address_opts *o, struct pm_err *e)
{
	struct pm_hub_kept k = {0};
	char key[80], *dir, *files, *there;
	struct stat st;
	int r, fd = -1;

	*a = (struct pm_hub_addressed){.here = true, .size = 0};
	if (stat(path, &st) < 0)
		return pm_fail_errno(e, PM_NOINPUT, "%s", path);
	if (S_ISDIR(st.st_mode) || !o->unpack || !pm_is_archive(path)) {
		if (!S_ISDIR(st.st_mode) && pm_hub_hash_file(a->sha256, path, "", e) < 0)
			return -1;
		if (o->sha256 && strcmp(o->sha256, a->sha256))
			return pm_fail(e, PM_DATA, "%s: the bytes have the hash %s, %s was wanted", path, a->sha256, o->sha256);
		a->size = S_ISDIR(st.st_mode) ? 0 : (uint64_t)st.st_size;
		if (o->local_dir && !S_ISDIR(st.st_mode) && !o->dry_run)
			return to_local(a, path, false, o, e);
		return o->local_dir && S_ISDIR(st.st_mode) ? pm_fail(e, PM_USAGE, "--local-dir has no effect on a directory of this machine") :
		    (a->path = pm_strdup(path, e)) ? 0 : -1;
	}
	if (pm_hub_hash_file(a->sha256, path, "", e) < 0)
		return -1;
	a->size = (uint64_t)st.st_size;
	if (o->sha256 && strcmp(o->sha256, a->sha256))
		return pm_fail(e, PM_DATA, "%s: the bytes have the hash %s, %s was wanted", path, a->sha256, o->sha256);
	if (o->local_dir && !o->dry_run)
		return to_local(a, path, true, o, e);
	if (!o->urls)
		return pm_fail(e, PM_CONFIG, "%s: there is no cache to unpack it in (PM_CACHE)", path);
	snprintf(key, sizeof key, "sha256:%s", a->sha256);      /* the same archive is unpacked once, wherever it lies */
	dir = place(key, o, e);
	files = dir ? pm_path(dir, "files", e) : NULL;
	r = !files ? -1 : o->dry_run ? 0 : hold(&fd, dir, o, e);
	if (r != 0)
		goto end;
	r = pm_hub_kept_read(&k, dir, e);
	there = r == 0 ? pm_path(dir, k.path, e) : NULL;
	if (r == 0 && (!there || !pm_exists(there) || o->repair || strcmp(k.sha256, a->sha256)))
		r = 1;
	free(there);
	if (r > 0 && o->dry_run) {
		r = (a->path = pm_strdup(files, e)) ? 0 : -1;
		a->here = false;
	} else if (r > 0) {
		a->here = false;
		pm_hub_kept_free(&k);
		r = unpack_to(path, files, true, o, e);
		k.path = r == 0 ? descend(pm_strdup("files", e), dir, 0, e) : NULL;
		k.url = r == 0 ? pm_strdup(key, e) : NULL;
		k.size = a->size;
		memcpy(k.sha256, a->sha256, 65);
		if (r == 0)
			r = k.path && k.url ? pm_hub_kept_write(&k, dir, e) : -1;
	}
	if (r == 0 && !a->path)
		r = (a->path = pm_path(dir, k.path, e)) ? 0 : -1;
end:
	if (fd >= 0)
		close(fd);
	pm_hub_kept_free(&k);
	free(dir);
	free(files);
	return r;
}
