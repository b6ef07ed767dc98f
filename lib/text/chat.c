#include "text/chat.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/mem.h"

/* What stands for the role, the BOS and the EOS token in the texts below. */
#define ROLE "\1"
#define BOS "\2"
#define EOS "\3"

/* A turn: `open` content `end` `close`. In an assistant's turn, `lead` (before the content), content and `end` are what the model says. */
struct turn {
	const char *open, *lead, *end, *close;
};

struct format {
	const char *name;
	struct turn user, assistant;    /* user: and every other role, where any is taken */
	const char *prompt;             /* what prompts an answer */
	enum { ONCE, WITH_FIRST, NEVER } bos;   /* WITH_FIRST: not where there are no messages; NEVER: or in a turn */
	enum { AS_ROLE, FIRST_USER, LAST_USER, REFUSED } system; /* a system message at the head: a turn of its own, or before a user's content */
	const char *system_open, *system_close;
	const char *default_system;     /* where there is no system message at the head */
	const char *assistant_role;     /* what ROLE becomes for the assistant */
	enum { KEEP, TRIM, TRIM_WHOLE } space;  /* of content; TRIM_WHOLE: of what stands before and in it together */
	bool alternate, any_role, parts, always_prompt;
	bool empty_tools;               /* writes even a list of tools that is empty */
};

#define CHATML .user = {"<|im_start|>" ROLE "\n", "", "<|im_end|>", "\n"}, .assistant = {"<|im_start|>" ROLE "\n", "", "<|im_end|>", "\n"}, \
	.prompt = "<|im_start|>assistant\n", .bos = NEVER
#define LLAMA3 .user = {"<|start_header_id|>" ROLE "<|end_header_id|>\n\n", "", "<|eot_id|>", ""}, \
	.assistant = {"<|start_header_id|>" ROLE "<|end_header_id|>\n\n", "", "<|eot_id|>", ""}, \
	.prompt = "<|start_header_id|>assistant<|end_header_id|>\n\n", .bos = WITH_FIRST, .space = TRIM, .any_role = true
#define GEMMA .user = {"<start_of_turn>" ROLE "\n", "", "<end_of_turn>", "\n"}, .assistant = {"<start_of_turn>" ROLE "\n", "", "<end_of_turn>", "\n"}, \
	.prompt = "<start_of_turn>model\n", .bos = ONCE, .assistant_role = "model", .space = TRIM, .alternate = true, .any_role = true

enum {
	F_CHATML, F_CHATML_THREE, F_CHATML_HELPFUL, F_CHATML_QWEN25, F_CHATML_SMOLLM2, F_LLAMA2, F_LLAMA3, F_LLAMA3_PROMPTS, F_GEMMA3, F_GEMMA,
	F_MISTRAL, F_MISTRAL_01, F_MISTRAL_02, F_MISTRAL_NEMO,
};

