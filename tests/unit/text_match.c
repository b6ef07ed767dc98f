/* The split patterns written out by hand give the same pieces as their regular expressions: for every character in several
 * surroundings, for every short string over their classes, for random texts that are full of what the patterns care about, and for the golden
 * texts. Also: text that is taken for normalized is normalized, characters' classes, and the check of UTF-8. */
#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

#include "base/file.h"
#include "base/json.h"
#include "base/rng.h"
#include "tap.h"
#include "text/match.h"
#include "text/pattern.h"
#include "text/unicode.h"

static struct pm_err err;

struct both {
	pm_match_fn *fn;
	struct pm_pattern re;
	struct pm_match m;
	size_t wrong;
};

static void compare(struct both *b, const char *s, size_t n)
{
	struct pm_find f = {.s = s, .n = n};
	size_t at = 0, from, to, end;
	int r;

	while (at < n) {
		r = pm_pattern_next(&b->re, &b->m, &f, &from, &to, &err);
		end = b->fn(s, n, at);
		if (r != 1 || from != at || to != end) {
			if (b->wrong++ < 5)
				printf("# at %zu of '%.*s': %zu to %zu by the pattern, to %zu by hand\n", at, (int)n, s, from, to, end);
			return;
		}
		at = end;
	}
}

static void every_character(struct both *b)
{
	static const char *const around[][2] = {
		{"", ""}, {"a", "b"}, {" ", ""}, {" ", "a"}, {"A", "a"}, {"'", "e"}, {"1", "2"}, {"\n", " \n"}, {" ", "  x"}, {".", "/\n"},
	};
	char s[64];
	size_t n, k;

	for (uint32_t c = 1; c < 0x110000; c++) {
		if (c >= 0xd800 && c < 0xe000)
			continue;
		if (c == 0x20000)               /* the far planes hold little that differs */
			c = 0x2fa00;
		if (c == 0x32000)
			c = 0xe0000;
		if (c == 0xe0200)
			c = 0x10fff0;
		for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
			n = (size_t)snprintf(s, sizeof s, "%s", around[i][0]);
			k = n + pm_utf8_put(s + n, c);
			n = k + (size_t)snprintf(s + k, sizeof s - k, "%s", around[i][1]);
			compare(b, s, n);
		}
	}
}

static void random_texts(struct both *b, uint32_t stream)
{
	static const char *const bits[] = {
		" ", " ", " ", "  ", "\n", "\r\n", "\t", "a", "b", "hello", "A", "World", "ABC", "1", "23", "4567", ".", "!?", "/", "'", "'s", "'S",
		"'re", "'LL", "'\xc5\xbf", "\xc3\xa9", "\xc3\x89", "\xe4\xb8\xad", "\xe6\x96\x87", "\xce\xa3", "\xcc\x81", "\xc7\x85", "\xca\xb0",
		"\xc2\xa0", "\xe3\x80\x80", "\xe2\x85\xa7", "\xc2\xb2", "\xf0\x9f\x98\x80", "\xe2\x80\x8d", "\xef\xbb\xbf", "\xe0\xa4\x95",
		"\xe0\xa4\xbf", "\xd9\xa3", "_", "\xc2\x85", "\xe1\xa0\x8e",
	};
	struct pm_str s = {0};
	uint64_t at = 0;

	for (int i = 0; i < 60000; i++) {
		uint32_t n = pm_rng_u32(7, stream, at++) % 12;

		pm_str_clear(&s);
		while (n--)
			pm_str_puts(&s, bits[pm_rng_u32(7, stream, at++) % (sizeof bits / sizeof *bits)], &err);
		compare(b, s.data ? s.data : "", s.len);
	}
	pm_str_free(&s);
}

/* Every string of up to six characters, one of each class that the patterns tell apart. */
static void every_short_text(struct both *b)
{
	static const char *const classes[] = {"a", "B", "\xe4\xb8\xad", "\xcc\x81", "1", " ", "\n", "\t", "'", "s", "."};
	enum { CLASSES = sizeof classes / sizeof *classes };
	char s[40];
	size_t n;

	for (int length = 1, total = CLASSES; length <= 6; length++, total *= CLASSES)
		for (int i = 0; i < total; i++) {
			n = 0;
			for (int k = i, left = length; left; left--, k /= CLASSES) {
				memcpy(s + n, classes[k % CLASSES], strlen(classes[k % CLASSES]));
				n += strlen(classes[k % CLASSES]);
			}
			compare(b, s, n);
		}
}

