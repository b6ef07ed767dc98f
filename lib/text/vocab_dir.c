/* A model directory's tokenizer as GGUF keys: the tokens. What llama.cpp's converter makes of the same files is the measure. */
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "text/base64.h"
#include "text/pretype.h"
#include "text/sentencepiece.h"
#include "text/vocab_private.h"

static const char meta[] = "\xe2\x96\x81";

/* Tokens that some models forget to call special. */
static bool looks_special(const char *s, size_t n)
{
	static const char *const whole[] = {"<pad>", "<mask>", "<2mass>", "[@BOS@]"};
	static const char *const ends[][2] = {{"<|", "|>"}, {"<\xef\xbd\x9c", "\xef\xbd\x9c>"}, {"<unused", ">"}};

	for (size_t i = 0; i < sizeof whole / sizeof *whole; i++)
		if (strcmp(s, whole[i]) == 0)
			return true;
	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		size_t a = strlen(ends[i][0]), b = strlen(ends[i][1]);

		if (n >= a + b && memcmp(s, ends[i][0], a) == 0 && memcmp(s + n - b, ends[i][1], b) == 0)
			return true;
	}
	return false;
}

/* A text with spaces in place of U+2581: user-defined tokens are looked for in the text as it is. */
static int with_spaces(struct pm_ggml_vocab *v, struct pm_ggml_text *t, const char *s, size_t n, struct pm_err *e)
{
	struct pm_str x = {0};
	size_t k;
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i += k) {
		bool space = n - i >= 3 && memcmp(s + i, meta, 3) == 0;

		k = space ? 3 : 1;
		r = pm_str_put(&x, space ? " " : s + i, 1, e);
	}
	if (r == 0)
		r = pm_ggml_vocab_text(v, t, x.data ? x.data : "", x.len, e);
	pm_str_free(&x);
	return r;
}

/* Room for n tokens, with the names of fillers. */
static int reserve(struct pm_ggml_vocab *v, size_t n, float score, struct pm_err *e)
{
	char name[32];

	if (n > 1 << 24)
		return pm_fail(e, PM_DATA, "%zu tokens are too many", n);
	v->n = n;
	v->token = pm_alloc(n, sizeof *v->token, e);
	v->type = pm_alloc(n, sizeof *v->type, e);
	v->score = score != 0 ? pm_alloc(n, sizeof *v->score, e) : NULL;
	if (!v->token || !v->type || (score != 0 && !v->score))
		return -1;
	for (size_t i = 0; i < n; i++) {
		snprintf(name, sizeof name, "[PAD%zu]", i);
		v->type[i] = PM_GGML_UNUSED;
		if (v->score)
			v->score[i] = score;
		if (pm_ggml_vocab_text(v, v->token + i, name, strlen(name), e) < 0)
			return -1;
	}
	return 0;
}

static size_t largest(size_t n, const json_t *o)
{
	const char *key;
	json_t *x;
	int64_t id;

	json_object_foreach((json_t *)o, key, x)
		if (pm_json_to_int(&id, x) == 0 && id >= 0 && id < 1 << 24 && (size_t)id >= n)
			n = (size_t)id + 1;
	return n;
}

/* Tokens that were added, by their ids: a list of objects with ids, or an object of ids. */
static size_t largest_added(size_t n, const json_t *list)
{
	const char *key;
	json_t *x;
	int64_t id;

	for (size_t i = 0; i < json_array_size(list); i++)
		if (pm_json_int(&id, json_array_get(list, i), "id", &(struct pm_err){.text = ""}) == 0 && id >= 0 && id < 1 << 24 && (size_t)id >= n)
			n = (size_t)id + 1;
	if (json_is_object(list))
		json_object_foreach((json_t *)list, key, x)
			if (strtoul(key, NULL, 10) >= n && strtoul(key, NULL, 10) < 1 << 24)
				n = strtoul(key, NULL, 10) + 1;
	return n;
}

