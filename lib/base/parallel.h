/* parallel.h: a task for each of many numbers, on several threads. */
#ifndef PM_BASE_PARALLEL_H
#define PM_BASE_PARALLEL_H

#include <stddef.h>

#include "base/err.h"

/* Runs task(arg, i, …) for i = 0 .. n − 1 on up to `threads` threads, the caller's among them; in any order, each once. Where tasks fail, the
 * error is that of the lowest number among those that ran, and those not yet begun are left out. A thread that cannot be made is not missed. */
int pm_parallel(size_t threads, size_t n, int (*task)(void *arg, size_t i, struct pm_err *e), void *arg, struct pm_err *e);

#endif
