#include "hub/list.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/file.h"
#include "hub/name.h"

#define MOST_FILES ((size_t)5000000)

int pm_hub_list_add(struct pm_hub_list *l, const char *path, uint64_t size, const char *hash, struct pm_err *e)
{
	struct pm_hub_file *f;

	if (!pm_path_inside(path))
		return pm_fail(e, PM_DATA, "the repository has a file called '%.300s': a path inside it was wanted", path);
	if (hash && !pm_hub_is_hex(hash, 64) && !pm_hub_is_hex(hash, 40))
		return pm_fail(e, PM_DATA, "%.300s: 64 or 40 hexadecimal digits of a hash were wanted, not '%.80s'", path, hash);
	if (l->n >= MOST_FILES)
		return pm_fail(e, PM_DATA, "the repository has more than %zu files", MOST_FILES);
	if (pm_grow(&l->v, &l->cap, l->n + 1, sizeof *l->v, e) < 0)
		return -1;
	f = &l->v[l->n];
	*f = (struct pm_hub_file){.size = size};
	f->path = pm_arena_printf(&l->arena, e, "%s", path);
	if (!f->path)
		return -1;
	if (hash)
		memcpy(f->hash, hash, strlen(hash) + 1);
	l->n++;
	return 0;
}

static int by_path(const void *a, const void *b)
{
	return strcmp(((const struct pm_hub_file *)a)->path, ((const struct pm_hub_file *)b)->path);
}

static const struct pm_hub_file *find(const struct pm_hub_list *l, const char *path)
{
	struct pm_hub_file key = {.path = path};

	return l->n ? bsearch(&key, l->v, l->n, sizeof *l->v, by_path) : NULL;
}

int pm_hub_list_close(struct pm_hub_list *l, struct pm_err *e)
{
	char dir[1025];
	const char *slash;
	size_t i;

	if (l->n)
		qsort(l->v, l->n, sizeof *l->v, by_path);
	for (i = 0; i < l->n; i++) {
		const char *path = l->v[i].path;

		if (i && !strcmp(path, l->v[i - 1].path))
			return pm_fail(e, PM_DATA, "the repository lists '%.300s' twice", path);
		for (slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
			memcpy(dir, path, (size_t)(slash - path));
			dir[slash - path] = 0;
			if (find(l, dir))
				return pm_fail(e, PM_DATA, "the repository lists '%.300s' as a file and as a directory", dir);
		}
	}
	return 0;
}

void pm_hub_list_free(struct pm_hub_list *l)
{
	pm_arena_free(&l->arena);
	free(l->v);
	memset(l, 0, sizeof *l);
}

static int text_of(const char **out, const json_t *o, const char *key, struct pm_err *e)
{
	int r = pm_json_str(out, o, key, e);

	if (r == 0 && strlen(*out) != json_string_length(json_object_get(o, key)))
		return pm_fail(e, PM_DATA, "'%s': holds a zero byte", key);
	return r;
}

static int size_of(uint64_t *out, const json_t *o, const char *key, struct pm_err *e)
{
	int64_t n = -1;
	int r = pm_json_int(&n, o, key, e);

	if (r < 0)
		return -1;
	if (r == 0 && n < 0)
		return pm_fail(e, PM_DATA, "'%s': a size was wanted, not %lld", key, (long long)n);
	*out = r ? PM_HUB_SIZE_UNKNOWN : (uint64_t)n;
	return 0;
}

/* A file as both forms describe it: git's name, and for large files the hash of the bytes. */
static int add_described(struct pm_hub_list *l, const char *path, uint64_t size, const char *blob, const char *sha256, const char *xet,
	struct pm_err *e)
{
	struct pm_hub_file *f;

