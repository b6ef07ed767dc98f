#include "text/chat.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/mem.h"
#include "io/gguf.h"
#include "text/chat_said.h"

struct pm_template {
	struct pm_jinja *jinja;
	json_t *vars;                   /* what stays the same */
	struct tm now;
	bool has_now, tools, calls;     /* its text speaks of tools, of tool_calls */
	char *prompt, *end;             /* the words that prompt an answer; the token that ends one */
};

void pm_template_close(struct pm_template *t)
{
	if (!t)
		return;
	pm_jinja_free(t->jinja);
	json_decref(t->vars);
	free(t->prompt);
	free(t->end);
	free(t);
}

const char *pm_template_name(const struct pm_template *t)
{
	return pm_jinja_name(t->jinja);
}

const char *pm_template_end(const struct pm_template *t)
{
	return t->end;
}

void pm_rendered_free(struct pm_rendered *r)
{
	pm_str_free(&r->text);
	free(r->pieces);
	pm_jinja_result_free(&r->raw);
	memset(r, 0, sizeof *r);
}

/* --- rendering --- */

/* Sets a variable that is None where neither the conversation nor an argument gives it. */
static int give(json_t *vars, const char *name, const json_t *v)
{
	if (v)
		return json_object_set(vars, name, (json_t *)(size_t)v);
	return json_object_get(vars, name) ? 0 : json_object_set_new(vars, name, json_null());
}

/* Renders as it is; the arguments of a conversation go before those of the template. */
static int run(const struct pm_template *t, const json_t *messages, const struct pm_render_opts *o, struct pm_jinja_result *raw, struct pm_err *e)
{
	struct pm_jinja_opts jo = {.now = t->has_now ? &t->now : NULL};
	json_t *vars = json_copy(t->vars), *list = pm_chat_messages(messages, e);
	int r = -1;

	if (!vars || !list) {
		pm_fail(e, PM_SOFTWARE, "out of memory");
	} else if ((o->args && json_object_update(vars, (json_t *)(size_t)o->args) < 0) || give(vars, "tools", o->tools) < 0 ||
	    give(vars, "documents", o->documents) < 0 || json_object_set(vars, "messages", list) < 0 ||
	    (!json_object_get(vars, "add_generation_prompt") &&
	    json_object_set_new(vars, "add_generation_prompt", json_boolean(o->generation_prompt)) < 0)) {
		pm_fail(e, PM_SOFTWARE, "out of memory");
	} else {
		r = pm_jinja_render(t->jinja, vars, &jo, raw, e);
	}
	json_decref(list);
	json_decref(vars);
	return r;
}

