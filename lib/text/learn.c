#include "text/learn.h"

#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "base/mem.h"
#include "text/learn_parts.h"
#include "text/match.h"
#include "text/part.h"
#include "text/tokens.h"
#include "text/unicode.h"

struct pm_learner {
	struct pm_learn_opts o;
	struct pm_tokenizer *t;         /* of the same parts, with an empty model */
	json_t *file;                   /* the tokenizer.json but for its model and tokens */
	bool bytes;                     /* byte-level */
	struct pm_words words;
};

static const struct { const char *name; const char *json; } normalizers[] = {
	{"nfc", "{\"type\":\"NFC\"}"}, {"nfd", "{\"type\":\"NFD\"}"}, {"nfkc", "{\"type\":\"NFKC\"}"}, {"nfkd", "{\"type\":\"NFKD\"}"},
	{"lowercase", "{\"type\":\"Lowercase\"}"}, {"strip", "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true}"},
	{"accents", "{\"type\":\"StripAccents\"}"},
};

/* Where each name's pattern stands among those of match.h; gpt2 needs none, ByteLevel has it. */
static const struct { const char *name; size_t pattern; } patterns[] = {{"llama3", 1}, {"qwen2", 2}, {"o200k", 3}};

static json_t *no_memory(struct pm_err *e)
{
	pm_fail(e, PM_SOFTWARE, "out of memory");
	return NULL;
}

static json_t *normalizer(const char *names, struct pm_err *e)
{
	json_t *list = json_array(), *one;
	size_t n, i;

	for (const char *p = names; list && strcmp(names, "none") != 0; p += n + 1) {
		n = strcspn(p, ",");
		for (i = 0; i < sizeof normalizers / sizeof *normalizers; i++)
			if (strlen(normalizers[i].name) == n && memcmp(normalizers[i].name, p, n) == 0)
				break;
		if (i == sizeof normalizers / sizeof *normalizers) {
			json_decref(list);
			pm_fail(e, PM_USAGE, "normalizer '%.*s': one of " PM_LEARN_NORMALIZERS " was wanted", (int)n, p);
			return NULL;
		}
		json_array_append_new(list, json_loads(normalizers[i].json, 0, NULL));
		if (!p[n])
			break;
	}
	if (!list)
		return no_memory(e);
	if (json_array_size(list) > 1)
		return json_pack("{s:s, s:o}", "type", "Sequence", "normalizers", list);
	if (!json_array_size(list)) {
		json_decref(list);
		return json_null();
	}
	one = json_incref(json_array_get(list, 0));
	json_decref(list);
	return one;
}

static json_t *byte_level(bool prefix, bool regex)
{
	return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", prefix, "trim_offsets", 1, "use_regex", regex);
}

static json_t *pre_tokenizer(const struct pm_learn_opts *o)
{
	const char *regex = o->pattern;

	if (!strcmp(o->pattern, "metaspace"))
		return json_pack("{s:s, s:s, s:s, s:b}", "type", "Metaspace", "replacement", "\xe2\x96\x81", "prepend_scheme",
			o->prefix_space ? "always" : "never", "split", 1);
	if (!strcmp(o->pattern, "gpt2"))
		return byte_level(o->prefix_space, true);
	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++)
		if (!strcmp(o->pattern, patterns[i].name))
			regex = pm_match_pattern(patterns[i].pattern);
	return json_pack("{s:s, s:[{s:s, s:{s:s}, s:s, s:b}, o]}", "type", "Sequence", "pretokenizers", "type", "Split", "pattern", "Regex", regex,
		"behavior", "Isolated", "invert", 0, byte_level(o->prefix_space, false));
}

static json_t *decoder(const struct pm_learn_opts *o, bool bytes)
{
	const char *scheme = o->prefix_space ? "always" : "never";
	json_t *space;

	if (bytes)
		return byte_level(o->prefix_space, true);
	if (!o->byte_fallback)
		return json_pack("{s:s, s:s, s:s, s:b}", "type", "Metaspace", "replacement", "\xe2\x96\x81", "prepend_scheme", scheme, "split", 1);
	space = json_pack("[{s:s, s:{s:s}, s:s}, {s:s}, {s:s}]", "type", "Replace", "pattern", "String", "\xe2\x96\x81", "content", " ",
		"type", "ByteFallback", "type", "Fuse");
	if (o->prefix_space)
		json_array_append_new(space, json_pack("{s:s, s:s, s:i, s:i}", "type", "Strip", "content", " ", "start", 1, "stop", 0));
	return json_pack("{s:s, s:o}", "type", "Sequence", "decoders", space);
}

