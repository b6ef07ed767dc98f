/* hold.h: weights of published checkpoints (packed.h) as blocks with the same values, for kernels that read those: affine groups as Q4_1, Q5_1 or
 * AFFINE8 where scales and biases are numbers of f16, MLX's mxfp4 as MXFP4, bitsandbytes' NF4 and FP4 as blocks of 32 (own.c). */
#ifndef PM_QUANT_HOLD_H
#define PM_QUANT_HOLD_H

#include "quant/packed.h"

/* The type that holds such a weight of `cols` columns, PM_DTYPE_NONE where none does. n: groups in all. */
enum pm_dtype pm_hold_affine(const struct pm_affine *a, const void *scales, const void *biases, size_t n, size_t cols);
enum pm_dtype pm_hold_groups(const struct pm_float_groups *f, size_t cols);
enum pm_dtype pm_hold_bnb4(const float map[16], int block, size_t cols);

/* n values (whole groups), codes and scales from the first of them on, as blocks of that type. */
void pm_hold_affine_blocks(uint8_t *out, const struct pm_affine *a, const uint8_t *codes, const uint8_t *scales, const uint8_t *biases, size_t n);
void pm_hold_groups_blocks(uint8_t *out, const uint8_t *codes, const uint8_t *scales, size_t n);
/* n values from value `first` of the tensor, multiples of 32. */
void pm_hold_bnb4_blocks(uint8_t *out, const uint8_t *codes, const float *absmax, int block, size_t first, size_t n);

#endif
