/* hub: names of repositories, lists of files and what is chosen of them, the cache's layout, and what a name means in it. */
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
#include "hub/cache.h"
#include "hub/url.h"
#include "tap.h"

#define COMMIT "0123456789abcdef0123456789abcdef01234567"
#define OTHER "0123456fffabcdef0123456789abcdef01234567"
#define SHA "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define GIT "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"

static struct pm_err e;

static void named(const char *text, const char *want)
{
	struct pm_hub_name n;
	char got[500];

	if (pm_hub_name_parse(&n, text, &e) < 0) {
		snprintf(got, sizeof got, "%d", (int)e.status);
	} else {
		snprintf(got, sizeof got, "%s %s %s %s %s", pm_hub_type_word(n.type), n.id, n.revision, n.path ? n.path : "-", n.quant ? n.quant : "-");
		pm_hub_name_free(&n);
	}
	check(!strcmp(got, want), "name '%.60s': %s", text, got);
}

static void names(void)
{
	named("org/name", "models org/name main - -");
	named("gpt2", "models gpt2 main - -");
	named("a.b-c/D_e.1@v1.0", "models a.b-c/D_e.1 v1.0 - -");
	named("org/name@refs/pr/3", "models org/name refs/pr/3 - -");
	named("org/name@feature/x", "models org/name feature/x - -");
	named("org/name:Q4_K_M", "models org/name main - Q4_K_M");
	named("org/name@v2:q8_0", "models org/name v2 - q8_0");
	named("hf://org/name", "models org/name main - -");
	named("hf://gpt2", "models gpt2 main - -");
	named("hf://models/org/name@v1", "models org/name v1 - -");
	named("hf://datasets/org/name", "datasets org/name main - -");
	named("hf://datasets/squad", "datasets squad main - -");
	named("hf://datasets/org/name@main/data/train.jsonl", "datasets org/name main data/train.jsonl -");
	named("hf://spaces/org/name/app.py", "spaces org/name main app.py -");
	named("hf://org/name@refs/pr/12/dir/", "models org/name refs/pr/12 dir -");
	named("hf://org/name@a%2Fb/x%20y", "models org/name a/b x y -");
	named("hf://org/name:Q5_K_M", "models org/name main - Q5_K_M");
	named("", "64");
	named("/", "64");
	named("a/b/c", "64");
	named("../x", "64");
	named("a/..", "64");
	named("a--b/c", "64");
	named("a/b--c", "64");
	named("a/b..c", "64");
	named("-a/b", "64");
	named("a/b.", "64");
	named("a b/c", "64");
	named("a/b@", "64");
	named("a/b@..", "64");
	named("a/b@../../x", "64");
	named("a/b@x//y", "64");
	named("a/b@-x", "64");
	named("a/b:", "64");
	named("a/b:Q4 K", "64");
	named("hf://a/b/../c", "64");
	named("hf://a/b/%2e%2e/c", "64");
	named("hf://a/b//c", "64");
	named("hf://", "64");
	check(pm_hub_name_looks("a/b") && pm_hub_name_looks("hf://a/b") && pm_hub_name_looks("a/b:Q4_0") && !pm_hub_name_looks("gpt2") &&
	    !pm_hub_name_looks("./a") && !pm_hub_name_looks("a/b/c") && !pm_hub_name_looks("/a/b") && !pm_hub_name_looks("a/"), "what looks like a name");
}

static void address(const char *url, const char *endpoint, const char *want)
{
	struct pm_hub_name n;
	char got[500] = "another";
	int r = pm_hub_name_url(&n, url, endpoint, &e);

	if (r < 0)
		snprintf(got, sizeof got, "%d", (int)e.status);
	else if (r == 0)
		snprintf(got, sizeof got, "%s %s %s %s", pm_hub_type_word(n.type), n.id, n.revision, n.path ? n.path : "-");
	pm_hub_name_free(&n);
	check(!strcmp(got, want), "address '%.80s': %s", url, got);
}

static void addresses(void)
{
	address("https://huggingface.co/org/name", NULL, "models org/name main -");
	address("https://huggingface.co/org/name/", NULL, "models org/name main -");
	address("https://huggingface.co/org/name/tree/v1", NULL, "models org/name v1 -");
	address("https://hf.co/org/name/blob/main/a/b.json?download=true", NULL, "models org/name main a/b.json");
	address("https://huggingface.co/datasets/org/name/resolve/main/x.jsonl", NULL, "datasets org/name main x.jsonl");
	address("http://127.0.0.1:80/org/name/resolve/main/x", "http://127.0.0.1:80", "models org/name main x");
	address("http://127.0.0.1:801/org/name", "http://127.0.0.1:80", "another");
	address("https://huggingface.co/org/name/discussions/3", NULL, "another");
	address("https://huggingface.co/api/models", NULL, "another");
	address("https://huggingface.co/org/name/resolve/main/../x", NULL, "64");
	address("https://example.org/org/name", NULL, "another");
}

