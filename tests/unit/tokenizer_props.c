/* What must hold of tokenizers whatever the text: encoding and decoding give the text back, offsets cover it in order, literal
 * parts hold no special tokens, long pieces take no more than linear time, bad input is refused. On a small byte-level
 * tokenizer of our own, and on the published ones where they are. */
#include <pthread.h>
#include <string.h>
#include <time.h>

#include "base/json.h"
#include "base/rng.h"
#include "tap.h"
#include "text/bytelevel.h"
#include "text/tokenizer.h"
#include "text/tokens.h"
#include "text/unicode.h"

static struct pm_err err;
static const struct pm_encode_opts special = {.parse_special = true}, text_only = {0};

/* All 256 bytes, some merges, two special tokens and one that is not. `model` stands in the model, `rest` beside it. */
static char *small(const char *model, const char *rest)
{
	static const char *const words[] = {"th", "the", "\xc4\xa0t", "\xc4\xa0the", "aa", "aaaa", "\xc3\x83\xc2\xa9"};
	static struct pm_str s;
	char c[4];

	pm_str_clear(&s);
	pm_str_puts(&s, "{\"model\": {\"type\": \"BPE\", \"vocab\": {", &err);
	for (int i = 0; i < 256; i++) {
		size_t k = pm_utf8_put(c, pm_bytelevel_char((unsigned char)i));

		pm_str_printf(&s, &err, "\"%s%.*s\": %d, ", i == '"' || i == '\\' ? "\\" : "", (int)k, c, i);
	}
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		pm_str_printf(&s, &err, "%s\"%s\": %zu", i ? ", " : "", words[i], 256 + i);
	pm_str_printf(&s, &err, "}, \"merges\": [\"t h\", \"th e\", \"\xc4\xa0 t\", \"\xc4\xa0 the\", \"a a\", \"aa aa\", \"\xc3\x83 \xc2\xa9\"]%s}, "
		"\"added_tokens\": [{\"id\": 263, \"content\": \"<s>\", \"single_word\": false, \"lstrip\": false, \"rstrip\": false, "
		"\"normalized\": false, \"special\": true}, {\"id\": 264, \"content\": \"<|end|>\", \"single_word\": false, \"lstrip\": false, "
		"\"rstrip\": true, \"normalized\": false, \"special\": true}, {\"id\": 265, \"content\": \"\\n\\n\", \"single_word\": false, "
		"\"lstrip\": false, \"rstrip\": false, \"normalized\": false, \"special\": false}], "
		"\"pre_tokenizer\": {\"type\": \"ByteLevel\", \"add_prefix_space\": false, \"trim_offsets\": true, \"use_regex\": true}, "
		"\"decoder\": {\"type\": \"ByteLevel\", \"add_prefix_space\": true, \"trim_offsets\": true, \"use_regex\": true}%s}", model, rest);
	return s.data;
}

static bool same(const struct pm_encoding *x, const struct pm_encoding *y)
{
	return x->n == y->n && memcmp(x->ids, y->ids, x->n * sizeof *x->ids) == 0 && memcmp(x->from, y->from, x->n * sizeof *x->from) == 0
		&& memcmp(x->to, y->to, x->n * sizeof *x->to) == 0;
}

/* Long texts are normalized in groups of lines or words where that is all the same: with one more normalizer, which forbids it
 * and never finds anything, ids and offsets must be no other. */
