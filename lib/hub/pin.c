#include "hub/pin.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"

static int text_of(const char **out, const json_t *o, const char *key, struct pm_err *e)
{
	int r = pm_json_str(out, o, key, e);

	if (r > 0)
		return pm_fail(e, PM_DATA, "'%s' is missing", key);
	if (r == 0 && strlen(*out) != json_string_length(json_object_get(o, key)))
		return pm_fail(e, PM_DATA, "'%s': holds a zero byte", key);
	return r;
}

static int read_file(struct pm_hub_list *l, const json_t *o, const char *called, struct pm_err *e)
{
	const char *path = called, *hash = NULL;
	bool large = json_object_get(o, "sha256") != NULL;
	int64_t size = -1;

	if ((!called && text_of(&path, o, "path", e) < 0) || text_of(&hash, o, large ? "sha256" : "git", e) < 0 || pm_json_int(&size, o, "size", e) < 0)
		return -1;
	if (size < 0 || !pm_hub_is_hex(hash, large ? 64 : 40))
		return pm_fail(e, PM_DATA, "%.300s: a size and a hash of %d digits were wanted", path, large ? 64 : 40);
	return pm_hub_list_add(l, path, (uint64_t)size, hash, e);
}

static int read_repository(struct pm_hub_pins *p, const json_t *o, struct pm_err *e)
{
	const char *type, *id, *revision, *commit;
	const json_t *files = json_object_get(o, "files"), *f;
	struct pm_hub_name n = {0};
	struct pm_hub_pin *pin;
	int t = -1, r = -1;
	size_t i;

	if (text_of(&type, o, "type", e) < 0 || text_of(&id, o, "id", e) < 0 || text_of(&revision, o, "revision", e) < 0 ||
	    text_of(&commit, o, "commit", e) < 0)
		return -1;
	t = pm_hub_type_by_word(type);
	if (t < 0 || strpbrk(id, ":@") || pm_hub_name_parse(&n, id, e) < 0 || !pm_hub_revision_ok(revision) || !pm_hub_is_hex(commit, 40) || !json_is_array(files)) {
		pm_fail(e, PM_DATA, "a type, an id, a revision, a commit of 40 digits and a list of files were wanted");
	} else {
		n.type = (enum pm_hub_type)t;
		pin = pm_hub_pins_find(p, &n, NULL) ? NULL : pm_hub_pins_add(p, &n, NULL, e);
		r = pin ? 0 : pm_hub_pins_find(p, &n, NULL) ? pm_fail(e, PM_DATA, "'%.200s' comes twice", id) : -1;
		if (pin) {
			memcpy(pin->commit, commit, 41);
			free(pin->name.revision);
			pin->name.revision = pm_strdup(revision, e);
			r = pin->name.revision ? 0 : -1;
		}
		json_array_foreach(files, i, f)
			if (r == 0)
				r = read_file(&pin->list, f, NULL, e);
		if (r == 0)
			r = pm_hub_list_close(&pin->list, e);
	}
	pm_hub_name_free(&n);
	return r;
}

static int read_address(struct pm_hub_pins *p, const json_t *o, struct pm_err *e)
{
	struct pm_hub_pin *pin;
	const char *url;

	if (text_of(&url, o, "url", e) < 0)
		return -1;
	if (!json_object_get(o, "sha256"))
		return pm_fail(e, PM_DATA, "%.300s: 'sha256' is missing", url);
	if (pm_hub_pins_find(p, NULL, url))
		return pm_fail(e, PM_DATA, "'%.300s' comes twice", url);
	pin = pm_hub_pins_add(p, NULL, url, e);
	return pin ? read_file(&pin->list, o, "file", e) : -1;
}

int pm_hub_pins_parse(struct pm_hub_pins *p, const char *text, size_t n, const char *name, struct pm_err *e)
{
	json_t *v = pm_json_parse(text, n, name, e), *o;
	int64_t version = 0;
	int r = v ? 0 : -1;
	size_t i;

	if (r == 0 && (pm_json_int(&version, v, "pm_lock", e) != 0 || version != 1))
		r = pm_fail(e, PM_DATA, "%s: a lock file was wanted: {\"pm_lock\": 1, …}", name);
	json_array_foreach(json_object_get(v, "repositories"), i, o)
		if (r == 0 && read_repository(p, o, e) < 0)
			r = pm_ctx(e, "%s: repository %zu", name, i);
	json_array_foreach(json_object_get(v, "addresses"), i, o)
		if (r == 0 && read_address(p, o, e) < 0)
			r = pm_ctx(e, "%s: address %zu", name, i);
	json_decref(v);
	return r;
}

