#include "text/chunks.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/parallel.h"
#include "text/worker.h"

enum { CHUNK = 1 << 18, GROUP = 4096, WINDOW = 1 << 16, BEHIND = 1 << 12 };

struct chunk {
	size_t from, to;
	struct pm_encoding enc;
};

struct run {
	const struct pm_chunks *c;
	const struct pm_view *v;
	struct chunk *list;
	size_t n, cap;
};

static bool printable(char c)
{
	return c > ' ' && c < 0x7f;
}

size_t pm_chunks_line(const struct pm_view *v, size_t i)
{
	const char *p;

	for (i += GROUP; i < v->n && (p = memchr(v->s + i, '\n', v->n - i)); i++) {
		i = (size_t)(p - v->s);
		if (i + 2 < v->n && (p[1] == ' ' ? printable(p[2]) : printable(p[1]) && printable(p[-1])))
			return i + 1;
	}
	return v->n;
}

size_t pm_chunks_word(const struct pm_view *v, size_t i, const struct pm_model *m)
{
	const char *p;

	for (i += GROUP; i < v->n && (p = memchr(v->s + i, ' ', v->n - i)); i++) {
		i = (size_t)(p - v->s);
		if (p[-1] != ' ' && memcmp(p - 3, "\xe2\x96\x81", 3) != 0 && m->type->parts(m->conf, (unsigned char)p[-1]))
			return i;
	}
	return v->n;
}

bool pm_chunks_many(const struct pm_view *v, size_t threads)
{
	return threads > 1 && v->n >= 2 * CHUNK;
}

static int encode(void *arg, size_t i, struct pm_err *e)
{
	struct run *r = arg;
	struct chunk *x = r->list + i;

	return r->c->encode(r->c->ctx, r->v, x->from, x->to, &x->enc, e);
}

static int append(struct pm_encoding *to, struct pm_encoding *x, struct pm_err *e)
{
	if (pm_encoding_room(to, x->n, e) < 0)
		return -1;
	if (x->n) {
		memcpy(to->ids + to->n, x->ids, x->n * sizeof *x->ids);
		memcpy(to->from + to->n, x->from, x->n * sizeof *x->from);
		memcpy(to->to + to->n, x->to, x->n * sizeof *x->to);
	}
	to->n += x->n;
	pm_encoding_free(x);
	return 0;
}

/* The last of the ids from `mark` on that begins where the one before ends, and not too near the end of the window; `mark`: none. */
static size_t last_good(const struct pm_encoding *enc, size_t mark, size_t end)
{
	size_t i = enc->n;

	while (i > mark && --i > mark)
		if (enc->from[i] + BEHIND <= end && enc->from[i] == enc->to[i - 1] && enc->to[i] > enc->from[i])
			return i;
	return mark;
}

int pm_chunks_long(const struct pm_chunks *c, const struct pm_view *v, size_t from, size_t to, struct pm_encoding *enc, struct pm_err *e)
{
	size_t window = WINDOW, at = from, start = enc->n, mark, good, end, covers = 0;
	int32_t id = -1;                /* what the window has to begin with, and where that ends; −1: anything */

	for (;;) {
		end = to - at <= window ? to : at + window;
		while (end < to && ((unsigned char)v->s[end] & 0xc0) == 0x80)
			end--;
		mark = enc->n;
		if (c->encode(c->ctx, v, at, end, enc, e) < 0)
			return -1;
		good = end == to ? enc->n : last_good(enc, mark, v->base + end);
		if ((end < to && good == mark) || (id >= 0 && (enc->n == mark || enc->ids[mark] != id || enc->to[mark] != covers))) {
			window *= 2;
			at = from;
			enc->n = start;
			id = -1;
			continue;
		}
		if (end == to)
			return 0;
		id = enc->ids[good];
		covers = enc->to[good];
		at = enc->from[good] - v->base;
		enc->n = good;
	}
}

int pm_chunks_encode(const struct pm_chunks *c, const struct pm_view *v, size_t threads, struct pm_encoding *enc, struct pm_err *e)
{
	struct run x = {.c = c, .v = v};
	size_t end;
	int r = 0;

	for (size_t i = 0; r == 0 && i < v->n; i = end) {
		end = i + CHUNK >= v->n ? v->n : c->cut(c->ctx, v, i + CHUNK);
		r = pm_grow(&x.list, &x.cap, x.n + 1, sizeof *x.list, e);
		if (r == 0)
			x.list[x.n++] = (struct chunk){.from = i, .to = end};
	}
	if (r == 0)
		r = pm_parallel(threads, x.n, encode, &x, e);
	for (size_t i = 0; i < x.n; i++) {
		if (r == 0)
			r = append(enc, &x.list[i].enc, e);
		pm_encoding_free(&x.list[i].enc);
	}
	free(x.list);
	return r;
}
