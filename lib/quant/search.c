#include "quant/search.h"

#include <math.h>

/* The first value of largest magnitude, with its sign, and that magnitude. */
PM_BODY extreme(const pm_v *x, int n, pm_v *max, pm_v *amax)
{
	pm_v m = {0}, a = {0};
	int j;

	for (j = 0; j < n; j++) {
		pm_v b = x[j];
		pm_vi more;

		pm_vabs(&b);
		more = b > a;
		a = PM_SEL(more, b, a);
		m = PM_SEL(more, x[j], m);
	}
	*max = m;
	*amax = a;
}

/* Codes of x·inv and the sums of w·x·code and w·code². */
PM_BODY fit(const pm_v *x, const pm_v *w, const pm_v *inv, int n, int half, pm_v *codes, pm_v *xl, pm_v *ll)
{
	pm_v i = *inv, a = {0}, b = {0};
	int j;

	for (j = 0; j < n; j++) {
		pm_v l = PM_RND(i * x[j]);

		pm_clamp(&l, (float)-half, (float)(half - 1));
		codes[j] = l;
		a += w[j] * x[j] * l;
		b += w[j] * l * l;
	}
	*xl = a;
	*ll = b;
}

/* codes = other where take is set. */
PM_BODY take_codes(pm_v *codes, const pm_v *other, const pm_vi *take, int n)
{
	pm_vi t = *take;
	int j;

	if (pm_any(take))
		for (j = 0; j < n; j++)
			codes[j] = PM_SEL(t, other[j], codes[j]);
}

PM_BODY pm_search_scale_body(const pm_v *x, const pm_v *w, int n, int half, pm_v *codes, pm_v *scale)
{
	pm_v zero = {0}, max, amax, inv, a, b, s, best, other[32];
	pm_vi small, take;
	int j, k;

	extreme(x, n, &max, &amax);
	small = amax < 1e-15f;
	max = PM_SEL(small, zero + 1.0f, max);
	inv = (zero - (float)half) / max;
	fit(x, w, &inv, n, half, codes, &a, &b);
	s = PM_SEL(b != zero, a / b, zero);
	best = s * a;
	for (k = -9; k <= 9; k++) {
		if (!k)
			continue;
		inv = (zero - ((float)half + 0.1f * (float)k)) / max;
		fit(x, w, &inv, n, half, other, &a, &b);
		take = (b > zero) & (a * a > best * b);
		take_codes(codes, other, &take, n);
		s = PM_SEL(take, a / b, s);
		best = PM_SEL(take, s * a, best);
	}
	for (j = 0; j < n; j++)
		codes[j] = PM_SEL(small, zero - (float)half, codes[j]);
	*scale = PM_SEL(small, zero, s);
}

PM_WIDE(, pm_search_scale, (const pm_v *x, const pm_v *w, int n, int half, pm_v *codes, pm_v *scale), (x, w, n, half, codes, scale))

/* Codes of (x − lo)·inv and their sums. */
PM_BODY range_codes(const pm_v *x, const pm_v *w, const struct pm_range_search *how, const pm_v *inv, const pm_v *lo, pm_v *codes, pm_v *sum)
{
	pm_v l1 = {0}, l2 = {0}, lx = {0}, i = *inv, o = *lo;
	int j;

	for (j = 0; j < how->n; j++) {
		pm_v l = PM_RND(i * (x[j] - o)), wl;

		pm_clamp(&l, 0, (float)how->top);
		codes[j] = l;
		wl = w[j] * l;
		l1 += wl;
		l2 += wl * l;
		lx += wl * x[j];
	}
	sum[0] = l1;
	sum[1] = l2;
	sum[2] = lx;
}

PM_BODY range_error(const pm_v *x, const pm_v *w, const struct pm_range_search *how, const pm_v *codes, const pm_v *scale, const pm_v *lo, pm_v *error)
{
	pm_v e = {0}, s = *scale, o = *lo;
	int j;

	for (j = 0; j < how->n; j++) {
		pm_v d = s * codes[j] + o - x[j];

		if (how->absolute)
			pm_vabs(&d);
		else
			d = d * d;
		e += w[j] * d;
	}
	*error = e;
}

