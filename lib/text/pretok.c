/* The table of pre-tokenizers, and those that need no file of their own. */
#include "text/pretok.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/bytelevel.h"
#include "text/cut.h"
#include "text/match.h"
#include "text/unicode.h"
#include "text/worker.h"

/* ByteLevel */

struct bytelevel {
	bool prefix, regex, raw;
};

static int bytelevel_build(struct pm_part *p, const json_t *o, struct pm_err *e)
{
	struct bytelevel *b = p->conf = pm_alloc(1, sizeof *b, e);
	bool trim;

	if (!b || pm_part_bool(&b->prefix, o, "add_prefix_space", e) < 0 || pm_part_bool(&trim, o, "trim_offsets", e) < 0)
		return -1;
	b->regex = true;
	return json_object_get(o, "use_regex") ? pm_part_bool(&b->regex, o, "use_regex", e) : 0;
}

int pm_pretok_bytes(const struct pm_view *in, struct pm_textbuf *out, struct pm_err *e)
{
	struct pm_edit ed = pm_edit_begin(in, out);
	size_t k;

	for (size_t i = 0; i < in->n; i += k) {
		pm_utf8_get(in->s + i, &k);
		for (size_t j = 0; j < k; j++)
			if (pm_edit_put(&ed, pm_bytelevel_char((unsigned char)in->s[i + j]), j > 0, e) < 0)
				return -1;
	}
	return 0;
}

static int bytelevel_piece(const struct bytelevel *b, const struct pm_view *piece, struct pm_sink *next, struct pm_worker *w,
	struct pm_err *e)
{
	struct pm_textbuf *buf;
	struct pm_view v;
	int r;

	if (b->raw)
		return next->put(next, piece, e);
	buf = pm_worker_buf(w, e);
	if (!buf)
		return -1;
	r = pm_pretok_bytes(piece, buf, e);
	if (r == 0) {
		v = pm_textbuf_view(buf);
		r = next->put(next, &v, e);
	}
	w->nbuf--;
	return r;
}

static int bytelevel_pieces(const struct bytelevel *b, const struct pm_view *in, struct pm_sink *next, struct pm_worker *w,
	struct pm_err *e)
{
	struct pm_view piece;
	size_t end;

	if (!b->regex)
		return bytelevel_piece(b, in, next, w, e);
	for (size_t i = 0; i < in->n; i = end) {
		end = pm_match_gpt2(in->s, in->n, i);
		piece = pm_view_part(in, i, end);
		if (bytelevel_piece(b, &piece, next, w, e) < 0)
			return -1;
	}
	return 0;
}

/* Writes `what` before the text, as HF's prepend does: with the range of the first character. */
static int prepend(const struct pm_view *in, const char *what, size_t n, struct pm_textbuf *out, struct pm_err *e)
{
	struct pm_edit ed = pm_edit_begin(in, out);
	uint32_t first;
	size_t k;

	first = pm_utf8_get(what, &k);
	if (pm_edit_put(&ed, first, 0, e) < 0 || pm_edit_insert(&ed, what + k, n - k, e) < 0)
		return -1;
	first = pm_utf8_get(in->s, &k);
	return pm_edit_put(&ed, first, 1, e) < 0 ? -1 : pm_edit_copy(&ed, in->n, e);
}

static int bytelevel_run(const struct pm_part *p, const struct pm_view *in, struct pm_sink *next, struct pm_worker *w, struct pm_err *e)
{
	const struct bytelevel *b = p->conf;
	struct pm_textbuf *buf;
	struct pm_view v;
	int r;

	if (!b->prefix || !in->n || in->s[0] == ' ')
		return bytelevel_pieces(b, in, next, w, e);
	buf = pm_worker_buf(w, e);
	if (!buf)
		return -1;
	r = prepend(in, " ", 1, buf, e);
	if (r == 0) {
		v = pm_textbuf_view(buf);
		r = bytelevel_pieces(b, &v, next, w, e);
	}
	w->nbuf--;
	return r;
}

/* Pieces by the class of single characters: each that has one of the bits is a match. */

