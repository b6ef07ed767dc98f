/* bytelevel.h: GPT-2's way to write any byte as a printable character, so that a vocabulary of text can hold raw bytes. */
#ifndef PM_TEXT_BYTELEVEL_H
#define PM_TEXT_BYTELEVEL_H

#include <stdint.h>

/* The character of a byte: printable Latin-1 bytes are themselves, the other 68 follow U+0100 in order. */
static inline uint32_t pm_bytelevel_char(unsigned char b)
{
	if (b <= 0x20)
		return 0x100u + b;
	if (b >= 0x7f && b <= 0xa0)
		return 0x121u + (b - 0x7fu);
	return b == 0xad ? 0x143 : b;
}

/* The byte of a character, −1 where it stands for none. */
static inline int pm_bytelevel_byte(uint32_t c)
{
	if (c < 0x100)
		return c <= 0x20 || (c >= 0x7f && c <= 0xa0) || c == 0xad ? -1 : (int)c;
	if (c <= 0x120)
		return (int)(c - 0x100);
	if (c <= 0x142)
		return (int)(c - 0x121 + 0x7f);
	return c == 0x143 ? 0xad : -1;
}

#endif
