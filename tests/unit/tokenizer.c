/* Tokenizers against the golden rows: ids with and without special tokens, special tokens as text, offsets, decoding whole and
 * streamed. One check a tokenizer and question; the first rows that differ are printed. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "tap.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

static struct pm_err err;

enum question { IDS, PLAIN, LITERAL, OFFSETS, DECODE, DECODE_SKIP, STREAM, QUESTIONS };
static const char *const question_names[] = {
	"ids", "ids without special tokens", "special tokens as text", "offsets", "decoding", "decoding without special tokens", "streamed decoding",
};

struct score {
	size_t right[QUESTIONS], wrong[QUESTIONS];
};

static void print_ids(const char *what, const int32_t *ids, const json_t *want, size_t n)
{
	printf("#   %s:", what);
	for (size_t i = 0; i < n && i < 40; i++)
		printf(" %lld", want ? (long long)json_integer_value(json_array_get(want, i)) : (long long)ids[i]);
	putchar('\n');
}

static void judge(struct score *s, enum question q, int right, const char *tok, const char *text)
{
	if (right)
		s->right[q]++;
	else if (s->wrong[q]++ < 3)
		printf("# %s: %s: %.200s\n", tok, question_names[q], text);
}

static int same_ids(const json_t *want, const struct pm_encoding *enc)
{
	if (json_array_size(want) != enc->n)
		return 0;
	for (size_t i = 0; i < enc->n; i++)
		if (json_integer_value(json_array_get(want, i)) != enc->ids[i])
			return 0;
	return 1;
}

static int same_offsets(const json_t *want, const struct pm_encoding *enc, const char *text)
{
	const json_t *p;

	if (json_array_size(want) != enc->n)
		return 0;
	for (size_t i = 0; i < enc->n; i++) {
		p = json_array_get(want, i);
		if (json_integer_value(json_array_get(p, 0)) != (json_int_t)pm_utf8_count(text, enc->from[i])
			|| json_integer_value(json_array_get(p, 1)) != (json_int_t)pm_utf8_count(text, enc->to[i]))
			return 0;
	}
	return 1;
}

static int same_text(const json_t *want, const struct pm_str *s)
{
	return json_string_length(want) == s->len && memcmp(json_string_value(want), s->data, s->len) == 0;
}

static void encode(struct score *s, enum question q, const struct pm_tokenizer *t, const json_t *row, const char *key, const char *tok,
	struct pm_encode_opts o)
{
	const json_t *text = json_object_get(row, "text"), *want = json_object_get(row, key), *offsets = json_object_get(row, "offsets");
	struct pm_encoding enc = {0};
	int ok;

	if (pm_tokenizer_encode(t, json_string_value(text), json_string_length(text), &o, &enc, &err) < 0) {
		printf("# %s: %s\n", tok, err.text);
		judge(s, q, 0, tok, json_string_value(text));
		return;
	}
	ok = same_ids(want, &enc);
	judge(s, q, ok, tok, json_string_value(text));
	if (!ok && s->wrong[q] < 4) {
		print_ids("want", NULL, want, json_array_size(want));
		print_ids("got ", enc.ids, NULL, enc.n);
	}
	if (offsets && ok && json_array_size(offsets) == enc.n && (q == IDS || q == PLAIN)) {
		ok = same_offsets(offsets, &enc, json_string_value(text));
		judge(s, OFFSETS, ok, tok, json_string_value(text));
		for (size_t i = 0; !ok && s->wrong[OFFSETS] < 4 && i < enc.n; i++)
			printf("#   %d: %zu %zu, want %lld %lld\n", enc.ids[i], pm_utf8_count(json_string_value(text), enc.from[i]),
				pm_utf8_count(json_string_value(text), enc.to[i]),
				(long long)json_integer_value(json_array_get(json_array_get(offsets, i), 0)),
				(long long)json_integer_value(json_array_get(json_array_get(offsets, i), 1)));
	}
	pm_encoding_free(&enc);
}

/* Pieces must be whole characters, and joined equal the decoding at once. */
static int streams(const struct pm_tokenizer *t, const int32_t *ids, size_t n, const struct pm_str *whole)
{
	struct pm_detok *d;
	struct pm_str s = {0};
	int ok = pm_detok_new(&d, t, false, &err) == 0;

	for (size_t i = 0; ok && i < n; i++) {
		ok = pm_detok_put(d, ids[i], &s, &err) == 0;
		ok = ok && pm_utf8_valid(s.data, s.len) == s.len;
	}
	ok = ok && pm_detok_end(d, &s, &err) == 0 && s.len == whole->len && (!s.len || memcmp(s.data, whole->data, s.len) == 0);
	pm_detok_free(d);
	pm_str_free(&s);
	return ok;
}