static void next(const char *header, const char *want)
{
	size_t n = 0;
	const char *p = pm_hub_link_next(header, &n);

	check(p ? want && strlen(want) == n && !strncmp(p, want, n) : !want, "Link: %s", header);
}

static void links(void)
{
	next("<https://h/x?cursor=a>; rel=\"next\"", "https://h/x?cursor=a");
	next("<a>; rel=prev, <b>; rel=next", "b");
	next("<a,b>; title=\"x, y; rel=\\\"z\"; rel=\"first next\"", "a,b");
	next("<a>;rel = \"NEXT\"", "a");
	next("<a>; xrel=next", NULL);
	next("<a>; rel=nextish", NULL);
	next("<a>", NULL);
	next("<a", NULL);
	next("", NULL);
	next("<a>; title=\"rel=next\"", NULL);
	next("<a>; rel=\"", NULL);
}

static int page(struct pm_hub_list *l, const char *text)
{
	memset(l, 0, sizeof *l);
	return pm_hub_list_page(l, text, strlen(text), &e) < 0 ? -1 : pm_hub_list_close(l, &e);
}

static void bad_page(const char *text, const char *why)
{
	struct pm_hub_list l;
	int r = page(&l, text);

	check(r < 0 && e.status == PM_DATA && strstr(e.text, why), "list: %s", r < 0 ? e.text : text);
	pm_hub_list_free(&l);
}

static void lists(void)
{
	struct pm_hub_list l, back = {0};
	struct pm_str s = {0};
	char commit[41];

	check(page(&l, "[{\"type\":\"directory\",\"oid\":\"" GIT "\",\"path\":\"d\"},{\"type\":\"file\",\"oid\":\"" GIT "\",\"size\":0,\"path\":\"d/b\"},"
	    "{\"type\":\"file\",\"oid\":\"" GIT "\",\"size\":9,\"lfs\":{\"oid\":\"" SHA "\",\"size\":12345678901,\"pointerSize\":130},\"xetHash\":\"x\",\"path\":\"a\"}]") == 0 &&
	    l.n == 2 && !strcmp(l.v[0].path, "a") && !strcmp(l.v[0].hash, SHA) && l.v[0].size == 12345678901 && !strcmp(l.v[0].blob_id, GIT) &&
	    !strcmp(l.v[1].path, "d/b") && !strcmp(l.v[1].hash, GIT) && l.v[1].size == 0, "list: a page");
	check(pm_hub_list_write(&s, &l, &e) == 0 && pm_hub_list_read(&back, s.data, s.len, "t", &e) == 0 && back.n == 2 &&
	    !strcmp(back.v[0].hash, SHA) && back.v[0].size == 12345678901 && !strcmp(back.v[0].xet, "x") && !strcmp(back.v[1].hash, GIT) && !back.v[1].xet,
	    "list: kept and read again");
	pm_hub_list_free(&back);
	check(pm_hub_list_read(&back, "{\"format_version\":2}", 20, "t", &e) == 1, "list: another version of the form");
	check(pm_hub_list_read(&back, "{\"format_version\":1,\"files\":{\"../x\":{}}}", 41, "t", &e) < 0 && e.status == PM_DATA, "list: kept: %s", e.text);
	pm_hub_list_free(&back);
	pm_hub_list_free(&l);
	pm_str_free(&s);
	bad_page("[{\"path\":\"../x\"}]", "'../x'");
	bad_page("[{\"path\":\"/x\"}]", "'/x'");
	bad_page("[{\"path\":\"a//x\"}]", "'a//x'");
	bad_page("[{\"path\":\"a/./x\"}]", "'a/./x'");
	bad_page("[{\"path\":\"a\\nb\"}]", "inside it");
	bad_page("[{\"path\":\"a\\u0000b\"}]", "zero byte");
	bad_page("[{\"path\":\"a\"},{\"path\":\"a\"}]", "twice");
	bad_page("[{\"path\":\"a\"},{\"path\":\"a/b\"}]", "as a file and as a directory");
	bad_page("[{\"path\":\"a\"},{\"path\":\"a-\"},{\"path\":\"a/b\"}]", "as a file and as a directory");
	bad_page("[{\"path\":\"a\",\"oid\":\"" SHA "\"}]", "40 hexadecimal");
	bad_page("[{\"path\":\"a\",\"lfs\":{\"oid\":\"../../x\"}}]", "64 hexadecimal");
	bad_page("[{\"path\":\"a\",\"lfs\":{}}]", "without 'oid'");
	bad_page("[{\"path\":\"a\",\"size\":-1}]", "a size was wanted");
	bad_page("[{\"path\":\"a\",\"type\":\"link\"}]", "not a 'link'");
	bad_page("[{}]", "a path was wanted");
	bad_page("{}", "an array was wanted");
	bad_page("[", "line 1");
	check(pm_hub_revision_read(commit, "{\"sha\":\"" COMMIT "\"}", 50, &e) == 0 && !strcmp(commit, COMMIT), "a revision");
	check(pm_hub_revision_read(commit, "{\"sha\":\"main\"}", 14, &e) < 0 && e.status == PM_DATA, "a revision: %s", e.text);
	check(pm_hub_revision_read(commit, "{}", 2, &e) < 0 && e.status == PM_DATA, "a revision: %s", e.text);
}

