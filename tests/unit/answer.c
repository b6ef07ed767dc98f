/* answer: the heads of HTTP answers, and what a status means. */
#include <string.h>

#include "hub/answer.h"
#include "tap.h"

static struct pm_answer a;

static void head(const char *text)
{
	size_t n;

	pm_answer_begin(&a);
	for (; *text; text += n) {
		n = strcspn(text, "\n") + (strchr(text, '\n') != NULL);
		pm_answer_line(&a, text, n, 1000000000);        /* 2001-09-09 01:46:40 */
	}
}

static void status(long code, const char *error, bool token, int want, const char *text)
{
	struct pm_err e;

	pm_answer_begin(&a);
	a.status = code;
	snprintf(a.error_code, sizeof a.error_code, "%s", error);
	check(pm_answer_fail(&a, "x", token, &e) == -1 && (int)e.status == want && strstr(e.text, text), "%ld: %d: %s", code, (int)e.status, e.text);
	check(pm_answer_again(&a) == (want == PM_TRYAGAIN), "%ld: whether to try again", code);
}

int main(void)
{
	char tag[200], small[5];

	head("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nETag:  \"x\"  \r\nRETRY-AFTER: 7\r\nnonsense\r\n\r\n");
	check(a.total == 5 && !a.ranges && !strcmp(a.etag, "\"x\"") && a.retry_after == 7, "names of any case, blanks around values");
	head("HTTP/1.1 302 Found\r\nX-Linked-Etag: \"l\"\r\nX-Linked-Size: 9\r\nX-Repo-Commit: c\r\nETag: y\r\nContent-Length: 3\r\nHTTP/1.1 200 OK\r\n");
	check(!strcmp(a.linked_etag, "\"l\"") && a.linked_size == 9 && !strcmp(a.commit, "c") && !a.etag[0] && a.total == UINT64_MAX, "what the hub said stays over a redirect");
	head("HTTP/1.1 206 x\r\nContent-Length: 4\r\nContent-Range: bytes 5-8/9\r\n");
	check(a.ranges && a.from == 5 && a.total == 9, "a range behind a length");
	head("HTTP/1.1 206 x\r\nContent-Range: bytes 5-8/9\r\nContent-Length: 4\r\n");
	check(a.ranges && a.from == 5 && a.total == 9, "a length behind a range");
	head("HTTP/1.1 206 x\r\nContent-Range: bytes 5-8/*\r\n");
	check(a.ranges && a.from == 5 && a.total == UINT64_MAX, "a range of who knows how much");
	head("HTTP/1.1 416 x\r\nContent-Range: bytes */9\r\n");
	check(!a.ranges && a.total == 9, "no range of so much");
	head("HTTP/1.1 206 x\r\nContent-Range: items 5-8/9\r\n");
	check(!a.ranges, "a range of other things");
	head("HTTP/1.1 200 x\r\nContent-Length: 99999999999999999999999\r\n");
	check(a.total == UINT64_MAX, "a length that no number holds");
	head("HTTP/1.1 200 x\r\nContent-Length: -5\r\n");
	check(a.total == UINT64_MAX, "a length below nothing");
	head("HTTP/1.1 503 x\r\nRetry-After: Sun, 09 Sep 2001 01:47:40 GMT\r\n");
	check(a.retry_after == 60, "Retry-After as a date: %g", a.retry_after);
	head("HTTP/1.1 503 x\r\nRetry-After: Sun, 09 Sep 2001 01:45:40 GMT\r\n");
	check(a.retry_after == 0, "Retry-After as a date that is over: %g", a.retry_after);
	head("HTTP/1.1 503 x\r\nRetry-After: soon\r\n");
	check(a.retry_after == -1, "Retry-After as a word");
	head("HTTP/1.1 200 x\r\nContent-Disposition: attachment; filename=\"a b.zip\"\r\n");
	check(!strcmp(a.file, "a b.zip"), "a name in quotes: %s", a.file);
	head("HTTP/1.1 200 x\r\nContent-Disposition: inline; filename=a.zip; x=y\r\n");
	check(!strcmp(a.file, "a.zip"), "a name without: %s", a.file);
	pm_answer_tag(tag, sizeof tag, "W/\"abc\"");
	check(!strcmp(tag, "abc"), "a weak tag");
	pm_answer_tag(small, sizeof small, "\"abcdefgh\"");
	check(!*small, "a tag that is too long");
	status(404, "RevisionNotFound", false, PM_NOINPUT, "revision");
	status(404, "EntryNotFound", false, PM_NOINPUT, "file");
	status(404, "RepoNotFound", false, PM_NOINPUT, "repository");
	status(410, "", false, PM_NOINPUT, "repository, revision or file");
	status(401, "", false, PM_NOPERM, "HF_TOKEN");
	status(401, "", true, PM_NOPERM, "does not allow");
	status(403, "GatedRepo", true, PM_NOPERM, "grants access");
	status(408, "", false, PM_TRYAGAIN, "408");
	status(429, "", false, PM_TRYAGAIN, "too many requests");
	status(500, "", false, PM_TRYAGAIN, "500");
	status(599, "", false, PM_TRYAGAIN, "599");
	status(400, "", false, PM_NODEVICE, "400");
	return done();
}
