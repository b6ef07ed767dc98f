#include "text/chat_said.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static bool blank(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

static size_t trimmed(const char *s, size_t n)
{
	while (n && blank(s[n - 1]))
		n--;
	return n;
}

/* "think" at s, in any case. */
static bool think_at(const char *s, size_t n)
{
	static const char word[] = "think";
	size_t i;

	for (i = 0; i < 5 && i < n && (s[i] | 32) == word[i]; i++)
		;
	return i == 5;
}

size_t pm_said_header(const char *s, size_t n)
{
	static const char triangle[] = "\xe2\x97\x81";  /* ◁, which opens a tag in Kimi's */
	size_t i, k;

	for (i = 0; i < n; i++) {
		if (!think_at(s + i, n - i))
			continue;
		for (k = i; k > 0 && i - k < 24; k--)
			if (s[k - 1] == '<' || s[k - 1] == '[' || (k > 2 && !memcmp(s + k - 3, triangle, 3)))
				return s[k - 1] == '<' || s[k - 1] == '[' ? k - 1 : k - 3;
	}
	return n;
}

static size_t find(const char *s, size_t n, const char *what, size_t m)
{
	size_t i;

	for (i = 0; m <= n && i <= n - m; i++)
		if (s[i] == *what && !memcmp(s + i, what, m))
			return i;
	return SIZE_MAX;
}

/* A stretch written while the template was at one message. */
struct turn {
	size_t from, to;
	size_t first, last;             /* around what it took from messages; first == to: nothing */
	bool again;                     /* it goes on, after another message was shown within it */
};

/* Where the model begins to speak in a turn: behind the words that prompt an answer. */
static size_t begin(const char *text, const struct turn *t, const char *prompt)
{
	size_t n = pm_said_header(prompt, strlen(prompt)), own = t->first - t->from, words = trimmed(prompt, n), at, end;

	at = words ? find(text + t->from, own, prompt, words) : SIZE_MAX;
	if (at != SIZE_MAX) {
		for (end = at + words; end < own && end - at < n && text[t->from + end] == prompt[end - at]; end++)
			;
		return t->from + end;
	}
	if (t->again)
		return t->from;
	if (words) {
		/* half of the words stands for all of them; a turn without any was prompted before, or goes on behind a tool's answer */
		for (at = 0; at < own && blank(text[t->from + at]); at++)
			;
		for (end = 0; at + end < own && end < words && text[t->from + at + end] == prompt[end]; end++)
			;
		return 2 * end >= words ? t->from + at + end : t->from;
	}
	/* nothing prompts: the words before what the turn says, where they are more than blanks */
	return trimmed(text + t->from, own) ? t->from + pm_said_header(text + t->from, own) : t->from;
}

static bool assistant(const json_t *messages, int32_t i)
{
	const char *role = json_string_value(json_object_get(json_array_get(messages, (size_t)i), "role"));

	return role && (!strcmp(role, "assistant") || !strcmp(role, "model"));
}

static int put(struct pm_jinja_result *raw, const struct turn *t, const char *prompt, struct pm_err *e)
{
	const char *text = raw->text.data;
	size_t from = begin(text, t, prompt), to = t->to;

	while (to > t->last && to > from && blank(text[to - 1]))
		to--;
	if (to <= from)
		return 0;
	if (pm_grow(&raw->spans, &raw->cap_spans, raw->nspans + 1, sizeof *raw->spans, e) < 0)
		return -1;
	raw->spans[raw->nspans++] = (struct pm_jinja_span){from, to};
	return 0;
}

/* The message that a run belongs to: the one the template was at, or, outside of any loop, the one that its bytes are of. */
static int32_t owner(const struct pm_jinja_run *r)
{
	return r->turn >= 0 ? r->turn : r->message;
}

/* The runs from i on that are of one turn; returns the first behind them. */
static size_t next_turn(const struct pm_jinja_result *raw, size_t i, struct turn *t)
{
	int32_t m = owner(&raw->runs[i]);
	size_t k, from;

	*t = (struct turn){.from = i ? raw->runs[i - 1].to : 0, .first = SIZE_MAX};
	for (k = i; k < raw->nruns && owner(&raw->runs[k]) == m; k++) {
		from = k ? raw->runs[k - 1].to : 0;
		if (raw->runs[k].origin == PM_JINJA_MESSAGE) {
			t->first = t->first == SIZE_MAX ? from : t->first;
			t->last = raw->runs[k].to;
		}
	}
	t->to = raw->runs[k - 1].to;
	if (t->first == SIZE_MAX) {
		t->first = t->to;
		t->last = t->from;
	}
	return k;
}

int pm_said_spans(struct pm_jinja_result *raw, const json_t *messages, const char *prompt, const char *eos, struct pm_err *e)
{
	size_t n = json_array_size(messages), i, k, m, neos = eos ? strlen(eos) : 0, left, before;
	bool *seen = pm_alloc(n, sizeof *seen, e);
	struct turn t;
	int r = seen ? 0 : -1;

	raw->nspans = 0;
	for (i = 0; r == 0 && i < raw->nruns; i = k) {
		m = (size_t)owner(&raw->runs[i]);       /* −1: no message's number */
		k = next_turn(raw, i, &t);
		if (m >= n || !assistant(messages, (int32_t)m))
			continue;
		t.again = seen[m];
		seen[m] = true;
		before = raw->nspans;
		r = put(raw, &t, prompt, e);
		/* an end of the whole text behind the last turn */
		left = raw->text.len - t.to;
		if (r == 0 && m == n - 1 && raw->nspans > before && neos && left == neos && !memcmp(raw->text.data + t.to, eos, neos) && owner(&raw->runs[k]) < 0)
			raw->spans[raw->nspans - 1].to = raw->text.len;
	}
	free(seen);
	return r;
}

static int piece(struct pm_rendered *out, size_t from, size_t to, const struct pm_jinja_run *r, bool said, struct pm_err *e)
{
	struct pm_piece *last = out->n ? &out->pieces[out->n - 1] : NULL;
	bool content = r->origin != PM_JINJA_TEMPLATE;
	int32_t m = owner(r);

	if (from == to)
		return 0;
	if (m < 0 && said && last && last->said)
		m = last->message;      /* the end of the whole text, behind the last turn */
	if (last && last->message == m && last->content == content && last->said == said) {
		last->to = to;
		return 0;
	}
	if (pm_grow(&out->pieces, &out->cap, out->n + 1, sizeof *out->pieces, e) < 0)
		return -1;
	out->pieces[out->n++] = (struct pm_piece){from, to, m, content, said};
	return 0;
}

int pm_said_pieces(struct pm_rendered *out, struct pm_err *e)
{
	const struct pm_jinja_result *raw = &out->raw;
	size_t i, k = 0, at = 0, end;

	out->n = 0;
	for (i = 0; i < raw->nruns; i++) {
		while (at < raw->runs[i].to) {
			while (k < raw->nspans && raw->spans[k].to <= at)
				k++;
			bool said = k < raw->nspans && raw->spans[k].from <= at;

			end = k == raw->nspans ? SIZE_MAX : said ? raw->spans[k].to : raw->spans[k].from;
			end = end < raw->runs[i].to ? end : raw->runs[i].to;
			if (piece(out, at, end, &raw->runs[i], said, e) < 0)
				return -1;
			at = end;
		}
	}
	return 0;
}
