/* Ranks as tiktoken has them, and a tokenizer_config.json behind a 0 byte. */
#include "fuzz.h"
#include "text/sources.h"

static int parse_ranks(const uint8_t *data, size_t size, struct pm_err *e)
{
	struct two in = split(data, size);
	struct pm_source s = {.bos = -1};
	struct pm_err ignored;
	json_t *config = in.nb ? pm_json_parse(in.b, in.nb, "config", &ignored) : NULL;
	int r;

	pm_source_is_ranks(in.a, in.na);
	r = pm_source_ranks(&s, in.a, in.na, json_is_object(config) ? config : NULL, e);
	pm_str_free(&s.json);
	json_decref(config);
	return r;
}

FUZZ(parse_ranks)
