#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "io/tokens.h"
#include "io/tokens_format.h"

static const struct {
	enum pm_record_kind kind;
	const char *name;
} kinds[] = {
	{PM_REC_TEXT, "text"}, {PM_REC_PROMPT, "prompt"}, {PM_REC_CHOSEN, "chosen"}, {PM_REC_REJECTED, "rejected"},
	{PM_REC_COMPLETION, "completion"},
};

const char *pm_record_kind_name(enum pm_record_kind k)
{
	size_t i;

	for (i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (kinds[i].kind == k)
			return kinds[i].name;
	return k == PM_REC_ROW ? "row" : NULL;
}

int pm_record_kind_by_name(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (!strcmp(kinds[i].name, name))
			return (int)kinds[i].kind;
	return -1;
}

void pm_record_free(struct pm_record *r)
{
	free(r->ids);
	free(r->weights);
	free(r->bounds);
	free(r->doc_kinds);
	free(r->doc_groups);
	free(r->source);
	free(r->offsets);
	free(r->types);
	memset(r, 0, sizeof *r);
}

int pm_record_reset(struct pm_record *r, size_t room, struct pm_err *e)
{
	r->kind = PM_REC_TEXT;
	r->n = r->ndocs = 0;
	r->has_weights = r->has_docs = r->has_offsets = r->has_types = r->has_mask = false;
	r->group = r->line = -1;
	if (r->source)
		r->source[0] = 0;
	room = room ? room : 1;         /* so that an empty array is a pointer, too */
	if (pm_grow(&r->ids, &r->cap, room, sizeof *r->ids, e) < 0)
		return -1;
	return pm_grow(&r->weights, &r->cap_w, room, sizeof *r->weights, e);
}

int pm_record_room_docs(struct pm_record *r, size_t ndocs, struct pm_err *e)
{
	if (pm_grow(&r->bounds, &r->cap_b, ndocs + 1, sizeof *r->bounds, e) < 0 ||
	    pm_grow(&r->doc_kinds, &r->cap_k, ndocs, sizeof *r->doc_kinds, e) < 0)
		return -1;
	return pm_grow(&r->doc_groups, &r->cap_g, ndocs, sizeof *r->doc_groups, e);
}

static int put_source(struct pm_record *r, const char *text, size_t n, struct pm_err *e)
{
	if (pm_grow(&r->source, &r->cap_s, n + 1, 1, e) < 0)
		return -1;
	memcpy(r->source, text, n);
	r->source[n] = 0;
	return 0;
}

/* What holds for every record, wherever it came from. */
static int check(const struct pm_record *r, struct pm_err *e)
{
	size_t i;

	for (i = 0; i < r->n; i++)
		if (r->ids[i] < 0)
			return pm_fail(e, PM_DATA, "token %zu: %d is no token id", i, r->ids[i]);
	for (i = 0; r->has_weights && i < r->n; i++)
		if (!isfinite(r->weights[i]) || r->weights[i] < 0)
			return pm_fail(e, PM_DATA, "token %zu: a weight of %g, 0 or above was wanted", i, (double)r->weights[i]);
	if (r->group < -1 || r->line < -1)
		return pm_fail(e, PM_DATA, "a %s of %lld, 0 or above was wanted (-1: none)", r->group < -1 ? "group" : "line",
		    (long long)(r->group < -1 ? r->group : r->line));
	if (r->kind != PM_REC_ROW)
		return 0;
	if (!r->ndocs || r->bounds[0] != 0 || r->bounds[r->ndocs] > r->n)
		return pm_fail(e, PM_DATA, "its bounds do not begin at 0 and end within its %zu tokens", r->n);
	for (i = 0; i < r->ndocs; i++) {
		if (r->bounds[i + 1] <= r->bounds[i])
			return pm_fail(e, PM_DATA, "its bounds do not rise: %u, then %u", r->bounds[i], r->bounds[i + 1]);
		if (r->has_docs && !pm_record_kind_name(r->doc_kinds[i]))
			return pm_fail(e, PM_DATA, "document %zu is of unknown kind %u", i, r->doc_kinds[i]);
		if (r->has_docs && r->doc_groups[i] < -1)
			return pm_fail(e, PM_DATA, "document %zu is of group %lld, 0 or above was wanted (-1: none)", i, (long long)r->doc_groups[i]);
	}
	return 0;
}

/* One section of a binary record. seen: the tags that came. */
static int take_section(struct pm_record *r, uint32_t tag, const unsigned char *p, size_t n, unsigned *seen, struct pm_err *e)
{
	static const uint32_t tags[] = {PM_TAG_IDS, PM_TAG_WEIGHTS, PM_TAG_BOUNDS, PM_TAG_KINDS, PM_TAG_GROUPS, PM_TAG_GROUP, PM_TAG_LINE,
		PM_TAG_SOURCE};
	static const size_t unit[] = {4, 4, 4, 4, 8, 8, 8, 1};
	size_t k = 0, i, want;
	int64_t *one;

	while (k < sizeof tags / sizeof *tags && tags[k] != tag)
		k++;
	if (k == sizeof tags / sizeof *tags)
		return 0;
	if (*seen & 1u << k)
		return pm_fail(e, PM_DATA, "section '%.4s' comes twice", (const char[4]){(char)tag, (char)(tag >> 8), (char)(tag >> 16), (char)(tag >> 24)});
	*seen |= 1u << k;
	want = tag == PM_TAG_WEIGHTS ? r->n : tag == PM_TAG_KINDS || tag == PM_TAG_GROUPS ? r->ndocs :
	    tag == PM_TAG_GROUP || tag == PM_TAG_LINE ? 1 : n / unit[k];
	if (n != want * unit[k] || (tag == PM_TAG_BOUNDS && n < 8))
		return pm_fail(e, PM_DATA, "section '%.4s' has %zu bytes, %zu were wanted",
		    (const char[4]){(char)tag, (char)(tag >> 8), (char)(tag >> 16), (char)(tag >> 24)}, n, want * unit[k]);
	switch (tag) {
	case PM_TAG_IDS:
		if (pm_record_reset(r, want, e) < 0)
			return -1;
		r->n = want;
		memcpy(r->ids, p, n);
		break;
	case PM_TAG_WEIGHTS:
		memcpy(r->weights, p, n);
		r->has_weights = true;
		break;
	case PM_TAG_BOUNDS:
		if (pm_record_room_docs(r, want - 1, e) < 0)
			return -1;
		r->ndocs = want - 1;
		memcpy(r->bounds, p, n);
		for (i = 0; i < r->ndocs; i++) {
			r->doc_kinds[i] = PM_REC_TEXT;
			r->doc_groups[i] = -1;
		}
		break;
	case PM_TAG_KINDS:
		if (n)
			memcpy(r->doc_kinds, p, n);
		r->has_docs = true;
		break;
	case PM_TAG_GROUPS:
		if (n)
			memcpy(r->doc_groups, p, n);
		r->has_docs = true;
		break;
	case PM_TAG_SOURCE:
		return put_source(r, (const char *)p, n, e);
	default:
		one = tag == PM_TAG_GROUP ? &r->group : &r->line;
		memcpy(one, p, 8);
	}
	return 0;
}

int pm_record_from_bytes(struct pm_record *r, const unsigned char *p, size_t n, struct pm_err *e)
{
	uint32_t kind = pm_le32(p), tag, size;
	unsigned seen = 0;
	size_t at = 4;

	if (!pm_record_kind_name(kind))
		return pm_fail(e, PM_DATA, "unknown kind %u", kind);
	while (at < n) {
		if (n - at < 8)
			return pm_fail(e, PM_DATA, "its last section is cut short");
		tag = pm_le32(p + at);
		size = pm_le32(p + at + 4);
		at += 8;
		if (size > n - at)
			return pm_fail(e, PM_DATA, "a section of %u bytes ends after the record does", size);
		if (!seen && tag != PM_TAG_IDS)
			return pm_fail(e, PM_DATA, "its first section is not its ids");
		if (take_section(r, tag, p + at, size, &seen, e) < 0)
			return -1;
		at += ((size_t)size + 3) & ~(size_t)3;
	}
	if (!seen)
		return pm_fail(e, PM_DATA, "it has no ids");
	if ((kind == PM_REC_ROW) != (r->ndocs > 0))
		return pm_fail(e, PM_DATA, kind == PM_REC_ROW ? "a row without bounds" : "bounds in a record that is no row");
	r->kind = kind;
	return check(r, e);
}

/* An array member: its length, or an error; 0 and *a NULL where it is absent or null. */
static int array_of(const json_t **a, const json_t *o, const char *key, size_t want, struct pm_err *e)
{
	*a = json_object_get(o, key);
	if (!*a || json_is_null(*a)) {
		*a = NULL;
		return 0;
	}
	if (!json_is_array(*a))
		return pm_fail(e, PM_DATA, "'%s': an array was wanted", key);
	if (want != SIZE_MAX && json_array_size(*a) != want)
		return pm_fail(e, PM_DATA, "'%s' has %zu entries, %zu were wanted", key, json_array_size(*a), want);
	return 0;
}

static int weights_from_json(struct pm_record *r, const json_t *o, struct pm_err *e)
{
	const json_t *a;
	size_t i;

	if (array_of(&a, o, "weights", r->n, e) < 0)
		return -1;
	for (i = 0; a && i < r->n; i++) {
		const json_t *v = json_array_get(a, i);

		if (!json_is_number(v))
			return pm_fail(e, PM_DATA, "'weights': entry %zu is no number", i);
		r->weights[i] = (float)json_number_value(v);
	}
	r->has_weights = a != NULL;
	return 0;
}

static int docs_from_json(struct pm_record *r, const json_t *o, struct pm_err *e)
{
	const json_t *b, *k, *g;
	size_t i;
	int64_t x;
	int kind;

	if (array_of(&b, o, "bounds", SIZE_MAX, e) < 0)
		return -1;
	if (!b)
		return 0;
	if (json_array_size(b) < 2)
		return pm_fail(e, PM_DATA, "'bounds': at least two entries were wanted");
	if (pm_record_room_docs(r, json_array_size(b) - 1, e) < 0)
		return -1;
	r->kind = PM_REC_ROW;
	r->ndocs = json_array_size(b) - 1;
	for (i = 0; i <= r->ndocs; i++) {
		if (pm_json_to_int(&x, json_array_get(b, i)) < 0 || x < 0 || x > (int64_t)r->n)
			return pm_fail(e, PM_DATA, "'bounds': entry %zu is no number from 0 to %zu", i, r->n);
		r->bounds[i] = (uint32_t)x;
	}
	if (array_of(&k, o, "kinds", r->ndocs, e) < 0 || array_of(&g, o, "groups", r->ndocs, e) < 0)
		return -1;
	r->has_docs = k || g;
	for (i = 0; i < r->ndocs; i++) {
		const char *word = k ? json_string_value(json_array_get(k, i)) : "text";

		x = -1;
		kind = word ? pm_record_kind_by_name(word) : -1;
		if (kind < 0)
			return pm_fail(e, PM_DATA, "'kinds': entry %zu is no kind of document", i);
		if (g && pm_json_to_int(&x, json_array_get(g, i)) < 0)
			return pm_fail(e, PM_DATA, "'groups': entry %zu is no whole number", i);
		r->doc_kinds[i] = (uint32_t)kind;
		r->doc_groups[i] = x;
	}
	return 0;
}

int pm_record_from_json(struct pm_record *r, const json_t *o, struct pm_err *e)
{
	const char *word = NULL;
	const json_t *a, *source = json_object_get(o, "source");
	struct pm_str text = {0};
	size_t i, n;
	int64_t x;
	int kind;

	if (array_of(&a, o, "ids", SIZE_MAX, e) < 0)
		return -1;
	if (!a)
		return pm_fail(e, PM_DATA, "it has no 'ids'");
	n = json_array_size(a);
	if (pm_record_reset(r, n, e) < 0)
		return -1;
	for (i = 0; i < n; i++) {
		if (pm_json_to_int(&x, json_array_get(a, i)) < 0 || x < 0 || x > INT32_MAX)
			return pm_fail(e, PM_DATA, "'ids': entry %zu is no token id", i);
		r->ids[i] = (int32_t)x;
	}
	r->n = n;
	if (pm_json_str(&word, o, "kind", e) < 0 || weights_from_json(r, o, e) < 0 || docs_from_json(r, o, e) < 0 ||
	    pm_json_int(&r->group, o, "group", e) < 0 || pm_json_int(&r->line, o, "line", e) < 0)
		return -1;
	if (word && r->kind != PM_REC_ROW) {
		kind = pm_record_kind_by_name(word);
		if (kind < 0)
			return pm_fail(e, PM_DATA, "'kind': '%s' is unknown", word);
		r->kind = (enum pm_record_kind)kind;
	}
	if (source && !json_is_null(source)) {
		kind = pm_json_text(&text, source, e) < 0 || put_source(r, text.data, text.len, e) < 0 ? -1 : 0;
		pm_str_free(&text);
		if (kind < 0)
			return -1;
	}
	return check(r, e);
}