static int put_added(struct pm_ggml_vocab *v, int64_t id, const json_t *o, float score, struct pm_err *e)
{
	const json_t *content = json_object_get(o, "content");
	const char *s = json_string_value(content);
	size_t n = json_string_length(content);
	bool special;

	if (!s || id < 0 || (uint64_t)id >= v->n)
		return pm_fail(e, PM_DATA, "an added token with an id below %zu and a content was wanted", v->n);
	special = json_is_true(json_object_get(o, "special")) || looks_special(s, n);
	v->type[id] = special ? PM_GGML_CONTROL : PM_GGML_USER;
	if (v->score)
		v->score[id] = score;
	return special ? pm_ggml_vocab_text(v, v->token + id, s, n, e) : with_spaces(v, v->token + id, s, n, e);
}

static int put_all_added(struct pm_ggml_vocab *v, const json_t *list, size_t from, float score, struct pm_err *e)
{
	const char *key;
	json_t *x;
	int64_t id = -1;

	for (size_t i = 0; i < json_array_size(list); i++)
		if (pm_json_int(&id, json_array_get(list, i), "id", e) < 0
			|| ((uint64_t)id >= from && put_added(v, id, json_array_get(list, i), score, e) < 0))
			return pm_ctx(e, "added_tokens: %zu", i);
	if (json_is_object(list))
		json_object_foreach((json_t *)list, key, x)
			if (strtoull(key, NULL, 10) >= from && put_added(v, (int64_t)strtoull(key, NULL, 10), x, score, e) < 0)
				return pm_ctx(e, "added_tokens_decoder: %s", key);
	return 0;
}

static bool is_byte(const char *s, size_t n)
{
	return n == 6 && memcmp(s, "<0x", 3) == 0 && s[5] == '>' && strchr("0123456789ABCDEF", s[3]) && strchr("0123456789ABCDEF", s[4]);
}

/* The vocabulary of tokenizer.json: an object of ids, or Unigram's list. */
static int put_vocab(struct pm_ggml_vocab *v, const json_t *o, bool bytes, struct pm_err *e)
{
	const char *key;
	json_t *x;
	int64_t id = -1;

	for (size_t i = 0; i < json_array_size(o); i++) {
		const json_t *s = json_array_get(json_array_get(o, i), 0);

		v->score[i] = (float)json_number_value(json_array_get(json_array_get(o, i), 1));
		v->type[i] = bytes && is_byte(json_string_value(s), json_string_length(s)) ? PM_GGML_BYTE : PM_GGML_NORMAL;
		if (!json_is_string(s) || pm_ggml_vocab_text(v, v->token + i, json_string_value(s), json_string_length(s), e) < 0)
			return json_is_string(s) ? -1 : pm_fail(e, PM_DATA, "model: vocab: %zu: a piece was wanted", i);
	}
	if (json_is_object(o))
		json_object_foreach((json_t *)o, key, x) {
			if (pm_json_to_int(&id, x) < 0 || id < 0 || (uint64_t)id >= v->n)
				return pm_fail(e, PM_DATA, "model: vocab: '%s': an id was wanted", key);
			v->type[id] = bytes && is_byte(key, strlen(key)) ? PM_GGML_BYTE : PM_GGML_NORMAL;
			if (pm_ggml_vocab_text(v, v->token + id, key, strlen(key), e) < 0)
				return -1;
		}
	return 0;
}

/* One of a merge's parts; a space in it is spelled as byte-level vocabularies do. */
static int put_part(struct pm_str *s, const char *part, size_t n, struct pm_err *e)
{
	for (size_t i = 0; i < n; i++)
		if (part[i] == ' ' ? pm_str_puts(s, "\xc4\xa0", e) < 0 : pm_str_put(s, part + i, 1, e) < 0)
			return -1;
	return 0;
}

