#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "harness.h"

struct row {
	struct op_case c;
	int64_t vocab;
	struct pm_sample_row how;
};

static const struct row rows[] = {
	{{"greedy 128256", .speed = true}, 128256, {0, 1, 0, 1, 0, 1, 1, 0, NULL, 0}},
	{{"temperature 128256", .speed = true}, 128256, {1, 1, 0, 1, 0, 1, 1, 0, NULL, 0}},
	{{"top-p 0.9 128256", .speed = true}, 128256, {1, 0.9f, 0, 1, 0, 1, 1, 0, NULL, 0}},
	{{"top-k 50 top-p 0.9 128256", .speed = true}, 128256, {1, 0.9f, 0, 1, 50, 1, 1, 0, NULL, 0}},
};

/* ---- a sampler in plain C ---- */

struct token { double l, p; int id; };

static int likelier(const void *a, const void *b)
{
	const struct token *x = a, *y = b;

	return x->l != y->l ? (x->l < y->l ? 1 : -1) : x->id - y->id;
}

static int by_id(const void *a, const void *b)
{
	return ((const struct token *)a)->id - ((const struct token *)b)->id;
}

static int plain(const float *logits, int n, const struct pm_sample_row *h)
{
	struct token *t = calloc((size_t)n, sizeof *t);
	double sum = 0, before = 0, target;
	int kept = n, i, id;
	size_t s;

	for (i = 0; i < n; i++)
		t[i] = (struct token){(double)logits[i], 0, i};
	for (s = 0; s < h->nseen; s++) {
		double l = (double)logits[h->seen[s]];

		t[h->seen[s]].l = l < 0 ? l * (double)h->penalty : l / (double)h->penalty;
	}
	qsort(t, (size_t)n, sizeof *t, likelier);
	id = t[0].id;
	if (h->temperature > 0) {
		for (i = 0; i < n; i++)
			t[i].p = exp((t[i].l - t[0].l) / (double)h->temperature);
		if (h->top_k > 0 && h->top_k < n)
			for (kept = h->top_k; kept < n && t[kept].l == t[h->top_k - 1].l;)
				kept++;
		for (i = 0; i < kept; i++)
			sum += t[i].p;
		for (i = 0; h->top_p < 1 && i < kept; i++) {
			if (i && t[i].l != t[i - 1].l && before >= (double)h->top_p * sum)
				kept = i;
			before += t[i].p;
		}
		while (kept > 1 && t[kept - 1].p < (double)h->min_p)
			kept--;
		qsort(t, (size_t)kept, sizeof *t, by_id);
		for (i = 0, sum = 0; i < kept; i++)
			sum += t[i].p;
		target = (double)pm_rng_uniform(h->seed, h->stream, h->index) * sum;
		for (i = 0, sum = 0; i < kept && sum <= target; i++) {
			sum += t[i].p;
			id = t[i].id;
		}
	}
	free(t);
	return id;
}

/* ---- comparisons ---- */

#define ROWS 9

static void compare(struct op_env *env, int vocab, uint64_t seed)
{
	static const struct pm_sample_row setting[ROWS] = {
		{0, 1, 0, 1, 0, 0, 0, 0, NULL, 0}, {1, 1, 0, 1, 0, 0, 0, 0, NULL, 0}, {0.7f, 1, 0, 1, 5, 0, 0, 0, NULL, 0},
		{1.3f, 0.9f, 0, 1, 0, 0, 0, 0, NULL, 0}, {1, 0.5f, 0, 1, 40, 0, 0, 0, NULL, 0}, {1, 1, 0.2f, 1, 0, 0, 0, 0, NULL, 0},
		{2, 0.95f, 0.05f, 1.5f, 100, 0, 0, 0, NULL, 0}, {0, 1, 0, 2, 0, 0, 0, 0, NULL, 0}, {1, 0, 0, 1, 0, 0, 0, 0, NULL, 0},
	};
	float *logits = malloc((size_t)vocab * ROWS * 4);
	struct pm_sample_row how[ROWS];
	int32_t seen[40], ids[ROWS], alone = -2;
	struct pm_mem *m = NULL;
	struct pm_err e;
	int i, r, ok;

	for (i = 0; i < vocab * ROWS; i++)
		logits[i] = 3 * pm_rng_normal(seed, 1, (uint64_t)i);
	for (i = 0; i < 40; i++)
		seen[i] = (int32_t)(pm_rng_u32(seed, 2, (uint64_t)i / 2) % (uint32_t)vocab);    /* each twice */
	for (r = 0; r < ROWS; r++) {
		how[r] = setting[r];
		how[r].seed = seed << 30 | 5;
		how[r].index = seed + 1000 * (uint64_t)r + ((uint64_t)r << 33);
		how[r].stream = (uint32_t)r;
		if (how[r].penalty != 1) {
			/* greedy repeats itself: the largest is among the seen */
			how[r].seen = seen;
			how[r].nseen = 40;
			for (i = 0; i < vocab; i++)
				if (logits[r * vocab + i] > logits[r * vocab + seen[0]])
					seen[0] = i;
		}
	}
	ok = pm_mem_new(&m, env->dev, (size_t)vocab * ROWS * 4, &e) == 0 && pm_mem_write(m, 0, logits, (size_t)vocab * ROWS * 4, &e) == 0 &&
		pm_sample(env->dev, m, ROWS, vocab, how, ids, &e) == 0;
	op_check(env, ok, "%s", ok ? "" : e.text);
	for (r = 0; ok && r < ROWS; r++) {
		int want = plain(logits + (ptrdiff_t)r * vocab, vocab, &how[r]);

		op_check(env, ids[r] == want, "vocabulary %d, seed %d, row %d: token %d, wanted %d", vocab, (int)seed, r, (int)ids[r], want);
	}
	if (ok) {
		/* a row depends on itself alone */
		ok = pm_mem_write(m, 0, logits + (ptrdiff_t)4 * vocab, (size_t)vocab * 4, &e) == 0 && pm_sample(env->dev, m, 1, vocab, &how[4], &alone, &e) == 0;
		op_check(env, ok && alone == ids[4], "row 4 alone gives %d, among others %d", (int)alone, (int)ids[4]);
	}
	pm_mem_free(m);
	free(logits);
}

