/* peft_gguf.c: adapters as GGUF files, and the rows of matrices between the orders of the two kinds of files. */
#include <stdlib.h>
#include <string.h>

#include "io/gguf.h"
#include "quant/quant.h"
#include "spec/peft_private.h"

/* ---- values ---- */

int peft_turn(const struct pm_lora_module *m, int which, float *v, bool to_gguf, struct pm_err *e)
{
	if (m->kind == PM_ADAPT_SAVE)
		return pm_gguf_turn(m->target, v, to_gguf, e);
	return which ? pm_gguf_permute(m->target, v, m->out, (size_t)m->r * sizeof *v, to_gguf, e) : 0;
}

static bool is_embedding(const struct pm_lora_module *m)
{
	return !strcmp(m->target->use, "embed");
}

int pm_lora_values(const struct pm_peft *p, size_t m, int which, float *out, struct pm_err *e)
{
	const struct pm_lora_module *mod = &p->module[m];
	const struct pm_view *v = which ? mod->b : mod->a;

	if (mod->experts)                       /* their rows lie alike in all files */
		return peft_stack_values(p, mod, which, out, e);
	pm_quant_to_f32(out, v->data, v->type, (size_t)pm_lora_count(mod, which));
	if (p->gguf && !which && is_embedding(mod) && spec_transpose(out, mod->in, mod->r, e) < 0)
		return -1;
	return p->to_gguf || p->to_hf ? peft_turn(mod, which, out, p->to_gguf, e) : 0;
}

/* ---- reading ---- */

struct reader {
	const char *path;
	const struct pm_spec *spec;
	struct pm_gguf *g;
	struct pm_lora_config c;
	const struct pm_tensor_spec **target;   /* one a pair */
	const struct pm_view **a, **b;
	size_t n;
};

static int want_key(const struct pm_gguf *g, const char *name, const char *wanted, struct pm_err *e)
{
	const struct pm_gguf_key *k = pm_gguf_key(g, name);
	json_t *v = k ? pm_gguf_value(k, e) : NULL;
	int r = 0;

	if (!k)
		r = pm_fail(e, PM_DATA, "no key '%s': \"%s\" was wanted", name, wanted);
	else if (!v)
		r = -1;
	else if (!json_is_string(v) || strcmp(json_string_value(v), wanted))
		r = pm_fail(e, PM_DATA, "'%s' is %s%.80s%s, \"%s\" was wanted", name, json_is_string(v) ? "\"" : "", json_is_string(v) ? json_string_value(v) : "no string",
			json_is_string(v) ? "\"" : "", wanted);
	json_decref(v);
	return r;
}

static const struct pm_tensor_spec *by_gguf(const struct pm_spec *s, const char *name, size_t len)
{
	size_t i;

	for (i = 0; i < s->ntensors; i++)
		if (s->tensor[i].gguf && strlen(s->tensor[i].gguf) == len && !memcmp(s->tensor[i].gguf, name, len))
			return &s->tensor[i];
	return NULL;
}

/* Every tensor is one of a pair; NAME is that of a tensor of the model. */
static int find_pairs(struct reader *x, struct pm_err *e)
{
	static const char end_a[] = ".lora_a", end_b[] = ".lora_b";
	size_t i, count = pm_gguf_count(x->g);

	x->target = pm_arena_alloc(&x->c.arena, count, sizeof *x->target, e);
	x->a = pm_arena_alloc(&x->c.arena, count, sizeof *x->a, e);
	x->b = pm_arena_alloc(&x->c.arena, count, sizeof *x->b, e);
	if (!x->target || !x->a || !x->b)
		return -1;
	for (i = 0; i < count; i++) {
		const struct pm_view *v = pm_gguf_at(x->g, i);
		size_t len = strlen(v->name), stem = len < sizeof end_a ? 0 : len - (sizeof end_a - 1);
		char other[1024];

		if (!stem || stem >= sizeof other - sizeof end_b || (strcmp(v->name + stem, end_a) && strcmp(v->name + stem, end_b)))
			return pm_fail(e, PM_DATA, "tensor '%.200s': names that end in .lora_a or .lora_b were wanted", v->name);
		snprintf(other, sizeof other, "%.*s%s", (int)stem, v->name, strcmp(v->name + stem, end_a) ? end_a : end_b);
		if (!pm_gguf_find(x->g, other))
			return pm_fail(e, PM_DATA, "tensor '%.200s': there is no '%.200s' beside it", v->name, other);
		if (strcmp(v->name + stem, end_a)) {
			if (pm_gguf_find(x->g, other)->nd != v->nd)
				return pm_fail(e, PM_DATA, "tensor '%.200s': as many dimensions as '%.200s' has were wanted", v->name, other);
			continue;
		}
		x->target[x->n] = by_gguf(x->spec, v->name, stem);
		if (!x->target[x->n])
			return pm_fail(e, PM_DATA, "tensor '%.200s': the model has no '%.*s'", v->name, (int)stem, v->name);
		if (x->target[x->n]->gguf_up)
			return pm_fail(e, PM_DATA, "tensor '%.200s': the model has gate and up in one, an adapter of a half of it is not computed here", v->name);
		if (v->nd != (x->target[x->n]->experts ? 3 : 2))
			return pm_fail(e, PM_DATA, "tensor '%.200s': %d dimensions were wanted", v->name, x->target[x->n]->experts ? 3 : 2);
		x->a[x->n] = v;
		x->b[x->n++] = pm_gguf_find(x->g, other);
	}
	return x->n ? 0 : pm_fail(e, PM_DATA, "it has no tensors");
}

