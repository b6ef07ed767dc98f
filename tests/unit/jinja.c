/* The Jinja interpreter: rows of ../shared/data/templates (what jinja2 and transformers make of chat templates), and small templates of which
 * the result is known. */
#include <string.h>

#include "base/file.h"
#include "text/chat.h"
#include "text/jinja.h"
#include "text/unicode.h"
#include "tap.h"

static struct tm when(void)
{
	return (struct tm){.tm_year = 126, .tm_mon = 0, .tm_mday = 15, .tm_hour = 12, .tm_min = 34, .tm_sec = 56, .tm_wday = 4, .tm_yday = 14};
}

static int render(const char *template, const char *variables, struct pm_jinja_result *out, struct pm_err *e)
{
	struct tm now = when();
	struct pm_jinja_opts o = {.now = &now, .steps = 2000000, .memory = 64 << 20};
	json_t *vars = pm_json_parse(variables, strlen(variables), "variables", e);
	struct pm_jinja *t;
	int r = vars ? pm_jinja_new(&t, template, strlen(template), "t", e) : -1;

	if (r == 0) {
		r = pm_jinja_render(t, vars, &o, out, e);
		pm_jinja_free(t);
	}
	json_decref(vars);
	return r;
}

/* --- golden rows --- */

struct golden {
	json_t *convs;
	char dir[4096], name[200];
	struct pm_jinja *t;
	struct pm_jinja_result out;
	int rows, wrong, spans, wrong_spans, disputed;
};

static const json_t *conversation(const struct golden *g, const char *id)
{
	size_t i;

	for (i = 0; i < json_array_size(g->convs); i++)
		if (!strcmp(json_string_value(json_object_get(json_array_get(g->convs, i), "id")), id))
			return json_array_get(g->convs, i);
	return NULL;
}

static void open_template(struct golden *g, const char *name)
{
	char path[5000];
	struct pm_str s = {0};
	struct pm_err e;

	if (!strcmp(g->name, name))
		return;
	pm_jinja_free(g->t);
	g->t = NULL;
	snprintf(g->name, sizeof g->name, "%s", name);
	snprintf(path, sizeof path, "%s/%s.jinja", g->dir, name);
	if (!check(pm_read_file(&s, path, &e) == 0 && pm_jinja_new(&g->t, s.data, s.len, name, &e) == 0, "%s is parsed", name))
		printf("# %s\n", e.text);
	pm_str_free(&s);
}

static bool same_spans(const struct golden *g, const json_t *want)
{
	size_t i;

	if (json_array_size(want) != g->out.nspans)
		return false;
	for (i = 0; i < g->out.nspans; i++) {
		const json_t *w = json_array_get(want, i);

		if ((size_t)json_integer_value(json_array_get(w, 0)) != pm_utf8_count(g->out.text.data, g->out.spans[i].from) ||
		    (size_t)json_integer_value(json_array_get(w, 1)) != pm_utf8_count(g->out.text.data, g->out.spans[i].to))
			return false;
	}
	return true;
}

/* Runs cover the text without gaps, and say "message" only of messages there are. */
static bool sound(const struct pm_jinja_result *r, size_t nmessages)
{
	size_t i, at = 0;

	for (i = 0; i < r->nruns; i++) {
		if (r->runs[i].to <= at || r->runs[i].message >= (int32_t)nmessages || r->runs[i].turn >= (int32_t)nmessages || (r->runs[i].origin == PM_JINJA_MESSAGE && r->runs[i].message < 0))
			return false;
		at = r->runs[i].to;
	}
	return at == r->text.len;
}

