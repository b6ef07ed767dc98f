/* later.c: launches put off until a kernel is compiled that the helper was asked for (helper.c), and those after them, in their order. */
#include "dev/private.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* A new last entry, to be filled. */
static struct pm_later *add(struct pm_dev *d, struct pm_err *e)
{
	struct pm_later *l;

	if (d->later_from == d->nlater)
		d->later_from = d->nlater = 0;
	if (pm_grow(&d->later, &d->cap_later, d->nlater + 1, sizeof *d->later, e) < 0)
		return NULL;
	l = &d->later[d->nlater];
	memset(l, 0, sizeof *l);
	return l;
}

bool pm_later_any(const struct pm_dev *d)
{
	return d->later_from < d->nlater;
}

int pm_later_launch(struct pm_kernel *k, const struct pm_launch *launch, size_t n, const struct pm_arg *args, struct pm_err *e)
{
	struct pm_dev *d = k->dev;
	struct pm_later *l = add(d, e);
	size_t i;

	if (!l || !(l->arg = pm_alloc(n, sizeof *l->arg, e)))
		return -1;
	l->kernel = k;
	l->launch = *launch;
	l->n = n;
	for (i = 0; i < n; i++) {
		l->arg[i] = args[i];
		if (args[i].kind == PM_ARG_MEM) /* who gave it may free what tells of a part before the whole */
			l->arg[i] = (struct pm_arg){PM_ARG_ADDRESS, {.l = args[i].u.mem ? (int64_t)(size_t)args[i].u.mem->host : 0}};
	}
	l->number = ++d->launches;
	d->nlater++;
	return 0;
}

int pm_later_zero(struct pm_dev *d, unsigned char *p, size_t bytes, struct pm_err *e)
{
	struct pm_later *l = add(d, e);

	if (!l)
		return -1;
	l->zeros = p;
	l->bytes = bytes;
	l->number = d->launches;
	d->nlater++;
	return 0;
}

void pm_later_free(struct pm_dev *d)
{
	for (; pm_later_any(d); d->later_from++)
		free(d->later[d->later_from].arg);
	free(d->later);
	d->later = NULL;
	d->later_from = d->nlater = d->cap_later = 0;
}

int pm_later_run(struct pm_dev *d, uint64_t until, bool wait, struct pm_err *e)
{
	int r;

	if (d->untold.status != PM_DONE) {
		*e = d->untold;
		d->untold.status = PM_DONE;
		return -1;
	}
	while (pm_later_any(d) && d->later[d->later_from].number <= until) {
		struct pm_later l = d->later[d->later_from];

		r = l.kernel ? pm_helper_run(d, l.kernel, wait, e) : 0;
		if (r == 0 && l.kernel && !l.kernel->cl)
			return 0;
		if (r == 0)
			r = l.kernel ? pm_launch_now(l.kernel, l.launch, l.n, l.arg, l.number, e) : pm_zero_now(d, l.zeros, l.bytes, NULL, e);
		if (r < 0) {
			pm_later_free(d);       /* what follows would work on what is not there */
			return -1;
		}
		free(l.arg);
		d->later_from++;
	}
	return 0;
}
