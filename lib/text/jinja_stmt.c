#include <stdio.h>
#include <string.h>

#include "text/jinja_private.h"

#define NESTING 200             /* blocks inside each other */

static struct jj_node *statements(struct jj_parser *p, const char *const *ends);

static struct jj_node *wanted(struct jj_parser *p, const char *what)
{
	jj_parse_fail(p, "%s was wanted%s%.*s%s", what, p->tok->s ? ", this is '" : "", p->tok->s ? (int)(p->tok->n < 60 ? p->tok->n : 60) : 0,
	    p->tok->s ? p->tok->s : "", p->tok->s ? "'" : "");
	return NULL;
}

static int block_end(struct jj_parser *p)
{
	if (p->tok->kind != JT_BLOCK_END)
		return wanted(p, "the end of the tag") ? 0 : -1;
	p->tok++;
	return 0;
}

/* The body of a tag up to one of `ends`, of which the name is left as the current token. */
static struct jj_node *body(struct jj_parser *p, const char *const *ends)
{
	jj_skip_op(p, ":");
	return block_end(p) < 0 ? NULL : statements(p, ends);
}

/* The same where one word ends it, which is read. soft: what happens in an if does not reach into it. */
static struct jj_node *body_to(struct jj_parser *p, const char *end)
{
	const char *const ends[] = {end, NULL};
	unsigned soft = p->soft;
	struct jj_node *n;

	p->soft = 0;
	n = body(p, ends);
	p->soft = soft;
	if (n)
		p->tok++;
	return n;
}

/* A name, a namespace's attribute, or several of them. */
static struct jj_node *target(struct jj_parser *p, const char *end, bool with_namespace)
{
	struct jj_node *n;
	uint32_t i;

	if (with_namespace && p->tok->kind == JT_NAME && p->tok[1].kind == JT_OP && !strcmp(p->tok[1].op, ".")) {
		n = jj_node(p, JN_NSREF);
		if (!n || (n->sym = jj_sym(p, p->tok->s, p->tok->n)) == UINT32_MAX)
			return NULL;
		p->tok += 2;
		if (p->tok->kind != JT_NAME)
			return wanted(p, "a name");
		if (jj_const_str(p, &n->value, p->tok->s, p->tok->n) < 0)
			return NULL;
		p->tok++;
		return n;
	}
	n = jj_parse_tuple(p, true, true, end, false);
	if (n && n->type == JN_TUPLE) {
		for (i = 0; i < n->nkids; i++)
			if (n->kids[i]->type != JN_NAME)
				return wanted(p, "a list of names");
	} else if (n && n->type != JN_NAME) {
		return wanted(p, "a name to assign to");
	}
	return n;
}

static struct jj_node *parse_for(struct jj_parser *p)
{
	static const char *const or_else[] = {"endfor", "else", NULL};
	struct jj_node *n = jj_node(p, JN_FOR), *b;
	unsigned soft = p->soft;
	uint32_t i;

	if (!n || !(n->a = target(p, "in", false)))
		return NULL;
	for (i = 0; i < (n->a->type == JN_TUPLE ? n->a->nkids : 1); i++)
		if ((n->a->type == JN_TUPLE ? n->a->kids[i] : n->a)->sym == JS_LOOP)
			return wanted(p, "another name than 'loop'");
	if (!jj_skip_name(p, "in"))
		return wanted(p, "'in'");
	if (!(n->b = jj_parse_tuple(p, false, false, "recursive", false)))
		return NULL;
	if (jj_skip_name(p, "if") && !(n->c = jj_parse_expr(p, true)))
		return NULL;
	n->flag = jj_skip_name(p, "recursive");
	p->loops++;
	p->soft = 0;
	b = body(p, or_else);
	p->loops--;
	if (jj_push_node(p, n, b) < 0)
		return NULL;
	if (jj_skip_name(p, "else")) {
		if (jj_push_node(p, n, body_to(p, "endfor")) < 0)
			return NULL;
	} else {
		p->tok++;
	}
	p->soft = soft;
	return n;
}

static struct jj_node *parse_if(struct jj_parser *p)
{
	static const char *const ends[] = {"elif", "else", "endif", NULL};
	static const char *const last[] = {"endif", NULL};
	struct jj_node *n = jj_node(p, JN_IF), *at = n;

	p->soft++;
	for (;;) {
		if (!at || !(at->a = jj_parse_tuple(p, false, false, NULL, false)) || !(at->b = body(p, ends)))
			return NULL;
		if (!jj_skip_name(p, "elif"))
			break;
		at->c = jj_node(p, JN_IF);
		at = at->c;
	}
	if (jj_skip_name(p, "else") && !(at->c = body(p, last)))
		return NULL;
	p->tok++;
	p->soft--;
	return n;
}

