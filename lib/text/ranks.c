/* tiktoken's rank files. They hold neither the split pattern nor the special tokens; both follow from which vocabulary it is. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/base64.h"
#include "text/bytelevel.h"
#include "text/sources.h"
#include "text/unicode.h"

#define GPT2 "'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WORDS(digits) CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}" digits "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define CAPITALS "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define SMALL "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define O200K "[^\\r\\n\\p{L}\\p{N}]?" CAPITALS "*" SMALL "+" CONTRACTION "?|[^\\r\\n\\p{L}\\p{N}]?" CAPITALS "+" SMALL "*" CONTRACTION \
	"?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define NO_HAN(set) "(?:(?!\\p{Han})" set ")"
#define KIMI "[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?" NO_HAN(CAPITALS) "*" NO_HAN(SMALL) "+" CONTRACTION "?|[^\\r\\n\\p{L}\\p{N}]?" \
	NO_HAN(CAPITALS) "+" NO_HAN(SMALL) "*" CONTRACTION "?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

struct special {
	int32_t id;
	const char *s;                  /* NULL: the last */
};

static const struct special gpt2[] = {{50256, "<|endoftext|>"}, {0, NULL}};
static const struct special cl100k[] = {{100257, "<|endoftext|>"}, {100258, "<|fim_prefix|>"}, {100259, "<|fim_middle|>"},
	{100260, "<|fim_suffix|>"}, {100276, "<|endofprompt|>"}, {0, NULL}};
static const struct special o200k[] = {{199999, "<|endoftext|>"}, {200018, "<|endofprompt|>"}, {0, NULL}};
static const struct special llama3[] = {{128000, "<|begin_of_text|>"}, {128001, "<|end_of_text|>"}, {128004, "<|finetune_right_pad_id|>"},
	{128006, "<|start_header_id|>"}, {128007, "<|end_header_id|>"}, {128008, "<|eom_id|>"}, {128009, "<|eot_id|>"}, {128010, "<|python_tag|>"},
	{0, NULL}};
static const struct special llama4[] = {{200000, "<|begin_of_text|>"}, {200001, "<|end_of_text|>"}, {200002, "<|fim_prefix|>"},
	{200003, "<|fim_middle|>"}, {200004, "<|fim_suffix|>"}, {200005, "<|header_start|>"}, {200006, "<|header_end|>"}, {200007, "<|eom|>"},
	{200008, "<|eot|>"}, {200009, "<|step|>"}, {0, NULL}};
static const struct special qwen[] = {{151643, "<|endoftext|>"}, {151644, "<|im_start|>"}, {151645, "<|im_end|>"}, {0, NULL}};
static const struct special kimi[] = {{163584, "[BOS]"}, {163585, "[EOS]"}, {163586, "<|im_end|>"}, {163587, "<|im_user|>"},
	{163588, "<|im_assistant|>"}, {163590, "<|start_header_id|>"}, {163591, "<|end_header_id|>"}, {163593, "[EOT]"}, {163594, "<|im_system|>"},
	{163838, "[UNK]"}, {163839, "[PAD]"}, {0, NULL}};

static const struct family {
	size_t ranks, reserved;         /* ids from the first special token up to this have a name, <|reserved_special_token_N|> where no other */
	const char *pattern;
	const struct special *special;
	int32_t bos, eos;
	bool begins, nfc;               /* BOS is put before a text; texts are composed first */
} families[] = {
	{50256, 0, GPT2, gpt2, -1, 50256, false, false},
	{50280, 0, GPT2, gpt2, -1, 50256, false, false},
	{100256, 0, WORDS("{1,3}"), cl100k, -1, 100257, false, false},
	{199998, 0, O200K, o200k, -1, 199999, false, false},
	{128000, 128256, WORDS("{1,3}"), llama3, 128000, 128001, true, false},
	{200000, 0, O200K, llama4, 200000, 200001, true, false},
	{151643, 0, WORDS(""), qwen, -1, 151643, false, true},
	{163584, 0, KIMI, kimi, 163584, 163585, false, false},
};

