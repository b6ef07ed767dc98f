/* Tokenizers in GGUF files: the ids of llama.cpp's own vectors and of the models of the collection, what a directory becomes against what
 * llama.cpp's converter made of it, and the way back to tokenizer.json. */
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "tap.h"
#include "text/tokens.h"
#include "text/vocab_gguf.h"

static struct pm_err err;
static char dir[] = "/tmp/pm-vocab-XXXXXX";

static bool gives(const struct pm_tokenizer *t, const char *text, size_t n, const json_t *want, const struct pm_encode_opts *o)
{
	struct pm_encoding enc = {0};
	bool ok = pm_tokenizer_encode(t, text, n, o, &enc, &err) == 0 && enc.n == json_array_size(want);

	for (size_t i = 0; ok && i < enc.n; i++)
		ok = enc.ids[i] == json_integer_value(json_array_get(want, i));
	if (!ok) {
		printf("# %.100s: got", text);
		for (size_t i = 0; i < enc.n && i < 40; i++)
			printf(" %d", enc.ids[i]);
		printf(" %s\n", err.text);
	}
	pm_encoding_free(&enc);
	return ok;
}

/* llama.cpp's vectors: texts in one file, a line of ids for each in another. */
static void vectors(const char *name)
{
	static const char between[] = "\n__ggml_vocab_test__\n";
	static const struct pm_encode_opts plain = {0};
	struct pm_tokenizer *t;
	struct pm_str in = {0}, out = {0};
	char path[512], *text, *end, *line, *newline;
	size_t right = 0, n = 0;

	snprintf(path, sizeof path, "data/llama.cpp/vocab/ggml-vocab-%s.gguf", name);
	if (!check(golden_path(path) && pm_tokenizer_open(&t, golden_path(path), &err) == 0, "%s opens", name)) {
		printf("# %s\n", err.text);
		return;
	}
	strcat(path, ".inp");
	check(pm_read_file(&in, golden_path(path), &err) == 0, "%s: texts", name);
	memcpy(path + strlen(path) - 3, "out", 3);
	check(pm_read_file(&out, golden_path(path), &err) == 0, "%s: ids", name);
	for (text = in.data, line = out.data; text && line && *line; text = end + sizeof between - 1, line = newline + 1, n++) {
		json_t *want = json_array();
		char *p, *q;

		end = strstr(text, between);
		newline = strchr(line, '\n');
		if (!end || !newline) {
			json_decref(want);
			break;
		}
		*newline = 0;
		for (p = line; strtol(p, &q, 10), q != p; p = q)
			json_array_append_new(want, json_integer(strtol(p, NULL, 10)));
		right += gives(t, text, (size_t)(end - text), want, &plain);
		json_decref(want);
	}
	check(n > 40 && right == n, "%s: llama.cpp's vectors: %zu of %zu", name, right, n);
	pm_str_free(&in);
	pm_str_free(&out);
	pm_tokenizer_close(t);
}

/* The texts of a model's golden.json; published: against what tokenizer.json gives, where the two differ. */
static void texts(const char *name, const char *how, const struct pm_tokenizer *t, const json_t *golden, bool published)
{
	static const struct pm_encode_opts with = {.add_special = true, .parse_special = true}, plain = {0};
	const json_t *list = json_object_get(golden, "tokenize"), *row, *want;
	size_t right = 0, n = json_array_size(list);

	for (size_t i = 0; i < n; i++) {
		const char *s;

		row = json_array_get(list, i);
		s = json_string_value(json_object_get(row, "text"));
		want = published ? json_object_get(row, "tokenizer_json") : NULL;
		right += gives(t, s, strlen(s), want ? want : json_object_get(row, "llama_cpp"), &with)
			&& gives(t, s, strlen(s), want ? want : json_object_get(row, "llama_cpp_plain"), &plain);
	}
	check(n == 25 && right == n, "%s: %s: %zu of %zu texts", name, how, right, n);
}

static bool same_text(const struct pm_ggml_text *a, const struct pm_ggml_text *b)
{
	return (!a->s && !b->s) || (a->s && b->s && a->n == b->n && memcmp(a->s, b->s, a->n) == 0);
}

