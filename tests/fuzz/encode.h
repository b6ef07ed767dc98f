/* encode.h: what must hold of any tokenizer and any text. */
#ifndef PM_TESTS_FUZZ_ENCODE_H
#define PM_TESTS_FUZZ_ENCODE_H

#include "fuzz.h"
#include "text/tokenizer.h"
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

/* Encodes n bytes in every way, and decodes what came. */
__attribute__((unused)) static int check_text(const struct pm_tokenizer *t, const char *text, size_t n, struct pm_err *e)
{
	struct pm_range literal = {n / 3, n / 2};
	struct pm_encode_opts o = {.add_special = true, .parse_special = true, .literal = &literal, .nliteral = 1};
	struct pm_encoding enc = {0};
	int r = pm_tokenizer_encode(t, text, n, &o, &enc, e);

	if (r == 0) {
		for (size_t i = 0; i < enc.n; i++)
			must(enc.from[i] <= enc.to[i] && enc.to[i] <= n);
		check_stream(t, &enc, false);
		check_stream(t, &enc, true);
	}
	pm_encoding_free(&enc);
	o.nliteral = 0;
	o.truncate = o.pad = true;
	if (r == 0 && pm_tokenizer_encode_pair(t, text, n / 2, text + n / 2, n - n / 2, &o, &enc, e) == 0) {
		must(!enc.n || enc.types);
		must(enc.pads_before + enc.pads_behind <= enc.n && enc.second <= enc.second_to && enc.second_to <= enc.n);
	}
	pm_encoding_free(&enc);
	return r;
}

#endif