/* A line: the token's bytes in token[] (room for the whole line) and its rank. Moves *at behind it. 1; 0: the end. */
static int line(const char *s, size_t n, size_t *at, size_t number, unsigned char *token, size_t *len, int64_t *rank, struct pm_err *e)
{
	const char *end, *blank;
	int64_t k;
	char *stop;
	char digits[24] = "";

	while (*at < n && (s[*at] == '\n' || s[*at] == '\r'))
		++*at;
	if (*at == n)
		return 0;
	end = memchr(s + *at, '\n', n - *at);
	end = end ? end : s + n;
	blank = memchr(s + *at, ' ', (size_t)(end - (s + *at)));
	k = blank ? pm_base64_bytes(token, s + *at, (size_t)(blank - (s + *at))) : -1;
	if (k >= 0 && (size_t)(end - blank - 1) < sizeof digits)
		memcpy(digits, blank + 1, (size_t)(end - blank - 1));
	*rank = strtoll(digits, &stop, 10);
	if (k <= 0 || stop == digits || (*stop && *stop != '\r') || *rank < 0 || *rank > 1 << 24)
		return pm_fail(e, PM_DATA, "line %zu: a token in base64 and its rank were wanted", number);
	*len = (size_t)k;
	*at = (size_t)(end - s);
	return 1;
}

bool pm_source_is_ranks(const char *s, size_t n)
{
	const char *end = memchr(s, '\n', n < 4096 ? n : 4096);
	size_t at = 0, len, most = end ? (size_t)(end - s) : n;
	unsigned char token[4096];
	struct pm_err e;
	int64_t rank;

	return most && most < sizeof token && line(s, most, &at, 1, token, &len, &rank, &e) > 0;
}

static int spell(struct pm_str *out, const unsigned char *s, size_t n, struct pm_err *e)
{
	char c[4];

	pm_str_clear(out);
	for (size_t i = 0; i < n; i++)
		if (pm_str_put(out, c, pm_utf8_put(c, pm_bytelevel_char(s[i])), e) < 0)
			return -1;
	return 0;
}

/* The vocabulary as an object; *known gets the spellings. */
static int put_vocab(struct pm_str *out, struct pm_vocab *known, const char *s, size_t n, struct pm_err *e)
{
	unsigned char *token = pm_alloc(n, 1, e);
	struct pm_str spelled = {0};
	size_t at = 0, len = 0, number = 1;
	int64_t rank = 0;
	int r = token ? pm_str_puts(out, "{", e) : -1;

	while (r >= 0 && (r = line(s, n, &at, number, token, &len, &rank, e)) > 0) {
		r = spell(&spelled, token, len, e);
		if (r == 0 && (pm_vocab_find(known, spelled.data, spelled.len) >= 0 || pm_vocab_text(known, (int32_t)rank, &len)))
			r = pm_fail(e, PM_DATA, "line %zu: the token or its rank is there twice", number);
		if (r == 0 && ((number > 1 && pm_str_puts(out, ",", e) < 0) || pm_source_string(out, spelled.data, spelled.len, e) < 0
			|| pm_str_printf(out, e, ":%lld", (long long)rank) < 0 || pm_vocab_add(known, spelled.data, spelled.len, rank, e) < 0))
			r = -1;
		number++;
	}
	free(token);
	pm_str_free(&spelled);
	return r < 0 ? -1 : pm_str_puts(out, "}", e);
}

