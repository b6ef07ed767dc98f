#include <string.h>

#include "text/jinja_private.h"

int jj_set(struct jj_exec *x, uint32_t sym, const struct jj_val *v)
{
	struct jj_scope *s = x->scope;
	struct jj_var *grown;
	uint32_t i;

	if (x->follow && v->kind == JJ_DICT && v->d->message >= 0)
		x->message = v->d->message;
	if (!s->up) {
		x->root[sym] = *v;
		return 0;
	}
	for (i = 0; i < s->n; i++) {
		if (s->vars[i].sym == sym) {
			s->vars[i].v = *v;
			return 0;
		}
	}
	if (s->n == s->cap) {
		s->cap = s->cap ? 2 * s->cap : 8;
		grown = jj_alloc(x, s->cap, sizeof *grown);
		if (!grown)
			return -1;
		if (s->n)
			memcpy(grown, s->vars, s->n * sizeof *grown);
		s->vars = grown;
	}
	s->vars[s->n++] = (struct jj_var){sym, *v};
	return 0;
}

/* Runs a body in a scope of its own. */
static int in_scope(struct jj_exec *x, struct jj_scope *s, struct jj_scope *up, const struct jj_node *body)
{
	struct jj_scope *was = x->scope;
	int r;

	s->up = up;
	x->scope = s;
	r = jj_exec(x, body);
	x->scope = was;
	return r;
}

static struct jj_scope *scope(struct jj_exec *x)
{
	return jj_alloc(x, 1, sizeof(struct jj_scope));
}

/* The same, with what it writes as a string. */
static int captured(struct jj_exec *x, struct jj_scope *up, const struct jj_node *body, struct jj_val *out)
{
	struct jj_scope *s = scope(x);
	struct jj_val text, *was = x->out;
	int r;

	if (!s || jj_str_begin(x, &text) < 0)
		return -1;
	x->out = &text;
	r = in_scope(x, s, up, body);
	x->out = was;
	*out = text;
	return r;
}

/* Binds a target: a name, an attribute of a namespace, several names. */
static int assign(struct jj_exec *x, const struct jj_node *target, const struct jj_val *v)
{
	struct jj_val list, *space;
	uint32_t i;

	if (target->type == JN_NAME)
		return jj_set(x, target->sym, v);
	if (target->type == JN_NSREF) {
		space = jj_lookup(x, target->sym);
		if (!space || space->kind != JJ_SPACE)
			return jj_fail(x, "attributes can be set on a namespace, %s is none", jj_show(x, &x->t->syms[target->sym]));
		if (*JJ_BYTES(&target->value) == '_')
			return jj_fail(x, "namespace: names do not begin with '_'");
		return jj_dict_set(x, space, &target->value, v);
	}
	if (jj_items(x, v, &list) < 0)
		return -1;
	if (list.len != target->nkids)
		return jj_fail(x, "%u names for %u values", target->nkids, list.len);
	for (i = 0; i < list.len; i++)
		if (assign(x, target->kids[i], JJ_AT(&list, i)) < 0)
			return -1;
	return 0;
}

/* --- loops --- */

/* The message that an item of a loop is, or has in it (an item of a list of pairs); −1: none. */
static int32_t message_of(const struct jj_val *v)
{
	uint32_t i;

	if (v->kind == JJ_DICT)
		return v->d->message;
	for (i = 0; v->kind == JJ_LIST && v->shape == JJ_TUPLE && i < v->len; i++)
		if (JJ_AT(v, i)->kind == JJ_DICT && JJ_AT(v, i)->d->message >= 0)
			return JJ_AT(v, i)->d->message;
	return -1;
}

/* The items for which the loop's condition holds. */
static int chosen(struct jj_exec *x, const struct jj_node *n, struct jj_scope *s, struct jj_val *list)
{
	struct jj_val kept, test;
	uint32_t i;

	if (jj_list(x, &kept, 0, JJ_PLAIN) < 0)
		return -1;
	for (i = 0; i < list->len; i++) {
		s->n = 0;
		if (assign(x, n->a, JJ_AT(list, i)) < 0 || jj_eval(x, n->c, &test) < 0)
			return -1;
		if (jj_truth(&test) && jj_list_add(x, &kept, JJ_AT(list, i)) < 0)
			return -1;
	}
	*list = kept;
	return 0;
}

