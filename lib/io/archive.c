#include "io/archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

/* A link to be made when all files are there. */
struct later {
	char *path, *to;
	bool hard;
};

struct unpack {
	const struct pm_unpack_opts *o;
	const char *dir;
	struct later *links;
	size_t nlinks, cap;
	uint64_t bytes, files, entries;
};

static struct archive *open_archive(const char *path, struct pm_err *e)
{
	struct archive *a = archive_read_new();

	if (!a) {
		pm_fail(e, PM_SOFTWARE, "out of memory");
		return NULL;
	}
	archive_read_support_filter_all(a);
	archive_read_support_format_tar(a);
	archive_read_support_format_gnutar(a);
	archive_read_support_format_zip(a);
	archive_read_support_format_7zip(a);
	if (archive_read_open_filename(a, path, 262144) != ARCHIVE_OK) {
		pm_fail(e, pm_exists(path) ? PM_DATA : PM_NOINPUT, "%s: %s", path, archive_error_string(a) ? archive_error_string(a) : "no archive");
		archive_read_free(a);
		return NULL;
	}
	return a;
}

bool pm_is_archive(const char *path)
{
	struct pm_err e;
	struct archive *a = pm_exists(path) && !pm_is_dir(path) ? open_archive(path, &e) : NULL;
	struct archive_entry *entry;
	bool is = a && archive_read_next_header(a, &entry) >= ARCHIVE_WARN;

	if (a)
		archive_read_free(a);
	return is;
}

/* What a link says, where the link lies `depth` directories down: ".." may only lead, and no further than to the top. */
static bool inside(const char *to, size_t depth)
{
	while (!strncmp(to, "../", 3) && depth) {
		to += 3;
		depth--;
	}
	return (!strcmp(to, "..") && depth) || !strcmp(to, ".") || pm_path_inside(to);
}

static size_t depth_of(const char *path)
{
	size_t n = 0;

	for (; (path = strchr(path, '/')); path++)
		n++;
	return n;
}

static int make_parents(const struct unpack *u, const char *path, struct pm_err *e)
{
	char *full = pm_path(u->dir, path, e), *slash = full ? strrchr(full, '/') : NULL;
	int r = full ? 0 : -1;

	if (r == 0) {
		*slash = 0;
		r = pm_mkdirs(full, e);
		if (r < 0 && (errno == EEXIST || errno == ENOTDIR))
			r = pm_fail(e, PM_DATA, "'%.300s': a part of its path is a file", path);
	}
	free(full);
	return r;
}

static int keep_link(struct unpack *u, const char *path, const char *to, bool hard, struct pm_err *e)
{
	struct later *l;

	if (hard ? !pm_path_inside(to) : !inside(to, depth_of(path)))
		return pm_fail(e, PM_DATA, "'%.300s' is a link to '%.300s': one inside the archive was wanted", path, to);
	if (pm_grow(&u->links, &u->cap, u->nlinks + 1, sizeof *u->links, e) < 0)
		return -1;
	l = &u->links[u->nlinks];
	*l = (struct later){.path = pm_strdup(path, e), .to = pm_strdup(to, e), .hard = hard};
	u->nlinks++;
	return l->path && l->to ? 0 : -1;
}

static int write_all(int fd, const char *p, size_t n, int64_t at)
{
	while (n) {
		ssize_t w = pwrite(fd, p, n, (off_t)at);

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return -1;
		p += w;
		n -= (size_t)w;
		at += w;
	}
	return 0;
}

static int too_much(const struct unpack *u, struct pm_err *e)
{
	return pm_fail(e, PM_DATA, "the archive holds more than %llu bytes in files", (unsigned long long)u->o->most_bytes);
}

static int write_file(struct unpack *u, struct archive *a, struct archive_entry *entry, const char *path, struct pm_err *e)
{
	char *full = pm_path(u->dir, path, e);
	const void *bytes;
	uint64_t before = u->bytes;
	int64_t at, end = 0;
	size_t n;
	int fd = -1, k, r = full ? make_parents(u, path, e) : -1;

	if (r == 0 && archive_entry_size_is_set(entry) && (uint64_t)archive_entry_size(entry) > u->o->most_bytes - u->bytes)
		r = too_much(u, e);
	if (r == 0 && (fd = open(full, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666)) < 0)
		r = errno == EEXIST ? pm_fail(e, PM_DATA, "'%.300s' comes twice", path) : pm_fail_errno(e, PM_NOCREATE, "%s", full);
	while (r == 0 && (k = archive_read_data_block(a, &bytes, &n, &at)) != ARCHIVE_EOF) {
		if (k < ARCHIVE_WARN || at < 0) {
			r = pm_fail(e, PM_DATA, "'%.300s': %s", path, archive_error_string(a) ? archive_error_string(a) : "is damaged");
		} else if ((uint64_t)at + n > u->o->most_bytes - before) {
			r = too_much(u, e);
		} else if (write_all(fd, bytes, n, at) < 0) {
			r = pm_fail_errno(e, PM_IOERR, "%s: cannot write", full);
		} else if (at + (int64_t)n > end) {
			end = at + (int64_t)n;
			u->bytes = before + (uint64_t)end;
		}
		if (r == 0 && u->o->stop && u->o->stop())
			r = 1;
	}
	/* Holes at the end of a sparse file have no block. */
	if (r == 0 && archive_entry_size_is_set(entry) && archive_entry_size(entry) > end) {
		if (!archive_entry_sparse_count(entry))
			r = pm_fail(e, PM_DATA, "'%.300s': %lld bytes were wanted, the archive has %lld", path, (long long)archive_entry_size(entry), (long long)end);
		else if (ftruncate(fd, (off_t)archive_entry_size(entry)) < 0)
			r = pm_fail_errno(e, PM_IOERR, "%s: cannot write", full);
	}
	if (fd >= 0 && (fsync(fd) < 0 || close(fd) < 0) && r == 0)
		r = pm_fail_errno(e, PM_IOERR, "%s: cannot write", full);
	free(full);
	return r;
}

