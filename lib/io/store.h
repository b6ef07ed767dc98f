/* store.h: the tensors of a model by name, whatever they lie in: model.safetensors, shards with an index, one .safetensors file
 * (a GGUF file joins here). Mapped, never copied. The caller owns the store; names and bytes are borrowed until it is closed. */
#ifndef PM_IO_STORE_H
#define PM_IO_STORE_H

#include "base/json.h"
#include "io/safetensors.h"

struct pm_store;

/* path: a model directory, an index (*.index.json) or a *.safetensors file. A tensor in two shards, a shard that the index names and is not there, a tensor that the index
 * names and its shard lacks: errors. */
int pm_store_open(struct pm_store **out, const char *path, struct pm_err *e);
size_t pm_store_count(const struct pm_store *s);
const struct pm_view *pm_store_at(const struct pm_store *s, size_t i);
const struct pm_view *pm_store_find(const struct pm_store *s, const char *name);        /* NULL: absent */
/* Which file a tensor lies in (for messages), and all files (for provenance). */
const char *pm_store_file_of(const struct pm_store *s, const struct pm_view *v);
size_t pm_store_files(const struct pm_store *s, const char *const **names);
void pm_store_close(struct pm_store *s);

#endif
