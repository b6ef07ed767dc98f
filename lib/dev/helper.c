/* helper.c: a second process that compiles. PoCL compiles one program at a time in a process, whatever threads there are, and the first time on a
 * machine there are a dozen of them. So the child that probed (probe.c) stays: it compiles what it is asked for into the cache directory, while this
 * process goes on to other kernels. Launches of a kernel that is not there yet are put off, and so are those after them (later.c).
 *
 * A request is the lengths of four texts and the texts: options of the build, operation, name, defines. The answer is a byte: 1, or 0 where it failed. */
#define _DEFAULT_SOURCE                         /* MSG_NOSIGNAL */
#include "dev/private.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"

#define TEXTS 4

bool pm_helper_send(int fd, const void *bytes, size_t n)
{
	const char *p = bytes;
	ssize_t k;

	for (; n; p += k, n -= (size_t)k) {
		k = send(fd, p, n, MSG_NOSIGNAL);
		if (k < 0 && errno == EINTR)
			k = 0;
		if (k < 0)
			return false;
	}
	return true;
}

bool pm_helper_receive(int fd, void *bytes, size_t n)
{
	char *p = bytes;
	ssize_t k;

	for (; n; p += k, n -= (size_t)k) {
		k = read(fd, p, n);
		if (k < 0 && errno == EINTR)
			k = 0;
		else if (k <= 0)
			return false;
	}
	return true;
}

/* ---- the child ---- */

static char *receive_text(int fd, struct pm_err *e)
{
	uint32_t n;
	char *text;

	if (!pm_helper_receive(fd, &n, sizeof n))
		return NULL;
	text = pm_alloc((size_t)n + 1, 1, e);
	if (text && pm_helper_receive(fd, text, n))
		return text;
	free(text);
	return NULL;
}

void pm_helper_serve(struct pm_dev *d, const char *cache, int fd)
{
	struct pm_err e;
	char *text[TEXTS];
	unsigned char good;
	int i;

	d->cache = pm_strdup(cache, &e);
	while (d->cache) {
		for (i = 0; i < TEXTS; i++)
			if (!(text[i] = receive_text(fd, &e)))
				_exit(0);               /* who asked has ended */
		pm_str_clear(&d->options);
		good = pm_str_puts(&d->options, text[0], &e) == 0 && pm_kernel(d, text[1], text[2], text[3], &e);
		if (!pm_helper_send(fd, &good, 1))
			break;
		for (i = 0; i < TEXTS; i++)
			free(text[i]);
	}
	_exit(0);                               /* no exit handlers: they are the parent's */
}

/* ---- the parent ---- */

bool pm_helper_wait(pid_t pid, int *status)
{
	pid_t r;

	while ((r = waitpid(pid, status, 0)) < 0 && errno == EINTR)
		;
	return r == pid;
}

void pm_helper_end(struct pm_helper *h)
{
	int ignored;

	if (!h->pid)
		return;
	close(h->fd);
	pm_helper_wait(h->pid, &ignored);
	*h = (struct pm_helper){0};
}

static bool ask(struct pm_dev *d, const struct pm_program *p)
{
	struct pm_helper *h = &d->helper;
	const char *text[TEXTS] = {d->options.data, p->operation, p->name, p->defines};
	int i;

	if (d->compiling)
		d->compiling(d->arg, p->operation);
	for (i = 0; i < TEXTS; i++) {
		const uint32_t n = (uint32_t)strlen(text[i]);

		if (!pm_helper_send(h->fd, &n, sizeof n) || !pm_helper_send(h->fd, text[i], n)) {
			pm_helper_end(h);
			return false;
		}
	}
	h->asked[h->nasked++] = p;
	return true;
}

/* The one that is wanted with the longest source, so that none that takes long is left for the end. */
static struct pm_kernel *take_wanted(struct pm_dev *d)
{
	struct pm_kernel *k;
	size_t i, at = 0;

	for (i = 1; i < d->nwanted; i++)
		if (d->wanted[i]->program->source > d->wanted[at]->program->source)
			at = i;
	k = d->wanted[at];
	memmove(d->wanted + at, d->wanted + at + 1, (--d->nwanted - at) * sizeof *d->wanted);
	return k;
}

bool pm_helper_want(struct pm_dev *d, struct pm_kernel *k)
{
	struct pm_err ignored;

	if (!d->helper.pid)
		return false;
	if (!d->helper.nasked && ask(d, k->program))
		return true;
	if (!d->helper.pid || pm_grow(&d->wanted, &d->cap_wanted, d->nwanted + 1, sizeof *d->wanted, &ignored) < 0)
		return false;
	d->wanted[d->nwanted++] = k;
	return true;
}

/* Takes what the helper says, if it says something; wait: until then, or until a signal comes. */
static void listen_to(struct pm_helper *h, bool wait)
{
	struct pollfd ready = {.fd = h->fd, .events = POLLIN};
	unsigned char good;

	while (h->nasked && poll(&ready, 1, wait ? -1 : 0) > 0) {
		if (!pm_helper_receive(h->fd, &good, 1)) {
			pm_helper_end(h);
			return;
		}
		memmove(h->asked, h->asked + 1, (size_t)--h->nasked * sizeof *h->asked);
		wait = false;
	}
}

/* Whether it is still to come from the helper, or has its turn. */
static bool is_to_come(const struct pm_dev *d, const struct pm_kernel *k)
{
	int i;
	size_t j;

	for (i = 0; i < d->helper.nasked; i++)
		if (d->helper.asked[i] == k->program)
			return true;
	for (j = 0; j < d->nwanted; j++)
		if (d->wanted[j] == k)
			return true;
	return false;
}

int pm_helper_run(struct pm_dev *d, struct pm_kernel *k, bool wait, struct pm_err *e)
{
	if (k->cl)
		return 0;
	listen_to(&d->helper, false);
	while (wait && is_to_come(d, k)) {
		if (pm_stopped(d, e) < 0)
			return pm_ctx(e, "kernels/%s.cl", k->program->operation);
		while (d->helper.pid && d->helper.nasked < PM_ASKED && (size_t)d->helper.nasked < d->nwanted)
			ask(d, take_wanted(d)->program);
		if (d->nwanted) {
			struct pm_kernel *next = take_wanted(d);

			if (pm_kernel_make(next, e) < 0)
				return pm_ctx(e, "kernels/%s.cl", next->program->operation);
			listen_to(&d->helper, false);
		} else {
			listen_to(&d->helper, true);
		}
	}
	if (k->cl || is_to_come(d, k))
		return 0;
	return pm_kernel_make(k, e) < 0 ? pm_ctx(e, "kernels/%s.cl", k->program->operation) : 0;
}
