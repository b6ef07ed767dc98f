/* pm-gguf check: what the strict reader lets pass and others would stumble over: holes and order of the data, long names, keys of another type than
 * their readers want, lists that have to be as long as each other, numbers that are none. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "bin/gguf.h"
#include "quant/quant.h"

#define GGML_NAME 63            /* bytes of a tensor's name that ggml has room for */

static struct {
	bool data, quiet;
} a = {.data = true};

static struct pm_opt opts[] = {
	{.name = "data", .kind = PM_OPT_FLAG, .to = &a.data, .negatable = true, .help = "look at the tensors' numbers too, the default"},
	PM_OPT_QUIET(&a.quiet),
};

enum shape { ONE, LIST };

/* Keys whose type their readers rely on; a name that begins with "." is the end of "ARCHITECTURE.…". */
static const struct known {
	const char *name;
	enum shape shape;
	enum pm_gguf_type type;
} known[] = {
	{"general.architecture", ONE, PM_GGUF_STRING}, {"general.type", ONE, PM_GGUF_STRING}, {"general.name", ONE, PM_GGUF_STRING},
	{"general.quantization_version", ONE, PM_GGUF_U32}, {"general.file_type", ONE, PM_GGUF_U32}, {"general.alignment", ONE, PM_GGUF_U32},
	{"split.no", ONE, PM_GGUF_U16}, {"split.count", ONE, PM_GGUF_U16}, {"split.tensors.count", ONE, PM_GGUF_I32},
	{"tokenizer.ggml.model", ONE, PM_GGUF_STRING}, {"tokenizer.ggml.pre", ONE, PM_GGUF_STRING}, {"tokenizer.ggml.tokens", LIST, PM_GGUF_STRING},
	{"tokenizer.ggml.scores", LIST, PM_GGUF_F32}, {"tokenizer.ggml.token_type", LIST, PM_GGUF_I32}, {"tokenizer.ggml.merges", LIST, PM_GGUF_STRING},
	{"tokenizer.ggml.bos_token_id", ONE, PM_GGUF_U32}, {"tokenizer.ggml.eos_token_id", ONE, PM_GGUF_U32},
	{"tokenizer.ggml.unknown_token_id", ONE, PM_GGUF_U32}, {"tokenizer.ggml.padding_token_id", ONE, PM_GGUF_U32},
	{"tokenizer.ggml.add_bos_token", ONE, PM_GGUF_BOOL}, {"tokenizer.ggml.add_eos_token", ONE, PM_GGUF_BOOL},
	{"tokenizer.ggml.add_space_prefix", ONE, PM_GGUF_BOOL}, {"tokenizer.chat_template", ONE, PM_GGUF_STRING},
	{".block_count", ONE, PM_GGUF_U32}, {".context_length", ONE, PM_GGUF_U32}, {".embedding_length", ONE, PM_GGUF_U32},
	{".attention.key_length", ONE, PM_GGUF_U32}, {".attention.value_length", ONE, PM_GGUF_U32},
	{".attention.layer_norm_rms_epsilon", ONE, PM_GGUF_F32}, {".attention.layer_norm_epsilon", ONE, PM_GGUF_F32},
	{".rope.freq_base", ONE, PM_GGUF_F32}, {".rope.dimension_count", ONE, PM_GGUF_U32}, {".vocab_size", ONE, PM_GGUF_U32},
	{".expert_count", ONE, PM_GGUF_U32}, {".expert_used_count", ONE, PM_GGUF_U32},
};

/* One line a finding. */
static size_t found(const char *path, const char *what, const char *name, const char *why)
{
	printf("%s: %s '", path, what);
	for (; *name; name++)
		putchar((unsigned char)*name < 32 || *name == 127 ? '?' : *name);
	printf("': %s\n", why);
	return 1;
}

static bool is_known(const struct known *n, const char *key, const char *arch, size_t arch_len)
{
	return *n->name == '.' ? !strncmp(key, arch, arch_len) && !strcmp(key + arch_len, n->name) : !strcmp(key, n->name);
}

