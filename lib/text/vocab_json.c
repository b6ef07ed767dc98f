/* A vocabulary of GGUF keys as the text of a tokenizer.json. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/base64.h"
#include "text/pretype.h"
#include "text/sources.h"
#include "text/tokens.h"
#include "text/unicode.h"
#include "text/vocab_private.h"

static const char meta[] = "\xe2\x96\x81";

enum kind { SPM, BPE, UNIGRAM, WORDPIECE };

struct job {
	const struct pm_ggml_vocab *v;
	const struct pm_pretype *pre;
	enum kind kind;
	bool published;
	struct pm_str *out;
};

int64_t pm_ggml_vocab_id(const struct pm_ggml_vocab *v, const char *key)
{
	int64_t id = -1;

	return pm_json_to_int(&id, json_object_get(v->keys, key)) == 0 && id >= 0 && (uint64_t)id < v->n ? id : -1;
}

bool pm_ggml_vocab_flag(const struct pm_ggml_vocab *v, const char *key, bool otherwise)
{
	const json_t *x = json_object_get(v->keys, key);

	return x ? json_is_true(x) : otherwise;
}

static int add(const struct job *j, const char *s, struct pm_err *e)
{
	return pm_str_puts(j->out, s, e);
}

/* [PADn], which only fills the embedding up: not for others to see. */
static bool filler(const struct job *j, size_t i)
{
	char name[32];

	snprintf(name, sizeof name, "[PAD%zu]", i);
	return j->published && j->v->type[i] == PM_GGML_UNUSED && strcmp(j->v->token[i].s, name) == 0;
}

/* How WordPiece spells a token: GGUF has U+2581 where a word begins, and nothing where it goes on. */
static int spelling(const struct job *j, size_t i, struct pm_str *s, struct pm_err *e)
{
	const struct pm_ggml_text *t = j->v->token + i;
	bool normal = j->v->type[i] == PM_GGML_NORMAL, begins = t->n > 3 && memcmp(t->s, meta, 3) == 0;

	pm_str_clear(s);
	if (j->kind != WORDPIECE || !normal)
		return pm_str_put(s, t->s, t->n, e);
	return !begins && pm_str_puts(s, "##", e) < 0 ? -1 : pm_str_put(s, t->s + (begins ? 3 : 0), t->n - (begins ? 3 : 0), e);
}

static int put_vocab(const struct job *j, struct pm_err *e)
{
	struct pm_str s = {0};
	bool any = false;
	int r = add(j, "\"vocab\":{", e);

	for (size_t i = 0; r == 0 && i < j->v->n; i++) {
		if (filler(j, i))
			continue;
		if (spelling(j, i, &s, e) < 0 || (any && add(j, ",", e) < 0) || pm_source_string(j->out, s.data ? s.data : "", s.len, e) < 0)
			r = pm_ctx(e, "token %zu", i);
		if (r == 0)
			r = pm_str_printf(j->out, e, ":%zu", i);
		any = true;
	}
	pm_str_free(&s);
	return r < 0 ? -1 : add(j, "}", e);
}

static int put_added(const struct job *j, struct pm_err *e)
{
	const struct pm_ggml_vocab *v = j->v;
	bool any = false;

	if (add(j, "\"added_tokens\":[", e) < 0)
		return -1;
	for (size_t i = 0; i < v->n; i++)
		if ((v->type[i] == PM_GGML_CONTROL || v->type[i] == PM_GGML_UNKNOWN || v->type[i] == PM_GGML_USER)
			&& pm_source_added(j->out, &any, (int64_t)i, v->token[i].s, v->token[i].n, v->type[i] != PM_GGML_USER, e) < 0)
			return -1;
	return add(j, "],", e);
}

static int put_merges(const struct job *j, struct pm_err *e)
{
	if (add(j, ",\"merges\":[", e) < 0)
		return -1;
	for (size_t i = 0; i < j->v->merges; i++)
		if ((i && add(j, ",", e) < 0) || pm_source_string(j->out, j->v->merge[i].s, j->v->merge[i].n, e) < 0)
			return pm_ctx(e, "merge %zu", i);
	return add(j, "]", e);
}

