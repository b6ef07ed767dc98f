/* str.h: a byte buffer that grows. A zeroed struct is an empty buffer; `data` is closed by a 0 that `len` does not
 * count (NULL while nothing was put in). Functions return 0, or -1 when memory is out. */
#ifndef PM_BASE_STR_H
#define PM_BASE_STR_H

#include <stddef.h>

#include "base/err.h"

struct pm_str {
	char *data;
	size_t len, cap;
};

int pm_str_put(struct pm_str *s, const void *bytes, size_t n, struct pm_err *e);
int pm_str_puts(struct pm_str *s, const char *text, struct pm_err *e);
int pm_str_printf(struct pm_str *s, struct pm_err *e, const char *fmt, ...) PM_PRINTF(3, 4);
void pm_str_clear(struct pm_str *s);    /* empty, the memory is kept */
void pm_str_free(struct pm_str *s);

#endif
