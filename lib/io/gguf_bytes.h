/* gguf_bytes.h: what gguf*.c share: little-endian numbers, sizes of types, UTF-8. Not for others. */
#ifndef PM_IO_GGUF_BYTES_H
#define PM_IO_GGUF_BYTES_H

#include <stddef.h>
#include <stdint.h>

#define PM_GGUF_ALIGN 32                /* where no key says otherwise */

/* A little-endian number of n bytes. */
static inline uint64_t pm_gguf_load(const unsigned char *p, int n)
{
	uint64_t v = 0;

	while (n--)
		v = v << 8 | p[n];
	return v;
}

static inline void pm_gguf_save(unsigned char *p, uint64_t v, int n)
{
	int i;

	for (i = 0; i < n; i++)
		p[i] = (unsigned char)(v >> 8 * i);
}

/* How many bytes at the beginning of s are UTF-8: n where all are. */
size_t pm_gguf_utf8(const char *s, size_t n);

#endif