/* Goes through a list; the loop's own scope is x->scope. */
static int rounds(struct jj_exec *x, struct jj_loop *l, const struct jj_val *self)
{
	bool follow = x->follow;
	int32_t message = x->message, m;
	struct jj_scope *s = x->scope;
	int r = 0;

	for (l->i = 0; l->i < l->n; l->i++) {
		if (s->captured) {
			struct jj_scope *fresh = scope(x);

			if (!fresh)
				return -1;
			fresh->up = s->up;
			x->scope = s = fresh;
		}
		s->n = 0;
		x->message = message;
		m = message_of(&l->v[l->i]);
		if (m >= 0)
			x->message = m;
		x->follow = m < 0;
		if (jj_set(x, JS_LOOP, self) < 0 || assign(x, l->node->a, &l->v[l->i]) < 0 || (r = jj_exec(x, l->node->kids[0])) < 0)
			return -1;
		if (r == 1)
			break;
	}
	x->message = message;
	x->follow = follow;
	return 0;
}

static int loop_over(struct jj_exec *x, const struct jj_node *n, struct jj_scope *up, const struct jj_val *iterable, unsigned depth)
{
	struct jj_loop *l = jj_alloc(x, 1, sizeof *l);
	struct jj_scope *was = x->scope, *s = scope(x);
	struct jj_val list, self = {.kind = JJ_LOOP, .loop = l};
	int r = 0;

	if (!l || !s || jj_items(x, iterable, &list) < 0)
		return -1;
	s->up = up;
	x->scope = s;
	if (n->c)
		r = chosen(x, n, s, &list);
	*l = (struct jj_loop){.v = list.len ? JJ_AT(&list, 0) : NULL, .n = list.len, .depth = depth, .node = n, .scope = up};
	if (r == 0 && list.len)
		r = rounds(x, l, &self);
	else if (r == 0 && n->nkids > 1)
		r = (s->n = 0, jj_exec(x, n->kids[1]));
	x->scope = was;
	return r;
}

static int exec_for(struct jj_exec *x, const struct jj_node *n)
{
	struct jj_val v;

	return jj_eval(x, n->b, &v) < 0 ? -1 : loop_over(x, n, x->scope, &v, 0);
}

int jj_call_loop(struct jj_exec *x, struct jj_loop *l, const struct jj_args *a, struct jj_val *out)
{
	struct jj_val arg, text, *was = x->out;
	int r;

	if (!l->node->flag)
		return jj_fail(x, "the loop is not recursive, and cannot be called");
	if (jj_bind(x, "loop", a, "iterable", &arg) < 0 || jj_str_begin(x, &text) < 0)
		return -1;
	x->out = &text;
	r = loop_over(x, l->node, l->scope, &arg, l->depth + 1);
	x->out = was;
	*out = text;
	return r;
}

/* --- macros --- */

static bool is_param(const struct jj_exec *x, const struct jj_params *q, const struct jj_val *name, uint32_t from)
{
	const struct jj_val *s;
	uint32_t i;

	for (i = from; i < q->n; i++) {
		s = &x->t->syms[q->sym[i]];
		if (s->len == name->len && !memcmp(JJ_BYTES(s), JJ_BYTES(name), s->len))
			return true;
	}
	return false;
}

