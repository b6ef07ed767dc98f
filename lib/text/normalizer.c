/* The table of normalizers. */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/charsmap.h"
#include "text/normal.h"
#include "text/part.h"
#include "text/pretok.h"
#include "text/ucd.h"
#include "text/unicode.h"
#include "text/worker.h"

#define NORMALIZER(name) \
	static int name(const struct pm_part *p, const struct pm_view *in, struct pm_textbuf *out, bool *changed, \
		struct pm_worker *w, struct pm_err *e)

NORMALIZER(nfc)
{
	(void)p;
	(void)w;
	return pm_normal_form(in, out, changed, true, false, e);
}

NORMALIZER(nfd)
{
	(void)p;
	(void)w;
	return pm_normal_form(in, out, changed, false, false, e);
}

NORMALIZER(nfkc)
{
	(void)p;
	(void)w;
	return pm_normal_form(in, out, changed, true, true, e);
}

NORMALIZER(nfkd)
{
	(void)p;
	(void)w;
	return pm_normal_form(in, out, changed, false, true, e);
}

/* Characters that are kept, mapped (in place), or dropped. */
enum { DROP = UINT32_MAX };

static int map(const struct pm_view *in, struct pm_textbuf *out, bool *changed, uint32_t (*of)(uint32_t c), struct pm_err *e)
{
	struct pm_edit ed = pm_edit_begin(in, out);
	uint32_t c, held = DROP;
	size_t k, i = 0, gone = 0;
	int drop = 0;

	while (i < in->n) {
		c = pm_utf8_get(in->s + i, &k);
		if (of(c) != c)
			break;
		i += k;
	}
	if (i == in->n)
		return 0;
	*changed = true;
	/* a dropped character belongs to the kept one before it, those at the start to none */
	for (i = 0; i < in->n; i += k) {
		c = of(pm_utf8_get(in->s + i, &k));
		if (c == DROP) {
			drop++;
			continue;
		}
		if (held == DROP) {
			gone = i;
			ed.at = gone;
		} else if (pm_edit_put(&ed, held, -drop, e) < 0) {
			return -1;
		}
		held = c;
		drop = 0;
	}
	return held == DROP ? 0 : pm_edit_put(&ed, held, -drop, e);
}

static uint32_t no_accent(uint32_t c)
{
	return c >= 0x300 && (pm_uc(c) & PM_UC_MARK) && !pm_ucd_after(c, 9) ? DROP : c;
}

NORMALIZER(strip_accents)
{
	(void)p;
	(void)w;
	return map(in, out, changed, no_accent, e);
}

/* SentencePiece's idea of blanks and controls. */
static uint32_t nmt_of(uint32_t c)
{
	if ((c >= 1 && c <= 8) || c == 0xb || (c >= 0xe && c <= 0x1f) || c == 0x7f || c == 0x8f || c == 0x9f)
		return DROP;
	if (c == 9 || c == 0xa || c == 0xc || c == 0xd || c == 0x1680 || (c >= 0x200b && c <= 0x200f) || c == 0x2028 || c == 0x2029
		|| c == 0x2581 || c == 0xfeff || c == 0xfffd)
		return ' ';
	return c;
}

NORMALIZER(nmt)
{
	(void)p;
	(void)w;
	return map(in, out, changed, nmt_of, e);
}

NORMALIZER(lowercase)
{
	struct pm_edit ed;
	uint32_t c, l[3];
	size_t i, k, n;

	(void)p;
	(void)w;
	for (i = 0; i < in->n; i += k) {
		c = pm_utf8_get(in->s + i, &k);
		if (pm_uc_lower(c, l) != 1 || l[0] != c)
			break;
	}
	if (i == in->n)
		return 0;
	*changed = true;
	ed = pm_edit_begin(in, out);
	for (i = 0; i < in->n; i += k) {
		n = pm_uc_lower(pm_utf8_get(in->s + i, &k), l);
		for (size_t j = 0; j < n; j++)
			if (pm_edit_put(&ed, l[j], j > 0, e) < 0)
				return -1;
	}
	return 0;
}

NORMALIZER(bytelevel)
{
	(void)p;
	(void)w;
	*changed = true;
	return pm_pretok_bytes(in, out, e);
}

/* Strip */

struct strip {
	bool left, right;
};

static int strip_build(struct pm_part *p, const json_t *o, struct pm_err *e)
{
	struct strip *s = p->conf = pm_alloc(1, sizeof *s, e);

	if (!s || pm_part_bool(&s->left, o, "strip_left", e) < 0)
		return -1;
	return pm_part_bool(&s->right, o, "strip_right", e);
}