int pm_hub_pins_read(struct pm_hub_pins *p, const char *path, struct pm_err *e)
{
	struct pm_str s = {0};
	int r = pm_read_file(&s, path, e);

	if (r == 0)
		r = pm_hub_pins_parse(p, s.data, s.len, path, e);
	pm_str_free(&s);
	return r;
}

static json_t *file_json(const struct pm_hub_file *f, bool path)
{
	json_t *o = json_pack("{s:I, s:s}", "size", (json_int_t)f->size, strlen(f->hash) == 64 ? "sha256" : "git", f->hash);

	if (o && path)
		json_object_set_new(o, "path", json_string(f->path));
	return o;
}

int pm_hub_pins_write(const struct pm_hub_pins *p, const char *path, struct pm_err *e)
{
	json_t *repos = json_array(), *urls = json_array(), *v = json_pack("{s:i, s:o, s:o}", "pm_lock", 1, "repositories", repos, "addresses", urls);
	struct pm_out out = {0};
	char *text;
	size_t i, k;
	int r;

	for (i = 0; i < p->n; i++) {
		const struct pm_hub_pin *pin = &p->v[i];
		json_t *o, *files;

		if (pin->url) {
			o = file_json(&pin->list.v[0], false);
			json_object_set_new(o, "url", json_string(pin->url));
			json_array_append_new(urls, o);
			continue;
		}
		files = json_array();
		for (k = 0; k < pin->list.n; k++)
			json_array_append_new(files, file_json(&pin->list.v[k], true));
		o = json_pack("{s:s#, s:s, s:s, s:s, s:o}", "type", pm_hub_type_word(pin->name.type), strlen(pm_hub_type_word(pin->name.type)) - 1, "id",
			pin->name.id, "revision", pin->name.revision, "commit", pin->commit, "files", files);
		json_array_append_new(repos, o);
	}
	text = v ? json_dumps(v, JSON_INDENT(1)) : NULL;
	r = text ? pm_out_open(&out, path, e) : pm_fail(e, PM_DATA, "%s: a name that is not UTF-8 cannot be written", path);
	if (r == 0)
		r = pm_out_write(&out, text, strlen(text), e) == 0 && pm_out_write(&out, "\n", 1, e) == 0 ? pm_out_close(&out, e) : -1;
	pm_out_abort(&out);
	free(text);
	json_decref(v);
	return r;
}

void pm_hub_pins_free(struct pm_hub_pins *p)
{
	size_t i;

	for (i = 0; i < p->n; i++) {
		pm_hub_name_free(&p->v[i].name);
		free(p->v[i].url);
		pm_hub_list_free(&p->v[i].list);
	}
	free(p->v);
	memset(p, 0, sizeof *p);
}

struct pm_hub_pin *pm_hub_pins_find(const struct pm_hub_pins *p, const struct pm_hub_name *n, const char *url)
{
	size_t i;

	for (i = 0; i < p->n; i++)
		if (url ? p->v[i].url && !strcmp(p->v[i].url, url) : n && p->v[i].name.id && p->v[i].name.type == n->type && !strcmp(p->v[i].name.id, n->id))
			return &p->v[i];
	return NULL;
}

struct pm_hub_pin *pm_hub_pins_add(struct pm_hub_pins *p, const struct pm_hub_name *n, const char *url, struct pm_err *e)
{
	struct pm_hub_pin *pin;

	if (pm_grow(&p->v, &p->cap, p->n + 1, sizeof *p->v, e) < 0)
		return NULL;
	pin = &p->v[p->n];
	memset(pin, 0, sizeof *pin);
	if (url) {
		pin->url = pm_strdup(url, e);
	} else {
		pin->name = (struct pm_hub_name){.type = n->type, .id = pm_strdup(n->id, e), .revision = pm_strdup(n->revision, e)};
		if (!pin->name.id || !pin->name.revision) {
			pm_hub_name_free(&pin->name);
			return NULL;
		}
	}
	if (url && !pin->url)
		return NULL;
	p->n++;
	return pin;
}
