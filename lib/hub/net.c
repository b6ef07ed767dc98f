#include "hub/net.h"

#include <curl/curl.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/rng.h"
#include "hub/transfer.h"

#define HOPS 10
#define LONGEST_WAIT 300.0

struct pm_net {
	struct pm_net_opts o;
	CURLM *multi;
	int (*ready)(void *arg, struct pm_job *job, struct pm_err *e);
	void *arg;
	uint64_t draws;
	double ticked;
};

int pm_net_open(struct pm_net **out, const struct pm_net_opts *o, struct pm_err *e)
{
	struct pm_net *n = pm_alloc(1, sizeof *n, e);

	if (!n)
		return -1;
	n->o = *o;
	if (curl_global_init(CURL_GLOBAL_DEFAULT) || !(n->multi = curl_multi_init())) {
		free(n);
		return pm_fail(e, PM_SOFTWARE, "libcurl cannot begin");
	}
	curl_multi_setopt(n->multi, CURLMOPT_MAX_HOST_CONNECTIONS, (long)o->jobs);
	*out = n;
	return 0;
}

void pm_net_close(struct pm_net *n)
{
	if (!n)
		return;
	curl_multi_cleanup(n->multi);
	curl_global_cleanup();
	free(n);
}

static size_t on_header(char *line, size_t size, size_t n, void *arg)
{
	struct pm_job *j = arg;
	long status = 0;

	j->own->heard = 0;
	if (n * size > 5 && !strncasecmp(line, "HTTP/", 5)) {
		curl_easy_getinfo(j->own->easy, CURLINFO_RESPONSE_CODE, &status);
		j->answer.status = status;
	}
	pm_answer_line(&j->answer, line, size * n, (double)time(NULL));
	return size * n;
}

static size_t on_bytes(char *bytes, size_t size, size_t n, void *arg)
{
	struct pm_job *j = arg;

	j->own->heard = 0;
	j->received += size * n;
	curl_easy_getinfo(j->own->easy, CURLINFO_RESPONSE_CODE, &j->answer.status);
	return pm_transfer_bytes(j, bytes, size * n) < 0 ? CURL_WRITEFUNC_ERROR : size * n;
}

/* Whether two addresses have the same scheme, host and port. */
static bool same_origin(const char *a, const char *b)
{
	CURLU *u[2] = {curl_url(), curl_url()};
	static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
	bool same = u[0] && u[1] && !curl_url_set(u[0], CURLUPART_URL, a, 0) && !curl_url_set(u[1], CURLUPART_URL, b, 0);
	size_t i;

	for (i = 0; same && i < 3; i++) {
		char *s = NULL, *t = NULL;

		same = !curl_url_get(u[0], parts[i], &s, CURLU_DEFAULT_PORT) && !curl_url_get(u[1], parts[i], &t, CURLU_DEFAULT_PORT) && !strcasecmp(s, t);
		curl_free(s);
		curl_free(t);
	}
	curl_url_cleanup(u[0]);
	curl_url_cleanup(u[1]);
	return same;
}

static int header(struct pm_job *j, struct pm_err *e, const char *fmt, ...) PM_PRINTF(3, 4);

static int header(struct pm_job *j, struct pm_err *e, const char *fmt, ...)
{
	char line[4300];
	struct curl_slist *l;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	l = curl_slist_append(j->own->headers, line);
	if (!l)
		return pm_fail(e, PM_SOFTWARE, "out of memory");
	j->own->headers = l;
	return 0;
}

