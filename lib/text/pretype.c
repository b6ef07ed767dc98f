#include "text/pretype.h"

#include <string.h>

#include "base/mem.h"

#define GPT2 "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define SUFFIX "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define LETTERS "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define SIGNS " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
#define SIGNS_SLASH " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*"
#define BLANKS "\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define LLAMA3 SUFFIX "|" LETTERS "|\\p{N}{1,3}|" SIGNS "|" BLANKS
#define QWEN2 SUFFIX "|" LETTERS "|\\p{N}|" SIGNS "|" BLANKS
#define QWEN35 SUFFIX "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|" BLANKS
#define UPPER "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define CASED(end) "[^\\r\\n\\p{L}\\p{N}]?" UPPER "*" LOWER "+" end "|[^\\r\\n\\p{L}\\p{N}]?" UPPER "+" LOWER "*" end
#define O200K CASED(SUFFIX "?") "|\\p{N}{1,3}|" SIGNS_SLASH "|" BLANKS
#define TEKKEN CASED("") "|\\p{N}|" SIGNS_SLASH "|" BLANKS
#define NO_HAN(set) "(?:(?!\\p{Han})" set ")"
#define KIMI "[\\p{Han}]+|[^\\r\\n\\p{L}\\p{N}]?" NO_HAN(UPPER) "*" NO_HAN(LOWER) "+" SUFFIX "?|[^\\r\\n\\p{L}\\p{N}]?" NO_HAN(UPPER) "+" \
	NO_HAN(LOWER) "*" SUFFIX "?|\\p{N}{1,3}|" SIGNS "|" BLANKS
#define HAN_KANA "[一-龥぀-ゟ゠-ヿ]+"
#define DEEPSEEK3 "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|" BLANKS_RAW
#define BLANKS_RAW "\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
#define DEEPSEEK_LETTERS "\\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-ὅὈ-Ὅὐ-ὗὙὛὝὟ-\u1f7d" "ᾀ-ᾴᾶ-ᾼ\u1fbe" \
	"ῂ-ῄῆ-ῌῐ-\u1fd3" "ῖ-\u1fdbῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\u2126ℨ\u212a-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"
#define DEEPSEEK_SIGNS "\\s?[!-/:-~！-／：-～‘-‟\u3000-。]+"
#define DEEPSEEK_HAN "[一-龥ࠀ-一가-\ud7ff]+"
#define BLOOM " ?[^(\\s|.,!?…。，、।۔،)]+"
#define BAILING "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"
#define SEED SUFFIX "|[^\r\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\r\n]+|" BLANKS_RAW
#define EXAONE_MOE SUFFIX "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"

/* Of several that split alike, the first is the one that is written. */
static const struct pm_pretype types[] = {
	{.name = "llama-bpe", .split = {LLAMA3}, .ignore_merges = true, .bos = true},
	{.name = "qwen2", .split = {QWEN2}, .nfc = true},
	{.name = "stablelm2", .split = {QWEN2}},
	{.name = "gpt-2", .split = {GPT2}},
	{.name = "mpt", .split = {GPT2}, .nfc = true},
	{.name = "gpt-4o", .split = {O200K}},
	{.name = "tekken", .split = {TEKKEN}, .ignore_merges = true, .bos = true},
	{.name = "qwen35", .split = {QWEN35}, .nfc = true},
	{.name = "deepseek-v3", .split = {"\\p{N}{1,3}", HAN_KANA, DEEPSEEK3}},
	{.name = "deepseek-llm", .split = {"[\r\n]", DEEPSEEK_LETTERS, DEEPSEEK_SIGNS, "\\s+$", DEEPSEEK_HAN, "@digits"}},
	{.name = "deepseek-coder", .split = {"[\r\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", DEEPSEEK_HAN, "@digit"}},
	/* tokenizer.json has the digits taken apart after spelling bytes as characters, which does nothing but to split some characters' bytes */
	{.name = "falcon", .split = {"@punctuation", GPT2, "[0-9][0-9][0-9]"}},
	{.name = "falcon", .split = {"@punctuation", GPT2, "@digits", "[0-9][0-9][0-9]"}},
	{.name = "starcoder", .split = {"@digit", GPT2}},
	{.name = "command-r", .split = {"@digit", GPT2}, .nfc = true},
	{.name = "dbrx", .split = {LLAMA3}},
	{.name = "kimi-k2", .split = {KIMI}},
	{.name = "minicpm5", .split = {"\\p{N}{1,3}", SUFFIX "|" LETTERS "|\\p{N}+|" SIGNS "|" BLANKS}, .ignore_merges = true},
	{.name = "bailingmoe", .split = {BAILING}},
	{.name = "seed-coder", .split = {SEED}},
	{.name = "exaone-moe", .split = {EXAONE_MOE}},
	{.name = "superbpe", .split = {"\\p{N}+", "(?=(\\d{3})+(?!\\d))"}},
	{.name = "tiny_aya", .split = {"\\d{1,3}(?=(?:\\d{3})*\\b)", O200K}},
	{.name = "bloom", .split = {BLOOM}},
	{.name = "viking", .split = {BLOOM, "\\p{N}"}},
	{.name = "laguna", .split = {"[^\\n]+|[\\n]+", QWEN2}},
	{.name = "gemma4", .split = {"[^\\n]+|[\\n]+"}, .bos = true, .spaces = true},
	{.name = "default", .split = {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "@digits", "[0-9][0-9][0-9]"}},
};

