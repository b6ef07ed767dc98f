#include "text/normal.h"

#include <stdlib.h>

#include "base/mem.h"
#include "text/unicode.h"

/* A character with its combining class and its change (view.h). */
struct mark {
	uint32_t c;
	unsigned class;
	int change;
	size_t at;                      /* keeps sorting stable */
};

struct marks {
	struct mark *v;
	size_t n, cap;
};

static int push(struct marks *m, uint32_t c, int change, struct pm_err *e)
{
	struct mark x = {c, pm_uc_combining(c), change, m->n};

	if (pm_grow(&m->v, &m->cap, m->n + 1, sizeof *m->v, e) < 0)
		return -1;
	m->v[m->n++] = x;
	return 0;
}

static int by_class(const void *x, const void *y)
{
	const struct mark *a = x, *b = y;

	return a->class != b->class ? (a->class < b->class ? -1 : 1) : a->at < b->at ? -1 : a->at > b->at;
}

/* Canonical ordering: each run of characters that combine is sorted by class. */
static void order(struct marks *m)
{
	size_t i = 0, j;

	while (i < m->n) {
		if (!m->v[i].class) {
			i++;
			continue;
		}
		for (j = i; j < m->n && m->v[j].class; j++)
			;
		if (j - i > 1)
			qsort(m->v + i, j - i, sizeof *m->v, by_class);
		i = j;
	}
}

/* Canonical composition in place; a composite takes the changes of its parts. */
static void compose(struct marks *m)
{
	size_t out = 0, base = SIZE_MAX;
	unsigned last = 0;
	uint32_t c;

	for (size_t i = 0; i < m->n; i++) {
		struct mark x = m->v[i];

		if (base != SIZE_MAX && (out == base + 1 || last < x.class) && (c = pm_uc_compose(m->v[base].c, x.c))) {
			m->v[base].c = c;
			m->v[base].change += x.change - 1;
			continue;
		}
		if (!x.class)
			base = out;
		last = x.class;
		m->v[out++] = x;
	}
	m->n = out;
}

/* True where nothing before c can act on it. */
static bool starts(uint32_t c, bool composed, bool compat)
{
	uint32_t d[32];

	if (c < 0x300)
		return true;
	pm_uc_decompose(c, compat, d);
	return pm_uc_combining(d[0]) == 0 && !(composed && pm_uc_composes_back(d[0]));
}

static size_t segment(const char *s, size_t n, size_t i, bool composed, bool compat)
{
	size_t k;

	pm_utf8_get(s + i, &k);
	for (i += k; i < n && !starts(pm_utf8_get(s + i, &k), composed, compat); i += k)
		;
	return i;
}

int pm_normal_form(const struct pm_view *in, struct pm_textbuf *out, bool *changed, bool composed, bool compat, struct pm_err *e)
{
	struct pm_edit ed;
	struct marks m = {0};
	uint32_t d[32];
	size_t k, n, end;
	int r = 0;

	if (pm_uc_is_normal(in->s, in->n, composed, compat))
		return 0;
	*changed = true;
	ed = pm_edit_begin(in, out);
	for (size_t i = 0; r == 0 && i < in->n; i = end) {
		end = segment(in->s, in->n, i, composed, compat);
		if (pm_uc_is_normal(in->s + i, end - i, composed, compat)) {
			r = pm_edit_copy(&ed, end, e);
			continue;
		}
		m.n = 0;
		for (size_t j = i; r == 0 && j < end; j += k) {
			n = pm_uc_decompose(pm_utf8_get(in->s + j, &k), compat, d);
			for (size_t q = 0; r == 0 && q < n; q++)
				r = push(&m, d[q], q > 0, e);
		}
		order(&m);
		if (composed)
			compose(&m);
		for (size_t j = 0; r == 0 && j < m.n; j++)
			r = pm_edit_put(&ed, m.v[j].c, m.v[j].change, e);
	}
	free(m.v);
	return r;
}
