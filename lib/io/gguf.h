/* gguf.h: GGUF files (versions 2 and 3, little-endian): keys with values, then tensors; read strictly from a mapping, and written.
 *
 * Nothing in a header is trusted: counts, lengths, types, dimensions, offsets, alignment, overlaps and duplicate names are held against the
 * file before memory is taken; what is wrong is an error, status 65, naming the key or tensor. Layout: u32 magic "GGUF", u32 version,
 * u64 tensors, u64 keys; the keys; the tensors' names, dimensions (fastest first), types and offsets; zeros to the alignment; data.
 *
 * The caller owns a file that is open; everything got from it is borrowed until it is closed. */
#ifndef PM_IO_GGUF_H
#define PM_IO_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/dtype.h"
#include "base/err.h"
#include "base/json.h"
#include "io/safetensors.h"

enum pm_gguf_type {
	PM_GGUF_U8, PM_GGUF_I8, PM_GGUF_U16, PM_GGUF_I16, PM_GGUF_U32, PM_GGUF_I32, PM_GGUF_F32, PM_GGUF_BOOL, PM_GGUF_STRING, PM_GGUF_ARRAY,
	PM_GGUF_U64, PM_GGUF_I64, PM_GGUF_F64,
	PM_GGUF_TYPES,
};

struct pm_gguf;

/* A key: its name (NUL-terminated; one with a NUL inside is refused), its type, and where its value lies in the file. */
struct pm_gguf_key {
	const char *name;
	enum pm_gguf_type type;
	enum pm_gguf_type item;                 /* of an array: its elements' type (arrays of arrays are refused); else = type */
	uint64_t count;                         /* of an array: how many; else 1 */
	const unsigned char *data;              /* unaligned; strings as u64 length and bytes */
	size_t bytes;
};

/* "u8", "str", "array" …; −1 where a name is none of a type; bytes of a number or a truth value, 0 of others. */
const char *pm_gguf_type_name(enum pm_gguf_type t);
int pm_gguf_type_by_name(const char *name);
size_t pm_gguf_size(enum pm_gguf_type t);

/* One file, of a split model too (pm_store_open joins the parts). */
int pm_gguf_open(struct pm_gguf **out, const char *path, struct pm_err *e);
void pm_gguf_close(struct pm_gguf *g);
void pm_gguf_unload(const struct pm_gguf *g);                       /* pm_map_unload */
uint32_t pm_gguf_version(const struct pm_gguf *g);
uint64_t pm_gguf_alignment(const struct pm_gguf *g);
size_t pm_gguf_file_size(const struct pm_gguf *g);
size_t pm_gguf_offset(const struct pm_gguf *g, const struct pm_view *v);                       /* of a tensor's bytes, from the file's start */

size_t pm_gguf_keys(const struct pm_gguf *g);
const struct pm_gguf_key *pm_gguf_key_at(const struct pm_gguf *g, size_t i);                    /* in the file's order */
const struct pm_gguf_key *pm_gguf_key(const struct pm_gguf *g, const char *name);               /* NULL: absent */

/* Element i of a key's value (i = 0 for what is no array). Numbers convert only where they keep their value. A string is borrowed, n bytes,
 * not NUL-terminated. −1: another type, i beyond the end, or a value that does not fit; the message names the key. */
int pm_gguf_int(int64_t *out, const struct pm_gguf_key *k, uint64_t i, struct pm_err *e);
int pm_gguf_real(double *out, const struct pm_gguf_key *k, uint64_t i, struct pm_err *e);
int pm_gguf_bool(bool *out, const struct pm_gguf_key *k, uint64_t i, struct pm_err *e);
int pm_gguf_string(const char **out, size_t *n, const struct pm_gguf_key *k, struct pm_err *e);
/* All strings of an array (or the one of a plain string) in one pass: fn gets each. */
int pm_gguf_strings(const struct pm_gguf_key *k, int (*fn)(void *arg, uint64_t i, const char *s, size_t n, struct pm_err *e), void *arg, struct pm_err *e);

/* A key's value as JSON (bytes that are no UTF-8 become U+FFFD), and all keys as one object; arrays longer than `most` are left out of that,
 * most 0: none is. NULL: out of memory. */
json_t *pm_gguf_value(const struct pm_gguf_key *k, struct pm_err *e);
json_t *pm_gguf_json(const struct pm_gguf *g, uint64_t most, struct pm_err *e);
json_t *pm_gguf_number(const struct pm_gguf_key *k, uint64_t i);        /* element i, a number or a truth value, below count */
json_t *pm_gguf_text(const char *s, size_t n);                  /* a string of a file as JSON, in the same way; NULL: out of memory */

size_t pm_gguf_count(const struct pm_gguf *g);                                                  /* tensors */
const struct pm_view *pm_gguf_at(const struct pm_gguf *g, size_t i);                            /* in the file's order; dimensions outermost first */
const struct pm_view *pm_gguf_find(const struct pm_gguf *g, const char *name);                  /* NULL: absent */

/* Writing, version 3: keys, then the tensors in the order of the file, then their bytes in that order; renamed into place at the end. Key names
 * and tensor names are unique, a key general.alignment is written first where alignment is not 32 (0: 32) and the caller does not put it. */
struct pm_gguf_writer;

int pm_gguf_begin(struct pm_gguf_writer **out, const char *path, uint64_t alignment, struct pm_err *e);
int pm_gguf_put_int(struct pm_gguf_writer *w, const char *key, enum pm_gguf_type type, int64_t v, struct pm_err *e);     /* any integer type, or bool */
int pm_gguf_put_real(struct pm_gguf_writer *w, const char *key, enum pm_gguf_type type, double v, struct pm_err *e);     /* f32 or f64 */
int pm_gguf_put_string(struct pm_gguf_writer *w, const char *key, const char *s, size_t n, struct pm_err *e);
/* An array of numbers, `items` as they lie in a file of that type (little-endian, packed), or of strings. */
int pm_gguf_put_array(struct pm_gguf_writer *w, const char *key, enum pm_gguf_type item, const void *items, uint64_t count, struct pm_err *e);
int pm_gguf_put_strings(struct pm_gguf_writer *w, const char *key, const char *const *s, const size_t *n, uint64_t count, struct pm_err *e);
int pm_gguf_put_key(struct pm_gguf_writer *w, const struct pm_gguf_key *k, struct pm_err *e);   /* as it is in another file */
/* A value from text: a number in decimal, true or false, a string as it is; a list (type PM_GGUF_ARRAY of `of`) as JSON. Status 64 where it is none
 * of the type. pm_gguf_parse_type reads the "u32:" or "str[]:" in front of one; −1 where there is none. */
int pm_gguf_put_text(struct pm_gguf_writer *w, const char *key, enum pm_gguf_type type, enum pm_gguf_type of, const char *text, struct pm_err *e);
int pm_gguf_parse_type(enum pm_gguf_type *type, enum pm_gguf_type *of, const char **value, const char *text);
int pm_gguf_declare(struct pm_gguf_writer *w, const char *name, enum pm_dtype type, int nd, const uint64_t *dim, struct pm_err *e);     /* outermost first */
int pm_gguf_put(struct pm_gguf_writer *w, const void *bytes, size_t n, struct pm_err *e);       /* any split of the bytes declared */
int pm_gguf_end(struct pm_gguf_writer *w, struct pm_err *e);    /* checks that all came; renames into place; frees, also on failure */
void pm_gguf_abort(struct pm_gguf_writer *w);

#endif
