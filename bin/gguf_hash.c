/* pm-gguf hash: SHA-256 of every tensor's bytes and of all of them, in the lines of sha256sum. Keys do not count: two files of one hash
 * compute the same. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"
#include "bin/gguf.h"

static struct {
	bool json, whole, quiet;
} a;

static struct pm_opt opts[] = {
	{.name = "whole", .kind = PM_OPT_FLAG, .to = &a.whole, .help = "only the one hash of all tensors"},
	PM_OPT_JSON(&a.json, "print one JSON object a file: hashes by tensor, and of all"),
	PM_OPT_QUIET(&a.quiet),
};

typedef char hex[PM_SHA256_HEX];

/* One of each tensor of the store, and behind them that of all. */
static int hash_all(hex *h, const struct pm_store *s, struct pm_err *e)
{
	struct pm_progress p;
	struct pm_sha256 whole;
	uint64_t total = 0, done = 0;
	size_t i, n = pm_store_count(s);
	int r = pm_sha256_begin(&whole, e);

	for (i = 0; i < n; i++)
		total += pm_store_at(s, i)->bytes;
	pm_progress_begin(&p, "hash", "B", total, a.quiet);
	for (i = 0; r == 0 && i < n; i++) {
		const struct pm_view *v = pm_store_at(s, i);

		pm_sha256_put(&whole, v->data, v->bytes);
		if (!a.whole)
			r = pm_sha256_bytes(h[i], v->data, v->bytes, e);
		done += v->bytes;
		pm_progress_at(&p, done, NULL);
	}
	pm_progress_end(&p);
	if (whole.state)
		pm_sha256_end(&whole, h[n]);
	return r;
}

/* Names of tensors on one line, whatever is in them. */
static void print_name(const char *s)
{
	for (; *s; s++)
		putchar((unsigned char)*s < 32 || *s == 127 ? '?' : *s);
}

static int print_json(hex *h, const struct pm_store *s, const char *path, struct pm_err *e)
{
	json_t *tensors = json_object(), *o;
	struct pm_str text = {0};
	size_t i, n = pm_store_count(s);
	int r;

	for (i = 0; !a.whole && i < n; i++)
		json_object_set_new(tensors, pm_store_at(s, i)->name, json_string(h[i]));
	o = json_pack("{s:o, s:s, s:o}", "file", pm_gguf_text(path, strlen(path)), "sha256", h[n], "tensors", tensors);
	if (o && a.whole)
		json_object_del(o, "tensors");
	r = o ? pm_json_text(&text, o, e) : pm_fail(e, PM_SOFTWARE, "out of memory");
	if (r == 0)
		puts(text.data);
	json_decref(o);
	pm_str_free(&text);
	return r;
}

static int print_hashes(const struct pm_store *s, const char *path, struct pm_err *e)
{
	size_t i, n = pm_store_count(s);
	hex *h = pm_alloc(n + 1, sizeof *h, e);
	int r = h ? hash_all(h, s, e) : -1;

	if (r == 0 && a.json) {
		r = print_json(h, s, path, e);
	} else if (r == 0) {
		for (i = 0; !a.whole && i < n; i++) {
			printf("%s  ", h[i]);
			print_name(pm_store_at(s, i)->name);
			putchar('\n');
		}
		printf("%s  %s\n", h[n], path);
	}
	free(h);
	return r;
}

static int run(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	struct pm_store *s;
	struct pm_env env;
	int i, r;

	(void)t;
	if (argc < 2)
		return pm_fail(e, PM_USAGE, "a file was wanted (see --help)");
	if (pm_env_get(&env, e) < 0)
		return -1;
	r = gguf_names(argc, argv, &env, e);
	for (i = 1; r == 0 && i < argc; i++) {
		r = pm_store_open(&s, argv[i], e);
		if (r < 0)
			break;
		r = print_hashes(s, argv[i], e);
		pm_store_close(s);
	}
	pm_env_free(&env);
	return r;
}

static struct pm_tool tool = {.name = "pm-gguf hash", .operands = "FILE ...", .brief = "SHA-256 of each tensor and of all", .opts = opts,
	.nopts = sizeof opts / sizeof *opts};

const struct pm_verb gguf_hash = {"hash", &tool, run};