/* A tokenizer with an empty model shows whether the parts are good, and makes words. */
static int open_parts(struct pm_learner *l, struct pm_err *e)
{
	json_t *n = normalizer(l->o.normalizer, e);
	struct pm_str s = {0};
	int r = -1;

	if (!n)
		return -1;
	l->file = json_pack("{s:s, s:n, s:n, s:[], s:o, s:o, s:n, s:o, s:{s:s, s:{}, s:[]}}", "version", "1.0", "truncation", "padding", "added_tokens",
		"normalizer", n, "pre_tokenizer", pre_tokenizer(&l->o), "post_processor", "decoder", decoder(&l->o, l->bytes), "model", "type", "BPE", "vocab",
		"merges");
	if (!l->file)
		no_memory(e);
	else if (pm_json_text(&s, l->file, e) == 0)
		r = pm_tokens_read(&l->t, s.data, s.len, "the tokenizer to be", e);
	pm_str_free(&s);
	return r;
}

static int check_options(const struct pm_learn_opts *o, bool bytes, struct pm_err *e)
{
	if (o->byte_fallback && bytes)
		return pm_fail(e, PM_USAGE, "byte fallback has no effect with a byte-level pre-tokenizer");
	for (size_t i = 0; i < o->nspecial; i++) {
		if (!o->special[i][0] || pm_utf8_valid(o->special[i], strlen(o->special[i])) != strlen(o->special[i]))
			return pm_fail(e, PM_USAGE, "special token %zu: some UTF-8 was wanted", i + 1);
		for (size_t j = 0; j < i; j++)
			if (!strcmp(o->special[i], o->special[j]))
				return pm_fail(e, PM_USAGE, "the special token '%s' stands twice", o->special[i]);
	}
	return 0;
}

int pm_learner_new(struct pm_learner **out, const struct pm_learn_opts *o, struct pm_err *e)
{
	struct pm_learner *l = pm_alloc(1, sizeof *l, e);

	*out = NULL;
	if (!l)
		return -1;
	l->o = *o;
	l->bytes = strcmp(o->pattern, "metaspace") != 0;
	if (check_options(o, l->bytes, e) < 0 || open_parts(l, e) < 0) {
		pm_learner_free(l);
		return -1;
	}
	*out = l;
	return 0;
}

struct counter {
	struct pm_sink sink;
	struct pm_words *words;
};

static int count(struct pm_sink *s, const struct pm_view *piece, struct pm_err *e)
{
	return pm_words_add(((struct counter *)s)->words, piece->s, piece->n, e);
}

int pm_learner_text(struct pm_learner *l, const char *text, size_t n, struct pm_err *e)
{
	struct counter c = {{count}, &l->words};
	size_t good = pm_utf8_valid(text, n), end;
	const char *nl;

	if (good != n)
		return pm_fail(e, PM_DATA, "byte %zu of the text is not UTF-8", good);
	if (l->bytes)
		return pm_tokens_pieces(l->t, text, n, &c.sink, e);
	for (size_t i = 0; i < n; i = end + 1) {
		nl = memchr(text + i, '\n', n - i);
		end = nl ? (size_t)(nl - text) : n;
		if (end > i && pm_tokens_pieces(l->t, text + i, end - i, &c.sink, e) < 0)
			return -1;
	}
	return 0;
}

void pm_learner_counts(const struct pm_learner *l, uint64_t *words, size_t *different)
{
	*words = l->words.total;
	*different = l->words.n;
}

/* The special tokens, and the bytes where they are to be had: what comes before all that is learned. */
static int first_tokens(const struct pm_learner *l, struct pm_vocab *v, size_t *special, struct pm_err *e)
{
	const struct pm_learn_opts *o = &l->o;
	bool listed = !o->unk;
	char code[8];

	for (size_t i = 0; i < o->nspecial && !listed; i++)
		listed = !strcmp(o->special[i], o->unk);
	if (!listed && pm_vocab_add(v, o->unk, strlen(o->unk), 0, e) < 0)
		return -1;
	for (size_t i = 0; i < o->nspecial; i++)
		if (pm_vocab_add(v, o->special[i], strlen(o->special[i]), (int64_t)v->n, e) < 0)
			return -1;
	*special = v->n;
	for (int i = 0; o->byte_fallback && i < 256; i++) {
		snprintf(code, sizeof code, "<0x%02X>", (unsigned)i);
		if (pm_vocab_find(v, code, 6) < 0 && pm_vocab_add(v, code, 6, (int64_t)v->n, e) < 0)
			return -1;
	}
	return 0;
}

static int added_tokens(const struct pm_learner *l, const struct pm_vocab *v, size_t n)
{
	json_t *list = json_object_get(l->file, "added_tokens");
	const char *s;
	size_t len;

	for (size_t i = 0; i < n; i++) {
		s = pm_vocab_text(v, (int32_t)i, &len);
		if (json_array_append_new(list, json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", (int)i, "content", s, "single_word", 0, "lstrip", 0,
			"rstrip", 0, "normalized", 0, "special", 1)) < 0)
			return -1;
	}
	return 0;
}