static int put_split(const struct job *j, const char *s, struct pm_err *e)
{
	if (*s == '@')
		return add(j, strcmp(s, "@punctuation") == 0 ? "{\"type\":\"Punctuation\",\"behavior\":\"Contiguous\"}" :
			strcmp(s, "@digit") == 0 ? "{\"type\":\"Digits\",\"individual_digits\":true}" : "{\"type\":\"Digits\",\"individual_digits\":false}", e);
	if (add(j, "{\"type\":\"Split\",\"pattern\":{\"Regex\":", e) < 0 || pm_source_string(j->out, s, strlen(s), e) < 0)
		return -1;
	return add(j, "},\"behavior\":\"Isolated\",\"invert\":false}", e);
}

/* The unknown token's spelling as a member, or null. */
static int put_unk(const struct job *j, const char *name, int64_t id, struct pm_err *e)
{
	if (pm_str_printf(j->out, e, ",\"%s\":", name) < 0)
		return -1;
	return id < 0 ? add(j, "null", e) : pm_source_string(j->out, j->v->token[id].s, j->v->token[id].n, e);
}

static int put_bpe(const struct job *j, struct pm_err *e)
{
	const struct pm_pretype *p = j->pre;

	if (pm_str_printf(j->out, e, "\"normalizer\":%s,\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[",
		p->spaces ? "{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},\"content\":\"\xe2\x96\x81\"}" :
		p->nfc && j->published ? "{\"type\":\"NFC\"}" : "null") < 0)
		return -1;
	for (size_t i = 0; i < PM_PRETYPE_SPLITS && p->split[i]; i++)
		if ((i && add(j, ",", e) < 0) || put_split(j, p->split[i], e) < 0)
			return -1;
	if (add(j, p->spaces ? "]}" : ",{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true,\"use_regex\":false}]}", e) < 0
		|| add(j, ",\"model\":{\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null,"
		"\"fuse_unk\":false,", e) < 0 || pm_str_printf(j->out, e, "\"byte_fallback\":%s,\"ignore_merges\":%s,", p->spaces ? "true" : "false",
		p->ignore_merges ? "true" : "false") < 0 || put_vocab(j, e) < 0 || put_merges(j, e) < 0)
		return -1;
	return add(j, p->spaces ? "},\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\xe2\x96\x81\"},"
		"\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}]}" :
		"},\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true}", e);
}

/* Merges that give what the scores give, in the order in which the `tokenizers` library's converter writes them. */
struct made {
	const struct pm_ggml_text *t;
	size_t at, left, right, order;  /* bytes of the first part; characters of both */
	float score;
};

static int by_score(const void *pa, const void *pb)
{
	const struct made *a = pa, *b = pb;

	if (a->score != b->score)
		return a->score < b->score ? 1 : -1;
	if (a->left != b->left)
		return a->left < b->left ? 1 : -1;
	if (a->right != b->right)
		return a->right < b->right ? 1 : -1;
	return (a->order > b->order) - (a->order < b->order);
}

static int make_merges(const struct pm_ggml_vocab *v, const struct pm_vocab *known, struct made **out, size_t *n, struct pm_err *e)
{
	size_t cap = 0, k;

	for (size_t i = 0; i < v->n; i++) {
		const struct pm_ggml_text *t = v->token + i;

		if (v->type[i] != PM_GGML_NORMAL || pm_utf8_valid(t->s, t->n) != t->n)
			continue;
		if (t->n > 4096)
			return pm_fail(e, PM_DATA, "token %zu: %zu bytes are too long", i, t->n);
		for (size_t at = 0; at < t->n; at += k) {
			pm_utf8_get(t->s + at, &k);
			if (!at || pm_vocab_find(known, t->s, at) < 0 || pm_vocab_find(known, t->s + at, t->n - at) < 0)
				continue;
			if (pm_grow(out, &cap, *n + 1, sizeof **out, e) < 0)
				return -1;
			(*out)[*n] = (struct made){t, at, pm_utf8_count(t->s, at), pm_utf8_count(t->s + at, t->n - at), *n, v->score[i]};
			++*n;
		}
	}
	if (*n)
		qsort(*out, *n, sizeof **out, by_score);
	return 0;
}

