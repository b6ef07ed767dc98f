#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja_private.h"

int jj_parse_fail(struct jj_parser *p, const char *fmt, ...)
{
	char text[400];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return pm_fail(p->e, PM_DATA, "%s: line %u: %s", p->t->name, p->tok->line, text);
}

/* The current token, for a message. */
static const char *found(const struct jj_parser *p, char buf[80])
{
	const struct jj_token *t = p->tok;

	switch (t->kind) {
	case JT_EOF: return "the end of the template";
	case JT_DATA: return "text";
	case JT_VAR: return "'{{'";
	case JT_VAR_END: return "'}}'";
	case JT_BLOCK: return "'{%'";
	case JT_BLOCK_END: return "'%}'";
	case JT_OP: snprintf(buf, 80, "'%s'", t->op); return buf;
	default: snprintf(buf, 80, "'%.*s'", (int)(t->n < 60 ? t->n : 60), t->s); return buf;
	}
}

void *jj_parse_alloc(struct jj_parser *p, size_t n, size_t size)
{
	return pm_arena_alloc(&p->t->arena, n, size, p->e);
}

struct jj_node *jj_node(struct jj_parser *p, enum jj_type type)
{
	struct jj_node *n = jj_parse_alloc(p, 1, sizeof *n);

	if (n) {
		n->type = (uint8_t)type;
		n->line = p->tok->line;
	}
	return n;
}

/* Room for one more pointer behind the n of *list, in the template's arena; lists double as they grow. */
static int more(struct jj_parser *p, void *list, uint32_t n, size_t size)
{
	void **l = list, *grown;

	if (n && (n & (n - 1)))
		return 0;
	grown = jj_parse_alloc(p, n ? 2 * (size_t)n : 1, size);
	if (!grown)
		return -1;
	if (n)
		memcpy(grown, *l, n * size);
	*l = grown;
	return 0;
}

int jj_push_node(struct jj_parser *p, struct jj_node *list, struct jj_node *kid)
{
	if (!kid || more(p, &list->kids, list->nkids, sizeof *list->kids) < 0)
		return -1;
	list->kids[list->nkids++] = kid;
	return 0;
}

bool jj_is_name(const struct jj_parser *p, const char *name)
{
	return p->tok->kind == JT_NAME && p->tok->n == strlen(name) && !memcmp(p->tok->s, name, p->tok->n);
}

bool jj_is_op(const struct jj_parser *p, const char *op)
{
	return p->tok->kind == JT_OP && !strcmp(p->tok->op, op);
}

bool jj_skip_name(struct jj_parser *p, const char *name)
{
	bool is = jj_is_name(p, name);

	p->tok += is;
	return is;
}

bool jj_skip_op(struct jj_parser *p, const char *op)
{
	bool is = jj_is_op(p, op);

	p->tok += is;
	return is;
}

int jj_want_op(struct jj_parser *p, const char *op)
{
	char buf[80];

	return jj_skip_op(p, op) ? 0 : jj_parse_fail(p, "'%s' was wanted, this is %s", op, found(p, buf));
}

int jj_const_str(struct jj_parser *p, struct jj_val *out, const char *s, size_t n)
{
	struct jj_bytes *b = jj_parse_alloc(p, 1, sizeof *b);

	if (!b)
		return -1;
	b->data = (char *)(size_t)s;
	b->used = b->cap = (uint32_t)n;
	b->one = (struct jj_run){(uint32_t)n, {PM_JINJA_TEMPLATE, -1, -1, 0}};
	b->runs = &b->one;
	b->nruns = b->cap_runs = 1;
	*out = (struct jj_val){.kind = JJ_STR, .len = (uint32_t)n, .s = b};
	return 0;
}

