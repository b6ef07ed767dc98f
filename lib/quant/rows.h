/* rows.h: rows of a matrix from one type to another on several threads, and how far the result is from what it was made of. The bytes, and
 * the figures, do not depend on the number of threads. */
#ifndef PM_QUANT_ROWS_H
#define PM_QUANT_ROWS_H

#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/err.h"

/* Sums over values x and what they became, y; v: importance (1 where there is none). A zeroed struct is an empty sum. */
struct pm_quant_error {
	double xx, yy, xy;              /* x², y², x·y */
	double ee, vxx, vee;            /* (x − y)², v·x², v·(x − y)² */
	double most;                    /* the largest |x − y| */
	uint64_t n;
};

/* Adds b behind a. */
void pm_quant_error_add(struct pm_quant_error *a, const struct pm_quant_error *b);
double pm_quant_rmse(const struct pm_quant_error *s);                   /* root of the mean of (x − y)² */
double pm_quant_relative(const struct pm_quant_error *s);               /* root of sum v·(x − y)² / sum v·x²; 0 where all x are 0 */
double pm_quant_cosine(const struct pm_quant_error *s);                 /* 1 where x and y are all 0 */

/* rows × cols values of type `from` (any that pm_quant_to_f32 reads; at any address) to `to`. importance: cols weights or NULL. sum (or NULL) is
 * added to. threads: 0 for all processors. Errors as pm_quant_from_f32, rows counted from `first`. */
int pm_quant_rows(void *out, enum pm_dtype to, const void *in, enum pm_dtype from, size_t rows, size_t cols, size_t first, const float *importance,
	int threads, struct pm_quant_error *sum, struct pm_err *e);

#endif
