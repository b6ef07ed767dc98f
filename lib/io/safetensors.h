/* safetensors.h: one safetensors file, read strictly (header length and JSON, duplicate names, dtypes, shapes against byte ranges,
 * overlaps, holes, ends past the file: each an error, status 65, naming the tensor) and written. Format: u64 little-endian header length,
 * JSON header, data; https://huggingface.co/docs/safetensors. */
#ifndef PM_IO_SAFETENSORS_H
#define PM_IO_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/err.h"
#include "base/file.h"
#include "base/json.h"

#define PM_MAX_DIMS 8

/* One tensor as it lies in a file: borrowed from whoever opened it. */
struct pm_view {
	const char *name;
	enum pm_dtype type;
	int nd;
	uint64_t dim[PM_MAX_DIMS];      /* outermost first */
	const unsigned char *data;      /* may be misaligned */
	size_t bytes;
};

struct pm_safetensors;

int pm_safetensors_open(struct pm_safetensors **out, const char *path, struct pm_err *e);
size_t pm_safetensors_count(const struct pm_safetensors *s);
const struct pm_view *pm_safetensors_at(const struct pm_safetensors *s, size_t i);              /* in the header's order */
const struct pm_view *pm_safetensors_find(const struct pm_safetensors *s, const char *name);    /* NULL: absent */
/* Sorting views by name, and looking one up among sorted ones (NULL: absent). Binary search, so that no names chosen by a file make it slow. */
void pm_view_sort(const struct pm_view **views, size_t n);
const struct pm_view *pm_view_find(const struct pm_view *const *sorted, size_t n, const char *name);

const json_t *pm_safetensors_metadata(const struct pm_safetensors *s);                          /* object of strings, or NULL */
void pm_safetensors_close(struct pm_safetensors *s);
void pm_safetensors_unload(const struct pm_safetensors *s);                       /* pm_map_unload */

/* Writing: declare every tensor in the order of the file, then give their bytes in that order. Data start aligned to 64 bytes. */
struct pm_st_writer;

int pm_st_begin(struct pm_st_writer **out, const char *path, const json_t *metadata, struct pm_err *e);
int pm_st_declare(struct pm_st_writer *w, const char *name, enum pm_dtype type, int nd, const uint64_t *dim, struct pm_err *e);
int pm_st_put(struct pm_st_writer *w, const void *bytes, size_t n, struct pm_err *e);           /* any split of the bytes declared */
int pm_st_end(struct pm_st_writer *w, struct pm_err *e);        /* checks that all came; renames into place; frees, also on failure */
void pm_st_abort(struct pm_st_writer *w);

#endif
