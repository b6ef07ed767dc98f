#include "text/unicode.h"
#include <string.h>
#include <utf8proc.h>

#include "text/ucd.h"

/* Bytes of the sequence at u (m bytes are left), 0 where it is none. The second byte's bounds are those of table 3-7 of the
 * Unicode Standard. */
static size_t sequence(const unsigned char *u, size_t m)
{
	unsigned c = u[0], lo = 0x80, hi = 0xbf;
	size_t len;

	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	len = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (c == 0xe0)
		lo = 0xa0;
	if (c == 0xed)
		hi = 0x9f;
	if (c == 0xf0)
		lo = 0x90;
	if (c == 0xf4)
		hi = 0x8f;
	if (m < len || u[1] < lo || u[1] > hi)
		return 0;
	for (size_t i = 2; i < len; i++)
		if ((u[i] & 0xc0) != 0x80)
			return 0;
	return len;
}

size_t pm_utf8_valid(const char *s, size_t n)
{
	const unsigned char *u = (const unsigned char *)s;
	size_t i = 0, k;
	uint64_t w;

	while (i < n) {
		while (i + 8 <= n) {
			memcpy(&w, u + i, 8);
			if (w & UINT64_C(0x8080808080808080))
				break;
			i += 8;
		}
		if (i == n)
			break;
		k = sequence(u + i, n - i);
		if (!k)
			return i;
		i += k;
	}
	return n;
}

uint32_t pm_utf8_last(const char *s, size_t n, size_t *len)
{
	size_t i = n - 1;

	while (i && ((unsigned char)s[i] & 0xc0) == 0x80)
		i--;
	return pm_utf8_get(s + i, len);
}

size_t pm_utf8_put(char out[4], uint32_t c)
{
	unsigned char *u = (unsigned char *)out;

	if (c < 0x80) {
		u[0] = (unsigned char)c;
		return 1;
	}
	if (c < 0x800) {
		u[0] = (unsigned char)(0xc0 | c >> 6);
		u[1] = (unsigned char)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		u[0] = (unsigned char)(0xe0 | c >> 12);
		u[1] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
		u[2] = (unsigned char)(0x80 | (c & 0x3f));
		return 3;
	}
	u[0] = (unsigned char)(0xf0 | c >> 18);
	u[1] = (unsigned char)(0x80 | (c >> 12 & 0x3f));
	u[2] = (unsigned char)(0x80 | (c >> 6 & 0x3f));
	u[3] = (unsigned char)(0x80 | (c & 0x3f));
	return 4;
}

size_t pm_utf8_count(const char *s, size_t n)
{
	size_t k = 0;

	for (size_t i = 0; i < n; i++)
		k += ((unsigned char)s[i] & 0xc0) != 0x80;
	return k;
}

/* Shorthands for the table of ASCII. */
enum {
	B = PM_UC_SPACE,
	U = PM_UC_LETTER | PM_UC_UPPER | PM_UC_WORD,
	L = PM_UC_LETTER | PM_UC_LOWER | PM_UC_WORD,
	N = PM_UC_NUMBER | PM_UC_WORD,
	K = PM_UC_WORD,
};

const uint16_t pm_uc_ascii[128] = {
	0, 0, 0, 0, 0, 0, 0, 0, 0, B, B, B, B, B, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
	B, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, N, N, N, N, N, N, N, N, N, N, 0, 0, 0, 0, 0, 0,
	0, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, U, 0, 0, 0, 0, K,
	0, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, L, 0, 0, 0, 0, 0,
};

/* Characters above ASCII with the property White_Space. */
static bool space(uint32_t c)
{
	return c == 0x85 || c == 0xa0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f
		|| c == 0x205f || c == 0x3000;
}

/* The category, by name where the character is newer than utf8proc. */
static int category(uint32_t c)
{
	static const char names[][3] = {
		"Cn", "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po", "Sm", "Sc",
		"Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co",
	};
	int cat = utf8proc_category((utf8proc_int32_t)c);
	const char *name = cat == UTF8PROC_CATEGORY_CN ? pm_ucd_newer(c) : NULL;

	for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
		if (strcmp(names[i], name) == 0)
			return (int)i;  /* utf8proc's numbers are in this order */
	return cat;
}

unsigned pm_uc_wide(uint32_t c)
{
	enum { MARK = PM_UC_MARK | PM_UC_UPPER | PM_UC_LOWER | PM_UC_WORD };
	static const uint16_t of[32] = {
		[UTF8PROC_CATEGORY_LU] = PM_UC_LETTER | PM_UC_UPPER | PM_UC_WORD,
		[UTF8PROC_CATEGORY_LL] = PM_UC_LETTER | PM_UC_LOWER | PM_UC_WORD,
		[UTF8PROC_CATEGORY_LT] = PM_UC_LETTER | PM_UC_UPPER | PM_UC_WORD,
		[UTF8PROC_CATEGORY_LM] = PM_UC_LETTER | PM_UC_UPPER | PM_UC_LOWER | PM_UC_WORD,
		[UTF8PROC_CATEGORY_LO] = PM_UC_LETTER | PM_UC_UPPER | PM_UC_LOWER | PM_UC_WORD,
		[UTF8PROC_CATEGORY_MN] = MARK,
		[UTF8PROC_CATEGORY_MC] = MARK,
		[UTF8PROC_CATEGORY_ME] = MARK,
		[UTF8PROC_CATEGORY_ND] = PM_UC_NUMBER | PM_UC_WORD,
		[UTF8PROC_CATEGORY_NL] = PM_UC_NUMBER | PM_UC_WORD,
		[UTF8PROC_CATEGORY_NO] = PM_UC_NUMBER,
		[UTF8PROC_CATEGORY_PC] = PM_UC_WORD,
	};
	unsigned bits = of[category(c)];

	if (bits)
		return bits;
	if (space(c))
		return PM_UC_SPACE;
	/* Other_Alphabetic symbols (circled and squared letters), and Join_Control */
	if ((c >= 0x24b6 && c <= 0x24e9) || (c >= 0x1f130 && c <= 0x1f149) || (c >= 0x1f150 && c <= 0x1f169)
		|| (c >= 0x1f170 && c <= 0x1f189) || c == 0x200c || c == 0x200d)
		return PM_UC_WORD;
	return 0;
}

