/* verify.c: what a case must hold: outputs, gradients, bits. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "base/str.h"
#include "run.h"

#define STEP 1e-4                       /* of central differences; inputs are about 1 */
#define ALL 48                          /* inputs of so few elements are probed in all of them */
#define SOME 12                         /* others in so many, */
#define DIRECTIONS 4                    /* and in so many random directions */

/* Collected remarks; none means that all is well. */
struct op_report {
	struct pm_str text;
	int faults;
};

__attribute__((format(printf, 2, 3))) static void fault(struct op_report *p, const char *fmt, ...)
{
	char line[600];
	struct pm_err e;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (p->faults++ < 20)
		pm_str_printf(&p->text, &e, "# %s\n", line);
}

void op_check(struct op_env *env, bool ok, const char *fmt, ...)
{
	char line[500];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	if (!ok)
		fault(env->report, "%s: %s", env->where, line);
}

struct pm_mem *op_floats(struct op_env *env, const float *x, size_t n)
{
	struct pm_mem *m = NULL;
	struct pm_err e;

	if (pm_mem_new(&m, env->dev, n * 4, &e) < 0 || pm_mem_write(m, 0, x, n * 4, &e) < 0)
		op_check(env, false, "%s", e.text);
	return m;
}

/* ---- the reference and its derivatives ---- */

struct probe {
	int in;
	int64_t at;                             /* an element, or −1 − number of a direction */
	double value;                           /* the derivative of sum(dy · y) */
};

struct expected {
	double *out[MAX_OUT];
	struct probe *probe;
	size_t n, cap;
};

static double direction(const struct op_data *d, int in, int64_t number, int64_t i)
{
	return pm_rng_normal(d->seed, 3000 + 100 * (uint32_t)in + (uint32_t)number, (uint64_t)i);
}

static double weighted(const struct op_data *d, const double *const *in, double *const *out)
{
	double sum = 0;
	int64_t i;
	int k;

	d->t->ref(d->row, in, out);
	for (k = 0; k < d->nout; k++)
		for (i = 0; d->out[k].dy && i < d->out[k].rows * d->out[k].cols; i++)
			sum += d->out[k].dy[i] * out[k][i];
	return sum;
}

static double derivative(const struct op_data *d, const double **in, double *const *tmp, const struct probe *p)
{
	const struct op_in *t = &d->in[p->in].d;
	const double *old = in[p->in];
	int64_t n = t->rows * t->cols, i;
	double *moved = calloc((size_t)n, sizeof *moved), side[2];
	int s;

	for (s = 0; s < 2; s++) {
		double h = s ? STEP : -STEP;

		for (i = 0; i < n; i++)
			moved[i] = old[i] + (p->at < 0 ? h * direction(d, p->in, -1 - p->at, i) : i == p->at ? h : 0);
		in[p->in] = moved;
		side[s] = weighted(d, in, tmp);
	}
	in[p->in] = old;
	free(moved);
	return (side[1] - side[0]) / (2 * STEP);
}

static void add_probe(struct expected *x, int in, int64_t at)
{
	struct pm_err e;

	if (pm_grow(&x->probe, &x->cap, x->n + 1, sizeof *x->probe, &e) == 0)
		x->probe[x->n++] = (struct probe){in, at, 0};
}

static void expect(const struct op_data *d, struct expected *x)
{
	const double *in[MAX_IN] = {0};
	double *tmp[MAX_OUT] = {0};
	size_t p;
	int64_t i;
	int k;

	for (k = 0; k < d->nin; k++)
		in[k] = d->in[k].v;
	for (k = 0; k < d->nout; k++) {
		x->out[k] = calloc((size_t)(d->out[k].rows * d->out[k].cols), sizeof(double));
		tmp[k] = calloc((size_t)(d->out[k].rows * d->out[k].cols), sizeof(double));
	}
	d->t->ref(d->row, in, x->out);
	for (k = 0; k < d->nin; k++) {
		int64_t n = d->in[k].none || !(d->in[k].d.flags & OP_GRAD) ? 0 : d->in[k].d.rows * d->in[k].d.cols;

		for (i = 0; i < (n > ALL ? SOME : n); i++)
			add_probe(x, k, n > ALL ? (int64_t)(pm_rng_u32(d->seed, 4000 + (uint32_t)k, (uint64_t)i) % (uint64_t)n) : i);
		for (i = 0; n && i < DIRECTIONS; i++)
			add_probe(x, k, -1 - i);
	}
	for (p = 0; p < x->n; p++)
		x->probe[p].value = derivative(d, in, tmp, &x->probe[p]);
	for (k = 0; k < d->nout; k++)
		free(tmp[k]);
}

static void expected_free(struct expected *x)
{
	int k;

	for (k = 0; k < MAX_OUT; k++)
		free(x->out[k]);
	free(x->probe);
}

