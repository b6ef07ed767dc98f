/* Tokenizers that are no tokenizer.json: SentencePiece models against what SentencePiece gives, tiktoken's ranks against the same vocabulary's
 * golden rows, what tokenizer_config.json changes, and files that are broken. */
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/json.h"
#include "tap.h"
#include "text/base64.h"
#include "text/bytelevel.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

static struct pm_err err;
static char dir[] = "/tmp/pm-sources-XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[8][4096];
	static int turn;

	turn = (turn + 1) % 8;
	snprintf(path[turn], sizeof path[turn], "%s/%s", dir, name);
	return path[turn];
}

static void write_file(const char *path, const void *bytes, size_t n)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(bytes, 1, n, f) != n || fclose(f) != 0)
		exit(74);
}

static bool gives(const struct pm_tokenizer *t, const json_t *text, const json_t *want, const struct pm_encode_opts *o)
{
	struct pm_encoding enc = {0};
	bool ok = pm_tokenizer_encode(t, json_string_value(text), json_string_length(text), o, &enc, &err) == 0 && enc.n == json_array_size(want);

	for (size_t i = 0; ok && i < enc.n; i++)
		ok = enc.ids[i] == json_integer_value(json_array_get(want, i)) && enc.from[i] <= enc.to[i]
			&& enc.to[i] <= json_string_length(text) && (!i || enc.from[i] >= enc.from[i - 1]);
	if (!ok) {
		printf("# %.100s: got", json_string_value(text));
		for (size_t i = 0; i < enc.n && i < 40; i++)
			printf(" %d [%zu %zu]", enc.ids[i], enc.from[i], enc.to[i]);
		printf(" %s\n", err.text);
	}
	pm_encoding_free(&enc);
	return ok;
}

/* Calls each with every row of a file of JSON lines. */
static size_t rows(const char *path, bool (*each)(const json_t *row, void *arg), void *arg, size_t *right)
{
	struct pm_str all = {0};
	size_t n = 0;
	char *line, *end;
	json_t *row;

	*right = 0;
	if (!path || pm_read_file(&all, path, &err) < 0)
		return 0;
	for (line = all.data; line && *line && (end = strchr(line, '\n')); line = end + 1, n++) {
		row = pm_json_parse(line, (size_t)(end - line), path, &err);
		*right += each(row, arg);
		json_decref(row);
	}
	pm_str_free(&all);
	return n;
}

struct pieces {
	char name[512];
	struct pm_tokenizer *t;
	size_t models, absent;
};

static bool same_pieces(const json_t *row, void *arg)
{
	static const struct pm_encode_opts plain = {0};
	const char *name = json_string_value(json_object_get(row, "model")), *path;
	struct pieces *p = arg;
	char own[1024];

	if (strcmp(name, p->name) != 0) {
		pm_tokenizer_close(p->t);
		p->t = NULL;
		snprintf(p->name, sizeof p->name, "%s", name);
		snprintf(own, sizeof own, "tests/%s", name);
		path = strncmp(name, "golden/", 7) == 0 ? own : golden_path(name);
		p->absent += !path;
		p->models++;
		if (path && pm_tokenizer_open(&p->t, path, &err) < 0)
			printf("# %s\n", err.text);
	}
	if (!p->t)
		return p->absent > 0 && !golden_dir();
	return gives(p->t, json_object_get(row, "text"), json_object_get(row, "ids"), &plain);
}

static void sentencepiece(void)
{
	struct pieces p = {.name = ""};
	size_t right, n = rows("tests/golden/sentencepiece/golden.jsonl", same_pieces, &p, &right);

	pm_tokenizer_close(p.t);
	check(n > 300 && p.models == 10 && right == n, "SentencePiece models: %zu of %zu rows, %zu models (%zu not there)", right, n, p.models, p.absent);
}

/* Rows of a tokenizer.json whose vocabulary the file has, but for those with tokens that only tokenizer.json adds. */
struct golden {
	struct pm_tokenizer *t;
	size_t passed;
};

static bool same_row(const json_t *row, void *arg)
{
	static const struct pm_encode_opts plain = {0};
	const json_t *want = json_object_get(row, "ids_special_as_text");
	struct golden *g = arg;

	want = want ? want : json_object_get(row, "ids_no_special");
	if (json_object_get(row, "disputed") && json_array_size(json_object_get(row, "disputed")))
		return true;
	for (size_t i = 0; i < json_array_size(want); i++)
		if (!pm_tokenizer_token(g->t, (int32_t)json_integer_value(json_array_get(want, i)))) {
			g->passed++;
			return true;
		}
	return gives(g->t, json_object_get(row, "text"), want, &plain);
}

