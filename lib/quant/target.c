/* Types for a size. For each tensor that may be quantised, every type that fits its columns is tried on a sample of its rows; the error is what its product's
 * output gets: sum v·(x − y)² / sum v·x², v the importance (mean square) of the columns. What is made small is the sum of that over the tensors, each
 * counting alike, so that a small tensor gets more bits than a large one of the same error. Beginning with the smallest types, the step is taken again and
 * again that buys most error for a byte: along the lower convex hull of each tensor's sizes and errors, which is what Lagrange's multiplier gives. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "quant/file.h"
#include "quant/quant.h"

#define SAMPLE 65536            /* values of a tensor that are tried, about */

static const enum pm_dtype candidates[] = {
	PM_IQ1_S, PM_IQ1_M, PM_IQ2_XXS, PM_IQ2_XS, PM_IQ2_S, PM_Q2_K, PM_IQ3_XXS, PM_IQ3_S, PM_Q3_K, PM_IQ4_XS, PM_IQ4_NL, PM_Q4_0, PM_Q4_K, PM_Q4_1,
	PM_Q5_0, PM_Q5_K, PM_Q5_1, PM_Q6_K, PM_Q8_0, PM_F16,
};

#define MOST (sizeof candidates / sizeof *candidates)

struct point {
	enum pm_dtype type;
	double bytes, error;
};

/* The points of a tensor that are worth taking: sizes go up, errors down, and each step buys less than the one before. */
struct curve {
	struct point p[MOST];
	size_t n, at;
};

static int by_size(const void *a, const void *b)
{
	const struct point *x = a, *y = b;

	return x->bytes != y->bytes ? (x->bytes > y->bytes) - (x->bytes < y->bytes) : (x->error > y->error) - (x->error < y->error);
}

static double gain(const struct point *a, const struct point *b)
{
	return (a->error - b->error) / (b->bytes - a->bytes);
}

static void hull(struct curve *c)
{
	size_t i, n = 0;

	qsort(c->p, c->n, sizeof *c->p, by_size);
	for (i = 0; i < c->n; i++) {
		if (n && (c->p[i].error >= c->p[n - 1].error || c->p[i].bytes <= c->p[n - 1].bytes))
			continue;
		while (n > 1 && gain(&c->p[n - 1], &c->p[i]) >= gain(&c->p[n - 2], &c->p[n - 1]))
			n--;
		c->p[n++] = c->p[i];
	}
	c->n = n;
}

/* The sampled rows of a tensor, evenly spread. */
struct sample {
	float *x;
	uint8_t *out;
	float *importance;
	size_t rows;
};

static void sample_free(struct sample *s)
{
	free(s->x);
	free(s->out);
	free(s->importance);
}

/* The row of a tensor that row i of its sample is. */
static size_t place(const struct sample *s, const struct pm_quant_item *t, size_t i)
{
	return (size_t)((double)(t->experts * t->rows) * ((double)i + 0.5) / (double)s->rows);
}

static int take_sample(struct sample *s, const struct pm_quant_plan *p, const struct pm_quant_item *t, struct pm_err *e)
{
	size_t all = t->experts * t->rows, want = (SAMPLE + t->cols - 1) / t->cols, i, at;
	float *whole = NULL;
	int r = 0;

	s->rows = want < all ? want : all;
	s->x = pm_alloc(s->rows * t->cols, sizeof *s->x, e);
	s->out = pm_alloc(s->rows * t->cols, sizeof(float), e);
	s->importance = pm_alloc(t->cols, sizeof *s->importance, e);
	if (!s->x || !s->out || !s->importance)
		return -1;
	if (!t->from->data) {
		whole = pm_alloc(all * t->cols, sizeof *whole, e);
		r = whole ? p->source->values(p->source->self, t->index, whole, e) : -1;
	}
	for (i = 0; r == 0 && i < s->rows; i++) {
		at = place(s, t, i);
		pm_quant_item_rows(s->x + i * t->cols, t, whole, at / t->rows, at % t->rows, 1);
	}
	free(whole);
	return r;
}

/* The error of one type: the sample's rows, those of an expert at a time. */
static int try_type(double *error, const struct sample *s, const struct pm_quant_plan *p, const struct pm_quant_item *t, enum pm_dtype type, struct pm_err *e)
{
	struct pm_quant_error sum = {0};
	size_t i, n, expert;

	for (i = 0; i < s->rows; i += n) {
		expert = place(s, t, i) / t->rows;
		for (n = 1; i + n < s->rows && place(s, t, i + n) / t->rows == expert; n++)
			;
		if (t->importance && pm_imatrix_importance(s->importance, t->importance, t->cols, t->experts, expert, e) < 0)
			return -1;
		if (pm_quant_rows(s->out, type, s->x + i * t->cols, PM_F32, n, t->cols, i, t->importance ? s->importance : NULL, p->opts->threads, &sum, e) < 0)
			return -1;
	}
	*error = sum.vxx > 0 ? sum.vee / sum.vxx : 0;
	return 0;
}

