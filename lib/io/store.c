#include "io/store.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

/* One of the two. */
struct part {
	struct pm_safetensors *st;
	struct pm_gguf *gguf;
};

struct pm_store {
	struct part *file;
	char **path;
	size_t nfiles, cap;
	const struct pm_view **view;    /* file by file, each in its header's order */
	const struct pm_view **sorted;  /* by name */
	size_t n;
	void *keep;                     /* of views that were put in the place of others */
	void (*free_keep)(void *keep);
	bool floats;                    /* some of them are floats */
};

static bool is_gguf(const char *path)
{
	size_t n = strlen(path);
	char magic[4] = "";
	FILE *f;

	if (n > 5 && !strcmp(path + n - 5, ".gguf"))
		return true;
	f = n > 12 && !strcmp(path + n - 12, ".safetensors") ? NULL : fopen(path, "rbe");
	if (f) {
		n = fread(magic, 1, sizeof magic, f);
		fclose(f);
	}
	return f && n == sizeof magic && !memcmp(magic, "GGUF", sizeof magic);
}

static int add_file(struct pm_store *s, const char *path, struct pm_err *e)
{
	size_t cap = s->cap;
	struct part p = {NULL, NULL};

	if (pm_grow(&s->file, &cap, s->nfiles + 1, sizeof *s->file, e) < 0)
		return -1;
	cap = s->cap;
	if (pm_grow(&s->path, &cap, s->nfiles + 1, sizeof *s->path, e) < 0)
		return -1;
	s->cap = cap;
	if (is_gguf(path) ? pm_gguf_open(&p.gguf, path, e) < 0 : pm_safetensors_open(&p.st, path, e) < 0)
		return -1;
	s->file[s->nfiles] = p;
	s->path[s->nfiles] = pm_strdup(path, e);
	return s->path[s->nfiles++] ? 0 : -1;
}

static size_t part_count(const struct part *p)
{
	return p->gguf ? pm_gguf_count(p->gguf) : pm_safetensors_count(p->st);
}

static const struct pm_view *part_at(const struct part *p, size_t i)
{
	return p->gguf ? pm_gguf_at(p->gguf, i) : pm_safetensors_at(p->st, i);
}

static const struct pm_view *part_find(const struct part *p, const char *name)
{
	return p->gguf ? pm_gguf_find(p->gguf, name) : pm_safetensors_find(p->st, name);
}

/* The file of that name, or NULL. Shards are few. */
static const struct part *file_called(const struct pm_store *s, const char *path)
{
	size_t i;

	for (i = 0; i < s->nfiles; i++)
		if (!strcmp(s->path[i], path))
			return &s->file[i];
	return NULL;
}

/* One line of the index: opens its shard when it is the first that names it. */
static int read_mapping(struct pm_store *s, const char *dir, const char *name, const json_t *shard, struct pm_err *e)
{
	const struct part *f;
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
		f = r == 0 ? &s->file[s->nfiles - 1] : NULL;
	}
	if (r == 0 && !part_find(f, name))
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

/* Sorts what there is; a name that is there twice is an error. */
static int sort_views(struct pm_store *s, struct pm_err *e)
{
	size_t i;

	if (s->n)
		memcpy(s->sorted, s->view, s->n * sizeof *s->view);
	pm_view_sort(s->sorted, s->n);
	for (i = 1; i < s->n; i++)
		if (!strcmp(s->sorted[i]->name, s->sorted[i - 1]->name))
			return pm_fail(e, PM_DATA, "tensor '%.200s': in '%s' and again in '%s'", s->sorted[i]->name,
				pm_store_file_of(s, s->sorted[i - 1]), pm_store_file_of(s, s->sorted[i]));
	return 0;
}

/* Every tensor of every file; one in two files is an error. */
static int collect(struct pm_store *s, struct pm_err *e)
{
	size_t i, j, n = 0;

	for (i = 0; i < s->nfiles; i++)
		n += part_count(&s->file[i]);
	s->view = pm_alloc(n, sizeof *s->view, e);
	s->sorted = pm_alloc(n, sizeof *s->sorted, e);
	if (!s->view || !s->sorted)
		return -1;
	for (i = 0; i < s->nfiles; i++)
		for (j = 0; j < part_count(&s->file[i]); j++)
			s->view[s->n++] = part_at(&s->file[i], j);
	return sort_views(s, e);
}

static int by_address(const void *a, const void *b)
{
	const struct pm_view *x = *(const struct pm_view *const *)a, *y = *(const struct pm_view *const *)b;

	return ((uintptr_t)x > (uintptr_t)y) - ((uintptr_t)x < (uintptr_t)y);
}

int pm_store_substitute(struct pm_store *s, const struct pm_view **gone, size_t ngone, const struct pm_view *more, size_t nmore, void *keep,
	void (*free_keep)(void *keep), struct pm_err *e)
{
	const struct pm_view **view = pm_alloc(s->n + nmore, sizeof *view, e), **sorted = pm_alloc(s->n + nmore, sizeof *sorted, e);
	size_t i, n = 0;

	s->keep = keep;
	s->free_keep = free_keep;
	if (!view || !sorted) {
		free(view);
		free(sorted);
		return -1;
	}
	if (ngone)
		qsort(gone, ngone, sizeof *gone, by_address);
	for (i = 0; i < s->n; i++)
		if (!ngone || !bsearch(&s->view[i], gone, ngone, sizeof *gone, by_address))
			view[n++] = s->view[i];
	for (i = 0; i < nmore; i++) {
		view[n++] = &more[i];
		s->floats = s->floats || pm_dtype_plain(more[i].type);
	}
	free(s->view);
	free(s->sorted);
	s->view = view;
	s->sorted = sorted;
	s->n = n;
	return sort_views(s, e);
}

