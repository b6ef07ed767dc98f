/* lattice.h: blocks of 256 whose values are points of a code book times a scale: what the quantisers of IQ1, IQ2 and IQ3 share. Private to the room.
 *
 * A block has one f16, sub-blocks of 16 or 32 values have an odd factor 2s + 1, groups of eight or four values a point. The weighted square error is
 * what is minimised, with the nearest point of the whole book for every scale that is tried. */
#ifndef PM_QUANT_LATTICE_H
#define PM_QUANT_LATTICE_H

#include <stdbool.h>
#include <stdint.h>

struct pm_lattice {
	const uint16_t *grid;
	int points;
	int dims, bits;         /* values of a point, and bits of a level */
	int levels;
	float level[2][8];      /* what levels stand for; the second set is that of a block shifted the other way (IQ1) */
	int sets;               /* how many of the two there are */
	bool set_of_group;      /* each group chooses its set, else each sub-block */
	int sub;                /* values of a sub-block */
	int scales;             /* s is 0 … scales − 1 */
	float unit;             /* a value is (d·unit)·(2s + 1)·level */
	bool even_signs;        /* of eight values an even number is negative */
};

/* One block as chosen. Groups in order; signs of each eight values (none for IQ1). */
struct pm_lattice_block {
	uint16_t d;             /* f16 */
	uint8_t scale[16];
	uint16_t point[64];
	uint8_t set[32];        /* of each group */
	uint8_t signs[32];
};

#define PM_LATTICE_HALVES 81    /* different halves of points, at most */

/* A code book opened for searching: its points by their first halves. */
struct pm_lattice_book {
	const struct pm_lattice *how;
	int halves;
	uint16_t first[PM_LATTICE_HALVES + 1];  /* those with first half a: second[first[a]] … */
	uint8_t second[2048];
	uint16_t point[PM_LATTICE_HALVES * PM_LATTICE_HALVES];  /* the point of two halves */
};

void pm_lattice_open(struct pm_lattice_book *k, const struct pm_lattice *how);

/* x: 256 values; v: weights or NULL (all the same). */
void pm_lattice_fit(struct pm_lattice_block *b, const struct pm_lattice_book *book, const float *x, const float *v);

#endif
