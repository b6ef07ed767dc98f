#include "base/str.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

int pm_str_put(struct pm_str *s, const void *bytes, size_t n, struct pm_err *e)
{
	if (pm_grow(&s->data, &s->cap, s->len + n + 1, 1, e) < 0)
		return -1;
	if (n)
		memcpy(s->data + s->len, bytes, n);
	s->len += n;
	s->data[s->len] = 0;
	return 0;
}

int pm_str_puts(struct pm_str *s, const char *text, struct pm_err *e)
{
	return pm_str_put(s, text, strlen(text), e);
}

int pm_str_printf(struct pm_str *s, struct pm_err *e, const char *fmt, ...)
{
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (pm_grow(&s->data, &s->cap, s->len + (size_t)n + 1, 1, e) < 0)
		return -1;
	va_start(ap, fmt);
	vsnprintf(s->data + s->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	s->len += (size_t)n;
	return 0;
}

void pm_str_clear(struct pm_str *s)
{
	s->len = 0;
	if (s->data)
		s->data[0] = 0;
}

void pm_str_free(struct pm_str *s)
{
	free(s->data);
	memset(s, 0, sizeof *s);
}