/* What is given beyond the parameters: `caller`, varargs and kwargs where the body asks for them; else an error. */
static int extra_args(struct jj_exec *x, const struct jj_node *n, const struct jj_args *a)
{
	const struct jj_params *q = n->params;
	struct jj_val rest, caller = {.kind = JJ_ABSENT}, more;
	uint32_t i;

	if (jj_dict(x, &rest) < 0 || jj_list(x, &more, 0, JJ_TUPLE) < 0)
		return -1;
	for (i = 0; i < a->nkw; i++) {
		if (is_param(x, q, &a->names[i], a->npos))
			continue;
		if (jj_is(&a->names[i], "caller") && q->caller)
			caller = a->kw[i];
		else if (!q->kwargs)
			return jj_fail(x, "macro %s takes no argument named %s", jj_show(x, &n->value), jj_show(x, &a->names[i]));
		else if (jj_dict_set(x, &rest, &a->names[i], &a->kw[i]) < 0)
			return -1;
	}
	if (a->npos > q->n && !q->varargs)
		return jj_fail(x, "macro %s takes %u arguments, not %u", jj_show(x, &n->value), q->n, a->npos);
	for (i = q->n; i < a->npos; i++)
		if (jj_list_add(x, &more, &a->pos[i]) < 0)
			return -1;
	if (q->caller && caller.kind == JJ_ABSENT && jj_make_undef(x, &caller, NULL, NULL, "no caller is defined") < 0)
		return -1;
	if ((q->caller && jj_set(x, JS_CALLER, &caller) < 0) || (q->varargs && jj_set(x, JS_VARARGS, &more) < 0) ||
	    (q->kwargs && jj_set(x, JS_KWARGS, &rest) < 0))
		return -1;
	return 0;
}

static int bind_params(struct jj_exec *x, const struct jj_node *n, const struct jj_args *a)
{
	const struct jj_params *q = n->params;
	const struct jj_val *name;
	struct jj_val v;
	uint32_t i, k;

	for (i = 0; i < q->n; i++) {
		name = &x->t->syms[q->sym[i]];
		v.kind = JJ_ABSENT;
		if (i < a->npos)
			v = a->pos[i];
		for (k = 0; i >= a->npos && k < a->nkw; k++)
			if (a->names[k].len == name->len && !memcmp(JJ_BYTES(&a->names[k]), JJ_BYTES(name), name->len))
				v = a->kw[k];
		if (v.kind == JJ_ABSENT && i >= q->n - q->nfallback) {
			if (jj_eval(x, q->fallback[i - (q->n - q->nfallback)], &v) < 0)
				return -1;
		} else if (v.kind == JJ_ABSENT && jj_make_undef(x, &v, NULL, name, "a parameter of a macro was not given") < 0) {
			return -1;
		}
		if (jj_set(x, q->sym[i], &v) < 0)
			return -1;
	}
	return extra_args(x, n, a);
}

int jj_call_macro(struct jj_exec *x, struct jj_macro *m, const struct jj_args *a, struct jj_val *out)
{
	const struct jj_node *n = m->node;
	struct jj_scope *was = x->scope, *s = scope(x);
	struct jj_val text, *was_out = x->out;
	int32_t message = x->message;
	bool follow = x->follow;
	uint32_t i;
	int r;

	if (!s || jj_str_begin(x, &text) < 0 || jj_enter(x) < 0)
		return -1;
	for (i = 0; x->message < 0 && i < a->npos; i++)
		x->message = message_of(&a->pos[i]);
	x->follow = false;
	s->up = m->scope;
	x->scope = s;
	x->out = &text;
	r = bind_params(x, n, a);
	if (r == 0)
		r = jj_exec(x, n->type == JN_MACRO ? n->a : n->b);
	x->scope = was;
	x->out = was_out;
	x->message = message;
	x->follow = follow;
	x->depth--;
	*out = text;
	return r;
}

static int make_macro(struct jj_exec *x, const struct jj_node *n, struct jj_val *out)
{
	struct jj_macro *m = jj_alloc(x, 1, sizeof *m);
	struct jj_scope *s;

	if (!m)
		return -1;
	m->node = n;
	m->scope = x->scope;
	for (s = x->scope; s; s = s->up)
		s->captured = true;
	*out = (struct jj_val){.kind = JJ_MACRO, .macro = m};
	return 0;
}

static int exec_callblock(struct jj_exec *x, const struct jj_node *n)
{
	struct jj_val f, caller, v;
	struct jj_args a;

	if (make_macro(x, n, &caller) < 0 || jj_eval(x, n->a->a, &f) < 0 || jj_eval_args(x, n->a->call, &a) < 0)
		return -1;
	a.names[a.nkw] = x->t->syms[JS_CALLER];
	a.kw[a.nkw++] = caller;
	if (jj_call(x, &f, &a, &v) < 0 || jj_to_str(x, &v, &v) < 0)
		return -1;
	return jj_emit(x, &v);
}

/* --- other statements --- */

