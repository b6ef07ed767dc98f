#include "text/sample.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* One document with the text that it was made from. */
struct slot {
	struct pm_sample d;
	struct pm_str text, pair;       /* of a text, and of a pair its second */
	struct pm_rendered chat;        /* of a chat */
};

struct pm_sampler {
	struct pm_sample_opts o;
	int32_t eos_id;
	struct slot slot[2];
	float *scale;
	size_t cap_scale;
	int64_t group;
	bool hopeless;
};

int pm_sampler_new(struct pm_sampler **out, const struct pm_sample_opts *o, struct pm_err *e)
{
	struct pm_sampler *s = pm_alloc(1, sizeof *s, e);

	*out = NULL;
	if (!s)
		return -1;
	s->o = *o;
	s->eos_id = -1;
	if (o->tokenizer) {
		s->eos_id = pm_tokenizer_eos(o->tokenizer);
	}
	*out = s;
	return 0;
}

void pm_sampler_free(struct pm_sampler *s)
{
	int i;

	if (!s)
		return;
	for (i = 0; i < 2; i++) {
		pm_record_free(&s->slot[i].d.record);
		pm_encoding_free(&s->slot[i].d.enc);
		pm_str_free(&s->slot[i].text);
		pm_str_free(&s->slot[i].pair);
		pm_rendered_free(&s->slot[i].chat);
	}
	free(s->scale);
	free(s);
}

int64_t pm_sampler_groups(const struct pm_sampler *s)
{
	return s->group;
}

bool pm_sampler_hopeless(const struct pm_sampler *s)
{
	return s->hopeless;
}

static int need(struct pm_sampler *s, const void *thing, const struct pm_err *otherwise, struct pm_err *e)
{
	if (thing)
		return 0;
	s->hopeless = true;
	*e = *otherwise;
	return -1;
}

/* Offsets in code points of the text, from those in bytes: counted on from the one before, or back where tokens share a character. */
static int put_offsets(struct slot *t, struct pm_err *e)
{
	struct pm_sample *d = &t->d;
	const char *text = d->text;
	size_t i, k, at = 0;
	uint32_t points = 0;

	if (pm_grow(&d->record.offsets, &d->record.cap_o, 2 * d->enc.n + 1, sizeof *d->record.offsets, e) < 0)
		return -1;
	for (i = 0; i < 2 * d->enc.n; i++) {
		size_t byte = i % 2 ? d->enc.to[i / 2] : d->enc.from[i / 2];
		const char *own = i / 2 >= d->enc.second && i / 2 < d->enc.second_to ? t->pair.data : d->text;

		if (own != text) {      /* counted anew from the start of the other text */
			text = own;
			at = points = 0;
		}
		for (k = at; k < byte; k++)
			points += ((unsigned char)text[k] & 0xc0) != 0x80;
		for (k = byte; k < at; k++)
			points -= ((unsigned char)text[k] & 0xc0) != 0x80;
		at = byte;
		d->record.offsets[i] = points;
	}
	d->record.has_offsets = true;
	return 0;
}

/* Puts the EOS token behind a document that does not end in it. */
static int put_eos(struct pm_sampler *s, struct pm_sample *d, struct pm_err *e)
{
	struct pm_encoding *enc = &d->enc;

	if (s->eos_id < 0)
		return pm_fail(e, PM_DATA, "an EOS token was wanted, the tokenizer names none (--no-eos leaves it out)");
	if (enc->n && enc->ids[enc->n - 1] == s->eos_id)
		return 0;
	if (pm_grow(&enc->ids, &enc->cap_ids, enc->n + 1, sizeof *enc->ids, e) < 0 ||
	    pm_grow(&enc->from, &enc->cap_from, enc->n + 1, sizeof *enc->from, e) < 0 ||
	    pm_grow(&enc->to, &enc->cap_to, enc->n + 1, sizeof *enc->to, e) < 0)
		return -1;
	enc->ids[enc->n] = s->eos_id;
	enc->from[enc->n] = enc->to[enc->n] = d->length;
	enc->n++;
	return 0;
}

/* What a record says of a pair and of padding. */
static int put_parts(struct slot *t, struct pm_err *e)
{
	struct pm_record *r = &t->d.record;
	const struct pm_encoding *enc = &t->d.enc;
	size_t i;

	r->has_types = enc->types != NULL;
	if (r->has_types) {
		if (pm_grow(&r->types, &r->cap_t, enc->n + 1, sizeof *r->types, e) < 0)
			return -1;
		memcpy(r->types, enc->types, enc->n * sizeof *r->types);
	}
	r->pads_before = enc->pads_before;
	r->pads_behind = enc->pads_behind;
	if (!r->pads_before && !r->pads_behind)
		return 0;
	r->has_weights = true;
	for (i = 0; i < r->n; i++)
		r->weights[i] = i >= r->pads_before && i < r->n - r->pads_behind;
	return 0;
}