static int put_merges(struct pm_ggml_vocab *v, const json_t *list, struct pm_err *e)
{
	struct pm_str s = {0};
	int r = 0;

	v->merge = pm_alloc(json_array_size(list), sizeof *v->merge, e);
	if (!v->merge)
		return -1;
	for (size_t i = 0; r == 0 && i < json_array_size(list); i++) {
		const json_t *m = json_array_get(list, i), *a = json_array_get(m, 0), *b = json_array_get(m, 1);

		pm_str_clear(&s);
		if (json_is_string(m))
			r = pm_str_put(&s, json_string_value(m), json_string_length(m), e);
		else if (!json_is_string(a) || !json_is_string(b))
			r = pm_fail(e, PM_DATA, "model: merges: %zu: two tokens were wanted", i);
		else if (put_part(&s, json_string_value(a), json_string_length(a), e) < 0 || pm_str_puts(&s, " ", e) < 0
			|| put_part(&s, json_string_value(b), json_string_length(b), e) < 0)
			r = -1;
		if (r == 0 && strncmp(s.data ? s.data : "", "#version", 8) != 0)
			r = pm_ggml_vocab_text(v, v->merge + v->merges++, s.data, s.len, e);
	}
	pm_str_free(&s);
	return r;
}

/* Scores that order merges as their list does: of all that make a token the first counts. */
static int scores_of_merges(struct pm_ggml_vocab *v, const json_t *vocab, const json_t *list, struct pm_err *e)
{
	struct pm_str s = {0};
	size_t n = json_array_size(list);
	int64_t id;
	int r = 0;

	for (size_t i = n; r == 0 && i--; ) {
		const json_t *m = json_array_get(list, i), *a = json_array_get(m, 0), *b = json_array_get(m, 1);
		const char *text = json_string_value(m), *space = text ? strchr(text, ' ') : NULL;

		pm_str_clear(&s);
		if (space)
			r = pm_str_put(&s, text, (size_t)(space - text), e) < 0 ? -1 : pm_str_puts(&s, space + 1, e);
		else if (json_is_string(a) && json_is_string(b))
			r = pm_str_puts(&s, json_string_value(a), e) < 0 ? -1 : pm_str_puts(&s, json_string_value(b), e);
		else
			r = pm_fail(e, PM_DATA, "model: merges: %zu: two tokens were wanted", i);
		if (r == 0 && pm_json_to_int(&id, json_object_get(vocab, s.data ? s.data : "")) == 0 && id >= 0 && (uint64_t)id < v->n)
			v->score[id] = -(float)i;
	}
	pm_str_free(&s);
	return r;
}

static int of_pieces(struct pm_ggml_vocab *v, const struct pm_pieces *p, const struct pm_ggml_dir *d, size_t rows, struct pm_err *e)
{
	const json_t *named = json_object_get(d->config, "added_tokens_decoder"), *added = json_object_get(d->tokenizer, "added_tokens");
	size_t n = largest_added(largest_added(p->n, named), added);

	if (reserve(v, n > rows ? n : rows, -10000, e) < 0)
		return -1;
	for (size_t i = 0; i < p->n; i++) {
		const struct pm_piece *x = p->piece + i;

		v->type[i] = x->type;
		v->score[i] = x->score;
		if ((x->type == PM_PIECE_USER ? with_spaces : pm_ggml_vocab_text)(v, v->token + i, x->s, x->n, e) < 0)
			return -1;
	}
	if (put_all_added(v, added, p->n, -1000, e) < 0 || put_all_added(v, named, 0, -1000, e) < 0)
		return -1;
	if (p->kind == PM_PIECES_UNIGRAM && p->map_n && pm_ggml_vocab_text(v, &v->charsmap, (const char *)p->map, p->map_n, e) < 0)
		return -1;
	return 0;
}

int pm_ggml_vocab_charsmap(struct pm_ggml_vocab *v, const json_t *base64, struct pm_err *e)
{
	size_t n = json_string_length(base64);
	unsigned char *bytes = pm_alloc(n, 1, e);
	int64_t size;
	int r;

	if (!bytes)
		return -1;
	size = json_is_string(base64) ? pm_base64_bytes(bytes, json_string_value(base64), n) : -1;
	r = size < 0 ? pm_fail(e, PM_DATA, "'precompiled_charsmap': base64 was wanted") :
		pm_ggml_vocab_text(v, &v->charsmap, (const char *)bytes, (size_t)size, e);
	free(bytes);
	return r;
}