	blob = blob && *blob ? blob : NULL;
	if (blob && !pm_hub_is_hex(blob, 40))
		return pm_fail(e, PM_DATA, "%.300s: 40 hexadecimal digits were wanted for git's name of it, not '%.80s'", path, blob);
	if (sha256 && !strncmp(sha256, "sha256:", 7))
		sha256 += 7;
	if (sha256 && !pm_hub_is_hex(sha256, 64))
		return pm_fail(e, PM_DATA, "%.300s: 64 hexadecimal digits of a SHA-256 were wanted, not '%.80s'", path, sha256);
	if (pm_hub_list_add(l, path, size, sha256 ? sha256 : blob, e) < 0)
		return -1;
	f = &l->v[l->n - 1];
	if (blob)
		memcpy(f->blob_id, blob, 41);
	f->xet = xet ? pm_arena_printf(&l->arena, e, "%s", xet) : NULL;
	return xet && !f->xet ? -1 : 0;
}

static int page_entry(struct pm_hub_list *l, const json_t *o, struct pm_err *e)
{
	const char *path = NULL, *type = "file", *blob = NULL, *sha = NULL, *xet = NULL;
	const json_t *lfs = json_object_get(o, "lfs");
	uint64_t size, large = PM_HUB_SIZE_UNKNOWN;

	if (json_is_object(o) && text_of(&path, o, "path", e) < 0)
		return -1;
	if (!path)
		return pm_fail(e, PM_DATA, "an object with a path was wanted");
	if (text_of(&type, o, "type", e) < 0 || text_of(&blob, o, "oid", e) < 0 || text_of(&xet, o, "xetHash", e) < 0 || size_of(&size, o, "size", e) < 0)
		return -1;
	if (!strcmp(type, "directory"))
		return 0;
	if (strcmp(type, "file"))
		return pm_fail(e, PM_DATA, "%.300s: a file or a directory was wanted, not a '%.80s'", path, type);
	if (json_is_object(lfs)) {
		if (text_of(&sha, lfs, "oid", e) < 0 || size_of(&large, lfs, "size", e) < 0)
			return -1;
		if (!sha)
			return pm_fail(e, PM_DATA, "%.300s: a large file without 'oid'", path);
	}
	return add_described(l, path, large != PM_HUB_SIZE_UNKNOWN ? large : size, blob, sha, xet, e);
}

int pm_hub_list_page(struct pm_hub_list *l, const char *text, size_t n, struct pm_err *e)
{
	json_t *v = pm_json_parse(text, n, "the list of files", e), *o;
	int r = v ? 0 : -1;
	size_t i;

	if (r == 0 && !json_is_array(v))
		r = pm_fail(e, PM_DATA, "the list of files: an array was wanted");
	json_array_foreach(v, i, o)
		if (r == 0 && page_entry(l, o, e) < 0)
			r = pm_ctx(e, "the list of files: entry %zu", i);
	json_decref(v);
	return r;
}

static int kept_entry(struct pm_hub_list *l, const char *path, const json_t *o, struct pm_err *e)
{
	const char *blob = NULL, *sha = NULL, *xet = NULL;
	uint64_t size, large;

	if (!json_is_object(o))
		return pm_fail(e, PM_DATA, "'%.300s': an object was wanted", path);
	if (text_of(&blob, o, "blob_id", e) < 0 || text_of(&sha, o, "lfs_sha256", e) < 0 || text_of(&xet, o, "xet_hash", e) < 0 ||
	    size_of(&size, o, "size", e) < 0 || size_of(&large, o, "lfs_size", e) < 0)
		return pm_ctx(e, "'%.300s'", path);
	return add_described(l, path, sha && large != PM_HUB_SIZE_UNKNOWN ? large : size, blob, sha, xet, e);
}

int pm_hub_list_read(struct pm_hub_list *l, const char *text, size_t n, const char *name, struct pm_err *e)
{
	json_t *v = pm_json_parse(text, n, name, e), *files, *o;
	int64_t version = 0;
	const char *path;
	size_t key;
	int r = v ? 0 : -1;

	if (r < 0)
		return -1;
	files = json_object_get(v, "files");
	if (pm_json_int(&version, v, "format_version", e) < 0)
		r = pm_ctx(e, "%s", name);
	else if (version != 1)
		r = 1;
	else if (!json_is_object(files))
		r = pm_fail(e, PM_DATA, "%s: 'files' was wanted, an object", name);
	json_object_keylen_foreach(files, path, key, o) {
		if (r != 0)
			break;
		if (strlen(path) != key)
			r = pm_fail(e, PM_DATA, "%s: a name holds a zero byte", name);
		else if (kept_entry(l, path, o, e) < 0)
			r = pm_ctx(e, "%s", name);
	}
	json_decref(v);
	return r == 0 ? pm_hub_list_close(l, e) : r;
}