static void groups(const char *name, json_t *o, const struct pm_str *text)
{
	struct pm_tokenizer *a = NULL, *b = NULL;
	struct pm_encoding x = {0}, y = {0};
	struct pm_str s = {0};
	bool ok = pm_json_text(&s, o, &err) == 0 && pm_tokens_read(&a, s.data, s.len, "groups", &err) == 0;

	json_object_set_new(o, "normalizer", json_pack("{s:s,s:[O,{s:s,s:{s:s},s:s}]}", "type", "Sequence", "normalizers",
		json_object_get(o, "normalizer"), "type", "Replace", "pattern", "String", "\x01\x02", "content", ""));
	pm_str_clear(&s);
	ok = ok && pm_json_text(&s, o, &err) == 0 && pm_tokens_read(&b, s.data, s.len, "whole", &err) == 0;
	ok = ok && pm_tokenizer_encode(a, text->data, text->len, &special, &x, &err) == 0;
	ok = ok && pm_tokenizer_encode(b, text->data, text->len, &special, &y, &err) == 0;
	check(ok && same(&x, &y), "%s: groups give what the whole text gives (%zu and %zu ids)", name, x.n, y.n);
	if (!ok)
		printf("# %s\n", err.text);
	pm_encoding_free(&x);
	pm_encoding_free(&y);
	pm_str_free(&s);
	pm_tokenizer_close(a);
	pm_tokenizer_close(b);
	json_decref(o);
}

static void all_groups(const char *dir)
{
	static const char *const bits[] = {"\n", "\n", " ", "the", " \n", "e\xcc\x81", "\xcc\x81", "\xc3\xa9", ".", "\n \n", "\r\n", "aaaa", "  ",
		"\xe1\xbf\x93", " a", " of", "\xe2\x96\x81", "<s>", " <s>", "\t", "\xe4\xb8\xad"};
	static const char *const names[] = {"stories260K", "mistral_v01", "llama2", "gemma3", "qwen3", "cohere"};
	char *json = small("", ", \"normalizer\": {\"type\": \"NFC\"}"), path[4096];
	struct pm_str s = {0};

	for (uint64_t i = 0; i < 60000; i++)
		pm_str_puts(&s, bits[pm_rng_u32(5, 5, i) % (sizeof bits / sizeof *bits)], &err);
	groups("small", pm_json_parse(json, strlen(json), "small", &err), &s);
	for (size_t i = 0; dir && i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/data/tokenizers/%s/tokenizer.json", dir, names[i]);
		groups(names[i], pm_json_file(path, &err), &s);
	}
	pm_str_free(&s);
}

static void random_text(struct pm_str *s, uint32_t stream, int i)
{
	uint64_t at = (uint64_t)i << 8;
	uint32_t n = pm_rng_u32(3, stream, at++) % 40, c;
	char u[4];

	pm_str_clear(s);
	while (n--) {
		c = pm_rng_u32(3, stream, at++);
		switch (c % 6) {
		case 0: c = (c >> 8) % 0x110000; break;
		case 1: c = (c >> 8) % 0x800; break;
		case 2: c = 0x4e00 + (c >> 8) % 0x100; break;
		case 3: c = (c >> 8) % 2 ? ' ' : '\n'; break;
		default: c = (c >> 8) % 0x80; break;
		}
		if (c >= 0xd800 && c < 0xe000)
			c = '<';
		pm_str_put(s, u, pm_utf8_put(u, c), &err);
		if (pm_rng_u32(3, stream, at++) % 16 == 0)
			pm_str_puts(s, "<s>the <|end|>", &err);
	}
}

/* Offsets never go back, and each id covers something. */
static bool in_order(const struct pm_encoding *enc, size_t n)
{
	for (size_t i = 0; i < enc->n; i++)
		if (enc->from[i] >= enc->to[i] || enc->to[i] > n || (i && (enc->from[i] < enc->from[i - 1] || enc->to[i] < enc->to[i - 1])))
			return false;
	return true;
}

static bool round_trip(const struct pm_tokenizer *t, const char *s, size_t n, const struct pm_encode_opts *o)
{
	struct pm_encoding enc = {0};
	struct pm_str out = {0};
	bool ok = pm_tokenizer_encode(t, s, n, o, &enc, &err) == 0 && pm_tokenizer_decode(t, enc.ids, enc.n, false, &out, &err) == 0;

	ok = ok && out.len == n && memcmp(out.data, s, n) == 0 && in_order(&enc, n);
	if (!ok)
		printf("# '%.*s' became '%s' %s\n", (int)n, s, out.data, err.text);
	pm_encoding_free(&enc);
	pm_str_free(&out);
	return ok;
}