uint32_t jj_sym(struct jj_parser *p, const char *s, size_t n)
{
	struct pm_jinja *t = p->t;
	char *copy;
	size_t i;

	for (i = 0; i < t->nsyms; i++)
		if (t->syms[i].len == n && !memcmp(JJ_BYTES(&t->syms[i]), s, n))
			return (uint32_t)i;
	copy = jj_parse_alloc(p, n + 1, 1);
	if (!copy || pm_grow(&t->syms, &t->cap_syms, t->nsyms + 1, sizeof *t->syms, p->e) < 0)
		return UINT32_MAX;
	memcpy(copy, s, n);
	if (jj_const_str(p, &t->syms[t->nsyms], copy, n) < 0)
		return UINT32_MAX;
	return (uint32_t)t->nsyms++;
}

static struct jj_node *fail(struct jj_parser *p, const char *wanted)
{
	char buf[80];

	jj_parse_fail(p, "%s was wanted, this is %s", wanted, found(p, buf));
	return NULL;
}

/* --- primary expressions --- */

static struct jj_node *constant(struct jj_parser *p, struct jj_val v)
{
	struct jj_node *n = jj_node(p, JN_CONST);

	if (n)
		n->value = v;
	return n;
}

static struct jj_node *big(struct jj_parser *p)
{
	struct jj_val v;
	struct jj_node *n = jj_const_str(p, &v, p->tok->s, p->tok->n) < 0 ? NULL : constant(p, v);

	if (n)
		n->flag = true;
	p->tok++;
	return n;
}

/* A number: decimal, or 0x, 0o, 0b. A decimal one that 64 bits do not hold is kept as text (flag) and read when it is used. */
static struct jj_node *number(struct jj_parser *p)
{
	const char *s = p->tok->s;
	int base = p->tok->n > 1 && *s == '0' ? (s[1] | 32) == 'x' ? 16 : (s[1] | 32) == 'o' ? 8 : (s[1] | 32) == 'b' ? 2 : 10 : 10;
	struct jj_val v = {.kind = JJ_INT};
	int64_t d;

	if (p->tok->kind == JT_FLOAT) {
		v = (struct jj_val){.kind = JJ_FLOAT, .f = strtod(s, NULL)};
	} else {
		for (s += base == 10 ? 0 : 2; *s; s++) {
			d = *s <= '9' ? *s - '0' : (*s | 32) - 'a' + 10;
			if (base == 10 && (v.i > INT64_MAX / 10 || v.i * 10 > INT64_MAX - d))
				return big(p);
			if (d >= base || __builtin_mul_overflow(v.i, base, &v.i) || __builtin_add_overflow(v.i, d, &v.i)) {
				jj_parse_fail(p, "'%s' is no number that fits into 64 bits", p->tok->s);
				return NULL;
			}
		}
	}
	p->tok++;
	return constant(p, v);
}

static struct jj_node *string(struct jj_parser *p)
{
	struct jj_token *first = p->tok;
	struct jj_val v;
	size_t n = 0;
	char *s;

	for (; p->tok->kind == JT_STRING; p->tok++)
		n += p->tok->n;
	if (p->tok - first == 1)
		return jj_const_str(p, &v, first->s, first->n) < 0 ? NULL : constant(p, v);
	s = jj_parse_alloc(p, n + 1, 1);
	for (n = 0; s && first < p->tok; first++) {
		memcpy(s + n, first->s, first->n);
		n += first->n;
	}
	return !s || jj_const_str(p, &v, s, n) < 0 ? NULL : constant(p, v);
}

static struct jj_node *list(struct jj_parser *p)
{
	struct jj_node *n = jj_node(p, JN_LIST);

	p->tok++;
	while (n && !jj_is_op(p, "]")) {
		if (n->nkids && jj_want_op(p, ",") < 0)
			return NULL;
		if (jj_is_op(p, "]"))
			break;
		if (jj_push_node(p, n, jj_parse_expr(p, true)) < 0)
			return NULL;
	}
	return n && jj_want_op(p, "]") == 0 ? n : NULL;
}

