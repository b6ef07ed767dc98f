/* Chat templates: what the model says of every golden row, with and without marks; those of share/template; which template a model has. */
#include "text/chat.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file.h"
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

/* --- golden rows: every template of ../shared/data/templates --- */

struct golden {
	json_t *convs;
	char dir[4096], name[200];
	struct pm_template *t;
	struct pm_rendered r;
	bool marks;
	int rows, wrong, spans, disagree, unsound;
};

static const json_t *conversation(const struct golden *g, const json_t *row)
{
	const char *id = json_string_value(json_object_get(row, "conv"));
	size_t i;

	for (i = 0; i < json_array_size(g->convs); i++)
		if (!strcmp(json_string_value(json_object_get(json_array_get(g->convs, i), "id")), id))
			return json_array_get(g->convs, i);
	return NULL;
}

/* Puts if in the place of the marks {% generation %}, so that what is said has to be found by where the bytes came from. */
static bool unmark(char *s)
{
	static const char word[] = "generation", endif[] = "endif        ";
	bool any = false;
	char *p, *b;

	for (; (p = strstr(s, word)); s = p + 1) {
		for (b = p; b > s && (b[-1] == ' ' || b[-1] == '-' || b[-1] == '+'); b--)
			;
		if (b - s >= 2 && !memcmp(b - 2, "{%", 2)) {
			memcpy(p, "if true   ", 10);
			any = true;
		} else if (p - s >= 3 && !memcmp(p - 3, "end", 3)) {
			memcpy(p - 3, endif, 13);
		}
	}
	return any;
}

static void next_template(struct golden *g, const char *name)
{
	static const struct tm now = {.tm_year = 126, .tm_mday = 15, .tm_hour = 12, .tm_min = 34, .tm_sec = 56, .tm_wday = 4, .tm_yday = 14};
	struct pm_template_opts o = {.now = &now};
	char path[5000];
	struct pm_str s = {0};
	struct pm_err e;

	if (!strcmp(g->name, name))
		return;
	pm_template_close(g->t);
	g->t = NULL;
	snprintf(g->name, sizeof g->name, "%s", name);
	snprintf(path, sizeof path, "%s/%s.jinja", g->dir, name);
	if (pm_read_file(&s, path, &e) == 0) {
		g->marks = unmark(s.data);
		if (pm_template_text(&g->t, s.data, s.len, name, &o, &e) < 0)
			check(0, "%s is opened: %s", name, e.text);
	}
	pm_str_free(&s);
}

static bool is_assistant(const json_t *messages, int32_t i)
{
	const char *role = json_string_value(json_object_get(json_array_get(messages, (size_t)i), "role"));

	return role && !strcmp(role, "assistant");
}

/* What the model says must be the generation spans (code points), but for blanks at their ends, which are not trained here (nothing is
 * generated behind the token that ends a turn), and for headers, which some of the templates mark, too. */
static int spans_differ(const struct golden *g, const json_t *messages, const json_t *spans)
{
	const struct pm_rendered *r = &g->r;
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
	for (k = 0; k < r->n; k++) {
		const struct pm_piece *p = &r->pieces[k];
		const char *word = r->text.data + p->from;
		bool header = false;

		for (i = 0; !p->content && !p->said && is_assistant(messages, p->message) && i + 8 <= p->to - p->from; i++)
			header |= !memcmp(word + i, "ssistant", 8);
		for (byte = p->from; byte < p->to; byte++)
			bad += p->said != theirs[byte] && !(theirs[byte] && (header || strchr(" \n", r->text.data[byte])));
	}
	free(theirs);
	return bad;
}

/* Pieces follow each other; nothing of a system's or a user's message is said, and what an assistant's turn takes from its content is. */
static int unsound(const struct golden *g, const json_t *messages)
{
	size_t i, at = 0;
	int bad = 0;

	for (i = 0; i < g->r.n; i++) {
		const struct pm_piece *p = &g->r.pieces[i];

		bad += p->from != at || p->to <= p->from || p->message >= (int32_t)json_array_size(messages);
		bad += p->said && (p->message < 0 || !is_assistant(messages, p->message));
		bad += p->content && p->message >= 0 && is_assistant(messages, p->message) && !p->said;
		at = p->to;
	}
	return bad + (at != g->r.text.len);
}

