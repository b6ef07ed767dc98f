/* lib/base/json and jq: what is refused, what is kept. */
#include "base/json.h"

#include <string.h>

#include "base/jq.h"
#include "tap.h"

static struct pm_err e;

static json_t *parse(const char *text)
{
	return pm_json_parse(text, strlen(text), "x", &e);
}

static void refused(const char *text, const char *where, const char *why)
{
	json_t *v = parse(text);

	check(!v && e.status == PM_DATA && strstr(e.text, where), "refused: %s (%s)", why, v ? "accepted" : e.text);
	json_decref(v);
}

static void strict(void)
{
	refused("{\"a\":1,\n \"a\":2}", "x: line 2", "a key twice");
	refused("{\"a\":\"\xff\"}", "x: line 1", "invalid UTF-8");
	refused("{\"a\":\"\xc0\xaf\"}", "x: line 1", "an overlong character");
	refused("\"\xed\xa0\x80\"", "x: line 1", "a surrogate in UTF-8");
	refused("\"\\ud800\"", "x: line 1", "half a pair of surrogates");
	refused("{\n\"a\": 1,\n}", "x: line 3", "a comma too many");
	refused("{\"a\":1} {}", "x: line 1", "something behind the value");
	refused("{\"a\":NaN}", "x: line 1", "NaN");
	refused("{\"a\":01}", "x: line 1", "a leading zero");
	refused("{\"a\":1e999}", "x: line 1", "a real that no double holds");
	refused("{\"a\":12345678901234567890,\n\"b\":1e999}", "x: line 2", "the same behind a long number");
	refused("{\"a\":12345678901234567890,\n\"b\":}", "x: line 2", "an error behind a long number, in its line");
	refused("", "x: line", "nothing");
	refused("'a'", "x: line 1", "single quotes");
	refused("{\"a\":\"b\nc\"}", "x: line 1", "a raw newline in a string");
}

static void numbers(void)
{
	struct { const char *text; double want; } rows[] = {
		{"{\"n\":1000000000000000019884624838656}", 1e30}, {"{\"n\":-9223372036854775809}", -9223372036854775808.0},
		{"{\"s\":\"\\\"12345678901234567890\",\"n\":12345678901234567890}", 12345678901234567890.0},
		{"{\"n\":[1,12345678901234567890e1,-3,1.5e-3]}", 0},
	};
	const char *again = "{\"a\":9223372036854775807,\"b\":-9223372036854775808,\"c\":0.1,\"d\":1e-05,\"z\":[],\"y\":{\"k\":null}}";
	struct pm_str s = {0};
	size_t i;
	json_t *v;
	double d;

	for (i = 0; i < sizeof rows / sizeof *rows; i++) {
		v = parse(rows[i].text);
		d = 0;
		check(v && (!rows[i].want || (pm_json_real(&d, v, "n", &e) == 0 && d == rows[i].want)), "long number in %s", rows[i].text);
		json_decref(v);
	}
	v = parse(again);
	check(v && pm_json_text(&s, v, &e) == 0 && strstr(s.data, "9223372036854775807,\"b\":-9223372036854775808"), "int64 stays exact: %s", s.data);
	json_decref(v);
	v = s.data ? parse(s.data) : NULL;
	check(v && json_real_value(json_object_get(v, "c")) == 0.1 && json_real_value(json_object_get(v, "d")) == 1e-05 && strstr(s.data, "\"z\":[],\"y\""),
		"text and back: the same doubles, in the same order");
	json_decref(v);
	pm_str_free(&s);
}

