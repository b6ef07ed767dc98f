#include "hub/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "hub/fetch.h"
#include "hub/name.h"

#define MOST_TEXT ((size_t)256 << 20)   /* an answer that is no file */

static int fail_file(const struct pm_job *j, const char *what, struct pm_err *e)
{
	pm_fail_errno(e, PM_IOERR, "%s: %s: %s", j->name, j->part, what);
	return -1;
}

/* flock on a file that may be removed by whoever had it: what is locked must still be what the name means. 1: another has it. */
static int take_lock(struct pm_job *j, struct pm_err *e)
{
	struct pm_job_own *o = j->own;
	struct stat is, named;

	while (j->lock) {
		o->lock = open(j->lock, O_RDWR | O_CREAT | O_CLOEXEC, 0664);
		if (o->lock < 0)
			return pm_fail_errno(e, PM_NOCREATE, "%s: cannot lock", j->lock);
		if (flock(o->lock, LOCK_EX | LOCK_NB) < 0) {
			int busy = errno == EWOULDBLOCK;

			close(o->lock);
			o->lock = -1;
			return busy ? 1 : pm_fail_errno(e, PM_IOERR, "%s: cannot lock", j->lock);
		}
		if (fstat(o->lock, &is) == 0 && stat(j->lock, &named) == 0 && is.st_ino == named.st_ino && is.st_dev == named.st_dev)
			break;
		close(o->lock);
		o->lock = -1;
	}
	return 0;
}

static int begin_hash(struct pm_job *j, uint64_t size, struct pm_err *e)
{
	struct pm_job_own *o = j->own;

	if (o->hash.state)
		pm_sha256_drop(&o->hash);
	o->hashed = 0;
	if (strlen(j->hash) != 40)
		return pm_sha256_begin(&o->hash, e);
	return size == UINT64_MAX ? 0 : pm_gitblob_begin(&o->hash, size, e);
}

/* The ETag of a part whose hash nobody knows lies beside it: "PART.etag". */
static char *sidecar(const struct pm_job *j, struct pm_err *e)
{
	struct pm_str s = {0};

	if (pm_str_printf(&s, e, "%s.etag", j->part) < 0)
		pm_str_free(&s);
	return s.data;
}

static void write_sidecar(const struct pm_job *j)
{
	const char *etag = j->answer.etag;
	struct pm_err e;
	char *path = sidecar(j, &e);
	struct pm_out o = {0};

	snprintf(j->own->tag, sizeof j->own->tag, "%s", strncmp(etag, "W/", 2) ? etag : "");
	if (path && !j->own->tag[0])
		unlink(path);
	else if (path && pm_out_open(&o, path, &e) == 0 &&
	    pm_out_write(&o, etag, strlen(etag), &e) == 0)
		pm_out_close(&o, &e);
	pm_out_abort(&o);
	free(path);
}

static void read_sidecar(struct pm_job *j)
{
	struct pm_err e;
	struct pm_str s = {0};
	char *path = sidecar(j, &e);

	j->own->tag[0] = 0;
	if (path && pm_read_file(&s, path, &e) == 0 && s.len < sizeof j->own->tag)
		memcpy(j->own->tag, s.data ? s.data : "", s.len + (s.data != NULL));
	pm_str_free(&s);
	free(path);
}

static void drop_sidecar(const struct pm_job *j)
{
	struct pm_err e;
	char *path = j->hash[0] ? NULL : sidecar(j, &e);

	if (path)
		unlink(path);
	free(path);
}

