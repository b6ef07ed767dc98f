/* check.c: a store held against a spec: whose its tensors are, and whether all are there. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "spec/name_match.h"
#include "spec/spec.h"

#define NAMED 3         /* of each kind of fault */

/* A name of a tensor, and whose it is. */
struct claim {
	const char *name;
	struct pm_owner of;
	bool copy;
};

struct faults {
	const char *what;
	size_t n;
	struct pm_str text;
};

struct check {
	const struct pm_spec *spec;
	const struct pm_store *store;
	struct claim *claim;
	size_t nclaims;
	struct pm_arena names;
	struct pm_name_match **ignore;
	size_t nignore;
	struct faults missing, misshapen, unexpected;
};

const struct pm_view *pm_spec_view(const struct pm_spec *s, const struct pm_tensor_spec *t, const struct pm_store *store)
{
	return t->apart ? NULL : pm_spec_part(s, t, -1, store);
}

const struct pm_view *pm_spec_part(const struct pm_spec *s, const struct pm_tensor_spec *t, int64_t expert, const struct pm_store *store)
{
	char name[PM_SPEC_NAME];
	const struct pm_view *v = pm_store_find(store, pm_spec_name(name, t->file, expert));
	const char *const *a;

	(void)s;
	for (a = t->alias; !v && a && *a; a++)
		v = pm_store_find(store, pm_spec_name(name, *a, expert));
	return v;
}

char *pm_spec_name(char out[PM_SPEC_NAME], const char *name, int64_t expert)
{
	const char *mark = expert < 0 ? NULL : strstr(name, "{}");

	if (mark)
		snprintf(out, PM_SPEC_NAME, "%.*s%lld%s", (int)(mark - name), name, (long long)expert, mark + 2);
	else
		snprintf(out, PM_SPEC_NAME, "%s", name);
	return out;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct claim *)a)->name, ((const struct claim *)b)->name);
}

static size_t count(const char *const *list)
{
	size_t n = 0;

	while (list && list[n])
		n++;
	return n;
}

/* A name, or those of all experts. */
static int claim(struct check *c, const char *name, const struct pm_tensor_spec *t, bool copy, struct pm_err *e)
{
	char own[PM_SPEC_NAME];
	int64_t i;

	for (i = 0; i < (t->apart ? t->experts : 1); i++) {
		struct claim *k = &c->claim[c->nclaims++];

		*k = (struct claim){name, {t, t->apart ? i : -1}, copy};
		if (t->apart && !(k->name = pm_arena_printf(&c->names, e, "%s", pm_spec_name(own, name, i))))
			return -1;
	}
	return 0;
}

static int claim_names(struct check *c, struct pm_err *e)
{
	const struct pm_spec *s = c->spec;
	size_t i, n = 0;
	const char *const *p;
	int r = 0;

	for (i = 0; i < s->ntensors; i++)
		n += (1 + count(s->tensor[i].alias) + count(s->tensor[i].copies)) * (s->tensor[i].apart ? (size_t)s->tensor[i].experts : 1);
	c->claim = pm_alloc(n, sizeof *c->claim, e);
	if (!c->claim)
		return -1;
	for (i = 0; r == 0 && i < s->ntensors; i++) {
		const struct pm_tensor_spec *t = &s->tensor[i];

		r = claim(c, t->file, t, false, e);
		for (p = t->alias; r == 0 && p && *p; p++)
			r = claim(c, *p, t, false, e);
		for (p = t->copies; r == 0 && p && *p; p++)
			r = claim(c, *p, t, true, e);
	}
	if (r < 0)
		return -1;
	qsort(c->claim, n, sizeof *c->claim, by_name);
	for (i = 1; i < n; i++)
		if (!by_name(&c->claim[i - 1], &c->claim[i]))
			return pm_fail(e, PM_DATA, "family %s: two tensors are called '%.200s'", s->family, c->claim[i].name);
	return 0;
}

static int compile_ignores(struct check *c, struct pm_err *e)
{
	c->ignore = pm_alloc(count(c->spec->ignore), sizeof *c->ignore, e);
	if (!c->ignore)
		return -1;
	for (; c->spec->ignore && c->spec->ignore[c->nignore]; c->nignore++)
		if (pm_name_match_new(&c->ignore[c->nignore], c->spec->ignore[c->nignore], e) < 0)
			return pm_ctx(e, "family %s: 'ignore'", c->spec->family);
	return 0;
}

static int put_shape(struct pm_str *s, int nd, const int64_t *dim, struct pm_err *e)
{
	int i, r = pm_str_puts(s, "[", e);

	for (i = 0; r == 0 && i < nd; i++)
		r = pm_str_printf(s, e, "%s%lld", i ? ", " : "", (long long)dim[i]);
	return r == 0 ? pm_str_puts(s, "]", e) : -1;
}

/* Starts the entry of one more fault; 1: say more about it, 0: it is only counted. */
static int fault(struct faults *f, const char *name, struct pm_err *e)
{
	if (++f->n > NAMED)
		return 0;
	return pm_str_printf(&f->text, e, "%s'%.200s'", f->n > 1 ? ", " : "", name) < 0 ? -1 : 1;
}

