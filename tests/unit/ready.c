/* A tokenizer opened by way of the JSON tree, straight from the text, and from a compiled file is the same; and a compiled file that is not
 * what it should be is as good as none, whoever wrote it. */
#include <dirent.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "tap.h"
#include "text/ready.h"
#include "text/tokens.h"

static struct pm_err err;
static char cache[] = "/tmp/pm-ready-XXXXXX";

/* The name of the one file in the cache, in out. */
static bool only_file(char out[4096])
{
	DIR *d = opendir(cache);
	struct dirent *f;
	int n = 0;

	while (d && (f = readdir(d)))
		if (f->d_name[0] != '.') {
			snprintf(out, 4096, "%s/%s", cache, f->d_name);
			n++;
		}
	if (d)
		closedir(d);
	return n == 1;
}

static void empty_cache(void)
{
	pm_remove_tree(cache, &err);
	pm_mkdirs(cache, &err);
}

static bool same_text(const struct pm_tokenizer *a, const struct pm_tokenizer *b, const char *s, size_t n)
{
	static const struct pm_encode_opts o = {.add_special = true, .parse_special = true};
	struct pm_encoding x = {0}, y = {0};
	struct pm_str p = {0}, q = {0};
	bool ok = pm_tokenizer_encode(a, s, n, &o, &x, &err) == 0 && pm_tokenizer_encode(b, s, n, &o, &y, &err) == 0 && x.n == y.n;

	for (size_t i = 0; ok && i < x.n; i++)
		ok = x.ids[i] == y.ids[i] && x.from[i] == y.from[i] && x.to[i] == y.to[i];
	ok = ok && pm_tokenizer_decode(a, x.ids, x.n, true, &p, &err) == 0 && pm_tokenizer_decode(b, y.ids, y.n, true, &q, &err) == 0;
	ok = ok && p.len == q.len && (!p.len || memcmp(p.data, q.data, p.len) == 0);
	pm_str_free(&p);
	pm_str_free(&q);
	pm_encoding_free(&x);
	pm_encoding_free(&y);
	return ok;
}

static bool same(const struct pm_tokenizer *a, const struct pm_tokenizer *b, const char *golden)
{
	bool ok = pm_tokenizer_vocab(a) == pm_tokenizer_vocab(b) && same_text(a, b, "A b\xc3\xa9 <s>\n\n12 x", 14);
	struct pm_str all = {0};
	char *line, *end;

	for (size_t i = 0; ok && i < pm_tokenizer_vocab(a); i++) {
		const char *s = pm_tokenizer_token(a, (int32_t)i), *t = pm_tokenizer_token(b, (int32_t)i);

		ok = (!s && !t) || (s && t && strcmp(s, t) == 0 && pm_tokenizer_id(a, s) == pm_tokenizer_id(b, s));
	}
	if (golden)
		pm_read_file(&all, golden, &err);
	for (line = all.data; ok && line && *line; line = end + 1) {
		json_t *row, *text;

		end = strchr(line, '\n');
		row = pm_json_parse(line, (size_t)(end - line), "golden", &err);
		text = json_object_get(row, "text");
		if (json_is_string(text) && json_string_length(text) < 5000)
			ok = same_text(a, b, json_string_value(text), json_string_length(text));
		json_decref(row);
	}
	pm_str_free(&all);
	return ok;
}

/* An escaped key is read by the JSON reader only. */
static bool slow(struct pm_tokenizer **t, const struct pm_str *json)
{
	struct pm_str s = {0};
	struct pm_ready none;
	const char *at = strstr(json->data, "\"version\"");
	bool ok;

	if (!at)
		return false;
	pm_str_put(&s, json->data, (size_t)(at - json->data), &err);
	pm_str_puts(&s, "\"versio\\u006e\"", &err);
	pm_str_puts(&s, at + 9, &err);
	ok = !pm_ready_scan(&none, s.data, s.len) && pm_tokens_read(t, s.data, s.len, "slow", &err) == 0;
	pm_str_free(&s);
	return ok;
}

static void ways(const char *path, const char *golden, const char *name, bool scans)
{
	struct pm_tokenizer *t[4] = {NULL, NULL, NULL, NULL};
	struct pm_str json = {0};
	struct pm_ready r;
	char file[4096];

	empty_cache();
	if (!check(pm_read_file(&json, path, &err) == 0 && slow(t, &json), "%s by the JSON tree", name))
		return;
	check(pm_ready_scan(&r, json.data, json.len) == scans, "%s %s", name, scans ? "is read straight from the text" : "goes by the tree");
	if (scans)
		pm_ready_free(&r);
	check(pm_tokens_read_cached(t + 1, json.data, json.len, name, cache, &err) == 0 && same(t[0], t[1], golden), "%s: it is the same", name);
	check(only_file(file) && pm_tokens_read_cached(t + 2, json.data, json.len, name, cache, &err) == 0 && same(t[0], t[2], golden),
		"%s: and from a compiled file", name);
	check(pm_ready_load(&r, cache, pm_tokenizer_hash(t[2])), "%s: which is good", name);
	pm_ready_free(&r);
	for (int i = 0; i < 4; i++)
		pm_tokenizer_close(t[i]);
	pm_str_free(&json);
}

