/* Single normalizers, pre-tokenizers and decoders against the golden cases. */
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "tap.h"
#include "text/decoder.h"
#include "text/part.h"
#include "text/unicode.h"
#include "text/worker.h"

static struct pm_err err;
static char charsmap_path[4096];

static bool normalizer(const json_t *config, const json_t *c, struct pm_worker *w)
{
	const json_t *in = json_array_get(c, 0), *want = json_array_get(c, 1);
	struct pm_view v = {json_string_value(in), json_string_length(in), NULL, 0}, out;
	struct pm_parts ps = {0};
	bool ok = pm_parts_read(&ps, config, pm_normalizers, "normalizers", &err) == 0 && pm_normalize(&ps, 0, &v, &out, w, &err) == 0;

	ok = ok && out.n == json_string_length(want) && memcmp(out.s, json_string_value(want), out.n) == 0;
	pm_parts_free(&ps);
	return ok;
}

struct gather {
	struct pm_sink sink;
	const char *text;
	json_t *pieces;
};

static int piece(struct pm_sink *s, const struct pm_view *v, struct pm_err *e)
{
	struct gather *g = (struct gather *)s;
	struct pm_range r = pm_view_range(v, 0, v->n);

	(void)e;
	return json_array_append_new(g->pieces, json_pack("[s%,[I,I]]", v->s, v->n, (json_int_t)pm_utf8_count(g->text, r.from),
		(json_int_t)pm_utf8_count(g->text, r.to)));
}

static bool pretokenizer(const json_t *config, const json_t *c, struct pm_worker *w)
{
	const json_t *in = json_array_get(c, 0);
	struct pm_view v = {json_string_value(in), json_string_length(in), NULL, 0};
	struct gather g = {{piece}, v.s, json_array()};
	struct pm_parts ps = {0};
	bool ok = pm_parts_read(&ps, config, pm_pretokenizers, "pretokenizers", &err) == 0;

	ok = ok && (!v.n || pm_pretokenize(&ps, 0, &v, &g.sink, w, &err) == 0);
	if (ok && !json_equal(g.pieces, json_array_get(c, 1))) {
		printf("# got  %s\n# want %s\n", json_dumps(g.pieces, JSON_COMPACT), json_dumps(json_array_get(c, 1), JSON_COMPACT));
		ok = false;
	}
	json_decref(g.pieces);
	pm_parts_free(&ps);
	return ok;
}

static bool decoder(const json_t *config, const json_t *c, struct pm_worker *w)
{
	const json_t *in = json_array_get(c, 0), *want = json_array_get(c, 1);
	struct pm_decoders ds = {0};
	struct pm_decoding *d = NULL;
	struct pm_str out = {0};
	bool ok = pm_decoders_read(&ds, config, &err) == 0 && pm_decoding_new(&d, &ds, &err) == 0;

	(void)w;
	for (size_t i = 0; ok && i < json_array_size(in); i++)
		ok = pm_decoding_put(d, json_string_value(json_array_get(in, i)), json_string_length(json_array_get(in, i)), &out, &err) == 0;
	ok = ok && pm_decoding_end(d, &out, &err) == 0;
	if (ok && (out.len != json_string_length(want) || memcmp(out.data ? out.data : "", json_string_value(want), out.len) != 0)) {
		printf("# got  '%s'\n# want '%s'\n", out.data, json_string_value(want));
		ok = false;
	}
	pm_decoding_free(d);
	pm_decoders_free(&ds);
	pm_str_free(&out);
	return ok;
}

/* "@t5_small" stands for that tokenizer's map. */
static void put_charsmap(json_t *config)
{
	const char *s = json_string_value(json_object_get(config, "precompiled_charsmap"));
	json_t *o = s && *s == '@' ? pm_json_file(charsmap_path, &err) : NULL;

	if (o)
		json_object_set(config, "precompiled_charsmap", json_object_get(json_object_get(o, "normalizer"), "precompiled_charsmap"));
	json_decref(o);
}

static void component(json_t *row, struct pm_worker *w)
{
	const char *kind = json_string_value(json_object_get(row, "kind"));
	json_t *config = json_object_get(row, "config"), *cases = json_object_get(row, "cases");
	bool (*run)(const json_t *, const json_t *, struct pm_worker *) = *kind == 'n' ? normalizer : *kind == 'p' ? pretokenizer : decoder;
	size_t right = 0, n = json_array_size(cases);
	char *name = json_dumps(config, JSON_COMPACT);

	put_charsmap(config);
	for (size_t i = 0; i < n; i++) {
		err.text[0] = 0;
		if (run(config, json_array_get(cases, i), w)) {
			right++;
		} else if (right + 3 > i) {
			char *s = json_dumps(json_array_get(cases, i), JSON_COMPACT);

			printf("# case %zu: %s %s\n", i, s, err.text);
			free(s);
		}
	}
	check(n > 0 && right == n, "%s %.120s: %zu of %zu", kind, name, right, n);
	free(name);
}

/* Cases of ours, as the `tokenizers` library (0.23.3) gives them. */
static void own(struct pm_worker *w)
{
	static const char config[] = "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"\\\\w+\"},\"behavior\":\"Isolated\",\"invert\":false}";
	static const char words[] = "[\"a½b ½ c²x ③ Ⅷ ¹ ₂y\",[[\"a½b\",[0,3]],[\" \",[3,4]],[\"½\",[4,5]],[\" \",[5,6]],[\"c²x\",[6,9]],[\" ③ \",[9,12]],"
		"[\"Ⅷ\",[12,13]],[\" \",[13,14]],[\"¹\",[14,15]],[\" ₂\",[15,17]],[\"y\",[17,18]]]]";
	json_t *o = pm_json_parse(config, strlen(config), "config", &err), *c = pm_json_parse(words, strlen(words), "words", &err);

	check(o && c && pretokenizer(o, c, w), "the numbers of Latin-1 are in \\w, no others of their category");
	json_decref(o);
	json_decref(c);
}

int main(void)
{
	const char *dir = golden_dir();
	struct pm_worker *w = pm_alloc(1, sizeof *w, &err);
	struct pm_str all = {0};
	char path[4096], *line, *end;
	json_t *row;

	own(w);
	if (!dir) {
		skip("golden data is not there");
		pm_worker_free(w);
		return done();
	}
	snprintf(charsmap_path, sizeof charsmap_path, "%s/data/tokenizers/t5_small/tokenizer.json", dir);
	snprintf(path, sizeof path, "%s/data/components/golden.jsonl", dir);
	check(pm_read_file(&all, path, &err) == 0, "the cases are there");
	for (line = all.data; line && *line; line = end + 1) {
		end = strchr(line, '\n');
		row = pm_json_parse(line, (size_t)(end - line), path, &err);
		component(row, w);
		json_decref(row);
	}
	pm_str_free(&all);
	pm_worker_free(w);
	return done();
}
