#include <math.h>
#include <stdlib.h>

#include "base/rng.h"
#include "harness.h"

struct row {
	struct op_case c;
	int64_t count;
};

static const struct row rows[] = {
	{{"16777216", .speed = true}, 16777216},
};

/* Two tensors, several steps: the recipe in plain C, in float. The bias correction counts steps, not tensors. */
static void two_tensors(struct op_env *env)
{
	static const int64_t count[2] = {1000, 5003};
	struct pm_adamw o = {.lr = 3e-2, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .decay = 0.1, .gscale = 0.37};
	struct pm_mem *mem[2][4] = {{0}};
	float *host[2][4] = {{0}}, *have = calloc(5003, 4);
	struct pm_err e;
	int64_t i, far = 0;
	int t, k, ok = 1;

	for (t = 0; t < 2; t++)
		for (k = 0; k < 4; k++) {
			host[t][k] = calloc((size_t)count[t], 4);
			for (i = 0; k < 2 && i < count[t]; i++)
				host[t][k][i] = pm_rng_normal(9, (uint32_t)(t * 4 + k), (uint64_t)i);
			ok = ok && pm_mem_new(&mem[t][k], env->dev, (size_t)count[t] * 4, &e) == 0 &&
				pm_mem_write(mem[t][k], 0, host[t][k], (size_t)count[t] * 4, &e) == 0;
		}
	for (o.step = 1; ok && o.step <= 4; o.step++)
		for (t = 0; ok && t < 2; t++) {
			float rate = (float)(o.lr / (1 - pow(o.beta1, (double)o.step))), root = (float)sqrt(1 - pow(o.beta2, (double)o.step));
			float keep = (float)(1 - o.lr * o.decay), b1 = (float)o.beta1, c1 = (float)(1 - o.beta1), b2 = (float)o.beta2, c2 = (float)(1 - o.beta2);

			ok = pm_adamw(env->dev, mem[t][0], mem[t][1], mem[t][2], mem[t][3], count[t], &o, &e) == 0;
			for (i = 0; i < count[t]; i++) {
				float g = (float)o.gscale * host[t][1][i], *m = &host[t][2][i], *v = &host[t][3][i], *p = &host[t][0][i];

				*m = b1 * *m + c1 * g;
				*v = b2 * *v + c2 * (g * g);
				*p = *p * keep - rate * *m / (sqrtf(*v) / root + (float)o.eps);
			}
		}
	for (t = 0; ok && t < 2; t++)
		for (k = 0; k < 4; k++) {
			ok = pm_mem_read(mem[t][k], 0, have, (size_t)count[t] * 4, &e) == 0;
			/* division and square root of a GPU may be off by some units in the last place */
			for (i = 0; ok && i < count[t]; i++)
				far += pm_dev_info(env->dev)->cpu ? have[i] != host[t][k][i] : fabsf(have[i] - host[t][k][i]) > 1e-5f * (1e-2f + fabsf(have[i]));
		}
	op_check(env, ok, "%s", ok ? "" : e.text);
	op_check(env, far == 0, "%lld elements differ from the recipe", (long long)far);
	for (t = 0; t < 2; t++)
		for (k = 0; k < 4; k++) {
			pm_mem_free(mem[t][k]);
			free(host[t][k]);
		}
	free(have);
}

/* Worked by hand: with g = 4 every step moves by lr · 1 / (1 + eps/…); p = 1, lr 0.1, decay 0.5: 1 · 0.95 − 0.1 = 0.85, then 0.85 · 0.95 − 0.1 = 0.7075. */
static void by_hand(struct op_env *env)
{
	struct pm_adamw o = {.lr = 0.1, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 0.5, .gscale = 2, .step = 1};
	float value[4] = {1, 2, 0, 0}, p[2] = {0, 0};
	struct pm_mem *m[4] = {0};
	struct pm_err e;
	int k, ok = 1;

	for (k = 0; k < 4; k++)
		ok = ok && pm_mem_new(&m[k], env->dev, 4, &e) == 0 && pm_mem_write(m[k], 0, &value[k], 4, &e) == 0;
	for (k = 0; ok && k < 2; k++, o.step++)
		ok = pm_adamw(env->dev, m[0], m[1], m[2], m[3], 1, &o, &e) == 0 && pm_mem_read(m[0], 0, &p[k], 4, &e) == 0;
	op_check(env, ok && fabsf(p[0] - 0.85f) < 1e-6f && fabsf(p[1] - 0.7075f) < 1e-6f, "two steps give %.7g and %.7g, not 0.85 and 0.7075", (double)p[0], (double)p[1]);
	for (k = 0; k < 4; k++)
		pm_mem_free(m[k]);
}

static void test(struct op_env *env)
{
	two_tensors(env);
	by_hand(env);
}

static int speed(struct pm_dev *d, const void *row, void **keep, struct pm_err *e)
{
	const struct row *r = row;
	struct pm_adamw o = {.lr = 1e-3, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .gscale = 1, .step = 5};
	struct pm_mem **m = *keep;
	int k;

	if (!r) {
		for (k = 0; k < 4; k++)
			pm_mem_free(m[k]);
		free(m);
		return 0;
	}
	if (!m) {
		m = *keep = calloc(4, sizeof *m);
		for (k = 0; k < 4; k++)
			if (pm_mem_new(&m[k], d, (size_t)r->count * 4, e) < 0 || pm_mem_zero(m[k], 0, (size_t)r->count * 4, e) < 0)
				return -1;
	}
	return pm_adamw(d, m[0], m[1], m[2], m[3], r->count, &o, e);
}

static void cost(const void *row, double *flops, double *bytes, double *back)
{
	*flops = 14.0 * (double)((const struct row *)row)->count;
	*bytes = 28.0 * (double)((const struct row *)row)->count;
	*back = 0;
}

const struct op_test op_test_adamw = {.name = "adamw", OP_TABLE(rows), .test = test, .speed = speed, .cost = cost};