/* An item's importance, where it fits it. */
static void find_importance(const struct pm_quant_plan *p, struct pm_quant_item *t)
{
	struct pm_err none;
	float *v = malloc(t->cols * sizeof *v);

	t->importance = p->opts->imatrix ? pm_imatrix_find(p->opts->imatrix, t->from->name) : NULL;
	if (v && t->importance && pm_imatrix_importance(v, t->importance, t->cols, t->experts, 0, &none) < 0)
		t->importance = NULL;
	free(v);
}

static int measure(struct curve *c, const struct pm_quant_plan *p, struct pm_quant_item *t, struct pm_err *e)
{
	struct sample s = {0};
	double values = (double)t->experts * (double)t->rows;
	bool needs;
	size_t i;
	int r;

	find_importance(p, t);
	r = take_sample(&s, p, t, e);
	for (i = 0; r == 0 && i < MOST; i++) {
		struct point q = {.type = candidates[i], .bytes = values * (double)pm_dtype_bytes(candidates[i], t->cols)};

		if (t->cols % (size_t)pm_dtype(q.type)->block || !pm_quant_makes(q.type, &needs) ||
			(!t->importance && (needs || pm_mix_needs_importance("", q.type, p->type))))
			continue;
		r = try_type(&q.error, &s, p, t, q.type, e);
		c->p[c->n++] = q;
	}
	sample_free(&s);
	hull(c);
	return r < 0 ? pm_ctx(e, "tensor '%s'", t->from->name) : 0;
}

/* The file type whose base most values have. */
static const struct pm_file_type *main_type(const struct pm_quant_plan *p)
{
	const struct pm_file_type *best = p->type, *t;
	double most = 0, n;
	size_t i, k;

	for (k = 0; (t = pm_file_type_at(k)); k++) {
		for (i = 0, n = 0; i < p->n; i++)
			n += p->item[i].to == t->base ? (double)p->item[i].experts * (double)p->item[i].rows * (double)p->item[i].cols : 0;
		if (n > most) {
			most = n;
			best = t;
		}
	}
	return best;
}

/* Takes the best steps while there is room. Returns what all take. */
static double spend(struct curve *c, size_t n, double bytes, double room)
{
	for (;;) {
		size_t best = n, i;

		for (i = 0; i < n; i++) {
			const struct point *q = c[i].p + c[i].at;

			if (c[i].at + 1 >= c[i].n || bytes - q[0].bytes + q[1].bytes > room)
				continue;
			if (best == n || gain(q, q + 1) > gain(c[best].p + c[best].at, c[best].p + c[best].at + 1))
				best = i;
		}
		if (best == n)
			return bytes;
		bytes += c[best].p[c[best].at + 1].bytes - c[best].p[c[best].at].bytes;
		c[best].at++;
	}
}

int pm_quant_target(struct pm_quant_plan *p, struct pm_err *e)
{
	double room = p->opts->target_bpw * (double)p->values / 8, bytes = 0;
	struct curve *c = pm_alloc(p->n, sizeof *c, e);
	size_t i;
	int r = c ? 0 : -1;

	for (i = 0; r == 0 && i < p->n; i++) {
		struct pm_quant_item *t = &p->item[i];

		if (!t->chosen) {
			c[i].p[0] = (struct point){.type = t->to, .bytes = (double)t->from->bytes};
			c[i].n = 1;
		} else {
			r = measure(&c[i], p, t, e);
		}
		bytes += c[i].p[0].bytes;
	}
	if (r == 0 && bytes > room)
		r = pm_fail(e, PM_USAGE, "%g bits a value were asked for, the least that is possible is %.4f", p->opts->target_bpw, bytes * 8 / (double)p->values);
	if (r == 0)
		spend(c, p->n, bytes, room);
	for (i = 0; r == 0 && i < p->n; i++) {
		p->item[i].to = p->item[i].wanted = c[i].p[c[i].at].type;
		p->item[i].error = sqrt(c[i].p[c[i].at].error);
	}
	if (r == 0)
		p->type = main_type(p);
	free(c);
	return r;
}