static int put_made(const struct job *j, struct pm_err *e)
{
	struct pm_vocab known = {0};
	struct made *m = NULL;
	size_t n = 0;
	int r = 0;

	for (size_t i = 0; r == 0 && i < j->v->n; i++)
		if (j->v->type[i] == PM_GGML_NORMAL)
			r = pm_vocab_add(&known, j->v->token[i].s, j->v->token[i].n, (int64_t)i, e);
	if (r == 0)
		r = make_merges(j->v, &known, &m, &n, e);
	if (r == 0)
		r = add(j, ",\"merges\":[", e);
	for (size_t i = 0; r == 0 && i < n; i++) {
		const struct pm_ggml_text *t = m[i].t;

		if (add(j, i ? ",[" : "[", e) < 0 || pm_source_string(j->out, t->s, m[i].at, e) < 0 || add(j, ",", e) < 0
			|| pm_source_string(j->out, t->s + m[i].at, t->n - m[i].at, e) < 0 || add(j, "]", e) < 0)
			r = -1;
	}
	if (r == 0)
		r = add(j, "]", e);
	free(m);
	pm_vocab_free(&known);
	return r;
}

static int put_scores(const struct job *j, struct pm_err *e)
{
	if (add(j, ",\"merges\":[", e) < 0)
		return -1;
	for (size_t i = 0; i < j->v->n; i++)
		if (j->v->type[i] == PM_GGML_NORMAL ? pm_str_printf(j->out, e, "%s%.9g", i ? "," : "", (double)j->v->score[i]) < 0 :
			add(j, i ? ",null" : "null", e) < 0)
			return -1;
	return add(j, "]", e);
}

static int put_spm(const struct job *j, struct pm_err *e)
{
	bool prefix = pm_ggml_vocab_flag(j->v, "add_space_prefix", true);
	int64_t unk = pm_ggml_vocab_id(j->v, "unknown_token_id");

	if (unk < 0 && !json_object_get(j->v->keys, "unknown_token_id") && j->v->n && j->v->type[0] == PM_GGML_UNKNOWN)
		unk = 0;
	if (!j->v->score)
		return pm_fail(e, PM_DATA, "a vocabulary of the model 'llama' without scores");
	if (pm_str_printf(j->out, e, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[%s{\"type\":\"Replace\",\"pattern\":{\"String\":\" \"},"
		"\"content\":\"\xe2\x96\x81\"}]},\"pre_tokenizer\":null,\"model\":{", prefix ? "{\"type\":\"Prepend\",\"prepend\":\"\xe2\x96\x81\"}," : "") < 0)
		return -1;
	if (add(j, j->published ? "\"type\":\"BPE\",\"dropout\":null,\"continuing_subword_prefix\":null,\"end_of_word_suffix\":null," :
		"\"type\":\"pm:BPE\",", e) < 0 || add(j, "\"fuse_unk\":true,\"byte_fallback\":true,\"ignore_merges\":false", e) < 0
		|| put_unk(j, "unk_token", unk, e) < 0 || add(j, ",", e) < 0 || put_vocab(j, e) < 0
		|| (j->published ? put_made(j, e) : put_scores(j, e)) < 0)
		return -1;
	return pm_str_printf(j->out, e, "},\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\",\"pattern\":{\"String\":\"\xe2\x96\x81\"},"
		"\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"}%s]}", prefix ?
		",{\"type\":\"Strip\",\"content\":\" \",\"start\":1,\"stop\":0}" : "");
}

