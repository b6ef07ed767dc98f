/* tiles.h: AMX where there is none. */
#ifndef PM_TESTS_OP_TILES_H
#define PM_TESTS_OP_TILES_H

#include <stdbool.h>

/* From now on an AMX instruction that the processor does not know is done by a handler of SIGILL: ldtilecfg, tilerelease, tilezero, tileloadd,
 * tilestored, tdpbf16ps and the four tdpb[su][su]d, on tiles of palette 1, each thread its own. About a microsecond each and ten a product: for
 * tests of what kernels compute, not of how fast. Any other unknown instruction ends the process as ever. False: not for this kind of processor. */
bool tiles_in_software(void);
/* Instructions done so far; a processor that knows them leaves none. */
unsigned long tiles_done(void);

#endif
