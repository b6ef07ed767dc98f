/* mem.h: memory of the host. Sizes are checked for overflow; a request that fails is an error, never a crash. */
#ifndef PM_BASE_MEM_H
#define PM_BASE_MEM_H

#include <stddef.h>

#include "base/err.h"

/* Zeroed room for n things of `size` bytes, or NULL with the error set. n = 0 gives a pointer that can be freed. */
void *pm_alloc(size_t n, size_t size, struct pm_err *e);

/* Grows *p (an array of *cap things of `size` bytes) to hold at least `want` of them, doubling. 0 or -1. */
int pm_grow(void *p, size_t *cap, size_t want, size_t size, struct pm_err *e);

/* A copy of a string (of n bytes, closed by a 0), or NULL with the error set. */
char *pm_strdup(const char *s, struct pm_err *e);
char *pm_strndup(const char *s, size_t n, struct pm_err *e);

/* An arena: many small pieces that live and die together. A zeroed struct is an empty arena. */
struct pm_arena {
	struct pm_arena_block *blocks;
};

void *pm_arena_alloc(struct pm_arena *a, size_t n, size_t size, struct pm_err *e);   /* zeroed, 16-byte aligned */
char *pm_arena_printf(struct pm_arena *a, struct pm_err *e, const char *fmt, ...) PM_PRINTF(3, 4);
void pm_arena_free(struct pm_arena *a);

#endif