NORMALIZER(strip)
{
	const struct strip *s = p->conf;
	struct pm_edit ed;
	size_t a = 0, b = in->n, k;

	(void)w;
	while (s->left && a < b && (pm_uc(pm_utf8_get(in->s + a, &k)) & PM_UC_SPACE))
		a += k;
	while (s->right && b > a && (pm_uc(pm_utf8_last(in->s, b, &k)) & PM_UC_SPACE))
		b -= k;
	if (a == 0 && b == in->n)
		return 0;
	*changed = true;
	ed = pm_edit_begin(in, out);
	ed.at = a;
	return pm_edit_copy(&ed, b, e);
}

/* Prepend */

struct text {
	char *s;
	size_t n;
	struct pm_pattern re;
};

static int prepend_build(struct pm_part *p, const json_t *o, struct pm_err *e)
{
	struct text *t = p->conf = pm_alloc(1, sizeof *t, e);
	const char *s;

	if (!t || pm_part_str(&s, &t->n, o, "prepend", e) < 0)
		return -1;
	t->s = pm_strndup(s, t->n, e);
	return t->s ? 0 : -1;
}

static void text_free(struct pm_part *p)
{
	struct text *t = p->conf;

	free(t->s);
	pm_pattern_free(&t->re);
}

NORMALIZER(prepend)
{
	const struct text *t = p->conf;
	struct pm_edit ed;
	uint32_t c;
	size_t k;

	(void)w;
	if (!in->n || !t->n)
		return 0;
	*changed = true;
	ed = pm_edit_begin(in, out);
	c = pm_utf8_get(t->s, &k);
	if (pm_edit_put(&ed, c, 0, e) < 0 || pm_edit_insert(&ed, t->s + k, t->n - k, e) < 0)
		return -1;
	c = pm_utf8_get(in->s, &k);
	return pm_edit_put(&ed, c, 1, e) < 0 ? -1 : pm_edit_copy(&ed, in->n, e);
}

/* Replace */

static int replace_build(struct pm_part *p, const json_t *o, struct pm_err *e)
{
	struct text *t = p->conf = pm_alloc(1, sizeof *t, e);
	const char *s;
	bool literal;

	if (!t || pm_part_str(&s, &t->n, o, "content", e) < 0)
		return -1;
	t->s = pm_strndup(s, t->n, e);
	return t->s ? pm_split_pattern(&t->re, &s, &literal, o, e) : -1;
}

NORMALIZER(replace)
{
	const struct text *t = p->conf;
	struct pm_find f = {.s = in->s, .n = in->n};
	struct pm_edit ed = pm_edit_begin(in, out);
	size_t from, to;
	int r;

	if (t->re.literal && t->re.n == 1 && !in->map) {
		*changed = memchr(in->s, t->re.literal[0], in->n) != NULL;
		return *changed ? pm_edit_replace_byte(in, out, t->re.literal[0], t->s, t->n, e) : 0;
	}
	while ((r = pm_pattern_next(&t->re, &w->match, &f, &from, &to, e)) > 0) {
		*changed = true;
		if (pm_edit_copy(&ed, from, e) < 0)
			return -1;
		ed.at = to;
		if (pm_edit_insert(&ed, t->s, t->n, e) < 0)
			return -1;
	}
	return r < 0 ? -1 : *changed ? pm_edit_copy(&ed, in->n, e) : 0;
}

/* BertNormalizer: several steps, of which each may change the text. */

struct bert {
	bool clean, chinese, accents, lower;
};

static int bert_build(struct pm_part *p, const json_t *o, struct pm_err *e)
{
	struct bert *b = p->conf = pm_alloc(1, sizeof *b, e);

	if (!b || pm_part_bool(&b->clean, o, "clean_text", e) < 0 || pm_part_bool(&b->chinese, o, "handle_chinese_chars", e) < 0
		|| pm_part_bool(&b->lower, o, "lowercase", e) < 0)
		return -1;
	b->accents = b->lower;
	return pm_json_bool(&b->accents, o, "strip_accents", e) < 0 ? -1 : 0;
}

static uint32_t clean_of(uint32_t c)
{
	if (c == '\t' || c == '\n' || c == '\r')
		return ' ';
	if (c == 0xfffd || (pm_uc_old(c) & PM_UC_CONTROL))
		return DROP;
	return pm_uc(c) & PM_UC_SPACE ? ' ' : c;
}

NORMALIZER(bert_clean)
{
	(void)p;
	(void)w;
	return map(in, out, changed, clean_of, e);
}

