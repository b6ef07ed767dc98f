/* mix.h: which type a tensor gets: the file types of llama-quantize (Q4_K_M …), the same types for the same tensors.
 *
 * Tensors are looked at in a fixed order (pm_mix_compare), because several rules count what they have seen. The rules as they stand in mix.c were
 * learnt from llama-quantize's behaviour; ggml-org/llama.cpp, MIT. */
#ifndef PM_QUANT_MIX_H
#define PM_QUANT_MIX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/err.h"

/* A file type: its number is the value of general.file_type. */
struct pm_file_type {
	const char *name;
	int number;
	enum pm_dtype base;
};

/* By name in either case (Q3_K, Q4_K and Q5_K mean the _M); NULL: unknown. By place, for lists: NULL behind the last. */
const struct pm_file_type *pm_file_type(const char *name);
const struct pm_file_type *pm_file_type_at(size_t i);

/* What the rules want to know of a model. */
struct pm_mix_model {
	const char *arch;                       /* general.architecture */
	int64_t layers, heads, kv_heads, experts;
	bool importance;                        /* there is an importance matrix */
};

struct pm_mix_override {
	const char *pattern;                    /* a regular expression, found anywhere in the name */
	enum pm_dtype type;
};

struct pm_mix_options {
	const struct pm_file_type *to;
	bool pure;                              /* the base type for all */
	bool leave_output;                      /* output.weight stays as it is */
	enum pm_dtype output, embedding;        /* PM_DTYPE_NONE: not said */
	const struct pm_mix_override *over;
	size_t n_over;
};

struct pm_mix_tensor {
	const char *name;
	int nd;                                 /* dimensions, those of 1 on the outside not counted */
	uint64_t cols;
	enum pm_dtype type;                     /* out: PM_DTYPE_NONE: it stays as it is */
	enum pm_dtype wanted;                   /* out: what it would be if its columns were a multiple of that type's block, else = type */
	bool forced;                            /* out: falls back to F16 where llama-quantize has no type to fall back to, and refuses */
};

/* The order in which tensors are looked at and written: those without a layer by name, then by layer, then by name. */
int pm_mix_compare(const char *a, const char *b);

/* Chooses for n tensors in that order. −1: a pattern that does not compile or is never used (64), or out of memory. */
int pm_mix_choose(struct pm_mix_tensor *t, size_t n, const struct pm_mix_model *m, const struct pm_mix_options *o, struct pm_err *e);

/* Whether a tensor of this name may not become `type` in such a file without importance for it. */
bool pm_mix_needs_importance(const char *name, enum pm_dtype type, const struct pm_file_type *to);

/* The type for a row whose length no block of `t` divides; *forced: there is no rule, F16 is what is left. */
enum pm_dtype pm_mix_fallback(enum pm_dtype t, uint64_t cols, bool *forced);

#endif