static struct jj_node *parse_set(struct jj_parser *p)
{
	struct jj_node *n = jj_node(p, JN_SET);

	if (!n || !(n->a = target(p, NULL, true)))
		return NULL;
	if (jj_skip_op(p, "=")) {
		n->b = jj_parse_tuple(p, false, true, NULL, false);
		return n->b ? n : NULL;
	}
	n->type = JN_SETBLOCK;
	if (jj_skip_op(p, "|") && !(n->b = jj_parse_filters(p, NULL, true)))
		return NULL;
	n->c = body_to(p, "endset");
	return n->c ? n : NULL;
}

static struct jj_params *parameters(struct jj_parser *p)
{
	struct jj_params *q = jj_parse_alloc(p, 1, sizeof *q);
	struct jj_node *names = jj_node(p, JN_TUPLE), *fallback = jj_node(p, JN_TUPLE), *name;
	uint32_t i;

	if (!q || !names || !fallback || jj_want_op(p, "(") < 0)
		return NULL;
	while (!jj_is_op(p, ")")) {
		if (names->nkids && jj_want_op(p, ",") < 0)
			return NULL;
		if (p->tok->kind != JT_NAME) {
			wanted(p, "the name of a parameter");
			return NULL;
		}
		name = jj_node(p, JN_NAME);
		if (!name || (name->sym = jj_sym(p, p->tok->s, p->tok->n)) == UINT32_MAX || jj_push_node(p, names, name) < 0)
			return NULL;
		p->tok++;
		if (jj_skip_op(p, "=")) {
			if (jj_push_node(p, fallback, jj_parse_expr(p, true)) < 0)
				return NULL;
		} else if (fallback->nkids) {
			jj_parse_fail(p, "a parameter without a default behind one with");
			return NULL;
		}
	}
	p->tok++;
	q->sym = jj_parse_alloc(p, names->nkids + 1, sizeof *q->sym);
	if (!q->sym)
		return NULL;
	for (i = 0; i < names->nkids; i++)
		q->sym[i] = names->kids[i]->sym;
	q->n = names->nkids;
	q->fallback = fallback->kids;
	q->nfallback = fallback->nkids;
	return q;
}

/* A body that is called, in which loops around it cannot be left. */
static struct jj_node *called_body(struct jj_parser *p, struct jj_params *q, const char *end)
{
	struct jj_params *outer = p->params;
	unsigned loops = p->loops;
	struct jj_node *n;

	p->params = q;
	p->loops = 0;
	n = body_to(p, end);
	p->params = outer;
	p->loops = loops;
	if (n && outer && q) {          /* what an inner macro asks for under a name that is not its own */
		outer->varargs |= q->varargs;
		outer->kwargs |= q->kwargs;
	}
	return n;
}

static struct jj_node *parse_macro(struct jj_parser *p)
{
	struct jj_node *n = jj_node(p, JN_MACRO);

	if (!n)
		return NULL;
	if (p->tok->kind != JT_NAME)
		return wanted(p, "the name of the macro");
	n->sym = jj_sym(p, p->tok->s, p->tok->n);
	if (n->sym == UINT32_MAX || jj_const_str(p, &n->value, p->tok->s, p->tok->n) < 0)
		return NULL;
	p->tok++;
	if (!(n->params = parameters(p)) || !(n->a = called_body(p, n->params, "endmacro")))
		return NULL;
	return n;
}

static struct jj_node *parse_call(struct jj_parser *p)
{
	struct jj_node *n = jj_node(p, JN_CALLBLOCK);

	if (!n)
		return NULL;
	n->params = jj_is_op(p, "(") ? parameters(p) : jj_parse_alloc(p, 1, sizeof *n->params);
	if (!n->params || jj_const_str(p, &n->value, "caller", 6) < 0 || !(n->a = jj_parse_expr(p, true)))
		return NULL;
	if (n->a->type != JN_CALL)
		return wanted(p, "a call");
	n->b = called_body(p, n->params, "endcall");
	return n->b ? n : NULL;
}

static struct jj_node *parse_filter(struct jj_parser *p)
{
	struct jj_node *n = jj_node(p, JN_FILTERBLOCK);

	if (!n || !(n->a = jj_parse_filters(p, NULL, true)) || !(n->b = body_to(p, "endfilter")))
		return NULL;
	return n;
}

static struct jj_node *parse_with(struct jj_parser *p)
{
	struct jj_node *n = jj_node(p, JN_WITH);

	while (n && p->tok->kind != JT_BLOCK_END) {
		if (n->nkids && jj_want_op(p, ",") < 0)
			return NULL;
		if (jj_push_node(p, n, target(p, NULL, false)) < 0 || jj_want_op(p, "=") < 0 || jj_push_node(p, n, jj_parse_expr(p, true)) < 0)
			return NULL;
	}
	if (!n || !(n->a = body_to(p, "endwith")))
		return NULL;
	return n;
}