int pm_hub_list_write(struct pm_str *out, const struct pm_hub_list *l, struct pm_err *e)
{
	json_t *files = json_object(), *v = json_pack("{s:i, s:o?}", "format_version", 1, "files", files);
	bool bad = !files || !v;
	size_t i;
	int r;

	for (i = 0; !bad && i < l->n; i++) {
		const struct pm_hub_file *f = &l->v[i];
		json_t *o = json_pack("{s:I, s:s}", "size", (json_int_t)f->size, "blob_id", f->blob_id);

		if (strlen(f->hash) == 64 && o)
			bad = json_object_set_new(o, "lfs_sha256", json_string(f->hash)) < 0 ||
			    json_object_set_new(o, "lfs_size", json_integer((json_int_t)f->size)) < 0;
		if (f->xet && o)
			bad |= json_object_set_new(o, "xet_hash", json_string(f->xet)) < 0;
		bad |= json_object_set_new(files, f->path, o) < 0;
	}
	r = bad ? pm_fail(e, PM_DATA, "the list of files cannot be written as JSON: a name is not UTF-8") : pm_json_text(out, v, e);
	json_decref(v);
	return r;
}

int pm_hub_revision_read(char commit[41], const char *text, size_t n, struct pm_err *e)
{
	json_t *v = pm_json_parse(text, n, "the answer about the revision", e);
	const char *sha = NULL;
	int r = v ? text_of(&sha, v, "sha", e) : -1;

	if (v && r >= 0)
		r = !sha || !pm_hub_is_hex(sha, 40) ? pm_fail(e, PM_DATA, "the answer about the revision: a commit of 40 digits was wanted in 'sha'") : 0;
	if (r == 0)
		memcpy(commit, sha, 41);
	json_decref(v);
	return r;
}

/* Whether the parameters behind <URL> say rel="next" (or rel=next, or one of several words in the quotes). */
static bool is_next(const char *p, const char *end)
{
	while (p < end && *p == ';') {
		size_t n, word;

		for (p++; p < end && (*p == ' ' || *p == '\t'); p++)
			;
		for (n = 0; p + n < end && !strchr("=;, \t", p[n]); n++)
			;
		bool rel = n == 3 && !strncasecmp(p, "rel", 3);
		for (p += n; p < end && (*p == ' ' || *p == '\t'); p++)
			;
		if (p >= end || *p != '=')
			continue;
		for (p++; p < end && (*p == ' ' || *p == '\t'); p++)
			;
		bool quoted = p < end && *p == '"';
		const char *stop = p += quoted;
		while (stop < end && (quoted ? *stop != '"' : !strchr("; \t,", *stop)))
			stop += quoted && *stop == '\\' && stop + 1 < end ? 2 : 1;
		for (; rel && p < stop; p += word + (p + word < stop)) {
			for (word = 0; p + word < stop && p[word] != ' '; word++)
				;
			if (word == 4 && !strncasecmp(p, "next", 4))
				return true;
		}
		p = stop + (quoted && stop < end);
		while (p < end && (*p == ' ' || *p == '\t'))
			p++;
	}
	return false;
}

const char *pm_hub_link_next(const char *header, size_t *n)
{
	const char *p = header, *url, *close, *end;
	bool quoted;

	while ((url = strchr(p, '<')) && (close = strchr(url, '>'))) {
		for (end = close + 1, quoted = false; *end && (quoted || *end != ','); end++) {
			quoted ^= *end == '"';
			end += quoted && *end == '\\' && end[1];
		}
		for (p = close + 1; *p == ' ' || *p == '\t'; p++)
			;
		if (is_next(p, end)) {
			*n = (size_t)(close - url) - 1;
			return url + 1;
		}
		p = end;
	}
	return NULL;
}
