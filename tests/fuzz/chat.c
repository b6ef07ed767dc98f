/* A list of messages through every chat template of share/template (up to the first 0 byte), and a tokenizer_config.json that may have one (what follows). */
#include "fuzz.h"
#include "text/chat.h"

static int render(const struct pm_template *t, const json_t *messages, struct pm_err *e)
{
	struct pm_render_opts o = {.generation_prompt = true};
	struct pm_rendered out = {0};
	size_t i, at = 0;
	int r = pm_template_render(t, messages, &o, &out, e);

	for (i = 0; r == 0 && i < out.n; i++) {
		must(out.pieces[i].from == at && out.pieces[i].to > at);
		at = out.pieces[i].to;
	}
	must(r < 0 || at == out.text.len);
	pm_rendered_free(&out);
	return r;
}

static int parse_chat(const uint8_t *data, size_t size, struct pm_err *e)
{
	static const char *const names[] = {"chatml", "llama2", "llama3", "gemma", "mistral"};
	struct pm_template_opts to = {.share = "share", .bos = "<s>", .eos = "</s>"};
	struct two in = split(data, size);
	json_t *messages = pm_json_parse(in.a, in.na, "messages", e);
	struct pm_template *t;
	struct pm_err other;
	size_t i;
	int r = 0;

	for (i = 0; messages && r == 0 && i < sizeof names / sizeof *names; i++) {
		must(pm_template_open(&t, NULL, names[i], &to, e) == 0);
		r = render(t, messages, e);
		pm_template_close(t);
	}
	if (in.nb) {
		fuzz_file("tokenizer_config.json", in.b, in.nb);
		if (pm_template_open(&t, fuzz_tmp, NULL, &to, &other) == 0)
			pm_template_close(t);
		else
			must_say(-1, &other);
	}
	json_decref(messages);
	return messages ? r : -1;
}

FUZZ(parse_chat)
