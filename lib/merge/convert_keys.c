/* convert_keys.c: the keys of a conversion: what the architecture's program says, the tokenizer, and what the user puts in their place. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "merge/convert_private.h"

/* ---- the program ---- */

/* general.file_type. */
static int file_type(enum pm_dtype t, bool coded)
{
	return coded ? 38 : t == PM_F32 ? 0 : t == PM_F16 ? 1 : t == PM_BF16 ? 32 : 7;
}

/* Numbers of the model, and of those in stacks of matrices one expert's; how many experts there are. */
static json_int_t parameters(const struct pm_spec *s, json_int_t *experts)
{
	json_int_t n = 0;
	size_t i;

	*experts = 0;
	for (i = 0; i < s->ntensors; i++) {
		const struct pm_tensor_spec *t = &s->tensor[i];
		json_int_t m = t->optional ? 0 : 1;
		int d;

		for (d = t->experts && t->nd > 2 ? 1 : 0; d < t->nd; d++)
			m *= t->dim[d];
		n += m;
		*experts = t->experts > *experts ? t->experts : *experts;
	}
	return n;
}

char *pm_title_of(const char *dir, struct pm_err *e)
{
	size_t n = strlen(dir), from, i;
	char *s;

	while (n > 1 && dir[n - 1] == '/')
		n--;
	for (from = n; from && dir[from - 1] != '/'; from--)
		;
	s = pm_strndup(dir + from, n - from, e);
	for (i = 0; s && s[i]; i++)
		if (s[i] == '-')
			s[i] = ' ';
	for (i = 0; s && s[i]; i++) {
		size_t len = strcspn(s + i, " "), k;

		for (k = 0; k < len && !(s[i + k] >= 'A' && s[i + k] <= 'Z'); k++)
			;
		if (k == len && s[i] >= 'a' && s[i] <= 'z')
			s[i] = (char)(s[i] - 32);
		i += len;
		if (!s[i])
			break;
	}
	return s;
}

static int optional_file(json_t **out, const char *dir, const char *name, struct pm_err *e)
{
	char *path = pm_path(dir, name, e);
	int r = path ? 0 : -1;

	*out = NULL;
	if (r == 0 && pm_exists(path))
		r = (*out = pm_json_file(path, e)) ? 0 : -1;
	free(path);
	return r;
}

int convert_program(struct pm_convert *c, const char *dir, const struct pm_convert_opts *o, struct pm_err *e)
{
	json_t *generation = NULL, *metadata = NULL, *in = NULL;
	json_int_t experts, count = parameters(c->spec, &experts);
	char *name = o->name ? pm_strdup(o->name, e) : pm_title_of(dir, e);
	int r = name ? optional_file(&generation, dir, "generation_config.json", e) : -1;

	if (r == 0)
		r = pm_ggml_vocab_of_dir(&c->vocab, dir, 0, e);
	if (r == 0 && o->metadata)
		r = (metadata = pm_json_file(o->metadata, e)) ? 0 : -1;
	if (r == 0 && metadata && !json_is_object(metadata))
		r = pm_fail(e, PM_DATA, "%s: an object was wanted", o->metadata);
	if (r == 0) {
		in = json_pack("{s:O,s:O?,s:O?,s:s,s:I,s:I,s:I,s:i}", "config", c->spec->config, "generation", generation, "metadata", metadata, "name", name,
			"parameters", count, "experts", experts, "tokens", (json_int_t)c->vocab->n, "file_type", file_type(c->type, c->coded));
		r = in ? pm_gguf_program(&c->program, c->spec->arch, o->share, in, e) : pm_fail(e, PM_DATA, "'%s' is not UTF-8", name);
	}
	json_decref(in);
	json_decref(generation);
	json_decref(metadata);
	free(name);
	return r;
}

/* ---- writing ---- */

static int put_texts(struct pm_gguf_writer *w, const char *key, const json_t *list, struct pm_err *e)
{
	size_t i, n = json_array_size(list), *len = pm_alloc(n, sizeof *len, e);
	const char **s = len ? pm_alloc(n, sizeof *s, e) : NULL;
	int r = s ? 0 : -1;

	for (i = 0; r == 0 && i < n; i++) {
		s[i] = json_string_value(json_array_get(list, i));
		len[i] = json_string_length(json_array_get(list, i));
		r = s[i] ? 0 : pm_fail(e, PM_DATA, "key '%s': a list of strings was wanted", key);
	}
	if (r == 0)
		r = json_is_array(list) ? pm_gguf_put_strings(w, key, s, len, n, e) : pm_fail(e, PM_DATA, "key '%s': a list of strings was wanted", key);
	free(len);
	free(s);
	return r;
}

/* [name, type, value] of the program's. */
static int put_entry(struct pm_gguf_writer *w, const json_t *entry, struct pm_err *e)
{
	const char *key = json_string_value(json_array_get(entry, 0)), *type = json_string_value(json_array_get(entry, 1));
	const json_t *v = json_array_get(entry, 2);
	int64_t n;
	int t;

	if (!key || !type)
		return pm_fail(e, PM_DATA, "a key without a name or a type");
	if (!strcmp(type, "strs"))
		return put_texts(w, key, v, e);
	t = pm_gguf_type_by_name(type);
	if (t == PM_GGUF_STRING && json_is_string(v))
		return pm_gguf_put_string(w, key, json_string_value(v), json_string_length(v), e);
	if ((t == PM_GGUF_F32 || t == PM_GGUF_F64) && json_is_number(v))
		return pm_gguf_put_real(w, key, (enum pm_gguf_type)t, json_number_value(v), e);
	if (t == PM_GGUF_BOOL && json_is_boolean(v))
		return pm_gguf_put_int(w, key, PM_GGUF_BOOL, json_is_true(v), e);
	if (t >= 0 && t != PM_GGUF_STRING && t != PM_GGUF_ARRAY && pm_json_to_int(&n, v) == 0)
		return pm_gguf_put_int(w, key, (enum pm_gguf_type)t, n, e);
	return pm_fail(e, PM_DATA, "key '%s': its value is none of type '%s'", key, type);
}

