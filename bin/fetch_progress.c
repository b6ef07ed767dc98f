/* fetch_progress: what a terminal shows of files on their way. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "bin/fetch.h"

#define MOST_LINES 12

const char *fetch_bytes(char out[32], double n)
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	int i = 0;

	for (; n >= 999.5 && i < 4; i++)
		n /= 1000;
	snprintf(out, 32, "%.*f %s", i && n < 9.995 ? 2 : i && n < 99.95 ? 1 : 0, n, units[i]);
	return out;
}

void fetch_progress_begin(struct fetch_progress *p, const struct pm_tool *t, bool quiet, bool verbose)
{
	const char *columns = pm_env_word("COLUMNS");
	struct winsize size = {0};
	long width = columns ? strtol(columns, NULL, 10) : ioctl(2, TIOCGWINSZ, &size) == 0 && size.ws_col ? size.ws_col : 80;

	*p = (struct fetch_progress){.tool = t, .verbose = verbose, .start = pm_clock(), .width = width > 20 && width < 1000 ? (int)width : 80};
	p->on = !quiet && !pm_env_is_true("HF_HUB_DISABLE_PROGRESS_BARS") && (isatty(2) || pm_env_is_true("PM_PROGRESS"));
}

/* Back to the first of the lines drawn. */
static void wipe(struct fetch_progress *p)
{
	if (p->lines)
		fprintf(stderr, "\033[%dA\r\033[J", p->lines);
	p->lines = 0;
}

static const char *time_left(char out[32], double seconds)
{
	long s = (long)seconds;

	if (s >= 3600)
		snprintf(out, 32, "%ld:%02ld:%02ld left", s / 3600, s / 60 % 60, s % 60);
	else
		snprintf(out, 32, "%ld:%02ld left", s / 60, s % 60);
	return out;
}

/* "model-00001-of-00002.safetensors  1.20 GB of 4.97 GB  24%", the name cut at its front where the line is short. */
static void line(const struct fetch_progress *p, const struct pm_job *j)
{
	char have[32], all[32], state[100];
	size_t n = strlen(j->name);
	int room;

	if (j->state == PM_JOB_LOCKED)
		snprintf(state, sizeof state, "another process fetches it");
	else if (j->state == PM_JOB_SLEEP)
		snprintf(state, sizeof state, "again soon (attempt %d)", j->attempts + 1);
	else if (j->state == PM_JOB_READ)
		snprintf(state, sizeof state, "reading %s that are there", fetch_bytes(have, (double)j->done));
	else if (j->size != UINT64_MAX && j->size)
		snprintf(state, sizeof state, "%s of %s %3.0f%%", fetch_bytes(have, (double)j->done), fetch_bytes(all, (double)j->size),
		    100 * (double)j->done / (double)j->size);
	else
		snprintf(state, sizeof state, "%s", fetch_bytes(have, (double)j->done));
	room = p->width - (int)strlen(state) - 3;
	if (room < 4)
		room = 4;
	fprintf(stderr, "%s%-*.*s  %s\n", (int)n > room ? "…" : "", (int)n > room ? room - 1 : room, room, (int)n > room ? j->name + n - (size_t)room + 1 : j->name, state);
}

/* What is said once of each job: that it is there; with -v, why it is tried again. */
static void news(struct fetch_progress *p, const struct pm_job *j, unsigned char *seen)
{
	char size[32];

	if (j->state == PM_JOB_DONE && *seen != 255) {
		*seen = 255;
		if (p->on && j->part)
			fprintf(stderr, "%s  %s%s\n", j->name, fetch_bytes(size, (double)j->done), j->present ? ", fetched by another process" : "");
	} else if (j->state == PM_JOB_SLEEP && j->attempts != *seen && j->attempts < 255) {
		*seen = (unsigned char)j->attempts;
		if (p->verbose)
			pm_say(p->tool, "%s; attempt %d follows", j->err.text, j->attempts + 1);
	}
}

void fetch_progress_at(void *arg, const struct pm_job *jobs, size_t n)
{
	struct fetch_progress *p = arg;
	char have[32], all[32], rate[32], left[32];
	double done = 0, total = 0, got = 0, took = pm_clock() - p->start;
	size_t i, files = 0;
	struct pm_err e;

	if (!p->on && !p->verbose)
		return;
	if (jobs != p->jobs || n != p->nseen) {
		if (pm_grow(&p->seen, &p->cap, n, 1, &e) < 0)
			return;
		memset(p->seen, 0, n);
		p->jobs = jobs;
		p->nseen = n;
	}
	if (p->on)
		wipe(p);
	for (i = 0; i < n; i++)
		news(p, &jobs[i], &p->seen[i]);
	if (!p->on || !jobs[0].part)
		return;
	for (i = 0; i < n; i++) {
		const struct pm_job *j = &jobs[i];

		done += (double)j->done;
		got += (double)j->received;
		total += j->size != UINT64_MAX ? (double)j->size : (double)j->done;
		files += j->state == PM_JOB_DONE;
		if (j->state != PM_JOB_NEW && j->state != PM_JOB_DONE && j->state != PM_JOB_FAILED && p->lines < MOST_LINES) {
			line(p, j);
			p->lines++;
		}
	}
	fprintf(stderr, "%zu of %zu files  %s of %s  %s/s", files, n, fetch_bytes(have, done), fetch_bytes(all, total),
	    fetch_bytes(rate, took > 0 ? got / took : 0));
	if (got > 0 && total > done)
		fprintf(stderr, "  %s", time_left(left, (total - done) * took / got < 1e8 ? (total - done) * took / got : 1e8));
	fputc('\n', stderr);
	p->lines++;
	fflush(stderr);
}

void fetch_progress_end(struct fetch_progress *p)
{
	if (p->on)
		wipe(p);
	free(p->seen);
	p->seen = NULL;
	p->jobs = NULL;
	p->nseen = p->cap = 0;
}
