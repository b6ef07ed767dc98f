#include "train/loop.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

struct metrics {
	FILE *f;
	const char *path;
};

/* Opens for appending, cut back to `bytes` (−1: to nothing). */
static int metrics_open(struct metrics *m, const char *path, int64_t bytes, struct pm_err *e)
{
	struct stat st;

	*m = (struct metrics){.path = path};
	if (!path)
		return 0;
	if (!strcmp(path, "-")) {
		m->f = stdout;
		return 0;
	}
	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode))       /* a pipe, a device: nothing to cut */
		bytes = -1;
	m->f = fopen(path, bytes < 0 ? "wbe" : "r+be");
	if (!m->f && bytes >= 0 && errno == ENOENT)
		m->f = fopen(path, "wbe");
	if (!m->f) {
		pm_fail_errno(e, PM_NOCREATE, "%s: cannot create", path);
		e->status = e->status == PM_NOINPUT ? PM_NOCREATE : e->status;
		return -1;
	}
	if (bytes < 0)
		return 0;
	if (fseeko(m->f, 0, SEEK_END) < 0 || (ftello(m->f) > bytes && ftruncate(fileno(m->f), bytes) < 0) || fseeko(m->f, 0, SEEK_END) < 0)
		return pm_fail_errno(e, PM_IOERR, "%s", path);
	return 0;
}

/* A line is out before the next step begins, so whoever watches or a crash loses nothing. */
static int metrics_line(const struct metrics *m, struct pm_err *e, const char *fmt, ...) PM_PRINTF(3, 4);

static int metrics_line(const struct metrics *m, struct pm_err *e, const char *fmt, ...)
{
	va_list ap;
	int r;

	if (!m->f)
		return 0;
	va_start(ap, fmt);
	r = vfprintf(m->f, fmt, ap);
	va_end(ap);
	return r < 0 || fflush(m->f) ? pm_fail_errno(e, PM_IOERR, "%s: cannot write", m->path) : 0;
}

static double peak_mb(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)u.ru_maxrss / 1024;
}

/* Losses and norms are checked to be finite before they come here. */
static int step_line(const struct metrics *m, const struct pm_step *s, struct pm_err *e)
{
	char balance[64] = "";

	if (s->balance > 0)
		snprintf(balance, sizeof balance, "\"router_aux_loss\":%.9g,", s->balance);
	return metrics_line(m, e, "{\"step\":%lld,\"epoch\":%.6g,\"loss\":%.9g,%s\"grad_norm\":%.9g,\"lr\":%.12g,\"tokens\":%lld,\"trained\":%lld,"
	    "\"seconds\":%.6g,\"tokens_per_s\":%.6g,\"peak_rss_mb\":%.1f}\n", (long long)s->step, s->epoch, s->loss, balance, s->grad_norm, s->lr,
	    (long long)s->tokens, (long long)s->trained, s->seconds, (double)s->tokens / (s->seconds > 0 ? s->seconds : 1), peak_mb());
}

static int evaluate(struct pm_trainer *t, const struct pm_loop *l, struct metrics *m, struct pm_err *e)
{
	double loss, weight;

	if (pm_trainer_eval(t, l->held_out, &loss, &weight, e) < 0)
		return pm_ctx(e, "evaluation");
	if (!isfinite(loss))
		return pm_fail(e, PM_DATA, "evaluation after step %lld: the loss is not finite", (long long)t->done);
	return metrics_line(m, e, "{\"step\":%lld,\"eval_loss\":%.9g,\"eval_tokens\":%.9g}\n", (long long)t->done, loss, weight);
}

static int save(struct pm_trainer *t, const struct pm_loop *l, struct metrics *m, struct pm_err *e)
{
	struct pm_state s = {.step = t->done, .metrics = -1, .run = l->run, .base = l->base, .provenance = l->provenance};

	if (m->f && m->f != stdout)
		s.metrics = ftello(m->f);
	if (pm_state_save(t, l->out, &s, e) < 0)
		return pm_ctx(e, "checkpoint");
	return pm_state_prune(l->out, l->keep, e);
}

static int resume(struct pm_trainer *t, const struct pm_loop *l, int64_t *metrics, struct pm_err *e)
{
	struct pm_state s = {.run = l->run};
	char *dir = NULL;
	int r = pm_state_clean(l->out, e);

	if (r == 0)
		r = pm_state_newest(&dir, l->out, e);
	if (r < 0 || !dir)
		return r;
	r = pm_state_check(&s, dir, e);
	if (r == 0)
		r = pm_state_load(t, dir, e);
	if (r == 0) {
		t->done = s.step;
		*metrics = s.metrics < 0 ? 0 : s.metrics;
	}
	free(dir);
	return r;
}

static int finish(struct pm_trainer *t, const struct pm_loop *l, struct pm_err *e)
{
	char *path = pm_path(l->out, "provenance.json", e);
	int r = path && pm_mkdirs(l->out, e) == 0 ? pm_state_write_json(path, l->made, e) : -1;

	free(path);
	if (r < 0)
		return -1;
	if (t->adapters && l->gguf) {
		path = pm_path(l->out, "adapter.gguf", e);
		r = path ? pm_adapters_save_gguf(t->adapters, t->model->spec, path, l->gguf, e) : -1;
		free(path);
		if (r < 0)
			return -1;
	}
	if (t->adapters)
		return pm_adapters_save(t->adapters, l->out, l->base, l->provenance, e);
	return pm_model_save(t->model, l->out, l->type, l->provenance, e);
}

int pm_loop_run(struct pm_trainer *t, const struct pm_loop *l, int *stopped, struct pm_err *e)
{
	struct metrics m = {0};
	struct pm_step s;
	int64_t bytes = -1, saved = -1;
	int r = l->resume ? resume(t, l, &bytes, e) : 0;

	*stopped = 0;
	if (r == 0)
		r = pm_mkdirs(l->out, e);
	if (r == 0)
		r = metrics_open(&m, l->metrics, bytes, e);
	while (r == 0 && t->done < t->total && !*stopped) {
		r = pm_trainer_step(t, &s, l->clock, e);
		if (r == 0)
			r = step_line(&m, &s, e);
		if (r == 0 && l->on_step)
			l->on_step(l->arg, t, &s);
		if (r == 0 && l->held_out && (t->done == t->total || (l->eval_every && t->done % l->eval_every == 0)))
			r = evaluate(t, l, &m, e);
		*stopped = l->stop ? l->stop() : 0;
		if (r == 0 && t->done < t->total && (*stopped || (l->save_every && t->done % l->save_every == 0))) {
			r = save(t, l, &m, e);
			saved = t->done;
		}
	}
	if (r == 0 && !*stopped && saved != t->done && l->save_every)
		r = save(t, l, &m, e);
	if (r == 0 && !(*stopped && t->done < t->total))
		r = finish(t, l, e);
	if (t->done == t->total)
		*stopped = 0;
	if (m.f && m.f != stdout && fclose(m.f) && r == 0)
		r = pm_fail_errno(e, PM_IOERR, "%s: cannot write", m.path);
	return r;
}
