/* tokenize_crew.h: tasks that are done on several threads and finished one after the other in the order they were given. */
#ifndef PM_BIN_TOKENIZE_CREW_H
#define PM_BIN_TOKENIZE_CREW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/err.h"

/* The first member of what the caller gives; it says how many bytes it holds. */
struct crew_task {
	struct crew_task *next;
	size_t bytes;
	bool done;
};

struct crew_opts {
	size_t threads;
	void *const *workers;           /* one for each thread; each is used by one thread at a time */
	void (*work)(void *worker, struct crew_task *t);
	int (*finish)(void *arg, struct crew_task *t, struct pm_err *e);        /* on the caller's thread, in order; frees the task, too */
	void (*drop)(struct crew_task *t);                                      /* a task that is not wanted any more */
	void *arg;
};

struct crew;

int crew_open(struct crew **out, const struct crew_opts *o, struct pm_err *e);

/* Gives a task away. Tasks that are done by now are finished; where many bytes are under way, this waits. −1: a task's finish failed. A
 * single task is done by the caller's own thread, with the first worker (crew_alone says that no other thread was started yet). */
int crew_put(struct crew *c, struct crew_task *t, struct pm_err *e);
bool crew_alone(const struct crew *c);

/* Until all is finished. */
int crew_drain(struct crew *c, struct pm_err *e);
void crew_close(struct crew *c);

#endif
