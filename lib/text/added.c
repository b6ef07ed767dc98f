#include "text/added.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/part.h"
#include "text/unicode.h"

static int build_trie(const struct pm_added *a, bool normal, struct pm_trie *t, struct pm_err *e)
{
	struct pm_trie_key *p = pm_alloc(a->n, sizeof *p, e);
	size_t n = 0;
	int r;

	if (!p)
		return -1;
	for (size_t i = 0; i < a->n; i++) {
		/* a token whose id a later one took is gone, as are empty ones */
		if (a->v[i].normalized != normal || a->of_id[a->v[i].id] != (int32_t)i || !a->v[i].pattern_n)
			continue;
		p[n].s = a->v[i].pattern;
		p[n].n = a->v[i].pattern_n;
		p[n++].value = (int32_t)i;
	}
	r = pm_trie_build(t, p, n, e);
	free(p);
	return r;
}

static int read_token(struct pm_added *a, struct pm_added_token *t, const json_t *o, struct pm_err *e)
{
	const char *s;

	if (!json_is_object(o))
		return pm_fail(e, PM_DATA, "an object was wanted");
	if (pm_part_check(o, "id content single_word lstrip rstrip normalized special", e) < 0
		|| pm_part_str(&s, &t->n, o, "content", e) < 0 || pm_part_bool(&t->single_word, o, "single_word", e) < 0
		|| pm_part_bool(&t->lstrip, o, "lstrip", e) < 0 || pm_part_bool(&t->rstrip, o, "rstrip", e) < 0
		|| pm_part_bool(&t->normalized, o, "normalized", e) < 0 || pm_part_bool(&t->special, o, "special", e) < 0)
		return -1;
	if (!json_is_integer(json_object_get(o, "id")))
		return pm_fail(e, PM_DATA, "'id': an integer was wanted");
	t->content = pm_arena_alloc(&a->arena, t->n + 1, 1, e);
	if (!t->content)
		return -1;
	memcpy((char *)t->content, s, t->n);
	t->pattern = t->content;
	t->pattern_n = t->n;
	return 0;
}

/* The place of a new token in the list, which may be that of an older one of the same content. */
static int place(struct pm_added *a, struct pm_added_token *t, const struct pm_vocab *model, int64_t *next, struct pm_err *e)
{
	int32_t at = pm_vocab_find(&a->by_content, t->content, t->n);

	if (at >= 0) {
		t->id = a->v[at].id;
		a->v[at] = *t;
		return 0;
	}
	t->id = pm_vocab_find(model, t->content, t->n);
	if (t->id < 0)
		t->id = (int32_t)(*next)++;
	if (pm_vocab_add(&a->by_content, t->content, t->n, (int64_t)a->n, e) < 0
		|| pm_grow(&a->v, &a->cap, a->n + 1, sizeof *a->v, e) < 0)
		return -1;
	a->v[a->n++] = *t;
	return 0;
}

int pm_added_read(struct pm_added *a, const json_t *list, const struct pm_vocab *model,
	int (*normalize)(void *ctx, const char *s, size_t n, struct pm_str *out, struct pm_err *e), void *ctx, struct pm_err *e)
{
	int64_t next = (int64_t)model->n;
	struct pm_str s = {0};

	if (list && !json_is_array(list))
		return pm_fail(e, PM_DATA, "a list was wanted");
	for (size_t i = 0; i < json_array_size(list); i++) {
		struct pm_added_token t = {0};

		if (read_token(a, &t, json_array_get(list, i), e) < 0) {
			pm_ctx(e, "%zu", i);
			goto bad;
		}
		if (!t.n)
			continue;
		pm_str_clear(&s);
		if (t.normalized && normalize(ctx, t.content, t.n, &s, e) < 0)
			goto bad;
		if (t.normalized && (s.len != t.n || memcmp(s.data, t.content, t.n) != 0)) {
			t.pattern = pm_arena_alloc(&a->arena, s.len + 1, 1, e);
			if (!t.pattern)
				goto bad;
			if (s.len)
				memcpy((char *)t.pattern, s.data, s.len);
			t.pattern_n = s.len;
		}
		if (place(a, &t, model, &next, e) < 0)
			goto bad;
	}
	pm_str_free(&s);
	for (size_t i = 0; i < a->n; i++)
		if ((size_t)a->v[i].id >= a->ids)
			a->ids = (size_t)a->v[i].id + 1;
	a->of_id = pm_alloc(a->ids, sizeof *a->of_id, e);
	if (!a->of_id)
		return -1;
	memset(a->of_id, 0xff, a->ids * sizeof *a->of_id);
	for (size_t i = 0; i < a->n; i++)
		a->of_id[a->v[i].id] = (int32_t)i;
	if (build_trie(a, false, &a->given, e) < 0)
		return -1;
	return build_trie(a, true, &a->normal, e);
bad:
	pm_str_free(&s);
	return -1;
}