/* ---- comparisons ---- */

static void check_outputs(struct op_report *p, const struct op_data *d, const struct expected *x, const struct op_result *r, const char *where, double tol)
{
	int64_t i, n, bad;
	int k;

	for (k = 0; k < d->nout; k++) {
		double sum = 0, allowed, worst = -1, least = d->out[k].type == PM_F16 ? 1e-3 : d->out[k].type == PM_BF16 ? 8e-3 : 0;
		double t = tol > least ? tol : least;

		n = d->out[k].rows * d->out[k].cols;
		for (i = 0; i < n; i++)
			sum += x->out[k][i] * x->out[k][i];
		for (i = 0, bad = -1; i < n; i++) {
			allowed = t * (fabs(x->out[k][i]) + sqrt(sum / (double)n));
			if (!(fabs((double)r->out[k][i] - x->out[k][i]) <= allowed)) {
				double off = isnan(r->out[k][i]) ? HUGE_VAL : fabs((double)r->out[k][i] - x->out[k][i]);

				bad = off > worst ? i : bad;
				worst = off > worst ? off : worst;
			}
		}
		if (bad >= 0)
			fault(p, "%s: output %d [%lld, %lld]: %.9g, the reference has %.9g (rms %.3g, tolerance %.1g)", where, k,
				(long long)(bad / d->out[k].cols), (long long)(bad % d->out[k].cols), (double)r->out[k][bad], x->out[k][bad],
				sqrt(sum / (double)n), t);
	}
}

/* With `second`, what came from elsewhere is taken off first. */
static void check_gradients(struct op_report *p, const struct op_data *d, const struct expected *x, const struct op_result *r, const char *where,
	double tol, bool second)
{
	size_t i;
	int64_t j;
	int k;

	if (!r->pads)
		fault(p, "%s: the gradient beside a view is not zero", where);
	for (k = 0; k < d->nin; k++) {
		const struct op_in *t = &d->in[k].d;
		int64_t n = t->rows * t->cols, wide = t->cols + (t->flags & OP_VIEW ? PAD_LEFT + PAD_RIGHT : 0), left = t->flags & OP_VIEW ? PAD_LEFT : 0;
		double sum = 0, *g;

		if (d->in[k].none || !(t->flags & OP_GRAD))
			continue;
		if (!r->grad[k]) {
			fault(p, "%s: no gradient of input %d '%s'", where, k, t->name);
			continue;
		}
		g = calloc((size_t)n, sizeof *g);
		for (j = 0; j < n; j++) {
			g[j] = r->grad[k][j];
			if (second)
				g[j] -= (t->flags & OP_ROWS ? 1.5 : 1) * op_before(d, k, j / t->cols * wide + left + j % t->cols);
			sum += g[j] * g[j];
		}
		for (i = 0; i < x->n; i++) {
			const struct probe *q = &x->probe[i];
			double have = 0, allowed;

			if (q->in != k)
				continue;
			for (j = 0; q->at < 0 && j < n; j++)
				have += g[j] * direction(d, k, -1 - q->at, j);
			if (q->at >= 0)
				have = g[q->at];
			allowed = q->at < 0 ? tol * sqrt(sum) * 4 : tol * (fabs(q->value) + sqrt(sum / (double)n));
			allowed += 1e-8 + (second ? 1e-6 * (q->at < 0 ? sqrt((double)n) * 4 : 4) : 0);
			if (fabs(have - q->value) <= allowed)
				continue;
			if (q->at < 0)
				fault(p, "%s: gradient of input %d '%s' along direction %lld: %.9g, differences of the reference give %.9g (allowed %.1g)",
					where, k, t->name, (long long)(-1 - q->at), have, q->value, allowed);
			else
				fault(p, "%s: gradient of input %d '%s' [%lld, %lld]: %.9g, differences of the reference give %.9g (allowed %.1g)",
					where, k, t->name, (long long)(q->at / t->cols), (long long)(q->at % t->cols), have, q->value, allowed);
		}
		free(g);
	}
}