bool pm_store_substituted(const struct pm_store *s)
{
	return s->keep != NULL;
}

bool pm_store_widened(const struct pm_store *s)
{
	return s->floats;
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

/* The place of "-00001-of-00003.gguf" in a path, with its two numbers; NULL: no such name. */
static const char *split_name(const char *path, int *no, int *count)
{
	const size_t tail = strlen("-00001-of-00003.gguf");
	size_t n = strlen(path);
	int used = 0;

	if (n <= tail || sscanf(path + n - tail, "-%5d-of-%5d.gguf%n", no, count, &used) != 2 || used != (int)tail)
		return NULL;
	return *no < 1 || *no > *count ? NULL : path + n - tail;
}

/* A key of a part of a split model; absent: −1. */
static int split_key(int64_t *v, const struct pm_gguf *g, const char *name, struct pm_err *e)
{
	const struct pm_gguf_key *k = pm_gguf_key(g, name);

	*v = -1;
	return k ? pm_gguf_int(v, k, 0, e) : 0;
}

static int check_part(const struct pm_gguf *g, int no, int count, int64_t tensors, struct pm_err *e)
{
	int64_t v;

	if (split_key(&v, g, "split.count", e) < 0)
		return -1;
	if (v != count)
		return pm_fail(e, PM_DATA, "split.count: %d was wanted, not %lld", count, (long long)v);
	if (split_key(&v, g, "split.no", e) < 0)
		return -1;
	if (v != no)
		return pm_fail(e, PM_DATA, "split.no: %d was wanted, not %lld", no, (long long)v);
	if (split_key(&v, g, "split.tensors.count", e) < 0)
		return -1;
	return v == tensors ? 0 : pm_fail(e, PM_DATA, "split.tensors.count: %lld was wanted, not %lld", (long long)tensors, (long long)v);
}

/* All parts, beside the one that was named (whichever), in their order. */
static int open_parts(struct pm_store *s, const char *path, int count, struct pm_err *e)
{
	struct pm_str part = {0};
	int64_t tensors = -1, have = 0;
	int i, r = 0;

	for (i = 0; r == 0 && i < count; i++) {
		pm_str_clear(&part);
		r = pm_str_printf(&part, e, "%.*s-%05d-of-%05d.gguf", (int)(strlen(path) - strlen("-00001-of-00003.gguf")), path, i + 1, count);
		if (r == 0)
			r = add_file(s, part.data, e);
		if (r == 0 && i == 0)
			r = split_key(&tensors, s->file[0].gguf, "split.tensors.count", e);
		if (r == 0 && check_part(s->file[i].gguf, i, count, tensors, e) < 0)
			r = pm_ctx(e, "%s", part.data);
		have += r == 0 ? (int64_t)part_count(&s->file[i]) : 0;
	}
	pm_str_free(&part);
	if (r == 0 && have != tensors)
		return pm_fail(e, PM_DATA, "%s: split.tensors.count is %lld, the %d parts have %lld", s->path[0], (long long)tensors, count, (long long)have);
	return r;
}

/* One file: of a split model, all that belong to it. */
static int open_file(struct pm_store *s, const char *path, struct pm_err *e)
{
	int64_t count;
	int no, named = 0;

	if (add_file(s, path, e) < 0)
		return -1;
	if (!s->file[0].gguf)
		return 0;
	if (split_key(&count, s->file[0].gguf, "split.count", e) < 0)
		return pm_ctx(e, "%s", path);
	if (count <= 1)
		return 0;
	if (!split_name(path, &no, &named) || named != count)
		return pm_fail(e, PM_DATA, "%s: one part of %lld: a name that ends in -00001-of-%05lld.gguf was wanted", path, (long long)count, (long long)count);
	pm_gguf_close(s->file[0].gguf);
	free(s->path[0]);
	s->nfiles = 0;
	return open_parts(s, path, named, e);
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
		r = open_file(s, path, e);
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
		if (part_find(&s->file[i], v->name) == v)
			return s->path[i];
	return s->keep ? s->path[0] : NULL;
}

size_t pm_store_files(const struct pm_store *s, const char *const **names)
{
	*names = (const char *const *)s->path;
	return s->nfiles;
}

const struct pm_gguf *pm_store_gguf(const struct pm_store *s)
{
	return s->nfiles ? s->file[0].gguf : NULL;
}

void pm_store_fingerprint(struct pm_sha256 *h, const struct pm_store *s)
{
	size_t i;

	for (i = 0; i < pm_store_count(s); i++) {
		const struct pm_view *v = pm_store_at(s, i);
		size_t end = v->bytes < 256 ? v->bytes : 256;

		pm_sha256_put(h, v->name, strlen(v->name) + 1);
		pm_sha256_put(h, v->dim, (size_t)v->nd * sizeof *v->dim);
		pm_sha256_put(h, v->data, end);
		pm_sha256_put(h, (const char *)v->data + v->bytes - end, end);
	}
}

void pm_store_unload(const struct pm_store *s)
{
	size_t i;

	for (i = 0; i < s->nfiles; i++)
		if (s->file[i].gguf)
			pm_gguf_unload(s->file[i].gguf);
		else
			pm_safetensors_unload(s->file[i].st);
}

void pm_store_close(struct pm_store *s)
{
	size_t i;

	if (!s)
		return;
	if (s->free_keep)
		s->free_keep(s->keep);
	for (i = 0; i < s->nfiles; i++) {
		pm_safetensors_close(s->file[i].st);
		pm_gguf_close(s->file[i].gguf);
		free(s->path[i]);
	}
	free(s->file);
	free(s->path);
	free(s->view);
	free(s->sorted);
	free(s);
}