static void round_trips(const struct pm_tokenizer *t, const char *name, bool nfc, uint32_t stream)
{
	struct pm_str s = {0};
	size_t wrong = 0, n = 0;

	for (int i = 0; i < 3000; i++) {
		random_text(&s, stream, i);
		if (nfc && !pm_uc_is_normal(s.data ? s.data : "", s.len, true, false))
			continue;
		n++;
		/* rstrip takes blanks that decoding cannot give back, so special tokens stay text where there is such a one */
		wrong += !round_trip(t, s.data ? s.data : "", s.len, &text_only);
	}
	check(n > 500 && !wrong, "%s: decode(encode(x)) is x: %zu of %zu are not", name, wrong, n);
	pm_str_free(&s);
}

static double seconds(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double time_of(const struct pm_tokenizer *t, char c, size_t n)
{
	char *s = malloc(n);
	struct pm_encoding enc = {0};
	double start = seconds();

	memset(s, c, n);
	if (pm_tokenizer_encode(t, s, n, &text_only, &enc, &err) < 0)
		printf("# %s\n", err.text);
	pm_encoding_free(&enc);
	free(s);
	return seconds() - start;
}

/* One piece ten times as long takes not much more than ten times as long. */
static void long_pieces(const struct pm_tokenizer *t, const char *name)
{
	static const char chars[] = {'a', ' ', '\n', '.', '0'};
	double small_time, large;

	for (size_t i = 0; i < sizeof chars; i++) {
		small_time = time_of(t, chars[i], 40000);
		large = time_of(t, chars[i], 400000);
		check(large < 25 * small_time + 0.05, "%s: byte %d 400 000 times: %.3f s, after %.3f s for 40 000", name, chars[i], large, small_time);
	}
}

static bool gives(const struct pm_tokenizer *t, const char *s, const struct pm_encode_opts *o, size_t n, const int32_t *want)
{
	struct pm_encoding enc = {0};
	bool ok = pm_tokenizer_encode(t, s, strlen(s), o, &enc, &err) == 0 && enc.n == n && memcmp(enc.ids, want, n * sizeof *want) == 0;

	for (size_t i = 0; !ok && i < enc.n; i++)
		printf("# %d at %zu to %zu\n", enc.ids[i], enc.from[i], enc.to[i]);
	pm_encoding_free(&enc);
	return ok;
}

static void small_cases(const struct pm_tokenizer *t)
{
	static const struct pm_range whole[] = {{0, 6}}, second[] = {{3, 6}}, across[] = {{1, 2}};
	struct pm_encode_opts o = {.parse_special = true};
	struct pm_encoding enc = {0};
	struct pm_str out = {0};

	check(gives(t, "the the", &special, 2, (int32_t[]){257, 259}), "merges");
	check(gives(t, "<s><s>", &special, 2, (int32_t[]){263, 263}), "special tokens are recognised");
	check(gives(t, "<s><s>", &text_only, 6, (int32_t[]){'<', 's', '>', '<', 's', '>'}), "special tokens as text");
	check(gives(t, "\n\n<s>", &text_only, 4, (int32_t[]){265, '<', 's', '>'}), "added tokens that are not special always count");
	o.literal = whole, o.nliteral = 1;
	check(gives(t, "<s><s><s>", &o, 7, (int32_t[]){'<', 's', '>', '<', 's', '>', 263}), "two in a literal part");
	o.literal = second;
	check(gives(t, "<s><s><s>", &o, 5, (int32_t[]){263, '<', 's', '>', 263}), "one in the middle is literal");
	o.literal = across;
	check(gives(t, "<s><s>", &o, 4, (int32_t[]){'<', 's', '>', 263}), "one that reaches into a literal part");
	check(pm_tokenizer_encode(t, "ab\xff", 3, &special, &enc, &err) < 0 && err.status == PM_DATA && strstr(err.text, "byte 2"),
		"text that is not UTF-8: %s", err.text);
	check(enc.n == 0, "nothing is appended then");
	check(pm_tokenizer_encode(t, "<|end|> \n x", 11, &special, &enc, &err) == 0 && enc.n == 2 && enc.to[0] == 10 && enc.from[1] == 10,
		"rstrip takes the blanks behind");
	check(pm_tokenizer_decode(t, (int32_t[]){99999}, 1, false, &out, &err) < 0 && err.status == PM_DATA, "an unknown id: %s", err.text);
	pm_str_clear(&out);
	check(pm_tokenizer_decode(t, (int32_t[]){0xf0, 0x9f, 0x98, 'a', 263, 0xc3}, 6, true, &out, &err) == 0
		&& strcmp(out.data, "\xef\xbf\xbd" "a\xef\xbf\xbd") == 0, "broken characters become one U+FFFD each, special tokens nothing");
	check(pm_tokenizer_id(t, "<s>") == 263 && pm_tokenizer_id(t, "the") == 257 && pm_tokenizer_id(t, "no") == -1, "ids by spelling");
	check(strcmp(pm_tokenizer_token(t, 257), "the") == 0 && !pm_tokenizer_token(t, 266) && pm_tokenizer_vocab(t) == 266, "spellings by id");
	check(pm_tokenizer_is_special(t, 263) && !pm_tokenizer_is_special(t, 265) && !pm_tokenizer_is_special(t, 5), "which are special");
	check(strlen(pm_tokenizer_hash(t)) == 64, "the hash");
	pm_str_free(&out);
	pm_encoding_free(&enc);
}

/* Bytes of a suffix have no place in the text: their offsets stay within it. */
static void affixes(void)
{
	struct pm_str s = {0};
	struct pm_tokenizer *t = NULL;
	struct pm_encoding enc = {0};
	bool ok;

	pm_str_puts(&s, "{\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\",\"byte_fallback\":true,\"merges\":[],\"vocab\":{", &err);
	for (int i = 0; i < 256; i++)
		pm_str_printf(&s, &err, "%s\"<0x%02X>\":%d", i ? "," : "", (unsigned)i, i);
	pm_str_puts(&s, "}},\"pre_tokenizer\":{\"type\":\"WhitespaceSplit\"}}", &err);
	ok = pm_tokens_read(&t, s.data, s.len, "affixes", &err) == 0 && pm_tokenizer_encode(t, "a b", 3, &text_only, &enc, &err) == 0 && enc.n == 10;
	for (size_t i = 0; i < enc.n; i++)
		ok = ok && enc.from[i] <= enc.to[i] && enc.to[i] <= 3;
	check(ok, "the bytes of a suffix: %zu ids %s", enc.n, err.text);
	pm_encoding_free(&enc);
	pm_tokenizer_close(t);
	pm_str_free(&s);
}

/* Files that must be refused, and what the message must name. */
static void refused(void)
{
	static const struct { const char *model, *rest, *word; } cases[] = {
		{", \"dropout\": 0.1", "", "dropout"}, {", \"surprise\": 1", "", "surprise"}, {"", ", \"normalizer\": {\"type\": \"Magic\"}", "Magic"},
		{"", ", \"postprocessor\": null", "postprocessor"}, {"", ", \"normalizer\": {\"type\": \"NFC\", \"how\": 1}", "how"},
		{"", ", \"post_processor\": {\"type\": \"TemplateProcessing\", \"single\": [{\"SpecialToken\": {\"id\": \"x\", \"type_id\": 0}}], "
		 "\"pair\": [], \"special_tokens\": {}}", "x"},
		{"", ", \"normalizer\": {\"type\": \"Replace\", \"pattern\": {\"Regex\": \"(\"}, \"content\": \"\"}", "pattern"},
		{", \"vocab\": {}", "", "uplicate"}, {", \"\": 1", "", "''"},
	};
	struct pm_tokenizer *t;
	char *s;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		s = small(cases[i].model, cases[i].rest);
		if (!check(pm_tokens_read(&t, s, strlen(s), "f", &err) < 0 && err.status == PM_DATA && strstr(err.text, cases[i].word),
			"refused: %s", err.text))
			pm_tokenizer_close(t);
	}
	check(pm_tokenizer_open(&t, "/nowhere", &err) < 0 && err.status == PM_NOINPUT, "no such file: %s", err.text);
}