static void check_bits(struct op_report *p, const struct op_data *d, const struct op_result *a, const struct op_result *b, bool grads,
	const char *where, const char *what)
{
	int64_t i, n;
	int k;

	for (k = 0; k < d->nout; k++) {
		n = d->out[k].rows * d->out[k].cols;
		for (i = 0; i < n && !memcmp(&a->out[k][i], &b->out[k][i], 4);)
			i++;
		if (i < n)
			fault(p, "%s: %s changes bits of output %d [%lld, %lld]: %.9g and %.9g", where, what, k, (long long)(i / d->out[k].cols),
				(long long)(i % d->out[k].cols), (double)a->out[k][i], (double)b->out[k][i]);
	}
	for (k = 0; grads && k < d->nin; k++) {
		n = d->in[k].d.rows * d->in[k].d.cols;
		for (i = 0; a->grad[k] && b->grad[k] && i < n && !memcmp(&a->grad[k][i], &b->grad[k][i], 4);)
			i++;
		if (a->grad[k] && b->grad[k] && i < n)
			fault(p, "%s: %s changes bits of the gradient of '%s' [%lld, %lld]: %.9g and %.9g", where, what, d->in[k].d.name,
				(long long)(i / d->in[k].d.cols), (long long)(i % d->in[k].d.cols), (double)a->grad[k][i], (double)b->grad[k][i]);
	}
}

/* ---- a case ---- */

static bool wants_gradients(const struct op_data *d)
{
	bool want = false;
	int k;

	for (k = 0; k < d->nin; k++)
		want = want || (!d->in[k].none && d->in[k].d.flags & OP_GRAD);
	return want;
}

/* Runs in another way and compares bits with `first`. */
static void again(struct op_report *p, struct op_data *d, const struct op_how *how, const struct op_result *first, const char *what,
	void (*also)(struct op_report *, const struct op_data *, const struct op_result *, const void *), const void *arg)
{
	struct op_result r;
	struct pm_err e;

	if (op_execute(d, how, &r, &e) < 0) {
		fault(p, "%s: %s: %s", how->where, what, e.text);
		return;
	}
	check_bits(p, d, first, &r, how->grad && !how->second, how->where, what);
	if (also)
		also(p, d, &r, arg);
	op_result_free(&r);
}

struct second {
	const struct expected *x;
	const char *where;
	double tol;
};

static void check_second(struct op_report *p, const struct op_data *d, const struct op_result *r, const void *arg)
{
	const struct second *s = arg;

	check_gradients(p, d, s->x, r, s->where, s->tol, true);
}

static void on_device(struct op_report *p, struct op_data *d, struct expected *x, struct pm_dev *dev, struct pm_dev *one, const char *where, bool portable)
{
	const struct op_case *c = d->c;
	bool rough = (c->bf16 || c->int8) && !portable;
	double tol = rough ? (c->tol > 2e-2 ? c->tol : 2e-2) : c->tol > 0 ? c->tol : 1e-5;
	double gtol = rough ? (c->gtol > 5e-2 ? c->gtol : 5e-2) : c->gtol > 0 ? c->gtol : 5e-5;
	struct op_how how = {.dev = dev, .where = where, .portable = portable, .keep = true, .fill = 0xff}, other;
	struct op_result first;
	struct pm_err e;

	if (!x->out[0]) {
		/* a first forward run shapes the data */
		if (op_execute(d, &how, &first, &e) < 0) {
			fault(p, "%s: %s", where, e.text);
			return;
		}
		op_result_free(&first);
		expect(d, x);
	}
	how.grad = wants_gradients(d);
	if (op_execute(d, &how, &first, &e) < 0) {
		fault(p, "%s: %s", where, e.text);
		return;
	}
	check_outputs(p, d, x, &first, where, tol);
	if (how.grad)
		check_gradients(p, d, x, &first, where, gtol, false);
	other = how;
	other.keep = false;
	other.fill = 0;
	again(p, d, &other, &first, "a second run in reused memory", NULL, NULL);
	other = how;
	other.keep = false;
	other.second = true;
	if (how.grad)
		again(p, d, &other, &first, "a gradient that is added", check_second, &(struct second){x, where, gtol});
	other.second = false;
	other.checkpoint = true;
	if (how.grad)
		again(p, d, &other, &first, "checkpointing", NULL, NULL);
	other.checkpoint = other.grad = false;
	again(p, d, &other, &first, "a run without gradients", NULL, NULL);
	other = how;
	other.dev = one;
	if (one)
		again(p, d, &other, &first, "one thread", NULL, NULL);
	other = how;
	other.keep = false;
	other.fresh = how.grad;
	if (how.grad)
		again(p, d, &other, &first, "gradients that are not zeroed before", NULL, NULL);
	other.parts = c->period ? c->T / c->period : 1;
	if (other.parts > 1)
		again(p, d, &other, &first, "splitting the batch", NULL, NULL);
	op_result_free(&first);
}

static void say(struct op_harness *h, struct op_report *p, const char *test, const char *name)
{
	printf("%s %d - %s: %s\n", p->faults ? "not ok" : "ok", ++h->number, test, name);
	if (p->faults)
		fwrite(p->text.data, 1, p->text.len, stdout);
	fflush(stdout);
	h->failed += p->faults != 0;
	pm_str_free(&p->text);
}

