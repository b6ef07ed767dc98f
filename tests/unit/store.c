/* store: a directory, shards with an index, a single file; what an index may get wrong. */
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "io/store.h"
#include "tap.h"

static char dir[] = "/tmp/pm-unit-XXXXXX";

static const char *in_dir(const char *name)
{
	static char p[2][128];
	static int i;

	i = !i;
	snprintf(p[i], sizeof p[i], "%s/%s", dir, name);
	return p[i];
}

/* A file of one-byte tensors. */
static void shard(const char *file, const char *const *names)
{
	struct pm_err e;
	struct pm_st_writer *w;
	const char *const *n;

	if (pm_st_begin(&w, in_dir(file), NULL, &e) < 0)
		return;
	for (n = names; *n; n++)
		pm_st_declare(w, *n, PM_U8, 1, (uint64_t[]){1}, &e);
	for (n = names; *n; n++)
		pm_st_put(w, *n, 1, &e);
	pm_st_end(w, &e);
}

static void text(const char *file, const char *s)
{
	FILE *f = fopen(in_dir(file), "wb");

	fputs(s, f);
	fclose(f);
}

static void refused(const char *index, enum pm_status status, const char *words)
{
	struct pm_err e = {0};
	struct pm_store *s = NULL;
	int r;

	text("model.safetensors.index.json", index);
	r = pm_store_open(&s, dir, &e);
	check(r < 0 && e.status == status && strstr(e.text, words), "%s: %s", words, r < 0 ? e.text : "accepted");
	if (r == 0)
		pm_store_close(s);
}

static void bad_indexes(void)
{
	refused("{}", PM_DATA, "weight_map");
	refused("{\"weight_map\":{}}", PM_DATA, "weight_map");
	refused("[", PM_DATA, "line 1");
	refused("{\"weight_map\":{\"a\":1}}", PM_DATA, "tensor 'a'");
	refused("{\"weight_map\":{\"a\":\"../s1.safetensors\"}}", PM_DATA, "tensor 'a'");
	refused("{\"weight_map\":{\"a\":\"s1.safetensors\",\"z\":\"s1.safetensors\"}}", PM_DATA, "tensor 'z'");
	refused("{\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s9.safetensors\"}}", PM_NOINPUT, "s9.safetensors");
	refused("{\"weight_map\":{\"a\":\"s1.safetensors\",\"b\":\"s3.safetensors\"}}", PM_DATA, "tensor 'a'");
}

static void golden(const char *shared)
{
	struct pm_err e = {0};
	struct pm_store *s, *one;
	char p[4096];
	const char *const *names;
	const struct pm_view *v;

	snprintf(p, sizeof p, "%s/fixtures/llama/sharded-bf16", shared);
	if (!check(pm_store_open(&s, p, &e) == 0, "sharded-bf16 %s", e.text))
		return;
	check(pm_store_count(s) == 21 && pm_store_files(s, &names) > 1, "21 tensors in several shards");
	v = pm_store_find(s, "model.layers.1.mlp.down_proj.weight");
	check(v && v->type == PM_BF16 && v->dim[0] == 32 && v->dim[1] == 56 && strstr(pm_store_file_of(s, v), "model-0000"), "a tensor of a shard");
	pm_store_close(s);
	snprintf(p, sizeof p, "%s/fixtures/llama/base/model.safetensors", shared);
	if (check(pm_store_open(&one, p, &e) == 0, "one file %s", e.text)) {
		check(pm_store_find(one, "lm_head.weight") != NULL && !pm_store_find(one, "lm_head"), "look-up");
		pm_store_close(one);
	}
}

int main(void)
{
	const char *shared = golden_dir();
	struct pm_err e = {0};
	struct pm_store *s;

	if (!mkdtemp(dir))
		return 1;
	check(pm_store_open(&s, in_dir("none"), &e) < 0 && e.status == PM_NOINPUT, "nothing there: %s", e.text);
	check(pm_store_open(&s, dir, &e) < 0 && e.status == PM_NOINPUT && strstr(e.text, "model.safetensors"), "no model in it: %s", e.text);
	shard("s1.safetensors", (const char *const[]){"b", "a", NULL});
	shard("s2.safetensors", (const char *const[]){"c", NULL});
	shard("s3.safetensors", (const char *const[]){"b", "a", NULL});
	bad_indexes();
	text("model.safetensors.index.json", "{\"metadata\":{},\"weight_map\":{\"c\":\"s2.safetensors\",\"a\":\"s1.safetensors\",\"b\":\"s1.safetensors\"}}");
	if (check(pm_store_open(&s, dir, &e) == 0, "two shards %s", e.text)) {
		check(pm_store_count(s) == 3 && *pm_store_find(s, "a")->data == 'a' && *pm_store_find(s, "c")->data == 'c', "their tensors");
		check(!strcmp(pm_store_file_of(s, pm_store_find(s, "b")), in_dir("s1.safetensors")), "the file of one");
		pm_store_close(s);
	}
	if (check(pm_store_open(&s, in_dir("model.safetensors.index.json"), &e) == 0 && pm_store_count(s) == 3, "the index itself %s", e.text))
		pm_store_close(s);
	shard("model.safetensors", (const char *const[]){"single", NULL});
	if (check(pm_store_open(&s, dir, &e) == 0 && pm_store_count(s) == 1 && pm_store_find(s, "single"), "model.safetensors goes first"))
		pm_store_close(s);
	if (shared)
		golden(shared);
	else
		skip("golden data is not there");
	pm_remove_tree(dir, &e);
	return done();
}
