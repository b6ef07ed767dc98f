#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja_private.h"

#define BASE 1000000000u
#define DIGITS 5000             /* an integer has at most nine times as many decimal ones */

static struct jj_big *new(struct jj_exec *x, size_t n)
{
	if (n > DIGITS) {
		jj_fail(x, "an integer has more than %d digits", 9 * DIGITS);
		return NULL;
	}
	return jj_steps(x, n) < 0 ? NULL : jj_alloc(x, 1, sizeof(struct jj_big) + (n + 1) * sizeof(uint32_t));
}

static void trim(struct jj_big *b)
{
	while (b->n && !b->digit[b->n - 1])
		b->n--;
}

static const struct jj_big *of(struct jj_exec *x, const struct jj_val *v)
{
	struct jj_big *b;
	uint64_t m;

	if (v->kind == JJ_BIG)
		return v->big;
	b = new(x, 3);
	if (!b)
		return NULL;
	if (v->kind == JJ_BOOL) {
		m = v->b;
	} else {
		b->negative = v->i < 0;
		m = v->i < 0 ? 0 - (uint64_t)v->i : (uint64_t)v->i;
	}
	for (; m; m /= BASE)
		b->digit[b->n++] = (uint32_t)(m % BASE);
	return b;
}

/* The value, as a plain integer where 64 bits hold it. */
static int result(struct jj_big *b, struct jj_val *out)
{
	uint64_t m = 0;
	uint32_t i;

	trim(b);
	if (b->n <= 3) {
		__uint128_t wide = 0;

		for (i = b->n; i-- > 0;)
			wide = wide * BASE + b->digit[i];
		m = (uint64_t)wide;
		if (wide <= (__uint128_t)INT64_MAX + b->negative) {
			*out = jj_int(b->negative ? (int64_t)(0 - m) : (int64_t)m);
			return 0;
		}
	}
	*out = (struct jj_val){.kind = JJ_BIG, .big = b};
	return 0;
}

static int compare(const struct jj_big *a, const struct jj_big *b)
{
	uint32_t i;

	if (a->n != b->n)
		return a->n > b->n ? 1 : -1;
	for (i = a->n; i-- > 0;)
		if (a->digit[i] != b->digit[i])
			return a->digit[i] > b->digit[i] ? 1 : -1;
	return 0;
}

/* |a| + |b| or, where sign is −1, |a| − |b| with |a| ≥ |b|. */
static struct jj_big *sum(struct jj_exec *x, const struct jj_big *a, const struct jj_big *b, int sign)
{
	uint32_t n = a->n > b->n ? a->n : b->n, i;
	struct jj_big *r = new(x, (size_t)n + 1);
	int64_t carry = 0, d;

	for (i = 0; r && i <= n; i++) {
		d = carry + (i < a->n ? a->digit[i] : 0) + sign * (int64_t)(i < b->n ? b->digit[i] : 0);
		carry = d < 0 ? -1 : d >= BASE;
		r->digit[i] = (uint32_t)(d - carry * (int64_t)BASE);
	}
	if (r) {
		r->n = n + 1;
		trim(r);
	}
	return r;
}

static struct jj_big *add(struct jj_exec *x, const struct jj_big *a, const struct jj_big *b, bool subtract)
{
	bool bneg = b->negative != subtract, swap;
	struct jj_big *r;

	if (a->negative == bneg) {
		r = sum(x, a, b, 1);
		if (r)
			r->negative = a->negative;
		return r;
	}
	swap = compare(a, b) < 0;
	r = swap ? sum(x, b, a, -1) : sum(x, a, b, -1);
	if (r)
		r->negative = r->n && (swap ? bneg : a->negative);
	return r;
}

static struct jj_big *multiply(struct jj_exec *x, const struct jj_big *a, const struct jj_big *b)
{
	struct jj_big *r = new(x, (size_t)a->n + b->n);
	uint64_t carry;
	uint32_t i, k;

	if (!r || jj_steps(x, (uint64_t)a->n * b->n) < 0)
		return NULL;
	for (i = 0; i < a->n; i++) {
		for (carry = 0, k = 0; k < b->n || carry; k++) {
			carry += r->digit[i + k] + (k < b->n ? (uint64_t)a->digit[i] * b->digit[k] : 0);
			r->digit[i + k] = (uint32_t)(carry % BASE);
			carry /= BASE;
		}
	}
	r->n = a->n + b->n;
	trim(r);
	r->negative = r->n && a->negative != b->negative;
	return r;
}

/* How often |b| goes into |r|, which keeps the rest: one digit of the quotient, found by halving. */
static int digit_of(struct jj_exec *x, const struct jj_big *b, struct jj_big **r, uint32_t *q)
{
	uint32_t lo = 0, hi = BASE - 1, mid;
	struct jj_big *one = new(x, 1), *p, *best = NULL;

	if (!one)
		return -1;
	one->n = 1;
	while (lo < hi) {
		mid = lo + (hi - lo + 1) / 2;
		one->digit[0] = mid;
		if (!(p = multiply(x, one, b)))
			return -1;
		p->negative = false;
		if (compare(p, *r) <= 0) {
			lo = mid;
			best = p;
		} else {
			hi = mid - 1;
		}
	}
	*q = lo;
	if (best && !(*r = sum(x, *r, best, -1)))
		return -1;
	return 0;
}

