/* input.h: the bytes of a file or of standard input, one after the other; what gzip, bzip2, xz, zstd or lz4 packed is unpacked on the way
 * (by libarchive, which sees it from the first bytes). Memory holds one line, or what was asked for. */
#ifndef PM_IO_INPUT_H
#define PM_IO_INPUT_H

#include "base/err.h"
#include "base/str.h"

struct pm_input;

/* "-" is stdin. Status 66 where it cannot be read. */
int pm_input_open(struct pm_input **out, const char *path, struct pm_err *e);
void pm_input_close(struct pm_input *in);

/* What stands for it in messages. */
const char *pm_input_name(const struct pm_input *in);

/* The next byte, which stays there; −1: the end; −2: an error (status 65: packed data that is damaged). */
int pm_input_peek(struct pm_input *in, struct pm_err *e);
void pm_input_skip(struct pm_input *in);                /* what was peeked at */

/* A line with its end, if it has one; good until the next call. 1; 0: there is no more; −1. */
int pm_input_line(struct pm_input *in, char **line, size_t *n, struct pm_err *e);

/* All that is left, behind what is in *out. */
int pm_input_rest(struct pm_input *in, struct pm_str *out, struct pm_err *e);

/* A whole file at once. */
int pm_input_read(struct pm_str *out, const char *path, struct pm_err *e);

#endif