static int put_unigram_normalizer(const struct job *j, struct pm_err *e)
{
	const struct pm_ggml_vocab *v = j->v;
	bool squeeze = pm_ggml_vocab_flag(v, "remove_extra_whitespaces", false), prefix = pm_ggml_vocab_flag(v, "add_space_prefix", true), any = false;

	if (j->published) {
		if (add(j, "\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[", e) < 0)
			return -1;
		if (v->charsmap.s && (add(j, "{\"type\":\"Precompiled\",\"precompiled_charsmap\":\"", e) < 0
			|| pm_base64_text(j->out, v->charsmap.s, v->charsmap.n, e) < 0 || add(j, squeeze ? "\"}," : "\"}", e) < 0))
			return -1;
		return pm_str_printf(j->out, e, "%s]},\"pre_tokenizer\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"%s\","
			"\"split\":true},", squeeze ? "{\"type\":\"Strip\",\"strip_left\":true,\"strip_right\":true},{\"type\":\"Replace\",\"pattern\":"
			"{\"Regex\":\" {2,}\"},\"content\":\" \"}" : "", prefix ? "always" : "never");
	}
	if (add(j, "\"normalizer\":{\"type\":\"pm:SentencePiece\",\"precompiled_charsmap\":\"", e) < 0
		|| (v->charsmap.s && pm_base64_text(j->out, v->charsmap.s, v->charsmap.n, e) < 0) || add(j, "\",\"symbols\":[", e) < 0)
		return -1;
	for (size_t i = 0; i < v->n; i++) {
		if (v->type[i] != PM_GGML_USER)
			continue;
		if ((any && add(j, ",", e) < 0) || pm_source_string(j->out, v->token[i].s, v->token[i].n, e) < 0)
			return -1;
		any = true;
	}
	return pm_str_printf(j->out, e, "],\"remove_extra_whitespaces\":%s,\"add_dummy_prefix\":%s,\"first\":false,\"treat_whitespace_as_suffix\":false,"
		"\"escape_whitespaces\":true},\"pre_tokenizer\":null,", squeeze ? "true" : "false", prefix ? "true" : "false");
}

static int put_unigram(const struct job *j, struct pm_err *e)
{
	const struct pm_ggml_vocab *v = j->v;
	int64_t unk = json_object_get(v->keys, "unknown_token_id") ? pm_ggml_vocab_id(v, "unknown_token_id") : v->n > 2 ? 2 : -1;
	bool bytes = false;

	if (!v->score)
		return pm_fail(e, PM_DATA, "a vocabulary of the model 't5' without scores");
	if (put_unigram_normalizer(j, e) < 0 || pm_str_printf(j->out, e, "\"model\":{\"type\":\"%s\",\"unk_id\":", j->published ? "Unigram" : "pm:Unigram") < 0
		|| (unk < 0 ? add(j, "null", e) : pm_str_printf(j->out, e, "%lld", (long long)unk)) < 0 || add(j, ",\"vocab\":[", e) < 0)
		return -1;
	for (size_t i = 0; i < v->n; i++) {
		bytes |= v->type[i] == PM_GGML_BYTE;
		if (add(j, i ? ",[" : "[", e) < 0 || pm_source_string(j->out, v->token[i].s, v->token[i].n, e) < 0)
			return -1;
		if (j->published ? pm_str_printf(j->out, e, ",%.17g]", (double)v->score[i]) < 0 :
			pm_str_printf(j->out, e, ",%.9g,%d]", (double)v->score[i], v->type[i]) < 0)
			return -1;
	}
	return pm_str_printf(j->out, e, "],\"byte_fallback\":%s},\"decoder\":{\"type\":\"Metaspace\",\"replacement\":\"\xe2\x96\x81\",\"prepend_scheme\":\"%s\","
		"\"split\":true}", bytes ? "true" : "false", pm_ggml_vocab_flag(v, "add_space_prefix", true) ? "always" : "never");
}