void op_run_test(struct op_harness *h, const struct op_test *t)
{
	size_t i;

	for (i = 0; t->build && i < t->n; i++) {
		const void *row = (const char *)t->rows + i * t->size;
		const struct op_case *c = row;
		struct op_data d = {.t = t, .row = row, .c = c, .seed = 77 + i};
		struct expected x = {0};
		struct op_report p = {0};

		if (c->speed || (h->only && !strstr(c->name, h->only)))
			continue;
		on_device(&p, &d, &x, h->portable, NULL, "portable", true);
		on_device(&p, &d, &x, h->fast, h->one, "fast", false);
		say(h, &p, t->name, c->name);
		expected_free(&x);
		op_data_free(&d);
	}
	if (t->test && !h->only) {
		struct op_report p = {0};
		struct op_env env = {.report = &p};

		env.dev = h->portable;
		env.where = "portable";
		t->test(&env);
		env.dev = h->fast;
		env.where = "fast";
		t->test(&env);
		env.dev = h->one;
		env.where = "one thread";
		if (h->one)
			t->test(&env);
		say(h, &p, t->name, "outside graphs");
	}
}

/* ---- speed ---- */

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Seconds of one run: the best of several, each long enough to be measured. */
static double best_time(int (*once)(void *, struct pm_err *), void *arg, struct pm_dev *d, struct pm_err *e)
{
	double best = HUGE_VAL, t, begin;
	int runs = 1, i;

	if (once(arg, e) < 0 || pm_dev_finish(d, e) < 0)
		return -1;
	begin = now();                  /* the first run may have compiled */
	do {
		t = now();
		for (i = 0; i < runs; i++)
			if (once(arg, e) < 0)
				return -1;
		if (pm_dev_finish(d, e) < 0)
			return -1;
		t = now() - t;
		if (t / runs < best)
			best = t / runs;
		if (t < 0.02)
			runs *= 2;
	} while (now() - begin < 0.6);
	return best;
}

static int run_plan(void *arg, struct pm_err *e)
{
	return pm_plan_run(arg, e);
}

struct outside {
	const struct op_test *t;
	struct pm_dev *d;
	const void *row;
	void *keep;
};

static int run_outside(void *arg, struct pm_err *e)
{
	struct outside *o = arg;

	return o->t->speed(o->d, o->row, &o->keep, e);
}

static void print_speed(const char *test, const char *name, const char *what, double s, double flops, double bytes)
{
	printf("%-10s %-34s %-8s %10.3f ms %8.1f GB/s %8.1f GFLOP/s\n", test, name, what, s * 1e3, bytes / s / 1e9, flops / s / 1e9);
	fflush(stdout);
}

static int speed_of_graph(struct op_harness *h, const struct op_test *t, const void *row, struct pm_err *e)
{
	struct op_data d = {.t = t, .row = row, .c = row, .seed = 7};
	double seconds[2] = {0}, flops = 0, bytes = 0, back = 2;
	int grad, r = 0;

	if (t->cost)
		t->cost(row, &flops, &bytes, &back);
	for (grad = 0; r == 0 && grad < 2; grad++) {
		struct op_run run = {.data = &d, .how = {.dev = h->fast, .grad = grad, .direct = true}};

		if (grad && !wants_gradients(&d))
			break;
		r = op_prepare(&run, e);
		if (r == 0 && (seconds[grad] = best_time(run_plan, run.plan, h->fast, e)) < 0)
			r = -1;
		op_run_end(&run);
	}
	if (r == 0)
		print_speed(t->name, d.c->name, "forward", seconds[0], flops, bytes);
	if (r == 0 && grad == 2)
		print_speed(t->name, d.c->name, "backward", seconds[1] - seconds[0], back * flops, back * bytes);
	op_data_free(&d);
	return r;
}

void op_run_speed(struct op_harness *h, const struct op_test *t)
{
	size_t i;

	for (i = 0; i < t->n; i++) {
		const void *row = (const char *)t->rows + i * t->size;
		const struct op_case *c = row;
		struct outside o = {t, h->fast, row, NULL};
		struct pm_err e;
		int r = 0;

		if (!c->speed || (h->only && !strstr(c->name, h->only)))
			continue;
		if (t->build) {
			r = speed_of_graph(h, t, row, &e);
		} else {
			double flops = 0, bytes = 0, back = 0, s = best_time(run_outside, &o, h->fast, &e);
			struct pm_err ignored;

			t->cost(row, &flops, &bytes, &back);
			r = s < 0 ? -1 : 0;
			if (r == 0)
				print_speed(t->name, c->name, "", s, flops, bytes);
			o.row = NULL;
			if (o.keep)
				run_outside(&o, &ignored);
		}
		if (r < 0) {
			printf("%-10s %-34s failed: %s\n", t->name, c->name, e.text);
			h->failed++;
		}
	}
}
