#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pm_arena_block {
	struct pm_arena_block *next;
	size_t used, size;
	_Alignas(16) char data[];
};

static int no_memory(size_t n, size_t size, struct pm_err *e)
{
	return pm_fail(e, PM_SOFTWARE, "out of memory: %zu x %zu bytes wanted", n, size);
}

void *pm_alloc(size_t n, size_t size, struct pm_err *e)
{
	void *p = calloc(n ? n : 1, size);

	if (!p)
		no_memory(n, size, e);
	return p;
}

int pm_grow(void *p, size_t *cap, size_t want, size_t size, struct pm_err *e)
{
	size_t n = *cap;
	void *old, *new;

	if (want <= n)
		return 0;
	n = n < 8 ? 8 : n;
	while (n < want)
		n = n > SIZE_MAX / 2 ? want : 2 * n;
	memcpy(&old, p, sizeof old);
	if (n > SIZE_MAX / size || !(new = realloc(old, n * size)))
		return no_memory(n, size, e);
	memcpy(p, &new, sizeof new);
	*cap = n;
	return 0;
}

char *pm_strndup(const char *s, size_t n, struct pm_err *e)
{
	char *p = pm_alloc(n + 1, 1, e);

	if (p)
		memcpy(p, s, n);
	return p;
}

char *pm_strdup(const char *s, struct pm_err *e)
{
	return pm_strndup(s, strlen(s), e);
}

void *pm_arena_alloc(struct pm_arena *a, size_t n, size_t size, struct pm_err *e)
{
	struct pm_arena_block *b = a->blocks;
	size_t want, room;
	void *p;

	if (size && n > (SIZE_MAX - 64) / size) {
		no_memory(n, size, e);
		return NULL;
	}
	want = (n * size + 15) & ~(size_t)15;
	if (!b || b->size - b->used < want) {
		room = want > 16000 ? want : 16000;
		b = pm_alloc(1, sizeof *b + room, e);
		if (!b)
			return NULL;
		b->size = room;
		b->next = a->blocks;
		a->blocks = b;
	}
	p = b->data + b->used;
	b->used += want;
	return p;
}

char *pm_arena_printf(struct pm_arena *a, struct pm_err *e, const char *fmt, ...)
{
	va_list ap;
	char *s;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	s = pm_arena_alloc(a, (size_t)n + 1, 1, e);
	if (!s)
		return NULL;
	va_start(ap, fmt);
	vsnprintf(s, (size_t)n + 1, fmt, ap);
	va_end(ap);
	return s;
}

void pm_arena_free(struct pm_arena *a)
{
	struct pm_arena_block *b, *next;

	for (b = a->blocks; b; b = next) {
		next = b->next;
		free(b);
	}
	a->blocks = NULL;
}