static void golden_row(struct golden *g, const json_t *row)
{
	const json_t *conv = conversation(g, row), *messages = json_object_get(conv, "messages"), *tools = json_object_get(conv, "tools");
	const json_t *want = json_object_get(row, "rendered"), *spans = json_object_get(row, "generation_indices");
	struct pm_render_opts o = {.tools = tools, .args = json_object_get(row, "kwargs")};
	const char *id = json_string_value(json_object_get(conv, "id"));
	struct pm_err e = {.text = ""};
	int r = pm_template_render(g->t, messages, &o, &g->r, &e);

	g->rows++;
	if (!want ? r == 0 : r < 0 || g->r.text.len != json_string_length(want) || (g->r.text.len && memcmp(g->r.text.data, json_string_value(want),
	    g->r.text.len) != 0)) {
		if (++g->wrong <= 10)
			printf("# %s, %s: %s\n", g->name, id, r < 0 ? e.text : "another text");
		return;
	}
	if (r < 0)
		return;
	if (unsound(g, messages) && ++g->unsound <= 10)
		printf("# %s, %s: pieces\n", g->name, id);
	g->spans += (int)json_array_size(spans);
	if (g->marks && spans_differ(g, messages, spans) && ++g->disagree <= 10)
		printf("# %s, %s: spans\n", g->name, id);
}

static void golden(void)
{
	const char *path = golden_path("data/templates/golden.jsonl");
	struct golden g = {.rows = 0};
	struct pm_err e;
	char *line = NULL;
	size_t cap = 0;
	ssize_t n;
	FILE *f;

	if (!path) {
		skip("golden data is not there");
		return;
	}
	snprintf(g.dir, sizeof g.dir, "%.*s", (int)(strrchr(path, '/') - path), path);
	g.convs = pm_json_file(golden_path("data/templates/conversations.json"), &e);
	f = fopen(path, "r");
	while (f && (n = getline(&line, &cap, f)) > 0) {
		json_t *row = json_loadb(line, (size_t)n, 0, NULL);

		if (!json_object_get(row, "disputed")) {
			next_template(&g, json_string_value(json_object_get(row, "template_name")));
			if (g.t)
				golden_row(&g, row);
		}
		json_decref(row);
	}
	check(g.rows > 7000 && g.wrong == 0, "%d rows of golden.jsonl; %d differ", g.rows, g.wrong);
	check(g.rows && g.unsound == 0, "what assistants say is said, what others say is not; %d differ", g.unsound);
	check(g.spans > 1000 && g.disagree == 0, "%d marked spans are found without the marks; %d rows differ", g.spans, g.disagree);
	if (f)
		fclose(f);
	free(line);
	pm_template_close(g.t);
	pm_rendered_free(&g.r);
	json_decref(g.convs);
}

/* Renders with a format by name; pieces are written as T (template), C (content), with t and c where the model says it. */
static void by_hand(const char *name, const char *json, const char *text, const char *marks)
{
	struct pm_render_opts o = {.generation_prompt = false};
	struct pm_template_opts to = {.share = "share", .bos = "<s>", .eos = "</s>"};
	struct pm_rendered r = {0};
	struct pm_template *t = NULL;
	struct pm_err e = {0};
	json_t *m = json_loads(json, 0, NULL);
	char got[200] = "";
	size_t i;

	if (m && pm_template_open(&t, NULL, name, &to, &e) == 0 && pm_template_render(t, m, &o, &r, &e) == 0)
		for (i = 0; i < r.n && i < 90; i++)
			snprintf(got + strlen(got), 4, "%c", (r.pieces[i].content ? 'C' : 'T') + (r.pieces[i].said ? 32 : 0));
	check(r.text.data && !strcmp(r.text.data, text) && !strcmp(got, marks), "%s by hand: %s", name, e.text);
	if (r.text.data && (strcmp(r.text.data, text) != 0 || strcmp(got, marks) != 0))
		printf("# want %s\n# got  %s\n# marks %s %s\n", text, r.text.data, marks, got);
	json_decref(m);
	pm_rendered_free(&r);
	pm_template_close(t);
}

/* Opens the template of a model of two files (NULL: it lacks it), renders "u", and expects a text; or words of the error. */
static void model_says(const char *what, const char *jinja, const char *config, const char *name, const char *want)
{
	struct pm_template_opts to = {.share = "share", .bos = "<s>"};
	struct pm_render_opts o = {.generation_prompt = true};
	struct pm_template *t = NULL;
	struct pm_rendered r = {0};
	struct pm_err e = {0};
	json_t *m = json_loads("[{\"role\":\"user\",\"content\":\"u\"}]", 0, NULL);
	int k;

	clear();
	if (jinja)
		put_file("chat_template.jinja", jinja, strlen(jinja));
	if (config)
		put_file("tokenizer_config.json", config, strlen(config));
	k = pm_template_open(&t, dir, name, &to, &e);
	if (k == 0)
		k = pm_template_render(t, m, &o, &r, &e);
	if (!check(k == 0 ? !strcmp(r.text.data ? r.text.data : "", want) : strstr(e.text, want) != NULL, "%s", what))
		printf("# %s\n", k == 0 ? r.text.data : e.text);
	json_decref(m);
	pm_rendered_free(&r);
	pm_template_close(t);
}

