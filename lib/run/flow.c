#include "run/flow.h"

#include <string.h>

/* How many bytes at the end of s may be the beginning of word (the whole word is not in s). */
static size_t tail_of(const char *s, size_t n, const char *word)
{
	size_t k = strlen(word);

	for (k = k - 1 < n ? k - 1 : n; k > 0; k--)
		if (!memcmp(s + n - k, word, k))
			break;
	return k;
}

/* Either tag: which one can come next is only known when what is before it has been routed. */
static size_t tail_of_tag(const char *s, size_t n)
{
	size_t a = tail_of(s, n, "<think>"), b = tail_of(s, n, "</think>");

	return a > b ? a : b;
}

static const char *find(const char *s, size_t n, const char *word)
{
	size_t k = strlen(word), i;

	for (i = 0; k && i + k <= n; i++)
		if (!memcmp(s + i, word, k))
			return s + i;
	return NULL;
}

/* Text between tags goes one way, the rest the other; the tags themselves and space behind the closing one go nowhere. */
static int part(struct pm_flow *f, const char *s, size_t n, struct pm_str *out, struct pm_str *thought, struct pm_err *e)
{
	struct pm_str *to = f->thinking ? thought : out;

	if (f->after) {
		while (n && (*s == '\n' || *s == ' ')) {
			s++;
			n--;
		}
		f->after = n == 0;
	}
	return to ? pm_str_put(to, s, n, e) : 0;
}

static int route(struct pm_flow *f, size_t n, struct pm_str *out, struct pm_str *thought, struct pm_err *e)
{
	const char *s = f->held.data, *end = s + n, *tag, *at;

	while (f->hide) {
		tag = f->thinking ? "</think>" : "<think>";
		at = find(s, (size_t)(end - s), tag);
		if (!at)
			break;
		if (part(f, s, (size_t)(at - s), out, thought, e) < 0)
			return -1;
		s = at + strlen(tag);
		f->after = true;
		f->thinking = !f->thinking;
	}
	return part(f, s, (size_t)(end - s), out, thought, e);
}

static void drop(struct pm_flow *f, size_t n)
{
	memmove(f->held.data, f->held.data + n, f->held.len - n + 1);
	f->held.len -= n;
}

int pm_flow_put(struct pm_flow *f, const char *text, size_t n, struct pm_str *out, struct pm_str *thought, struct pm_err *e)
{
	const char *first = NULL, *end = NULL, *at;
	size_t i, keep = 0, k;

	if (f->stopped)
		return 1;
	if (pm_str_put(&f->held, text, n, e) < 0)
		return -1;
	for (i = 0; i < f->nstop; i++) {
		at = find(f->held.data, f->held.len, f->stop[i]);
		if (at && (!first || at + strlen(f->stop[i]) < end || (at + strlen(f->stop[i]) == end && at < first))) {
			first = at;             /* the one that is complete first, so that it does not matter how the text came */
			end = at + strlen(f->stop[i]);
		}
		k = tail_of(f->held.data, f->held.len, f->stop[i]);
		keep = k > keep ? k : keep;
	}
	if (first) {
		f->stopped = true;
		n = (size_t)(first - f->held.data);
		if (route(f, n, out, thought, e) < 0)
			return -1;
		pm_str_clear(&f->held);
		return 1;
	}
	n = f->held.len - keep;
	if (f->hide)                    /* nor may what is let through end in a part of a tag */
		n -= tail_of_tag(f->held.data, n);
	if (route(f, n, out, thought, e) < 0)
		return -1;
	drop(f, n);
	return 0;
}

int pm_flow_end(struct pm_flow *f, struct pm_str *out, struct pm_str *thought, struct pm_err *e)
{
	int r = f->held.len ? route(f, f->held.len, out, thought, e) : 0;

	pm_str_clear(&f->held);
	return r;
}

void pm_flow_free(struct pm_flow *f)
{
	pm_str_free(&f->held);
}