/* Models that are told by tokenizer.json alone. */
static int of_json(struct pm_ggml_vocab *v, const struct pm_ggml_dir *d, size_t rows, struct pm_err *e)
{
	const json_t *m = json_object_get(d->tokenizer, "model"), *vocab = json_object_get(m, "vocab"), *added = json_object_get(d->tokenizer, "added_tokens");
	size_t n = largest_added(json_is_object(vocab) ? largest(0, vocab) : json_array_size(vocab), added);
	bool spm = d->kind == PM_GGML_SPM, unigram = d->kind == PM_GGML_UNIGRAM;
	const char *unk = NULL;
	int64_t id = -1;

	if (reserve(v, n > rows ? n : rows, spm || unigram ? -10000 : 0, e) < 0 || put_vocab(v, vocab, spm || unigram, e) < 0)
		return -1;
	for (size_t i = 0; spm && i < v->n; i++)
		v->score[i] = v->type[i] == PM_GGML_UNUSED ? -10000 : -(float)json_array_size(json_object_get(m, "merges"));
	if (spm && scores_of_merges(v, vocab, json_object_get(m, "merges"), e) < 0)
		return -1;
	if (put_all_added(v, added, 0, -1000, e) < 0)
		return -1;
	if (pm_json_str(&unk, m, "unk_token", e) < 0 || pm_json_int(&id, m, "unk_id", e) < 0)
		return -1;
	if (unk)
		pm_json_to_int(&id, json_object_get(vocab, unk));
	if (d->kind != PM_GGML_BPE && d->kind != PM_GGML_WORDPIECE && id >= 0 && (uint64_t)id < v->n)
		v->type[id] = PM_GGML_UNKNOWN;
	return d->kind == PM_GGML_BPE ? put_merges(v, json_object_get(m, "merges"), e) : 0;
}

/* GGUF's spelling of WordPiece: U+2581 before what begins a word, nothing before what goes on. */
static int respell(struct pm_ggml_vocab *v, struct pm_err *e)
{
	struct pm_str s = {0};
	int r = 0;

	for (size_t i = 0; r == 0 && i < v->n; i++) {
		struct pm_ggml_text *t = v->token + i;
		bool goes_on = t->n > 2 && memcmp(t->s, "##", 2) == 0;

		if (v->type[i] != PM_GGML_NORMAL)
			continue;
		pm_str_clear(&s);
		if ((!goes_on && pm_str_puts(&s, meta, e) < 0) || pm_str_put(&s, t->s + (goes_on ? 2 : 0), t->n - (goes_on ? 2 : 0), e) < 0)
			r = -1;
		if (r == 0)
			r = pm_ggml_vocab_text(v, t, s.data, s.len, e);
	}
	pm_str_free(&s);
	return r;
}

/* What kind of vocabulary a tokenizer.json has, and for byte-level ones how it splits. */
static int classify(struct pm_ggml_dir *d, struct pm_err *e)
{
	const json_t *m = json_object_get(d->tokenizer, "model");
	const char *type = json_string_value(json_object_get(m, "type"));

	if (!type)
		type = json_object_get(m, "merges") ? "BPE" : json_is_array(json_object_get(m, "vocab")) ? "Unigram" : "WordPiece";
	d->kind = strcmp(type, "Unigram") == 0 ? PM_GGML_UNIGRAM : strcmp(type, "WordPiece") == 0 ? PM_GGML_WORDPIECE : PM_GGML_BPE;
	if (strcmp(type, "WordLevel") == 0)
		return pm_fail(e, PM_DATA, "tokenizer.json: GGUF has no model 'WordLevel'");
	if (d->kind != PM_GGML_BPE)
		return 0;
	if (json_is_true(json_object_get(m, "byte_fallback"))) {
		d->kind = PM_GGML_SPM;
		return 0;
	}
	type = json_string_value(json_object_get(json_object_get(d->tokenizer, "normalizer"), "type"));
	return pm_pretype_of(&d->pre, json_object_get(d->tokenizer, "pre_tokenizer"), json_is_true(json_object_get(m, "ignore_merges")),
		type && strcmp(type, "NFC") == 0, e) < 0 ? pm_ctx(e, "tokenizer.json") : 0;
}

