/* pm-gguf dump: what is in a GGUF file, as lines of text or as JSON. Values are written as they are walked, so that a list of a hundred million
 * numbers takes no memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bin/gguf.h"
#include "io/gguf.h"

#define SHORT_LIST 8            /* elements of a list, and */
#define SHORT_TEXT 100          /* bytes of a string, that text shows of it */

static struct {
	bool json, full, keys, tensors;
} a;

static struct pm_opt opts[] = {
	PM_OPT_JSON(&a.json, "print one JSON object a file, with whole values"),
	{.name = "keys", .kind = PM_OPT_FLAG, .to = &a.keys, .help = "the keys alone"},
	{.name = "tensors", .kind = PM_OPT_FLAG, .to = &a.tensors, .help = "the tensors alone"},
	{.name = "full", .kind = PM_OPT_FLAG, .to = &a.full, .help = "whole values in text, too"},
};

static int out_of_memory(struct pm_err *e)
{
	return pm_fail(e, PM_SOFTWARE, "out of memory");
}

/* The fewest digits that read back as the number. */
static size_t digits_of(const json_t *v)
{
	char buf[40];
	int n = 15;

	for (; json_is_real(v) && n < 17; n++) {
		snprintf(buf, sizeof buf, "%.*g", n, json_real_value(v));
		if (strtod(buf, NULL) == json_real_value(v))
			break;
	}
	return (size_t)n;
}

/* A value as JSON, owned here. */
static int print_json(json_t *v, struct pm_err *e)
{
	char *s = v ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_REAL_PRECISION(digits_of(v))) : NULL;

	json_decref(v);
	if (!s)
		return out_of_memory(e);
	fputs(s, stdout);
	free(s);
	return 0;
}

static int print_string(const char *s, size_t n, struct pm_err *e)
{
	size_t cut = SHORT_TEXT;

	if (a.json || a.full || n <= SHORT_TEXT)
		return print_json(pm_gguf_text(s, n), e);
	while (cut > SHORT_TEXT - 4 && ((unsigned char)s[cut] & 0xc0) == 0x80)
		cut--;
	if (print_json(pm_gguf_text(s, cut), e) < 0)
		return -1;
	printf("… (%zu bytes)", n);
	return 0;
}

static uint64_t shown(const struct pm_gguf_key *k)
{
	return a.json || a.full || k->count <= SHORT_LIST ? k->count : SHORT_LIST;
}

struct strings {
	uint64_t most;
	bool done;
};

/* Ends the walk by −1 with `done` set. */
static int next_string(void *arg, uint64_t i, const char *s, size_t n, struct pm_err *e)
{
	struct strings *w = arg;

	if (i == w->most) {
		w->done = true;
		return -1;
	}
	if (i)
		putchar(',');
	return print_string(s, n, e);
}

static int print_value(const struct pm_gguf_key *k, struct pm_err *e)
{
	struct strings w = {.most = shown(k)};
	uint64_t i;

	if (k->type == PM_GGUF_ARRAY)
		putchar('[');
	if (k->item == PM_GGUF_STRING) {
		if (pm_gguf_strings(k, next_string, &w, e) < 0 && !w.done)
			return -1;
	} else {
		for (i = 0; i < w.most; i++) {
			if (i)
				putchar(',');
			if (print_json(pm_gguf_number(k, i), e) < 0)
				return -1;
		}
	}
	if (w.most < k->count)
		fputs(",…", stdout);
	if (k->type == PM_GGUF_ARRAY)
		putchar(']');
	return 0;
}

/* A name of a file on one line, whatever is in it. */
static void print_name(const char *s)
{
	for (; *s; s++)
		putchar((unsigned char)*s < 32 || *s == 127 ? '?' : *s);
	putchar('\t');
}

/* "u32", "str[32000]". */
static void print_type(const struct pm_gguf_key *k)
{
	printf("%s", pm_gguf_type_name(k->item));
	if (k->type == PM_GGUF_ARRAY)
		printf("[%llu]", (unsigned long long)k->count);
}

static void print_shape(const struct pm_view *v)
{
	int d;

	putchar('[');
	for (d = 0; d < v->nd; d++)
		printf("%s%llu", d ? "," : "", (unsigned long long)v->dim[d]);
	putchar(']');
}

