/* unicode.h: UTF-8 and the classes of characters that tokenizers speak of (categories from utf8proc). */
#ifndef PM_TEXT_UNICODE_H
#define PM_TEXT_UNICODE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bytes of the longest prefix that is UTF-8 (no surrogates, nothing overlong, nothing above U+10FFFF): n where all is. */
size_t pm_utf8_valid(const char *s, size_t n);

/* The character at s, which must be valid there, and its bytes in *len. */
static inline uint32_t pm_utf8_get(const char *s, size_t *len)
{
	const unsigned char *u = (const unsigned char *)s;

	if (u[0] < 0x80) {
		*len = 1;
		return u[0];
	}
	if (u[0] < 0xe0) {
		*len = 2;
		return (u[0] & 0x1fu) << 6 | (u[1] & 0x3fu);
	}
	if (u[0] < 0xf0) {
		*len = 3;
		return (u[0] & 0xfu) << 12 | (u[1] & 0x3fu) << 6 | (u[2] & 0x3fu);
	}
	*len = 4;
	return (u[0] & 7u) << 18 | (u[1] & 0x3fu) << 12 | (u[2] & 0x3fu) << 6 | (u[3] & 0x3fu);
}

/* The character that ends at byte n (n > 0) of a valid text. */
uint32_t pm_utf8_last(const char *s, size_t n, size_t *len);

/* Writes a character; returns its bytes. */
size_t pm_utf8_put(char out[4], uint32_t c);

/* How many characters a valid text has. */
size_t pm_utf8_count(const char *s, size_t n);

/* Classes as bits, by Unicode 16. */
enum {
	PM_UC_LETTER = 1,       /* \p{L} */
	PM_UC_NUMBER = 2,       /* \p{N} */
	PM_UC_SPACE = 4,        /* White_Space */
	PM_UC_UPPER = 8,        /* [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]: what may open a word in the o200k pattern */
	PM_UC_LOWER = 16,       /* [\p{Ll}\p{Lm}\p{Lo}\p{M}]: what may close it */
	PM_UC_MARK = 32,        /* \p{M} */
	PM_UC_WORD = 64,        /* letters, marks, decimal digits, connectors, joiners, other alphabetic (Nl, circled letters) */
};
extern const uint16_t pm_uc_ascii[128];
unsigned pm_uc_wide(uint32_t c);        /* the same above ASCII */

static inline unsigned pm_uc(uint32_t c)
{
	return c < 128 ? pm_uc_ascii[c] : pm_uc_wide(c);
}

/* Classes as Bert's parts and Punctuation have them: by Unicode 8. */
enum {
	PM_UC_PUNCT = 1,        /* \p{P} or ASCII punctuation */
	PM_UC_CONTROL = 2,      /* controls, formats, private use */
	PM_UC_NONSPACING = 4,   /* \p{Mn} */
};
unsigned pm_uc_old(uint32_t c);

/* The functions on normal forms go by Unicode 9. */

/* Canonical (or compatibility) decomposition of one character in *out, at most 32; returns how many. */
size_t pm_uc_decompose(uint32_t c, bool compat, uint32_t out[32]);
unsigned pm_uc_combining(uint32_t c);           /* its canonical combining class */
uint32_t pm_uc_compose(uint32_t a, uint32_t b); /* their primary composite, or 0 */

bool pm_uc_composes_back(uint32_t c);           /* c may be the second half of a composite (a mark, a Hangul vowel or final) */

/* True where a text is certain to be its own normal form: composed (NFC) or not (NFD); compat: NFKC, NFKD. */
bool pm_uc_is_normal(const char *s, size_t n, bool composed, bool compat);

/* Lower case of one character; most give one. Returns how many are in *out. */
size_t pm_uc_lower(uint32_t c, uint32_t out[3]);

#endif
