/* A template (up to the first 0 byte) and the variables that it is given, as JSON (what follows; or some of every kind). */
#include "fuzz.h"
#include "text/jinja.h"

static const char jinja_variables[] = "{\"messages\":[{\"role\":\"user\",\"content\":\"hi \xc3\xa9\"},{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\"yo\"}],"
	"\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1.5,\"y\":[true,null,-3]}}}]}],\"tools\":null,\"bos_token\":\"<s>\","
	"\"add_generation_prompt\":true,\"s\":\"Hello World\",\"d\":{\"b\":2,\"a\":1},\"l\":[3,1,2]}";

static int parse_jinja(const uint8_t *data, size_t size, struct pm_err *e)
{
	struct two in = split(data, size);
	struct tm now = {.tm_year = 126, .tm_mday = 15};
	struct pm_jinja_opts o = {.now = &now, .steps = 20000, .memory = 4 << 20};
	struct pm_jinja_result out = {0};
	struct pm_jinja *t;
	json_t *vars;
	size_t i, at = 0;
	int r = pm_jinja_new(&t, in.a, in.na, "template", e);

	if (r < 0)
		return -1;
	vars = in.nb ? pm_json_parse(in.b, in.nb, "variables", e) : pm_json_parse(jinja_variables, sizeof jinja_variables - 1, "variables", e);
	r = vars ? pm_jinja_render(t, vars, &o, &out, e) : -1;
	for (i = 0; r == 0 && i < out.nruns; i++) {
		must(out.runs[i].to > at);
		at = out.runs[i].to;
	}
	must(r < 0 || at == out.text.len);
	for (i = 0; r == 0 && i < out.nspans; i++)
		must(out.spans[i].from <= out.spans[i].to && out.spans[i].to <= out.text.len);
	pm_jinja_result_free(&out);
	pm_jinja_free(t);
	json_decref(vars);
	return r;
}

FUZZ(parse_jinja)
