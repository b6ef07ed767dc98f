/* A compiled vocabulary whose head and sum are right, whatever is in it: the tokenizer opens all the same, and encodes and decodes. */
#include "base/hash.h"
#include "base/mem.h"
#include "fuzz.h"
#include "text/ready.h"
#include "text/tokens.h"

static int parse_ready(const uint8_t *data, size_t size, struct pm_err *e)
{
	static const char json[] = "{\"model\":{\"type\":\"BPE\",\"unk_token\":\"?\",\"vocab\":{\"?\":0,\"a\":1,\"b\":2,\"ab\":3},\"merges\":[\"a b\"]}}";
	static const struct pm_encode_opts o = {.add_special = true};
	struct pm_encoding enc = {0};
	struct pm_str text = {0};
	struct pm_tokenizer *t;
	char hash[PM_SHA256_HEX], name[80], *dir;
	void *copy = pm_alloc(size, 1, e);
	struct pm_ready r;
	int good;

	must(copy && pm_sha256_bytes(hash, json, sizeof json - 1, e) == 0);
	if (size)
		memcpy(copy, data, size);
	pm_ready_seal(copy, size, hash);
	good = pm_ready_parse(&r, copy, size, hash);
	if (good)
		pm_ready_free(&r);
	snprintf(name, sizeof name, "%s.vocab", hash);
	dir = pm_strdup(fuzz_file(name, copy, size), e);
	must(dir != NULL);
	*strrchr(dir, '/') = 0;
	must(pm_tokens_read_cached(&t, json, sizeof json - 1, "fuzz", dir, e) == 0);
	if (pm_tokenizer_encode(t, "ab b\xc3\xa9 aab", 10, &o, &enc, e) == 0)
		pm_tokenizer_decode(t, enc.ids, enc.n, false, &text, e);
	pm_tokenizer_close(t);
	pm_encoding_free(&enc);
	pm_str_free(&text);
	free(dir);
	free(copy);
	return good ? 0 : pm_fail(e, PM_DATA, "the file is not good");
}

FUZZ(parse_ready)
