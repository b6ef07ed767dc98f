/* elem.h: private to the op room: launching kernels of one work-item an element, (column, row). */
#ifndef PM_OP_ELEM_H
#define PM_OP_ELEM_H

#include "graph/graph.h"

/* Work-groups of up to 64 columns of one row: lanes of a GPU, and a loop that PoCL makes vectors of. Kernels check the column. */
static inline struct pm_launch pm_elementwise(int64_t rows, int64_t cols, double flops, double bytes)
{
	int64_t wide = cols >= 64 ? 64 : cols >= 16 ? 16 : 1;
	double n = (double)rows * (double)cols;

	return (struct pm_launch){.global = {(size_t)((cols + wide - 1) / wide * wide), (size_t)rows}, .local = {(size_t)wide, 1},
		.flops = flops * n, .bytes = bytes * n};
}

#endif