static void same_as(const char *path, const char *name)
{
	struct golden g = {0};
	char file[512];
	size_t right, n;

	snprintf(file, sizeof file, "data/tokenizers/%s/golden.jsonl", name);
	if (!check(path && pm_tokenizer_open(&g.t, path, &err) == 0, "%s: opens", name)) {
		printf("# %s\n", err.text);
		return;
	}
	n = rows(golden_path(file), same_row, &g, &right);
	check(n > 200 && right == n && g.passed < 15, "%s: as its tokenizer.json: %zu of %zu rows (%zu with tokens of another kind)", name, right, n,
		g.passed);
	pm_tokenizer_close(g.t);
}

/* The ranks of a byte-level vocabulary's first n ids as tiktoken has them. */
static const char *ranks_of(const char *name, size_t n)
{
	struct pm_str all = {0}, token = {0};
	char path[512], *file;
	const char *s, *key;
	json_t *o, *id;
	size_t k;

	snprintf(path, sizeof path, "data/tokenizers/%s/tokenizer.json", name);
	o = pm_json_file(golden_path(path), &err);
	json_object_foreach(json_object_get(json_object_get(o, "model"), "vocab"), key, id) {
		if ((size_t)json_integer_value(id) >= n)
			continue;
		pm_str_clear(&token);
		for (s = key; *s; s += k) {
			char c = (char)pm_bytelevel_byte(pm_utf8_get(s, &k));

			pm_str_put(&token, &c, 1, &err);
		}
		pm_base64_text(&all, token.data, token.len, &err);
		pm_str_printf(&all, &err, " %lld\n", (long long)json_integer_value(id));
	}
	json_decref(o);
	file = (char *)in_dir("ranks");
	write_file(file, all.data, all.len);
	pm_str_free(&all);
	pm_str_free(&token);
	return file;
}

static void ranks(void)
{
	static const struct { const char *name; size_t n; } known[] = {
		{"gpt2", 50256}, {"cl100k_gpt35", 100256}, {"gptoss", 199998}, {"llama3_1", 128000}, {"qwen3", 151643},
	};
	static const struct pm_encode_opts special = {.add_special = true, .parse_special = true};
	struct pm_tokenizer *t;
	json_t *text = json_string("<|eot_id|>a"), *want = json_pack("[i,i,i]", 128000, 128009, 64);

	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		same_as(ranks_of(known[i].name, known[i].n), known[i].name);
	check(pm_tokenizer_open(&t, ranks_of("llama3_1", 128000), &err) == 0 && gives(t, text, want, &special)
		&& pm_tokenizer_bos(t) == 128000 && pm_tokenizer_id(t, "<|reserved_special_token_0|>") == 128002, "Llama 3's special tokens");
	pm_tokenizer_close(t);
	json_decref(text);
	json_decref(want);
	check(pm_tokenizer_open(&t, ranks_of("llama3_1", 127999), &err) < 0 && err.status == PM_DATA && strstr(err.text, "127999 ranks"),
		"refused: %s", err.text);
}

/* A directory with a file under another name, and what its tokenizer_config.json says. */
static struct pm_tokenizer *with_config(const char *from, const char *as, const char *config)
{
	struct pm_tokenizer *t = NULL;
	char *sub = (char *)in_dir("model");

	pm_remove_tree(sub, &err);
	if (pm_mkdirs(sub, &err) < 0)
		exit(74);
	if (!from || pm_copy_file(from, in_dir(as), &err) < 0)
		printf("# %s\n", err.text);
	write_file(in_dir("model/tokenizer_config.json"), config, strlen(config));
	if (pm_tokenizer_open(&t, sub, &err) < 0)
		printf("# %s\n", err.text);
	return t;
}

static void configured(const char *what, const char *from, const char *as, const char *config, const char *text, const char *ids)
{
	static const struct pm_encode_opts special = {.add_special = true, .parse_special = true};
	struct pm_tokenizer *t = with_config(from, as, config);
	json_t *want = pm_json_parse(ids, strlen(ids), "ids", &err), *s = json_string(text);

	check(t && gives(t, s, want, &special), "%s", what);
	pm_tokenizer_close(t);
	json_decref(want);
	json_decref(s);
}

