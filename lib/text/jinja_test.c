#include <string.h>

#include "text/jinja_private.h"
#include "text/unicode.h"

#define TEST(name) static int name(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, struct jj_val *out)

/* A test without arguments. */
static int none_of(struct jj_exec *x, const struct jj_args *a, const char *name, bool is, struct jj_val *out)
{
	*out = jj_bool(is);
	return a->npos || a->nkw ? jj_fail(x, "test %s takes no arguments", name) : 0;
}

#define PLAIN(function, name, is) TEST(function) { return none_of(x, a, name, is, out); }

PLAIN(test_boolean, "boolean", v->kind == JJ_BOOL)
PLAIN(test_callable, "callable", v->kind == JJ_FUNC || v->kind == JJ_MACRO || v->kind == JJ_LOOP || v->kind == JJ_JOINER || v->kind == JJ_UNDEF)
PLAIN(test_defined, "defined", v->kind != JJ_UNDEF)
PLAIN(test_escaped, "escaped", v->kind == JJ_STR && v->safe)
PLAIN(test_false, "false", v->kind == JJ_BOOL && !v->b)
PLAIN(test_float, "float", v->kind == JJ_FLOAT)
PLAIN(test_integer, "integer", v->kind == JJ_INT || v->kind == JJ_BIG)
PLAIN(test_iterable, "iterable", jj_iterable(v) || v->kind == JJ_LOOP)
PLAIN(test_mapping, "mapping", v->kind == JJ_DICT)
PLAIN(test_none, "none", v->kind == JJ_NONE)
PLAIN(test_number, "number", jj_is_number(v))
PLAIN(test_sequence, "sequence", v->kind == JJ_STR || v->kind == JJ_DICT || v->kind == JJ_UNDEF || (v->kind == JJ_LIST && v->shape <= JJ_RANGE))
PLAIN(test_string, "string", v->kind == JJ_STR)
PLAIN(test_true, "true", v->kind == JJ_BOOL && v->b)
PLAIN(test_undefined, "undefined", v->kind == JJ_UNDEF)

/* str(v).islower(), or isupper(): some letter, and none of the other case. */
static int letters(struct jj_exec *x, const struct jj_val *v, enum jj_case how, struct jj_val *out)
{
	struct jj_val s, changed, other;
	bool same, differs;

	if (jj_to_str(x, &s, v) < 0 || jj_change_case(x, &s, how, &changed) < 0 ||
	    jj_change_case(x, &s, how == JJ_LOWER ? JJ_UPPER : JJ_LOWER, &other) < 0 || jj_equal(x, &s, &changed, &same) < 0 ||
	    jj_equal(x, &s, &other, &differs) < 0)
		return -1;
	*out = jj_bool(same && !differs);
	return 0;
}

TEST(test_lower)
{
	return none_of(x, a, "lower", false, out) < 0 ? -1 : letters(x, v, JJ_LOWER, out);
}

TEST(test_upper)
{
	return none_of(x, a, "upper", false, out) < 0 ? -1 : letters(x, v, JJ_UPPER, out);
}

static int divided(struct jj_exec *x, const struct jj_val *v, const struct jj_val *by, int64_t rest, struct jj_val *out)
{
	struct jj_val r, want = jj_int(rest);
	bool is;

	if (jj_binary(x, JO_MOD, v, by, &r) < 0 || jj_equal(x, &r, &want, &is) < 0)
		return -1;
	*out = jj_bool(is);
	return 0;
}

TEST(test_divisibleby)
{
	struct jj_val by;

	return jj_bind(x, "test divisibleby", a, "num", &by) < 0 ? -1 : divided(x, v, &by, 0, out);
}

TEST(test_even)
{
	struct jj_val two = jj_int(2);

	return none_of(x, a, "even", false, out) < 0 ? -1 : divided(x, v, &two, 0, out);
}

TEST(test_odd)
{
	struct jj_val two = jj_int(2);

	return none_of(x, a, "odd", false, out) < 0 ? -1 : divided(x, v, &two, 1, out);
}

static int comparison(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, enum jj_op op, struct jj_val *out)
{
	struct jj_val with;
	bool is;

	if (jj_bind(x, "the test", a, "other", &with) < 0 || jj_compare(x, op, v, &with, &is) < 0)
		return -1;
	*out = jj_bool(is);
	return 0;
}

TEST(test_eq) { return comparison(x, v, a, JO_EQ, out); }
TEST(test_ne) { return comparison(x, v, a, JO_NE, out); }
TEST(test_lt) { return comparison(x, v, a, JO_LT, out); }
TEST(test_le) { return comparison(x, v, a, JO_LE, out); }
TEST(test_gt) { return comparison(x, v, a, JO_GT, out); }
TEST(test_ge) { return comparison(x, v, a, JO_GE, out); }
TEST(test_in) { return comparison(x, v, a, JO_IN, out); }

TEST(test_sameas)
{
	struct jj_val other;

	if (jj_bind(x, "test sameas", a, "other", &other) < 0)
		return -1;
	*out = jj_bool(v->kind == other.kind && (v->kind == JJ_NONE || (v->kind == JJ_BOOL && v->b == other.b) ||
	    (v->kind == JJ_INT && v->i == other.i) || (v->kind != JJ_BOOL && v->kind != JJ_INT && v->s == other.s && v->from == other.from &&
	    v->len == other.len)));
	return 0;
}

static int exists(struct jj_exec *x, const struct jj_val *v, const struct jj_builtin *(*find)(const char *), struct jj_val *out)
{
	char name[40] = "";

	if (v->kind != JJ_STR)
		return jj_fail(x, "a name was wanted");
	if (v->len < sizeof name)
		memcpy(name, JJ_BYTES(v), v->len);
	*out = jj_bool(find(name) != NULL);
	return 0;
}

TEST(test_filter)
{
	return none_of(x, a, "filter", false, out) < 0 ? -1 : exists(x, v, jj_find_filter, out);
}

TEST(test_test)
{
	return none_of(x, a, "test", false, out) < 0 ? -1 : exists(x, v, jj_find_test, out);
}

const struct jj_builtin *jj_find_test(const char *name)
{
	static const struct jj_builtin tests[] = {
		{"boolean", test_boolean}, {"callable", test_callable}, {"defined", test_defined}, {"divisibleby", test_divisibleby},
		{"eq", test_eq}, {"equalto", test_eq}, {"escaped", test_escaped}, {"even", test_even}, {"false", test_false},
		{"filter", test_filter}, {"float", test_float}, {"ge", test_ge}, {"greaterthan", test_gt}, {"gt", test_gt}, {"in", test_in},
		{"integer", test_integer}, {"iterable", test_iterable}, {"le", test_le}, {"lessthan", test_lt}, {"lower", test_lower},
		{"lt", test_lt}, {"mapping", test_mapping}, {"ne", test_ne}, {"none", test_none}, {"number", test_number}, {"odd", test_odd},
		{"sameas", test_sameas}, {"sequence", test_sequence}, {"string", test_string}, {"test", test_test}, {"true", test_true},
		{"undefined", test_undefined}, {"upper", test_upper},
	};
	static const struct jj_builtin signs[] = {
		{"!=", test_ne}, {"<", test_lt}, {"<=", test_le}, {"==", test_eq}, {">", test_gt}, {">=", test_ge},
	};

	return (unsigned char)*name < 'A' ? jj_find_builtin(signs, sizeof signs / sizeof *signs, name) :
	    jj_find_builtin(tests, sizeof tests / sizeof *tests, name);
}
