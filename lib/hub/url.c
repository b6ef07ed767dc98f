#include "hub/url.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "hub/name.h"

char *pm_hub_url_dir(const char *urls, const char *url, struct pm_err *e)
{
	char hex[PM_SHA256_HEX];

	return pm_sha256_bytes(hex, url, strcspn(url, "#"), e) < 0 ? NULL : pm_path(urls, hex, e);
}

/* A string of an object, copied; what must be a name in the directory is held to that. */
static int take(char **out, const json_t *o, const char *key, bool name, struct pm_err *e)
{
	const char *s = NULL;
	int r = pm_json_str(&s, o, key, e);

	if (r != 0)
		return r < 0 ? -1 : 0;
	if (name && !pm_path_inside(s))
		return pm_fail(e, PM_DATA, "'%s': a path below the directory was wanted", key);
	*out = pm_strdup(s, e);
	return *out ? 0 : -1;
}

int pm_hub_kept_read(struct pm_hub_kept *k, const char *dir, struct pm_err *e)
{
	char *path = pm_path(dir, "fetched.json", e);
	struct pm_err bad;
	const char *sha = NULL;
	int64_t size = -1;
	json_t *o;
	int r;

	memset(k, 0, sizeof *k);
	if (!path)
		return -1;
	o = pm_json_file(path, &bad);
	free(path);
	r = o && pm_json_str(&sha, o, "sha256", &bad) == 0 && pm_hub_is_hex(sha, 64) && pm_json_int(&size, o, "size", &bad) == 0 && size >= 0 &&
	    take(&k->url, o, "url", false, &bad) == 0 && take(&k->file, o, "file", true, &bad) == 0 && take(&k->path, o, "path", true, &bad) == 0 &&
	    take(&k->etag, o, "etag", false, &bad) == 0 && take(&k->modified, o, "modified", false, &bad) == 0 && k->url && k->path ? 0 : 1;
	if (r == 0) {
		memcpy(k->sha256, sha, 65);
		k->size = (uint64_t)size;
	} else {
		pm_hub_kept_free(k);
	}
	json_decref(o);
	return r;
}

int pm_hub_kept_write(const struct pm_hub_kept *k, const char *dir, struct pm_err *e)
{
	json_t *o = json_pack("{s:s*, s:s*, s:s*, s:I, s:s, s:s*, s:s*}", "url", k->url, "file", k->file, "path", k->path, "size", (json_int_t)k->size,
		"sha256", k->sha256, "etag", k->etag, "modified", k->modified);
	char *path = pm_path(dir, "fetched.json", e);
	struct pm_str s = {0};
	struct pm_out out = {0};
	int r = !path ? -1 : !o ? pm_fail(e, PM_DATA, "%s: an address that is not UTF-8", k->url) : pm_json_text(&s, o, e);

	if (r == 0 && pm_out_open(&out, path, e) == 0)
		r = pm_out_write(&out, s.data, s.len, e) == 0 ? pm_out_close(&out, e) : -1;
	else
		r = -1;
	pm_out_abort(&out);
	pm_str_free(&s);
	json_decref(o);
	free(path);
	return r;
}

void pm_hub_kept_free(struct pm_hub_kept *k)
{
	free(k->url);
	free(k->file);
	free(k->path);
	free(k->etag);
	free(k->modified);
	memset(k, 0, sizeof *k);
}

int pm_hub_url_find(char **out, const char *url, const char *urls, struct pm_err *e)
{
	struct pm_hub_kept k = {0};
	char *dir = urls ? pm_hub_url_dir(urls, url, e) : NULL;
	int r = !urls ? 1 : dir ? pm_hub_kept_read(&k, dir, e) : -1;

	if (r == 0) {
		*out = pm_path(dir, k.path, e);
		r = !*out ? -1 : !pm_exists(*out);
	}
	if (r > 0) {
		free(*out);
		*out = NULL;
		r = pm_fail(e, PM_NOINPUT, "%.1000s: is not in the cache: 'pm-fetch %.500s' gets it", url, url);
	}
	pm_hub_kept_free(&k);
	free(dir);
	return r;
}
