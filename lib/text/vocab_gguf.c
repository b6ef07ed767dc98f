#include "text/vocab_gguf.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/vocab_private.h"

static const char ggml[] = "tokenizer.ggml.", chat[] = "tokenizer.chat_template";

void pm_ggml_vocab_free(struct pm_ggml_vocab *v)
{
	if (!v)
		return;
	json_decref(v->keys);
	free(v->token);
	free(v->merge);
	free(v->score);
	free(v->type);
	pm_arena_free(&((struct pm_ggml_own *)v)->arena);
	free(v);
}

int pm_ggml_vocab_new(struct pm_ggml_vocab **out, struct pm_err *e)
{
	struct pm_ggml_own *own = pm_alloc(1, sizeof *own, e);

	*out = own ? &own->v : NULL;
	if (!own)
		return -1;
	own->v.keys = json_object();
	if (own->v.keys)
		return 0;
	free(own);
	*out = NULL;
	return pm_fail(e, PM_SOFTWARE, "out of memory");
}

int pm_ggml_vocab_text(struct pm_ggml_vocab *v, struct pm_ggml_text *t, const char *s, size_t n, struct pm_err *e)
{
	char *p = pm_arena_alloc(&((struct pm_ggml_own *)v)->arena, n + 1, 1, e);

	if (!p)
		return -1;
	memcpy(p, s, n);
	t->s = p;
	t->n = n;
	return 0;
}

/* A list of texts under way. */
struct list {
	struct pm_ggml_vocab *v;
	struct pm_ggml_text *t;
};

static int take(void *arg, uint64_t i, const char *s, size_t n, struct pm_err *e)
{
	struct list *l = arg;

	return pm_ggml_vocab_text(l->v, l->t + i, s, n, e);
}

static int read_texts(struct pm_ggml_vocab *v, struct pm_ggml_text **out, size_t *n, const struct pm_gguf_key *k, struct pm_err *e)
{
	struct list l = {v, NULL};

	if (k->type != PM_GGUF_ARRAY || k->item != PM_GGUF_STRING)
		return pm_fail(e, PM_DATA, "%s: a list of strings was wanted", k->name);
	if (k->count > 1 << 24)
		return pm_fail(e, PM_DATA, "%s: %llu entries are too many", k->name, (unsigned long long)k->count);
	*out = l.t = pm_alloc((size_t)k->count, sizeof *l.t, e);
	*n = (size_t)k->count;
	return l.t ? pm_gguf_strings(k, take, &l, e) : -1;
}

static int read_scores(struct pm_ggml_vocab *v, const struct pm_gguf_key *k, struct pm_err *e)
{
	double x;

	v->score = pm_alloc(v->n, sizeof *v->score, e);
	if (!v->score)
		return -1;
	for (size_t i = 0; i < v->n; i++) {
		if (pm_gguf_real(&x, k, i, e) < 0)
			return -1;
		v->score[i] = (float)x;
		if (!(v->score[i] - v->score[i] == 0))
			return pm_fail(e, PM_DATA, "%s: %zu: a finite number was wanted", k->name, i);
	}
	return 0;
}

static int read_types(struct pm_ggml_vocab *v, const struct pm_gguf_key *k, struct pm_err *e)
{
	int64_t x = PM_GGML_NORMAL;

	v->type = pm_alloc(v->n, sizeof *v->type, e);
	if (!v->type)
		return -1;
	for (size_t i = 0; i < v->n; i++) {
		if (k && pm_gguf_int(&x, k, i, e) < 0)
			return -1;
		if (x < 0 || x > PM_GGML_BYTE)
			return pm_fail(e, PM_DATA, "%s: %zu: a type from 0 to 6 was wanted, this is %lld", k ? k->name : "", i, (long long)x);
		v->type[i] = x ? (int32_t)x : PM_GGML_NORMAL;
	}
	return 0;
}

static int read_string(struct pm_ggml_vocab *v, struct pm_ggml_text *t, const struct pm_gguf_key *k, struct pm_err *e)
{
	struct list l = {v, t};

	if (!k)
		return 0;
	return k->type == PM_GGUF_STRING ? pm_gguf_strings(k, take, &l, e) : pm_fail(e, PM_DATA, "%s: a string was wanted", k->name);
}

static int read_charsmap(struct pm_ggml_vocab *v, const struct pm_gguf_key *k, struct pm_err *e)
{
	if (!k)
		return 0;
	if (k->type != PM_GGUF_ARRAY || (k->item != PM_GGUF_I8 && k->item != PM_GGUF_U8))
		return pm_fail(e, PM_DATA, "%s: a list of bytes was wanted", k->name);
	return pm_ggml_vocab_text(v, &v->charsmap, (const char *)k->data, k->bytes, e);
}

/* The other keys: numbers and booleans. */
static int read_keys(struct pm_ggml_vocab *v, const struct pm_gguf *g, struct pm_err *e)
{
	const struct pm_gguf_key *k;
	int64_t n;
	bool b;

	for (size_t i = 0; i < pm_gguf_keys(g); i++) {
		k = pm_gguf_key_at(g, i);
		if (strncmp(k->name, ggml, sizeof ggml - 1) != 0 || k->type == PM_GGUF_ARRAY || k->type == PM_GGUF_STRING)
			continue;
		if (k->type == PM_GGUF_BOOL) {
			if (pm_gguf_bool(&b, k, 0, e) < 0 || json_object_set_new(v->keys, k->name + sizeof ggml - 1, json_boolean(b)) < 0)
				return -1;
		} else if (k->type != PM_GGUF_F32 && k->type != PM_GGUF_F64) {
			if (pm_gguf_int(&n, k, 0, e) < 0 || json_object_set_new(v->keys, k->name + sizeof ggml - 1, json_integer(n)) < 0)
				return -1;
		}
	}
	return 0;
}