static int32_t *row_ids(const json_t *row, const char *key, size_t *n)
{
	const json_t *a = json_object_get(row, key);
	int32_t *ids;

	*n = json_array_size(a);
	ids = calloc(*n + 1, sizeof *ids);
	for (size_t i = 0; i < *n; i++)
		ids[i] = (int32_t)json_integer_value(json_array_get(a, i));
	return ids;
}

static void decode(struct score *s, const struct pm_tokenizer *t, const json_t *row, const char *tok)
{
	const json_t *want = json_object_get(row, "decoded"), *skip = json_object_get(row, "decoded_skip_special");
	size_t n;
	int32_t *ids = row_ids(row, "ids_no_special", &n);
	struct pm_str out = {0};

	if (pm_tokenizer_decode(t, ids, n, false, &out, &err) < 0)
		printf("# %s: %s\n", tok, err.text);
	judge(s, DECODE, same_text(want, &out), tok, json_string_value(want));
	if (!same_text(want, &out) && s->wrong[DECODE] < 4)
		printf("#   got %s\n", out.data);
	judge(s, STREAM, streams(t, ids, n, &out), tok, json_string_value(want));
	pm_str_clear(&out);
	free(ids);
	ids = row_ids(row, "ids", &n);
	if (pm_tokenizer_decode(t, ids, n, true, &out, &err) < 0)
		printf("# %s: %s\n", tok, err.text);
	judge(s, DECODE_SKIP, same_text(skip ? skip : want, &out), tok, json_string_value(skip ? skip : want));
	pm_str_free(&out);
	free(ids);
}


/* Scores the rows of a file: all, or those whose member "tok" is `only`. */
static void rows(struct score *s, const struct pm_tokenizer *t, const char *path, const char *tok, const char *only)
{
	static const struct pm_encode_opts with = {.add_special = true, .parse_special = true}, without = {.parse_special = true}, text = {0};
	struct pm_str all = {0};
	const char *name;
	char *line, *end;
	json_t *row;

	if (pm_read_file(&all, path, &err) < 0)
		printf("# %s\n", err.text);
	for (line = all.data; line && *line; line = end + 1) {
		end = strchr(line, '\n');
		row = pm_json_parse(line, (size_t)(end - line), path, &err);
		name = json_string_value(json_object_get(row, "tok"));
		if ((!only || strcmp(name, only) == 0) && json_is_string(json_object_get(row, "text")) && !json_object_get(row, "pair")) {
			encode(s, IDS, t, row, "ids", tok, with);
			encode(s, PLAIN, t, row, "ids_no_special", tok, without);
			if (!only)
				encode(s, LITERAL, t, row, json_object_get(row, "ids_special_as_text") ? "ids_special_as_text" : "ids_no_special",
					tok, text);
			decode(s, t, row, tok);
		}
		json_decref(row);
	}
	pm_str_free(&all);
}

static bool same_pair(const struct pm_tokenizer *t, const json_t *row)
{
	const json_t *a = json_object_get(row, "a"), *b = json_object_get(row, "b"), *types = json_object_get(row, "type_ids");
	static const struct pm_encode_opts o = {.add_special = true, .parse_special = true};
	struct pm_encoding enc = {0};
	bool ok = pm_tokenizer_encode_pair(t, json_string_value(a), json_string_length(a), json_string_value(b), json_string_length(b), &o,
		&enc, &err) == 0 && same_ids(json_object_get(row, "ids"), &enc);

	for (size_t i = 0; ok && i < enc.n; i++)
		ok = json_integer_value(json_array_get(types, i)) == enc.types[i];
	if (!ok)
		printf("# '%s' and '%s': %zu ids %s\n", json_string_value(a), json_string_value(b), enc.n, err.text);
	pm_encoding_free(&enc);
	return ok;
}

/* pairs.jsonl: two texts as one. */
static void pairs(const struct pm_tokenizer *t, const char *path, const char *tok)
{
	struct pm_str all = {0};
	size_t right = 0, n = 0;
	char *line, *end;
	json_t *row;

	if (!pm_exists(path))
		return;
	if (pm_read_file(&all, path, &err) < 0)
		printf("# %s\n", err.text);
	for (line = all.data; line && *line; line = end + 1, n++) {
		end = strchr(line, '\n');
		row = pm_json_parse(line, (size_t)(end - line), path, &err);
		right += same_pair(t, row);
		json_decref(row);
	}
	check(n > 1 && right == n, "%s: pairs: %zu of %zu rows", tok, right, n);
	pm_str_free(&all);
}