/* What we make of the directory, and what llama.cpp's converter made of it. */
static void same_vocab(const char *name, const struct pm_ggml_vocab *a, const struct pm_ggml_vocab *b)
{
	size_t wrong = 0;
	char *x = json_dumps(a->keys, JSON_COMPACT), *y = json_dumps(b->keys, JSON_COMPACT);

	check(strcmp(a->model, b->model) == 0 && strcmp(a->pre, b->pre) == 0 && a->n == b->n, "%s: %s %s, %zu tokens; wanted %s %s, %zu", name, a->model,
		a->pre, a->n, b->model, b->pre, b->n);
	for (size_t i = 0; i < a->n && i < b->n; i++) {
		bool ok = same_text(a->token + i, b->token + i) && a->type[i] == b->type[i] && !a->score == !b->score
			&& (!a->score || a->score[i] == b->score[i]);

		if (!ok && wrong++ < 5)
			printf("# %zu: '%s' type %d score %g, wanted '%s' %d %g\n", i, a->token[i].s, a->type[i], a->score ? (double)a->score[i] : 0,
				b->token[i].s, b->type[i], b->score ? (double)b->score[i] : 0);
	}
	check(!wrong, "%s: tokens, types and scores: %zu differ", name, wrong);
	for (size_t i = wrong = 0; i < a->merges && i < b->merges; i++)
		wrong += !same_text(a->merge + i, b->merge + i);
	check(!wrong && a->merges == b->merges, "%s: %zu merges, %zu differ", name, a->merges, wrong);
	check(strcmp(x, y) == 0, "%s: keys %s, wanted %s", name, x, y);
	check(same_text(&a->chat_template, &b->chat_template), "%s: the chat template", name);
	free(x);
	free(y);
}

/* Written and read again, a vocabulary is the same. */
static void written(const char *name, const struct pm_ggml_vocab *v)
{
	struct pm_gguf_writer *w;
	struct pm_ggml_vocab *again = NULL;
	struct pm_gguf *g = NULL;
	char path[4096];

	snprintf(path, sizeof path, "%s/v.gguf", dir);
	check(pm_gguf_begin(&w, path, 0, &err) == 0 && pm_ggml_vocab_put(v, w, &err) == 0 && pm_gguf_end(w, &err) == 0
		&& pm_gguf_open(&g, path, &err) == 0 && pm_ggml_vocab_of_gguf(&again, g, &err) == 0, "%s: written and read", name);
	if (again)
		same_vocab("again", again, v);
	pm_ggml_vocab_free(again);
	pm_gguf_close(g);
}

static void model(const char *name, const char *file)
{
	struct pm_ggml_vocab *from_dir = NULL, *from_gguf = NULL;
	struct pm_str json = {0}, config = {0};
	struct pm_tokenizer *t = NULL;
	struct pm_gguf *g = NULL;
	char path[512];
	json_t *golden;

	snprintf(path, sizeof path, "fixtures/quant/models/%s/golden.json", name);
	golden = pm_json_file(golden_path(path), &err);
	snprintf(path, sizeof path, "fixtures/quant/models/%s/%s", name, file);
	if (!check(pm_gguf_open(&g, golden_path(path), &err) == 0 && pm_ggml_vocab_of_gguf(&from_gguf, g, &err) == 0, "%s: the keys are read", name))
		printf("# %s\n", err.text);
	snprintf(path, sizeof path, "fixtures/quant/models/%s/hf", name);
	if (!check(pm_ggml_vocab_of_dir(&from_dir, golden_path(path), from_gguf ? from_gguf->n : 0, &err) == 0, "%s: the directory is read", name))
		printf("# %s\n", err.text);
	if (from_gguf && from_dir) {
		same_vocab(name, from_dir, from_gguf);
		written(name, from_dir);
	}
	if (check(g && pm_tokenizer_open_gguf(&t, g, &err) == 0, "%s: opens", name))
		texts(name, "GGUF", t, golden, false);
	else
		printf("# %s\n", err.text);
	pm_tokenizer_close(t);
	t = NULL;
	if (from_gguf && check(pm_ggml_vocab_files(from_gguf, &json, &config, &err) == 0
		&& pm_tokens_read(&t, json.data, json.len, "tokenizer.json", &err) == 0, "%s: back to tokenizer.json", name))
		texts(name, "tokenizer.json", t, golden, true);
	else
		printf("# %s\n", err.text);
	pm_tokenizer_close(t);
	pm_str_free(&json);
	pm_str_free(&config);
	pm_ggml_vocab_free(from_dir);
	pm_ggml_vocab_free(from_gguf);
	pm_gguf_close(g);
	json_decref(golden);
}

