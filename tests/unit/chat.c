/* Built-in chat templates against what the models' own templates give; where the bytes come from; which template a model has. */
#include "text/chat.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tap.h"

static char dir[] = "/tmp/pm-chat-XXXXXX";

static int put_file(const char *name, const char *bytes, size_t n)
{
	char path[300];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	f = fopen(path, "wb");
	return f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0;
}

static void clear(void)
{
	char path[300];

	snprintf(path, sizeof path, "%s/chat_template.jinja", dir);
	unlink(path);
	snprintf(path, sizeof path, "%s/tokenizer_config.json", dir);
	unlink(path);
}

static json_t *messages_of(const json_t *conversations, const char *id, const json_t **conv)
{
	size_t i;

	for (i = 0; i < json_array_size(conversations); i++) {
		*conv = json_array_get(conversations, i);
		if (!strcmp(json_string_value(json_object_get(*conv, "id")), id))
			return json_object_get(*conv, "messages");
	}
	return NULL;
}

/* Whether a conversation is beyond plain chat: tools, calls, content that is no string. */
static bool beyond(const json_t *conv, const char *template)
{
	const json_t *list = json_object_get(conv, "messages"), *m;
	const char *id = json_string_value(json_object_get(conv, "id"));
	size_t i;

	if (json_array_size(json_object_get(conv, "tools")) || (strstr(template, "istral") && json_is_array(json_object_get(conv, "tools"))))
		return true;
	json_array_foreach((json_t *)(size_t)list, i, m)
		if (!json_is_string(json_object_get(m, "content")) || json_object_get(m, "tool_calls") ||
		    !strcmp(json_string_value(json_object_get(m, "role")), "tool"))
			return true;
	/* Qwen's leave out what is said in a role that they do not know, or write it as ever; it is refused here. */
	return strstr(template, "wen") && (!strncmp(id, "developer", 9) || !strncmp(id, "unknown_role", 12));
}

/* What the model says must be the generation spans (code points) of the training variants of the templates, but for line ends, which are
 * not trained here: nothing is generated after the token that ends a turn. Returns the number of differences, and counts spans. */
static int spans_differ(const struct pm_rendered *r, const json_t *spans, int *count)
{
	unsigned char *theirs = calloc(r->text.len + 1, 1);
	size_t i, k, byte, point = 0;
	int bad = 0;

	for (byte = 0; byte < r->text.len; byte++) {
		for (i = 0; i < json_array_size(spans); i++) {
			const json_t *span = json_array_get(spans, i);

			theirs[byte] |= (json_int_t)point >= json_integer_value(json_array_get(span, 0)) &&
			    (json_int_t)point < json_integer_value(json_array_get(span, 1));
		}
		point += ((unsigned char)r->text.data[byte + 1] & 0xc0) != 0x80;
	}
	for (k = 0; k < r->n; k++)
		for (byte = r->pieces[k].from; byte < r->pieces[k].to; byte++)
			bad += r->pieces[k].said != theirs[byte] && !(theirs[byte] && r->text.data[byte] == '\n');
	*count += (int)json_array_size(spans);
	free(theirs);
	return bad;
}

