/* decoder.h: the decoder section: tokens back to text, one token at a time. A chain of parts hands tokens on; from Fuse (or
 * ByteLevel) on there is only one, long token, which goes on in pieces. */
#ifndef PM_TEXT_DECODER_H
#define PM_TEXT_DECODER_H

#include "base/json.h"
#include "base/str.h"

struct pm_decoders {
	struct pm_decoder *v;
	size_t n, cap;
};

int pm_decoders_read(struct pm_decoders *ds, const json_t *o, struct pm_err *e);
void pm_decoders_free(struct pm_decoders *ds);

/* A decoding under way. */
struct pm_decoding;
int pm_decoding_new(struct pm_decoding **out, const struct pm_decoders *ds, struct pm_err *e);
void pm_decoding_free(struct pm_decoding *d);

/* The next token; what is certain by now is appended to *out. end: there are no more. */
int pm_decoding_put(struct pm_decoding *d, const char *token, size_t n, struct pm_str *out, struct pm_err *e);
int pm_decoding_end(struct pm_decoding *d, struct pm_str *out, struct pm_err *e);

#endif