static void write_bytes(const char *path, const struct pm_str *s, size_t n)
{
	FILE *f = fopen(path, "wb");

	if (f) {
		fwrite(s->data, 1, n, f);
		fclose(f);
	}
}

/* Every byte of a compiled file counts, and so does its length. */
static void damage(const char *name, const char *json)
{
	struct pm_tokenizer *t = NULL, *u = NULL;
	struct pm_str s = {0};
	struct pm_ready r;
	size_t good = 0, n = strlen(json);
	char file[4096], other[PM_SHA256_HEX];

	empty_cache();
	if (!check(pm_tokens_read_cached(&t, json, n, name, cache, &err) == 0 && only_file(file) && pm_read_file(&s, file, &err) == 0,
		"%s: compiled: %zu bytes", name, s.len))
		return;
	check(pm_ready_parse(&r, s.data, s.len, pm_tokenizer_hash(t)), "%s: the file is good", name);
	pm_ready_free(&r);
	memset(other, 'a', sizeof other);
	other[sizeof other - 1] = 0;
	check(!pm_ready_parse(&r, s.data, s.len, other), "%s: but not of another tokenizer", name);
	for (size_t i = 0; i < s.len; i++) {
		s.data[i] ^= 0x41;
		if (pm_ready_parse(&r, s.data, s.len, pm_tokenizer_hash(t))) {
			good++;
			pm_ready_free(&r);
		}
		s.data[i] ^= 0x41;
	}
	for (size_t i = 0; i < s.len; i++)
		if (pm_ready_parse(&r, s.data, i, pm_tokenizer_hash(t))) {
			good++;
			pm_ready_free(&r);
		}
	check(!good, "%s: damaged or cut short, it is not: %zu", name, good);
	write_bytes(file, &s, s.len / 2);
	check(pm_tokens_read_cached(&u, json, n, name, cache, &err) == 0 && same(t, u, NULL), "%s: a bad one is no error", name);
	pm_tokenizer_close(u);
	check(pm_ready_load(&r, cache, pm_tokenizer_hash(t)), "%s: and is replaced", name);
	pm_ready_free(&r);
	pm_str_free(&s);
	pm_tokenizer_close(t);
}

/* Bytes changed with the right sum over them: it opens, one way or the other, and whatever it encodes to, nothing breaks. */
static void hostile(const char *name, const char *json)
{
	static const struct pm_encode_opts o = {.add_special = true};
	struct pm_tokenizer *t = NULL;
	struct pm_str s = {0}, x = {0};
	size_t opened = 0, taken = 0, n = strlen(json), tries = 1500;
	char file[4096], hash[PM_SHA256_HEX];

	empty_cache();
	if (!check(pm_tokens_read_cached(&t, json, n, name, cache, &err) == 0 && only_file(file) && pm_read_file(&s, file, &err) == 0, "%s: compiled", name))
		return;
	memcpy(hash, pm_tokenizer_hash(t), sizeof hash);
	pm_tokenizer_close(t);
	for (uint32_t i = 0; i < tries; i++) {
		struct pm_encoding enc = {0};
		struct pm_str text = {0};
		struct pm_ready r;

		pm_str_clear(&x);
		pm_str_put(&x, s.data, s.len, &err);
		for (uint32_t k = 0; k < 1 + i % 4; k++) {
			uint32_t at = pm_rng_u32(1, i, 3 * k) % (uint32_t)(i % 2 ? s.len : 1024), v = pm_rng_u32(1, i, 3 * k + 1);

			if (at + 4 <= s.len && i % 3 == 0)
				memcpy(x.data + at, &v, 4);
			else
				x.data[at] = (char)v;
		}
		pm_ready_seal(x.data, x.len, hash);
		if (pm_ready_parse(&r, x.data, x.len, hash)) {
			taken++;
			pm_ready_free(&r);
		}
		write_bytes(file, &x, x.len);
		if (pm_tokens_read_cached(&t, json, n, name, cache, &err) < 0)
			continue;
		opened++;
		if (pm_tokenizer_encode(t, "ab abab <s> \xc3\xa9 caaaab", 22, &o, &enc, &err) == 0)
			pm_tokenizer_decode(t, enc.ids, enc.n, false, &text, &err);
		pm_encoding_free(&enc);
		pm_str_free(&text);
		pm_tokenizer_close(t);
	}
	check(opened == tries, "%s: hostile files: %zu of %zu open", name, opened, tries);
	check(taken > 50 && taken < tries, "%s: hostile files: %zu were taken as they were", name, taken);
	pm_str_free(&s);
	pm_str_free(&x);
}