static struct jj_node *parse_generation(struct jj_parser *p)
{
	struct jj_node *n = jj_node(p, JN_GENERATION);

	p->t->marks = true;
	if (!n || !(n->a = called_body(p, p->params, "endgeneration")))
		return NULL;
	return n;
}

static struct jj_node *parse_block(struct jj_parser *p)
{
	struct jj_node *n = jj_node(p, JN_BLOCK);

	if (!n)
		return NULL;
	if (p->tok->kind != JT_NAME)
		return wanted(p, "the name of the block");
	p->tok++;
	if (!jj_skip_name(p, "scoped") && jj_skip_name(p, "required"))
		return wanted(p, "a block of one's own (there is no template to inherit from)");
	if (!(n->a = called_body(p, p->params, "endblock")))
		return NULL;
	if (p->tok->kind == JT_NAME)
		p->tok++;
	return n;
}

static struct jj_node *statement(struct jj_parser *p)
{
	static const struct {
		const char *name;
		struct jj_node *(*parse)(struct jj_parser *);
	} tags[] = {
		{"for", parse_for}, {"if", parse_if}, {"set", parse_set}, {"macro", parse_macro}, {"call", parse_call}, {"filter", parse_filter},
		{"with", parse_with}, {"generation", parse_generation}, {"block", parse_block},
	};
	struct jj_node *n;
	size_t i;

	if (p->tok->kind != JT_NAME)
		return wanted(p, "the name of a tag");
	if (jj_is_name(p, "break") || jj_is_name(p, "continue")) {
		if (!p->loops)
			return wanted(p, "a loop around it");
		n = jj_node(p, jj_is_name(p, "break") ? JN_BREAK : JN_CONTINUE);
		p->tok++;
		return n;
	}
	if (jj_is_name(p, "print")) {
		p->tok++;
		n = jj_node(p, JN_PRINT);
		while (n && p->tok->kind != JT_BLOCK_END)
			if ((n->nkids && jj_want_op(p, ",") < 0) || jj_push_node(p, n, jj_parse_expr(p, true)) < 0)
				return NULL;
		return n;
	}
	for (i = 0; i < sizeof tags / sizeof *tags; i++)
		if (jj_skip_name(p, tags[i].name))
			return tags[i].parse(p);
	return wanted(p, "a tag that is known here");
}

static struct jj_node *text(struct jj_parser *p)
{
	struct jj_node *n = jj_node(p, JN_TEXT);

	if (!n || jj_const_str(p, &n->value, p->tok->s, p->tok->n) < 0)
		return NULL;
	p->tok++;
	return n;
}

static struct jj_node *print(struct jj_parser *p)
{
	struct jj_node *n = jj_node(p, JN_PRINT);

	p->tok++;
	if (!n || jj_push_node(p, n, jj_parse_tuple(p, false, true, NULL, false)) < 0)
		return NULL;
	if (p->tok->kind != JT_VAR_END)
		return wanted(p, "'}}'");
	p->tok++;
	return n;
}

/* Up to the end of the template (ends NULL), or to a tag of that name, of which the name is left as the current token. */
static struct jj_node *statements(struct jj_parser *p, const char *const *ends)
{
	struct jj_node *list = jj_node(p, JN_BODY), *n;
	size_t i;

	if (++p->depth > NESTING) {
		jj_parse_fail(p, "blocks nest deeper than %d", NESTING);
		return NULL;
	}
	while (list && p->tok->kind != JT_EOF) {
		if (p->tok->kind == JT_BLOCK) {
			p->tok++;
			for (i = 0; ends && ends[i]; i++) {
				if (jj_is_name(p, ends[i])) {
					p->depth--;
					return list;
				}
			}
			n = statement(p);
			if (n && block_end(p) < 0)
				return NULL;
		} else {
			n = p->tok->kind == JT_DATA ? text(p) : p->tok->kind == JT_VAR ? print(p) : wanted(p, "text or a tag");
		}
		if (jj_push_node(p, list, n) < 0)
			return NULL;
	}
	p->depth--;
	if (list && ends) {
		jj_parse_fail(p, "the template ends, '%s' was wanted", ends[0]);
		return NULL;
	}
	return list;
}

int jj_parse(struct pm_jinja *t, struct jj_token *tokens, struct pm_err *e)
{
	struct jj_parser p = {.t = t, .tok = tokens, .e = e};

	t->body = statements(&p, NULL);
	if (t->body && p.unknown)
		return pm_fail(e, PM_DATA, "%s: line %u: no %s named '%.*s'", t->name, p.unknown->line, p.unknown->type == JN_TEST ? "test" : "filter",
		    (int)(p.unknown->value.len < 60 ? p.unknown->value.len : 60), JJ_BYTES(&p.unknown->value));
	return t->body ? 0 : -1;
}