void pm_added_free(struct pm_added *a)
{
	pm_arena_free(&a->arena);
	pm_vocab_free(&a->by_content);
	pm_trie_free(&a->given);
	pm_trie_free(&a->normal);
	free(a->v);
	free(a->of_id);
	memset(a, 0, sizeof *a);
}

bool pm_added_by_words(const struct pm_added *a)
{
	static const char meta[] = "\xe2\x96\x81";
	const struct pm_added_token *t;
	const char *p;

	for (size_t i = 0; i < a->n; i++) {
		t = a->v + i;
		if (!t->normalized)
			continue;
		if (t->lstrip || t->rstrip || t->single_word)
			return false;
		for (p = t->pattern; (p = strstr(p, meta)); p += 3)
			if (p > t->pattern && (p - t->pattern < 3 || memcmp(p - 3, meta, 3) != 0))
				return false;
	}
	return true;
}

const struct pm_added_token *pm_added_of(const struct pm_added *a, int32_t id)
{
	return id >= 0 && (size_t)id < a->ids && a->of_id[id] >= 0 ? a->v + a->of_id[id] : NULL;
}

/* How the part a .. b of the text lies to the literal ranges: outside all, inside one, or across an end of one. */
enum place { OUTSIDE, INSIDE, ACROSS };

static enum place literal(const struct pm_added_rule *rule, const struct pm_view *v, size_t a, size_t b)
{
	struct pm_range r;
	size_t lo = 0, hi = rule->nliteral, mid;

	if (!hi)
		return OUTSIDE;
	r = pm_view_range(v, a, b);
	while (lo < hi) {               /* the first range that ends after r begins */
		mid = lo + (hi - lo) / 2;
		if (rule->literal[mid].to <= r.from)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == rule->nliteral || rule->literal[lo].from >= r.to)
		return OUTSIDE;
	return rule->literal[lo].from <= r.from && rule->literal[lo].to >= r.to ? INSIDE : ACROSS;
}

static bool word_at(const char *s)
{
	size_t k;

	return pm_uc(pm_utf8_get(s, &k)) & PM_UC_WORD;
}

static bool word_before(const char *s, size_t n)
{
	size_t k;

	return pm_uc(pm_utf8_last(s, n, &k)) & PM_UC_WORD;
}

const struct pm_added_token *pm_added_find(const struct pm_added *a, const struct pm_trie *t, const struct pm_view *v,
	size_t *at, size_t done, const struct pm_added_rule *rule, size_t *from, size_t *to)
{
	const struct pm_added_token *x;
	size_t i = *at, end = 0, k;
	int32_t found;
	enum place p;

	if (!t->nodes)
		return NULL;
	while (i < v->n) {
		while (i < v->n && !t->root[(unsigned char)v->s[i]])
			i++;
		if (i == v->n)
			break;
		found = pm_trie_longest(t, v->s + i, v->n - i, &end);
		if (found < 0) {
			i++;
			continue;
		}
		end += i;
		x = a->v + found;
		p = !x->special ? OUTSIDE : !rule->special ? INSIDE : literal(rule, v, i, end);
		if (p != OUTSIDE) {
			/* what is not recognised hides what it covers, but for what only reaches into a literal part */
			i = p == INSIDE ? end : i + 1;
			continue;
		}
		if (x->single_word && ((i && word_before(v->s, i)) || (end < v->n && word_at(v->s + end)))) {
			i = end;
			continue;
		}
		*from = i;
		*to = *at = end;
		if (x->lstrip)
			while (*from > done && (pm_uc(pm_utf8_last(v->s, *from, &k)) & PM_UC_SPACE))
				*from -= k;
		if (x->lstrip && *from < done)
			*from = done;
		if (x->rstrip)
			while (*to < v->n && (pm_uc(pm_utf8_get(v->s + *to, &k)) & PM_UC_SPACE))
				*to += k;
		return x;
	}
	return NULL;
}