static size_t check_types(const struct pm_gguf *g, const char *path)
{
	const struct pm_gguf_key *k = pm_gguf_key(g, "general.architecture");
	const char *arch = "";
	struct pm_err e;
	size_t len = 0, i, j, n = 0;
	char why[100];

	if (k && pm_gguf_string(&arch, &len, k, &e) < 0)
		len = 0;
	for (i = 0; i < pm_gguf_keys(g); i++)
		for (j = 0; j < sizeof known / sizeof *known; j++) {
			k = pm_gguf_key_at(g, i);
			if (!is_known(&known[j], k->name, arch, len) || (k->item == known[j].type && (k->type == PM_GGUF_ARRAY) == (known[j].shape == LIST)))
				continue;
			snprintf(why, sizeof why, "%s%s was wanted, not %s%s", pm_gguf_type_name(known[j].type), known[j].shape == LIST ? "[]" : "",
				pm_gguf_type_name(k->item), k->type == PM_GGUF_ARRAY ? "[]" : "");
			n += found(path, "key", k->name, why);
		}
	return n;
}

static bool ends(const char *s, const char *end)
{
	return strlen(s) >= strlen(end) && !strcmp(s + strlen(s) - strlen(end), end);
}

/* Tokens, their scores and types are lists of one length, and the ids lie below it. */
static size_t check_tokens(const struct pm_gguf *g, const char *path)
{
	const struct pm_gguf_key *tokens = pm_gguf_key(g, "tokenizer.ggml.tokens");
	struct pm_err e;
	size_t i, n = 0;
	char why[100];

	for (i = 0; tokens && i < pm_gguf_keys(g); i++) {
		const struct pm_gguf_key *k = pm_gguf_key_at(g, i);
		bool id = !strncmp(k->name, "tokenizer.ggml.", 15) && ends(k->name, "_token_id");
		int64_t v = 0;

		snprintf(why, sizeof why, "%llu elements for %llu tokens", (unsigned long long)k->count, (unsigned long long)tokens->count);
		if ((!strcmp(k->name, "tokenizer.ggml.scores") || !strcmp(k->name, "tokenizer.ggml.token_type")) && k->count != tokens->count)
			n += found(path, "key", k->name, why);
		if (id && pm_gguf_int(&v, k, 0, &e) == 0 && (v < 0 || (uint64_t)v >= tokens->count)) {
			snprintf(why, sizeof why, "%lld is none of %llu tokens", (long long)v, (unsigned long long)tokens->count);
			n += found(path, "key", k->name, why);
		}
	}
	return n;
}

static int not_text(void *arg, uint64_t i, const char *s, size_t n, struct pm_err *e)
{
	json_t *v = json_stringn(s, n);

	(void)e;
	if (!v) {
		*(uint64_t *)arg = i;
		return -1;
	}
	json_decref(v);
	return 0;
}

/* Strings are UTF-8, but for tokens that are bytes. */
static size_t check_strings(const struct pm_gguf *g, const char *path)
{
	struct pm_err e;
	size_t i, n = 0;
	uint64_t at = 0;
	char why[100];

	for (i = 0; i < pm_gguf_keys(g); i++) {
		const struct pm_gguf_key *k = pm_gguf_key_at(g, i);

		if (k->item != PM_GGUF_STRING || pm_gguf_strings(k, not_text, &at, &e) == 0)
			continue;
		snprintf(why, sizeof why, "string %llu is no UTF-8", (unsigned long long)at);
		n += found(path, "key", k->name, why);
	}
	return n;
}