static const char *const alike[][2] = {
	{"llama3", "llama-bpe"}, {"llama-v3", "llama-bpe"}, {"falcon3", "llama-bpe"}, {"falcon-h1", "llama-bpe"}, {"pixtral", "llama-bpe"},
	{"midm-2.0", "llama-bpe"}, {"lfm2", "llama-bpe"}, {"jina-v5-nano", "llama-bpe"}, {"deepseek-r1-qwen", "qwen2"}, {"kormo", "qwen2"},
	{"f2llmv2", "qwen2"}, {"megrez", "qwen2"}, {"hunyuan", "stablelm2"}, {"solar-open", "stablelm2"}, {"grok-2", "stablelm2"},
	{"phi-2", "gpt-2"}, {"olmo", "mpt"}, {"jais", "gpt-2"}, {"trillion", "gpt-2"}, {"granite-docling", "gpt-2"},
	{"exaone4", "gpt-2"}, {"gigachat", "gpt-2"}, {"a.x-4.0", "gpt-2"}, {"mellum", "gpt-2"}, {"modern-bert", "gpt-2"}, {"jina-es", "gpt-2"},
	{"jina-de", "gpt-2"}, {"jina-v2-es", "gpt-2"}, {"jina-v2-de", "gpt-2"}, {"llama4", "gpt-4o"}, {"kanana2", "gpt-4o"}, {"talkie", "gpt-4o"},
	{"minimax-m2", "gpt-4o"}, {"hunyuan-dense", "deepseek-v3"}, {"joyai-llm", "deepseek-v3"}, {"hy_v4", "deepseek-v3"}, 
	{"refact", "starcoder"}, {"smollm", "starcoder"}, {"codeshell", "starcoder"}, {"exaone", "starcoder"}, {"minerva-7b", "starcoder"},
	{"mellum2", "starcoder"}, {"smaug-bpe", "dbrx"}, {"chatglm-bpe", "dbrx"}, {"glm4", "dbrx"}, {"bailingmoe2", "bailingmoe"},
	{"llada-moe", "bailingmoe"}, {"cohere2moe", "tiny_aya"}, {"poro-chat", "bloom"}, {"gpt3-finnish", "bloom"},
};

const struct pm_pretype *pm_pretype_named(const char *name, size_t n)
{
	for (size_t i = 0; i < sizeof alike / sizeof *alike; i++)
		if (strlen(alike[i][0]) == n && memcmp(alike[i][0], name, n) == 0) {
			name = alike[i][1];
			n = strlen(name);
			break;
		}
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strlen(types[i].name) == n && memcmp(types[i].name, name, n) == 0)
			return types + i;
	return NULL;
}