/* With truncation and padding: ids, types, the mask, and what was cut off. */
static bool same_limits(const struct pm_tokenizer *t, const json_t *row)
{
	const json_t *a = json_object_get(row, "text"), *b = json_object_get(row, "pair"), *mask = json_object_get(row, "attention_mask");
	const json_t *types = json_object_get(row, "type_ids"), *rest = json_object_get(row, "overflow");
	struct pm_encode_opts o = {.add_special = true, .parse_special = true, .truncate = true, .pad = true};
	struct pm_encoding enc = {0};
	bool ok = (b ? pm_tokenizer_encode_pair(t, json_string_value(a), json_string_length(a), json_string_value(b), json_string_length(b), &o, &enc,
		&err) : pm_tokenizer_encode(t, json_string_value(a), json_string_length(a), &o, &enc, &err)) == 0;

	ok = ok && same_ids(json_object_get(row, "ids"), &enc) && (!mask || json_array_size(mask) == enc.n);
	for (size_t i = 0; ok && i < enc.n; i++) {
		ok = !mask || json_integer_value(json_array_get(mask, i)) == (i >= enc.pads_before && i < enc.n - enc.pads_behind);
		ok = ok && (!b || json_integer_value(json_array_get(types, i)) == enc.types[i]);
	}
	if (!b && rest)
		ok = ok && enc.windows == json_array_size(rest) + 1;
	for (size_t i = 0, n = ok && !b ? json_array_size(rest) : 0; ok && i < n; i++) {
		enc.n = 0;
		o.window = i + 1;
		ok = pm_tokenizer_encode(t, json_string_value(a), json_string_length(a), &o, &enc, &err) == 0
			&& same_ids(json_array_get(rest, i), &enc);
	}
	if (!ok)
		printf("# %.200s: %zu ids, %zu windows %s\n", json_string_value(a), enc.n, enc.windows, err.text);
	pm_encoding_free(&enc);
	return ok;
}

static void limits(const struct pm_tokenizer *t, const char *path, const char *tok, const char *only)
{
	struct pm_str all = {0};
	size_t right = 0, n = 0;
	char *line, *end;
	json_t *row;

	if (!pm_exists(path))
		return;
	if (pm_read_file(&all, path, &err) < 0)
		printf("# %s\n", err.text);
	for (line = all.data; line && *line; line = end + 1) {
		end = strchr(line, '\n');
		row = pm_json_parse(line, (size_t)(end - line), path, &err);
		if (json_object_get(row, "text") && (!only || strcmp(json_string_value(json_object_get(row, "tok")), only) == 0)) {
			right += same_limits(t, row);
			n++;
		}
		json_decref(row);
	}
	check(n > 3 && right == n, "%s: truncated and padded: %zu of %zu rows", tok, right, n);
	pm_str_free(&all);
}

static void golden(const char *tokenizer, const char *path, const char *tok, const char *only)
{
	struct pm_tokenizer *t;
	struct score s = {{0}, {0}};

	bool limited = only && (strncmp(only, "trunc", 5) == 0 || strncmp(only, "pad", 3) == 0);

	if (!check(pm_tokenizer_open(&t, tokenizer, &err) == 0, "%s opens", tok)) {
		printf("# %s\n", err.text);
		return;
	}
	if (!limited)
		rows(&s, t, path, tok, only);
	for (int q = 0; q < QUESTIONS && !limited; q++)
		if (!only || q != LITERAL)
			check(s.right[q] > 50 && !s.wrong[q], "%s: %s: %zu of %zu rows", tok, question_names[q], s.right[q], s.right[q] + s.wrong[q]);
	if (!only) {
		char file[4096];
		int n = (int)(strrchr(tokenizer, '/') - tokenizer);

		snprintf(file, sizeof file, "%.*s/pairs.jsonl", n, tokenizer);
		pairs(t, file, tok);
		snprintf(file, sizeof file, "%.*s/trunc_pad.jsonl", n, tokenizer);
		limits(t, file, tok, NULL);
	}
	if (only)
		limits(t, path, tok, only);
	pm_tokenizer_close(t);
}

static void tokenizer(const char *dir, const char *name)
{
	char path[4096], file[4096];

	snprintf(path, sizeof path, "%s/data/tokenizers/%s/tokenizer.json", dir, name);
	snprintf(file, sizeof file, "%s/data/tokenizers/%s/golden.jsonl", dir, name);
	golden(path, file, name, NULL);
}

