#include "text/jinja.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text/jinja_private.h"
#include "text/unicode.h"

int pm_jinja_new(struct pm_jinja **out, const char *text, size_t n, const char *name, struct pm_err *e)
{
	static const char *const always[] = {[JS_LOOP] = "loop", [JS_CALLER] = "caller", [JS_VARARGS] = "varargs", [JS_KWARGS] = "kwargs"};
	struct pm_jinja *t = pm_alloc(1, sizeof *t, e);
	struct jj_token *tokens = NULL;
	struct jj_parser p = {.t = t, .e = e};
	size_t ntokens, i;
	int r = -1;

	*out = NULL;
	if (!t)
		return -1;
	t->name = pm_strdup(name, e);
	if (!t->name) {
		free(t);
		return -1;
	}
	if (n > UINT32_MAX / 4)
		pm_fail(e, PM_DATA, "%s: a template of %zu bytes is too long", name, n);
	else if (pm_utf8_valid(text, n) != n)
		pm_fail(e, PM_DATA, "%s: is not UTF-8", name);
	else
		r = 0;
	for (i = 0; r == 0 && i < sizeof always / sizeof *always; i++)
		r = jj_sym(&p, always[i], strlen(always[i])) == UINT32_MAX ? -1 : 0;
	if (r == 0)
		r = jj_lex(t, text, n, &tokens, &ntokens, e);
	if (r == 0)
		r = jj_parse(t, tokens, e);
	free(tokens);
	if (r < 0)
		pm_jinja_free(t);
	else
		*out = t;
	return r;
}

void pm_jinja_free(struct pm_jinja *t)
{
	if (!t)
		return;
	pm_arena_free(&t->arena);
	free(t->syms);
	free(t->name);
	free(t);
}

const char *pm_jinja_name(const struct pm_jinja *t)
{
	return t->name;
}

bool pm_jinja_marks(const struct pm_jinja *t)
{
	return t->marks;
}

void pm_jinja_result_free(struct pm_jinja_result *r)
{
	pm_str_free(&r->text);
	free(r->runs);
	free(r->spans);
	memset(r, 0, sizeof *r);
}

int jj_fail(struct jj_exec *x, const char *fmt, ...)
{
	char text[1000];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	return pm_fail(x->e, PM_DATA, "%s: line %u: %s", x->t->name, x->line, text);
}

int jj_steps(struct jj_exec *x, uint64_t n)
{
	x->steps += n;
	return x->steps > x->max_steps ? jj_fail(x, "it takes more than %llu steps", (unsigned long long)x->max_steps) : 0;
}

void *jj_alloc(struct jj_exec *x, size_t n, size_t size)
{
	void *p;

	if (n > x->max_memory / size || n * size > x->max_memory - x->memory) {
		jj_fail(x, "it takes more than %llu bytes of memory", (unsigned long long)x->max_memory);
		return NULL;
	}
	x->memory += n * size;
	p = pm_arena_alloc(&x->arena, n, size, x->e);
	return p;
}

/* Messages know which one they are; what another variable holds is other text, but for the tokenizer's tokens. */
static int give(struct jj_exec *x, const char *key, const json_t *v, struct jj_val *out)
{
	struct jj_tag other = {PM_JINJA_OTHER, -1, -1, 0}, own = {PM_JINJA_TEMPLATE, -1, -1, 0};
	size_t n = strlen(key), i;

	if (strcmp(key, "messages") != 0 || !json_is_array(v))
		return jj_from_json(x, out, v, n > 6 && !strcmp(key + n - 6, "_token") ? own : other, -1);
	if (json_array_size(v) > INT32_MAX || jj_list(x, out, json_array_size(v), JJ_PLAIN) < 0)
		return -1;
	for (i = 0; i < json_array_size(v); i++) {
		struct jj_tag tag = {PM_JINJA_MESSAGE, (int32_t)i, -1, 0};

		if (jj_from_json(x, JJ_AT(out, i), json_array_get(v, i), tag, (int32_t)i) < 0)
			return -1;
	}
	return 0;
}

/* The variables that the template names, and the functions where no variable has their name. */
static int variables(struct jj_exec *x, const json_t *vars)
{
	const struct jj_builtin *f;
	struct jj_bound *b;
	char name[64] = "";
	const json_t *v;
	size_t i;

	x->root = jj_alloc(x, x->t->nsyms, sizeof *x->root);
	x->given = jj_alloc(x, x->t->nsyms, sizeof *x->given);
	if (!x->root || !x->given)
		return -1;
	for (i = 0; i < x->t->nsyms; i++) {
		const struct jj_val *s = &x->t->syms[i];
		char *key = s->len < sizeof name ? name : jj_alloc(x, s->len + 1, 1);

		if (!key)
			return -1;
		memcpy(key, JJ_BYTES(s), s->len);
		key[s->len] = 0;
		v = json_object_get(vars, key);
		if (v) {
			if (give(x, key, v, &x->given[i]) < 0)
				return -1;
		} else if ((f = jj_find_func(key))) {
			if (!(b = jj_alloc(x, 1, sizeof *b)))
				return -1;
			b->f = f;
			x->given[i] = (struct jj_val){.kind = JJ_FUNC, .fn = b};
		}
	}
	return 0;
}

static int take_result(struct jj_exec *x, struct pm_jinja_result *out)
{
	const struct jj_bytes *b = x->main->s;
	uint32_t i;

	if (pm_str_put(&out->text, b->data, x->main->len, x->e) < 0 || pm_grow(&out->runs, &out->cap_runs, b->nruns, sizeof *out->runs, x->e) < 0)
		return -1;
	for (i = 0; i < b->nruns; i++)
		out->runs[i] = (struct pm_jinja_run){b->runs[i].to, (enum pm_jinja_origin)b->runs[i].tag.origin, b->runs[i].tag.message,
			b->runs[i].tag.turn, b->runs[i].tag.mark};
	out->nruns = b->nruns;
	return 0;
}

int pm_jinja_render(const struct pm_jinja *t, const json_t *vars, const struct pm_jinja_opts *o, struct pm_jinja_result *out, struct pm_err *e)
{
	struct jj_val text = {.kind = JJ_ABSENT};
	struct jj_exec x = {.t = t, .o = o, .result = out, .message = -1, .e = e, .line = 1,
		.max_steps = o && o->steps ? o->steps : 100000000, .max_memory = o && o->memory ? o->memory : (uint64_t)1 << 30};
	int r;

	pm_str_clear(&out->text);
	out->nruns = out->nspans = 0;
	x.scope = &x.top;
	x.out = x.main = &text;
	r = jj_str_begin(&x, &text);
	if (r == 0)
		r = variables(&x, vars);
	if (r == 0)
		r = jj_exec(&x, t->body);
	if (r == 0)
		r = take_result(&x, out);
	pm_arena_free(&x.arena);
	return r;
}
