#include "quant/lattice.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "quant/codec.h"
#include "quant/wide.h"

#define SUBS 16                 /* sub-blocks of a block, at most */
#define GROUPS 64
#define BATCHES (GROUPS / PM_LANES)

#define LOW 127         /* bits in which a cost bears the number of a half; more than there are */

/* Costs of the halves of points, by the levels in them; and of the first halves the cheapest second. */
struct halves {
	pm_v low[PM_LATTICE_HALVES], high[PM_LATTICE_HALVES], other[PM_LATTICE_HALVES];
};

/* Which half of a point this is, among all that there could be. */
static int half_of(const struct pm_lattice *how, int point, int h)
{
	int half = how->dims / 2, j, at = 0;
	unsigned p = (unsigned)how->grid[point] >> how->bits * half * h;

	for (j = half - 1; j >= 0; j--)
		at = at * how->levels + (int)(p >> how->bits * j & ((1u << how->bits) - 1));
	return at;
}

void pm_lattice_open(struct pm_lattice_book *k, const struct pm_lattice *how)
{
	uint16_t next[PM_LATTICE_HALVES];
	int i, j;

	memset(k->first, 0, sizeof k->first);
	k->how = how;
	for (j = 0, k->halves = 1; j < how->dims / 2; j++)
		k->halves *= how->levels;
	for (i = 0; i < how->points; i++)
		k->first[half_of(how, i, 0) + 1]++;
	for (j = 0; j < k->halves; j++)
		k->first[j + 1] = (uint16_t)(k->first[j + 1] + k->first[j]);
	memcpy(next, k->first, sizeof next);
	for (i = 0; i < how->points; i++) {
		int a = half_of(how, i, 0), b = half_of(how, i, 1);

		k->second[next[a]++] = (uint8_t)b;
		k->point[a * k->halves + b] = (uint16_t)i;
	}
}

/* The costs of all halves that there could be. */
PM_BODY half_costs(pm_v *to, const pm_v *x, const pm_v *w, const pm_v *t, const struct pm_lattice *how, int set)
{
	int i, j, l, n;

	to[0] = (pm_v){0};
	for (j = 0, n = 1; j < how->dims / 2; j++, n *= how->levels) {
		for (l = how->levels - 1; l >= 0; l--) {
			pm_v d = x[j] - *t * how->level[set][l], c = w[j] * d * d;

			for (i = 0; i < n; i++)
				to[l * n + i] = to[i] + c;
		}
	}
}

/* The nearest point for each lane: the least sum of w·(x − t·level)². A number stands in the lowest bits of a cost (which is not negative), so that one
 * minimum finds both; first of the second half that goes with a first one at least cost, then of the first. */
PM_BODY nearest_point_body(const pm_v *x, const pm_v *w, const pm_v *t, const struct pm_lattice_book *book, int set, struct halves *h, pm_v *cost, pm_vi *index)
{
	const pm_v most = (pm_v){0} + FLT_MAX;
	pm_v best = most, c;
	int i, k, a, b;

	half_costs(h->low, x, w, t, book->how, set);
	half_costs(h->high, x + book->how->dims / 2, w + book->how->dims / 2, t, book->how, set);
	for (i = 0; i < book->halves; i++)
		h->high[i] = (pm_v)(((pm_vi)h->high[i] & ~LOW) | i);
	for (i = book->halves - 1; i >= 0; i--) {
		if (book->first[i] == book->first[i + 1])
			continue;
		if (best[0] == FLT_MAX)         /* whatever the costs are, these are halves of a point */
			best = (pm_v)(((pm_vi)most & ~LOW) | i);
		c = (pm_v)(((pm_vi)most & ~LOW) | book->second[book->first[i]]);
		for (k = book->first[i]; k < book->first[i + 1]; k++)
			pm_vmin(&c, &h->high[book->second[k]]);
		h->other[i] = c;
		c = (pm_v)(((pm_vi)(h->low[i] + c) & ~LOW) | i);
		pm_vmin(&best, &c);
	}
	for (i = 0; i < PM_LANES; i++) {
		a = ((pm_vi)best)[i] & LOW;
		b = ((pm_vi)h->other[a])[i] & LOW;
		(*index)[i] = book->point[a * book->halves + b];
	}
	*cost = (pm_v)((pm_vi)best & ~LOW);
}

PM_WIDE(static, nearest_point,
	(const pm_v *x, const pm_v *w, const pm_v *t, const struct pm_lattice_book *book, int set, struct halves *h, pm_v *cost, pm_vi *index),
	(x, w, t, book, set, h, cost, index))

/* Points and error of every sub-block for a scale of each. */
struct trial {
	float error[SUBS];
	uint16_t point[GROUPS];
	uint8_t set[GROUPS];
};

