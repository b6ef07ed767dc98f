#include <math.h>
#include <string.h>

#include "text/jinja_private.h"
#include "text/unicode.h"

bool jj_truth(const struct jj_val *v)
{
	switch (v->kind) {
	case JJ_ABSENT:
	case JJ_UNDEF:
	case JJ_NONE:
		return false;
	case JJ_BOOL:
		return v->b;
	case JJ_INT:
		return v->i != 0;
	case JJ_FLOAT:
		return v->f != 0;
	case JJ_STR:
		return v->len != 0;
	case JJ_LIST:
		return v->shape == JJ_GEN || v->len != 0;
	case JJ_DICT:
		return v->d->n != 0;
	default:
		return true;
	}
}

bool jj_is_int(const struct jj_val *v)
{
	return v->kind == JJ_INT || v->kind == JJ_BIG || v->kind == JJ_BOOL;
}

bool jj_is_number(const struct jj_val *v)
{
	return jj_is_int(v) || v->kind == JJ_FLOAT;
}

double jj_number(const struct jj_val *v)
{
	return v->kind == JJ_FLOAT ? v->f : v->kind == JJ_BIG ? jj_big_float(v) : v->kind == JJ_BOOL ? (double)v->b : (double)v->i;
}

int jj_undefined(struct jj_exec *x, const struct jj_val *v)
{
	const struct jj_undef *u = v->u;
	const char *type;

	if (u->hint)
		return jj_fail(x, "%s", u->hint);
	if (u->obj.kind == JJ_ABSENT)
		return jj_fail(x, "%s is undefined", jj_show(x, &u->name));
	type = u->obj.kind == JJ_NONE ? "None" : jj_type_name(&u->obj);
	return u->name.kind == JJ_STR ? jj_fail(x, "a %s has no attribute %s", type, jj_show(x, &u->name)) :
	    jj_fail(x, "a %s has no element %s", type, jj_show(x, &u->name));
}

static int unsupported(struct jj_exec *x, const char *op, const struct jj_val *a, const struct jj_val *b)
{
	if (a->kind == JJ_UNDEF || b->kind == JJ_UNDEF)
		return jj_undefined(x, a->kind == JJ_UNDEF ? a : b);
	return jj_fail(x, "%s of %s and %s", op, jj_type_name(a), jj_type_name(b));
}

/* --- arithmetic --- */

static int64_t whole(const struct jj_val *v)
{
	return v->kind == JJ_BOOL ? v->b : v->i;
}

static int int_binary(struct jj_exec *x, enum jj_op op, const struct jj_val *a, const struct jj_val *b, struct jj_val *out)
{
	int64_t i, j, r = 0;
	bool over = true;

	if (op == JO_DIV) {
		double d = jj_number(b), q = d == 0 ? 0 : jj_number(a) / d;

		if (d == 0 || isinf(q))
			return jj_fail(x, d == 0 ? "division by zero" : "the quotient is too large for a float");
		*out = jj_float(q);
		return 0;
	}
	if (op == JO_POW && b->kind != JJ_BIG && whole(b) < 0) {
		if (!jj_truth(a))
			return jj_fail(x, "zero to a negative power");
		*out = jj_float(pow(jj_number(a), (double)whole(b)));
		return 0;
	}
	if ((op == JO_FLOORDIV || op == JO_MOD) && b->kind != JJ_BIG && whole(b) == 0)
		return jj_fail(x, "division by zero");
	if (a->kind == JJ_BIG || b->kind == JJ_BIG || op == JO_POW)
		return jj_big_binary(x, op, a, b, out);
	i = whole(a);
	j = whole(b);
	if (op == JO_ADD)
		over = __builtin_add_overflow(i, j, &r);
	else if (op == JO_SUB)
		over = __builtin_sub_overflow(i, j, &r);
	else if (op == JO_MUL)
		over = __builtin_mul_overflow(i, j, &r);
	else if (!(i == INT64_MIN && j == -1)) {
		over = false;
		r = i % j;
		if (r && (r < 0) != (j < 0))
			r += j;
		if (op == JO_FLOORDIV)
			r = (i - r) / j;        /* i − r: towards zero or exact, never beyond */
	}
	if (over)
		return jj_big_binary(x, op, a, b, out);
	*out = jj_int(r);
	return 0;
}