/* Several threads on one tokenizer. */
struct job {
	const struct pm_tokenizer *t;
	pthread_t thread;
	size_t wrong;
};

static void *work(void *p)
{
	struct job *j = p;
	struct pm_str s = {0};

	for (int i = 0; i < 300; i++) {
		random_text(&s, 9, i);
		j->wrong += !round_trip(j->t, s.data ? s.data : "", s.len, &text_only);
	}
	pm_str_free(&s);
	return NULL;
}

static void threads(const struct pm_tokenizer *t)
{
	struct job j[4] = {{0}};
	size_t wrong = 0;

	for (int i = 0; i < 4; i++) {
		j[i].t = t;
		pthread_create(&j[i].thread, NULL, work, j + i);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(j[i].thread, NULL);
		wrong += j[i].wrong;
	}
	check(!wrong, "four threads on one tokenizer: %zu wrong", wrong);
}

/* What Bert's normalizer takes out, every character tried with tokenizers 0.23.3 (which keeps tab, newline and return, as blanks). */
static void controls(void)
{
	static const uint32_t range[][2] = {
		{0x0, 0x8}, {0xb, 0xc}, {0xe, 0x1f}, {0x7f, 0x9f}, {0xad, 0xad}, {0x600, 0x605}, {0x61c, 0x61c}, {0x6dd, 0x6dd}, {0x70f, 0x70f},
		{0x180e, 0x180e}, {0x200b, 0x200f}, {0x202a, 0x202e}, {0x2060, 0x2064}, {0x2066, 0x206f}, {0xe000, 0xf8ff}, {0xfeff, 0xfeff},
		{0xfff9, 0xfffb}, {0x110bd, 0x110bd}, {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0001, 0xe0001}, {0xe0020, 0xe007f}, {0xf0000,
		0xffffd}, {0x100000, 0x10fffd}
	};
	uint32_t c, bad = 0;
	size_t i;

	for (c = 0; c < 0x110000; c++) {
		for (i = 0; i < sizeof range / sizeof *range && c > range[i][1]; i++)
			;
		bad += c != 9 && c != 10 && c != 13 && (c < 0xd800 || c > 0xdfff)
			&& ((pm_uc_old(c) & PM_UC_CONTROL) != 0) != (i < sizeof range / sizeof *range && c >= range[i][0]);
	}
	check(!bad, "the controls that Bert's normalizer removes: %u differ", bad);
}

int main(void)
{
	static const struct { const char *name; bool nfc; } published[] = {
		{"gpt2", false}, {"llama3_1", false}, {"qwen3", true}, {"gptoss", false}, {"deepseek_v3", false}, {"gemma3", false},
	};
	const char *dir = golden_dir();
	struct pm_tokenizer *t;
	char path[4096], *s = small("", "");

	controls();
	if (check(pm_tokens_read(&t, s, strlen(s), "small", &err) == 0, "the small tokenizer opens")) {
		small_cases(t);
		round_trips(t, "small", false, 1);
		long_pieces(t, "small");
		threads(t);
		pm_tokenizer_close(t);
	}
	affixes();
	all_groups(dir);
	refused();
	for (size_t i = 0; dir && i < sizeof published / sizeof *published; i++) {
		snprintf(path, sizeof path, "%s/data/tokenizers/%s", dir, published[i].name);
		if (!check(pm_tokenizer_open(&t, path, &err) == 0, "%s opens", published[i].name))
			continue;
		round_trips(t, published[i].name, published[i].nfc, 2);
		long_pieces(t, published[i].name);
		pm_tokenizer_close(t);
	}
	if (!dir)
		skip("golden data is not there");
	return done();
}
