/* Methods of lists, dicts, loops and the like, and those of strings that ask what their characters are. */
#include <math.h>
#include <string.h>
#include <utf8proc.h>

#include "text/jinja_private.h"
#include "text/unicode.h"

#define METHOD(name) static int name(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, struct jj_val *out)

static int no_args(struct jj_exec *x, const char *function, const struct jj_args *a)
{
	return a->npos || a->nkw ? jj_fail(x, "%s takes no arguments", function) : 0;
}

/* --- what characters are --- */

static bool is_letter(uint32_t c)
{
	return (pm_uc(c) & PM_UC_LETTER) != 0;
}

/* Decimal digits; those of other kinds (²) are digits where `other`. */
static bool is_digit(uint32_t c, bool other)
{
	return utf8proc_category((utf8proc_int32_t)c) == UTF8PROC_CATEGORY_ND ||
	    (other && (c == 0xb2 || c == 0xb3 || c == 0xb9 || c == 0x2070 || (c >= 0x2074 && c <= 0x2079) || (c >= 0x2080 && c <= 0x2089)));
}

static bool decimal(uint32_t c) { return is_digit(c, false); }
static bool digit(uint32_t c) { return is_digit(c, true); }
static bool numeric(uint32_t c) { return (pm_uc(c) & PM_UC_NUMBER) != 0; }
static bool alnum(uint32_t c) { return is_letter(c) || numeric(c); }
static bool ascii(uint32_t c) { return c < 128; }

static bool space(uint32_t c)
{
	char buf[4];
	size_t n = pm_utf8_put(buf, c);

	return jj_space_at(buf, n) == n;
}

/* Whether every character is of a kind; of nothing, `empty`. */
static int all(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, const char *name, bool (*is)(uint32_t), bool empty,
    struct jj_val *out)
{
	bool yes = v->len || empty;
	size_t i, k;

	for (i = 0; yes && i < v->len; i += k)
		yes = is(pm_utf8_get(JJ_BYTES(v) + i, &k));
	*out = jj_bool(yes);
	return no_args(x, name, a);
}

METHOD(str_isalnum) { return all(x, v, a, "isalnum", alnum, false, out); }
METHOD(str_isalpha) { return all(x, v, a, "isalpha", is_letter, false, out); }
METHOD(str_isascii) { return all(x, v, a, "isascii", ascii, true, out); }
METHOD(str_isdecimal) { return all(x, v, a, "isdecimal", decimal, false, out); }
METHOD(str_isdigit) { return all(x, v, a, "isdigit", digit, false, out); }
METHOD(str_isnumeric) { return all(x, v, a, "isnumeric", numeric, false, out); }
METHOD(str_isprintable) { return all(x, v, a, "isprintable", jj_printable, true, out); }
METHOD(str_isspace) { return all(x, v, a, "isspace", space, false, out); }

static int asks_case(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, const char *name, struct jj_val *out)
{
	return no_args(x, name, a) < 0 ? -1 : jj_find_test(name + 2)->call(x, v, a, out);
}

METHOD(str_islower) { return asks_case(x, v, a, "islower", out); }
METHOD(str_isupper) { return asks_case(x, v, a, "isupper", out); }

METHOD(str_istitle)
{
	struct jj_val title, up, low;
	bool same, upper, lower;

	if (no_args(x, "istitle", a) < 0 || jj_title(x, v, true, &title) < 0 || jj_change_case(x, v, JJ_UPPER, &up) < 0 ||
	    jj_change_case(x, v, JJ_LOWER, &low) < 0 || jj_equal(x, v, &title, &same) < 0 || jj_equal(x, v, &up, &upper) < 0 ||
	    jj_equal(x, v, &low, &lower) < 0)
		return -1;
	*out = jj_bool(same && !(upper && lower));
	return 0;
}

METHOD(str_isidentifier)
{
	bool yes = v->len != 0;
	size_t i, k;

	for (i = 0; yes && i < v->len; i += k) {
		uint32_t c = pm_utf8_get(JJ_BYTES(v) + i, &k);

		yes = c == '_' || (i ? (pm_uc(c) & PM_UC_WORD) != 0 : is_letter(c));
	}
	*out = jj_bool(yes);
	return no_args(x, "isidentifier", a);
}