static int float_binary(struct jj_exec *x, enum jj_op op, double a, double b, struct jj_val *out)
{
	double r;

	if ((op == JO_DIV || op == JO_FLOORDIV || op == JO_MOD) && b == 0)
		return jj_fail(x, "division by zero");
	switch (op) {
	case JO_ADD:
		r = a + b;
		break;
	case JO_SUB:
		r = a - b;
		break;
	case JO_MUL:
		r = a * b;
		break;
	case JO_DIV:
		r = a / b;
		break;
	case JO_POW:
		if ((a == 0 && b < 0) || (a < 0 && isfinite(b) && b != floor(b)))
			return jj_fail(x, a == 0 ? "zero to a negative power" : "a negative number to a power that is not whole");
		r = pow(a, b);
		if (isinf(r) && isfinite(a) && isfinite(b))
			return jj_fail(x, "the power is too large for a float");
		break;
	default:
		r = fmod(a, b);
		if (r != 0 && (r < 0) != (b < 0))
			r += b;
		else if (r == 0)
			r = copysign(0, b);
		if (op == JO_FLOORDIV) {
			double q = (a - r) / b, f = floor(q);

			r = q == 0 ? copysign(0, a / b) : q - f > 0.5 ? f + 1 : f;
		}
		break;
	}
	*out = jj_float(r);
	return 0;
}

/* A string or a list n times. */
static int repeat(struct jj_exec *x, const struct jj_val *v, int64_t n, struct jj_val *out)
{
	int64_t i;

	n = n < 0 ? 0 : n;
	if (v->len && n > UINT32_MAX / v->len)
		return jj_fail(x, "%lld times a %s of %u is too much", (long long)n, jj_type_name(v), v->len);
	if (v->kind == JJ_STR) {
		if (jj_str_begin(x, out) < 0)
			return -1;
		out->safe = v->safe;
		for (i = 0; v->len && i < n; i++)
			if (jj_steps(x, 1) < 0 || jj_add(x, out, v) < 0)
				return -1;
		return 0;
	}
	if (jj_list(x, out, (size_t)n * v->len, (enum jj_shape)v->shape) < 0)
		return -1;
	for (i = 0; v->len && i < n; i++)
		memcpy(JJ_AT(out, (size_t)i * v->len), JJ_AT(v, 0), v->len * sizeof *out);
	return 0;
}

static int add_strings(struct jj_exec *x, const struct jj_val *a, const struct jj_val *b, struct jj_val *out)
{
	struct jj_val sum;

	if (a->safe || b->safe) {
		if (jj_str_begin(x, &sum) < 0 || jj_put_escaped(x, &sum, a) < 0 || jj_put_escaped(x, &sum, b) < 0)
			return -1;
		sum.safe = true;
		*out = sum;
		return 0;
	}
	sum = *a;
	if (jj_add(x, &sum, b) < 0)
		return -1;
	*out = sum;
	return 0;
}

static bool is_seq(const struct jj_val *v)
{
	return v->kind == JJ_LIST && (v->shape == JJ_PLAIN || v->shape == JJ_TUPLE);
}

int jj_binary(struct jj_exec *x, enum jj_op op, const struct jj_val *a, const struct jj_val *b, struct jj_val *out)
{
	static const char *const names[] = {"sum", "difference", "product", "quotient", "whole quotient", "remainder", "power"};
	struct jj_val sum;
	uint32_t i;

	if (jj_is_number(a) && jj_is_number(b))
		return jj_is_int(a) && jj_is_int(b) ? int_binary(x, op, a, b, out) : float_binary(x, op, jj_number(a), jj_number(b), out);
	if (op == JO_ADD && a->kind == JJ_STR && b->kind == JJ_STR)
		return add_strings(x, a, b, out);
	if (op == JO_ADD && is_seq(a) && is_seq(b) && a->shape == b->shape) {
		sum = *a;
		if (jj_steps(x, b->len) < 0)
			return -1;
		for (i = 0; i < b->len; i++)
			if (jj_list_add(x, &sum, JJ_AT(b, i)) < 0)
				return -1;
		*out = sum;
		return 0;
	}
	if (op == JO_MOD && a->kind == JJ_STR)
		return jj_percent(x, a, b, out);
	if (op == JO_MUL && (a->kind == JJ_STR || is_seq(a)) && jj_is_int(b) && b->kind != JJ_BIG)
		return repeat(x, a, whole(b), out);
	if (op == JO_MUL && (b->kind == JJ_STR || is_seq(b)) && jj_is_int(a) && a->kind != JJ_BIG)
		return repeat(x, b, whole(a), out);
	return unsupported(x, names[op], a, b);
}