static int read_json(json_t **out, const char *dir, const char *name, struct pm_err *e)
{
	char *path = pm_path(dir, name, e);
	int r = path ? 0 : -1;

	*out = NULL;
	if (path && pm_exists(path)) {
		*out = pm_json_file(path, e);
		r = *out ? 0 : -1;
		if (*out && !json_is_object(*out))
			r = pm_fail(e, PM_DATA, "%s: an object was wanted", path);
	}
	free(path);
	return r;
}

static int read_pieces(struct pm_ggml_dir *d, const char *dir, struct pm_err *e)
{
	static const char *const names[] = {"tokenizer.model", "spiece.model", "sentencepiece.bpe.model"};
	char *path = NULL;
	int r = 0;

	for (size_t i = 0; r == 0 && !d->file.data && i < sizeof names / sizeof *names; i++) {
		free(path);
		path = pm_path(dir, names[i], e);
		r = !path ? -1 : pm_exists(path) ? pm_map_open(&d->file, path, e) : 0;
	}
	if (r == 0 && d->file.data && pm_pieces_read(&d->pieces, (const char *)d->file.data, d->file.size, e) < 0)
		r = pm_ctx(e, "%s", path);
	free(path);
	return r;
}

static int fill(struct pm_ggml_vocab *v, struct pm_ggml_dir *d, const char *dir, size_t rows, struct pm_err *e)
{
	if (read_json(&d->tokenizer, dir, "tokenizer.json", e) < 0 || read_json(&d->config, dir, "tokenizer_config.json", e) < 0
		|| read_json(&d->model, dir, "config.json", e) < 0)
		return -1;
	if (d->tokenizer && classify(d, e) < 0)
		return -1;
	if ((!d->tokenizer || d->kind == PM_GGML_SPM || d->kind == PM_GGML_UNIGRAM) && read_pieces(d, dir, e) < 0)
		return -1;
	if (!d->tokenizer && !d->pieces.n)
		return pm_fail(e, PM_NOINPUT, "%s: there is neither a tokenizer.json nor a tokenizer.model", dir);
	if (!d->tokenizer)
		d->kind = d->pieces.kind == PM_PIECES_UNIGRAM ? PM_GGML_UNIGRAM : PM_GGML_SPM;
	if ((d->pieces.n ? of_pieces(v, &d->pieces, d, rows, e) : of_json(v, d, rows, e)) < 0)
		return -1;
	if (d->kind == PM_GGML_WORDPIECE && respell(v, e) < 0)
		return -1;
	v->model = (const char *const[]){"llama", "gpt2", "t5", "bert"}[d->kind];
	v->pre = d->pre ? d->pre->name : "default";
	return pm_ggml_vocab_keys(v, d, dir, e);
}

int pm_ggml_vocab_of_dir(struct pm_ggml_vocab **out, const char *dir, size_t rows, struct pm_err *e)
{
	struct pm_ggml_dir d = {0};
	int r = pm_ggml_vocab_new(out, e);

	if (r == 0)
		r = fill(*out, &d, dir, rows, e);
	json_decref(d.tokenizer);
	json_decref(d.config);
	json_decref(d.model);
	pm_pieces_free(&d.pieces);
	if (d.file.data)
		pm_map_close(&d.file);
	if (r < 0) {
		pm_ggml_vocab_free(*out);
		*out = NULL;
	}
	return r;
}