static int64_t rank_of(const struct reader *x, size_t i)
{
	return (int64_t)x->b[i]->dim[x->b[i]->nd - 1];
}

/* The modules of a tensor: its own, or one an expert. */
static int add_names(const char **names, size_t *n, const struct pm_tensor_spec *t, struct pm_arena *a, struct pm_err *e)
{
	char name[PM_SPEC_NAME];
	int64_t i;

	for (i = 0; i < (strstr(t->module, "{}") ? t->experts : 1); i++)
		if (!(names[(*n)++] = pm_arena_printf(a, e, "%s", pm_spec_name(name, t->module, i))))
			return -1;
	return 0;
}

/* A pattern of their names: as PEFT writes it, the name itself; with a number for the expert's. */
static const char *as_pattern(const struct pm_tensor_spec *t, struct pm_arena *a, struct pm_err *e)
{
	const char *mark = strstr(t->module, "{}");

	return mark ? pm_arena_printf(a, e, "%.*s[0-9]+%s", (int)(mark - t->module), t->module, mark + 2) : t->module;
}

/* Modules by their full names; the most common rank, and a pattern for each that has another. */
static int make_config(struct reader *x, struct pm_err *e)
{
	const char **names;
	const struct pm_tensor_spec **stacks = pm_arena_alloc(&x->c.arena, x->n + 1, sizeof *stacks, e);
	struct pm_pattern *rank = pm_arena_alloc(&x->c.arena, x->n, sizeof *rank, e);
	size_t i, j, n, best = 0, k = 0, all = x->n;

	if (!rank || !stacks)
		return -1;
	for (i = 0; i < x->n; i++)
		if (x->target[i]->experts) {
			stacks[k++] = x->target[i];
			all += (size_t)x->target[i]->experts;
		}
	x->c.stacks = k ? stacks : NULL;
	names = pm_arena_alloc(&x->c.arena, all + 1, sizeof *names, e);
	for (i = 0; names && i < x->n; i++) {
		for (j = n = 0; j < x->n; j++)
			n += rank_of(x, j) == rank_of(x, i);
		if (n > best) {
			best = n;
			x->c.r = rank_of(x, i);
		}
		if (best == x->n)
			break;
	}
	for (i = n = 0; names && i < x->n; i++) {
		if (add_names(names, &n, x->target[i], &x->c.arena, e) < 0)
			return -1;
		if (rank_of(x, i) == x->c.r)
			continue;
		rank[x->c.nrank].value = (double)rank_of(x, i);
		if (!(rank[x->c.nrank++].regex = as_pattern(x->target[i], &x->c.arena, e)))
			return -1;
	}
	x->c.targets = names;
	x->c.rank_pattern = rank;
	return names ? 0 : -1;
}

/* The last parts of the names alone, where they mean the same modules: as whoever made the adapter is likely to have said it. */
static int shorten(struct pm_lora_config *c, size_t *n, struct pm_err *e)
{
	const char **list = pm_arena_alloc(&c->arena, *n + 1, sizeof *list, e);
	size_t i, j, k = 0;

	for (i = 0; list && c->targets[i]; i++) {
		const char *dot = strrchr(c->targets[i], '.'), *last = dot ? dot + 1 : c->targets[i];

		for (j = 0; j < k && strcmp(list[j], last); j++)
			;
		if (j == k)
			list[k++] = last;
	}
	*n = k;
	c->targets = list;
	return list ? 0 : -1;
}

