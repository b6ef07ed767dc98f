/* A model directory's tokenizer as GGUF keys: which tokens are special, and which are added to texts. llama.cpp's converter reads this off
 * the post-processor's template, tokenizer_config.json and config.json, in that order; so does this. */
#include <stdlib.h>
#include <string.h>

#include "text/vocab_private.h"

/* The special tokens that there are keys for. */
static const struct {
	const char *type, *key;         /* NULL: GGUF has no key */
} kinds[] = {
	{"bos", "bos_token_id"}, {"eos", "eos_token_id"}, {"unk", "unknown_token_id"}, {"sep", "seperator_token_id"}, {"pad", "padding_token_id"},
	{"mask", "mask_token_id"}, {"eot", "eot_token_id"},
};

enum { BOS, EOS, SEP, CLS, EOT, NAMES };

/* The names of special tokens as they turn out, and what is added (−1: not said). */
struct names {
	const char *s[NAMES];
	int bos, eos, sep;
	bool eot, early;                /* early: the template speaks of EOS, so that key is written before that of SEP */
};

static const char *content(const json_t *o, const char *key)
{
	const json_t *x = json_object_get(o, key);

	return json_string_value(json_is_object(x) ? json_object_get(x, "content") : x);
}

static const char *special(const json_t *piece)
{
	return json_string_value(json_object_get(json_object_get(piece, "SpecialToken"), "id"));
}

static bool is(const char *a, const char *b)
{
	return a && b && strcmp(a, b) == 0;
}

/* What stands between the two texts of a pair. */
static void read_pair(struct names *n, const json_t *pair, const char *first, const char *last)
{
	size_t from = 0, to = json_array_size(pair);
	const char *x, *y;

	from = first && to && is(special(json_array_get(pair, 0)), first);
	to -= last && to > from && is(special(json_array_get(pair, to - 1)), last);
	if (to - from < 3 || !json_object_get(json_array_get(pair, from), "Sequence") || !json_object_get(json_array_get(pair, to - 1), "Sequence"))
		return;
	x = special(json_array_get(pair, from + 1));
	y = to - from == 4 ? special(json_array_get(pair, from + 2)) : NULL;
	n->sep = (x && !last && (is(x, n->s[SEP]) || is(x, n->s[EOS]))) || is(y, n->s[SEP]) || (y && is(y, n->s[EOS]));
	if (n->sep && !n->s[SEP])
		n->s[SEP] = n->s[EOS];
}

static void read_template(struct names *n, const json_t *o, bool config)
{
	const json_t *single = json_object_get(o, "single");
	size_t size = json_array_size(single);
	const char *first = size > 1 ? special(json_array_get(single, 0)) : NULL, *last = size > 1 ? special(json_array_get(single, size - 1)) : NULL;

	if (first) {
		if (!config)
			n->s[BOS] = first;
		n->bos = is(first, n->s[BOS]) || is(first, n->s[CLS]);
	}
	if (last) {
		if (config && !is(last, n->s[EOS])) {
			n->eot = true;  /* what the configuration calls EOS ends a turn */
			n->s[EOT] = n->s[EOS];
		}
		n->s[EOS] = last;
		n->eos = n->early = true;
	}
	read_pair(n, json_object_get(o, "pair"), first, last);
}

static void read_processor(struct names *n, const json_t *o, bool config)
{
	const char *type = json_string_value(json_object_get(o, "type"));
	const json_t *list = json_object_get(o, "processors");

	for (size_t i = 0; i < json_array_size(list); i++)
		if (!json_object_get(json_array_get(list, i), "processors"))
			read_processor(n, json_array_get(list, i), config);
	if (is(type, "RobertaProcessing") || is(type, "BertProcessing")) {
		n->bos = n->eos = n->sep = n->early = true;
		n->s[CLS] = n->s[CLS] ? n->s[CLS] : json_string_value(json_array_get(json_object_get(o, "cls"), 0));
		n->s[SEP] = n->s[SEP] ? n->s[SEP] : json_string_value(json_array_get(json_object_get(o, "sep"), 0));
	} else if (is(type, "TemplateProcessing")) {
		read_template(n, o, config);
	}
}

