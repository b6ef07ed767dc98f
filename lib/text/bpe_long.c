#include "text/bpe_long.h"

enum { WINDOW = 1 << 12, BEHIND = 1 << 9 };    /* bytes of a window, and at its end those whose tokens are not looked at */

static size_t boundary(const struct pm_view *v, size_t i)
{
	while (i && i < v->n && ((unsigned char)v->s[i] & 0xc0) == 0x80)
		i--;
	return i;
}

/* The number of tokens to keep of a window: up to one that begins at a character and is not too near the end; 0: none. Its place in *at. */
static size_t kept(const struct pm_view *part, const struct pm_bpe_word *x, size_t *at)
{
	size_t n = 0, i = 0, place = 0;

	*at = 0;
	while (i < x->n && place + BEHIND <= part->n) {
		if (i && boundary(part, place) == place) {
			n = i;
			*at = place;
		}
		place += x->len[i++];
	}
	return n;
}

int pm_bpe_long(const struct pm_bpe_long *l, const struct pm_view *v, struct pm_err *e)
{
	size_t from = 0, window = WINDOW, start = *l->ids, at = 0, to, n;
	uint32_t len = 0;
	int32_t id = -1;                /* what the window has to begin with, −1: anything */
	struct pm_bpe_word x;
	struct pm_view part;

	for (;;) {
		to = v->n - from <= window ? v->n : boundary(v, from + window);
		part = pm_view_part(v, from, to);
		if (l->split(l->ctx, &part, &x, e) < 0)
			return -1;
		if (!x.n) {
			*l->ids = start;
			return 1;
		}
		n = to == v->n ? x.n : kept(&part, &x, &at);
		if (!n || (id >= 0 && (x.id[0] != id || x.len[0] != len))) {
			/* once more, with windows that end elsewhere; a window of the whole piece is always good */
			window *= 2;
			from = 0;
			*l->ids = start;
			id = -1;
			continue;
		}
		x.n = to == v->n ? x.n : n;
		id = to == v->n ? -1 : x.id[n];
		len = to == v->n ? 0 : x.len[n];
		if (l->emit(l->ctx, &part, &x, e) < 0)
			return -1;
		if (to == v->n)
			return 0;
		from += at;
	}
}
