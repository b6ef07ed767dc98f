#include <string.h>
#include <utf8proc.h>

#include "text/jinja_private.h"
#include "text/unicode.h"

/* White space as str.isspace() has it. */
size_t jj_space_at(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned c;

	if (!n)
		return 0;
	if (p[0] < 0x80)
		return (p[0] >= 9 && p[0] <= 13) || (p[0] >= 0x1c && p[0] <= 0x20);
	if (n >= 2 && p[0] == 0xc2)
		return p[1] == 0x85 || p[1] == 0xa0 ? 2 : 0;
	if (n < 3 || p[0] < 0xe1 || p[0] > 0xe3)
		return 0;
	c = (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u);
	return c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000 ? 3 : 0;
}

/* Whether strip() takes the character of n bytes at s. */
static bool taken(const char *s, size_t n, const struct jj_val *chars)
{
	struct jj_bytes b = {.data = (char *)(size_t)s};
	struct jj_val one = {.kind = JJ_STR, .len = (uint32_t)n, .s = &b};

	return chars ? jj_find(chars, &one, 0, chars->len) != SIZE_MAX : jj_space_at(s, n) == n;
}

struct jj_val jj_strip(const struct jj_val *s, const struct jj_val *chars, bool left, bool right)
{
	const char *p = JJ_BYTES(s);
	size_t from = 0, to = s->len, k;

	while (left && from < to && taken(p + from, k = jj_next(s, from) - from, chars))
		from += k;
	while (right && to > from) {
		for (k = 1; to - k > from && ((unsigned char)p[to - k] & 0xc0) == 0x80; k++)
			;
		if (!taken(p + to - k, k, chars))
			break;
		to -= k;
	}
	return jj_cut(s, from, to);
}

size_t jj_find(const struct jj_val *s, const struct jj_val *what, size_t from, size_t to)
{
	const char *p, *end, *w = JJ_BYTES(what);

	if (to < from || what->len > to - from)
		return SIZE_MAX;
	if (!what->len)
		return from;
	p = JJ_BYTES(s) + from;
	end = JJ_BYTES(s) + to - what->len + 1;
	for (; p < end && (p = memchr(p, *w, (size_t)(end - p))); p++)
		if (!memcmp(p, w, what->len))
			return (size_t)(p - JJ_BYTES(s));
	return SIZE_MAX;
}

int jj_replace(struct jj_exec *x, const struct jj_val *s, const struct jj_val *old, const struct jj_val *new, int64_t count, struct jj_val *out)
{
	struct jj_val r;
	size_t at = 0, hit, next;

	if (jj_steps(x, s->len / 16) < 0)
		return -1;
	hit = jj_find(s, old, 0, s->len);
	if (hit == SIZE_MAX || count == 0) {
		*out = *s;
		return 0;
	}
	if (jj_str_begin(x, &r) < 0)
		return -1;
	r.safe = s->safe;
	for (; count != 0 && hit != SIZE_MAX; count--) {
		if (jj_steps(x, 1) < 0 || jj_add_part(x, &r, s, at, hit) < 0 || jj_add(x, &r, new) < 0)
			return -1;
		at = hit + old->len;
		if (old->len) {
			hit = jj_find(s, old, at, s->len);
			continue;
		}
		next = at < s->len ? jj_next(s, at) : SIZE_MAX;         /* nothing is replaced: before every character, and at the end */
		if (at == s->len)
			break;
		if (jj_add_part(x, &r, s, at, next) < 0)
			return -1;
		at = hit = next;
	}
	if (jj_add_part(x, &r, s, at, s->len) < 0)
		return -1;
	*out = r;
	return 0;
}

int jj_join(struct jj_exec *x, const struct jj_val *sep, const struct jj_val *list, struct jj_val *out)
{
	struct jj_val r;
	uint32_t i;

	if (jj_str_begin(x, &r) < 0)
		return -1;
	for (i = 0; i < list->len; i++) {
		if (JJ_AT(list, i)->kind != JJ_STR)
			return jj_fail(x, "join: element %u is a %s, a str was wanted", i, jj_type_name(JJ_AT(list, i)));
		if ((i && jj_add(x, &r, sep) < 0) || jj_add(x, &r, JJ_AT(list, i)) < 0)
			return -1;
	}
	*out = r;
	return 0;
}

int jj_pad(struct jj_exec *x, const struct jj_val *s, size_t left, size_t right, const struct jj_val *fill, struct jj_val *out)
{
	struct jj_val r, space;

	if (!fill) {
		if (jj_cstr(x, &space, " ") < 0)
			return -1;
		fill = &space;
	}
	if (jj_steps(x, left + right) < 0 || jj_str_begin(x, &r) < 0)
		return -1;
	r.safe = s->safe;
	for (; left; left--)
		if (jj_add(x, &r, fill) < 0)
			return -1;
	if (jj_add(x, &r, s) < 0)
		return -1;
	for (; right; right--)
		if (jj_add(x, &r, fill) < 0)
			return -1;
	*out = r;
	return 0;
}

bool jj_printable(uint32_t c)
{
	switch (utf8proc_category((utf8proc_int32_t)c)) {
	case UTF8PROC_CATEGORY_CC:
	case UTF8PROC_CATEGORY_CF:
	case UTF8PROC_CATEGORY_CS:
	case UTF8PROC_CATEGORY_CO:
	case UTF8PROC_CATEGORY_CN:
	case UTF8PROC_CATEGORY_ZL:
	case UTF8PROC_CATEGORY_ZP:
		return false;
	case UTF8PROC_CATEGORY_ZS:
		return c == ' ';
	default:
		return true;
	}
}