/* A text, which lasts as long as the slot, as a document; `pair`: with t->pair behind it. What begins at byte `trained` is trained (0: everything, without weights). */
static int text_tokens(struct pm_sampler *s, struct slot *t, const char *text, size_t n, size_t trained, bool pair, bool eos,
	struct pm_err *e)
{
	struct pm_sample *d = &t->d;
	struct pm_encode_opts o = {.add_special = s->o.special, .parse_special = s->o.parse_special, .truncate = s->o.truncate && !trained,
		.pad = s->o.pad && !trained, .threads = s->o.threads};
	size_t i, own;

	if (need(s, s->o.tokenizer, s->o.no_tokenizer, e) < 0)
		return -1;
	d->text = text ? text : "";
	d->length = n;
	d->enc.n = 0;
	if ((pair ? pm_tokenizer_encode_pair(s->o.tokenizer, d->text, d->length, t->pair.data, t->pair.len, &o, &d->enc, e) :
		pm_tokenizer_encode(s->o.tokenizer, d->text, d->length, &o, &d->enc, e)) < 0)
		return -1;
	own = d->enc.n;
	if ((eos && put_eos(s, d, e) < 0) || pm_record_reset(&d->record, d->enc.n, e) < 0)
		return -1;
	memcpy(d->record.ids, d->enc.ids, d->enc.n * sizeof *d->record.ids);
	d->record.n = d->enc.n;
	d->record.has_weights = trained > 0 && s->o.train_on != PM_TRAIN_ALL;
	for (i = 0; d->record.has_weights && i < d->enc.n; i++)
		d->record.weights[i] = d->enc.to[i] > trained || i >= own || (d->enc.ids[i] == s->eos_id && i == own - 1) ? 1 : 0;
	d->record.has_mask = o.pad;
	if (!trained && put_parts(t, e) < 0)
		return -1;
	return s->o.offsets && !trained ? put_offsets(t, e) : 0;
}

static int string_of(struct pm_str *out, const json_t *v, const char *key, struct pm_err *e)
{
	if (!json_is_string(v))
		return pm_fail(e, PM_DATA, "'%s': a text was wanted", key);
	return pm_str_put(out, json_string_value(v), json_string_length(v), e);
}

/* Messages' "weight"; NULL where none has one. */
static int scales(struct pm_sampler *s, const json_t *messages, const float **scale, struct pm_err *e)
{
	size_t n = json_array_size(messages), i;
	double w;
	int r;

	*scale = NULL;
	if (pm_grow(&s->scale, &s->cap_scale, n + 1, sizeof *s->scale, e) < 0)
		return -1;
	for (i = 0; i < n; i++) {
		w = 1;
		r = pm_json_real(&w, json_array_get(messages, i), "weight", e);
		if (r < 0)
			return pm_ctx(e, "message %zu", i + 1);
		if (!(w >= 0 && w <= 1e6))
			return pm_fail(e, PM_DATA, "message %zu: 'weight' is %g, 0 or above was wanted", i + 1, w);
		s->scale[i] = (float)w;
		if (r == 0)
			*scale = s->scale;
	}
	return 0;
}

/* Messages as a document; those before `first` are not trained. `with`: the record, for its tools and what else templates are given. */
static int chat_tokens(struct pm_sampler *s, struct slot *t, const json_t *messages, const json_t *with, size_t first, struct pm_err *e)
{
	struct pm_render_opts o = {.tools = json_object_get(with, "tools"), .documents = json_object_get(with, "documents"),
		.args = json_object_get(with, "chat_template_kwargs")};
	struct pm_chat_opts c = {.train_on = s->o.train_on, .first = (int32_t)first, .parse_special = s->o.parse_special};
	json_t *list;
	int r;

	if (need(s, s->o.tokenizer, s->o.no_tokenizer, e) < 0 || need(s, s->o.chat, s->o.no_chat, e) < 0)
		return -1;
	if (!json_array_size(messages))
		return pm_fail(e, PM_DATA, json_is_array(messages) ? "there are no messages" : "a list of messages was wanted");
	if (o.args && !json_is_object(o.args))
		return pm_fail(e, PM_DATA, "'chat_template_kwargs': an object was wanted");
	if (scales(s, messages, &c.scale, e) < 0 || pm_template_fits(s->o.chat, messages, o.tools, e) < 0 || !(list = pm_chat_calls(messages, e)))
		return -1;
	r = pm_template_render(s->o.chat, list, &o, &t->chat, e);
	json_decref(list);
	if (r < 0)
		return -1;
	t->d.text = t->chat.text.data ? t->chat.text.data : "";
	t->d.length = t->chat.text.len;
	t->d.reasoning_unused = t->chat.reasoning_unused;
	return pm_chat_tokens(&t->d.record, &t->d.enc, &t->chat, s->o.tokenizer, &c, e);
}

/* A prompt and an answer: two texts, or two lists of messages. */
static int answer_tokens(struct pm_sampler *s, struct slot *t, const json_t *prompt, const json_t *answer, const char *key, const json_t *with,
    struct pm_err *e)
{
	json_t *both;
	size_t n;
	int r;