/* Quotient and rest of the absolute values. */
static int divide(struct jj_exec *x, const struct jj_big *a, const struct jj_big *b, struct jj_big **q, struct jj_big **r)
{
	struct jj_big *rest = new(x, 1), *grown;
	uint32_t i;

	*q = new(x, a->n);
	if (!*q || !rest)
		return -1;
	for (i = a->n; i-- > 0;) {
		grown = new(x, (size_t)rest->n + 1);
		if (!grown)
			return -1;
		memcpy(grown->digit + 1, rest->digit, rest->n * sizeof *rest->digit);
		grown->digit[0] = a->digit[i];
		grown->n = rest->n + 1;
		trim(grown);
		rest = grown;
		if (digit_of(x, b, &rest, &(*q)->digit[i]) < 0)
			return -1;
	}
	(*q)->n = a->n;
	trim(*q);
	*r = rest;
	return 0;
}

/* Rounded down, as Python does: the rest has the sign of b. */
static int floor_divide(struct jj_exec *x, const struct jj_big *a, const struct jj_big *b, bool want_rest, struct jj_val *out)
{
	struct jj_big *q, *r, *one = new(x, 1);

	if (!one || divide(x, a, b, &q, &r) < 0)
		return -1;
	one->n = one->digit[0] = 1;
	if (a->negative != b->negative && r->n) {
		if (!(q = sum(x, q, one, 1)) || !(r = sum(x, b, r, -1)))
			return -1;
	}
	q->negative = q->n && a->negative != b->negative;
	r->negative = r->n && b->negative;
	return result(want_rest ? r : q, out);
}

static int power(struct jj_exec *x, const struct jj_big *a, const struct jj_val *exponent, struct jj_val *out)
{
	int64_t n = exponent->kind == JJ_BOOL ? exponent->b : exponent->i;
	struct jj_big *r = new(x, 1);

	if (!r)
		return -1;
	r->n = r->digit[0] = 1;
	if (exponent->kind == JJ_BIG || (n > 9 * DIGITS * 4 && a->n && !(a->n == 1 && a->digit[0] == 1)))
		return jj_fail(x, "the power is too large");
	if (a->n == 1 && a->digit[0] == 1)
		n = n % 2;
	for (; a && r && n; n /= 2) {
		if (n % 2)
			r = multiply(x, r, a);
		if (n > 1)
			a = multiply(x, a, a);
	}
	if (!a || !r)
		return -1;
	/* one to any power; of minus one, an even power was taken off above */
	return result(r, out);
}

int jj_big_binary(struct jj_exec *x, enum jj_op op, const struct jj_val *a, const struct jj_val *b, struct jj_val *out)
{
	const struct jj_big *p = of(x, a), *q = of(x, b);
	struct jj_big *r;

	if (!p || !q)
		return -1;
	if (op == JO_FLOORDIV || op == JO_MOD)
		return floor_divide(x, p, q, op == JO_MOD, out);
	if (op == JO_POW)
		return power(x, p, b, out);
	r = op == JO_MUL ? multiply(x, p, q) : add(x, p, q, op == JO_SUB);
	return r ? result(r, out) : -1;
}

int jj_big_compare(const struct jj_val *a, const struct jj_val *b)
{
	bool na = a->kind == JJ_BIG ? a->big->negative : a->kind == JJ_INT && a->i < 0;
	bool nb = b->kind == JJ_BIG ? b->big->negative : b->kind == JJ_INT && b->i < 0;
	int c;

	if (na != nb)
		return na ? -1 : 1;
	c = a->kind != JJ_BIG ? -1 : b->kind != JJ_BIG ? 1 : compare(a->big, b->big);   /* a big one is larger than one that is not */
	return na ? -c : c;
}

int jj_big_negate(struct jj_exec *x, const struct jj_val *v, struct jj_val *out)
{
	struct jj_val zero = jj_int(0);

	return jj_big_binary(x, JO_SUB, &zero, v, out);
}

int jj_big_parse(struct jj_exec *x, const char *digits, size_t n, bool negative, struct jj_val *out)
{
	struct jj_big *b = new(x, n / 9 + 1);
	uint32_t d, scale;
	int k;

	if (!b)
		return -1;
	while (n) {
		for (d = 0, scale = 1, k = 0; k < 9 && n; k++, scale *= 10)
			d += (uint32_t)(digits[--n] - '0') * scale;
		b->digit[b->n++] = d;
	}
	b->negative = negative;
	return result(b, out);
}

int jj_big_put(struct jj_exec *x, struct jj_val *dst, const struct jj_val *v)
{
	const struct jj_big *b = v->big;
	char text[16];
	uint32_t i = b->n - 1;

	snprintf(text, sizeof text, "%s%u", b->negative ? "-" : "", b->digit[i]);
	if (jj_add_cstr(x, dst, text) < 0)
		return -1;
	while (i-- > 0) {
		snprintf(text, sizeof text, "%09u", b->digit[i]);
		if (jj_add_cstr(x, dst, text) < 0)
			return -1;
	}
	return 0;
}

double jj_big_float(const struct jj_val *v)
{
	char text[80];
	uint32_t i = v->big->n - 1, k;
	int n;

	/* the first digits and the power of ten of the others; where those matter, more than 17 are there */
	n = snprintf(text, sizeof text, "%s%u", v->big->negative ? "-" : "", v->big->digit[i]);
	for (k = 0; k < 5 && i > 0; k++)
		n += snprintf(text + n, sizeof text - (size_t)n, "%09u", v->big->digit[--i]);
	snprintf(text + n, sizeof text - (size_t)n, "e%u", 9 * i);
	return strtod(text, NULL);
}

int jj_big_from_float(struct jj_exec *x, double f, struct jj_val *out)
{
	char text[400];

	if (isnan(f) || isinf(f))
		return jj_fail(x, "%s is no integer", isnan(f) ? "nan" : "infinity");
	f = trunc(f);
	snprintf(text, sizeof text, "%.0f", fabs(f));
	return jj_big_parse(x, text, strlen(text), f < 0, out);
}