static int put_wordpiece(const struct job *j, struct pm_err *e)
{
	bool lower = pm_ggml_vocab_flag(j->v, "normalizer.lowercase", true), strip = pm_ggml_vocab_flag(j->v, "normalizer.strip_accents", lower);
	int64_t unk = json_object_get(j->v->keys, "unknown_token_id") ? pm_ggml_vocab_id(j->v, "unknown_token_id") : j->v->n > 100 ? 100 : -1;

	if (unk < 0)
		return pm_fail(e, PM_DATA, "a vocabulary of the model 'bert' without an unknown token");
	if (pm_str_printf(j->out, e, "\"normalizer\":{\"type\":\"BertNormalizer\",\"clean_text\":true,\"handle_chinese_chars\":true,\"strip_accents\":%s,"
		"\"lowercase\":%s},\"pre_tokenizer\":{\"type\":\"BertPreTokenizer\"},\"model\":{\"type\":\"WordPiece\",\"continuing_subword_prefix\":\"##\","
		"\"max_input_chars_per_word\":%d", strip ? "true" : "false", lower ? "true" : "false", j->published ? 100 : 1 << 24) < 0
		|| put_unk(j, "unk_token", unk, e) < 0 || add(j, ",", e) < 0 || put_vocab(j, e) < 0)
		return -1;
	return add(j, "},\"decoder\":{\"type\":\"WordPiece\",\"prefix\":\"##\",\"cleanup\":false}", e);
}

static struct pm_source_token token(const struct job *j, bool use, const char *key, int64_t otherwise)
{
	int64_t id = json_object_get(j->v->keys, key) ? pm_ggml_vocab_id(j->v, key) : otherwise < (int64_t)j->v->n ? otherwise : -1;
	struct pm_source_token none = {-1, "", 0};

	return use && id >= 0 ? (struct pm_source_token){id, j->v->token[id].s, j->v->token[id].n} : none;
}

static int put_post(const struct job *j, struct pm_err *e)
{
	const struct pm_ggml_vocab *v = j->v;
	bool bos = pm_ggml_vocab_flag(v, "add_bos_token", j->kind == SPM || j->kind == WORDPIECE || (j->kind == BPE && j->pre->bos));
	bool eos = pm_ggml_vocab_flag(v, "add_eos_token", j->kind == UNIGRAM);
	struct pm_source_token a, b;

	bos |= j->kind == BPE && j->pre->spaces;
	a = token(j, bos || j->kind == WORDPIECE, "bos_token_id", j->kind == SPM ? 1 : j->kind == WORDPIECE ? 101 : -1);
	b = j->kind == WORDPIECE ? token(j, true, "seperator_token_id", 102) : token(j, eos, "eos_token_id", j->kind == SPM ? 2 : j->kind == UNIGRAM ? 1 : -1);
	if (bos && a.id < 0)
		return pm_fail(e, PM_DATA, "a BOS token is to be added, and none is named");
	if ((eos || j->kind == WORDPIECE) && b.id < 0)
		return pm_fail(e, PM_DATA, "a token is to end texts, and none is named");
	return add(j, ",\"post_processor\":", e) < 0 ? -1 : pm_source_post(j->out, a, b, e);
}

int pm_ggml_vocab_json(const struct pm_ggml_vocab *v, bool published, struct pm_str *out, struct pm_err *e)
{
	static const char *const names[] = {"llama", "gpt2", "t5", "bert", "gemma4"};
	static int (*const put[])(const struct job *j, struct pm_err *e) = {put_spm, put_bpe, put_unigram, put_wordpiece};
	struct job j = {.v = v, .published = published, .out = out};
	const char *pre = strcmp(v->model, "gemma4") == 0 ? "gemma4" : v->pre ? v->pre : "default";
	size_t i = 0;

	while (i < sizeof names / sizeof *names && strcmp(names[i], v->model) != 0)
		i++;
	if (i == sizeof names / sizeof *names)
		return pm_fail(e, PM_DATA, "tokenizer.ggml.model: '%s' is not known, llama, gpt2, t5, bert or gemma4 was wanted", v->model);
	j.kind = i == 4 ? BPE : (enum kind)i;
	j.pre = pm_pretype_named(pre, strlen(pre));
	if (j.kind == BPE && !j.pre)
		return pm_fail(e, PM_DATA, "tokenizer.ggml.pre: '%s' is not known", pre);
	if (add(&j, "{\"version\":\"1.0\",\"truncation\":null,\"padding\":null,", e) < 0 || put_added(&j, e) < 0 || put[j.kind](&j, e) < 0
		|| put_post(&j, e) < 0)
		return -1;
	return add(&j, "}", e);
}