static void golden(const char *shared, const char *name, const char *want)
{
	char path[4200];
	struct pm_err e = {0};
	struct pm_str jinja = {0};
	struct pm_rendered r = {0};
	struct pm_template *t = NULL;
	json_t *conversations;
	char *line = NULL;
	size_t cap = 0, i;
	int n = 0, refused = 0, bad = 0, raised = 0, nspans = 0;
	FILE *f;

	snprintf(path, sizeof path, "%s/data/templates/%s.jinja", shared, name);
	clear();
	if (!check(pm_read_file(&jinja, path, &e) == 0 && put_file("chat_template.jinja", jinja.data, jinja.len) &&
	    pm_template_open(&t, dir, NULL, &e) == 0 && !strcmp(pm_template_name(t), want), "%s is known as %s: %s", name, want, e.text))
		return;
	pm_str_free(&jinja);
	snprintf(path, sizeof path, "%s/data/templates/conversations.json", shared);
	conversations = pm_json_file(path, &e);
	snprintf(path, sizeof path, "%s/data/templates/golden.jsonl", shared);
	f = fopen(path, "r");
	while (f && conversations && getline(&line, &cap, f) > 0) {
		json_t *row;
		const json_t *messages, *kw, *conv = NULL;
		const char *text;
		struct pm_render_opts o = {0};
		int k;

		if (!strstr(line, name) || !(row = json_loads(line, 0, NULL)))
			continue;
		kw = json_object_get(row, "kwargs");
		messages = messages_of(conversations, json_string_value(json_object_get(row, "conv")), &conv);
		if (strcmp(json_string_value(json_object_get(row, "template_name")), name) != 0 || !messages || json_is_true(json_object_get(row, "disputed"))) {
			json_decref(row);
			continue;
		}
		o.generation_prompt = json_is_true(json_object_get(kw, "add_generation_prompt"));
		o.bos = json_string_value(json_object_get(kw, "bos_token"));
		o.eos = json_string_value(json_object_get(kw, "eos_token"));
		o.tools = json_object_get(conv, "tools");
		text = json_string_value(json_object_get(row, "rendered"));
		k = pm_template_render(t, messages, &o, &r, &e);
		if (k < 0 && text && beyond(conv, name)) {
			refused++;
		} else if ((k < 0) != !text || (text && (strlen(text) != r.text.len || memcmp(text, r.text.data ? r.text.data : "", r.text.len) != 0))) {
			bad++;
			printf("# %s: %s\n#  want %.200s\n#  got  %.200s\n", json_string_value(json_object_get(row, "conv")), name, text ? text : "an error",
			    k < 0 ? e.text : r.text.data);
		} else {
			n++;
			raised += k < 0;
		}
		for (i = 0; k == 0 && i < r.n; i++)
			bad += r.pieces[i].from >= r.pieces[i].to || r.pieces[i].from != (i ? r.pieces[i - 1].to : 0);
		bad += k == 0 && r.n && r.pieces[r.n - 1].to != r.text.len;
		if (k == 0 && strstr(name, "_training") && spans_differ(&r, json_object_get(row, "generation_indices"), &nspans)) {
			printf("# %s: other spans\n", json_string_value(json_object_get(row, "conv")));
			bad++;
		}
		json_decref(row);
	}
	check(!bad && n > 40 && (!strstr(name, "_training") || nspans > 10),
	    "%s: %d renderings are equal (%d of them errors in both), and %d spans of what is said; %d go beyond plain chat and are refused", name, n,
	    raised, nspans, refused);
	if (f)
		fclose(f);
	free(line);
	json_decref(conversations);
	pm_rendered_free(&r);
	pm_template_close(t);
}

/* Renders with a format by name; pieces are written as T (template), C (content), with t and c where the model says it. */
static void by_hand(const char *name, const char *json, const char *text, const char *marks)
{
	struct pm_render_opts o = {.bos = "<s>", .eos = "</s>"};
	struct pm_rendered r = {0};
	struct pm_template *t = NULL;
	struct pm_err e = {0};
	json_t *m = json_loads(json, 0, NULL);
	char got[200] = "";
	size_t i;

	if (m && pm_template_open(&t, "", name, &e) == 0 && pm_template_render(t, m, &o, &r, &e) == 0)
		for (i = 0; i < r.n && i < 90; i++)
			snprintf(got + strlen(got), 4, "%c", (r.pieces[i].content ? 'C' : 'T') + (r.pieces[i].said ? 32 : 0));
	check(r.text.data && !strcmp(r.text.data, text) && !strcmp(got, marks), "%s by hand: %s", name, e.text);
	if (r.text.data && (strcmp(r.text.data, text) != 0 || strcmp(got, marks) != 0))
		printf("# want %s\n# got  %s\n# marks %s %s\n", text, r.text.data, marks, got);
	json_decref(m);
	pm_rendered_free(&r);
	pm_template_close(t);
}