int jj_negate(struct jj_exec *x, const struct jj_val *v, struct jj_val *out)
{
	if (v->kind == JJ_FLOAT)
		*out = jj_float(-v->f);
	else if (v->kind == JJ_BIG || (v->kind == JJ_INT && v->i == INT64_MIN))
		return jj_big_negate(x, v, out);
	else if (jj_is_int(v))
		*out = jj_int(-whole(v));
	else
		return v->kind == JJ_UNDEF ? jj_undefined(x, v) : jj_fail(x, "a %s has no negative", jj_type_name(v));
	return 0;
}

/* --- comparison --- */

/* −1, 0, 1; 2 where one is no number (nan). */
static int order(const struct jj_val *a, const struct jj_val *b)
{
	if (jj_is_int(a) && jj_is_int(b)) {
		if (a->kind == JJ_BIG || b->kind == JJ_BIG)
			return jj_big_compare(a, b);
		return (whole(a) > whole(b)) - (whole(a) < whole(b));
	}
	/* a long double holds every int64 and every double */
	long double p = a->kind == JJ_INT ? (long double)a->i : (long double)jj_number(a);
	long double q = b->kind == JJ_INT ? (long double)b->i : (long double)jj_number(b);

	return isnan(p) || isnan(q) ? 2 : (p > q) - (p < q);
}

static int lists_equal(struct jj_exec *x, const struct jj_val *a, const struct jj_val *b, bool *out)
{
	uint32_t i;

	*out = a->shape == b->shape && a->len == b->len;
	if (a->shape > JJ_RANGE) {
		*out = *out && a->l == b->l;
		return 0;
	}
	for (i = 0; *out && i < a->len; i++)
		if (jj_equal(x, JJ_AT(a, i), JJ_AT(b, i), out) < 0)
			return -1;
	return 0;
}

static int dicts_equal(struct jj_exec *x, const struct jj_val *a, const struct jj_val *b, bool *out)
{
	const struct jj_val *v;
	uint32_t i;

	*out = a->d->n == b->d->n;
	for (i = 0; *out && i < a->d->n; i++) {
		v = jj_dict_get(x, b, &a->d->keys[i]);
		*out = v != NULL;
		if (v && jj_equal(x, &a->d->vals[i], v, out) < 0)
			return -1;
	}
	return 0;
}

int jj_equal(struct jj_exec *x, const struct jj_val *a, const struct jj_val *b, bool *out)
{
	int r = 0;

	if (jj_enter(x) < 0)
		return -1;
	if (jj_is_number(a) && jj_is_number(b))
		*out = order(a, b) == 0;
	else if (a->kind != b->kind)
		*out = false;
	else if (a->kind == JJ_STR)
		*out = a->len == b->len && !memcmp(JJ_BYTES(a), JJ_BYTES(b), a->len);
	else if (a->kind == JJ_LIST)
		r = lists_equal(x, a, b, out);
	else if (a->kind == JJ_DICT)
		r = dicts_equal(x, a, b, out);
	else
		*out = a->kind == JJ_NONE || a->kind == JJ_UNDEF || (a->kind == JJ_FUNC ? a->fn->f == b->fn->f : a->s == b->s);
	x->depth--;
	return r;
}

int jj_less(struct jj_exec *x, const struct jj_val *a, const struct jj_val *b, const char *op, bool *out)
{
	uint32_t i, n;
	bool same = true;
	int k;

	*out = false;
	if (jj_is_number(a) && jj_is_number(b)) {
		*out = order(a, b) == -1;
		return 0;
	}
	if (a->kind == JJ_STR && b->kind == JJ_STR) {
		n = a->len < b->len ? a->len : b->len;
		k = memcmp(JJ_BYTES(a), JJ_BYTES(b), n);
		*out = k < 0 || (k == 0 && a->len < b->len);
		return 0;
	}
	if (!is_seq(a) || !is_seq(b) || a->shape != b->shape) {
		if (a->kind == JJ_UNDEF || b->kind == JJ_UNDEF)
			return jj_undefined(x, a->kind == JJ_UNDEF ? a : b);
		return jj_fail(x, "'%s' compares %s and %s", op, jj_type_name(a), jj_type_name(b));
	}
	if (jj_enter(x) < 0)
		return -1;
	for (i = 0; i < a->len && i < b->len; i++) {
		if (jj_equal(x, JJ_AT(a, i), JJ_AT(b, i), &same) < 0)
			return -1;
		if (!same)
			break;
	}
	x->depth--;
	if (i < a->len && i < b->len)
		return jj_less(x, JJ_AT(a, i), JJ_AT(b, i), op, out);
	*out = a->len < b->len;
	return 0;
}

