/* quant.h: the block formats of ggml: from blocks to float32 and back. Layouts and formulas: ggml's (MIT), written down in lib/quant's files
 * beside each codec; results are the same bits as ggml's wherever its quantiser is determined.
 *
 * All arithmetic is float32, one operation after another in index order, without contraction: the same bytes on every machine. */
#ifndef PM_QUANT_QUANT_H
#define PM_QUANT_QUANT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/err.h"

/* n values (a multiple of the type's block) of any type that has values (float types, integers as they are, and every block type). */
void pm_quant_to_f32(float *out, const void *in, enum pm_dtype from, size_t n);

/* `rows` rows of `cols` values (a multiple of the block) to type `to` (float types too). importance: one weight a column, or NULL. Status 65, saying
 * which, for a value that is not finite; 64 for a type that cannot be made, or not without importance. */
int pm_quant_from_f32(void *out, enum pm_dtype to, const float *x, size_t rows, size_t cols, const float *importance, struct pm_err *e);

/* Whether `to` can be made at all, and whether only with importance. */
bool pm_quant_makes(enum pm_dtype to, bool *needs_importance);

/* Whether n values are finite: floats one by one, blocks by their scales. If not, *at is the first value (of the first block) that is not. */
bool pm_quant_finite(const void *in, enum pm_dtype type, size_t n, size_t *at);

#endif
