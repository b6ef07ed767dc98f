/* shards.h: a model's tensors written as transformers writes them: model.safetensors, or shards of 5 GB with an index. */
#ifndef PM_IO_SHARDS_H
#define PM_IO_SHARDS_H

#include "io/safetensors.h"

struct pm_shard_tensor {
	const char *name;
	enum pm_dtype type;
	int nd;
	uint64_t dim[PM_MAX_DIMS];
	size_t shard;                   /* private */
};

/* Into DIR, which exists, in the order given: put gives all bytes of tensor i to w. metadata goes into every file. */
int pm_shards_write(const char *dir, struct pm_shard_tensor *t, size_t n, const json_t *metadata,
	int (*put)(void *arg, size_t i, struct pm_st_writer *w, struct pm_err *e), void *arg, struct pm_err *e);

#endif