static void configs(void)
{
	static const char own[] = "tests/golden/sentencepiece/bpe.model", model[] = "model/tokenizer.model";
	struct pm_tokenizer *t;

	configured("a model's tokens alone", own, model, "{}", "ab", "[433,4]");
	configured("a Llama's BOS", own, model, "{\"tokenizer_class\":\"LlamaTokenizer\"}", "ab", "[1,433,4]");
	configured("and no BOS, but EOS", own, model, "{\"tokenizer_class\":\"LlamaTokenizer\",\"add_bos_token\":false,\"add_eos_token\":true}", "ab",
		"[433,4,2]");
	configured("a T5's EOS", own, model, "{\"tokenizer_class\":\"T5Tokenizer\"}", "ab", "[433,4,2]");
	configured("legacy: a space after special tokens", own, model, "{\"legacy\":true}", "a</s>a", "[264,2,264]");
	configured("not legacy: none", own, model, "{\"legacy\":false}", "a</s>a", "[264,2,437]");
	configured("tokens that only the configuration adds", own, model, "{\"added_tokens_decoder\":{\"500\":{\"content\":\"<|new|>\",\"special\":true}}}",
		"ab<|new|>ab", "[433,4,500,433,4]");
	t = with_config(own, model, "{\"added_tokens_decoder\":{\"700\":{\"content\":\"<|new|>\"}}}");
	check(!t && strstr(err.text, "'<|new|>' has the id 500"), "refused: %s", err.text);
	if (!golden_dir())
		return;
	configured("tokenizer.json: add_bos_token", golden_path("data/tokenizers/phi3/tokenizer.json"), "model/tokenizer.json",
		"{\"bos_token\":\"<s>\",\"eos_token\":\"<|endoftext|>\",\"add_bos_token\":true,\"add_eos_token\":true}", "Hello", "[1,15043,32000]");
	configured("tokenizer.json: what is there already", golden_path("data/tokenizers/llama2/tokenizer.json"), "model/tokenizer.json",
		"{\"bos_token\":\"<s>\",\"eos_token\":\"</s>\",\"add_bos_token\":true,\"add_eos_token\":false}", "Hello", "[1,15043]");
	configured("tokenizer.json: taken away", golden_path("data/tokenizers/llama2/tokenizer.json"), "model/tokenizer.json",
		"{\"bos_token\":\"<s>\",\"add_bos_token\":false}", "Hello", "[15043]");
	t = with_config(golden_path("data/tokenizers/phi3/tokenizer.json"), "model/tokenizer.json", "{\"add_bos_token\":true}");
	check(!t && err.status == PM_DATA && strstr(err.text, "BOS"), "refused: %s", err.text);
}

/* A model cut off at any byte, and with any byte changed, opens or is refused. */
static void broken(void)
{
	static const struct pm_encode_opts plain = {0};
	struct pm_str all = {0};
	struct pm_tokenizer *t;
	struct pm_encoding enc = {0};
	size_t opened = 0, bad = 0, wordless = 0;
	char old;

	if (pm_read_file(&all, "tests/golden/sentencepiece/char.model", &err) < 0)
		printf("# %s\n", err.text);
	for (size_t i = 0; i < 2 * all.len; i++) {
		old = all.data[i % all.len];
		all.data[i % all.len] = (char)(old ^ (i < all.len ? 0 : 1 << i % 8));
		write_file(in_dir("broken"), all.data, i < all.len ? i : all.len);
		all.data[i % all.len] = old;
		err.text[0] = 0;
		if (pm_tokenizer_open(&t, in_dir("broken"), &err) < 0) {
			bad++;
			wordless += err.status != PM_DATA || !err.text[0];
			continue;
		}
		opened++;
		enc.n = 0;
		if (pm_tokenizer_encode(t, "ab cd \xc3\xa9", 8, &plain, &enc, &err) < 0)
			wordless += err.status != PM_DATA;
		pm_tokenizer_close(t);
	}
	check(all.len > 1000 && opened > 100 && bad > 500 && !wordless, "broken models: %zu open, %zu are refused", opened, bad);
	pm_encoding_free(&enc);
	pm_str_free(&all);
}

int main(void)
{
	if (!mkdtemp(dir))
		return 74;
	sentencepiece();
	configs();
	broken();
	if (golden_dir()) {
		same_as(golden_path("data/models/llama2_tokenizer.model"), "llama2");
		ranks();
	} else {
		skip("golden data is not there");
	}
	pm_remove_tree(dir, &err);
	return done();
}