/* Paths, one a word, and those that are wanted of them. */
static void chosen(const char *paths, const struct pm_hub_want *w, const char *want)
{
	struct pm_hub_list l = {0};
	char name[200], got[1000] = "";
	bool keep[40] = {0};
	size_t i, n, at = 0;
	int r = 0;

	for (; r == 0 && *paths; paths += n + (paths[n] == ' ')) {
		n = strcspn(paths, " ");
		snprintf(name, sizeof name, "%.*s", (int)n, paths);
		r = pm_hub_list_add(&l, name, 1, NULL, &e);
	}
	if (r == 0)
		r = pm_hub_list_close(&l, &e) < 0 ? -1 : pm_hub_select(keep, &l, w, &e);
	for (i = 0; r == 0 && i < l.n; i++)
		if (keep[i])
			at += (size_t)snprintf(got + at, sizeof got - at, "%s%s", at ? " " : "", l.v[i].path);
	if (r < 0)
		snprintf(got, sizeof got, "%d", (int)e.status);
	check(!strcmp(got, want), "wanted: %s%s%s", got, r < 0 ? " " : "", r < 0 ? e.text : "");
	pm_hub_list_free(&l);
}

static void choices(void)
{
	static const char model[] = "README.md config.json consolidated.safetensors flax_model.msgpack model-00001-of-00002.safetensors "
		"model-00002-of-00002.safetensors model.safetensors.index.json onnx/model.onnx onnx/config.json original/params.json pytorch_model.bin "
		"pytorch_model.bin.index.json tokenizer.json tokenizer.model tokenizer_config.json chat_template.jinja";
	static const char gguf[] = "README.md m-Q2_K.gguf m-Q4_K_M.gguf m-Q4_K_M_L.gguf m-Q8_0-00001-of-00002.gguf m-Q8_0-00002-of-00002.gguf mmproj-Q4_K_M.gguf";
	const char *files[2], *in[2], *out[2];
	struct pm_hub_want w = {.model = true, .files = files, .include = in, .exclude = out};

	chosen(model, &w, "chat_template.jinja config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors "
		"model.safetensors.index.json tokenizer.json tokenizer.model tokenizer_config.json");
	out[0] = "*.safetensors";
	w.nexclude = 1;
	chosen(model, &w, "chat_template.jinja config.json model.safetensors.index.json tokenizer.json tokenizer.model tokenizer_config.json");
	w.nexclude = 0;
	in[0] = "*.bin";
	w.ninclude = 1;
	chosen(model, &w, "pytorch_model.bin");
	in[0] = "onnx/";
	chosen(model, &w, "onnx/config.json onnx/model.onnx");
	in[0] = "nothing*";
	chosen(model, &w, "66");
	w.ninclude = 0;
	files[0] = "onnx/config.json";
	files[1] = "README.md";
	w.nfiles = 2;
	chosen(model, &w, "README.md onnx/config.json");
	files[1] = "model-*";
	chosen(model, &w, "model-00001-of-00002.safetensors model-00002-of-00002.safetensors onnx/config.json");
	files[1] = "absent";
	chosen(model, &w, "66");
	w.nfiles = 0;
	w.all = true;
	chosen("a.bin b", &w, "a.bin b");
	w.all = false;
	chosen("a.bin b", &w, "66");
	w.model = false;
	chosen("a.bin b", &w, "a.bin b");
	w.model = true;
	chosen(gguf, &w, "m-Q4_K_M.gguf");
	w.quant = "q8_0";
	chosen(gguf, &w, "m-Q8_0-00001-of-00002.gguf m-Q8_0-00002-of-00002.gguf");
	w.quant = "Q4_K";
	chosen(gguf, &w, "66");
	w.quant = "Q4_0";
	chosen("a-Q4_0.gguf b-Q4_0.gguf", &w, "64");
	chosen("Q4_0/a-00001-of-00002.gguf Q4_0/a-00002-of-00002.gguf Q8_0/a.gguf", &w, "Q4_0/a-00001-of-00002.gguf Q4_0/a-00002-of-00002.gguf");
	in[0] = "mmproj*";
	w.ninclude = 1;
	w.quant = "Q4_K_M";
	chosen(gguf, &w, "m-Q4_K_M.gguf mmproj-Q4_K_M.gguf");
	w.ninclude = 0;
	w.quant = NULL;
	chosen("a.IQ1_S.gguf b.IQ1_S.gguf config.json", &w, "a.IQ1_S.gguf config.json");
}