/* The id of an added token, else of any token of that spelling; −1: none. */
static int64_t id_of(const struct pm_ggml_vocab *v, const json_t *added, const char *s)
{
	int64_t id = -1;

	for (size_t i = 0; i < json_array_size(added); i++)
		if (is(json_string_value(json_object_get(json_array_get(added, i), "content")), s)
			&& pm_json_to_int(&id, json_object_get(json_array_get(added, i), "id")) == 0)
			return id;
	for (size_t i = 0; s && i < v->n; i++)
		if (strcmp(v->token[i].s, s) == 0)
			return (int64_t)i;
	return -1;
}

static int put(struct pm_ggml_vocab *v, const char *key, json_t *x, struct pm_err *e)
{
	return json_object_set_new(v->keys, key, x) < 0 ? pm_fail(e, PM_SOFTWARE, "out of memory") : 0;
}

static int put_id(struct pm_ggml_vocab *v, const char *key, int64_t id, struct pm_err *e)
{
	return id < 0 || (uint64_t)id >= v->n || json_object_get(v->keys, key) ? 0 : put(v, key, json_integer(id), e);
}

static int put_ids(struct pm_ggml_vocab *v, const struct pm_ggml_dir *d, const struct names *n, struct pm_err *e)
{
	const json_t *added = json_object_get(d->tokenizer, "added_tokens"), *text = json_object_get(d->model, "text_config"), *x;
	char key[32];

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		const char *type = kinds[i].type, *s;

		snprintf(key, sizeof key, "%s_token", type);
		s = is(type, "bos") ? n->s[BOS] : is(type, "eos") ? n->s[EOS] : is(type, "sep") ? n->s[SEP] : is(type, "eot") ? n->s[EOT] : content(d->config, key);
		if (s && put_id(v, kinds[i].key, id_of(v, added, s), e) < 0)
			return -1;
	}
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		if (is(kinds[i].type, "eot") && !n->eot)
			continue;
		snprintf(key, sizeof key, "%s_token_id", kinds[i].type);
		x = json_object_get(d->model, key);
		x = json_is_integer(x) ? x : json_object_get(text, key);
		if (json_is_integer(x) && put_id(v, kinds[i].key, json_integer_value(x), e) < 0)
			return -1;
	}
	return 0;
}

static int put_flag(struct pm_ggml_vocab *v, const char *key, int flag, struct pm_err *e)
{
	return flag < 0 ? 0 : put(v, key, json_boolean(flag), e);
}

/* The chat template: chat_template.jinja, else the configuration's (of several, the one named default). */
static int put_chat(struct pm_ggml_vocab *v, const struct pm_ggml_dir *d, const char *dir, struct pm_err *e)
{
	const json_t *x = json_object_get(d->config, "chat_template");
	char *path = pm_path(dir, "chat_template.jinja", e);
	struct pm_str s = {0};
	int r = path ? 0 : -1;

	for (size_t i = 0; json_is_array(x) && i < json_array_size(x); i++)
		if (is(json_string_value(json_object_get(json_array_get(x, i), "name")), "default")) {
			x = json_object_get(json_array_get(x, i), "template");
			break;
		}
	if (path && pm_exists(path)) {
		r = pm_read_file(&s, path, e);
		if (r == 0)
			r = pm_ggml_vocab_text(v, &v->chat_template, s.data ? s.data : "", s.len, e);
	} else if (r == 0 && json_is_string(x)) {
		r = pm_ggml_vocab_text(v, &v->chat_template, json_string_value(x), json_string_length(x), e);
	}
	pm_str_free(&s);
	free(path);
	return r;
}

