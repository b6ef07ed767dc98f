/* hostile: what every parser must refuse: the files under tests/fuzz/corpus (made by hand, or found by `make fuzz`), and inputs too
 * large to keep. Each must end with status 65 or 66 and one line, in little time and memory. */
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <dirent.h>
#include <time.h>

#include "tap.h"

#define FUZZ(parse)     /* the targets' parsers without libFuzzer's entry */
#define SELDOM 1        /* gguf_model.c: all of it */
#include "tests/fuzz/archive.c"
#include "tests/fuzz/chat.c"
#include "tests/fuzz/generation.c"
#include "tests/fuzz/gguf.c"
#include "tests/fuzz/gguf_model.c"
#include "tests/fuzz/imatrix.c"
#include "tests/fuzz/hublist.c"
#include "tests/fuzz/hublock.c"
#include "tests/fuzz/hubname.c"
#include "tests/fuzz/jinja.c"
#include "tests/fuzz/json.c"
#include "tests/fuzz/peft.c"
#include "tests/fuzz/published.c"
#include "tests/fuzz/pieces.c"
#include "tests/fuzz/ranks.c"
#include "tests/fuzz/records.c"
#include "tests/fuzz/safetensors.c"
#include "tests/fuzz/spec.c"
#include "tests/fuzz/store.c"
#include "tests/fuzz/tokenizer.c"
#include "tests/fuzz/tokens.c"
#include "tests/fuzz/vocabulary.c"

#if defined __SANITIZE_ADDRESS__
#define SANITIZED 1
#elif defined __has_feature
#define SANITIZED __has_feature(address_sanitizer)
#else
#define SANITIZED 0
#endif

static const struct parser {
	const char *name;
	int (*parse)(const uint8_t *data, size_t size, struct pm_err *e);
} parsers[] = {
	{"archive", parse_archive}, {"hublist", parse_hublist}, {"hublock", parse_hublock}, {"hubname", parse_hubname},
	{"chat", parse_chat}, {"generation", parse_generation}, {"gguf", parse_gguf}, {"gguf_model", parse_gguf_model}, {"imatrix", parse_imatrix}, {"jinja", parse_jinja},
	{"json", parse_json}, {"peft", parse_peft}, {"published", open_published}, {"pieces", parse_pieces}, {"ranks", parse_ranks},
	{"records", parse_records},
	{"safetensors", parse_safetensors}, {"spec", parse_spec}, {"store", parse_store}, {"tokenizer", parse_tokenizer},
	{"tokens", parse_tokens}, {"vocabulary", parse_vocabulary},
};

static long peak_mb(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss / 1024;
}

/* Seconds of this process, and by how many MB its peak may grow; under a sanitizer neither says much. */
static void refused(const struct parser *p, const char *what, const void *data, size_t n, double seconds, long mb)
{
	struct pm_err e = {.text = ""};
	long before = peak_mb(), grown;
	clock_t start = clock();
	double took;
	int r = p->parse(data, n, &e);

	took = (double)(clock() - start) / CLOCKS_PER_SEC;
	grown = peak_mb() - before;
	must_say(r, &e);
	check(r < 0 && (SANITIZED || (took <= seconds && grown <= mb)), "%s: %s: %.300s", p->name, what, r < 0 ? e.text : "accepted");
	if (r < 0 && !SANITIZED && (took > seconds || grown > mb))
		printf("# %.2f s of %.2f, %ld MB of %ld\n", took, seconds, grown, mb);
}

static const struct parser *called(const char *name)
{
	size_t i;

	for (i = 0; strcmp(parsers[i].name, name); i++)
		;
	return &parsers[i];
}

static int visible(const struct dirent *d)
{
	return d->d_name[0] != '.';
}