static char top[] = "/tmp/pm-hub-XXXXXX", hub[100], urls[100];

static void put(const char *path, const char *text)
{
	struct pm_str s = {0};
	struct pm_out o;

	if (pm_str_printf(&s, &e, "%s/%s", hub, path) == 0) {
		*strrchr(s.data, '/') = 0;
		pm_mkdirs(s.data, &e);
		s.data[strlen(s.data)] = '/';
		if (pm_out_open(&o, s.data, &e) == 0 && pm_out_write(&o, text, strlen(text), &e) == 0)
			pm_out_close(&o, &e);
	}
	pm_str_free(&s);
}

static void found(const char *text, const char *want, const char *what)
{
	const struct pm_hub_places at = {.hub = hub, .urls = urls};
	char *path = NULL;
	int r = pm_hub_find(&path, text, &at, &e);
	const char *got = r == 0 && !strncmp(path, top, strlen(top)) ? path + strlen(top) : path;

	if (r < 0)
		check(want[0] >= '0' && want[0] <= '9' && (int)e.status == atoi(want) && strstr(e.text, what), "find %s: %d: %s", text, (int)e.status, e.text);
	else
		check(!strcmp(got, want), "find %s: %s", text, got);
	free(path);
}

/* Names that mean a file, or that only the cache knows for names. */
static void found_files(void)
{
	found("gpt2", "gpt2", "");
	put("models--gpt2/refs/main", COMMIT);
	put("models--gpt2/snapshots/" COMMIT "/config.json", "{}");
	found("gpt2", "/hub/models--gpt2/snapshots/" COMMIT, "");
	found("gpt2@v2", "66", "pm-fetch gpt2@v2");
	put("models--org--gguf/refs/main", COMMIT);
	put("models--org--gguf/snapshots/" COMMIT "/x.Q8_0.gguf", "x");
	put("models--org--gguf/snapshots/" COMMIT "/x.Q4_K_M.gguf", "x");
	found("org/gguf", "/hub/models--org--gguf/snapshots/" COMMIT "/x.Q4_K_M.gguf", "");
	found("org/gguf:q8_0", "/hub/models--org--gguf/snapshots/" COMMIT "/x.Q8_0.gguf", "");
}