static json_t *bpe_json(const struct pm_learner *l, const struct pm_learned_bpe *b)
{
	json_t *vocab = json_object(), *merges = json_array();
	size_t n, m;

	for (size_t i = 0; i < b->vocab.n; i++) {
		const char *s = pm_vocab_text(&b->vocab, (int32_t)i, &n);

		json_object_setn_new(vocab, s, n, json_integer((json_int_t)i));
	}
	for (size_t i = 0; i < b->merges; i++) {
		const char *x = pm_vocab_text(&b->vocab, (int32_t)b->merge[i].left, &n), *y = pm_vocab_text(&b->vocab, (int32_t)b->merge[i].right, &m);

		json_array_append_new(merges, json_pack("[o, o]", json_stringn(x, n), json_stringn(y, m)));
	}
	return json_pack("{s:s, s:n, s:s?, s:n, s:n, s:b, s:b, s:b, s:o, s:o}", "type", "BPE", "dropout", "unk_token", l->o.unk, "continuing_subword_prefix",
		"end_of_word_suffix", "fuse_unk", l->o.unk != NULL, "byte_fallback", l->o.byte_fallback, "ignore_merges", 0, "vocab", vocab, "merges", merges);
}

static json_t *unigram_json(const struct pm_learner *l, const struct pm_vocab *first, const struct pm_learned_unigram *u)
{
	json_t *vocab = json_array(), *unk = json_null();
	size_t n;

	for (size_t i = 0; i < first->n; i++) {
		const char *s = pm_vocab_text(first, (int32_t)i, &n);

		json_array_append_new(vocab, json_pack("[o, f]", json_stringn(s, n), 0.0));
	}
	for (size_t i = 0; i < u->n; i++)
		json_array_append_new(vocab, json_pack("[o, f]", json_stringn(u->bytes + u->piece[i].at, u->piece[i].len), u->piece[i].score));
	if (l->o.unk)
		unk = json_integer(pm_vocab_find(first, l->o.unk, strlen(l->o.unk)));
	return json_pack("{s:s, s:o, s:o, s:b}", "type", "Unigram", "unk_id", unk, "vocab", vocab, "byte_fallback", l->o.byte_fallback);
}

static json_t *learn_bpe(struct pm_learner *l, const struct pm_spelled *words, size_t *tokens, const struct pm_learn_progress *p, struct pm_err *e)
{
	struct pm_learned_bpe b = {0};
	json_t *model = NULL;
	size_t special;

	if (first_tokens(l, &b.vocab, &special, e) == 0 && pm_learn_bpe(&b, words, l->bytes, &l->o, p, e) == 0) {
		*tokens = b.vocab.n;
		model = added_tokens(l, &b.vocab, special) == 0 ? bpe_json(l, &b) : NULL;
		if (!model)
			no_memory(e);
	}
	pm_learned_bpe_free(&b);
	return model;
}

static json_t *learn_unigram(struct pm_learner *l, const struct pm_spelled *words, size_t *tokens, const struct pm_learn_progress *p,
	struct pm_err *e)
{
	struct pm_learned_unigram u = {0};
	struct pm_vocab first = {0};
	json_t *model = NULL;
	size_t special, left;

	if (first_tokens(l, &first, &special, e) == 0) {
		left = l->o.vocab_size > first.n ? l->o.vocab_size - first.n : 0;
		if (pm_learn_unigram(&u, words, l->bytes, left, l->o.max_piece, p, e) == 0) {
			*tokens = first.n + u.n;
			model = added_tokens(l, &first, special) == 0 ? unigram_json(l, &first, &u) : NULL;
			if (!model)
				no_memory(e);
		}
	}
	pm_learned_unigram_free(&u);
	pm_vocab_free(&first);
	return model;
}

int pm_learner_finish(struct pm_learner *l, struct pm_str *json, size_t *tokens,
	void (*progress)(void *arg, size_t done, size_t total), void *arg, struct pm_err *e)
{
	struct pm_learn_progress p = {progress, arg};
	struct pm_spelled words;
	json_t *model = NULL;

	if (!l->words.n)
		return pm_fail(e, PM_DATA, "there is no text to learn from");
	if (pm_spelled_new(&words, &l->words, l->bytes, e) == 0)
		model = l->o.unigram ? learn_unigram(l, &words, tokens, &p, e) : learn_bpe(l, &words, tokens, &p, e);
	pm_spelled_free(&words);
	if (!model)
		return -1;
	if (json_object_set_new(l->file, "model", model) < 0)
		return pm_fail(e, PM_SOFTWARE, "out of memory");
	return pm_json_text(json, l->file, e);
}

void pm_learner_free(struct pm_learner *l)
{
	if (!l)
		return;
	pm_tokenizer_close(l->t);
	json_decref(l->file);
	pm_words_free(&l->words);
	free(l);
}
