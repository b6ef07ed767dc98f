/* tokbench: how fast a tokenizer encodes, measured as ../shared/bench/peer_tokenize.py does for others: the text is repeated to the wanted size
 * and cut into documents at blank lines; one call a document, the median of several runs. usage: tokbench TOKENIZER.json TEXT [MB] */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"
#include "base/parallel.h"
#include "cli/tool.h"
#include "text/tokenizer.h"

enum { RUNS = 7 };

struct docs {
	struct pm_tokenizer *t;
	struct doc { size_t at, n; } *v;
	size_t n, cap, bytes, tasks;
	const char *text;
	size_t *tokens;
};

/* Each task takes a run of documents. */
static int encode(void *arg, size_t i, struct pm_err *e)
{
	static const struct pm_encode_opts o = {0};
	struct docs *d = arg;
	struct pm_encoding enc = {0};
	size_t from = d->n * i / d->tasks, to = d->n * (i + 1) / d->tasks;
	int r = 0;

	d->tokens[i] = 0;
	for (; r == 0 && from < to; from++) {
		enc.n = 0;
		r = pm_tokenizer_encode(d->t, d->text + d->v[from].at, d->v[from].n, &o, &enc, e);
		d->tokens[i] += enc.n;
	}
	pm_encoding_free(&enc);
	return r;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* On one thread the processor's time, which other work on the machine does not lengthen; else the clock's. */
static double now(size_t threads)
{
	struct timespec t;

	if (threads > 1)
		return pm_clock();
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* MB/s with so many threads. */
static double rate(struct docs *d, size_t threads, struct pm_err *e)
{
	double took[RUNS], start;

	d->tasks = threads > 1 ? 16 * threads : 1;
	for (int i = 0; i < RUNS; i++) {
		start = now(threads);
		if (pm_parallel(threads, d->tasks, encode, d, e) < 0)
			return -1;
		took[i] = now(threads) - start;
	}
	qsort(took, RUNS, sizeof *took, by_value);
	return (double)d->bytes / 1e6 / took[RUNS / 2];
}

static int cut(struct docs *d, struct pm_str *text, size_t want, struct pm_err *e)
{
	size_t i = 0, end, once = text->len;
	char *copy = pm_strndup(text->data ? text->data : "", once, e);
	const char *p;
	int r = copy && once ? 0 : -1;

	while (r == 0 && text->len < want)
		r = pm_str_puts(text, "\n\n", e) < 0 || pm_str_put(text, copy, once, e) < 0 ? -1 : 0;
	free(copy);
	if (r < 0)
		return -1;
	d->text = text->data;
	for (; i < text->len && d->bytes < want; i = end + 2) {
		p = strstr(text->data + i, "\n\n");
		end = p ? (size_t)(p - text->data) : text->len;
		if (strspn(text->data + i, " \t\r\n") >= end - i)
			continue;
		if (pm_grow(&d->v, &d->cap, d->n + 1, sizeof *d->v, e) < 0)
			return -1;
		d->v[d->n].at = i;
		d->v[d->n++].n = end - i;
		d->bytes += end - i;
	}
	return 0;
}

static int run(int argc, char **argv, struct pm_err *e)
{
	size_t threads = (size_t)sysconf(_SC_NPROCESSORS_ONLN), tokens;
	struct docs d = {0};
	struct pm_str text = {0};
	double one, all, start;

	if (argc < 3)
		return pm_fail(e, PM_USAGE, "a tokenizer and a text were wanted");
	d.tokens = pm_alloc(16 * threads, sizeof *d.tokens, e);
	start = pm_clock();
	if (!d.tokens || pm_tokenizer_open(&d.t, argv[1], e) < 0)
		return -1;
	start = pm_clock() - start;
	if (pm_read_file(&text, argv[2], e) < 0 || cut(&d, &text, (size_t)(1e6 * (argc > 3 ? strtod(argv[3], NULL) : 8)), e) < 0)
		return -1;
	one = rate(&d, 1, e);
	tokens = d.tokens[0];
	all = one < 0 ? -1 : rate(&d, threads, e);
	if (all < 0)
		return -1;
	printf("{\"load_s\":%.3f,\"docs\":%zu,\"mb\":%.2f,\"tokens\":%zu,\"one_core_mb_s\":%.1f,\"batch_mb_s\":%.1f,\"cores\":%zu}\n", start, d.n,
		(double)d.bytes / 1e6, tokens, one, all, threads);
	pm_tokenizer_close(d.t);
	pm_str_free(&text);
	free(d.v);
	free(d.tokens);
	return 0;
}

/* repeat C MB: a text of one character. */
static int repeat(const char *c, double mb)
{
	size_t n = strlen(c);

	for (size_t i = 0; n && i < (size_t)(mb * 1e6) / n; i++)
		fputs(c, stdout);
	return ferror(stdout) ? 1 : 0;
}

/* tool COMMAND …: seconds that it took (of its processor), and MB that it held. */
static int tool(char **argv)
{
	struct rusage u;
	pid_t child = fork();
	int status;

	if (child == 0) {
		execv(argv[0], argv);
		_exit(127);
	}
	if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
		return 1;
	getrusage(RUSAGE_CHILDREN, &u);
	printf("%.2f %ld\n", (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + 1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec), u.ru_maxrss / 1024);
	return 0;
}

int main(int argc, char **argv)
{
	struct pm_err e = {.text = ""};

	if (argc == 4 && !strcmp(argv[1], "repeat"))
		return repeat(argv[2], strtod(argv[3], NULL));
	if (argc > 2 && !strcmp(argv[1], "tool"))
		return tool(argv + 2);
	if (run(argc, argv, &e) == 0)
		return 0;
	fprintf(stderr, "tokbench: %s\n", e.text);
	return (int)e.status;
}