static struct jj_node *dict(struct jj_parser *p)
{
	struct jj_node *n = jj_node(p, JN_DICT);

	p->tok++;
	while (n && !jj_is_op(p, "}")) {
		if (n->nkids && jj_want_op(p, ",") < 0)
			return NULL;
		if (jj_is_op(p, "}"))
			break;
		if (jj_push_node(p, n, jj_parse_expr(p, true)) < 0 || jj_want_op(p, ":") < 0 || jj_push_node(p, n, jj_parse_expr(p, true)) < 0)
			return NULL;
	}
	return n && jj_want_op(p, "}") == 0 ? n : NULL;
}

static struct jj_node *name(struct jj_parser *p)
{
	static const struct {
		const char *name;
		struct jj_val v;
	} words[] = {
		{"true", {.kind = JJ_BOOL, .b = true}}, {"True", {.kind = JJ_BOOL, .b = true}}, {"false", {.kind = JJ_BOOL}},
		{"False", {.kind = JJ_BOOL}}, {"none", {.kind = JJ_NONE}}, {"None", {.kind = JJ_NONE}},
	};
	struct jj_node *n;
	size_t i;

	for (i = 0; i < sizeof words / sizeof *words; i++)
		if (jj_skip_name(p, words[i].name))
			return constant(p, words[i].v);
	n = jj_node(p, JN_NAME);
	if (!n || (n->sym = jj_sym(p, p->tok->s, p->tok->n)) == UINT32_MAX)
		return NULL;
	if (p->params) {
		p->params->caller |= jj_is_name(p, "caller");
		p->params->varargs |= jj_is_name(p, "varargs");
		p->params->kwargs |= jj_is_name(p, "kwargs");
	}
	p->tok++;
	return n;
}

struct jj_node *jj_parse_primary(struct jj_parser *p)
{
	struct jj_node *n;

	switch (p->tok->kind) {
	case JT_NAME:
		return name(p);
	case JT_STRING:
		return string(p);
	case JT_INT:
	case JT_FLOAT:
		return number(p);
	default:
		break;
	}
	if (jj_skip_op(p, "(")) {
		n = jj_parse_tuple(p, false, true, NULL, true);
		return n && jj_want_op(p, ")") == 0 ? n : NULL;
	}
	return jj_is_op(p, "[") ? list(p) : jj_is_op(p, "{") ? dict(p) : fail(p, "an expression");
}

static bool tuple_ends(const struct jj_parser *p, const char *end)
{
	return p->tok->kind == JT_VAR_END || p->tok->kind == JT_BLOCK_END || jj_is_op(p, ")") || (end && jj_is_name(p, end));
}

struct jj_node *jj_parse_tuple(struct jj_parser *p, bool simple, bool conditional, const char *end, bool parens)
{
	struct jj_node *n = jj_node(p, JN_TUPLE);
	bool tuple = false;

	while (n && !tuple_ends(p, end)) {
		if (n->nkids && !jj_is_op(p, ","))
			break;
		if (n->nkids) {
			p->tok++;
			tuple = true;
			if (tuple_ends(p, end))
				break;
		}
		if (jj_push_node(p, n, simple ? jj_parse_primary(p) : jj_parse_expr(p, conditional)) < 0)
			return NULL;
	}
	if (!n || tuple)
		return n;
	if (!n->nkids && !parens)
		return fail(p, "an expression");
	return n->nkids ? n->kids[0] : n;
}

/* --- what follows an expression --- */

/* Arguments behind '('. */
static struct jj_call *call_args(struct jj_parser *p)
{
	struct jj_call *c = jj_parse_alloc(p, 1, sizeof *c);
	bool comma = false;