/* The keys without the user's. */
static int write_keys(const struct pm_convert *c, const char *path, struct pm_err *e)
{
	const json_t *keys = json_object_get(c->program, "keys");
	struct pm_gguf_writer *w = NULL;
	size_t i;
	int r = pm_gguf_begin(&w, path, 0, e);

	if (r < 0)
		return -1;
	for (i = 0; r == 0 && i < json_array_size(keys); i++)
		r = put_entry(w, json_array_get(keys, i), e);
	if (r == 0)
		r = pm_ggml_vocab_put(c->vocab, w, e);
	if (r == 0)
		return pm_gguf_end(w, e);
	pm_gguf_abort(w);
	return -1;
}

/* KEY=TYPE:VALUE. */
static int put_override(struct pm_gguf_writer *w, const char *text, struct pm_err *e)
{
	const char *eq = strchr(text, '='), *value;
	enum pm_gguf_type type, of;
	char *key;
	int r;

	if (!eq || eq == text || pm_gguf_parse_type(&type, &of, &value, eq + 1) < 0)
		return pm_fail(e, PM_USAGE, "--override: KEY=TYPE:VALUE was wanted, as general.name=str:Mine, not '%.200s'", text);
	key = pm_strndup(text, (size_t)(eq - text), e);
	r = key ? pm_gguf_put_text(w, key, type, of, value, e) : -1;
	free(key);
	return r;
}

static bool is_for(const char *override, const char *key)
{
	return !strncmp(override, key, strlen(key)) && override[strlen(key)] == '=';
}

/* A header with the user's keys in the place of others, the rest of them behind. */
static int override_keys(const struct pm_gguf *from, const char *path, const struct pm_convert_opts *o, struct pm_err *e)
{
	struct pm_gguf_writer *w = NULL;
	size_t i, k;
	int r = pm_gguf_begin(&w, path, 0, e);

	if (r < 0)
		return -1;
	for (i = 0; r == 0 && i < pm_gguf_keys(from); i++) {
		const struct pm_gguf_key *key = pm_gguf_key_at(from, i);

		for (k = 0; k < o->noverrides && !is_for(o->overrides[k], key->name); k++)
			;
		r = k < o->noverrides ? put_override(w, o->overrides[k], e) : pm_gguf_put_key(w, key, e);
	}
	for (k = 0; r == 0 && k < o->noverrides; k++) {
		for (i = 0; i < pm_gguf_keys(from) && !is_for(o->overrides[k], pm_gguf_key_at(from, i)->name); i++)
			;
		if (i == pm_gguf_keys(from))
			r = put_override(w, o->overrides[k], e);
	}
	if (r == 0)
		return pm_gguf_end(w, e);
	pm_gguf_abort(w);
	return -1;
}

static int make_header(struct pm_convert *c, const char *dir, const struct pm_convert_opts *o, struct pm_err *e)
{
	char *path = pm_path(dir, "keys.gguf", e);
	struct pm_gguf *first = NULL;
	int r = path ? write_keys(c, path, e) : -1;

	if (r == 0)
		r = pm_gguf_open(o->noverrides ? &first : &c->header, path, e);
	if (r == 0 && o->noverrides)
		r = override_keys(first, path, o, e);
	if (r == 0 && o->noverrides)
		r = pm_gguf_open(&c->header, path, e);
	pm_gguf_close(first);
	free(path);
	return r;
}

/* Tokens and rows of the embedding are as many: the embedding is cut, or the tokens get names for those that the tokenizer lacks. */
static int settle_vocab(struct pm_convert *c, const char *dir, struct pm_err *e)
{
	size_t rows = (size_t)c->spec->vocab;

	if (c->vocab->n > rows)
		return pm_fail(e, PM_DATA, "the tokenizer has %zu tokens, the embedding %zu rows", c->vocab->n, rows);
	if (json_is_true(json_object_get(c->program, "cut"))) {
		c->cut = c->vocab->n;
		return 0;
	}
	if (c->vocab->n == rows)
		return 0;
	pm_ggml_vocab_free(c->vocab);
	c->vocab = NULL;
	return pm_ggml_vocab_of_dir(&c->vocab, dir, rows, e);
}

int convert_keys(struct pm_convert *c, const char *dir, const struct pm_convert_opts *o, struct pm_err *e)
{
	struct pm_str temp = {0};
	int r = settle_vocab(c, dir, e);

	if (r == 0)
		r = pm_str_printf(&temp, e, "%s/pm-convert-XXXXXX", o->tmp);
	if (r == 0 && !mkdtemp(temp.data)) {
		r = pm_fail(e, PM_NOCREATE, "%s: a temporary directory cannot be made there", o->tmp);
	} else if (r == 0) {
		r = make_header(c, temp.data, o, e);
		if (pm_remove_tree(temp.data, e) < 0)
			r = -1;
	}
	pm_str_free(&temp);
	return r;
}