static const struct format formats[] = {
	[F_CHATML] = {.name = "chatml", CHATML, .any_role = true},
	[F_CHATML_THREE] = {.name = "chatml", CHATML},         /* no roles but system, user, assistant */
	[F_CHATML_HELPFUL] = {.name = "chatml", CHATML, .any_role = true, .default_system = "You are a helpful assistant."},
	[F_CHATML_QWEN25] = {.name = "chatml", CHATML, .default_system = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."},
	[F_CHATML_SMOLLM2] = {.name = "chatml", CHATML, .any_role = true,
		.default_system = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"},
	[F_LLAMA2] = {.name = "llama2", .user = {BOS "[INST] ", "", " [/INST]", ""}, .assistant = {"", " ", " " EOS, ""}, .prompt = "",
		.bos = NEVER, .system = FIRST_USER, .system_open = "<<SYS>>\n", .system_close = "\n<</SYS>>\n\n", .space = TRIM_WHOLE,
		.alternate = true},
	[F_LLAMA3] = {.name = "llama3", LLAMA3},
	[F_LLAMA3_PROMPTS] = {.name = "llama3", LLAMA3, .always_prompt = true},
	[F_GEMMA3] = {.name = "gemma", GEMMA, .system = FIRST_USER, .system_open = "", .system_close = "\n\n", .parts = true},
	[F_GEMMA] = {.name = "gemma", GEMMA, .system = REFUSED},
	[F_MISTRAL] = {.name = "mistral", .user = {" [INST] ", "", " [/INST]", ""}, .assistant = {"", " ", EOS, ""}, .prompt = "", .bos = ONCE,
		.system = FIRST_USER, .system_open = "", .system_close = "\n\n", .alternate = true},
	[F_MISTRAL_01] = {.name = "mistral", .user = {"[INST] ", "", " [/INST]", ""}, .assistant = {"", "", EOS, " "}, .prompt = "",
		.bos = ONCE, .system = REFUSED, .alternate = true},
	[F_MISTRAL_02] = {.name = "mistral", .user = {"[INST] ", "", " [/INST]", ""}, .assistant = {"", "", EOS, ""}, .prompt = "",
		.bos = ONCE, .system = REFUSED, .alternate = true},
	[F_MISTRAL_NEMO] = {.name = "mistral", .user = {"[INST]", "", "[/INST]", ""}, .assistant = {"", "", EOS, ""}, .prompt = "", .bos = ONCE,
		.system = LAST_USER, .system_open = "", .system_close = "\n\n", .alternate = true, .empty_tools = true},
};

/* SHA-256 of published templates (without white space at the end), and the format each one renders. */
static const struct {
	const char *sha256;
	int format;
} known[] = {
	{"fcf7a096fe99a48fd9ad2b250bf9237e96e8f48bffec1c7ea4d3f225176cd40e", F_CHATML},	/* ChatML as transformers once applied it by default */
	{"153280e3ff55d19da1398bdb3914ee2a51b80429bfaedde11d7d216c39db80f3", F_CHATML},	/* ChatML as transformers once applied it by default */
	{"d7b5b8c7b58f7a6bf868aa46a5f73ee976d7292f40fcb9c3e7a1defd8d235cfb", F_CHATML},	/* ChatML as transformers once applied it by default */
	{"58c1a1f04baa7adaeaba1f90267c3d57d9396f0c1f0129bdde9e76d3c6784af7", F_CHATML},	/* ChatML as transformers once applied it by default */
	{"f0206845c9ebc3abb4735d44f286eb81ce99238ad2accc710c6fc60e6cb8ccc8", F_CHATML_HELPFUL},	/* Qwen2-Instruct */
	{"de9cde7d1b0ca0cc87459a6673e0d12fb89c070bdb24e4a30b6e4d187b226221", F_CHATML_SMOLLM2},	/* SmolLM2-Instruct */
	{"55b2f4a26ac9ee719330a61a0c39d9e538b0e9322212f048326318cff4f8674a", F_CHATML_QWEN25},	/* Qwen2.5-Instruct */
	{"f3714f7117c9d447db80ceb3fcb67a64ba08d149dd4434fe53add9c7f1dd344b", F_CHATML_QWEN25},	/* the same, TRL's training variant */
	{"64f85b198065d0fba2a81f37e10ed68161ce2c19a754c7100e67e0ca2ee9c326", F_CHATML_THREE},	/* Qwen3-Instruct-2507 */
	{"48e17aa3caf5bf20075b6e7366864ee943e00b6f0752aadfe8b670c2ab0291a5", F_CHATML_THREE},	/* the same, TRL's training variant */
	{"eae48a3307931acb10a6fce475a36b711709672ea79ee1a9bc52f083d8b0a2af", F_CHATML_THREE},	/* Qwen3-Coder */
	{"e8d5b5a546d3f19df16a5320c614fab05bdc4edd50e850f1afd947b503ea41cf", F_LLAMA2},	/* Llama-2-chat */
	{"ba03a121d097859c7b5b9cd03af99aafe95275210d2876f642ad9929a150f122", F_LLAMA3},	/* Llama-3-Instruct */
	{"bc213ef03ac49e40c58b11933b109235e63d25f13e7cd4df966c577966d2345e", F_LLAMA3},	/* the same, TRL's training variant */
	{"b48c47f6443892716176eb200bf4ef108f64e06ca26ed0fa8ebc0a4b3992fcb2", F_LLAMA3_PROMPTS},	/* Llama-3-Instruct as first released */
	{"ecd6ae513fe103f0eb62e8ab5bfa8d0fe45c1074fa398b089c93a7e70c15cfd6", F_GEMMA},	/* gemma-it, gemma-2-it */
	{"ee06c456c3a7f9b11598f2ccb8ac64c248d962e17cdc53ff414e6427051d3847", F_GEMMA},	/* the same, TRL's training variant */
	{"8d9e3a3c114fb2053ec500184677af4f7e5f8ec2582443cd535834e68b3ade29", F_GEMMA3},	/* gemma-3-it */
	{"f168271feb9abc530eeaf742fa0e6aeeec7266ade5370f0cd035c9ba7a0b6f4e", F_GEMMA3},	/* the same, TRL's training variant */
	{"7e995b379ec01747807246483647cd99030abf331653f1119e16d7ac041a3495", F_MISTRAL_01},	/* Mistral-7B-Instruct-v0.1 of 2023 */
	{"26a59556925c987317ce5291811ba3b7f32ec4c647c400c6cc7e3a9993007ba7", F_MISTRAL_02},	/* Mistral-7B-Instruct-v0.2 of 2023 */
	{"98f66244deff91467cffdb0b426f04d1c4a2f76f17044db4e5965727393fcc2d", F_MISTRAL},	/* Mistral-7B-Instruct-v0.1 and v0.2 */
	{"e7deee034838db2bfc7487788a3013d8a307ab69f72f3c54a85f06fd76007d4e", F_MISTRAL_NEMO},	/* Mistral-Nemo-Instruct */
};

struct pm_template {
	const struct format *f;
};

/* --- which template --- */

static int from_name(const struct format **f, const char *name, struct pm_err *e)
{
	static const int named[] = {F_CHATML, F_LLAMA2, F_LLAMA3, F_GEMMA3, F_MISTRAL};
	size_t i;

	for (i = 0; i < sizeof named / sizeof *named; i++) {
		*f = &formats[named[i]];
		if (!strcmp((*f)->name, name))
			return 0;
	}
	return pm_fail(e, PM_DATA, "unknown chat template '%s': " PM_TEMPLATE_NAMES " were wanted", name);
}

static int from_text(const struct format **f, const char *text, size_t n, struct pm_err *e)
{
	char hex[PM_SHA256_HEX];
	size_t i;

	while (n && strchr(" \t\r\n", text[n - 1]))
		n--;
	if (pm_sha256_bytes(hex, text, n, e) < 0)
		return -1;
	for (i = 0; i < sizeof known / sizeof *known; i++) {
		if (!strcmp(known[i].sha256, hex)) {
			*f = &formats[known[i].format];
			return 0;
		}
	}
	return pm_fail(e, PM_DATA, "unknown chat template (name one with --chat-template)");
}

/* The text of tokenizer_config.json's chat_template: a string, or the one named "default" of a list. NULL: none. */
static const char *config_template(const json_t *config)
{
	const json_t *v = json_object_get(config, "chat_template");
	size_t i;

	if (json_is_string(v))
		return json_string_value(v);
	for (i = 0; i < json_array_size(v); i++) {
		const char *name = json_string_value(json_object_get(json_array_get(v, i), "name"));

		if (name && !strcmp(name, "default"))
			return json_string_value(json_object_get(json_array_get(v, i), "template"));
	}
	return NULL;
}

static int from_model(const struct format **f, const char *model, struct pm_err *e)
{
	char *jinja = pm_path(model, "chat_template.jinja", e), *path = pm_path(model, "tokenizer_config.json", e);
	const char *text = NULL;
	struct pm_str s = {0};
	json_t *config = NULL;
	int r = -1;

	if (!jinja || !path)
		goto out;
	if (pm_exists(jinja)) {
		if (pm_read_file(&s, jinja, e) == 0)
			r = from_text(f, s.data ? s.data : "", s.len, e) < 0 ? pm_ctx(e, "%s", jinja) : 0;
		goto out;
	}
	if (pm_exists(path) && !(config = pm_json_file(path, e)))
		goto out;
	text = config_template(config);
	if (!text)
		pm_fail(e, PM_DATA, "%s: has no chat template (name one with --chat-template)", model);
	else
		r = from_text(f, text, strlen(text), e) < 0 ? pm_ctx(e, "%s", path) : 0;
out:
	json_decref(config);
	pm_str_free(&s);
	free(jinja);
	free(path);
	return r;
}

int pm_template_open(struct pm_template **out, const char *model, const char *name, struct pm_err *e)
{
	const struct format *f = NULL;

	*out = NULL;
	if ((name ? from_name(&f, name, e) : from_model(&f, model, e)) < 0 || !(*out = pm_alloc(1, sizeof **out, e)))
		return -1;
	(*out)->f = f;
	return 0;
}

void pm_template_close(struct pm_template *t)
{
	free(t);
}

const char *pm_template_name(const struct pm_template *t)
{
	return t->f->name;
}

const char *pm_template_end(const struct pm_template *t, const char *eos)
{
	const char *end = t->f->assistant.end;

	return strstr(end, EOS) ? eos : end;
}

/* --- rendering --- */

void pm_rendered_free(struct pm_rendered *r)
{
	pm_str_free(&r->text);
	free(r->pieces);
	memset(r, 0, sizeof *r);
}

static int put(struct pm_rendered *r, const char *text, size_t n, int32_t message, bool content, bool said, struct pm_err *e)
{
	struct pm_piece *last = r->n ? &r->pieces[r->n - 1] : NULL;

	if (!n)
		return 0;
	if (pm_str_put(&r->text, text, n, e) < 0)
		return -1;
	if (last && last->message == message && last->content == content && last->said == said) {
		last->to += n;
		return 0;
	}
	if (pm_grow(&r->pieces, &r->cap, r->n + 1, sizeof *r->pieces, e) < 0)
		return -1;
	r->pieces[r->n++] = (struct pm_piece){r->text.len - n, r->text.len, message, content, said};
	return 0;
}

struct render {
	const struct format *f;
	const struct pm_render_opts *o;
	struct pm_rendered *r;
	int32_t message;
	const char *role;
};

/* Text of the template, with what stands for role, BOS and EOS replaced. */
static int put_own(struct render *x, const char *text, bool said, struct pm_err *e)
{
	while (*text) {
		size_t n = strcspn(text, ROLE BOS EOS);
		const char *value = NULL;

		if (put(x->r, text, n, x->message, false, said, e) < 0)
			return -1;
		text += n;
		if (!*text)
			break;
		value = *text == *ROLE ? x->role : *text == *BOS ? x->o->bos : x->o->eos;
		if (!value)
			return pm_fail(e, PM_DATA, "chat template %s: it writes %s, the tokenizer names none", x->f->name,
			    *text == *BOS ? "a BOS token" : "an EOS token");
		if (put(x->r, value, strlen(value), x->message, false, said, e) < 0)
			return -1;
		text++;
	}
	return 0;
}

/* Bytes of the white space (as Python's str.strip sees it) that s begins with; of valid UTF-8. */
static size_t space_at(const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	unsigned c;

	if (!n)
		return 0;
	if (p[0] < 0x80)
		return (p[0] >= 9 && p[0] <= 13) || (p[0] >= 0x1c && p[0] <= 0x20);
	if (n >= 2 && p[0] == 0xc2)
		return p[1] == 0x85 || p[1] == 0xa0 ? 2 : 0;
	if (n < 3 || p[0] < 0xe1 || p[0] > 0xe3)
		return 0;
	c = (p[0] & 15u) << 12 | (p[1] & 63u) << 6 | (p[2] & 63u);
	return c == 0x1680 || (c >= 0x2000 && c <= 0x200a) || c == 0x2028 || c == 0x2029 || c == 0x202f || c == 0x205f || c == 0x3000 ? 3 : 0;
}

/* Bytes of the white space that s ends with: one character of it. */
static size_t space_before(const char *s, size_t n)
{
	size_t k;

	for (k = 1; k <= 3 && k <= n; k++)
		if (space_at(s + n - k, k) == k)
			return k;
	return 0;
}

static void trim(const char **s, size_t *n, bool left, bool right)
{
	size_t k;

	while (left && (k = space_at(*s, *n)) > 0) {
		*s += k;
		*n -= k;
	}
	while (right && (k = space_before(*s, *n)) > 0)
		*n -= k;
}

static int put_text(struct render *x, const json_t *text, bool left, bool right, struct pm_err *e)
{
	const char *s = json_string_value(text);
	size_t n = json_string_length(text);

	trim(&s, &n, left, right);
	return put(x->r, s, n, x->message, true, x->role && !strcmp(x->role, "assistant"), e);
}

/* The content of a message: a string, or a list of texts where the template takes one. */
static int put_content(struct render *x, const json_t *m, bool left, bool right, struct pm_err *e)
{
	const json_t *c = json_object_get(m, "content");
	size_t i;

	if (json_is_string(c))
		return put_text(x, c, left, right, e);
	if (!json_is_array(c) || !x->f->parts)
		return pm_fail(e, PM_DATA, "message %d: its content is %s, chat template %s takes text", x->message + 1,
		    json_is_array(c) ? "a list of parts" : "no text", x->f->name);
	for (i = 0; i < json_array_size(c); i++) {
		const json_t *part = json_array_get(c, i), *text = json_object_get(part, "text");
		const char *type = json_string_value(json_object_get(part, "type"));

		if (!type || strcmp(type, "text") != 0 || !json_is_string(text))
			return pm_fail(e, PM_DATA, "message %d: part %zu of its content is no text", x->message + 1, i + 1);
		if (put_text(x, text, left, right, e) < 0)
			return -1;
	}
	return 0;
}

/* Takes white space off the end of what was written since byte `from`. */
static void trim_end(struct pm_rendered *r, size_t from)
{
	const char *s = r->text.data + from;
	size_t n = r->text.len - from;

	trim(&s, &n, false, true);
	r->text.len = from + n;
	r->text.data[r->text.len] = 0;
	while (r->n && r->pieces[r->n - 1].from >= r->text.len)
		r->n--;
	if (r->n && r->pieces[r->n - 1].to > r->text.len)
		r->pieces[r->n - 1].to = r->text.len;
}

static int put_turn(struct render *x, const json_t *m, const json_t *system, struct pm_err *e)
{
	const struct format *f = x->f;
	bool assistant = !strcmp(x->role, "assistant");
	const struct turn *t = assistant ? &f->assistant : &f->user;
	struct render own = *x;
	size_t from;

	if (assistant && f->assistant_role)
		own.role = f->assistant_role;
	if (put_own(&own, t->open, false, e) < 0 || put_own(&own, t->lead, assistant, e) < 0)
		return -1;
	from = x->r->text.len;
	if (system) {
		struct render sys = {f, x->o, x->r, 0, "system"};

		if (put_own(&sys, f->system_open, false, e) < 0 || put_content(&sys, system, false, false, e) < 0 ||
		    put_own(&sys, f->system_close, false, e) < 0)
			return -1;
	}
	if (put_content(x, m, f->space == TRIM || (f->space == TRIM_WHOLE && !system), f->space == TRIM, e) < 0)
		return -1;
	if (f->space == TRIM_WHOLE)
		trim_end(x->r, from);
	if (put_own(&own, t->end, assistant, e) < 0)
		return -1;
	return put_own(&own, t->close, false, e);
}

/* What a message must be for any format; *role is borrowed. */
static int check_message(const struct format *f, const json_t *m, int32_t i, const char **role, struct pm_err *e)
{
	const json_t *calls = json_object_get(m, "tool_calls");

	*role = json_string_value(json_object_get(m, "role"));
	if (!*role)
		return pm_fail(e, PM_DATA, "message %d: an object with a 'role' was wanted", i + 1);
	if (calls && !json_is_null(calls) && json_array_size(calls) != 0)
		return pm_fail(e, PM_DATA, "message %d: chat template %s has no way to write tool calls", i + 1, f->name);
	if (!f->any_role && strcmp(*role, "user") != 0 && strcmp(*role, "assistant") != 0 && (f->system != AS_ROLE || strcmp(*role, "system") != 0))
		return pm_fail(e, PM_DATA, "message %d: role '%s', chat template %s takes user and assistant%s", i + 1, *role, f->name,
		    f->system == AS_ROLE ? " and system" : f->system == REFUSED ? "" : " after a system message");
	return 0;
}

static bool has_reasoning(const json_t *m)
{
	return json_string_length(json_object_get(m, "reasoning_content")) || json_string_length(json_object_get(m, "thinking")) ||
	    json_string_length(json_object_get(m, "reasoning"));
}

static bool is_role(const json_t *m, const char *role)
{
	const char *s = json_string_value(json_object_get(m, "role"));

	return s && !strcmp(s, role);
}

static int put_messages(struct render *x, const json_t *messages, struct pm_err *e)
{
	const struct format *f = x->f;
	int32_t n = (int32_t)json_array_size(messages), head = 0, i;
	const json_t *system = NULL, *m = json_array_get(messages, 0);

	if (f->system != AS_ROLE && is_role(m, "system")) {
		if (f->system == REFUSED)
			return pm_fail(e, PM_DATA, "message 1: chat template %s takes no system message", f->name);
		system = m;
		head = 1;
	}
	for (i = head; i < n; i++) {
		m = json_array_get(messages, (size_t)i);
		if (check_message(f, m, i, &x->role, e) < 0)
			return -1;
		if (f->alternate && !strcmp(x->role, "user") != ((i - head) % 2 == 0))
			return pm_fail(e, PM_DATA, "message %d: role '%s', roles must alternate user, assistant, user …", i + 1, x->role);
		x->message = -1;
		if (f->bos == WITH_FIRST && i == 0 && put_own(x, BOS, false, e) < 0)
			return -1;
		x->message = i;
		x->r->reasoning_unused |= has_reasoning(m);
		if (put_turn(x, m, f->system == FIRST_USER ? i == head ? system : NULL :
		    f->system == LAST_USER && i == n - 1 && !strcmp(x->role, "user") ? system : NULL, e) < 0)
			return -1;
	}
	return 0;
}

int pm_template_render(const struct pm_template *t, const json_t *messages, const struct pm_render_opts *o, struct pm_rendered *out,
    struct pm_err *e)
{
	const struct format *f = t->f;
	struct render x = {f, o, out, -1, NULL};

	pm_str_clear(&out->text);
	out->n = 0;
	out->reasoning_unused = false;
	if (!json_is_array(messages))
		return pm_fail(e, PM_DATA, "a list of messages was wanted");
	if (!json_array_size(messages) && f->bos != WITH_FIRST)
		return pm_fail(e, PM_DATA, "there are no messages");
	if (o->tools && !json_is_null(o->tools) && (f->empty_tools || json_array_size(o->tools) != 0))
		return pm_fail(e, PM_DATA, "chat template %s has no way to write tools", f->name);
	if (f->bos == ONCE && put_own(&x, BOS, false, e) < 0)
		return -1;
	if (f->default_system && !is_role(json_array_get(messages, 0), "system")) {
		x.role = "system";
		if (put_own(&x, f->user.open, false, e) < 0 || put_own(&x, f->default_system, false, e) < 0 ||
		    put_own(&x, f->user.end, false, e) < 0 || put_own(&x, f->user.close, false, e) < 0)
			return -1;
	}
	if (put_messages(&x, messages, e) < 0)
		return -1;
	x.message = -1;
	return o->generation_prompt || f->always_prompt ? put_own(&x, f->prompt, false, e) : 0;
}