	if (json_is_array(prompt) && json_is_array(answer)) {
		both = json_copy((json_t *)(size_t)prompt);
		r = !both || json_array_extend(both, (json_t *)(size_t)answer) < 0 ? pm_fail(e, PM_SOFTWARE, "out of memory") :
		    chat_tokens(s, t, both, with, json_array_size(prompt), e);
		json_decref(both);
		return r;
	}
	pm_str_clear(&t->text);
	if (string_of(&t->text, prompt, "prompt", e) < 0)
		return -1;
	n = t->text.len;
	if (string_of(&t->text, answer, key, e) < 0)
		return -1;
	return text_tokens(s, t, t->text.data, t->text.len, n, false, s->o.eos_completion, e);
}

static bool has_trained(const struct pm_record *r)
{
	size_t i;

	for (i = 1; i < r->n; i++)
		if (pm_record_weight(r, i) > 0)
			return true;
	return !r->has_weights || r->has_mask;
}

/* Hands on what was made. */
static int finish(struct pm_sampler *s, int n, int64_t line, int (*put)(void *, const struct pm_sample *, struct pm_err *), void *arg,
    struct pm_err *e)
{
	int i;

	for (i = 0; i < n; i++) {
		s->slot[i].d.record.line = line;
		if (!has_trained(&s->slot[i].d.record))
			return pm_fail(e, PM_DATA, "no token is trained");
	}
	for (i = 0; i < n; i++)
		if (put(arg, &s->slot[i].d, e) < 0)
			return -1;
	return 0;
}

static int pair_tokens(struct pm_sampler *s, const json_t *o, struct pm_err *e)
{
	static const char *const keys[2] = {"chosen", "rejected"};
	int i;

	for (i = 0; i < 2; i++) {
		if (answer_tokens(s, &s->slot[i], json_object_get(o, "prompt"), json_object_get(o, keys[i]), keys[i], o, e) < 0)
			return pm_ctx(e, "%s", keys[i]);
		s->slot[i].d.record.kind = i ? PM_REC_REJECTED : PM_REC_CHOSEN;
		s->slot[i].d.record.group = s->group;
	}
	s->group++;
	return 0;
}

static int take_ids(struct pm_sampler *s, const json_t *o, struct pm_err *e)
{
	struct pm_sample *d = &s->slot[0].d;
	size_t i, vocab;

	if (pm_record_from_json(&d->record, o, e) < 0)
		return -1;
	if (d->record.kind == PM_REC_ROW)
		return pm_fail(e, PM_DATA, "it is a row of a block, a document was wanted");
	vocab = s->o.tokenizer ? pm_tokenizer_vocab(s->o.tokenizer) : SIZE_MAX;
	for (i = 0; i < d->record.n; i++)
		if ((size_t)d->record.ids[i] >= vocab)
			return pm_fail(e, PM_DATA, "token %zu has id %d, the vocabulary has %zu", i, d->record.ids[i], vocab);
	d->text = NULL;
	d->length = d->enc.n = 0;
	return 0;
}

int pm_sampler_take(struct pm_sampler *s, const json_t *o, int64_t line, int (*put)(void *, const struct pm_sample *, struct pm_err *),
    void *arg, struct pm_err *e)
{
	struct slot *t = &s->slot[0];
	const json_t *label = json_object_get(o, "label");
	int r, n = 1;

	t->d.reasoning_unused = s->slot[1].d.reasoning_unused = false;
	if (json_object_get(o, "ids")) {
		r = take_ids(s, o, e);
	} else if (json_object_get(o, "messages")) {
		r = chat_tokens(s, t, json_object_get(o, "messages"), o, 0, e);
	} else if (json_object_get(o, "chosen")) {
		r = pair_tokens(s, o, e);
		n = 2;
	} else if (json_object_get(o, "completion")) {
		r = answer_tokens(s, t, json_object_get(o, "prompt"), json_object_get(o, "completion"), "completion", o, e);
		if (r == 0 && json_is_boolean(label))
			t->d.record.kind = json_is_true(label) ? PM_REC_CHOSEN : PM_REC_REJECTED;
	} else if (json_object_get(o, "text")) {
		bool pair = json_object_get(o, "pair") != NULL;

		pm_str_clear(&t->text);
		pm_str_clear(&t->pair);
		r = string_of(&t->text, json_object_get(o, "text"), "text", e);
		if (r == 0 && pair)
			r = string_of(&t->pair, json_object_get(o, "pair"), "pair", e);
		if (r == 0)
			r = text_tokens(s, t, t->text.data, t->text.len, 0, pair, s->o.eos_text, e);
	} else {
		return pm_fail(e, PM_DATA, "text, messages, a prompt with its completion, or ids were wanted");
	}
	return r < 0 ? -1 : finish(s, n, line, put, arg, e);
}

int pm_sampler_text(struct pm_sampler *s, const char *text, size_t n, int64_t line,
    int (*put)(void *, const struct pm_sample *, struct pm_err *), void *arg, struct pm_err *e)
{
	struct slot *t = &s->slot[0];

	if (text_tokens(s, t, text, n, 0, false, s->o.eos_text, e) < 0)
		return -1;
	return finish(s, 1, line, put, arg, e);
}
