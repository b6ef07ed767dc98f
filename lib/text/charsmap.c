#include "text/charsmap.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/mem.h"
#include "text/base64.h"
#include "text/trie.h"
#include "text/unicode.h"

struct charsmap {
	unsigned char *data;
	const unsigned char *unit, *text;       /* units of the trie (32 bits, little-endian), and texts, each closed by a 0 */
	size_t units, text_n;
};

static uint32_t le32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int read_map(struct charsmap *m, const char *s, size_t n, struct pm_err *e)
{
	size_t trie;
	int64_t size;

	m->data = pm_alloc(n, 1, e);
	if (!m->data)
		return -1;
	size = pm_base64_bytes(m->data, s, n);
	trie = size >= 4 ? le32(m->data) : 0;
	if (size < 4 || trie % 4 || trie > (size_t)size - 4)
		return pm_fail(e, PM_DATA, "'precompiled_charsmap': not a map of characters in base64");
	m->unit = m->data + 4;
	m->units = trie / 4;
	m->text = m->unit + trie;
	m->text_n = (size_t)size - 4 - trie;
	return 0;
}

int pm_charsmap_build(struct pm_part *p, const json_t *o, struct pm_err *e)
{
	struct charsmap *m = p->conf = pm_alloc(1, sizeof *m, e);
	const char *s;
	size_t n;

	return !m || pm_part_str(&s, &n, o, "precompiled_charsmap", e) < 0 ? -1 : read_map(m, s, n, e);
}

void pm_charsmap_free(struct pm_part *p)
{
	struct charsmap *m = p->conf;

	free(m->data);
}

/* What replaces the shortest prefix of s that is in the map (or the longest; *used: its bytes), NULL where none is. Units are those of Darts-clone: 8 bits of
 * label, a leaf flag, and the offset of the children. */
