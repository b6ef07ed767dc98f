/* A text (up to the first 0 byte), and a SentencePiece model. */
#include "encode.h"
#include "text/sources.h"
#include "text/tokens.h"

static int parse_pieces(const uint8_t *data, size_t size, struct pm_err *e)
{
	struct two in = split(data, size);
	struct pm_source s = {.bos = -1};
	struct pm_tokenizer *t;
	int r = pm_source_sentencepiece(&s, in.b, in.nb, NULL, e);

	if (r == 0)
		r = pm_tokens_read(&t, s.json.data, s.json.len, "fuzz", e);
	if (r == 0) {
		must(pm_tokens_bounds(t, s.bos, -1, s.eos, -1, e) == 0);
		r = check_text(t, in.a, in.na, e);
		pm_tokenizer_close(t);
	}
	pm_str_free(&s.json);
	return r;
}

FUZZ(parse_pieces)