int pm_transfer_open(struct pm_job *j, struct pm_err *e)
{
	struct pm_job_own *o = j->own;
	struct stat st;
	int r;

	if (!j->part) {
		j->state = PM_JOB_RUN;
		return 0;
	}
	r = take_lock(j, e);
	if (r != 0) {
		j->state = r > 0 ? PM_JOB_LOCKED : j->state;
		return r < 0 ? -1 : 0;
	}
	if (j->by_hash && stat(j->final, &st) == 0 && (j->size == UINT64_MAX || (uint64_t)st.st_size == j->size)) {
		j->present = true;
		j->done = j->from = (uint64_t)st.st_size;
		j->state = PM_JOB_DONE;
		return 0;
	}
	o->fd = open(j->part, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (o->fd < 0)
		return pm_fail_errno(e, PM_NOCREATE, "%s: %s: cannot create", j->name, j->part);
	if (fstat(o->fd, &st) < 0)
		return fail_file(j, "cannot look", e);
	j->done = (uint64_t)st.st_size;
	if (j->done && !j->hash[0])
		read_sidecar(j);
	if (j->done && ((j->size != UINT64_MAX && j->done > j->size) || (!j->hash[0] && !o->tag[0])) && pm_transfer_restart(j, e) < 0)
		return -1;
	j->from = o->best = j->done;
	if (begin_hash(j, j->size, e) < 0)
		return -1;
	j->state = j->done && o->hash.state ? PM_JOB_READ : PM_JOB_RUN;
	return 0;
}

int pm_transfer_read(struct pm_job *j, struct pm_err *e)
{
	struct pm_job_own *o = j->own;
	char bytes[65536];
	int slices;

	for (slices = 0; slices < 128 && o->hashed < j->done; slices++) {
		size_t want = j->done - o->hashed < sizeof bytes ? (size_t)(j->done - o->hashed) : sizeof bytes;
		ssize_t n = pread(o->fd, bytes, want, (off_t)o->hashed);

		if (n <= 0)
			return n < 0 && errno == EINTR ? 0 : fail_file(j, "cannot read", e);
		pm_sha256_put(&o->hash, bytes, (size_t)n);
		o->hashed += (uint64_t)n;
	}
	if (o->hashed == j->done)
		j->state = PM_JOB_RUN;
	return 0;
}

bool pm_transfer_complete(const struct pm_job *j)
{
	return j->part && j->size != UINT64_MAX && j->done == j->size && (j->done > 0 || j->hash[0]);
}

int pm_transfer_restart(struct pm_job *j, struct pm_err *e)
{
	struct pm_job_own *o = j->own;

	if (ftruncate(o->fd, 0) < 0)
		return fail_file(j, "cannot cut", e);
	j->done = j->from = 0;
	return begin_hash(j, j->size, e);
}

/* The first bytes of a file's body: do they continue what is there, and will it be as long as it should? */
static int begin_body(struct pm_job *j, struct pm_err *e)
{
	const struct pm_answer *a = &j->answer;
	struct pm_job_own *o = j->own;

	o->body_begun = true;
	if (a->status == 206 && (!a->ranges || a->from != j->done || (o->whole && a->from))) {
		o->whole = true;
		return pm_fail(e, (enum pm_status)0, "%s: the server continues at byte %llu, not at %llu", j->name, (unsigned long long)a->from,
		    (unsigned long long)j->done);
	}
	if (j->size != UINT64_MAX && a->total != UINT64_MAX && a->total != j->size)
		return pm_fail(e, PM_DATA, "%s: %llu bytes were wanted, the server has %llu", j->name, (unsigned long long)j->size,
		    (unsigned long long)a->total);
	if (j->size == UINT64_MAX && a->total != UINT64_MAX && pm_room(j->part, a->total - (a->status == 206 ? j->done : 0), e) < 0)
		return -1;
	if (a->status != 206 && j->done && pm_transfer_restart(j, e) < 0)
		return -1;
	if (!o->hash.state && !j->done && a->total != UINT64_MAX && begin_hash(j, a->total, e) < 0)
		return -1;
	if (!j->hash[0])
		write_sidecar(j);
	return 0;
}

int pm_transfer_bytes(struct pm_job *j, const void *bytes, size_t n)
{
	struct pm_job_own *o = j->own;
	struct pm_err *e = &j->err;
	size_t at = 0;

	if (!j->part || j->answer.status < 200 || j->answer.status > 299) {
		if (j->body.len + n > MOST_TEXT)
			return pm_fail(e, PM_DATA, "%s: the answer is longer than %zu MB", j->name, MOST_TEXT >> 20);
		return pm_str_put(&j->body, bytes, n, e);
	}
	if (!o->body_begun && begin_body(j, e) < 0)
		return -1;
	if (j->size != UINT64_MAX && n > j->size - j->done)
		return pm_fail(e, PM_DATA, "%s: %llu bytes were wanted, the server sends more", j->name, (unsigned long long)j->size);
	while (at < n) {
		ssize_t w = pwrite(o->fd, (const char *)bytes + at, n - at, (off_t)(j->done + at));

		if (w < 0 && errno == EINTR)
			continue;
		if (w <= 0)
			return fail_file(j, "cannot write", e);
		at += (size_t)w;
	}
	if (o->hash.state) {
		pm_sha256_put(&o->hash, bytes, n);
		o->hashed += n;
	}
	j->done += n;
	if (j->done > o->best) {
		o->best = j->done;
		j->attempts = 0;
	}
	return 0;
}

static int hash_open(char hex[65], int fd, uint64_t size, const char *like, const char *name, struct pm_err *e)
{
	struct pm_sha256 h;
	char bytes[65536];
	uint64_t at = 0;
	ssize_t n;

	if ((strlen(like) == 40 ? pm_gitblob_begin(&h, size, e) : pm_sha256_begin(&h, e)) < 0)
		return -1;
	while ((n = pread(fd, bytes, sizeof bytes, (off_t)at)) > 0 || (n < 0 && errno == EINTR)) {
		if (n > 0)
			pm_sha256_put(&h, bytes, (size_t)n);
		at += n > 0 ? (uint64_t)n : 0;
	}
	pm_sha256_end(&h, hex);
	return n < 0 ? pm_fail_errno(e, PM_IOERR, "%s: cannot read", name) : 0;
}

int pm_hub_hash_file(char hex[65], const char *path, const char *like, struct pm_err *e)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC), r;

	if (fd < 0)
		return pm_fail_errno(e, PM_NOINPUT, "%s", path);
	r = fstat(fd, &st) < 0 ? pm_fail_errno(e, PM_IOERR, "%s", path) : hash_open(hex, fd, (uint64_t)st.st_size, like, path, e);
	close(fd);
	return r;
}