static bool blank(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

/* Whether a message has reasoning of which the text has nothing. */
static bool leaves_out(const json_t *messages, const struct pm_str *text)
{
	size_t i, n;

	for (i = 0; i < json_array_size(messages); i++) {
		const json_t *m = json_array_get(messages, i), *v = json_object_get(m, "reasoning_content");
		const char *s;
		char *word;
		bool found;

		if (!v || json_is_null(v))
			v = json_object_get(m, "thinking");
		if (!v || json_is_null(v))
			v = json_object_get(m, "reasoning");
		s = json_string_value(v);
		for (n = s ? json_string_length(v) : 0; n && blank(*s); n--)
			s++;
		while (n && blank(s[n - 1]))
			n--;
		if (!n || !(word = strndup(s, n)))
			continue;
		found = text->data && strstr(text->data, word);
		free(word);
		if (!found)
			return true;
	}
	return false;
}

int pm_template_render(const struct pm_template *t, const json_t *messages, const struct pm_render_opts *o, struct pm_rendered *out,
    struct pm_err *e)
{
	const json_t *eos = json_object_get(o->args, "eos_token");
	struct pm_str swap;

	eos = eos ? eos : json_object_get(t->vars, "eos_token");
	out->n = 0;
	pm_str_clear(&out->text);
	if (!json_is_array(messages))
		return pm_fail(e, PM_DATA, "a list of messages was wanted");
	if (run(t, messages, o, &out->raw, e) < 0 || (!pm_jinja_marks(t->jinja) && pm_said_spans(&out->raw, messages, t->prompt, json_string_value(eos), e) < 0) ||
	    pm_said_pieces(out, e) < 0)
		return -1;
	swap = out->text;
	out->text = out->raw.text;
	out->raw.text = swap;
	out->reasoning_unused = leaves_out(messages, &out->text);
	return 0;
}

int pm_template_fits(const struct pm_template *t, const json_t *messages, const json_t *tools, struct pm_err *e)
{
	size_t i;

	if (!t->tools && json_array_size(tools))
		return pm_fail(e, PM_DATA, "chat template %s has no way to write tools", pm_template_name(t));
	for (i = 0; !t->calls && i < json_array_size(messages); i++)
		if (json_array_size(json_object_get(json_array_get(messages, i), "tool_calls")))
			return pm_fail(e, PM_DATA, "message %zu: chat template %s has no way to write tool calls", i + 1, pm_template_name(t));
	return 0;
}

/* --- what a template writes around an answer, found by asking it --- */

/* A conversation of a user's message, one of the system before it or not, and an answer or not; contents as text or as parts. */
static json_t *probe(bool system, bool parts, const char *answer)
{
	json_t *list = json_array(), *m;
	size_t i;

	if (system)
		json_array_append_new(list, json_pack("{s:s,s:s}", "role", "system", "content", "s"));
	json_array_append_new(list, json_pack("{s:s,s:s}", "role", "user", "content", "u"));
	if (answer)
		json_array_append_new(list, json_pack("{s:s,s:s}", "role", "assistant", "content", answer));
	for (i = 0; parts && i < json_array_size(list); i++) {
		m = json_array_get(list, i);
		json_object_set_new(m, "content", json_pack("[{s:s,s:O}]", "type", "text", "text", json_object_get(m, "content")));
	}
	return list;
}

/* Renders a probe, in the first of its forms that the template takes; its last message is number *last. */
static int ask(const struct pm_template *t, const char *answer, bool prompt, struct pm_jinja_result *raw, int32_t *last)
{
	struct pm_render_opts o = {.generation_prompt = prompt};
	struct pm_err e;
	int form, r = -1;

	for (form = 0; r < 0 && form < 4; form++) {
		json_t *list = probe(form & 1, form & 2, answer);

		*last = (int32_t)json_array_size(list) - 1;
		r = run(t, list, &o, raw, &e);
		json_decref(list);
	}
	return r;
}

/* What a result has behind the last bytes that belong to a message. */
static struct pm_str tail(const struct pm_jinja_result *raw)
{
	size_t i, from = 0;

	for (i = 0; i < raw->nruns; i++)
		if (raw->runs[i].turn >= 0 || raw->runs[i].message >= 0)
			from = raw->runs[i].to;
	return (struct pm_str){raw->text.data + from, raw->text.len - from, 0};
}

/* The words that prompt an answer: what the template adds to a conversation for it, between what it writes behind it anyway. Two tails that
 * part within a tag part before it. */
static char *find_prompt(const struct pm_template *t, struct pm_err *e)
{
	struct pm_jinja_result with = {0}, without = {0};
	struct pm_str a, b;
	size_t front = 0, back = 0;
	int32_t last;
	char *s;

	if (ask(t, NULL, true, &with, &last) < 0 || ask(t, NULL, false, &without, &last) < 0 || !with.text.len || !without.text.len) {
		s = pm_strdup("", e);
	} else {
		a = tail(&with);
		b = tail(&without);
		while (back < a.len && back < b.len && a.data[a.len - 1 - back] == b.data[b.len - 1 - back])
			back++;
		while (front < a.len - back && front < b.len - back && a.data[front] == b.data[front])
			front++;
		while (front && front < b.len - back && a.data[front - 1] != '>' && !blank(a.data[front - 1]))
			front--;
		s = pm_strndup(a.data + front, a.len - back - front, e);
	}
	pm_jinja_result_free(&with);
	pm_jinja_result_free(&without);
	return s;
}

/* The token that ends an answer: of what follows an answer's content, what is left without blanks; of several tags, the last. */
static char *find_end(const struct pm_template *t, struct pm_err *e)
{
	struct pm_jinja_result raw = {0};
	size_t i, from = SIZE_MAX, to = 0, k;
	bool own = false;               /* the template wrote something behind it in the turn itself */
	int32_t last;
	char *s;

	if (ask(t, "probe", false, &raw, &last) == 0)
		for (i = 0; i < raw.nruns; i++) {
			if (raw.runs[i].origin == PM_JINJA_MESSAGE && raw.runs[i].message == last)
				from = to = raw.runs[i].to;
			else if (from != SIZE_MAX && (raw.runs[i].turn == last || (raw.runs[i].turn < 0 && !own)))
				to = raw.runs[i].to;
			own |= from != SIZE_MAX && raw.runs[i].origin == PM_JINJA_TEMPLATE && raw.runs[i].turn == last;
		}
	s = raw.text.data;
	if (from == SIZE_MAX)
		from = to;
	while (from < to && blank(s[from]))
		from++;
	while (from < to && blank(s[to - 1]))
		to--;
	for (k = to; k > from && s[to - 1] == '>' && s[k - 1] != '<'; k--)
		;
	if (k > from)
		from = s[to - 1] == '>' ? k - 1 : from;
	s = pm_strndup(s ? s + from : "", to - from, e);
	pm_jinja_result_free(&raw);
	return s;
}

/* --- which template --- */

/* How a token is spelled: a text, or an object with its "content". */
static json_t *spelling(json_t *v)
{
	return json_is_object(v) ? json_object_get(v, "content") : v;
}

/* Variables: the tokens of the model's configuration, then what the caller says. */
static json_t *variables(const json_t *config, const struct pm_template_opts *o)
{
	json_t *vars = json_object(), *v;
	const char *key;
	size_t n;

	json_object_foreach((json_t *)(size_t)config, key, v) {
		n = strlen(key);
		if (n > 6 && !strcmp(key + n - 6, "_token") && json_is_string(spelling(v)))
			json_object_set(vars, key, spelling(v));
	}
	if (o->bos)
		json_object_set_new(vars, "bos_token", json_string(o->bos));
	if (o->eos)
		json_object_set_new(vars, "eos_token", json_string(o->eos));
	if (o->args)
		json_object_update(vars, (json_t *)(size_t)o->args);
	return vars;
}

static bool has(const char *text, size_t n, const char *word)
{
	size_t m = strlen(word), i;

	for (i = 0; i + m <= n; i++)
		if (text[i] == *word && !memcmp(text + i, word, m))
			return true;
	return false;
}

static int make(struct pm_template **out, const char *text, size_t n, const char *name, const json_t *config, const struct pm_template_opts *o,
    struct pm_err *e)
{
	struct pm_template *t = pm_alloc(1, sizeof *t, e);

	*out = NULL;
	if (!t)
		return -1;
	if (o->now) {
		t->now = *o->now;
		t->has_now = true;
	}
	t->vars = variables(config, o);
	t->tools = has(text, n, "tools");
	t->calls = has(text, n, "tool_calls");
	if (pm_jinja_new(&t->jinja, text, n, name, e) < 0 || !(t->prompt = find_prompt(t, e)) || !(t->end = find_end(t, e))) {
		pm_template_close(t);
		return -1;
	}
	*out = t;
	return 0;
}

int pm_template_text(struct pm_template **out, const char *text, size_t n, const char *name, const struct pm_template_opts *o, struct pm_err *e)
{
	return make(out, text, n, name, NULL, o, e);
}

/* Opens DIR/[SUB/]NAME.jinja, of which DIR may be NULL: 1; 0: there is none. */
static int try_file(struct pm_template **out, const char *dir, const char *sub, const char *name, const json_t *config,
    const struct pm_template_opts *o, struct pm_err *e)
{
	char file[200], *path;
	struct pm_str s = {0};
	int r = 0;

	if (!dir || strlen(name) > 100)
		return 0;
	snprintf(file, sizeof file, "%s%s.jinja", sub, name);
	path = pm_path(dir, file, e);
	if (!path)
		return -1;
	if (pm_exists(path))
		r = pm_read_file(&s, path, e) < 0 || make(out, s.data ? s.data : "", s.len, path, config, o, e) < 0 ? -1 : 1;
	pm_str_free(&s);
	free(path);
	return r;
}

/* chat_template of tokenizer_config.json: a string, which has no name, or a list of those with names. NULL: none. */
static const json_t *config_template(const json_t *config, const char *name)
{
	const json_t *v = json_object_get(config, "chat_template");
	size_t i;

	if (json_is_string(v))
		return strcmp(name, "default") ? NULL : v;
	for (i = 0; i < json_array_size(v); i++) {
		const char *own = json_string_value(json_object_get(json_array_get(v, i), "name"));
		const json_t *text = json_object_get(json_array_get(v, i), "template");

		if (own && !strcmp(own, name) && json_is_string(text))
			return text;
	}
	return NULL;
}

/* The model's own: 1; 0: it has none of that name. */
static int from_model(struct pm_template **out, const char *model, const char *name, const json_t *config, const struct pm_template_opts *o,
    struct pm_err *e)
{
	const json_t *text;
	char *path;
	int r = strcmp(name, "default") ? try_file(out, model, "additional_chat_templates/", name, config, o, e) :
	    try_file(out, model, "", "chat_template", config, o, e);

	if (r != 0 || !(text = config_template(config, name)))
		return r;
	path = pm_path(model, "tokenizer_config.json", e);
	r = path && make(out, json_string_value(text), json_string_length(text), path, config, o, e) == 0 ? 1 : -1;
	free(path);
	return r;
}

static int from_file(struct pm_template **out, const char *path, const json_t *config, const struct pm_template_opts *o, struct pm_err *e)
{
	struct pm_str s = {0};
	int r = pm_read_file(&s, path, e) < 0 || make(out, s.data ? s.data : "", s.len, path, config, o, e) < 0 ? -1 : 1;

	pm_str_free(&s);
	return r;
}

/* A GGUF's key, of which the length is told: 1; 0: it has none of that name. */
static int from_gguf(struct pm_template **out, const char *path, const char *name, const struct pm_template_opts *o, struct pm_err *e)
{
	const struct pm_gguf_key *k;
	struct pm_gguf *g;
	const char *text;
	char key[200];
	size_t n;
	int r = 0;

	if (strlen(name) > 100)
		return 0;
	if (pm_gguf_open(&g, path, e) < 0)
		return -1;
	snprintf(key, sizeof key, strcmp(name, "default") ? "tokenizer.chat_template.%s" : "tokenizer.chat_template", name);
	k = pm_gguf_key(g, key);
	if (k) {
		r = pm_gguf_string(&text, &n, k, e);
		snprintf(key, sizeof key, "%.100s: chat template %s", path, name);
		if (r == 0)
			r = make(out, text, n, key, NULL, o, e) < 0 ? -1 : 1;
	}
	pm_gguf_close(g);
	return r;
}

static bool is_gguf(const char *path)
{
	size_t n = path ? strlen(path) : 0;

	return n > 5 && !strcmp(path + n - 5, ".gguf") && !pm_is_dir(path);
}

int pm_template_open(struct pm_template **out, const char *model, const char *name, const struct pm_template_opts *o, struct pm_err *e)
{
	char *path = model && pm_is_dir(model) ? pm_path(model, "tokenizer_config.json", e) : NULL;
	json_t *config = path && pm_exists(path) ? pm_json_file(path, e) : NULL;
	int r = path && pm_exists(path) && !config ? -1 : 0;

	*out = NULL;
	if (r == 0 && path)
		r = from_model(out, model, name ? name : "default", config, o, e);
	else if (r == 0 && is_gguf(model))
		r = from_gguf(out, model, name ? name : "default", o, e);
	if (r == 0 && name && !strchr(name, '/'))
		r = try_file(out, o->share, "template/", name, config, o, e);
	if (r == 0 && name && pm_exists(name) && !pm_is_dir(name))
		r = from_file(out, name, config, o, e);
	if (r == 0)
		r = name ? pm_fail(e, PM_USAGE, "--chat-template: '%s' is neither one of the model's, nor of share/template, nor a file", name) :
		    pm_fail(e, PM_DATA, "%s: has no chat template (name one with --chat-template)", model ? model : "no model");
	json_decref(config);
	free(path);
	return r < 0 ? -1 : 0;
}
