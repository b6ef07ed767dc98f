/* rope.c: the angles that rotary embeddings turn by, all in double. With d = dims, i < d/2, w = theta^(−2i/d):
 *   plain     w
 *   linear    w / factor
 *   dynamic   w with theta·(factor·max(n, M)/M − (factor − 1))^(d/(d−2)) for theta; n the document's length, M = original
 *   llama3    wavelength L = 2π/w, t = clamp((original/L − low)/(high − low)): (1 − t)·w/factor + t·w
 *   yarn      column(r) = d·ln(original/(2πr)) / (2 ln theta); ramp t from lo = column(beta_fast) to hi = column(beta_slow), rounded
 *             outwards if `truncate`: t·w/factor + (1 − t)·w (Peng et al., "YaRN", arXiv 2309.00071, as transformers has it)
 *   longrope  w / short_factor[i], or long_factor[i] for the whole document where it is longer than `original` (arXiv 2402.13753) */
#include <math.h>

#include "spec/spec.h"

#define PI 3.14159265358979323846

static double clamp(double x, double lo, double hi)
{
	return x < lo ? lo : x > hi ? hi : x;
}

static double dynamic_theta(const struct pm_rope_spec *r, int64_t length)
{
	double n = (double)length > r->original ? (double)length : r->original, d = (double)r->dims;

	return r->theta * pow(r->factor * n / r->original - (r->factor - 1), d / (d - 2));
}

static double llama3(const struct pm_rope_spec *r, double w)
{
	double turns = r->original * w / (2 * PI);      /* within the original context */
	double t = r->high > r->low ? clamp((turns - r->low) / (r->high - r->low), 0, 1) : turns >= r->low;

	return (1 - t) * w / r->factor + t * w;
}

/* The column that turns `turns` times within the original context. */
static double yarn_column(const struct pm_rope_spec *r, double turns)
{
	return (double)r->dims * log(r->original / (2 * PI * turns)) / (2 * log(r->theta));
}

static double yarn(const struct pm_rope_spec *r, double w, int64_t i)
{
	double lo = yarn_column(r, r->beta_fast), hi = yarn_column(r, r->beta_slow), t;

	if (r->truncate) {
		lo = floor(lo);
		hi = ceil(hi);
	}
	lo = fmax(lo, 0);
	hi = fmin(hi, (double)r->dims - 1);
	if (lo == hi)
		hi += 0.001;
	t = clamp(((double)i - lo) / (hi - lo), 0, 1);
	return t * w / r->factor + (1 - t) * w;
}

int pm_rope_frequencies(const struct pm_rope_spec *r, const struct pm_spec *s, int64_t length, double *inv, double *factor, struct pm_err *e)
{
	double theta = r->type == PM_ROPE_DYNAMIC ? dynamic_theta(r, length) : r->theta;
	const double *list = (double)length > r->original ? r->long_factor : r->short_factor;
	int64_t i;

	for (i = 0; i < r->dims / 2; i++) {
		double w = pow(theta, -2 * (double)i / (double)r->dims);

		switch (r->type) {
		case PM_ROPE_NONE:
			w = 0;
			break;
		case PM_ROPE_PLAIN:
		case PM_ROPE_DYNAMIC:
			break;
		case PM_ROPE_LINEAR:
			w /= r->factor;
			break;
		case PM_ROPE_LLAMA3:
			w = llama3(r, w);
			break;
		case PM_ROPE_YARN:
			w = yarn(r, w, i);
			break;
		case PM_ROPE_LONGROPE:
			w /= list[i];
			break;
		}
		if (!isfinite(w))
			return pm_fail(e, PM_DATA, "family %s: rope: frequency %lld is not finite (theta %g)", s->family, (long long)i, theta);
		inv[i] = w;
	}
	*factor = r->type == PM_ROPE_NONE ? 1 : r->attention_factor;
	return 0;
}