	p->tok++;
	while (c && !jj_is_op(p, ")")) {
		if (comma && jj_want_op(p, ",") < 0)
			return NULL;
		if (jj_is_op(p, ")"))
			break;
		comma = true;
		if (jj_skip_op(p, "*")) {
			if (c->star || c->stars || !(c->star = jj_parse_expr(p, true)))
				return c->star ? (jj_parse_fail(p, "a call has one *"), NULL) : NULL;
		} else if (jj_skip_op(p, "**")) {
			if (c->stars || !(c->stars = jj_parse_expr(p, true)))
				return c->stars ? (jj_parse_fail(p, "a call has one **"), NULL) : NULL;
		} else if (p->tok->kind == JT_NAME && p->tok[1].kind == JT_OP && !strcmp(p->tok[1].op, "=")) {
			if (more(p, &c->kw, c->nkw, sizeof *c->kw) < 0 || more(p, &c->names, c->nkw, sizeof *c->names) < 0 ||
			    jj_const_str(p, &c->names[c->nkw], p->tok->s, p->tok->n) < 0)
				return NULL;
			p->tok += 2;
			if (c->stars || !(c->kw[c->nkw++] = jj_parse_expr(p, true)))
				return c->stars ? (jj_parse_fail(p, "an argument behind **"), NULL) : NULL;
		} else {
			if (c->nkw || c->star || c->stars) {
				jj_parse_fail(p, "an argument without a name behind one with");
				return NULL;
			}
			if (more(p, &c->pos, c->npos, sizeof *c->pos) < 0 || !(c->pos[c->npos++] = jj_parse_expr(p, true)))
				return NULL;
		}
	}
	return c && jj_want_op(p, ")") == 0 ? c : NULL;
}

struct jj_node *jj_parse_call(struct jj_parser *p, struct jj_node *callee)
{
	struct jj_node *n = jj_node(p, JN_CALL);

	if (!n || !(n->call = call_args(p)))
		return NULL;
	n->a = callee;
	return n;
}

/* What stands in brackets: an index or a slice. */
static struct jj_node *subscript(struct jj_parser *p)
{
	struct jj_node *n = jj_node(p, JN_SLICE), **part[3], *first = NULL;
	int i;

	if (!n)
		return NULL;
	part[0] = &n->a;
	part[1] = &n->b;
	part[2] = &n->c;
	if (!jj_is_op(p, ":")) {
		first = jj_parse_expr(p, true);
		if (!first || !jj_is_op(p, ":"))
			return first;
		n->a = first;
	}
	for (i = 1; i < 3 && jj_skip_op(p, ":"); i++)
		if (!jj_is_op(p, "]") && !jj_is_op(p, ",") && !jj_is_op(p, ":") && !(*part[i] = jj_parse_expr(p, true)))
			return NULL;
	return n;
}

static struct jj_node *brackets(struct jj_parser *p)
{
	struct jj_node *first, *tuple;

	p->tok++;
	first = subscript(p);
	if (!first || !jj_is_op(p, ","))
		return first && jj_want_op(p, "]") == 0 ? first : NULL;
	tuple = jj_node(p, JN_TUPLE);
	if (!tuple || jj_push_node(p, tuple, first) < 0)
		return NULL;
	while (jj_skip_op(p, ","))
		if (!jj_is_op(p, "]") && jj_push_node(p, tuple, subscript(p)) < 0)
			return NULL;
	return jj_want_op(p, "]") == 0 ? tuple : NULL;
}

struct jj_node *jj_parse_postfix(struct jj_parser *p, struct jj_node *n)
{
	struct jj_node *up;

	while (n) {
		if (jj_is_op(p, "(")) {
			n = jj_parse_call(p, n);
		} else if (jj_is_op(p, "[")) {
			up = jj_node(p, JN_ITEM);
			if (!up || !(up->b = brackets(p)))
				return NULL;
			up->a = n;
			n = up;
		} else if (jj_is_op(p, ".")) {
			up = jj_node(p, JN_ATTR);
			p->tok++;
			if (!up)
				return NULL;
			if (p->tok->kind == JT_NAME) {
				if (jj_const_str(p, &up->value, p->tok->s, p->tok->n) < 0)
					return NULL;
				p->tok++;
			} else if (p->tok->kind == JT_INT) {
				up->type = JN_ITEM;
				if (!(up->b = number(p)))
					return NULL;
			} else {
				return fail(p, "a name");
			}
			up->a = n;
			n = up;
		} else {
			return n;
		}
	}
	return NULL;
}