/* --- dicts --- */

METHOD(dict_get)
{
	struct jj_val arg[2], *got;

	if (jj_bind(x, "get", a, "key,default=", arg) < 0)
		return -1;
	if (arg[0].kind == JJ_DICT || (arg[0].kind == JJ_LIST && arg[0].shape != JJ_TUPLE))
		return jj_fail(x, "a %s cannot be a key", jj_type_name(&arg[0]));
	got = arg[0].kind == JJ_UNDEF ? NULL : jj_dict_get(x, v, &arg[0]);
	*out = got ? *got : arg[1].kind == JJ_ABSENT ? jj_none() : arg[1];
	return 0;
}

/* Keys, values, or pairs of both. */
static int view(struct jj_exec *x, const struct jj_val *v, const struct jj_args *a, enum jj_shape shape, struct jj_val *out)
{
	struct jj_val list, pair;
	uint32_t i;

	if (no_args(x, "keys, values, items", a) < 0 || jj_list(x, &list, v->d->n, shape) < 0)
		return -1;
	for (i = 0; i < v->d->n; i++) {
		if (shape == JJ_ITEMS) {
			if (jj_list(x, &pair, 2, JJ_TUPLE) < 0)
				return -1;
			*JJ_AT(&pair, 0) = v->d->keys[i];
			*JJ_AT(&pair, 1) = v->d->vals[i];
		}
		*JJ_AT(&list, i) = shape == JJ_KEYS ? v->d->keys[i] : shape == JJ_VALUES ? v->d->vals[i] : pair;
	}
	*out = list;
	return 0;
}

METHOD(dict_keys) { return view(x, v, a, JJ_KEYS, out); }
METHOD(dict_values) { return view(x, v, a, JJ_VALUES, out); }
METHOD(dict_items) { return view(x, v, a, JJ_ITEMS, out); }

METHOD(same_copy)
{
	*out = *v;
	return no_args(x, "copy", a);
}

/* --- lists --- */

METHOD(list_count)
{
	struct jj_val what;
	int64_t n = 0;
	uint32_t i;
	bool is;

	if (jj_bind(x, "count", a, "value", &what) < 0)
		return -1;
	for (i = 0; i < v->len; i++) {
		if (jj_equal(x, JJ_AT(v, i), &what, &is) < 0)
			return -1;
		n += is;
	}
	*out = jj_int(n);
	return 0;
}

METHOD(list_index)
{
	struct jj_val arg[3];
	int64_t bound[2] = {0, v->len}, i;
	bool is;

	if (jj_bind(x, "index", a, "value,start=,stop=", arg) < 0)
		return -1;
	for (i = 0; i < 2; i++) {
		if (arg[i + 1].kind == JJ_ABSENT)
			continue;
		if (jj_want_int(x, "index", &arg[i + 1], &bound[i]) < 0)
			return -1;
		bound[i] = bound[i] < -(int64_t)v->len ? 0 : bound[i] < 0 ? bound[i] + v->len : bound[i] > v->len ? v->len : bound[i];
	}
	for (i = bound[0]; i < bound[1]; i++) {
		if (jj_equal(x, JJ_AT(v, (size_t)i), &arg[0], &is) < 0)
			return -1;
		if (is) {
			*out = jj_int(i);
			return 0;
		}
	}
	return jj_fail(x, "index: %s is not in the list", jj_show(x, &arg[0]));
}

/* --- numbers, cyclers, loops --- */

METHOD(float_is_integer)
{
	*out = jj_bool(isfinite(v->f) && v->f == floor(v->f));
	return no_args(x, "is_integer", a);
}

METHOD(int_bit_length)
{
	uint64_t m = v->kind == JJ_BOOL ? v->b : v->i < 0 ? 0 - (uint64_t)v->i : (uint64_t)v->i;
	int64_t n = 0;

	for (; m; m >>= 1)
		n++;
	*out = jj_int(n);
	return no_args(x, "bit_length", a);
}

