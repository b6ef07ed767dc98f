/* convert.h: a model directory as the GGUF file that llama.cpp's converter makes of it: all keys at once, tensors one by one as they are
 * asked for, so that memory is bounded by the largest. pm-gguf convert writes them as they come; pm-gguf quantize takes a directory through this.
 *
 * The caller owns a conversion; what is got from it is borrowed until it is closed. */
#ifndef PM_MERGE_CONVERT_H
#define PM_MERGE_CONVERT_H

#include "io/gguf.h"
#include "spec/spec.h"

struct pm_convert_opts {
	const char *share, *family;             /* as pm_spec_load takes them; family may be NULL */
	const char *tmp;                        /* a directory: the keys lie in a file there while the conversion is open (it has no name any more) */
	enum pm_dtype type;                     /* of matrices: PM_F32, PM_F16, PM_BF16, PM_Q8_0; PM_DTYPE_NONE: bf16 where the directory has that, else f16 */
	const char *name;                       /* general.name; NULL: the directory's own */
	const char *metadata;                   /* a JSON file of keys general.*, or NULL */
	const char *const *overrides;           /* "KEY=TYPE:VALUE": keys in the place of those of that name, or behind the others */
	size_t noverrides;
};

struct pm_convert;

/* Opens and holds a directory against its family; reads its tokenizer. Status 64 for an override that is none, 65 for what a GGUF file of this
 * architecture cannot say, naming it. */
int pm_convert_open(struct pm_convert **out, const char *dir, const struct pm_convert_opts *o, struct pm_err *e);
void pm_convert_close(struct pm_convert *c);

const struct pm_gguf *pm_convert_header(const struct pm_convert *c);            /* the file's keys, in their order; it has no tensors */
size_t pm_convert_count(const struct pm_convert *c);
const struct pm_view *pm_convert_at(const struct pm_convert *c, size_t i);      /* name, type, shape and size as in the file; data is NULL */
/* The values of tensor i in float32, as the file means them before they are rounded to its type. */
int pm_convert_values(const struct pm_convert *c, size_t i, float *out, struct pm_err *e);
/* Its bytes, where the directory has blocks of the same type (gpt-oss's MXFP4); −1 where it has not: the values are all there is. */
int pm_convert_bytes(const struct pm_convert *c, size_t i, void *out);

/* All of it as one file. */
int pm_convert_write(const struct pm_convert *c, const char *path, struct pm_err *e);

/* A name for what lies in a directory, as converters choose it: "x/hf-model" -> "Hf Model". The caller frees. */
char *pm_title_of(const char *dir, struct pm_err *e);

#endif
