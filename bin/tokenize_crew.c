#include "bin/tokenize_crew.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

enum { MANY_BYTES = 64 << 20, MANY_TASKS = 4 };         /* under way at most: beside one task however large; for each thread */

struct member {
	struct crew *crew;
	void *worker;
	pthread_t id;
};

struct crew {
	struct crew_opts o;
	struct member *members;
	size_t running;
	pthread_mutex_t lock;
	pthread_cond_t more, done;      /* there is a task to take; one is done */
	struct crew_task *first, *last, *todo;
	size_t tasks, bytes;
	bool over;
};

static void *serve(void *arg)
{
	struct member *m = arg;
	struct crew *c = m->crew;
	struct crew_task *t;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		while (!c->todo && !c->over)
			pthread_cond_wait(&c->more, &c->lock);
		if (c->over)
			break;
		t = c->todo;
		c->todo = t->next;
		pthread_mutex_unlock(&c->lock);
		c->o.work(m->worker, t);
		pthread_mutex_lock(&c->lock);
		t->done = true;
		pthread_cond_signal(&c->done);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

int crew_open(struct crew **out, const struct crew_opts *o, struct pm_err *e)
{
	struct crew *c = *out = pm_alloc(1, sizeof *c, e);

	if (!c)
		return -1;
	c->o = *o;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->more, NULL);
	pthread_cond_init(&c->done, NULL);
	c->members = pm_alloc(o->threads, sizeof *c->members, e);
	return c->members ? 0 : -1;
}

bool crew_alone(const struct crew *c)
{
	return !c->running;
}

static void start(struct crew *c)
{
	for (size_t i = 0; i < c->o.threads && c->o.threads > 1; i++) {
		c->members[c->running].crew = c;
		c->members[c->running].worker = c->o.workers[c->running];
		if (pthread_create(&c->members[c->running].id, NULL, serve, c->members + c->running) == 0)
			c->running++;
	}
}

/* Takes the first task out and finishes it; the lock is held before and after. */
static int finish_first(struct crew *c, struct pm_err *e)
{
	struct crew_task *t = c->first;
	int r;

	c->first = t->next;
	if (!c->first)
		c->last = NULL;
	c->tasks--;
	c->bytes -= t->bytes;
	pthread_mutex_unlock(&c->lock);
	r = c->o.finish(c->o.arg, t, e);
	pthread_mutex_lock(&c->lock);
	return r;
}

/* Finishes what is done, until no more than these are under way. */
static int settle(struct crew *c, size_t tasks, size_t bytes, struct pm_err *e)
{
	int r = 0;

	pthread_mutex_lock(&c->lock);
	while (r == 0 && c->first) {
		if (c->first->done) {
			r = finish_first(c, e);
		} else if (!c->running) {
			struct crew_task *t = c->todo;

			c->todo = t->next;
			pthread_mutex_unlock(&c->lock);
			c->o.work(c->o.workers[0], t);
			pthread_mutex_lock(&c->lock);
			t->done = true;
		} else if (c->tasks > tasks || c->bytes > bytes) {
			pthread_cond_wait(&c->done, &c->lock);
		} else {
			break;
		}
	}
	pthread_mutex_unlock(&c->lock);
	return r;
}

int crew_put(struct crew *c, struct crew_task *t, struct pm_err *e)
{
	t->next = NULL;
	t->done = false;
	if (c->first && !c->running)
		start(c);
	pthread_mutex_lock(&c->lock);
	if (c->last)
		c->last->next = t;
	else
		c->first = t;
	c->last = t;
	if (!c->todo)
		c->todo = t;
	c->tasks++;
	c->bytes += t->bytes;
	pthread_cond_signal(&c->more);
	pthread_mutex_unlock(&c->lock);
	/* the first one waits: where no other comes, no thread is needed */
	if (!c->running && c->tasks == 1 && c->o.threads > 1 && t->bytes <= MANY_BYTES)
		return 0;
	return settle(c, c->running * MANY_TASKS, MANY_BYTES, e);
}

int crew_drain(struct crew *c, struct pm_err *e)
{
	return settle(c, 0, 0, e);
}

void crew_close(struct crew *c)
{
	struct crew_task *t;

	if (!c)
		return;
	pthread_mutex_lock(&c->lock);
	c->over = true;
	pthread_cond_broadcast(&c->more);
	pthread_mutex_unlock(&c->lock);
	for (size_t i = 0; i < c->running; i++)
		pthread_join(c->members[i].id, NULL);
	while ((t = c->first)) {
		c->first = t->next;
		c->o.drop(t);
	}
	pthread_cond_destroy(&c->more);
	pthread_cond_destroy(&c->done);
	pthread_mutex_destroy(&c->lock);
	free(c->members);
	free(c);
}
