/* base64.h: bytes as base64 (RFC 4648, with padding) and back. */
#ifndef PM_TEXT_BASE64_H
#define PM_TEXT_BASE64_H

#include <stdint.h>

#include "base/str.h"

/* The bytes of n characters to out (room for 3/4 of n); how many, or −1 where the text is no base64. The padding may be left out. */
int64_t pm_base64_bytes(unsigned char *out, const char *s, size_t n);

/* Appends the text of n bytes. */
int pm_base64_text(struct pm_str *out, const void *bytes, size_t n, struct pm_err *e);

#endif
