#include "text/post.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/part.h"

static int add(struct pm_post_list *l, int kind, int64_t id, int type, struct pm_err *e)
{
	struct pm_post_piece *p;

	if (id < 0 || id > INT32_MAX)
		return pm_fail(e, PM_DATA, "the id %lld is out of range", (long long)id);
	if (pm_grow(&l->v, &l->cap, l->n + 1, sizeof *l->v, e) < 0)
		return -1;
	p = l->v + l->n++;
	p->kind = kind;
	p->id = (int32_t)id;
	p->type = type;
	return 0;
}

static void list_free(struct pm_post_list *l)
{
	free(l->v);
	memset(l, 0, sizeof *l);
}

void pm_post_free(struct pm_post *p)
{
	list_free(&p->single);
	list_free(&p->pair);
}

static int plain(struct pm_post *p, struct pm_err *e)
{
	if (add(&p->single, PM_POST_A, 0, 0, e) < 0 || add(&p->pair, PM_POST_A, 0, 0, e) < 0)
		return -1;
	return add(&p->pair, PM_POST_B, 0, 1, e);
}

int pm_post_bounds(struct pm_post *p, int32_t bos, int add_bos, int32_t eos, int add_eos, struct pm_err *e)
{
	const struct pm_post_piece *v = p->single.v;
	size_t n = p->single.n;
	bool begins = n && v[0].kind == PM_POST_ID && v[0].id == bos, ends = n && v[n - 1].kind == PM_POST_ID && v[n - 1].id == eos;

	add_bos = add_bos < 0 ? begins : add_bos;
	add_eos = add_eos < 0 ? ends : add_eos;
	if (add_bos == begins && add_eos == ends)
		return 0;
	pm_post_free(p);
	for (int i = 0; i < 3; i++) {           /* the one text; the two of a pair */
		struct pm_post_list *l = i ? &p->pair : &p->single;
		int type = i == 2;

		if ((add_bos && add(l, PM_POST_ID, bos, type, e) < 0) || add(l, type ? PM_POST_B : PM_POST_A, 0, type, e) < 0
			|| (add_eos && add(l, PM_POST_ID, eos, type, e) < 0))
			return -1;
	}
	return 0;
}

static int bytelevel(struct pm_post *p, const json_t *o, struct pm_err *e)
{
	bool regex;

	if (plain(p, e) < 0 || pm_part_bool(&p->trim, o, "trim_offsets", e) < 0)
		return -1;
	if (json_object_get(o, "use_regex") && pm_part_bool(&regex, o, "use_regex", e) < 0)
		return -1;
	return pm_part_bool(&p->trim_prefix, o, "add_prefix_space", e);
}

/* ["[CLS]", 101] */
static int pair_id(int64_t *id, const json_t *o, const char *key, struct pm_err *e)
{
	const json_t *a = json_object_get(o, key);

	if (json_array_size(a) != 2 || !json_is_string(json_array_get(a, 0)) || pm_json_to_int(id, json_array_get(a, 1)) < 0)
		return pm_fail(e, PM_DATA, "'%s': a token and its id were wanted", key);
	return 0;
}

static int bert(struct pm_post *p, const json_t *o, struct pm_err *e)
{
	int64_t cls, sep;

	if (pair_id(&cls, o, "cls", e) < 0 || pair_id(&sep, o, "sep", e) < 0)
		return -1;
	if (add(&p->single, PM_POST_ID, cls, 0, e) < 0 || add(&p->single, PM_POST_A, 0, 0, e) < 0
		|| add(&p->single, PM_POST_ID, sep, 0, e) < 0)
		return -1;
	if (add(&p->pair, PM_POST_ID, cls, 0, e) < 0 || add(&p->pair, PM_POST_A, 0, 0, e) < 0 || add(&p->pair, PM_POST_ID, sep, 0, e) < 0
		|| add(&p->pair, PM_POST_B, 0, 1, e) < 0)
		return -1;
	return add(&p->pair, PM_POST_ID, sep, 1, e);
}

static int roberta(struct pm_post *p, const json_t *o, struct pm_err *e)
{
	int64_t cls, sep;

	if (pair_id(&cls, o, "cls", e) < 0 || pair_id(&sep, o, "sep", e) < 0 || pm_part_bool(&p->trim, o, "trim_offsets", e) < 0
		|| pm_part_bool(&p->trim_prefix, o, "add_prefix_space", e) < 0)
		return -1;
	if (add(&p->single, PM_POST_ID, cls, 0, e) < 0 || add(&p->single, PM_POST_A, 0, 0, e) < 0
		|| add(&p->single, PM_POST_ID, sep, 0, e) < 0)
		return -1;
	if (add(&p->pair, PM_POST_ID, cls, 0, e) < 0 || add(&p->pair, PM_POST_A, 0, 0, e) < 0 || add(&p->pair, PM_POST_ID, sep, 0, e) < 0
		|| add(&p->pair, PM_POST_ID, sep, 0, e) < 0 || add(&p->pair, PM_POST_B, 0, 0, e) < 0)
		return -1;
	return add(&p->pair, PM_POST_ID, sep, 0, e);
}