static int dump_text(const struct pm_gguf *g, const char *path, struct pm_err *e)
{
	size_t i;

	if (!a.keys && !a.tensors)
		printf("%s\tversion %u\talignment %llu\t%zu keys\t%zu tensors\t%zu bytes\n", path, pm_gguf_version(g), (unsigned long long)pm_gguf_alignment(g),
			pm_gguf_keys(g), pm_gguf_count(g), pm_gguf_file_size(g));
	for (i = 0; !a.tensors && i < pm_gguf_keys(g); i++) {
		const struct pm_gguf_key *k = pm_gguf_key_at(g, i);

		print_name(k->name);
		print_type(k);
		putchar('\t');
		if (print_value(k, e) < 0)
			return -1;
		putchar('\n');
	}
	for (i = 0; !a.keys && i < pm_gguf_count(g); i++) {
		const struct pm_view *v = pm_gguf_at(g, i);

		print_name(v->name);
		printf("%s\t", pm_dtype(v->type)->name);
		print_shape(v);
		printf("\t%zu\t%zu\n", pm_gguf_offset(g, v), v->bytes);
	}
	return 0;
}

static int print_member(const char *name, bool first, struct pm_err *e)
{
	if (!first)
		putchar(',');
	if (print_json(json_string(name), e) < 0)
		return -1;
	putchar(':');
	return 0;
}

static int dump_json_keys(const struct pm_gguf *g, struct pm_err *e)
{
	size_t i;

	fputs(",\"keys\":{", stdout);
	for (i = 0; i < pm_gguf_keys(g); i++)
		if (print_member(pm_gguf_key_at(g, i)->name, i == 0, e) < 0 || print_value(pm_gguf_key_at(g, i), e) < 0)
			return -1;
	fputs("},\"types\":{", stdout);
	for (i = 0; i < pm_gguf_keys(g); i++) {
		if (print_member(pm_gguf_key_at(g, i)->name, i == 0, e) < 0)
			return -1;
		putchar('"');
		print_type(pm_gguf_key_at(g, i));
		putchar('"');
	}
	putchar('}');
	return 0;
}

static int dump_json(const struct pm_gguf *g, const char *path, struct pm_err *e)
{
	size_t i;

	fputs("{\"file\":", stdout);
	if (print_json(pm_gguf_text(path, strlen(path)), e) < 0)
		return -1;
	printf(",\"version\":%u,\"alignment\":%llu,\"bytes\":%zu", pm_gguf_version(g), (unsigned long long)pm_gguf_alignment(g), pm_gguf_file_size(g));
	if (!a.tensors && dump_json_keys(g, e) < 0)
		return -1;
	for (i = 0; !a.keys && i < pm_gguf_count(g); i++) {
		const struct pm_view *v = pm_gguf_at(g, i);

		fputs(i ? ",{\"name\":" : ",\"tensors\":[{\"name\":", stdout);
		if (print_json(json_string(v->name), e) < 0)
			return -1;
		printf(",\"dtype\":\"%s\",\"shape\":", pm_dtype(v->type)->name);
		print_shape(v);
		printf(",\"offset\":%zu,\"bytes\":%zu}", pm_gguf_offset(g, v), v->bytes);
	}
	puts(a.keys ? "}" : pm_gguf_count(g) ? "]}" : ",\"tensors\":[]}");
	return 0;
}

static int run(struct pm_tool *t, int argc, char **argv, struct pm_err *e)
{
	struct pm_env env;
	struct pm_gguf *g;
	int i, r;

	(void)t;
	if (argc < 2)
		return pm_fail(e, PM_USAGE, "a file was wanted (see --help)");
	if (a.keys && a.tensors)
		return pm_fail(e, PM_USAGE, "--keys and --tensors exclude each other");
	if (a.json && a.full)
		return pm_fail(e, PM_USAGE, "--full has no effect with --json");
	if (pm_env_get(&env, e) < 0)
		return -1;
	r = gguf_names(argc, argv, &env, e);
	for (i = 1; r == 0 && i < argc; i++) {
		r = pm_gguf_open(&g, argv[i], e);
		if (r < 0)
			break;
		r = a.json ? dump_json(g, argv[i], e) : dump_text(g, argv[i], e);
		pm_gguf_close(g);
	}
	pm_env_free(&env);
	return r;
}

static struct pm_tool tool = {.name = "pm-gguf dump", .operands = "FILE ...", .brief = "shows keys and tensors, as text or JSON", .opts = opts,
	.nopts = sizeof opts / sizeof *opts};

const struct pm_verb gguf_dump = {"dump", &tool, run};