PM_BODY pm_search_range_body(const pm_v *x, const pm_v *w, const struct pm_range_search *how, pm_v *codes, pm_v *scale, pm_v *min)
{
	pm_v zero = {0}, lo = x[0], hi = x[0], sum_w = w[0], sum_x = w[0] * x[0], inv, s, error, best, sum[3], other[32];
	pm_vi flat, take;
	int j, k;

	for (j = 1; j < how->n; j++) {
		lo = PM_SEL(x[j] < lo, x[j], lo);
		hi = PM_SEL(x[j] > hi, x[j], hi);
		sum_w += w[j];
		sum_x += w[j] * x[j];
	}
	lo = PM_SEL(lo > zero, zero, lo);
	flat = hi <= lo;
	hi = PM_SEL(flat, lo + 1.0f, hi);
	inv = (zero + (float)how->top) / (hi - lo);
	s = 1.0f / inv;
	range_codes(x, w, how, &inv, &lo, codes, sum);
	range_error(x, w, how, codes, &s, &lo, &best);
	for (k = 0; k <= how->steps; k++) {
		pm_v d, s2, m2;
		pm_vi up;

		inv = (zero + (how->from + how->step * (float)k + (float)how->top)) / (hi - lo);
		range_codes(x, w, how, &inv, &lo, other, sum);
		d = sum_w * sum[1] - sum[0] * sum[0];
		s2 = (sum_w * sum[2] - sum_x * sum[0]) / d;
		m2 = (sum[1] * sum_x - sum[0] * sum[2]) / d;
		up = m2 > zero;
		s2 = PM_SEL(up, sum[2] / sum[1], s2);
		m2 = PM_SEL(up, zero, m2);
		range_error(x, w, how, other, &s2, &m2, &error);
		take = (d > zero) & (error < best);
		take_codes(codes, other, &take, how->n);
		best = PM_SEL(take, error, best);
		s = PM_SEL(take, s2, s);
		lo = PM_SEL(take, m2, lo);
	}
	for (j = 0; j < how->n; j++)
		codes[j] = PM_SEL(flat, zero, codes[j]);
	*scale = PM_SEL(flat, zero, s);
	*min = -lo;
}

PM_WIDE(, pm_search_range, (const pm_v *x, const pm_v *w, const struct pm_range_search *how, pm_v *codes, pm_v *scale, pm_v *min),
	(x, w, how, codes, scale, min))

PM_BODY pm_search_steps_body(const pm_v *x, int n, int half, pm_v *codes, pm_v *scale)
{
	pm_v zero = {0}, max, amax, inv, a, b, w[32];
	pm_vi small, live, changed;
	int j, k;

	for (j = 0; j < n; j++)
		w[j] = x[j] * x[j];
	extreme(x, n, &max, &amax);
	small = amax < 1e-15f;
	max = PM_SEL(small, zero + 1.0f, max);
	inv = (zero - (float)half) / max;
	fit(x, w, &inv, n, half, codes, &a, &b);
	live = ~small;
	for (k = 0; k < 5 && pm_any(&live); k++) {
		changed = live ^ live;
		for (j = 0; j < n; j++) {
			pm_v a2 = a - w[j] * x[j] * codes[j], b2 = b - w[j] * codes[j] * codes[j], l = PM_RND(x[j] * b2 / a2);
			pm_vi take = live & (a2 > zero);

			pm_clamp(&l, (float)-half, (float)(half - 1));
			take &= l != codes[j];
			a2 += w[j] * x[j] * l;
			b2 += w[j] * l * l;
			take &= (b2 > zero) & (a2 * a2 * b > a * a * b2);
			codes[j] = PM_SEL(take, l, codes[j]);
			a = PM_SEL(take, a2, a);
			b = PM_SEL(take, b2, b);
			changed |= take;
		}
		live &= changed;
	}
	for (j = 0; j < n; j++)
		codes[j] = PM_SEL(small, zero - (float)half, codes[j]);
	*scale = PM_SEL(small | (b <= zero), zero, a / b);
}

PM_WIDE(, pm_search_steps, (const pm_v *x, int n, int half, pm_v *codes, pm_v *scale), (x, n, half, codes, scale))

/* Levels of IQ4: the first, and where each next one begins (half-way, itself included) with how far it lies above. */
static const float level_at[15] = {-115.5f, -93.5f, -74, -57, -42, -28.5f, -16, -4.5f, 7, 19, 31.5f, 45.5f, 61, 79, 101};
static const float level_up[15] = {23, 21, 18, 16, 14, 13, 12, 11, 12, 12, 13, 15, 16, 20, 24};

PM_BODY nearest(const pm_v *x, pm_v *level)
{
	pm_v v = *x, l = {0};
	int i;

	l -= 127.0f;
	for (i = 0; i < 15; i++) {
		pm_v up = {0};

		l += (pm_v)((v >= level_at[i]) & (pm_vi)(up + level_up[i]));
	}
	*level = l;
}

PM_BODY level_sums(const pm_v *x, const pm_v *w, const pm_v *inv, int n, pm_v *xl, pm_v *ll)
{
	pm_v a = {0}, b = {0}, i = *inv;
	int j;

	for (j = 0; j < n; j++) {
		pm_v y = i * x[j], l;

		nearest(&y, &l);
		a += w[j] * l * x[j];
		b += w[j] * l * l;
	}
	*xl = a;
	*ll = b;
}