static void row(struct golden *g, const json_t *want, int line)
{
	const char *text = json_string_value(json_object_get(want, "rendered")), *id = json_string_value(json_object_get(want, "conv"));
	const json_t *conv = conversation(g, id), *tools = json_object_get(conv, "tools");
	struct tm now = when();
	struct pm_jinja_opts o = {.now = &now};
	json_t *vars = json_copy(json_object_get(want, "kwargs"));
	struct pm_err e = {.text = ""};
	json_t *messages = pm_chat_messages(json_object_get(conv, "messages"), &e);
	bool good;
	int r;

	json_object_set_new(vars, "messages", messages);
	json_object_set_new(vars, "tools", tools ? json_incref((json_t *)(size_t)tools) : json_null());
	r = pm_jinja_render(g->t, vars, &o, &g->out, &e);
	good = text ? r == 0 && g->out.text.len == json_string_length(json_object_get(want, "rendered")) &&
	    !memcmp(g->out.text.data ? g->out.text.data : "", text, g->out.text.len) : r < 0;
	g->rows++;
	if (r == 0 && !sound(&g->out, json_array_size(messages)))
		good = false;
	if (!good && ++g->wrong <= 40) {
		printf("# row %d: %s, %s:\n#   %s\n", line, g->name, id, r < 0 ? e.text : "renders");
		if (text && r == 0) {
			size_t i;

			for (i = 0; text[i] && text[i] == g->out.text.data[i]; i++)
				;
			printf("#   at %zu wanted '%.60s'\n#   found '%.60s'\n", i, text + i, g->out.text.data + i);
		} else if (!text) {
			printf("#   wanted: %s\n", json_string_value(json_object_get(want, "error")));
		}
	}
	if (text && json_is_array(json_object_get(want, "generation_indices"))) {
		g->spans++;
		if (r == 0 && !same_spans(g, json_object_get(want, "generation_indices")) && ++g->wrong_spans <= 10)
			printf("# row %d: %s, %s: generation spans differ\n", line, g->name, id);
	}
	json_decref(vars);
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
	int i = 0;

	if (!path) {
		skip("golden data is not there");
		return;
	}
	snprintf(g.dir, sizeof g.dir, "%.*s", (int)(strrchr(path, '/') - path), path);
	g.convs = pm_json_file(golden_path("data/templates/conversations.json"), &e);
	f = fopen(path, "r");
	while (f && (n = getline(&line, &cap, f)) > 0) {
		json_t *want = json_loadb(line, (size_t)n, 0, NULL);

		i++;
		if (!json_object_get(want, "disputed")) {
			open_template(&g, json_string_value(json_object_get(want, "template_name")));
			if (g.t)
				row(&g, want, i);
		} else {
			g.disputed++;
		}
		json_decref(want);
	}
	check(f && g.rows > 0 && g.wrong == 0, "%d rows render as they should, or fail where they should; %d do not (%d are disputed)", g.rows, g.wrong,
	    g.disputed);
	check(g.spans > 0 && g.wrong_spans == 0, "%d rows have their generation spans; %d do not", g.spans, g.wrong_spans);
	if (f)
		fclose(f);
	free(line);
	pm_jinja_free(g.t);
	pm_jinja_result_free(&g.out);
	json_decref(g.convs);
}

/* --- small ones --- */

#define ALL "{\"a\": 1, \"f\": 1.5, \"big\": 1e+20, \"s\": \"Hello World\", \"u\": \"\303\234n\303\257c\303\266d\303\251 \303\237 \346\227\245\346\234\254\", \"l\": [3, 1, 2], \"d\": {\"b\": 2, \"a\": 1, \"items\": 5}, \"n\": null, \"t\": true, \"m\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"assistant\", \"content\": \"yo\", \"x\": {\"y\": [1, 2.0, null, true, \"q\\\"'\"]}}], \"e\": [], \"es\": \"\", \"neg\": -7, \"ws\": \"  \\n x y \\t\"}"

static void small(void)
{
	static const struct {
		const char *template, *variables, *want;        /* want NULL: an error */
	} rows[] = {
#include "jinja_rows.h"
	};
	struct pm_jinja_result out = {0};
	struct pm_err e;
	size_t i;
	int r;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		e.text[0] = 0;
		r = render(rows[i].template, rows[i].variables, &out, &e);
		if (!check(rows[i].want ? r == 0 && !strcmp(out.text.data ? out.text.data : "", rows[i].want) : r < 0 && e.status == PM_DATA, "%s",
		    rows[i].template[strcspn(rows[i].template, "\n#")] ? "a template of several lines" : rows[i].template))
			printf("# found: %s\n", r < 0 ? e.text : out.text.data ? out.text.data : "");
	}
	pm_jinja_result_free(&out);
}

static void errors(void)
{
	struct pm_jinja_result out = {0};
	struct pm_err e;

	check(render("a\n\n{{ raise_exception('no such thing') }}", "{}", &out, &e) < 0 && !strcmp(e.text, "t: line 3: no such thing"),
	    "an exception has the template's name, the line and the reason");
	check(render("a\n{% if x %}", "{}", &out, &e) < 0 && !strncmp(e.text, "t: line 2: ", 11), "so has a mistake in the template");
	check(render("{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}", "{}", &out, &e) < 0 && strstr(e.text, "steps"),
	    "steps are counted");
	check(render("{% set ns = namespace(s='aaaaaaaa') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}", "{}", &out, &e) < 0 &&
	    strstr(e.text, "memory"), "and bytes");
	check(render("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "{}", &out, &e) < 0 && strstr(e.text, "nests"), "and the depth of calls");
	pm_jinja_result_free(&out);
}

int main(void)
{
	small();
	errors();
	golden();
	return done();
}