static int exec_generation(struct jj_exec *x, const struct jj_node *n)
{
	struct pm_jinja_result *out = x->result;
	struct jj_scope *s = scope(x);
	uint32_t mark = x->mark, from = x->out->len;
	bool main = x->out == x->main;
	int r;

	if (!s)
		return -1;
	x->mark = ++x->nmarks;
	r = in_scope(x, s, x->scope, n->a);
	x->mark = mark;
	if (r < 0 || !main)
		return r;
	if (pm_grow(&out->spans, &out->cap_spans, out->nspans + 1, sizeof *out->spans, x->e) < 0)
		return -1;
	out->spans[out->nspans++] = (struct pm_jinja_span){from, x->out->len};
	return r;
}

static int exec_print(struct jj_exec *x, const struct jj_node *n)
{
	struct jj_val v;
	uint32_t i;

	for (i = 0; i < n->nkids; i++)
		if (jj_eval(x, n->kids[i], &v) < 0 || jj_to_str(x, &v, &v) < 0 || jj_emit(x, &v) < 0)
			return -1;
	return 0;
}

static int exec_if(struct jj_exec *x, const struct jj_node *n)
{
	struct jj_val v;

	for (; n && n->type == JN_IF; n = n->c) {
		if (jj_eval(x, n->a, &v) < 0)
			return -1;
		if (jj_truth(&v))
			return jj_exec(x, n->b);
	}
	return n ? jj_exec(x, n) : 0;
}

static int exec_set(struct jj_exec *x, const struct jj_node *n)
{
	struct jj_val v;

	if (n->type == JN_SET) {
		if (jj_eval(x, n->b, &v) < 0)
			return -1;
	} else if (captured(x, x->scope, n->c, &v) < 0 || (n->b && jj_filter(x, n->b, &v, &v) < 0)) {
		return -1;
	}
	return assign(x, n->a, &v);
}

static int exec_with(struct jj_exec *x, const struct jj_node *n)
{
	struct jj_scope *was = x->scope, *s = scope(x);
	struct jj_val *v = jj_alloc(x, n->nkids / 2 + 1, sizeof *v);
	uint32_t i;
	int r = 0;

	if (!s || !v)
		return -1;
	for (i = 0; i < n->nkids; i += 2)
		if (jj_eval(x, n->kids[i + 1], &v[i / 2]) < 0)
			return -1;
	s->up = was;
	x->scope = s;
	for (i = 0; r == 0 && i < n->nkids; i += 2)
		r = assign(x, n->kids[i], &v[i / 2]);
	if (r == 0)
		r = jj_exec(x, n->a);
	x->scope = was;
	return r;
}

static int exec_one(struct jj_exec *x, const struct jj_node *n)
{
	struct jj_scope *s;
	struct jj_val v;

	switch (n->type) {
	case JN_TEXT:
		return jj_emit(x, &n->value);
	case JN_PRINT:
		return exec_print(x, n);
	case JN_IF:
		return exec_if(x, n);
	case JN_FOR:
		return exec_for(x, n);
	case JN_SET:
	case JN_SETBLOCK:
		return exec_set(x, n);
	case JN_MACRO:
		return make_macro(x, n, &v) < 0 ? -1 : jj_set(x, n->sym, &v);
	case JN_CALLBLOCK:
		return exec_callblock(x, n);
	case JN_FILTERBLOCK:
		return captured(x, x->scope, n->b, &v) < 0 || jj_filter(x, n->a, &v, &v) < 0 || jj_to_str(x, &v, &v) < 0 ? -1 : jj_emit(x, &v);
	case JN_WITH:
		return exec_with(x, n);
	case JN_BREAK:
		return 1;
	case JN_CONTINUE:
		return 2;
	case JN_GENERATION:
		return exec_generation(x, n);
	default:
		s = scope(x);
		return s ? in_scope(x, s, &x->top, n->a) : -1;
	}
}

int jj_exec(struct jj_exec *x, const struct jj_node *n)
{
	uint32_t i;
	int r = 0;

	if (jj_enter(x) < 0)
		return -1;
	for (i = 0; r == 0 && i < n->nkids; i++) {
		x->line = n->kids[i]->line;
		++x->steps;
		r = exec_one(x, n->kids[i]);
	}
	x->depth--;
	return r;
}