static void caches(void)
{
	struct pm_hub_file f = {.path = "a/b/model.safetensors", .size = 5, .hash = SHA}, g = {.path = "config.json", .size = 2, .hash = GIT};
	struct pm_hub_name n;
	struct pm_hub_list l = {0};
	char *repo = NULL, commit[41];
	struct pm_hub_kept k = {.url = (char *)(size_t)"https://example.org/m.zip#x", .path = (char *)(size_t)"m", .sha256 = SHA, .size = 7}, k2;

	check(mkdtemp(top) != NULL, "a directory to work in");
	snprintf(hub, sizeof hub, "%s/hub", top);
	snprintf(urls, sizeof urls, "%s/urls", top);
	check(pm_hub_name_parse(&n, "org/name", &e) == 0 && (repo = pm_hub_repo(hub, &n, &e)) && !strcmp(repo + strlen(hub), "/models--org--name"), "where a repository lies");
	pm_hub_name_free(&n);
	found("org/name", "66", "'pm-fetch org/name' gets it");
	found("no/such/path", "no/such/path", "");
	found("tests", "tests", "");
	found("tests/unit", "tests/unit", "");
	check(pm_hub_begin(hub, &e) == 0 && pm_hub_begin(hub, &e) == 0, "the cache begins");
	check(pm_hub_ref(commit, repo, "main", &e) == 1 && pm_hub_ref_write(repo, "main", COMMIT, &e) == 0 &&
	    pm_hub_ref_write(repo, "refs/pr/1", OTHER, &e) == 0 && pm_hub_ref(commit, repo, "main", &e) == 0 && !strcmp(commit, COMMIT) &&
	    pm_hub_ref(commit, repo, "refs/pr/1", &e) == 0 && !strcmp(commit, OTHER) && pm_hub_ref(commit, repo, COMMIT, &e) == 0, "refs");
	put("models--org--name/blobs/" SHA, "bytes");
	put("models--org--name/blobs/" GIT, "{}");
	check(!pm_hub_has(repo, COMMIT, &f) && pm_hub_link(repo, COMMIT, &f, &e) == 0 && pm_hub_has(repo, COMMIT, &f) && pm_hub_link(repo, COMMIT, &f, &e) == 0,
	    "a link to a blob");
	f.size = 6;
	check(!pm_hub_has(repo, COMMIT, &f), "a file of another size is not the one");
	f.size = 5;
	f.hash[0] = '0';
	check(!pm_hub_has(repo, COMMIT, &f), "a file of another hash is not the one");
	f.hash[0] = 'e';
	check(pm_hub_link(repo, COMMIT, &g, &e) == 0 && pm_hub_ref(commit, repo, "0123456", &e) == 0, "a commit by its first digits");
	found("org/name", "/hub/models--org--name/snapshots/" COMMIT, "");
	found("org/name@" COMMIT, "/hub/models--org--name/snapshots/" COMMIT, "");
	found("hf://org/name/a/b/model.safetensors", "/hub/models--org--name/snapshots/" COMMIT "/a/b/model.safetensors", "");
	found("hf://org/name/a/absent", "66", "pm-fetch");
	found("https://huggingface.co/org/name", "/hub/models--org--name/snapshots/" COMMIT, "");
	found("org/name@v9", "66", "'pm-fetch org/name@v9' gets it");
	found("hf://datasets/org/name", "66", "pm-fetch");
	found("org/name:Q4_0", "66", "no GGUF file of Q4_0");
	check(pm_hub_list_add(&l, f.path, 5, SHA, &e) == 0 && pm_hub_list_add(&l, "a/b/second.safetensors", 5, SHA, &e) == 0 &&
	    pm_hub_list_close(&l, &e) == 0 && pm_hub_tree_write(repo, COMMIT, &l, &e) == 0, "a list is kept");
	pm_hub_list_free(&l);
	found("org/name", "66", "lacks 'a/b/second.safetensors'");
	check(pm_hub_tree(&l, repo, COMMIT, &e) == 0 && l.n == 2, "a list is read");
	pm_hub_list_free(&l);
	put("models--org--name/trees/" COMMIT ".json", "{\"format_version\":1,\"files\":{\"../x\":{}}}");
	check(pm_hub_tree(&l, repo, COMMIT, &e) == 1 && l.n == 0, "a list that cannot be trusted is none");
	put("models--org--name/refs/main", "../../x");
	found("org/name", "65", "40 digits");
	put("models--org--name/refs/main", COMMIT "\n");
	found_files();
	check(pm_hub_scan(&l, repo, &e) == 0 && l.n == 7, "what lies below a directory: %zu files %s", l.n, e.text);
	pm_hub_list_free(&l);
	found("https://example.org/m.zip", "66", "pm-fetch");
	{
		char *dir = pm_hub_url_dir(urls, k.url, &e), *same = pm_hub_url_dir(urls, "https://example.org/m.zip", &e), *m = pm_path(dir, "m", &e);

		check(dir && same && !strcmp(dir, same) && pm_mkdirs(m, &e) == 0 && pm_hub_kept_write(&k, dir, &e) == 0 &&
		    pm_hub_kept_read(&k2, dir, &e) == 0 && !strcmp(k2.path, "m") && k2.size == 7 && !k2.etag, "an address is kept");
		pm_hub_kept_free(&k2);
		free(m);
		free(same);
		free(dir);
	}
	{
		const struct pm_hub_places at = {.hub = hub, .urls = urls};
		char *path = NULL;

		check(pm_hub_find(&path, "https://example.org/m.zip", &at, &e) == 0 && !strcmp(strrchr(path, '/'), "/m"), "an address that was fetched");
		free(path);
	}
	free(repo);
	check(pm_remove_tree(top, &e) == 0, "all is removed");
}

int main(void)
{
	names();
	addresses();
	links();
	lists();
	choices();
	caches();
	return done();
}