/* A block being fitted. */
struct fit {
	const struct pm_lattice_book *book;
	const struct pm_lattice *how;
	int groups, subs, per;          /* per: groups of a sub-block */
	float x[PM_QK], w[PM_QK];       /* magnitudes (IQ1: values), weights */
	pm_v vx[BATCHES][8], vw[BATCHES][8];
	float t[SUBS];                  /* the scale of each sub-block that is best while it is free */
	struct halves halves;
};

static void try_scales(struct fit *f, const float *t, struct trial *r)
{
	float cost[2][GROUPS], sum[2];
	uint16_t point[2][GROUPS];
	int b, i, k, s, g;

	for (b = 0; b < f->groups / PM_LANES; b++) {
		pm_v vt = {0}, c;
		pm_vi at;

		for (i = 0; i < PM_LANES; i++)
			vt[i] = t[(b * PM_LANES + i) / f->per];
		for (k = 0; k < f->how->sets; k++) {
			nearest_point(f->vx[b], f->vw[b], &vt, f->book, k, &f->halves, &c, &at);
			for (i = 0; i < PM_LANES; i++) {
				cost[k][b * PM_LANES + i] = c[i];
				point[k][b * PM_LANES + i] = (uint16_t)at[i];
			}
		}
	}
	for (s = 0; s < f->subs; s++) {
		sum[0] = sum[1] = r->error[s] = 0;
		for (g = s * f->per; f->how->sets == 2 && g < (s + 1) * f->per; g++) {
			sum[0] += cost[0][g];
			sum[1] += cost[1][g];
		}
		for (g = s * f->per; g < (s + 1) * f->per; g++) {
			k = f->how->sets == 2 && (f->how->set_of_group ? cost[1][g] < cost[0][g] : sum[1] < sum[0]);
			r->error[s] += cost[k][g];
			r->point[g] = point[k][g];
			r->set[g] = (uint8_t)k;
		}
	}
}

/* Takes sub-block s of another trial. */
static void take(const struct fit *f, struct trial *r, const struct trial *from, int s)
{
	int g;

	r->error[s] = from->error[s];
	for (g = s * f->per; g < (s + 1) * f->per; g++) {
		r->point[g] = from->point[g];
		r->set[g] = from->set[g];
	}
}

/* The sums of w·x·l and w·l² of a sub-block. */
static void sums(const struct fit *f, const struct trial *r, int s, double *xl, double *ll)
{
	const struct pm_lattice *how = f->how;
	int g, j, mask = (1 << how->bits) - 1;
	float a = 0, b = 0;

	for (g = s * f->per; g < (s + 1) * f->per; g++) {
		const float *level = how->level[r->set[g]], *x = f->x + g * how->dims, *w = f->w + g * how->dims;
		unsigned p = how->grid[r->point[g]];

		for (j = 0; j < how->dims; j++, p >>= how->bits) {
			float l = level[p & (unsigned)mask];

			a += w[j] * x[j] * l;
			b += w[j] * l * l;
		}
	}
	*xl = (double)a;
	*ll = (double)b;
}

/* Magnitudes and signs. Where their number has to be even and is not, the value whose sign costs least is negative as a magnitude. */
static void take_signs(struct fit *f, uint8_t *signs)
{
	int i, j, flip;

	for (i = 0; i < PM_QK; i += 8, signs++) {
		unsigned s = 0, odd = 0;

		for (j = 0, flip = i; j < 8; j++) {
			if (f->x[i + j] < 0) {
				s |= 1u << j;
				odd ^= 1;
				f->x[i + j] = -f->x[i + j];
			}
			if (f->w[i + j] * f->x[i + j] * f->x[i + j] < f->w[flip] * f->x[flip] * f->x[flip])
				flip = i + j;
		}
		if (odd && f->how->even_signs) {
			s ^= 1u << (flip - i);
			f->x[flip] = -f->x[flip];
		}
		*signs = (uint8_t)s;
	}
}

/* The free scale of each sub-block: shares of its largest magnitude, then twice the least-squares scale of the points found. */
static void free_scales(struct fit *f)
{
	static const float share[2][8] = {{0.65f, 0.76f, 0.84f, 0.91f, 0.98f, 1.05f, 1.13f, 1.24f}, {0.3f, 0.38f, 0.46f, 0.55f, 0.65f, 0.76f, 0.88f, 1}};
	const struct pm_lattice *how = f->how;
	float base[SUBS], t[SUBS], best[SUBS];
	double xl, ll;
	struct trial r;
	int k, s;

	for (s = 0; s < f->subs; s++) {
		base[s] = pm_largest(f->x + s * how->sub, how->sub) / how->level[0][how->levels - 1];
		best[s] = FLT_MAX;
		f->t[s] = 0;
	}
	for (k = 0; k < 10; k++) {
		for (s = 0; s < f->subs; s++)
			t[s] = k < 8 ? base[s] * share[how->sets - 1][k] : f->t[s];
		try_scales(f, t, &r);
		for (s = 0; s < f->subs; s++) {
			if (r.error[s] >= best[s])
				continue;
			best[s] = r.error[s];
			sums(f, &r, s, &xl, &ll);
			f->t[s] = xl > 0 && ll > 0 ? (float)(xl / ll) : t[s];
		}
	}
}

