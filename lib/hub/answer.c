#include "hub/answer.h"

#include <ctype.h>
#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void pm_answer_begin(struct pm_answer *a)
{
	*a = (struct pm_answer){.total = UINT64_MAX, .linked_size = UINT64_MAX, .retry_after = -1};
}

static void take(char *out, size_t size, const char *v, size_t n)
{
	if (n >= size)
		n = 0;          /* one that is too long to be kept is as good as none */
	memcpy(out, v, n);
	out[n] = 0;
}

/* Digits, and nothing else in n bytes. */
static bool number(uint64_t *out, const char *v, size_t n)
{
	uint64_t x = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!isdigit((unsigned char)v[i]) || x > (UINT64_MAX - 10) / 10)
			return false;
		x = 10 * x + (uint64_t)(v[i] - '0');
	}
	*out = x;
	return n > 0;
}

/* "bytes 5-9/10", "bytes 5-9/" and a star, "bytes star/10" */
static void content_range(struct pm_answer *a, const char *v, size_t n)
{
	const char *slash = memchr(v, '/', n), *dash;
	uint64_t from, total;

	if (!slash || n < 6 || strncasecmp(v, "bytes ", 6))
		return;
	dash = memchr(v + 6, '-', (size_t)(slash - v) - 6 < n ? (size_t)(slash - v) - 6 : 0);
	a->total = number(&total, slash + 1, n - (size_t)(slash + 1 - v)) ? total : UINT64_MAX;
	if (dash && number(&from, v + 6, (size_t)(dash - v) - 6)) {
		a->from = from;
		a->ranges = true;
	}
}

static void retry_after(struct pm_answer *a, const char *v, size_t n, double now)
{
	char text[100];
	uint64_t seconds;
	time_t at;

	if (number(&seconds, v, n)) {
		a->retry_after = seconds > 1000000 ? 1e6 : (double)seconds;
		return;
	}
	take(text, sizeof text, v, n);
	at = curl_getdate(text, NULL);
	if (at >= 0)
		a->retry_after = (double)at > now ? (double)at - now : 0;
}

/* filename="x" of Content-Disposition; the other form, filename*=UTF-8''x, where it comes. */
static void disposition(struct pm_answer *a, const char *v, size_t n)
{
	char text[512], *p, *end;

	take(text, sizeof text, v, n);
	p = strstr(text, "filename=");
	if (!p)
		return;
	p += 9;
	if (*p == '"') {
		end = strchr(++p, '"');
		if (!end)
			return;
	} else {
		end = p + strcspn(p, "; ");
	}
	take(a->file, sizeof a->file, p, (size_t)(end - p));
}

void pm_answer_tag(char *out, size_t size, const char *etag)
{
	const char *p = etag;
	size_t n;

	if (!strncmp(p, "W/", 2))
		p += 2;
	n = strlen(p);
	if (n >= 2 && p[0] == '"' && p[n - 1] == '"') {
		p++;
		n -= 2;
	}
	take(out, size, p, n);
}

void pm_answer_line(struct pm_answer *a, const char *line, size_t n, double now)
{
	const char *colon, *v;
	size_t name;

	while (n && (line[n - 1] == '\n' || line[n - 1] == '\r' || line[n - 1] == ' ' || line[n - 1] == '\t'))
		n--;
	if (n >= 5 && !strncasecmp(line, "HTTP/", 5)) {
		a->ranges = false;
		a->from = 0;
		a->total = UINT64_MAX;
		a->etag[0] = a->modified[0] = a->link[0] = 0;
		a->retry_after = -1;
		return;
	}
	colon = memchr(line, ':', n);
	if (!colon)
		return;
	name = (size_t)(colon - line);
	for (v = colon + 1; v < line + n && (*v == ' ' || *v == '\t'); v++)
		;
	n -= (size_t)(v - line);
#define IS(text) (name == sizeof text - 1 && !strncasecmp(line, text, name))
	if (IS("content-length") && !a->ranges)
		a->total = number(&a->total, v, n) ? a->total : UINT64_MAX;
	else if (IS("content-range"))
		content_range(a, v, n);
	else if (IS("etag"))
		take(a->etag, sizeof a->etag, v, n);
	else if (IS("last-modified"))
		take(a->modified, sizeof a->modified, v, n);
	else if (IS("retry-after"))
		retry_after(a, v, n, now);
	else if (IS("link"))
		take(a->link, sizeof a->link, v, n);
	else if (IS("x-linked-etag"))
		take(a->linked_etag, sizeof a->linked_etag, v, n);
	else if (IS("x-linked-size"))
		a->linked_size = number(&a->linked_size, v, n) ? a->linked_size : UINT64_MAX;
	else if (IS("x-repo-commit"))
		take(a->commit, sizeof a->commit, v, n);
	else if (IS("x-error-code"))
		take(a->error_code, sizeof a->error_code, v, n);
	else if (IS("x-error-message"))
		take(a->error_text, sizeof a->error_text, v, n);
	else if (IS("content-disposition"))
		disposition(a, v, n);
#undef IS
}

bool pm_answer_again(const struct pm_answer *a)
{
	return a->status == 408 || a->status == 429 || a->status >= 500;
}

int pm_answer_fail(const struct pm_answer *a, const char *name, bool with_token, struct pm_err *e)
{
	const char *code = a->error_code, *text = a->error_text;

	if (a->status == 404 || a->status == 410)
		return pm_fail(e, PM_NOINPUT, "%s: there is no such %s (the server says %ld)", name, !strcmp(code, "RevisionNotFound") ? "revision" :
		    !strcmp(code, "EntryNotFound") ? "file" : !strcmp(code, "RepoNotFound") ? "repository" : "repository, revision or file", a->status);
	if (a->status == 401 || a->status == 403)
		return pm_fail(e, PM_NOPERM, "%s: the server refuses it (%ld)%s%s%s", name, a->status,
		    !strcmp(code, "GatedRepo") ? ": its owner grants access on its page" : with_token ? ": the token does not allow it" :
		    ": it is not there, or needs a token (HF_TOKEN)", *text ? ": " : "", text);
	if (pm_answer_again(a))
		return pm_fail(e, PM_TRYAGAIN, "%s: the server says %ld%s%s%s", name, a->status, a->status == 429 ? ", too many requests" : "",
		    *text ? ": " : "", text);
	return pm_fail(e, PM_NODEVICE, "%s: the server says %ld, which was not expected%s%s", name, a->status, *text ? ": " : "", text);
}
