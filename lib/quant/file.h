/* file.h: a model quantised as a whole: what each tensor becomes, how large that is, and the file written. The order of tensors and the keys are those of
 * llama-quantize's files; memory is bounded by the largest tensor. */
#ifndef PM_QUANT_FILE_H
#define PM_QUANT_FILE_H

#include "io/gguf.h"
#include "io/store.h"
#include "quant/imatrix.h"
#include "quant/mix.h"
#include "quant/rows.h"

/* Where the model comes from: keys, and tensors by number. `values` (or NULL) gives those whose view has no data, in float32; `bytes` (or NULL) their
 * blocks, where they are of one of our types already, and −1 where they are not. */
struct pm_quant_source {
	const struct pm_gguf *keys;
	size_t n;
	const struct pm_view *(*at)(const void *self, size_t i);
	int (*values)(const void *self, size_t i, float *out, struct pm_err *e);
	int (*bytes)(const void *self, size_t i, void *out);
	const void *self;
};

/* A store opened on a GGUF file, split or whole. Status 65 where it is no GGUF file. */
int pm_quant_source_store(struct pm_quant_source *s, const struct pm_store *store, struct pm_err *e);

struct pm_quant_file_opts {
	struct pm_mix_options mix;              /* mix.to NULL: the types are chosen for target_bpw */
	double target_bpw;                      /* bits a value of all tensors together, at most; 0: as mix says */
	const struct pm_imatrix *imatrix;       /* or NULL */
	const char *imatrix_file;               /* its name, for a key */
	bool requantise;                        /* blocks may be quantised again */
	int threads;                            /* 0: all processors */
};

struct pm_quant_item {
	const struct pm_view *from;
	size_t index;                           /* in the source */
	size_t experts, rows, cols;             /* experts × rows × cols values */
	enum pm_dtype to, wanted;               /* `wanted`: where columns forced another type */
	bool chosen;                            /* by the rules or options; else it stays as it is */
	bool forced;                            /* f16, where llama-quantize would refuse */
	const struct pm_imatrix_entry *importance;      /* or NULL */
	const struct pm_view *scale;            /* its factor (scaled.h), which is multiplied in where its type changes; or NULL */
	size_t bytes;
	double error;                           /* with target_bpw: the relative error expected; else 0 */
};

struct pm_quant_plan {
	const struct pm_quant_source *source;
	const struct pm_quant_file_opts *opts;
	struct pm_quant_item *item;             /* in the order of the file */
	size_t n;
	const struct pm_file_type *type;        /* general.file_type; with target_bpw that of the type that most values have */
	uint64_t values, bytes_from, bytes;     /* of all tensors */
	size_t without;                         /* tensors to be quantised for which the importance matrix has nothing, but for token_embd and output */
};

/* Chooses. Status 64: a type that needs importance there is none for, blocks that were not to be quantised again, a target below what is possible; 65: a
 * file without the keys that the rules want, or importance of another shape. Borrows source and opts. */
int pm_quant_plan(struct pm_quant_plan *p, const struct pm_quant_source *s, const struct pm_quant_file_opts *o, struct pm_err *e);
void pm_quant_plan_free(struct pm_quant_plan *p);

/* Who is told: after each tensor with its error (n = 0 where it was copied), and of values done, where not 0 stops the work (status 75). Either may be NULL; without
 * the first errors are not measured. */
struct pm_quant_watch {
	void (*tensor)(void *arg, const struct pm_quant_item *t, const struct pm_quant_error *error);
	int (*progress)(void *arg, uint64_t values);
	void *arg;
};

int pm_quant_write(const struct pm_quant_plan *p, const char *path, const struct pm_quant_watch *w, struct pm_err *e);

/* For files of the room: chooses types of items for the target. */
int pm_quant_target(struct pm_quant_plan *p, struct pm_err *e);
/* Rows first … of expert x of an item, in float32. whole: the tensor's values, for a source that has no data; else NULL. */
void pm_quant_item_rows(float *out, const struct pm_quant_item *t, const float *whole, size_t expert, size_t first, size_t rows);

#endif