/* The dotted name of a filter or a test. */
static int dotted(struct jj_parser *p, struct jj_val *out)
{
	const char *from = p->tok->s, *to;

	if (p->tok->kind != JT_NAME)
		return fail(p, "a name") ? 0 : -1;
	to = p->tok->s + p->tok->n;
	for (p->tok++; jj_is_op(p, ".") && p->tok[1].kind == JT_NAME; p->tok += 2)
		to = p->tok[1].s + p->tok[1].n;
	return jj_const_str(p, out, from, (size_t)(to - from));
}

static const char *name_of(struct jj_parser *p, const struct jj_val *v)
{
	char *s = jj_parse_alloc(p, v->len + 1, 1);

	if (s)
		memcpy(s, JJ_BYTES(v), v->len);
	return s;
}

static struct jj_node *filter(struct jj_parser *p, struct jj_node *of)
{
	struct jj_node *n = jj_node(p, JN_FILTER);
	const char *name;

	if (!n || dotted(p, &n->value) < 0 || !(name = name_of(p, &n->value)))
		return NULL;
	n->builtin = jj_find_filter(name);
	if (!n->builtin && !p->soft && !p->unknown)
		p->unknown = n;
	if (jj_is_op(p, "(") && !(n->call = call_args(p)))
		return NULL;
	n->a = of;
	return n;
}

/* Whether a test's argument may begin here without parentheses. */
static bool argument_begins(const struct jj_parser *p)
{
	return p->tok->kind == JT_STRING || p->tok->kind == JT_INT || p->tok->kind == JT_FLOAT || jj_is_op(p, "[") || jj_is_op(p, "{") ||
	    (p->tok->kind == JT_NAME && !jj_is_name(p, "else") && !jj_is_name(p, "or") && !jj_is_name(p, "and"));
}

static struct jj_node *test(struct jj_parser *p, struct jj_node *of)
{
	struct jj_node *n = jj_node(p, JN_TEST), *not;
	const char *name;
	bool negated = jj_skip_name(p, "not");

	if (!n || dotted(p, &n->value) < 0 || !(name = name_of(p, &n->value)))
		return NULL;
	n->builtin = jj_find_test(name);
	if (!n->builtin && !p->soft && !p->unknown)
		p->unknown = n;
	if (jj_is_op(p, "(")) {
		if (!(n->call = call_args(p)))
			return NULL;
	} else if (argument_begins(p)) {
		if (jj_is_name(p, "is")) {
			jj_parse_fail(p, "one test behind another");
			return NULL;
		}
		n->call = jj_parse_alloc(p, 1, sizeof *n->call);
		if (!n->call || more(p, &n->call->pos, 0, sizeof *n->call->pos) < 0 ||
		    !(n->call->pos[0] = jj_parse_postfix(p, jj_parse_primary(p))))
			return NULL;
		n->call->npos = 1;
	}
	n->a = of;
	if (!negated)
		return n;
	not = jj_node(p, JN_NOT);
	if (not)
		not->a = n;
	return not;
}

struct jj_node *jj_parse_filters(struct jj_parser *p, struct jj_node *n, bool start_inline)
{
	if (start_inline) {
		n = filter(p, NULL);
		while (n && jj_skip_op(p, "|"))
			n = filter(p, n);
		return n;
	}
	while (n) {
		if (jj_skip_op(p, "|"))
			n = filter(p, n);
		else if (jj_skip_name(p, "is"))
			n = test(p, n);
		else if (jj_is_op(p, "("))
			n = jj_parse_call(p, n);
		else
			break;
	}
	return n;
}