/* Asks for what is missing, at the address where the job is by now. */
static int request(struct pm_net *n, struct pm_job *j, struct pm_err *e)
{
	struct pm_job_own *o = j->own;
	CURL *c = curl_easy_init();
	int r = c ? 0 : pm_fail(e, PM_SOFTWARE, "libcurl cannot begin");

	o->easy = c;
	o->body_begun = false;
	o->heard = 0;
	o->text[0] = 0;
	pm_str_clear(&j->body);
	if (r == 0 && j->part && j->done && (o->whole || (!j->hash[0] && !o->tag[0])))
		r = pm_transfer_restart(j, e);
	if (r == 0 && j->part && j->done)
		r = header(j, e, "Range: bytes=%llu-", (unsigned long long)j->done);
	if (r == 0 && j->part && j->done && !j->hash[0])
		r = header(j, e, "If-Range: %s", o->tag);
	if (o->hops == 0)
		pm_answer_begin(&j->answer);
	if (r == 0 && n->o.token && same_origin(o->at, n->o.endpoint))
		r = header(j, e, "Authorization: Bearer %s", n->o.token);
	if (r == 0 && j->etag)
		r = header(j, e, "If-None-Match: %s", j->etag);
	if (r == 0 && j->modified && !j->etag)
		r = header(j, e, "If-Modified-Since: %s", j->modified);
	if (r < 0)
		return -1;
	curl_easy_setopt(c, CURLOPT_URL, o->at);
	curl_easy_setopt(c, CURLOPT_PRIVATE, j);
	curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(c, CURLOPT_NOBODY, (long)j->head);
	curl_easy_setopt(c, CURLOPT_HTTPHEADER, o->headers);
	curl_easy_setopt(c, CURLOPT_USERAGENT, n->o.agent);
	curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(c, CURLOPT_HEADERDATA, j);
	curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_bytes);
	curl_easy_setopt(c, CURLOPT_WRITEDATA, j);
	curl_easy_setopt(c, CURLOPT_ERRORBUFFER, o->text);
	curl_easy_setopt(c, CURLOPT_BUFFERSIZE, 262144L);
	curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT_MS, (long)fmin(n->o.timeout * 1000, 1e9) + 1);
	if (n->o.ca_file)
		curl_easy_setopt(c, CURLOPT_CAINFO, n->o.ca_file);
	if (curl_multi_add_handle(n->multi, c))
		return pm_fail(e, PM_SOFTWARE, "libcurl cannot begin a transfer");
	return 0;
}

static void hang_up(struct pm_net *n, struct pm_job *j)
{
	struct pm_job_own *o = j->own;

	if (!o || !o->easy)
		return;
	curl_multi_remove_handle(n->multi, o->easy);
	curl_easy_cleanup(o->easy);
	curl_slist_free_all(o->headers);
	o->easy = o->headers = NULL;
}

static void ended(struct pm_net *n, struct pm_job *j, enum pm_job_state how)
{
	hang_up(n, j);
	j->state = how;
	pm_transfer_close(j);
}

static int set_at(struct pm_job *j, const char *url, struct pm_err *e)
{
	char *copy = pm_strndup(url, strcspn(url, "#"), e);

	if (!copy)
		return -1;
	free(j->own->at);
	j->own->at = copy;
	return 0;
}

/* The next attempt, or the end of patience. The error says why, with the status that the job ends with. */
static void again(struct pm_net *n, struct pm_job *j, double wait)
{
	double pause = n->o.delay * pow(2, j->attempts < 16 ? j->attempts : 16);

	hang_up(n, j);
	if (j->attempts >= n->o.retries || wait > LONGEST_WAIT) {
		if (wait > LONGEST_WAIT)
			pm_ctx(&j->err, "the server asks to wait %.0f s", wait);
		ended(n, j, PM_JOB_FAILED);
		return;
	}
	pause = fmin(pause, 60) * (0.75 + 0.5 * (double)pm_rng_uniform((uint64_t)getpid(), 0, n->draws++));
	j->attempts++;
	j->own->wake = n->o.clock() + (wait >= 0 ? wait : pause);
	j->own->hops = 0;
	j->state = PM_JOB_SLEEP;
	if (set_at(j, j->url, &j->err) < 0)
		ended(n, j, PM_JOB_FAILED);
}

static int run(struct pm_net *n, struct pm_job *j)
{
	j->state = PM_JOB_RUN;
	if (request(n, j, &j->err) == 0)
		return 0;
	ended(n, j, PM_JOB_FAILED);
	return -1;
}

static void follow(struct pm_net *n, struct pm_job *j)
{
	char *to = NULL;
	int r;

	if (j->own->hops == 0)
		memcpy(j->answer.hub_etag, j->answer.etag, sizeof j->answer.etag);
	curl_easy_getinfo(j->own->easy, CURLINFO_REDIRECT_URL, &to);
	if (!to || j->own->hops++ >= HOPS)
		r = pm_fail(&j->err, PM_NODEVICE, "%s: %s", j->name, to ? "the server sends us from one address to the next, more than ten times" :
		    "the server sends us elsewhere and does not say where");
	else if (!strncasecmp(j->own->at, "https:", 6) && strncasecmp(to, "https:", 6))
		r = pm_fail(&j->err, PM_NODEVICE, "%s: the server sends us from https to another scheme", j->name);
	else
		r = set_at(j, to, &j->err);
	hang_up(n, j);
	if (r < 0)
		ended(n, j, PM_JOB_FAILED);
	else
		run(n, j);
}