static int take(struct unpack *u, struct archive *a, struct archive_entry *entry, struct pm_err *e)
{
	const char *name = archive_entry_pathname_utf8(entry), *link = archive_entry_hardlink(entry);
	char path[1026];
	size_t n;

	if (!name)
		name = archive_entry_pathname(entry);
	if (!name)
		return pm_fail(e, PM_DATA, "an entry has no name that can be read");
	while (!strncmp(name, "./", 2))
		name += 2 + strspn(name + 2, "/");
	n = strlen(name);
	while (n && name[n - 1] == '/')
		n--;
	if (n == 0 || !strcmp(name, "."))
		return name[0] == '/' ? pm_fail(e, PM_DATA, "'%.300s': a path inside the archive was wanted", name) : 0;
	snprintf(path, sizeof path, "%.*s", n < sizeof path ? (int)n : 0, name);
	if (!pm_path_inside(path))
		return pm_fail(e, PM_DATA, "'%.300s': a path inside the archive was wanted", name);
	if (archive_entry_is_encrypted(entry))
		return pm_fail(e, PM_DATA, "'%.300s' is encrypted", path);
	if (archive_entry_filetype(entry) == AE_IFDIR && !link)
		return 0;               /* made when something is in it */
	if (u->o->wanted && !u->o->wanted(u->o->arg, path))
		return 0;
	if (++u->files > u->o->most_files)
		return pm_fail(e, PM_DATA, "the archive holds more than %llu files", (unsigned long long)u->o->most_files);
	if (link) {
		while (!strncmp(link, "./", 2))
			link += 2;
		return keep_link(u, path, link, true, e);
	}
	if (archive_entry_filetype(entry) == AE_IFLNK && archive_entry_symlink(entry))
		return keep_link(u, path, archive_entry_symlink(entry), false, e);
	if (archive_entry_filetype(entry) != AE_IFREG)
		return pm_fail(e, PM_DATA, "'%.300s' is neither a file nor a directory nor a link", path);
	return write_file(u, a, entry, path, e);
}

/* Whether a directory on the way to a path is a link: what lies behind it is not where its name says, so neither is what "../" means. */
static bool through_link(const struct unpack *u, const char *path)
{
	char part[1026];
	const char *slash;
	struct stat st;
	struct pm_err e;
	bool is = false;

	for (slash = strchr(path, '/'); slash && !is; slash = strchr(slash + 1, '/')) {
		snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
		char *full = pm_path(u->dir, part, &e);

		is = !full || (lstat(full, &st) == 0 && S_ISLNK(st.st_mode));
		free(full);
	}
	return is;
}

static int make_links(struct unpack *u, struct pm_err *e)
{
	int r = 0;
	size_t i;

	for (i = 0; i < 2 * u->nlinks && r == 0; i++) {
		const struct later *l = &u->links[i % u->nlinks];
		char *path, *to;

		if (l->hard != (i < u->nlinks))         /* hard ones first: what they name is a file then, not a link */
			continue;
		path = pm_path(u->dir, l->path, e);
		to = pm_path(u->dir, l->to, e);
		r = !path || !to ? -1 : through_link(u, l->path) ? pm_fail(e, PM_DATA, "'%.300s' lies behind a link", l->path) :
		    make_parents(u, l->path, e);
		if (r == 0 && (l->hard ? linkat(AT_FDCWD, to, AT_FDCWD, path, 0) : symlink(l->to, path)) < 0)
			r = pm_fail(e, PM_DATA, "'%.300s': cannot be linked to '%.300s': %s", l->path, l->to, strerror(errno));
		free(path);
		free(to);
	}
	return r;
}

int pm_unpack(const char *archive, const char *dir, const struct pm_unpack_opts *o, struct pm_err *e)
{
	struct unpack u = {.o = o, .dir = dir};
	struct archive *a = open_archive(archive, e);
	struct archive_entry *entry;
	int k = ARCHIVE_OK, r = a ? 0 : -1;
	size_t i;

	while (r == 0 && (k = archive_read_next_header(a, &entry)) != ARCHIVE_EOF) {
		if (k < ARCHIVE_WARN)
			r = pm_fail(e, PM_DATA, "%s", archive_error_string(a) ? archive_error_string(a) : "is damaged");
		else if (++u.entries > 4 * o->most_files + 1000)
			r = pm_fail(e, PM_DATA, "the archive holds more than %llu files", (unsigned long long)o->most_files);
		else
			r = take(&u, a, entry, e);
	}
	if (r == 0)
		r = make_links(&u, e);
	if (r == 0 && !u.files)
		r = pm_fail(e, PM_NOINPUT, "nothing in it is wanted");
	if (r < 0 && a)
		pm_ctx(e, "%s", archive);
	if (a)
		archive_read_free(a);
	for (i = 0; i < u.nlinks; i++) {
		free(u.links[i].path);
		free(u.links[i].to);
	}
	free(u.links);
	return r;
}
