/* elem.h: private to the op room: launches of kernels that work element by element, over (columns, rows). */
#ifndef PM_OP_ELEM_H
#define PM_OP_ELEM_H

#include "graph/graph.h"

#define PM_ELEM_BLOCK 4096              /* columns of one work-item of a CPU variant: BLOCK in the kernels */

/* Whether a CPU variant is to be taken. */
static inline bool pm_elem_cpu(const struct pm_dev *d)
{
	return pm_dev_info(d)->cpu && !pm_dev_reference(d);
}

/* One work-item an element, in work-groups of up to 64 columns of one row: lanes of a GPU. Kernels check the column. */
static inline struct pm_launch pm_elem_launch(int64_t rows, int64_t cols)
{
	int64_t wide = cols >= 64 ? 64 : cols >= 16 ? 16 : 1;

	return (struct pm_launch){.global = {(size_t)((cols + wide - 1) / wide * wide), (size_t)rows}, .local = {(size_t)wide, 1}};
}

/* The launch of a portable kernel, or (cpu) of its variant for CPUs, one work-item a block of columns of a row; with the
 * operations and bytes of one element. */
static inline struct pm_launch pm_elementwise(bool cpu, int64_t rows, int64_t cols, double flops, double bytes)
{
	struct pm_launch l = pm_elem_launch(rows, cols);

	if (cpu)
		l = (struct pm_launch){.global = {(size_t)((cols + PM_ELEM_BLOCK - 1) / PM_ELEM_BLOCK), (size_t)rows}, .local = {1, 1}};
	l.flops = flops * (double)rows * (double)cols;
	l.bytes = bytes * (double)rows * (double)cols;
	return l;
}

#endif