static int take_views(struct pm_peft *p, const struct reader *x, struct pm_err *e)
{
	size_t i, j;

	for (i = 0; i < p->nmodules; i++) {
		struct pm_lora_module *m = &p->module[i];
		bool turned = is_embedding(m);

		for (j = 0; j < x->n && x->target[j] != m->target; j++)
			;
		if (j == x->n)
			return pm_fail(e, PM_DATA, "no matrices for '%.200s'", m->target->gguf);
		m->a = x->a[j];
		m->b = x->b[j];
		if (m->experts && m->a->dim[0] == (uint64_t)m->experts && m->b->dim[0] == (uint64_t)m->experts && m->a->dim[1] == (uint64_t)m->r &&
		    m->a->dim[2] == (uint64_t)m->in && m->b->dim[1] == (uint64_t)m->out && m->b->dim[2] == (uint64_t)m->r)
			continue;
		if (m->experts || m->a->dim[turned] != (uint64_t)m->r || m->a->dim[!turned] != (uint64_t)m->in || m->b->dim[0] != (uint64_t)m->out || m->b->dim[1] != (uint64_t)m->r)
			return pm_fail(e, PM_DATA, "tensor '%.200s': [%llu, %llu] and [%llu, %llu] are no adapter of [%lld, %lld]", m->a->name,
				(unsigned long long)m->a->dim[0], (unsigned long long)m->a->dim[1], (unsigned long long)m->b->dim[0], (unsigned long long)m->b->dim[1],
				(long long)m->out, (long long)m->in);
	}
	return 0;
}

static int match(struct pm_peft **out, struct reader *x, struct pm_err *e)
{
	const char *const *full = x->c.targets;
	struct pm_err dummy = {0};
	size_t n = x->n;

	if (shorten(&x->c, &n, e) < 0)
		return -1;
	if (n < x->n && pm_peft_match(out, &x->c, x->spec, &dummy) == 0) {
		if ((*out)->nmodules == x->n)
			return 0;
		pm_peft_free(*out);
	}
	x->c.targets = full;
	return pm_peft_match(out, &x->c, x->spec, e);
}

int peft_open_gguf(struct pm_peft **out, const char *path, const struct pm_spec *s, struct pm_err *e)
{
	struct reader x = {.path = path, .spec = s};
	struct pm_peft *p = NULL;
	const struct pm_gguf_key *alpha;
	int r = pm_gguf_open(&x.g, path, e);

	if (r < 0)
		return -1;
	r = want_key(x.g, "general.type", "adapter", e);
	if (r == 0)
		r = want_key(x.g, "adapter.type", "lora", e);
	if (r == 0)
		r = s->arch ? want_key(x.g, "general.architecture", s->arch, e) : pm_fail(e, PM_DATA, "GGUF files have no models of the family %s", s->family);
	alpha = pm_gguf_key(x.g, "adapter.lora.alpha");
	if (r == 0)
		r = alpha ? pm_gguf_real(&x.c.alpha, alpha, 0, e) : pm_fail(e, PM_DATA, "no key 'adapter.lora.alpha'");
	if (r == 0 && (find_pairs(&x, e) < 0 || make_config(&x, e) < 0 || match(&p, &x, e) < 0 || take_views(p, &x, e) < 0))
		r = -1;
	pm_arena_free(&x.c.arena);
	if (r < 0) {
		pm_peft_free(p);
		pm_gguf_close(x.g);
		return pm_ctx(e, "%s", path);
	}
	p->gguf = x.g;
	p->to_hf = !s->from_gguf;
	*out = p;
	return 0;
}

/* ---- writing ---- */

/* alpha of the file, with which the scale of most modules comes out right: alpha / r is theirs. */
static double alpha_of(const struct pm_peft *p)
{
	return p->nmodules ? p->module[0].scale * (double)p->module[0].r : 1;
}

