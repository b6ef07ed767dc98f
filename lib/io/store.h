/* store.h: the tensors of a model by name, whatever they lie in: model.safetensors, shards with an index, one .safetensors file,
 * one GGUF file, a GGUF model split into NAME-00001-of-0000N.gguf. Mapped, never copied. The caller owns the store; names and bytes are borrowed until it is closed. */
#ifndef PM_IO_STORE_H
#define PM_IO_STORE_H

#include "base/hash.h"
#include "base/json.h"
#include "io/gguf.h"
#include "io/safetensors.h"

struct pm_store;

/* path: a model directory, an index (*.index.json), a *.safetensors file, a *.gguf file (known by its first bytes where its name says nothing) or
 * any part of a split one; the others lie beside it, and split.no, split.count and split.tensors.count have to be right. A tensor in two shards, a shard that the index names and is not there, a tensor that the index
 * names and its shard lacks: errors. */
int pm_store_open(struct pm_store **out, const char *path, struct pm_err *e);
size_t pm_store_count(const struct pm_store *s);
const struct pm_view *pm_store_at(const struct pm_store *s, size_t i);
const struct pm_view *pm_store_find(const struct pm_store *s, const char *name);        /* NULL: absent */
/* Which file a tensor lies in (for messages), and all files (for provenance). */
const char *pm_store_file_of(const struct pm_store *s, const struct pm_view *v);
size_t pm_store_files(const struct pm_store *s, const char *const **names);
/* The GGUF file, of a split model the first part (which has the model's keys); NULL for safetensors. */
const struct pm_gguf *pm_store_gguf(const struct pm_store *s);
/* Puts views in the place of others: `gone` (by address; sorted here) are there no longer, `more` are. The store takes over `keep`, which owns those, whatever
 * happens, and gives it to free_keep when it is closed. A name that would be there twice is an error (65). At most once for a store. */
int pm_store_substitute(struct pm_store *s, const struct pm_view **gone, size_t ngone, const struct pm_view *more, size_t nmore, void *keep,
	void (*free_keep)(void *keep), struct pm_err *e);
bool pm_store_substituted(const struct pm_store *s);
bool pm_store_widened(const struct pm_store *s);                /* … and some of what was put there is floats, not blocks */
/* Puts into a hash what tells one model's tensors from another's without reading all of them: names, shapes and the ends of each. */
void pm_store_fingerprint(struct pm_sha256 *h, const struct pm_store *s);
void pm_store_unload(const struct pm_store *s);                  /* pm_map_unload, of all files */
void pm_store_close(struct pm_store *s);

#endif
