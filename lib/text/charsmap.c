#include "text/charsmap.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/mem.h"
#include "text/unicode.h"

struct charsmap {
	unsigned char *data;
	const unsigned char *unit, *text;       /* units of the trie (32 bits, little-endian), and texts, each closed by a 0 */
	size_t units, text_n;
};

static int digit(char c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

/* Base64 to out (3/4 of n bytes); −1 where it is none. */
static int64_t base64(unsigned char *out, const char *s, size_t n)
{
	size_t k = 0;
	uint32_t bits = 0;
	int have = 0;

	while (n && s[n - 1] == '=')
		n--;
	for (size_t i = 0; i < n; i++) {
		int d = digit(s[i]);

		if (d < 0)
			return -1;
		bits = bits << 6 | (uint32_t)d;
		have += 6;
		if (have >= 8) {
			have -= 8;
			out[k++] = (unsigned char)(bits >> have);
		}
	}
	return (int64_t)k;
}

static uint32_t le32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

int pm_charsmap_build(struct pm_part *p, const json_t *o, struct pm_err *e)
{
	struct charsmap *m = p->conf = pm_alloc(1, sizeof *m, e);
	const char *s;
	size_t n, trie;
	int64_t size;

	if (!m || pm_part_str(&s, &n, o, "precompiled_charsmap", e) < 0)
		return -1;
	m->data = pm_alloc(n, 1, e);
	if (!m->data)
		return -1;
	size = base64(m->data, s, n);
	trie = size >= 4 ? le32(m->data) : 0;
	if (size < 4 || trie % 4 || trie > (size_t)size - 4)
		return pm_fail(e, PM_DATA, "'precompiled_charsmap': not a map of characters in base64");
	m->unit = m->data + 4;
	m->units = trie / 4;
	m->text = m->unit + trie;
	m->text_n = (size_t)size - 4 - trie;
	return 0;
}

void pm_charsmap_free(struct pm_part *p)
{
	struct charsmap *m = p->conf;

	free(m->data);
}

/* What replaces the shortest prefix of s that is in the map, NULL where none is. Units are those of Darts-clone: 8 bits of
 * label, a leaf flag, and the offset of the children. */
static const char *find(const struct charsmap *m, const char *s, size_t n, size_t *len)
{
	size_t at = 0, value;
	const void *end;
	uint32_t u;

	if (!m->units)
		return NULL;
	u = le32(m->unit);
	at = u >> 10 << ((u & 1u << 9) >> 6);
	for (size_t i = 0; i < n && s[i]; i++) {
		at ^= (unsigned char)s[i];
		if (at >= m->units)
			return NULL;
		u = le32(m->unit + 4 * at);
		if ((u & (1u << 31 | 0xff)) != (unsigned char)s[i])
			return NULL;
		at ^= u >> 10 << ((u & 1u << 9) >> 6);
		if (!(u >> 8 & 1))
			continue;
		value = at < m->units ? le32(m->unit + 4 * at) & 0x7fffffff : SIZE_MAX;
		if (value >= m->text_n)
			return NULL;
		end = memchr(m->text + value, 0, m->text_n - value);
		*len = end ? (size_t)((const unsigned char *)end - (m->text + value)) : m->text_n - value;
		return (const char *)m->text + value;
	}
	return NULL;
}

/* An edit whose last character may still take more of the text with it. */
struct writer {
	struct pm_edit ed;
	uint32_t c;
	int change;
	bool any;
};

static int write(struct writer *w, uint32_t c, int change, struct pm_err *e)
{
	if (w->any && pm_edit_put(&w->ed, w->c, w->change, e) < 0)
		return -1;
	w->any = true;
	w->c = c;
	w->change = change;
	return 0;
}

/* Writes a text in place of `old` characters. Where it has more, the last ones are new; where it has fewer, the last one
 * stands for the rest. */
static int replace(struct writer *w, const char *s, size_t n, size_t old, struct pm_err *e)
{
	size_t count, k, j = 0;

	if (pm_utf8_valid(s, n) != n)
		return pm_fail(e, PM_DATA, "'precompiled_charsmap': a text that is not UTF-8");
	count = pm_utf8_count(s, n);
	for (size_t i = 0; i < n; i += k, j++)
		if (write(w, pm_utf8_get(s + i, &k), j >= old, e) < 0)
			return -1;
	if (count < old && w->any)
		w->change -= (int)(old - count);
	return 0;
}

static size_t grapheme(const char *s, size_t n, size_t i)
{
	utf8proc_int32_t state = 0, a, b;
	size_t k;

	a = (utf8proc_int32_t)pm_utf8_get(s + i, &k);
	for (i += k; i < n; i += k) {
		b = (utf8proc_int32_t)pm_utf8_get(s + i, &k);
		if (utf8proc_grapheme_break_stateful(a, b, &state))
			break;
		a = b;
	}
	return i;
}

/* Short grapheme clusters are looked up whole, and then what the map has for their front replaces all of them: so does the
 * `tokenizers` library, and vocabularies were made with it. */
static int cluster(const struct charsmap *m, const char *s, size_t n, struct writer *w, bool *changed, struct pm_err *e)
{
	size_t len = 0, k;
	const char *t = n < 6 ? find(m, s, n, &len) : NULL;

	if (t) {
		*changed = true;
		return replace(w, t, len, pm_utf8_count(s, n), e);
	}
	for (size_t i = 0; i < n; i += k) {
		uint32_t c = pm_utf8_get(s + i, &k);

		t = find(m, s + i, k, &len);
		*changed |= t != NULL;
		if ((t ? replace(w, t, len, 1, e) : write(w, c, 0, e)) < 0)
			return -1;
	}
	return 0;
}

int pm_charsmap_run(const struct pm_part *p, const struct pm_view *in, struct pm_textbuf *out, bool *changed, struct pm_worker *worker,
	struct pm_err *e)
{
	struct writer w = {.ed = pm_edit_begin(in, out)};
	size_t end;

	(void)worker;
	for (size_t i = 0; i < in->n; i = end) {
		end = grapheme(in->s, in->n, i);
		if (cluster(p->conf, in->s + i, end - i, &w, changed, e) < 0)
			return -1;
	}
	return *changed && w.any ? pm_edit_put(&w.ed, w.c, w.change, e) : 0;
}