static void finish(struct pm_net *n, struct pm_job *j)
{
	struct pm_err e = {0};
	int r = pm_transfer_settle(j, &e);

	if (r == 0 && n->ready) {
		j->state = PM_JOB_DONE;
		r = n->ready(n->arg, j, &e);
	}
	if (r == 0) {
		ended(n, j, PM_JOB_DONE);
		return;
	}
	j->err = e;
	if (r == 2) {
		pm_fail(&j->err, PM_NODEVICE, "%s: the connection ended after %llu of %llu bytes", j->name, (unsigned long long)j->done,
		    (unsigned long long)(j->size != UINT64_MAX ? j->size : j->answer.total));
		again(n, j, -1);
	} else if (r == 1) {
		hang_up(n, j);
		j->own->hops = 0;
		if (set_at(j, j->url, &j->err) < 0)
			ended(n, j, PM_JOB_FAILED);
		else
			run(n, j);
	} else {
		ended(n, j, PM_JOB_FAILED);
	}
}

/* An answer without a fault of the connection. */
static void answered(struct pm_net *n, struct pm_job *j)
{
	struct pm_answer *a = &j->answer;

	if (a->status >= 200 && a->status <= 299) {
		hang_up(n, j);
		finish(n, j);
	} else if (a->status == 304 && (j->etag || j->modified)) {
		ended(n, j, PM_JOB_DONE);
	} else if (a->status >= 300 && a->status <= 399 && j->head && a->linked_etag[0]) {
		hang_up(n, j);          /* all that was asked for is said; where the bytes are may not answer to HEAD */
		finish(n, j);
	} else if (a->status >= 300 && a->status <= 399) {
		follow(n, j);
	} else if (a->status == 416 && j->part && j->done && !j->own->whole) {
		j->own->whole = true;
		hang_up(n, j);
		run(n, j);
	} else {
		pm_answer_fail(a, j->name, n->o.token != NULL, &j->err);
		if (pm_answer_again(a))
			again(n, j, a->retry_after);
		else
			ended(n, j, PM_JOB_FAILED);
	}
}

static void broken(struct pm_net *n, struct pm_job *j, CURLcode code)
{
	const char *why = j->own->text[0] ? j->own->text : curl_easy_strerror(code);

	if (code == CURLE_WRITE_ERROR && j->err.status == 0 && j->err.text[0] && j->own->whole) {
		again(n, j, 0);         /* the ranges were not those that we asked for: everything, then */
		return;
	}
	if (code == CURLE_WRITE_ERROR && j->err.status) {
		ended(n, j, PM_JOB_FAILED);
		return;
	}
	pm_fail(&j->err, PM_NODEVICE, "%s: %s", j->name, why);
	switch (code) {
	case CURLE_URL_MALFORMAT:
	case CURLE_UNSUPPORTED_PROTOCOL:
		j->err.status = PM_USAGE;
		/* fall through */
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		ended(n, j, PM_JOB_FAILED);
		break;
	default:
		again(n, j, -1);
	}
}

static void collect(struct pm_net *n)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(n->multi, &left))) {
		CURLcode code = m->data.result;
		struct pm_job *j = NULL;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&j);
		curl_easy_getinfo(m->easy_handle, CURLINFO_RESPONSE_CODE, &j->answer.status);
		if (code == CURLE_OK)
			answered(n, j);
		else
			broken(n, j, code);
	}
}

static int start(struct pm_net *n, struct pm_job *j, struct pm_err *e)
{
	if (!j->own) {
		j->own = pm_alloc(1, sizeof *j->own, e);
		if (!j->own)
			return -1;
		j->own->fd = j->own->lock = -1;
		pm_answer_begin(&j->answer);
	}
	if (set_at(j, j->url, e) < 0)
		return -1;
	if (pm_transfer_open(j, &j->err) < 0)
		ended(n, j, PM_JOB_FAILED);
	else if (j->state == PM_JOB_LOCKED)
		j->own->wake = n->o.clock() + 0.1;
	else if (j->state == PM_JOB_DONE && n->ready && n->ready(n->arg, j, &j->err) < 0)
		ended(n, j, PM_JOB_FAILED);
	else if (j->state == PM_JOB_DONE)
		pm_transfer_close(j);
	return 0;
}

/* One step of one job; `busy` counts those that take a place. */
static int step(struct pm_net *n, struct pm_job *j, int *busy, double now, struct pm_err *e)
{
	switch (j->state) {
	case PM_JOB_NEW:
		if (*busy >= n->o.jobs)
			return 0;
		if (start(n, j, e) < 0)
			return -1;
		break;
	case PM_JOB_LOCKED:
		if (now >= j->own->wake && *busy < n->o.jobs && start(n, j, e) < 0)
			return -1;
		break;
	case PM_JOB_READ:
		if (pm_transfer_read(j, &j->err) < 0)
			ended(n, j, PM_JOB_FAILED);
		break;
	case PM_JOB_SLEEP:
		if (now >= j->own->wake)
			run(n, j);
		break;
	default:
		break;
	}
	if (j->state == PM_JOB_RUN && !j->own->easy) {
		if (pm_transfer_complete(j))
			finish(n, j);
		else
			run(n, j);
	}
	if (j->state == PM_JOB_RUN && j->own->easy) {
		if (j->own->heard == 0)
			j->own->heard = now;
		double patience = j->part ? n->o.timeout : n->o.answer_timeout;

		if (now - j->own->heard > patience) {
			pm_fail(&j->err, PM_NODEVICE, "%s: nothing came for %g s", j->name, patience);
			again(n, j, -1);
		}
	}
	*busy += j->state == PM_JOB_RUN || j->state == PM_JOB_READ || j->state == PM_JOB_SLEEP;
	return 0;
}

