#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* One line, whatever names from a file are in it: what is no character to look at becomes a question mark. */
static void one_line(struct pm_err *e)
{
	char *p;

	for (p = e->text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
}

int pm_fail(struct pm_err *e, enum pm_status status, const char *fmt, ...)
{
	va_list ap;

	e->status = status;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	one_line(e);
	return -1;
}

int pm_fail_errno(struct pm_err *e, enum pm_status status, const char *fmt, ...)
{
	int err = errno;
	va_list ap;
	size_t n;

	e->status = err == ENOENT || err == ENOTDIR || err == EISDIR ? PM_NOINPUT : err == EACCES || err == EPERM ? PM_NOPERM : status;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof e->text - n, ": %s", strerror(err));
	one_line(e);
	return -1;
}

int pm_ctx(struct pm_err *e, const char *fmt, ...)
{
	char old[sizeof e->text];
	va_list ap;
	size_t n;

	memcpy(old, e->text, sizeof old);
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof e->text, fmt, ap);
	va_end(ap);
	n = strlen(e->text);
	snprintf(e->text + n, sizeof e->text - n, ": %s", old);
	one_line(e);
	return -1;
}