/* --- case --- */

/* Capitals of characters that have several (SpecialCasing.txt); title case keeps the first one large. */
static const struct {
	uint32_t c, upper[3], title[3];
} special[] = {
	{0xdf, {'S', 'S'}, {'S', 's'}}, {0x149, {0x2bc, 'N'}, {0x2bc, 'N'}}, {0x1f0, {'J', 0x30c}, {'J', 0x30c}}, {0x587, {0x535, 0x552}, {0x535, 0x582}},
	{0x1e96, {'H', 0x331}, {'H', 0x331}}, {0x1e97, {'T', 0x308}, {'T', 0x308}}, {0x1e98, {'W', 0x30a}, {'W', 0x30a}},
	{0x1e99, {'Y', 0x30a}, {'Y', 0x30a}}, {0xfb00, {'F', 'F'}, {'F', 'f'}}, {0xfb01, {'F', 'I'}, {'F', 'i'}}, {0xfb02, {'F', 'L'}, {'F', 'l'}},
	{0xfb03, {'F', 'F', 'I'}, {'F', 'f', 'i'}}, {0xfb04, {'F', 'F', 'L'}, {'F', 'f', 'l'}}, {0xfb05, {'S', 'T'}, {'S', 't'}},
	{0xfb06, {'S', 'T'}, {'S', 't'}},
};

static size_t capital(uint32_t c, bool title, uint32_t out[3])
{
	size_t i, n;

	for (i = 0; i < sizeof special / sizeof *special; i++) {
		if (special[i].c != c)
			continue;
		memcpy(out, title ? special[i].title : special[i].upper, sizeof special[i].upper);
		for (n = 1; n < 3 && out[n]; n++)
			;
		return n;
	}
	*out = (uint32_t)(title ? utf8proc_totitle((utf8proc_int32_t)c) : utf8proc_toupper((utf8proc_int32_t)c));
	return 1;
}

static bool cased(uint32_t c)
{
	utf8proc_category_t k = utf8proc_category((utf8proc_int32_t)c);

	return k == UTF8PROC_CATEGORY_LU || k == UTF8PROC_CATEGORY_LL || k == UTF8PROC_CATEGORY_LT;
}

/* A sigma at the end of a word: letters before it, none behind. */
static bool final_sigma(const struct jj_val *s, size_t at, size_t len)
{
	const char *p = JJ_BYTES(s);
	size_t k;

	return at && cased(pm_utf8_last(p, at, &k)) && (at + len == s->len || !cased(pm_utf8_get(p + at + len, &k)));
}

static size_t lower(const struct jj_val *s, size_t at, size_t len, uint32_t c, uint32_t out[3])
{
	if (c == 0x3a3) {
		*out = final_sigma(s, at, len) ? 0x3c2 : 0x3c3;
		return 1;
	}
	return pm_uc_lower(c, out);
}

/* What becomes of one character: title and lower (for titles), or as `how` says. */
enum change { TO_UPPER, TO_LOWER, TO_TITLE, TO_SWAP };

static int change(struct jj_exec *x, const struct jj_val *s, enum change (*which)(void *, uint32_t), void *state, struct jj_val *out)
{
	const char *p = JJ_BYTES(s);
	struct jj_val r;
	size_t i, k, n, j, m;
	uint32_t c, to[3];
	char buf[12];

	if (jj_str_begin(x, &r) < 0 || jj_steps(x, s->len / 4) < 0)
		return -1;
	r.safe = s->safe;
	for (i = 0; i < s->len; i += k) {
		enum change how;

		c = pm_utf8_get(p + i, &k);
		how = which(state, c);
		if (how == TO_SWAP) {
			uint32_t up[3];

			how = capital(c, false, up) == 1 && up[0] == c ? TO_LOWER : TO_UPPER;
		}
		n = how == TO_LOWER ? lower(s, i, k, c, to) : capital(c, how == TO_TITLE, to);
		for (j = m = 0; j < n; j++)
			m += pm_utf8_put(buf + m, to[j]);
		if (jj_add_bytes(x, &r, buf, m, jj_tag_at(s, i)) < 0)
			return -1;
	}
	*out = r;
	return 0;
}

static enum change same(void *state, uint32_t c)
{
	(void)c;
	return *(enum change *)state;
}

int jj_change_case(struct jj_exec *x, const struct jj_val *s, enum jj_case how, struct jj_val *out)
{
	enum change to = how == JJ_UPPER ? TO_UPPER : how == JJ_LOWER ? TO_LOWER : TO_SWAP;

	return change(x, s, same, &to, out);
}

struct words {
	bool every, inside;             /* of every word, not only the first letter; within one */
};

static enum change in_words(void *state, uint32_t c)
{
	struct words *w = state;
	enum change r = w->inside ? TO_LOWER : TO_TITLE;

	w->inside = w->every ? cased(c) : true;
	return r;
}

int jj_title(struct jj_exec *x, const struct jj_val *s, bool every, struct jj_val *out)
{
	struct words w = {every, false};

	return change(x, s, in_words, &w, out);
}
