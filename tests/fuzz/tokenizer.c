/* A libFuzzer target: the input up to the first 0 byte is a tokenizer.json, what follows is text. Whatever opens must encode any
 * UTF-8, decode what it gave, and stream the same; whatever does not open must say why.
 * clang -g -O1 -fsanitize=fuzzer,address,undefined -Ilib, with the sources of lib/base and lib/text and the usual libraries. */
#include <stdlib.h>
#include <string.h>

#include "text/tokenizer.h"
#include "text/tokens.h"
#include "text/unicode.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int ok)
{
	if (!ok)
		abort();
}

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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *zero = memchr(data, 0, size);
	size_t n = zero ? (size_t)(zero - data) : size, rest = zero ? size - n - 1 : 0;
	const char *text = zero ? (const char *)zero + 1 : "";
	struct pm_range literal = {rest / 3, rest / 2};
	struct pm_encode_opts o = {.add_special = true, .parse_special = true, .literal = &literal, .nliteral = 1};
	struct pm_encoding enc = {0};
	struct pm_tokenizer *t;
	struct pm_err e = {.text = ""};

	if (pm_tokens_read(&t, (const char *)data, n, "fuzz", &e) < 0) {
		must(e.text[0] != 0);
		return 0;
	}
	if (pm_tokenizer_encode(t, text, rest, &o, &enc, &e) == 0) {
		for (size_t i = 0; i < enc.n; i++)
			must(enc.from[i] <= enc.to[i] && enc.to[i] <= rest);
		check_stream(t, &enc, false);
		check_stream(t, &enc, true);
	} else {
		must(e.text[0] != 0);
	}
	pm_encoding_free(&enc);
	o.nliteral = 0;
	if (pm_tokenizer_encode_pair(t, text, rest / 2, text + rest / 2, rest - rest / 2, &o, &enc, &e) == 0)
		must(!enc.n || enc.types);
	pm_encoding_free(&enc);
	pm_tokenizer_close(t);
	return 0;
}