/* What the reader of the text leaves to the JSON reader, and what it takes. */
static void texts(void)
{
	static const struct { const char *json; bool scans; } cases[] = {
		{"{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}}", true},
		{"{\"model\":{\"type\":\"BPE\",\"merges\":[[\"a\",\"b\"]],\"vocab\":{\"a\":0,\"b\":1,\"ab\":2}}}", true},
		{" { \"model\" : { \"vocab\" : { \"\\u0061\" : 0 , \"\\ud83d\\ude00\" : 1, \"a\\ud83d\\uDE00\":2 } , \"merges\" : [ \"a \\ud83d\\ude00\" ] } } ", true},
		{"{\"model\":{\"vocab\":{\"a\":0,\"a\":1,\"aa\":2},\"merges\":[\"a a\"]}}", false},
		{"{\"model\":{\"vocab\":{\"a\":0,\"b\":1},\"merges\":[\"a b\"]}}", false},
		{"{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b \"]}}", false},
		{"{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"#version: 1\",\"a b\"]}}", false},
		{"{\"model\":{\"vocab\":{\"a\":0,\"b\":-1,\"ab\":2},\"merges\":[\"a b\"]}}", false},
		{"{\"model\":{\"vocab\":{\"a\":0,\"b\":1.0,\"ab\":2},\"merges\":[\"a b\"]}}", false},
		{"{\"model\":{\"vocab\":{\"a\":0,\"b\":01,\"ab\":2},\"merges\":[\"a b\"]}}", false},
		{"{\"model\":{\"vocab\":{\"a\":0,\"\\ud83d\":1,\"ab\":2},\"merges\":[\"a b\"]}}", false},
		{"{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]},\"model\":{}}", false},
		{"{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"],\"continuing_subword_prefix\":\"#\"}}", false},
		{"{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\"]}}x", false},
		{"{\"model\":{\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[\"a b\",]}}", false},
		{"{\"model\":{\"vocab\":[[\"a\",0]],\"type\":\"Unigram\"}}", false},
		{"{\"model\":{\"vocab\":{},\"merges\":[]}}", false},
		{"[]", false}, {"", false}, {"{\"model\":{\"vocab\":{\"a\":0", false}, {"{\"model\":{\"vocab\":{\"a", false},
	};
	struct pm_ready r;
	char copy[300];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		size_t n = strlen(cases[i].json), wrong = 0;
		bool ok = pm_ready_scan(&r, cases[i].json, n);

		check(ok == cases[i].scans && (!ok || (r.vocab.n == 3 && r.vocab.ids == 3)), "text %zu is %s", i, cases[i].scans ? "read" : "left alone");
		if (ok)
			pm_ready_free(&r);
		/* cut short anywhere it is left alone, too */
		for (size_t k = 0; k + 1 < n; k++) {
			memcpy(copy, cases[i].json, k);
			if (pm_ready_scan(&r, copy, k)) {
				wrong++;
				pm_ready_free(&r);
			}
		}
		check(!wrong, "text %zu cut short: %zu are read", i, wrong);
	}
}

int main(void)
{
	static const struct { const char *name; bool scans; } models[] = {
		{"gpt2", true}, {"llama3_1", true}, {"gemma3", true}, {"llama2", true}, {"gptoss", true}, {"t5_small", false}, {"nmt", false},
		{"stories260K", true},
	};
	static const char bpe[] = "{\"version\":\"1.0\",\"added_tokens\":[{\"id\":5,\"content\":\"<s>\",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,"
		"\"normalized\":false,\"special\":true}],\"model\":{\"type\":\"BPE\",\"unk_token\":\"?\",\"vocab\":{\"?\":0,\"a\":1,\"b\":2,\"ab\":3,\"abab\":4},"
		"\"merges\":[\"a b\",\"ab ab\"]}}";
	static const char unigram[] = "{\"version\":\"1.0\",\"model\":{\"type\":\"Unigram\",\"unk_id\":0,\"vocab\":[[\"?\",0],[\"a\",-1.5],[\"b\",-2],[\"ab\",-2.5],[\"abab\",-3]]}}";
	char path[4096], golden[4096];
	const char *dir = golden_dir();

	if (!mkdtemp(cache))
		return 1;
	texts();
	damage("bpe", bpe);
	damage("unigram", unigram);
	hostile("bpe", bpe);
	hostile("unigram", unigram);
	for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
		if (!dir) {
			skip("golden data is not there");
			continue;
		}
		snprintf(path, sizeof path, "%s/data/tokenizers/%s/tokenizer.json", dir, models[i].name);
		snprintf(golden, sizeof golden, "%s/data/tokenizers/%s/golden.jsonl", dir, models[i].name);
		ways(path, golden, models[i].name, models[i].scans);
	}
	pm_remove_tree(cache, &err);
	return done();
}
