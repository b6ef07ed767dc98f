#define _DEFAULT_SOURCE                         /* madvise */
#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"

int pm_map_open(struct pm_map *m, const char *path, struct pm_err *e)
{
	struct stat st;
	void *p = NULL;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);       /* a pipe without a writer would keep us waiting */

	memset(m, 0, sizeof *m);
	if (fd < 0)
		return pm_fail_errno(e, PM_NOINPUT, "%s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
		close(fd);
		return pm_fail(e, PM_NOINPUT, "%s: a regular file was wanted", path);
	}
	if (st.st_size > 0)
		p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	if (p == MAP_FAILED)
		return pm_fail_errno(e, PM_IOERR, "%s: mmap", path);
	m->data = p;
	m->size = (size_t)st.st_size;
	return 0;
}

void pm_map_close(struct pm_map *m)
{
	if (m->data)
		munmap((void *)(size_t)m->data, m->size);
	memset(m, 0, sizeof *m);
}

void pm_map_unload(const struct pm_map *m)
{
	if (m->data)
		(void)madvise((void *)(size_t)m->data, m->size, MADV_DONTNEED);
}

int pm_read_stream(struct pm_str *out, FILE *f, const char *name, struct pm_err *e)
{
	size_t n;

	do {
		if (pm_grow(&out->data, &out->cap, out->len + 65537, 1, e) < 0)
			return pm_ctx(e, "%s", name);
		n = fread(out->data + out->len, 1, out->cap - out->len - 1, f);
		out->len += n;
		out->data[out->len] = 0;
	} while (n > 0);
	return ferror(f) ? pm_fail_errno(e, PM_IOERR, "%s", name) : 0;
}

int pm_read_file(struct pm_str *out, const char *path, struct pm_err *e)
{
	FILE *f = fopen(path, "rbe");
	int r;

	if (!f)
		return pm_fail_errno(e, PM_NOINPUT, "%s", path);
	r = pm_read_stream(out, f, path, e);
	fclose(f);
	return r;
}

bool pm_exists(const char *path)
{
	return access(path, F_OK) == 0;
}

