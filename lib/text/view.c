#include "text/view.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/unicode.h"

static bool continues(char c)
{
	return ((unsigned char)c & 0xc0) == 0x80;
}

struct pm_range pm_view_at(const struct pm_view *v, size_t i)
{
	return pm_view_range(v, i, i + 1);
}

struct pm_range pm_view_range(const struct pm_view *v, size_t a, size_t b)
{
	struct pm_range r;

	if (v->map) {
		r.from = v->map[a].from;
		r.to = v->map[b - 1].to;
		return r;
	}
	while (a && continues(v->s[a]))
		a--;
	while (b < v->n && continues(v->s[b]))
		b++;
	r.from = v->base + a;
	r.to = v->base + b;
	return r;
}

void pm_textbuf_free(struct pm_textbuf *b)
{
	free(b->s);
	free(b->map);
	memset(b, 0, sizeof *b);
}

struct pm_view pm_textbuf_view(const struct pm_textbuf *b)
{
	static const struct pm_range none;
	struct pm_view v = {b->s ? b->s : "", b->n, b->map ? b->map : &none, 0};

	return v;
}

struct pm_edit pm_edit_begin(const struct pm_view *in, struct pm_textbuf *out)
{
	struct pm_edit ed = {in, out, 0};

	out->n = 0;
	return ed;
}

static int room(struct pm_textbuf *b, size_t n, struct pm_err *e)
{
	if (pm_grow(&b->s, &b->cap_s, b->n + n + 1, 1, e) < 0)
		return -1;
	return pm_grow(&b->map, &b->cap_map, b->n + n, sizeof *b->map, e);
}

static int put(struct pm_textbuf *b, const char *s, size_t n, struct pm_range r, struct pm_err *e)
{
	if (room(b, n, e) < 0)
		return -1;
	memcpy(b->s + b->n, s, n);
	for (size_t i = 0; i < n; i++)
		b->map[b->n + i] = r;
	b->n += n;
	return 0;
}

/* What a character added at the edit's place stands for. */
static struct pm_range before(const struct pm_edit *ed)
{
	struct pm_range r = {0, 0};

	if (ed->at)
		return pm_view_at(ed->in, ed->at - 1);
	if (ed->in->n)
		r.from = r.to = pm_view_at(ed->in, 0).from;
	return r;
}

static void step(struct pm_edit *ed)
{
	size_t k;

	if (ed->at < ed->in->n) {
		pm_utf8_get(ed->in->s + ed->at, &k);
		ed->at += k;
	}
}

int pm_edit_put(struct pm_edit *ed, uint32_t c, int change, struct pm_err *e)
{
	struct pm_range r;
	char s[4];
	size_t n = pm_utf8_put(s, c);

	r = change > 0 || ed->at >= ed->in->n ? before(ed) : pm_view_at(ed->in, ed->at);
	for (int i = change; i <= 0; i++)
		step(ed);
	return put(ed->out, s, n, r, e);
}

int pm_edit_insert(struct pm_edit *ed, const char *s, size_t n, struct pm_err *e)
{
	return put(ed->out, s, n, before(ed), e);
}

int pm_edit_copy(struct pm_edit *ed, size_t to, struct pm_err *e)
{
	const struct pm_view *in = ed->in;
	struct pm_textbuf *b = ed->out;
	size_t n = to - ed->at, k;
	struct pm_range r;

	if (!n)
		return 0;
	if (room(b, n, e) < 0)
		return -1;
	memcpy(b->s + b->n, in->s + ed->at, n);
	if (in->map) {
		memcpy(b->map + b->n, in->map + ed->at, n * sizeof *b->map);
	} else {
		for (size_t i = 0; i < n; i += k) {
			pm_utf8_get(in->s + ed->at + i, &k);
			r.from = in->base + ed->at + i;
			r.to = r.from + k;
			for (size_t j = 0; j < k; j++)
				b->map[b->n + i + j] = r;
		}
	}
	b->n += n;
	ed->at = to;
	return 0;
}

int pm_edit_replace_byte(const struct pm_view *in, struct pm_textbuf *out, char c, const char *s, size_t n, struct pm_err *e)
{
	const char *p = in->s, *end = in->s + in->n;
	size_t count = 0, k = 0;
	struct pm_range r, *map;
	char *to;

	for (; (p = memchr(p, c, (size_t)(end - p))); p++)
		count++;
	out->n = 0;
	if (room(out, in->n + count * n, e) < 0)
		return -1;
	to = out->s;
	map = out->map;
	for (size_t i = 0; i < in->n; i++) {
		/* all bytes of a character stand for all of it */
		if (i == 0 || !continues(in->s[i])) {
			r.from = in->base + i;
			for (k = 1; i + k < in->n && continues(in->s[i + k]); k++)
				;
			r.to = r.from + k;
		}
		if (in->s[i] != c) {
			*to++ = in->s[i];
			*map++ = r;
			continue;
		}
		for (size_t j = 0; j < n; j++) {
			*to++ = s[j];
			*map++ = r;
		}
	}
	out->n = (size_t)(to - out->s);
	return 0;
}