static void model_says(const char *what, const char *file, const char *content, const char *want)
{
	struct pm_template *t = NULL;
	struct pm_err e = {0};
	int k;

	clear();
	if (file)
		put_file(file, content, strlen(content));
	k = pm_template_open(&t, dir, NULL, &e);
	check(k == 0 ? !strcmp(pm_template_name(t), want) : e.status == PM_DATA && strstr(e.text, want) != NULL, "%s: %s", what, k ? e.text : want);
	pm_template_close(t);
}

#define CHATML "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>' + '\n'}}{% endfor %}" \
	"{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
#define MISTRAL "{{ bos_token }}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}{% if message['role'] == 'user' %}{{ '[INST] ' + message['content'] + ' [/INST]' }}{% elif message['role'] == 'assistant' %}{{ message['content'] + eos_token}}{% else %}{{ raise_exception('Only user and assistant roles are supported!') }}{% endif %}{% endfor %}"

int main(void)
{
	static const char *const both[][2] = {
		{"npmcfg__llama3", "llama3"}, {"npmcfg__llama3_1", "llama3"}, {"trl__llama3_training", "llama3"}, {"npmcfg__gemma3", "gemma"},
		{"trl__gemma3_training", "gemma"}, {"llamacpp__google-gemma-2-2b-it", "gemma"}, {"trl__gemma_training", "gemma"},
		{"llamacpp__Qwen-Qwen2.5-7B-Instruct", "chatml"}, {"trl__qwen2_5_training", "chatml"},
		{"trl__qwen3_instruct_2507", "chatml"}, {"trl__qwen3_instruct_2507_training", "chatml"}, {"llamacpp__Qwen3-Coder", "chatml"},
		{"llamacpp__mistralai-Mistral-Nemo-Instruct-2407", "mistral"},
	};
	const char *shared = golden_dir();
	struct pm_template *t;
	struct pm_err e = {0};
	size_t i;

	if (!mkdtemp(dir))
		return 99;
	for (i = 0; i < sizeof both / sizeof *both; i++) {
		if (shared)
			golden(shared, both[i][0], both[i][1]);
		else
			skip("golden data is not there");
	}
	by_hand("chatml", "[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\" U\"},{\"role\":\"assistant\",\"content\":\"A\"}]",
	    "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n U<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n", "TCTTCTTctT");
	by_hand("llama2", "[{\"role\":\"system\",\"content\":\" S \"},{\"role\":\"user\",\"content\":\" U \"},{\"role\":\"assistant\",\"content\":\" A \"},"
	    "{\"role\":\"user\",\"content\":\" V \"}]",
	    "<s>[INST] <<SYS>>\n S \n<</SYS>>\n\n U [/INST] A </s><s>[INST] V [/INST]", "TTCTCTtctTCT");
	by_hand("llama2", "[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\" \\u00a0\"}]",
	    "<s>[INST] <<SYS>>\nS\n<</SYS>> [/INST]", "TTCTT");
	by_hand("mistral", "[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"U\"},{\"role\":\"assistant\",\"content\":\"A\"}]",
	    "<s> [INST] S\n\nU [/INST] A</s>", "TTCTCTtct");
	by_hand("gemma", "[{\"role\":\"user\",\"content\":\"\\u3000U\\u2003\"},{\"role\":\"assistant\",\"content\":\"\"}]",
	    "<s><start_of_turn>user\nU<end_of_turn>\n<start_of_turn>model\n<end_of_turn>\n", "TTCTTtT");
	model_says("ChatML in a string", "chat_template.jinja", CHATML "\n", "chatml");
	model_says("Mistral in a list", "tokenizer_config.json",
	    "{\"chat_template\":[{\"name\":\"tool_use\",\"template\":\"x\"},{\"name\":\"default\",\"template\":\"" MISTRAL "\"}]}", "mistral");
	model_says("a template nobody knows", "chat_template.jinja", "{{ messages }}", "unknown chat template (name one with --chat-template)");
	model_says("no template", "tokenizer_config.json", "{}", "has no chat template (name one");
	model_says("nothing at all", NULL, NULL, "has no chat template");
	check(pm_template_open(&t, dir, "chatml2", &e) < 0 && e.status == PM_DATA, "an unknown name is refused: %s", e.text);
	clear();
	rmdir(dir);
	return done();
}