METHOD(cycler_next)
{
	struct jj_cycler *c = v->cycler;

	*out = c->v[c->at];
	c->at = (c->at + 1) % c->n;
	return no_args(x, "next", a);
}

METHOD(cycler_reset)
{
	v->cycler->at = 0;
	*out = jj_none();
	return no_args(x, "reset", a);
}

METHOD(loop_cycle)
{
	if (!a->npos || a->nkw)
		return jj_fail(x, "cycle: at least one item was wanted");
	*out = a->pos[v->loop->i % a->npos];
	return 0;
}

METHOD(loop_changed)
{
	struct jj_loop *l = v->loop;
	struct jj_val now;
	bool same = false;
	uint32_t i;

	if (a->nkw || jj_list(x, &now, a->npos, JJ_TUPLE) < 0)
		return a->nkw ? jj_fail(x, "changed takes no names") : -1;
	for (i = 0; i < a->npos; i++)
		*JJ_AT(&now, i) = a->pos[i];
	if (l->changed.kind != JJ_ABSENT && jj_equal(x, &l->changed, &now, &same) < 0)
		return -1;
	l->changed = now;
	*out = jj_bool(!same);
	return 0;
}

#define FIND(list, name) jj_find_builtin(list, sizeof (list) / sizeof *(list), name)

const struct jj_builtin *jj_find_method(const struct jj_val *v, const char *name)
{
	static const struct jj_builtin strings[] = {
		{"isalnum", str_isalnum}, {"isalpha", str_isalpha}, {"isascii", str_isascii}, {"isdecimal", str_isdecimal},
		{"isdigit", str_isdigit}, {"isidentifier", str_isidentifier}, {"islower", str_islower}, {"isnumeric", str_isnumeric},
		{"isprintable", str_isprintable}, {"isspace", str_isspace}, {"istitle", str_istitle}, {"isupper", str_isupper},
	};
	static const struct jj_builtin dicts[] = {
		{"copy", same_copy}, {"get", dict_get}, {"items", dict_items}, {"keys", dict_keys}, {"values", dict_values},
	};
	static const struct jj_builtin lists[] = {{"copy", same_copy}, {"count", list_count}, {"index", list_index}};
	static const struct jj_builtin tuples[] = {{"count", list_count}, {"index", list_index}};
	static const struct jj_builtin loops[] = {{"changed", loop_changed}, {"cycle", loop_cycle}};
	static const struct jj_builtin cyclers[] = {{"next", cycler_next}, {"reset", cycler_reset}};
	static const struct jj_builtin ints[] = {{"bit_length", int_bit_length}};
	static const struct jj_builtin floats[] = {{"is_integer", float_is_integer}};
	const struct jj_builtin *f;

	switch (v->kind) {
	case JJ_STR:
		f = FIND(strings, name);
		return f ? f : jj_find_str_method(name);
	case JJ_DICT:
		return FIND(dicts, name);
	case JJ_LIST:
		return v->shape == JJ_PLAIN ? FIND(lists, name) : v->shape == JJ_TUPLE || v->shape == JJ_RANGE ? FIND(tuples, name) : NULL;
	case JJ_LOOP:
		return FIND(loops, name);
	case JJ_CYCLER:
		return FIND(cyclers, name);
	case JJ_INT:
	case JJ_BOOL:
		return FIND(ints, name);
	case JJ_FLOAT:
		return FIND(floats, name);
	default:
		return NULL;
	}
}

bool jj_forbidden(const struct jj_val *v, const char *name)
{
	static const char *const dict[] = {"clear", "pop", "popitem", "setdefault", "update"};
	static const char *const list[] = {"append", "clear", "extend", "insert", "pop", "remove", "reverse", "sort"};
	size_t i;

	for (i = 0; v->kind == JJ_DICT && i < sizeof dict / sizeof *dict; i++)
		if (!strcmp(name, dict[i]))
			return true;
	for (i = 0; v->kind == JJ_LIST && v->shape == JJ_PLAIN && i < sizeof list / sizeof *list; i++)
		if (!strcmp(name, list[i]))
			return true;
	return false;
}