static unsigned class(uint32_t c)
{
	return pm_uc(c);
}

static int by_class(const struct pm_view *in, struct pm_sink *next, enum pm_cut_how how, unsigned (*of)(uint32_t c), unsigned bits,
	struct pm_err *e)
{
	struct pm_cut cut = {.how = how, .in = in, .next = next};
	size_t k;

	for (size_t i = 0; i < in->n; i += k)
		if ((of(pm_utf8_get(in->s + i, &k)) & bits) && pm_cut_match(&cut, i, i + k, e) < 0)
			return -1;
	return pm_cut_end(&cut, e);
}

static int how_build(struct pm_part *p, const json_t *o, struct pm_err *e)
{
	enum pm_cut_how *how = p->conf = pm_alloc(1, sizeof *how, e);

	if (!how)
		return -1;
	*how = PM_CUT_ISOLATED;
	return json_object_get(o, "behavior") ? pm_cut_read(how, o, "behavior", e) : 0;
}

static int punctuation_run(const struct pm_part *p, const struct pm_view *in, struct pm_sink *next, struct pm_worker *w, struct pm_err *e)
{
	(void)w;
	return by_class(in, next, *(enum pm_cut_how *)p->conf, pm_uc_old, PM_UC_PUNCT, e);
}

static int digits_build(struct pm_part *p, const json_t *o, struct pm_err *e)
{
	enum pm_cut_how *how = p->conf = pm_alloc(1, sizeof *how, e);
	bool each;

	if (!how || pm_part_bool(&each, o, "individual_digits", e) < 0)
		return -1;
	*how = each ? PM_CUT_ISOLATED : PM_CUT_CONTIGUOUS;
	return 0;
}

static int digits_run(const struct pm_part *p, const struct pm_view *in, struct pm_sink *next, struct pm_worker *w, struct pm_err *e)
{
	(void)w;
	return by_class(in, next, *(enum pm_cut_how *)p->conf, class, PM_UC_NUMBER, e);
}

static int spaces_run(const struct pm_part *p, const struct pm_view *in, struct pm_sink *next, struct pm_worker *w, struct pm_err *e)
{
	(void)p;
	(void)w;
	return by_class(in, next, PM_CUT_REMOVED, class, PM_UC_SPACE, e);
}

/* \w+|[^\w\s]+ are the pieces. */
static int whitespace_run(const struct pm_part *p, const struct pm_view *in, struct pm_sink *next, struct pm_worker *w, struct pm_err *e)
{
	enum { KIND = PM_UC_WORD | PM_UC_SPACE };
	struct pm_view piece;
	size_t i = 0, from, k = 0;
	unsigned kind;

	(void)p;
	(void)w;
	while (i < in->n) {
		from = i;
		kind = pm_uc(pm_utf8_get(in->s + i, &k)) & KIND;
		for (i += k; i < in->n && (pm_uc(pm_utf8_get(in->s + i, &k)) & KIND) == kind; i += k)
			;
		piece = pm_view_part(in, from, i);
		if (kind != PM_UC_SPACE && next->put(next, &piece, e) < 0)
			return -1;
	}
	return 0;
}

/* Blanks go, punctuation stands alone. */
static int bert_run(const struct pm_part *p, const struct pm_view *in, struct pm_sink *next, struct pm_worker *w, struct pm_err *e)
{
	struct pm_view piece;
	size_t from = 0, k;
	uint32_t c;
	bool punct;

	(void)p;
	(void)w;
	for (size_t i = 0; i < in->n; i += k) {
		c = pm_utf8_get(in->s + i, &k);
		punct = pm_uc_old(c) & PM_UC_PUNCT;
		if (!punct && !(pm_uc(c) & PM_UC_SPACE))
			continue;
		piece = pm_view_part(in, from, i);
		if (piece.n && next->put(next, &piece, e) < 0)
			return -1;
		piece = pm_view_part(in, i, i + k);
		if (punct && next->put(next, &piece, e) < 0)
			return -1;
		from = i + k;
	}
	piece = pm_view_part(in, from, in->n);
	return piece.n ? next->put(next, &piece, e) : 0;
}

