#include "quant/rows.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "quant/quant.h"
#include "quant/wide.h"

#define SLICE 32768             /* values that a thread takes at a time, about */

void pm_quant_error_add(struct pm_quant_error *a, const struct pm_quant_error *b)
{
	a->xx += b->xx;
	a->yy += b->yy;
	a->xy += b->xy;
	a->ee += b->ee;
	a->vxx += b->vxx;
	a->vee += b->vee;
	a->most = b->most > a->most ? b->most : a->most;
	a->n += b->n;
}

double pm_quant_rmse(const struct pm_quant_error *s)
{
	return s->n ? sqrt(s->ee / (double)s->n) : 0;
}

double pm_quant_relative(const struct pm_quant_error *s)
{
	return s->vxx > 0 ? sqrt(s->vee / s->vxx) : 0;
}

double pm_quant_cosine(const struct pm_quant_error *s)
{
	return s->xx > 0 && s->yy > 0 ? s->xy / sqrt(s->xx * s->yy) : s->xx == s->yy;
}

/* A slice of rows: its sums, or that it failed. */
struct slice {
	struct pm_quant_error sum;
	bool failed;
	struct pm_err *e;               /* of the first thread to fail on it */
};

struct job {
	uint8_t *out;
	const uint8_t *in;
	enum pm_dtype to, from;
	size_t rows, cols, first, per, slices;
	const float *importance;
	bool measure;
	struct slice *slice;
	atomic_size_t next;
};

/* Eight sums side by side, then together. v: weights, or NULL. */
PM_BODY measure_body(struct pm_quant_error *s, const float *x, const float *y, const float *v, size_t n)
{
	pm_d8 sum[7] = {{0}}, a, b, d, w;
	float last[3][8] = {{0}};
	size_t i, k;

	s->n += n;
	for (k = 0; k < n % 8; k++) {
		last[0][k] = x[n - n % 8 + k];
		last[1][k] = y[n - n % 8 + k];
		last[2][k] = v ? v[n - n % 8 + k] : 1;
	}
	for (i = 0; i < n; i += 8) {
		bool whole = i + 8 <= n;

		a = __builtin_convertvector(*(const pm_u8 *)(whole ? x + i : last[0]), pm_d8);
		b = __builtin_convertvector(*(const pm_u8 *)(whole ? y + i : last[1]), pm_d8);
		w = (pm_d8){0} + 1.0;
		if (v || !whole)
			w = __builtin_convertvector(*(const pm_u8 *)(whole ? v + i : last[2]), pm_d8);
		d = a - b;
		sum[0] += a * a;
		sum[1] += b * b;
		sum[2] += a * b;
		sum[3] += d * d;
		sum[4] += w * a * a;
		sum[5] += w * d * d;
		for (k = 0; k < 8; k++)
			d[k] = fabs(d[k]);
		for (k = 0; k < 8; k++)
			sum[6][k] = d[k] > sum[6][k] ? d[k] : sum[6][k];
	}
	for (k = 0; k < 8; k++) {
		s->xx += sum[0][k];
		s->yy += sum[1][k];
		s->xy += sum[2][k];
		s->ee += sum[3][k];
		s->vxx += sum[4][k];
		s->vee += sum[5][k];
		s->most = sum[6][k] > s->most ? sum[6][k] : s->most;
	}
}

PM_WIDE(static, measure, (struct pm_quant_error *s, const float *x, const float *y, const float *v, size_t n), (s, x, y, v, n))

static int one_slice(struct job *j, size_t i, float *x, float *y, struct pm_err *e)
{
	size_t row = i * j->per, n = j->rows - row < j->per ? j->rows - row : j->per, r;
	uint8_t *to = j->out + row * pm_dtype_bytes(j->to, j->cols);

	pm_quant_to_f32(x, j->in + row * pm_dtype_bytes(j->from, j->cols), j->from, n * j->cols);
	for (r = 0; r < n; r++)
		if (pm_quant_from_f32(to + r * pm_dtype_bytes(j->to, j->cols), j->to, x + r * j->cols, 1, j->cols, j->importance, e) < 0)
			return pm_ctx(e, "row %zu", j->first + row + r);
	if (!j->measure)
		return 0;
	pm_quant_to_f32(y, to, j->to, n * j->cols);
	for (r = 0; r < n; r++)
		measure(&j->slice[i].sum, x + r * j->cols, y + r * j->cols, j->importance, j->cols);
	return 0;
}

static void *work(void *arg)
{
	struct pm_err own, *e = &own;
	struct job *j = arg;
	float *x = pm_alloc(j->per * j->cols, sizeof *x, e), *y = pm_alloc(j->per * j->cols, sizeof *y, e);
	size_t i;

	while ((i = atomic_fetch_add(&j->next, 1)) < j->slices) {
		if (x && y && one_slice(j, i, x, y, e) == 0)
			continue;
		j->slice[i].failed = true;
		j->slice[i].e = malloc(sizeof *e);
		if (j->slice[i].e)
			*j->slice[i].e = own;
		break;
	}
	free(x);
	free(y);
	return NULL;
}

/* Runs on `threads` threads, this one among them; fewer where the system gives no more. */
static void spread(struct job *j, int threads)
{
	pthread_t *t = malloc((size_t)threads * sizeof *t);
	int n = 0;

	while (t && n + 1 < threads && pthread_create(&t[n], NULL, work, j) == 0)
		n++;
	work(j);
	while (n)
		pthread_join(t[--n], NULL);
	free(t);
}

int pm_quant_rows(void *out, enum pm_dtype to, const void *in, enum pm_dtype from, size_t rows, size_t cols, size_t first, const float *importance,
	int threads, struct pm_quant_error *sum, struct pm_err *e)
{
	struct job j = {.out = out, .in = in, .to = to, .from = from, .rows = rows, .cols = cols, .first = first, .importance = importance,
		.measure = sum != NULL};
	long processors = sysconf(_SC_NPROCESSORS_ONLN);
	size_t i;
	int r = 0;

	if (!rows || !cols)
		return 0;
	j.per = cols >= SLICE ? 1 : SLICE / cols;
	j.slices = (rows + j.per - 1) / j.per;
	j.slice = pm_alloc(j.slices, sizeof *j.slice, e);
	if (!j.slice)
		return -1;
	threads = threads > 0 ? threads : processors > 0 && processors < 4096 ? (int)processors : 1;
	spread(&j, (size_t)threads < j.slices ? threads : (int)j.slices);
	for (i = 0; i < j.slices; i++) {
		if (j.slice[i].failed && r == 0) {
			if (j.slice[i].e)
				*e = *j.slice[i].e;
			else
				pm_fail(e, PM_SOFTWARE, "out of memory");
			r = -1;
		}
		free(j.slice[i].e);
		if (sum && r == 0)
			pm_quant_error_add(sum, &j.slice[i].sum);
	}
	free(j.slice);
	return r;
}
