#include "base/parallel.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

struct run {
	pthread_mutex_t lock;
	size_t next, n, failed;         /* the lowest number that failed; n: none */
	int (*task)(void *arg, size_t i, struct pm_err *e);
	void *arg;
	struct pm_err err;
};

static void *work(void *arg)
{
	struct run *r = arg;
	struct pm_err e;
	size_t i;

	pthread_mutex_lock(&r->lock);
	while (r->next < r->n && r->failed == r->n) {
		i = r->next++;
		pthread_mutex_unlock(&r->lock);
		if (r->task(r->arg, i, &e) == 0) {
			pthread_mutex_lock(&r->lock);
			continue;
		}
		pthread_mutex_lock(&r->lock);
		if (i < r->failed) {
			r->failed = i;
			r->err = e;
		}
	}
	pthread_mutex_unlock(&r->lock);
	return NULL;
}

int pm_parallel(size_t threads, size_t n, int (*task)(void *arg, size_t i, struct pm_err *e), void *arg, struct pm_err *e)
{
	struct run r = {.n = n, .failed = n, .task = task, .arg = arg};
	size_t want = threads < n ? threads : n, made = 0;
	pthread_t *id = pm_alloc(want, sizeof *id, e);

	if (!id)
		return -1;
	pthread_mutex_init(&r.lock, NULL);
	while (made + 1 < want && pthread_create(id + made, NULL, work, &r) == 0)
		made++;
	work(&r);
	while (made)
		pthread_join(id[--made], NULL);
	pthread_mutex_destroy(&r.lock);
	free(id);
	if (r.failed == n)
		return 0;
	*e = r.err;
	return -1;
}