static void sources(void)
{
	static const char list[] = "{\"pad_token\":{\"content\":\"<p>\"},\"chat_template\":[{\"name\":\"tool_use\",\"template\":\"tools\"},"
		"{\"name\":\"default\",\"template\":\"{{ bos_token ~ pad_token ~ messages[0].content }}\"}]}";
	char path[300];

	model_says("a text in tokenizer_config.json", NULL, "{\"chat_template\":\"{{ messages[0].role }}\"}", NULL, "user");
	model_says("of a list, the default; tokens are variables", NULL, list, NULL, "<s><p>u");
	model_says("another of the list by its name", NULL, list, "tool_use", "tools");
	model_says("chat_template.jinja goes before", "file", list, NULL, "file");
	model_says("one of share/template by its name", "file", NULL, "chatml", "<|im_start|>user\nu<|im_end|>\n<|im_start|>assistant\n");
	model_says("no template", NULL, "{}", NULL, "has no chat template (name one with --chat-template)");
	model_says("nothing at all", NULL, NULL, NULL, "has no chat template");
	model_says("a name that nothing has", "file", list, "klingon", "--chat-template: 'klingon' is neither");
	model_says("a mistake has its place", "a\n{{ 1 + }}", NULL, NULL, "chat_template.jinja: line 2: ");
	model_says("so has an exception", "\n\n{{ raise_exception('no') }}", NULL, NULL, "chat_template.jinja: line 3: no");
	model_says("the time is not known", "{{ strftime_now('%Y') }}", NULL, NULL, "time is not known");
	clear();
	put_file("chat_template.jinja", "own", 3);
	snprintf(path, sizeof path, "%s/chat_template.jinja", dir);
	model_says("a file", NULL, NULL, path, "neither");      /* it was cleared */
	put_file("chat_template.jinja", "own", 3);
	model_says("a file of the model's by its path", "{{ 'by path' }}", NULL, path, "by path");
}

static void ends(void)
{
	static const char *const rows[][2] = {{"chatml", "<|im_end|>"}, {"llama2", "</s>"}, {"llama3", "<|eot_id|>"}, {"gemma", "<end_of_turn>"}, {"mistral", "</s>"}};
	struct pm_template_opts to = {.share = "share", .bos = "<s>", .eos = "</s>"};
	struct pm_template *t;
	struct pm_err e;
	size_t i;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (!check(pm_template_open(&t, NULL, rows[i][0], &to, &e) == 0 && !strcmp(pm_template_end(t), rows[i][1]), "%s ends turns with %s", rows[i][0],
		    rows[i][1]))
			printf("# %s\n", t ? pm_template_end(t) : e.text);
		pm_template_close(t);
	}
}

int main(void)
{
	if (!mkdtemp(dir))
		return 99;
	golden();
	by_hand("chatml", "[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\" U\"},{\"role\":\"assistant\",\"content\":\"A\"}]",
	    "<|im_start|>system\nS<|im_end|>\n<|im_start|>user\n U<|im_end|>\n<|im_start|>assistant\nA<|im_end|>\n", "TCTTCTTctT");
	by_hand("llama2", "[{\"role\":\"system\",\"content\":\" S \"},{\"role\":\"user\",\"content\":\" U \"},{\"role\":\"assistant\",\"content\":\" A \"},"
	    "{\"role\":\"user\",\"content\":\" V \"}]",
	    "<s>[INST] <<SYS>>\n S \n<</SYS>>\n\n U [/INST] A </s><s>[INST] V [/INST]", "TCTCTtctTCT");
	by_hand("llama2", "[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\" \\u00a0\"}]",
	    "<s>[INST] <<SYS>>\nS\n<</SYS>> [/INST]", "TCT");
	by_hand("mistral", "[{\"role\":\"system\",\"content\":\"S\"},{\"role\":\"user\",\"content\":\"U\"},{\"role\":\"assistant\",\"content\":\"A\"}]",
	    "<s> [INST] S\n\nU [/INST] A</s>", "TTCTCTtct");
	by_hand("gemma", "[{\"role\":\"user\",\"content\":\"\\u3000U\\u2003\"},{\"role\":\"assistant\",\"content\":\"\"}]",
	    "<s><start_of_turn>user\nU<end_of_turn>\n<start_of_turn>model\n<end_of_turn>\n", "TTCTTtT");
	sources();
	ends();
	clear();
	rmdir(dir);
	return done();
}