static void members(void)
{
	json_t *v = parse("{\"i\":8192,\"f\":8192.0,\"r\":0.5,\"t\":true,\"s\":\"x\",\"n\":null,\"big\":1e300}");
	int64_t i = -7;
	double d = -7;
	bool b = false;
	const char *s = "kept";

	check(pm_json_int(&i, v, "i", &e) == 0 && i == 8192, "an integer");
	i = 0;
	check(pm_json_int(&i, v, "f", &e) == 0 && i == 8192, "an integer written as a float");
	check(pm_json_int(&i, v, "n", &e) == 1 && pm_json_int(&i, v, "none", &e) == 1 && i == 8192, "null and absent: 1, and nothing is changed");
	check(pm_json_int(&i, v, "r", &e) < 0 && strstr(e.text, "'r': an integer was wanted"), "half a number is no integer");
	check(pm_json_int(&i, v, "big", &e) < 0 && pm_json_int(&i, v, "s", &e) < 0 && pm_json_int(&i, v, "t", &e) < 0, "nor 1e300, a string, true");
	check(pm_json_real(&d, v, "r", &e) == 0 && d == 0.5 && pm_json_real(&d, v, "i", &e) == 0 && d == 8192 && pm_json_real(&d, v, "s", &e) < 0, "reals");
	check(pm_json_bool(&b, v, "t", &e) == 0 && b && pm_json_bool(&b, v, "i", &e) < 0, "booleans");
	check(pm_json_str(&s, v, "none", &e) == 1 && !strcmp(s, "kept") && pm_json_str(&s, v, "s", &e) == 0 && !strcmp(s, "x") && pm_json_str(&s, v, "i", &e) < 0,
		"strings");
	json_decref(v);
}

static int jq(const char *program, const char *in, const char *args, const char *want)
{
	json_t *v = in ? parse(in) : NULL, *a = args ? parse(args) : NULL, *out = NULL;
	struct pm_str s = {0};
	struct pm_jq *q = NULL;
	int r = pm_jq_new(&q, program, "prog", a, &e);

	if (r == 0)
		r = pm_jq_run(q, v, &out, &e);
	if (r == 0)
		r = pm_json_text(&s, out, &e);
	if (r == 0 && strcmp(s.data, want)) {
		pm_fail(&e, PM_DATA, "%s", s.data);
		r = 1;
	}
	json_decref(out);
	json_decref(v);
	json_decref(a);
	pm_str_free(&s);
	pm_jq_free(q);
	return r;
}

static void programs(void)
{
	struct pm_jq *q = NULL;
	json_t *v = parse("{\"a\":[1,2]}"), *out;
	int i, r = 0;

	check(jq(".a[] | . + 1", "{\"a\":[1,2]}", NULL, "[2,3]") == 0, "every result");
	check(jq("empty", "1", NULL, "[]") == 0, "no result");
	check(jq("$x + .", "1", "{\"x\":5}", "[6]") == 0, "variables");
	check(jq(".", "{\"b\":\"\\u00e9\\u0000\",\"a\":null}", NULL, "[{\"b\":\"\xc3\xa9\\u0000\",\"a\":null}]") == 0, "strings and order pass through");
	check(jq(". * 10", "1e18", NULL, "[1e19]") == 0, "a number that no int64 holds (%s)", e.text);
	check(jq("error(\"no such thing\")", "1", NULL, "") < 0 && e.status == PM_DATA && !strcmp(e.text, "prog: no such thing"), "an error has its own words");
	check(jq("error({a: 1})", "1", NULL, "") < 0 && strstr(e.text, "{\"a\":1}"), "or its JSON");
	check(jq(".a +", "1", NULL, "") < 0 && e.status == PM_DATA && strstr(e.text, "prog: ") && !strchr(e.text, '\n'), "not a program: %s", e.text);
	check(jq("1, halt", "1", NULL, "") < 0 && strstr(e.text, "halted"), "a program that halts is an error");
	check(jq(".a.b", "{\"a\":[1]}", NULL, "") < 0 && e.status == PM_DATA, "a wrong access is one: %s", e.text);
	r = pm_jq_new(&q, "if . == 1 then error(\"x\") else .a[0] end", "prog", NULL, &e);
	for (i = 0; r == 0 && i < 3; i++) {
		json_t *one = json_integer(1);

		r = pm_jq_run(q, one, &out, &e) == 0;
		json_decref(one);
		if (r == 0)
			r = pm_jq_run(q, v, &out, &e);
		if (r == 0) {
			r = json_integer_value(json_array_get(out, 0)) != 1;
			json_decref(out);
		}
	}
	check(r == 0, "a program can be run again, also after an error");
	pm_jq_free(q);
	json_decref(v);
}

int main(void)
{
	strict();
	numbers();
	members();
	programs();
	return done();
}