/* Whether a text gets a space in front: the normalizers and pre-tokenizers say so. */
static bool prefixes(const struct pm_ggml_dir *d)
{
	const json_t *n = json_object_get(d->tokenizer, "normalizer"), *p = json_object_get(d->tokenizer, "pre_tokenizer"), *list, *x;
	const char *scheme;

	if (!d->tokenizer)
		return d->pieces.dummy;
	list = json_object_get(n, "normalizers");
	for (size_t i = 0; i < (list ? json_array_size(list) : 1); i++)
		if (is(json_string_value(json_object_get(list ? json_array_get(list, i) : n, "type")), "Prepend"))
			return true;
	list = json_object_get(p, "pretokenizers");
	for (size_t i = 0; i < (list ? json_array_size(list) : 1); i++) {
		x = list ? json_array_get(list, i) : p;
		scheme = json_string_value(json_object_get(x, "prepend_scheme"));
		if (is(json_string_value(json_object_get(x, "type")), "Metaspace") && !is(scheme, "never") && !json_is_false(json_object_get(x, "add_prefix_space")))
			return true;
	}
	return false;
}

/* Unigram's normalizer, where tokenizer.json alone tells: the map of characters, and whether runs of spaces become one. */
static int put_normalizer(struct pm_ggml_vocab *v, const struct pm_ggml_dir *d, struct pm_err *e)
{
	const json_t *n = json_object_get(d->tokenizer, "normalizer"), *list = json_object_get(n, "normalizers"), *x;
	const json_t *p = json_object_get(d->tokenizer, "pre_tokenizer"), *parts = json_object_get(p, "pretokenizers");
	bool squeeze = d->pieces.n && d->pieces.squeeze;

	/* pieces without the blanks between them, which Metaspace then gets back as one each */
	for (size_t i = 0; !d->pieces.n && i < (parts ? json_array_size(parts) : 1); i++)
		squeeze |= is(json_string_value(json_object_get(parts ? json_array_get(parts, i) : p, "type")), "WhitespaceSplit");

	for (size_t i = 0; !d->pieces.n && i < (list ? json_array_size(list) : 1); i++) {
		const char *type;

		x = list ? json_array_get(list, i) : n;
		type = json_string_value(json_object_get(x, "type"));
		squeeze |= is(type, "Replace") && is(json_string_value(json_object_get(json_object_get(x, "pattern"), "Regex")), " {2,}");
		if (is(type, "Precompiled") && pm_ggml_vocab_charsmap(v, json_object_get(x, "precompiled_charsmap"), e) < 0)
			return -1;
	}
	return put_flag(v, "add_space_prefix", prefixes(d), e) < 0 ? -1 : put_flag(v, "remove_extra_whitespaces", squeeze, e);
}

int pm_ggml_vocab_keys(struct pm_ggml_vocab *v, const struct pm_ggml_dir *d, const char *dir, struct pm_err *e)
{
	struct names n = {.bos = -1, .eos = -1, .sep = -1};
	bool b = false;

	n.s[CLS] = content(d->config, "cls_token");
	n.s[SEP] = content(d->config, "sep_token");
	n.s[BOS] = content(d->config, "bos_token");
	n.s[EOS] = content(d->config, "eos_token");
	n.s[BOS] = n.s[BOS] ? n.s[BOS] : n.s[CLS];
	n.s[EOS] = n.s[EOS] ? n.s[EOS] : n.s[SEP];
	read_processor(&n, json_object_get(d->tokenizer, "post_processor"), d->config != NULL);
	if (pm_json_bool(&b, d->config, "add_bos_token", e) == 0)
		n.bos = b;
	if (pm_json_bool(&b, d->config, "add_eos_token", e) == 0)
		n.eos = b;
	if (d->kind == PM_GGML_UNIGRAM && put_normalizer(v, d, e) < 0)
		return -1;
	/* where llama.cpp would add BOS unless told otherwise */
	if (n.bos < 0 && d->tokenizer && (d->kind == PM_GGML_SPM || (d->pre && d->pre->bos)))
		n.bos = 0;
	if (put_ids(v, d, &n, e) < 0 || put_flag(v, "add_bos_token", n.bos, e) < 0
		|| (n.early && put_flag(v, "add_eos_token", n.eos, e) < 0) || put_flag(v, "add_sep_token", n.sep, e) < 0
		|| put_flag(v, "add_eos_token", n.eos, e) < 0)
		return -1;
	if (d->kind == PM_GGML_SPM && !prefixes(d) && put_flag(v, "add_space_prefix", 0, e) < 0)
		return -1;
	return put_chat(v, d, dir, e);
}
