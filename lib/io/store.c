#include "io/store.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct pm_store {
	struct pm_safetensors **file;
	char **path;
	size_t nfiles, cap;
	const struct pm_view **view;    /* file by file, each in its header's order */
	const struct pm_view **sorted;  /* by name */
	size_t n;
};

static int add_file(struct pm_store *s, const char *path, struct pm_err *e)
{
	size_t cap = s->cap;

	if (pm_grow(&s->file, &cap, s->nfiles + 1, sizeof *s->file, e) < 0)
		return -1;
	cap = s->cap;
	if (pm_grow(&s->path, &cap, s->nfiles + 1, sizeof *s->path, e) < 0)
		return -1;
	s->cap = cap;
	if (pm_safetensors_open(&s->file[s->nfiles], path, e) < 0)
		return -1;
	s->path[s->nfiles] = pm_strdup(path, e);
	return s->path[s->nfiles++] ? 0 : -1;
}

/* The file of that name, or NULL. Shards are few. */
static const struct pm_safetensors *file_called(const struct pm_store *s, const char *path)
{
	size_t i;

	for (i = 0; i < s->nfiles; i++)
		if (!strcmp(s->path[i], path))
			return s->file[i];
	return NULL;
}

/* One line of the index: opens its shard when it is the first that names it. */
static int read_mapping(struct pm_store *s, const char *dir, const char *name, const json_t *shard, struct pm_err *e)
{
	const struct pm_safetensors *f;
	const char *file = json_string_value(shard);
	char *path;
	int r = 0;

	if (!file)
		return pm_fail(e, PM_DATA, "tensor '%.200s': a file name was wanted", name);
	if (!*file || strchr(file, '/') || !strcmp(file, "..") || !strcmp(file, "."))
		return pm_fail(e, PM_DATA, "tensor '%.200s': '%.200s' is no name of a file beside the index", name, file);
	path = pm_path(dir, file, e);
	if (!path)
		return -1;
	f = file_called(s, path);
	if (!f) {
		r = add_file(s, path, e);
		f = r == 0 ? s->file[s->nfiles - 1] : NULL;
	}
	if (r == 0 && !pm_safetensors_find(f, name))
		r = pm_fail(e, PM_DATA, "tensor '%.200s': not in '%.200s'", name, file);
	free(path);
	return r;
}

static int read_index(struct pm_store *s, const char *dir, const char *path, struct pm_err *e)
{
	json_t *index = pm_json_file(path, e), *map, *v;
	const char *name;
	int r = 0;

	if (!index)
		return -1;
	map = json_object_get(index, "weight_map");
	if (!json_is_object(map) || !json_object_size(map))
		r = pm_fail(e, PM_DATA, "no weight_map in it");
	json_object_foreach(map, name, v)
		if (r == 0)
			r = read_mapping(s, dir, name, v, e);
	json_decref(index);
	return r < 0 ? pm_ctx(e, "%s", path) : 0;
}

/* Every tensor of every file; one in two files is an error. */
static int collect(struct pm_store *s, struct pm_err *e)
{
	size_t i, j, n = 0;

	for (i = 0; i < s->nfiles; i++)
		n += pm_safetensors_count(s->file[i]);
	s->view = pm_alloc(n, sizeof *s->view, e);
	s->sorted = pm_alloc(n, sizeof *s->sorted, e);
	if (!s->view || !s->sorted)
		return -1;
	for (i = 0; i < s->nfiles; i++)
		for (j = 0; j < pm_safetensors_count(s->file[i]); j++)
			s->view[s->n++] = pm_safetensors_at(s->file[i], j);
	if (n)
		memcpy(s->sorted, s->view, n * sizeof *s->view);
	pm_view_sort(s->sorted, n);
	for (i = 1; i < n; i++)
		if (!strcmp(s->sorted[i]->name, s->sorted[i - 1]->name))
			return pm_fail(e, PM_DATA, "tensor '%.200s': in '%s' and again in '%s'", s->sorted[i]->name,
				pm_store_file_of(s, s->sorted[i - 1]), pm_store_file_of(s, s->sorted[i]));
	return 0;
}

/* transformers' order of preference: the single file, then the index. */
static int open_dir(struct pm_store *s, const char *dir, struct pm_err *e)
{
	char *single = pm_path(dir, "model.safetensors", e), *index = pm_path(dir, "model.safetensors.index.json", e);
	int r = -1;

	if (single && index)
		r = pm_exists(single) ? add_file(s, single, e) : pm_exists(index) ? read_index(s, dir, index, e) :
			pm_fail(e, PM_NOINPUT, "%s: no model.safetensors and no model.safetensors.index.json in it", dir);
	free(single);
	free(index);
	return r;
}

static int open_index(struct pm_store *s, const char *path, struct pm_err *e)
{
	const char *slash = strrchr(path, '/');
	char *dir = slash ? pm_strndup(path, (size_t)(slash - path) + 1, e) : pm_strdup(".", e);
	int r = dir ? read_index(s, dir, path, e) : -1;

	free(dir);
	return r;
}

int pm_store_open(struct pm_store **out, const char *path, struct pm_err *e)
{
	struct pm_store *s = pm_alloc(1, sizeof *s, e);
	size_t n = strlen(path);
	int r;

	if (!s)
		return -1;
	if (pm_is_dir(path))
		r = open_dir(s, path, e);
	else if (n > 11 && !strcmp(path + n - 11, ".index.json"))
		r = open_index(s, path, e);
	else
		r = add_file(s, path, e);
	if (r == 0 && collect(s, e) < 0)
		r = pm_ctx(e, "%s", path);
	if (r < 0)
		pm_store_close(s);
	else
		*out = s;
	return r;
}

size_t pm_store_count(const struct pm_store *s)
{
	return s->n;
}

const struct pm_view *pm_store_at(const struct pm_store *s, size_t i)
{
	return s->view[i];
}

const struct pm_view *pm_store_find(const struct pm_store *s, const char *name)
{
	return pm_view_find(s->sorted, s->n, name);
}

const char *pm_store_file_of(const struct pm_store *s, const struct pm_view *v)
{
	size_t i;

	for (i = 0; i < s->nfiles; i++)
		if (pm_safetensors_find(s->file[i], v->name) == v)
			return s->path[i];
	return NULL;
}

size_t pm_store_files(const struct pm_store *s, const char *const **names)
{
	*names = (const char *const *)s->path;
	return s->nfiles;
}

void pm_store_close(struct pm_store *s)
{
	size_t i;

	if (!s)
		return;
	for (i = 0; i < s->nfiles; i++) {
		pm_safetensors_close(s->file[i]);
		free(s->path[i]);
	}
	free(s->file);
	free(s->path);
	free(s->view);
	free(s->sorted);
	free(s);
}