static void golden_texts(struct both *b, const char *dir)
{
	struct pm_str all = {0};
	char path[4096], *line, *end;
	json_t *row, *text;

	snprintf(path, sizeof path, "%s/data/tokenizers/llama3_1/golden.jsonl", dir);
	if (pm_read_file(&all, path, &err) < 0)
		printf("# %s\n", err.text);
	for (line = all.data; line && *line; line = end + 1) {
		end = strchr(line, '\n');
		row = pm_json_parse(line, (size_t)(end - line), path, &err);
		text = json_object_get(row, "text");
		compare(b, json_string_value(text), json_string_length(text));
		json_decref(row);
	}
	pm_str_free(&all);
}

static void patterns(const char *dir)
{
	const char *p;

	for (size_t i = 0; (p = pm_match_pattern(i)); i++) {
		struct both b = {.fn = pm_match_known(p)};

		if (!check(pm_pattern_new(&b.re, p, strlen(p), false, &err) == 0, "pattern %zu compiles", i))
			continue;
		every_character(&b);
		random_texts(&b, (uint32_t)i);
		every_short_text(&b);
		if (dir)
			golden_texts(&b, dir);
		check(!b.wrong, "pattern %zu by hand and by PCRE2: %zu differ", i, b.wrong);
		pm_match_free(&b.m);
		pm_pattern_free(&b.re);
	}
}

/* What is_normal lets pass must be left alone by utf8proc's normal forms, alone and between others. */
static void normal_forms(void)
{
	static const struct { bool composed, compat; const char *name; int options; } forms[] = {
		{true, false, "NFC", UTF8PROC_STABLE | UTF8PROC_COMPOSE}, {false, false, "NFD", UTF8PROC_STABLE | UTF8PROC_DECOMPOSE},
		{true, true, "NFKC", UTF8PROC_STABLE | UTF8PROC_COMPOSE | UTF8PROC_COMPAT},
		{false, true, "NFKD", UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | UTF8PROC_COMPAT},
	};
	size_t wrong, n;
	char s[16];

	for (size_t f = 0; f < sizeof forms / sizeof *forms; f++) {
		wrong = 0;
		for (uint32_t c = 0x80; c < 0x110000; c++) {
			utf8proc_uint8_t *out = NULL;

			if (c >= 0xd800 && c < 0xe000)
				continue;
			s[0] = 'e';
			n = 1 + pm_utf8_put(s + 1, c);
			s[n++] = 'a';
			if (!pm_uc_is_normal(s, n, forms[f].composed, forms[f].compat))
				continue;
			if (utf8proc_map((utf8proc_uint8_t *)s, (utf8proc_ssize_t)n, &out, (utf8proc_option_t)forms[f].options) != (utf8proc_ssize_t)n
				|| memcmp(out, s, n) != 0)
				wrong++;
			free(out);
		}
		check(!wrong, "what is taken for %s is %s: %zu characters are not", forms[f].name, forms[f].name, wrong);
	}
}

static void utf8(void)
{
	static const struct { const char *s; size_t n, good; } cases[] = {
		{"", 0, 0}, {"abc", 3, 3}, {"\xc3\xa9", 2, 2}, {"a\xc3", 2, 1}, {"\xc0\x80", 2, 0}, {"\xe0\x80\x80", 3, 0}, {"\xed\xa0\x80", 3, 0},
		{"\xed\x9f\xbf", 3, 3}, {"\xf4\x8f\xbf\xbf", 4, 4}, {"\xf4\x90\x80\x80", 4, 0}, {"\xf0\x80\x80\x80", 4, 0}, {"12345678\x80", 9, 8},
		{"1234567\xf0\x9f\x98\x80" "9", 12, 12}, {"\xff", 1, 0}, {"\xf5\x80\x80\x80", 4, 0}, {"ab\xe2\x82", 4, 2},
	};
	size_t wrong = 0;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		wrong += pm_utf8_valid(cases[i].s, cases[i].n) != cases[i].good;
	check(!wrong, "what is UTF-8 and what is not: %zu differ", wrong);
}

int main(void)
{
	utf8();
	patterns(golden_dir());
	normal_forms();
	return done();
}