/* The name is given only to what is on the disk. */
static int give_name(struct pm_job *j, struct pm_err *e)
{
	struct pm_job_own *o = j->own;
	char *dir;
	int fd;

	if (fsync(o->fd) < 0)
		return fail_file(j, "cannot write", e);
	if (rename(j->part, j->final) < 0) {
		pm_fail_errno(e, PM_NOCREATE, "%s: cannot rename", j->final);
		return -1;
	}
	drop_sidecar(j);
	dir = pm_strndup(j->final, (size_t)(strrchr(j->final, '/') - j->final), e);
	fd = dir ? open(dir, O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		fsync(fd);
		close(fd);
	}
	free(dir);
	return dir ? 0 : -1;
}

int pm_transfer_settle(struct pm_job *j, struct pm_err *e)
{
	struct pm_job_own *o = j->own;
	uint64_t want = j->size != UINT64_MAX ? j->size : j->answer.total;

	if (!j->part)
		return 0;
	if (!o->body_begun && j->answer.status && begin_body(j, e) < 0)    /* an empty file has no first byte */
		return e->status ? -1 : 1;
	if (want != UINT64_MAX && j->done < want)
		return 2;
	if (o->hash.state)
		pm_sha256_end(&o->hash, j->got);
	else if (hash_open(j->got, o->fd, j->done, j->hash, j->part, e) < 0)
		return -1;
	if (!j->hash[0] || !strcmp(j->hash, j->got))
		return give_name(j, e);
	if (j->from && !o->redone) {
		o->redone = o->whole = true;
		return pm_transfer_restart(j, e) < 0 ? -1 : 1;
	}
	unlink(j->part);
	return pm_fail(e, PM_DATA, "%s: the bytes have the hash %s, %s was wanted", j->name, j->got, j->hash);
}

void pm_transfer_close(struct pm_job *j)
{
	struct pm_job_own *o = j->own;
	struct stat st;

	if (!o)
		return;
	if (o->hash.state)
		pm_sha256_drop(&o->hash);
	if (o->fd >= 0) {
		/* A part of nothing is no part. */
		if (j->state != PM_JOB_DONE && fstat(o->fd, &st) == 0 && st.st_size == 0 && st.st_nlink)
			unlink(j->part);
		close(o->fd);
	}
	if (o->lock >= 0)
		close(o->lock);
	o->fd = o->lock = -1;
}
