#include "text/model.h"

#include <string.h>

static const struct pm_model_type *const types[] = {&pm_model_bpe, &pm_model_unigram, &pm_model_wordpiece, &pm_model_wordlevel,
	&pm_model_bpe_pieces, &pm_model_unigram_pieces};

enum { TYPES = sizeof types / sizeof *types };

/* Old files have no "type": the members tell. */
static const struct pm_model_type *guess(const json_t *o)
{
	if (json_object_get(o, "merges"))
		return &pm_model_bpe;
	if (json_is_array(json_object_get(o, "vocab")))
		return &pm_model_unigram;
	if (json_object_get(o, "max_input_chars_per_word"))
		return &pm_model_wordpiece;
	return json_object_get(o, "unk_token") ? &pm_model_wordlevel : NULL;
}

int pm_model_read(struct pm_model *m, struct pm_vocab *vocab, const json_t *o, bool bytelevel, bool *raw,
	struct pm_ready *ready, struct pm_err *e)
{
	const char *name = json_string_value(json_object_get(o, "type"));

	if (!json_is_object(o))
		return pm_fail(e, PM_DATA, "an object was wanted");
	m->type = name ? NULL : guess(o);
	for (size_t i = 0; name && i < TYPES; i++)
		if (strcmp(types[i]->name, name) == 0)
			m->type = types[i];
	if (!m->type)
		return name ? pm_fail(e, PM_DATA, "the type '%s' is not known", name) : pm_fail(e, PM_DATA, "there is no 'type'");
	*raw = bytelevel;
	if (pm_part_check(o, m->type->members, e) < 0)
		return pm_ctx(e, "%s", m->type->name);
	if (ready && !m->type->load)
		return pm_fail(e, PM_DATA, "%s: it has no tables that could be ready", m->type->name);
	if ((ready ? m->type->load(&m->conf, vocab, o, raw, ready, e) : m->type->build(&m->conf, vocab, o, raw, e)) < 0)
		return pm_ctx(e, "%s", m->type->name);
	return 0;
}

void pm_model_free(struct pm_model *m)
{
	if (m->conf)
		m->type->free(m->conf);
	memset(m, 0, sizeof *m);
}

int pm_model_vocab(struct pm_vocab *vocab, const json_t *o, struct pm_err *e)
{
	const char *key;
	json_t *v;
	int64_t id;

	if (!json_is_object(o))
		return pm_fail(e, PM_DATA, "'vocab': an object was wanted");
	if (pm_vocab_room(vocab, json_object_size(o), e) < 0)
		return -1;
	json_object_foreach((json_t *)o, key, v) {
		if (pm_json_to_int(&id, v) < 0)
			return pm_fail(e, PM_DATA, "'vocab': '%.100s': an integer was wanted", key);
		if (pm_vocab_add(vocab, key, strlen(key), id, e) < 0)
			return pm_ctx(e, "'vocab'");
	}
	return 0;
}
