#include <string.h>

#include "text/jinja_private.h"

struct jj_val *jj_lookup(struct jj_exec *x, uint32_t sym)
{
	struct jj_scope *s;
	uint32_t i;

	for (s = x->scope; s->up; s = s->up)
		for (i = 0; i < s->n; i++)
			if (s->vars[i].sym == sym)
				return &s->vars[i].v;
	if (x->root[sym].kind != JJ_ABSENT)
		return &x->root[sym];
	return x->given[sym].kind != JJ_ABSENT ? &x->given[sym] : NULL;
}

static int eval_name(struct jj_exec *x, const struct jj_node *n, struct jj_val *out)
{
	struct jj_val *v = jj_lookup(x, n->sym);

	if (!v)
		return jj_make_undef(x, out, NULL, &x->t->syms[n->sym], NULL);
	*out = *v;
	return 0;
}

static int eval_list(struct jj_exec *x, const struct jj_node *n, struct jj_val *out)
{
	struct jj_val list;
	uint32_t i;

	if (jj_list(x, &list, n->nkids, n->type == JN_TUPLE ? JJ_TUPLE : JJ_PLAIN) < 0)
		return -1;
	for (i = 0; i < n->nkids; i++)
		if (jj_eval(x, n->kids[i], JJ_AT(&list, i)) < 0)
			return -1;
	*out = list;
	return 0;
}

static int eval_dict(struct jj_exec *x, const struct jj_node *n, struct jj_val *out)
{
	struct jj_val d, key, v;
	uint32_t i;

	if (jj_dict(x, &d) < 0)
		return -1;
	for (i = 0; i < n->nkids; i += 2)
		if (jj_eval(x, n->kids[i], &key) < 0 || jj_eval(x, n->kids[i + 1], &v) < 0 || jj_dict_set(x, &d, &key, &v) < 0)
			return -1;
	*out = d;
	return 0;
}

static int eval_concat(struct jj_exec *x, const struct jj_node *n, struct jj_val *out)
{
	struct jj_val sum, v;
	uint32_t i;

	if (jj_eval(x, n->kids[0], &v) < 0 || jj_to_str(x, &sum, &v) < 0)
		return -1;
	sum.safe = 0;
	for (i = 1; i < n->nkids; i++)
		if (jj_eval(x, n->kids[i], &v) < 0 || jj_put_str(x, &sum, &v) < 0)
			return -1;
	*out = sum;
	return 0;
}

static int eval_compare(struct jj_exec *x, const struct jj_node *n, struct jj_val *out)
{
	struct jj_val a, b;
	bool is = true;
	uint32_t i;

	if (jj_eval(x, n->a, &a) < 0)
		return -1;
	for (i = 0; is && i < n->nkids; i++) {
		if (jj_eval(x, n->kids[i]->a, &b) < 0 || jj_compare(x, (enum jj_op)n->kids[i]->op, &a, &b, &is) < 0)
			return -1;
		a = b;
	}
	*out = jj_bool(is);
	return 0;
}

/* The arguments of a call. */
int jj_eval_args(struct jj_exec *x, const struct jj_call *c, struct jj_args *a)
{
	struct jj_val star = {.kind = JJ_ABSENT}, stars = {.kind = JJ_ABSENT}, list;
	uint32_t i, n = c ? c->npos : 0, nkw = c ? c->nkw : 0;

	memset(a, 0, sizeof *a);
	if (!c)
		return 0;
	if (c->star) {
		if (jj_eval(x, c->star, &list) < 0 || jj_items(x, &list, &star) < 0)
			return -1;
		n += star.len;
	}
	if (c->stars) {
		if (jj_eval(x, c->stars, &stars) < 0)
			return -1;
		if (stars.kind != JJ_DICT)
			return jj_fail(x, "a %s behind ** where a dict was wanted", jj_type_name(&stars));
		nkw += stars.d->n;
	}
	a->pos = jj_alloc(x, (size_t)n + 2 * (size_t)nkw + 3, sizeof *a->pos);  /* room for one more by name */
	if (!a->pos)
		return -1;
	a->names = a->pos + n;
	a->kw = a->names + nkw + 1;
	for (; a->npos < c->npos; a->npos++)
		if (jj_eval(x, c->pos[a->npos], &a->pos[a->npos]) < 0)
			return -1;
	for (i = 0; star.kind != JJ_ABSENT && i < star.len; i++)
		a->pos[a->npos++] = *JJ_AT(&star, i);
	for (; a->nkw < c->nkw; a->nkw++) {
		a->names[a->nkw] = c->names[a->nkw];
		if (jj_eval(x, c->kw[a->nkw], &a->kw[a->nkw]) < 0)
			return -1;
	}
	for (i = 0; stars.kind != JJ_ABSENT && i < stars.d->n; i++, a->nkw++) {
		if (stars.d->keys[i].kind != JJ_STR)
			return jj_fail(x, "names of arguments are strings, not a %s", jj_type_name(&stars.d->keys[i]));
		a->names[a->nkw] = stars.d->keys[i];
		a->kw[a->nkw] = stars.d->vals[i];
	}
	return 0;
}