PM_BODY pm_search_levels_body(const pm_v *x, const pm_v *w, int n, pm_v *scale)
{
	pm_v zero = {0}, max, amax, inv, a, b, s, best;
	pm_vi small, take;
	int k;

	extreme(x, n, &max, &amax);
	small = amax < 1e-15f;
	max = PM_SEL(small, zero + 1.0f, max);
	inv = 1.0f / ((zero - max) / -127.0f);
	level_sums(x, w, &inv, n, &a, &b);
	s = PM_SEL(b > zero, a / b, zero);
	best = s * a;
	for (k = -7; k <= 7; k++) {
		inv = (zero + ((float)k - 127.0f)) / max;
		level_sums(x, w, &inv, n, &a, &b);
		take = (b > zero) & (a * a > best * b);
		s = PM_SEL(take, a / b, s);
		best = PM_SEL(take, s * a, best);
	}
	*scale = PM_SEL(small, zero, s);
}

PM_WIDE(, pm_search_levels, (const pm_v *x, const pm_v *w, int n, pm_v *scale), (x, w, n, scale))

PM_BODY pm_nearest_levels_body(const pm_v *x, const pm_v *inverse, int n, pm_v *codes)
{
	pm_v inv = *inverse;
	int i, j;

	for (j = 0; j < n; j++) {
		pm_v y = inv * x[j];
		pm_vi l = {0};

		for (i = 0; i < 15; i++)
			l -= y >= level_at[i];
		codes[j] = __builtin_convertvector(l, pm_v);
	}
}

PM_WIDE(, pm_nearest_levels, (const pm_v *x, const pm_v *inverse, int n, pm_v *codes), (x, inverse, n, codes))

PM_BODY pm_recode_body(const pm_v *x, const pm_v *scale, const pm_v *add, int n, float lo, float hi, pm_v *codes)
{
	pm_v zero = {0}, s = *scale, o = *add;
	pm_vi none = s == zero;
	int j;

	for (j = 0; j < n; j++) {
		pm_v l = PM_RND((x[j] + o) / s);

		pm_clamp(&l, lo, hi);
		codes[j] = PM_SEL(none, codes[j], l);
	}
}

PM_WIDE(, pm_recode, (const pm_v *x, const pm_v *scale, const pm_v *add, int n, float lo, float hi, pm_v *codes), (x, scale, add, n, lo, hi, codes))

PM_BODY pm_weigh_body(const pm_v *x, const pm_v *weight, const pm_v *sigma, int n, pm_v *w)
{
	int i, j;

	for (j = 0; j < n; j++) {
		pm_v r = *sigma + x[j] * x[j];

		for (i = 0; i < PM_LANES; i++)
			r[i] = sqrtf(r[i]);
		w[j] = weight[j] * r;
	}
}

PM_WIDE(, pm_weigh, (const pm_v *x, const pm_v *weight, const pm_v *sigma, int n, pm_v *w), (x, weight, sigma, n, w))

static float positive_error(const float *x, const float *w, int n, int top, float inv)
{
	float e = 0, s = 1 / inv, d;
	int i;

	for (i = 0; i < n; i++) {
		d = x[i] - s * fminf((float)top, rintf(inv * x[i]));
		e += w[i] * d * d;
	}
	return e;
}

float pm_search_positive(const float *x, const float *w, int n, int top, uint8_t *codes)
{
	float max = 0, inv, best, e, i2, a = 0, b = 0, l;
	int i, k, changed;

	for (i = 0; i < n; i++) {
		max = fmaxf(max, x[i]);
		codes[i] = 0;
	}
	if (!(max > 0))
		return 0;
	inv = (float)top / max;
	best = positive_error(x, w, n, top, inv);
	for (k = -4; k <= 4; k++) {
		i2 = (0.1f * (float)k + (float)top) / max;
		e = k ? positive_error(x, w, n, top, i2) : best;
		if (e < best) {
			best = e;
			inv = i2;
		}
	}
	for (i = 0; i < n; i++) {
		l = fmaxf(0, fminf((float)top, rintf(inv * x[i])));
		codes[i] = (uint8_t)l;
		a += w[i] * x[i] * l;
		b += w[i] * l * l;
	}
	for (k = 0, changed = 1; k < 5 && changed; k++) {
		for (i = 0, changed = 0; i < n; i++) {
			float old = codes[i], a2 = a - w[i] * x[i] * old, b2 = b - w[i] * old * old;

			if (!(a2 > 0 && b2 > 0))
				continue;
			l = fmaxf(0, fminf((float)top, rintf(x[i] * b2 / a2)));
			a2 += w[i] * x[i] * l;
			b2 += w[i] * l * l;
			if (l != old && a2 * a2 * b > a * a * b2) {
				codes[i] = (uint8_t)l;
				a = a2;
				b = b2;
				changed = 1;
			}
		}
	}
	return b > 0 ? a / b : 0;
}
