/* tokens_format.h: the bytes of a record, shared by the files that read and write streams (tokens.h has the format). */
#ifndef PM_IO_TOKENS_FORMAT_H
#define PM_IO_TOKENS_FORMAT_H

#include <stdint.h>

#include "io/tokens.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "records are copied as they lie in memory");

#define PM_MAX_RECORD (1 << 30)         /* bytes of a record, exclusive */

#define PM_TAG(a, b, c, d) ((uint32_t)(a) | (uint32_t)(b) << 8 | (uint32_t)(c) << 16 | (uint32_t)(d) << 24)
#define PM_TAG_IDS PM_TAG('i', 'd', 's', ' ')
#define PM_TAG_WEIGHTS PM_TAG('w', 'g', 't', 's')
#define PM_TAG_BOUNDS PM_TAG('b', 'n', 'd', 's')
#define PM_TAG_KINDS PM_TAG('d', 'k', 'n', 'd')
#define PM_TAG_GROUPS PM_TAG('d', 'g', 'r', 'p')
#define PM_TAG_GROUP PM_TAG('g', 'r', 'u', 'p')
#define PM_TAG_LINE PM_TAG('l', 'i', 'n', 'e')
#define PM_TAG_SOURCE PM_TAG('s', 'r', 'c', 'e')

static inline uint32_t pm_le32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The bytes after a record's length to a record, and the check that both readers end with. Errors do not name the record. */
int pm_record_from_bytes(struct pm_record *r, const unsigned char *p, size_t n, struct pm_err *e);

/* The way back: replaces *s by a whole record, its length in front. */
int pm_record_to_bytes(struct pm_str *s, const struct pm_record *r, struct pm_err *e);

#endif