static const struct pm_gguf_key *key(const struct pm_gguf *g, const char *name)
{
	char full[64];

	snprintf(full, sizeof full, "%s%s", ggml, name);
	return pm_gguf_key(g, full);
}

static int read_all(struct pm_ggml_vocab *v, const struct pm_gguf *g, struct pm_err *e)
{
	const struct pm_gguf_key *tokens = key(g, "tokens"), *merges = key(g, "merges"), *scores = key(g, "scores");
	struct pm_ggml_text model = {NULL, 0}, pre = {NULL, 0};
	char name[32];

	if (!key(g, "model") || !tokens)
		return pm_fail(e, PM_DATA, "it has no tokenizer (the keys %smodel and %stokens)", ggml, ggml);
	if (read_string(v, &model, key(g, "model"), e) < 0 || read_string(v, &pre, key(g, "pre"), e) < 0
		|| read_string(v, &v->chat_template, pm_gguf_key(g, chat), e) < 0 || read_texts(v, &v->token, &v->n, tokens, e) < 0
		|| (scores && read_scores(v, scores, e) < 0) || read_types(v, key(g, "token_type"), e) < 0
		|| (merges && read_texts(v, &v->merge, &v->merges, merges, e) < 0)
		|| read_charsmap(v, key(g, "precompiled_charsmap"), e) < 0 || read_keys(v, g, e) < 0)
		return -1;
	v->model = model.s;
	v->pre = pre.s;
	for (size_t i = 0; i < v->n; i++)
		if (!v->token[i].n) {
			snprintf(name, sizeof name, "[EMPTY_%zu]", i);
			if (pm_ggml_vocab_text(v, v->token + i, name, strlen(name), e) < 0)
				return -1;
		}
	return 0;
}

int pm_ggml_vocab_of_gguf(struct pm_ggml_vocab **out, const struct pm_gguf *g, struct pm_err *e)
{
	if (pm_ggml_vocab_new(out, e) < 0)
		return -1;
	if (read_all(*out, g, e) == 0)
		return 0;
	pm_ggml_vocab_free(*out);
	*out = NULL;
	return -1;
}

static int put_texts(struct pm_gguf_writer *w, const char *name, const struct pm_ggml_text *t, size_t n, struct pm_err *e)
{
	const char **s = pm_alloc(n, sizeof *s, e);
	size_t *len = pm_alloc(n, sizeof *len, e);
	int r = s && len ? 0 : -1;

	for (size_t i = 0; r == 0 && i < n; i++) {
		s[i] = t[i].s;
		len[i] = t[i].n;
	}
	if (r == 0)
		r = pm_gguf_put_strings(w, name, s, len, n, e);
	free(s);
	free(len);
	return r;
}

/* Numbers as they lie in a file: little-endian, 32 bits. */
static int put_numbers(struct pm_gguf_writer *w, const char *name, enum pm_gguf_type type, const void *v, size_t n, struct pm_err *e)
{
	unsigned char *b = pm_alloc(n, 4, e);
	uint32_t x;
	int r;

	if (!b)
		return -1;
	for (size_t i = 0; i < n; i++) {
		memcpy(&x, (const char *)v + 4 * i, 4);
		for (int k = 0; k < 4; k++)
			b[4 * i + (size_t)k] = (unsigned char)(x >> 8 * k);
	}
	r = pm_gguf_put_array(w, name, type, b, n, e);
	free(b);
	return r;
}

static int put_key(struct pm_gguf_writer *w, const char *name, const json_t *x, struct pm_err *e)
{
	char full[128];

	snprintf(full, sizeof full, "%s%s", ggml, name);
	if (json_is_boolean(x))
		return pm_gguf_put_int(w, full, PM_GGUF_BOOL, json_is_true(x), e);
	return pm_gguf_put_int(w, full, PM_GGUF_U32, json_integer_value(x), e);
}

/* add_space_prefix comes last, behind the chat template: so a converter leaves it that has set it after all others. */
static bool late(const char *name)
{
	return strcmp(name, "add_space_prefix") == 0;
}

int pm_ggml_vocab_put(const struct pm_ggml_vocab *v, struct pm_gguf_writer *w, struct pm_err *e)
{
	const char *name;
	json_t *x;

	if (pm_gguf_put_string(w, "tokenizer.ggml.model", v->model, strlen(v->model), e) < 0
		|| (v->pre && pm_gguf_put_string(w, "tokenizer.ggml.pre", v->pre, strlen(v->pre), e) < 0)
		|| put_texts(w, "tokenizer.ggml.tokens", v->token, v->n, e) < 0
		|| (v->score && put_numbers(w, "tokenizer.ggml.scores", PM_GGUF_F32, v->score, v->n, e) < 0)
		|| put_numbers(w, "tokenizer.ggml.token_type", PM_GGUF_I32, v->type, v->n, e) < 0
		|| (v->charsmap.s && pm_gguf_put_array(w, "tokenizer.ggml.precompiled_charsmap", PM_GGUF_U8, v->charsmap.s, v->charsmap.n, e) < 0)
		|| (v->merges && put_texts(w, "tokenizer.ggml.merges", v->merge, v->merges, e) < 0))
		return -1;
	json_object_foreach(v->keys, name, x)
		if (!late(name) && put_key(w, name, x, e) < 0)
			return -1;
	if (v->chat_template.s && pm_gguf_put_string(w, chat, v->chat_template.s, v->chat_template.n, e) < 0)
		return -1;
	json_object_foreach(v->keys, name, x)
		if (late(name) && put_key(w, name, x, e) < 0)
			return -1;
	return 0;
}
