#include "text/sources.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "text/unicode.h"

int pm_source_string(struct pm_str *out, const char *s, size_t n, struct pm_err *e)
{
	size_t from = 0, good = pm_utf8_valid(s, n);
	char code[8];

	if (good != n)
		return pm_fail(e, PM_DATA, "byte %zu of '%.*s' is not UTF-8", good, (int)(good < 60 ? good : 60), s);
	if (pm_str_puts(out, "\"", e) < 0)
		return -1;
	for (size_t i = 0; i <= n; i++) {
		unsigned char c = i < n ? (unsigned char)s[i] : '"';

		if (c >= 0x20 && c != '"' && c != '\\')
			continue;
		if (pm_str_put(out, s + from, i - from, e) < 0)
			return -1;
		from = i + 1;
		snprintf(code, sizeof code, c < 0x20 ? "\\u%04x" : "\\%c", c);
		if (i < n && pm_str_puts(out, code, e) < 0)
			return -1;
	}
	return pm_str_puts(out, "\"", e);
}

int pm_source_added(struct pm_str *out, bool *any, int64_t id, const char *s, size_t n, bool special, struct pm_err *e)
{
	if (pm_str_printf(out, e, "%s{\"id\":%lld,\"content\":", *any ? "," : "", (long long)id) < 0 || pm_source_string(out, s, n, e) < 0)
		return -1;
	*any = true;
	return pm_str_printf(out, e, ",\"single_word\":false,\"lstrip\":false,\"rstrip\":false,\"normalized\":false,\"special\":%s}",
		special ? "true" : "false");
}

struct entry {
	int64_t id;
	const json_t *o;
};

static int by_id(const void *pa, const void *pb)
{
	const struct entry *a = pa, *b = pb;

	return (a->id > b->id) - (a->id < b->id);
}

static int put_entry(struct pm_str *out, bool *any, const struct entry *x, const struct pm_vocab *known, int64_t *next, struct pm_err *e)
{
	static const char *const flags[] = {"single_word", "lstrip", "rstrip", "normalized", "special"};
	const json_t *content = json_object_get(x->o, "content");
	size_t n = json_string_length(content);
	int32_t id;

	if (!n)
		return pm_fail(e, PM_DATA, "%lld: an object with a 'content' was wanted", (long long)x->id);
	id = pm_vocab_find(known, json_string_value(content), n);
	if (id < 0)
		id = (int32_t)(*next)++;
	if (id != x->id)
		return pm_fail(e, PM_DATA, "%lld: '%s' has the id %d", (long long)x->id, json_string_value(content), id);
	if (pm_str_printf(out, e, "%s{\"id\":%d,\"content\":", *any ? "," : "", id) < 0
		|| pm_source_string(out, json_string_value(content), n, e) < 0)
		return -1;
	*any = true;
	for (size_t i = 0; i < sizeof flags / sizeof *flags; i++)
		if (pm_str_printf(out, e, ",\"%s\":%s", flags[i], json_is_true(json_object_get(x->o, flags[i])) ? "true" : "false") < 0)
			return -1;
	return pm_str_puts(out, "}", e);
}

int pm_source_config_tokens(struct pm_str *out, bool *any, const json_t *config, const struct pm_vocab *known, struct pm_err *e)
{
	const json_t *list = json_object_get(config, "added_tokens_decoder");
	size_t n = json_object_size(list), i = 0;
	struct entry *v = pm_alloc(n, sizeof *v, e);
	int64_t next = (int64_t)known->n;
	const char *key;
	json_t *o;
	int r = v ? 0 : -1;

	if (v)
		json_object_foreach((json_t *)list, key, o) {
			v[i].id = strtoll(key, NULL, 10);
			v[i++].o = o;
		}
	if (v)
		qsort(v, i, sizeof *v, by_id);
	for (i = 0; r == 0 && i < n; i++)
		r = put_entry(out, any, v + i, known, &next, e);
	free(v);
	return r < 0 ? pm_ctx(e, "tokenizer_config.json: 'added_tokens_decoder'") : 0;
}

static int put_token(struct pm_str *out, const struct pm_source_token *x, int type, struct pm_err *e)
{
	if (x->id < 0)
		return 0;
	if (pm_str_puts(out, out->data[out->len - 1] == '[' ? "{\"SpecialToken\":{\"id\":" : ",{\"SpecialToken\":{\"id\":", e) < 0
		|| pm_source_string(out, x->s, x->n, e) < 0)
		return -1;
	return pm_str_printf(out, e, ",\"type_id\":%d}}", type);
}

int pm_source_post(struct pm_str *out, struct pm_source_token begin, struct pm_source_token end, struct pm_err *e)
{
	const struct pm_source_token *both[2] = {&begin, &end};
	const char *comma = "";

	if (begin.id < 0 && end.id < 0)
		return pm_str_puts(out, "null", e);
	for (int i = 0; i < 3; i++) {           /* the one text; the two of a pair */
		if (i < 2 && pm_str_puts(out, i ? "],\"pair\":[" : "{\"type\":\"TemplateProcessing\",\"single\":[", e) < 0)
			return -1;
		if (put_token(out, &begin, i == 2, e) < 0
			|| pm_str_printf(out, e, "%s{\"Sequence\":{\"id\":\"%c\",\"type_id\":%d}}", out->data[out->len - 1] == '[' ? "" : ",",
				i == 2 ? 'B' : 'A', i == 2) < 0 || put_token(out, &end, i == 2, e) < 0)
			return -1;
	}
	if (pm_str_puts(out, "],\"special_tokens\":{", e) < 0)
		return -1;
	for (int i = 0; i < 2; i++) {
		if (both[i]->id < 0 || (i && begin.id == end.id))
			continue;
		if (pm_str_puts(out, comma, e) < 0 || pm_source_string(out, both[i]->s, both[i]->n, e) < 0 || pm_str_puts(out, ":{\"id\":", e) < 0
			|| pm_source_string(out, both[i]->s, both[i]->n, e) < 0
			|| pm_str_printf(out, e, ",\"ids\":[%lld],\"tokens\":[", (long long)both[i]->id) < 0
			|| pm_source_string(out, both[i]->s, both[i]->n, e) < 0 || pm_str_puts(out, "]}", e) < 0)
			return -1;
		comma = ",";
	}
	return pm_str_puts(out, "}}", e);
}