/* A call; a method is called where it is found, without a value of its own. */
static int eval_call(struct jj_exec *x, const struct jj_node *n, struct jj_val *out)
{
	const struct jj_builtin *method = NULL;
	struct jj_val f, self;
	struct jj_args a;
	char name[32];

	if (n->a->type == JN_ATTR && n->a->value.len < sizeof name) {
		if (jj_eval(x, n->a->a, &self) < 0)
			return -1;
		memcpy(name, JJ_BYTES(&n->a->value), n->a->value.len);
		name[n->a->value.len] = 0;
		method = jj_find_method(&self, name);
		if (!method && jj_attr(x, &self, &n->a->value, &f) < 0)
			return -1;
	} else if (jj_eval(x, n->a, &f) < 0) {
		return -1;
	}
	if (jj_eval_args(x, n->call, &a) < 0)
		return -1;
	x->line = n->line;
	return method ? method->call(x, &self, &a, out) : jj_call(x, &f, &a, out);
}

int jj_filter(struct jj_exec *x, const struct jj_node *n, const struct jj_val *v, struct jj_val *out)
{
	struct jj_val in = *v;
	struct jj_args a;

	if (n->a && n->a->type == JN_FILTER && jj_filter(x, n->a, v, &in) < 0)
		return -1;
	if (!n->builtin)
		return jj_fail(x, "no filter named %s", jj_show(x, &n->value));
	if (jj_eval_args(x, n->call, &a) < 0)
		return -1;
	x->line = n->line;
	return n->builtin->call(x, &in, &a, out);
}

static int eval_filter(struct jj_exec *x, const struct jj_node *n, struct jj_val *out)
{
	struct jj_val v;
	struct jj_args a;

	if (!n->builtin)
		return jj_fail(x, "no %s named %s", n->type == JN_TEST ? "test" : "filter", jj_show(x, &n->value));
	if (jj_eval(x, n->a, &v) < 0 || jj_eval_args(x, n->call, &a) < 0)
		return -1;
	x->line = n->line;
	return n->builtin->call(x, &v, &a, out);
}

static int eval_slice(struct jj_exec *x, const struct jj_node *n, struct jj_val *out)
{
	const struct jj_node *part[3] = {n->b->a, n->b->b, n->b->c};
	struct jj_val v, abc[3];
	int i;

	if (jj_eval(x, n->a, &v) < 0)
		return -1;
	for (i = 0; i < 3; i++) {
		abc[i].kind = JJ_ABSENT;
		if (part[i] && jj_eval(x, part[i], &abc[i]) < 0)
			return -1;
	}
	return jj_slice(x, &v, abc, out);
}

static int eval_cond(struct jj_exec *x, const struct jj_node *n, struct jj_val *out)
{
	struct jj_val test;

	if (jj_eval(x, n->b, &test) < 0)
		return -1;
	if (jj_truth(&test))
		return jj_eval(x, n->a, out);
	return n->c ? jj_eval(x, n->c, out) :
	    jj_make_undef(x, out, NULL, NULL, "a condition without an else was false, and has no value");
}

static int eval_two(struct jj_exec *x, const struct jj_node *n, struct jj_val *out)
{
	struct jj_val a, b;

	if (jj_eval(x, n->a, &a) < 0)
		return -1;
	if (n->type == JN_AND || n->type == JN_OR) {
		if (jj_truth(&a) == (n->type == JN_OR)) {
			*out = a;
			return 0;
		}
		return jj_eval(x, n->b, out);
	}
	if (jj_eval(x, n->b, &b) < 0)
		return -1;
	x->line = n->line;
	return n->type == JN_ITEM ? jj_item(x, &a, &b, out) : jj_binary(x, (enum jj_op)n->op, &a, &b, out);
}

static int eval_one(struct jj_exec *x, const struct jj_node *n, struct jj_val *out)
{
	struct jj_val a;

	if (jj_eval(x, n->a, &a) < 0)
		return -1;
	switch (n->type) {
	case JN_NOT:
		*out = jj_bool(!jj_truth(&a));
		return 0;
	case JN_NEG:
		return jj_negate(x, &a, out);
	case JN_POS:
		if (!jj_is_number(&a))
			return a.kind == JJ_UNDEF ? jj_undefined(x, &a) : jj_fail(x, "a %s has no sign", jj_type_name(&a));
		*out = a.kind == JJ_BOOL ? jj_int(a.b) : a;
		return 0;
	default:
		x->line = n->line;
		return jj_attr(x, &a, &n->value, out);
	}
}

int jj_eval(struct jj_exec *x, const struct jj_node *n, struct jj_val *out)
{
	int r;

	if (n->type == JN_CONST) {
		*out = n->value;
		return n->flag ? jj_big_parse(x, JJ_BYTES(&n->value), n->value.len, false, out) : 0;
	}
	if (jj_enter(x) < 0)
		return -1;
	x->line = n->line;
	switch (n->type) {
	case JN_NAME:
		r = eval_name(x, n, out);
		break;
	case JN_TUPLE:
	case JN_LIST:
		r = eval_list(x, n, out);
		break;
	case JN_DICT:
		r = eval_dict(x, n, out);
		break;
	case JN_COND:
		r = eval_cond(x, n, out);
		break;
	case JN_CONCAT:
		r = eval_concat(x, n, out);
		break;
	case JN_COMPARE:
		r = eval_compare(x, n, out);
		break;
	case JN_CALL:
		r = eval_call(x, n, out);
		break;
	case JN_FILTER:
	case JN_TEST:
		r = eval_filter(x, n, out);
		break;
	case JN_AND:
	case JN_OR:
	case JN_BINARY:
		r = eval_two(x, n, out);
		break;
	case JN_ITEM:
		r = n->b->type == JN_SLICE ? eval_slice(x, n, out) : eval_two(x, n, out);
		break;
	case JN_SLICE:
		r = jj_fail(x, "a slice among several subscripts");
		break;
	default:
		r = eval_one(x, n, out);
		break;
	}
	x->depth--;
	return r;
}
