#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "harness.h"

struct row {
	struct op_case c;
	int64_t count;
};

static const struct row rows[] = {
	{{"16777216", .speed = true}, 16777216},
};

static int squares(struct pm_dev *d, struct pm_mem *m, int64_t count, double *out, struct pm_err *e)
{
	struct pm_squares_of one = {m, count, -1};
	int r = pm_sum_squares(d, &one, 1, e);

	*out = one.sum;
	return r;
}

static void sum(struct op_env *env, int64_t count, double *got)
{
	float *x = malloc((size_t)count * 4);
	struct pm_mem *m = NULL;
	struct pm_err e;
	struct pm_squares_of three[3];
	double want = 0, have = -1, half = -1, special = 0;
	int64_t i;
	int ok;

	for (i = 0; i < count; i++) {
		x[i] = pm_rng_normal(3, 1, (uint64_t)i) * (i % 1000 ? 1 : 100);
		want += (double)x[i] * (double)x[i];
	}
	ok = pm_mem_new(&m, env->dev, (size_t)count * 4, &e) == 0 && pm_mem_write(m, 0, x, (size_t)count * 4, &e) == 0 &&
		squares(env->dev, m, count, &have, &e) == 0;
	three[0] = three[2] = (struct pm_squares_of){m, count, -1};
	three[1] = (struct pm_squares_of){m, count / 2, -1};
	ok = ok && pm_sum_squares(env->dev, three, 3, &e) == 0 && squares(env->dev, m, count / 2, &half, &e) == 0;
	op_check(env, ok && three[0].sum == have && three[1].sum == half && three[2].sum == have, "%lld elements, three sums at once: %.10g %.10g %.10g, apart %.10g %.10g",
		(long long)count, three[0].sum, three[1].sum, three[2].sum, have, half);
	op_check(env, ok && fabs(have - want) <= 2e-7 * want, "%lld elements: %.10g, wanted %.10g", (long long)count, have, want);
	*got = have;
	for (i = 0; ok && i < 2; i++) {
		float bad = i ? -INFINITY : NAN;

		ok = pm_mem_write(m, (size_t)(count - 1) * 4, &bad, 4, &e) == 0 && squares(env->dev, m, count, &special, &e) == 0;
		op_check(env, ok && !isfinite(special), "%lld elements, one of them %g: %g", (long long)count, (double)bad, special);
	}
	pm_mem_free(m);
	free(x);
}

static void test(struct op_env *env)
{
	static const int64_t count[] = {1, 31, 1000, 16384, 16385, 1100003};
	static double fast[6];
	int i;

	for (i = 0; i < 6; i++) {
		double got;

		sum(env, count[i], &got);
		if (!strcmp(env->where, "fast"))
			fast[i] = got;
		if (!strcmp(env->where, "one thread"))
			op_check(env, got == fast[i], "%lld elements: %.17g, with all threads %.17g", (long long)count[i], got, fast[i]);
	}
}

static int speed(struct pm_dev *d, const void *row, void **keep, struct pm_err *e)
{
	const struct row *r = row;
	double ignored;

	if (!r) {
		pm_mem_free(*keep);
		return 0;
	}
	if (!*keep) {
		struct pm_mem *m;

		if (pm_mem_new(&m, d, (size_t)r->count * 4, e) < 0 || pm_mem_zero(m, 0, (size_t)r->count * 4, e) < 0)
			return -1;
		*keep = m;
	}
	return squares(d, *keep, r->count, &ignored, e);
}

static void cost(const void *row, double *flops, double *bytes, double *back)
{
	*flops = 2.0 * (double)((const struct row *)row)->count;
	*bytes = 4.0 * (double)((const struct row *)row)->count;
	*back = 0;
}

const struct op_test op_test_reduce = {.name = "reduce", OP_TABLE(rows), .test = test, .speed = speed, .cost = cost};
