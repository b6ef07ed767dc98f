/* The head of an HTTP answer, line by line, and a Link header in it. Nothing of it is refused: what cannot be read is as if not said. */
#include "fuzz.h"
#include "hub/answer.h"
#include "hub/list.h"

static int parse_answer(const uint8_t *data, size_t size, struct pm_err *e)
{
	const char *p = size ? (const char *)data : "", *end = p + size;
	struct pm_answer a;
	char tag[200];
	size_t n;

	(void)e;
	pm_answer_begin(&a);
	while (p < end) {
		const char *stop = memchr(p, '\n', (size_t)(end - p));

		stop = stop ? stop + 1 : end;
		pm_answer_line(&a, p, (size_t)(stop - p), 1e9);
		p = stop;
	}
	pm_answer_tag(tag, sizeof tag, a.etag);
	must(strlen(tag) < sizeof tag && a.retry_after >= -1 && strlen(a.file) < sizeof a.file);
	p = pm_hub_link_next(a.link, &n);
	must(!p || (p >= a.link && p + n <= a.link + strlen(a.link)));
	return 0;
}

FUZZ(parse_answer)