/* Published tokenizers as GGUF, opened again: what tokenizer.json gives, but for `but` rows that spell what GGUF cannot tell: special tokens
 * that are looked for after normalizing (Llama 2), and U+2581 where spaces are meant (Gemma). */
static void published(const char *name, const char *pre, size_t but)
{
	static const struct pm_encode_opts plain = {.parse_special = true};
	struct pm_ggml_vocab *v = NULL;
	struct pm_tokenizer *t = NULL;
	struct pm_gguf_writer *w;
	struct pm_str all = {0};
	size_t right = 0, n = 0;
	char path[4096], *line, *end;
	json_t *row;

	snprintf(path, sizeof path, "data/tokenizers/%s", name);
	if (!check(pm_ggml_vocab_of_dir(&v, golden_path(path), 0, &err) == 0 && strcmp(v->pre, pre) == 0, "%s: %s %s", name, v ? v->model : "", v ? v->pre : "")) {
		printf("# %s\n", err.text);
		pm_ggml_vocab_free(v);
		return;
	}
	snprintf(path, sizeof path, "%s/p.gguf", dir);
	if (pm_gguf_begin(&w, path, 0, &err) < 0 || pm_ggml_vocab_put(v, w, &err) < 0 || pm_gguf_end(w, &err) < 0 || pm_tokenizer_open(&t, path, &err) < 0)
		printf("# %s\n", err.text);
	pm_ggml_vocab_free(v);
	snprintf(path, sizeof path, "data/tokenizers/%s/golden.jsonl", name);
	if (t && pm_read_file(&all, golden_path(path), &err) < 0)
		printf("# %s\n", err.text);
	for (line = all.data; t && line && *line; line = end + 1) {
		end = strchr(line, '\n');
		row = pm_json_parse(line, (size_t)(end - line), path, &err);
		if (!json_array_size(json_object_get(row, "disputed"))) {
			n++;
			right += gives(t, json_string_value(json_object_get(row, "text")), json_string_length(json_object_get(row, "text")),
				json_object_get(row, "ids_no_special"), &plain);
		}
		json_decref(row);
	}
	check(n > 200 && right + but == n, "%s: through GGUF: %zu of %zu rows", name, right, n);
	pm_str_free(&all);
	pm_tokenizer_close(t);
}

int main(int argc, char **argv)
{
	static const char *const names[] = {"bert-bge", "deepseek-coder", "deepseek-llm", "falcon", "gpt-2", "llama-spm", "mpt", "phi-3", "refact", "starcoder"};
	static const char *const models[][2] = {{"gemma3", "gemma3.bf16.gguf"}, {"gpt2", "gpt2.f32.gguf"}, {"gptoss", "gptoss.bf16.gguf"},
		{"llama", "llama.bf16.gguf"}, {"mixtral", "mixtral.f16.gguf"}, {"qwen2", "qwen2.f16.gguf"}, {"qwen3", "qwen3.f16.gguf"},
		{"qwen3moe", "qwen3moe.bf16.gguf"}, {"stories260K", "stories260K.f32.gguf"}};
	static const char *const others[][3] = {{"gpt2", "gpt-2"}, {"gptoss", "gpt-4o"}, {"llama3_1", "llama-bpe"}, {"llama2", "default", "3"},
		{"mistral_v01", "default"}, {"deepseek_v3", "deepseek-v3"}, {"cl100k_gpt35", "dbrx"}, {"gemma3", "default", "1"}, {"stories260K", "default"}};

	if (!golden_dir()) {
		skip("golden data is not there");
		return done();
	}
	if (!mkdtemp(dir))
		return 74;
	for (size_t i = 0; i < sizeof names / sizeof *names && argc < 2; i++)
		vectors(names[i]);
	for (size_t i = 0; i < sizeof models / sizeof *models; i++)
		if (argc < 2 || strcmp(argv[1], models[i][0]) == 0)
			model(models[i][0], models[i][1]);
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (argc < 2 || strcmp(argv[1], others[i][0]) == 0)
			published(others[i][0], others[i][1], others[i][2] ? strtoul(others[i][2], NULL, 10) : 0);
	pm_remove_tree(dir, &err);
	return done();
}