static bool chinese(uint32_t c)
{
	return (c >= 0x4e00 && c <= 0x9fff) || (c >= 0x3400 && c <= 0x4dbf) || (c >= 0x20000 && c <= 0x2a6df)
		|| (c >= 0x2a700 && c <= 0x2b73f) || (c >= 0x2b740 && c <= 0x2b81f) || (c >= 0x2b920 && c <= 0x2ceaf)
		|| (c >= 0xf900 && c <= 0xfaff) || (c >= 0x2f800 && c <= 0x2fa1f);
}

/* Chinese characters get blanks around them. */
NORMALIZER(bert_chinese)
{
	struct pm_edit ed = pm_edit_begin(in, out);
	uint32_t c;
	size_t k;

	(void)p;
	(void)w;
	for (size_t i = 0; i < in->n; i += k) {
		c = pm_utf8_get(in->s + i, &k);
		if (!chinese(c))
			continue;
		*changed = true;
		if (pm_edit_copy(&ed, i, e) < 0 || pm_edit_put(&ed, ' ', 0, e) < 0 || pm_edit_put(&ed, c, 1, e) < 0
			|| pm_edit_put(&ed, ' ', 1, e) < 0)
			return -1;
	}
	return *changed ? pm_edit_copy(&ed, in->n, e) : 0;
}

static uint32_t no_nonspacing(uint32_t c)
{
	return c >= 0x300 && (pm_uc_old(c) & PM_UC_NONSPACING) ? DROP : c;
}

NORMALIZER(bert_accents)
{
	(void)p;
	(void)w;
	return map(in, out, changed, no_nonspacing, e);
}

NORMALIZER(bert)
{
	const struct bert *b = p->conf;
	int (*const steps[])(const struct pm_part *, const struct pm_view *, struct pm_textbuf *, bool *, struct pm_worker *, struct pm_err *) = {
		b->clean ? bert_clean : NULL, b->chinese ? bert_chinese : NULL, b->accents ? nfd : NULL, b->accents ? bert_accents : NULL,
		b->lower ? lowercase : NULL,
	};
	struct pm_textbuf *tmp = pm_worker_buf(w, e), swap;
	struct pm_view v = *in;
	bool step;

	if (!tmp)
		return -1;
	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		step = false;
		if (steps[i] && steps[i](p, &v, tmp, &step, w, e) < 0)
			return -1;
		if (!step)
			continue;
		swap = *tmp;            /* the result so far is in out */
		*tmp = *out;
		*out = swap;
		v = pm_textbuf_view(out);
		*changed = true;
	}
	w->nbuf--;
	return 0;
}

const struct pm_part_type pm_normalizers[] = {
	{.name = "NFC", .members = "", .normalize = nfc},
	{.name = "NFD", .members = "", .normalize = nfd},
	{.name = "NFKC", .members = "", .normalize = nfkc},
	{.name = "NFKD", .members = "", .normalize = nfkd},
	{.name = "Lowercase", .members = "", .normalize = lowercase},
	{.name = "StripAccents", .members = "", .normalize = strip_accents},
	{.name = "Nmt", .members = "", .normalize = nmt},
	{.name = "ByteLevel", .members = "", .normalize = bytelevel},
	{.name = "Strip", .members = "strip_left strip_right", .build = strip_build, .normalize = strip},
	{.name = "Prepend", .members = "prepend", .build = prepend_build, .free = text_free, .normalize = prepend},
	{.name = "Replace", .members = "pattern content", .build = replace_build, .free = text_free, .normalize = replace},
	{.name = "BertNormalizer", .members = "clean_text handle_chinese_chars strip_accents lowercase", .build = bert_build, .normalize = bert},
	{.name = "Precompiled", .members = "precompiled_charsmap", .build = pm_charsmap_build, .free = pm_charsmap_free,
	 .normalize = pm_charsmap_run},
	{.name = "pm:SentencePiece", .members = "precompiled_charsmap symbols remove_extra_whitespaces add_dummy_prefix first "
	 "treat_whitespace_as_suffix escape_whitespaces", .build = pm_sentencepiece_build, .free = pm_sentencepiece_free,
	 .normalize = pm_sentencepiece_run},
	{0},
};

bool pm_normalize_by_lines(const struct pm_parts *ps)
{
	for (size_t i = 0; i < ps->n; i++)
		if (ps->v[i].type->normalize != nfc)
			return false;
	return true;
}

bool pm_normalize_by_words(const struct pm_parts *ps, size_t *later)
{
	const struct text *t;

	*later = ps->n > 1;
	if (ps->n < 1 || ps->n > 2 || (*later && ps->v[0].type->normalize != prepend) || ps->v[*later].type->normalize != replace)
		return false;
	t = ps->v[*later].conf;
	return t->re.literal && strcmp(t->re.literal, " ") == 0 && strcmp(t->s, "\xe2\x96\x81") == 0;
}