static void tick(struct pm_net *n, const struct pm_job *jobs, size_t njobs, double now, bool last)
{
	if (n->o.tick && (last || now - n->ticked >= 0.1)) {
		n->o.tick(n->o.arg, jobs, njobs);
		n->ticked = now;
	}
}

/* The first that failed, if its kind of failure ends everything, or all jobs are at their ends. */
static const struct pm_job *failed(const struct pm_job *jobs, size_t njobs, bool all)
{
	size_t i;

	for (i = 0; i < njobs; i++)
		if (jobs[i].state == PM_JOB_FAILED && (all || (jobs[i].err.status != PM_DATA && jobs[i].err.status != PM_NOINPUT)))
			return &jobs[i];
	return NULL;
}

int pm_net_run(struct pm_net *n, struct pm_job *jobs, size_t njobs, int (*ready)(void *arg, struct pm_job *job, struct pm_err *e), void *arg,
	struct pm_err *e)
{
	size_t i, open = 0, first = 0;
	int r = 0, running;

	n->ready = ready;
	n->arg = arg;
	do {
		double now = n->o.clock();
		bool reading = false;
		int busy = 0;

		while (first < njobs && (jobs[first].state == PM_JOB_DONE || jobs[first].state == PM_JOB_FAILED))
			first++;
		for (i = first, open = 0; r == 0 && i < njobs; i++) {
			if (busy >= n->o.jobs && jobs[i].state == PM_JOB_NEW) {
				open++;
				break;
			}
			r = step(n, &jobs[i], &busy, now, e);
			reading |= jobs[i].state == PM_JOB_READ || jobs[i].state == PM_JOB_NEW;
			open += jobs[i].state != PM_JOB_DONE && jobs[i].state != PM_JOB_FAILED;
		}
		if (r < 0 || failed(jobs, njobs, false))
			break;
		if (n->o.stop && n->o.stop())
			r = 1;
		if (r == 0 && open) {
			curl_multi_perform(n->multi, &running);
			collect(n);
			tick(n, jobs, njobs, now, false);
			curl_multi_poll(n->multi, NULL, 0, reading ? 0 : 50, NULL);
		}
	} while (r == 0 && open);
	tick(n, jobs, njobs, n->o.clock(), true);
	for (i = 0; i < njobs; i++)
		if (jobs[i].own && jobs[i].state != PM_JOB_DONE && jobs[i].state != PM_JOB_FAILED)
			ended(n, &jobs[i], jobs[i].state);
	if (r == 0 && (failed(jobs, njobs, false) || failed(jobs, njobs, true))) {
		*e = failed(jobs, njobs, false) ? failed(jobs, njobs, false)->err : failed(jobs, njobs, true)->err;
		r = -1;
	}
	return r;
}

int pm_net_get(struct pm_net *n, struct pm_job *job, struct pm_err *e)
{
	return pm_net_run(n, job, 1, NULL, NULL, e);
}

char *pm_net_join(const char *base, const char *to, struct pm_err *e)
{
	CURLU *u = curl_url();
	char *s = NULL, *copy;

	if (!u || curl_url_set(u, CURLUPART_URL, base, 0) || curl_url_set(u, CURLUPART_URL, to, 0) || curl_url_get(u, CURLUPART_URL, &s, 0))
		pm_fail(e, PM_DATA, "'%.500s': an address was wanted", to);
	copy = s ? pm_strdup(s, e) : NULL;
	curl_free(s);
	curl_url_cleanup(u);
	return copy;
}

int pm_net_escape(struct pm_str *out, const char *text, bool path, struct pm_err *e)
{
	const char *p;

	for (p = text; *p; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') || strchr("-._~", *p) || (path && *p == '/');

		if ((plain ? pm_str_put(out, p, 1, e) : pm_str_printf(out, e, "%%%02X", (unsigned char)*p)) < 0)
			return -1;
	}
	return 0;
}

void pm_job_free(struct pm_job *j)
{
	if (j->own) {
		pm_transfer_close(j);
		free(j->own->at);
		free(j->own);
		j->own = NULL;
	}
	pm_str_free(&j->body);
}
