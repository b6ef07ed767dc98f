/* A tokenizer.json (up to the first 0 byte), and text (what follows it). Whatever opens must encode any
 * UTF-8, decode what it gave, and stream the same. */
#include "fuzz.h"
#include "text/tokenizer.h"
#include "text/tokens.h"
#include "text/unicode.h"

static void check_stream(const struct pm_tokenizer *t, const struct pm_encoding *enc, bool skip)
{
	struct pm_str whole = {0}, s = {0};
	struct pm_detok *d;
	struct pm_err e;

	must(pm_tokenizer_decode(t, enc->ids, enc->n, skip, &whole, &e) == 0 || e.text[0]);
	must(pm_detok_new(&d, t, skip, &e) == 0);
	for (size_t i = 0; i < enc->n; i++)
		if (pm_detok_put(d, enc->ids[i], &s, &e) < 0)
			break;
	must(pm_detok_end(d, &s, &e) == 0 || e.text[0]);
	must(s.len == whole.len && (!s.len || memcmp(s.data, whole.data, s.len) == 0));
	must(pm_utf8_valid(whole.data ? whole.data : "", whole.len) == whole.len);
	pm_detok_free(d);
	pm_str_free(&s);
	pm_str_free(&whole);
}

static int parse_tokenizer(const uint8_t *data, size_t size, struct pm_err *e)
{
	struct two in = split(data, size);
	struct pm_range literal = {in.nb / 3, in.nb / 2};
	struct pm_encode_opts o = {.add_special = true, .parse_special = true, .literal = &literal, .nliteral = 1};
	struct pm_encoding enc = {0};
	struct pm_tokenizer *t;
	int r;

	if (pm_tokens_read(&t, in.a, in.na, "fuzz", e) < 0)
		return -1;
	r = pm_tokenizer_encode(t, in.b, in.nb, &o, &enc, e);
	if (r == 0) {
		for (size_t i = 0; i < enc.n; i++)
			must(enc.from[i] <= enc.to[i] && enc.to[i] <= in.nb);
		check_stream(t, &enc, false);
		check_stream(t, &enc, true);
	}
	pm_encoding_free(&enc);
	o.nliteral = 0;
	if (r == 0 && pm_tokenizer_encode_pair(t, in.b, in.nb / 2, in.b + in.nb / 2, in.nb - in.nb / 2, &o, &enc, e) == 0)
		must(!enc.n || enc.types);
	pm_encoding_free(&enc);
	pm_tokenizer_close(t);
	return r;
}

FUZZ(parse_tokenizer)