/* One part of a pre_tokenizer as an entry of split[]; NULL: none says what it does. *bytes: it is ByteLevel. */
static const char *split_of(const json_t *o, bool *bytes)
{
	const char *type = json_string_value(json_object_get(o, "type")), *how = json_string_value(json_object_get(o, "behavior"));
	const json_t *pattern = json_object_get(o, "pattern");
	bool invert = json_is_true(json_object_get(o, "invert"));

	*bytes = false;
	if (!type)
		return NULL;
	if (strcmp(type, "ByteLevel") == 0) {
		*bytes = true;
		return json_is_true(json_object_get(o, "add_prefix_space")) ? NULL : json_is_false(json_object_get(o, "use_regex")) ? "" : GPT2;
	}
	if (strcmp(type, "Split") == 0 && how && (strcmp(how, "Isolated") == 0 ? !invert : strcmp(how, "Removed") == 0 && invert))
		return json_string_value(json_object_get(pattern, "Regex"));
	if (strcmp(type, "Punctuation") == 0 && how && strcmp(how, "Contiguous") == 0)
		return "@punctuation";
	if (strcmp(type, "Digits") == 0)
		return json_is_true(json_object_get(o, "individual_digits")) ? "@digit" : "@digits";
	return NULL;
}

/* Other ways to write the same. */
static const char *canonical(const char *split)
{
	static const char *const same[][2] = {
		{"\\p{N}", "@digit"}, {"\\p{N}+", "@digits"}, {"(?:'s|'t|'re|'ve|'m|'ll|'d)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", GPT2},
		{"'(?:[sdmt]|ll|ve|re)| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", GPT2},
		{SUFFIX "|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,1}|" SIGNS "|" BLANKS, QWEN2},
		{"'(?i:[sdmt]|ll|ve|re)|" LETTERS "|\\p{N}{1,3}|" SIGNS "|" BLANKS, LLAMA3},
		{"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|" LETTERS "|\\p{N}{1,3}|" SIGNS "|" BLANKS, LLAMA3},
		{SUFFIX "|" LETTERS "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s", LLAMA3},
	};

	for (size_t i = 0; i < sizeof same / sizeof *same; i++)
		if (strcmp(split, same[i][0]) == 0)
			return same[i][1];
	return split;
}

static bool equal(const struct pm_pretype *t, const char *const *split, size_t n)
{
	for (size_t i = 0; i < PM_PRETYPE_SPLITS; i++)
		if (i < n ? !t->split[i] || strcmp(canonical(t->split[i]), canonical(split[i])) != 0 : t->split[i] != NULL)
			return false;
	return true;
}

/* How well it goes with what else the tokenizer does. */
static int fit(const struct pm_pretype *t, bool ignore_merges, bool nfc)
{
	return 2 * (t->ignore_merges == ignore_merges) + (t->nfc == nfc);
}

int pm_pretype_of(const struct pm_pretype **out, const json_t *o, bool ignore_merges, bool nfc, struct pm_err *e)
{
	const json_t *list = json_object_get(o, "pretokenizers");
	const char *split[PM_PRETYPE_SPLITS] = {NULL}, *s = NULL;
	size_t n = 0, parts = list ? json_array_size(list) : 1;
	bool bytes = false;

	*out = NULL;
	for (size_t i = 0; i < parts; i++) {
		s = split_of(list ? json_array_get(list, i) : o, &bytes);
		if (!s || n == PM_PRETYPE_SPLITS)
			break;
		if (*s)
			split[n++] = s;
	}
	if (s && n < PM_PRETYPE_SPLITS) {
		for (size_t i = 0; i < sizeof types / sizeof *types; i++)
			if (!types[i].spaces && equal(types + i, split, n)
				&& (!*out || fit(types + i, ignore_merges, nfc) > fit(*out, ignore_merges, nfc)))
				*out = types + i;
	}
	if (*out)
		return 0;
	return s && n ? pm_fail(e, PM_DATA, "no value of tokenizer.ggml.pre stands for what its pre_tokenizer splits by: '%.800s'", split[n - 1]) :
		pm_fail(e, PM_DATA, "no value of tokenizer.ggml.pre stands for its pre_tokenizer");
}
