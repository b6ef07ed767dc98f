/* rowsum.h: the host side of kernels/rowsum.cl: a work-group a row, and sums over rows for the gradients of weights. */
#ifndef PM_OP_ROWSUM_H
#define PM_OP_ROWSUM_H

#include "graph/graph.h"

/* A float32 tensor as kernels take it: memory, offset, elements from row to row; NULL where there is none. */
#define PM_AT(t) PM_MEM((t) ? (t)->mem : NULL), PM_I64((t) ? (t)->off : 0), PM_I64((t) ? (t)->ld : 0)
/* The same for one with a single row. */
#define PM_AT1(t) PM_MEM((t) ? (t)->mem : NULL), PM_I64((t) ? (t)->off : 0)

/* The launch of a ROW_KERNEL over `rows` rows of `parts` groups or heads each. bytes: what must be moved. */
struct pm_launch pm_row_launch(const struct pm_dev *d, int64_t rows, int64_t parts, double flops, double bytes);
/* The launch of a kernel with an item for every vector of columns and every chunk of rows. */
struct pm_launch pm_rowsum_launch(const struct pm_dev *d, int64_t cols, int64_t chunks, double flops, double bytes);

/* Rows cut into periods and these into chunks: `chunks` in each of `periods`. */
struct pm_rowsum_cut {
	int64_t period, periods, chunks;
};

struct pm_rowsum_cut pm_rowsum_cut(const struct pm_graph *g, int64_t rows);
/* out (1, cols) = (or with `add` +=) the sums that a kernel left in scratch from element `at` on, (periods · chunks, cols) float32. */
int pm_rowsum_add(struct pm_tensor *out, bool add, struct pm_mem *scratch, int64_t at, struct pm_rowsum_cut cut, struct pm_err *e);

/* "-DTYPE_W=bf16 " for a tensor, "" for none: s is what follows TYPE_. */
void pm_define_type(char *to, size_t size, const char *s, const struct pm_tensor *t);

#endif