/* What a scale d gives: the best s of each sub-block within one of the nearest. */
static void with_scale(struct fit *f, uint16_t d, struct trial *best, uint8_t *scale)
{
	float unit = pm_f16_to_f32(d) * f->how->unit, t[SUBS];
	int k, s, c[SUBS];
	struct trial r;

	for (k = 0; k < 3; k++) {
		for (s = 0; s < f->subs; s++) {
			c[s] = (int)pm_within(0, (float)(f->how->scales - 1), rintf((f->t[s] / unit - 1) / 2) + (float)(k == 2 ? -1 : k));
			t[s] = unit * (float)(2 * c[s] + 1);
		}
		try_scales(f, t, &r);
		for (s = 0; s < f->subs; s++) {
			if (k && r.error[s] >= best->error[s])
				continue;
			take(f, best, &r, s);
			scale[s] = (uint8_t)c[s];
		}
	}
}

/* The f16 next to the least-squares scale of a block's codes that has the least error; *error is that, up to a constant. */
static uint16_t refit(const struct fit *f, const struct trial *r, const uint8_t *scale, uint16_t d, double *error)
{
	double a = 0, b = 0, xl, ll, v, e;
	uint16_t best = d, near;
	int s, k;

	for (s = 0; s < f->subs; s++) {
		double m = (double)(2 * scale[s] + 1) * (double)f->how->unit;

		sums(f, r, s, &xl, &ll);
		a += xl * m;
		b += ll * m * m;
	}
	v = (double)pm_f16_to_f32(d);
	*error = v * (v * b - 2 * a);
	if (!(a > 0 && b > 0))
		return d;
	near = pm_f32_to_f16((float)fmin(65504, a / b));
	for (k = -1; k <= 1; k++) {
		if (near + k <= 0 || near + k > 0x7bff)
			continue;
		v = (double)pm_f16_to_f32((uint16_t)(near + k));
		e = v * (v * b - 2 * a);
		if (e < *error) {
			*error = e;
			best = (uint16_t)(near + k);
		}
	}
	return best;
}

static void open_block(struct fit *f, const struct pm_lattice_book *book, const float *x, const float *v)
{
	const struct pm_lattice *how = book->how;
	int i, s;

	f->book = book;
	f->how = how;
	f->groups = PM_QK / how->dims;
	f->subs = PM_QK / how->sub;
	f->per = how->sub / how->dims;
	memcpy(f->x, x, sizeof f->x);
	for (i = 0; i < PM_QK; i++)
		f->w[i] = v ? v[i] : 1;
	for (s = 0; s < f->subs; s++) {                 /* nothing important there: all alike */
		float sum = 0;

		for (i = s * how->sub; i < (s + 1) * how->sub; i++)
			sum += f->w[i];
		for (i = s * how->sub; sum == 0 && i < (s + 1) * how->sub; i++)
			f->w[i] = 1;
	}
}

void pm_lattice_fit(struct pm_lattice_block *b, const struct pm_lattice_book *book, const float *x, const float *v)
{
	const struct pm_lattice *how = book->how;
	struct trial r, best = {0};
	float most = 0, max = pm_largest(x, PM_QK);
	double error, least = DBL_MAX;
	uint8_t scale[SUBS];
	struct fit f;
	uint16_t d;
	int i, k, s;

	memset(b, 0, sizeof *b);
	if (max == 0)
		return;
	open_block(&f, book, x, v);
	if (how->sets == 1)
		take_signs(&f, b->signs);
	for (i = 0; i < f.groups; i++)
		for (k = 0; k < how->dims; k++) {
			f.vx[i / PM_LANES][k][i % PM_LANES] = f.x[i * how->dims + k];
			f.vw[i / PM_LANES][k][i % PM_LANES] = f.w[i * how->dims + k];
		}
	free_scales(&f);
	for (s = 0; s < f.subs; s++)
		most = fmaxf(most, f.t[s]);
	for (k = 0; k < 3; k++) {                       /* the largest scale at the last three places */
		d = pm_f32_to_f16(fminf(65504, most / (float)(2 * (how->scales - k) - 1) / how->unit));
		if (!d)
			break;
		for (i = 0; i < (k ? 1 : 2); i++) {
			with_scale(&f, d, &r, scale);
			d = refit(&f, &r, scale, d, &error);
			if (error < least) {
				least = error;
				best = r;
				b->d = d;
				memcpy(b->scale, scale, sizeof scale);
			}
		}
	}
	memcpy(b->point, best.point, sizeof best.point);
	memcpy(b->set, best.set, (size_t)f.groups < sizeof b->set ? (size_t)f.groups : sizeof b->set);
}
