/* Where a tokenizer comes from: which file of a model directory, and what kind of file it is. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "text/sources.h"
#include "text/tokens.h"
#include "text/vocab_private.h"

/* The token that tokenizer_config.json names (a string, or an object with its content). */
static int32_t named(const struct pm_tokenizer *t, const json_t *o, const char *key)
{
	const json_t *v = json_object_get(o, key);
	const char *s = json_string_value(json_is_object(v) ? json_object_get(v, "content") : v);

	return s ? pm_tokenizer_id(t, s) : -1;
}

static int flag(int *out, const json_t *o, const char *key, struct pm_err *e)
{
	bool b = false;
	int r = pm_json_bool(&b, o, key, e);

	*out = r ? -1 : b;
	return r < 0 ? -1 : 0;
}

/* What tokenizer_config.json changes. */
static int configure(struct pm_tokenizer *t, const json_t *o, struct pm_err *e)
{
	int add_bos, add_eos;

	int32_t bos = json_object_get(o, "bos_token") ? named(t, o, "bos_token") : pm_tokenizer_bos(t);
	int32_t eos = json_object_get(o, "eos_token") ? named(t, o, "eos_token") : pm_tokenizer_eos(t);

	if (flag(&add_bos, o, "add_bos_token", e) < 0 || flag(&add_eos, o, "add_eos_token", e) < 0)
		return -1;
	return pm_tokens_bounds(t, bos, add_bos, eos, add_eos, e);
}

static int open_gguf(struct pm_tokenizer **out, const char *path, const char *cache, struct pm_err *e)
{
	struct pm_gguf *g;
	int r;

	if (pm_gguf_open(&g, path, e) < 0)
		return -1;
	r = pm_ggml_vocab_open(out, g, cache, e);
	pm_gguf_close(g);
	return r < 0 ? pm_ctx(e, "%s", path) : 0;
}

/* A file by its content; config is that of its directory, or NULL. */
static int open_file(struct pm_tokenizer **out, const char *path, const json_t *config, const char *cache, struct pm_err *e)
{
	struct pm_map m;
	struct pm_source s = {.bos = -1, .eos = -1};
	const char *text;
	size_t at = 0;
	int r;

	if (pm_map_open(&m, path, e) < 0)
		return -1;
	text = m.size ? (const char *)m.data : "";
	if (m.size >= 4 && memcmp(text, "GGUF", 4) == 0) {
		pm_map_close(&m);
		return open_gguf(out, path, cache, e);
	}
	while (at < m.size && strchr(" \t\r\n", text[at]) && text[at])
		at++;
	if (at == m.size || text[at] == '{') {
		r = pm_tokens_read_cached(out, text, m.size, path, cache, e);
	} else {
		r = (pm_source_is_ranks(text, m.size) ? pm_source_ranks : pm_source_sentencepiece)(&s, text, m.size, config, e);
		r = r < 0 ? pm_ctx(e, "%s", path) : pm_tokens_read_cached(out, s.json.data, s.json.len, path, cache, e);
		if (r == 0)
			r = pm_tokens_bounds(*out, s.bos, -1, s.eos, -1, e);
	}
	pm_str_free(&s.json);
	pm_map_close(&m);
	return r;
}

/* The tokenizer's file in a directory; tokenizer.json where there is none. */
static char *find(const char *dir, struct pm_err *e)
{
	static const char *const names[] = {"tokenizer.json", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "tiktoken.model",
		"qwen.tiktoken"};
	char *path;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		path = pm_path(dir, names[i], e);
		if (!path || pm_exists(path))
			return path;
		free(path);
	}
	return pm_path(dir, names[0], e);
}

static int read_config(json_t **out, const char *dir, struct pm_err *e)
{
	char *path = pm_path(dir, "tokenizer_config.json", e);
	int r = path ? 0 : -1;

	*out = NULL;
	if (path && pm_exists(path)) {
		*out = pm_json_file(path, e);
		if (*out && !json_is_object(*out))
			pm_fail(e, PM_DATA, "%s: an object was wanted", path);
		r = json_is_object(*out) ? 0 : -1;
	}
	free(path);
	return r;
}

int pm_tokenizer_open(struct pm_tokenizer **out, const char *path, struct pm_err *e)
{
	return pm_tokenizer_open_cached(out, path, NULL, e);
}

int pm_tokenizer_open_cached(struct pm_tokenizer **out, const char *path, const char *cache, struct pm_err *e)
{
	json_t *config = NULL;
	char *file;
	int r = -1;

	*out = NULL;
	if (!pm_is_dir(path))
		return open_file(out, path, NULL, cache, e);
	file = find(path, e);
	if (file && read_config(&config, path, e) == 0)
		r = open_file(out, file, config, cache, e);
	if (r == 0 && config && configure(*out, config, e) < 0) {
		pm_ctx(e, "%s/tokenizer_config.json", path);
		pm_tokenizer_close(*out);
		*out = NULL;
		r = -1;
	}
	json_decref(config);
	free(file);
	return r;
}