static int special(struct pm_post_list *l, const json_t *tokens, const json_t *piece, int64_t type, struct pm_err *e)
{
	const char *name = json_string_value(json_object_get(piece, "id"));
	const json_t *ids = json_object_get(name ? json_object_get(tokens, name) : NULL, "ids");
	int64_t id;

	if (!json_is_array(ids))
		return pm_fail(e, PM_DATA, "'special_tokens': '%s' with its 'ids' was wanted", name ? name : "?");
	for (size_t i = 0; i < json_array_size(ids); i++) {
		if (pm_json_to_int(&id, json_array_get(ids, i)) < 0)
			return pm_fail(e, PM_DATA, "'special_tokens': '%s': an integer was wanted", name);
		if (add(l, PM_POST_ID, id, (int)type, e) < 0)
			return -1;
	}
	return 0;
}

static int list(struct pm_post_list *l, const json_t *o, const char *key, struct pm_err *e)
{
	const json_t *a = json_object_get(o, key), *piece, *seq, *tok;
	const char *name;
	int64_t type;

	if (!json_is_array(a))
		return pm_fail(e, PM_DATA, "'%s': a list was wanted", key);
	for (size_t i = 0; i < json_array_size(a); i++) {
		type = 0;
		piece = json_array_get(a, i);
		seq = json_object_get(piece, "Sequence");
		tok = json_object_get(piece, "SpecialToken");
		if (json_object_size(piece) != 1 || !(seq || tok))
			return pm_fail(e, PM_DATA, "'%s': {\"Sequence\": …} or {\"SpecialToken\": …} was wanted", key);
		if (pm_json_int(&type, seq ? seq : tok, "type_id", e) < 0)
			return -1;
		if (tok) {
			if (special(l, json_object_get(o, "special_tokens"), tok, type, e) < 0)
				return -1;
			continue;
		}
		name = json_string_value(json_object_get(seq, "id"));
		if (!name || (strcmp(name, "A") != 0 && strcmp(name, "B") != 0))
			return pm_fail(e, PM_DATA, "'%s': the sequence A or B was wanted", key);
		if (add(l, *name == 'A' ? PM_POST_A : PM_POST_B, 0, (int)type, e) < 0)
			return -1;
	}
	return 0;
}

static int template(struct pm_post *p, const json_t *o, struct pm_err *e)
{
	return list(&p->single, o, "single", e) < 0 ? -1 : list(&p->pair, o, "pair", e);
}

static const struct {
	const char *name, *members;
	int (*read)(struct pm_post *p, const json_t *o, struct pm_err *e);
} types[] = {
	{"ByteLevel", "add_prefix_space trim_offsets use_regex", bytelevel},
	/* some files carry ByteLevel's members here, where they say nothing */
	{"TemplateProcessing", "single pair special_tokens add_prefix_space trim_offsets use_regex", template},
	{"BertProcessing", "sep cls", bert},
	{"RobertaProcessing", "sep cls trim_offsets add_prefix_space", roberta},
};

/* True where the list only hands the texts on. */
static bool adds_nothing(const struct pm_post_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		if (l->v[i].kind == PM_POST_ID)
			return false;
	return true;
}

/* Puts q behind p, both read; q is emptied. Two that both add tokens have no meaning that all readers agree on. */
static int follow(struct pm_post *p, struct pm_post *q, struct pm_err *e)
{
	if (q->trim) {
		p->trim = true;
		p->trim_prefix = q->trim_prefix;
	}
	if (adds_nothing(&q->single) && adds_nothing(&q->pair)) {
		pm_post_free(q);
		return 0;
	}
	if (!adds_nothing(&p->single) || !adds_nothing(&p->pair)) {
		pm_post_free(q);
		return pm_fail(e, PM_DATA, "Sequence: more than one processor adds tokens");
	}
	pm_post_free(p);
	p->single = q->single;
	p->pair = q->pair;
	return 0;
}

static int read(struct pm_post *p, const json_t *o, int depth, struct pm_err *e)
{
	const char *name = json_string_value(json_object_get(o, "type"));
	const json_t *a = json_object_get(o, "processors");

	if (!name)
		return pm_fail(e, PM_DATA, "an object with a 'type' was wanted");
	if (strcmp(name, "Sequence") == 0) {
		if (!json_is_array(a) || pm_part_check(o, "processors", e) < 0 || depth > 8)
			return pm_fail(e, PM_DATA, "Sequence: a list 'processors' and nothing else was wanted");
		if (plain(p, e) < 0)
			return -1;
		for (size_t i = 0; i < json_array_size(a); i++) {
			struct pm_post q = {0};

			if (read(&q, json_array_get(a, i), depth + 1, e) < 0) {
				pm_post_free(&q);
				return -1;
			}
			if (follow(p, &q, e) < 0)
				return -1;
		}
		return 0;
	}
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strcmp(types[i].name, name) == 0)
			return pm_part_check(o, types[i].members, e) < 0 || types[i].read(p, o, e) < 0 ? pm_ctx(e, "%s", name) : 0;
	return pm_fail(e, PM_DATA, "the type '%s' is not known", name);
}

int pm_post_read(struct pm_post *p, const json_t *o, struct pm_err *e)
{
	return !o || json_is_null(o) ? plain(p, e) : read(p, o, 0, e);
}
