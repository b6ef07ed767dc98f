/* search.h: ggml's searches for the scale (and minimum) of a sub-block, sixteen at a time. Private to the room.
 *
 * x and w: values and weights, n vectors each (32 at most). Codes come back as float numbers. Weights are ≥ 0. */
#ifndef PM_QUANT_SEARCH_H
#define PM_QUANT_SEARCH_H

#include <stdbool.h>
#include <stdint.h>

#include "quant/wide.h"

/* Codes −half … half − 1 of values scale·code: tries scales around −half/(first value of largest magnitude) and keeps that with most of the weighted
 * square explained. A lane with no value above 1e-15 gets codes −half, scale 0. */
void pm_search_scale(const pm_v *x, const pm_v *w, int n, int half, pm_v *codes, pm_v *scale);

/* Codes 0 … top of values scale·code − min, min ≥ 0: steps + 1 tries of (from + step·k + top)/range, a least-squares solution for each. `absolute`: errors |e|
 * instead of e². */
struct pm_range_search {
	int n, top, steps;
	float from, step;
	bool absolute;
};

void pm_search_range(const pm_v *x, const pm_v *w, const struct pm_range_search *how, pm_v *codes, pm_v *scale, pm_v *min);

/* Codes −half … half − 1, weights x²; improved one element after the other, at most five rounds. */
void pm_search_steps(const pm_v *x, int n, int half, pm_v *codes, pm_v *scale);

/* Levels of IQ4 (as numbers −127 … 113) for weights w: the scale. */
void pm_search_levels(const pm_v *x, const pm_v *w, int n, pm_v *scale);
/* The nearest of those levels to x·inverse: indices. */
void pm_nearest_levels(const pm_v *x, const pm_v *inverse, int n, pm_v *codes);

/* Codes rnd((x + add)/scale) clamped to lo … hi; lanes with scale 0 keep their codes. */
void pm_recode(const pm_v *x, const pm_v *scale, const pm_v *add, int n, float lo, float hi, pm_v *codes);

/* weight·sqrt(sigma + x²). */
void pm_weigh(const pm_v *x, const pm_v *weight, const pm_v *sigma, int n, pm_v *w);

/* One block's scales of sub-blocks, x ≥ 0, n of them, codes 0 … top: the scale of the scales. */
float pm_search_positive(const float *x, const float *w, int n, int top, uint8_t *codes);

#endif
