#include "cli/tool.h"

#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/file.h"
#include "base/mem.h"

static struct pm_str command;                   /* written once, before anything else runs */
static volatile sig_atomic_t signal_got;

/* One line, whatever text of a file is in it: control characters become "?". */
static int print_failure(const struct pm_tool *t, struct pm_err *e)
{
	char *s;

	for (s = e->text; *s; s++)
		if ((unsigned char)*s < 32 || *s == 127)
			*s = '?';
	fprintf(stderr, "%s: %s\n", t->name, e->text);
	return e->status ? (int)e->status : PM_SOFTWARE;
}

/* Appends a word of the command line, in quotes where a shell would need them. */
static int add_word(const char *word, struct pm_err *e)
{
	const char *p;

	if (*word && !word[strspn(word, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.,:=/+@%^")])
		return pm_str_puts(&command, word, e);
	if (pm_str_puts(&command, "'", e) < 0)
		return -1;
	for (p = word; *p; p++)
		if (pm_str_put(&command, *p == '\'' ? "'\\''" : p, *p == '\'' ? 4 : 1, e) < 0)
			return -1;
	return pm_str_puts(&command, "'", e);
}

/* The first files opened would be standard input, output or errors where one of these is closed, and be written over. What takes its
 * place can be read or written as little. */
static void hold_closed(void)
{
	int fd;

	for (fd = 0; fd < 3; fd++)
		if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd ? O_RDONLY : O_WRONLY) < 0)
			return;
}

int pm_tool_main(struct pm_tool *t, int argc, char **argv, int (*run)(struct pm_tool *, int, char **, struct pm_err *))
{
	struct pm_err e = {0};
	int i, status = 0;

	hold_closed();
	pm_env_opencl(pm_env_word("PM_MASK"));
	if (pm_str_puts(&command, t->name, &e) < 0)
		return print_failure(t, &e);
	for (i = 1; i < argc; i++)
		if (pm_str_puts(&command, " ", &e) < 0 || add_word(argv[i], &e) < 0)
			return print_failure(t, &e);
	if (pm_opt_parse(t, &argc, argv, &e) < 0)
		status = -1;
	else if (t->help)
		pm_opt_help(t);
	else if (t->version)
		printf("%s (pm) %s\n", t->name, pm_tool_version());
	else
		status = run(t, argc, argv, &e);
	if (status < 0)
		status = print_failure(t, &e);
	if ((fflush(stdout) || ferror(stdout)) && status == 0) {
		pm_fail_errno(&e, PM_IOERR, "cannot write the output");
		status = print_failure(t, &e);
	}
	pm_str_free(&command);
	return status;
}

const char *pm_tool_command(void)
{
	return command.data;
}

const char *pm_tool_version(void)
{
	return PM_VERSION;
}

int pm_print_json(const json_t *v, struct pm_err *e)
{
	struct pm_str s = {0};
	int r = pm_json_text(&s, v, e);

	if (r == 0)
		puts(s.data);
	pm_str_free(&s);
	return r;
}

void pm_say(const struct pm_tool *t, const char *fmt, ...)
{
	va_list ap;

	fprintf(stderr, "%s: ", t->name);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	putc('\n', stderr);
}

double pm_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + 1e-9 * (double)ts.tv_nsec;
}

void pm_progress_begin(struct pm_progress *p, const char *what, const char *unit, uint64_t total, bool quiet)
{
	const char *force = getenv("PM_PROGRESS");

	*p = (struct pm_progress){.what = what, .unit = unit, .total = total, .start = pm_clock()};
	p->on = !quiet && (isatty(2) || (force && !strcmp(force, "1")));
}

void pm_progress_at(struct pm_progress *p, uint64_t done, const char *extra)
{
	double now, rate, left;

	if (!p->on || ((now = pm_clock()) < p->shown + 0.1 && done != p->total))
		return;
	p->shown = now;
	rate = now > p->start ? (double)done / (now - p->start) : 0;
	fprintf(stderr, "\r\033[K%s  %llu", p->what, (unsigned long long)done);
	if (p->total)
		fprintf(stderr, "/%llu  %.0f%%", (unsigned long long)p->total, 100.0 * (double)done / (double)p->total);
	fprintf(stderr, "  %.*f %s/s", rate < 100 ? 1 : 0, rate, p->unit);
	if (p->total > done && rate > 0) {
		left = fmin((double)(p->total - done) / rate, 1e9);
		if (left >= 3600)
			fprintf(stderr, "  %d:%02d:%02d left", (int)left / 3600, (int)left / 60 % 60, (int)left % 60);
		else
			fprintf(stderr, "  %d:%02d left", (int)left / 60, (int)left % 60);
	}
	if (extra)
		fprintf(stderr, "  %s", extra);
	fflush(stderr);
}

void pm_progress_end(struct pm_progress *p)
{
	if (p->on)
		fprintf(stderr, "\r\033[K");
	p->on = false;
}

static void on_signal(int number)
{
	signal_got = number;
}

void pm_signals_catch(void)
{
	struct sigaction sa = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
}

int pm_signals_got(void)
{
	return (int)signal_got;
}