static int check_shape(struct check *c, const struct pm_tensor_spec *t, const struct pm_view *v, struct pm_err *e)
{
	const int nd = t->nd - t->apart;
	const int64_t *dim = t->dim + t->apart;         /* one of many has the shape of the rest */
	int64_t have[PM_MAX_DIMS];
	bool same = v->nd == nd, known = c->spec->from_gguf || !pm_dtype_plain(v->type) || v->type == PM_F32 || v->type == PM_F16 || v->type == PM_BF16;
	int i, r;

	for (i = 0; i < v->nd; i++) {
		have[i] = (int64_t)v->dim[i];
		same = same && have[i] == dim[i];
	}
	if (same && known)
		return 0;
	r = fault(&c->misshapen, v->name, e);
	if (r <= 0)
		return r;
	if (!same)
		return pm_str_puts(&c->misshapen.text, " is ", e) < 0 || put_shape(&c->misshapen.text, v->nd, have, e) < 0 ||
			pm_str_puts(&c->misshapen.text, " where ", e) < 0 || put_shape(&c->misshapen.text, nd, dim, e) < 0 ||
			pm_str_puts(&c->misshapen.text, " was wanted", e) < 0 ? -1 : 0;
	return pm_str_printf(&c->misshapen.text, e, " is %s where f32, f16 or bf16 was wanted", pm_dtype(v->type)->name);
}

/* A copy must be one: a head that is tied in the config and stored apart is a contradiction that nobody can resolve here. */
static int check_copy(struct check *c, const struct claim *k, const struct pm_view *v, struct pm_err *e)
{
	const struct pm_view *own = pm_spec_part(c->spec, k->of.tensor, k->of.expert, c->store);
	int r;

	if (!own || (own->type == v->type && own->bytes == v->bytes && own->nd == v->nd && !memcmp(own->dim, v->dim, (size_t)v->nd * sizeof *v->dim) &&
	    !memcmp(own->data, v->data, v->bytes)))
		return 0;
	r = fault(&c->misshapen, v->name, e);
	return r <= 0 ? r : pm_str_printf(&c->misshapen.text, e, " differs from '%.200s', to which it is tied", own->name);
}

/* The claim on a tensor of the store; NULL: none. */
static const struct claim *claim_on(const struct check *c, const struct pm_view *v)
{
	struct claim key = {.name = v->name};

	return bsearch(&key, c->claim, c->nclaims, sizeof *c->claim, by_name);
}

/* Where a tensor is there under two of its names, one of them is not its. */
static bool holds(const struct check *c, const struct claim *k, const struct pm_view *v)
{
	return k && !k->copy && pm_spec_part(c->spec, k->of.tensor, k->of.expert, c->store) == v;
}

static int check_present(struct check *c, const struct pm_view *v, struct pm_err *e)
{
	const struct claim *hit = claim_on(c, v);
	size_t i;
	int r;

	if (hit && hit->copy)
		return check_copy(c, hit, v, e);
	if (holds(c, hit, v))
		return check_shape(c, hit->of.tensor, v, e);
	for (i = 0; !hit && i < c->nignore; i++)
		if ((r = pm_name_match_whole(c->ignore[i], v->name, e)) != 0)
			return r < 0 ? -1 : 0;
	return fault(&c->unexpected, v->name, e) < 0 ? -1 : 0;
}

static int check_missing(struct check *c, const struct pm_tensor_spec *t, struct pm_err *e)
{
	char name[PM_SPEC_NAME];
	int64_t i;

	for (i = 0; i < (t->apart ? t->experts : 1); i++)
		if (!t->optional && !pm_spec_part(c->spec, t, t->apart ? i : -1, c->store) &&
		    fault(&c->missing, pm_spec_name(name, t->file, t->apart ? i : -1), e) < 0)
			return -1;
	return 0;
}

static int verdict(struct check *c, struct pm_err *e)
{
	struct faults *f[] = {&c->missing, &c->misshapen, &c->unexpected};
	struct pm_str s = {0};
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < 3; i++)
		if (f[i]->n)
			r = pm_str_printf(&s, e, "%s%zu %s %s: %s%s", s.len ? "; " : "", f[i]->n, f[i]->n > 1 ? "tensors are" : "tensor is", f[i]->what,
				f[i]->text.data, f[i]->n > NAMED ? ", …" : "");
	if (r == 0 && s.len)
		r = pm_fail(e, PM_DATA, "%s", s.data);
	pm_str_free(&s);
	return r;
}

int pm_spec_check(const struct pm_spec *s, const struct pm_store *store, struct pm_err *e)
{
	struct check c = {.spec = s, .store = store, .missing = {.what = "missing"}, .misshapen = {.what = "wrong"}, .unexpected = {.what = "unexpected"}};
	size_t i;
	int r = claim_names(&c, e);

	if (r == 0)
		r = compile_ignores(&c, e);
	for (i = 0; r == 0 && i < s->ntensors; i++)
		r = check_missing(&c, &s->tensor[i], e);
	for (i = 0; r == 0 && i < pm_store_count(store); i++)
		r = check_present(&c, pm_store_at(store, i), e);
	if (r == 0)
		r = verdict(&c, e);
	for (i = 0; i < c.nignore; i++)
		pm_name_match_free(c.ignore[i]);
	free(c.ignore);
	free(c.claim);
	pm_arena_free(&c.names);
	pm_str_free(&c.missing.text);
	pm_str_free(&c.misshapen.text);
	pm_str_free(&c.unexpected.text);
	return r;
}

int pm_spec_owners(struct pm_owner **out, const struct pm_spec *s, const struct pm_store *store, struct pm_err *e)
{
	struct check c = {.spec = s, .store = store};
	size_t i, n = pm_store_count(store);
	int r = claim_names(&c, e);
	struct pm_owner *owner = r == 0 ? pm_alloc(n, sizeof *owner, e) : NULL;

	for (i = 0; owner && i < n; i++) {
		const struct claim *hit = claim_on(&c, pm_store_at(store, i));

		owner[i] = holds(&c, hit, pm_store_at(store, i)) ? hit->of : (struct pm_owner){NULL, -1};
	}
	free(c.claim);
	pm_arena_free(&c.names);
	*out = owner;
	return owner ? 0 : -1;
}
