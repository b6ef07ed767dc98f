/* A text (up to the first 0 byte), and a GGUF file with a vocabulary. */
#include "encode.h"
#include "text/tokens.h"
#include "text/vocab_gguf.h"

/* The way to tokenizer.json: it opens, or says why not. */
static void check_files(const struct pm_gguf *g)
{
	struct pm_str tokenizer = {0}, config = {0};
	struct pm_ggml_vocab *v;
	struct pm_tokenizer *t;
	struct pm_err e = {.text = ""};
	int r = pm_ggml_vocab_of_gguf(&v, g, &e);

	must_say(r, &e);
	if (r < 0)
		return;
	r = pm_ggml_vocab_files(v, &tokenizer, &config, &e);
	if (r == 0 && (r = pm_tokens_read(&t, tokenizer.data, tokenizer.len, "published", &e)) == 0)
		pm_tokenizer_close(t);
	must_say(r, &e);
	pm_ggml_vocab_free(v);
	pm_str_free(&tokenizer);
	pm_str_free(&config);
}

static int parse_vocabulary(const uint8_t *data, size_t size, struct pm_err *e)
{
	struct two in = split(data, size);
	struct pm_tokenizer *t;
	struct pm_gguf *g;
	int r;

	if (pm_gguf_open(&g, fuzz_file("v.gguf", in.b, in.nb), e) < 0)
		return -1;
	check_files(g);
	r = pm_tokenizer_open_gguf(&t, g, e);
	pm_gguf_close(g);
	if (r < 0)
		return -1;
	r = check_text(t, in.a, in.na, e);
	pm_tokenizer_close(t);
	return r;
}

FUZZ(parse_vocabulary)
