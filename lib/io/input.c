#include "io/input.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define BLOCK 262144

struct pm_input {
	char *path;
	struct archive *a;
	int fd;
	bool own, end;                  /* the descriptor is ours; nothing more comes */
	char *buf;
	size_t from, to, cap;
};

const char *pm_input_name(const struct pm_input *in)
{
	return strcmp(in->path, "-") ? in->path : "standard input";
}

void pm_input_close(struct pm_input *in)
{
	if (!in)
		return;
	if (in->a)
		archive_read_free(in->a);
	if (in->own)
		close(in->fd);
	free(in->path);
	free(in->buf);
	free(in);
}

static int damaged(const struct pm_input *in, struct pm_err *e)
{
	const char *why = archive_error_string(in->a);

	return pm_fail(e, PM_DATA, "%s: %s", pm_input_name(in), why ? why : "cannot be read");
}

static int open_archive(struct pm_input *in, struct pm_err *e)
{
	struct archive_entry *entry;
	int r;

	in->a = archive_read_new();
	if (!in->a)
		return pm_fail(e, PM_SOFTWARE, "out of memory");
	archive_read_support_filter_gzip(in->a);
	archive_read_support_filter_bzip2(in->a);
	archive_read_support_filter_xz(in->a);
	archive_read_support_filter_zstd(in->a);
	archive_read_support_filter_lz4(in->a);
	archive_read_support_format_raw(in->a);
	archive_read_support_format_empty(in->a);
	if (archive_read_open_fd(in->a, in->fd, BLOCK) != ARCHIVE_OK)
		return damaged(in, e);
	r = archive_read_next_header(in->a, &entry);
	in->end = r == ARCHIVE_EOF;
	return r == ARCHIVE_EOF || r >= ARCHIVE_WARN ? 0 : damaged(in, e);
}

int pm_input_open(struct pm_input **out, const char *path, struct pm_err *e)
{
	struct pm_input *in = pm_alloc(1, sizeof *in, e);
	struct stat st;

	*out = NULL;
	if (!in || !(in->path = pm_strdup(path, e))) {
		free(in);
		return -1;
	}
	in->own = strcmp(path, "-") != 0;
	in->fd = in->own ? open(path, O_RDONLY | O_CLOEXEC) : STDIN_FILENO;
	if (in->fd < 0) {
		in->own = false;
		pm_fail_errno(e, PM_NOINPUT, "%s", path);
	} else if (fstat(in->fd, &st) == 0 && S_ISDIR(st.st_mode)) {
		pm_fail(e, PM_NOINPUT, "%s: is a directory", path);
	} else if (open_archive(in, e) == 0) {
		*out = in;
		return 0;
	}
	pm_input_close(in);
	return -1;
}

/* Gets more bytes behind those that are there: 1; 0: there are none; −1. */
static int more(struct pm_input *in, struct pm_err *e)
{
	la_ssize_t n;

	if (in->end)
		return 0;
	if (in->from && in->from == in->to)
		in->from = in->to = 0;
	if (in->cap - in->to < BLOCK / 4 + 1 && in->from) {
		memmove(in->buf, in->buf + in->from, in->to - in->from);
		in->to -= in->from;
		in->from = 0;
	}
	if (pm_grow(&in->buf, &in->cap, in->to + BLOCK / 4 + 1, 1, e) < 0)
		return -1;
	n = archive_read_data(in->a, in->buf + in->to, in->cap - in->to - 1);
	if (n < 0)
		return damaged(in, e);
	in->end = n == 0;
	in->to += (size_t)n;
	return n > 0;
}

int pm_input_peek(struct pm_input *in, struct pm_err *e)
{
	int r = in->from < in->to ? 1 : more(in, e);

	return r < 0 ? -2 : r == 0 ? -1 : (unsigned char)in->buf[in->from];
}

void pm_input_skip(struct pm_input *in)
{
	in->from++;
}

int pm_input_line(struct pm_input *in, char **line, size_t *n, struct pm_err *e)
{
	size_t looked = 0;
	char *nl;
	int r;

	for (;;) {
		nl = in->to - in->from > looked ? memchr(in->buf + in->from + looked, '\n', in->to - in->from - looked) : NULL;
		if (nl)
			break;
		looked = in->to - in->from;
		r = more(in, e);
		if (r < 0)
			return -1;
		if (r == 0)
			break;
	}
	*n = nl ? (size_t)(nl - in->buf) + 1 - in->from : in->to - in->from;
	if (!*n)
		return 0;
	*line = in->buf + in->from;
	in->from += *n;
	return 1;
}

int pm_input_rest(struct pm_input *in, struct pm_str *out, struct pm_err *e)
{
	int r;

	do {
		if (in->to > in->from && pm_str_put(out, in->buf + in->from, in->to - in->from, e) < 0)
			return -1;
		in->from = in->to = 0;
	} while ((r = more(in, e)) > 0);
	return r;
}

int pm_input_read(struct pm_str *out, const char *path, struct pm_err *e)
{
	struct pm_input *in;
	int r = pm_input_open(&in, path, e);

	if (r == 0)
		r = pm_input_rest(in, out, e);
	if (r == 0 && !out->data)
		r = pm_str_put(out, "", 0, e);
	pm_input_close(in);
	return r;
}