/* One character, removed. */

static int one_character(uint32_t *c, const json_t *o, const char *key, struct pm_err *e)
{
	const char *s;
	size_t n, k = 0;

	if (pm_part_str(&s, &n, o, key, e) < 0)
		return -1;
	*c = n ? pm_utf8_get(s, &k) : 0;
	return n && k == n ? 0 : pm_fail(e, PM_DATA, "'%s': one character was wanted", key);
}

static int delimiter_build(struct pm_part *p, const json_t *o, struct pm_err *e)
{
	p->conf = pm_alloc(1, sizeof(uint32_t), e);
	return p->conf ? one_character(p->conf, o, "delimiter", e) : -1;
}

static int delimiter_run(const struct pm_part *p, const struct pm_view *in, struct pm_sink *next, struct pm_worker *w, struct pm_err *e)
{
	struct pm_cut cut = {.how = PM_CUT_REMOVED, .in = in, .next = next};
	size_t k;

	(void)w;
	for (size_t i = 0; i < in->n; i += k)
		if (pm_utf8_get(in->s + i, &k) == *(uint32_t *)p->conf && pm_cut_match(&cut, i, i + k, e) < 0)
			return -1;
	return pm_cut_end(&cut, e);
}

/* Metaspace: blanks become a character, one may stand before the text, and pieces begin with it. */

struct metaspace {
	char text[4];
	size_t n;
	uint32_t c;
	enum { ALWAYS, FIRST, NEVER } scheme;
	bool split;
};

static int metaspace_build(struct pm_part *p, const json_t *o, struct pm_err *e)
{
	struct metaspace *m = p->conf = pm_alloc(1, sizeof *m, e);
	const char *scheme = "always";
	bool prefix = true;

	if (!m || one_character(&m->c, o, "replacement", e) < 0 || pm_json_str(&scheme, o, "prepend_scheme", e) < 0
		|| pm_json_bool(&prefix, o, "add_prefix_space", e) < 0)
		return -1;
	m->n = pm_utf8_put(m->text, m->c);
	m->split = true;
	if (pm_json_bool(&m->split, o, "split", e) < 0)
		return -1;
	if (strcmp(scheme, "always") != 0 && strcmp(scheme, "first") != 0 && strcmp(scheme, "never") != 0)
		return pm_fail(e, PM_DATA, "'prepend_scheme': '%s' is not known", scheme);
	m->scheme = scheme[0] == 'a' ? ALWAYS : scheme[0] == 'f' ? FIRST : NEVER;
	if (!prefix) {
		if (json_object_get(o, "prepend_scheme") && m->scheme != NEVER)
			return pm_fail(e, PM_DATA, "'add_prefix_space' false and 'prepend_scheme' %s contradict each other", scheme);
		m->scheme = NEVER;
	}
	return 0;
}

static int metaspace_text(const struct metaspace *m, const struct pm_view *in, struct pm_textbuf *out, struct pm_err *e)
{
	struct pm_edit ed = pm_edit_begin(in, out);
	bool there = in->s[0] == ' ' || (in->n >= m->n && memcmp(in->s, m->text, m->n) == 0);
	const char *p;
	size_t k;

	if (!there && (m->scheme == ALWAYS || (m->scheme == FIRST && pm_view_at(in, 0).from == 0))) {
		if (pm_edit_put(&ed, m->c, 0, e) < 0 || pm_edit_put(&ed, pm_utf8_get(in->s, &k), 1, e) < 0)
			return -1;
	}
	while ((p = ed.at < in->n ? memchr(in->s + ed.at, ' ', in->n - ed.at) : NULL)) {
		if (pm_edit_copy(&ed, (size_t)(p - in->s), e) < 0 || pm_edit_put(&ed, m->c, 0, e) < 0)
			return -1;
	}
	return pm_edit_copy(&ed, in->n, e);
}