static int put_named(json_t *o, const struct pm_ggml_vocab *v, const char *name, const char *key)
{
	int64_t id = pm_ggml_vocab_id(v, key);

	return id < 0 ? 0 : json_object_set_new(o, name, json_stringn(v->token[id].s, v->token[id].n));
}

int pm_ggml_vocab_files(const struct pm_ggml_vocab *v, struct pm_str *tokenizer, struct pm_str *config, struct pm_err *e)
{
	static const char *const names[][2] = {{"bos_token", "bos_token_id"}, {"eos_token", "eos_token_id"}, {"unk_token", "unknown_token_id"},
		{"pad_token", "padding_token_id"}, {"sep_token", "seperator_token_id"}, {"cls_token", "cls_token_id"}, {"mask_token", "mask_token_id"}};
	static const char *const flags[] = {"add_bos_token", "add_eos_token"};
	json_t *o, *x;
	int r = 0;

	if (pm_ggml_vocab_json(v, true, tokenizer, e) < 0)
		return -1;
	o = json_pack("{s:s, s:b}", "tokenizer_class", "PreTrainedTokenizerFast", "clean_up_tokenization_spaces", 0);
	for (size_t i = 0; o && r == 0 && i < sizeof names / sizeof *names; i++)
		r = put_named(o, v, names[i][0], names[i][1]);
	for (size_t i = 0; o && r == 0 && i < sizeof flags / sizeof *flags; i++)
		if ((x = json_object_get(v->keys, flags[i])))
			r = json_object_set(o, flags[i], x);
	if (o && r == 0 && v->chat_template.s)
		r = json_object_set_new(o, "chat_template", json_stringn(v->chat_template.s, v->chat_template.n));
	if (!o || r < 0)
		r = pm_fail(e, PM_DATA, "a token or the chat template is not UTF-8");
	else
		r = pm_json_text(config, o, e);
	json_decref(o);
	return r < 0 ? -1 : 0;
}

/* The token that a key names; where there is no such key, SentencePiece's own. */
static int32_t bound(const struct pm_ggml_vocab *v, const char *key, int64_t spm)
{
	if (json_object_get(v->keys, key))
		return (int32_t)pm_ggml_vocab_id(v, key);
	return strcmp(v->model, "llama") == 0 && (uint64_t)spm < v->n ? (int32_t)spm : -1;
}

int pm_tokenizer_open_gguf(struct pm_tokenizer **out, const struct pm_gguf *g, struct pm_err *e)
{
	return pm_ggml_vocab_open(out, g, NULL, e);
}

int pm_ggml_vocab_open(struct pm_tokenizer **out, const struct pm_gguf *g, const char *cache, struct pm_err *e)
{
	struct pm_ggml_vocab *v;
	struct pm_str s = {0};
	int r;

	*out = NULL;
	if (pm_ggml_vocab_of_gguf(&v, g, e) < 0)
		return -1;
	r = pm_ggml_vocab_json(v, false, &s, e);
	if (r == 0)
		r = pm_tokens_read_cached(out, s.data, s.len, "tokenizer.ggml", cache, e);
	if (r == 0)
		r = pm_tokens_bounds(*out, bound(v, "bos_token_id", 1), -1, bound(v, "eos_token_id", 2), -1, e);
	pm_ggml_vocab_free(v);
	pm_str_free(&s);
	return r;
}
