#include "io/shards.h"

#include <stdio.h>
#include <stdlib.h>

#define SHARD_BYTES 5000000000u                 /* as save_pretrained cuts them */

struct job {
	struct pm_shard_tensor *t;
	size_t n;
	const json_t *metadata;
	int (*put)(void *arg, size_t i, struct pm_st_writer *w, struct pm_err *e);
	void *arg;
};

static uint64_t bytes_of(const struct pm_shard_tensor *t)
{
	uint64_t n = 1;
	int i;

	for (i = 0; i < t->nd; i++)
		n *= t->dim[i];
	return pm_dtype_bytes(t->type, n);
}

static int write_one(const struct job *j, size_t shard, const char *path, struct pm_err *e)
{
	struct pm_st_writer *w;
	size_t i;
	int r = pm_st_begin(&w, path, j->metadata, e);

	if (r < 0)
		return -1;
	for (i = 0; r == 0 && i < j->n; i++)
		if (j->t[i].shard == shard)
			r = pm_st_declare(w, j->t[i].name, j->t[i].type, j->t[i].nd, j->t[i].dim, e);
	for (i = 0; r == 0 && i < j->n; i++)
		if (j->t[i].shard == shard)
			r = j->put(j->arg, i, w, e);
	if (r == 0)
		return pm_st_end(w, e);
	pm_st_abort(w);
	return -1;
}

static int write_index(const char *dir, json_t *map, uint64_t total, struct pm_err *e)
{
	json_t *index = json_pack("{s:{s:I},s:O}", "metadata", "total_size", (json_int_t)total, "weight_map", map);
	char *path = pm_path(dir, "model.safetensors.index.json", e);
	int r = index && path ? pm_json_save(path, index, e) : -1;

	json_decref(index);
	free(path);
	return r;
}

int pm_shards_write(const char *dir, struct pm_shard_tensor *t, size_t n, const json_t *metadata,
	int (*put)(void *arg, size_t i, struct pm_st_writer *w, struct pm_err *e), void *arg, struct pm_err *e)
{
	struct job j = {t, n, metadata, put, arg};
	uint64_t total = 0, in_shard = 0;
	size_t i, k, shards = 1;
	json_t *map = json_object();
	char name[64];
	int r = 0;

	for (i = 0; i < n; i++) {
		uint64_t bytes = bytes_of(&t[i]);

		if (in_shard && in_shard + bytes > SHARD_BYTES) {
			shards++;
			in_shard = 0;
		}
		t[i].shard = shards - 1;
		in_shard += bytes;
		total += bytes;
	}
	for (i = 0; r == 0 && i < shards; i++) {
		char *path;

		if (shards == 1)
			snprintf(name, sizeof name, "model.safetensors");
		else
			snprintf(name, sizeof name, "model-%05zu-of-%05zu.safetensors", i + 1, shards);
		path = pm_path(dir, name, e);
		r = path ? write_one(&j, i, path, e) : -1;
		free(path);
		for (k = 0; k < n; k++)
			if (t[k].shard == i)
				json_object_set_new(map, t[k].name, json_string(name));
	}
	if (r == 0 && shards > 1)
		r = write_index(dir, map, total, e);
	json_decref(map);
	return r;
}
