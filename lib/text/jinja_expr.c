#include <string.h>

#include "text/jinja_private.h"

#define NESTING 200             /* expressions inside each other */

struct jj_node *jj_parse_unary(struct jj_parser *p, bool with_filter)
{
	struct jj_node *n, *up;

	if (jj_is_op(p, "-") || jj_is_op(p, "+")) {
		up = jj_node(p, jj_is_op(p, "-") ? JN_NEG : JN_POS);
		p->tok++;
		if (++p->depth > NESTING) {
			jj_parse_fail(p, "expressions nest deeper than %d", NESTING);
			return NULL;
		}
		if (!up || !(up->a = jj_parse_unary(p, false)))
			return NULL;
		p->depth--;
		n = up;
	} else {
		n = jj_parse_primary(p);
	}
	n = jj_parse_postfix(p, n);
	return with_filter ? jj_parse_filters(p, n, false) : n;
}

static struct jj_node *binary(struct jj_parser *p, enum jj_op op, struct jj_node *a, struct jj_node *b)
{
	struct jj_node *n = jj_node(p, JN_BINARY);

	if (!a || !b || !n)
		return NULL;
	n->op = (uint8_t)op;
	n->a = a;
	n->b = b;
	return n;
}

static struct jj_node *power(struct jj_parser *p)
{
	struct jj_node *n = jj_parse_unary(p, true);

	while (n && jj_skip_op(p, "**"))
		n = binary(p, JO_POW, n, jj_parse_unary(p, true));
	return n;
}

static struct jj_node *product(struct jj_parser *p)
{
	static const char *const ops[] = {"*", "/", "//", "%"};
	static const enum jj_op which[] = {JO_MUL, JO_DIV, JO_FLOORDIV, JO_MOD};
	struct jj_node *n = power(p);
	int i;

	while (n) {
		for (i = 0; i < 4 && !jj_is_op(p, ops[i]); i++)
			;
		if (i == 4)
			break;
		p->tok++;
		n = binary(p, which[i], n, power(p));
	}
	return n;
}

static struct jj_node *concat(struct jj_parser *p)
{
	struct jj_node *n = product(p), *up;

	if (!n || !jj_is_op(p, "~"))
		return n;
	up = jj_node(p, JN_CONCAT);
	if (!up || jj_push_node(p, up, n) < 0)
		return NULL;
	while (jj_skip_op(p, "~"))
		if (jj_push_node(p, up, product(p)) < 0)
			return NULL;
	return up;
}

static struct jj_node *sum(struct jj_parser *p)
{
	struct jj_node *n = concat(p);

	while (n && (jj_is_op(p, "+") || jj_is_op(p, "-"))) {
		enum jj_op op = jj_is_op(p, "+") ? JO_ADD : JO_SUB;

		p->tok++;
		n = binary(p, op, n, concat(p));
	}
	return n;
}

/* The comparison at the current token, which is moved behind it; −1: none. */
static int comparison(struct jj_parser *p)
{
	static const char *const ops[] = {"==", "!=", "<", "<=", ">", ">="};
	static const enum jj_op which[] = {JO_EQ, JO_NE, JO_LT, JO_LE, JO_GT, JO_GE};
	int i;

	for (i = 0; i < 6; i++)
		if (jj_skip_op(p, ops[i]))
			return (int)which[i];
	if (jj_skip_name(p, "in"))
		return JO_IN;
	if (jj_is_name(p, "not") && p->tok[1].kind == JT_NAME && p->tok[1].n == 2 && !memcmp(p->tok[1].s, "in", 2)) {
		p->tok += 2;
		return JO_NOTIN;
	}
	return -1;
}

static struct jj_node *compare(struct jj_parser *p)
{
	struct jj_node *n = sum(p), *up = NULL, *operand;
	int op;

	while (n && (op = comparison(p)) >= 0) {
		if (!up) {
			up = jj_node(p, JN_COMPARE);
			if (!up)
				return NULL;
			up->a = n;
		}
		operand = jj_node(p, JN_COMPARE);       /* holds the operator and its right side */
		if (!operand || !(operand->a = sum(p)) || jj_push_node(p, up, operand) < 0)
			return NULL;
		operand->op = (uint8_t)op;
	}
	return n && up ? up : n;
}

static struct jj_node *not(struct jj_parser *p)
{
	struct jj_node *n;

	if (!jj_is_name(p, "not"))
		return compare(p);
	n = jj_node(p, JN_NOT);
	p->tok++;
	if (++p->depth > NESTING) {
		jj_parse_fail(p, "expressions nest deeper than %d", NESTING);
		return NULL;
	}
	if (!n || !(n->a = not(p)))
		return NULL;
	p->depth--;
	return n;
}

static struct jj_node *logic(struct jj_parser *p, bool either)
{
	struct jj_node *n = either ? logic(p, false) : not(p), *up;

	while (n && jj_skip_name(p, either ? "or" : "and")) {
		up = jj_node(p, either ? JN_OR : JN_AND);
		if (!up || !(up->b = either ? logic(p, false) : not(p)))
			return NULL;
		up->a = n;
		n = up;
	}
	return n;
}

struct jj_node *jj_parse_expr(struct jj_parser *p, bool conditional)
{
	struct jj_node *n, *up;
	const struct jj_node *unknown = p->unknown;
	unsigned soft = p->soft;

	if (++p->depth > NESTING) {
		jj_parse_fail(p, "expressions nest deeper than %d", NESTING);
		return NULL;
	}
	n = logic(p, true);
	while (n && conditional && jj_skip_name(p, "if")) {
		up = jj_node(p, JN_COND);
		p->soft++;
		p->unknown = unknown;   /* the value of a condition is only asked for where it holds */
		if (!up || !(up->b = logic(p, true)))
			return NULL;
		up->a = n;
		if (jj_skip_name(p, "else") && !(up->c = jj_parse_expr(p, true)))
			return NULL;
		n = up;
	}
	p->soft = soft;
	p->depth--;
	return n;
}
