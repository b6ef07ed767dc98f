/* scaled.h: weights of GGUF files with a factor beside them, as NVFP4 has it: NAME.weight and NAME.scale, f32, one number or one an expert, by which all
 * that NAME.weight holds is multiplied. NAME.input_scale, how activations were to be rounded, changes no weight: it goes where the factor goes. */
#ifndef PM_QUANT_SCALED_H
#define PM_QUANT_SCALED_H

#include "io/store.h"

#define PM_SCALE_TAILS 2
extern const char *const pm_scale_tails[PM_SCALE_TAILS];        /* "scale", "input_scale" */

/* NAME.weight as NAME.tail; false where it is no such name. */
bool pm_scale_name(char out[256], const char *weight, const char *tail);
/* Whether a factor is finite f32, one or one an expert of the weight (65). */
int pm_scale_fits(const struct pm_view *scale, const struct pm_view *weight, struct pm_err *e);
float pm_scale_at(const struct pm_view *scale, size_t expert);

/* Puts floats of that type in the place of such weights of a GGUF file. */
int pm_scaled_substitute(struct pm_store *s, enum pm_dtype type, struct pm_err *e);

#endif
