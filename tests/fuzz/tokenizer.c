/* A tokenizer.json (up to the first 0 byte), and text (what follows it). Whatever opens must encode any
 * UTF-8, decode what it gave, and stream the same. */
#include "encode.h"
#include "text/tokens.h"

static int parse_tokenizer(const uint8_t *data, size_t size, struct pm_err *e)
{
	struct two in = split(data, size);
	struct pm_tokenizer *t;
	int r;

	if (pm_tokens_read(&t, in.a, in.na, "fuzz", e) < 0)
		return -1;
	r = check_text(t, in.b, in.nb, e);
	pm_tokenizer_close(t);
	return r;
}

FUZZ(parse_tokenizer)