static int one(struct op_env *env, const float *logits, int vocab, struct pm_sample_row how, struct pm_err *e)
{
	struct pm_mem *m = NULL;
	int32_t id = -2;

	how.seed = 1;
	if (pm_mem_new(&m, env->dev, (size_t)vocab * 4, e) == 0 && pm_mem_write(m, 0, logits, (size_t)vocab * 4, e) == 0 &&
	    pm_sample(env->dev, m, 1, vocab, &how, &id, e) < 0)
		id = e->status == PM_DATA ? -1 : -3;
	pm_mem_free(m);
	return id;
}

static void edges(struct op_env *env)
{
	struct pm_sample_row greedy = {0, 1, 0, 1, 0, 0, 0, 0, NULL, 0}, warm = {1, 1, 0, 1, 0, 0, 0, 0, NULL, 0}, cold = {1e-30f, 1, 0, 1, 0, 0, 0, 0, NULL, 0};
	float l[300] = {0}, low[20];
	struct pm_err e;
	int i;

	for (i = 0; i < 20; i++)
		low[i] = -3e38f;
	l[17] = l[33] = l[40] = l[256] = 5;                    /* 17 and 33 share a lane */
	op_check(env, one(env, l, 300, greedy, &e) == 17, "greedy takes the lowest id of equals, not %d", one(env, l, 300, greedy, &e));
	op_check(env, one(env, l + 17, 3, greedy, &e) == 0 && one(env, l + 16, 17, greedy, &e) == 1, "greedy in short rows");
	op_check(env, one(env, low, 20, greedy, &e) == 0, "greedy among the lowest floats");
	l[40] = 6;
	op_check(env, one(env, l, 300, cold, &e) == 40, "a temperature of almost 0 is greedy, not %d", one(env, l, 300, cold, &e));
	l[3] = 1e30f;
	op_check(env, one(env, l, 300, warm, &e) == 3, "huge logits");
	for (i = 0; i < 3; i++) {
		l[i ? 299 : 5] = i == 0 ? NAN : i == 1 ? INFINITY : -INFINITY;
		op_check(env, one(env, l, 300, greedy, &e) == -1 && one(env, l, 300, warm, &e) == -1, "logits that are not finite are status 65");
		l[5] = 0;
	}
}

static void test(struct op_env *env)
{
	static const int vocab[] = {1, 7, 31, 33, 1000, 5003};
	uint64_t seed;
	int v;

	for (v = 0; v < 6; v++)
		for (seed = 1; seed <= (vocab[v] > 500 ? 3 : 6); seed++)
			compare(env, vocab[v], seed * 77);
	edges(env);
}

static int speed(struct pm_dev *d, const void *row, void **keep, struct pm_err *e)
{
	const struct row *r = row;
	int32_t id;

	if (!r) {
		pm_mem_free(*keep);
		return 0;
	}
	if (!*keep) {
		float *l = malloc((size_t)r->vocab * 4);
		struct pm_mem *m;
		int64_t i;
		int bad;

		for (i = 0; i < r->vocab; i++)
			l[i] = 3 * pm_rng_normal(1, 1, (uint64_t)i);
		bad = pm_mem_new(&m, d, (size_t)r->vocab * 4, e) < 0 || pm_mem_write(m, 0, l, (size_t)r->vocab * 4, e) < 0;
		free(l);
		if (bad)
			return -1;
		*keep = m;
	}
	return pm_sample(d, *keep, 1, r->vocab, &r->how, &id, e);
}

static void cost(const void *row, double *flops, double *bytes, double *back)
{
	*flops = *back = 0;
	*bytes = 4.0 * (double)((const struct row *)row)->vocab;
}

const struct op_test op_test_sample = {.name = "sample", OP_TABLE(rows), .test = test, .speed = speed, .cost = cost};
