#include "text/match.h"

#include <string.h>

#include "text/unicode.h"

enum {
	LETTER = PM_UC_LETTER,
	NUMBER = PM_UC_NUMBER,
	SPACE = PM_UC_SPACE,
	NOT_OTHER = PM_UC_LETTER | PM_UC_NUMBER | PM_UC_SPACE,
};

static inline unsigned at(const char *s, size_t i, size_t *len)
{
	unsigned char c = (unsigned char)s[i];

	if (c < 0x80) {
		*len = 1;
		return pm_uc_ascii[c];
	}
	return pm_uc_wide(pm_utf8_get(s + i, len));
}

/* The end of the run from i on of characters that have one of the bits, or none of them. */
static inline size_t run(const char *s, size_t n, size_t i, unsigned bits)
{
	size_t k;

	while (i < n && (at(s, i, &k) & bits))
		i += k;
	return i;
}

static inline size_t run_without(const char *s, size_t n, size_t i, unsigned bits)
{
	size_t k;

	while (i < n && !(at(s, i, &k) & bits))
		i += k;
	return i;
}

/* \s+(?!\S)|\s+ : blanks up to the last one before a word, or all of them at the end of the text. */
static size_t blanks(const char *s, size_t n, size_t i)
{
	size_t end = i, last = i, k;

	while (end < n && (at(s, end, &k) & SPACE)) {
		last = end;
		end += k;
	}
	return end == n || last == i ? end : last;
}

/* 's|'t|'re|'ve|'m|'ll|'d after an apostrophe at s[i]; returns i where there is none. */
static size_t contraction(const char *s, size_t n, size_t i)
{
	char a, b;

	if (i + 1 >= n || s[i] != '\'')
		return i;
	a = s[i + 1];
	if (a == 's' || a == 't' || a == 'm' || a == 'd')
		return i + 2;
	b = i + 2 < n ? s[i + 2] : 0;
	return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? i + 3 : i;
}

/* The same in any case; U+017F is an s too. */
static size_t contraction_any(const char *s, size_t n, size_t i)
{
	char t[3] = {'\''};

	if (i + 1 >= n || s[i] != '\'')
		return i;
	if ((unsigned char)s[i + 1] == 0xc5 && (unsigned char)s[i + 2] == 0xbf)
		return i + 3;
	t[1] = (char)(s[i + 1] | 0x20);
	t[2] = i + 2 < n ? (char)(s[i + 2] | 0x20) : 0;
	return i + contraction(t, 3, 0);
}

/* 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+ */
size_t pm_match_gpt2(const char *s, size_t n, size_t i)
{
	size_t j = i, k;
	unsigned c;

	if (s[i] == '\'' && (j = contraction(s, n, i)) != i)
		return j;
	if (s[i] == ' ' && i + 1 < n)
		j++;
	c = at(s, j, &k);
	if (c & LETTER)
		return run(s, n, j + k, LETTER);
	if (c & NUMBER)
		return run(s, n, j + k, NUMBER);
	if (!(c & SPACE))
		return run_without(s, n, j + k, NOT_OTHER);
	return blanks(s, n, i);
}

/*  ?[^\s\p{L}\p{N}]+[\r\n]* (slash: and / among them), \s*[\r\n]+, \s+(?!\S), \s+ : the ends of the two patterns below. */
static size_t rest(const char *s, size_t n, size_t i, unsigned c, bool slash)
{
	size_t j = i, k, end = 0;

	if (s[i] == ' ' && i + 1 < n)
		c = at(s, ++j, &k);
	if (!(c & NOT_OTHER)) {
		j = run_without(s, n, j, NOT_OTHER);
		while (j < n && (s[j] == '\r' || s[j] == '\n' || (slash && s[j] == '/')))
			j++;
		return j;
	}
	for (j = i; j < n && (at(s, j, &k) & SPACE); j += k)
		if (s[j] == '\r' || s[j] == '\n')
			end = j + 1;
	return end ? end : blanks(s, n, i);
}

/* (?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,max}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+ */
static inline size_t words(const char *s, size_t n, size_t i, int max)
{
	size_t j, k;
	unsigned c = at(s, i, &k);

	if (c & LETTER)
		return run(s, n, i + k, LETTER);
	if (c & NUMBER) {
		for (j = i + k; --max && j < n && (at(s, j, &k) & NUMBER); j += k)
			;
		return j;
	}
	if (s[i] == '\'' && (j = contraction_any(s, n, i)) != i)
		return j;
	j = i + k;
	if (s[i] != '\r' && s[i] != '\n' && j < n && (at(s, j, &k) & LETTER))
		return run(s, n, j + k, LETTER);
	return rest(s, n, i, c, false);
}

static size_t cl100k(const char *s, size_t n, size_t i)
{
	return words(s, n, i, 3);
}

static size_t qwen2(const char *s, size_t n, size_t i)
{
	return words(s, n, i, 1);
}

/* U*l+ from i on, where U are capitals and l small letters (modifiers, other letters and marks are both), as a regular
 * expression finds it: the capitals give back until a small letter follows. Returns i where it does not match. */
static size_t capitals_small(const char *s, size_t n, size_t i)
{
	size_t j = i, k, back = i, back_end = i;
	unsigned c;

	while (j < n && ((c = at(s, j, &k)) & PM_UC_UPPER)) {
		if (c & PM_UC_LOWER) {
			back = j;
			back_end = j + k;
		}
		j += k;
	}
	k = run(s, n, j, PM_UC_LOWER);
	if (k != j)
		return k;
	return back_end != back ? back_end : i;
}

/* The words of o200k: an optional sign before, U*l+ or else U+l*, an optional contraction behind; then as above. */
static size_t o200k(const char *s, size_t n, size_t i)
{
	size_t j = i, k, end;
	unsigned c = at(s, i, &k);

	if (c & NUMBER) {
		for (j = i + k, k = 0; k < 2 && j < n; k++) {
			size_t m;

			if (!(at(s, j, &m) & NUMBER))
				break;
			j += m;
		}
		return j;
	}
	if (!(c & LETTER) && s[i] != '\r' && s[i] != '\n')
		j = i + k;
	end = j < n ? capitals_small(s, n, j) : j;
	if (end == j && j != i && (c & PM_UC_MARK))
		j = end = i, end = capitals_small(s, n, i);
	if (end == j) {
		j = !(c & LETTER) && s[i] != '\r' && s[i] != '\n' ? i + k : i;
		end = run(s, n, j, PM_UC_UPPER);
	}
	if (end == j)
		return rest(s, n, i, c, true);
	return contraction_any(s, n, end);
}

static const struct {
	const char *pattern;
	pm_match_fn *fn;
} known[] = {
	{"'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+", pm_match_gpt2},
	{"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
	 "\\s+(?!\\S)|\\s+", cl100k},
	{"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|"
	 "\\s+(?!\\S)|\\s+", qwen2},
	{"[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
	 "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]+[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|"
	 "\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+", o200k},
};

pm_match_fn *pm_match_known(const char *pattern)
{
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strcmp(pattern, known[i].pattern) == 0)
			return known[i].fn;
	return NULL;
}

const char *pm_match_pattern(size_t i)
{
	return i < sizeof known / sizeof *known ? known[i].pattern : NULL;
}
