/* imatrix.h: importance matrices: for each weight, how large its inputs were, column by column. Two forms of file are read: GGUF (sums and counts, written
 * by llama-imatrix today) and the older one (means); the quantisers take sum/count as the weight of a column.
 *
 * GGUF form: keys general.type = "imatrix", imatrix.datasets, imatrix.chunk_count, imatrix.chunk_size; tensors NAME.in_sum2 f32 (experts, columns) and
 * NAME.counts f32 (experts, 1). Old form, i32 and f32: entries; for each the name's length, the name, ncall, n, n values (sum/count)·ncall; then
 * chunks, length and name of the data set. */
#ifndef PM_QUANT_IMATRIX_H
#define PM_QUANT_IMATRIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"

struct pm_imatrix_entry {
	char *name;                     /* of the weight */
	size_t cols, experts;           /* experts 1 for a plain weight; of an old file all columns of all experts count as cols */
	float *sum2;                    /* (experts, cols): sums of squared inputs; of an old file what stands there */
	float *counts;                  /* (experts): rows seen; of an old file ncall */
};

/* Sorted by name. A zeroed struct is an empty one. */
struct pm_imatrix {
	struct pm_imatrix_entry *entry;
	size_t n, cap;
	char **datasets;
	size_t n_datasets, datasets_cap;
	uint32_t chunks, chunk_size;    /* chunk_size: tokens; 0: an old file, which does not say */
	char *model;                    /* what tells the model that reads from others (key pm.model, a GGUF file that is to be gone on with); or NULL */
};

/* Either form, known by its first bytes. Status 65 for what is wrong in it: values below 0 or not finite, lengths, duplicates. */
int pm_imatrix_open(struct pm_imatrix *m, const char *path, struct pm_err *e);
void pm_imatrix_free(struct pm_imatrix *m);

struct pm_imatrix_entry *pm_imatrix_find(const struct pm_imatrix *m, const char *name);         /* NULL: absent; valid until the next add */
/* The entry of that name, made with zeros where it is new. −1 where it is there with another shape (65). */
int pm_imatrix_add(struct pm_imatrix_entry **out, struct pm_imatrix *m, const char *name, size_t cols, size_t experts, struct pm_err *e);
int pm_imatrix_dataset(struct pm_imatrix *m, const char *name, size_t n, struct pm_err *e);     /* put behind the others, once */

/* Adds what another has seen. Chunks have to be of the same size; an old file's are taken to be. */
int pm_imatrix_merge(struct pm_imatrix *into, const struct pm_imatrix *from, struct pm_err *e);

/* Renamed into place when whole. The old form has means alone (an expert never seen: 1). Wants chunk_size. */
int pm_imatrix_write(const struct pm_imatrix *m, const char *path, struct pm_err *e);
int pm_imatrix_write_old(const struct pm_imatrix *m, const char *path, struct pm_err *e);

/* The importance of the columns of one expert (0 for a plain weight) of a weight with `experts` times `cols` columns: sum/count, 1 for an expert never
 * seen. Status 65 where the entry has another number of values. */
int pm_imatrix_importance(float *out, const struct pm_imatrix_entry *t, size_t cols, size_t experts, size_t expert, struct pm_err *e);

#endif
