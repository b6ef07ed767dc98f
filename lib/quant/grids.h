/* grids.h: the code books of ggml's IQ1, IQ2 and IQ3 types: sorted points whose coordinates are levels (grids.c). */
#ifndef PM_QUANT_GRIDS_H
#define PM_QUANT_GRIDS_H

#include <stdint.h>

/* Points of eight, two bits a coordinate, the first lowest. Level 0 1 2 is 8 25 43 (IQ2) or −1 0 1 (IQ1_S and IQ1_M). */
extern const uint16_t pm_grid_iq2xxs[256], pm_grid_iq2xs[512], pm_grid_iq2s[1024], pm_grid_iq1s[2048];
/* Points of four, three bits a coordinate. Level 0 … 7 is 4 12 20 28 36 44 52 62 (IQ3_XXS) or 1 3 5 … 15 (IQ3_S). */
extern const uint16_t pm_grid_iq3xxs[256], pm_grid_iq3s[512];

#endif
