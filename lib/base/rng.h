/* rng.h: random numbers that depend on (seed, stream, index) alone: no state to save, the same on any number of threads,
 * and after a resume. The generator is Philox4x32-10 (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3",
 * SC 2011); kernels/common.cl has the same function. */
#ifndef PM_BASE_RNG_H
#define PM_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

/* The four words of block `index` of a stream. */
void pm_rng_block(uint32_t out[4], uint64_t seed, uint32_t stream, uint64_t index);

/* Word number `index` of a stream; the same as a number in [0, 1) with 24 bits; and a normal deviate (mean 0, variance 1). */
uint32_t pm_rng_u32(uint64_t seed, uint32_t stream, uint64_t index);
float pm_rng_uniform(uint64_t seed, uint32_t stream, uint64_t index);
float pm_rng_normal(uint64_t seed, uint32_t stream, uint64_t index);

/* A seeded permutation of 0 .. n−1 (Fisher and Yates). */
void pm_rng_shuffle(uint64_t *order, size_t n, uint64_t seed, uint32_t stream);

#endif