static int declare(struct pm_gguf_writer *w, const struct pm_lora_module *m, struct pm_err *e)
{
	uint64_t a[3] = {(uint64_t)m->experts, (uint64_t)m->r, (uint64_t)m->in}, b[3] = {(uint64_t)m->experts, (uint64_t)m->out, (uint64_t)m->r};
	const int skip = m->experts ? 0 : 1;
	char name[1024];

	if (m->kind == PM_ADAPT_SAVE)
		return pm_fail(e, PM_DATA, "'%.200s' is saved whole: GGUF adapters have no such modules", m->name_a);
	if (!m->target->gguf)
		return pm_fail(e, PM_DATA, "'%.200s' has no name in GGUF files", m->name_a);
	if (m->target->gguf_up)
		return pm_fail(e, PM_DATA, "'%.200s' has gate and up in one: GGUF adapters of those are not written here", m->target->fused);
	if (is_embedding(m)) {
		a[1] = (uint64_t)m->in;
		a[2] = (uint64_t)m->r;
	}
	snprintf(name, sizeof name, "%s.lora_a", m->target->gguf);
	if (pm_gguf_declare(w, name, PM_F32, 3 - skip, a + skip, e) < 0)
		return -1;
	snprintf(name, sizeof name, "%s.lora_b", m->target->gguf);
	return pm_gguf_declare(w, name, PM_F32, 3 - skip, b + skip, e);
}

static int put_module(struct pm_gguf_writer *w, const struct pm_peft *p, size_t i, double alpha,
	int (*get)(void *arg, size_t m, int which, float *out, struct pm_err *e), void *arg, struct pm_err *e)
{
	const struct pm_lora_module *m = &p->module[i];
	size_t na = (size_t)pm_lora_count(m, 0), nb = (size_t)pm_lora_count(m, 1), k;
	float *v = pm_alloc(na > nb ? na : nb, sizeof *v, e), rest = (float)(m->scale * (double)m->r / alpha);
	int r = v ? get(arg, i, 0, v, e) : -1;

	if (r == 0 && is_embedding(m))
		r = spec_transpose(v, m->r, m->in, e);
	if (r == 0)
		r = pm_gguf_put(w, v, na * sizeof *v, e);
	if (r == 0)
		r = get(arg, i, 1, v, e);
	if (r == 0 && !p->model_gguf)
		r = peft_turn(m, 1, v, true, e);
	for (k = 0; r == 0 && rest != 1 && k < nb; k++)
		v[k] *= rest;
	if (r == 0)
		r = pm_gguf_put(w, v, nb * sizeof *v, e);
	free(v);
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(const struct pm_lora_module *const *)a)->name_a, (*(const struct pm_lora_module *const *)b)->name_a);
}

static int put_keys(struct pm_gguf_writer *w, const char *arch, const char *name, double alpha, struct pm_err *e)
{
	const char *const words[][2] = {{"general.architecture", arch}, {"general.type", "adapter"}, {"adapter.type", "lora"}, {"general.name", name}};
	size_t i;

	for (i = 0; i < sizeof words / sizeof *words; i++)
		if (pm_gguf_put_string(w, words[i][0], words[i][1], strlen(words[i][1]), e) < 0)
			return -1;
	return pm_gguf_put_real(w, "adapter.lora.alpha", PM_GGUF_F32, alpha, e) < 0 ? -1 : pm_gguf_put_int(w, "general.quantization_version", PM_GGUF_U32, 2, e);
}

int pm_peft_write_gguf(const struct pm_peft *p, const struct pm_spec *s, const char *path, const char *name,
	int (*get)(void *arg, size_t m, int which, float *out, struct pm_err *e), void *arg, struct pm_err *e)
{
	const struct pm_lora_module **order = pm_alloc(p->nmodules, sizeof *order, e);
	struct pm_gguf_writer *w = NULL;
	double alpha = alpha_of(p);
	size_t i;
	int r = order ? 0 : -1;

	if (r == 0 && !s->arch)
		r = pm_fail(e, PM_DATA, "GGUF files have no models of the family %s", s->family);
	if (r == 0)
		r = pm_gguf_begin(&w, path, 0, e);
	for (i = 0; r == 0 && i < p->nmodules; i++)
		order[i] = &p->module[i];
	if (r == 0) {
		qsort(order, p->nmodules, sizeof *order, by_name);
		r = put_keys(w, s->arch, name, alpha, e);
	}
	for (i = 0; r == 0 && i < p->nmodules; i++)
		r = declare(w, order[i], e);
	for (i = 0; r == 0 && i < p->nmodules; i++)
		r = put_module(w, p, (size_t)(order[i] - p->module), alpha, get, arg, e);
	free(order);
	if (r == 0)
		return pm_gguf_end(w, e);
	if (w)
		pm_gguf_abort(w);
	return -1;
}