int jj_contains(struct jj_exec *x, const struct jj_val *in, const struct jj_val *what, bool *out)
{
	struct jj_val list;
	uint32_t i;

	*out = false;
	if (in->kind == JJ_STR) {
		if (what->kind != JJ_STR)
			return jj_fail(x, "'in' asks whether a str contains a %s", jj_type_name(what));
		*out = jj_find(in, what, 0, in->len) != SIZE_MAX;
		return jj_steps(x, in->len / 64);
	}
	if (in->kind == JJ_DICT) {
		x->e->status = PM_DONE;
		*out = jj_dict_get(x, in, what) != NULL;
		return !*out && x->e->status != PM_DONE ? -1 : 0;
	}
	if (!jj_iterable(in))
		return jj_fail(x, "'in' asks whether a %s contains something", in->kind == JJ_NONE ? "None" : jj_type_name(in));
	if (jj_items(x, in, &list) < 0)
		return -1;
	for (i = 0; !*out && i < list.len; i++)
		if (jj_equal(x, JJ_AT(&list, i), what, out) < 0)
			return -1;
	return 0;
}

int jj_compare(struct jj_exec *x, enum jj_op op, const struct jj_val *a, const struct jj_val *b, bool *out)
{
	bool numbers = jj_is_number(a) && jj_is_number(b);
	int r;

	switch (op) {
	case JO_EQ:
		return jj_equal(x, a, b, out);
	case JO_NE:
		r = jj_equal(x, a, b, out);
		*out = !*out;
		return r;
	case JO_LT:
		return jj_less(x, a, b, "<", out);
	case JO_GT:
		return jj_less(x, b, a, ">", out);
	case JO_LE:
	case JO_GE:
		r = op == JO_LE ? jj_less(x, b, a, "<=", out) : jj_less(x, a, b, ">=", out);
		*out = !*out && !(numbers && order(a, b) == 2);
		return r;
	default:
		r = jj_contains(x, b, a, out);
		*out = *out != (op == JO_NOTIN);
		return r;
	}
}

/* --- going through --- */

bool jj_iterable(const struct jj_val *v)
{
	return v->kind == JJ_LIST || v->kind == JJ_STR || v->kind == JJ_DICT || v->kind == JJ_UNDEF;
}

int jj_length(struct jj_exec *x, const struct jj_val *v, int64_t *n)
{
	if (v->kind == JJ_STR)
		*n = (int64_t)pm_utf8_count(JJ_BYTES(v), v->len);
	else if (v->kind == JJ_LIST && v->shape != JJ_GEN)
		*n = v->len;
	else if (v->kind == JJ_DICT)
		*n = v->d->n;
	else if (v->kind == JJ_UNDEF)
		*n = 0;
	else if (v->kind == JJ_LOOP)
		*n = v->loop->n;
	else
		return jj_fail(x, "a %s has no length", jj_type_name(v));
	return 0;
}

int jj_items(struct jj_exec *x, const struct jj_val *v, struct jj_val *list)
{
	size_t i, at, next;

	switch (v->kind) {
	case JJ_LIST:
		*list = *v;
		list->shape = JJ_PLAIN;
		if (v->shape == JJ_GEN) {
			list->from += v->l->at;
			list->len -= v->l->at;
			v->l->at = v->l->used;
		}
		return 0;
	case JJ_DICT:
		if (jj_list(x, list, v->d->n, JJ_PLAIN) < 0)
			return -1;
		if (v->d->n)
			memcpy(list->l->v, v->d->keys, v->d->n * sizeof *list);
		return 0;
	case JJ_STR:
		if (jj_list(x, list, pm_utf8_count(JJ_BYTES(v), v->len), JJ_PLAIN) < 0)
			return -1;
		for (i = 0, at = 0; at < v->len; i++, at = next) {
			next = jj_next(v, at);
			*JJ_AT(list, i) = jj_cut(v, at, next);
		}
		return 0;
	case JJ_UNDEF:
		return jj_list(x, list, 0, JJ_PLAIN);
	default:
		return jj_fail(x, "a %s cannot be gone through", v->kind == JJ_NONE ? "None" : jj_type_name(v));
	}
}