/* Small files with unusual settings. */
static void variant(const char *dir, const char *name)
{
	char path[4096], file[4096];

	snprintf(path, sizeof path, "%s/data/variants/%s.json", dir, name);
	snprintf(file, sizeof file, "%s/data/variants/golden.jsonl", dir);
	golden(path, file, name, name);
}

/* One text of llama.cpp's vectors against its line of ids. */
static bool vector(const struct pm_tokenizer *t, const char *text, size_t n, const char *ids)
{
	static const struct pm_encode_opts o = {0};
	struct pm_encoding enc = {0};
	bool ok = pm_tokenizer_encode(t, text, n, &o, &enc, &err) == 0;
	char *end = (char *)ids;

	for (size_t i = 0; ok && i < enc.n; i++, ids = end)
		ok = strtol(ids, &end, 10) == enc.ids[i] && end != ids;
	ok = ok && !end[strspn(end, " \r")];
	pm_encoding_free(&enc);
	return ok;
}

/* llama.cpp's own test vectors: texts in one file, a line of ids for each in another. */
static void vectors(const char *dir, const char *tok, const char *name)
{
	static const char between[] = "\n__ggml_vocab_test__\n";
	struct pm_tokenizer *t;
	struct pm_str in = {0}, out = {0};
	char path[4096], *text, *end, *line, *newline;
	size_t right = 0, n = 0;

	snprintf(path, sizeof path, "%s/data/tokenizers/%s/tokenizer.json", dir, tok);
	if (pm_tokenizer_open(&t, path, &err) < 0)
		return;
	snprintf(path, sizeof path, "%s/data/llama.cpp/vocab/ggml-vocab-%s.gguf.inp", dir, name);
	check(pm_read_file(&in, path, &err) == 0, "%s", path);
	memcpy(path + strlen(path) - 3, "out", 3);
	check(pm_read_file(&out, path, &err) == 0, "%s", path);
	for (text = in.data, line = out.data; text && line && *line; text = end + sizeof between - 1, line = newline + 1, n++) {
		end = strstr(text, between);
		newline = strchr(line, '\n');
		if (!end || !newline)
			break;
		*newline = 0;
		right += vector(t, text, (size_t)(end - text), line);
	}
	check(n > 40 && right == n, "%s: llama.cpp's %s: %zu of %zu", tok, name, right, n);
	pm_str_free(&in);
	pm_str_free(&out);
	pm_tokenizer_close(t);
}

int main(int argc, char **argv)
{
	static const char *const names[] = {
		"all_minilm", "bert_base_uncased", "chatglm", "cl100k_gpt35", "clip", "cohere", "deepseek_v3", "falcon", "gemma3", "gpt2",
		"gptoss", "llama2", "llama3_1", "mistral_v01", "nmt", "phi2", "phi3", "qwen3", "roberta_base", "stories260K", "t5_small",
		"torchtune_tiny_bpe", "whisper_large_v3",
	}, *const llama_cpp[][2] = {
		{"gpt2", "gpt-2"}, {"llama2", "llama-spm"}, {"phi3", "phi-3"}, {"falcon", "falcon"}, {"llama3_1", "llama-bpe"},
		{"bert_base_uncased", "bert-bge"}, {"qwen3", "qwen2"},
	}, *const variants[] = {
		"added_flags", "added_lower_norm", "bpe_cont_prefix", "bpe_eow_suffix", "bpe_fuse_unk_false_nobyte", "bpe_fuse_unk_true_nobyte",
		"bpe_ignore_merges", "bpe_merges_as_pairs", "bpe_metaspace_always_split", "bpe_metaspace_first", "bpe_metaspace_legacy_fields",
		"bpe_model_type_absent", "bpe_no_unk_nobyte", "pad_fixed_left", "pad_multiple8", "post_sequence", "roberta_processing", "trunc_left", "trunc_right_stride", "unigram_bytefallback", "unigram_nonorm",
		"unigram_t5sub", "wordlevel", "wordpiece_bertprocessing", "wordpiece_cased", "wordpiece_lower_bert", "wordpiece_maxchars10",
	};
	const char *dir = golden_dir();

	if (!dir) {
		skip("golden data is not there");
		return done();
	}
	if (argc > 1) {                 /* some by name, to look into one */
		for (int i = 1; i < argc; i++)
			tokenizer(dir, argv[i]);
		return done();
	}
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		tokenizer(dir, names[i]);
	for (size_t i = 0; i < sizeof variants / sizeof *variants; i++)
		variant(dir, variants[i]);
	for (size_t i = 0; i < sizeof llama_cpp / sizeof *llama_cpp; i++)
		vectors(dir, llama_cpp[i][0], llama_cpp[i][1]);
	return done();
}