unsigned pm_uc_old(uint32_t c)
{
	int cat;

	if (c < 0x80)
		return c < 0x20 || c == 0x7f ? PM_UC_CONTROL : c > 0x20 && !(pm_uc_ascii[c] & (PM_UC_LETTER | PM_UC_NUMBER)) ? PM_UC_PUNCT : 0;
	if (c == 0x166d || c == 0x111c9)
		return PM_UC_PUNCT;
	if (c == 0x1734 || c == 0x1171e)
		return PM_UC_NONSPACING;
	if (c == 0x1885 || c == 0x1886 || c == 0xa9bd || c == 0x8e2 || c == 0x110cd || pm_ucd_after(c, 8))
		return 0;
	cat = utf8proc_category((utf8proc_int32_t)c);
	if (cat >= UTF8PROC_CATEGORY_PC && cat <= UTF8PROC_CATEGORY_PO)
		return PM_UC_PUNCT;
	if (cat == UTF8PROC_CATEGORY_MN)
		return PM_UC_NONSPACING;
	if (cat == UTF8PROC_CATEGORY_CF && (c == 0x890 || c == 0x891 || (c >= 0x13430 && c <= 0x1343f)))
		return 0;
	return cat == UTF8PROC_CATEGORY_CC || cat == UTF8PROC_CATEGORY_CF || cat == UTF8PROC_CATEGORY_CO ? PM_UC_CONTROL : 0;
}

size_t pm_uc_decompose(uint32_t c, bool compat, uint32_t out[32])
{
	utf8proc_int32_t tmp[32];
	int last = 0;
	utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, tmp, 32,
		(utf8proc_option_t)(UTF8PROC_DECOMPOSE | (compat ? UTF8PROC_COMPAT : 0)), &last);

	if (n < 1 || n > 32 || (n > 1 && pm_ucd_after(c, 9))) {
		out[0] = c;
		return 1;
	}
	for (utf8proc_ssize_t i = 0; i < n; i++)
		out[i] = (uint32_t)tmp[i];
	return (size_t)n;
}

unsigned pm_uc_combining(uint32_t c)
{
	unsigned class = c < 0x300 ? 0 : (unsigned)utf8proc_get_property((utf8proc_int32_t)c)->combining_class;

	return class && pm_ucd_after(c, 9) ? 0 : class;
}

uint32_t pm_uc_compose(uint32_t a, uint32_t b)
{
	utf8proc_int32_t pair[2] = {(utf8proc_int32_t)a, (utf8proc_int32_t)b};

	if (pm_ucd_after(b, 9))
		return 0;
	/* the one door to composition that utf8proc opens */
	return utf8proc_normalize_utf32(pair, 2, (utf8proc_option_t)(UTF8PROC_COMPOSE | UTF8PROC_STABLE)) == 1 ? (uint32_t)pair[0] : 0;
}

bool pm_uc_composes_back(uint32_t c)
{
	const utf8proc_property_t *p = utf8proc_get_property((utf8proc_int32_t)c);

	return (p->comb_index != UINT16_MAX && p->comb_index >= 0x8000) || (c >= 0x1161 && c <= 0x1175) || (c >= 0x11a8 && c <= 0x11c2);
}

/* True where c, decomposed, composes to itself again. */
static bool comes_back(uint32_t c, bool compat)
{
	uint32_t d[32], x;
	size_t n = pm_uc_decompose(c, compat, d);

	x = d[0];
	for (size_t i = 1; i < n && x; i++)
		x = pm_uc_compose(x, d[i]);
	return x == c;
}

bool pm_uc_is_normal(const char *s, size_t n, bool composed, bool compat)
{
	const utf8proc_property_t *p;
	uint32_t c;
	size_t i = 0, k;

	while (i < n) {
		if ((unsigned char)s[i] < 0x80) {
			i++;
			continue;
		}
		c = pm_utf8_get(s + i, &k);
		i += k;
		p = utf8proc_get_property((utf8proc_int32_t)c);
		if (p->combining_class || (composed && pm_uc_composes_back(c)))
			return false;
		if (c >= 0xac00 && c <= 0xd7a3) {
			if (!composed)
				return false;
			continue;
		}
		if (p->decomp_seqindex == UINT16_MAX || (p->decomp_type && !compat))
			continue;
		if (!composed || p->decomp_type || p->comp_exclusion)
			return false;
		if (!compat && ((c >= 0xc0 && c < 0x180) || (c >= 0x1e00 && c < 0x1f00)))
			continue;       /* Latin letters with accents: all of them are composites */
		if (!comes_back(c, compat))
			return false;
	}
	return true;
}

size_t pm_uc_lower(uint32_t c, uint32_t out[3])
{
	if (c < 0x80) {
		out[0] = c >= 'A' && c <= 'Z' ? c + 32 : c;
		return 1;
	}
	if (c == 0x130) {               /* the only one with two */
		out[0] = 'i';
		out[1] = 0x307;
		return 2;
	}
	out[0] = (uint32_t)utf8proc_tolower((utf8proc_int32_t)c);
	return 1;
}