/* The special tokens are part of the vocabulary, too, so that they keep their ids where some between are missing. */
static int put_special(struct pm_str *vocab, struct pm_str *added, struct pm_str *apart, struct pm_vocab *known, const struct family *f, struct pm_err *e)
{
	const struct special *x = f->special;
	int32_t id = x->id, spare = 0;
	bool any = false;
	char name[64];

	for (; x->s || (size_t)id < f->reserved; id++) {
		if (x->s && id < x->id && !f->reserved)
			id = x->id;
		if (x->s && id == x->id)
			snprintf(name, sizeof name, "%s", (x++)->s);
		else
			snprintf(name, sizeof name, "<|reserved_special_token_%d|>", spare++);
		if (pm_str_puts(vocab, ",", e) < 0 || pm_source_string(vocab, name, strlen(name), e) < 0 || pm_str_printf(vocab, e, ":%d", id) < 0
			|| pm_vocab_add(known, name, strlen(name), id, e) < 0 
			|| pm_str_printf(apart, e, "%s%d", any ? "," : "", id) < 0 || pm_source_added(added, &any, id, name, strlen(name), true, e) < 0)
			return -1;
	}
	return 0;
}

static int put_rest(struct pm_str *out, const struct family *f, struct pm_err *e)
{
	const struct special *x = f->special;
	struct pm_source_token none = {-1, "", 0}, begin = none;

	if (pm_str_printf(out, e, ",\"normalizer\":%s,\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":"
		"{\"Regex\":", f->nfc ? "{\"type\":\"NFC\"}" : "null") < 0 || pm_source_string(out, f->pattern, strlen(f->pattern), e) < 0
		|| pm_str_puts(out, "},\"behavior\":\"Isolated\",\"invert\":false},{\"type\":\"ByteLevel\",\"add_prefix_space\":false,"
		"\"trim_offsets\":true,\"use_regex\":false}]},\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,"
		"\"use_regex\":true}", e) < 0)
		return -1;
	while (x->s && x->id != f->bos)
		x++;
	if (f->begins && x->s)
		begin = (struct pm_source_token){x->id, x->s, strlen(x->s)};
	return pm_str_puts(out, ",\"post_processor\":", e) < 0 ? -1 : pm_source_post(out, begin, none, e);
}

int pm_source_ranks(struct pm_source *out, const char *bytes, size_t n, const json_t *config, struct pm_err *e)
{
	const struct family *f = families, *end = families + sizeof families / sizeof *families;
	struct pm_str vocab = {0}, added = {0}, apart = {0};
	struct pm_vocab known = {0};
	bool any = false;
	int r = put_vocab(&vocab, &known, bytes, n, e);

	for (; f < end && f->ranks != known.n; f++)
		;
	if (r == 0 && f == end)
		r = pm_fail(e, PM_DATA, "%zu ranks: no vocabulary of that many is known", known.n);
	if (r == 0) {
		vocab.len--;            /* the closing bracket */
		if (json_object_get(config, "added_tokens_decoder"))
			r = pm_source_config_tokens(&added, &any, config, &known, e);
		else
			r = put_special(&vocab, &added, &apart, &known, f, e);
	}
	if (r == 0 && (pm_str_puts(&out->json, "{\"added_tokens\":[", e) < 0 || pm_str_put(&out->json, added.data, added.len, e) < 0
		|| pm_str_puts(&out->json, "],\"model\":{\"type\":\"pm:BPE\",\"ignore_merges\":true,\"vocab\":", e) < 0
		|| pm_str_put(&out->json, vocab.data, vocab.len, e) < 0
		|| pm_str_puts(&out->json, "},\"apart\":[", e) < 0 || pm_str_put(&out->json, apart.data, apart.len, e) < 0
		|| pm_str_puts(&out->json, "]}", e) < 0 || put_rest(&out->json, f, e) < 0
		|| pm_str_puts(&out->json, "}", e) < 0))
		r = -1;
	out->bos = r == 0 ? f->bos : -1;
	out->eos = r == 0 ? f->eos : -1;
	pm_str_free(&vocab);
	pm_str_free(&added);
	pm_str_free(&apart);
	pm_vocab_free(&known);
	return r;
}