bool pm_is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool pm_path_inside(const char *path)
{
	const char *p = path;
	size_t n;

	if (strlen(path) > 1024)
		return false;
	for (;;) {
		n = strcspn(p, "/");
		if (n == 0 || n > 255 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
			return false;
		for (; n; n--, p++)
			if ((unsigned char)*p < 32 || *p == 127)
				return false;
		if (!*p)
			return true;
		p++;
	}
}

char *pm_path(const char *dir, const char *name, struct pm_err *e)
{
	size_t n = strlen(dir);
	struct pm_str s = {0};

	if (pm_str_printf(&s, e, "%s%s%s", dir, n && dir[n - 1] == '/' ? "" : "/", name) < 0) {
		pm_str_free(&s);
		return NULL;
	}
	return s.data;
}

/* A failed system call on the way to an output: what is missing is no input. */
static int fail_create(struct pm_err *e, const char *path, const char *what)
{
	pm_fail_errno(e, PM_NOCREATE, "%s: %s", path, what);
	if (e->status == PM_NOINPUT)
		e->status = PM_NOCREATE;
	return -1;
}

int pm_mkdirs(const char *path, struct pm_err *e)
{
	char *p, *s;
	int r = 0;

	if (!*path)
		return pm_fail(e, PM_NOCREATE, "the name of a directory was wanted, not an empty one");
	p = pm_strdup(path, e);
	if (!p)
		return -1;
	for (s = p + 1; r == 0; s++) {
		if (*s != '/' && *s)
			continue;
		char c = *s;
		*s = 0;
		if (mkdir(p, 0777) < 0 && errno != EEXIST)
			r = fail_create(e, p, "cannot create the directory");
		*s = c;
		if (!c)
			break;
	}
	if (r == 0 && !pm_is_dir(path))
		r = pm_fail(e, PM_NOCREATE, "%s: a directory was wanted", path);
	free(p);
	return r;
}

int pm_room(const char *dir, uint64_t bytes, struct pm_err *e)
{
	char *path = pm_strdup(dir, e), *slash;
	struct statvfs v;
	int r = 0;

	if (!path)
		return -1;
	while (!pm_exists(path) && (slash = strrchr(path, '/')) && slash > path)
		*slash = 0;
	if (statvfs(pm_exists(path) ? path : ".", &v) == 0 && v.f_blocks && (double)v.f_bavail * (double)v.f_frsize < (double)bytes)
		r = pm_fail(e, PM_IOERR, "%s: %llu bytes are needed, %.0f are free", dir, (unsigned long long)bytes, (double)v.f_bavail * (double)v.f_frsize);
	free(path);
	return r;
}

int pm_remove_tree(const char *path, struct pm_err *e)
{
	struct dirent *d;
	struct stat st;
	DIR *dir;
	int r = 0;

	if (lstat(path, &st) < 0)
		return errno == ENOENT ? 0 : pm_fail_errno(e, PM_IOERR, "%s", path);
	if (!S_ISDIR(st.st_mode))
		return unlink(path) < 0 ? pm_fail_errno(e, PM_IOERR, "%s: cannot remove", path) : 0;
	dir = opendir(path);
	if (!dir)
		return pm_fail_errno(e, PM_IOERR, "%s", path);
	while (r == 0 && (d = readdir(dir))) {
		char *p;

		if (!strcmp(d->d_name, ".") || !strcmp(d->d_name, ".."))
			continue;
		p = pm_path(path, d->d_name, e);
		r = p ? pm_remove_tree(p, e) : -1;
		free(p);
	}
	closedir(dir);
	if (r == 0 && rmdir(path) < 0)
		r = pm_fail_errno(e, PM_IOERR, "%s: cannot remove", path);
	return r;
}

/* "path.PID.tmp" beside the final name: unique among running processes, so that two writers never share it. */
static char *temp_name(const char *path, struct pm_err *e)
{
	struct pm_str s = {0};
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		n--;
	if (pm_str_printf(&s, e, "%.*s.%ld.tmp", (int)n, path, (long)getpid()) < 0)
		pm_str_free(&s);
	return s.data;
}

int pm_out_open(struct pm_out *o, const char *path, struct pm_err *e)
{
	bool system = !strncmp(path, "/dev/", 5) || !strncmp(path, "/proc/", 6);
	struct stat st;

	memset(o, 0, sizeof *o);
	if (!system && lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
		o->path = realpath(path, NULL);         /* the file is replaced, the link stays */
	if (!o->path && !(o->path = pm_strdup(path, e)))
		return -1;
	if (!strcmp(path, "-")) {
		o->f = stdout;
		return 0;
	}
	if (!*path || pm_is_dir(path)) {
		errno = *path ? EISDIR : ENOENT;
	} else if (system || (stat(path, &st) == 0 && !S_ISREG(st.st_mode))) {
		o->f = fopen(path, "wbe");
	} else {
		o->temp = temp_name(o->path, e);
		if (!o->temp)
			goto fail;
		o->f = fopen(o->temp, "wbe");
	}
	if (o->f)
		return 0;
	fail_create(e, path, "cannot create");
fail:
	free(o->temp);
	free(o->path);
	memset(o, 0, sizeof *o);
	return -1;
}

int pm_out_write(struct pm_out *o, const void *bytes, size_t n, struct pm_err *e)
{
	if (n && fwrite(bytes, 1, n, o->f) != n)
		return pm_fail_errno(e, PM_IOERR, "%s: cannot write", o->path);
	return 0;
}

/* Makes the name of a new file last: the directory that holds it is synced too. */
static void sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[4096] = ".";
	int fd;

	if (slash && (size_t)(slash - path) + 1 < sizeof dir) {
		memcpy(dir, path, (size_t)(slash - path) + 1);
		dir[slash - path + 1] = 0;
	}
	fd = open(dir, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
}

int pm_out_close(struct pm_out *o, struct pm_err *e)
{
	int r = 0;

	if (!o->f)
		return 0;
	if (fflush(o->f) || ferror(o->f) || (o->temp && fsync(fileno(o->f)) < 0))
		r = pm_fail_errno(e, PM_IOERR, "%s: cannot write", o->path);
	if (o->f != stdout && fclose(o->f) && r == 0)
		r = pm_fail_errno(e, PM_IOERR, "%s: cannot write", o->path);
	o->f = NULL;
	if (r == 0 && o->temp && rename(o->temp, o->path) < 0)
		r = fail_create(e, o->path, "cannot rename");
	if (r == 0 && o->temp) {
		sync_parent(o->path);
		free(o->temp);
		o->temp = NULL;
	}
	pm_out_abort(o);
	return r;
}

void pm_out_abort(struct pm_out *o)
{
	if (o->f && o->f != stdout)
		fclose(o->f);
	if (o->temp)
		unlink(o->temp);
	free(o->temp);
	free(o->path);
	memset(o, 0, sizeof *o);
}

int pm_dir_begin(char **temp, const char *path, struct pm_err *e)
{
	*temp = temp_name(path, e);
	if (!*temp)
		return -1;
	if (pm_remove_tree(*temp, e) < 0 || pm_mkdirs(*temp, e) < 0) {
		free(*temp);
		*temp = NULL;
		return -1;
	}
	return 0;
}

int pm_dir_commit(const char *temp, const char *path, bool replace, struct pm_err *e)
{
	struct pm_str old = {0};
	int r = 0;

	if (pm_exists(path)) {
		if (!replace)
			return pm_fail(e, PM_NOCREATE, "%s: is already there", path);
		if (pm_str_printf(&old, e, "%s.old", temp) < 0)
			return -1;
		if (rename(path, old.data) < 0)
			r = fail_create(e, path, "cannot replace");
	}
	if (r == 0 && rename(temp, path) < 0) {
		r = fail_create(e, path, "cannot rename");
		if (old.data)
			rename(old.data, path);
	}
	if (r == 0)
		sync_parent(path);
	if (r == 0 && old.data)
		r = pm_remove_tree(old.data, e);
	pm_str_free(&old);
	return r;
}

int pm_copy_file(const char *from, const char *to, struct pm_err *e)
{
	struct pm_map m;
	struct pm_out o;
	int r;

	if (pm_map_open(&m, from, e) < 0)
		return -1;
	r = pm_out_open(&o, to, e);
	if (r == 0) {
		r = pm_out_write(&o, m.data, m.size, e);
		if (r == 0)
			r = pm_out_close(&o, e);
		else
			pm_out_abort(&o);
	}
	pm_map_close(&m);
	return r;
}