/* ggml reads tensors that follow each other in the order of their names' list, each padded to the alignment. */
static size_t check_places(const struct pm_gguf *g, const char *path)
{
	uint64_t align = pm_gguf_alignment(g), want = 0;
	size_t i, n = 0;
	char why[100];

	for (i = 0; i < pm_gguf_count(g); i++) {
		const struct pm_view *v = pm_gguf_at(g, i);
		size_t at = pm_gguf_offset(g, v);

		if (i > 0 && at != want) {
			snprintf(why, sizeof why, "its bytes are at %zu, %llu was wanted", at, (unsigned long long)want);
			n += found(path, "tensor", v->name, why);
		}
		want = at + (v->bytes + align - 1) / align * align;
		snprintf(why, sizeof why, "a name of %zu bytes: ggml reads up to %d", strlen(v->name), GGML_NAME);
		if (strlen(v->name) > GGML_NAME)
			n += found(path, "tensor", v->name, why);
	}
	if (i > 0 && n == 0 && pm_gguf_file_size(g) > want) {
		snprintf(why, sizeof why, "%llu bytes behind it belong to nothing", (unsigned long long)(pm_gguf_file_size(g) - want));
		n += found(path, "tensor", pm_gguf_at(g, i - 1)->name, why);
	}
	return n;
}

static size_t check_numbers(const struct pm_gguf *g, const char *path)
{
	struct pm_progress p;
	size_t i, n = 0, at;
	uint64_t done = 0;
	char why[100];

	pm_progress_begin(&p, "check", "B", pm_gguf_file_size(g), a.quiet);
	for (i = 0; i < pm_gguf_count(g); i++) {
		const struct pm_view *v = pm_gguf_at(g, i);
		const struct pm_dtype_info *t = pm_dtype(v->type);

		if (!pm_quant_finite(v->data, v->type, v->bytes / (size_t)t->bytes * (size_t)t->block, &at)) {
			snprintf(why, sizeof why, t->block > 1 ? "the block of value %zu has a scale that is no number" : "value %zu is no number", at);
			n += found(path, "tensor", v->name, why);
		}
		done += v->bytes;
		pm_progress_at(&p, done, NULL);
	}
	pm_progress_end(&p);
	return n;
}

/* The parts of a split model hold together, which opening them as one shows. */
static int check_split(const struct pm_gguf *g, const char *path, struct pm_err *e)
{
	struct pm_store *s;

	if (!pm_gguf_key(g, "split.count"))
		return 0;
	if (pm_store_open(&s, path, e) < 0)
		return -1;
	pm_store_close(s);
	return 0;
}

/* Which has no architecture to name. */
static bool is_imatrix(const struct pm_gguf *g)
{
	const struct pm_gguf_key *k = pm_gguf_key(g, "general.type");
	struct pm_err e;
	const char *s;
	size_t n;

	return k && pm_gguf_string(&s, &n, k, &e) == 0 && n == 7 && !memcmp(s, "imatrix", 7);
}

static int check_file(size_t *n, const char *path, struct pm_err *e)
{
	struct pm_gguf *g;
	int r;

	if (pm_gguf_open(&g, path, e) < 0)
		return -1;
	*n += check_types(g, path) + check_tokens(g, path) + check_strings(g, path) + check_places(g, path);
	if (!pm_gguf_key(g, "general.architecture") && !pm_gguf_key(g, "split.no") && !is_imatrix(g))
		*n += found(path, "key", "general.architecture", "is not there");
	if (a.data)
		*n += check_numbers(g, path);
	r = check_split(g, path, e);
	pm_gguf_close(g);
	return r;
}

static int run(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	struct pm_env env;
	size_t n = 0;
	int i, r;

	(void)t;
	if (argc < 2)
		return pm_fail(e, PM_USAGE, "a file was wanted (see --help)");
	if (pm_env_get(&env, e) < 0)
		return -1;
	r = gguf_names(argc, argv, &env, e);
	for (i = 1; r == 0 && i < argc; i++)
		r = check_file(&n, argv[i], e);
	pm_env_free(&env);
	return r < 0 ? -1 : n ? PM_NEGATIVE : 0;
}

static struct pm_tool tool = {.name = "pm-gguf check", .operands = "FILE ...", .brief = "says what is wrong with files, if anything", .opts = opts,
	.nopts = sizeof opts / sizeof *opts};

const struct pm_verb gguf_check = {"check", &tool, run};
