/* Text, given to small vocabularies that have all bytes: what is encoded, decoded is the text again, whole and streamed. */
#include "encode.h"
#include "text/bytelevel.h"
#include "text/tokens.h"

/* Bytes as byte-level characters, or as <0x..> beside some characters. */
static struct pm_tokenizer *with_bytes(bool level)
{
	static const char *const merges[] = {"t h", "th e", "\xc4\xa0 t", "\xc4\xa0t he", "a a", "aa aa", "\xc3\x83 \xc2\xa9"};
	static const char *const pieces[] = {"\xe2\x96\x81", "t", "h", "e", "a", "th", "the", "\xe2\x96\x81the", "\xe2\x96\x81t", "aa", "aaaa", "he"};
	struct pm_tokenizer *t = NULL;
	struct pm_str s = {0};
	struct pm_err e;
	char c[4];
	int n = 256;

	must(pm_str_puts(&s, level ? "{\"model\":{\"type\":\"BPE\",\"vocab\":{" : "{\"model\":{\"type\":\"pm:BPE\",\"byte_fallback\":true,\"vocab\":{", &e) == 0);
	for (int i = 0; i < 256; i++) {
		size_t k = pm_utf8_put(c, pm_bytelevel_char((unsigned char)i));

		must((level ? pm_str_printf(&s, &e, "\"%s%.*s\":%d,", i == '"' || i == '\\' ? "\\" : "", (int)k, c, i) :
			pm_str_printf(&s, &e, "\"<0x%02X>\":%d,", (unsigned)i, i)) == 0);
	}
	if (level)
		must(pm_str_puts(&s, "\"th\":256,\"the\":257,\"he\":258,\"\xc4\xa0t\":259,\"\xc4\xa0the\":260,\"aa\":261,\"aaaa\":262,\"\xc3\x83\xc2\xa9\":263},\"merges\":[", &e) == 0);
	for (size_t i = 0; level && i < sizeof merges / sizeof *merges; i++)
		must(pm_str_printf(&s, &e, "%s\"%s\"", i ? "," : "\"h e\",", merges[i]) == 0);
	for (size_t i = 0; !level && i < sizeof pieces / sizeof *pieces; i++)
		must(pm_str_printf(&s, &e, "%s\"%s\":%d", i ? "," : "", pieces[i], n++) == 0);
	must(pm_str_puts(&s, level ? "]},\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"trim_offsets\":true},"
		"\"decoder\":{\"type\":\"ByteLevel\",\"add_prefix_space\":true,\"trim_offsets\":true,\"use_regex\":true}}" :
		"}},\"normalizer\":{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"Prepend\",\"prepend\":\"\xe2\x96\x81\"},{\"type\":\"Replace\","
		"\"pattern\":{\"String\":\" \"},\"content\":\"\xe2\x96\x81\"}]},\"decoder\":{\"type\":\"Sequence\",\"decoders\":[{\"type\":\"Replace\","
		"\"pattern\":{\"String\":\"\xe2\x96\x81\"},\"content\":\" \"},{\"type\":\"ByteFallback\"},{\"type\":\"Fuse\"},{\"type\":\"Strip\","
		"\"content\":\" \",\"start\":1,\"stop\":0}]}}", &e) == 0);
	must(pm_tokens_read(&t, s.data, s.len, "text", &e) == 0);
	pm_str_free(&s);
	return t;
}

/* Whether the text has U+2581 itself, which decodes to a space. */
static bool has_meta(const char *text, size_t n)
{
	for (size_t i = 0; i + 3 <= n; i++)
		if (memcmp(text + i, "\xe2\x96\x81", 3) == 0)
			return true;
	return false;
}

static int parse_text(const uint8_t *data, size_t size, struct pm_err *e)
{
	static struct pm_tokenizer *t[2];
	static const struct pm_encode_opts plain = {0};
	const char *text = size ? (const char *)data : "";
	struct pm_encoding enc = {0};
	struct pm_str out = {0};
	int r = 0;

	for (int i = 0; r == 0 && i < 2; i++) {
		if (!t[i])
			t[i] = with_bytes(i == 0);
		r = check_text(t[i], text, size, e);
		if (r < 0 || (i && has_meta(text, size)))
			break;
		enc.n = 0;
		pm_str_clear(&out);
		must(pm_tokenizer_encode(t[i], text, size, &plain, &enc, e) == 0);
		must(pm_tokenizer_decode(t[i], enc.ids, enc.n, false, &out, e) == 0);
		must(out.len == size && (!size || memcmp(out.data, text, size) == 0));
	}
	pm_encoding_free(&enc);
	pm_str_free(&out);
	return r;
}

FUZZ(parse_text)