static const char *find(const struct charsmap *m, const char *s, size_t n, bool longest, size_t *len, size_t *used)
{
	const char *found = NULL;
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
			break;
		u = le32(m->unit + 4 * at);
		if ((u & (1u << 31 | 0xff)) != (unsigned char)s[i])
			break;
		at ^= u >> 10 << ((u & 1u << 9) >> 6);
		if (!(u >> 8 & 1))
			continue;
		value = at < m->units ? le32(m->unit + 4 * at) & 0x7fffffff : SIZE_MAX;
		if (value >= m->text_n)
			break;
		end = memchr(m->text + value, 0, m->text_n - value);
		*len = end ? (size_t)((const unsigned char *)end - (m->text + value)) : m->text_n - value;
		*used = i + 1;
		found = (const char *)m->text + value;
		if (!longest)
			break;
	}
	return found;
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
	size_t len = 0, used, k;
	const char *t = n < 6 ? find(m, s, n, false, &len, &used) : NULL;

	if (t) {
		*changed = true;
		return replace(w, t, len, pm_utf8_count(s, n), e);
	}
	for (size_t i = 0; i < n; i += k) {
		uint32_t c = pm_utf8_get(s + i, &k);

		t = find(m, s + i, k, false, &len, &used);
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

/* SentencePiece's normalizer (sources.h). */

struct sentencepiece {
	struct charsmap map;            /* no data: none */
	struct pm_trie symbols;
	bool squeeze, dummy, first, suffix, escape;
};

int pm_sentencepiece_build(struct pm_part *p, const json_t *o, struct pm_err *e)
{
	struct sentencepiece *m = p->conf = pm_alloc(1, sizeof *m, e);
	const json_t *a = json_object_get(o, "symbols");
	size_t n = json_array_size(a), len;
	struct pm_trie_key *key;
	const char *s;
	int r = 0;

	if (!m || pm_part_str(&s, &len, o, "precompiled_charsmap", e) < 0 || pm_part_bool(&m->squeeze, o, "remove_extra_whitespaces", e) < 0
		|| pm_part_bool(&m->dummy, o, "add_dummy_prefix", e) < 0 || pm_part_bool(&m->first, o, "first", e) < 0
		|| pm_part_bool(&m->suffix, o, "treat_whitespace_as_suffix", e) < 0 || pm_part_bool(&m->escape, o, "escape_whitespaces", e) < 0)
		return -1;
	if (len && read_map(&m->map, s, len, e) < 0)
		return -1;
	key = pm_alloc(n, sizeof *key, e);
	if (!key)
		return -1;
	for (size_t i = 0; r == 0 && i < n; i++) {
		key[i].s = json_string_value(json_array_get(a, i));
		key[i].n = json_string_length(json_array_get(a, i));
		key[i].value = 0;
		if (!key[i].n)
			r = pm_fail(e, PM_DATA, "'symbols': %zu: a text was wanted", i);
	}
	if (r == 0 && n)
		r = pm_trie_build(&m->symbols, key, n, e);
	free(key);
	return r;
}

void pm_sentencepiece_free(struct pm_part *p)
{
	struct sentencepiece *m = p->conf;

	free(m->map.data);
	pm_trie_free(&m->symbols);
}

/* What stands for the start of s, and how many of its bytes that is: a symbol or a character as it is, or what the map has for it. */
static const char *prefix(const struct sentencepiece *m, const char *s, size_t n, size_t *len, size_t *used)
{
	const char *t = m->map.data ? find(&m->map, s, n, true, len, used) : NULL;
	size_t symbol = 0;

	if (pm_trie_longest(&m->symbols, s, n, &symbol) < 0) {
		if (t)
			return t;
		pm_utf8_get(s, &symbol);
	}
	*len = *used = symbol;
	return s;
}

/* The space before (or behind) the text: it takes the range of the character that it stands next to, which is new then. */
static int dummy(const struct sentencepiece *m, struct writer *w, bool before, struct pm_err *e)
{
	return write(w, m->escape ? 0x2581 : ' ', before ? 0 : 1, e);
}

/* Writes what stands for `old` characters, spaces at its front left out after a space; *taken: the first of them went to the dummy. */
static int squeezed(const struct sentencepiece *m, struct writer *w, const char *t, size_t len, size_t old, bool *space, bool *taken, struct pm_err *e)
{
	size_t j = 0, k, skip = 0;
	uint32_t c;

	while (*space && skip < len && t[skip] == ' ')
		skip++;
	if (pm_utf8_valid(t + skip, len - skip) != len - skip)
		return pm_fail(e, PM_DATA, "'precompiled_charsmap': a text that is not UTF-8");
	if (skip == len) {              /* it vanishes: it belongs to what is before it, or to nothing */
		if (w->any)
			w->change -= (int)old;
		else
			while (old--) {
				pm_utf8_get(w->ed.in->s + w->ed.at, &k);
				w->ed.at += k;
			}
		return 0;
	}
	for (size_t i = skip; i < len; i += k, j++) {
		c = pm_utf8_get(t + i, &k);
		if (write(w, c == ' ' && m->escape ? 0x2581 : c, j >= old || (j == 0 && *taken), e) < 0)
			return -1;
	}
	if (j < old)
		w->change -= (int)(old - j);
	*taken = false;
	*space = t[len - 1] == ' ';
	return 0;
}

int pm_sentencepiece_run(const struct pm_part *p, const struct pm_view *in, struct pm_textbuf *out, bool *changed, struct pm_worker *worker,
	struct pm_err *e)
{
	const struct sentencepiece *m = p->conf;
	struct writer w = {.ed = pm_edit_begin(in, out)};
	const char *blank = m->escape ? "\xe2\x96\x81" : " ", *t;
	size_t len = 0, used = 0, width = strlen(blank), i = 0;
	bool space = m->squeeze, taken = false;

	(void)worker;
	*changed = true;
	for (; m->squeeze && i < in->n; i += used) {
		t = prefix(m, in->s + i, in->n - i, &len, &used);
		if (len != 1 || *t != ' ')
			break;
		w.ed.at = i + used;
	}
	if (i == in->n)
		return 0;
	if (m->dummy && !m->suffix && (!m->first || pm_view_at(in, 0).from == 0)) {
		if (dummy(m, &w, true, e) < 0)
			return -1;
		taken = true;
	}
	for (; i < in->n; i += used) {
		t = prefix(m, in->s + i, in->n - i, &len, &used);
		if (squeezed(m, &w, t, len, pm_utf8_count(in->s + i, used), &space, &taken, e) < 0)
			return -1;
		space &= m->squeeze;
	}
	if (w.any && pm_edit_put(&w.ed, w.c, w.change, e) < 0)
		return -1;
	while (m->squeeze && out->n >= width && memcmp(out->s + out->n - width, blank, width) == 0)
		out->n -= width;
	w.any = false;
	return m->dummy && m->suffix ? pm_edit_insert(&w.ed, blank, width, e) : 0;
}