static int metaspace_run(const struct pm_part *p, const struct pm_view *in, struct pm_sink *next, struct pm_worker *w, struct pm_err *e)
{
	const struct metaspace *m = p->conf;
	struct pm_textbuf *buf = pm_worker_buf(w, e);
	struct pm_view v;
	int r;

	if (!buf)
		return -1;
	r = metaspace_text(m, in, buf, e);
	v = pm_textbuf_view(buf);
	if (r == 0 && !m->split)
		r = next->put(next, &v, e);
	if (r == 0 && m->split) {
		struct pm_cut cut = {.how = PM_CUT_NEXT, .in = &v, .next = next};
		size_t k;

		for (size_t i = 0; r == 0 && i < v.n; i += k)
			if (pm_utf8_get(v.s + i, &k) == m->c)
				r = pm_cut_match(&cut, i, i + k, e);
		if (r == 0)
			r = pm_cut_end(&cut, e);
	}
	w->nbuf--;
	return r;
}

static int fixed_build(struct pm_part *p, const json_t *o, struct pm_err *e)
{
	int64_t n = 5;

	p->conf = pm_alloc(1, sizeof(size_t), e);
	if (!p->conf || pm_json_int(&n, o, "length", e) < 0)
		return -1;
	if (n < 1)
		return pm_fail(e, PM_DATA, "'length': at least 1 was wanted");
	*(size_t *)p->conf = (size_t)n;
	return 0;
}

static int fixed_run(const struct pm_part *p, const struct pm_view *in, struct pm_sink *next, struct pm_worker *w, struct pm_err *e)
{
	struct pm_view piece;
	size_t from, i = 0, k;

	(void)w;
	while (i < in->n) {
		from = i;
		for (size_t left = *(size_t *)p->conf; left && i < in->n; left--, i += k)
			pm_utf8_get(in->s + i, &k);
		piece = pm_view_part(in, from, i);
		if (next->put(next, &piece, e) < 0)
			return -1;
	}
	return 0;
}

const struct pm_part_type pm_pretokenizers[] = {
	{.name = "ByteLevel", .members = "add_prefix_space trim_offsets use_regex", .build = bytelevel_build, .split = bytelevel_run},
	{.name = "Split", .members = "pattern behavior invert", .build = pm_split_build, .free = pm_split_free, .split = pm_split_run},
	{.name = "Metaspace", .members = "replacement prepend_scheme add_prefix_space split str_rep", .build = metaspace_build,
	 .split = metaspace_run},
	{.name = "Whitespace", .members = "", .split = whitespace_run},
	{.name = "WhitespaceSplit", .members = "", .split = spaces_run},
	{.name = "BertPreTokenizer", .members = "", .split = bert_run},
	{.name = "Punctuation", .members = "behavior", .build = how_build, .split = punctuation_run},
	{.name = "Digits", .members = "individual_digits", .build = digits_build, .split = digits_run},
	{.name = "CharDelimiterSplit", .members = "delimiter", .build = delimiter_build, .split = delimiter_run},
	{.name = "UnicodeScripts", .members = "", .split = pm_scripts_run},
	{.name = "FixedLength", .members = "length", .build = fixed_build, .split = fixed_run},
	{0},
};

bool pm_pretok_ends_bytelevel(const struct pm_parts *ps)
{
	for (size_t i = 0; i < ps->n; i++)
		if (ps->v[i].type->split == bytelevel_run)
			return i + 1 == ps->n;
	return false;
}

void pm_pretok_raw(struct pm_parts *ps)
{
	struct bytelevel *b = ps->v[ps->n - 1].conf;

	b->raw = true;
	if (!b->prefix && !b->regex) {          /* nothing is left for it to do */
		free(b);
		ps->n--;
	}
}

bool pm_pretok_by_lines(const struct pm_parts *ps)
{
	const struct bytelevel *b;

	if (!ps->n)
		return false;
	b = ps->v[0].conf;
	if (ps->v[0].type->split == bytelevel_run)
		return b->regex && !b->prefix;
	return ps->v[0].type->split == pm_split_run && pm_split_known(ps->v);
}

bool pm_pretok_only_spaces(const struct pm_parts *ps)
{
	return !ps->n || (ps->n == 1 && ps->v[0].type->split == pm_split_run && pm_split_space(ps->v));
}