static void corpus(const struct parser *p)
{
	struct dirent **list;
	struct pm_err e;
	char dir[100];
	int i, n;

	snprintf(dir, sizeof dir, "tests/fuzz/corpus/%s", p->name);
	n = scandir(dir, &list, visible, alphasort);
	check(n > 0, "%s: %d files", p->name, n);
	for (i = 0; i < n; i++) {
		char *path = pm_path(dir, list[i]->d_name, &e);
		struct pm_str s = {0};

		must(path && pm_read_file(&s, path, &e) == 0);
		refused(p, list[i]->d_name, s.data ? s.data : "", s.len, 2, 64);
		pm_str_free(&s);
		free(path);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
}

/* head, then n times the byte c, then tail: to several parsers (their names, each followed by a space). */
static void repeated(const char *names, const char *what, const char *head, char c, size_t n, const char *tail, double seconds, long mb)
{
	size_t a = strlen(head), b = strlen(tail);
	struct pm_err e;
	char *s = pm_alloc(a + n + b, 1, &e), name[20];

	must(s != NULL);
	memcpy(s, head, a);
	memset(s + a, c, n);
	memcpy(s + a + n, tail, b);
	for (; *names; names += strcspn(names, " ") + 1) {
		snprintf(name, sizeof name, "%.*s", (int)strcspn(names, " "), names);
		refused(called(name), what, s, a + n + b, seconds, mb);
	}
	free(s);
}

/* A list of n numbers in a key: each is fine, together they are too many. */
static void many_numbers(const char *parser, const char *what, const char *head, size_t n, const char *tail)
{
	struct pm_str s = {0};
	struct pm_err e;
	size_t i;
	int r = pm_str_puts(&s, head, &e);

	for (i = 0; r == 0 && i < n; i++)
		r = pm_str_printf(&s, &e, "%s%zu", i ? "," : "", i);
	must(r == 0 && pm_str_puts(&s, tail, &e) == 0);
	refused(called(parser), what, s.data, s.len, 2, 200);
	pm_str_free(&s);
}

/* 100 MB of empty strings; the first has eight bytes, so that the last ends too early. */
static void empty_strings(void)
{
	static const char head[] = "GGUF\3\0\0\0\0\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0\1\0\0\0\0\0\0\0x\x9\0\0\0\x8\0\0";
	const size_t n = (size_t)100 << 20, count = (n - 49) / 8;
	struct pm_err e;
	char *s = pm_alloc(n, 1, &e);

	must(s != NULL);
	memcpy(s, head, sizeof head);
	memcpy(s + 41, (unsigned char[]){count & 255, count >> 8 & 255, count >> 16 & 255, count >> 24 & 255}, 4);
	s[49] = 8;
	refused(called("gguf"), "a list of 100 MB of strings that ends too early", s, n, 2, 200);
	free(s);
}

static void large(void)
{
	const size_t mb = 1 << 20;

	repeated("chat generation json peft records spec store tokenizer tokens ", "100000 objects, one in the other", "{\"a\":", '[', 100000, "", 1, 32);
	repeated("chat json ", "100000 lists, one in the other", "", '[', 100000, "", 1, 32);
	repeated("safetensors ", "a header of 100000 lists", "\xa5\x86\x01\0\0\0\0\0{\"a\":", '[', 100000, "", 1, 32);
	repeated("json records tokens ", "one line of 100 MB that does not end", "{\"text\":\"", 'a', 100 * mb, "\n", 10, 700);
	repeated("json tokens ", "a number of 10 MB", "{\"ids\":[", '9', 10 * mb, "]}", 5, 200);
	repeated("json ", "10 MB of minus signs", "[", '-', 10 * mb, "", 5, 200);
	repeated("records ", "10 MB of empty lines, then no record", "", '\n', 10 * mb, "x", 5, 100);
	repeated("tokens ", "10 MB of empty lines", "", '\n', 10 * mb, "", 5, 100);
	repeated("tokens ", "a header of 10 MB", "{\"pm\":\"", 'x', 10 * mb, "\"}\n", 5, 200);
	repeated("spec ", "a model_type of 10 MB", "{\"model_type\":\"", 'x', 10 * mb, "\"}", 5, 200);
	repeated("peft ", "a regular expression of 10 MB", "{\"peft_type\":\"LORA\",\"target_modules\":\"", '(', 10 * mb, "\"}", 5, 300);
	empty_strings();
	many_numbers("generation", "a million end tokens", "{\"eos_token_id\":[", 1000000, "]}");
	many_numbers("peft", "a million layers to transform", "{\"peft_type\":\"LORA\",\"target_modules\":[\"x\"],\"layers_to_transform\":[", 1000000, "]}");
	many_numbers("spec", "a million names of layers", "{\"model_type\":\"llama\",\"layer_types\":[", 1000000, "]}");
}

int main(void)
{
	size_t i;

	setvbuf(stdout, NULL, _IOLBF, 0);      /* so that a crash shows where */
	for (i = 0; i < sizeof parsers / sizeof *parsers; i++)
		corpus(&parsers[i]);
	large();
	return done();
}
